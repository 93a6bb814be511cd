"""Seeds that must hold, and rules taken out that the judges must miss.

The seeds are fixed: a failure here replays with `dhcpsync simulate --members N --seeds S`.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tools.simulator.main import main
from tools.simulator.run import Parameters, run

SEEDS = range(1, 13)


@pytest.mark.parametrize("members", [1, 2, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_no_invariant_breaks(seed: int, members: int) -> None:
    result = run(seed, Parameters(members=members, seconds=600))
    assert result.violation == ""
    assert result.leases > 20, "a run in which nobody is served proves nothing"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_member_that_joins_under_faults_breaks_nothing(seed: int) -> None:
    result = run(seed, Parameters(members=3, joiners=1, seconds=500, pool_size=32, clients=20))
    assert result.violation == ""


def test_a_quiet_network_serves_everybody() -> None:
    result = run(1, Parameters(members=3, seconds=300, faults=False))
    assert result.violation == ""
    assert result.counters["reply 5"] >= result.leases


def test_the_same_seed_is_the_same_run_in_another_process() -> None:
    code = (
        "from tools.simulator.run import *; "
        "print(run(5, Parameters(members=3, seconds=200)).trace_hash)"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert run(5, Parameters(members=3, seconds=200)).trace_hash == other
    assert run(6, Parameters(members=3, seconds=200)).trace_hash != other


def test_command_reports_and_exits_by_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--members", "2", "--seeds", "1..2", "--hours", "0.02", "--jobs", "1"]) == 0
    assert "violations       0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seeds", "x"], "expected A..B"),
        (["--seeds", "3..1"], "first is after the last"),
        (["--members", "17"], "must be 1..16"),
        (["--hours", "0"], "greater than 0"),
    ],
)
def test_bad_arguments_are_named(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err
