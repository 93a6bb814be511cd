"""Opening and making stores: migrations, revisions, and files that are no store."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from agent.errors import StoreError, StoreVersionError
from store import Store, create_store, open_store
from store import schema as schema_module
from store.schema import REVISIONS
from store.tables import METADATA
from tests.store.conftest import ENGINE_ID
from tests.store.samples import BASE, binding, held_open

ROOT = Path(__file__).parent.parent.parent


def schema(database: sqlite3.Connection | sqlite3.Cursor) -> dict[str, str]:
    """SQL of every table and index, without the space that only tells who wrote it."""
    rows = database.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {name: re.sub(r"\s+", " ", sql) for name, sql in rows}


def schema_of_store(store: Store) -> dict[str, str]:
    with store._cursor() as cursor:
        return schema(cursor)


def test_migrations_make_the_tables(file_store: Store) -> None:
    with file_store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_migrations_make_the_constraints(file_store: Store) -> None:
    """Alembic compares no CHECK, so the SQL itself is compared."""
    migrated, declared = schema_of_store(file_store), schema_of_store(Store.in_memory())
    assert migrated.keys() == declared.keys() >= METADATA.tables.keys()
    for name in METADATA.tables:
        assert migrated[name] == declared[name]


def test_revisions_are_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "store" / "migrations"))
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    assert [script.revision for script in scripts] == list(reversed(REVISIONS))


def test_a_store_of_the_current_revision_loads_no_alembic(tmp_path: Path) -> None:
    create_store(tmp_path / "store.db", member=1, engine_id=ENGINE_ID).close()
    program = (
        "import sys, store; s = store.open_store(sys.argv[1])\n"
        "with s.write() as tx: tx.set_serving(True, since=0)\n"
        "sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "store.db"], cwd=ROOT, check=True)


def test_what_is_made_lasts_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    before = os.umask(0)
    try:
        store = create_store(path, member=3, engine_id=ENGINE_ID, incarnation=2)
        with store.write() as tx:
            tx.save_bindings([binding(BASE)])
        for file in tmp_path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    finally:
        os.umask(before)
    assert {file.suffix for file in tmp_path.iterdir()} == {
        ".db", ".db-wal", ".db-shm", ".lock", ".turn",
    }  # fmt: skip
    store.close()
    with closing(open_store(path)) as store, store.read() as tx:
        assert (tx.local().member, tx.local().incarnation) == (3, 2)
        assert BASE in tx.bindings_by_address([BASE])


def test_settings_of_a_connection(file_store: Store) -> None:
    with file_store._cursor() as cursor:
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            assert cursor.execute(f"PRAGMA {pragma}").fetchone() == (value,)


def set_revision(path: Path, revision: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    create_store(path, member=1, engine_id=ENGINE_ID).close()
    set_revision(path, "0099")
    with pytest.raises(
        StoreVersionError, match=rf"0099.* up to {NEWEST}; install the dhcpsync"
    ) as caught:
        open_store(path)
    assert str(path) in str(caught.value)


NEWEST = REVISIONS[-1]
AFTER_IT = f"{int(NEWEST) + 1:04}"
NEXT = f"""
import sqlalchemy as sa
from alembic import op
revision = "{AFTER_IT}"
down_revision = "{NEWEST}"
def upgrade():
    op.add_column("local", sa.Column("colour", sa.Text(), nullable=True))
    op.execute({{statement!r}})
"""


@pytest.fixture
def next_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretend that this code is one revision ahead; returns the file of that revision."""
    scripts = tmp_path / "migrations"
    shutil.copytree(ROOT / "store" / "migrations", scripts)
    monkeypatch.setattr(schema_module, "_MIGRATIONS", scripts)
    monkeypatch.setattr(schema_module, "REVISIONS", (*REVISIONS, AFTER_IT))
    return scripts / "versions" / f"revision_{AFTER_IT}.py"


def make_old_store(path: Path) -> None:
    """A store of the newest revision, which `next_revision` makes an old one, with one binding."""
    store = create_store(path, member=1, engine_id=ENGINE_ID)
    with store.write() as tx:
        tx.save_bindings([binding(BASE)])
    store.close()


def test_an_older_store_is_migrated_when_opened(tmp_path: Path, next_revision: Path) -> None:
    path = tmp_path / "store.db"
    make_old_store(path)
    next_revision.write_text(NEXT.format(statement="UPDATE local SET colour = 'red'"))
    for _ in range(2):
        store = open_store(path)
        with store._cursor() as cursor:
            assert cursor.execute("SELECT colour FROM local").fetchall() == [("red",)]
            assert cursor.execute("SELECT * FROM alembic_version").fetchall() == [(AFTER_IT,)]
        with store.read() as tx:
            assert BASE in tx.bindings_by_address([BASE])
        store.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, next_revision: Path) -> None:
    path = tmp_path / "store.db"
    make_old_store(path)
    with closing(sqlite3.connect(path)) as connection:
        before = schema(connection)
    next_revision.write_text(NEXT.format(statement="UPDATE local SET serving = 7"))
    with pytest.raises(StoreError, match="ck_local_serving"):
        open_store(path)
    with closing(sqlite3.connect(path)) as connection:
        assert schema(connection) == before
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [(NEWEST,)]


def test_an_existing_store_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    create_store(path, member=1, engine_id=ENGINE_ID).close()
    with pytest.raises(StoreError, match="exists already"):
        create_store(path, member=2, engine_id=ENGINE_ID)
    with closing(open_store(path)) as store, store.read() as tx:
        assert tx.local().member == 1


def test_a_creation_cut_short_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "store.db.new").write_bytes(b"half")
    create_store(tmp_path / "store.db", member=1, engine_id=ENGINE_ID).close()
    assert not (tmp_path / "store.db.new").exists()


def test_a_creation_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="ck_local_engine_id"):
        create_store(tmp_path / "store.db", member=1, engine_id=b"bad")
    assert {file.suffix for file in tmp_path.iterdir()} <= {".lock", ".turn"}
    assert held_open(tmp_path) == set()


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere\.db: does not exist; `dhcpsync init`"):
        open_store(tmp_path / "nowhere.db")
    with pytest.raises(StoreError, match="its folder must exist"):
        create_store(tmp_path / "no" / "store.db", member=1, engine_id=ENGINE_ID)


@pytest.mark.parametrize("content", [b"no database" * 500, os.urandom(8192)])
def test_not_a_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is no SQLite database"):
        open_store(path)
    assert path.read_bytes() == content
    assert held_open(tmp_path) == set()


def test_a_database_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE cookies (name TEXT)")
    connection.close()
    with pytest.raises(StoreError, match="not of dhcpsync"):
        open_store(path)


def test_a_damaged_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = create_store(path, member=1, engine_id=ENGINE_ID)
    with store.write() as tx:
        tx.save_bindings([binding(BASE + i, i) for i in range(2000)])
    store.close()
    content = bytearray(path.read_bytes())
    content[4096 : len(content)] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="the file is damaged"):
        open_store(path)


def test_a_path_with_the_signs_of_an_uri(tmp_path: Path) -> None:
    folder = tmp_path / "50% of #1?mode=memory"
    folder.mkdir()
    create_store(folder / "store.db", member=1, engine_id=ENGINE_ID).close()
    assert (folder / "store.db").stat().st_size > 0
    assert [file.name for file in tmp_path.iterdir()] == [folder.name]
