"""Reads events of a member's store and prints them; with `follow`, those that come as well.

The store is opened to be read, by pages and by short transactions: neither the member's processes
nor its checkpoints wait for who reads, however slowly he does. Who is so slow that events are
forgotten before he comes to them, is told how many.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import typer

from agent.events.event import EventPage, Numbered
from agent.events.sentences import as_json, instant, sentence
from agent.limits import EVENTS_PAGE
from agent.member_file import STORE_NAME
from store import Store, open_to_read
from tools.errors import ToolError
from tools.events.wanted import Wanted

FOLLOW_S = 0.5


def show(
    folder: Path,
    wanted: Wanted,
    *,
    after: int | None,
    follow: bool,
    as_objects: bool,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Print what is kept behind number `after`, or all of it. Who follows and names no beginning
    sees what is new. Raises StoreError, and ToolError where `after` is of another store."""
    with closing(open_to_read(folder / STORE_NAME)) as store:
        cursor = _beginning(store, wanted, after, follow)
        is_known = after is not None or follow
        try:
            while True:
                page = _read(store, cursor)
                if page.missed and is_known:
                    _tell_missed(page.missed, as_objects)
                _print([one for one in page.events if wanted.admits(one.event)], as_objects)
                if page.through == cursor:
                    if not follow:
                        return
                    pause(FOLLOW_S)
                cursor, is_known = page.through, True
        except KeyboardInterrupt:
            return


def _beginning(store: Store, wanted: Wanted, after: int | None, follow: bool) -> int:
    with store.read() as tx:
        last = tx.last_event()
    if after is not None and after > last:
        raise ToolError(
            f"the latest event of this member is {last}: {after} is another member's, or its store"
            " was put back to a copy"
        )
    if after is not None:
        return after
    return last if follow and not wanted.since else 0


def _read(store: Store, cursor: int) -> EventPage:
    with store.read() as tx:
        return tx.events_after(cursor, EVENTS_PAGE)


def _tell_missed(missed: int, as_objects: bool) -> None:
    if as_objects:
        typer.echo(json.dumps({"missed": missed}))
    else:
        typer.echo(f"dhcpsync: {missed} events were forgotten before they were read", err=True)


def _print(events: list[Numbered], as_objects: bool) -> None:
    if not events:
        return
    lines = (
        json.dumps(as_json(one), ensure_ascii=False)
        if as_objects
        else f"{instant(one.event.at)}  {sentence(one.event)}"
        for one in events
    )
    typer.echo("\n".join(lines))
