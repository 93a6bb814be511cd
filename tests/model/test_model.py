"""The models: every rule that is taken out is noticed, and nothing with all of them on."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tools.model.explore import TooManyStatesError, explore, explore_settling
from tools.model.main import CHECKS, Check, main, search


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_fault_is_found_exactly_where_a_rule_is_missing(check: Check) -> None:
    found = search(check)
    assert bool(found.fault) is check.wrong, found.fault
    assert bool(found.trace) is check.wrong
    assert found.states > 30


@dataclass(frozen=True)
class Counter:
    """Counts by one and by two; wrong at `wrong`."""

    wrong: int

    def initial(self) -> int:
        return 0

    def steps(self, state: int) -> list[tuple[str, int]]:
        return [(f"+{n}", state + n) for n in (1, 2) if state + n <= 9]

    def fault(self, state: int) -> str:
        return "wrong" if state == self.wrong else ""


def test_the_trace_is_a_shortest_one() -> None:
    found = explore(Counter(5), 100)
    assert (found.fault, found.depth, len(found.trace)) == ("wrong", 3, 3)
    assert found.trace[-1][1] == 5


def test_without_a_fault_every_state_is_seen_once() -> None:
    found = explore(Counter(-1), 100)
    assert (found.fault, found.states, found.transitions) == ("", 10, 17)


@dataclass(frozen=True)
class Walk(Counter):
    """Even numbers go on by themselves; only an order leads to an odd one, or from it."""

    rest: int = 8

    def goes_on(self, state: int) -> list[tuple[str, int]]:
        return [("+2", state + 2)] if state % 2 == 0 and state + 2 <= 9 else []

    def settled(self, state: int) -> bool:
        return state == self.rest


def test_a_state_from_which_nothing_settles_is_found() -> None:
    found = explore_settling(Walk(-1), 100)
    assert found.fault.startswith("stuck")
    assert (found.depth, found.trace[-1]) == (1, ("+1", 1))


def test_what_settles_by_itself_is_good() -> None:
    class Even(Walk):
        def steps(self, state: int) -> list[tuple[str, int]]:
            return self.goes_on(state)

    assert explore_settling(Even(-1), 100).fault == ""
    assert explore_settling(Even(4), 100).fault == "wrong"


def test_a_model_bigger_than_its_bound_proves_nothing() -> None:
    with pytest.raises(TooManyStatesError):
        explore(Counter(-1), 3)


def test_the_command_prints_the_trace_and_exits_by_the_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--only", "gift_is_kept"]) == 0
    out = capsys.readouterr().out
    assert "may bind the address while a client has it" in out
    assert " 1. " in out
    with pytest.raises(SystemExit):
        main(["--only", "no such"])
