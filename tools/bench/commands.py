"""`dhcpsync bench`: its words; nothing heavy is imported for help."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.limits import MEMBERS_MAX
from tools.arguments import Json

bench = typer.Typer(
    help="How fast it is on this machine (root, Linux).",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@bench.command("dhcp")
def bench_dhcp(
    seconds: Annotated[int, typer.Option(metavar="S", help="Length of one step.")] = 5,
    rounds: Annotated[int, typer.Option(metavar="N", help="Searches; the median counts.")] = 3,
    against: Annotated[
        str, typer.Option("--with", metavar="LIST", help="Also: kea,dhcpd (none for neither).")
    ] = "kea,dhcpd",
    bindings: Annotated[
        int, typer.Option(metavar="N", help="Leases in dhcpsync's store before the first step.")
    ] = 0,
    json: Json = False,
) -> None:
    """Rate of 4-way exchanges at <= 2.5 % drops, beside Kea and ISC dhcpd where installed."""
    from tools.bench.dhcp import run_bench

    names = [name for name in against.split(",") if name and name != "none"]
    run_bench(seconds, rounds, names, bindings, json)


@bench.command("cold")
def bench_cold(
    members: Annotated[
        int, typer.Option(min=2, max=MEMBERS_MAX, metavar="N", help="How many start together.")
    ] = MEMBERS_MAX,
    json: Json = False,
) -> None:
    """How long a group that starts cold takes to divide a /16 (in a lab of its own)."""
    from tools.bench.cold import run_bench

    run_bench(members, json)


@bench.command("align")
def bench_align(
    bindings: Annotated[int, typer.Option(metavar="N", help="How many to pull.")] = 100_000,
    json: Json = False,
) -> None:
    """Bindings a second that a new member pulls by GETBULK (authPriv), committed."""
    from tools.bench.align import run_bench

    run_bench(bindings, json)
