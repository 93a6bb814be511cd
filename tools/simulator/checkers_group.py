"""The judge of the membership (I9, I10's quarantine), by what lies on disks.

For each value of the group it is noted which one it was decided from. So every disk tells a
lineage, and two disks contradict each other where their lineages part: that is a violation, unless
an operator forced one of the two values there, or a member decided it that nobody could tell that
its store was put back (`tools.simulator.blindness`). Nothing else is kept: a value that lies on no
disk any more, and from which none has come that does, binds nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator
from typing import Protocol

from agent.model import Binding, BindingState, Group
from tools.simulator.shadows import (
    GONE,
    Exposed,
    Shadow,
    ViolationError,
    drift_ms,
    drift_of_ms,
)

ROUNDING_MS = 2_000
"""Instants are kept in whole seconds and travel as such."""


def _change(row: Binding) -> tuple[int, int, int, int]:
    return row.address, row.epoch, row.grant, row.transaction_server


class Sight(Protocol):
    """What the judge of the membership shares with the others."""

    now_ms: Callable[[], int]
    shadows: dict[int, Shadow]
    exposed: Exposed
    judged: Counter[str]


class GroupEvidence:
    def __init__(self, sight: Sight, blind: Container[int]) -> None:
        self._sight = sight
        self._blind = blind
        self._from: dict[Group, Group | None] = {}
        """From which value each was decided."""
        self.changed_ms = 0
        """When a disk took a value of the group last, or lost one."""
        self.last_event = ""
        """What last happened to the group, in words without numbers."""
        self._blindly: set[Group] = set()
        """Values that a member decided that did not know that its store was put back."""
        self.quarantine: dict[int, tuple[int, int]] = {}
        """Until when an address of a removed member must rest, and whose it was."""
        self.rests_for: dict[int, bytes] = {}
        """The client that may have it there."""
        self._ends_ms: dict[tuple[int, int, int, int], int] = {}
        """When the potential expiry of each change came, by the clock of its author as it was: the
        one of a member that has stood still since tells another instant of what it recorded."""
        self.gone: set[int] = set()
        """Who is out by what some member's disk says, and did not hand over before."""
        self.unaware: set[int] = set()
        """Those of them that did not run when they were taken out: they must learn of it before
        they give what others may have given (I1, I7), whatever their disks say that they own."""
        self.out: set[int] = set()
        """Who is out in whatever way, by the newest value."""

    # --- lineages

    def lineage(self, group: Group) -> Iterator[Group]:
        """The value, the one that it was decided from, and so on."""
        value: Group | None = group
        while value is not None:
            yield value
            value = self._from.get(value)

    def fork(self, one: Group, other: Group) -> tuple[Group, Group, Group | None] | None:
        """The first values of two lineages that differ, and the last one in common; None where one
        value has come from the other."""
        if one == other:
            return None
        ours = list(self.lineage(one))
        common, theirs = None, None
        for value in self.lineage(other):
            if value in ours:
                common = value
                break
            theirs = value
        at = ours.index(common) if common is not None else len(ours)
        if theirs is None or at == 0:
            return None
        return ours[at - 1], theirs, common

    def descends(self, later: Group, earlier: Group) -> bool:
        return later != earlier and any(value == earlier for value in self.lineage(later))

    def newest(self) -> Group | None:
        """The latest value on the disk of a member that takes part by it; of any, if none does."""
        shadows = self._sight.shadows.values()
        found = [s.group for s in shadows if s.group is not None and s.is_current()]
        found = found or [s.group for s in shadows if s.group is not None]
        return max(found, key=lambda group: group.generation, default=None)

    def latest(self, without: int) -> list[Group]:
        """Values on disks, but for one member's, from which no other one there has come."""
        shadows = self._sight.shadows.values()
        values = {s.group for s in shadows if s.group is not None and s.number != without}
        return [v for v in values if not any(self.descends(other, v) for other in values)]

    def is_helpless(self, shadow: Shadow) -> bool:
        """Whether nobody could tell a member that its store was put back: the stores of all others
        were lost too; it was alone before, and nobody has heard of that; or it is alone by that
        store, which names nobody else, or of whom nobody holds a later value. Those that are out
        are told of nothing else."""
        group = shadow.group
        if shadow.lost_alone or self._all_others_lost(shadow):
            return True
        if group is None or len(group.current) > 1:
            return False
        return len(group.members) == 1 or all(
            theirs == group or self.descends(group, theirs) for theirs in self.latest(shadow.number)
        )

    def _all_others_lost(self, shadow: Shadow) -> bool:
        """Whether the stores of all others in its group were lost too, and not made good since."""
        group = shadow.group
        others = [m.member for m in group.current if m.member != shadow.number] if group else []
        return bool(others) and all(self._sight.shadows[other].lost_store for other in others)

    # --- what is written

    def take(self, shadow: Shadow, group: Group) -> None:
        self._sight.judged["I9"] += 1
        former = shadow.group
        if former is not None and self.descends(former, group):
            raise ViolationError(
                f"I6: {shadow.name} goes back from generation {former.generation} to "
                f"{group.generation}"
            )
        self._note_origin(shadow, former, group)
        for other in self._sight.shadows.values():
            if other is not shadow and other.group is not None:
                self._check_one_lineage(shadow, group, other, other.group)
        self._begin_quarantine(shadow, former, group)
        self.changed_ms = self._sight.now_ms()
        self.last_event = self._event(former, group)
        shadow.group = group
        shadow.group_since_ms = self.changed_ms
        shadow.former_mul_s = former.mul_s if former is not None else 0
        shadow.removed_at_ms = -1 if shadow.is_current() else self._sight.now_ms()
        self._look()

    def _event(self, former: Group | None, group: Group) -> str:
        if former is None:
            return "a group learned"
        if not self.descends(group, former):
            return "another lineage taken"
        forced = ", forced" if group.forced > former.forced else ""
        for member in group.members:
            known = former.member(member.member)
            if known is None or known.state != member.state:
                return f"{member.state.name}{' clean' if member.clean else ''}{forced}"
        return f"parameters{forced}"

    def _note_origin(self, shadow: Shadow, former: Group | None, group: Group) -> None:
        """It was decided here, or learned from a disk that holds it or one that came from it."""
        values = {s.group for s in self._sight.shadows.values() if s.group is not None}
        if any(group in self.lineage(value) for value in values):
            return
        follows = former is not None and former.generation + 1 == group.generation
        if group not in self._from or follows:
            self._from[group] = former
            if shadow.number in self._blind:
                self._blindly.add(group)

    def _check_one_lineage(
        self, shadow: Shadow, group: Group, other: Shadow, theirs: Group
    ) -> None:
        parting = self.fork(group, theirs)
        if parting is None:
            return
        ours, others, common = parting
        forced = common.forced if common is not None else 0
        if not any(value.forced > forced or value in self._blindly for value in (ours, others)):
            raise ViolationError(
                f"I9: generation {ours.generation} is {ours} at {shadow.name} and {others} at "
                f"{other.name}"
            )
        self._sight.judged["exposed I9"] += 1

    def lost(self, shadow: Shadow, group: Group | None) -> None:
        """A disk has lost its value of the group, and holds this one."""
        former = shadow.group
        if former is not None and len(former.current) == 1 and former != group:
            latest = self.latest(shadow.number)
            shadow.lost_alone |= not any(former in self.lineage(value) for value in latest)
        self.changed_ms = self._sight.now_ms()
        self.last_event = "a store lost" if group == shadow.group else "a value of the group lost"
        shadow.group = group
        shadow.removed_at_ms = -1 if group is None or shadow.is_current() else 0
        for address, (_, number) in list(self.quarantine.items()):
            if not any(self._is_out_at(s, number) for s in self._sight.shadows.values()):
                del self.quarantine[address]  # nobody who gives knows of the removal any more
        self._look()

    @staticmethod
    def _is_out_at(shadow: Shadow, number: int) -> bool:
        """By the disk of a member that gives addresses."""
        known = shadow.group.member(number) if shadow.group is not None else None
        return known is not None and known.state in GONE and shadow.is_current()

    # --- who is out

    def _look(self) -> None:
        newest = self.newest()
        members = newest.members if newest is not None else ()
        self.out = {one.member for one in members if one.state in GONE}
        gone: set[int] = set()
        for value in {s.group for s in self._sight.shadows.values() if s.is_current()}:
            if value is not None and (value == newest or not self._is_before(value, newest)):
                gone |= {m.member for m in value.members if m.state in GONE and not m.clean}
        self.unaware = {n for n in self.unaware if n in gone or not self._knows_its_seat(n, newest)}
        for number in gone - self.gone:
            self._expose(number)
        self.gone = gone

    def _knows_its_seat(self, number: int, newest: Group | None) -> bool:
        """Whether a member that was let in again has heard of that, and so of having been out."""
        listed = newest.member(number) if newest is not None else None
        shadow = self._sight.shadows.get(number)
        return listed is None or shadow is None or shadow.knows_its_seat(listed)

    def _is_before(self, value: Group, newest: Group | None) -> bool:
        return newest is not None and self.descends(newest, value)

    def _expose(self, number: int) -> None:
        """Who is out from now on, and runs, was called dead falsely: what it may bind before it
        knows is exposed."""
        shadow = self._sight.shadows.get(number)
        if shadow is None or shadow.removed_at_ms >= 0:
            return
        if not shadow.is_running():
            self.unaware.add(number)
            return
        self._sight.judged["exposed removal"] += 1
        self._sight.exposed.update(shadow.owned_addresses())
        self._sight.exposed.update(
            a for a, r in shadow.rows.items() if r.state is BindingState.BOUND
        )

    # --- the quarantine (protocol rule 8)

    def _begin_quarantine(self, shadow: Shadow, former: Group | None, group: Group) -> None:
        """A member is removed: whatever it was the last to bind, in any state, rests until what
        this member has recorded of it is over, and MUL longer. One that is out itself, and hears of
        it when it is asked, binds nobody: no poll waits for it."""
        own = group.member(shadow.number)
        if former is None or own is None or not own.is_current:
            return
        for member in former.members:
            after = group.member(member.member)
            if member.state in GONE or member.member == shadow.number:
                continue  # who learns of its own removal has given nothing since it was called dead
            if after is not None and (after.state not in GONE or after.clean):
                continue
            for address, row in shadow.rows.items():
                if row.transaction_server == member.member and not self._has_passed_on(row):
                    self._rest(shadow, row, former.mul_s, address)

    def _rest(self, shadow: Shadow, row: Binding, mul_s: int, address: int) -> None:
        recorded = self._ends_ms.get(_change(row))
        if recorded is None:
            recorded = shadow.potential_end_ms(row)
        ends_ms = max(self._sight.now_ms(), recorded - drift_of_ms(row))
        until = ends_ms + mul_s * 1000 - drift_ms(mul_s) - ROUNDING_MS
        known = self.quarantine.get(address, (0, 0))
        if (until, row.transaction_server) > known:
            self.quarantine[address] = until, row.transaction_server
            self.rests_for[address] = row.client_key

    def note_end(self, shadow: Shadow, row: Binding) -> None:
        """A change of the member's own is on its disk."""
        self._ends_ms[_change(row)] = shadow.potential_end_ms(row)

    def end_quarantine(self, shadow: Shadow, row: Binding) -> None:
        """A member that lives has seen the client since, and given it a lease that it knows: what
        the dead one may have given the same client is over with that."""
        rests = self.quarantine.get(row.address)
        if rests is None or row.state is not BindingState.BOUND or rests[1] == shadow.number:
            return
        if self.rests_for[row.address] == row.client_key:
            del self.quarantine[row.address]

    def _has_passed_on(self, row: Binding) -> bool:
        """Whether a member has become the owner since: then who wrote the row had promised to
        serve its client no more."""
        return any(
            first <= row.address <= last and epoch > row.epoch
            for shadow in self._sight.shadows.values()
            for first, last, epoch in shadow.owned
        )
