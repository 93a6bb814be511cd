"""An address that had a client lately is tried before another gets it; fresh ones never wait."""

from __future__ import annotations

import pytest

from agent.dhcp.packet import Interface, MessageType
from agent.dhcp.probes import BY_ROUTE
from agent.limits import (
    DECLINE_HOLD_S,
    DECLINES_PER_CLIENT_MAX,
    DOUBTFUL_MAX,
    PROBE_FRESH_MS,
    TRIED_AHEAD,
)
from agent.model import BindingState, Pool, Subnet, Transaction
from tests.dhcp.world import (
    FAR_RELAY,
    FIRST,
    LEASE,
    NOW,
    A,
    Client,
    World,
    bindable,
    peer_row,
)

OFFER = MessageType.OFFER
OTHER_MACHINE = b"\x02\xff\xff\xff\xff\xff"


def used_world(*, ended: int = NOW - 100, fresh: int = 0, used: int = 1) -> World:
    """`used` addresses had clients until `ended`, the `fresh` ones behind them never had any; all
    are this member's, by a poll since."""
    world = World(ranges=[bindable(FIRST, FIRST + used + fresh - 1, epoch=2)], probing=True)
    for number in range(used):
        world.merge(
            peer_row(FIRST + number, Client(100 + number), expires_at=ended, seq=number + 1)
        )
    return world


def test_a_fresh_address_is_offered_at_once_and_before_the_used_ones() -> None:
    world = used_world(fresh=1)
    assert world.one(Client(1).discover()).address == FIRST + 1
    assert not world.server.probes.is_busy


def test_every_address_is_tried_while_an_operator_has_ended_the_wait_for_lost_leases() -> None:
    world = used_world(used=0, fresh=5)
    with world.store.write() as tx:
        tx.set_recovery("", 0, NOW + LEASE)
    client = Client(1)
    world.silent(client.discover(), "no_free_address")
    world.probe()
    assert world.one(client.discover()).address == FIRST
    with world.store.write() as tx:
        tx.set_recovery("", 0, NOW)
    assert world.one(Client(2).discover()).kind is OFFER


def test_a_used_one_is_offered_when_nobody_answered_for_it() -> None:
    world = used_world()
    client = Client(1)
    world.silent(client.discover(), "no_free_address")
    world.probe()
    assert world.one(client.discover()).address == FIRST


def test_a_few_are_tried_ahead_of_need() -> None:
    world = used_world(used=TRIED_AHEAD + 5, fresh=1)
    assert world.one(Client(1).discover()).kind is OFFER
    world.server.try_ahead(world.now_ms)
    sent = world.probe()
    assert len({wish.address for wish in sent}) == TRIED_AHEAD
    assert {wish.interface for wish in sent} == {2}
    assert world.one(Client(2).discover()).address == FIRST


def test_one_that_somebody_answers_for_becomes_unavailable_beside_the_packets() -> None:
    world = used_world()
    world.silent(Client(1).discover(), "no_free_address")
    world.probe(other=OTHER_MACHINE)
    before = world.server.committed
    world.server.try_ahead(world.now_ms)
    row = world.known(FIRST)
    assert (row.state, row.transaction) == (BindingState.UNAVAILABLE, Transaction.PROBE)
    assert (row.epoch, row.hardware_address) == (2, OTHER_MACHINE)
    assert row.expires_at == world.now + DECLINE_HOLD_S
    assert world.server.committed == before + 1
    world.silent(Client(1).discover(), "no_free_address")


def test_one_machine_that_answers_for_everything_is_capped() -> None:
    world = used_world(used=DECLINES_PER_CLIENT_MAX + 2)
    world.silent(Client(1).discover(), "no_free_address")
    for wish in world.probe():
        world.server.probes.heard(wish.address, OTHER_MACHINE)
    world.server.try_ahead(world.now_ms)
    rows = [world.known(FIRST + n).state for n in range(DECLINES_PER_CLIENT_MAX + 2)]
    assert rows.count(BindingState.UNAVAILABLE) == DECLINES_PER_CLIENT_MAX
    world.silent(Client(1).discover(), "no_free_address")


def test_its_former_client_gets_it_without_a_probe() -> None:
    world = used_world()
    world.silent(Client(1).discover(), "no_free_address")
    assert world.one(Client(100).discover()).address == FIRST
    world.probe()
    world.silent(Client(1).discover(), "no_free_address")


def test_a_client_that_is_gone_for_long_needs_no_probe() -> None:
    world = used_world(ended=NOW - LEASE - 1)
    assert world.one(Client(1).discover()).address == FIRST


def test_a_declined_address_is_tried_however_long_ago_that_was() -> None:
    world = World(ranges=[bindable(FIRST, FIRST, epoch=2)], probing=True)
    ended = NOW - 100 * DECLINE_HOLD_S
    world.merge(peer_row(FIRST, Client(9), state=BindingState.UNAVAILABLE, expires_at=ended))
    world.silent(Client(1).discover(), "no_free_address")
    world.probe()
    assert world.one(Client(1).discover()).address == FIRST


def test_so_is_one_that_was_declined_past_the_caps() -> None:
    world = World(ranges=[bindable(FIRST, FIRST, epoch=2)], probing=True)
    row = peer_row(FIRST, Client(9), state=BindingState.RELEASED, expires_at=NOW - 100 * LEASE)
    world.merge(row._replace(transaction=Transaction.DECLINE, transaction_at=NOW - 101 * LEASE))
    world.silent(Client(1).discover(), "no_free_address")
    world.probe()
    assert world.one(Client(1).discover()).address == FIRST


def test_the_result_of_a_probe_grows_old() -> None:
    world = used_world()
    world.silent(Client(1).discover(), "no_free_address")
    world.probe()
    world.wait(PROBE_FRESH_MS / 1000 + 1)
    world.silent(Client(1).discover(), "no_free_address")
    assert world.server.probes.is_busy


def test_more_used_addresses_than_are_remembered_are_found_in_time() -> None:
    world = used_world(used=DOUBTFUL_MAX + 3)
    given = set()
    for number in range(DOUBTFUL_MAX + 3):
        for _ in range(4):
            said = world.say(Client(number).discover())
            if said:
                given.add(said[0].address)
                break
            world.probe_all()
    assert len(given) == DOUBTFUL_MAX + 3


def test_behind_a_relay_the_address_is_tried_by_route() -> None:
    world = World(
        rows=[Subnet(A("10.1.0.0"), 24), Pool(A("10.1.0.100"), A("10.1.0.100"))],
        ranges=[bindable(A("10.1.0.100"), A("10.1.0.100"), epoch=2)],
        probing=True,
    )
    world.merge(peer_row(A("10.1.0.100"), Client(9), expires_at=NOW - 10))
    world.silent(Client(1, relay=FAR_RELAY).discover(), "no_free_address")
    assert {wish.interface for wish in world.probe()} == {BY_ROUTE}


@pytest.mark.parametrize(("named", "link"), [("", 2), ("eth1", 3)])
def test_the_link_of_several_interfaces_is_the_subnets(named: str, link: int) -> None:
    eth0 = Interface(2, "eth0", b"\x02\0\0\0\0\x01", (A("198.18.0.1"),))
    eth1 = Interface(3, "eth1", b"\x02\0\0\0\0\x02", (A("10.1.0.1"),))
    subnet = Subnet(A("198.18.0.0"), 15, interface=named)
    world = World(
        rows=[subnet, Pool(FIRST, FIRST)],
        ranges=[bindable(FIRST, FIRST, epoch=2)],
        interfaces=[eth1, eth0],
        probing=True,
    )
    world.merge(peer_row(FIRST, Client(9), expires_at=NOW - 10))
    assert world.say(Client(1, relay=0, interface=link).discover()) == []
    assert {wish.interface for wish in world.probe()} == {link}


def test_a_store_that_fails_while_an_address_is_marked_is_counted_and_no_more() -> None:
    world = used_world()
    world.silent(Client(1).discover(), "no_free_address")
    world.probe(other=OTHER_MACHINE)
    world.failing.failing = True
    world.server.try_ahead(world.now_ms)
    assert world.server.counters()["store_failed"] == 1
    assert world.known(FIRST).state is BindingState.BOUND
