"""Runs of addresses: the arithmetic of ownership kept in ranges (docs/architecture.md).

A span is (first, last), inclusive. Lists of spans are in order and do not overlap. `lay` and
`clear` say which rows of the store go and which come when a run of addresses changes its state;
what lies outside the run stays as it is, and neighbours that say the same become one row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from agent.model import AddressRange

Span = tuple[int, int]
ADDRESS_MAX = 0xFFFF_FFFF


def size(spans: Iterable[Span]) -> int:
    return sum(last - first + 1 for first, last in spans)


def union(spans: Iterable[Span]) -> list[Span]:
    """The spans in order; those that overlap or touch become one."""
    joined: list[Span] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def intersect(a: Sequence[Span], b: Sequence[Span]) -> list[Span]:
    result: list[Span] = []
    i = j = 0
    while i < len(a) and j < len(b):
        first, last = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if first <= last:
            result.append((first, last))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return result


def subtract(a: Sequence[Span], b: Sequence[Span]) -> list[Span]:
    """The addresses of `a` that are not in `b`."""
    result: list[Span] = []
    j = 0
    for first, last in a:
        while j < len(b) and b[j][1] < first:
            j += 1
        k = j
        while k < len(b) and b[k][0] <= last:
            if first < b[k][0]:
                result.append((first, b[k][0] - 1))
            first = b[k][1] + 1
            k += 1
        if first <= last:
            result.append((first, last))
    return result


def take(spans: Sequence[Span], count: int) -> list[Span]:
    """The first `count` addresses of the spans."""
    result: list[Span] = []
    for first, last in spans:
        if count <= 0:
            break
        last = min(last, first + count - 1)
        result.append((first, last))
        count -= last - first + 1
    return result


def take_last(spans: Sequence[Span], count: int) -> list[Span]:
    """The last `count` addresses of the spans."""
    result: list[Span] = []
    for first, last in reversed(spans):
        if count <= 0:
            break
        first = max(first, last - count + 1)
        result.append((first, last))
        count -= last - first + 1
    result.reverse()
    return result


Change = tuple[list[AddressRange], list[AddressRange]]
"""Rows to remove and rows to add, as `StoreTransaction.replace_address_ranges` takes them."""


def around(first: int, last: int) -> Span:
    """What must be read before `lay`: the run and its two neighbours."""
    return max(0, first - 1), min(ADDRESS_MAX, last + 1)


def clear(
    existing: Iterable[AddressRange],
    first: int,
    last: int,
    which: Callable[[AddressRange], bool] = lambda _: True,
) -> Change:
    """Take first..last out of every existing range that `which` accepts."""
    removed: list[AddressRange] = []
    added: list[AddressRange] = []
    for row in existing:
        if row.last < first or row.first > last or not which(row):
            continue
        removed.append(row)
        if row.first < first:
            added.append(replace(row, last=first - 1))
        if row.last > last:
            added.append(replace(row, first=last + 1))
    return removed, added


def lay(existing: Iterable[AddressRange], new: AddressRange) -> Change:
    """Put `new` over whatever lay there, and join it with neighbours that say the same.

    `existing` are the ranges that intersect `around(new.first, new.last)`."""
    rows = list(existing)
    removed, added = clear(rows, new.first, new.last)
    for row in rows:
        if row in removed or not _says_the_same(row, new):
            continue
        if row.last + 1 == new.first or new.last + 1 == row.first:
            removed.append(row)
            new = _joined(row, new)
    for row in [piece for piece in added if _says_the_same(piece, new)]:
        added.remove(row)
        new = _joined(row, new)
    if removed == [new]:
        return [], []
    return removed, sorted([*added, new], key=lambda row: row.first)


def _joined(a: AddressRange, b: AddressRange) -> AddressRange:
    return replace(b, first=min(a.first, b.first), last=max(a.last, b.last))


def _says_the_same(a: AddressRange, b: AddressRange) -> bool:
    return replace(a, first=0, last=0) == replace(b, first=0, last=0)
