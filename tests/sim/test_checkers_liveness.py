"""Each judge of liveness is shown a healed group that one change has made sick, and must say so.

And what the simulator itself may not do: judge less than was committed, lose what nobody else has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.model import (
    AddressRange,
    AddressState,
    ChangeKind,
    MemberState,
    Nonce,
)
from tests.sim.evidence import (
    ADDRESS,
    lease,
    make_group,
)
from tests.sync.lan import make_binding
from tools.simulator import checkers_liveness
from tools.simulator.checkers import ViolationError
from tools.simulator.clients import State
from tools.simulator.disk import Disk, Journal
from tools.simulator.plan import Parameters, draw_plan
from tools.simulator.run import Simulation, run_plan

SMALL = Parameters(members=3, seconds=60, faults=False, clients=6)


def judge_after(spoil: Callable[[Simulation], None], monkeypatch: pytest.MonkeyPatch) -> str:
    """What the judges of liveness say of a good run that `spoil` changed when it was healed."""
    heal = Simulation.heal

    def heal_and_spoil(self: Simulation) -> None:
        heal(self)
        spoil(self)

    monkeypatch.setattr(Simulation, "heal", heal_and_spoil)
    return run_plan(draw_plan(1, SMALL)).violation


def l1_a_client_is_cut_off(sim: Simulation) -> None:
    """In the middle of the time that is judged."""
    client = next(c for c in sim.clients if c.state is State.BOUND)
    pairs = [(client.name, m.name) for m in sim.members]
    sim.world.after(70_000, lambda: sim.world.cut(pairs))
    sim.world.after(71_000, client._lose)


def l2_nobody_hears_new_clients(sim: Simulation) -> None:
    names = [f"c{n}" for n in (6, 7)]
    sim.world.cut((name, m.name) for name in names for m in sim.members)


def l3_a_row_is_lost(sim: Simulation) -> None:
    disk = sim.members[0].disk
    sim.world.after(
        59_900, lambda: disk._driver().execute("DELETE FROM binding").connection.commit()
    )


def l5_nobody_is_told(sim: Simulation) -> None:
    def save() -> None:
        with sim.members[0].disk.write() as tx:
            tx.save_bindings([make_binding(ADDRESS + 90, sim.world.now_ms // 1000 - 30)])
        for member in sim.members[1:]:
            with member.disk.write() as tx:
                rows = sim.members[0].disk.content().bindings
                tx.put_bindings([rows[ADDRESS + 90]])

    sim.world.after(59_999, save)


def l6_a_member_stands_still(sim: Simulation) -> None:
    with sim.members[1].disk.write() as tx:
        tx.set_serving(False, 0)
    sim.members[1].pause()


def l7_half_a_change(sim: Simulation) -> None:
    driver = sim.members[2].disk._driver()
    sim.world.after(
        59_999, lambda: driver.execute("UPDATE server_group SET generation = generation + 1")
    )


def i12_a_transfer_hangs(sim: Simulation) -> None:
    def give() -> None:
        row = AddressRange(
            ADDRESS + 5000, ADDRESS + 5000, AddressState.TRANSFERRING, 2, 2, Nonce(1, 1), 1
        )
        with sim.members[0].disk.write() as tx:
            tx.replace_address_ranges([], [row])

    sim.world.after(59_999, give)


def l8_one_that_is_out_is_still_promised_something(sim: Simulation) -> None:
    def promise() -> None:
        row = AddressRange(
            ADDRESS + 5000, ADDRESS + 5000, AddressState.PROMISED, 2, 9, Nonce(1, 1), 1
        )
        with sim.members[0].disk.write() as tx:
            tx.replace_address_ranges([], [row])
        sim.evidence.groups.out.add(9)

    sim.world.after(90_000, promise)


def l3_a_pool_is_unknown(sim: Simulation) -> None:
    driver = sim.members[2].disk._driver()
    sim.world.after(59_999, lambda: driver.execute("DELETE FROM pool").connection.commit())


@pytest.mark.parametrize(
    "spoil",
    [
        l1_a_client_is_cut_off, l2_nobody_hears_new_clients, l3_a_row_is_lost, l5_nobody_is_told,
        l6_a_member_stands_still, l7_half_a_change, i12_a_transfer_hangs, l3_a_pool_is_unknown,
        l8_one_that_is_out_is_still_promised_something,
    ],
    ids=lambda spoil: spoil.__name__,
)  # fmt: skip
def test_judge_of_liveness_can_fail(
    spoil: Callable[[Simulation], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    invariant = spoil.__name__.partition("_")[0].upper()
    assert judge_after(spoil, monkeypatch).startswith(f"{invariant}:")


def test_a_transaction_that_was_not_judged_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge that sees the last transaction of a batch only, as there once was one."""
    monkeypatch.setattr(Disk, "take_journals", take_the_last)
    plan = draw_plan(1, replace(SMALL, clients=2))
    violation = run_plan(plan, lambda sim: sim.world.after(30_000, lambda: commit_twice(sim)))
    assert "transactions, and" in violation.violation


def take_the_last(disk: Disk) -> list[Journal]:
    journals, disk.journals = disk.journals[-1:], []
    return journals


def commit_twice(sim: Simulation) -> None:
    for _ in range(2):
        with sim.members[0].disk.write() as tx:
            tx.add_counters({"cluster_ballots": 1})


def test_each_transaction_of_a_batch_is_judged() -> None:
    simulation = Simulation(draw_plan(1, SMALL))
    member = simulation.members[0]
    for epoch in (2, 1):
        with member.disk.write() as tx:
            tx.put_bindings([lease(1, epoch=epoch, stream=2 << 32 | 1, seq=1)])
    commit_twice(simulation)
    with pytest.raises(ViolationError, match=r"^I6:"):
        simulation.committed(member)


# --- the model of faults and operators keeps what no rule could mend


def test_the_last_copy_of_the_group_or_of_its_networks_is_not_lost() -> None:
    simulation = Simulation(draw_plan(1, replace(SMALL, members=2)))
    (one, other), blank = simulation.members, simulation.blank_store(1)
    assert not simulation.may_lose(one, blank), "the other has no networks yet"
    assert simulation.may_lose(other, blank)
    one.start()
    other.start()
    simulation.world.run_until(simulation.world.now_ms + 5_000)
    assert simulation.may_lose(one, blank)
    assert simulation.may_lose(one, one.disk.snapshot())
    shadow = simulation.evidence.shadows[2]
    shadow.serving = False
    assert not simulation.may_lose(one, blank), "the other waits for what it may have lost itself"
    shadow.serving, shadow.group = True, make_group(2, 1)
    assert not simulation.may_lose(one, blank), "the other is out"


def test_a_disk_that_lies_keeps_the_last_copy_of_the_group() -> None:
    simulation = Simulation(draw_plan(1, replace(SMALL, members=2)))
    member = simulation.members[0]
    content = member.disk.snapshot()
    member.disk.restore(simulation.blank_store(1))
    member.disk.lie()
    member.disk.restore(content)
    member.start()
    member.crash()
    assert not member.lost_disk
    assert member.disk.content().group is not None


def test_no_operator_forces_a_member_out_where_the_contact_is_out_or_was() -> None:
    simulation = Simulation(draw_plan(1, replace(SMALL, members=2)))
    evidence, may_force = simulation.evidence, simulation.operators._may_force
    group = make_group(1, 1, 2)
    evidence.groups.take(evidence.shadows[1], group)
    evidence.groups.take(evidence.shadows[2], group)
    assert may_force(1)
    assert may_force(2)
    gone = replace(group.members[1], state=MemberState.DOWN, since=2)
    without = replace(group, generation=2, forced=1, members=(group.members[0], gone))
    evidence.groups.take(evidence.shadows[1], without)
    assert may_force(1)
    assert not may_force(2), "the other disk calls it dead"
    again = replace(gone, state=MemberState.ACTIVE, since=3)
    with_it = replace(without, generation=3, members=(group.members[0], again))
    evidence.groups.take(evidence.shadows[1], with_it)
    assert not may_force(2), "it was let in again and has not heard of it"
    evidence.groups.take(evidence.shadows[2], with_it)
    assert may_force(2)


def test_judge_of_stock_can_fail() -> None:
    """L4: one member has nothing, and most of the pool is nobody's."""
    simulation = Simulation(draw_plan(1, SMALL))
    for number, shadow in simulation.evidence.shadows.items():
        shadow.serving = True
        shadow.owned = [(ADDRESS + number * 8, ADDRESS + number * 8 + 7, 1)]
    checkers_liveness.judge_stock(simulation)  # none of them knows of the pool but the first
    with simulation.members[0].disk.read() as tx:
        kinds = (ChangeKind.SUBNET, ChangeKind.POOL)
        records = [record for kind in kinds for record in tx.configuration(kind)]
    for member in simulation.members[1:]:
        with member.disk.write() as tx:
            tx.put_configuration(records)
    simulation.evidence.shadows[3].owned = []
    with pytest.raises(ViolationError, match=r"^L4: m3 has 0 free"):
        checkers_liveness.judge_stock(simulation)
