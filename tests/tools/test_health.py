"""Each thing that is not well with a group is told, by `dhcpsync status` and its exit code."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
import typer

from agent.health import Kind, MemberStatus, PoolStatus, Severity, is_well
from agent.reasons import BACKLOG_TOLD, reasons, sentence
from tools import status as view
from tools.status import Status

PEER = MemberStatus(
    2, "south", "198.18.0.2", "active", "server", "bidirectional", "aligned", 0, 0
)  # fmt: skip
POOL = PoolStatus("192.0.2.10", "192.0.2.19", "", active=True, size=10, in_use=4, free=3,
                  unavailable=1)  # fmt: skip
WELL = Status(
    asked=1, asked_name="north", state="serving", bindings=0, peers_down=0, pools_low=0,
    max_backlog=0, group="campus", generation=3, lease_s=3600, mul_s=600,
    members=[replace(PEER, id=1, name="north"), PEER, replace(PEER, id=3, name="west")],
    pools=[POOL], counters={},
)  # fmt: skip


def of_south(**changes: Any) -> Status:
    north, south, west = WELL.members
    return replace(WELL, members=[north, replace(south, **changes), west])


def test_a_group_without_reasons_is_well() -> None:
    assert reasons(WELL) == []
    assert sentence(WELL) == "3 of 3 serve; clients are served."
    assert WELL.is_well


@pytest.mark.parametrize(
    ("status", "kind", "severity", "words"),
    [
        (replace(WELL, state="storeFailing"), Kind.NOT_SERVING, Severity.FAILING,
         "2 of 3 serve; clients are served; north cannot write to its disk."),
        (replace(WELL, state="engineSilent", engine_heard="noon"), Kind.ENGINE_SILENT,
         Severity.DEGRADED, "2 of 3 serve; clients are served; the engine of north is silent"),
        (replace(WELL, state="engineSilent", members=[WELL.members[0]]), Kind.ENGINE_SILENT,
         Severity.FAILING, "0 of 1 serve; nobody that north hears does; the engine of north is"),
        (replace(WELL, state="storeFailing", disk_free=1 << 20,
                 members=[replace(WELL.members[0], trouble="diskLow"), *WELL.members[1:]]),
         Kind.NOT_SERVING, Severity.FAILING,
         "2 of 3 serve; clients are served; north cannot write to its disk, which has 1 MiB left."),
        (of_south(trouble="engineSilent"), Kind.ENGINE_SILENT, Severity.DEGRADED,
         "2 of 3 serve; clients are served; the engine of south is silent."),
        (of_south(trouble="diskLow"), Kind.DISK_LOW, Severity.DEGRADED,
         "3 of 3 serve; clients are served; south has little room left on its store's disk."),
        (replace(WELL, disk_free=9 << 20,
                 members=[replace(WELL.members[0], trouble="diskLow"), *WELL.members[1:]]),
         Kind.DISK_LOW, Severity.DEGRADED, "; north has 9 MiB left on its store's disk."),
        (replace(WELL, state="paused"), Kind.NOT_SERVING, Severity.DEGRADED,
         "2 of 3 serve; clients are served; north is paused."),
        (replace(WELL, state="notServing"), Kind.NOT_SERVING, Severity.DEGRADED,
         "2 of 3 serve; clients are served; north does not serve (notServing)."),
        (replace(WELL, uncertain_since="noon"), Kind.UNCERTAIN, Severity.DEGRADED,
         "north may have been declared dead since noon: "),
        (of_south(hello="waiting", align="down", last_heard="2026-11-27 00:50:31 UTC"),
         Kind.SILENT, Severity.DEGRADED,
         "2 of 3 serve; clients are served; south is silent since 2026-11-27 00:50:31 UTC."),
        (of_south(hello="down", align="down"), Kind.SILENT, Severity.DEGRADED, "south is silent."),
        (of_south(hello="unidirectional"), Kind.UNHEARD, Severity.DEGRADED,
         "south is heard by north, and does not hear it."),
        (of_south(endpoint="paused"), Kind.PAUSED, Severity.DEGRADED, "south is paused."),
        (of_south(endpoint="shutdown", hello="down", align="down"), Kind.SHUT_DOWN,
         Severity.DEGRADED, "south is shut down."),
        (of_south(endpoint="recover"), Kind.RECOVERING, Severity.DEGRADED, "south recovers what"),
        (of_south(endpoint="potentialConflict"), Kind.CONFLICT, Severity.DEGRADED,
         "south may have given what others gave."),
        (of_south(align="negotiate"), Kind.NOT_COMPARED, Severity.DEGRADED,
         "south and north have not compared yet"),
        (of_south(state="down", hello="down", align="down"), Kind.CALLED_DEAD, Severity.DEGRADED,
         "south is declared dead."),
        (of_south(state="joining"), Kind.JOINING, Severity.DEGRADED, "south is joining."),
        (replace(WELL, conflicts=True), Kind.ADDRESS_CONFLICT, Severity.DEGRADED,
         "3 of 3 serve; clients are served; two clients were given one address."),
        (replace(WELL, pools=[replace(POOL, in_use=9)]), Kind.POOL_FULL, Severity.FAILING,
         "3 of 3 serve; clients are served; pool 192.0.2.10-192.0.2.19 is full."),
    ],
)  # fmt: skip
def test_what_is_not_well_is_told(
    status: Status, kind: Kind, severity: Severity, words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (reason,) = reasons(status)
    assert (reason.kind, reason.severity) == (kind, severity)
    assert words in sentence(status)
    assert not status.is_well
    view.show_status(status, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == sentence(status)
    assert lines[1] == f"- {reason.words}. {reason.to_do}"
    view.show_status(status, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["well"], told["sentence"]) == (False, sentence(status))
    assert [one["kind"] for one in told["reasons"]] == [kind.value]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (replace(WELL, pools_low=1), Kind.POOLS_LOW),
        (replace(WELL, pools_low=2), Kind.POOLS_LOW),
        (of_south(clock_offset_ms=-31_000), Kind.CLOCK),
        (replace(WELL, pools=[replace(POOL, in_use=9, relieved=True)]), Kind.POOL_FULL),
        (replace(WELL, votes=False), Kind.NOT_VOTING),
        (of_south(align="update", backlog=BACKLOG_TOLD), Kind.BEHIND),
    ],
)
def test_what_is_to_be_known_is_told_and_all_is_well(status: Status, kind: Kind) -> None:
    assert [reason.kind for reason in reasons(status)] == [kind]
    assert status.is_well
    assert sentence(status) == sentence(WELL)


def test_who_decides_nothing_is_told_of_once_and_only_where_it_seems_to_serve() -> None:
    for state, kind in (("starting", Kind.NOT_SERVING), ("recovering", Kind.NOT_SERVING)):
        assert [one.kind for one in reasons(replace(WELL, state=state, votes=False))] == [kind]
    doubts = replace(WELL, uncertain_since="noon", votes=False)
    assert [one.kind for one in reasons(doubts)] == [Kind.UNCERTAIN]


def test_some_changes_are_always_on_their_way() -> None:
    assert reasons(of_south(align="update", backlog=BACKLOG_TOLD - 1)) == []


def test_a_removed_member_is_missed_by_nobody_and_counted_by_nobody() -> None:
    status = of_south(state="removed", hello="down", align="down")
    assert is_well(reasons(status))
    assert sentence(status) == "2 of 2 serve; clients are served."


def test_what_a_member_said_that_is_silent_now_is_not_repeated() -> None:
    silent = of_south(hello="waiting", align="down", trouble="diskLow")
    assert [reason.kind for reason in reasons(silent)] == [Kind.SILENT]


def test_a_pool_out_of_service_may_be_full() -> None:
    assert replace(WELL, pools=[replace(POOL, active=False, in_use=9)]).is_well


def test_the_fullest_pool_comes_first_and_a_terminal_of_60_columns_is_enough(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = replace(POOL, first="198.51.100.10", last="198.51.100.19", in_use=8)
    monkeypatch.setattr(view, "terminal_width", lambda: 60)
    view.show_status(replace(WELL, pools=[POOL, full]), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    assert [line.split("-")[0] for line in lines if line[:3].isdigit()] == [full.first, POOL.first]


def test_what_is_to_be_done_names_the_member() -> None:
    (paused,), (itself,) = (
        reasons(of_south(endpoint="paused")),
        reasons(replace(WELL, state="paused")),
    )
    assert "`dhcpsync member resume south`" in paused.to_do
    assert "`dhcpsync member resume north`" in itself.to_do
    (silent,) = reasons(of_south(hello="waiting", align="down"))
    assert "`dhcpsync member partner-down south`" in silent.to_do


def test_who_is_in_no_group_says_so() -> None:
    alone = replace(WELL, state="joining", group="", members=[], pools=[])
    assert sentence(alone) == "north is in no group; north has not joined yet."


def test_nobody_serves_and_the_worst_comes_first() -> None:
    silent: dict[str, Any] = {"hello": "waiting", "align": "down"}
    members = [WELL.members[0], *(replace(one, **silent) for one in WELL.members[1:])]
    status = replace(
        WELL, state="paused", members=members, pools=[replace(POOL, in_use=9)], pools_low=1
    )
    assert sentence(status) == (
        "0 of 3 serve; nobody that north hears does; pool 192.0.2.10-192.0.2.19 is full;"
        " north is paused; south is silent; and 1 more."
    )


def test_the_exit_code_is_that_of_the_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tools import main, place, watching

    monkeypatch.setattr(place, "find_place", lambda *_: None)
    context = typer.Context(typer.main.get_command(main.app), obj=None)
    for status in (WELL, replace(WELL, state="paused")):
        monkeypatch.setattr(watching, "read_status_at", lambda *_, s=status, **__: s)
        if status.is_well:
            main.status(context)
        else:
            with pytest.raises(typer.Exit) as ended:
                main.status(context)
            assert ended.value.exit_code == 1
    assert io.StringIO(capsys.readouterr().out).readline() == f"{sentence(WELL)}\n"
