"""One simulated member: the production node, DHCP server and store behind simulated wires.

A commit is at once on the simulated disk, so a crash loses only what is in memory. What the node
wants sent leaves after the transaction in which it was decided, as in `agent/cluster.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from agent.dhcp.engine import DhcpServer
from agent.dhcp.packet import Interface, Received, Reply
from agent.errors import PeerError
from agent.model import Member, MemberId
from agent.sync.messages import Request, Response
from agent.sync.node import Node, Settings
from store import Store
from tools.simulator.world import World

REQUEST_TIMEOUT_MS = 2_000
INTERFACE = 1
LAN = 198 << 24 | 18 << 16


def member_address(member: MemberId) -> int:
    return LAN | member


class SimulatedMember:
    """`on_commit(member)` is called after every commit, `reply(member, reply)` for every DHCP
    datagram that leaves, `peer(id)` finds another member."""

    def __init__(
        self,
        member: MemberId,
        store: Store,
        world: World,
        peer: Callable[[MemberId], SimulatedMember | None],
        on_commit: Callable[[SimulatedMember], None],
        reply: Callable[[SimulatedMember, Reply], None],
    ) -> None:
        self.member = member
        self.name = f"m{member}"
        self.store = store
        self.offset_ms = 0
        self.running = False
        self.crash_point = ""
        """Where the next batch of datagrams ends in a crash: "before reply" or "before push"."""
        self.address = member_address(member)
        self._world = world
        self._peer = peer
        self._on_commit = on_commit
        self._reply = reply
        self._life = 0
        self._inbox: list[Received] = []
        self._timer_at_ms = 0
        self._node: Node
        self._server: DhcpServer

    def now_ms(self) -> int:
        return self._world.now_ms + self.offset_ms

    def is_serving(self) -> bool:
        with self.store.read() as tx:
            return tx.local().serving

    @property
    def node(self) -> Node:
        return self._node

    def start(self) -> None:
        """Boot with what is on the disk and nothing else; a member that runs is left alone."""
        if self.running:
            return
        self._life += 1
        self.running = True
        self._inbox.clear()
        seed = self._world.random.getrandbits(64)
        self._node = Node(self.member, random.Random(seed), Settings())
        interface = Interface(
            INTERFACE, "eth0", bytes([2, 0, 0, 0, 0, self.member]), (self.address,)
        )
        self._server = DhcpServer(self.store, {INTERFACE: interface})
        self._world.trace(self.name, "started")
        self._tick(self._life)

    def crash(self) -> None:
        self.running = False
        self.crash_point = ""
        self._life += 1
        self._world.trace(self.name, "crashed")

    # --- the cluster protocol

    def _tick(self, life: int) -> None:
        if life != self._life:
            return
        with self.store.write() as tx:
            self._node.handle_timer(tx, self.now_ms())
        self._committed()

    def _committed(self) -> None:
        """After every commit of the node: send what it decided, and plan its next timer."""
        for to, request in self._node.take_requests():
            self._send(to, request)
        due = max(self._node.next_timer() - self.offset_ms, self._world.now_ms + 1)
        life = self._life
        self._timer_at_ms = due

        def fire() -> None:
            if self._timer_at_ms == due:
                self._tick(life)

        self._world.at(due, fire)
        self._on_commit(self)

    def _send(self, to: MemberId, request: Request) -> None:
        """An exchange: the peer's answer or a timeout, whichever comes first, once."""
        life = self._life
        name = f"m{to}"
        self._world.trace(self.name, name, type(request).__name__)
        open_exchange = [True]

        def finish(response: Response | PeerError | None) -> None:
            if open_exchange and life == self._life:
                open_exchange.clear()
                with self.store.write() as tx:
                    self._node.handle_response(tx, to, request, response, self.now_ms())
                self._committed()

        def arrive() -> None:
            peer = self._peer(to)
            if peer is None or not peer.running:
                return
            response = peer.answer(request)
            self._world.send(name, self.name, lambda: finish(response))

        self._world.send(self.name, name, arrive)
        self._world.after(REQUEST_TIMEOUT_MS, lambda: finish(None))

    def answer(self, request: Request) -> Response | PeerError:
        """Answer a peer's request as the agent does: commit first."""
        try:
            with self.store.write() as tx:
                response: Response | PeerError = self._node.handle_request(
                    tx, request, self.now_ms()
                )
        except PeerError as error:
            return error
        self._committed()
        return response

    def propose_join(self, joining: Member) -> None:
        """What an operator's SET of a member row does."""
        if self.running:
            with self.store.write() as tx:
                self._node.propose_join(tx, joining, self.now_ms())
            self._committed()

    # --- DHCP

    def receive(self, data: bytes, destination: int, source: int) -> None:
        """A datagram on the LAN; all that arrive in the same instant make one batch."""
        if not self.running:
            return
        self._inbox.append(Received(data, source, destination, INTERFACE))
        if len(self._inbox) == 1:
            life = self._life
            self._world.after(0, lambda: self._serve(life))

    def _serve(self, life: int) -> None:
        if life != self._life:
            return
        batch, self._inbox = self._inbox, []
        replies = self._server.handle_batch(batch, self.now_ms())
        self._on_commit(self)
        if self.crash_point == "before reply":
            self.crash()
            return
        for reply in replies:
            self._reply(self, reply)
        if self.crash_point == "before push":
            self.crash()
            return
        self._node.notice_store_change()
        self._world.after(1, lambda: self._tick(life))
