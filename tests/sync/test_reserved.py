"""Reservations of addresses that a member owns, or that another client had (architecture, table of
corrected rules): real nodes, and the DHCP server on their stores."""

from __future__ import annotations

import pytest

from agent.dhcp.engine import DhcpServer
from agent.dhcp.packet import MessageType, Received
from agent.limits import HELD_WAIT_MS, WISH_MS
from agent.model import AddressState, Binding, Reservation
from tests.dhcp.world import ETH0, Client, Said
from tests.sync.lan import POOL_FIRST, Lan, make_binding, make_group
from tests.sync.test_group import propose

BINDABLE, PROMISED, POLLING = AddressState.BINDABLE, AddressState.PROMISED, AddressState.POLLING
R, D = Client(5), Client(6)


class Site:
    """A LAN of nodes with a DHCP server each."""

    def __init__(self, *members: int, reserved: int = 0) -> None:
        self.lan = Lan(members, make_group(members), pool_size=90)
        for store in self.lan.stores.values() if reserved else ():
            with store.write() as tx:
                tx.save_configuration([(Reservation(reserved, R.key), False)])
        self.lan.run(8_000)
        self.servers = {m: DhcpServer(self.lan.stores[m], {2: ETH0}) for m in members}

    def reserve(self, at: int, address: int, *, deleted: bool = False) -> None:
        with self.lan.stores[at].write() as tx:
            tx.save_configuration([(Reservation(address, R.key), deleted)])
        self.lan.nodes[at].notice_store_change()

    def say(self, at: int, datagram: Received) -> Said | None:
        replies = self.servers[at].handle_batch([datagram], self.lan.clock(at))
        self.lan.nodes[at].notice_store_change()
        return Said.parse(replies[0]) if replies else None

    def wait(self, at: int, ms: int = HELD_WAIT_MS) -> Said | None:
        """What the server says after so long to a message that it has kept."""
        self.lan.run(ms)
        replies = self.servers[at].handle_held(self.lan.clock(at))
        self.lan.nodes[at].notice_store_change()
        return Said.parse(replies[0]) if replies else None

    def waits(self, at: int) -> bool:
        """Whether R is made to wait for its address there, instead of being offered another."""
        return self.say(at, R.discover()) is None and self.servers[at].is_holding

    def bind(self, at: int, client: Client, **options: bytes) -> int:
        """The address that the client gets there."""
        offer = self.say(at, client.discover(**options))
        assert offer is not None
        ack = self.say(at, client.select(offer))
        assert ack is not None
        assert ack.kind is MessageType.ACK
        return ack.address

    def state(self, member: int, address: int) -> AddressState | None:
        with self.lan.stores[member].read() as tx:
            rows = tx.address_ranges(address, address)
        return rows[0].state if rows else None

    def row(self, member: int, address: int) -> Binding | None:
        with self.lan.stores[member].read() as tx:
            return tx.bindings_by_address([address]).get(address)

    def owned_by(self, member: int) -> int:
        return self.lan.ranges(member, BINDABLE)[0].first


def test_its_owner_gives_it_back_so_that_any_member_gives_it_to_its_client() -> None:
    site = Site(1, 2, 3)
    address = site.owned_by(2)
    site.reserve(1, address)
    assert site.waits(1), "2 does not know of it yet"
    offer = site.wait(1)
    assert offer is not None
    assert offer.address == address
    assert [site.state(member, address) for member in (1, 2, 3)] == [None] * 3
    assert site.bind(1, R) == address
    site.lan.run(1_000)
    renewed = site.say(3, R.rebind(address))
    assert renewed is not None
    assert renewed.kind is MessageType.ACK


def test_a_member_that_has_not_heard_of_it_may_give_it_to_anybody() -> None:
    """The counterexample: both gave it away, under epochs 1 and 3."""
    site = Site(1, 2)
    address = site.owned_by(2)
    site.lan.cut(1)
    site.reserve(1, address)
    assert site.bind(2, D, o50=address.to_bytes(4, "big")) == address
    assert site.waits(1), "it is not known yet that nothing is heard of 2"
    site.lan.run(20_000)
    assert site.bind(1, R) != address
    site.lan.heal()
    site.lan.run(10_000)
    assert site.bind(1, R) != address, "D has a lease"
    row = site.row(1, address)
    assert row is not None
    assert row.client_key == D.key


def test_an_owner_that_hears_nobody_keeps_it_and_serves_the_client() -> None:
    site = Site(1, 2)
    address = site.owned_by(2)
    site.lan.cut(1)
    site.lan.run(10_000)
    site.reserve(2, address)
    site.lan.run(10_000)
    assert site.state(2, address) is BINDABLE
    assert site.bind(2, R) == address


def test_where_another_client_was_it_is_polled_for_and_goes_back_if_it_is_not_taken() -> None:
    site = Site(1, 2, 3)
    address = site.owned_by(2) + 5
    over = make_binding(address, site.lan.now_s, 2, epoch=9, expires_at=site.lan.now_s - 100)
    site.lan.save(2, [over])
    site.lan.run(1_000)
    site.reserve(1, address)
    site.lan.run(1_500)
    assert site.waits(1)
    offer = site.wait(1)
    assert offer is not None
    assert offer.address == address
    assert [site.state(m, address) for m in (1, 2, 3)] == [BINDABLE, PROMISED, PROMISED]
    site.lan.run(WISH_MS + 3_000)
    assert [site.state(m, address) for m in (1, 2, 3)] == [None] * 3
    site.lan.run(60_000)
    assert site.waits(1)
    offer = site.wait(1)
    assert offer is not None
    ack = site.say(1, R.select(offer))
    assert ack is not None
    assert ack.address == address
    row = site.row(1, address)
    assert row is not None
    assert row.epoch > 9


def test_another_client_whose_lease_goes_on_elsewhere_keeps_it() -> None:
    """3 is cut off, has not heard of the reservation, and extends a lease that is over for 1."""
    site = Site(1, 2, 3)
    site.lan.cut(3)
    address = site.owned_by(2) + 5
    over = make_binding(address, site.lan.now_s, 2, epoch=9, expires_at=site.lan.now_s - 100)
    site.lan.save(2, [over])
    site.reserve(1, address)
    for _ in range(10):
        site.lan.run(20_000)
        assert site.bind(1, R) != address


def joined_later() -> Site:
    site = Site(1, 2)
    site.lan.add(3)
    propose(site.lan, 1, 3)
    site.lan.run(10_000)
    assert site.lan.serving(3)
    site.servers[3] = DhcpServer(site.lan.stores[3], {2: ETH0})
    return site


def test_who_joined_later_polls_for_it() -> None:
    site = joined_later()
    address = site.owned_by(2)
    site.reserve(1, address)
    site.lan.run(1_500)
    assert site.waits(3)
    offer = site.wait(3)
    assert offer is not None
    assert offer.address == address


def test_who_has_just_heard_no_asks_again() -> None:
    site = joined_later()
    address = site.owned_by(2)
    site.reserve(3, address)
    assert site.waits(3)
    assert site.wait(3, 100) is None
    with site.lan.stores[3].read() as tx:
        said = tx.enquiry(address)
    assert said is not None
    assert (said.complete, said.free) == (True, False), "2 has not heard of it yet"
    said_at_last = [site.wait(3), site.wait(3)]
    assert [one.address for one in said_at_last if one is not None] == [address]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(("members", "at"), [((1,), 1), ((1, 2, 3), 1), ((1, 2, 3), 2)])
def test_a_client_gets_its_reserved_address_of_a_pool_at_first_contact(
    members: tuple[int, ...], at: int, before: bool
) -> None:
    """Reserved before anybody owned it, or when 1 owns it; the client asks once, a minute later."""
    address = POOL_FIRST + 40
    site = Site(*members, reserved=address if before else 0)
    if not before:
        address = site.owned_by(1) + 3
        site.reserve(1, address)
    for store in site.lan.stores.values():
        with store.write() as tx:  # as after `init`, which makes a member that joins its own group
            tx.set_serving(True, since=site.lan.now_s)
    site.lan.run(60_000)
    said = [site.say(at, R.discover()), site.wait(at), site.wait(at)]
    assert [one.address for one in said if one is not None][:1] == [address]


def test_a_client_is_not_kept_waiting_for_what_cannot_be_had_soon() -> None:
    """Its address was somebody's, and polls wait: after a removal they do for a while."""
    site = joined_later()
    address = site.owned_by(2)
    site.lan.nodes[3]._situation.polls_wait_until_ms = site.lan.clock(3) + 10**7
    site.reserve(3, address)
    assert site.waits(3)
    said = [site.wait(3), site.wait(3), site.wait(3)]
    offers = [one.address for one in said if one is not None]
    assert len(offers) == 1
    assert offers[0] != address
    again = site.say(3, R.discover())
    assert again is not None, "for a while it need not wait again"


def test_a_renewal_is_held_back_for_a_moment_and_then_refused_for_the_reserved_address() -> None:
    site = joined_later()
    lease = site.bind(3, R)
    address = next(a for a in range(lease - 80, lease + 80) if site.state(2, a) is BINDABLE)
    site.reserve(1, address)
    site.lan.run(2_000)
    assert site.say(3, R.renew(lease)) is None
    nak = site.wait(3)
    assert nak is not None
    assert nak.kind is MessageType.NAK
    assert site.bind(3, R) == address


def test_a_renewal_is_extended_where_the_reserved_address_cannot_be_had() -> None:
    site = joined_later()
    lease = site.bind(3, R)
    address = next(a for a in range(lease - 80, lease + 80) if site.state(2, a) is BINDABLE)
    site.lan.nodes[3]._situation.polls_wait_until_ms = site.lan.clock(3) + 10**7
    site.reserve(3, address)
    assert site.say(3, R.renew(lease)) is None
    said = [site.wait(3), site.wait(3), site.wait(3)]
    acks = [one for one in said if one is not None]
    assert [(one.kind, one.address) for one in acks] == [(MessageType.ACK, lease)]
    again = site.say(3, R.renew(lease))
    assert again is not None
    assert again.kind is MessageType.ACK
