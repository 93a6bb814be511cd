"""RFC 2131 4.3.2, table 4: which fields make which kind of message; and fields that clients fill
otherwise than they must."""

from __future__ import annotations

import pytest

from agent.dhcp.classify import MessageKind, classify_packet
from agent.dhcp.packet import MessageType, parse_packet
from agent.errors import PacketError
from agent.model import ConfigRow, Pool, Subnet, Transaction
from tests.dhcp.world import FAR_RELAY, FIRST, ME, RELAY, A, Client, World, bindable

ADDRESS = FIRST.to_bytes(4, "big")
SERVER = ME.to_bytes(4, "big")
REQUEST = 3
FAR_FIRST = A("10.1.0.10")
FAR_ROWS: list[ConfigRow] = [Subnet(A("10.1.0.0"), 24), Pool(FAR_FIRST, FAR_FIRST + 9)]


@pytest.mark.parametrize(
    ("kind", "options", "ciaddr", "relay", "unicast", "expected"),
    [
        # the table's columns: server identifier, requested address, ciaddr; and how it came
        (1, {}, 0, 0, False, MessageKind.DISCOVER),
        (1, {50: ADDRESS}, 0, RELAY, True, MessageKind.DISCOVER),
        (REQUEST, {54: SERVER, 50: ADDRESS}, 0, 0, False, MessageKind.SELECTING),
        (REQUEST, {54: SERVER, 50: ADDRESS}, 0, RELAY, True, MessageKind.SELECTING),
        (REQUEST, {50: ADDRESS}, 0, 0, False, MessageKind.INIT_REBOOT),
        (REQUEST, {50: ADDRESS}, 0, RELAY, True, MessageKind.INIT_REBOOT),
        (REQUEST, {}, FIRST, 0, True, MessageKind.RENEWING),
        (REQUEST, {}, FIRST, 0, False, MessageKind.REBINDING),
        (REQUEST, {}, FIRST, RELAY, True, MessageKind.REBINDING),
        (4, {50: ADDRESS, 54: SERVER}, 0, 0, False, MessageKind.DECLINE),
        (7, {54: SERVER}, FIRST, 0, True, MessageKind.RELEASE),
        (8, {}, FIRST, 0, False, MessageKind.INFORM),
    ],
)
def test_rfc2131_4_3_2_table_4(
    kind: int,
    options: dict[int, bytes],
    ciaddr: int,
    relay: int,
    unicast: bool,
    expected: MessageKind,
) -> None:
    message = Client(1).message(kind, options, ciaddr=ciaddr, relay=relay)
    found, address = classify_packet(parse_packet(message.data), unicast)
    assert found is expected
    assert address == (FIRST if options.get(50) or ciaddr else 0)


@pytest.mark.parametrize("options", [{}, {54: SERVER}])
def test_a_request_about_no_address_is_no_message(options: dict[int, bytes]) -> None:
    message = Client(1).message(REQUEST, options)
    with pytest.raises(PacketError) as caught:
        classify_packet(parse_packet(message.data), False)
    assert caught.value.reason == "no_address"


@pytest.mark.parametrize("names_address", [False, True])
def test_rfc2131_4_3_2_a_client_that_renews_may_name_its_server_all_the_same(
    names_address: bool,
) -> None:
    """It must not, nor its address in option 50, and some do; from behind routers it was told NAK,
    as one that selects an address of another network."""
    world = World(rows=FAR_ROWS, ranges=[bindable(FAR_FIRST, FAR_FIRST + 9)])
    client = Client(1, relay=FAR_RELAY)
    address = world.bind(client)
    named = {54: SERVER} | ({50: address.to_bytes(4, "big")} if names_address else {})
    ack = world.one(client.message(REQUEST, named, ciaddr=address, relay=0, destination=ME))
    assert (ack.kind, ack.reply.address, ack.reply.port) == (MessageType.ACK, address, 68)
    row = world.known(address)
    assert (row.transaction, row.grant) == (Transaction.RENEWING, 2)
    strange = client.message(REQUEST, {54: SERVER}, ciaddr=address + 1, relay=0, destination=ME)
    world.silent(strange, "has_another_lease")


def test_rfc2131_4_3_2_one_that_names_another_server_is_not_answered() -> None:
    world = World(rows=FAR_ROWS, ranges=[bindable(FAR_FIRST, FAR_FIRST + 9)])
    client = Client(1, relay=FAR_RELAY)
    address = world.bind(client)
    before = world.known(address)
    named = {54: A("198.18.0.9").to_bytes(4, "big")}
    world.silent(client.message(REQUEST, named, ciaddr=address, relay=0, destination=ME))
    assert world.known(address) == before


def test_an_inform_without_ciaddr_is_answered_where_it_comes_from() -> None:
    """As dhcpd and Kea do; RFC 2131 4.4.3 has the client fill the field."""
    world = World()
    client = Client(1, relay=0)
    ack = world.one(client.message(8, {}, source=A("198.18.15.9")))
    assert (ack.kind, ack.address) == (MessageType.ACK, 0)
    assert (ack.reply.address, ack.reply.port) == (A("198.18.15.9"), 68)
    assert ack.reply.hardware_address == client.hardware_address
    assert ack.reply.data[12:16] == bytes(4)
    world.silent(client.message(8, {}, source=0), "no_address")
