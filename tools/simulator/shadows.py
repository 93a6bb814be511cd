"""What the judges know of one member's disk and of one lease, and what they may not judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from agent.model import (
    AddressRange,
    AddressState,
    Binding,
    Group,
    Member,
    MemberState,
    StreamId,
)

GONE = (MemberState.REMOVED, MemberState.DOWN)
DRIFT_DIVISOR = 400
"""Two clocks that each drift by 0.1 %, with some room: a part of the time that they measured."""


class ViolationError(AssertionError):
    """An invariant is broken; the text names it, the instant and the parties."""


def drift_ms(measured_s: int) -> int:
    """How far two members' clocks may have come apart while they measured a time."""
    return measured_s * 1000 // DRIFT_DIVISOR


def drift_of_ms(row: Binding) -> int:
    """How far the others' records of a potential lease may end from its author's."""
    return drift_ms(row.potential_expires_at - row.transaction_at)


@dataclass(slots=True)
class Shadow:
    """One member's disk as its journal tells it. `owned` are its BINDABLE ranges, in order."""

    number: int
    name: str
    offset_ms: Callable[[], int]
    is_running: Callable[[], bool] = lambda: False
    rows: dict[int, Binding] = field(default_factory=dict)
    ranges: dict[int, AddressRange] = field(default_factory=dict)
    applied: dict[StreamId, int] = field(default_factory=dict)
    group: Group | None = None
    group_since_ms: int = 0
    former_mul_s: int = 0
    """Before it took the present value of the group: what it decided by then may be said later."""
    serving: bool = False
    owned: list[tuple[int, int, int]] = field(default_factory=list)
    starting: bool = False
    """It boots, and has not begun."""
    lost_store: bool = False
    """Its store was put back or is new, and it has not served since, or not with all told."""
    lost_alone: bool = False
    """It was alone by the value of the group that it lost, and that lies on no other disk."""
    unseen_loss: bool = False
    """Its store was put back in a way that only other members can tell it."""
    was_told: bool = False
    """It has been told of such a loss, and recovers."""
    had_applied: dict[StreamId, int] = field(default_factory=dict)
    """What it had taken in before such a loss, while it serves without having been told."""
    forgot_its_own: bool = False
    """It lost changes of its own with its store, in this incarnation. A message with them may still
    be on its way to another member, which tells it when it arrives."""
    forgotten: set[int] = field(default_factory=set)
    """Addresses of which it had rows before such a loss."""
    declined_ms: dict[int, int] = field(default_factory=dict)
    """When it learned that an address is UNAVAILABLE."""
    removed_at_ms: int = -1
    """When it learned that it is no member any more."""

    def true_ms(self, instant_s: int) -> int:
        return instant_s * 1000 - self.offset_ms()

    def potential_end_ms(self, row: Binding) -> int:
        return self.true_ms(row.potential_expires_at)

    def owns(self, address: int) -> int | None:
        """The epoch under which the member may give the address to anybody now, if it may."""
        for first, last, epoch in self.owned:
            if first <= address <= last:
                row = self.rows.get(address)
                return epoch if row is None or row.epoch < epoch else None
        return None

    def owned_addresses(self) -> set[int]:
        return {address for first, last, _ in self.owned for address in range(first, last + 1)}

    def has_changed_of_its_own(self, rows: Mapping[int, Binding]) -> bool:
        """Whether it holds a record of its own making that `rows` do not have."""
        return any(
            row.transaction_server == self.number
            and (
                (other := rows.get(row.address)) is None
                or (other.epoch, other.grant, other.state) != (row.epoch, row.grant, row.state)
            )
            for row in self.rows.values()
        )

    def knows_its_seat(self, listed: Member) -> bool:
        """Whether it has heard of the decision by which it is in the group."""
        own = self.group.member(self.number) if self.group is not None else None
        return own is not None and own.since == listed.since

    def forget_loss(self) -> None:
        """It knows that its store was put back, or was told so."""
        self.had_applied, self.forgotten, self.lost_alone = {}, set(), False
        self.was_told = False

    def is_current(self) -> bool:
        """Whether it takes part, by what its own disk says."""
        own = self.group.member(self.number) if self.group is not None else None
        return own is not None and own.is_current

    def collect_owned(self) -> None:
        self.owned = sorted(
            (r.first, r.last, r.epoch)
            for r in self.ranges.values()
            if r.state is AddressState.BINDABLE
        )


@dataclass(slots=True)
class Holding:
    """A lease as its client counts it, in true time."""

    client: str
    address: int
    server: int
    end_ms: int


@dataclass(slots=True)
class Grant:
    """The end of a lease as it was made durable by the member that gave it, in true time."""

    client_key: bytes
    epoch: int
    end_ms: int
    by: str


class Exposed:
    """Addresses that are not judged: about which a client, or an operator who called a member
    dead, has lied (for the rest of the run), and those that a member dealt with while nobody could
    tell it that its store was put back (until that is over)."""

    __slots__ = ("_all", "_for_good", "_passing")

    def __init__(self) -> None:
        self._for_good: set[int] = set()
        self._passing: dict[int, set[int]] = {}
        self._all: set[int] = set()

    def __contains__(self, address: int) -> bool:
        return address in self._all

    def __len__(self) -> int:
        return len(self._all)

    def add(self, address: int) -> None:
        self._for_good.add(address)
        self._all.add(address)

    def update(self, addresses: Iterable[int]) -> None:
        for address in addresses:
            self.add(address)

    def pass_by(self, member: int, addresses: Iterable[int]) -> None:
        """Exposed by this member until `end`."""
        addresses = set(addresses)
        self._passing.setdefault(member, set()).update(addresses)
        self._all |= addresses

    def end(self, member: int) -> set[int]:
        """Returns what is judged again from now on."""
        ended = self._passing.pop(member, set())
        self._all = self._for_good.union(*self._passing.values())
        return ended - self._all
