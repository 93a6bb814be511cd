"""The link layer: replies to clients that have no address yet, and this machine's interfaces.

A client that waits for its first address answers no ARP, so the reply is framed to its hardware
address (RFC 2131 4.1). An AF_PACKET datagram socket does it: we build IP and UDP, the kernel the
Ethernet header. Interfaces and addresses come from rtnetlink, and the same socket family tells
when they change.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence

from agent.dhcp.packet import Interface, Reply
from agent.errors import ConfigError

_ETH_P_IP = 0x0800
_IP_HEADER = struct.Struct("!BBHHHBBHII")
_UDP_HEADER = struct.Struct("!HHHH")
_PSEUDO_HEADER = struct.Struct("!IIBBHHHHH")
_UDP = 17
_DONT_FRAGMENT = 0x4000
_TIME_TO_LIVE = 64
SERVER_PORT = 67


def build_datagram(
    source: int, destination: int, source_port: int, port: int, data: bytes
) -> bytes:
    """IPv4 and UDP headers (RFC 791 3.1, RFC 768) around `data`, both checksums filled in."""
    length = _UDP_HEADER.size + len(data)
    pseudo = _PSEUDO_HEADER.pack(source, destination, 0, _UDP, length, source_port, port, length, 0)
    udp = _UDP_HEADER.pack(source_port, port, length, _checksum(pseudo + data) or 0xFFFF)
    fields = (0x45, 0, _IP_HEADER.size + length, 0, _DONT_FRAGMENT, _TIME_TO_LIVE, _UDP)
    check = _checksum(_IP_HEADER.pack(*fields, 0, source, destination))
    return _IP_HEADER.pack(*fields, check, source, destination) + udp + data


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071): the ones' complement sum is the number modulo 65535."""
    if len(data) & 1:
        data += b"\0"
    return 0xFFFF - (int.from_bytes(data, "big") % 0xFFFF or 0xFFFF)


class LinkSocket:
    """Frames replies to hardware addresses. Raises ConfigError if it cannot be had."""

    def __init__(self, source_port: int = SERVER_PORT) -> None:
        self._source_port = source_port
        try:
            # Protocol 0: the socket receives nothing.
            self._socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, 0
            )
        except PermissionError:
            raise ConfigError(
                "packet socket",
                "",
                "may not be opened by this user",
                "run as root, or give CAP_NET_RAW",
            ) from None

    def send(self, reply: Reply, interface_name: str) -> None:
        """Send to the reply's hardware address on the named interface. Raises OSError."""
        assert reply.hardware_address is not None
        frame = build_datagram(
            reply.source, reply.address, self._source_port, reply.port, reply.data
        )
        target = (interface_name, _ETH_P_IP, socket.PACKET_OUTGOING, 1, reply.hardware_address)
        self._socket.sendto(frame, target)

    def close(self) -> None:
        self._socket.close()


# --- interfaces, by rtnetlink(7) ---------------------------------------------------------------

_NLMSG = struct.Struct("=IHHII")
_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBi")
_RTATTR = struct.Struct("=HH")
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_RTM_NEWLINK, _RTM_GETLINK, _RTM_NEWADDR, _RTM_GETADDR = 16, 18, 20, 22
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_IFLA_ADDRESS, _IFLA_IFNAME = 1, 3
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFF_LOOPBACK = 0x8
_GROUPS = 0x1 | 0x10  # RTMGRP_LINK | RTMGRP_IPV4_IFADDR
_NETLINK_BUFFER = 1 << 16


def load_interfaces(served: Sequence[str] = ()) -> dict[int, Interface]:
    """This machine's interfaces by index, with their IPv4 addresses in the kernel's order.

    `served` names those that serve clients; none named: all but the loopback."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        links = {}
        for body in _dump(netlink, _RTM_GETLINK, _RTM_NEWLINK):
            _, _, index, flags, _ = _IFINFO.unpack_from(body)
            attributes = _attributes(body, _IFINFO.size)
            name = attributes.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
            links[index] = (name, attributes.get(_IFLA_ADDRESS, b""), flags)
        addresses: dict[int, list[int]] = {}
        for body in _dump(netlink, _RTM_GETADDR, _RTM_NEWADDR):
            family, _, _, _, index = _IFADDR.unpack_from(body)
            attributes = _attributes(body, _IFADDR.size)
            own = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
            if family == socket.AF_INET and own:
                addresses.setdefault(index, []).append(int.from_bytes(own, "big"))
    return {
        index: Interface(
            index,
            name,
            hardware,
            tuple(addresses.get(index, ())),
            name in served if served else not flags & _IFF_LOOPBACK,
        )
        for index, (name, hardware, flags) in links.items()
    }


def check_served(interfaces: Mapping[int, Interface], served: Sequence[str]) -> None:
    """Raise ConfigError for a name in `served` that no interface has."""
    names = sorted(interface.name for interface in interfaces.values())
    for name in served:
        if name not in names:
            raise ConfigError(
                "member.toml",
                "dhcp.interfaces",
                f"{name!r} is no interface of this machine",
                f"there are {', '.join(names)}",
            )


def _dump(netlink: socket.socket, request: int, answer: int) -> Iterator[bytes]:
    """The bodies of all `answer` messages to a dump request."""
    family = socket.AF_INET if request == _RTM_GETADDR else socket.AF_UNSPEC
    body = bytes((family,)).ljust(_IFINFO.size, b"\0")
    header = _NLMSG.pack(_NLMSG.size + len(body), request, _NLM_F_REQUEST | _NLM_F_DUMP, request, 0)
    netlink.send(header + body)
    while True:
        data = netlink.recv(_NETLINK_BUFFER)
        at = 0
        while at + _NLMSG.size <= len(data):
            length, kind, _, _, _ = _NLMSG.unpack_from(data, at)
            if kind == _NLMSG_DONE:
                return
            if kind == _NLMSG_ERROR:
                raise OSError(errno.EIO, "the kernel refused to list interfaces")
            if kind == answer:
                yield data[at + _NLMSG.size : at + length]
            at += (length + 3) & ~3


def _attributes(body: bytes, at: int) -> dict[int, bytes]:
    found = {}
    while at + _RTATTR.size <= len(body):
        length, kind = _RTATTR.unpack_from(body, at)
        if length < _RTATTR.size:
            break
        found[kind] = body[at + _RTATTR.size : at + length]
        at += (length + 3) & ~3
    return found


class InterfaceMonitor:
    """Becomes readable when a link or an IPv4 address of this machine has changed."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, _GROUPS))

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self) -> None:
        """Forget what was told; the caller loads the interfaces anew."""
        while True:
            try:
                self._socket.recv(_NETLINK_BUFFER)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # some news were lost, which says: look
                    raise

    def close(self) -> None:
        self._socket.close()
