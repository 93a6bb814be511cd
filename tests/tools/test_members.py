"""Which member an order means."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.errors import ConfigError
from agent.health import MemberStatus
from tools.manager import Assignment
from tools.members import find_member, set_parameters
from tools.target import Target

MEMBERS = [
    MemberStatus(n, f"m{n}", f"198.18.0.{n}", "active", "server", "", "", 0, 0) for n in (1, 2)
]


@pytest.mark.parametrize("who", ["2", "m2"])
def test_a_member_is_named_by_number_or_name(who: str) -> None:
    assert find_member(MEMBERS, who).id == 2


def test_an_unknown_one_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'m9' is none of the group; there are 1 m1, 2 m2"):
        find_member(MEMBERS, "m9")


class Told:
    """A member that takes orders, of a group with a lease of 3600 s and a MUL of 600 s."""

    def __init__(self) -> None:
        self.given: list[tuple[str, object]] = []

    def table(self, _: object) -> dict[tuple[int, ...], dict[str, int]]:
        return {(1,): {"MaxUnpushedLeaseTime": 600, "LeaseTime": 3600}}

    def set(self, assignments: list[Assignment]) -> None:
        self.given += [(one.column.name, one.value) for one in assignments]

    def with_patience(self, _: float) -> Told:
        return self

    def run(self, act: Callable[[Told], object]) -> object:
        return act(self)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"MaxUnpushedLeaseTime": 5}, r"--mul: is 5 s; at least 10 s"),
        ({"MaxUnpushedLeaseTime": 3601}, "is 3601 s, longer than the lease of 3600 s"),
        ({"LeaseTime": 599}, "is 600 s, longer than the lease of 599 s"),
        ({"LeaseTime": 599, "MaxUnpushedLeaseTime": 600}, "longer than the lease of 599 s"),
        ({"LeaseTime": 599, "MaxUnpushedLeaseTime": 599}, ""),
        ({"SafePeriod": 60, "MaxUnpushedLeaseTime": None}, ""),
    ],
)
def test_a_mul_that_makes_no_sense_is_no_order(wanted: dict[str, int | None], words: str) -> None:
    told = Told()
    if not words:
        set_parameters(told, wanted)  # type: ignore[arg-type]
        assert len(told.given) == sum(value is not None for value in wanted.values())
        return
    with pytest.raises(ConfigError, match=words):
        set_parameters(told, wanted)  # type: ignore[arg-type]
    assert told.given == []


def test_nothing_to_set_is_no_order() -> None:
    target = Target("198.18.0.1", 161, None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="give --mul, --lease or --safe-period"):
        set_parameters(target, {"LeaseTime": None})
