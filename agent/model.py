"""The records that rules, store and messages share: plain values, no behaviour of their own.

Units and forms, everywhere in the project:

- an address is an `int` (host order); text forms exist only at the edges;
- instants (`..._at`: the member's own clock, agent/clock.py) and durations (`..._s`) are `int`s in
  seconds; `NEVER` stands for an infinite lease;
- a member is known by its `MemberId` (1..2**31-1), assigned once and never used again;
- a stream is one member's store in one incarnation: `stream_id(member, incarnation)`.

The terms are those of draft-ietf-dhc-interserver-02 and docs/architecture.md.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

from agent.addresses import format_address as format_address
from agent.addresses import is_host_address as is_host_address
from agent.addresses import parse_address as parse_address
from agent.kinds import ConfigRow as ConfigRow
from agent.kinds import configuration_key as configuration_key
from agent.kinds.kind import ChangeKind as ChangeKind
from agent.kinds.option import Option as Option
from agent.kinds.pool import Pool as Pool
from agent.kinds.reservation import Reservation as Reservation
from agent.kinds.setting import Setting as Setting
from agent.kinds.setting import SettingName as SettingName
from agent.kinds.subnet import ClaimPolicy as ClaimPolicy
from agent.kinds.subnet import ProbePolicy as ProbePolicy
from agent.kinds.subnet import Subnet as Subnet

MemberId = int
StreamId = int
NEVER = 0xFFFF_FFFF_FFFF
"""The instant of an infinite lease (RFC 2131 3.3); later than any real instant."""

INFINITE_S = 0xFFFF_FFFF
"""The wire form of an infinite duration (RFC 2131 3.3)."""


def stream_id(member: MemberId, incarnation: int) -> StreamId:
    """The number of a stream: the member in the high 32 bits, its incarnation in the low 32."""
    return member << 32 | incarnation


def stream_member(stream: StreamId) -> MemberId:
    return stream >> 32


def stream_incarnation(stream: StreamId) -> int:
    return stream & 0xFFFF_FFFF


class BindingState(enum.IntEnum):
    """What a binding record says; its numeric order is the rank used by the merge.

    EXPIRED and PUSHED (draft 3.4.2) are derived, never stored: a BOUND record is EXPIRED when its
    expiry has passed, PUSHED when every current member has recorded it.
    """

    BOUND = 1
    RELEASED = 2
    UNAVAILABLE = 3


class Transaction(enum.IntEnum):
    """Last transaction (draft 4.3, 8.4.2.1; its numbers, EXPIRATION unused; from DECLINE on ours).

    CLAIM: bound on the word of a client in REBINDING that nobody had a record of. REPAIR: an
    operator has ended a conflict. PROBE: somebody else answered when the address was tried."""

    SELECTING = 0
    INIT_REBOOT = 1
    RENEWING = 2
    REBINDING = 3
    RELEASE = 4
    EXPIRATION = 5
    DECLINE = 6
    CONFLICT = 7
    CLAIM = 8
    REPAIR = 9
    PROBE = 10


class Binding(NamedTuple):
    """One row per address that has ever been bound. The field order is the store's column order.
    A tuple, because the engine makes one for each lease: a frozen dataclass takes four times as
    long to make.

    `client_key` identifies the client (RFC 2131 4.2): b"\\x01" + option 61, or
    b"\\x00" + hardware type + hardware address when the client sent no identifier.
    `expires_at` is the end of the lease as promised to the client; `potential_expires_at` what the
    peers are told (docs/protocol.md, "How long a lease may be"); `acknowledged_at` is local: the
    least potential expiry that every other member had recorded when the row was last changed.
    `options` are the results given to the client, as DHCP options on the wire.
    (`stream`, `seq`) name the change that made this content; 0, 0 before it is saved.
    """

    address: int
    client_key: bytes
    client_id: bytes | None
    hardware_type: int
    hardware_address: bytes
    hostname: str
    state: BindingState
    epoch: int
    grant: int
    expires_at: int
    potential_expires_at: int
    acknowledged_at: int
    transaction: Transaction
    transaction_at: int
    transaction_server: MemberId
    options: bytes
    stream: StreamId = 0
    seq: int = 0

    def is_live(self, now: int) -> bool:
        """Whether a client may be using the address: BOUND and not expired."""
        return self.state is BindingState.BOUND and self.expires_at > now

    @property
    def is_settled(self) -> bool:
        """Of a RELEASED row: whether every other member had recorded the grant that was given
        back. If not, one that was cut off may have given the same client a lease under a lower
        grant, which the release does not name and yet beats; so the address is kept until the
        expiry, which a merge makes the latest of all."""
        return self.acknowledged_at >= self.potential_expires_at

    @property
    def is_declined(self) -> bool:
        """Given back because somebody else answers there, as its client says: by a DECLINE that
        does not make the address UNAVAILABLE (`agent.dhcp.returns`)."""
        return self.state is BindingState.RELEASED and self.transaction is Transaction.DECLINE


class AddressState(enum.IntEnum):
    """This member's own view of addresses (draft 3.4.2); `agent.sync.ownership` has the moves.

    UNBINDABLE has no row. PROMISED is UNBINDABLE with a durable promise to `member`, which may own
    the address. TRANSFERRING is given away to `member`, which has not acknowledged it yet.
    """

    UNBINDABLE = 0
    POLLING = 1
    BINDABLE = 2
    TRANSFERRING = 3
    PROMISED = 4


class Nonce(NamedTuple):
    """Names a member's poll attempt; compared as a pair (docs/protocol.md, "The complete poll")."""

    incarnation: int
    counter: int


def first_epoch(generation: int) -> int:
    """Ownership gained under a generation has at least this epoch, so it is above whatever was
    owned under an earlier one, also where nobody is left who remembers that."""
    return max(0, generation - 1) << 32


def generation_of(epoch: int) -> int:
    """The least generation whose members can have come to this epoch."""
    return (epoch >> 32) + 1


def is_plausible_epoch(epoch: int, generation: int) -> bool:
    """Whether members of that generation can have come to this epoch: an address changes its owner
    less than 2**32 times in a generation."""
    return epoch < max(1, generation) << 32


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Addresses first..last (inclusive) in one state. Ranges in the store never overlap.

    `member` owns the range (POLLING, BINDABLE: this member; PROMISED: the poller;
    TRANSFERRING: the taker). In a BINDABLE range an address is free unless a binding of the same
    epoch exists for it: binding an address therefore leaves the range as it is.
    """

    first: int
    last: int
    state: AddressState
    epoch: int
    member: MemberId
    nonce: Nonce
    generation: int

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last <= 0xFFFF_FFFF:
            raise ValueError(f"address range {self.first}..{self.last} is not in order")
        if self.state is AddressState.UNBINDABLE:
            raise ValueError(f"{self.first}..{self.last}: what is UNBINDABLE has no row")


class Enquiry(NamedTuple):
    """What the engine wants to know of the other members about an address, and what they say.

    `answered_ms` 0: nothing yet. `free`: nobody who answered owns it, polls it, has promised it or
    knows a lease of it; `complete`: every member answered. `epoch`: the highest that anybody
    knew."""

    address: int
    asked_ms: int
    answered_ms: int = 0
    free: bool = False
    complete: bool = False
    epoch: int = 0


class Change(NamedTuple):
    """A row of the change log: `kind` is a `ChangeKind` or the number of another kind, `key` the
    address of a binding or a configuration row's key."""

    stream: StreamId
    seq: int
    kind: int
    key: int | str


@dataclass(frozen=True, slots=True)
class StreamHead:
    """What this store holds of one stream.

    Every change up to `applied` is covered by this store's rows. The change log is complete for
    numbers > `log_from`; a peer that lacks older ones pulls by address. Every other current
    member is known to have applied up to `acknowledged`.
    """

    stream: StreamId
    applied: int
    log_from: int
    acknowledged: int


# --- configuration, replicated ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Version:
    """Order of configuration rows: last writer wins, by Lamport `counter`, then `member`."""

    counter: int
    member: MemberId

    def __lt__(self, other: Version) -> bool:
        return (self.counter, self.member) < (other.counter, other.member)


@dataclass(frozen=True, slots=True)
class ConfigRecord:
    """A configuration row as it is stored and replicated; `deleted` keeps its key and version."""

    row: ConfigRow
    version: Version
    deleted: bool = False
    stream: StreamId = 0
    seq: int = 0


# --- the group -----------------------------------------------------------------------------


class MemberState(enum.IntEnum):
    """What the group has decided about a member. DOWN: partner-down (failover), out of the group's
    way until it comes back by itself; REMOVED: until an operator lets it join again. JOINING is
    never decided: it is what the MIB shows of an ACTIVE one that has not taken over everything."""

    ACTIVE = 1
    JOINING = 2
    REMOVED = 3
    DOWN = 4


class MemberRole(enum.IntEnum):
    SERVER = 1
    DATABASE = 2


@dataclass(frozen=True, slots=True)
class Member:
    """A server of the group, as committed under a generation.

    `engine_id` is its snmpEngineID: a peer's keys are localized to it (RFC 3414 2.6).
    `since` is the generation in which `state` was decided: a member that finds another one than it
    knows was out of the group in between. `clean`: it left by itself, with all told."""

    member: MemberId
    name: str
    address: int
    port: int
    engine_id: bytes
    state: MemberState = MemberState.ACTIVE
    role: MemberRole = MemberRole.SERVER
    weight: int = 1
    since: int = 0
    clean: bool = False

    @property
    def is_current(self) -> bool:
        """Whether it takes part: in ballots and polls, and in what counts as recorded by all."""
        return self.state not in (MemberState.REMOVED, MemberState.DOWN)


@dataclass(frozen=True, slots=True)
class Group:
    """The membership and the group parameters, all under one generation (docs/protocol.md, "How
    long a lease may be" and "Membership").

    `mul_s` is MAXIMUM-UNPUSHED-LEASE-TIME (failover's MCLT), `lease_s` the normal lease time.
    `safe_period_s`: after so long a silence a member is taken to be down without an operator
    (failover's safe period; 0: never). `past_mul_s`: a greater MUL that leases of the past may have
    been given under, 0 if none. `forced` counts the decisions that were made without a majority.
    `members` keeps those that were removed, so that no number is used again. `decision` is drawn
    anew for each value that is put to the vote or forced (0: founded): two decisions on two sides
    of a fork may else be the same in all else, and nobody would see that there are two."""

    name: str
    generation: int
    mul_s: int
    lease_s: int
    members: tuple[Member, ...]
    safe_period_s: int = 0
    past_mul_s: int = 0
    forced: int = 0
    decision: int = 0

    def member(self, member: MemberId) -> Member | None:
        return next((m for m in self.members if m.member == member), None)

    @property
    def current(self) -> tuple[Member, ...]:
        """The members that take part."""
        return tuple(m for m in self.members if m.is_current)

    @property
    def longest_mul_s(self) -> int:
        """The greatest MUL under which a lease that still runs may have been given."""
        return max(self.mul_s, self.past_mul_s)


class BallotNumber(NamedTuple):
    """Ballots are ordered by counter, then by the member that coordinates."""

    counter: int
    member: MemberId


@dataclass(frozen=True, slots=True)
class Ballot:
    """A member's durable state as acceptor for one generation (single-decree Paxos,
    docs/protocol.md, "Membership"): highest ballot promised, ballot and value accepted, if any."""

    generation: int
    promised: BallotNumber
    accepted: BallotNumber | None = None
    value: Group | None = None


@dataclass(frozen=True, slots=True)
class Quarantine:
    """What begins when this member learns that others are out of the group without having told
    everything: at `at`, under `generation`, with the greatest MUL that they may have used
    (agent/sync/expulsion.py)."""

    generation: int
    at: int
    mul_s: int


class Service(enum.IntEnum):
    """What the operator wants of a member, durably. PAUSED: it takes part but answers no client
    until resumed. SHUTDOWN, LEAVING: it hands over and goes DOWN, or out of the group."""

    RUNNING = 1
    PAUSED = 2
    SHUTDOWN = 3
    LEAVING = 4


@dataclass(frozen=True, slots=True)
class Local:
    """What a member knows of itself, kept in its store and never replicated.

    `configuration_version` and `ownership_version` grow with every change of the configuration
    tables and of the address ranges, so that a cache knows when it is stale. `serving_since`: when
    this store joined its group (0: it founded it). It took part in no complete poll before, so
    it cannot know who owns an address whose lease had ended by then.
    `unconfirmed`: started, and not yet told by every member that it remembers nothing newer of this
    store. `recovery`: why this member recovers, "" if it does not; after a recovery it asks for no
    addresses before `holds_until` (agent/sync/recover.py). `tries_until`: an operator has ended the
    wait for leases that no store knows of any more; up to then each address is tried on the wire
    before it is given away.
    `certain_until`: since then the others may have decided that this member is dead, and it has not
    heard a majority of them (agent/sync/certain.py); 0: it is certain that they have not.
    `unseen_s`: how long its clock stood still after `unseen_at`, while the machine was down, as far
    as nobody has confirmed: rows of before ended that much earlier than they say here. `vouched`:
    an operator answers for the next start that nobody has declared this member dead."""

    member: MemberId
    incarnation: int
    engine_id: bytes
    engine_boots: int
    poll_counter: int
    configuration_version: int
    ownership_version: int
    serving: bool
    serving_since: int
    service: Service = Service.RUNNING
    unconfirmed: bool = False
    recovery: str = ""
    holds_until: int = 0
    tries_until: int = 0
    certain_until: int = 0
    unseen_at: int = 0
    unseen_s: int = 0
    vouched: bool = False

    @property
    def mark(self) -> StoreMark:
        return StoreMark(self.incarnation, self.ownership_version)

    @property
    def answers_clients(self) -> bool:
        """`serving` is about the cluster's rules, `service` about the operator's wish."""
        return self.serving and self.service is Service.RUNNING


class EngineBeat(NamedTuple):
    """What a member's engine writes as long as it goes around: how often it has, and when it did
    last, by the boot-time clock."""

    beats: int
    boot_ms: int


class Trouble(enum.IntEnum):
    """The worst of what a member finds wrong with itself, as it tells the others; they go up in
    weight. Of a store that does not commit it cannot tell: it is silent then."""

    NONE = 1
    DISK_LOW = 2
    """Its store's file system has little room left."""
    ENGINE_SILENT = 3
    """Its engine answers no client: it hangs, or does not run."""


class Said(NamedTuple):
    """Who gave an order, and in what words: what the audit keeps in the order's transaction."""

    user: str
    words: str


class StoreMark(NamedTuple):
    """How far a member's store has come. Its peers remember it durably, so that a store that was
    set back is found out (agent/sync/recover.py). Marks of one member are ordered."""

    incarnation: int
    ownership_version: int


NO_MARK = StoreMark(0, 0)
"""Nothing is known of the store."""


@dataclass(frozen=True, slots=True)
class LostStore:
    """A member's stores up to `incarnation` are gone, as this store has known since `at`: lost or
    rolled back (RECOVER), or their member removed. What they did last was not told to anybody."""

    member: MemberId
    incarnation: int
    at: int
