"""Whom of its group a member can ask for a vote now, and in words why that is not enough."""

from __future__ import annotations

from agent.errors import PeerError
from agent.model import MemberId
from agent.sync.situation import Situation


def has_majority(situation: Situation, now_ms: int) -> bool:
    group = situation.group
    assert group is not None
    return 2 * _voters(situation, now_ms) > len(group.current)


def _voters(situation: Situation, now_ms: int) -> int:
    """How many members can be asked for their vote, as far as I know."""
    peers = situation.peers
    votes = [_is_heard(situation, one, now_ms) and peer.votes for one, peer in peers.items()]
    return sum(votes) + situation.votes


def _is_heard(situation: Situation, member: MemberId, now_ms: int) -> bool:
    peer = situation.peers.get(member)
    if peer is None or not peer.heard_at_ms:
        return False
    return now_ms - peer.heard_at_ms <= situation.dead_ms


def why_no_majority(situation: Situation, now_ms: int) -> str:
    assert situation.group is not None
    voters, members = _voters(situation, now_ms), len(situation.group.current)
    mute = [one for one in situation.peers if _is_heard(situation, one, now_ms)]
    mute = [one for one in mute if not situation.peers[one].votes]
    if not situation.votes:
        mute.append(situation.me)
    why = ""
    if mute:
        listed = ", ".join(map(str, sorted(mute)))
        why = f" ({listed}: not voting until it has heard every other member)"
    return (
        f"{voters} of {members} members are no majority{why}: only force decides here, "
        "if the others are known to be dead"
    )


def why_not_voting(situation: Situation) -> str:
    waits = [str(one) for one, peer in situation.peers.items() if not peer.confided]
    state = "is recovering" if situation.recovering else "has not been confirmed yet"
    until = f", and waits for member {', '.join(waits)}" if waits else ""
    return (
        f"member {situation.me} {state}{until}: it decides nothing before; ask another member, "
        "or force those out that are known to be dead"
    )


def check_silent(situation: Situation, member: MemberId, now_ms: int) -> None:
    """PeerError where that member lives: heard here, or by a member that can be reached. One link
    that is cut is no death."""
    peers = situation.peers
    found = ""
    if _is_heard(situation, member, now_ms):
        found = f"was heard {(now_ms - peers[member].heard_at_ms) / 1000:.1f} s ago"
    by = [p.member for p in peers.values() if p.reachable and member in (p.hears or ())]
    if not found and by:
        found = f"is heard by member {by[0]}"
    if found:
        raise PeerError(
            "member_alive",
            f"member {member} {found}: let it leave or shut down; "
            "force is for a member that is known to be dead",
        )
