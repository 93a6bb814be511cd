"""A member that listens where the others do not look for it (docs/protocol.md, "Membership").

Its address is a part of the group's value, and changed by decision like any other. What a member
sends from elsewhere arrives all the same, and is answered, so the others would take it for one that
they reach: they would send it leases that never arrive, and ask it in polls that never end. So it
behaves as one that is cut off: it says nothing, and asks each of the others for the group, which is
told by whoever has it, until that has the address at which it listens.

Alone it decides that itself. Otherwise the others do, when an operator says so at one of them.
"""

from __future__ import annotations

from agent.addresses import format_place
from agent.model import MemberState
from agent.port import StoreTransaction
from agent.sync.group import Membership
from agent.sync.recover import Recovery
from agent.sync.situation import Situation


class Seeking:
    """What the node does instead of everything else while it is misplaced."""

    def __init__(self, situation: Situation, membership: Membership, recovery: Recovery) -> None:
        self._situation = situation
        self._membership = membership
        self._recovery = recovery
        self._ask_at_ms = 0
        self._said = ""

    def tick(self, tx: StoreTransaction, now_ms: int) -> int:
        situation, group = self._situation, self._situation.group
        assert group is not None, "who is in no group is looked for by nobody"
        self._say()
        if now_ms >= self._ask_at_ms:
            self._ask_at_ms = now_ms + situation.hello_ms
            for member in group.members:
                if member.state is not MemberState.REMOVED:
                    self._membership.refresh(member.member)
        due = min(self._ask_at_ms, self._membership.attend(tx, now_ms))
        if situation.peers:
            return due
        return min(due, self._recovery.tick(tx, now_ms))

    def _say(self) -> None:
        """Once for each two places."""
        situation = self._situation
        own = situation.group.member(situation.me) if situation.group else None
        assert own is not None
        assert situation.listens_at is not None
        known, here = format_place(own.address, own.port), format_place(*situation.listens_at)
        words = (
            f"the group reaches this member at {known}, and it listens at {here}, where nothing"
            f" arrives. If it has moved, have the group decide so, by another member: `dhcpsync"
            f" member readdress {own.name} {here} --address A`; if not, put {known} back into"
            " member.toml, and start it again"
        )
        if words != self._said:
            self._said = words
            situation.alarms.append(words)
