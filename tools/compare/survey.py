"""The first look at all rows of all members: which blocks of addresses are worth a second one.

Of a block only the hash of its rows and the instants in them are kept, so that sixteen members of
100,000 bindings fit. Pure.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping
from operator import sub

from agent.sync.records import Sketch

INSTANTS_APART_S = 10
"""Members hold the same instant some seconds apart: a merge leaves two, and clocks of members that
are two seconds apart count as one clock, on each way that a record takes."""


class Survey:
    """Of one member: by block the hash of its rows, and the rows' instants, in order."""

    def __init__(self) -> None:
        self.blocks: dict[int, tuple[int, array[int]]] = {}
        self.count = 0
        self.conflicts: list[int] = []

    def take(self, block: int, sketch: Sketch) -> None:
        self.count += sketch.rows
        self.conflicts += sketch.conflicts
        self.blocks[block] = hash(sketch.said), array("q", sketch.instants)


def differing_blocks(surveys: Collection[Survey]) -> list[int]:
    """The blocks that are not alike everywhere, in order."""
    first, *others = surveys
    found: set[int] = set()
    for other in others:
        found |= first.blocks.keys() ^ other.blocks.keys()
        found.update(_unlike(first.blocks, other.blocks))
    return sorted(found)


def _unlike(
    one: Mapping[int, tuple[int, array[int]]], other: Mapping[int, tuple[int, array[int]]]
) -> list[int]:
    return [
        block
        for block, (said, instants) in one.items()
        if block in other
        and (
            said != other[block][0]
            or (instants != other[block][1] and _apart(instants, other[block][1]))
        )
    ]


def _apart(one: array[int], other: array[int]) -> bool:
    return max(map(abs, map(sub, one, other)), default=0) > INSTANTS_APART_S
