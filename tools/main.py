"""The `dhcpsync` command: arguments in, exit code out.

Every subcommand imports what it needs when it runs, so that help and the supervisor of a member
stay small. What goes wrong is one line on stderr: a ConfigError (somebody's file or argument is
not usable) ends with 2, as wrong usage does, anything else that was raised on purpose with 1.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from agent.errors import ConfigError, DhcpSyncError
from tools.errors import EXIT_NOT, EXIT_USAGE
from tools.lab.commands import lab

app = typer.Typer(
    name="dhcpsync",
    help="A DHCPv4 cluster of equal members, replicated and managed over SNMPv3.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
member = typer.Typer(help="The members of a group.", no_args_is_help=True, rich_markup_mode=None)
bench = typer.Typer(
    help="How fast it is on this machine (root, Linux).",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(lab, name="lab")
app.add_typer(member, name="member")
app.add_typer(bench, name="bench")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
CredentialsFile = Annotated[
    Path | None,
    typer.Option(
        "--credentials",
        metavar="FILE",
        envvar="DHCPSYNC_CREDENTIALS",
        help="credentials.env with the SNMPv3 users' names and passphrases.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(metavar="A[:PORT]", envvar="DHCPSYNC_ADDRESS", help="A member's SNMP address."),
]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The new member's folder.")],
    number: Annotated[
        int, typer.Option("--id", metavar="N", help="Its number, never used before in the group.")
    ],
    address: Annotated[str, typer.Option(metavar="A", help="Where peers reach its SNMP agent.")],
    name: Annotated[str, typer.Option(help="Its name for people; m<N> if left out.")] = "",
    port: Annotated[int, typer.Option(help="UDP port of its SNMP agent.")] = 161,
    interface: Annotated[
        list[str] | None,
        typer.Option(help="Serve DHCP on this interface only; may be given again."),
    ] = None,
    credentials: CredentialsFile = None,
    group: Annotated[str, typer.Option(help="Name of the group to found.")] = "dhcpsync",
    mul: Annotated[
        int, typer.Option(metavar="S", help="Longest lease before peers know of it, in seconds.")
    ] = 3600,
    lease: Annotated[
        int, typer.Option(metavar="S", help="Lease time of the group, in seconds.")
    ] = 86_400,
    join: Annotated[
        bool, typer.Option("--join", help="Found no group: wait for `member join`.")
    ] = False,
) -> None:
    """Make a member's folder: member.toml, store.db, and credentials.env where none is given."""
    from tools.init import Founding, NewMember, make_member

    founding = None if join else Founding(group, mul, lease)
    new = NewMember(number, name or f"m{number}", address, port, tuple(interface or ()))
    for line in make_member(folder, new, founding, credentials):
        typer.echo(line)


@app.command()
def serve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The member's folder.")],
    only: Annotated[
        str | None, typer.Option(metavar="engine|agent", help="Run one of the two processes.")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")
    ] = None,
) -> None:
    """Run a member: its DHCP engine and its SNMP agent, until SIGTERM."""
    from agent import serve as service

    arguments = [str(folder)]
    if only is not None:
        arguments += ["--only", only]
    if log_level is not None:
        arguments += ["--log-level", log_level]
    raise typer.Exit(service.main(arguments))


@app.command()
def status(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="A member's folder on this machine.")
    ] = None,
    address: Address = None,
    credentials: CredentialsFile = None,
    json: Json = False,
) -> None:
    """The group as one member sees it: members, pools, rates."""
    from tools import status as view
    from tools.target import find_target

    target = find_target(folder, address, credentials, "monitor")
    found = view.read_status(target, rate_s=1.0)
    view.show_status(found, as_json=json)
    if not found.is_well:
        raise typer.Exit(EXIT_NOT)


@member.command("join")
def member_join(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The joining member's folder.")],
    contact: Annotated[
        str, typer.Option(metavar="A[:PORT]", help="A member of the group to join.")
    ],
    credentials: CredentialsFile = None,
    timeout: Annotated[float, typer.Option(metavar="S", help="How long to wait.")] = 120.0,
) -> None:
    """Add a member to a group by SET at one of its members; waits until it serves."""
    from tools.join import join_member

    join_member(folder, contact, credentials, timeout, typer.echo)


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The wanted configuration.")],
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would change, and change nothing.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A member's folder on this machine.")
    ] = None,
    address: Address = None,
    credentials: CredentialsFile = None,
    json: Json = False,
) -> None:
    """Make subnets, pools, options and reservations what FILE says, at every member."""
    from tools.apply.command import apply_file
    from tools.target import find_target

    apply_file(
        file,
        find_target(folder, address, credentials, "operator"),
        only_plan=plan,
        as_json=json,
    )


@bench.command("dhcp")
def bench_dhcp(
    seconds: Annotated[int, typer.Option(metavar="S", help="Length of one step.")] = 10,
    against: Annotated[
        str, typer.Option("--with", metavar="LIST", help="Also: kea,dhcpd (none for neither).")
    ] = "kea,dhcpd",
    json: Json = False,
) -> None:
    """Rate of 4-way exchanges at <= 2.5 % drops, beside Kea and ISC dhcpd where installed."""
    from tools.bench.dhcp import run_bench

    run_bench(seconds, [name for name in against.split(",") if name and name != "none"], json)


@bench.command("align")
def bench_align(
    bindings: Annotated[int, typer.Option(metavar="N", help="How many to pull.")] = 100_000,
    json: Json = False,
) -> None:
    """Bindings a second that a new member pulls by GETBULK (authPriv), committed."""
    from tools.bench.align import run_bench

    run_bench(bindings, json)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def simulate(context: typer.Context) -> None:
    """Seeded simulation of a cluster, judged by invariants; `simulate --help` tells more."""
    from tools.simulator.main import main as run

    raise typer.Exit(run(list(context.args)))


def main() -> None:
    """Entry point of the `dhcpsync` script."""
    try:
        app()
    except ConfigError as error:
        sys.stderr.write(f"dhcpsync: {error}\n")
        sys.exit(EXIT_USAGE)
    except DhcpSyncError as error:
        sys.stderr.write(f"dhcpsync: {error}\n")
        sys.exit(EXIT_NOT)
    except BrokenPipeError:
        # Somebody like `head` has read enough; nothing more can be told.
        sys.stderr.close()
        sys.exit(EXIT_NOT)


if __name__ == "__main__":
    main()
