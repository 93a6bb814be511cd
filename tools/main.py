"""The `dhcpsync` command: arguments in, exit code out.

Every subcommand imports what it needs when it runs, so that help and the supervisor of a member
stay small. What goes wrong is one line on stderr: a ConfigError (somebody's file or argument is
not usable) ends with 2, as wrong usage does, anything else that was raised on purpose with 1.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.errors import ConfigError, DhcpSyncError
from tools.arguments import (
    Address,
    CredentialsFile,
    Folder,
    FormerLease,
    Json,
    LogFormat,
    LogLevel,
    PolicyName,
    ProcessName,
    Role,
    RoleName,
)
from tools.asking import Yes, confirm
from tools.bench.commands import bench
from tools.check import check
from tools.console import end_unwritten, mend_streams
from tools.errors import EXIT_NOT, EXIT_USAGE
from tools.events.commands import events
from tools.former_lease import former_lease
from tools.history.commands import audit, config
from tools.lab.commands import lab
from tools.lean import only, spare_adapters
from tools.lease.commands import lease
from tools.member_commands import identity
from tools.member_orders import orders

if TYPE_CHECKING:
    from tools.target import Place

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
imports = typer.Typer(
    help="Static bindings from other servers' files.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(lab, name="lab")
app.add_typer(lease, name="lease")
app.add_typer(imports, name="import")
app.add_typer(member, name="member")
app.add_typer(bench, name="bench")
app.command()(check)
app.command()(events)
app.command()(audit)
app.add_typer(config, name="config")
app.command()(former_lease)


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"dhcpsync {version('dhcpsync')}")
        raise typer.Exit


@app.callback()
def common_options(
    context: typer.Context,
    pool: Annotated[
        str | None,
        typer.Option(
            metavar="A[:PORT],B,...",
            envvar="DHCPSYNC_POOL",
            help="Members or names; the command uses one and goes to another by itself.",
        ),
    ] = None,
    policy: Annotated[
        PolicyName, typer.Option(help="Which member of the pool is asked first.")
    ] = PolicyName.ROUND_ROBIN,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version."),
    ] = False,
) -> None:
    context.obj = None if pool is None else (pool, policy.value)


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
        int | None,
        typer.Option(
            metavar="S",
            help="Longest lease before peers know of it, in seconds; 3600, or the lease time where"
            " that is less.",
        ),
    ] = None,
    lease: Annotated[
        int, typer.Option(metavar="S", help="Lease time of the group, in seconds.")
    ] = 86_400,
    former_lease: FormerLease = 0,
    join: Annotated[
        bool, typer.Option("--join", help="Found no group: wait for `member join`.")
    ] = False,
    role: Role = RoleName.SERVER,
    engine_id: Annotated[
        str,
        typer.Option(
            metavar="HEX", help="Of a member that lost its store, as the group knows it; no --join."
        ),
    ] = "",
) -> None:
    """Make a member's folder: member.toml, store.db, and credentials.env where none is given."""
    from tools.init import NewMember, check_join, found, make_member, parse_engine_id

    known = parse_engine_id(engine_id) if engine_id else None
    check_join(join and not known, credentials)
    founding = found(group, mul, lease, former_lease, joins=bool(join or known))
    new = NewMember(number, name or f"m{number}", address, port, tuple(interface or ()), role.role)
    for line in make_member(folder, new, founding, credentials, engine_id=known):
        typer.echo(line)


@app.command()
def serve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The member's folder.")],
    only: Annotated[ProcessName | None, typer.Option(help="Run one of the two processes.")] = None,
    log_level: Annotated[
        LogLevel | None, typer.Option(help="How much is logged; otherwise as member.toml says.")
    ] = None,
    log: Annotated[
        LogFormat | None, typer.Option(help="Lines, or an object of JSON each; the same.")
    ] = None,
) -> None:
    """Run a member: its DHCP engine and its SNMP agent, until SIGTERM."""
    from agent import serve as service

    arguments = [str(folder)]
    if only is not None:
        arguments += ["--only", only.value]
    if log_level is not None:
        arguments += ["--log-level", log_level.value]
    if log is not None:
        arguments += ["--log", log.value]
    raise typer.Exit(service.main(arguments))


@app.command()
def status(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="A member's folder on this machine.")
    ] = None,
    address: Address = None,
    credentials: CredentialsFile = None,
    rates: Annotated[bool, typer.Option("--rates", help="Count messages for a second.")] = False,
    json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Every 2 s anew, until it is interrupted.")
    ] = False,
) -> None:
    """Who serves and what is not well, the members and the pools; ends with 1 where not all is."""
    from tools.place import find_place
    from tools.watching import show_once, show_until_interrupted

    place = find_place(context.obj, folder, address, credentials, "monitor")
    if watch:
        show_until_interrupted(place, folder, rates=rates, as_json=json)
    elif not show_once(place, folder, rates=rates, as_json=json):
        raise typer.Exit(EXIT_NOT)


@member.command("join")
def member_join(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The joining member's folder.")],
    contact: Annotated[
        str | None, typer.Option(metavar="A[:PORT]", help="A member of the group to join.")
    ] = None,
    credentials: CredentialsFile = None,
    timeout: Annotated[float, typer.Option(metavar="S", help="How long to wait.")] = 120.0,
) -> None:
    """Add a member to a group by SET at one of its members; waits until it serves."""
    from tools.join import join_member
    from tools.place import find_contact

    join_member(folder, find_contact(context.obj, contact), credentials, timeout, typer.echo)


def _place(
    context: typer.Context, folder: Path | None, address: str | None, credentials: Path | None
) -> Place:
    """Where an operator's order is given: one member, or the pool of the global option."""
    from tools.place import find_place

    return find_place(context.obj, folder, address, credentials, "operator")


@member.command("list")
def member_list(
    context: typer.Context,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
    json: Json = False,
) -> None:
    """The members with failover's words for them, and what is being decided.

    Ends with 1 where one of them is not heard, not in step, or does not serve."""
    from tools.members import show_members
    from tools.place import find_place

    place = find_place(context.obj, folder, address, credentials, "monitor")
    if not show_members(place, as_json=json):
        raise typer.Exit(EXIT_NOT)


member.registered_commands += [*orders.registered_commands, *identity.registered_commands]


@app.command("group")
def group_set(
    context: typer.Context,
    mul: Annotated[int | None, typer.Option(metavar="S", help="MUL, failover's MCLT.")] = None,
    lease: Annotated[int | None, typer.Option(metavar="S", help="Lease time.")] = None,
    safe_period: Annotated[
        int | None,
        typer.Option(
            metavar="S", help="Take a silent member down after so long; 0: never (read the docs)."
        ),
    ] = None,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
) -> None:
    """Change the group's parameters, by SET and ballot."""
    from tools.members import set_parameters

    wanted = {"MaxUnpushedLeaseTime": mul, "LeaseTime": lease, "SafePeriod": safe_period}
    typer.echo(set_parameters(_place(context, folder, address, credentials), wanted))


@app.command()
def apply(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The wanted configuration.")],
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would change, and change nothing.")
    ] = False,
    yes: Yes = False,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
    json: Json = False,
) -> None:
    """Make subnets, pools, options and reservations what FILE says, at every member."""
    from tools.apply.command import apply_file
    from tools.place import find_place

    place = find_place(context.obj, folder, address, credentials, "operator")
    apply_file(file, place, confirm(yes), only_plan=plan, as_json=json)


@app.command()
def dump(
    context: typer.Context,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
    json: Json = False,
) -> None:
    """Print the group's configuration as the file that `apply` takes."""
    from tools.apply.command import dump_file
    from tools.place import find_place

    dump_file(find_place(context.obj, folder, address, credentials, "monitor"), as_json=json)


@imports.command("bootptab")
def import_bootptab(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A bootptab(5).")],
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would change, and change nothing.")
    ] = False,
    yes: Yes = False,
    folder: Folder = None,
    address: Address = None,
    credentials: CredentialsFile = None,
    json: Json = False,
) -> None:
    """Reserve the addresses of FILE's hosts, with their options; nothing else is touched."""
    from tools.bootptab.command import import_bootptab as run
    from tools.place import find_place

    place = find_place(context.obj, folder, address, credentials, "operator")
    run(file, place, confirm(yes), only_plan=plan, as_json=json)


_OWN_OPTIONS = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}
"""For commands that read their options themselves, `--help` among them."""


@app.command(context_settings=_OWN_OPTIONS)
def simulate(context: typer.Context) -> None:
    """Seeded simulation of a cluster, judged by invariants; `simulate --help` tells more."""
    from tools.simulator.main import main as run

    raise typer.Exit(run(list(context.args)))


@app.command(context_settings=_OWN_OPTIONS)
def model(context: typer.Context) -> None:
    """Search small models of the protocol exhaustively; `model --help` tells more."""
    from tools.model.main import main as run

    raise typer.Exit(run(list(context.args)))


def main() -> None:
    """Entry point of the `dhcpsync` script."""
    mend_streams()
    spare_adapters()
    try:
        only(app, sys.argv[1:])()
    except ConfigError as error:
        sys.stderr.write(f"dhcpsync: {error}\n")
        sys.exit(EXIT_USAGE)
    except DhcpSyncError as error:
        sys.stderr.write(f"dhcpsync: {error}\n")
        sys.exit(EXIT_NOT)
    except OSError as error:
        sys.exit(end_unwritten(error))


if __name__ == "__main__":
    main()
