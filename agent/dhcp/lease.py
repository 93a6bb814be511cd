"""How long a lease may be: the lead bound (protocol of the group, rule 3; draft 3.4.2, 9).

A lease must end within MUL (MAXIMUM-UNPUSHED-LEASE-TIME) of what every other member has recorded
about the address, so that a group that has lost this member knows how long to wait. A new client
therefore gets at most MUL; what the others are told (the potential expiry) lies half a lease
beyond the lease, so that the next renewal, at half of it, can have the full time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from agent.limits import LEASE_LEAST_S
from agent.model import (
    INFINITE_S,
    NEVER,
    Binding,
    BindingState,
    Group,
    Local,
    MemberId,
    StreamHead,
    StreamId,
    Transaction,
)


class Terms(NamedTuple):
    """What the group allows: its lease time, MUL, and whether this member is alone in it, in which
    case there is nobody to wait for. The rest as in `Local`: since when the others may have
    declared it dead, and how long its clock has stood still."""

    lease_s: int
    mul_s: int
    alone: bool
    certain_until: int = 0
    unseen_at: int = 0
    unseen_s: int = 0


class Grant(NamedTuple):
    """A lease as given now. `duration_s` is what the client is told, `acknowledged_at` what the
    decision stood on."""

    duration_s: int
    expires_at: int
    potential_expires_at: int
    acknowledged_at: int


def group_terms(group: Group, local: Local) -> Terms:
    """A member that is only joining counts: after its removal nobody else would wait for it."""
    others = (m for m in group.members if m.member != local.member and m.is_current)
    alone = not any(others) and not local.certain_until
    clock = (local.certain_until, local.unseen_at, local.unseen_s)
    return Terms(group.lease_s, group.mul_s, alone, *clock)


def acknowledged_expiry(
    row: Binding | None, streams: Mapping[StreamId, StreamHead], terms: Terms
) -> int:
    """The least potential expiry of the row that every other member is known to have recorded.

    An acknowledgement that is not known yet only makes the lease shorter. What was recorded before
    this member's clock stood still ends that much earlier for the others."""
    if row is None:
        return 0
    head = streams.get(row.stream)
    pushed = head is not None and head.acknowledged >= row.seq
    recorded = row.potential_expires_at if pushed else row.acknowledged_at
    return recorded_before(row, recorded, terms)


def recorded_before(row: Binding, recorded: int, clock: Terms | Local) -> int:
    """What `recorded`, an instant that others have recorded of the row, is by the clock as it is.

    Every row that is written later, or told to others, and goes on from this one has this instant,
    since its own time is after the one at which the clock stood still."""
    if clock.unseen_s and row.transaction_at <= clock.unseen_at and recorded < NEVER:
        return max(0, recorded - clock.unseen_s)
    return recorded


def is_too_short(grant: Grant, wanted_s: int, terms: Terms) -> bool:
    """Whether a member that may have been declared dead has no lease to speak of: the client is
    better off with another member, or without an answer for now."""
    return terms.certain_until > 0 and grant.duration_s < min(wanted_s, LEASE_LEAST_S)


def decide_grant(
    wanted_s: int, terms: Terms, former: Binding | None, acknowledged_at: int, now: int, issued: int
) -> Grant:
    """The lease for a client now.

    `former` is the row of this same client that the lease goes on from, or None. `now` is rounded
    down and `issued` up: a client's clock starts at the ACK, so the record must end no earlier.
    Neither expiry ever moves back: what was once promised stands. A member that may have been
    declared dead counts from when it was not yet (draft 2.3.1): its grant may be too short to be
    one (`is_too_short`)."""
    infinite = wanted_s >= INFINITE_S
    end = NEVER if infinite else issued + wanted_s
    potential = NEVER if infinite else end + wanted_s // 2
    if not terms.alone and acknowledged_at < NEVER:
        known = issued
        if terms.certain_until:
            known = terms.certain_until
            known -= terms.unseen_s if known <= terms.unseen_at else 0
        end = min(end, max(known, acknowledged_at) + terms.mul_s)
    duration = INFINITE_S if end >= NEVER else end - issued
    if former is not None:
        potential = max(potential, former.potential_expires_at)
        end = max(end, former.expires_at)
    return Grant(duration, end, max(potential, end), acknowledged_at)


def given_back(
    row: Binding,
    transaction: Transaction,
    me: MemberId,
    now: int,
    streams: Mapping[StreamId, StreamHead],
    terms: Terms,
) -> Binding:
    """What a RELEASE makes of a lease, be it the client's or an operator's.

    The row keeps epoch and grant, which names what is released, and its expiries: a merge takes
    the maximum anyway. What the others had acknowledged tells whether the release is settled
    (`Binding.is_settled`): then only its hold-down keeps the address from others."""
    acknowledged_at = acknowledged_expiry(row, streams, terms)
    head = streams.get(row.stream)
    if terms.alone:
        acknowledged_at = row.potential_expires_at
    elif head is None or head.acknowledged < row.seq:  # some other has not recorded this change
        acknowledged_at = min(acknowledged_at, row.potential_expires_at - 1)
    return row._replace(
        state=BindingState.RELEASED,
        acknowledged_at=acknowledged_at,
        transaction=transaction,
        transaction_at=now,
        transaction_server=me,
    )
