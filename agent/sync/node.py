"""One member of the cluster: requests, answers and time in; rows and requests out.

`Node` decides and never waits. The shell gives it a transaction for each call and takes what is
to be sent only after that transaction has committed, so nothing that a message promises can be lost
by its sender (protocol.md 7). The node's own state is memory that any restart may lose; after a
StoreError the shell must make a new one, because the memory may then be ahead of the store.

Parts: `hello` the two machines of a peer, `stream` push and taking in, `pull` asking for what is
lacking, `digest` the proof of agreement, `poll` and `keeper` the stock of addresses, `group` the
membership. Each part's `tick` does what is due and tells when it wants to be called again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from agent.errors import PeerError
from agent.model import Member, MemberId, StreamHead, StreamId
from agent.port import StoreTransaction
from agent.sync import messages as m
from agent.sync.digest import Digest
from agent.sync.group import Membership
from agent.sync.hello import AlignState, LinkState, Peer
from agent.sync.keeper import Keeper
from agent.sync.poll import Poll
from agent.sync.pull import Pull
from agent.sync.situation import Settings, Situation, vector_of
from agent.sync.stream import (
    Push,
    receive_update,
    serve_blocks,
    serve_changes,
    serve_streams,
)

__all__ = ["Node", "PeerStatus", "Settings"]

_REFRESH_REASONS = ("generation", "no_group", "unknown_member")


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """What the MIB shows of a peer. `lacks`: changes of mine that it has not acknowledged."""

    member: MemberId
    incarnation: int
    link: LinkState
    align: AlignState
    serving: bool
    heard_at_ms: int
    offset_ms: int
    lacks: int


class Node:
    """See the module. Times are the member's clock in milliseconds."""

    def __init__(self, member: MemberId, random: Random, settings: Settings | None = None) -> None:
        self._situation = situation = Situation(member, random, settings or Settings())
        self._push = Push(situation)
        self._pull = Pull(situation)
        self._digest = Digest(situation)
        self._poll = Poll(situation)
        self._keeper = Keeper(situation, self._poll)
        self._membership = Membership(situation)
        self._due_ms = 0
        self._hello_at_ms = 0
        self._repair_at_ms = 0
        self._own_applied = 0
        self._began_ms = 0
        self._silent: frozenset[MemberId] | None = None

    # --- requests of peers

    def handle_request(self, tx: StoreTransaction, request: m.Request, now_ms: int) -> m.Response:
        """Answer a peer. PeerError where the request is not acceptable now; then nothing of it
        has been written. The answer may leave only after the commit."""
        situation = self._load(tx)
        if isinstance(request, m.GroupQuery):
            return m.GroupAnswer(situation.group)
        if isinstance(request, m.GroupCommit):
            committed = self._membership.receive_commit(tx, request)
            self._after_membership(tx)
            return committed
        peer = self._check(request.header, now_ms)
        response = self._answer(tx, peer, request, now_ms)
        self._after_membership(tx)
        return response

    def _check(self, header: m.Header, now_ms: int) -> Peer:
        try:
            peer = self._situation.check(header)
        except PeerError as error:
            self._situation.count(f"refused_{error.reason}")
            if error.reason == "generation":
                self._membership.refresh(header.sender)
                self._wake(now_ms)
            raise
        self._membership.heard_same_generation(header.sender)
        peer.heard(now_ms)
        if peer.incarnation != header.incarnation:
            peer.incarnation = header.incarnation
            peer.told = False
            peer.vector = {}
        return peer

    def _answer(
        self, tx: StoreTransaction, peer: Peer, request: m.Request, now_ms: int
    ) -> m.Response:
        if isinstance(request, m.Hello):
            return self._hear(tx, peer, request, now_ms)
        if isinstance(request, m.BindingUpdate):
            return receive_update(tx, self._situation, request)
        if isinstance(request, m.ChangePull):
            return serve_changes(tx, request)
        if isinstance(request, m.BlockPull):
            return serve_blocks(tx, request)
        if isinstance(request, m.StreamQuery):
            return serve_streams(tx)
        if isinstance(request, m.PollAsk):
            return self._poll.answer_ask(tx, request, now_ms)
        if isinstance(request, m.PollReserve):
            return self._poll.answer_reserve(tx, request, now_ms)
        if isinstance(request, m.PollAbort):
            return self._poll.receive_abort(tx, request)
        if isinstance(request, m.BallotPrepare):
            return self._membership.answer_prepare(tx, request)
        assert isinstance(request, m.BallotAccept)
        return self._membership.answer_accept(tx, request)

    def _hear(
        self, tx: StoreTransaction, peer: Peer, hello: m.Hello, now_ms: int
    ) -> m.Acknowledged:
        was_told = peer.told
        peer.told = True
        peer.vector = dict(hello.vector)
        peer.serving = hello.serving
        peer.digest = hello.digest
        peer.offset_ms = hello.sent_at - now_ms
        if self._situation.me in hello.heard:
            peer.hears_me(now_ms)
        peer.judge(now_ms, self._situation.settings.dead_ms)
        if not was_told:
            self._hello_at_ms = min(self._hello_at_ms, now_ms)
        self._compare_digests(tx, peer, now_ms)
        self._wake(now_ms)
        return m.Acknowledged()

    def _compare_digests(self, tx: StoreTransaction, peer: Peer, now_ms: int) -> None:
        """Equal vectors and different digests: somebody lacks what he claims; repair."""
        if not peer.digest or now_ms < self._repair_at_ms:
            return
        mine = self._digest.of(peer.vector)
        if mine and mine != peer.digest:
            self._situation.count("digest_mismatches")
            self._repair_at_ms = now_ms + self._situation.settings.repair_ms
            self._pull.want_full(peer.member)

    # --- answers of peers

    def handle_response(
        self,
        tx: StoreTransaction,
        to: MemberId,
        request: m.Request,
        response: m.Response | PeerError | None,
        now_ms: int,
    ) -> None:
        """The answer to a request of mine; None: nothing came in time. Answers that come late or
        twice, or to a question of an earlier life, are harmless."""
        situation = self._load(tx)
        peer = situation.peers.get(to)
        if isinstance(response, PeerError) and response.reason in _REFRESH_REASONS:
            self._membership.refresh(to)
        current = request.header.generation == situation.generation
        answered = response is not None and not isinstance(response, PeerError)
        if peer is not None and current and answered:
            peer.heard(now_ms)
            peer.hears_me(now_ms)
        if isinstance(request, m.BindingUpdate):
            good = isinstance(response, m.Acknowledged)
            too_big = isinstance(response, PeerError) and response.reason == "too_big"
            self._push.answered(to, request, good, too_big, now_ms)
        elif isinstance(request, m.ChangePull | m.StreamQuery | m.BlockPull):
            self._pull.answered(tx, to, request, response, now_ms)
        elif isinstance(request, m.PollAsk | m.PollReserve | m.PollAbort):
            self._poll.answered(tx, to, request, response, now_ms)
        elif not isinstance(request, m.Hello):
            self._membership.answered(tx, to, request, response, now_ms)
            self._after_membership(tx)
        if not isinstance(request, m.Hello):
            self._wake(now_ms)

    # --- time and the store

    def handle_timer(self, tx: StoreTransaction, now_ms: int) -> None:
        """Do what is due at `now_ms`."""
        situation = self._load(tx)
        heads = tx.streams()
        own = heads.get(situation.own_stream)
        self._own_applied = own.applied if own else 0
        for peer in situation.peers.values():
            peer.judge(now_ms, situation.settings.dead_ms)
            peer.compare(vector_of(heads))
        self._note_silent_members(tx, now_ms)
        due = [
            self._membership.tick(tx, heads, now_ms),
            self._poll.tick(tx, now_ms),
            self._keeper.tick(tx, self._own_applied, now_ms),
        ]
        if situation.group is not None:
            due += [
                self._push.tick(tx, heads, now_ms),
                self._pull.tick(tx, heads, now_ms),
                self._digest.tick(tx, heads, now_ms),
            ]
            self._say_hello(heads, now_ms)
            due.append(self._hello_at_ms)
        changed = self._membership.changed
        self._after_membership(tx)
        if changed:
            due.append(now_ms)
        if situation.counters:
            tx.add_counters({f"cluster_{k}": v for k, v in situation.counters.items()})
            situation.counters.clear()
        self._due_ms = min(due)

    def _note_silent_members(self, tx: StoreTransaction, now_ms: int) -> None:
        """Write down which members nothing is heard of, when that has changed. After a start
        nothing has been heard of anybody, which says nothing yet."""
        settings = self._situation.settings
        self._began_ms = self._began_ms or now_ms
        if now_ms - self._began_ms <= settings.dead_ms:
            return
        silent = frozenset(
            peer.member
            for peer in self._situation.peers.values()
            if now_ms - peer.heard_at_ms > settings.dead_ms
        )
        if silent != self._silent:
            tx.set_silent_members(silent)
            self._silent = silent

    def _say_hello(self, heads: dict[StreamId, StreamHead], now_ms: int) -> None:
        if now_ms < self._hello_at_ms:
            return
        situation = self._situation
        self._hello_at_ms = now_ms + situation.settings.hello_ms
        vector = vector_of(heads)
        heard = tuple(
            peer.member
            for peer in situation.peers.values()
            if peer.link in (LinkState.UNIDIRECTIONAL, LinkState.BIDIRECTIONAL)
        )
        digest = self._digest.of(vector)
        for peer in situation.peers:
            hello = m.Hello(situation.header(), vector, heard, now_ms, situation.serving, digest)
            situation.send(peer, hello)

    def next_timer(self) -> int:
        """When `handle_timer` wants to be called next."""
        return self._due_ms

    def notice_store_change(self) -> None:
        """The engine, or a SET, has committed something: look at once."""
        self._due_ms = 0

    def take_requests(self) -> list[tuple[MemberId, m.Request]]:
        """What is to be sent; only after the transaction in which it arose has committed."""
        taken = self._situation.outbox
        self._situation.outbox = []
        return taken

    # --- what people ask for and see

    def propose_join(self, tx: StoreTransaction, member: Member, now_ms: int) -> None:
        """Have `member` in the group, by ballot; PeerError tells why that cannot be."""
        self._load(tx)
        self._membership.propose_join(member, now_ms)
        self._wake(now_ms)

    def proposed(self) -> list[Member]:
        """Members whose joining is being decided."""
        return self._membership.wishes

    def peer_status(self) -> list[PeerStatus]:
        own_stream = self._situation.own_stream
        applied = self._own_applied
        return [
            PeerStatus(
                peer.member,
                peer.incarnation,
                peer.link,
                peer.align,
                peer.serving,
                peer.heard_at_ms,
                peer.offset_ms,
                max(0, applied - peer.vector.get(own_stream, 0)),
            )
            for peer in self._situation.peers.values()
        ]

    def free_addresses(self) -> dict[tuple[int, int], int]:
        """Free addresses of this member by pool (first, last), as counted last."""
        return self._keeper.free()

    # ---

    def _load(self, tx: StoreTransaction) -> Situation:
        if not self._situation.loaded:
            self._situation.load(tx)
        return self._situation

    def _wake(self, now_ms: int) -> None:
        self._due_ms = min(self._due_ms, now_ms)

    def _after_membership(self, tx: StoreTransaction) -> None:
        if not self._membership.changed:
            return
        self._membership.changed = False
        self._began_ms = 0
        parts: list[Callable[[], None]] = [
            self._push.reset,
            self._pull.reset,
            self._digest.reset,
            self._keeper.reset,
        ]
        for reset in parts:
            reset()
        self._poll.reset(tx)
        self._hello_at_ms = 0
        self._due_ms = 0
