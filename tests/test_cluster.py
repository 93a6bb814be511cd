"""The shell around the node: two members on one event loop, real stores, no wire."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random

import pytest

from agent import cluster as cluster_module
from agent.cluster import Cluster
from agent.errors import PeerError, StoreError
from agent.limits import PUSH_BEHIND_MAX
from agent.model import Member, Said, Service, Trouble
from agent.port import StoreTransaction
from agent.sync import messages as m
from agent.sync.change import Expel
from agent.sync.hello import LinkState
from agent.sync.node import Node, Settings
from store import Store, create_store
from store.transaction import Transaction
from tests.dhcp.world import FailingStore
from tests.sync.lan import POOL_FIRST, START_MS, engine_id, make_binding, make_group

BINDINGS = PUSH_BEHIND_MAX + 1_000
"""So far behind, a member pulls by address."""


class Wire:
    """Hands requests to the other member's cluster, and remembers them."""

    def __init__(self) -> None:
        self.clusters: dict[int, Cluster] = {}
        self.asked: list[m.Request] = []

    async def exchange(self, member: Member, request: m.Request, now_ms: int) -> m.Response:
        self.asked.append(request)
        return await self.clusters[member.member].handle(request)

    def troubles_of(self, sender: int) -> list[Trouble]:
        hellos = [one for one in self.asked if isinstance(one, m.Hello)]
        return [one.trouble for one in hellos if one.header.sender == sender]


MakeStore = Callable[[int], Store]


@pytest.fixture
def make_store(tmp_path: Path) -> Iterator[MakeStore]:
    """Makes the store of a member of two."""
    with ExitStack() as made:

        def make(member: int) -> Store:
            path = tmp_path / f"{member}.db"
            store = create_store(path, member=member, engine_id=engine_id(member))
            made.enter_context(closing(store))
            with store.write() as tx:
                tx.put_group(make_group((1, 2)))
                tx.set_serving(True, since=0)
            return store

        yield make


class Time:
    """The loop's own time as a member's clock."""

    def __init__(self) -> None:
        self._begin = asyncio.get_running_loop().time()
        self._loop = asyncio.get_running_loop()

    def __call__(self) -> int:
        return START_MS + int((self._loop.time() - self._begin) * 1000)


async def pull(make_store: MakeStore) -> tuple[Wire, Store]:
    wire, now = Wire(), Time()
    stores = {member: make_store(member) for member in (1, 2)}
    with stores[1].write() as tx:
        now_s = START_MS // 1000
        tx.save_bindings([make_binding(POOL_FIRST + i, now_s) for i in range(BINDINGS)])
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
        for member, thread in ((1, one), (2, two)):
            wire.clusters[member] = Cluster(
                lambda member=member: Node(member, Random(member)), stores[member], now, thread
            )
        running = [asyncio.create_task(cluster.run(wire)) for cluster in wire.clusters.values()]
        async with asyncio.timeout(30):
            while len(rows(stores[2])) < BINDINGS:
                await asyncio.sleep(0)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    return wire, stores[2]


def rows(store: Store) -> list[int]:
    with store.read() as tx:
        return [row.address for row in tx.bindings_in_range(0, 2**32 - 1, BINDINGS + 1)]


def test_a_full_pull_asks_for_each_page_once_although_it_reads_ahead(make_store: MakeStore) -> None:
    wire, store = asyncio.run(pull(make_store))
    assert len(rows(store)) == BINDINGS
    pages = Counter(r.after_block for r in wire.asked if isinstance(r, m.BlockPull))
    assert len(pages) > 3
    assert set(pages.values()) == {1}


@pytest.mark.parametrize("error", [StoreError("the disk is full"), ValueError("our own bug")])
def test_after_a_transaction_that_failed_the_node_is_made_anew_and_says_nothing_of_it(
    error: Exception, make_store: MakeStore
) -> None:
    """What the failed call wanted sent must not leave with the next commit."""
    made: list[Failing] = []

    class Failing(Node):
        def handle_timer(self, tx: StoreTransaction, now_ms: int) -> None:
            super().handle_timer(tx, now_ms)
            if len(made) == 1:
                self._situation.send(2, m.StreamQuery(m.Header(1, 1, 1, b"rolled back")))
                tx.set_service(Service.PAUSED)
                raise error

    def make() -> Node:
        made.append(Failing(1, Random(1)))
        return made[-1]

    async def fail() -> list[m.Request]:
        wire, store = Wire(), make_store(1)
        with ThreadPoolExecutor(1) as thread:
            cluster = Cluster(make, store, Time(), thread)
            wire.clusters[2] = cluster
            running = asyncio.create_task(cluster.run(wire))
            await asyncio.wait([running], timeout=0.1)
            if running.done():
                assert running.exception() is error
                running = asyncio.create_task(cluster.run(wire))
            async with asyncio.timeout(10):
                while not wire.asked:
                    await asyncio.sleep(0.01)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        with store.read() as tx:
            assert tx.local().service is Service.RUNNING
        return wire.asked

    asked = asyncio.run(fail())
    assert len(made) == 2
    assert not any(isinstance(request, m.StreamQuery) for request in asked)


def test_a_refusal_keeps_the_node(make_store: MakeStore) -> None:
    """Nothing has been done, so what it knows of its peers is good."""

    async def refuse() -> int:
        made = []

        def make() -> Node:
            made.append(Node(1, Random(1)))
            return made[-1]

        with ThreadPoolExecutor(1) as thread:
            cluster = Cluster(make, make_store(1), Time(), thread)
            with pytest.raises(PeerError, match="unknown_member"):
                await cluster.handle(m.StreamQuery(m.Header(7, 1, 1, b"")))
        return len(made)

    assert asyncio.run(refuse()) == 1


def test_a_member_whose_store_does_not_commit_is_silent_to_its_peers_and_comes_back(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where it has nothing to write, as on a full disk that commits empty transactions."""
    monkeypatch.setattr(cluster_module, "STORE_RETRY_S", 0.05)
    monkeypatch.setattr(cluster_module, "STORE_TRIAL_MS", 50)
    settings = Settings(hello_ms=50, dead_ms=1_000)

    async def fail() -> None:
        wire, stores = Wire(), [make_store(1), make_store(2)]
        failing = FailingStore(stores[0], commits_nothing=True)

        def silent() -> bool:
            with stores[1].read() as tx:
                return 1 in tx.silent_members()

        async def until(seen: Callable[[], bool]) -> None:
            async with asyncio.timeout(60):
                while not seen():
                    await asyncio.sleep(0.01)

        with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
            first = Cluster(lambda: Node(1, Random(1), settings), failing, Time(), one)
            second = Cluster(lambda: Node(2, Random(2), settings), stores[1], Time(), two)
            wire.clusters = {1: first, 2: second}
            running = [asyncio.create_task(each.run(wire)) for each in (first, second)]
            await until(lambda: is_linked(first) and is_linked(second))
            assert not first.store_fails
            failing.failing = True
            await until(lambda: first.store_fails)
            await until(silent)
            assert not is_linked(second)
            failing.failing = False
            await until(lambda: not first.store_fails and is_linked(second) and not silent())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    asyncio.run(fail())
    said = [one.message for one in caplog.records if "commit" in one.message]
    assert len(said) == 2, "when it begins and when it is over, not at each of some twenty trials"
    assert said[0].startswith("the store does not commit")
    assert said[1] == "the store commits again, the cluster goes on"


def test_a_node_that_is_made_anew_knows_what_is_wrong_with_its_member(
    make_store: MakeStore,
) -> None:
    async def fail() -> None:
        wire = Wire()
        failing = FailingStore(make_store(1))

        async def told(trouble: Trouble) -> None:
            async with asyncio.timeout(60):
                while [status.trouble for status in second.peers] != [trouble]:
                    await asyncio.sleep(0.01)

        with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
            first = Cluster(lambda: Node(1, Random(1)), failing, Time(), one)
            second = Cluster(lambda: Node(2, Random(2)), make_store(2), Time(), two)
            wire.clusters = {1: first, 2: second}
            running = [asyncio.create_task(each.run(wire)) for each in (first, second)]
            await told(Trouble.NONE)
            first.note_trouble(Trouble.ENGINE_SILENT)
            await told(Trouble.ENGINE_SILENT)
            failing.failing = True
            with pytest.raises(StoreError):
                await first.set_service(Service.PAUSED, Said("", ""))
            failing.failing = False
            await first.set_service(Service.PAUSED, Said("", ""))
            await told(Trouble.ENGINE_SILENT)
            assert wire.troubles_of(1)[-1] is Trouble.ENGINE_SILENT
            first.note_trouble(Trouble.NONE)
            await told(Trouble.NONE)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    asyncio.run(fail())


class Refusing(Node):
    """Refuses once what no peer has asked for, after it has wanted things: a bug of our own, or a
    wish in the store that can never be."""

    left = 1

    def refuse(self, tx: StoreTransaction) -> None:
        if type(self).left:
            type(self).left -= 1
            self._situation.send(2, m.StreamQuery(m.Header(1, 1, 1, b"rolled back")))
            tx.set_service(Service.PAUSED)
            raise PeerError("last_member", "test would have no member left")


class RefusingTimer(Refusing):
    def handle_timer(self, tx: StoreTransaction, now_ms: int) -> None:
        super().handle_timer(tx, now_ms)
        self.refuse(tx)


class RefusingResponse(Refusing):
    def handle_response(
        self,
        tx: StoreTransaction,
        sender: int,
        request: m.Request,
        response: m.Response | PeerError | None,
        now_ms: int,
    ) -> None:
        super().handle_response(tx, sender, request, response, now_ms)
        self.refuse(tx)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (RefusingTimer, "begins anew from its store: last_member: test would have no member left"),
        (RefusingResponse, "an answer of member 2 is lost, it will be asked again: last_member"),
    ],
)
def test_an_agent_survives_a_refusal_of_what_nobody_asked_for(
    kind: type[Refusing],
    words: str,
    make_store: MakeStore,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It goes on from its store, as after a restart, and nothing is left of the call."""
    monkeypatch.setattr(kind, "left", 1)
    monkeypatch.setattr(cluster_module, "STORE_RETRY_S", 0.01)
    made: list[Node] = []

    def make() -> Node:
        made.append(kind(1, Random(1)))
        return made[-1]

    async def refuse() -> None:
        wire, stores = Wire(), [make_store(1), make_store(2)]
        with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
            wire.clusters[1] = Cluster(make, stores[0], Time(), one)
            wire.clusters[2] = Cluster(lambda: Node(2, Random(2)), stores[1], Time(), two)
            running = [asyncio.create_task(each.run(wire)) for each in wire.clusters.values()]
            async with asyncio.timeout(60):
                while kind.left or not is_linked(wire.clusters[1]):
                    assert not any(task.done() for task in running)
                    await asyncio.sleep(0.01)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        with stores[0].read() as tx:
            assert tx.local().service is Service.RUNNING
        assert not any(isinstance(one, m.StreamQuery) for one in wire.asked)

    asyncio.run(refuse())
    assert len(made) == 2
    assert [record for record in caplog.records if words in record.getMessage()]


def is_linked(cluster: Cluster) -> bool:
    return any(peer.link is LinkState.BIDIRECTIONAL for peer in cluster.peers)


def test_an_order_and_who_gave_it_are_one_transaction(
    monkeypatch: pytest.MonkeyPatch, make_store: MakeStore
) -> None:
    """No order without its row of the audit, and none for what is refused or rolled back."""
    said = Said("anna", "dhcpSyncMemberOperation.1=pause")
    store = make_store(1)

    def audited() -> tuple[Service, list[tuple[str, str, str]]]:
        with store.read() as tx:
            entries = [(e.user, e.action, e.detail) for e in tx.audit_after(0, 9)]
            return tx.local().service, entries

    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    async def order() -> None:
        with ThreadPoolExecutor(1) as thread:
            cluster = Cluster(lambda: Node(1, Random(1)), store, Time(), thread)
            with monkeypatch.context() as patch:
                patch.setattr(Transaction, "audit", full)
                with pytest.raises(StoreError):
                    await cluster.set_service(Service.PAUSED, said)
            assert audited() == (Service.RUNNING, [])
            with pytest.raises(PeerError, match="no_conflict"):
                await cluster.repair_conflict(POOL_FIRST, said)
            assert audited() == (Service.RUNNING, [])
            await cluster.set_service(Service.PAUSED, said)
            row = (said.user, "set", said.words)
            assert audited() == (Service.PAUSED, [row])
            await cluster.decide(Expel(2), True, said)
            (first, forced, last) = audited()[1]
            assert (first, last, forced[1]) == (row, row, "forced")

    asyncio.run(order())
