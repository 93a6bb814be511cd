"""Tables as lines of text: whole where they are piped, narrower on a narrow terminal.

Pure. No value is ever cut: what does not fit is left to the terminal to wrap.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """`usual`: what its values are where there is nothing to tell, so that it may be left out."""

    name: str
    values: Sequence[str]
    right: bool = False
    usual: frozenset[str] = frozenset()

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
    is good), columns that say nothing are left out, the last first, until the rest fits."""
    kept = list(columns)
    for column in reversed(list(kept)):
        needed = sum(one.width + len(GAP) for one in kept) - len(GAP)
        if width and needed > width and not column.says_something:
            kept.remove(column)
    rows = zip(*(column.cells() for column in kept), strict=True)
    return [GAP.join(row).rstrip() for row in rows]


def terminal_width() -> int:
    """Of standard output; 0 where it is a pipe or a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
