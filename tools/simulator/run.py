"""One seed: a cluster, its clients, a plan of faults, and the verdict.

Two phases (docs/architecture.md): safety is judged after every event whatever happens; then
everything heals, clients fall silent, and within 60 s all members must hold the same rows.
"""

from __future__ import annotations

import functools
import random
import time
from dataclasses import dataclass, field, replace

from agent.dhcp.packet import Reply
from agent.model import Group, Member, Pool, Subnet
from store import Store
from tools.simulator import checkers, clients
from tools.simulator.clients import Client
from tools.simulator.members import LAN, SimulatedMember, member_address
from tools.simulator.world import Link, World

HEALED_S = 60
_SETTLE_S = 20


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a seed is run with; `seconds` of simulated time under faults."""

    members: int = 3
    seconds: int = 600
    clients: int = 12
    lease_s: int = 60
    mul_s: int = 20
    pool_size: int = 96
    faults: bool = True
    joiners: int = 0
    """So many of the members join while clients are served; the others are founders."""

    @property
    def founders(self) -> int:
        return self.members - self.joiners


@dataclass
class Result:
    """`violation` is empty for a good run."""

    seed: int
    violation: str
    trace_hash: str
    events: int
    simulated_s: int
    wall_s: float
    leases: int
    counters: dict[str, int] = field(default_factory=dict)


class Simulation:
    """Builds the cluster of a seed and lets it run. Use `run`."""

    def __init__(self, seed: int, parameters: Parameters) -> None:
        self.seed = seed
        self.parameters = parameters
        self._random = random.Random(seed)
        self.world = World(random.Random(self._random.getrandbits(64)), Link())
        self.leases = 0
        self.counters: dict[str, int] = {}
        self.members = [self._make_member(i) for i in range(1, parameters.members + 1)]
        self._owned: list[list[tuple[int, int, int]]] = [[] for _ in self.members]
        self._ownership_seen = [-1] * len(self.members)
        self.clients = [
            Client(
                f"c{i}", bytes([2, 1, 0, 0, i >> 8, i & 255]), self.world, self._transmit,
                self._on_lease,
            )
            for i in range(parameters.clients)
        ]  # fmt: skip

    def run(self) -> None:
        """Raises ViolationError."""
        for member in self.members:
            self.world.after(self.world.random.randint(0, 500), member.start)
        self.world.run_until(self.world.now_ms + _SETTLE_S * 1000)
        start_ms = self.world.now_ms
        if self.parameters.faults:
            self._plan_faults(start_ms)
        self._plan_clients(start_ms)
        self._plan_joins(start_ms)
        self.world.run_until(start_ms + self.parameters.seconds * 1000)
        self._heal()
        self.world.run_until(self.world.now_ms + HEALED_S * 1000)
        serving = [m for m in self.members if m.is_serving()]
        if len(serving) < self.parameters.founders:
            raise checkers.ViolationError("L3: a founder does not serve")
        self.counters["members serving"] = len(serving)
        checkers.check_equal_tables([m.name for m in serving], [m.store for m in serving])

    # --- the cluster

    def _make_member(self, number: int) -> SimulatedMember:
        p = self.parameters
        store = Store.in_memory(member=number, engine_id=_listed(number).engine_id)
        if number > p.founders:
            return self._simulate(number, store)
        listed = tuple(_listed(i) for i in range(1, p.founders + 1))
        with store.write() as tx:
            tx.put_group(Group("simulated", 1, p.mul_s, p.lease_s, listed))
            tx.set_serving(True, since=0)
            if number == 1:
                first = LAN + 0x1000
                tx.save_configuration(
                    [(Subnet(LAN, 15), False), (Pool(first, first + p.pool_size - 1), False)]
                )
        return self._simulate(number, store)

    def _simulate(self, number: int, store: Store) -> SimulatedMember:
        return SimulatedMember(
            number, store, self.world, self._peer, self._on_commit, self._on_reply
        )

    def _peer(self, member: int) -> SimulatedMember | None:
        return self.members[member - 1] if 1 <= member <= len(self.members) else None

    # --- judging

    def _on_commit(self, member: SimulatedMember) -> None:
        index = member.member - 1
        with member.store.read() as tx:
            version = tx.local().ownership_version
        if version == self._ownership_seen[index]:
            return
        self._ownership_seen[index] = version
        self._owned[index] = checkers.owned(member.store)
        checkers.check_one_owner(
            [m.name for m in self.members], [m.store for m in self.members], self._owned
        )
        checkers.check_free_is_free(
            member.name, member.store, self._owned[index], self.clients, self.world.now_ms
        )

    def _on_lease(self, client: Client) -> None:
        self.leases += 1
        checkers.check_one_client_per_address(self.clients, client, self.world.now_ms)

    def _on_reply(self, member: SimulatedMember, reply: Reply) -> None:
        data = reply.data
        message = clients.read_message(data)
        now_ms = self.world.now_ms
        self._count(f"reply {message.kind}")
        if message.kind == clients.ACK and message.lease_s:
            checkers.check_lead(
                member.name,
                message.your_address,
                now_ms + message.lease_s * 1000,
                now_ms,
                self.parameters.mul_s,
                self._others(member),
            )
        for client in self.clients:
            if client.hardware_address == message.hardware_address:
                self.world.send(member.name, client.name, functools.partial(client.receive, data))

    def _others(self, member: SimulatedMember) -> list[tuple[Store, int]]:
        """The other members of the group as `member` knows it. One that has not pulled yet does
        not count: it agrees to no poll, so nothing is given away by what it does not know."""
        with member.store.read() as tx:
            group = tx.group()
        listed = group.members if group else ()
        others = [self.members[m.member - 1] for m in listed if m.member != member.member]
        return [(other.store, other.offset_ms) for other in others if other.is_serving()]

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1

    def _transmit(self, client: Client, data: bytes, destination: int) -> None:
        source = client.lease.address if client.lease else 0
        for member in self.members:
            if destination in (clients.BROADCAST, member.address):
                self.world.send(
                    client.name,
                    member.name,
                    functools.partial(member.receive, data, destination, source),
                )

    # --- plans

    def _plan_clients(self, start_ms: int) -> None:
        r = self._random
        end_ms = start_ms + self.parameters.seconds * 1000
        for client in self.clients:
            at = start_ms + r.randint(0, 20_000)
            while at < end_ms:
                self.world.at(at, client.start)
                at += int(r.expovariate(1 / 240_000)) + 5_000
                self.world.at(at, functools.partial(client.stop, release=r.random() < 0.4))
                at += int(r.expovariate(1 / 40_000)) + 1_000

    def _plan_joins(self, start_ms: int) -> None:
        """Each joiner is proposed to founders again and again, until it is in."""
        half_ms = self.parameters.seconds * 500
        for member in self.members[self.parameters.founders :]:
            at = start_ms + self._random.randint(0, half_ms)
            for again_ms in range(0, half_ms, 20_000):
                contact = self._random.choice(self.members[: self.parameters.founders])
                self.world.at(at + again_ms, functools.partial(self._join, contact, member.member))

    def _join(self, contact: SimulatedMember, number: int) -> None:
        with contact.store.read() as tx:
            group = tx.group()
        if group is not None and group.member(number) is None:
            contact.propose_join(_listed(number))

    def _plan_faults(self, start_ms: int) -> None:
        r = self._random
        link = self.world.link
        link.loss = r.choice([0.0, 0.02, 0.1, 0.3])
        link.duplication = r.choice([0.0, 0.05, 0.2])
        link.delay_ms = r.choice([(1, 5), (1, 50), (10, 400)])
        link.tail = r.choice([0.0, 0.0, 0.01])
        end_ms = start_ms + self.parameters.seconds * 1000
        faults = ["crash", "crash", "client-side"]
        if len(self.members) > 1:
            faults += ["cut", "one-way", "alone"]
        at = start_ms
        while True:
            at += int(r.expovariate(1 / 45_000)) + 1_000
            if at >= end_ms:
                return
            lasts = int(r.expovariate(1 / 40_000)) + 500
            self._plan_fault(r.choice(faults), at, lasts)

    def _plan_fault(self, fault: str, at: int, lasts: int) -> None:
        member = self._random.choice(self.members)
        if fault == "crash":
            point = self._random.choice(["now", "before reply", "before push"])
            self.world.at(at, functools.partial(self._crash, member, point, at + lasts))
            return
        cuts = self._choose_cuts(fault, member)
        self.world.at(at, functools.partial(self._cut, fault, cuts))
        self.world.at(at + lasts, functools.partial(self.world.cuts.difference_update, cuts))

    def _choose_cuts(self, fault: str, member: SimulatedMember) -> set[tuple[str, str]]:
        """Directed pairs of names that the fault cuts."""
        r = self._random
        names = [m.name for m in self.members]
        if fault == "one-way":
            one, other = r.sample(names, 2)
            return {(one, other)}
        if fault == "cut":
            pairs = [tuple(r.sample(names, 2))]
        elif fault == "alone":
            pairs = [(name, member.name) for name in names if name != member.name]
        else:
            pairs = [(c.name, member.name) for c in self.clients if r.random() < 0.5]
        return {pair for a, b in pairs for pair in ((a, b), (b, a))}

    def _cut(self, fault: str, cuts: set[tuple[str, str]]) -> None:
        self._count(f"fault {fault}")
        self.world.trace("cut", *sorted(cuts))
        self.world.cuts.update(cuts)

    def _crash(self, member: SimulatedMember, point: str, until_ms: int) -> None:
        if member.running:
            self._count(f"fault crash {point}")
            if point == "now":
                member.crash()
            else:
                member.crash_point = point
        self.world.at(until_ms, member.start)

    def _heal(self) -> None:
        self.world.heal()
        self.world.link = replace(Link())
        for client in self.clients:
            client.stop(release=False)
        for member in self.members:
            member.crash_point = ""
            member.start()


def _listed(number: int) -> Member:
    engine_id = bytes([128, 0, 126, 217, 4, number])
    return Member(number, f"m{number}", member_address(number), 161, engine_id)


def run(seed: int, parameters: Parameters) -> Result:
    """Run one seed. Never raises for a violation: it is in the result."""
    started = time.monotonic()
    simulation = Simulation(seed, parameters)
    begin_ms = simulation.world.now_ms
    violation = ""
    try:
        simulation.run()
    except checkers.ViolationError as error:
        violation = str(error)
    return Result(
        seed,
        violation,
        simulation.world.trace_hash(),
        simulation.world.events,
        (simulation.world.now_ms - begin_ms) // 1000,
        time.monotonic() - started,
        simulation.leases,
        dict(sorted(simulation.counters.items())),
    )
