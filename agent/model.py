"""The records that rules, store and messages share: plain values, no behaviour of their own.

Units and forms, everywhere in the project:

- an address is an `int` (host order); text forms exist only at the edges;
- an instant (`..._at`) is an `int` in whole seconds of the member's own clock (agent/clock.py),
  a duration (`..._s`) an `int` in seconds; `NEVER` stands for an infinite lease;
- a member is known by its `MemberId` (1..2**31-1), assigned once and never used again;
- a stream is one member's store in one incarnation: `stream_id(member, incarnation)`.

Source of the terms: draft-ietf-dhc-interserver-02 and docs/architecture.md.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

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
    """Last transaction (draft 4.3, 8.4.2.1; numbers of the draft, the last two are ours)."""

    SELECTING = 0
    INIT_REBOOT = 1
    RENEWING = 2
    REBINDING = 3
    RELEASE = 4
    EXPIRATION = 5
    DECLINE = 6
    CONFLICT = 7


@dataclass(frozen=True, slots=True)
class Binding:
    """One row per address that has ever been bound. The field order is the store's column order.

    `client_key` identifies the client (RFC 2131 4.2): b"\\x01" + option 61, or
    b"\\x00" + hardware type + hardware address when the client sent no identifier.
    `expires_at` is the end of the lease as promised to the client; `potential_expires_at` what the
    peers are told (protocol.md 3); `acknowledged_at` is local: the least potential expiry that
    every other member had recorded when the row was last changed.
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


class AddressState(enum.IntEnum):
    """This member's own view of addresses that are not plainly UNBINDABLE (draft 3.4.2).

    PROMISED is UNBINDABLE with a durable promise to `member`, which may own the address.
    """

    POLLING = 1
    BINDABLE = 2
    TRANSFERRING = 3
    PROMISED = 4


class Nonce(NamedTuple):
    """Names one poll attempt of a member; compared as a pair (protocol.md 4)."""

    incarnation: int
    counter: int


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


class ChangeKind(enum.IntEnum):
    """What a row of the change log is about."""

    BINDING = 1
    SUBNET = 2
    POOL = 3
    OPTION = 4
    RESERVATION = 5


class Change(NamedTuple):
    """A row of the change log: `key` is the address of a binding, or a configuration row's key."""

    stream: StreamId
    seq: int
    kind: ChangeKind
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
class Subnet:
    """A network that the group serves. `lease_s`: 0 means the group's lease time.

    `interface` limits the subnet to directly attached clients of that interface ("" = any whose
    own address lies in the subnet)."""

    network: int
    prefix_length: int
    lease_s: int = 0
    interface: str = ""
    name: str = ""
    active: bool = True

    @property
    def first(self) -> int:
        return self.network

    @property
    def last(self) -> int:
        return self.network | (0xFFFF_FFFF >> self.prefix_length)

    @property
    def mask(self) -> int:
        return 0xFFFF_FFFF ^ (0xFFFF_FFFF >> self.prefix_length)

    def __contains__(self, address: int) -> bool:
        return self.first <= address <= self.last


@dataclass(frozen=True, slots=True)
class Pool:
    """Addresses first..last that the group may give to any client of the enclosing subnet."""

    first: int
    last: int
    name: str = ""
    active: bool = True

    def __contains__(self, address: int) -> bool:
        return self.first <= address <= self.last


@dataclass(frozen=True, slots=True)
class Option:
    """A DHCP option by scope: 0.0.0.0/0 is global, a subnet's prefix that subnet, an
    address/32 the reservation of that address. The longest prefix wins."""

    network: int
    prefix_length: int
    code: int
    data: bytes
    active: bool = True


@dataclass(frozen=True, slots=True)
class Reservation:
    """`address` is kept for one client, named by `client_key` as in `Binding`."""

    address: int
    client_key: bytes
    hostname: str = ""
    active: bool = True


ConfigRow = Subnet | Pool | Option | Reservation


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
    ACTIVE = 1
    JOINING = 2
    REMOVED = 3


class MemberRole(enum.IntEnum):
    SERVER = 1
    DATABASE = 2


@dataclass(frozen=True, slots=True)
class Member:
    """A server of the group, as committed under a generation.

    `engine_id` is its snmpEngineID: a peer's keys are localized to it (RFC 3414 2.6)."""

    member: MemberId
    name: str
    address: int
    port: int
    engine_id: bytes
    state: MemberState = MemberState.ACTIVE
    role: MemberRole = MemberRole.SERVER
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Group:
    """The membership and the group parameters, all under one generation (protocol.md 3, 8).

    `mul_s` is MAXIMUM-UNPUSHED-LEASE-TIME, `lease_s` the normal lease time."""

    name: str
    generation: int
    mul_s: int
    lease_s: int
    members: tuple[Member, ...]

    def member(self, member: MemberId) -> Member | None:
        return next((m for m in self.members if m.member == member), None)


class BallotNumber(NamedTuple):
    """Ballots are ordered by counter, then by the member that coordinates."""

    counter: int
    member: MemberId


@dataclass(frozen=True, slots=True)
class Ballot:
    """A member's durable state as acceptor for one generation (single-decree Paxos,
    protocol.md 8): highest ballot promised, and the ballot and value accepted, if any."""

    generation: int
    promised: BallotNumber
    accepted: BallotNumber | None = None
    value: Group | None = None


@dataclass(frozen=True, slots=True)
class Local:
    """What a member knows of itself, kept in its store and never replicated.

    `configuration_version` and `ownership_version` grow with every change of the configuration
    tables and of the address ranges, so that a cache knows when it is stale. `serving_since`: when
    this store joined its group (0: it founded it). It took part in no complete poll before, so
    it cannot know who owns an address whose lease had ended by then."""

    member: MemberId
    incarnation: int
    engine_id: bytes
    engine_boots: int
    poll_counter: int
    configuration_version: int
    ownership_version: int
    serving: bool
    serving_since: int


def format_address(address: int) -> str:
    """Dotted decimal."""
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def parse_address(text: str) -> int:
    """Dotted decimal to int; ValueError names the text."""
    parts = text.strip().split(".")
    if len(parts) != 4 or not all(p.isascii() and p.isdigit() and int(p) < 256 for p in parts):
        raise ValueError(f"{text!r} is no IPv4 address, expected a.b.c.d")
    a, b, c, d = (int(p) for p in parts)
    return a << 24 | b << 16 | c << 8 | d


def configuration_key(row: ConfigRow) -> tuple[ChangeKind, str]:
    """The natural key of a configuration row, as the change log and the store name it."""
    if isinstance(row, Subnet):
        return ChangeKind.SUBNET, f"{format_address(row.network)}/{row.prefix_length}"
    if isinstance(row, Pool):
        return ChangeKind.POOL, f"{format_address(row.first)}-{format_address(row.last)}"
    if isinstance(row, Option):
        scope = f"{format_address(row.network)}/{row.prefix_length}"
        return ChangeKind.OPTION, f"{scope}:{row.code}"
    return ChangeKind.RESERVATION, format_address(row.address)
