"""Does anybody use this address? What was asked of the link, and who answered; in memory.

A rule looks; the first look only begins a probe, and says that nothing is known yet. The shell
sends what is due (`take_due`) and reports who answers (`heard`): ARP on a link of our own, an
ICMP echo through a relay, where nothing tells whose answer it is. A probe is sent twice, and is
over some time after the second; what it found serves for a while. All of this happens beside the
packets: no packet waits for a probe, and none but those that look pays for it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.limits import PROBE_FRESH_MS, PROBE_RESEND_MS, PROBE_SENDS, PROBE_WAIT_MS, PROBES_MAX

BY_ROUTE = 0
"""In place of an interface: the address is behind routers."""


class ProbeWish(NamedTuple):
    """To be sent now: ARP on `interface`, or an echo where that is BY_ROUTE."""

    address: int
    interface: int


@dataclass(slots=True)
class _Probe:
    interface: int
    begun_ms: int
    sends: int = 0
    sent_ms: int = 0
    heard: set[bytes] = field(default_factory=set)


class Probes:
    def __init__(self) -> None:
        self._probes: OrderedDict[int, _Probe] = OrderedDict()
        self._sending: dict[int, _Probe] = {}

    @property
    def is_busy(self) -> bool:
        """Whether the shell has to send something, now or soon."""
        return bool(self._sending)

    def look(self, address: int, interface: int, now_ms: int) -> frozenset[bytes] | None:
        """Who answered, by hardware address (b"" for an echo); None: it is not known yet."""
        probe = self._probes.get(address)
        if probe is None or now_ms - probe.begun_ms > PROBE_FRESH_MS:
            self._begin(address, interface, now_ms)
            return None
        if probe.sends < PROBE_SENDS or now_ms - probe.sent_ms < PROBE_WAIT_MS:
            return None
        return frozenset(probe.heard)

    def _begin(self, address: int, interface: int, now_ms: int) -> None:
        self._probes.pop(address, None)
        while self._probes:
            oldest, probe = next(iter(self._probes.items()))
            if now_ms - probe.begun_ms <= PROBE_FRESH_MS:
                break
            del self._probes[oldest]
            self._sending.pop(oldest, None)
        if len(self._probes) < PROBES_MAX:
            self._probes[address] = self._sending[address] = _Probe(interface, now_ms)

    def take_due(self, now_ms: int) -> list[ProbeWish]:
        """What is to be sent now; it counts as sent."""
        due = []
        for address, probe in list(self._sending.items()):
            if probe.sends and now_ms - probe.sent_ms < PROBE_RESEND_MS:
                continue
            probe.sends += 1
            probe.sent_ms = now_ms
            if probe.sends == PROBE_SENDS:
                del self._sending[address]
            due.append(ProbeWish(address, probe.interface))
        return due

    def heard(self, address: int, hardware_address: bytes) -> bool:
        """Somebody has the address; whether that was asked."""
        probe = self._probes.get(address)
        if probe is None:
            return False
        probe.heard.add(hardware_address)
        return True
