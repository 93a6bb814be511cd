"""Two members' binding tables, compared row by row: pure.

Every column has to be equal. The two dates may be apart by a little, because a member tells them
on its own clock, and a clock is known to its peers to some milliseconds only. And two tables are
never read at one instant: whether a lease has expired follows from ExpiresAt and the time of the
look, so that bound and expired are the same record where ExpiresAt is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

from agent.model import BindingState
from agent.snmp.lease_tables import EXPIRED
from agent.snmp.oid import Oid
from tools.manager import Row, Value

DATES = ("ExpiresAt", "TransactionAt")
DATES_APART_MAX_S = 2
"""Members of a lab share one clock: a second for rounding, one for the error of its estimate."""

_BOUND_OR_EXPIRED = frozenset((int(BindingState.BOUND), EXPIRED))


def parse_date(value: Value) -> datetime:
    """DateAndTime (RFC 2579), of 8 octets (UTC) or 11. ValueError for anything else."""
    if not isinstance(value, bytes) or len(value) not in (8, 11):
        raise ValueError(f"{value!r} is no DateAndTime")
    zone = UTC
    if len(value) == 11:
        offset = timedelta(hours=value[9], minutes=value[10])
        zone = timezone(-offset if value[8:9] == b"-" else offset)
    year, (month, day, hour, minute, second, tenths) = int.from_bytes(value[:2], "big"), value[2:8]
    return datetime(year, month, day, hour, minute, second, tenths * 100_000, zone)


def unlike(one: Row, other: Row) -> set[str]:
    """The columns in which two rows of dhcpSyncBindingTable differ."""
    found = {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
    close = {
        name
        for name in found.intersection(DATES)
        if name in one and name in other and _are_close(one[name], other[name])
    }
    differing = found - close
    if {one.get("State"), other.get("State")} == _BOUND_OR_EXPIRED and "ExpiresAt" not in differing:
        differing.discard("State")
    return differing


def _are_close(one: Value, other: Value) -> bool:
    return abs(parse_date(one) - parse_date(other)) <= timedelta(seconds=DATES_APART_MAX_S)


def differences(one: Mapping[Oid, Row], other: Mapping[Oid, Row]) -> dict[Oid, set[str]]:
    """Rows in which the tables differ, with the columns; a row that one lacks with all of them."""
    found = {
        index: unlike(one.get(index, {}), other.get(index, {}))
        for index in sorted(one.keys() | other.keys())
    }
    return {index: names for index, names in found.items() if names}


def describe(differing: Mapping[Oid, set[str]]) -> str:
    """How many rows differ, and the first of them."""
    if not differing:
        return "no difference"
    index, names = next(iter(differing.items()))
    where = ".".join(map(str, index))
    return f"{len(differing)} bindings differ, first {where} in {', '.join(sorted(names))}"
