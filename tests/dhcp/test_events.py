"""What the server writes down as events, in the transaction of the rows that they tell of."""

from __future__ import annotations

import pytest

from agent.dhcp import chronicle
from agent.dhcp.packet import MessageType
from agent.events.event import Event, EventCursor, EventKind
from agent.limits import DECLINE_HOLD_S, SHORTAGE_AGAIN_S
from agent.model import Pool
from tests.dhcp.world import (
    CONFIGURATION,
    FIRST,
    LAST,
    LEASE,
    NOW,
    Client,
    World,
    bindable,
    peer_row,
)

K = EventKind


def events(world: World) -> list[Event]:
    with world.store.read() as tx:
        return [one.event for one in tx.events_after(0, 1000).events]


def kinds(world: World) -> list[EventKind]:
    return [event.kind for event in events(world)]


def want_renewals(world: World) -> None:
    with world.store.write() as tx:
        tx.put_event_cursor(EventCursor("test", 0, frozenset({K.RENEWED})))
    flush(world)


def flush(world: World) -> None:
    world.server.flush_counters(world.now_ms, 5)


def test_a_new_lease_is_told_and_an_offer_is_not() -> None:
    world = World()
    offer = world.one(Client(1).discover())
    assert events(world) == []
    world.one(Client(1).select(offer, o12=b"laptop"))
    client = Client(1)
    assert events(world) == [
        Event(
            NOW, K.BOUND, FIRST, client.key, client.hardware_address, NOW + LEASE, subject="laptop"
        )
    ]


def test_renewals_are_told_only_where_somebody_asks_for_them() -> None:
    world = World()
    address = world.bind(Client(1))
    world.one(Client(1).renew(address))
    flush(world)
    assert kinds(world) == [K.BOUND]
    want_renewals(world)
    world.wait(5)
    world.one(Client(1).renew(address))
    assert kinds(world) == [K.BOUND, K.RENEWED]
    assert events(world)[-1].at == NOW + 5
    with world.store.write() as tx:
        tx.forget_event_cursor("test")
    flush(world)
    world.one(Client(1).renew(address))
    assert kinds(world) == [K.BOUND, K.RENEWED]


def test_a_lease_that_is_over_is_told_when_its_address_is_given_away() -> None:
    world = World(ranges=(bindable(FIRST, FIRST),))
    world.bind(Client(1))
    world.wait(LEASE + 60)
    world.set_ranges([bindable(FIRST, FIRST)], [bindable(FIRST, FIRST, epoch=2)])
    world.bind(Client(2))
    assert [(e.kind, e.client_key) for e in events(world)] == [
        (K.BOUND, Client(1).key),
        (K.EXPIRED, Client(1).key),
        (K.BOUND, Client(2).key),
    ]


def ends(world: World) -> list[int]:
    """The addresses of leases of which the end was told, in order."""
    return [event.address for event in events(world) if event.kind is K.EXPIRED]


def test_the_end_of_a_lease_is_told_once_a_moment_after_it() -> None:
    world = World()
    flush(world)
    first, second = world.bind(Client(1)), world.bind(Client(2))
    world.wait(LEASE // 2)
    world.one(Client(2).renew(second))
    world.wait(LEASE // 2 - 2)
    flush(world)
    flush(world)
    assert ends(world) == []
    world.wait(2)
    for _ in range(3):
        flush(world)
    assert ends(world) == [first]
    event = events(world)[-1]
    assert (event.at, event.until, event.client_key) == (NOW + LEASE, NOW + LEASE, Client(1).key)
    world.restart()
    world.wait(LEASE)
    for _ in range(3):
        flush(world)
    assert ends(world) == [first, second]


def test_an_end_that_was_told_is_not_told_with_the_next_lease() -> None:
    world = World()
    flush(world)
    first, second = world.bind(Client(1)), world.bind(Client(2))
    world.wait(LEASE + 60)
    flush(world)
    flush(world)
    assert ends(world) == [first, second]
    for client in (Client(1), Client(2)):
        world.bind(client)
    assert kinds(world)[-2:] == [K.BOUND, K.BOUND]
    assert ends(world) == [first, second]


def test_a_part_of_the_bindings_is_looked_through_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chronicle, "SWEEP_BINDINGS", 3)
    world = World()
    flush(world)
    addresses = [world.bind(Client(n)) for n in range(1, 9)]
    world.wait(LEASE)
    told = []
    for _ in range(8):
        flush(world)
        told.append(len(ends(world)))
    assert ends(world) == addresses
    assert sorted(set(told)) == [0, 3, 6, 8], "three at most in one turn"


def test_an_address_that_is_given_away_before_its_turn_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chronicle, "SWEEP_BINDINGS", 1)
    world = World()
    flush(world)
    addresses = [world.bind(Client(n)) for n in (1, 2, 3)]
    world.wait(LEASE)
    while not ends(world):
        flush(world)
    for n in (1, 3):
        world.bind(Client(n))
    assert ends(world) == [addresses[0], addresses[2]]
    for _ in range(6):
        flush(world)
    assert sorted(ends(world)) == addresses, "each once"


def test_an_end_that_could_not_be_written_is_told_later() -> None:
    world = World()
    flush(world)
    address = world.bind(Client(1))
    world.wait(LEASE)
    flush(world)
    world.failing.failing = True
    flush(world)
    world.failing.failing = False
    assert ends(world) == []
    flush(world)
    flush(world)
    assert ends(world) == [address]


def test_what_ended_before_the_first_look_and_at_others_is_not_told() -> None:
    world = World(members=(1, 2))
    world.bind(Client(1))
    world.wait(LEASE * 2)
    flush(world)
    world.merge(peer_row(LAST, Client(2), expires_at=world.now + 10))
    world.wait(20)
    for _ in range(3):
        flush(world)
    assert ends(world) == []


def test_a_clock_that_is_set_back_has_no_end_told_twice() -> None:
    world = World()
    flush(world)
    address = world.bind(Client(1))
    world.wait(LEASE)
    for _ in range(2):
        flush(world)
    world.wait(-LEASE)
    for _ in range(2):
        flush(world)
    world.wait(LEASE)
    for _ in range(3):
        flush(world)
    assert ends(world) == [address]


def test_release_and_decline_are_told() -> None:
    world = World()
    first = world.bind(Client(1))
    world.say(Client(1).release(first))
    second = world.bind(Client(2))
    world.say(Client(2).decline(second))
    assert kinds(world) == [K.BOUND, K.RELEASED, K.BOUND, K.DECLINED]
    assert events(world)[-1].until == NOW + DECLINE_HOLD_S
    world.say(Client(2).release(second), Client(3).release(first))
    assert len(events(world)) == 4, "nobody's word but the holder's"


def test_an_address_that_changes_twice_in_a_batch_is_told_twice() -> None:
    world = World()
    offer = world.one(Client(1).discover())
    world.say(Client(1).select(offer), Client(1).release(offer.address))
    assert kinds(world) == [K.BOUND, K.RELEASED]


def test_what_is_repeated_in_a_batch_is_told_once() -> None:
    world = World()
    offer = world.one(Client(1).discover())
    world.say(Client(1).select(offer), Client(1).select(offer))
    assert kinds(world) == [K.BOUND]


def test_nothing_is_told_of_what_was_not_committed() -> None:
    world = World()
    offer = world.one(Client(1).discover())
    world.failing.failing = True
    assert world.say(Client(1).select(offer)) == []
    world.failing.failing = False
    assert events(world) == []
    assert world.one(Client(1).select(offer)).kind is MessageType.ACK
    assert kinds(world) == [K.BOUND]


def full_world() -> World:
    return World(rows=[*CONFIGURATION[:1], Pool(FIRST, LAST)], ranges=())


def test_a_network_without_a_free_address_is_told_together_and_seldom() -> None:
    world = full_world()
    for n in (1, 2, 3):
        world.silent(Client(n).discover(), "no_free_address")
    assert events(world) == []
    flush(world)
    (event,) = events(world)
    assert event == Event(
        NOW, K.NO_FREE_ADDRESS, client_key=Client(1).key,
        hardware_address=Client(1).hardware_address, subject="198.18.0.0/15", new="3",
    )  # fmt: skip
    world.wait(SHORTAGE_AGAIN_S - 1)
    world.silent(Client(4).discover(), "no_free_address")
    flush(world)
    assert len(events(world)) == 1
    world.wait(1)
    world.silent(Client(5).discover(), "no_free_address")
    flush(world)
    assert [(e.client_key, e.new) for e in events(world)[1:]] == [(Client(4).key, "2")]
    flush(world)
    assert len(events(world)) == 2


def test_a_shortage_that_could_not_be_written_is_told_later() -> None:
    world = full_world()
    world.silent(Client(1).discover(), "no_free_address")
    world.failing.failing = True
    flush(world)
    world.failing.failing = False
    assert events(world) == []
    flush(world)
    assert [event.new for event in events(world)] == ["1"]


def test_a_clock_that_is_set_back_keeps_no_shortage_from_being_told() -> None:
    world = full_world()
    for _ in range(2):
        world.silent(Client(1).discover(), "no_free_address")
        flush(world)
        world.wait(-3600)
    assert kinds(world) == [K.NO_FREE_ADDRESS] * 2
