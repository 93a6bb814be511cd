"""Whose client is this? RFC 3074 over any number of members with weights.

A client hashes to one of 256 buckets, by the RFC's function and table, so that a relay that
balances by the same RFC agrees with us. The group value alone says which member has which
buckets, so no message is needed: every member of one generation has the same list. A client that
its own member does not serve is served by the others once it has been trying for the subnet's
delay (`secs`), or at once when nothing is heard of that member or it serves nobody yet.
"""

from __future__ import annotations

from collections.abc import Collection

from agent.dhcp.packet import Packet
from agent.model import Group, MemberId, MemberRole, MemberState

BUCKETS = 256

_MIXING = bytes.fromhex(
    "fbaf77d7510e4fbf6731b58fba9d00e81f20373c983a11edae46a090dc5a39df"
    "3b03128c6fa6cbc486f37c5fdeb3c541b430240f6b2ee982a51e7ba1d1176110"
    "285bdb3d640ad26dfa7f168a1d6cf443cf09b2cc4a627ef9a774224dc1c87905"
    "14714723800db65e19e2e3c74b1b29f5e6e02be1b11a9b96d48eda73f1495869"
    "27723effc0c991d6a89edd949a7a0c5452a32c8be4eccdf2d90bbb929f4056ef"
    "c32a6ac67670b8ac5702ad75b0e5f7fd89b963a466932d42e7348dd3c2cef6ee"
    "386e4ef83ff0bd5d5c3335b713ab48322168654508fc53784c875536ca7dbcd5"
    "60eb88d0a281be849c262f0107fe1804d88359151c8525999550aa4406a9ea97"
)
"""The mixing table of RFC 3074 6, which every implementation must use."""


def bucket_of(service_transaction_id: bytes) -> int:
    """Pearson's hash (RFC 3074 6)."""
    value = len(service_transaction_id) & 0xFF
    for octet in reversed(service_transaction_id):
        value = _MIXING[value ^ octet]
    return value


def client_bucket(packet: Packet) -> int:
    """The client identifier where there is one, else the hardware address (RFC 3074 4)."""
    key = packet.client_key
    return bucket_of(key[1:] if key[:1] == b"\x01" else packet.client_hardware_address)


def share_buckets(group: Group) -> tuple[MemberId, ...]:
    """The member of each bucket, in proportion to weights; () where there is nobody to share with.
    A member of weight 0 has no clients of its own, and serves those of a silent one."""
    sharing = sorted(
        (member.member, member.weight)
        for member in group.members
        if member.state is MemberState.ACTIVE and member.role is MemberRole.SERVER and member.weight
    )
    total = sum(weight for _, weight in sharing)
    if len(sharing) < 2:
        return ()
    buckets: list[MemberId] = []
    reached = 0
    for member, weight in sharing:
        reached += weight
        buckets += [member] * (reached * BUCKETS // total - len(buckets))
    return tuple(buckets)


def is_served_here(
    packet: Packet,
    me: MemberId,
    buckets: tuple[MemberId, ...],
    delay_s: int,
    idle: Collection[MemberId],
) -> bool:
    """Whether this member offers to the client at once."""
    if not buckets or packet.seconds >= delay_s:
        return True
    owner = buckets[client_bucket(packet)]
    return owner == me or owner in idle
