"""Reservations of addresses that a member owns, or that another client had (architecture, table of
corrected rules): real nodes, and the DHCP server on their stores."""

from __future__ import annotations

from agent.dhcp.engine import DhcpServer
from agent.dhcp.packet import MessageType, Received
from agent.limits import WISH_AGAIN_MS, WISH_MS
from agent.model import AddressState, Binding, Reservation
from tests.dhcp.world import ETH0, Client, Said
from tests.sync.lan import Lan, make_binding, make_group
from tests.sync.test_group import propose

BINDABLE, PROMISED, POLLING = AddressState.BINDABLE, AddressState.PROMISED, AddressState.POLLING
R, D = Client(5), Client(6)


class Site:
    """A LAN of nodes with a DHCP server each."""

    def __init__(self, *members: int) -> None:
        self.lan = Lan(members, make_group(members), pool_size=90)
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
    assert site.bind(1, R) != address, "2 does not know of it yet"
    site.lan.run(1_500)
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
    assert site.bind(1, R) != address
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
    assert site.bind(1, R) != address
    site.lan.run(1_500)
    assert [site.state(m, address) for m in (1, 2, 3)] == [BINDABLE, PROMISED, PROMISED]
    site.lan.run(WISH_MS + 3_000)
    assert [site.state(m, address) for m in (1, 2, 3)] == [None] * 3
    site.lan.run(60_000)
    assert site.bind(1, R) != address
    site.lan.run(1_500)
    assert site.bind(1, R) == address
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
    assert site.bind(3, R) != address
    site.lan.run(1_500)
    assert site.bind(3, R) == address


def test_who_has_just_heard_no_asks_again() -> None:
    site = joined_later()
    address = site.owned_by(2)
    site.reserve(3, address)
    assert site.bind(3, R) != address
    site.lan.run(100)
    with site.lan.stores[3].read() as tx:
        said = tx.enquiry(address)
    assert said is not None
    assert (said.complete, said.free) == (True, False), "2 has not heard of it yet"
    site.lan.run(WISH_AGAIN_MS + 1_000)
    assert site.bind(3, R) != address
    site.lan.run(1_500)
    assert site.bind(3, R) == address
