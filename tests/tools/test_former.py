"""Former servers' leases: the order, what `status` and `apply` tell, and what `apply` lets be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import pytest

from agent.health import FormerStatus, Kind, Severity
from agent.kinds.former_server import FormerServer
from agent.model import ConfigRow, ProbePolicy, Subnet, parse_address
from agent.reasons import reasons
from tests.tools.tables import Tables
from tests.tools.test_health import WELL
from tools.apply.command import apply_plan
from tools.apply.dump import dump_rows
from tools.apply.file import parse_file
from tools.apply.outside import subnets_untried
from tools.apply.plan import make_plan
from tools.apply.remote import Remote
from tools.former import set_former_lease
from tools.init import former_server
from tools.status import read_former, show_status
from tools.target import Place

LAN = parse_address("192.0.2.0")
EVERY = FormerServer(0, 0, 86_400)
NEVER = Subnet(LAN, 24, probe=ProbePolicy.NEVER)
UNTIL = "1970-01-02 00:00:00 UTC"


class At:
    """A place: one member, whose clock stands at 0."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def with_patience(self, _: float) -> At:
        return self

    def run(self, work: Callable[[Tables], Any]) -> Any:
        return work(self.tables)


def place(tables: Tables) -> Place:
    return cast(Place, At(tables))


# --- the order


def test_the_order_makes_a_row_and_changes_it_and_ends_it() -> None:
    tables = Tables()
    said = set_former_lease(place(tables), former_server("0.0.0.0/0", 86_400, "S"))
    assert said.startswith("each address of every network is tried before a client gets it, for 86")
    assert tables.rows == [EVERY]
    set_former_lease(place(tables), former_server("192.0.2.0/24", 60, "S"))
    set_former_lease(place(tables), former_server("0.0.0.0/0", 90, "S"))
    assert tables.rows == [FormerServer(LAN, 24, 60), FormerServer(0, 0, 90)]
    said = set_former_lease(place(tables), former_server("192.0.2.0/24", 0, "S"))
    assert said == "no lease of a former server is taken to run in 192.0.2.0/24"
    assert FormerServer(LAN, 24, 0) in tables.rows


def test_a_row_that_was_put_out_of_service_is_in_service_again() -> None:
    tables = Tables([FormerServer(0, 0, 0, active=False)])
    set_former_lease(place(tables), former_server("0.0.0.0/0", 86_400, "S"))
    assert tables.rows == [EVERY]


# --- what a member says


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], []),
        ([NEVER], []),
        ([FormerServer(0, 0, 0), NEVER], []),
        ([EVERY, Subnet(LAN, 24)], [FormerStatus("every network", UNTIL)]),
        (
            [EVERY, NEVER],
            [
                FormerStatus("every network", UNTIL),
                FormerStatus("192.0.2.0/24", UNTIL, tried=False),
            ],
        ),
        ([EVERY, FormerServer(LAN, 24, 0), NEVER], [FormerStatus("every network", UNTIL)]),
        (
            [EVERY, Subnet(LAN, 24, probe=ProbePolicy.NEVER, active=False)],
            [FormerStatus("every network", UNTIL)],
        ),
        (
            [FormerServer(LAN, 25, 86_400), Subnet(LAN, 24, probe=ProbePolicy.RECENT)],
            [FormerStatus("192.0.2.0/25", UNTIL)],
        ),
        ([FormerServer(0, 0, 86_400, active=False)], []),
    ],
)
def test_status_reads_what_still_runs_and_where_nothing_is_tried(
    rows: list[ConfigRow], told: list[FormerStatus]
) -> None:
    found = read_former(Tables(rows))
    # Of 1970 are no instants that people are shown: only their being there counts here.
    assert [(one.network, one.tried) for one in found] == [(o.network, o.tried) for o in told]


def test_it_is_a_note_while_addresses_are_tried(capsys: pytest.CaptureFixture[str]) -> None:
    status = cast(Any, WELL).__class__(
        **{name: getattr(WELL, name) for name in WELL.__slots__} | {"former": [
            FormerStatus("every network", "noon")
        ]}
    )  # fmt: skip
    (reason,) = reasons(status)
    assert (reason.kind, reason.severity) == (Kind.FORMER_SERVER, Severity.NOTE)
    assert status.is_well
    show_status(status, as_json=False)
    said = capsys.readouterr().out
    assert "- leases of a former server may run in every network until noon. Each address" in said
    show_status(status, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["former"] == [{"network": "every network", "until": "noon", "tried": True}]


# --- `apply`


def test_apply_tells_of_subnets_whose_probe_defeats_it() -> None:
    tables = Tables([EVERY])
    (line,) = subnets_untried(tables, [NEVER, Subnet(LAN + 256, 24)])
    assert line.startswith('subnet 192.0.2.0/24: with probe = "never" its addresses are given untr')
    assert subnets_untried(tables, [Subnet(LAN, 24, probe=ProbePolicy.ALWAYS)]) == []
    assert subnets_untried(Tables([FormerServer(0, 0, 0)]), [NEVER]) == []


def wanted(_words: str) -> bool:
    return True


def test_apply_neither_deletes_nor_dumps_them() -> None:
    tables = Tables([EVERY, NEVER])
    assert Remote(tables).rows == [NEVER]
    plan = apply_plan(
        "x.toml", lambda rows: make_plan(rows, []), place(tables), wanted, only_plan=False
    )
    assert [step.row for step in plan] == [NEVER]
    assert tables.rows == [EVERY]
    assert "former" not in dump_rows([EVERY, NEVER]).text
    with pytest.raises(Exception, match="former-server"):
        parse_file("x.toml", "[[former-server]]\n")
