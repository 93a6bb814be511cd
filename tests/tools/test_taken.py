"""`apply` asks before it takes something away, and does only what it was asked about."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from agent.addresses import parse_address as A  # noqa: N812
from agent.kinds.scope import subnet_scope
from agent.model import ConfigRow, Option, Pool, Reservation, Subnet
from agent.snmp.columns import Column, Table
from agent.snmp.oid import Oid
from tests.tools.tables import Tables
from tools.apply import taken
from tools.apply.command import apply_plan
from tools.apply.plan import Step, make_plan
from tools.errors import ToolError
from tools.manager import Row, Value

LAN = Subnet(A("198.18.0.0"), 15)
POOL = Pool(A("198.18.16.10"), A("198.18.16.99"))
WIDER = Pool(A("198.18.16.10"), A("198.18.17.99"))
PRINTER = Reservation(A("198.18.1.1"), b"\0\1" + bytes(6))
ROUTER = Option(*subnet_scope(LAN.network, 15), 3, bytes((198, 18, 0, 1)))
BOUND, EXPIRED = 1, 4


class At(Tables):
    """A member, as a place; `states` are those of the bindings of reserved addresses."""

    def __init__(self, rows: Iterable[ConfigRow], **states: int) -> None:
        super().__init__(rows)
        self.states = states

    def run(self, work: Callable[[Any], Any]) -> Any:
        return work(self)

    def at(self, address: str, port: int) -> Any:
        raise AssertionError(address)

    def with_patience(self, timeout_s: float) -> Any:
        raise AssertionError(timeout_s)

    def row(self, table: Table, index: Oid) -> Row:
        state = self.states.get(f"a{index[3]}")
        return {"State": state, "HardwareAddress": bytes(6)} if state else {}

    def below(self, column: Column, index: Oid, limit: int) -> dict[Oid, Value]:
        return {}


def applied(
    place: At, wanted: list[ConfigRow], says: bool = True, *, only_plan: bool = False
) -> tuple[list[str], list[Step]]:
    """What was asked, and done."""
    asked: list[str] = []

    def ask(words: str) -> bool:
        asked.append(words)
        return says

    def plan(present: Iterable[ConfigRow]) -> list[Step]:
        return make_plan(present, wanted)

    return asked, apply_plan("x.toml", plan, place, ask, only_plan=only_plan)


@pytest.mark.parametrize(
    "wanted",
    [
        [LAN, POOL, PRINTER, ROUTER],
        [LAN, WIDER, PRINTER, ROUTER],
        [LAN, Pool(A("198.18.16.10"), A("198.18.16.49")), Pool(A("198.18.16.50"), A("198.18.17.0")),
         PRINTER, ROUTER],
        [LAN, POOL, PRINTER, ROUTER, Reservation(A("198.18.1.2"), b"\0\1" + bytes(5) + b"\1")],
        [replace(LAN, offer_delay_s=6), POOL, replace(PRINTER, hostname="x"), ROUTER],
    ],
)  # fmt: skip
def test_what_takes_nothing_away_is_not_asked_about(wanted: list[ConfigRow]) -> None:
    place = At([LAN, POOL, PRINTER, ROUTER])
    asked, _ = applied(place, wanted, says=False)
    assert asked == []
    assert make_plan(place.rows, wanted) == []


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ([LAN, POOL, PRINTER], ["deleted: 1 option"]),
        ([LAN, PRINTER, ROUTER], ["90 addresses will be in no pool any more"]),
        ([LAN, Pool(POOL.first, POOL.last - 1), PRINTER, ROUTER],
         ["1 address will be in no pool any more"]),
        ([LAN, Pool(POOL.first, POOL.last, active=False), PRINTER, ROUTER],
         ["90 addresses will be in no pool any more"]),
        ([], ["deleted: 1 option, 1 reservation, 1 subnet",
              "90 addresses will be in no pool any more",
              "1 live lease on addresses that are reserved no more, or for another client",
              "  198.18.1.1 of 00:00:00:00:00:00 until never"]),
        ([LAN, POOL, Reservation(PRINTER.address, b"\1xy"), ROUTER],
         ["given to another client: 1 reservation", "1 live lease on addresses that are reserved no"
          " more, or for another client", "  198.18.1.1 of 00:00:00:00:00:00 until never"]),
        ([LAN, POOL, Reservation(PRINTER.address, PRINTER.client_key, active=False), ROUTER],
         ["taken out of service: 1 reservation", "1 live lease on addresses that are reserved no"
          " more, or for another client", "  198.18.1.1 of 00:00:00:00:00:00 until never"]),
    ],
)  # fmt: skip
def test_what_is_taken_away_is_counted(wanted: list[ConfigRow], words: list[str]) -> None:
    place = At([LAN, POOL, PRINTER, ROUTER], a1=BOUND)
    (asked,), steps = applied(place, wanted)
    assert asked.splitlines() == words
    assert steps
    assert make_plan(place.rows, wanted) == [], "it is done"
    refusing = At([LAN, POOL, PRINTER, ROUTER], a1=BOUND)
    with pytest.raises(ToolError, match="nothing is done"):
        applied(refusing, wanted, says=False)
    assert refusing.rows == [LAN, POOL, PRINTER, ROUTER]
    assert applied(refusing, wanted, only_plan=True)[0] == [], "a plan is no order"


def test_leases_that_are_over_are_nobodys() -> None:
    (asked,), _ = applied(At([LAN, PRINTER], a1=EXPIRED), [LAN])
    assert asked == "deleted: 1 reservation"


def test_many_leases_on_reserved_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taken, "_ROWS_READ_MAX", 5)
    many = [Reservation(PRINTER.address + n, b"\1" + bytes([n])) for n in range(9)]
    place = At([LAN, *many], **{f"a{n}": BOUND for n in range(1, 10)})
    (asked,), _ = applied(place, [LAN])
    lines = asked.splitlines()
    assert lines[:2] == [
        "deleted: 9 reservations",
        "5 live leases on addresses that are reserved no more, or for another client among the"
        " first 5",
    ]
    assert lines[-1] == "  and others, up to 198.18.1.5"
    assert len(lines) == 2 + 3 + 1


def test_what_somebody_else_has_changed_meanwhile_is_told_and_nothing_done() -> None:
    place = At([LAN, POOL, ROUTER])

    def ask(_: str) -> bool:
        place.rows.append(PRINTER)
        return True

    with pytest.raises(ToolError, match=r"somebody else has changed .*: delete reservation"):
        apply_plan("x", lambda rows: make_plan(rows, [LAN, POOL]), place, ask, only_plan=False)
    assert place.rows == [LAN, POOL, ROUTER, PRINTER]


def test_what_somebody_else_has_done_meanwhile_is_not_done_again() -> None:
    place = At([LAN, POOL, ROUTER])

    def ask(_: str) -> bool:
        place.rows.remove(ROUTER)
        return True

    assert not apply_plan("x", lambda r: make_plan(r, [LAN, POOL]), place, ask, only_plan=False)
