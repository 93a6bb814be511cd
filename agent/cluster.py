"""The shell around the cluster protocol: gives `Node` its transactions, its time and its peers.

`Node` decides and never waits; this file moves what it decides. Every call of the node runs on one
worker thread inside one transaction of the store, so the node needs no lock and the event loop
never waits for a disk. What the node wants sent is taken from it only after that transaction has
committed: durable before visible. After any failure but a refusal (a PeerError to who asked for
something, which says that nothing was done) the node is thrown away with what it wanted sent, and
made anew from the store, which is the same as a restart: its memory would be ahead of what was
rolled back. Each request to a peer is a task of its own; its answer, or its failure, goes back into
the node in a transaction of its own.

SQLite commits a transaction that has nothing to write on a full disk too. So now and then, and
always after a failure, something is written: a member that cannot commit says nothing to its peers,
who take it for silent and serve its clients.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Protocol, TypeVar

from agent.cluster_events import cluster_events, takes_part
from agent.errors import PeerError, StoreError
from agent.events.configuration import configuration_events
from agent.limits import STORE_RETRY_S, STORE_TRIAL_MS
from agent.model import Group, Member, MemberId, Said, Service, Trouble
from agent.port import Store, StoreTransaction
from agent.sync.ballot import BallotPhase
from agent.sync.change import GroupChange
from agent.sync.group import Wish
from agent.sync.messages import BlockPage, BlockPull, Request, Response
from agent.sync.node import Node
from agent.sync.notices import Notice
from agent.sync.peer_status import PeerStatus

log = logging.getLogger("dhcpsync.cluster")
T = TypeVar("T")


class PeerTransport(Protocol):
    """How a request reaches a peer. Raises PeerError for a refusal, TimeoutError for silence."""

    async def exchange(self, member: Member, request: Request, now_ms: int) -> Response: ...


class Cluster:
    """Runs a `Node`: `handle` and `decide` serve others, `run` does everything else."""

    def __init__(
        self,
        make_node: Callable[[], Node],
        store: Store,
        clock: Callable[[], int],
        executor: Executor,
        on_notice: Callable[[Notice], None] = lambda _: None,
    ) -> None:
        self._make_node = make_node
        self._node = make_node()
        self._store = store
        self._clock = clock
        self._executor = executor
        self._on_notice = on_notice
        self._transport: PeerTransport | None = None
        self._wake = asyncio.Event()
        self._due_ms = 0
        self._changed = False
        self._exchanges: set[asyncio.Task[None]] = set()
        self._ahead: dict[MemberId, tuple[BlockPull, asyncio.Task[Response]]] = {}
        self._group: Group | None = None
        """As it was after the last transaction."""
        self._members: dict[MemberId, Member] = {}
        self.peers: Sequence[PeerStatus] = ()
        """What the node knew of its peers after its last transaction."""
        self.pending: Sequence[tuple[Wish, BallotPhase | None]] = ()
        """What it was having decided."""
        self.clock_offsets: dict[MemberId, int] = {}
        self.is_clock_settled = False
        self.store_fails = False
        """Whether the last commit that had something to write has failed."""
        self._tried_ms = 0
        self._trouble = Trouble.NONE

    def note_wall_clock(self, ahead_ms: int) -> None:
        """The wall clock minus the member's clock; for people only."""
        self._node.note_wall_clock(ahead_ms)

    def note_trouble(self, trouble: Trouble) -> None:
        """What is wrong with this member, for the peers to know; a node that is made anew is told
        again."""
        if trouble is not self._trouble:
            self._trouble = trouble
            self.notice_store_change()

    def notice_store_change(self) -> None:
        """The engine, or a SET, has committed something."""
        self._changed = True
        self._wake.set()

    async def handle(self, request: Request) -> Response:
        """Answer a peer. When this returns, what the answer promises is on disk."""
        return await self._call(
            lambda node, tx: node.handle_request(tx, request, self._clock()), may_refuse=True
        )

    async def decide(self, change: GroupChange, force: bool, said: Said) -> None:
        """An operator's wish for the group; raises PeerError where it cannot be."""
        await self._order(
            said,
            lambda node, tx, now_ms: node.propose(tx, change, said.user, force, now_ms),
        )

    async def set_service(self, service: Service, said: Said) -> None:
        """An operator's wish for this member; raises PeerError where it cannot be."""
        await self._order(said, lambda node, tx, now_ms: node.set_service(tx, service, now_ms))

    async def end_wait(self, said: Said) -> None:
        """An operator's word to this member; raises PeerError where it cannot be."""
        await self._order(said, lambda node, tx, now_ms: node.end_wait(tx, now_ms))

    async def realign(self, member: MemberId, said: Said) -> None:
        """An operator's word that `member` has the right rows; raises PeerError where it is not
        reached."""
        await self._order(said, lambda node, tx, now_ms: node.realign(tx, member, now_ms))

    async def release(self, address: int, said: Said) -> None:
        """An operator's word; raises PeerError where there is no lease that could be ended."""
        await self._order(said, lambda node, tx, now_ms: node.release(tx, address, now_ms))

    async def repair_conflict(self, address: int, said: Said) -> None:
        """An operator's word; raises PeerError where it cannot be."""
        await self._order(said, lambda node, tx, now_ms: node.repair_conflict(tx, address, now_ms))

    async def _order(self, said: Said, act: Callable[[Node, StoreTransaction, int], None]) -> None:
        """The order, and the audit's row of who gave it, are one transaction."""

        def transact(node: Node, tx: StoreTransaction) -> None:
            now_ms = self._clock()
            act(node, tx, now_ms)
            tx.audit(said.user, "set", said.words, now_ms // 1000)

        await self._call(transact, may_refuse=True)

    async def run(self, transport: PeerTransport) -> None:
        """Until cancelled: timers, the engine's commits, and the answers of peers."""
        self._transport = transport
        while True:
            self._wake.clear()
            delay_ms = self._due_ms - self._clock()
            if delay_ms > 0 and not self._changed:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(delay_ms / 1000):
                        await self._wake.wait()
                continue
            self._changed = False
            try:
                await self._call(lambda node, tx: node.handle_timer(tx, self._clock()))
            except StoreError:
                await asyncio.sleep(STORE_RETRY_S)
            except PeerError as error:
                log.error("the cluster does not go on, and begins anew from its store: %s", error)
                await asyncio.sleep(STORE_RETRY_S)

    async def _call(
        self, act: Callable[[Node, StoreTransaction], T], *, may_refuse: bool = False
    ) -> T:
        """Run `act` in a transaction on the node's thread, then send what the node wants sent.
        `may_refuse`: its PeerError says that nothing was done; where nobody has asked for anything
        nobody is refused, and memory may be ahead of the store."""
        loop = asyncio.get_running_loop()
        result, requests, notices = await loop.run_in_executor(
            self._executor, self._transact, act, may_refuse
        )
        self._wake.set()
        for notice in notices:
            self._on_notice(notice)
        if self._transport is not None:
            for to, request in requests:
                task = loop.create_task(self._exchange(self._transport, to, request))
                self._exchanges.add(task)
                task.add_done_callback(self._exchanges.discard)
        return result

    def _transact(
        self, act: Callable[[Node, StoreTransaction], T], may_refuse: bool
    ) -> tuple[T, list[tuple[MemberId, Request]], list[Notice]]:
        now_ms = self._clock()
        trial = self.store_fails or not 0 <= now_ms - self._tried_ms < STORE_TRIAL_MS
        self._node.note_trouble(self._trouble)
        try:
            with self._store.write() as tx:
                before = self._group or tx.group()
                result = act(self._node, tx)
                group = tx.group()
                notices = self._node.take_notices()
                self._put_events(tx, notices, before, group, now_ms // 1000)
                if trial:
                    tx.add_counters({"store_trials": 1})
        except BaseException as error:
            if isinstance(error, StoreError) and not self.store_fails:
                self.store_fails = True
                log.error("the store does not commit, the cluster waits: %s", error)
            if not (may_refuse and isinstance(error, PeerError)):
                self._node = self._make_node()
                self._due_ms = 0
            raise
        if trial:
            if self.store_fails:
                log.warning("the store commits again, the cluster goes on")
            self._tried_ms, self.store_fails = now_ms, False
        self._group = group
        self._members = {m.member: m for m in group.members} if group else {}
        self.peers = self._node.peer_status()
        self.pending = self._node.pending()
        self.clock_offsets = self._node.clock_offsets()
        self.is_clock_settled = self._node.is_clock_settled
        for line in self._node.take_alarms():
            log.warning("%s", line)
        self._due_ms = self._node.next_timer()
        return result, self._node.take_requests(), notices

    def _put_events(
        self,
        tx: StoreTransaction,
        notices: Sequence[Notice],
        before: Group | None,
        after: Group | None,
        now: int,
    ) -> None:
        """What has happened in this transaction. What a member takes in that joins is no change of
        the configuration."""
        events = cluster_events(notices, before, after, now)
        replaced = tx.replaced_configuration()
        if replaced and takes_part(after, tx.local()):
            events += configuration_events(replaced, "", now)
        tx.put_events(events)

    async def _exchange(self, transport: PeerTransport, to: MemberId, request: Request) -> None:
        response: Response | PeerError | None
        member = self._members.get(to)
        if member is None:
            response = PeerError("unknown_member", f"member {to} has left the group")
        else:
            try:
                response = await self._ask(transport, member, request)
            except PeerError as error:
                response = error
            except TimeoutError:
                response = None
            if response is None or isinstance(response, PeerError):
                why = "no answer" if response is None else response
                log.debug("%s to member %d: %s", type(request).__name__, to, why)
        try:
            await self._call(
                lambda node, tx: node.handle_response(tx, to, request, response, self._clock())
            )
        except (StoreError, PeerError) as error:
            log.error("an answer of member %d is lost, it will be asked again: %s", to, error)

    async def _ask(self, transport: PeerTransport, member: Member, request: Request) -> Response:
        """One exchange. A page of a full pull has the peer read the next one at once, while this
        member still commits: a pull promises nothing, so it need not wait for the disk, and the
        node, which asks for that page after its commit, finds it on the way."""
        if not isinstance(request, BlockPull):
            return await transport.exchange(member, request, self._clock())
        following, task = self._ahead.pop(member.member, (None, None))
        if task is not None and following == request:
            response = await task
        else:
            response = await transport.exchange(member, request, self._clock())
        if isinstance(response, BlockPage) and not response.complete:
            following = replace(request, after_block=response.last_block)
            task = asyncio.create_task(transport.exchange(member, following, self._clock()))
            task.add_done_callback(_forget_failure)
            self._ahead[member.member] = following, task
        return response


def _forget_failure(task: asyncio.Task[Response]) -> None:
    """Nobody may come for it: then its failure is of no interest either."""
    if not task.cancelled():
        task.exception()
