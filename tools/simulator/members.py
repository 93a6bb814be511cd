"""One simulated member: the production node, DHCP server and store behind simulated wires.

What the node wants sent leaves after the transaction in which it was decided, as in
`agent/cluster.py`; on a slow disk that much later. A StoreError makes a new node, as there. A
crash loses what is in memory; what the disk keeps is the disk's affair (`disk`). A pause stops
the machine between two steps: what arrives waits, timers are late, and what was about to leave
leaves afterwards.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from agent.clock import ClockAnchor
from agent.dhcp.engine import DhcpServer
from agent.dhcp.packet import Interface, Received, Reply
from agent.dhcp.probes import ProbeWish
from agent.errors import PacketError, PeerError, StoreError
from agent.limits import EXPIRY_GRACE_S, HELD_WAIT_MS, PROBE_RESEND_MS, STORE_RETRY_S
from agent.model import Member, MemberId
from agent.port import StoreTransaction
from agent.sync import codec
from agent.sync.clocks import NO_CLOCK_NOTE, ClockNote
from agent.sync.messages import (
    BindingUpdate,
    BlockPage,
    ChangePage,
    Request,
    Response,
    StreamAnswer,
)
from agent.sync.node import Node, Settings
from agent.sync.start import LastLife, begin_restored, begin_start
from tools.simulator.disk import CrashError, Disk
from tools.simulator.packets import PacketEnd
from tools.simulator.world import Act, World

REQUEST_TIMEOUT_MS = 2_000
INTERFACE = 1
LAN = 198 << 24 | 18 << 16
LAN_PREFIX = 15
POOL_FIRST = LAN + 0x1000
_HELD_MAX = 200
"""Messages that wait for a paused machine: what a socket's buffer takes."""


def member_address(member: MemberId) -> int:
    return LAN | member


class Judge(Protocol):
    """Who is told of everything that a member does; see `tools.simulator.judges`."""

    def committed(self, member: SimulatedMember) -> None: ...
    def lost(self, member: SimulatedMember) -> None: ...
    def may_lose(self, member: SimulatedMember, left: bytes) -> bool: ...
    def booted(self, member: SimulatedMember) -> None: ...
    def started(self, member: SimulatedMember, unseen: bool) -> None: ...
    def heard(self, member: SimulatedMember, sender: MemberId) -> None: ...
    def sends(self, member: SimulatedMember, number: int) -> None: ...
    def answered(self, member: SimulatedMember, request: Request, response: Response) -> None: ...
    def served(self, member: SimulatedMember) -> None: ...
    def replied(self, member: SimulatedMember, reply: Reply, decided_ms: int) -> None: ...


class SimulatedMember:
    """`peer(id)` finds another member; `carry(member, reply)` puts a DHCP datagram on the wire, and
    `try_address(member, wish)` an ARP request or an echo."""

    def __init__(
        self,
        member: MemberId,
        disk: Disk,
        world: World,
        settings: Settings,
        judge: Judge,
        peer: Callable[[MemberId], SimulatedMember | None],
        carry: Callable[[SimulatedMember, Reply], None],
        try_address: Callable[[SimulatedMember, ProbeWish], None],
    ) -> None:
        self.member = member
        self.name = f"m{member}"
        self.disk = disk
        self.running = False
        self.crash_point = ""
        """Where the next batch of datagrams ends in a crash: "before commit", "before reply" or
        "before push"."""
        self.address = member_address(member)
        self.boots = 0
        self.lost_disk = False
        """Whether the disk holds less than it did when the member ran last."""
        self.put_back = False
        """Whether the next start can see that."""
        self._world = world
        self._settings = settings
        self._judge = judge
        self._peer = peer
        self._carry = carry
        self._try_address = try_address
        self._life = 0
        self._paused = False
        self._held: list[Act] = []
        self._inbox: list[Received] = []
        self._held_life = -1
        self._timer_at_ms = -1
        self._clock = (world.now_ms, world.now_ms, 0)
        """True time and the member's clock at some instant, and the drift since, in ppm."""
        self._wall_step_ms = 0
        self._stopped_ms = world.now_ms
        self._clock_note = NO_CLOCK_NOTE
        self._began = False
        """Whether the last start got so far that the store knows of it."""
        self._noted_offsets: Mapping[MemberId, int] = {}
        self._unseen_s = 0
        """How long the member's clock has stood still, as it lies beside the store."""
        self._boot_id = "boot"
        self._anchor_ms = 0
        """How far the store's anchor had been moved when the clock followed it last."""
        self._last_life = LastLife()
        """What the file beside the store tells of the life before."""
        self.packet_end: Callable[[SimulatedMember], PacketEnd] | None = None
        """Makes the SNMP engine of a life, at the level of packets."""
        self._end: PacketEnd | None = None
        self._node: Node
        self._server: DhcpServer

    # --- clocks

    def now_ms(self) -> int:
        true_ms, clock_ms, ppm = self._clock
        passed = self._world.now_ms - true_ms
        return clock_ms + passed + passed * ppm // 1_000_000 if ppm else clock_ms + passed

    @property
    def offset_ms(self) -> int:
        """How far the member's clock is ahead of true time."""
        return self.now_ms() - self._world.now_ms

    def set_clock(self, offset_ms: int) -> None:
        self._clock = (self._world.now_ms, self._world.now_ms + offset_ms, self._clock[2])

    def set_drift(self, ppm: int) -> None:
        self._clock = (self._world.now_ms, self.now_ms(), ppm)

    def step_wall_clock(self, step_ms: int) -> None:
        """The member's clock is the boot-time clock, so this shows at the next reboot."""
        self._wall_step_ms += step_ms

    # --- life

    def is_serving(self) -> bool:
        with self.disk.read() as tx:
            return tx.local().serving

    def holds(self) -> bool:
        """Whether the member still waits after a loss before it asks for addresses."""
        with self.disk.read() as tx:
            return tx.local().holds_until > self.now_ms() // 1000

    @property
    def node(self) -> Node:
        return self._node

    @property
    def server(self) -> DhcpServer:
        return self._server

    def start(self, *, reboot: bool = False) -> None:
        """Boot with what is on the disk and nothing else; a member that runs is left alone."""
        if self.running:
            return
        self._life += 1
        self.boots += 1
        self._paused = False
        self._held.clear()
        self._inbox.clear()
        if reboot:
            self._clock_note = self._reboot()
        elif self._began:
            self._clock_note = NO_CLOCK_NOTE
        self._began = False
        self._judge.booted(self)
        try:
            self._begin_life()
        except StoreError:
            # The process ends, and the supervisor tries again.
            self._world.after(STORE_RETRY_S * 1000, self.start)
            return
        self._began = True
        self.running = True
        if self.packet_end is not None:
            self._end = self.packet_end(self)
        self._make_node()
        interface = Interface(
            INTERFACE, "eth0", bytes([2, 0, 0, 0, 0, self.member]), (self.address,)
        )
        self._server = DhcpServer(self.disk, {INTERFACE: interface})
        self._world.trace(self.name, "started")
        unseen = self.lost_disk and not self.put_back
        self.lost_disk = self.put_back = False
        self._judge.committed(self)
        self._judge.started(self, unseen)
        self._tick(self._life)

    def _reboot(self) -> ClockNote:
        """The member's clock goes on from where it was noted last, and its wall clock says how long
        the machine was down (`agent/standing.py`). One that was set back meanwhile says too little,
        of which nothing is claimed for a machine that boots cut off (docs/protocol.md)."""
        down_ms = self._world.now_ms - self._stopped_ms
        claimed_ms = down_ms + max(self._wall_step_ms, -EXPIRY_GRACE_S * 1000)
        self._wall_step_ms = 0
        self.set_clock(self.offset_ms - down_ms)
        self._anchor_ms = 0
        self._boot_id = f"boot {self.boots}"
        self._unseen_s += -(-max(0, claimed_ms) // 1000)
        return ClockNote(max(0, claimed_ms), dict(self._noted_offsets))

    def _begin_life(self) -> None:
        """What `agent/standing.py` does at the start of a member: whether the store is the one
        that ran here last shows by what lies beside it, unless that was put back too."""
        noted = replace(self._last_life, unseen_s=self._unseen_s)
        with self.disk.write() as tx:
            kept = tx.clock_anchor()
            if kept is None or kept.boot_id != self._boot_id:
                tx.set_clock_anchor(ClockAnchor(self._boot_id, self._anchor_ms))
            else:
                self._follow(kept)  # a copy made in this boot may have an earlier one
            now = self.now_ms() // 1000
            if self.put_back:
                begin_restored(tx, now, "the store was put back", noted)
            else:
                # What lies beside a store that was set back unseen was set back with it; how long
                # its machine was down the wall clock says all the same.
                set_back = LastLife(unseen_s=self._unseen_s)
                begin_start(tx, now, set_back if self.lost_disk else noted)

    def _make_node(self) -> None:
        seed = self._world.random.getrandbits(64)
        self._node = Node(self.member, random.Random(seed), self._settings, self._clock_note)

    def crash(self) -> None:
        with self.disk.read() as tx:
            ran_at = self.now_ms() // 1000
            local = tx.local()
            self._last_life = LastLife(tx.group(), local.incarnation, ran_at)
        self._stopped_ms = self._world.now_ms
        if self.running and self._node.is_clock_settled:
            self._noted_offsets = self._node.clock_offsets()
            self._unseen_s = local.unseen_s
        self.running = False
        self.crash_point = ""
        self._life += 1
        self._world.trace(self.name, "crashed")
        self._judge.committed(self)  # what was durable before the end of an unfinished step
        left = self.disk.unsynced
        if left is not None and not self._judge.may_lose(self, left):
            self.disk.be_honest()
        if self.disk.crash():
            self._lose()

    def lose_disk(self, content: bytes, *, seen: bool) -> None:
        """The machine stops, and its store is what `content` says when it starts again."""
        if self.running:
            self.crash()
        self.disk.be_honest()
        self.disk.restore(content)
        self._lose()
        self.put_back = seen

    def _lose(self) -> None:
        self.lost_disk = True
        self._judge.lost(self)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        if not self._paused:
            return
        self._paused = False
        held, self._held = self._held, []
        for act in held:
            self._world.after(0, act)

    def _hold(self, act: Act) -> bool:
        """Whether the machine stands still; then `act` waits for it."""
        if self._paused and len(self._held) < _HELD_MAX:
            self._held.append(act)
        return self._paused

    def _leave(self, act: Act) -> None:
        """Let something leave that rests on the last commit: when that is durable."""
        if self._paused:
            life = self._life
            self._held.append(lambda: act() if life == self._life else False)
        elif self.disk.slow_ms:
            life = self._life
            self._world.after(self.disk.slow_ms, lambda: act() if life == self._life else False)
        else:
            act()

    # --- the cluster protocol

    def transact(self, act: Callable[[StoreTransaction], object]) -> object:
        """One call of the node in one transaction; raises StoreError and PeerError."""
        try:
            with self.disk.write() as tx:
                result = act(tx)
                noted = self._clock_note is not NO_CLOCK_NOTE
                anchor = tx.clock_anchor() if noted else None
        except StoreError:
            self._make_node()
            self._plan_timer(self._world.now_ms + STORE_RETRY_S * 1000)
            raise
        if anchor is not None:
            self._follow(anchor)  # a clock that stood still moves on by what the peers confirm
        self._committed()
        return result

    def _tick(self, life: int) -> object:
        if life != self._life:
            return False
        if self._hold(lambda: self._tick(life)):
            return None
        try:
            self.transact(lambda tx: self._node.handle_timer(tx, self.now_ms()))
        except StoreError:
            return None
        return None

    def _committed(self) -> None:
        """After every commit of the node: send what it decided, and plan its next timer."""
        self._node.take_alarms()
        self._judge.committed(self)
        requests = self._node.take_requests()
        self._judge.sends(self, len(requests))
        for to, request in requests:
            self._exchange(to, request)
        wait = self._node.next_timer() - self.now_ms()
        ppm = self._clock[2]
        if ppm and wait > 1000:
            wait -= wait * ppm // 1_000_000
        self._plan_timer(self._world.now_ms + max(wait, 1))

    def _follow(self, anchor: ClockAnchor) -> None:
        if anchor.offset_ms != self._anchor_ms:
            moved_ms = anchor.offset_ms - self._anchor_ms
            self.set_clock(self.offset_ms + moved_ms)
            self._unseen_s = max(0, self._unseen_s - moved_ms // 1000)
            self._anchor_ms = anchor.offset_ms

    def _plan_timer(self, due_ms: int) -> None:
        if due_ms == self._timer_at_ms:
            return
        self._timer_at_ms = due_ms
        life = self._life

        def fire() -> object:
            if self._timer_at_ms != due_ms or life != self._life:
                return False
            self._timer_at_ms = -1
            return self._tick(life)

        self._world.at(due_ms, fire)

    def _exchange(self, to: MemberId, request: Request) -> None:
        """An exchange: the peer's answer or a timeout, whichever comes first, once."""
        life = self._life
        name = f"m{to}"
        sent = _outbound(request, self.now_ms())
        self._world.trace(self.name, name, type(request).__name__)
        open_exchange = [True]

        def finish(answer: Answer | None) -> object:
            if not open_exchange or life != self._life:
                return False
            if self._hold(lambda: finish(answer)):
                return None
            open_exchange.clear()
            if answer is not None:
                self._judge.heard(self, to)
            response: Response | PeerError | None
            if isinstance(answer, bytes):
                response = codec.unpack_response(answer, self.now_ms())
            else:
                response = answer
            try:
                self.transact(
                    lambda tx: self._node.handle_response(
                        tx,
                        to,
                        request,
                        response,
                        self.now_ms(),
                    )
                )
            except StoreError:
                return None
            return None

        end = self._end
        if end is not None:
            packed = codec.pack_request(request, self.now_ms())
            self._leave(lambda: self._ask_in_packets(end, to, packed, finish))
            self._world.after(REQUEST_TIMEOUT_MS, lambda: finish(None))
            return

        def arrive() -> object:
            peer = self._peer(to)
            if peer is None:
                return False
            return peer.take_request(
                sent, lambda answer: self._world.send(name, self.name, lambda: finish(answer))
            )

        self._leave(lambda: self._world.send(self.name, name, arrive))
        self._world.after(REQUEST_TIMEOUT_MS, lambda: finish(None))

    def _ask_in_packets(
        self, end: PacketEnd, to: MemberId, packed: bytes, finish: Callable[[Answer], object]
    ) -> None:
        peer = self._peer(to)
        if peer is not None:
            end.ask(to, packed, self._sender_to(peer), finish, self.now_ms)

    def _sender_to(self, peer: SimulatedMember) -> Callable[[bytes], None]:
        def send(data: bytes) -> None:
            self._world.send(self.name, peer.name, lambda: peer.take_packet(data, self))

        return send

    def take_packet(self, data: bytes, sender: SimulatedMember) -> object:
        """Octets of an SNMP message, from whoever it may be."""
        if not self.running or self._end is None:
            return False
        if self._hold(lambda: self.take_packet(data, sender)):
            return None
        self._end.take(data, sender.address, self._sender_to(sender))
        return None

    def take_packed(self, packed: bytes, reply: Callable[[Answer], None]) -> object:
        """A request that has passed USM; its answer goes back packed."""

        def pack(answer: Answer) -> None:
            if not isinstance(answer, PeerError | bytes):
                answer = codec.pack_response(answer, self.now_ms())
            reply(answer)

        return self.take_request(packed, pack)

    def take_request(
        self, sent: Request | bytes, reply: Callable[[Answer], None], *, forged: bool = False
    ) -> object:
        """A peer's request as it arrives; `reply` is called once the answer may leave. `forged`: it
        does not come from that peer, of whom the receiver hears nothing by it."""
        if not self.running:
            return False
        if self._hold(lambda: self.take_request(sent, reply, forged=forged)):
            return None
        try:
            request = codec.unpack_request(sent, self.now_ms()) if isinstance(sent, bytes) else sent
            if not forged:
                self._judge.heard(self, request.header.sender)
            response = self.answer(request)
        except PacketError as error:
            response = PeerError("malformed", str(error))
        except StoreError:
            response = PeerError("store", "nothing was written")
        answer: Answer
        if isinstance(response, _WITH_RECORDS):
            answer = codec.pack_response(response, self.now_ms())
        else:
            answer = response
        self._leave(lambda: reply(answer))
        return None

    def answer(self, request: Request) -> Response | PeerError:
        """Answer a peer's request as the agent does: commit first. Raises StoreError."""
        response: list[Response] = []
        try:
            self.transact(
                lambda tx: response.append(self._node.handle_request(tx, request, self.now_ms()))
            )
        except PeerError as error:
            return error
        self._judge.answered(self, request, response[0])
        return response[0]

    def ask_operator(self, act: Callable[[Node, StoreTransaction, int], object]) -> str:
        """What an operator's SET does; returns why it was refused, if it was."""
        if not self.running or self._paused:
            return "not running"
        try:
            self.transact(lambda tx: act(self._node, tx, self.now_ms()))
        except (PeerError, StoreError) as error:
            return str(error)
        return ""

    def propose_join(self, joining: Member) -> None:
        """What an operator's SET of a member row does."""
        self.ask_operator(lambda node, tx, now_ms: node.propose_join(tx, joining, now_ms))

    # --- DHCP

    def receive(self, data: bytes, destination: int, source: int) -> object:
        """A datagram on the LAN; all that arrive in the same instant make one batch."""
        if not self.running:
            return False
        if self._hold(lambda: self.receive(data, destination, source)):
            return None
        self._inbox.append(Received(data, source, destination, INTERFACE))
        if len(self._inbox) == 1:
            life = self._life
            self._world.after(0, lambda: self._serve(life))
        return None

    def _serve(self, life: int) -> object:
        if life != self._life or not self._inbox:
            return False
        batch, self._inbox = self._inbox, []
        return self._answer(life, lambda: self._server.handle_batch(batch, self.now_ms()))

    def _serve_held(self, life: int) -> object:
        """What the engine's loop does with messages whose answers were being found out."""
        if life != self._life:
            return False
        if self._hold(lambda: self._serve_held(life)):
            return None
        self._held_life = -1
        return self._answer(life, lambda: self._server.handle_held(self.now_ms()))

    def _answer(self, life: int, handle: Callable[[], list[Reply]]) -> object:
        before = self.disk.commits
        try:
            self.disk.torn = self.crash_point == "before commit"
            replies = handle()
        except CrashError:
            self.crash()
            return None
        finally:
            self.disk.torn = False
        self._server.take_alarms()
        self._judge.served(self)
        written = self.disk.commits != before
        if written:
            self._judge.committed(self)
        if self.crash_point == "before reply":
            self.crash()
            return None
        if self._server.probes.is_busy:
            self._send_probes(life)
        if self._server.is_holding and self._held_life != life:
            self._held_life = life
            self._world.after(HELD_WAIT_MS, lambda: self._serve_held(life))
        decided_ms = self._world.now_ms
        for reply in replies:
            self._leave(functools.partial(self._say, reply, decided_ms))
        if self.crash_point == "before push":
            self.crash()
            return None
        if written:
            self._node.notice_store_change()
            self._plan_timer(self._world.now_ms + 1)
        return None

    def _send_probes(self, life: int) -> object:
        """What the engine's loop does beside the packets."""
        if life != self._life:
            return False
        if self._hold(lambda: self._send_probes(life)):
            return None
        for wish in self._server.probes.take_due(self.now_ms()):
            self._try_address(self, wish)
        if self._server.probes.is_busy:
            self._world.after(PROBE_RESEND_MS, lambda: self._send_probes(life))
        return None

    def hear_probe(self, address: int, hardware_address: bytes) -> object:
        """Somebody answers for an address."""
        if not self.running:
            return False
        if self._hold(lambda: self.hear_probe(address, hardware_address)):
            return None
        self._server.note_probe_answers([(address, hardware_address)])
        return None

    def _say(self, reply: Reply, decided_ms: int) -> None:
        self._judge.replied(self, reply, decided_ms)
        self._carry(self, reply)


Answer = Response | PeerError | bytes
"""An answer on its way: packed where it carries instants, which clocks read differently."""

_WITH_RECORDS = (ChangePage, BlockPage, StreamAnswer)


def _outbound(request: Request, now_ms: int) -> Request | bytes:
    return codec.pack_request(request, now_ms) if isinstance(request, BindingUpdate) else request
