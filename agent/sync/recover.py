"""RECOVER: what a member does whose store is lost, restored or rolled back (docs/protocol.md,
"RECOVER").

Such a store may lack what the member promised. So it begins a new incarnation, which nobody
confuses with the old one, owns nothing, serves nobody and agrees to no poll, until it has pulled
from every current member. After that it renews what the others confirmed; for new clients it polls
for addresses only MUL after it began: what the lost store promised last and told nobody is over by
then. What another member owns it takes by TRANSFER at once: that is nobody else's (protocol.md,
"Waits"). Where no other member has kept its store either, what was promised is known to nobody:
then it serves nobody until the longest lease is over.

How a rolled-back store is found: each Hello tells what its sender remembers of the receiver,
which must not be ahead of the receiver's store. What says how addresses are owned (a poll's answer,
an abort, an offer) tells how far the store has come that it rests on (`StoreMark`), and whoever
acts on it writes that down in the same transaction: so nobody uses what a peer may have forgotten,
not even after both have restarted. A member that starts with peers in its group is
`unconfirmed`, and serves only when each of them has spoken, or after `witness_ms`: a cluster of two
whose other member is dead must serve. It then does so under a new incarnation, so that whatever the
others will remember of the old one can never be mixed up with what it writes now. The shell
finds more at once, by a token beside the database (agent/standing.py).

The others hold what a lost incarnation may have promised (`held_until`): a change that was never
pushed, made before they learned of the loss, gave a lease of at most MUL beyond what they have
recorded (the lead bound, docs/protocol.md, "How long a lease may be"). Members removed from the
group are held alike.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from agent.errors import PeerError
from agent.model import (
    INFINITE_S,
    NEVER,
    AddressState,
    Binding,
    ChangeKind,
    LostStore,
    MemberId,
    StoreMark,
    StreamId,
    stream_incarnation,
    stream_member,
)
from agent.port import StoreTransaction
from agent.settings import times as settings
from agent.sync.clocks import Clocks
from agent.sync.hello import covers
from agent.sync.messages import Hello
from agent.sync.ownership import AddressEvent, leave, move
from agent.sync.ranges import ADDRESS_MAX
from agent.sync.situation import Situation, is_being_expelled, vector_of

LONG_AGO_S = 1
"""`Local.certain_until` of a member of which nothing tells when it was certain."""
_IDLE_MS = 60_000
_LOOK_MS = 500
_APART = 1 << 16
"""Out of how many numbers an incarnation is drawn that nobody has confirmed: 2**32 of them last for
more than 100,000 such starts."""


def begin_recovery(
    tx: StoreTransaction,
    now: int,
    reason: str,
    *,
    remembered_incarnation: int = 0,
    clean: bool = False,
) -> int:
    """Give up everything that this store claims to own, durably; returns the new incarnation,
    which is above all that this store knows of and `remembered_incarnation`. `now` in seconds.
    `clean`: it has given nothing that the others have not recorded, so nothing is waited for."""
    local, group = tx.local(), tx.group()
    known = highest_incarnation(local.member, tx.streams())
    old = max(local.incarnation, known, remembered_incarnation)
    tx.begin_incarnation(old + 1)
    for row in tx.address_ranges(0, ADDRESS_MAX):
        if row.state is not AddressState.PROMISED:
            event = AddressEvent.OWNERSHIP_LOST
            leave(tx, event, (row.first, row.last), row.state, row.member, row.nonce)
    tx.set_serving(False, 0)
    tx.set_unconfirmed(False)
    if clean:
        tx.set_recovery(reason, now, 0)
    else:
        tx.set_recovery(reason, now + (group.longest_mul_s if group else 0), 0)
        note_lost(tx, local.member, old, now)
    tx.add_counters({"cluster_recoveries": 1})
    return old + 1


def highest_incarnation(member: MemberId, streams: Collection[StreamId]) -> int:
    """The highest incarnation of `member` that `streams` name; 0: none."""
    return max((stream_incarnation(s) for s in streams if stream_member(s) == member), default=0)


# --- what the others hold ----------------------------------------------------------------------


def note_lost(tx: StoreTransaction, member: MemberId, incarnation: int, now: int) -> bool:
    """Stores of `member` up to `incarnation` are gone, by RECOVER or by removal. Known already,
    it changes nothing; returns whether it was news. What was on its way to such a store is from
    now on a promise to it, which ends with the others (`void_promises`)."""
    known = tx.lost_stores().get(member)
    if known is not None and known.incarnation >= incarnation:
        return False
    tx.put_lost_store(LostStore(member, incarnation, now))
    for row in tx.address_ranges(0, ADDRESS_MAX):
        given = row.state is AddressState.TRANSFERRING and row.member == member
        if given and row.nonce.incarnation <= incarnation:
            promised = replace(row, state=AddressState.PROMISED)
            move(tx, AddressEvent.TAKER_LOST, promised)
    return True


def void_promises(tx: StoreTransaction, now: int, mul_s: int) -> int:
    """End the promises to stores that are lost since MUL: what they bound there and told nobody
    is over, and what they told stands in its binding. Returns when the next ones end.

    A lost store may have given such addresses to a third member by TRANSFER, which this one has
    not heard of. What had ended by now is therefore not renewed here any more, as after joining:
    its address may be another client's of that member."""
    due = NEVER
    ended = 0
    lost = tx.lost_stores()
    for row in tx.address_ranges(0, ADDRESS_MAX) if lost else ():
        gone = lost.get(row.member)
        if row.state is not AddressState.PROMISED or gone is None:
            continue
        if row.nonce.incarnation > gone.incarnation:
            continue
        if gone.at + mul_s <= now:
            event, span = AddressEvent.PROMISE_ENDED, (row.first, row.last)
            leave(tx, event, span, row.state, row.member, row.nonce)
            ended += 1
        else:
            due = min(due, gone.at + mul_s)
    if ended:
        local = tx.local()
        tx.set_serving(local.serving, max(local.serving_since, now))
        tx.add_counters({"cluster_promises_void": ended})
    return due


def lost_at(lost: Collection[LostStore]) -> int:
    """When the latest loss was learned of; 0: never."""
    return max((one.at for one in lost), default=0)


def held_until(row: Binding, lost: int, mul_s: int) -> int:
    """Until when the address of `row` may be in use by what a store lost at `lost` (`lost_at`)
    gave and told nobody. Any member may renew any lease (draft 6.4), so whose row it is does not
    matter, nor its state: an EXPIRED or RELEASED lease may have been renewed as well. A row
    written since by a member that lives shows the client's present lease."""
    if not lost or row.transaction_at > lost:
        return 0
    return max(lost, row.potential_expires_at) + mul_s


def longest_lease(tx: StoreTransaction) -> int:
    """The longest lease that the configuration lets a member give."""
    group = tx.group()
    rows = (record.row for record in tx.configuration(ChangeKind.SETTING))
    return settings.longest_lease(group.lease_s if group else 0, rows)


def leases_end(tx: StoreTransaction) -> int:
    """When every lease is over that the lost store of a member, this one's or another's, may have
    given and told nobody; NEVER where leases are infinite. Where nobody has kept its store the
    latest loss counts: that one may have been alone in the group, and have given whole leases."""
    group, lost, lease_s = tx.group(), tx.lost_stores(), longest_lease(tx)
    current = {member.member for member in group.current} if group else set()
    current.add(tx.local().member)
    at = max(
        (one.at for one in lost.values() if one.member in current),
        default=tx.local().holds_until,  # since it left cleanly
    )
    return NEVER if lease_s >= INFINITE_S else at + lease_s


@dataclass(frozen=True, slots=True)
class Position:
    """How far a member's own store has come: its mark, up to which incarnation its stores are known
    to be lost, and what it holds of its own streams (`held` may tell of others too)."""

    member: MemberId
    mark: StoreMark
    lost: int
    held: Mapping[StreamId, int]


def behind(own: Position, known: StoreMark, remembered: Mapping[StreamId, int]) -> str:
    """What others remember of the store at `own` (its mark, numbers of its streams) and it does not
    know itself, in words; "" where there is nothing. What it wrote in incarnations that it knows to
    be lost says nothing of the present one."""
    incarnation, version = known
    if incarnation > own.mark.incarnation:
        return f"incarnation {incarnation} where this store is in {own.mark.incarnation}"
    if incarnation == own.mark.incarnation and version > own.mark.ownership_version:
        return f"ownership {version} where this store has {own.mark.ownership_version}"
    for stream, seq in sorted(remembered.items(), reverse=True):
        if stream_member(stream) != own.member or stream_incarnation(stream) <= own.lost:
            continue
        held = own.held.get(stream, 0)
        if seq > held:
            incarnation = stream_incarnation(stream)
            return f"change {seq} of incarnation {incarnation} where this store has {held}"
    return ""


# --- the member itself -------------------------------------------------------------------------


class Recovery:
    """Compares what peers remember with the own store, and ends the wait of a start. `changed` is
    set when this member has begun a new incarnation."""

    def __init__(self, situation: Situation, clocks: Clocks) -> None:
        self._situation = situation
        self._clocks = clocks
        self._began_ms = 0
        self._void_at_ms = 0
        self._void_for: dict[MemberId, LostStore] = {}
        self.changed = False

    def hear(self, tx: StoreTransaction, hello: Hello, now_ms: int) -> bool:
        """What a peer tells of itself, and of me. Returns whether a loss of its store is news."""
        sender = hello.header.sender
        is_news = hello.lost > 0 and note_lost(tx, sender, hello.lost, now_ms // 1000)
        self.compare(tx, sender, hello.known, hello.vector, now_ms)
        return is_news

    def compare(
        self,
        tx: StoreTransaction,
        sender: MemberId,
        known: StoreMark,
        vector: Mapping[StreamId, int],
        now_ms: int,
    ) -> bool:
        """Begin RECOVER where `sender` remembers more of my store than it knows; whether it did."""
        what = self.tell_behind(tx, known, vector)
        if not what:
            return False
        self.begin(
            tx,
            f"member {sender} remembers {what}",
            now_ms,
            max(highest_incarnation(self._situation.me, vector), known.incarnation),
        )
        return True

    def begin(
        self, tx: StoreTransaction, reason: str, now_ms: int, remembered_incarnation: int = 0
    ) -> None:
        """This store is not the one that ran here last."""
        begin_recovery(tx, now_ms // 1000, reason, remembered_incarnation=remembered_incarnation)
        self._begin_anew(tx)

    def tell_behind(
        self, tx: StoreTransaction, known: StoreMark, vector: Mapping[StreamId, int]
    ) -> str:
        """What somebody remembers of me and my store does not know; "" if there is nothing."""
        local, heads = tx.local(), tx.streams()
        lost = self._situation.lost.get(local.member)
        held = {stream: head.applied for stream, head in heads.items()}
        own = Position(local.member, local.mark, lost.incarnation if lost else 0, held)
        return behind(own, known, vector)

    def tick(self, tx: StoreTransaction, now_ms: int) -> int:
        """Returns when to come back."""
        situation = self._situation
        self._began_ms = self._began_ms or now_ms
        due = now_ms + _IDLE_MS
        if situation.group is not None:
            # A Hello told of a loss, or the group has decided that a member is out.
            if now_ms >= self._void_at_ms or situation.lost != self._void_for:
                self._void_for = situation.lost
                ends = void_promises(tx, now_ms // 1000, situation.group.longest_mul_s)
                self._void_at_ms = min(ends * 1000, due)
            due = min(due, self._void_at_ms)
        if not self._settle_clock(tx, now_ms):
            return min(due, now_ms + _LOOK_MS)
        if not situation.unconfirmed:
            return due
        if self._is_confirmed():
            if self._covers_all(tx):
                tx.set_unconfirmed(False)
                situation.count("starts_confirmed")
            elif situation.serving:
                return due
            self._serve(tx)
        elif not situation.serving:
            until = self._began_ms + situation.settings.witness_ms
            if now_ms < until:
                return min(due, until)
            if is_being_expelled(tx, situation):
                return min(due, now_ms + _LOOK_MS)
            # Not the next one: where this store is a copy, the life it lacks may have begun that.
            tx.begin_incarnation(situation.incarnation + 1 + situation.random.randrange(_APART))
            if not situation.peers:
                tx.set_unconfirmed(False)
            self._serve(tx)
            situation.count("starts_unconfirmed")
            self._begin_anew(tx)
        return due

    def _settle_clock(self, tx: StoreTransaction, now_ms: int) -> bool:
        """A clock that stood still while the machine was down moves when all have told, or when it
        is not waited for them any longer."""
        situation, clocks = self._situation, self._clocks
        if situation.serving:
            clocks.give_up()
        elif situation.all_told or now_ms >= self._began_ms + situation.settings.witness_ms:
            clocks.settle(tx, now_ms)
        situation.takes_records = clocks.is_settled(now_ms)
        return situation.takes_records

    def _is_confirmed(self) -> bool:
        """Whether the others remember nothing newer of this store than it holds, so that it may
        serve."""
        situation = self._situation
        if situation.peers:
            return all(peer.told and peer.confided for peer in situation.peers.values())
        out = {member.member for member in situation.others_out()}
        return out <= situation.answered or situation.serving

    def _covers_all(self, tx: StoreTransaction) -> bool:
        """Whether it holds what the others hold, so that it may vote: it has taken over what they
        have accepted, and must know of what was told before that."""
        situation = self._situation
        mine = vector_of(tx.streams())
        return all(
            covers(mine, {s: seq for s, seq in p.vector.items() if s != situation.own_stream})
            for p in situation.peers.values()
        )

    def _serve(self, tx: StoreTransaction) -> None:
        """Not where the others may have decided that this member is out: then it is as one that
        joins, until that generation is decided (`Membership`)."""
        if not self._situation.serving and not is_being_expelled(tx, self._situation):
            tx.set_serving(True, tx.local().serving_since)
        self._situation.load(tx, keep_peers=True)

    def _begin_anew(self, tx: StoreTransaction) -> None:
        self._situation.load(tx)
        self.changed = True

    def may_finish(self, tx: StoreTransaction, now_ms: int) -> bool:
        """Every member is covered. Where one of them has kept its store, that is enough; where
        nobody has, leases are about that no member knows, up to the longest one's time."""
        situation = self._situation
        if not self._clocks.is_settled(now_ms):
            return False
        if not situation.recovering or any(p.intact for p in situation.peers.values()):
            return True
        local = tx.local()
        if local.tries_until:
            return True
        if not situation.peers and not situation.certain and not self._has_waited(tx, now_ms):
            return False  # it does not know whether it is alone, or since when
        until = leases_end(tx)
        if local.holds_until < until:
            tx.set_recovery(local.recovery, until, 0)
        return now_ms // 1000 >= local.holds_until and local.holds_until >= until

    def _has_waited(self, tx: StoreTransaction, now_ms: int) -> bool:
        """Whether every lease is over that was given before this start."""
        since, lease_s = tx.local().certain_until, longest_lease(tx)
        if since == LONG_AGO_S or lease_s >= INFINITE_S:
            return False
        return now_ms // 1000 >= since + lease_s

    def end_wait(self, tx: StoreTransaction, now_ms: int) -> None:
        """An operator's word that this member shall serve new clients although leases of the lost
        store may be about that nobody knows (docs/protocol.md, "RECOVER"). What he takes on himself
        is made smaller by trying each address before it is given away, for as long as the wait
        would have been. What is to be pulled from the others is pulled all the same. PeerError
        where the member waits for nothing."""
        local, now = tx.local(), now_ms // 1000
        waits = bool(local.recovery) or local.holds_until > now
        if not waits or local.tries_until:
            raise PeerError("not_waiting", "this member waits for no leases of a lost store")
        tx.set_recovery(local.recovery, now, max(local.holds_until, leases_end(tx)))
        tx.set_certain(0)
        self._situation.load(tx, keep_peers=True)
        self._situation.count("waits_ended")

    def finish(self, tx: StoreTransaction) -> None:
        """The member serves again."""
        local = tx.local()
        tx.set_recovery("", local.holds_until, local.tries_until)
        self._situation.load(tx, keep_peers=True)
