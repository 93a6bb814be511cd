"""Push, pull, relay, full pull and repair, with real nodes on real stores."""

from __future__ import annotations

import pytest

from agent.errors import PeerError
from agent.model import Binding, Change, ChangeKind, format_address, stream_id
from agent.port import StoreTransaction
from agent.sync import messages as m
from agent.sync.hello import AlignState, LinkState
from agent.sync.stream import apply_records, head_of, logged_changes, serve_blocks
from tests.sync.lan import POOL_FIRST, Lan, make_binding, make_group


def make_lan(members: int = 3) -> Lan:
    numbers = range(1, members + 1)
    return Lan(numbers, make_group(numbers))


def converged(lan: Lan) -> bool:
    first, *others = (lan.told(member) for member in lan.nodes)
    return all(other == first for other in others)


def test_a_change_is_pushed_at_once_and_acknowledged() -> None:
    lan = make_lan()
    lan.run(3_000)
    lan.save(1, [make_binding(POOL_FIRST + i, lan.now_s) for i in range(1_200)])
    assert lan.run(2_000, until=lambda: converged(lan)) < 100
    lan.run(1_000)
    with lan.stores[1].read() as tx:
        assert tx.streams()[stream_id(1, 1)].acknowledged == 1_200
    assert {s.align for s in lan.nodes[1].peer_status()} == {AlignState.ALIGNED}


def test_an_update_that_fits_no_message_is_halved_until_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lan = Lan((1, 2), make_group((1, 2)))
    lan.run(3_000)
    sizes = []
    take = lan.nodes[2].handle_request

    def narrow(tx: StoreTransaction, request: m.Request, now_ms: int) -> m.Response:
        if isinstance(request, m.BindingUpdate):
            sizes.append(len(request.records))
            if len(request.records) > 30:
                raise PeerError("too_big", "as the sender's transport says")
        return take(tx, request, now_ms)

    monkeypatch.setattr(lan.nodes[2], "handle_request", narrow)
    with lan.stores[1].write() as tx:
        tx.save_bindings([make_binding(POOL_FIRST + i, lan.now_s) for i in range(200)])
    lan.nodes[1].notice_store_change()
    lan.run(1_000)
    with lan.stores[2].read() as tx:
        assert len(tx.bindings_in_range(0, 2**32 - 1, 500)) == 200
    assert sizes[:4] == [200, 100, 50, 25]


def test_what_is_acknowledged_is_what_the_slowest_member_has() -> None:
    lan = make_lan()
    lan.run(3_000)
    lan.cut(3)
    lan.save(1, [make_binding(POOL_FIRST, lan.now_s)])
    lan.run(1_000)
    with lan.stores[1].read() as tx:
        assert tx.streams()[stream_id(1, 1)].acknowledged == 0
    lan.run(10_000)
    status = {s.member: s.link for s in lan.nodes[1].peer_status()}
    assert status == {2: LinkState.BIDIRECTIONAL, 3: LinkState.WAITING}
    lan.heal()
    assert lan.run(20_000, until=lambda: converged(lan)) < 5_000


def test_a_gap_is_refused_and_pulled() -> None:
    lan = make_lan(2)
    lan.run(3_000)
    lan.save(1, [make_binding(POOL_FIRST + i, lan.now_s) for i in range(3)])
    with lan.stores[1].read() as tx:
        rows = tx.bindings_in_range(0, 2**32 - 1, 10)
        group = tx.group()
    assert group is not None
    hello = next(r for s, _, r, _ in lan.log if s == 1 and isinstance(r, m.Hello))
    update = m.BindingUpdate(hello.header, stream_id(1, 1), 2, 3, (rows[2],))
    answer = lan.ask(2, update, lan.now_ms)
    assert isinstance(answer, PeerError)
    assert answer.reason == "gap"
    assert lan.rows(2) == []
    lan.run(5_000)
    assert converged(lan)


def test_only_the_author_pushes_a_stream() -> None:
    lan = make_lan(2)
    lan.run(3_000)
    hello = next(r for s, _, r, _ in lan.log if s == 1 and isinstance(r, m.Hello))
    answer = lan.ask(2, m.BindingUpdate(hello.header, stream_id(2, 1), 0, 1, ()), lan.now_ms)
    assert isinstance(answer, PeerError)
    assert answer.reason == "author"


def test_records_travel_through_a_third_member() -> None:
    """docs/protocol.md, "Hello and alignment": the link between 1 and 2 is cut, 3 hears both."""
    lan = make_lan()
    lan.run(3_000)
    lan.passes = lambda sender, to, _: {sender, to} != {1, 2}
    lan.save(1, [make_binding(POOL_FIRST + i, lan.now_s) for i in range(700)])
    lan.save(2, [make_binding(POOL_FIRST + 800 + i, lan.now_s, 2) for i in range(700)])
    lan.run(15_000)
    assert converged(lan)
    assert len(lan.rows(3)) == 1_400


def test_a_row_that_moved_to_another_stream_still_reaches_a_puller_of_the_first() -> None:
    """architecture.md, "A change log beside the rows": 3 pulls stream 1 from 2, who has written
    the same address since."""
    lan = make_lan()
    lan.run(3_000)
    lan.cut(3)
    row = make_binding(POOL_FIRST, lan.now_s)
    lan.save(1, [row, make_binding(POOL_FIRST + 1, lan.now_s)])
    lan.run(1_000)
    lan.save(2, [lan.rows(2)[0]._replace(grant=2, transaction_server=2)])
    lan.run(1_000)
    lan.passes = lambda sender, to, _: {sender, to} in ({1, 2}, {2, 3})
    lan.run(10_000)
    assert converged(lan)
    assert lan.rows(3)[0].grant == 2


def test_a_member_that_was_away_pulls_by_address_when_the_log_is_trimmed() -> None:
    lan = make_lan()
    lan.run(3_000)
    lan.cut(3)
    lan.save(1, [make_binding(POOL_FIRST + i, lan.now_s) for i in range(300)])
    lan.run(1_000)
    for member in (1, 2):
        with lan.stores[member].write() as tx:
            tx.trim_changes(stream_id(1, 1), 300)
    lan.heal()
    lan.run(10_000)
    assert converged(lan)
    assert any(isinstance(r, m.BlockPull) for s, _, r, _ in lan.log if s == 3)
    with lan.stores[3].read() as tx:
        head = tx.streams()[stream_id(1, 1)]
    assert (head.applied, head.log_from) == (300, 300)


def test_configuration_follows_the_same_streams() -> None:
    lan = make_lan()
    lan.run(3_000)
    other = Lan([9], make_group([9]), pool_size=10)
    with other.stores[9].read() as tx:
        rows = [(r.row, False) for kind in (2, 3) for r in tx.configuration(ChangeKind(kind))]
    with lan.stores[2].write() as tx:
        tx.save_configuration(rows)
    lan.nodes[2].notice_store_change()
    lan.run(1_000)
    for store in lan.stores.values():
        with store.read() as tx:
            assert len(tx.configuration(ChangeKind.POOL)) == 1


def test_a_row_that_got_lost_is_found_by_the_digests_and_repaired() -> None:
    lan = make_lan()
    lan.run(3_000)
    lan.save(1, [make_binding(POOL_FIRST + i, lan.now_s) for i in range(5)])
    lan.run(1_000)
    broken = lan.rows(2)[3]
    with lan.stores[2].write() as tx:
        tx.put_bindings([broken._replace(epoch=0, hostname="lost", seq=77)])
    assert not converged(lan)
    lan.run(60_000, until=lambda: converged(lan))
    assert converged(lan)
    lan.run(5_000)
    told = [line for member in lan.nodes for line in lan.nodes[member].take_alarms()]
    assert told
    assert all(line.endswith(f"another row of {format_address(broken.address)}") for line in told)


def test_members_with_clocks_apart_fall_silent() -> None:
    """No change may answer a change for ever, whatever rounding does to expiries."""
    lan = make_lan()
    lan.offset_ms.update({2: 86_400_700, 3: -3_599_400})
    lan.run(3_000)
    for step in range(6):
        member = step % 3 + 1
        now_s = lan.clock(member) // 1000
        lan.save(
            member,
            [make_binding(POOL_FIRST + i, now_s, member, grant=step + 1) for i in range(20)],
        )
        lan.run(3_333)
    lan.run(20_000)
    before = [lan.rows(member) for member in lan.nodes]
    del lan.log[:]
    lan.run(20_000)
    assert [lan.rows(member) for member in lan.nodes] == before
    assert not [r for _, _, r, _ in lan.log if isinstance(r, m.BindingUpdate)]
    names = [[(row.stream, row.seq) for row in rows] for rows in before]
    assert names[0] == names[1] == names[2]


def test_what_the_author_knows_to_be_recorded_travels_with_the_row() -> None:
    lan = make_lan(2)
    lan.run(3_000)
    row = make_binding(POOL_FIRST, lan.now_s, acknowledged_at=lan.now_s + 300)
    lan.save(1, [row])
    lan.run(1_000)
    assert lan.rows(2)[0].acknowledged_at == lan.now_s - 1 + 300


def stand_still(lan: Lan, member: int, seconds: int) -> None:
    """As a start notes it that found the machine down for so long."""
    with lan.stores[member].write() as tx:
        tx.set_unseen(lan.now_s, seconds)


def test_what_was_recorded_before_a_clock_stood_still_travels_as_it_is_for_the_others() -> None:
    lan = make_lan(2)
    lan.run(3_000)
    row = make_binding(POOL_FIRST, lan.now_s, acknowledged_at=lan.now_s + 300)
    stand_still(lan, 1, 100)
    lan.save(1, [row])
    lan.run(1_000)
    assert lan.rows(2)[0].acknowledged_at == lan.now_s - 1 + 200
    with lan.stores[1].read() as tx:
        pull = m.BlockPull(lan.nodes[2]._situation.header(), -1, 100)
        (told,) = serve_blocks(tx, pull).records
    assert isinstance(told, Binding)
    assert told.acknowledged_at == row.acknowledged_at - 100


@pytest.mark.parametrize("pushed", [False, True])
def test_a_row_that_goes_on_from_before_a_clock_stood_still_has_the_instant_as_it_is(
    pushed: bool,
) -> None:
    lan = make_lan(2)
    lan.run(3_000)
    known_s = lan.now_s + 900
    row = make_binding(POOL_FIRST, lan.now_s, acknowledged_at=0 if pushed else known_s)
    lan.passes = lambda *_: pushed
    lan.save(1, [row])
    lan.run(2_000)
    stand_still(lan, 1, 100)
    later = row._replace(
        grant=2, transaction_at=lan.now_s + 1, acknowledged_at=0, stream=stream_id(2, 1), seq=9
    )
    with lan.stores[1].write() as tx:
        situation = lan.nodes[1]._situation
        apply_records(tx, situation, [later], head_of(tx, situation.own_stream), lan.now_s * 1000)
        (taken,) = tx.bindings_by_address([POOL_FIRST]).values()
    assert taken.grant == 2
    assert taken.acknowledged_at == known_s - 100


def test_a_row_of_a_peer_is_never_acknowledged_here() -> None:
    """Counterexample to "PUSHED by the vectors of any stream": 2 heard of the lease late, holds it
    longer than 1 does, and would lease past what 1 recorded."""
    lan = make_lan(2)
    lan.run(3_000)
    lan.save(1, [make_binding(POOL_FIRST, lan.now_s)])
    lan.run(5_000)
    with lan.stores[2].read() as tx:
        assert tx.streams()[stream_id(1, 1)].acknowledged == 0


def test_a_page_with_more_records_than_changes_is_dropped_and_asked_for_again() -> None:
    lan = make_lan(2)
    lan.run(3_000)
    lan.passes = lambda _sender, _to, r: isinstance(r, m.Hello)
    lan.save(1, [make_binding(POOL_FIRST + i, lan.now_s) for i in range(3)])
    asked: list[m.ChangePull] = []

    def passes(sender: int, _to: int, request: m.Request) -> bool:
        if isinstance(request, m.ChangePull) and sender == 2:
            asked.append(request)
        return isinstance(request, m.Hello)

    lan.passes = passes
    lan.run(5_000, until=lambda: bool(asked))
    rows = tuple(row._replace(stream=9 << 32, seq=5) for row in lan.rows(1))
    lan.respond(2, 1, asked[0], m.ChangePage(asked[0].stream, 0, 2, rows, True))
    assert lan.rows(2) == []
    lan.heal()
    lan.run(5_000)
    assert converged(lan)


ROW = make_binding(5, 1_000)
S = 7


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([(S, 11), (S, 12)], [11, 12]),
        ([(S, 11), (8, 3), (S, 14)], [11, 13, 14]),
        ([(8, 3), (8, 4)], [19, 20]),
        ([(8, 3), (S, 12), (8, 4)], [11, 12, 20]),
        ([(S, 40), (S, 12)], [11, 12]),
    ],
)
def test_numbers_of_received_changes_are_as_high_as_the_order_allows(
    names: list[tuple[int, int]], expected: list[int]
) -> None:
    rows = [ROW._replace(address=i, stream=s, seq=q) for i, (s, q) in enumerate(names)]
    changes = logged_changes(S, 10, 20, rows)
    assert changes == [Change(S, seq, ChangeKind.BINDING, i) for i, seq in enumerate(expected)]


def test_more_records_than_changes_are_refused() -> None:
    rows = [ROW._replace(address=i, stream=8, seq=i + 1) for i in range(3)]
    with pytest.raises(PeerError, match="order"):
        logged_changes(S, 10, 12, rows)
