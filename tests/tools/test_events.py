"""`dhcpsync events`: what a person asks for, what he sees, and that nobody waits for him."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agent.errors import ConfigError, StoreError
from agent.events.event import Event, EventKind
from agent.events.sentences import sentence
from agent.model import parse_address
from store import Store, create_store, open_to_read
from store import events as store_events
from store.schema import REVISIONS
from tests.store.conftest import ENGINE_ID
from tests.store.samples import NOW
from tools.events import command
from tools.events.wanted import Wanted, parse_wanted
from tools.main import app

K = EventKind
A = parse_address
ROOT = Path(__file__).parents[2]
MAC = bytes.fromhex("020000000007")
LEASE = Event(NOW, K.BOUND, A("10.0.0.7"), b"\x01\xff\x07", MAC, NOW + 60, subject="Laptop")
RELEASE = LEASE._replace(kind=K.RELEASED, at=NOW + 10)
OTHER = Event(NOW + 20, K.BOUND, A("10.0.1.8"), b"\x00\x01" + bytes(6), bytes(6), NOW + 90)
SILENT = Event(NOW + 30, K.MEMBER_SILENT, member=2, subject="laptop")
EVENTS = [LEASE, RELEASE, OTHER, SILENT]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """It is open, as by a member that runs."""
    store = create_store(tmp_path / "store.db", member=1, engine_id=ENGINE_ID)
    with store.write() as tx:
        tx.put_events(EVENTS)
    return store


def events(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["events", str(folder), *arguments])


def numbers(folder: Path, *arguments: str) -> list[int]:
    done = events(folder, "--json", *arguments)
    assert done.exit_code == 0, done.output
    return [json.loads(line)["number"] for line in done.stdout.splitlines()]


def test_each_event_is_a_line_with_its_time(store: Store, tmp_path: Path) -> None:
    done = events(tmp_path)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"2027-01-15 08:00:{10 * n:02} UTC  {sentence(event)}" for n, event in enumerate(EVENTS)
    ]
    assert done.stderr == ""


ASKED: list[tuple[list[str], list[int]]] = [
    ([], [1, 2, 3, 4]),
    (["--kind", "bound"], [1, 3]),
    (["--kind", "member-silent", "--kind", "RELEASED"], [2, 4]),
    (["--address", "10.0.0.7"], [1, 2]),
    (["--address", "10.0.0.0/24"], [1, 2]),
    (["--address", "10.0.0.0/23"], [1, 2, 3]),
    (["--address", "0.0.0.0/0"], [1, 2, 3, 4]),
    (["--client", "0200.0000.0007"], [1, 2]),
    (["--client", "ff:07"], [1, 2]),
    (["--client", "laptop"], [1, 2]),
    (["--client", "nobody"], []),
    (["--since", "2027-01-15T08:00:20+00:00"], [3, 4]),
    (["--after", "3"], [4]),
    (["--after", "4"], []),
    (["--kind", "bound", "--address", "10.0.1.0/24", "--client", "laptop"], []),
]


def test_what_is_asked_for_is_shown(store: Store, tmp_path: Path) -> None:
    for arguments, found in ASKED:
        assert numbers(tmp_path, *arguments) == found, arguments


def test_a_span_is_before_now() -> None:
    for text, seconds in (("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604_800)):
        assert parse_wanted([], "", "", text, NOW + 0.9) == Wanted(since=NOW - seconds)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--kind", "bond"], "--kind: 'bond' is none; one of bound, renewed"),
        (["--address", "10.0.0.256"], "--address: '10.0.0.256' is no"),
        (["--address", "10.0.0.0/33"], "--address: '33' is no prefix length; write 192.0.2.17"),
        (["--address", "10.0.0.0/"], "--address: '' is no prefix length"),
        (["--client", "10.0.0.7"], "--client: 10.0.0.7 is an address; write --address 10.0.0.7"),
        (["--client", "a:b:zz"], "'a:b:zz' is no MAC and no client id"),
        (["--since", "yesterday"], "--since: 'yesterday' is no time; write \"90s\""),
        (["--since", "0001-01-01"], "--since: '0001-01-01' is no time"),
    ],
)
def test_what_cannot_be_asked_says_what_can(arguments: list[str], words: str) -> None:
    name, word = arguments
    asked = {"--address": "", "--client": "", "--since": ""} | {name: word}
    kinds = [word] if name == "--kind" else []
    with pytest.raises(ConfigError) as caught:
        parse_wanted(kinds, asked["--address"], asked["--client"], asked["--since"], NOW)
    assert words in str(caught.value)


def follow(
    folder: Path,
    steps: list[Callable[[], None]],
    capsys: pytest.CaptureFixture[str],
    **more: object,
) -> tuple[list[str], str]:
    """Whoever follows is paused when there is nothing new: then the next step is done, and after
    the last one he presses Ctrl-C. Returns lines, and what was said beside them."""
    left = iter(steps)

    def pause(_: float) -> None:
        step = next(left, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    asked: dict[str, object] = {"after": None, "as_objects": False, "wanted": Wanted()} | more
    command.show(folder, follow=True, pause=pause, **asked)  # type: ignore[arg-type]
    done = capsys.readouterr()
    return done.out.splitlines(), done.err


def add(store: Store, *told: Event) -> Callable[[], None]:
    def act() -> None:
        with store.write() as tx:
            tx.put_events(told)

    return act


def test_who_follows_sees_what_comes_until_he_has_enough(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, said = follow(tmp_path, [add(store, LEASE, OTHER), add(store, SILENT)], capsys)
    assert [line[25:] for line in lines] == [sentence(one) for one in (LEASE, OTHER, SILENT)]
    assert said == ""


def test_who_follows_from_a_time_sees_what_was_as_well(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = Wanted(since=NOW + 20, kinds=frozenset({K.BOUND}))
    lines, _ = follow(tmp_path, [add(store, SILENT, OTHER)], capsys, wanted=wanted)
    assert [line[25:] for line in lines] == [sentence(OTHER)] * 2


@pytest.mark.parametrize("as_objects", [False, True])
def test_who_falls_behind_is_told_how_many_events_he_missed(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, as_objects: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(store_events, "EVENTS_KEPT_MAX", 10)
    monkeypatch.setattr(store_events, "EVENTS_TRIM", 1)
    lines, said = follow(tmp_path, [add(store, *[LEASE] * 30)], capsys, as_objects=as_objects)
    if as_objects:
        assert json.loads(lines.pop(0)) == {"missed": 20}
        assert [json.loads(line)["number"] for line in lines] == list(range(25, 35))
    else:
        assert said == "dhcpsync: 20 events were forgotten before they were read\n"
        assert len(lines) == 10
    store.close()
    done = events(tmp_path)
    assert (done.stderr, len(done.stdout.splitlines())) == ("", 10), "what is kept, and no more"
    assert "20 events" not in done.output
    assert "4 events were forgotten" in events(tmp_path, "--after", "20").stderr


def test_all_pages_are_shown(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "EVENTS_PAGE", 3)
    assert numbers(tmp_path) == [1, 2, 3, 4]


def test_the_store_is_left_as_it_is(store: Store, tmp_path: Path) -> None:
    """Also where no process has it open."""
    before = {file.name for file in tmp_path.iterdir()}
    events(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == before
    store.close()
    before_it = (tmp_path / "store.db").read_bytes()
    assert numbers(tmp_path) == [1, 2, 3, 4]
    assert (tmp_path / "store.db").read_bytes() == before_it
    with closing(open_to_read(tmp_path / "store.db")) as reader:
        with pytest.raises(AssertionError, match="open to be read"), reader.write():
            pass
        with reader.read() as tx:
            tx._writing = True
            with pytest.raises(StoreError, match="cannot be written"):
                tx.put_events(EVENTS)
            tx.failed = False


def test_a_reader_in_the_middle_of_a_transaction_keeps_nobody_from_writing(
    store: Store, tmp_path: Path
) -> None:
    with closing(open_to_read(tmp_path / "store.db")) as reader, reader.read() as tx:
        assert tx.last_event() == 4
        add(store, SILENT)()
        assert tx.last_event() == 4
    assert numbers(tmp_path, "--after", "4") == [5]


def dhcpsync(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.main", *arguments],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=60,
    )  # fmt: skip


def test_errors_are_one_line_each(store: Store, tmp_path: Path) -> None:
    done = dhcpsync("events", str(tmp_path / "nowhere"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"dhcpsync: store {tmp_path}/nowhere/store.db: does not exist; ")
    done = dhcpsync("events", str(tmp_path), "--kind", "bond")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    done = dhcpsync("events", str(tmp_path), "--after", "5")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("dhcpsync: the latest event of this member is 4: 5 is another")


def test_a_store_of_another_revision_is_refused(store: Store, tmp_path: Path) -> None:
    store.close()
    older = REVISIONS[-2]
    for revision, words in ((older, f"revision {older} of an older dhcpsync; start its member"),
                            ("0099", "and this dhcpsync knows revisions up to")):  # fmt: skip
        with closing(sqlite3.connect(tmp_path / "store.db")) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        with pytest.raises(StoreError, match=words):
            open_to_read(tmp_path / "store.db")
    (tmp_path / "store.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="is no SQLite database"):
        open_to_read(tmp_path / "store.db")


def test_a_pipe_that_is_closed_early_ends_it_without_a_word(store: Store, tmp_path: Path) -> None:
    add(store, *[LEASE] * 5_000)()
    read, write = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-m", "tools.main", "events", str(tmp_path)],
        stdout=write, stderr=subprocess.PIPE, cwd=ROOT,
    ) as process:  # fmt: skip
        os.close(write)
        assert os.read(read, 10) == b"2027-01-15"
        os.close(read)
        _, said = process.communicate(timeout=60)
    assert said == b""
    assert process.returncode == 1
