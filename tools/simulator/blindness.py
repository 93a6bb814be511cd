"""Members that serve from a store that was put back, while nobody could tell them.

A machine that is set back as a whole (or a disk that loses writes without a word) starts with a
store that does not know it. Where it hears nobody who does, nothing can tell it, and it may do what
the group of now contradicts. What it does until then is exposed. That ends: when it and a member
that holds the present group have heard each other, and the longest lease is over, they must agree
(I9), and everything that was exposed is judged again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.model import AddressState
from tools.simulator.checkers_group import GroupEvidence, Sight
from tools.simulator.disk import Journal
from tools.simulator.shadows import Shadow, ViolationError


@dataclass(slots=True)
class _Blind:
    """`forgotten`: addresses that others may remember it had something to do with. `heard` and
    `heard_by`: whom it has heard, who has heard it, and when last."""

    shadow: Shadow
    forgotten: set[int]
    heard: dict[int, int] = field(default_factory=dict)
    heard_by: dict[int, int] = field(default_factory=dict)
    met: bool = False


class Blindness:
    """`ends_ms`: how long after they met what was exposed is judged again, `contact_ms`: how fresh
    a word must be for two members to count as in touch."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self._blind: dict[int, _Blind] = {}
        self.groups: GroupEvidence
        self.after: Callable[[int, Callable[[], object]], None] = lambda _ms, _act: None
        self.ends_ms = 0
        self.contact_ms = 0
        self.on_end: Callable[[set[int]], None] = lambda _: None

    def __contains__(self, number: object) -> bool:
        return number in self._blind

    def __len__(self) -> int:
        return len(self._blind)

    def begin(self, shadow: Shadow) -> None:
        """It serves, and has not been told. Where nobody could have told it, what it gave and
        forgot is not known to anybody either."""
        shadow.unseen_loss = False
        self._sight.judged["exposed start"] += 1
        blind = self._blind[shadow.number] = _Blind(shadow, shadow.forgotten)
        self._expose(shadow, shadow.owned_addresses())
        self._expose_forgotten(blind)
        shadow.forgotten, shadow.lost_alone = set(), False

    def note_loss(self) -> None:
        """Another store is lost, perhaps the last one that knew better."""
        for blind in self._blind.values():
            if not blind.met:
                self._expose_forgotten(blind)

    def _expose_forgotten(self, blind: _Blind) -> None:
        if self.groups.is_helpless(blind.shadow):
            self._expose(blind.shadow, blind.forgotten)

    def follow(self, shadow: Shadow, journal: Journal) -> None:
        """What it takes and gives, until it has met one who knows more and heard what that is."""
        if self._blind[shadow.number].met and not self._knows_less(shadow):
            return
        taken = {row.address for row in journal.bindings}
        for _, added in journal.moves:
            for new in added:
                if new.state is AddressState.BINDABLE:
                    taken.update(range(new.first, new.last + 1))
        if taken:
            self._expose(shadow, taken)

    def _knows_less(self, shadow: Shadow) -> bool:
        group = shadow.group
        return group is not None and not any(
            group == value or self.groups.descends(group, value)
            for value in self.groups.latest(shadow.number)
        )

    def _expose(self, shadow: Shadow, addresses: set[int]) -> None:
        self._sight.exposed.pass_by(shadow.number, addresses)

    def hear(self, receiver: int, sender: int) -> None:
        """A message of the one reaches the other."""
        now_ms = self._sight.now_ms()
        for blind in list(self._blind.values()):
            if blind.shadow.number == receiver:
                blind.heard[sender] = now_ms
                self._look(blind, sender)
            elif blind.shadow.number == sender:
                blind.heard_by[receiver] = now_ms
                self._look(blind, receiver)

    def _look(self, blind: _Blind, other: int) -> None:
        if blind.met or other not in blind.heard or other not in blind.heard_by:
            return
        shadow = self._sight.shadows.get(other)
        if shadow is None or shadow.group not in self.groups.latest(blind.shadow.number):
            return  # it knows no more than the blind one may know
        blind.met = True
        self.after(self.ends_ms, lambda: self._end(blind))

    def _end(self, blind: _Blind) -> object:
        shadow = blind.shadow
        if self._blind.get(shadow.number) is not blind:
            return False  # set back once more
        other = self._contradicted_by(blind)
        if other is not None and self._is_in_touch(blind, other):
            raise ViolationError(
                f"I9: {shadow.name}, set back and not told of it, and {other.name} hold two "
                f"lineages {self.ends_ms // 1000} s after they met: {shadow.group} and "
                f"{other.group}"
            )
        if other is not None or (self.groups.latest(shadow.number) and self._knows_less(shadow)):
            blind.met = False
            blind.heard.clear()
            blind.heard_by.clear()
            return False
        del self._blind[shadow.number]
        self.on_end(self._sight.exposed.end(shadow.number))
        return False

    def _contradicted_by(self, blind: _Blind) -> Shadow | None:
        """Another member that takes part in a group of another lineage, as this one does."""
        mine = blind.shadow.group
        if mine is None or not blind.shadow.is_current():
            return None
        for other in self._sight.shadows.values():
            if other.group is None or other is blind.shadow or not other.is_current():
                continue
            if self.groups.fork(mine, other.group) is not None:
                return other
        return None

    def _is_in_touch(self, blind: _Blind, other: Shadow) -> bool:
        since_ms = self._sight.now_ms() - self.contact_ms
        return all(
            words.get(other.number, -1) >= since_ms for words in (blind.heard, blind.heard_by)
        )
