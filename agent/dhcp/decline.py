"""How many DECLINEs are believed (rule 6 of the group's protocol).

A DECLINE takes an address from everybody for a day, and anyone who can send one can take a pool
apart. So it is capped by client, by link (relay circuit, relay or interface), as a share of the
pool, and altogether. So is an answer to a probe, by the machine that answers: a proxy, or a
hostile host, answers for everything. The counts are in memory: a restart forgets them, which at
most lets as many again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Iterator, Sequence

from agent.limits import (
    DECLINE_HOLD_S,
    DECLINES_MAX,
    DECLINES_PER_CLIENT_MAX,
    DECLINES_PER_LINK_MAX,
    DECLINES_POOL_DIVISOR,
)
from agent.model import Pool

_Cap = tuple[Hashable, int]


class DeclineLimiter:
    """Admits DECLINEs, and answers to probes, while every count stays under its cap."""

    def __init__(self) -> None:
        self._admitted: deque[tuple[int, tuple[Hashable, ...]]] = deque()
        self._counts: Counter[Hashable] = Counter()

    def admit(self, client_key: bytes, link: Hashable, pool: Pool | None, now: int) -> bool:
        """Whether this DECLINE is to be believed; if so it is counted."""
        who = (("client", client_key), DECLINES_PER_CLIENT_MAX)
        return self._admit([who, *_of_many(link, pool)], now)

    def admit_answer(
        self,
        hardware_address: bytes,
        address: int,
        pool: Pool | None,
        now: int,
        *,
        expected: bool = False,
    ) -> bool:
        """Whether this answer to a probe makes its address UNAVAILABLE. An echo (b"") does not say
        which machine it was. `expected`: leases of a former server run there, so many machines
        answer, each for its own address."""
        machine = (("machine", hardware_address or address), DECLINES_PER_CLIENT_MAX)
        return self._admit([machine, *(() if expected else _of_many("probes", pool))], now)

    def _admit(self, caps: Sequence[_Cap], now: int) -> bool:
        while self._admitted and self._admitted[0][0] + DECLINE_HOLD_S <= now:
            self._counts.subtract(self._admitted.popleft()[1])
            self._counts += Counter()  # forget what has come down to zero
        if len(self._admitted) >= DECLINES_MAX:
            return False
        if any(self._counts[key] >= cap for key, cap in caps):
            return False
        keys = tuple(key for key, _ in caps)
        self._counts.update(keys)
        self._admitted.append((now, keys))
        return True


def _of_many(link: Hashable, pool: Pool | None) -> Iterator[_Cap]:
    """The caps for all clients together of a link, and of a pool."""
    yield ("link", link), DECLINES_PER_LINK_MAX
    if pool is not None:
        size = pool.last - pool.first + 1
        yield (pool.first, pool.last), max(1, size // DECLINES_POOL_DIVISOR)
