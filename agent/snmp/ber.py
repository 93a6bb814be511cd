"""Variable bindings to and from BER (RFC 3416 3, RFC 3417 8), written by hand for speed.

The cost of SNMP in Python is per variable binding: pyasn1 builds several objects for each. The
engine therefore passes the list of variable bindings on as the octets that it is (`wire.py`),
and this file is the only one that looks inside. A response is the concatenation of
`varbind(name, value)`, where `name` comes from `object_identifier` and `value` from one of the
value functions below, so rows of a table share the octets of their column.

Decoding checks every length against what is there, accepts definite lengths only (RFC 3417 8),
reads each octet once, and raises `PacketError` for anything else. A value whose octets are none of
its type may be kept as MALFORMED instead: a SET of it is wrongEncoding (RFC 3416 4.2.5), and the
other requests do not look at values.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple

from agent.errors import PacketError
from agent.limits import SNMP_VARBINDS_MAX
from agent.snmp.oid import LENGTH_MAX, SUB_IDENTIFIER_MAX, Oid

INTEGER = 0x02
OCTETS = 0x04
NULL = 0x05
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30
IP_ADDRESS = 0x40
COUNTER32 = 0x41
UNSIGNED32 = 0x42
TIME_TICKS = 0x43
OPAQUE = 0x44
COUNTER64 = 0x46
NO_SUCH_OBJECT = 0x80
NO_SUCH_INSTANCE = 0x81
END_OF_MIB_VIEW = 0x82

UNSIGNED_MAX = {
    COUNTER32: 2**32 - 1,
    UNSIGNED32: 2**32 - 1,
    TIME_TICKS: 2**32 - 1,
    COUNTER64: 2**64 - 1,
}
_SUB_OCTETS_MAX = 5
_EMPTY = frozenset((NULL, NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB_VIEW))
_OCTETS = frozenset((OCTETS, IP_ADDRESS, OPAQUE))

EXCEPTIONS = frozenset((NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB_VIEW))
NULL_VALUE = b"\x05\x00"
NO_SUCH_OBJECT_VALUE = b"\x80\x00"
NO_SUCH_INSTANCE_VALUE = b"\x81\x00"
END_OF_MIB_VIEW_VALUE = b"\x82\x00"


class Malformed(enum.Enum):
    """In the place of a value whose octets are none of its type."""

    MALFORMED = "malformed"


MALFORMED = Malformed.MALFORMED
Value = int | bytes | Oid | None | Malformed


class Varbind(NamedTuple):
    """`value` is an int, octets, an object identifier or None, as `tag` says."""

    oid: Oid
    tag: int
    value: Value


# --- encoding


def length(size: int) -> bytes:
    """Definite form, as short as it can be."""
    if size < 0x80:
        return _SINGLE[size]
    if size < 0x100:
        return bytes((0x81, size))
    if size < 0x1_0000:
        return bytes((0x82, size >> 8, size & 0xFF))
    octet_count = (size.bit_length() + 7) // 8
    return bytes((0x80 | octet_count,)) + size.to_bytes(octet_count, "big")


def integer(number: int) -> bytes:
    """INTEGER: two's complement, as short as it can be."""
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return b"\x02" + _SINGLE[size] + number.to_bytes(size, "big", signed=True)


def unsigned(number: int, tag: int = UNSIGNED32) -> bytes:
    """One of the unsigned types. ValueError if the number does not fit."""
    if not 0 <= number <= UNSIGNED_MAX[tag]:
        raise ValueError(f"{number} does not fit type 0x{tag:02x}")
    size = number.bit_length() // 8 + 1
    return bytes((tag, size)) + number.to_bytes(size, "big")


def octets(data: bytes, tag: int = OCTETS) -> bytes:
    size = len(data)
    if size < 0x80:
        return bytes((tag, size)) + data
    return bytes((tag,)) + length(size) + data


def sub_identifiers(numbers: Iterable[int]) -> bytes:
    """Base 128, high bit for "more follows": what an index adds to its column's name."""
    return b"".join([_SUB[n] if n < 256 else _long_sub_identifier(n) for n in numbers])


def object_identifier(oid: Oid) -> bytes:
    """The content octets (no tag, no length) of an OID of at least two sub-identifiers."""
    if len(oid) < 2:
        oid = (*oid, 0, 0)[:2]
    return sub_identifiers((oid[0] * 40 + oid[1], *oid[2:]))


def oid_value(oid: Oid) -> bytes:
    return octets(object_identifier(oid), OBJECT_IDENTIFIER)


def value(tag: int, content: Value) -> bytes:
    """Any SNMPv2 value. ValueError or TypeError if `content` is none of that type."""
    if tag == INTEGER and isinstance(content, int):
        return integer(content)
    if tag in UNSIGNED_MAX and isinstance(content, int):
        return unsigned(content, tag)
    if tag in _OCTETS and isinstance(content, bytes):
        return octets(content, tag)
    if tag == OBJECT_IDENTIFIER and isinstance(content, tuple):
        return oid_value(content)
    if tag in _EMPTY and content is None:
        return bytes((tag, 0))
    raise TypeError(f"{content!r} is no value of type 0x{tag:02x}")


def varbind(name: bytes, encoded_value: bytes) -> bytes:
    """One variable binding; `name` as `object_identifier` gives it."""
    size = len(name)
    head = b"\x06" + length(size) + name
    size = len(head) + len(encoded_value)
    if size < 0x80:
        return b"\x30" + _SINGLE[size] + head + encoded_value
    return b"\x30" + length(size) + head + encoded_value


def encode_varbind(one: Varbind) -> bytes:
    return varbind(object_identifier(one.oid), value(one.tag, one.value))


def varbind_list(parts: Iterable[bytes]) -> bytes:
    """The whole list, tag and length included."""
    body = b"".join(parts)
    return b"\x30" + length(len(body)) + body


def encode_varbinds(varbinds: Iterable[Varbind]) -> bytes:
    return varbind_list(map(encode_varbind, varbinds))


def _long_sub_identifier(number: int) -> bytes:
    if number > SUB_IDENTIFIER_MAX:
        raise ValueError(f"sub-identifier {number} is above 2**32-1")
    digits = [number & 0x7F]
    number >>= 7
    while number:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(reversed(digits))


_SINGLE = [bytes((n,)) for n in range(256)]
_SUB = [_long_sub_identifier(n) for n in range(256)]


# --- decoding


def decode_varbinds(
    data: bytes, limit: int = SNMP_VARBINDS_MAX, *, strict: bool = True
) -> list[Varbind]:
    """The variable bindings of a whole list (tag and length included). Raises PacketError; unless
    `strict`, a value that is none of its type is MALFORMED."""
    at, end = header(data, 0, len(data), SEQUENCE)
    if end != len(data):
        raise PacketError("trailing_octets", f"{len(data) - end} after the variable bindings")
    found: list[Varbind] = []
    while at < end:
        if len(found) == limit:
            raise PacketError("too_many_varbinds", f"more than {limit}")
        at, stop = header(data, at, end, SEQUENCE)
        at, name_end = header(data, at, stop, OBJECT_IDENTIFIER)
        oid = _oid(data, at, name_end)
        tag, at, value_end = any_header(data, name_end, stop)
        if value_end != stop:
            raise PacketError("trailing_octets", f"{stop - value_end} after a value")
        try:
            content = _value(data, tag, at, stop)
        except PacketError:
            if strict:
                raise
            content = MALFORMED
        found.append(Varbind(oid, tag, content))
        at = stop
    return found


def any_header(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Tag, start and end of the content of the element at `at`, which must end within `end`."""
    if at + 2 > end:
        raise PacketError("truncated", f"no element at octet {at}")
    tag = data[at]
    size = data[at + 1]
    at += 2
    if size >= 0x80:
        octet_count = size & 0x7F
        if not 1 <= octet_count <= 4:
            raise PacketError("bad_length", f"length octet 0x{size:02x} before octet {at}")
        if at + octet_count > end:
            raise PacketError("truncated", f"length at octet {at}")
        size = int.from_bytes(data[at : at + octet_count], "big")
        at += octet_count
    if at + size > end:
        raise PacketError("truncated", f"{size} octets announced, {end - at} there")
    return tag, at, at + size


def header(data: bytes, at: int, end: int, wanted: int) -> tuple[int, int]:
    start = at + 2
    if start <= end and data[at] == wanted and data[at + 1] < 0x80:
        # What nearly all elements are; the rest, and every fault, goes the long way.
        stop = start + data[at + 1]
        if stop <= end:
            return start, stop
    tag, start, stop = any_header(data, at, end)
    if tag != wanted:
        raise PacketError("wrong_tag", f"0x{tag:02x} at octet {at}, expected 0x{wanted:02x}")
    return start, stop


def _oid(data: bytes, at: int, end: int) -> Oid:
    if at == end or data[end - 1] & 0x80:
        raise PacketError("bad_oid", "empty, or ends within a sub-identifier")
    if end - at > LENGTH_MAX * _SUB_OCTETS_MAX:
        raise PacketError("bad_oid", f"{end - at} octets")
    numbers: list[int] = [0]
    number = 0
    for octet in data[at:end]:
        number = number << 7 | octet & 0x7F
        if number > SUB_IDENTIFIER_MAX:
            raise PacketError("bad_oid", "a sub-identifier is above 2**32-1")
        if not octet & 0x80:
            numbers.append(number)
            number = 0
    if len(numbers) > LENGTH_MAX:
        raise PacketError("bad_oid", f"{len(numbers)} sub-identifiers, at most {LENGTH_MAX}")
    numbers[0] = min(numbers[1] // 40, 2)
    numbers[1] -= numbers[0] * 40
    return tuple(numbers)


def _value(data: bytes, tag: int, at: int, end: int) -> Value:
    if tag in _OCTETS:
        if tag == IP_ADDRESS and end - at != 4:
            raise PacketError("bad_address", f"{end - at} octets, expected 4")
        return data[at:end]
    if tag in UNSIGNED_MAX:
        number = int.from_bytes(data[at:end], "big")
        if at == end or end - at > 9 or data[at] & 0x80 or number > UNSIGNED_MAX[tag]:
            raise PacketError("bad_number", f"no unsigned number of type 0x{tag:02x}")
        return number
    if tag == INTEGER:
        if not 1 <= end - at <= 4:
            raise PacketError("bad_number", f"INTEGER of {end - at} octets, expected 1..4")
        return int.from_bytes(data[at:end], "big", signed=True)
    if tag == OBJECT_IDENTIFIER:
        return _oid(data, at, end)
    if tag in _EMPTY:
        if at != end:
            raise PacketError("bad_null", f"{end - at} octets in a value that has none")
        return None
    raise PacketError("wrong_tag", f"0x{tag:02x} is no SNMP type")
