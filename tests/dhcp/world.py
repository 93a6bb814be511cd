"""A member with a store in memory, and clients that speak real octets to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from agent.dhcp import wire
from agent.dhcp.engine import DhcpServer
from agent.dhcp.packet import Interface, MessageType, Received, Reply
from agent.dhcp.probes import ProbeWish
from agent.errors import StoreError
from agent.kinds.scope import GLOBAL, subnet_scope
from agent.limits import PROBE_RESEND_MS, PROBE_SENDS, PROBE_WAIT_MS
from agent.model import (
    AddressRange,
    AddressState,
    Binding,
    BindingState,
    ConfigRow,
    Group,
    Member,
    MemberId,
    Nonce,
    Option,
    Pool,
    Subnet,
    Transaction,
    parse_address,
    stream_id,
)
from agent.port import StoreTransaction
from store.database import Store

A = parse_address
ME = A("198.18.0.1")
RELAY = A("198.18.15.1")
FIRST = A("198.18.16.0")
LAST = A("198.18.16.255")
FAR_RELAY = A("10.1.0.1")
NOW_MS = 1_800_000_000_000
NOW = NOW_MS // 1000
LEASE = 4000
MUL = 600
ETH0 = Interface(2, "eth0", b"\x02\0\0\0\0\x01", (ME,))
PRL = bytes([1, 28, 2, 3, 15, 6, 12])
ROUTER = A("198.18.0.254").to_bytes(4, "big")

CONFIGURATION: list[ConfigRow] = [
    Subnet(A("198.18.0.0"), 15),
    Pool(FIRST, LAST),
    Option(*subnet_scope(A("198.18.0.0"), 15), 3, ROUTER),
    Option(*GLOBAL, 6, b"\x08\x08\x08\x08"),
    Option(*GLOBAL, 15, b"example.org"),
]


def group_of(*members: MemberId, lease_s: int = LEASE, mul_s: int = MUL) -> Group:
    rows = (Member(m, f"m{m}", A("198.18.0.0") + m, 161, b"engine-%02d" % m) for m in members)
    return Group("lab", 1, mul_s, lease_s, tuple(rows))


def bindable(first: int, last: int, epoch: int = 1, member: int = 1) -> AddressRange:
    return AddressRange(first, last, AddressState.BINDABLE, epoch, member, Nonce(1, 1), 1)


def promised(first: int, last: int, epoch: int, member: int = 2) -> AddressRange:
    return AddressRange(first, last, AddressState.PROMISED, epoch, member, Nonce(1, 1), 1)


class FailingStore:
    """A store whose next write transactions fail at their commit: nothing of them is kept. With
    `commits_nothing` one that has nothing to write succeeds, as on a full disk."""

    def __init__(self, store: Store, commits_nothing: bool = False) -> None:
        self._store = store
        self._commits_nothing = commits_nothing
        self.failing = False

    @contextmanager
    def read(self) -> Iterator[StoreTransaction]:
        with self._store.read() as tx:
            yield tx

    @contextmanager
    def write(self) -> Iterator[StoreTransaction]:
        with self._store.write() as tx:
            before = tx.counters(), tx.streams()
            yield tx
            empty = before == (tx.counters(), tx.streams())
            if self.failing and not (empty and self._commits_nothing):
                raise StoreError("disk full")


class World:
    """One member, its clock, and what it says. The whole pool is BINDABLE for it at first."""

    def __init__(
        self,
        *,
        members: Iterable[int] = (1,),
        rows: Iterable[ConfigRow] = CONFIGURATION,
        ranges: Iterable[AddressRange] = (bindable(FIRST, LAST),),
        interfaces: Iterable[Interface] = (ETH0,),
        lease_s: int = LEASE,
        log_packets: bool = False,
        probing: bool = False,
        commits_nothing: bool = False,
    ) -> None:
        self.store = Store.in_memory(member=1)
        self.failing = FailingStore(self.store, commits_nothing)
        self.now_ms = NOW_MS
        with self.store.write() as tx:
            tx.set_serving(True, since=0)
            tx.put_group(group_of(*members, lease_s=lease_s))
            tx.save_configuration([(row, False) for row in rows])
            tx.replace_address_ranges([], list(ranges))
        self.interfaces = {i.index: i for i in interfaces}
        self.log_packets = log_packets
        self.probing = probing
        self.restart()

    def restart(self) -> None:
        """The engine dies and comes back: only the store is left."""
        self.server = DhcpServer(
            self.failing, self.interfaces, log_packets=self.log_packets, probing=self.probing
        )

    def say(self, *datagrams: Received) -> list[Said]:
        return [Said.parse(r) for r in self.server.handle_batch(datagrams, self.now_ms)]

    def again(self) -> list[Said]:
        """What the shell does a moment later with messages that were met with silence."""
        return [Said.parse(r) for r in self.server.handle_held(self.now_ms)]

    def one(self, datagram: Received) -> Said:
        said = self.say(datagram)
        assert len(said) == 1, (said, self.server.counters())
        return said[0]

    def silent(self, datagram: Received, reason: str = "") -> None:
        before = self.server.counters().get(f"dropped_{reason}", 0)
        assert self.say(datagram) == []
        if reason:
            assert self.server.counters().get(f"dropped_{reason}", 0) == before + 1, (
                self.server.counters()
            )

    def wait(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)

    @property
    def now(self) -> int:
        return self.now_ms // 1000

    def binding(self, address: int) -> Binding | None:
        with self.store.read() as tx:
            return tx.bindings_by_address([address]).get(address)

    def known(self, address: int) -> Binding:
        row = self.binding(address)
        assert row is not None
        return row

    def merge(self, row: Binding) -> None:
        """A row arrives from a peer."""
        with self.store.write() as tx:
            tx.put_bindings([row])

    def set_ranges(self, removed: Iterable[AddressRange], added: Iterable[AddressRange]) -> None:
        with self.store.write() as tx:
            tx.replace_address_ranges(list(removed), list(added))

    def configure(self, *rows: ConfigRow, deleted: bool = False) -> None:
        with self.store.write() as tx:
            tx.save_configuration([(row, deleted) for row in rows])

    def answer(self, address: int, **said: object) -> None:
        """What the agent does with an enquiry: the members say that the address is free, unless
        `said` differs."""
        with self.store.write() as tx:
            asked = tx.enquiry(address)
            assert asked is not None
            values: dict[str, object] = {"free": True, "complete": True, "epoch": 0} | said
            tx.put_enquiries([asked._replace(answered_ms=self.now_ms, **values)])  # type: ignore[arg-type]

    def probe(self, **answers: bytes) -> list[ProbeWish]:
        """What the shell does: send twice, hear, and wait until it is over."""
        sent: list[ProbeWish] = []
        for _ in range(PROBE_SENDS):
            self.now_ms += PROBE_RESEND_MS
            sent += self.server.probes.take_due(self.now_ms)
        for hardware_address in answers.values():
            self.server.probes.heard(sent[0].address, hardware_address)
        self.now_ms += PROBE_WAIT_MS
        return sent

    def probe_all(self) -> None:
        """As `probe`, where there may be nothing to send."""
        if self.server.probes.is_busy:
            self.probe()
        else:
            self.wait(1)

    def bind(self, client: Client) -> int:
        """The four messages of a new client; returns its address."""
        offer = self.one(client.discover())
        ack = self.one(client.select(offer))
        assert ack.kind is MessageType.ACK
        assert ack.address == offer.address
        return ack.address


@dataclass(frozen=True)
class Said:
    """A reply, parsed by this test's own code: `order` is the order of the option codes."""

    reply: Reply
    kind: MessageType
    address: int
    options: dict[int, bytes]
    order: tuple[int, ...]

    @classmethod
    def parse(cls, reply: Reply) -> Said:
        data = reply.data
        assert data[0] == 2
        assert data[236:240] == wire.MAGIC_COOKIE
        options: dict[int, bytes] = {}
        order: list[int] = []
        cls._walk(data[240:], options, order)
        overload = options.get(52, b"\0")[0]
        if overload & 1:
            cls._walk(data[108:236], options, order)
        if overload & 2:
            cls._walk(data[44:108], options, order)
        kind = MessageType(options[53][0])
        return cls(reply, kind, int.from_bytes(data[16:20], "big"), options, tuple(order))

    @staticmethod
    def _walk(data: bytes, options: dict[int, bytes], order: list[int]) -> None:
        at = 0
        while data[at] != 255:
            code, length = data[at], data[at + 1]
            options[code] = options.get(code, b"") + data[at + 2 : at + 2 + length]
            order.append(code)
            at += 2 + length

    @property
    def lease_s(self) -> int:
        return int.from_bytes(self.options[51], "big")

    def seconds(self, code: int) -> int:
        return int.from_bytes(self.options[code], "big")


@dataclass
class Client:
    """A client by its hardware address, behind a relay unless `relay` is 0."""

    number: int = 1
    relay: int = RELAY
    interface: int = 2
    identifier: bytes | None = None
    transaction_id: int = 0x1234_5678
    flags: int = 0
    request_list: bytes | None = PRL
    seconds: int = 0

    @property
    def hardware_address(self) -> bytes:
        return b"\x02\x00" + self.number.to_bytes(4, "big")

    @property
    def key(self) -> bytes:
        if self.identifier is not None:
            return b"\x01" + self.identifier
        return b"\x00\x01" + self.hardware_address

    def message(
        self,
        kind: int,
        options: dict[int, bytes],
        *,
        ciaddr: int = 0,
        source: int | None = None,
        destination: int | None = None,
        hops: int = 0,
        relay: int | None = None,
        raw_tail: bytes = b"",
    ) -> Received:
        relay = self.relay if relay is None else relay
        header = wire.HEADER.pack(
            1, 1, 6, hops, self.transaction_id, self.seconds, self.flags, ciaddr, 0, 0, relay,
            self.hardware_address, b"", b"", wire.MAGIC_COOKIE,
        )  # fmt: skip
        everything = {53: bytes((kind,))}
        if self.identifier is not None:
            everything[61] = self.identifier
        everything.update(options)
        if self.request_list is not None:
            everything[55] = self.request_list
        body = b"".join(wire.build_option(code, data) for code, data in everything.items())
        if source is None:
            source = relay or ciaddr
        if destination is None:
            destination = ME if relay else 0xFFFF_FFFF
        data = header + body + raw_tail + b"\xff"
        return Received(data, source, destination, self.interface)

    def discover(self, **options: bytes) -> Received:
        return self.message(1, _codes(options))

    def select(self, offer: Said, *, server: int | None = None, **options: bytes) -> Received:
        named = offer.options[54] if server is None else server.to_bytes(4, "big")
        return self.message(3, {50: offer.address.to_bytes(4, "big"), 54: named, **_codes(options)})

    def reboot(self, address: int) -> Received:
        return self.message(3, {50: address.to_bytes(4, "big")})

    def renew(self, address: int, **options: bytes) -> Received:
        return self.message(3, _codes(options), ciaddr=address, relay=0, destination=ME)

    def rebind(self, address: int) -> Received:
        return self.message(3, {}, ciaddr=address)

    def release(self, address: int, server: int = ME, source: int | None = None) -> Received:
        return self.message(
            7,
            {54: server.to_bytes(4, "big")},
            ciaddr=address,
            relay=0,
            destination=ME,
            source=source,
        )

    def decline(self, address: int, server: int = ME) -> Received:
        return self.message(4, {50: address.to_bytes(4, "big"), 54: server.to_bytes(4, "big")})

    def inform(self, address: int) -> Received:
        return self.message(8, {}, ciaddr=address)


def _codes(options: dict[str, bytes]) -> dict[int, bytes]:
    """`o57=...` means option 57."""
    return {int(name[1:]): data for name, data in options.items()}


def peer_row(
    address: int,
    client: Client,
    *,
    state: BindingState = BindingState.BOUND,
    epoch: int = 1,
    grant: int = 1,
    expires_at: int = NOW + 1000,
    seq: int = 1,
    member: int = 2,
) -> Binding:
    """A binding as member 2 would have made it."""
    return Binding(
        address, client.key, client.identifier, 1, client.hardware_address, "", state, epoch,
        grant, expires_at, expires_at + LEASE, 0, Transaction.SELECTING, NOW - 10, member, b"",
        stream_id(member, 1), seq,
    )  # fmt: skip
