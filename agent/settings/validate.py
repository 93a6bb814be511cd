"""The rules that a change of the configuration must keep.

`validate_configuration` is the one gate for people's changes: the SNMP SET responder calls it in
the transaction of the SET, so `snmpset` and `dhcpsync apply` meet the same rules. Rows merged from
a peer do not pass it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from agent.dhcp.options import check_octets
from agent.errors import ConfigError
from agent.kinds import kind_of, row_name
from agent.kinds.kind import Field
from agent.kinds.scope import (
    GLOBAL,
    Scope,
    host_scope,
    network_scope,
    pool_scope,
    scope_problem,
    subnet_scope,
)
from agent.kinds.values import Number, Octets, Text
from agent.limits import (
    CLIENT_IDENTIFIER_MAX,
    CLIENT_IDENTIFIER_MIN,
    HARDWARE_ADDRESS_MAX,
    OPTION_OCTETS_MAX,
)
from agent.model import (
    ConfigRow,
    Option,
    Pool,
    Reservation,
    Setting,
    SettingName,
    Subnet,
    configuration_key,
    format_address,
)
from agent.settings.configuration import Configuration, scopes_of
from agent.settings.times import LeaseTimes

LEASE_MIN_S = 10
"""Shorter leases would make clients renew faster than a cluster settles."""


def validate_configuration(
    rows: Iterable[ConfigRow],
    changes: Sequence[tuple[ConfigRow, bool]],
    live_bindings: Callable[[int, int], int],
) -> list[ConfigRow]:
    """Judge `changes` (row, deleted), made at once, against the present `rows`.

    `live_bindings(first, last)` counts live leases. Returns all rows as they will be.
    Raises ConfigError, named by the row at fault."""
    result = {configuration_key(row): row for row in rows}
    closed: list[Subnet] = []
    for row, deleted in changes:
        if deleted:
            gone = result.pop(configuration_key(row), None)
            if isinstance(gone, Subnet):
                closed.append(gone)
        else:
            _check_row(row)
            before = result.get(configuration_key(row))
            if isinstance(before, Subnet) and before.active and not row.active:
                closed.append(before)
            result[configuration_key(row)] = row
    after = list(result.values())
    subnets = sorted((r for r in after if isinstance(r, Subnet)), key=lambda r: r.network)
    pools = sorted((r for r in after if isinstance(r, Pool)), key=lambda r: r.first)
    reservations = [r for r in after if isinstance(r, Reservation)]
    _check_subnets(subnets)
    _check_pools(pools, subnets)
    _check_reservations(reservations, subnets)
    scopes = _scopes(subnets, pools, reservations)
    _check_scopes([r for r in after if isinstance(r, Option | Setting)], scopes)
    _check_times(Configuration.from_rows(after))
    served = [s for s in subnets if s.active]
    for subnet in closed:
        count = live_bindings(subnet.first, subnet.last)
        if count and not any(s.first <= subnet.first and subnet.last <= s.last for s in served):
            raise ConfigError(
                row_name(subnet),
                "",
                f"{count} live binding{'s' if count > 1 else ''} would be orphaned",
                "take its pools out of use and wait for the leases to end, or release them first",
            )
    return after


def _check_row(row: ConfigRow) -> None:
    """The rules that a row must keep for itself: those of its kind, then each field's bounds."""
    if isinstance(row, Subnet):
        _check_subnet(row)
    elif isinstance(row, Pool):
        _check_pool(row)
    elif isinstance(row, Option):
        _check_option(row)
    elif isinstance(row, Setting):
        _check_setting(row)
    elif isinstance(row, Reservation):
        _check_clients(row, "address", row.address, row.address)
        _check_client(row)
    if problem := kind_of(row).problem(row):
        raise ConfigError(row_name(row), "", problem)
    for declared in kind_of(row).fields:
        _check_field(row, declared)


def _check_field(row: ConfigRow, declared: Field) -> None:
    value, type_ = getattr(row, declared.name), declared.type
    key = (declared.toml or declared.name).replace("-", " ")
    if isinstance(type_, Text):
        _check_text(row, key, value, type_.most)
    elif isinstance(type_, Octets) and len(value) > type_.most:
        problem = f"has {len(value)} octets"
        raise ConfigError(row_name(row), key, problem, f"at most {type_.most}")
    elif isinstance(type_, Number) and not type_.least <= value <= type_.most:
        problem, right = f"is {value} {type_.unit}", f"{type_.least}..{type_.most} {type_.unit}"
        raise ConfigError(row_name(row), key, problem.rstrip(), f"may be {right}".rstrip())


def _check_pool(row: Pool) -> None:
    if row.first > row.last:
        raise ConfigError(row_name(row), "last", "lies before first", "swap the two addresses")
    _check_clients(row, "range", row.first, row.last)


def _check_subnet(row: Subnet) -> None:
    if not 1 <= row.prefix_length <= 32:
        raise ConfigError(row_name(row), "prefix length", "must be 1..32")
    if row.network & ~row.mask & 0xFFFF_FFFF:
        right = f"{format_address(row.network & row.mask)}/{row.prefix_length}"
        raise ConfigError(row_name(row), "prefix", "host bits are set", f"did you mean {right}?")


def _check_setting(row: Setting) -> None:
    is_lease = row.name not in (SettingName.RENEWAL, SettingName.REBINDING)
    if is_lease and row.value < LEASE_MIN_S:
        raise ConfigError(
            row_name(row), "time", f"{row.value} s is too short", f"at least {LEASE_MIN_S} s"
        )


def _check_option(row: Option) -> None:
    if not 1 <= row.code <= 254:
        raise ConfigError(row_name(row), "code", f"{row.code} is no option code", "use 1..254")
    if not row.data:
        raise ConfigError(row_name(row), "value", "is empty", "give a value, or delete the row")
    if len(row.data) > OPTION_OCTETS_MAX:
        raise ConfigError(
            row_name(row), "value", f"has {len(row.data)} octets", f"at most {OPTION_OCTETS_MAX}"
        )
    if row.code in _SERVER_OPTIONS:
        raise ConfigError(
            row_name(row),
            "code",
            f"option {row.code} is set by the server itself",
            _SERVER_OPTIONS[row.code],
        )
    try:
        check_octets(row.code, row.data)
    except ConfigError as error:
        raise ConfigError(row_name(row), "value", error.problem, error.remedy) from None


def _check_text(row: ConfigRow, key: str, text: str, octets_max: int) -> None:
    if not text.isprintable():
        raise ConfigError(row_name(row), key, f"{text!r} is not printable")
    if len(text.encode()) > octets_max:
        raise ConfigError(
            row_name(row), key, f"has {len(text.encode())} octets", f"at most {octets_max}"
        )


_NO_CLIENTS = ((0, 0x00FF_FFFF), (0x7F00_0000, 0x7FFF_FFFF), (0xE000_0000, 0xFFFF_FFFF))
"""This network, loopback, multicast and what is reserved behind it (RFC 1122 3.2.1.3)."""


def _check_clients(row: ConfigRow, key: str, first: int, last: int) -> None:
    for low, high in _NO_CLIENTS:
        if first <= high and low <= last:
            raise ConfigError(
                row_name(row),
                key,
                f"holds addresses of {format_address(low)}-{format_address(high)}",
                "no host of a network can have one of those",
            )


def _check_client(row: Reservation) -> None:
    key = row.client_key
    if not key:
        raise ConfigError(
            row_name(row), "client", "is missing", "give a hardware address or a client identifier"
        )
    if key[0] == 1:
        if not CLIENT_IDENTIFIER_MIN <= len(key) - 1 <= CLIENT_IDENTIFIER_MAX:
            raise ConfigError(
                row_name(row),
                "client identifier",
                f"has {len(key) - 1} octets",
                f"{CLIENT_IDENTIFIER_MIN}..{CLIENT_IDENTIFIER_MAX} (RFC 2132 9.14)",
            )
    elif key[0] != 0 or not 1 <= len(key) - 2 <= HARDWARE_ADDRESS_MAX:
        raise ConfigError(
            row_name(row),
            "client identifier",
            "names no client",
            "octet 1 and an identifier, or octet 0, a hardware type and an address",
        )


_SERVER_OPTIONS = {
    1: "it follows from the subnet's prefix length",
    50: "clients send it",
    51: "set a lease time instead",
    52: "replies use it as they need",
    53: "it is the message type",
    54: "it is the address of the answering member",
    55: "clients send it",
    57: "clients send it",
    58: "set a renewal time instead",
    59: "set a rebinding time instead",
    61: "clients send it",
    80: "it answers a client that asks for two messages only (RFC 4039)",
    81: "it answers a client's own name (RFC 4702)",
    82: "relays add it",
    90: "it is computed for each message (RFC 3118)",
    118: "clients and relays send it (RFC 3011)",
}


def _check_subnets(subnets: Sequence[Subnet]) -> None:
    for one, other in pairwise(subnets):
        if other.first <= one.last:
            raise ConfigError(
                row_name(other), "", f"overlaps {row_name(one)}", "subnets must not share addresses"
            )
    first: dict[str, Subnet] = {}
    for one in subnets:
        twin = first.setdefault(one.shared_network, one)
        if one.shared_network and twin.interface != one.interface:
            raise ConfigError(
                row_name(one),
                "interface",
                f"is {one.interface!r}, and {row_name(twin)} of the same shared network has"
                f" {twin.interface!r}",
                "they are on one link: name one interface, or none",
            )


def _check_pools(pools: Sequence[Pool], subnets: Sequence[Subnet]) -> None:
    for pool in pools:
        home = next((s for s in subnets if pool.first in s), None)
        if home is None or pool.last > home.last:
            raise ConfigError(
                row_name(pool),
                "",
                f"does not lie inside {row_name(home)}" if home else "lies in no subnet",
                "a pool lies wholly inside one subnet"
                if home
                else "create its subnet first, or in the same SET",
            )
        if home.prefix_length < 31 and (pool.first == home.first or pool.last == home.last):
            raise ConfigError(
                row_name(pool),
                "",
                f"holds the network or broadcast address of {row_name(home)}",
                f"use {format_address(max(pool.first, home.first + 1))}"
                f"-{format_address(min(pool.last, home.last - 1))}",
            )
    for one, other in pairwise(pools):
        if other.first <= one.last:
            raise ConfigError(
                row_name(other), "", f"overlaps {row_name(one)}", "pools must not share addresses"
            )


def _check_reservations(reservations: Sequence[Reservation], subnets: Sequence[Subnet]) -> None:
    seen: dict[tuple[bytes, Subnet], Reservation] = {}
    for row in reservations:
        home = next((s for s in subnets if row.address in s), None)
        if home is None:
            raise ConfigError(row_name(row), "", "lies in no subnet", "create its subnet first")
        if home.prefix_length < 31 and row.address in (home.first, home.last):
            raise ConfigError(
                row_name(row),
                "",
                f"is the network or broadcast address of {row_name(home)}",
                f"use one of {format_address(home.first + 1)}-{format_address(home.last - 1)}",
            )
        twin = seen.setdefault((row.client_key, home), row)
        if twin is not row:
            raise ConfigError(
                row_name(row),
                "client",
                f"has {row_name(twin)} in {row_name(home)} already",
                "a client has one reservation in a subnet",
            )


def _scopes(
    subnets: Sequence[Subnet], pools: Sequence[Pool], reservations: Sequence[Reservation]
) -> set[Scope]:
    """Those that something configured has."""
    found = {GLOBAL}
    found.update(subnet_scope(s.network, s.prefix_length) for s in subnets)
    found.update(network_scope(s.shared_network) for s in subnets if s.shared_network)
    found.update(pool_scope(p.first, p.last) for p in pools)
    found.update(host_scope(r.address) for r in reservations)
    return found


def _check_scopes(rows: Sequence[Option | Setting], scopes: set[Scope]) -> None:
    for row in rows:
        if problem := scope_problem(row.place):
            raise ConfigError(row_name(row), "scope", problem)
        if row.place not in scopes:
            raise ConfigError(
                row_name(row),
                "scope",
                "names nothing that is configured",
                "use nothing (global), a shared network's name, a subnet's prefix, a pool's range,"
                " or a reserved address",
            )


def _check_times(configuration: Configuration) -> None:
    """The times that hold together for any client. Those of the widest scopes first."""
    by_scope: dict[Scope, Setting] = {row.place: row for row in configuration.settings}
    for subnet in configuration.subnets if by_scope else ():
        inside: list[tuple[Pool | None, int | None]] = [(None, None)]
        inside += [(pool, None) for pool in configuration.pools_of(subnet)]
        inside += [
            (configuration.pool_of(r.address), r.address)
            for r in configuration.reservations
            if r.address in subnet and host_scope(r.address) in by_scope
        ]
        for pool, host in inside:
            times = configuration.times_for(subnet, pool, host)
            if problem := _times_problem(times):
                scopes = [s for s in scopes_of(subnet, pool, host) if s in by_scope]
                raise ConfigError(row_name(by_scope[scopes[-1]]), "value", *problem)


def _times_problem(times: LeaseTimes) -> tuple[str, str] | None:
    """What is wrong, and what would be right. The group's lease time is not known here."""
    named = [
        ("min-lease", times.least),
        ("lease", times.lease),
        ("max-lease", times.most),
    ]
    timers = [("renewal", times.renewal), ("rebinding", times.rebinding), ("lease", times.lease)]
    for order in (named, timers):
        known = [(name, value) for name, value in order if value]
        for (shorter, less), (longer, more) in pairwise(known):
            if less > more or (order is timers and less == more):
                return (
                    f"would have a {shorter} of {less} s and a {longer} of {more} s for a client",
                    "min-lease <= lease <= max-lease, and renewal < rebinding < lease",
                )
    return None
