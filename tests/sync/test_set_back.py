"""Stores that are a copy of an earlier time, and members that are out: who decides, who serves.

Each test is one rule of docs/protocol.md, "A store that is a copy"; tests/sim/plans has the runs in
which each of them was missed.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from agent.errors import PeerError
from agent.model import (
    AddressState,
    Ballot,
    BallotNumber,
    Change,
    ChangeKind,
    Group,
    Local,
    LostStore,
    MemberState,
    Service,
    StoreMark,
    stream_id,
)
from agent.sync import messages as m
from agent.sync.change import Expel, GoOn, GroupChange, Join, Parameters, apply
from agent.sync.lineage import needed_vote_of
from agent.sync.node import Node
from agent.sync.recover import Position, behind, leases_end, longest_lease
from agent.sync.start import LastLife, begin_restored, begin_start, retire, vouch
from tests.sync.lan import POOL_FIRST, Lan, engine_id, make_binding, make_group, make_member

MUL_S = 60


def make_lan(members: int, pool_size: int = 0) -> Lan:
    numbers = range(1, members + 1)
    lan = Lan(numbers, make_group(numbers), pool_size)
    lan.run(6_000)
    return lan


def propose(lan: Lan, at: int, change: GroupChange, *, force: bool = False) -> None:
    with lan.stores[at].write() as tx:
        lan.nodes[at].propose(tx, change, "op", force, lan.clock(at))
    lan.flush(at)


def order(lan: Lan, member: int, service: Service) -> None:
    with lan.stores[member].write() as tx:
        lan.nodes[member].set_service(tx, service, lan.clock(member))
    lan.flush(member)


def group_of(lan: Lan, member: int) -> Group:
    with lan.stores[member].read() as tx:
        group = tx.group()
    assert group is not None
    return group


def local(lan: Lan, member: int) -> Local:
    with lan.stores[member].read() as tx:
        return tx.local()


def states(lan: Lan, at: int) -> dict[int, MemberState]:
    return {one.member: one.state for one in group_of(lan, at).members}


def start(lan: Lan, member: int, ran_at: int = 0) -> None:
    """Both processes of the member start."""
    with lan.stores[member].write() as tx:
        begin_start(tx, lan.now_s, LastLife(ran_at=ran_at or lan.now_s))
    lan.restart(member)


def set_back(lan: Lan, member: int, copy: bytes, noted: Group | None = None) -> None:
    """The store is a copy; `noted`: what lies beside it shows that, and tells the group."""
    lan.stores[member].restore(copy)
    with lan.stores[member].write() as tx:
        if noted is not None:
            begin_restored(tx, lan.now_s, "a copy", LastLife(group=noted))
        else:
            begin_start(tx, lan.now_s, LastLife())
    lan.restart(member)


def founded_then_joined() -> tuple[Lan, bytes]:
    """1 has founded the group, a copy of its store was made, and 2 has joined."""
    lan = make_lan(1, pool_size=60)
    copy = lan.stores[1].snapshot()
    lan.add(2)
    propose(lan, 1, Join(make_member(2)))
    lan.run(60_000, until=lambda: lan.generation(2) == 2 and lan.serving(2))
    assert lan.serving(2)
    lan.run(5_000)
    return lan, copy


def all_out(lan: Lan, member: int) -> bool:
    return not any(one.is_current for one in group_of(lan, member).members if one.member == member)


# --- who decides


def test_who_recovers_decides_nothing_alone() -> None:
    lan, copy = founded_then_joined()
    lan.cut(1)
    set_back(lan, 1, copy, noted=make_group((1,)))
    lan.run(5_000)
    with pytest.raises(PeerError, match="not_voting"):
        propose(lan, 1, Parameters(mul_s=MUL_S + 1))
    lan.run(20_000)
    assert lan.generation(1) == 1


def test_a_founder_set_back_goes_on_in_the_group_that_it_was_in() -> None:
    """What lies beside the store has the group; it recovers among those members."""
    lan, copy = founded_then_joined()
    noted = group_of(lan, 1)
    lan.cut(1)
    set_back(lan, 1, copy, noted=noted)
    lan.run(4 * 3600 * 1_000)
    assert not lan.serving(1), "2 has to be heard, however long it takes"
    assert group_of(lan, 1) == noted
    lan.heal()
    lan.run(300_000, until=lambda: lan.serving(1))
    assert lan.serving(1)
    assert {lan.generation(1), lan.generation(2)} == {2}


def test_a_founder_set_back_unseen_takes_what_the_one_it_does_not_know_holds() -> None:
    lan, copy = founded_then_joined()
    set_back(lan, 1, copy)
    lan.run(3_000)
    assert lan.generation(1) == 2
    assert local(lan, 1).incarnation == 2, "it needed its own vote for that, which it has not"
    both = set(range(POOL_FIRST, POOL_FIRST + 60))

    def owned() -> list[int]:
        return [
            address
            for member in (1, 2)
            for r in lan.ranges(member, AddressState.BINDABLE)
            for address in range(r.first, r.last + 1)
        ]

    assert len(owned()) == len(set(owned()) & both), "it has what 2 gave it, and no more"
    lan.run(300_000, until=lambda: lan.serving(1) and len(owned()) > len(both) // 2)
    assert lan.owned(1)
    assert len(owned()) == len(set(owned()) & both), "each address has one owner"


def test_the_same_decision_made_twice_is_two() -> None:
    """A copy lets the same member in again: but for the number drawn the values are equal."""
    lan, copy = founded_then_joined()
    real = group_of(lan, 2)
    lan.cut(1)
    set_back(lan, 1, copy)
    lan.nodes[1] = Node(1, Random(77), lan.settings)
    lan.run(3_000)
    propose(lan, 1, Join(make_member(2)))
    lan.run(3_000)
    again = group_of(lan, 1)
    assert replace(again, decision=0) == replace(real, decision=0)
    assert again.decision != real.decision
    lan.heal()
    lan.run(30_000, until=lambda: group_of(lan, 1) == group_of(lan, 2))
    assert group_of(lan, 1) == group_of(lan, 2)
    lan.run(20_000)
    assert local(lan, 1).recovery or local(lan, 2).recovery or local(lan, 1).incarnation > 1


# --- those that are out


def test_who_is_alone_asks_those_that_are_out_before_it_serves() -> None:
    """2 is in maintenance, 1 is copied; then they change places, and the copy is put back."""
    lan = make_lan(2)
    order(lan, 2, Service.SHUTDOWN)
    lan.run(60_000, until=lambda: states(lan, 2)[2] is MemberState.DOWN)
    copy = lan.stores[1].snapshot()
    order(lan, 2, Service.RUNNING)
    lan.run(60_000, until=lambda: lan.serving(2))
    order(lan, 1, Service.SHUTDOWN)
    lan.run(60_000, until=lambda: states(lan, 1)[1] is MemberState.DOWN)
    set_back(lan, 1, copy)
    assert not lan.serving(1)
    lan.run(3_000)
    assert lan.generation(1) >= lan.generation(2) - 1
    assert not (lan.serving(1) and len(group_of(lan, 1).current) == 1)
    lan.run(300_000, until=lambda: lan.serving(1) and len(group_of(lan, 2).current) == 2)
    assert lan.serving(1)
    assert lan.serving(2)


def test_who_is_alone_and_hears_nobody_serves_after_a_while_and_goes_on_asking() -> None:
    lan = make_lan(2)
    order(lan, 2, Service.LEAVING)
    lan.run(60_000, until=lambda: states(lan, 1)[2] is MemberState.REMOVED)
    lan.cut(1)
    start(lan, 1)
    assert not lan.serving(1)
    waited = lan.run(10_000, until=lambda: lan.serving(1))
    assert 0 <= waited - lan.settings.witness_ms < 10
    assert not local(lan, 1).unconfirmed, "it decides, for there is nobody else"
    begin = len(lan.log)
    lan.run(30_000)
    asked = [r for s, to, r, _ in lan.log[begin:] if isinstance(r, m.GroupQuery) and s == 1]
    assert len(asked) >= 25, "at every Hello interval"


def test_who_is_alone_is_confirmed_at_once_where_those_that_are_out_answer() -> None:
    lan = make_lan(2)
    order(lan, 2, Service.SHUTDOWN)
    lan.run(60_000, until=lambda: states(lan, 2)[2] is MemberState.DOWN)
    lan.stores[2].close()
    start(lan, 1)
    lan.nodes.pop(2)
    lan.add(2, group_of(lan, 1))  # it has the same group, and stays down
    with lan.stores[2].write() as tx:
        tx.set_serving(False, since=0)
        tx.set_service(Service.SHUTDOWN)
    waited = lan.run(10_000, until=lambda: lan.serving(1))
    assert waited < 1_000
    assert local(lan, 1).incarnation == 1


def test_a_value_is_believed_from_one_that_is_out_in_it_where_it_names_me() -> None:
    """1 was put back to when it was out; 2, told to go since, has the only later value."""
    lan = make_lan(2)
    order(lan, 1, Service.LEAVING)
    lan.run(60_000, until=lambda: lan.generation(1) == lan.generation(2) == 2)
    copy = lan.stores[1].snapshot()
    propose(lan, 2, Join(make_member(1)))
    lan.run(60_000, until=lambda: lan.serving(1))
    order(lan, 2, Service.SHUTDOWN)
    lan.run(60_000, until=lambda: states(lan, 1)[2] is MemberState.DOWN)
    set_back(lan, 1, copy)
    lan.run(5_000)
    assert states(lan, 1)[1] is not MemberState.REMOVED
    assert local(lan, 1).recovery, "alone in a group that it has not decided: it has lost a store"
    with lan.stores[1].read() as tx:
        assert leases_end(tx) >= lan.now_s + longest_lease(tx) - 10
    order(lan, 2, Service.RUNNING)
    lan.run(2 * 3600 * 1_000, until=lambda: lan.serving(1) and lan.serving(2))
    assert lan.serving(1)
    assert lan.serving(2)


def test_a_store_without_a_group_that_is_told_it_is_alone_in_one_has_lost_its_store() -> None:
    lan = make_lan(2)
    order(lan, 2, Service.SHUTDOWN)
    lan.run(60_000, until=lambda: states(lan, 2)[2] is MemberState.DOWN)
    lan.stores[1].close()
    lan.nodes.pop(1)
    lan.add(1)
    lan.run(10_000)
    assert lan.generation(1) == lan.generation(2)
    assert local(lan, 1).recovery
    assert not lan.serving(1)


def test_two_told_to_go_at_once_the_last_one_has_not_left() -> None:
    lan = make_lan(2)
    order(lan, 2, Service.SHUTDOWN)
    order(lan, 1, Service.SHUTDOWN)
    lan.run(120_000)
    current = {one.member for one in group_of(lan, 1).current}
    assert len(current) == 1
    (last,) = current
    assert local(lan, last).answers_clients
    with lan.stores[last].read() as tx:
        said = [(one.action, one.detail) for one in tx.audit_after(0, 100)]
    assert ("resumed", f"member {last} is the last one of test") in said
    other = 3 - last
    order(lan, other, Service.RUNNING)
    lan.run(120_000, until=lambda: local(lan, other).answers_clients)
    assert local(lan, other).answers_clients


# --- lost votes


def test_a_clean_leave_that_needed_a_vote_which_the_store_has_not_shows_the_loss() -> None:
    """1 hands over to 2 and leaves; 2's machine is set back to before that."""
    lan = make_lan(2)
    copy = lan.stores[2].snapshot()
    order(lan, 1, Service.LEAVING)
    lan.run(60_000, until=lambda: states(lan, 1)[1] is MemberState.REMOVED)
    set_back(lan, 2, copy)
    lan.run(6_000)
    assert states(lan, 2)[1] is MemberState.REMOVED
    assert local(lan, 2).recovery
    assert not lan.serving(2)


@pytest.mark.parametrize(
    ("members", "forced", "needed"), [(2, 0, True), (2, 1, False), (3, 0, False)]
)
def test_of_two_members_each_must_have_voted(members: int, forced: int, needed: bool) -> None:
    mine = make_group(range(1, members + 1))
    value = apply(Parameters(mul_s=MUL_S + 1), mine)
    assert value is not None
    assert needed_vote_of(1, mine, replace(value, forced=forced)) is needed


def test_who_has_accepted_that_it_is_out_serves_nobody_until_it_is_decided() -> None:
    """2's departure is accepted by both, and chosen; 2 has lost its store since, and takes over
    from 1 that it was going."""
    lan = make_lan(2)
    group = group_of(lan, 1)
    gone = apply(Expel(2, keeps_seat=True, clean=True), group)
    assert gone is not None
    number = BallotNumber(1, 2)
    with lan.stores[1].write() as tx:
        tx.put_ballot(Ballot(gone.generation, number, number, gone))
    lan.stores[2].close()
    lan.nodes.pop(2)
    lan.add(2)
    served: list[bool] = []
    lan.run(60_000, until=lambda: served.append(lan.serving(2)) or lan.generation(1) == 2)
    assert not any(served)
    assert states(lan, 1)[2] is MemberState.DOWN, "it has had it decided itself"
    lan.run(300_000, until=lambda: lan.serving(2))
    assert lan.serving(2), "and is let in again"


# --- what others remember


def test_behind_is_what_others_remember_of_incarnations_that_are_not_known_to_be_lost() -> None:
    own = Position(1, StoreMark(3, 7), 1, {stream_id(1, 2): 5, stream_id(1, 3): 2})
    assert not behind(own, StoreMark(3, 7), {stream_id(1, 2): 5, stream_id(2, 1): 99})
    assert not behind(own, StoreMark(2, 99), {stream_id(1, 1): 99})
    assert "ownership 8" in behind(own, StoreMark(3, 8), {})
    assert "incarnation 4" in behind(own, StoreMark(4, 0), {})
    assert "change 6 of incarnation 2" in behind(own, StoreMark(3, 7), {stream_id(1, 2): 6})


def test_where_nobody_has_kept_its_store_the_latest_loss_counts() -> None:
    """The other one may have been alone in the group, and have given whole leases."""
    lan = make_lan(2)
    group = group_of(lan, 1)
    lan.cut(1)
    with lan.stores[1].write() as tx:
        begin_restored(tx, lan.now_s, "a copy", LastLife(group=group))
        first = leases_end(tx)
    lan.restart(1)
    lan.run(100_000)
    lan.heal()
    with lan.stores[2].write() as tx:
        begin_restored(tx, lan.now_s, "a copy", LastLife(group=group))
    lan.restart(2)
    lan.run(5_000)
    with lan.stores[1].read() as tx:
        assert leases_end(tx) >= first + 90


# --- going on above a line that does not stand


def test_a_record_of_a_later_generation_is_a_gap_until_the_group_has_gone_on() -> None:
    lan = make_lan(2)
    row = make_binding(POOL_FIRST, lan.now_s, server=2, epoch=(5 << 32) + 1)
    lan.save(2, [row])
    begin = len(lan.log)
    lan.run(60_000, until=lambda: bool(lan.rows(1)))
    refusals = [
        r for _, _, q, r in lan.log[begin:] if isinstance(q, m.BindingUpdate | m.ChangePull)
    ]
    assert any(isinstance(r, PeerError) and r.reason == "ahead" for r in refusals)
    assert [one.epoch for one in lan.rows(1)] == [row.epoch]
    assert lan.generation(1) == 6
    assert str(GoOn(6)) == "going on above generation 6"


# --- draft 2.3.1: who may have been declared dead


def test_a_start_counts_from_when_it_ran_last_until_a_majority_is_heard() -> None:
    lan = make_lan(3)
    ran_at = lan.now_s - 1_000
    lan.cut(3)
    start(lan, 3, ran_at)
    lan.run(10_000)
    assert lan.serving(3)
    assert local(lan, 3).certain_until == ran_at
    start(lan, 3)
    assert local(lan, 3).certain_until == ran_at, "it has heard nobody in between"
    lan.passes = lambda sender, to, _: {sender, to} != {2, 3} and 1 in (sender, to)
    lan.run(10_000, until=lambda: not local(lan, 3).certain_until)
    assert local(lan, 3).certain_until == 0, "1 and 3 are two of three"


def test_who_has_lost_its_store_vouches_for_nobody() -> None:
    lan = make_lan(2)
    group = group_of(lan, 1)
    lan.cut(2)
    start(lan, 2)
    with lan.stores[1].write() as tx:
        begin_restored(tx, lan.now_s, "a copy", LastLife(group=group))
    lan.restart(1)
    lan.heal()
    begun = lan.now_s
    lan.run(7_200_000, until=lambda: not local(lan, 2).certain_until)
    assert lan.serving(1), "it has pulled, and waited"
    assert lan.now_s >= begun


def test_a_machine_that_stood_still_waits_for_news() -> None:
    lan = make_lan(2)
    at_s = lan.now_s
    for other in lan.nodes.values():
        assert other.is_clock_settled
    lan.now_ms += 60_000
    lan.tick(2)
    assert at_s - 5 <= local(lan, 2).certain_until <= at_s
    lan.run(15_000, until=lambda: not local(lan, 2).certain_until)
    assert not local(lan, 2).certain_until


def test_an_operators_force_makes_certain() -> None:
    lan = make_lan(2)
    lan.nodes.pop(1)
    start(lan, 2)
    lan.run(10_000)
    assert local(lan, 2).certain_until
    propose(lan, 2, Expel(1), force=True)
    lan.run(1_000)
    assert not local(lan, 2).certain_until


def test_who_is_not_certain_gives_no_addresses_away() -> None:
    """2 and 3 of four hear each other, which is no majority; 3 has nothing left, and asks."""
    lan = make_lan(4, pool_size=120)
    lan.run(20_000)
    lan.passes = lambda sender, to, _: {sender, to} == {2, 3}
    start(lan, 2)
    lan.run(6_000)
    assert lan.serving(2)
    assert local(lan, 2).certain_until
    owned, begin = lan.owned(2), len(lan.log)
    with lan.stores[3].write() as tx:
        rows = [
            make_binding(a, lan.now_s, server=3, epoch=r.epoch, seq=0)
            for r in tx.address_ranges_in(AddressState.BINDABLE)
            for a in range(r.first, r.last + 1)
        ]
        tx.save_bindings(rows)
    lan.nodes[3].notice_store_change()
    lan.run(10_000)
    offers = [r for _, to, _, r in lan.log[begin:] if to == 2 and isinstance(r, m.TransferOffer)]
    assert offers, "it is asked"
    assert not any(one.ranges for one in offers)
    assert lan.owned(2) == owned


def test_vouch_is_for_one_start() -> None:
    lan = make_lan(2)
    with lan.stores[2].write() as tx:
        vouch(tx, lan.now_s)
    start(lan, 2, ran_at=lan.now_s - 500)
    assert (local(lan, 2).certain_until, local(lan, 2).vouched) == (0, False)
    start(lan, 2, ran_at=lan.now_s - 500)
    assert local(lan, 2).certain_until == lan.now_s - 500


@pytest.mark.parametrize("begin", ["as a copy", "recovering"])
def test_a_vouch_is_used_up_by_a_start_that_makes_nothing_of_it(begin: str) -> None:
    """A word for the store that was to start is none for a later life, in which much may have been
    said of this member."""
    lan = make_lan(2)
    with lan.stores[2].write() as tx:
        vouch(tx, lan.now_s)
        if begin == "as a copy":
            begin_restored(tx, lan.now_s, "a copy", LastLife())
        else:
            retire(tx, lan.now_s)
            begin_start(tx, lan.now_s, LastLife())
    assert not local(lan, 2).vouched


def test_nobody_vouches_for_one_that_recovers() -> None:
    lan = make_lan(2)
    with lan.stores[2].write() as tx:
        retire(tx, lan.now_s)
        with pytest.raises(PeerError, match="recovering"):
            vouch(tx, lan.now_s)


def test_who_is_retired_owns_nothing_and_comes_back_by_pulling() -> None:
    lan = make_lan(2, pool_size=60)
    lan.run(20_000)
    assert lan.owned(2)
    with lan.stores[2].write() as tx:
        retire(tx, lan.now_s)
    lan.restart(2)
    assert lan.owned(2) == 0
    assert not lan.serving(2)
    lan.run(10_000, until=lambda: lan.serving(2))
    assert lan.serving(2)


@pytest.mark.parametrize("say", [retire, vouch])
def test_a_member_without_a_group_has_nothing_to_retire_or_to_vouch_for(say: object) -> None:
    lan = Lan([1])
    assert callable(say)
    with lan.stores[1].write() as tx, pytest.raises(PeerError, match="no_group"):
        say(tx, lan.now_s)


def test_a_note_of_another_members_engine_is_no_note() -> None:
    lan = make_lan(2)
    group = group_of(lan, 1)
    members = tuple(
        replace(one, engine_id=engine_id(9)) if one.member == 1 else one for one in group.members
    )
    noted = replace(group, generation=9, members=members)
    with lan.stores[1].write() as tx:
        begin_restored(tx, lan.now_s, "a copy", LastLife(group=noted))
        assert tx.group() == group
        assert tx.local().certain_until, "what it knows of the group may be old"


def test_a_copy_of_a_store_that_recovered_alone_does_not_end_its_wait_by_the_copy() -> None:
    """1 recovers alone, is copied, goes on, lets 2 in again; the copy is put back long after."""
    lan = make_lan(2)
    order(lan, 2, Service.LEAVING)
    lan.run(60_000, until=lambda: lan.generation(1) == lan.generation(2) == 2)
    with lan.stores[1].write() as tx:
        begin_restored(tx, lan.now_s, "a copy", LastLife(group=tx.group()))
    lan.restart(1)
    lan.run(5_000)
    copy = lan.stores[1].snapshot()
    lan.cut(1)
    lan.run(4 * 3_600_000, until=lambda: lan.serving(1))
    assert lan.serving(1), "its longest lease is over, whether 2 is heard or not"
    set_back(lan, 1, copy)
    lan.run(3_000_000)
    assert not lan.serving(1), "nobody has answered since this start"
    lan.heal()
    lan.run(120_000, until=lambda: lan.serving(1))
    assert lan.serving(1), "2 knows of nothing later"


# --- what it gave


def test_an_owner_gives_back_what_a_copy_has_leased_meanwhile() -> None:
    lan, copy = founded_then_joined()
    owned = lan.ranges(2, AddressState.BINDABLE)[0]
    lan.cut(2)
    set_back(lan, 1, copy)
    lan.run(6_000)
    lan.save(1, [make_binding(owned.first, lan.now_s)])
    lan.heal()
    lan.run(60_000, until=lambda: bool(lan.rows(2)))
    assert [row.epoch < owned.epoch for row in lan.rows(2)] == [True]
    mine = lan.ranges(2, AddressState.BINDABLE)
    assert not any(one.first <= owned.first <= one.last for one in mine)
    lan.run(10_000)
    assert not lan.ranges(2, AddressState.POLLING), "all have forgotten their promises"


def test_what_a_former_store_made_is_told_by_a_third_member_before_its_author_is_heard() -> None:
    """2 has started anew and hears nothing of 1, whose store it knows to be lost; 3 has its row."""
    lan = make_lan(3, pool_size=60)
    owned = lan.ranges(2, AddressState.BINDABLE)[0]
    with lan.stores[3].write() as tx:  # before 1 lost that store
        stream = stream_id(1, 1)
        seq = tx.streams()[stream].applied + 1
        row = make_binding(owned.first, lan.now_s, epoch=owned.epoch)
        tx.put_bindings([row._replace(stream=stream, seq=seq)])
        tx.log_changes([Change(stream, seq, ChangeKind.BINDING, owned.first)])
        tx.advance_stream(stream, seq)
    with lan.stores[2].write() as tx:
        tx.replace_address_ranges([owned], [replace(owned, epoch=owned.epoch + 1)])
        tx.put_lost_store(LostStore(1, 1, lan.now_s))
    lan.cut(1)
    lan.restart(2)
    lan.run(30_000, until=lambda: bool(lan.rows(2)))
    assert lan.rows(2)
    mine = lan.ranges(2, AddressState.BINDABLE)
    assert not any(one.first <= owned.first <= one.last for one in mine)
