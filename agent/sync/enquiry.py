"""Asking the other members about single addresses on the engine's behalf (draft 6.3 to 6.5).

The engine must not wait for anybody between a REQUEST and its answer. It writes down what it wants
to know, says nothing to the client, and finds the answer when the message comes again, from the
client or from those that it keeps (agent.dhcp.held). What is asked
is the first round of a complete poll, which is read-only at the other side: each member says
whether it could agree that this one took the address, which is no wherever somebody owns it,
polls for it, has promised it, or knows a lease of it that is not over. Those are asked that a
complete poll needs; one that does not serve refuses, since it cannot judge.

One batch at a time; a member that does not answer in time, or refuses to, leaves the answer
incomplete. What is free is told to who wants to have it (`take_free`). Rows are forgotten some time
after they were asked, answered or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.errors import PeerError
from agent.limits import ENQUIRIES_MAX, ENQUIRY_FRESH_MS, POLL_ANSWER_MAX_AGE_S
from agent.model import Enquiry, MemberId, Nonce
from agent.port import StoreTransaction
from agent.sync import messages as m
from agent.sync.poll import judge_span
from agent.sync.promise import Promises
from agent.sync.situation import Situation
from agent.sync.verdict import Question

_FORGET_MS = 30_000


@dataclass(slots=True)
class _Asked:
    """What is being asked. `waiting`: who has not answered. `taken`: addresses that somebody said
    no to; `epochs`: the highest known of each."""

    nonce: Nonce
    enquiries: list[Enquiry]
    sent_ms: int
    waiting: set[MemberId]
    failed: bool = False
    taken: set[int] = field(default_factory=set)
    epochs: dict[int, int] = field(default_factory=dict)

    def note(self, verdicts: tuple[m.Verdict, ...]) -> None:
        """What is not spoken of is not agreed to."""
        for address in (one.address for one in self.enquiries):
            said = next((v for v in verdicts if v.first <= address <= v.last), None)
            if said is None or not said.agreed:
                self.taken.add(address)
            if said is not None:
                self.epochs[address] = max(said.epoch, self.epochs.get(address, 0))


class Enquiries:
    def __init__(self, situation: Situation, promises: Promises) -> None:
        self._situation = situation
        self._promises = promises
        self._asked: _Asked | None = None
        self._forget_at_ms = 0
        self._free: list[int] = []

    @property
    def is_idle(self) -> bool:
        return self._asked is None

    def reset(self) -> None:
        """The membership has changed: what was asked is asked anew."""
        self._asked = None

    def take_free(self) -> list[int]:
        """Addresses of which every member has said, since the last call, that nobody has them."""
        free, self._free = self._free, []
        return free

    def tick(self, tx: StoreTransaction, now_ms: int) -> int:
        if now_ms >= self._forget_at_ms:
            self._forget_at_ms = now_ms + _FORGET_MS
            tx.forget_enquiries(now_ms - 2 * ENQUIRY_FRESH_MS)
        return min(self._forget_at_ms, self._ask_what_is_open(tx, now_ms))

    def _ask_what_is_open(self, tx: StoreTransaction, now_ms: int) -> int:
        asked = self._asked
        if asked is not None:
            deadline = asked.sent_ms + POLL_ANSWER_MAX_AGE_S * 1000
            if asked.waiting and now_ms < deadline:
                return deadline
            self._finish(tx, asked, now_ms)
        enquiries = tx.open_enquiries(ENQUIRIES_MAX)
        if not enquiries:
            return self._forget_at_ms
        self._ask(tx, enquiries, now_ms)
        return now_ms if self._asked is None else now_ms + POLL_ANSWER_MAX_AGE_S * 1000

    def _ask(self, tx: StoreTransaction, enquiries: list[Enquiry], now_ms: int) -> None:
        situation = self._situation
        nonce = Nonce(situation.incarnation, tx.next_poll_counter())
        asked = _Asked(nonce, enquiries, now_ms, set(situation.pollers))
        ordered = sorted(one.address for one in enquiries)
        own: list[m.Verdict] = []
        for address in ordered:
            question = Question(address, address, situation.me, nonce, now_ms // 1000)
            own += judge_span(tx, question, 2)[0]
            owner = own[-1].owner
            if owner not in (0, situation.me):
                self._promises.contest(owner, (address, address))
        asked.note(tuple(own))
        wanted = tuple(m.RangeEpoch(address, address, 0) for address in ordered)
        for peer in situation.pollers:
            situation.send(peer, m.PollAsk(situation.header(), nonce, wanted))
        situation.count("enquiries", len(enquiries))
        if asked.waiting:
            self._asked = asked
        else:
            self._finish(tx, asked, now_ms)

    def answered(
        self,
        tx: StoreTransaction,
        to: MemberId,
        request: m.PollAsk,
        response: m.Response | PeerError | None,
        now_ms: int,
    ) -> bool:
        """Whether it was mine to hear."""
        asked = self._asked
        if asked is None or request.nonce != asked.nonce:
            return False
        if to in asked.waiting:
            asked.waiting.remove(to)
            if isinstance(response, m.PollAnswer) and response.nonce == asked.nonce:
                asked.note(response.verdicts)
            else:
                asked.failed = True
            if not asked.waiting:
                self._finish(tx, asked, now_ms)
        return True

    def _finish(self, tx: StoreTransaction, asked: _Asked, now_ms: int) -> None:
        self._asked = None
        complete = not asked.failed and not asked.waiting
        if complete:
            self._free = [e.address for e in asked.enquiries if e.address not in asked.taken]
        tx.put_enquiries(
            [
                one._replace(
                    answered_ms=now_ms,
                    free=one.address not in asked.taken,
                    complete=complete,
                    epoch=asked.epochs.get(one.address, 0),
                )
                for one in asked.enquiries
            ]
        )
