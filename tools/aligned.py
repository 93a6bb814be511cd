"""Tables and sentences as lines of text: whole where they are piped, narrower on a narrow terminal.

Pure. No value is ever cut: what does not fit is left to the terminal to wrap.
"""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """`usual`: what its values are where there is nothing to tell, so that it may be left out.
    `told`: what it says beyond that stands in words beside the table too, so that it may be left
    out as well, where that is not enough. `brief`: its name where room is scarce."""

    name: str
    values: Sequence[str]
    right: bool = False
    usual: frozenset[str] = frozenset()
    told: bool = False
    brief: str = ""

    @property
    def width(self) -> int:
        return max(map(len, (self.name, *self.values)))

    @property
    def says_something(self) -> bool:
        return not self.usual.issuperset(self.values)

    def cells(self) -> list[str]:
        texts = (self.name, *self.values)
        return [text.rjust(self.width) if self.right else text.ljust(self.width) for text in texts]


def aligned(columns: Iterable[Column], width: int = 0) -> list[str]:
    """A line for the names and one for each row. Where they are longer than `width` (0: any length
    is good), columns that say nothing are left out, the last first, until the rest fits; where that
    is not enough names become brief, and then those go that are told elsewhere."""
    kept = list(columns)
    _leave_out(kept, [one for one in kept if not one.says_something], width)
    if width and _needed(kept) > width:
        kept = [replace(one, name=one.brief or one.name) for one in kept]
    _leave_out(kept, [one for one in kept if one.told], width)
    rows = zip(*(column.cells() for column in kept), strict=True)
    return [GAP.join(row).rstrip() for row in rows]


def _needed(columns: list[Column]) -> int:
    return sum(one.width + len(GAP) for one in columns) - len(GAP)


def _leave_out(kept: list[Column], spare: list[Column], width: int) -> None:
    for column in reversed(spare):
        if width and _needed(kept) > width:
            kept.remove(column)


_COMMAND = re.compile("`[^`]*`")
_NO_BREAK = "\u00a0"


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` (0: one of any length), indented but for the first. A command stays
    on one line, to be copied, and so does a span of addresses."""
    if not width:
        return [text]
    whole = _COMMAND.sub(lambda found: found[0].replace(" ", _NO_BREAK), text)
    lines = textwrap.wrap(
        whole, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return [line.replace(_NO_BREAK, " ") for line in lines]


def terminal_width() -> int:
    """Of standard output; 0 where it is a pipe or a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
