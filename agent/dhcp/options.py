"""The values of DHCP options: the way between text and octets.

People write `routers = "198.18.0.1, 198.18.0.2"`; the store and the wire hold octets. What kind of
value an option has is said in `option_types`; one that is not known there is written in
hexadecimal. Every error is a `ConfigError` that names the option and shows a right value.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator

from agent.dhcp.option_types import (
    EXAMPLES,
    LEAST,
    OPTION_TYPES,
    OptionType,
    ValueKind,
    option_type,
)
from agent.dhcp.quotes import quoted, unquoted
from agent.errors import ConfigError
from agent.model import format_address, parse_address


def parse_text(option: int | str, text: str) -> bytes:
    """The octets that `text` stands for. Raises ConfigError."""
    kind = option_type(option)
    try:
        data = _parse(kind.kind, text.strip())
        if not data:
            raise ValueError("is empty")
    except ValueError as error:
        raise _wrong(kind, str(error)) from None
    check_octets(option, data)
    return data


def _wrong(kind: OptionType, problem: str) -> ConfigError:
    return ConfigError(
        f"option {kind.name} ({kind.code})",
        "",
        problem,
        f"expected {kind.kind.value}, such as {EXAMPLES[kind.kind]!r}",
    )


def _parse(kind: ValueKind, text: str) -> bytes:
    """`0x...` is how `format_text` shows octets that are not of the option's kind, so it is read as
    octets; of a number it is a number."""
    if kind not in _NUMBERS and _SHOWN_OCTETS.match(text):
        return bytes.fromhex(text[2:])
    return _PARSERS[kind](text)


def check_octets(option: int | str, data: bytes) -> None:
    """Whether a client can read them as the option's kind; text may be in any encoding. Raises
    ConfigError."""
    kind = option_type(option)
    if kind.kind is ValueKind.TEXT:
        return
    try:
        if kind.kind is ValueKind.BOOLEAN and data not in (b"\0", b"\1"):
            raise ValueError("is neither true nor false")
        said = _FORMATTERS[kind.kind](data)
        least = LEAST.get(kind.code)
        if least is not None and min(map(int, said.split(", "))) < least:
            raise ValueError(f"{said} is less than {least} (RFC 2132)")
    except ValueError as error:
        problem = (
            "holds a name that is not ASCII" if isinstance(error, UnicodeError) else str(error)
        )
        raise _wrong(kind, problem) from None


def format_text(option: int | str, data: bytes) -> str:
    """The text of an option's octets, such that `parse_text` gives them back where it could have
    given them. Octets that are not of the option's kind are shown in hexadecimal behind `0x`."""
    kind = option_type(option).kind
    try:
        text = _FORMATTERS[kind](data)
        if kind is ValueKind.HEX or _parse(kind, text.strip()) == data:
            return text
    except (ValueError, struct.error):
        pass
    return f"0x{data.hex()}"


def named_addresses(code: int, data: bytes) -> list[int]:
    """The machines that an option tells clients of: servers, routers, gateways of routes. Octets
    that are not of the option's kind name none."""
    kind = OPTION_TYPES[code].kind if code in OPTION_TYPES else ValueKind.HEX
    try:
        if kind is ValueKind.ADDRESSES:
            return [int.from_bytes(piece, "big") for piece in _pieces(data, 4)]
        if kind is ValueKind.ROUTES:
            return [router for _, _, router in _routes(data)]
    except ValueError:
        pass
    return []


def _words(text: str) -> list[str]:
    """The members of a list: separated by commas or blanks."""
    words = text.replace(",", " ").split()
    if not words:
        raise ValueError("is empty")
    return words


def _parse_addresses(text: str) -> bytes:
    return b"".join(parse_address(word).to_bytes(4, "big") for word in _words(text))


def _parse_address_kind(text: str) -> bytes:
    return parse_address(text).to_bytes(4, "big")


def _parse_pairs(text: str) -> bytes:
    data = _parse_addresses(text)
    if len(data) % 8:
        raise ValueError(f"{text!r} has an odd number of addresses")
    return data


def _number(text: str, low: int, high: int) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None
    if not low <= value <= high:
        raise ValueError(f"{value} is out of range")
    return value


def _integer_parser(octets: int, signed: bool = False) -> Callable[[str], bytes]:
    bits = 8 * octets - signed

    def parse(text: str) -> bytes:
        value = _number(text, -(1 << bits) if signed else 0, (1 << bits) - 1)
        return value.to_bytes(octets, "big", signed=signed)

    return parse


def _integer_formatter(octets: int, signed: bool = False) -> Callable[[bytes], str]:
    def build(data: bytes) -> str:
        if len(data) != octets:
            raise ValueError(f"{len(data)} octets, expected {octets}")
        return str(int.from_bytes(data, "big", signed=signed))

    return build


def _list_parser(octets: int) -> Callable[[str], bytes]:
    one = _integer_parser(octets)
    return lambda text: b"".join(one(word) for word in _words(text))


def _list_formatter(octets: int) -> Callable[[bytes], str]:
    one = _integer_formatter(octets)
    return lambda data: ", ".join(one(piece) for piece in _pieces(data, octets))


def _pieces(data: bytes, size: int) -> list[bytes]:
    if not data or len(data) % size:
        raise ValueError(f"{len(data)} octets are no multiple of {size}")
    return [data[at : at + size] for at in range(0, len(data), size)]


def _parse_boolean(text: str) -> bytes:
    word = text.lower()
    if word in ("true", "yes", "on", "1"):
        return b"\x01"
    if word in ("false", "no", "off", "0"):
        return b"\x00"
    raise ValueError(f"{text!r} is neither true nor false")


def _format_boolean(data: bytes) -> str:
    return {b"\x00": "false", b"\x01": "true"}.get(data) or f"0x{data.hex()}"


def _parse_plain_text(text: str) -> bytes:
    if not text.isprintable():
        raise ValueError(f"{text!r} holds characters that cannot be printed")
    return unquoted(text).encode()


def _format_addresses(data: bytes) -> str:
    return ", ".join(format_address(int.from_bytes(p, "big")) for p in _pieces(data, 4))


def _format_pairs(data: bytes) -> str:
    return ", ".join(_format_addresses(p).replace(",", "") for p in _pieces(data, 8))


def parse_octets(text: str) -> bytes:
    """Octets in hexadecimal, one after the other or with colons, hyphens or blanks between them;
    one that stands by itself may have one digit, as dhcpd has it: 1:4:ac. Raises ValueError."""
    groups = _SEPARATORS.split(text.strip().removeprefix("0x"))
    octets = bytearray()
    for group in groups:
        alone = len(groups) > 1 and len(group) == 1
        if not _DIGITS.match(group) or (len(group) % 2 and not alone):
            raise ValueError(f"{text!r} is not hexadecimal")
        octets += bytes.fromhex(group.zfill(2))
    return bytes(octets)


_SEPARATORS = re.compile(r"[:\s-]+")
_DIGITS = re.compile(r"[0-9A-Fa-f]+\Z")
_SHOWN_OCTETS = re.compile(r"0x([0-9A-Fa-f]{2})+\Z")


def _parse_domains(text: str) -> bytes:
    """RFC 3397 2: names as in DNS, with pointers to suffixes that were written before."""
    data = bytearray()
    seen: dict[tuple[bytes, ...], int] = {}
    for word in _words(text):
        labels = tuple(label.encode("idna") for label in word.rstrip(".").lower().split("."))
        if not all(1 <= len(label) <= 63 for label in labels) or sum(map(len, labels)) > 250:
            raise ValueError(f"{word!r} is no domain name")
        for at in range(len(labels)):
            known = seen.get(labels[at:])
            if known is not None:
                data += struct.pack("!H", 0xC000 | known)
                break
            if len(data) < 0x4000:
                seen[labels[at:]] = len(data)
            data += bytes((len(labels[at]),)) + labels[at]
        else:
            data.append(0)
    return bytes(data)


def _format_domains(data: bytes) -> str:
    names = []
    at = 0
    while at < len(data):
        name, at = _read_name(data, at)
        names.append(name)
    return ", ".join(names)


_NAME_OCTETS_MAX = 253
"""A name of 255 octets in DNS (RFC 1035 2.3.4), less the first length and the root."""


def _read_name(data: bytes, at: int) -> tuple[str, int]:
    """The name at `at` and where the next one begins. A pointer may only point backwards, so
    that reading always ends."""
    labels: list[str] = []
    after = 0
    limit = at
    while True:
        if at >= len(data):
            raise ValueError("a name runs over the end")
        length = data[at]
        if length >= 0xC0:
            target = (length & 0x3F) << 8 | data[at + 1] if at + 1 < len(data) else limit
            if target >= limit:
                raise ValueError("a pointer does not point backwards")
            after = after or at + 2
            at = limit = target
        elif length > 63:
            raise ValueError("a label is longer than 63 octets")
        elif length == 0:
            name = ".".join(labels)
            if len(name) > _NAME_OCTETS_MAX:
                raise ValueError("a name is longer than 253 octets")
            return name, after or at + 1
        else:
            labels.append(data[at + 1 : at + 1 + length].decode("ascii"))
            at += 1 + length


def _parse_routes(text: str) -> bytes:
    """RFC 3442: prefix length, the significant octets of the prefix, and the router."""
    data = bytearray()
    for route in text.split(","):
        words = [word for word in route.split() if word != "via"]
        if len(words) != 2 or "/" not in words[0]:
            raise ValueError(f"{route.strip()!r} is no route")
        prefix, _, length_text = words[0].partition("/")
        length = _number(length_text, 0, 32)
        network = parse_address(prefix)
        if network & (0xFFFF_FFFF >> length):
            raise ValueError(f"{words[0]!r} has host bits set")
        data.append(length)
        data += network.to_bytes(4, "big")[: (length + 7) // 8]
        data += parse_address(words[1]).to_bytes(4, "big")
    return bytes(data)


def _routes(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Network, prefix length and router of each."""
    at = 0
    while at < len(data):
        length = data[at]
        octets = (length + 7) // 8
        end = at + 1 + octets + 4
        if length > 32 or end > len(data):
            raise ValueError("a route runs over the end")
        network = int.from_bytes(data[at + 1 : at + 1 + octets].ljust(4, b"\0"), "big")
        yield network, length, int.from_bytes(data[end - 4 : end], "big")
        at = end


def _format_routes(data: bytes) -> str:
    return ", ".join(
        f"{format_address(network)}/{length} via {format_address(router)}"
        for network, length, router in _routes(data)
    )


_PARSERS: dict[ValueKind, Callable[[str], bytes]] = {
    ValueKind.ADDRESS: _parse_address_kind,
    ValueKind.ADDRESSES: _parse_addresses,
    ValueKind.ADDRESS_PAIRS: _parse_pairs,
    ValueKind.UNSIGNED_8: _integer_parser(1),
    ValueKind.UNSIGNED_16: _integer_parser(2),
    ValueKind.UNSIGNED_32: _integer_parser(4),
    ValueKind.SIGNED_32: _integer_parser(4, signed=True),
    ValueKind.UNSIGNED_8_LIST: _list_parser(1),
    ValueKind.UNSIGNED_16_LIST: _list_parser(2),
    ValueKind.BOOLEAN: _parse_boolean,
    ValueKind.TEXT: _parse_plain_text,
    ValueKind.DOMAINS: _parse_domains,
    ValueKind.ROUTES: _parse_routes,
    ValueKind.HEX: parse_octets,
}

_NUMBERS = {
    ValueKind.UNSIGNED_8,
    ValueKind.UNSIGNED_16,
    ValueKind.UNSIGNED_32,
    ValueKind.SIGNED_32,
    ValueKind.UNSIGNED_8_LIST,
    ValueKind.UNSIGNED_16_LIST,
}

_FORMATTERS: dict[ValueKind, Callable[[bytes], str]] = {
    ValueKind.ADDRESS: _format_addresses,
    ValueKind.ADDRESSES: _format_addresses,
    ValueKind.ADDRESS_PAIRS: _format_pairs,
    ValueKind.UNSIGNED_8: _integer_formatter(1),
    ValueKind.UNSIGNED_16: _integer_formatter(2),
    ValueKind.UNSIGNED_32: _integer_formatter(4),
    ValueKind.SIGNED_32: _integer_formatter(4, signed=True),
    ValueKind.UNSIGNED_8_LIST: _list_formatter(1),
    ValueKind.UNSIGNED_16_LIST: _list_formatter(2),
    ValueKind.BOOLEAN: _format_boolean,
    ValueKind.TEXT: lambda data: quoted(data.decode()),
    ValueKind.DOMAINS: _format_domains,
    ValueKind.ROUTES: _format_routes,
    ValueKind.HEX: lambda data: data.hex(":"),
}
