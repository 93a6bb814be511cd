"""Single-decree Paxos for the value of the next generation (docs/protocol.md, "Membership").

A change is decided among the members of the present generation: the coordinator has a majority
promise its ballot, adopts a value that one of them has accepted already, and has a majority accept
it; then it is chosen. The acceptors' promises are durable (`Ballot`), so two coordinators end with
one value. What an acceptor remembers from a line of generations that this group has left
(agent/sync/lineage.py) counts for nothing.

An acceptor that has forgotten a vote could make a second value chosen. So who recovers, joins or is
not confirmed yet after a start does not vote, and before it does again it has taken over, of every
other member, what that one has promised and accepted. What it forgot is in it: whoever asked for a
vote had given its own before.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.errors import PeerError
from agent.model import Ballot, BallotNumber, Group, MemberId
from agent.port import StoreTransaction
from agent.sync import messages as m
from agent.sync.hello import Peer
from agent.sync.lineage import descends
from agent.sync.situation import Situation

_RETRY_MS = 1_000


class BallotPhase(enum.Enum):
    PREPARE = enum.auto()
    ACCEPT = enum.auto()


@dataclass(slots=True)
class _Round:
    ballot: BallotNumber
    value: Group
    deadline_ms: int
    phase: BallotPhase = BallotPhase.PREPARE
    votes: set[MemberId] = field(default_factory=set)
    adopted: BallotNumber | None = None


class Ballots:
    """Coordinator and acceptor. `choose` is called with a value once it is chosen."""

    def __init__(
        self, situation: Situation, choose: Callable[[StoreTransaction, Group, int], None]
    ) -> None:
        self._situation = situation
        self._choose = choose
        self._round: _Round | None = None
        self._highest = 0
        self._not_before_ms = 0

    def held(self, tx: StoreTransaction) -> Ballot:
        """What I have promised and accepted for the next generation."""
        generation = self._situation.generation + 1
        return tx.ballot(generation) or Ballot(generation, BallotNumber(0, 0))

    def take_over(self, tx: StoreTransaction, peer: Peer, hello: m.Hello) -> None:
        """What another member has promised and accepted, as long as I do not vote myself. Only a
        word to my present store is the whole of it: later than every vote of the one before, and
        questions under its incarnation are refused there from now on."""
        situation, told = self._situation, hello.ballot
        if situation.votes or told is None or told.generation != situation.generation + 1:
            return
        held = self.held(tx)
        promised, accepted, value = max(held.promised, told.promised), held.accepted, held.value
        newer = told.accepted is not None and (accepted is None or told.accepted > accepted)
        if newer and self._continues(told.value):
            accepted, value = told.accepted, told.value
        taken = Ballot(told.generation, promised, accepted, value)
        if taken != held:
            tx.put_ballot(taken)
        if hello.known.incarnation == situation.incarnation:
            peer.confided = True

    def reset(self) -> None:
        self._round = None

    def withdraw(self) -> None:
        """The wish is gone. What I have asked others to accept may be chosen all the same."""
        if self.phase is BallotPhase.PREPARE:
            self._round = None

    @property
    def phase(self) -> BallotPhase | None:
        """What the ballot that this member coordinates is waiting for; None: there is none."""
        return self._round.phase if self._round else None

    # --- coordinator

    def busy_until(self, now_ms: int) -> int:
        """When the next round may begin; not later than now: at once."""
        if self._round is not None:
            if now_ms < self._round.deadline_ms:
                return self._round.deadline_ms
            self._end_round(now_ms)
        return self._not_before_ms

    def begin(self, tx: StoreTransaction, value: Group, now_ms: int) -> int:
        """Ask for `value`; returns when to look again."""
        situation = self._situation
        ballot = BallotNumber(self._next_counter(tx, value.generation), situation.me)
        deadline_ms = now_ms + situation.settings.ballot_ms
        self._round = _Round(ballot, value, deadline_ms)
        situation.count("ballots")
        for peer in situation.peers:
            situation.send(peer, m.BallotPrepare(situation.header(), value.generation, ballot))
        self._vote(tx, situation.me, self._prepare(tx, value.generation, ballot), now_ms)
        return deadline_ms

    def _next_counter(self, tx: StoreTransaction, generation: int) -> int:
        ballot = tx.ballot(generation)
        return max(self._highest, ballot.promised.counter if ballot else 0) + 1

    def answered(
        self,
        tx: StoreTransaction,
        voter: MemberId,
        request: m.BallotPrepare | m.BallotAccept,
        answer: m.BallotAnswer,
        now_ms: int,
    ) -> None:
        current = self._round
        preparing = isinstance(request, m.BallotPrepare)
        if (
            current is not None
            and request.ballot == current.ballot
            and request.header.generation == self._situation.generation
            and preparing is (current.phase is BallotPhase.PREPARE)
        ):
            self._vote(tx, voter, answer, now_ms)

    def _vote(
        self, tx: StoreTransaction, voter: MemberId, answer: m.BallotAnswer, now_ms: int
    ) -> None:
        current, situation = self._round, self._situation
        if current is None or situation.group is None:
            return
        if not answer.granted:
            self._highest = max(self._highest, answer.promised.counter)
            self._end_round(now_ms)
            return
        current.votes.add(voter)
        self._adopt_accepted(current, answer)
        if 2 * len(current.votes) <= len(situation.group.current):
            return
        if current.phase is BallotPhase.PREPARE:
            current.phase = BallotPhase.ACCEPT
            current.votes = set()
            mine = self._accept(tx, current.ballot, current.value)
            for peer in situation.peers if mine.granted else ():
                accept = m.BallotAccept(situation.header(), current.ballot, current.value)
                situation.send(peer, accept)
            self._vote(tx, situation.me, mine, now_ms)
            return
        self._round = None
        self._not_before_ms = now_ms
        self._choose(tx, current.value, now_ms)

    def _adopt_accepted(self, current: _Round, answer: m.BallotAnswer) -> None:
        """What somebody has accepted may be chosen already: it goes before my own wish."""
        if current.phase is not BallotPhase.PREPARE:
            return
        if answer.accepted is None or not self._continues(answer.value):
            return
        if current.adopted is None or answer.accepted > current.adopted:
            assert answer.value is not None
            current.adopted, current.value = answer.accepted, answer.value

    def _continues(self, value: Group | None) -> bool:
        """Whether `value` can be what follows the present one."""
        group = self._situation.group
        return (
            value is not None
            and group is not None
            and value.generation == group.generation + 1
            and descends(value, group)
        )

    def _end_round(self, now_ms: int) -> None:
        """Somebody else's ballot, or silence: try again after a while of random length."""
        self._round = None
        wait = _RETRY_MS // 4 + self._situation.random.randrange(_RETRY_MS)
        self._not_before_ms = now_ms + wait

    # --- acceptor

    def answer_prepare(self, tx: StoreTransaction, request: m.BallotPrepare) -> m.BallotAnswer:
        self._check_next(request.generation)
        return self._prepare(tx, request.generation, request.ballot)

    def answer_accept(self, tx: StoreTransaction, request: m.BallotAccept) -> m.BallotAnswer:
        self._check_next(request.value.generation)
        if not self._continues(request.value):
            raise PeerError("lineage", "the value does not follow from the present one")
        return self._accept(tx, request.ballot, request.value)

    def _check_next(self, generation: int) -> None:
        if not self._situation.votes:
            raise PeerError("not_voting", f"member {self._situation.me} may have forgotten votes")
        if generation != self._situation.generation + 1:
            raise PeerError(
                "generation", f"{generation} is not the next of {self._situation.generation}"
            )

    def _prepare(
        self, tx: StoreTransaction, generation: int, number: BallotNumber
    ) -> m.BallotAnswer:
        held = tx.ballot(generation)
        if held is not None and number < held.promised:
            return m.BallotAnswer(generation, False, held.promised, None, None)
        accepted, value = (held.accepted, held.value) if held else (None, None)
        if not self._continues(value):
            accepted, value = None, None
        tx.put_ballot(Ballot(generation, number, accepted, value))
        return m.BallotAnswer(generation, True, number, accepted, value)

    def _accept(self, tx: StoreTransaction, number: BallotNumber, value: Group) -> m.BallotAnswer:
        held = tx.ballot(value.generation)
        if held is not None and number < held.promised:
            return m.BallotAnswer(value.generation, False, held.promised, None, None)
        tx.put_ballot(Ballot(value.generation, number, number, value))
        return m.BallotAnswer(value.generation, True, number, number, value)
