"""Whose leases a plan leaves outside of every pool."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.addresses import parse_address as A  # noqa: N812
from agent.kinds.subnet import OutsidePolicy
from agent.model import ConfigRow, Pool, Reservation, Subnet
from agent.snmp.columns import Column, Table
from agent.snmp.oid import Oid, address_index
from tests.tools.tables import Tables
from tools.apply import outside
from tools.apply.outside import addresses_left, heads, leases_outside
from tools.manager import Row, Value

NETWORK = A("198.18.0.0")
LAN = Subnet(NETWORK, 15)
BOUND, RELEASED, EXPIRED = 1, 2, 4


def pool(first: str, last: str, active: bool = True) -> Pool:
    return Pool(A(first), A(last), active=active)


OLD = pool("198.18.16.10", "198.18.16.99")


class Leases(Tables):
    """A member with leases, by address, in the states that it tells."""

    def __init__(self, states: dict[str, int]) -> None:
        super().__init__([LAN, OLD])
        self._states = {address_index(A(one)): state for one, state in states.items()}

    def below(self, column: Column, index: Oid, limit: int) -> dict[Oid, Value]:
        size = len(index)
        found = [(k, v) for k, v in sorted(self._states.items()) if k[:size] == index]
        return {k[size:]: v for k, v in found[:limit]}

    def row(self, table: Table, index: Oid) -> Row:
        date = bytes((7, 234, 11, 27, 19, 0, 0, 0, 43, 0, 0))
        return {"State": BOUND, "HardwareAddress": bytes((2, 0, 0, 0, 0, index[3])),
                "HostName": b"h\x1b", "ExpiresAt": date}  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ([OLD], []),
        ([], [("198.18.16.10", 90)]),
        ([pool("198.18.16.10", "198.18.16.99", active=False)], [("198.18.16.10", 90)]),
        ([pool("198.18.16.0", "198.18.16.255")], []),
        ([pool("198.18.16.10", "198.18.16.49")], [("198.18.16.50", 50)]),
        ([pool("198.18.16.50", "198.18.17.99")], [("198.18.16.10", 40)]),
        (
            [pool("198.18.16.20", "198.18.16.29"), pool("198.18.16.30", "198.18.16.89")],
            [("198.18.16.10", 10), ("198.18.16.90", 10)],
        ),
    ],
)
def test_what_is_in_no_pool_any_more(wanted: list[ConfigRow], left: list[tuple[str, int]]) -> None:
    ranges = [range(A(first), A(first) + size) for first, size in left]
    assert addresses_left([LAN, OLD], [LAN, *wanted]) == ranges


def test_a_pool_that_was_out_of_service_leaves_nothing() -> None:
    assert addresses_left([pool("198.18.16.10", "198.18.16.99", active=False)], []) == []


@pytest.mark.parametrize(
    ("first", "last", "wanted"),
    [
        ("10.0.0.5", "10.0.0.9", [(10, 0, 0)]),
        ("10.0.0.5", "10.0.2.0", [(10, 0, 0), (10, 0, 1), (10, 0, 2)]),
        ("10.0.255.0", "10.2.0.255", [(10, 0, 255), (10, 1), (10, 2, 0)]),
        ("10.0.0.0", "10.255.255.255", [(10,)]),
        ("255.255.255.250", "255.255.255.255", [(255, 255, 255)]),
    ],
)
def test_addresses_are_walked_by_their_first_octets(
    first: str, last: str, wanted: list[Oid]
) -> None:
    assert list(heads(range(A(first), A(last) + 1))) == wanted


def test_who_has_a_lease_there_is_told_with_its_end() -> None:
    states = {f"198.18.16.{n}": BOUND for n in (20, 48, 51, 60, 61, 62, 99)}
    states |= {"198.18.16.52": RELEASED, "198.18.16.53": EXPIRED, "198.18.16.200": BOUND}
    reserved = Reservation(A("198.18.16.60"), b"\x00\x01" + bytes(6))
    wanted: list[ConfigRow] = [LAN, pool("198.18.16.10", "198.18.16.50"), reserved]
    first, *rest = leases_outside(Leases(states), [LAN, OLD], wanted)
    assert first.startswith("4 live leases outside of the pools as they are to be")
    assert [line.split(" until ")[0] for line in rest[:3]] == [
        f"  198.18.16.{n} of 02:00:00:00:00:{n:02x} (h�)" for n in (51, 61, 62)
    ]
    assert "2026-11-27" in rest[0]
    assert rest[3:] == ["  and others, up to 198.18.16.99"]
    assert leases_outside(Leases(states), [LAN, OLD], [LAN, OLD]) == []
    assert leases_outside(Leases({}), [LAN, OLD], [LAN]) == []


def test_what_becomes_of_them_the_subnet_says() -> None:
    states = {"198.18.16.20": BOUND, "198.18.16.99": BOUND}
    (line, *_) = leases_outside(Leases(states), [LAN, OLD], [LAN])
    assert "2 live leases outside" in line
    assert "a client of such a one is not answered when it renews" in line
    nak = replace(LAN, outside=OutsidePolicy.NAK)
    (line, *_) = leases_outside(Leases(states), [LAN, OLD], [nak])
    assert "a client of such a one is told NAK when it renews, and begins anew" in line
    halves = [Subnet(NETWORK + 0x1000, 26, outside=OutsidePolicy.NAK), Subnet(NETWORK + 0x1040, 26)]
    lines = leases_outside(Leases(states), [LAN, OLD], halves)
    assert [line.partition(" until ")[0] for line in lines if "of 02" in line] == [
        "  198.18.16.99 of 02:00:00:00:00:63 (h\ufffd)",
        "  198.18.16.20 of 02:00:00:00:00:14 (h\ufffd)",
    ]
    assert [line.startswith("1 live lease outside") for line in lines] == [True, False] * 2


def test_more_than_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "LEASES_COUNTED_MAX", 5)
    states = {f"198.18.16.{n}": BOUND for n in range(20, 40)}
    assert leases_outside(Leases(states), [LAN, OLD], [LAN])[0].startswith("more than 5 live")
