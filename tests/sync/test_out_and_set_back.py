"""Stores that are a copy of a time before their own member and others were out of the group."""

from __future__ import annotations

import pytest

from agent.model import AddressState, MemberState, Service
from agent.sync.change import Expel
from tests.sync.lan import Lan
from tests.sync.test_set_back import (
    MUL_S,
    group_of,
    make_lan,
    order,
    propose,
    set_back,
    states,
)


def out_and_in_again(lan: Lan, member: int) -> None:
    order(lan, member, Service.SHUTDOWN)
    lan.run(60_000, until=lambda: states(lan, 1)[member] is MemberState.DOWN)
    order(lan, member, Service.RUNNING)
    lan.run(60_000, until=lambda: lan.serving(member))


def take_out(lan: Lan, member: int, clean: bool) -> None:
    if clean:
        order(lan, member, Service.LEAVING)
    else:
        lan.nodes.pop(member)
        lan.run(6_000)
        propose(lan, 1, Expel(member))
    lan.run(60_000, until=lambda: states(lan, 2)[member] is MemberState.REMOVED)
    assert states(lan, 2)[member] is MemberState.REMOVED


@pytest.mark.parametrize("clean", [True, False])
def test_a_copy_that_was_out_itself_keeps_no_promise_to_another_that_is(clean: bool) -> None:
    """2 is out and in again, then 3 is out; 2's store of before all that has promised to 3."""
    lan = make_lan(3, pool_size=90)
    lan.run(20_000)
    copy = lan.stores[2].snapshot()

    def promised() -> bool:
        return any(one.member == 3 for one in lan.ranges(2, AddressState.PROMISED))

    assert promised()
    out_and_in_again(lan, 2)
    take_out(lan, 3, clean)
    set_back(lan, 2, copy, noted=group_of(lan, 1))
    lan.run((MUL_S - 10) * 1000)
    assert promised() is not clean, "what a dead member bound there may last for MUL"
    lan.run(70_000)
    assert not promised()
