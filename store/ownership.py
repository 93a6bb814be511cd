"""Address ranges: this member's own view of who owns which addresses.

Ranges never overlap. Among ranges in order of `first`, those that intersect a span are the ones
that begin in it and at most one that begins before it; every query here uses that.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from operator import attrgetter

from sqlalchemy import bindparam, delete, func, literal_column, select

from agent.model import AddressRange, AddressState, Nonce
from store.local import LocalRow
from store.session import Row
from store.sqlite import compile_insert, compile_statement, limited
from store.tables import ADDRESS_RANGE

_BEGINS_BEFORE = (
    select(func.max(ADDRESS_RANGE.c.first))
    .where(ADDRESS_RANGE.c.first <= bindparam("before"))
    .correlate(None)
    .scalar_subquery()
)
_INTERSECTING = compile_statement(
    select(ADDRESS_RANGE)
    .where(
        ADDRESS_RANGE.c.first >= func.coalesce(_BEGINS_BEFORE, literal_column("0")),
        ADDRESS_RANGE.c.first <= bindparam("last"),
        ADDRESS_RANGE.c.last >= bindparam("first"),
    )
    .order_by(ADDRESS_RANGE.c.first),
    "before",
    "last",
    "first",
)
_AFTER = compile_statement(
    limited(
        select(ADDRESS_RANGE)
        .where(ADDRESS_RANGE.c.first > bindparam("after"))
        .order_by(ADDRESS_RANGE.c.first),
        "limit",
    ),
    "after",
    "limit",
)
_IN_STATE = compile_statement(
    select(ADDRESS_RANGE)
    .where(ADDRESS_RANGE.c.state == bindparam("state"))
    .order_by(ADDRESS_RANGE.c.first),
    "state",
)
_ADD = compile_insert(ADDRESS_RANGE)
_REMOVE = compile_statement(
    delete(ADDRESS_RANGE).where(
        *(column == bindparam(column.name + "_") for column in ADDRESS_RANGE.columns)
    ),
    *(column.name + "_" for column in ADDRESS_RANGE.columns),
)

_STATE = {int(state): state for state in AddressState}


def _range(row: Row) -> AddressRange:
    first, last, state, epoch, member, incarnation, counter, generation = row
    nonce = Nonce(incarnation, counter)
    return AddressRange(first, last, _STATE[state], epoch, member, nonce, generation)


def _row(r: AddressRange) -> Row:
    return (r.first, r.last, +r.state, r.epoch, r.member, *r.nonce, r.generation)


class OwnershipRows(LocalRow):
    """The part of the port about address ranges."""

    def address_ranges(self, first: int, last: int) -> list[AddressRange]:
        return [_range(row) for row in self.rows(_INTERSECTING, (first, last, first))]

    def address_ranges_in(self, state: AddressState) -> list[AddressRange]:
        return [_range(row) for row in self.rows(_IN_STATE, (+state,))]

    def address_ranges_after(self, first: int, limit: int) -> list[AddressRange]:
        """Ranges that begin behind `first` (-1: all) in order: what GETNEXT needs."""
        return [_range(row) for row in self.rows(_AFTER, (first, limit))]

    def replace_address_ranges(
        self, removed: Iterable[AddressRange], added: Iterable[AddressRange]
    ) -> None:
        """Exchange ranges. What is removed must be there, as it is; what is added must overlap
        nothing that stays: anything else is a bug of the caller."""
        touched = False
        for gone in removed:
            touched = True
            count = self.change(_REMOVE, _row(gone))
            assert count == 1, f"{gone} is not in the store and cannot be removed"
        new = sorted(added, key=attrgetter("first"))
        for before, after in pairwise(new):
            assert before.last < after.first, f"{before} and {after} overlap"
        for one in new:
            others = self.address_ranges(one.first, one.last)
            assert not others, f"{one} overlaps {others[0]}"
        self.change_many(_ADD, [_row(one) for one in new])
        if touched or new:
            self.ownership_changed()
