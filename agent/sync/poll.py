"""The complete poll: how addresses become BINDABLE (protocol.md 4; draft 5.1, 5.3).

An attempt has a nonce and two rounds. ASK is read-only; RESERVE, for what everybody agreed to,
makes each member's "yes" a durable promise. Only when every other member has promised does the
range become BINDABLE here, durably, under an epoch above every one that was known.

The attempt's addresses are POLLING here from before the first question, and of those that were
put to RESERVE the rows stay until every member has acknowledged an abort: whatever was promised for
a failed attempt is so given back, even by a member that crashed in the middle, which aborts at
its next start whatever it finds POLLING. A promise that outlives even that (an old RESERVE
delivered after its abort to a member that had restarted in between) is found when it stands in
somebody's way: its holder asks the poller, under the nonce counter 0, whether it still wants it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from agent.errors import PeerError
from agent.limits import POLL_ANSWER_MAX_AGE_S, POLL_BINDINGS_MAX, POLL_RANGES_MAX, REFUSALS_MAX
from agent.model import AddressRange, AddressState, MemberId, Nonce
from agent.port import StoreTransaction
from agent.sync import messages as m
from agent.sync import ranges
from agent.sync.ranges import Span
from agent.sync.situation import Situation
from agent.sync.stock import prefers_other
from agent.sync.verdict import Question, judge

PollRequest = m.PollAsk | m.PollReserve | m.PollAbort

_VERIFIED_MAX = 64
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
    """An attempt that is being given back: whom it still has to reach."""

    nonce: Nonce
    spans: list[Span]
    waiting: set[MemberId]
    due_ms: dict[MemberId, int] = field(default_factory=dict)


def lay(tx: StoreTransaction, row: AddressRange) -> None:
    removed, added = ranges.lay(tx.address_ranges(*ranges.around(row.first, row.last)), row)
    if removed or added:
        tx.replace_address_ranges(removed, added)


def clear(
    tx: StoreTransaction, span: Span, state: AddressState, member: MemberId, nonce: Nonce
) -> None:
    """Take away the rows of that state, member and nonce (or a lower one) in the span."""
    removed, added = ranges.clear(
        tx.address_ranges(*span),
        *span,
        lambda row: row.state is state and row.member == member and row.nonce <= nonce,
    )
    if removed:
        tx.replace_address_ranges(removed, added)


def judge_span(tx: StoreTransaction, question: Question, most: int) -> tuple[list[m.Verdict], int]:
    """Verdicts from the store, and how many bindings that read; at most `most` are read, and
    what lies behind them is left out."""
    rows = tx.bindings_in_range(question.first, question.last, most)
    if len(rows) == most:
        last = rows[-1].address
        question = Question(
            question.first,
            last,
            question.asker,
            question.nonce,
            question.now,
            question.yields,
            question.epoch,
        )
    held = tx.address_ranges(question.first, question.last)
    return judge(question, held, rows), len(rows)


class Poll:
    """This member as poller, and as the one that is polled."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self.attempt: Attempt | None = None
        self.gained = 0
        self.finished = 0
        self._aborts: list[Abort] = []
        self._resumed = False
        self._floors: dict[MemberId, Nonce] = {}
        self._contested: dict[MemberId, list[Span]] = {}
        self._verifying: dict[MemberId, tuple[m.PollAsk, list[AddressRange]]] = {}
        self._verify_at_ms = 0
        self._refused: list[tuple[int, Span]] = []

    @property
    def is_idle(self) -> bool:
        return self._resumed and self.attempt is None

    def reset(self, tx: StoreTransaction) -> None:
        """The membership has changed: an attempt of the old generation is void."""
        if self.attempt is not None:
            self._give_up(tx, self.attempt)
        members = {peer.member for peer in self._situation.others()}
        for abort in self._aborts:
            abort.waiting = set(members)
            abort.due_ms.clear()
        self._verifying.clear()
        self._contested.clear()

    # --- as poller

    def begin(self, tx: StoreTransaction, spans: list[Span], epoch: int, now_ms: int) -> None:
        """Start an attempt for addresses that are free as far as I know; `epoch` is the highest
        that I know of them. Alone in the group, they are mine at once."""
        situation = self._situation
        nonce = Nonce(situation.incarnation, tx.next_poll_counter())
        situation.count("polls")
        attempt = Attempt(nonce, situation.generation, spans, epoch, now_ms)
        if not situation.peers:
            self._own(tx, spans, epoch + 1)
            self.finished += 1
            self.gained = ranges.size(spans)
            return
        for first, last in spans:
            row = AddressRange(
                first, last, AddressState.POLLING, 0, situation.me, nonce, attempt.generation
            )
            lay(tx, row)
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
        return min(due, self._send_aborts(tx, now_ms), self._verify(tx, now_ms))

    def _resume(self, tx: StoreTransaction) -> None:
        """Whatever an earlier life of this process left POLLING is given back."""
        self._resumed = True
        left: dict[Nonce, list[Span]] = {}
        for row in tx.address_ranges(0, ranges.ADDRESS_MAX):
            if row.state is AddressState.POLLING:
                left.setdefault(row.nonce, []).append((row.first, row.last))
        for nonce, spans in left.items():
            self._abort(tx, nonce, spans)

    def _send_round(self, attempt: Attempt, now_ms: int) -> None:
        for peer in self._situation.peers:
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
        if request.nonce.counter == 0:
            self._verified(tx, to, request, response)
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
        yes = [(verdict.first, verdict.last) for verdict in response.verdicts if verdict.agreed]
        attempt.agreed[to] = (sent_ms, ranges.union(yes))
        self._note_refused(response, now_ms)
        if attempt.phase is Phase.ASK:
            attempt.epoch = max([attempt.epoch, *(v.epoch for v in response.verdicts)])
        if all(peer in attempt.agreed for peer in self._situation.peers):
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
        owners (protocol.md 4)."""
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
        self._own(tx, mine, attempt.epoch)
        failed = ranges.subtract(attempt.spans, mine)
        self._end(ranges.size(mine))
        if failed:
            self._abort(tx, attempt.nonce, failed)

    def _own(self, tx: StoreTransaction, spans: list[Span], epoch: int) -> None:
        """BINDABLE, durably before it is used. The row names no attempt, so that neighbours of
        one epoch become one row."""
        for first, last in spans:
            state = AddressState.BINDABLE
            lay(tx, AddressRange(first, last, state, epoch, self._situation.me, Nonce(0, 0), 0))
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
            self._abort(tx, attempt.nonce, attempt.spans)

    def _clear_polling(self, tx: StoreTransaction, spans: list[Span], nonce: Nonce) -> None:
        for span in spans:
            clear(tx, span, AddressState.POLLING, self._situation.me, nonce)

    # --- giving back

    def give_back(self, tx: StoreTransaction, spans: list[Span]) -> None:
        """Let addresses go that are BINDABLE here (draft 9, BINDABLE -> UNBINDABLE): they are
        POLLING, durably nobody's to bind, until every member has forgotten its promise."""
        situation = self._situation
        nonce = Nonce(situation.incarnation, tx.next_poll_counter())
        for first, last in spans:
            state, generation = AddressState.POLLING, situation.generation
            lay(tx, AddressRange(first, last, state, 0, situation.me, nonce, generation))
        situation.count("addresses_given_back", ranges.size(spans))
        self._abort(tx, nonce, spans)

    def _abort(self, tx: StoreTransaction, nonce: Nonce, spans: list[Span]) -> None:
        waiting = {peer.member for peer in self._situation.others()}
        for start in range(0, len(spans), POLL_RANGES_MAX):
            part = spans[start : start + POLL_RANGES_MAX]
            if waiting:
                self._aborts.append(Abort(nonce, part, set(waiting)))
            else:
                self._clear_polling(tx, part, nonce)

    def _send_aborts(self, tx: StoreTransaction, now_ms: int) -> int:
        due = now_ms + _IDLE_MS
        header = self._situation.header()
        for abort in list(self._aborts):
            if not abort.waiting:
                self._finish_abort(tx, abort)
                continue
            asked = tuple(m.RangeEpoch(*span) for span in abort.spans)
            for peer in sorted(abort.waiting):
                if now_ms >= abort.due_ms.get(peer, 0):
                    abort.due_ms[peer] = now_ms + self._situation.settings.abort_retry_ms
                    self._situation.send(peer, m.PollAbort(header, abort.nonce, asked))
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

    # --- as the one that is polled

    def answer_ask(self, tx: StoreTransaction, ask: m.PollAsk, now_ms: int) -> m.PollAnswer:
        verdicts = self._verdicts(tx, ask, now_ms)
        return m.PollAnswer(ask.nonce, self._situation.generation, tuple(verdicts))

    def answer_reserve(
        self, tx: StoreTransaction, reserve: m.PollReserve, now_ms: int
    ) -> m.PollAnswer:
        """Promise what can be promised; the shell sends the answer after the commit."""
        sender, generation = reserve.header.sender, self._situation.generation
        floor = self._floors.get(sender)
        if floor is not None and reserve.nonce <= floor:
            refused = tuple(m.Verdict(r.first, r.last, False, 0, 0) for r in reserve.ranges)
            return m.PollAnswer(reserve.nonce, generation, refused)
        verdicts = self._verdicts(tx, reserve, now_ms)
        epochs = [(r.first, r.last, r.epoch) for r in reserve.ranges]
        for verdict in verdicts:
            if verdict.agreed:
                epoch = next(e for first, last, e in epochs if first <= verdict.first <= last)
                self._promise(tx, verdict, epoch, sender, reserve.nonce)
        return m.PollAnswer(reserve.nonce, generation, tuple(verdicts))

    def _promise(
        self,
        tx: StoreTransaction,
        verdict: m.Verdict,
        epoch: int,
        to: MemberId,
        nonce: Nonce,
    ) -> None:
        state, generation = AddressState.PROMISED, self._situation.generation
        lay(tx, AddressRange(verdict.first, verdict.last, state, epoch, to, nonce, generation))

    def _verdicts(
        self, tx: StoreTransaction, request: m.PollAsk | m.PollReserve, now_ms: int
    ) -> list[m.Verdict]:
        """What I say of each range. Where my own attempt gives way, it does so at once."""
        situation, sender = self._situation, request.header.sender
        if not situation.serving:
            return [m.Verdict(r.first, r.last, False, 0, 0) for r in request.ranges]
        verdicts: list[m.Verdict] = []
        budget = POLL_BINDINGS_MAX
        for r in request.ranges:
            if budget <= 0 or len(verdicts) >= POLL_RANGES_MAX:
                break
            epoch = r.epoch if isinstance(request, m.PollReserve) else None
            question = Question(
                r.first,
                r.last,
                sender,
                request.nonce,
                now_ms // 1000,
                self._yields(request, r.first),
                epoch,
            )
            judged, read = judge_span(tx, question, budget)
            budget -= read
            verdicts += judged[: POLL_RANGES_MAX - len(verdicts)]
        self._give_way(tx, verdicts)
        for verdict in verdicts:
            if not verdict.agreed and verdict.owner not in (0, situation.me, sender):
                self.contest(verdict.owner, (verdict.first, verdict.last))
        return verdicts

    def _yields(self, request: m.PollAsk | m.PollReserve, first: int) -> bool:
        attempt = self.attempt
        return (
            attempt is not None
            and attempt.phase is Phase.ASK
            and request.nonce.counter > 0
            and prefers_other(first, self._situation.me, request.header.sender)
            and not self._aborts
        )

    def _give_way(self, tx: StoreTransaction, verdicts: list[m.Verdict]) -> None:
        attempt = self.attempt
        if attempt is None or attempt.phase is not Phase.ASK:
            return
        yes = [(verdict.first, verdict.last) for verdict in verdicts if verdict.agreed]
        given = ranges.intersect(attempt.spans, ranges.union(yes))
        if given:
            attempt.drop(given)
            self._clear_polling(tx, given, attempt.nonce)

    def receive_abort(self, tx: StoreTransaction, abort: m.PollAbort) -> m.Acknowledged:
        sender = abort.header.sender
        for r in abort.ranges:
            clear(tx, (r.first, r.last), AddressState.PROMISED, sender, abort.nonce)
        self._floors[sender] = max(abort.nonce, self._floors.get(sender, abort.nonce))
        return m.Acknowledged()

    # --- promises that outlive their attempt

    def contest(self, holder: MemberId, span: Span) -> None:
        """A promise to `holder` stands in somebody's way."""
        spans = self._contested.setdefault(holder, [])
        if len(spans) < _VERIFIED_MAX and span not in spans:
            spans.append(span)

    def _verify(self, tx: StoreTransaction, now_ms: int) -> int:
        settings = self._situation.settings
        if not self._contested or now_ms < self._verify_at_ms:
            return self._verify_at_ms if self._contested else now_ms + _IDLE_MS
        self._verify_at_ms = now_ms + settings.verify_ms
        contested, self._contested = self._contested, {}
        for holder, spans in sorted(contested.items()):
            if holder not in self._situation.peers:
                continue
            rows = [
                row
                for span in spans
                for row in tx.address_ranges(*span)
                if row.state is AddressState.PROMISED and row.member == holder
            ]
            asked = ranges.intersect(
                ranges.union(spans), ranges.union((row.first, row.last) for row in rows)
            )[:POLL_RANGES_MAX]
            if asked:
                nonce = Nonce(self._situation.incarnation, 0)
                wanted = tuple(m.RangeEpoch(*span) for span in asked)
                request = m.PollAsk(self._situation.header(), nonce, wanted)
                self._verifying[holder] = (request, rows)
                self._situation.send(holder, request)
        return self._verify_at_ms

    def _verified(
        self,
        tx: StoreTransaction,
        to: MemberId,
        request: PollRequest,
        response: m.Response | PeerError | None,
    ) -> None:
        """The poller neither polls nor owns what it agrees to: then no attempt up to the one that
        I promised to can still succeed there."""
        asked, rows = self._verifying.get(to, (None, []))
        if asked is not request or not isinstance(response, m.PollAnswer):
            return
        del self._verifying[to]
        for verdict in response.verdicts:
            for row in rows:
                first, last = max(row.first, verdict.first), min(row.last, verdict.last)
                if verdict.agreed and first <= last:
                    clear(tx, (first, last), AddressState.PROMISED, to, row.nonce)
                    self._situation.count("promises_ended")
