"""Requests octet by octet over loopback: faults of their own for what is wrong in them, and an
engine whose time is nobody's to set."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from agent import clock
from agent.agent import boots_at_least, warn_of_boots
from agent.limits import SNMP_BOOTS_OF_CLOCK_MAX
from agent.model import ChangeKind, Subnet
from agent.snmp import ber, columns, message, view
from agent.snmp.ber import Varbind
from agent.snmp.reports import BOOTS_MAX
from agent.snmp.status import ErrorStatus
from tests.snmp.datagrams import Datagram, Opened, get, open_message
from tests.snmp.test_bad_input import exchange
from tests.snmp.world import NETWORK, World, running

NAME = (*columns.GROUP["Name"].oid, 1)
SUBNET = (*columns.SUBNET["Name"].oid, 198, 18, 0, 0, 15)
DELAY = (*columns.SUBNET["OfferDelay"].oid, 198, 18, 0, 0, 15)
ENGINE_TIME = (*view.ENGINE, 3, 0)


def inside(check: Callable[[World], Awaitable[None]]) -> None:
    async def enter() -> None:
        async with running() as world:
            await check(world)

    asyncio.run(enter())


def datagram(world: World, pdu: bytes, user: str = "monitor") -> bytes:
    door = world.agent.door
    now = {"boots": door.boots, "time_s": door.time_s(clock.boot_s())}
    return Datagram(pdu=pdu, user=user, **now).octets  # type: ignore[arg-type]


async def ask(world: World, pdu: bytes, user: str = "monitor") -> Opened:
    opened = open_message(await exchange(world, datagram(world, pdu, user)), user)
    assert opened.is_authentic
    return opened


def build_set(*parts: tuple[tuple[int, ...], bytes]) -> bytes:
    varbinds = ber.varbind_list(ber.varbind(ber.object_identifier(o), v) for o, v in parts)
    return message.build_pdu(message.SET, 4711, 0, 0, varbinds)


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [(-1, 2, 2), (0, -1, 0), (-(2**31), -(2**31), 0), (2**31 - 1, 2**31 - 1, 1), (0, 0, 0)],
)
def test_rfc3416_4_2_3_numbers_below_0_count_as_0(first: int, second: int, count: int) -> None:
    async def check(world: World) -> None:
        names = columns.BINDING["State"].oid
        opened = await ask(world, get(names, kind=message.GET_BULK, first=first, second=second))
        assert (opened.pdu.kind, opened.pdu.first) == (message.RESPONSE, ErrorStatus.NO_ERROR)
        assert len(opened.varbinds) == count

    inside(check)


def test_rfc3416_4_2_5_what_does_not_fit_the_answer_is_not_done() -> None:
    """A SET is answered with its own variable bindings: where its sender has no room for them it
    was carried out, audited, and answered with tooBig."""

    async def check(world: World) -> None:
        twice = [(SUBNET, ber.octets(b"new"))] * 20
        door = world.agent.door
        for kind in (message.SET, message.INFORM):
            varbinds = ber.varbind_list(ber.varbind(ber.object_identifier(o), v) for o, v in twice)
            sent = Datagram(
                pdu=message.build_pdu(kind, 4711, 0, 0, varbinds),
                user="operator" if kind == message.SET else "peer",
                size_max=message.MESSAGE_SIZE_MIN,
                boots=door.boots,
                time_s=door.time_s(clock.boot_s()),
            )
            opened = open_message(await exchange(world, sent.octets), sent.user)
            assert (opened.pdu.first, opened.pdu.second) == (ErrorStatus.TOO_BIG, 0)
            assert opened.varbinds == []
        with world.store.read() as tx:
            assert [r.row for r in tx.configuration(ChangeKind.SUBNET)] == [
                Subnet(NETWORK, 15, name="lan")
            ]
        assert world.requests == []

    inside(check)


BAD_VALUES = [
    ("INTEGER of no octets", b"\x02\x00"),
    ("INTEGER of five octets", b"\x02\x05\x01\x00\x00\x00\x00"),
    ("Unsigned32 of none", b"\x42\x00"),
    ("Unsigned32 below 0", b"\x42\x01\xff"),
    ("Unsigned32 too large", b"\x42\x05\x01\x00\x00\x00\x00"),
]


@pytest.mark.parametrize("value", [v[1] for v in BAD_VALUES], ids=[v[0] for v in BAD_VALUES])
def test_rfc3416_4_2_5_a_value_that_is_none_of_its_type(value: bytes) -> None:
    """wrongEncoding at the index of its variable binding; a tag that is not the object's comes
    first (wrongType)."""
    wanted = ErrorStatus.WRONG_ENCODING if value[0] == 0x42 else ErrorStatus.WRONG_TYPE

    async def check(world: World) -> None:
        sent = build_set((SUBNET, ber.octets(b"new")), (DELAY, value))
        opened = open_message(await exchange(world, datagram(world, sent, "operator")), "operator")
        assert (opened.pdu.first, opened.pdu.second) == (wanted, 2)
        with world.store.read() as tx:
            rows = [record.row for record in tx.configuration(ChangeKind.SUBNET)]
        assert rows == [Subnet(NETWORK, 15, name="lan")]
        name = ber.varbind_list([ber.varbind(ber.object_identifier(NAME), value)])
        read = await ask(world, message.build_pdu(message.GET, 4711, 0, 0, name))
        assert read.varbinds == [Varbind(NAME, ber.OCTETS, b"lab")], "values are not looked at"

    # What is sent back holds the octets as they came, so it is not decoded here.
    decode = ber.decode_varbinds
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ber, "decode_varbinds", lambda data, *a, **k: decode(data, *a, strict=False))
        inside(check)


def test_what_is_no_list_of_variable_bindings_is_counted_and_not_answered() -> None:
    async def check(world: World) -> None:
        statistics = world.agent.door.statistics
        for number, varbinds in enumerate(
            (
                b"\x30\x02\x30\x00",  # a variable binding without a name
                b"\x30\x04\x30\x02\x06\x00",  # an empty name, and no value
                b"\x30\x06\x30\x04\x06\x02\x2b\x86",  # a name that ends within a sub-identifier
                b"\x30\x09\x30\x07\x06\x01\x2b\x05\x00\x05\x00",  # two values
                b"\x30\x0b\x30\x09\x06\x05\x90\x80\x80\x80\x00\x05\x00",  # above 2**32-1
                b"\x30\x07\x30\x05\x06\x01\x2b\x05\x05",  # a value that goes on
            ),
            1,
        ):
            sent = message.build_pdu(message.GET, 1, 0, 0, varbinds)
            world.agent._transport._take(datagram(world, sent), ("127.0.0.1", 9), clock.boot_s())
            assert statistics.asn_parse_errors == number
        assert not world.agent._pending._tasks
        assert (await ask(world, get(NAME))).varbinds[0].value == b"lab"

    inside(check)


def test_the_engine_starts_and_keeps_its_time_whatever_the_wall_clock_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An agent that starts with the clock ahead, past 2038 even, and one whose clock is put right
    while it runs: a manager that was in time stays so."""
    wall = [2.0**31 + 86_400]
    monkeypatch.setattr(time, "time", lambda: wall[0])

    async def check(world: World) -> None:
        (started,) = (await ask(world, get(ENGINE_TIME))).varbinds
        assert started.value in range(60)
        for wall[0] in (2.0**32, 1_790_000_000.0, 5.0):
            opened = await ask(world, get(ENGINE_TIME))
            assert opened.varbinds[0].value in range(60)
            assert opened.security.time_s in range(60)
            assert opened.security.boots == world.agent.door.boots

    inside(check)


def test_rfc3414_2_2_2_no_wall_clock_brings_boots_to_their_end() -> None:
    """Boots follow the clock, so that they do not go back with a store that is lost; one in 2100
    must leave room for the starts to come."""
    year = 31_556_952
    assert boots_at_least(5.0) == 0
    assert boots_at_least(1_790_000_000.0) == 1_790_000_000 - 1_577_836_800
    for wild in (1_577_836_800 + 68 * year, 4.2e9, 1e12):
        assert boots_at_least(wild) == SNMP_BOOTS_OF_CLOCK_MAX
    assert BOOTS_MAX - SNMP_BOOTS_OF_CLOCK_MAX > 10_000_000


def test_an_engine_whose_boots_have_ended_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_boots(BOOTS_MAX - 1)
    assert caplog.text == ""
    warn_of_boots(BOOTS_MAX)
    assert "make it anew under another number" in caplog.text
