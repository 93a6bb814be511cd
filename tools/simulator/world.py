"""Virtual time and the network: one queue of events, one random source, nothing real.

Time jumps from event to event. Everything that happens is added to a trace hash, so that two runs
of one seed can be compared by one line.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Link:
    """How messages fare between two ends, drawn anew for every seed."""

    loss: float = 0.0
    duplication: float = 0.0
    delay_ms: tuple[int, int] = (1, 5)
    tail: float = 0.0
    """Share of messages that take up to a hundred times the longest delay."""


@dataclass
class World:
    """`now_ms` is true time; members and clients may see it shifted."""

    random: random.Random
    link: Link
    now_ms: int = 1_700_000_000_000
    events: int = 0
    cuts: set[tuple[str, str]] = field(default_factory=set)
    """Directed pairs of names between which nothing passes."""
    _queue: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _count: int = 0
    _trace: hashlib._Hash = field(default_factory=hashlib.sha256)

    def at(self, when_ms: int, act: Callable[[], None]) -> None:
        """Let `act` happen at `when_ms`, after everything planned for that instant so far."""
        self._count += 1
        heapq.heappush(self._queue, (max(when_ms, self.now_ms), self._count, act))

    def after(self, delay_ms: int, act: Callable[[], None]) -> None:
        self.at(self.now_ms + delay_ms, act)

    def run_until(self, end_ms: int) -> None:
        while self._queue and self._queue[0][0] <= end_ms:
            self.now_ms, _, act = heapq.heappop(self._queue)
            self.events += 1
            act()
        self.now_ms = end_ms

    def send(self, sender: str, receiver: str, deliver: Callable[[], None]) -> None:
        """Pass a message on: perhaps never, perhaps twice, in any order. A cut is asked when the
        message arrives, so that it also swallows what is under way."""
        if self.random.random() < self.link.loss:
            return
        copies = 2 if self.random.random() < self.link.duplication else 1
        for _ in range(copies):
            delay = self.random.randint(*self.link.delay_ms)
            if self.random.random() < self.link.tail:
                delay *= self.random.randint(2, 100)
            self.after(delay, lambda: self._arrive(sender, receiver, deliver))

    def _arrive(self, sender: str, receiver: str, deliver: Callable[[], None]) -> None:
        if (sender, receiver) not in self.cuts:
            deliver()

    def cut(self, one: str, other: str) -> None:
        self.cuts.update({(one, other), (other, one)})

    def heal(self) -> None:
        self.cuts.clear()

    def trace(self, *what: object) -> None:
        """Add an event to the trace. Only values with a stable `repr` may be passed."""
        self._trace.update(repr((self.now_ms, *what)).encode())

    def trace_hash(self) -> str:
        return self._trace.hexdigest()[:16]
