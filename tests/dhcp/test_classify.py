"""RFC 2131 4.3.2, table 4: which fields make which kind of message."""

from __future__ import annotations

import pytest

from agent.dhcp.classify import MessageKind, classify_packet
from agent.dhcp.packet import parse_packet
from agent.errors import PacketError
from tests.dhcp.world import FIRST, ME, RELAY, Client

ADDRESS = FIRST.to_bytes(4, "big")
SERVER = ME.to_bytes(4, "big")
REQUEST = 3


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
