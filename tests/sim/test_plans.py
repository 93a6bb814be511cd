"""Plans of a few faults, each of which once led to a group that was wrong for good.

Those in `plans/` are what is left of seeds that nobody had seen before, without clients' noise and
weather: `dhcpsync simulate --replay tests/sim/plans/NAME.json` runs one. The others vary them. In
none of them does an operator lie.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tools.simulator.main import read_plan
from tools.simulator.plan import ClientPlan, Fault, Parameters, Plan, Session
from tools.simulator.run import run_plan

FOLDER = Path(__file__).with_name("plans")
S_MS = 1_000
THREE = (1, 2, 3)
FOR_GOOD_S = 1_000_000


def fault(name: str, at_s: int, lasts_s: int, **what: Any) -> Fault:
    return Fault(name, at_s * S_MS, lasts_s * S_MS, what)


def cut(at_s: int, lasts_s: int, *members: int) -> Fault:
    """Cut the first of these members off from the others of them."""
    one, *others = (f"m{member}" for member in members)
    pairs = [pair for other in others for pair in ((one, other), (other, one))]
    return fault("cut", at_s, lasts_s, cuts=pairs)


def world(
    members: int, seconds: int, *faults: Fault, first_s: int = 2,
    then: Sequence[tuple[int, int]] = (), away: Sequence[tuple[int, int]] = (), **parameters: Any,
) -> Plan:  # fmt: skip
    """Six clients that come and stay, but for the times that they are `away` with their leases, and
    `then` so many more at such a time; a quiet network, and nobody who is let in again."""
    p = Parameters(members, seconds, 6, 900, 300, 48, hello_ms=20_000, readmits=0)
    p = replace(p, **parameters)
    begins = [first_s + 3 * n for n in range(p.clients)]
    begins += [at_s + n for number, at_s in then for n in range(number)]
    clients = []
    for n, begin in enumerate(begins):
        comes = [begin * S_MS, *(back_s * S_MS + 100 * n for _, back_s in away)]
        goes = [*(leaves_s * S_MS for leaves_s, _ in away), FOR_GOOD_S * S_MS]
        stays = [Session(*stay, 0, False) for stay in zip(comes, goes, strict=True)]
        clients.append(ClientPlan(n, True, stays))
    p = replace(p, clients=len(clients))
    return Plan(1, p, {}, [0] * members, clients, list(faults))


def varied(name: str, **what: Any) -> Callable[[], Plan]:
    """A plan of the folder with other parameters of its faults, where they have them."""

    def make() -> Plan:
        plan = deepcopy(read_plan(FOLDER / f"{name}.json"))
        for one in plan.faults:
            one.what.update({key: value for key, value in what.items() if key in one.what})
        return plan

    return make


VARIANTS: dict[str, Callable[[], Plan]] = {
    "rolling-maintenance-seen": varied("rolling-maintenance-unseen", seen=True),
    "setback-cut-noorder-unseen": varied("setback-cut-noorder-seen", seen=False),
    "both-out-unseen": varied("both-out", seen=False),
    "alone-then-setback-unseen": varied("alone-then-setback-seen", seen=False),
    "both-leave": lambda: world(
        2, 900,
        fault("leave", 100, 400, contact=1, member=2),
        fault("leave", 103, 400, contact=2, member=1),
        readmits=1,
    ),
    "one-leaves-one-shuts-down": lambda: world(
        2, 900,
        fault("shutdown", 100, 400, contact=1, member=2),
        fault("leave", 100, 400, contact=2, member=1),
        readmits=1,
    ),
    "three-shut-down": lambda: world(
        3, 900, *(fault("shutdown", 100 + 2 * m, 400, contact=1 + m % 3, member=m) for m in THREE)
    ),
    "founder-of-three-setback-seen": lambda: world(
        3, 5000,
        fault("rollback", 5, 1500, member=1, seen=True),
        fault("join", 20, 0, contact=1, member=2),
        fault("join", 60, 0, contact=1, member=3),
        joiners=2,
    ),
    "founder-of-three-setback-unseen": lambda: world(
        3, 5000,
        fault("rollback", 5, 1500, member=1, seen=False),
        fault("join", 20, 0, contact=1, member=2),
        fault("join", 60, 0, contact=1, member=3),
        joiners=2,
    ),
    "founder-of-three-setback-cut-seen": lambda: world(
        3, 5000,
        fault("rollback", 5, 1500, member=1, seen=True),
        fault("join", 20, 0, contact=1, member=2),
        fault("join", 60, 0, contact=1, member=3),
        cut(1400, 2000, 1, 2, 3),
        joiners=2,
    ),
    "setback-before-a-clean-leave": lambda: world(
        2, 3000,
        fault("rollback", 300, 500, member=2, seen=False),
        fault("leave", 400, 2500, contact=2, member=1),
    ),
    "setback-before-a-clean-leave-seen": lambda: world(
        2, 3000,
        fault("rollback", 300, 500, member=2, seen=True),
        fault("leave", 400, 2500, contact=2, member=1),
    ),
    "rolling-maintenance-of-three-unseen": lambda: world(
        3, 6000,
        fault("shutdown", 100, 400, contact=1, member=2),
        fault("shutdown", 110, 400, contact=1, member=3),
        fault("rollback", 300, 1500, member=1, seen=False),
        fault("shutdown", 1000, 4900, contact=2, member=1),
    ),
    # Each of the following is what one rule is for: tests/sim/mutants.py takes it out.
    # Told later, the second one is refused: it is the last one by then.
    "both-shut-down-at-once": lambda: world(
        2, 1300,
        fault("shutdown", 100, 1000, contact=1, member=2),
        fault("shutdown", 100, 1000, contact=2, member=1),
    ),
    "alone-by-its-copy-and-told-to-decide": lambda: world(
        2, 900,
        fault("shutdown", 100, 150, contact=1, member=2),
        fault("rollback", 200, 300, member=1, seen=False),
        cut(490, 40, 1, 2),
        fault("mul", 510, 1, contact=1, mul_s=310),
    ),
    "set-back-and-far-ahead": lambda: world(
        2, 2500,
        fault("rollback", 5, 495, member=1, seen=False),
        fault("join", 20, 0, contact=1, member=2),
        cut(480, 820, 1, 2),
        *(fault("mul", 520 + 5 * n, 1, contact=1, mul_s=61 + n) for n in range(5)),
        joiners=1, lease_s=120, mul_s=60, pool_size=8, then=[(6, 900)],
    ),
    "set-back-and-joined-again": lambda: world(
        2, 2000,
        fault("rollback", 5, 295, member=1, seen=False),
        fault("join", 20, 0, contact=1, member=2),
        cut(290, 700, 1, 2),
        fault("join", 320, 0, contact=1, member=2),
        joiners=1, first_s=330, then=[(6, 600)],
    ),
    "set-back-and-gives-what-is-anothers": lambda: world(
        2, 4000,
        fault("rollback", 5, 295, member=1, seen=False),
        fault("join", 20, 0, contact=1, member=2),
        cut(290, 300, 1, 2),
        fault("join", 320, 0, contact=1, member=2),
        fault("cut", 290, 300, cuts=[(f"c{n}", "m2") for n in range(24)]),
        joiners=1, first_s=340, clients=24,
    ),
    "joins-one-that-has-lost-its-store": lambda: world(
        2, 1800,
        fault("rollback", 10, 290, member=1, seen=True),
        cut(40, 290, 1, 2),
        fault("join", 60, 0, contact=1, member=2),
        joiners=1, first_s=12, clients=5, pool_size=8, then=[(3, 700)],
    ),
    "one-loses-its-store-after-the-other": lambda: world(
        2, 1500,
        fault("rollback", 5, 195, member=1, seen=True),
        fault("join", 20, 0, contact=1, member=2),
        fault("rollback", 600, 210, member=2, seen=True),
        cut(690, 130, 1, 2),
        joiners=1, first_s=700, clients=4, pool_size=8, then=[(6, 850)],
    ),
    "removed-and-started-cut-off": lambda: world(
        3, 2500,
        fault("remove", 100, 1000, contact=1, member=3),
        cut(25, 2365, 3, 1, 2),
        clients=3, pool_size=12, then=[(12, 450), (3, 1500)],
    ),
    "removed-and-booted-cut-off": lambda: world(
        3, 2000,
        fault("remove", 100, 900, contact=1, member=3, reboot=True),
        cut(25, 1265, 3, 1, 2),
        clients=3, pool_size=12, then=[(12, 450), (3, 1100)],
    ),
    "both-lose-their-stores-and-one-boots": lambda: world(
        2, 2600,
        fault("crash", 400, 650, member=1, point="now"),
        fault("rollback", 100, 900, member=1, seen=True, reboot=True),
        fault("rollback", 100, 890, member=2, seen=True),
        first_s=105, clients=5, pool_size=8, then=[(3, 1400)],
    ),
    "booted-unconfirmed-and-takes-a-peers-row": lambda: world(
        3, 2600,
        fault("crash", 200, 700, member=2, point="now", reboot=True),
        cut(195, 765, 2, 1, 3),
        fault("crash", 600, 1400, member=3, point="now"),
        fault("crash", 1000, 1000, member=1, point="now"),
        away=[(290, 901), (903, 1100)], hello_ms=1000,
    ),
}  # fmt: skip


def every_plan() -> list[str]:
    return [path.stem for path in sorted(FOLDER.glob("*.json"))] + list(VARIANTS)


def plan_named(name: str) -> Plan:
    return VARIANTS[name]() if name in VARIANTS else read_plan(FOLDER / f"{name}.json")


@pytest.mark.parametrize("name", every_plan())
def test_plan_is_good(name: str) -> None:
    result = run_plan(plan_named(name))
    assert result.violation == ""
    assert result.leases > 0
