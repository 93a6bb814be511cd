"""The level of packets: every message as SNMPv3 octets, through the production engine set-up.

A request is packed by the production codec, put into a PDU by `agent.snmp.ber` and `wire`, and
encrypted and authenticated by USM as `agent.snmp.engine` sets it up; on the other side the door
authenticates it, checks its time window, decrypts and decodes it, and it is unpacked. The answer
goes back in the Response. Reports lead to another attempt, as in `agent.snmp.session`. There is no
socket: pysnmp's transport is a list.

Every exchange has the form of an INFORM here, whatever operation carries it in production (GETBULK
of tables, SET and GET of a row); that mapping is tested in `tests/snmp`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.proto import rfc1902

from agent import clock
from agent.errors import PacketError, PeerError
from agent.model import MemberId, format_address
from agent.snmp import ber, columns, message, wire
from agent.snmp.ber import Varbind
from agent.snmp.door import Answer, Door, Reply, Request
from agent.snmp.engine import AUTH_PRIV, SECURITY_MODEL_USM, add_user, build_engine
from agent.snmp.informs import SNMP_TRAP_OID
from agent.snmp.keys import EngineIdentity, UserKeys
from agent.snmp.peer import SYS_UP_TIME
from agent.snmp.session import SNMP_V3
from agent.snmp.status import ErrorStatus, peer_error, status_of
from agent.sync import codec
from agent.sync import messages as m
from tools.simulator.world import World

_USER = "peer"
_PORT = 161
_ATTEMPTS_MAX = 3
_MASTER = UserKeys(bytes(range(32)), bytes(range(32, 64)))
_PDU_VERSION = 1

Answered = Callable[[m.Response | PeerError], object]


class _Transport:
    """What pysnmp's dispatcher sends through. Nothing ever times out in it."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send_message(self, message: bytes, _domain: object, _address: object) -> None:
        self.sent.append(bytes(message))

    def get_timer_ticks(self) -> int:
        return 0

    def get_timer_resolution(self) -> float:
        return 0.1


class PacketEnd:
    """One life of a member's SNMP engine. `serve(packed, reply)` answers a request."""

    def __init__(
        self,
        engine_id: bytes,
        boots: int,
        peers: dict[MemberId, tuple[int, bytes]],
        serve: Callable[[bytes, Callable[[m.Response | PeerError | bytes], None]], object],
    ) -> None:
        identity = EngineIdentity(engine_id, boots)
        self._engine = build_engine(identity)
        own = _MASTER.localize(engine_id)
        self._door = Door(
            identity,
            {_USER.encode(): own},
            b"",
            self._engine.message_processing_subsystems[SNMP_V3].is_asked,
            started_s=clock.boot_s(),
            salt=boots << 32,
        )
        self._transport = _Transport()
        self._engine.transport_dispatcher = self._transport
        self._serve = serve
        self._peers = peers
        self._request_id = 0
        add_user(self._engine, _USER, own)
        for _, other in peers.values():
            localized = _MASTER.localize(other)
            add_user(self._engine, _USER, localized, other)
            self._door.expect(other, _USER.encode(), localized.authentication)

    def ask(
        self, to: MemberId, packed: bytes, send: Callable[[bytes], None], answered: Answered,
        now_ms: Callable[[], int], attempt: int = 1,
    ) -> None:  # fmt: skip
        """Send a request; `send` puts octets on the wire, `answered` is called with the answer."""
        address, engine_id = self._peers[to]
        where = udp.UdpTransportAddress((format_address(address), _PORT))
        self._engine.message_processing_subsystems[SNMP_V3].pin_engine(
            udp.DOMAIN_NAME, where, engine_id
        )
        self._request_id += 1
        name = Varbind(SNMP_TRAP_OID, ber.OBJECT_IDENTIFIER, columns.HELLO)
        body = ber.encode_varbinds((
            Varbind(SYS_UP_TIME, ber.TIME_TICKS, 0), name,
            Varbind(columns.MESSAGE, ber.OCTETS, packed),
        ))  # fmt: skip

        def on_response(*arguments: Any) -> None:
            response, status = arguments[8], arguments[9]
            if response is not None:
                answered(_read_answer(wire.parse_pdu(response), now_ms()))
            elif status and attempt < _ATTEMPTS_MAX:
                self.ask(to, packed, send, answered, now_ms, attempt + 1)

        self._engine.message_dispatcher.send_pdu(
            self._engine, udp.DOMAIN_NAME, where, SNMP_V3, SECURITY_MODEL_USM,
            rfc1902.OctetString(_USER.encode()), AUTH_PRIV, engine_id, b"", _PDU_VERSION,
            wire.build_pdu(wire.INFORM, self._request_id, body), True, 600, on_response, None,
        )  # fmt: skip
        self._flush(send)

    def take(self, data: bytes, sender: int, back: Callable[[bytes], None]) -> None:
        """Octets from the wire; `back` puts octets on the wire to where they came from."""
        source = format_address(sender), _PORT
        verdict = self._door.examine(data, source, clock.boot_s())
        if isinstance(verdict, Request):
            self._take_request(verdict, back)
        elif isinstance(verdict, Reply):
            back(verdict.message)
        elif verdict is not None:
            self._take_answer(verdict, udp.UdpTransportAddress(source), back)

    def _take_answer(self, answer: Answer, where: object, back: Callable[[bytes], None]) -> None:
        engine = self._engine
        engine.message_dispatcher.receive_message(engine, udp.DOMAIN_NAME, where, answer.message)
        if not answer.is_authentic:
            engine.security_models[SECURITY_MODEL_USM].forget_clock(answer.engine_id)
        self._flush(back)

    def _flush(self, send: Callable[[bytes], None]) -> None:
        sent, self._transport.sent = self._transport.sent, []
        for data in sent:
            send(data)

    def _take_request(self, request: Request, back: Callable[[bytes], None]) -> None:
        """A request that has come through the door."""

        def reply(answer: m.Response | PeerError | bytes) -> None:
            status, body = ErrorStatus.NO_ERROR, b""
            if isinstance(answer, PeerError):
                status = status_of(answer)
            else:
                assert isinstance(answer, bytes)
                body = answer
            varbinds = ber.encode_varbinds((Varbind(columns.MESSAGE, ber.OCTETS, body),))
            response = message.build_pdu(
                message.RESPONSE, request.pdu.request_id, status, 0, varbinds
            )
            back(self._door.respond(request, response, clock.boot_s()))

        try:
            one = ber.decode_varbinds(request.pdu.varbinds)[2]
        except (PacketError, IndexError):
            return
        assert isinstance(one.value, bytes)
        self._serve(one.value, reply)


def _read_answer(pdu: wire.Pdu, now_ms: int) -> m.Response | PeerError:
    if pdu.first:
        return peer_error(pdu.first)
    value = ber.decode_varbinds(pdu.varbinds)[0].value
    assert isinstance(value, bytes)
    return codec.unpack_response(value, now_ms)


@contextmanager
def virtual_time(world: World) -> Iterator[None]:
    """The door and pysnmp read the boot-time clock: let them read the world's."""
    real = clock.boot_s
    clock.boot_s = lambda: world.now_ms / 1000
    try:
        yield
    finally:
        clock.boot_s = real
