"""Replies: which options, in which order, in which fields, and whereto (RFC 2131 4.1, 4.3.1).

What configuration gives a client depends only on its subnet, its reservation and what it asks
for, so that part is encoded once and remembered (`Template`); a packet pays for its own fields.
The order is: message type, server identifier, lease and its timers, subnet mask, then the
parameter request list's order, then the client identifier echoed (RFC 6842) and at the very end
the relay's option 82 (RFC 3046 2.2). Most replies fit; the few that do not spill options into
`file` and `sname` (option 52), whole or in parts (RFC 3396), in the client's order of preference,
and name in `Reply.left_out` what fits nowhere; a message whose echo alone fits nowhere is not
answered.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.dhcp import wire
from agent.dhcp.classify import Message, MessageKind
from agent.dhcp.packet import MessageType, Packet, Reply
from agent.limits import (
    REPLY_HEADS_MAX,
    REPLY_SIZE_DEFAULT,
    REPLY_SIZE_MAX,
    REPLY_SIZE_MIN,
    REPLY_TEMPLATES_MAX,
)
from agent.model import INFINITE_S, Pool, Reservation, Subnet, parse_address
from agent.settings.configuration import Configuration
from agent.settings.times import USUAL, LeaseTimes

SERVER_PORT = 67
CLIENT_PORT = 68
LIMITED_BROADCAST = 0xFFFF_FFFF

_HEAD = struct.Struct("!BBBBBI")
"""Options 53 and 54."""
_LEASE = struct.Struct("!BBBBBIBBIBBIBBI")
"""Options 53, 54, 51, 58 and 59."""
_INFINITE_LEASE = struct.Struct("!BBBBBIBBI")
"""Options 53, 54 and 51: an infinite lease is never renewed."""

_OVERLOAD_SIZE = 3
"""Option 52."""

_NOT_CONFIGURED = frozenset(
    {0, 1, 50, 51, 52, 53, 54, 55, 57, 58, 59, 61, 80, 81, 82, 90, 118, 255}
)
"""Options of the protocol itself, which the option table does not decide."""

_ROUTES = frozenset({wire.ROUTERS, wire.STATIC_ROUTES})

_pack_header = wire.HEADER.pack
_HEADER_SIZE = wire.HEADER.size

_NO_NAME = bytes(64)
_NO_FILE = bytes(128)


@dataclass(frozen=True, slots=True)
class Template:
    """What configuration says to one kind of client: option 1 and the requested options, each with
    its code and length, and the header fields of a boot server.

    `routes` are those options that the classless routes stand for (RFC 3442), for a reply in which
    they have no room. `results` is all of `options` in one piece; `heads` remembers the options
    before them, which are equal for all who get the same lease from the same address."""

    results: bytes
    options: tuple[bytes, ...]
    server_address: int
    server_name: bytes
    boot_file: bytes
    hostname: str
    routes: tuple[bytes, ...] = ()
    times: LeaseTimes = USUAL
    heads: dict[tuple[int, int, int], bytes] = field(
        default_factory=dict, compare=False, repr=False
    )


class Templates:
    """The templates of one configuration."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._tells_pools_apart = configuration.tells_pools_apart
        self._known: dict[tuple[int, int, int, bytes | None], Template] = {}

    def template(
        self, subnet: Subnet, address: int, reservation: Reservation | None, requested: bytes | None
    ) -> Template:
        """For a client with that address. `requested` is the parameter request list (option 55);
        None: the client sent none, and gets whatever is configured."""
        pool = self._configuration.pool_of(address) if self._tells_pools_apart else None
        host = reservation.address if reservation else -1
        key = (subnet.network, pool.first if pool else -1, host, requested)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= REPLY_TEMPLATES_MAX:
                self._known.clear()
            found = self._known[key] = self._build(subnet, pool, reservation, requested)
        return found

    def _build(
        self,
        subnet: Subnet,
        pool: Pool | None,
        reservation: Reservation | None,
        requested: bytes | None,
    ) -> Template:
        host = reservation.address if reservation else None
        values = self._configuration.options_for(subnet, pool, host)
        options = [wire.build_option(wire.SUBNET_MASK, subnet.mask.to_bytes(4, "big"))]
        hostname = reservation.hostname if reservation else ""
        if hostname:
            values[wire.HOST_NAME] = hostname.encode()
        wanted = (
            sorted(values) if requested is None else [*requested, *_names_without_field(values)]
        )
        codes = tuple(dict.fromkeys(wanted))
        replaced: frozenset[int] = frozenset()
        if wire.CLASSLESS_ROUTES in codes and wire.CLASSLESS_ROUTES in values:
            replaced = _ROUTES  # RFC 3442, DHCP server administrators
        given = [code for code in codes if code in values and code not in _NOT_CONFIGURED]
        routes = [wire.build_option(code, values[code]) for code in given if code in replaced]
        options += [wire.build_option(code, values[code]) for code in given if code not in replaced]
        server_name = values.get(wire.TFTP_SERVER_NAME, b"")
        boot_file = values.get(wire.BOOT_FILE_NAME, b"")
        return Template(
            b"".join(options),
            tuple(options),
            _address_or_zero(server_name),
            server_name if len(server_name) < len(_NO_NAME) else b"",
            boot_file if len(boot_file) < len(_NO_FILE) else b"",
            hostname,
            tuple(routes),
            self._configuration.times_for(subnet, pool, host),
        )


def _names_without_field(values: Mapping[int, bytes]) -> list[int]:
    """Names of a boot server and file that are longer than the header's field: whoever asks for
    neither would have been told them there, and is told by the option."""
    fields = ((wire.TFTP_SERVER_NAME, _NO_NAME), (wire.BOOT_FILE_NAME, _NO_FILE))
    return [code for code, field in fields if len(values.get(code, b"")) >= len(field)]


def _address_or_zero(text: bytes) -> int:
    """`siaddr` is where a boot loader goes on: the boot server, if it is given as an address."""
    try:
        return parse_address(text.decode("ascii"))
    except ValueError:
        return 0


_NOTHING = Template(b"", (), 0, b"", b"", "")


def build_lease_reply(
    message: Message, kind: MessageType, address: int, duration_s: int, template: Template
) -> Reply:
    """An OFFER, or the ACK of a REQUEST."""
    key = (kind, message.server_identifier, duration_s)
    head = template.heads.get(key)
    if head is None:
        if len(template.heads) >= REPLY_HEADS_MAX:
            template.heads.clear()
        timers = template.times.timers(duration_s)
        head = template.heads[key] = _lease_head(*key, *timers)
    return _build_reply(message, kind, head, address, template)


def _lease_head(kind: int, identifier: int, duration_s: int, t1_s: int, t2_s: int) -> bytes:
    if duration_s >= INFINITE_S:
        return _INFINITE_LEASE.pack(53, 1, kind, 54, 4, identifier, 51, 4, INFINITE_S)
    return _LEASE.pack(
        53, 1, kind, 54, 4, identifier, 51, 4, duration_s,
        58, 4, t1_s, 59, 4, t2_s,
    )  # fmt: skip


def build_inform_reply(message: Message, template: Template) -> Reply:
    """The ACK of an INFORM: no `yiaddr`, no lease (RFC 2131 4.3.5)."""
    head = _HEAD.pack(53, 1, MessageType.ACK, 54, 4, message.server_identifier)
    return _build_reply(message, MessageType.ACK, head, 0, template)


def build_nak(message: Message) -> Reply:
    """A NAK is broadcast on the client's link: its address is worth nothing (RFC 2131 4.3.2)."""
    head = _HEAD.pack(53, 1, MessageType.NAK, 54, 4, message.server_identifier)
    return _build_reply(message, MessageType.NAK, head, 0, _NOTHING)


def _build_reply(
    message: Message, kind: MessageType, head: bytes, address: int, template: Template
) -> Reply:
    data, left_out = _build_message(message, head, address, template)
    reply = _address_reply(message, data, kind, address)
    return reply._replace(left_out=left_out) if left_out else reply


def _address_reply(message: Message, data: bytes, kind: MessageType, address: int) -> Reply:
    """Whereto (RFC 2131 4.1): the address that the client uses, the relay, everybody, or the new
    address at the hardware address.

    Only who renews or sends an INFORM uses its `ciaddr` (or, in an INFORM without one, its source
    address); elsewhere the field ought to be zero, and nobody answers for what stands there. An
    INFORM's answer goes to the client past its relay, for which it is not (RFC 2131 4.3.5)."""
    packet, source = message.packet, message.server_identifier
    interface = message.received.interface
    in_use = message.address if message.kind in _IN_USE else 0
    if packet.gateway_address and message.kind is not MessageKind.INFORM:
        return Reply(data, packet.gateway_address, SERVER_PORT, source, 0)
    if kind is not MessageType.NAK:
        if in_use:
            # On our own link it is framed as the first one was: the kernel would ask for the
            # client by ARP, which a client that sleeps, or filters, does not answer.
            if message.on_link and _is_ethernet(packet):
                hardware_address = packet.client_hardware_address
                return Reply(data, in_use, CLIENT_PORT, source, interface, hardware_address)
            return Reply(data, in_use, CLIENT_PORT, source, 0)
        if address and not packet.flags & wire.BROADCAST_FLAG and _is_ethernet(packet):
            return Reply(
                data, address, CLIENT_PORT, source, interface, packet.client_hardware_address
            )
    return Reply(data, LIMITED_BROADCAST, CLIENT_PORT, source, interface)


_IN_USE = {MessageKind.RENEWING, MessageKind.REBINDING, MessageKind.INFORM}


def _is_ethernet(packet: Packet) -> bool:
    """Whether a frame can be sent to the client's hardware address."""
    return packet.hardware_type == wire.ETHERNET and len(packet.client_hardware_address) == 6


def _build_message(
    message: Message, head: bytes, address: int, template: Template
) -> tuple[bytes, tuple[int, ...]]:
    """The octets, and the codes of the options that had no room in them."""
    packet = message.packet
    left_out: tuple[int, ...] = ()
    tail = _echoed_options(packet.options)
    options = b"".join((head, template.results, tail, b"\xff"))
    server_name, boot_file = template.server_name, template.boot_file
    if _HEADER_SIZE + len(options) > REPLY_SIZE_DEFAULT:
        room = _reply_room(packet)
        if _HEADER_SIZE + len(options) > room:
            options, server_name, boot_file, left_out = _spill(head, template, tail, room)
    flags = packet.flags
    if packet.gateway_address and not address and head[2] == MessageType.NAK:
        flags |= wire.BROADCAST_FLAG  # so that the relay broadcasts it (RFC 2131 4.3.2)
    header = _pack_header(
        wire.BOOTREPLY,
        packet.hardware_type,
        len(packet.client_hardware_address),
        0,
        packet.transaction_id,
        0,
        flags,
        packet.client_address if head[2] == MessageType.ACK else 0,
        address,
        template.server_address,
        packet.gateway_address,
        packet.client_hardware_address,
        server_name,
        boot_file,
        wire.MAGIC_COOKIE,
    )
    return (header + options).ljust(REPLY_SIZE_MIN, b"\0"), left_out


def can_be_answered(packet: Packet) -> bool:
    """Whether what every answer holds fits: client identifier and option 82 are echoed, come what
    may, and `_spill` finds room only for what may be left out."""
    options = packet.options
    echoed = sum(
        len(options[code]) + 2 * -(-len(options[code]) // 255)
        for code in (wire.CLIENT_IDENTIFIER, wire.RELAY_AGENT_INFORMATION)
        if code in options
    )
    return _HEADER_SIZE + _LEASE.size + _OVERLOAD_SIZE + echoed + 1 <= _reply_room(packet)


def _echoed_options(options: Mapping[int, bytes]) -> bytes:
    """Option 61 (RFC 6842 3), and last of all option 82 (RFC 3046 2.2)."""
    tail = b""
    if wire.CLIENT_IDENTIFIER in options:
        tail = wire.build_option(wire.CLIENT_IDENTIFIER, options[wire.CLIENT_IDENTIFIER])
    if wire.RELAY_AGENT_INFORMATION in options:
        relay = options[wire.RELAY_AGENT_INFORMATION]
        tail += wire.build_option(wire.RELAY_AGENT_INFORMATION, relay)
    return tail


def _reply_room(packet: Packet) -> int:
    """Octets that the client takes (option 57 counts IP and UDP headers, RFC 2132 9.10)."""
    wish = packet.options.get(wire.MAXIMUM_MESSAGE_SIZE)
    if wish is None or len(wish) != 2:
        return REPLY_SIZE_DEFAULT
    return max(REPLY_SIZE_DEFAULT, min(REPLY_SIZE_MAX, int.from_bytes(wish, "big") - 28))


class _Fields:
    """The options field, `file` and `sname` while they are filled: a reader takes them in this
    order (RFC 3396 5)."""

    def __init__(self, main: int, file: int, name: int) -> None:
        self._free = [main, file, name]
        self.chosen: tuple[list[bytes], list[bytes], list[bytes]] = ([], [], [])
        self.left_out: list[int] = []

    def put(self, option: bytes) -> bool:
        """Whole where it can be, else in parts, as far as there is room for all of it."""
        for at, free in enumerate(self._free):
            if len(option) <= free:
                self._take(at, option)
                return True
        code, data = option[0], _option_data(option)
        rooms = [max(0, free - 2 * -(-free // _PIECE_SIZE)) for free in self._free]
        if len(data) > sum(rooms):
            self.left_out.append(code)
            return False
        for at, room in enumerate(rooms):
            part, data = data[:room], data[room:]
            if part:
                self._take(at, wire.build_option(code, part))
        return True

    def _take(self, at: int, option: bytes) -> None:
        self._free[at] -= len(option)
        self.chosen[at].append(option)


_PIECE_SIZE = 257
"""An option of 255 octets with its code and length."""


def _option_data(option: bytes) -> bytes:
    options: dict[int, bytes] = {}
    wire.parse_options(option, 0, len(option), options)
    return options[option[0]]


def _spill(
    head: bytes, template: Template, tail: bytes, room: int
) -> tuple[bytes, bytes, bytes, tuple[int, ...]]:
    """Spread options over the options field, `file` and `sname` (RFC 2132 9.3): both fields, those
    that are left out.

    A field that names a boot server stays what it is, unless it is needed; then the name is given
    as the option that stands for it (RFC 2132 9.4, 9.5)."""
    main = room - _HEADER_SIZE - len(head) - len(tail) - _OVERLOAD_SIZE - 1
    server_name, boot_file = template.server_name, template.boot_file
    fields = _Fields(
        main, 0 if boot_file else len(_NO_FILE) - 1, 0 if server_name else len(_NO_NAME) - 1
    )
    _fill(fields, template.options, template.routes)
    if fields.left_out and (server_name or boot_file):
        fields = _Fields(main, len(_NO_FILE) - 1, len(_NO_NAME) - 1)
        codes = {option[0] for option in template.options}
        names = ((wire.TFTP_SERVER_NAME, server_name), (wire.BOOT_FILE_NAME, boot_file))
        moved = [
            wire.build_option(code, name) for code, name in names if name and code not in codes
        ]
        mask, others = template.options[:1], template.options[1:]
        _fill(fields, (*mask, *moved, *others), template.routes)
    in_main, in_file, in_name = fields.chosen
    if in_file:
        boot_file = b"".join(in_file) + b"\xff"
    if in_name:
        server_name = b"".join(in_name) + b"\xff"
    overload = bool(in_file) | bool(in_name) << 1
    mark = bytes((wire.OVERLOAD, 1, overload)) if overload else b""
    options = b"".join((head, mark, *in_main, tail, b"\xff"))
    return options, server_name, boot_file, tuple(fields.left_out)


def _fill(fields: _Fields, options: Sequence[bytes], routes: Sequence[bytes]) -> None:
    for option in options:
        if not fields.put(option) and option[0] == wire.CLASSLESS_ROUTES:
            for instead in routes:
                fields.put(instead)
