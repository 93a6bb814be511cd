"""What `dhcpsync status` calls well, and so what its exit code tells a script."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from agent.health import MemberStatus
from agent.model import Pool, Subnet
from agent.snmp.columns import COUNTERS, SERVER, Scalar, Table
from agent.snmp.oid import Oid
from agent.snmp.tables import date_and_time
from tests.snmp.world import World, binding
from tests.tools.engines import at_an_agent, user
from tools.manager import Assignment, Row, Value
from tools.status import Status, read_status, read_status_at, show_status
from tools.target import Target

PEER = MemberStatus(
    2, "m2", "198.18.0.2", "active", "server", "bidirectional", "aligned", 0, 0
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "is_well", "is_aligned"),
    [
        ({}, True, True),
        ({"align": "update", "backlog": 3}, True, False),
        ({"align": "summarize"}, False, False),
        ({"align": "negotiate"}, False, False),
        ({"align": "down"}, False, False),
        ({"hello": "unidirectional"}, False, False),
        ({"hello": "waiting", "align": "down"}, False, False),
        ({"state": "down"}, False, False),
        ({"state": "joining"}, False, False),
    ],
)
def test_a_peer_that_takes_what_it_lacks_is_well(
    changes: dict[str, Any], is_well: bool, is_aligned: bool
) -> None:
    peer = replace(PEER, **changes)
    assert (peer.is_well, peer.is_aligned) == (is_well, is_aligned)


def test_a_removed_member_is_missed_by_nobody() -> None:
    assert replace(PEER, state="removed", hello="down", align="down").is_well


class Shown:
    """A member that serves alone, and says since when it may have been declared dead."""

    def __init__(self, since: Value | None) -> None:
        self._since = since

    def get(self, objects: Sequence[Scalar]) -> list[Value | None]:
        known: dict[str, Value | None] = {
            "dhcpSyncServerId": 3,
            "dhcpSyncServerName": b"m3",
            "dhcpSyncServerState": 2,
            "dhcpSyncServerUncertainSince": self._since,
        }
        assert {one.name for one in objects} <= {*SERVER, *COUNTERS}
        return [known.get(one.name, 0) for one in objects]

    def table(self, table: Table) -> dict[Oid, Row]:
        return {}

    def set(self, assignments: Iterable[Assignment]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is open."""

    # As a Place: every piece of work is done here.

    def run(self, work: Callable[[Shown], Any]) -> Any:
        return work(self)


def status(since: Value | None) -> Status:
    return read_status_at(Shown(since))  # type: ignore[arg-type]


@pytest.mark.parametrize("since", [b"", None])
def test_who_is_certain_is_well_and_so_is_one_of_an_older_version(
    since: Value | None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = status(since)
    assert found.is_well
    assert "declared dead" not in found.summary()
    show_status(found, as_json=False)
    assert "declared dead" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("at", "words"),
    [(1_700_000_000, "since 2023-11-14 22:13:20 UTC:"), (1, "since it ran last:")],
)
def test_who_may_have_been_declared_dead_is_not_well_and_is_told_what_to_do(
    at: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = status(date_and_time(at))
    assert found.is_serving
    assert not found.is_well
    assert f"m3 may have been declared dead {words}" in found.summary()
    show_status(found, as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert f"m3 may have been declared dead {words}" in shown
    for order in ("`dhcpsync member partner-down NAME --force`", "`dhcpsync member vouch DIR`"):
        assert order in shown
    show_status(found, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["well"], bool(told["uncertain_since"])) == (False, True)


LAN = Subnet(0x0A00_0000, 24, shared_network="x")
HALL = Subnet(0x0A00_0100, 24, shared_network="x")
ALONE = Subnet(0x0A00_0200, 24)
POOLS = [Pool(subnet.first + 1, subnet.first + 1) for subnet in (LAN, HALL, ALONE)]


def test_an_agent_is_read_for_who_votes_and_which_full_pool_another_relieves() -> None:
    def work(world: World) -> None:
        target = Target(world.address, world.port, user("monitor"))

        def seen(*full: Pool) -> dict[str, bool]:
            with world.store.write() as tx:
                tx.save_bindings([binding(pool.first) for pool in full])
            ours = [pool for pool in read_status(target).pools if pool.first.startswith("10.")]
            return {pool.first: pool.relieved for pool in ours if pool.is_full}

        with world.store.write() as tx:
            tx.save_configuration([(row, False) for row in (LAN, HALL, ALONE, *POOLS)])
        assert seen() == {}
        assert seen(POOLS[0], POOLS[2]) == {"10.0.0.1": True, "10.0.2.1": False}
        assert seen(POOLS[1]) == dict.fromkeys(("10.0.0.1", "10.0.1.1", "10.0.2.1"), False)
        assert read_status(target).votes
        with world.store.write() as tx:
            tx.set_unconfirmed(True)
        assert not read_status(target).votes

    at_an_agent(work, bindings=0)
