"""What "equal binding tables" means to the demo and to the tests in the lab."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from agent.snmp.columns import BINDING
from agent.snmp.oid import Oid
from agent.snmp.tables import NEVER_DATE, date_and_time
from tools.lab.compare import describe, differences, parse_date, unlike
from tools.manager import Row

NOW = 1_800_000_000
ROW: Row = {
    "State": 1,
    "HardwareAddress": b"\x02\0\0\0\0\1",
    "Grant": 3,
    "ExpiresAt": date_and_time(NOW + 60),
    "TransactionAt": date_and_time(NOW),
}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("State", 2),
        ("HardwareAddress", b"\x02\0\0\0\0\2"),
        ("Grant", 4),
        ("ExpiresAt", date_and_time(NOW + 63)),
        ("ExpiresAt", NEVER_DATE),
        ("TransactionAt", date_and_time(NOW - 3)),
    ],
)
def test_one_column_makes_a_difference(column: str, value: int | bytes) -> None:
    assert unlike(ROW, ROW | {column: value}) == {column}


@pytest.mark.parametrize("apart_s", [-2, 0, 2])
def test_dates_may_be_two_seconds_apart(apart_s: int) -> None:
    assert unlike(ROW, ROW | {"ExpiresAt": date_and_time(NOW + 60 + apart_s)}) == set()


def test_a_lease_that_expired_between_the_two_looks_is_the_same_record() -> None:
    later = ROW | {"State": 4}
    assert unlike(ROW, later) == unlike(later, ROW) == set()
    assert unlike(ROW, later | {"ExpiresAt": date_and_time(NOW + 63)}) == {"State", "ExpiresAt"}
    assert unlike(ROW | {"State": 2}, later) == {"State"}
    assert unlike(ROW, {name: later[name] for name in later if name != "State"}) == {"State"}


def test_a_row_that_one_table_lacks_differs_in_every_column() -> None:
    one: dict[Oid, Row] = {(1, 2, 3, 4): ROW}
    other: dict[Oid, Row] = {**one, (1, 2, 3, 5): ROW}
    assert differences(one, one) == {}
    assert differences(one, other) == differences(other, one) == {(1, 2, 3, 5): set(ROW)}
    assert describe(differences(one, other)).startswith("1 bindings differ, first 1.2.3.5 in ")


def test_the_dates_are_the_binding_tables() -> None:
    names = set(BINDING.columns)
    assert {name for name in names if name.endswith("At")} == {"ExpiresAt", "TransactionAt"}


def test_dates_are_read_as_rfc_2579_writes_them() -> None:
    assert parse_date(date_and_time(NOW)) == datetime.fromtimestamp(NOW, UTC)
    local = bytes.fromhex("07ea0b190c1e0f05")
    assert parse_date(local) == datetime(2026, 11, 25, 12, 30, 15, 500_000, UTC)
    west = timezone(-timedelta(hours=5, minutes=30))
    assert parse_date(local + b"-\x05\x1e") == datetime(2026, 11, 25, 12, 30, 15, 500_000, west)
    for wrong in (5, b"", local[:7]):
        with pytest.raises(ValueError, match="is no DateAndTime"):
            parse_date(wrong)
