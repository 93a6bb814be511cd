"""`dhcpsync events`, as the command line has it; what it does is imported when it runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer


def events(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A member's folder on this machine.")
    ],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what happens, until Ctrl-C.")
    ] = False,
    kind: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="Of this kind only; may be given again."),
    ] = None,
    address: Annotated[
        str, typer.Option(metavar="A[/LENGTH]", help="About this address, or network.")
    ] = "",
    client: Annotated[
        str, typer.Option(metavar="WHAT", help="About this MAC, client id or host name.")
    ] = "",
    since: Annotated[
        str, typer.Option(metavar="TIME", help='Not older: "2h", "30m", "7d", or a date and time.')
    ] = "",
    after: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Behind this number, as --json shows it."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print an object of JSON a line.")] = False,
) -> None:
    """What happened at this member, one a line: leases, members, pools, the configuration."""
    from tools.events import command
    from tools.events.wanted import parse_wanted

    wanted = parse_wanted(kind or [], address, client, since, time.time())
    command.show(folder, wanted, after=after, follow=follow, as_objects=json)
