"""Giving addresses to a member that has none left: the owner's side of TRANSFER (docs/protocol.md,
"TRANSFER").

What is given is TRANSFERRING here, durably, before the taker hears of it, under the next epoch and
the taker's request (`xid`). From then on it is not mine: the engine does not offer it, polls
are answered "no" with the taker's name and epoch, and no time that passes gives it back; whether
the taker has it I cannot know. It stays so until the taker says, under that xid, that it is its
owner; then the row becomes a promise to it, so that later answers say the same as before. As long
as there is something TRANSFERRING to a member, Hello tells it so, which is my retransmission:
the taker asks, and is offered the same again and nothing more.

A taker whose store is new (another incarnation), or that is out of the group, takes nothing any
more of what was offered before; but it may have. Its rows become promises too, and end as all do
that its lost store held: by its own word once it has recovered, or by its removal and quarantine.
"""

from __future__ import annotations

from dataclasses import replace

from agent.errors import PeerError
from agent.limits import POLL_RANGES_MAX, TRANSFER_BINDINGS_MAX
from agent.model import AddressRange, AddressState, MemberId, Nonce
from agent.port import StoreTransaction
from agent.sync import messages as m
from agent.sync import ranges
from agent.sync.keeper import Keeper
from agent.sync.ownership import AddressEvent, move
from agent.sync.ranges import Span
from agent.sync.situation import Situation
from agent.sync.stock import allowance, load_served, sharing
from agent.sync.verdict import is_dead


class Giver:
    def __init__(self, situation: Situation, keeper: Keeper) -> None:
        self._situation = situation
        self._keeper = keeper
        self._floors: dict[MemberId, Nonce] = {}
        self._owing: frozenset[MemberId] | None = None

    def owing(self, tx: StoreTransaction) -> frozenset[MemberId]:
        """Who has not acknowledged yet what was given to it."""
        if self._owing is None:
            rows = tx.address_ranges_in(AddressState.TRANSFERRING)
            self._owing = frozenset(row.member for row in rows)
        return self._owing

    def reset(self, tx: StoreTransaction) -> None:
        """The membership has changed: a taker may be out of the group."""
        peers = self._situation.peers
        self._lose(
            tx,
            [
                row
                for row in tx.address_ranges_in(AddressState.TRANSFERRING)
                if row.member not in peers
            ],
        )
        self._owing = None

    def _lose(self, tx: StoreTransaction, rows: list[AddressRange]) -> None:
        for row in rows:
            move(tx, AddressEvent.TAKER_LOST, replace(row, state=AddressState.PROMISED))
            self._situation.count("transfers_lost")
        self._owing = None

    # --- the request

    def answer_ask(self, tx: StoreTransaction, ask: m.TransferAsk, now_ms: int) -> m.TransferOffer:
        """What is the taker's now; the shell sends the answer after the commit."""
        taker, xid = ask.header.sender, ask.xid
        if xid.incarnation != ask.header.incarnation:
            raise PeerError("incarnation", f"{xid} is not of incarnation {ask.header.incarnation}")
        held = [
            row for row in tx.address_ranges_in(AddressState.TRANSFERRING) if row.member == taker
        ]
        if any(row.nonce.incarnation > xid.incarnation for row in held):
            raise PeerError("incarnation", f"{taker} has had a later one than {xid.incarnation}")
        self._lose(tx, [row for row in held if row.nonce.incarnation < xid.incarnation])
        held = [row for row in held if row.nonce.incarnation == xid.incarnation]
        if held:
            return self._offer(tx, held)
        if xid <= self._floors.get(taker, Nonce(0, 0)):
            return m.TransferOffer(xid, (), tx.local().mark)
        self._floors[taker] = xid
        situation = self._situation
        gives = situation.serving and situation.certain and not situation.is_going
        given = self._give(tx, ask, now_ms) if gives else []
        self._owing = None
        return self._offer(tx, given) if given else m.TransferOffer(xid, (), tx.local().mark)

    def _offer(self, tx: StoreTransaction, rows: list[AddressRange]) -> m.TransferOffer:
        """Rows of one request at a time, the oldest first."""
        xid = min(row.nonce for row in rows)
        same = sorted((row for row in rows if row.nonce == xid), key=lambda row: row.first)[
            :POLL_RANGES_MAX
        ]
        offered = tuple(m.RangeEpoch(r.first, r.last, r.epoch) for r in same)
        return m.TransferOffer(xid, offered, tx.local().mark)

    def _give(self, tx: StoreTransaction, ask: m.TransferAsk, now_ms: int) -> list[AddressRange]:
        """At most half of what is free here (draft 5.4), and less where the taker is not empty
        (`allowance`); of the blocks that the hash gives me last, those that my engine gives from
        last of all, and of each its end: what is on offer to a client lies at the beginning."""
        situation, pool = self._situation, (ask.first, ask.last)
        stock = self._keeper.stock_of(tx, pool, now_ms) if ask.wanted else None
        if stock is None:
            return []
        weights = sharing(situation.group)
        pair = weights.get(situation.me, 0), weights.get(ask.header.sender, 0)
        amount = allowance(stock.free, stock.low, ask.free, ask.wanted, pair)
        reserved = load_served(tx).reserved
        given: list[AddressRange] = []
        budget = TRANSFER_BINDINGS_MAX
        in_hand = self._keeper.blocks_in_hand(tx, stock, now_ms)
        last_first = reversed(stock.order)
        parts = (
            part
            for block in sorted(last_first, key=in_hand.__contains__)
            for part in reversed(list(stock.counter.unused(tx, block)))
        )
        for unused, epoch in parts:
            if amount <= 0 or budget <= 0 or len(given) >= POLL_RANGES_MAX:
                break
            free_spans, read = _truly_free(tx, unused, epoch, now_ms // 1000, budget)
            budget -= read
            spans = ranges.take_last(ranges.subtract(free_spans, reserved), amount)
            for span in spans[: POLL_RANGES_MAX - len(given)]:
                given.append(self._give_span(tx, span, epoch + 1, ask))
                amount -= ranges.size([span])
        stock.counted_at = -1
        situation.count("transfers_given", 1 if given else 0)
        situation.count("addresses_transferred", ranges.size((r.first, r.last) for r in given))
        return given

    def _give_span(
        self, tx: StoreTransaction, span: Span, epoch: int, ask: m.TransferAsk
    ) -> AddressRange:
        state, generation = AddressState.TRANSFERRING, self._situation.generation
        row = AddressRange(*span, state, epoch, ask.header.sender, ask.xid, generation)
        move(tx, AddressEvent.TRANSFER_OFFERED, row)
        return row

    # --- its end

    def receive_taken(self, tx: StoreTransaction, taken: m.TransferTaken) -> m.Acknowledged:
        """The taker owns these now. Said again, or of another request than the one under which
        they were given, it changes nothing."""
        for r in taken.ranges:
            for row in tx.address_ranges(r.first, r.last):
                if (
                    row.state is AddressState.TRANSFERRING
                    and row.member == taken.header.sender
                    and row.nonce == taken.xid
                    and row.epoch == r.epoch
                ):
                    first, last = max(row.first, r.first), min(row.last, r.last)
                    promise = replace(row, first=first, last=last, state=AddressState.PROMISED)
                    move(tx, AddressEvent.TRANSFER_ACKNOWLEDGED, promise)
                    self._owing = None
        return m.Acknowledged()


def _truly_free(
    tx: StoreTransaction, span: Span, epoch: int, now: int, most: int
) -> tuple[list[Span], int]:
    """What is bound to nobody in a span that is BINDABLE under `epoch`, and how many bindings
    that read. A lease of an older epoch that came to light after the poll counts as bound."""
    rows = tx.bindings_in_range(*span, most)
    if len(rows) == most:
        span = (span[0], rows[-1].address)
    bound = [
        (row.address, row.address) for row in rows if row.epoch >= epoch or not is_dead(row, now)
    ]
    return ranges.subtract([span], bound), len(rows)
