"""One member of the cluster: requests, answers and time in; rows and requests out.

`Node` decides and never waits. The shell gives it a transaction for each call and takes what is to
be sent only after that transaction has committed, so nothing that a message promises can be lost by
its sender (docs/invariants.md, "I5"). The node's own state is memory that any restart may lose;
after any failure but a PeerError the shell must make a new one, because the memory may be ahead of
the store.

Parts: `hello` the two machines of a peer, `stream` push and taking in, `pull` asking for what is
lacking, `digest` the proof of agreement, `poll`, `promise` and `keeper` the stock of addresses,
`giver` and `transfer` what members give each other of it, `group` the membership. Each part's
`tick` does what is due and tells when it wants to be called again.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from agent.errors import PeerError
from agent.limits import FREE_TOLD_MAX
from agent.model import (
    Member,
    MemberId,
    MemberState,
    Service,
    StoreMark,
    StreamHead,
    StreamId,
    Trouble,
    format_address,
)
from agent.port import StoreTransaction
from agent.sync import messages as m
from agent.sync.ballot import BallotPhase
from agent.sync.certain import Certainty
from agent.sync.change import GroupChange, Join
from agent.sync.clocks import NO_CLOCK_NOTE, ClockNote, Clocks
from agent.sync.conflict import is_conflict, repaired
from agent.sync.departure import Departure
from agent.sync.digest import Digest
from agent.sync.enquiry import Enquiries
from agent.sync.expulsion import follow_loss
from agent.sync.giver import Giver
from agent.sync.group import Membership, Wish
from agent.sync.hello import LinkState, Peer, covers
from agent.sync.keeper import Keeper
from agent.sync.notices import Notice, config_mismatch, group_change, member_state_change
from agent.sync.peer_status import PeerStatus, peer_statuses
from agent.sync.place import Seeking
from agent.sync.poll import Poll
from agent.sync.promise import Promises
from agent.sync.pull import Pull
from agent.sync.recover import Recovery
from agent.sync.release import released
from agent.sync.reserved import Reserved
from agent.sync.situation import Settings, Situation, vector_of
from agent.sync.stream import (
    Push,
    receive_update,
    serve_blocks,
    serve_changes,
    serve_streams,
)
from agent.sync.transfer import Taker

__all__ = ["Node", "Settings"]

_REFRESH_REASONS = ("generation", "no_group", "unknown_member", "removed")
_RETURN_MS = 2_000
"""A member that is down asks for its seat this often, one member after the other."""


class Node:
    """See the module. Times are the member's clock in milliseconds."""

    def __init__(
        self,
        member: MemberId,
        random: Random,
        settings: Settings | None = None,
        clocks: ClockNote = NO_CLOCK_NOTE,
        listens_at: tuple[int, int] | None = None,
    ) -> None:
        settings = settings or Settings()
        self._situation = situation = Situation(member, random, settings, listens_at)
        self._push = Push(situation)
        self._pull = Pull(situation)
        self._digest = Digest(situation)
        self._poll = Poll(situation)
        self._taker = Taker(situation)
        self._promises = Promises(situation, self._poll, self._taker)
        self._enquiries = Enquiries(situation, self._promises)
        reserved = Reserved(situation, self._poll, self._enquiries)
        self._keeper = Keeper(situation, self._poll, self._promises, self._taker, reserved)
        self._giver = Giver(situation, self._keeper)
        self._clocks = Clocks(situation, clocks.unconfirmed_ms, clocks.before)
        situation.takes_records = not clocks.unconfirmed_ms
        self._recovery = Recovery(situation, self._clocks)
        self._membership = Membership(situation, self._recovery)
        self._seeking = Seeking(situation, self._membership, self._recovery)
        self._departure = Departure(situation, self._poll, self._taker, self._membership)
        self._certainty = Certainty(situation)
        self._due_ms = 0
        self._hello_at_ms = 0
        self._greeted: set[MemberId] = set()
        self._said_again: set[MemberId] = set()
        self._repair_at_ms = 0
        self._own_applied = 0
        self._applied: dict[StreamId, int] = {}
        self._began_ms = 0
        self._silent: frozenset[MemberId] | None = None
        self._idle: frozenset[MemberId] = frozenset()
        self._trouble = Trouble.NONE

    # --- requests of peers

    def handle_request(self, tx: StoreTransaction, request: m.Request, now_ms: int) -> m.Response:
        """Answer a peer. PeerError where the request is not acceptable now; then nothing of it
        has been written. The answer may leave only after the commit."""
        situation = self._load(tx)
        self._certainty.note_time(tx, now_ms)
        if isinstance(request, m.GroupQuery):
            return m.GroupAnswer(situation.group)
        if isinstance(request, m.GroupCommit):
            committed = self._membership.receive_commit(tx, request, now_ms)
            self._after_membership(tx)
            self._wake(now_ms)
            return committed
        peer = self._check(tx, request.header, now_ms)
        response = self._answer(tx, peer, request, now_ms)
        if self._poll.yield_to_leases(tx):
            self._wake(now_ms)
        version = 0
        if isinstance(request, m.Hello | m.PollAbort | m.TransferTaken):
            version = request.version
        situation.remember(tx, peer.member, StoreMark(request.header.incarnation, version))
        self._after_membership(tx)
        return response

    def _check(self, tx: StoreTransaction, header: m.Header, now_ms: int) -> Peer:
        situation = self._situation
        try:
            peer = situation.check(header)
        except PeerError as error:
            situation.count(f"refused_{error.reason}")
            if error.reason == "generation":
                self._membership.refresh(header.sender)
                if header.generation == situation.generation:
                    situation.peers[header.sender].disputed = True
            elif error.reason == "removed":
                self._membership.heard_out(tx, header, now_ms)
            self._wake(now_ms)
            raise
        self._membership.heard_same_generation(header.sender)
        peer.heard(now_ms)
        if peer.incarnation != header.incarnation:
            peer.incarnation = header.incarnation
            peer.told = peer.votes = peer.confided = False
            peer.vector = {}
        return peer

    def _answer(
        self, tx: StoreTransaction, peer: Peer, request: m.Request, now_ms: int
    ) -> m.Response:
        if isinstance(request, m.Hello):
            return self._hear(tx, peer, request, now_ms)
        if isinstance(request, m.BindingUpdate):
            return receive_update(tx, self._situation, request, now_ms)
        if isinstance(request, m.ChangePull):
            return serve_changes(tx, request)
        if isinstance(request, m.BlockPull):
            return serve_blocks(tx, request)
        if isinstance(request, m.StreamQuery):
            return serve_streams(tx)
        if isinstance(request, m.PollAsk):
            return self._promises.answer_ask(tx, request, now_ms)
        if isinstance(request, m.PollReserve):
            return self._promises.answer_reserve(tx, request, now_ms)
        if isinstance(request, m.PollAbort):
            return self._promises.receive_abort(tx, request)
        if isinstance(request, m.TransferAsk):
            return self._giver.answer_ask(tx, request, now_ms)
        if isinstance(request, m.TransferTaken):
            return self._giver.receive_taken(tx, request)
        if isinstance(request, m.BallotPrepare):
            return self._membership.ballots.answer_prepare(tx, request)
        assert isinstance(request, m.BallotAccept)
        return self._membership.ballots.answer_accept(tx, request)

    def _hear(
        self, tx: StoreTransaction, peer: Peer, hello: m.Hello, now_ms: int
    ) -> m.Acknowledged:
        was_told = peer.told
        before = (was_told, peer.link, peer.align, peer.serving, peer.intact, peer.trouble)
        peer.told = True
        peer.vector = dict(hello.vector)
        peer.serving = hello.serving
        peer.intact = hello.intact
        peer.service = hello.service
        peer.trouble = hello.trouble
        peer.votes = hello.votes
        self._membership.ballots.take_over(tx, peer, hello)
        peer.digest = hello.digest
        peer.owes_me = self._situation.me in hello.owing
        peer.free = hello.free if len(hello.free) < FREE_TOLD_MAX else peer.free | hello.free
        peer.clock_offset_ms = hello.sent_at - now_ms
        self._clocks.hear(peer, hello)
        peer.hears = hello.heard
        peer.relayed.clear()  # its own word is newer
        for member, vector in hello.relayed.items():
            if member in self._situation.peers:
                self._situation.peers[member].note_relayed(vector)
        for member in hello.heard:
            if member in self._situation.peers:
                self._situation.peers[member].seen_at_ms = now_ms
        if self._situation.me in hello.heard:
            peer.hears_me(now_ms)
        peer.judge(now_ms, self._situation.dead_ms)
        if not was_told or self._situation.me not in hello.heard:
            self._greeted.add(peer.member)
        loss_is_news = self._recovery.hear(tx, hello, now_ms)
        if loss_is_news:
            follow_loss(tx, peer.member, now_ms // 1000)
            self._situation.load(tx, keep_peers=True)
        self._compare_digests(tx, peer, now_ms)
        after = (True, peer.link, peer.align, peer.serving, peer.intact, peer.trouble)
        ahead = not covers(self._applied, peer.vector)
        if before != after or ahead or self._recovery.changed or loss_is_news:
            self._wake(now_ms)  # a Hello that tells nothing new makes no work
        else:
            self._due_ms = min(self._due_ms, self._hello_at_ms)
        return m.Acknowledged()

    def _compare_digests(self, tx: StoreTransaction, peer: Peer, now_ms: int) -> None:
        """Equal vectors and different digests: somebody lacks what he claims; repair."""
        if not peer.digest:
            return
        mine = self._digest.of(peer.vector)
        if mine:
            peer.disputed = mine != peer.digest
        if peer.disputed and now_ms >= self._repair_at_ms:
            self._situation.count("digest_mismatches")
            self._repair_at_ms = now_ms + self._situation.settings.repair_ms
            self._pull.want_full(peer.member)
            self._wake(now_ms)
            self._situation.notify(config_mismatch(peer.member, self._name_of(peer.member)))

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
        self._certainty.note_time(tx, now_ms)
        peer = situation.peers.get(to)
        if isinstance(response, PeerError) and response.reason in _REFRESH_REASONS:
            self._membership.refresh(to)
        current = request.header.generation == situation.generation
        answered = response is not None and not isinstance(response, PeerError)
        if peer is not None and current and answered and not situation.is_misplaced:
            peer.heard(now_ms)
            peer.hears_me(now_ms)
            if not peer.reachable:
                self._wake(now_ms)  # an answer proves both directions
        if peer is not None and isinstance(response, m.PollAnswer | m.TransferOffer):
            situation.remember(tx, to, response.mark)
        self._wake(self._take_response(tx, to, request, response, now_ms))
        if self._poll.yield_to_leases(tx):
            self._wake(now_ms)

    def _take_response(
        self,
        tx: StoreTransaction,
        to: MemberId,
        request: m.Request,
        response: m.Response | PeerError | None,
        now_ms: int,
    ) -> int:
        """Give a response to the part that asked. Returns when to look around because of it: an
        answer that only adds to others, as most do, makes no work."""
        if isinstance(request, m.Hello):
            return now_ms if response is None and self._says_again(to, now_ms) else self._due_ms
        if isinstance(request, m.BindingUpdate):
            good = isinstance(response, m.Acknowledged)
            too_big = isinstance(response, PeerError) and response.reason == "too_big"
            again_ms = self._push.answered(to, request, good, too_big, now_ms)
            # Peers answer one after the other; what follows from that is looked at once.
            pace_ms = self._situation.settings.push_pace_ms
            return now_ms + pace_ms if self._covered(to, request) else again_ms
        if isinstance(request, m.ChangePull | m.StreamQuery | m.BlockPull):
            self._pull.answered(tx, to, request, response, now_ms)
            if self._pull.take_replaced():
                self._digest.reset()
            return now_ms
        if isinstance(request, m.TransferAsk | m.TransferTaken):
            self._taker.answered(tx, to, request, response, now_ms)
            return now_ms
        if isinstance(request, m.PollAsk) and request.nonce.counter == 0:
            self._promises.verified(tx, to, request, response)
            return self._due_ms
        if isinstance(request, m.PollAsk | m.PollReserve | m.PollAbort):
            before = (self._poll.finished, self._poll.is_aborting, self._enquiries.is_idle)
            if not (
                isinstance(request, m.PollAsk)
                and self._enquiries.answered(tx, to, request, response, now_ms)
            ):
                self._poll.answered(tx, to, request, response, now_ms)
            after = (self._poll.finished, self._poll.is_aborting, self._enquiries.is_idle)
            return self._due_ms if after == before else now_ms
        self._membership.answered(tx, to, request, response, now_ms)
        self._after_membership(tx)
        return now_ms

    def _says_again(self, to: MemberId, now_ms: int) -> bool:
        """Whether a Hello that was not answered is said once more before the next is due, which
        in a big group takes long: to a member that is heard, so that the Hello was lost."""
        peer = self._situation.peers.get(to)
        if peer is None or to in self._said_again:
            return False
        if now_ms - peer.heard_at_ms > self._situation.dead_ms:
            return False
        self._said_again.add(to)
        self._greeted.add(to)
        return True

    def _covered(self, to: MemberId, update: m.BindingUpdate) -> bool:
        """Whether that peer has all of my stream, as far as I knew it last."""
        peer = self._situation.peers.get(to)
        return peer is not None and peer.vector.get(update.stream, 0) >= self._own_applied

    # --- time and the store

    def handle_timer(self, tx: StoreTransaction, now_ms: int) -> None:
        """Do what is due at `now_ms`."""
        situation = self._load(tx)
        self._certainty.note_time(tx, now_ms)
        self._certainty.tick(tx, now_ms)
        heads = tx.streams()
        own = heads.get(situation.own_stream)
        self._own_applied = own.applied if own else 0
        self._applied = vector_of(heads)
        dead_ms = situation.dead_ms
        for peer in situation.peers.values():
            peer.judge(now_ms, dead_ms)
            peer.compare(self._applied)
        self._note_silent_members(tx, now_ms)
        if situation.is_misplaced:
            due = [self._seeking.tick(tx, now_ms)]
        else:
            due = self._tick_parts(tx, heads, now_ms)
        changed = self._membership.changed or self._recovery.changed
        self._after_membership(tx)
        if changed:
            due.append(now_ms)
        if situation.counters:
            tx.add_counters({f"cluster_{k}": v for k, v in situation.counters.items()})
            situation.counters.clear()
        self._due_ms = min(due)

    def _tick_parts(
        self, tx: StoreTransaction, heads: dict[StreamId, StreamHead], now_ms: int
    ) -> list[int]:
        """When each of them wants to be called again."""
        due = [
            self._recovery.tick(tx, now_ms),
            self._membership.tick(tx, heads, now_ms),
            self._departure.tick(tx, heads, now_ms),
            self._poll.tick(tx, now_ms),
            self._promises.tick(tx, now_ms),
            self._taker.tick(tx, now_ms),
            self._enquiries.tick(tx, now_ms),
            self._keeper.tick(tx, self._own_applied, now_ms),
        ]
        if self._situation.group is not None:
            due += [
                self._push.tick(tx, heads, now_ms),
                self._pull.tick(tx, heads, now_ms),
                self._digest.tick(tx, heads, now_ms),
            ]
            self._say_hello(tx, heads, now_ms)
            due.append(self._hello_at_ms)
        return due

    def _note_silent_members(self, tx: StoreTransaction, now_ms: int) -> None:
        """Write down which members nothing is heard of, and which are heard and do not serve, when
        that has changed. After a start nothing has been heard of anybody: that says nothing."""
        dead_ms = self._situation.dead_ms
        self._began_ms = self._began_ms or now_ms
        if now_ms - self._began_ms <= dead_ms:
            return
        silent = frozenset(
            peer.member
            for peer in self._situation.peers.values()
            if now_ms - peer.heard_at_ms > dead_ms or peer.service is not Service.RUNNING
        ) | frozenset(self._lately_out(now_ms))
        pollers = self._situation.pollers
        idle = frozenset(m for m in pollers if not self._situation.peers[m].answers) - silent
        if (silent, idle) != (self._silent, self._idle):
            tx.set_silent_members(silent, idle)
            for member in sorted(silent ^ (self._silent or frozenset())):
                peer = self._situation.peers.get(member)
                if peer is not None:
                    name = self._name_of(member)
                    self._situation.notify(member_state_change(member, name, peer.link))
            self._silent, self._idle = silent, idle

    def _lately_out(self, now_ms: int) -> list[MemberId]:
        """Members that are out, while clients may have leases of theirs that nobody was told."""
        situation = self._situation
        group = situation.group
        if group is None:
            return []
        return [
            one.member
            for one in group.members
            if not one.is_current
            and one.member in situation.lost
            and situation.lost[one.member].at + group.longest_mul_s > now_ms // 1000
        ]

    def _name_of(self, member: MemberId) -> str:
        group = self._situation.group
        found = group.member(member) if group else None
        return found.name if found else ""

    def _say_hello(
        self, tx: StoreTransaction, heads: dict[StreamId, StreamHead], now_ms: int
    ) -> None:
        """To everybody once in a while; in between only to those that have just been heard for the
        first time, or do not hear me: all to all would be a storm in a big group."""
        situation, greeted = self._situation, self._greeted
        self._greeted = set()
        if not situation.is_current:
            if now_ms >= self._hello_at_ms:
                self._hello_at_ms = now_ms + _RETURN_MS
                self._ask_back(now_ms)
            return
        if now_ms >= self._hello_at_ms:
            greeted = set(situation.peers)
            self._said_again.clear()
            self._hello_at_ms = now_ms + situation.hello_ms
        if not greeted:
            return
        vector = vector_of(heads)
        heard = tuple(
            peer.member
            for peer in situation.peers.values()
            if peer.link in (LinkState.UNIDIRECTIONAL, LinkState.BIDIRECTIONAL)
        )
        local, lost = tx.local(), situation.lost.get(situation.me)
        owing = tuple(sorted(self._giver.owing(tx)))
        digest, free = self._digest.of(vector), self._keeper.tell_free(self._own_applied)
        ballot = self._membership.ballots.held(tx)
        for peer in sorted(greeted & situation.peers.keys()):
            hello = m.Hello(
                situation.header(),
                vector,
                heard,
                now_ms,
                situation.serving,
                digest,
                local.ownership_version,
                situation.mark_of(peer),
                situation.joined or situation.unconfirmed or situation.caught_up,
                lost.incarnation if lost else 0,
                owing,
                free,
                situation.relayed_to(peer),
                situation.service,
                self._clocks.claimed_ms(now_ms),
                self._clocks.wall_ahead_ms,
                situation.votes,
                None if situation.peers[peer].votes else ballot,
                self._trouble,
            )
            situation.send(peer, hello)

    def _ask_back(self, now_ms: int) -> None:
        """My seat is kept, and I know that I am down: any member that hears me has it decided."""
        situation = self._situation
        group = situation.group
        own = group.member(situation.me) if group else None
        if group is None or own is None or own.state is not MemberState.DOWN or situation.is_going:
            return
        current = [one.member for one in group.current]
        if current:
            to = current[now_ms // _RETURN_MS % len(current)]
            situation.send(to, m.Hello(situation.header(), {}, (), now_ms))

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

    def take_alarms(self) -> list[str]:
        """What the log should say; as `take_requests`."""
        taken = self._situation.alarms
        self._situation.alarms = []
        return taken

    def note_wall_clock(self, ahead_ms: int) -> None:
        """The wall clock minus the member's clock."""
        self._clocks.wall_ahead_ms = ahead_ms

    def note_trouble(self, trouble: Trouble) -> None:
        """What is wrong with this member; a change of it is told to everybody at once."""
        if trouble is not self._trouble:
            self._trouble = trouble
            self._hello_at_ms = self._due_ms = 0

    @property
    def is_clock_settled(self) -> bool:
        """Whether the clock stays as it is: it moves, if at all, before this member serves."""
        return not self._clocks.unconfirmed_ms

    def clock_offsets(self) -> dict[MemberId, int]:
        """Clocks of the peers that were heard, minus mine, in milliseconds."""
        return {p.member: p.clock_offset_ms for p in self._situation.peers.values() if p.told}

    def take_notices(self) -> list[Notice]:
        """What the operators are to be told; as `take_requests`."""
        taken = self._situation.notices
        self._situation.notices = []
        return taken

    # --- what people ask for and see

    def propose_join(self, tx: StoreTransaction, member: Member, now_ms: int) -> None:
        """Have `member` in the group, by ballot; PeerError tells why that cannot be."""
        self.propose(tx, Join(member), "", False, now_ms)

    def propose(
        self, tx: StoreTransaction, change: GroupChange, user: str, force: bool, now_ms: int
    ) -> None:
        """Have the group changed for `user`, by ballot, or at once where he forces it and no
        majority can be asked; PeerError tells why that cannot be."""
        self._load(tx)
        self._membership.propose(tx, change, user, force, now_ms)
        self._after_membership(tx)
        self._wake(now_ms)

    def repair_conflict(self, tx: StoreTransaction, address: int, now_ms: int) -> None:
        """An operator's word that the conflict about `address` is over. PeerError while a member
        may not know of it: it could still extend one of the leases, under an epoch that the
        repair would beat."""
        situation = self._load(tx)
        row = tx.bindings_by_address((address,)).get(address)
        if row is None or not is_conflict(row):
            raise PeerError("no_conflict", f"{format_address(address)} is not in conflict")
        for peer in situation.peers.values():
            if peer.holds(row.stream) < row.seq:
                raise PeerError(
                    "not_confirmed", f"member {peer.member} has not confirmed the conflict yet"
                )
        tx.save_bindings([repaired(row, situation.me, now_ms // 1000)])
        situation.count("conflicts_repaired")
        self._wake(now_ms)

    def release(self, tx: StoreTransaction, address: int, now_ms: int) -> None:
        """An operator's word that a lease is over; PeerError where there is none that could be."""
        tx.save_bindings([released(tx, self._load(tx), address, now_ms // 1000)])
        self._situation.count("leases_released")
        self._wake(now_ms)

    def realign(self, tx: StoreTransaction, member: MemberId, now_ms: int) -> None:
        """An operator's word that where my rows and that member's are of the same change, and
        differ, its are right. PeerError where it is not reached."""
        peer = self._load(tx).peers.get(member)
        if peer is None or not peer.reachable:
            raise PeerError("unreachable", f"member {member} is not heard here, or does not hear")
        self._pull.want_full(member, replaces=True)
        self._wake(now_ms)

    def end_wait(self, tx: StoreTransaction, now_ms: int) -> None:
        """An operator's word that the leases of a lost store are not waited for any more."""
        self._load(tx)
        self._recovery.end_wait(tx, now_ms)
        self._keeper.reset()
        self._wake(now_ms)

    def set_service(self, tx: StoreTransaction, service: Service, now_ms: int) -> None:
        """An operator's word about this member itself; PeerError tells why that cannot be."""
        self._load(tx)
        self._departure.set_service(tx, service, now_ms)
        self._keeper.reset()
        self._hello_at_ms = 0

    def pending(self) -> list[tuple[Wish, BallotPhase | None]]:
        """What is being decided here, the first one perhaps by ballot already."""
        wishes = self._membership.wishes
        return [
            (wish, None if at else self._membership.ballots.phase) for at, wish in enumerate(wishes)
        ]

    def peer_status(self) -> list[PeerStatus]:
        return peer_statuses(self._situation, self._own_applied)

    # ---

    def _load(self, tx: StoreTransaction) -> Situation:
        if not self._situation.loaded:
            self._situation.load(tx)
        return self._situation

    def _wake(self, now_ms: int) -> None:
        self._due_ms = min(self._due_ms, now_ms)

    def _after_membership(self, tx: StoreTransaction) -> None:
        if not self._membership.changed and not self._recovery.changed:
            return
        if self._situation.group is not None and self._membership.changed:
            self._situation.notify(group_change(self._situation.group))
        self._membership.changed = self._recovery.changed = False
        self._began_ms = 0
        parts: list[Callable[[], None]] = [
            self._push.reset,
            self._pull.reset,
            self._digest.reset,
            self._promises.reset,
            self._enquiries.reset,
            self._taker.reset,
            self._keeper.reset,
        ]
        for reset in parts:
            reset()
        self._poll.reset(tx)
        self._giver.reset(tx)
        self._hello_at_ms = 0
        self._due_ms = 0
