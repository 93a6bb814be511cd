"""What members say to each other, as values; `agent.sync.codec` packs them into OCTET STRINGs.

Every request carries a `Header`; a receiver whose generation or membership hash differs answers
`PeerError` ("generation") and refreshes its membership. How each travels over SNMP is in
docs/architecture.md: Hello and BindingUpdate are INFORMs, the pulls are GETBULK, poll and ballot
are a SET of a row followed by a GET of its answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.model import (
    NO_MARK,
    Ballot,
    BallotNumber,
    Binding,
    ConfigRecord,
    Group,
    MemberId,
    Nonce,
    Service,
    StoreMark,
    StreamId,
    Trouble,
)

Record = Binding | ConfigRecord
"""A replicated row. On the wire instants are seconds from the sender's now (draft 4.3)."""


@dataclass(frozen=True, slots=True)
class Header:
    sender: MemberId
    incarnation: int
    generation: int
    membership_hash: bytes


@dataclass(frozen=True, slots=True)
class Hello:
    """Periodic INFORM: what I have, whom I hear (draft 8.2; docs/protocol.md, "Hello and
    alignment").

    `owing`: members to which I have given addresses that they have not acknowledged; `free`: my
    free addresses by the first address of their pool, of at most FREE_TOLD_MAX pools in turn.
    `vector` is the highest number applied of every stream; `digest` sums up my bindings and
    configuration where all streams are equal; `sent_at` measures the offset of clocks only.
    `version` is my ownership version, `known` the receiver's mark as it told it last: together with
    the vector it is what I remember of the receiver (RECOVER).
    `intact`: my store has served and is not being recovered; `lost`: my incarnations up to this
    one are gone. `relayed`: what I know to be held by members that the receiver does not hear.
    `service`: what my operator wants of me. `votes`: I take part in ballots; `ballot`: to one that
    does not, what I have promised and accepted for the next generation.
    `unconfirmed_ms`: time that only my wall clock says has passed over a reboot; `wall_ahead_ms`:
    my wall clock minus my clock, for people. `trouble`: what is wrong with my member."""

    header: Header
    vector: dict[StreamId, int]
    heard: tuple[MemberId, ...]
    sent_at: int
    serving: bool = False
    digest: bytes = b""
    version: int = 0
    known: StoreMark = NO_MARK
    intact: bool = False
    lost: int = 0
    owing: tuple[MemberId, ...] = ()
    free: dict[int, int] = field(default_factory=dict)
    relayed: dict[MemberId, dict[StreamId, int]] = field(default_factory=dict)
    service: Service = Service.RUNNING
    unconfirmed_ms: int = 0
    wall_ahead_ms: int = 0
    votes: bool = False
    ballot: Ballot | None = None
    trouble: Trouble = Trouble.NONE


@dataclass(frozen=True, slots=True)
class BindingUpdate:
    """INFORM: the sender's current rows for every change of `stream` in (after, through].

    A receiver that has not applied up to `after` refuses it ("gap") and pulls. The response
    means: committed in my store."""

    header: Header
    stream: StreamId
    after: int
    through: int
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class ChangePull:
    """GETBULK on the change table: the sender's rows for changes of `stream` after `after`."""

    header: Header
    stream: StreamId
    after: int
    limit: int


@dataclass(frozen=True, slots=True)
class ChangePage:
    """`through`: the page covers the stream up to here. `complete` is False where more waits.
    `log_from` > the puller's `after` means: pull by address instead."""

    stream: StreamId
    log_from: int
    through: int
    records: tuple[Record, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class BlockPull:
    """GETBULK on the binding block table: rows of every block after `after_block`, all streams.

    A walk from -1 to the end is a full pull; it proves the vector that `StreamAnswer` gave
    before it began."""

    header: Header
    after_block: int
    limit: int


@dataclass(frozen=True, slots=True)
class BlockPage:
    last_block: int
    records: tuple[Record, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class StreamQuery:
    """GETBULK of the stream table, and of the configuration: what a full pull starts with."""

    header: Header


@dataclass(frozen=True, slots=True)
class StreamAnswer:
    vector: dict[StreamId, int]
    log_from: dict[StreamId, int]
    configuration: tuple[ConfigRecord, ...]


@dataclass(frozen=True, slots=True)
class RangeEpoch:
    """Addresses first..last, to be owned under `epoch` (0 in an ASK)."""

    first: int
    last: int
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class PollAsk:
    """Round 1, read-only: could these addresses be made BINDABLE by the sender?"""

    header: Header
    nonce: Nonce
    ranges: tuple[RangeEpoch, ...]


@dataclass(frozen=True, slots=True)
class PollReserve:
    """Round 2: a "yes" is a durable promise of the range to the sender under its epoch."""

    header: Header
    nonce: Nonce
    ranges: tuple[RangeEpoch, ...]


@dataclass(frozen=True, slots=True)
class PollAbort:
    """The sender gives its attempt up; or, where a range names an epoch, what it owned under
    that one. `version`: the sender's ownership version, under which it has nothing of it left."""

    header: Header
    nonce: Nonce
    ranges: tuple[RangeEpoch, ...]
    version: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for first..last: agreed or not, the highest epoch known there and its owner
    (0: none known)."""

    first: int
    last: int
    agreed: bool
    epoch: int
    owner: MemberId


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """Echoes nonce and generation; verdicts lie in order and cover what the answer speaks of.
    `mark`: of the store that says so. Who acts on the answer remembers it, durably."""

    nonce: Nonce
    generation: int
    verdicts: tuple[Verdict, ...]
    mark: StoreMark = NO_MARK


@dataclass(frozen=True, slots=True)
class TransferAsk:
    """Give me up to `wanted` addresses of the pool first..last, of which I have `free` (draft 5.2,
    5.4). Wanting none asks only for what was given to me before (docs/protocol.md, "TRANSFER")."""

    header: Header
    xid: Nonce
    first: int
    last: int
    wanted: int
    free: int


@dataclass(frozen=True, slots=True)
class TransferOffer:
    """These are the asker's for good, under these epochs. `xid` is of the request by which they
    were first asked for; nothing else is offered before they are acknowledged. `mark`: of the store
    that has given them away."""

    xid: Nonce
    ranges: tuple[RangeEpoch, ...]
    mark: StoreMark = NO_MARK


@dataclass(frozen=True, slots=True)
class TransferTaken:
    """The sender owns these, durably, or has owned them: the giver may forget that it gave.
    `version`: the sender's ownership version, in which it has them."""

    header: Header
    xid: Nonce
    ranges: tuple[RangeEpoch, ...]
    version: int = 0


@dataclass(frozen=True, slots=True)
class GroupQuery:
    """GETNEXT of the packed group; needs no equal generation."""

    header: Header


@dataclass(frozen=True, slots=True)
class GroupAnswer:
    group: Group | None


@dataclass(frozen=True, slots=True)
class BallotPrepare:
    header: Header
    generation: int
    ballot: BallotNumber


@dataclass(frozen=True, slots=True)
class BallotAccept:
    header: Header
    ballot: BallotNumber
    value: Group


@dataclass(frozen=True, slots=True)
class BallotAnswer:
    """`granted` for a prepare or accept; otherwise `promised` tells what stands against it."""

    generation: int
    granted: bool
    promised: BallotNumber
    accepted: BallotNumber | None
    value: Group | None


@dataclass(frozen=True, slots=True)
class GroupCommit:
    """A chosen value, learned from anybody.

    The rest tells which of two stores is a copy of an earlier time, where the values do not come
    from each other: `mark` and `lost` are the sender's own, as in Hello, `known` is the receiver's
    mark as far as the sender remembers it, `vector` what the sender holds of both their streams."""

    header: Header
    value: Group
    mark: StoreMark = NO_MARK
    lost: int = 0
    known: StoreMark = NO_MARK
    vector: dict[StreamId, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The answer that says only: it is committed in my store."""


Request = (
    Hello
    | BindingUpdate
    | ChangePull
    | BlockPull
    | StreamQuery
    | PollAsk
    | PollReserve
    | PollAbort
    | TransferAsk
    | TransferTaken
    | GroupQuery
    | BallotPrepare
    | BallotAccept
    | GroupCommit
)
Response = (
    Acknowledged
    | ChangePage
    | BlockPage
    | StreamAnswer
    | PollAnswer
    | TransferOffer
    | GroupAnswer
    | BallotAnswer
)
