"""Events and the cursors of who reads them, of this member alone.

Numbers are given here, one after the other, so a reader sees how many it has missed. What is too
old goes in steps, not with each event: a step is one range of the table's key.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, insert, literal_column, select

from agent.events.event import (
    LAST_OF_LEASES,
    Event,
    EventCursor,
    EventKind,
    EventPage,
    Numbered,
    kinds_of,
    mask_of,
)
from agent.limits import EVENTS_KEPT_MAX, EVENTS_TRIM
from store.session import Row, Session
from store.sqlite import compile_insert, compile_statement, compile_upsert, limited
from store.tables import EVENT, EVENT_CURSOR

_LAST = compile_statement(select(func.max(EVENT.c.number)))
_ADD = compile_insert(EVENT)
_LEASE = ("number", "at", "kind", "address", "client_key", "hardware_address", "until", "subject")
_ADD_LEASE = compile_statement(
    insert(EVENT).values(
        {name: bindparam(name) for name in _LEASE}
        | {EVENT.c.member: literal_column("0")}
        | {EVENT.c[name]: literal_column("''") for name in ("user", "old", "new")}
    ),
    *_LEASE,
)
"""For what happens by the thousand: a third less to bind."""
_AFTER = compile_statement(
    limited(
        select(EVENT).where(EVENT.c.number > bindparam("after")).order_by(EVENT.c.number), "limit"
    ),
    "after",
    "limit",
)
_TRIM = compile_statement(delete(EVENT).where(EVENT.c.number <= bindparam("through")), "through")
_CURSOR = compile_statement(
    select(EVENT_CURSOR).where(EVENT_CURSOR.c.name == bindparam("name")), "name"
)
_PUT_CURSOR = compile_upsert(EVENT_CURSOR)
_FORGET_CURSOR = compile_statement(
    delete(EVENT_CURSOR).where(EVENT_CURSOR.c.name == bindparam("name")), "name"
)
_WANTS = compile_statement(select(EVENT_CURSOR.c.wants))

_KINDS = {int(kind): kind for kind in EventKind}


def _row(number: int, event: Event) -> Row:
    # As of a binding: sqlite3 binds plain numbers and bytearrays at once (store/bindings.py).
    at, kind, address, key, hardware, until, member, user, subject, old, new = event
    return (
        number, at, +kind, address, bytearray(key), bytearray(hardware), until, member, user,
        subject, old, new,
    )  # fmt: skip


def _lease_row(number: int, event: Event) -> Row:
    at, kind, address, key, hardware, until, _, _, subject, _, _ = event
    return number, at, +kind, address, bytearray(key), bytearray(hardware), until, subject


class EventRows(Session):
    """The part of the port about events."""

    def put_events(self, events: Sequence[Event]) -> None:
        if not events:
            return
        last = self.last_event()
        numbered = enumerate(events, last + 1)
        if max(event.kind for event in events) <= LAST_OF_LEASES:
            self.change_many(_ADD_LEASE, [_lease_row(n, event) for n, event in numbered])
        else:
            self.change_many(_ADD, [_row(n, event) for n, event in numbered])
        now_last = last + len(events)
        if now_last // EVENTS_TRIM > last // EVENTS_TRIM:
            self.change(_TRIM, (now_last - EVENTS_KEPT_MAX,))

    def last_event(self) -> int:
        last: int | None = self.rows(_LAST)[0][0]
        return last or 0

    def events_after(self, number: int, limit: int) -> EventPage:
        rows = self.rows(_AFTER, (number, limit))
        events = [
            Numbered(row[0], Event(row[1], _KINDS[row[2]], *row[3:]))
            for row in rows
            if row[2] in _KINDS
        ]
        missed = rows[0][0] - number - 1 if rows else 0
        return EventPage(missed, events, rows[-1][0] if rows else number)

    def event_cursor(self, name: str) -> EventCursor | None:
        rows = self.rows(_CURSOR, (name,))
        return EventCursor(name, rows[0][1], kinds_of(rows[0][2])) if rows else None

    def put_event_cursor(self, cursor: EventCursor) -> None:
        self.change(_PUT_CURSOR, (cursor.name, cursor.number, mask_of(cursor.wants)))

    def forget_event_cursor(self, name: str) -> None:
        self.change(_FORGET_CURSOR, (name,))

    def wanted_events(self) -> frozenset[EventKind]:
        """What any consumer asks for."""
        wanted = 0
        for (wants,) in self.rows(_WANTS):
            wanted |= wants
        return kinds_of(wanted)
