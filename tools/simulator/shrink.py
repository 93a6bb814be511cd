"""Make a failing plan small: delta debugging over its faults, its clients and its duration.

A smaller plan counts if it fails for the same cause: the text is the same up to the first number,
but for which members and clients it names, and so is what last happened to the group. The
invariant's name alone would let a plan drift to another fault, and hide the one that was found.
Time is bounded; what is found by then is a failing plan in any case.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TypeVar

from tools.simulator.plan import Plan
from tools.simulator.run import Result, run_plan

T = TypeVar("T")


@dataclass
class Shrunk:
    plan: Plan
    result: Result
    runs: int


_NAMES = re.compile(r"\b[mc]\d+(, [mc]\d+)*")


def cause(result: Result) -> tuple[str, str, str]:
    """The invariant, what is said of it, and what last happened to the group."""
    name, _, words = _NAMES.sub("N", result.violation).partition(":")
    return name, re.split(r"\d", words)[0], result.group_event


class _Shrinker:
    def __init__(self, plan: Plan, result: Result, until: float) -> None:
        self.plan = plan
        self.result = result
        self.wanted = cause(result)
        self.until = until
        self.runs = 0

    def out_of_time(self) -> bool:
        return time.monotonic() >= self.until

    def try_plan(self, plan: Plan) -> bool:
        self.runs += 1
        result = run_plan(deepcopy(plan))
        if cause(result) != self.wanted:
            return False
        self.plan, self.result = plan, result
        return True

    def shorten(self) -> None:
        """Nothing that comes after the violation has led to it."""
        ended_s = self.result.simulated_s
        p = self.plan.parameters
        if self.result.violation.startswith("L") or ended_s >= p.seconds:
            seconds = p.seconds
            while seconds > 60 and not self.out_of_time():
                if not self.try_plan(self._until(seconds // 2)):
                    return
                seconds = self.plan.parameters.seconds
            return
        self.try_plan(self._until(ended_s + 1))

    def _until(self, seconds: int) -> Plan:
        plan = replace(
            self.plan,
            parameters=replace(self.plan.parameters, seconds=seconds),
            faults=[f for f in self.plan.faults if f.at_ms < seconds * 1000],
        )
        plan.clients = [
            replace(c, sessions=[s for s in c.sessions if s.start_ms < seconds * 1000])
            for c in self.plan.clients
        ]
        return plan

    def reduce(self, parts: Sequence[T], rebuild: Callable[[list[T]], Plan]) -> None:
        """Zeller's ddmin: take away ever smaller pieces while it still fails."""
        held = list(parts)
        piece = max(1, len(held) // 2)
        while held and not self.out_of_time():
            taken = False
            for start in range(0, len(held), piece):
                fewer = held[:start] + held[start + piece :]
                if self.out_of_time():
                    return
                if len(fewer) < len(held) and self.try_plan(rebuild(fewer)):
                    held, taken = fewer, True
                    break
            if not taken:
                if piece == 1:
                    return
                piece = max(1, piece // 2)


def shrink(plan: Plan, result: Result, seconds: float) -> Shrunk:
    """The smallest plan found within `seconds` that breaks the same invariant as `result`."""
    s = _Shrinker(plan, result, time.monotonic() + seconds)
    s.shorten()
    s.reduce(s.plan.faults, lambda faults: replace(s.plan, faults=faults))
    s.reduce(s.plan.clients, lambda clients: replace(s.plan, clients=clients))
    sessions = [(c.number, session) for c in s.plan.clients for session in c.sessions]
    s.reduce(sessions, lambda kept: _with_sessions(s.plan, kept))
    if not s.out_of_time() and s.plan.weather:
        s.try_plan(replace(s.plan, weather={}))
    if not s.out_of_time() and any(s.plan.clocks):
        s.try_plan(replace(s.plan, clocks=[0] * len(s.plan.clocks)))
    s.shorten()
    return Shrunk(s.plan, s.result, s.runs)


def _with_sessions(plan: Plan, kept: Sequence[tuple[int, object]]) -> Plan:
    left = {id(session) for _, session in kept}
    clients = [
        replace(client, sessions=[s for s in client.sessions if id(s) in left])
        for client in plan.clients
    ]
    return replace(plan, clients=clients)
