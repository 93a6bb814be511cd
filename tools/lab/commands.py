"""`dhcpsync lab ...`: arguments to calls of `tools.lab.lab`."""

from __future__ import annotations

import json as json_text
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agent.limits import MEMBERS_MAX
from tools.arguments import Role, RoleName
from tools.errors import EXIT_NOT
from tools.lab.layout import CLIENTS_MAX, DEFAULT_ROOT, POPULATION_MAX

lab = typer.Typer(
    help="A whole cluster on this machine, in network namespaces (root, Linux).",
    no_args_is_help=True,
    rich_markup_mode=None,
)

MemberName = Annotated[str, typer.Argument(metavar="MEMBER", help="m1, m2, ...")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@lab.command()
def up(
    members: Annotated[
        int, typer.Option(min=1, max=MEMBERS_MAX, help="Members, m1 and so on.")
    ] = 3,
    clients: Annotated[
        int, typer.Option(min=0, max=CLIENTS_MAX, help="Client namespaces, c1 and so on.")
    ] = 1,
    root: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the members' files.")
    ] = DEFAULT_ROOT,
    lease: Annotated[int, typer.Option(metavar="S", help="Lease time, seconds.")] = 3600,
    mul: Annotated[
        int, typer.Option(metavar="S", help="Longest lease before all peers know of it, seconds.")
    ] = 600,
) -> None:
    """Bring up a cluster: returns when every member serves and owns free addresses."""
    from tools.lab import lab as rig

    state = rig.up(members, clients, root, lease, mul, _say)
    typer.echo(f"up: {members} members, {clients} clients; {state.credentials} has the users")


@lab.command("exec", context_settings={"allow_interspersed_args": False})
def execute(
    node: Annotated[str, typer.Argument(metavar="NODE", help="m1, c1, ...")],
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND", help="What to run there.")],
) -> None:
    """Run a command in a member's or a client's network; its exit code is this one's."""
    from tools.lab import lab as rig

    # What follows the node is taken as it stands, the dashes in between included.
    words = command[1:] if command[0] == "--" else command
    if not words:
        raise typer.BadParameter("no command is given")
    rig.execute(node, words)


@lab.command()
def kill(
    name: MemberName,
    hard: Annotated[bool, typer.Option("--hard", help="As a crash: SIGKILL to all of it.")] = False,
) -> None:
    """Stop a member's processes; its store stays."""
    from tools.lab import lab as rig

    rig.kill(name, hard=hard)


@lab.command()
def start(name: MemberName) -> None:
    """Start a member that was stopped; returns when it serves again."""
    from tools.lab import lab as rig

    rig.start(name, _say)


@lab.command()
def wipe(name: MemberName) -> None:
    """Stop a member and destroy its store, as a lost disk does."""
    from tools.lab import lab as rig

    rig.wipe(name)


@lab.command(context_settings={"ignore_unknown_options": True})
def clock(
    name: MemberName,
    step: Annotated[int, typer.Argument(metavar="+S|-S", help="Seconds; 0 sets it right again.")],
) -> None:
    """Step a member's wall clock; no lease may move."""
    from tools.lab import lab as rig

    rig.clock(name, step)


@lab.command()
def copy(name: MemberName) -> None:
    """Keep a copy of a member's store as it is now, for `rollback`."""
    from tools.lab import lab as rig

    rig.copy(name)


@lab.command()
def rollback(
    name: MemberName,
    whole: Annotated[
        bool, typer.Option("--whole", help="Set back all of its folder, as a machine is set back.")
    ] = False,
) -> None:
    """Stop a member and put the copy in the place of its store."""
    from tools.lab import lab as rig

    rig.rollback(name, whole=whole)


@lab.command()
def join(name: MemberName, role: Role = RoleName.SERVER) -> None:
    """Add a member to the running cluster; returns when it serves."""
    from tools.lab import lab as rig

    rig.join(name, _say, role.role)


@lab.command()
def cut(
    one: Annotated[str, typer.Argument(metavar="NODE", help="m1, c1, ...")],
    other: Annotated[str, typer.Argument(metavar="NODE", help="m2, c2, ...")],
    one_way: Annotated[
        bool, typer.Option("--one-way", help="Only what the first sends to the second.")
    ] = False,
) -> None:
    """Cut the link between two nodes."""
    from tools.lab import lab as rig

    rig.cut(one, other, one_way=one_way)


@lab.command()
def heal() -> None:
    """Undo every cut."""
    from tools.lab import lab as rig

    rig.heal()


@lab.command()
def clients(
    node: Annotated[str, typer.Argument(metavar="NODE", help="c1, c2, ...")],
    count: Annotated[int, typer.Option(min=1, max=POPULATION_MAX, help="How many.")] = 100,
    seconds: Annotated[float, typer.Option(metavar="S", help="How long; SIGTERM ends it.")] = 60,
    seed: Annotated[int, typer.Option(help="Other clients for another number.")] = 1,
    json: Json = False,
) -> None:
    """Honest DHCP clients on the wire: exit code 1 if one lost its lease or shared its address."""
    from tools.lab import lab as rig

    books = rig.run_clients(node, count, seconds, seed)
    if json:
        typer.echo(json_text.dumps(asdict(books), indent=2))
    else:
        typer.echo(
            f"{books.clients} clients, {books.bound} hold a lease at the end, {books.acks} ACKs,"
            f" longest wait for a first lease {books.waited_max_s} s"
        )
        for words, found in (("held twice", books.duplicates), ("lost", books.lost)):
            typer.echo(f"{words}: {', '.join(found) or 'none'}")
    if not books.is_good:
        raise typer.Exit(EXIT_NOT)


@lab.command()
def status(json: Json = False) -> None:
    """Which members run, and the group as the first of them sees it."""
    from tools import status as view
    from tools.lab import lab as rig

    report, group = rig.status()
    if json:
        report["group"] = None if group is None else group.as_json()
        typer.echo(json_text.dumps(report, indent=2))
    else:
        for node in report["members"]:
            state = f"running, pid {node['pid']}" if node["running"] else "not running"
            typer.echo(f"{node['name']}  {node['address']:<15}  {state}")
        for one, other in report["cuts"]:
            typer.echo(f"cut: {one} -> {other}")
        if group is not None:
            view.show_status(group, as_json=False)
    if group is None or not group.is_well:
        raise typer.Exit(EXIT_NOT)


@lab.command()
def down(
    keep_files: Annotated[
        bool, typer.Option("--keep-files", help="Leave the members' folders and logs.")
    ] = False,
) -> None:
    """End every process of the lab, and take away namespaces and files."""
    from tools.lab import lab as rig

    rig.down(keep_files=keep_files)


@lab.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the lab up at the end.")] = False,
) -> None:
    """The main job in a minute: leases, a crash, the same address elsewhere, a new member."""
    from tools.lab.demo import run_demo

    raise typer.Exit(run_demo(keep=keep))


def _say(line: str) -> None:
    typer.echo(line, err=True)
