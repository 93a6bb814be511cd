"""What the members say of an address on the engine's behalf, among real nodes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.limits import ENQUIRIES_MAX, ENQUIRY_FRESH_MS
from agent.model import AddressState, Enquiry, MemberRole
from tests.sync.lan import POOL_FIRST, Lan, make_binding, make_group
from tests.sync.test_recover import wipe

NOBODYS = POOL_FIRST + 5_000
"""In no pool: nobody polls for it."""


def settled(*members: int) -> Lan:
    lan = Lan(members, make_group(members), pool_size=16)
    lan.run(20_000)
    return lan


def ask(lan: Lan, address: int, member: int = 1) -> None:
    with lan.stores[member].write() as tx:
        tx.put_enquiries([Enquiry(address, lan.clock(member))])
    lan.nodes[member].notice_store_change()


def said(lan: Lan, address: int, member: int = 1) -> Enquiry:
    with lan.stores[member].read() as tx:
        found = tx.enquiry(address)
    assert found is not None
    return found


def test_nobody_knows_of_it() -> None:
    lan = settled(1, 2, 3)
    ask(lan, NOBODYS)
    lan.run(100)
    answer = said(lan, NOBODYS)
    assert answer.answered_ms
    assert (answer.free, answer.complete) == (True, True)


def test_alone_the_answer_is_my_own() -> None:
    lan = settled(1)
    ask(lan, NOBODYS)
    lan.run(100)
    assert said(lan, NOBODYS)[2:] == (lan.now_ms - 100, True, True, 0)


@pytest.mark.parametrize("holder", [1, 2, 3])
def test_a_lease_that_one_member_knows_of_and_its_epoch(holder: int) -> None:
    lan = settled(1, 2, 3)
    lan.passes = lambda sender, to, request: "Update" not in type(request).__name__
    lan.save(holder, [make_binding(NOBODYS, lan.now_s, holder, epoch=6)])
    ask(lan, NOBODYS)
    lan.run(100)
    answer = said(lan, NOBODYS)
    assert (answer.free, answer.complete, answer.epoch) == (False, True, 6)


def test_what_another_member_owns_is_not_free() -> None:
    lan = settled(1, 2)
    theirs = next(row for row in lan.ranges(2, AddressState.BINDABLE))
    ask(lan, theirs.first)
    lan.run(100)
    assert not said(lan, theirs.first).free


def test_a_member_that_does_not_answer_leaves_it_incomplete() -> None:
    lan = settled(1, 2, 3)
    lan.cut(3)
    ask(lan, NOBODYS)
    lan.run(10_000)
    answer = said(lan, NOBODYS)
    assert (answer.free, answer.complete) == (True, False)


def test_many_at_once_and_again_after_a_restart() -> None:
    lan = settled(1, 2)
    for number in range(40):
        ask(lan, NOBODYS + number)
    lan.restart(1)
    lan.run(10_000)
    assert all(said(lan, NOBODYS + number).free for number in range(40))


def test_old_ones_are_forgotten() -> None:
    lan = settled(1, 2)
    ask(lan, NOBODYS)
    lan.run(2 * ENQUIRY_FRESH_MS + 10_000)
    ask(lan, NOBODYS + 1)
    lan.run(1_000)
    with lan.stores[1].read() as tx:
        assert tx.enquiry(NOBODYS) is None
        assert tx.count_enquiries() == 1


def test_asking_makes_nobody_promise_anything() -> None:
    lan = settled(1, 2)
    before = [lan.ranges(2, state) for state in AddressState]
    ask(lan, NOBODYS)
    lan.run(1_000)
    assert before == [lan.ranges(2, state) for state in AddressState]


def test_open_questions_of_a_flood_are_forgotten_when_nothing_more_is_asked() -> None:
    lan = settled(1, 2)
    with lan.stores[1].write() as tx:
        tx.put_enquiries([Enquiry(NOBODYS + n, lan.now_ms) for n in range(ENQUIRIES_MAX)])
    lan.nodes[1].notice_store_change()
    lan.run(2 * ENQUIRY_FRESH_MS + 35_000)
    with lan.stores[1].read() as tx:
        assert tx.count_enquiries() == 0


def test_a_database_member_is_not_asked() -> None:
    group = make_group([1, 2, 9])
    database = replace(group.members[2], role=MemberRole.DATABASE)
    lan = Lan([1, 2, 9], replace(group, members=(*group.members[:2], database)), pool_size=16)
    lan.run(20_000)
    ask(lan, NOBODYS)
    lan.run(100)
    assert said(lan, NOBODYS)[3:5] == (True, True)


def test_a_member_that_does_not_serve_cannot_say_no() -> None:
    lan = settled(1, 2, 3)
    lan.passes = lambda sender, to, _: {sender, to} != {2, 3}  # so 2 goes on recovering
    wipe(lan, 2)
    lan.run(20_000)
    assert not lan.serving(2)
    ask(lan, NOBODYS)
    lan.run(1_000)
    assert said(lan, NOBODYS)[3:5] == (True, False)
