"""What clients are told, by the section that says so (RFC 2131 4.3, the draft's 6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.dhcp.packet import Interface, MessageType, Received
from agent.kinds.scope import subnet_scope
from agent.limits import (
    DECLINE_HOLD_S,
    DECLINES_PER_CLIENT_MAX,
    EXPIRY_GRACE_S,
    OFFER_CHOICE_S,
    OFFER_HOLD_S,
    RELAY_HOPS_MAX,
    RELEASE_HOLD_S,
)
from agent.model import (
    AddressRange,
    AddressState,
    BindingState,
    Nonce,
    Option,
    Pool,
    Reservation,
    Subnet,
    Transaction,
)
from agent.sync.verdict import is_dead
from tests.dhcp.world import (
    CONFIGURATION,
    ETH0,
    FAR_RELAY,
    FIRST,
    LAST,
    LEASE,
    ME,
    MUL,
    NOW,
    A,
    Client,
    World,
    bindable,
    group_of,
    peer_row,
    promised,
)

NOBODYS = A("198.18.17.1")
POOLS_17 = [*CONFIGURATION, Pool(A("198.18.17.0"), A("198.18.17.255"))]
OFFER, ACK, NAK = MessageType.OFFER, MessageType.ACK, MessageType.NAK


# --- DISCOVER


def test_rfc2131_4_3_1_discover_is_offered_a_free_address_and_nothing_is_written() -> None:
    world = World()
    world.one(Client(2).discover())  # the store is tried before the first offer
    before = world.store.snapshot()
    offer = world.one(Client().discover())
    assert offer.kind is OFFER
    assert FIRST <= offer.address <= LAST
    assert world.store.snapshot() == before


def test_rfc2131_4_3_1_the_same_client_gets_the_same_offer() -> None:
    world = World()
    first = world.one(Client(1).discover())
    world.one(Client(2).discover())
    world.wait(OFFER_HOLD_S - 1)
    assert world.one(Client(1).discover()).address == first.address


def test_different_clients_get_different_offers_until_there_are_none() -> None:
    world = World(ranges=[bindable(FIRST, FIRST + 3)])
    offers = {world.one(Client(n).discover()).address for n in range(4)}
    assert offers == {FIRST, FIRST + 1, FIRST + 2, FIRST + 3}
    world.silent(Client(9).discover(), "no_free_address")
    world.wait(OFFER_CHOICE_S - 1)
    world.silent(Client(9).discover(), "no_free_address")


def test_offers_that_nobody_answers_do_not_silence_a_pool() -> None:
    """Sixty DISCOVERs of clients that were none kept a pool of 101 from everybody for 30 s."""
    world = World(ranges=[bindable(FIRST, FIRST + 3)])
    for number in range(4):
        world.one(Client(number).discover())
        world.wait(1)
    world.silent(Client(9).discover(), "no_free_address")
    world.wait(OFFER_CHOICE_S - 4)
    first = world.one(Client(9).discover())
    assert first.address == FIRST, "the oldest one yields"
    world.silent(Client(10).discover(), "no_free_address")
    assert world.one(Client(9).select(first)).kind is ACK
    assert world.one(Client(0).select(first)).kind is NAK
    world.wait(1)
    assert world.one(Client(10).discover()).address == FIRST + 1


def test_only_offers_from_stock_yield_and_only_what_is_still_ours() -> None:
    world = World(ranges=[bindable(FIRST, FIRST + 1)])
    world.bind(Client(1))
    world.one(Client(1).discover())
    world.one(Client(2).discover())
    world.set_ranges([bindable(FIRST, FIRST + 1)], [bindable(FIRST, FIRST)])
    world.wait(OFFER_CHOICE_S)
    world.silent(Client(9).discover(), "no_free_address")
    assert world.one(Client(1).discover()).address == FIRST


def test_rfc2131_4_3_1_the_former_address_comes_first() -> None:
    world = World()
    address = world.bind(Client(1))
    world.say(Client(1).release(address))
    for n in range(2, 6):
        world.bind(Client(n))
    assert world.one(Client(1).discover()).address == address


def test_rfc2131_4_3_1_the_former_address_after_expiry() -> None:
    world = World()
    address = world.bind(Client(1))
    world.wait(LEASE + 100)
    assert world.one(Client(1).discover()).address == address


def test_former_address_is_not_offered_once_it_is_promised_to_a_peer() -> None:
    world = World(members=(1, 2), rows=POOLS_17)
    world.merge(peer_row(NOBODYS, Client(1), expires_at=NOW - 100))
    assert world.one(Client(1).discover()).address == NOBODYS
    world.set_ranges([], [promised(NOBODYS, NOBODYS, epoch=2)])
    assert world.one(Client(1).discover()).address != NOBODYS


def test_an_offer_is_void_once_its_address_is_promised_to_a_peer() -> None:
    world = World(members=(1, 2), rows=POOLS_17)
    world.merge(peer_row(NOBODYS, Client(1), expires_at=NOW - 100))
    offer = world.one(Client(1).discover())
    world.set_ranges([], [promised(NOBODYS, NOBODYS, epoch=2)])
    assert world.one(Client(1).select(offer)).kind is NAK
    assert world.known(NOBODYS).epoch == 1


def test_a_spent_promise_does_not_hold_against_the_client_that_came_of_it() -> None:
    world = World(members=(1, 2), rows=POOLS_17)
    world.set_ranges([], [promised(NOBODYS, NOBODYS, epoch=2)])
    world.merge(peer_row(NOBODYS, Client(1), epoch=2))
    assert world.one(Client(1).rebind(NOBODYS)).kind is ACK


def test_transferred_addresses_are_not_offered() -> None:
    given = AddressRange(FIRST, FIRST + 9, AddressState.TRANSFERRING, 2, 2, Nonce(1, 1), 1)
    world = World(ranges=[given, bindable(FIRST + 10, LAST)])
    assert world.one(Client(1).discover(o50=FIRST.to_bytes(4, "big"))).address >= FIRST + 10


def test_rfc2131_4_3_1_the_requested_address_if_it_is_free() -> None:
    world = World()
    wish = FIRST + 77
    assert world.one(Client(1).discover(o50=wish.to_bytes(4, "big"))).address == wish
    other = world.one(Client(2).discover(o50=wish.to_bytes(4, "big")))
    assert other.address != wish


def test_requested_address_of_nobody_is_not_offered() -> None:
    world = World(rows=POOLS_17)
    assert world.one(Client(1).discover(o50=NOBODYS.to_bytes(4, "big"))).address != NOBODYS


def test_a_requested_address_taken_once_is_not_offered_again() -> None:
    world = World(ranges=[bindable(FIRST, FIRST + 3)])
    assert world.one(Client(8).discover()).address == FIRST  # reads the others ahead
    taken = world.one(Client(1).discover(o50=(FIRST + 1).to_bytes(4, "big")))
    assert world.one(Client(1).select(taken)).address == FIRST + 1
    assert world.one(Client(9).rebind(FIRST + 2)).kind is ACK  # in use, without any offer
    assert world.one(Client(2).discover()).address == FIRST + 3
    world.silent(Client(3).discover(), "no_free_address")


def test_draft_6_1_discover_of_a_live_binding_is_offered_it_by_any_member() -> None:
    world = World(members=(1, 2), rows=POOLS_17, ranges=[])
    world.merge(peer_row(NOBODYS, Client(1)))
    assert world.one(Client(1).discover()).address == NOBODYS


def test_members_and_own_addresses_are_never_offered() -> None:
    world = World(
        rows=[CONFIGURATION[0], Pool(ME, ME + 3)],
        ranges=[bindable(ME, ME + 3)],
        members=(1, 2),
    )
    assert world.one(Client(1).discover()).address == ME + 2


def test_a_live_lease_of_an_older_epoch_is_stepped_around() -> None:
    world = World(ranges=[bindable(FIRST, FIRST + 1, epoch=5)], members=(1, 2))
    world.merge(peer_row(FIRST, Client(7), epoch=1, expires_at=NOW + 50))
    assert world.one(Client(1).discover()).address == FIRST + 1


def test_a_dead_lease_of_an_older_epoch_leaves_its_address_free() -> None:
    world = World(ranges=[bindable(FIRST, FIRST, epoch=5)], members=(1, 2))
    world.merge(peer_row(FIRST, Client(7), epoch=1, expires_at=NOW - 50))
    assert world.bind(Client(1)) == FIRST
    row = world.known(FIRST)
    assert (row.epoch, row.grant, row.client_key) == (5, 1, Client(1).key)


def test_an_address_bound_in_this_epoch_is_nobodys_again_until_it_is_polled_anew() -> None:
    world = World(ranges=[bindable(FIRST, FIRST)])
    address = world.bind(Client(1))
    world.wait(LEASE + EXPIRY_GRACE_S + 100)
    world.silent(Client(2).discover(o50=address.to_bytes(4, "big")), "no_free_address")
    world.silent(Client(2).rebind(address), "claim_asked")
    assert world.known(address).client_key == Client(1).key


# --- REQUEST in SELECTING


def test_rfc2131_4_3_2_selecting_our_offer_is_bound_and_acknowledged() -> None:
    world = World()
    client = Client(identifier=b"\x01abc")
    offer = world.one(client.discover(o12=b"host-1"))
    ack = world.one(client.select(offer, o12=b"host-1"))
    assert ack.kind is ACK
    row = world.known(offer.address)
    assert row.state is BindingState.BOUND
    assert (row.client_key, row.client_id) == (client.key, b"\x01abc")
    assert row.hardware_address == client.hardware_address
    assert (row.epoch, row.grant) == (1, 1)
    assert row.transaction is Transaction.SELECTING
    assert (row.transaction_at, row.transaction_server) == (NOW, 1)
    assert row.hostname == "host-1"
    assert row.options.startswith(b"\x01\x04\xff\xfe\0\0\x03\x04")


def test_an_offer_that_was_not_taken_goes_behind_all_other_free_addresses() -> None:
    """Of several members one is chosen; what the others offered is not the next client's."""
    world = World()
    offered = []
    for number in range(1, 60):
        offer = world.one(Client(number).discover())
        offered.append(offer.address)
        world.say(Client(number).select(offer, server=A("198.18.0.2")))
    assert len(set(offered)) == len(offered)


def test_the_last_free_address_is_offered_again_when_it_was_not_taken() -> None:
    world = World(ranges=[bindable(FIRST, FIRST)])
    for number in (1, 2):
        offer = world.one(Client(number).discover())
        assert offer.address == FIRST
        world.say(Client(number).select(offer, server=A("198.18.0.2")))


def test_rfc2131_4_3_2_selecting_another_server_withdraws_our_offer_and_no_more() -> None:
    world = World(ranges=[bindable(FIRST, FIRST)])
    offer = world.one(Client(1).discover())
    assert world.say(Client(1).select(offer, server=A("198.18.0.2"))) == []
    assert world.binding(offer.address) is None
    assert world.one(Client(2).discover()).address == offer.address


def test_rfc2131_4_3_2_an_offer_that_cannot_be_honoured_is_refused_with_nak() -> None:
    world = World(ranges=[bindable(FIRST, FIRST)])
    offer = world.one(Client(1).discover())
    world.set_ranges([bindable(FIRST, FIRST)], [])
    nak = world.one(Client(1).select(offer))
    assert nak.kind is NAK
    assert nak.address == 0
    assert 51 not in nak.options
    assert world.binding(FIRST) is None


def test_selecting_after_a_restart_of_the_engine_is_bound() -> None:
    world = World()
    offer = world.one(Client(1).discover())
    world.restart()
    assert world.one(Client(1).select(offer)).kind is ACK
    assert world.one(Client(2).discover()).address != offer.address


def test_selecting_an_address_on_offer_to_another_is_refused() -> None:
    world = World()
    offer = world.one(Client(1).discover())
    assert world.one(Client(2).select(offer)).kind is NAK
    assert world.one(Client(1).select(offer)).kind is ACK


@pytest.mark.parametrize("batch", [True, False])
def test_rfc2131_4_3_2_requests_without_an_offer_get_a_client_one_address(batch: bool) -> None:
    """A server identifier is known to everybody on the link, and addresses are guessed."""
    world = World()
    offer = world.one(Client(2).discover())
    guesses = [Client(1).select(replace(offer, address=FIRST + n)) for n in range(10, 30)]
    said = world.say(*guesses) if batch else [world.one(guess) for guess in guesses]
    assert [one.kind for one in said] == [ACK] + [NAK] * 19
    assert world.binding(FIRST + 10) is not None
    assert world.binding(FIRST + 11) is None
    world.wait(LEASE + 1)
    assert world.one(guesses[5]).kind is ACK, "the other lease is over"


@pytest.mark.parametrize("form", ["renew", "rebind"])
def test_addresses_that_a_client_claims_to_use_are_not_its_second_one(form: str) -> None:
    world = World(rows=POOLS_17)
    client = Client(1)
    world.bind(client)
    for address in (FIRST + 30, NOBODYS):
        message = client.renew(address) if form == "renew" else client.rebind(address)
        assert world.say(message) == []
        if form == "rebind" and address == NOBODYS:
            world.answer(address)
            world.silent(message, "has_another_lease")
        assert world.binding(address) is None


def test_a_client_that_was_offered_another_address_than_its_lease_gets_it() -> None:
    """Its own is promised to another member, which may have found it dead."""
    world = World(rows=POOLS_17, members=(1, 2))
    world.merge(peer_row(NOBODYS, Client(1)))
    world.set_ranges([], [promised(NOBODYS, NOBODYS, epoch=2)])
    assert world.bind(Client(1)) != NOBODYS


def test_a_client_may_have_an_address_on_each_of_its_links() -> None:
    eth1 = Interface(3, "eth1", b"\x02\0\0\0\0\x02", (A("10.1.0.2"),))
    rows = [*CONFIGURATION, Subnet(A("10.1.0.0"), 24), Pool(A("10.1.0.100"), A("10.1.0.200"))]
    ranges = [bindable(FIRST, LAST), bindable(A("10.1.0.100"), A("10.1.0.200"))]
    world = World(rows=rows, interfaces=[ETH0, eth1], ranges=ranges)
    client = Client(1, relay=0)
    world.bind(client)
    there = replace(client, interface=3)
    world.one(there.rebind(A("10.1.0.100")))
    assert world.known(A("10.1.0.100")).client_key == client.key


def test_selecting_outside_of_the_clients_network_is_refused() -> None:
    world = World()
    offer = replace(world.one(Client(1).discover()), address=A("10.9.9.9"))
    assert world.one(Client(1).select(offer)).kind is NAK


def test_a_lost_ack_is_repeated_for_the_same_request() -> None:
    world = World()
    offer = world.one(Client(1).discover())
    first = world.one(Client(1).select(offer))
    again = world.one(Client(1).select(offer))
    assert again.kind is ACK
    assert again.address == first.address
    assert world.known(offer.address).epoch == 1


# --- REQUEST in INIT-REBOOT


def test_rfc2131_4_3_2_init_reboot_of_a_known_binding_is_acknowledged() -> None:
    world = World()
    address = world.bind(Client(1))
    ack = world.one(Client(1).reboot(address))
    assert (ack.kind, ack.address) == (ACK, address)
    row = world.known(address)
    assert (row.epoch, row.grant, row.transaction) == (1, 2, Transaction.INIT_REBOOT)


def test_rfc2131_4_3_2_init_reboot_on_the_wrong_network_gets_nak() -> None:
    world = World()
    assert world.one(Client(1).reboot(A("10.0.0.5"))).kind is NAK


def test_rfc2131_4_3_2_init_reboot_without_a_record_is_met_with_silence() -> None:
    world = World()
    world.silent(Client(1).reboot(FIRST + 3), "unknown_binding")
    assert world.binding(FIRST + 3) is None


def test_init_reboot_of_another_clients_address_is_met_with_silence() -> None:
    world = World(members=(1, 2))
    address = world.bind(Client(1))
    world.silent(Client(2).reboot(address), "bound_to_other")


def test_init_reboot_from_an_unknown_network_is_met_with_silence() -> None:
    world = World()
    world.silent(Client(1, relay=FAR_RELAY).reboot(FIRST), "no_subnet")


@pytest.mark.parametrize("form", ["reboot", "renew", "rebind", "select"])
def test_a_client_is_refused_once_another_address_is_reserved_for_it(form: str) -> None:
    """It would keep the old one for ever, renewing; dhcpd and Kea say NAK."""
    world = World()
    client = Client(1)
    offer = world.one(client.discover())
    world.one(client.select(offer))
    world.configure(Reservation(FIRST + 200, client.key))
    message = {
        "reboot": client.reboot(offer.address),
        "renew": client.renew(offer.address),
        "rebind": client.rebind(offer.address),
        "select": client.select(offer),
    }[form]
    before = world.known(offer.address)
    assert world.one(message).kind is NAK
    assert world.known(offer.address) == before
    assert world.bind(client) == FIRST + 200
    world.configure(Reservation(FIRST + 200, client.key), deleted=True)
    world.configure(Reservation(FIRST + 201, client.key))
    assert world.one(client.renew(FIRST + 200)).kind is NAK
    assert world.bind(client) == FIRST + 201


def test_a_client_keeps_its_lease_while_the_reserved_address_is_anothers() -> None:
    world = World(members=(1, 2))
    address = world.bind(Client(1))
    others = world.bind(Client(2))
    world.configure(Reservation(others, Client(1).key))
    assert world.one(Client(1).renew(address)).kind is ACK
    assert world.one(Client(1).reboot(address)).kind is ACK
    assert world.one(Client(1).discover()).address == address


def test_a_client_is_not_sent_back_to_a_reserved_address_that_it_has_declined() -> None:
    """A squatter sits there; past the caps the address counts as released."""
    world = World(rows=[CONFIGURATION[0], Pool(FIRST, FIRST + 9)])
    client = Client(1)
    world.say(client.decline(world.bind(client)))
    world.configure(Reservation(FIRST + 5, client.key))
    assert world.bind(client) == FIRST + 5
    world.say(client.decline(FIRST + 5))
    assert world.known(FIRST + 5).is_declined
    address = world.bind(client)
    assert address != FIRST + 5
    world.wait(RELEASE_HOLD_S + 1)
    assert world.one(client.renew(address)).kind is ACK
    assert world.one(client.discover()).address == FIRST + 5, "it may be gone when it starts anew"


@pytest.mark.parametrize("form", ["reboot", "renew", "rebind"])
def test_a_client_is_refused_once_its_address_is_reserved_for_another(form: str) -> None:
    world = World()
    address = world.bind(Client(1))
    world.configure(Reservation(address, Client(5).key))
    message: Received = getattr(Client(1), form)(address)
    assert world.one(message).kind is NAK
    assert world.bind(Client(1)) != address


@pytest.mark.parametrize("address", [FIRST + 3, NOBODYS])
def test_rfc2131_4_3_2_init_reboot_of_a_reserved_address_is_acknowledged(address: int) -> None:
    """A reservation is a record, though there is no lease yet."""
    world = World(rows=POOLS_17)
    world.configure(Reservation(address, Client(1).key))
    assert world.one(Client(1).reboot(address)).kind is ACK
    row = world.known(address)
    assert (row.client_key, row.transaction) == (Client(1).key, Transaction.INIT_REBOOT)
    assert world.one(Client(2).reboot(address)).kind is NAK


# --- REQUEST in RENEWING and REBINDING


def test_rfc2131_4_3_2_renewing_is_unicast_and_answered_to_ciaddr() -> None:
    world = World()
    address = world.bind(Client(1))
    ack = world.one(Client(1).renew(address))
    assert (ack.kind, ack.address) == (ACK, address)
    assert (ack.reply.address, ack.reply.port) == (address, 68)
    assert world.known(address).transaction is Transaction.RENEWING
    assert world.known(address).grant == 2


def test_rfc2131_4_3_2_rebinding_comes_by_broadcast_or_relay() -> None:
    world = World()
    address = world.bind(Client(1))
    assert world.one(Client(1).rebind(address)).kind is ACK
    assert world.known(address).transaction is Transaction.REBINDING
    local = replace(Client(1), relay=0)
    assert world.one(local.rebind(address)).kind is ACK
    assert world.known(address).grant == 3


def test_a_peers_binding_is_renewed_by_any_member() -> None:
    world = World(members=(1, 2), rows=POOLS_17)
    world.merge(peer_row(NOBODYS, Client(1), epoch=7, grant=3))
    assert world.one(Client(1).rebind(NOBODYS)).kind is ACK
    row = world.known(NOBODYS)
    assert (row.epoch, row.grant, row.transaction_server) == (7, 4, 1)


def test_an_expired_binding_is_renewed_for_its_client() -> None:
    world = World(members=(1, 2), rows=POOLS_17)
    world.merge(peer_row(NOBODYS, Client(1), expires_at=NOW - 500))
    assert world.one(Client(1).rebind(NOBODYS)).kind is ACK
    assert world.known(NOBODYS).expires_at > NOW


def test_an_expired_binding_under_our_own_poll_is_not_renewed() -> None:
    polling = AddressRange(NOBODYS, NOBODYS, AddressState.POLLING, 0, 1, Nonce(1, 1), 1)
    world = World(members=(1, 2), rows=POOLS_17)
    world.merge(peer_row(NOBODYS, Client(1), expires_at=NOW - 500))
    world.set_ranges([], [polling])
    world.silent(Client(1).rebind(NOBODYS), "promised_to_other")


def test_an_expired_binding_in_our_new_range_is_bound_under_the_ranges_epoch() -> None:
    world = World(ranges=[bindable(FIRST, FIRST, epoch=4)], members=(1, 2))
    world.merge(peer_row(FIRST, Client(1), epoch=3, grant=9, expires_at=NOW - 500))
    assert world.one(Client(1).rebind(FIRST)).kind is ACK
    row = world.known(FIRST)
    assert (row.epoch, row.grant) == (4, 1)


@pytest.mark.parametrize("form", ["renew", "rebind"])
def test_unknown_bindings_are_met_with_silence_and_never_with_nak(form: str) -> None:
    world = World(rows=POOLS_17)
    client = Client(1)
    message = client.renew(NOBODYS) if form == "renew" else client.rebind(NOBODYS)
    world.silent(message, "unknown_binding" if form == "renew" else "claim_asked")


def test_a_live_lease_of_another_is_met_with_silence() -> None:
    world = World(members=(1, 2))
    address = world.bind(Client(1))
    world.silent(Client(2).rebind(address), "bound_to_other")
    assert world.known(address).client_key == Client(1).key


def test_rebinding_on_the_wrong_network_gets_nak() -> None:
    world = World()
    assert world.one(Client(1).rebind(A("10.0.0.5"))).kind is NAK


def test_renewing_an_address_of_no_subnet_is_met_with_silence() -> None:
    world = World()
    world.silent(Client(1).renew(A("10.0.0.5")), "no_subnet")


@pytest.mark.parametrize("form", ["renew", "rebind"])
def test_draft_6_5_a_client_that_uses_an_address_of_our_own_stock_is_bound(form: str) -> None:
    world = World()
    assert world.one(getattr(Client(1), form)(FIRST)).kind is ACK
    assert world.known(FIRST).grant == 1
    assert world.one(Client(2).discover()).address != FIRST


def test_a_pool_taken_out_of_use_renews_nobody() -> None:
    world = World()
    address = world.bind(Client(1))
    world.configure(Pool(FIRST, LAST, active=False))
    world.silent(Client(1).renew(address), "not_in_pool")


# --- the length of a lease (rule 3)


def test_alone_in_the_group_the_full_lease_is_given_at_once() -> None:
    world = World()
    address = world.bind(Client(1))
    row = world.known(address)
    assert (row.expires_at, row.potential_expires_at) == (NOW + LEASE, NOW + LEASE + LEASE // 2)


def test_a_new_lease_is_bounded_by_mul_while_no_peer_has_recorded_it() -> None:
    world = World(members=(1, 2))
    offer = world.one(Client(1).discover())
    ack = world.one(Client(1).select(offer))
    assert offer.lease_s == ack.lease_s == MUL
    row = world.known(offer.address)
    assert row.expires_at == NOW + MUL
    assert row.potential_expires_at == NOW + LEASE + LEASE // 2


def test_renewal_without_acknowledgement_stays_within_mul() -> None:
    world = World(members=(1, 2))
    address = world.bind(Client(1))
    world.wait(MUL // 2)
    assert world.one(Client(1).renew(address)).lease_s == MUL


def test_renewal_after_acknowledgement_has_the_full_lease() -> None:
    world = World(members=(1, 2))
    address = world.bind(Client(1))
    row = world.known(address)
    with world.store.write() as tx:
        tx.set_acknowledged({row.stream: row.seq})
    world.wait(MUL // 2)
    ack = world.one(Client(1).renew(address))
    assert ack.lease_s == LEASE
    renewed = world.known(address)
    assert renewed.acknowledged_at == row.potential_expires_at
    assert renewed.expires_at <= max(world.now, renewed.acknowledged_at) + MUL


def test_a_known_acknowledgement_outlives_the_next_change() -> None:
    world = World(members=(1, 2))
    address = world.bind(Client(1))
    row = world.known(address)
    with world.store.write() as tx:
        tx.set_acknowledged({row.stream: row.seq})
    world.one(Client(1).renew(address))
    # The renewal itself is not acknowledged; what was known before still counts.
    assert world.one(Client(1).renew(address)).lease_s == LEASE


def test_a_renewal_never_shortens_what_was_promised() -> None:
    world = World(members=(1, 2), rows=POOLS_17)
    world.merge(peer_row(NOBODYS, Client(1), expires_at=NOW + 50_000))
    ack = world.one(Client(1).rebind(NOBODYS))
    assert ack.lease_s == MUL
    assert world.known(NOBODYS).expires_at == NOW + 50_000


def test_expiry_is_rounded_to_the_safe_side() -> None:
    world = World()
    world.now_ms += 1
    address = world.bind(Client(1))
    assert world.known(address).expires_at == NOW + 1 + LEASE


def test_rfc2131_4_4_5_t1_and_t2() -> None:
    world = World()
    offer = world.one(Client(1).discover())
    assert offer.seconds(58) == LEASE // 2
    assert offer.seconds(59) == LEASE * 7 // 8


@pytest.mark.parametrize(("asked", "given"), [(900, 900), (5, 60), (99_999, LEASE)])
def test_rfc2132_9_2_the_clients_wish_is_an_upper_bound(asked: int, given: int) -> None:
    world = World()
    assert world.one(Client(1).discover(o51=asked.to_bytes(4, "big"))).lease_s == given


def test_rfc2131_3_3_an_infinite_lease_has_no_timers() -> None:
    world = World(lease_s=0xFFFF_FFFF)
    offer = world.one(Client(1).discover())
    assert offer.lease_s == 0xFFFF_FFFF
    assert not {58, 59} & offer.options.keys()
    world.one(Client(1).select(offer))
    world.wait(10**9)
    assert world.known(offer.address).is_live(world.now)


def test_decline_by_a_client_whose_lease_is_over_is_not_believed() -> None:
    world = World()
    address = world.bind(Client(1))
    world.wait(LEASE + 1)
    world.silent(Client(1).decline(address), "not_holder")
    assert world.known(address).state is BindingState.BOUND


# --- reservations


def test_a_reservation_is_given_to_its_client_and_to_nobody_else() -> None:
    world = World(ranges=[bindable(FIRST, FIRST + 1)])
    world.configure(Reservation(FIRST, Client(5).key, hostname="printer"))
    assert world.one(Client(1).discover(o50=FIRST.to_bytes(4, "big"))).address == FIRST + 1
    world.silent(Client(2).discover(), "no_free_address")
    offer = world.one(Client(5).discover())
    assert offer.address == FIRST
    assert offer.options[12] == b"printer"
    world.one(Client(5).select(offer))
    assert world.known(FIRST).hostname == "printer"


def test_a_reservation_outside_of_every_pool_is_bound_by_any_member() -> None:
    world = World(ranges=[], members=(1, 2))
    world.configure(Reservation(NOBODYS, Client(5).key))
    assert world.bind(Client(5)) == NOBODYS
    assert (world.known(NOBODYS).epoch, world.known(NOBODYS).grant) == (1, 1)
    assert world.one(Client(5).rebind(NOBODYS)).kind is ACK


@pytest.mark.parametrize("servers", [ME, A("198.18.0.2")])
def test_a_reservation_of_a_servers_own_address_is_worth_nothing(servers: int) -> None:
    world = World(members=(1, 2), ranges=[bindable(FIRST, FIRST)])
    world.configure(Reservation(servers, Client(5).key))
    assert world.one(Client(5).discover()).address == FIRST
    world.silent(Client(5).renew(servers), "server_address")


def wished(world: World) -> list[int]:
    with world.store.read() as tx:
        return [one.address for one in tx.open_enquiries(10)]


def test_a_reservation_waits_for_the_lease_of_another_and_until_it_is_polled_for() -> None:
    """A member that has not heard of the reservation may have extended the lease."""
    world = World(ranges=[], members=(1, 2), rows=POOLS_17)
    world.merge(peer_row(NOBODYS, Client(1), epoch=3, expires_at=NOW + 100))
    world.configure(Reservation(NOBODYS, Client(5).key))
    world.silent(Client(5).discover())
    assert world.one(Client(1).renew(NOBODYS)).kind is NAK
    world.wait(100 + EXPIRY_GRACE_S - 1)
    world.silent(Client(5).discover())
    assert wished(world) == []
    world.wait(1)
    before = world.server.committed
    world.silent(Client(5).discover())
    assert (wished(world), world.server.committed) == ([NOBODYS], before + 1)
    world.silent(Client(5).discover(), "reserved_asked")
    assert world.server.committed == before + 1, "once is enough"
    world.set_ranges([], [bindable(NOBODYS, NOBODYS, epoch=4)])
    assert world.bind(Client(5)) == NOBODYS
    assert (world.known(NOBODYS).epoch, world.known(NOBODYS).grant) == (4, 1)


def test_a_wish_is_written_with_the_batch_that_writes() -> None:
    """One commit, and one wake-up of the agent, for a renewal and the wish beside it."""
    world = World(ranges=[bindable(FIRST, FIRST + 9)], members=(1, 2), rows=POOLS_17)
    address = world.bind(Client(1))
    world.merge(peer_row(NOBODYS, Client(9), epoch=3, expires_at=NOW - 100))
    world.configure(Reservation(NOBODYS, Client(5).key))
    before = world.server.committed
    assert [one.kind for one in world.say(Client(5).reboot(NOBODYS), Client(1).renew(address))] == [
        ACK
    ]
    assert wished(world) == [NOBODYS]
    assert world.server.committed == before + 2
    world.failing.failing = True
    world.say(Client(5).reboot(NOBODYS))
    world.failing.failing = False
    assert wished(world) == [NOBODYS]


def test_alone_a_member_gives_a_reserved_address_to_its_client_when_the_lease_is_over() -> None:
    world = World(ranges=[], rows=POOLS_17)
    world.merge(peer_row(NOBODYS, Client(1), epoch=3, expires_at=NOW - EXPIRY_GRACE_S))
    world.configure(Reservation(NOBODYS, Client(5).key))
    assert world.bind(Client(5)) == NOBODYS
    assert (world.known(NOBODYS).epoch, world.known(NOBODYS).grant) == (4, 1)


def test_a_reservation_that_nobody_had_is_above_what_was_owned_in_an_earlier_generation() -> None:
    """A member that was removed may come back with a record that nobody else had."""
    world = World(ranges=[], members=(1, 2))
    with world.store.write() as tx:
        tx.put_group(replace(group_of(1, 2), generation=3))
    world.configure(Reservation(NOBODYS, Client(5).key))
    assert world.bind(Client(5)) == NOBODYS
    assert world.known(NOBODYS).epoch == (2 << 32) + 1


@pytest.mark.parametrize(
    "state", [AddressState.PROMISED, AddressState.TRANSFERRING, AddressState.POLLING]
)
def test_a_reservation_yields_to_what_was_promised(state: AddressState) -> None:
    """The other member may not have heard of it, and give the address to anybody."""
    given = AddressRange(FIRST, FIRST + 9, state, 3, 2, Nonce(1, 1), 1)
    world = World(ranges=[given], members=(1, 2))
    world.configure(Reservation(FIRST, Client(5).key))
    world.silent(Client(5).discover())
    assert wished(world) == [FIRST]
    world.merge(peer_row(FIRST, Client(5), epoch=2, expires_at=NOW - 100))
    world.silent(Client(5).reboot(FIRST), "reserved_asked")
    world.set_ranges([given], [])
    assert world.one(Client(5).discover()).address == FIRST


def test_a_reservation_does_not_yield_to_a_promise_of_which_its_lease_came() -> None:
    world = World(ranges=[promised(FIRST, FIRST + 9, 3)], members=(1, 2))
    world.configure(Reservation(FIRST, Client(5).key))
    world.merge(peer_row(FIRST, Client(5), epoch=3))
    assert world.one(Client(5).rebind(FIRST)).kind is ACK


def test_who_joined_later_does_not_know_who_owns_a_reserved_address_of_a_pool() -> None:
    world = World(ranges=[], members=(1, 2), rows=POOLS_17)
    with world.store.write() as tx:
        tx.set_serving(True, since=NOW - 500)
    outside = A("198.18.20.1")
    world.configure(Reservation(FIRST, Client(5).key), Reservation(outside, Client(6).key))
    world.silent(Client(5).discover())
    assert wished(world) == [FIRST]
    assert world.bind(Client(6)) == outside
    world.merge(peer_row(FIRST, Client(5), expires_at=NOW - 400))
    assert world.one(Client(5).discover()).address == FIRST


def test_a_reservation_that_is_taken_away_again_leaves_its_client_the_address() -> None:
    world = World(ranges=[], members=(1, 2), rows=POOLS_17)
    world.configure(Reservation(NOBODYS, Client(5).key))
    world.bind(Client(5))
    world.configure(Reservation(NOBODYS, Client(5).key), deleted=True)
    assert world.one(Client(5).renew(NOBODYS)).kind is ACK
    world.silent(Client(6).reboot(NOBODYS), "bound_to_other")


def test_a_reservation_waits_for_the_hold_down_of_a_release() -> None:
    world = World(ranges=[], rows=POOLS_17)
    row = peer_row(NOBODYS, Client(1), epoch=3, state=BindingState.RELEASED)
    world.merge(row._replace(acknowledged_at=row.potential_expires_at))
    world.configure(Reservation(NOBODYS, Client(5).key))
    world.silent(Client(5).discover())
    world.wait(RELEASE_HOLD_S)
    assert world.bind(Client(5)) == NOBODYS


def test_a_release_that_not_everybody_can_place_keeps_the_address_as_a_lease_does() -> None:
    """A member that was cut off may have given the same client a lease under a lower grant."""
    world = World(ranges=[], rows=POOLS_17)
    row = peer_row(NOBODYS, Client(1), epoch=3, state=BindingState.RELEASED)
    world.merge(row)
    world.configure(Reservation(NOBODYS, Client(5).key))
    world.wait(RELEASE_HOLD_S)
    world.silent(Client(5).discover())
    world.wait(row.expires_at + EXPIRY_GRACE_S - NOW - RELEASE_HOLD_S)
    assert world.bind(Client(5)) == NOBODYS


def test_a_release_is_settled_when_the_others_had_recorded_the_lease() -> None:
    world = World(members=(1, 2))
    address = world.bind(Client(1))
    world.say(Client(1).release(address))
    assert not world.known(address).is_settled
    other = world.bind(Client(2))
    row = world.known(other)
    with world.store.write() as tx:
        tx.set_acknowledged({row.stream: row.seq})
    world.say(Client(2).release(other))
    assert world.known(other).is_settled


# --- DECLINE


def test_rfc2131_4_3_3_decline_by_the_holder_makes_the_address_unavailable() -> None:
    world = World()
    address = world.bind(Client(1))
    assert world.say(Client(1).decline(address)) == []
    row = world.known(address)
    assert row.state is BindingState.UNAVAILABLE
    assert row.expires_at == NOW + DECLINE_HOLD_S
    assert row.transaction is Transaction.DECLINE
    assert world.one(Client(1).discover(o50=address.to_bytes(4, "big"))).address != address


def test_decline_by_a_stranger_or_to_another_server_changes_nothing() -> None:
    world = World()
    address = world.bind(Client(1))
    world.silent(Client(2).decline(address), "not_holder")
    world.silent(Client(1).decline(address, server=A("198.18.0.9")))
    assert world.known(address).state is BindingState.BOUND


def test_declines_of_one_client_are_capped() -> None:
    world = World()
    for _ in range(DECLINES_PER_CLIENT_MAX):
        world.say(Client(1).decline(world.bind(Client(1))))
    address = world.bind(Client(1))
    world.silent(Client(1).decline(address), "too_many_declines")
    assert world.known(address).state is BindingState.RELEASED
    world.wait(DECLINE_HOLD_S)
    address = world.bind(Client(1))
    world.say(Client(1).decline(address))
    assert world.known(address).state is BindingState.UNAVAILABLE


def test_rfc2131_3_1_5_a_client_gets_another_address_after_every_decline() -> None:
    """Two squatters in a pool of ten, which lets one be believed: eight are left for the client."""
    world = World(
        rows=[CONFIGURATION[0], Pool(FIRST, FIRST + 9)], ranges=[bindable(FIRST, FIRST + 9)]
    )
    seen = set()
    for _ in range(9):
        address = world.bind(Client(1))
        assert address not in seen
        seen.add(address)
        world.say(Client(1).decline(address))
    states = [world.known(address).state for address in sorted(seen)]
    assert states.count(BindingState.UNAVAILABLE) == 1
    assert states.count(BindingState.RELEASED) == 8


def test_what_was_declined_past_the_caps_is_no_longer_its_clients() -> None:
    world = World(rows=[CONFIGURATION[0], Pool(FIRST, FIRST + 9)])
    world.say(Client(1).decline(world.bind(Client(1))))
    address = world.bind(Client(1))
    world.say(Client(1).decline(address))
    assert world.known(address).is_declined
    world.silent(Client(1).renew(address), "unknown_binding")
    world.silent(Client(1).reboot(address), "unknown_binding")
    offer = replace(world.one(Client(1).discover()), address=address)
    assert world.one(Client(1).select(offer)).kind is NAK


def test_a_decline_that_not_everybody_can_place_keeps_the_address_as_a_lease_does() -> None:
    world = World(members=(1, 2), rows=[CONFIGURATION[0], Pool(FIRST, FIRST + 9)])
    world.say(Client(1).decline(world.bind(Client(1))))
    address = world.bind(Client(1))
    world.say(Client(1).decline(address))
    row = world.known(address)
    assert (row.state, row.is_settled) == (BindingState.RELEASED, False)
    world.silent(Client(1).renew(address), "declined")


def test_rfc2131_3_3_a_declined_address_of_an_infinite_lease_does_not_rest_for_ever() -> None:
    world = World(lease_s=0xFFFF_FFFF)
    address = world.bind(Client(1))
    world.say(Client(1).decline(address))
    row = world.known(address)
    assert row.is_declined
    assert not is_dead(row, world.now + RELEASE_HOLD_S - 1)
    assert is_dead(row, world.now + RELEASE_HOLD_S)
    assert world.bind(Client(1)) != address


# --- RELEASE


def test_rfc2131_4_3_4_release_by_its_client_is_remembered() -> None:
    world = World()
    address = world.bind(Client(1))
    before = world.known(address)
    assert world.say(Client(1).release(address)) == []
    row = world.known(address)
    assert row.state is BindingState.RELEASED
    assert (row.epoch, row.grant) == (before.epoch, before.grant)
    assert row.client_key == Client(1).key
    assert row.seq > before.seq


@pytest.mark.parametrize("wrong", ["client", "source", "server", "hardware"])
def test_release_must_match_client_hardware_address_and_source(wrong: str) -> None:
    world = World()
    holder = Client(1, identifier=b"\x00me")
    address = world.bind(holder)
    if wrong == "client":
        message = replace(holder, identifier=b"\x00you").release(address)
    elif wrong == "hardware":
        message = replace(holder, number=2).release(address)
    elif wrong == "source":
        message = holder.release(address, source=address + 1)
    else:
        message = holder.release(address, server=A("198.18.0.9"))
    world.silent(message)
    assert world.known(address).state is BindingState.BOUND


# --- INFORM


def test_rfc2131_4_3_5_inform_gives_options_and_no_lease() -> None:
    world = World()
    ack = world.one(Client(1, relay=0).inform(A("198.18.15.9")))
    assert ack.kind is ACK
    assert ack.address == 0
    assert not {51, 58, 59} & ack.options.keys()
    assert ack.options[15] == b"example.org"
    assert (ack.reply.address, ack.reply.port) == (A("198.18.15.9"), 68)


def test_inform_without_an_address_or_from_nowhere_is_dropped() -> None:
    world = World()
    world.silent(Client(1).inform(0), "no_address")
    world.silent(Client(1, relay=0).inform(A("10.0.0.9")), "no_subnet")


# --- who is served at all


def test_a_member_that_does_not_serve_is_silent() -> None:
    world = World()
    address = world.bind(Client(1))
    with world.store.write() as tx:
        tx.set_serving(False, since=0)
    world.silent(Client(2).discover(), "not_serving")
    world.silent(Client(1).renew(address), "not_serving")
    world.silent(Client(1).inform(address), "not_serving")


def test_relays_in_circles_are_dropped() -> None:
    world = World()
    assert world.say(Client(1).message(1, {}, hops=RELAY_HOPS_MAX))
    world.silent(Client(1).message(1, {}, hops=RELAY_HOPS_MAX + 1), "hops")


def test_an_interface_that_does_not_serve_hears_nothing() -> None:
    other = Interface(3, "eth1", b"\x02\0\0\0\0\x02", (A("198.18.0.77"),), served=False)
    world = World(interfaces=[ETH0, other])
    world.silent(Client(1, interface=3).discover(), "interface_not_served")
    world.silent(Client(1, interface=9).discover(), "interface_not_served")


def test_each_interface_serves_its_own_subnet_under_its_own_address() -> None:
    eth1 = Interface(3, "eth1", b"\x02\0\0\0\0\x02", (A("10.1.0.2"),))
    rows = [*CONFIGURATION, Subnet(A("10.1.0.0"), 24), Pool(A("10.1.0.100"), A("10.1.0.200"))]
    ranges = [bindable(FIRST, LAST), bindable(A("10.1.0.100"), A("10.1.0.200"))]
    world = World(rows=rows, interfaces=[ETH0, eth1], ranges=ranges)
    here = world.one(Client(1, relay=0).discover())
    there = world.one(Client(2, relay=0, interface=3).discover())
    assert FIRST <= here.address <= LAST
    assert A("10.1.0.100") <= there.address <= A("10.1.0.200")
    assert here.options[54] == ME.to_bytes(4, "big")
    assert there.options[54] == A("10.1.0.2").to_bytes(4, "big")
    assert world.one(Client(2, relay=0, interface=3).select(there)).kind is ACK


def test_a_subnet_bound_to_an_interface_is_not_served_to_relays() -> None:
    world = World(rows=[replace(Subnet(A("198.18.0.0"), 15), interface="eth0"), *CONFIGURATION[1:]])
    world.silent(Client(1).discover(), "no_subnet")
    assert world.one(Client(1, relay=0).discover()).kind is OFFER


def test_configuration_and_ownership_are_followed_from_batch_to_batch() -> None:
    world = World(ranges=[])
    world.silent(Client(1).discover(), "no_free_address")
    world.set_ranges([], [bindable(FIRST, FIRST + 9)])
    offer = world.one(Client(1).discover())
    assert offer.options[3] == A("198.18.0.254").to_bytes(4, "big")
    world.configure(Option(*subnet_scope(A("198.18.0.0"), 15), 3, ME.to_bytes(4, "big")))
    assert world.one(Client(1).discover()).options[3] == ME.to_bytes(4, "big")


def test_a_grown_group_shortens_new_leases_at_once() -> None:
    world = World()
    assert world.one(Client(1).discover()).lease_s == LEASE
    with world.store.write() as tx:
        tx.put_group(replace(group_of(1, 2), generation=2))
    assert world.one(Client(1).discover()).lease_s == MUL


def test_a_joined_member_serves_no_lease_that_had_ended_before_it_came() -> None:
    """It agreed to no poll then, so the address may be another member's by now."""
    world = World(members=(1, 2), rows=POOLS_17)
    world.merge(peer_row(NOBODYS, Client(1), expires_at=NOW - 500))
    with world.store.write() as tx:
        tx.set_serving(True, since=NOW - 500)
    world.silent(Client(1).renew(NOBODYS), "ended_before_joining")
    world.silent(Client(1).rebind(NOBODYS), "claim_asked")
    with world.store.write() as tx:
        tx.set_serving(True, since=NOW - 501)
    assert world.one(Client(1).rebind(NOBODYS)).kind is ACK


PROMISED = AddressRange(NOBODYS, NOBODYS, AddressState.PROMISED, 5, 2, Nonce(1, 1), 1)


def promised_world(*, silent: bool = True, mul: int = 600) -> World:
    world = World(members=(1, 2), rows=POOLS_17)
    world.set_ranges([], [PROMISED])
    with world.store.write() as tx:
        tx.set_silent_members([2] if silent else [])
    return world


def test_draft_6_5_a_rebinding_client_of_a_silent_member_is_believed_for_at_most_mul() -> None:
    """Its server ended after the ACK and before the push."""
    world = promised_world()
    ack = world.one(Client(1).rebind(NOBODYS))
    assert ack.kind is ACK
    group = world.store
    with group.read() as tx:
        value = tx.group()
    assert value is not None
    assert ack.lease_s <= value.mul_s
    row = world.known(NOBODYS)
    assert (row.epoch, row.grant, row.transaction) == (5, 1, Transaction.CLAIM)


def test_what_is_recorded_about_a_client_does_not_shrink_when_it_is_believed() -> None:
    """Its own member may count on the record, and give a lease up to MUL beyond it."""
    world = promised_world()
    row = peer_row(NOBODYS, Client(1), epoch=4, state=BindingState.RELEASED)
    row = row._replace(transaction_at=NOW - 10 * LEASE, expires_at=NOW - 500)
    row = row._replace(potential_expires_at=NOW + 9 * LEASE, acknowledged_at=NOW + 9 * LEASE)
    world.merge(row)
    assert world.one(Client(1).rebind(NOBODYS)).kind is ACK
    assert world.known(NOBODYS).epoch == 5
    assert world.known(NOBODYS).potential_expires_at == row.potential_expires_at


def test_draft_6_5_it_is_not_believed_while_its_member_can_answer_itself() -> None:
    world = promised_world(silent=False)
    world.silent(Client(1).rebind(NOBODYS), "promised_to_other")


def test_draft_6_5_init_reboot_is_never_believed() -> None:
    world = promised_world()
    world.silent(Client(1).reboot(NOBODYS), "unknown_binding")


@pytest.mark.parametrize(("epoch", "ago"), [(5, 500), (6, 500), (4, -500)])
def test_draft_6_5_it_is_not_believed_against_a_record(epoch: int, ago: int) -> None:
    """A binding of that ownership, or a lease that runs."""
    world = promised_world()
    world.merge(peer_row(NOBODYS, Client(2), epoch=epoch, expires_at=NOW - ago))
    assert world.say(Client(1).rebind(NOBODYS)) == []


def test_draft_6_5_a_dead_record_of_an_older_ownership_does_not_matter() -> None:
    world = promised_world()
    world.merge(peer_row(NOBODYS, Client(2), epoch=4, expires_at=NOW - 500))
    assert world.one(Client(1).rebind(NOBODYS)).kind is ACK
    assert world.known(NOBODYS).epoch == 5


HARDWARE = Reservation(A("198.18.20.1"), Client(1).key)
"""By hardware address, as its label says it."""


@pytest.mark.parametrize("identifier", [None, b"\x01\x02\x00\x00\x00\x00\x01", b"\xff1234"])
def test_a_reservation_by_hardware_address_is_for_any_identifier(identifier: bytes | None) -> None:
    world = World(rows=[*CONFIGURATION, HARDWARE], members=(1, 2))
    client = Client(1, identifier=identifier)
    offer = world.one(client.discover())
    assert offer.address == HARDWARE.address
    assert world.one(client.select(offer)).kind is ACK
    assert world.known(HARDWARE.address).client_key == client.key


def test_the_system_that_a_boot_rom_loads_gets_its_reserved_address_at_once() -> None:
    """Same machine, another identifier: under a new epoch, so that no merge sees a conflict."""
    world = World(rows=[*CONFIGURATION, HARDWARE], members=(1, 2))
    rom, system = Client(1, identifier=b"rom"), Client(1, identifier=b"system")
    world.one(rom.select(world.one(rom.discover())))
    before = world.known(HARDWARE.address)
    world.one(system.select(world.one(system.discover())))
    row = world.known(HARDWARE.address)
    assert (row.client_key, row.epoch) == (system.key, before.epoch + 1)
    stranger = Client(2, identifier=b"rom")
    assert world.one(stranger.discover()).address != HARDWARE.address


def test_clients_without_a_hardware_address_are_not_one_machine() -> None:
    """htype 1 with hlen 0, by their identifiers: a reserved address goes to the one of its own."""
    world = World(rows=[*CONFIGURATION, Reservation(HARDWARE.address, b"\x01first")])
    nameless = peer_row(HARDWARE.address, Client(1, identifier=b"other"))
    world.merge(nameless._replace(hardware_address=b""))
    asked = Client(1, identifier=b"first").discover()
    data = asked.data[:2] + b"\0" + asked.data[3:28] + bytes(16) + asked.data[44:]
    assert world.one(asked._replace(data=data)).address != HARDWARE.address
