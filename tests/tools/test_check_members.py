"""`dhcpsync check` on three agents that run on loopback, each with a store of its own."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.member_file import STORE_NAME
from agent.model import Binding, BindingState, Group, format_address, parse_address
from store import open_store
from tools.bench.seed import seed_bindings
from tools.compare import command, reading
from tools.credentials import Credentials, find_user, make_credentials, write_credentials
from tools.errors import ManagerError
from tools.init import Founding, NewMember, make_member, read_identity
from tools.main import app
from tools.status import read_members
from tools.target import Target

FIRST = parse_address("198.18.16.0")
BINDINGS = 40
WITHIN_S = 40
LOOPBACK = "127.0.0.1"


@dataclass
class Members:
    """Three members, of which the second and third have pulled what the first was seeded with."""

    place: Path
    ports: list[int]
    processes: list[subprocess.Popen[bytes]]

    @property
    def users(self) -> Path:
        return self.place / "users.env"

    def check(self, *arguments: str, at: int = 1, users: Path | None = None) -> Any:
        where = ["--address", f"{LOOPBACK}:{self.ports[at - 1]}"]
        credentials = ["--credentials", str(users or self.users)]
        return CliRunner().invoke(app, ["check", *arguments, *where, *credentials])

    def row(self, member: int, address: int) -> Binding | None:
        with closing(open_store(self.place / f"m{member}" / STORE_NAME)) as store:
            with store.read() as tx:
                return tx.bindings_by_address((address,)).get(address)

    def edit(self, member: int, sql: str) -> None:
        """With another program, behind the member's back."""
        from sqlite3 import connect

        with closing(connect(self.place / f"m{member}" / STORE_NAME, timeout=20)) as connection:
            with connection:
                connection.execute(sql)

    def audit(self, member: int) -> list[str]:
        with closing(open_store(self.place / f"m{member}" / STORE_NAME)) as store:
            with store.read() as tx:
                return [entry.detail for entry in tx.audit_after(0, 100)]


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    place = tmp_path_factory.mktemp("check")
    found = Members(place, _free_ports(3), [])
    write_credentials(found.users, make_credentials())
    for number, port in enumerate(found.ports, 1):
        new = NewMember(number, f"m{number}", LOOPBACK, port, ("lo",))
        founding = Founding("group", 3600, 3600) if number == 1 else None
        make_member(place / f"m{number}", new, founding, found.users)
    _make_one_group(found)
    seed_bindings(place / "m1", ((FIRST + n, 1) for n in range(BINDINGS)), 1, 86_400)
    for number in (1, 2, 3):
        with (place / f"m{number}.log").open("wb") as log:
            serve = ["-m", "agent.serve", str(place / f"m{number}"), "--only", "agent"]
            found.processes.append(
                subprocess.Popen([sys.executable, *serve], stdout=log, stderr=log)
            )
    try:
        _wait_aligned(found)
        yield found
    finally:
        for process in found.processes:
            process.kill()
            process.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for one in sockets:
        one.bind((LOOPBACK, 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _make_one_group(found: Members) -> None:
    """What joins would come to, without waiting for them."""
    group: Group | None = None
    for number, port in enumerate(found.ports, 1):
        with closing(open_store(found.place / f"m{number}" / STORE_NAME)) as store:
            with store.write() as tx:
                group = group or tx.group()
                assert group is not None
                engines = [read_identity(found.place / f"m{n}").engine_id for n in (1, 2, 3)]
                listed = tuple(
                    replace(group.members[0], member=n, name=f"m{n}", port=at, engine_id=engine)
                    for n, (at, engine) in enumerate(zip(found.ports, engines, strict=True), 1)
                )
                tx.put_group(replace(group, members=listed))
                tx.set_serving(True, since=0)
            assert port == listed[number - 1].port


def _wait_aligned(found: Members) -> None:
    until = time.monotonic() + WITHIN_S
    target = Target(LOOPBACK, found.ports[0], find_user(found.users, "monitor"))
    while True:
        try:
            listed = target.run(read_members)
        except ManagerError:
            listed = []
        if all(found.row(n, FIRST + BINDINGS - 1) for n in (2, 3)) and all(
            one.is_aligned for one in listed
        ):
            return
        assert time.monotonic() < until, listed
        time.sleep(0.1)


def test_members_that_agree(members: Members) -> None:
    answer = members.check(at=2)
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout == (
        "3 members compared, 40 bindings and 0 rows of configuration: no difference.\n"
    )


def test_a_row_changed_behind_a_members_back_is_found_named_and_repaired(members: Members) -> None:
    good = {n: members.row(2, FIRST + n) for n in range(4)}
    members.edit(2, f"UPDATE binding SET hostname = 'edited' WHERE address = {FIRST}")
    members.edit(
        2,
        "UPDATE binding SET expires_at = expires_at + 4000, potential_expires_at ="
        f" potential_expires_at + 4000 WHERE address = {FIRST + 1}",
    )
    members.edit(2, f"DELETE FROM binding WHERE address = {FIRST + 2}")
    members.edit(2, f"UPDATE binding SET epoch = 0, seq = 1 WHERE address = {FIRST + 3}")
    answer = members.check("--json")
    told = json.loads(answer.stdout)
    assert (answer.exit_code, told["well"], told["orders"]) == (1, False, [])
    named = {one["what"]: one for one in told["differences"]}
    assert sorted(named) == [f"198.18.16.{n}" for n in range(4)]
    assert "host name host-0000000 at m1 and m3, edited at m2" in named["198.18.16.0"]["words"]
    assert named["198.18.16.1"]["words"].startswith("198.18.16.1: end 20")
    assert "no record at m2" in named["198.18.16.2"]["words"]
    assert "epoch 1 at m1 and m3, 0 at m2" in named["198.18.16.3"]["words"]
    assert all(one["wrong"] == ["m2"] for one in named.values())

    asked = members.check("--repair")
    assert (asked.exit_code, str(asked.exception)[:5]) == (1, "--yes")
    assert "m2 reads all rows of m1 again" in asked.stderr

    answer = members.check("--repair", "--yes", at=3)
    assert answer.exit_code == 0, answer.stdout
    assert answer.stdout.splitlines()[-1] == "Repaired."
    for n in range(4):
        mended, before = members.row(2, FIRST + n), good[n]
        assert mended is not None
        assert before is not None
        assert mended._replace(acknowledged_at=0) == before._replace(acknowledged_at=0)
    assert members.check().exit_code == 0
    assert any("dhcpSyncMemberOperation.1=realign" in line for line in members.audit(2))
    assert not any("realign" in line for line in members.audit(1) + members.audit(3))


def test_addresses_that_two_members_may_give_are_told_and_left_alone(members: Members) -> None:
    first = FIRST + 1000
    for member, epoch in ((1, 3), (3, 5)):
        members.edit(
            member,
            "INSERT INTO address_range (first, last, state, epoch, member, nonce_incarnation,"
            f" nonce_counter, generation) VALUES ({first}, {first + 9}, 2, {epoch}, {member}, 0, 0,"
            " 1)",
        )
    try:
        answer = members.check("--repair", "--yes")
    finally:
        for member in (1, 3):
            members.edit(member, f"DELETE FROM address_range WHERE first = {first}")
    assert answer.exit_code == 1
    assert (
        "- 198.18.19.232-198.18.19.241: m1 (epoch 3) and m3 (epoch 5) may both give it to new"
        " clients.\n" in answer.stdout
    )
    assert "Pause m1 now" in answer.stdout
    assert "Repaired" not in answer.stdout


def test_a_removal_is_asked_for_with_the_number_of_leases(members: Members) -> None:
    given = ["member", "remove", "m1", "--address", f"{LOOPBACK}:{members.ports[1]}"]
    answer = CliRunner().invoke(app, [*given, "--credentials", str(members.users)])
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert str(answer.exception) == "--yes: is missing, and nobody answers; give it"
    counted = re.search(r"(\d+) of (\d+) live leases were given by m1", answer.stderr)
    assert counted is not None
    assert BINDINGS - 1 <= int(counted[1]) == int(counted[2]) <= BINDINGS, "one may be released"
    assert "m2 HEARS it at this moment" in answer.stderr


def test_a_lease_is_released_at_the_member_that_gave_it_and_all_hear_of_it(
    members: Members,
) -> None:
    address = FIRST + BINDINGS - 2
    given = ["lease", "release", format_address(address), "--yes", "--address"]
    where = [f"{LOOPBACK}:{members.ports[1]}", "--credentials", str(members.users)]
    answer = CliRunner().invoke(app, [*given, *where])
    assert (answer.exit_code, answer.exception) == (0, None)
    assert "Its client may still be there." in answer.stderr
    assert any("dhcpSyncBindingState" in line for line in members.audit(1))
    until = time.monotonic() + WITHIN_S
    for member in (1, 2, 3):
        while (row := members.row(member, address)) and row.state is not BindingState.RELEASED:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert row is not None
        assert (row.transaction_server, row.is_settled) == (1, True)
    again = CliRunner().invoke(app, [*given, *where])
    assert (again.exit_code, "is released already" in str(again.exception)) == (1, True)


def test_wrong_keys_are_told_and_nothing_is_compared(members: Members, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.env"
    text = members.users.read_text()
    peer = next(line for line in text.splitlines() if line.startswith("PEER_AUTH="))
    wrong.write_text(text.replace(peer, "PEER_AUTH=another-passphrase"))
    wrong.chmod(0o600)
    answer = members.check(users=wrong)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "the authentication passphrase is wrong" in answer.stderr


def test_no_member_answers(members: Members, capsys: pytest.CaptureFixture[str]) -> None:
    (port,) = _free_ports(1)
    user = find_user(members.users, "peer")
    place = Target(LOOPBACK, port, user, timeout_s=0.05, retries=0)

    def nobody() -> Target:
        raise AssertionError("nothing is ordered")

    code = command.check_members(place, user, nobody, lambda _: False, as_json=False, repair=True)
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert said.err == f"dhcpsync: {LOOPBACK}:{port}: no answer\n"


def test_one_member_that_is_silent_is_told_and_the_rest_compared(
    members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "TIMEOUT_S", 1.5)
    members.processes[2].send_signal(signal.SIGSTOP)
    try:
        answer = members.check("--json")
    finally:
        members.processes[2].send_signal(signal.SIGCONT)
    told = json.loads(answer.stdout)
    assert (answer.exit_code, told["well"], told["differences"]) == (2, False, [])
    assert [one["name"] for one in told["members"]] == ["m1", "m2"]
    assert told["not_compared"][0]["name"] == "m3"
    assert "no answer" in told["not_compared"][0]["why"]
    assert "2 members compared" in told["sentence"]
    assert "1 could not be looked at" in told["sentence"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--yes"], "is given without --repair"),
        (["--json", "--repair"], "leaves no room for a question"),
        (["file.toml", "--repair"], "is for members"),
        (["--address", "192.0.2.1"], "name the cluster's credentials.env"),
        ([], "give its folder, or --address"),
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], words: str) -> None:
    answer = CliRunner(env={"DHCPSYNC_ADDRESS": "", "DHCPSYNC_CREDENTIALS": ""}).invoke(
        app, ["check", *arguments]
    )
    assert words in str(answer.exception)


def test_a_monitor_alone_cannot_read_what_peers_read(members: Members, tmp_path: Path) -> None:
    file = tmp_path / "monitor.env"
    lines = members.users.read_text().splitlines()
    file.write_text("\n".join(line for line in lines if not line.startswith("PEER_")) + "\n")
    file.chmod(0o600)
    answer = members.check(users=file)
    assert "PEER_USER" in str(answer.exception)
    assert isinstance(find_user(members.users, "peer"), Credentials)


def test_the_audit_of_all_members_is_read(members: Members) -> None:
    """Over SNMP, as `dhcpsync audit` does it."""
    where = ["--address", f"{LOOPBACK}:{members.ports[1]}", "--credentials", str(members.users)]
    answer = CliRunner().invoke(app, ["audit", "--json", *where])
    assert (answer.exit_code, answer.stderr) == (0, "")
    told = [json.loads(line) for line in answer.stdout.splitlines()]
    for number in (1, 2, 3):
        details = [one["detail"] for one in told if one["member"] == f"m{number}"]
        assert details == members.audit(number)
