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

_SEPARATED = re.compile(r"[0-9a-f]{1,2}(?:([: -])[0-9a-f]{1,2})(?:\1[0-9a-f]{1,2})*", re.I)
_GROUPED = re.compile(r"[0-9a-f]{4}(?:([.-])[0-9a-f]{4})(?:\1[0-9a-f]{4})*(?:\1[0-9a-f]{2})?", re.I)
"""As Cisco (0100.1a2b.3c4d.5e is a client identifier) and Huawei (001a-2b3c-4d5e) show them."""
_HALVES = re.compile(r"[0-9a-f]{6}-[0-9a-f]{6}", re.I)
"""As HP's switches show a MAC."""
_BARE = re.compile(r"(?:[0-9a-f]{2}){6,}", re.I)
_PREFIXED = re.compile(r"0x((?:[0-9a-f]{2})+)", re.I)
_ADDRESS_LIKE = re.compile(r"\d+(?:\.\d+){3}(?:/\d*)?")
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
    word = _as_stored(text.strip())
    if not word:
        raise ConfigError("lease", "", "nothing is named", _RIGHT)
    if _ADDRESS_LIKE.fullmatch(word):
        try:
            return Words(parse_address(word), ())
        except ValueError as error:
            raise ConfigError("lease", "", str(error), _RIGHT) from None
    if octets := _octets_of(word):
        name = (Key(HOST_NAME, word.encode()),) if ":" not in word else ()
        return Words(None, _checked(word, (*_of_octets(octets), *name)))
    if prefixed := _PREFIXED.fullmatch(word):
        octets = bytes.fromhex(prefixed[1])
        return Words(None, _checked(word, (Key(CLIENT_ID, octets),)))
    if ":" in word:
        raise ConfigError("lease", "", f"{text!r} is no MAC and no client id", _RIGHT)
    bare = _of_octets(bytes.fromhex(word)) if _BARE.fullmatch(word) else ()
    return Words(None, _checked(word, (*bare, *_of_text(word.encode()))))


def _as_stored(word: str) -> str:
    """What is no UTF-8 on the command line, as a member has it of a client that sent it."""
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _octets_of(word: str) -> bytes:
    """Of a word whose octets are told apart; b"" where it is none."""
    if _SEPARATED.fullmatch(word):
        return bytes(int(part, 16) for part in re.split("[: -]", word))
    if _GROUPED.fullmatch(word) or _HALVES.fullmatch(word):
        return bytes.fromhex(re.sub("[.-]", "", word))
    return b""


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
