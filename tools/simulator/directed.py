"""Directed worlds: what hurts is the pair of two faults, and a pair seldom comes by itself.

Each world draws faults that belong together: a copy made while another member is out and put back
after it is in again, two members told to go seconds apart, a member that starts again cut off from
those who took it out. A world is a part of `Parameters`; where it is "drawn", every other seed has
one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tools.simulator.plan import Fault, Parameters

DRAWN = "drawn"
"""Every other seed has one of the directed worlds."""
GOING = ("shutdown", "leave", "rollback", "lost-writes")
DYING = (*GOING, "remove", "partner-down")
_HELLO_1S_SHARE = 1 / 16
_HELLO_1S_MEMBERS_MAX = 4
"""So many seeds in small groups have the Hello of production: each costs as much as ten others."""

Draw = Callable[[random.Random, "Parameters"], "list[tuple[str, float, float, dict[str, Any]]]"]
"""Faults as name, begin and duration in seconds, and parameters."""


@dataclass(frozen=True, slots=True)
class Directed:
    """`kinds`: only these faults, drawn as usual; or `draw`: with the `kinds` beside them."""

    name: str
    kinds: tuple[str, ...]
    draw: Draw | None = None
    founders: int = 0
    """0: drawn as usual."""


def _some(r: random.Random, least_s: float, most_s: float) -> float:
    return float(least_s * (most_s / least_s) ** r.random())


def _both_go(r: random.Random, p: Parameters) -> list[tuple[str, float, float, dict[str, Any]]]:
    """Two members or all of them, seconds apart."""
    faults = []
    at = _some(r, 30, p.lease_s)
    while at < p.seconds:
        members = list(range(1, p.members + 1))
        going = r.sample(members, r.choice([2, p.members]))
        lasts = _some(r, 30, 2 * p.lease_s)
        for member in going:
            contact = r.choice([other for other in members if other != member])
            kind = r.choice(["shutdown", "shutdown", "leave"])
            begins = at + r.choice([0, _some(r, 0.1, 60)])
            faults.append((kind, begins, lasts, {"contact": contact, "member": member}))
        at += lasts + _some(r, p.lease_s / 4, 3 * p.lease_s)
    return faults


def _founder(r: random.Random, p: Parameters) -> list[tuple[str, float, float, dict[str, Any]]]:
    """A copy of the founder's store from before anybody joined is put back once."""
    joins = _some(r, 10, p.lease_s)
    back = _some(r, p.lease_s / 10, max(p.lease_s, p.seconds / 2))
    faults: list[tuple[str, float, float, dict[str, Any]]] = [
        ("rollback", 1, joins + back, {"member": 1, "seen": r.random() < 0.5})
    ]
    for joiner in range(2, p.members + 1):
        for again in range(10):
            at = joins + again * 30 + joiner
            faults.append(("join", at, 0, {"contact": 1, "member": joiner}))
    if r.random() < 0.5:
        mul_s = p.mul_s + r.randint(1, 60)
        at = joins + back + r.choice([-_some(r, 1, back), _some(r, 1, p.lease_s)])
        faults.append(
            ("mul", max(1.0, at), 1, {"contact": r.randint(1, p.members), "mul_s": mul_s})
        )
    if r.random() < 0.5:
        at = joins + back - _some(r, 1, back)
        faults.append(_cut_off(1, p, at, _some(r, 30, 3 * p.lease_s)))
    return faults


def _maintenance(r: random.Random, p: Parameters) -> list[tuple[str, float, float, dict[str, Any]]]:
    """Rolling upgrades: one member after the other is shut down, another one's copy is made
    meanwhile, and put back later: while that one is out for its own upgrade, or any time."""
    faults: list[tuple[str, float, float, dict[str, Any]]] = []
    at = _some(r, 60, p.lease_s)
    while at < p.seconds:
        order = r.sample(range(1, p.members + 1), p.members)
        for member, following in zip(order, order[1:] + order[:1], strict=True):
            out, back = _some(r, 60, p.lease_s), _some(r, 30, p.lease_s / 2)
            kind = r.choice(["shutdown", "shutdown", "shutdown", "leave"])
            contact = r.choice([other for other in order if other != member])
            faults.append((kind, at, out, {"contact": contact, "member": member}))
            if r.random() < 0.7:
                copied = at + out * r.random()
                until = at + out + back + r.choice([0, _some(r, 10, 2 * p.lease_s)])
                what = {"member": following, "seen": r.random() < 0.5}
                faults.append(("rollback", copied, until - copied, what))
            at += out + back
        at += _some(r, p.lease_s, 4 * p.lease_s)
    return faults


def _removed(r: random.Random, p: Parameters) -> list[tuple[str, float, float, dict[str, Any]]]:
    """A member dies and is taken out; it starts again where it reaches none of the others."""
    faults = []
    at = _some(r, 60, p.lease_s)
    while at < p.seconds:
        member, contact = r.sample(range(1, p.members + 1), 2)
        out, alone = _some(r, 60, 3 * p.lease_s), _some(r, 30, 2 * p.lease_s)
        kind = r.choice(["remove", "partner-down"])
        faults.append((kind, at, out, {"contact": contact, "member": member}))
        faults.append(_cut_off(member, p, at + out * r.random(), out + alone))
        at += 2 * out + alone + _some(r, p.lease_s / 2, 4 * p.lease_s)
    return faults


def _cut_off(
    member: int, p: Parameters, at: float, lasts: float
) -> tuple[str, float, float, dict[str, Any]]:
    one = f"m{member}"
    others = [f"m{other}" for other in range(1, p.members + 1) if other != member]
    cuts = [pair for other in others for pair in ((one, other), (other, one))]
    return "cut", max(1.0, at), lasts, {"cuts": cuts}


DIRECTED: dict[str, Directed] = {
    world.name: world
    for world in (
        Directed("going", GOING),
        Directed("dying", DYING),
        Directed("both-go", ("crash", "rollback", "loss"), _both_go),
        Directed("founder", ("crash", "cut", "mul"), _founder, founders=1),
        Directed("maintenance", ("crash", "loss"), _maintenance),
        Directed("removed", ("crash", "loss"), _removed),
    )
}


def settle(seed: int, p: Parameters) -> Parameters:
    """Draw what "drawn" leaves open: the world, and in a few runs the Hello of production."""
    if p.world != DRAWN:
        return p
    r = random.Random(f"world of {seed}")
    able = p.members > 1 and p.faults is True
    name = r.choice(list(DIRECTED)) if able and r.random() < 0.5 else ""
    if p.members <= _HELLO_1S_MEMBERS_MAX and r.random() < _HELLO_1S_SHARE:
        p = replace(p, hello_ms=p.hello_ms or 1_000)
    return replace(p, world=name)


def draw(
    seed: int, p: Parameters, make: Callable[[str, int, int, dict[str, Any]], Fault]
) -> list[Fault]:
    """The faults of the world beside those of its `kinds`."""
    world = DIRECTED[p.world]
    if world.draw is None:
        return []
    found = world.draw(random.Random(f"world {p.world} of {seed}"), p)
    return [
        make(name, round(at * 1000), round(lasts * 1000), what)
        for name, at, lasts, what in found
        if at < p.seconds
    ]
