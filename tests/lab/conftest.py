"""Labs for tests: real namespaces, real members, real clients; one lab for a module.

They need root and the tools of `tools/setup/packages.sh test`; without them they are skipped, and
the reason says what is missing. A lab that somebody has up is never touched.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.rig import Lab
from tools.lab import network
from tools.lab.layout import POINTER


def why_not() -> str:
    """Why labs cannot be made here; empty where they can."""
    if os.geteuid() != 0:
        return "labs need root"
    missing = [tool for tool in ("ip", "nft", "udhcpc") if shutil.which(tool) is None]
    if missing:
        return f"labs need {', '.join(missing)} (tools/setup/packages.sh test)"
    if POINTER.exists() or network.namespaces():
        return "a lab is up on this machine already"
    return ""


def need(tool: str) -> None:
    """Skip the running test where a client or tool that it is about is not installed."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed (tools/setup/packages.sh test)")


@pytest.fixture(scope="module")
def shape() -> tuple[str, ...]:
    """Arguments of `lab up`; a module that wants another lab has a fixture of this name."""
    return ("--members", "3", "--clients", "2", "--lease", "600")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, shape: tuple[str, ...]) -> Iterator[Lab]:
    """Three members and two clients, with leases of ten minutes, unless the module's `shape` is
    another one."""
    if reason := why_not():
        pytest.skip(reason)
    root: Path = tmp_path_factory.mktemp("lab")
    made = Lab(root)
    made.run("lab", "up", "--root", str(root), *shape)
    try:
        yield made
    finally:
        made.run("lab", "down", check=False)


@pytest.fixture(autouse=True)
def _whole(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test inherits cuts, or members that are not running, from one that failed."""
    yield
    if "lab" in request.fixturenames and POINTER.exists():
        made: Lab = request.getfixturevalue("lab")
        made.run("lab", "heal")
        report = json.loads(made.run("lab", "status", "--json", check=False).stdout)
        for member in report["members"]:
            if not member["running"]:
                made.run("lab", "start", member["name"])
