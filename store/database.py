"""A store: opening it, making it, and its transactions.

A file is shared by the engine, the agent and people's tools. Each transaction takes a connection
from the pool of its process; writers wait for each other in `store/lock.py`, readers for nobody
(WAL). A store in memory is one connection and no file, cheap enough for a simulator to make
thousands; it can be copied as bytes and made again from them.

A transaction whose block raises, or in which any statement failed, is rolled back. The store itself
goes on: after a full disk has been mended the next transaction simply works.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import PoolProxiedConnection

from agent.clock import ClockAnchor
from agent.errors import StoreError
from agent.secrecy import withdraw_rights
from store.lock import NoWriter, WriterLock
from store.schema import REVISIONS, check_revision, migrate, store_revision
from store.session import Kept
from store.sqlite import DRIVER_ERRORS, file_engine, memory_engine, store_error
from store.tables import METADATA
from store.transaction import Transaction

log = logging.getLogger("dhcpsync.store")

if TYPE_CHECKING:
    from agent import port

MEMORY = "in memory"


class Store:
    """`agent.port.Store` over SQLite. Threads may use it; a transaction belongs to one thread."""

    transaction_type: type[Transaction] = Transaction

    def __init__(self, engine: Engine, place: str, lock: WriterLock | None) -> None:
        """Use `open_store`, `create_store` or `Store.in_memory`."""
        self._engine = engine
        self._place = place
        self._lock = lock
        self._memory = engine.raw_connection() if lock is None else None
        self._idle: list[tuple[PoolProxiedConnection, Any]] = []
        """Connections that no transaction uses, each with its cursor: to give one back to the pool
        and take it again costs as much as three statements."""
        self._busy = False
        self._kept: Kept = {}
        """Of a store in memory, which nobody else writes to: what was read since the last write."""

    # --- in memory

    @classmethod
    def in_memory(
        cls, *, member: int = 1, incarnation: int = 1, engine_id: bytes | None = None
    ) -> Self:
        """A new store without a file, for simulation and tests."""
        store = cls.from_snapshot(_empty_database())
        identity = engine_id or bytes.fromhex("80007ed905") + member.to_bytes(4, "big")
        with store.write() as tx:
            tx.add_local(member, incarnation, identity)
        return store

    @classmethod
    def from_snapshot(cls, snapshot: bytes) -> Self:
        """A store in memory with the content of `Store.snapshot()`."""
        store = cls(_memory_engine(), MEMORY, None)
        store.restore(snapshot)
        return store

    def restore(self, snapshot: bytes) -> None:
        """Put the content of a store in memory back to what it was. On a new connection: SQLite
        crashes where a statement prepared before a deserialization is run after it."""
        assert self._memory is not None
        assert not self._busy
        self._kept.clear()
        for _, cursor in self._idle:
            cursor.close()
        self._idle.clear()
        self._memory.close()
        self._memory = self._engine.raw_connection()
        driver = self._driver()
        driver.deserialize(snapshot)
        driver.execute("PRAGMA journal_mode = MEMORY")

    def snapshot(self) -> bytes:
        """The content of a store in memory, as it was after the last commit."""
        return self._driver().serialize()

    def _driver(self) -> sqlite3.Connection:
        assert self._memory is not None, "only a store in memory has snapshots"
        assert not self._busy, "a snapshot inside a transaction"
        driver = self._memory.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        return driver

    # --- transactions

    def read(self) -> _Block:
        return _Block(self, writing=False)

    def write(self) -> AbstractContextManager[Transaction]:
        return _Block(self, writing=True)

    def _begin(self, *, writing: bool) -> tuple[PoolProxiedConnection, Any]:
        """A connection on which a transaction has begun, with its cursor."""
        if writing and self._lock is not None:
            self._lock.acquire()
        try:
            held = self._take()
            try:
                self._execute(held[1], "BEGIN IMMEDIATE" if writing else "BEGIN")
            except BaseException:
                self._give_back(held)
                raise
        except BaseException:
            if writing and self._lock is not None:
                self._lock.release()
            raise
        return held

    def _end(
        self, held: tuple[PoolProxiedConnection, Any], *, good: bool, failed: bool, writing: bool
    ) -> None:
        """Commit what is `good`, roll back the rest."""
        cursor = held[1]
        try:
            if good:
                if failed:
                    raise StoreError(
                        f"store {self._place}: a statement failed, nothing was written"
                    )
                self._execute(cursor, "COMMIT")
        finally:
            # Some errors (a full disk) have rolled back already; then there is nothing to do.
            try:
                if cursor.connection.in_transaction:
                    self._execute(cursor, "ROLLBACK")
            finally:
                self._give_back(held)
                if writing and self._lock is not None:
                    self._lock.release()

    def _execute(self, cursor: Any, statement: str) -> None:
        try:
            cursor.execute(statement)
        except DRIVER_ERRORS as error:
            raise store_error(self._place, error) from error

    def _take(self) -> tuple[PoolProxiedConnection, Any]:
        if self._memory is not None:
            assert not self._busy, "a transaction inside another, on a store in memory"
            self._busy = True
        try:
            return self._idle.pop()
        except IndexError:
            pass
        with _errors_of(self._place):
            connection = self._memory or self._engine.raw_connection()
            return connection, connection.cursor()

    def _give_back(self, held: tuple[PoolProxiedConnection, Any]) -> None:
        self._busy = False
        self._idle.append(held)

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """A cursor outside of a transaction."""
        held = self._take()
        try:
            yield held[1]
        finally:
            self._give_back(held)

    # --- outside the port

    def begin_boot(self, at_least: int = 0) -> int:
        """Count a start of the SNMP engine, durably; returns snmpEngineBoots."""
        with self.write() as tx:
            return tx.begin_boot(at_least)

    def clock_anchor(self, measure: Callable[[], ClockAnchor]) -> ClockAnchor:
        """The anchor of the running boot: the one kept, or a new one after a reboot."""
        anchor = measure()
        with self.write() as tx:
            kept = tx.clock_anchor()
            if kept is not None and kept.boot_id == anchor.boot_id:
                return kept
            tx.set_clock_anchor(anchor)
        return anchor

    def close(self) -> None:
        """Give everything back; the last one to close a file folds its log into it."""
        while self._idle:
            connection, cursor = self._idle.pop()
            cursor.close()
            connection.close()
        if self._memory is None:
            self._engine.dispose()
        if self._lock is not None:
            self._lock.close()

    def __del__(self) -> None:
        """A store in memory ends with whoever has it; one on a disk is closed by name."""
        if self._memory is not None:
            self._memory.close()


class _Block:
    """One `with store.read()` or `with store.write()`: a class, for the engine enters one with
    every batch, and four nested generators cost more than its first statement."""

    __slots__ = ("_held", "_store", "_transaction", "_writing")

    def __init__(self, store: Store, *, writing: bool) -> None:
        self._store = store
        self._writing = writing

    def __enter__(self) -> Transaction:
        store = self._store
        self._held = store._begin(writing=self._writing)
        kept = store._kept if store._memory is not None else {}
        begun = store.transaction_type
        self._transaction = begun(self._held[1], store._place, kept, writing=self._writing)
        return self._transaction

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: object) -> None:
        store, transaction, good = self._store, self._transaction, kind is None
        transaction.end()
        committed = False
        try:
            store._end(self._held, good=good, failed=transaction.failed, writing=self._writing)
            committed = good
        finally:
            if not committed:
                store._kept.clear()  # it may be of what is not written after all


def open_store(path: Path | str) -> Store:
    """Open the store of a member, after migrating it if it is of an older revision.

    StoreError says what is wrong with the file, StoreVersionError that it is too new."""
    path = Path(path).absolute()
    if not path.is_file():
        raise StoreError(f"store {path}: does not exist; `dhcpsync init` makes a member's folder")
    _keep_secret(path)
    lock = WriterLock(path)
    store = Store(file_engine(path), str(path), lock)
    try:
        with store._cursor() as cursor, _errors_of(store._place):
            old = check_revision(store_revision(cursor, store._place), store._place)
        if old:
            with lock.held(), _errors_of(store._place):
                _migrate(store._engine)
        with store.read() as tx:
            tx.local()
    except BaseException:
        store.close()
        raise
    return store


def open_to_read(path: Path | str) -> Store:
    """Open the store of a member that may be running, for read transactions only. It is left as it
    is: StoreError if it is of an older revision, which the member's next start brings up to
    date."""
    path = Path(path).absolute()
    if not path.is_file():
        raise StoreError(f"store {path}: does not exist; name a member's folder on this machine")
    store = Store(file_engine(path, mode="ro"), str(path), NoWriter())
    try:
        with store._cursor() as cursor, _errors_of(store._place):
            revision = store_revision(cursor, store._place)
            if check_revision(revision, store._place):
                raise StoreError(
                    f"store {path}: has schema revision {revision} of an older dhcpsync; start its"
                    " member with this one, which brings it up to date"
                )
    except BaseException:
        store.close()
        raise
    return store


def _keep_secret(path: Path) -> None:
    """The keys of the group's users are in the store, and in its log: they are for its owner."""
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        try:
            words = withdraw_rights(file, 0o600) if file.exists() else ""
        except OSError as error:
            raise StoreError(
                f"store {file}: others may read or change it, and it holds the group's keys;"
                f" its mode cannot be mended ({error.strerror}): chmod 600 {file} as its owner"
            ) from error
        if words:
            log.warning("%s", words)


def create_store(path: Path | str, *, member: int, engine_id: bytes, incarnation: int = 1) -> Store:
    """Make the store of a new member and open it. It appears under its name only when complete."""
    path = Path(path).absolute()
    if path.exists():
        raise StoreError(f"store {path}: exists already; remove it to begin anew, or open it")
    unfinished = path.with_name(path.name + ".new")
    try:
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise StoreError(
            f"store {path}: cannot be made: {error.strerror}; its folder must exist and be writable"
        ) from error
    engine = file_engine(unfinished)
    try:
        with _errors_of(str(path)):
            _migrate(engine)
        with closing(Store(engine, str(path), WriterLock(path))) as store, store.write() as tx:
            tx.add_local(member, incarnation, engine_id)
        _publish(unfinished, path)
    except BaseException:
        engine.dispose()
        for suffix in ("", "-wal", "-shm"):
            unfinished.with_name(unfinished.name + suffix).unlink(missing_ok=True)
        raise
    return open_store(path)


def _publish(unfinished: Path, path: Path) -> None:
    """Give a finished file its name, durably; an existing file of that name is left alone."""
    try:
        os.link(unfinished, path)
        unfinished.unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StoreError(f"store {path}: cannot be made: {error.strerror}") from error


def _migrate(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            migrate(connection)
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise


@contextmanager
def _errors_of(place: str) -> Iterator[None]:
    """Errors of SQLAlchemy or the driver as StoreError."""
    try:
        yield
    except PoolTimeoutError as error:
        raise StoreError(f"store {place}: every connection is in use: {error}") from error
    except (DBAPIError, *DRIVER_ERRORS) as error:
        origin = error.orig if isinstance(error, DBAPIError) else error
        raise store_error(place, origin or error) from error


@cache
def _memory_engine() -> Engine:
    return memory_engine()


@cache
def _empty_database() -> bytes:
    """The newest schema without a row, made once per process."""
    with _memory_engine().connect() as connection:
        METADATA.create_all(connection)
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num TEXT NOT NULL)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (REVISIONS[-1],))
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        return driver.serialize()


if TYPE_CHECKING:

    def _is_the_port(store: Store) -> port.Store:
        return store
