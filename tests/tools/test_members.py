"""Which member an order means."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent.errors import ConfigError
from agent.health import MemberStatus
from tools.errors import ManagerError
from tools.manager import Assignment
from tools.members import find_member, set_or_tell, set_parameters, show_members
from tools.target import Target

MEMBERS = [
    MemberStatus(n, f"m{n}", f"198.18.0.{n}", "active", "server", "", "", 0, 0) for n in (1, 2)
]


@pytest.mark.parametrize("who", ["2", "m2"])
def test_a_member_is_named_by_number_or_name(who: str) -> None:
    assert find_member(MEMBERS, who).id == 2


def test_an_unknown_one_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'m9' is none of the group; there are 1 m1, 2 m2"):
        find_member(MEMBERS, "m9")


class Told:
    """A member that takes orders, of a group with a lease of 3600 s and a MUL of 600 s."""

    def __init__(self) -> None:
        self.given: list[tuple[str, object]] = []

    def table(self, _: object) -> dict[tuple[int, ...], dict[str, int]]:
        return {(1,): {"MaxUnpushedLeaseTime": 600, "LeaseTime": 3600}}

    def set(self, assignments: list[Assignment]) -> None:
        self.given += [(one.column.name, one.value) for one in assignments]

    def with_patience(self, _: float) -> Told:
        return self

    def run(self, act: Callable[[Told], object]) -> object:
        return act(self)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"MaxUnpushedLeaseTime": 5}, r"--mul: is 5 s; at least 10 s"),
        ({"MaxUnpushedLeaseTime": 3601}, "is 3601 s, longer than the lease of 3600 s"),
        ({"LeaseTime": 599}, "is 600 s, longer than the lease of 599 s"),
        ({"LeaseTime": 599, "MaxUnpushedLeaseTime": 600}, "longer than the lease of 599 s"),
        ({"LeaseTime": 599, "MaxUnpushedLeaseTime": 599}, ""),
        ({"SafePeriod": 60, "MaxUnpushedLeaseTime": None}, ""),
    ],
)
def test_a_mul_that_makes_no_sense_is_no_order(wanted: dict[str, int | None], words: str) -> None:
    told = Told()
    if not words:
        set_parameters(told, wanted)  # type: ignore[arg-type]
        assert len(told.given) == sum(value is not None for value in wanted.values())
        return
    with pytest.raises(ConfigError, match=words):
        set_parameters(told, wanted)  # type: ignore[arg-type]
    assert told.given == []


def test_nothing_to_set_is_no_order() -> None:
    target = Target("198.18.0.1", 161, None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="give --mul, --lease or --safe-period"):
        set_parameters(target, {"LeaseTime": None})


@pytest.mark.parametrize("status", ["resourceUnavailable", "inconsistentValue"])
def test_a_refusal_keeps_its_status_and_has_the_reason_of_the_audit(status: str) -> None:
    """By the status a pool asks another member where this one decides nothing yet."""

    class Refusing(Told):
        def table(self, _: object) -> Any:
            detail = f"{status}: not_voting: member 1 has not been confirmed yet: dhcpSync SET"
            return {(1,): {"Action": b"refused", "Detail": detail.encode()}}

        def set(self, _: list[Assignment]) -> None:
            raise ManagerError(f"m1 refuses it: {status}", status)

    refusing: Any = Refusing()
    with pytest.raises(ManagerError, match=r"m1 refuses it: .*: member 1 has not been con") as told:
        set_or_tell(refusing, [])
    assert told.value.status == status


LISTED = [
    replace(MEMBERS[0], hello="bidirectional", align="aligned"),
    replace(MEMBERS[1], hello="bidirectional", align="update", port=1161),
    MemberStatus(3, "m3", "198.18.0.3", "removed", "server", "down", "down", 0, 0,
                 endpoint="partnerDown", last_heard="2026-11-27 00:50:31 UTC"),
]  # fmt: skip


class Asked:
    """A member that knows these, and has something to decide."""

    def __init__(self, members: list[MemberStatus], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tools.members.read_members", lambda _: members)

    def table(self, _: object) -> dict[tuple[int, ...], dict[str, bytes]]:
        return {(1,): {"Change": b"MUL 900 s", "User": b"ops\x1b"}, (2,): {"Change": b"m4 joins"}}

    def run(self, act: Callable[[Asked], object]) -> object:
        return act(self)


def test_members_are_listed_below_the_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place: Any = Asked(LISTED, monkeypatch)
    assert show_members(place, as_json=False)
    assert capsys.readouterr().out == (
        "id  name  address          state    failover     hello          align    last heard\n"
        " 1  m1    198.18.0.1       active   normal       bidirectional  aligned\n"
        " 2  m2    198.18.0.2:1161  active   normal       bidirectional  update\n"
        " 3  m3    198.18.0.3       removed  partnerDown  down           down"
        "     2026-11-27 00:50:31 UTC\n"
        "pending: MUL 900 s (ops\ufffd)\n"
        "pending: m4 joins\n"
    )
    assert show_members(place, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["well"], told["pending"]) == (True, ["MUL 900 s (ops\ufffd)", "m4 joins"])
    assert told["members"][1]["port"] == 1161


@pytest.mark.parametrize(
    "changes",
    [
        {"hello": "down"},
        {"align": "summarize"},
        {"state": "down", "endpoint": "partnerDown"},
        {"endpoint": "paused"},
        {"endpoint": "shutdown"},
    ],
)
def test_a_member_that_is_not_well_is_an_exit_code(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = LISTED
    place: Any = Asked([one, replace(two, **changes), three], monkeypatch)
    assert not show_members(place, as_json=False)
