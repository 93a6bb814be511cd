"""Configuration rows as octets, by the declaration of their kind (`agent.kinds`).

Numbers come first, in the order of the declaration, then what has a length of its own: text after
an octet that counts it, octets after two. Instants travel as those of bindings
(`agent.sync.records`), in four octets with a sign. What a peer sends is held against the
declaration's bounds, and against what the kind says of several fields together.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Any

from agent.errors import PacketError
from agent.kinds import KINDS, ConfigRow, kind_of
from agent.kinds.kind import Field, Kind, getter
from agent.kinds.values import Bounded, Instant, Text
from agent.sync.octets import U16, Reader, text

_LETTERS = {1: "B", 2: "H", 4: "I"}
_AWAY_MAX_S = 0x7FFF_FFFF


class _Layout:
    """How the rows of a kind lie in octets: numbers, those that share their octets, the rest."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        numbers = [f for f in kind.fields if isinstance(f.type, Bounded) and not f.beside]
        shared = [f for f in kind.fields if f.beside]
        sized = [f for f in kind.fields if not isinstance(f.type, Bounded)]
        fields = [*numbers, *shared, *sized]
        names = [field.name for field in fields]
        self._struct = struct.Struct("!" + "".join(map(_letter, numbers)))
        self._numbers = getter([field.name for field in numbers])
        self._shared = [(names.index(field.beside), field.name) for field in shared]
        self._sized = [(field.name, isinstance(field.type, Text)) for field in sized]
        self._narrow = [
            (at, field.name, field.type.low, field.type.high)
            for at, field in enumerate(fields)
            if isinstance(field.type, Bounded)
            and (
                isinstance(field.type, Instant)
                or (field.type.low, field.type.high) != (0, (1 << 8 * field.type.octets) - 1)
            )
        ]
        """Numbers that can be out of their bounds in the octets that they have."""
        self._instants = [at for at, field in enumerate(fields) if isinstance(field.type, Instant)]
        self._order = [names.index(field.name) for field in kind.fields]

    def pack(self, row: ConfigRow, now_s: int) -> bytes:
        numbers = [*self._numbers(row)]
        for at in self._instants:
            numbers[at] = max(-_AWAY_MAX_S, min(_AWAY_MAX_S, numbers[at] - now_s))
        for at, name in self._shared:
            numbers[at] |= (getattr(row, name) - 1) << 4
        parts = [self._struct.pack(*numbers)]
        for name, is_text in self._sized:
            value = getattr(row, name)
            parts.append(text(value) if is_text else U16.pack(len(value)) + value)
        return b"".join(parts)

    def unpack(self, reader: Reader, active: bool) -> Any:
        values: list[Any] = list(reader.fields(self._struct))
        for at in self._instants:
            values[at] = max(0, reader.base_s + values[at])
        for at, _ in self._shared:
            values.append((values[at] >> 4) + 1)
            values[at] &= 15
        for _, is_text in self._sized:
            values.append(reader.text() if is_text else reader.octets(reader.number(U16)))
        for at, name, low, high in self._narrow:
            if not low <= values[at] <= high:
                told = f"{self._kind.name}: {name} {values[at]}, may be {low}..{high}"
                raise PacketError("configuration", told)
        row = self._kind.row_of([values[at] for at in self._order], active)
        if problem := self._kind.problem(row):
            raise PacketError("configuration", f"{self._kind.name}: {problem}")
        return row


def _letter(field: Field) -> str:
    assert isinstance(field.type, Bounded)
    return "i" if isinstance(field.type, Instant) else _LETTERS[field.type.octets]


@cache
def _layout(number: int) -> _Layout:
    return _Layout(KINDS[number])


def pack_row(row: ConfigRow, now_s: int) -> bytes:
    return _layout(kind_of(row).number).pack(row, now_s)


def unpack_row(reader: Reader, kind: int, active: bool) -> ConfigRow:
    if kind not in KINDS:
        raise PacketError("kind", f"configuration of kind {kind}")
    row: ConfigRow = _layout(kind).unpack(reader, active)
    return row
