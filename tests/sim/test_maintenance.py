"""What docs/operations.md calls harmless harms nobody.

While members are shut down and started again, leave, join, are paused or weighed anew, each client
that comes for the first time is served at once.
"""

from __future__ import annotations

import pytest

from tests.sim.test_plans import fault, world
from tools.simulator.checkers_liveness import NEW_CLIENT_S
from tools.simulator.plan import Fault
from tools.simulator.run import Simulation

SECONDS = 700
NEWCOMERS_EVERY_S = 9
BEGIN_S, LASTS_S = 100, 200


def one_after_the_other(members: int) -> list[Fault]:
    """A rolling upgrade: each is shut down, and started again before the next."""
    each_s = (SECONDS - 2 * BEGIN_S) // members
    return [
        fault(
            "shutdown", BEGIN_S + n * each_s, each_s // 2,
            contact=(n + 1) % members + 1, member=n + 1,
        )
        for n in range(members)
    ]  # fmt: skip


def steps(members: int) -> dict[str, list[Fault]]:
    second = {"contact": 1, "member": 2}
    return {
        "shutdown": [fault("shutdown", BEGIN_S, LASTS_S, **second)],
        "rolling upgrade": one_after_the_other(members),
        "leave and join again": [fault("leave", BEGIN_S, LASTS_S, **second)],
        "pause": [fault("pause-service", BEGIN_S, LASTS_S, **second)],
        "weight": [fault("weight", BEGIN_S, 0, **second, weight=5)],
        "MUL": [fault("mul", BEGIN_S, 0, contact=1, mul_s=100)],
        "join": [fault("join", BEGIN_S, 0, contact=1, member=members)],
    }


def longest_wait_s(members: int, faults: list[Fault], joiners: int = 0) -> float:
    """Of all clients that came while this was done."""
    times = range(40, SECONDS, NEWCOMERS_EVERY_S)
    plan = world(
        members, SECONDS, *faults, then=[(1, at_s) for at_s in times],
        pool_size=200, hello_ms=1000, readmits=1, joiners=joiners,
    )  # fmt: skip
    simulation = Simulation(plan)
    simulation.run()
    assert simulation.counters[f"fault {faults[0].name}"] == len(faults)
    waits = [client.waited_ms for client in simulation.clients[: len(times)]]
    assert min(waits) >= 0
    return max(waits) / 1000


@pytest.mark.parametrize("members", [2, 3])
@pytest.mark.parametrize("step", steps(2))
def test_a_new_client_is_served_at_once(step: str, members: int) -> None:
    waited_s = longest_wait_s(members, steps(members)[step], joiners=int(step == "join"))
    assert waited_s <= NEW_CLIENT_S


def test_five_are_upgraded_one_after_the_other() -> None:
    assert longest_wait_s(5, one_after_the_other(5)) <= NEW_CLIENT_S


def test_a_client_waits_where_nobody_serves() -> None:
    both = [
        fault("pause-service", BEGIN_S, LASTS_S, contact=3 - member, member=member)
        for member in (1, 2)
    ]
    assert longest_wait_s(2, both) > NEW_CLIENT_S
