"""The octets under every message: how each string opens, and one checked pass over it.

A string opens with a version, a kind and the sender's clock in milliseconds. A new version may be
introduced by members that still read the old one.
"""

from __future__ import annotations

import struct
from typing import Final

from agent.errors import PacketError

VERSION: Final = 1
"""Of every string; raised when a layout changes."""

CLOCK_TRUST_MS: Final = 2_000
"""Clocks (and the way between them) at most this far apart count as the same clock."""

OPENING = struct.Struct("!BBQ")
U16 = struct.Struct("!H")
U32 = struct.Struct("!I")
U63 = struct.Struct("!q")
"""Numbers that a store keeps in 64 signed bits; a negative one is refused."""


class Reader:
    """One pass over a string; every read is checked against the end."""

    __slots__ = ("base_s", "data", "position", "trusted")

    def __init__(self, data: bytes, now_ms: int) -> None:
        self.data = data
        self.position = OPENING.size
        if len(data) < OPENING.size:
            raise PacketError("truncated", f"{len(data)} octets, an opening takes {OPENING.size}")
        version, _, sent_ms = OPENING.unpack_from(data)
        if version != VERSION:
            raise PacketError("version", f"version {version}, this member reads {VERSION}")
        self.trusted = abs(sent_ms - now_ms) <= CLOCK_TRUST_MS
        self.base_s = (sent_ms if self.trusted else now_ms) // 1000

    @property
    def kind(self) -> int:
        return self.data[1]

    def fields(self, layout: struct.Struct) -> tuple[int, ...]:
        start = self.position
        self.position = start + layout.size
        if self.position > len(self.data):
            raise PacketError("truncated", f"at octet {start} of {len(self.data)}")
        return layout.unpack_from(self.data, start)

    def octet(self) -> int:
        start = self.position
        if start >= len(self.data):
            raise PacketError("truncated", f"at octet {start} of {len(self.data)}")
        self.position = start + 1
        return self.data[start]

    def flag(self) -> bool:
        value = self.octet()
        if value > 1:
            raise PacketError("flag", f"{value} is neither 0 nor 1")
        return value == 1

    def number(self, layout: struct.Struct) -> int:
        value = self.fields(layout)[0]
        if value < 0:
            raise PacketError("number", f"{value} is negative")
        return value

    def pair(self) -> tuple[int, int]:
        return self.number(U63), self.number(U63)

    def octets(self, length: int) -> bytes:
        start = self.position
        self.position = start + length
        if self.position > len(self.data):
            raise PacketError("truncated", f"at octet {start} of {len(self.data)}")
        return self.data[start : self.position]

    def short_octets(self) -> bytes:
        return self.octets(self.octet())

    def text(self) -> str:
        return decode_text(self.octets(self.octet()))

    def count(self, most: int) -> int:
        value = self.number(U16)
        if value > most:
            raise PacketError("too_many", f"{value} items, at most {most} are read")
        return value

    def end(self) -> None:
        if self.position != len(self.data):
            raise PacketError("trailing", f"{len(self.data) - self.position} octets too many")


def decode_text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PacketError("text", "no UTF-8") from error


def short_octets(value: bytes) -> bytes:
    if len(value) > 255:
        raise PacketError("too_long", f"{len(value)} octets, at most 255 are sent")
    return bytes((len(value),)) + value


def text(value: str) -> bytes:
    return short_octets(value.encode("utf-8", "replace"))
