"""How often something is logged that anybody may cause as fast as the network carries it."""

from __future__ import annotations

import logging
from collections.abc import Callable

log = logging.getLogger("dhcpsync.snmp")

_MINUTE_S = 60


class Seldom:
    """So many lines a minute of each kind; what came more often is told with the next line. Kinds
    are few: words of ours, and users that are known."""

    def __init__(self, per_minute: int, clock_s: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._clock_s = clock_s
        self._counts: dict[str, tuple[int, int]] = {}

    def admits(self, kind: str) -> bool:
        minute = int(self._clock_s()) // _MINUTE_S
        began, count = self._counts.get(kind, (minute, 0))
        if began != minute:
            if count > self._per_minute:
                log.warning("%d more of %s were not logged", count - self._per_minute, kind)
            count = 0
        self._counts[kind] = minute, count + 1
        return count < self._per_minute
