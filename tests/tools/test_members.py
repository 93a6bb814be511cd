"""Which member an order means."""

from __future__ import annotations

import pytest

from agent.errors import ConfigError
from tools.members import find_member, set_parameters
from tools.status import MemberStatus
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


def test_nothing_to_set_is_no_order() -> None:
    target = Target("198.18.0.1", 161, None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="give --mul, --lease or --safe-period"):
        set_parameters(target, {"LeaseTime": None})
