"""Subnets of one link (shared networks), and options by scope: pool, subnet, shared network."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.dhcp.packet import MessageType
from agent.errors import ConfigError
from agent.kinds.scope import GLOBAL, host_scope, network_scope, pool_scope, subnet_scope
from agent.model import ConfigRow, Option, Pool, Reservation, Subnet
from agent.settings.configuration import Configuration
from agent.settings.validate import validate_configuration
from tests.dhcp.world import ETH0, FAR_RELAY, ME, A, Client, World, bindable

NEAR = Subnet(A("198.18.0.0"), 15, shared_network="halls")
FAR = Subnet(A("10.1.0.0"), 24, shared_network="halls")
OTHER = Subnet(A("10.9.0.0"), 24)
FIRST, LAST = A("198.18.16.0"), A("198.18.16.1")
"""Of two addresses."""
BEHIND = A("10.1.0.100")
ROWS: list[ConfigRow] = [
    NEAR,
    FAR,
    OTHER,
    Pool(FIRST, LAST),
    Pool(BEHIND, BEHIND + 9),
    Pool(A("10.9.0.100"), A("10.9.0.199")),
]


def make_world(*more: ConfigRow) -> World:
    free = [bindable(FIRST, LAST), bindable(BEHIND, BEHIND + 9)]
    return World(rows=[*ROWS, *more], ranges=free)


@pytest.mark.parametrize("relay", [0, A("198.18.15.1")], ids=["on the link", "behind a relay"])
def test_a_full_subnet_goes_on_in_the_next_of_its_shared_network(relay: int) -> None:
    world = make_world()
    given = [world.one(Client(n, relay=relay).discover()).address for n in range(1, 5)]
    assert sorted(given[:2]) == [FIRST, LAST]
    assert all(address in FAR for address in given[2:])


def test_a_relays_own_subnet_comes_first() -> None:
    world = make_world()
    offer = world.one(Client(1, relay=FAR_RELAY).discover())
    assert offer.address in FAR
    assert offer.options[1] == A("255.255.255.0").to_bytes(4, "big")
    assert world.one(Client(1, relay=FAR_RELAY).select(offer)).address == offer.address


def test_a_recorded_lease_in_the_second_subnet_is_renewed_behind_the_relay_of_the_first() -> None:
    world = make_world()
    behind = Client(1, relay=FAR_RELAY)
    ack = world.one(behind.select(world.one(behind.discover())))
    again = replace(behind, relay=A("198.18.15.1"))
    for message in (again.rebind(ack.address), again.reboot(ack.address)):
        assert world.one(message).address == ack.address


def test_a_reservation_in_the_second_subnet_is_honoured_on_the_link() -> None:
    kept = Reservation(A("10.1.0.7"), Client(1).key)
    world = World(
        rows=[*ROWS, kept], ranges=[bindable(FIRST, LAST), bindable(kept.address, kept.address)]
    )
    assert world.one(Client(1, relay=0).discover()).address == kept.address


@pytest.mark.parametrize("form", ["renew", "rebind", "reboot", "select"])
@pytest.mark.parametrize("relay", [0, A("198.18.15.1")], ids=["on the link", "behind a relay"])
def test_a_client_is_refused_once_an_address_of_another_subnet_of_its_link_is_reserved_for_it(
    form: str, relay: int
) -> None:
    """What a DISCOVER would be offered it must be able to come to."""
    world = make_world()
    client = Client(1, relay=relay)
    offer = world.one(client.discover())
    assert world.one(client.select(offer)).address in NEAR
    world.configure(Reservation(BEHIND + 50, client.key))
    message = {
        "renew": client.renew(offer.address),
        "rebind": client.rebind(offer.address),
        "reboot": client.reboot(offer.address),
        "select": client.select(offer),
    }[form]
    assert world.one(message).kind is MessageType.NAK
    assert world.one(client.discover()).address == BEHIND + 50


def test_a_client_with_a_reservation_in_each_subnet_of_its_link_keeps_the_one_that_it_has() -> None:
    rows = Reservation(FIRST + 9, Client(1).key), Reservation(BEHIND + 50, Client(1).key)
    world = make_world(*rows)
    client = Client(1, relay=0)
    for row in rows:
        offer = replace(world.one(client.discover()), address=row.address)
        assert world.one(client.select(offer)).address == row.address
        assert world.one(client.renew(row.address)).kind is MessageType.ACK


def test_one_interface_that_is_named_serves_the_shared_network() -> None:
    rows = [replace(row, interface="eth0") if row in (NEAR, FAR) else row for row in ROWS]
    world = World(rows=rows, ranges=[bindable(BEHIND, BEHIND + 9)], interfaces=[ETH0])
    assert world.one(Client(1, relay=0).discover()).address in FAR
    world.silent(Client(2, relay=FAR_RELAY).discover(), "no_subnet")


def test_subnets_of_one_shared_network_name_one_interface() -> None:
    wrong = replace(FAR, interface="eth1")
    with pytest.raises(ConfigError, match=r"interface: is '', and subnet 10\.1\.0\.0/24 .* 'eth1'"):
        validate_configuration([NEAR], [(wrong, False)], lambda *_: 0)


# --- options


SAID = {
    GLOBAL: b"global",
    network_scope("halls"): b"network",
    subnet_scope(FAR.network, 24): b"subnet",
    pool_scope(BEHIND, BEHIND + 9): b"pool",
    host_scope(BEHIND + 5): b"host",
}


@pytest.mark.parametrize("level", range(1, 6))
def test_the_most_specific_scope_that_has_an_option_decides(level: int) -> None:
    scopes = list(SAID)[:level]
    kept = Reservation(BEHIND + 5, Client(1).key)
    world = make_world(kept, *(Option(*scope, 15, SAID[scope]) for scope in scopes))
    offer = world.one(Client(1, relay=FAR_RELAY).discover())
    assert offer.address == kept.address
    assert offer.options[15] == SAID[scopes[-1]]


def test_two_pools_of_a_subnet_are_told_apart() -> None:
    pools = Pool(BEHIND, BEHIND), Pool(BEHIND + 1, BEHIND + 1)
    told = (Option(*pool_scope(p.first, p.last), 15, b"%d" % p.first) for p in pools)
    rows: list[ConfigRow] = [FAR, *pools, Option(*GLOBAL, 6, ME.to_bytes(4, "big")), *told]
    world = World(rows=rows, ranges=[bindable(BEHIND, BEHIND + 1)])
    offers = [world.one(Client(n, relay=FAR_RELAY).discover()) for n in (1, 2)]
    assert {offer.options[15] for offer in offers} == {b"%d" % p.first for p in pools}
    assert all(offer.options[15] == b"%d" % offer.address for offer in offers)
    assert all(offer.options[6] == ME.to_bytes(4, "big") for offer in offers)


@pytest.mark.parametrize(
    ("scope", "problem"),
    [
        (network_scope("hall"), "scope: names nothing that is configured"),
        (network_scope(""), "'' names no shared-network"),
        (subnet_scope(FAR.network, 25), "names nothing that is configured"),
        (subnet_scope(FAR.network, 24)._replace(name="10.1.0.0/024"), "is written '10.1.0.0/24'"),
        (subnet_scope(FAR.network, 24)._replace(name="10.1.0.0"), "names no subnet"),
        (pool_scope(BEHIND, BEHIND + 8), "names nothing that is configured"),
        (pool_scope(BEHIND, BEHIND)._replace(name="10.1.0.100"), "names no pool"),
        (host_scope(BEHIND), "names nothing that is configured"),
        (host_scope(BEHIND)._replace(name="printer"), "names no host"),
        (GLOBAL._replace(name="all"), "'all' is written ''"),
    ],
)
def test_a_scope_that_is_none_is_refused(scope: tuple[int, str], problem: str) -> None:
    option = Option(*scope, 15, b"x")  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as error:
        validate_configuration(ROWS, [(option, False)], lambda *_: 0)
    assert problem in str(error.value)


def test_what_is_no_longer_there_may_still_be_named() -> None:
    """Two members may be changed at once: a lookup bears an option whose scope has gone."""
    rows: list[ConfigRow] = [
        FAR,
        Option(*pool_scope(BEHIND, BEHIND + 3), 15, b"x"),
        Option(*GLOBAL, 6, b"glob"),
    ]
    configuration = Configuration.from_rows(rows)
    assert configuration.options_for(FAR, None) == {6: b"glob"}
