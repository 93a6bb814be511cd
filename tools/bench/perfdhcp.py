"""perfdhcp: its command line, and what its report says. Pure, so that reports can be tested.

A rate counts as served when at most 2.5 % of each exchange's messages are dropped, ISC's own rule;
an answer that comes later than a second is a drop.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tools.errors import ToolError

DROPS_MAX = 0.025
CLIENTS = 1_000_000
"""Distinct clients (-R): more than any run sees, so that each is a new one."""

_SECTION = re.compile(r"\*\*\*Statistics for: (\S+)\*\*\*")
_TIMES = re.compile(r"\*\*\*Timestamps for packets: (\S+)\*\*\*")
_PAIR = re.compile(r"sent / received: ([0-9.]+) / ([0-9.]+)")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One half of the four-way exchange; `delays_ms` in order, if they were asked for."""

    sent: int
    received: int
    delays_ms: tuple[float, ...] = ()

    @property
    def drop_ratio(self) -> float:
        return 1 - self.received / self.sent if self.sent else 1.0

    def percentile_ms(self, percent: float) -> float | None:
        """The delay that so many percent of the answers do not exceed."""
        if not self.delays_ms:
            return None
        at = min(len(self.delays_ms) - 1, int(len(self.delays_ms) * percent / 100))
        return self.delays_ms[at]


@dataclass(frozen=True, slots=True)
class Report:
    """What one run of `seconds` found. `non_unique_acks`: addresses acknowledged twice."""

    seconds: float
    offers: Exchange
    acks: Exchange
    non_unique_acks: int

    @property
    def rate(self) -> float:
        """Complete exchanges a second, over the time in which perfdhcp sent."""
        return self.acks.received / self.seconds

    @property
    def drop_ratio(self) -> float:
        return max(self.offers.drop_ratio, self.acks.drop_ratio)

    @property
    def is_served(self) -> bool:
        return self.drop_ratio <= DROPS_MAX


def command(server: str, rate: int, seconds: int, *, timestamps: bool) -> list[str]:
    """A run at `rate` exchanges a second; late answers are waited for a second longer."""
    words = ["perfdhcp", "-4", "-r", str(rate), "-R", str(CLIENTS), "-p", str(seconds)]
    words += ["-W", "1000000", "-u", "-x", "i"]
    if timestamps:
        words += ["-x", "t"]
    return [*words, "-l", "eth0", server]


def parse_report(text: str, seconds: float) -> Report:
    """Raises ToolError with perfdhcp's last words where it made no report."""
    sections: dict[str, dict[str, int]] = {}
    delays: dict[str, list[float]] = {}
    name = ""
    for line in text.splitlines():
        if match := _SECTION.match(line):
            name = match[1]
            sections[name] = {}
        elif match := _TIMES.match(line):
            name = match[1]
            delays[name] = []
        elif match := _PAIR.match(line):
            if name in delays:
                delays[name].append((float(match[2]) - float(match[1])) * 1000)
        elif name in sections and name not in delays:
            key, colon, value = line.partition(":")
            if colon and value.strip().isdigit():
                sections[name][key] = int(value)
    if not {"DISCOVER-OFFER", "REQUEST-ACK"} <= sections.keys():
        last = (text.strip().splitlines() or ["no output"])[-1]
        raise ToolError(f"perfdhcp made no report: {last}")
    return Report(
        seconds,
        _exchange(sections["DISCOVER-OFFER"], delays.get("DISCOVER-OFFER", ())),
        _exchange(sections["REQUEST-ACK"], delays.get("REQUEST-ACK", ())),
        sections["REQUEST-ACK"].get("non unique addresses", 0),
    )


def _exchange(section: dict[str, int], delays_ms: Iterable[float]) -> Exchange:
    sent, received = section.get("sent packets", 0), section.get("received packets", 0)
    return Exchange(sent, received, tuple(sorted(delays_ms)))
