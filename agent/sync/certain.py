"""Whether the others may have declared this member dead: draft 2.3.1, a server MUST learn of that
before it serves.

A majority may remove a member that is down, or an operator who knows that it is. The others then
hold back what it may have given, by binding and by promise (agent/sync/recover.py), and after that
give its addresses to their own clients. While a member runs nobody can truthfully say that it is
dead. When it starts, or goes on after its machine stood still, they may have said so at any time
since it ran last: at `certain_until`. Until it has heard a majority of its group under the
generation that it knows, it gives only what the others still hold back even then. That is the lead
bound (agent/dhcp/lease.py), counted from that instant instead of from now: its own clients renew
what the others have recorded, and up to MUL after it ran last it has addresses for new ones.

A majority that has said so has a member in every other one; where that one has voted for it and
does not know yet that it was chosen, the vote is told (agent/sync/ballot.py). A member that has
lost its store says nothing here: it may have forgotten its vote.

Who is alone in its group has nobody to hear. It is certain where it decided itself that it is
alone, or where all that it calls out have answered. `vouch` (agent/sync/start.py) is an operator's
word for the next start, `end_wait` one for now.
"""

from __future__ import annotations

from agent.port import StoreTransaction
from agent.sync.situation import Situation, is_being_expelled


class Certainty:
    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._ran_at_ms = 0
        self._listens_at_ms = 0

    def note_time(self, tx: StoreTransaction, now_ms: int) -> None:
        """The node is called, as it is at least at every Hello. Where that was too long ago, this
        machine stood still, as one that is paused does, and others may have called it dead."""
        situation = self._situation
        before, self._ran_at_ms = self._ran_at_ms, now_ms
        stood_still = before and now_ms - before > situation.dead_ms + situation.hello_ms
        if not stood_still or not situation.peers or not situation.certain:
            return
        situation.count("stood_still")
        self._listens_at_ms = now_ms + situation.dead_ms
        self._set(tx, max(1, before // 1000))

    def tick(self, tx: StoreTransaction, now_ms: int) -> None:
        situation = self._situation
        if self._listens_at_ms:
            if now_ms < self._listens_at_ms:
                return
            self._listens_at_ms = 0
            for peer in situation.peers.values():
                peer.told = peer.confided = False  # they may have said it before this machine stood
        if situation.certain or not situation.is_current or is_being_expelled(tx, situation):
            return
        if self._is_certain():
            situation.count("certain_again")
            self._set(tx, 0)

    def _is_certain(self) -> bool:
        situation = self._situation
        if not situation.peers:
            return {member.member for member in situation.others_out()} <= situation.answered
        heard = sum(
            peer.told and peer.intact and (peer.confided or situation.votes)
            for peer in situation.peers.values()
        )
        return 2 * (heard + 1) > len(situation.peers) + 1

    def _set(self, tx: StoreTransaction, until: int) -> None:
        tx.set_certain(until)
        self._situation.load(tx, keep_peers=True)
