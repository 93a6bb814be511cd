"""Members that go: by ballot, by force, by themselves; what is held back, and their return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.errors import PeerError
from agent.limits import WISHES_MAX
from agent.model import (
    AddressState,
    Ballot,
    BallotNumber,
    Group,
    MemberId,
    MemberState,
    Nonce,
    Service,
)
from agent.sync import messages as m
from agent.sync import ranges
from agent.sync.change import Expel, ForgetPastMul, GroupChange, Join, Parameters, apply
from agent.sync.endpoint import Endpoint
from agent.sync.expulsion import follow
from agent.sync.start import LastLife, begin_start
from agent.sync.version import membership_hash
from store import Store
from store.transaction import Transaction
from tests.sync.lan import POOL_FIRST, Lan, make_binding, make_group, make_member
from tests.sync.test_recover import wipe

MUL_S = 60
GRACE_S = 60


def make_lan(members: int, pool_size: int = 0) -> Lan:
    numbers = range(1, members + 1)
    lan = Lan(numbers, make_group(numbers), pool_size)
    lan.run(6_000)
    return lan


def propose(lan: Lan, at: int, change: GroupChange, *, force: bool = False) -> None:
    with lan.stores[at].write() as tx:
        lan.nodes[at].propose(tx, change, "op", force, lan.clock(at))
    lan.flush(at)


def refused(lan: Lan, at: int, change: GroupChange, *, force: bool = False) -> str:
    with pytest.raises(PeerError) as caught:
        propose(lan, at, change, force=force)
    return caught.value.reason


def serve(lan: Lan, member: int, service: Service) -> None:
    with lan.stores[member].write() as tx:
        lan.nodes[member].set_service(tx, service, lan.clock(member))
    lan.flush(member)


def group_of(lan: Lan, member: int) -> Group:
    with lan.stores[member].read() as tx:
        group = tx.group()
    assert group is not None
    return group


def state_of(lan: Lan, member: int, at: int) -> MemberState:
    known = group_of(lan, at).member(member)
    assert known is not None
    return known.state


def incarnation(lan: Lan, member: int) -> int:
    with lan.stores[member].read() as tx:
        return tx.local().incarnation


def answers_clients(lan: Lan, member: int) -> bool:
    with lan.stores[member].read() as tx:
        return tx.local().answers_clients


def audit(lan: Lan, member: int) -> list[tuple[str, str, str]]:
    with lan.stores[member].read() as tx:
        return [(one.user, one.action, one.detail) for one in tx.audit_after(0, 100)]


def die(lan: Lan, *members: int) -> None:
    """Nothing reaches them and nothing comes from them."""
    for member in members:
        lan.restart(member)
        del lan.nodes[member]


def owned_by(lan: Lan, member: int) -> list[tuple[int, int]]:
    return [(r.first, r.last) for r in lan.ranges(member, AddressState.BINDABLE)]


def endpoint(lan: Lan, at: int, of: int) -> Endpoint:
    return next(s.endpoint for s in lan.nodes[at].peer_status() if s.member == of)


# --- by ballot


@pytest.mark.parametrize("keeps_seat", [False, True])
def test_a_dead_member_is_out_by_the_others_majority(keeps_seat: bool) -> None:
    lan = make_lan(3)
    die(lan, 3)
    lan.run(5_000)
    propose(lan, 1, Expel(3, keeps_seat))
    lan.run(60_000, until=lambda: lan.generation(2) == 2)
    wanted = MemberState.DOWN if keeps_seat else MemberState.REMOVED
    assert [state_of(lan, 3, at) for at in (1, 2)] == [wanted] * 2
    lan.run(2_000)
    what = "partner-down" if keeps_seat else "removal"
    assert audit(lan, 1) == [("op", "decided", f"{what} of member 3: generation 2")]
    assert group_of(lan, 1).forced == 0


@pytest.mark.parametrize("at", [m.BallotPrepare, m.BallotAccept, m.GroupCommit])
@pytest.mark.parametrize("comes_back", [True, False])
def test_the_coordinator_crashes_at_each_step(at: type, comes_back: bool) -> None:
    """The change is committed, or another one takes its place, within 60 s (L7)."""
    lan = make_lan(4)
    lan.add(5)
    die(lan, 4)
    lan.run(5_000)
    crashed: list[bool] = []

    def passes(sender: int, to: int, request: m.Request) -> bool:
        if sender == 1 and to == 2 and isinstance(request, at) and not crashed:
            crashed.append(True)
            return True
        return not (crashed and 1 in (sender, to))

    lan.passes = passes
    propose(lan, 1, Expel(4))
    lan.run(2_000)
    assert crashed
    if comes_back:
        lan.restart(1)
    else:
        die(lan, 1)
    lan.passes = lambda sender, to, _: comes_back or 1 not in (sender, to)
    proposer = 2 if comes_back else 3
    with lan.stores[proposer].write() as tx:
        lan.nodes[proposer].propose_join(tx, make_member(5), lan.clock(proposer))
    alive = [1, 2, 3] if comes_back else [2, 3]
    if not comes_back:
        # Two of the four old members are no majority: nothing is decided, and nothing is wrong.
        lan.run(60_000)
        assert len({repr(group_of(lan, one)) for one in alive}) == 1
        return
    lan.run(60_000, until=lambda: lan.serving(5) if lan.generation(5) else False)
    values = {repr(group_of(lan, one)) for one in alive}
    assert len(values) == 1
    assert group_of(lan, 2).member(5) is not None


@pytest.mark.parametrize("seed", range(8))
def test_lost_repeated_and_late_messages_choose_one_value_a_generation(seed: int) -> None:
    lan = make_lan(4)
    die(lan, 4)
    lan.run(5_000)
    count = [seed * 7_919 + 1]
    late: list[tuple[int, int, m.Request]] = []

    def passes(sender: int, to: int, request: m.Request) -> bool:
        count[0] = count[0] * 1_103_515_245 + 12_345 & 0x7FFF_FFFF
        if isinstance(request, m.BallotPrepare | m.BallotAccept | m.GroupCommit):
            late.append((sender, to, request))
        return isinstance(request, m.Hello) or count[0] >> 16 & 3 > 0

    lan.passes = passes
    propose(lan, 1, Expel(4))
    propose(lan, 2, Parameters(mul_s=90))
    propose(lan, 3, Expel(4, keeps_seat=True))
    chosen: dict[int, set[str]] = {}
    for step in range(120):
        lan.run(500)
        if step == 10:
            lan.restart(1 + seed % 3)
        if step % 7 == 3 and late:
            sender, to, request = late[count[0] % len(late)]
            if to in lan.nodes:
                lan.ask(to, request, lan.clock(sender))
        for member in (1, 2, 3):
            group = group_of(lan, member)
            chosen.setdefault(group.generation, set()).add(repr(group))
    assert all(len(values) == 1 for values in chosen.values())
    assert max(chosen) >= 2


def test_two_operators_at_once_one_wins_and_the_other_comes_next() -> None:
    lan = make_lan(3)
    propose(lan, 1, Parameters(mul_s=90))
    propose(lan, 2, Parameters(lease_s=7200))
    lan.run(60_000, until=lambda: lan.generation(3) == 3)
    assert (group_of(lan, 3).mul_s, group_of(lan, 3).lease_s) == (90, 7200)
    lan.run(5_000)
    assert [entry[1] for entry in audit(lan, 1) + audit(lan, 2)] == ["decided"] * 2


def cut_link(lan: Lan, one: int, two: int) -> None:
    lan.passes = lambda sender, to, _: {sender, to} != {one, two}


def test_a_member_that_another_one_hears_is_not_removed_without_force() -> None:
    lan = make_lan(5)
    cut_link(lan, 1, 5)
    lan.run(10_000)
    assert refused(lan, 1, Expel(5)) == "member_alive"
    propose(lan, 1, Expel(5), force=True)
    lan.run(5_000)
    assert state_of(lan, 5, at=2) is MemberState.REMOVED


def test_a_member_that_is_heard_again_before_the_decision_stays() -> None:
    """No majority answers for a while, and then the member lives."""
    lan = make_lan(3)
    lan.cut(3)
    lan.run(10_000)
    hellos = (m.Hello,)
    lan.passes = lambda sender, to, r: 3 not in (sender, to) and isinstance(r, hellos)
    propose(lan, 1, Expel(3))
    lan.run(10_000)
    lan.passes = lambda sender, to, r: isinstance(r, hellos)
    lan.run(3_000)
    lan.heal()
    lan.run(60_000)
    assert state_of(lan, 3, at=1) is MemberState.ACTIVE
    assert "was heard" in audit(lan, 1)[0][2]


def test_one_cut_link_is_not_the_silence_that_the_safe_period_waits_for() -> None:
    lan = make_lan(5)
    propose(lan, 1, Parameters(safe_period_s=60))
    lan.run(5_000)
    cut_link(lan, 1, 5)
    lan.run(300_000)
    assert state_of(lan, 5, at=2) is MemberState.ACTIVE
    assert lan.generation(2) == 2
    lan.cut(5)
    waited = lan.run(120_000, until=lambda: lan.generation(2) == 3)
    assert waited >= 60_000, "from the last time that anybody heard it"
    assert state_of(lan, 5, at=2) is MemberState.DOWN


def test_what_cannot_be_decided_any_more_is_told() -> None:
    lan = make_lan(3)
    lan.add(4)
    lan.add(5)
    taken = replace(make_member(4), engine_id=make_member(5).engine_id)
    propose(lan, 1, Join(make_member(4)))
    propose(lan, 2, Join(taken))
    lan.run(30_000)
    told = audit(lan, 1) + audit(lan, 2)
    assert sorted(entry[1] for entry in told) == ["decided", "undecided"]
    assert "a number is never used again" in next(e[2] for e in told if e[1] == "undecided")


def test_a_minority_that_does_not_force_is_told_why_at_once() -> None:
    lan = make_lan(4)
    lan.cut(1, 2)
    lan.run(5_000)
    assert refused(lan, 1, Expel(3)) == "no_majority"
    assert refused(lan, 3, Expel(1)) == "no_majority"


def test_a_wish_without_a_majority_ends_after_a_minute_and_is_told() -> None:
    lan = make_lan(3)
    lan.cut(1)
    propose(lan, 1, Parameters(mul_s=90))
    lan.run(70_000)
    assert lan.nodes[1].pending() == []
    assert [entry[1] for entry in audit(lan, 1)] == ["undecided"]


# --- what is refused


def test_what_no_operator_gets() -> None:
    lan = make_lan(3)
    assert refused(lan, 1, Expel(3)) == "member_alive"
    assert refused(lan, 1, Expel(1)) == "self"
    assert refused(lan, 1, Expel(9)) == "unknown_member"
    assert refused(lan, 1, Parameters(mul_s=0)) == "parameter"
    assert refused(lan, 1, Parameters(lease_s=0)) == "parameter"
    assert refused(lan, 1, Parameters(safe_period_s=5)) == "parameter"
    lan.run(5_000)
    assert lan.generation(1) == 1
    alone = make_lan(1)
    assert refused(alone, 1, Expel(1), force=True) == "last_member"
    for service in (Service.SHUTDOWN, Service.LEAVING):
        with alone.stores[1].write() as tx, pytest.raises(PeerError, match="last_member"):
            alone.nodes[1].set_service(tx, service, alone.now_ms)


def test_a_removal_repeated_is_nothing() -> None:
    lan = make_lan(3)
    die(lan, 3)
    lan.run(5_000)
    propose(lan, 1, Expel(3))
    lan.run(5_000)
    propose(lan, 1, Expel(3))
    propose(lan, 2, Expel(3, keeps_seat=True))
    lan.run(5_000)
    assert lan.generation(1) == 2


# --- by force


def test_the_other_of_two_is_out_only_by_force() -> None:
    lan = make_lan(2)
    die(lan, 2)
    lan.run(5_000)
    assert refused(lan, 1, Expel(2)) == "no_majority"
    propose(lan, 1, Expel(2), force=True)
    assert state_of(lan, 2, at=1) is MemberState.REMOVED
    assert group_of(lan, 1).forced == 1
    assert audit(lan, 1) == [
        ("op", "forced", "removal of member 2, generation 2 without a majority")
    ]


def test_a_live_member_that_is_forced_out_falls_silent_as_soon_as_it_hears() -> None:
    lan = make_lan(3, pool_size=90)
    lan.run(10_000)
    assert lan.owned(3) > 0
    propose(lan, 1, Expel(3), force=True)
    lan.run(60_000, until=lambda: not answers_clients(lan, 3))
    assert state_of(lan, 3, at=3) is MemberState.REMOVED
    assert lan.owned(3) == 0
    assert incarnation(lan, 3) == 2
    lan.restart(3)
    lan.run(30_000)
    assert not answers_clients(lan, 3), "it is durable"


def test_a_member_that_was_cut_off_hears_of_its_removal_from_anybody() -> None:
    lan = make_lan(3)
    lan.cut(3)
    lan.run(5_000)
    propose(lan, 1, Expel(3))
    lan.run(10_000)
    assert answers_clients(lan, 3), "it cannot know"
    lan.passes = lambda sender, to, _: {sender, to} != {1, 3}
    lan.run(2_500)
    assert not answers_clients(lan, 3)
    assert any(r.reason == "removed" for _, _, _, r in lan.log if isinstance(r, PeerError))


def test_both_halves_force_each_other_out_and_meet_again() -> None:
    """One side stands, everywhere the same one; the other falls silent."""
    lan = make_lan(4, pool_size=90)
    lan.cut(1, 2)
    lan.run(5_000)
    for at, other in ((1, 3), (1, 4), (3, 1), (3, 2)):
        propose(lan, at, Expel(other), force=True)
        lan.run(3_000)
    assert [answers_clients(lan, member) for member in lan.nodes] == [True] * 4
    lan.heal()
    lan.run(40_000)
    standing = [answers_clients(lan, member) for member in (1, 2, 3, 4)]
    assert standing in ([True, True, False, False], [False, False, True, True])
    assert len({repr(group_of(lan, member)) for member in lan.nodes}) == 1


def test_the_side_with_less_force_stands() -> None:
    """Three decide by majority that two are dead; the two force the three out."""
    lan = make_lan(5)
    lan.cut(1, 2, 3)
    lan.run(5_000)
    for other in (4, 5):
        propose(lan, 1, Expel(other))
        lan.run(3_000)
    for other in (1, 2, 3):
        propose(lan, 5, Expel(other), force=True)
        lan.run(3_000)
    assert group_of(lan, 5).generation > group_of(lan, 1).generation
    lan.heal()
    lan.run(40_000)
    assert [answers_clients(lan, member) for member in (1, 2, 3, 4, 5)] == [True] * 3 + [False] * 2
    lan.run(60_000)  # counters are written now and then
    for member in (4, 5):
        with lan.stores[member].read() as tx:
            assert tx.counters()["cluster_lineages_left"] == 1


def test_who_joined_a_side_that_does_not_stand_gives_up_too() -> None:
    lan = make_lan(3)
    lan.add(4)
    lan.cut(3, 4)
    lan.run(5_000)
    propose(lan, 1, Expel(3))
    for other in (1, 2):
        propose(lan, 3, Expel(other), force=True)
    propose(lan, 3, Join(make_member(4)))
    lan.run(20_000)
    assert answers_clients(lan, 4)
    # 3 falls away for good; only 1 and 2 can tell 4, whom they do not know.
    lan.heal()
    lan.run(60_000)
    assert answers_clients(lan, 1)
    assert not answers_clients(lan, 3)
    assert not answers_clients(lan, 4)


# --- coming back


def test_promises_to_a_removed_member_are_over_when_mul_is() -> None:
    """Not when it is next looked whether something has ended, a minute apart: MUL may be less."""
    mul_s = 15
    lan = Lan((1, 2, 3), replace(make_group((1, 2, 3)), mul_s=mul_s), 90)
    lan.run(16_000)

    def promised(at: int) -> bool:
        return any(one.member == 3 for one in lan.ranges(at, AddressState.PROMISED))

    lan.cut(3)
    lan.run(6_000)
    assert promised(1)
    assert promised(2)
    propose(lan, 1, Expel(3))
    lan.run(5_000, until=lambda: {lan.generation(1), lan.generation(2)} == {2})
    decided_s = lan.now_s
    lan.run(2 * GRACE_S * 1000, until=lambda: not (promised(1) or promised(2)))
    assert mul_s - 5 <= lan.now_s - decided_s <= mul_s + 1


def test_a_removed_member_joins_again_as_a_new_incarnation_with_nothing() -> None:
    lan = make_lan(3, pool_size=90)
    lan.run(10_000)
    propose(lan, 1, Expel(3), force=True)
    lan.run(10_000)
    assert state_of(lan, 3, at=3) is MemberState.REMOVED
    lan.run(60_000)
    assert state_of(lan, 3, at=1) is MemberState.REMOVED, "it does not come back by itself"
    propose(lan, 2, Join(make_member(3)))
    lan.run(30_000, until=lambda: answers_clients(lan, 3))
    assert answers_clients(lan, 3)
    assert incarnation(lan, 3) == 2
    lan.run((MUL_S + GRACE_S) * 1000)
    assert lan.owned(3) > 0


def test_a_member_that_is_down_comes_back_by_itself() -> None:
    lan = make_lan(3, pool_size=90)
    lan.cut(3)
    lan.run(5_000)
    propose(lan, 1, Expel(3, keeps_seat=True))
    lan.run(20_000)
    assert endpoint(lan, 3, 1) is Endpoint.COMMUNICATIONS_INTERRUPTED
    lan.heal()
    lan.run(60_000, until=lambda: answers_clients(lan, 3) and lan.generation(3) == 3)
    assert state_of(lan, 3, at=1) is MemberState.ACTIVE
    assert incarnation(lan, 3) == 2
    assert answers_clients(lan, 3)


def test_a_member_that_missed_being_out_owns_nothing_all_the_same() -> None:
    """Out and in again while it was cut off: `since` tells it."""
    lan = make_lan(3, pool_size=90)
    lan.run(10_000)
    lan.cut(3)
    lan.run(5_000)
    propose(lan, 1, Expel(3))
    lan.run(5_000)
    propose(lan, 1, Join(make_member(3)))
    lan.run(5_000)
    assert lan.owned(3) > 0
    lan.passes = lambda sender, to, request: (
        3 not in (sender, to) or isinstance(request, m.GroupCommit | m.GroupQuery)
    )
    lan.run(35_000, until=lambda: lan.generation(3) == 3)
    assert lan.generation(3) == 3
    assert lan.owned(3) == 0
    assert incarnation(lan, 3) == 2


def test_a_member_hears_of_its_return_from_one_that_came_after_it() -> None:
    """Found by the simulator: 2 leaves, 3 joins, 1 shuts down. Only 3 can let 2 in again, which has
    never heard of 3; but what 3 tells follows from what 2 knows."""
    lan = make_lan(2)
    serve(lan, 2, Service.LEAVING)
    lan.run(20_000, until=lambda: state_of(lan, 2, at=2) is MemberState.REMOVED)
    lan.add(3)
    propose(lan, 1, Join(make_member(3)))
    lan.run(20_000)
    serve(lan, 1, Service.SHUTDOWN)
    lan.run(20_000, until=lambda: state_of(lan, 1, at=3) is MemberState.DOWN)
    die(lan, 1)
    propose(lan, 3, Join(make_member(2)))
    lan.run(30_000, until=lambda: answers_clients(lan, 2))
    assert answers_clients(lan, 2)


# --- what is held back


def lease(lan: Lan, member: int, seconds: int) -> int:
    """An address that the member owns, leased by it; returns it."""
    first = owned_by(lan, member)[0][0]
    row = lan.ranges(member, AddressState.BINDABLE)[0]
    changes = {"epoch": row.epoch, "expires_at": lan.now_s + seconds}
    changes["potential_expires_at"] = lan.now_s + seconds * 3 // 2
    lan.save(member, [make_binding(first, lan.now_s, member, **changes)])
    return first


def agrees(lan: Lan, member: int, asker: int, address: int) -> bool:
    """Whether `member` would let `asker` have the address."""
    with lan.stores[asker].read() as tx:
        local, group = tx.local(), tx.group()
    assert group is not None
    header = m.Header(asker, local.incarnation, group.generation, membership_hash(group))
    ask = m.PollAsk(header, Nonce(local.incarnation, 9_999), (m.RangeEpoch(address, address),))
    answer = lan.ask(member, ask, lan.clock(asker))
    assert isinstance(answer, m.PollAnswer), answer
    return all(verdict.agreed for verdict in answer.verdicts)


def free_after(lan: Lan, address: int, within_s: int, asker: int = 1) -> int | None:
    """Seconds until every other member in service lets `asker` have the address."""
    begin = lan.now_s
    others = [one.member for one in group_of(lan, asker).current if one.member != asker]

    def is_free() -> bool:
        return all(agrees(lan, other, asker, address) for other in others)

    while lan.now_s - begin <= within_s:
        if is_free():
            return lan.now_s - begin
        lan.run(1_000)
    return None


@pytest.mark.parametrize("keeps_seat", [False, True])
def test_addresses_of_a_dead_member_return_after_mul_and_not_before(keeps_seat: bool) -> None:
    """L8, for an address that was owned and never bound."""
    lan = make_lan(3, pool_size=9)
    lan.run(20_000)
    (first, _), *_ = owned_by(lan, 3)
    die(lan, 3)
    lan.run(5_000)
    propose(lan, 1, Expel(3, keeps_seat))
    lan.run(5_000, until=lambda: lan.generation(2) == 2)
    after = free_after(lan, first, MUL_S + 2 * GRACE_S)
    assert after is not None
    assert MUL_S - 5 <= after <= MUL_S + GRACE_S


@pytest.mark.parametrize("server", [3, 2])
def test_a_binding_is_held_until_its_potential_expiry_and_mul(server: int) -> None:
    """Whoever it was that granted it last: the dead member may have renewed it, since any member
    serves any lease (corrects the rule that names only the last transaction server's)."""
    lan = make_lan(3, pool_size=9)
    lan.run(20_000)
    address = lease(lan, server, 30)
    potential = lan.now_s + 45
    lan.run(3_000)
    die(lan, 3)
    lan.run(40_000)
    propose(lan, 1, Expel(3))
    lan.run(5_000, until=lambda: lan.generation(2) == 2)
    removed = lan.now_s
    after = free_after(lan, address, 400)
    assert after is not None
    held_until = max(removed, potential) + MUL_S
    assert held_until <= removed + after <= held_until + GRACE_S


def test_who_joined_later_does_not_vouch_for_what_a_dead_member_owned() -> None:
    """1 owns an address and 2 has promised it; 3 joins and knows nothing of it. 1 leases it to a
    client and tells nobody. When 1 and 2 are dead and removed, 3 must not have it for MUL. A hold
    on what 1 "owned or was promised" (docs/protocol.md, "Membership"), as far as 3 knows, would
    hold nothing."""
    lan = make_lan(2, pool_size=9)
    lan.run(20_000)
    (address, _), *_ = owned_by(lan, 1)
    lan.add(3)
    propose(lan, 1, Join(make_member(3)))
    lan.run(10_000, until=lambda: lan.generation(3) > 0 and lan.serving(3))
    assert lan.serving(3)
    with lan.stores[3].write() as tx:
        assert all(row.member == 3 for row in tx.address_ranges(address, address))
    die(lan, 1, 2)
    lan.run(5_000)
    propose(lan, 3, Expel(1), force=True)
    propose(lan, 3, Expel(2), force=True)
    removed, before = lan.now_s, lan.owned(3)
    lan.run(300_000, until=lambda: lan.owned(3) > before)
    assert lan.owned(3) > before, "it is alone and may have all"
    assert MUL_S <= lan.now_s - removed <= MUL_S + GRACE_S


def test_nobody_vouches_for_what_the_founder_took_alone() -> None:
    """1 was alone and asked nobody for its addresses; 2 and 3 joined later and have promised
    none of them. 1 leases one to a client, tells nobody and dies."""
    lan = make_lan(1, pool_size=9)
    lan.run(20_000)
    for member in (2, 3):
        lan.add(member)
        propose(lan, 1, Join(make_member(member)))
        lan.run(20_000, until=lambda member=member: lan.generation(member) > 0)
        lan.run(5_000)
    kept = [a for first, last in owned_by(lan, 1) for a in range(first, last + 1)]
    for member in (2, 3):
        with lan.stores[member].read() as tx:
            assert all(tx.address_ranges(address, address) == [] for address in kept)
    die(lan, 1)
    lan.run(5_000)
    propose(lan, 2, Expel(1))
    lan.run(10_000, until=lambda: state_of(lan, 1, at=3) is MemberState.REMOVED)
    removed = lan.now_s

    def taken() -> bool:
        owned = [*owned_by(lan, 2), *owned_by(lan, 3)]
        return bool(ranges.intersect(ranges.union(owned), ranges.union((a, a) for a in kept)))

    while not taken() and lan.now_s - removed < 2 * MUL_S + GRACE_S:
        bind_all(lan, 2)
        bind_all(lan, 3)
        lan.run(2_000, until=taken)
    assert MUL_S <= lan.now_s - removed <= MUL_S + GRACE_S


def test_the_founder_vouches_so_that_others_are_restocked_at_once() -> None:
    lan = make_lan(2, pool_size=64)
    lan.run(20_000)
    lan.add(3)
    propose(lan, 1, Join(make_member(3)))
    lan.run(60_000)
    die(lan, 3)
    lan.run(5_000)
    before = lan.owned(1) + lan.owned(2)
    propose(lan, 1, Expel(3))
    lan.run(20_000)
    with lan.stores[1].read() as tx:
        assert tx.quarantines() == []
    assert lan.owned(1) + lan.owned(2) >= before


def handed_on(lan: Lan, giver: MemberId, taker: MemberId) -> int:
    """An address that `giver` polled for and gave to `taker` by TRANSFER, and nobody has leased."""
    given = owned_by(lan, giver)

    def found() -> list[int]:
        mine = ranges.intersect(owned_by(lan, taker), given)
        known = {row.address for row in lan.rows(taker)}
        return [a for first, last in mine for a in range(first, last + 1) if a not in known]

    while not found():  # first they poll for what is nobody's
        for member in lan.nodes:
            if member != giver:
                bind_all(lan, member)
        lan.run(10_000, until=lambda: bool(found()))
    return found()[0]


def assert_rests(lan: Lan, member: MemberId, address: int, since_s: int) -> None:
    """`member` gets the address, but not before MUL has passed since then."""

    def mine() -> bool:
        return bool(ranges.intersect(owned_by(lan, member), [(address, address)]))

    while not mine() and lan.now_s - since_s < 2 * MUL_S + GRACE_S:
        bind_all(lan, member)  # so that it wants all there are
        lan.run(2_000, until=mine)
    assert MUL_S <= lan.now_s - since_s <= MUL_S + GRACE_S


@pytest.mark.parametrize("how", ["leaves", "loses its store"])
def test_what_was_handed_on_by_a_member_that_left_is_nobodys_word(how: str) -> None:
    """3 polls for an address, which 1 promises, and gives it to 2. Then 3 goes, so that the promise
    to it ends; 2 leases the address to a client, tells nobody and dies. 1 was there all the time
    and knows of nothing: it must not have the address for MUL."""
    lan = make_lan(3, pool_size=90)
    lan.run(20_000)
    address = handed_on(lan, giver=3, taker=2)
    if how == "leaves":
        serve(lan, 3, Service.LEAVING)
        lan.run(60_000, until=lambda: state_of(lan, 3, at=1) is MemberState.REMOVED)
    else:
        wipe(lan, 3)
        lan.run((MUL_S + GRACE_S) * 1000)
    with lan.stores[1].read() as tx:
        assert not tx.address_ranges(address, address), "the promise has ended"
    assert ranges.intersect(owned_by(lan, 2), [(address, address)])
    for member in {2, 3} & lan.nodes.keys():
        die(lan, member)
    lan.run(5_000)
    for one in group_of(lan, 1).current:
        if one.member != 1:
            propose(lan, 1, Expel(one.member), force=True)
    assert_rests(lan, 1, address, lan.now_s)


@pytest.mark.parametrize("service", [Service.SHUTDOWN, Service.LEAVING])
def test_who_left_cleanly_and_came_back_still_promises_what_it_handed_on(service: Service) -> None:
    """As above, but 3 comes back: the promise of 1 has ended, its own to 2 has not. So 1 vouches
    for 2, nobody waits with polls, and the address rests all the same."""
    lan = make_lan(3, pool_size=90)
    lan.run(20_000)
    address = handed_on(lan, giver=3, taker=2)
    serve(lan, 3, service)
    lan.run(60_000, until=lambda: lan.generation(1) == lan.generation(3) == 2)
    if service is Service.SHUTDOWN:
        serve(lan, 3, Service.RUNNING)
    else:
        propose(lan, 1, Join(make_member(3)))
    lan.run(60_000, until=lambda: answers_clients(lan, 3) and lan.generation(2) == 3)
    with lan.stores[1].read() as tx:
        assert not tx.address_ranges(address, address), "the promise has ended"
    assert ranges.intersect(owned_by(lan, 2), [(address, address)])
    die(lan, 2)
    lan.run(5_000)
    propose(lan, 1, Expel(2))
    lan.run(20_000, until=lambda: lan.generation(1) == lan.generation(3) == 4)
    since_s = lan.now_s

    def given() -> bool:
        owned = [*owned_by(lan, 1), *owned_by(lan, 3)]
        return bool(ranges.intersect(ranges.union(owned), [(address, address)]))

    with lan.stores[1].read() as tx:
        assert tx.quarantines() == []
    while not given() and lan.now_s - since_s < 2 * MUL_S + GRACE_S:
        bind_all(lan, 1)  # so that they want all there are
        bind_all(lan, 3)
        lan.run(2_000, until=given)
    assert MUL_S - 5 <= lan.now_s - since_s <= MUL_S + GRACE_S


def test_the_greater_mul_of_the_past_counts() -> None:
    lan = make_lan(3, pool_size=9)
    lan.run(20_000)
    (first, _), *_ = owned_by(lan, 3)
    propose(lan, 1, Parameters(mul_s=10))
    lan.run(5_000)
    assert (group_of(lan, 1).mul_s, group_of(lan, 1).past_mul_s) == (10, MUL_S)
    die(lan, 3)
    lan.run(5_000)
    propose(lan, 1, Expel(3))
    lan.run(5_000, until=lambda: lan.generation(2) == 3)
    after = free_after(lan, first, MUL_S + 2 * GRACE_S)
    assert after is not None
    assert after >= MUL_S - 5


def test_the_past_mul_is_forgotten_when_no_lease_of_it_can_run() -> None:
    group = replace(make_group((1, 2)), lease_s=100)
    lan = Lan((1, 2), group)
    lan.run(5_000)
    propose(lan, 1, Parameters(mul_s=10))
    lan.run(5_000)
    lan.run((MUL_S + 140) * 1000)
    assert group_of(lan, 2).past_mul_s == MUL_S
    lan.run(30_000)
    assert group_of(lan, 2).past_mul_s == 0
    assert group_of(lan, 2).mul_s == 10
    assert str(ForgetPastMul()) == "end of the former MUL"


# --- pause, shutdown, leave


def test_pause_and_resume_are_durable_and_seen() -> None:
    lan = make_lan(2, pool_size=9)
    serve(lan, 2, Service.PAUSED)
    lan.run(3_000)
    assert not answers_clients(lan, 2)
    assert lan.serving(2), "it takes part: polls, pushes"
    assert endpoint(lan, 1, 2) is Endpoint.PAUSED
    assert endpoint(lan, 2, 1) is Endpoint.NORMAL, "of the other it knows what it knew"
    lan.restart(2)
    lan.run(10_000)
    assert not answers_clients(lan, 2)
    serve(lan, 2, Service.RUNNING)
    lan.run(3_000)
    assert answers_clients(lan, 2)
    assert endpoint(lan, 1, 2) is Endpoint.NORMAL


@pytest.mark.parametrize("service", [Service.SHUTDOWN, Service.LEAVING])
def test_a_member_that_goes_hands_over_and_is_not_waited_for(service: Service) -> None:
    lan = make_lan(3, pool_size=9)
    lan.run(20_000)
    lease(lan, 3, 600)
    free = [f for f, last in owned_by(lan, 3) for f in range(f, last + 1)]
    serve(lan, 3, service)
    assert not answers_clients(lan, 3)
    lan.run(30_000, until=lambda: lan.generation(1) == 2)
    gone = group_of(lan, 1).member(3)
    assert gone is not None
    assert gone.clean
    assert gone.state is (MemberState.DOWN if service is Service.SHUTDOWN else MemberState.REMOVED)
    assert len(lan.rows(1)) == 1, "what it had granted is told"
    lan.run(1_000)
    after = free_after(lan, free[-1], MUL_S)
    assert after is not None
    assert after < 30
    with lan.stores[1].read() as tx:
        assert tx.lost_stores() == {}
        assert tx.quarantines() == []


def test_a_member_that_was_shut_down_comes_back_when_resumed() -> None:
    lan = make_lan(3, pool_size=9)
    serve(lan, 3, Service.SHUTDOWN)
    lan.run(60_000)
    assert state_of(lan, 3, at=3) is MemberState.DOWN
    assert state_of(lan, 3, at=1) is MemberState.DOWN
    serve(lan, 3, Service.RUNNING)
    lan.run(30_000, until=lambda: answers_clients(lan, 3))
    assert answers_clients(lan, 3)
    assert state_of(lan, 3, at=1) is MemberState.ACTIVE


@pytest.mark.parametrize("service", [Service.SHUTDOWN, Service.LEAVING])
def test_who_left_cleanly_has_lost_nothing_and_is_restocked_at_once(service: Service) -> None:
    """It waited MUL before, and the others held every lease for that time too."""
    lan = make_lan(3, pool_size=90)
    lan.run(20_000)
    lease(lan, 3, 600)
    lan.run(2_000)
    serve(lan, 3, service)
    lan.run(30_000, until=lambda: lan.generation(3) == lan.generation(1) == 2)
    began_ms = lan.now_ms
    if service is Service.SHUTDOWN:
        serve(lan, 3, Service.RUNNING)
    else:
        propose(lan, 1, Join(make_member(3)))
    lan.run(20_000, until=lambda: answers_clients(lan, 3) and lan.owned(3) > 0)
    assert lan.owned(3) > 0
    assert lan.now_ms - began_ms < 10_000
    assert incarnation(lan, 3) == 2
    for store in lan.stores.values():
        with store.read() as tx:
            assert (tx.lost_stores(), tx.quarantines()) == ({}, [])


def test_a_copy_of_who_left_cleanly_has_lost_its_store() -> None:
    """It did not vote for that departure. What it did later it must be told, and what it may have
    done by itself the others must hold."""
    lan = make_lan(3, pool_size=90)
    lan.run(20_000)
    copy = lan.stores[3].snapshot()
    serve(lan, 3, Service.SHUTDOWN)
    lan.run(30_000, until=lambda: lan.generation(3) == 2)
    lan.stores[3].restore(copy)
    with lan.stores[3].write() as tx:
        begin_start(tx, lan.now_s, LastLife())
    lan.restart(3)
    lan.run(30_000, until=lambda: answers_clients(lan, 3))
    assert answers_clients(lan, 3)
    with lan.stores[3].read() as tx:
        assert tx.local().holds_until > lan.now_s
        assert 3 in tx.lost_stores()
    lan.run(3_000)
    with lan.stores[1].read() as tx:
        assert 3 in tx.lost_stores()


def _voted_otherwise(tx: Transaction, new: Group) -> None:
    number = BallotNumber(1, 3)
    tx.put_ballot(Ballot(2, number, number, replace(new, decision=new.decision + 1)))


@pytest.mark.parametrize(
    ("otherwise", "waits"),
    [
        (lambda tx, new: None, False),
        (lambda tx, new: tx.put_group(replace(new, members=make_group((1, 2)).members)), True),
        (lambda tx, new: tx.set_service(Service.RUNNING), True),
        (_voted_otherwise, True),
        (lambda tx, new: tx.set_unconfirmed(True), True),
        (lambda tx, new: tx.set_serving(False, 0), True),
        (lambda tx, new: tx.set_recovery("its store was lost", 0, 0), True),
        (lambda tx, new: tx.set_certain(1), True),
    ],
)
def test_only_the_store_that_handed_over_has_lost_nothing(
    otherwise: Callable[[Transaction, Group], None], waits: bool
) -> None:
    old = make_group((1, 2, 3))
    new = apply(Expel(3, keeps_seat=True, clean=True), old)
    assert new is not None
    store = Store.in_memory(member=3)
    number = BallotNumber(1, 3)
    with store.write() as tx:
        tx.put_group(old)
        tx.set_serving(True, since=0)
        tx.set_service(Service.SHUTDOWN)
        tx.put_ballot(Ballot(2, number, number, new))
        tx.put_group(new)
        otherwise(tx, new)
        group = tx.group()
        assert group is not None
        assert follow(tx, 3, old, group, 1_000)
        assert tx.local().holds_until == (1_000 + MUL_S if waits else 1_000)
        assert (3 in tx.lost_stores()) is waits


def test_a_member_that_left_may_join_again() -> None:
    lan = make_lan(2)
    serve(lan, 2, Service.LEAVING)
    lan.run(30_000)
    assert state_of(lan, 2, at=2) is MemberState.REMOVED
    propose(lan, 1, Join(make_member(2)))
    lan.run(30_000, until=lambda: answers_clients(lan, 2))
    assert answers_clients(lan, 2)


def test_going_without_everybody_there_is_not_clean() -> None:
    lan = make_lan(3, pool_size=9)
    lan.run(20_000)
    lan.passes = lambda sender, to, _: 2 not in (sender, to)
    serve(lan, 3, Service.SHUTDOWN)
    lan.run(80_000, until=lambda: lan.generation(1) == 2)
    gone = group_of(lan, 1).member(3)
    assert gone is not None
    assert (gone.state, gone.clean) == (MemberState.DOWN, False)
    with lan.stores[1].read() as tx:
        assert list(tx.lost_stores()) == [3]


def test_a_member_that_has_agreed_to_be_gone_cannot_resume_before_it_is() -> None:
    """It could be chosen yet, as clean: then nobody would wait for what it did meanwhile."""
    lan = make_lan(3)
    lan.passes = lambda _s, _t, request: not isinstance(request, m.BallotAccept)
    serve(lan, 3, Service.SHUTDOWN)
    lan.run(5_000)
    with lan.stores[3].write() as tx, pytest.raises(PeerError, match="too_late"):
        lan.nodes[3].set_service(tx, Service.RUNNING, lan.clock(3))
    lan.heal()
    lan.run(20_000)
    serve(lan, 3, Service.RUNNING)


def test_who_resumes_before_the_others_were_asked_stays() -> None:
    """Nobody has been asked to accept its departure: it may resume, and is not proposed again."""
    lan = make_lan(3, pool_size=30)
    lan.passes = lambda _s, _t, request: not isinstance(request, m.BallotPrepare)
    serve(lan, 3, Service.SHUTDOWN)
    lan.run(5_000)
    serve(lan, 3, Service.RUNNING)
    lan.heal()
    lan.run(60_000)
    assert state_of(lan, 3, at=1) is MemberState.ACTIVE
    assert lan.owned(3) > 0


def ask_and_lose_the_offer(lan: Lan, giver: int, taker: int) -> None:
    """The giver has given, and the taker does not know of it."""
    hello = next(r for s, _, r, _ in reversed(lan.log) if s == taker and isinstance(r, m.Hello))
    pool = POOL_FIRST, POOL_FIRST + 89
    ask = m.TransferAsk(hello.header, Nonce(1, 99), *pool, 10, 0)
    offer = lan.ask(giver, ask, lan.now_ms)
    assert isinstance(offer, m.TransferOffer)
    assert offer.ranges


def bind_all(lan: Lan, member: int) -> None:
    """Clients take everything that the member has."""
    taken = {row.address for row in lan.rows(member)}
    rows = [
        make_binding(address, lan.now_s, member, epoch=r.epoch)
        for r in lan.ranges(member, AddressState.BINDABLE)
        for address in range(r.first, r.last + 1)
        if address not in taken
    ]
    lan.save(member, rows)


@pytest.mark.parametrize("told", [True, False])
def test_nothing_stays_promised_to_a_member_that_left_cleanly(told: bool) -> None:
    """What is on its way to it comes back, whether it hears of it in time or not."""
    lan = make_lan(3, 90)
    lan.run(8_000)
    ask_and_lose_the_offer(lan, 1, 3)
    if not told:
        lan.passes = lambda s, t, r: not (isinstance(r, m.Hello) and (s, t) == (1, 3))
    serve(lan, 3, Service.LEAVING)
    lan.run(20_000, until=lambda: state_of(lan, 3, at=1) is MemberState.REMOVED)
    left = group_of(lan, 1).member(3)
    assert left is not None
    assert left.clean
    lan.heal()
    lan.run(20_000)
    for one in (1, 2):
        assert not [r for r in lan.ranges(one, AddressState.PROMISED) if r.member == 3]
        assert not lan.ranges(one, AddressState.TRANSFERRING)
    for _ in range(20):
        for one in (1, 2):
            bind_all(lan, one)
        lan.run(20_000)
    assert len(lan.rows(1)) == len(lan.rows(2)) == 90, "no address is lost"


def test_who_is_owed_addresses_takes_them_before_it_has_handed_over() -> None:
    lan = make_lan(3, 90)
    lan.run(8_000)
    ask_and_lose_the_offer(lan, 1, 3)
    lan.passes = lambda s, t, r: not isinstance(r, m.TransferAsk)
    lan.run(2_000)
    serve(lan, 3, Service.LEAVING)
    lan.run(20_000)
    assert state_of(lan, 3, at=1) is MemberState.ACTIVE
    lan.heal()
    lan.run(10_000, until=lambda: state_of(lan, 3, at=1) is MemberState.REMOVED)
    left = group_of(lan, 1).member(3)
    assert left is not None
    assert left.clean


def test_who_resumes_before_it_is_gone_is_restocked() -> None:
    """Found by the simulator: it had given everything back and thought that it still had it."""
    lan = make_lan(2, pool_size=30)
    lan.run(20_000)
    lan.cut(2)
    lan.run(5_000)
    serve(lan, 2, Service.SHUTDOWN)
    lan.run(10_000)
    assert lan.owned(2) == 0
    serve(lan, 2, Service.RUNNING)
    lan.heal()
    lan.run(60_000, until=lambda: lan.owned(2) > 0)
    assert lan.owned(2) > 0


def test_the_last_witness_of_a_death_does_not_leave_cleanly() -> None:
    lan = make_lan(3)
    die(lan, 3)
    lan.run(5_000)
    propose(lan, 1, Expel(3))
    lan.run(5_000)
    lan.add(4)
    propose(lan, 1, Join(make_member(4)))
    lan.run(20_000)
    serve(lan, 2, Service.LEAVING)
    lan.run(20_000, until=lambda: state_of(lan, 2, at=1) is MemberState.REMOVED)
    left = group_of(lan, 1).member(2)
    assert left is not None
    assert left.clean
    serve(lan, 1, Service.LEAVING)
    lan.run(60_000, until=lambda: state_of(lan, 1, at=4) is MemberState.REMOVED)
    left = group_of(lan, 4).member(1)
    assert left is not None
    assert not left.clean


def test_who_gave_a_dead_member_addresses_does_not_leave_cleanly() -> None:
    """3 polls for an address, which 1 promises, and gives it to 2, which leases it to a client,
    tells nobody, and dies. 1 has promised it to 3 alone: if 3 left cleanly, 1 would have it."""
    lan = make_lan(3, pool_size=90)
    lan.run(20_000)
    address = handed_on(lan, giver=3, taker=2)
    die(lan, 2)
    lan.run(5_000)
    propose(lan, 1, Expel(2))
    lan.run(10_000, until=lambda: state_of(lan, 2, at=3) is MemberState.REMOVED)
    removed = lan.now_s
    with lan.stores[1].read() as tx:
        assert [row.member for row in tx.address_ranges(address, address)] == [3]
        assert tx.quarantines() == []
    serve(lan, 3, Service.LEAVING)
    assert_rests(lan, 1, address, removed)


# --- safe period


def test_the_safe_period_takes_a_silent_member_down() -> None:
    for members in (2, 3):
        lan = make_lan(members)
        propose(lan, 1, Parameters(safe_period_s=60))
        lan.run(5_000)
        last = members
        die(lan, last)
        lan.run(55_000)
        assert state_of(lan, last, at=1) is MemberState.ACTIVE
        lan.run(20_000)
        assert state_of(lan, last, at=1) is MemberState.DOWN
        assert any(entry[0] == "safe-period" for m_ in lan.nodes for entry in audit(lan, m_))


@pytest.mark.parametrize("members", [2, 3])
def test_the_safe_period_begins_anew_with_a_start(members: int) -> None:
    """Who has just started has heard nobody yet."""
    lan = make_lan(members)
    propose(lan, 1, Parameters(safe_period_s=60))
    lan.run(5_000)
    lan.restart(1)
    lan.passes = lambda sender, to, _: members not in (sender, to)
    lan.run(50_000)
    assert state_of(lan, members, at=1) is MemberState.ACTIVE
    lan.heal()
    lan.run(20_000)
    assert state_of(lan, members, at=1) is MemberState.ACTIVE


def test_who_does_not_vote_leaves_the_safe_period_to_the_others() -> None:
    lan = make_lan(5)
    propose(lan, 1, Parameters(safe_period_s=60))
    lan.run(5_000)
    die(lan, 5)
    with lan.stores[2].write() as tx:
        begin_start(tx, lan.now_s, LastLife(ran_at=lan.now_s))
    lan.restart(2)
    lan.passes = lambda _s, _t, request: not isinstance(request, m.BallotPrepare)
    lan.run(120_000)
    with lan.stores[2].read() as tx:
        assert tx.local().unconfirmed, "it waits for 5"
    lan.heal()
    lan.run(20_000)
    assert state_of(lan, 5, at=2) is MemberState.DOWN
    lan.run(5_000)
    with lan.stores[2].read() as tx:
        assert not tx.local().unconfirmed


def test_housekeeping_waits_while_operators_wish_for_too_much() -> None:
    lan = make_lan(3)
    propose(lan, 1, Parameters(safe_period_s=60))
    lan.run(5_000)
    die(lan, 3)
    lan.passes = lambda _s, _t, request: not isinstance(request, m.BallotPrepare)
    lan.run(50_000)
    for mul_s in range(100, 100 + WISHES_MAX):
        propose(lan, 1, Parameters(mul_s=mul_s))
    serve(lan, 1, Service.SHUTDOWN)
    lan.run(30_000)
    assert refused(lan, 1, Parameters(mul_s=99)) == "busy"
    lan.heal()
    lan.run(120_000)
    assert state_of(lan, 3, at=2) is MemberState.DOWN


def test_the_smaller_part_waits_in_the_safe_period() -> None:
    lan = make_lan(3)
    propose(lan, 1, Parameters(safe_period_s=60))
    lan.run(5_000)
    lan.cut(3)
    lan.run(120_000)
    assert state_of(lan, 3, at=1) is MemberState.DOWN
    assert [state_of(lan, one, at=3) for one in (1, 2)] == [MemberState.ACTIVE] * 2


def test_without_it_nobody_is_ever_taken_down() -> None:
    lan = make_lan(3)
    die(lan, 3)
    lan.run(600_000)
    assert lan.generation(1) == 1


# --- what the removed one sends


def test_a_removed_member_changes_nothing_and_is_counted() -> None:
    lan = make_lan(3)
    lan.cut(3)
    lan.run(5_000)
    propose(lan, 1, Expel(3))
    lan.run(5_000)
    sent = next(r for s, _, r, _ in reversed(lan.log) if s == 3 and isinstance(r, m.Hello))
    stream = (3 << 32) | 1
    row = make_binding(POOL_FIRST, lan.now_s, 3, stream=stream, seq=1)
    update = m.BindingUpdate(sent.header, stream, 0, 1, (row,))
    reserve = m.PollReserve(sent.header, Nonce(1, 1), (m.RangeEpoch(POOL_FIRST, POOL_FIRST, 9),))
    before = lan.stores[1].snapshot()
    for request in (sent, update, reserve, m.StreamQuery(sent.header)):
        answer = lan.ask(1, request, lan.now_ms)
        assert isinstance(answer, PeerError)
        assert answer.reason == "removed"
    assert lan.stores[1].snapshot() == before
    lan.run(2_000)
    with lan.stores[1].read() as tx:
        assert tx.counters()["cluster_refused_removed"] >= 4
