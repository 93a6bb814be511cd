"""`dhcpsync member ...`: orders about a member that does not run any more, and to one that does.

Those that take service or addresses away say first what that means, and ask (tools/asking.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tools.arguments import Address, CredentialsFile, Folder, Who
from tools.asking import Yes, agree, confirm

if TYPE_CHECKING:
    from tools.target import Place

orders = typer.Typer()
"""Its commands are those of `dhcpsync member` (tools/main.py)."""

Force = Annotated[
    bool,
    typer.Option(
        "--force", help="I know that it is dead: do it without a majority, or though it is heard."
    ),
]


def _operator(
    context: typer.Context, folder: Path | None, address: str | None, credentials: Path | None
) -> Place:
    from tools.place import find_place

    return find_place(context.obj, folder, address, credentials, "operator")


def _remove(place: Place, who: str, *, keeps_seat: bool, force: bool, yes: bool) -> None:
    from tools.consequences import consider, words_of_removal
    from tools.members import check_force, remove

    check_force(place, force)
    words = words_of_removal(consider(place, who), keeps_seat=keeps_seat, force=force)
    if words:
        agree(confirm(yes), words)
    typer.echo(remove(place, who, keeps_seat=keeps_seat, force=force))


@orders.command("remove")
def member_remove(
    context: typer.Context,
    who: Who,
    force: Force = False,
    yes: Yes = False,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
) -> None:
    """Remove a member that is dead, by SET at another one; asks first."""
    place = _operator(context, folder, address, credentials)
    _remove(place, who, keeps_seat=False, force=force, yes=yes)


@orders.command("partner-down")
def member_partner_down(
    context: typer.Context,
    who: Who,
    force: Force = False,
    yes: Yes = False,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
) -> None:
    """Say that a member is dead; it keeps its seat and comes back by itself. Asks first."""
    place = _operator(context, folder, address, credentials)
    _remove(place, who, keeps_seat=True, force=force, yes=yes)


def _go(place: Place, who: str, wanted: str, *, yes: bool) -> None:
    from tools.consequences import consider_going
    from tools.members import operate

    if words := consider_going(place, who, wanted):
        agree(confirm(yes), words)
    typer.echo(operate(place, who, wanted))


@orders.command("pause")
def member_pause(
    context: typer.Context,
    who: Who,
    yes: Yes = False,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
) -> None:
    """Have a member answer no client until it is resumed. Asks where no other one serves."""
    _go(_operator(context, folder, address, credentials), who, "paused", yes=yes)


@orders.command("resume")
def member_resume(
    context: typer.Context,
    who: Who,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
) -> None:
    """Have a member that was paused or shut down serve again."""
    from tools.members import operate

    typer.echo(operate(_operator(context, folder, address, credentials), who, "running"))


@orders.command("shutdown")
def member_shutdown(
    context: typer.Context,
    who: Who,
    yes: Yes = False,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
) -> None:
    """Have a member hand over everything and be down until it is started again, or resumed.

    Asks where no other one serves, or not everybody is there to take over."""
    _go(_operator(context, folder, address, credentials), who, "shutdown", yes=yes)


@orders.command("leave")
def member_leave(
    context: typer.Context,
    who: Who,
    yes: Yes = False,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
) -> None:
    """Have a member hand over everything and leave the group.

    Asks where no other one serves, or not everybody is there to take over."""
    _go(_operator(context, folder, address, credentials), who, "leaving", yes=yes)


@orders.command("end-wait")
def member_end_wait(
    context: typer.Context,
    who: Who,
    yes: Yes = False,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
) -> None:
    """Where every store is lost: serve at once, and try each address before it is given away.

    Asks first."""
    from tools.consequences import consider_ended_wait
    from tools.members import operate

    place = _operator(context, folder, address, credentials)
    agree(confirm(yes), consider_ended_wait(place, who))
    typer.echo(operate(place, who, "end-wait"))
