"""TRANSFER (docs/protocol.md, "TRANSFER"; draft 5.4): who may give what, every crash, every
repetition, and the counterexample of the draft's form: a giver that takes back by timeout makes two
owners."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from agent.errors import PeerError
from agent.model import (
    AddressRange,
    AddressState,
    MemberState,
    Nonce,
    Reservation,
    StoreMark,
)
from agent.port import StoreTransaction
from agent.sync import messages as m
from agent.sync import ranges
from agent.sync.giver import Giver
from agent.sync.stock import allowance, blocks_in_order
from agent.sync.transfer import Taker
from tests.sync.lan import POOL_FIRST, Lan, make_binding, make_group

BINDABLE, POLLING = AddressState.BINDABLE, AddressState.POLLING
PROMISED, TRANSFERRING = AddressState.PROMISED, AddressState.TRANSFERRING
SIZE = 90


def spans(rows: Iterable[AddressRange]) -> list[ranges.Span]:
    return ranges.union((r.first, r.last) for r in rows)


def free(lan: Lan, member: int) -> list[int]:
    """Addresses that `member` may give to any client now."""
    with lan.stores[member].read() as tx:
        return [
            address
            for row in tx.address_ranges(0, 2**32 - 1)
            if row.state is BINDABLE
            for address in range(row.first, row.last + 1)
            if address not in set(tx.bound_addresses(row.first, row.last, row.epoch))
        ]


def assert_one_owner(lan: Lan) -> None:
    """I2; and of what is on its way, nobody else is owner."""
    seen: dict[int, int] = {}
    for member in lan.nodes:
        for address in free(lan, member):
            assert address not in seen, f"{address:#x} is free at {seen[address]} and {member}"
            seen[address] = member


def divided(members: int = 3, size: int = SIZE) -> Lan:
    """Everybody has its share, and member 1 has given all of its own to clients; the last member
    is silent, so that no poll can succeed."""
    numbers = range(1, members + 1)
    lan = Lan(numbers, make_group(numbers), size)
    lan.run(5_000)
    return lan


def starve(lan: Lan, member: int = 1, leave: int = 0) -> None:
    """Clients take what `member` has free, but for `leave` addresses."""
    rows = []
    with lan.stores[member].read() as tx:
        for row in tx.address_ranges(0, 2**32 - 1):
            if row.state is BINDABLE:
                taken = range(row.first, row.last + 1)
                rows += [
                    make_binding(
                        a, lan.now_s, member, epoch=row.epoch, expires_at=lan.now_s + 86_400,
                        potential_expires_at=lan.now_s + 90_000,
                    )
                    for a in taken
                ]  # fmt: skip
    lan.save(member, rows[: len(rows) - leave])


def starved(members: int = 3, size: int = SIZE, leave: int = 0) -> Lan:
    lan = divided(members, size)
    lan.cut(members)
    lan.run(5_000)
    lan.log.clear()
    starve(lan, leave=leave)
    return lan


def asked(lan: Lan) -> list[m.TransferAsk]:
    return [r for _, _, r, _ in lan.log if isinstance(r, m.TransferAsk)]


def given(lan: Lan) -> int:
    return ranges.size(spans(lan.ranges(2, TRANSFERRING)))


# --- the whole of it


def test_a_member_without_addresses_gets_half_of_anothers_while_a_third_is_silent() -> None:
    lan = starved()
    before = len(free(lan, 2))
    lan.run(8_000)
    assert len(free(lan, 1)) == before // 2
    assert len(free(lan, 2)) == before - before // 2
    assert not any(isinstance(r, m.PollAsk) for _, _, r, _ in lan.log)
    assert_one_owner(lan)
    assert lan.ranges(2, TRANSFERRING) == []


def test_what_the_givers_engine_comes_to_next_is_given_last() -> None:
    """Its offers are not in the store: a client that took one would get a NAK."""
    lan = divided(size=6_000)
    lan.cut(3)
    lan.run(5_000)
    order = blocks_in_order((POOL_FIRST, POOL_FIRST + 5_999), (1, 2, 3), 2)
    mine = spans(lan.ranges(2, BINDABLE))
    given_first = next(block for block in reversed(order) if ranges.intersect(mine, [block]))
    own_blocks = [block for block in sorted(order) if ranges.intersect(mine, [block])]
    following = own_blocks[(own_blocks.index(given_first) + 1) % len(own_blocks)]
    last = ranges.intersect(mine, [given_first])[-1][1]
    (epoch,) = {row.epoch for row in lan.ranges(2, BINDABLE)}
    lan.save(2, [make_binding(last, lan.now_s, 2, epoch=epoch)])
    starve(lan)
    lan.run(8_000)
    assert len(free(lan, 1)) > 500
    kept = spans(lan.ranges(2, BINDABLE))
    for block in (given_first, following):
        assert ranges.intersect(kept, [block]) == ranges.intersect(mine, [block])


def test_what_is_used_up_is_not_read_again_to_find_what_can_be_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All that is free lies where the giver's engine gives from, behind its used-up blocks: a
    giver that read those first had nothing to give, at every request."""
    monkeypatch.setattr("agent.sync.giver.TRANSFER_BINDINGS_MAX", 300)
    lan = divided(size=6_000)
    lan.cut(3)
    lan.run(5_000)
    rows = lan.ranges(2, BINDABLE)
    addresses = sorted((a, row.epoch) for row in rows for a in range(row.first, row.last + 1))
    assert len(addresses) > 1_000
    until = {"expires_at": lan.now_s + 86_400, "potential_expires_at": lan.now_s + 90_000}
    used = [make_binding(a, lan.now_s, 2, epoch=epoch, **until) for a, epoch in addresses[:-200]]
    lan.save(2, used)
    starve(lan)
    lan.run(12_000)
    assert len(free(lan, 1)) >= 50


def test_the_giver_names_the_new_owner_and_epoch_afterwards() -> None:
    lan = starved()
    epochs = {row.epoch for row in lan.ranges(2, BINDABLE)}
    lan.run(8_000)
    new = [row for row in lan.ranges(1, BINDABLE) if row.epoch - 1 in epochs]
    told = [row for row in lan.ranges(2, PROMISED) if row.member == 1]
    mine = spans(new)
    gained = [row for row in mine if ranges.intersect([row], spans(told))]
    assert gained
    for row in new:
        held = lan.ranges(2, PROMISED)
        for one in held:
            if one.first <= row.first <= one.last:
                assert (one.member, one.epoch) == (1, row.epoch)


def test_where_nothing_is_left_to_poll_for_the_one_that_has_most_is_asked() -> None:
    lan = divided(size=80)
    for member in (1, 2, 3):
        starve(lan, member, leave=0 if member == 1 else 4 * member)
    lan.run(2_000)
    rest = [a for a in range(POOL_FIRST, POOL_FIRST + 80) if not _is_known(lan, a)]
    lan.save(3, [make_binding(a, lan.now_s, 3, expires_at=lan.now_s + 86_400,
                              potential_expires_at=lan.now_s + 90_000) for a in rest])  # fmt: skip
    lan.run(20_000)
    assert asked(lan)
    assert free(lan, 1)
    assert_one_owner(lan)


def _is_known(lan: Lan, address: int) -> bool:
    for member in lan.nodes:
        with lan.stores[member].read() as tx:
            rows = [r for r in tx.address_ranges(address, address) if r.state is BINDABLE]
            if rows or tx.bindings_by_address([address]):
                return True
    return False


# --- what is given


@pytest.mark.parametrize(
    ("free_here", "low", "taker_free", "wanted", "weights", "amount"),
    [
        (30, 15, 0, 100, (1, 1), 15),
        (30, 15, 0, 4, (1, 1), 4),
        (10, 15, 0, 100, (1, 1), 5),
        (10, 15, 1, 100, (1, 1), 0),
        (30, 15, 10, 100, (1, 1), 10),
        (30, 28, 10, 100, (1, 1), 2),
        (30, 15, 30, 100, (1, 1), 0),
        (30, 15, 40, 100, (1, 1), 0),
        (1, 1, 0, 100, (1, 1), 0),
        (0, 1, 0, 100, (1, 1), 0),
        (30, 10, 0, 100, (2, 1), 10),
        (30, 10, 0, 100, (1, 9), 15),
        (30, 0, 0, 100, (0, 0), 15),
    ],
)
def test_how_much_is_given(
    free_here: int, low: int, taker_free: int, wanted: int, weights: tuple[int, int], amount: int
) -> None:
    """Half at most; never so much that the taker is better off; below the own low mark only
    for a taker that has nothing."""
    assert allowance(free_here, low, taker_free, wanted, weights) == amount


def test_only_addresses_that_are_truly_free_are_given() -> None:
    lan = starved()
    mine = free(lan, 2)
    bound = mine[::2]
    epoch = lan.ranges(2, BINDABLE)[0].epoch
    lan.save(2, [make_binding(a, lan.now_s, 2, epoch=epoch) for a in bound])
    late = mine[1]
    older = make_binding(late, lan.now_s, 3, epoch=0, stream=1, seq=1)
    with lan.stores[2].write() as tx:
        tx.put_bindings([older])
        tx.save_configuration([(Reservation(mine[3], b"\x01x"), False)])
    lan.run(8_000)
    got = set(free(lan, 1))
    assert got
    assert not got & {*bound, late, mine[3]}
    assert_one_owner(lan)


def test_the_engine_may_not_bind_what_is_transferring() -> None:
    """The giver's ownership version moves with the commit, and what the row says is no
    BINDABLE range of its own."""
    lan = starved()
    with lan.stores[2].read() as tx:
        version = tx.local().ownership_version
    lan.passes = drop(m.TransferTaken, also=lan.passes)
    lan.run(3_000)
    assert given(lan)
    rows = lan.ranges(2, TRANSFERRING)
    with lan.stores[2].read() as tx:
        assert tx.local().ownership_version > version
        for row in rows:
            assert row.member == 1
            assert {r.state for r in tx.address_ranges(row.first, row.last)} == {TRANSFERRING}


# --- faults


Passes = Callable[[int, int, m.Request], bool]


def drop(*kinds: type, also: Passes | None = None) -> Passes:
    def passes(sender: int, to: int, request: m.Request) -> bool:
        return not isinstance(request, kinds) and (also is None or also(sender, to, request))

    return passes


def lose_answers(lan: Lan, kind: type, times: int = 10**6) -> None:
    """The request arrives, its answer does not."""
    healthy, left = lan.passes, [times]

    def passes(sender: int, to: int, request: m.Request) -> bool:
        if isinstance(request, kind) and left[0] and healthy(sender, to, request):
            left[0] -= 1
            lan.ask(to, request, lan.now_ms)
            return False
        return healthy(sender, to, request)

    lan.passes = passes


def settled(lan: Lan) -> None:
    lan.run(20_000)
    assert lan.ranges(2, TRANSFERRING) == []
    assert free(lan, 1)
    assert_one_owner(lan)
    assert conserved(lan)


def conserved(lan: Lan) -> bool:
    """I12: what was the giver's is the giver's or the taker's."""
    return len(free(lan, 1)) + len(free(lan, 2)) >= 22


def test_a_lost_answer_is_asked_for_again_under_the_same_xid() -> None:
    lan = starved()
    lose_answers(lan, m.TransferAsk, times=3)
    lan.run(3_000)
    assert len({r.xid for r in asked(lan)}) == 1
    settled(lan)


def test_a_lost_acknowledgement_is_sent_again() -> None:
    lan = starved()
    lose_answers(lan, m.TransferTaken, times=3)
    settled(lan)


def test_an_offer_whose_taker_gave_up_is_settled_by_the_givers_hello() -> None:
    lan = starved()
    lose_answers(lan, m.TransferAsk)
    lan.run(6_000)
    assert given(lan)
    amount = given(lan)
    lan.cut(3)
    lan.run(3_000)
    assert len(free(lan, 1)) >= amount
    settled(lan)


@pytest.mark.parametrize("who", [1, 2])
@pytest.mark.parametrize("lost", [m.TransferAsk, m.TransferTaken])
@pytest.mark.parametrize("answered", [False, True])
def test_a_crash_at_any_point_loses_nothing_and_doubles_nothing(
    who: int, lost: type, answered: bool
) -> None:
    """Before and behind each commit: the message or its answer is lost, and one of the two starts
    again from its disk."""
    lan = starved()
    healthy = lan.passes
    if answered:
        lose_answers(lan, lost)
    else:
        lan.passes = drop(lost, also=healthy)
    lan.run(3_000)
    lan.restart(who)
    lan.passes = healthy
    settled(lan)


@pytest.mark.parametrize("late_ms", [0, 300, 6_000])
def test_every_message_twice_and_late_changes_nothing(late_ms: int) -> None:
    lan = starved()
    lan.run(2_000)
    sent = [(s, to, r) for s, to, r, _ in lan.log if isinstance(r, m.TransferAsk | m.TransferTaken)]
    assert {type(r) for _, _, r in sent} == {m.TransferAsk, m.TransferTaken}
    lan.run(late_ms)
    before = [free(lan, member) for member in lan.nodes]
    for _, to, request in sent * 2:
        lan.ask(to, request, lan.now_ms)
    assert [free(lan, member) for member in lan.nodes] == before
    assert_one_owner(lan)


def test_a_repeated_request_at_a_giver_that_restarted_is_settled_by_the_taker() -> None:
    lan = starved()
    lan.run(2_000)
    first = asked(lan)[0]
    lan.restart(2)
    lan.run(2_000)
    lan.ask(2, first, lan.now_ms)
    settled(lan)


def test_an_old_answer_is_void() -> None:
    """[C] An answer that is counted later gives two owners: here the giver has the addresses
    back, by a poll, when the offer comes again."""
    lan = starved()
    lan.run(3_000)
    (old,) = [(r, a) for _, _, r, a in lan.log if isinstance(a, m.TransferOffer) and a.ranges][:1]
    request, offer = old
    assert isinstance(request, m.TransferAsk)
    taken = spans(lan.ranges(1, BINDABLE))
    with lan.stores[1].write() as tx:
        for r in offer.ranges:
            for row in tx.address_ranges(r.first, r.last):
                tx.replace_address_ranges([row], [])
    before = lan.ranges(1, BINDABLE)
    assert spans(before) != taken
    lan.respond(1, 2, request, offer)
    lan.respond(1, 2, replace(request, wanted=7), offer)
    assert lan.ranges(1, BINDABLE) == before


def test_an_acknowledgement_of_another_request_ends_nothing() -> None:
    lan = starved()
    lan.passes = drop(m.TransferTaken, also=lan.passes)
    lan.run(2_000)
    row = lan.ranges(2, TRANSFERRING)[0]
    header = asked(lan)[0].header
    entry = (m.RangeEpoch(row.first, row.last, row.epoch),)
    for wrong in (
        m.TransferTaken(header, Nonce(row.nonce.incarnation, row.nonce.counter + 1), entry),
        m.TransferTaken(header, row.nonce, (replace(entry[0], epoch=row.epoch + 1),)),
        m.TransferTaken(replace(header, sender=3), row.nonce, entry),
    ):
        assert lan.ask(2, wrong, lan.now_ms) == m.Acknowledged()
        assert row in lan.ranges(2, TRANSFERRING)
    assert lan.ask(2, m.TransferTaken(header, row.nonce, entry), lan.now_ms) == m.Acknowledged()
    assert row not in lan.ranges(2, TRANSFERRING)


# --- polls beside it


def poll_answer(lan: Lan, to: int, first: int, last: int, poller: int = 3) -> list[m.Verdict]:
    header = lan.nodes[poller]._situation.header()
    ask = m.PollAsk(header, Nonce(1, 10**6), (m.RangeEpoch(first, last),))
    answer = lan.ask(to, ask, lan.now_ms)
    assert isinstance(answer, m.PollAnswer)
    return list(answer.verdicts)


def test_what_is_on_its_way_is_polled_in_vain_and_the_answer_names_the_taker() -> None:
    lan = starved()
    lan.passes = drop(m.TransferTaken, also=lan.passes)
    lan.run(2_000)
    rows = lan.ranges(2, TRANSFERRING)
    assert rows
    for row in rows:
        assert [(v.agreed, v.owner, v.epoch) for v in poll_answer(lan, 2, row.first, row.last)] == [
            (False, 1, row.epoch)
        ]
    lan.cut(3)
    lan.run(8_000)
    assert lan.ranges(2, TRANSFERRING) == []
    for row in rows:
        assert [(v.agreed, v.owner, v.epoch) for v in poll_answer(lan, 2, row.first, row.last)] == [
            (False, 1, row.epoch)
        ]


def test_an_address_promised_to_a_poller_since_is_not_received_until_the_poll_has_ended() -> None:
    """The giver cannot have agreed to that poll; but what is promised is promised."""
    lan = starved()
    lose_answers(lan, m.TransferAsk)
    lan.run(2_000)
    offered = lan.ranges(2, TRANSFERRING)[0]
    request = asked(lan)[-1] if asked(lan) else None
    with lan.stores[1].write() as tx:
        for row in tx.address_ranges(offered.first, offered.first):
            held = ranges.clear([row], offered.first, offered.first)
            tx.replace_address_ranges(*held)
        promise = AddressRange(
            offered.first, offered.first, PROMISED, offered.epoch + 5, 3, Nonce(1, 99), 1
        )
        tx.replace_address_ranges([], [promise])
    assert request is None or request.xid
    lan.cut(3)
    lan.run(9_000)
    assert offered.first not in free(lan, 1)
    assert promise in lan.ranges(1, PROMISED)


def test_a_promise_made_while_the_question_is_open_keeps_the_address_out() -> None:
    lan = starved()
    held: list[tuple[int, int, m.Request]] = []
    healthy = lan.passes

    def passes(sender: int, to: int, request: m.Request) -> bool:
        if isinstance(request, m.TransferAsk):
            held.append((sender, to, request))
            return False
        return healthy(sender, to, request)

    lan.passes = passes
    lan.run(5_000, until=lambda: bool(held))
    sender, to, request = held[0]
    offer = lan.ask(to, request, lan.now_ms)
    assert isinstance(offer, m.TransferOffer)
    wanted = offer.ranges[0]
    node = lan.nodes[1]
    node._taker.note_promise((wanted.first, wanted.first))  # what Promises does with a "yes"
    lan.respond(sender, to, request, offer)
    assert wanted.first not in free(lan, 1)
    assert offer.ranges[-1].last in free(lan, 1)


def test_a_promise_follows_the_address_from_owner_to_owner() -> None:
    """Member 3 promised to 2, which gave to 1: asked whether it still wants it, 2 says that 1
    is the owner now."""
    lan = starved()
    lan.run(8_000)
    moved = [row for row in lan.ranges(2, PROMISED) if row.member == 1]
    theirs = spans(row for row in lan.ranges(3, PROMISED) if row.member == 2)
    both = ranges.intersect(spans(moved), theirs)
    both = ranges.intersect(both, spans(lan.ranges(1, BINDABLE)))
    assert both
    lan.heal()
    lan.run(40_000, until=lambda: not ranges.intersect(
        both, spans(row for row in lan.ranges(3, PROMISED) if row.member == 2)
    ))  # fmt: skip
    poll_answer(lan, 3, *both[0], poller=1)
    lan.run(40_000)
    after = spans(row for row in lan.ranges(3, PROMISED) if row.member == 1)
    assert ranges.subtract([both[0]], after) == []
    assert_one_owner(lan)


# --- incarnations and generations


def test_a_taker_with_a_new_store_is_not_offered_what_its_old_one_asked_for() -> None:
    """Whether the old store had taken it nobody knows. It counts as the old one's, and comes back
    by the taker's word when that has recovered."""
    lan = starved()
    lose_answers(lan, m.TransferAsk)
    lan.run(3_000)
    row = lan.ranges(2, TRANSFERRING)[0]
    lan.cut(3)
    with lan.stores[1].write() as tx:
        tx.begin_incarnation(2)
    lan.restart(1)
    lan.run(200)
    header = replace(asked_header(lan), incarnation=2)
    ask = m.TransferAsk(header, Nonce(2, 10**6), POOL_FIRST, POOL_FIRST + SIZE - 1, 0, 0)
    offer = lan.ask(2, ask, lan.now_ms)
    assert isinstance(offer, m.TransferOffer)
    assert (offer.xid, offer.ranges) == (ask.xid, ())
    assert lan.ranges(2, TRANSFERRING) == []
    told = [one for one in lan.ranges(2, PROMISED) if one.first <= row.first <= one.last]
    assert [(one.member, one.epoch) for one in told] == [(1, row.epoch)]
    assert row.first not in free(lan, 1)


def asked_header(lan: Lan) -> m.Header:
    return lan.nodes[1]._situation.header()


def test_requests_of_an_earlier_incarnation_are_refused() -> None:
    lan = starved()
    header = asked_header(lan)
    pool = (POOL_FIRST, POOL_FIRST + SIZE - 1)
    assert isinstance(
        lan.ask(2, m.TransferAsk(header, Nonce(0, 1), *pool, 5, 0), lan.now_ms), PeerError
    )
    newer = m.TransferAsk(replace(header, incarnation=2), Nonce(2, 1), *pool, 5, 0)
    offered = lan.ask(2, newer, lan.now_ms)
    assert isinstance(offered, m.TransferOffer)
    assert offered.ranges
    before = lan.ranges(2, TRANSFERRING)
    older = m.TransferAsk(header, Nonce(1, 10**6), *pool, 5, 0)
    assert isinstance(lan.ask(2, older, lan.now_ms), PeerError)
    assert lan.ranges(2, TRANSFERRING) == before


def commit(lan: Lan, generation: int, gone: int | None = None) -> None:
    """A new generation, in which `gone` is out of the group, is chosen and learned."""
    with lan.stores[2].read() as tx:
        group = tx.group()
    assert group is not None
    members = tuple(
        replace(one, state=MemberState.REMOVED, since=generation) if one.member == gone else one
        for one in group.members
    )
    value = replace(group, generation=generation, members=members)
    for member in lan.nodes:
        if member != gone:
            teller = next(one for one in lan.nodes if one not in (member, gone))
            header = lan.nodes[teller]._situation.header()
            lan.ask(member, m.GroupCommit(header, value, StoreMark(9, 0)), lan.now_ms)


@pytest.mark.parametrize("lost", [m.TransferAsk, m.TransferTaken])
def test_a_new_generation_in_the_middle_is_settled_under_it(lost: type) -> None:
    lan = starved()
    lose_answers(lan, lost)
    lan.run(2_000)
    commit(lan, 2)
    lan.cut(3)
    settled(lan)


def test_a_removed_taker_keeps_what_it_was_given_until_the_group_takes_it_back() -> None:
    """Never by guessing: it counts as owner, and its quarantine decides."""
    lan = starved()
    lose_answers(lan, m.TransferAsk)
    lan.run(2_000)
    row = lan.ranges(2, TRANSFERRING)[0]
    commit(lan, 2, gone=1)
    assert lan.ranges(2, TRANSFERRING) == []
    told = [one for one in lan.ranges(2, PROMISED) if one.first <= row.first <= one.last]
    assert [(one.member, one.epoch) for one in told] == [(1, row.epoch)]
    assert told[0].nonce.incarnation == row.nonce.incarnation


# --- [C]


def test_a_giver_that_takes_back_by_timeout_makes_two_owners(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The counterexample (docs/protocol.md, "TRANSFER"): the rule taken out, the same messages."""

    def owing(self: Giver, tx: StoreTransaction) -> frozenset[int]:
        for row in tx.address_ranges_in(TRANSFERRING):
            back = replace(row, state=BINDABLE, epoch=row.epoch - 1, member=2)
            tx.replace_address_ranges([row], [replace(back, nonce=Nonce(0, 0), generation=0)])
        return frozenset()

    monkeypatch.setattr(Giver, "owing", owing)
    lan = starved()
    lan.passes = drop(m.TransferTaken, also=lan.passes)
    lan.run(8_000)
    with pytest.raises(AssertionError, match="is free at"):
        assert_one_owner(lan)


def test_a_giver_that_forgets_what_it_gave_lets_a_poll_find_it_free() -> None:
    """[C] A plain three-way handshake: without the promise that follows the acknowledgement the
    giver would agree to a poll, and so would say yes for what another owns."""
    lan = starved()
    lan.run(8_000)
    got = free(lan, 1)
    moved = next(row for row in lan.ranges(2, PROMISED) if row.first in got)
    assert not poll_answer(lan, 2, moved.first, moved.last)[0].agreed
    with lan.stores[2].write() as tx:
        tx.replace_address_ranges([moved], [])
    assert poll_answer(lan, 2, moved.first, moved.last)[0].agreed


def test_nothing_is_taken_by_a_member_that_does_not_serve() -> None:
    lan = starved()
    with lan.stores[1].write() as tx:
        tx.set_serving(False, since=0)
    lan.restart(1)
    lan.run(8_000)
    assert asked(lan) == []


def test_the_taker_is_idle_only_between_attempts() -> None:
    lan = starved()
    taker = lan.nodes[1]._taker
    assert isinstance(taker, Taker)
    lan.passes = drop(m.TransferAsk, also=lan.passes)
    lan.run(3_000)
    assert not taker.is_idle
    lan.run(4_000)
    assert given(lan) == 0
