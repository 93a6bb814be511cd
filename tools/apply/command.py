"""`dhcpsync apply`: file, plan, SET, and what is shown of them; `dhcpsync dump`: its inverse."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from agent.errors import ConfigError, DhcpSyncError
from agent.kinds import row_name
from agent.limits import CONFIG_FILE_OCTETS_MAX, CONFIGURATION_READS_MAX
from agent.model import ConfigRow
from tools.apply.drift import Since
from tools.apply.dump import dump_rows
from tools.apply.file import parse_file
from tools.apply.outside import leases_outside, subnets_untried
from tools.apply.plan import Action, Step, make_plan
from tools.apply.remote import Remote, explain
from tools.apply.somebodys import tell_somebodys
from tools.apply.taken import taken_away
from tools.asking import Ask, agree
from tools.errors import ManagerError, ToolError
from tools.manager import Session
from tools.target import Place

_NEW_SHOWN = 3
_STYLES = {Action.CREATE: "green", Action.CHANGE: "yellow", Action.DELETE: "red"}


def apply_file(
    path: Path,
    place: Place,
    ask: Ask,
    *,
    only_plan: bool,
    as_json: bool,
    say: Callable[[str], object] = sys.stderr.write,
) -> list[Step]:
    """Make the group's configuration what the file says; returns the steps. What is right and may
    surprise goes to standard error, or into the JSON."""
    wanted = parse_file(str(path), read_text(path))
    notes = tell_somebodys(wanted)
    warnings = list(notes)
    since = Since(path, place)
    tell: Callable[[str], object] = (lambda _: None) if as_json else say
    for note in notes:
        tell(f"dhcpsync: {path}: note: {note}\n")

    def plan(present: Iterable[ConfigRow]) -> list[Step]:
        return make_plan(present, wanted)

    def look(manager: Session, present: Sequence[ConfigRow]) -> list[str]:
        known, undone = since.look(manager, plan(present))
        seen = [*known, *leases_outside(manager, present, wanted)]
        seen += subnets_untried(manager, wanted)
        if warnings != [*notes, *seen, *undone]:
            warnings[:] = [*notes, *seen, *undone]
            told = [*seen, *undone] if only_plan else seen  # else the question tells it
            tell("".join(f"{line}\n" for line in told))
        return undone

    done: list[Step] = []
    try:
        steps = apply_plan(str(path), plan, place, ask, only_plan=only_plan, look=look, done=done)
    except DhcpSyncError:
        since.keep_part(done)
        raise
    if not only_plan and (note := since.keep(wanted)):
        warnings.append(note)
        tell(f"{note}\n")
    show(steps, len(wanted), only_plan=only_plan, as_json=as_json, warnings=warnings)
    return steps


def apply_plan(
    name: str,
    make: Callable[[Iterable[ConfigRow]], list[Step]],
    place: Place,
    ask: Ask,
    *,
    only_plan: bool,
    look: Callable[[Session, Sequence[ConfigRow]], Sequence[str]] = lambda *_: (),
    done: list[Step] | None = None,
) -> list[Step]:
    """Do what `make` finds to do, given the rows that the group has; `ask` where that takes
    something away.

    `look` is given the rows before anything is written, to see what that means for clients and
    others; what it returns is asked about in any case. `done` grows by each step that was taken.
    Safe to repeat at another member: what was done is read back before the rest is planned."""

    def work(manager: Session) -> tuple[list[Step], list[str]]:
        remote = Remote(manager)
        plan = make(remote.rows)
        try:
            remote.check(plan)
        except ConfigError as error:
            # The file is right in itself; it is what the members have that stands against it.
            raise ToolError(str(explain(error, name))) from None
        if agreed is not None:
            _check_agreed(plan, agreed)
        elif not steps:  # what another member has been told of already is not left any more
            asked = list(look(manager, remote.rows))
            taken = [] if only_plan else [*asked, *taken_away(manager, remote.rows, plan)]
            if taken:
                return plan, taken
        if not only_plan:
            remote.write(plan, steps.append)
        return plan, []

    steps: list[Step] = [] if done is None else done
    agreed: list[Step] | None = None
    try:
        plan, taken = place.run(work)
        if taken:
            agree(ask, "\n".join(taken))
            agreed = plan
            place.run(work)
    except ManagerError as error:
        if not only_plan or error.status != "requestTimedOut":
            raise
        raise ToolError(
            f"{error}; {name} is right in itself, but what would change is known to a member only: "
            "start one, or name one that runs with --address"
        ) from None
    return plan if only_plan else steps


def _check_agreed(plan: Sequence[Step], agreed: Sequence[Step]) -> None:
    """ToolError where somebody has changed the configuration while a person was asked: what would
    be done now was not shown. What is done already is no change."""
    new = [step for step in plan if step not in agreed]
    if new:
        words = ", ".join(f"{s.action.value} {s.kind} {s.key}" for s in new[:_NEW_SHOWN])
        more = f" and {len(new) - _NEW_SHOWN} more" if len(new) > _NEW_SHOWN else ""
        raise ToolError(
            "somebody else has changed the configuration since it was shown; what is to be done"
            f" now, and was not asked about: {words}{more}. Nothing is done of it: look again"
        )


def dump_file(place: Place, *, as_json: bool) -> None:
    """Print the file that `apply_file` takes as nothing to change; as JSON, what is in it.

    Raises ToolError, after that, where members that were changed at once have rows among them that
    `apply` would refuse: a person edits the text and applies it."""
    import typer

    rows = place.run(read_rows)
    dump = dump_rows(rows)
    told = json.dumps(tomllib.loads(dump.text), indent=2) + "\n" if as_json else dump.text
    typer.echo(told.encode(), nl=False)  # TOML is UTF-8, whatever the terminal speaks
    if dump.left_out:
        names = ", ".join(map(row_name, dump.left_out))
        raise ToolError(f"no file of `apply` can say, and this one would delete: {names}")
    try:
        same = set(parse_file("the file", dump.text)) == set(rows)
    except ConfigError as error:
        raise ToolError(f"`apply` would refuse what the members have: {error}") from None
    assert same, "the file says other rows"


def read_rows(manager: Session) -> list[ConfigRow]:
    """The rows as they were at one instant: read until two readings, which are of one table after
    the other, agree."""
    rows = Remote(manager).rows
    for _ in range(CONFIGURATION_READS_MAX - 1):
        before, rows = rows, Remote(manager).rows
        if rows == before:
            return rows
    raise ToolError("the configuration changes all the time: nothing is dumped; ask again later")


def read_text(path: Path) -> str:
    """Of a file that a person has written; ConfigError where it is none."""
    try:
        with path.open("rb") as file:
            octets = file.read(CONFIG_FILE_OCTETS_MAX + 1)
    except OSError as error:
        raise ConfigError(str(path), "", f"cannot be read: {error.strerror}") from None
    if len(octets) > CONFIG_FILE_OCTETS_MAX:
        most = f"at most {CONFIG_FILE_OCTETS_MAX >> 20} MiB are read"
        raise ConfigError(str(path), "", "is too long", most)
    try:
        text = octets.decode("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError:
        raise ConfigError(str(path), "", "is no UTF-8 text") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def show(
    plan: Sequence[Step],
    rows: int,
    *,
    only_plan: bool,
    as_json: bool,
    warnings: Sequence[str] = (),
) -> None:
    import typer

    if as_json:
        steps = [
            {"action": s.action.value, "kind": s.kind, "key": s.key, "detail": s.describe()}
            for s in plan
        ]
        said = {"applied": not only_plan, "warnings": list(warnings), "steps": steps}
        typer.echo(json.dumps(said, indent=2))
        return
    if not plan:
        typer.echo(f"nothing to do: all {rows} rows are as the file says")
        return
    from rich.table import Table

    from tools.console import plain_console, shown

    table = Table("action", "what", "key", "detail", title="Plan" if only_plan else "Done")
    for step in plan:
        style = _STYLES[step.action]
        table.add_row(step.action.value, step.kind, step.key, shown(step.describe()), style=style)
    plain_console().print(table)
