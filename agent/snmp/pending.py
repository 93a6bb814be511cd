"""Requests that are being answered: how many, and how many octets, whoever sent them.

Each source has a queue, all peers have one together, and so has who comes with the community. What
is in a queue is decoded, and takes ten times the octets that it had in the datagram; so octets are
counted as requests are, and those of all managers together. Peers are not among them: no number of
managers, nor anybody who sends a manager's messages again, keeps room from a peer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import NamedTuple

from agent.limits import (
    SNMP_COMMUNITY_PENDING_MAX,
    SNMP_PEERS_PENDING_MAX,
    SNMP_PEERS_PENDING_OCTETS_MAX,
    SNMP_PEOPLE_PENDING_MAX,
    SNMP_PEOPLE_PENDING_OCTETS_MAX,
    SNMP_SOURCE_PENDING_MAX,
    SNMP_SOURCE_PENDING_OCTETS_MAX,
)

PEERS = "peers"
COMMUNITY = "community"
_PEOPLE = "people"


class Load(NamedTuple):
    requests: int = 0
    octets: int = 0

    def plus(self, octets: int) -> Load:
        return Load(self.requests + 1, self.octets + octets)

    def minus(self, octets: int) -> Load:
        return Load(self.requests - 1, self.octets - octets)


_MOST: Mapping[str, Load] = {
    PEERS: Load(SNMP_PEERS_PENDING_MAX, SNMP_PEERS_PENDING_OCTETS_MAX),
    COMMUNITY: Load(SNMP_COMMUNITY_PENDING_MAX, SNMP_SOURCE_PENDING_OCTETS_MAX),
    _PEOPLE: Load(SNMP_PEOPLE_PENDING_MAX, SNMP_PEOPLE_PENDING_OCTETS_MAX),
}
_MOST_OF_SOURCE = Load(SNMP_SOURCE_PENDING_MAX, SNMP_SOURCE_PENDING_OCTETS_MAX)


class Pending:
    """A queue is PEERS, COMMUNITY, or a source's address."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._loads: dict[str, Load] = {}

    def has_room(self, queue: str, octets: int) -> bool:
        for name in _counted(queue):
            load, most = self._loads.get(name, Load()), _MOST.get(name, _MOST_OF_SOURCE)
            if load.requests >= most.requests or load.octets + octets > most.octets:
                return False
        return True

    def start(self, queue: str, octets: int, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        for name in _counted(queue):
            self._loads[name] = self._loads.get(name, Load()).plus(octets)

        def done(ended: asyncio.Task[None]) -> None:
            self._tasks.discard(ended)
            for name in _counted(queue):
                self._loads[name] = self._loads[name].minus(octets)
                if not self._loads[name].requests:
                    del self._loads[name]

        task.add_done_callback(done)

    async def drain(self) -> None:
        """Cancel what is left and wait for it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _counted(queue: str) -> tuple[str, ...]:
    return (queue,) if queue == PEERS else (queue, _PEOPLE)
