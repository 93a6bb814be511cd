"""`dhcpsync check`, as the command line has it; what it does is imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.arguments import Json
from tools.errors import EXIT_NOT


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="A file for `apply`.")],
    json: Json = False,
) -> None:
    """Tell every error of FILE at once, without a member: 0 none, 1 some, 2 cannot be read."""
    from tools.apply.check import check_file

    if not check_file(file, as_json=json):
        raise typer.Exit(EXIT_NOT)
