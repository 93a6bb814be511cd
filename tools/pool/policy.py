"""Which member of a pool is asked first, and which after it: pure.

- round robin: by number, each time the one behind the last;
- weighted: round robin in which a member of weight 3 has three turns of those of weight 1, spread
  evenly (each turn everybody gains its weight, and who has most pays for all); weight 0 gets a
  turn only where nobody else is left;
- least used: the fewest DHCP messages a second, as the members count them; equals in round robin;
- random: evenly.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

Endpoint = tuple[str, int]


class Policy(enum.Enum):
    ROUND_ROBIN = "round-robin"
    WEIGHTED = "weighted"
    LEAST_USED = "least-used"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Element:
    """A member as a pool sees it. One that was only named has number 0 until a member is asked."""

    address: str
    port: int = 161
    member: int = 0
    name: str = ""
    weight: int = 1

    @property
    def endpoint(self) -> Endpoint:
        return self.address, self.port

    def __str__(self) -> str:
        place = self.address if self.port == 161 else f"{self.address}:{self.port}"
        return f"{self.name} ({place})" if self.name else place


class Chooser:
    """Keeps what a policy must remember from one choice to the next."""

    def __init__(self, policy: Policy, random: Random) -> None:
        self.policy = policy
        self._random = random
        self._last: tuple[int, Endpoint] | None = None
        self._credit: dict[Endpoint, int] = {}

    def order(
        self, elements: Sequence[Element], loads: Mapping[Endpoint, float] | None = None
    ) -> list[Element]:
        """All of `elements`, the chosen one first and then those to go to in turn."""
        turn = self._in_turn(elements)
        if not turn:
            return []
        if self.policy is Policy.RANDOM:
            self._random.shuffle(turn)
        elif self.policy is Policy.LEAST_USED:
            known = loads or {}
            turn.sort(key=lambda one: known.get(one.endpoint, float("inf")))
        elif self.policy is Policy.WEIGHTED:
            turn = self._by_weight(turn)
        self._last = _rank(turn[0])
        return turn

    def _in_turn(self, elements: Sequence[Element]) -> list[Element]:
        ranked = sorted(elements, key=_rank)
        if self._last is None:
            return ranked
        last = self._last
        return [e for e in ranked if _rank(e) > last] + [e for e in ranked if _rank(e) <= last]

    def _by_weight(self, turn: list[Element]) -> list[Element]:
        for one in turn:
            self._credit[one.endpoint] = self._credit.get(one.endpoint, 0) + one.weight
        turn.sort(key=lambda one: (one.weight == 0, -self._credit[one.endpoint]))
        self._credit[turn[0].endpoint] -= sum(one.weight for one in turn)
        return turn


def _rank(element: Element) -> tuple[int, Endpoint]:
    return element.member, element.endpoint
