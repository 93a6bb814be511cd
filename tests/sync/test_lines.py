"""Rules of docs/protocol.md, "A store that is a copy": what follows from a group that is taken on,
and when a start votes."""

from __future__ import annotations

import pytest

from agent.model import (
    AddressState,
    BindingState,
    MemberState,
    Reservation,
    Service,
    configuration_key,
)
from agent.sync import messages as m
from agent.sync.change import Expel, Parameters
from tests.sync.lan import POOL_FIRST, Lan, make_binding
from tests.sync.test_set_back import (
    MUL_S,
    founded_then_joined,
    group_of,
    local,
    make_lan,
    order,
    propose,
    set_back,
    start,
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


def test_who_leaves_its_line_recovers() -> None:
    """1 is cut off and forces 3 out, and the others decide something else."""
    lan = make_lan(3)
    lan.cut(1)
    lan.run(6_000)
    propose(lan, 1, Expel(3), force=True)
    propose(lan, 2, Parameters(mul_s=MUL_S + 10))
    lan.run(6_000)
    assert group_of(lan, 1).forced
    lan.heal()
    lan.run(10_000, until=lambda: group_of(lan, 1) == group_of(lan, 2) and lan.serving(1))
    assert group_of(lan, 1).mul_s == MUL_S + 10
    assert local(lan, 1).incarnation > 1
    assert local(lan, 2).incarnation == 1


def test_a_start_votes_when_it_holds_what_the_others_hold() -> None:
    lan = make_lan(2)
    start(lan, 2)
    lan.save(1, [make_binding(POOL_FIRST, lan.now_s, server=1)])
    lan.passes = lambda *message: not isinstance(message[2], m.BindingUpdate | m.ChangePull)
    lan.run(10_000)
    assert lan.serving(2), "nobody remembers more of its store"
    assert local(lan, 2).unconfirmed
    lan.heal()
    lan.run(10_000, until=lambda: not local(lan, 2).unconfirmed)
    assert lan.rows(2)
    assert not local(lan, 2).unconfirmed


@pytest.mark.parametrize("state", [BindingState.BOUND, BindingState.UNAVAILABLE])
def test_an_owner_gives_back_what_a_copy_has_leased_and_goes_on_with(state: BindingState) -> None:
    """The client renews at 1, or declines, once that has recovered, before 2 hears of the lease."""
    lan, copy = founded_then_joined()
    owned = lan.ranges(2, AddressState.BINDABLE)[0]
    lan.cut(2)
    set_back(lan, 1, copy)
    lan.run(6_000)
    lan.save(1, [make_binding(owned.first, lan.now_s)])
    lan.passes = lambda *message: not isinstance(message[2], m.BindingUpdate | m.ChangePull)
    lan.run(60_000, until=lambda: local(lan, 1).incarnation > 1 and not local(lan, 1).recovery)
    (row,) = lan.rows(1)
    lan.save(1, [row._replace(grant=row.grant + 1, state=state, transaction_at=lan.now_s)])
    lan.heal()
    lan.run(60_000, until=lambda: bool(lan.rows(2)))
    (taken,) = lan.rows(2)
    assert (taken.stream, taken.epoch < owned.epoch) == (lan.rows(1)[0].stream, True)
    mine = lan.ranges(2, AddressState.BINDABLE)
    assert not any(one.first <= owned.first <= one.last for one in mine)


def test_an_owner_looks_by_its_own_clock_whether_a_lease_was_over() -> None:
    """1's clock is set after the renewal, which then seems to lie before the end of the lease."""
    lan, copy = founded_then_joined()
    owned = lan.ranges(2, AddressState.BINDABLE)[0]
    lan.cut(2)
    set_back(lan, 1, copy)
    lan.run(6_000)
    row = make_binding(owned.first, lan.now_s)
    lan.save(1, [row])
    lan.save(2, [row._replace(expires_at=lan.now_s + 2, potential_expires_at=lan.now_s + 2)])
    lan.passes = lambda *message: not isinstance(message[2], m.BindingUpdate | m.ChangePull)
    lan.run(60_000, until=lambda: local(lan, 1).incarnation > 1 and not local(lan, 1).recovery)
    lan.run(3_000)
    lan.save(1, [row._replace(grant=2, transaction_at=row.transaction_at + 1)])
    lan.heal()
    lan.run(60_000, until=lambda: lan.rows(2)[0].grant == 2)
    mine = lan.ranges(2, AddressState.BINDABLE)
    assert not any(one.first <= owned.first <= one.last for one in mine)


def test_two_edits_that_a_copy_gave_one_version_are_settled() -> None:
    """Each of the two members would keep its own for ever; the later one of them stands."""
    lan = make_lan(2)
    lan.run(20_000)
    copy = lan.stores[1].snapshot()
    key = configuration_key(Reservation(POOL_FIRST, b"\x01x"))

    def name_it(name: str) -> None:
        with lan.stores[1].write() as tx:
            tx.save_configuration([(Reservation(POOL_FIRST, b"\x01x", name), False)])
        lan.nodes[1].notice_store_change()

    def names() -> list[str | None]:
        found = []
        for store in lan.stores.values():
            with store.read() as tx:
                record = tx.configuration_record(*key)
            row = record.row if record is not None else None
            found.append(row.hostname if isinstance(row, Reservation) else None)
        return found

    name_it("first")
    lan.run(10_000, until=lambda: names() == ["first"] * 2)
    lan.cut(2)
    set_back(lan, 1, copy)
    lan.run(60_000, until=lambda: lan.serving(1))
    name_it("second")
    assert names() == ["second", "first"]
    lan.heal()
    lan.run(60_000, until=lambda: names() == ["second"] * 2)
    assert names() == ["second"] * 2
