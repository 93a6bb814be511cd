"""The whole protocol on real processes: five members, and everything that may happen to them.

One hundred honest clients live through all of it and keep the books, and perfdhcp brings new ones
in the worst of it. In the end nobody held an address that somebody else held, and nobody who could
reach a member lost a lease.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.snmp.oid import Oid
from tests.lab.conftest import need, why_not
from tests.lab.rig import HonestClients, Lab, wait_until
from tests.lab.test_members import CREATE_AND_GO, DESTROY, name, set_on_the_dead, shown
from tools.bench.perfdhcp import parse_report
from tools.init import read_identity
from tools.lab.compare import unlike
from tools.manager import Row

LEASE_S = 24
MUL_S = 12
CLIENTS = 100
ALIGNED_WITHIN_S = 60
LIVE, EXPIRED = 1, 4
"""dhcpSyncBindingState"""


@pytest.fixture
def five(tmp_path: Path) -> Iterator[Lab]:
    """Five members and two clients; leases of seconds, so that three of them are a minute."""
    if reason := why_not():
        pytest.skip(reason)
    made = Lab(tmp_path)
    times = ("--lease", str(LEASE_S), "--mul", str(MUL_S))
    made.run("lab", "up", "--members", "5", "--clients", "2", "--root", str(tmp_path), *times)
    try:
        yield made
    finally:
        made.run("lab", "down", check=False)


def test_five_members_through_cuts_losses_and_changes(five: Lab) -> None:
    need("perfdhcp")
    everybody = ["m1", "m2", "m3", "m4", "m5"]
    clients = HonestClients(CLIENTS)
    try:
        wait_until(lambda: len(five.bindings("m1")) >= CLIENTS, 30)
        cut_in_halves(five, everybody)
        become_equal(five, everybody)
        lose_a_store(five)
        become_equal(five, everybody)
        roll_a_store_back(five)
        become_equal(five, everybody)
        five.run("lab", "clock", "m4", "+3600")
        become_equal(five, everybody)
        remove_and_add_again(five)
        become_equal(five, everybody)
    finally:
        books = clients.close()
    assert (books.duplicates, books.lost) == ([], [])
    assert books.bound == CLIENTS


def become_equal(lab: Lab, members: list[str]) -> None:
    """Clients renew all the time, so no two walks see the same. But what one member has another one
    must have soon, or something newer, and the other way round."""
    first, *others = members
    until = time.monotonic() + ALIGNED_WITHIN_S
    tables = {member: steady(lab, member) for member in members}
    pairs = [(other, first) for other in others] + [(first, other) for other in others]
    for at, of in pairs:
        wait_until(
            lambda at=at, of=of: not lacking(lab.bindings(at), tables[of]),
            left(until),
            lambda at=at, of=of: f"{at} lacks of {of}: {lacking(lab.bindings(at), tables[of])[:3]}",
        )


def steady(lab: Lab, member: str) -> dict[Oid, Row]:
    """The rows that two walks saw alike. A walk goes column by column: of a row that changes or
    comes meanwhile it sees one half before and the other after, which no member ever had."""
    once, again = lab.bindings(member), lab.bindings(member)
    return {index: row for index, row in once.items() if again.get(index) == row}


def left(until: float) -> float:
    return max(0.1, until - time.monotonic())


def lacking(table: dict[Oid, Row], earlier: dict[Oid, Row]) -> list[tuple[Oid, Row, Row | None]]:
    """Rows of `earlier` of which `table` has neither the same nor a later one."""
    return [
        (index, row, table.get(index))
        for index, row in earlier.items()
        if index not in table or (_has_changed(table[index], row) and age(table[index]) <= age(row))
    ]


def _has_changed(row: Row, earlier: Row) -> bool:
    """Otherwise than by the time that has passed since: a lease that was live may be over."""
    over = {earlier["State"], row["State"]} == {LIVE, EXPIRED}
    return bool(unlike(row, earlier) - ({"State"} if over else set()))


def age(row: Row) -> tuple[object, object]:
    """Each renewal is a grant more, each change of owner an epoch."""
    return row["Epoch"], row["Grant"]


def cut_in_halves(lab: Lab, members: list[str]) -> None:
    """For three leases two members know nothing of the other three; clients reach them all."""
    for one in members[:2]:
        for other in members[2:]:
            lab.run("lab", "cut", one, other)
    seconds = 3 * LEASE_S
    words = ("-r", "20", "-R", "100000", "-p", str(seconds), "-u", "-W", "1000000")
    with lab.address("c2"):
        load = lab.start_exec("c2", "perfdhcp", "-4", "-l", "eth0", *words)
        output, _ = load.communicate(timeout=seconds + 60)
    report = parse_report(output, seconds)
    assert report.acks.sent >= 18 * seconds
    assert report.acks.received == report.acks.sent
    assert report.non_unique_acks == 0
    lab.run("lab", "heal")


def lose_a_store(lab: Lab) -> None:
    lab.run("lab", "wipe", "m2")
    lab.run("lab", "start", "m2")


def roll_a_store_back(lab: Lab) -> None:
    lab.run("lab", "copy", "m3")
    before = lab.bindings("m3")
    wait_until(lambda: bool(lacking(before, lab.bindings("m3"))), 2 * LEASE_S)
    lab.run("lab", "rollback", "m3")
    lab.run("lab", "start", "m3")


def remove_and_add_again(lab: Lab) -> None:
    """m5 dies and is removed; the others give back what it had; it returns with nothing."""
    lab.run("lab", "kill", "m5", "--hard")
    wait_until(lambda: shown(lab, "m1", "EndpointState", 5) == "communicationsInterrupted", 15)
    set_on_the_dead(lab, name("RowStatus", 5), "i", DESTROY)
    wait_until(lambda: shown(lab, "m2", "State", 5) == "removed", 15)
    add = (
        *(name("Name", 5), "s", "m5"),
        *(name("Address", 5), "x", "c6120005"),
        *(name("EngineId", 5), "x", read_identity(lab.root / "m5").engine_id.hex()),
        *(name("RowStatus", 5), "i", CREATE_AND_GO),
    )
    lab.snmp("snmpset", "operator", "m1", *add)
    lab.run("lab", "start", "m5")
