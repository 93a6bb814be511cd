"""`dhcpsync check FILE.toml`: all that is wrong with a file, without a member."""

from __future__ import annotations

import json
from pathlib import Path

from agent.limits import CONFIG_ERRORS_MAX
from tools.apply.command import read_text
from tools.apply.file import read_file
from tools.apply.somebodys import tell_somebodys
from tools.console import shown


def check_file(path: Path, *, as_json: bool) -> bool:
    """Tell every error, a line each; whether there is none. ConfigError: it cannot be read.

    What is right and may surprise is told too, and counts for nothing."""
    import typer

    rows, faults = read_file(str(path), read_text(path))
    notes = tell_somebodys(rows)
    if as_json:
        errors = [
            {"file": str(path), "key": one.key, "problem": one.problem,
             "remedy": one.remedy}
            for one in faults
        ]  # fmt: skip
        told = {"well": not faults, "rows": len(rows), "errors": errors, "notes": notes}
        typer.echo(json.dumps(told, indent=2))
        return not faults
    for note in notes:
        typer.echo(shown(f"{path}: note: {note}"))
    for one in faults:
        typer.echo(shown(str(one)))
    if len(faults) >= CONFIG_ERRORS_MAX:
        typer.echo(f"{path}: these are the first {CONFIG_ERRORS_MAX} errors")
    elif faults:
        typer.echo(f"{path}: {len(faults)} error{'s' if len(faults) > 1 else ''}")
    else:
        typer.echo(f"{path}: well, {len(rows)} rows")
    return not faults
