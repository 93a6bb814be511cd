"""RFC 2131 2, RFC 2132 9.3, RFC 3396: octets to messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.dhcp import wire
from agent.dhcp.packet import MessageType, parse_packet
from agent.errors import PacketError

GOLDEN = bytes.fromhex(
    "01"  # op: BOOTREQUEST
    "01"  # htype: Ethernet
    "06"  # hlen
    "02"  # hops
    "3903f326"  # xid
    "0105"  # secs
    "8000"  # flags: broadcast
    "c6121007"  # ciaddr: 198.18.16.7
    "00000000"  # yiaddr
    "00000000"  # siaddr
    "c6120f01"  # giaddr: 198.18.15.1
    "02000a0b0c0d"
    + "00" * 10  # chaddr
    + "00" * 64  # sname
    + "00" * 128  # file
    + "63825363"  # magic cookie
    "350103"  # 53: REQUEST
    "00"  # pad
    "3d0701" + "02000a0b0c0d"  # 61: client identifier
    "3204c6121009"  # 50: requested address 198.18.16.9
    "3604c6120001"  # 54: server identifier 198.18.0.1
    "37070102"
    + "1c03060f0c"  # 55: parameter request list
    + "390205dc"  # 57: maximum message size 1500
    "5206010456494431"  # 82: relay agent information, circuit id
    "ff"  # end
    "0000"  # padding behind the end
)


def message(options: bytes, *, sname: bytes = b"", file: bytes = b"", op: int = 1) -> bytes:
    header = wire.HEADER.pack(
        op, 1, 6, 0, 1, 0, 0, 0, 0, 0, 0, b"\x02\0\0\0\0\x01", sname, file, wire.MAGIC_COOKIE
    )
    return header + options


def reason_of(data: bytes) -> str:
    """Why `data` is refused; "" if it is not."""
    try:
        parse_packet(data)
    except PacketError as error:
        return error.reason
    return ""


def test_golden_packet_field_by_field() -> None:
    packet = parse_packet(GOLDEN)
    assert packet.kind is MessageType.REQUEST
    assert packet.hardware_type == 1
    assert packet.hops == 2
    assert packet.transaction_id == 0x3903F326
    assert packet.seconds == 0x0105
    assert packet.flags == wire.BROADCAST_FLAG
    assert packet.client_address == 0xC6121007
    assert packet.gateway_address == 0xC6120F01
    assert packet.client_hardware_address == bytes.fromhex("02000a0b0c0d")
    assert packet.requested_address == 0xC6121009
    assert packet.server_identifier == 0xC6120001
    assert packet.client_key == b"\x01" + bytes.fromhex("0102000a0b0c0d")
    assert packet.options == {
        53: b"\x03",
        61: bytes.fromhex("0102000a0b0c0d"),
        50: bytes.fromhex("c6121009"),
        54: bytes.fromhex("c6120001"),
        55: bytes.fromhex("01021c03060f0c"),
        57: bytes.fromhex("05dc"),
        82: bytes.fromhex("010456494431"),
    }


def test_truncation_at_every_octet_is_a_packet_error_or_a_shorter_message() -> None:
    whole = parse_packet(GOLDEN).options
    for length in range(len(GOLDEN)):
        reason = reason_of(GOLDEN[:length])
        if reason:
            assert reason in {"truncated", "truncated_option", "no_message_type"}
        else:
            assert length > 240
            assert parse_packet(GOLDEN[:length]).options.items() <= whole.items()


@given(st.binary(max_size=600))
def test_any_octets_raise_nothing_but_packet_errors(data: bytes) -> None:
    assert reason_of(data) != ""


@given(
    st.binary(max_size=200), st.binary(max_size=64), st.binary(max_size=128), st.integers(0, 255)
)
def test_any_options_raise_nothing_but_packet_errors(
    options: bytes, sname: bytes, file: bytes, overload: int
) -> None:
    data = message(b"\x34\x01%c" % overload + options, sname=sname, file=file)
    assert reason_of(data).islower() or parse_packet(data).kind in MessageType


@given(st.dictionaries(st.integers(60, 254), st.binary(max_size=700), max_size=5))
def test_rfc3396_long_options_survive_both_directions(values: dict[int, bytes]) -> None:
    values = {code: data for code, data in values.items() if code not in {61, 255}}
    encoded = b"".join(wire.build_option(code, data) for code, data in values.items())
    packet = parse_packet(message(b"\x35\x01\x01" + encoded + b"\xff"))
    assert {code: data for code, data in packet.options.items() if code != 53} == values


def test_rfc2132_9_3_overload_reads_file_then_sname() -> None:
    options = b"\x34\x01\x03" + b"\x35\x01\x01" + b"\x0c\x02ab" + b"\xff"
    packet = parse_packet(message(options, file=b"\x0c\x02cd\xff", sname=b"\x00\x0c\x02ef\xff"))
    assert packet.options[12] == b"abcdef"


def test_rfc2132_9_3_overload_of_one_field_leaves_the_other_alone() -> None:
    options = b"\x34\x01\x01" + b"\x35\x01\x01" + b"\xff"
    packet = parse_packet(message(options, file=b"\x0c\x02cd\xff", sname=b"\x0c\x02ef\xff"))
    assert packet.options[12] == b"cd"


def test_overload_inside_an_overloaded_field_does_not_loop() -> None:
    # RFC 2132 9.3: option 52 belongs into the options field; in `file` it makes 52 two octets.
    options = b"\x34\x01\x01" + b"\x35\x01\x01" + b"\xff"
    packet = parse_packet(message(options, file=b"\x34\x01\x03\xff", sname=b"\x0c\x02ef\xff"))
    assert 12 not in packet.options


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (message(b"")[:239], "truncated"),
        (message(b"", op=2), "bad_op"),
        (message(b"")[:236] + b"\x63\x82\x53\x64", "bad_cookie"),
        (message(b"")[:2] + b"\x11" + message(b"")[3:], "bad_hlen"),
        (message(b"")[:2] + b"\x05" + message(b"")[3:], "bad_hlen"),
        (message(b"\xff"), "no_message_type"),
        (message(b"\x35\x01\x02\xff"), "bad_message_type"),
        (message(b"\x35\x01\x09\xff"), "bad_message_type"),
        (message(b"\x35\x02\x01\x01\xff"), "bad_message_type"),
        (message(b"\x35\x01\x01\x35\x01\x01\xff"), "bad_message_type"),
        (message(b"\x35\x01\x01\x32\x03abc\xff"), "bad_option"),
        (message(b"\x35\x01\x01\x36\x05abcde\xff"), "bad_option"),
        (message(b"\x35\x01\x01\x3d\x01a\xff"), "bad_option"),
        (message(b"\x35\x01\x01\x3d\xff" + bytes(255) + b"\x3d\x01a\xff"), "bad_option"),
        (message(b"\x35\x01\x01\x34\x01\x04\xff"), "bad_overload"),
        (message(b"\x35\x01\x01\x0c"), "truncated_option"),
        (message(b"\x35\x01\x01\x0c\x05abcd"), "truncated_option"),
        (
            message(b"\x35\x01\x01\x34\x01\x02\xff", sname=b"\0" * 62 + b"\x0c\x04"),
            "truncated_option",
        ),
    ],
)
def test_malformed_messages_are_named(data: bytes, reason: str) -> None:
    assert reason_of(data) == reason


@pytest.mark.parametrize("length", [0, 1, 8, 16])
def test_htype_1_of_another_length_is_a_client_by_its_identifier_alone(length: int) -> None:
    data = bytearray(message(b"\x35\x01\x01\x3d\x03abc\xff"))
    data[2] = length
    packet = parse_packet(bytes(data))
    assert packet.client_key == b"\x01abc"
    assert len(packet.client_hardware_address) == length
    without = bytearray(message(b"\x35\x01\x01\xff"))
    without[2] = length
    assert reason_of(bytes(without)) == "bad_hlen"


def test_a_client_known_by_nothing_is_refused() -> None:
    data = bytearray(message(b"\x35\x01\x01\xff"))
    data[1:3] = b"\x20\x00"  # InfiniBand (RFC 4390): no hardware address in the message
    assert reason_of(bytes(data)) == "no_client"
