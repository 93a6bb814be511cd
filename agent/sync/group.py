"""The membership: one value for each generation, chosen by single-decree Paxos (protocol.md 8).

A change is decided among the members of the present generation: the coordinator has a majority
promise its ballot, adopts a value that one of them has accepted already, and has a majority accept
it; then it is chosen and tells everybody. The acceptors' promises are durable (`Ballot`), so
two coordinators end with one value: the other learns it and proposes for the next generation.

A member that hears another generation asks that member for its group. A higher one that contains
me is mine from then on; to a lower one mine is told. So a commit is learned from anybody, and a
lost one does no harm. A member without a group takes the first that names it.

A joining member serves nobody until it holds what every other member held when that member first
spoke under the new generation: the vectors in their Hellos say so.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace

from agent.errors import PeerError
from agent.limits import MEMBERS_MAX, WISHES_MAX
from agent.model import (
    Ballot,
    BallotNumber,
    Group,
    Member,
    MemberId,
    MemberState,
    StreamHead,
    StreamId,
)
from agent.port import StoreTransaction
from agent.sync import messages as m
from agent.sync.hello import covers
from agent.sync.situation import Situation, vector_of

GroupRequest = m.GroupQuery | m.GroupCommit | m.BallotPrepare | m.BallotAccept

_RETRY_MS = 1_000
_IDLE_MS = 60_000


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


@dataclass(slots=True)
class _Wish:
    member: Member
    until_ms: int


class Membership:
    """Coordinator, acceptor and learner. `changed` is set when a group has been taken on; the
    node then resets what belonged to the old generation."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self.changed = False
        self._wishes: list[_Wish] = []
        self._round: _Round | None = None
        self._highest = 0
        self._round_at_ms = 0
        self._tell: dict[MemberId, int] = {}
        self._query: dict[MemberId, int] = {}

    # --- the wish

    def propose_join(self, member: Member, now_ms: int) -> None:
        """Wish for a membership with `member`; PeerError where it cannot be."""
        group = self._situation.group
        if group is None:
            raise PeerError("no_group", "a member without a group cannot let another one join")
        known = group.member(member.member)
        if known is not None and known.engine_id == member.engine_id:
            return
        if known is not None or any(m.engine_id == member.engine_id for m in group.members):
            raise PeerError(
                "member_taken",
                f"member {member.member} or its engine ID is in {group.name} already; "
                "a number is never used again, choose another",
            )
        if len(group.members) >= MEMBERS_MAX:
            raise PeerError("group_full", f"{group.name} has {MEMBERS_MAX} members")
        if len(self._wishes) >= WISHES_MAX:
            raise PeerError("busy", f"{WISHES_MAX} proposals are waiting; try again")
        if all(wish.member != member for wish in self._wishes):
            until_ms = now_ms + self._situation.settings.wish_ms
            self._wishes.append(_Wish(replace(member, state=MemberState.ACTIVE), until_ms))

    @property
    def wishes(self) -> list[Member]:
        return [wish.member for wish in self._wishes]

    # --- time

    def tick(self, tx: StoreTransaction, heads: dict[StreamId, StreamHead], now_ms: int) -> int:
        if self._situation.group is None:
            return now_ms + _IDLE_MS
        self._finish_joining(tx, heads, now_ms)
        due = min(self._coordinate(tx, now_ms), now_ms + _IDLE_MS)
        for to, at_ms in sorted(self._query.items()):
            if now_ms >= at_ms:
                self._query[to] = at_ms = now_ms + _RETRY_MS
                self._situation.send(to, m.GroupQuery(self._situation.header()))
            due = min(due, at_ms)
        for to, at_ms in sorted(self._tell.items()):
            if now_ms >= at_ms:
                self._tell[to] = at_ms = now_ms + _RETRY_MS
                header, group = self._situation.header(), self._situation.group
                self._situation.send(to, m.GroupCommit(header, group))
            due = min(due, at_ms)
        return due

    def _finish_joining(
        self, tx: StoreTransaction, heads: dict[StreamId, StreamHead], now_ms: int
    ) -> None:
        situation = self._situation
        if situation.serving:
            return
        mine = vector_of(heads)
        for peer in situation.peers.values():
            if not peer.told:
                return
            theirs = {s: seq for s, seq in peer.vector.items() if s != situation.own_stream}
            if not covers(mine, theirs):
                return
        tx.set_serving(True, since=now_ms // 1000)
        situation.serving = True

    # --- coordinator

    def _coordinate(self, tx: StoreTransaction, now_ms: int) -> int:
        situation = self._situation
        group = situation.group
        assert group is not None
        self._wishes = [
            wish
            for wish in self._wishes
            if now_ms < wish.until_ms and group.member(wish.member.member) is None
        ]
        if self._round is not None:
            if now_ms < self._round.deadline_ms:
                return self._round.deadline_ms
            self._end_round(now_ms)
        if not self._wishes or len(group.members) >= MEMBERS_MAX:
            return now_ms + _IDLE_MS
        if now_ms < self._round_at_ms:
            return self._round_at_ms
        value = replace(
            group,
            generation=group.generation + 1,
            members=(*group.members, self._wishes[0].member),
        )
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
        voters = [
            member for member in situation.group.members if member.state is not MemberState.REMOVED
        ]
        if 2 * len(current.votes) <= len(voters):
            return
        if current.phase is BallotPhase.PREPARE:
            current.phase = BallotPhase.ACCEPT
            current.votes = set()
            for peer in situation.peers:
                accept = m.BallotAccept(situation.header(), current.ballot, current.value)
                situation.send(peer, accept)
            mine = self._accept(tx, current.ballot, current.value)
            self._vote(tx, situation.me, mine, now_ms)
            return
        self._round = None
        self._round_at_ms = now_ms
        self._take(tx, current.value)
        self._tell = dict.fromkeys(situation.peers, 0)

    def _adopt_accepted(self, current: _Round, answer: m.BallotAnswer) -> None:
        """What somebody has accepted may be chosen already: it goes before my own wish."""
        if current.phase is not BallotPhase.PREPARE:
            return
        if answer.accepted is None or answer.value is None:
            return
        if current.adopted is None or answer.accepted > current.adopted:
            current.adopted, current.value = answer.accepted, answer.value

    def _end_round(self, now_ms: int) -> None:
        """Somebody else's ballot, or silence: try again after a while of random length."""
        self._round = None
        wait = _RETRY_MS // 4 + self._situation.random.randrange(_RETRY_MS)
        self._round_at_ms = now_ms + wait

    # --- acceptor

    def answer_prepare(self, tx: StoreTransaction, request: m.BallotPrepare) -> m.BallotAnswer:
        self._check_next(request.generation)
        return self._prepare(tx, request.generation, request.ballot)

    def answer_accept(self, tx: StoreTransaction, request: m.BallotAccept) -> m.BallotAnswer:
        self._check_next(request.value.generation)
        return self._accept(tx, request.ballot, request.value)

    def _check_next(self, generation: int) -> None:
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
        tx.put_ballot(Ballot(generation, number, accepted, value))
        return m.BallotAnswer(generation, True, number, accepted, value)

    def _accept(self, tx: StoreTransaction, number: BallotNumber, value: Group) -> m.BallotAnswer:
        held = tx.ballot(value.generation)
        if held is not None and number < held.promised:
            return m.BallotAnswer(value.generation, False, held.promised, None, None)
        tx.put_ballot(Ballot(value.generation, number, number, value))
        return m.BallotAnswer(value.generation, True, number, number, value)

    # --- learner

    def receive_commit(self, tx: StoreTransaction, commit: m.GroupCommit) -> m.Acknowledged:
        situation = self._situation
        value, sender = commit.value, commit.header.sender
        if value.member(sender) is None:
            raise PeerError("unknown_member", f"{sender} commits a group that it is not in")
        group = situation.group
        if group is not None and value.generation <= group.generation:
            return m.Acknowledged()
        self._check_foreign(value)
        if group is not None and group.member(sender) is None:
            raise PeerError("unknown_member", f"{sender} is not in {group.name}")
        self._take(tx, value)
        return m.Acknowledged()

    def _check_foreign(self, value: Group) -> None:
        """A group that I may take on: mine by name, and I am in it."""
        situation = self._situation
        group = situation.group
        if group is not None and value.name != group.name:
            raise PeerError("foreign_group", f"{value.name} is not {group.name}")
        me = value.member(situation.me)
        if me is None or me.engine_id != situation.engine_id:
            raise PeerError("removed", f"member {situation.me} is not in {value.name}")

    def _take(self, tx: StoreTransaction, value: Group) -> None:
        tx.put_group(value)
        self._situation.take_group(value)
        self._situation.count("generations")
        self._round = None
        self._query.clear()
        self._tell.clear()
        self.changed = True

    def refresh(self, peer: MemberId) -> None:
        """That member spoke of another generation than mine."""
        if peer in self._situation.peers:
            self._query.setdefault(peer, 0)

    def heard_same_generation(self, peer: MemberId) -> None:
        self._query.pop(peer, None)
        self._tell.pop(peer, None)

    def answered(
        self,
        tx: StoreTransaction,
        to: MemberId,
        request: GroupRequest,
        response: m.Response | PeerError | None,
        now_ms: int,
    ) -> None:
        if isinstance(request, m.GroupCommit):
            if isinstance(response, m.Acknowledged):
                self._tell.pop(to, None)
        elif isinstance(request, m.GroupQuery):
            if isinstance(response, m.GroupAnswer):
                self._learn(tx, to, response.group)
        elif isinstance(response, m.BallotAnswer) and self._is_current(request):
            self._vote(tx, to, response, now_ms)

    def _is_current(self, request: m.BallotPrepare | m.BallotAccept) -> bool:
        current = self._round
        preparing = isinstance(request, m.BallotPrepare)
        return (
            current is not None
            and request.ballot == current.ballot
            and request.header.generation == self._situation.generation
            and preparing is (current.phase is BallotPhase.PREPARE)
        )

    def _learn(self, tx: StoreTransaction, to: MemberId, group: Group | None) -> None:
        self._query.pop(to, None)
        mine = self._situation.group
        if mine is None:
            return
        if group is None or group.generation < mine.generation:
            self._tell.setdefault(to, 0)
        elif group.generation > mine.generation:
            try:
                self._check_foreign(group)
            except PeerError as error:
                self._situation.count(f"refused_{error.reason}")
                return
            self._take(tx, group)
