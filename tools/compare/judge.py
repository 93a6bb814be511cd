"""Whether two members truly differ in a row, or a change is only on its way; and who is right.

Two members differ truly where each has applied the change that the other's row is of (its vector,
read before its rows, claims it): then both have merged the same two records, and hold what must
be the same. Rows of one change must be the same whatever else is on its way. Anything else may be
lag, and is looked at again. Pure.

Who is right: of different changes the merge decides, as it does between members. Of one change,
most of the members; where that is no majority, the member that made it. Nobody can know better,
so a person is shown both.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from agent.model import Binding, ConfigRecord, MemberId, stream_member
from agent.sync.merge import configures_the_same, merge
from agent.sync.replace import is_same_change, says_the_same
from tools.compare.survey import INSTANTS_APART_S
from tools.compare.values import Look, Told, Vector

Record = TypeVar("Record", Binding, ConfigRecord)


class Finding(enum.Enum):
    ALIKE = enum.auto()
    ON_ITS_WAY = enum.auto()
    """Or may be: it is to be looked at again."""
    DIFFERENT = enum.auto()


@dataclass(frozen=True, slots=True)
class Verdict(Generic[Record]):
    """`groups`: who holds the same, the right ones first, with what they hold."""

    finding: Finding
    groups: Sequence[tuple[Record | None, tuple[MemberId, ...]]] = ()

    @property
    def right(self) -> tuple[MemberId, ...]:
        return self.groups[0][1]

    @property
    def wrong(self) -> tuple[MemberId, ...]:
        return tuple(sorted(one for _, members in self.groups[1:] for one in members))


def judge_binding(address: int, looks: Mapping[MemberId, Look]) -> Verdict[Binding]:
    rows = {member: look.rows.get(address) for member, look in looks.items()}
    vectors = {member: look.vector for member, look in looks.items()}
    still = frozenset(member for member, look in looks.items() if look.is_still)
    groups = _groups(rows, _alike)
    if len(groups) < 2:
        return Verdict(Finding.ALIKE)
    if not _is_true(groups, vectors, still, is_same_change):
        return Verdict(Finding.ON_ITS_WAY, groups)
    top: Binding | None = None
    for row, _ in groups:
        if row is not None:
            top = merge(top, row).row
    return Verdict(
        Finding.DIFFERENT, _ranked(groups, lambda row: top is not None and is_same_change(row, top))
    )


def judge_configuration(
    key: tuple[int, str], told: Mapping[MemberId, Told]
) -> Verdict[ConfigRecord]:
    records = {member: one.records.get(key) for member, one in told.items()}
    vectors = {member: one.vector for member, one in told.items()}
    groups = _groups(records, lambda a, b: configures_the_same(a, b, INSTANTS_APART_S))
    if len(groups) < 2:
        return Verdict(Finding.ALIKE)
    if not _is_true(groups, vectors, frozenset(), lambda a, b: a.version == b.version):
        return Verdict(Finding.ON_ITS_WAY, groups)
    latest = max(record.version for record, _ in groups if record is not None)
    return Verdict(Finding.DIFFERENT, _ranked(groups, lambda one: one.version == latest))


def _alike(a: Binding, b: Binding) -> bool:
    return is_same_change(a, b) and says_the_same(a, b, INSTANTS_APART_S)


def _groups(
    records: Mapping[MemberId, Record | None], alike: Callable[[Record, Record], bool]
) -> list[tuple[Record | None, tuple[MemberId, ...]]]:
    groups: list[tuple[Record | None, list[MemberId]]] = []
    for member, record in sorted(records.items()):
        for first, holders in groups:
            neither = first is None and record is None
            if neither or (first is not None and record is not None and alike(first, record)):
                holders.append(member)
                break
        else:
            groups.append((record, [member]))
    return [(record, tuple(holders)) for record, holders in groups]


def _is_true(
    groups: Sequence[tuple[Record | None, tuple[MemberId, ...]]],
    vectors: Mapping[MemberId, Vector],
    still: frozenset[MemberId],
    same_change: Callable[[Record, Record], bool],
) -> bool:
    """Whether some two members differ in a way that nothing on its way can end."""
    for at, (one, members) in enumerate(groups):
        for other, others in groups[at + 1 :]:
            if one is not None and other is not None and same_change(one, other):
                return True
            for a in members:
                for b in others:
                    if _applied(vectors[b], one) and _applied(vectors[a], other):
                        return True
                    if a in still and b in still and vectors[a] == vectors[b]:
                        return True
    return False


def _applied(vector: Vector, record: Binding | ConfigRecord | None) -> bool:
    return record is None or vector.get(record.stream, 0) >= record.seq


def _ranked(
    groups: Sequence[tuple[Record | None, tuple[MemberId, ...]]],
    may_be_right: Callable[[Record], bool],
) -> list[tuple[Record | None, tuple[MemberId, ...]]]:
    """The group whose record is to go by first."""

    def rank(group: tuple[Record | None, tuple[MemberId, ...]]) -> tuple[bool, int, bool]:
        record, members = group
        if record is None:
            return False, 0, False
        return may_be_right(record), len(members), stream_member(record.stream) in members

    return sorted(groups, key=rank, reverse=True)
