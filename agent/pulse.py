"""Whether the engine lives, told from what it writes into the store.

The engine says once a second, by the loop that serves its clients, that it goes around
(`EngineBeat`). One that hangs, was stopped or has ended says nothing more, and the agent beside it,
which answers the peers all the while, would vouch for a member that serves nobody. Instants are of
the boot-time clock, which both processes of a machine share and nobody sets.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.health import WELL, Health
from agent.limits import ENGINE_SILENT_MS, ENGINE_STARTS_MS
from agent.model import EngineBeat, Trouble


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a member knows of itself beyond its store. `engine_heard_at`: when its engine was known
    to live, 0: it never was. `disk_free`: octets of the store's file system that are left. `health`
    is what it thinks of all, the group included."""

    trouble: Trouble = Trouble.NONE
    engine_heard_at: int = 0
    disk_free: int = 0
    health: Health = WELL


class Pulse:
    """`began_ms`: since when this process looks; an engine that starts together with it has
    ENGINE_STARTS_MS to begin, and so has one whose store has just come back."""

    def __init__(self, began_ms: int) -> None:
        self._began_ms = began_ms
        self._beats = 0
        self.heard_ms: int | None = None
        """When the engine was last known to live; None: never."""

    def note(self, beat: EngineBeat | None, now_ms: int) -> None:
        """What the store says now. An instant ahead of now is of an earlier boot of the machine:
        it says nothing about when."""
        if beat is None or beat.beats == self._beats:
            return
        is_first, self._beats = self._beats == 0, beat.beats
        if beat.boot_ms <= now_ms:
            self.heard_ms = beat.boot_ms
        else:
            self.heard_ms = None if is_first else now_ms

    def excuse(self, now_ms: int) -> None:
        """Nothing can be written now: the engine has its time anew from here on."""
        self._began_ms = now_ms

    def is_silent(self, now_ms: int) -> bool:
        return now_ms >= self.silent_at_ms

    @property
    def silent_at_ms(self) -> int:
        """When it counts as silent, if nothing more is heard of it."""
        starts_ms = self._began_ms + ENGINE_STARTS_MS
        if self.heard_ms is None:
            return starts_ms
        return max(self.heard_ms + ENGINE_SILENT_MS, starts_ms)
