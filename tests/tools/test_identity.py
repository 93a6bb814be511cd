"""Joining, renaming and readdressing, by the commands and at real members (their agents alone)."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.member_file import FILE_NAME, load_member_file
from agent.model import MemberRole
from agent.snmp.columns import MEMBER
from tools.errors import ManagerError, ToolError
from tools.init import NewMember, found, make_member
from tools.join import check_versions, join_member
from tools.main import app
from tools.manager import Assignment
from tools.status import Status, read_status
from tools.target import Target, find_target

WITHIN_S = 60.0


def free_port(address: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((address, 0))
        port: int = one.getsockname()[1]
        return port


class Members:
    """Folders and running agents; north has founded the group."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.credentials = place / "north" / "credentials.env"

    def make(self, number: int, name: str, *, founds: bool = False, own_keys: bool = False) -> Path:
        folder, address = self.place / name, f"127.0.0.{number}"
        new = NewMember(number, name, address, free_port(address), (), MemberRole.DATABASE)
        founding = found("lan", None, 3600) if founds else None
        keys = None if own_keys else self.credentials
        make_member(folder, new, founding, keys)
        return folder

    def start(self, name: str) -> None:
        """Returns when its agent answers."""
        folder = self.place / name
        command = (sys.executable, "-m", "tools.main", "serve", str(folder), "--only", "agent")
        with (self.place / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(lambda: self.try_status(name) is not None)

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        process.terminate()
        process.wait(timeout=WITHIN_S)

    def log(self, name: str) -> str:
        return (self.place / f"{name}.log").read_text()

    def at(self, name: str) -> str:
        file = load_member_file(self.place / name)
        return f"127.0.0.{file.member}:{file.port}"

    def target(self, name: str) -> Target:
        return find_target(None, self.at(name), self.credentials, "operator")

    def status(self, name: str) -> Status:
        return read_status(find_target(None, self.at(name), self.credentials, "monitor"))

    def try_status(self, name: str) -> Status | None:
        path = self.place / name / "credentials.env"
        keys = path if path.exists() else self.credentials
        try:
            target = find_target(None, self.at(name), keys, "monitor")
            return read_status(target, timeout_s=0.5, retries=0)
        except ManagerError:
            return None

    def join(self, name: str, credentials: Path | None = None) -> None:
        keys = credentials or self.credentials
        join_member(self.place / name, self.at("north"), keys, WITHIN_S, lambda _: None)

    def names(self, name: str) -> list[str]:
        return [one.name for one in self.status(name).members]

    def command(self, *arguments: str, at: str = "north") -> tuple[int, str]:
        """Exit code, and what was said or went wrong."""
        place = ("--address", self.at(at), "--credentials", str(self.credentials))
        done = CliRunner().invoke(app, ["member", *arguments, *place])
        return (1, str(done.exception)) if done.exception else (done.exit_code, done.output)


def wait_until(come_true: Callable[[], bool]) -> None:
    until = time.monotonic() + WITHIN_S
    while not come_true():
        assert time.monotonic() < until, f"it did not come true in {WITHIN_S} s"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    made = Members(tmp_path_factory.mktemp("members"))
    made.make(1, "north", founds=True, own_keys=True)
    made.start("north")
    made.make(2, "south")
    made.start("south")
    made.join("south")
    yield made
    for process in made.running.values():
        process.terminate()
    for process in made.running.values():
        process.wait()


def test_members_of_two_versions_are_no_group() -> None:
    check_versions("0.1.0", "0.1.0")
    with pytest.raises(ToolError, match=r"it runs dhcpsync 0\.2\.0, and the group 0\.1\.0"):
        check_versions("0.2.0", "0.1.0")


def test_who_does_not_run_does_not_join(members: Members) -> None:
    members.make(3, "west")
    with pytest.raises(ToolError, match=r"west does not answer at 127\.0\.0\.3:.*`dhcpsync serve`"):
        members.join("west")
    assert members.names("north") == ["north", "south"]


def test_who_has_a_group_or_other_keys_does_not_join(members: Members) -> None:
    members.make(4, "east", founds=True)
    members.start("east")
    with pytest.raises(ToolError, match=r"a group of its own \(lan, generation 1\).*--join"):
        members.join("east")
    with pytest.raises(ToolError, match=r"east does not take the user of role peer.*--join"):
        members.join("east", with_other_peer(members))
    members.stop("east")
    assert members.names("north") == ["north", "south"]


def with_other_peer(members: Members) -> Path:
    """The group's credentials, but for those of the user of role peer."""
    folder, mixed = members.make(6, "odd", own_keys=True), members.place / "mixed.env"
    lines = members.credentials.read_text().splitlines()
    others = (folder / "credentials.env").read_text().splitlines()
    kept = [line for line in lines if not line.startswith("PEER")]
    mixed.write_text("\n".join(kept + [line for line in others if line.startswith("PEER")]))
    mixed.chmod(0o600)
    return mixed


def test_another_member_at_the_address_of_the_one_that_joins(members: Members) -> None:
    folder = members.make(5, "far")
    file = folder / FILE_NAME
    host, _, port = members.at("south").partition(":")
    text = re.sub(r"(?m)^port = (?!67)\d+", f"port = {port}", file.read_text())
    file.write_text(text.replace("127.0.0.5", host))
    with pytest.raises(ToolError, match="member 2 answers, and not 5"):
        members.join("far")


def test_a_member_is_renamed_by_the_group(members: Members) -> None:
    code, said = members.command("rename", "south", "south-2", at="south")
    assert (code, "member 2 is south-2" in said) == (0, True), said
    wait_until(lambda: members.names("north") == ["north", "south-2"])
    assert members.command("rename", "2", "south-2")[0] == 0, "it is so already"
    for wanted, words in (("north", "north already"), ("7", "no number"), ("x ", "blank")):
        code, said = members.command("rename", "2", wanted)
        assert (code, words in said) == (1, True), said
    with members.target("south").open() as manager, pytest.raises(ManagerError, match="Name"):
        manager.set([Assignment(MEMBER["Name"], (2,), b"7")])
    assert members.names("south") == ["north", "south-2"]
    assert members.command("rename", "2", "south")[0] == 0


def test_a_member_that_moved_is_told_of_and_reached_again(members: Members) -> None:
    """Started elsewhere before anybody knew: silent to the others, and its log says the command."""
    assert (
        "is reached at 127.0.0.1:" in members.command("readdress", "south", members.at("north"))[1]
    )
    members.stop("south")
    file = members.place / "south" / FILE_NAME
    port = free_port("127.0.0.2")
    file.write_text(re.sub(r"(?m)^port = (?!67)\d+", f"port = {port}", file.read_text()))
    members.start("south")
    new = f"127.0.0.2:{port}"
    wait_until(lambda: f"member readdress south {new}" in members.log("south"))
    wait_until(lambda: members.status("north").members[1].hello != "bidirectional")
    code, said = members.command("readdress", "south", new, "--force")
    assert (code, "--yes: is missing, and nobody answers" in said) == (1, True)
    code, said = members.command("readdress", "south", new, "--force", "--yes")
    assert (code, f"reaches south at {new}" in said) == (0, True), said
    wait_until(lambda: all(one.is_well for one in members.status("south").members[:1]))
    wait_until(lambda: members.status("north").members[1].is_well)
    assert members.command("readdress", "2", new)[0] == 0, "it is so already"
    assert members.status("south").state == "publishing"
