"""What a change makes of a group, and which of two values can have come from the other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.errors import PeerError
from agent.limits import MEMBERS_LISTED_MAX, MUL_MAX_S
from agent.model import INFINITE_S, Group, MemberState
from agent.sync.change import (
    Expel,
    ForgetPastMul,
    GroupChange,
    Join,
    Parameters,
    Readdress,
    Rename,
    Return,
    Reweigh,
    apply,
)
from agent.sync.lineage import descends, stands_over
from tests.sync.lan import make_group, make_member

GROUP = make_group((1, 2, 3), generation=5)


def after(group: Group, *changes: GroupChange) -> Group:
    for change in changes:
        following = apply(change, group)
        assert following is not None, change
        group = following
    return group


def forced(group: Group, change: GroupChange) -> Group:
    following = after(group, change)
    return replace(following, forced=following.forced + 1)


def test_members_stand_in_order_of_number_whenever_they_joined() -> None:
    """As the store keeps them: the membership's hash must outlive a restart."""
    group = after(GROUP, Join(make_member(9)), Join(make_member(5)))
    assert [one.member for one in group.members] == [1, 2, 3, 5, 9]


def test_two_members_with_one_name_are_refused() -> None:
    """An order by name would go to the first of them."""
    with pytest.raises(PeerError, match="name_taken: member 2 of test is m2 already"):
        apply(Join(replace(make_member(9), name="m2")), GROUP)
    gone = after(GROUP, Expel(2))
    assert after(gone, Join(replace(make_member(9), name="m2"))).member(9) is not None
    with pytest.raises(PeerError, match="name_taken"):
        apply(Join(replace(make_member(3), name="m1")), after(GROUP, Expel(3)))


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        (Rename(2, "m3"), "name_taken", "member 3 of test is m3 already"),
        (Rename(2, "7"), "name", "no number"),
        (Rename(2, ""), "name", "1..64 octets"),
        (Rename(2, "é" * 33), "name", "1..64 octets"),
        (Rename(2, "south "), "name", "begins nor ends with a blank"),
        (Rename(2, "so\nuth"), "name", "printable"),
        (Rename(9, "south"), "unknown_member", "no member 9"),
        (Readdress(2, address=make_member(3).address), "address_taken", "member 3 m3 .*:161"),
        (Readdress(2, address=0xE0000001), "address", "224.0.0.1:161 is no host"),
        (Readdress(2, port=0), "address", ":0 is no host"),
        (Readdress(2, port=65_536), "address", "65536 is no host"),
        (Readdress(9, port=162), "unknown_member", "no member 9"),
        (Join(replace(make_member(9), name="9")), "name", "no number"),
        (Join(replace(make_member(9), address=make_member(1).address)), "address_taken", "m1"),
    ],
)
def test_no_other_identity_than_these(change: GroupChange, reason: str, words: str) -> None:
    with pytest.raises(PeerError, match=words) as caught:
        apply(change, GROUP)
    assert caught.value.reason == reason
    if not isinstance(change, Join) and reason != "unknown_member":
        with pytest.raises(PeerError, match="was removed"):
            apply(change, after(GROUP, Expel(2)))


def test_a_member_has_another_name_or_address_and_is_the_same_else() -> None:
    before = GROUP.member(2)
    assert before is not None
    group = after(GROUP, Rename(2, "south"), Readdress(2, address=7 << 24), Readdress(2, port=1161))
    wanted = replace(before, name="south", address=7 << 24, port=1161)
    assert group.member(2) == wanted
    assert descends(group, GROUP)
    gone = after(group, Expel(3), Readdress(2, address=make_member(3).address))
    assert gone.member(2) == replace(wanted, address=make_member(3).address), "3 needs it no more"
    down = after(GROUP, Expel(2, keeps_seat=True), Readdress(2, port=1161), Return(2)).member(2)
    assert down is not None
    assert (down.port, down.state) == (1161, MemberState.ACTIVE)


def test_a_member_is_never_taken_out_of_the_value() -> None:
    gone = after(GROUP, Expel(2), Expel(3, keeps_seat=True))
    assert [(m.member, m.state, m.since) for m in gone.members] == [
        (1, MemberState.ACTIVE, 0),
        (2, MemberState.REMOVED, 6),
        (3, MemberState.DOWN, 7),
    ]
    assert [m.member for m in gone.current] == [1]
    back = after(gone, Join(make_member(2)), Return(3))
    assert [(m.state, m.since) for m in back.members[1:]] == [
        (MemberState.ACTIVE, 8),
        (MemberState.ACTIVE, 9),
    ]


def test_down_may_still_be_removed_and_what_was_clean_stays_so() -> None:
    gone = after(GROUP, Expel(3, keeps_seat=True, clean=True), Expel(3))
    member = gone.member(3)
    assert member is not None
    assert (member.state, member.clean) == (MemberState.REMOVED, True)
    assert apply(Expel(3, keeps_seat=True), gone) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (Expel(9), "unknown_member"),
        (Return(9), "unknown_member"),
        (Join(replace(make_member(3), engine_id=b"123456")), "member_taken"),
        (Join(replace(make_member(9), engine_id=make_member(3).engine_id)), "member_taken"),
        (Reweigh(9, 2), "unknown_member"),
        (Parameters(mul_s=0), "parameter"),
        (Parameters(mul_s=MUL_MAX_S + 1), "parameter"),
        (Parameters(lease_s=0), "parameter"),
        (Parameters(lease_s=INFINITE_S - 1), "parameter"),
        (Parameters(safe_period_s=59), "parameter"),
    ],
)
def test_what_cannot_be(change: GroupChange, reason: str) -> None:
    with pytest.raises(PeerError) as caught:
        apply(change, GROUP)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "change",
    [
        Join(make_member(2)),
        Return(2),
        Reweigh(2, 1),
        Readdress(2),
        Readdress(2, make_member(2).address, 161),
        Rename(2, "m2"),
        Parameters(),
        Parameters(mul_s=60),
        ForgetPastMul(),
    ],
)
def test_what_is_so_already(change: GroupChange) -> None:
    assert apply(change, GROUP) is None


def test_a_removed_member_does_not_return_by_itself_and_the_last_one_stays() -> None:
    gone = after(GROUP, Expel(2), Expel(3))
    with pytest.raises(PeerError, match="must join again"):
        apply(Return(2), gone)
    with pytest.raises(PeerError, match="no member left"):
        apply(Expel(1), gone)


def test_a_weight_changes_alone_and_comes_back_with_a_member_that_was_down() -> None:
    heavy = after(GROUP, Reweigh(2, 3))
    assert [one.weight for one in heavy.members] == [1, 3, 1]
    assert [one.since for one in heavy.members] == [one.since for one in GROUP.members]
    back = after(GROUP, Expel(2, keeps_seat=True), Reweigh(2, 5), Return(2)).member(2)
    assert back is not None
    assert back.weight == 5
    with pytest.raises(PeerError, match="may join again with that weight"):
        apply(Reweigh(2, 3), after(GROUP, Expel(2)))


def test_a_full_group_and_a_full_memory() -> None:
    full = make_group(range(1, 17))
    with pytest.raises(PeerError, match="has 16 members"):
        apply(Join(make_member(17)), full)
    room = after(full, Expel(16))
    assert after(room, Join(make_member(17))).member(17) is not None
    down = after(full, Expel(16, keeps_seat=True))
    with pytest.raises(PeerError, match="has 16 members"):
        apply(Join(make_member(17)), down)
    listed = tuple(
        replace(make_member(1), member=n, engine_id=n.to_bytes(5, "big"))
        if n < 2
        else replace(
            make_member(1), member=n, engine_id=n.to_bytes(5, "big"), state=MemberState.REMOVED
        )
        for n in range(1, MEMBERS_LISTED_MAX + 1)
    )
    with pytest.raises(PeerError, match="let a removed one join again"):
        apply(Join(make_member(200)), replace(GROUP, members=listed))


def test_the_greater_mul_is_remembered_until_it_is_forgotten() -> None:
    less = after(GROUP, Parameters(mul_s=10))
    assert (less.past_mul_s, less.longest_mul_s) == (60, 60)
    least = after(less, Parameters(mul_s=5))
    assert least.past_mul_s == 60
    more = after(least, Parameters(mul_s=60))
    assert (more.past_mul_s, more.longest_mul_s) == (0, 60)
    assert after(less, ForgetPastMul()).longest_mul_s == 10
    assert after(GROUP, Parameters(lease_s=INFINITE_S)).lease_s == INFINITE_S


# --- lineage


def test_a_value_descends_from_every_one_before_it_and_from_no_other() -> None:
    line = [GROUP]
    for change in (
        Join(make_member(4)),
        Expel(2),
        Parameters(mul_s=9),
        Expel(3, keeps_seat=True),
        Return(3),
        Join(make_member(2)),
    ):
        line.append(after(line[-1], change))
    for i, one in enumerate(line):
        for j, other in enumerate(line):
            assert descends(other, one) is (j > i)
            assert stands_over(other, one) is (j > i)


def test_sides_that_force_each_other_out_come_to_one_value() -> None:
    ours = forced(forced(GROUP, Expel(2)), Expel(3))
    theirs = forced(GROUP, Expel(1))
    assert not descends(ours, theirs)
    assert not descends(theirs, ours)
    assert stands_over(theirs, ours), "less force"
    assert not stands_over(ours, theirs)
    decided = after(GROUP, Join(make_member(4)))
    assert stands_over(decided, theirs), "a majority's word goes before a forced one"
    one, other = forced(GROUP, Expel(1)), forced(GROUP, Expel(2))
    assert stands_over(one, other) is not stands_over(other, one)
    assert not stands_over(one, one)


def test_another_group_s_value_never_descends() -> None:
    foreign = replace(after(GROUP, Expel(2)), name="other")
    assert not descends(foreign, GROUP)
    assert not descends(replace(foreign, name="test", forced=0), replace(GROUP, forced=1))
