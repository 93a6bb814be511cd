"""How a table or a scalar is read: providers of rows, and the cells that make values of them.

A provider answers one question, "the rows behind this index", by one range query; GET, GETNEXT and
GETBULK are all built on it (`responder.py`). Cells turn a row into the value of a column, and the
column's syntax turns that into BER. Everything here runs inside one read transaction of the store,
on the thread that belongs to the store.
"""

from __future__ import annotations

import datetime
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.limits import SNMP_ROWS_MAX
from agent.model import (
    NEVER,
    AddressRange,
    Binding,
    ConfigRecord,
    Group,
    Local,
    MemberId,
    Trouble,
)
from agent.port import StoreTransaction
from agent.pulse import Vitals
from agent.snmp import ber
from agent.snmp.columns import Base, Column, Scalar, Table
from agent.snmp.oid import Oid, first_index_after
from agent.snmp.status import ErrorStatus, RequestError

Cell = Callable[["Scope", Any], int | bytes | str | None]
"""None where the row has no such value: noSuchInstance."""

NEVER_DATE = bytes.fromhex("270f0c1f173b3b002b0000")
"""9999-12-31,23:59:59.0,+0:0: an instant that does not come."""


class BindingCount(Protocol):
    """Bindings of a span of addresses, by what they are at one instant."""

    @property
    def live(self) -> int: ...
    @property
    def expired(self) -> int: ...
    @property
    def released(self) -> int: ...
    @property
    def unavailable(self) -> int: ...


class Audited(Protocol):
    """An entry of the audit."""

    @property
    def seq(self) -> int: ...
    @property
    def at(self) -> int: ...
    @property
    def user(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def hash(self) -> bytes: ...


class ReadingTransaction(StoreTransaction, Protocol):
    """What the store offers management beyond the port of the rules."""

    def count_bindings(self, first: int, last: int, now: int) -> BindingCount: ...
    def binding_columns(
        self, names: tuple[str, ...], first: int, limit: int
    ) -> list[tuple[Any, ...]]: ...
    def binding_blocks(self, after_block: int, limit: int) -> list[tuple[int, list[Binding]]]: ...
    def conflicts(self, first: int, limit: int) -> list[Binding]: ...
    def address_ranges_after(self, first: int, limit: int) -> list[AddressRange]: ...
    def configuration_after(
        self, kind: int, after: tuple[int | bytes, ...], limit: int
    ) -> list[ConfigRecord]: ...
    def audit_after(self, seq: int, limit: int) -> Sequence[Audited]: ...
    def addresses_of(self, name: str, value: bytes | str, first: int, limit: int) -> list[int]: ...
    def count_audited(self, user: str, action: str) -> int: ...


class AgentStore(Protocol):
    """`agent.port.Store` whose transactions offer that."""

    def read(self) -> AbstractContextManager[ReadingTransaction]: ...
    def write(self) -> AbstractContextManager[ReadingTransaction]: ...


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """What the running cluster knows of a member, for dhcpSyncMemberTable.

    `hello_state`, `align_state` and `endpoint_state` are the numbers of the MIB; `last_heard_at` 0
    is never. `joining`: it says that it does not serve before it has taken over everything."""

    incarnation: int = 0
    hello_state: int = 2
    align_state: int = 1
    last_heard_at: int = 0
    clock_offset_ms: int = 0
    backlog: int = 0
    endpoint_state: int = 1
    joining: bool = False
    trouble: int = Trouble.NONE


@dataclass(frozen=True, slots=True)
class PendingChange:
    """A change of the group that this member is having decided, for dhcpSyncPendingTable."""

    change: str
    user: str
    phase: int


@dataclass(slots=True)
class Scope:
    """One request's view: a transaction, the time, and what was already read. `is_late`: the time
    that a request may take is up."""

    tx: ReadingTransaction
    now_ms: int
    peers: Mapping[MemberId, PeerStatus] = field(default_factory=dict)
    pending: Sequence[PendingChange] = ()
    is_late: Callable[[], bool] = lambda: False
    store_fails: bool = False
    vitals: Vitals = field(default_factory=Vitals)
    _kept: dict[object, Any] = field(default_factory=dict)

    @property
    def now(self) -> int:
        return self.now_ms // 1000

    def check(self) -> None:
        """Raises RequestError tooBig once the request's time is up."""
        if self.is_late():
            raise RequestError(ErrorStatus.TOO_BIG, 0, "it takes too long")

    def keep(self, key: object, make: Callable[[], Any]) -> Any:
        """`make()`, but once in a request."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def local(self) -> Local:
        local: Local = self.keep("local", self.tx.local)
        return local

    def group(self) -> Group | None:
        group: Group | None = self.keep("group", self.tx.group)
        return group


@dataclass(frozen=True)
class ListProvider:
    """A table whose rows are few, or cheap: all of them are made, then looked up."""

    table: Table
    cells: Mapping[str, Cell]
    make: Callable[[Scope], list[tuple[Oid, Any]]]
    """All rows, in order of index."""
    page: int = SNMP_ROWS_MAX

    def rows_after(self, scope: Scope, after: Oid, limit: int) -> Sequence[tuple[Oid, Any]]:
        rows = self._rows(scope)
        at = bisect_right(rows, after, key=_index)
        return rows[at : at + limit]

    def row(self, scope: Scope, index: Oid) -> Any | None:
        rows = self._rows(scope)
        at = bisect_left(rows, index, key=_index)
        return rows[at][1] if at < len(rows) and rows[at][0] == index else None

    def _rows(self, scope: Scope) -> list[tuple[Oid, Any]]:
        rows: list[tuple[Oid, Any]] = scope.keep(self.table.name, lambda: self.make(scope))
        return rows


@dataclass(frozen=True)
class QueryProvider:
    """A table that may be large: `query(scope, first, limit)` reads rows from the full index
    `first` on."""

    table: Table
    cells: Mapping[str, Cell]
    query: Callable[[Scope, Oid, int], Sequence[tuple[Oid, Any]]]
    page: int = SNMP_ROWS_MAX
    fields: tuple[str, ...] = ()
    """What a row of this provider holds, where it is not whole: see NarrowProvider."""

    def rows_after(self, scope: Scope, after: Oid, limit: int) -> Sequence[tuple[Oid, Any]]:
        first = first_index_after(after, self.table.limits)
        if first is None:
            return ()
        key = (self.table.name, self.fields, first, limit)
        found: Sequence[tuple[Oid, Any]] = scope.keep(key, lambda: self.query(scope, first, limit))
        return found

    def row(self, scope: Scope, index: Oid) -> Any | None:
        limits = self.table.limits
        if len(index) != len(limits) or any(
            n > limit for n, limit in zip(index, limits, strict=True)
        ):
            return None
        key = (self.table.name, self.fields, index)
        found: Sequence[tuple[Oid, Any]] = scope.keep(key, lambda: self.query(scope, index, 1))
        for at, row in found:
            if at == index:
                return row
        return None


def _index(row: tuple[Oid, Any]) -> Oid:
    return row[0]


@dataclass(frozen=True)
class NarrowProvider:
    """A large table of which each column is read by itself. `fields` names what the store must
    read for a column; `query(scope, fields, first, limit)` gives rows of just that."""

    table: Table
    fields: Mapping[str, tuple[str, ...]]
    cells: Mapping[str, Cell]
    query: Callable[[Scope, tuple[str, ...], Oid, int], Sequence[tuple[Oid, Any]]]

    def of_column(self, short: str) -> QueryProvider:
        fields = self.fields[short]

        def query(scope: Scope, first: Oid, limit: int) -> Sequence[tuple[Oid, Any]]:
            return self.query(scope, fields, first, limit)

        return QueryProvider(self.table, self.cells, query, fields=fields)


class OtherProvider(Protocol):
    """One that answers by a way of its own."""

    @property
    def table(self) -> Table: ...
    @property
    def cells(self) -> Mapping[str, Cell]: ...
    @property
    def page(self) -> int: ...
    def rows_after(self, scope: Scope, after: Oid, limit: int) -> Sequence[tuple[Oid, Any]]: ...
    def row(self, scope: Scope, index: Oid) -> Any | None: ...


Provider = ListProvider | QueryProvider | NarrowProvider | OtherProvider
"""The rows of one table, in order of index. `page` is how many are worth reading at once: fewer
where they are long."""


class Node(Protocol):
    """A scalar or a column: what has instances below one OID."""

    oid: Oid

    def instances_after(self, scope: Scope, after: Oid, wanted: int) -> Iterator[tuple[Oid, bytes]]:
        """Instances (without `oid`) behind `after` with their values in BER. About `wanted` of
        them will be taken."""
        ...

    def instance(self, scope: Scope, index: Oid) -> bytes | None: ...


class ScalarNode:
    """`read` gives the value in BER."""

    def __init__(self, oid: Oid, read: Callable[[Scope], bytes]) -> None:
        self.oid = oid
        self._read = read

    def instances_after(self, scope: Scope, after: Oid, wanted: int) -> Iterator[tuple[Oid, bytes]]:
        if after < (0,):
            yield (0,), self._value(scope)

    def instance(self, scope: Scope, index: Oid) -> bytes | None:
        return self._value(scope) if index == (0,) else None

    def _value(self, scope: Scope) -> bytes:
        """Some are counted over the whole store: once in a request, however often it asks."""
        value: bytes = scope.keep(self.oid, lambda: self._read(scope))
        return value


class ColumnNode:
    """A column of a provider's table."""

    def __init__(self, provider: Provider, short: str) -> None:
        column = provider.table[short]
        self.oid = column.oid
        if isinstance(provider, NarrowProvider):
            provider = provider.of_column(short)
        self._provider = provider
        self._cell = provider.cells[short]
        self._encode = ENCODERS[column.syntax.base]

    def instances_after(self, scope: Scope, after: Oid, wanted: int) -> Iterator[tuple[Oid, bytes]]:
        cell, encode = self._cell, self._encode
        while True:
            scope.check()
            limit = min(wanted, self._provider.page)
            rows = self._provider.rows_after(scope, after, limit)
            for index, row in rows:
                value = cell(scope, row)
                if value is not None:
                    yield index, encode(value)
            if len(rows) < limit:
                return
            after = rows[-1][0]

    def instance(self, scope: Scope, index: Oid) -> bytes | None:
        row = self._provider.row(scope, index)
        value = None if row is None else self._cell(scope, row)
        return None if value is None else self._encode(value)


def encode_octets(value: bytes | str) -> bytes:
    return ber.octets(value.encode() if isinstance(value, str) else value)


def encode_counter64(value: int) -> bytes:
    return ber.unsigned(value, ber.COUNTER64)


ENCODERS: Mapping[Base, Callable[[Any], bytes]] = {
    Base.INTEGER: ber.integer,
    Base.UNSIGNED: ber.unsigned,
    Base.COUNTER64: encode_counter64,
    Base.OCTETS: encode_octets,
}


def scalar_node(scalar: Scalar, read: Callable[[Scope], int | bytes | str]) -> ScalarNode:
    encode = ENCODERS[scalar.syntax.base]
    return ScalarNode(scalar.oid, lambda scope: encode(read(scope)))


def column_nodes(provider: Provider) -> list[ColumnNode]:
    """One node for each column, which must all have a cell."""
    missing = set(provider.table.columns) ^ set(provider.cells)
    assert not missing, f"{provider.table.name}: cells and columns differ in {missing}"
    return [ColumnNode(provider, short) for short in provider.table.columns]


def date_and_time(instant: int) -> bytes:
    """DateAndTime (RFC 2579) in UTC, 11 octets."""
    if instant >= _LAST_INSTANT:
        return NEVER_DATE
    at = datetime.datetime.fromtimestamp(instant, datetime.UTC)
    return at.year.to_bytes(2, "big") + bytes(
        (at.month, at.day, at.hour, at.minute, at.second, 0, 0x2B, 0, 0)
    )


_LAST_INSTANT = min(NEVER, int(datetime.datetime(9999, 12, 31, tzinfo=datetime.UTC).timestamp()))


class Tree:
    """Every node, in order of OID."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = sorted(nodes, key=lambda node: node.oid)
        self._oids = [node.oid for node in self._nodes]

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes)

    def find(self, oid: Oid) -> Node | None:
        """The node that `oid` is an instance of, or would be."""
        at = bisect_right(self._oids, oid)
        if at and oid[: len(self._oids[at - 1])] == self._oids[at - 1]:
            return self._nodes[at - 1]
        return None

    def walk(self, oid: Oid) -> Iterator[tuple[Node, Oid]]:
        """The nodes that may have instances behind `oid`, each with the index to begin after."""
        holder = self.find(oid)
        if holder is not None:
            yield holder, oid[len(holder.oid) :]
        for at in range(bisect_left(self._oids, oid), len(self._nodes)):
            if self._nodes[at] is not holder:
                yield self._nodes[at], ()


__all__ = [
    "NEVER_DATE",
    "AgentStore",
    "Cell",
    "Column",
    "ColumnNode",
    "ListProvider",
    "NarrowProvider",
    "Node",
    "PeerStatus",
    "PendingChange",
    "Provider",
    "QueryProvider",
    "ReadingTransaction",
    "ScalarNode",
    "Scope",
    "Tree",
    "column_nodes",
    "date_and_time",
    "scalar_node",
]
