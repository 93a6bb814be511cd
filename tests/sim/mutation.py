"""Taking a rule out of the production code, for as long as a block lasts, and looking who notices.

A mutant is data: which text of which function becomes what. The text must be there exactly once, so
a mutant of a rule that has been written anew says so instead of changing nothing. The function
keeps its identity (its code is exchanged), so whoever has imported it runs the mutant.

Killed means that a run breaks an invariant. A run that ends in any other error proves nothing.
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
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any
from unittest.mock import patch

from tools.simulator.run import Parameters, run

SEEDS_FILE = Path(__file__).with_name("killing_seeds.json")
"""By mutant the first seed from 1 on that kills it; `python -m tests.sim.mutate --write`."""

_INVARIANT = re.compile(r"[IL]\d+(?=:)")


class Edit:
    """In the source of `target`, a function or property, each old text becomes the new one."""

    def __init__(self, target: Any, *changes: tuple[str, str]) -> None:
        self._function: FunctionType = target.fget if isinstance(target, property) else target
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


@dataclass(frozen=True, slots=True)
class Mutant:
    """`section`: of protocol.md. `rule`: what is taken out of it, in one sentence. `world`: in
    which the rule matters."""

    name: str
    section: int
    rule: str
    world: Parameters
    changes: tuple[Change, ...] = field(repr=False)

    @contextmanager
    def applied(self) -> Iterator[None]:
        with ExitStack() as stack:
            for change in self.changes:
                stack.enter_context(change.applied())
            yield


@dataclass(frozen=True, slots=True)
class Kill:
    """`tried` seeds, of which the last one, `seed`, broke `invariant`; "": none did."""

    seed: int
    tried: int
    invariant: str
    violation: str
    seconds: float


def kill(mutant: Mutant, seeds: Iterable[int]) -> Kill:
    """Run seeds in the mutant's world until one notices. AssertionError where a run crashes."""
    began, tried, seed = time.process_time(), 0, 0
    with mutant.applied():
        for seed in seeds:
            tried += 1
            violation = run(seed, mutant.world).violation
            if violation:
                found = _INVARIANT.match(violation)
                assert found, f"{mutant.name} is not noticed but crashes: seed {seed}: {violation}"
                spent = time.process_time() - began
                return Kill(seed, tried, found.group(), violation, spent)
    return Kill(seed, tried, "", "", time.process_time() - began)


def recorded_seeds() -> dict[str, int]:
    seeds: dict[str, int] = json.loads(SEEDS_FILE.read_text())
    return seeds
