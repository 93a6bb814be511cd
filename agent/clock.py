"""The member's clock: wall time at boot plus the boot-time clock since.

Leases must not move when somebody steps the wall clock (protocol.md 11). Both processes of a
member read the same anchor from the store, so they agree to the millisecond; the anchor is made
anew when the machine has rebooted, which the boot id tells.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ClockAnchor:
    """Wall time minus boot-time clock, in ms, as measured once in the boot named `boot_id`."""

    boot_id: str
    offset_ms: int


def measure_anchor() -> ClockAnchor:
    """Measure an anchor for the running boot."""
    offset = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return ClockAnchor(_BOOT_ID.read_text().strip(), offset // 1_000_000)


class BootClock:
    """Callable that tells the member's now in milliseconds since the epoch."""

    def __init__(self, anchor: ClockAnchor) -> None:
        self._offset_ms = anchor.offset_ms

    def __call__(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000 + self._offset_ms
