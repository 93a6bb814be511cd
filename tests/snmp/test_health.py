"""A member's own word on its health: what `dhcpsync status` says of the same tables, in the MIB's
objects, and pools counted no more often than they can have become full."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agent.health import Health, Kind, Severity
from agent.kinds.former_server import FormerServer
from agent.limits import POOL_COUNT_AGAIN_MS
from agent.model import ConfigRow, Pool, ProbePolicy, Subnet, Trouble
from agent.pulse import Vitals
from agent.snmp import columns, lease_tables
from agent.snmp import health as health_module
from agent.snmp.health import PoolGauge, instant, look
from agent.snmp.health_objects import health_text, level, reason_bits
from agent.snmp.tables import PeerStatus, Scope
from tests.snmp.world import FIRST, NOW_MS, World, binding, running

HEARD = PeerStatus(1, 4, 5, NOW_MS // 1000, 0, 0, 2)


def judged(world: World, trouble: Trouble = Trouble.NONE, heard_at: int = 0) -> Health:
    with world.store.read() as tx:
        scope = Scope(tx, NOW_MS, world.peers, vitals=Vitals(trouble, heard_at, 5 << 20))
        return look(scope, PoolGauge(lambda: 0), "")


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
            gauge = PoolGauge(lambda: next(cost_ms))

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
