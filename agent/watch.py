"""The agent looks after its own member: whether the engine beside it lives, whether the store has
room, and what it has to say of the group (`agent.reasons`). What it finds is in the MIB and the
log, operators are notified of it, and every Hello tells the worst of what is its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from agent.clock import boot_ms
from agent.errors import StoreError
from agent.health import WELL, Health
from agent.limits import DISK_LOW_OCTETS, HEALTH_QUIET_MS, WATCH_LEAST_MS, WATCH_MS
from agent.model import Trouble
from agent.port import Store
from agent.pulse import Pulse, Vitals

log = logging.getLogger("dhcpsync.agent")


@dataclass(frozen=True, slots=True)
class Watched:
    """What is looked at. `has_engine`: a database member has none. `store_fails`: nothing can be
    written now, by the engine no more than by the agent, so that its silence says nothing.
    `judge`: what is to be said of the member that has these vitals, and of its group."""

    folder: Path
    store: Store
    clock: Callable[[], int]
    has_engine: bool
    store_fails: Callable[[], bool]
    judge: Callable[[Vitals], Health]
    boot_clock: Callable[[], int] = boot_ms


class Watch:
    """`vitals` is what was found last. `on_trouble` hears of it after every look, `on_health` of a
    health that is another than the one before: not after a start, or after it has come into its
    group, when nobody was heard yet."""

    def __init__(
        self,
        watched: Watched,
        on_trouble: Callable[[Trouble], None],
        on_health: Callable[[Health], None],
    ) -> None:
        self._watched = watched
        self._on_trouble = on_trouble
        self._on_health = on_health
        self._told = WELL
        self._quiet_until_ms = watched.boot_clock() + HEALTH_QUIET_MS
        self._pulse = Pulse(watched.boot_clock())
        self.vitals = Vitals()

    async def run(self, executor: Executor) -> None:
        """Until cancelled, on the event loop; the looking is done by a thread of `executor`."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                self.vitals = await loop.run_in_executor(executor, self.look)
            except (StoreError, OSError) as error:
                log.error("the member cannot look after itself: %s", error)
            self._on_trouble(self.vitals.trouble)
            self._tell(self.vitals.health)
            await asyncio.sleep(self._delay_ms() / 1000)

    def _tell(self, health: Health) -> None:
        """Only the words change while the same things are wrong: that is nothing new."""
        known = (self._told.severity, self._told.kinds)
        is_quiet = self._watched.boot_clock() < self._quiet_until_ms
        if is_quiet or (health.severity, health.kinds) == known:
            return
        self._told = health
        self._on_health(health)

    def _delay_ms(self) -> int:
        """Up to the instant at which the engine would count as silent, so that it is seen then."""
        rest_ms = self._pulse.silent_at_ms - self._watched.boot_clock()
        return max(WATCH_LEAST_MS, min(rest_ms, WATCH_MS)) if rest_ms > 0 else WATCH_MS

    def look(self) -> Vitals:
        """Raises StoreError and OSError."""
        watched, pulse = self._watched, self._pulse
        with watched.store.read() as tx:
            beat, group = tx.engine_beat(), tx.group()
        now_ms = watched.boot_clock()
        if group is None:  # nobody counts on it yet, and somebody is just about to let it in
            self._quiet_until_ms = now_ms + HEALTH_QUIET_MS
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
        vitals = Vitals(trouble, heard_at, free)
        return replace(vitals, health=watched.judge(vitals))
