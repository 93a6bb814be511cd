"""Reads a member's history and shows it; a rollback is a plan like any other, done by SET."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import typer

from agent.events.event import EventKind, Numbered
from agent.events.sentences import as_json, instant, sentence
from agent.limits import EVENTS_PAGE
from agent.member_file import STORE_NAME
from agent.model import ConfigRow
from store import open_to_read
from tools.apply.command import apply_plan, show
from tools.apply.outside import leases_outside
from tools.apply.plan import Step, make_plan
from tools.errors import ToolError
from tools.history.changes import Span, effects, steps, undone
from tools.manager import Session
from tools.target import Place


def read_changes(folder: Path, span: Span | None = None) -> list[Numbered]:
    """Every change of the configuration that the member's store still knows; ToolError where `span`
    begins before that, or ends after it. Raises StoreError."""
    changes: list[Numbered] = []
    with closing(open_to_read(folder / STORE_NAME)) as store, store.read() as tx:
        page = tx.events_after(0, EVENTS_PAGE)
        forgotten, cursor, last = page.missed, 0, tx.last_event()
        while page.through > cursor:
            changes += [one for one in page.events if one.event.kind is EventKind.CONFIGURED]
            cursor = page.through
            page = tx.events_after(cursor, EVENTS_PAGE)
    if span is not None and span.after < forgotten:
        raise ToolError(
            f"what happened after {span.after} is not known any more: the oldest that this member"
            f" keeps is {forgotten + 1}"
        )
    if span is not None and max(span.after, span.through or 0) > last:
        raise ToolError(
            f"the latest that happened at this member is {last}"
            if last
            else "nothing has happened at this member yet, so there is no number to name"
        )
    return changes


def show_log(folder: Path, *, as_objects: bool) -> None:
    changes = read_changes(folder)
    if as_objects:
        for one in changes:
            typer.echo(json.dumps(as_json(one), ensure_ascii=False))
        return
    if not changes:
        typer.echo("no change of the configuration is known here", err=True)
    for one in changes:
        typer.echo(f"{one.number:>7}  {instant(one.event.at)}  {sentence(one.event)}")


def show_diff(folder: Path, span: Span, *, as_objects: bool) -> None:
    plan = steps(effects(read_changes(folder, span), span))
    if not plan and not as_objects:
        typer.echo("no difference")
        return
    show(plan, 0, only_plan=True, as_json=as_objects)


def rollback(folder: Path, after: int, place: Place, *, ask: Callable[[str], bool]) -> None:
    """Put back what was changed after number `after`: show it, ask, do it. ToolError where nobody
    wants it, or the history does not tell it."""
    span = Span(after)
    found = effects(read_changes(folder, span), span)

    def plan(present: Iterable[ConfigRow]) -> list[Step]:
        rows = list(present)
        return make_plan(rows, undone(rows, found))

    def look(manager: Session, present: Sequence[ConfigRow]) -> list[str]:
        for line in leases_outside(manager, present, undone(present, found)):
            typer.echo(line, err=True)
        return []

    name = f"a rollback to {after}"
    wished = apply_plan(name, plan, place, ask, only_plan=True, look=look)
    if not wished:
        typer.echo(f"nothing to do: the configuration is as it was after {after}")
        return
    show(wished, 0, only_plan=True, as_json=False)
    words = f"These {len(wished)} steps put the configuration back to what it was after {after}."
    done = apply_plan(name, plan, place, ask, only_plan=False, look=lambda *_: [words])
    show(done, 0, only_plan=False, as_json=False)
