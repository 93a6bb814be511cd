"""What follows for a member when others, or it itself, are out of the group.

**Others.** A member that is gone may have given leases that it told nobody, up to MUL beyond what
everybody had recorded (docs/protocol.md, "How long a lease may be"), on addresses that it owned and
on those of any lease that it knew, since every member renews every lease. `agent.sync.recover`
holds both back, by binding and by promise. Promises cover what it owned only where somebody has
made them and still keeps them: a member that joined later has promised nothing, and promises to a
member that went before have ended, although TRANSFER may have carried its addresses on to the one
that is gone now. Where nobody is left who took part in all polls there ever were, or somebody else
went or lost its store before, every poll waits MUL, as the draft (5.1) has it for each removal.

**Itself.** It stops serving at once, durably, owns nothing any more and begins a new incarnation.
A member that missed the decision and finds itself in the group again, since another generation,
was out in between all the same.

**Clean.** A member that has handed over everything before it went is missed by nobody: nothing is
held. It owned nothing, asked nobody for anything, and every row of its was recorded. So promises to
it, and what was on its way to it, are over at once. Nor has its store been lost, as long as it is
the same one: it tells of no loss when it returns, and asks for addresses at once.
"""

from __future__ import annotations

from dataclasses import replace

from agent.model import AddressState, Group, Member, MemberId, MemberRole, Quarantine, Service
from agent.port import StoreTransaction
from agent.sync.ownership import AddressEvent, leave, move
from agent.sync.ranges import ADDRESS_MAX
from agent.sync.recover import begin_recovery, highest_incarnation, note_lost

_FOUNDED = 0
"""`since` of a member of the first generation that has never been out."""
_TO_ANOTHER = (AddressState.PROMISED, AddressState.TRANSFERRING)


def expelled(old: Group, new: Group) -> list[Member]:
    """The members of `old` that are out, or were out in between, as `old` had them."""
    gone = []
    for member in old.current:
        after = new.member(member.member)
        if after is None or not after.is_current or after.since != member.since:
            gone.append(member)
    return gone


def follow(tx: StoreTransaction, me: MemberId, old: Group | None, new: Group, now: int) -> bool:
    """After `new` has been put into the store; returns whether this member itself is out, or was.
    Then it still holds what it has promised to others that are out. `now` in seconds."""
    if old is None:
        return False
    gone = expelled(old, new)
    is_out = any(member.member == me for member in gone)
    if is_out:
        after = new.member(me)
        why = "the group has decided that this member is out"
        begin_recovery(tx, now, why, clean=_has_left_cleanly(tx, me, new))
        if after is None or (not after.is_current and tx.local().service is Service.LEAVING):
            tx.set_service(Service.RUNNING)
    for member in gone:
        after = new.member(member.member)
        if member.member == me or member.role is not MemberRole.SERVER:
            continue
        if after is not None and after.clean:
            _end_promises(tx, member.member, now)
            continue
        vouched = _is_vouched_for(tx, member, new)
        _hold_back(tx, member.member, now)
        if not vouched:
            begin_quarantine(tx, new.generation, now, max(old.longest_mul_s, new.longest_mul_s))
    return is_out


def _has_left_cleanly(tx: StoreTransaction, me: MemberId, new: Group) -> bool:
    """Whether this store is the one that handed over everything, and has given nothing since: then
    there is nothing that it may have given and told nobody, and nobody waits, itself neither. It
    voted for this very decision (a copy of an earlier time did not), under the operator's word that
    silences it (`Local.service`), and knew then that nobody remembers more of it."""
    local, own, ballot = tx.local(), new.member(me), tx.ballot(new.generation)
    return (
        own is not None
        and own.clean
        and local.service in (Service.SHUTDOWN, Service.LEAVING)
        and ballot is not None
        and ballot.value == new
        and local.serving
        and not (local.unconfirmed or local.recovery or local.certain_until)
    )


def follow_loss(tx: StoreTransaction, member: MemberId, now: int) -> None:
    """A member of the group has lost its store, which is news: as after a removal, polls wait where
    nobody is left who has promised everything that it may have owned. It took part in no poll since
    then, for it does not know, itself, what it has given."""
    group = tx.group()
    gone = group.member(member) if group else None
    if group is None or gone is None or gone.role is not MemberRole.SERVER:
        return
    if not _is_vouched_for(tx, gone, group):
        begin_quarantine(tx, group.generation, now, group.longest_mul_s)


def come_back(tx: StoreTransaction) -> None:
    """The member is started: if it was shut down and is out, it is meant to run again."""
    local, group = tx.local(), tx.group()
    own = group.member(local.member) if group else None
    if local.service is Service.SHUTDOWN and own is not None and not own.is_current:
        tx.set_service(Service.RUNNING)


def _hold_back(tx: StoreTransaction, member: MemberId, now: int) -> None:
    """Its store is lost to the group from now on, even if one of the same incarnation was before:
    what it has done since was told to nobody either."""
    note_lost(tx, member, known_incarnation(tx, member), now)
    lost = tx.lost_stores()[member]
    if lost.at < now:
        tx.put_lost_store(replace(lost, at=now))


def _end_promises(tx: StoreTransaction, member: MemberId, now: int) -> None:
    """It may have given some of it to a third member by TRANSFER, which this one has not heard of:
    what had ended by now is not renewed here any more, as in `void_promises`."""
    ended = False
    for row in tx.address_ranges(0, ADDRESS_MAX):
        if row.member != member or row.state not in _TO_ANOTHER:
            continue
        if row.state is AddressState.TRANSFERRING:
            move(tx, AddressEvent.TAKER_LOST, replace(row, state=AddressState.PROMISED))
        event, span = AddressEvent.PROMISE_ENDED, (row.first, row.last)
        leave(tx, event, span, AddressState.PROMISED, member, row.nonce)
        ended = True
    if ended:
        local = tx.local()
        tx.set_serving(local.serving, max(local.serving_since, now))


def known_incarnation(tx: StoreTransaction, member: MemberId) -> int:
    """The highest incarnation of `member` that this store knows of."""
    promised = [
        row.nonce.incarnation
        for row in tx.address_ranges(0, ADDRESS_MAX)
        if row.member == member and row.state in _TO_ANOTHER
    ]
    return max([1, highest_incarnation(member, tx.streams()), *promised])


def _is_vouched_for(tx: StoreTransaction, gone: Member, new: Group) -> bool:
    """Whether a member is left that has promised everything which `gone` may have owned, and has
    ended no promise since. What `gone` got by TRANSFER was polled for by others, perhaps before it
    joined, and handed on at any remove: so only who has been there since the group was founded has
    promised all of it (a member that returns or joins again has another `since`). And whenever a
    member goes, or loses its store, the promises to it end, while what it gave away lives on: its
    lost store is noted for good, its seat is kept as not current. Who left cleanly and is back has
    kept its own promises to those to whom it gave, so no poll for that ends without it."""
    lost = tx.lost_stores()
    servers = [
        one for one in new.members if one.member != gone.member and one.role is MemberRole.SERVER
    ]
    if any(one.member in lost or not one.is_current for one in servers):
        return False
    return any(one.since == _FOUNDED for one in servers)


def begin_quarantine(tx: StoreTransaction, generation: int, now: int, mul_s: int) -> None:
    for one in tx.quarantines():
        if one.at + one.mul_s <= now + mul_s:
            tx.delete_quarantine(one.generation)
    tx.put_quarantine(Quarantine(generation, now, mul_s))


def holds_for_absent(tx: StoreTransaction, group: Group) -> bool:
    """Whether this member holds a promise to one that is out. It may have given that one the
    addresses by TRANSFER, and the others' promises for them are to itself, so they would end."""
    current = {one.member for one in group.current}
    return any(row.member not in current for row in tx.address_ranges_in(AddressState.PROMISED))


def is_sole_witness(tx: StoreTransaction, me: MemberId, group: Group) -> bool:
    """Whether nobody else is left who knows what this member holds back for members that are out:
    those that came later have not learned it."""
    lost = tx.lost_stores()
    others = [
        one
        for one in group.current
        if one.member != me and one.role is MemberRole.SERVER and one.member not in lost
    ]
    return any(
        not gone.is_current and not gone.clean and all(one.since >= gone.since for one in others)
        for gone in group.members
    )
