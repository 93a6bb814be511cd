"""The group's values of a model: production ones, by number, with what the rules say of them."""

from __future__ import annotations

from dataclasses import replace

from agent.errors import PeerError
from agent.model import Group, Member
from agent.sync.change import GroupChange, apply
from agent.sync.expulsion import expelled
from agent.sync.lineage import descends, stands_over

NONE = -1


def member(number: int) -> Member:
    return Member(number + 1, f"m{number + 1}", 0x0A000001 + number, 1161, bytes((number + 1,)) * 5)


class Values:
    """Members are numbered from 0 here, and from 1 in the group. A value goes with the incarnations
    that its clean departures name, by member (0: none)."""

    def __init__(self, members: int) -> None:
        self._numbers = range(members)
        self._values: list[tuple[Group, tuple[int, ...]]] = []
        self._indices: dict[tuple[Group, tuple[int, ...]], int] = {}
        self._currents: list[tuple[int, ...]] = []
        self._known: dict[tuple[str, int, int], bool] = {}
        self._seats: dict[tuple[int, int], Member | None] = {}
        self._following: dict[tuple[GroupChange, int, tuple[int, int]], int] = {}

    def index(self, group: Group, left: tuple[int, ...] = ()) -> int:
        key = (group, left or (0,) * len(self._numbers))
        if key not in self._indices:
            self._indices[key] = len(self._values)
            self._values.append(key)
            self._currents.append(tuple(one.member - 1 for one in group.current))
        return self._indices[key]

    def founded(self, members: int) -> int:
        seats = tuple(member(number) for number in range(members))
        return self.index(Group("g", 1, 300, 3600, seats))

    def group(self, value: int) -> Group:
        return self._values[value][0]

    def left(self, value: int, number: int) -> int:
        """The incarnation of `number` whose clean departure the value tells of."""
        return self._values[value][1][number]

    def current(self, value: int) -> tuple[int, ...]:
        return self._currents[value] if value != NONE else ()

    def listed(self, value: int) -> list[int]:
        if value == NONE:
            return []
        return [one.member - 1 for one in self.group(value).members]

    def seat(self, value: int, number: int) -> Member | None:
        key = (value, number)
        if key not in self._seats:
            self._seats[key] = self.group(value).member(number + 1) if value != NONE else None
        return self._seats[key]

    def generation(self, value: int) -> int:
        return self.group(value).generation if value != NONE else 0

    def descends(self, later: int, earlier: int) -> bool:
        key = ("descends", later, earlier)
        if key not in self._known:
            self._known[key] = descends(self.group(later), self.group(earlier))
        return self._known[key]

    def descends_next(self, later: int, earlier: int) -> bool:
        """Whether `later` is of the generation after `earlier`."""
        return later != NONE and self.generation(later) == self.generation(earlier) + 1

    def stands_over(self, other: int, mine: int) -> bool:
        key = ("stands", other, mine)
        if key not in self._known:
            self._known[key] = stands_over(self.group(other), self.group(mine))
        return self._known[key]

    def expelled(self, old: int, new: int) -> list[int]:
        return [one.member - 1 for one in expelled(self.group(old), self.group(new))]

    def applied(self, change: GroupChange, value: int, left: tuple[int, int] = (0, 0)) -> int:
        """The next value, NONE where it changes nothing or cannot be. `left`: whose clean departure
        it is, and of which incarnation."""
        key = (change, value, left)
        if key not in self._following:
            self._following[key] = self._apply(change, value, left)
        return self._following[key]

    def _apply(self, change: GroupChange, value: int, left: tuple[int, int]) -> int:
        try:
            group = apply(change, self.group(value))
        except PeerError:
            return NONE
        if group is None:
            return NONE
        incarnations = list(self._values[value][1])
        for number in self._numbers:
            seat = group.member(number + 1)
            if seat is None or not seat.clean:
                incarnations[number] = 0
        if left[1]:
            incarnations[left[0]] = left[1]
        return self.index(group, tuple(incarnations))

    def forced(self, change: GroupChange, value: int) -> int:
        following = self.applied(change, value)
        if following == NONE:
            return NONE
        group, left = self._values[following]
        return self.index(replace(group, forced=group.forced + 1), left)
