"""`dhcpsync bench dhcp`: the highest rate of four-way exchanges with at most 2.5 % drops.

Every server has a pair of namespaces of its own, and the same perfdhcp command. They take turns,
a step each, and who is not measured is stopped: a machine whose speed changes from minute to minute
changes for all of them alike. A round is a search for each: the rate is doubled until it is too
much, the gap is halved until it is under 5 %, and runs at the rate found, again in turns, give the
delays. What is told of several rounds is their median; a ratio is the median of the rounds' ratios.
Not a test: figures of a machine, with what they stand beside.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import typer
from rich.table import Table

from agent.errors import ConfigError
from tools.bench import perfdhcp, rig
from tools.bench.contestants import FOREIGN, Contestant, DhcpSync
from tools.bench.search import RateSearch
from tools.console import plain_console
from tools.errors import ToolError

_CONFIRMATIONS_MAX = 12
_SLOWER = 0.95
_GENTLE_RATE = 25
_SETTLE_WITHIN_S = 60
_ROUNDS_MAX = 20
_BINDINGS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Result:
    """A server's medians: `rate` in complete exchanges a second, the rate of every round, delays
    in ms from runs at that rate. `ratio`: how many times as fast as this one dhcpsync is.
    `resident_mb`: of the process that answers clients, at its greatest; `bindings`: how many leases
    it had then, where it can be asked."""

    server: str
    durable: bool
    rate: float
    rates: tuple[float, ...]
    ratio: float
    drop_ratio: float
    offer_p50_ms: float | None
    offer_p99_ms: float | None
    ack_p50_ms: float | None
    ack_p99_ms: float | None
    resident_mb: float
    bindings: int | None


Maker = Callable[[Path, rig.Pair], Contestant]


def run_bench(
    seconds: int, rounds: int, against: Sequence[str], bindings: int, as_json: bool
) -> None:
    """Measure and print; `bindings` are in dhcpsync's store before it starts. ConfigError for an
    unknown name, ToolError for what is not installed."""
    for name in against:
        if name not in FOREIGN:
            raise ConfigError("--with", "", f"{name!r} is unknown", f"known: {', '.join(FOREIGN)}")
    if seconds < 2:
        raise ConfigError("--seconds", "", f"is {seconds}", "at least 2")
    if not 1 <= rounds <= _ROUNDS_MAX:
        raise ConfigError("--rounds", "", f"is {rounds}", f"1..{_ROUNDS_MAX}")
    if not 0 <= bindings <= _BINDINGS_MAX:
        raise ConfigError("--bindings", "", f"is {bindings}", f"0..{_BINDINGS_MAX}")
    if shutil.which("perfdhcp") is None:
        raise ToolError("perfdhcp is missing (package kea-admin)")
    makers: list[Maker] = [partial(DhcpSync, bindings=bindings)]
    for name in against:
        if FOREIGN[name].is_installed():
            makers.append(FOREIGN[name])
        else:
            _say(f"{FOREIGN[name].name} is not installed, and left out")
    results = _measure(makers, seconds, rounds)
    if as_json:
        rows = [asdict(one) for one in results]
        typer.echo(json.dumps({"seconds": seconds, "rounds": rounds, "results": rows}, indent=2))
        return
    _show(results)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _measure(makers: Sequence[Maker], seconds: int, rounds: int) -> list[Result]:
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dhcpsync-bench-")))
        runners = []
        for number, make in enumerate(makers, 1):
            pair = stack.enter_context(rig.two_namespaces(number))
            contestant = make(place / f"server{number}", pair)
            stack.callback(contestant.stop)
            contestant.start()
            contestant.pause()
            runners.append(_Runner(contestant, seconds))
        for number in range(1, rounds + 1):
            _say(f"round {number} of {rounds}")
            _search(runners)
            _confirm(runners)
        return [_result(runner, runners[0]) for runner in runners]


def _search(runners: Sequence[_Runner]) -> None:
    """A search for each, one step after the other in turns."""
    for runner in runners:
        runner.search = RateSearch.around(runner.rate)
    while waiting := [runner for runner in runners if runner.search.rate]:
        for runner in waiting:
            runner.step()
    for runner in runners:
        if not runner.search.served:
            raise ToolError(f"{runner.name} serves no rate at {perfdhcp.DROPS_MAX:.1%} drops")
        runner.rate = runner.search.served


def _confirm(runners: Sequence[_Runner]) -> None:
    """A run with delays for each at its rate; again, a little slower, where that was luck."""
    waiting = list(runners)
    for _ in range(_CONFIRMATIONS_MAX):
        waiting = [runner for runner in waiting if not runner.confirm()]
        if not waiting:
            return
    raise ToolError(f"{waiting[0].name} serves no rate twice: this machine is too busy to measure")


class _Runner:
    """A contestant and what has been found about it."""

    def __init__(self, contestant: Contestant, seconds: int) -> None:
        self.contestant = contestant
        self.name = contestant.name
        self.search = RateSearch()
        self.rate = 0
        self.reports: list[perfdhcp.Report] = []
        self.resident_mb = 0.0
        self.bindings: int | None = None
        self._seconds = seconds

    def step(self) -> None:
        rate = self.search.rate
        with self._awake():
            report = self._run(rate, self._seconds)
            if not report.is_served:
                self._settle()
        _say(
            f"{self.name}: offered {rate}/s, {report.rate:.0f}/s complete,"
            f" {report.drop_ratio:.1%} dropped"
        )
        # A load generator that cannot send as fast as it was told measures itself.
        self.search.note(report.is_served and report.rate >= 0.9 * rate)

    def confirm(self) -> bool:
        """Whether the rate held; if not it is lower the next time."""
        with self._awake():
            report = self._run(self.rate, self._seconds, timestamps=True)
            resident_mb = self.contestant.resident_mb()
            if resident_mb > self.resident_mb:
                self.resident_mb = resident_mb
                self.bindings = self.contestant.count_bindings()
            if not report.is_served:
                self._settle()
        if report.is_served:
            self.reports.append(report)
            return True
        _say(f"{self.name}: {self.rate}/s does not hold, {report.drop_ratio:.1%} dropped")
        self.rate = int(self.rate * _SLOWER)
        return False

    @contextmanager
    def _awake(self) -> Iterator[None]:
        self.contestant.resume()
        try:
            yield
        finally:
            self.contestant.pause()

    def _settle(self) -> None:
        """Wait until the server answers a gentle load: it has worked off what a step that was
        too much has left in its queues."""
        until = time.monotonic() + _SETTLE_WITHIN_S
        while not self._run(_GENTLE_RATE, 1).is_served:
            if time.monotonic() > until:
                raise ToolError(f"{self.name} does not answer {_GENTLE_RATE}/s")

    def _run(self, rate: int, seconds: int, *, timestamps: bool = False) -> perfdhcp.Report:
        command = perfdhcp.command(rig.SERVER_ADDRESS, rate, seconds, timestamps=timestamps)
        client = self.contestant.pair.client
        return perfdhcp.parse_report(rig.run(client, *command, timeout_s=seconds + 60), seconds)


def _result(runner: _Runner, ours: _Runner) -> Result:
    reports = runner.reports
    ratios = [mine.rate / theirs.rate for mine, theirs in zip(ours.reports, reports, strict=True)]
    return Result(
        runner.name,
        runner.contestant.durable,
        round(statistics.median(one.rate for one in reports), 1),
        tuple(round(one.rate, 1) for one in reports),
        round(statistics.median(ratios), 2),
        round(statistics.median(one.drop_ratio for one in reports), 4),
        _median([one.offers.percentile_ms(50) for one in reports]),
        _median([one.offers.percentile_ms(99) for one in reports]),
        _median([one.acks.percentile_ms(50) for one in reports]),
        _median([one.acks.percentile_ms(99) for one in reports]),
        round(runner.resident_mb, 1),
        runner.bindings,
    )


def _median(delays_ms: Sequence[float | None]) -> float | None:
    known = [delay for delay in delays_ms if delay is not None]
    return round(statistics.median(known), 2) if known else None


def _show(results: Sequence[Result]) -> None:
    table = Table("server", "durable before ACK", title="4-way exchanges at <= 2.5 % drops")
    for name in (
        "rate/s",
        "drops",
        "offer p50/p99 ms",
        "ack p50/p99 ms",
        "MB",
        "at leases",
        "dhcpsync is",
    ):
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
            "" if one.bindings is None else str(one.bindings),
            "" if one is results[0] else f"{one.ratio} times as fast",
        )
    plain_console().print(table)
