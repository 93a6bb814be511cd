"""Comparing all members of a group: a first look at everything, and more of them at what differs.

Members change while they are read. What differs at the first look may only be on its way, so it is
read again, a few times, each time after the vector; `judge` tells which differences nothing that
is on its way can end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from agent.limits import BLOCK_ADDRESSES
from agent.model import Member, MemberId
from agent.sync.records import Sketch
from tools.compare import words
from tools.compare.judge import Finding, judge_binding, judge_configuration
from tools.compare.overlap import Overlap, blocks_of, free_twice, lasting, overlaps
from tools.compare.reading import MemberReader
from tools.compare.survey import INSTANTS_APART_S, Survey, differing_blocks
from tools.compare.values import (
    Claim,
    ConfigKey,
    Difference,
    Kind,
    Look,
    Overview,
    Told,
    Unseen,
)
from tools.errors import ManagerError

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Hears how many of how many rows are read."""

_LOOKS_MAX = 6
_BETWEEN_LOOKS_S = 0.5
_BLOCKS_AT_ONCE = 512
BLOCKS_LOOKED_MAX = 4_096
"""Blocks of addresses that are looked at again: half a minute of a member's answers."""
_OVERLAP_BLOCKS_MAX = 64


@dataclass(slots=True)
class Comparison:
    """Of the members that `readers` read; who fails goes to `unseen`, and is left out from then on.

    `on_their_way` rows differed at the last look, and may do so for a moment only; `left_out`
    blocks differed at the first look and were not looked at again."""

    readers: dict[MemberId, MemberReader]
    progress: Progress = lambda *_: None
    unseen: list[Unseen] = field(default_factory=list)
    overviews: Mapping[MemberId, Overview] = field(default_factory=dict)
    counts: dict[MemberId, int] = field(default_factory=dict)
    conflicts: list[int] = field(default_factory=list)
    rows: dict[int, Difference] = field(default_factory=dict)
    configuration: dict[ConfigKey, Difference] = field(default_factory=dict)
    others: list[Difference] = field(default_factory=list)
    on_their_way: int = 0
    left_out: int = 0
    configuration_rows: int = 0

    @property
    def members(self) -> list[Member]:
        return [reader.member for _, reader in sorted(self.readers.items())]

    @property
    def names(self) -> dict[MemberId, str]:
        one = [reader.member for reader in self.readers.values()]
        return {
            member.member: member.name for member in [*one, *(gone.member for gone in self.unseen)]
        }

    @property
    def differences(self) -> list[Difference]:
        rows = [one for _, one in sorted(self.rows.items())]
        return [*self.others, *(one for _, one in sorted(self.configuration.items())), *rows]

    async def run(self) -> None:
        """Find what differs."""
        await self._open()
        self.overviews = await self.each(lambda reader: reader.overview())
        surveys = await self._survey()
        told = await self.each(lambda reader: reader.configuration())
        claims = await self.each(lambda reader: reader.claims())
        if not surveys or not told:
            return
        blocks = differing_blocks([surveys[one] for one in self.readers])
        self.left_out = max(0, len(blocks) - BLOCKS_LOOKED_MAX)
        self.configuration_rows = max(len(one.records) for one in told.values())
        await self.look_again(blocks[:BLOCKS_LOOKED_MAX], self._unlike(told))
        await self._find_contradictions(told)
        await self._compare_claims(claims)
        await self._compare_groups()

    async def _open(self) -> None:
        """One after the other: a socket is made in its member's namespace."""
        for member, reader in list(self.readers.items()):
            try:
                await reader.open()
            except OSError as error:
                self._lose(member, str(error))
                await reader.close()

    async def close(self) -> None:
        for reader in self.readers.values():
            await reader.close()

    async def each(self, work: Callable[[MemberReader], Awaitable[T]]) -> dict[MemberId, T]:
        """What comes of it at every member, at all of them at once."""
        members = list(self.readers)
        results = await asyncio.gather(
            *(work(self.readers[member]) for member in members), return_exceptions=True
        )
        found: dict[MemberId, T] = {}
        for member, result in zip(members, results, strict=True):
            if isinstance(result, ManagerError):
                lost = self.readers[member]
                self._lose(member, str(result))
                await lost.close()
            elif isinstance(result, BaseException):
                raise result
            else:
                found[member] = result
        return found

    def _lose(self, member: MemberId, why: str) -> None:
        self.unseen.append(Unseen(self.readers.pop(member).member, why))

    async def _survey(self) -> dict[MemberId, Survey]:
        total = sum(one.bindings for one in self.overviews.values())
        read = 0

        async def survey(reader: MemberReader) -> Survey:
            found = Survey()

            def take(block: int, sketch: Sketch) -> None:
                nonlocal read
                found.take(block, sketch)
                read += sketch.rows
                self.progress(read, max(read, total))

            await reader.bindings(take)
            return found

        surveys = await self.each(survey)
        self.counts = {member: one.count for member, one in surveys.items()}
        self.conflicts = sorted({at for one in surveys.values() for at in one.conflicts})
        return surveys

    # --- rows and configuration

    async def look_again(self, blocks: Collection[int], keys: Collection[ConfigKey]) -> None:
        """Judge these blocks and rows of configuration until nothing is on its way, or for long
        enough; `rows` and `configuration` have then what differs of them."""
        self.rows.clear()
        self.configuration.clear()
        for at in range(_LOOKS_MAX):
            if at:
                await asyncio.sleep(_BETWEEN_LOOKS_S)
            blocks = await self._judge_blocks(sorted(blocks))
            keys = await self._judge_configuration(keys)
            if not blocks and not keys:
                return

    async def _judge_blocks(self, blocks: Sequence[int]) -> set[int]:
        """The blocks in which something may be on its way."""
        again: set[int] = set()
        self.on_their_way = 0
        for at in range(0, len(blocks), _BLOCKS_AT_ONCE):
            some = blocks[at : at + _BLOCKS_AT_ONCE]
            looks = await self.each(lambda reader, some=some: reader.look(some))  # type: ignore[misc]
            again |= self._judge(looks)
        return again

    def _judge(self, looks: Mapping[MemberId, Look]) -> set[int]:
        again: set[int] = set()
        for address in sorted({address for look in looks.values() for address in look.rows}):
            verdict = judge_binding(address, looks)
            if verdict.finding is Finding.ON_ITS_WAY:
                self.on_their_way += 1
                again.add(address // BLOCK_ADDRESSES)
            elif verdict.finding is Finding.DIFFERENT:
                self.rows[address] = words.binding_difference(
                    address, verdict, self.names, INSTANTS_APART_S
                )
        return again

    async def _judge_configuration(self, keys: Collection[ConfigKey]) -> set[ConfigKey]:
        if not keys:
            return set()
        told = await self.each(lambda reader: reader.configuration())
        again: set[ConfigKey] = set()
        for key in sorted(keys):
            verdict = judge_configuration(key, told)
            if verdict.finding is Finding.ON_ITS_WAY:
                again.add(key)
            elif verdict.finding is Finding.DIFFERENT:
                self.configuration[key] = words.configuration_difference(verdict, self.names)
        self.on_their_way += len(again)
        return again

    @staticmethod
    def _unlike(told: Mapping[MemberId, Told]) -> set[ConfigKey]:
        return {
            key
            for key in {key for one in told.values() for key in one.records}
            if len({one.records.get(key) for one in told.values()}) > 1
        }

    async def _find_contradictions(self, told: Mapping[MemberId, Told]) -> None:
        """Rows that cannot be together, and are so at a second look too: the rows of one change may
        come one after the other."""
        before = words.contradictions(told, self.names)
        if not before:
            return
        await asyncio.sleep(_BETWEEN_LOOKS_S)
        told = await self.each(lambda reader: reader.configuration())
        self.others += [one for one in words.contradictions(told, self.names) if one in before]

    # --- ownership and the group

    async def _compare_claims(self, claims: Mapping[MemberId, Sequence[Claim]]) -> None:
        before = _overlaps(claims)
        if not before:
            return
        after = _overlaps(await self.each(lambda reader: reader.claims()))
        for overlap in lasting(before, after):
            blocks = blocks_of(overlap)[:_OVERLAP_BLOCKS_MAX]
            looks = await self.each(lambda reader, blocks=blocks: reader.look(blocks))  # type: ignore[misc]
            if not {overlap.one.member, overlap.other.member} <= looks.keys():
                continue
            for first, last in free_twice(overlap, looks):
                self.others.append(words.overlap_difference(overlap, first, last, self.names))

    async def _compare_groups(self) -> None:
        if len({one.group for one in self.overviews.values()}) < 2:
            return
        await asyncio.sleep(_BETWEEN_LOOKS_S)
        self.overviews = await self.each(lambda reader: reader.overview())
        difference = words.group_difference(
            {member: one.group for member, one in self.overviews.items()}, self.names
        )
        if difference is not None:
            self.others.append(difference)

    def add_clocks(self, offsets_ms: Mapping[MemberId, int], of: str, limit_ms: int) -> None:
        """Wall clocks that are apart, as the member `of` sees them."""
        for member, offset_ms in sorted(offsets_ms.items()):
            if member in self.readers and abs(offset_ms) >= limit_ms:
                name = self.names[member]
                said = f"The clock of {name} is {offset_ms / 1000:+.0f} s from that of {of}."
                to_do = "No lease depends on it, but one of the two is wrong: set it."
                self.others.append(Difference(Kind.CLOCK, name, said, to_do))


def _overlaps(claims: Mapping[MemberId, Sequence[Claim]]) -> list[Overlap]:
    return overlaps(one for listed in claims.values() for one in listed)
