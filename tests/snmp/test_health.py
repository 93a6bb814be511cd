"""A member's own word on its health: what `dhcpsync status` says of the same tables, in the MIB's
objects, and pools counted no more often than they can have become full."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from agent.health import Health, Kind, Severity
from agent.kinds.former_server import FormerServer
from agent.limits import POOL_COUNT_AGAIN_MS
from agent.model import ConfigRow, Pool, ProbePolicy, Subnet, Trouble
from agent.pulse import Vitals
from agent.snmp import columns, lease_tables
from agent.snmp import health as health_module
from agent.snmp.health import Gauge, instant, look
from agent.snmp.health_objects import health_text, level, reason_bits, says
from agent.snmp.tables import PeerStatus, Scope
from tests.snmp.test_role import value_of
from tests.snmp.world import FIRST, NOW_MS, World, binding, running

HEARD = PeerStatus(1, 4, 5, NOW_MS // 1000, 0, 0, 2)


def judged(world: World, trouble: Trouble = Trouble.NONE, heard_at: int = 0) -> Health:
    with world.store.read() as tx:
        scope = Scope(tx, NOW_MS, world.peers, vitals=Vitals(trouble, heard_at, 5 << 20))
        return look(scope, Gauge(lambda: 0), "")


def test_it_is_judged_by_what_the_tables_show() -> None:
    async def check() -> None:
        async with running() as world:
            with world.store.write() as tx:
                tx.set_serving(True, since=0)
                group = tx.group()
            assert group is not None
            world.peers |= {m.member: HEARD for m in group.current if m.member != 1}
            assert judged(world).is_well
            silent = judged(world, Trouble.ENGINE_SILENT, 1_700_000_000)
            assert silent.kinds == {Kind.ENGINE_SILENT}
            assert "is silent since 2023-11-14 22:13:20 UTC." in silent.text
            low = judged(world, Trouble.DISK_LOW)
            assert (low.severity, low.kinds) == (Severity.DEGRADED, {Kind.DISK_LOW})
            assert "5 MiB left" in low.text
            world.peers[2] = replace(HEARD, trouble=Trouble.ENGINE_SILENT)
            assert judged(world).kinds == {Kind.ENGINE_SILENT}
            world.peers[2] = replace(HEARD, hello_state=2)
            assert judged(world).kinds == {Kind.SILENT}
            world.peers[2] = HEARD
            with world.store.write() as tx:
                tx.set_certain(NOW_MS // 1000 - 60)
            assert judged(world).kinds == {Kind.UNCERTAIN}
            with world.store.write() as tx:
                tx.set_certain(0)

    asyncio.run(check())


def test_it_tells_where_addresses_are_given_that_a_former_server_may_have_leased() -> None:
    async def check() -> None:
        async with running() as world:
            now = NOW_MS // 1000
            never = Subnet(0x0A00_0000, 8, probe=ProbePolicy.NEVER)

            def with_rows(*rows: ConfigRow) -> Health:
                with world.store.write() as tx:
                    tx.set_serving(True, since=0)
                    tx.save_configuration([(row, False) for row in rows])
                    group = tx.group()
                assert group is not None
                world.peers |= {m.member: HEARD for m in group.current if m.member != 1}
                return judged(world)

            assert with_rows(never).is_well
            assert with_rows(FormerServer(0, 0, now)).is_well, "they are over"
            found = with_rows(FormerServer(0, 0, now + 60))
            assert (found.severity, found.kinds) == (Severity.DEGRADED, {Kind.NOT_TRIED})
            assert "addresses of 10.0.0.0/8 are given untried (probe: never)" in found.text
            assert reason_bits(found) == b"\x00\x00\x40"
            assert with_rows(FormerServer(0x0A00_0000, 8, 0)).is_well, "the operator knows it"

    asyncio.run(check())


def test_a_pool_is_counted_when_it_can_have_become_full(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    real = lease_tables.usage

    def usage(scope: Scope, first: int, last: int) -> lease_tables.Usage:
        counted.append(first)
        return real(scope, first, last)

    size = 10
    pool = Pool(FIRST + 100, FIRST + 100 + size - 1, "", True)
    monkeypatch.setattr(health_module, "usage", usage)
    monkeypatch.setattr(health_module, "active_pools", lambda _: [pool])

    async def check() -> None:
        async with running(bindings=0) as world:
            cost_ms = iter(range(0, 10_000_000, 50))
            gauge = Gauge(lambda: next(cost_ms))

            def full(now_ms: int) -> bool:
                with world.store.read() as tx:
                    return bool(gauge.full(Scope(tx, now_ms)))

            assert not full(NOW_MS)
            later = NOW_MS + 100 * POOL_COUNT_AGAIN_MS
            with world.store.write() as tx:
                tx.save_bindings([binding(pool.first + at) for at in range(size - 1)])
            assert not full(later)
            assert counted == [pool.first], "one address is left for certain"
            with world.store.write() as tx:
                tx.save_bindings([binding(pool.last)])
            assert full(later)
            assert full(later + 9_999)
            assert len(counted) == 2, "a count that took 50 ms is not made again for 10 s"
            with world.store.write() as tx:
                tx.save_bindings([binding(pool.first, expires_at=1)])
            assert not full(later + 10_001)
            assert len(counted) == 3

    asyncio.run(check())


def test_a_full_pool_is_no_failure_while_another_of_its_link_has_addresses() -> None:
    """The rest of what a subnet is served from, and of those that share its link."""
    lan, hall = Subnet(0x0A00_0000, 24, shared_network="x"), Subnet(0x0A00_0100, 24)
    first, second = Pool(lan.first + 1, lan.first + 2), Pool(lan.first + 5, lan.first + 5)
    third = Pool(hall.first + 1, hall.first + 1)

    async def check() -> None:
        async with running(bindings=0) as world:

            def full(*rows: ConfigRow, taken: list[Pool]) -> dict[str, bool]:
                with world.store.write() as tx:
                    tx.save_configuration([(row, False) for row in rows])
                    addresses = [at for pool in taken for at in range(pool.first, pool.last + 1)]
                    tx.save_bindings([binding(at) for at in addresses])
                with world.store.read() as tx:
                    scope = Scope(tx, NOW_MS)
                    found = health_module.full_pools(scope, Gauge(lambda: 0))
                    return {one.first: one.relieved for one in found}

            assert full(lan, hall, first, second, third, taken=[]) == {}
            assert full(taken=[first]) == {"10.0.0.1": True}
            assert full(taken=[second]) == {"10.0.0.1": False, "10.0.0.5": False}
            assert full(replace(hall, shared_network="x"), taken=[]) == {
                "10.0.0.1": True, "10.0.0.5": True,
            }  # fmt: skip
            assert full(taken=[third]) == dict.fromkeys(("10.0.0.1", "10.0.0.5", "10.0.1.1"), False)
            inside = {"10.0.0.1": False, "10.0.0.5": False}
            assert full(replace(third, active=False), taken=[]) == inside, "of none in service"

    asyncio.run(check())


def test_an_address_in_conflict_is_looked_for_after_changes_and_seldom() -> None:
    class Sought:
        """A transaction that counts."""

        def __init__(self, conflicts: int, changes: int) -> None:
            self._conflicts, self._changes = conflicts, changes

        def streams(self) -> dict[int, SimpleNamespace]:
            return {1: SimpleNamespace(applied=self._changes)}

        def conflicts(self, first: int, limit: int) -> list[int]:
            looked.append(self._changes)
            return [0] * min(self._conflicts, limit)

    looked: list[int] = []
    cost_ms = iter(range(0, 10_000_000, 50))
    gauge = Gauge(lambda: next(cost_ms))

    def sees(now_ms: int, conflicts: int, changes: int) -> bool:
        return gauge.has_conflict(Scope(Sought(conflicts, changes), now_ms))  # type: ignore[arg-type]

    assert not sees(NOW_MS, 0, 5)
    assert not sees(NOW_MS + 60_000, 1, 5), "nothing has changed"
    assert sees(NOW_MS + 60_000, 1, 6)
    assert sees(NOW_MS + 60_001, 0, 7)
    assert sees(NOW_MS + 69_999, 0, 7), "a look that took 50 ms is not taken again for 10 s"
    assert not sees(NOW_MS + 70_001, 0, 7)
    assert looked == [5, 6, 7]


@pytest.mark.parametrize("kind", Kind)
def test_each_bit_is_read_back(kind: Kind) -> None:
    octets = reason_bits(Health(Severity.DEGRADED, frozenset({kind})))
    assert [one for one in Kind if says(one, octets)] == [kind]
    assert not any(says(one, octets) for octets in (b"", None, 7) for one in Kind)


def test_who_has_not_heard_all_since_its_start_decides_nothing_and_says_so() -> None:
    async def check() -> None:
        async with running() as world:
            with world.store.write() as tx:
                tx.set_serving(True, since=0)
                group = tx.group()
            assert group is not None
            world.peers |= {m.member: HEARD for m in group.current if m.member != 1}
            assert shows_votes(world) == "true"
            with world.store.write() as tx:
                tx.set_unconfirmed(True)
            assert shows_votes(world) == "false"
            assert judged(world).is_well, "a note"
            with world.store.write() as tx:
                tx.set_unconfirmed(False)
                tx.set_recovery("lost", 0, 0)
            assert shows_votes(world) == "false"

    asyncio.run(check())


def shows_votes(world: World) -> str:
    votes = columns.SERVER["dhcpSyncServerVotes"]
    return votes.syntax.names[value_of(world, votes.instance)]


@pytest.mark.parametrize("kind", Kind)
def test_each_reason_is_a_bit(kind: Kind) -> None:
    octets = reason_bits(Health(Severity.DEGRADED, frozenset({kind}), ""))
    assert len(octets) <= columns.SERVER["dhcpSyncServerHealthReasons"].syntax.high
    bits = "".join(f"{octet:08b}" for octet in octets)
    assert [at for at, bit in enumerate(bits) if bit == "1"] == [list(Kind).index(kind)]


def test_level_and_text() -> None:
    names = columns.SERVER["dhcpSyncServerHealth"].syntax.names
    assert names[level(Health())] == "well"
    assert names[level(Health(Severity.DEGRADED))] == "degraded"
    assert names[level(Health(Severity.FAILING))] == "failing"
    assert health_text(Health(text="\u00e9" * 200)) == "\u00e9" * 127, "no half character"


def test_an_instant_is_read_as_status_reads_it() -> None:
    assert instant(0) == ""
    assert instant(5, "it ran last") == "it ran last"
    assert instant(1_700_000_000) == "2023-11-14 22:13:20 UTC"
