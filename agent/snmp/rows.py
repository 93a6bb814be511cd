"""Configuration rows as rows of the MIB, by the declaration of their kind: index and values.

An instant is shown, and set, as the seconds that are left: nobody has to know whose clock it is."""

from __future__ import annotations

from typing import Any

from agent.kinds import ConfigRow, kind_of
from agent.kinds.kind import REQUIRED, Field, Kind
from agent.kinds.values import Address, Choice, Instant, Text
from agent.snmp.oid import Oid, address_index, index_address


def index_of(row: ConfigRow) -> Oid:
    """The row's key as an index: four sub-identifiers for an address, one for a number."""
    index: Oid = ()
    for field in kind_of(row).keys:
        value = getattr(row, field.name)
        index += address_index(value) if isinstance(field.type, Address) else (value,)
    return index


def key_values(kind: Kind, index: Oid) -> tuple[int, ...]:
    """The values of the key fields of an index of the right shape."""
    values = []
    at = 0
    for field in kind.keys:
        width = 4 if isinstance(field.type, Address) else 1
        part = index[at : at + width]
        values.append(index_address(part) if isinstance(field.type, Address) else part[0])
        at += width
    return tuple(values)


def empty_row(kind: Kind, index: Oid) -> Any:
    """The row of that index before anybody has said anything of it."""
    required = [field for field in kind.fields if field.default is REQUIRED and field.key is None]
    empty = {field.name: "" if isinstance(field.type, Text) else b"" for field in required}
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
