"""What the parts of a node share: who I am, my group, my peers, and what is to be sent.

All of it is memory. It is loaded from the store by the first call, and everything in it that a
promise rests on was durable before. After a StoreError the shell throws the node away and makes
a new one, which is the same as a restart and as safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from agent.errors import PeerError
from agent.model import Group, Member, MemberId, MemberState, StreamHead, StreamId, stream_id
from agent.port import StoreTransaction
from agent.sync.hello import Peer
from agent.sync.messages import Header, Request
from agent.sync.version import membership_hash


@dataclass(frozen=True, slots=True)
class Settings:
    """Intervals of the cluster protocol, in milliseconds; a test may shorten or stretch them."""

    hello_ms: int = 1_000
    dead_ms: int = 3_500
    push_retry_ms: int = 1_000
    push_pace_ms: int = 100
    push_chance_ms: int = 1_500
    acknowledge_ms: int = 200
    poll_retry_ms: int = 500
    poll_retry_max_ms: int = 10_000
    abort_retry_ms: int = 1_000
    verify_ms: int = 10_000
    ballot_ms: int = 5_000
    wish_ms: int = 60_000
    digest_ms: int = 10_000
    digest_rows: int = 500
    repair_ms: int = 30_000
    trim_ms: int = 60_000


class Situation:
    """See the module. `load` must have been called before anything else is read."""

    def __init__(self, member: MemberId, random: Random, settings: Settings) -> None:
        self.me = member
        self.random = random
        self.settings = settings
        self.loaded = False
        self.group: Group | None = None
        self.group_hash = b""
        self.incarnation = 0
        self.engine_id = b""
        self.serving = False
        self.peers: dict[MemberId, Peer] = {}
        self.outbox: list[tuple[MemberId, Request]] = []
        self.counters: dict[str, int] = {}

    def load(self, tx: StoreTransaction) -> None:
        local = tx.local()
        self.incarnation = local.incarnation
        self.engine_id = local.engine_id
        self.serving = local.serving
        self.loaded = True
        self.take_group(tx.group())

    def take_group(self, group: Group | None) -> None:
        """Forget every peer: what it said was said under another generation."""
        self.group = group
        self.group_hash = membership_hash(group) if group else b""
        self.peers = {member.member: Peer(member.member) for member in self.others()}

    def others(self) -> list[Member]:
        """The other current members of the group."""
        if self.group is None:
            return []
        return [
            member
            for member in self.group.members
            if member.member != self.me and member.state is not MemberState.REMOVED
        ]

    @property
    def own_stream(self) -> StreamId:
        return stream_id(self.me, self.incarnation)

    @property
    def generation(self) -> int:
        return self.group.generation if self.group else 0

    @property
    def all_reachable(self) -> bool:
        return all(peer.reachable and peer.told for peer in self.peers.values())

    def header(self) -> Header:
        return Header(self.me, self.incarnation, self.generation, self.group_hash)

    def send(self, to: MemberId, request: Request) -> None:
        self.outbox.append((to, request))

    def count(self, name: str, number: int = 1) -> None:
        self.counters[name] = self.counters.get(name, 0) + number

    def check(self, header: Header) -> Peer:
        """The peer that speaks; PeerError where it may not speak to me now (protocol.md 8)."""
        if self.group is None:
            raise PeerError("no_group", f"member {self.me} is in no group yet")
        member = self.group.member(header.sender)
        if member is None or header.sender == self.me:
            raise PeerError(
                "unknown_member",
                f"{header.sender} is not in generation {self.generation} of {self.group.name}",
            )
        if member.state is MemberState.REMOVED:
            raise PeerError("removed", f"{header.sender} was removed from {self.group.name}")
        if header.generation != self.generation or header.membership_hash != self.group_hash:
            raise PeerError(
                "generation", f"{header.generation} where this member has {self.generation}"
            )
        return self.peers[header.sender]


def vector_of(heads: dict[StreamId, StreamHead]) -> dict[StreamId, int]:
    """Streams of which nothing is held are left out, so that equal holdings are equal vectors."""
    return {stream: head.applied for stream, head in heads.items() if head.applied}
