"""The file of `dhcpsync apply`: TOML that says all of a group's configuration, as rows.

docs/configuration.md tells people of it. In short:

    [options]                                  # for every client
    domain-name = "example.org"

    [settings]                                 # seconds; absent: the group's lease time
    max-lease = 86400                          # also min-lease, renewal (T1), rebinding (T2)

    [[subnet]]
    prefix = "198.18.0.0/15"
    lease = 3600                               # these go here, and with pools and reservations, too
    claims = "accept"                          # or "known-only", "deny": docs/operations.md
    offer-delay = 0                            # seconds; not 0: members share the clients
    probe = "recent"                           # or "always", "never": docs/operations.md
    outside-pools = "run-out"                  # or "nak": for clients whose pool is gone
    shared-network = ""                        # subnets with the same one share a link
    pools = ["198.18.16.0-198.19.255.254"]     # or { range = "...", name = "...", options = {...} }
    [subnet.options]                           # by name or by code
    routers = "198.18.0.254"
    [[subnet.reservation]]
    address = "198.18.1.1"
    hardware-address = "02:00:00:00:00:01"     # or client-id, in hexadecimal with colons, or text
    [subnet.reservation.options]
    log-servers = { value = "198.18.0.2", active = false }

    [[shared-network]]                         # options of all its subnets
    name = "campus"
    options = { domain-name = "campus.example.org" }

`tools.apply.dump` writes it. Whatever a SET can make of a row can be said here.

Pure: text in, rows and errors out. Every error is a ConfigError that names the file, the key and
what would be right; the rules that rows must keep together are those of `agent.settings.validate`.
What is wrong is left out and the rest read on, so that one reading finds all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from agent.dhcp.option_types import option_type
from agent.dhcp.options import parse_octets, parse_text
from agent.errors import ConfigError
from agent.kinds import KINDS, row_name
from agent.kinds.kind import REQUIRED, Kind
from agent.kinds.option import OPTION
from agent.kinds.pool import POOL
from agent.kinds.reservation import RESERVATION
from agent.kinds.scope import (
    GLOBAL,
    Scope,
    ScopeLevel,
    host_scope,
    network_scope,
    pool_scope,
    scope_address,
    subnet_scope,
)
from agent.kinds.setting import SETTING, SettingName
from agent.kinds.subnet import SUBNET
from agent.kinds.values import Address, Choice, Number, Octets, Text, Type
from agent.limits import CONFIG_ERRORS_MAX
from agent.model import (
    ConfigRow,
    Option,
    Pool,
    Reservation,
    Setting,
    Subnet,
    format_address,
)
from agent.settings.validate import validate_configuration
from tools.apply.toml_values import (
    OCTETS,
    Faults,
    address_of,
    checked,
    client_id_of,
    kept,
    parse_prefix,
    read_toml,
    require,
    value_of,
    values_of,
)

_ETHERNET_ADDRESS = re.compile(r"[0-9A-Fa-f]{1,2}([:-])[0-9A-Fa-f]{1,2}(\1[0-9A-Fa-f]{1,2}){4}\Z")
_PYTHON: dict[type[Type], type] = {
    Address: str, Octets: str, Text: str, Choice: str, Number: int
}  # fmt: skip
"""What TOML must have for a value of the type."""


def _keys(kind: Kind) -> dict[str, type]:
    """What a table of the kind may say, beside what the file says in a way of its own."""
    return {f.toml: _PYTHON[type(f.type)] for f in kind.fields if f.toml} | {"active": bool}


TIMES = {
    "lease": SettingName.LEASE,
    "min-lease": SettingName.MIN_LEASE,
    "max-lease": SettingName.MAX_LEASE,
    "renewal": SettingName.RENEWAL,
    "rebinding": SettingName.REBINDING,
}
_TIMES: dict[str, type] = dict.fromkeys(TIMES, object)
_TIME: dict[str, type] = {"value": int, "active": bool}
_SUBNET = (
    _keys(SUBNET) | _TIMES | {"prefix": str, "pools": list, "options": dict, "reservation": list}
)
_POOL = _keys(POOL) | _TIMES | {"range": str, "options": dict}
_NETWORK: dict[str, type] = _TIMES | {"name": str, "options": dict}
_RESERVATION = (
    _keys(RESERVATION)
    | _TIMES
    | {
        "address": str,
        "hardware-address": str,
        "hardware-type": int,
        "client-id": str,
        "options": dict,
    }
)
_OPTION = _keys(OPTION)
"""Beside its value, which may be of several types."""
_OWN_WAY = (SUBNET, POOL, OPTION, RESERVATION, SETTING)
TABLES = {
    kind.name.replace("_", "-"): kind
    for kind in KINDS.values()
    if kind.in_file and kind not in _OWN_WAY
}
"""Kinds that are a list of tables each, whose keys are those of the declaration."""
_TOP = {"subnet": list, "shared-network": list, "options": dict, "settings": dict} | dict.fromkeys(
    TABLES, list
)
_SECONDS = Number(4, 1, 0xFFFF_FFFF, unit="s")
ETHERNET = 1
"""Hardware type of Ethernet (RFC 1700)."""
ETHERNET_OCTETS = 6


def parse_file(name: str, text: str) -> list[ConfigRow]:
    """All rows that the file `name` asks for, judged together; raises the first error."""
    rows, faults = read_file(name, text)
    if faults:
        raise faults[0]
    return rows


def read_file(name: str, text: str) -> tuple[list[ConfigRow], Faults]:
    """The rows of the file that can be had, and all that is wrong, CONFIG_ERRORS_MAX at most."""
    faults: Faults = []
    try:
        tables = read_toml(name, text)
    except ConfigError as error:
        return [], [error]
    rows = _judged(name, _without_twins(name, _rows(name, tables, faults), faults), faults)
    return rows, faults[:CONFIG_ERRORS_MAX]


def _judged(name: str, rows: list[ConfigRow], faults: Faults) -> list[ConfigRow]:
    """The rows that keep the rules; each that does not is noted, left out, and the rest judged.

    What a subnet holds that is itself wrong is judged no more: it would seem to lie in none."""
    while len(faults) < CONFIG_ERRORS_MAX:
        try:
            validate_configuration([], [(row, False) for row in rows], lambda _first, _last: 0)
        except ConfigError as error:
            place = f"{error.name}, {error.key}" if error.key else error.name
            faults.append(ConfigError(name, place, error.problem, error.remedy))
            wrong = next(row for row in rows if row_name(row) == error.name)
            rows = [row for row in rows if row is not wrong and not _depends(row, wrong)]
        else:
            break
    return rows


def _depends(row: ConfigRow, wrong: ConfigRow) -> bool:
    """Whether `row` would be called wrong only because `wrong` is left out."""
    if isinstance(wrong, Reservation):
        return isinstance(row, Option | Setting) and row.place == host_scope(wrong.address)
    if isinstance(wrong, Pool):
        scope = pool_scope(wrong.first, wrong.last)
        return isinstance(row, Option | Setting) and row.place == scope
    if not isinstance(wrong, Subnet):
        return False
    if isinstance(row, Pool):
        return row.first in wrong
    if isinstance(row, Option | Setting):
        named = row.level is ScopeLevel.SHARED_NETWORK and row.scope == wrong.shared_network
        address = scope_address(row.place)
        return named or (address is not None and address in wrong)
    return isinstance(row, Reservation) and row.address in wrong


def _without_twins(file: str, rows: Iterator[ConfigRow], faults: Faults) -> list[ConfigRow]:
    seen: dict[str, ConfigRow] = {}
    for row in rows:
        name = row_name(row)
        if name in seen:
            faults.append(ConfigError(file, name, "is there twice", "keep one"))
        else:
            seen[name] = row
    return list(seen.values())


def _rows(name: str, tables: dict[str, Any], faults: Faults) -> Iterator[ConfigRow]:
    tables = checked(name, "", tables, _TOP, faults)
    yield from _options(name, "options", tables.get("options", {}), GLOBAL, faults)
    times = checked(name, "settings", tables.get("settings", {}), _TIMES, faults)
    yield from _settings(name, "settings", times, GLOBAL, faults)
    for number, table in enumerate(tables.get("shared-network", []), 1):
        with kept(faults):
            yield from _network(name, f"shared-network {number}", table, faults)
    for number, table in enumerate(tables.get("subnet", []), 1):
        with kept(faults):
            place = f"subnet {number}"
            if not isinstance(table, dict):
                raise ConfigError(name, place, "must be a table", "write [[subnet]]")
            yield from _subnet(name, place, table, faults)
    for key, kind in TABLES.items():
        for number, table in enumerate(tables.get(key, []), 1):
            with kept(faults):
                yield from _table(name, f"{key} {number}", table, kind, faults)


def _table(name: str, place: str, table: Any, kind: Kind, faults: Faults) -> Iterator[Any]:
    """A row of a kind that is told as it is declared."""
    if not isinstance(table, dict):
        raise ConfigError(name, place, "must be a table", f"write [[{place.split()[0]}]]")
    present = checked(name, place, table, _keys(kind), faults)
    required = [field for field in kind.fields if field.default is REQUIRED]
    for field in required:
        with kept(faults):
            require(name, place, table, field.toml, f"..., {field.says}")
    values = values_of(name, place, present, kind, faults)
    if all(field.name in values for field in required):
        yield kind.row(**values)


def _subnet(name: str, place: str, told: dict[str, Any], faults: Faults) -> Iterator[ConfigRow]:
    """A subnet without a prefix is read to its end, for what else is wrong; it has no rows."""
    table = checked(name, place, told, _SUBNET, faults)
    network, prefix_length, is_known = 0, 0, False
    if not _is_told_wrong("prefix", told, table):
        with kept(faults):
            prefix = require(name, place, table, "prefix", '"198.18.0.0/15"')
            place = f"subnet {prefix}"
            network, prefix_length = parse_prefix(name, f"{place}: prefix", prefix)
            is_known = True
    rows = list(_inside(name, place, table, subnet_scope(network, prefix_length), faults))
    values = values_of(name, place, table, SUBNET, faults)
    if is_known:
        yield Subnet(network, prefix_length, **values)
        yield from rows


def _inside(
    name: str, place: str, table: dict[str, Any], scope: Scope, faults: Faults
) -> Iterator[ConfigRow]:
    for number, pool in enumerate(table.get("pools", []), 1):
        with kept(faults):
            yield from _pool(name, f"{place}: pools, item {number}", pool, faults)
    yield from _settings(name, place, table, scope, faults)
    yield from _options(name, f"{place}: options", table.get("options", {}), scope, faults)
    for number, reservation in enumerate(table.get("reservation", []), 1):
        where = f"{place}: reservation {number}"
        with kept(faults):
            if not isinstance(reservation, dict):
                raise ConfigError(name, where, "must be a table", "write [[subnet.reservation]]")
            yield from _reservation(name, where, reservation, faults)


def _settings(
    name: str, place: str, table: dict[str, Any], scope: Scope, faults: Faults
) -> Iterator[Setting]:
    for key, what in TIMES.items():
        if key not in table:
            continue
        where, told = f"{place}: {key}", table[key]
        if isinstance(told, dict):
            good = checked(name, where, told, _TIME, faults)
            if "value" not in told:
                faults.append(ConfigError(name, where, "has no value", "write value = 3600"))
        else:
            good = checked(name, place, {key: told}, {key: int}, faults)
        with kept(faults):
            if (value := good.get("value", good.get(key))) is not None:
                seconds = value_of(name, where, _SECONDS, value)
                yield Setting(*scope, what, seconds, good.get("active", True))


def _network(name: str, place: str, told: Any, faults: Faults) -> Iterator[ConfigRow]:
    """A shared network is what subnets name; here it has what holds in all of them."""
    if not isinstance(told, dict):
        raise ConfigError(name, place, "must be a table", "write [[shared-network]]")
    table = checked(name, place, told, _NETWORK, faults)
    if not _is_told_wrong("name", told, table):
        scope = network_scope(require(name, place, table, "name", '"campus"'))
        place = f"shared-network {scope.name}"
        yield from _settings(name, place, table, scope, faults)
        yield from _options(name, f"{place}: options", table.get("options", {}), scope, faults)


def _pool(name: str, place: str, told: Any, faults: Faults) -> Iterator[ConfigRow]:
    if isinstance(told, str):
        told = {"range": told}
    if not isinstance(told, dict):
        raise ConfigError(name, place, f"is {told!r}", 'write "first-last"')
    pool = checked(name, place, told, _POOL, faults)
    values = values_of(name, place, pool, POOL, faults)
    if _is_told_wrong("range", told, pool):
        return
    text = require(name, place, pool, "range", '"198.18.16.0-198.18.16.255"')
    first, dash, last = text.partition("-")
    if not dash:
        raise ConfigError(name, place, f"{text!r} is no range", 'write "first-last"')
    row = Pool(address_of(name, place, first), address_of(name, place, last), **values)
    yield row
    scope = pool_scope(row.first, row.last)
    yield from _settings(name, place, pool, scope, faults)
    yield from _options(name, f"{place}: options", pool.get("options", {}), scope, faults)


def _is_told_wrong(key: str, told: dict[str, Any], good: dict[str, Any]) -> bool:
    """Its fault is noted by `checked`; that it is missing would be a second one."""
    return key in told and key not in good


def _reservation(
    name: str, place: str, told: dict[str, Any], faults: Faults
) -> Iterator[ConfigRow]:
    table = checked(name, place, told, _RESERVATION, faults)
    address = 0
    if not (is_wrong := _is_told_wrong("address", told, table)):
        text = require(name, place, table, "address", '"198.18.1.1"')
        address = address_of(name, f"{place}: address", text)
        place = place.partition(": reservation")[0] + f": reservation {format_address(address)}"
    values = values_of(name, place, table, RESERVATION, faults)
    options = table.get("options", {})
    scope = host_scope(address)
    rows: list[ConfigRow] = [*_settings(name, place, table, scope, faults)]
    rows += _options(name, f"{place}: options", options, scope, faults)
    if any(_is_told_wrong(key, told, table) for key in ("hardware-address", "client-id")):
        return
    client_key = _client_key(name, place, table)
    if not is_wrong:
        yield Reservation(address, client_key, **values)
        yield from rows


def _client_key(name: str, place: str, table: dict[str, Any]) -> bytes:
    """As in `agent.model.Binding`: octet 1 and a client identifier, or 0, type and address."""
    if "hardware-type" in table and "hardware-address" not in table:
        raise ConfigError(name, f"{place}: hardware-type", "is of no hardware-address")
    if ("hardware-address" in table) == ("client-id" in table):
        problem = "names the client twice" if "client-id" in table else "names no client"
        raise ConfigError(name, place, problem, "give hardware-address or client-id")
    if "client-id" in table:
        where = f"{place}: client-id"
        return b"\x01" + client_id_of(name, where, str(table["client-id"]))
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
    name: str, place: str, table: dict[str, Any], scope: Scope, faults: Faults
) -> Iterator[Option]:
    for key, value in table.items():
        told = value if isinstance(value, dict) else {"value": value}
        try:
            code = option_type(key).code
            if "value" not in told:
                raise ConfigError("", "", "has no value", "write value = ... in its table")
            data = parse_text(code, _option_text(told["value"]))
        except ConfigError as error:
            faults.append(ConfigError(name, f"{place}.{key}", error.problem, error.remedy))
            continue
        where = f"{place}.{key}"
        said = {word: one for word, one in told.items() if word != "value"}
        said = checked(name, where, said, _OPTION, faults)
        yield Option(*scope, code, data, **values_of(name, where, said, OPTION, faults))


def _option_text(value: Any) -> str:
    """The text form of a TOML value, as `agent.dhcp.options` reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, list) and all(isinstance(one, str | int) for one in value):
        return ", ".join(_option_text(one) for one in value)
    raise ConfigError("", "", f"is {value!r}", "give a text, a number, true, false, or a list")
