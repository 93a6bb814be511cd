"""Taking a rule out of the production code, for as long as a block lasts.

A mutant is data: which text of which function becomes what. The text must be there exactly once, so
a mutant of a rule that has been written anew says so instead of changing nothing. The function
keeps its identity (its code is exchanged), so whoever has imported it runs the mutant.
"""

from __future__ import annotations

import __future__
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any
from unittest.mock import patch

from tools.simulator.run import Parameters


class Edit:
    """In the source of `target`, a function or property, each old text becomes the new one."""

    def __init__(self, target: Any, *changes: tuple[str, str]) -> None:
        self._function: FunctionType = target.fget if isinstance(target, property) else target
        self._changes = changes

    @contextmanager
    def applied(self) -> Iterator[None]:
        function, former = self._function, self._function.__code__
        function.__code__ = self._code()
        try:
            yield
        finally:
            function.__code__ = former

    def _code(self) -> CodeType:
        function = self._function
        source = textwrap.dedent(inspect.getsource(function))
        for old, new in self._changes:
            if source.count(old) != 1:
                raise LookupError(
                    f"{function.__module__}.{function.__qualname__} has {source.count(old)} times"
                    f" {old!r}, not once: the mutant must be written anew"
                )
            source = source.replace(old, new)
        flags = __future__.annotations.compiler_flag
        compiled = compile(source, f"<mutant of {function.__qualname__}>", "exec", flags, True)
        space: dict[str, Any] = {}
        exec(compiled, dict(function.__globals__), space)
        made = space[function.__name__]
        code: CodeType = getattr(made, "fget", made).__code__
        return code


class Exchange:
    """`owner`'s attribute becomes `value`: a constant, or a function as a whole."""

    def __init__(self, owner: Any, name: str, value: Any) -> None:
        self._patch = lambda: patch.object(owner, name, value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        with self._patch():
            yield


class Entries:
    """Entries of a dictionary, as of a table of moves."""

    def __init__(self, table: dict[Any, Any], entries: dict[Any, Any]) -> None:
        self._patch = lambda: patch.dict(table, entries)

    @contextmanager
    def applied(self) -> Iterator[None]:
        with self._patch():
            yield


Change = Edit | Exchange | Entries


@dataclass(frozen=True, slots=True)
class Mutant:
    """`section` of docs' protocol rules; `rule`: what is taken out of it. `seed`: the first one
    from 1 on that kills it in `world`."""

    name: str
    section: int
    rule: str
    world: Parameters
    seed: int
    changes: Callable[[], tuple[Change, ...]]

    @contextmanager
    def applied(self) -> Iterator[None]:
        with ExitStack() as stack:
            for change in self.changes():
                stack.enter_context(change.applied())
            yield
