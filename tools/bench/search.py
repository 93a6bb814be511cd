"""Searching the highest rate that a server serves: pure, so that the search can be tested."""

from __future__ import annotations

FIRST_RATE = 250
LAST_RATE = 32_000
PRECISION = 0.05
_LEAST_RATE = 10


class RateSearch:
    """Asks for a step at `rate` (0: the search is over) and is told whether it was served.

    A single bad step may be the machine's fault, so a rate is too much when two steps say so."""

    def __init__(self, first: int = FIRST_RATE) -> None:
        self.rate = first
        self.served = 0
        self._too_much = 0
        self._failed_once = False

    @classmethod
    def around(cls, rate: int) -> RateSearch:
        """A search that knows about where to begin; 0: it does not."""
        return cls(rate * 2 // 3) if rate else cls()

    def note(self, is_served: bool) -> None:
        if not is_served and not self._failed_once:
            self._failed_once = True
            return
        self._failed_once = False
        if is_served:
            self.served = self.rate
        else:
            self._too_much = self.rate
        self.rate = self._next()

    def _next(self) -> int:
        if not self._too_much:
            return 0 if self.served == LAST_RATE else min(2 * self.rate, LAST_RATE)
        gap = self._too_much - self.served
        middle = (self.served + self._too_much) // 2
        return 0 if gap <= PRECISION * self._too_much or middle <= _LEAST_RATE else middle
