"""The socket, the queue of requests and the log: bounded, and nothing is waited for."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import pytest

from agent.limits import (
    SNMP_COMMUNITY_PENDING_MAX,
    SNMP_DATAGRAMS_A_TURN,
    SNMP_LOGGED_PER_MINUTE_MAX,
    SNMP_PEERS_PENDING_MAX,
    SNMP_PEOPLE_PENDING_MAX,
    SNMP_PEOPLE_PENDING_OCTETS_MAX,
    SNMP_SEND_WAITING_MAX,
    SNMP_SOURCE_PENDING_MAX,
    SNMP_SOURCE_PENDING_OCTETS_MAX,
)
from agent.snmp import ber, columns, message
from agent.snmp.door import Answer, Request
from agent.snmp.message import Scoped
from agent.snmp.seldom import Seldom
from agent.snmp.transport import DoorTransport
from tests.snmp.datagrams import DISCOVERY, get, make_door
from tests.snmp.test_requests import SUBNET, ask, build_set
from tests.snmp.world import LOOPBACK, running

NAME = (*columns.GROUP["Name"].oid, 1)
TO = ("127.0.0.1", 9)


class Full:
    """In the place of a socket whose buffer takes `room` messages and then says how it is."""

    def __init__(self, real: socket.socket, room: int, error: OSError) -> None:
        self._real = real
        self.room, self.error = room, error
        self.sent: list[bytes] = []

    def sendto(self, octets: bytes, to: object) -> None:
        if not self.room:
            raise self.error
        self.room -= 1
        self.sent.append(octets)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def transport() -> tuple[DoorTransport, list[Request], list[bytes]]:
    requests: list[Request] = []
    unproven: list[bytes] = []
    made = DoorTransport(make_door(), requests.append, unproven.append)
    made.open(LOOPBACK, 0)
    return made, requests, unproven


def test_what_the_kernel_has_no_room_for_waits_a_little() -> None:
    async def check() -> None:
        made, _, _ = transport()
        full = Full(made._socket, 1, BlockingIOError())  # type: ignore[arg-type]
        made._socket = full  # type: ignore[assignment]
        for number in range(SNMP_SEND_WAITING_MAX + 4):
            made.send(b"%d" % number, TO)
        assert full.sent == [b"0"]
        assert (len(made._waiting), made.unsent) == (SNMP_SEND_WAITING_MAX, 3)
        full.room = 10_000
        async with asyncio.timeout(10):
            while made._waiting:
                await asyncio.sleep(0)
        assert full.sent == [b"%d" % number for number in range(SNMP_SEND_WAITING_MAX + 1)]
        made.close_transport()
        made.send(b"late", TO)
        assert full.sent[-1] != b"late"

    asyncio.run(check())


def test_nobody_there_is_his_loss() -> None:
    async def check() -> None:
        made, _, _ = transport()
        full = Full(made._socket, 0, OSError(101, "Network is unreachable"))  # type: ignore[arg-type]
        made._socket = full  # type: ignore[assignment]
        made.send_message(b"x", TO)
        assert (len(made._waiting), made.unsent) == (0, 1)
        made.close_transport()

    asyncio.run(check())


def test_a_turn_takes_many_datagrams_and_comes_to_an_end() -> None:
    async def check() -> None:
        made, _, _ = transport()
        assert made._socket is not None
        where = made._socket.getsockname()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(SNMP_DATAGRAMS_A_TURN + 5):
                sender.sendto(DISCOVERY.octets, where)
        made._read()
        counted = made._door.statistics
        assert counted.in_packets == SNMP_DATAGRAMS_A_TURN
        made._read()
        assert counted.in_packets == SNMP_DATAGRAMS_A_TURN + 5
        made.close_transport()
        made._read()

    asyncio.run(check())


@pytest.mark.parametrize("raises", [False, True])
def test_an_engine_whose_report_proves_nothing_is_named_whatever_pysnmp_makes_of_it(
    raises: bool,
) -> None:
    async def check() -> None:
        made, _, unproven = transport()
        taken: list[bytes] = []

        def take(_: object, where: object, octets: bytes) -> None:
            taken.append(octets)
            if raises:
                raise TypeError("as pysnmp's decoder does")

        made.register_callback(take)
        for octets, is_authentic in ((b"report", False), (b"response", True)):
            try:
                made._give(Answer(octets, b"engine", is_authentic), TO)
            except TypeError:
                assert raises
        assert taken == [b"report", b"response"]
        assert unproven == [b"engine"]
        made.close_transport()

    asyncio.run(check())


def request(source: str, user: str, *, community: bool = False, count: int = 1) -> Request:
    pdu = message.parse_pdu(get(*[NAME] * count))
    return Request((source, 9), user.encode(), community, 1, 65_507, Scoped(b"", b"", b""), pdu)


def test_one_managers_queue_keeps_no_room_from_the_others() -> None:
    async def check() -> None:
        async with running() as world:
            statistics, take = world.agent.door.statistics, world.agent.responder.take
            for _ in range(SNMP_SOURCE_PENDING_MAX + 7):
                take(request("192.0.2.1", "monitor"))
            assert statistics.silent_drops == 7
            for _ in range(SNMP_COMMUNITY_PENDING_MAX + 2):
                take(request("192.0.2.9", "public", community=True))
            assert statistics.silent_drops == 9
            left = SNMP_PEOPLE_PENDING_MAX - SNMP_SOURCE_PENDING_MAX - SNMP_COMMUNITY_PENDING_MAX
            for number in range(left + 5):
                take(request(f"198.51.100.{number}", "monitor"))
            assert statistics.silent_drops == 14, "whoever it is of whom a message is sent again"
            for _ in range(SNMP_PEERS_PENDING_MAX + 3):
                take(request("192.0.2.3", "peer"))
            assert statistics.silent_drops == 17
            while world.agent._pending._tasks:
                await asyncio.wait(world.agent._pending._tasks)
            await asyncio.sleep(0)
            assert world.agent._pending._loads == {}
            assert (await ask(world, get(NAME))).varbinds[0].value == b"lab"

    asyncio.run(check())


def test_a_manager_waits_for_no_more_than_a_turn_of_another() -> None:
    """Its requests came behind all 64 of who was there first."""

    async def check() -> None:
        async with running() as world:
            order: list[str] = []

            def keep(message: bytes, to: tuple[str, int]) -> None:
                order.append(to[0])

            world.agent._transport.send = keep  # type: ignore[method-assign]
            for source in [*["192.0.2.1"] * 40, "192.0.2.2"]:
                world.agent.responder.take(request(source, "monitor"))
            while world.agent._pending._tasks:
                await asyncio.wait(world.agent._pending._tasks)
            assert len(order) == 41
            assert order.index("192.0.2.2") <= 2
            assert not world.agent._turns

    asyncio.run(check())


def test_what_waits_is_bounded_in_octets_too() -> None:
    """64 full requests of one manager took 35 MB while they waited, and those of eight 280."""

    async def check() -> None:
        async with running() as world:
            statistics, pending = world.agent.door.statistics, world.agent._pending
            large = request("192.0.2.1", "monitor", count=1_000)
            octets = len(large.pdu.varbinds)
            for _ in range(SNMP_SOURCE_PENDING_MAX):
                world.agent.responder.take(large)
            assert pending._loads["192.0.2.1"].octets <= SNMP_SOURCE_PENDING_OCTETS_MAX
            fit = SNMP_SOURCE_PENDING_OCTETS_MAX // octets
            assert statistics.silent_drops == SNMP_SOURCE_PENDING_MAX - fit
            for number in range(100):
                world.agent.responder.take(request(f"198.51.100.{number}", "monitor", count=1_000))
            assert len(pending._tasks) == SNMP_PEOPLE_PENDING_OCTETS_MAX // octets
            await pending.drain()

    asyncio.run(check())


def test_the_log_is_bounded_and_says_what_it_left_out(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        async with running() as world:
            wrong = build_set((SUBNET, ber.integer(1)))
            for _ in range(SNMP_LOGGED_PER_MINUTE_MAX + 20):
                await ask(world, wrong, "operator")

    with caplog.at_level(logging.INFO, "dhcpsync.snmp"):
        asyncio.run(check())
    lines = [one for one in caplog.messages if "a request of operator was refused" in one]
    assert len(lines) == SNMP_LOGGED_PER_MINUTE_MAX
    now_s = [0.0]
    seldom = Seldom(2, lambda: now_s[0])
    assert [seldom.admits("x") for _ in range(5)] == [True, True, False, False, False]
    assert seldom.admits("y")
    now_s[0] = 60
    caplog.clear()
    assert seldom.admits("x")
    assert caplog.messages == ["3 more of x were not logged"]


def test_errors_in_the_loop_are_counted_and_seldom_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def check() -> None:
        async with running() as world:
            loop = asyncio.get_running_loop()
            for _ in range(SNMP_LOGGED_PER_MINUTE_MAX + 5):
                loop.call_exception_handler({"message": "as pysnmp does", "exception": TypeError()})
            assert world.agent.loop_errors == SNMP_LOGGED_PER_MINUTE_MAX + 5

    asyncio.run(check())
    assert caplog.text.count("as pysnmp does") == SNMP_LOGGED_PER_MINUTE_MAX
