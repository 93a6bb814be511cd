"""How the member's own agent sees what `agent.reasons` judges: from the store and the running node,
by the same cells as the tables that a manager reads, and so in the same words.

Counting a pool reads a row for every lease, so pools are counted seldom: one that had n addresses
left when it was counted has none left only after n changes at least, of whatever stream.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from agent import former
from agent.health import FormerStatus, Health, MemberStatus, PoolStatus
from agent.kinds.former_server import FormerServer
from agent.limits import POOL_COUNT_AGAIN_MS, POOL_COUNT_SHARE
from agent.model import ChangeKind, Pool, format_address
from agent.reasons import judge
from agent.settings.configuration import Configuration
from agent.snmp import columns
from agent.snmp.cluster_tables import MEMBER_CELLS, members, own_name, server_state, votes
from agent.snmp.lease_tables import active_pools, usage
from agent.snmp.tables import Scope


@dataclass(frozen=True, slots=True)
class Seen:
    """`agent.health.Sight`, made on the spot. `pools_low` is no matter of health: 0."""

    asked: int
    asked_name: str
    state: str
    members: tuple[MemberStatus, ...]
    pools: tuple[PoolStatus, ...]
    uncertain_since: str
    engine_heard: str
    disk_free: int
    former: tuple[FormerStatus, ...]
    votes: bool
    conflicts: bool
    pools_low: int = 0


@dataclass(slots=True)
class _Count:
    """`left` addresses, or conflicts, at that number of changes; the next count is not before
    `again_ms`."""

    left: int
    changes: int
    again_ms: int


class Gauge:
    """Tells which pools are full, and whether an address is in conflict, both by reading many rows;
    `timer_ms` measures what that costs."""

    def __init__(self, timer_ms: Callable[[], float]) -> None:
        self._timer_ms = timer_ms
        self._counts: dict[Pool, _Count] = {}
        self._conflicts = _Count(0, -1, 0)

    def full(self, scope: Scope) -> list[Pool]:
        changes = _changes(scope)
        pools = active_pools(scope)
        self._counts = {pool: self._counts[pool] for pool in pools if pool in self._counts}
        return [pool for pool in pools if not self._left(scope, pool, changes)]

    def _left(self, scope: Scope, pool: Pool, changes: int) -> int:
        known = self._counts.get(pool)
        if known is not None:
            possible = known.left - (changes - known.changes)
            if possible > 0 or known.again_ms - scope.now_ms >= 0:
                return known.left
        began_ms = self._timer_ms()
        used = usage(scope, pool.first, pool.last)
        left = max(0, pool.last - pool.first + 1 - used.in_use - used.unavailable)
        self._counts[pool] = _Count(left, changes, self._again_ms(scope, began_ms))
        return left

    def has_conflict(self, scope: Scope) -> bool:
        """As of the last change, or of when it was looked for last: that reads every binding."""
        known, changes = self._conflicts, _changes(scope)
        if changes != known.changes and known.again_ms - scope.now_ms < 0:
            began_ms = self._timer_ms()
            found = len(scope.tx.conflicts(0, 1))
            self._conflicts = _Count(found, changes, self._again_ms(scope, began_ms))
        return bool(self._conflicts.left)

    def _again_ms(self, scope: Scope, began_ms: float) -> int:
        took_ms = int((self._timer_ms() - began_ms) * POOL_COUNT_SHARE)
        return scope.now_ms + max(POOL_COUNT_AGAIN_MS, took_ms)


def _changes(scope: Scope) -> int:
    return sum(head.applied for head in scope.tx.streams().values())


def look(scope: Scope, gauge: Gauge, name: str) -> Health:
    """What this member thinks of itself and its group; `name` is its own, as long as no group has
    one for it."""
    local, vitals = scope.local(), scope.vitals
    uncertain = local.certain_until if scope.group() is not None else 0
    pools = tuple(full_pools(scope, gauge))
    return judge(
        Seen(
            local.member,
            own_name(scope) or name,
            columns.SERVER["dhcpSyncServerState"].syntax.names[server_state(scope)],
            tuple(_member(scope, row) for _, row in members(scope)),
            pools,
            instant(uncertain, "it ran last") if uncertain else "",
            instant(vitals.engine_heard_at),
            vitals.disk_free,
            tuple(_former(scope)),
            votes(scope),
            gauge.has_conflict(scope),
        )
    )


def _former(scope: Scope) -> Iterator[FormerStatus]:
    """Subnets are read only while there is such a lease."""
    now = scope.now_ms // 1000
    rows = [r.row for r in scope.tx.configuration(ChangeKind.FORMER_SERVER) if not r.deleted]
    if not any(isinstance(row, FormerServer) and row.until > now for row in rows):
        return
    subnets = [r.row for r in scope.tx.configuration(ChangeKind.SUBNET) if not r.deleted]
    configuration = Configuration.from_rows([*rows, *subnets])
    for network, until in former.running(configuration, now):
        yield FormerStatus(network, instant(until))
    for network, until in former.untried(configuration, now):
        yield FormerStatus(network, instant(until), tried=False)


def full_pools(scope: Scope, gauge: Gauge) -> Iterator[PoolStatus]:
    """Subnets are read only while a pool is full."""
    full = gauge.full(scope)
    if not full:
        return
    subnets = [r.row for r in scope.tx.configuration(ChangeKind.SUBNET) if not r.deleted]
    known = Configuration.from_rows([*subnets, *active_pools(scope)])
    used_up = set(full)
    for pool in full:
        size = pool.last - pool.first + 1
        relieved = not used_up.issuperset(known.pools_beside(pool))
        first, last = format_address(pool.first), format_address(pool.last)
        yield PoolStatus(first, last, pool.name, active=True, size=size, in_use=size, free=0,
                         unavailable=0, relieved=relieved)  # fmt: skip


def _member(scope: Scope, row: Any) -> MemberStatus:
    member, peer = row

    def word(short: str) -> str:
        value = MEMBER_CELLS[short](scope, row)
        assert isinstance(value, int)
        return columns.MEMBER[short].syntax.names[value]

    return MemberStatus(
        member.member,
        member.name,
        format_address(member.address),
        state=word("State"),
        role=word("Role"),
        hello=word("HelloState"),
        align=word("AlignState"),
        backlog=peer.backlog,
        clock_offset_ms=peer.clock_offset_ms,
        endpoint=word("EndpointState"),
        last_heard=instant(peer.last_heard_at),
        trouble=word("Trouble"),
    )


def instant(at_s: int, never: str = "") -> str:
    """As a person reads it; `never` for the beginning of time."""
    if at_s <= 0:
        return never
    at = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at.year > 1970 else never
