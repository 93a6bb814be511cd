"""What a short command loads and makes; its arguments are still read as typer reads them."""

from __future__ import annotations

import enum
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer import core
from typer.testing import CliRunner

from tests.snmp.world import World
from tests.tools.engines import at_an_agent, user
from tools import lean
from tools.credentials import render_credentials
from tools.main import app

ROOT = Path(__file__).parents[2]
HEAVY = ("pysnmp", "pyasn1", "sqlalchemy", "alembic", "pydantic", "rich", "asyncio", "store")
MESSAGES_MAX = 9
"""Discovery, clock, and six questions; one more where a table is long."""


def test_status_loads_what_it_needs_and_asks_little(tmp_path: Path) -> None:
    """It is run over and over, by people and by cron: half a second is what it may take."""
    credentials = tmp_path / "credentials.env"
    credentials.write_text(render_credentials({"monitor": user("monitor")}))
    credentials.chmod(0o600)
    code = (
        "import json, sys, tools.main as m\n"
        "try:\n    m.main()\nfinally:\n"
        f"    sys.stderr.write(json.dumps([n for n in {HEAVY} if n in sys.modules]))"
    )

    def work(world: World) -> None:
        before = world.agent.door.statistics.in_packets
        at = f"{world.address}:{world.port}"
        done = subprocess.run(
            [sys.executable, "-c", code, "status", "--address", at, "--credentials", credentials],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        assert "group lab, generation 3" in done.stdout
        assert json.loads(done.stderr) == []
        assert world.agent.door.statistics.in_packets - before <= MESSAGES_MAX

    at_an_agent(work)


def test_commands_that_speak_to_members_load_neither_store_nor_pysnmp() -> None:
    spoken = ("members", "identity", "apply.command", "bootptab.command", "lease.command",
              "compare.command", "status", "pool")  # fmt: skip
    code = "".join(f"import tools.{name}\n" for name in spoken)
    heavy = tuple(name for name in HEAVY if name != "asyncio")
    code += f"import sys; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"


# --- one command of many


def names_of(one: typer.Typer) -> list[str]:
    groups = [str(group.name) for group in one.registered_groups]
    return sorted([lean._name(command) for command in one.registered_commands] + groups)


def test_only_the_command_that_was_called_is_made() -> None:
    everything = names_of(app)
    assert {"status", "apply", "member", "lease"} < set(everything)
    assert names_of(lean.only(app, ["status", "--json"])) == ["status"]
    member = lean.only(app, ["member", "end-wait", "m1"])
    assert names_of(member) == ["member"]
    (group,) = member.registered_groups
    assert group.typer_instance is not None
    assert names_of(group.typer_instance) == ["end-wait"]
    assert names_of(app) == everything
    (whole,) = [one for one in app.registered_groups if one.name == "member"]
    assert whole.typer_instance is not None
    assert len(names_of(whole.typer_instance)) > 8


@pytest.mark.parametrize("arguments", [[], ["--pool", "status"], ["stats"], ["-h"], [""]])
def test_where_no_command_comes_first_all_are_there(arguments: list[str]) -> None:
    assert lean.only(app, arguments) is app


def test_of_a_group_without_a_command_all_are_there() -> None:
    member = lean.only(app, ["member", "--help"])
    (group,) = member.registered_groups
    assert group.typer_instance is not None
    assert "list" in names_of(group.typer_instance)


# --- parameters


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


sample = typer.Typer(rich_markup_mode=None)


@sample.command()
def tell(
    text: str,
    path: Path | None = None,
    there: Annotated[Path | None, typer.Option(exists=True)] = None,
    colour: Colour = Colour.GREEN,
    flag: Annotated[bool, typer.Option(envvar="LEAN_FLAG")] = False,
    number: Annotated[int, typer.Option(max=9)] = 3,
    many: list[str] | None = None,
    paths: list[Path] | None = None,
) -> None:
    typer.echo(repr((text, path, there, colour, flag, number, many, paths)))


@pytest.mark.parametrize(
    "arguments",
    [
        ["x"],
        [],
        [""],
        ["x", "y"],
        ["x", "--path", "/tmp"],
        ["x", "--path", "/nowhere/at/all"],
        ["x", "--path", ""],
        ["x", "--path", "LOCKED"],
        ["x", "--there", "/nowhere/at/all"],
        ["x", "--there", "/tmp"],
        ["x", "--colour", "red"],
        ["x", "--colour", "blue"],
        ["x", "--flag"],
        ["x", "--flag=no"],
        ["x", "--number", "9"],
        ["x", "--number", "10"],
        ["x", "--number", "nine"],
        ["x", "--many", "a", "--many", "b"],
        ["x", "--paths", "/tmp", "--paths", "b"],
    ],
)
@pytest.mark.parametrize("flag", [None, "1", "no", "perhaps", ""])
def test_arguments_are_what_typer_makes_of_them(
    arguments: list[str], flag: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same objects, the same faults in the same words, the same exit code."""
    locked = tmp_path / "locked"
    locked.touch()
    monkeypatch.setattr(os, "access", lambda path, _mode: str(path) != str(locked))
    arguments = [str(locked) if one == "LOCKED" else one for one in arguments]

    def ran() -> tuple[int, str, str]:
        found = CliRunner(env={"LEAN_FLAG": flag}).invoke(sample, arguments)
        assert found.exception is None or isinstance(found.exception, SystemExit)
        return found.exit_code, found.stdout, found.stderr

    plain = typers_own()
    monkeypatch.setattr(core, "build_runtime_param", plain)
    expected = ran()
    monkeypatch.setattr(lean, "_TYPERS", [])
    lean.spare_adapters()
    lean.spare_adapters()
    assert [plain] == lean._TYPERS
    assert ran() == expected


def typers_own() -> Any:
    """Also where an earlier test has replaced it."""
    from typer import _coercion

    return _coercion.build_runtime_param


def test_a_typer_without_the_seam_is_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lean, "_TYPERS", [])
    monkeypatch.delattr(core, "build_runtime_param")
    lean.spare_adapters()
    assert lean._TYPERS == []
    assert not hasattr(core, "build_runtime_param")
