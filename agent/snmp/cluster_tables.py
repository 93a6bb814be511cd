"""The member itself, its group, the streams and the log, and the exchanges between members."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent.limits import SNMP_EXCHANGES_MAX
from agent.model import (
    Change,
    ChangeKind,
    Group,
    Member,
    MemberRole,
    MemberState,
    Trouble,
    stream_id,
    stream_incarnation,
    stream_member,
)
from agent.snmp import columns
from agent.snmp.columns import RowStatus, Table
from agent.snmp.health_objects import health_text, level, reason_bits
from agent.snmp.lease_tables import pools_low
from agent.snmp.oid import Oid
from agent.snmp.tables import (
    Cell,
    ListProvider,
    Node,
    PeerStatus,
    Provider,
    QueryProvider,
    Scope,
    date_and_time,
    scalar_node,
)
from agent.sync.codec import pack_group, pack_record
from agent.sync.endpoint import Endpoint, Standing, endpoint_state
from agent.sync.messages import Record

Row = tuple[Oid, Any]

COUNTER_NAMES: Mapping[str, str] = {
    f"dhcpSyncCounter{name}": name.lower()
    for name in (
        "Discovers",
        "Offers",
        "Requests",
        "Declines",
        "Acks",
        "Naks",
        "Releases",
        "Informs",
        "Invalids",
    )
}
"""The store's name of each counter of the MIB."""

DROP_PREFIX = "dropped_"
"""The store's counters of dropped messages: this, and the reason."""

ACTIVITY_PREFIX = "cluster_"
"""The store's counters of the protocol between members: this, and the name."""

COUNTER_NAME_MAX = 32
"""Longest name in the two tables of counters; their indexes are SnmpAdminStrings (SIZE (1..32))."""

CHANGE_REFERENCE_OCTETS = 8
"""A dhcpSyncChangeRecord of this length is the number of an earlier change of the same response; a
packed record is always longer."""

NO_OPERATION = 1
NO_FORCE = 1
"""What dhcpSyncMemberOperation and dhcpSyncMemberForce read as: they are orders, not states."""

_UNKNOWN_PEER = PeerStatus()
_JOINING = (1, 6)
"""dhcpSyncServerState joining and recovering."""
_SELF = PeerStatus(hello_state=4, align_state=5)


# --- scalars


def _counters(scope: Scope) -> dict[str, int]:
    found: dict[str, int] = scope.keep("counters", scope.tx.counters)
    return found


def _counter(stored: str) -> Callable[[Scope], int]:
    return lambda scope: _counters(scope).get(stored, 0)


def server_state(scope: Scope) -> int:
    group, local = scope.group(), scope.local()
    own = group.member(local.member) if group else None
    if own is not None and own.role is MemberRole.DATABASE:
        return 4 if local.serving_since else 1
    if local.recovery:
        return 6
    if local.unconfirmed and not local.serving:
        return 5
    if local.serving and scope.store_fails:
        return 8
    if local.serving and not local.answers_clients:
        return 7
    if local.serving:
        return 9 if scope.vitals.trouble is Trouble.ENGINE_SILENT else 2
    return 1 if own is not None and own.is_current else 3


def votes(scope: Scope) -> bool:
    """As `agent.sync.situation.Situation.votes`, of a member that does what its role is."""
    local = scope.local()
    return not (local.unconfirmed or local.recovery)


def own_name(scope: Scope) -> str:
    group = scope.group()
    own = group.member(scope.local().member) if group else None
    return own.name if own else ""


def _binding_count(scope: Scope) -> int:
    counts = scope.tx.count_bindings(0, 0xFFFF_FFFF, scope.now)
    return counts.live + counts.expired + counts.released + counts.unavailable


def _peers(scope: Scope) -> list[PeerStatus]:
    group, own = scope.group(), scope.local().member
    members = group.members if group else ()
    return [
        scope.peers.get(m.member, _UNKNOWN_PEER)
        for m in members
        if m.member != own and m.is_current
    ]


def _uncertain_since(scope: Scope) -> bytes:
    """Of length 0 for one that is out: it has learned what there was to learn."""
    group, local = scope.group(), scope.local()
    own = group.member(local.member) if group else None
    doubts = own is not None and own.is_current and local.certain_until
    return date_and_time(local.certain_until) if doubts else b""


def _engine_heard(scope: Scope) -> bytes:
    at = scope.vitals.engine_heard_at
    return date_and_time(at) if at > 0 else b""


def scalars(version: str) -> list[Node]:
    """The server's scalars and the DHCP counters."""
    readers: dict[str, Callable[[Scope], int | bytes | str]] = {
        "dhcpSyncServerId": lambda scope: scope.local().member,
        "dhcpSyncServerName": own_name,
        "dhcpSyncServerVersion": lambda _: version,
        "dhcpSyncServerIncarnation": lambda scope: scope.local().incarnation,
        "dhcpSyncServerState": server_state,
        "dhcpSyncServerConfigVersion": lambda scope: scope.local().configuration_version,
        "dhcpSyncServerBindings": _binding_count,
        "dhcpSyncServerPeersDown": lambda scope: sum(p.hello_state <= 2 for p in _peers(scope)),
        "dhcpSyncServerPoolsLow": pools_low,
        "dhcpSyncServerMaxBacklog": lambda scope: max([0, *(p.backlog for p in _peers(scope))]),
        "dhcpSyncServerUncertainSince": _uncertain_since,
        "dhcpSyncServerEngineHeard": _engine_heard,
        "dhcpSyncServerDiskFree": lambda scope: scope.vitals.disk_free,
        "dhcpSyncServerHealth": lambda scope: level(scope.vitals.health),
        "dhcpSyncServerHealthReasons": lambda scope: reason_bits(scope.vitals.health),
        "dhcpSyncServerHealthText": lambda scope: health_text(scope.vitals.health),
        "dhcpSyncServerVotes": lambda scope: 1 if votes(scope) else 2,
    }
    readers |= {name: _counter(stored) for name, stored in COUNTER_NAMES.items()}
    return [scalar_node(scalar, readers[name]) for name, scalar in columns.SCALARS.items()]


def _counters_of(prefix: str) -> Callable[[Scope], list[Row]]:
    """The store's counters whose name begins with `prefix`, by the rest of it."""

    def rows(scope: Scope) -> list[Row]:
        found = []
        for name, count in _counters(scope).items():
            rest = name.removeprefix(prefix).encode()
            if name.startswith(prefix) and 1 <= len(rest) <= COUNTER_NAME_MAX:
                found.append((tuple(rest), count))
        return sorted(found)

    return rows


# --- the group


GROUP_CELLS: Mapping[str, Cell] = {
    "Name": lambda _, row: row[0].name,
    "Generation": lambda _, row: row[0].generation,
    "MembershipHash": lambda _, row: row[1],
    "MaxUnpushedLeaseTime": lambda _, row: row[0].mul_s,
    "LeaseTime": lambda _, row: row[0].lease_s,
    "MemberCount": lambda _, row: len(row[0].current),
    "SafePeriod": lambda _, row: row[0].safe_period_s,
    "ForcedChanges": lambda _, row: row[0].forced,
    "Packed": lambda _, row: pack_group(row[0]),
}


def _last_heard(_: Scope, row: tuple[Member, PeerStatus]) -> bytes:
    return date_and_time(row[1].last_heard_at) if row[1].last_heard_at else b""


MEMBER_CELLS: Mapping[str, Cell] = {
    "Name": lambda _, row: row[0].name,
    "Address": lambda _, row: row[0].address.to_bytes(4, "big"),
    "Port": lambda _, row: row[0].port,
    "EngineId": lambda _, row: row[0].engine_id,
    "State": lambda _, row: (
        MemberState.JOINING if row[0].is_current and row[1].joining else row[0].state
    ),
    "Role": lambda _, row: row[0].role,
    "Weight": lambda _, row: row[0].weight,
    "Incarnation": lambda _, row: row[1].incarnation,
    "HelloState": lambda _, row: row[1].hello_state,
    "AlignState": lambda _, row: row[1].align_state,
    "LastHeard": _last_heard,
    "ClockOffset": lambda _, row: max(-(2**31), min(row[1].clock_offset_ms, 2**31 - 1)),
    "Backlog": lambda _, row: max(0, min(row[1].backlog, 2**32 - 1)),
    "RowStatus": lambda _, row: RowStatus.ACTIVE,
    "EndpointState": lambda _, row: (
        row[1].endpoint_state if row[0].is_current else Endpoint.PARTNER_DOWN
    ),
    "Operation": lambda _, row: NO_OPERATION,
    "Force": lambda _, row: NO_FORCE,
    "Trouble": lambda _, row: row[1].trouble,
}


def members(scope: Scope) -> list[Row]:
    group, local = scope.group(), scope.local()
    if group is None:
        return []
    standing = Standing(
        its_service=local.service,
        i_serve=local.serving,
        it_serves=local.serving,
        covered=local.serving,
    )
    own = replace(
        _SELF,
        incarnation=local.incarnation,
        joining=server_state(scope) in _JOINING,
        last_heard_at=scope.now,
        endpoint_state=endpoint_state(standing),
        trouble=scope.vitals.trouble,
    )
    return sorted(
        (
            (m.member,),
            (m, own if m.member == local.member else scope.peers.get(m.member, _UNKNOWN_PEER)),
        )
        for m in group.members
    )


PENDING_CELLS: Mapping[str, Cell] = {
    "Change": lambda _, row: row.change,
    "User": lambda _, row: row.user,
    "Phase": lambda _, row: row.phase,
}


def _pending(scope: Scope) -> list[Row]:
    return [((number,), one) for number, one in enumerate(scope.pending, 1)]


# --- streams and the log


def _streams(scope: Scope) -> list[Row]:
    return [
        ((stream_member(stream), stream_incarnation(stream)), head)
        for stream, head in sorted(scope.tx.streams().items())
    ]


STREAM_CELLS: Mapping[str, Cell] = {
    "Applied": lambda _, row: row.applied,
    "LogFrom": lambda _, row: row.log_from,
    "Acknowledged": lambda _, row: row.acknowledged,
}


def _changes(scope: Scope, first: Oid, limit: int) -> list[Row]:
    """Changes from index `first` on, of however many streams it takes."""
    stream = stream_id(first[0], first[1])
    after = (first[2] << 32 | first[3]) - 1
    found: list[Change] = []
    while len(found) < limit:
        page = scope.tx.changes(stream, after, limit - len(found))
        found += page
        if len(found) < limit:
            following = scope.tx.next_change(stream, page[-1].seq if page else after)
            if following is None:
                break
            stream, after = following.stream, following.seq - 1
    records = _records(scope, found)
    return [
        (
            (
                stream_member(change.stream),
                stream_incarnation(change.stream),
                change.seq >> 32,
                change.seq & 0xFFFF_FFFF,
            ),
            (change, records.get((change.kind, change.key))),
        )
        for change in found
    ]


def _records(scope: Scope, changes: list[Change]) -> dict[tuple[int, int | str], Record]:
    """The current rows that `changes` are about."""
    found: dict[tuple[int, int | str], Record] = {}
    addresses = {change.key for change in changes if isinstance(change.key, int)}
    bindings = scope.tx.bindings_by_address(addresses) if addresses else {}
    for address, binding in bindings.items():
        found[ChangeKind.BINDING, address] = binding
    for change in changes:
        if isinstance(change.key, str) and (change.kind, change.key) not in found:
            record = scope.tx.configuration_record(change.kind, change.key)
            if record is not None:
                found[change.kind, change.key] = record
    return found


def _change_record(scope: Scope, row: tuple[Change, Record | None]) -> bytes:
    """The packed row where it first appears in a response, afterwards the number of that change:
    a busy address may have many changes in one page."""
    change, record = row
    if record is None:
        return b""
    first: int = scope.keep((change.stream, change.kind, change.key), lambda: change.seq)
    if first != change.seq:
        return first.to_bytes(CHANGE_REFERENCE_OCTETS, "big")
    return pack_record(record, scope.now_ms)


# --- exchanges between members


class Exchanges:
    """Requests that members have written, and our answers, by index; the oldest ones go first.

    Used on the event loop to store, and on the store's thread to read."""

    def __init__(self) -> None:
        self._rows: OrderedDict[Oid, tuple[bytes, bytes]] = OrderedDict()

    def put(self, index: Oid, request: bytes, answer: bytes) -> None:
        self._rows.pop(index, None)
        self._rows[index] = (request, answer)
        while len(self._rows) > SNMP_EXCHANGES_MAX:
            self._rows.popitem(last=False)

    def remove(self, index: Oid) -> None:
        self._rows.pop(index, None)

    def rows(self) -> list[Row]:
        return sorted(self._rows.copy().items())


_EXCHANGE_CELLS: Mapping[str, Cell] = {
    "Request": lambda _, row: row[0],
    "Answer": lambda _, row: row[1],
    "RowStatus": lambda _, row: RowStatus.ACTIVE,
}


def _exchange_provider(table: Table, exchanges: Exchanges) -> ListProvider:
    return ListProvider(table, _EXCHANGE_CELLS, lambda _: exchanges.rows())


# --- audit


AUDIT_CELLS: Mapping[str, Cell] = {
    "Time": lambda _, row: date_and_time(row.at),
    "User": lambda _, row: row.user,
    "Action": lambda _, row: row.action,
    "Detail": lambda _, row: row.detail,
    "Hash": lambda _, row: row.hash,
}


def _audit(scope: Scope, first: Oid, limit: int) -> list[Row]:
    return [((entry.seq,), entry) for entry in scope.tx.audit_after(first[0] - 1, limit)]


@dataclass(frozen=True, slots=True)
class ExchangeTables:
    polls: Exchanges
    transfers: Exchanges
    proposals: Exchanges


def providers(
    exchanges: ExchangeTables,
    membership_hash: Callable[[Group], bytes],
    own_counts: Callable[[], Mapping[str, int]],
) -> list[Provider]:
    """Every table of this file; `own_counts` is what the agent has counted since its start."""
    of_protocol = _counters_of(ACTIVITY_PREFIX)

    def activities(scope: Scope) -> list[Row]:
        own = [((*name.encode(),), count) for name, count in own_counts().items() if count]
        return sorted([*of_protocol(scope), *own])

    def group_rows(scope: Scope) -> list[Row]:
        group = scope.group()
        return [] if group is None else [((1,), (group, membership_hash(group)))]

    return [
        ListProvider(columns.DROP, {"Count": lambda _, row: row}, _counters_of(DROP_PREFIX)),
        ListProvider(columns.ACTIVITY, {"Count": lambda _, row: row}, activities),
        ListProvider(columns.GROUP, GROUP_CELLS, group_rows),
        ListProvider(columns.MEMBER, MEMBER_CELLS, members),
        ListProvider(columns.PENDING, PENDING_CELLS, _pending),
        ListProvider(columns.STREAM, STREAM_CELLS, _streams),
        QueryProvider(columns.CHANGE, {"Record": _change_record}, _changes),
        _exchange_provider(columns.PROPOSAL, exchanges.proposals),
        _exchange_provider(columns.POLL, exchanges.polls),
        _exchange_provider(columns.TRANSFER, exchanges.transfers),
        QueryProvider(columns.AUDIT, AUDIT_CELLS, _audit),
    ]
