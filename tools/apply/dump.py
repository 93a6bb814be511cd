"""The inverse of `tools.apply.file`: a group's rows as the file that asks for exactly these.

What a row says beside its place in the file comes from the declaration of its kind. Rows are in
the order of their keys and what is as its default is left out, so one configuration has one text.
The file names no group, no member and no user: those are not in it, and there is no secret.

Pure: rows in, text out. Rows of members that were changed at once may be such as no file can say
(a pool without its subnet): these come back beside the text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from agent.dhcp.option_types import OPTION_TYPES, ValueKind, option_type
from agent.dhcp.options import format_text, parse_text
from agent.errors import ConfigError
from agent.kinds import kind_of
from agent.kinds.scope import (
    GLOBAL,
    Scope,
    host_scope,
    network_scope,
    pool_scope,
    subnet_scope,
)
from agent.kinds.values import Address, Choice, Type
from agent.model import ConfigRow, Option, Pool, Reservation, Setting, Subnet, format_address
from tools.apply.file import ETHERNET, ETHERNET_OCTETS, TABLES, TIMES
from tools.apply.toml_values import is_plain_text

_HEAD = "# The whole configuration of the group; `dhcpsync apply` makes it so.\n\n"
_NUMBERS = {
    ValueKind.UNSIGNED_8,
    ValueKind.UNSIGNED_16,
    ValueKind.UNSIGNED_32,
    ValueKind.SIGNED_32,
}
_NUMBER_LISTS = {ValueKind.UNSIGNED_8_LIST, ValueKind.UNSIGNED_16_LIST}
_LISTS = {ValueKind.ADDRESSES, ValueKind.DOMAINS}
_TIMES = {what: key for key, what in TIMES.items()}
_TABLE_OF = {kind.number: table for table, kind in TABLES.items()}


@dataclass(frozen=True, slots=True)
class Dump:
    """The file, and the rows that it has no place for."""

    text: str
    left_out: list[ConfigRow]


@dataclass(frozen=True, slots=True)
class _Told:
    """What belongs to a scope, in order."""

    times: list[Setting]
    options: list[Option]


_Scoped = dict[Scope, _Told]


def dump_rows(rows: Iterable[ConfigRow]) -> Dump:
    in_order = sorted(rows, key=lambda row: (kind_of(row).number, _key(row)))
    subnets = [row for row in in_order if isinstance(row, Subnet)]
    left_out: list[ConfigRow] = []
    scoped: _Scoped = {}
    inside: dict[tuple[int, int], list[Pool | Reservation]] = {}
    for row in in_order:
        if isinstance(row, Option):
            scoped.setdefault(row.place, _Told([], [])).options.append(row)
        elif isinstance(row, Setting):
            scoped.setdefault(row.place, _Told([], [])).times.append(row)
        elif isinstance(row, Pool | Reservation):
            home = _home(subnets, row)
            if home is None or (isinstance(row, Reservation) and not _names_client(row)):
                left_out.append(row)
            else:
                inside.setdefault((home.network, home.prefix_length), []).append(row)
    told = _take(scoped, GLOBAL)
    lines = [_HEAD, *_options("options", told.options)]
    if told.times:
        lines += ["[settings]\n", *_times(told.times), "\n"]
    for name in sorted({subnet.shared_network for subnet in subnets}):
        lines += _shared_network(name, _take(scoped, network_scope(name)))
    for subnet in subnets:
        rows_inside = inside.get((subnet.network, subnet.prefix_length), [])
        lines += _subnet(subnet, rows_inside, scoped)
        for row in rows_inside:
            if isinstance(row, Reservation):
                lines += _reservation(row, _take(scoped, host_scope(row.address)))
    for row in in_order:
        if table := _TABLE_OF.get(kind_of(row).number):
            lines += [f"[[{table}]]\n", *_fields(row), "\n"]
    for told in scoped.values():
        left_out += [*told.times, *told.options]
    return Dump("".join(lines).rstrip("\n") + "\n", left_out)


def _key(row: ConfigRow) -> tuple[Any, ...]:
    return tuple(getattr(row, field.name) for field in kind_of(row).keys)


def _home(subnets: list[Subnet], row: Pool | Reservation) -> Subnet | None:
    """The most specific subnet that the row lies in as a whole."""
    first, last = (row.first, row.last) if isinstance(row, Pool) else (row.address, row.address)
    at = bisect_right(subnets, first, key=lambda subnet: subnet.network)
    homes = (subnets[i] for i in range(at - 1, -1, -1))
    return next((home for home in homes if last <= home.last), None)


def _names_client(row: Reservation) -> bool:
    key = row.client_key
    return len(key) > {0: 2, 1: 1}.get(key[0], len(key)) if key else False


def _take(scoped: _Scoped, scope: Scope) -> _Told:
    """What is not taken has no place in the file."""
    return scoped.pop(scope, _Told([], []))


def _shared_network(name: str, told: _Told) -> Iterator[str]:
    if told.times or told.options:
        yield "[[shared-network]]\n"
        yield _line("name", _quoted(name))
        yield from _times(told.times)
        yield "\n"
        yield from _options("shared-network.options", told.options)


def _subnet(subnet: Subnet, inside: list[Pool | Reservation], scoped: _Scoped) -> Iterator[str]:
    """With its pools, and what belongs to them and to itself."""
    yield "[[subnet]]\n"
    scope = subnet_scope(subnet.network, subnet.prefix_length)
    told = _take(scoped, scope)
    yield _line("prefix", _quoted(scope.name))
    yield from _times(told.times)
    yield from _fields(subnet)
    pools = [row for row in inside if isinstance(row, Pool)]
    if pools:
        yield "pools = [\n"
        for pool in pools:
            yield f"    {_pool(pool, _take(scoped, pool_scope(pool.first, pool.last)))},\n"
        yield "]\n"
    yield "\n"
    yield from _options("subnet.options", told.options)


def _pool(pool: Pool, told: _Told) -> str:
    span = _quoted(pool_scope(pool.first, pool.last).name)
    lines = [*_fields(pool), *_times(told.times)]
    if told.options:
        lines.append(f"options = {{ {', '.join(map(_option, told.options))} }}")
    said = "".join(f", {line}" for line in lines).replace("\n", "")
    return f"{{ range = {span}{said} }}" if said else span


def _times(times: list[Setting]) -> Iterator[str]:
    for row in times:
        value = str(row.value) if row.active else f"{{ value = {row.value}, active = false }}"
        yield _line(_TIMES[row.name], value)


def _reservation(row: Reservation, told: _Told) -> Iterator[str]:
    yield "[[subnet.reservation]]\n"
    yield _line("address", _quoted(format_address(row.address)))
    key = row.client_key
    if key[0] == 1:
        yield _line("client-id", _quoted(_client_id(key[1:])))
    else:
        yield _line("hardware-address", _quoted(_octets(key[2:])))
        if (key[1], len(key) - 2) != (ETHERNET, ETHERNET_OCTETS):
            yield _line("hardware-type", str(key[1]))
    yield from _fields(row)
    yield from _times(told.times)
    yield "\n"
    yield from _options("subnet.reservation.options", told.options)


def _client_id(octets: bytes) -> str:
    """As text, where it is text and would not be taken for octets."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return _octets(octets)
    return text if text.isprintable() and is_plain_text(text) else _octets(octets)


def _options(table: str, options: list[Option]) -> Iterator[str]:
    if options:
        yield f"[{table}]\n"
        yield from (f"{_option(option)}\n" for option in options)
        yield "\n"


def _option(option: Option) -> str:
    known = OPTION_TYPES.get(option.code)
    said = "".join(f", {line}" for line in _fields(option)).replace("\n", "")
    value = _option_value(option.code, option.data)
    name = known.name if known else str(option.code)
    return f"{name} = " + (f"{{ value = {value}{said} }}" if said else value)


def _option_value(code: int, data: bytes) -> str:
    kind, text = option_type(code).kind, format_text(code, data)
    try:
        is_exact = parse_text(code, text) == data
    except ConfigError:
        is_exact = False
    if not is_exact:  # octets that no file can say
        return _quoted(f"0x{data.hex()}" if data else "")
    if text.startswith("0x"):
        return _quoted(text)
    if kind in _NUMBERS or kind is ValueKind.BOOLEAN:
        return text
    words = text.split(", ")
    if kind in _NUMBER_LISTS:
        return f"[{text}]"
    return f"[{', '.join(map(_quoted, words))}]" if kind in _LISTS and words[1:] else _quoted(text)


def _fields(row: ConfigRow) -> Iterator[str]:
    """What the file calls as the declaration does, where it is not as when nothing is said."""
    for field in kind_of(row).fields:
        value = getattr(row, field.name)
        if field.toml and value != field.default:
            yield _line(field.toml, _value(field.type, value))
    if not row.active:
        yield _line("active", "false")


def _value(type_: Type, value: Any) -> str:
    if isinstance(type_, Address):
        return _quoted(type_.text(value))
    if isinstance(type_, Choice):
        return _quoted(next(word for word, one in type_.spelled.items() if one is value))
    if isinstance(value, bytes):
        return _quoted(_octets(value) if value else "")
    return _quoted(value) if isinstance(value, str) else str(value)


def _octets(octets: bytes) -> str:
    return octets.hex(":") if len(octets) > 1 else f"0x{octets.hex()}"


def _line(key: str, value: str) -> str:
    return f"{key} = {value}\n"


def _quoted(text: str) -> str:
    """A basic string of TOML. What cannot be printed is escaped."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08X}"
