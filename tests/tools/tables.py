"""A member's tables of configuration, as somebody who speaks to it sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from agent.kinds import KINDS, configuration_key, kind_of
from agent.model import ConfigRow
from agent.snmp import ber, columns, editing
from agent.snmp.assignment import gather
from agent.snmp.ber import Varbind
from agent.snmp.lease_tables import providers
from agent.snmp.oid import Oid
from agent.snmp.rows import index_of
from agent.snmp.view import Role
from tools.manager import Assignment, Row, Value

_TAGS = {
    columns.Base.INTEGER: ber.INTEGER,
    columns.Base.OCTETS: ber.OCTETS,
    columns.Base.UNSIGNED: ber.UNSIGNED32,
}
_CELLS: dict[str, Mapping[str, Any]] = {
    one.table.name: one.cells for one in providers() if one.table in columns.CONFIGURATION.values()
}
_BEGINNING = SimpleNamespace(now_ms=0)
"""When it is there: what is left until an instant is the instant itself."""


class Tables:
    """A `Session` whose SETs are judged, and whose cells are made, as an agent does it. There
    are no leases."""

    def __init__(self, rows: Iterable[ConfigRow] = ()) -> None:
        self.rows = list(rows)

    def table(self, table: columns.Table) -> dict[Oid, Row]:
        (kind,) = [KINDS[n] for n, one in columns.CONFIGURATION.items() if one is table]
        shorts = [field.column for field in kind.fields if field.arc] + ["RowStatus"]
        shorts += ["Until"] if "Until" in table.columns else []
        found: dict[Oid, Row] = {}
        for row in self.rows:
            if kind_of(row) is kind:
                told = {short: _CELLS[table.name][short](_BEGINNING, row) for short in shorts}
                found[index_of(row)] = {
                    short: value.encode() if isinstance(value, str) else value
                    for short, value in told.items()
                }
        return found

    def set(self, assignments: Iterable[Assignment]) -> None:
        varbinds = [
            Varbind((*one.column.oid, *one.index), _TAGS[one.column.syntax.base], one.value)
            for one in assignments
        ]
        changes = editing.edit(self.rows, gather(Role.OPERATOR, varbinds), lambda *_: 0, 0)
        keys = {configuration_key(row) for row, _ in changes}
        self.rows = [row for row in self.rows if configuration_key(row) not in keys]
        self.rows += [row for row, deleted in changes if not deleted]

    def get(self, objects: Sequence[columns.Scalar]) -> list[Value | None]:
        raise AssertionError(objects)

    def row(self, table: columns.Table, index: Oid) -> Row:
        raise AssertionError((table, index))

    def below(self, column: columns.Column, index: Oid, limit: int) -> dict[Oid, Value]:
        (table,) = [t for t in columns.CONFIGURATION.values() if column in t.columns.values()]
        (short,) = [name for name, one in table.columns.items() if one is column]
        rows = self.table(table).items()
        return {at[len(index) :]: row[short] for at, row in rows if at[: len(index)] == index}

    def close(self) -> None:
        pass
