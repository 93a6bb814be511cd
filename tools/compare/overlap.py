"""Addresses that two members may both give to new clients: what no order of things explains, and
nothing mends by itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.limits import BLOCK_ADDRESSES
from agent.model import Binding, MemberId
from tools.compare.values import Claim, Look


@dataclass(frozen=True, slots=True)
class Overlap:
    """first..last are claimed by both."""

    first: int
    last: int
    one: Claim
    other: Claim


def overlaps(claims: Iterable[Claim]) -> list[Overlap]:
    """In order of address. A member's own claims never overlap."""
    found: list[Overlap] = []
    open_: list[Claim] = []
    for claim in sorted(claims, key=lambda one: (one.first, one.member)):
        open_ = [one for one in open_ if one.last >= claim.first]
        for other in open_:
            if other.member != claim.member:
                last = min(other.last, claim.last)
                found.append(Overlap(claim.first, last, other, claim))
        open_.append(claim)
    return found


def lasting(before: Sequence[Overlap], after: Sequence[Overlap]) -> list[Overlap]:
    """Those that were there at both times under the same epochs. An address that has changed hands
    between two readings looks like one that is owned twice, but not to the next two."""

    def pair(one: Overlap) -> frozenset[tuple[MemberId, int]]:
        return frozenset(((one.one.member, one.one.epoch), (one.other.member, one.other.epoch)))

    return [
        Overlap(max(a.first, b.first), min(a.last, b.last), b.one, b.other)
        for b in after
        for a in before
        if pair(a) == pair(b) and a.first <= b.last and b.first <= a.last
    ]


def blocks_of(overlap: Overlap) -> range:
    return range(overlap.first // BLOCK_ADDRESSES, overlap.last // BLOCK_ADDRESSES + 1)


def free_twice(overlap: Overlap, looks: Mapping[MemberId, Look]) -> list[tuple[int, int]]:
    """What of it is free at both, as runs of addresses: a binding of its epoch or a later one uses
    an address up."""
    runs: list[tuple[int, int]] = []
    for address in range(overlap.first, overlap.last + 1):
        if all(
            _is_free(looks[claim.member].rows.get(address), claim)
            for claim in (overlap.one, overlap.other)
        ):
            if runs and runs[-1][1] == address - 1:
                runs[-1] = runs[-1][0], address
            else:
                runs.append((address, address))
    return runs


def _is_free(row: Binding | None, claim: Claim) -> bool:
    return row is None or row.epoch < claim.epoch
