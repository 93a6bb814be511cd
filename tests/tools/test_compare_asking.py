"""How `check` asks a member: one engine by our own codec, and what goes wrong with it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from agent.errors import PacketError
from agent.model import parse_address
from agent.snmp import ber, message, pages
from agent.snmp.asking import Answer, SnmpAuthError, SnmpTimeout, Target
from agent.snmp.columns import SERVER
from agent.snmp.keys import EngineIdentity, UserKeys
from tests.snmp.datagrams import IDENTITY, make_door
from tests.snmp.world import engine_id, keys_of
from tests.tools.engines import LOOPBACK, Scripted, cells, response
from tools.compare.asking import MemberSession

NAME = SERVER["dhcpSyncServerName"].instance
QUESTION = pages.names([NAME])
KEYS = keys_of("peer")


def named(pdu: message.Pdu, _size_max: int) -> bytes:
    return response(pdu, cells(NAME))


@contextmanager
def session_at(port: int, keys: UserKeys = KEYS) -> Iterator[Callable[..., Awaitable[Answer]]]:
    """What asks for the name."""
    session = MemberSession(LOOPBACK, port, "peer", keys, IDENTITY.engine_id)
    target = Target(parse_address(LOOPBACK), port, "peer", IDENTITY.engine_id)

    async def ask(timeout_s: float = 5.0, kind: int = message.GET, second: int = 0) -> Answer:
        return await session.ask(target, kind, QUESTION, timeout_s, second=second)

    try:
        yield ask
    finally:
        session.close()


def asked(scripted: Scripted, keys: UserKeys = KEYS, **named: Any) -> Answer:
    with scripted.serving() as port, session_at(port, keys) as ask:

        async def run() -> Answer:
            return await ask(**named)

        return asyncio.run(run())


def test_what_is_asked_is_answered() -> None:
    scripted = Scripted(named)
    answer = asked(scripted, kind=message.GET_BULK, second=17)
    assert (answer.status, answer.index) == (0, 0)
    assert [(one.oid, one.value) for one in answer.varbinds] == [(NAME, b"m1")]
    assert scripted.asked == [(message.GET_BULK, 17, 65_507)]


def test_a_refusal_is_an_answer() -> None:
    scripted = Scripted(lambda pdu, _: response(pdu, pdu.varbinds, 5, 1))
    answer = asked(scripted)
    assert (answer.status, answer.index) == (5, 1)


def test_two_at_once_take_turns() -> None:
    scripted = Scripted(named)
    with scripted.serving() as port, session_at(port) as ask:

        async def run() -> tuple[Answer, Answer, Answer]:
            return await asyncio.gather(ask(), ask(), ask())

        assert [one.varbinds[0].value for one in asyncio.run(run())] == [b"m1"] * 3


def test_an_engine_that_started_again_is_asked_on() -> None:
    scripted = Scripted(named)
    with scripted.serving() as port, session_at(port) as ask:

        async def run() -> None:
            await ask()
            scripted.door = make_door(EngineIdentity(IDENTITY.engine_id, IDENTITY.boots + 1))
            assert (await ask()).varbinds[0].value == b"m1"

        asyncio.run(run())


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (lambda _: [], r"no answer from 127\.0\.0\.1:\d+ within 0\.1 s$"),
        (lambda _: [b"0"], r"within 0\.1 s \(truncated: no element at octet 0\)"),
    ],
)
def test_silence(tamper: Callable[[bytes], list[bytes]], words: str) -> None:
    with pytest.raises(SnmpTimeout, match=words):
        asked(Scripted(named, tamper), timeout_s=0.1)


def test_a_port_that_nobody_listens_to() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    with session_at(port) as ask:

        async def run() -> None:
            await ask(timeout_s=0.1)

        with pytest.raises(SnmpTimeout, match="Connection refused"):
            asyncio.run(run())


@pytest.mark.parametrize(
    ("scripted", "keys", "words"),
    [
        (Scripted(named), UserKeys(b"x" * 32, KEYS.privacy), "authentication passphrase is wrong"),
        (Scripted(named), UserKeys(KEYS.authentication, b"x" * 32), "privacy passphrase is wrong"),
        (
            Scripted(named, door=make_door(EngineIdentity(engine_id(2), 1))),
            KEYS,
            "another engine than the group knows answers",
        ),
    ],
)
def test_who_is_not_let_in_is_told_why(scripted: Scripted, keys: UserKeys, words: str) -> None:
    with pytest.raises(SnmpAuthError, match=words):
        asked(scripted, keys)


def test_a_clock_that_jumps_is_given_up() -> None:
    class Restless:
        boots = 0

        def examine(self, *arguments: Any) -> Any:
            self.boots += 1
            identity = EngineIdentity(IDENTITY.engine_id, self.boots)
            return make_door(identity).examine(*arguments)

    restless: Any = Restless()
    with pytest.raises(SnmpAuthError, match="clock of SNMP messages jumps"):
        asked(Scripted(named, door=restless))


@pytest.mark.parametrize(
    "respond",
    [
        lambda pdu, _: response(pdu, b"\x30\x02\x30\x00"),
        lambda pdu, _: message.build_pdu(message.SET, pdu.request_id, 0, 0, ber.varbind_list(())),
    ],
)
def test_an_answer_that_cannot_be_read(respond: Callable[[message.Pdu, int], bytes]) -> None:
    with pytest.raises(PacketError):
        asked(Scripted(respond))
