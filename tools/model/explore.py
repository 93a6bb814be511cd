"""Breadth-first search of everything that a small model can do.

A machine tells its first state, what can happen next in a state, and what is wrong with a state.
States are small hashable values; each is looked at once. The search is breadth first, so the
trace to the first wrong state is a shortest one.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

S = TypeVar("S", bound=Hashable)


class Machine(Protocol[S]):
    """`steps` yields what can happen, in words, and the state that it leads to."""

    def initial(self) -> S: ...
    def steps(self, state: S) -> Iterable[tuple[str, S]]: ...
    def fault(self, state: S) -> str:
        """What is wrong with the state; "" if nothing is."""
        ...


class Settling(Machine[S], Protocol[S]):
    """One that must be able, from every state, to come by itself to a state that is `settled`:
    `goes_on` yields those of the steps that are nobody's order and no fault."""

    def goes_on(self, state: S) -> Iterable[tuple[str, S]]: ...
    def settled(self, state: S) -> bool: ...


class TooManyStatesError(RuntimeError):
    """The model is bigger than its bound: nothing has been proven."""


@dataclass(frozen=True, slots=True)
class Explored(Generic[S]):
    """`trace` leads to the fault: what happened, and the state after it. Without a fault it is
    empty, and `states` is all that there are."""

    states: int
    transitions: int
    depth: int
    seconds: float
    fault: str = ""
    trace: tuple[tuple[str, S], ...] = field(default=())


def explore(machine: Machine[S], states_max: int) -> Explored[S]:
    """Look at every state; stop at the first that is wrong."""
    return _explore(machine, states_max)[0]


def _explore(
    machine: Machine[S], states_max: int
) -> tuple[Explored[S], dict[S, tuple[S, str] | None]]:
    began = time.monotonic()
    first = machine.initial()
    came_from: dict[S, tuple[S, str] | None] = {first: None}
    level, depth, transitions = [first], 0, 0
    fault = machine.fault(first)
    while level and not fault:
        following: list[S] = []
        for state in level:
            for label, reached in machine.steps(state):
                transitions += 1
                if reached in came_from:
                    continue
                came_from[reached] = (state, label)
                fault = machine.fault(reached)
                if fault:
                    trace = _trace(came_from, reached)
                    took = time.monotonic() - began
                    found = Explored(len(came_from), transitions, depth + 1, took, fault, trace)
                    return found, came_from
                following.append(reached)
            if len(came_from) > states_max:
                raise TooManyStatesError(f"more than {states_max} states at depth {depth}")
        level = following
        depth += bool(level)
    took = time.monotonic() - began
    return Explored(len(came_from), transitions, depth, took, fault), came_from


def explore_settling(machine: Settling[S], states_max: int) -> Explored[S]:
    """As `explore`; then look for a state from which nothing leads to a settled one."""
    found, came_from = _explore(machine, states_max)
    if found.fault:
        return found
    began = time.monotonic()
    before: dict[S, list[S]] = {}
    for state in came_from:
        for _, reached in machine.goes_on(state):
            before.setdefault(reached, []).append(state)
    good = {state for state in came_from if machine.settled(state)}
    rest = list(good)
    while rest:
        for state in before.get(rest.pop(), ()):
            if state not in good:
                good.add(state)
                rest.append(state)
    stuck = next((state for state in came_from if state not in good), None)
    if stuck is None:
        return replace(found, seconds=found.seconds + time.monotonic() - began)
    trace = _trace(came_from, stuck)
    took = found.seconds + time.monotonic() - began
    fault = "stuck: by themselves they do not come to serve again"
    return Explored(found.states, found.transitions, len(trace), took, fault, trace)


def _trace(came_from: dict[S, tuple[S, str] | None], state: S) -> tuple[tuple[str, S], ...]:
    steps = []
    before = came_from[state]
    while before is not None:
        steps.append((before[1], state))
        state = before[0]
        before = came_from[state]
    return tuple(reversed(steps))
