"""A member of role `database` publishes configuration and is otherwise nobody: it owns no address,
no poll waits for it, and no lease depends on what it promised."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from agent.errors import PeerError
from agent.kinds.scope import host_scope
from agent.limits import GENERATION_MAX
from agent.model import (
    AddressState,
    Binding,
    BindingState,
    ChangeKind,
    ConfigRow,
    Group,
    MemberId,
    MemberRole,
    Nonce,
    Option,
    Pool,
    Reservation,
    Subnet,
    first_epoch,
)
from agent.sync import messages as m
from tests.sync.lan import NETWORK, POOL_FIRST, Lan, make_binding, make_group, make_member

BINDABLE, POLLING, PROMISED = AddressState.BINDABLE, AddressState.POLLING, AddressState.PROMISED
SEEDER = 9


def seeded_group(servers: Iterable[MemberId], generation: int = 1) -> Group:
    group = make_group([*servers, SEEDER], generation)
    listed = (replace(member, role=MemberRole.DATABASE) for member in group.members[-1:])
    return replace(group, members=(*group.members[:-1], *listed))


def make_lan(servers: int, pool_size: int = 0) -> Lan:
    numbers = range(1, servers + 1)
    return Lan([*numbers, SEEDER], seeded_group(numbers), pool_size)


def join_seeder(lan: Lan, contact: MemberId = 1) -> None:
    lan.add(SEEDER)
    member = replace(make_member(SEEDER), role=MemberRole.DATABASE)
    with lan.stores[contact].write() as tx:
        lan.nodes[contact].propose_join(tx, member, lan.clock(contact))


def joined_since(lan: Lan, member: MemberId) -> int:
    with lan.stores[member].read() as tx:
        return tx.local().serving_since


def poll_requests(lan: Lan) -> list[tuple[MemberId, MemberId]]:
    kinds = (m.PollAsk, m.PollReserve, m.PollAbort)
    return [(sender, to) for sender, to, request, _ in lan.log if isinstance(request, kinds)]


def test_stock_is_shared_among_the_servers_alone() -> None:
    lan = make_lan(2, pool_size=90)
    lan.run(10_000)
    assert [lan.owned(member) for member in lan.nodes] == [30, 30, 0]
    assert poll_requests(lan)
    assert not [pair for pair in poll_requests(lan) if SEEDER in pair]


@pytest.mark.parametrize("servers", [1, 2, 3])
def test_a_database_member_that_is_down_keeps_nobody_from_its_addresses(servers: int) -> None:
    lan = make_lan(servers, pool_size=120)
    lan.cut(SEEDER)
    lan.run(10_000)
    share = 120 // (servers + 1) if servers > 1 else 120
    assert [lan.owned(member) for member in range(1, servers + 1)] == [share] * servers
    lan.heal()
    lan.run(5_000)
    assert all(not lan.ranges(member, POLLING) for member in lan.nodes)


def test_a_server_that_is_down_keeps_everybody_from_new_addresses_as_ever() -> None:
    lan = make_lan(2, pool_size=120)
    lan.cut(2)
    lan.run(10_000)
    assert [lan.owned(member) for member in (1, 2)] == [0, 0]


def test_a_joining_database_member_holds_everything_and_serves_nobody() -> None:
    lan = Lan([1, 2], make_group([1, 2]), pool_size=90)
    lan.run(6_000)
    lan.save(1, [make_binding(POOL_FIRST + i, lan.now_s) for i in range(10)])
    owned = [lan.owned(1), lan.owned(2)]
    join_seeder(lan)
    lan.run(10_000, until=lambda: joined_since(lan, SEEDER) > 0)
    assert joined_since(lan, SEEDER) > 0
    assert not lan.serving(SEEDER)
    assert lan.told(SEEDER) == lan.told(1)
    lan.run(5_000)
    assert [lan.owned(1), lan.owned(2)] == owned, "nothing is given back for it"
    lan.restart(SEEDER)
    lan.run(5_000)
    assert not lan.serving(SEEDER)
    assert lan.owned(SEEDER) == 0


def test_a_server_joins_a_group_that_its_seeder_has_founded() -> None:
    lan = make_lan(0)
    lan.run(2_000)
    with lan.stores[SEEDER].write() as tx:
        pool = Pool(POOL_FIRST, POOL_FIRST + 89)
        tx.save_configuration([(Subnet(NETWORK, 15), False), (pool, False)])
    lan.add(1)
    with lan.stores[SEEDER].write() as tx:
        lan.nodes[SEEDER].propose_join(tx, make_member(1), lan.clock(SEEDER))
    lan.run(20_000, until=lambda: lan.owned(1) == 90)
    assert lan.serving(1)
    assert lan.owned(1) == 90


def test_what_it_publishes_reaches_every_server() -> None:
    lan = make_lan(2)
    lan.run(3_000)
    published: list[ConfigRow] = [
        Subnet(NETWORK, 15),
        Pool(POOL_FIRST, POOL_FIRST + 9),
        Option(*host_scope(NETWORK + 77), 67, b"x.img"),
        Reservation(NETWORK + 77, b"\x00\x01\x02\x00\x00\x00\x00\x07", "printer"),
    ]
    with lan.stores[SEEDER].write() as tx:
        tx.save_configuration([(row, False) for row in published])
    lan.nodes[SEEDER].notice_store_change()
    lan.run(3_000)
    for server in (1, 2):
        with lan.stores[server].read() as tx:
            rows = [
                record.row
                for kind in ChangeKind
                if kind is not ChangeKind.BINDING
                for record in tx.configuration(kind)
            ]
        assert rows == published


def test_a_lease_beyond_mul_waits_for_the_seeder_too() -> None:
    """It may be the one that is left when every server has been removed, and whoever joins it then
    knows of leases only what it knows (protocol rule 3)."""
    lan = make_lan(1)
    lan.run(3_000)
    lan.cut(SEEDER)
    lan.save(1, [make_binding(POOL_FIRST, lan.now_s)])
    lan.run(3_000)
    assert acknowledged(lan, 1) == 0
    lan.heal()
    lan.run(3_000)
    assert acknowledged(lan, 1) == 1


def acknowledged(lan: Lan, member: MemberId) -> int:
    with lan.stores[member].read() as tx:
        return next(h.acknowledged for s, h in tx.streams().items() if s >> 32 == member)


def test_ownership_of_a_later_generation_beats_what_only_a_seeder_remembers() -> None:
    """The server that owned the address is gone with its promises; what it wrote comes to light
    late, by the seeder or by itself. Its dead lease must not displace the live one."""
    lan = Lan([1, SEEDER], seeded_group([1], generation=2), pool_size=90)
    lan.cut(SEEDER)
    lan.run(5_000)
    (owned, *_) = lan.ranges(1, BINDABLE)
    assert owned.epoch > first_epoch(2)
    old = make_binding(
        owned.first, lan.now_s - 10_000, 4, client_key=b"\x01old", epoch=first_epoch(1) + 700
    )
    lan.save(SEEDER, [old._replace(transaction_server=4)])
    live = make_binding(owned.first, lan.now_s, epoch=owned.epoch)
    lan.save(1, [live])
    lan.heal()
    lan.run(8_000)
    for member in (1, SEEDER):
        (row,) = lan.rows(member)
        assert (row.client_key, row.state) == (live.client_key, BindingState.BOUND)


def test_a_poll_of_somebody_who_takes_it_for_a_server_is_refused() -> None:
    lan = make_lan(1, pool_size=10)
    lan.run(3_000)
    hello = next(r for s, _, r, _ in reversed(lan.log) if s == 1 and isinstance(r, m.Hello))
    ask = m.PollReserve(hello.header, Nonce(1, 99), (m.RangeEpoch(POOL_FIRST, POOL_FIRST, 9),))
    answer = lan.ask(SEEDER, ask, lan.now_ms)
    assert isinstance(answer, PeerError)
    assert answer.reason == "not_serving"
    assert lan.ranges(SEEDER, PROMISED) == []


def test_a_generation_that_no_group_reaches_is_refused() -> None:
    lan = make_lan(1)
    lan.run(3_000)
    hello = next(r for s, _, r, _ in reversed(lan.log) if s == 1 and isinstance(r, m.Hello))
    commit = m.GroupCommit(hello.header, seeded_group([1], GENERATION_MAX + 1))
    answer = lan.ask(SEEDER, commit, lan.now_ms)
    assert isinstance(answer, PeerError)
    assert answer.reason == "generation"
    assert lan.generation(SEEDER) == 1


def test_its_rows_are_bindings_of_others() -> None:
    """It relays what it has heard, as every member does."""
    lan = make_lan(3)
    lan.run(3_000)
    lan.passes = lambda sender, to, _: {sender, to} != {1, 2} and 3 not in (sender, to)
    row: Binding = make_binding(POOL_FIRST, lan.now_s)
    lan.save(1, [row])
    lan.run(10_000)
    assert lan.rows(2) != []
