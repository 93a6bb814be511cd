"""The disk of a simulated member: the production store on in-memory SQLite, under faults.

What the rules write is recorded verb by verb in a `Journal`, so that the judges can follow a
store without reading it whole after every commit; `Disk.content` reads what really lies there.

A commit of the production store is durable when it returns. Faults take that away: a disk that is
full or torn refuses the commit (nothing of it is written), one that lies loses at the next crash
everything since `lie` was called (the unsynced layer), one that is slow makes everything that
follows from a commit leave later. Memory itself never survives a crash.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from agent.errors import StoreError
from agent.model import (
    AddressRange,
    Ballot,
    Binding,
    ChangeKind,
    ConfigRecord,
    ConfigRow,
    Group,
    MemberId,
    Pool,
    StreamId,
)
from store import Store
from store.lock import WriterLock
from store.transaction import Transaction


class CrashError(Exception):
    """The machine stops in the middle of a commit."""


@dataclass(slots=True)
class Journal:
    """What one transaction has written, in order. `others` names the verbs that have no list."""

    bindings: list[Binding] = field(default_factory=list)
    merged: list[Binding] = field(default_factory=list)
    moves: list[tuple[list[AddressRange], list[AddressRange]]] = field(default_factory=list)
    """Ranges removed and added, step by step."""
    streams: list[tuple[StreamId, int]] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    ballots: list[Ballot] = field(default_factory=list)
    serving: bool | None = None
    others: list[str] = field(default_factory=list)

    @property
    def matters(self) -> bool:
        """Whether anything but counters was written."""
        return bool(
            self.bindings or self.merged or self.moves or self.streams
            or self.groups or self.ballots or self.others or self.serving is not None
        )  # fmt: skip


class RecordedTransaction(Transaction):
    """The production transaction; each verb that writes is noted in `journal`."""

    journal: Journal

    def save_bindings(self, bindings: Sequence[Binding]) -> int:
        self.journal.bindings += bindings
        return super().save_bindings(bindings)

    def put_bindings(self, bindings: Sequence[Binding]) -> None:
        self.journal.merged += bindings
        super().put_bindings(bindings)

    def replace_address_ranges(
        self, removed: Iterable[AddressRange], added: Iterable[AddressRange]
    ) -> None:
        removed, added = list(removed), list(added)
        if removed or added:
            self.journal.moves.append((removed, added))
        super().replace_address_ranges(removed, added)

    def advance_stream(
        self, stream: StreamId, applied: int, *, log_from: int | None = None
    ) -> None:
        self.journal.streams.append((stream, applied))
        super().advance_stream(stream, applied, log_from=log_from)

    def put_group(self, group: Group) -> None:
        self.journal.groups.append(group)
        super().put_group(group)

    def put_ballot(self, ballot: Ballot) -> None:
        self.journal.ballots.append(ballot)
        super().put_ballot(ballot)

    def set_serving(self, serving: bool, since: int) -> None:
        self.journal.serving = serving
        super().set_serving(serving, since)

    def begin_incarnation(self, incarnation: int) -> None:
        self.journal.others.append("begin_incarnation")
        super().begin_incarnation(incarnation)

    def save_configuration(self, rows: Sequence[tuple[ConfigRow, bool]]) -> None:
        self.journal.others.append("save_configuration")
        super().save_configuration(rows)

    def put_configuration(self, records: Sequence[ConfigRecord]) -> None:
        self.journal.others.append("put_configuration")
        super().put_configuration(records)

    def set_silent_members(
        self, members: Collection[MemberId], idle: Collection[MemberId] = ()
    ) -> None:
        self.journal.others.append("set_silent_members")
        super().set_silent_members(members, idle)


@dataclass(frozen=True, slots=True)
class Content:
    """What lies on a disk, as far as the judges look."""

    bindings: dict[int, Binding]
    ranges: list[AddressRange]
    group: Group | None
    serving: bool
    incarnation: int
    applied: dict[StreamId, int]
    own_stream: StreamId
    own_acknowledged: int
    pools: frozenset[Pool] = frozenset()


class Disk(Store):
    """`commits` counts the transactions that wrote; `journals` are those of them that nobody has
    taken yet to judge them, in order."""

    transaction_type = RecordedTransaction

    full = False
    torn = False
    slow_ms = 0
    writing = False
    commits = 0
    _synced: bytes | None = None

    def __init__(self, engine: Engine, place: str, lock: WriterLock | None) -> None:
        super().__init__(engine, place, lock)
        self.journals: list[Journal] = []

    def take_journals(self) -> list[Journal]:
        journals, self.journals = self.journals, []
        return journals

    def write(self) -> AbstractContextManager[Transaction]:
        return _DiskScope(self, super().write())

    def lie(self) -> None:
        """From now on nothing reaches the platter, whatever fsync says."""
        if self._synced is None:
            self._synced = self.snapshot()

    @property
    def unsynced(self) -> bytes | None:
        """What a crash would leave of a disk that lies; None: everything."""
        return self._synced

    def be_honest(self) -> None:
        self._synced = None

    def crash(self) -> bool:
        """The power is gone: what was not synced is lost. Whether anything was."""
        self.torn = False
        if self._synced is None:
            return False
        self.restore(self._synced)
        self._synced = None
        return True

    def lose_row(self, address: int) -> None:
        """A row is gone, as bad memory or a bug would have it; no transaction says so."""
        self._driver().execute("DELETE FROM binding WHERE address = ?", (address,))
        self._driver().commit()

    def content(self) -> Content:
        with self.read() as tx:
            bindings: dict[int, Binding] = {}
            first = 0
            while page := tx.bindings_in_range(first, 0xFFFF_FFFF, 1000):
                bindings.update((row.address, row) for row in page)
                first = page[-1].address + 1
            local, heads = tx.local(), tx.streams()
            own = local.member << 32 | local.incarnation
            return Content(
                bindings,
                tx.address_ranges(0, 0xFFFF_FFFF),
                tx.group(),
                local.serving,
                local.incarnation,
                {stream: head.applied for stream, head in heads.items() if head.applied},
                own,
                heads[own].acknowledged if own in heads else 0,
                frozenset(
                    record.row
                    for record in tx.configuration(ChangeKind.POOL)
                    if isinstance(record.row, Pool) and not record.deleted
                ),
            )


class _DiskScope(AbstractContextManager[Transaction]):
    """A write transaction under the disk's faults, with its journal."""

    __slots__ = ("_disk", "_inner", "_journal")

    def __init__(self, disk: Disk, inner: AbstractContextManager[Transaction]) -> None:
        self._disk = disk
        self._inner = inner
        self._journal = Journal()

    def __enter__(self) -> Transaction:
        transaction = self._inner.__enter__()
        assert isinstance(transaction, RecordedTransaction)
        transaction.journal = self._journal
        self._disk.writing = True
        return transaction

    def __exit__(self, *raised: Any) -> None:
        disk = self._disk
        disk.writing = False
        fault: Exception | None = None
        if raised[0] is None and disk.full:
            fault = StoreError("store in memory: the disk is full (simulated)")
        elif raised[0] is None and disk.torn:
            fault = CrashError()
        if fault is not None:
            self._inner.__exit__(type(fault), fault, None)
            raise fault
        self._inner.__exit__(*raised)
        if raised[0] is None:
            disk.journals.append(self._journal)
            disk.commits += 1
