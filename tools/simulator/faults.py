"""The kinds of faults: for each its name, parameters, longest time, what it does and undoes.

To add one: write `draw` (parameters as JSON-able values, from the seed), `begin` (what it does to
the `Simulation`; what it returns is kept for `end`) and `end` (how it is taken back), and one line
in `KINDS`. Everything else (when it happens, subsets and rates for a seed, printing, shrinking,
replaying, `--faults NAME`) comes by itself. `end` is called once, at the latest when the run is
healed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agent.model import Service
from tools.simulator.world import Clog, Link, Pair

if TYPE_CHECKING:
    from tools.simulator import plan
    from tools.simulator.run import Simulation

What = dict[str, Any]
HOUR_MS = 3_600_000


class Scope:
    """What a fault may be drawn from."""

    def __init__(self, parameters: plan.Parameters) -> None:
        self.members = list(range(1, parameters.members + 1))
        self.names = [f"m{member}" for member in self.members]
        self.clients = [f"c{i}" for i in range(parameters.clients + parameters.dishonest)]
        self.honest = parameters.clients
        self.relays = [f"r{i}" for i in range(1, parameters.links + 1)]
        self.lease_ms = parameters.lease_s * 1000
        self.mul_ms = parameters.mul_s * 1000
        self.pool_size = parameters.pool_size


def _nothing(_sim: Simulation, _what: What, _state: Any) -> None:
    """There is nothing to undo."""


def _ten_leases(scope: Scope) -> int:
    return 10 * scope.lease_ms


@dataclass(frozen=True, slots=True)
class Kind:
    """`weight` 0: drawn only where `--faults` names it. `share`: in how many of the runs it may
    happen at all. `least_members`: a group smaller than that cannot have it. `loses_disk`:
    afterwards the member's store may be behind. `restarts`: a member starts when it ends, perhaps
    with its machine (`reboot`)."""

    name: str
    draw: Callable[[random.Random, Scope], What]
    begin: Callable[[Simulation, What], Any]
    end: Callable[[Simulation, What, Any], None] = _nothing
    weight: int = 1
    share: float = 0.6
    least_members: int = 1
    longest_ms: Callable[[Scope], int] = _ten_leases
    loses_disk: bool = False
    restarts: bool = False


# --- partitions: directed pairs of names, so that shrinking and people see what is cut


def _both(pairs: Iterable[Pair]) -> What:
    return {"cuts": sorted({pair for a, b in pairs for pair in ((a, b), (b, a))})}


def _between(left: Iterable[str], right: Iterable[str]) -> What:
    right = list(right)
    return _both([(a, b) for a in left for b in right if a != b])


def _draw_halves(r: random.Random, s: Scope) -> What:
    names = r.sample(s.names, len(s.names))
    half = r.randint(1, len(names) - 1)
    return _between(names[:half], names[half:])


def _draw_alone(r: random.Random, s: Scope) -> What:
    return _between([r.choice(s.names)], s.names)


def _draw_ring(r: random.Random, s: Scope) -> What:
    """Each member reaches its two neighbours only."""
    names = r.sample(s.names, len(s.names))
    near = {frozenset((a, b)) for a, b in zip(names, names[1:] + names[:1], strict=True)}
    far = [(a, b) for a in names for b in names if a < b and frozenset((a, b)) not in near]
    return _both(far)


def _draw_bridge(r: random.Random, s: Scope) -> What:
    """Two halves that only one member reaches both of."""
    names = r.sample(s.names, len(s.names))
    half = r.randint(1, len(names) - 2)
    return _between(names[1 : half + 1], names[half + 1 :])


def _draw_one_way(r: random.Random, s: Scope) -> What:
    return {"cuts": [tuple(r.sample(s.names, 2))]}


def _draw_single(r: random.Random, s: Scope) -> What:
    one, other = r.sample(s.names, 2)
    return _both([(one, other)])


def _draw_client_side(r: random.Random, s: Scope) -> What:
    ends = [name for name in [*s.clients, *s.relays] if r.random() < 0.5]
    return _between(ends, [r.choice(s.names)])


def _cut(sim: Simulation, what: What) -> None:
    sim.world.cut((a, b) for a, b in what["cuts"])


def _mend(sim: Simulation, what: What, _state: Any) -> None:
    sim.world.mend((a, b) for a, b in what["cuts"])


# --- the network


def _storm(**bounds: Callable[[random.Random], Any]) -> Callable[[random.Random, Scope], What]:
    """A worse link around some members, or everywhere."""

    def draw(r: random.Random, s: Scope) -> What:
        names = [] if r.random() < 0.5 else r.sample(s.names, r.randint(1, len(s.names)))
        return {"names": names, "link": {name: bound(r) for name, bound in bounds.items()}}

    return draw


def _begin_storm(sim: Simulation, what: What) -> tuple[frozenset[str], Link]:
    storm = frozenset(what["names"]), replace(sim.weather, **what["link"])
    sim.world.storms.append(storm)
    return storm


def _end_storm(sim: Simulation, _what: What, storm: tuple[frozenset[str], Link]) -> None:
    if storm in sim.world.storms:
        sim.world.storms.remove(storm)


def _draw_clog(r: random.Random, s: Scope) -> What:
    ends = [*s.names, *s.clients]
    pairs = [(a, b) for a in ends for b in ends if a != b and (a in s.names or b in s.names)]
    share = r.choice([0.1, 0.3, 1.0])
    return {"pairs": [pair for pair in pairs if r.random() < share]}


def _begin_clog(sim: Simulation, what: What) -> Clog:
    return sim.world.clog((a, b) for a, b in what["pairs"])


def _end_clog(sim: Simulation, _what: What, clog: Clog) -> None:
    sim.world.unclog(clog)


# --- members


def _draw_member(r: random.Random, s: Scope) -> What:
    return {"member": r.choice(s.members)}


def _draw_crash(r: random.Random, s: Scope) -> What:
    points = ["now", "now", "before commit", "before reply", "before push"]
    return {"member": r.choice(s.members), "point": r.choice(points)}


def _begin_crash(sim: Simulation, what: What) -> None:
    member = sim.member(what["member"])
    if member.running:
        if what["point"] == "now":
            member.crash()
        else:
            member.crash_point = what["point"]


def _end_crash(sim: Simulation, what: What, _state: Any) -> None:
    member = sim.member(what["member"])
    member.crash_point = ""
    member.start(reboot=what.get("reboot", False))


def _draw_loss_of_disk(r: random.Random, s: Scope) -> What:
    return {"member": r.choice(s.members), "seen": r.random() < 0.5}


def _begin_wipe(sim: Simulation, what: What) -> None:
    """A new store in the place of the old one, as `dhcpsync init` makes it."""
    member, blank = sim.member(what["member"]), sim.blank_store(what["member"])
    if sim.may_lose(member, blank):
        member.lose_disk(blank, seen=False)


def _end_down(sim: Simulation, what: What, _state: Any) -> None:
    sim.member(what["member"]).start(reboot=what.get("reboot", False))


def _begin_rollback(sim: Simulation, what: What) -> bytes:
    """A copy is made now, and put back when the fault ends."""
    return sim.member(what["member"]).disk.snapshot()


def _end_rollback(sim: Simulation, what: What, copy: bytes) -> None:
    member = sim.member(what["member"])
    if sim.may_lose(member, copy):
        member.lose_disk(copy, seen=what["seen"])
    member.start(reboot=what.get("reboot", False))


def _begin_lie(sim: Simulation, what: What) -> None:
    sim.member(what["member"]).disk.lie()


def _end_lie(sim: Simulation, what: What, _state: Any) -> None:
    """The power fails, and what was never written is gone."""
    member = sim.member(what["member"])
    if member.running:
        member.crash()
    member.put_back = member.lost_disk and what["seen"]
    member.start(reboot=what.get("reboot", False))


def _begin_pause(sim: Simulation, what: What) -> None:
    sim.member(what["member"]).pause()


def _end_pause(sim: Simulation, what: What, _state: Any) -> None:
    sim.member(what["member"]).resume()


def _begin_full(sim: Simulation, what: What) -> None:
    sim.member(what["member"]).disk.full = True


def _end_full(sim: Simulation, what: What, _state: Any) -> None:
    sim.member(what["member"]).disk.full = False


def _draw_slow(r: random.Random, s: Scope) -> What:
    return {"member": r.choice(s.members), "ms": r.choice([50, 500, 3_000])}


def _begin_slow(sim: Simulation, what: What) -> None:
    sim.member(what["member"]).disk.slow_ms = what["ms"]


def _end_slow(sim: Simulation, what: What, _state: Any) -> None:
    sim.member(what["member"]).disk.slow_ms = 0


# --- clocks


def _draw_offset(r: random.Random, s: Scope) -> What:
    everybody = r.random() < 0.2
    members = s.members if everybody else [r.choice(s.members)]
    offset = r.choice([900, -1_500, 2_500, 30_000, -HOUR_MS, HOUR_MS, 24 * HOUR_MS])
    return {"members": members, "ms": offset}


def _begin_step(sim: Simulation, what: What) -> None:
    for number in what["members"]:
        sim.member(number).step_wall_clock(what["ms"])


def _draw_drift(r: random.Random, s: Scope) -> What:
    return {"member": r.choice(s.members), "ppm": r.choice([-1000, -100, 100, 1000])}


def _begin_drift(sim: Simulation, what: What) -> None:
    sim.member(what["member"]).set_drift(what["ppm"])


def _end_drift(sim: Simulation, what: What, _state: Any) -> None:
    sim.member(what["member"]).set_drift(0)


# --- operators


def _draw_join(r: random.Random, s: Scope) -> What:
    return {"contact": r.choice(s.members), "member": r.choice(s.members)}


def _begin_join(sim: Simulation, what: What) -> None:
    sim.operators.joins(what["contact"], what["member"])


def _draw_false_death(r: random.Random, s: Scope) -> What:
    return {**_draw_other(r, s), "keeps_seat": r.random() < 0.5}


def _begin_false_death(sim: Simulation, what: What) -> None:
    sim.operators.lies(what["contact"], what["member"], keeps_seat=what["keeps_seat"])


def _end_false_death(sim: Simulation, what: What, _state: Any) -> None:
    sim.operators.readmits(what["contact"], what["member"])


def _draw_skew(r: random.Random, s: Scope) -> What:
    return {"member": r.choice(s.members), "lease_s": r.choice([60, s.lease_ms // 2000])}


def _begin_skew(sim: Simulation, what: What) -> None:
    """One member learns another lease time; the others hear of it when they do."""
    sim.operators.sets_lease(what["member"], what["lease_s"])


def _end_skew(sim: Simulation, what: What, _state: Any) -> None:
    sim.operators.sets_lease(what["member"], 0)


def _draw_reserve(r: random.Random, s: Scope) -> What:
    """An address that others may own, or a client have, for one of the honest clients."""
    return {
        "member": r.choice(s.members),
        "client": r.randrange(s.honest),
        "address": r.randrange(s.pool_size),
    }


def _begin_reserve(sim: Simulation, what: What) -> None:
    sim.operators.reserves(what["member"], what["client"], what["address"])


def _end_reserve(sim: Simulation, what: What, _state: Any) -> None:
    sim.operators.reserves(what["member"], what["client"], what["address"], deleted=True)


def _draw_other(r: random.Random, s: Scope) -> What:
    contact, member = r.sample(s.members, 2)
    return {"contact": contact, "member": member}


def _begin_death(*, keeps_seat: bool) -> Callable[[Simulation, What], None]:
    """A member dies; an operator who has made sure of it says so a while later, somewhere."""

    def begin(sim: Simulation, what: What) -> None:
        member = sim.member(what["member"])
        if member.running:
            member.crash()
        sim.operators.expels(what["contact"], what["member"], keeps_seat=keeps_seat)

    return begin


def _end_death(sim: Simulation, what: What, _state: Any) -> None:
    sim.member(what["member"]).start(reboot=what.get("reboot", False))
    sim.operators.readmits(what["contact"], what["member"])


def _begin_service(service: Service) -> Callable[[Simulation, What], None]:
    def begin(sim: Simulation, what: What) -> None:
        sim.operators.orders(what["member"], service)

    return begin


def _end_service(sim: Simulation, what: What, _state: Any) -> None:
    sim.operators.orders(what["member"], Service.RUNNING)
    sim.operators.readmits(what["contact"], what["member"])


def _draw_parameters(r: random.Random, s: Scope) -> What:
    mul_s = s.mul_ms // 1000
    return {"contact": r.choice(s.members), "mul_s": r.choice([mul_s // 2, mul_s, 2 * mul_s])}


def _begin_parameters(sim: Simulation, what: What) -> None:
    sim.operators.sets_mul(what["contact"], what["mul_s"])


def _draw_weight(r: random.Random, s: Scope) -> What:
    contact, member = r.choice(s.members), r.choice(s.members)
    return {"contact": contact, "member": member, "weight": r.choice([1, 2, 5])}


def _begin_weight(sim: Simulation, what: What) -> None:
    sim.operators.reweighs(what["contact"], what["member"], what["weight"])


def _draw_rivals(r: random.Random, s: Scope) -> What:
    mul_s = s.mul_ms // 1000
    return {"contacts": r.sample(s.members, 2), "mul_s": [mul_s + n for n in range(16)]}


def _begin_rivals(sim: Simulation, what: What) -> None:
    """Two operators want the same parameter changed at the same moment, and differ; so it goes
    on, with a pause for one of them to have his way."""
    wanted = iter(what["mul_s"])
    for turn, pair in enumerate(zip(wanted, wanted, strict=True)):
        for contact, mul_s in zip(what["contacts"], pair, strict=True):
            sim.world.after(
                turn * _RIVALS_PAUSE_MS,
                lambda c=contact, s=mul_s: sim.operators.sets_mul(c, s),  # type: ignore[misc]
            )


# --- what is not mended when everything else is: only what comes around it can be judged


def _draw_dead_link(_: random.Random, s: Scope) -> What:
    """The same link each time: two of them could cut a member off."""
    return _both([(s.names[0], s.names[1])])


def _begin_dead_link(sim: Simulation, what: What) -> None:
    sim.world.broken.update((a, b) for a, b in what["cuts"])
    _cut(sim, what)


def _draw_lost_row(r: random.Random, s: Scope) -> What:
    return {"member": r.choice(s.members), "which": r.getrandbits(16)}


def _begin_lost_row(sim: Simulation, what: What) -> None:
    sim.lose_row(what["member"], what["which"])


# --- strangers


def _draw_bad_input(r: random.Random, s: Scope) -> What:
    return {"member": r.choice(s.members), "salt": r.getrandbits(32)}


def _begin_bad_input(sim: Simulation, what: What) -> None:
    sim.send_bad_input(what["member"], what["salt"])


_TAIL_MS = 600_000
_SELDOM = 0.25
"""Changes of the group: each of them is followed by minutes in which little else can happen."""
_RARE = 0.05
"""What a lie about a death makes unsafe cannot be judged any more."""
_RIVALS_PAUSE_MS = 5_000

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("halves", _draw_halves, _cut, _mend, least_members=2),
        Kind("alone", _draw_alone, _cut, _mend, least_members=2),
        Kind("ring", _draw_ring, _cut, _mend, least_members=4),
        Kind("bridge", _draw_bridge, _cut, _mend, least_members=3),
        Kind("one-way", _draw_one_way, _cut, _mend, least_members=2),
        Kind("cut", _draw_single, _cut, _mend, least_members=2),
        Kind("client-side", _draw_client_side, _cut, _mend),
        Kind(
            "loss",
            _storm(loss=lambda r: r.choice([0.1, 0.2, 0.3])),
            _begin_storm,
            _end_storm,
        ),
        Kind(
            "duplication",
            _storm(duplication=lambda r: r.choice([0.05, 0.2])),
            _begin_storm,
            _end_storm,
        ),
        Kind(
            "tails",
            _storm(tail=lambda r: r.choice([0.01, 0.1]), tail_ms=lambda _: _TAIL_MS),
            _begin_storm,
            _end_storm,
        ),
        Kind(
            "replay",
            _storm(
                replay=lambda r: r.choice([0.01, 0.1]),
                replay_ms=lambda r: r.choice([150_000, HOUR_MS, 24 * HOUR_MS]),
            ),
            _begin_storm,
            _end_storm,
        ),
        Kind("clog", _draw_clog, _begin_clog, _end_clog, longest_ms=lambda s: 2 * s.mul_ms),
        Kind("crash", _draw_crash, _begin_crash, _end_crash, weight=4, restarts=True),
        Kind("wipe", _draw_loss_of_disk, _begin_wipe, _end_down, loses_disk=True, restarts=True),
        Kind(
            "rollback",
            _draw_loss_of_disk,
            _begin_rollback,
            _end_rollback,
            loses_disk=True,
            restarts=True,
        ),
        Kind(
            "lost-writes", _draw_loss_of_disk, _begin_lie, _end_lie, loses_disk=True, restarts=True
        ),
        Kind("pause", _draw_member, _begin_pause, _end_pause, longest_ms=lambda s: 2 * s.mul_ms),
        Kind("full-disk", _draw_member, _begin_full, _end_full),
        Kind("slow-disk", _draw_slow, _begin_slow, _end_slow),
        Kind("step", _draw_offset, _begin_step),
        Kind("drift", _draw_drift, _begin_drift, _end_drift),
        Kind(
            "false-death",
            _draw_false_death,
            _begin_false_death,
            _end_false_death,
            share=_RARE,
            least_members=2,
        ),
        Kind("skew", _draw_skew, _begin_skew, _end_skew),
        Kind("reserve", _draw_reserve, _begin_reserve, _end_reserve, weight=2),
        Kind("bad-input", _draw_bad_input, _begin_bad_input, weight=2),
        Kind("join", _draw_join, _begin_join, weight=0),
        Kind(
            "remove",
            _draw_other,
            _begin_death(keeps_seat=False),
            _end_death,
            restarts=True,
            share=_SELDOM,
            least_members=2,
        ),
        Kind(
            "partner-down",
            _draw_other,
            _begin_death(keeps_seat=True),
            _end_death,
            restarts=True,
            share=_SELDOM,
            least_members=2,
        ),
        Kind(
            "shutdown",
            _draw_other,
            _begin_service(Service.SHUTDOWN),
            _end_service,
            share=_SELDOM,
            least_members=2,
        ),
        Kind(
            "leave",
            _draw_other,
            _begin_service(Service.LEAVING),
            _end_service,
            share=_SELDOM,
            least_members=2,
        ),
        Kind(
            "pause-service",
            _draw_other,
            _begin_service(Service.PAUSED),
            _end_service,
            share=_SELDOM,
            least_members=2,
        ),
        Kind("mul", _draw_parameters, _begin_parameters, share=_SELDOM),
        Kind("weight", _draw_weight, _begin_weight, share=_SELDOM, least_members=2),
        Kind("rivals", _draw_rivals, _begin_rivals, share=_SELDOM, least_members=2),
        Kind("dead-link", _draw_dead_link, _begin_dead_link, weight=0, least_members=3),
        Kind("lost-row", _draw_lost_row, _begin_lost_row, weight=0, least_members=2),
    )
}
