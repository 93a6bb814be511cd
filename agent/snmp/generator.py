"""The command generator's half of SNMPv3 (RFC 3412 6 and 7, RFC 3414 3 and 4): what one user's
requests to one engine look like, and which of what comes back is an answer.

The door's opposite. An engine is found by a message without an engine ID, and its clock by the
request itself with boots and time 0: both are answered by a Report, after which the request goes
out again. The clock is believed of authentic messages alone: by a Report that proves nothing
somebody could set it forward, and keep what is sent then for later.

No I/O and no clock: `examine` gets the octets and the boot-time clock. What anybody could have sent
is ignored, with the reason why; PacketError is raised for what the engine itself sent and cannot be
read.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.errors import PacketError
from agent.snmp import ber, usm
from agent.snmp.keys import UserKeys
from agent.snmp.message import (
    AUTH_FLAG,
    AUTH_PRIV,
    GET,
    PRIV_FLAG,
    REPORT,
    REPORTABLE_FLAG,
    RESPONSE,
    USM,
    V3,
    Global,
    Pdu,
    Security,
    build_pdu,
    build_scoped,
    build_v3,
    parse_ciphertext,
    parse_global,
    parse_pdu,
    parse_scoped,
    parse_security,
    parse_version,
)
from agent.snmp.oid import Oid
from agent.snmp.reports import BOOTS_MAX, NOT_IN_TIME_WINDOW, TIME_WINDOW_S, UNKNOWN_ENGINE

ENGINE_ID_OCTETS = range(5, 33)
"""RFC 3411 5, SnmpEngineID."""

_ID_MAX = 2**31 - 1
_SALT_MAX = 2**64 - 1
_NO_VARBINDS = ber.varbind_list(())


class Response(NamedTuple):
    """The answer; its variable bindings are not looked into."""

    pdu: Pdu


class Report(NamedTuple):
    """What the engine has against the message, as the instance of a counter. `is_step`: it tells
    what was not known, and the request is to go out again."""

    oid: Oid
    is_step: bool


class Ignored(NamedTuple):
    """No answer, or not one that anybody can rely on."""

    why: str


Verdict = Response | Report | Ignored


class _Clock(NamedTuple):
    """snmpEngineBoots and snmpEngineTime as last received, and when that was."""

    boots: int
    time_s: int
    at_s: float

    def time_at(self, now_s: float) -> int:
        return min(self.time_s + int(now_s - self.at_s), _ID_MAX)


class CommandGenerator:
    """Requests of `user`, whose keys `master` are not localized, one at a time. msgID and
    request-id go on from `first_id`, salts from `salt`: at random, so that nobody who does not
    read the messages can make up an answer. With `engine_id` that engine is asked, and no other."""

    def __init__(
        self, user: bytes, master: UserKeys, *, first_id: int, salt: int, engine_id: bytes = b""
    ) -> None:
        self._user = user
        self._master = master
        self._is_named = bool(engine_id)
        self._engine_id = engine_id
        self._keys = master.localize(engine_id)
        self._clock: _Clock | None = None
        self._last_id = first_id
        self._salt = salt
        self._request_id = 0
        self._waiting: set[int] = set()

    def begin(self) -> None:
        """The next request: what still comes for the one before is no answer any more."""
        self._waiting.clear()
        self._request_id = self._next_id()

    def message(
        self,
        kind: int,
        varbinds: bytes,
        first: int,
        second: int,
        *,
        size_max: int,
        now_s: float,
    ) -> bytes:
        """What to send for the request now: itself, or the question that must come before it.
        `size_max` is the longest message that is taken for an answer."""
        message_id = self._next_id()
        self._waiting.add(message_id)
        if not self._engine_id:
            pdu = build_pdu(GET, self._request_id, 0, 0, _NO_VARBINDS)
            head = Global(message_id, size_max, REPORTABLE_FLAG, USM, 0)
            nobody = Security(b"", 0, 0, b"", 0, 0, b"", 0)
            return build_v3(head, nobody, build_scoped(b"", b"", pdu), size_max)[0]
        pdu = build_pdu(kind, self._request_id, first, second, varbinds)
        boots, time_s = 0, 0
        if self._clock is not None:
            boots, time_s = self._clock.boots, self._clock.time_at(now_s)
        self._salt = (self._salt + 1) & _SALT_MAX
        salt = self._salt.to_bytes(usm.SALT_OCTETS, "big")
        scoped = build_scoped(self._engine_id, b"", pdu)
        data = ber.octets(usm.encrypt(scoped, self._keys.privacy, boots, time_s, salt))
        head = Global(message_id, size_max, AUTH_PRIV | REPORTABLE_FLAG, USM, 0)
        security = Security(self._engine_id, boots, time_s, self._user, 0, usm.MAC_OCTETS, salt, 0)
        whole, at = build_v3(head, security, data, size_max)
        return usm.authenticate(whole, at, self._keys.authentication)

    def examine(self, data: bytes, now_s: float) -> Verdict:
        """What a datagram is to the request. Raises PacketError; see the module."""
        try:
            version, at = parse_version(data)
            if version != V3:
                return Ignored(f"it is of version {version}")
            head = parse_global(data, at)
            if head.message_id not in self._waiting:
                return Ignored("it answers nothing that was asked")
            if head.security_model != USM:
                return Ignored(f"its security model is {head.security_model}")
            security = parse_security(data, head.parameters_at)
            level = head.flags & AUTH_PRIV
            if not level & AUTH_FLAG:
                return self._examine_unproven(data, level, security)
        except PacketError as error:
            return Ignored(str(error))
        why = self._doubt(data, security, now_s)
        if why:
            return Ignored(why)
        return self._examine_proven(data, level, security)

    def _examine_unproven(self, data: bytes, level: int, security: Security) -> Verdict:
        """Without a MAC only a Report is read (RFC 3412 7.2.10): whoever makes it may not know the
        user, or the asker not the engine."""
        if level:
            return Ignored("it is encrypted by nobody")
        pdu = parse_pdu(parse_scoped(data, security.data_at).pdu)
        if pdu.kind != REPORT:
            return Ignored("it is not authenticated")
        oid = _reported(pdu)
        if oid == NOT_IN_TIME_WINDOW.oid:
            return Ignored("it tells a clock, and is not authenticated")
        if oid != UNKNOWN_ENGINE.oid:
            if security.engine_id != self._engine_id:
                return Ignored("it is of another engine")
            return Report(oid, False)
        if len(security.engine_id) not in ENGINE_ID_OCTETS:
            return Ignored(f"its engine ID has {len(security.engine_id)} octets")
        if security.engine_id != self._engine_id:
            if self._is_named:
                return Report(oid, False)
            self._clock = None
        self._engine_id = security.engine_id
        self._keys = self._master.localize(security.engine_id)
        return Report(oid, True)

    def _doubt(self, data: bytes, security: Security, now_s: float) -> str:
        """Why a message may be of somebody else, or an old one (RFC 3414 3.2, steps 6 and 7b); ""
        where it is not, and then it tells the engine's clock."""
        if security.engine_id != self._engine_id or security.user != self._user:
            return "it is of another engine, or for another user"
        key = self._keys.authentication
        if not usm.is_authentic(data, security.mac_at, security.mac_octets, key):
            return "its digest is wrong"
        known = self._clock
        told = (security.boots, security.time_s)
        if known is None or told > (known.boots, known.time_s):
            self._clock = known = _Clock(*told, now_s)
        if security.boots == BOOTS_MAX or security.boots < known.boots:
            return "it is older than the engine's last start"
        if security.time_s < known.time_at(now_s) - TIME_WINDOW_S:
            return "it is too old"
        return ""

    def _examine_proven(self, data: bytes, level: int, security: Security) -> Verdict:
        at, plain = security.data_at, data
        if level & PRIV_FLAG:
            if len(security.salt) != usm.SALT_OCTETS:
                raise PacketError("bad_salt", f"{len(security.salt)} octets")
            ciphertext = parse_ciphertext(data, at)
            key, boots = self._keys.privacy, security.boots
            plain = usm.decrypt(ciphertext, key, boots, security.time_s, security.salt)
            at = 0
        pdu = parse_pdu(parse_scoped(plain, at).pdu)
        if pdu.kind == REPORT:
            oid = _reported(pdu)
            return Report(oid, oid == NOT_IN_TIME_WINDOW.oid)
        if pdu.kind != RESPONSE:
            raise PacketError("wrong_tag", f"a PDU of type 0x{pdu.kind:02x} is no answer")
        if not level & PRIV_FLAG:
            return Ignored("it is not encrypted")
        if pdu.request_id != self._request_id:
            return Ignored("it answers another request")
        return Response(pdu)

    def _next_id(self) -> int:
        self._last_id = self._last_id % _ID_MAX + 1
        return self._last_id


def _reported(pdu: Pdu) -> Oid:
    """The counter of which a Report tells."""
    varbinds = ber.decode_varbinds(pdu.varbinds)
    if [one.tag for one in varbinds] != [ber.COUNTER32]:
        raise PacketError("bad_report", "no Report is but one counter")
    return varbinds[0].oid
