"""Counting a pool: what I have free of it, and what is left of it for anybody.

Both counts scan bindings inside a transaction for which the engine waits, so both avoid it. An
address of mine that is bound under its range's epoch, or a later one, is never free again under
that epoch: runs of COUNT_RUN addresses that were found used up are not counted again. What clients
hold of the whole pool changes with every lease and every expiry; it is counted a part at a time,
and what was counted a few seconds ago is good enough for a share.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.limits import COUNT_RUN, SURVEY_BINDINGS_MAX, USED_UP_MAX
from agent.model import AddressState
from agent.port import StoreTransaction
from agent.sync import ranges
from agent.sync.ranges import Span


class FreeCount:
    """How many addresses of a pool are BINDABLE here and bound to nobody."""

    def __init__(self) -> None:
        self._used_up: dict[int, list[Span]] = {}

    def count(self, tx: StoreTransaction, pool: Span) -> int:
        return sum(self._free(tx, *span, epoch) for span, epoch in self.unused(tx, pool))

    def unused(self, tx: StoreTransaction, span: Span) -> Iterator[tuple[Span, int]]:
        """What is BINDABLE here of `span`, and its epoch, less the runs that are known to be used
        up: where free addresses are to be looked for."""
        for row in tx.address_ranges(*span):
            if row.state is AddressState.BINDABLE:
                mine = [(max(row.first, span[0]), min(row.last, span[1]))]
                for part in ranges.subtract(mine, self._used_up.get(row.epoch, [])):
                    yield part, row.epoch

    def _free(self, tx: StoreTransaction, first: int, last: int, epoch: int) -> int:
        free = last - first + 1
        used_up: list[Span] = []
        for run, bound in tx.bound_counts(first, last, epoch):
            free -= bound
            whole = max(run, first), min(run + COUNT_RUN - 1, last)
            if bound == ranges.size([whole]):
                used_up.append(whole)
        if used_up:
            self._remember(epoch, used_up)
        return free

    def _remember(self, epoch: int, used_up: list[Span]) -> None:
        if sum(len(spans) for spans in self._used_up.values()) >= USED_UP_MAX:
            self._used_up.clear()
        self._used_up[epoch] = ranges.union([*self._used_up.get(epoch, []), *used_up])


class Leased:
    """How many addresses of a pool clients have, by runs of COUNT_RUN."""

    def __init__(self, pool: Span) -> None:
        self._pool = pool
        self._runs: dict[int, int] = {}
        self._cursor = pool[0]
        self.total = 0

    def read_on(self, tx: StoreTransaction, now: int) -> None:
        """Count the next part."""
        first, last = self._cursor, self._pool[1]
        counted = tx.leased_counts(first, last, now, SURVEY_BINDINGS_MAX)
        for run in [run for run in self._runs if first < run + COUNT_RUN <= counted.reached + 1]:
            self.total -= self._runs.pop(run)
        if counted.reached == last:
            self.total -= self._runs.pop(last // COUNT_RUN * COUNT_RUN, 0)
        for run, leased in counted.runs:
            self._runs[run] = leased
            self.total += leased
        self._cursor = self._pool[0] if counted.reached == last else counted.reached + 1

    def is_full(self, span: Span) -> bool:
        """Whether clients had every address of the span when it was counted last."""
        first = span[0] // COUNT_RUN * COUNT_RUN
        return all(
            self._runs.get(run, 0) == ranges.size([self._inside(run)])
            for run in range(first, span[1] + 1, COUNT_RUN)
        )

    def _inside(self, run: int) -> Span:
        return max(run, self._pool[0]), min(run + COUNT_RUN - 1, self._pool[1])
