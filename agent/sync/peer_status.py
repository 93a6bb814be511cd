"""How this member stands to each other one, for people: nothing is decided by it."""

from __future__ import annotations

from dataclasses import dataclass

from agent.model import MemberId, Trouble
from agent.sync.endpoint import Endpoint, Standing, endpoint_state
from agent.sync.hello import AlignState, LinkState, Peer
from agent.sync.situation import Situation


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """What the MIB shows of a peer. `lacks`: changes of mine that it has not acknowledged.
    `joining`: it has not served since it joined, or since it lost its store."""

    member: MemberId
    incarnation: int
    link: LinkState
    align: AlignState
    serving: bool
    heard_at_ms: int
    offset_ms: int
    lacks: int
    endpoint: Endpoint
    joining: bool
    trouble: Trouble


def peer_statuses(situation: Situation, applied: int) -> list[PeerStatus]:
    """`applied`: how far this member's own stream has come."""
    return [
        PeerStatus(
            peer.member,
            peer.incarnation,
            peer.link,
            peer.align,
            peer.serving,
            peer.heard_at_ms,
            peer.offset_ms,
            max(0, applied - peer.holds(situation.own_stream)),
            _endpoint(situation, peer),
            peer.told and not peer.intact,
            peer.trouble,
        )
        for peer in situation.peers.values()
    ]


def _endpoint(situation: Situation, peer: Peer) -> Endpoint:
    is_database = peer.member not in situation.pollers
    standing = Standing(
        i_serve=situation.joined,
        its_service=peer.service,
        it_serves=peer.serving or is_database,
        heard_since_start=bool(peer.heard_at_ms),
        both_ways=peer.reachable,
        covered=peer.told and peer.align is AlignState.ALIGNED,
        disputed=peer.disputed,
    )
    return endpoint_state(standing)
