"""The agent's UDP socket: datagrams to the door, requests to the responder, answers to pysnmp.

In the place of pysnmp's own transport, which takes one datagram in each turn of the event loop and
believes all of them. Here a turn takes many, each is counted against its source before it is even
copied, and what the door does not let through costs nothing more. Sending never waits: what the
kernel has no room for is kept, a little of it, and sent when there is room.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from pysnmp.carrier.asyncio.base import AbstractAsyncioTransport
from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config
from pysnmp.entity.engine import SnmpEngine

from agent import clock
from agent.errors import ConfigError
from agent.limits import (
    SNMP_DATAGRAMS_A_TURN,
    SNMP_RECEIVE_BUFFER,
    SNMP_SEND_WAITING_MAX,
)
from agent.model import format_address
from agent.snmp.door import Address, Answer, Door, Reply, Request

log = logging.getLogger("dhcpsync.snmp")

_DATAGRAM_OCTETS = 65_536
_SO_RCVBUFFORCE = 33
"""Linux socket(7); not in Python's socket module."""


class DoorTransport(AbstractAsyncioTransport):  # type: ignore[misc]
    """`serve` takes requests; `on_unproven` hears of the engine whose answer was not
    authentic, after pysnmp has had it."""

    ADDRESS_TYPE = udp.UdpTransportAddress

    def __init__(
        self,
        door: Door,
        serve: Callable[[Request], None],
        on_unproven: Callable[[bytes], None],
    ) -> None:
        self._door = door
        self._serve = serve
        self._on_unproven = on_unproven
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray(_DATAGRAM_OCTETS)
        self._view = memoryview(self._buffer)
        self._waiting: deque[tuple[bytes, Address]] = deque()
        self._socket: socket.socket | None = None
        self.unsent = 0

    def open(self, address: int, port: int) -> Address:
        """Bind, and begin to read; returns where. Raises ConfigError if it cannot be had."""
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.setblocking(False)
        _widen(opened)
        host = format_address(address)
        try:
            opened.bind((host, port))
        except OSError as failure:
            opened.close()
            raise ConfigError(
                "member.toml",
                "snmp.port" if failure.errno != errno.EADDRNOTAVAIL else "snmp.address",
                f"cannot listen on {host}:{port}: {failure.strerror}",
                _remedy(failure, port),
            ) from None
        self._socket = opened
        self._loop.add_reader(opened.fileno(), self._read)
        bound: Address = opened.getsockname()
        return bound

    def close_transport(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
            self._socket = None
        super().close_transport()

    # --- in

    def _read(self) -> None:
        door, now_s = self._door, clock.boot_s()
        for _ in range(SNMP_DATAGRAMS_A_TURN):
            if self._socket is None:
                return
            try:
                size, source = self._socket.recvfrom_into(self._buffer)
            except OSError:  # nothing is left, or an ICMP message about something sent before
                return
            if door.admits(source[0], now_s):
                self._take(bytes(self._view[:size]), source, now_s)

    def _take(self, data: bytes, source: Address, now_s: float) -> None:
        verdict = self._door.examine(data, source, now_s)
        if isinstance(verdict, Request):
            self._serve(verdict)
        elif isinstance(verdict, Reply):
            self.send(verdict.message, source)
        elif verdict is not None:
            # In a turn of its own: whatever pysnmp makes of it, the next datagram is read.
            self._loop.call_soon(self._give, verdict, source)

    def _give(self, answer: Answer, source: Address) -> None:
        try:
            if self._callback_function is not None:
                self._callback_function(self, udp.UdpTransportAddress(source), answer.message)
        finally:
            if not answer.is_authentic:
                self._on_unproven(answer.engine_id)

    # --- out

    def send_message(self, message: Any, address: Any) -> None:
        """What pysnmp calls."""
        self.send(bytes(message), tuple(address))

    def send(self, message: bytes, to: Address) -> None:
        if self._waiting or not self._sent(message, to):
            if len(self._waiting) >= SNMP_SEND_WAITING_MAX:
                self.unsent += 1
                return
            self._waiting.append((message, to))
            if self._socket is not None:
                self._loop.add_writer(self._socket.fileno(), self._send_on)

    def _send_on(self) -> None:
        while self._waiting and self._sent(*self._waiting[0]):
            self._waiting.popleft()
        if not self._waiting and self._socket is not None:
            self._loop.remove_writer(self._socket.fileno())

    def _sent(self, message: bytes, to: Address) -> bool:
        """Whether nothing more is to be done for it. Not being able to reach somebody is his
        loss: as with any datagram that is lost, it is he who asks again."""
        if self._socket is None:
            return True
        try:
            self._socket.sendto(message, to)
        except BlockingIOError:
            return False
        except OSError as error:
            self.unsent += 1
            log.debug("nothing can be sent to %s:%d: %s", *to, error)
        return True


def attach(engine: SnmpEngine, transport: DoorTransport) -> None:
    """Let pysnmp send through it, and have its answers."""
    config.add_transport(engine, udp.DOMAIN_NAME, transport)


def _widen(one: socket.socket) -> None:
    """Room for what comes while the loop is busy elsewhere, as much as the kernel gives us."""
    try:
        one.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, SNMP_RECEIVE_BUFFER)
    except PermissionError:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SNMP_RECEIVE_BUFFER)


def _remedy(failure: OSError, port: int) -> str:
    if isinstance(failure, PermissionError):
        return f"ports below 1024 need root or CAP_NET_BIND_SERVICE; {port} is one"
    if failure.errno == errno.EADDRINUSE:
        return f"another SNMP agent has the port (`ss -ulpn sport = {port}` names it)"
    return "is the address on one of this machine's interfaces?"
