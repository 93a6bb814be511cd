"""The states of an address as one member sees it, and every legal move between them.

`MOVES` is the whole table (docs/protocol.md, "States of an address"; draft 3.4.2 and 9): what is
not in it does not happen. `move` and `leave` are the only functions that change the rows of the
store, and look at the state of every address they touch first; a move that is not in the table is
our own bug, raised naming event and state. An address without a row is UNBINDABLE.

    UNBINDABLE -> POLLING -> BINDABLE -> TRANSFERRING -> PROMISED -> UNBINDABLE

An ownership ends with its first binding (see `agent.sync.verdict`): a BINDABLE or PROMISED row is
used up where a binding of its epoch or a later one stands, and is then laid over by what comes
next, as if the address were UNBINDABLE. That the row *is* used up is judged from the bindings,
before the move.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import Final

from agent.errors import IllegalTransitionError
from agent.model import AddressRange, AddressState, MemberId, Nonce
from agent.port import StoreTransaction
from agent.sync import ranges
from agent.sync.ranges import Span


class AddressEvent(enum.Enum):
    """What happens to an address here; the comments say to whom it happens."""

    POLL_BEGUN = enum.auto()
    """I ask the others for it."""
    POLL_COMPLETED = enum.auto()
    """Everybody has promised it to me."""
    POLL_ENDED = enum.auto()
    """Not everybody has; or I gave it back; and nobody holds a promise to me any more."""
    TAKEN_ALONE = enum.auto()
    """Nobody else is in the group who could be asked."""
    GIVEN_BACK = enum.auto()
    """I own it and have too many."""
    PROMISE_MADE = enum.auto()
    """I have agreed that another member owns it."""
    PROMISE_ENDED = enum.auto()
    """That member does not want it any more."""
    PROMISE_PASSED_ON = enum.auto()
    """That member says that it has transferred it to a third."""
    TRANSFER_OFFERED = enum.auto()
    """I own it and give it to another member, for good."""
    TRANSFER_TAKEN = enum.auto()
    """Another member gave it to me."""
    TRANSFER_ACKNOWLEDGED = enum.auto()
    """The member that I gave it to owns it."""
    TAKER_LOST = enum.auto()
    """The member that I gave it to, or its store, is gone: whether it took it nobody knows."""
    OWNERSHIP_LOST = enum.auto()
    """My own store cannot be trusted any more (RECOVER)."""


_U, _P, _B, _T, _H = AddressState
_E = AddressEvent

MOVES: Final[dict[tuple[AddressState, AddressEvent], AddressState]] = {
    (_U, _E.POLL_BEGUN): _P,
    (_B, _E.POLL_BEGUN): _P,
    (_H, _E.POLL_BEGUN): _P,
    (_P, _E.POLL_COMPLETED): _B,
    (_P, _E.POLL_ENDED): _U,
    (_U, _E.TAKEN_ALONE): _B,
    (_B, _E.TAKEN_ALONE): _B,
    (_H, _E.TAKEN_ALONE): _B,
    (_B, _E.GIVEN_BACK): _P,
    (_U, _E.PROMISE_MADE): _H,
    (_B, _E.PROMISE_MADE): _H,
    (_H, _E.PROMISE_MADE): _H,
    (_H, _E.PROMISE_ENDED): _U,
    (_H, _E.PROMISE_PASSED_ON): _H,
    (_B, _E.TRANSFER_OFFERED): _T,
    (_T, _E.TRANSFER_ACKNOWLEDGED): _H,
    (_T, _E.TAKER_LOST): _H,
    (_U, _E.TRANSFER_TAKEN): _B,
    (_H, _E.TRANSFER_TAKEN): _B,
    (_P, _E.OWNERSHIP_LOST): _U,
    (_B, _E.OWNERSHIP_LOST): _U,
    (_T, _E.OWNERSHIP_LOST): _U,
    (_H, _E.OWNERSHIP_LOST): _U,
}
"""POLL_BEGUN, TAKEN_ALONE and PROMISE_MADE leave BINDABLE and PROMISED only where the row is used
up, and PROMISE_MADE leaves PROMISED also where the same attempt asks again."""


def become(state: AddressState, event: AddressEvent) -> AddressState:
    """IllegalTransitionError where the table has no such move."""
    after = MOVES.get((state, event))
    if after is None:
        raise IllegalTransitionError("address", state.name, event.name)
    return after


def move(tx: StoreTransaction, event: AddressEvent, row: AddressRange) -> None:
    """Put `row` over whatever its addresses are now; `event` must lead there from all of it."""
    existing = tx.address_ranges(*ranges.around(row.first, row.last))
    for state in set(_states(existing, row.first, row.last)):
        if become(state, event) is not row.state:
            raise IllegalTransitionError("address", state.name, f"{event.name} to {row.state.name}")
    removed, added = ranges.lay(existing, row)
    if removed or added:
        tx.replace_address_ranges(removed, added)


def leave(
    tx: StoreTransaction,
    event: AddressEvent,
    span: Span,
    state: AddressState,
    member: MemberId,
    nonce: Nonce,
    epoch: int = 0,
) -> None:
    """Make UNBINDABLE what in the span is in `state` for `member` under `nonce`; also, where
    `epoch` is given, under that epoch and an earlier attempt of the member's own."""
    if become(state, event) is not AddressState.UNBINDABLE:
        raise IllegalTransitionError("address", state.name, f"{event.name} to UNBINDABLE")
    removed, added = ranges.clear(
        tx.address_ranges(*span),
        *span,
        lambda row: (
            (row.state, row.member) == (state, member)
            and (
                row.nonce == nonce
                or (0 < epoch == row.epoch and row.nonce.counter > 0 and row.nonce < nonce)
            )
        ),
    )
    if removed:
        tx.replace_address_ranges(removed, added)


def _states(existing: Sequence[AddressRange], first: int, last: int) -> Iterator[AddressState]:
    """The states that occur in first..last."""
    at = first
    for row in existing:
        if row.last < first or row.first > last:
            continue
        if at < row.first:
            yield AddressState.UNBINDABLE
        yield row.state
        at = row.last + 1
    if at <= last:
        yield AddressState.UNBINDABLE
