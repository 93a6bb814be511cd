"""Orders that take service, leases or addresses away are shown with what they cost, and asked for.

The words and the question go to standard error, so that standard output has what was asked for and
nothing else, JSON too. A script says --yes: then the words are shown all the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from agent.errors import ConfigError
from tools.errors import ToolError

Ask = Callable[[str], bool]
"""Shows the words, and says whether it is to be done."""

Yes = Annotated[
    bool, typer.Option("--yes", help="Do not ask: whatever is taken away, it is wanted.")
]


def confirm(yes: bool) -> Ask:
    """A person at a terminal is asked; elsewhere it is --yes or an error."""

    def ask(words: str) -> bool:
        typer.echo(words, err=True)
        if yes:
            return True
        if sys.stdin is None or not sys.stdin.isatty():
            raise _unanswered()
        try:
            return bool(typer.confirm("Do it?", err=True))
        except typer.Abort:
            raise _unanswered() from None

    return ask


def _unanswered() -> ConfigError:
    return ConfigError("--yes", "", "is missing, and nobody answers", "give it")


def agree(ask: Ask, words: str) -> None:
    """ToolError where it is not wanted."""
    if not ask(words):
        raise ToolError("it was not wanted: nothing is done")
