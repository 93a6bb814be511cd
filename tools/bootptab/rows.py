"""What the entries of a bootptab mean as subnets, reservations and options; pure.

Tags are those of bootptab(5) of the CMU and BSD servers, their options those of RFC 2132. An entry
with `ip` and `ha` is a host: its reservation, with its name as host name, and its options in the
scope of its address alone. An entry without an address is a template. `bf` (in `hd`) and `sa`
become options 67 and 66, from which the server also fills the BOOTP fields `file` and `siaddr`.
What has no counterpart here is a warning that names the line, never silence.
"""

from __future__ import annotations

import difflib
import posixpath
import re
from dataclasses import dataclass

from agent.dhcp.options import check_octets, parse_octets, parse_text
from agent.errors import ConfigError
from agent.kinds.scope import host_scope
from agent.limits import HARDWARE_ADDRESS_MAX
from agent.model import ConfigRow, Option, Reservation, Subnet, format_address, parse_address
from tools.bootptab.syntax import Entry, Field, expand, parse_entries

_HARDWARE = {
    "ethernet": 1, "ether": 1, "ethernet3": 2, "ether3": 2, "ax.25": 3, "pronet": 4, "chaos": 5,
    "token-ring": 6, "tr": 6, "ieee802": 6, "arcnet": 7,
}  # fmt: skip
"""Words of bootptab(5) for hardware types (RFC 1700)."""

_ADDRESS_LISTS = {
    "gw": 3, "ts": 4, "ns": 5, "ds": 6, "lg": 7, "cs": 8, "lp": 9, "im": 10, "rl": 11, "ys": 41,
    "nt": 42,
}  # fmt: skip
_TEXTS = {"df": 14, "dn": 15, "rp": 17, "ef": 18, "yn": 40}
_SINGLE = {"sw": 16}
_NUMBERS = {"to": 2, "bs": 13}

_UNUSED = {
    "td": "files are the TFTP server's own business",
    "ra": "replies go where RFC 2131 4.1 says",
    "ms": "the client says how long a reply may be (option 57)",
    "hd": "no bf is given, so there is no file to find there",
    "dl": "there is no DNS update here",
}
_STRUCTURE = {"ip", "ha", "ht", "sm", "hn", "vm", "bf", "hd", "sa", "tc"}
_KNOWN = sorted({*_ADDRESS_LISTS, *_TEXTS, *_SINGLE, *_NUMBERS, *_UNUSED, *_STRUCTURE})
_GENERIC = re.compile(r"T([0-9]{1,3})\Z")
_SERVED_BY_ITSELF = {1: "sm", 50: "ip", 51: "the subnet's lease time", 54: "nothing"}
_VENDOR_MAGIC = ("auto", "rfc1048", "rfc1084")


@dataclass(frozen=True, slots=True)
class Bootptab:
    """`subnets` are those that the hosts need, each with the line that asked for it."""

    rows: tuple[ConfigRow, ...]
    hosts: int
    warnings: tuple[str, ...]


class _Builder:
    def __init__(self, file: str) -> None:
        self.file = file
        self.subnets: dict[tuple[int, int], int] = {}
        self.reservations: dict[int, tuple[Reservation, int]] = {}
        self.options: list[Option] = []
        self.warnings: list[str] = []
        self._warned: set[tuple[int, str]] = set()
        self._clients: dict[tuple[bytes, tuple[int, int]], int] = {}

    def error(self, field: Field, problem: str, remedy: str = "") -> ConfigError:
        return ConfigError(self.file, f"line {field.line}: {field.tag}", problem, remedy)

    def warn(self, field: Field, words: str) -> None:
        if (field.line, field.tag) not in self._warned:
            self._warned.add((field.line, field.tag))
            self.warnings.append(f"line {field.line}: {field.tag}: {words}")

    # --- one host

    def host(self, entry: Entry, tags: dict[str, Field]) -> None:
        at = tags["ip"]
        address = self._address(at)
        if address in self.reservations:
            line = self.reservations[address][1]
            raise self.error(at, f"{format_address(address)} is taken on line {line}")
        if "ha" not in tags:
            raise ConfigError(
                self.file, f"line {entry.line}: ha", "is missing", "such as ha=0207011eaee1"
            )
        subnet = self._subnet(tags, address)
        key = self._client_key(tags)
        other = self._clients.setdefault((key, subnet), at.line)
        if other != at.line:
            raise self.error(tags["ha"], f"has an address in this subnet already, on line {other}")
        name = entry.name.partition(".")[0] if tags.get("dn") else entry.name
        self.reservations[address] = (Reservation(address, key, name), at.line)
        self._options(tags, address)

    def _subnet(self, tags: dict[str, Field], address: int) -> tuple[int, int]:
        field = tags.get("sm")
        if field is None:
            length = 8 if address < 1 << 31 else 16 if address < 3 << 30 else 24
            self.warn(tags["ip"], f"no sm is given: the mask of its class, /{length}, is taken")
        else:
            length = self._mask(field)
        mask = 0xFFFF_FFFF << (32 - length) & 0xFFFF_FFFF
        if length < 31 and address & ~mask & 0xFFFF_FFFF in (0, ~mask & 0xFFFF_FFFF):
            raise self.error(
                tags["ip"], f"{format_address(address)} is no host of its /{length}", "see sm"
            )
        for (network, other), line in self.subnets.items():
            shorter = 0xFFFF_FFFF << (32 - min(other, length)) & 0xFFFF_FFFF
            if other != length and network & shorter == address & shorter:
                raise self.error(
                    field or tags["ip"],
                    f"/{length} overlaps {format_address(network)}/{other} of line {line}",
                    "hosts of one network have one mask",
                )
        self.subnets.setdefault((address & mask, length), tags["ip"].line)
        return address & mask, length

    def _mask(self, field: Field) -> int:
        mask = self._address(field)
        length = mask.bit_count()
        if not 1 <= length <= 32 or mask != 0xFFFF_FFFF << (32 - length) & 0xFFFF_FFFF:
            raise self.error(field, f"{field.value!r} is no mask", "such as sm=255.255.255.0")
        return length

    def _address(self, field: Field) -> int:
        try:
            return parse_address(field.value or "")
        except ValueError as error:
            raise self.error(field, str(error)) from None

    def _client_key(self, tags: dict[str, Field]) -> bytes:
        kind, field = tags.get("ht"), tags["ha"]
        word = (kind.value or "").lower() if kind else "ethernet"
        number = _HARDWARE.get(word, int(word) if word.isascii() and word.isdigit() else 0)
        if kind is not None and not 1 <= number <= 255:
            near = ", ".join(difflib.get_close_matches(word, _HARDWARE, 3) or ["ethernet"])
            raise self.error(kind, f"{kind.value!r} is no hardware type", f"such as {near}")
        try:
            octets = parse_octets((field.value or "").lower().replace(".", " "))
        except ValueError:
            octets = b""
        if not 1 <= len(octets) <= HARDWARE_ADDRESS_MAX:
            raise self.error(
                field, f"{field.value!r} is no address", "hexadecimal without colons: 0207011eaee1"
            )
        if number in (1, 6) and len(octets) != 6:
            raise self.error(
                field, f"has {len(octets)} octets", "this hardware has 6, written without colons"
            )
        return bytes((0, number)) + octets

    # --- options

    def _options(self, tags: dict[str, Field], address: int) -> None:
        codes: dict[int, Field] = {}
        for tag, field in tags.items():
            code, text = self._option(tag, field, tags)
            if not code:
                continue
            if code in codes:
                raise self.error(
                    field, f"is option {code}, as {codes[code].tag} of line {codes[code].line} is"
                )
            codes[code] = field
            try:
                data = text if isinstance(text, bytes) else parse_text(code, text)
            except ConfigError as error:
                raise self.error(field, f"{field.value!r}: {error.problem}", error.remedy) from None
            self.options.append(Option(*host_scope(address), code, data))

    def _option(self, tag: str, field: Field, tags: dict[str, Field]) -> tuple[int, str | bytes]:
        """The option of a tag and its value; code 0 where it is none."""
        text = _unquoted(field.value or "")
        generic = _GENERIC.match(tag)
        if generic:
            return self._generic(field, int(generic[1]))
        for known in (_ADDRESS_LISTS, _TEXTS, _SINGLE):
            if tag in known:
                return known[tag], text
        if tag in _NUMBERS:
            if text.lower() == "auto":
                self.warn(field, "auto is worked out by bootpd only; give a number")
                return 0, ""
            return _NUMBERS[tag], text
        if tag == "bf":
            home = _unquoted(tags["hd"].value or "") if "hd" in tags else ""
            return 67, posixpath.join(home, text)
        if tag == "sa":
            return 66, format_address(self._address(field))
        self._without_option(tag, field, tags)
        return 0, ""

    def _without_option(self, tag: str, field: Field, tags: dict[str, Field]) -> None:
        if tag == "vm" and (field.value or "").lower() not in _VENDOR_MAGIC:
            self.warn(field, f"{field.value!r}: options are always sent as RFC 1048 has them")
        elif tag in _UNUSED and not (tag == "hd" and "bf" in tags):
            self.warn(field, f"has no counterpart: {_UNUSED[tag]}")
        elif tag not in _STRUCTURE and tag not in _UNUSED:
            near = difflib.get_close_matches(tag, _KNOWN, 1)
            remedy = f"did you mean {near[0]}?" if near else f"known are {', '.join(_KNOWN)}, T<n>"
            raise self.error(field, "is no known tag", remedy)

    def _generic(self, field: Field, code: int) -> tuple[int, bytes]:
        if not 1 <= code <= 254:
            raise self.error(field, f"{code} is no option code", "use T1..T254")
        if code in _SERVED_BY_ITSELF:
            self.warn(field, f"option {code} is set by the server: {_SERVED_BY_ITSELF[code]}")
            return 0, b""
        value = field.value or ""
        if value.startswith('"'):
            data = _unquoted(value).encode()
        else:
            try:
                data = parse_octets(value.lower().replace(".", " "))
            except ValueError:
                raise self.error(
                    field, f"{value!r} is no octets", 'give hexadecimal pairs, or text in "..."'
                ) from None
        if not data:
            raise self.error(field, "is empty", "give a value, or leave the tag out")
        try:
            check_octets(code, data)
        except ConfigError as error:
            raise self.error(field, f"{value!r}: {error.problem}", error.remedy) from None
        return code, data


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def parse_bootptab(file: str, text: str) -> Bootptab:
    """The rows that `text` asks for. ConfigError names file, line, tag and what is right."""
    entries = parse_entries(file, text)
    by_name = {entry.name: entry for entry in entries}
    builder = _Builder(file)
    for entry in entries:
        tags = expand(file, entry, by_name)
        if "ip" in tags:
            builder.host(entry, tags)
        elif "ha" in tags:
            field = tags["ha"]
            builder.warn(field, f"{entry.name} has no ip: it is taken for a template")
    rows: list[ConfigRow] = [Subnet(*prefix) for prefix in sorted(builder.subnets)]
    rows += [row for row, _ in sorted(builder.reservations.values(), key=_by_line)]
    rows += builder.options
    return Bootptab(tuple(rows), len(builder.reservations), tuple(builder.warnings))


def _by_line(found: tuple[Reservation, int]) -> int:
    return found[1]
