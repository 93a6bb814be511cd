"""What is ordered to mend rows that differ: at whom, and whose rows are taken. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agent.model import MemberId
from tools.compare.values import Difference


@dataclass(frozen=True, slots=True)
class RepairOrder:
    """`at` takes the rows of `source` where its own are of the same change and differ; that mends
    so many differences."""

    at: MemberId
    source: MemberId
    mends: int


def repair_orders(
    differences: Sequence[Difference], members: Collection[MemberId]
) -> list[RepairOrder]:
    """One order at most a member. A source must not bring rows with it that are wrong there and
    right here: where all do, none is ordered for that member."""
    rows = [one for one in differences if one.wrong]
    orders = []
    for at in sorted({member for one in rows for member in one.wrong}):
        mends = {
            source: sum(at in one.wrong and source in one.right for one in rows)
            for source in sorted(members)
            if source != at and not any(source in one.wrong and at not in one.wrong for one in rows)
        }
        if any(mends.values()):
            source = max(mends, key=lambda one: mends[one])
            orders.append(RepairOrder(at, source, mends[source]))
    return orders
