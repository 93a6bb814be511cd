"""Taking addresses from a member that has some: the taker's side of TRANSFER (docs/protocol.md,
"TRANSFER").

The taker asks and asks again, and decides nothing from memory: it takes what an answer to its
*present* question offers, makes it BINDABLE, durably, and only then acknowledges. The giver keeps
what it gave away TRANSFERRING until that acknowledgement, which only I can send, so what the
answer said is true however late it comes: at this moment nobody else can own it. An answer to any
other question (an earlier life's, one that was given up, the same one twice) is void.

What I took and could not acknowledge I am offered again, because the giver's Hello says that
it waits; my own rows then tell that I have it, or had it and passed it on.

An address that I have promised to a poller since I asked is not taken, nor one that I poll
myself: it stays TRANSFERRING and is offered again, when the poll has come to its end.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.errors import PeerError
from agent.limits import POLL_BINDINGS_MAX, TRANSFER_ATTEMPT_S
from agent.model import AddressRange, AddressState, MemberId, Nonce
from agent.port import StoreTransaction
from agent.sync import messages as m
from agent.sync import ranges
from agent.sync.ownership import AddressEvent, move
from agent.sync.ranges import Span
from agent.sync.situation import Situation
from agent.sync.verdict import is_dead

TransferRequest = m.TransferAsk | m.TransferTaken
_IDLE_MS = 60_000


class TransferPhase(enum.Enum):
    ASK = enum.auto()
    ACKNOWLEDGE = enum.auto()


@dataclass(slots=True)
class TransferAttempt:
    """`promised`: what I have promised to pollers since I asked. `gained`: how many addresses."""

    giver: MemberId
    request: TransferRequest
    deadline_ms: int
    phase: TransferPhase = TransferPhase.ASK
    promised: list[Span] = field(default_factory=list)
    gained: int = 0


@dataclass(frozen=True, slots=True)
class _Sorted:
    """An offer, sorted by what I hold: to be taken now, and mine or another's already by what
    came after it."""

    takeable: list[m.RangeEpoch]
    settled: list[m.RangeEpoch]


class Taker:
    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._attempt: TransferAttempt | None = None
        self.gained = 0
        self.finished = 0

    @property
    def is_idle(self) -> bool:
        return self._attempt is None

    def reset(self) -> None:
        """The membership has changed: what was asked before is void. What the giver gave
        meanwhile its Hello tells under the new generation."""
        if self._attempt is not None:
            self._end(self._attempt)

    def begin(
        self, tx: StoreTransaction, giver: MemberId, pool: Span, wanted: int, free: int, now_ms: int
    ) -> None:
        """Ask `giver` for `wanted` addresses of the pool, of which I have `free`."""
        situation = self._situation
        xid = Nonce(situation.incarnation, tx.next_poll_counter())
        situation.count("transfers_asked")
        request = m.TransferAsk(situation.header(), xid, *pool, wanted, free)
        deadline = now_ms + TRANSFER_ATTEMPT_S * 1000
        self._attempt = TransferAttempt(giver, request, deadline)
        situation.send(giver, request)

    def tick(self, tx: StoreTransaction, now_ms: int) -> int:
        """Give up what takes too long, and ask members that wait for me. Returns when to come
        back."""
        attempt, situation = self._attempt, self._situation
        if attempt is not None and now_ms >= attempt.deadline_ms:
            self._end(attempt)
        if self._attempt is None and situation.serving:
            waiting = sorted(p.member for p in situation.peers.values() if p.owes_me)
            if waiting:
                situation.peers[waiting[0]].owes_me = False
                self.begin(tx, waiting[0], (0, 0), 0, 0, now_ms)
        return self._attempt.deadline_ms if self._attempt else now_ms + _IDLE_MS

    def note_promise(self, span: Span) -> None:
        """I have promised these addresses to a poller: they are not received any more."""
        if self._attempt is not None:
            self._attempt.promised = ranges.union([*self._attempt.promised, span])

    def answered(
        self,
        tx: StoreTransaction,
        to: MemberId,
        request: TransferRequest,
        response: m.Response | PeerError | None,
        now_ms: int,
    ) -> None:
        """`response` is None where nothing came back in time."""
        attempt = self._attempt
        if attempt is None or attempt.request is not request or attempt.giver != to:
            if response is not None:
                self._situation.count("void_transfers")
            return
        if response is None:
            self._situation.send(to, request)
        elif isinstance(response, m.TransferOffer) and attempt.phase is TransferPhase.ASK:
            self._receive(tx, attempt, response, now_ms)
        else:
            peer = self._situation.peers.get(to)
            if peer is not None and isinstance(response, m.Acknowledged):
                peer.owes_me = False
            self._end(attempt)

    def _end(self, attempt: TransferAttempt) -> None:
        self._attempt = None
        self.gained = attempt.gained
        self.finished += 1

    # --- an offer

    def _receive(
        self, tx: StoreTransaction, attempt: TransferAttempt, offer: m.TransferOffer, now_ms: int
    ) -> None:
        situation, request = self._situation, attempt.request
        of_mine = offer.xid.incarnation == situation.incarnation and offer.xid <= request.xid
        if not offer.ranges or not of_mine or not situation.serving:
            self._end(attempt)
            return
        taken: list[m.RangeEpoch] = []
        settled: list[m.RangeEpoch] = []
        for offered in offer.ranges:
            found = self._sort(tx, attempt, offered, now_ms // 1000)
            taken += found.takeable
            settled += found.settled
        for r in taken:
            state, nobody = AddressState.BINDABLE, Nonce(0, 0)
            row = AddressRange(r.first, r.last, state, r.epoch, situation.me, nobody, 0)
            move(tx, AddressEvent.TRANSFER_TAKEN, row)
        attempt.gained = ranges.size((r.first, r.last) for r in taken)
        situation.count("addresses_received", attempt.gained)
        self._acknowledge(tx, attempt, offer, [*taken, *settled], now_ms)

    def _acknowledge(
        self,
        tx: StoreTransaction,
        attempt: TransferAttempt,
        offer: m.TransferOffer,
        mine: list[m.RangeEpoch],
        now_ms: int,
    ) -> None:
        if not mine:
            self._end(attempt)
            return
        ordered = tuple(sorted(mine, key=lambda r: r.first))
        header, version = self._situation.header(), tx.local().ownership_version
        request = m.TransferTaken(header, offer.xid, ordered, version)
        attempt.phase, attempt.request = TransferPhase.ACKNOWLEDGE, request
        attempt.deadline_ms = now_ms + TRANSFER_ATTEMPT_S * 1000
        self._situation.send(attempt.giver, request)

    def _sort(
        self, tx: StoreTransaction, attempt: TransferAttempt, offered: m.RangeEpoch, now: int
    ) -> _Sorted:
        span = (offered.first, offered.last)
        held = tx.address_ranges(*span)
        kept = [row for row in held if not _gives_way(row, attempt.giver, offered)]
        mine = [row for row in held if _came_after(row, offered)]
        bound, read_to = _bound(tx, span, offered.epoch, now)
        free_to_take = ranges.subtract([(offered.first, read_to)], _spans(kept))
        free_to_take = ranges.subtract(free_to_take, attempt.promised)
        takeable = ranges.subtract(free_to_take, bound)
        settled = ranges.union([*_spans(mine), *ranges.intersect(free_to_take, bound)])
        settled = ranges.subtract(ranges.intersect([span], settled), takeable)
        return _Sorted(_with_epoch(takeable, offered), _with_epoch(settled, offered))


def _gives_way(row: AddressRange, giver: MemberId, offered: m.RangeEpoch) -> bool:
    """A promise to the giver; or to one from which the giver, directly or not, has it: the giver's
    own epoch, one below the one offered, is then above the promise's."""
    if row.state is not AddressState.PROMISED:
        return False
    return row.member == giver or row.epoch < offered.epoch - 1


def _came_after(row: AddressRange, offered: m.RangeEpoch) -> bool:
    """Whether what I hold shows that I had taken the offer before: it is mine under its epoch, or
    something followed under a later one."""
    if row.state in (AddressState.BINDABLE, AddressState.TRANSFERRING):
        return row.epoch >= offered.epoch
    return row.state is AddressState.PROMISED and row.epoch > offered.epoch


def _bound(tx: StoreTransaction, span: Span, epoch: int, now: int) -> tuple[list[Span], int]:
    """Addresses that are no stock any more, and how far was looked: I had the offer before and
    used it; or a client has a lease of which the giver did not know. They are acknowledged, and
    not taken."""
    rows = tx.bindings_in_range(*span, POLL_BINDINGS_MAX)
    bound = [
        (row.address, row.address) for row in rows if row.epoch >= epoch or not is_dead(row, now)
    ]
    read_to = rows[-1].address if len(rows) == POLL_BINDINGS_MAX else span[1]
    return ranges.union(bound), read_to


def _spans(rows: Iterable[AddressRange]) -> list[Span]:
    return ranges.union((row.first, row.last) for row in rows)


def _with_epoch(spans: list[Span], offered: m.RangeEpoch) -> list[m.RangeEpoch]:
    return [m.RangeEpoch(first, last, offered.epoch) for first, last in spans]
