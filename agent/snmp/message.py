"""SNMP messages around their variable bindings, octets to values and back (RFC 3412 6, RFC 3414
2.4, RFC 3416 3): what the door reads before it believes anything, and what is answered.

Reading checks every length and every range that the RFCs give, in the order in which an engine has
to look (`parse_version`, `parse_global`, `parse_security`, `parse_scoped`, `parse_pdu`), so that
each fault is counted as what it is. It raises `PacketError` for everything that is no such message:
indefinite lengths, octets left over, integers longer than their type. Nothing is copied before the
end but what is returned.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.errors import PacketError
from agent.snmp import ber
from agent.snmp.ber import any_header, header

GET = 0xA0
GET_NEXT = 0xA1
RESPONSE = 0xA2
SET = 0xA3
GET_BULK = 0xA5
INFORM = 0xA6
TRAP = 0xA7
REPORT = 0xA8

CONFIRMED = frozenset((GET, GET_NEXT, SET, GET_BULK, INFORM))
"""PDUs that are answered (RFC 3411 2.8)."""

V2C = 1
V3 = 3

AUTH_FLAG = 0x01
PRIV_FLAG = 0x02
REPORTABLE_FLAG = 0x04
AUTH_PRIV = AUTH_FLAG | PRIV_FLAG

USM = 3
"""msgSecurityModel of the User-based Security Model."""

MESSAGE_SIZE_MIN = 484
"""Smallest msgMaxSize (RFC 3412 6.3)."""

_USER_OCTETS_MAX = 32
_CONTEXT_OCTETS_MAX = 32
"""Of contextName and contextEngineID (RFC 3411 5)."""
_INTEGER_OCTETS_MAX = 4


class Global(NamedTuple):
    """msgGlobalData, and where msgSecurityParameters begin (their tag)."""

    message_id: int
    size_max: int
    flags: int
    security_model: int
    parameters_at: int


class Security(NamedTuple):
    """UsmSecurityParameters, and where msgData begins. `mac_at` is where the octets of
    msgAuthenticationParameters lie in the message, `mac_octets` how many they are."""

    engine_id: bytes
    boots: int
    time_s: int
    user: bytes
    mac_at: int
    mac_octets: int
    salt: bytes
    data_at: int


class Scoped(NamedTuple):
    """A scopedPDU; `pdu` still with its tag."""

    context_engine_id: bytes
    context_name: bytes
    pdu: bytes


class Pdu(NamedTuple):
    """`first` and `second` are error-status and error-index, or in a GETBULK non-repeaters and
    max-repetitions; `varbinds` the octets of the list."""

    kind: int
    request_id: int
    first: int
    second: int
    varbinds: bytes


# --- reading


def parse_version(data: bytes) -> tuple[int, int]:
    """The version, and where what follows it begins."""
    at, end = header(data, 0, len(data), ber.SEQUENCE)
    if end != len(data):
        raise PacketError("trailing_octets", f"{len(data) - end} after the message")
    return _number(data, at, end)


def parse_global(data: bytes, at: int) -> Global:
    """Of a message of version 3; `at` as `parse_version` gives it."""
    at, end = header(data, at, len(data), ber.SEQUENCE)
    message_id, at = _number(data, at, end)
    size_max, at = _number(data, at, end)
    if size_max < MESSAGE_SIZE_MIN:
        raise PacketError("bad_number", f"msgMaxSize {size_max}")
    at, stop = header(data, at, end, ber.OCTETS)
    if stop - at != 1:
        raise PacketError("bad_flags", f"{stop - at} octets of msgFlags")
    model, last = _number(data, stop, end)
    if last != end or not model:
        raise PacketError("trailing_octets", "after msgSecurityModel")
    return Global(message_id, size_max, data[at], model, end)


def parse_security(data: bytes, at: int) -> Security:
    """The parameters of the User-based Security Model."""
    at, data_at = header(data, at, len(data), ber.OCTETS)
    at, end = header(data, at, data_at, ber.SEQUENCE)
    if end != data_at:
        raise PacketError("trailing_octets", "after the security parameters")
    start, at = header(data, at, end, ber.OCTETS)
    engine_id = data[start:at]
    boots, at = _number(data, at, end)
    time_s, at = _number(data, at, end)
    start, at = header(data, at, end, ber.OCTETS)
    user = data[start:at]
    if len(user) > _USER_OCTETS_MAX:
        raise PacketError("bad_user", f"a user name of {len(user)} octets")
    mac_at, at = header(data, at, end, ber.OCTETS)
    mac_octets = at - mac_at
    start, at = header(data, at, end, ber.OCTETS)
    if at != end:
        raise PacketError("trailing_octets", "within the security parameters")
    return Security(engine_id, boots, time_s, user, mac_at, mac_octets, data[start:at], data_at)


def parse_ciphertext(data: bytes, at: int) -> bytes:
    """msgData as an encryptedPDU."""
    start, stop = header(data, at, len(data), ber.OCTETS)
    if stop != len(data):
        raise PacketError("trailing_octets", "after the message's data")
    return data[start:stop]


def parse_scoped(data: bytes, at: int = 0) -> Scoped:
    """A scopedPDU that goes on to the end of `data`."""
    at, end = header(data, at, len(data), ber.SEQUENCE)
    if end != len(data):
        raise PacketError("trailing_octets", "after the scopedPDU")
    start, at = header(data, at, end, ber.OCTETS)
    engine_id = data[start:at]
    start, at = header(data, at, end, ber.OCTETS)
    name = data[start:at]
    _, _, stop = any_header(data, at, end)
    if stop != end:
        raise PacketError("trailing_octets", "after the PDU")
    return Scoped(engine_id, name, data[at:end])


def check_context(scoped: Scoped) -> None:
    """Raises PacketError for a context that there cannot be: an answer names its request's, so one
    of any length would be sent back, to whatever address asked."""
    if max(len(scoped.context_engine_id), len(scoped.context_name)) > _CONTEXT_OCTETS_MAX:
        raise PacketError("bad_context", f"a context of more than {_CONTEXT_OCTETS_MAX} octets")


def parse_community(data: bytes, at: int) -> tuple[bytes, bytes]:
    """The community and the PDU of a message of version 2c."""
    start, at = header(data, at, len(data), ber.OCTETS)
    community = data[start:at]
    _, _, stop = any_header(data, at, len(data))
    if stop != len(data):
        raise PacketError("trailing_octets", "after the PDU")
    return community, data[at:]


def parse_pdu(data: bytes) -> Pdu:
    """A whole PDU, tag included; its variable bindings are not looked into."""
    kind, at, end = any_header(data, 0, len(data))
    if end != len(data):
        raise PacketError("trailing_octets", "after the PDU")
    request_id, at = _integer(data, at, end)
    first, at = _integer(data, at, end)
    second, at = _integer(data, at, end)
    _, stop = header(data, at, end, ber.SEQUENCE)
    if stop != end:
        raise PacketError("trailing_octets", "after the variable bindings")
    return Pdu(kind, request_id, first, second, data[at:])


def _integer(data: bytes, at: int, end: int) -> tuple[int, int]:
    """An Integer32, and where it ends."""
    start, stop = header(data, at, end, ber.INTEGER)
    if not 1 <= stop - start <= _INTEGER_OCTETS_MAX:
        raise PacketError("bad_number", f"an INTEGER of {stop - start} octets")
    return int.from_bytes(data[start:stop], "big", signed=True), stop


def _number(data: bytes, at: int, end: int) -> tuple[int, int]:
    """An INTEGER (0..2147483647), and where it ends."""
    value, stop = _integer(data, at, end)
    if value < 0:
        raise PacketError("bad_number", f"{value} is below 0")
    return value, stop


# --- writing


def build_pdu(kind: int, request_id: int, first: int, second: int, varbinds: bytes) -> bytes:
    head = ber.integer(request_id) + ber.integer(first) + ber.integer(second)
    return ber.octets(head + varbinds, kind)


def build_scoped(engine_id: bytes, name: bytes, pdu: bytes) -> bytes:
    return ber.octets(ber.octets(engine_id) + ber.octets(name) + pdu, ber.SEQUENCE)


def build_community(community: bytes, pdu: bytes) -> bytes:
    return ber.octets(ber.integer(V2C) + ber.octets(community) + pdu, ber.SEQUENCE)


def build_v3(head: Global, security: Security, data: bytes, size_max: int) -> tuple[bytes, int]:
    """A message with room for its MAC (`security.mac_octets` zeros), and where the MAC goes. `data`
    is msgData, whole; `parameters_at`, `mac_at` and `data_at` are not looked at."""
    announced = ber.octets(
        ber.integer(head.message_id)
        + ber.integer(size_max)
        + bytes((ber.OCTETS, 1, head.flags))
        + ber.integer(head.security_model),
        ber.SEQUENCE,
    )
    salt = ber.octets(security.salt)
    parameters = ber.octets(
        ber.octets(
            ber.octets(security.engine_id)
            + ber.integer(security.boots)
            + ber.integer(security.time_s)
            + ber.octets(security.user)
            + ber.octets(bytes(security.mac_octets))
            + salt,
            ber.SEQUENCE,
        )
    )
    whole = ber.octets(ber.integer(V3) + announced + parameters + data, ber.SEQUENCE)
    return whole, len(whole) - len(data) - len(salt) - security.mac_octets
