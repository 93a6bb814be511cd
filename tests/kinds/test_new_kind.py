"""A new kind is one file: all of the rest comes of its declaration (`tests/kinds/shelf.py`)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.kinds import KINDS
from tests.kinds.new_kind import CHECKS
from tests.kinds.shelf import SHELF

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def failed() -> dict[str, str]:
    """Tracebacks by check. In a process of its own, because a kind is registered for good."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.kinds.new_kind"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, str] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize("name", CHECKS)
def test_a_new_kind(name: str, failed: dict[str, str]) -> None:
    assert name not in failed, failed[name]


def test_it_is_new() -> None:
    assert SHELF.number not in KINDS
    assert SHELF.name not in {kind.name for kind in KINDS.values()}
