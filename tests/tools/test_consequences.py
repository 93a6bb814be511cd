"""What is said before an order that takes service or leases away."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from agent.snmp.columns import BINDING, Column, Scalar, Table
from agent.snmp.oid import Oid
from agent.snmp.tables import NEVER_DATE, date_and_time
from tests.tools.test_health import WELL, of_south
from tools import consequences
from tools.consequences import (
    Considered,
    Given,
    consider,
    consider_ended_wait,
    consider_going,
    read_given,
    words_of_forced_address,
    words_of_removal,
)
from tools.manager import Assignment, Row, Value
from tools.status import Status

NOW = datetime.datetime(2026, 11, 27, 20, 0, tzinfo=datetime.UTC)
GIVEN = Given(looked_at=40, is_all=True, live=30, given=12, last_end=NOW)
ENDS = 1_790_000_000


class Bindings:
    """A member with leases: giver, state and end of each."""

    def __init__(self, *rows: tuple[int, int, bytes]) -> None:
        self.rows = rows

    def below(self, column: Column, index: Oid, limit: int) -> dict[Oid, Value]:
        assert index == ()
        at = ("TransactionServer", "State", "ExpiresAt").index(
            next(short for short, one in BINDING.columns.items() if one is column)
        )
        return {(192, 0, 2, n): row[at] for n, row in enumerate(self.rows[:limit])}

    def get(self, objects: Sequence[Scalar]) -> list[Value | None]:
        raise AssertionError(objects)

    def set(self, assignments: Iterable[Assignment]) -> None:
        raise AssertionError(assignments)

    def table(self, table: Table) -> dict[Oid, Row]:
        raise AssertionError(table)

    def row(self, table: Table, index: Oid) -> Row:
        raise AssertionError((table, index))

    def close(self) -> None:
        raise AssertionError("it is not ours")


def at(seconds: int) -> bytes:
    return date_and_time(ENDS + seconds)


def test_leases_that_a_member_gave_are_counted() -> None:
    rows = [(2, 1, at(5)), (1, 1, at(90)), (2, 4, at(0)), (2, 1, at(7)), (2, 2, at(99))]
    found = read_given(Bindings(*rows), 2)
    assert found.last_end == datetime.datetime.fromtimestamp(ENDS + 7, datetime.UTC)
    assert found == Given(5, True, 3, 2, found.last_end)
    assert found.words("south").startswith("2 of 3 live leases were given by south, and the last")
    never = read_given(Bindings(*rows, (2, 1, NEVER_DATE)), 2)
    assert never.words("south").endswith("given by south, and the last of them ends never")
    assert read_given(Bindings(), 2).words("south") == "0 of 0 live leases were given by south"


def test_more_than_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consequences, "LEASES_LOOKED_AT_MAX", 2)
    two = Bindings((1, 1, at(0)), (2, 1, at(0)))
    assert read_given(two, 2) == replace(read_given(two, 2), is_all=True, given=1)
    more = read_given(Bindings((1, 1, at(0)), (2, 1, at(0)), (2, 1, at(0))), 2)
    assert (more.looked_at, more.is_all, more.live, more.given) == (2, False, 2, 1)
    assert more.words("south").startswith("1 of 2 live leases among the first 2 bindings were")


def seen(status: Status, member: int = 2, given: Given = GIVEN) -> Considered:
    return Considered(status, next(m for m in status.members if m.id == member), given, NOW)


def test_before_a_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consequences, "local_time", lambda t: t.strftime("%H:%M:%S"))
    silent = of_south(hello="down", last_heard="noon")
    assert words_of_removal(seen(silent), keeps_seat=False, force=False).splitlines() == [
        "south is declared dead, and north does not hear it since noon. 12 of 30 live leases were"
        " given by south, and the last of them ends 20:00:00.",
        "Then north and west serve.",
        "What it owned and has not given waits for MUL (600 s), until 20:10:00; what it gave until"
        " MUL after the end that the others have recorded.",
        "It comes back by `dhcpsync member join` only.",
    ]
    lines = words_of_removal(seen(of_south()), keeps_seat=True, force=True).splitlines()
    assert lines[0].startswith("south is declared dead, and north HEARS it at this moment. ")
    assert lines[3] == "It keeps its seat, and comes back by itself when it runs."
    assert lines[4].startswith("--force asks no majority: if it lives, and is only cut off, two")
    pair = replace(silent, state="paused", members=silent.members[:2])
    words = words_of_removal(seen(pair), keeps_seat=False, force=False)
    assert "Then nobody that north hears serves." in words
    three = replace(
        silent, members=[*silent.members, replace(silent.members[2], id=4, name="hill")]
    )
    words = words_of_removal(seen(three), keeps_seat=False, force=False)
    assert "Then north, west and hill serve." in words


@pytest.mark.parametrize(
    ("state", "keeps_seat"), [("removed", True), ("removed", False), ("down", True)]
)
def test_what_is_so_already_is_not_asked_about(state: str, keeps_seat: bool) -> None:
    assert not words_of_removal(seen(of_south(state=state)), keeps_seat=keeps_seat, force=False)


class Place:
    """What `status` is of is asked, whoever it is."""

    def __init__(self, status: Status, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(consequences, "read_status_at", lambda _: status)
        monkeypatch.setattr(consequences, "read_members", lambda _: status.members)
        self.asked: list[str] = []

    def run(self, work: Callable[[Any], Any]) -> Any:
        return work(Bindings((1, 1, at(0)), (2, 1, at(0))))

    def at(self, address: str, port: int) -> Any:
        self.asked.append(address)
        return self

    def with_patience(self, timeout_s: float) -> Any:
        raise AssertionError(timeout_s)


SILENT_WEST = replace(
    WELL, asked=2, asked_name="south",
    members=[*WELL.members[:2], replace(WELL.members[2], hello="down")],
)  # fmt: skip
LAST = replace(
    WELL, asked=2, asked_name="south",
    members=[replace(WELL.members[0], endpoint="paused"), WELL.members[1],
             replace(WELL.members[2], state="down", hello="down")],
)  # fmt: skip


@pytest.mark.parametrize(
    ("status", "wanted", "words"),
    [
        (replace(WELL, asked=2), "paused", []),
        (replace(WELL, asked=2), "shutdown", []),
        (replace(LAST, state="paused"), "paused", []),
        (SILENT_WEST, "paused", []),
        (SILENT_WEST, "leaving",
         ["1 of 2 live", "south has to hand over to everybody, and west is not heard. It goes all"
          " the same, as if it had died: what it owned waits for MUL (600 s"]),
        (replace(SILENT_WEST, members=[replace(SILENT_WEST.members[0], hello="waiting"),
                                       *SILENT_WEST.members[1:]]),
         "shutdown", ["1 of 2 live", "south is the last one that serves, as far as it hears",
                      "south has to hand over to everybody, and north and west are not heard"]),
        (LAST, "paused", ["1 of 2 live leases", "south is the last one that serves"]),
        (LAST, "leaving", ["1 of 2 live leases", "south is the last one that serves"]),
    ],
)  # fmt: skip
def test_before_a_member_goes(
    status: Status, wanted: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(status, monkeypatch)
    lines = consider_going(place, "south", wanted).splitlines()
    assert [line[: len(start)] for line, start in zip(lines, words, strict=True)] == words
    assert place.asked == ["198.18.0.2"], "it knows best whom it hears"


def test_before_a_wait_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    words = consider_ended_wait(Place(WELL, monkeypatch), "2")
    assert "2 live ones are known (2 bindings looked at)" in words
    assert "can lose its address to another one" in words


def test_before_an_address_is_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    found = consider(Place(of_south(hello="down"), monkeypatch), "south")
    words = words_of_forced_address(found, "198.18.0.9")
    assert "south is looked for at 198.18.0.9, and north does not hear it." in words
    assert "north hears 2 of 3 members, itself among them" in words
    itself = replace(found, member=WELL.members[0])
    assert "north is looked for at X, and is the one" in words_of_forced_address(itself, "X")
