"""The member's clock: the boot-time clock from an anchor on, which began with the wall clock.

Leases must not move when somebody steps the wall clock (docs/protocol.md, "Clocks"). Both processes
of a member read the same anchor from the store, so they agree to the millisecond; the anchor is
made anew when the machine has rebooted, which the boot id tells. How the clock goes on after that:
agent/sync/clocks.py.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

LAB_STEP = "DHCPSYNC_LAB_CLOCK"
"""Environment: a file with the seconds by which the wall clock of this member is out."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ClockAnchor:
    """Wall time minus boot-time clock, in ms, as measured once in the boot named `boot_id`."""

    boot_id: str
    offset_ms: int


def measure_anchor(noted_ms: int = 0) -> ClockAnchor:
    """Measure an anchor for the running boot. `noted_ms` is the latest instant of the member's
    clock that is known of an earlier boot: from there it goes on. Without one the member is new,
    and begins with the wall clock."""
    now_ms = noted_ms or wall_ms()
    return ClockAnchor(boot_id(), now_ms - time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000)


def boot_s() -> float:
    """Seconds since the machine booted, sleep included: nobody sets this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def boot_id() -> str:
    return _BOOT_ID.read_text().strip()


def wall_ms() -> int:
    """The wall clock. A lab may let a member see another one: containers share the clock."""
    step = os.environ.get(LAB_STEP)
    if step is None:
        return time.time_ns() // 1_000_000
    try:
        step_s = int(Path(step).read_text())
    except (FileNotFoundError, ValueError):
        step_s = 0
    return time.time_ns() // 1_000_000 + step_s * 1000


class BootClock:
    """Callable that tells the member's now in milliseconds since the epoch."""

    def __init__(self, anchor: ClockAnchor) -> None:
        self._boot_id = anchor.boot_id
        self._offset_ms = anchor.offset_ms

    def follow(self, anchor: ClockAnchor | None) -> None:
        """Take on the anchor as it is now: it moves once, before the member serves."""
        if anchor is not None and anchor.boot_id == self._boot_id:
            self._offset_ms = anchor.offset_ms

    def __call__(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000 + self._offset_ms
