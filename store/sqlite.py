"""What is special to SQLite: the one file that knows the dialect.

Statements are built in SQLAlchemy Core and compiled once, to text with positional parameters; they
then run on the DBAPI cursor of a connection from SQLAlchemy's pool. That is Core's own advice for
a hot path: `Connection.exec_driver_sql` costs 34 us a SELECT on the machine where this was written,
the cursor 2.5 us, and the engine has about 40 us for a row.

Transactions: the driver is in autocommit mode (`isolation_level="AUTOCOMMIT"`) and we say BEGIN,
COMMIT and ROLLBACK ourselves, so that neither the driver nor SQLAlchemy guesses where one begins.
Writers begin with BEGIN IMMEDIATE: a transaction that reads first and writes later can then not
fail half-way because another process wrote in between.

Durability: WAL with synchronous=FULL syncs the log at every commit. A checkpoint follows every
`STORE_CHECKPOINT_PAGES`; it is paid by the commit that crosses the mark.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import (
    Column,
    ColumnElement,
    Engine,
    Select,
    Table,
    bindparam,
    create_engine,
    literal_column,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import NullPool, QueuePool
from sqlalchemy.sql import ClauseElement, Executable

from agent.errors import StoreError
from agent.limits import (
    STORE_BUSY_TIMEOUT_MS,
    STORE_CACHE_KIB,
    STORE_CHECKPOINT_PAGES,
    STORE_CONNECTIONS_MAX,
    STORE_STATEMENTS_MAX,
)

_DIALECT = sqlite.dialect(paramstyle="qmark")


def compile_statement(statement: Executable, *parameters: str) -> str:
    """The text of `statement`, whose positional parameters are `parameters` in that order;
    constants in it must be literal."""
    assert isinstance(statement, ClauseElement)
    compiled = statement.compile(dialect=_DIALECT)
    positions = tuple(getattr(compiled, "positiontup", None) or ())
    assert positions == parameters, f"{positions} is not {parameters}"
    return str(compiled)


def limited(statement: Select[Any], limit: str | int) -> Select[Any]:
    """At most `limit` rows: a number, or the name of a parameter."""
    # Without an OFFSET of our own, the dialect would make the 0 a parameter.
    count: ColumnElement[Any] = (
        bindparam(limit) if isinstance(limit, str) else literal_column(str(limit))
    )
    return statement.limit(count).offset(literal_column("0"))


def compile_insert(table: Table) -> str:
    """Insert whole rows, columns in the table's order; a row that exists is an error."""
    return compile_statement(sqlite.insert(table), *table.columns.keys())


def compile_insert_new(table: Table) -> str:
    """Insert whole rows; a row whose primary key exists stays as it is."""
    insert = sqlite.insert(table).on_conflict_do_nothing(index_elements=list(table.primary_key))
    return compile_statement(insert, *table.columns.keys())


def compile_upsert(
    table: Table, *, add_to: Column[int] | None = None, where_equal: Column[Any] | None = None
) -> str:
    """Insert whole rows or overwrite the rows of the same primary key. The column `add_to` is
    added to what it was. A row whose `where_equal` would change is left as it is."""
    insert = sqlite.insert(table)
    values: dict[str, ColumnElement[Any]] = {
        c.name: c + insert.excluded[c.name] if c is add_to else insert.excluded[c.name]
        for c in table.columns
        if not c.primary_key and c is not where_equal
    }
    upsert = insert.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_=values,
        where=None if where_equal is None else where_equal == insert.excluded[where_equal.name],
    )
    return compile_statement(upsert, *table.columns.keys())


def file_engine(path: Path, mode: Literal["rw", "ro"] = "rw") -> Engine:
    """An engine on an existing file; never makes one."""
    uri = f"file:{_escaped(path)}?mode={mode}"
    return create_engine(
        "sqlite://",
        creator=lambda: _connect(uri),
        isolation_level="AUTOCOMMIT",
        poolclass=QueuePool,
        pool_size=STORE_CONNECTIONS_MAX,
        max_overflow=0,
        pool_reset_on_return=None,
    )


def memory_engine() -> Engine:
    """An engine each of whose connections is a database of its own, in memory."""
    return create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            ":memory:", check_same_thread=False, cached_statements=STORE_STATEMENTS_MAX
        ),
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
        pool_reset_on_return=None,
    )


def _escaped(path: Path) -> str:
    """A path as part of an SQLite URI."""
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


_FILE_SETTINGS = f"""
PRAGMA busy_timeout = {STORE_BUSY_TIMEOUT_MS};
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA trusted_schema = OFF;
PRAGMA wal_autocheckpoint = {STORE_CHECKPOINT_PAGES};
PRAGMA journal_size_limit = {4 * 4096 * STORE_CHECKPOINT_PAGES};
PRAGMA cache_size = -{STORE_CACHE_KIB};
"""


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri,
        uri=True,
        check_same_thread=False,
        cached_statements=STORE_STATEMENTS_MAX,
        timeout=0,
    )
    try:
        connection.executescript(_FILE_SETTINGS)
    except BaseException:
        connection.close()
        raise
    return connection


# --- errors ----------------------------------------------------------------------------------

_SENTENCES = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space, nothing that was promised is lost",
    sqlite3.SQLITE_READONLY: "file or folder cannot be written; check owner, mode and mount",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; folder and file must exist and be writable",
    sqlite3.SQLITE_PERM: "file or folder cannot be written; check owner, mode and mount",
    sqlite3.SQLITE_IOERR: "the disk reports an input/output error; check disk and file system",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore a backup, or make the member anew",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database; restore a backup, or name another",
    sqlite3.SQLITE_BUSY: "another program holds a lock on it (a backup, a shell?); end it",
    sqlite3.SQLITE_LOCKED: "another program holds a lock on it; end it",
    sqlite3.SQLITE_CONSTRAINT: "a row breaks a rule of the schema",
    sqlite3.SQLITE_MISMATCH: "a row breaks a rule of the schema",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
}

DRIVER_ERRORS = (sqlite3.Error, OverflowError)
"""What the driver raises; an integer that does not fit 64 bits is an OverflowError."""


_WAL_INDEX_OCTETS = 32_768
"""By which the shared memory grows (https://sqlite.org/walformat.html, 2)."""


def _has_no_room(place: str) -> bool:
    """Whether the file system of a store is full, or nearly. SQLite says so where it writes the
    database or its log; of the shared memory beside them it says input/output error."""
    try:
        folder = os.statvfs(Path(place).parent)
    except OSError:
        return False
    return folder.f_bavail * folder.f_frsize < _WAL_INDEX_OCTETS


def store_error(place: str, error: BaseException) -> StoreError:
    """The StoreError for an error of the driver: place, a sentence, and SQLite's own words."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary == sqlite3.SQLITE_IOERR and _has_no_room(place):
        primary = sqlite3.SQLITE_FULL
    sentence = "" if primary is None else _SENTENCES.get(primary, "")
    detail = getattr(error, "sqlite_errorname", type(error).__name__)
    text = f"{sentence} ({detail}: {error})" if sentence else f"{detail}: {error}"
    return StoreError(f"store {place}: {text}")
