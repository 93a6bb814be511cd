"""`dhcpsync bench dhcp`: the highest rate of four-way exchanges with at most 2.5 % drops.

Every server runs alone, in the same namespace, against the same perfdhcp command. The rate is
doubled until it is too much, then the gap is halved until it is under 5 %; a last run at the rate
found gives the delays. Not a test: figures of a machine, with what they stand beside.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from agent.errors import ConfigError
from tools.bench import perfdhcp, rig
from tools.bench.contestants import FOREIGN, Contestant, DhcpSync
from tools.errors import ToolError

_FIRST_RATE = 250
_LAST_RATE = 32_000
_PRECISION = 0.05
_CONFIRMATIONS_MAX = 12
_GENTLE_RATE = 25
_SETTLE_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Result:
    """`rate` in complete exchanges a second; delays in ms, from a run at that rate."""

    server: str
    durable: bool
    rate: float
    drop_ratio: float
    offer_p50_ms: float | None
    offer_p99_ms: float | None
    ack_p50_ms: float | None
    ack_p99_ms: float | None
    resident_mb: float


def run_bench(seconds: int, against: Sequence[str], as_json: bool) -> None:
    """Measure and print. ConfigError for an unknown name, ToolError for what is not installed."""
    for name in against:
        if name not in FOREIGN:
            raise ConfigError("--with", "", f"{name!r} is unknown", f"known: {', '.join(FOREIGN)}")
    if seconds < 2:
        raise ConfigError("--seconds", "", f"is {seconds}", "at least 2")
    if shutil.which("perfdhcp") is None:
        raise ToolError("perfdhcp is missing (package kea-admin)")
    kinds: list[type[Contestant]] = [DhcpSync]
    for name in against:
        if FOREIGN[name].is_installed():
            kinds.append(FOREIGN[name])
        else:
            _say(f"{FOREIGN[name].name} is not installed, and left out")
    results = [_measure(kind, seconds) for kind in kinds]
    if as_json:
        rows = [asdict(one) | {"ratio": _ratio(results[0], one)} for one in results]
        typer.echo(json.dumps({"seconds": seconds, "results": rows}, indent=2))
        return
    _show(results)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _measure(kind: type[Contestant], seconds: int) -> Result:
    with tempfile.TemporaryDirectory(prefix="dhcpsync-bench-") as place:
        with rig.two_namespaces():
            contestant = kind(Path(place) / "server")
            contestant.start()
            try:
                _settle(contestant.name)
                report = _confirm(contestant.name, _find_rate(contestant.name, seconds), seconds)
                resident_mb = contestant.resident_mb()
            finally:
                contestant.stop()
    return Result(
        contestant.name,
        contestant.durable,
        round(report.rate, 1),
        round(report.drop_ratio, 4),
        _rounded(report.offers.percentile_ms(50)),
        _rounded(report.offers.percentile_ms(99)),
        _rounded(report.acks.percentile_ms(50)),
        _rounded(report.acks.percentile_ms(99)),
        round(resident_mb, 1),
    )


def _find_rate(name: str, seconds: int) -> int:
    """The highest rate that is served, to within `_PRECISION`."""
    served, too_much = 0, 0
    rate = _FIRST_RATE
    while not too_much or too_much - served > _PRECISION * too_much:
        if _is_served(name, rate, seconds):
            served = rate
        else:
            too_much = rate
        rate = (served + too_much) // 2 if too_much else min(2 * rate, _LAST_RATE)
        if served == _LAST_RATE or rate <= 10:
            break
    if not served:
        raise ToolError(f"{name} serves no rate at {perfdhcp.DROPS_MAX:.1%} drops")
    return served


def _is_served(name: str, rate: int, seconds: int) -> bool:
    """Whether one of two runs is served: a single bad one may be the machine's fault."""
    for _ in range(2):
        report = _run(rate, seconds)
        _say(
            f"{name}: offered {rate}/s, {report.rate:.0f}/s complete,"
            f" {report.drop_ratio:.1%} dropped"
        )
        # A load generator that cannot send as fast as it was told measures itself.
        if report.is_served and report.rate >= 0.9 * rate:
            return True
        _settle(name)
    return False


def _confirm(name: str, rate: int, seconds: int) -> perfdhcp.Report:
    """A run with delays at the rate found; a little slower where that was luck."""
    for _ in range(_CONFIRMATIONS_MAX):
        report = _run(rate, seconds, timestamps=True)
        if report.is_served:
            return report
        _say(f"{name}: {rate}/s does not hold, {report.drop_ratio:.1%} dropped")
        _settle(name)
        rate = int(rate * (1 - _PRECISION))
    raise ToolError(f"{name} serves no rate twice: this machine is too busy to measure on")


def _settle(name: str) -> None:
    """Wait until the server answers a gentle load: it has started, or has worked off what an
    earlier step left in its queues."""
    until = time.monotonic() + _SETTLE_WITHIN_S
    while not _run(_GENTLE_RATE, 1).is_served:
        if time.monotonic() > until:
            raise ToolError(f"{name} does not answer {_GENTLE_RATE}/s")


def _run(rate: int, seconds: int, *, timestamps: bool = False) -> perfdhcp.Report:
    command = perfdhcp.command(rig.SERVER_ADDRESS, rate, seconds, timestamps=timestamps)
    text = rig.run(rig.CLIENT, *command, timeout_s=seconds + 60)
    return perfdhcp.parse_report(text, seconds)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _ratio(ours: Result, other: Result) -> float:
    return round(ours.rate / other.rate, 2)


def _show(results: Sequence[Result]) -> None:
    table = Table("server", "durable before ACK", title="4-way exchanges at <= 2.5 % drops")
    for name in ("rate/s", "drops", "offer p50/p99 ms", "ack p50/p99 ms", "MB", "dhcpsync is"):
        table.add_column(name, justify="right")
    for one in results:
        table.add_row(
            one.server,
            "yes" if one.durable else "no",
            f"{one.rate:.0f}",
            f"{one.drop_ratio:.1%}",
            f"{one.offer_p50_ms} / {one.offer_p99_ms}",
            f"{one.ack_p50_ms} / {one.ack_p99_ms}",
            f"{one.resident_mb:.0f}",
            "" if one is results[0] else f"{_ratio(results[0], one)} times as fast",
        )
    Console().print(table)
