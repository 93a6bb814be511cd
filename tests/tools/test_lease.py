"""What `dhcpsync lease` prints, refuses and asks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from agent.snmp.columns import BINDING, CLIENT, MEMBER, Column, Scalar, Table
from agent.snmp.oid import Oid, address_index
from agent.snmp.tables import NEVER_DATE, date_and_time
from tools.errors import ManagerError, ToolError
from tools.lease import command
from tools.lease.lease import LEASES_MAX
from tools.manager import Assignment, Row, Value

ADDRESS = 0xC0000211
MAC = bytes.fromhex("020000000001")
ENDS = 1_790_000_000
STATES = {"bound": 1, "released": 2, "unavailable": 3, "expired": 4}
TRANSACTIONS = BINDING["TransactionType"].syntax.names


def row(state: str = "bound", transaction: str = "selecting", **changes: Value) -> Row:
    number = next(n for n, word in TRANSACTIONS.items() if word == transaction)
    return {
        "State": STATES[state],
        "HardwareType": 1,
        "HardwareAddress": MAC,
        "ClientId": b"\x01" + MAC,
        "HostName": b"printer",
        "ExpiresAt": date_and_time(ENDS),
        "TransactionType": number,
        "TransactionAt": date_and_time(ENDS - 3600),
        "TransactionServer": 2,
        "StreamServer": 2,
        "StreamIncarnation": 1,
        "StreamSeq": 7,
        "Options": bytes.fromhex("0304c00002fe"),
        **changes,
    }


@dataclass
class Group:
    """A member with these bindings; of its peers, the second has `second`, the third is silent."""

    rows: dict[int, Row]
    second: Row | None = None
    sets: list[tuple[str, Oid, Value]] = field(default_factory=list)
    at_second: bool = False
    asked: list[str] = field(default_factory=list)

    def get(self, objects: Sequence[Scalar]) -> list[Value | None]:
        raise NotImplementedError

    def set(self, assignments: Iterable[Assignment]) -> None:
        self.sets += [(one.column.name, one.index, one.value) for one in assignments]

    def table(self, table: Table) -> dict[Oid, Row]:
        assert table is MEMBER
        return {
            (n,): {
                "Name": b"m%d" % n,
                "Address": bytes((192, 0, 2, n)),
                "Port": 161,
                "State": state,
                "HelloState": 4 if n < 3 else 1,
            }
            for n, state in ((1, 1), (2, 1), (3, 1), (4, 3))
        }

    def row(self, table: Table, index: Oid) -> Row:
        assert table is BINDING
        if self.at_second:
            return self.second or {}
        return next((r for a, r in self.rows.items() if address_index(a) == index), {})

    def below(self, column: Column, index: Oid, limit: int) -> dict[Oid, Value]:
        assert column is CLIENT["State"]
        names = {1: "HardwareAddress", 2: "ClientId", 3: "HostName"}
        key = bytes(index[2:])
        assert len(key) == index[1]
        found = [a for a, one in sorted(self.rows.items()) if one[names[index[0]]] == key]
        return {address_index(a): 1 for a in found[:limit]}

    def close(self) -> None:
        """Nothing is open."""

    # As a Place.

    def run(self, work: Callable[[Any], Any]) -> Any:
        return work(self)

    def at(self, address: str, port: int) -> Any:
        assert port == 161
        if address.endswith(".3"):
            return Silent()
        self.asked.append(address)
        there = Group(self.rows, self.second, at_second=address.endswith(".2"))
        there.sets = self.sets
        return there

    def with_patience(self, _: float) -> Any:
        return self


class Silent:
    def run(self, work: Callable[[Any], Any]) -> Any:
        raise ManagerError("192.0.2.3: no answer", "requestTimedOut")

    def with_patience(self, _: float) -> Any:
        return self


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterable[None]:
    """Two hours before UTC, so that a time that is not local shows."""
    monkeypatch.setenv("TZ", "LAB-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def group(*rows: Row, second: Row | None = None) -> Any:
    return Group({ADDRESS + at: one for at, one in enumerate(rows)}, second)


def test_find_prints_a_line_for_each_below_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    command.find(group(row(), row("expired")), "0200.0000.0001", as_json=False)
    assert capsys.readouterr().out == (
        "address     state    client             ends                     host name\n"
        "192.0.2.17  bound    02:00:00:00:00:01  2026-09-21 16:13:20 LAB  printer\n"
        "192.0.2.18  expired  02:00:00:00:00:01  2026-09-21 16:13:20 LAB  printer\n"
    )


def test_find_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    command.find(group(row(ExpiresAt=NEVER_DATE)), "printer", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["more"] is False
    (lease,) = found["leases"]
    assert lease["address"] == "192.0.2.17"
    assert lease["ends_at"] is None
    assert lease["options"] == {"routers": "192.0.2.254"}


def test_find_says_that_there_are_more(capsys: pytest.CaptureFixture[str]) -> None:
    command.find(group(*[row()] * (LEASES_MAX + 1)), "printer", as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + LEASES_MAX + 1
    assert lines[-1] == f"more than {LEASES_MAX}: name the client more closely"


@pytest.mark.parametrize("as_json", [True, False])
def test_nobody_is_found(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    with pytest.raises(ToolError, match="'scanner' is in no binding"):
        command.find(group(row()), "scanner", as_json=as_json)
    assert capsys.readouterr().out == ('{\n  "leases": [],\n  "more": false\n}\n' * as_json)


def test_show_tells_all_of_a_lease(capsys: pytest.CaptureFixture[str]) -> None:
    command.show(group(row(), second=row(StreamSeq=6)), "192.0.2.17", as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "address:          192.0.2.17",
        "state:            bound: the client has the address",
        "ends:             2026-09-21 16:13:20 LAB",
        "hardware address: 02:00:00:00:00:01",
        "client id:        01:02:00:00:00:00:01",
        "host name:        printer",
        "last:             2026-09-21 15:13:20 LAB: m2 gave it to a new client",
        "option:           routers 192.0.2.254",
        "recorded:         m1: has it",
        "recorded:         m2: has another version of it",
        "recorded:         m3: not known (192.0.2.3: no answer)",
    ]


def test_show_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    command.show(group(row(Options=b"\x03")), "192.0.2.17", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["member"] == "m2"
    assert told["recorded"]["m2"] == "has no record of it"
    assert told["options"] == {"octets": "03"}, "what is no list of options is shown all the same"


def test_show_wants_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        ToolError, match=r"in 2 bindings.*192\.0\.2\.17 \(bound\), 192\.0\.2\.18 \("
    ):
        command.show(group(row(), row("released")), "printer", as_json=False)
    with pytest.raises(ToolError, match=r"'192\.0\.2\.99' is in no binding"):
        command.show(group(row()), "192.0.2.99", as_json=False)
    assert not capsys.readouterr().out


CONFLICT = row("unavailable", "conflict")


def test_clear_ends_a_conflict_once_somebody_says_so() -> None:
    asked: list[str] = []
    place = group(CONFLICT)
    said = command.clear(place, "192.0.2.17", ask=lambda words: not asked.append(words))
    assert place.sets == [("dhcpSyncConflictRowStatus", (192, 0, 2, 17), 6)]
    assert said.startswith("192.0.2.17 is no conflict any more")
    assert "given again from 2026-09-21 16:13:20 LAB, when both leases are over" in asked[0]


def test_clear_does_nothing_that_is_not_wanted() -> None:
    place = group(CONFLICT)
    with pytest.raises(ToolError, match="it was not wanted: nothing is done"):
        command.clear(place, "192.0.2.17", ask=lambda _: False)
    assert place.sets == []


def test_a_conflict_that_somebody_else_has_cleared_is_not_cleared_twice() -> None:
    place = group(CONFLICT)

    def ask(_: str) -> bool:
        place.rows[ADDRESS] = row("unavailable", "repair")
        return True

    command.clear(place, "192.0.2.17", ask=ask)
    assert place.sets == []


@pytest.mark.parametrize(
    ("state", "transaction", "words"),
    [
        ("bound", "renewing", "is bound, not unavailable: nothing to clear"),
        ("unavailable", "decline", r"\(DECLINE\); it can be given again from 2026-09-21 16:13:20"),
        ("unavailable", "probe", "somebody else answered when it was tried; it can be given"),
        ("unavailable", "repair", "a conflict about it was cleared, and the leases of both"),
    ],
)
def test_clear_says_what_else_an_address_waits_for(
    state: str, transaction: str, words: str
) -> None:
    place = group(row(state, transaction))
    with pytest.raises(ToolError, match=words):
        command.clear(place, "192.0.2.17", ask=lambda _: True)
    assert place.sets == []


def test_release_ends_a_lease_at_the_member_that_gave_it() -> None:
    asked: list[str] = []
    place = group(row(), second=row())
    said = command.release(place, "192.0.2.17", ask=lambda words: not asked.append(words))
    assert place.sets == [("dhcpSyncBindingState", (192, 0, 2, 17), 2)]
    assert place.asked == ["192.0.2.2"]
    assert said == "192.0.2.17 is released; its client has not been told"
    assert asked[0].splitlines()[0] == (
        "192.0.2.17 is leased to 02:00:00:00:00:01 (printer) until 2026-09-21 16:13:20 LAB;"
        " m2 gave it to a new client at 2026-09-21 15:13:20 LAB."
    )
    assert "Its client may still be there." in asked[0]
    assert asked[0].endswith("rests for 120 s, and is tried before another client gets it.")


@pytest.mark.parametrize("silent", [3, 4, 9])
def test_a_giver_that_is_not_reached_costs_the_rest_of_the_lease(silent: int) -> None:
    asked: list[str] = []
    place = group(row(StreamServer=silent))
    command.release(place, "192.0.2.17", ask=lambda words: not asked.append(words))
    assert place.sets == [("dhcpSyncBindingState", (192, 0, 2, 17), 2)]
    assert place.asked == []
    name = "member 9" if silent == 9 else f"m{silent}"
    assert f"rests as long as the lease would have run, perhaps: {name}, which alone" in asked[0]


def test_release_does_nothing_that_is_not_wanted() -> None:
    place = group(row(), second=row())
    with pytest.raises(ToolError, match="nothing is done"):
        command.release(place, "192.0.2.17", ask=lambda _: False)
    assert place.sets == []


@pytest.mark.parametrize(
    "second",
    [row(transaction="renewing", StreamSeq=8), {}],
    ids=["renewed", "gone"],
)
def test_a_lease_that_was_renewed_meanwhile_is_not_released(second: Row) -> None:
    place = group(row(), second=second)
    with pytest.raises(ToolError, match="is not any more what was shown"):
        command.release(place, "192.0.2.17", ask=lambda _: True)
    assert place.sets == []


def test_a_lease_that_its_client_has_released_meanwhile_is_released() -> None:
    place = group(row(), second=row("released", "release", StreamSeq=8))
    command.release(place, "192.0.2.17", ask=lambda _: True)
    assert place.sets == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (row("released", "release"), "192.0.2.17 is released already: nothing to do"),
        (row("expired"), "192.0.2.17 is over since 2026-09-21 16:13:20 LAB: nothing to release"),
        (CONFLICT, "is unavailable, and nobody's: `dhcpsync lease clear` is for that"),
        (row("unavailable", "decline"), "is unavailable, and nobody's$"),
        (row(ExpiresAt=NEVER_DATE), "is leased for ever: its client never asks again"),
    ],
)
def test_what_cannot_be_released(found: Row, words: str) -> None:
    def never(_: str) -> bool:
        raise AssertionError("it is not asked about")

    place = group(found)
    with pytest.raises(ToolError, match=words):
        command.release(place, "192.0.2.17", ask=never)
    assert place.sets == []
