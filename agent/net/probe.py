"""Who uses an address? ARP probes on a link, ICMP echoes through routers.

The ARP probe names 0.0.0.0 as its sender (RFC 5227 2.1.1), so that nobody learns a wrong mapping
from it. Filters in the kernel let only ARP replies and echo replies through to these sockets: the
engine is not woken by the ordinary noise of a link. Echoes carry a mark of this process, so that
another program's pings are not taken for answers of ours.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import NamedTuple

from agent.dhcp.packet import Interface
from agent.dhcp.probes import ProbeWish
from agent.errors import ConfigError

_ETH_P_ARP = 0x0806
_ETHERNET = 1
_IPV4 = 0x0800
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_REQUEST, _REPLY = 1, 2
_BROADCAST = b"\xff" * 6
_SO_ATTACH_FILTER = 26
_ARP_REPLIES_ONLY = (
    (0x28, 0, 0, 6),  # load the half-word at 6: the operation
    (0x15, 0, 1, _REPLY),  # equal to reply?
    (0x06, 0, 0, 64),  # take it
    (0x06, 0, 0, 0),  # drop it
)
_SOL_RAW, _ICMP_FILTER = 255, 1
_ICMP = struct.Struct("!BBHHH")
_ECHO_REPLY, _ECHO = 0, 8
_MARK = b"dhcpsync"
_ANSWER_MAX = 256


class ProbeAnswer(NamedTuple):
    """`hardware_address` is empty for an echo."""

    address: int
    hardware_address: bytes


class ProbeSockets:
    """Raises ConfigError where a socket cannot be had."""

    def __init__(self) -> None:
        self._identifier = os.getpid() & 0xFFFF
        try:
            with ExitStack() as undo:
                flags = socket.SOCK_NONBLOCK
                everything = socket.htons(_ETH_P_ARP)
                self.arp = undo.enter_context(
                    closing(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | flags, everything))
                )
                _attach_filter(self.arp)  # what came before it is looked at, and passed over
                self.icmp = undo.enter_context(
                    closing(
                        socket.socket(socket.AF_INET, socket.SOCK_RAW | flags, socket.IPPROTO_ICMP)
                    )
                )
                blocked = 0xFFFF_FFFF ^ 1 << _ECHO_REPLY
                self.icmp.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", blocked))
                undo.pop_all()
        except PermissionError:
            raise ConfigError(
                "probe sockets",
                "",
                "may not be opened by this user",
                "run as root, or give CAP_NET_RAW",
            ) from None

    def send(self, wish: ProbeWish, interfaces: Mapping[int, Interface]) -> None:
        """Raises OSError."""
        if not wish.interface:
            self._echo(wish.address)
            return
        interface = interfaces.get(wish.interface)
        if interface is None or len(interface.hardware_address) != 6:
            raise OSError(errno.ENODEV, f"interface {wish.interface} has no Ethernet address")
        frame = _ARP.pack(
            _ETHERNET,
            _IPV4,
            6,
            4,
            _REQUEST,
            interface.hardware_address,
            bytes(4),
            bytes(6),
            wish.address.to_bytes(4, "big"),
        )
        self.arp.sendto(
            frame, (interface.name, _ETH_P_ARP, socket.PACKET_OUTGOING, _ETHERNET, _BROADCAST)
        )

    def _echo(self, address: int) -> None:
        body = _ICMP.pack(_ECHO, 0, 0, self._identifier, 1) + _MARK
        total = sum(struct.unpack(f"!{len(body) // 2}H", body))
        total = (total & 0xFFFF) + (total >> 16)
        check = 0xFFFF ^ ((total & 0xFFFF) + (total >> 16))
        packet = _ICMP.pack(_ECHO, 0, check, self._identifier, 1) + _MARK
        self.icmp.sendto(packet, (socket.inet_ntoa(address.to_bytes(4, "big")), 0))

    def receive(self) -> list[ProbeAnswer]:
        """Everything that waits."""
        answers: list[ProbeAnswer] = []
        while (data := _take(self.arp)) is not None:
            if len(data) >= _ARP.size:
                *_, operation, hardware, sender, _, _ = _ARP.unpack_from(data)
                if operation == _REPLY and sender != bytes(4):
                    answers.append(ProbeAnswer(int.from_bytes(sender, "big"), hardware))
        while (data := _take(self.icmp)) is not None:
            header = (data[0] & 0x0F) * 4 if data else 0
            icmp = data[header:]
            if len(icmp) < _ICMP.size + len(_MARK):
                continue
            kind, _, _, identifier, _ = _ICMP.unpack_from(icmp)
            if (kind, identifier) == (_ECHO_REPLY, self._identifier) and icmp.endswith(_MARK):
                answers.append(ProbeAnswer(int.from_bytes(data[12:16], "big"), b""))
        return answers

    def close(self) -> None:
        self.arp.close()
        self.icmp.close()


def _take(source: socket.socket) -> bytes | None:
    """The next datagram, or None. What the kernel tells of an earlier send is read away."""
    while True:
        try:
            return source.recv(_ANSWER_MAX)
        except BlockingIOError:
            return None
        except OSError:
            continue


def _attach_filter(source: socket.socket) -> None:
    """A classic BPF program (Linux, networking/filter): struct sock_fprog points to it."""
    program = b"".join(struct.pack("=HBBI", *one) for one in _ARP_REPLIES_ONLY)
    buffer = ctypes.create_string_buffer(program)
    fprog = struct.pack("@HP", len(_ARP_REPLIES_ONLY), ctypes.addressof(buffer))
    source.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
