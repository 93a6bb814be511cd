"""Where tables and lines for people are printed.

Names come from operators, peers and clients: nothing in them may be taken for Rich's markup, nor
reach a terminal as a control sequence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def plain_console(*, stderr: bool = False) -> Console:
    """A console that prints texts as they are; styles are given as styles."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False)


def shown(text: str) -> str:
    """The text with U+FFFD for whatever is not printable."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)
