"""A DHCP message from a client as a value, and the datagrams that carry messages.

`parse_packet` checks everything that later code relies on: a message type, and the lengths of
those options that the rules read. A `Packet` is therefore well-formed by construction.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

from agent.dhcp import wire
from agent.errors import PacketError
from agent.limits import CLIENT_IDENTIFIER_MAX, CLIENT_IDENTIFIER_MIN, HARDWARE_ADDRESS_MAX


class MessageType(enum.IntEnum):
    """Option 53 (RFC 2132 9.6)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


CLIENT_TYPES = {
    bytes((kind,)): kind
    for kind in (
        MessageType.DISCOVER,
        MessageType.REQUEST,
        MessageType.DECLINE,
        MessageType.RELEASE,
        MessageType.INFORM,
    )
}
"""What a client sends, by the value of option 53; an OFFER, ACK or NAK on the server's port is
somebody's mistake."""


class Packet(NamedTuple):
    """A client's message. Addresses are ints, 0 where the field is zero or the option absent;
    `client_hardware_address` has `hlen` octets."""

    kind: MessageType
    hardware_type: int
    hops: int
    transaction_id: int
    seconds: int
    flags: int
    client_address: int
    gateway_address: int
    client_hardware_address: bytes
    options: dict[int, bytes]
    client_key: bytes
    requested_address: int
    server_identifier: int

    @property
    def hardware_key(self) -> bytes:
        """The client's key as it would be without a client identifier."""
        return bytes((0, self.hardware_type)) + self.client_hardware_address


class Received(NamedTuple):
    """A datagram as it came in; `interface` is the index of the interface that received it,
    `destination` the address that it was sent to."""

    data: bytes
    source: int
    destination: int
    interface: int


class Reply(NamedTuple):
    """A datagram to send from `source` (our server identifier).

    With `hardware_address` it is framed to that address on `interface`, because the client
    cannot answer ARP yet; otherwise it goes through the UDP socket, and `interface` says where
    a broadcast leaves (0: as routing decides). `left_out`: options that had no room in it."""

    data: bytes
    address: int
    port: int
    source: int
    interface: int
    hardware_address: bytes | None = None
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface of this machine; `addresses` are its own IPv4 addresses in the
    kernel's order. Only an interface with `served` hears clients."""

    index: int
    name: str
    hardware_address: bytes
    addresses: tuple[int, ...]
    served: bool = True


_unpack_header = wire.HEADER.unpack_from
_HEADER_SIZE = wire.HEADER.size


def parse_packet(data: bytes) -> Packet:
    """Parse and check a client's message. Raises PacketError."""
    if len(data) < _HEADER_SIZE:
        raise PacketError("truncated", f"{len(data)} octets, at least {_HEADER_SIZE} are needed")
    (
        op,
        hardware_type,
        hlen,
        hops,
        transaction_id,
        seconds,
        flags,
        client_address,
        _your_address,
        _server_address,
        gateway_address,
        hardware_address,
        server_name,
        boot_file,
        cookie,
    ) = _unpack_header(data)
    if cookie != wire.MAGIC_COOKIE:
        raise PacketError("bad_cookie", f"{cookie.hex()} is not 63825363")
    if op != wire.BOOTREQUEST:
        raise PacketError("bad_op", f"op {op}, expected 1 (BOOTREQUEST)")
    if hlen > HARDWARE_ADDRESS_MAX:
        raise PacketError("bad_hlen", f"hlen {hlen}, at most {HARDWARE_ADDRESS_MAX}")
    options: dict[int, bytes] = {}
    wire.parse_options(data, _HEADER_SIZE, len(data), options)
    if hardware_type == wire.ETHERNET and hlen != 6 and wire.CLIENT_IDENTIFIER not in options:
        # With an identifier it is a client: Microsoft's RRAS sends 16 octets that are no address.
        raise PacketError("bad_hlen", f"hlen {hlen} with htype 1 and no client identifier")
    if wire.OVERLOAD in options:
        wire.parse_overloaded(data, options, server_name, boot_file)
    kind = CLIENT_TYPES.get(options.get(wire.MESSAGE_TYPE, b""))
    if kind is None:
        raise _no_client_type(options.get(wire.MESSAGE_TYPE))
    requested = options.get(wire.REQUESTED_ADDRESS)
    server = options.get(wire.SERVER_IDENTIFIER)
    hardware_address = hardware_address[:hlen]
    return Packet(
        kind,
        hardware_type,
        hops,
        transaction_id,
        seconds,
        flags,
        client_address,
        gateway_address,
        hardware_address,
        options,
        _client_key(options, hardware_type, hardware_address),
        0 if requested is None else _address(requested, wire.REQUESTED_ADDRESS),
        0 if server is None else _address(server, wire.SERVER_IDENTIFIER),
    )


def _no_client_type(value: bytes | None) -> PacketError:
    if value is None:
        return PacketError("no_message_type", "BOOTP without option 53 is not served")
    return PacketError("bad_message_type", f"option 53 is {value.hex()}")


def _client_key(options: dict[int, bytes], hardware_type: int, hardware_address: bytes) -> bytes:
    """Who the client is (RFC 2131 4.2): its identifier as it stands, else its hardware address."""
    identifier = options.get(wire.CLIENT_IDENTIFIER)
    if identifier is None:
        if not hardware_address:
            raise PacketError("no_client", "neither a hardware address nor a client identifier")
        return b"\x00%c%b" % (hardware_type, hardware_address)
    if not CLIENT_IDENTIFIER_MIN <= len(identifier) <= CLIENT_IDENTIFIER_MAX:
        raise PacketError("bad_option", f"option 61 has {len(identifier)} octets, 2..255 are right")
    return b"\x01" + identifier


def _address(value: bytes, code: int) -> int:
    if len(value) != 4:
        raise PacketError("bad_option", f"option {code} has {len(value)} octets, expected 4")
    return int.from_bytes(value, "big")
