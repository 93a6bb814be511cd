"""The file of `dhcpsync apply`: TOML that says all of a group's configuration, as rows.

docs/configuration.md tells people of it. In short:

    [options]                                  # for every client
    domain-name = "example.org"

    [[subnet]]
    prefix = "198.18.0.0/15"
    lease = 3600                               # seconds; 0 or absent: the group's
    claims = "accept"                          # or "known-only", "deny": docs/operations.md
    offer-delay = 0                            # seconds; not 0: members share the clients
    probe = "recent"                           # or "always", "never": docs/operations.md
    pools = ["198.18.16.0-198.19.255.254"]     # or { range = "...", name = "...", active = false }
    [subnet.options]                           # by name or by code
    routers = "198.18.0.254"
    [[subnet.reservation]]
    address = "198.18.1.1"
    hardware-address = "02:00:00:00:00:01"     # or client-id, in hexadecimal with colons, or text
    [subnet.reservation.options]
    log-servers = { value = "198.18.0.2", active = false }

`tools.apply.dump` writes it. Whatever a SET can make of a row can be said here.

Pure: text in, rows out. Every error is a ConfigError that names the file, the key and what would
be right; the rules that rows must keep together are those of `agent.config`.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.config import validate_configuration
from agent.dhcp.options import OPTION_TYPES, option_type, parse_octets, parse_text
from agent.errors import ConfigError
from agent.kinds import KINDS, row_name
from agent.kinds.kind import REQUIRED, Kind
from agent.kinds.option import OPTION
from agent.kinds.pool import POOL
from agent.kinds.reservation import RESERVATION
from agent.kinds.subnet import SUBNET
from agent.kinds.values import Address, Choice, Number, Octets, Text, Type
from agent.model import (
    ConfigRow,
    Option,
    Pool,
    Reservation,
    Subnet,
    format_address,
    parse_address,
)

OCTETS = re.compile(r"([0-9A-Fa-f]{1,2}(:[0-9A-Fa-f]{1,2})+|0x([0-9A-Fa-f]{2})+)\Z")
_ETHERNET_ADDRESS = re.compile(r"[0-9A-Fa-f]{1,2}([:-])[0-9A-Fa-f]{1,2}(\1[0-9A-Fa-f]{1,2}){4}\Z")
_PYTHON: dict[type[Type], type] = {
    Address: str, Octets: str, Text: str, Choice: str, Number: int
}  # fmt: skip
"""What TOML must have for a value of the type."""


def _keys(kind: Kind) -> dict[str, type]:
    """What a table of the kind may say, beside what the file says in a way of its own."""
    return {f.toml: _PYTHON[type(f.type)] for f in kind.fields if f.toml} | {"active": bool}


_SUBNET = _keys(SUBNET) | {"prefix": str, "pools": list, "options": dict, "reservation": list}
_POOL = _keys(POOL) | {"range": str}
_RESERVATION = _keys(RESERVATION) | {
    "address": str,
    "hardware-address": str,
    "hardware-type": int,
    "client-id": str,
    "options": dict,
}
_OPTION = _keys(OPTION)
"""Beside its value, which may be of several types."""
_OWN_WAY = (SUBNET, POOL, OPTION, RESERVATION)
TABLES = {kind.name.replace("_", "-"): kind for kind in KINDS.values() if kind not in _OWN_WAY}
"""Kinds that are a list of tables each, whose keys are those of the declaration."""
_TOP = {"subnet": list, "options": dict} | dict.fromkeys(TABLES, list)
_WORDS = {
    str: "a text in quotes",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}
ETHERNET = 1
"""Hardware type of Ethernet (RFC 1700)."""
ETHERNET_OCTETS = 6


def parse_file(name: str, text: str) -> list[ConfigRow]:
    """All rows that the file `name` asks for, judged together."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(name, "", f"is no valid TOML: {error}") from None
    rows = list(_rows(name, tables))
    try:
        validate_configuration([], _without_twins(rows), lambda _first, _last: 0)
    except ConfigError as error:
        place = f"{error.name}, {error.key}" if error.key else error.name
        raise ConfigError(name, place, error.problem, error.remedy) from None
    return rows


def _without_twins(rows: Sequence[ConfigRow]) -> list[tuple[ConfigRow, bool]]:
    seen = set()
    for row in rows:
        name = row_name(row)
        if name in seen:
            raise ConfigError(name, "", "is there twice", "keep one")
        seen.add(name)
    return [(row, False) for row in rows]


def _rows(name: str, tables: dict[str, Any]) -> Iterator[ConfigRow]:
    _check(name, "", tables, _TOP)
    yield from _options(name, "options", tables.get("options", {}), 0, 0)
    for number, table in enumerate(tables.get("subnet", []), 1):
        place = f"subnet {number}"
        if not isinstance(table, dict):
            raise ConfigError(name, place, "must be a table", "write [[subnet]]")
        yield from _subnet(name, place, table)
    for key, kind in TABLES.items():
        for number, table in enumerate(tables.get(key, []), 1):
            yield _table(name, f"{key} {number}", table, kind)


def _table(name: str, place: str, table: Any, kind: Kind) -> Any:
    """A row of a kind that is told as it is declared."""
    if not isinstance(table, dict):
        raise ConfigError(name, place, "must be a table", f"write [[{place.split()[0]}]]")
    _check(name, place, table, _keys(kind))
    for field in kind.fields:
        if field.default is REQUIRED:
            _require(name, place, table, field.toml, f"..., {field.says}")
    return kind.row(**_values(name, place, table, kind))


def _subnet(name: str, place: str, table: dict[str, Any]) -> Iterator[ConfigRow]:
    _check(name, place, table, _SUBNET)
    prefix = _require(name, place, table, "prefix", '"198.18.0.0/15"')
    place = f"subnet {prefix}"
    network, prefix_length = _prefix(name, f"{place}: prefix", prefix)
    yield Subnet(network, prefix_length, **_values(name, place, table, SUBNET))
    for number, pool in enumerate(table.get("pools", []), 1):
        yield _pool(name, f"{place}: pools, item {number}", pool)
    yield from _options(name, f"{place}: options", table.get("options", {}), network, prefix_length)
    for number, reservation in enumerate(table.get("reservation", []), 1):
        where = f"{place}: reservation {number}"
        if not isinstance(reservation, dict):
            raise ConfigError(name, where, "must be a table", "write [[subnet.reservation]]")
        yield from _reservation(name, where, reservation)


def _pool(name: str, place: str, pool: Any) -> Pool:
    if isinstance(pool, str):
        pool = {"range": pool}
    if not isinstance(pool, dict):
        raise ConfigError(name, place, f"is {pool!r}", 'write "first-last"')
    _check(name, place, pool, _POOL)
    text = _require(name, place, pool, "range", '"198.18.16.0-198.18.16.255"')
    first, dash, last = text.partition("-")
    if not dash:
        raise ConfigError(name, place, f"{text!r} is no range", 'write "first-last"')
    return Pool(
        _address(name, place, first),
        _address(name, place, last),
        **_values(name, place, pool, POOL),
    )


def _reservation(name: str, place: str, table: dict[str, Any]) -> Iterator[ConfigRow]:
    _check(name, place, table, _RESERVATION)
    address = _address(
        name, f"{place}: address", _require(name, place, table, "address", '"198.18.1.1"')
    )
    place = place.partition(": reservation")[0] + f": reservation {format_address(address)}"
    client_key = _client_key(name, place, table)
    yield Reservation(address, client_key, **_values(name, place, table, RESERVATION))
    yield from _options(name, f"{place}: options", table.get("options", {}), address, 32)


def _client_key(name: str, place: str, table: dict[str, Any]) -> bytes:
    """As in `agent.model.Binding`: octet 1 and a client identifier, or 0, type and address."""
    if "hardware-type" in table and "hardware-address" not in table:
        raise ConfigError(name, f"{place}: hardware-type", "is of no hardware-address")
    if ("hardware-address" in table) == ("client-id" in table):
        problem = "names the client twice" if "client-id" in table else "names no client"
        raise ConfigError(name, place, problem, "give hardware-address or client-id")
    if "client-id" in table:
        client_id = str(table["client-id"])
        if not client_id:
            raise ConfigError(name, f"{place}: client-id", "is empty")
        is_octets = OCTETS.match(client_id)
        return b"\x01" + (parse_octets(client_id) if is_octets else client_id.encode())
    hardware_address = str(table["hardware-address"])
    if "hardware-type" in table:
        hardware_type, is_address = table["hardware-type"], OCTETS.match(hardware_address)
        if not 0 <= hardware_type <= 255:
            where = f"{place}: hardware-type"
            raise ConfigError(name, where, f"is {hardware_type}", "must be 0..255")
    else:
        hardware_type, is_address = ETHERNET, _ETHERNET_ADDRESS.match(hardware_address)
    if not is_address:
        what = "address in hexadecimal" if "hardware-type" in table else "Ethernet address"
        raise ConfigError(
            name,
            f"{place}: hardware-address",
            f"{hardware_address!r} is no {what}",
            'write "02:00:00:00:00:01"',
        )
    return bytes((0, hardware_type)) + parse_octets(hardware_address)


def _options(
    name: str, place: str, table: dict[str, Any], network: int, prefix_length: int
) -> Iterator[Option]:
    for key, value in table.items():
        told = value if isinstance(value, dict) else {"value": value}
        try:
            code = option_type(key).code
            if "value" not in told:
                raise ConfigError("", "", "has no value", "write value = ... in its table")
            data = parse_text(code, _option_text(told["value"]))
        except ConfigError as error:
            names = [known.name for known in OPTION_TYPES.values()]
            close = [] if key in names else difflib.get_close_matches(key, names, 1)
            remedy = f"did you mean {close[0]}?" if close else error.remedy
            raise ConfigError(name, f"{place}.{key}", error.problem, remedy) from None
        where = f"{place}.{key}"
        said = {word: one for word, one in told.items() if word != "value"}
        _check(name, where, said, _OPTION)
        yield Option(network, prefix_length, code, data, **_values(name, where, said, OPTION))


def _option_text(value: Any) -> str:
    """The text form of a TOML value, as `agent.dhcp.options` reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, list) and all(isinstance(one, str | int) for one in value):
        return ", ".join(_option_text(one) for one in value)
    raise ConfigError("", "", f"is {value!r}", "give a text, a number, true, false, or a list")


def _check(name: str, place: str, table: dict[str, Any], keys: Mapping[str, type]) -> None:
    for key, value in table.items():
        where = f"{place}: {key}" if place else key
        if key not in keys:
            close = difflib.get_close_matches(key, keys, 1)
            remedy = f"did you mean {close[0]}?" if close else f"known are {', '.join(keys)}"
            raise ConfigError(name, where, "is no known key", remedy)
        if type(value) is not keys[key]:
            raise ConfigError(name, where, f"is {value!r}", f"must be {_WORDS[keys[key]]}")


def _require(name: str, place: str, table: dict[str, Any], key: str, example: str) -> str:
    if key not in table:
        raise ConfigError(name, f"{place}: {key}", "is missing", f"such as {key} = {example}")
    return str(table[key])


def _values(name: str, place: str, table: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """The declared fields that the table gives a value to, and whether it is in service."""
    told = {
        field.name: _value(name, f"{place}: {field.toml}", field.type, table[field.toml])
        for field in kind.fields
        if field.toml in table
    }
    return told | {"active": table.get("active", True)}


def _value(name: str, place: str, type_: Type, value: Any) -> Any:
    if isinstance(type_, Address):
        return _address(name, place, value)
    if isinstance(type_, Octets):
        if value and not OCTETS.match(value):
            raise ConfigError(name, place, f"is {value!r}", 'write octets such as "01:ff"')
        return parse_octets(value) if value else b""
    if isinstance(type_, Choice):
        if value not in type_.spelled:
            words = ", ".join(type_.spelled)
            raise ConfigError(name, place, f"is {value!r}", f"write one of {words}")
        return type_.spelled[value]
    if isinstance(type_, Number) and not type_.low <= value <= type_.high:
        unit = " seconds" if type_.unit == "s" else ""
        right = f"must be {type_.low}..{type_.high}{unit}"
        raise ConfigError(name, place, f"is {value}", right)
    return value


def _prefix(name: str, place: str, text: str) -> tuple[int, int]:
    network, slash, length = text.partition("/")
    if not slash or not (length.isascii() and length.isdigit() and int(length) <= 32):
        raise ConfigError(name, place, f"{text!r} is no prefix", 'write "198.18.0.0/15"')
    return _address(name, place, network), int(length)


def _address(name: str, place: str, text: str) -> int:
    try:
        return parse_address(text)
    except ValueError as error:
        raise ConfigError(name, place, str(error)) from None
