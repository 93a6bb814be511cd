"""IPv4 addresses as the numbers that they are everywhere inside, and as text at the edges."""

from __future__ import annotations


def format_address(address: int) -> str:
    """Dotted decimal."""
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def parse_address(text: str) -> int:
    """Dotted decimal to int; ValueError names the text. A zero in front of a number is refused:
    some read what follows as octal."""
    parts = text.strip().split(".")
    if len(parts) != 4 or not all(map(_is_octet, parts)):
        raise ValueError(f"{text!r} is no IPv4 address, expected a.b.c.d")
    a, b, c, d = (int(p) for p in parts)
    return a << 24 | b << 16 | c << 8 | d


def _is_octet(text: str) -> bool:
    if not (text.isascii() and text.isdigit() and len(text) <= 3):
        return False
    return int(text) < 256 and (text == "0" or text[0] != "0")


def is_host_address(address: int) -> bool:
    """Whether a host can have the address at all, loopback included: not 0.0.0.0/8 (RFC 1122
    3.2.1.3), multicast, or what is reserved above it (RFC 1112 4)."""
    return 0 < address >> 24 < 224


def format_place(address: int, port: int) -> str:
    """Where an agent is reached: `198.18.0.1:161`."""
    return f"{format_address(address)}:{port}"
