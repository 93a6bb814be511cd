"""The lock that the writers of one member's store take: the engine, the agent and its threads.

SQLite's own lock would do for safety, but its busy handler polls with sleeps, and who sleeps loses
to who asks again at once. Here waiters sleep in the kernel, in two `flock` locks: a writer takes
the turn, then the store, then gives the turn back. Who waits for the store holds the turn, so the
process that has just let go of the store cannot take it again before him.

A lock goes with its process, however it dies; what a dead writer had not committed, SQLite rolls
back. Within a process a mutex does the same for threads, since `flock` belongs to the open file.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import StoreError


class WriterLock:
    """`<store>.turn` and `<store>.lock`, made with mode 0600 if they are missing."""

    def __init__(self, store: Path) -> None:
        self._mutex = threading.Lock()
        self._owner: int | None = None
        self._turn = _open(store.with_name(store.name + ".turn"))
        try:
            self._lock = _open(store.with_name(store.name + ".lock"))
        except StoreError:
            os.close(self._turn)
            raise

    def acquire(self) -> None:
        """Wait for the lock."""
        assert self._owner != threading.get_ident(), "a write transaction inside another"
        self._mutex.acquire()
        self._owner = threading.get_ident()
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            finally:
                fcntl.flock(self._turn, fcntl.LOCK_UN)
        except BaseException:
            self._owner = None
            self._mutex.release()
            raise

    def release(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_UN)
        finally:
            self._owner = None
            self._mutex.release()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock for the `with` block."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def close(self) -> None:
        os.close(self._turn)
        os.close(self._lock)


class NoWriter(WriterLock):
    """Of a store that is opened to be read: there is nothing to lock, and no file to make."""

    def __init__(self) -> None:
        self._owner = None

    def acquire(self) -> None:
        raise AssertionError("this store is open to be read")

    def close(self) -> None:
        pass


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"store: lock file {path} cannot be opened: {error.strerror}; "
            "the store's folder must be writable"
        ) from error
