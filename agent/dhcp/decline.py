"""How many DECLINEs are believed (rule 6 of the group's protocol).

A DECLINE takes an address from everybody for a day, and anyone who can send one can take a pool
apart. So it is capped by client, by link (relay circuit, relay or interface), as a share of the
pool, and altogether. So is an answer to a probe, by the machine that answers: a proxy, or a
hostile host, answers for everything. The counts are in memory: a restart forgets them, which at
most lets as many again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable

from agent.limits import (
    DECLINE_HOLD_S,
    DECLINES_MAX,
    DECLINES_PER_CLIENT_MAX,
    DECLINES_PER_LINK_MAX,
    DECLINES_POOL_DIVISOR,
)
from agent.model import Pool


class DeclineLimiter:
    """Admits DECLINEs, and answers to probes, while every count stays under its cap."""

    def __init__(self) -> None:
        self._admitted: deque[tuple[int, tuple[Hashable, ...]]] = deque()
        self._counts: Counter[Hashable] = Counter()

    def admit(self, client_key: bytes, link: Hashable, pool: Pool | None, now: int) -> bool:
        """Whether this DECLINE is to be believed; if so it is counted."""
        return self._admit(("client", client_key), ("link", link), pool, now)

    def admit_answer(
        self, hardware_address: bytes, address: int, pool: Pool | None, now: int
    ) -> bool:
        """Whether this answer to a probe makes its address UNAVAILABLE. An echo (b"") does not say
        which machine it was."""
        machine = ("machine", hardware_address or address)
        return self._admit(machine, ("link", "probes"), pool, now)

    def _admit(
        self, who: tuple[str, Hashable], link: tuple[str, Hashable], pool: Pool | None, now: int
    ) -> bool:
        while self._admitted and self._admitted[0][0] + DECLINE_HOLD_S <= now:
            self._counts.subtract(self._admitted.popleft()[1])
            self._counts += Counter()  # forget what has come down to zero
        caps: list[tuple[Hashable, int]] = [
            (who, DECLINES_PER_CLIENT_MAX),
            (link, DECLINES_PER_LINK_MAX),
        ]
        if pool is not None:
            size = pool.last - pool.first + 1
            caps.append(((pool.first, pool.last), max(1, size // DECLINES_POOL_DIVISOR)))
        if len(self._admitted) >= DECLINES_MAX:
            return False
        if any(self._counts[key] >= cap for key, cap in caps):
            return False
        keys = tuple(key for key, _ in caps)
        self._counts.update(keys)
        self._admitted.append((now, keys))
        return True
