"""Object identifiers as tuples of sub-identifiers, and the arithmetic that GETNEXT needs.

All of our tables have an index of fixed shape: so many sub-identifiers, each up to its own limit.
A manager may ask for what follows *any* object identifier (RFC 3416 4.2.2), also one that is too
short, too long, or has sub-identifiers that no row can have. `first_index_after` turns such a
question into the lowest index that a row could have, and the rest is a range query.
"""

from __future__ import annotations

from collections.abc import Sequence

Oid = tuple[int, ...]

SUB_IDENTIFIER_MAX = 0xFFFF_FFFF
LENGTH_MAX = 128
"""RFC 2578 3.5: at most 128 sub-identifiers, each at most 2**32-1."""


def format_oid(oid: Sequence[int]) -> str:
    return ".".join(map(str, oid))


def starts_with(oid: Oid, prefix: Oid) -> bool:
    return oid[: len(prefix)] == prefix


def first_index_after(after: Oid, limits: Sequence[int]) -> Oid | None:
    """The lowest index of shape `limits` that is greater than `after`, or None.

    `limits` holds the greatest value of each sub-identifier. Order is lexicographic, and a
    prefix comes before what it begins (RFC 3416 4.2.2)."""
    size = len(limits)
    for at, (value, limit) in enumerate(zip(after, limits, strict=False)):
        if value > limit:
            return _increment(after[:at], limits)
    if len(after) < size:
        return after + (0,) * (size - len(after))
    return _increment(after[:size], limits)


def _increment(prefix: Oid, limits: Sequence[int]) -> Oid | None:
    """The lowest full index that does not begin with `prefix` and is greater than it."""
    for at in reversed(range(len(prefix))):
        if prefix[at] < limits[at]:
            return (*prefix[:at], prefix[at] + 1, *(0,) * (len(limits) - at - 1))
    return None


def address_index(address: int) -> Oid:
    """InetAddressIPv4 SIZE(4) as an index: four sub-identifiers, no length (RFC 2578 7.7)."""
    return (address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255)


def octets_index(octets: bytes) -> Oid:
    """Octets of any length as an index: their number, then each (RFC 2578 7.7)."""
    return (len(octets), *octets)


def index_address(index: Sequence[int]) -> int:
    """The address of four sub-identifiers, each known to be at most 255."""
    a, b, c, d = index
    return a << 24 | b << 16 | c << 8 | d
