"""Stores that are set back, members that are out: what each store holds, and one address.

Two or three members. A store holds the group, the value accepted for the next generation, what is
known of the one address, and how far RECOVER has come; the process beside it whether the start is
confirmed. One store, the loser's, is copied once and put back once: `seen` by the file `standing`
or as a whole machine. Members crash, are cut off, are told to go, leave, return, join, and are
removed or forced out; those that are declared dead are down at that moment, and may start later.

The address is polled for, given, pushed and renewed whole steps at a time: `tools/model/address.py`
looks into those. A client's lease is short (MUL beyond what the others recorded) or full. Time
passes in any order that waits allow: what a wait is for is over when it ends, whatever began later
may run on. `tools/model/seats.py` has who decides, and who learns what from whom.

Two things are looked for: an address given while another client has it, and states from which the
members, all up and all in reach, do not come to serve again by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

from tools.model.address import name_of
from tools.model.lives import (
    CONFIRMED,
    FULL,
    LONGEST,
    MUL,
    NO_LEASE,
    NO_WAIT,
    RECOVERING,
    RUNNING,
    SHORT,
    SHUTDOWN,
    UNCONFIRMED,
    WAITED,
    WITNESSLESS,
    SeatRules,
    State,
    Step,
    Store,
    put_process,
    put_store,
)
from tools.model.values import NONE, Values


class Setback:
    """Stores, processes, clients and time."""

    def __init__(self, rules: SeatRules) -> None:
        self.rules = rules
        self.values = Values(rules.members)
        self.all = range(rules.members)

    # --- who is what

    def peers(self, s: State, me: int) -> list[int]:
        """The other current members of its group; none for one that is out."""
        current = self.values.current(s.stores[me].group)
        return [one for one in current if one != me] if me in current else []

    def is_current(self, s: State, me: int) -> bool:
        return me in self.values.current(s.stores[me].group)

    def reaches(self, s: State, me: int, other: int) -> bool:
        if not (s.processes[me].up and s.processes[other].up):
            return False
        return not (s.cut and self.rules.away in (me, other))

    def links(self, s: State, me: int, other: int) -> bool:
        """Both hear each other under one value, which has both."""
        same = s.stores[me].group == s.stores[other].group
        return same and self.reaches(s, me, other) and other in self.peers(s, me)

    def is_leaving_by_vote(self, store: Store, me: int) -> bool:
        return store.accepted != NONE and me not in self.values.current(store.accepted)

    def serves(self, s: State, me: int) -> bool:
        store, process = s.stores[me], s.processes[me]
        if not process.up or not store.joined or process.start == UNCONFIRMED or store.going:
            return False
        if store.asks or not self.is_current(s, me):
            return False
        return not (self.rules.waits_for_decision and self.is_leaving_by_vote(store, me))

    def gives(self, s: State, me: int) -> bool:
        """Whether it may give new addresses, as far as the clock and its start go."""
        cautious = s.processes[me].cautious and self.rules.majority_before_new
        return self.serves(s, me) and not s.stores[me].wait and not cautious

    def votes(self, s: State, me: int) -> bool:
        store = s.stores[me]
        if store.asks:
            return False
        if not self.rules.no_vote_in_recovery and not self.peers(s, me):
            return True
        return store.joined and not store.recovery and s.processes[me].start == CONFIRMED

    # --- a store is lost

    def recover(self, s: State, me: int, wait: int = MUL) -> State:
        """`agent.sync.recover.begin_recovery`."""
        store, bit, n = s.stores[me], 1 << me, self.rules.members
        promised = [one for one in self.all if one != me and s.stores[one].row == me]
        s = put_store(
            s,
            me,
            incarnation=store.incarnation + 1,
            row=NONE if store.row == me else store.row,
            joined=False,
            recovery=RECOVERING,
            wait=max(store.wait, wait),
        )
        s = put_process(s, me, start=CONFIRMED)
        unnoted = s.unnoted | (sum(1 << me * n + one for one in promised) if wait else 0)
        s = s._replace(unnoted=unnoted, cover=s.cover | (bit if s.lease else 0))
        return s._replace(behind=0, dirty=True) if me == self.rules.loser else s

    def hold_back(self, s: State, me: int, lost: int) -> State:
        """A store of `lost` is gone: what was promised to it is held for MUL."""
        row = s.stores[me].row
        row = lost + self.rules.members if row == lost else row
        s = put_store(s, me, row=row, wait=max(MUL, s.stores[me].wait))
        return s._replace(cover=s.cover | (1 << me if s.lease else 0))

    def told(self, s: State, me: int, other: int) -> State:
        """`other` knows all that the loser has written."""
        if me != self.rules.loser or not s.dirty:
            return s
        return s._replace(dirty=False, ahead=s.ahead | 1 << other if s.copy else s.ahead)

    def wrote(self, s: State, me: int) -> State:
        """Within an incarnation the versions of a store that was put back catch up with what others
        remember."""
        if me != self.rules.loser:
            return s
        apart = s.processes[me].start == WITNESSLESS and self.rules.fresh_incarnation
        return s._replace(dirty=True, behind=s.behind if apart else 0)

    def plain(self, s: State) -> State:
        """Without what can make no difference any more, so that equal states are equal."""
        for me, (store, process) in enumerate(zip(s.stores, s.processes, strict=True)):
            steady = store.joined and process.start == CONFIRMED and not process.cautious
            if process.heard and (steady or not process.up):
                s = put_process(s, me, heard=0)
            if s.cover >> me & 1 and not store.wait:
                s = s._replace(cover=s.cover & ~(1 << me))
        if s.copy is None and (s.dirty or s.ahead):
            s = s._replace(dirty=False, ahead=0)
        if s.alone and (s.was_set_back or not self.rules.seen):
            s = s._replace(alone=False)
        return s

    # --- processes and faults

    def starts(self, s: State, me: int) -> Iterator[Step]:
        store, process = s.stores[me], s.processes[me]
        name = name_of(me)
        if not process.up:
            peers = self.peers(s, me)
            asked = self.asked(s, me)
            start = UNCONFIRMED if store.joined and asked else CONFIRMED
            cautious = bool(peers) and store.joined
            after = put_process(s, me, up=True, start=start, heard=0, cautious=cautious)
            if store.going == SHUTDOWN and not self.is_current(s, me):
                after = put_store(after, me, going=RUNNING)
            yield f"{name} starts", after
            return
        asked = self.asked(s, me)
        unheard = [one for one in asked if not process.heard >> one & 1] or asked
        if self._nobody_can_know(s, me):
            return
        if process.start == UNCONFIRMED and not any(self.reaches(s, me, one) for one in unheard):
            after = put_process(s, me, start=WITNESSLESS if asked else CONFIRMED)
            yield f"{name} has heard nobody for 4 s: serves", after
        if store.going and not self.is_current(s, me):
            yield f"{name} stops", put_process(s, me, up=False, start=CONFIRMED, heard=0)

    def _nobody_can_know(self, s: State, me: int) -> bool:
        """A machine set back as a whole, alone in its copy, with nobody in reach: not claimed."""
        unseen = s.was_set_back and not self.rules.seen and me == self.rules.loser
        return unseen and self.rules.judges_clients and not self.peers(s, me)

    def asked(self, s: State, me: int) -> list[int]:
        """Whose word a start waits for."""
        if not self.is_current(s, me):
            return []
        if self.rules.asks_those_out:
            return [one for one in self.values.listed(s.stores[me].group) if one != me]
        return self.peers(s, me)

    def confirm(self, s: State, me: int) -> State:
        """After something was heard: is the start over?"""
        process, store = s.processes[me], s.stores[me]
        covers = store.knows or not any(s.stores[one].knows for one in self.peers(s, me))
        covers = covers or not self.rules.covers_before_voting
        heard = all(process.heard >> one & 1 for one in self.asked(s, me))
        if process.start and heard and covers:
            s = put_process(s, me, start=CONFIRMED)
        current = self.values.current(s.stores[me].group)
        peers = sum(process.heard >> one & 1 for one in current if one != me)
        majority = peers > 0 and 2 * (peers + 1) > len(current)
        if process.cautious and (majority or s.processes[me].start == CONFIRMED):
            s = put_process(s, me, cautious=False)
        return s

    def faults(self, s: State) -> Iterator[Step]:
        rules = self.rules
        for me in self.all:
            if s.crashes < rules.crashes and s.processes[me].up and rules.mortal in (NONE, me):
                yield f"{name_of(me)} crashes", self._stopped(s, me)._replace(crashes=s.crashes + 1)
        if rules.sets_back and not s.was_set_back:
            yield from self._set_back(s)
        if not s.cut and s.cuts < rules.cuts:
            yield f"{name_of(rules.away)} is cut off", s._replace(cut=True, cuts=s.cuts + 1)

    def _stopped(self, s: State, me: int) -> State:
        return put_process(s, me, up=False, start=CONFIRMED, heard=0, cautious=False)

    def _set_back(self, s: State) -> Iterator[Step]:
        me, rules = self.rules.loser, self.rules
        store = s.stores[me]
        if s.copy is None:
            if store.group != NONE:
                after = s._replace(copy=store, dirty=False)
                if rules.wipes:
                    # Whoever has met it remembers that it had a store.
                    peers = self.peers(s, me)
                    untold = store.knows and not any(s.stores[one].knows for one in peers)
                    met = sum(1 << one for one in peers)
                    after = s._replace(copy=Store(), dirty=untold, ahead=met)
                yield f"{name_of(me)}'s store is copied", after
            return
        if store == s.copy:
            return
        after = self._stopped(s, me)
        after = after._replace(was_set_back=True, copy=None, ahead=0)
        if not rules.seen:
            # What nobody was told, and what it did while it was alone, nobody can know.
            if s.dirty:
                return
            after = after._replace(behind=s.ahead, dirty=False)
            stores = [s.copy if one == me else s.stores[one] for one in self.all]
            yield f"{name_of(me)}'s machine is set back", after._replace(stores=tuple(stores))
            return
        # `standing` names the incarnation, whom the lost store listed, and whether it was alone.
        copy = s.copy._replace(incarnation=store.incarnation)
        if rules.value_is_noted and copy.group != store.group:
            copy = copy._replace(group=store.group, accepted=NONE)
        if rules.asks_those_noted:
            copy = copy._replace(
                asks=sum(1 << k for k in self.values.listed(store.group) if k != me)
            )
        stores = [copy if one == me else s.stores[one] for one in self.all]
        alone = s.alone and rules.alone_is_noted
        after = self.recover(after._replace(stores=tuple(stores)), me, LONGEST if alone else MUL)
        yield f"{name_of(me)}'s store is exchanged for the copy, and that is seen", after

    # --- clients

    def clients(self, s: State, me: int) -> Iterator[Step]:
        store, name = s.stores[me], name_of(me)
        if me >= self.rules.givers:
            return
        if self.gives(s, me) and not store.knows:
            if store.row == NONE:
                yield from self._poll(s, me)
            elif store.row == me:
                yield f"{name} gives the address", self._give(s, me)
        withheld = store.row not in (NONE, me)
        if self.serves(s, me) and store.knows and not withheld:
            yield from self._renew(s, me)
        if store.knows:
            for other in self.peers(s, me):
                if self.links(s, me, other) and not s.stores[other].knows:
                    yield f"{name} pushes the lease to {name_of(other)}", self._push(s, me, other)

    def _poll(self, s: State, me: int) -> Iterator[Step]:
        peers = self.peers(s, me)
        for one in peers:
            store = s.stores[one]
            confirmed = store.joined and s.processes[one].start == CONFIRMED
            if not self.links(s, me, one) or not confirmed or store.knows:
                return
            if store.row not in (NONE, me):
                return
            if store.wait and self.rules.refuses_while_waiting:
                return
        after = put_store(s, me, row=me)
        for one in peers:
            after = put_store(after, one, row=me)
        for one in peers:
            after = self.told(self.wrote(after, me), me, one)
            after = self.told(self.wrote(after, one), one, me)
        yield f"{name_of(me)} polls for the address", after

    def _give(self, s: State, me: int) -> State:
        wrong = "two clients: the address is given while another client has it"
        if s.lease:
            return s._replace(wrong=wrong if self.rules.judges_clients else s.wrong)
        after = put_store(s, me, row=NONE, knows=True)
        lease = SHORT if self.peers(s, me) else FULL
        return self.wrote(after, me)._replace(lease=lease, cover=0)

    def _push(self, s: State, me: int, other: int) -> State:
        row = s.stores[other].row
        after = put_store(s, other, knows=True, row=NONE if row == me else row)
        return self.told(after, me, other)

    def _renew(self, s: State, me: int) -> Iterator[Step]:
        """For the client that has it. What not everybody has recorded goes MUL further only, from
        now on: the others' records may end before."""
        peers, name = self.peers(s, me), name_of(me)
        if all(s.stores[one].knows for one in peers):
            if peers and s.lease != FULL:
                after = self._outdates(self.wrote(s, me))._replace(lease=FULL, cover=0)
                yield f"{name} renews the lease in full", after
            if all(self.links(s, me, one) for one in peers) and peers:
                return
        cautious = s.processes[me].cautious and self.rules.bounded_renewals
        if cautious or not s.lease:
            return
        lease = SHORT if peers else FULL
        after = s
        for one in self.all:
            if one != me and s.stores[one].knows:
                after = put_store(after, one, knows=False)
        after = self._outdates(self.wrote(after, me))._replace(lease=lease, cover=0)
        if after != s:
            yield f"{name} renews the lease beyond what the others know", after

    def _outdates(self, s: State) -> State:
        """The copy's record of a lease says nothing of a later one."""
        return s._replace(copy=s.copy._replace(knows=False)) if s.copy else s

    # --- time

    def time(self, s: State) -> Iterator[Step]:
        if s.cut:
            yield "the cut heals", s._replace(cut=False)
        if s.lease:
            after = s._replace(lease=NO_LEASE, cover=0)
            for me in self.all:
                after = put_store(after, me, knows=False)
            yield "the lease ends", self._outdates(after)
        for me in self.all:
            store = s.stores[me]
            older = s.cover >> me & 1
            if not store.wait or (older and (s.lease == SHORT or store.wait == LONGEST)):
                continue
            row = NONE if store.row >= self.rules.members else store.row
            waited = store.wait == LONGEST and store.recovery == RECOVERING
            recovery = WAITED if waited else store.recovery
            what = "the longest lease" if store.wait == LONGEST else "MUL"
            after = put_store(s, me, wait=NO_WAIT, row=row, recovery=recovery)
            yield f"{what} is over at {name_of(me)}", after
