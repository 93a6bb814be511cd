"""What a member's store becomes when the member starts, before anybody is served.

What lies beside the store (agent/standing.py) tells whether it is the one that ran here last, and,
where it is not, the group as that one knew it: then RECOVER begins among the members that there
were, not among those of the copy. A store that may be a copy, and of which nothing beside it tells
the group, asks those that it lists; alone it ends no RECOVER before they have answered.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import PeerError
from agent.model import Group
from agent.port import StoreTransaction
from agent.sync import expulsion
from agent.sync.recover import LONG_AGO_S, begin_recovery


@dataclass(frozen=True, slots=True)
class LastLife:
    """What is known of how the member ran last. `group`: as its store had it, `incarnation`: of
    that store, `ran_at`: its clock then, in seconds; 0, None: not known. `unseen_s`: how long its
    clock has stood still in all while the machine was down (`Local`), this boot included."""

    group: Group | None = None
    incarnation: int = 0
    ran_at: int = 0
    unseen_s: int = 0


def begin_start(tx: StoreTransaction, now: int, last: LastLife) -> None:
    """The store is good, as far as can be told here: it serves when the others have confirmed that
    they remember nothing newer (agent/sync/recover.py). Those that are out of the group count:
    where this store is a copy, they may be in it by now, and this member out. `now` in seconds."""
    local, group = tx.local(), tx.group()
    if group is None:
        return
    is_vouched = _take_vouch(tx)
    _note_unseen(tx, now, last)
    others = any(one.member != local.member for one in group.members)
    among_others = any(one.member != local.member for one in group.current)
    if local.serving or local.unconfirmed:
        if others:
            tx.set_serving(False, local.serving_since)
            tx.set_unconfirmed(True)
        if among_others:
            _doubt(tx, last, is_vouched)
    elif local.recovery and others and not among_others and local.certain_until != LONG_AGO_S:
        # A copy of a store that was recovering alone has the end of its wait behind it.
        tx.set_certain(now)


def _note_unseen(tx: StoreTransaction, now: int, last: LastLife) -> None:
    """A copy knows less of that than what lies beside it."""
    local = tx.local()
    if last.unseen_s > local.unseen_s:
        tx.set_unseen(max(local.unseen_at, last.ran_at or now), last.unseen_s)


def _take_vouch(tx: StoreTransaction) -> bool:
    """Whether an operator answers for this start. His word is used up by it, whatever the start
    makes of it: for a later one, or for a copy of this store, it was not given."""
    is_vouched = tx.local().vouched
    if is_vouched:
        tx.set_vouched(False)
    return is_vouched


def _doubt(tx: StoreTransaction, last: LastLife, is_vouched: bool) -> None:
    local = tx.local()
    ran_at = max(LONG_AGO_S, last.ran_at)
    tx.set_certain(0 if is_vouched else min(local.certain_until or ran_at, ran_at))


def begin_restored(tx: StoreTransaction, now: int, reason: str, last: LastLife) -> None:
    """The store is not the one that ran here last; `now` in seconds. A store without a group is a
    new one, which has promised nothing."""
    local, group = tx.local(), tx.group()
    if group is None:
        return
    noted = last.group
    _take_vouch(tx)
    own = noted.member(local.member) if noted else None
    knows = own is not None and own.engine_id == local.engine_id
    if noted is not None and knows and noted.generation > group.generation:
        tx.put_group(noted)
        expulsion.follow(tx, local.member, group, noted, now)
    _note_unseen(tx, now, last)
    begin_recovery(tx, now, reason, remembered_incarnation=last.incarnation)
    others = any(one.member != local.member for one in group.members)
    tx.set_certain(0 if knows or not others else LONG_AGO_S)


def retire(tx: StoreTransaction, now: int) -> None:
    """An operator's word, while the member does not run, that it has been declared dead or
    replaced: it gives up what it owns and serves nobody before it has pulled from every member.
    PeerError where there is nothing to give up."""
    if tx.group() is None:
        raise PeerError("no_group", "this member is in no group: it owns nothing")
    begin_recovery(tx, now, "an operator has retired it")
    tx.audit("root", "retired", "it serves nobody before it has pulled from every member", now)


def vouch(tx: StoreTransaction, now: int) -> None:
    """An operator's word, while the member does not run, that nobody has declared it dead: at its
    next start it serves as if it had heard them."""
    if tx.group() is None:
        raise PeerError("no_group", "this member is in no group: nobody can have declared it dead")
    if tx.local().recovery:
        raise PeerError("recovering", "it recovers, and has to hear every other member in any case")
    tx.set_vouched(True)
    tx.audit("root", "vouched", "nobody has declared this member dead since it ran last", now)
