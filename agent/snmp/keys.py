"""SNMPv3 keys from passphrases: the master key, and its localization to one engine.

A user's passphrase becomes a master key (RFC 3414 2.6 and A.2) by hashing 1 MiB of its
repetition. Localized with an engine's snmpEngineID the key serves that engine only, so a stolen
store of one member opens no other. With SHA-256 (RFC 7860 4.1) both are 32 octets; AES-128
takes the first 16 octets of a key localized from the privacy passphrase (RFC 3826 1.2, 3.1.2.1).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

PASSPHRASE_MIN = 8
"""Shortest passphrase accepted: RFC 3414 11.2 asks for 8 characters."""

USER_NAME_OCTETS_MAX = 32
"""Longest user name (RFC 3414 5, usmUserName)."""

AES_128_KEY_OCTETS = 16

_EXPANDED_OCTETS = 1_048_576
"""RFC 3414 A.2: the passphrase is repeated up to exactly 2**20 octets."""


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """RFC 3411 5: `engine_id` has 5 to 32 octets, `boots` counts the starts of this engine."""

    engine_id: bytes
    boots: int


@dataclass(frozen=True, slots=True)
class UserKeys:
    """A user's authentication and privacy keys, both master or both localized."""

    authentication: bytes
    privacy: bytes

    def localize(self, engine_id: bytes) -> UserKeys:
        """The keys that serve `engine_id`: SHA-256 for authentication, AES-128 for privacy."""
        return UserKeys(
            localize_key(self.authentication, engine_id),
            localize_key(self.privacy, engine_id)[:AES_128_KEY_OCTETS],
        )


def derive_keys(authentication_passphrase: str, privacy_passphrase: str) -> UserKeys:
    """Master keys of a SHA-256 user. ValueError says which passphrase is too short."""
    for name, passphrase in (
        ("authentication", authentication_passphrase),
        ("privacy", privacy_passphrase),
    ):
        if len(passphrase) < PASSPHRASE_MIN:
            raise ValueError(
                f"the {name} passphrase has {len(passphrase)} characters,"
                f" at least {PASSPHRASE_MIN} are needed"
            )
    return UserKeys(master_key(authentication_passphrase), master_key(privacy_passphrase))


def master_key(passphrase: str, digest: str = "sha256") -> bytes:
    """Ku of RFC 3414 2.6 for a passphrase in UTF-8; `digest` is a name known to hashlib."""
    octets = passphrase.encode()
    repeated = octets * (_EXPANDED_OCTETS // len(octets) + 1)
    return hashlib.new(digest, repeated[:_EXPANDED_OCTETS]).digest()


def localize_key(key: bytes, engine_id: bytes, digest: str = "sha256") -> bytes:
    """Kul of RFC 3414 2.6: the digest over key, snmpEngineID, key."""
    return hashlib.new(digest, key + engine_id + key).digest()
