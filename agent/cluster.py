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
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Protocol, TypeVar

from agent.errors import PeerError, StoreError
from agent.limits import STORE_RETRY_S
from agent.model import Member, MemberId
from agent.port import Store, StoreTransaction
from agent.sync.messages import Request, Response
from agent.sync.node import Node

log = logging.getLogger("dhcpsync.cluster")
T = TypeVar("T")


class PeerTransport(Protocol):
    """How a request reaches a peer. Raises PeerError for a refusal, TimeoutError for silence."""

    async def exchange(self, member: Member, request: Request, now_ms: int) -> Response: ...


class Cluster:
    """Runs a `Node`. `handle` serves peers' requests, `run` everything else.

    `on_commit` is called after every transaction that may concern the engine."""

    def __init__(
        self,
        make_node: Callable[[], Node],
        store: Store,
        transport: PeerTransport,
        clock: Callable[[], int],
        executor: Executor,
        on_commit: Callable[[], None],
    ) -> None:
        self._make_node = make_node
        self._node = make_node()
        self._store = store
        self._transport = transport
        self._clock = clock
        self._executor = executor
        self._on_commit = on_commit
        self._wake = asyncio.Event()
        self._exchanges: set[asyncio.Task[None]] = set()
        self._members: dict[MemberId, Member] = {}
        self._store_changed = False

    def notice_store_change(self) -> None:
        """The engine, or a SET, has committed something."""
        self._store_changed = True
        self._wake.set()

    async def handle(self, request: Request) -> Response:
        """Answer a peer. When this returns, what the answer promises is on disk."""
        response = await self.call(lambda node, tx: node.handle_request(tx, request, self._clock()))
        self._on_commit()
        return response

    async def call(self, act: Callable[[Node, StoreTransaction], T]) -> T:
        """Run `act` in a transaction on the node's thread, then send what the node wants sent."""

        def transact() -> T:
            try:
                with self._store.write() as tx:
                    result = act(self._node, tx)
                    group = tx.group()
            except StoreError:
                self._node = self._make_node()
                raise
            self._members = {m.member: m for m in group.members} if group else {}
            return result

        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._executor, transact)
        await self._dispatch()
        return result

    async def run(self) -> None:
        """Until cancelled: timers, the engine's commits, and the answers of peers."""
        while True:
            try:
                await self._tick()
            except StoreError as error:
                log.error("the store does not commit, the cluster waits: %s", error)
                await asyncio.sleep(STORE_RETRY_S)
                continue
            delay_s = max(0, self._node.next_timer() - self._clock()) / 1000
            try:
                async with asyncio.timeout(delay_s):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _tick(self) -> None:
        self._wake.clear()
        changed, self._store_changed = self._store_changed, False

        def act(node: Node, tx: StoreTransaction) -> None:
            if changed:
                node.notice_store_change()
            node.handle_timer(tx, self._clock())

        await self.call(act)

    async def _dispatch(self) -> None:
        loop = asyncio.get_running_loop()
        requests = await loop.run_in_executor(self._executor, lambda: self._node.take_requests())
        for member_id, request in requests:
            task = asyncio.create_task(self._exchange(member_id, request))
            self._exchanges.add(task)
            task.add_done_callback(self._exchanges.discard)
        if requests:
            self._wake.set()

    async def _exchange(self, member_id: MemberId, request: Request) -> None:
        response: Response | PeerError | None
        member = self._members.get(member_id)
        if member is None:
            response = PeerError("unknown_member", f"member {member_id} has left the group")
        else:
            try:
                response = await self._transport.exchange(member, request, self._clock())
            except PeerError as error:
                response = error
            except TimeoutError:
                response = None
        try:
            await self.call(
                lambda node, tx: node.handle_response(
                    tx, member_id, request, response, self._clock()
                )
            )
        except StoreError as error:
            log.error(
                "an answer of member %d is lost, it will be asked again: %s", member_id, error
            )
        self._wake.set()
        self._on_commit()
