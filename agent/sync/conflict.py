"""Who has been bound to one address under one epoch: the parties of a conflict.

Two clients in one epoch cannot come from the rules; they come from a lost promise, an operator who
was wrong about a death, or a bug. The row of a conflict lists the parties in its options: for
each client the rank of its best row. A row that is no conflict is a list of one. Joining is then
the union of the lists, with the greater rank where both know a client, which is commutative,
associative and idempotent, and agrees with how two rows of one client are ordered
(`agent.sync.merge`). Only the greatest keys are kept when there are too many; what falls out of a
union of lists would fall out of every larger one, so that bound keeps all three properties.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

from agent.errors import PacketError
from agent.limits import CLIENT_IDENTIFIER_MAX, CONFLICT_PARTIES_MAX
from agent.model import Binding, BindingState, MemberId, Transaction
from agent.sync.notices import Notice

_PARTY = struct.Struct("!HBIBI")
_KEY_MAX = CLIENT_IDENTIFIER_MAX + 2


class Rank(NamedTuple):
    """What orders the rows of one client in an epoch; `server` gave the greatest grant."""

    unavailable: bool
    grant: int
    state: int
    server: MemberId


Parties = Mapping[bytes, Rank]


def is_conflict(row: Binding) -> bool:
    return row.state is BindingState.UNAVAILABLE and row.transaction is Transaction.CONFLICT


def parties_of(row: Binding) -> Parties:
    if is_conflict(row):
        return unpack_parties(row.options)
    unavailable = row.state is BindingState.UNAVAILABLE
    return {row.client_key: Rank(unavailable, row.grant, row.state, row.transaction_server)}


def join_parties(a: Parties, b: Parties) -> Parties:
    joined = dict(a)
    for key, rank in b.items():
        joined[key] = max(rank, joined.get(key, rank))
    return dict(sorted(joined.items())[-CONFLICT_PARTIES_MAX:])


def pack_parties(parties: Parties) -> bytes:
    """In order of key, so that equal lists are equal octets."""
    return b"".join(
        _PARTY.pack(len(key), rank.unavailable, rank.grant, rank.state, rank.server) + key
        for key, rank in sorted(parties.items())
    )


def unpack_parties(data: bytes) -> Parties:
    """PacketError where the octets are no list of parties as `pack_parties` makes it."""
    parties: dict[bytes, Rank] = {}
    at, before = 0, b""
    while at < len(data):
        if at + _PARTY.size > len(data):
            raise PacketError("conflict", "the list of parties is cut short")
        size, unavailable, grant, state, server = _PARTY.unpack_from(data, at)
        at += _PARTY.size
        key = data[at : at + size]
        at += size
        if len(key) != size or not before < key or size > _KEY_MAX or unavailable > 1:
            raise PacketError("conflict", f"a party of {size} octets out of order")
        parties[key] = Rank(unavailable == 1, grant, state, server)
        before = key
    if not 1 <= len(parties) <= CONFLICT_PARTIES_MAX:
        raise PacketError("conflict", f"{len(parties)} parties, 1..{CONFLICT_PARTIES_MAX}")
    return parties


def repaired(row: Binding, me: MemberId, now: int) -> Binding:
    """What an operator's word makes of a conflict: the next epoch, which beats the conflict
    everywhere, still UNAVAILABLE until both leases are over. From then on it may be polled for."""
    return row._replace(
        epoch=row.epoch + 1,
        grant=1,
        transaction=Transaction.REPAIR,
        transaction_at=now,
        transaction_server=me,
        acknowledged_at=0,
        options=b"",
    )


def conflict_notice(row: Binding) -> Notice:
    """The two greatest keys; a third party is in the list that travels."""
    (first, first_rank), (second, second_rank) = first_and_second(row)
    index = tuple(row.address.to_bytes(4, "big"))
    return Notice(
        "dhcpSyncConflict",
        (
            ("dhcpSyncConflictFirstClient", index, first),
            ("dhcpSyncConflictFirstServer", index, first_rank.server),
            ("dhcpSyncConflictSecondClient", index, second),
            ("dhcpSyncConflictSecondServer", index, second_rank.server),
        ),
    )


def first_and_second(row: Binding) -> list[tuple[bytes, Rank]]:
    """Two parties in order of key, of which one may be nobody."""
    parties = sorted(parties_of(row).items())[-2:]
    return [(b"", Rank(False, 0, 0, 0))] * (2 - len(parties)) + parties
