"""Whom I hear and who hears me: the two state machines that a member keeps for each peer.

The link (draft 8.1): a peer of the group is WAITING until something is heard of it,
UNIDIRECTIONAL while it does not say that it hears me, BIDIRECTIONAL once it does. Alignment
(draft 8.1, SCSP's cache alignment) begins with the link: the vectors are compared, what either
side lacks is sent or pulled, and the peer is ALIGNED while each holds what the other holds.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

from agent.errors import IllegalTransitionError
from agent.model import MemberId, Service, StreamId, Trouble


class LinkState(enum.IntEnum):
    DOWN = 1
    WAITING = 2
    UNIDIRECTIONAL = 3
    BIDIRECTIONAL = 4


class LinkEvent(enum.Enum):
    STARTED = enum.auto()
    HEARD = enum.auto()
    HEARD_BOTH_WAYS = enum.auto()
    FELL_SILENT = enum.auto()


_D, _W, _U, _B = LinkState
LINK_TRANSITIONS: Final[dict[tuple[LinkState, LinkEvent], LinkState]] = {
    (_D, LinkEvent.STARTED): _W,
    (_W, LinkEvent.HEARD): _U,
    (_W, LinkEvent.HEARD_BOTH_WAYS): _B,
    (_W, LinkEvent.FELL_SILENT): _W,
    (_U, LinkEvent.HEARD): _U,
    (_U, LinkEvent.HEARD_BOTH_WAYS): _B,
    (_U, LinkEvent.FELL_SILENT): _W,
    (_B, LinkEvent.HEARD): _U,
    (_B, LinkEvent.HEARD_BOTH_WAYS): _B,
    (_B, LinkEvent.FELL_SILENT): _W,
}


class AlignState(enum.IntEnum):
    DOWN = 1
    NEGOTIATE = 2
    SUMMARIZE = 3
    UPDATE = 4
    ALIGNED = 5


class AlignEvent(enum.Enum):
    LINKED = enum.auto()
    TOLD_VECTOR = enum.auto()
    LACKED = enum.auto()
    COVERED = enum.auto()
    UNLINKED = enum.auto()


ALIGN_TRANSITIONS: Final[dict[tuple[AlignState, AlignEvent], AlignState]] = {
    (AlignState.DOWN, AlignEvent.LINKED): AlignState.NEGOTIATE,
    (AlignState.NEGOTIATE, AlignEvent.TOLD_VECTOR): AlignState.SUMMARIZE,
    (AlignState.SUMMARIZE, AlignEvent.LACKED): AlignState.UPDATE,
    (AlignState.SUMMARIZE, AlignEvent.COVERED): AlignState.ALIGNED,
    (AlignState.UPDATE, AlignEvent.LACKED): AlignState.UPDATE,
    (AlignState.UPDATE, AlignEvent.COVERED): AlignState.ALIGNED,
    (AlignState.ALIGNED, AlignEvent.LACKED): AlignState.UPDATE,
    (AlignState.ALIGNED, AlignEvent.COVERED): AlignState.ALIGNED,
    (AlignState.DOWN, AlignEvent.UNLINKED): AlignState.DOWN,
    (AlignState.NEGOTIATE, AlignEvent.UNLINKED): AlignState.DOWN,
    (AlignState.SUMMARIZE, AlignEvent.UNLINKED): AlignState.DOWN,
    (AlignState.UPDATE, AlignEvent.UNLINKED): AlignState.DOWN,
    (AlignState.ALIGNED, AlignEvent.UNLINKED): AlignState.DOWN,
}


@dataclass(slots=True)
class Peer:
    """What is known of another member since this process heard of it; never durable.

    `disputed`: it holds other rows under an equal vector, or another group under this generation.
    `vector`, `serving`, `intact`, `service`, `trouble` and `digest` are those of its last Hello
    under the present generation (`told`); `clock_offset_ms` is its clock minus mine, the message's
    way included, `offset_ms` the same of the wall clocks.
    `votes`: it takes part in ballots; `confided`: it has told the store that I have now what it
    remembers of ballots. `seen_at_ms`: when some member said last that it hears it.
    `hears`: whom it hears, if it has said so; `relayed`: what others know it to hold.
    `free`: its free addresses by the first address of their pool; `owes_me`: it has given me
    addresses that I have not acknowledged."""

    member: MemberId
    link: LinkState = LinkState.DOWN
    align: AlignState = AlignState.DOWN
    incarnation: int = 0
    told: bool = False
    vector: dict[StreamId, int] = field(default_factory=dict)
    serving: bool = False
    intact: bool = False
    votes: bool = False
    confided: bool = False
    service: Service = Service.RUNNING
    trouble: Trouble = Trouble.NONE
    disputed: bool = False
    digest: bytes = b""
    offset_ms: int = 0
    clock_offset_ms: int = 0
    heard_at_ms: int = 0
    hears_me_at_ms: int = 0
    seen_at_ms: int = 0
    free: dict[int, int] = field(default_factory=dict)
    owes_me: bool = False
    hears: tuple[MemberId, ...] | None = None
    relayed: dict[StreamId, int] = field(default_factory=dict)

    def holds(self, stream: StreamId) -> int:
        """Up to where it holds a stream, as far as it or others have told."""
        return max(self.vector.get(stream, 0), self.relayed.get(stream, 0))

    def note_relayed(self, vector: dict[StreamId, int]) -> None:
        for stream, seq in vector.items():
            self.relayed[stream] = max(seq, self.relayed.get(stream, 0))

    def become_link(self, event: LinkEvent) -> None:
        state = LINK_TRANSITIONS.get((self.link, event))
        if state is None:
            raise IllegalTransitionError("link", self.link.name, event.name)
        self.link = state

    def become_align(self, event: AlignEvent) -> None:
        state = ALIGN_TRANSITIONS.get((self.align, event))
        if state is None:
            raise IllegalTransitionError("alignment", self.align.name, event.name)
        self.align = state

    @property
    def answers(self) -> bool:
        """Whether clients have an answer of it, as far as it has told."""
        return self.serving and self.trouble is not Trouble.ENGINE_SILENT

    @property
    def reachable(self) -> bool:
        return self.link is LinkState.BIDIRECTIONAL

    def heard(self, now_ms: int) -> None:
        self.heard_at_ms = now_ms

    def hears_me(self, now_ms: int) -> None:
        self.hears_me_at_ms = now_ms

    def judge(self, now_ms: int, dead_ms: int) -> None:
        """Move both machines to what was heard in the last `dead_ms`."""
        if self.link is LinkState.DOWN:
            self.become_link(LinkEvent.STARTED)
        if not self.heard_at_ms or now_ms - self.heard_at_ms > dead_ms:
            self.become_link(LinkEvent.FELL_SILENT)
        elif self.hears_me_at_ms and now_ms - self.hears_me_at_ms <= dead_ms:
            self.become_link(LinkEvent.HEARD_BOTH_WAYS)
        else:
            self.become_link(LinkEvent.HEARD)
        if not self.reachable:
            self.become_align(AlignEvent.UNLINKED)
        elif self.align is AlignState.DOWN:
            self.become_align(AlignEvent.LINKED)

    def compare(self, mine: dict[StreamId, int]) -> None:
        """Move the alignment to what the vectors say: `mine`, and the one that it told."""
        if not self.told or self.align is AlignState.DOWN:
            return
        if self.align is AlignState.NEGOTIATE:
            self.become_align(AlignEvent.TOLD_VECTOR)
        equal = mine == self.vector or (covers(mine, self.vector) and covers(self.vector, mine))
        self.become_align(AlignEvent.COVERED if equal else AlignEvent.LACKED)


def covers(mine: dict[StreamId, int], theirs: dict[StreamId, int]) -> bool:
    """Whether everything that `theirs` claims is claimed by `mine` too."""
    for stream, seq in theirs.items():  # noqa: SIM110 - a generator costs as much again
        if mine.get(stream, 0) < seq:
            return False
    return True
