"""Configuration rows: tables of one form, one for each of `agent.kinds.KINDS`.

A row's columns are its natural key, its values, and then what versions it. Deleted rows stay, with
key and version, so that a late copy of the living row cannot bring it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    LargeBinary,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    tuple_,
)

from agent.kinds import KINDS, kind_of
from agent.model import (
    ConfigRecord,
    ConfigRow,
    Version,
    configuration_key,
)
from store.local import LocalRow
from store.session import Row
from store.sqlite import compile_statement, compile_upsert, limited
from store.tables import CONFIGURATION

Key = tuple[int | str, ...]
Place = tuple[int | bytes, ...]
"""Where a key is in the order of the MIB's index, which has a text by its length, then its octets
(RFC 2578 7.7)."""

_TAIL = 6
"""Columns behind a row's own: active, deleted, version (2), stream, seq."""


@dataclass(frozen=True, slots=True)
class _Statements:
    """The statements about one table."""

    everything: str
    one: str
    after: str
    last_version: str
    put: str

    @classmethod
    def about(cls, kind: int) -> _Statements:
        table = CONFIGURATION[kind]
        key = list(table.primary_key)
        names = [f"{column.name}_" for column in key]
        place = [part for column in key for part in _place(column)]
        places = [f"place_{at}" for at in range(len(place))]
        standing = table.c.deleted == literal_column("0")
        in_order = select(table).order_by(*place)
        behind = tuple_(*place) > tuple_(*(bindparam(name) for name in places))
        return cls(
            everything=compile_statement(in_order),
            one=compile_statement(
                select(table).where(*(c == bindparam(n) for c, n in zip(key, names, strict=True))),
                *names,
            ),
            after=compile_statement(
                limited(in_order.where(standing, behind), "limit"), *places, "limit"
            ),
            last_version=compile_statement(select(func.max(table.c.version_counter))),
            put=compile_upsert(table),
        )


def _place(column: Column[Any]) -> list[ColumnElement[Any]]:
    if not isinstance(column.type, Text):
        return [column]
    octets = cast(column, LargeBinary)
    return [func.length(octets), octets]


_STATEMENTS: Mapping[int, _Statements] = {kind: _Statements.about(kind) for kind in CONFIGURATION}


_WIDTHS: Mapping[int, int] = {
    kind: sum(len(_place(column)) for column in table.primary_key)
    for kind, table in CONFIGURATION.items()
}
"""How many values a place has."""


def _record(kind: int, row: Row) -> ConfigRecord:
    active, deleted, counter, member, stream, seq = row[-_TAIL:]
    own = KINDS[kind].row_of(row[:-_TAIL], bool(active))
    return ConfigRecord(own, Version(counter, member), bool(deleted), stream, seq)


def _row(kind: int, record: ConfigRecord) -> Row:
    version = (+record.deleted, record.version.counter, record.version.member)
    tail = (+record.row.active, *version, record.stream, record.seq)
    return (*KINDS[kind].values(record.row), *tail)


class ConfigurationRows(LocalRow):
    """The part of the port about configuration."""

    _replaced: Sequence[tuple[ConfigRecord | None, ConfigRecord]] = ()

    def replaced_configuration(self) -> Sequence[tuple[ConfigRecord | None, ConfigRecord]]:
        return self._replaced

    def configuration(self, kind: int) -> list[ConfigRecord]:
        return [_record(kind, row) for row in self.rows(_STATEMENTS[kind].everything)]

    def configuration_after(self, kind: int, after: Place, limit: int) -> list[ConfigRecord]:
        """Records behind the place `after`, in order, and none that is deleted: those are kept for
        ever, and a reader of the next row must not pay for each. A shorter `after` is filled up
        with -1, so () is the beginning and a prefix lies before its rows."""
        filled = (*after, *[-1] * (_WIDTHS[kind] - len(after)))
        return [_record(kind, row) for row in self.rows(_STATEMENTS[kind].after, (*filled, limit))]

    def configuration_record(self, kind: int, key: str) -> ConfigRecord | None:
        rows = self.rows(_STATEMENTS[kind].one, KINDS[kind].parse_key(key))
        return _record(kind, rows[0]) if rows else None

    def save_configuration(self, rows: Sequence[tuple[ConfigRow, bool]]) -> None:
        """Each row gets a version after every version that this store has seen (Lamport)."""
        member = self.local().member
        counter = self._last_version()
        records = []
        for row, deleted in rows:
            counter += 1
            kind, key = configuration_key(row)
            stream, seq = self.take_numbers(kind, [key])
            records.append(ConfigRecord(row, Version(counter, member), deleted, stream, seq))
        self.put_configuration(records)

    def put_configuration(self, records: Sequence[ConfigRecord]) -> None:
        """Write records as they are; what a deletion or a version means is the merge's to say."""
        before = [self._present(record.row) for record in records]
        self._replaced = [*self._replaced, *zip(before, records, strict=True)]
        for kind, rows in _by_kind(records):
            self.change_many(_STATEMENTS[kind].put, rows)
        if records:
            self.configuration_changed()

    def _present(self, row: ConfigRow) -> ConfigRecord | None:
        """What is kept under the key of `row`."""
        kind = kind_of(row)
        rows = self.rows(_STATEMENTS[kind.number].one, kind.values(row)[: len(kind.keys)])
        return _record(kind.number, rows[0]) if rows else None

    def _last_version(self) -> int:
        return max(self.rows(s.last_version)[0][0] or 0 for s in _STATEMENTS.values())


def _by_kind(records: Iterable[ConfigRecord]) -> Iterable[tuple[int, list[Row]]]:
    rows: dict[int, list[Row]] = {}
    for record in records:
        kind = kind_of(record.row).number
        rows.setdefault(kind, []).append(_row(kind, record))
    return rows.items()
