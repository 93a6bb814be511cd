"""What `dhcpsync check` calls a difference, who is right, what is ordered, and how it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import pytest

from agent.errors import PacketError
from agent.kinds import row_name
from agent.model import (
    NEVER,
    Binding,
    BindingState,
    ConfigRecord,
    ConfigRow,
    Pool,
    Subnet,
    Transaction,
    Version,
    stream_id,
)
from agent.sync.codec import pack_records
from agent.sync.conflict import Rank, pack_parties
from agent.sync.records import Sketch, sketch_records
from tests.sync.lan import make_binding, make_group, make_member
from tools.compare import command, comparison, words
from tools.compare.comparison import Comparison
from tools.compare.judge import Finding, judge_binding, judge_configuration
from tools.compare.overlap import free_twice, lasting, overlaps
from tools.compare.repair import RepairOrder, repair_orders
from tools.compare.survey import INSTANTS_APART_S, Survey, differing_blocks
from tools.compare.values import Claim, Difference, Kind, Look, Overview, Told
from tools.errors import ManagerError

NOW = 1_790_000_000
AT = 0xC6121000
ONE, TWO, THREE = (stream_id(n, 1) for n in (1, 2, 3))
NAMES = {1: "north", 2: "south", 3: "west"}


def row(stream: int = ONE, seq: int = 7, **changes: object) -> Binding:
    return make_binding(AT, NOW, **changes)._replace(stream=stream, seq=seq)  # type: ignore[arg-type]


def look(one: Binding | None, vector: dict[int, int] | None = None, still: bool = False) -> Look:
    return Look(vector or {ONE: 7}, still, {AT: one} if one else {})


def judge(**looks: Look) -> Finding:
    return judge_binding(AT, {int(name[1:]): one for name, one in looks.items()}).finding


# --- what is a difference


def test_members_are_alike_though_their_instants_are_some_seconds_apart() -> None:
    later = row(expires_at=NOW + 600 + INSTANTS_APART_S)
    assert judge(m1=look(row()), m2=look(later._replace(acknowledged_at=5))) is Finding.ALIKE
    assert judge(m1=look(None), m2=look(None)) is Finding.ALIKE


CHANGES: list[dict[str, object]] = [
    {"hostname": "x"},
    {"epoch": 2},
    {"options": b"\x01"},
    {"expires_at": NOW + 601 + INSTANTS_APART_S},
    {"potential_expires_at": NOW},
    {"transaction_at": NOW - 60},
]


@pytest.mark.parametrize("changes", CHANGES)
def test_rows_of_one_change_differ_whatever_is_on_its_way(changes: dict[str, object]) -> None:
    looks = {"m1": look(row(), {ONE: 900}), "m2": look(row()._replace(**changes), {ONE: 7})}  # type: ignore[arg-type]
    assert judge(**looks) is Finding.DIFFERENT


def test_a_change_that_the_other_has_not_applied_is_on_its_way() -> None:
    newer = row(seq=8, grant=2)
    assert judge(m1=look(newer, {ONE: 8}), m2=look(row(), {ONE: 7})) is Finding.ON_ITS_WAY
    assert judge(m1=look(newer, {ONE: 8}), m2=look(None, {ONE: 7})) is Finding.ON_ITS_WAY
    assert judge(m1=look(newer, {ONE: 8}), m2=look(row(), {ONE: 8})) is Finding.DIFFERENT
    assert judge(m1=look(newer, {ONE: 8}), m2=look(None, {ONE: 8})) is Finding.DIFFERENT


def test_both_must_have_applied_the_change_of_the_other() -> None:
    mine, its = row(ONE, 7), row(TWO, 3, grant=2)
    for seen, finding in ((2, Finding.ON_ITS_WAY), (3, Finding.DIFFERENT)):
        vectors = {ONE: 7, TWO: seen}, {ONE: 7, TWO: 3}
        assert judge(m1=look(mine, vectors[0]), m2=look(its, vectors[1])) is finding


def test_members_that_stood_still_at_one_vector_hold_the_same_or_differ() -> None:
    """A row that names a change which nobody has applied: no message explains it."""
    odd = row(seq=99)
    assert judge(m1=look(odd, still=True), m2=look(row())) is Finding.ON_ITS_WAY
    assert judge(m1=look(odd, still=True), m2=look(row(), still=True)) is Finding.DIFFERENT


def pool(version: int, seq: int, name: str = "", deleted: bool = False) -> ConfigRecord:
    return ConfigRecord(Pool(AT, AT + 9, name), Version(version, 1), deleted, ONE, seq)


def test_configuration_differs_by_the_same_rules() -> None:
    key = (3, "pool")

    def judged(a: ConfigRecord | None, b: ConfigRecord | None, seen: int) -> Finding:
        told = {1: a, 2: b}
        return judge_configuration(
            key,
            {n: Told({ONE: 5 if n == 1 else seen}, {key: r} if r else {}) for n, r in told.items()},
        ).finding

    assert judged(pool(1, 5), pool(1, 5), 5) is Finding.ALIKE
    assert judged(pool(1, 5), pool(1, 5, "x"), 4) is Finding.DIFFERENT
    assert judged(pool(2, 5), pool(1, 4), 4) is Finding.ON_ITS_WAY
    assert judged(pool(2, 5), pool(1, 4), 5) is Finding.DIFFERENT
    assert judged(pool(2, 5, deleted=True), None, 5) is Finding.DIFFERENT


# --- who is right


def test_most_of_the_members_are_right_and_then_the_author() -> None:
    odd = row(hostname="odd")
    verdict = judge_binding(AT, {1: look(odd), 2: look(row()), 3: look(row())})
    assert (verdict.right, verdict.wrong) == ((2, 3), (1,))
    verdict = judge_binding(AT, {1: look(row()), 2: look(odd)})
    assert (verdict.right, verdict.wrong) == ((1,), (2,))
    verdict = judge_binding(AT, {1: look(odd), 2: look(row(TWO)), 3: look(row(TWO, hostname="z"))})
    assert verdict.right == (2,)


def test_of_different_changes_the_merge_decides_and_no_record_is_never_right() -> None:
    everything = {ONE: 9, TWO: 9, THREE: 9}
    old = look(row(), everything)
    verdict = judge_binding(AT, {1: old, 2: old, 3: look(row(THREE, 2, grant=2), everything)})
    assert (verdict.right, verdict.wrong) == ((3,), (1, 2))
    nothing = look(None, everything)
    verdict = judge_binding(AT, {1: nothing, 2: nothing, 3: old})
    assert (verdict.right, verdict.wrong) == ((3,), (1, 2))


# --- the first look


def surveyed(*rows: Binding) -> Survey:
    found = Survey()
    for block, sketch in sketched(rows):
        found.take(block, sketch)
    return found


def sketched(rows: Sequence[Binding]) -> list[tuple[int, Sketch]]:
    """As they come from a member."""
    return [
        (block, sketch_records(pack_records(list(inside), NOW * 1000), NOW * 1000))
        for block, inside in groupby(rows, lambda one: one.address // 16)
    ]


def test_a_sketch_has_every_field_but_the_acknowledged_instant() -> None:
    plain = row(client_id=b"\x01ab", hostname="h", options=b"\x01\x01\x00")
    (before,) = sketched([plain])
    assert before[1].instants == [NOW + 600, NOW + 900, NOW]
    assert sketched([plain._replace(acknowledged_at=NOW)]) == [before]
    for changes in (
        *CHANGES,
        {"client_key": b"\x01x"},
        {"client_id": None},
        {"hardware_type": 6},
        {"hardware_address": b""},
        {"state": BindingState.RELEASED},
        {"grant": 2},
        {"transaction": Transaction.RENEWING},
        {"transaction_server": 2},
        {"stream": TWO},
        {"seq": 8},
    ):
        assert sketched([plain._replace(**changes)]) != [before], changes  # type: ignore[arg-type]
    never = row(expires_at=NEVER, potential_expires_at=NEVER, transaction_at=0)
    assert sketched([never])[0][1].instants == [NEVER, NEVER, 0]


def test_a_sketch_of_octets_that_are_no_bindings_is_refused() -> None:
    data = pack_records([row(), row(hostname="x")], NOW * 1000)
    for size in range(len(data)):
        with pytest.raises(PacketError):
            sketch_records(data[:size], NOW * 1000)
    for wrong in (data + b"x", b"\x02" + data[1:], data[:1] + b"\x09" + data[2:]):
        with pytest.raises(PacketError):
            sketch_records(wrong, NOW * 1000)
    with pytest.raises(PacketError):
        sketch_records(data[:12] + b"\x02" + data[13:], NOW * 1000)


def test_blocks_that_are_not_alike_are_found() -> None:
    rows = [row()._replace(address=AT + n) for n in range(40)]
    same = surveyed(*rows)
    assert (same.count, len(same.blocks)) == (40, 3)
    assert differing_blocks([same, surveyed(*rows), surveyed(*rows)]) == []
    assert differing_blocks([same]) == []
    first = AT // 16
    for changed in (
        [*rows[:20], rows[20]._replace(hostname="x"), *rows[21:]],
        [*rows[:20], rows[20]._replace(seq=8), *rows[21:]],
        [*rows[:20], *rows[21:]],
        [*rows[:20], rows[20]._replace(expires_at=NOW + 5000), *rows[21:]],
    ):
        assert differing_blocks([same, surveyed(*rows), surveyed(*changed)]) == [first + 1]
    assert differing_blocks([same, surveyed()]) == [first, first + 1, first + 2]
    near = [one._replace(expires_at=one.expires_at + 2) for one in rows]
    assert differing_blocks([same, surveyed(*near)]) == []


# --- ownership


def claims(*spans: tuple[int, int, int, int]) -> list[Claim]:
    return [Claim(member, AT + first, AT + last, epoch) for member, first, last, epoch in spans]


def test_claims_of_two_members_overlap_and_only_those_that_last_count() -> None:
    before = overlaps(claims((1, 0, 9, 1), (2, 10, 19, 1), (1, 20, 29, 2), (3, 5, 24, 4)))
    assert [(o.first - AT, o.last - AT) for o in before] == [(5, 9), (10, 19), (20, 24)]
    moved = overlaps(claims((1, 0, 9, 5), (3, 5, 9, 4)))  # another epoch: it changed hands
    assert lasting(before, moved) == []
    stayed = overlaps(claims((1, 0, 7, 1), (3, 5, 24, 4)))
    assert [(o.first - AT, o.last - AT) for o in lasting(before, stayed)] == [(5, 7)]


def test_an_address_that_a_binding_uses_up_is_not_free_twice() -> None:
    (overlap,) = overlaps(claims((1, 0, 5, 3), (2, 0, 5, 4)))
    rows = {AT + 2: row(epoch=4), AT + 4: row(epoch=3), AT + 5: row(epoch=2)}
    looks = {n: Look({}, True, rows) for n in (1, 2)}
    assert free_twice(overlap, looks) == [(AT, AT + 1), (AT + 3, AT + 3), (AT + 5, AT + 5)]


# --- repair


def difference(wrong: Sequence[int], right: Sequence[int]) -> Difference:
    return Difference(Kind.BINDING, "x", "x.", "do.", tuple(wrong), tuple(right))


def test_the_source_brings_nothing_wrong_with_it() -> None:
    assert repair_orders([difference([2], [1, 3])], [1, 2, 3]) == [RepairOrder(2, 1, 1)]
    two = [difference([2], [1, 3]), difference([1], [2, 3])]
    assert repair_orders(two, [1, 2, 3]) == [RepairOrder(1, 3, 1), RepairOrder(2, 3, 1)]
    assert repair_orders([difference([2], [1]), difference([1], [2])], [1, 2]) == []
    assert repair_orders([difference([2], [1]), difference([1, 2], [3])], [1, 2, 3]) == [
        RepairOrder(1, 3, 1),
        RepairOrder(2, 1, 1),
    ]
    assert repair_orders([Difference(Kind.OWNERSHIP, "x", "x.", "do.")], [1, 2]) == []


# --- the words


def told(looks: Mapping[int, Look]) -> Difference:
    return words.binding_difference(AT, judge_binding(AT, looks), NAMES, INSTANTS_APART_S)


def test_a_difference_names_fields_values_and_members() -> None:
    said = told(
        {1: look(row(hostname="a")), 2: look(row(hostname="b")), 3: look(row(hostname="a"))}
    )
    assert said.words == "198.18.16.0: host name a at north and west, b at south."
    assert said.to_do == "`--repair` has south take the record of north."
    said = told({1: look(row(hostname="a")), 2: look(row(hostname="b\x1b[2J"))})
    assert "\x1b" not in said.words
    assert said.to_do.endswith("Nobody can know which is right: look at the client first.")


def test_a_row_that_is_lacking_tells_what_the_others_have() -> None:
    said = told({1: look(row()), 2: look(None)})
    assert said.words.startswith("198.18.16.0: no record at south; 02:00:c6:12:10:00, until 20")
    assert said.words.endswith("at north.")


def test_a_change_is_named_where_all_else_is_alike_and_many_fields_are_counted() -> None:
    said = told({1: look(row(), still=True), 2: look(row(seq=99), still=True)})
    assert "last change number 99 of north at south, number 7 of north at north" in said.words
    many = {
        "hostname": "b",
        "epoch": 0,
        "grant": 9,
        "options": b"\x01",
        "state": BindingState.RELEASED,
    }
    said = told({1: look(row()), 2: look(row()._replace(**many))})  # type: ignore[arg-type]
    assert "and 2 more fields" in said.words


def test_configuration_is_told_with_versions() -> None:
    key = (3, "x")

    def said(*records: ConfigRecord | None) -> str:
        looks = {
            n: Told({ONE: 9}, {key: record} if record else {})
            for n, record in enumerate(records, 1)
        }
        return words.configuration_difference(judge_configuration(key, looks), NAMES).words

    assert said(pool(2, 5, "a"), pool(1, 4, "b")) == (
        "pool 198.18.16.0-198.18.16.9: name a (version 2) at north; name b (version 1) at south."
    )
    assert "deleted (version 2) at north; there (version 1) at south" in said(
        pool(2, 5, deleted=True), pool(1, 4)
    )
    assert "not known at south" in said(pool(2, 5), None)


def test_groups_that_differ_are_told_with_what_will_be() -> None:
    group, later = make_group([1, 2, 3], 4), make_group([1, 2], 5)
    assert words.group_difference({1: group, 2: group}, NAMES) is None
    behind = words.group_difference({1: group, 2: later, 3: later}, NAMES)
    assert behind is not None
    assert behind.words == "The group: north at generation 4; south and west at generation 5."
    assert behind.to_do.startswith("Who is behind")
    fork = words.group_difference({1: make_group([1, 2], 4), 2: group}, NAMES)
    assert fork is not None
    assert fork.to_do.startswith("Two decisions")


# --- all of it, with members that are not real


class Member:
    """A member that answers from `states`, one more for every look; a change comes at each."""

    def __init__(self, number: int, states: Sequence[Look], fails: str = "", version: str = "1"):
        self.member = make_member(number)
        self.states = list(states)
        self.fails = fails
        self.version = version
        self.looks = self.told = 0
        self.rows: list[list[ConfigRow]] = []
        self.is_open = False

    async def open(self) -> None:
        self.is_open = True
        if self.fails == "no socket":
            raise OSError(self.fails)

    async def close(self) -> None:
        self.is_open = False

    async def overview(self) -> Overview:
        if self.fails:
            raise ManagerError(self.fails)
        return Overview(make_group([1, 2]), self.version, 1, 2 if self.version != "1" else 0)

    async def bindings(self, take: Callable[[int, Sketch], None]) -> None:
        for block, sketch in sketched(list(self.states[0].rows.values())):
            take(block, sketch)

    async def configuration(self) -> Told:
        self.told += 1
        rows = self.rows[min(self.told, len(self.rows)) - 1] if self.rows else []
        records = [ConfigRecord(one, Version(1, 1), False, ONE, 1) for one in rows]
        return Told(self.states[0].vector, {(1, row_name(one.row)): one for one in records})

    async def claims(self) -> list[Claim]:
        return []

    async def look(self, _: Sequence[int]) -> Look:
        self.looks += 1
        return self.states[min(self.looks, len(self.states) - 1)]


def compare(*members: Member, progress: Any = lambda *_: None) -> Comparison:
    found = Comparison({one.member.member: one for one in members}, progress)

    async def run() -> None:
        await found.run()
        await found.close()

    asyncio.run(run())
    assert not any(one.is_open for one in members)
    return found


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_BETWEEN_LOOKS_S", 0.0)


def test_what_changes_while_it_is_read_is_no_difference() -> None:
    """At each look one of the two is a change ahead, until the last."""
    ahead = [look(row(seq=n, grant=n), {ONE: n}) for n in (8, 9, 10, 11)]
    behind = [look(row(seq=n, grant=n), {ONE: n}) for n in (7, 8, 9, 11)]
    found = compare(Member(1, ahead), Member(2, behind))
    assert (found.differences, found.on_their_way, command.exit_code(found)) == ([], 0, 0)


def test_what_stays_on_its_way_is_told_and_is_no_difference() -> None:
    found = compare(Member(1, [look(row(seq=8), {ONE: 8})]), Member(2, [look(row())]))
    assert (found.differences, found.on_their_way, command.exit_code(found)) == ([], 1, 0)
    assert any("1 rows were on their way" in note for note in command._notes(found))


def test_a_member_of_another_version_is_told_and_the_rest_compared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = Member(3, [look(row())], fails="m3: version 2, this member reads 1")
    newer = Member(2, [look(row(hostname="x"))], version="2")
    found = compare(Member(1, [look(row())]), newer, other)
    assert [one.why for one in found.unseen] == ["m3: version 2, this member reads 1"]
    assert command.exit_code(found) == 1
    command._tell(found, repair_orders(found.differences, found.readers), repair=False)
    said = capsys.readouterr().out
    assert said.startswith("2 members compared, 1 bindings and 0 rows of configuration: 1 diff")
    assert "- versions differ: 1 at m1, 2 at m2\n" in said
    assert "- m3 was not compared: m3: version 2, this member reads 1\n" in said
    assert "m2 has found 2 times that its digest" in said
    found.rows.clear()
    assert command.exit_code(found) == 2


def test_nobody_could_be_looked_at() -> None:
    found = compare(Member(1, [look(row())], fails="silent"), Member(2, [], fails="no socket"))
    assert (command.exit_code(found), command.summary(found)) == (
        2,
        "No member could be looked at.",
    )


def test_blocks_beyond_the_bound_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "BLOCKS_LOOKED_MAX", 0)
    found = compare(Member(1, [look(row())]), Member(2, [look(row(hostname="x"))]))
    assert (found.left_out, command.exit_code(found)) == (1, 2)
    assert any("1 blocks of 16 addresses more differed" in note for note in command._notes(found))


def test_where_every_source_would_bring_wrong_rows_it_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    second = AT + 1
    mine = Look({ONE: 7, TWO: 7}, True, {AT: row(), second: row(TWO, hostname="x")})
    its = Look({ONE: 7, TWO: 7}, True, {AT: row(hostname="x"), second: row(TWO)})
    for one in (mine, its):
        one.rows[second] = one.rows[second]._replace(address=second)  # type: ignore[index]
    found = compare(Member(1, [mine]), Member(2, [its]))
    assert len(found.differences) == 2
    command._tell(found, repair_orders(found.differences, found.readers), repair=False)
    said = capsys.readouterr().out
    assert said.count("nothing is ordered for m") == 2
    assert "--repair` mends what can be mended" not in said


def test_an_address_that_all_hold_in_conflict_is_told() -> None:
    parties = pack_parties({b"\x01a": Rank(False, 1, 1, 1), b"\x01b": Rank(False, 1, 1, 2)})
    conflict = row(
        state=BindingState.UNAVAILABLE, transaction=Transaction.CONFLICT, options=parties
    )
    found = compare(Member(1, [look(conflict)]), Member(2, [look(conflict)]))
    assert command.exit_code(found) == 0
    assert any(
        "lease clear ADDRESS" in note and "198.18.16.0" in note for note in command._notes(found)
    )


LAN = Subnet(AT, 24, name="lan")
HALVES: list[ConfigRow] = [LAN, Pool(AT + 1, AT + 9, "a"), Pool(AT + 9, AT + 20, "b")]
"""Two pools that operators on two sides of a cut have made, each right by itself."""


def test_rows_that_cannot_be_together_are_a_difference() -> None:
    members = [Member(n, [look(row())]) for n in (1, 2)]
    for one in members:
        one.rows = [HALVES]
    found = compare(*members)
    (told,) = found.differences
    assert told.words.startswith("Rows that cannot be together at m1 and m2: pool 198.18.16.9-")
    assert "overlap" in told.words
    assert "`dhcpsync config log DIR`" in told.to_do
    assert (told.wrong, command.exit_code(found)) == ((), 1)
    assert repair_orders(found.differences, found.readers) == []


def test_rows_of_one_change_that_come_one_after_the_other_are_no_difference() -> None:
    moving = Member(1, [look(row())])
    moving.rows = [HALVES, HALVES[:2]]
    found = compare(moving, Member(2, [look(row())]))
    assert [one.kind for one in found.differences if one.wrong == ()] == []


def test_clocks_that_are_far_apart_are_a_difference() -> None:
    found = compare(Member(1, [look(row())]), Member(2, [look(row())]))
    found.add_clocks({1: 0, 2: 29_999, 9: 90_000}, "m1", 30_000)
    assert found.differences == []
    found.add_clocks({2: -30_000}, "m1", 30_000)
    (clock,) = found.differences
    assert clock.words == "The clock of m2 is -30 s from that of m1."
    assert command.exit_code(found) == 1


def test_the_bar_counts_bindings(capsys: pytest.CaptureFixture[str]) -> None:
    bar = command.progress_bar()
    bar(500, 1000)
    bar(501, 1000)
    assert capsys.readouterr().err == f"\r[{'#' * 15:<30}] 500 of 1,000 bindings"
    heard: list[tuple[int, int]] = []
    compare(Member(1, [look(row())]), Member(2, [look(row())]), progress=lambda *a: heard.append(a))
    assert heard == [(1, 2), (2, 2)]


def test_json_has_all(capsys: pytest.CaptureFixture[str]) -> None:
    found = compare(Member(1, [look(row())]), Member(2, [look(row(hostname="x"))]))
    command._tell_json(found, found.differences, [RepairOrder(2, 1, 1)])
    said = json.loads(capsys.readouterr().out)
    assert (said["well"], said["left"], said["orders"]) == (
        False,
        1,
        [{"at": "m2", "source": "m1"}],
    )
    (one,) = said["differences"]
    assert (one["kind"], one["what"], one["wrong"], one["right"]) == (
        "binding",
        "198.18.16.0",
        ["m2"],
        ["m1"],
    )
