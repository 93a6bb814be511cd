"""Lines of the log about a client's message and the answer, in the form of ISC dhcpd.

Tools that read dhcpd's log (fail2ban, a SIEM, LibreNMS) find a message's kind, address, client,
host name and way in where they expect it. Why nothing was said, or NAK, stands behind a colon, as
dhcpd has it, in this project's own words (the names of dhcpSyncDropTable); behind an OFFER or ACK,
how long the lease is.
"""

from __future__ import annotations

from agent.dhcp import wire
from agent.dhcp.classify import Message, MessageKind
from agent.dhcp.context import Answer
from agent.dhcp.packet import MessageType, Packet
from agent.dhcp.shortage import NO_FREE_ADDRESS
from agent.limits import LOGGED_HOST_NAME_MAX
from agent.model import format_address

_GIVEN_BACK = {
    (MessageType.RELEASE, "not_holder"): "not found",
    (MessageType.RELEASE, ""): "found",
    (MessageType.DECLINE, "not_holder"): "not found",
    (MessageType.DECLINE, "too_many_declines"): "ignored",
    (MessageType.DECLINE, ""): "abandoned",
}


def message_lines(
    message: Message, answer: Answer, interface: str, recorded_name: str
) -> list[str]:
    """One line for the message and one for what was said, if anything. `recorded_name`: the host
    name of the lease that it is about, for a message that has none."""
    packet = message.packet
    client = packet.client_hardware_address.hex(":") or _identifier(packet)
    name = _host_name(packet) or recorded_name
    shown = f"({name}) " if name else ""
    way = format_address(packet.gateway_address) if packet.gateway_address else interface
    address = format_address(message.address)
    lines = [f"DHCP{packet.kind.name}{_about(message, answer, address, client, shown, way)}"]
    if answer.kind is MessageType.NAK:
        lines.append(f"DHCPNAK on {address} to {client} via {way}")
    elif answer.kind is not None and message.kind is MessageKind.INFORM:
        lines.append(f"DHCPACK to {address} ({client}) via {way}")
    elif answer.kind is not None:
        given = format_address(answer.address)
        lines.append(
            f"DHCP{answer.kind.name} on {given} to {client} {shown}via {way} "
            f"for {answer.duration_s} s"
        )
    return lines


def _about(
    message: Message, answer: Answer, address: str, client: str, shown: str, way: str
) -> str:
    kind, packet = message.packet.kind, message.packet
    if kind is MessageType.RELEASE or kind is MessageType.DECLINE:
        found = _GIVEN_BACK.get((kind, answer.reason), answer.reason)
        end = f" ({found})" if kind is MessageType.RELEASE else f": {found}"
        return f" of {address} from {client} {shown}via {way}{end}"
    why = f": {answer.reason}" if answer.reason else ""
    if kind is MessageType.INFORM:
        return f" from {address} via {way}{why}"
    if kind is MessageType.DISCOVER:
        if answer.reason == NO_FREE_ADDRESS:
            subnet = message.subnets[0]
            network = f"{format_address(subnet.network)}/{subnet.prefix_length}"
            why = f": network {network}: no free leases"
        return f" from {client} {shown}via {way}{why}"
    server = f" ({format_address(packet.server_identifier)})" if packet.server_identifier else ""
    return f" for {address}{server} from {client} {shown}via {way}{why}"


def _identifier(packet: Packet) -> str:
    """What a client without a hardware address is known by; there is none without either."""
    return packet.options[wire.CLIENT_IDENTIFIER].hex(":")


def _host_name(packet: Packet) -> str:
    """Option 12 where it can be printed: a line of the log stays one line."""
    text = packet.options.get(wire.HOST_NAME, b"").rstrip(b"\0").decode("utf-8", "replace")
    if not text.isprintable() or len(text) > LOGGED_HOST_NAME_MAX:
        return "Hostname Unsuitable for Printing"
    return text
