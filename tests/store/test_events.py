"""Events in the store: in order, bounded, and with readers who may come too late."""

from __future__ import annotations

from contextlib import suppress

import pytest

from agent import limits
from agent.events.event import Event, EventCursor, EventKind, ExpirySweep, Numbered
from agent.model import BindingState
from agent.port import StoreTransaction
from store import Store
from store import events as store_events
from tests.store.samples import BASE, NOW, binding, save

FULL = Event(
    NOW, EventKind.CONFIGURED, BASE, b"\x01\xff", b"\x02\x00", NOW + 9, 3, "admin", "pool Küche",
    "a", "b",
)  # fmt: skip


def some(first: int, count: int) -> list[Event]:
    return [Event(NOW + n, EventKind.BOUND, BASE + n) for n in range(first, first + count)]


def numbers(tx: StoreTransaction, after: int, limit: int = 10_000) -> list[int]:
    return [one.number for one in tx.events_after(after, limit).events]


def test_events_are_read_in_the_order_in_which_they_were_written(store: Store) -> None:
    with store.write() as tx:
        assert (tx.last_event(), tx.events_after(0, 10)) == (0, (0, [], 0))
        tx.put_events(some(0, 2))
        tx.put_events([FULL])
    with store.read() as tx:
        assert tx.last_event() == 3
        missed, events, through = tx.events_after(1, 10)
        assert (missed, through) == (0, 3)
        assert events == [Numbered(2, some(1, 1)[0]), Numbered(3, FULL)]
        assert isinstance(events[1].event.kind, EventKind)
        assert numbers(tx, 0, 2) == [1, 2]
        assert tx.events_after(3, 10) == (0, [], 3)


def test_an_event_is_of_its_transaction(store: Store) -> None:
    with suppress(ZeroDivisionError), store.write() as tx:
        tx.put_events([FULL])
        raise ZeroDivisionError
    with store.write() as tx:
        assert tx.last_event() == 0
        tx.put_events([FULL])
        assert numbers(tx, 0) == [1], "its number was not used"


def test_the_oldest_go_and_who_comes_late_is_told(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_events, "EVENTS_KEPT_MAX", 10)
    monkeypatch.setattr(store_events, "EVENTS_TRIM", 4)
    with store.write() as tx:
        for n in range(0, 30, 3):
            tx.put_events(some(n, 3))
            assert len(numbers(tx, 0)) <= 10 + 4
        kept = numbers(tx, 0)
        assert kept == list(range(kept[0], 31))
        assert len(kept) >= 10
        assert tx.events_after(5, 2).missed == kept[0] - 6
        assert tx.events_after(kept[0] - 1, 2).missed == 0
        assert tx.events_after(30, 2) == (0, [], 30), "nothing missed where nothing is new"


def test_a_batch_greater_than_the_bound_is_cut_to_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_events, "EVENTS_KEPT_MAX", 10)
    monkeypatch.setattr(store_events, "EVENTS_TRIM", 4)
    with store.write() as tx:
        tx.put_events(some(0, 100))
        assert numbers(tx, 0) == list(range(91, 101))


def test_a_step_is_a_small_part_of_what_is_kept() -> None:
    assert limits.EVENTS_TRIM * 10 <= limits.EVENTS_KEPT_MAX


def test_a_kind_of_a_later_version_is_passed_over(store: Store) -> None:
    with store.write() as tx:
        tx.put_events([*some(0, 1), FULL])
        tx.change("UPDATE event SET kind = 999")
        tx.put_events(some(5, 1))
        tx.change("UPDATE event SET kind = 998 WHERE number = 3")
    with store.read() as tx:
        assert tx.events_after(0, 2) == (0, [], 2), "its reader goes on behind it"


def test_leases_that_ended_within_a_span_are_found_by_parts(store: Store) -> None:
    rows = [
        binding(BASE + 1, expires_at=NOW),
        binding(BASE + 2, expires_at=NOW + 1),
        binding(BASE + 3, expires_at=NOW + 5, transaction_server=2),
        binding(BASE + 4, expires_at=NOW + 5, state=BindingState.RELEASED),
        binding(BASE + 5, expires_at=NOW + 5),
        binding(BASE + 6, expires_at=NOW + 6),
    ]
    with store.write() as tx:
        sweep = ExpirySweep(NOW, NOW + 5, 0)
        assert tx.ended_bindings(sweep, 9) == ([], None)
        assert tx.expiry_sweep() is None
        saved = {row.address: row for row in save(tx, rows)}
        tx.put_expiry_sweep(sweep)
    with store.read() as tx:
        assert tx.expiry_sweep() == sweep
        ended = [saved[BASE + 2], saved[BASE + 5]]
        assert tx.ended_bindings(sweep, 9) == (ended, None)
        assert tx.ended_bindings(sweep, 2) == (ended[:1], BASE + 2)
        assert tx.ended_bindings(sweep._replace(first=BASE + 3), 3) == (ended[1:], BASE + 5)
        assert tx.ended_bindings(sweep._replace(first=BASE + 6), 3) == ([], None)


def test_cursors_are_kept_by_name_with_what_they_want(store: Store) -> None:
    renewed = frozenset({EventKind.RENEWED})
    with store.write() as tx:
        assert tx.event_cursor("log") is None
        assert tx.wanted_events() == frozenset()
        tx.put_event_cursor(EventCursor("log", 7, renewed))
        tx.put_event_cursor(EventCursor("other", 1))
        tx.put_event_cursor(EventCursor("log", 8, renewed))
    with store.write() as tx:
        assert tx.event_cursor("log") == EventCursor("log", 8, renewed)
        assert tx.event_cursor("other") == EventCursor("other", 1, frozenset())
        assert tx.wanted_events() == renewed
        tx.forget_event_cursor("log")
        tx.forget_event_cursor("nobody")
        assert tx.event_cursor("log") is None
        assert tx.wanted_events() == frozenset()
