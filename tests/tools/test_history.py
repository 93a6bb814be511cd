"""`dhcpsync config log|diff|rollback` and `dhcpsync audit`, on a store that a member wrote."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from typer.testing import CliRunner

from agent.errors import ConfigError, StoreError
from agent.events.configuration import configuration_events, pack_row
from agent.events.event import Event, EventKind
from agent.kinds.scope import GLOBAL
from agent.model import ConfigRow, Option, Pool, Subnet, parse_address
from agent.snmp.columns import AUDIT, MEMBER, Column, Table
from agent.snmp.oid import Oid
from store import Store, create_store
from store import events as store_events
from tests.store.conftest import ENGINE_ID
from tests.store.samples import NOW
from tests.tools.tables import Tables
from tests.tools.test_dump import At
from tools.errors import ManagerError, ToolError
from tools.history import audit as audit_module
from tools.history import command
from tools.history.changes import Span, parse_span
from tools.history.entries import Entry
from tools.main import app
from tools.manager import Row, Value
from tools.target import Target

A = parse_address
LAN = Subnet(A("198.18.0.0"), 24, name="lan")
POOL = Pool(A("198.18.0.16"), A("198.18.0.99"))
WIDER = Pool(A("198.18.0.16"), A("198.18.0.199"))
DNS = Option(*GLOBAL, 6, bytes((198, 18, 0, 2)))


class History:
    """A member's folder, and what it has of the configuration over SNMP."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = create_store(folder / "store.db", member=1, engine_id=ENGINE_ID)
        self.member = Member()

    def change(self, *rows: ConfigRow, deleted: bool = False, user: str = "admin") -> None:
        """As a SET does: the rows, and the events of their transaction."""
        with self.store.write() as tx:
            tx.save_configuration([(row, deleted) for row in rows])
            tx.put_events(configuration_events(tx.replaced_configuration(), user, NOW))
            tx.put_events([Event(NOW, EventKind.MEMBER_SILENT, member=2, subject="m2")])
            self.member.rows = [
                record.row
                for kind in (2, 3, 4, 5)
                for record in tx.configuration(kind)
                if not record.deleted
            ]

    def rollback(self, after: int, answer: bool = True) -> list[str]:
        """Returns what was asked."""
        asked: list[str] = []

        def ask(words: str) -> bool:
            asked.append(words)
            return answer

        command.rollback(self.folder, after, At(self.member), ask=ask)
        return asked


class Member(Tables):
    """One without leases."""

    def below(self, column: Column, index: Oid, limit: int) -> dict[Oid, Value]:
        return {}


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    """Numbers 1 and 2: lan and pool are made; 4: the lan is renamed; 6: an option; 8: the pool
    goes; 10: a wider one comes."""
    monkeypatch.setenv("COLUMNS", "200")
    history = History(tmp_path)
    history.change(LAN, POOL)
    history.change(replace(LAN, name="office"), user="")
    history.change(DNS)
    history.change(POOL, deleted=True)
    history.change(WIDER)
    return history


def config(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["config", *arguments])
    return done.exit_code, done.stdout


def test_the_log_tells_who_changed_what_with_numbers(history: History) -> None:
    code, out = config("log", str(history.folder))
    assert code == 0
    at = "2027-01-15 08:00:00 UTC"
    assert out.splitlines()[:4] == [
        f"      1  {at}  admin added subnet 198.18.0.0/24: name lan, claims accept, probe recent,"
        " outside run-out",
        f"      2  {at}  admin added pool 198.18.0.16-198.18.0.99",
        f"      4  {at}  member 1 changed subnet 198.18.0.0/24: name 'lan' to 'office'",
        f"      6  {at}  admin added option global:6: data c6120002",
    ]
    code, out = config("log", str(history.folder), "--json")
    told = [json.loads(line) for line in out.splitlines()]
    assert [one["number"] for one in told] == [1, 2, 4, 6, 8, 10]
    assert told[2]["old"]["name"] == "lan"


def diff(history: History, span: str) -> list[tuple[str, str, str]]:
    code, out = config("diff", str(history.folder), span, "--json")
    assert code == 0
    return [(one["action"], one["key"], one["detail"]) for one in json.loads(out)["steps"]]


def test_a_difference_is_what_a_span_comes_to(history: History) -> None:
    rename = ("change", "198.18.0.0/24", "name lan -> office")
    option = ("create", "global:6 (domain-name-servers)", "value 198.18.0.2")
    assert diff(history, "2..4") == [rename]
    assert diff(history, "2..6") == [rename, option]
    assert diff(history, "4..4") == []
    actions = [(action, key) for action, key, _ in diff(history, "2")]
    assert actions == [
        ("delete", "198.18.0.16-198.18.0.99"),
        rename[:2],
        ("create", "198.18.0.16-198.18.0.199"),
        option[:2],
    ]
    assert [one[:2] for one in diff(history, "0..8")] == [("create", "198.18.0.0/24"), option[:2]]
    code, out = config("diff", str(history.folder), "2..4")
    assert code == 0
    assert "name lan -> office" in out
    assert config("diff", str(history.folder), "4..4") == (0, "no difference\n")


def test_a_rollback_shows_asks_and_puts_back(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = history.rollback(4)
    (words,) = asked
    assert words.splitlines() == [
        "These 3 steps put the configuration back to what it was after 4.",
        "deleted: 1 option",
        "100 addresses will be in no pool any more",
    ]
    assert sorted(map(repr, history.member.rows)) == sorted(
        map(repr, [replace(LAN, name="office"), POOL])
    )
    out = capsys.readouterr().out
    assert out.index("Plan") < out.index("Done")
    assert out.count("198.18.0.16-198.18.0.199") == 2


def test_a_rollback_of_all_is_what_was_before(history: History) -> None:
    history.rollback(0)
    assert history.member.rows == []


def test_a_rollback_that_nobody_wants_changes_nothing(history: History) -> None:
    before = list(history.member.rows)
    with pytest.raises(ToolError, match="it was not wanted: nothing is done"):
        history.rollback(4, answer=False)
    assert history.member.rows == before


def test_a_rollback_to_now_has_nothing_to_do(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    assert history.rollback(10) == []
    assert capsys.readouterr().out == ("nothing to do: the configuration is as it was after 10\n")
    history.rollback(8)
    capsys.readouterr()
    assert history.rollback(8) == [], "and again, before the member's history has it"


def test_what_the_history_does_not_tell_is_not_put_back(history: History) -> None:
    """Somebody has changed the row where this member did not hear of it."""
    history.member.rows = [
        replace(row, name="other") if isinstance(row, Subnet) else row
        for row in history.member.rows
    ]
    before = list(history.member.rows)
    with pytest.raises(ToolError, match=r"subnet 198\.18\.0\.0/24 is not as this member's"):
        history.rollback(2)
    assert history.member.rows == before
    history.rollback(8)
    assert POOL not in history.member.rows, "what is not of that row is put back"


def test_what_is_forgotten_cannot_be_asked_for(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_events, "EVENTS_KEPT_MAX", 5)
    monkeypatch.setattr(store_events, "EVENTS_TRIM", 1)
    history.change(replace(DNS, data=bytes(4)))
    with pytest.raises(ToolError, match=r"after 7 is not known any more.* keeps is 9"):
        history.rollback(7)
    with pytest.raises(ToolError, match="after 7 is not known any more"):
        command.show_diff(history.folder, Span(7, 9), as_objects=False)
    assert diff(history, "8..10") == [("create", "198.18.0.16-198.18.0.199", "")]
    assert len(config("log", str(history.folder))[1].splitlines()) == 2


def test_what_has_not_happened_cannot_be_asked_for(history: History) -> None:
    for span in (Span(12), Span(3, 12)):
        with pytest.raises(ToolError, match="the latest that happened at this member is 11"):
            command.show_diff(history.folder, span, as_objects=False)


def test_a_member_to_which_nothing_has_happened_says_so(tmp_path: Path) -> None:
    history = History(tmp_path)
    done = CliRunner().invoke(app, ["config", "log", str(tmp_path)])
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "no change of the configuration is known here\n"
    assert config("log", str(tmp_path), "--json") == (0, "")
    assert diff(history, "0") == []
    with pytest.raises(ToolError, match="nothing has happened at this member yet"):
        command.show_diff(tmp_path, Span(3), as_objects=False)


def test_a_change_that_this_version_cannot_read_is_named(history: History) -> None:
    with history.store.write() as tx:
        tx.put_events([Event(NOW, EventKind.CONFIGURED, subject="shelf 1", new="{}")])
    with pytest.raises(ToolError, match="change 12 cannot be read by this version: 'shelf 1'"):
        history.rollback(10)
    assert diff(history, "10..11") == []


def test_an_event_that_spells_the_row_as_it_was_is_of_the_same_row(history: History) -> None:
    with history.store.write() as tx:
        tx.put_events(
            [Event(NOW, EventKind.CONFIGURED, subject="option global :6", old=pack_row(DNS))]
        )
    assert diff(history, "5..12") == [
        ("delete", "198.18.0.16-198.18.0.99", ""),
        ("create", "198.18.0.16-198.18.0.199", ""),
    ], "made and deleted again"


@pytest.mark.parametrize("text", ["", "x", "1..", "..1", "3..2", "1..2..3", "-1", "²", "9" * 19])
def test_a_span_is_a_number_or_two(text: str) -> None:
    with pytest.raises(ConfigError, match=r'write "17", or "17\.\.23"'):
        parse_span(text)


def test_spans() -> None:
    assert parse_span("17") == Span(17)
    assert parse_span("17..17") == Span(17, 17)


# --- the audit


def audit(*arguments: str) -> tuple[int, str, BaseException | None]:
    runner = CliRunner(env={"DHCPSYNC_ADDRESS": "", "DHCPSYNC_CREDENTIALS": ""})
    done = runner.invoke(app, ["audit", *arguments])
    return done.exit_code, done.stdout, done.exception


@pytest.fixture
def audited(tmp_path: Path) -> Store:
    store = create_store(tmp_path / "store.db", member=1, engine_id=ENGINE_ID)
    with store.write() as tx:
        tx.audit("admin", "set", "a=1\x1b[2J", NOW)
        tx.audit("", "resumed", "by itself", NOW + 1)
    return store


def test_the_audit_is_shown(audited: Store, tmp_path: Path) -> None:
    assert audit(str(tmp_path))[:2] == (
        0,
        "      1  2027-01-15 08:00:00 UTC  admin  set  a=1\ufffd[2J\n"
        "      2  2027-01-15 08:00:01 UTC  -  resumed  by itself\n",
    )
    first = json.loads(audit(str(tmp_path), "--json")[1].splitlines()[0])
    assert first == {
        "member": "", "number": 1, "time": "2027-01-15T08:00:00+00:00", "user": "admin",
        "action": "set", "detail": "a=1\x1b[2J",
    }  # fmt: skip


class Audited(Tables):
    """A member of a group of four, with an audit of its own. `entries`: second of a minute, number
    and words; a second of 99 is none."""

    def __init__(self, *entries: tuple[int, int, str]) -> None:
        super().__init__()
        self.entries = entries

    def table(self, table: Table) -> dict[Oid, Row]:
        if table is MEMBER:
            return {
                (n,): {
                    "Name": b"m%d" % n,
                    "Address": bytes((10, 0, 0, n)),
                    "State": state,
                    "Port": n,
                }
                for n, state in ((1, 1), (2, 1), (3, 3), (4, 1))
            }
        assert table is AUDIT
        return {
            (number,): {
                "Time": bytes((7, 235, 1, 15, 8, 0, second, 0, 43, 0, 0)),
                "User": b"admin", "Action": b"set", "Detail": words.encode(),
            }
            for second, number, words in self.entries
        }  # fmt: skip


class Group(At):
    """Members by their ports; one that is not there is silent."""

    def __init__(self, members: dict[int, Audited]) -> None:
        object.__setattr__(self, "members", members)
        super().__init__(members[1])

    def at(self, address: str, port: int) -> Target:
        assert address == f"10.0.0.{port}"
        member = self.members.get(port)  # type: ignore[attr-defined]
        return At(member) if member else Silent(Tables())


class Silent(At):
    def run(self, work: object) -> NoReturn:
        raise ManagerError("no answer from 10.0.0.4", "requestTimedOut")


def test_the_audits_of_all_members_are_one(capsys: pytest.CaptureFixture[str]) -> None:
    one = Audited((1, 1, "a"), (9, 2, "d"), (99, 3, "?"))
    two = Audited((1, 7, "b"), (5, 8, "c\x1b"))
    four = Audited()
    assert audit_module.show_group(Group({1: one, 2: two, 4: four}), as_objects=False)
    done = capsys.readouterr()
    assert done.out.splitlines() == [
        "      3  (unknown)  m1  admin  set  ?",
        "      1  2027-01-15 08:00:01 UTC  m1  admin  set  a",
        "      7  2027-01-15 08:00:01 UTC  m2  admin  set  b",
        "      8  2027-01-15 08:00:05 UTC  m2  admin  set  c\ufffd",
        "      2  2027-01-15 08:00:09 UTC  m1  admin  set  d",
    ]
    assert done.err == ""
    assert not audit_module.show_group(Group({1: one, 2: two}), as_objects=True)
    done = capsys.readouterr()
    assert [json.loads(line)["member"] for line in done.out.splitlines()] == [
        "m1", "m1", "m2", "m2", "m1",
    ]  # fmt: skip
    assert done.err == "dhcpsync: m4 is left out: no answer from 10.0.0.4\n"


def test_a_slow_reader_of_the_audit_keeps_no_checkpoint_from_its_end(
    audited: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "EVENTS_PAGE", 1)
    shown: list[str] = []

    def print_slowly(entries: Iterable[Entry], as_objects: bool) -> None:
        shown.extend(one.detail for one in entries)
        with audited.write() as tx:
            tx.audit("admin", "set", f"after {len(shown)}", NOW + 2)
        with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
            ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert not busy
        if len(shown) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(audit_module, "_print", print_slowly)
    with pytest.raises(KeyboardInterrupt):
        audit_module.show_store(tmp_path, as_objects=False)
    assert shown == ["a=1\x1b[2J", "by itself", "after 1"]


def test_what_the_audit_cannot_be_asked(tmp_path: Path) -> None:
    for arguments, words in (
        (["--verify"], "--verify: looks at a store; name a member's folder"),
        ([], "give its folder, or --address"),
    ):
        code, _, error = audit(*arguments)
        assert code == 1
        assert isinstance(error, ConfigError)
        assert words in str(error)


def test_an_audit_that_was_altered_is_found(audited: Store, tmp_path: Path) -> None:
    assert audit(str(tmp_path), "--verify")[:2] == (0, "2 entries, each as it was written\n")
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection, connection:
        connection.execute("UPDATE audit SET user = 'somebody' WHERE seq = 1")
    code, _, error = audit(str(tmp_path), "--verify")
    assert code == 1
    assert isinstance(error, StoreError)
    assert "entry 1 or one before it was altered" in str(error)
