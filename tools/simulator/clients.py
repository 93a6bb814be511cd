"""Simulated DHCP clients (RFC 2131 4.4), honest ones: they use an address only inside a lease.

They reboot (with the lease that they remember), move between links and lose messages.

They make and read packets with code of their own, so that an error of the server's codec does not
cancel itself out.
"""

from __future__ import annotations

import enum
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE = 1, 2, 3, 4, 5, 6, 7
BROADCAST = 0xFFFF_FFFF
_HEADER = struct.Struct("!BBBBIHHIIII16s64s128sI")
_COOKIE = 0x6382_5363


class Message(NamedTuple):
    """What a client reads of a server's message."""

    kind: int
    transaction_id: int
    your_address: int
    hardware_address: bytes
    server: int
    lease_s: int
    renewal_s: int
    rebinding_s: int


def read_message(data: bytes) -> Message:
    """Read a reply; raises ValueError or struct.error if the server sent nonsense."""
    fields = _HEADER.unpack_from(data)
    if fields[0] != 2 or fields[14] != _COOKIE:
        raise ValueError("no BOOTREPLY")
    options: dict[int, bytes] = {}
    at = _HEADER.size
    while data[at] != 255:
        code = data[at]
        if code == 0:
            at += 1
            continue
        size = data[at + 1]
        options[code] = data[at + 2 : at + 2 + size]
        at += 2 + size

    def number(code: int) -> int:
        return int.from_bytes(options.get(code, b""), "big")

    hardware_address = fields[11][: fields[2]]
    return Message(
        options[53][0], fields[4], fields[8], hardware_address, number(54), number(51),
        number(58), number(59),
    )  # fmt: skip


def write_message(
    kind: int,
    transaction_id: int,
    hardware_address: bytes,
    client_address: int = 0,
    requested: int = 0,
    server: int = 0,
) -> bytes:
    options = bytes([53, 1, kind, 55, 4, 1, 3, 6, 15])
    if requested:
        options += b"\x32\x04" + requested.to_bytes(4, "big")
    if server:
        options += b"\x36\x04" + server.to_bytes(4, "big")
    header = _HEADER.pack(
        1, 1, 6, 0, transaction_id, 0, 0x8000, client_address, 0, 0, 0, hardware_address, b"", b"",
        _COOKIE,
    )  # fmt: skip
    return header + options + b"\xff"


class Surroundings(Protocol):
    """What a client needs of the world: the simulated one, or the real one (`tools.lab`)."""

    random: random.Random

    @property
    def now_ms(self) -> int: ...
    def after(self, delay_ms: int, act: Callable[[], object]) -> None: ...
    def trace(self, *what: object) -> None: ...


_AGAIN_LEAST_MS = 60_000


class State(enum.Enum):
    OFF = "off"
    SELECTING = "selecting"
    REQUESTING = "requesting"
    REBOOTING = "rebooting"
    BOUND = "bound"
    RENEWING = "renewing"
    REBINDING = "rebinding"


@dataclass
class Lease:
    """A lease as the client counts it: from the instant at which it sent the REQUEST."""

    address: int
    server: int
    end_ms: int
    renew_ms: int
    rebind_ms: int


class Client:
    """One client on `link`. `transmit(client, data, destination)` puts a datagram on the wire;
    `on_lease(client, address)` is called whenever an ACK has given it a lease, and when the lease
    of that address is over: given up, refused by a NAK, or expired. `is_in_use(client, address)`:
    whether somebody else answers for a new address on the link; then it is declined."""

    def __init__(
        self,
        name: str,
        hardware_address: bytes,
        world: Surroundings,
        transmit: Callable[[Client, bytes, int], None],
        on_lease: Callable[[Client, int], None],
        is_in_use: Callable[[Client, int], bool] = lambda *_: False,
    ) -> None:
        self.name = name
        self.hardware_address = hardware_address
        self.lease: Lease | None = None
        self.state = State.OFF
        self.leases_lost = 0
        self.link = 0
        self.waiting_since_ms = -1
        """Since when it has been asking for any address at all; -1: it is not."""
        self.waited_ms = -1
        """How long it asked for its first address; -1: it has not had one."""
        self.chosen = 0
        """The server whose offer it has taken last."""
        self._world = world
        self._transmit = transmit
        self._on_lease = on_lease
        self._is_in_use = is_in_use
        self._transaction_id = 0
        self._requested_at_ms = 0
        self._request: tuple[bytes, int] = (b"", 0)
        self._turn = 0
        """Grows with every change of state, so that timers of an earlier one fall away."""

    @property
    def transaction_id(self) -> int:
        return self._transaction_id

    def holds(self, now_ms: int) -> bool:
        return self.lease is not None and self.lease.end_ms > now_ms

    def uses(self, address: int) -> bool:
        """Whether it would answer for the address now."""
        return (
            self.state is not State.OFF
            and self.lease is not None
            and self.lease.address == address
            and self.holds(self._world.now_ms)
        )

    def hardware_of(self, _address: int) -> bytes:
        return self.hardware_address

    def start(self, link: int = 0) -> None:
        """Power on: with a lease that it remembers (INIT-REBOOT) or without."""
        self.link = link
        if self.lease is not None and self.lease.end_ms > self._world.now_ms:
            self._become(State.REBOOTING)
            self._ask(write_message(
                REQUEST, self._transaction_id, self.hardware_address, requested=self.lease.address
            ), BROADCAST, tries=3, otherwise=self._after_silent_reboot)  # fmt: skip
        else:
            self._discover()

    def stop(self, *, release: bool) -> None:
        """Power off; a client that releases gives its lease up at once."""
        if release and self.lease is not None and self.state is State.BOUND:
            data = write_message(
                RELEASE, self._world.random.getrandbits(32), self.hardware_address,
                client_address=self.lease.address, server=self.lease.server,
            )  # fmt: skip
            server = self.lease.server
            self._transmit(self, data, server)
            self._give_up()
        self._become(State.OFF)
        self.waiting_since_ms = -1

    def _give_up(self) -> None:
        if self.lease is not None:
            address, self.lease = self.lease.address, None
            self._on_lease(self, address)

    def receive(self, data: bytes) -> object:
        message = read_message(data)
        if message.hardware_address != self.hardware_address:
            return False
        if message.transaction_id != self._transaction_id or self.state is State.OFF:
            return False
        if message.kind == OFFER and self.state is State.SELECTING:
            self._become(State.REQUESTING, keep_transaction=True)
            self.chosen = message.server
            self._ask(write_message(
                REQUEST, self._transaction_id, self.hardware_address,
                requested=message.your_address, server=message.server,
            ), BROADCAST, tries=3, otherwise=self._discover)  # fmt: skip
        elif message.kind == ACK and self.state in _WAITING:
            self._bind(message)
        elif message.kind == NAK and self.state in _WAITING:
            self._give_up()
            self._discover()
        return None

    # --- inside

    def _become(self, state: State, *, keep_transaction: bool = False) -> None:
        self.state = state
        self._turn += 1
        if not keep_transaction:
            self._transaction_id = self._world.random.getrandbits(32)

    def _discover(self) -> None:
        self._become(State.SELECTING)
        if self.waiting_since_ms < 0:
            self.waiting_since_ms = self._world.now_ms
        data = write_message(DISCOVER, self._transaction_id, self.hardware_address)
        self._ask(data, BROADCAST, tries=4, otherwise=self._discover_later)

    def _discover_later(self) -> None:
        self._become(State.SELECTING)
        self._later(self._world.random.randint(5_000, 15_000), self._discover)

    def _ask(
        self, data: bytes, destination: int, tries: int, otherwise: Callable[[], None]
    ) -> None:
        """Send, and again after 4, 8, ... s, at most `tries` times; then `otherwise`."""
        self._requested_at_ms = self._world.now_ms
        self._transmit(self, data, destination)
        wait_ms = 4_000 + self._world.random.randint(-1_000, 1_000)
        if tries > 1:
            self._later(wait_ms, lambda: self._ask(data, destination, tries - 1, otherwise))
        else:
            self._later(wait_ms, otherwise)

    def _later(self, delay_ms: int, act: Callable[[], None]) -> None:
        turn = self._turn

        def due() -> object:
            if turn != self._turn:
                return False
            act()
            return None

        self._world.after(delay_ms, due)

    def _bind(self, message: Message) -> None:
        start_ms = self._requested_at_ms
        if self.waited_ms < 0:
            self.waited_ms = self._world.now_ms - self.waiting_since_ms
        self.waiting_since_ms = -1
        is_new = self.lease is None or self.lease.address != message.your_address
        if self.lease is not None and is_new:
            self._give_up()
        self.lease = Lease(
            message.your_address,
            message.server,
            start_ms + message.lease_s * 1000,
            start_ms + message.renewal_s * 1000,
            start_ms + message.rebinding_s * 1000,
        )
        self._become(State.BOUND)
        self._world.trace(self.name, "bound", message.your_address, message.lease_s)
        self._on_lease(self, message.your_address)
        if is_new and self._is_in_use(self, message.your_address):
            self._decline(self.lease)
            return
        self._at(self.lease.renew_ms, self._renew)

    def _decline(self, lease: Lease) -> None:
        """RFC 2131 3.1.5: at least ten seconds before it begins anew."""
        self._give_up()
        self._become(State.SELECTING)
        data = write_message(
            DECLINE, self._transaction_id, self.hardware_address, requested=lease.address,
            server=lease.server,
        )  # fmt: skip
        self._transmit(self, data, BROADCAST)
        self._later(10_000, self._discover)

    def _at(self, when_ms: int, act: Callable[[], None]) -> None:
        self._later(max(0, when_ms - self._world.now_ms), act)

    def _renew(self) -> None:
        lease = self.lease
        assert lease is not None
        self._become(State.RENEWING)
        self._at(lease.rebind_ms, self._rebind)
        data = write_message(
            REQUEST, self._transaction_id, self.hardware_address, client_address=lease.address
        )
        self._ask_on(data, lease.server, 2, lease.rebind_ms)

    def _rebind(self) -> None:
        lease = self.lease
        assert lease is not None
        self._become(State.REBINDING)
        self._at(lease.end_ms, self._lose)
        data = write_message(
            REQUEST, self._transaction_id, self.hardware_address, client_address=lease.address
        )
        self._ask_on(data, BROADCAST, 3, lease.end_ms)

    def _ask_on(self, data: bytes, destination: int, tries: int, until_ms: int) -> None:
        """And then after half of the time that is left each, but a minute (RFC 2131 4.4.5)."""

        def again() -> None:
            wait_ms = max(_AGAIN_LEAST_MS, (until_ms - self._world.now_ms) // 2)
            self._later(wait_ms, lambda: self._ask_on(data, destination, 1, until_ms))

        self._ask(data, destination, tries, otherwise=again)

    def _lose(self) -> None:
        self._give_up()
        self.leases_lost += 1
        self._world.trace(self.name, "lost its lease")
        self._discover()

    def _after_silent_reboot(self) -> None:
        """RFC 2131 3.2: no answer, and the lease has not expired: it may be used on."""
        lease = self.lease
        assert lease is not None
        if lease.end_ms <= self._world.now_ms:
            self._lose()
            return
        self._become(State.BOUND)
        self._at(lease.renew_ms, self._renew)


_WAITING = {State.REQUESTING, State.REBOOTING, State.RENEWING, State.REBINDING}
