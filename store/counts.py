"""Counting bindings inside the database: by runs of COUNT_RUN addresses, nothing else comes out.

Counting 65,000 bindings here takes about 25 ms; handing their addresses to Python takes 70 ms.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, bindparam, case, func, literal_column, select

from agent.limits import COUNT_RUN
from agent.model import BindingState
from agent.port import LeasedRuns
from store.local import LocalRow
from store.sqlite import compile_statement, limited
from store.tables import BINDING


def _run_of(address: ColumnElement[int]) -> ColumnElement[int]:
    return address - address % literal_column(str(COUNT_RUN))


_RUN = _run_of(BINDING.c.address).label("run")
_BOUND_RUNS = compile_statement(
    select(_RUN, func.count())
    .where(
        BINDING.c.address >= bindparam("first"),
        BINDING.c.address <= bindparam("last"),
        BINDING.c.epoch >= bindparam("epoch"),
    )
    .group_by(_RUN)
    .order_by(_RUN),
    "first",
    "last",
    "epoch",
)
_LEASED = (BINDING.c.expires_at > bindparam("now")) & (
    BINDING.c.state != literal_column(str(int(BindingState.RELEASED)))
)
_PART = limited(
    select(
        _RUN,
        case((_LEASED, literal_column("1")), else_=literal_column("0")).label("leased"),
    )
    .where(BINDING.c.address >= bindparam("first"), BINDING.c.address <= bindparam("last"))
    .order_by(BINDING.c.address),
    "limit",
).subquery()
_LEASED_RUNS = compile_statement(
    select(_PART.c.run, func.count(), func.sum(_PART.c.leased))
    .group_by(_PART.c.run)
    .order_by(_PART.c.run),
    "now",
    "first",
    "last",
    "limit",
)


class CountRows(LocalRow):
    """The part of the port that counts."""

    def bound_counts(self, first: int, last: int, epoch: int) -> list[tuple[int, int]]:
        return [(run, bound) for run, bound in self.rows(_BOUND_RUNS, (first, last, epoch))]

    def leased_counts(self, first: int, last: int, now: int, limit: int) -> LeasedRuns:
        rows = self.rows(_LEASED_RUNS, (now, first, last, limit))
        reached = last
        if sum(row[1] for row in rows) >= limit and len(rows) > 1:
            reached = rows.pop()[0] - 1
        return LeasedRuns([(run, leased) for run, _, leased in rows], reached)
