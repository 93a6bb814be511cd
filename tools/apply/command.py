"""`dhcpsync apply`: file, plan, SET, and what is shown of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from agent.errors import ConfigError
from tools.apply.file import parse_file
from tools.apply.plan import Action, Step, make_plan
from tools.apply.remote import Remote, explain
from tools.errors import ToolError
from tools.target import Target

_STYLES = {Action.CREATE: "green", Action.CHANGE: "yellow", Action.DELETE: "red"}


def apply_file(path: Path, target: Target, *, only_plan: bool, as_json: bool) -> list[Step]:
    """Make the group's configuration what the file says; returns the steps."""
    wanted = parse_file(str(path), _read(path))
    with target.open() as manager:
        remote = Remote(manager)
        plan = make_plan(remote.rows, wanted)
        try:
            remote.check(plan)
        except ConfigError as error:
            # The file is right in itself; it is what the members have that stands against it.
            raise ToolError(str(explain(error, str(path)))) from None
        if not only_plan:
            remote.write(plan, lambda _step: None)
    _show(plan, len(wanted), only_plan=only_plan, as_json=as_json)
    return plan


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), "", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), "", "is no UTF-8 text") from None


def _show(plan: Sequence[Step], rows: int, *, only_plan: bool, as_json: bool) -> None:
    import typer

    if as_json:
        steps = [
            {"action": s.action.value, "kind": s.kind, "key": s.key, "detail": s.describe()}
            for s in plan
        ]
        typer.echo(json.dumps({"applied": not only_plan, "steps": steps}, indent=2))
        return
    if not plan:
        typer.echo(f"nothing to do: all {rows} rows are as the file says")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("action", "what", "key", "detail", title="Plan" if only_plan else "Done")
    for step in plan:
        style = _STYLES[step.action]
        table.add_row(step.action.value, step.kind, step.key, step.describe(), style=style)
    Console().print(table)
