"""What no honest member sends, or sends no more: refused by rule and counted, and nothing changes
(protocol.md I14, I15). Strings that are no messages are in test_codec.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.errors import PacketError, PeerError
from agent.limits import GENERATIONS_AHEAD_MAX, GRANT_MAX, VERSION_MAX
from agent.model import (
    AddressState,
    Binding,
    ConfigRecord,
    MemberState,
    Nonce,
    Pool,
    Trouble,
    Version,
    stream_id,
)
from agent.sync import codec
from agent.sync import messages as m
from tests.sync.lan import NETWORK, POOL_FIRST, Lan, make_binding, make_group

STREAM = stream_id(2, 1)


def make_lan(members: int = 2, pool_size: int = 60) -> Lan:
    numbers = range(1, members + 1)
    lan = Lan(numbers, make_group(numbers), pool_size)
    lan.run(5_000)
    return lan


def header(lan: Lan) -> m.Header:
    """Of member 2, as it is now."""
    return next(r.header for s, _, r, _ in reversed(lan.log) if s == 2 and isinstance(r, m.Hello))


def content(lan: Lan) -> list[object]:
    """What a message could have changed in member 1's store."""
    with lan.stores[1].read() as tx:
        return [
            tx.bindings_in_range(0, 2**32 - 1, 10_000),
            tx.address_ranges(0, 2**32 - 1),
            tx.streams(),
            tx.group(),
            tx.local(),
        ]


def counted(lan: Lan, name: str) -> int:
    lan.run(1_500)
    with lan.stores[1].read() as tx:
        return tx.counters().get(f"cluster_{name}", 0)


def update(lan: Lan, *rows: m.Record) -> m.BindingUpdate:
    with lan.stores[1].read() as tx:
        after = tx.streams()[STREAM].applied if STREAM in tx.streams() else 0
    return m.BindingUpdate(header(lan), STREAM, after, after + len(rows), rows)


def row_of(lan: Lan, address: int = POOL_FIRST, **changes: object) -> Binding:
    row = make_binding(address, lan.now_s, 2, stream=STREAM, seq=1)
    return row._replace(**changes)  # type: ignore[arg-type]


CASES: list[tuple[str, Callable[[m.Header], m.Header]]] = [
    ("generation", lambda h: replace(h, generation=h.generation + 1)),
    ("generation", lambda h: replace(h, generation=0)),
    ("generation", lambda h: replace(h, membership_hash=b"another")),
    ("unknown_member", lambda h: replace(h, sender=9)),
    ("unknown_member", lambda h: replace(h, sender=1)),
    ("old_incarnation", lambda h: replace(h, incarnation=0)),
]


@pytest.mark.parametrize(("reason", "spoil"), CASES)
def test_who_may_not_speak_changes_nothing(
    reason: str, spoil: Callable[[m.Header], m.Header]
) -> None:
    lan = make_lan()
    good, before = header(lan), content(lan)
    asked = (m.RangeEpoch(POOL_FIRST, POOL_FIRST + 9, 5),)
    for request in (
        m.Hello(spoil(good), {STREAM: 9}, (1,), lan.now_ms),
        replace(update(lan, row_of(lan)), header=spoil(good)),
        m.PollReserve(spoil(good), Nonce(1, 99), asked),
        m.PollAbort(spoil(good), Nonce(1, 99), asked),
        m.StreamQuery(spoil(good)),
    ):
        answer = lan.ask(1, request, lan.now_ms)
        assert isinstance(answer, PeerError)
        assert answer.reason == reason
    assert content(lan) == before
    assert counted(lan, f"refused_{reason}") == 5


def test_a_removed_member_is_not_heard() -> None:
    lan = make_lan(3)
    spoken = header(lan)
    group = make_group((1, 2, 3), generation=2)
    gone = replace(group.members[1], state=MemberState.REMOVED)
    with lan.stores[1].write() as tx:
        tx.put_group(replace(group, members=(group.members[0], gone, group.members[2])))
    lan.restart(1)
    answer = lan.ask(1, m.Hello(spoken, {}, (1,), lan.now_ms), lan.now_ms)
    assert isinstance(answer, PeerError)
    assert answer.reason == "removed"


def test_a_replayed_update_changes_nothing() -> None:
    lan = make_lan()
    old = update(lan, row_of(lan))
    assert isinstance(lan.ask(1, old, lan.now_ms), m.Acknowledged)
    newer = update(lan, row_of(lan, grant=2, seq=old.through + 1))
    assert isinstance(lan.ask(1, newer, lan.now_ms), m.Acknowledged)
    before = content(lan)
    for _ in range(3):
        assert isinstance(lan.ask(1, old, lan.now_ms), m.Acknowledged)
        assert isinstance(lan.ask(1, newer, lan.now_ms), m.Acknowledged)
    assert content(lan) == before


def test_an_epoch_from_the_future_is_left_out_and_counted() -> None:
    """It would leave no room above it: every later owner has a higher one."""
    lan = make_lan()
    bad, good = (
        row_of(lan, epoch=GENERATIONS_AHEAD_MAX + 1 << 32),
        row_of(lan, POOL_FIRST + 1, seq=2),
    )
    assert isinstance(lan.ask(1, update(lan, bad, good), lan.now_ms), m.Acknowledged)
    assert [row.address for row in lan.rows(1)] == [POOL_FIRST + 1]
    assert counted(lan, "refused_version") == 1


def test_a_grant_or_a_configuration_version_out_of_all_reason_is_left_out() -> None:
    lan = make_lan()
    record = ConfigRecord(
        Pool(NETWORK + 1, NETWORK + 2), Version(VERSION_MAX, 2), stream=STREAM, seq=1
    )
    lan.ask(1, update(lan, record), lan.now_ms)
    lan.ask(1, update(lan, row_of(lan, grant=GRANT_MAX, seq=2)), lan.now_ms)
    assert lan.rows(1) == []
    assert counted(lan, "refused_version") == 2


def test_nobody_promises_under_an_epoch_from_the_future() -> None:
    lan = make_lan()
    before = lan.ranges(1, AddressState.PROMISED)
    asked = (m.RangeEpoch(POOL_FIRST, POOL_FIRST + 59, 1 << 32),)
    answer = lan.ask(1, m.PollReserve(header(lan), Nonce(1, 99), asked), lan.now_ms)
    assert isinstance(answer, PeerError)
    assert answer.reason == "version"
    assert lan.ranges(1, AddressState.PROMISED) == before


def test_a_poll_answered_with_an_epoch_from_the_future_is_given_up() -> None:
    lan = Lan([1, 2], make_group([1, 2]), 60)
    asked: list[m.PollAsk] = []

    def passes(sender: int, _to: int, request: m.Request) -> bool:
        if sender == 1 and isinstance(request, m.PollAsk):
            asked.append(request)
            return False
        return not isinstance(request, m.PollAsk)

    lan.passes = passes
    lan.run(10_000, until=lambda: bool(asked))
    verdicts = tuple(m.Verdict(r.first, r.last, True, 1 << 32, 0) for r in asked[0].ranges)
    lan.respond(1, 2, asked[0], m.PollAnswer(asked[0].nonce, 1, verdicts))
    assert counted(lan, "refused_version") == 1
    assert lan.owned(1) == 0


@pytest.mark.parametrize("address", [NETWORK + 5, 10 << 24])
def test_what_is_not_configured_here_is_kept(address: int) -> None:
    """Out of any pool, and of any subnet: its configuration may come later."""
    lan = make_lan()
    lan.ask(1, update(lan, row_of(lan, address)), lan.now_ms)
    assert [row.address for row in lan.rows(1)] == [address]


def test_a_trouble_that_nobody_knows_is_no_message() -> None:
    lan = make_lan()
    packed = codec.pack_request(m.Hello(header(lan), {}, (), lan.now_ms), lan.now_ms)
    assert packed[-1] == Trouble.NONE
    for octet in (0, max(Trouble) + 1, 255):
        with pytest.raises(PacketError):
            codec.unpack_request(packed[:-1] + bytes((octet,)), lan.now_ms)


def test_more_of_anything_than_a_message_may_hold_is_no_message() -> None:
    lan = make_lan()
    packed = codec.pack_request(m.Hello(header(lan), {}, (), lan.now_ms), lan.now_ms)
    many = {stream_id(1, n): 1 for n in range(1, 1_100)}
    relayed: dict[int, dict[int, int]] = {n: {} for n in range(20)}
    for hello in (
        m.Hello(header(lan), many, (), lan.now_ms),
        m.Hello(header(lan), {}, (), lan.now_ms, relayed=relayed),
    ):
        packed_too_much = codec.pack_request(hello, lan.now_ms)
        with pytest.raises(PacketError):
            codec.unpack_request(packed_too_much, lan.now_ms)
    assert codec.unpack_request(packed, lan.now_ms)


def test_a_jump_within_a_stream_is_refused_and_counted_as_a_gap() -> None:
    lan = make_lan()
    jump = replace(update(lan, row_of(lan)), after=1 << 40, through=(1 << 40) + 1)
    answer = lan.ask(1, jump, lan.now_ms)
    assert isinstance(answer, PeerError)
    assert answer.reason == "gap"
    assert lan.rows(1) == []
