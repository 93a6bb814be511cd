"""Seeds of four simulated hours, on every core: no invariant may break.

The first of the 300 that `make seeds` runs: all of them take longer than the other tests together.
A failure is shrunk here already, and names the command that replays it.
"""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tools.simulator.main import write_failure
from tools.simulator.plan import drawn
from tools.simulator.run import Result, run

HOURS = 4
SEEDS = {2: range(1, 31), 3: range(1, 21), 5: range(1, 9)}
"""By number of members."""
SHRUNK_MAX = 3
FOLDER = Path("simulated")
REGRESSIONS = ((2, 12), (3, 7), (3, 33))
"""Members and seed of what the simulator once found (docs/simulation.md), where not above."""


def run_one(task: tuple[int, int]) -> Result:
    members, seed = task
    return run(seed, drawn(members, HOURS * 3600, level="auto"))


def test_no_seed_breaks_an_invariant() -> None:
    tasks = [(members, seed) for members, seeds in SEEDS.items() for seed in seeds]
    tasks += [task for task in REGRESSIONS if task not in tasks]
    tasks.sort(reverse=True)  # the long ones first, so that no core waits for the last
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(run_one, tasks))
    failures = [result for result in results if result.violation]
    told = []
    for number, result in enumerate(failures):
        where = write_failure(result, 30 if number < SHRUNK_MAX else 0, FOLDER)
        told.append(f"{result.violation}\n    dhcpsync simulate --replay {where}")
    assert not failures, f"{len(failures)} of {len(tasks)} seeds:\n" + "\n".join(told)
    counters: Counter[str] = Counter()
    for result in results:
        counters.update(result.counters)
    for invariant in JUDGED:
        assert counters[f"judged {invariant}"], f"nothing was judged for {invariant}"


JUDGED = (
    "I1", "I2", "I3", "I4", "I5 ACK", "I5 promise", "I5 restart", "I5 update", "I6", "I7", "I8",
    "I9", "I11", "I12", "I13", "I14", "I15", "L1", "L2", "L3", "L4", "L5", "L6", "L7",
)  # fmt: skip
