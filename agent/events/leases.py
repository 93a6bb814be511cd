"""What has happened to leases, seen from how their rows were and are."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agent.events.event import Event, EventKind, of_lease
from agent.model import Binding, BindingState, Transaction

Step = tuple[Binding | None, Binding]
"""What was known of an address, and what this member has made of it."""

_ENDED = {
    Transaction.RELEASE: EventKind.RELEASED,
    Transaction.DECLINE: EventKind.DECLINED,
    Transaction.PROBE: EventKind.IN_USE,
}


def lease_events(
    steps: Iterable[Step], now: int, *, renewals: bool, is_told: Callable[[Binding], bool]
) -> list[Event]:
    """In order; `renewals`: tell of them too. `is_told`: whether the end of a lease that is over
    was told already; else it is told now, since its row is written over."""
    events: list[Event] = []
    for before, row in steps:
        if before is not None and before.state is BindingState.BOUND:
            if before.expires_at <= now:
                if not is_told(before):
                    events.append(of_lease(EventKind.EXPIRED, now, before))
            elif row.state is BindingState.BOUND and row.client_key == before.client_key:
                if renewals:
                    events.append(of_lease(EventKind.RENEWED, now, row))
                continue
        if row.state is BindingState.BOUND:
            events.append(of_lease(EventKind.BOUND, now, row))
        else:
            kind = _ENDED.get(row.transaction)
            if kind is not None:
                events.append(_ended(kind, now, row))
    return events


def _ended(kind: EventKind, now: int, row: Binding) -> Event:
    """A DECLINE past the caps takes the address from nobody for long (`agent.dhcp.returns`)."""
    event = of_lease(kind, now, row)
    is_kept = row.state is BindingState.UNAVAILABLE
    return event if kind is EventKind.RELEASED or is_kept else event._replace(until=0)
