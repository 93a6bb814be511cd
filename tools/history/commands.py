"""`dhcpsync config ...` and `dhcpsync audit`, as the command line has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.arguments import Address, CredentialsFile, Json

config = typer.Typer(
    help="How the configuration came to be what it is, and back.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Dir = Annotated[Path, typer.Argument(metavar="DIR", help="A member's folder on this machine.")]


@config.command("log")
def config_log(folder: Dir, json: Json = False) -> None:
    """Who changed which row from what to what, as this member saw it, with numbers."""
    from tools.history import command

    command.show_log(folder, as_objects=json)


@config.command("diff")
def config_diff(
    folder: Dir,
    span: Annotated[
        str, typer.Argument(metavar="N[..M]", help="Numbers of `config log`; M is now if left out.")
    ],
    json: Json = False,
) -> None:
    """What was changed after N, up to M, as a plan."""
    from tools.history import command
    from tools.history.changes import parse_span

    command.show_diff(folder, parse_span(span), as_objects=json)


@config.command("rollback")
def config_rollback(
    folder: Dir,
    after: Annotated[int, typer.Argument(metavar="N", min=0, help="A number of `config log`.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    address: Address = None,
    credentials: CredentialsFile = None,
) -> None:
    """Put the configuration back to what it was after N, at every member; shows a plan and asks."""
    from tools.asking import confirm
    from tools.credentials import FILE_NAME
    from tools.history import command
    from tools.place import find_place

    credentials = credentials or folder / FILE_NAME
    place = find_place(None, None if address else folder, address, credentials, "operator")
    command.rollback(folder, after, place, ask=confirm(yes))


def audit(
    folder: Dir,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that no entry was altered or taken out.")
    ] = False,
    json: Json = False,
) -> None:
    """Every SET that this member was given, and by whom; refused ones too."""
    from tools.history import command

    command.show_audit(folder, as_objects=json, verify=verify)
