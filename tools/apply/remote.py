"""A member's configuration tables over SNMP: read as rows, and a plan written by SET. Of the kinds
that the file says: others are neither changed nor deleted.

Steps travel together in one SET as long as they fit, because the member judges a SET as a whole:
a pool can be replaced by a larger one without a moment in which there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from agent.errors import ConfigError
from agent.kinds import KINDS, kind_of
from agent.kinds.kind import Field, Kind
from agent.kinds.values import Text
from agent.model import ChangeKind, ConfigRow, Subnet
from agent.settings.validate import validate_configuration
from agent.snmp.columns import CONFIGURATION, RowStatus
from agent.snmp.oid import Oid
from agent.snmp.rows import cell, empty_row, index_of, value_of
from tools.apply.plan import Action, Step, changes
from tools.errors import ManagerError, ToolError
from tools.manager import Assignment, Row, Session, Value

_SET_VARIABLES_MAX = 160
_SET_OCTETS_MAX = 16_000
"""Bounds of one SET: well under a datagram with room for what encryption adds."""


class Remote:
    """The configuration that a member has: `rows`, and the leases in each of its subnets."""

    def __init__(self, manager: Session) -> None:
        self._manager = manager
        tables = {
            number: manager.table(table)
            for number, table in CONFIGURATION.items()
            if KINDS[number].in_file
        }
        self.rows: list[ConfigRow] = [
            _row(KINDS[number], index, cells)
            for number, table in tables.items()
            for index, cells in table.items()
        ]
        subnets = tables[ChangeKind.SUBNET]
        self._in_use = {
            (row.first, row.last): _number(subnets[index_of(row)], "InUse")
            for row in self.rows
            if isinstance(row, Subnet)
        }

    def check(self, plan: Sequence[Step]) -> None:
        """Judge the plan by the member's own rules, so that a refusal has words."""
        validate_configuration(
            self.rows, changes(plan), lambda first, last: self._in_use.get((first, last), 0)
        )

    def write(self, plan: Sequence[Step], done: Callable[[Step], None]) -> None:
        """SET the plan; `done` is called for each step that the member has taken."""
        for batch in _batches(plan):
            try:
                self._manager.set([one for step in batch for one in assignments(step)])
            except ManagerError as error:
                if not error.status or error.status == "requestTimedOut":
                    raise
                words = ", ".join(f"{s.action.value} {s.kind} {s.key}" for s in batch[:3])
                more = f" and {len(batch) - 3} more" if len(batch) > 3 else ""
                raise ToolError(f"{error}; nothing was done of: {words}{more}") from None
            for step in batch:
                done(step)


def _batches(plan: Sequence[Step]) -> Iterator[list[Step]]:
    batch: list[Step] = []
    variables = octets = 0
    for step in plan:
        cells = assignments(step)
        size = sum(len(c.value) if isinstance(c.value, bytes) else 8 for c in cells)
        size += 40 * len(cells)
        full = variables + len(cells) > _SET_VARIABLES_MAX or octets + size > _SET_OCTETS_MAX
        if batch and full:
            yield batch
            batch, variables, octets = [], 0, 0
        batch.append(step)
        variables += len(cells)
        octets += size
    if batch:
        yield batch


def assignments(step: Step) -> list[Assignment]:
    """The variable bindings of one step (RowStatus by RFC 2579 2)."""
    table, index = CONFIGURATION[kind_of(step.row).number], index_of(step.row)
    if step.action is Action.DELETE:
        return [Assignment(table["RowStatus"], index, RowStatus.DESTROY)]
    cells = _cells(step.row)
    if step.before is None:
        status = RowStatus.CREATE_AND_GO if step.row.active else RowStatus.CREATE_AND_WAIT
        cells["RowStatus"] = status
    else:
        before = _cells(step.before)
        cells = {name: value for name, value in cells.items() if value != before[name]}
        if step.row.active is not step.before.active:
            status = RowStatus.ACTIVE if step.row.active else RowStatus.NOT_IN_SERVICE
            cells["RowStatus"] = status
    return [Assignment(table[name], index, value) for name, value in cells.items()]


def _cells(row: ConfigRow) -> dict[str, Value]:
    kind = kind_of(row)
    told = {field.column: cell(field, row) for field in kind.fields[len(kind.keys) :]}
    return {
        column: value.encode() if isinstance(value, str) else value
        for column, value in told.items()
    }


def _row(kind: Kind, index: Oid, cells: Row) -> ConfigRow:
    """What a member does not tell is as in an empty row."""
    told = {
        field.name: value_of(field, _text(cells[field.column], field))
        for field in kind.fields
        if field.column in cells
    }
    row: ConfigRow = replace(empty_row(kind, index), **told, active=_is_active(cells))
    return row


def _text(value: Value, field: Field) -> Value | str:
    if isinstance(field.type, Text) and isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def _is_active(row: Row) -> bool:
    return row.get("RowStatus") == RowStatus.ACTIVE


def _number(row: Row, name: str) -> int:
    value = row.get(name, 0)
    return value if isinstance(value, int) else 0


def explain(error: ConfigError, path: str) -> ConfigError:
    """A rule that the plan would break, named by the file that asks for it."""
    place = f"{error.name}, {error.key}" if error.key else error.name
    return ConfigError(path, place, error.problem, error.remedy)
