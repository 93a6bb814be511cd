"""A maintenance day of five members: what an operator does on it costs no client anything.

Each member is shut down, started again as after an upgrade, and taken back; one is replaced by
another machine, one gets another number; a pool moves. 400 honest clients live through it and keep
the books, and after each step new ones come, who have to be served at once.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import why_not
from tests.lab.rig import REPOSITORY, HonestClients, Lab, wait_until
from tools.lab.lab import CONFIGURATION

CLIENTS, NEWCOMERS = 400, 8
SERVED_WITHIN_S = 4.0
WITHIN_S = 90
OLD, NEW = "203.0.113.10-203.0.113.99", "203.0.113.100-203.0.113.199"
"""The pool that moves: of a network of its own, in which nobody has an address any more."""
SUBNET = '[[subnet]]\nprefix = "203.0.113.0/24"\npools = ["{}"]\n'


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if reason := why_not():
        pytest.skip(reason)
    made = Lab(tmp_path_factory.mktemp("lab"))
    times = ("--lease", "120", "--mul", "60")
    made.run("lab", "up", "--members", "5", "--clients", "2", "--root", str(made.root), *times)
    try:
        yield made
    finally:
        made.run("lab", "down", check=False)


def do(lab: Lab, at: str, *words: str) -> str:
    """`dhcpsync` at a member, as a script has it."""
    users = ("--credentials", str(lab.root / "credentials.env"))
    where = ("--address", f"198.18.0.{at[1:]}")
    command = (sys.executable, "-m", "tools.main", *words, *where, *users)
    return lab.exec(at, *command).stdout


class Newcomers:
    """Each call has new clients come, and waits for what became of them."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._seed = 100
        self.waited_s: dict[str, float] = {}

    def come(self, after: str) -> None:
        self._seed += 1
        words = ("--count", str(NEWCOMERS), "--seconds", "10", "--seed", str(self._seed), "--json")
        done = subprocess.run(
            [sys.executable, "-m", "tools.main", "lab", "clients", "c2", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=REPOSITORY,
        )
        books = json.loads(done.stdout)
        assert books["bound"] == NEWCOMERS, f"{after}: {books['bound']} of {NEWCOMERS} are served"
        assert not books["duplicates"], after
        self.waited_s[after] = books["waited_max_s"]


def is_well(lab: Lab, at: str, members: int) -> bool:
    status = lab.status(at)
    current = [one for one in status.members if one.state == "active"]
    return status.is_ready and len(current) == members and all(one.is_aligned for one in current)


def wait_well(lab: Lab, at: str, members: int = 5) -> None:
    wait_until(lambda: is_well(lab, at, members), WITHIN_S, lambda: lab.status(at).summary())


def upgrade(lab: Lab, member: str, helper: str) -> None:
    do(lab, member, "member", "shutdown", member)

    def is_down() -> bool:
        return any(one.name == member and one.state == "down" for one in lab.status(helper).members)

    wait_until(is_down, WITHIN_S)
    lab.run("lab", "kill", member)
    lab.run("lab", "start", member)
    wait_well(lab, helper)


def leave(lab: Lab, member: str, helper: str) -> None:
    do(lab, member, "member", "leave", member)

    def is_out() -> bool:
        members = lab.status(helper).members
        return any(one.name == member and one.state == "removed" for one in members)

    wait_until(is_out, WITHIN_S)
    lab.run("lab", "kill", member)


def apply(lab: Lab, at: str, pool: str) -> None:
    file: Path = lab.root / "cluster.toml"
    file.write_text(CONFIGURATION + SUBNET.format(pool))
    do(lab, at, "apply", str(file), "--yes")


def has_stock(lab: Lab, at: str, pool: str) -> bool:
    """Whether the member has addresses of that one pool of the network to give."""
    pools = [one for one in lab.status(at).pools if one.first.startswith("203.0.113.")]
    return [f"{one.first}-{one.last}" for one in pools] == [pool] and pools[0].free > 0


def test_a_maintenance_day_costs_no_client_anything(day: Lab) -> None:
    newcomers = Newcomers(day)
    clients = HonestClients(CLIENTS)
    try:
        wait_until(lambda: len(day.bindings("m1")) >= CLIENTS, WITHIN_S)
        newcomers.come("the beginning")
        for number in range(1, 6):
            member, helper = f"m{number}", f"m{number % 5 + 1}"
            upgrade(day, member, helper)
            newcomers.come(f"the upgrade of {member}")
        day.run("lab", "join", "m6")  # the new machine first, then the old one goes
        leave(day, "m5", "m1")
        newcomers.come("the replacement of m5")
        leave(day, "m4", "m1")
        day.run("lab", "join", "m7")
        newcomers.come("m4 as m7")
        wait_well(day, "m1")
        apply(day, "m2", OLD)
        wait_until(lambda: has_stock(day, "m1", OLD), WITHIN_S)
        apply(day, "m2", NEW)
        wait_until(lambda: has_stock(day, "m1", NEW), WITHIN_S)
        newcomers.come("a pool that moved")
    finally:
        books = clients.close()
    assert (books.duplicates, books.lost) == ([], [])
    assert books.bound == CLIENTS
    slow = {after: s for after, s in newcomers.waited_s.items() if s > SERVED_WITHIN_S}
    assert not slow, f"waited longer than {SERVED_WITHIN_S} s after: {slow}"
