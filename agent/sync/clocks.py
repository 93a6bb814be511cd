"""The clock after a reboot, and how far the peers' clocks are (docs/protocol.md, "Clocks").

While a machine is up its member's clock is the boot-time clock and nothing moves it. Over a reboot
only the wall clock says how long it was down, and it may have been stepped. So the member's clock
goes on from where it was noted last, and moves on by the time that its own wall clock claims only
as far as a peer confirms it: the peer's clock has moved on against what the offset to it was
before. It moves before this member serves anybody, never later: a lease given since would end
early. Where nobody confirms, leases last longer by the time that the machine was down.

Wall clocks are compared for people only. `ALARM_MS` of difference is told once, and once when it
is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from agent.model import Local, MemberId
from agent.port import StoreTransaction
from agent.sync.hello import Peer
from agent.sync.messages import Hello
from agent.sync.situation import Situation

ALARM_MS = 30_000
_RIGHT_AGAIN_MS = 20_000
"""Well below, so that a clock at the edge, measured through a network, is not told of every second.
"""
_SETTLE_MS = 3_000
"""Both processes of a member read the clock's anchor anew every second."""


@dataclass(frozen=True, slots=True)
class ClockNote:
    """`unconfirmed_ms`: how long the wall clock claims that the machine was down. `before`: the
    peers' clocks minus mine, as noted before that."""

    unconfirmed_ms: int
    before: Mapping[MemberId, int]


NO_CLOCK_NOTE = ClockNote(0, {})


class Clocks:
    def __init__(
        self, situation: Situation, unconfirmed_ms: int, before: Mapping[MemberId, int]
    ) -> None:
        self._situation = situation
        self._before = before
        self._confirmed_ms = 0
        self._moved_until_ms = 0
        self._alarmed: set[MemberId] = set()
        self.unconfirmed_ms = unconfirmed_ms
        self.wall_ahead_ms = 0

    def hear(self, peer: Peer, hello: Hello) -> None:
        if self.unconfirmed_ms and peer.member in self._before:
            told = peer.clock_offset_ms + hello.unconfirmed_ms - self._before[peer.member]
            self._confirmed_ms = max(self._confirmed_ms, min(told, self.unconfirmed_ms))
        peer.offset_ms = peer.clock_offset_ms + hello.wall_ahead_ms - self.wall_ahead_ms
        self._watch(peer)

    def _watch(self, peer: Peer) -> None:
        far = abs(peer.offset_ms) >= ALARM_MS
        if far and peer.member not in self._alarmed:
            self._alarmed.add(peer.member)
            self._situation.count("clock_alarms")
            self._situation.alarms.append(
                f"the clock of member {peer.member} is {peer.offset_ms / 1000:+.0f} s from this"
                " one; no lease depends on it, but one of the two is wrong"
            )
        elif abs(peer.offset_ms) < _RIGHT_AGAIN_MS and peer.member in self._alarmed:
            self._alarmed.discard(peer.member)
            self._situation.alarms.append(f"the clock of member {peer.member} is right again")

    def claimed_ms(self, now_ms: int) -> int:
        """What to tell the peers that has passed beside what my clock shows."""
        if now_ms < self._moved_until_ms - _SETTLE_MS:
            return self._confirmed_ms  # the anchor has moved, my processes do not know it yet
        return self.unconfirmed_ms

    def give_up(self) -> None:
        """What is not confirmed by now will never count."""
        if self._confirmed_ms < self.unconfirmed_ms - ALARM_MS:
            self._situation.alarms.append(
                f"the wall clock says that {self.unconfirmed_ms // 1000} s have passed since this"
                f" member ran last, of which peers confirm {self._confirmed_ms // 1000}: leases"
                " are kept for the rest too"
            )
        self.unconfirmed_ms = 0

    def settle(self, tx: StoreTransaction, now_ms: int) -> None:
        """Move the clock on by what is confirmed, once; what is not confirmed by now never counts.
        Before that no instant of the others' is written down, and what this store began to wait for
        since the machine is up it waits for as long after."""
        if not self.unconfirmed_ms:
            return
        if self._confirmed_ms:
            tx.advance_clock(self._confirmed_ms)
            seconds = self._confirmed_ms // 1000
            self._situation.count("clock_moved_s", seconds)
            self._moved_until_ms = now_ms + self._confirmed_ms + _SETTLE_MS
            local = tx.local()
            _wait_on(tx, local, seconds)
            left_s = max(0, local.unseen_s - seconds)
            tx.set_unseen(local.unseen_at if left_s else 0, left_s)
        self.give_up()

    def is_settled(self, now_ms: int) -> bool:
        """Whether the clock stays as it is, and both processes have read it anew."""
        return not self.unconfirmed_ms and now_ms >= self._moved_until_ms


def _wait_on(tx: StoreTransaction, local: Local, seconds: int) -> None:
    """The clock moves by so much: what has begun since the boot ends so much later."""
    since = local.unseen_at
    for lost in tx.lost_stores().values():
        if lost.at >= since:
            tx.put_lost_store(replace(lost, at=lost.at + seconds))
    for one in tx.quarantines():
        if one.at >= since:
            tx.put_quarantine(replace(one, at=one.at + seconds))
    if local.recovery:
        tx.set_recovery(local.recovery, local.holds_until + seconds, local.tries_until)
