"""GET, GETNEXT and GETBULK (RFC 3416 4.2) by net-snmp's tools and by our own reader."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from agent.kinds.former_server import FormerServer
from agent.kinds.scope import GLOBAL
from agent.model import (
    AddressRange,
    AddressState,
    Binding,
    BindingState,
    Nonce,
    Option,
    Reservation,
    Setting,
    SettingName,
)
from agent.snmp import ber, columns, view
from agent.snmp.ber import Varbind
from agent.snmp.cluster_tables import COUNTER_NAME_MAX
from agent.snmp.oid import Oid, format_oid
from agent.snmp.reading import Bulk
from agent.snmp.status import ErrorStatus, RequestError
from agent.snmp.tables import PeerStatus, PendingChange, Scope
from agent.snmp.view import Role
from agent.sync.merge import merge
from tests.snmp.world import FIRST, NOW_MS, World, binding, net_snmp, run, running

ROOM = 60_000
OWNED = AddressRange(FIRST + 100, FIRST + 199, AddressState.BINDABLE, 1, 1, Nonce(1, 1), 3)
OPTION = Option(*GLOBAL, 6, bytes([9, 9, 9, 9]))
MORE = Setting(*GLOBAL, SettingName.LEASE, 60), FormerServer(0, 0, NOW_MS // 1000)
RESERVATION = Reservation(FIRST + 7, b"\x00\x01\x02\x00\x00\x00\x00\x07", "seven")


def in_conflict(address: int) -> Binding:
    one = binding(address, stream=1 << 32 | 1, seq=1)
    two = one._replace(client_key=b"\x01two", transaction_server=2, stream=2 << 32 | 1)
    return merge(one, two).row


def everything(world: World, role: Role) -> list[Varbind]:
    """The whole view by GETNEXT, one by one."""
    found: list[Varbind] = []
    oid: Oid = (1, 3)
    with world.store.read() as tx:
        while True:
            answer = world.agent.reader.get_next(
                Scope(tx, NOW_MS, world.peers, world.pending),
                role,
                [Varbind(oid, ber.NULL, None)],
                ROOM,
            )
            (one,) = ber.decode_varbinds(answer)
            if one.tag == ber.END_OF_MIB_VIEW:
                return found
            assert one.oid > oid, "GETNEXT must go on"
            found.append(one)
            oid = one.oid


def bulk(
    world: World, names: list[Oid], non_repeaters: int, repetitions: int, room: int = ROOM
) -> list[Varbind]:
    asked = [Varbind(name, ber.NULL, None) for name in names]
    with world.store.read() as tx:
        return ber.decode_varbinds(
            world.agent.reader.get_bulk(
                Scope(tx, NOW_MS, world.peers),
                Role.PEER,
                asked,
                Bulk(non_repeaters, repetitions),
                room,
            )
        )


def moves(one: Varbind) -> bool:
    """Up-time and engine time change by themselves; a change refers to an earlier one of the same
    answer."""
    moving = (view.SYSTEM, view.ENGINE, columns.CHANGE["Record"].oid)
    return any(one.oid[: len(arc)] == arc for arc in moving)


def test_getnext_getbulk_and_get_agree() -> None:
    async def check() -> None:
        async with running(bindings=40) as world:
            for role in Role:
                walked = everything(world, role)
                assert [one.oid for one in walked] == sorted(one.oid for one in walked)
                assert all(view.may(role, view.Operation.READ, one.oid) for one in walked)
                asked = [one for one in walked if not moves(one)]
                with world.store.read() as tx:
                    scope = Scope(tx, NOW_MS, world.peers)
                    answer = world.agent.reader.get(scope, role, asked, ROOM)
                assert ber.decode_varbinds(answer) == asked
            objects = [one for one in everything(world, Role.PEER) if one.oid > columns.OBJECTS]
            assert bulk(world, [columns.OBJECTS], 0, 2000)[:50] == objects[:50]

    asyncio.run(check())


def test_every_column_of_the_mib_is_served() -> None:
    async def check() -> None:
        async with running() as world:
            world.agent.exchanges.polls.put((2, 1, 1), b"q", b"a")
            world.agent.exchanges.transfers.put((2, 1, 2), b"q", b"a")
            world.agent.exchanges.proposals.put((4, 2), b"q", b"a")
            world.pending.append(PendingChange("removal of member 3", "operator", 2))
            with world.store.write() as tx:
                tx.add_counters({"dropped_truncated": 3, "discovers": 5, "cluster_polls": 7})
                tx.audit("operator", "set", "x", NOW_MS // 1000)
                tx.replace_address_ranges([], [OWNED])
                tx.save_configuration([(row, False) for row in (OPTION, RESERVATION, *MORE)])
                tx.put_bindings([in_conflict(FIRST + 5)])
            served = {
                column.name
                for role in Role
                for one in everything(world, role)
                if (column := columns.column_of(one.oid))
            }
            wanted = {c.name for table in columns.TABLES for c in table.columns.values()}
            # A row of this table is there for who names its key (tests/snmp/test_client_table.py).
            assert wanted - served == {column.name for column in columns.CLIENT.columns.values()}
            assert served <= wanted

    asyncio.run(check())


def test_any_oid_may_be_asked_what_follows() -> None:
    async def check() -> None:
        async with running(bindings=5) as world:
            column = columns.BINDING["HardwareType"].oid
            first = (*column, 198, 18, 16, 0)
            for tail, wanted in (
                ((), first),
                ((198,), first),
                ((198, 18, 16, 0), (*column, 198, 18, 16, 1)),
                ((198, 18, 16, 0, 0), (*column, 198, 18, 16, 1)),
                ((198, 18, 15, 4_000_000_000), first),
                ((198, 300), (*columns.BINDING["HardwareAddress"].oid, 198, 18, 16, 0)),
                ((4_000_000_000,), (*columns.BINDING["HardwareAddress"].oid, 198, 18, 16, 0)),
            ):
                assert bulk(world, [(*column, *tail)], 0, 1)[0].oid == wanted, tail

    asyncio.run(check())


def test_repeaters_take_turns_and_end_by_themselves() -> None:
    async def check() -> None:
        async with running(bindings=3) as world:
            last = (*view.USM_STATISTICS, 6, 0)
            state, host = columns.BINDING["State"].oid, columns.BINDING["HostName"].oid
            rows = bulk(world, [columns.GROUP["Name"].oid, state, host], 1, 2)
            assert [one.oid[:-4] for one in rows[1:]] == [state, host] * 2
            assert rows[0].value == b"lab"
            ended = bulk(world, [last], 0, 10)
            assert [one.tag for one in ended] == [ber.END_OF_MIB_VIEW]
            assert ended[0].oid == last

    asyncio.run(check())


@pytest.mark.parametrize(
    ("non_repeaters", "repetitions", "count"),
    [(0, 0, 0), (-5, -1, 0), (9, 5, 2), (2, 0, 2), (1, 4, 5)],
)
def test_numbers_of_a_getbulk(non_repeaters: int, repetitions: int, count: int) -> None:
    async def check() -> None:
        async with running() as world:
            names = [columns.GROUP["Name"].oid, columns.BINDING["State"].oid]
            assert len(bulk(world, names, non_repeaters, repetitions)) == count

    asyncio.run(check())


def test_getbulk_is_cut_to_the_room() -> None:
    """RFC 3416 4.2.3: variable bindings are taken off the end."""

    async def check() -> None:
        async with running(bindings=40) as world:
            names = [columns.BINDING["HostName"].oid]
            whole = bulk(world, names, 0, 40)
            for room in (60, 61, 400, 900):
                cut = bulk(world, names, 0, 40, room)
                assert cut == whole[: len(cut)]
                assert len(ber.encode_varbinds(cut)) <= room
                assert len(ber.encode_varbinds(whole[: len(cut) + 1])) > room - 4

    asyncio.run(check())


def test_getbulk_of_which_nothing_fits_is_too_big() -> None:
    """An empty answer says "no error", and a walk would ask the same for ever."""

    async def check() -> None:
        async with running(bindings=3) as world:
            for names, non_repeaters in (
                ([columns.BINDING["HostName"].oid], 0),
                ([columns.GROUP["Name"].oid], 1),
            ):
                for room in (4, 20):
                    with pytest.raises(RequestError) as caught:
                        bulk(world, names, non_repeaters, 40, room)
                    assert caught.value.status is ErrorStatus.TOO_BIG
            assert bulk(world, [columns.GROUP["Name"].oid], 0, 0, 4) == [], "nothing was due"

    asyncio.run(check())


def test_a_walk_past_an_object_that_does_not_fit_ends() -> None:
    """By a community answers have a frame's length at most; this option's text is longer."""
    text = Option(*GLOBAL, 224, b"x" * 1_000)

    async def check() -> None:
        async with running(community="public") as world:
            with world.store.write() as tx:
                tx.save_configuration([(text, False)])
            table = "." + format_oid(columns.OPTION.entry)
            for tool in ("snmpbulkwalk", "snmpwalk"):
                community = ["-v2c", "-c", "public"]
                async with asyncio.timeout(20):
                    walked = await run(world, tool, community, (table,))
                assert "tooBig" in walked.out + walked.err, walked
                whole = await net_snmp(world, tool, table)
                assert whole.code == 0
                assert len(whole.lines) == len(columns.OPTION.columns)

    asyncio.run(check())


def test_a_thousand_starts_of_a_getbulk_read_no_more_than_could_fit() -> None:
    """The whole table for each of them took 672 MB."""

    async def check() -> None:
        async with running(bindings=1_500) as world:
            column = columns.BINDING["HostName"].oid
            names = [(*column, 198, 18, 16 + n // 250, n % 250) for n in range(1_000)]
            asked = [Varbind(name, ber.NULL, None) for name in names]
            with world.store.read() as tx:
                counting = Counting(tx)
                scope = Scope(counting, NOW_MS, {})  # type: ignore[arg-type]
                answer = world.agent.reader.get_bulk(
                    scope, Role.MONITOR, asked, Bulk(0, 2_000), ROOM
                )
                found = ber.decode_varbinds(answer)
            assert len(found) > 1_000
            assert counting.rows < 5 * len(found)

    asyncio.run(check())


def test_what_is_counted_over_the_store_is_counted_once_in_a_request() -> None:
    async def check() -> None:
        async with running() as world:
            name = columns.SERVER["dhcpSyncServerBindings"].instance
            asked = [Varbind(name, ber.NULL, None)] * 1_024
            with world.store.read() as tx:
                counting = Counting(tx)
                scope = Scope(counting, NOW_MS, world.peers)  # type: ignore[arg-type]
                answer = world.agent.reader.get(scope, Role.MONITOR, asked, ROOM)
                assert ber.decode_varbinds(answer) == [Varbind(name, ber.UNSIGNED32, 20)] * 1_024
                world.agent.reader.get_next(scope, Role.MONITOR, asked, ROOM)
                assert counting.counted == 1

    asyncio.run(check())


class Counting:
    """A transaction that counts how often all bindings are counted, and what rows it gives."""

    def __init__(self, tx: object) -> None:
        self._tx = tx
        self.counted = self.rows = 0

    def has_counted(self) -> bool:
        return self.counted > 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._tx, name)

    def binding_columns(self, *arguments: object) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = self._tx.binding_columns(*arguments)  # type: ignore[attr-defined]
        self.rows += len(found)
        return found

    def count_bindings(self, first: int, last: int, now: int) -> object:
        self.counted += (first, last) == (0, 0xFFFF_FFFF)
        return self._tx.count_bindings(first, last, now)  # type: ignore[attr-defined]


def test_a_request_has_its_time() -> None:
    """What is not done by then ends a GETBULK, and is too much for a GET."""

    async def check() -> None:
        async with running(bindings=40) as world:
            names = [columns.BINDING["HostName"].oid]
            asked = [Varbind((*names[0], 198, 18, 16, n), ber.NULL, None) for n in range(40)]
            with world.store.read() as tx:
                reader, steps = world.agent.reader, iter(range(1_000))
                scope = Scope(tx, NOW_MS, {}, (), lambda: next(steps) > 10)
                cut = reader.get_bulk(scope, Role.MONITOR, asked[:1], Bulk(0, 40), ROOM)
                assert 5 < len(ber.decode_varbinds(cut)) < 15
                for read in (reader.get, reader.get_next):
                    steps = iter(range(1_000))
                    with pytest.raises(RequestError) as caught:
                        read(scope, Role.MONITOR, asked, ROOM)
                    assert caught.value.status is ErrorStatus.TOO_BIG
                scope = Scope(tx, NOW_MS, {}, (), lambda: True)
                with pytest.raises(RequestError):
                    reader.get_bulk(scope, Role.MONITOR, asked[:1], Bulk(0, 40), ROOM)

    asyncio.run(check())


def test_what_takes_too_long_by_itself_is_answered_all_the_same() -> None:
    """Counting a million bindings takes longer than a request may; it was tooBig, however it was
    asked for, and no walk got past it."""

    async def check() -> None:
        async with running() as world:
            counted = columns.SERVER["dhcpSyncServerBindings"].instance
            with world.store.read() as tx:
                for kind in ("get", "get_next", "get_bulk"):
                    slow = Counting(tx)
                    scope = Scope(slow, NOW_MS, {}, (), slow.has_counted)  # type: ignore[arg-type]
                    name = counted if kind == "get" else counted[:-1]
                    asked = [Varbind(name, ber.NULL, None)]
                    more = [Bulk(0, 50)] if kind == "get_bulk" else []
                    read = getattr(world.agent.reader, kind)
                    found = ber.decode_varbinds(read(scope, Role.MONITOR, asked, *more, ROOM))
                    assert found == [Varbind(counted, ber.UNSIGNED32, 20)], kind

    asyncio.run(check())


def test_a_get_that_does_not_fit_is_too_big() -> None:
    async def check() -> None:
        async with running() as world:
            asked = [Varbind((*view.SYSTEM, 1, 0), ber.NULL, None)] * 10
            with world.store.read() as tx, pytest.raises(RequestError) as caught:
                world.agent.reader.get(Scope(tx, NOW_MS, world.peers), Role.MONITOR, asked, 100)
            assert caught.value.status is ErrorStatus.TOO_BIG

    asyncio.run(check())


def test_every_count_of_the_protocol_is_shown_and_the_docs_name_no_other() -> None:
    """The documents named counters that no object and no command showed."""
    root = Path(__file__).parents[2]
    source = "".join(file.read_text() for file in root.glob("agent/sync/*.py"))
    counted = set(re.findall(r"\.count\(\s*\"(\w+)\"", source))
    counted |= set(re.findall(r"\"cluster_(\w+)\"", source))
    assert {"polls", "digest_mismatches", "recoveries"} <= counted
    assert max(map(len, counted)) <= COUNTER_NAME_MAX
    text = "".join(
        (root / "docs" / f"{one}.md").read_text() for one in ("operations", "situations")
    )
    assert "cluster_" not in text
    told = re.findall(r"((?:`\w+`[^`]{0,40}?)+) in\s+dhcpSyncActivityTable", text)
    own = {"snmp_over_budget", "snmp_reports_held", "snmp_traps_ignored", "snmp_unsent",
           "snmp_loop_errors", "notices_sent", "notices_lost"}  # fmt: skip
    assert {name for words in told for name in re.findall(r"`(\w+)`", words)} <= counted | own
    assert "`digest_mismatches` in dhcpSyncActivityTable" in text
    assert all(f"`{name}`" in text for name in own)

    async def check() -> None:
        async with running() as world:
            with world.store.write() as tx:
                tx.add_counters({f"cluster_{name}": 3 for name in counted})
            agent = world.agent
            for name in ("over_budget", "reports_held", "traps_ignored"):
                setattr(agent.door.statistics, name, 3)
            agent._transport.unsent = agent.loop_errors = 3
            agent.notifier.sent = agent.notifier.lost = 3
            walked = bulk(world, [columns.ACTIVITY.entry], 0, 100)
            shown = {
                bytes(one.oid[len(columns.ACTIVITY["Count"].oid) :]).decode()
                for one in walked
                if one.oid[: len(columns.ACTIVITY.entry)] == columns.ACTIVITY.entry
            }
            assert shown == counted | own

    asyncio.run(check())


def test_readable_values() -> None:
    """What people see of a binding: state, dates, the lease that never ends."""

    async def check() -> None:
        async with running(bindings=2) as world:
            past = NOW_MS // 1000 - 1
            with world.store.write() as tx:
                tx.save_bindings(
                    [
                        binding(FIRST + 5, expires_at=past, potential_expires_at=past),
                        binding(FIRST + 6, state=BindingState.UNAVAILABLE),
                    ]
                )
            base = format_oid(columns.BINDING.entry)
            out = await net_snmp(
                world,
                "snmpget",
                *(f".{base}.{arc}.198.18.16.{host}" for arc, host in ((2, 0), (2, 5), (2, 6))),
                f".{base}.7.198.18.16.0",
                f".{base}.7.198.18.16.1",
                f".{base}.4.198.18.16.1",
                f".{base}.2.198.18.16.99",
                f".{base}.99.198.18.16.1",
            )
            values = [line.partition(" = ")[2].strip() for line in out.lines]
            assert values == [
                "INTEGER: 1",
                "INTEGER: 4",
                "INTEGER: 3",
                "Hex-STRING: 27 0F 0C 1F 17 3B 3B 00 2B 00 00",
                "Hex-STRING: 07 EA 09 15 0F 0D 14 00 2B 00 00",
                "Hex-STRING: 02 00 C6 12 10 01",
                "No Such Instance currently exists at this OID",
                "No Such Object available on this agent at this OID",
            ], out.err

    asyncio.run(check())


def test_usage_of_pools_and_health() -> None:
    async def check() -> None:
        async with running(bindings=50) as world:
            world.peers[2] = PeerStatus(4, 4, 5, NOW_MS // 1000, -1500, 17)
            with world.store.write() as tx:
                tx.replace_address_ranges([], [OWNED])
                tx.save_bindings([binding(FIRST + 100), binding(FIRST + 101, epoch=0)])
            (free,) = bulk(world, [columns.POOL["Free"].oid], 0, 1)
            (in_use,) = bulk(world, [columns.POOL["InUse"].oid], 0, 1)
            assert (free.value, in_use.value) == (99, 52)
            scalars = ("PeersDown", "PoolsLow", "MaxBacklog", "Bindings")
            names = [columns.SCALARS[f"dhcpSyncServer{word}"].oid for word in scalars]
            assert [one.value for one in bulk(world, names, 4, 0)] == [1, 1, 17, 52]
            offset = (*columns.MEMBER["ClockOffset"].oid, 1)
            assert bulk(world, [offset], 0, 1)[0].value == -1500

    asyncio.run(check())


@pytest.mark.parametrize("repetitions", [1, 7, 100, 5000])
def test_snmpbulkwalk_sees_every_row(repetitions: int) -> None:
    async def check() -> None:
        async with running(bindings=150) as world:
            oid = "." + format_oid(columns.BINDING.entry)
            out = await net_snmp(world, "snmpbulkwalk", f"-Cr{repetitions}", oid)
            assert len(out.lines) == 150 * len(columns.BINDING.columns), out.err

    asyncio.run(check())


def test_snmpbulkget_of_no_repetitions() -> None:
    async def check() -> None:
        async with running() as world:
            oid = "." + format_oid(columns.BINDING.entry)
            out = await net_snmp(world, "snmpbulkget", "-Cn0", "-Cr0", oid)
            assert out.code == 0, out.err

    asyncio.run(check())


def test_a_conflict_shows_both_clients_and_who_bound_them() -> None:
    async def check() -> None:
        async with running() as world:
            key = binding(FIRST + 5).client_key
            with world.store.write() as tx:
                tx.put_bindings([in_conflict(FIRST + 5)])
            base = "." + format_oid(columns.CONFLICT.entry)
            out = await net_snmp(world, "snmpbulkwalk", "-Ox", base)
            values = [line.split(" = ")[1] for line in out.lines]
            assert values[0] == f"Hex-STRING: {key.hex(' ').upper()} "
            assert values[1] == "Gauge32: 1"
            assert values[2].startswith("Hex-STRING: 01 74 77 6F")
            assert values[3] == "Gauge32: 2"
            assert values[-1] == "INTEGER: 1"
            assert len(values) == 7

    asyncio.run(check())
