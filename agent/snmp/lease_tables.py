"""Bindings, addresses and the configuration, as tables.

The typed columns are for people and monitoring; the packed ones for members, who pay for each
variable binding and not for each octet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.dhcp.option_types import option_type
from agent.dhcp.options import format_text
from agent.kinds import KINDS
from agent.kinds.kind import Field, Kind
from agent.kinds.values import Instant
from agent.limits import BLOCK_ADDRESSES, SNMP_BLOCKS_PAGE, SNMP_ROWS_MAX
from agent.model import (
    NEVER,
    AddressRange,
    AddressState,
    BindingState,
    ChangeKind,
    ConfigRow,
    Pool,
    Subnet,
    Transaction,
    configuration_key,
    stream_incarnation,
    stream_member,
)
from agent.settings.configuration import Configuration
from agent.snmp import columns
from agent.snmp.columns import RowStatus, Table
from agent.snmp.oid import Oid, address_index, index_address
from agent.snmp.rows import cell, empty_row, index_of, place_behind
from agent.snmp.tables import (
    NEVER_DATE,
    Cell,
    ListProvider,
    NarrowProvider,
    Provider,
    QueryProvider,
    Scope,
    date_and_time,
)
from agent.sync.codec import pack_record, pack_records
from agent.sync.conflict import first_and_second
from agent.sync.stock import high_mark, is_nearly_empty, sharing

Row = tuple[Oid, Any]

ETHERNET_KEY = b"\x00\x01"
"""How a client key begins that is an Ethernet address (agent.model.Binding)."""


# --- bindings

EXPIRED = 4
"""dhcpSyncBindingState of a BOUND record whose expiry has passed: derived, never stored."""


def binding_state(scope: Scope, row: tuple[Any, ...]) -> int:
    _, state, expires_at = row
    if state == BindingState.BOUND and expires_at <= scope.now:
        return EXPIRED
    return int(state)


def _expires_at(_: Scope, row: tuple[Any, ...]) -> bytes:
    return NEVER_DATE if row[1] >= NEVER else date_and_time(row[1])


def _first(_: Scope, row: tuple[Any, ...]) -> Any:
    return row[1]


def _options(_: Scope, row: tuple[Any, ...]) -> bytes:
    """The row of a conflict has its parties there (`agent.sync.conflict`)."""
    return b"" if row[2] == Transaction.CONFLICT else row[1]


BINDING_COLUMNS: Mapping[str, tuple[tuple[str, ...], Cell]] = {
    "State": (("state", "expires_at"), binding_state),
    "HardwareType": (("hardware_type",), _first),
    "HardwareAddress": (("hardware_address",), _first),
    "ClientId": (("client_id",), lambda _, row: row[1] or b""),
    "HostName": (("hostname",), _first),
    "ExpiresAt": (("expires_at",), _expires_at),
    "Epoch": (("epoch",), _first),
    "Grant": (("grant",), _first),
    "TransactionType": (("transaction",), lambda _, row: row[1] + 1),
    "TransactionAt": (("transaction_at",), lambda _, row: date_and_time(row[1])),
    "TransactionServer": (("transaction_server",), _first),
    "StreamServer": (("stream",), lambda _, row: stream_member(row[1])),
    "StreamIncarnation": (("stream",), lambda _, row: stream_incarnation(row[1])),
    "StreamSeq": (("seq",), _first),
    "Options": (("options", "transaction"), _options),
}
"""For each column of dhcpSyncBindingTable what it is made of, and how."""


def _bindings(scope: Scope, fields: tuple[str, ...], first: Oid, limit: int) -> list[Row]:
    rows = scope.tx.binding_columns(fields, index_address(first), limit)
    return [(address_index(row[0]), row) for row in rows]


def _blocks(scope: Scope, first: Oid, limit: int) -> list[Row]:
    blocks = scope.tx.binding_blocks(first[0] - 1, limit)
    return [((number,), rows) for number, rows in blocks]


# --- addresses


def _address_ranges(scope: Scope, first: Oid, limit: int) -> list[Row]:
    ranges = scope.tx.address_ranges_after(index_address(first) - 1, limit)
    return [(address_index(one.first), one) for one in ranges]


ADDRESS_CELLS: Mapping[str, Cell] = {
    "Last": lambda _, row: row.last.to_bytes(4, "big"),
    "State": lambda _, row: row.state,
    "Epoch": lambda _, row: row.epoch,
    "Member": lambda _, row: row.member,
    "Generation": lambda _, row: row.generation,
}


# --- conflicts


def _conflicts(scope: Scope, first: Oid, limit: int) -> list[Row]:
    rows = scope.tx.conflicts(index_address(first), limit)
    return [(address_index(row.address), row) for row in rows]


CONFLICT_CELLS: Mapping[str, Cell] = {
    "FirstClient": lambda _, row: first_and_second(row)[0][0],
    "FirstServer": lambda _, row: first_and_second(row)[0][1].server,
    "SecondClient": lambda _, row: first_and_second(row)[1][0],
    "SecondServer": lambda _, row: first_and_second(row)[1][1].server,
    "Since": lambda _, row: date_and_time(row.transaction_at),
    "ExpiresAt": lambda _, row: date_and_time(row.expires_at),
    "RowStatus": lambda _, row: RowStatus.ACTIVE,
}


# --- how full a span of addresses is


@dataclass(frozen=True, slots=True)
class Usage:
    in_use: int
    free: int
    unavailable: int


def usage(scope: Scope, first: int, last: int) -> Usage:
    """What is leased, what this member can give at once, and what may not be given."""

    def count() -> Usage:
        counts = scope.tx.count_bindings(first, last, scope.now)
        free = sum(
            _free_in(scope, one, first, last) for one in scope.tx.address_ranges(first, last)
        )
        return Usage(counts.live, free, counts.unavailable)

    found: Usage = scope.keep(("usage", first, last), count)
    return found


def _free_in(scope: Scope, one: AddressRange, first: int, last: int) -> int:
    """Addresses of first..last in a BINDABLE range that no binding of its epoch holds."""
    if one.state is not AddressState.BINDABLE:
        return 0
    low, high = max(one.first, first), min(one.last, last)
    bound = sum(count for _, count in scope.tx.bound_counts(low, high, one.epoch))
    return high - low + 1 - bound


def active_pools(scope: Scope) -> list[Pool]:
    def read() -> list[Pool]:
        records = scope.tx.configuration(ChangeKind.POOL)
        rows = [record.row for record in records if not record.deleted]
        return [row for row in rows if isinstance(row, Pool) and row.active]

    pools: list[Pool] = scope.keep("active pools", read)
    return pools


def pools_low(scope: Scope) -> int:
    """Active pools that run out here, by the rule by which dhcpSyncFreeAddressLow is sent. A
    database member keeps none."""
    group, me = scope.group(), scope.local().member
    weights = sharing(group) if group is not None else {me: 1}

    def is_low(pool: Pool) -> bool:
        used = usage(scope, pool.first, pool.last)
        left = pool.last - pool.first + 1 - used.in_use - used.unavailable
        return me in weights and is_nearly_empty(used.free, high_mark(left, weights, me), False)

    return sum(is_low(pool) for pool in active_pools(scope))


def _subnet_usage(read: Callable[[Usage], int]) -> Cell:
    def cell(scope: Scope, row: Subnet) -> int:
        return sum(
            read(usage(scope, pool.first, pool.last))
            for pool in active_pools(scope)
            if pool.first in row and pool.last in row
        )

    return cell


def _subnet_size(scope: Scope, row: Subnet) -> int:
    return sum(
        pool.last - pool.first + 1
        for pool in active_pools(scope)
        if pool.first in row and pool.last in row
    )


# --- configuration


def _lease_time(scope: Scope, row: Subnet) -> int:
    """What holds in the subnet, whichever scope says it."""

    def read() -> Configuration:
        # Nothing else says it; all of the configuration would be read for each page of a walk.
        return Configuration.from_records(scope.tx.configuration(ChangeKind.SETTING))

    settings: Configuration = scope.keep("settings", read)
    group = scope.group()
    return settings.times_for(row).lease or (group.lease_s if group else 0)


def _row_status(_: Scope, row: ConfigRow) -> int:
    return RowStatus.ACTIVE if row.active else RowStatus.NOT_IN_SERVICE


def hardware_address_of(client_key: bytes) -> bytes:
    """The Ethernet address that a client key is made of, or nothing."""
    is_ethernet = client_key.startswith(ETHERNET_KEY) and len(client_key) == 8
    return client_key[2:] if is_ethernet else b""


_BESIDE: Mapping[int, Mapping[str, Cell]] = {
    ChangeKind.SUBNET: {
        "LeaseTime": _lease_time,
        "Size": _subnet_size,
        "InUse": _subnet_usage(lambda used: used.in_use),
        "Free": _subnet_usage(lambda used: used.free),
    },
    ChangeKind.POOL: {
        "Size": lambda _, row: row.last - row.first + 1,
        "InUse": lambda scope, row: usage(scope, row.first, row.last).in_use,
        "Free": lambda scope, row: usage(scope, row.first, row.last).free,
        "Unavailable": lambda scope, row: usage(scope, row.first, row.last).unavailable,
    },
    ChangeKind.OPTION: {
        "Name": lambda _, row: option_type(row.code).name,
        "Text": lambda _, row: format_text(row.code, row.data),
    },
    ChangeKind.RESERVATION: {
        "HardwareAddress": lambda _, row: hardware_address_of(row.client_key),
    },
    ChangeKind.FORMER_SERVER: {"Until": lambda _, row: date_and_time(row.until)},
}
"""The cells of the columns that are no fields of a row."""


def _field_cell(field: Field) -> Cell:
    if isinstance(field.type, Instant):
        return lambda scope, row: cell(field, row, scope.now_ms // 1000)
    return lambda _, row: cell(field, row)


@dataclass(frozen=True)
class _Configuration:
    """The table of a kind."""

    kind: Kind
    table: Table
    cells: Mapping[str, Cell]
    page: int = SNMP_ROWS_MAX

    def rows_after(self, scope: Scope, after: Oid, limit: int) -> Sequence[Row]:
        key = (self.table.name, after, limit)
        found: Sequence[Row] = scope.keep(key, lambda: self._query(scope, after, limit))
        return found

    def _query(self, scope: Scope, after: Oid, limit: int) -> Sequence[Row]:
        place = place_behind(self.kind, after)
        records = scope.tx.configuration_after(self.kind.number, place, limit)
        return [(index_of(record.row), record.row) for record in records]

    def row(self, scope: Scope, index: Oid) -> ConfigRow | None:
        try:
            key = configuration_key(empty_row(self.kind, index))
        except ValueError:
            return None
        record = scope.keep(key, lambda: scope.tx.configuration_record(*key))
        return None if record is None or record.deleted else record.row


def _configuration(kind: Kind) -> _Configuration:
    cells = {field.column: _field_cell(field) for field in kind.fields[len(kind.keys) :]}
    cells |= {**_BESIDE.get(kind.number, {}), "RowStatus": _row_status}
    return _Configuration(kind, columns.CONFIGURATION[kind.number], cells)


def _config_records(scope: Scope) -> list[Row]:
    rows: list[Row] = []
    for kind in KINDS:
        records = scope.tx.configuration(kind)
        rows += [((kind, at), record) for at, record in enumerate(records, 1)]
    return rows


def providers() -> list[Provider]:
    """Every table of this file."""
    return [
        NarrowProvider(
            columns.BINDING,
            {short: fields for short, (fields, _) in BINDING_COLUMNS.items()},
            {short: cell for short, (_, cell) in BINDING_COLUMNS.items()},
            _bindings,
        ),
        QueryProvider(
            columns.BINDING_BLOCK,
            {"Records": lambda scope, rows: pack_records(rows, scope.now_ms)},
            _blocks,
            page=SNMP_BLOCKS_PAGE,
        ),
        QueryProvider(columns.ADDRESS, ADDRESS_CELLS, _address_ranges),
        QueryProvider(columns.CONFLICT, CONFLICT_CELLS, _conflicts),
        *map(_configuration, KINDS.values()),
        ListProvider(
            columns.CONFIG_RECORD,
            {"Packed": lambda scope, record: pack_record(record, scope.now_ms)},
            _config_records,
        ),
    ]


assert BLOCK_ADDRESSES == 16, "the MIB says that a block has 16 addresses"
