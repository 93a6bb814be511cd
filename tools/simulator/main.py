"""`dhcpsync simulate`: seeds on every core, a line for each violation, and the figures.

Exit code 0: no seed broke an invariant; 1: one did, and its seed replays it; 2: usage.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from agent.limits import MEMBERS_MAX
from tools.simulator.run import Parameters, Result, run


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="dhcpsync simulate",
        description="Simulate a cluster under faults, seed by seed, and judge every event.",
    )
    parser.add_argument("--members", type=int, default=3, help="2..16, default 3")
    parser.add_argument("--seeds", default="1..20", metavar="A..B", help="default 1..20")
    parser.add_argument("--hours", type=float, default=0.25, help="simulated, default 0.25")
    parser.add_argument("--clients", type=int, default=12, help="default 12")
    parser.add_argument("--no-faults", action="store_true", help="a quiet network")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if not 1 <= options.members <= MEMBERS_MAX:
        parser.error(f"--members {options.members}: must be 1..{MEMBERS_MAX}")
    first, dots, last = options.seeds.partition("..")
    try:
        options.seeds = range(int(first), int(last if dots else first) + 1)
    except ValueError:
        parser.error(f"--seeds {options.seeds}: expected A..B, as in 1..20")
    if not options.seeds:
        parser.error("--seeds: the first is after the last")
    if options.hours <= 0 or options.clients < 1 or options.jobs < 1:
        parser.error("--hours, --clients and --jobs must be greater than 0")
    return options


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    parameters = Parameters(
        members=options.members,
        seconds=round(options.hours * 3600),
        clients=options.clients,
        faults=not options.no_faults,
    )
    console = Console(stderr=True)
    started = time.monotonic()
    results = []
    with Progress(
        TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, disable=options.json or not console.is_terminal,
    ) as progress:  # fmt: skip
        task = progress.add_task("", total=len(options.seeds))
        for result in _results(options.seeds, parameters, options.jobs):
            results.append(result)
            progress.advance(task)
            if result.violation:
                console.print(f"seed {result.seed}: {result.violation}", highlight=False)
    _report(results, parameters, time.monotonic() - started, as_json=options.json)
    return 1 if any(result.violation for result in results) else 0


def _results(seeds: range, parameters: Parameters, jobs: int) -> Iterator[Result]:
    work = partial(run, parameters=parameters)
    if jobs == 1 or len(seeds) == 1:
        yield from map(work, seeds)
        return
    with ProcessPoolExecutor(min(jobs, len(seeds))) as pool:
        yield from pool.map(work, seeds)


def _report(results: list[Result], parameters: Parameters, wall_s: float, *, as_json: bool) -> None:
    events = sum(result.events for result in results)
    figures = {
        "seeds": len(results),
        "members": parameters.members,
        "violations": sum(1 for result in results if result.violation),
        "simulated_hours": round(sum(result.simulated_s for result in results) / 3600, 2),
        "leases": sum(result.leases for result in results),
        "events": events,
        "wall_s": round(wall_s, 1),
        "seeds_per_s": round(len(results) / wall_s, 2),
        "events_per_s": round(events / wall_s),
    }
    if as_json:
        json.dump({**figures, "results": [asdict(result) for result in results]}, sys.stdout)
        sys.stdout.write("\n")
        return
    for name, value in figures.items():
        sys.stdout.write(f"{name.replace('_', ' '):16} {value}\n")
