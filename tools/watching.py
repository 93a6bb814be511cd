"""`dhcpsync status` once, and over and over on one screen."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import typer

from tools.detour import read_status_near
from tools.errors import ManagerError
from tools.status import read_status_at, show_status
from tools.target import Place, Target

WATCH_S = 2.0


def show_once(place: Place, folder: Path | None, *, rates: bool, as_json: bool) -> bool:
    """Whether all is well: the member that was named answers, and has nothing to say against it."""
    rate_s, answers = 1.0 if rates else 0.0, True
    if folder is not None and isinstance(place, Target):
        found, answers = read_status_near(
            place, folder, lambda words: typer.echo(words, err=True), rate_s
        )
    else:
        found = read_status_at(place, rate_s=rate_s)
    show_status(found, as_json=as_json)
    return found.is_well and answers


def show_until_interrupted(
    place: Place,
    folder: Path | None,
    *,
    rates: bool,
    as_json: bool,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """On a terminal each time on a screen of its own. Nobody answering now is one more thing to
    see: it goes on. Ctrl-C ends it, as one wants it."""
    try:
        while True:
            if sys.stdout.isatty():
                typer.echo("\x1b[H\x1b[2J", nl=False)
            try:
                show_once(place, folder, rates=rates, as_json=as_json)
            except ManagerError as error:
                typer.echo(f"dhcpsync: {error}")
            pause(WATCH_S)
    except KeyboardInterrupt:
        return
