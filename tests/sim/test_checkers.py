"""Each judge is shown a world in which its invariant is broken, and must say so."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.model import (
    Binding,
    BindingState,
    MemberState,
    Transaction,
)
from tests.sim.evidence import (
    ADDRESS,
    NOW_S,
    commit,
    lease,
    make_evidence,
    make_group,
    owned,
    remove_the_third,
    store_of,
)
from tools.simulator.checkers import Evidence, Holding, ViolationError
from tools.simulator.disk import Content, Journal

Doctor = Callable[[Evidence], None]


def i1_two_clients(e: Evidence) -> None:
    e.lease("a", ADDRESS, 1, (NOW_S + 60) * 1000)
    e.lease("b", ADDRESS, 2, (NOW_S + 60) * 1000)


def i2_two_owners(e: Evidence) -> None:
    commit(e, 1, moves=[([], [owned(1, 1)])])
    commit(e, 2, moves=[([], [owned(2, 2)])])


def i2_one_epoch_twice(e: Evidence) -> None:
    commit(e, 1, moves=[([], [owned(1, 1)])])
    e.shadows[1].serving = False
    commit(e, 2, moves=[([], [owned(2, 1)])])


def i3_free_while_leased(e: Evidence) -> None:
    e.lease("a", ADDRESS, 1, (NOW_S + 60) * 1000)
    commit(e, 2, moves=[([], [owned(2)])])


def i3_leased_while_free(e: Evidence) -> None:
    commit(e, 2, moves=[([], [owned(2)])])
    e.lease("a", ADDRESS, 1, (NOW_S + 60) * 1000)


def i4_lease_runs_ahead(e: Evidence) -> None:
    commit(e, 1, bindings=[lease(1, expires_at=NOW_S + 600)])
    e.acknowledged(e.shadows[1], bytes([1] * 6), ADDRESS, 600, (NOW_S + 600) * 1000)


def i5_ack_without_row(e: Evidence) -> None:
    e.acknowledged(e.shadows[1], bytes([1] * 6), ADDRESS, 60, (NOW_S + 60) * 1000)


def i5_promise_not_kept(e: Evidence) -> None:
    e.promised(e.shadows[1], 2, [(ADDRESS, ADDRESS)])


def i5_update_not_applied(e: Evidence) -> None:
    e.recorded(e.shadows[1], 2 << 32 | 1, 7)


def i5_sends_inside_a_transaction(e: Evidence) -> None:
    e.sends(e.shadows[1], 1, writing=True)


def i5_lost_by_a_restart(e: Evidence) -> None:
    commit(e, 1, bindings=[lease(1)])
    e.booted(1, Content({}, [], None, True, 1, {}, 1 << 32 | 1, 0))


def i5_another_group_after_a_restart(e: Evidence) -> None:
    commit(e, 1, groups=[make_group(2, 1, 2)])
    e.booted(1, store_of(1, make_group(1, 1, 2, 3)))


def i2_a_start_with_what_another_owns(e: Evidence) -> None:
    """A store from before the address went to another member."""
    e.lost(1, store_of(1, make_group(1, 1, 2, 3), owned(1)))
    commit(e, 2, moves=[([], [owned(2, 2)])])
    e.booted(1, store_of(1, make_group(1, 1, 2, 3), owned(1)))
    e.started(1, unseen=True)


def i3_a_start_with_what_a_client_has(e: Evidence) -> None:
    e.lost(1, store_of(1, make_group(1, 1, 2, 3), owned(1)))
    e.lease("a", ADDRESS, 2, (NOW_S + 60) * 1000)
    e.booted(1, store_of(1, make_group(1, 1, 2, 3), owned(1)))
    e.started(1, unseen=False)


def i6_group_goes_back(e: Evidence) -> None:
    commit(e, 1, groups=[make_group(2, 1, 2)])
    commit(e, 1, groups=[make_group(1, 1, 2, 3)])


def i6_epoch_goes_back(e: Evidence) -> None:
    commit(e, 1, merged=[lease(1, epoch=2)])
    commit(e, 1, merged=[lease(1, epoch=1)])


def i6_promise_shrinks(e: Evidence) -> None:
    commit(e, 1, merged=[lease(1)])
    commit(e, 1, merged=[lease(1, potential_expires_at=NOW_S + 601)])


def i6_stream_goes_back(e: Evidence) -> None:
    commit(e, 1, streams=[(1 << 32 | 1, 7)])
    commit(e, 1, streams=[(1 << 32 | 1, 6)])


def i7_given_before_its_end(e: Evidence) -> None:
    commit(e, 1, bindings=[lease(1)])
    commit(e, 2, bindings=[lease(2, epoch=2)])


def i8_given_without_a_poll(e: Evidence) -> None:
    commit(e, 1, bindings=[lease(1, expires_at=NOW_S - 60)])
    commit(e, 1, bindings=[lease(2)])


def i9_two_groups(e: Evidence) -> None:
    commit(e, 1, groups=[make_group(2, 1, 2)])
    commit(e, 2, groups=[make_group(2, 2, 3)])


def i9_decided_again_by_a_store_that_was_put_back(e: Evidence) -> None:
    commit(e, 1, groups=[make_group(2, 1, 2, 3)])
    commit(e, 2, groups=[make_group(2, 1, 2, 3)])
    e.lost(1, store_of(1, make_group(1, 1, 2, 3)))
    commit(e, 1, groups=[make_group(2, 1, 2, 3, mul_s=400)])


def i9_decided_against_what_came_from_the_other_value(e: Evidence) -> None:
    """Two generations on, the values that contradict each other lie on no disk themselves."""
    for member, mul_s in ((1, 60), (2, 400)):
        commit(e, member, groups=[make_group(2, 1, 2, 3, mul_s=mul_s)])
        commit(e, member, groups=[make_group(3, 1, 2, 3, mul_s=mul_s + 1)])


def i9_a_fork_that_outlives_the_meeting(e: Evidence) -> None:
    """Member 1 is set back to before anybody joined, and cannot know of it."""
    later = meet_after_a_set_back(e)
    commit(e, 1, groups=[make_group(2, 1, mul_s=400)])  # exposed
    for act in later:
        e.blindness.hear(1, 2)
        e.blindness.hear(2, 1)
        act()


def meet_after_a_set_back(e: Evidence) -> list[Callable[[], object]]:
    """What is to happen when the longest lease is over since members 1 and 2 have met."""
    later: list[Callable[[], object]] = []
    for shadow in e.shadows.values():
        shadow.group = None
    commit(e, 1, groups=[make_group(1, 1)])
    for member in e.shadows:
        commit(e, member, groups=[make_group(2, 1, 2, 3)])
    e.blindness.after = lambda _ms, act: later.append(act)
    e.lost(1, store_of(1, make_group(1, 1), owned(1)))
    e.booted(1, store_of(1, make_group(1, 1), owned(1)))
    e.started(1, unseen=True)
    e.blindness.hear(1, 2)
    assert not later, "only one of the two has heard the other"
    e.blindness.hear(2, 1)
    return later


def i10_removed_member_serves(e: Evidence) -> None:
    commit(e, 1, groups=[make_group(2, 2, 3)])
    e.offered(e.shadows[1], ADDRESS, NOW_S * 1000)


def i10_quarantine_is_not_kept(e: Evidence) -> None:
    remove_the_third(e)
    commit(e, 1, moves=[([], [owned(1, 5)])])


def i10_another_client_ends_no_quarantine(e: Evidence) -> None:
    remove_the_third(e)
    commit(e, 1, bindings=[lease(2, epoch=2, expires_at=NOW_S)])
    commit(e, 1, moves=[([], [owned(1, 5)])])


def i11_nak_inside_a_lease(e: Evidence) -> None:
    e.refused(e.shadows[1], "a", Holding("a", ADDRESS, 2, (NOW_S + 60) * 1000), at_home=True)


def i11_another_server_answers(e: Evidence) -> None:
    e.answered_choice(e.shadows[1], "a", is_chosen=False)


def i8_another_client_within_an_epoch(e: Evidence) -> None:
    commit(e, 1, merged=[lease(1)])
    commit(e, 1, merged=[lease(2)])


def i13_available_again_within_an_epoch(e: Evidence) -> None:
    commit(e, 1, merged=[lease(1, state=BindingState.UNAVAILABLE)])
    commit(e, 1, merged=[lease(1, grant=9)])


def i13_declined_and_polled_for(e: Evidence) -> None:
    declined = {"state": BindingState.UNAVAILABLE, "transaction": Transaction.DECLINE}
    commit(e, 1, bindings=[lease(1, **declined, transaction_at=NOW_S - 90, expires_at=NOW_S - 60)])
    commit(e, 1, moves=[([], [owned(1, 5)])])


def i14_a_release_that_was_not_sent(e: Evidence) -> None:
    e.name_of = lambda _: "a"
    commit(e, 1, bindings=[lease(1)])
    e.lease("a", ADDRESS, 1, (NOW_S + 60) * 1000)
    released = {"state": BindingState.RELEASED, "transaction": Transaction.RELEASE}
    commit(e, 1, bindings=[lease(1, **released)])


def i13_unavailable_is_offered(e: Evidence) -> None:
    row = lease(1, state=BindingState.UNAVAILABLE, transaction_at=NOW_S - 100)
    commit(e, 1, bindings=[row])
    e.offered(e.shadows[1], ADDRESS, NOW_S * 1000 + 1)


def i14_stranger_changes_something(e: Evidence) -> None:
    e.ignored(e.shadows[1], "a stranger's word", [Journal(), Journal(streams=[(1, 1)])])


def i15_too_many_messages(e: Evidence) -> None:
    e.sends(e.shadows[1], 5000, writing=False)


def l9_silent_for_a_store_that_was_put_back(e: Evidence) -> None:
    """It is told a lineage that another member has decided after it was set back."""
    commit(e, 1, groups=[make_group(2, 1, 2, 3, forced=1)])
    e._check_goes_on(e.shadows[1], Journal(groups=[make_group(2, 1, 2, 3)], serving=False))


def i1_given_by_one_that_was_taken_out_when_it_was_dead(e: Evidence) -> None:
    remove_the_third(e)
    commit(e, 3, bindings=[lease(1, grant=9)])
    e.lease("a", ADDRESS, 3, (NOW_S + 60) * 1000)
    e.lease("b", ADDRESS, 1, (NOW_S + 60) * 1000)


@pytest.mark.parametrize(
    "doctor",
    [
        value
        for name, value in sorted(globals().items())
        if re.match("[il][0-9]+_", name) and "sim" not in value.__annotations__
    ],
    ids=lambda doctor: doctor.__name__,
)
def test_judge_of_safety_can_fail(doctor: Doctor) -> None:
    invariant = doctor.__name__.partition("_")[0].upper()
    with pytest.raises(ViolationError, match=f"^{invariant}:"):
        doctor(make_evidence())


def test_who_starts_was_out_or_has_lost_its_store_may_fall_silent() -> None:
    evidence = make_evidence()
    back = make_group(2, 1, 2, 3)
    again = replace(back, members=(replace(back.members[0], since=2), *back.members[1:]))
    commit(evidence, 1, groups=[again], serving=False)
    evidence.shadows[2].starting = True
    commit(evidence, 2, serving=False)
    evidence.lost(3, store_of(3, make_group(1, 1, 2, 3)))
    evidence.shadows[3].serving = True
    commit(evidence, 3, serving=False)
    assert not any(shadow.serving for shadow in evidence.shadows.values())


def test_a_member_that_was_called_dead_while_it_ran_is_exposed() -> None:
    evidence = make_evidence()
    evidence.shadows[3].is_running = lambda: True
    commit(evidence, 3, moves=[([], [owned(3)])])
    remove_the_third(evidence)
    assert ADDRESS in evidence.exposed
    assert evidence.judged["exposed removal"] == 1


def test_what_lies_on_no_disk_binds_nobody() -> None:
    """Each value was decided where the other one had been forgotten."""
    evidence = make_evidence()
    commit(evidence, 1, groups=[make_group(2, 1, 2, 3)])
    evidence.lost(1, store_of(1, make_group(1, 1, 2, 3)))
    commit(evidence, 2, groups=[make_group(2, 1, 2, 3, mul_s=400)])
    commit(evidence, 1, groups=[make_group(2, 1, 2, 3, mul_s=400)])
    assert not evidence.judged["exposed I9"]


def test_a_fork_that_was_forced_is_exposed_and_may_come_back_from_a_copy() -> None:
    evidence = make_evidence()
    forced, other = make_group(3, 1, 2, 3, forced=1), make_group(2, 1, 2, 3)
    commit(evidence, 1, groups=[make_group(2, 1, 2, 3, forced=1)])
    commit(evidence, 1, groups=[forced])
    commit(evidence, 2, groups=[other])
    commit(evidence, 3, groups=[other])
    assert evidence.judged["exposed I9"]
    for _ in range(2):  # they meet; the copy of a store of before is put back; they meet again
        commit(evidence, 1, groups=[other])
        evidence.lost(1, store_of(1, forced))
    commit(evidence, 1, groups=[other])


def test_a_removal_that_nobody_knows_of_any_more_keeps_no_quarantine() -> None:
    evidence = make_evidence()
    remove_the_third(evidence)
    evidence.lost(1, store_of(1, make_group(1, 1, 2, 3)))
    commit(evidence, 1, moves=[([], [owned(1, 5)])])


def test_a_grant_that_no_disk_knows_leaves_its_epoch_free() -> None:
    """Of a member that wrote it and one that had taken it in, both lose it."""
    evidence = make_evidence()
    commit(evidence, 1, bindings=[lease(1, expires_at=NOW_S - 60)])
    commit(evidence, 2, merged=[lease(1, expires_at=NOW_S - 60)])
    for member in (1, 2):
        evidence.lost(member, store_of(member, make_group(1, 1, 2, 3)))
    commit(evidence, 2, bindings=[lease(2)])


def test_who_is_out_is_told_by_disks() -> None:
    evidence = make_evidence()
    remove_the_third(evidence)
    assert evidence.groups.out == {3}
    evidence.lost(1, store_of(1, make_group(1, 1, 2, 3)))
    assert evidence.groups.out == set()


def test_a_start_after_an_unseen_loss_is_exposed_only_where_nobody_could_tell() -> None:
    """With others in the group a member that serves at once has asked nobody, which is judged."""
    evidence = make_evidence()
    back = store_of(1, make_group(1, 1, 2, 3), owned(1))
    evidence.lost(1, back)
    evidence.booted(1, back)
    evidence.started(1, unseen=True)
    assert ADDRESS not in evidence.exposed
    commit(evidence, 1, serving=True, others=["begin_incarnation"])
    assert ADDRESS in evidence.exposed


def test_who_cannot_write_what_it_writes_at_a_start_gives_nothing_yet() -> None:
    """Seed 11291009 of two members: a store was put back on a disk that is full."""
    evidence = make_evidence()
    back = store_of(1, make_group(1, 1, 2, 3), owned(1))
    evidence.lost(1, back)
    evidence.booted(1, back)
    evidence.lease("a", ADDRESS, 2, (NOW_S + 60) * 1000)
    with pytest.raises(ViolationError, match=r"^I3:"):
        evidence.started(1, unseen=False)


def test_what_a_member_gave_alone_and_forgot_is_exposed_though_others_confirm_its_start() -> None:
    """Nobody else has heard that it was alone."""
    evidence = make_evidence()
    alone = make_group(2, 1, 2, 3, forced=1)
    gone = tuple(replace(m, state=MemberState.DOWN) for m in alone.members[1:])
    commit(evidence, 1, groups=[replace(alone, members=(alone.members[0], *gone))])
    commit(evidence, 1, bindings=[lease(1)])
    evidence.lost(1, store_of(1, make_group(1, 1, 2, 3)))
    evidence.booted(1, store_of(1, make_group(1, 1, 2, 3)))
    commit(evidence, 1, serving=False)
    evidence.started(1, unseen=True)
    assert ADDRESS not in evidence.exposed
    commit(evidence, 1, serving=True)
    assert ADDRESS in evidence.exposed


def test_what_a_set_back_exposes_is_judged_again_a_lease_after_they_met() -> None:
    evidence = make_evidence()
    later = meet_after_a_set_back(evidence)
    i1_two_clients(evidence)
    assert evidence.judged["exposed I1"] == 1
    commit(evidence, 1, groups=[make_group(2, 1, 2, 3)])
    for act in later:
        act()
    evidence.shadows[1].owned = []
    with pytest.raises(ViolationError, match=r"^I1:"):
        i1_two_clients(evidence)


def test_what_a_set_back_forgot_is_exposed_where_the_last_one_that_knew_has_lost_it_too() -> None:
    evidence = make_evidence()
    commit(evidence, 1, bindings=[lease(1)])
    evidence.lost(1, store_of(1, make_group(1, 1, 2)))
    evidence.booted(1, store_of(1, make_group(1, 1, 2)))
    commit(evidence, 1, serving=False)
    evidence.started(1, unseen=True)
    commit(evidence, 1, serving=True, others={"begin_incarnation"})
    assert ADDRESS not in evidence.exposed, "2 may know, and cannot be heard"
    evidence.lost(2, store_of(2, None))
    assert ADDRESS in evidence.exposed


def test_who_was_told_nothing_before_they_lost_touch_goes_on_being_exposed() -> None:
    """One Hello has passed each way, and the other one has ended before it could tell."""
    evidence = make_evidence()
    later = meet_after_a_set_back(evidence)
    later.pop()()
    assert not later
    commit(evidence, 1, groups=[make_group(2, 1, mul_s=400)])  # exposed
    evidence.blindness.hear(1, 2)
    evidence.blindness.hear(2, 1)
    assert later, "it is judged a lease after they meet again"


def test_a_fork_goes_on_being_exposed_where_they_have_lost_touch() -> None:
    evidence = make_evidence()
    later = meet_after_a_set_back(evidence)
    commit(evidence, 1, groups=[make_group(2, 1, mul_s=400)])
    evidence.blindness.contact_ms = -1
    later.pop()()
    evidence.blindness.hear(1, 2)
    assert not later
    evidence.blindness.hear(2, 1)
    assert later


def test_a_quarantine_ends_when_a_living_member_has_served_its_client() -> None:
    evidence = make_evidence()
    remove_the_third(evidence)
    commit(evidence, 2, bindings=[lease(1, grant=9, expires_at=NOW_S)])
    commit(evidence, 1, moves=[([], [owned(1, 5)])])


def test_a_quarantine_is_forgotten_with_the_last_store_that_kept_it() -> None:
    """The third, which is out, knows that it is: it keeps nothing for itself."""
    evidence = make_evidence()
    remove_the_third(evidence)
    removed = evidence.shadows[1].group
    assert removed is not None
    commit(evidence, 3, groups=[removed])
    assert evidence.groups.quarantine
    evidence.lost(1, store_of(1, make_group(1, 1, 2, 3)))
    assert not evidence.groups.quarantine


def test_one_that_is_out_keeps_no_quarantine_for_another() -> None:
    evidence = make_evidence()
    second, third = make_group(2, 1, 2, 3), make_group(3, 1, 2, 3)
    out = [replace(member, state=MemberState.REMOVED) for member in second.members]
    commit(evidence, 2, merged=[lease(1, transaction_server=3, expires_at=NOW_S - 9)])
    second = replace(second, members=(second.members[0], out[1], second.members[2]))
    commit(evidence, 2, groups=[second])
    commit(evidence, 2, groups=[replace(third, members=(third.members[0], out[1], out[2]))])
    commit(evidence, 1, moves=[([], [owned(1, 5)])])
    assert not evidence.groups.quarantine


def test_a_quarantine_begins_with_the_end_that_its_author_wrote() -> None:
    """Who stood still for an hour takes what is long over for an hour in the future."""
    evidence = make_evidence()
    row = lease(1, transaction_server=3, expires_at=NOW_S - 3600)
    row = row._replace(potential_expires_at=NOW_S - 3600)
    commit(evidence, 3, bindings=[row])
    commit(evidence, 1, merged=[row])
    evidence.shadows[1].offset_ms = lambda: -3_600_000
    removed = make_group(2, 1, 2, 3)
    gone = replace(removed.members[2], state=MemberState.REMOVED)
    commit(evidence, 1, groups=[replace(removed, members=(*removed.members[:2], gone))])
    ((until_ms, _),) = evidence.groups.quarantine.values()
    assert until_ms <= (NOW_S + removed.mul_s) * 1000


def drifted(seconds: int) -> tuple[Evidence, Binding]:
    """A lease of which 2 has recorded, an hour and a half ago, when it ends potentially; by now its
    clock is so far ahead."""
    evidence = make_evidence()
    row = lease(1, transaction_at=NOW_S - 5400, expires_at=NOW_S + 600)
    row = row._replace(potential_expires_at=NOW_S + 60)
    evidence.shadows[2].offset_ms = evidence.shadows[3].offset_ms = lambda: seconds * 1000
    for other in (2, 3):
        commit(evidence, other, merged=[row])
    commit(evidence, 1, bindings=[row])
    return evidence, row


def test_a_lease_is_judged_by_the_mul_of_when_it_was_decided() -> None:
    """A slow disk holds the answer back until after a change of MUL."""
    evidence, now_ms = make_evidence(), NOW_S * 1000
    commit(evidence, 1, groups=[make_group(2, 1, 2, 3, mul_s=600)])
    commit(evidence, 1, bindings=[lease(1, expires_at=NOW_S + 601)])
    evidence.now_ms = lambda: now_ms + 500
    commit(evidence, 1, groups=[make_group(3, 1, 2, 3, mul_s=300)])
    given = (evidence.shadows[1], bytes([1] * 6), ADDRESS, 600)
    evidence.acknowledged(*given, now_ms + 600_000)
    with pytest.raises(ViolationError, match="I4"):
        evidence.acknowledged(*given, now_ms + 600_500)


def test_a_lease_of_the_last_seconds_is_judged_by_clocks_that_drifted_since_the_record() -> None:
    mul_s = make_group(1, 1).mul_s
    evidence, row = drifted(5)
    end_ms = (NOW_S + 60 + mul_s) * 1000
    given = (evidence.shadows[1], row.hardware_address, ADDRESS, 60, end_ms)
    evidence.acknowledged(*given)
    evidence, _ = drifted(30)
    with pytest.raises(ViolationError, match="I4"):
        evidence.acknowledged(evidence.shadows[1], *given[1:])


def test_a_quarantine_may_end_by_a_clock_that_drifted_since_the_record() -> None:
    evidence, row = drifted(0)
    commit(evidence, 1, bindings=[row._replace(transaction_server=3)])
    evidence.groups.note_end(evidence.shadows[1], row)
    removed = make_group(2, 1, 2, 3)
    gone = replace(removed.members[2], state=MemberState.REMOVED)
    commit(evidence, 1, groups=[replace(removed, members=(*removed.members[:2], gone))])
    ((until_ms, _),) = evidence.groups.quarantine.values()
    end_ms = (NOW_S + 60 + removed.mul_s) * 1000
    assert NOW_S * 1000 < until_ms <= end_ms - (5460 + removed.mul_s) * 1000 // 400


def test_ranges_are_judged_as_the_transaction_leaves_them() -> None:
    """Two records of a former store end the ownership of neighbours, one after the other."""
    evidence = make_evidence()
    whole = replace(owned(1, 5), last=ADDRESS + 2)
    commit(evidence, 1, moves=[([], [whole])])
    declined = {"state": BindingState.UNAVAILABLE, "transaction": Transaction.DECLINE}
    rows = [
        lease(1, **declined, transaction_at=NOW_S - 90)._replace(address=ADDRESS + i)
        for i in (0, 1)
    ]
    rest = replace(whole, first=ADDRESS + 1), replace(whole, first=ADDRESS + 2)
    moves = [([whole], [rest[0]]), ([rest[0]], [rest[1]])]
    commit(evidence, 1, merged=rows, moves=moves)
    assert evidence.shadows[1].owned == [(ADDRESS + 2, ADDRESS + 2, whole.epoch)]


def test_what_was_declined_under_the_same_epoch_is_no_stock_however_its_range_is_laid() -> None:
    evidence = make_evidence()
    commit(evidence, 1, moves=[([], [owned(1, 1)])])
    declined = {"state": BindingState.UNAVAILABLE, "transaction": Transaction.DECLINE}
    commit(evidence, 1, bindings=[lease(1, **declined, transaction_at=NOW_S - 90)])
    wider = replace(owned(1, 1), last=ADDRESS + 1)
    commit(evidence, 1, moves=[([owned(1, 1)], [wider])])
    assert not evidence.shadows[1].owns(ADDRESS)


def test_an_answer_to_a_message_before_the_decline_may_still_leave() -> None:
    evidence = make_evidence()
    declined = {"state": BindingState.UNAVAILABLE, "transaction": Transaction.DECLINE}
    commit(evidence, 1, bindings=[lease(1, **declined, transaction_at=NOW_S)])
    evidence.offered(evidence.shadows[1], ADDRESS, NOW_S * 1000)


def test_a_lease_that_is_another_clients_now_is_no_reason_against_a_nak() -> None:
    held = Holding("b", ADDRESS, 2, (NOW_S + 60) * 1000)
    make_evidence().refused(make_evidence().shadows[1], "a", held, at_home=True)


def test_an_address_that_a_liar_spoke_of_is_counted_and_not_judged() -> None:
    evidence = make_evidence()
    evidence.exposed.add(ADDRESS)
    i1_two_clients(evidence)
    assert evidence.judged["exposed I1"] == 1
