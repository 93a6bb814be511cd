"""Bindings: the rows on the way of a packet, so each verb here is one or two statements.

Lists of keys go into an `IN (...)` whose length is rounded up to a power of two, the last key
repeated: a handful of prepared statements serves every length. Own changes are written with their
numbers and log in the same transaction; merged rows keep the (stream, seq) of their author.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import TypeVar

from sqlalchemy import ColumnElement, bindparam, case, func, literal_column, select

from agent.events.event import ExpirySweep
from agent.limits import BLOCK_ADDRESSES, STORE_KEYS_MAX
from agent.model import Binding, BindingState, ChangeKind, Transaction
from store.session import Row
from store.sqlite import compile_statement, compile_upsert, limited
from store.streams import StreamRows
from store.tables import BINDING, LOCAL

_PUT = compile_upsert(BINDING)
_PUT_SAME_CLIENT = compile_upsert(BINDING, where_equal=BINDING.c.client_key)
_IN_RANGE = compile_statement(
    limited(
        select(BINDING)
        .where(BINDING.c.address >= bindparam("first"), BINDING.c.address <= bindparam("last"))
        .order_by(BINDING.c.address),
        "limit",
    ),
    "first",
    "last",
    "limit",
)
_BOUND = compile_statement(
    select(BINDING.c.address)
    .where(
        BINDING.c.address >= bindparam("first"),
        BINDING.c.address <= bindparam("last"),
        BINDING.c.epoch >= bindparam("epoch"),
    )
    .order_by(BINDING.c.address),
    "first",
    "last",
    "epoch",
)

_CONFLICTS = compile_statement(
    limited(
        select(BINDING)
        .where(
            BINDING.c.transaction == literal_column(str(int(Transaction.CONFLICT))),
            BINDING.c.address >= bindparam("first"),
        )
        .order_by(BINDING.c.address),
        "limit",
    ),
    "first",
    "limit",
)


def _count_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, literal_column("1"))))


def _state(state: BindingState) -> ColumnElement[bool]:
    return BINDING.c.state == literal_column(str(int(state)))


_COUNTS = compile_statement(
    select(
        _count_if(_state(BindingState.BOUND) & (BINDING.c.expires_at > bindparam("now"))),
        _count_if(_state(BindingState.BOUND)),
        _count_if(_state(BindingState.RELEASED)),
        _count_if(_state(BindingState.UNAVAILABLE)),
    ).where(BINDING.c.address >= bindparam("first"), BINDING.c.address <= bindparam("last")),
    "now",
    "first",
    "last",
)

_PART = limited(
    select(BINDING.c.address)
    .where(BINDING.c.address >= bindparam("first"))
    .order_by(BINDING.c.address),
    "limit",
).subquery()
_SWEPT = compile_statement(
    select(func.count(), func.max(_PART.c.address)).select_from(_PART), "first", "limit"
)
_ENDED = compile_statement(
    select(BINDING)
    .where(
        BINDING.c.address >= bindparam("first"),
        BINDING.c.address <= bindparam("last"),
        BINDING.c.expires_at > bindparam("since"),
        BINDING.c.expires_at <= bindparam("until"),
        BINDING.c.transaction_server == select(LOCAL.c.member).scalar_subquery(),
        _state(BindingState.BOUND),
    )
    .order_by(BINDING.c.address),
    "first",
    "last",
    "since",
    "until",
)


@cache
def _by_address(count: int) -> str:
    names = [f"k{i}" for i in range(count)]
    return compile_statement(
        select(BINDING).where(BINDING.c.address.in_([bindparam(name) for name in names])), *names
    )


@cache
def _by_client(count: int) -> str:
    names = [f"k{i}" for i in range(count)]
    return compile_statement(
        select(BINDING).where(BINDING.c.client_key.in_([bindparam(name) for name in names])),
        *names,
    )


@dataclass(frozen=True, slots=True)
class BindingCounts:
    """Bindings of a span of addresses by what they are at one instant."""

    live: int
    expired: int
    released: int
    unavailable: int


_STATE = {int(state): state for state in BindingState}
_TRANSACTION = {int(transaction): transaction for transaction in Transaction}


def _binding(row: Row) -> Binding:
    values = list(row)
    values[6] = _STATE[values[6]]
    values[12] = _TRANSACTION[values[12]]
    return Binding._make(values)


def _row(b: Binding, stream: int, seq: int) -> Row:
    # sqlite3 binds exact int, str and bytearray at once, but asks its adapters about bytes and
    # enums, which costs 2 us a row. Hence the bytearrays, and the plus, which makes a plain int.
    return (
        b.address,
        bytearray(b.client_key),
        None if b.client_id is None else bytearray(b.client_id),
        b.hardware_type,
        bytearray(b.hardware_address),
        b.hostname,
        +b.state,
        b.epoch,
        b.grant,
        b.expires_at,
        b.potential_expires_at,
        b.acknowledged_at,
        +b.transaction,
        b.transaction_at,
        b.transaction_server,
        bytearray(b.options),
        stream,
        seq,
    )


class BindingRows(StreamRows):
    """The part of the port about bindings."""

    def bindings_by_address(self, addresses: Collection[int]) -> dict[int, Binding]:
        """The bindings that exist among `addresses`."""
        found = {}
        for keys in _chunks(addresses):
            for row in self.rows(_by_address(len(keys)), keys):
                found[row[0]] = _binding(row)
        return found

    def bindings_by_client(self, client_keys: Collection[bytes]) -> dict[bytes, list[Binding]]:
        """The bindings of each client that has any, in order of address."""
        found: dict[bytes, list[Binding]] = {}
        for keys in _chunks([bytearray(key) for key in client_keys]):
            for row in self.rows(_by_client(len(keys)), keys):
                found.setdefault(row[1], []).append(_binding(row))
        for bindings in found.values():
            if len(bindings) > 1:
                bindings.sort(key=attrgetter("address"))
        return found

    def bindings_in_range(self, first: int, last: int, limit: int) -> list[Binding]:
        return [_binding(row) for row in self.rows(_IN_RANGE, (first, last, limit))]

    def bindings_after(self, address: int, limit: int) -> list[Binding]:
        """Bindings behind `address` (-1: all) in order, at most `limit`: what GETNEXT needs."""
        return self.bindings_in_range(address + 1, 0xFFFF_FFFF, limit)

    def binding_blocks(self, after_block: int, limit: int) -> list[tuple[int, list[Binding]]]:
        """The next blocks that have bindings, whole, at most `limit`. Block n is the addresses
        from n * BLOCK_ADDRESSES on; a walk begins at -1."""
        blocks: list[tuple[int, list[Binding]]] = []
        first = (after_block + 1) * BLOCK_ADDRESSES
        rows_max = limit * BLOCK_ADDRESSES
        for row in self.each_row(_IN_RANGE, (first, 0xFFFF_FFFF, rows_max)):
            block = row[0] // BLOCK_ADDRESSES
            if not blocks or blocks[-1][0] != block:
                if len(blocks) == limit:
                    break
                blocks.append((block, []))
            blocks[-1][1].append(_binding(row))
        return blocks

    def conflicts(self, first: int, limit: int) -> list[Binding]:
        """Addresses in conflict from `first` on, in order, at most `limit`. Reads every binding: an
        index would be paid for by every packet, and few look here, seldom."""
        return [_binding(row) for row in self.rows(_CONFLICTS, (first, limit))]

    def bound_addresses(self, first: int, last: int, epoch: int) -> list[int]:
        return [row[0] for row in self.rows(_BOUND, (first, last, epoch))]

    def count_bindings(self, first: int, last: int, now: int) -> BindingCounts:
        live, bound, released, unavailable = self.rows(_COUNTS, (now, first, last))[0]
        return BindingCounts(live, bound - live, released, unavailable)

    def ended_bindings(self, sweep: ExpirySweep, limit: int) -> tuple[list[Binding], int | None]:
        count, last = self.rows(_SWEPT, (sweep.first, limit))[0]
        if not count:
            return [], None
        ended = self.rows(_ENDED, (sweep.first, last, sweep.since, sweep.until))
        return [_binding(row) for row in ended], last if count == limit else None

    def save_bindings(self, bindings: Sequence[Binding]) -> int:
        stream, first = self.take_numbers(ChangeKind.BINDING, [b.address for b in bindings])
        self._put_rows([_row(b, stream, seq) for seq, b in enumerate(bindings, first)])
        return first

    def put_bindings(self, bindings: Sequence[Binding]) -> None:
        self._put_rows([_row(b, b.stream, b.seq) for b in bindings])

    def _put_rows(self, rows: list[Row]) -> None:
        """Nearly always the rows are new or their client is the same. SQLite rewrites an index
        entry whenever a statement sets its column, so that case has a statement which does not,
        and a renewal costs one page instead of two. If it left a row out, all are written."""
        if self.change_many(_PUT_SAME_CLIENT, rows) < len(rows):
            self.change_many(_PUT, rows)


_Key = TypeVar("_Key", int, bytearray)


def _chunks(keys: Collection[_Key]) -> Iterator[list[_Key]]:
    """The keys in lists of a power of two, the last one filled up by repetition."""
    every = list(keys)
    for start in range(0, len(every), STORE_KEYS_MAX):
        chunk = every[start : start + STORE_KEYS_MAX]
        size = 1 << (len(chunk) - 1).bit_length()
        yield chunk + chunk[-1:] * (size - len(chunk))
