"""Messages that were met with silence while something is being found out; in memory.

Asking the members and trying a link takes about a second and a half, and no packet waits for it.
But what a client in REBINDING gets by asking again it may get too late: it asks again after half
of what is left of its lease (RFC 2131 4.4.5), once or twice in all. So its message is kept and
handled anew when the answers should be there, under the same rules as if it had come again; the
client's next try finds whatever this one missed.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from agent.dhcp.packet import Packet, Received
from agent.limits import HELD_MAX, HELD_TRIES, HELD_WAIT_MS

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


def _key(packet: Packet) -> Key:
    return packet.client_key, packet.transaction_id
