"""Who sits in the group: decisions, who learns what from whom, and what follows (docs/protocol.md,
"Membership").

Beside `tools/model/setback.py`, of which this is the other half. What would follow from a change
(`apply`), whether a value descends from another and which one stands (`agent/sync/lineage.py`), and
who was out (`expelled`) are production functions. A ballot is one step: a majority of those that
vote accept, and the coordinator hears of it or not (`tools/model/membership.py` looks into that).
Questions and their answers are one step too, with members that are up and in reach; a commit may,
with `repeats`, arrive at any time later and again.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from agent.model import MemberState
from agent.sync.change import Expel, GroupChange, Join, Parameters, Return
from tools.model.address import name_of
from tools.model.lives import (
    CONFIRMED,
    INTACT,
    LEAVING,
    LONGEST,
    NO_WAIT,
    RECOVERING,
    RUNNING,
    SHUTDOWN,
    Process,
    SeatRules,
    State,
    Step,
    Store,
    put_process,
    put_store,
)
from tools.model.setback import Setback
from tools.model.values import NONE, member


class Seats(Setback):
    """The machine that `explore` searches."""

    def initial(self) -> State:
        rules, last = self.rules, self.rules.members - 1
        founders = 1 if rules.start == "founder" else rules.members
        value = self.values.founded(founders)
        up = tuple(Process(up=True) for _ in self.all)
        stores = tuple(Store(value, joined=True) if me < founders else Store() for me in self.all)
        s = State(stores, up, alone=founders == 1 and rules.loser == 0)
        if rules.start in ("down", "left"):
            leave = Expel(last + 1, rules.start == "down", True)
            left = self.values.applied(leave, value, (last, 1))
            s = put_store(s, last, going=SHUTDOWN)
            for me in self.all:
                s = self._take(put_store(s, me, accepted=left), me, left)
            s = put_store(s, last, going=RUNNING)
            if rules.start == "down":
                s = put_process(s, last, up=False)
        return s._replace(unnoted=0, cover=0)

    def steps(self, s: State) -> Iterator[Step]:
        yield from self.goes_on(s)
        for label, after in self._happens(s):
            yield label, self.plain(after)

    def goes_on(self, s: State) -> Iterator[Step]:
        """What happens by itself: no fault, and nobody's order."""
        for label, after in self._goes_on(s):
            yield label, self.plain(after)

    def _happens(self, s: State) -> Iterator[Step]:
        yield from self.faults(s)
        for me in self.all:
            if s.processes[me].up:
                yield from self._orders(s, me)

    def _goes_on(self, s: State) -> Iterator[Step]:
        for me in self.all:
            yield from self.starts(s, me)
            if not s.processes[me].up:
                continue
            yield from self.clients(s, me)
            yield from self._finish(s, me)
            yield from self._depart(s, me)
            if self.rules.decides_what_it_accepted and self._held(s, me) != NONE:
                yield from self._decide(s, me, None, "has decided what it had accepted")
            for other in self.all:
                if other != me and self.reaches(s, me, other):
                    yield from self._exchange(s, me, other)
        yield from self.time(s)
        for sender, to, value in s.commits:
            if s.processes[to].up:
                after = self._receive(s, sender, to, value)
                if after != s:
                    yield f"an old commit of {name_of(sender)} arrives at {name_of(to)}", after

    def fault(self, s: State) -> str:
        if self.rules.judges_forks and any(
            self._forks(s, a, b) for a in self.all for b in self.all
        ):
            return "two lines of the group, and nobody has forced anything"
        if self.rules.judges_owners:
            owners = [me for me in self.all if s.stores[me].row == me and self.serves(s, me)]
            if len(owners) > 1 and self.links(s, owners[0], owners[1]):
                return "two owners under one value of the group"
        return s.wrong

    def _forks(self, s: State, a: int, b: int) -> bool:
        """Whether neither value comes from the other."""
        mine, its = s.stores[a].group, s.stores[b].group
        if NONE in (mine, its) or mine == its:
            return False
        return not self.values.descends(mine, its) and not self.values.descends(its, mine)

    def settled(self, s: State) -> bool:
        """All hold one value, and who is current in it serves old clients and new."""
        value = s.stores[0].group
        if not all(process.up for process in s.processes) or s.cut:
            return False
        for me in self.all:
            if self.is_current(s, me) and not self.gives(s, me):
                return False
            if s.stores[me].group not in (value, NONE):
                return False
        return bool(self.values.current(value))

    # --- decisions

    def _held(self, s: State, me: int) -> int:
        """What it has accepted and can follow on its present value."""
        held, mine = s.stores[me].accepted, s.stores[me].group
        follows = held != NONE and self.values.descends(held, mine)
        return held if follows else NONE

    def _decide(self, s: State, me: int, change: GroupChange | None, words: str) -> Iterator[Step]:
        if not self.votes(s, me) or not self.is_current(s, me):
            return
        mine = s.stores[me].group
        peers = [k for k in self.peers(s, me) if self.links(s, me, k) and self.votes(s, k)]
        enough = len(self.values.current(mine)) // 2
        for size in range(enough, len(peers) + 1):
            for some in combinations(peers, size):
                voters = (me, *some)
                held = {self._held(s, k) for k in voters} - {NONE}
                own = self.values.applied(change, mine, self._names(s, change)) if change else NONE
                for value in held or {own}:
                    if (
                        value == NONE
                        or self._expels_living(s, mine, value)
                        or self.values.generation(value) > self.rules.generations
                    ):
                        continue
                    yield from self._accepted(s, me, voters, value, words)

    def _expels_living(self, s: State, mine: int, value: int) -> bool:
        """Whoever is declared dead is down then."""
        seats = [(one, self.values.seat(value, one)) for one in self.values.expelled(mine, value)]
        return any(s.processes[k].up and seat and not seat.clean for k, seat in seats) and (
            "remove" in self.rules.orders
        )

    def _accepted(
        self, s: State, me: int, voters: tuple[int, ...], value: int, words: str
    ) -> Iterator[Step]:
        after = s
        for one in voters:
            after = put_store(after, one, accepted=value)
        by = ", ".join(map(name_of, voters))
        label = f"{name_of(me)} {words} (generation {self.values.generation(value)}, by {by})"
        if len(voters) > 1:
            if after != s:
                yield f"{label}, and does not hear of it", after
            yield f"{label}; only itself has accepted", put_store(s, me, accepted=value)
        yield label, self._take(after, me, value)

    def _names(self, s: State, change: GroupChange) -> tuple[int, int]:
        if isinstance(change, Expel) and change.clean:
            return change.member - 1, s.stores[change.member - 1].incarnation
        return 0, 0

    def _orders(self, s: State, me: int) -> Iterator[Step]:
        store, name, orders = s.stores[me], name_of(me), self.rules.orders
        if not self.is_current(s, me):
            return
        if not store.going and self.peers(s, me) and self.rules.told in (NONE, me):
            for order, going in (("shutdown", SHUTDOWN), ("leave", LEAVING)):
                if order in orders:
                    yield f"{name} is told: {order}", put_store(s, me, going=going)
        if "mul" in orders:
            yield from self._decide(s, me, Parameters(mul_s=400 + me), "has a new MUL decided")
        for other in self.all:
            if other == me:
                continue
            seat = self.values.seat(store.group, other)
            out = seat is None or seat.state is MemberState.REMOVED
            if "join" in orders and out and self.reaches(s, me, other):
                yield from self._join(s, me, other)
            if s.processes[other].up or self.rules.mortal not in (NONE, other):
                continue
            if "remove" in orders and other in self.peers(s, me):
                yield from self._decide(
                    s, me, Expel(other + 1), f"has the removal of {name_of(other)} decided"
                )
            if "force" in orders and s.forces < self.rules.forces:
                yield from self._force(s, me, other)

    def _join(self, s: State, me: int, other: int) -> Iterator[Step]:
        if self.rules.asks_the_joiner:
            after = self._ask(s, me, other)
            if after.stores[me].group != s.stores[me].group:
                yield f"{name_of(me)} asks {name_of(other)}, which shall join", after
                return
        words = f"has the join of {name_of(other)} decided"
        yield from self._decide(s, me, Join(member(other)), words)

    def _force(self, s: State, me: int, other: int) -> Iterator[Step]:
        """Truthfully: the member is down."""
        if other not in self.peers(s, me):
            return
        value = self.values.forced(Expel(other + 1), s.stores[me].group)
        if value != NONE and self.values.generation(value) <= self.rules.generations:
            after = self._take(s, me, value)._replace(forces=s.forces + 1)
            yield f"{name_of(me)}'s operator forces {name_of(other)} out, which is dead", after

    def _depart(self, s: State, me: int) -> Iterator[Step]:
        store, name = s.stores[me], name_of(me)
        if not store.going or not self.is_current(s, me):
            return
        peers = self.peers(s, me)
        if not peers:
            if self.rules.last_one_stays:
                yield f"{name} is the last one and stays", put_store(s, me, going=RUNNING)
            else:
                wrong = "the agent ends at every start: the last one cannot leave"
                yield f"{name} departs", s._replace(wrong=wrong)
            return
        if not all(self.links(s, me, one) for one in peers):
            return
        if me == self.rules.loser and any(s.behind >> one & 1 for one in peers):
            return
        keeps_seat = store.going == SHUTDOWN
        handed, clean = self._hand_over(s, me), not store.wait and store.recovery == INTACT
        if clean and handed != s:
            yield f"{name} hands over", handed
            return
        change = Expel(me + 1, keeps_seat, clean)
        yield from self._decide(s, me, change, "has its own departure decided")

    def _hand_over(self, s: State, me: int) -> State:
        """Give back what it owns, and push what it did."""
        store, before = s.stores[me], s
        for other in self.peers(s, me):
            row = s.stores[other].row
            knows = s.stores[other].knows or store.knows
            back = row == me and (store.row == me or store.knows)
            s = put_store(s, other, knows=knows, row=NONE if back else row)
        if store.row == me:
            s = put_store(s, me, row=NONE)
        for other in self.peers(s, me) if s != before else ():
            s = self.told(self.wrote(s, me), me, other)
        return s

    # --- RECOVER and JOINING end

    def _finish(self, s: State, me: int) -> Iterator[Step]:
        store, name = s.stores[me], name_of(me)
        peers = self.peers(s, me)
        if store.joined or not self.is_current(s, me) or store.asks:
            return
        heard = s.processes[me].heard
        if not all(self.links(s, me, one) and heard >> one & 1 for one in peers):
            return
        intact = any(s.stores[one].joined for one in peers)
        blank = peers and store.recovery == INTACT and self.rules.joins_somebody_intact
        if (store.recovery == RECOVERING or blank) and not intact:
            if store.wait != LONGEST:
                after = put_store(s, me, wait=LONGEST)
                if self.rules.longest_since_last_loss and s.lease:
                    after = after._replace(cover=s.cover | 1 << me)
                yield f"{name} finds nobody intact: waits for the longest lease", after
            return
        knows = store.knows or any(s.stores[one].knows for one in peers)
        after = put_store(s, me, joined=True, recovery=INTACT, knows=knows)
        for one in peers:
            after = self.told(after, one, me)
        yield f"{name} has pulled from everybody", after

    # --- who hears what

    def _exchange(self, s: State, me: int, other: int) -> Iterator[Step]:
        """Something `me` says to, or asks of, `other`, with what comes of it at once."""
        values, mine, its = self.values, s.stores[me].group, s.stores[other].group
        say = f"{name_of(me)} -> {name_of(other)}: "
        seat = values.seat(mine, other)
        if s.stores[me].asks >> other & 1 or (
            self._asks_out(s, me) and seat is not None and not seat.is_current
        ):
            after = self._ask(s, me, other)
            if after != s:
                yield say + "asks for the group", after
        if mine == NONE or not self._greets(s, me, other):
            if self.is_current(s, me) and seat and not seat.is_current and not seat.clean:
                yield from self._changed(s, say + "tells its group", self._tell(s, me, other))
            return
        there = values.seat(its, me)
        if its == NONE:
            yield from self._changed(s, say + "tells its group", self._tell(s, me, other))
        elif there is not None and not there.is_current and self.is_current(s, other):
            if mine == its:
                if there.state is MemberState.DOWN:
                    words = f"has the return of {name_of(me)} decided"
                    yield from self._decide(s, other, Return(me + 1), words)
            else:
                yield from self._changed(s, say + "Hello; is told", self._tell(s, other, me))
                yield from self._changed(s, say + "Hello; asks", self._ask(s, me, other))
        elif mine != its or not self.is_current(s, other):
            yield from self._changed(s, say + "Hello; asks", self._ask(s, me, other))
            known = there is not None and self.is_current(s, other)
            if known:
                yield from self._changed(s, say + "Hello; it asks back", self._ask(s, other, me))
        else:
            yield from self._changed(s, say + "Hello", self._hear(s, other, me))

    def _changed(self, s: State, label: str, after: State) -> Iterator[Step]:
        if after != s:
            yield label, after

    def _asks_out(self, s: State, me: int) -> bool:
        if not self.rules.asks_those_out or not self.is_current(s, me):
            return False
        return bool(s.processes[me].start) or not self.peers(s, me)

    def _greets(self, s: State, me: int, other: int) -> bool:
        """Those that are current in its book; and, when its seat is kept, it asks for it."""
        seat, own = self.values.seat(s.stores[me].group, other), s.stores[me]
        if seat is None or not seat.is_current:
            return False
        mine = self.values.seat(own.group, me)
        assert mine is not None
        return mine.is_current or (mine.state is MemberState.DOWN and not own.going)

    def _hear(self, s: State, me: int, other: int) -> State:
        """A Hello of `other` under my own value."""
        rules, n = self.rules, self.rules.members
        if me == rules.loser:
            if s.behind >> other & 1:
                return self.recover(s, me)
            s = s._replace(alone=s.alone and not s.stores[other].joined)
        if s.unnoted >> other * n + me & 1:
            s = s._replace(unnoted=s.unnoted & ~(1 << other * n + me))
            if s.stores[me].row == other:
                s = self.hold_back(s, me, other)
        s = put_process(s, me, heard=s.processes[me].heard | 1 << other)
        if not self.votes(s, me) and self._held(s, me) == NONE and self._held(s, other) != NONE:
            s = put_store(s, me, accepted=self._held(s, other))
        return self.confirm(s, me)

    def _ask(self, s: State, me: int, other: int) -> State:
        """GroupQuery and its answer: first the group is weighed, then what it remembers."""
        after = self._weigh_answer(s, me, other)
        marks = self.rules.answers_tell_marks and me == self.rules.loser
        return self.recover(after, me) if marks and after.behind >> other & 1 else after

    def _weigh_answer(self, s: State, me: int, other: int) -> State:
        values, mine, its = self.values, s.stores[me].group, s.stores[other].group
        s = put_store(s, me, asks=s.stores[me].asks & ~(1 << other))
        if mine == NONE:
            return s
        if its == NONE:
            return self._heard_out(self._tell(s, me, other), me, other)
        if values.stands_over(its, mine):
            return self._learn(s, me, its)
        if its != mine:
            s = self._tell(s, me, other)
        if s.stores[me].group == mine and (its == mine or values.descends(mine, its)):
            s = self._heard_out(s, me, other)
        return s

    def _heard_out(self, s: State, me: int, other: int) -> State:
        """One that is out has answered the same group, or an older one, or none."""
        if other in self.peers(s, me):
            return s
        s = put_process(s, me, heard=s.processes[me].heard | 1 << other)
        return self.confirm(s, me)

    def _tell(self, s: State, me: int, other: int) -> State:
        """GroupCommit."""
        value = s.stores[me].group
        if self.rules.repeats:
            s = s._replace(commits=s.commits | {(me, other, value)})
        after = self._receive(s, me, other, value)
        its = after.stores[other].group
        if after != s or its in (value, NONE) or not self._weighs(s, me, other, value):
            return after
        # It tells its own, where that one stands.
        stands = self.values.stands_over(value, its)
        return after if stands else self._receive(s, other, me, its)

    def _weighs(self, s: State, sender: int, me: int, value: int) -> bool:
        values, mine, rules = self.values, s.stores[me].group, self.rules
        teller, own = values.seat(value, sender), values.seat(value, me)
        follows = mine == NONE or values.descends(value, mine)
        if teller is None:
            return False
        if not teller.is_current:
            current = own is not None and own.is_current
            if not (rules.believes_those_out and current and follows):
                return False
        stranger = mine != NONE and values.seat(mine, sender) is None
        return follows or not stranger or (rules.weighs_strangers and own is not None)

    def _receive(self, s: State, sender: int, me: int, value: int) -> State:
        if not self._weighs(s, sender, me, value):
            return s
        mine = s.stores[me].group
        if mine != NONE and not self.values.stands_over(value, mine):
            return s
        return self._learn(s, me, value)

    def _learn(self, s: State, me: int, value: int) -> State:
        return self._take(s, me, value) if self.values.seat(value, me) is not None else s

    # --- what follows from a value

    def _take(self, s: State, me: int, value: int) -> State:
        """`agent.sync.group.Membership._take` and `agent.sync.expulsion.follow`."""
        values, rules, store = self.values, self.rules, s.stores[me]
        old, before = store.group, s
        kept = store.accepted if values.descends_next(store.accepted, value) else NONE
        s = put_store(s, me, group=value, accepted=kept)
        s = put_process(s, me, heard=0)
        if me == rules.loser and values.current(value) == (me,):
            s = s._replace(alone=True)
        if old == NONE:
            alone = values.current(value) == (me,)
            return self.recover(s, me) if alone and rules.sole_member_recovers else s
        left_line = not values.descends(value, old)
        gone = values.expelled(old, value)
        if me in gone:
            own = values.seat(value, me)
            clean = own is not None and own.clean and self._has_left_cleanly(before, me, value)
            s = self.recover(s, me, wait=NO_WAIT) if clean else self.recover(s, me)
            if own is None or (not own.is_current and store.going == LEAVING):
                s = put_store(s, me, going=RUNNING)
            return s
        for one in gone:
            s = self._follow_gone(s, me, one, value)
        if (left_line and rules.left_line_recovers) or self._lacks_vote(before, me, value):
            s = self.recover(s, me)
        return self.confirm(s, me)

    def _has_left_cleanly(self, before: State, me: int, value: int) -> bool:
        """`agent.sync.expulsion._has_left_cleanly`."""
        store = before.stores[me]
        intact = store.joined and store.recovery == INTACT
        confirmed = before.processes[me].start == CONFIRMED
        said = store.going in (SHUTDOWN, LEAVING)
        return said and intact and confirmed and store.accepted == value

    def _follow_gone(self, s: State, me: int, gone: int, value: int) -> State:
        seat = self.values.seat(value, gone)
        clean = seat is not None and seat.clean
        if clean and self.rules.clean_names_incarnation:
            # It begins the next one itself, when it learns that it is out.
            present = s.stores[gone].incarnation - (not self.is_current(s, gone))
            clean = present <= self.values.left(value, gone)
        if not clean:
            return self.hold_back(s, me, gone)
        row = s.stores[me].row
        return put_store(s, me, row=NONE if row in (gone, gone + self.rules.members) else row)

    def _lacks_vote(self, s: State, me: int, value: int) -> bool:
        """Whether `value` follows from mine by a decision that needed my vote, which my store does
        not have."""
        values, store = self.values, s.stores[me]
        old = store.group
        if not self.rules.missing_vote_recovers or not values.descends(value, old):
            return False
        if values.group(value).forced > values.group(old).forced:
            return False
        current = values.current(old)
        if me not in current or len(current) > 2:
            return False
        held = self._held(s, me)
        return held == NONE or not (held == value or values.descends(value, held))


__all__ = ["SeatRules", "Seats"]
