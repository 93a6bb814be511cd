"""Keeping stock: when a pool runs low, choose addresses and poll for them (architecture, "Stock").

Counting what is free reads the bound addresses of every range, so it is not done at every tick:
each change of my own stream uses at most one free address, which bounds from below what is left.
Choosing walks the pool's blocks in my order and reads a bounded number of bindings at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.limits import CHOOSE_BINDINGS_MAX, POLL_RANGES_MAX
from agent.model import AddressState, Nonce
from agent.port import StoreTransaction
from agent.sync import ranges
from agent.sync.messages import Verdict
from agent.sync.poll import Poll, judge_span
from agent.sync.ranges import Span
from agent.sync.situation import Situation
from agent.sync.stock import Served, blocks_in_order, high_mark, is_low, load_served
from agent.sync.verdict import Question

_COUNT_MS = 1_000
_IDLE_MS = 10_000
_SURPLUS_DIVISOR = 8
"""A surplus is given back from an eighth of the share on: less is not worth the messages."""


@dataclass(slots=True)
class _Stock:
    """One pool. `free` was counted when the own stream stood at `counted_at`. The search for
    addresses has come to block `cursor` of `order`, and to address `inside` in it."""

    pool: Span
    order: list[Span]
    high: int
    free: int = 0
    counted_at: int = -1
    count_again_ms: int = 0
    cursor: int = 0
    inside: int = 0
    not_before_ms: int = 0
    failures: int = 0

    def move_on(self, judged_to: int) -> None:
        """The block has been judged up to that address, perhaps not to its end."""
        if judged_to < self.order[self.cursor][1]:
            self.inside = judged_to + 1
        else:
            self.cursor += 1
            self.inside = 0


class Keeper:
    def __init__(self, situation: Situation, poll: Poll) -> None:
        self._situation = situation
        self._poll = poll
        self._served = Served((), ())
        self._stocks: list[_Stock] = []
        self._loaded_for: tuple[int, int] | None = None
        self._polled: _Stock | None = None
        self._finished_seen = 0

    def reset(self) -> None:
        self._loaded_for = None

    def free(self) -> dict[Span, int]:
        """Free addresses of each pool, as counted last."""
        return {stock.pool: stock.free for stock in self._stocks}

    def tick(self, tx: StoreTransaction, applied: int, now_ms: int) -> int:
        """`applied` is the number of my own stream. Returns when to come back."""
        situation = self._situation
        self._settle(now_ms)
        if not situation.serving or not self._poll.is_idle or not situation.all_reachable:
            return now_ms + _IDLE_MS
        self._load(tx)
        due = now_ms + _IDLE_MS
        for stock in self._stocks:
            if now_ms < stock.not_before_ms:
                due = min(due, stock.not_before_ms)
                continue
            if not is_low(stock.free - max(0, applied - stock.counted_at), stock.high):
                continue
            if now_ms < stock.count_again_ms:
                due = min(due, stock.count_again_ms)
                continue
            if stock.counted_at != applied:
                self._count(tx, stock, applied, now_ms)
                self._give_back(tx, stock)
            if is_low(stock.free, stock.high):
                self._ask_for(tx, stock, now_ms)
                due = min(due, now_ms + _COUNT_MS)
                break
        return due

    def _settle(self, now_ms: int) -> None:
        """Learn what the last attempt gained: nothing means to wait, longer each time."""
        stock, self._polled = self._polled, None
        if stock is None:
            return
        if self._poll.finished == self._finished_seen:
            self._polled = stock
            return
        if self._poll.gained:
            stock.counted_at = -1
            stock.count_again_ms = now_ms
            stock.failures = 0
            stock.not_before_ms = now_ms
        elif self._poll.refused(now_ms):
            retry_ms = self._situation.settings.poll_retry_ms
            stock.not_before_ms = (
                now_ms + retry_ms // 2 + self._situation.random.randrange(retry_ms)
            )
        else:
            self._back_off(stock, now_ms)

    def _back_off(self, stock: _Stock, now_ms: int) -> None:
        settings = self._situation.settings
        wait = min(settings.poll_retry_max_ms, settings.poll_retry_ms << min(stock.failures, 8))
        stock.failures += 1
        stock.not_before_ms = now_ms + wait // 2 + self._situation.random.randrange(wait)

    def _load(self, tx: StoreTransaction) -> None:
        key = (tx.local().configuration_version, self._situation.generation)
        if key == self._loaded_for:
            return
        self._loaded_for = key
        self._served = load_served(tx)
        me = self._situation.me
        members = sorted([me, *self._situation.peers])
        self._stocks = [
            _Stock(pool, blocks_in_order(pool, members, me), high_mark(pool, len(members)))
            for pool in self._served.pools
        ]

    def _count(self, tx: StoreTransaction, stock: _Stock, applied: int, now_ms: int) -> None:
        free = 0
        for row in tx.address_ranges(*stock.pool):
            if row.state is AddressState.BINDABLE:
                first, last = max(row.first, stock.pool[0]), min(row.last, stock.pool[1])
                free += last - first + 1 - len(tx.bound_addresses(first, last, row.epoch))
        stock.free = free
        stock.counted_at = applied
        stock.count_again_ms = now_ms + _COUNT_MS

    def _give_back(self, tx: StoreTransaction, stock: _Stock) -> None:
        """A member more has made every share smaller: let the newcomer have the difference, of
        the blocks that the hash gives me last."""
        excess = stock.free - stock.high
        if not self._situation.peers or excess * _SURPLUS_DIVISOR < stock.high:
            return
        held = [
            (max(row.first, stock.pool[0]), min(row.last, stock.pool[1]))
            for row in tx.address_ranges(*stock.pool)
            if row.state is AddressState.BINDABLE
        ]
        given: list[Span] = []
        for block in reversed(stock.order):
            given += ranges.take(ranges.intersect(held, [block]), excess - ranges.size(given))
        self._poll.give_back(tx, ranges.union(given))
        stock.counted_at = -1

    def _ask_for(self, tx: StoreTransaction, stock: _Stock, now_ms: int) -> None:
        spans, epoch = self._choose(tx, stock, stock.high - stock.free, now_ms)
        if spans:
            self._finished_seen = self._poll.finished
            self._polled = stock
            self._poll.begin(tx, spans, epoch, now_ms)
        elif stock.cursor == stock.inside == 0:
            self._back_off(stock, now_ms)

    def _choose(
        self, tx: StoreTransaction, stock: _Stock, need: int, now_ms: int
    ) -> tuple[list[Span], int]:
        """Addresses that I could agree to give myself, and the highest epoch known of them. An
        empty answer with a cursor in the middle of the pool means: go on from there."""
        chosen: list[Span] = []
        epoch = 0
        budget = CHOOSE_BINDINGS_MAX
        nonce = Nonce(self._situation.incarnation, 0)
        left_out = ranges.union([*self._served.reserved, *self._poll.refused(now_ms)])
        while stock.cursor < len(stock.order) and budget > 0 and need > 0:
            first, last = stock.order[stock.cursor]
            first = max(first, stock.inside)
            question = Question(first, last, self._situation.me, nonce, now_ms // 1000)
            verdicts, read = judge_span(tx, question, budget)
            budget -= read
            agreed = [(v.first, v.last) for v in verdicts if v.agreed]
            spans = ranges.take(ranges.subtract(agreed, left_out), need)
            if spans:
                epoch = max([epoch, *(v.epoch for v in verdicts)])
                need -= ranges.size(spans)
                chosen = ranges.union([*chosen, *spans])
            self._note_promises(verdicts)
            if len(chosen) >= POLL_RANGES_MAX:
                chosen = chosen[:POLL_RANGES_MAX]
                break
            stock.move_on(verdicts[-1].last)
        if chosen or stock.cursor >= len(stock.order):
            stock.cursor = stock.inside = 0
        return chosen, epoch

    def _note_promises(self, verdicts: list[Verdict]) -> None:
        """A promise keeps me from an address that I am short of: is it still wanted?"""
        for verdict in verdicts:
            if verdict.owner not in (0, self._situation.me):
                self._poll.contest(verdict.owner, (verdict.first, verdict.last))
