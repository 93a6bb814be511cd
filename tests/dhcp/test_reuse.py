"""An address that had a client lately is tried before another gets it; fresh ones never wait."""

from __future__ import annotations

import pytest

from agent.dhcp.packet import Interface, MessageType, Received
from agent.dhcp.probes import BY_ROUTE, Probes
from agent.events.event import EventKind
from agent.kinds.scope import GLOBAL, subnet_scope
from agent.limits import (
    DECLINE_HOLD_S,
    DECLINES_PER_CLIENT_MAX,
    DOUBTFUL_MAX,
    PROBE_FRESH_MS,
    TRIED_AHEAD,
)
from agent.model import (
    BindingState,
    ConfigRow,
    Option,
    Pool,
    ProbePolicy,
    Reservation,
    Subnet,
    Transaction,
)
from tests.dhcp.world import (
    FAR_RELAY,
    FIRST,
    LEASE,
    ME,
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
    world.silent(client.discover(), "address_tried")
    world.probe()
    assert world.one(client.discover()).address == FIRST
    with world.store.write() as tx:
        tx.set_recovery("", 0, NOW)
    assert world.one(Client(2).discover()).kind is OFFER


def test_a_used_one_is_offered_when_nobody_answered_for_it() -> None:
    world = used_world()
    client = Client(1)
    world.silent(client.discover(), "address_tried")
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
    world.silent(Client(1).discover(), "address_tried")
    world.probe(other=OTHER_MACHINE)
    before = world.server.committed
    world.server.try_ahead(world.now_ms)
    row = world.known(FIRST)
    assert (row.state, row.transaction) == (BindingState.UNAVAILABLE, Transaction.PROBE)
    assert (row.epoch, row.hardware_address) == (2, OTHER_MACHINE)
    assert row.expires_at == world.now + DECLINE_HOLD_S
    with world.store.read() as tx:
        told = tx.events_after(0, 100).events[-1].event
    assert (told.kind, told.address) == (EventKind.IN_USE, FIRST)
    assert (told.hardware_address, told.until) == (OTHER_MACHINE, row.expires_at)
    assert world.server.committed == before + 1
    world.silent(Client(1).discover(), "no_free_address")


def test_one_machine_that_answers_for_everything_is_capped() -> None:
    world = used_world(used=DECLINES_PER_CLIENT_MAX + 2)
    world.silent(Client(1).discover(), "address_tried")
    for wish in world.probe():
        world.server.probes.heard(wish.address, OTHER_MACHINE)
    world.server.try_ahead(world.now_ms)
    rows = [world.known(FIRST + n).state for n in range(DECLINES_PER_CLIENT_MAX + 2)]
    assert rows.count(BindingState.UNAVAILABLE) == DECLINES_PER_CLIENT_MAX
    world.silent(Client(1).discover(), "no_free_address")


def test_its_former_client_gets_it_without_a_probe() -> None:
    world = used_world()
    world.silent(Client(1).discover(), "address_tried")
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
    world.silent(Client(1).discover(), "address_tried")
    world.probe()
    assert world.one(Client(1).discover()).address == FIRST


def test_so_is_one_that_was_declined_past_the_caps() -> None:
    world = World(ranges=[bindable(FIRST, FIRST, epoch=2)], probing=True)
    row = peer_row(FIRST, Client(9), state=BindingState.RELEASED, expires_at=NOW - 100 * LEASE)
    world.merge(row._replace(transaction=Transaction.DECLINE, transaction_at=NOW - 101 * LEASE))
    world.silent(Client(1).discover(), "address_tried")
    world.probe()
    assert world.one(Client(1).discover()).address == FIRST


def test_the_result_of_a_probe_grows_old() -> None:
    world = used_world()
    world.silent(Client(1).discover(), "address_tried")
    world.probe()
    world.wait(PROBE_FRESH_MS / 1000 + 1)
    world.silent(Client(1).discover(), "address_tried")
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
    world.silent(Client(1, relay=FAR_RELAY).discover(), "address_tried")
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
    world.silent(Client(1).discover(), "address_tried")
    world.probe(other=OTHER_MACHINE)
    world.failing.failing = True
    world.server.try_ahead(world.now_ms)
    assert world.server.counters()["store_failed"] == 1
    assert world.known(FIRST).state is BindingState.BOUND


# --- an address that a client names


def naming(client: Client, form: str, address: int) -> Received:
    wish = address.to_bytes(4, "big")
    if form == "discover":
        return client.discover(o50=wish)
    if form == "select":
        return client.message(3, {50: wish, 54: ME.to_bytes(4, "big")})
    message: Received = getattr(client, form)(address)
    return message


@pytest.mark.parametrize("state", [BindingState.BOUND, BindingState.UNAVAILABLE])
@pytest.mark.parametrize("form", ["discover", "select", "renew", "rebind"])
@pytest.mark.parametrize("answers", [True, False])
def test_an_address_that_a_client_names_is_tried_as_any_other(
    state: BindingState, form: str, answers: bool
) -> None:
    """Option 50, a REQUEST without an offer, or an address in use that was somebody else's."""
    world = World(ranges=[bindable(FIRST, FIRST, epoch=2)], probing=True)
    world.merge(peer_row(FIRST, Client(100), state=state, expires_at=NOW - 10))
    client = Client(1, relay=0)
    world.silent(naming(client, form, FIRST), "address_tried")
    assert world.server.is_holding
    assert world.binding(FIRST) == world.known(FIRST)
    if answers:
        world.probe(former=OTHER_MACHINE)
    else:
        world.probe()
    world.wait(1)
    said = world.again()
    if not answers:
        assert [one.address for one in said] == [FIRST]
    elif form == "select":
        assert [one.kind for one in said] == [MessageType.NAK]
    else:
        assert said == []
    world.server.try_ahead(world.now_ms)
    row = world.known(FIRST)
    assert (row.state is BindingState.UNAVAILABLE and row.epoch == 2) is answers


def test_a_client_that_says_it_uses_what_it_selects_is_not_believed() -> None:
    """Through a relay, where a renewal is not tried: `ciaddr` makes no renewal of it."""
    world = used_world()
    wish = FIRST.to_bytes(4, "big")
    message = Client(1).message(3, {50: wish, 54: ME.to_bytes(4, "big")}, ciaddr=FIRST)
    world.silent(message, "address_tried")


@pytest.mark.parametrize("form", ["renew", "rebind"])
def test_a_client_that_answers_for_the_address_it_uses_keeps_it(form: str) -> None:
    world = used_world()
    client = Client(1, relay=0)
    world.silent(naming(client, form, FIRST), "address_tried")
    world.probe(itself=client.hardware_address)
    world.wait(1)
    assert [one.kind for one in world.again()] == [MessageType.ACK]


def test_a_client_that_names_a_used_address_is_offered_a_fresh_one_at_once() -> None:
    world = used_world(fresh=1)
    assert world.one(naming(Client(1), "discover", FIRST)).address == FIRST + 1
    assert world.server.probes.is_busy


def test_what_was_offered_or_is_the_clients_own_is_not_tried_again() -> None:
    world = used_world(used=2)
    world.silent(Client(1).discover(), "address_tried")
    world.probe()
    offer = world.one(Client(1).discover())
    assert offer.address == FIRST
    world.server.probes = Probes()  # what was found out is forgotten
    assert world.one(Client(1).select(offer)).kind is MessageType.ACK
    assert world.one(Client(101).discover()).address == FIRST + 1
    assert not world.server.probes.is_busy


def test_a_message_that_waits_for_a_trial_is_answered_when_it_is_over() -> None:
    """The client's next try may be its last, or 60 s away."""
    world = used_world(used=3)
    world.say(*(Client(number).discover() for number in range(1, 4)))
    world.probe()
    world.wait(1)
    assert {one.address for one in world.again()} == {FIRST, FIRST + 1, FIRST + 2}


# --- a DECLINE before the REQUEST


def test_rfc2131_4_4_1_a_declined_offer_is_tried_before_it_is_offered_again() -> None:
    world = World(ranges=[bindable(FIRST, FIRST + 1)], probing=True)
    offer = world.one(Client(1).discover())
    assert world.say(Client(1).decline(offer.address)) == []
    other = world.one(Client(1).discover())
    assert other.address != offer.address
    world.silent(Client(2).discover(), "address_tried")
    world.silent(naming(Client(3), "select", offer.address), "address_tried")
    world.probe(squatter=OTHER_MACHINE)
    world.server.try_ahead(world.now_ms)
    world.silent(Client(2).discover(), "no_free_address")
    assert world.known(offer.address).state is BindingState.UNAVAILABLE


def test_a_decline_of_another_clients_offer_changes_nothing() -> None:
    world = World(ranges=[bindable(FIRST, FIRST)], probing=True)
    offer = world.one(Client(1).discover())
    world.silent(Client(2).decline(offer.address), "not_holder")
    assert world.one(Client(1).select(offer)).kind is MessageType.ACK


def test_a_decline_of_an_offer_of_its_own_lease_is_a_decline_of_that() -> None:
    world = World()
    address = world.bind(Client(1))
    assert world.one(Client(1).discover()).address == address
    world.say(Client(1).decline(address))
    assert world.known(address).state is BindingState.UNAVAILABLE


# --- how a subnet wants it


def probe_world(policy: ProbePolicy, **more: int) -> World:
    rows: list[ConfigRow] = [Subnet(A("198.18.0.0"), 15, probe=policy), Pool(FIRST, FIRST + 9)]
    return World(rows=rows, ranges=[bindable(FIRST, FIRST + 9, epoch=2)], probing=True)


def test_a_subnet_that_always_tries_gives_no_address_that_somebody_answers_for() -> None:
    """Another server served the network until now, and nobody has a record of its leases."""
    world = probe_world(ProbePolicy.ALWAYS)
    world.silent(Client(1).discover(), "address_tried")
    wishes = world.probe()
    assert {wish.address for wish in wishes} == set(range(FIRST, FIRST + 10))
    world.server.probes.heard(FIRST, OTHER_MACHINE)
    world.server.probes.heard(FIRST + 1, b"\x02\xff\xff\xff\xff\xfe")
    world.wait(1)
    assert [one.address for one in world.again()] == [FIRST + 2]
    assert world.one(Client(2).discover()).address == FIRST + 3, "the others are tried by now"
    silent = world.say(naming(Client(3), "discover", FIRST))
    assert FIRST not in {one.address for one in silent}


def test_a_subnet_that_always_tries_does_not_ask_about_a_clients_own_address() -> None:
    world = probe_world(ProbePolicy.ALWAYS)
    world.say(Client(1).discover())
    world.probe()
    world.wait(1)
    offer = world.again()[0]
    world.one(Client(1).select(offer))
    world.wait(PROBE_FRESH_MS / 1000 + 1)
    assert world.one(Client(1).renew(offer.address)).kind is MessageType.ACK
    assert world.one(Client(1).discover()).address == offer.address
    assert not world.server.probes.is_busy


def test_a_subnet_that_never_tries_gives_used_addresses_at_once() -> None:
    """Where something answers for every address: a firewall, a proxy."""
    world = probe_world(ProbePolicy.NEVER)
    for n in range(10):
        world.merge(peer_row(FIRST + n, Client(100 + n), expires_at=NOW - 10, seq=n + 1))
    assert world.one(Client(1).discover()).address == FIRST
    assert world.one(naming(Client(2), "select", FIRST + 5)).kind is MessageType.ACK
    assert not world.server.probes.is_busy


# --- addresses that are somebody's


@pytest.mark.parametrize("code", [3, 6, 42, 121])
def test_addresses_of_machines_that_options_name_are_given_to_nobody(code: int) -> None:
    named = FIRST.to_bytes(4, "big")
    value = b"\x08\x0a" + named if code == 121 else b"\x01\x02\x03\x04" + named
    scope = (A("198.18.0.0"), 15)
    rows: list[ConfigRow] = [Subnet(*scope), Pool(FIRST, FIRST + 1)]
    rows.append(Option(*subnet_scope(*scope), code, value))
    world = World(rows=rows, ranges=[bindable(FIRST, FIRST + 1)])
    assert world.one(naming(Client(1), "discover", FIRST)).address == FIRST + 1
    assert world.one(naming(Client(2), "select", FIRST)).kind is MessageType.NAK
    world.silent(Client(2).discover(), "no_free_address")
    world.silent(naming(Client(2), "renew", FIRST), "named_address")


def test_the_router_itself_may_have_its_address_by_a_reservation() -> None:
    scope = (A("198.18.0.0"), 15)
    rows: list[ConfigRow] = [Subnet(*scope), Pool(FIRST, FIRST + 1)]
    rows.append(Option(*subnet_scope(*scope), 3, FIRST.to_bytes(4, "big")))
    world = World(rows=[*rows, Reservation(FIRST, Client(1).key)])
    assert world.bind(Client(1)) == FIRST


def test_a_server_that_has_its_address_by_lease_keeps_it_when_an_option_names_it() -> None:
    world = World()
    address = world.bind(Client(1))
    world.configure(Option(*GLOBAL, 6, address.to_bytes(4, "big")))
    assert world.one(Client(1).renew(address)).kind is MessageType.ACK
    assert world.one(Client(1).discover()).address == address
    world.wait(LEASE + 100)
    assert world.bind(Client(1)) == address
    assert world.one(naming(Client(2), "select", address)).kind is MessageType.NAK


def test_octets_that_are_no_addresses_name_nobody() -> None:
    scope = (A("198.18.0.0"), 15)
    short = [
        Option(*subnet_scope(*scope), 3, b"\xc6\x12\x10"),
        Option(*subnet_scope(*scope), 121, b"\x20\x01"),
        Option(*GLOBAL, 230, b"x"),
    ]
    assert World(rows=[Subnet(*scope), Pool(FIRST, FIRST), *short]).bind(Client(1)) == FIRST


def test_a_relays_own_address_is_not_given_to_its_clients() -> None:
    rows: list[ConfigRow] = [Subnet(A("10.1.0.0"), 24), Pool(FAR_RELAY, FAR_RELAY + 1)]
    world = World(rows=rows, ranges=[bindable(FAR_RELAY, FAR_RELAY + 1)])
    client = Client(1, relay=FAR_RELAY)
    world.silent(naming(client, "rebind", FAR_RELAY), "named_address")
    assert world.one(naming(client, "discover", FAR_RELAY)).address == FAR_RELAY + 1
    world.silent(Client(2, relay=FAR_RELAY).discover(), "no_free_address")


def test_what_is_given_back_after_a_clock_stood_still_was_recorded_for_less_long() -> None:
    world = World(members=(1, 2))
    address = world.bind(Client(1))
    row = world.known(address)
    with world.store.write() as tx:
        tx.set_acknowledged({row.stream: row.seq})
        tx.set_unseen(world.now, 100)
    world.wait(1)
    world.say(Client(1).release(address))
    released = world.known(address)
    assert released.state is BindingState.RELEASED
    assert released.acknowledged_at == row.potential_expires_at - 100
    assert not released.is_settled
