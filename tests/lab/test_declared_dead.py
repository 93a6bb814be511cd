"""Draft 2.3.1: a member that was declared dead learns of it before it gives what is not its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from agent.model import format_address
from agent.snmp.columns import MEMBER
from agent.snmp.oid import format_oid
from tests.lab.conftest import need, why_not
from tests.lab.rig import (
    CLIENT_ADDRESS,
    DISCOVER,
    HonestClients,
    Lab,
    RelayedClient,
    wait_until,
)
from tools.bench.seed import free_addresses
from tools.lab import lab as verbs

DESTROY = "6"
MUL_S, LEASE_S = 10, 20
POOL_SIZE = 150
CLIENTS = 145
HELD = 10
"""Of the addresses that it had free to give, as many have a client elsewhere when it starts."""
OTHERS = ("m1", "m2")
CONFIGURATION = """
[[subnet]]
prefix = "198.18.0.0/15"
pools = ["198.18.16.0-198.18.16.149"]
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three members of so few addresses that clients need those of each."""
    if reason := why_not():
        pytest.skip(reason)
    need("snmpset")
    root = tmp_path_factory.mktemp("lab")
    verbs.up(3, 2, root, LEASE_S, MUL_S, lambda _line: None, configuration=CONFIGURATION)
    try:
        yield Lab(root)
    finally:
        verbs.down(keep_files=False)


def free(lab: Lab, member: str) -> int:
    return sum(pool.free for pool in lab.status(member).pools)


def is_removed(lab: Lab, at: str, member: int) -> bool:
    return any(one.id == member and one.state == "removed" for one in lab.status(at).members)


def remove_m3(lab: Lab) -> None:
    """By a majority, without force: refused for as long as one of them has just heard it."""
    name = f"{format_oid(MEMBER['RowStatus'].oid)}.3"

    def is_taken() -> bool:
        order = lab.snmp("snmpset", "operator", "m1", name, "i", DESTROY, check=False)
        return order.returncode == 0

    wait_until(is_taken, 20)
    wait_until(lambda: all(is_removed(lab, at, 3) for at in OTHERS), 20)


def cut_off_m3() -> None:
    """c2 is on its side, c1 on the others'."""
    for node in (*OTHERS, "c1"):
        verbs.cut("m3", node, one_way=False)
    for node in OTHERS:
        verbs.cut("c2", node, one_way=False)


def answers(lab: Lab, count: int) -> list[int]:
    """To how many new clients m3 offers which kind of answer."""
    with lab.address("c2"):
        client = RelayedClient("c2", CLIENT_ADDRESS)
        try:
            found = [
                client.ask(
                    "198.18.0.3",
                    bytes((2, 0, 0, 0, 0xDE, number)),
                    {53: bytes((DISCOVER,))},
                    within_s=0.6,
                )
                for number in range(count)
            ]
        finally:
            client.close()
    return [answer.kind for answer in found if answer is not None]


def test_one_that_was_removed_and_starts_cut_off_gives_nothing_that_others_hold(lab: Lab) -> None:
    wait_until(lambda: free(lab, "m3") > HELD, 30, lambda: str(free(lab, "m3")))
    verbs.kill("m3", hard=True)
    its = {format_address(address) for address, _ in free_addresses(lab.root / "m3")}
    remove_m3(lab)
    clients = HonestClients(CLIENTS)
    try:
        index = {tuple(map(int, address.split("."))) for address in its}
        wait_until(lambda: len(index & lab.bindings("m1").keys()) >= HELD, 90)
        cut_off_m3()
        verbs.start("m3", print)
        alone = lab.status("m3")
        assert alone.is_serving, "it cannot know"
        assert sum(pool.free for pool in alone.pools) == len(its), (
            "all of that it takes for its own"
        )
        assert answers(lab, 5) == []
        assert lab.lease("c2") is None
        users = ("--address", "198.18.0.3", "--credentials", str(lab.root / "credentials.env"))
        done = lab.exec("m3", sys.executable, "-m", "tools.main", "status", *users, check=False)
        assert done.returncode == 1
        assert "m3 may have been declared dead since 20" in " ".join(done.stdout.split())
        verbs.heal()
        wait_until(lambda: lab.status("m3").is_out, 20)
        assert lab.status("m3").uncertain_since == ""
        assert lab.lease("c2") is not None, "of those that are in the group"
    finally:
        books = clients.close()
    assert (books.duplicates, books.lost, books.bound) == ([], [], CLIENTS)
    given = {address for leases in books.leases.values() for address, _ in leases}
    assert given & its
