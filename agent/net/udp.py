"""The DHCP server's UDP socket: every datagram with its interface and destination, many at once.

One socket hears all interfaces (IP_PKTINFO tells which), because a client's broadcast and a
relay's unicast look alike then. `receive` takes whatever waits without blocking, which is what
makes batches grow with the load and stay at one when there is none. SO_REUSEADDR is left off on
purpose: with UDP it would let a second server take the port in silence and half of the packets.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import NamedTuple

from agent.dhcp.packet import Received, Reply
from agent.errors import ConfigError
from agent.limits import DATAGRAM_MAX, RECEIVE_BUFFER

_IP_PKTINFO = 8
_SO_RCVBUFFORCE = 33
_PKTINFO = struct.Struct("=i4s4s")
"""struct in_pktinfo: interface, source to use (or local address), destination."""
_ANCILLARY = socket.CMSG_SPACE(_PKTINFO.size)
_SOURCES_MAX = 256
"""Pairs of interface and source address whose control message is remembered."""


class Drained(NamedTuple):
    """What waited: at most the number asked for. `too_long` datagrams were thrown away."""

    datagrams: list[Received]
    too_long: int


class DhcpSocket:
    """UDP socket on `port` of every address. Raises ConfigError if it cannot be had."""

    def __init__(self, port: int = 67) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._control: dict[tuple[int, int], list[tuple[int, int, bytes]]] = {}
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            self._grow_buffer()
            self._socket.bind(("", port))
        except OSError as error:
            self._socket.close()
            raise _bind_error(port, error) from None

    def _grow_buffer(self) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self, limit: int) -> Drained:
        """Take what waits, at most `limit` datagrams, without blocking."""
        datagrams: list[Received] = []
        too_long = 0
        receive, unpack = self._socket.recvmsg, _PKTINFO.unpack
        while len(datagrams) < limit:
            try:
                data, control, flags, sender = receive(DATAGRAM_MAX, _ANCILLARY)
            except BlockingIOError:
                break
            except OSError:
                continue  # an ICMP error about an earlier reply; reading it has cleared it
            if flags & socket.MSG_TRUNC or not control:
                too_long += 1
                if too_long >= limit:
                    break
                continue
            interface, _, destination = unpack(control[0][2])
            datagrams.append(
                Received(
                    data,
                    int.from_bytes(socket.inet_aton(sender[0]), "big"),
                    int.from_bytes(destination, "big"),
                    interface,
                )
            )
        return Drained(datagrams, too_long)

    def send(self, reply: Reply) -> None:
        """Send from `reply.source`, where it is ours. Raises OSError."""
        target = (socket.inet_ntoa(reply.address.to_bytes(4, "big")), reply.port)
        try:
            self._socket.sendmsg([reply.data], self._control_of(reply), 0, target)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENETUNREACH):
                raise
            # The server identifier is no address of this machine (any more).
            control = self._control_of(reply._replace(source=0))
            self._socket.sendmsg([reply.data], control, 0, target)

    def _control_of(self, reply: Reply) -> list[tuple[int, int, bytes]]:
        key = (reply.interface, reply.source)
        control = self._control.get(key)
        if control is None:
            if len(self._control) >= _SOURCES_MAX:
                self._control.clear()
            info = _PKTINFO.pack(reply.interface, reply.source.to_bytes(4, "big"), bytes(4))
            control = self._control[key] = [(socket.IPPROTO_IP, _IP_PKTINFO, info)]
        return control

    def close(self) -> None:
        self._socket.close()


def _bind_error(port: int, error: OSError) -> ConfigError:
    place = f"UDP 0.0.0.0:{port}"
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            place,
            "",
            "is in use: another DHCP server (dhcpd, kea-dhcp4, dnsmasq) or another engine holds it",
            f"see who with `ss -lunp 'sport = :{port}'` and stop it, or set dhcp.port",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return ConfigError(
            place,
            "",
            "may not be opened by this user",
            "run as root, or give CAP_NET_BIND_SERVICE and CAP_NET_RAW",
        )
    return ConfigError(place, "", f"cannot be opened: {error.strerror}", "set dhcp.port")
