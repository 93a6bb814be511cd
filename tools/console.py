"""Where tables and lines for people are printed.

Names come from operators, peers and clients: nothing in them may be taken for Rich's markup, nor
reach a terminal as a control sequence.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from tools.errors import EXIT_NOT

if TYPE_CHECKING:
    from rich.console import Console


def plain_console(*, stderr: bool = False) -> Console:
    """A console that prints texts as they are; styles are given as styles."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False)


def shown(text: str) -> str:
    """The text with U+FFFD for whatever is not printable."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def mend_streams() -> None:
    """Names of clients and members are in any script, and a terminal's encoding may have no letters
    for them. A stream that was closed before the start is one that nobody reads."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def end_unwritten(error: OSError) -> int:
    """The exit code where output cannot be written; what is read has words of its own."""
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()  # Somebody like `head` has read enough; nothing more can be told.
    else:
        sys.stderr.write(f"dhcpsync: {error}\n")
    return EXIT_NOT
