"""What a message is about (RFC 2131 4.3, table 4) and which subnets its client can live in.

The four forms of a REQUEST differ in three fields: option 54 names a server only in SELECTING,
option 50 carries the address in SELECTING and INIT-REBOOT, `ciaddr` in RENEWING and REBINDING. The
last two have equal fields; a client that renews sends to one server's address, so what came by
broadcast or through a relay (which hears broadcasts only) is REBINDING.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from typing import NamedTuple

from agent.dhcp.packet import Interface, MessageType, Packet, Received
from agent.errors import PacketError
from agent.limits import LINKS_MAX, RELAY_HOPS_MAX
from agent.model import Subnet
from agent.settings.configuration import Configuration


class MessageKind(enum.IntEnum):
    """The messages of a client, a REQUEST by its form."""

    DISCOVER = 1
    SELECTING = 2
    INIT_REBOOT = 3
    RENEWING = 4
    REBINDING = 5
    DECLINE = 6
    RELEASE = 7
    INFORM = 8


class Message(NamedTuple):
    """A packet with its meaning. `address` is the one it is about (0: none named); `subnets` are
    those that the client's link carries, the first one preferred; empty: none is known. `on_link`:
    the client is on the link of the receiving interface, so that a frame reaches it."""

    kind: MessageKind
    packet: Packet
    address: int
    subnets: tuple[Subnet, ...]
    received: Received
    server_identifier: int
    on_link: bool


_PLAIN_KINDS = {
    MessageType.DISCOVER: MessageKind.DISCOVER,
    MessageType.DECLINE: MessageKind.DECLINE,
}


def classify_packet(packet: Packet, unicast: bool) -> tuple[MessageKind, int]:
    """The kind of a message and the address that it is about. `unicast`: it was sent to one of
    our own addresses. Raises PacketError where the fields fit no kind."""
    kind = packet.kind
    if kind is MessageType.REQUEST:
        if packet.server_identifier:
            address = packet.requested_address or packet.client_address
            if not address:
                raise PacketError("no_address", "a REQUEST that selects names no address")
            return MessageKind.SELECTING, address
        if packet.client_address:
            if unicast and not packet.gateway_address:
                return MessageKind.RENEWING, packet.client_address
            return MessageKind.REBINDING, packet.client_address
        if not packet.requested_address:
            raise PacketError("no_address", "a REQUEST names no address")
        return MessageKind.INIT_REBOOT, packet.requested_address
    if kind is MessageType.RELEASE:
        return MessageKind.RELEASE, packet.client_address
    if kind is MessageType.INFORM:
        return MessageKind.INFORM, packet.client_address
    return _PLAIN_KINDS[kind], packet.requested_address


class Links:
    """Which subnets a message's client can live in, remembered for one configuration and one set
    of interfaces."""

    def __init__(self, configuration: Configuration, interfaces: Mapping[int, Interface]) -> None:
        self._configuration = configuration
        self._interfaces = interfaces
        self._relayed: dict[int, tuple[Subnet, ...]] = {}
        self._attached: dict[int, tuple[Subnet, ...]] = {}
        self._beside: dict[tuple[int, int], tuple[Subnet, ...]] = {}

    def subnets_of(
        self, kind: MessageKind, packet: Packet, address: int, interface: int
    ) -> tuple[Subnet, ...]:
        """By the relay's address; else, for a client that has an address and may be anywhere
        behind routers (RENEWING, RELEASE, INFORM), by that; else by the interface."""
        if packet.gateway_address:
            return self._relayed_subnets(packet.gateway_address)
        if address and kind in _ROUTED_KINDS:
            subnet = self._configuration.subnet_of(address)
            return self._subnets_beside(subnet) if subnet else ()
        return self._attached_to(interface)

    def are_on_link(self, subnets: tuple[Subnet, ...], interface: int) -> bool:
        """Whether these subnets, of a message that no relay has sent, are on the interface's link:
        what an address in use sends may have come through routers."""
        attached = self._attached_to(interface)
        return subnets is attached or (len(subnets) > 0 and subnets[0] in attached)

    def _attached_to(self, interface: int) -> tuple[Subnet, ...]:
        found = self._attached.get(interface)
        if found is None:
            found = self._attached[interface] = self._attached_subnets(interface)
        return found

    def _relayed_subnets(self, gateway_address: int) -> tuple[Subnet, ...]:
        found = self._relayed.get(gateway_address)
        if found is None:
            subnet = self._configuration.subnet_of(gateway_address)
            found = () if subnet is None or subnet.interface else self._subnets_beside(subnet)
            if len(self._relayed) >= LINKS_MAX:
                self._relayed.clear()
            self._relayed[gateway_address] = found
        return found

    def _subnets_beside(self, subnet: Subnet) -> tuple[Subnet, ...]:
        key = subnet.network, subnet.prefix_length
        found = self._beside.get(key)
        if found is None:
            found = self._beside[key] = self._find_beside(subnet)
        return found

    def _find_beside(self, subnet: Subnet) -> tuple[Subnet, ...]:
        """The subnet of a relay's address, or of one in use, and behind it those that share a link
        with it, as the configuration says or a link of our own shows it."""
        found = dict.fromkeys((subnet, *self._configuration.on_link_with(subnet)))
        for index in self._interfaces:
            attached = self._attached_to(index)
            if subnet in attached:
                found |= dict.fromkeys(one for one in attached if not one.interface)
        return tuple(found)

    def _attached_subnets(self, index: int) -> tuple[Subnet, ...]:
        """Those of the interface's own addresses, or that name it, and behind them the others of
        their shared networks."""
        interface = self._interfaces.get(index)
        if interface is None:
            return ()
        found = [
            subnet
            for subnet in self._configuration.subnets
            if subnet.interface == interface.name
            or (not subnet.interface and any(a in subnet for a in interface.addresses))
        ]
        others = [one for subnet in found for one in self._configuration.on_link_with(subnet)]
        return tuple(dict.fromkeys([*found, *others]))


_ROUTED_KINDS = {MessageKind.RENEWING, MessageKind.RELEASE, MessageKind.INFORM}


class Classifier:
    """Turns packets into messages for one set of interfaces and one configuration.

    `server_identifier`, if not 0, is named in every reply instead of the receiving interface's
    own address."""

    def __init__(
        self,
        configuration: Configuration,
        interfaces: Mapping[int, Interface],
        server_identifier: int = 0,
    ) -> None:
        self._interfaces = interfaces
        self._links = Links(configuration, interfaces)
        self._server_identifier = server_identifier
        self.own_addresses: Collection[int] = {
            address for interface in interfaces.values() for address in interface.addresses
        } | ({server_identifier} if server_identifier else set())

    def classify(self, packet: Packet, received: Received) -> Message:
        """Raises PacketError for a message that must not be answered at all."""
        if packet.hops > RELAY_HOPS_MAX:
            raise PacketError("hops", f"{packet.hops} relays, at most {RELAY_HOPS_MAX}")
        interface = self._interfaces.get(received.interface)
        if interface is None or not interface.served or not interface.addresses:
            raise PacketError("interface_not_served", f"interface {received.interface}")
        unicast = received.destination in self.own_addresses
        kind, address = classify_packet(packet, unicast)
        if kind is MessageKind.SELECTING and unicast and self._renews(packet):
            kind = MessageKind.RENEWING
        if kind is MessageKind.INFORM and not address and not packet.gateway_address:
            address = received.source  # what else could it be using
        subnets = self._links.subnets_of(kind, packet, address, received.interface)
        on_link = not packet.gateway_address and self._links.are_on_link(
            subnets, received.interface
        )
        identifier = self._server_identifier
        if not identifier:
            if kind is MessageKind.SELECTING and packet.server_identifier in self.own_addresses:
                identifier = packet.server_identifier  # the client waits for an answer of that one
            elif unicast:
                identifier = received.destination
            else:
                identifier = _own_address(interface, subnets, address)
        return Message(kind, packet, address, subnets, received, identifier, on_link)

    def _renews(self, packet: Packet) -> bool:
        """Whether a REQUEST that was sent to our address and names us comes from a client that
        renews: it must not name its server then (table 4), and some do. Who selects broadcasts, and
        has no `ciaddr`."""
        return (
            not packet.gateway_address
            and packet.requested_address in (0, packet.client_address)
            and packet.server_identifier in self.own_addresses
        )

    def identifier_for(self, message: Message, address: int) -> int:
        """The server identifier of an OFFER of `address`, which decides the subnet where the link
        has several."""
        received = message.received
        if self._server_identifier or received.destination in self.own_addresses:
            return message.server_identifier
        return _own_address(self._interfaces[received.interface], message.subnets, address)


def _own_address(interface: Interface, subnets: tuple[Subnet, ...], address: int) -> int:
    """The interface's address that the client can reach best: one in the subnet of the client's
    own address, if that is known; else one in a subnet of its link."""
    for subnet in sorted(subnets, key=lambda one: address not in one):
        for own in interface.addresses:
            if own in subnet:
                return own
    return interface.addresses[0]
