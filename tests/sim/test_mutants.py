"""Take one rule out and see the judges miss it: a simulation that cannot fail proves nothing.

Each mutant is run at the seed that was the first to kill it, and then, because any change of a rule
gives other runs for the same seeds, at those that follow. `make mutants` looks for all of them
from seed 1 on.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.sim.mutants import MUTANTS
from tests.sim.mutation import Edit, Mutant, World, kill, recorded_seeds, run_in
from tests.sim.test_plans import FOLDER
from tools.simulator.plan import Parameters

PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"
SEEDS_MORE = 12
SEEDS = recorded_seeds()
"""A mutant that has none yet begins with the first."""


def test_every_mutant_has_a_name_of_its_own_and_a_seed() -> None:
    assert [mutant.name for mutant in MUTANTS] == list(SEEDS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant) -> None:
    first = SEEDS.get(mutant.name, 1)
    assert kill(mutant, range(first, first + SEEDS_MORE)).invariant


def test_every_plan_fails_again_without_its_rule() -> None:
    worlds = {mutant.world for mutant in MUTANTS}
    assert [path.stem for path in FOLDER.glob("*.json") if path.stem not in worlds] == []


def test_the_docs_name_every_mutant() -> None:
    rows = re.findall(r"^\| \d+ \| `(\w+)` \|", PROTOCOL.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(mutant.name for mutant in MUTANTS)


def worlds_and_seeds() -> list[tuple[World, int]]:
    """Those that no other test runs: tests/sim/test_plans.py runs every plan with seed 1."""
    pairs = dict.fromkeys((mutant.world, SEEDS.get(mutant.name, 1)) for mutant in MUTANTS)
    return [(world, seed) for world, seed in pairs if isinstance(world, Parameters) or seed != 1]


@pytest.mark.parametrize(("world", "seed"), worlds_and_seeds())
def test_the_same_seeds_are_good_without_mutation(world: World, seed: int) -> None:
    assert run_in(world, seed).violation == ""


def greet(name: str) -> str:
    return "hello " + name


def test_an_edit_lasts_as_long_as_its_block() -> None:
    with Edit(greet, ("hello", "goodbye")).applied():
        assert greet("m1") == "goodbye m1"
    assert greet("m1") == "hello m1"


def test_an_edit_of_what_is_not_there_says_so() -> None:
    with pytest.raises(LookupError, match="0 times 'good morning'"):
        with Edit(greet, ("good morning", "")).applied():
            pass
