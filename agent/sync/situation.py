"""What the parts of a node share: who I am, my group, my peers, and what is to be sent.

All of it is memory. It is loaded from the store by the first call, and everything in it that a
promise rests on was durable before. After any failure but a PeerError the shell throws the node
away and makes a new one, which is the same as a restart and as safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from agent.errors import PeerError
from agent.limits import NOTICES_MAX
from agent.model import (
    NO_MARK,
    Group,
    LostStore,
    Member,
    MemberId,
    MemberRole,
    MemberState,
    Service,
    StoreMark,
    StreamHead,
    StreamId,
    stream_id,
)
from agent.port import StoreTransaction
from agent.sync.hello import Peer
from agent.sync.messages import Header, Request
from agent.sync.notices import Notice
from agent.sync.version import membership_hash


@dataclass(frozen=True, slots=True)
class Settings:
    """Intervals of the cluster protocol, in milliseconds; a test may shorten or stretch them."""

    hello_ms: int = 1_000
    dead_ms: int = 3_500
    hello_peers: int = 4
    push_retry_ms: int = 1_000
    push_pace_ms: int = 100
    push_chance_ms: int = 1_500
    acknowledge_ms: int = 200
    poll_retry_ms: int = 500
    poll_retry_max_ms: int = 10_000
    abort_retry_ms: int = 1_000
    verify_ms: int = 10_000
    exhausted_ms: int = 5_000
    transfer_again_ms: int = 5_000
    ballot_ms: int = 5_000
    wish_ms: int = 60_000
    digest_ms: int = 10_000
    digest_rows: int = 500
    repair_ms: int = 30_000
    trim_ms: int = 60_000
    witness_ms: int = 4_000
    depart_ms: int = 30_000


class Situation:
    """See the module. `load` must have been called before anything else is read."""

    def __init__(
        self,
        member: MemberId,
        random: Random,
        settings: Settings,
        listens_at: tuple[int, int] | None = None,
    ) -> None:
        self.me = member
        self.listens_at = listens_at
        """Address and port of this member's agent; None: wherever the group says."""
        self.random = random
        self.settings = settings
        self.loaded = False
        self.group: Group | None = None
        self.group_hash = b""
        self.incarnation = 0
        self.engine_id = b""
        self.serving = False
        self.joined = False
        """Whether this store has held all that the others held since it entered the group; a
        server then serves, a database member never does."""
        self.unconfirmed = False
        self.recovering = False
        self.holds_until_ms = 0
        self.polls_wait_until_ms = 0
        self.service = Service.RUNNING
        self.takes_records = True
        """Not before the clock stays as it is: instants of the others' would move with it."""
        self.certain = True
        """Whether nobody can have declared this member dead (agent/sync/certain.py)."""
        self.took_group_ms = 0
        self.lost: dict[MemberId, LostStore] = {}
        self.remembered: dict[MemberId, StoreMark] = {}
        self.is_current = False
        """Whether I take part in my group."""
        self.peers: dict[MemberId, Peer] = {}
        self._slower = 1
        self.answered: set[MemberId] = set()
        """Members that are out of the group, or that I cannot hear, and have shown me theirs since
        I took the present one."""
        self.caught_up = False
        """Holds what the others hold, and does not serve: it may be out (`is_being_expelled`)."""
        self.outgrown = 0
        """A generation of which rows are about, above that of my group; 0: none."""
        self.came_to_light: list[int] = []
        """Addresses of which a binding was taken in that a lost store had made, and told late."""
        self.outbox: list[tuple[MemberId, Request]] = []
        self.notices: list[Notice] = []
        self.alarms: list[str] = []
        self.counters: dict[str, int] = {}

    def load(self, tx: StoreTransaction, *, keep_peers: bool = False) -> None:
        local = tx.local()
        self.incarnation = local.incarnation
        self.engine_id = local.engine_id
        self.unconfirmed = local.unconfirmed
        self.recovering = bool(local.recovery)
        self.holds_until_ms = local.holds_until * 1000
        ends = [one.at + one.mul_s for one in tx.quarantines()]
        self.polls_wait_until_ms = max(ends, default=0) * 1000
        self.service = local.service
        self.certain = local.certain_until == 0
        self.lost = tx.lost_stores()
        self.remembered = tx.remembered_stores()
        self.loaded = True
        if not keep_peers:
            self.take_group(tx.group())
        self.serving = local.serving and not self.is_database
        self.joined = local.serving or (self.is_database and local.serving_since > 0)

    def take_group(self, group: Group | None) -> None:
        """Forget every peer: what it said was said under another generation."""
        self.group = group
        self.answered = set()
        self.caught_up = False
        self.group_hash = membership_hash(group) if group else b""
        own = group.member(self.me) if group else None
        self.is_current = own is not None and own.is_current
        self.peers = {member.member: Peer(member.member) for member in self.others()}
        self._slower = max(1, -(-len(self.peers) // self.settings.hello_peers))

    def others(self) -> list[Member]:
        """The other current members of the group; none for a member that is out of it."""
        if self.group is None or not self.is_current:
            return []
        return [
            member
            for member in self.group.members
            if member.member != self.me and member.is_current
        ]

    def others_out(self) -> list[Member]:
        """Those that my group lists and that do not take part in it; all others, where I do not."""
        if self.group is None:
            return []
        others = (member for member in self.group.members if member.member != self.me)
        return [one for one in others if not (self.is_current and one.is_current)]

    @property
    def is_misplaced(self) -> bool:
        """Whether the others look for me where I do not listen: nothing that they send arrives."""
        own = self.group.member(self.me) if self.group else None
        if own is None or own.state is MemberState.REMOVED or self.listens_at is None:
            return False
        return (own.address, own.port) != self.listens_at

    @property
    def own_stream(self) -> StreamId:
        return stream_id(self.me, self.incarnation)

    @property
    def generation(self) -> int:
        return self.group.generation if self.group else 0

    @property
    def owns_nothing(self) -> bool:
        """Whether I have given up all that I owned, or have never had anything."""
        return self.recovering or not (self.joined or self.unconfirmed or self.caught_up)

    @property
    def votes(self) -> bool:
        """Whether my word counts in a ballot: not while my store may have forgotten what it said in
        one. Alone no more than among others: a copy of an earlier time calls me alone where I am
        not, and what I decided by myself then nobody could undo."""
        holds_all = self.joined or self.caught_up
        return holds_all and not self.recovering and not self.unconfirmed

    @property
    def is_going(self) -> bool:
        """Whether I hand over, to shut down or leave."""
        return self.service in (Service.SHUTDOWN, Service.LEAVING)

    @property
    def is_database(self) -> bool:
        """Whether I only publish configuration: no client, no address of my own."""
        own = self.group.member(self.me) if self.group else None
        return own is not None and own.role is MemberRole.DATABASE

    @property
    def pollers(self) -> list[MemberId]:
        """The other members that own addresses and serve clients: whose agreement makes a poll
        complete. A database member can be away without anybody's stock running out
        (docs/architecture.md, "The seeder")."""
        return [m.member for m in self.others() if m.role is MemberRole.SERVER]

    def relayed_to(self, receiver: MemberId) -> dict[MemberId, dict[StreamId, int]]:
        """What I know to be held by members that `receiver` does not hear: so acknowledgements
        travel around a cut link, over more than one member if need be."""
        hears = self.peers[receiver].hears
        if hears is None or len(hears) == len(self.peers):
            return {}
        streams = [stream_id(p.member, p.incarnation) for p in self.peers.values()]
        return {
            member: {s: peer.holds(s) for s in (*streams, self.own_stream) if peer.holds(s)}
            for member, peer in self.peers.items()
            if member != receiver and member not in hears
        }

    @property
    def all_told(self) -> bool:
        """Whether every peer has said what it holds, and what it remembers of me."""
        return all(peer.told for peer in self.peers.values())

    @property
    def all_reachable(self) -> bool:
        """Whether every member that a poll needs can be asked."""
        peers = [self.peers[member] for member in self.pollers]
        return all(peer.reachable and peer.told for peer in peers)

    @property
    def hello_ms(self) -> int:
        """Everybody greets everybody, which costs the group the square of its size: with more than
        `hello_peers` others it is done so much less often."""
        return self.settings.hello_ms * self._slower

    @property
    def dead_ms(self) -> int:
        """How long a member may be silent before it counts as out of reach."""
        return self.settings.dead_ms * self._slower

    def header(self) -> Header:
        return Header(self.me, self.incarnation, self.generation, self.group_hash)

    def send(self, to: MemberId, request: Request) -> None:
        self.outbox.append((to, request))

    def notify(self, notice: Notice) -> None:
        """Tell the operators, once this transaction has committed."""
        self.notices.append(notice)
        del self.notices[:-NOTICES_MAX]

    def count(self, name: str, number: int = 1) -> None:
        self.counters[name] = self.counters.get(name, 0) + number

    def mark_of(self, member: MemberId) -> StoreMark:
        """How far that member's store has come, as far as I remember."""
        return self.remembered.get(member, NO_MARK)

    def remember(self, tx: StoreTransaction, member: MemberId, mark: StoreMark) -> None:
        """That member's store has told me so: in the transaction that acts on it, so that a store
        of its that does not know of this any more is found out, whatever becomes of me."""
        if mark > self.mark_of(member):
            tx.remember_store(member, mark)
            self.remembered[member] = mark

    def check(self, header: Header) -> Peer:
        """The peer that speaks; PeerError where it may not speak to me now (docs/protocol.md,
        "Membership")."""
        if self.group is None:
            raise PeerError("no_group", f"member {self.me} is in no group yet")
        member = self.group.member(header.sender)
        if member is None or header.sender == self.me:
            raise PeerError(
                "unknown_member",
                f"{header.sender} is not in generation {self.generation} of {self.group.name}",
            )
        if not member.is_current:
            raise PeerError("removed", f"{header.sender} is out of {self.group.name}")
        if not self.is_current:
            raise PeerError("removed", f"member {self.me} itself is out of {self.group.name}")
        if header.generation != self.generation or header.membership_hash != self.group_hash:
            raise PeerError(
                "generation", f"{header.generation} where this member has {self.generation}"
            )
        peer = self.peers[header.sender]
        if header.incarnation < max(peer.incarnation, self.mark_of(peer.member).incarnation):
            raise PeerError(
                "old_incarnation",
                f"{header.incarnation} of member {header.sender}, which has begun a later one",
            )
        return peer


def is_being_expelled(tx: StoreTransaction, situation: Situation) -> bool:
    """Whether this member has accepted, itself or in what it took over from others, that it is out
    of the group: it may be chosen already. Then it does nothing that the others would not know of,
    until that generation is decided."""
    if not situation.is_current:
        return False
    ballot = tx.ballot(situation.generation + 1)
    own = ballot.value.member(situation.me) if ballot and ballot.value else None
    return own is not None and not own.is_current


def vector_of(heads: dict[StreamId, StreamHead]) -> dict[StreamId, int]:
    """Streams of which nothing is held are left out, so that equal holdings are equal vectors."""
    return {stream: head.applied for stream, head in heads.items() if head.applied}
