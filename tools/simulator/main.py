"""`dhcpsync simulate`: seeds on every core, a line for each violation, and the figures.

A violation is shrunk, and its plan is written to a file that `--replay` runs again. Exit code 0: no
seed broke an invariant; 1: one did; 2: usage.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from agent.limits import MEMBERS_MAX
from tools.console import plain_console
from tools.simulator.directed import DIRECTED, DRAWN
from tools.simulator.faults import KINDS
from tools.simulator.plan import Parameters, Plan, drawn
from tools.simulator.run import PAIRS, Result, run, run_plan
from tools.simulator.sampling import FRESH, MIX, commit, fresh_base, members_of
from tools.simulator.shrink import shrink

LEVELS = ("objects", "packets", "auto")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="dhcpsync simulate",
        description="Simulate a cluster under faults, seed by seed, and judge every event.",
    )
    parser.add_argument(
        "--members", default="3", metavar="N|A..B|mix",
        help="2..16, default 3; of A..B each seed has another number, in turn; mix: half of the "
        "seeds have 2, a quarter has 3, the rest has 4 to 16",
    )  # fmt: skip
    parser.add_argument("--seeds", default="1..20", metavar="A..B", help="default 1..20")
    parser.add_argument(
        "--base", default="0", metavar="N|fresh",
        help="added to each seed; fresh: another number each time, which is printed. Default 0",
    )  # fmt: skip
    parser.add_argument(
        "--world", choices=(*DIRECTED, DRAWN), default="",
        help="faults that belong together beside fewer others; drawn: in every other seed, and the "
        "Hello of production in a few. Default: none",
    )  # fmt: skip
    parser.add_argument("--stop", action="store_true", help="begin no seed after a failure")
    parser.add_argument(
        "--minutes", type=float, default=0.0,
        help="begin no seed any more after so long; default: all seeds are run",
    )  # fmt: skip
    parser.add_argument("--hours", type=float, default=4.0, help="simulated, default 4")
    parser.add_argument("--clients", type=int, default=0, help="default: drawn from the seed")
    parser.add_argument(
        "--faults", default="all", metavar="LIST|none|PLAN.json",
        help=f"kinds by name with commas between them, none, or the faults of a written plan; "
        f"default all. Kinds: {', '.join(KINDS)}",
    )  # fmt: skip
    parser.add_argument("--level", choices=LEVELS, default="objects", help="default objects")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run a written plan again")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument(
        "--shrink", type=float, default=60.0, metavar="SECONDS",
        help="to spend on each failure, default 60; 0: do not",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=Path("."), metavar="FOLDER", help="for the plans of failures"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    _check_sampling(parser, options)
    if options.minutes < 0:
        parser.error("--minutes must not be less than 0")
    if options.hours <= 0 or options.clients < 0 or options.jobs < 1:
        parser.error("--hours and --jobs must be greater than 0, --clients not less")
    try:
        options.work = _work(options)
    except (OSError, ValueError, KeyError, TypeError) as error:
        parser.error(str(error))
    return options


def _check_sampling(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    told = options.members
    options.members = None if told == MIX else _range(parser, "--members", told)
    if options.members and not 1 <= options.members[0] <= options.members[-1] <= MEMBERS_MAX:
        parser.error(f"--members: must be within 1..{MEMBERS_MAX}")
    seeds = _range(parser, "--seeds", options.seeds)
    try:
        options.base = fresh_base() if options.base == FRESH else int(options.base)
    except ValueError:
        parser.error(f"--base {options.base}: expected a number or {FRESH}")
    options.seeds = range(seeds.start + options.base, seeds.stop + options.base)
    # How the same seed is run again, but for its number.
    options.again = f"dhcpsync simulate --members {told} --hours {options.hours:g}"
    for name, usual in (("clients", 0), ("faults", "all"), ("level", "objects"), ("world", "")):
        value = getattr(options, name)
        options.again += f" --{name} {value}" if value != usual else ""


def _range(parser: argparse.ArgumentParser, name: str, text: str) -> range:
    first, dots, last = text.partition("..")
    try:
        numbers = range(int(first), int(last if dots else first) + 1)
    except ValueError:
        parser.error(f"{name} {text}: expected a number or A..B, as in 1..20")
    if not numbers:
        parser.error(f"{name} {text}: the first is after the last")
    return numbers


class _Work:
    """What to do with a seed; goes to other processes. `members`: see `members_of`."""

    def __init__(self, parameters: Parameters, members: range | None, plan: Plan | None) -> None:
        self.parameters = parameters
        self.members = members
        self.plan = plan

    def __call__(self, seed: int) -> Result:
        if self.plan is None:
            members = members_of(seed, self.members)
            return run(seed, replace(self.parameters, members=members))
        return run_plan(Plan.from_json({**self.plan.to_json(), "seed": seed}))


def _work(options: argparse.Namespace) -> _Work:
    """Raises OSError, ValueError, KeyError or TypeError for a plan that cannot be read."""
    if options.replay is not None:
        plan = read_plan(options.replay)
        options.seeds = range(plan.seed, plan.seed + 1)
        return _Work(plan.parameters, options.members, plan)
    if options.faults.endswith(".json"):
        plan = read_plan(Path(options.faults))
        return _Work(plan.parameters, options.members, plan)
    kinds: bool | tuple[str, ...] = options.faults != "none"
    if options.faults not in ("all", "none"):
        kinds = tuple(name.strip() for name in options.faults.split(","))
        for name in kinds:
            if name not in KINDS:
                raise ValueError(f"--faults {name}: is not one of {', '.join(KINDS)}")
    parameters = drawn(
        2, round(options.hours * 3600), clients=options.clients, faults=kinds,
        level=options.level, world=options.world,
    )  # fmt: skip
    return _Work(parameters, options.members, None)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    console = plain_console(stderr=True)

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True, markup=False)

    if options.base:
        say(f"seeds {options.seeds[0]}..{options.seeds[-1]}, base {options.base}")
    started = time.monotonic()
    results: list[Result] = []
    with Progress(
        TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[rate]}"),
        console=console, disable=options.json or not console.is_terminal,
    ) as progress:  # fmt: skip
        task = progress.add_task("", total=len(options.seeds), rate="")
        for result in _results(options.seeds, options.work, options.jobs, options.minutes * 60):
            results.append(result)
            _show_rate(progress, task, results, time.monotonic() - started)
            if result.violation:
                say(f"seed {result.seed}: {result.violation}")
                if options.replay is None:
                    say(f"  seed again: {options.again} --seeds {result.seed}")
                if options.stop:
                    break
    results.sort(key=lambda result: result.seed)
    wall_s = time.monotonic() - started
    failures = [result for result in results if result.violation]
    for result in failures if options.replay is None else ():
        where = write_failure(result, options.shrink, options.out)
        say(f"  again: dhcpsync simulate --replay {where}")
    _report(results, wall_s, as_json=options.json)
    if failures:
        say(f"failed: {' '.join(str(result.seed) for result in failures)}")
    return 1 if failures else 0


def _show_rate(progress: Progress, task: TaskID, results: list[Result], wall_s: float) -> None:
    events = sum(result.events for result in results)
    rate = f"{len(results) / wall_s:.2f} seeds/s {events / wall_s:,.0f} events/s"
    progress.update(task, advance=1, rate=rate)


def _results(seeds: range, work: _Work, jobs: int, most_s: float) -> Iterator[Result]:
    """As they come. `most_s`: no seed is begun after so long; 0: all are run."""
    until = time.monotonic() + most_s
    waiting = iter(seeds)
    if jobs == 1 or len(seeds) == 1:
        for seed in waiting:
            if most_s and time.monotonic() > until:
                return
            yield work(seed)
        return
    with ProcessPoolExecutor(min(jobs, len(seeds))) as pool:
        running = {pool.submit(work, seed) for seed in islice(waiting, jobs)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                if not most_s or time.monotonic() < until:
                    running |= {pool.submit(work, seed) for seed in islice(waiting, 1)}
                yield future.result()


# --- failures


def write_failure(result: Result, shrink_s: float, folder: Path) -> Path:
    """Shrink a failure and write it: seed, commit, what broke, and the plan that breaks it."""
    plan = Plan.from_json(result.plan)
    runs = 0
    if shrink_s > 0:
        shrunk = shrink(plan, result, shrink_s)
        plan, result, runs = shrunk.plan, shrunk.result, shrunk.runs
    folder.mkdir(parents=True, exist_ok=True)
    where = folder / f"seed-{plan.parameters.members}-{result.seed}.json"
    told = {
        "seed": result.seed,
        "commit": commit(),
        "violation": result.violation,
        "last_of_the_group": result.group_event,
        "faults": len(plan.faults),
        "clients": len(plan.clients),
        "runs_to_shrink": runs,
        "plan": plan.to_json(),
    }
    where.write_text(json.dumps(told, indent=1) + "\n")
    return where


def read_plan(path: Path) -> Plan:
    data = json.loads(path.read_text())
    try:
        return Plan.from_json(data.get("plan", data))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: is no plan of `dhcpsync simulate`: {error!r}") from error


# --- figures


def _report(results: list[Result], wall_s: float, *, as_json: bool) -> None:
    members = [result.members for result in results]
    events = sum(result.events for result in results)
    cpu_s = sum(result.cpu_s for result in results)
    simulated_s = sum(result.simulated_s for result in results)
    hours: Counter[int] = Counter()
    for result in results:
        hours[result.members] += result.simulated_s
    by_members = {number: round(total / 3600, 1) for number, total in sorted(hours.items())}
    figures = {
        "seeds": len(results),
        "members": f"{min(members)}..{max(members)}" if len({*members}) > 1 else members[0],
        "violations": sum(1 for result in results if result.violation),
        "simulated_hours": round(simulated_s / 3600, 2),
        "leases": sum(result.leases for result in results),
        "events": events,
        "wall_s": round(wall_s, 1),
        "cpu_s": round(cpu_s, 1),
        "seeds_per_s": round(len(results) / wall_s, 2),
        "events_per_s": round(events / wall_s),
        "events_per_cpu_s": round(events / cpu_s),
        "times_real_time": round(simulated_s / wall_s),
    }
    if as_json:
        told = [asdict(result) for result in results]
        json.dump({**figures, "hours_by_members": by_members, "results": told}, sys.stdout)
        sys.stdout.write("\n")
        return
    for name, value in figures.items():
        sys.stdout.write(f"{name.replace('_', ' '):16} {value}\n")
    for number, total in by_members.items():
        sys.stdout.write(f"  {f'hours of {number} members':24} {total}\n")
    judged: Counter[str] = Counter(dict.fromkeys(PAIRS, 0))
    for result in results:
        judged.update(result.counters)
    for name, value in sorted(judged.items()):
        sys.stdout.write(f"  {name:24} {value}\n")


__all__ = ["commit", "main", "read_plan", "write_failure"]
