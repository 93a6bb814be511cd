"""The variable bindings of a SET as rows: which columns of which rows get which values.

RFC 3416 4.2.5 wants all assignments of a SET made as if at once, so nothing here depends on their
order: they are checked one by one, gathered by row, and only then does anybody look at the rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from agent.snmp import ber, columns, system
from agent.snmp.ber import Varbind
from agent.snmp.columns import Access, Base, Column, Form, RowStatus, Syntax, Table
from agent.snmp.oid import Oid, format_oid, starts_with
from agent.snmp.status import ErrorStatus, RequestError
from agent.snmp.view import Operation, Role, has_view, may

_TAG = {
    Base.INTEGER: ber.INTEGER,
    Base.OCTETS: ber.OCTETS,
    Base.UNSIGNED: ber.UNSIGNED32,
    Base.COUNTER64: ber.COUNTER64,
}


@dataclass(frozen=True, slots=True)
class Assigned:
    """A value and the number (from 1) of its variable binding."""

    value: int | bytes | str
    number: int


@dataclass(slots=True)
class RowAssignment:
    """What a SET says about one row; `status` is its RowStatus, `values` all other columns."""

    table: Table
    index: Oid
    number: int
    values: dict[str, Assigned] = field(default_factory=dict)
    status: RowStatus | None = None
    status_number: int = 0

    def integer(self, short: str, default: int) -> int:
        found = self.values.get(short)
        return found.value if found and isinstance(found.value, int) else default

    def octets(self, short: str, default: bytes) -> bytes:
        found = self.values.get(short)
        return found.value if found and isinstance(found.value, bytes) else default

    def text(self, short: str, default: str) -> str:
        found = self.values.get(short)
        return found.value if found and isinstance(found.value, str) else default


def gather(
    role: Role | None, varbinds: Sequence[Varbind], others: Collection[int] = ()
) -> list[RowAssignment]:
    """Rows in the order in which the SET first names them; variable bindings of the numbers
    `others` are none of a row's. Raises RequestError."""
    if role is None or not has_view(role, Operation.WRITE):
        # RFC 3413 3.2: who has no view is refused as such, for no variable binding of his.
        raise RequestError(ErrorStatus.AUTHORIZATION_ERROR)
    rows: dict[tuple[str, Oid], RowAssignment] = {}
    for number, one in enumerate(varbinds, 1):
        if number in others:
            continue
        table, short, column, index = _locate(role, one, number)
        value = check_value(column.syntax, one, number)
        if not _is_index(table, index):
            raise RequestError(ErrorStatus.NO_CREATION, number, f"{column.name}: no index {index}")
        row = rows.setdefault((table.name, index), RowAssignment(table, index, number))
        if column.name.endswith("RowStatus") and isinstance(value, int):
            if row.status is not None and row.status != value:
                raise RequestError(ErrorStatus.INCONSISTENT_VALUE, number, "set twice")
            row.status, row.status_number = RowStatus(value), number
        else:
            if short in row.values and row.values[short].value != value:
                raise RequestError(ErrorStatus.INCONSISTENT_VALUE, number, "set twice")
            row.values[short] = Assigned(value, number)
    return list(rows.values())


def _locate(role: Role, one: Varbind, number: int) -> tuple[Table, str, Column, Oid]:
    """The table, column and index that a name means (RFC 3416 4.2.5, cases 1 and 2)."""
    if not may(role, Operation.WRITE, one.oid):
        raise RequestError(ErrorStatus.NO_ACCESS, number, f"no write access to {one.oid}")
    for table in columns.TABLES:
        if not starts_with(one.oid, table.entry) or len(one.oid) <= len(table.entry):
            continue
        for short, column in table.columns.items():
            if column.arc == one.oid[len(table.entry)]:
                if column.access is Access.READ_ONLY:
                    raise RequestError(ErrorStatus.NOT_WRITABLE, number, column.name)
                return table, short, column, one.oid[len(column.oid) :]
    raise RequestError(ErrorStatus.NOT_WRITABLE, number, f"no object {format_oid(one.oid)}")


def _is_index(table: Table, index: Oid) -> bool:
    """Whether a row of `table` may have `index`: its shape, and the ranges that the MIB gives."""
    at = 0
    for syntax in table.index.values():
        if at >= len(index):
            return False
        if syntax.base is not Base.OCTETS:
            if not syntax.low <= index[at] <= syntax.high:
                return False
            at += 1
            continue
        length = 4
        if syntax.form is not Form.ADDRESS:  # its length comes before it
            length = index[at]
            at += 1
        octets = index[at : at + length]
        if not syntax.low <= length <= syntax.high or len(octets) < length:
            return False
        if max(octets, default=0) > 255 or not _is_good(syntax.form, bytes(octets)):
            return False
        at += length
    return at == len(index)


def _is_good(form: Form, octets: bytes) -> bool:
    try:
        return form is not Form.TEXT or octets.decode().isprintable()
    except UnicodeDecodeError:
        return False


def check_value(syntax: Syntax, one: Varbind, number: int) -> int | bytes | str:
    """The value, as the column wants it (RFC 3416 4.2.5, cases 3 to 6)."""
    if one.tag != _TAG[syntax.base]:
        raise RequestError(ErrorStatus.WRONG_TYPE, number, f"type 0x{one.tag:02x}")
    value = one.value
    if value is ber.MALFORMED:
        raise RequestError(ErrorStatus.WRONG_ENCODING, number, f"no value of type 0x{one.tag:02x}")
    if isinstance(value, bytes):
        if not syntax.low <= len(value) <= syntax.high:
            raise RequestError(
                ErrorStatus.WRONG_LENGTH,
                number,
                f"{len(value)} octets, may have {syntax.low}..{syntax.high}",
            )
        if syntax.form is Form.TEXT:
            try:
                text = value.decode()
            except UnicodeDecodeError:
                raise RequestError(ErrorStatus.WRONG_VALUE, number, "no UTF-8") from None
            if not text.isprintable():
                raise RequestError(ErrorStatus.WRONG_VALUE, number, "is not printable")
            return text
        return value
    assert isinstance(value, int)
    if not syntax.low <= value <= syntax.high:
        raise RequestError(
            ErrorStatus.WRONG_VALUE, number, f"{value} is not in {syntax.low}..{syntax.high}"
        )
    return value


_SYSTEM_NAMES: dict[Oid, str] = {
    (*system.CONTACT, 0): "sysContact.0",
    (*system.LOCATION, 0): "sysLocation.0",
    (*system.AUTHEN_TRAPS, 0): "snmpEnableAuthenTraps.0",
    (*system.SET_SERIAL, 0): "snmpSetSerialNo.0",
}


def describe(varbinds: Sequence[Varbind]) -> str:
    """A SET in words, for the audit."""
    parts = []
    for one in varbinds:
        name = format_oid(one.oid)
        shown = one.value.hex(":") if isinstance(one.value, bytes) else str(one.value)
        if one.oid in _SYSTEM_NAMES:
            name = _SYSTEM_NAMES[one.oid]
            if isinstance(one.value, bytes):
                shown = repr(one.value.decode("utf-8", "replace"))
        column = columns.column_of(one.oid)
        if column is not None:
            name = f"{column.name}.{format_oid(one.oid[len(column.oid) :])}"
            if isinstance(one.value, bytes) and column.syntax.form is Form.TEXT:
                shown = repr(one.value.decode("utf-8", "replace"))
            elif isinstance(one.value, int):
                shown = column.syntax.names.get(one.value, shown)
        parts.append(f"{name}={shown}")
    return ", ".join(parts)
