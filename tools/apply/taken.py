"""What a plan takes away: counted for a person before it is done. A pool that another one covers,
and what only comes or changes its words, takes nothing away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from agent.kinds import kind_of
from agent.model import ConfigRow, Pool, Reservation, format_address
from tools.apply.outside import addresses_left
from tools.apply.plan import Action, Step, rows_after
from tools.lease.lease import read_lease
from tools.manager import Session

_ROWS_READ_MAX = 100
"""Reserved addresses whose leases are looked at, one by one."""
_SHOWN = 3


def taken_away(manager: Session, present: Iterable[ConfigRow], plan: Sequence[Step]) -> list[str]:
    """Lines to be shown before a question; none where nothing is taken away."""
    lines = _rows(plan)
    left = sum(map(len, addresses_left(present, rows_after(present, plan))))
    if left:
        lines.append(f"{left:,} address{'' if left == 1 else 'es'} will be in no pool any more")
    return lines + _reserved(manager, plan) if lines else []


def _rows(plan: Sequence[Step]) -> list[str]:
    deleted = Counter(
        kind_of(step.row).name
        for step in plan
        if step.action is Action.DELETE and not isinstance(step.row, Pool)
    )
    stopped = Counter(
        kind_of(step.row).name
        for step in plan
        if step.action is Action.CHANGE and step.before and step.before.active > step.row.active
        if not isinstance(step.row, Pool)
    )
    moved = sum(_is_another_clients(step) for step in plan)
    lines = []
    if deleted:
        lines.append(f"deleted: {_counted(deleted)}")
    if stopped:
        lines.append(f"taken out of service: {_counted(stopped)}")
    if moved:
        lines.append(f"given to another client: {_counted(Counter({'reservation': moved}))}")
    return lines


def _is_another_clients(step: Step) -> bool:
    before = step.before
    return (
        isinstance(step.row, Reservation)
        and isinstance(before, Reservation)
        and step.row.client_key != before.client_key
    )


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{n} {kind}{'' if n == 1 else 's'}" for kind, n in sorted(kinds.items()))


def _reserved(manager: Session, plan: Sequence[Step]) -> list[str]:
    """The leases that run on addresses that are their client's no more."""
    addresses = sorted(
        step.row.address
        for step in plan
        if isinstance(step.row, Reservation)
        and (
            step.action is Action.DELETE
            or _is_another_clients(step)
            or (step.before is not None and step.before.active > step.row.active)
        )
    )
    looked_at = addresses[:_ROWS_READ_MAX]
    leases = [lease for address in looked_at if (lease := read_lease(manager, address))]
    live = [lease for lease in leases if lease.state == "bound"]
    if not live:
        return []
    among = "" if looked_at == addresses else f" among the first {_ROWS_READ_MAX}"
    number = f"{len(live)} live lease{'' if len(live) == 1 else 's'}"
    lines = [f"{number} on addresses that are reserved no more, or for another client{among}"]
    for lease in live[:_SHOWN]:
        client = lease.hardware_address or lease.client_id
        lines.append(f"  {format_address(lease.address)} of {client} until {lease.end}")
    if len(live) > _SHOWN:
        lines.append(f"  and others, up to {format_address(live[-1].address)}")
    return lines
