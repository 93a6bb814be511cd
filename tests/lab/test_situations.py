"""docs/situations.md, played: members say what the page shows, and what it tells to do helps.

The page's own commands are run, with the names and addresses of the lab in the place of its own.
What is not played here: an engine that hangs and a row that differs (test_health.py), a clock
(test_recover.py), restoring and upgrading (test_recover.py, test_pair.py), a member that may have
been declared dead (test_declared_dead.py).
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import need, why_not
from tests.lab.rig import CLIENT_ADDRESS, DISCOVER, Lab, RelayedClient, wait_until
from tests.tools.captures import NAMES, SEEN, SINCE, excerpt, screen
from tests.tools.documented import ROOT, Command, blocks, split, typed
from tools.errors import ManagerError
from tools.init import read_identity
from tools.lab import lab as verbs
from tools.lab import network
from tools.lab.layout import Node, load_state

PAGE = ROOT / "docs" / "situations.md"
MEMBERS = ("m1", "m2", "m3")
LEASE_S = MUL_S = 600
"""First leases, which are at most MUL long, outlast each test."""
CONFIGURATION = '[[subnet]]\nprefix = "198.18.0.0/15"\npools = ["198.18.16.0-198.18.16.29"]\n'
WIDER = "198.18.16.0-198.18.16.129"
POOL = "198.18.16.0-198.18.16.29"
SMALL_DISK_MIB = 84
"""What members warn of, and as much as a store needs."""
WITHIN_S = 180
"""It takes seconds; a machine that others use too is no reason to fail."""
LEFT = re.compile(SINCE + r"|\d+ MiB")
"""What is another one each time."""


SPLIT, FULL = "The network is split", "A pool runs low, or is full"
REPLACED = "Replacing a machine"
PLAYED = {
    ("First of all", "--pool"),
    ("A member died", "member partner-down"),
    (SPLIT, "member partner-down"),
    (SPLIT, "check"),
    (FULL, "dump"),
    (FULL, "apply --plan"),
    (FULL, "apply cluster"),
    (FULL, "group"),
    (REPLACED, "status"),
    (REPLACED, "init"),
}
"""The page's commands, each by its section and beginning."""
ELSEWHERE = {
    (REPLACED, "serve"): "tools/lab/lab.py starts every member so",
    ("Taking a member down, and upgrading", "member shutdown"): "as a SET, tests/lab/test_pair.py",
    ("Taking a member down, and upgrading", "status"): "here, of another section",
}


def test_every_command_of_the_page_is_played() -> None:
    shown = {
        (title, " ".join(command.words[1:])) for title in sections() for command in commands(title)
    }
    known = {*PLAYED, *ELSEWHERE}
    for title, words in shown:
        assert any(title == one and words.startswith(start) for one, start in known), words
    for one, start in known:
        assert any(title == one and words.startswith(start) for title, words in shown), start


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three members with a pool that can be used up."""
    if reason := why_not():
        pytest.skip(reason)
    need("udhcpc")
    root = tmp_path_factory.mktemp("lab")
    verbs.up(3, 2, root, LEASE_S, MUL_S, lambda _line: None, configuration=CONFIGURATION)
    try:
        yield Lab(root)
    finally:
        verbs.down(keep_files=False)
        for member in MEMBERS:
            if os.path.ismount(root / member):
                network.run("umount", str(root / member))


# --- the page


def sections() -> dict[str, str]:
    parts = PAGE.read_text().split("\n## ")[1:]
    return {title: body for title, _, body in (part.partition("\n") for part in parts)}


def commands(section: str) -> list[Command]:
    """That are shown to be copied; the captures' first lines are no orders."""
    text = re.sub(r"<!-- captured.*?<!-- end -->", "", sections()[section], flags=re.DOTALL)
    lines = [line for block in blocks(text) for line in typed(block)]
    found = [command for line in lines for command in split("situations.md", line)]
    return [one for one in found if one.words[0] == "dhcpsync"]


def told(section: str, beginning: str) -> Command:
    """The command of that section that begins so."""
    assert (section, beginning) in PLAYED
    (found,) = [one for one in commands(section) if " ".join(one.words[1:]).startswith(beginning)]
    return found


def as_in_the_lab(words: str) -> str:
    """The page's members are those of the lab."""
    for number, name in enumerate(NAMES, 1):
        words = words.replace(f"192.0.2.{number}", f"198.18.0.{number}").replace(name, f"m{number}")
    return words.replace("203.0.113.10-203.0.113.99", POOL)


def do(
    lab: Lab, at: str, section: str, beginning: str, instead: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run what the page tells, at that member's machine."""
    line = as_in_the_lab(shlex.join(told(section, beginning).words[1:]))
    line = line.replace("credentials.env", str(lab.root / "credentials.env"))
    line = line.replace("/var/lib/dhcpsync", str(lab.root / at))
    for word, other in (instead or {}).items():
        line = line.replace(word, other)
    return run(lab, at, *shlex.split(line))


def run(lab: Lab, at: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`dhcpsync` there, by somebody at a terminal who says yes to whatever it asks. Not by `lab
    exec`, which takes longer to start than most orders take."""
    person, terminal = pty.openpty()
    try:
        os.write(person, b"y\n")
        return subprocess.run(
            ["ip", "netns", "exec", f"dhcpsync-{at}", sys.executable, "-m", "tools.main", *words],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=ROOT,
            env=os.environ | {"DHCPSYNC_CREDENTIALS": str(lab.root / "credentials.env")},
        )
    finally:
        os.close(person)
        os.close(terminal)


def sees(lab: Lab, at: str) -> tuple[int, str]:
    """Exit code of `dhcpsync status` at the member, and what it says above the tables."""
    try:
        found = lab.status(at)
    except ManagerError as error:
        return -1, str(error)
    return int(not found.is_well), screen(found, 0).partition("\n\n")[0]


def address(member: str) -> str:
    return f"198.18.0.{member[1:]}"


def shows(lab: Lab, at: str, capture: str) -> bool:
    """Whether the member says what the page shows."""
    _, *lines, _, _, code = as_in_the_lab(excerpt(SEEN[capture])).splitlines()
    parts = [part.strip(" .") for line in lines for part in LEFT.split(line)]
    found, said = sees(lab, at)
    return found == int(code) and all(part in said for part in parts)


def wait_shown(lab: Lab, at: str, capture: str) -> None:
    wait_until(lambda: shows(lab, at, capture), WITHIN_S, lambda: f"{capture}: {sees(lab, at)}")


def wait_well(lab: Lab) -> None:
    for at in MEMBERS:
        wait_shown(lab, at, "well")


# --- the situations


def test_a_pool_is_full_and_gets_more_addresses(lab: Lab) -> None:
    """First, while nobody has lost a store: what that may have given last is held for MUL."""
    wait_well(lab)
    with lab.address("c1"):
        clients = RelayedClient("c1", CLIENT_ADDRESS)
        try:
            numbers = iter(range(1, 1000))
            wait_until(lambda: take_all(lab, clients, numbers), WITHIN_S)
            wait_shown(lab, "m1", "pool-full")
            logs = "".join((lab.root / member / "log").read_text() for member in MEMBERS)
            assert "dhcpSyncFreeAddressLow" in logs
            assert "network 198.18.0.0/15: no free leases" in logs
            widen(lab)
            wait_until(lambda: all(serves(clients, at, numbers) for at in MEMBERS), WITHIN_S)
        finally:
            clients.close()
    wait_well(lab)


def take_all(lab: Lab, clients: RelayedClient, numbers: Iterator[int]) -> bool:
    """Until nothing is left of the pool in the whole group."""
    for at in MEMBERS:
        while serves(clients, at, numbers):
            pass
    return all(pool.left == 0 for pool in lab.status("m1").pools)


def serves(clients: RelayedClient, at: str, numbers: Iterator[int]) -> bool:
    """Whether the next new client gets an address of the member; if so it has it now."""
    client = bytes((2, 0, 0, 0x51)) + next(numbers).to_bytes(2, "big")
    if clients.ask(address(at), client, {53: bytes((DISCOVER,))}, within_s=0.6) is None:
        return False
    clients.lease(address(at), client)
    return True


def widen(lab: Lab) -> None:
    file, section = lab.root / "cluster.toml", FULL
    instead = {file.name: str(file)}
    dumped = do(lab, "m1", section, "dump").stdout
    assert POOL in dumped
    file.write_text(dumped.replace(POOL, WIDER))
    assert WIDER in do(lab, "m1", section, "apply --plan", instead).stdout
    done = do(lab, "m1", section, "apply cluster", instead)
    assert done.returncode == 0, done.stderr
    assert do(lab, "m1", section, "group", {"14400": "700", "3600": str(MUL_S)}).returncode == 0


def test_a_member_died_and_its_machine_is_replaced(lab: Lab) -> None:
    before = lab.lease("c1")
    assert before
    verbs.kill("m2", hard=True)
    wait_shown(lab, "m1", "died")
    asked = do(lab, "m1", "First of all", "--pool")
    assert (asked.returncode, asked.stdout.count("m2 is silent since")) == (1, 2)
    near = run(lab, "m2", "status", str(lab.root / "m2"))
    assert near.returncode == 1
    assert "this is what m" in near.stderr
    assert lab.lease("c1", "-r", before) == before
    assert lab.lease("c2"), "new clients are answered by the others"
    order = ("A member died", "member partner-down")
    wait_until(lambda: do(lab, "m1", *order).returncode == 0, WITHIN_S)
    wait_shown(lab, "m1", "declared-dead")
    section = REPLACED
    engine_id = read_identity(lab.root / "m2").engine_id.hex()
    assert engine_id in do(lab, "m1", section, "status").stdout
    shutil.rmtree(lab.root / "m2")
    mount_small_disk(lab.root / "m2")
    done = do(lab, "m2", section, "init", {told(section, "init").words[-3]: engine_id})
    assert done.returncode == 0, done.stderr
    verbs.start_process(load_state(), Node.parse("m2"))
    wait_well(lab)
    assert lab.lease("c2"), "of the member that is back, or another"
    assert do(lab, "m1", SPLIT, "check").returncode == 0


def test_the_network_is_split(lab: Lab) -> None:
    wait_well(lab)
    for one, other in (("m3", "m1"), ("m3", "m2"), ("m3", "c1"), ("m1", "c2"), ("m2", "c2")):
        verbs.cut(one, other, one_way=False)
    wait_shown(lab, "m1", "split-larger")
    wait_shown(lab, "m3", "split-smaller")
    assert lab.lease("c1"), "of the larger side"
    assert lab.lease("c2"), "of the smaller one"
    refused = do(lab, "m3", SPLIT, "member partner-down")
    assert refused.returncode == 1
    assert "no majority" in refused.stderr
    verbs.heal()
    wait_well(lab)
    lab.wait_equal(list(MEMBERS), WITHIN_S)
    assert do(lab, "m1", SPLIT, "check").returncode == 0


@pytest.fixture
def small_disk(lab: Lab) -> Path:
    """Where m2 has its store on a disk that can be filled: since it was replaced, or from now."""
    folder = lab.root / "m2"
    if not os.path.ismount(folder):
        verbs.kill("m2", hard=False)
        kept = folder.rename(lab.root / "m2.kept")
        mount_small_disk(folder)
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        verbs.start_process(load_state(), Node.parse("m2"))
    return folder


def mount_small_disk(folder: Path) -> None:
    folder.mkdir()
    network.run("mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_MIB}m", "tmpfs", str(folder))


def test_a_disk_is_full(lab: Lab, small_disk: Path) -> None:
    wait_well(lab)
    fill(small_disk / "first", left=31 << 20)
    for at in MEMBERS:
        wait_shown(lab, at, "disk-low" if at == "m2" else "disk-low-elsewhere")
    fill(small_disk / "second", left=0)
    wait_shown(lab, "m2", "disk-full")
    wait_shown(lab, "m1", "died")
    assert lab.lease("c1"), "the others serve its clients"
    for name in ("first", "second"):
        (small_disk / name).unlink()
    wait_well(lab)


def fill(file: Path, *, left: int) -> None:
    room = os.statvfs(file.parent)
    with file.open("wb") as opened:
        os.posix_fallocate(opened.fileno(), 0, room.f_bavail * room.f_frsize - left)
