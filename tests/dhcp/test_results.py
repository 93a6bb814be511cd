"""What a client is told comes of the present configuration of whoever answers it, and its record
tells what it was (docs/seeds.md, "The two questions of 001")."""

from __future__ import annotations

from agent.addresses import parse_address
from agent.dhcp import wire
from agent.dhcp.packet import MessageType
from agent.kinds.scope import subnet_scope
from agent.model import Option
from tests.dhcp.world import FIRST, ROUTER, Client, World, bindable, peer_row

OLD_ROUTER = wire.build_option(wire.ROUTERS, parse_address("198.18.0.253").to_bytes(4, "big"))
NEW_ROUTER = parse_address("198.18.0.252").to_bytes(4, "big")


def test_what_another_member_gave_is_renewed_by_the_present_configuration() -> None:
    world = World(members=(1, 2), ranges=[bindable(FIRST + 100, FIRST + 199)])
    client = Client(1, request_list=bytes([wire.ROUTERS]))
    world.merge(peer_row(FIRST, client)._replace(options=OLD_ROUTER))
    renewed = world.one(client.rebind(FIRST))
    assert renewed.kind is MessageType.ACK
    assert renewed.options[wire.ROUTERS] == ROUTER
    results = world.known(FIRST).options
    assert wire.build_option(wire.ROUTERS, ROUTER) in results
    assert OLD_ROUTER not in results


def test_a_router_that_is_changed_is_told_at_the_next_renewal() -> None:
    world = World(members=(1, 2))
    client = Client(1)
    address = world.bind(client)
    world.configure(
        Option(*subnet_scope(parse_address("198.18.0.0"), 15), wire.ROUTERS, NEW_ROUTER)
    )
    assert world.one(client.renew(address)).options[wire.ROUTERS] == NEW_ROUTER
    assert wire.build_option(wire.ROUTERS, NEW_ROUTER) in world.known(address).options
