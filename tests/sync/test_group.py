"""Joining by ballot (docs/protocol.md, "Membership"): one membership a generation, learned from
anybody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.errors import PeerError
from agent.model import Ballot, BallotNumber, Group, MemberId, MemberState, Nonce, StoreMark
from agent.sync import messages as m
from agent.sync.change import Expel, Join, apply
from agent.sync.start import LastLife, begin_start
from agent.sync.version import membership_hash
from store import Store
from tests.sync.lan import POOL_FIRST, Lan, engine_id, make_binding, make_group, make_member


def make_lan(members: int, pool_size: int = 0) -> Lan:
    numbers = range(1, members + 1)
    return Lan(numbers, make_group(numbers), pool_size)


def propose(lan: Lan, contact: int, member: int) -> None:
    with lan.stores[contact].write() as tx:
        lan.nodes[contact].propose_join(tx, make_member(member), lan.clock(contact))


def groups(lan: Lan) -> list[Group | None]:
    found = []
    for store in lan.stores.values():
        with store.read() as tx:
            found.append(tx.group())
    return found


@pytest.mark.parametrize("members", [1, 2, 3])
def test_a_new_member_joins_pulls_everything_and_serves(members: int) -> None:
    lan = make_lan(members, pool_size=200)
    lan.run(4_000)
    lan.save(1, [make_binding(POOL_FIRST + i, lan.now_s) for i in range(50)])
    lan.run(2_000)
    new = members + 1
    lan.add(new)
    propose(lan, 1, new)
    assert lan.run(10_000, until=lambda: lan.serving(new)) < 6_000
    assert lan.told(new) == lan.told(1)
    assert len(lan.rows(new)) == 50
    lan.run(5_000)
    assert len(set(map(repr, groups(lan)))) == 1
    assert lan.owned(new) > 0, "a share was left for it"


def test_a_new_member_of_a_big_group_pulls_by_address() -> None:
    lan = make_lan(2)
    lan.run(3_000)
    lan.save(1, [make_binding(POOL_FIRST + 3 * i, lan.now_s) for i in range(5_500)])
    lan.save(2, [make_binding(POOL_FIRST + 3 * i + 1, lan.now_s, 2) for i in range(100)])
    lan.run(3_000)
    lan.add(3)
    propose(lan, 2, 3)
    lan.run(10_000, until=lambda: lan.serving(3))
    assert lan.serving(3)
    assert lan.told(3) == lan.told(1)
    assert len(lan.rows(3)) == 5_600
    assert any(isinstance(r, m.BlockPull) for s, _, r, _ in lan.log if s == 3)


def test_a_member_does_not_serve_before_it_holds_what_every_other_member_holds() -> None:
    lan = make_lan(2)
    lan.run(3_000)
    lan.save(2, [make_binding(POOL_FIRST, lan.now_s, 2)])
    lan.run(1_000)
    lan.add(3)
    lan.passes = lambda sender, to, _: {sender, to} != {2, 3}
    propose(lan, 1, 3)
    lan.run(20_000)
    assert lan.generation(3) == 2
    assert not lan.serving(3)
    lan.heal()
    lan.run(5_000)
    assert lan.serving(3)


def test_who_does_not_serve_agrees_to_no_poll() -> None:
    lan = make_lan(2, pool_size=90)
    lan.run(4_000)
    lan.add(3)
    lan.passes = lambda sender, to, _: {sender, to} != {2, 3}
    propose(lan, 1, 3)
    lan.run(5_000)
    hello = next(r for s, _, r, _ in reversed(lan.log) if s == 1 and isinstance(r, m.Hello))
    ask = m.PollAsk(hello.header, Nonce(1, 99), (m.RangeEpoch(POOL_FIRST, POOL_FIRST),))
    answer = lan.ask(3, ask, lan.now_ms)
    assert isinstance(answer, PeerError)
    assert answer.reason == "not_serving"


@pytest.mark.parametrize("hold_ms", [0, 3, 700])
def test_two_coordinators_at_once_both_end(hold_ms: int) -> None:
    """One wins the generation, the other proposes for the next one."""
    lan = make_lan(3)
    lan.run(3_000)
    lan.add(4)
    lan.add(5)
    propose(lan, 1, 4)
    if hold_ms:
        lan.passes = lambda sender, to, request: not isinstance(request, m.BallotAccept)
        lan.run(hold_ms)
    propose(lan, 2, 5)
    lan.run(hold_ms)
    lan.heal()
    lan.run(30_000, until=lambda: all(lan.serving(member) for member in lan.nodes))
    assert [lan.generation(member) for member in lan.nodes] == [3] * 5
    assert len(set(map(repr, groups(lan)))) == 1


def test_no_two_values_are_ever_chosen_for_a_generation() -> None:
    """Whatever is lost: every group that a member ever held for a generation is the same."""
    for seed in range(12):
        lan = make_lan(3)
        lan.run(3_000)
        for member in (4, 5, 6):
            lan.add(member)
        count = [seed * 7_919]

        def passes(_sender: int, _to: int, request: m.Request, count: list[int] = count) -> bool:
            count[0] = count[0] * 1_103_515_245 + 12_345 & 0x7FFF_FFFF
            return isinstance(request, m.Hello) or count[0] >> 16 & 3 > 0

        lan.passes = passes
        chosen: dict[int, set[bytes]] = {}
        for contact, member in ((1, 4), (2, 5), (3, 6)):
            propose(lan, contact, member)
        for step in range(60):
            lan.run(500)
            if step == 20:
                lan.restart(1 + seed % 3)
            for group in groups(lan):
                if group is not None:
                    chosen.setdefault(group.generation, set()).add(membership_hash(group))
        assert all(len(values) == 1 for values in chosen.values())
        assert max(chosen) >= 2


def test_a_minority_decides_nothing() -> None:
    lan = make_lan(3)
    lan.run(3_000)
    lan.add(4)
    lan.cut(1, 4)
    propose(lan, 1, 4)
    lan.run(30_000)
    assert [lan.generation(member) for member in (1, 2, 3)] == [1, 1, 1]
    lan.heal()
    lan.run(20_000)
    assert [lan.generation(member) for member in lan.nodes] == [2] * 4


def test_a_wish_ends_after_a_minute() -> None:
    lan = make_lan(3)
    lan.run(3_000)
    lan.cut(1)
    propose(lan, 1, 4)
    assert [str(wish.change) for wish, _ in lan.nodes[1].pending()] == ["join of member 4 m4"]
    lan.run(70_000)
    assert lan.nodes[1].pending() == []


def test_a_member_that_missed_the_commit_learns_it_from_anybody() -> None:
    lan = make_lan(3)
    lan.run(3_000)
    lan.add(4)
    lan.cut(3)
    propose(lan, 1, 4)
    lan.run(5_000)
    assert [lan.generation(member) for member in (1, 2, 3, 4)] == [2, 2, 1, 2]
    assert not lan.serving(4), "3 has not said the new generation"
    lan.restart(1)
    lan.passes = lambda sender, to, _: {sender, to} != {1, 3}
    lan.run(10_000)
    assert lan.generation(3) == 2
    lan.heal()
    lan.run(5_000)
    assert lan.serving(4)


def test_an_accepted_value_goes_before_the_next_coordinators_wish() -> None:
    """Paxos: 1 was accepted by a majority and fell silent; 2 must choose the same."""
    lan = make_lan(3)
    lan.run(3_000)
    value = apply(Join(make_member(4)), make_group((1, 2, 3)))
    for member in (2, 3):
        with lan.stores[member].write() as tx:
            number = BallotNumber(1, 1)
            tx.put_ballot(Ballot(2, number, number, value))
    lan.cut(1)
    propose(lan, 2, 5)
    lan.run(15_000)
    with lan.stores[3].read() as tx:
        group = tx.group()
    assert group is not None
    assert [member.member for member in group.members] == [1, 2, 3, 4]


def test_joining_again_is_nothing_and_a_taken_number_is_refused() -> None:
    lan = make_lan(2)
    lan.run(3_000)
    propose(lan, 1, 2)
    assert lan.nodes[1].pending() == []
    with lan.stores[1].write() as tx:
        stranger = replace(make_member(2), engine_id=engine_id(9))
        with pytest.raises(PeerError, match="never used again"):
            lan.nodes[1].propose_join(tx, stranger, lan.now_ms)
        renumbered = replace(make_member(9), engine_id=engine_id(2))
        with pytest.raises(PeerError, match="member_taken"):
            lan.nodes[1].propose_join(tx, renumbered, lan.now_ms)


def test_a_full_group_is_refused() -> None:
    lan = Lan([1], make_group(range(1, 17)))
    lan.run(1_000)
    with lan.stores[1].write() as tx, pytest.raises(PeerError, match="group_full"):
        lan.nodes[1].propose_join(tx, make_member(17), lan.now_ms)


# --- what is not accepted


def header(lan: Lan, member: int, /, **changes: object) -> m.Header:
    with lan.stores[member].read() as tx:
        group = tx.group()
    assert group is not None
    made = m.Header(member, 1, group.generation, membership_hash(group))
    return replace(made, **changes)  # type: ignore[arg-type]


def refused(lan: Lan, request: m.Request) -> str:
    answer = lan.ask(1, request, lan.now_ms)
    return answer.reason if isinstance(answer, PeerError) else ""


def test_messages_of_strangers_and_of_other_generations_change_nothing() -> None:
    lan = make_lan(2)
    lan.run(3_000)
    before = lan.stores[1].snapshot()
    for changes, reason in (
        ({"sender": 7}, "unknown_member"),
        ({"sender": 1}, "unknown_member"),
        ({"generation": 9}, "generation"),
        ({"membership_hash": b"12345678"}, "generation"),
    ):
        head = header(lan, 2, **changes)
        update = m.BindingUpdate(head, (7 << 32) | 1, 0, 1, ())
        reserve = m.PollReserve(head, Nonce(1, 1), (m.RangeEpoch(1, 2, 3),))
        for request in (m.Hello(head, {}, (), 0), update, reserve, m.StreamQuery(head)):
            assert refused(lan, request) == reason
    assert lan.stores[1].snapshot() == before


def test_a_commit_is_taken_only_from_a_member_and_only_with_me_in_it() -> None:
    lan = make_lan(2)
    lan.run(3_000)
    foreign = replace(make_group((1, 2, 3), generation=5), name="other")
    assert refused(lan, m.GroupCommit(header(lan, 2), foreign)) == "foreign_group"
    without_me = make_group((2, 3), generation=5)
    assert refused(lan, commit(lan, 2, without_me)) == "removed"
    strange = make_group((1, 2, 7), generation=5)
    assert refused(lan, commit(lan, 9, strange)) == "unknown_member", "it is not in it itself"
    assert refused(lan, commit(lan, 7, make_group((2, 7), 5))) == "unknown_member"
    usurped = replace(
        strange, members=(replace(make_member(1), engine_id=b"123456"), *strange.members[1:])
    )
    assert refused(lan, commit(lan, 2, usurped)) == "removed"
    assert refused(lan, commit(lan, 7, usurped)) == "unknown_member"
    assert lan.generation(1) == 1
    assert refused(lan, commit(lan, 2, strange)) == ""
    assert lan.generation(1) == 5


def test_a_value_that_names_the_receiver_is_weighed_whoever_tells_it() -> None:
    lan = make_lan(2)
    lan.run(3_000)
    assert refused(lan, commit(lan, 7, make_group((1, 2, 7), generation=5))) == ""
    assert lan.generation(1) == 5
    assert "dhcpSyncGroupFork" in [notice.name for notice in lan.nodes[1].take_notices()]
    with lan.stores[1].read() as tx:
        assert tx.local().recovery, "who leaves what it had decided may hold what does not stand"


def test_of_two_lines_a_copy_of_an_earlier_time_does_not_stand() -> None:
    """Neither value comes from the other. What one store says of itself is behind what the other
    one remembers of it: then form does not matter."""
    lan = make_lan(2)
    lan.run(3_000)
    more = make_group((1, 2, 7), generation=5)
    earlier = replace(commit(lan, 2, more), mark=StoreMark(0, 0))
    assert refused(lan, earlier) == "not_standing"
    assert lan.generation(1) == 1
    lan.run(1_000)
    told = [r for to, _, r, _ in lan.log if isinstance(r, m.GroupCommit)]
    assert any(r.value.generation == 1 for r in told), "mine is told"
    fewer = replace(make_group((1,), generation=1), mul_s=61, members=(make_member(1),))
    fewer = replace(fewer, members=(*fewer.members, replace(make_member(2), since=1)), forced=3)
    me_ahead = replace(commit(lan, 2, fewer), known=StoreMark(1, 2**40))
    assert refused(lan, me_ahead) == ""
    with lan.stores[1].read() as tx:
        group = tx.group()
        assert group is not None
        assert group.mul_s == 61, "it is my own store that is the copy"
        assert tx.local().recovery


def commit(lan: Lan, sender: MemberId, value: Group) -> m.GroupCommit:
    """A commit with which its sender proves nothing about anybody's store."""
    return m.GroupCommit(header(lan, 2, sender=sender), value, StoreMark(9, 0))


def test_a_member_without_a_group_takes_only_one_that_names_it() -> None:
    lan = Lan([1])
    lan.run(2_000)
    assert lan.log == []
    head = m.Header(2, 1, 3, b"12345678")
    assert refused(lan, m.Hello(head, {}, (), 0)) == "no_group"
    assert refused(lan, m.GroupCommit(head, make_group((2, 3), 3))) == "removed"
    assert refused(lan, m.GroupCommit(head, make_group((1, 2), 3))) == ""
    assert lan.generation(1) == 3


def test_a_foreign_answer_to_my_own_question_changes_nothing() -> None:
    lan = make_lan(2)
    lan.run(3_000)
    query = m.GroupQuery(header(lan, 1))
    for foreign in (
        replace(make_group((1, 2, 3), generation=5), name="other"),
        make_group((2, 3), generation=5),
    ):
        lan.respond(1, 2, query, m.GroupAnswer(foreign))
        assert lan.generation(1) == 1
    lan.run(3_000)
    assert [lan.generation(member) for member in lan.nodes] == [1, 1]


def test_a_ballot_for_any_other_generation_is_refused() -> None:
    lan = make_lan(2)
    lan.run(3_000)
    for generation in (1, 3):
        prepare = m.BallotPrepare(header(lan, 2), generation, BallotNumber(1, 2))
        assert refused(lan, prepare) == "generation"


def test_members_that_fall_silent_are_written_down_for_the_engine() -> None:
    lan = make_lan(3)
    lan.run(6_000)

    def silent() -> frozenset[int]:
        with lan.stores[1].read() as tx:
            return tx.silent_members()

    assert silent() == frozenset()
    lan.passes = lambda sender, to, _: 3 not in (sender, to)
    lan.run(8_000)
    assert silent() == {3}
    lan.restart(1)
    lan.run(2_000)
    assert silent() == {3}, "after a restart it takes a while to tell"
    lan.passes = lambda *_: True
    lan.run(8_000)
    assert silent() == frozenset()


def test_a_member_that_is_heard_and_does_not_serve_is_written_down_apart() -> None:
    lan = make_lan(2)
    lan.run(6_000)
    lan.add(3)
    lan.passes = lambda sender, to, _: {sender, to} != {2, 3}  # so 3 goes on joining
    propose(lan, 1, 3)
    lan.run(10_000)
    assert not lan.serving(3)
    with lan.stores[1].read() as tx:
        assert (tx.silent_members(), tx.idle_members()) == (frozenset(), {3})
    lan.heal()
    lan.run(10_000)
    with lan.stores[1].read() as tx:
        assert tx.idle_members() == frozenset()


def test_one_that_was_declared_dead_and_has_lost_its_disk_comes_back_by_itself() -> None:
    """docs/situations.md, "Replacing a machine": made anew with its engine ID, and nothing else."""
    lan = make_lan(3, pool_size=90)
    lan.run(5_000)
    lan.cut(3)
    lan.run(5_000)
    with lan.stores[1].write() as tx:
        lan.nodes[1].propose(tx, Expel(3, keeps_seat=True), "op", False, lan.clock(1))
    lan.flush(1)
    lan.run(20_000, until=lambda: state_of(lan, 3) is MemberState.DOWN)
    assert state_of(lan, 3) is MemberState.DOWN
    lan.stores[3] = Store.in_memory(member=3, engine_id=engine_id(3))
    with lan.stores[3].write() as tx:
        begin_start(tx, lan.now_s, LastLife(ran_at=lan.now_s))
    lan.restart(3)
    lan.heal()
    assert lan.run(30_000, until=lambda: lan.serving(3)) < 20_000
    assert state_of(lan, 3) is MemberState.ACTIVE


def state_of(lan: Lan, member: MemberId) -> MemberState | None:
    with lan.stores[1].read() as tx:
        group = tx.group()
    found = group.member(member) if group else None
    return found.state if found else None
