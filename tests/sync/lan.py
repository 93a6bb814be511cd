"""A few real nodes on real stores in memory, a virtual clock, and a wire that a test can hold.

Every message goes through the codec. Requests are delivered at once and in order unless `passes`
says no; then the sender learns of it as of a timeout, `TIMEOUT_MS` later. With `latency_ms` each
message takes that long, and members act at the same time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from functools import partial
from random import Random

from agent.errors import PeerError
from agent.model import (
    AddressRange,
    AddressState,
    Binding,
    BindingState,
    Group,
    Member,
    MemberId,
    Pool,
    Subnet,
    Transaction,
)
from agent.sync import codec
from agent.sync import messages as m
from agent.sync.node import Node, Settings
from store import Store

TIMEOUT_MS = 500
START_MS = 1_700_000_000_000
NETWORK = 198 << 24 | 18 << 16
POOL_FIRST = NETWORK + 0x1000


def engine_id(member: MemberId) -> bytes:
    return bytes([128, 0, 126, 217, 4, member])


def make_member(member: MemberId) -> Member:
    return Member(member, f"m{member}", NETWORK + member, 161, engine_id(member))


def make_group(members: Iterable[MemberId], generation: int = 1) -> Group:
    listed = tuple(make_member(member) for member in members)
    return Group("test", generation, 60, 3600, listed)


def make_binding(address: int, now_s: int, server: MemberId = 1, **changes: object) -> Binding:
    key = b"\x00\x01\x02" + address.to_bytes(5, "big")
    row = Binding(
        address=address,
        client_key=key,
        client_id=None,
        hardware_type=1,
        hardware_address=key[2:],
        hostname="",
        state=BindingState.BOUND,
        epoch=1,
        grant=1,
        expires_at=now_s + 600,
        potential_expires_at=now_s + 900,
        acknowledged_at=0,
        transaction=Transaction.SELECTING,
        transaction_at=now_s,
        transaction_server=server,
        options=b"",
    )
    return row._replace(**changes)  # type: ignore[arg-type]


class Lan:
    """`members` start with `group`, or without one; `pool_size` 0: no pool."""

    def __init__(
        self,
        members: Iterable[MemberId],
        group: Group | None = None,
        pool_size: int = 0,
        settings: Settings | None = None,
    ) -> None:
        self.now_ms = START_MS
        self.settings = settings or Settings()
        self.stores: dict[MemberId, Store] = {}
        self.nodes: dict[MemberId, Node] = {}
        self.offset_ms: dict[MemberId, int] = {}
        self.passes: Callable[[MemberId, MemberId, m.Request], bool] = lambda *_: True
        self.log: list[tuple[MemberId, MemberId, m.Request, m.Response | PeerError | None]] = []
        self.latency_ms: Callable[[], int] = lambda: 0
        self._waiting: list[tuple[int, int, MemberId, Callable[[], None]]] = []
        self._count = 0
        for member in members:
            self.add(member, group)
        if pool_size:
            with self.stores[min(self.stores)].write() as tx:
                pool = Pool(POOL_FIRST, POOL_FIRST + pool_size - 1)
                tx.save_configuration([(Subnet(NETWORK, 15), False), (pool, False)])

    def add(self, member: MemberId, group: Group | None = None) -> None:
        store = Store.in_memory(member=member, engine_id=engine_id(member))
        if group is not None:
            with store.write() as tx:
                tx.put_group(group)
                tx.set_serving(True, since=0)
        self.stores[member] = store
        self.offset_ms[member] = 0
        self.restart(member)

    def restart(self, member: MemberId) -> None:
        """Crash and start again: what is on the disk, nothing else."""
        self._waiting = [w for w in self._waiting if w[2] != member]
        self.nodes[member] = Node(member, Random(member), self.settings)

    def clock(self, member: MemberId) -> int:
        return self.now_ms + self.offset_ms[member]

    @property
    def now_s(self) -> int:
        return self.now_ms // 1000

    def run(self, ms: int, until: Callable[[], bool] = lambda: False) -> int:
        """Let time pass; returns how much did, less than `ms` where `until` came true."""
        begin, end = self.now_ms, self.now_ms + ms
        while not until():
            timers = [
                (self.nodes[member].next_timer() - self.offset_ms[member], member)
                for member in self.nodes
            ]
            due, member = min(timers)
            if self._waiting and self._waiting[0][0] <= due:
                due = self._waiting[0][0]
                if due > end:
                    break
                self.now_ms = max(self.now_ms, due)
                heapq.heappop(self._waiting)[3]()
                continue
            if due > end:
                break
            self.now_ms = max(self.now_ms, due)
            self.tick(member)
        if not until():
            self.now_ms = end
        return self.now_ms - begin

    def tick(self, member: MemberId) -> None:
        node, now_ms = self.nodes[member], self.clock(member)
        with self.stores[member].write() as tx:
            node.handle_timer(tx, now_ms)
        assert node.next_timer() > now_ms or node.next_timer() <= 0 or self._progress(member)
        self.flush(member)

    def _progress(self, member: MemberId) -> bool:
        """A node that wants to be called again at once gets a millisecond."""
        self.now_ms += 1
        return True

    def flush(self, member: MemberId) -> None:
        for to, request in self.nodes[member].take_requests():
            self.exchange(member, to, request)

    def exchange(self, sender: MemberId, to: MemberId, request: m.Request) -> None:
        if to not in self.nodes or not self.passes(sender, to, request):
            self._later(TIMEOUT_MS, sender, partial(self.respond, sender, to, request, None))
            return
        sent_ms = self.clock(sender)
        if delay := self.latency_ms():
            self._later(delay, sender, partial(self._deliver, sender, to, request, sent_ms))
        else:
            self.respond(sender, to, request, self.ask(to, request, sent_ms))

    def _deliver(self, sender: MemberId, to: MemberId, request: m.Request, sent_ms: int) -> None:
        response = self.ask(to, request, sent_ms)
        answer = partial(self.respond, sender, to, request, response)
        self._later(self.latency_ms(), sender, answer)

    def _later(self, delay_ms: int, waits: MemberId, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._waiting, (self.now_ms + delay_ms, self._count, waits, act))

    def ask(self, to: MemberId, request: m.Request, sent_ms: int) -> m.Response | PeerError:
        """Deliver a request; the answer as it leaves after the commit."""
        received = codec.unpack_request(codec.pack_request(request, sent_ms), self.clock(to))
        try:
            with self.stores[to].write() as tx:
                response = self.nodes[to].handle_request(tx, received, self.clock(to))
        except PeerError as error:
            return error
        self.flush(to)
        return codec.unpack_response(codec.pack_response(response, self.clock(to)), sent_ms)

    def respond(
        self, sender: MemberId, to: MemberId, request: m.Request,
        response: m.Response | PeerError | None,
    ) -> None:  # fmt: skip
        self.log.append((sender, to, request, response))
        with self.stores[sender].write() as tx:
            self.nodes[sender].handle_response(tx, to, request, response, self.clock(sender))
        self.flush(sender)

    # --- looking at the stores

    def save(self, member: MemberId, rows: list[Binding]) -> None:
        """What the engine does: commit, and wake the agent."""
        with self.stores[member].write() as tx:
            tx.save_bindings(rows)
        self.nodes[member].notice_store_change()

    def rows(self, member: MemberId) -> list[Binding]:
        with self.stores[member].read() as tx:
            return tx.bindings_in_range(0, 0xFFFF_FFFF, 1_000_000)

    def told(self, member: MemberId) -> list[Binding]:
        """Rows without what is local to a member."""
        return [row._replace(acknowledged_at=0) for row in self.rows(member)]

    def ranges(self, member: MemberId, state: AddressState) -> list[AddressRange]:
        with self.stores[member].read() as tx:
            return [r for r in tx.address_ranges(0, 0xFFFF_FFFF) if r.state is state]

    def owned(self, member: MemberId) -> int:
        """How many addresses are BINDABLE there."""
        return sum(r.last - r.first + 1 for r in self.ranges(member, AddressState.BINDABLE))

    def generation(self, member: MemberId) -> int:
        with self.stores[member].read() as tx:
            group = tx.group()
        return group.generation if group else 0

    def serving(self, member: MemberId) -> bool:
        with self.stores[member].read() as tx:
            return tx.local().serving

    def cut(self, *members: MemberId) -> None:
        """No message passes between `members` and the others."""
        self.passes = lambda sender, to, _: (sender in members) == (to in members)

    def heal(self) -> None:
        self.passes = lambda *_: True
