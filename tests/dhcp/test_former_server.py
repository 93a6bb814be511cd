"""Another server has served a network until now: nobody here has a record of its leases.

Until they are over each address is tried before it is given, and who is found there keeps it.
"""

from __future__ import annotations

import pytest

from agent.dhcp.packet import MessageType
from agent.kinds.former_server import FormerServer
from agent.limits import DECLINE_HOLD_S, DECLINES_PER_CLIENT_MAX
from agent.model import BindingState, ConfigRow, Pool, ProbePolicy, Subnet, Transaction
from agent.settings.configuration import Configuration
from tests.dhcp.world import (
    FAR_RELAY,
    FIRST,
    LEASE,
    ME,
    MUL,
    NOW,
    A,
    Client,
    World,
    bindable,
    peer_row,
    promised,
)

NAK = MessageType.NAK
HOURS = 4 * 3600
EVERY = FormerServer(0, 0, NOW + HOURS)
SIZE = 24
LAN = Subnet(A("198.18.0.0"), 15)
FAR = A("10.1.0.100")


def former_world(
    *more: ConfigRow,
    subnet: Subnet = LAN,
    first: int = FIRST,
    size: int = SIZE,
    members: tuple[int, ...] = (1,),
) -> World:
    rows: list[ConfigRow] = [subnet, Pool(first, first + size - 1), *(more or [EVERY])]
    ranges = [bindable(first, first + size - 1, epoch=2)]
    return World(rows=rows, ranges=ranges, members=members, probing=True)


def machine(address: int) -> bytes:
    """Who uses an address by the former server's word: `Client(address & 255)`."""
    return Client(address & 0xFF).hardware_address


def try_all(world: World, used: range, echo: bool = False) -> list[int]:
    """A client comes anew, and each machine of `used` answers for its address. What it is
    offered."""
    relay = FAR_RELAY if echo else 0
    assert world.say(Client(9999, relay=relay).discover()) == []
    for wish in world.probe():
        if wish.address in used:
            world.server.probes.heard(wish.address, b"" if echo else machine(wish.address))
    world.server.try_ahead(world.now_ms)
    world.wait(1)
    offers = world.again()
    world.server.try_ahead(world.now_ms)
    return [one.address for one in offers]


def test_each_address_is_tried_until_the_last_lease_is_over() -> None:
    world = former_world()
    world.silent(Client(1).discover(), "address_tried")
    world.probe()
    offer = world.one(Client(1).discover())
    assert world.one(Client(1).select(offer)).kind is MessageType.ACK
    world.wait(HOURS)
    world.server.probes.take_due(world.now_ms)
    assert world.one(Client(2).discover()).kind is MessageType.OFFER
    assert not world.server.probes.is_busy


def test_an_order_is_followed_at_once_and_one_that_ends_it_too() -> None:
    world = former_world(FormerServer(0, 0, NOW))
    assert world.one(Client(1).discover()).kind is MessageType.OFFER
    world.configure(EVERY)
    world.silent(Client(2).discover(), "address_tried")
    world.configure(FormerServer(0, 0, NOW))
    assert world.one(Client(2).discover()).kind is MessageType.OFFER


def test_none_of_the_addresses_that_are_in_use_is_given_however_many_they_are() -> None:
    """The caps of a DECLINE are against hosts that answer for what is not theirs."""
    world = former_world()
    used = range(FIRST, FIRST + SIZE)
    assert try_all(world, used) == []
    for number in range(200, 240):
        world.silent(Client(number).discover(), "no_free_address")
    for address in used:
        row = world.known(address)
        assert (row.state, row.transaction) == (BindingState.UNAVAILABLE, Transaction.PROBE)
        assert row.hardware_address == machine(address)


def test_so_it_is_behind_a_relay_where_an_echo_names_nobody() -> None:
    world = former_world(subnet=Subnet(A("10.1.0.0"), 24), first=FAR)
    used = range(FAR, FAR + SIZE - 1)
    assert try_all(world, used, echo=True) == [FAR + SIZE - 1]
    assert [world.known(one).state for one in used] == [BindingState.UNAVAILABLE] * len(used)
    world.silent(Client(1, relay=FAR_RELAY).discover(), "no_free_address")


def test_a_machine_that_answers_for_everything_makes_few_addresses_unavailable() -> None:
    world = former_world()
    world.silent(Client(1).discover(), "address_tried")
    for wish in world.probe():
        world.server.probes.heard(wish.address, b"\x02\xff\xff\xff\xff\xff")
    world.server.try_ahead(world.now_ms)
    world.silent(Client(1).discover(), "no_free_address")
    world.server.try_ahead(world.now_ms)
    rows = [world.binding(address) for address in range(FIRST, FIRST + SIZE)]
    assert len([row for row in rows if row is not None]) == DECLINES_PER_CLIENT_MAX


def test_what_has_a_record_of_this_group_is_its_clients_untried() -> None:
    world = former_world()
    world.merge(peer_row(FIRST, Client(1), epoch=2))
    assert world.one(Client(1).discover()).address == FIRST
    assert world.one(Client(1).renew(FIRST)).kind is MessageType.ACK
    assert not world.server.probes.is_busy


def test_a_subnet_that_never_tries_does_not_try_here_either() -> None:
    """Something answers there for every address. The operator is told: agent/health.py."""
    world = former_world(subnet=Subnet(A("198.18.0.0"), 15, probe=ProbePolicy.NEVER))
    assert world.one(Client(1).discover()).kind is MessageType.OFFER


def prefix(text: str, until: int = NOW + HOURS, active: bool = True) -> FormerServer:
    network, _, length = text.partition("/")
    return FormerServer(A(network), int(length), until, active)


@pytest.mark.parametrize(
    ("rows", "ends"),
    [
        ([], 0),
        ([prefix("0.0.0.0/0", 7)], 7),
        ([prefix("198.18.16.0/20", 7), prefix("0.0.0.0/0", 9)], 7),
        ([prefix("198.18.16.0/20", 0), prefix("198.18.0.0/15", 9)], 0),
        ([prefix("198.18.16.0/20", 0, active=False), prefix("198.18.0.0/15", 9)], 9),
        ([prefix("198.18.17.0/24", 9)], 0),
        ([prefix("10.0.0.0/8", 9)], 0),
        ([prefix("198.18.16.8/29", 9)], 9),
        ([prefix("198.18.16.8/29", 9), prefix("198.18.16.16/29", 11), prefix("0.0.0.0/0", 10)], 11),
        ([prefix("198.18.16.8/29", 9), prefix("0.0.0.0/0", 10)], 10),
    ],
)
def test_the_longest_prefix_around_a_pool_counts_and_each_one_in_it(
    rows: list[FormerServer], ends: int
) -> None:
    known = Configuration.from_rows(rows)
    assert known.former_leases_end(FIRST, FIRST + SIZE - 1) == ends


# --- clients of the former server


@pytest.mark.parametrize("form", ["renew", "rebind"])
def test_a_client_keeps_the_address_that_it_uses_before_anybody_has_tried_it(form: str) -> None:
    world = former_world()
    client = Client(FIRST & 0xFF, relay=0)
    world.silent(getattr(client, form)(FIRST), "address_tried")
    world.probe(itself=client.hardware_address)
    world.wait(1)
    assert [one.address for one in world.again()] == [FIRST]


@pytest.mark.parametrize("form", ["renew", "rebind"])
@pytest.mark.parametrize("identifier", [None, b"\xff\x01"])
def test_and_when_it_was_found_there(form: str, identifier: bytes | None) -> None:
    """Its own answer has made the address UNAVAILABLE, for all but itself."""
    world = former_world(members=(1, 2))
    try_all(world, range(FIRST, FIRST + 2))
    assert world.known(FIRST).state is BindingState.UNAVAILABLE
    client = Client(FIRST & 0xFF, relay=0, identifier=identifier)
    said = world.one(getattr(client, form)(FIRST))
    assert (said.kind, said.address) == (MessageType.ACK, FIRST)
    assert said.lease_s <= MUL
    row = world.known(FIRST)
    assert (row.state, row.client_key) == (BindingState.BOUND, client.key)
    assert row.epoch > 2, "a record of a later epoch: UNAVAILABLE beats all in its own"
    world.wait(100)
    assert world.one(client.renew(FIRST)).kind is MessageType.ACK
    assert FIRST not in {one.address for one in world.say(Client(77, relay=0).discover())}


def test_so_it_is_when_the_day_is_over_for_which_its_address_was_nobodys() -> None:
    world = former_world(FormerServer(0, 0, NOW + 8 * DECLINE_HOLD_S))
    try_all(world, range(FIRST, FIRST + 1))
    world.wait(DECLINE_HOLD_S)
    client = Client(FIRST & 0xFF, relay=0)
    world.silent(client.renew(FIRST), "address_tried")
    world.probe(itself=client.hardware_address)
    world.wait(1)
    assert [one.kind for one in world.again()] == [MessageType.ACK]
    world.silent(Client(77, relay=0).renew(FIRST + 1), "address_tried")


@pytest.mark.parametrize("form", ["renew", "rebind", "reboot", "discover"])
def test_another_client_does_not_get_it(form: str) -> None:
    world = former_world(members=(1, 2))
    try_all(world, range(FIRST, FIRST + SIZE))
    client = Client(500, relay=0)
    message = client.discover(o50=FIRST.to_bytes(4, "big")) if form == "discover" else (
        getattr(client, form)(FIRST)
    )  # fmt: skip
    assert world.say(message) == []
    assert world.known(FIRST).state is BindingState.UNAVAILABLE


def test_nor_does_its_own_client_where_another_machine_answers_too() -> None:
    world = former_world()
    try_all(world, range(FIRST, FIRST + 1))
    world.server.probes.heard(FIRST, b"\x02\xff\xff\xff\xff\xff")
    world.silent(Client(FIRST & 0xFF, relay=0).rebind(FIRST), "answered_by_other")


def test_a_client_that_has_started_anew_is_offered_its_address_again() -> None:
    """INIT-REBOOT is met with silence, as RFC 2131 4.3.2 wants; then it names the address."""
    world = former_world()
    try_all(world, range(FIRST, FIRST + SIZE))
    client = Client(FIRST & 0xFF, relay=0)
    world.silent(client.reboot(FIRST), "unknown_binding")
    offer = world.one(client.discover(o50=FIRST.to_bytes(4, "big")))
    assert offer.address == FIRST
    assert world.one(client.select(offer)).kind is MessageType.ACK
    wish = FIRST.to_bytes(4, "big")
    named = client.message(3, {50: wish, 54: ME.to_bytes(4, "big")})
    assert world.one(named).kind is MessageType.ACK


@pytest.mark.parametrize(("form", "kind"), [("renew", 5), ("rebind", 5), ("discover", None)])
def test_behind_a_relay_who_says_that_it_uses_the_address_is_believed(
    form: str, kind: int | None
) -> None:
    """It answers an echo itself, and nothing tells it from another machine."""
    world = former_world(subnet=Subnet(A("10.1.0.0"), 24), first=FAR)
    try_all(world, range(FAR, FAR + SIZE), echo=True)
    client = Client(1, relay=FAR_RELAY)
    message = client.discover(o50=FAR.to_bytes(4, "big")) if form == "discover" else (
        getattr(client, form)(FAR)
    )  # fmt: skip
    assert [one.kind for one in world.say(message)] == ([] if kind is None else [kind])


def test_what_was_found_in_use_is_nobodys_to_renew_when_the_leases_are_over() -> None:
    world = former_world(FormerServer(0, 0, NOW + 60))
    try_all(world, range(FIRST, FIRST + 1))
    world.wait(60)
    assert world.say(Client(FIRST & 0xFF, relay=0).renew(FIRST)) == []
    assert world.known(FIRST).state is BindingState.UNAVAILABLE


@pytest.mark.parametrize("others", [True, False])
def test_only_who_may_give_the_address_lets_its_user_keep_it(others: bool) -> None:
    """Another member may have been promised it since, or have marked it itself."""
    world = former_world(members=(1, 2))
    try_all(world, range(FIRST, FIRST + 1))
    if others:
        own = bindable(FIRST, FIRST + SIZE - 1, epoch=2)
        rest = bindable(FIRST + 1, FIRST + SIZE - 1, epoch=2)
        world.set_ranges([own], [promised(FIRST, FIRST, epoch=3), rest])
    else:
        world.merge(world.known(FIRST)._replace(epoch=3, transaction_server=2, seq=9))
    assert world.say(Client(FIRST & 0xFF, relay=0).renew(FIRST)) == []


def test_a_declined_address_is_not_one_that_was_found_in_use() -> None:
    world = former_world()
    client = Client(FIRST & 0xFF, relay=0)
    row = peer_row(FIRST, client, state=BindingState.UNAVAILABLE, epoch=2, expires_at=NOW + LEASE)
    world.merge(row._replace(transaction=Transaction.DECLINE))
    assert world.say(client.rebind(FIRST)) == []
