"""What the server writes down as events beside its rows, and what it has to remember for that.

Of a lease that ends nothing is written: it is over when its time is. So once a second a part of the
bindings is looked through for those that this member gave or extended last and that have ended
since the part was looked at before (`ExpirySweep`). How far that has come is kept in the
transaction of the events, so that each end is told once, over restarts too; and the end of a lease
whose address is given away before that is told with the new one.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.dhcp.classify import Message
from agent.dhcp.shortage import Shortages
from agent.events.event import Event, EventKind, ExpirySweep, of_lease
from agent.events.leases import Step, lease_events
from agent.limits import SWEEP_BINDINGS
from agent.model import Binding
from agent.port import StoreTransaction


class Chronicle:
    def __init__(self) -> None:
        self._wanted: frozenset[EventKind] = frozenset()
        self._shortages = Shortages()
        self._sweep: ExpirySweep | None = None
        self._next: ExpirySweep | None = None

    def of_steps(self, steps: Iterable[Step], now: int) -> list[Event]:
        """What a batch has made of leases."""
        return lease_events(
            steps, now, renewals=EventKind.RENEWED in self._wanted, is_told=self._is_told
        )

    def note_shortage(self, message: Message) -> None:
        self._shortages.note(message)

    def write(self, tx: StoreTransaction, now_ms: int) -> None:
        """Once a second, in a transaction that is written anyway."""
        self._wanted = tx.wanted_events()
        now = now_ms // 1000
        sweep = self._sweep or tx.expiry_sweep() or ExpirySweep(now, now, 0)
        ended, through = tx.ended_bindings(sweep, SWEEP_BINDINGS)
        events = [of_lease(EventKind.EXPIRED, now, row) for row in ended]
        tx.put_events([*events, *self._shortages.due(now_ms)])
        self._next = sweep.after(through, now)
        tx.put_expiry_sweep(self._next)

    def note_committed(self, now_ms: int) -> None:
        """What was written at `now_ms` is durable."""
        self._sweep = self._next
        self._shortages.note_told(now_ms)

    def _is_told(self, row: Binding) -> bool:
        return self._sweep is not None and self._sweep.has_told(row)
