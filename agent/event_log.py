"""The log as a reader of events: the agent tells those kinds that member.toml names.

It reads what is committed, a page at a time, on a thread of its own, once a second: the engine does
not know that it is there. How far it has come is kept in the store, so that a restart of the member
leaves nothing out; but seldom, since that is a commit. After a crash the last seconds are told
again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor

from agent.errors import StoreError
from agent.events.event import ON_REQUEST, EventCursor, EventKind
from agent.events.sentences import as_json, sentence
from agent.limits import EVENTS_LOG_S, EVENTS_LOG_SAVE_S, EVENTS_PAGE
from agent.port import Store

CURSOR = "log"
log = logging.getLogger("dhcpsync.events")


class EventLog:
    """Tells events of `kinds`; of none: it lets go of its cursor. `clock_s` only measures."""

    def __init__(
        self, store: Store, kinds: frozenset[EventKind], clock_s: Callable[[], float]
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._clock_s = clock_s
        self._cursor: EventCursor | None = None
        self._saved_s = 0.0
        self._saved = 0

    async def run(self, executor: Executor) -> None:
        """Until cancelled; the cursor is saved then."""
        loop = asyncio.get_running_loop()
        failing = False
        try:
            while True:
                try:
                    behind = await loop.run_in_executor(executor, self.step)
                    failing = False
                except StoreError as error:
                    if not failing:
                        log.error("events cannot be told: %s", error)
                    behind, failing = False, True
                if not behind:
                    await asyncio.sleep(EVENTS_LOG_S)
        finally:
            self.close()

    def close(self) -> None:
        """Keep how far it has come. What cannot be kept is told again after the next start."""
        try:
            self._save()
        except StoreError as error:
            log.error("how far events were told cannot be kept: %s", error)

    def step(self) -> bool:
        """Tell one page; whether there may be more. Raises StoreError."""
        cursor = self._cursor or self._begin()
        if not self._kinds:
            return False
        with self._store.read() as tx:
            page = tx.events_after(cursor.number, EVENTS_PAGE)
        if page.missed:
            log.warning("%d events were forgotten before they could be told", page.missed)
        for one in page.events:
            if one.event.kind in self._kinds:
                log.info("%s", sentence(one.event), extra={"event": as_json(one)})
        self._cursor = cursor._replace(number=page.through)
        if self._clock_s() - self._saved_s >= EVENTS_LOG_SAVE_S:
            self._save()
        return page.through > cursor.number

    def _begin(self) -> EventCursor:
        """It goes on where it was, and begins with what comes where it never was."""
        wants = self._kinds & ON_REQUEST
        with self._store.read() as tx:
            kept, last = tx.event_cursor(CURSOR), tx.last_event()
        cursor = EventCursor(CURSOR, kept.number if kept else last, wants)
        if not self._kinds:
            if kept is not None:
                with self._store.write() as tx:
                    tx.forget_event_cursor(CURSOR)
        elif cursor != kept:
            with self._store.write() as tx:
                tx.put_event_cursor(cursor)
        self._cursor, self._saved, self._saved_s = cursor, cursor.number, self._clock_s()
        return cursor

    def _save(self) -> None:
        cursor = self._cursor
        if cursor is None or not self._kinds or cursor.number == self._saved:
            return
        with self._store.write() as tx:
            tx.put_event_cursor(cursor)
        self._saved, self._saved_s = cursor.number, self._clock_s()
