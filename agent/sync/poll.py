"""The complete poll: how addresses become BINDABLE (docs/protocol.md, "The complete poll"; draft
5.1, 5.3).

An attempt has a nonce and two rounds. ASK is read-only; RESERVE, for what everybody agreed to,
makes each member's "yes" a durable promise. Only when every other member has promised does the
range become BINDABLE here, durably, under an epoch above every one that was known.

The attempt's addresses are POLLING here from before the first question, and of those that were
put to RESERVE the rows stay until every member has acknowledged an abort: whatever was promised for
a failed attempt is so given back, even by a member that crashed in the middle, which aborts at
its next start whatever it finds POLLING. How the others answer is in `agent.sync.promise`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace

from agent.errors import PeerError
from agent.limits import POLL_ANSWER_MAX_AGE_S, POLL_BINDINGS_MAX, POLL_RANGES_MAX, REFUSALS_MAX
from agent.model import (
    AddressRange,
    AddressState,
    MemberId,
    Nonce,
    first_epoch,
    is_plausible_epoch,
)
from agent.port import StoreTransaction
from agent.sync import messages as m
from agent.sync import ranges
from agent.sync.ownership import AddressEvent, leave, move
from agent.sync.ranges import Span
from agent.sync.recover import lost_at
from agent.sync.situation import Situation
from agent.sync.verdict import Question, judge

PollRequest = m.PollAsk | m.PollReserve | m.PollAbort

_IDLE_MS = 60_000
_OWNED_MS = 30_000
_BUSY_MS = 3_000


class Phase(enum.Enum):
    ASK = enum.auto()
    RESERVE = enum.auto()


@dataclass(slots=True)
class Attempt:
    """`agreed`: by member, when the question was sent and what it agreed to in this phase."""

    nonce: Nonce
    generation: int
    spans: list[Span]
    epoch: int
    began_ms: int
    phase: Phase = Phase.ASK
    sent: list[tuple[MemberId, PollRequest, int]] = field(default_factory=list)
    agreed: dict[MemberId, tuple[int, list[Span]]] = field(default_factory=dict)

    def drop(self, spans: list[Span]) -> None:
        self.spans = ranges.subtract(self.spans, spans)


@dataclass(slots=True)
class Abort:
    """What is being given back, and whom that still has to reach: an attempt (`epoch` 0), or an
    ownership under `epoch`."""

    nonce: Nonce
    epoch: int
    spans: list[Span]
    waiting: set[MemberId]
    due_ms: dict[MemberId, int] = field(default_factory=dict)


def judge_span(tx: StoreTransaction, question: Question, most: int) -> tuple[list[m.Verdict], int]:
    """Verdicts from the store, and how many bindings that read; at most `most` are read, and
    what lies behind them is left out."""
    rows = tx.bindings_in_range(question.first, question.last, most)
    if len(rows) == most:
        last = rows[-1].address
        question = replace(question, last=last)
    lost = tx.lost_stores()
    group = tx.group() if lost else None
    if group is not None:
        question = replace(question, lost_at=lost_at(lost.values()), mul_s=group.longest_mul_s)
    held = tx.address_ranges(question.first, question.last)
    return judge(question, held, rows), len(rows)


class Poll:
    """This member as poller."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self.attempt: Attempt | None = None
        self.gained = 0
        self.finished = 0
        self._aborts: list[Abort] = []
        self._resumed = False
        self._refused: list[tuple[int, Span]] = []

    @property
    def is_idle(self) -> bool:
        return self._resumed and self.attempt is None

    @property
    def is_aborting(self) -> bool:
        """Whether anything of mine still has to be given back."""
        return bool(self._aborts)

    def reset(self, tx: StoreTransaction) -> None:
        """The membership has changed: an attempt of the old generation is void."""
        if self.attempt is not None:
            self._give_up(tx, self.attempt)
        members = set(self._situation.pollers)
        for abort in self._aborts:
            abort.waiting = set(members)
            abort.due_ms.clear()

    # --- as poller

    def begin(self, tx: StoreTransaction, spans: list[Span], epoch: int, now_ms: int) -> None:
        """Start an attempt for addresses that are free as far as I know; `epoch` is the highest
        that I know of them. Alone in the group, they are mine at once."""
        situation = self._situation
        nonce = Nonce(situation.incarnation, tx.next_poll_counter())
        situation.count("polls")
        epoch = max(epoch, first_epoch(situation.generation))
        attempt = Attempt(nonce, situation.generation, spans, epoch, now_ms)
        if not situation.pollers:
            self._own(tx, AddressEvent.TAKEN_ALONE, spans, epoch + 1)
            self.finished += 1
            self.gained = ranges.size(spans)
            return
        for first, last in spans:
            row = AddressRange(
                first, last, AddressState.POLLING, 0, situation.me, nonce, attempt.generation
            )
            move(tx, AddressEvent.POLL_BEGUN, row)
        self.attempt = attempt
        self._send_round(attempt, now_ms)

    def tick(self, tx: StoreTransaction, now_ms: int) -> int:
        if not self._resumed:
            self._resume(tx)
        due = now_ms + _IDLE_MS
        attempt = self.attempt
        if attempt is not None:
            deadline = attempt.began_ms + POLL_ANSWER_MAX_AGE_S * 1000
            if now_ms >= deadline:
                self._give_up(tx, attempt)
            else:
                due = min(due, deadline)
        return min(due, self._send_aborts(tx, now_ms))

    def _resume(self, tx: StoreTransaction) -> None:
        """Whatever an earlier life of this process left POLLING is given back."""
        self._resumed = True
        left: dict[tuple[Nonce, int], list[Span]] = {}
        for row in tx.address_ranges(0, ranges.ADDRESS_MAX):
            if row.state is AddressState.POLLING:
                left.setdefault((row.nonce, row.epoch), []).append((row.first, row.last))
        for (nonce, epoch), spans in left.items():
            self._abort(tx, nonce, epoch, spans)

    def _send_round(self, attempt: Attempt, now_ms: int) -> None:
        for peer in self._situation.pollers:
            self._ask(attempt, peer, now_ms)

    def _ask(self, attempt: Attempt, to: MemberId, now_ms: int) -> None:
        header = self._situation.header()
        asked = tuple(m.RangeEpoch(*span, attempt.epoch) for span in attempt.spans)
        request: PollRequest
        if attempt.phase is Phase.ASK:
            asked = tuple(m.RangeEpoch(*span) for span in attempt.spans)
            request = m.PollAsk(header, attempt.nonce, asked)
        else:
            request = m.PollReserve(header, attempt.nonce, asked)
        attempt.sent.append((to, request, now_ms))
        self._situation.send(to, request)

    def answered(
        self,
        tx: StoreTransaction,
        to: MemberId,
        request: PollRequest,
        response: m.Response | PeerError | None,
        now_ms: int,
    ) -> None:
        """`response` is None where nothing came back in time."""
        if isinstance(request, m.PollAbort):
            if isinstance(response, m.Acknowledged):
                self._abort_acknowledged(tx, to, request)
            return
        attempt = self.attempt
        if attempt is None:
            return
        if not isinstance(response, m.PollAnswer):
            if attempt.nonce == request.nonce and to not in attempt.agreed:
                if response is None:
                    self._ask_again(attempt, to, request, now_ms)
                else:
                    self._give_up(tx, attempt)
            return
        sent_ms = self._counts(attempt, to, request, response, now_ms)
        if sent_ms is None:
            self._situation.count("void_answers")
            return
        if not all(is_plausible_epoch(v.epoch, attempt.generation) for v in response.verdicts):
            self._situation.count("refused_version")
            self._give_up(tx, attempt)
            return
        yes = [(verdict.first, verdict.last) for verdict in response.verdicts if verdict.agreed]
        attempt.agreed[to] = (sent_ms, ranges.union(yes))
        self._note_refused(response, now_ms)
        if attempt.phase is Phase.ASK:
            attempt.epoch = max([attempt.epoch, *(v.epoch for v in response.verdicts)])
        if all(peer in attempt.agreed for peer in self._situation.pollers):
            self._round_complete(tx, attempt, now_ms)

    def _note_refused(self, answer: m.PollAnswer, now_ms: int) -> None:
        """A hint: what an owner keeps is not asked for again at once. A member that joined later
        has promised nothing and knows of no owner before it has asked."""
        self._refused = [(until, span) for until, span in self._refused if until > now_ms]
        for verdict in answer.verdicts:
            if not verdict.agreed and len(self._refused) < REFUSALS_MAX:
                until = now_ms + (_OWNED_MS if verdict.owner else _BUSY_MS)
                self._refused.append((until, (verdict.first, verdict.last)))

    def refused(self, now_ms: int) -> list[Span]:
        """What was refused to me a short while ago."""
        return ranges.union(span for until, span in self._refused if until > now_ms)

    def _ask_again(self, attempt: Attempt, to: MemberId, request: PollRequest, now_ms: int) -> None:
        """The answer was lost; the same question may be put again while the attempt lasts."""
        latest = [sent for member, sent, _ in attempt.sent if member == to]
        if latest and latest[-1] is request and to in self._situation.peers:
            self._ask(attempt, to, now_ms)

    def _counts(
        self,
        attempt: Attempt,
        to: MemberId,
        request: PollRequest,
        answer: m.PollAnswer,
        now_ms: int,
    ) -> int | None:
        """When the question was sent, if its answer counts: of this attempt, this round and this
        generation, and young enough. Anything else could be an old "yes", and makes two
        owners (docs/protocol.md, "The complete poll")."""
        if answer.nonce != attempt.nonce or answer.generation != attempt.generation:
            return None
        if attempt.generation != self._situation.generation:
            return None
        if isinstance(request, m.PollAsk) is not (attempt.phase is Phase.ASK):
            return None
        for member, sent, sent_ms in attempt.sent:
            if member == to and sent is request:
                fresh = now_ms - sent_ms <= POLL_ANSWER_MAX_AGE_S * 1000
                return sent_ms if fresh else None
        return None

    def _round_complete(self, tx: StoreTransaction, attempt: Attempt, now_ms: int) -> None:
        oldest = min(sent_ms for sent_ms, _ in attempt.agreed.values())
        if now_ms - oldest > POLL_ANSWER_MAX_AGE_S * 1000:
            self._give_up(tx, attempt)
            return
        agreed = attempt.spans
        for _, spans in attempt.agreed.values():
            agreed = ranges.intersect(agreed, spans)
        if attempt.phase is Phase.RESERVE:
            self._complete(tx, attempt, agreed, now_ms)
            return
        self._clear_polling(tx, ranges.subtract(attempt.spans, agreed), attempt.nonce)
        attempt.spans = agreed[:POLL_RANGES_MAX]
        self._clear_polling(tx, agreed[POLL_RANGES_MAX:], attempt.nonce)
        if not agreed:
            self._end(0)
            return
        attempt.phase = Phase.RESERVE
        attempt.epoch += 1
        attempt.began_ms = now_ms
        attempt.sent.clear()
        attempt.agreed.clear()
        self._send_round(attempt, now_ms)

    def _complete(
        self, tx: StoreTransaction, attempt: Attempt, agreed: list[Span], now_ms: int
    ) -> None:
        """Everybody has promised. What I know myself is looked at once more: my own engine may
        have served a former client since."""
        mine: list[Span] = []
        for first, last in agreed:
            question = Question(
                first,
                last,
                self._situation.me,
                attempt.nonce,
                now_ms // 1000,
                True,
                attempt.epoch,
            )
            verdicts, _ = judge_span(tx, question, POLL_BINDINGS_MAX)
            mine += [(verdict.first, verdict.last) for verdict in verdicts if verdict.agreed]
        mine = ranges.union(mine)
        self._own(tx, AddressEvent.POLL_COMPLETED, mine, attempt.epoch)
        failed = ranges.subtract(attempt.spans, mine)
        self._end(ranges.size(mine))
        if failed:
            self._abort(tx, attempt.nonce, 0, failed)

    def _own(
        self, tx: StoreTransaction, event: AddressEvent, spans: list[Span], epoch: int
    ) -> None:
        """BINDABLE, durably before it is used. The row names no attempt, so that neighbours of
        one epoch become one row."""
        for first, last in spans:
            state, nobody = AddressState.BINDABLE, Nonce(0, 0)
            move(tx, event, AddressRange(first, last, state, epoch, self._situation.me, nobody, 0))
        self._situation.count("addresses_gained", ranges.size(spans))

    def _end(self, gained: int) -> None:
        self.attempt = None
        self.gained = gained
        self.finished += 1

    def _give_up(self, tx: StoreTransaction, attempt: Attempt) -> None:
        self._end(0)
        self._situation.count("polls_failed")
        if attempt.phase is Phase.ASK:
            self._clear_polling(tx, attempt.spans, attempt.nonce)
        else:
            self._abort(tx, attempt.nonce, 0, attempt.spans)

    def _clear_polling(self, tx: StoreTransaction, spans: list[Span], nonce: Nonce) -> None:
        event, me = AddressEvent.POLL_ENDED, self._situation.me
        for span in spans:
            leave(tx, event, span, AddressState.POLLING, me, nonce)

    def give_way(self, tx: StoreTransaction, agreed: list[Span]) -> None:
        """Another member is to have these, if my own attempt is still in its first round."""
        attempt = self.attempt
        if attempt is None or attempt.phase is not Phase.ASK:
            return
        given = ranges.intersect(attempt.spans, agreed)
        if given:
            attempt.drop(given)
            self._clear_polling(tx, given, attempt.nonce)

    # --- giving back

    def give_back(self, tx: StoreTransaction, spans: list[Span]) -> None:
        """Let addresses go that are BINDABLE here (draft 9, BINDABLE -> UNBINDABLE): they are
        POLLING, durably nobody's to bind, until every member has forgotten its promise. What is
        bound already stays: the others' promises stand until they have its record."""
        situation = self._situation
        nonce = Nonce(situation.incarnation, tx.next_poll_counter())
        for epoch, free in self.unbound(tx, spans).items():
            for first, last in free:
                state, generation = AddressState.POLLING, situation.generation
                row = AddressRange(first, last, state, epoch, situation.me, nonce, generation)
                move(tx, AddressEvent.GIVEN_BACK, row)
            situation.count("addresses_given_back", ranges.size(free))
            self._abort(tx, nonce, epoch, free)

    def yield_to_leases(self, tx: StoreTransaction) -> bool:
        """Give back what is mine to give where a lease has come to light: its client may go on
        renewing it at a member that knows of no ownership of mine. Whether there was any."""
        situation = self._situation
        found = situation.came_to_light
        if not found or situation.owns_nothing:
            found.clear()
            return False
        spans = ranges.union((address, address) for address in found)
        found.clear()
        mine = self.free(tx, spans)
        if mine:
            situation.count("addresses_yielded", ranges.size(mine))
            self.give_back(tx, mine)
        return bool(mine)

    def unbound(self, tx: StoreTransaction, spans: list[Span]) -> dict[int, list[Span]]:
        """What of the spans is BINDABLE here and not used up, by epoch."""
        found: dict[int, list[Span]] = {}
        for span in spans:
            for row in tx.address_ranges(*span):
                if row.state is AddressState.BINDABLE:
                    first, last = max(row.first, span[0]), min(row.last, span[1])
                    bound = tx.bound_addresses(first, last, row.epoch)
                    free = ranges.subtract([(first, last)], ranges.union((a, a) for a in bound))
                    found.setdefault(row.epoch, []).extend(free)
        return {epoch: ranges.union(free) for epoch, free in found.items()}

    def free(self, tx: StoreTransaction, spans: list[Span]) -> list[Span]:
        """The same, whatever the epoch."""
        found = self.unbound(tx, spans)
        return ranges.union(span for free in found.values() for span in free)

    def _abort(self, tx: StoreTransaction, nonce: Nonce, epoch: int, spans: list[Span]) -> None:
        waiting = set(self._situation.pollers)
        for start in range(0, len(spans), POLL_RANGES_MAX):
            part = spans[start : start + POLL_RANGES_MAX]
            if waiting:
                self._aborts.append(Abort(nonce, epoch, part, set(waiting)))
            else:
                self._clear_polling(tx, part, nonce)

    def _send_aborts(self, tx: StoreTransaction, now_ms: int) -> int:
        due = now_ms + _IDLE_MS
        header = self._situation.header()
        for abort in list(self._aborts):
            if not abort.waiting:
                self._finish_abort(tx, abort)
                continue
            asked = tuple(m.RangeEpoch(*span, abort.epoch) for span in abort.spans)
            for peer in sorted(abort.waiting):
                if now_ms >= abort.due_ms.get(peer, 0):
                    abort.due_ms[peer] = now_ms + self._situation.settings.abort_retry_ms
                    request = m.PollAbort(header, abort.nonce, asked, tx.local().ownership_version)
                    self._situation.send(peer, request)
                due = min(due, abort.due_ms[peer])
        return due

    def _abort_acknowledged(self, tx: StoreTransaction, to: MemberId, request: m.PollAbort) -> None:
        if request.header.generation != self._situation.generation:
            return
        spans = [(r.first, r.last) for r in request.ranges]
        for abort in list(self._aborts):
            if abort.nonce == request.nonce and abort.spans == spans:
                abort.waiting.discard(to)
                if not abort.waiting:
                    self._finish_abort(tx, abort)

    def _finish_abort(self, tx: StoreTransaction, abort: Abort) -> None:
        self._aborts.remove(abort)
        self._clear_polling(tx, abort.spans, abort.nonce)
