"""One seed: a cluster, its clients, a plan of faults, and the verdict.

Two phases (docs/simulation.md): safety is judged after every event whatever happens; then
everything heals, and what must come by itself (liveness) is judged at fixed times after that.
"""

from __future__ import annotations

import functools
import gc
import random
import time
import traceback
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agent.dhcp.packet import Reply
from agent.dhcp.probes import BY_ROUTE, ProbeWish
from agent.limits import GC_THRESHOLDS, MEMBERS_MAX
from agent.model import Group, Pool, Subnet, Transaction
from agent.sync import messages as m
from agent.sync.node import Settings
from tools.simulator import checkers_liveness, clients
from tools.simulator.checkers import Evidence, Shadow, ViolationError
from tools.simulator.clients import Client
from tools.simulator.disk import Disk, Journal
from tools.simulator.faults import KINDS
from tools.simulator.members import LAN, LAN_PREFIX, POOL_FIRST, SimulatedMember, member_address
from tools.simulator.operators import (
    ORDERED_WHILE_RECOVERING,
    TOLD_TO_GO_BESIDE,
    Operators,
    client_hardware_address,
    listed,
)
from tools.simulator.packets import PacketEnd, virtual_time
from tools.simulator.plan import Fault, Parameters, Plan, Session, draw_plan, drawn
from tools.simulator.strangers import Liar, bad_messages
from tools.simulator.world import Link, World

__all__ = ["Parameters", "Result", "Simulation", "drawn", "run", "run_plan"]

_COUNTED = (Transaction.DECLINE, Transaction.CLAIM, Transaction.PROBE, Transaction.CONFLICT)
_READMITTED_MS = 30_000
_SETTLE_S = 20
_HELLOS = 4
"""So many Hello intervals without a word, and two members are not in touch."""
SET_BACK_PAST_CHANGE = "pair set back past a change of the group"
STARTED_ALONE = "pair started alone in its group"
PAIRS = (SET_BACK_PAST_CHANGE, STARTED_ALONE, ORDERED_WHILE_RECOVERING, TOLD_TO_GO_BESIDE)
"""What hurts is the pair: of each there must be some over a night."""
PACKETS_EVERY = 100
"""At level "auto" one seed in so many runs in packets."""
_WEIGHED_EVERY = 50
"""The memory of a member is weighed with every so many batches of datagrams."""
_RELAYED = 10 << 24
_GATEWAY_FIELD = slice(24, 28)
_HOPS_FIELD = 3


@dataclass
class Result:
    """`violation` is empty for a good run."""

    seed: int
    members: int
    violation: str
    trace_hash: str
    events: int
    simulated_s: int
    wall_s: float
    cpu_s: float
    leases: int
    counters: dict[str, int] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    group_event: str = ""
    """What last happened to the group before the run ended."""


class Simulation:
    """Builds the cluster of a plan and lets it run. Use `run` or `run_plan`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seed = plan.seed
        self.parameters = p = plan.parameters
        self.weather = Link(**{k: _tuple(v) for k, v in plan.weather.items()})
        self.world = World(random.Random(f"run of {plan.seed}"), Link())
        self.evidence = Evidence(lambda: self.world.now_ms)
        self.evidence.is_running = lambda number: self.member(number).running
        self.evidence.name_of = self._name_of
        self.last_death_ms = -1
        """When an operator last said that a member is dead."""
        self.reserved: set[int] = set()
        """Addresses that an operator has reserved at some time."""
        self.reserved_for: set[bytes] = set()
        """Hardware addresses of clients for whom one was."""
        self.leases = 0
        self._batches = 0
        self._watched: list[Journal] | None = None
        """What is written while a message comes that must change nothing."""
        self.counters: Counter[str] = Counter()
        self.settings = settings_for(p.hello_ms)
        blindness = self.evidence.blindness
        blindness.after = self.world.after
        blindness.ends_ms = p.lease_s * 1000 + _HELLOS * p.hello_ms + _SETTLE_S * 1000
        blindness.contact_ms = _HELLOS * p.hello_ms
        self.members = [self._make_member(i) for i in range(1, p.members + 1)]
        self.clients: list[Client] = []
        self.liars: list[Liar] = []
        self._by_hardware: dict[bytes, Client] = {}
        for one in plan.clients:
            if one.honest:
                self.add_client(one.number)
            else:
                self.liars.append(
                    Liar(
                        f"c{one.number}", one.number & 255, self.world, self._transmit_lie,
                        self._victims, self.evidence.exposed.add,
                    )
                )  # fmt: skip
        self._active: list[tuple[Fault, Any]] = []
        self.operators = Operators(self)

    def run(self) -> None:
        """Raises ViolationError."""
        for member in self.members:
            self.world.after(self.world.random.randint(0, 500), member.start)
        self.world.run_until(self.world.now_ms + _SETTLE_S * 1000)
        start_ms = self.world.now_ms
        self.world.link = self.weather
        self._schedule(start_ms)
        self.world.run_until(start_ms + self.parameters.seconds * 1000)
        self.heal()
        checkers_liveness.judge(self)
        for member in self.members:
            self.evidence.check_complete(member.member, member.disk.commits)

    # --- the cluster

    def _make_member(self, number: int) -> SimulatedMember:
        p = self.parameters
        disk = Disk.in_memory(member=number, engine_id=listed(number).engine_id)
        member = SimulatedMember(
            number, disk, self.world, self.settings, self, self.member_or_none, self._carry,
            self._try_address,
        )  # fmt: skip
        if self.in_packets:
            member.packet_end = self._packet_end
        if number <= len(self.plan.clocks):
            member.set_clock(self.plan.clocks[number - 1])
        shadow = Shadow(number, member.name, lambda: member.offset_ms, lambda: member.running)
        self.evidence.shadows[number] = shadow
        if number <= p.founders:
            founders = tuple(listed(i) for i in range(1, p.founders + 1))
            with disk.write() as tx:
                tx.put_group(Group("simulated", 1, p.mul_s, p.lease_s, founders))
                tx.set_serving(True, since=0)
                if number == 1:
                    tx.save_configuration([(row, False) for row in self._networks()])
            self.committed(member)
        return member

    def _networks(self) -> list[Subnet | Pool]:
        p = self.parameters
        rows: list[Subnet | Pool] = [Subnet(LAN, LAN_PREFIX)]
        rows.append(Pool(POOL_FIRST, POOL_FIRST + p.pool_size - 1))
        for link in range(1, p.links + 1):
            first = relay_address(link) + 15
            rows.append(Subnet(relay_address(link) - 1, 24))
            rows.append(Pool(first, first + max(8, p.pool_size // 2) - 1))
        return rows

    @property
    def in_packets(self) -> bool:
        level = self.parameters.level
        return level == "packets" or (level == "auto" and self.seed % PACKETS_EVERY == 0)

    def _packet_end(self, member: SimulatedMember) -> PacketEnd:
        peers = {
            other: (member_address(other), listed(other).engine_id)
            for other in range(1, self.parameters.members + 1)
            if other != member.member
        }
        engine_id = listed(member.member).engine_id
        return PacketEnd(engine_id, member.boots, peers, member.take_packed)

    def blank_store(self, number: int) -> bytes:
        return Disk.in_memory(member=number, engine_id=listed(number).engine_id).snapshot()

    def may_lose(self, member: SimulatedMember, left: bytes) -> bool:
        """Whether a fault may leave `left` on a member's disk: not where the group or its networks
        would lie nowhere any more, which would be the end of it, and nothing to judge."""
        copy = Disk.in_memory(member=member.member, engine_id=listed(member.member).engine_id)
        copy.restore(left)
        if _holds_networks(copy) or self.shadow(member).group is None:
            return True
        return any(
            other is not member
            and self.shadow(other).serving
            and self.shadow(other).is_current()
            and _holds_networks(other.disk)
            for other in self.members
        )

    def newest_group(self) -> Group:
        group = self.evidence.groups.newest()
        assert group is not None
        return group

    @property
    def disks_were_lost(self) -> bool:
        return any(KINDS[fault.name].loses_disk for fault in self.plan.faults)

    def member(self, number: int) -> SimulatedMember:
        return self.members[number - 1]

    def member_or_none(self, number: int) -> SimulatedMember | None:
        return self.members[number - 1] if 1 <= number <= len(self.members) else None

    def shadow(self, member: SimulatedMember) -> Shadow:
        return self.evidence.shadows[member.member]

    # --- judging: what `members.Judge` asks for

    def committed(self, member: SimulatedMember) -> None:
        """Judge every transaction that the member's disk has committed since."""
        for journal in member.disk.take_journals():
            for row in journal.bindings:
                if row.transaction in _COUNTED:
                    self.counters[f"rows {row.transaction.name}"] += 1
            if self._watched is not None:
                self._watched.append(journal)
            self.evidence.committed(member.member, journal)

    def lost(self, member: SimulatedMember) -> None:
        content, former = member.disk.content(), self.shadow(member).group
        if former is not None and content.group is not None and content.group != former:
            self.counters[SET_BACK_PAST_CHANGE] += 1
        self.evidence.lost(member.member, content)

    def booted(self, member: SimulatedMember) -> None:
        self.evidence.booted(member.member, member.disk.content())

    def started(self, member: SimulatedMember, unseen: bool) -> None:
        group = self.shadow(member).group
        if group is not None and len(group.current) == 1 < self.parameters.members:
            self.counters[STARTED_ALONE] += 1
        self.evidence.started(member.member, unseen=unseen)

    def heard(self, member: SimulatedMember, sender: int) -> None:
        if self.evidence.blindness:
            self.evidence.blindness.hear(member.member, sender)

    def sends(self, member: SimulatedMember, number: int) -> None:
        self.evidence.sends(self.shadow(member), number, member.disk.writing)

    def answered(self, member: SimulatedMember, request: m.Request, response: m.Response) -> None:
        shadow = self.shadow(member)
        if isinstance(request, m.PollReserve) and isinstance(response, m.PollAnswer):
            yes = [(v.first, v.last) for v in response.verdicts if v.agreed]
            self.evidence.promised(shadow, request.header.sender, yes)
        elif isinstance(request, m.BindingUpdate):
            self.evidence.recorded(shadow, request.stream, request.through)

    def served(self, member: SimulatedMember) -> None:
        self._batches += 1
        memory = (
            contents_of(member.node, member.server) if not self._batches % _WEIGHED_EVERY else {}
        )
        self.evidence.served(self.shadow(member), memory)

    def replied(self, member: SimulatedMember, reply: Reply, decided_ms: int) -> None:
        message = clients.read_message(reply.data)
        self.counters[f"reply {message.kind}"] += 1
        shadow = self.shadow(member)
        client = self._by_hardware.get(message.hardware_address)
        if message.kind in (clients.ACK, clients.NAK) and client is not None:
            self._judge_server(shadow, client, message)
        if message.kind in (clients.OFFER, clients.ACK) and message.your_address:
            self.evidence.offered(shadow, message.your_address, decided_ms)
        if message.kind == clients.ACK and message.lease_s:
            end_ms = decided_ms + message.lease_s * 1000
            self.evidence.acknowledged(
                shadow, message.hardware_address, message.your_address, message.lease_s, end_ms
            )
        elif message.kind == clients.NAK and client is not None:
            self._judge_nak(shadow, client, message)

    def _judge_server(self, shadow: Shadow, client: Client, message: clients.Message) -> None:
        """A client that has taken one server's offer is answered by no other."""
        is_current = message.transaction_id == client.transaction_id
        if is_current and client.state is clients.State.REQUESTING:
            self.evidence.answered_choice(shadow, client.name, message.server == client.chosen)

    def _judge_nak(self, shadow: Shadow, client: Client, message: clients.Message) -> None:
        lease = client.lease
        current = lease and client.state is not clients.State.OFF
        if not current or lease is None or message.transaction_id != client.transaction_id:
            return
        if lease.address in self.reserved or client.hardware_address in self.reserved_for:
            self.evidence.judged["exposed I11 reserved"] += 1
            return  # an operator's wish: a lease ends for the reserved address
        at_home = self.link_of(lease.address) == client.link
        held = self.evidence.holdings.get(lease.address)
        self.evidence.refused(shadow, client.name, held, at_home)

    # --- DHCP on the wire

    def add_client(self, number: int) -> Client:
        hardware_address = client_hardware_address(number)
        client = Client(
            f"c{number}", hardware_address, self.world, self._transmit, self._on_lease,
            self._is_squatted,
        )  # fmt: skip
        self.clients.append(client)
        self._by_hardware[hardware_address] = client
        return client

    def _name_of(self, hardware_address: bytes) -> str:
        client = self._by_hardware.get(hardware_address)
        return client.name if client is not None else ""

    def link_of(self, address: int) -> int:
        """The link on which an address is at home: 0 the LAN, else behind that relay."""
        return (address >> 8) - (_RELAYED >> 8) if address >> 24 == _RELAYED >> 24 else 0

    def _on_lease(self, client: Client, address: int) -> None:
        lease = client.lease
        if lease is None or lease.address != address:
            self.evidence.lease_ended(client.name, address)
            return
        self.leases += 1
        self.evidence.lease(client.name, address, lease.server, lease.end_ms)

    def _transmit(self, client: Client, data: bytes, destination: int) -> None:
        source = client.lease.address if client.lease else 0
        self._put_on_wire(client.name, client.link, data, destination, source)

    def _transmit_lie(self, liar: Liar, data: bytes, destination: int, source: int) -> None:
        self._put_on_wire(liar.name, liar.link, data, destination, source)

    def _put_on_wire(
        self, name: str, link: int, data: bytes, destination: int, source: int
    ) -> None:
        """Straight to the members on the LAN or by unicast; through the relay otherwise."""
        if link and destination == clients.BROADCAST:
            self.world.send(name, f"r{link}", lambda: self._relay(link, data))
            return
        for member in self.members:
            if destination in (clients.BROADCAST, member.address):
                self.world.send(
                    name,
                    member.name,
                    functools.partial(member.receive, data, destination, source),
                )

    def _relay(self, link: int, data: bytes) -> None:
        """What a relay agent does with a broadcast (RFC 1542 4.1)."""
        relayed = bytearray(data)
        if len(relayed) <= _GATEWAY_FIELD.stop:
            return
        relayed[_HOPS_FIELD] += 1 if relayed[_HOPS_FIELD] < 255 else 0
        relayed[_GATEWAY_FIELD] = relay_address(link).to_bytes(4, "big")
        octets = bytes(relayed)
        for member in self.members:
            self.world.send(
                f"r{link}",
                member.name,
                functools.partial(member.receive, octets, member.address, relay_address(link)),
            )

    def _carry(self, member: SimulatedMember, reply: Reply) -> None:
        message = clients.read_message(reply.data)
        ends: list[Client | Liar] = [
            liar for liar in self.liars if liar.owns_hardware(message.hardware_address)
        ]
        client = self._by_hardware.get(message.hardware_address)
        if client is not None:
            ends.append(client)
        for end in ends:
            self.world.send(member.name, end.name, functools.partial(end.receive, reply.data))

    def _try_address(self, member: SimulatedMember, wish: ProbeWish) -> None:
        """Whoever uses the address on that link answers, itself or through its router."""
        self.counters["probes"] += 1
        address = wish.address
        ends: list[Client | Liar] = [*self.clients, *self.liars]
        for end in ends:
            if end.link == self.link_of(address) and end.uses(address):
                ask = functools.partial(self._answer_probe, member, wish, end)
                self.world.send(member.name, end.name, ask)

    def _answer_probe(self, member: SimulatedMember, wish: ProbeWish, end: Client | Liar) -> object:
        if not end.uses(wish.address):
            return False
        self.counters["probes answered"] += 1
        known = b"" if wish.interface == BY_ROUTE else end.hardware_of(wish.address)
        hear = functools.partial(member.hear_probe, wish.address, known)
        self.world.send(end.name, member.name, hear)
        return None

    def _is_squatted(self, client: Client, address: int) -> bool:
        """What the client's own ARP request finds (RFC 2131 3.1.5)."""
        found = any(liar.link == client.link and liar.uses(address) for liar in self.liars)
        self.counters["declines"] += found
        return found

    def _victims(self) -> list[tuple[bytes, clients.Lease]]:
        now_ms = self.world.now_ms
        return [(c.hardware_address, c.lease) for c in self.clients if c.lease and c.holds(now_ms)]

    # --- the plan

    def _schedule(self, start_ms: int) -> None:
        ends: dict[str, Client | Liar] = {client.name: client for client in self.clients}
        ends.update((liar.name, liar) for liar in self.liars)
        for one in self.plan.clients:
            for session in one.sessions:
                self._schedule_session(start_ms, ends[f"c{one.number}"], session)
        for fault in self.plan.faults:
            self.world.at(start_ms + fault.at_ms, functools.partial(self._begin, fault))

    def _schedule_session(self, start_ms: int, end: Client | Liar, session: Session) -> None:
        """A stay that outlasts the faults goes on while the group heals."""
        self.world.at(start_ms + session.start_ms, lambda: end.start(session.link))
        if session.stop_ms < self.parameters.seconds * 1000:
            self.world.at(start_ms + session.stop_ms, lambda: end.stop(release=session.release))

    def _begin(self, fault: Fault) -> None:
        kind = KINDS[fault.name]
        self.counters[f"fault {fault.name}"] += 1
        self.world.trace("fault", fault.name)
        state = kind.begin(self, fault.what)
        running = (fault, state)
        self._active.append(running)
        self.world.after(fault.lasts_ms, lambda: self._end(running))

    def _end(self, running: tuple[Fault, Any]) -> object:
        if not any(one is running for one in self._active):
            return False
        self._active = [one for one in self._active if one is not running]
        fault, state = running
        self.world.trace("over", fault.name)
        KINDS[fault.name].end(self, fault.what, state)
        return None

    def heal(self) -> None:
        for running in list(self._active):
            self._end(running)
        self.world.heal()
        for liar in self.liars:
            liar.stop(release=False)
        for member in self.members:
            member.crash_point = ""
            member.resume()
            member.start()
        for after_ms in range(0, _READMITTED_MS, 5_000):
            self.world.after(after_ms, self.operators.readmit_all)

    # --- what comes from outside

    def lose_row(self, number: int, which: int) -> None:
        """A row that another member wrote is gone from a disk, and nothing tells it: what its
        member makes of that is exposed, and the row must come back. It is of an address that was
        never this member's, which would give it away once more."""
        shadow, disk = self.evidence.shadows[number], self.member(number).disk
        mine = {a for first, last, _ in shadow.owned for a in range(first, last + 1)}
        rows = sorted(
            address
            for address, row in shadow.rows.items()
            if row.transaction_server != number and address not in mine
        )
        if rows:
            address = rows[which % len(rows)]
            disk.lose_row(address)
            self.evidence.exposed.add(address)

    def send_bad_input(self, number: int, salt: int) -> None:
        member, shadow = self.member(number), self.evidence.shadows[number]
        group = shadow.group
        others = [o.member for o in group.members if o.member != number] if group else []
        if group is None or not others or not member.running:
            return
        for why, data in bad_messages(salt, group, others[salt % len(others)]):
            self._watched = []
            member.take_request(data, lambda _: None, forged=True)
            written, self._watched = self._watched, None
            self.evidence.ignored(shadow, why, written)


def contents_of(*roots: object) -> dict[str, int]:
    """How many items each container holds that our own objects reach from `roots`, by the way
    there."""
    found: dict[str, int] = {}
    seen: set[int] = set()
    todo = [(type(root).__name__, root) for root in roots]
    while todo:
        name, thing = todo.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, dict | list | set | deque | OrderedDict):
            found[name] = max(len(thing), found.get(name, 0))
            values = thing.values() if isinstance(thing, dict) else thing
            todo += [(f"{name}[]", value) for value in list(values)[:100]]
        elif type(thing).__module__.startswith("agent."):
            slots = getattr(type(thing), "__slots__", ())
            parts = (
                vars(thing)
                if hasattr(thing, "__dict__")
                else {s: getattr(thing, s, None) for s in slots}
            )
            todo += [(f"{name}.{part}", value) for part, value in parts.items()]
    return found


def _holds_networks(disk: Disk) -> bool:
    """Whether a disk has a group and the networks that it serves."""
    content = disk.content()
    return content.group is not None and bool(content.pools)


def relay_address(link: int) -> int:
    return _RELAYED | link << 8 | 1


def settings_for(hello_ms: int) -> Settings:
    """The production intervals, and with a slower Hello those that follow it: with leases of an
    hour nothing is lost by it, and a simulated day costs less."""
    usual = Settings()
    slower = max(1, hello_ms // usual.hello_ms)
    return replace(
        usual,
        hello_ms=hello_ms,
        dead_ms=usual.dead_ms * slower,
        hello_peers=usual.hello_peers if slower == 1 else MEMBERS_MAX,
        push_retry_ms=usual.push_retry_ms * max(1, slower // 4),
        abort_retry_ms=usual.abort_retry_ms * slower,
        digest_ms=usual.digest_ms * max(1, slower // 4),
        poll_retry_ms=usual.poll_retry_ms * max(1, slower // 4),
        poll_retry_max_ms=usual.poll_retry_max_ms * max(1, slower // 8),
        witness_ms=usual.witness_ms * slower,
        wish_ms=usual.wish_ms * max(1, slower // 4),
        depart_ms=usual.depart_ms * max(1, slower // 4),
    )


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def run_plan(plan: Plan, prepare: Callable[[Simulation], None] | None = None) -> Result:
    """Run a plan. Never raises for a violation: it is in the result. `prepare` may change the
    simulation before it begins, as a test of a judge does."""
    gc.set_threshold(*GC_THRESHOLDS)
    started, cpu = time.monotonic(), time.process_time()
    simulation = Simulation(plan)
    if prepare is not None:
        prepare(simulation)
    begin_ms = simulation.world.now_ms
    violation = ""
    try:
        with virtual_time(simulation.world) if simulation.in_packets else nullcontext():
            simulation.run()
    except ViolationError as error:
        violation = str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the seed has failed
        # A bug of the rules or of the simulator: it is replayed and shrunk like any other.
        at = traceback.extract_tb(error.__traceback__)[-1]
        violation = f"{type(error).__name__}: {error} ({Path(at.filename).name}:{at.lineno})"
    for member in simulation.members:
        with member.disk.read() as tx:
            simulation.counters.update({f"rule {k}": v for k, v in tx.counters().items()})
    simulation.counters.update(
        {f"judged {name}": number for name, number in simulation.evidence.judged.items()}
    )
    return Result(
        plan.seed,
        plan.parameters.members,
        violation,
        simulation.world.trace_hash(),
        simulation.world.events,
        (simulation.world.now_ms - begin_ms) // 1000,
        time.monotonic() - started,
        time.process_time() - cpu,
        simulation.leases,
        dict(sorted(simulation.counters.items())),
        plan.to_json() if violation else {},
        simulation.evidence.groups.last_event,
    )


def run(seed: int, parameters: Parameters) -> Result:
    """Run one seed with a plan drawn for it."""
    return run_plan(draw_plan(seed, parameters))


def with_level(plan: Plan, level: str) -> Plan:
    return replace(plan, parameters=replace(plan.parameters, level=level))
