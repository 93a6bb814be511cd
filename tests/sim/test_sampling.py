"""Fresh seeds that can be run again, in the shares that are promised, and the directed worlds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import pytest

from agent.sync.situation import Settings
from tools.simulator import main as command
from tools.simulator import sampling
from tools.simulator.directed import DIRECTED, DRAWN
from tools.simulator.main import main
from tools.simulator.operators import TOLD_TO_GO_BESIDE
from tools.simulator.plan import Fault, Parameters, Plan, draw_plan, drawn
from tools.simulator.run import (
    PAIRS,
    SET_BACK_PAST_CHANGE,
    STARTED_ALONE,
    Result,
    run,
    settings_for,
)
from tools.simulator.sampling import base_of_commit, fresh_base, members_of

HOURS_12 = 12 * 3600


def test_a_mix_is_half_of_two_a_quarter_of_three_and_every_other_size() -> None:
    seeds = range(7_000, 7_000 + 4 * 13 * 2)
    sizes = Counter(members_of(seed, None) for seed in seeds)
    assert sizes[2] == len(seeds) / 2
    assert sizes[3] == len(seeds) / 4
    assert all(sizes[members] == 2 for members in range(4, 17))


def test_the_base_of_a_commit_stays_and_a_fresh_one_does_not() -> None:
    assert base_of_commit() == base_of_commit()
    assert len({fresh_base() for _ in range(20)}) > 1


def test_without_a_commit_the_base_is_that_of_the_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "commit", lambda: version("dhcpsync"))
    of_sources = base_of_commit()
    assert of_sources == base_of_commit()
    monkeypatch.setattr(sampling, "_SOURCES", ("agent",))
    assert base_of_commit() != of_sources


# --- the command


def make_result(seed: int, violation: str = "", members: int = 2) -> Result:
    plan = draw_plan(seed, Parameters(members=members, seconds=60, faults=False)).to_json()
    return Result(seed, members, violation, "", 10, 7200, 1.0, 1.0, 5, {}, plan)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every third seed fails; returns the seeds that have been run."""
    asked: list[int] = []

    def fake(seed: int, parameters: Parameters) -> Result:
        asked.append(seed)
        violation = "I1: 198.18.16.2 is leased twice" if seed % 3 == 0 else ""
        return make_result(seed, violation, parameters.members)

    monkeypatch.setattr(command, "run", fake)
    return asked


def call(*arguments: str) -> int:
    return main([*arguments, "--jobs", "1", "--shrink", "0"])


def test_a_failure_stops_nothing_and_all_of_them_are_told(
    failing: list[int], tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    code = call("--members", "mix", "--seeds", "1..8", "--base", "1200", "--out", str(tmp_path))
    told = capsys.readouterr()
    assert code == 1
    assert failing == list(range(1201, 1209))
    assert "seeds 1201..1208, base 1200" in told.err
    assert "failed: 1203 1206" in told.err
    assert "dhcpsync simulate --members mix --hours 4 --seeds 1203" in told.err
    assert re.search(r"hours of 2 members +8\.0", told.out)
    assert all(f"  {pair}" in told.out for pair in PAIRS), "a pair that was not met is told as 0"


def test_a_failure_stops_the_others_where_that_is_asked(failing: list[int], tmp_path: Any) -> None:
    assert call("--seeds", "1..8", "--stop", "--out", str(tmp_path)) == 1
    assert failing == [1, 2, 3]


def test_a_fresh_base_is_printed_and_repeats_the_seeds(
    failing: list[int], capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    call("--seeds", "1..4", "--base", "fresh", "--out", str(tmp_path))
    base = re.search(r"base (\d+)", capsys.readouterr().err)
    assert base
    call("--seeds", "1..4", "--base", base[1], "--out", str(tmp_path))
    assert failing[:4] == failing[4:]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--base", "old"], "--base old: expected a number or fresh"), (["--world", "x"], "invalid")],
)
def test_bad_arguments_are_named(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert words in capsys.readouterr().err


# --- what is drawn


def plan_of(world: str, seed: int = 1, members: int = 2) -> Plan:
    return draw_plan(seed, drawn(members, HOURS_12, world=world))


def faults_of(plan: Plan, *names: str) -> list[Fault]:
    return [fault for fault in plan.faults if fault.name in names]


def ends(fault: Fault) -> int:
    return fault.at_ms + fault.lasts_ms


def are_pairs(one: list[Fault], other: list[Fault], fit: Callable[[Fault, Fault], bool]) -> bool:
    return any(fit(a, b) for a in one for b in other if a is not b)


def test_both_are_told_to_go_within_a_minute() -> None:
    going = faults_of(plan_of("both-go"), "shutdown", "leave")
    assert are_pairs(going, going, lambda a, b: 0 <= b.at_ms - a.at_ms <= 60_000)


def test_a_founder_is_copied_before_anybody_has_joined() -> None:
    plan = plan_of("founder", members=3)
    copies = [f for f in faults_of(plan, "rollback") if f.what["member"] == 1]
    joins = faults_of(plan, "join")
    assert plan.parameters.founders == 1
    assert copies[0].at_ms < min(fault.at_ms for fault in joins) < ends(copies[0])
    assert {fault.what["member"] for fault in joins} == {2, 3}


def test_a_copy_is_made_while_another_member_is_out_and_put_back_later() -> None:
    plan = plan_of("maintenance")
    assert are_pairs(
        faults_of(plan, "rollback"),
        faults_of(plan, "shutdown", "leave"),
        lambda copy, out: (
            copy.what["member"] != out.what["member"]
            and out.at_ms <= copy.at_ms <= ends(out) < ends(copy)
        ),
    )


def test_a_member_that_was_taken_out_starts_cut_off() -> None:
    plan = plan_of("removed", members=3)
    assert are_pairs(
        faults_of(plan, "remove", "partner-down"),
        faults_of(plan, "cut"),
        lambda out, cut: cut.at_ms < ends(out) < ends(cut),
    )


def test_a_world_of_kinds_draws_no_others() -> None:
    assert {f.name for f in plan_of("going").faults} <= {*DIRECTED["going"].kinds, "join"}


def test_every_other_seed_is_drawn_in_a_world_and_some_with_the_hello_of_production() -> None:
    plans = [draw_plan(seed, drawn(2, 600, world=DRAWN)) for seed in range(120)]
    worlds = Counter(plan.parameters.world for plan in plans)
    assert 40 < worlds[""] < 80
    assert worlds.keys() == {"", *DIRECTED}
    assert 0 < sum(plan.parameters.hello_ms == 1_000 for plan in plans) < 20


def test_machines_boot_with_their_process_in_some_crashes() -> None:
    crashes = faults_of(draw_plan(1, drawn(2, HOURS_12, faults=("crash",))), "crash")
    assert 0 < sum(fault.what["reboot"] for fault in crashes) < len(crashes)


def test_intervals_of_a_start_and_of_wishes_follow_the_hello() -> None:
    usual, slow = settings_for(1_000), settings_for(20_000)
    assert usual == Settings()
    assert slow.witness_ms / slow.hello_ms == usual.witness_ms / usual.hello_ms
    assert slow.wish_ms > usual.wish_ms
    assert slow.depart_ms > usual.depart_ms


# --- pairs are counted, whatever comes of them

SHORT = Parameters(members=2, seconds=700, hello_ms=5_000, lease_s=120, mul_s=20, clients=3)


@pytest.mark.parametrize(
    ("world", "pair"),
    [
        ("both-go", TOLD_TO_GO_BESIDE),
        ("founder", SET_BACK_PAST_CHANGE),
        ("maintenance", STARTED_ALONE),
    ],
)
def test_pairs_are_counted(world: str, pair: str) -> None:
    results = [run(seed, replace(SHORT, world=world)) for seed in (1, 2)]
    assert sum(result.counters.get(pair, 0) for result in results)
