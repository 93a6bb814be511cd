"""How many addresses a member keeps ready, and which it asks for first (architecture, "Stock").

A pool is cut into aligned blocks. Rendezvous hashing of (block, member) gives each block an order
of members; a member asks first for the blocks that the hash gives it, so that members that start
cold together do not fight over the lowest addresses (docs/protocol.md, "The complete poll").
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise

from agent.limits import BLOCK_POLLED_MAX, ORDERS_REMEMBERED_MAX
from agent.model import ChangeKind, Group, MemberId, MemberRole, Pool, Reservation, Subnet
from agent.port import StoreTransaction
from agent.sync.ranges import Span, union

_BLOCKS_A_MEMBER = 16
_ALONE_BLOCK = 65_536


@dataclass(frozen=True, slots=True)
class Served:
    """The spans that the configuration lets the group serve, and what is kept out of them."""

    pools: tuple[Span, ...]
    reserved: tuple[Span, ...]


def load_served(tx: StoreTransaction) -> Served:
    """Active pools inside active subnets; reserved addresses are no stock."""
    subnets = [
        record.row
        for record in tx.configuration(ChangeKind.SUBNET)
        if isinstance(record.row, Subnet) and record.row.active and not record.deleted
    ]
    pools = [
        (record.row.first, record.row.last)
        for record in tx.configuration(ChangeKind.POOL)
        if isinstance(record.row, Pool) and record.row.active and not record.deleted
    ]
    reserved = [
        (record.row.address, record.row.address)
        for record in tx.configuration(ChangeKind.RESERVATION)
        if isinstance(record.row, Reservation) and record.row.active and not record.deleted
    ]
    inside = [
        pool for pool in pools if any(pool[0] in subnet and pool[1] in subnet for subnet in subnets)
    ]
    return Served(tuple(inside), tuple(union(reserved)))


def sharing(group: Group | None) -> dict[MemberId, int]:
    """The weights of the members that have stock: servers, in the order of their numbers. What
    takes no part in the group or serves no clients has none, nor has a member of weight 0; but
    where only those are left, they share alike, or no client would be served."""
    if group is None:
        return {}
    weights = {
        m.member: m.weight
        for m in sorted(group.members, key=lambda m: m.member)
        if m.is_current and m.role is MemberRole.SERVER
    }
    return {m: w for m, w in weights.items() if w} or dict.fromkeys(weights, 1)


def high_mark(left: int, weights: Mapping[MemberId, int], me: MemberId) -> int:
    """My fair share of what is `left` of a pool, which is what no client has; a share of average
    weight stays free for the next member. By myself I keep all of it: clients would wait for what
    nobody has, and a second member gets its share when it comes."""
    if me not in weights:
        return 0
    if len(weights) == 1:
        return max(1, left)
    members, total = len(weights), sum(weights.values())
    return max(1, left * weights[me] * members // (total * (members + 1)))


def low_mark(high: int, demand: int) -> int:
    """Half of the high mark; up to three quarters where clients took `demand` addresses within
    the last DEMAND_S, so that a busy member asks before it is in need."""
    return max((high + 1) // 2, min(demand, high * 3 // 4))


def is_nearly_empty(free: int, high: int, was: bool) -> bool:
    """Whether operators must be told that a pool runs out here: under an eighth of the share, far
    below where more is asked for, until there is half of it again."""
    return free * 2 < high if was else free * 8 < high


def allowance(free: int, low: int, taker_free: int, wanted: int, weights: tuple[int, int]) -> int:
    """How many of its `free` addresses a member gives to one that has `taker_free`; `weights` are
    the giver's and the taker's. At most half (draft 5.4), and not so many that the taker would have
    the better share afterwards: they would go to and fro. A taker that has some left gets nothing
    that brings the giver below its own low mark; one that has nothing at all does."""
    mine, theirs = max(1, weights[0]), max(1, weights[1])
    balanced = (free * theirs - taker_free * mine) // (mine + theirs)
    most = min(wanted, free // 2, balanced)
    if taker_free:
        most = min(most, free - low)
    return max(0, most)


def block_size(pool: Span, members: int) -> int:
    """The largest power of two that leaves every member about 16 blocks of the pool."""
    share = (pool[1] - pool[0] + 1) // (_BLOCKS_A_MEMBER * members)
    return min(BLOCK_POLLED_MAX, 1 << max(0, share.bit_length() - 1))


def weight(block: int, member: MemberId) -> int:
    """Rendezvous hashing: the greatest weight is preferred."""
    packed = struct.pack("!II", block, member)
    return int.from_bytes(blake2b(packed, digest_size=8).digest(), "big")


def blocks(pool: Span, size: int) -> list[Span]:
    """The pool in blocks that are aligned, but for its ends."""
    edges = [pool[0], *range((pool[0] // size + 1) * size, pool[1] + 1, size), pool[1] + 1]
    return [(first, following - 1) for first, following in pairwise(edges)]


@lru_cache(ORDERS_REMEMBERED_MAX)
def blocks_in_order(pool: Span, members: tuple[MemberId, ...], me: MemberId) -> tuple[Span, ...]:
    """Every block of the pool, those that the hash gives `me` first. Alone, by address: what
    lies side by side then becomes few rows."""
    if len(members) == 1:
        return tuple(blocks(pool, _ALONE_BLOCK))
    size = block_size(pool, len(members))

    def rank(block: Span) -> tuple[int, int]:
        mine = weight(block[0] // size, me)
        return sum(weight(block[0] // size, other) > mine for other in members), block[0]

    return tuple(sorted(blocks(pool, size), key=rank))


def prefers_other(first: int, me: MemberId, other: MemberId) -> bool:
    """Which of two pollers of one range goes on: both decide alike."""
    return (weight(first, other), other) > (weight(first, me), me)
