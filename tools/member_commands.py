"""`dhcpsync member ...` about who a member is, and about one that does not run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tools.arguments import Address, CredentialsFile, Folder, Who
from tools.asking import Yes, agree, confirm

if TYPE_CHECKING:
    from tools.target import Place

identity = typer.Typer()
"""Its commands are those of `dhcpsync member` (tools/main.py)."""

Stopped = Annotated[
    Path, typer.Argument(metavar="DIR", help="The folder of a member that does not run.")
]


@identity.command("retire")
def member_retire(folder: Stopped, yes: Yes = False) -> None:
    """Tell a stopped member that it was declared dead or replaced: it gives up all it owns.

    Asks where it knows of no other member."""
    from tools.offline import retire, words_of_retirement

    if words := words_of_retirement(folder):
        agree(confirm(yes), words)
    for line in retire(folder):
        typer.echo(line)


@identity.command("vouch")
def member_vouch(folder: Stopped) -> None:
    """Tell a stopped member that nobody has declared it dead: its next start relies on that."""
    from tools.offline import vouch

    for line in vouch(folder):
        typer.echo(line)


def _operator(
    context: typer.Context, folder: Path | None, address: str | None, credentials: Path | None
) -> Place:
    from tools.place import find_place

    return find_place(context.obj, folder, address, credentials, "operator")


@identity.command("rename")
def member_rename(
    context: typer.Context,
    who: Who,
    name: Annotated[str, typer.Argument(metavar="NEW", help="No other member's name.")],
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
) -> None:
    """Give a member another name, by SET and ballot."""
    from tools.identity import rename

    typer.echo(rename(_operator(context, folder, address, credentials), who, name))


@identity.command("readdress")
def member_readdress(
    context: typer.Context,
    who: Who,
    where: Annotated[
        str, typer.Argument(metavar="NEW[:PORT]", help="Where its agent is reached from now on.")
    ],
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Without a majority: of two, where the machine has moved already."
        ),
    ] = False,
    yes: Yes = False,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
) -> None:
    """Have the group reach a member elsewhere, before or after it moves, by SET and ballot."""
    from tools.identity import parse_where, readdress

    place, new = _operator(context, folder, address, credentials), parse_where(where)
    if force:
        from tools.consequences import consider, words_of_forced_address
        from tools.members import check_force

        check_force(place, force)
        agree(confirm(yes), words_of_forced_address(consider(place, who), where))
    for line in readdress(place, who, new, force=force):
        typer.echo(line)
