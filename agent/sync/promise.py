"""The one that is polled: verdicts, promises, and when a promise ends (docs/protocol.md, "The
complete poll"; draft 5.4).

ASK is answered from what is known, RESERVE with a durable promise for what is agreed to. A promise
ends with an abort of its attempt, or of the ownership that came of it, or when a binding has used
it up; never because the same member asks for something else: a lease may have come of it that is
not recorded here yet, and the client of an epoch before must not be served meanwhile. One that
outlives all that (an old RESERVE delivered after its abort to a member that had restarted; an
abort that was lost with its poller's store) is found when it stands in somebody's way: its holder
asks the poller, under the nonce counter 0, whether it still wants it. A member that has given the
address to a third by TRANSFER says so, and the promise follows.
"""

from __future__ import annotations

from dataclasses import replace

from agent.errors import PeerError
from agent.limits import POLL_BINDINGS_MAX, POLL_RANGES_MAX
from agent.model import AddressRange, AddressState, MemberId, Nonce, is_plausible_epoch
from agent.port import StoreTransaction
from agent.sync import messages as m
from agent.sync import ranges
from agent.sync.ownership import AddressEvent, leave, move
from agent.sync.poll import Phase, Poll, PollRequest, judge_span
from agent.sync.ranges import Span
from agent.sync.situation import Situation
from agent.sync.stock import prefers_other
from agent.sync.transfer import Taker
from agent.sync.verdict import Question

_VERIFIED_MAX = 64
_IDLE_MS = 60_000


class Promises:
    def __init__(self, situation: Situation, poll: Poll, taker: Taker) -> None:
        self._situation = situation
        self._poll = poll
        self._taker = taker
        self._floors: dict[MemberId, Nonce] = {}
        self._contested: dict[MemberId, list[Span]] = {}
        self._verifying: dict[MemberId, tuple[m.PollAsk, list[AddressRange]]] = {}
        self._verify_at_ms = 0

    def reset(self) -> None:
        """The membership has changed: what was asked is void."""
        self._verifying.clear()
        self._contested.clear()

    # --- answers

    def answer_ask(self, tx: StoreTransaction, ask: m.PollAsk, now_ms: int) -> m.PollAnswer:
        verdicts = self._verdicts(tx, ask, now_ms)
        generation, mark = self._situation.generation, tx.local().mark
        return m.PollAnswer(ask.nonce, generation, tuple(verdicts), mark)

    def answer_reserve(
        self, tx: StoreTransaction, reserve: m.PollReserve, now_ms: int
    ) -> m.PollAnswer:
        """Promise what can be promised; the shell sends the answer after the commit."""
        sender, generation = reserve.header.sender, self._situation.generation
        if not all(is_plausible_epoch(r.epoch, generation) for r in reserve.ranges):
            raise PeerError("version", "an epoch that nobody can have come to")
        floor = self._floors.get(sender)
        if floor is not None and reserve.nonce <= floor:
            refused = tuple(m.Verdict(r.first, r.last, False, 0, 0) for r in reserve.ranges)
            return m.PollAnswer(reserve.nonce, generation, refused, tx.local().mark)
        verdicts = self._verdicts(tx, reserve, now_ms)
        epochs = [(r.first, r.last, r.epoch) for r in reserve.ranges]
        for verdict in verdicts:
            if verdict.agreed:
                epoch = next(e for first, last, e in epochs if first <= verdict.first <= last)
                self._promise(tx, verdict, epoch, sender, reserve.nonce)
        return m.PollAnswer(reserve.nonce, generation, tuple(verdicts), tx.local().mark)

    def _promise(
        self,
        tx: StoreTransaction,
        verdict: m.Verdict,
        epoch: int,
        to: MemberId,
        nonce: Nonce,
    ) -> None:
        state, generation = AddressState.PROMISED, self._situation.generation
        row = AddressRange(verdict.first, verdict.last, state, epoch, to, nonce, generation)
        move(tx, AddressEvent.PROMISE_MADE, row)
        self._taker.note_promise((verdict.first, verdict.last))

    def _verdicts(
        self, tx: StoreTransaction, request: m.PollAsk | m.PollReserve, now_ms: int
    ) -> list[m.Verdict]:
        """What I say of each range. Where my own attempt gives way, it does so at once. A member
        that does not serve does not know what others have given away: its "no" would say that it
        does, so it says nothing. While polls wait nothing is promised, and questions are answered:
        an enquiry asks what is known."""
        situation, sender = self._situation, request.header.sender
        if not situation.serving:
            raise PeerError("not_serving", f"member {situation.me} cannot judge yet")
        waits = isinstance(request, m.PollReserve) and now_ms < situation.polls_wait_until_ms
        asks_back = request.nonce.counter == 0 and now_ms < situation.holds_until_ms
        if asks_back or waits:
            return [m.Verdict(r.first, r.last, False, 0, 0) for r in request.ranges]
        verdicts: list[m.Verdict] = []
        budget = POLL_BINDINGS_MAX
        for r in request.ranges:
            if budget <= 0 or len(verdicts) >= POLL_RANGES_MAX:
                break
            is_wanted_under = isinstance(request, m.PollReserve) or request.nonce.counter == 0
            epoch = r.epoch if is_wanted_under else None
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
        yes = [(verdict.first, verdict.last) for verdict in verdicts if verdict.agreed]
        self._poll.give_way(tx, ranges.union(yes))
        for verdict in verdicts:
            if not verdict.agreed and verdict.owner not in (0, situation.me, sender):
                self.contest(verdict.owner, (verdict.first, verdict.last))
        return verdicts

    def _yields(self, request: m.PollAsk | m.PollReserve, first: int) -> bool:
        attempt = self._poll.attempt
        return (
            attempt is not None
            and attempt.phase is Phase.ASK
            and request.nonce.counter > 0
            and prefers_other(first, self._situation.me, request.header.sender)
            and not self._poll.is_aborting
        )

    def receive_abort(self, tx: StoreTransaction, abort: m.PollAbort) -> m.Acknowledged:
        sender = abort.header.sender
        for r in abort.ranges:
            span, event = (r.first, r.last), AddressEvent.PROMISE_ENDED
            leave(tx, event, span, AddressState.PROMISED, sender, abort.nonce, r.epoch)
        self._floors[sender] = max(abort.nonce, self._floors.get(sender, abort.nonce))
        return m.Acknowledged()

    # --- promises that outlive their attempt

    def contest(self, holder: MemberId, span: Span) -> None:
        """A promise to `holder` stands in somebody's way."""
        spans = self._contested.setdefault(holder, [])
        if len(spans) < _VERIFIED_MAX and span not in spans:
            spans.append(span)

    def tick(self, tx: StoreTransaction, now_ms: int) -> int:
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
            contested_spans = ranges.union(spans)
            wanted = tuple(
                m.RangeEpoch(first, last, row.epoch)
                for row in sorted(set(rows), key=lambda row: row.first)
                for first, last in ranges.intersect(contested_spans, [(row.first, row.last)])
            )[:POLL_RANGES_MAX]
            if wanted:
                nonce = Nonce(self._situation.incarnation, 0)
                request = m.PollAsk(self._situation.header(), nonce, wanted)
                self._verifying[holder] = (request, rows)
                self._situation.send(holder, request)
        return self._verify_at_ms

    def verified(
        self,
        tx: StoreTransaction,
        to: MemberId,
        request: PollRequest,
        response: m.Response | PeerError | None,
    ) -> None:
        """The poller neither polls nor owns what it agrees to, nor knows a lease that came of it:
        then no attempt up to the one that I promised to can still succeed there. (Where a lease
        did, its record ends the promise; without it I might serve the client before.) Or it
        names the member to which it gave it."""
        asked, rows = self._verifying.get(to, (None, []))
        if asked is not request or not isinstance(response, m.PollAnswer):
            return
        del self._verifying[to]
        for verdict in response.verdicts:
            for row in rows:
                first, last = max(row.first, verdict.first), min(row.last, verdict.last)
                if first > last:
                    continue
                if verdict.agreed:
                    event = AddressEvent.PROMISE_ENDED
                    leave(tx, event, (first, last), AddressState.PROMISED, to, row.nonce)
                    self._situation.count("promises_ended")
                elif verdict.owner in self._situation.peers and verdict.epoch > row.epoch:
                    self._pass_on(tx, replace(row, first=first, last=last), verdict)

    def _pass_on(self, tx: StoreTransaction, promised: AddressRange, verdict: m.Verdict) -> None:
        """Promised to one that has transferred it: the promise is the new owner's now, under no
        attempt of its own; so it ends only when it is asked about again, is used up, or that
        incarnation is lost."""
        if tx.address_ranges(promised.first, promised.last) != [promised]:
            return
        nonce = Nonce(self._situation.peers[verdict.owner].incarnation, 0)
        row = replace(promised, member=verdict.owner, epoch=verdict.epoch, nonce=nonce)
        move(tx, AddressEvent.PROMISE_PASSED_ON, row)
