"""`dhcpsync former-lease`: arguments in, an order to the group (`tools.former`)."""

from __future__ import annotations

from typing import Annotated

import typer

from tools.arguments import Address, CredentialsFile, Folder


def former_lease(
    context: typer.Context,
    seconds: Annotated[
        int,
        typer.Argument(
            metavar="S",
            help="The longest lease that the former server gave, in seconds; 0: none runs.",
        ),
    ],
    network: Annotated[
        str, typer.Option(metavar="PREFIX", help="Of this network only, such as 192.0.2.0/24.")
    ] = "0.0.0.0/0",
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
) -> None:
    """Another server served until now: try each address until its leases are over."""
    from tools.former import set_former_lease
    from tools.init import former_server
    from tools.place import find_place

    row = former_server(network, seconds, "S")
    place = find_place(context.obj, folder, address, credentials, "operator")
    typer.echo(set_former_lease(place, row))
