"""Configuration rows as rows of the MIB, by the declaration of their kind: index and values.

An instant is shown, and set, as the seconds that are left: nobody has to know whose clock it is."""

from __future__ import annotations

from typing import Any

from agent.kinds import ConfigRow, kind_of
from agent.kinds.kind import REQUIRED, Field, Kind, empty_of
from agent.kinds.values import Address, Choice, Instant, Text
from agent.snmp.oid import Oid, address_index, index_address, octets_index

_BEYOND = 1 << 32
"""Above every sub-identifier."""


def index_of(row: ConfigRow) -> Oid:
    """The row's key as an index (RFC 2578 7.7): four sub-identifiers for an address, one for a
    number, for a text its length and its octets."""
    index: Oid = ()
    for field in kind_of(row).keys:
        value = getattr(row, field.name)
        if isinstance(field.type, Address):
            index += address_index(value)
        elif isinstance(field.type, Text):
            index += octets_index(value.encode())
        else:
            index += (int(value),)
    return index


def key_values(kind: Kind, index: Oid) -> tuple[Any, ...]:
    """The values of the key fields of an index. ValueError where no row can have it."""
    values: list[Any] = []
    for field in kind.keys:
        size = 4 if isinstance(field.type, Address) else 1
        head, index = index[:size], index[size:]
        if len(head) < size:
            raise ValueError("too short")
        if isinstance(field.type, Address):
            values.append(index_address(bytes(head)))
        elif isinstance(field.type, Text):
            text, index = bytes(index[: head[0]]), index[head[0] :]
            if len(text) < head[0]:
                raise ValueError("too short")
            values.append(text.decode())
        elif isinstance(field.type, Choice):
            values.append(field.type.words(head[0]))
        else:
            values.append(head[0])
        if problem := field.type.problem(values[-1]):
            raise ValueError(problem)
    if index:
        raise ValueError("too long")
    return tuple(values)


def place_behind(kind: Kind, after: Oid) -> tuple[int | bytes, ...]:
    """Where in the store's order of the kind the rows behind `after` begin, which may be too short,
    too long, or none that a row can have (RFC 3416 4.2.2): a number for an address or a number, for
    a text its length and its octets."""
    place: list[int | bytes] = []
    for field in kind.keys:
        if not after:
            break
        if isinstance(field.type, Address):
            octets, after = _octets(after[:4]), after[4:]
            if len(octets) < 4:  # the row of the lowest such address is behind it
                lowest = int.from_bytes(octets.ljust(4, b"\0"), "big")
                return (*place, lowest - 1, *[_BEYOND] * (_width(kind) - len(place) - 1))
            place.append(int.from_bytes(octets[:4], "big"))
            after = (_BEYOND,) if len(octets) > 4 else after
        elif isinstance(field.type, Text):
            length = after[0]
            octets, after = _octets(after[1 : 1 + length]), after[1 + length :]
            place += [length, octets]
            after = after if len(octets) == length else ()
        else:
            place.append(after[0])
            after = after[1:]
    return tuple(place)


def _octets(index: Oid) -> bytes:
    """A sub-identifier that is no octet stands behind all octets, and what follows it does not
    matter: then more octets than an address has, which are in no text of UTF-8."""
    for at, one in enumerate(index):
        if one > 255:
            return bytes(index[:at]) + b"\xff" * (5 - at if at < 5 else 1)
    return bytes(index)


def _width(kind: Kind) -> int:
    return sum(2 if isinstance(field.type, Text) else 1 for field in kind.keys)


def empty_row(kind: Kind, index: Oid) -> Any:
    """The row of that index before anybody has said anything of it."""
    required = [field for field in kind.fields if field.default is REQUIRED and field.key is None]
    empty = {field.name: empty_of(field.type) for field in required}
    return kind.row(*key_values(kind, index), **empty)


def cell(field: Field, row: ConfigRow, now: int = 0) -> int | bytes | str:
    """The value of the field's column at `now`; text as it is."""
    value: int | bytes | str = getattr(row, field.name)
    if isinstance(field.type, Instant):
        assert isinstance(value, int)
        return min(field.type.ahead_s, max(0, value - now))
    if isinstance(field.type, Address):
        assert isinstance(value, int)
        return value.to_bytes(4, "big")
    return value


def value_of(field: Field, told: int | bytes | str, now: int = 0) -> Any:
    """The value of a field whose column has a value of the right syntax at `now`."""
    if isinstance(field.type, Instant):
        assert isinstance(told, int)
        return now + told
    if isinstance(field.type, Address):
        assert isinstance(told, bytes)
        return int.from_bytes(told, "big")
    if isinstance(field.type, Choice):
        assert isinstance(told, int)
        return field.type.words(told)
    return told
