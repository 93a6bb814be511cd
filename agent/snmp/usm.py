"""The User-based Security Model's two services for our users: HMAC-192-SHA-256 (RFC 7860 4) and
AES-128 in CFB mode (RFC 3826). Pure: keys and octets in, octets out.

A MAC is looked for where the message says that it is, and compared in constant time (RFC 3414
11.1). pysnmp searches the message for its octets and compares them with `!=`, so it is given our
`PlacedHmac` for what it sends and for the answers that it takes (`agent/snmp/engine.py`).
"""

from __future__ import annotations

import hmac

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

MAC_OCTETS = 24
SALT_OCTETS = 8

_DIGEST = "sha256"
_NO_MAC = bytes(MAC_OCTETS)


def mac_of(message: bytes, at: int, key: bytes) -> bytes:
    """The MAC of `message`, in which its octets are at `at`, whatever they are now."""
    zeroed = message[:at] + _NO_MAC + message[at + MAC_OCTETS :]
    return hmac.digest(key, zeroed, _DIGEST)[:MAC_OCTETS]


def is_authentic(message: bytes, at: int, size: int, key: bytes) -> bool:
    """Whether the `size` octets at `at` are the MAC (RFC 7860 4.2.2)."""
    if size != MAC_OCTETS:
        return False
    return hmac.compare_digest(mac_of(message, at, key), message[at : at + size])


def authenticate(message: bytes, at: int, key: bytes) -> bytes:
    """`message` with its MAC at `at` (RFC 7860 4.2.1)."""
    return message[:at] + mac_of(message, at, key) + message[at + MAC_OCTETS :]


def encrypt(plain: bytes, key: bytes, boots: int, time_s: int, salt: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), CFB(_vector(boots, time_s, salt))).encryptor()
    return encryptor.update(plain) + encryptor.finalize()


def decrypt(ciphertext: bytes, key: bytes, boots: int, time_s: int, salt: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), CFB(_vector(boots, time_s, salt))).decryptor()
    return decryptor.update(ciphertext) + decryptor.finalize()


def _vector(boots: int, time_s: int, salt: bytes) -> bytes:
    """RFC 3826 3.1.2.1: the initialization vector."""
    return boots.to_bytes(4, "big") + time_s.to_bytes(4, "big") + salt
