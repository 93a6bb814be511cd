"""`make install` brings what a member needs to run, and `make dev` the same and more."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ELSEWHERE = {"colorama"}
"""On another kind of machine only, so that nothing here asks for it."""


def locked(name: str) -> dict[str, str]:
    """The entries of a lock file, hashes included, by package."""
    text = re.sub(r"^#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    entries = re.split(r"\n(?=\S)", text.strip())
    return {re.split(r"[=\s]", entry)[0]: entry for entry in entries}


RUNNING, WORKING = locked("requirements.lock"), locked("requirements-dev.lock")
BUILDING = re.findall(r"^\w+", (ROOT / "tools/setup/build.in").read_text(), re.MULTILINE)


def needed(names: list[str]) -> set[str]:
    """They, and what they need, on this machine."""
    found: set[str] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        if name in found or (one.marker and not one.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        waiting += [Requirement(text) for text in metadata.distribution(name).requires or ()]
    return found


def test_what_runs_is_locked_and_nothing_else() -> None:
    wanted = needed([*PROJECT["dependencies"], *BUILDING])
    assert RUNNING.keys() - ELSEWHERE == wanted


def test_tools_of_the_trade_are_not_where_a_member_runs() -> None:
    tools = {
        canonicalize_name(Requirement(one).name) for one in PROJECT["optional-dependencies"]["dev"]
    }
    assert tools <= WORKING.keys()
    assert not tools & RUNNING.keys()
    assert {"mypy", "pytest", "ruff"} <= tools


def test_both_have_the_same_versions() -> None:
    assert {name: WORKING[name] for name in RUNNING} == RUNNING
    for name, entry in WORKING.items():
        assert re.match(rf"{name}==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry, name
