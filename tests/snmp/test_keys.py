"""Keys against RFC 3414 A.3's worked examples, and against pysnmp for SHA-256."""

from __future__ import annotations

import hashlib

import pytest
from pyasn1.type.univ import OctetString
from pysnmp.proto.secmod.rfc3414 import localkey

from agent.snmp.keys import UserKeys, derive_keys, localize_key, master_key

ENGINE_ID = bytes.fromhex("000000000000000000000002")


@pytest.mark.parametrize(
    ("digest", "master", "localized"),
    [
        ("md5", "9faf3283884e92834ebc9847d8edd963", "526f5eed9fcce26f8964c2930787d82b"),
        (
            "sha1",
            "9fb5cc0381497b3793528939ff788d5d79145211",
            "6695febc9288e36282235fc7151f128497b38f3f",
        ),
    ],
)
def test_rfc_3414_appendix_a_3(digest: str, master: str, localized: str) -> None:
    key = master_key("maplesyrup", digest)
    assert key.hex() == master
    assert localize_key(key, ENGINE_ID, digest).hex() == localized


def test_sha256_equals_what_pysnmp_derives() -> None:
    theirs = bytes(localkey.hash_passphrase(b"maplesyrup", hashlib.sha256))
    assert master_key("maplesyrup") == theirs
    assert localize_key(theirs, ENGINE_ID) == bytes(
        localkey.localize_key(theirs, OctetString(ENGINE_ID), hashlib.sha256)
    )


def test_localized_keys_have_the_octets_that_sha256_and_aes128_take() -> None:
    keys = derive_keys("maplesyrup", "pancake-syrup")
    assert keys == UserKeys(master_key("maplesyrup"), master_key("pancake-syrup"))
    localized = keys.localize(ENGINE_ID)
    assert (len(localized.authentication), len(localized.privacy)) == (32, 16)
    assert localized != keys.localize(b"\x80\x00" + ENGINE_ID[2:])


def test_a_short_passphrase_is_named() -> None:
    with pytest.raises(ValueError, match="privacy passphrase has 7 characters"):
        derive_keys("maplesyrup", "pancake")
