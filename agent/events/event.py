"""What an event is: what happened, when, and about whom.

Rows tell how things are; an event tells that they changed. It is written in the transaction of the
row that it tells of, into a table of this member that keeps the latest (`store/events.py`), and
whoever wants to know reads it from there at his own pace, so that nobody who listens slows down
who serves.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple

from agent.model import Binding


class EventKind(enum.IntEnum):
    """Numbers are stored: one that was given is never given again."""

    BOUND = 1
    RENEWED = 2
    RELEASED = 3
    EXPIRED = 4
    DECLINED = 5
    IN_USE = 6
    CONFLICT = 7
    NO_FREE_ADDRESS = 8
    CONFIGURED = 9
    MEMBER_JOINED = 10
    MEMBER_LEFT = 11
    MEMBER_REMOVED = 12
    MEMBER_DOWN = 13
    MEMBER_BACK = 14
    MEMBER_SILENT = 15
    MEMBER_HEARD = 16
    GROUP_CHANGED = 17
    GROUP_FORKED = 18
    ROWS_DIFFER = 19
    POOL_LOW = 20
    POOL_HIGH = 21

    @property
    def word(self) -> str:
        """As people and programs write it."""
        return self.name.lower()


KIND_OF_WORD = {kind.word: kind for kind in EventKind}

ON_REQUEST = frozenset({EventKind.RENEWED})
"""Kinds that are written only while a consumer asks for them: renewals are nearly all that a
member does."""

LAST_OF_LEASES = EventKind.IN_USE
"""Kinds up to this one are made by `of_lease`: about no other member, nobody's doing, no words."""


class Event(NamedTuple):
    """The field order is the store's column order. A tuple, as a `Binding` is: the engine makes one
    for each new lease.

    What an event is not about is 0 or empty. `until`: the end of the lease, or of what keeps the
    address from everybody. `member` is another member that it is about, `user` who had it done.
    `subject` is a name: the client's host name, a pool, a network, a configuration row; `old` and
    `new` are what it was and is, each kind with its own meaning (`agent.events.sentences`)."""

    at: int
    kind: EventKind
    address: int = 0
    client_key: bytes = b""
    hardware_address: bytes = b""
    until: int = 0
    member: int = 0
    user: str = ""
    subject: str = ""
    old: str = ""
    new: str = ""


class Numbered(NamedTuple):
    """An event as it is kept: numbers go up by one, from 1."""

    number: int
    event: Event


class EventPage(NamedTuple):
    """What a reader finds behind its cursor. `missed`: events that it came too late for. `through`:
    where its cursor is then, for kinds of a later version are passed over."""

    missed: int
    events: list[Numbered]
    through: int


class EventCursor(NamedTuple):
    """How far the consumer of that name has come, and what it asks for of `ON_REQUEST`."""

    name: str
    number: int
    wants: frozenset[EventKind] = frozenset()


class ExpirySweep(NamedTuple):
    """How far a member has come with telling of leases that have ended: of those that ended up to
    `since` all is told, and of those up to `until` at addresses below `first`."""

    since: int
    until: int
    first: int

    def has_told(self, row: Binding) -> bool:
        ended_at = row.expires_at
        return ended_at <= self.since or (ended_at <= self.until and row.address < self.first)

    def after(self, through: int | None, now: int) -> ExpirySweep:
        """Once addresses up to `through` are looked at; None: all of them. Then it begins anew, for
        what has ended meanwhile."""
        if through is not None:
            return ExpirySweep(self.since, self.until, through + 1)
        return ExpirySweep(self.until, max(self.until, now), 0)


_made = tuple.__new__


def of_lease(kind: EventKind, at: int, row: Binding) -> Event:
    """What happened at `at` to the lease of a row, told with the row as it is then."""
    # As Event(...), in half the time: there is one for each new lease.
    return _made(
        Event,
        (
            at, kind, row.address, row.client_key, row.hardware_address, row.expires_at,
            0, "", row.hostname, "", "",
        ),
    )  # fmt: skip


def mask_of(kinds: Iterable[EventKind]) -> int:
    """A set of kinds in one number, as the store keeps it."""
    return sum(1 << kind for kind in set(kinds))


def kinds_of(mask: int) -> frozenset[EventKind]:
    """Bits that this version knows nothing of are left out."""
    return frozenset(kind for kind in EventKind if mask >> kind & 1)
