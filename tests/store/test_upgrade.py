"""Stores that released versions wrote: each is opened by this version, with all that it holds.

`landed/revision_N.sql` is the dump of a store that a version of revision N wrote itself. It stays
as it is, so a released migration that somebody edits, instead of writing the next one, fails here.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, event

from agent.clock import ClockAnchor
from agent.errors import StoreError
from agent.kinds.former_server import FormerServer
from agent.kinds.scope import GLOBAL, host_scope, subnet_scope
from agent.model import (
    Ballot,
    BallotNumber,
    ClaimPolicy,
    Enquiry,
    Group,
    LostStore,
    Member,
    MemberRole,
    MemberState,
    Option,
    Quarantine,
    Service,
    StoreMark,
    Subnet,
    Transaction,
    configuration_key,
    format_address,
)
from agent.model import ChangeKind as Kind
from store import create_store, open_store
from store.schema import REVISIONS
from store.sqlite import file_engine
from store.tables import METADATA
from tests.store.conftest import ENGINE_ID
from tests.store.samples import BASE, NOW, binding
from tests.store.test_schema import ROOT, schema

LANDED = Path(__file__).parent / "landed"
Rows = dict[str, list[dict[str, Any]]]

ADDED: Rows = {
    "subnet": [
        {"claims": 1, "offer_delay_s": 0, "probe": 1, "outside": 1, "shared_network": ""}
    ] * 2,
    "server_group": [{"safe_period_s": 0, "past_mul_s": 0, "forced": 0, "decision": 0}],
    "member": [{"since": 0, "clean": 0}] * 3,
    "silent_member": [{"heard": 0}],
    "local": [
        {
            "service": 1, "unconfirmed": 0, "recovery": "", "holds_until": 0, "tries_until": 0,
            "token": "", "certain_until": 0, "unseen_at": 0, "unseen_s": 0, "vouched": 0,
        }
    ],
}  # fmt: skip
"""What the rows of revision 0001 get."""
ADDED_TO_0002: dict[str, dict[str, Any]] = {
    "subnet": {"probe": 1, "outside": 1, "shared_network": ""},
    "server_group": {"decision": 0},
    "local": {"certain_until": 0, "unseen_at": 0, "unseen_s": 0, "vouched": 0},
}
OLD_OPTION = {"network": BASE, "prefix_length": 24, "code": 3}
OPTION_NOW = {"level": 3, "scope": "10.0.0.0/24", "code": 3}
KEYS = {"10.0.0.0/24:3": "subnet 10.0.0.0/24:3"}
"""What the change log calls options by now."""
SETTING = {
    "level": 3, "scope": "10.0.0.0/24", "name": 1, "value": 1800, "active": 1, "deleted": 0,
    "version_counter": 1, "version_member": 1, "stream": 4294967298, "seq": 1,
}  # fmt: skip
"""A lease time was its subnet's."""
EVENT_TABLES = {"event", "event_cursor"}
"""Of revision 0004."""
NEW_TABLES = {"enquiry", "lost_store", "remembered_store", "quarantine", "former_server"}
NEW_TABLES |= EVENT_TABLES


def landed(path: Path, revision: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript((LANDED / f"revision_{revision}.sql").read_text())
    return path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return landed(tmp_path / "old.db", "0001")


def rows_of(path: Path) -> Rows:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        return {
            name: [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')]
            for (name,) in tables.fetchall()
        }


def by_scope(name: str, row: dict[str, Any]) -> dict[str, Any]:
    """The row as it is named since options have scopes."""
    if name == "option" and row.items() >= OLD_OPTION.items():
        return {key: value for key, value in row.items() if key not in OLD_OPTION} | OPTION_NOW
    if name == "change" and row["key"] in KEYS:
        return row | {"key": KEYS[row["key"]]}
    if name == "subnet":
        return {key: value for key, value in row.items() if key != "lease_s"}
    return row


def schema_of(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as connection:
        return schema(connection)


def columns_of(path: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("PRAGMA table_list").fetchall()
        return {
            name: [*options, *connection.execute(f'PRAGMA table_xinfo("{name}")')]
            for _, name, *options in tables
        }


def test_every_released_revision_has_a_store_here() -> None:
    """The newest may be in the making."""
    stores = {file.stem.removeprefix("revision_") for file in LANDED.iterdir()}
    assert set(REVISIONS[:-1]) <= stores <= set(REVISIONS)


@pytest.mark.parametrize("revision", [file.stem[-4:] for file in LANDED.iterdir()])
def test_a_released_revision_is_not_edited(tmp_path: Path, revision: str) -> None:
    """Its migrations make the schema that they made when it was released."""
    made = tmp_path / "made.db"
    made.touch()
    config = Config()
    config.set_main_option("script_location", str(ROOT / "store" / "migrations"))
    engine = file_engine(made)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
    assert schema_of(made) == schema_of(landed(tmp_path / "landed.db", revision))


def test_every_row_is_kept(old: Path) -> None:
    before = rows_of(old)
    assert all(before.values()), "each table of the old store has rows"
    open_store(old).close()
    after = rows_of(old)
    assert after.pop("setting") == [SETTING]
    assert after.keys() == before.keys() | NEW_TABLES
    assert after.pop("alembic_version") == [{"version_num": REVISIONS[-1]}]
    assert not any(after.pop(name) for name in NEW_TABLES)
    for name, rows in after.items():
        added = ADDED.get(name, [{}] * len(rows))
        kept = [by_scope(name, row) for row in before[name]]
        expected = [row | more for row, more in zip(kept, added, strict=True)]
        if name == "proposal":  # The JSON of a group: see the next test.
            expected[0]["value"] = rows[0]["value"]
        assert rows == expected, name


def test_what_was_kept_can_be_used(old: Path) -> None:
    members = (
        Member(1, "m1", BASE + 1, 161, b"\x80\x00\x7e\xd9\x01"),
        Member(2, "m2", BASE + 2, 161, b"\x80\x00\x7e\xd9\x02", MemberState.JOINING),
        Member(
            3, "m3", BASE + 3, 10161, b"\x80\x00\x7e\xd9\x03", MemberState.REMOVED,
            MemberRole.DATABASE, 4,
        ),
    )  # fmt: skip
    group = Group("campus", 3, 600, 3600, members)
    store = open_store(old)
    with store.read() as tx:
        local = tx.local()
        assert (local.member, local.incarnation, local.engine_id) == (1, 2, ENGINE_ID)
        assert (local.service, local.recovery, local.unconfirmed) == (Service.RUNNING, "", False)
        assert local.answers_clients
        assert tx.token() == ""
        assert tx.clock_anchor() == ClockAnchor("6c1f1c3a-0001", 1_799_000_000_123)
        assert tx.group() == group
        assert tx.ballot(3) == Ballot(3, BallotNumber(2, 1), BallotNumber(2, 1), group)
        assert tx.ballot(4) == Ballot(4, BallotNumber(1, 2))
        assert tx.silent_members() == {2}
        subnet = tx.configuration(Kind.SUBNET)[0].row
        assert subnet == Subnet(
            BASE, 24, "eth0", "office", claims=ClaimPolicy.ACCEPT, offer_delay_s=0
        )
        assert tx.bindings_by_address([BASE + 10])[BASE + 10].hostname == "host-1"
        assert tx.bindings_by_client([b"\x01\0\0\0\x09"])
        assert tx.verify_audit() == 2
    with store.write() as tx:
        tx.save_bindings([binding(BASE + 12, 3, transaction=Transaction.PROBE)])
        tx.put_group(group)
        tx.put_ballot(Ballot(4, BallotNumber(1, 2), BallotNumber(1, 2), group))
        tx.audit("admin", "set", "lease time 1800", NOW + 9)
        assert tx.verify_audit() == 3
    store.close()


def test_a_store_of_the_second_revision_keeps_every_row(tmp_path: Path) -> None:
    path = landed(tmp_path / "old.db", "0002")
    before = rows_of(path)
    assert all(before.values()), "each table of the old store has rows"
    store = open_store(path)
    after = rows_of(path)
    assert after.pop("alembic_version") == [{"version_num": REVISIONS[-1]}]
    assert not any(after.pop(name) for name in EVENT_TABLES)
    assert after.pop("former_server") == []
    assert after.pop("setting") == [SETTING]
    for name, rows in after.items():
        kept = [by_scope(name, row) for row in before[name]]
        assert rows == [row | ADDED_TO_0002.get(name, {}) for row in kept], name
    with store.read() as tx:
        group = tx.group()
        assert group is not None
        assert (group.safe_period_s, group.past_mul_s, group.forced) == (30, 900, 1)
        assert tx.quarantines() == [Quarantine(3, NOW + 60, 600)]
        assert tx.lost_stores() == {3: LostStore(3, 1, NOW)}
        assert tx.remembered_stores() == {2: StoreMark(1, 17)}
        assert tx.open_enquiries(10) == [Enquiry(BASE + 77, NOW * 1000)]
        answered = Enquiry(BASE + 78, NOW * 1000, NOW * 1000 + 5, free=True, complete=True, epoch=4)
        assert tx.enquiry(BASE + 78) == answered
    store.close()


def test_a_store_of_the_third_revision_keeps_every_row(tmp_path: Path) -> None:
    path = landed(tmp_path / "old.db", "0003")
    before = rows_of(path)
    assert all(before.values()), "each table of the old store has rows"
    store = open_store(path)
    after = rows_of(path)
    assert after.pop("alembic_version") == [{"version_num": REVISIONS[-1]}]
    assert not any(after.pop(name) for name in EVENT_TABLES)
    assert after.pop("former_server") == []
    del before["alembic_version"]
    more = {"outside": 1, "shared_network": ""}
    before["subnet"] = [row | more for row in before["subnet"]]
    assert [(row["scope"], row["value"]) for row in after.pop("setting")] == [
        ("10.0.0.0/24", 1800),
        ("10.0.2.0/24", 900),
    ]
    assert after == {name: [by_scope(name, row) for row in rows] for name, rows in before.items()}
    with store.read() as tx:
        local, group = tx.local(), tx.group()
        assert (local.certain_until, local.unseen_at, local.unseen_s) == (NOW + 7, NOW + 8, 9)
        assert local.vouched
        assert group is not None
        assert (group.generation, group.decision) == (4, 77)
        assert [r.row.probe for r in tx.configuration(Kind.SUBNET)] == [1, 1, 2]  # type: ignore[union-attr]
        assert tx.last_event() == 0
    with store.write() as tx:
        tx.save_configuration([(FormerServer(0, 0, NOW + 60), False)])
        (former,) = tx.configuration(Kind.FORMER_SERVER)
        assert former.row == FormerServer(0, 0, NOW + 60)
        assert tx.changes(former.stream, former.seq - 1, 9)[0].key == "0.0.0.0/0"
    store.close()


def test_every_prefix_becomes_the_scope_that_it_was(old: Path) -> None:
    """Of 32 bits it was a reservation's, unless it is a subnet's."""
    tail = "1, 0, 9, 1, 4294967298"
    with closing(sqlite3.connect(old)) as connection:
        connection.execute(
            "INSERT INTO subnet SELECT 3232235777, 32, lease_s, interface, name, active, deleted,"
            " version_counter, version_member, stream, 90 FROM subnet WHERE network = ?",
            (BASE,),
        )
        for seq, (network, length) in enumerate(
            [(0, 0), (BASE, 8), (BASE + 5, 32), (3232235777, 32)], 91
        ):
            connection.execute(
                f"INSERT INTO option VALUES (?, ?, 15, X'61', {tail}, ?)", (network, length, seq)
            )
            key = f"{format_address(network)}/{length}:15"
            connection.execute("INSERT INTO change VALUES (4294967298, ?, 4, NULL, ?)", (seq, key))
        connection.commit()
    store = open_store(old)
    with store.read() as tx:
        records = [one for one in tx.configuration(Kind.OPTION) if one.seq > 90]
        changes = tx.changes(4294967298, 90, 9)
    store.close()
    assert {(r.seq, r.row.place) for r in records if isinstance(r.row, Option)} == {
        (91, GLOBAL),
        (92, subnet_scope(BASE, 8)),
        (93, host_scope(BASE + 5)),
        (94, subnet_scope(3232235777, 32)),
    }
    named = {one.seq: (Kind.OPTION, one.key) for one in changes}
    assert named == {r.seq: configuration_key(r.row) for r in records}


def test_the_schema_is_that_of_a_new_store(old: Path, tmp_path: Path) -> None:
    """Columns, keys, constraints by name, indexes, and the options of the tables."""
    new = tmp_path / "new.db"
    create_store(new, member=1, engine_id=ENGINE_ID).close()
    open_store(old).close()
    assert schema_of(old) == schema_of(new)
    assert schema_of(old).keys() >= METADATA.tables.keys()
    assert columns_of(old) == columns_of(new)
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


class InterruptionError(Exception):
    pass


@pytest.fixture
def interrupt() -> Iterator[list[int]]:
    """Statements that SQLAlchemy runs until one is kept from it; counts on below zero."""
    left = [0]

    def count(*_: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise InterruptionError

    event.listen(Engine, "before_cursor_execute", count)
    yield left
    event.remove(Engine, "before_cursor_execute", count)


def test_a_migration_stopped_at_any_statement_leaves_the_old_store(
    old: Path, interrupt: list[int]
) -> None:
    rows, form = rows_of(old), schema_of(old)
    stops = 0
    while True:
        stops += 1
        interrupt[0] = stops
        try:
            open_store(old).close()
        except InterruptionError:
            assert (rows_of(old), schema_of(old)) == (rows, form), stops
        else:
            break
    assert stops > 3 * len(ADDED)
    assert rows_of(old)["alembic_version"] == [{"version_num": REVISIONS[-1]}]


KILLED = """
import os, signal, sys, store
from sqlalchemy import Engine, event
@event.listens_for(Engine, "after_cursor_execute")
def kill(connection, cursor, statement, *_):
    if statement.startswith("UPDATE alembic_version"):
        os.kill(os.getpid(), signal.SIGKILL)
store.open_store(sys.argv[1])
"""


def test_a_process_killed_before_the_commit_leaves_the_old_store(old: Path) -> None:
    rows, form = rows_of(old), schema_of(old)
    killed = subprocess.run([sys.executable, "-c", KILLED, old], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (rows_of(old), schema_of(old)) == (rows, form)
    open_store(old).close()
    assert rows_of(old)["alembic_version"] == [{"version_num": REVISIONS[-1]}]


def test_a_row_that_cannot_be_taken_over_leaves_the_old_store(old: Path) -> None:
    """Here a table of revision 0002 that is there already."""
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("CREATE TABLE quarantine (at INTEGER)")
    rows, form = rows_of(old), schema_of(old)
    with pytest.raises(StoreError, match=r"old\.db.*quarantine already exists"):
        open_store(old)
    assert (rows_of(old), schema_of(old)) == (rows, form)
