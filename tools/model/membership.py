"""Who is in the group: two changes proposed at once for the next generation (docs/protocol.md,
"Membership").

Three members, of which m1 and m2 propose different memberships A and B. `Ballots` is what
`agent/sync/ballot.py` does, single-decree Paxos: an acceptor promises a ballot, durably, and
accepts a value under the highest that it promised; a coordinator takes on what a majority's
answers show to be accepted; what a majority accepted is chosen. `Proposals` is the draft's form
(7.3.1, 7.4.1, 7.4.2): a member that has no proposal makes one, forgets it after 30 s, and commits
what equals its present proposal; a coordinator commits when everybody has answered.

The network keeps every message that was ever sent, and any of them may arrive at any time, again,
or never. A crashed coordinator is one that does nothing more; an acceptor's promises are
durable. What is chosen is not learned by the others: they go on voting, which allows more than the
code does. Messages that can have no effect any more are forgotten. Bound: the ballots that each
coordinator may begin.

With `wipes`, m3, which coordinates nothing, loses its store once, at any time. It does not vote
before it has heard both others since; one that has a value chosen would tell it that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from tools.model.address import MEMBERS, name_of

COORDINATORS = (0, 1)
VALUES = ("", "A", "B")
Ballot = tuple[int, int]
NONE: Ballot = (0, 0)
Message = tuple[str, int, Ballot, Ballot, int]
"""What it is, the member that it goes to or comes from, its ballot, what is accepted there."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BallotRules:
    durable_promises: bool = True
    """An acceptor's promise survives its crash."""
    lower_refused: bool = True
    """A ballot lower than the promised one is refused."""
    adopts: bool = True
    """A coordinator goes on with what somebody has accepted already."""
    majority: bool = True
    """More than half of the members, not only one beside the coordinator's own vote."""
    own_ballot: bool = True
    """An answer counts for the ballot that it names."""
    own_vote_first: bool = False
    """A coordinator asks the others under what its own acceptor has granted already."""
    lost_abstains: bool = True
    """Who has lost its store votes only when it has heard every other member."""
    takes_over: bool = True
    """It then holds what those have promised and accepted."""
    wipes: bool = False
    ballots: int = 2


class Acceptor(NamedTuple):
    promised: Ballot = NONE
    accepted: Ballot = NONE
    value: int = 0


class Coordinator(NamedTuple):
    """`phase` 0: idle, 1: asks for promises, 2: for acceptance. `votes`: members as bits."""

    ballot: Ballot = NONE
    phase: int = 0
    votes: int = 0
    adopted: Ballot = NONE
    value: int = 0


LOSER = 2


class BallotState(NamedTuple):
    """`decided`: coordinators that have a value chosen. `heard`: whom m3 has heard since it was
    wiped. Both as bits."""

    acceptors: tuple[Acceptor, ...]
    coordinators: tuple[Coordinator, ...]
    chosen: frozenset[int]
    net: frozenset[Message]
    decided: int = 0
    wiped: bool = False
    heard: int = 0


def _put(items: tuple[T, ...], index: int, item: T) -> tuple[T, ...]:
    return (*items[:index], item, *items[index + 1 :])


def _say(ballot: Ballot) -> str:
    return f"{ballot[0]}.{name_of(ballot[1])}"


class Ballots:
    def __init__(self, rules: BallotRules) -> None:
        self.rules = rules

    def initial(self) -> BallotState:
        acceptors = tuple(Acceptor() for _ in MEMBERS)
        coordinators = tuple(Coordinator() for _ in COORDINATORS)
        return BallotState(acceptors, coordinators, frozenset(), frozenset())

    def fault(self, state: BallotState) -> str:
        return "two memberships are chosen for one generation" if len(state.chosen) > 1 else ""

    def steps(self, state: BallotState) -> Iterator[tuple[str, BallotState]]:
        for me in COORDINATORS:
            if state.coordinators[me].ballot[0] < self.rules.ballots:
                label, after = self._begin(state, me)
                yield label, self._without_spent(after)
        for message in state.net:
            arrived = getattr(self, f"_on_{message[0]}")(state, message)
            if arrived is not None:
                yield arrived[0], self._without_spent(arrived[1])
        if self.rules.wipes:
            yield from self._lose(state)
        if not self.rules.durable_promises:
            for me in MEMBERS:
                one = state.acceptors[me]
                if one.promised > one.accepted:
                    forgot = one._replace(promised=one.accepted)
                    acceptors = _put(state.acceptors, me, forgot)
                    yield f"{name_of(me)} crashes and forgets", state._replace(acceptors=acceptors)

    def _lose(self, state: BallotState) -> Iterator[tuple[str, BallotState]]:
        if not state.wiped:
            acceptors = _put(state.acceptors, LOSER, Acceptor())
            wiped = state._replace(acceptors=acceptors, wiped=True)
            yield f"{name_of(LOSER)} is wiped", self._without_spent(wiped)
            return
        for peer in COORDINATORS:
            if (state.heard | state.decided) >> peer & 1:
                continue
            heard = state._replace(heard=state.heard | 1 << peer)
            if self.rules.takes_over:
                mine, its = state.acceptors[LOSER], state.acceptors[peer]
                newer = its if its.accepted > mine.accepted else mine
                taken = newer._replace(promised=max(mine.promised, its.promised))
                heard = heard._replace(acceptors=_put(state.acceptors, LOSER, taken))
            yield f"{name_of(LOSER)} hears {name_of(peer)}", self._without_spent(heard)

    def _abstains(self, state: BallotState, member: int) -> bool:
        forgot = member == LOSER and state.wiped and state.heard != 0b11
        return forgot and self.rules.lost_abstains

    def _begin(self, state: BallotState, me: int) -> tuple[str, BallotState]:
        ballot = (state.coordinators[me].ballot[0] + 1, me)
        begun = Coordinator(ballot, 1, 0, NONE, me + 1)
        sent = state.net | {("prepare", to, ballot, NONE, 0) for to in MEMBERS}
        coordinators = _put(state.coordinators, me, begun)
        label = f"{name_of(me)} begins ballot {_say(ballot)} for {VALUES[me + 1]}"
        after = state._replace(coordinators=coordinators, net=sent)
        return label, self._grant_own(after, ("prepare", me, ballot, NONE, 0))

    def _grant_own(self, state: BallotState, question: Message) -> BallotState:
        """Its own acceptor comes first; the answer counts like any other. Where that one has
        promised a higher ballot, nobody is asked."""
        if not self.rules.own_vote_first:
            return state
        granted = getattr(self, f"_on_{question[0]}")(state, question)
        if granted is not None:
            after: BallotState = granted[1]
            return after
        asked = {("accept", to, *question[2:]) for to in MEMBERS}
        asked |= {("prepare", to, *question[2:]) for to in MEMBERS}
        return state._replace(net=state.net - asked)

    def _on_prepare(self, state: BallotState, m: Message) -> tuple[str, BallotState] | None:
        _, to, ballot, _, _ = m
        one = state.acceptors[to]
        if ballot < one.promised and self.rules.lower_refused:
            return None
        if self._abstains(state, to):
            return None
        acceptors = _put(state.acceptors, to, one._replace(promised=ballot))
        answer = ("promise", to, ballot, one.accepted, one.value)
        label = f"{name_of(to)} promises {_say(ballot)}"
        return label, state._replace(acceptors=acceptors, net=state.net | {answer})

    def _on_promise(self, state: BallotState, m: Message) -> tuple[str, BallotState] | None:
        _, voter, ballot, accepted, value = m
        me = ballot[1]
        one = state.coordinators[me]
        if one.phase != 1 or (one.ballot != ballot and self.rules.own_ballot):
            return None
        votes = one.votes | 1 << voter
        one = one._replace(votes=votes)
        if accepted > one.adopted and self.rules.adopts:
            one = one._replace(adopted=accepted, value=value)
        net = state.net
        label = f"{name_of(me)} has the promise of {name_of(voter)} for {_say(ballot)}"
        if not self._enough(votes):
            return label, state._replace(coordinators=_put(state.coordinators, me, one))
        one = one._replace(phase=2, votes=0)
        net |= {("accept", to, one.ballot, NONE, one.value) for to in MEMBERS}
        label += f"; asks all to accept {VALUES[one.value]}"
        coordinators = _put(state.coordinators, me, one)
        after = state._replace(coordinators=coordinators, net=net)
        return label, self._grant_own(after, ("accept", me, one.ballot, NONE, one.value))

    def _on_accept(self, state: BallotState, m: Message) -> tuple[str, BallotState] | None:
        _, to, ballot, _, value = m
        if ballot < state.acceptors[to].promised and self.rules.lower_refused:
            return None
        if self._abstains(state, to):
            return None
        acceptors = _put(state.acceptors, to, Acceptor(ballot, ballot, value))
        label = f"{name_of(to)} accepts {VALUES[value]} under {_say(ballot)}"
        answer = ("accepted", to, ballot, NONE, 0)
        return label, state._replace(acceptors=acceptors, net=state.net | {answer})

    def _on_accepted(self, state: BallotState, m: Message) -> tuple[str, BallotState] | None:
        _, voter, ballot, _, _ = m
        me = ballot[1]
        one = state.coordinators[me]
        if one.phase != 2 or (one.ballot != ballot and self.rules.own_ballot):
            return None
        one = one._replace(votes=one.votes | 1 << voter)
        chosen = state.chosen
        label = f"{name_of(me)} hears that {name_of(voter)} accepted under {_say(ballot)}"
        if self._enough(one.votes):
            label += f"; {VALUES[one.value]} is chosen"
            chosen |= {one.value}
            one = Coordinator(one.ballot)
        coordinators = _put(state.coordinators, me, one)
        decided = state.decided | (not one.phase) << me
        return label, state._replace(coordinators=coordinators, chosen=chosen, decided=decided)

    def _enough(self, votes: int) -> bool:
        return votes.bit_count() >= (2 if self.rules.majority else 1)

    def _without_spent(self, state: BallotState) -> BallotState:
        return state._replace(net=frozenset(m for m in state.net if not self._is_spent(state, m)))

    def _is_spent(self, state: BallotState, m: Message) -> bool:
        """A question to one that has promised more, or has answered it; an answer to a coordinator
        that has counted it, or goes by another ballot."""
        kind, member, ballot, _, _ = m
        kept = self.rules
        if self.rules.wipes and member == LOSER and not state.wiped:
            return False
        if kind in ("prepare", "accept"):
            one = state.acceptors[member]
            if not (kept.lower_refused and kept.durable_promises):
                return False
            done = one.promised if kind == "prepare" else one.accepted
            return ballot < one.promised or ballot == done
        coordinator = state.coordinators[ballot[1]]
        phase = 1 if kind == "promise" else 2
        if not kept.own_ballot:
            return False
        present = coordinator.ballot == ballot and coordinator.phase == phase
        return not present or bool(coordinator.votes >> member & 1)


class ProposalState(NamedTuple):
    proposed: tuple[int, ...]
    answered: tuple[int, ...]
    """By coordinator: who has agreed, as bits."""
    chosen: tuple[int, ...]
    net: frozenset[tuple[str, int, int]]


class Proposals:
    """The draft's two phases. `forgets`: a proposal ends after 30 s."""

    def __init__(self, forgets: bool = True) -> None:
        self._forgets = forgets

    def initial(self) -> ProposalState:
        return ProposalState((0, 0, 0), (0, 0), (0, 0, 0), frozenset())

    def fault(self, state: ProposalState) -> str:
        taken = [(m, v) for m, v in enumerate(state.chosen) if v]
        if len({v for _, v in taken}) > 1:
            names = " and ".join(f"{name_of(m)} {VALUES[v]}" for m, v in taken)
            return f"two memberships at one generation: {names}"
        return ""

    def steps(self, state: ProposalState) -> Iterator[tuple[str, ProposalState]]:
        for me in COORDINATORS:
            proposal = {("propose", to, me + 1) for to in MEMBERS}
            if not state.chosen[me] and not proposal <= state.net:
                label = f"{name_of(me)} proposes {VALUES[me + 1]}"
                yield label, state._replace(net=state.net | proposal)
        for to, value in enumerate(state.proposed):
            if value and self._forgets and not state.chosen[to]:
                label = f"30 s pass at {name_of(to)}: proposal {VALUES[value]} is forgotten"
                yield label, state._replace(proposed=_put(state.proposed, to, 0))
        for message in state.net:
            yield from getattr(self, f"_on_{message[0]}")(state, *message[1:])

    def _on_propose(
        self, state: ProposalState, to: int, value: int
    ) -> Iterator[tuple[str, ProposalState]]:
        if state.chosen[to] or state.proposed[to] not in (0, value):
            return
        answer = ("agreed", to, value)
        proposed = _put(state.proposed, to, value)
        label = f"{name_of(to)} agrees to {VALUES[value]}"
        yield label, state._replace(proposed=proposed, net=state.net | {answer})

    def _on_agreed(
        self, state: ProposalState, voter: int, value: int
    ) -> Iterator[tuple[str, ProposalState]]:
        me = value - 1
        answered = state.answered[me] | 1 << voter
        net, label = state.net, f"{name_of(me)} has the answer of {name_of(voter)}"
        if answered == 0b111:
            net |= {("commit", to, value) for to in MEMBERS}
            label += f"; commits {VALUES[value]}"
        yield label, state._replace(answered=_put(state.answered, me, answered), net=net)

    def _on_commit(
        self, state: ProposalState, to: int, value: int
    ) -> Iterator[tuple[str, ProposalState]]:
        if not state.chosen[to] and state.proposed[to] == value:
            label = f"{name_of(to)} commits {VALUES[value]}, which is its proposal"
            yield label, state._replace(chosen=_put(state.chosen, to, value))
