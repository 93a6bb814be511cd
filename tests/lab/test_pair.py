"""A pair whose stores are not what they were comes back by itself, and gives no address twice.

Each is a plan of tests/sim/plans with real processes; honest clients are served all the while, and
udhcpc says who serves.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.snmp.columns import MEMBER
from agent.snmp.oid import format_oid
from tests.lab.conftest import need
from tests.lab.rig import CLIENT_ADDRESS, HonestClients, Lab, RelayedClient, wait_until
from tools.errors import ManagerError
from tools.lab import lab as verbs
from tools.lab.layout import Node
from tools.status import Status

SHUTDOWN = "5"
CLIENTS = 20
PAIR = ("m1", "m2")


@pytest.fixture(autouse=True)
def _net_snmp() -> None:
    need("snmpset")


@pytest.fixture(scope="module")
def shape() -> tuple[str, ...]:
    """Leases that outlast each test: who holds one at its beginning holds it at its end."""
    return ("--members", "1", "--clients", "3", "--lease", "120", "--mul", "10")


@pytest.fixture(scope="module")
def founded(lab: Lab) -> Path:
    """A copy of the founder's store before m2 joined, which it has by now."""
    verbs.copy("m1")
    kept = lab.root / "founder.copy"
    (lab.root / "m1.copy").rename(kept)
    verbs.join("m2", print)
    return kept


@pytest.fixture
def pair(lab: Lab, founded: Path) -> Lab:
    assert founded.exists()
    wait_until(lambda: is_whole(lab), 60, lambda: words(lab))
    return lab


def order(lab: Lab, member: str, operation: str) -> None:
    name = f"{format_oid(MEMBER['Operation'].oid)}.{member[1:]}"
    lab.snmp("snmpset", "operator", member, name, "i", operation)


def seen(lab: Lab, at: str) -> Status | None:
    try:
        return lab.status(at)
    except ManagerError:
        return None  # it starts


def states(lab: Lab, at: str) -> list[str]:
    found = seen(lab, at)
    return [one.state for one in found.members] if found else []


def is_whole(lab: Lab) -> bool:
    """Both serve, hear each other and are in one group, of one generation."""
    found = [seen(lab, member) for member in PAIR]
    return (
        all(one is not None and one.is_well for one in found)
        and len(
            {
                (one.generation, tuple(member.state for member in one.members))
                for one in found
                if one
            }
        )
        == 1
    )


def words(lab: Lab) -> str:
    found = {member: seen(lab, member) for member in PAIR}
    return "; ".join(f"{member}: {one and one.summary()}" for member, one in found.items())


@contextmanager
def judged(lab: Lab) -> Iterator[None]:
    """Clients live through the block. When it ends each member serves them, and new ones."""
    before = lab.lease("c2")
    assert before is not None
    assert lab.lease("c2", "-r", before) == before, "the first one is only MUL long"
    clients = HonestClients(CLIENTS)
    try:
        yield
        wait_until(lambda: is_whole(lab), 30, lambda: words(lab))
        # Who asked for its first address while nobody served waits long before it asks again.
        wait_until(lambda: in_use(lab) > CLIENTS, 60)
        assert lab.lease("c2", "-r", before) == before
        wait_until(lambda: all(gives(lab, member) for member in PAIR), 30)
        with lab.address("c3"):
            relayed = RelayedClient("c3", CLIENT_ADDRESS)
            new = [relayed.lease(Node.parse(member).address, os.urandom(6)) for member in PAIR]
            relayed.close()
    finally:
        books = clients.close()
    assert (books.duplicates, books.lost, books.bound) == ([], [], CLIENTS)
    given = [one for leases in books.leases.values() for one in {address for address, _ in leases}]
    given += [before, *(answer.address for answer in new)]
    assert len(given) == len(set(given)), "each client has kept its address, and no other has it"


def gives(lab: Lab, member: str) -> bool:
    found = seen(lab, member)
    return found is not None and all(pool.free > 0 for pool in found.pools)


def in_use(lab: Lab) -> int:
    found = seen(lab, "m1")
    return sum(pool.in_use for pool in found.pools) if found else 0


def start_both() -> None:
    """At once: neither serves before it has heard the other, or has waited for it."""
    with ThreadPoolExecutor(2) as threads:
        for started in [threads.submit(verbs.start, member, print) for member in PAIR]:
            started.result(timeout=90)


def test_a_pair_is_switched_off_and_on_again(pair: Lab) -> None:
    with judged(pair):
        for member in PAIR:
            order(pair, member, SHUTDOWN)
        wait_until(lambda: "down" in states(pair, "m1") or "down" in states(pair, "m2"), 20)
        for member in PAIR:
            verbs.kill(member, hard=False)
        start_both()


@pytest.mark.parametrize("whole", [False, True], ids=["store", "machine"])
def test_a_rolling_upgrade_of_a_pair_ends_with_the_snapshot(pair: Lab, whole: bool) -> None:
    """m1 is copied while m2 is down for its upgrade, and is set back to that after its own: both
    stores say then that the other one is down."""
    with judged(pair):
        order(pair, "m2", SHUTDOWN)
        wait_until(lambda: states(pair, "m1") == ["active", "down"], 20)
        verbs.kill("m2", hard=False)
        verbs.copy("m1")
        verbs.start("m2", print)
        wait_until(lambda: is_whole(pair), 20, lambda: words(pair))
        order(pair, "m1", SHUTDOWN)
        wait_until(lambda: states(pair, "m2") == ["down", "active"], 20)
        verbs.rollback("m1", whole=whole)
        verbs.start("m1", print)


def test_a_founder_is_set_back_to_before_the_other_joined(pair: Lab, founded: Path) -> None:
    with judged(pair):
        shutil.copytree(founded, pair.root / "m1.copy", dirs_exist_ok=True)
        verbs.rollback("m1", whole=False)
        verbs.start("m1", print)
    log = (pair.root / "m1" / "log").read_text()
    assert "the store is not the one that ran here last" in log
