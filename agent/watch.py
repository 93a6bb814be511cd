"""The agent looks after its own member: whether the engine beside it lives, and whether the store
has room. What it finds is in the MIB, and every Hello tells the worst of it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from agent.clock import boot_ms
from agent.errors import StoreError
from agent.limits import DISK_LOW_OCTETS, WATCH_LEAST_MS, WATCH_MS
from agent.model import Trouble
from agent.port import Store
from agent.pulse import Pulse, Vitals

log = logging.getLogger("dhcpsync.agent")

_WORDS = {
    Trouble.NONE: "the member is well again: its engine serves, and its disk has room",
    Trouble.DISK_LOW: "the disk of the store is nearly full",
    Trouble.ENGINE_SILENT: "the engine is silent: no client of this member is answered",
}


@dataclass(frozen=True, slots=True)
class Watched:
    """What is looked at. `has_engine`: a database member has none. `store_fails`: nothing can be
    written now, by the engine no more than by the agent, so that its silence says nothing."""

    folder: Path
    store: Store
    clock: Callable[[], int]
    has_engine: bool
    store_fails: Callable[[], bool]
    boot_clock: Callable[[], int] = boot_ms


class Watch:
    """`vitals` is what was found last; `on_trouble` hears of it after every look."""

    def __init__(self, watched: Watched, on_trouble: Callable[[Trouble], None]) -> None:
        self._watched = watched
        self._on_trouble = on_trouble
        self._pulse = Pulse(watched.boot_clock())
        self.vitals = Vitals()

    async def run(self, executor: Executor) -> None:
        """Until cancelled, on the event loop; the looking is done by a thread of `executor`."""
        loop = asyncio.get_running_loop()
        while True:
            before = self.vitals.trouble
            try:
                self.vitals = await loop.run_in_executor(executor, self.look)
            except (StoreError, OSError) as error:
                log.error("the member cannot look after itself: %s", error)
            if self.vitals.trouble is not before:
                log.error("%s", _WORDS[self.vitals.trouble])
            self._on_trouble(self.vitals.trouble)
            await asyncio.sleep(self._delay_ms() / 1000)

    def _delay_ms(self) -> int:
        """Up to the instant at which the engine would count as silent, so that it is seen then."""
        rest_ms = self._pulse.silent_at_ms - self._watched.boot_clock()
        return max(WATCH_LEAST_MS, min(rest_ms, WATCH_MS)) if rest_ms > 0 else WATCH_MS

    def look(self) -> Vitals:
        """Raises StoreError and OSError."""
        watched, pulse = self._watched, self._pulse
        with watched.store.read() as tx:
            beat = tx.engine_beat()
        now_ms = watched.boot_clock()
        pulse.note(beat, now_ms)
        if watched.store_fails():
            pulse.excuse(now_ms)
        room = os.statvfs(watched.folder)
        free = room.f_bavail * room.f_frsize
        heard_at = 0
        if pulse.heard_ms is not None:
            heard_at = (watched.clock() - (now_ms - pulse.heard_ms)) // 1000
        trouble = Trouble.NONE
        if watched.has_engine and pulse.is_silent(now_ms):
            trouble = Trouble.ENGINE_SILENT
        elif free < DISK_LOW_OCTETS:
            trouble = Trouble.DISK_LOW
        return Vitals(trouble, heard_at, free)
