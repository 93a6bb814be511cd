"""Going: how a member hands over before it shuts down or leaves (failover's SHUTDOWN).

From the operator's word on (`Local.service`) it answers no client. It gives back what it owns,
until everybody has forgotten their promises, takes and gives back what is on its way to it, and
pushes what it has done, until everybody has it. Then the others miss nothing, and it proposes
itself as DOWN or REMOVED, `clean`: nobody waits for anything. Where that does not come to an end (a
member is away that would have to confirm), it goes all the same, and the others hold back what
they would hold back after its death. A member that itself still holds back what a dead one may
have promised takes that knowledge along, so then it is not clean either.

Where all are told to go, the last one stays: a group without a member could not be entered again.
"""

from __future__ import annotations

from agent.errors import PeerError
from agent.limits import POLL_RANGES_MAX
from agent.model import AddressState, Service, StreamHead, StreamId
from agent.port import StoreTransaction
from agent.sync import ranges
from agent.sync.change import Expel
from agent.sync.expulsion import holds_for_absent, is_sole_witness
from agent.sync.group import Membership
from agent.sync.poll import Poll
from agent.sync.ranges import Span
from agent.sync.situation import Situation, is_being_expelled
from agent.sync.transfer import Taker

_LOOK_MS = 500
_IDLE_MS = 60_000


class Departure:
    def __init__(
        self, situation: Situation, poll: Poll, taker: Taker, membership: Membership
    ) -> None:
        self._situation = situation
        self._poll = poll
        self._taker = taker
        self._membership = membership
        self._until_ms = 0

    def set_service(self, tx: StoreTransaction, service: Service, now_ms: int) -> None:
        """An operator's word about this member. PeerError tells why it cannot be."""
        situation = self._situation
        group = situation.group
        if group is None:
            raise PeerError("no_group", "a member without a group has nothing to stop")
        going = service in (Service.SHUTDOWN, Service.LEAVING)
        if not going and is_being_expelled(tx, situation):
            raise PeerError("too_late", "the others are deciding that this member has gone")
        if going and not situation.is_current:
            raise PeerError("removed", f"this member is out of {group.name} already")
        if going and len(group.current) == 1:
            raise PeerError("last_member", f"{group.name} would have no member left")
        tx.set_service(service)
        situation.service = service
        if not going:
            self._membership.stay()
        self._until_ms = now_ms + situation.settings.depart_ms if going else 0

    def tick(self, tx: StoreTransaction, heads: dict[StreamId, StreamHead], now_ms: int) -> int:
        """Returns when to come back."""
        situation = self._situation
        if not situation.is_going or not situation.is_current:
            return now_ms + _IDLE_MS
        if not situation.peers:
            self._go_on(tx, now_ms)
            return now_ms + _IDLE_MS
        self._until_ms = self._until_ms or now_ms + situation.settings.depart_ms
        self._give_back(tx)
        clean = self._has_handed_over(tx, heads)
        if clean or now_ms >= self._until_ms:
            keeps_seat = situation.service is Service.SHUTDOWN
            self._membership.propose(tx, Expel(situation.me, keeps_seat, clean), "", False, now_ms)
        return now_ms + _LOOK_MS

    def _go_on(self, tx: StoreTransaction, now_ms: int) -> None:
        """Who is the last one has not left: two were told to go at once, and the other one has
        gone. There is nobody to hand over to, and nobody who would have a departure decided."""
        situation = self._situation
        assert situation.group is not None
        tx.set_service(Service.RUNNING)
        situation.service = Service.RUNNING
        self._membership.stay()
        self._until_ms = 0
        words = f"member {situation.me} is the last one of {situation.group.name}"
        tx.audit("", "resumed", words, now_ms // 1000)
        situation.count("departures_void")
        situation.alarms.append(f"{words}: it serves on, nobody would be left to")

    def _give_back(self, tx: StoreTransaction) -> None:
        if not self._poll.is_idle:
            return
        free = self._free(tx)
        if free and self._situation.peers:
            self._poll.give_back(tx, free[:POLL_RANGES_MAX])

    def _free(self, tx: StoreTransaction) -> list[Span]:
        """What this member owns and has not bound: an ownership ends with its first binding."""
        return self._poll.free(tx, [(0, ranges.ADDRESS_MAX)])

    def _has_handed_over(self, tx: StoreTransaction, heads: dict[StreamId, StreamHead]) -> bool:
        situation = self._situation
        own = heads.get(situation.own_stream)
        applied = own.applied if own else 0
        under_way = (AddressState.POLLING, AddressState.TRANSFERRING)
        return (
            all(
                peer.told
                and not peer.owes_me
                and peer.vector.get(situation.own_stream, 0) >= applied
                for peer in situation.peers.values()
            )
            and self._taker.is_idle
            and not any(row.state in under_way for row in tx.address_ranges(0, ranges.ADDRESS_MAX))
            and not self._free(tx)
            and situation.group is not None
            and not is_sole_witness(tx, situation.me, situation.group)
            and not holds_for_absent(tx, situation.group)
        )
