"""The membership: one value for each generation (docs/protocol.md, "Membership").

What somebody wishes for is decided by ballot (agent/sync/ballot.py) and kept until it has come
true, cannot any more, or a minute is over. A removal needs a majority of the members that there
were; without one, or of a member that anybody in reach hears, only an operator's force does it, and
he takes it upon himself that the member is dead: whoever is removed alive and cut off goes on
serving until it hears of it.

A member that hears another generation asks that member for its group. The one that stands
(agent/sync/lineage.py) is taken by whoever does not have it, and the other way round told. So a
commit is learned from anybody, and a lost one does no harm. A member without a group takes the
first that names it. Those that are out of the group by somebody else's decision are told until they
say that they know.

A joining member serves nobody until it holds what every other member held when that member first
spoke under the new generation: the vectors in their Hellos say so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.errors import PeerError
from agent.limits import DECISION_MAX, GENERATION_MAX, LEASE_MAX_S, WISHES_MAX
from agent.model import (
    INFINITE_S,
    Group,
    MemberId,
    MemberState,
    StreamHead,
    StreamId,
    stream_member,
)
from agent.port import StoreTransaction
from agent.sync import expulsion
from agent.sync import messages as m
from agent.sync.ballot import Ballots
from agent.sync.change import (
    Expel,
    ForgetPastMul,
    GoOn,
    GroupChange,
    Join,
    Readdress,
    Return,
    apply,
)
from agent.sync.hello import covers
from agent.sync.lineage import descends, is_alone_in, needed_vote_of, stands_over
from agent.sync.notices import group_fork
from agent.sync.quorum import check_silent, has_majority, why_no_majority, why_not_voting
from agent.sync.recover import Position, Recovery, begin_recovery, behind, longest_lease
from agent.sync.situation import Situation, is_being_expelled, vector_of

GroupRequest = m.GroupQuery | m.GroupCommit | m.BallotPrepare | m.BallotAccept

SAFE_PERIOD = "safe-period"
"""In the audit: nobody but the safe period wished for it."""

_RETRY_MS = 1_000
_TELL_MAX_MS = 30_000
_IDLE_MS = 60_000
_OUT_ASKS_EVERY = 5
"""Who is out of the group asks those in it every so many Hello intervals."""


@dataclass(frozen=True, slots=True)
class Wish:
    """`user`: for whom the audit keeps what became of it; "" for the group's own housekeeping.
    `forced`: the operator answers for it that the member is dead."""

    change: GroupChange
    user: str
    until_ms: int
    forced: bool = False


@dataclass(slots=True)
class _Telling:
    """A member that has to hear of the present group."""

    at_ms: int = 0
    wait_ms: int = _RETRY_MS


class Membership:
    """Wishes and the learner. `changed` is set when a group has been taken on; the node then resets
    what belonged to the old generation."""

    def __init__(self, situation: Situation, recovery: Recovery) -> None:
        self._situation = situation
        self._recovery = recovery
        self.ballots = Ballots(situation, self._chosen)
        self.changed = False
        self._wishes: list[Wish] = []
        self._tell: dict[MemberId, _Telling] = {}
        self._query: dict[MemberId, int] = {}
        self._ask_at_ms = 0
        self._asked_last: MemberId = 0
        self._yields_to: set[MemberId] = set()
        self._told_those_out = False
        self._all_told_ms = 0
        self._began_ms = 0

    # --- the wish

    def propose(
        self, tx: StoreTransaction, change: GroupChange, user: str, force: bool, now_ms: int
    ) -> None:
        """Have `change` decided; PeerError tells why that cannot be."""
        situation = self._situation
        group = situation.group
        if group is None:
            raise PeerError("no_group", "a member without a group decides nothing")
        if not situation.is_current:
            raise PeerError("removed", f"this member is out of {group.name} and decides nothing")
        following = apply(change, group)
        if following is None:
            return
        if isinstance(change, Expel) and self._supposes_death(change):
            if not force:
                self._check_expulsion(change, now_ms)
            if not has_majority(self._situation, now_ms):
                self._force(tx, change, following, user, now_ms)
                return
        elif isinstance(change, Readdress) and force and not has_majority(self._situation, now_ms):
            self._force(tx, change, following, user, now_ms)
            return
        elif isinstance(change, Expel) and not change.clean and user:
            raise PeerError(
                "self", "a member cannot remove itself: let it leave, or ask another member"
            )
        is_operator = user not in ("", SAFE_PERIOD)
        if is_operator and not situation.votes:
            raise PeerError("not_voting", why_not_voting(self._situation))
        if len(self._wishes) >= WISHES_MAX:
            if is_operator:
                raise PeerError("busy", f"{WISHES_MAX} proposals are waiting; try again")
            return  # it is wished for again
        if all(wish.change != change for wish in self._wishes):
            until_ms = now_ms + situation.settings.wish_ms
            self._wishes.append(Wish(change, user, until_ms, force and user != SAFE_PERIOD))

    def _supposes_death(self, change: Expel) -> bool:
        return not change.clean and change.member != self._situation.me

    def _check_expulsion(self, change: Expel, now_ms: int) -> None:
        group = self._situation.group
        assert group is not None
        check_silent(self._situation, change.member, now_ms)
        if not has_majority(self._situation, now_ms):
            raise PeerError("no_majority", why_no_majority(self._situation, now_ms))

    def _force(
        self,
        tx: StoreTransaction,
        change: Expel | Readdress,
        following: Group,
        user: str,
        now_ms: int,
    ) -> None:
        """Nobody else is asked: who forces it answers for it."""
        value = replace(self._drawn(following), forced=following.forced + 1)
        self._situation.count("forced_changes")
        words = f"{change}, generation {value.generation} without a majority"
        tx.audit(user, "forced", words, now_ms // 1000)
        self._chosen(tx, value, now_ms)

    def stay(self) -> None:
        """This member goes on: what it wished for when it was going is void."""
        me, first = self._situation.me, self._wishes[:1]
        self._wishes = [
            wish
            for wish in self._wishes
            if not (isinstance(wish.change, Expel) and wish.change.member == me)
        ]
        if self._wishes[:1] != first:
            self.ballots.withdraw()

    @property
    def wishes(self) -> list[Wish]:
        return list(self._wishes)

    # --- time

    def tick(self, tx: StoreTransaction, heads: dict[StreamId, StreamHead], now_ms: int) -> int:
        situation = self._situation
        self._began_ms = self._began_ms or now_ms
        if situation.group is None:
            return now_ms + _IDLE_MS
        due = now_ms + _IDLE_MS
        if situation.is_current:
            self._finish_joining(tx, heads, now_ms)
            self._tell_those_out()
            due = min(due, self._keep_house(tx, now_ms), self._coordinate(tx, now_ms))
        due = min(due, self._ask_those_out(tx, now_ms))
        return min(due, self._ask_and_tell(tx, heads, now_ms))

    def attend(self, tx: StoreTransaction, now_ms: int) -> int:
        """In the place of `tick` where nobody reaches this member: what it asks and tells itself,
        and what an operator wishes here."""
        due = self._ask_and_tell(tx, tx.streams(), now_ms)
        return min(due, self._coordinate(tx, now_ms)) if self._situation.is_current else due

    def _ask_and_tell(
        self, tx: StoreTransaction, heads: dict[StreamId, StreamHead], now_ms: int
    ) -> int:
        situation, due = self._situation, now_ms + _IDLE_MS
        for to, at_ms in sorted(self._query.items()):
            if now_ms >= at_ms:
                self._query[to] = at_ms = now_ms + _RETRY_MS
                situation.send(to, m.GroupQuery(situation.header()))
            due = min(due, at_ms)
        for to, telling in sorted(self._tell.items()):
            if now_ms >= telling.at_ms:
                telling.at_ms = now_ms + telling.wait_ms
                telling.wait_ms = min(_TELL_MAX_MS, 2 * telling.wait_ms)
                situation.send(to, self._commit_to(tx, to, heads))
            due = min(due, telling.at_ms)
        return due

    def _commit_to(
        self, tx: StoreTransaction, to: MemberId, heads: dict[StreamId, StreamHead]
    ) -> m.GroupCommit:
        situation = self._situation
        assert situation.group is not None
        lost = situation.lost.get(situation.me)
        return m.GroupCommit(
            situation.header(),
            situation.group,
            tx.local().mark,
            lost.incarnation if lost else 0,
            situation.mark_of(to),
            {
                stream: seq
                for stream, seq in vector_of(heads).items()
                if stream_member(stream) in (to, situation.me)
            },
        )

    def _ask_those_out(self, tx: StoreTransaction, now_ms: int) -> int:
        """Who is alone, out, or not confirmed since its start asks each of those that its group
        calls out for theirs, a few at a time, as long as it is so: it may be its own store that is
        a copy of an earlier time, and nobody else would tell it."""
        situation = self._situation
        if situation.peers and not situation.unconfirmed:
            return now_ms + _IDLE_MS
        others = situation.others_out()
        if not others:
            return now_ms + _IDLE_MS
        if now_ms < self._ask_at_ms:
            return self._ask_at_ms
        every = 1 if situation.is_current else _OUT_ASKS_EVERY
        self._ask_at_ms = now_ms + every * situation.hello_ms
        numbers = sorted(member.member for member in others)
        turn = [n for n in numbers if n > self._asked_last] + numbers
        heads = tx.streams()
        for to in turn[: min(len(numbers), situation.settings.hello_peers)]:
            # Before it is confirmed it also asks what that one remembers of its store.
            doubts = situation.unconfirmed or not situation.certain
            asks_all = situation.is_current and doubts
            commit = self._commit_to(tx, to, heads) if asks_all else None
            situation.send(to, commit or m.GroupQuery(situation.header()))
            self._asked_last = to
        return self._ask_at_ms

    def _finish_joining(
        self, tx: StoreTransaction, heads: dict[StreamId, StreamHead], now_ms: int
    ) -> None:
        situation = self._situation
        if situation.joined or situation.unconfirmed:
            return
        mine = vector_of(heads)
        for peer in situation.peers.values():
            if not peer.told or not peer.confided:
                return
            theirs = {s: seq for s, seq in peer.vector.items() if s != situation.own_stream}
            if not covers(mine, theirs):
                return
        if is_being_expelled(tx, situation):
            situation.caught_up = self._recovery.may_finish(tx, now_ms)
            if situation.caught_up:
                self._recovery.finish(tx)
        elif not situation.recovering and self._all_recover():
            return  # what they hold is not all there was
        elif self._recovery.may_finish(tx, now_ms):
            tx.set_serving(not situation.is_database, since=now_ms // 1000)
            tx.set_certain(0)
            self._recovery.finish(tx)

    def _all_recover(self) -> bool:
        peers = self._situation.peers.values()
        return bool(peers) and not any(peer.intact for peer in peers)

    def _tell_those_out(self) -> None:
        """Whoever is out by the others' decision and may live must hear of it soon."""
        group = self._situation.group
        if self._told_those_out or group is None:
            return
        self._told_those_out = True
        for member in group.members:
            if not member.is_current and not member.clean:
                self._tell.setdefault(member.member, _Telling())

    # --- housekeeping

    def _keep_house(self, tx: StoreTransaction, now_ms: int) -> int:
        """What the group wishes for without an operator."""
        situation = self._situation
        group = situation.group
        assert group is not None
        due = now_ms + _IDLE_MS
        if group.safe_period_s:
            due = min(due, self._watch_safe_period(tx, group.safe_period_s * 1000, now_ms))
        if situation.outgrown > group.generation and situation.votes:
            self.propose(tx, GoOn(situation.outgrown), "", False, now_ms)
        if group.past_mul_s:
            due = min(due, self._forget_past_mul(tx, group, now_ms))
        return due

    def _watch_safe_period(self, tx: StoreTransaction, safe_ms: int, now_ms: int) -> int:
        """Failover's safe period: nobody in reach having heard of a member for so long counts as an
        operator's word. In a group of two it decides alone; otherwise the larger part does, and
        the smaller one waits."""
        situation = self._situation
        assert situation.group is not None
        due = now_ms + _IDLE_MS
        for peer in list(situation.peers.values()):
            silent_since = max(peer.heard_at_ms, peer.seen_at_ms, situation.took_group_ms)
            ends_ms = max(silent_since, self._began_ms) + safe_ms
            if now_ms < ends_ms:
                due = min(due, ends_ms)
            elif self._may_take_down(now_ms):
                change = Expel(peer.member, keeps_seat=True)
                self.propose(tx, change, SAFE_PERIOD, True, now_ms)
                return now_ms + _RETRY_MS
        return due

    def _may_take_down(self, now_ms: int) -> bool:
        group = self._situation.group
        assert group is not None
        if has_majority(self._situation, now_ms):
            return self._situation.votes
        return len(group.current) == 2

    def _forget_past_mul(self, tx: StoreTransaction, group: Group, now_ms: int) -> int:
        """When everybody has long used the present MUL, and every lease of before is over."""
        situation = self._situation
        if situation.me != min(member.member for member in group.current):
            return now_ms + _IDLE_MS
        if not all(peer.told for peer in situation.peers.values()):
            self._all_told_ms = 0
            return now_ms + _RETRY_MS
        self._all_told_ms = self._all_told_ms or now_ms
        lease_s = longest_lease(tx)
        longest = LEASE_MAX_S if lease_s >= INFINITE_S else lease_s
        until_ms = self._all_told_ms + (group.past_mul_s + longest * 3 // 2) * 1000
        if now_ms >= until_ms:
            self.propose(tx, ForgetPastMul(), "", False, now_ms)
        return max(until_ms, now_ms + _RETRY_MS)

    # --- decisions

    def _coordinate(self, tx: StoreTransaction, now_ms: int) -> int:
        self._settle(tx, now_ms)
        due_ms = self.ballots.busy_until(now_ms)
        if now_ms < due_ms:
            return due_ms
        group = self._situation.group
        assert group is not None
        if not self._situation.votes:
            return now_ms + _IDLE_MS
        if self._situation.caught_up:
            # It serves nobody before this is decided, one way or the other.
            held = self.ballots.held(tx).value
            assert held is not None, "it is caught up because it has accepted its departure"
            return self.ballots.begin(tx, held, now_ms)
        if not self._wishes:
            return now_ms + _IDLE_MS
        value = apply(self._wishes[0].change, group)
        assert value is not None, "a wish that has come true is settled"
        return self.ballots.begin(tx, self._drawn(value), now_ms)

    def _drawn(self, value: Group) -> Group:
        """A decision of its own, also where another one, elsewhere, says the same."""
        return replace(value, decision=self._situation.random.randrange(1, DECISION_MAX + 1))

    def _settle(self, tx: StoreTransaction, now_ms: int) -> None:
        """Let go of wishes that have come true, or cannot; the audit keeps what became of them."""
        kept = []
        for wish in self._wishes:
            action, words = self._outcome(wish, now_ms)
            if not words:
                kept.append(wish)
                continue
            self._situation.count(f"wishes_{action}")
            if wish.user:
                tx.audit(wish.user, action, f"{wish.change}: {words}", now_ms // 1000)
        if self._wishes[:1] != kept[:1]:
            self.ballots.withdraw()
        self._wishes = kept

    def _outcome(self, wish: Wish, now_ms: int) -> tuple[str, str]:
        """What the audit says of a wish that is over; no words: it waits."""
        group = self._situation.group
        assert group is not None
        change = wish.change
        try:
            if apply(change, group) is None:
                return "decided", f"generation {group.generation}"
            if isinstance(change, Expel) and self._supposes_death(change) and not wish.forced:
                check_silent(self._situation, change.member, now_ms)
        except PeerError as error:
            return "undecided", str(error)
        if not self._situation.is_current:
            return "undecided", "this member is out of the group"
        if now_ms >= wish.until_ms:
            if not has_majority(self._situation, now_ms):
                return "undecided", why_no_majority(self._situation, now_ms)
            return "undecided", "no majority has answered in time"
        return "undecided", ""

    def _chosen(self, tx: StoreTransaction, value: Group, now_ms: int) -> None:
        self._take(tx, value, now_ms, decided_here=True)
        if is_alone_in(value, self._situation.me) and not self._situation.certain:
            tx.set_certain(0)  # it was this member that decided so, not one of those that are out
            self._situation.load(tx, keep_peers=True)
        for peer in self._situation.peers:
            self._tell.setdefault(peer, _Telling())

    # --- learner

    def receive_commit(
        self, tx: StoreTransaction, commit: m.GroupCommit, now_ms: int
    ) -> m.Acknowledged:
        situation = self._situation
        value, sender = commit.value, commit.header.sender
        group = situation.group
        if group is not None and value.name != group.name:
            raise PeerError("foreign_group", f"{value.name} is not {group.name}")
        if value.generation > GENERATION_MAX:
            raise PeerError("generation", f"{value.generation} is no generation")
        own, teller = value.member(situation.me), value.member(sender)
        is_mine = own is not None and own.engine_id == situation.engine_id
        serves_me = is_mine and own is not None and own.is_current
        follows = group is None or value == group or descends(value, group)
        if teller is None or not (teller.is_current or (serves_me and follows)):
            raise PeerError("unknown_member", f"{sender} commits a group that it is not in")
        if group is not None and group.member(sender) is None and not (follows or is_mine):
            raise PeerError("unknown_member", f"{sender} is not in {group.name}")
        if group is not None and _is_fork(group, value):
            self._settle_fork(tx, commit, now_ms)
            return m.Acknowledged()
        if group is not None and (not follows or self._is_behind(tx, commit)):
            self._tell.setdefault(sender, _Telling())
            raise PeerError("not_standing", f"generation {group.generation} of {group.name}")
        self._weigh(tx, sender, value, now_ms)
        self._recovery.compare(tx, sender, commit.known, commit.vector, now_ms)
        return m.Acknowledged()

    def _is_behind(self, tx: StoreTransaction, commit: m.GroupCommit) -> bool:
        """Whether the sender's store is a copy of an earlier time, by what I remember of it."""
        sender = commit.header.sender
        theirs = Position(sender, commit.mark, commit.lost, commit.vector)
        held = {stream: head.applied for stream, head in tx.streams().items()}
        return bool(behind(theirs, self._situation.mark_of(sender), held))

    def _weigh(self, tx: StoreTransaction, sender: MemberId, value: Group, now_ms: int) -> None:
        """Take the value if it stands over mine; tell its holder mine where mine does."""
        group = self._situation.group
        if group is None or stands_over(value, group):
            self._check_foreign(value)
            if value.member(self._situation.me) is None:
                value = self._without_me(value)
            self._take(tx, value, now_ms)
        elif value != group:
            self._tell.setdefault(sender, _Telling())

    def _settle_fork(self, tx: StoreTransaction, commit: m.GroupCommit, now_ms: int) -> None:
        """Neither value comes from the other. Where one of the two stores is behind what the other
        side remembers of it, it is a copy of an earlier time, and its value is what nobody has
        decided; otherwise form tells (`lineage`). PeerError: mine stands, and the sender may take
        it."""
        situation = self._situation
        assert situation.group is not None
        value, sender = commit.value, commit.header.sender
        i_am_behind = bool(self._recovery.tell_behind(tx, commit.known, commit.vector))
        stands = stands_over(value, situation.group)
        if i_am_behind is not self._is_behind(tx, commit):
            stands = i_am_behind
        if not stands:
            self._tell.setdefault(sender, _Telling())
            raise PeerError("not_standing", f"generation {situation.generation} of {value.name}")
        self._check_foreign(value)
        if value.member(situation.me) is None:
            value = self._without_me(value)
        self._take(tx, value, now_ms)

    def _check_foreign(self, value: Group) -> None:
        """A group that I may take on: mine by name, and I am in it."""
        situation = self._situation
        group = situation.group
        if value.generation > GENERATION_MAX:
            raise PeerError("generation", f"{value.generation} is no generation")
        if group is not None and value.name != group.name:
            raise PeerError("foreign_group", f"{value.name} is not {group.name}")
        me = value.member(situation.me)
        if me is None and group is not None and group.forced and not descends(value, group):
            return
        if me is None or me.engine_id != situation.engine_id:
            raise PeerError("removed", f"member {situation.me} is not in {value.name}")

    def _without_me(self, standing: Group) -> Group:
        """I came into the group on a side that was forced and does not stand: those who let me in
        have given up. I keep what I know, out of it, until the others let me in again."""
        group = self._situation.group
        assert group is not None
        out = [
            replace(member, state=MemberState.REMOVED, since=group.generation)
            if member.member == self._situation.me
            else member
            for member in group.members
        ]
        self._situation.count("sides_given_up")
        return replace(group, members=tuple(out), forced=max(group.forced, standing.forced + 1))

    def _take(
        self, tx: StoreTransaction, value: Group, now_ms: int, decided_here: bool = False
    ) -> None:
        situation = self._situation
        old = situation.group
        why = "" if decided_here else self._why_lost(tx, old, value)
        if old is not None and not descends(value, old):
            situation.count("lineages_left")
            situation.notify(group_fork(value))
            situation.alarms.append(
                f"generation {old.generation} of {old.name}, as this member had it, does not "
                f"stand: it takes on generation {value.generation}, and recovers"
            )
        tx.put_group(value)
        if not expulsion.follow(tx, situation.me, old, value, now_ms // 1000) and why:
            begin_recovery(tx, now_ms // 1000, why)
        situation.load(tx)
        situation.took_group_ms = now_ms
        situation.count("generations")
        self._settle(tx, now_ms)
        self.ballots.reset()
        self._query.clear()
        self._tell.clear()
        self._told_those_out = False
        self._all_told_ms = 0
        self.changed = True

    def _why_lost(self, tx: StoreTransaction, old: Group | None, value: Group) -> str:
        """Why a member that is told `value` cannot have kept its store; "" if it may well have."""
        me = self._situation.me
        own = value.member(me)
        if own is None or not own.is_current:
            return ""
        if old is not None and not descends(value, old):
            return "the group goes on from another generation than this store's"
        generation = value.generation if old is None else old.generation + 1
        ballot = tx.ballot(generation)
        held = ballot.value if ballot is not None else None
        voted = held is not None and (held == value or descends(value, held))
        alone = is_alone_in(value, me) and not (voted and generation == value.generation)
        if alone or (old is not None and not voted and needed_vote_of(me, old, value)):
            return "the group has decided what this store would have to know of"
        return ""

    def refresh(self, member: MemberId) -> None:
        """That member spoke of another generation than mine, or says that I am out."""
        group = self._situation.group
        if group is not None and member != self._situation.me and group.member(member):
            self._query.setdefault(member, 0)

    def heard_same_generation(self, peer: MemberId) -> None:
        self._query.pop(peer, None)
        self._tell.pop(peer, None)

    def heard_out(self, tx: StoreTransaction, header: m.Header, now_ms: int) -> None:
        """One that is out has spoken. If it knows, and its seat is kept, it wants it back."""
        situation = self._situation
        group = situation.group
        member = group.member(header.sender) if group else None
        if member is None or member.is_current or not situation.is_current:
            return
        if (header.generation, header.membership_hash) != (
            situation.generation,
            situation.group_hash,
        ):
            self._tell.setdefault(header.sender, _Telling())
        elif member.state is MemberState.DOWN and len(self._wishes) < WISHES_MAX:
            self._tell.pop(header.sender, None)
            self.propose(tx, Return(header.sender), "", False, now_ms)

    def answered(
        self,
        tx: StoreTransaction,
        to: MemberId,
        request: GroupRequest,
        response: m.Response | PeerError | None,
        now_ms: int,
    ) -> None:
        situation = self._situation
        if isinstance(request, m.GroupCommit):
            if isinstance(response, m.Acknowledged) and request.value == situation.group:
                self._tell.pop(to, None)
                situation.answered.add(to)
            elif isinstance(response, PeerError) and response.reason == "not_standing":
                self._yields_to.add(to)
                self._query.setdefault(to, 0)
        elif isinstance(request, m.GroupQuery):
            if isinstance(response, m.GroupAnswer):
                self._learn(tx, to, response.group, now_ms)
        elif isinstance(response, m.BallotAnswer):
            self.ballots.answered(tx, to, request, response, now_ms)

    def _learn(self, tx: StoreTransaction, to: MemberId, group: Group | None, now_ms: int) -> None:
        situation = self._situation
        self._query.pop(to, None)
        mine = situation.group
        if mine is None:
            return
        yields = to in self._yields_to
        self._yields_to.discard(to)
        if group is None or (_is_fork(mine, group) and not yields):
            if group is None or situation.is_current:
                self._tell.setdefault(to, _Telling())  # and that member says which one stands
            return
        try:
            self._weigh(tx, to, group, now_ms)
        except PeerError as error:
            situation.count(f"refused_{error.reason}")


def _is_fork(one: Group, other: Group) -> bool:
    """Whether neither value has come from the other."""
    if one == other or one.name != other.name:
        return False
    return not descends(one, other) and not descends(other, one)


__all__ = ["SAFE_PERIOD", "GroupRequest", "Join", "Membership", "Wish"]
