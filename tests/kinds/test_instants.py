"""An instant of a row: each member has it by its own clock, people see and set what is left."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.errors import PacketError
from agent.kinds.former_server import FORMER_SERVER, FormerServer
from agent.kinds.scope import GLOBAL
from agent.limits import EXPIRY_SLACK_S, FORMER_LEASE_MAX_S
from agent.model import ConfigRecord, Option, Version, stream_id
from agent.snmp import ber, columns, editing
from agent.snmp.assignment import gather
from agent.snmp.ber import Varbind
from agent.snmp.rows import cell
from agent.snmp.status import ErrorStatus, RequestError
from agent.snmp.view import Role
from agent.sync.merge import configures_the_same, merge_configuration
from agent.sync.octets import CLOCK_TRUST_MS
from agent.sync.records import pack_record, unpack_record
from tests.sync.lan import Lan, make_group
from tools.compare.judge import Finding, judge_configuration
from tools.compare.survey import INSTANTS_APART_S
from tools.compare.values import Told
from tools.compare.words import configuration_difference

NOW_MS = 1_800_000_000_000
NOW = NOW_MS // 1000
TABLE = columns.FORMER_SERVER
INDEX = (0, 0, 0, 0, 0)
UNTIL = FORMER_SERVER.fields[-1]


def record(until: int, counter: int = 3) -> ConfigRecord:
    return ConfigRecord(FormerServer(0, 0, until), Version(counter, 2), False, stream_id(2, 1), 4)


@pytest.mark.parametrize("off_ms", [-3_600_000, -CLOCK_TRUST_MS - 1, 7_200_000])
def test_it_travels_as_seconds_from_now_where_clocks_differ(off_ms: int) -> None:
    told = unpack_record(pack_record(record(NOW + 60), NOW_MS), NOW_MS + off_ms)
    assert told == record((NOW_MS + off_ms) // 1000 + 60)


def test_it_stands_as_it_is_where_they_do_not() -> None:
    told = unpack_record(pack_record(record(NOW + 60), NOW_MS + 900), NOW_MS + 2_100)
    assert told == record(NOW + 60)


@pytest.mark.parametrize("until", [0, 1, NOW - 1, NOW, NOW + FORMER_LEASE_MAX_S])
def test_whatever_it_is_it_comes_to_its_end(until: int) -> None:
    assert unpack_record(pack_record(record(until), NOW_MS), NOW_MS) == record(until)


def test_one_that_no_clock_comes_to_is_refused() -> None:
    late_ms = (0xFFFF_FFFF - 59) * 1000
    with pytest.raises(PacketError, match="former_server: until 4294967296"):
        unpack_record(pack_record(record(NOW + 60), NOW_MS), late_ms)


def test_members_with_clocks_apart_hold_it_for_as_long() -> None:
    lan = Lan([1, 2], make_group([1, 2]))
    lan.offset_ms[2] = 3_600_000
    lan.run(3_000)
    began = lan.clock(1) // 1000
    with lan.stores[1].write() as tx:
        tx.save_configuration([(FormerServer(0, 0, began + 500), False)])
    lan.nodes[1].notice_store_change()

    def held(member: int) -> list[int]:
        with lan.stores[member].read() as tx:
            rows = [one.row for one in tx.configuration(FORMER_SERVER.number)]
        return [row.until for row in rows if isinstance(row, FormerServer)]

    lan.run(5_000, until=lambda: bool(held(2)))
    assert held(1) == [began + 500]
    assert abs(held(2)[0] - 3_600 - began - 500) <= 1


# --- what people see and set


def set_by(now: int, present: list[FormerServer], *cells: tuple[str, int, int]) -> list[object]:
    varbinds = [Varbind((*TABLE[short].oid, *INDEX), tag, value) for short, tag, value in cells]
    rows = gather(Role.OPERATOR, varbinds)
    return list(editing.edit(present, rows, lambda _first, _last: 0, now))


def test_a_set_counts_from_now() -> None:
    left, status = ("TimeLeft", ber.UNSIGNED32, 60), ("RowStatus", ber.INTEGER, 4)
    assert set_by(NOW, [], left, status) == [(FormerServer(0, 0, NOW + 60), False)]
    there = FormerServer(0, 0, NOW + 60)
    assert set_by(NOW + 10, [there], left) == [(FormerServer(0, 0, NOW + 70), False)]
    over = ("TimeLeft", ber.UNSIGNED32, 0)
    assert set_by(NOW, [there], over) == [(FormerServer(0, 0, NOW), False)]
    with pytest.raises(RequestError) as caught:
        set_by(NOW, [there], ("TimeLeft", ber.UNSIGNED32, FORMER_LEASE_MAX_S + 1))
    assert caught.value.status is ErrorStatus.WRONG_VALUE


@pytest.mark.parametrize(("now", "left"), [(NOW, 60), (NOW + 60, 0), (NOW + 99, 0), (0, 31622400)])
def test_what_is_left_is_shown(now: int, left: int) -> None:
    assert cell(UNTIL, FormerServer(0, 0, NOW + 60), now) == left


# --- whether members hold the same


def test_what_instants_lose_on_their_way_is_no_difference() -> None:
    here = record(NOW)
    assert configures_the_same(here, record(NOW + EXPIRY_SLACK_S))
    assert not configures_the_same(here, record(NOW + EXPIRY_SLACK_S + 1))
    assert not configures_the_same(here, record(NOW, counter=4))
    assert not configures_the_same(here, replace(here, row=FormerServer(0, 0, NOW, active=False)))
    option = ConfigRecord(Option(*GLOBAL, 6, b"x"), Version(3, 2), False, stream_id(2, 1), 4)
    assert configures_the_same(option, option)
    assert not configures_the_same(option, replace(option, row=Option(*GLOBAL, 6, b"y")))


def test_a_merge_keeps_what_lies_here_and_does_not_go_up_by_what_is_lost_on_the_way() -> None:
    here = record(NOW)
    assert merge_configuration(here, record(NOW + EXPIRY_SLACK_S)) is None
    assert merge_configuration(here, record(NOW - EXPIRY_SLACK_S)) is None
    shorter = record(NOW - 500, counter=4)
    assert merge_configuration(here, shorter) == shorter


@pytest.mark.parametrize(
    ("apart", "finding"),
    [(INSTANTS_APART_S, Finding.ALIKE), (INSTANTS_APART_S + 1, Finding.DIFFERENT)],
)
def test_check_compares_them_as_those_of_bindings(apart: int, finding: Finding) -> None:
    key = (FORMER_SERVER.number, "0.0.0.0/0")
    vector = {stream_id(2, 1): 4}
    told = {
        1: Told(vector=vector, records={key: record(NOW)}),
        2: Told(vector=vector, records={key: record(NOW + apart)}),
    }
    verdict = judge_configuration(key, told)
    assert verdict.finding is finding
    if finding is Finding.DIFFERENT:
        said = configuration_difference(verdict, {1: "north", 2: "south"})
        assert "until 2027-01-15" in said.words
