"""The plan of a run: everything that is drawn before it begins, as data.

A plan says which clients come and go when, and which faults begin when, with what parameters; it
is drawn from the seed alone, can be written as JSON and read again, and taking a part out of it
leaves every other part as it was. That is what a failure is shrunk by.
"""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from tools.simulator import directed
from tools.simulator.faults import KINDS, Scope

_REBOOT_SHARE = 0.4
_BESIDE = 6
"""In a directed world other faults come so many times less often."""
CLOCKS_MS = (0, 0, 900, -1_500, 2_500, 30_000, -3_600_000, 86_400_000)
"""How far members' clocks are out, where they are."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a seed is run with; `seconds` of simulated time under faults, then the healed phase.

    0 (or -1) means: drawn from the seed. `faults` False: a quiet network; a tuple: these kinds
    only."""

    members: int = 3
    seconds: int = 600
    clients: int = 12
    lease_s: int = 60
    mul_s: int = 20
    pool_size: int = 96
    faults: bool | tuple[str, ...] = True
    joiners: int = 0
    """So many of the members join while clients are served; the others are founders."""
    hello_ms: int = 1_000
    links: int = 0
    """Networks behind a relay, beside the one that members and clients share."""
    dishonest: int = 0
    """Clients that lie, beside the honest ones."""
    readmits: int = 1
    """Whether operators let in again whom they took out; 0: who is out stays out."""
    level: str = "objects"
    world: str = ""
    """One of `tools.simulator.directed`, or "drawn"."""
    stay_leases: float = 4
    """How long a client stays, on average, in leases; and how long it is away then."""
    away_leases: float = 0.67

    @property
    def founders(self) -> int:
        return self.members - self.joiners


def drawn(members: int, seconds: int, **changes: Any) -> Parameters:
    """Parameters of which most are drawn from the seed."""
    return replace(
        Parameters(
            members, seconds, clients=0, lease_s=0, mul_s=0, pool_size=0, joiners=-1, hello_ms=0,
            links=-1, dishonest=-1, readmits=-1,
        ),
        **changes,
    )  # fmt: skip


@dataclass(slots=True)
class Session:
    """One stay of a client on a link, in ms from the start of the run."""

    start_ms: int
    stop_ms: int
    link: int
    release: bool


@dataclass(slots=True)
class ClientPlan:
    number: int
    honest: bool
    sessions: list[Session]


@dataclass(slots=True)
class Fault:
    """A fault of `tools.simulator.faults`, from `at_ms` for `lasts_ms`."""

    name: str
    at_ms: int
    lasts_ms: int
    what: dict[str, Any]


@dataclass(slots=True)
class Plan:
    seed: int
    parameters: Parameters
    weather: dict[str, Any]
    clocks: list[int] = field(default_factory=list)
    """How far each member's clock is ahead of true time, in ms."""
    clients: list[ClientPlan] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """Raises KeyError, TypeError or ValueError for what is no plan."""
        known = {one.name for one in fields(Parameters)}
        given = {key: value for key, value in data["parameters"].items() if key in known}
        if isinstance(given.get("faults"), list):
            given["faults"] = tuple(given["faults"])
        clients = [
            ClientPlan(c["number"], c["honest"], [Session(**s) for s in c["sessions"]])
            for c in data["clients"]
        ]
        faults = [Fault(**f) for f in data["faults"]]
        for fault in faults:
            if fault.name not in KINDS:
                raise ValueError(f"fault {fault.name!r} is not one of {', '.join(KINDS)}")
        if given.get("world") not in (None, "", *directed.DIRECTED):
            raise ValueError(
                f"world {given['world']!r} is not one of {', '.join(directed.DIRECTED)}"
            )
        weather, clocks = dict(data["weather"]), list(data["clocks"])
        return cls(data["seed"], Parameters(**given), weather, clocks, clients, faults)


def settle_parameters(seed: int, p: Parameters) -> Parameters:
    """Draw what the parameters leave open."""
    p = directed.settle(seed, p)
    r = random.Random(f"parameters of {seed}")
    lease_s = r.choice([900, 1800, 3600])
    mul_s = r.choice([120, 300, 600])
    clients = r.choice([6, 9, 12])
    pool_size = r.choice([24, 32, 48, 96])
    hello_ms = r.choice([20_000, 30_000] if p.members < 8 else [30_000])
    joiners = r.choice([0, 0, 1, p.members - 1])
    links = r.choice([0, 1, 2])
    dishonest = r.choice([0, 0, 1, 2])
    readmits = r.choice([0, 1, 1])
    if p.world and directed.DIRECTED[p.world].founders:
        p = replace(p, joiners=p.members - directed.DIRECTED[p.world].founders)
    return replace(
        p,
        lease_s=p.lease_s or lease_s,
        mul_s=p.mul_s or mul_s,
        clients=p.clients or clients,
        pool_size=p.pool_size or pool_size,
        hello_ms=p.hello_ms or hello_ms,
        joiners=p.joiners if p.joiners >= 0 else min(joiners, p.members - 1),
        links=p.links if p.links >= 0 else links,
        dishonest=p.dishonest if p.dishonest >= 0 else dishonest,
        readmits=p.readmits if p.readmits >= 0 else readmits,
    )


def draw_plan(seed: int, parameters: Parameters) -> Plan:
    p = settle_parameters(seed, parameters)
    r = random.Random(f"plan of {seed}")
    plan = Plan(seed, p, {})
    plan.clients = [_draw_client(seed, number, p) for number in range(p.clients + p.dishonest)]
    scope = Scope(p)
    if not p.world or not directed.DIRECTED[p.world].founders:
        plan.faults += _draw_joins(r, p)
    plan.clocks = [0] * p.members
    if p.faults is True and r.random() < 0.4:
        plan.clocks = [r.choice(CLOCKS_MS) for _ in range(p.members)]
    if p.faults:
        plan.weather = _draw_weather(r)
        plan.faults += _draw_faults(r, p, scope)
    if p.world:
        plan.faults += directed.draw(seed, p, Fault)
    _draw_reboots(seed, plan)
    plan.faults.sort(key=lambda fault: fault.at_ms)
    return Plan.from_json(json.loads(json.dumps(plan.to_json())))


def _draw_weather(r: random.Random) -> dict[str, Any]:
    """What holds for the whole run."""
    return {
        "loss": r.choice([0.0, 0.02, 0.1, 0.3]),
        "duplication": r.choice([0.0, 0.05, 0.2]),
        "delay_ms": r.choice([(1, 5), (1, 50), (10, 400)]),
        "tail": r.choice([0.0, 0.0, 0.01]),
    }


def _draw_client(seed: int, number: int, p: Parameters) -> ClientPlan:
    r = random.Random(f"client {number} of {seed}")
    link = r.randint(0, p.links)
    stay_ms = round(p.lease_s * 1_000 * p.stay_leases)
    away_ms = round(p.lease_s * 1_000 * p.away_leases)
    sessions = []
    at = r.randint(0, min(p.lease_s * 300, p.seconds * 100))
    while at < p.seconds * 1000:
        start, at = at, at + int(r.expovariate(1 / stay_ms)) + 5_000
        sessions.append(Session(start, at, link, r.random() < 0.4))
        at += int(r.expovariate(1 / away_ms)) + 1_000
        if p.links and r.random() < 0.3:
            link = r.randint(0, p.links)
    return ClientPlan(number, number < p.clients, sessions)


def _draw_joins(r: random.Random, p: Parameters) -> list[Fault]:
    """Each joiner is proposed to founders again and again, until it is in."""
    faults = []
    half_ms = p.seconds * 500
    for joiner in range(p.founders + 1, p.members + 1):
        at = r.randint(0, half_ms)
        for again_ms in range(0, half_ms, max(20_000, half_ms // 20)):
            what = {"contact": r.randint(1, p.founders), "member": joiner}
            faults.append(Fault("join", at + again_ms, 0, what))
    return faults


def _draw_reboots(seed: int, plan: Plan) -> None:
    """Whether a machine boots with its process, so that its clock is read anew. Drawn apart from
    the faults, which stay what they were before there were reboots."""
    r = random.Random(f"reboots of {seed}")
    for fault in plan.faults:
        if KINDS[fault.name].restarts:
            fault.what["reboot"] = r.random() < _REBOOT_SHARE


def _draw_faults(r: random.Random, p: Parameters, scope: Scope) -> list[Fault]:
    """A subset of the kinds, with rates of their own."""
    possible = [kind for kind in KINDS.values() if kind.weight and p.members >= kind.least_members]
    named = p.faults if isinstance(p.faults, tuple) else ()
    if p.world:
        named = directed.DIRECTED[p.world].kinds
    if named:
        able = [kind for kind in KINDS.values() if p.members >= kind.least_members]
        possible = [kind for kind in able if kind.name in named]
    else:
        possible = [kind for kind in possible if r.random() < kind.share] or possible
    if not possible:
        return []
    weights = [(kind.weight or 1) * r.choice([1, 1, 3]) for kind in possible]
    gap_ms = max(45_000, p.lease_s * r.choice([200, 400, 800]))
    if p.world and directed.DIRECTED[p.world].draw is not None:
        gap_ms *= _BESIDE
    faults: list[Fault] = []
    at = 0
    while True:
        at += int(r.expovariate(1 / gap_ms)) + 1_000
        if at >= p.seconds * 1000:
            return faults
        kind = r.choices(possible, weights)[0]
        most_ms = min(kind.longest_ms(scope), p.seconds * 500)
        lasts = int(1_000 * max(1.0, most_ms / 1_000) ** r.random())
        faults.append(Fault(kind.name, at, lasts, kind.draw(r, scope)))
