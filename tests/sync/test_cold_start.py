"""A group that starts cold: every member at the same moment, nobody owns anything."""

from __future__ import annotations

from collections import Counter
from random import Random

from agent.model import AddressState, Member, MemberRole
from agent.sync import messages as m
from agent.sync import ranges
from agent.sync.hello import LinkState
from tests.sync.lan import START_MS, Lan, make_group

MEMBERS = range(1, 17)
SIZE = 65_536


def cold(lan: Lan, most_ms: int) -> None:
    """Let every message take 1 to 50 ms, until nobody is below its low mark."""
    chance = Random(16)
    lan.latency_ms = lambda: 1 + chance.randrange(50)
    share = SIZE // (len(lan.nodes) + 1)
    lan.run(most_ms, until=lambda: all(lan.owned(one) >= share // 2 for one in lan.nodes))


def owned(lan: Lan, member: int) -> list[ranges.Span]:
    rows = lan.ranges(member, AddressState.BINDABLE)
    return ranges.union((row.first, row.last) for row in rows)


def test_a_slash_16_is_divided_among_16_cold_members_within_10_seconds() -> None:
    lan = Lan(MEMBERS, make_group(MEMBERS), SIZE)
    cold(lan, 10_000)
    assert lan.now_ms - START_MS < 10_000
    taken: list[ranges.Span] = []
    for member in lan.nodes:
        assert ranges.intersect(taken, owned(lan, member)) == []
        taken = ranges.union([*taken, *owned(lan, member)])
        assert SIZE // 34 <= ranges.size(owned(lan, member)) <= SIZE // 17
    sent = Counter(type(request) for _, _, request, _ in lan.log)
    peers = len(lan.nodes) * (len(lan.nodes) - 1)
    assert sent[m.PollAsk] <= 2 * peers, "two attempts a member, at most"
    assert sent[m.PollReserve] <= 2 * peers
    assert sent[m.TransferAsk] == 0
    assert sent[m.Hello] <= 4 * peers, "no storm of greetings"


def test_a_big_group_greets_less_often_and_waits_longer() -> None:
    """Else 16 members would say 240 Hellos a second, and do nothing but answer them."""
    for members, rate in ((5, 20), (16, 60)):
        lan = Lan(range(1, members + 1), make_group(range(1, members + 1)))
        lan.run(8_500)
        lan.log.clear()
        lan.run(20_000)
        hellos = sum(isinstance(request, m.Hello) for _, _, request, _ in lan.log)
        assert hellos <= rate * 21
        assert all(p.link is LinkState.BIDIRECTIONAL for p in lan.nodes[1].peer_status())
        lan.cut(members)
        lan.run(20_000)
        silent = [p.member for p in lan.nodes[1].peer_status() if p.link is LinkState.WAITING]
        assert silent == [members]


def test_lost_messages_delay_it_and_no_more() -> None:
    lan = Lan(MEMBERS, make_group(MEMBERS), SIZE)
    chance = Random(5)
    lan.passes = lambda *_: chance.random() >= 0.2
    cold(lan, 10_000)
    assert lan.now_ms - START_MS < 10_000


def test_stock_follows_weights_and_a_database_member_has_none() -> None:
    group = make_group(range(1, 5))

    def weighted(one: Member) -> Member:
        weight = {1: 3, 2: 1, 3: 0, 4: 2}[one.member]
        role = MemberRole.DATABASE if one.member == 4 else MemberRole.SERVER
        return Member(
            one.member, one.name, one.address, one.port, one.engine_id, role=role, weight=weight
        )

    members = tuple(weighted(one) for one in group.members)
    lan = Lan(range(1, 5), type(group)(group.name, 1, 60, 3600, members), pool_size=120)
    lan.run(5_000)
    assert [lan.owned(member) for member in lan.nodes] == [60, 20, 0, 0]
