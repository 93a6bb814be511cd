"""`dhcpsync lab clients`: many honest DHCP clients on a real wire, who keep the books.

They are the simulator's clients (RFC 2131 4.4; codec of their own) on real time, each with its own
hardware address: frames go out and come in by AF_PACKET, and ARP requests for a lease are answered
by its holder, so that servers reach them as they reach machines. What a client knows is noted from
its side: who was acknowledged an address that another one holds is a duplicate, a lease that
expired or was refused while its client asked is lost.
"""

from __future__ import annotations

import heapq
import random
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.net.link import build_datagram
from tools.simulator.clients import BROADCAST, Client, read_message

_ETH_P_ALL = 3
_IP, _ARP = b"\x08\x00", b"\x08\x06"
_SOL_PACKET, _ADD_MEMBERSHIP, _PROMISCUOUS = 263, 1, 1
_EVERYBODY = b"\xff" * 6
_CLIENT_PORT, _SERVER_PORT = 68, 67
_ARP_ANSWER = struct.Struct("!HHBBH6s4s6s4s")
_RECEIVE_BUFFER = 1 << 20
_FRAME_MAX = 2048


@dataclass
class Books:
    """What the clients saw. `duplicates` and `lost` name addresses; `waited_max_s`: the longest
    that a client without a lease waited for one; `leases`: for each client every address that it
    was acknowledged and by which server, in order, renewals by the same server left out."""

    clients: int
    acks: int = 0
    duplicates: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    bound: int = 0
    waited_max_s: float = 0.0
    leases: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return not self.duplicates and not self.lost


class _RealTime:
    """The simulator's world as far as clients need it, on the machine's clock."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._queue: list[tuple[int, int, Callable[[], object]]] = []
        self._count = 0

    @property
    def now_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def after(self, delay_ms: int, act: Callable[[], object]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now_ms + delay_ms, self._count, act))

    def trace(self, *_what: object) -> None:
        """Real time repeats nothing, so there is nothing to compare."""

    def act(self) -> int:
        """Do what is due; the milliseconds until the next."""
        while self._queue and self._queue[0][0] <= self.now_ms:
            heapq.heappop(self._queue)[2]()
        return max(0, self._queue[0][0] - self.now_ms) if self._queue else 1000


class Population:
    """`count` clients on `interface` of this process's network namespace."""

    def __init__(self, interface: str, count: int, seed: int) -> None:
        self._world = _RealTime(seed)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.bind((interface, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        index = socket.if_nametoindex(interface)
        membership = struct.pack("=iHH8s", index, _PROMISCUOUS, 0, bytes(8))
        self._socket.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, membership)
        self._servers: dict[int, bytes] = {}
        self._holders: dict[int, set[Client]] = {}
        self.books = Books(count)
        self._began_ms = self._world.now_ms
        self._clients = {}
        for number in range(count):
            hardware_address = bytes((2, 0xDC, seed & 255)) + number.to_bytes(3, "big")
            self._clients[hardware_address] = Client(
                f"client{number}",
                hardware_address,
                self._world,
                self._transmit,
                self._note,
            )

    def run(self, seconds: float, spread_s: float = 5.0) -> Books:
        """Power on within `spread_s`, live for `seconds` or until SIGTERM; leases are kept."""
        stopped = []
        previous = signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
        try:
            for number, client in enumerate(self._clients.values()):
                self._world.after(int(number * spread_s * 1000 / len(self._clients)), client.start)
            until = time.monotonic() + seconds
            while not stopped and (left := until - time.monotonic()) > 0:
                wait_ms = min(self._world.act(), int(left * 1000) + 1, 200)
                if select.select([self._socket], [], [], wait_ms / 1000)[0]:
                    self._read()
        finally:
            signal.signal(signal.SIGTERM, previous)
            self._socket.close()
        now_ms = self._world.now_ms
        self.books.bound = sum(client.holds(now_ms) for client in self._clients.values())
        return self.books

    # --- the books

    def _note(self, client: Client, address: int) -> None:
        now_ms = self._world.now_ms
        holders = self._holders.setdefault(address, set())
        if client.lease is None or client.lease.address != address:
            # Given up by the client itself never happens here: it expired, or a NAK took it.
            holders.discard(client)
            self.books.lost.append(
                f"{_dotted(address)} {client.name}"
                f" {client.state.value} after {(now_ms - self._began_ms) / 1000:.1f} s"
            )
            return
        self.books.acks += 1
        lease = (_dotted(address), _dotted(client.lease.server))
        leases = self.books.leases.setdefault(client.name, [])
        if leases[-1:] != [lease]:
            leases.append(lease)
        if any(other is not client and other.holds(now_ms) for other in holders):
            self.books.duplicates.append(_dotted(address))
        holders.add(client)

    # --- the wire

    def _transmit(self, client: Client, data: bytes, destination: int) -> None:
        hardware = _EVERYBODY if destination == BROADCAST else self._servers.get(destination)
        if hardware is None:
            return
        source = client.lease.address if client.lease and destination != BROADCAST else 0
        datagram = build_datagram(source, destination, _CLIENT_PORT, _SERVER_PORT, data)
        self._socket.send(hardware + client.hardware_address + _IP + datagram)

    def _read(self) -> None:
        while True:
            try:
                frame = self._socket.recv(_FRAME_MAX, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            if frame[6:12] in self._clients:
                continue
            if frame[12:14] == _ARP and frame[20:22] == b"\0\x01":
                self._answer_arp(frame)
            elif frame[12:14] == _IP and frame[23] == socket.IPPROTO_UDP:
                self._hear(frame)

    def _answer_arp(self, frame: bytes) -> None:
        """Whoever holds the address says so (RFC 826); two who do both speak, as machines would."""
        wanted = int.from_bytes(frame[38:42], "big")
        for client in self._holders.get(wanted, ()):
            if client.lease is not None and client.lease.address == wanted:
                answer = _ARP_ANSWER.pack(
                    1, 0x0800, 6, 4, 2, client.hardware_address, frame[38:42], frame[22:28],
                    frame[28:32],
                )  # fmt: skip
                self._socket.send(frame[22:28] + client.hardware_address + _ARP + answer)

    def _hear(self, frame: bytes) -> None:
        header = 14 + (frame[14] & 15) * 4
        source, port = struct.unpack_from("!HH", frame, header)
        if (source, port) != (_SERVER_PORT, _CLIENT_PORT):
            return
        data = frame[header + 8 :]
        client = self._clients.get(data[28:34])
        if client is None:
            return
        self._servers[int.from_bytes(frame[26:30], "big")] = frame[6:12]
        if read_message(data).hardware_address == client.hardware_address:
            waiting_since_ms = client.waiting_since_ms
            client.receive(data)
            if waiting_since_ms >= 0 and client.waiting_since_ms < 0:
                waited_s = (self._world.now_ms - waiting_since_ms) / 1000
                self.books.waited_max_s = max(self.books.waited_max_s, round(waited_s, 2))


def _dotted(address: int) -> str:
    return socket.inet_ntoa(address.to_bytes(4, "big"))
