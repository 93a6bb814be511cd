"""Keeping stock: when a pool runs low, poll for addresses, or ask a member that has some.

Which of the two: a complete poll, as long as every member can be asked and there is something left
to ask for; otherwise TRANSFER, which needs the giver alone (architecture, "Stock"). What lies above
the high mark is given back, so that shares follow what is left of the pool.

Counting what is free reads the bound addresses of every range, so it is not done at every tick:
each change of my own stream uses at most one free address, which bounds from below what is left.
Choosing walks the pool's blocks in my order and reads a bounded number of bindings at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import chain, islice

from agent.limits import (
    CHOOSE_BINDINGS_MAX,
    DEMAND_S,
    FREE_CHUNK,
    FREE_TOLD_MAX,
    NEW_POOL_QUIET_MS,
    OFFER_HOLD_S,
    OWN_CHANGES_KEPT,
    POLL_RANGES_MAX,
)
from agent.model import MemberId, Nonce, Transaction
from agent.port import StoreTransaction
from agent.sync import ranges
from agent.sync.messages import Verdict
from agent.sync.notices import free_addresses
from agent.sync.poll import Poll, judge_span
from agent.sync.promise import Promises
from agent.sync.ranges import Span
from agent.sync.reserved import Reserved
from agent.sync.situation import Situation
from agent.sync.stock import (
    Served,
    blocks_in_order,
    high_mark,
    is_nearly_empty,
    load_served,
    low_mark,
    sharing,
)
from agent.sync.survey import FreeCount, Leased
from agent.sync.transfer import Taker
from agent.sync.verdict import Question

_COUNT_MS = 1_000
_POOLS_AT_ONCE, _SOON_MS = 8, 50
"""So many pools are stocked in one transaction, for which the engine waits, and then more."""
_AHEAD_SPANS, _AHEAD_READ = 32, 1024
"""So many spans, and addresses of each, are looked at for what my engine comes to next."""
_SURVEY_MS = 5_000
_IDLE_MS = 60_000
_SURPLUS_DIVISOR = 8
"""A surplus is given back from an eighth of the share on: less is not worth the messages."""


@dataclass(slots=True)
class Stock:
    """One pool. `free` was counted when the own stream stood at `counted_at`. The search for
    addresses has come to block `cursor` of `order`, and to address `inside` in it. Nothing is left
    to poll for, as far as I know, until `exhausted_ms`. `asked`: givers, and when they may be
    asked again."""

    pool: Span
    order: tuple[Span, ...]
    leased: Leased
    high: int = 0
    free: int = 0
    counted_at: int = -1
    count_again_ms: int = 0
    cursor: int = 0
    inside: int = 0
    not_before_ms: int = 0
    failures: int = 0
    exhausted_ms: int = 0
    asked: dict[MemberId, int] = field(default_factory=dict)
    counter: FreeCount = field(default_factory=FreeCount)
    used: float = 0.0
    used_at_ms: int = 0

    @property
    def low(self) -> int:
        return low_mark(self.high, int(self.used))

    def at_least(self, applied: int) -> int:
        """Free addresses now: at most one went with each change of my own since the count."""
        return max(0, self.free - max(0, applied - self.counted_at))

    def is_surplus(self) -> bool:
        return self.free > self.high and (self.free - self.high) * _SURPLUS_DIVISOR >= self.high

    def count(self, tx: StoreTransaction, applied: int, now_ms: int) -> None:
        """`used` decays, so that it tells what was taken within about DEMAND_S."""
        free = self.counter.count(tx, self.pool)
        passed_s = min(DEMAND_S, (now_ms - self.used_at_ms) / 1000)
        taken = max(0, self.free - free) if self.counted_at >= 0 else 0
        self.used = self.used * (1 - passed_s / DEMAND_S) + taken
        self.free, self.counted_at, self.used_at_ms = free, applied, now_ms
        self.count_again_ms = now_ms + _COUNT_MS

    def move_on(self, judged_to: int) -> None:
        """The block has been judged up to that address, perhaps not to its end."""
        if judged_to < self.order[self.cursor][1]:
            self.inside = judged_to + 1
        else:
            self.cursor += 1
            self.inside = 0


class Keeper:
    def __init__(
        self,
        situation: Situation,
        poll: Poll,
        promises: Promises,
        taker: Taker,
        reserved: Reserved,
    ) -> None:
        self._situation = situation
        self._reserved = reserved
        self._poll = poll
        self._promises = promises
        self._taker = taker
        self._served = Served((), ())
        self._stocks: list[Stock] = []
        self._loaded_for: tuple[int, int] | None = None
        self._restocked: tuple[Stock, Poll | Taker, int] | None = None
        self._survey_at_ms = 0
        self._surveyed = 0
        self._told = 0
        self._alarmed: set[Span] = set()
        self._quiet_until_ms: dict[Span, int] = {}
        self._in_reach: set[MemberId] = set()

    def reset(self) -> None:
        self._loaded_for = None

    def tell_free(self, applied: int) -> dict[int, int]:
        """What a Hello says of my stock: of many pools, some at a time."""
        stocks = self._stocks
        if len(stocks) > FREE_TOLD_MAX:
            self._told = (self._told + FREE_TOLD_MAX) % len(stocks)
            stocks = [*stocks[self._told :], *stocks][:FREE_TOLD_MAX]
        return {stock.pool[0]: stock.at_least(applied) for stock in stocks}

    def stock_of(self, tx: StoreTransaction, pool: Span, now_ms: int) -> Stock | None:
        """A pool that I keep stock of, counted now."""
        self._load(tx, now_ms)
        for stock in self._stocks:
            if stock.pool == pool:
                own = tx.streams().get(self._situation.own_stream)
                self._count(tx, stock, own.applied if own else 0, now_ms)
                return stock
        return None

    def tick(self, tx: StoreTransaction, applied: int, now_ms: int) -> int:
        """`applied` is the number of my own stream. Returns when to come back."""
        self._settle(now_ms)
        if not self._situation.serving or self._situation.is_going:
            return now_ms + _IDLE_MS
        self._load(tx, now_ms)
        self._look_around(now_ms)
        self._survey(tx, now_ms)
        due = now_ms + _IDLE_MS
        if not self._poll.is_idle or not self._taker.is_idle:
            return due
        if now_ms < self._situation.holds_until_ms:
            due = min(due, self._situation.holds_until_ms)
        else:
            due = min(due, self._reserved.tick(tx, self._served.reserved, now_ms))
        if self._poll.attempt is not None:
            return due
        polled = self._poll.finished
        for stock in self._stocks:
            due = min(due, self._look_after(tx, stock, applied, now_ms))
            self._settle(now_ms)  # alone in the group a poll is over at once
            if self._poll.finished - polled >= _POOLS_AT_ONCE:
                return now_ms + _SOON_MS
            if self._restocked is not None:
                break
        return due

    def _look_around(self, now_ms: int) -> None:
        """Whoever comes into reach, and serves, may be the one that was waited for."""
        peers = self._situation.peers.values()
        in_reach = {p.member for p in peers if p.reachable and p.told and p.serving}
        if in_reach - self._in_reach:
            for stock in self._stocks:
                stock.not_before_ms = min(stock.not_before_ms, now_ms)
        self._in_reach = in_reach

    def _look_after(self, tx: StoreTransaction, stock: Stock, applied: int, now_ms: int) -> int:
        """Restock one pool, or give back of it. Returns when to look again."""
        if stock.counted_at >= 0:
            self._tell_operators(stock, now_ms)
        if now_ms < stock.not_before_ms:
            return stock.not_before_ms
        if stock.at_least(applied) >= stock.low and not stock.is_surplus():
            return now_ms + _IDLE_MS
        if stock.counted_at != applied:
            if now_ms < stock.count_again_ms:
                return stock.count_again_ms
            self._count(tx, stock, applied, now_ms)
        if stock.is_surplus():
            self._give_back(tx, stock, now_ms)
        elif stock.free < stock.low:
            self._restock(tx, stock, now_ms)
            return stock.not_before_ms if stock.not_before_ms > now_ms else now_ms + _COUNT_MS
        return now_ms + _IDLE_MS

    # --- what there is

    def _load(self, tx: StoreTransaction, now_ms: int) -> None:
        situation = self._situation
        key = (tx.local().configuration_version, situation.generation)
        if key == self._loaded_for:
            return
        self._loaded_for = key
        self._served = load_served(tx)
        members = tuple(sharing(situation.group)) or (situation.me,)
        known = {stock.pool: stock for stock in self._stocks}
        self._stocks = []
        for pool in self._served.pools:
            order = blocks_in_order(pool, members, situation.me)
            leased = known[pool].leased if pool in known else Leased(pool)
            self._stocks.append(Stock(pool, order, leased))
        for stock in self._stocks:
            stock.leased.read_on(tx, now_ms // 1000)
            self._set_mark(stock)
            stock.used_at_ms = now_ms
            self._quiet_until_ms.setdefault(stock.pool, now_ms + NEW_POOL_QUIET_MS)
        gone = self._quiet_until_ms.keys() - {stock.pool for stock in self._stocks}
        for pool in gone:
            del self._quiet_until_ms[pool]
        self._alarmed -= gone
        self._survey_at_ms = now_ms + _SURVEY_MS

    def _count(self, tx: StoreTransaction, stock: Stock, applied: int, now_ms: int) -> None:
        stock.count(tx, applied, now_ms)
        self._tell_operators(stock, now_ms)

    def _tell_operators(self, stock: Stock, now_ms: int) -> None:
        """They must hear of a pool that runs out here, and that it has enough again; not of one
        that is new, and empty until the first addresses have been polled for."""
        low = is_nearly_empty(stock.free, stock.high, stock.pool in self._alarmed)
        if not low:
            self._quiet_until_ms[stock.pool] = 0
        elif now_ms < self._quiet_until_ms.get(stock.pool, 0):
            return
        if low != (stock.pool in self._alarmed):
            self._alarmed ^= {stock.pool}
            self._situation.notify(free_addresses(low, *stock.pool, stock.free))

    def _survey(self, tx: StoreTransaction, now_ms: int) -> None:
        """Look how full one pool is, a part of it, every few seconds."""
        if not self._stocks or now_ms < self._survey_at_ms:
            return
        self._survey_at_ms = now_ms + _SURVEY_MS
        self._surveyed = (self._surveyed + 1) % len(self._stocks)
        stock = self._stocks[self._surveyed]
        stock.leased.read_on(tx, now_ms // 1000)
        self._set_mark(stock)

    def _set_mark(self, stock: Stock) -> None:
        situation = self._situation
        left = ranges.size([stock.pool]) - stock.leased.total
        stock.high = high_mark(max(0, left), sharing(situation.group), situation.me)

    # --- giving back

    def blocks_in_hand(self, tx: StoreTransaction, stock: Stock, now_ms: int) -> set[Span]:
        """The blocks from which my engine has just given, and what it comes to next: its offers
        are not in the store, and a client that takes one which is another member's by then gets a
        NAK. It goes through a pool in the order of addresses, and faster than it gives: of several
        members that offer, one is chosen."""
        given = self._lately_given(tx, stock.pool, now_ms)
        if not given:
            return set()
        (first, last), at = stock.pool, given[-1]
        ahead = chain(
            stock.counter.unused(tx, (at, last)),
            stock.counter.unused(tx, (first, max(first, at - 1))),
        )
        places = list(given)
        wanted = min(FREE_CHUNK, stock.high // 2)
        for span, _ in islice(ahead, _AHEAD_SPANS):
            if wanted <= 0:
                break
            free = ranges.take(self._poll.free(tx, ranges.take([span], _AHEAD_READ)), wanted)
            wanted -= ranges.size(free)
            places += [end for one in free for end in one]
        by_address = sorted(stock.order)
        return {by_address[bisect_right(by_address, (place, last)) - 1] for place in places}

    def _lately_given(self, tx: StoreTransaction, pool: Span, now_ms: int) -> list[int]:
        """Free addresses that my engine gave to clients while its offers may still stand, the
        latest last."""
        own = self._situation.own_stream
        head = tx.streams().get(own)
        latest = tx.changes(own, head.applied - OWN_CHANGES_KEPT, OWN_CHANGES_KEPT) if head else []
        keys = [one.key for one in latest if isinstance(one.key, int)]
        rows = tx.bindings_by_address(keys)
        since = now_ms // 1000 - 2 * OFFER_HOLD_S
        return [
            key
            for key in keys
            if pool[0] <= key <= pool[1]
            and (row := rows.get(key)) is not None
            and (row.grant, row.transaction) == (1, Transaction.SELECTING)
            and row.transaction_at >= since
        ]

    def _give_back(self, tx: StoreTransaction, stock: Stock, now_ms: int) -> None:
        """A member more, or less that is left, has made every share smaller: let the others have
        the difference, of the blocks that the hash gives me last. Some ranges at a time: clients
        wait for the store while this is written."""
        if not self._situation.pollers or not self._situation.all_reachable:
            stock.not_before_ms = now_ms + self._situation.settings.poll_retry_ms
            return
        excess = stock.free - stock.high
        in_hand = self.blocks_in_hand(tx, stock, now_ms)
        given: list[Span] = []
        for block in reversed(stock.order):
            if block in in_hand:
                continue
            unused = [span for span, _ in stock.counter.unused(tx, block)]
            free = ranges.take(self._poll.free(tx, unused), excess)
            given += free
            excess -= ranges.size(free)
            if not excess or len(given) >= POLL_RANGES_MAX:
                break
        if not given:  # all of it is in hand
            stock.not_before_ms = now_ms + _SURVEY_MS
            return
        self._poll.give_back(tx, ranges.union(given[:POLL_RANGES_MAX]))
        stock.counted_at = -1
        stock.not_before_ms = now_ms + _COUNT_MS

    # --- restocking

    def _restock(self, tx: StoreTransaction, stock: Stock, now_ms: int) -> None:
        situation = self._situation
        may_poll_ms = max(
            stock.exhausted_ms, situation.polls_wait_until_ms, situation.holds_until_ms
        )
        if situation.all_reachable and now_ms >= may_poll_ms:
            self._ask_for(tx, stock, now_ms)
        elif self._ask_a_member(tx, stock, now_ms):
            return
        elif situation.all_reachable:
            self._back_off(stock, now_ms)
        else:
            stock.not_before_ms = now_ms + situation.hello_ms

    def _ask_a_member(self, tx: StoreTransaction, stock: Stock, now_ms: int) -> bool:
        """The one that has most, of those that can be reached and have not just been asked."""
        able = [
            (peer.free.get(stock.pool[0], 0), -peer.member)
            for peer in self._situation.peers.values()
            if peer.reachable and peer.told and peer.serving
            and now_ms >= stock.asked.get(peer.member, 0)
        ]  # fmt: skip
        most, minus_member = max(able, default=(0, 0))
        if most <= stock.free or most < 2:
            return False
        stock.asked[-minus_member] = now_ms + self._situation.settings.transfer_again_ms
        self._restocked = stock, self._taker, self._taker.finished
        self._taker.begin(
            tx, -minus_member, stock.pool, stock.high - stock.free, stock.free, now_ms
        )
        return True

    def _settle(self, now_ms: int) -> None:
        """Learn what the last attempt gained: nothing means to wait, longer each time."""
        if self._restocked is None:
            return
        stock, by, finished = self._restocked
        if by.finished == finished:
            return
        self._restocked = None
        if by.gained:
            stock.counted_at = -1
            stock.count_again_ms = now_ms
            stock.failures = 0
            stock.not_before_ms = now_ms
        elif by is self._taker:
            stock.not_before_ms = now_ms
        elif self._poll.refused(now_ms):
            retry_ms = self._situation.settings.poll_retry_ms
            stock.not_before_ms = (
                now_ms + retry_ms // 2 + self._situation.random.randrange(retry_ms)
            )
        else:
            self._back_off(stock, now_ms)

    def _back_off(self, stock: Stock, now_ms: int) -> None:
        settings = self._situation.settings
        wait = min(settings.poll_retry_max_ms, settings.poll_retry_ms << min(stock.failures, 8))
        stock.failures += 1
        stock.not_before_ms = now_ms + wait // 2 + self._situation.random.randrange(wait)

    def _ask_for(self, tx: StoreTransaction, stock: Stock, now_ms: int) -> None:
        spans, epoch = self._choose(tx, stock, stock.high - stock.free, now_ms)
        if spans:
            self._restocked = stock, self._poll, self._poll.finished
            self._poll.begin(tx, spans, epoch, now_ms)
        elif stock.cursor == stock.inside == 0:
            stock.exhausted_ms = now_ms + self._situation.settings.exhausted_ms
            self._restock(tx, stock, now_ms)

    def _choose(
        self, tx: StoreTransaction, stock: Stock, need: int, now_ms: int
    ) -> tuple[list[Span], int]:
        """Addresses that I could agree to give myself, and the highest epoch known of them. An
        empty answer with a cursor in the middle of the pool means: go on from there."""
        chosen: list[Span] = []
        epoch = 0
        budget = CHOOSE_BINDINGS_MAX
        nonce = Nonce(self._situation.incarnation, 0)
        left_out = ranges.union([*self._served.reserved, *self._poll.refused(now_ms)])
        alone = not self._situation.pollers
        while stock.cursor < len(stock.order) and budget > 0 and need > 0:
            first, last = stock.order[stock.cursor]
            first = max(first, stock.inside)
            if stock.leased.is_full((first, last)):
                stock.move_on(last)
                continue
            question = Question(first, last, self._situation.me, nonce, now_ms // 1000, alone=alone)
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
                self._promises.contest(verdict.owner, (verdict.first, verdict.last))
