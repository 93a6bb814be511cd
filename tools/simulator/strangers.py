"""Those who mean harm: clients that lie, and senders that no member should listen to.

A dishonest client can do to others what DHCP lets it: release or decline in another's name, take
addresses by the dozen, claim leases that it never had. What follows for the addresses that it lied
about is exposure, which is counted and not judged. The strangers' messages to members must change
nothing at all (I14).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from agent.model import BallotNumber, Group, Member, Nonce, stream_id
from agent.sync import codec
from agent.sync import messages as m
from tools.simulator.clients import (
    BROADCAST,
    DECLINE,
    DISCOVER,
    OFFER,
    RELEASE,
    REQUEST,
    Lease,
    read_message,
    write_message,
)
from tools.simulator.world import World

STRANGER = 99
_SQUATS_MAX = 4
_PAUSE_MS = (20_000, 400_000)


_DEEDS = (
    "starve", "starve", "release", "decline", "claim", "rubbish",
    "release as itself", "release from elsewhere", "decline as itself",
)  # fmt: skip
"""The last three can be seen through: they must change nothing, so the address is not exposed."""


class Liar:
    """A dishonest client. `victims()` are leases of honest ones; `lie(address)` says about which
    one it has lied."""

    def __init__(
        self,
        name: str,
        number: int,
        world: World,
        transmit: Callable[[Liar, bytes, int, int], None],
        victims: Callable[[], list[tuple[bytes, Lease]]],
        lie: Callable[[int], None],
    ) -> None:
        self.name = name
        self.link = 0
        self._number = number
        self._world = world
        self._transmit = transmit
        self._victims = victims
        self._lie = lie
        self._on = False
        self._turn = 0
        self._faces = 0
        self._squats: dict[int, bytes] = {}
        """Addresses that it goes on using whatever becomes of their leases, by its faces."""

    def start(self, link: int = 0) -> None:
        self.link = link
        self._on = True
        self._turn += 1
        self._plan()

    def stop(self, *, release: bool) -> None:
        del release
        self._on = False
        self._turn += 1

    def owns_hardware(self, hardware_address: bytes) -> bool:
        return hardware_address[:3] == bytes([6, 6, self._number])

    def uses(self, address: int) -> bool:
        return self._on and address in self._squats

    def hardware_of(self, address: int) -> bytes:
        return self._squats[address]

    def _plan(self) -> None:
        turn = self._turn

        def due() -> object:
            if turn != self._turn:
                return False
            self._act()
            self._plan()
            return None

        self._world.after(self._world.random.randint(*_PAUSE_MS), due)

    def _act(self) -> None:
        r = self._world.random
        victims = self._victims()
        deed = r.choice(_DEEDS)
        if deed == "starve" or (deed != "rubbish" and not victims):
            self._send(write_message(DISCOVER, r.getrandbits(32), self._new_face()))
            return
        if deed == "rubbish":
            self._send(bytes(r.getrandbits(8) for _ in range(r.choice([10, 240, 300]))))
            return
        hardware_address, lease = r.choice(victims)
        number = r.getrandbits(32)
        if deed == "release as itself":
            self._send(
                write_message(RELEASE, number, self._new_face(), lease.address, 0, lease.server),
                lease.server,
                lease.address,
            )
            return
        if deed == "release from elsewhere":
            self._send(
                write_message(RELEASE, number, hardware_address, lease.address, 0, lease.server),
                lease.server,
                lease.address + 1,
            )
            return
        if deed == "decline as itself":
            message = write_message(
                DECLINE, number, self._new_face(), 0, lease.address, lease.server
            )
            self._send(message)
            return
        self._lie(lease.address)
        if deed == "release":
            self._send(
                write_message(RELEASE, number, hardware_address, lease.address, 0, lease.server),
                lease.server,
                lease.address,
            )
        elif deed == "decline":
            self._send(
                write_message(DECLINE, number, hardware_address, 0, lease.address, lease.server)
            )
        else:
            self._send(write_message(REQUEST, number, self._new_face(), lease.address))

    def _new_face(self) -> bytes:
        self._faces += 1
        return bytes([6, 6, self._number, 0, self._faces >> 8 & 255, self._faces & 255])

    def _send(self, data: bytes, destination: int = BROADCAST, source: int = 0) -> None:
        self._transmit(self, data, destination, source)

    def receive(self, data: bytes) -> object:
        """It takes every address that it is offered, never comes back, and goes on using some."""
        message = read_message(data)
        if not self._on or message.kind != OFFER:
            return False
        if len(self._squats) < _SQUATS_MAX and self._world.random.random() < 0.5:
            self._squats[message.your_address] = message.hardware_address
        self._send(
            write_message(
                REQUEST, message.transaction_id, message.hardware_address, 0,
                message.your_address, message.server,
            )
        )  # fmt: skip
        return None


def bad_messages(salt: int, group: Group, sender: int) -> Iterator[tuple[str, bytes]]:
    """Messages that a member of `group` must not listen to, each with what is wrong with it."""
    r = random.Random(salt)
    incarnation = r.choice([1, 2, 7])
    good = m.Header(sender, incarnation, group.generation, b"\x00" * 16)
    headers = {
        "another membership": good,
        "a generation that is gone": replace(good, generation=max(0, group.generation - 1)),
        "a generation of the future": replace(good, generation=group.generation + 5),
        "a stranger": replace(good, sender=STRANGER),
    }
    everywhere = (m.RangeEpoch(0, 0xFFFF_FFFF, 2**31 - 1),)
    stream = stream_id(sender, incarnation)
    me = Member(STRANGER, "stranger", 1, 161, b"\x80\x00\x00\x00\x01\x99")
    foreign = Group("another", group.generation + 1, 60, 60, (*group.members, me))
    for why, header in headers.items():
        nonce = Nonce(incarnation, r.choice([0, 1, 2**40]))
        requests: list[m.Request] = [
            m.Hello(header, {stream: 2**40}, (1, 2, 3), 0, True, b""),
            m.BindingUpdate(header, stream, 0, 2**40, ()),
            m.PollReserve(header, nonce, everywhere),
            m.PollAbort(header, nonce, everywhere),
            m.BallotPrepare(header, group.generation + 1, BallotNumber(2**30, STRANGER)),
            m.BallotAccept(header, BallotNumber(2**30, STRANGER), foreign),
            m.GroupCommit(header, foreign),
        ]
        request = r.choice(requests)
        yield f"{type(request).__name__} of {why}", codec.pack_request(request, 0)
    whole = codec.pack_request(m.PollReserve(good, Nonce(1, 1), everywhere), 0)
    yield "a truncated message", whole[: r.randrange(len(whole))]
    yield "trailing octets", whole + b"\x00"
    absurd = bytearray(whole)
    absurd[-14:-12] = b"\xff\xff"
    yield "an absurd count", bytes(absurd)
