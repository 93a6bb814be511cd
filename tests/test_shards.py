"""`make test` fails where any shard does, and no test is in none or in two."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shards import COMPUTED, DAY, LAB, ROOT, SEEDS, Outcome, Runner, Shard, shards, summary
from tests.test_rings import imports, under

REAL_THINGS = {"socket", "asyncio", "subprocess", "tests.lab", "tests.net", "agent.net"}
ALLOWED = {
    "tests/sim/test_simulation.py": {"subprocess"},  # the same seed in another process
}


def run(folder: Path, *wanted: Shard) -> tuple[list[Outcome], list[str]]:
    lines: list[str] = []
    outcomes = Runner(folder, ("-p", "no:cacheprovider"), lines.append).run(wanted)
    return outcomes, lines + summary(outcomes)


def test_a_failure_in_any_shard_is_a_failure(tmp_path: Path) -> None:
    for name, body in (("good", "pass"), ("bad", "assert 1 == 2"), ("gone", "os._exit(7)")):
        text = f"import os\ndef test_{name}():\n    {body}\n"
        (tmp_path / f"test_{name}.py").write_text(text)
    (good, mixed, gone), said = run(
        tmp_path,
        Shard("good", (("test_good.py",),), niceness=1),
        Shard("mixed", (("test_bad.py",), ("test_good.py",))),
        Shard("gone", (("test_gone.py",), ("test_none.py",))),
    )
    assert (good.good, good.passed, good.failed, good.runs_left) == (True, 1, [], 0)
    assert (mixed.good, mixed.passed, mixed.failed) == (False, 1, ["test_bad.py::test_bad"])
    assert not gone.good
    assert gone.broken == ["pytest test_gone.py ended with 7", "pytest test_none.py ended with 4"]
    assert any(line.startswith("mixed    | ") and "assert 1 == 2" in line for line in said)
    assert "FAILED test_bad.py::test_bad" in said


def test_a_run_of_which_nothing_is_known_is_no_success() -> None:
    lost = Outcome("lost", runs_left=1)
    assert not lost.good
    assert "BROKEN lost: nothing is known of 1 of its runs" in summary([lost])


def test_every_folder_is_in_one_shard() -> None:
    lab, live, computed = shards(2)
    assert lab.runs == ((LAB, f"--ignore={DAY}"),)
    assert live.runs == (("tests", *(f"--ignore={folder}" for folder in (LAB, *COMPUTED))),)
    assert computed.runs[0] == (SEEDS,)
    assert computed.runs[1][: len(COMPUTED) + 1] == (*COMPUTED, f"--ignore={SEEDS}")
    assert all((ROOT / path).exists() for path in (LAB, DAY, *COMPUTED, SEEDS))
    assert 0 == lab.niceness < live.niceness < computed.niceness < 20


def computed_files() -> list[Path]:
    return sorted(path for folder in COMPUTED for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", computed_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_computed_needs_nothing_of_the_machine(path: Path) -> None:
    real = {module for module in imports(path) if under(module, REAL_THINGS)}
    assert real <= ALLOWED.get(str(path.relative_to(ROOT)), set())
