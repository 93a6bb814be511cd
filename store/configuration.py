"""Configuration rows: four tables of one form, told apart by `ChangeKind`.

A row's columns are its natural key, its values, and then what versions it. Deleted rows stay, with
key and version, so that a late copy of the living row cannot bring it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, select, tuple_

from agent.model import (
    ChangeKind,
    ClaimPolicy,
    ConfigRecord,
    ConfigRow,
    Option,
    Pool,
    ProbePolicy,
    Reservation,
    Subnet,
    Version,
    configuration_key,
    parse_address,
)
from store.local import LocalRow
from store.session import Row
from store.sqlite import compile_statement, compile_upsert, limited
from store.tables import CONFIGURATION

Key = tuple[int, ...]

_CLASS: dict[ChangeKind, type[ConfigRow]] = {
    ChangeKind.SUBNET: Subnet,
    ChangeKind.POOL: Pool,
    ChangeKind.OPTION: Option,
    ChangeKind.RESERVATION: Reservation,
}
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
    def about(cls, kind: ChangeKind) -> _Statements:
        table = CONFIGURATION[kind]
        key = list(table.primary_key)
        names = [f"{column.name}_" for column in key]
        in_order = select(table).order_by(*key)
        behind = tuple_(*key) > tuple_(*(bindparam(name) for name in names))
        return cls(
            everything=compile_statement(in_order),
            one=compile_statement(
                select(table).where(*(c == bindparam(n) for c, n in zip(key, names, strict=True))),
                *names,
            ),
            after=compile_statement(limited(in_order.where(behind), "limit"), *names, "limit"),
            last_version=compile_statement(select(func.max(table.c.version_counter))),
            put=compile_upsert(table),
        )


_SUBNET = list(CONFIGURATION[ChangeKind.SUBNET].columns.keys())
_CLAIMS, _PROBE = _SUBNET.index("claims"), _SUBNET.index("probe")
_STATEMENTS = {kind: _Statements.about(kind) for kind in CONFIGURATION}


def _record(kind: ChangeKind, row: Row) -> ConfigRecord:
    active, deleted, counter, member, stream, seq = row[-_TAIL:]
    values: list[Any] = [*row[:-_TAIL], bool(active)]
    if kind is ChangeKind.SUBNET:
        values[_CLAIMS] = ClaimPolicy(values[_CLAIMS])
        values[_PROBE] = ProbePolicy(values[_PROBE])
    return ConfigRecord(_CLASS[kind](*values), Version(counter, member), bool(deleted), stream, seq)


def _row(record: ConfigRecord) -> Row:
    r = record.row
    version = (+record.deleted, record.version.counter, record.version.member)
    tail = (+r.active, *version, record.stream, record.seq)
    if isinstance(r, Subnet):
        words = (r.lease_s, r.interface, r.name, +r.claims, r.offer_delay_s, +r.probe)
        return (r.network, r.prefix_length, *words, *tail)
    if isinstance(r, Pool):
        return (r.first, r.last, r.name, *tail)
    if isinstance(r, Option):
        return (r.network, r.prefix_length, r.code, r.data, *tail)
    return (r.address, r.client_key, r.hostname, *tail)


def parse_configuration_key(kind: ChangeKind, key: str) -> Key:
    """The columns of a natural key (`agent.model.configuration_key`); ValueError names it."""
    try:
        if kind is ChangeKind.RESERVATION:
            return (parse_address(key),)
        if kind is ChangeKind.POOL:
            first, last = key.split("-")
            return (parse_address(first), parse_address(last))
        scope, _, code = key.partition(":")
        network, length = scope.split("/")
        prefix = (parse_address(network), int(length))
        return (*prefix, int(code)) if kind is ChangeKind.OPTION else prefix
    except ValueError as error:
        raise ValueError(f"{key!r} is no key of a {kind.name.lower()}") from error


class ConfigurationRows(LocalRow):
    """The part of the port about configuration."""

    def configuration(self, kind: ChangeKind) -> list[ConfigRecord]:
        return [_record(kind, row) for row in self.rows(_STATEMENTS[kind].everything)]

    def configuration_after(self, kind: ChangeKind, after: Key, limit: int) -> list[ConfigRecord]:
        """Records behind the key columns `after`, in order, deleted ones included. A shorter
        `after` is filled up with -1, so () is the beginning and a prefix lies before its rows."""
        width = len(CONFIGURATION[kind].primary_key)
        filled = (*after, *[-1] * (width - len(after)))
        return [_record(kind, row) for row in self.rows(_STATEMENTS[kind].after, (*filled, limit))]

    def configuration_record(self, kind: ChangeKind, key: str) -> ConfigRecord | None:
        rows = self.rows(_STATEMENTS[kind].one, parse_configuration_key(kind, key))
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
        for kind, rows in _by_kind(records):
            self.change_many(_STATEMENTS[kind].put, rows)
        if records:
            self.configuration_changed()

    def _last_version(self) -> int:
        return max(self.rows(s.last_version)[0][0] or 0 for s in _STATEMENTS.values())


def _by_kind(records: Iterable[ConfigRecord]) -> Iterable[tuple[ChangeKind, list[Row]]]:
    rows: dict[ChangeKind, list[Row]] = {}
    for record in records:
        rows.setdefault(configuration_key(record.row)[0], []).append(_row(record))
    return rows.items()
