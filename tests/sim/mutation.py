"""Taking a rule out of the production code, for as long as a block lasts, and looking who notices.

A mutant is data: which text of which function becomes what. The text must be there exactly once, so
a mutant of a rule that has been written anew says so instead of changing nothing. The function
keeps its identity (its code is exchanged), so whoever has imported it runs the mutant.

Killed means that a run breaks an invariant. A run that ends in any other error proves nothing, but
for the one that a mutant names: where the harm is that the agent ends.
"""

from __future__ import annotations
import __future__

import inspect
import json
import re
import textwrap
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any
from unittest.mock import patch

from tests.sim.test_plans import plan_named
from tools.simulator.run import Parameters, Result, run, run_plan

SEEDS_FILE = Path(__file__).with_name("killing_seeds.json")
"""By mutant the first seed from 1 on that kills it; `python -m tests.sim.mutate --write`."""

_INVARIANT = re.compile(r"[IL]\d+(?=:)")


class Edit:
    """In the source of `target`, a function or property, each old text becomes the new one."""

    def __init__(self, target: Any, *changes: tuple[str, str]) -> None:
        function: Any = target.fget if isinstance(target, property) else target
        self._function: FunctionType = function
        self._changes = changes

    @contextmanager
    def applied(self) -> Iterator[None]:
        function, former = self._function, self._function.__code__
        function.__code__ = self._mutated()
        try:
            yield
        finally:
            function.__code__ = former

    def _mutated(self) -> CodeType:
        function = self._function
        source = textwrap.dedent(inspect.getsource(function))
        for old, new in self._changes:
            if source.count(old) != 1:
                raise LookupError(
                    f"{function.__module__}.{function.__qualname__} has {source.count(old)} times"
                    f" {old!r}, not once: write the mutant anew"
                )
            source = source.replace(old, new)
        flags = __future__.annotations.compiler_flag
        compiled = compile(source, f"<mutant of {function.__qualname__}>", "exec", flags, True)
        made: dict[str, Any] = {}
        exec(compiled, dict(function.__globals__), made)
        mutant = made[function.__name__]
        code: CodeType = getattr(mutant, "fget", mutant).__code__
        return code


class Exchange:
    """An attribute of `owner` becomes `value`: a constant, or a function as a whole."""

    def __init__(self, owner: Any, name: str, value: Any) -> None:
        self._what = owner, name, value

    def applied(self) -> AbstractContextManager[Any]:
        return patch.object(*self._what)


class Entries:
    """Entries are put into a dictionary, as into a table of moves."""

    def __init__(self, table: dict[Any, Any], entries: dict[Any, Any]) -> None:
        self._what = table, entries

    def applied(self) -> AbstractContextManager[Any]:
        return patch.dict(*self._what)


Change = Edit | Exchange | Entries
World = Parameters | str
"""Faults and clients drawn from the seed; or a plan of tests/sim/test_plans.py by its name, which
leaves only the network's delays and the like to the seed."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """`section`: of protocol.md. `rule`: what is taken out of it, in one sentence. `world`: in
    which the rule matters. `ends_with`: the error with which the agent ends without it."""

    name: str
    section: int
    rule: str
    world: World
    changes: tuple[Change, ...] = field(repr=False)
    ends_with: str = ""

    @contextmanager
    def applied(self) -> Iterator[None]:
        with ExitStack() as stack:
            for change in self.changes:
                stack.enter_context(change.applied())
            yield


@dataclass(frozen=True, slots=True)
class Kill:
    """`tried` seeds, of which the last one, `seed`, broke `invariant`, or ended with that error;
    "": none did."""

    seed: int
    tried: int
    invariant: str
    violation: str
    seconds: float


def run_in(world: World, seed: int) -> Result:
    if isinstance(world, str):
        return run_plan(replace(plan_named(world), seed=seed))
    return run(seed, world)


def kill(mutant: Mutant, seeds: Iterable[int]) -> Kill:
    """Run seeds in the mutant's world until one notices. AssertionError where a run crashes."""
    began, tried, seed = time.process_time(), 0, 0
    with mutant.applied():
        for seed in seeds:
            tried += 1
            violation = run_in(mutant.world, seed).violation
            if violation:
                found = _INVARIANT.match(violation)
                invariant = found.group() if found else mutant.ends_with
                crashes = f"{mutant.name} is not noticed but crashes: seed {seed}: {violation}"
                assert invariant, crashes
                assert violation.startswith(invariant), crashes
                spent = time.process_time() - began
                return Kill(seed, tried, invariant, violation, spent)
    return Kill(seed, tried, "", "", time.process_time() - began)


def recorded_seeds() -> dict[str, int]:
    seeds: dict[str, int] = json.loads(SEEDS_FILE.read_text())
    return seeds
