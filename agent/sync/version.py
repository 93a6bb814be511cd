"""What every message carries to tell one membership from another (docs/protocol.md,
"Membership")."""

from __future__ import annotations

from hashlib import blake2b

from agent.model import Group
from agent.sync.codec import pack_group


def membership_hash(group: Group) -> bytes:
    """Eight octets over membership and parameters: equal at members that hold the same value."""
    return blake2b(pack_group(group), digest_size=8).digest()
