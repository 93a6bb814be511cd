"""The log tells events: once each, those that are asked for, and never in the engine's way."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agent import event_log
from agent.errors import StoreError
from agent.event_log import CURSOR, EventLog
from agent.events.event import Event, EventKind
from agent.events.sentences import sentence
from agent.limits import EVENTS_LOG_SAVE_S
from agent.logs import JsonFormatter
from agent.port import StoreTransaction
from store import Store, create_store
from store import events as store_events
from tests.dhcp.world import FailingStore
from tests.store.conftest import ENGINE_ID
from tests.store.samples import BASE, NOW

ALL = frozenset(EventKind)
BOUND = frozenset({EventKind.BOUND})


def write(store: Store, first: int, count: int, kind: EventKind = EventKind.BOUND) -> None:
    with store.write() as tx:
        tx.put_events([Event(NOW, kind, BASE + n) for n in range(first, first + count)])


class Reader:
    """An event log, its clock, and what it told."""

    def __init__(
        self, store: Store, caplog: pytest.LogCaptureFixture, kinds: frozenset[EventKind] = ALL
    ) -> None:
        self.now_s = 0.0
        self.store = FailingStore(store)
        self.log = EventLog(self.store, kinds, lambda: self.now_s)
        self._caplog = caplog
        caplog.set_level(logging.INFO, "dhcpsync.events")

    def told(self) -> list[str]:
        while self.log.step():
            pass
        words = [record.getMessage() for record in self._caplog.records]
        self._caplog.clear()
        return words


def words(first: int, count: int) -> list[str]:
    return [sentence(Event(NOW, EventKind.BOUND, BASE + n)) for n in range(first, first + count)]


def kept(store: Store) -> int | None:
    with store.read() as tx:
        cursor = tx.event_cursor(CURSOR)
    return cursor.number if cursor else None


def test_it_begins_with_what_comes_and_tells_it_once(caplog: pytest.LogCaptureFixture) -> None:
    store = Store.in_memory()
    write(store, 0, 3)
    reader = Reader(store, caplog)
    assert reader.told() == []
    write(store, 3, 2)
    assert reader.told() == words(3, 2)
    assert reader.told() == []


def test_it_tells_the_kinds_that_are_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    store = Store.in_memory()
    reader = Reader(store, caplog, BOUND)
    reader.told()
    write(store, 0, 1, EventKind.RELEASED)
    write(store, 1, 1)
    assert reader.told() == words(1, 1)


def test_it_goes_on_after_a_restart_where_it_stopped(caplog: pytest.LogCaptureFixture) -> None:
    store = Store.in_memory()
    reader = Reader(store, caplog)
    reader.told()
    write(store, 0, 2)
    reader.told()
    reader.log.close()
    write(store, 2, 2)
    assert Reader(store, caplog).told() == words(2, 2)


def test_it_keeps_its_place_seldom_and_tells_no_more_than_that_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store.in_memory()
    reader = Reader(store, caplog)
    reader.told()
    write(store, 0, 2)
    reader.told()
    assert kept(store) == 0
    reader.now_s += EVENTS_LOG_SAVE_S
    write(store, 2, 1)
    reader.told()
    assert kept(store) == 3
    write(store, 3, 1)
    reader.told()
    assert Reader(store, caplog).told() == words(3, 1), "after a crash"


def test_who_is_too_slow_is_told_how_many_he_missed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_events, "EVENTS_KEPT_MAX", 10)
    monkeypatch.setattr(store_events, "EVENTS_TRIM", 1)
    monkeypatch.setattr(event_log, "EVENTS_PAGE", 4)
    store = Store.in_memory()
    reader = Reader(store, caplog)
    reader.told()
    write(store, 0, 30)
    missed, *rest = reader.told()
    assert missed == "20 events were forgotten before they could be told"
    assert rest == words(20, 10), "all pages of what is left"


def test_renewals_are_written_while_it_asks_for_them_and_no_longer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def wanted() -> frozenset[EventKind]:
        with store.read() as tx:
            return tx.wanted_events()

    store = Store.in_memory()
    Reader(store, caplog).told()
    assert wanted() == {EventKind.RENEWED}
    Reader(store, caplog, BOUND).told()
    assert wanted() == frozenset()
    Reader(store, caplog).told()
    Reader(store, caplog, frozenset()).told()
    assert wanted() == frozenset()
    assert kept(store) is None


def test_one_that_tells_nothing_writes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    store = Store.in_memory()
    before = store.snapshot()
    reader = Reader(store, caplog, frozenset())
    assert reader.told() == []
    reader.log.close()
    assert store.snapshot() == before


def test_a_place_that_cannot_be_kept_is_said_and_events_are_told_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store.in_memory()
    reader = Reader(store, caplog)
    reader.told()
    write(store, 0, 1)
    reader.told()
    reader.store.failing = True
    reader.log.close()
    assert "how far events were told cannot be kept: disk full" in caplog.text
    caplog.clear()
    assert Reader(store, caplog).told() == words(0, 1)


class Unreadable(FailingStore):
    """Its first two readings fail."""

    left = 2

    @contextmanager
    def read(self) -> Iterator[StoreTransaction]:
        if self.left:
            self.left -= 1
            raise StoreError("the disk is away")
        with super().read() as tx:
            yield tx


def test_a_store_that_fails_is_told_of_once_and_asked_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(event_log, "EVENTS_LOG_S", 0)
    store = create_store(tmp_path / "store.db", member=1, engine_id=ENGINE_ID)

    async def run() -> None:
        with ThreadPoolExecutor(1) as thread:
            told = EventLog(Unreadable(store), ALL, lambda: 0.0)
            task = asyncio.create_task(told.run(thread))
            async with asyncio.timeout(60):
                while kept(store) is None:
                    await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    asyncio.run(run())
    assert caplog.text.count("events cannot be told: the disk is away") == 1
    store.close()


# --- as JSON


def formatted(record: logging.LogRecord) -> list[dict[str, object]]:
    return [json.loads(line) for line in JsonFormatter().format(record).split("\n")]


def record(message: str, **more: object) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "dhcpsync.engine", "levelname": "INFO", "msg": "%s", "args": (message,)}
    )
    made.created = 1_800_000_000.25
    made.__dict__.update(more)
    return made


def test_each_line_of_a_message_is_an_object() -> None:
    head = {
        "time": "2027-01-15T08:00:00.250+00:00",
        "level": "info",
        "logger": "dhcpsync.engine",
    }
    assert formatted(record('one "Küche"\ntwo')) == [
        head | {"message": 'one "Küche"'},
        head | {"message": "two"},
    ]


def test_an_event_is_whole_in_its_line(caplog: pytest.LogCaptureFixture) -> None:
    store = Store.in_memory()
    reader = Reader(store, caplog)
    reader.log.step()
    write(store, 0, 1)
    reader.log.step()
    (told,) = formatted(caplog.records[-1])
    assert told["message"] == words(0, 1)[0]
    event = told["event"]
    assert isinstance(event, dict)
    assert (event["number"], event["kind"], event["address"]) == (1, "bound", "10.0.0.0")


def test_an_error_has_its_way_in_one_line() -> None:
    try:
        raise ValueError("our own bug")
    except ValueError:
        (told,) = formatted(record("it failed", exc_info=sys.exc_info()))
    assert "ValueError: our own bug" in str(told["exception"])
