"""dhcpSyncClientTable: the addresses of a client, for a manager who knows something of the client.

A row is there for who names its kind and key, and for nobody else: so the index is no order that a
store must keep, which would be paid for by every lease, and a walk of everything passes over it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agent.limits import HARDWARE_ADDRESS_MAX, SNMP_CLIENT_KEY_MAX, SNMP_CLIENT_PAGE
from agent.snmp import columns
from agent.snmp.columns import Table
from agent.snmp.lease_tables import binding_state
from agent.snmp.oid import Oid, address_index, first_index_after, index_address
from agent.snmp.tables import Cell, Scope

HARDWARE_ADDRESS, CLIENT_ID, HOST_NAME = 1, 2, 3
"""dhcpSyncClientKind."""

_ADDRESS_LIMITS = (255,) * 4
_CLIENT_ID_KEY = b"\x01"
"""How a client key begins that is a client identifier (`agent.model.Binding`)."""


class Sought(NamedTuple):
    """A column of the store's bindings, the value it is to have, and `head`, the index without the
    address."""

    column: str
    value: bytes | str
    head: Oid


def sought(index: Oid) -> Sought | None:
    """What an index, whole or cut off behind its key, asks for."""
    if len(index) < 2 or not 1 <= index[1] <= SNMP_CLIENT_KEY_MAX:
        return None
    kind, head = index[0], index[: index[1] + 2]
    if len(head) < index[1] + 2 or max(head[2:]) > 255:
        return None
    key = bytes(head[2:])
    if kind == HARDWARE_ADDRESS and len(key) <= HARDWARE_ADDRESS_MAX:
        return Sought("hardware_address", key, head)
    if kind == CLIENT_ID:
        return Sought("client_key", _CLIENT_ID_KEY + key, head)
    if kind == HOST_NAME:
        try:
            return Sought("hostname", key.decode(), head)
        except UnicodeDecodeError:
            return None
    return None


def _state(scope: Scope, address: int) -> int | None:
    rows = scope.tx.binding_columns(("state", "expires_at"), address, 1)
    return binding_state(scope, rows[0]) if rows and rows[0][0] == address else None


_CELLS: Mapping[str, Cell] = {"State": _state}


@dataclass(frozen=True)
class ClientProvider:
    """Its rows are addresses."""

    table: Table = columns.CLIENT
    cells: Mapping[str, Cell] = field(default_factory=lambda: _CELLS)
    page: int = SNMP_CLIENT_PAGE

    def rows_after(self, scope: Scope, after: Oid, limit: int) -> Sequence[tuple[Oid, Any]]:
        found = sought(after)
        if found is None:
            return ()
        first = first_index_after(after[len(found.head) :], _ADDRESS_LIMITS)
        if first is None:
            return ()
        return [
            ((*found.head, *address_index(address)), address)
            for address in scope.tx.addresses_of(
                found.column, found.value, index_address(first), limit
            )
        ]

    def row(self, scope: Scope, index: Oid) -> int | None:
        found = sought(index)
        tail = index[len(found.head) :] if found is not None else ()
        if found is None or len(tail) != len(_ADDRESS_LIMITS) or max(tail) > 255:
            return None
        address = index_address(tail)
        rows = scope.tx.addresses_of(found.column, found.value, address, 1)
        return address if rows == [address] else None
