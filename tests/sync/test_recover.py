"""RECOVER (docs/protocol.md, "RECOVER"): a store that is lost, restored or rolled back is found
before it serves, and what it promised is held until it is over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.errors import PeerError
from agent.model import (
    AddressRange,
    AddressState,
    Binding,
    BindingState,
    Group,
    Local,
    LostStore,
    Nonce,
    stream_id,
)
from agent.sync import messages as m
from agent.sync import ranges, recover
from agent.sync.change import Expel, GroupChange, Parameters
from agent.sync.start import LastLife, begin_start
from store import Store
from tests.sync.lan import POOL_FIRST, Lan, engine_id, make_binding, make_group

BINDABLE, PROMISED = AddressState.BINDABLE, AddressState.PROMISED
MUL_S = 60
LEASE_S = 3_600


def make_lan(members: int, pool_size: int = 400) -> Lan:
    numbers = range(1, members + 1)
    lan = Lan(numbers, make_group(numbers), pool_size)
    lan.run(5_000)
    return lan


def local(lan: Lan, member: int) -> Local:
    with lan.stores[member].read() as tx:
        return tx.local()


def start(lan: Lan, member: int) -> None:
    """Both processes of the member start."""
    with lan.stores[member].write() as tx:
        begin_start(tx, lan.now_s, LastLife(ran_at=lan.now_s))
    lan.restart(member)


def roll_back(lan: Lan, member: int, copy: bytes) -> None:
    lan.stores[member] = Store.from_snapshot(copy)
    start(lan, member)


def wipe(lan: Lan, member: int) -> None:
    lan.stores[member] = Store.in_memory(member=member, engine_id=engine_id(member))
    start(lan, member)


def bind(lan: Lan, member: int, count: int, skip: int = 0) -> list[Binding]:
    """The first free addresses of a member become bindings."""
    owned = lan.ranges(member, BINDABLE)
    taken = {row.address for row in lan.rows(member)}
    free = [
        (address, row.epoch)
        for row in owned
        for address in range(row.first, row.last + 1)
        if address not in taken
    ]
    rows = [
        make_binding(address, lan.now_s, member, epoch=epoch)
        for address, epoch in free[skip : skip + count]
    ]
    lan.save(member, rows)
    return rows


def spans(rows: list[AddressRange]) -> list[ranges.Span]:
    return ranges.union((row.first, row.last) for row in rows)


def polled(lan: Lan, member: int) -> bool:
    """Whether that member has asked for addresses of nobody, in what the log has."""
    return any(
        sender == member and isinstance(request, m.PollAsk) and request.nonce.counter > 0
        for sender, _, request, _ in lan.log
    )


def assert_owned_once(lan: Lan) -> None:
    taken: list[ranges.Span] = []
    for member in lan.nodes:
        mine = spans(lan.ranges(member, BINDABLE))
        assert ranges.intersect(taken, mine) == []
        taken = ranges.union([*taken, *mine])


def test_recovery_gives_up_everything_durably() -> None:
    lan = make_lan(3)
    promised = lan.ranges(2, PROMISED)
    assert lan.owned(2) > 0
    with lan.stores[2].write() as tx:
        assert recover.begin_recovery(tx, lan.now_s, "an operator said so") == 2
    found = local(lan, 2)
    assert (found.serving, found.incarnation, found.recovery) == (False, 2, "an operator said so")
    assert found.holds_until == lan.now_s + MUL_S
    assert lan.owned(2) == 0
    assert lan.ranges(2, PROMISED) == promised, "what was promised to others stays promised"


def test_who_recovers_agrees_to_no_poll() -> None:
    lan = make_lan(3)
    copy = lan.stores[2].snapshot()
    bind(lan, 2, 3)
    lan.run(2_000)
    lan.passes = lambda sender, to, _: {sender, to} != {2, 3}
    roll_back(lan, 2, copy)
    lan.run(3_000)
    assert local(lan, 2).recovery, "3 is not heard: it cannot end"
    hello = next(r for s, to, r, _ in reversed(lan.log) if (s, to) == (1, 2))
    ask = m.PollAsk(hello.header, Nonce(1, 99), (m.RangeEpoch(POOL_FIRST, POOL_FIRST + 9),))
    answer = lan.ask(2, ask, lan.now_ms)
    assert isinstance(answer, PeerError)
    assert answer.reason == "not_serving"


@pytest.mark.parametrize("members", [2, 3, 5])
def test_a_member_rolled_back_to_a_copy_comes_back_by_itself(members: int) -> None:
    lan = make_lan(members)
    bind(lan, 2, 5)
    lan.run(2_000)
    copy = lan.stores[2].snapshot()
    later = bind(lan, 2, 7)
    lan.run(2_000)
    roll_back(lan, 2, copy)
    at_ms = lan.now_ms
    assert lan.run(10_000, until=lambda: lan.serving(2)) < 4_000
    found = local(lan, 2)
    assert (found.incarnation, found.recovery, found.unconfirmed) == (2, "", False)
    assert {row.address for row in later} <= {row.address for row in lan.rows(2)}
    lan.log.clear()
    lan.run(at_ms + MUL_S * 1_000 - lan.now_ms - 1)
    assert not polled(lan, 2), "no polls for MUL"
    lan.run(local(lan, 2).holds_until * 1_000 + 1_000 - lan.now_ms)
    bind(lan, 2, lan.owned(2))  # and then it needs more
    lan.run(15_000, until=lambda: polled(lan, 2))
    assert polled(lan, 2), "L6: within MUL + sync"
    lan.run(15_000)
    assert_owned_once(lan)
    assert lan.told(1) == lan.told(2)


def test_a_change_of_the_new_incarnation_is_recorded_by_all() -> None:
    lan = make_lan(3)
    copy = lan.stores[2].snapshot()
    bind(lan, 2, 7)
    lan.run(2_000)
    roll_back(lan, 2, copy)
    lan.run(5_000)
    row = next(row for row in lan.rows(2) if row.transaction_server == 2)
    lan.save(2, [row._replace(grant=row.grant + 1, expires_at=row.expires_at + 60,
                         potential_expires_at=row.potential_expires_at + 60)])  # fmt: skip
    lan.run(3_000)
    assert lan.told(1) == lan.told(2) == lan.told(3)
    with lan.stores[2].read() as tx:
        assert tx.streams()[stream_id(2, 2)].acknowledged == 1


def test_a_rollback_that_lost_only_a_promise_is_found() -> None:
    """Nothing of the member's own stream is missing; what it promised is."""
    lan = make_lan(2)
    copy = lan.stores[2].snapshot()
    free = bind(lan, 1, 120)
    lan.run(20_000)
    assert lan.owned(1) > len(free), "1 has asked for more, and 2 has promised it"
    roll_back(lan, 2, copy)
    lan.run(3_000)
    assert local(lan, 2).incarnation == 2
    with lan.stores[2].read() as tx:
        assert tx.counters()["cluster_recoveries"] == 1


def without_hellos_of(lan: Lan, member: int) -> None:
    lan.passes = lambda sender, to, request: sender != member or not isinstance(request, m.Hello)


def both_lose(lan: Lan, member: int, copy: bytes) -> None:
    """The member is set back, and its only peer forgets what is not on its disk."""
    lan.heal()
    lan.restart(3 - member)
    roll_back(lan, member, copy)
    lan.run(6_000)


def test_a_promise_is_remembered_by_who_owns_by_it() -> None:
    """By the answer itself: no Hello of the new version has to come first."""
    lan = make_lan(2)
    copy = lan.stores[2].snapshot()
    owned = lan.owned(1)
    bind(lan, 1, owned)
    without_hellos_of(lan, 2)
    lan.run(3_000, until=lambda: lan.owned(1) > owned)
    assert lan.owned(1) > owned, "1 has asked for more, and 2 has promised it"
    both_lose(lan, 2, copy)
    assert local(lan, 2).incarnation == 2


def test_what_was_given_back_is_remembered_by_who_ended_its_promise() -> None:
    """2 may serve a former client of what 1 gave back: 1 must not own it again by an old copy."""
    lan = make_lan(2)
    copy = lan.stores[1].snapshot()
    promised = ranges.size(spans(lan.ranges(2, PROMISED)))
    row = lan.ranges(1, BINDABLE)[0]
    without_hellos_of(lan, 1)
    with lan.stores[1].write() as tx:
        lan.nodes[1]._poll.give_back(tx, [(row.first, row.last)])
    lan.nodes[1].notice_store_change()
    lan.run(2_000, until=lambda: ranges.size(spans(lan.ranges(2, PROMISED))) < promised)
    assert ranges.size(spans(lan.ranges(2, PROMISED))) < promised
    both_lose(lan, 1, copy)
    assert local(lan, 1).incarnation == 2


def test_a_gift_is_remembered_by_who_took_it() -> None:
    lan = make_lan(2)
    copy = lan.stores[2].snapshot()
    bind(lan, 1, lan.owned(1))
    without_hellos_of(lan, 2)
    hello = next(r for s, _, r, _ in reversed(lan.log) if s == 2 and isinstance(r, m.Hello))
    assert hello.free
    lan.passes = lambda sender, to, request: (
        not isinstance(request, m.PollAsk | m.PollReserve)
        and not (sender == 2 and isinstance(request, m.Hello))
    )
    owned = lan.owned(1)
    with lan.stores[1].write() as tx:
        pool = (POOL_FIRST, POOL_FIRST + 399)
        lan.nodes[1]._taker.begin(tx, 2, pool, 20, 0, lan.now_ms)
    lan.flush(1)
    assert lan.owned(1) > owned
    both_lose(lan, 2, copy)
    assert local(lan, 2).incarnation == 2


@pytest.mark.parametrize("members", [2, 3])
def test_a_wiped_member_comes_back_by_itself(members: int) -> None:
    """Nothing is left but its number and engine ID: not even its incarnation."""
    lan = make_lan(members)
    rows = bind(lan, 2, 20)
    lan.run(3_000)
    wipe(lan, 2)
    at_ms = lan.now_ms
    assert lan.run(20_000, until=lambda: lan.serving(2)) < 6_000
    assert local(lan, 2).incarnation == 2
    assert {row.address for row in rows} <= {row.address for row in lan.rows(2)}
    lan.log.clear()
    lan.run(at_ms + MUL_S * 1_000 - lan.now_ms - 1)
    assert not polled(lan, 2)
    lan.run(local(lan, 2).holds_until * 1_000 + 1_000 - lan.now_ms)
    bind(lan, 2, lan.owned(2))
    lan.run(20_000, until=lambda: polled(lan, 2))
    assert polled(lan, 2)
    lan.run(20_000)
    assert_owned_once(lan)


def test_who_has_lost_its_store_serves_new_clients_from_what_another_one_owns() -> None:
    """It polls only when MUL is over, but what an owner gives it is nobody else's."""
    lan = make_lan(3)
    rows = bind(lan, 2, 20)
    lan.run(3_000)
    mine = spans(lan.ranges(2, BINDABLE))
    wipe(lan, 2)
    lan.run(20_000, until=lambda: lan.serving(2))
    lan.run(10_000, until=lambda: lan.owned(2) > 0)
    assert lan.owned(2) > 0
    assert lan.now_s < local(lan, 2).holds_until - 30
    assert ranges.intersect(spans(lan.ranges(2, BINDABLE)), mine) == [], "its own of before rest"
    assert_owned_once(lan)
    assert rows


def test_a_member_wiped_twice_never_uses_a_number_again() -> None:
    lan = make_lan(2)
    for incarnation in (2, 3):
        bind(lan, 2, 2)
        lan.run(2_000)
        wipe(lan, 2)
        lan.run(100_000, until=lambda: lan.owned(2) > 0)
        assert local(lan, 2).incarnation == incarnation


# --- votes


def group_of(lan: Lan, member: int) -> Group:
    with lan.stores[member].read() as tx:
        group = tx.group()
    assert group is not None
    return group


def propose(lan: Lan, at: int, change: GroupChange, *, force: bool = False) -> None:
    with lan.stores[at].write() as tx:
        lan.nodes[at].propose(tx, change, "op", force, lan.now_ms)
    lan.flush(at)


def decided_by_one_and_two(mul_s: int) -> tuple[Lan, bytes]:
    """Of three members 1 has a MUL decided with the vote of 2, and nobody hears that from 1.
    Returns a copy of 2's store from before, too."""
    lan = make_lan(3)
    copy = lan.stores[2].snapshot()
    lan.passes = lambda sender, to, request: (
        {sender, to} != {1, 3} and not (sender == 1 and isinstance(request, m.GroupCommit))
    )
    propose(lan, 1, Parameters(mul_s=mul_s))
    lan.run(3_000, until=lambda: lan.generation(1) == 2)
    assert [lan.generation(one) for one in (1, 2, 3)] == [2, 1, 1]
    lan.cut(1)
    return lan, copy


@pytest.mark.parametrize("lost", ["wiped", "rolled back"])
def test_who_may_have_forgotten_its_vote_does_not_vote_again(lost: str) -> None:
    """I9: 3 must not have something else decided with the vote that 2 has forgotten."""
    lan, copy = decided_by_one_and_two(mul_s=40)
    if lost == "wiped":
        wipe(lan, 2)
    else:
        roll_back(lan, 2, copy)
    lan.run(10_000)
    propose(lan, 3, Parameters(mul_s=50))
    lan.run(30_000)
    assert lan.generation(3) == 1
    with pytest.raises(PeerError, match="waits for member 1"):
        propose(lan, 2, Parameters(mul_s=70))
    lan.heal()
    lan.run(60_000)
    assert group_of(lan, 1) == group_of(lan, 2) == group_of(lan, 3)
    assert (lan.generation(1), group_of(lan, 1).mul_s) == (3, 50)


def test_an_operator_is_told_at_once_that_only_force_is_left() -> None:
    lan = make_lan(3)
    lan.cut(1)
    wipe(lan, 2)
    lan.run(10_000)
    with pytest.raises(PeerError, match=r"1 of 3 members are no majority \(2: not voting"):
        propose(lan, 3, Expel(1))
    propose(lan, 3, Expel(1), force=True)
    lan.run(10_000)
    assert lan.serving(2)
    assert [lan.generation(one) for one in (2, 3)] == [2, 2]
    propose(lan, 3, Parameters(mul_s=50))
    lan.run(10_000)
    assert group_of(lan, 2).mul_s == 50, "and votes again"


def test_who_votes_again_knows_what_it_had_accepted() -> None:
    """1 and 2 have accepted a value, and 1 has forgotten that it asked for it; 2 is wiped and hears
    the others. The value may have been chosen: 2 votes for nothing else."""
    lan = make_lan(3)
    lan.passes = lambda sender, to, request: (
        not isinstance(request, m.GroupCommit)
        and not (3 in (sender, to) and isinstance(request, m.BallotPrepare | m.BallotAccept))
    )
    propose(lan, 1, Parameters(mul_s=40))
    lan.run(3_000, until=lambda: any(isinstance(r, m.BallotAccept) for _, _, r, _ in lan.log))
    wipe(lan, 2)
    with lan.stores[1].write() as tx:
        tx.put_group(replace(make_group((1, 2, 3)), generation=1))
    lan.restart(1)
    lan.heal()
    lan.run(8_000)
    assert lan.serving(2)
    with lan.stores[2].read() as tx:
        ballot = tx.ballot(2)
    assert ballot is not None
    assert ballot.value is not None
    assert ballot.value.mul_s == 40
    lan.cut(1)
    propose(lan, 3, Parameters(lease_s=50))
    lan.run(10_000, until=lambda: lan.generation(2) == 2)
    assert (group_of(lan, 3).mul_s, lan.generation(2)) == (40, 2)


# --- starting


def test_a_clean_start_is_confirmed_by_every_peer_and_costs_no_incarnation() -> None:
    lan = make_lan(3)
    owned = lan.owned(2)
    start(lan, 2)
    assert not lan.serving(2)
    assert lan.run(10_000, until=lambda: lan.serving(2)) < 1_500
    found = local(lan, 2)
    assert (found.incarnation, found.unconfirmed, found.serving_since) == (1, False, 0)
    assert lan.owned(2) == owned


def test_who_hears_nobody_serves_after_a_while_under_a_new_incarnation() -> None:
    lan = make_lan(2)
    owned = lan.owned(2)
    lan.cut(1)
    start(lan, 2)
    waited = lan.run(10_000, until=lambda: lan.serving(2))
    assert 0 <= waited - lan.settings.witness_ms < 10
    found = local(lan, 2)
    assert found.unconfirmed
    assert found.incarnation > 1
    alone = found.incarnation
    assert lan.owned(2) == owned, "the store may well be good"
    lan.heal()
    lan.run(5_000)
    assert not local(lan, 2).unconfirmed
    assert local(lan, 2).incarnation == alone
    assert lan.serving(2)


def test_a_rollback_found_only_after_serving_stops_it_and_mixes_nothing_up() -> None:
    lan = make_lan(2)
    copy = lan.stores[2].snapshot()
    lost = bind(lan, 2, 3)
    lan.run(2_000)
    lan.cut(1)
    roll_back(lan, 2, copy)
    lan.run(6_000)
    assert lan.serving(2)
    alone = local(lan, 2).incarnation
    bind(lan, 2, 3, skip=10)
    lan.heal()
    lan.run(6_000)
    found = local(lan, 2)
    assert found.incarnation == alone + 1
    assert lan.told(1) == lan.told(2)
    assert {row.address for row in lost} <= {row.address for row in lan.rows(2)}
    assert len(lan.rows(2)) == 6


def test_a_member_alone_starts_at_once() -> None:
    lan = Lan([1], make_group([1]), 100)
    lan.run(1_000)
    start(lan, 1)
    assert lan.serving(1)


@pytest.mark.parametrize("crash_ms", [0, 50, 300, 700, 1_100, 2_000])
def test_a_crash_at_any_point_of_recovery_only_delays_it(crash_ms: int) -> None:
    lan = make_lan(3)
    copy = lan.stores[2].snapshot()
    bind(lan, 2, 9)
    lan.run(2_000)
    roll_back(lan, 2, copy)
    for _ in range(3):
        lan.run(crash_ms)
        start(lan, 2)
    assert lan.run(15_000, until=lambda: lan.serving(2)) < 5_000
    assert local(lan, 2).incarnation == 2
    lan.run(1_000)
    assert lan.told(1) == lan.told(2) == lan.told(3)
    assert_owned_once(lan)


def test_every_commit_of_recovery_may_be_the_last_one_before_a_crash() -> None:
    """The node is made anew after each transaction of the recovering member."""
    lan = make_lan(3)
    copy = lan.stores[2].snapshot()
    bind(lan, 2, 9)
    lan.run(2_000)
    roll_back(lan, 2, copy)
    for _ in range(400):
        if lan.serving(2):
            break
        lan.run(100)
        with lan.stores[2].read() as tx:
            before = tx.streams(), tx.local()
        lan.run(1_400, until=lambda before=before: changed(lan, before))
        lan.restart(2)
    assert lan.run(15_000, until=lambda: lan.serving(2)) < 15_000
    assert lan.told(1) == lan.told(2)


def changed(lan: Lan, before: tuple[object, Local]) -> bool:
    with lan.stores[2].read() as tx:
        return (tx.streams(), tx.local()) != before


# --- all at once


def test_all_restored_at_once_serve_after_the_longest_lease() -> None:
    """Nobody knows what was given after the copies were made."""
    lan = make_lan(2)
    with lan.stores[1].write() as one, lan.stores[2].write() as two:
        recover.begin_recovery(one, lan.now_s, "restored")
        recover.begin_recovery(two, lan.now_s, "restored")
    lan.restart(1)
    lan.restart(2)
    lan.run((LEASE_S - 2) * 1_000)
    assert not lan.serving(1)
    assert not lan.serving(2)
    lan.run(40_000)
    assert lan.serving(1)
    assert lan.serving(2)
    lan.run(10_000)
    assert lan.owned(1) > 0
    assert_owned_once(lan)


def end_wait(lan: Lan, member: int) -> None:
    with lan.stores[member].write() as tx:
        lan.nodes[member].end_wait(tx, lan.now_ms)


def test_an_operator_ends_the_wait_and_addresses_are_tried_for_as_long() -> None:
    lan = make_lan(2)
    lost_at = lan.now_s
    with lan.stores[1].write() as one, lan.stores[2].write() as two:
        recover.begin_recovery(one, lan.now_s, "restored")
        recover.begin_recovery(two, lan.now_s, "restored")
    lan.restart(1)
    lan.restart(2)
    lan.run(5_000)
    end_wait(lan, 1)
    end_wait(lan, 2)
    lan.run(5_000)
    assert lan.serving(1)
    assert lan.serving(2)
    assert local(lan, 1).tries_until == lost_at + LEASE_S
    with pytest.raises(PeerError, match="waits for no leases"):
        end_wait(lan, 1)
    lan.run(MUL_S * 1_000 + 10_000)  # what the lost stores had promised each other is held
    assert lan.owned(1) > 0
    assert_owned_once(lan)
    with lan.stores[1].write() as tx:
        recover.begin_recovery(tx, lan.now_s, "lost again")
        assert tx.local().tries_until == 0, "the operator has spoken of one loss"


def test_a_wait_that_is_none_cannot_be_ended() -> None:
    lan = make_lan(2)
    with pytest.raises(PeerError, match="waits for no leases"):
        end_wait(lan, 1)


def test_an_ended_wait_still_pulls_from_everybody() -> None:
    lan = make_lan(2)
    lan.passes = lambda *_: False
    with lan.stores[1].write() as tx:
        recover.begin_recovery(tx, lan.now_s, "restored")
    lan.restart(1)
    lan.run(1_000)
    end_wait(lan, 1)
    lan.run(60_000)
    assert not lan.serving(1)


# --- what the others hold


def test_what_a_lost_store_was_promised_comes_back_after_mul() -> None:
    lan = make_lan(3)
    wipe(lan, 2)
    lan.run(5_000)
    held = ranges.size(spans([r for r in lan.ranges(1, PROMISED) if r.member == 2]))
    assert held > 0
    with lan.stores[1].read() as tx:
        assert tx.lost_stores()[2].incarnation == 1
    lan.run(MUL_S * 1_000)
    old = [r for r in lan.ranges(1, PROMISED) if r.member == 2 and r.nonce.incarnation == 1]
    assert old == []
    lan.run(30_000)
    assert_owned_once(lan)
    assert all(lan.owned(member) >= 50 for member in lan.nodes)


def test_a_transfer_to_a_lost_store_becomes_a_promise_to_it() -> None:
    lan = make_lan(2)
    row = lan.ranges(1, BINDABLE)[0]
    given = replace(row, state=AddressState.TRANSFERRING, member=2, nonce=Nonce(1, 7))
    with lan.stores[1].write() as tx:
        tx.replace_address_ranges([row], [given])
        recover.note_lost(tx, 2, 3, lan.now_s)
    assert replace(given, state=PROMISED) in lan.ranges(1, PROMISED)
    with lan.stores[1].write() as tx:
        assert recover.void_promises(tx, lan.now_s + MUL_S - 1, MUL_S) == lan.now_s + MUL_S
        recover.void_promises(tx, lan.now_s + MUL_S, MUL_S)
    assert [r for r in lan.ranges(1, PROMISED) if r.member == 2] == []


def test_a_promise_to_the_new_incarnation_is_not_ended_with_the_old_one() -> None:
    store = Store.in_memory()
    row = AddressRange(100, 109, PROMISED, 1, 2, Nonce(4, 1), 1)
    with store.write() as tx:
        tx.replace_address_ranges([], [row])
        recover.note_lost(tx, 2, 3, 1_000)
        recover.void_promises(tx, 5_000, MUL_S)
        assert tx.address_ranges(0, 200) == [row]
        assert tx.local().serving_since == 0
        recover.note_lost(tx, 2, 4, 2_000)
        recover.void_promises(tx, 5_000, MUL_S)
        assert tx.address_ranges(0, 200) == []
        assert tx.local().serving_since == 5_000, "a third may have been given it"


def test_losing_again_extends_the_hold_and_hearing_of_it_again_does_not() -> None:
    store = Store.in_memory()
    with store.write() as tx:
        recover.note_lost(tx, 2, 1, 1_000)
        recover.note_lost(tx, 2, 1, 2_000)
        assert tx.lost_stores() == {2: LostStore(2, 1, 1_000)}
        recover.note_lost(tx, 2, 2, 3_000)
        assert tx.lost_stores() == {2: LostStore(2, 2, 3_000)}


@pytest.mark.parametrize("state", list(BindingState))
def test_an_address_is_held_for_what_a_lost_store_may_have_told_its_client(
    state: BindingState,
) -> None:
    row = make_binding(POOL_FIRST, 1_000, 3, state=state)
    assert row.potential_expires_at == 1_900
    assert recover.held_until(row, 0, MUL_S) == 0
    assert recover.held_until(row, 1_500, MUL_S) == 1_900 + MUL_S
    assert recover.held_until(row, 2_500, MUL_S) == 2_500 + MUL_S
    assert recover.held_until(row, 999, MUL_S) == 0, "written since, by a member that lives"


def test_nobody_polls_an_expired_lease_that_a_lost_store_may_have_renewed() -> None:
    """Any member renews (draft 6.4): 2 renewed a lease of 1's and was lost before its push."""
    lan = make_lan(2, pool_size=2)
    (row,) = bind(lan, 1, 1)
    lan.run(2_000)
    wipe(lan, 2)
    lan.run(10_000)
    at = row.potential_expires_at + MUL_S
    lan.run((row.expires_at + 30 - lan.now_s) * 1_000)
    lan.run((at - 2 - lan.now_s) * 1_000)
    mine = [r for m_ in lan.nodes for r in lan.ranges(m_, BINDABLE) if r.epoch > row.epoch]
    assert ranges.intersect(spans(mine), [(row.address, row.address)]) == []
    lan.run(40_000)
    mine = [r for m_ in lan.nodes for r in lan.ranges(m_, BINDABLE) if r.epoch > row.epoch]
    assert ranges.intersect(spans(mine), [(row.address, row.address)]) != []


def test_an_incarnation_that_is_over_is_not_heard() -> None:
    lan = make_lan(2)
    old = next(r for s, _, r, _ in reversed(lan.log) if s == 2 and isinstance(r, m.Hello))
    wipe(lan, 2)
    lan.run(5_000)
    refused = lan.ask(1, old, lan.now_ms)
    assert getattr(refused, "reason", "") == "old_incarnation"
    with lan.stores[1].write() as tx:
        lan.nodes[1].handle_timer(tx, lan.now_ms)
        assert tx.counters()["cluster_refused_old_incarnation"] == 1
