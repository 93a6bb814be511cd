"""`dhcpsync config ...` and `dhcpsync audit`, as the command line has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.errors import ConfigError
from tools.arguments import Address, CredentialsFile, Json
from tools.errors import EXIT_NOT

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
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="A member's folder on this machine.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that no entry was altered or taken out.")
    ] = False,
    address: Address = None,
    credentials: CredentialsFile = None,
    json: Json = False,
) -> None:
    """Every SET that members were given, and by whom; refused ones too.

    Of the member of DIR, from its store; without it, of all members of the group of --address.
    """
    from tools.history import audit as audit_of

    if folder is not None and verify:
        audit_of.verify_store(folder)
    elif folder is not None:
        audit_of.show_store(folder, as_objects=json)
    elif verify:
        raise ConfigError("--verify", "", "looks at a store", "name a member's folder")
    else:
        from tools.place import find_place

        place = find_place(context.obj, None, address, credentials, "operator")
        if not audit_of.show_group(place, as_objects=json):
            raise typer.Exit(EXIT_NOT)
