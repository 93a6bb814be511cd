"""`dhcpsync lease ...`: arguments to calls of `tools.lease.command`."""

from __future__ import annotations

from typing import Annotated

import typer

from tools.arguments import Address, CredentialsFile, Folder, Json
from tools.asking import Yes, confirm

lease = typer.Typer(
    help="The leases of a group, by what is known of a client.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

What = Annotated[
    str,
    typer.Argument(
        metavar="WHAT", help="An address, a MAC in any form, a client id or a host name."
    ),
]


@lease.command()
def find(
    context: typer.Context,
    what: What,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
    json: Json = False,
) -> None:
    """List the leases of a client, one a line; ends with 1 where there is none."""
    from tools.lease import command
    from tools.place import find_place

    place = find_place(context.obj, folder, address, credentials, "monitor")
    command.find(place, what, as_json=json)


@lease.command()
def show(
    context: typer.Context,
    what: What,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
    json: Json = False,
) -> None:
    """Tell all of one lease: state, end, client, options, and which members have it recorded."""
    from tools.lease import command
    from tools.place import find_place

    place = find_place(context.obj, folder, address, credentials, "monitor")
    command.show(place, what, as_json=json)


@lease.command()
def release(
    context: typer.Context,
    what: What,
    yes: Yes = False,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
) -> None:
    """End a lease as if its client had given it back; the client is not told. Asks first."""
    from tools.lease import command
    from tools.place import find_place

    place = find_place(context.obj, folder, address, credentials, "operator")
    typer.echo(command.release(place, what, ask=confirm(yes)))


@lease.command()
def clear(
    context: typer.Context,
    what: What,
    yes: Yes = False,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
) -> None:
    """End a conflict about an address, once its cause is found."""
    from tools.lease import command
    from tools.place import find_place

    place = find_place(context.obj, folder, address, credentials, "operator")
    typer.echo(command.clear(place, what, ask=confirm(yes)))
