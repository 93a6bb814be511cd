"""The shell around the cluster protocol: gives `Node` its transactions, its time and its peers.

`Node` decides and never waits; this file moves what it decides. Every call of the node runs on one
worker thread inside one transaction of the store, so the node needs no lock and the event loop
never waits for a disk. What the node wants sent is taken from it only after that transaction has
committed: durable before visible. After a StoreError the node is thrown away and made anew from
the store, which is the same as a restart. Each request to a peer is a task of its own; its
answer, or its failure, goes back into the node in a transaction of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Protocol, TypeVar

from agent.errors import PeerError, StoreError
from agent.limits import STORE_RETRY_S
from agent.model import Member, MemberId
from agent.port import Store, StoreTransaction
from agent.sync.messages import BlockPage, BlockPull, Request, Response
from agent.sync.node import Node, PeerStatus

log = logging.getLogger("dhcpsync.cluster")
T = TypeVar("T")


class PeerTransport(Protocol):
    """How a request reaches a peer. Raises PeerError for a refusal, TimeoutError for silence."""

    async def exchange(self, member: Member, request: Request, now_ms: int) -> Response: ...


class Cluster:
    """Runs a `Node`: `handle` and `join` serve others, `run` does everything else."""

    def __init__(
        self,
        make_node: Callable[[], Node],
        store: Store,
        clock: Callable[[], int],
        executor: Executor,
    ) -> None:
        self._make_node = make_node
        self._node = make_node()
        self._store = store
        self._clock = clock
        self._executor = executor
        self._transport: PeerTransport | None = None
        self._wake = asyncio.Event()
        self._due_ms = 0
        self._changed = False
        self._exchanges: set[asyncio.Task[None]] = set()
        self._ahead: dict[MemberId, tuple[BlockPull, asyncio.Task[Response]]] = {}
        self._members: dict[MemberId, Member] = {}
        self.peers: Sequence[PeerStatus] = ()
        """What the node knew of its peers after its last transaction."""

    def notice_store_change(self) -> None:
        """The engine, or a SET, has committed something."""
        self._changed = True
        self._wake.set()

    async def handle(self, request: Request) -> Response:
        """Answer a peer. When this returns, what the answer promises is on disk."""
        return await self._call(lambda node, tx: node.handle_request(tx, request, self._clock()))

    async def join(self, member: Member) -> None:
        """An operator's wish; raises PeerError where it cannot be."""
        await self._call(lambda node, tx: node.propose_join(tx, member, self._clock()))

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
            except StoreError as error:
                log.error("the store does not commit, the cluster waits: %s", error)
                await asyncio.sleep(STORE_RETRY_S)

    async def _call(self, act: Callable[[Node, StoreTransaction], T]) -> T:
        """Run `act` in a transaction on the node's thread, then send what the node wants sent."""
        loop = asyncio.get_running_loop()
        result, requests = await loop.run_in_executor(self._executor, self._transact, act)
        self._wake.set()
        if self._transport is not None:
            for to, request in requests:
                task = loop.create_task(self._exchange(self._transport, to, request))
                self._exchanges.add(task)
                task.add_done_callback(self._exchanges.discard)
        return result

    def _transact(
        self, act: Callable[[Node, StoreTransaction], T]
    ) -> tuple[T, list[tuple[MemberId, Request]]]:
        try:
            with self._store.write() as tx:
                result = act(self._node, tx)
                group = tx.group()
        except StoreError:
            self._node = self._make_node()
            self._due_ms = 0
            raise
        self._members = {m.member: m for m in group.members} if group else {}
        self.peers = self._node.peer_status()
        self._due_ms = self._node.next_timer()
        return result, self._node.take_requests()

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
        except StoreError as error:
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
