"""Clients that begin and are offered nothing, because their network has no free address.

Nothing is written for a DISCOVER, and a network that is full hears them by the thousand. So they
are counted here, and told together once a second at most, of each network seldom.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.dhcp.classify import Message
from agent.events.event import Event, EventKind
from agent.limits import SHORTAGE_AGAIN_S
from agent.model import format_address

NO_FREE_ADDRESS = "no_free_address"
"""Why nothing was offered."""

Network = tuple[int, int]
"""Address and prefix length: there are no more of them than subnets."""


@dataclass(slots=True)
class _Shortage:
    """`messages` since it was told last, and of which client the first one was."""

    client_key: bytes
    hardware_address: bytes
    messages: int = 0


class Shortages:
    def __init__(self) -> None:
        self._open: dict[Network, _Shortage] = {}
        self._told_ms: dict[Network, int] = {}

    def note(self, message: Message) -> None:
        """Nobody could offer its client anything."""
        subnet, packet = message.subnets[0], message.packet
        network = subnet.network, subnet.prefix_length
        found = self._open.get(network)
        if found is None:
            found = _Shortage(packet.client_key, packet.client_hardware_address)
            self._open[network] = found
        found.messages += 1

    def due(self, now_ms: int) -> list[Event]:
        """What is to be told at `now_ms`; it is so until `note_told`."""
        return [
            Event(
                now_ms // 1000,
                EventKind.NO_FREE_ADDRESS,
                client_key=found.client_key,
                hardware_address=found.hardware_address,
                subject=f"{format_address(network[0])}/{network[1]}",
                new=str(found.messages),
            )
            for network, found in self._open.items()
            if self._is_due(network, now_ms)
        ]

    def note_told(self, now_ms: int) -> None:
        """What was due at `now_ms` is written."""
        for network in [one for one in self._open if self._is_due(one, now_ms)]:
            del self._open[network]
            self._told_ms[network] = now_ms
        old = [one for one in self._told_ms if self._is_due(one, now_ms)]
        for network in old:
            del self._told_ms[network]

    def _is_due(self, network: Network, now_ms: int) -> bool:
        """A clock that was set back makes it due."""
        told_ms = self._told_ms.get(network)
        return told_ms is None or not 0 <= now_ms - told_ms < SHORTAGE_AGAIN_S * 1000
