"""Every test but DAY, three shards side by side: `python -m tests.shards`, which `make test` runs.

- `lab`: the labs, one after the other, for there is one on a machine. Real members and real clients
  wait there for seconds that are seconds, so this shard comes before the others at a processor.
- `live`: whatever else has processes, sockets or threads, one test after the other.
- `computed`: the tests of pure rules and simulated clusters (COMPUTED). How long they take changes
  no result, so they run on every core with the processor time that the others leave (NICENESS). The
  seeds come first, in a pool of their own; then the rest, a process for each core.

A test is in `live` unless its folder is named here, so a new one is where it can do no harm. Each
line of output begins with its shard; at the end one summary has the failures of all. Exit status 0
is: every test of every shard has passed, or says why it cannot run here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as Xml
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAB = "tests/lab"
COMPUTED = ("tests/dhcp", "tests/model", "tests/sim", "tests/sync")
SEEDS = "tests/sim/test_seeds.py"
"""Uses every core by itself."""
DAY = "tests/lab/test_maintenance_day.py"
"""Three minutes of the lab, of steps that other labs take one at a time: `make day` runs it."""
NICENESS = {"lab": 0, "live": 5, "computed": 10}
"""Where all want a core a live test has a third of the share of a process of the lab, and one that
only computes a tenth."""
SLOWEST = 10
"""So many are told."""
PYTEST = (sys.executable, "-u", "-m", "pytest")


@dataclass(frozen=True, slots=True)
class Shard:
    """Runs of pytest, one after the other: the arguments of each."""

    name: str
    runs: tuple[tuple[str, ...], ...]
    niceness: int = 0


@dataclass(slots=True)
class Outcome:
    """What came of a shard. `broken`: runs that ended otherwise than by a test that failed;
    `runs_left`: those of which nothing is known."""

    shard: str
    runs_left: int
    seconds: float = 0.0
    passed: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    slow: list[tuple[float, str]] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.failed or self.broken or self.runs_left)


def shards(cores: int) -> list[Shard]:
    others = [f"--ignore={folder}" for folder in (LAB, *COMPUTED)]
    spread = ("-n", str(cores), "--dist", "worksteal")
    runs = {
        "lab": ((LAB, f"--ignore={DAY}"),),
        "live": (("tests", *others),),
        "computed": ((SEEDS,), (*COMPUTED, f"--ignore={SEEDS}", *spread)),
    }
    return [Shard(name, its, NICENESS[name]) for name, its in runs.items()]


Say = Callable[[str], object]


class Runner:
    """Runs shards in `folder`, and tells each line of theirs at once."""

    def __init__(self, folder: Path, more: Sequence[str], say: Say) -> None:
        self._folder = folder
        self._more = more
        self._say = say
        self._stopped = threading.Event()

    def run(self, wanted: Iterable[Shard]) -> list[Outcome]:
        """Interrupted, it lets every pytest end in its own way, which takes its lab down."""
        outcomes = [(shard, Outcome(shard.name, len(shard.runs))) for shard in wanted]
        threads = [threading.Thread(target=self._run, args=both) for both in outcomes]
        for thread in threads:
            thread.start()
        for thread in threads:
            self._join(thread)
        return [outcome for _, outcome in outcomes]

    def _join(self, thread: threading.Thread) -> None:
        while thread.is_alive():
            try:
                thread.join()
            except KeyboardInterrupt:  # the terminal has told the others too
                self._stopped.set()

    def _run(self, shard: Shard, outcome: Outcome) -> None:
        began = time.monotonic()
        for arguments in shard.runs:
            if self._stopped.is_set():
                outcome.broken.append("interrupted")
                break
            self._run_pytest(shard, arguments, outcome)
            outcome.runs_left -= 1
        outcome.seconds = time.monotonic() - began

    def _run_pytest(self, shard: Shard, arguments: Sequence[str], outcome: Outcome) -> None:
        with tempfile.TemporaryDirectory(prefix="dhcpsync-shard-") as place:
            report = Path(place) / "report.xml"
            command = (
                *("nice", "-n", str(shard.niceness)),
                *(*PYTEST, f"--junitxml={report}", *arguments, *self._more),
            )
            with subprocess.Popen(
                command, cwd=self._folder, text=True, errors="replace",
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            ) as process:  # fmt: skip
                assert process.stdout is not None
                for line in process.stdout:
                    self._say(f"{shard.name:8} | {line.rstrip()}")
            if report.exists():
                read_report(report, outcome)
            if process.returncode not in (0, 1) or not report.exists():
                words = " ".join(arguments)
                outcome.broken.append(f"pytest {words} ended with {process.returncode}")
            elif process.returncode == 1 and not outcome.failed:
                outcome.broken.append("pytest failed, but none of its tests")


def read_report(path: Path, outcome: Outcome) -> None:
    for case in Xml.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed.append(name)
        elif case.find("skipped") is not None:
            outcome.skipped += 1
        else:
            outcome.passed += 1
        outcome.slow.append((float(case.get("time", 0)), name))


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    slow = sorted((one for outcome in outcomes for one in outcome.slow), reverse=True)
    lines = ["", "The slowest:", *(f"{s:7.1f} s  {name}" for s, name in slow[:SLOWEST]), ""]
    for o in outcomes:
        counts = f"{o.passed} passed, {len(o.failed)} failed, {o.skipped} skipped"
        lines.append(f"{o.shard:8} | {counts} in {o.seconds:.0f} s")
    for o in outcomes:
        lines += [f"FAILED {name}" for name in o.failed]
        lines += [f"BROKEN {o.shard}: {words}" for words in o.broken]
        if o.runs_left and not o.broken:
            lines.append(f"BROKEN {o.shard}: nothing is known of {o.runs_left} of its runs")
    return lines


def main(arguments: Sequence[str]) -> int:
    """`arguments` are given to every run of pytest."""
    say = _say_line
    outcomes = Runner(ROOT, arguments, say).run(shards(len(os.sched_getaffinity(0))))
    for line in summary(outcomes):
        say(line)
    return 0 if all(outcome.good for outcome in outcomes) else 1


def _say_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
