"""The store as the rules see it: one transaction, small verbs, plain records.

`store.transaction` implements this over SQLAlchemy Core; simulator and tests use the same code on
in-memory SQLite. Every method may raise `StoreError`; then the whole transaction is void.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from agent.events.event import Event, EventCursor, EventKind, EventPage, ExpirySweep
from agent.model import (
    AddressRange,
    AddressState,
    Ballot,
    Binding,
    Change,
    ConfigRecord,
    ConfigRow,
    EngineBeat,
    Enquiry,
    Group,
    Local,
    LostStore,
    MemberId,
    Quarantine,
    Service,
    StoreMark,
    StreamHead,
    StreamId,
)


class LeasedRuns(NamedTuple):
    """(first address of the run, addresses of it in use), up to address `reached`."""

    runs: list[tuple[int, int]]
    reached: int


class StoreTransaction(Protocol):
    """One transaction: all of it becomes durable at its end, or nothing."""

    # --- this member
    def local(self) -> Local: ...
    def set_serving(self, serving: bool, since: int) -> None: ...
    def set_service(self, service: Service) -> None: ...
    def next_poll_counter(self) -> int: ...
    def begin_incarnation(self, incarnation: int) -> None: ...
    def advance_clock(self, ms: int) -> None:
        """The member's clock moves on: its processes see it when they read the anchor anew."""
        ...

    def set_unconfirmed(self, unconfirmed: bool) -> None: ...
    def set_certain(self, until: int) -> None:
        """Since when this member may have been declared dead (`Local.certain_until`); 0: it has
        not."""
        ...

    def set_unseen(self, before: int, seconds: int) -> None:
        """How long the member's clock has stood still (`Local.unseen_s`)."""
        ...

    def set_vouched(self, vouched: bool) -> None: ...

    def set_recovery(self, reason: str, holds_until: int, tries_until: int) -> None:
        """Why this member recovers ("": it does not), and until when it asks for no addresses."""
        ...

    # --- bindings
    def bindings_by_address(self, addresses: Collection[int]) -> dict[int, Binding]: ...
    def bindings_by_client(self, client_keys: Collection[bytes]) -> dict[bytes, list[Binding]]: ...
    def bindings_in_range(self, first: int, last: int, limit: int) -> list[Binding]:
        """Bindings with first <= address <= last in order of address, at most `limit`."""
        ...

    def bound_addresses(self, first: int, last: int, epoch: int) -> list[int]:
        """Addresses in first..last that have a binding of `epoch` or later, in order: those of a
        BINDABLE range that are free no more."""
        ...

    def bound_counts(self, first: int, last: int, epoch: int) -> list[tuple[int, int]]:
        """How many of first..last have a binding of `epoch` or later: (first address of the run,
        count) of every aligned run of COUNT_RUN addresses that has any, in order."""
        ...

    def leased_counts(self, first: int, last: int, now: int, limit: int) -> LeasedRuns:
        """How many of first..last a client holds at `now`, or nobody may have, by runs as in
        `bound_counts`; every run with a binding is named. At most `limit` bindings are read (more
        than COUNT_RUN), and whole runs told."""
        ...

    def save_bindings(self, bindings: Sequence[Binding]) -> int:
        """Write this member's own changes: each takes the next number of this member's stream
        and a row of the change log. Returns the number that the first one took."""
        ...

    def put_bindings(self, bindings: Sequence[Binding]) -> None:
        """Write merged rows under the (stream, seq) that they carry. No change log: see
        `log_changes`."""
        ...

    # --- address ranges (this member's own view; never overlapping)
    def address_ranges(self, first: int, last: int) -> list[AddressRange]:
        """Ranges that intersect first..last, whole, in order."""
        ...

    def address_ranges_in(self, state: AddressState) -> list[AddressRange]:
        """Every range in that state, in order."""
        ...

    def replace_address_ranges(
        self, removed: Iterable[AddressRange], added: Iterable[AddressRange]
    ) -> None: ...

    # --- streams and the change log
    def streams(self) -> dict[StreamId, StreamHead]: ...
    def advance_stream(
        self, stream: StreamId, applied: int, *, log_from: int | None = None
    ) -> None:
        """Record that every change of `stream` up to `applied` is covered; never goes back."""
        ...

    def set_acknowledged(self, acknowledged: dict[StreamId, int]) -> None: ...
    def log_changes(self, changes: Sequence[Change]) -> None: ...
    def changes(self, stream: StreamId, after: int, limit: int) -> list[Change]: ...
    def next_change(self, stream: StreamId, after: int) -> Change | None:
        """The first change of the log behind (stream, after) in (stream, seq) order, of any
        stream: what GETNEXT needs."""
        ...

    def trim_changes(self, stream: StreamId, through: int) -> None:
        """Forget the log through that number and raise the stream's `log_from` to it."""
        ...

    # --- configuration
    def configuration(self, kind: int) -> list[ConfigRecord]:
        """Every record of a kind in key order, deleted ones included."""
        ...

    def configuration_record(self, kind: int, key: str) -> ConfigRecord | None: ...
    def save_configuration(self, rows: Sequence[tuple[ConfigRow, bool]]) -> None:
        """Write this member's own changes as (row, deleted): next version, next stream number."""
        ...

    def put_configuration(self, records: Sequence[ConfigRecord]) -> None: ...
    def replaced_configuration(self) -> Sequence[tuple[ConfigRecord | None, ConfigRecord]]:
        """What this transaction has written of the configuration, in order: each record as it was,
        and as it is."""
        ...

    # --- the group
    def group(self) -> Group | None: ...
    def put_group(self, group: Group) -> None:
        """Replace membership and parameters, and forget every acknowledgement: what a new
        member has recorded is not known yet."""
        ...

    def silent_members(self) -> frozenset[MemberId]: ...
    def idle_members(self) -> frozenset[MemberId]:
        """Members that serve no clients now: the silent ones, and those that are heard while they
        recover or join."""
        ...

    def set_silent_members(
        self, members: Collection[MemberId], idle: Collection[MemberId] = ()
    ) -> None:
        """The members of which nothing is heard, and others that do not serve, as the agent knows
        it; the engine asks."""
        ...

    # --- what the engine asks the other members, by way of the agent
    def enquiry(self, address: int) -> Enquiry | None: ...
    def open_enquiries(self, limit: int) -> list[Enquiry]:
        """Those without an answer, the oldest first."""
        ...

    def put_enquiries(self, enquiries: Sequence[Enquiry]) -> None: ...
    def count_enquiries(self) -> int: ...
    def forget_enquiries(self, asked_before_ms: int) -> None: ...

    def ballot(self, generation: int) -> Ballot | None: ...
    def put_ballot(self, ballot: Ballot) -> None: ...
    def quarantines(self) -> list[Quarantine]:
        """In order of `at`."""
        ...

    def put_quarantine(self, quarantine: Quarantine) -> None:
        """Replaces one of the same generation."""
        ...

    def delete_quarantine(self, generation: int) -> None: ...

    def lost_stores(self) -> dict[MemberId, LostStore]: ...
    def put_lost_store(self, lost: LostStore) -> None:
        """Replace what is known of that member's lost stores."""
        ...

    def remembered_stores(self) -> dict[MemberId, StoreMark]:
        """How far the other members' stores are known to have come."""
        ...

    def remember_store(self, member: MemberId, mark: StoreMark) -> None: ...

    # --- counters that one process keeps and the other shows
    def add_counters(self, increments: dict[str, int]) -> None: ...
    def counters(self) -> dict[str, int]: ...

    def beat(self, boot_ms: int) -> None:
        """The engine goes around: one more, at that instant of the boot-time clock."""
        ...

    def engine_beat(self) -> EngineBeat | None:
        """The last one; None: there was none yet."""
        ...

    def expiry_sweep(self) -> ExpirySweep | None:
        """None: no lease's end was ever told."""
        ...

    def put_expiry_sweep(self, sweep: ExpirySweep) -> None: ...
    def ended_bindings(self, sweep: ExpirySweep, limit: int) -> tuple[list[Binding], int | None]:
        """Of the next `limit` bindings of the sweep, those that this member gave or extended last
        and that ended within it; and the last address of them all. None: nothing is behind it."""
        ...

    def audit(self, user: str, action: str, detail: str, now: int) -> None:
        """Append to the hash chain of who set what."""
        ...

    # --- events, of this member alone
    def put_events(self, events: Sequence[Event]) -> None:
        """Append them in order; the oldest are forgotten past EVENTS_KEPT_MAX."""
        ...

    def last_event(self) -> int:
        """The number of the latest; 0: there was none yet."""
        ...

    def events_after(self, number: int, limit: int) -> EventPage:
        """What is kept behind that number, in order, at most `limit`."""
        ...

    def event_cursor(self, name: str) -> EventCursor | None: ...
    def put_event_cursor(self, cursor: EventCursor) -> None: ...
    def forget_event_cursor(self, name: str) -> None: ...
    def wanted_events(self) -> frozenset[EventKind]:
        """What any consumer asks for beside what is written anyway."""
        ...


class Store(Protocol):
    """A store opened by one process. Each context manager yields one transaction, which commits
    at the end of the `with` block and is rolled back if the block raises."""

    def read(self) -> AbstractContextManager[StoreTransaction]:
        """A consistent view; writing through it is our own bug."""
        ...

    def write(self) -> AbstractContextManager[StoreTransaction]:
        """Exclusive among all processes of this member; durable when the block has ended."""
        ...
