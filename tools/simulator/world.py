"""Virtual time and the network: one queue of events, one random source, nothing real.

Time jumps from deadline to deadline. Everything that happens is added to a trace hash, so that two
runs of one seed can be compared by one line.

An event is something that happened to somebody: a message or datagram taken in, a timer that a node
asked for, a timeout that ended an exchange, an action of a client, of an operator or of a fault. A
deadline that has become void (a timeout after the answer, a timer that was put off) is none, and
neither is a message that the network swallows.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

Act = Callable[[], object]
"""What happens at a deadline; it returns False where it turned out to be void."""

Pair = tuple[str, str]
"""Sender and receiver by name."""


@dataclass(slots=True)
class Link:
    """How messages fare between two ends."""

    loss: float = 0.0
    duplication: float = 0.0
    delay_ms: tuple[int, int] = (1, 5)
    tail: float = 0.0
    """Share of messages that take much longer, up to `tail_ms`."""
    tail_ms: int = 0
    """0: a hundred times the longest delay."""
    replay: float = 0.0
    """Share of messages that somebody keeps and sends again after up to `replay_ms`."""
    replay_ms: int = 0


@dataclass(slots=True)
class Clog:
    """Messages of these pairs are held, and let go in another order when it ends."""

    pairs: frozenset[Pair]
    held: list[tuple[str, str, Act]] = field(default_factory=list)


@dataclass
class World:
    """`now_ms` is true time; members and clients may see it shifted."""

    random: random.Random
    link: Link
    now_ms: int = 1_700_000_000_000
    events: int = 0
    cuts: Counter[Pair] = field(default_factory=Counter)
    """Directed pairs of names between which nothing passes, and for how many reasons."""
    storms: list[tuple[frozenset[str], Link]] = field(default_factory=list)
    """Worse links around the named ends, while a fault lasts; no names: everywhere."""
    clogs: list[Clog] = field(default_factory=list)
    broken: set[Pair] = field(default_factory=set)
    """Directed pairs that stay cut when everything else is healed."""
    sent: int = 0
    _queue: list[tuple[int, int, Act]] = field(default_factory=list)
    _count: int = 0
    _calm_since: int = -1
    _trace: hashlib._Hash = field(default_factory=hashlib.sha256)

    def at(self, when_ms: int, act: Act) -> None:
        """Let `act` happen at `when_ms`, after everything planned for that instant so far."""
        self._count += 1
        heapq.heappush(self._queue, (max(when_ms, self.now_ms), self._count, act))

    def after(self, delay_ms: int, act: Act) -> None:
        self.at(self.now_ms + delay_ms, act)

    def run_until(self, end_ms: int) -> None:
        queue = self._queue
        while queue and queue[0][0] <= end_ms:
            self.now_ms, _, act = heapq.heappop(queue)
            if act() is not False:
                self.events += 1
        self.now_ms = end_ms

    # --- the network

    def send(self, sender: str, receiver: str, deliver: Act) -> None:
        """Pass a message on: perhaps never, perhaps twice, in any order. A cut is asked when the
        message arrives, so that it also swallows what is under way."""
        self.sent += 1
        self._fly(self.link, sender, receiver, deliver)

    def _fly(self, link: Link, sender: str, receiver: str, deliver: Act) -> None:
        for names, storm in self.storms:
            if not names or sender in names or receiver in names:
                link = storm
        r = self.random
        if link.loss and r.random() < link.loss:
            return
        copies = 2 if link.duplication and r.random() < link.duplication else 1
        for _ in range(copies):
            delay = r.randint(*link.delay_ms)
            if link.tail and r.random() < link.tail:
                if link.tail_ms:
                    delay = int(link.tail_ms ** r.random()) + delay
                else:
                    delay *= r.randint(2, 100)
            self.after(delay, lambda: self._arrive(sender, receiver, deliver))
        if link.replay and r.random() < link.replay:
            kept_at = self.now_ms
            delay = int(link.replay_ms ** r.random())
            self.after(delay, lambda: self._replay(kept_at, sender, receiver, deliver))

    def _arrive(self, sender: str, receiver: str, deliver: Act) -> object:
        pair = (sender, receiver)
        if self.cuts and pair in self.cuts:
            return False
        for clog in self.clogs:
            if pair in clog.pairs:
                clog.held.append((sender, receiver, deliver))
                return False
        return deliver()

    def _replay(self, kept_at: int, sender: str, receiver: str, deliver: Act) -> object:
        """Somebody who kept it sends it again; he is gone once everything is healed."""
        if kept_at <= self._calm_since:
            return False
        return self._arrive(sender, receiver, deliver)

    def cut(self, pairs: Iterable[Pair]) -> None:
        self.cuts.update(pairs)

    def mend(self, pairs: Iterable[Pair]) -> None:
        """Take away one reason for each of these cuts."""
        for pair in pairs:
            self.cuts[pair] -= 1
            if self.cuts[pair] <= 0:
                del self.cuts[pair]

    def clog(self, pairs: Iterable[Pair]) -> Clog:
        clog = Clog(frozenset(pairs))
        self.clogs.append(clog)
        return clog

    def unclog(self, clog: Clog) -> None:
        """Let the held messages go, one by one and in another order."""
        if clog not in self.clogs:
            return
        self.clogs.remove(clog)
        self.random.shuffle(clog.held)
        for number, (sender, receiver, deliver) in enumerate(clog.held):
            self.after(
                number * 3,
                lambda s=sender, t=receiver, d=deliver: self._arrive(s, t, d),  # type: ignore[misc]
            )
        clog.held.clear()

    def heal(self) -> None:
        """A quiet network from now on."""
        self.cuts.clear()
        self.cut(self.broken)
        self.storms.clear()
        for clog in list(self.clogs):
            self.unclog(clog)
        self.link = Link()
        self._calm_since = self.now_ms

    # --- the trace

    def trace(self, *what: object) -> None:
        """Add an event to the trace. Only values with a stable `repr` may be passed."""
        self._trace.update(repr((self.now_ms, *what)).encode())

    def trace_hash(self) -> str:
        return self._trace.hexdigest()[:16]
