"""Messages that were met with silence while something is being found out; in memory.

Asking the members, polling for a reserved address and trying a link take about a second and a half,
and no packet waits for it. But what a client in REBINDING gets by asking again it may get too late:
it asks again after half of what is left of its lease (RFC 2131 4.4.5), once or twice in all. So its
message is kept and handled anew when the answers should be there, under the same rules as if it had
come again; the client's next try finds whatever this one missed. So is a message of a client whose
reserved address is being asked for: it should get no other one first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from agent.dhcp.packet import Packet, Received
from agent.limits import (
    ENQUIRIES_MAX,
    HELD_MAX,
    HELD_TRIES,
    HELD_WAIT_MS,
    RESERVED_WAIT_AGAIN_MS,
    RESERVED_WAIT_MS,
)

Key = tuple[bytes, int]
"""Client key and transaction identifier."""


@dataclass(frozen=True, slots=True)
class _Held:
    packet: Packet
    received: Received
    due_ms: int
    tries_left: int = HELD_TRIES


class Held:
    def __init__(self) -> None:
        self._held: OrderedDict[Key, _Held] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def keep(self, packet: Packet, received: Received, now_ms: int) -> None:
        """It is handled anew every HELD_WAIT_MS, HELD_TRIES times. Where more wait than are kept,
        the newest is not: its client asks again."""
        key = _key(packet)
        if key not in self._held and len(self._held) < HELD_MAX:
            self._held[key] = _Held(packet, received, now_ms + HELD_WAIT_MS)

    def forget(self, packet: Packet) -> None:
        """Nothing is being found out for it any more."""
        self._held.pop(_key(packet), None)

    def take_due(self, now_ms: int) -> list[tuple[Packet, Received]]:
        """What is to be handled anew now; it counts as handled. After its last time a message
        stays for one turn more, so that it is not kept as a new one."""
        due = []
        while self._held:
            key, held = next(iter(self._held.items()))
            if held.due_ms > now_ms:
                break
            del self._held[key]
            if held.tries_left:
                due.append((held.packet, held.received))
                again_ms = now_ms + HELD_WAIT_MS
                self._held[key] = _Held(held.packet, held.received, again_ms, held.tries_left - 1)
        return due


class Patience:
    """Since when clients wait for their reserved addresses."""

    def __init__(self) -> None:
        self._since_ms: OrderedDict[int, int] = OrderedDict()

    def is_over(self, address: int, now_ms: int) -> bool:
        """Whether the wait for `address`, which begins with the first question, has lasted long
        enough; where too many wait, nobody else does."""
        while self._since_ms:
            oldest, since_ms = next(iter(self._since_ms.items()))
            if now_ms - since_ms < RESERVED_WAIT_AGAIN_MS:
                break
            del self._since_ms[oldest]
        if address not in self._since_ms:
            if len(self._since_ms) >= ENQUIRIES_MAX:
                return True
            self._since_ms[address] = now_ms
        return now_ms - self._since_ms[address] >= RESERVED_WAIT_MS

    def forget(self, address: int) -> None:
        """The client can have it."""
        self._since_ms.pop(address, None)


def _key(packet: Packet) -> Key:
    return packet.client_key, packet.transaction_id
