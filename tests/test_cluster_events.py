"""What the cluster's node has changed, as events of its transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from agent.cluster import Cluster
from agent.cluster_events import _MAKERS, cluster_events
from agent.errors import PeerError, StoreError
from agent.events.configuration import pack_row
from agent.events.event import Event, EventKind
from agent.events.sentences import sentence
from agent.model import (
    ConfigRecord,
    Group,
    Member,
    MemberRole,
    MemberState,
    Pool,
    Version,
    parse_address,
)
from agent.port import StoreTransaction
from agent.snmp import columns
from agent.sync import notices
from agent.sync.conflict import conflict_notice
from agent.sync.hello import LinkState
from agent.sync.node import Node
from agent.sync.notices import Notice
from store import Store, create_store
from tests.dhcp.world import FailingStore
from tests.snmp.test_notifier import conflict
from tests.sync.lan import START_MS, engine_id, make_group, make_member

K = EventKind
NOW = START_MS // 1000
A = parse_address


@pytest.mark.parametrize(
    ("notice", "event"),
    [
        (
            notices.member_state_change(2, "south", LinkState.DOWN),
            Event(NOW, K.MEMBER_SILENT, member=2, subject="south"),
        ),
        (
            notices.member_state_change(2, "south", LinkState.BIDIRECTIONAL),
            Event(NOW, K.MEMBER_HEARD, member=2, subject="south"),
        ),
        (
            notices.config_mismatch(3, "west"),
            Event(NOW, K.ROWS_DIFFER, member=3, subject="west"),
        ),
        (
            notices.group_fork(make_group([1, 2], generation=7)),
            Event(NOW, K.GROUP_FORKED, new="7"),
        ),
        (
            notices.free_addresses(True, A("10.0.0.16"), A("10.0.0.255"), 3),
            Event(NOW, K.POOL_LOW, subject="10.0.0.16-10.0.0.255", new="3"),
        ),
        (
            notices.free_addresses(False, A("10.0.0.16"), A("10.0.0.255"), 90),
            Event(NOW, K.POOL_HIGH, subject="10.0.0.16-10.0.0.255", new="90"),
        ),
    ],
)
def test_what_operators_are_told_is_an_event(notice: Notice, event: Event) -> None:
    assert cluster_events([notice], None, None, NOW) == [event]


def test_a_conflict_names_both_clients() -> None:
    row = conflict()
    (event,) = cluster_events([conflict_notice(row)], None, None, NOW)
    assert (event.kind, event.address) == (K.CONFLICT, row.address)
    assert event.old
    assert event.new
    assert event.old != event.new


def test_every_notification_of_a_node_is_known() -> None:
    health = {"dhcpSyncHealthRaised", "dhcpSyncHealthCleared"}
    assert set(_MAKERS) == columns.EVENTS.keys() - health
    assert cluster_events([notices.group_change(make_group([1]))], None, None, NOW) == []


def changed(member: Member, **more: object) -> Member:
    return replace(member, **more)  # type: ignore[arg-type]


ACTIVE = make_member(2)
DOWN = changed(ACTIVE, state=MemberState.DOWN)
REMOVED = changed(ACTIVE, state=MemberState.REMOVED)


@pytest.mark.parametrize(
    ("before", "after", "kind", "words"),
    [
        (None, ACTIVE, K.MEMBER_JOINED, "member 2 m2 joined the group"),
        (REMOVED, ACTIVE, K.MEMBER_JOINED, "member 2 m2 joined the group"),
        (ACTIVE, REMOVED, K.MEMBER_REMOVED, "member 2 m2 was removed from the group"),
        (ACTIVE, changed(REMOVED, clean=True), K.MEMBER_LEFT, "member 2 m2 left the group"),
        (ACTIVE, DOWN, K.MEMBER_DOWN, "member 2 m2 was declared dead"),
        (ACTIVE, changed(DOWN, clean=True), K.MEMBER_DOWN, "member 2 m2 is shut down"),
        (DOWN, ACTIVE, K.MEMBER_BACK, "member 2 m2 is back in the group"),
        (DOWN, REMOVED, K.MEMBER_REMOVED, "member 2 m2 was removed from the group"),
        (ACTIVE, changed(ACTIVE, weight=3), None, ""),
        (None, REMOVED, None, ""),
    ],
)
def test_what_became_of_a_member(
    before: Member | None, after: Member, kind: EventKind | None, words: str
) -> None:
    old = make_group([1])
    if before is not None:
        old = replace(old, members=(*old.members, before))
    new = replace(make_group([1]), generation=2, members=(make_member(1), after))
    told = cluster_events([], old, new, NOW)
    assert [event.kind for event in told] == ([kind] if kind else [])
    assert [sentence(event) for event in told] == ([words] if kind else [])


def test_parameters_are_told_with_what_they_were() -> None:
    old = make_group([1])
    new = replace(old, generation=2, lease_s=7200, safe_period_s=600)
    assert [sentence(event) for event in cluster_events([], old, new, NOW)] == [
        "lease time of the group changed from 3600 s to 7200 s",
        "safe period of the group changed from 0 s to 600 s",
    ]


def test_a_group_that_is_new_to_this_member_is_no_event() -> None:
    assert cluster_events([], None, make_group([1, 2]), NOW) == []
    assert cluster_events([], make_group([1, 2]), None, NOW) == []


# --- in the transaction of what they tell of


class Changing(Node):
    """Its timer tells operators something and decides on a group; then it may fail."""

    error: Exception | None = None

    def handle_timer(self, tx: StoreTransaction, now_ms: int) -> None:
        self._situation.notify(notices.config_mismatch(2, "m2"))
        group = tx.group()
        assert group is not None
        tx.put_group(replace(group, generation=group.generation + 1, lease_s=group.lease_s + 1))
        if self.error is not None:
            raise self.error


def call(
    store: Store | FailingStore, *errors: Exception | None, fail: Callable[[], None] = lambda: None
) -> list[Notice]:
    """A timer for each of `errors`; returns what operators were told."""
    told: list[Notice] = []

    async def run() -> None:
        with ThreadPoolExecutor(1) as thread:
            cluster = Cluster(
                lambda: Changing(1, Random(1)), store, lambda: START_MS, thread, told.append
            )
            for error in errors:

                def act(node: Node, tx: StoreTransaction, error: Exception | None = error) -> None:
                    assert isinstance(node, Changing)
                    node.error = error
                    node.handle_timer(tx, START_MS)

                fail()
                with suppress(PeerError, StoreError, ValueError):
                    await cluster._call(act)

    asyncio.run(run())
    return told


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = create_store(tmp_path / "1.db", member=1, engine_id=engine_id(1))
    with store.write() as tx:
        tx.put_group(make_group((1, 2)))
    return store


class Taking(Node):
    """Its timer takes a row in that another member has made."""

    row = Pool(A("10.0.0.1"), A("10.0.0.9"), "desks")

    def handle_timer(self, tx: StoreTransaction, now_ms: int) -> None:
        tx.put_configuration([ConfigRecord(self.row, Version(4, 2), False, 2 << 32, 9)])


@pytest.mark.parametrize("role", MemberRole)
@pytest.mark.parametrize("serving", [False, True])
def test_what_another_member_changed_is_told_unless_this_one_joins(
    store: Store, serving: bool, role: MemberRole
) -> None:
    group = make_group((1, 2))
    with store.write() as tx:
        own = replace(group.members[0], role=role)
        tx.put_group(replace(group, members=(own, group.members[1])))
        tx.set_serving(serving, since=0)

    async def run() -> None:
        with ThreadPoolExecutor(1) as thread:
            cluster = Cluster(lambda: Taking(1, Random(1)), store, lambda: START_MS, thread)
            await cluster._call(lambda node, tx: node.handle_timer(tx, START_MS))

    asyncio.run(run())
    told = Event(
        NOW, K.CONFIGURED, member=2, subject="pool 10.0.0.1-10.0.0.9", new=pack_row(Taking.row)
    )
    with store.read() as tx:
        events = [one.event for one in tx.events_after(0, 9).events]
    assert events == ([told] if serving or role is MemberRole.DATABASE else [])
    store.close()


def kinds(store: Store) -> list[EventKind]:
    with store.read() as tx:
        return [one.event.kind for one in tx.events_after(0, 100).events]


def group_of(store: Store) -> Group:
    with store.read() as tx:
        group = tx.group()
    assert group is not None
    return group


def test_events_are_committed_with_what_they_tell_of(store: Store) -> None:
    assert len(call(store, None, None)) == 2
    assert kinds(store) == [K.ROWS_DIFFER, K.GROUP_CHANGED] * 2
    assert group_of(store).lease_s == 3602
    store.close()


@pytest.mark.parametrize("error", [PeerError("stale"), ValueError("our own bug")])
def test_nothing_is_told_of_what_came_to_nothing(store: Store, error: Exception) -> None:
    assert len(call(store, error, None)) == 1, "and what failed is not told with the next"
    assert kinds(store) == [K.ROWS_DIFFER, K.GROUP_CHANGED]
    assert group_of(store).lease_s == 3601
    store.close()


def test_nothing_is_told_of_what_does_not_commit(store: Store) -> None:
    failing = FailingStore(store)
    turns = iter([True, False])

    def fail() -> None:
        failing.failing = next(turns)

    assert len(call(failing, None, None, fail=fail)) == 1
    assert kinds(store) == [K.ROWS_DIFFER, K.GROUP_CHANGED]
    store.close()
