"""`dhcpsync check`, as the command line has it; what it does is imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.errors import ConfigError
from tools.arguments import Address, CredentialsFile, Folder, Json
from tools.asking import confirm
from tools.errors import EXIT_NOT


def check(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE.toml]", help="A file for `apply`, instead of the members."),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend rows that differ, after showing what is done.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a repair.")] = False,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
    json: Json = False,
) -> None:
    """Compare what the members hold, row by row: 0 no difference, 1 differences, 2 not looked at.

    With FILE: tell all its errors at once, without a member: 0 none, 1 some, 2 cannot be read.
    """
    if file is not None:
        if repair or yes:
            raise ConfigError("--repair", "", "is for members", "leave it out, or the file")
        from tools.apply.check import check_file

        if not check_file(file, as_json=json):
            raise typer.Exit(EXIT_NOT)
        return
    from tools.compare import command
    from tools.credentials import FILE_NAME, find_user
    from tools.place import find_place

    command.check_wishes(as_json=json, repair=repair, yes=yes)
    if folder is not None:
        credentials = credentials or folder / FILE_NAME
    place = find_place(context.obj, folder, address, credentials, "peer")
    assert credentials is not None
    code = command.check_members(
        place,
        find_user(credentials, "peer"),
        lambda: find_place(context.obj, folder, address, credentials, "operator"),
        confirm(yes),
        as_json=json,
        repair=repair,
    )
    if code:
        raise typer.Exit(code)
