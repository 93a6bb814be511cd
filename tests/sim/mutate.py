"""Every mutant, from seed 1 on until one notices it: `python -m tests.sim.mutate`.

Prints one line a mutant: the section of protocol.md that it breaks, the invariant that noticed, the
seed, which is also how many seeds it took, and the seconds. Ends with 1 if one survives. With
`--write` the seeds are kept for the tests, and the table goes into docs/protocol.md.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from tests.sim.mutants import MUTANTS, name_of_world
from tests.sim.mutation import SEEDS_FILE, Kill, Mutant, kill

SEEDS_MAX = 40
DOCS = Path(__file__).parents[2] / "docs" / "protocol.md"
_TABLE = re.compile(r"(<!-- measured: mutants -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="these mutants only")
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX, help="try at most so many")
    parser.add_argument("--write", action="store_true", help="keep seeds, and the table in docs")
    asked = parser.parse_args()
    mutants = [m for m in MUTANTS if not asked.names or m.name in asked.names]
    for mutant in mutants:
        with mutant.applied():
            pass  # one whose rule reads otherwise now says so before an hour is spent
    kills = []
    for mutant in mutants:
        found = kill(mutant, range(1, asked.seeds + 1))
        kills.append((mutant, found))
        print(_line(mutant, found), flush=True)
    survivors = [mutant.name for mutant, found in kills if not found.invariant]
    seconds = sum(found.seconds for _, found in kills)
    print(f"{len(kills) - len(survivors)} of {len(kills)} killed, {seconds:.0f} s")
    if survivors:
        print(f"survivors of {asked.seeds} seeds: {', '.join(survivors)}")
        return 1
    if asked.write and not asked.names:
        seeds = {mutant.name: found.seed for mutant, found in kills}
        SEEDS_FILE.write_text(json.dumps(seeds, indent=1) + "\n")
        table = "".join(_row(mutant, found) for mutant, found in kills)
        DOCS.write_text(_TABLE.sub(lambda m: m[1] + _HEAD + table + m[2], DOCS.read_text()))
    return 0


def _line(mutant: Mutant, found: Kill) -> str:
    if not found.invariant:
        return f"{mutant.section:3} {mutant.name:46} SURVIVES {found.tried} seeds"
    noticed = f"{found.invariant:>4} seed {found.seed:3} {found.seconds:6.1f} s"
    return f"{mutant.section:3} {mutant.name:46} {noticed}  {found.violation[:90]}"


_HEAD = (
    "| § | mutant | what is taken out | world | killed by | seeds it took |\n"
    "|---|---|---|---|---|---|\n"
)


def _row(mutant: Mutant, found: Kill) -> str:
    cells = (
        mutant.section, f"`{mutant.name}`", mutant.rule, name_of_world(mutant.world),
        found.invariant, found.seed,
    )  # fmt: skip
    return f"| {' | '.join(str(cell) for cell in cells)} |\n"


if __name__ == "__main__":
    sys.exit(main())
