"""What a SET makes of the configuration: rows in, rows out, nothing stored.

`edit` turns row assignments into changes (row, deleted) against the present rows, and has
`agent.settings.validate` judge them all at once. Errors come out as RequestError that names the
variable binding at fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from agent.dhcp.options import parse_text
from agent.errors import ConfigError
from agent.kinds import KINDS, kind_of, row_name
from agent.limits import SNMP_CHANGES_TRIED_MAX
from agent.model import (
    ConfigRow,
    Option,
    Reservation,
    configuration_key,
)
from agent.settings.validate import validate_configuration
from agent.snmp import columns
from agent.snmp.assignment import RowAssignment
from agent.snmp.columns import RowStatus
from agent.snmp.lease_tables import ETHERNET_KEY
from agent.snmp.rows import empty_row, value_of
from agent.snmp.rowstatus import RowState, Step, step_of
from agent.snmp.status import ErrorStatus, RequestError, status_of

ETHERNET_OCTETS = 6


_KINDS = {columns.CONFIGURATION[number].name: kind for number, kind in KINDS.items()}
TABLES = frozenset(_KINDS)
"""Names of the tables that this file edits."""


def edit(
    present: Sequence[ConfigRow],
    assignments: Sequence[RowAssignment],
    live_bindings: Callable[[int, int], int],
    now: int,
) -> list[tuple[ConfigRow, bool]]:
    """The changes that the SET makes; rows that stay as they are, are not among them."""
    rows = {configuration_key(row): row for row in present}
    changes: list[tuple[ConfigRow, bool]] = []
    named: dict[str, RowAssignment] = {}
    for assignment in assignments:
        empty = empty_row(_KINDS[assignment.table.name], assignment.index)
        key = configuration_key(empty)
        named[row_name(empty)] = assignment
        old = rows.get(key)
        at = assignment.status_number or assignment.number
        step = step_of(_state(old), assignment.status, at)
        if step is Step.NOTHING:
            continue
        if step is Step.REMOVE:
            changes.append((old or empty, True))
            continue
        row = _with_values(old or empty, assignment, now)
        new = replace(row, active=_active(step, old))
        if new != old:
            changes.append((new, False))
    try:
        validate_configuration(present, changes, live_bindings)
    except ConfigError as error:
        words = str(error)

        def is_spared(rest: Sequence[tuple[ConfigRow, bool]]) -> bool:
            try:
                validate_configuration(present, rest, live_bindings)
            except ConfigError as other:
                return str(other) != words
            return True

        number = _at_fault(error, named, changes, is_spared)
        raise RequestError(status_of(error), number, words) from error
    return changes


def _at_fault(
    error: ConfigError,
    named: Mapping[str, RowAssignment],
    changes: Sequence[tuple[ConfigRow, bool]],
    is_spared: Callable[[Sequence[tuple[ConfigRow, bool]]], bool],
) -> int:
    """The variable binding of the row without whose change this error `is_spared`, and of its
    column where the error names one. The row that the error names comes first, but may be none of
    the SET's, or one that the SET changes in another way: what overlaps it, or takes its subnet
    away, is at fault then."""
    if not changes:
        return 1  # what is there is at fault by itself
    order = sorted(range(len(changes)), key=lambda at: row_name(changes[at][0]) != error.name)
    tried = order[:SNMP_CHANGES_TRIED_MAX] if len(changes) > 1 else ()
    at = next((n for n in tried if is_spared([*changes[:n], *changes[n + 1 :]])), order[0])
    found = named[row_name(changes[at][0])]
    if found.status in (RowStatus.DESTROY, RowStatus.NOT_IN_SERVICE):
        return found.status_number
    for field in _KINDS[found.table.name].fields:
        names = ((field.toml or field.name).replace("-", " "), field.column.lower())
        if error.key in names and field.column in found.values:
            return found.values[field.column].number
    return found.number


def _state(row: ConfigRow | None) -> RowState:
    if row is None:
        return RowState.ABSENT
    return RowState.ACTIVE if row.active else RowState.NOT_IN_SERVICE


def _active(step: Step, old: ConfigRow | None) -> bool:
    if step is Step.KEEP:
        return old is not None and old.active
    return step in (Step.CREATE_ACTIVE, Step.ACTIVATE)


def _with_values(row: ConfigRow, assignment: RowAssignment, now: int) -> ConfigRow:
    kind = kind_of(row)
    told = {
        field.name: value_of(field, assignment.values[field.column].value, now)
        for field in kind.fields
        if field.column in assignment.values
    }
    if isinstance(row, Option):
        told["data"] = _option_data(row, assignment)
    elif isinstance(row, Reservation):
        told["client_key"] = _client_key(row, assignment)
    return replace(row, **told)


def _option_data(row: Option, assignment: RowAssignment) -> bytes:
    """Value and Text are two ways to say the same."""
    data = assignment.octets("Value", row.data)
    text = assignment.values.get("Text")
    if text is None:
        return data
    try:
        parsed = parse_text(row.code, str(text.value))
    except ConfigError as error:
        raise RequestError(ErrorStatus.WRONG_VALUE, text.number, str(error)) from error
    if "Value" in assignment.values and parsed != data:
        raise RequestError(ErrorStatus.INCONSISTENT_VALUE, text.number, "value and text differ")
    return parsed


def _client_key(row: Reservation, assignment: RowAssignment) -> bytes:
    """ClientKey and HardwareAddress are two ways to name the client."""
    key = assignment.octets("ClientKey", row.client_key)
    address = assignment.values.get("HardwareAddress")
    if address is None:
        given = assignment.values.get("ClientKey")
        if given is not None and key[:1] not in (b"\x00", b"\x01"):
            raise RequestError(
                ErrorStatus.WRONG_VALUE, given.number, "a client key begins with octet 0 or 1"
            )
        return key
    octets = assignment.octets("HardwareAddress", b"")
    if len(octets) != ETHERNET_OCTETS:
        raise RequestError(
            ErrorStatus.WRONG_LENGTH, address.number, f"{len(octets)} octets, Ethernet has 6"
        )
    made = ETHERNET_KEY + octets
    if "ClientKey" in assignment.values and made != key:
        raise RequestError(
            ErrorStatus.INCONSISTENT_VALUE, address.number, "it and the client key differ"
        )
    return made
