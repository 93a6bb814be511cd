"""Whether the store in a member's folder is the one that ran there last (docs/protocol.md, "A store
that is a copy").

The file `standing` lies beside the store and is no part of it. At each start of the member a new
token is written first there and then into the store, so a store that was put in its place since (a
backup, an older copy) bears another token. While the member runs, the file also notes how far the
store has come, so a copy made in this very life is seen to be behind. A file that is missing or
unreadable says nothing good of a store that bears a token.

Its second page notes the clocks, for the next boot (agent/sync/clocks.py), and so when the member
ran last. The file `standing.group` has the group as the running store knew it last: a store that
is a copy recovers among those members (agent/sync/start.py).

What this cannot see: a folder, or a machine, that was set back as a whole. The peers see that
(agent/sync/recover.py), so a member waits for them when it starts.

The member starts when the first of its processes does: each holds a shared lock of the file while
it runs, and whoever gets the lock alone first is the first. What starts again beside others (an
engine after a crash) judges nothing. Who has the lock alone has the folder's too, for which the
others wait: so they find somebody who has started, not one that died on the way, or an operator's
order to a member that does not run (tools/offline.py).
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from agent.clock import ClockAnchor, boot_id, measure_anchor, wall_ms
from agent.errors import StoreError
from agent.member_file import GROUP_NAME
from agent.model import Group, Local, stream_id
from agent.sync.clocks import NO_CLOCK_NOTE, ClockNote
from agent.sync.expulsion import come_back
from agent.sync.start import LastLife, begin_restored, begin_start
from store import Store
from store.group import group_from_json, group_to_json
from store.transaction import Transaction

FILE_NAME = "standing"
_OCTETS = 512
"""One sector: it is on the disk as a whole, or not at all."""
_CLOCK_AT = 4096
_CLOCK_OCTETS = 4096
"""The clocks have a page of their own, so that tearing it harms nothing else."""

log = logging.getLogger("dhcpsync")


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the store had come: each number only grows within an incarnation."""

    incarnation: int
    applied: int
    ownership_version: int


@dataclass(frozen=True, slots=True)
class ClockMark:
    """The member's clock and the wall clock at one moment of the boot `boot_id`, and the clocks of
    the peers minus the member's, by member. `boot_ms`: the boot-time clock then, 0 where an
    earlier release has noted none; `unseen_s`: as in `Local`."""

    boot_id: str
    clock_ms: int
    wall_ms: int
    offsets: dict[str, int]
    boot_ms: int = 0
    unseen_s: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """The file. The store bears `token`, or `next_token` if the start that wrote it went so far."""

    token: str
    next_token: str
    incarnation: int
    applied: int
    ownership_version: int

    @property
    def mark(self) -> Mark:
        return Mark(self.incarnation, self.applied, self.ownership_version)


def _record(token: str, next_token: str, mark: Mark) -> Record:
    return Record(token, next_token, mark.incarnation, mark.applied, mark.ownership_version)


def mark_of(tx: Transaction) -> Mark:
    local = tx.local()
    head = tx.streams().get(stream_id(local.member, local.incarnation))
    return Mark(local.incarnation, head.applied if head else 0, local.ownership_version)


def judge(record: Record | None, token: str, local: Local, mark: Mark) -> str:
    """Why the store is not the one that ran here last; "" if it may well be."""
    if not token:
        return ""  # a new store, which has promised nothing
    if record is None:
        return "what the last start wrote beside the store is gone: the store may be a copy"
    if token not in (record.token, record.next_token):
        return "the store is not the one that ran here last: it was restored or exchanged"
    noted = record.mark
    if (local.incarnation, mark.applied) < (
        noted.incarnation,
        noted.applied,
    ) or mark.ownership_version < noted.ownership_version:
        return "the store is older than when it ran here last: it was rolled back to a copy"
    return ""


class Standing:
    """The file, open and locked for as long as this process runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = _open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._file = _open(folder / FILE_NAME, os.O_RDWR | os.O_CREAT)
        except StoreError:
            os.close(self._folder)
            raise
        self._record: Record | None = None
        self._group_path = folder / GROUP_NAME
        self._group: Group | None = None

    def enter(self, store: Store, now: int) -> bool:
        """Join the running member, or start it: then the store is judged and, if it is not to be
        trusted, RECOVER begins, before anybody is served. Returns whether this was the start."""
        with self._alone() as is_alone:
            if is_alone:
                self._start(store, now)
                fcntl.flock(self._file, fcntl.LOCK_SH)
            else:
                self._record = self._read()
        return is_alone

    @contextmanager
    def stopped(self) -> Iterator[bool]:
        """Whether no process of the member runs; if so, none starts in the block."""
        with self._alone() as is_alone:
            yield is_alone
            fcntl.flock(self._file, fcntl.LOCK_UN)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether this one has the file alone; otherwise it shares it. In the block nobody else
        asks that."""
        fcntl.flock(self._folder, fcntl.LOCK_EX)
        try:
            yield self._lock()
        finally:
            fcntl.flock(self._folder, fcntl.LOCK_UN)

    def _lock(self) -> bool:
        for _ in range(2):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # Who has it alone without the folder is one that dies: nobody may be left then.
                fcntl.flock(self._file, fcntl.LOCK_SH)
            else:
                return True
        return False

    def _start(self, store: Store, now: int) -> None:
        before = self._read()
        with store.read() as tx:
            token, mark = tx.token(), mark_of(tx)
            why = judge(before, token, tx.local(), mark)
        following = secrets.token_hex(8)
        if why:
            # What was expected stays expected: a crash before the commit must not make it good.
            expected = before or Record("", "", 0, 0, 0)
            self._write(replace(expected, next_token=following), durably=True)
        else:
            self._write(_record(token, following, mark), durably=True)
        with store.write() as tx:
            last = self._last_life(before, now)
            if why and tx.group() is not None:
                begin_restored(tx, now, why, last)
                log.error("%s; it begins RECOVER and serves nobody until that is done", why)
            else:
                begin_start(tx, now, last)
            come_back(tx)
            tx.set_token(following)
            mark = mark_of(tx)
        self._write(_record(following, following, mark), durably=True)

    def _last_life(self, before: Record | None, now: int) -> LastLife:
        noted = self.clock_mark()
        return LastLife(
            self._read_group(),
            before.incarnation if before else 0,
            noted.clock_ms // 1000 if noted else 0,
            (noted.unseen_s if noted else 0)
            + -(-self.clock_note(now * 1000).unconfirmed_ms // 1000),
        )

    def note(self, mark: Mark) -> None:
        """Note how far the store has come. Not synced: an older note only proves less."""
        known = self._record
        if known is not None and known.mark != mark:
            self._write(_record(known.token, known.next_token, mark), durably=False)

    def note_group(self, group: Group, recovering: bool) -> None:
        """Note the group as the store has it; one that recovers may have an earlier one."""
        known = self._group or self._read_group()
        if group == known or (recovering and known and known.generation > group.generation):
            self._group = known
            return
        following = self._group_path.with_suffix(".new")
        try:
            with following.open("w", encoding="utf-8") as file:
                file.write(group_to_json(group))
                file.flush()
                os.fsync(file.fileno())
            following.replace(self._group_path)
        except OSError as error:
            raise StoreError(f"{GROUP_NAME}: cannot be written: {error.strerror}") from error
        self._group = group

    def _read_group(self) -> Group | None:
        try:
            return group_from_json(self._group_path.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, IndexError):
            return None  # it says nothing: the members are asked

    def note_clock(self, mark: ClockMark) -> None:
        """Note the clocks: after a reboot the member's goes on from there."""
        text = json.dumps(asdict(mark)).encode()
        try:
            os.pwrite(self._file, text.ljust(_CLOCK_OCTETS), _CLOCK_AT)
        except OSError as error:
            raise StoreError(f"{FILE_NAME}: cannot be written: {error.strerror}") from error

    def clock_mark(self) -> ClockMark | None:
        """The clocks as noted last, by this boot or an earlier one."""
        try:
            values = json.loads(os.pread(self._file, _CLOCK_OCTETS, _CLOCK_AT).decode())
            return ClockMark(**values)
        except (ValueError, TypeError):
            return None

    def measure_anchor(self) -> ClockAnchor:
        """For a store that has none of this boot: the machine has rebooted, or the store is a copy
        that was made before."""
        mark = self.clock_mark()
        if mark is not None and mark.boot_id == boot_id() and mark.boot_ms:
            return ClockAnchor(mark.boot_id, mark.clock_ms - mark.boot_ms)
        return measure_anchor(mark.clock_ms if mark else 0)

    def clock_note(self, clock_ms: int) -> ClockNote:
        """What the machine's being down leaves to be confirmed by peers."""
        mark = self.clock_mark()
        if mark is None or mark.boot_id == boot_id():
            return NO_CLOCK_NOTE
        claimed_ms = (wall_ms() - mark.wall_ms) - (clock_ms - mark.clock_ms)
        before = {int(member): offset for member, offset in mark.offsets.items()}
        return ClockNote(max(0, claimed_ms), before)

    def _read(self) -> Record | None:
        try:
            values = json.loads(os.pread(self._file, _OCTETS, 0).decode())
            return Record(**values)
        except (ValueError, TypeError):
            return None

    def _write(self, record: Record, *, durably: bool) -> None:
        text = json.dumps(asdict(record)).encode()
        try:
            os.pwrite(self._file, text.ljust(_OCTETS), 0)
            if durably:
                os.fsync(self._file)
        except OSError as error:
            raise StoreError(f"{FILE_NAME}: cannot be written: {error.strerror}") from error
        self._record = record

    def close(self) -> None:
        os.close(self._file)
        os.close(self._folder)


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be opened: {error.strerror}; the member's folder must be writable"
        ) from error
