"""What is printed for people, whatever the names are that others have given."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from agent.health import MemberStatus, PoolStatus
from agent.model import Pool, Subnet
from tools.apply.command import show
from tools.apply.plan import make_plan
from tools.console import plain_console
from tools.lab.demo import Story
from tools.status import Status, show_status

NAMES = ("[/x]", "[red]rack[/red]", "rack [a]", ":smile:")
ROOT = Path(__file__).parents[2]

STATUS = Status(
    1, "m1", "serving", 0, 0, 0, 0, "lab", 1, 600, 60,
    [MemberStatus(1, "m1", "198.18.0.1", "active", "server", "up", "aligned", 0, 0)],
    [PoolStatus("198.18.1.1", "198.18.1.9", "all", True, 9, 0, 9, 0)],
    {},
)  # fmt: skip


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_shows_names_as_they_are(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    plan = make_plan([], [Subnet(0x0A000000, 24, name=name), Pool(0x0A000001, 0x0A000009, name)])
    show(plan, 2, only_plan=True, as_json=False)
    assert capsys.readouterr().out.count(name) == 2


def test_a_plan_shows_no_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    show(
        make_plan([], [Subnet(0x0A000000, 24, name="a\x1b[2Jb")]), 1, only_plan=True, as_json=False
    )
    out = capsys.readouterr().out
    assert "a\ufffd[2Jb" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("name", NAMES)
def test_status_shows_names_as_they_are(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (member,), (pool,) = STATUS.members, STATUS.pools
    named = replace(
        STATUS,
        asked_name=name,
        group=name,
        members=[replace(member, name=name)],
        pools=[replace(pool, name=name)],
    )
    show_status(named, as_json=False)
    assert capsys.readouterr().out.count(name) == 5


def test_the_demo_tells_an_error_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    story = Story(plain_console(), None)  # type: ignore[arg-type]
    story.rows.append(("step [/1]", "failed: [/x]", False, 1.0))
    story.console.print(story.table())
    out = capsys.readouterr().out
    assert "failed: [/x]" in out
    assert "step [/1]" in out


def test_every_console_is_a_plain_one() -> None:
    found = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tools").rglob("*.py")
        if re.search(r"\bConsole\(", path.read_text(encoding="utf-8"))
    ]
    assert found == ["tools/console.py"]
