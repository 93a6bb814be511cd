"""Revisions of the schema: which one this code wants, and how a store gets there.

The revision of a store is the one row of `alembic_version`. Alembic is loaded only to migrate: a
store that is current costs one SELECT, and the engine's process no memory.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import Connection

from agent.errors import StoreError, StoreVersionError

REVISIONS = ("0001", "0002", "0003", "0004")
"""Every revision in order; the last is the one that this code reads and writes."""

_MIGRATIONS = Path(__file__).parent / "migrations"


def store_revision(cursor: sqlite3.Cursor, place: str) -> str:
    """The revision of an open database; StoreError if it is no store of ours."""
    tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'alembic_version'"
    if cursor.execute(tables).fetchone() == (0,):
        raise StoreError(
            f"store {place}: is a database, but not of dhcpsync; "
            "name another file, or make a member with `dhcpsync init`"
        )
    rows = cursor.execute("SELECT version_num FROM alembic_version").fetchall()
    if len(rows) != 1:
        raise StoreError(f"store {place}: its creation or migration was cut short; make it anew")
    return str(rows[0][0])


def check_revision(revision: str, place: str) -> bool:
    """Whether the store must be migrated; StoreVersionError if this code does not know it."""
    if revision not in REVISIONS:
        raise StoreVersionError(
            f"store {place}: has schema revision {revision}, and this dhcpsync knows revisions up "
            f"to {REVISIONS[-1]}; install the dhcpsync that wrote it or a newer one, or restore "
            "the backup made before the upgrade"
        )
    return revision != REVISIONS[-1]


def migrate(connection: Connection) -> None:
    """Bring an empty or older database to the newest revision, in one transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
