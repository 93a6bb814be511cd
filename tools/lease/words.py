"""What a person writes to name a lease: an address, a hardware address as any device shows it, a
client identifier, a host name. One word may be read in several ways, and then each is looked for.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from agent.errors import ConfigError
from agent.limits import SNMP_CLIENT_KEY_MAX
from agent.model import parse_address
from agent.snmp.columns import CLIENT

_KINDS = {word: kind for kind, word in CLIENT.index["dhcpSyncClientKind"].names.items()}
HARDWARE_ADDRESS = _KINDS["hardwareAddress"]
CLIENT_ID = _KINDS["clientId"]
HOST_NAME = _KINDS["hostName"]

_SEPARATED = re.compile(r"[0-9a-f]{1,2}(?:([:-])[0-9a-f]{1,2})(?:\1[0-9a-f]{1,2})*", re.I)
_DOTTED = re.compile(r"[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}", re.I)
_BARE = re.compile(r"[0-9a-f]{12}", re.I)
_PREFIXED = re.compile(r"0x((?:[0-9a-f]{2})+)", re.I)
_ADDRESS_LIKE = re.compile(r"\d+(?:\.\d+){3}")
_MAC_OCTETS = 6
_RIGHT = (
    "write an address (192.0.2.17), a MAC (aa:bb:cc:dd:ee:ff, aa-bb-cc-dd-ee-ff, aabb.ccdd.eeff,"
    " aabbccddeeff), a client id (01:aa:bb:cc:dd:ee:ff, 0x01aabb..., or its text) or a host name"
)


class Key(NamedTuple):
    """`kind` is dhcpSyncClientKind."""

    kind: int
    octets: bytes


class Words(NamedTuple):
    """`address`, or the keys under which a client may be known."""

    address: int | None
    keys: tuple[Key, ...]


def parse_words(text: str) -> Words:
    """ConfigError says what can be written."""
    word = text.strip()
    if not word:
        raise ConfigError("lease", "", "nothing is named", _RIGHT)
    if _ADDRESS_LIKE.fullmatch(word):
        try:
            return Words(parse_address(word), ())
        except ValueError as error:
            raise ConfigError("lease", "", str(error), _RIGHT) from None
    if _SEPARATED.fullmatch(word):
        octets = bytes(int(part, 16) for part in re.split("[:-]", word))
        name = (Key(HOST_NAME, word.encode()),) if "-" in word else ()
        return Words(None, _checked(text, (*_of_octets(octets), *name)))
    if _DOTTED.fullmatch(word):
        return Words(None, _of_octets(bytes.fromhex(word.replace(".", ""))))
    if prefixed := _PREFIXED.fullmatch(word):
        octets = bytes.fromhex(prefixed[1])
        return Words(None, _checked(text, (Key(CLIENT_ID, octets),)))
    if ":" in word:
        raise ConfigError("lease", "", f"{text!r} is no MAC and no client id", _RIGHT)
    bare = _of_octets(bytes.fromhex(word)) if _BARE.fullmatch(word) else ()
    return Words(None, _checked(text, (*bare, *_of_text(word.encode()))))


def _of_octets(octets: bytes) -> tuple[Key, ...]:
    """Six are a MAC, or an identifier as short as one."""
    client_id = Key(CLIENT_ID, octets)
    if len(octets) == _MAC_OCTETS:
        return Key(HARDWARE_ADDRESS, octets), client_id
    return (client_id,)


def _of_text(octets: bytes) -> tuple[Key, ...]:
    """An identifier that is text begins with a type of 0 (RFC 2132 9.14), or does without."""
    return Key(HOST_NAME, octets), Key(CLIENT_ID, octets), Key(CLIENT_ID, b"\0" + octets)


def _checked(text: str, keys: tuple[Key, ...]) -> tuple[Key, ...]:
    known = tuple(key for key in keys if 1 <= len(key.octets) <= SNMP_CLIENT_KEY_MAX)
    if not known or not text.isprintable():
        raise ConfigError(
            "lease",
            "",
            f"{text[:40]!r} cannot be looked for",
            f"{_RIGHT}, of at most {SNMP_CLIENT_KEY_MAX} octets",
        )
    return known
