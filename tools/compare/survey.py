"""The first look at all rows of all members: which blocks of addresses are worth a second one.

Of a block only the hash of its rows and the instants in them are kept, so that sixteen members of
100,000 bindings fit. Pure.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from operator import sub

from agent.limits import BLOCK_ADDRESSES
from agent.model import Binding
from agent.sync.conflict import is_conflict
from agent.sync.merge import content

INSTANTS_APART_S = 10
"""Members hold the same instant some seconds apart: a merge leaves two, and clocks of members that
are two seconds apart count as one clock, on each way that a record takes."""


class Survey:
    """Of one member: by block the hash of its rows, and the rows' instants, in order."""

    def __init__(self) -> None:
        self.blocks: dict[int, tuple[int, array[int]]] = {}
        self.count = 0
        self.conflicts: list[int] = []

    def take(self, rows: Sequence[Binding]) -> None:
        self.count += len(rows)
        for block, inside in groupby(rows, lambda row: row.address // BLOCK_ADDRESSES):
            said: list[tuple[object, ...]] = []
            instants = array("q")
            for row in inside:
                if is_conflict(row):
                    self.conflicts.append(row.address)
                said.append((row.stream, row.seq, content(row)))
                instants.extend((row.expires_at, row.potential_expires_at, row.transaction_at))
            self.blocks[block] = hash(tuple(said)), instants


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
