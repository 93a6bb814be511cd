"""`apply` tells what has become another one since its file was applied last, with who did it, asks
before it undoes that, and knows by a file of its own what it has applied."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from agent.addresses import parse_address as A  # noqa: N812
from agent.errors import ConfigError
from agent.kinds.scope import GLOBAL
from agent.limits import APPLIED_GROUPS_MAX
from agent.model import ConfigRow, Option, Pool, Subnet
from agent.snmp.columns import AUDIT, BINDING, MEMBER, Column, Table
from agent.snmp.oid import Oid
from tests.tools.tables import Tables
from tools.apply import last_applied
from tools.apply.command import apply_file
from tools.apply.last_applied import Applied, recall, remember
from tools.apply.plan import Step
from tools.asking import confirm
from tools.errors import ManagerError, ToolError
from tools.manager import Assignment, Row, Value

LAN = Subnet(A("198.18.0.0"), 24, name="lan")
OFFICE = Subnet(A("198.18.0.0"), 24, name="office")
POOL = Pool(A("198.18.0.16"), A("198.18.0.99"))
OTHER = Pool(A("198.18.0.200"), A("198.18.0.219"))
DNS = Option(*GLOBAL, 6, bytes((198, 18, 0, 2)))

ROUTED = '[options]\ndomain-name-servers = "198.18.0.2"\n'
SUBNET = '[[subnet]]\nprefix = "198.18.0.0/24"\nname = "{}"\n'
RANGE = 'pools = ["198.18.0.16-198.18.0.99"]\n'
FILE = ROUTED + SUBNET.format("lan") + RANGE
YEAR = 2027
"""In which everything happens that an audit tells."""


class Group(Tables):
    """Two members as one place, of which the second may be silent; each with its audit: second of
    a minute, action and words."""

    def __init__(self, *rows: ConfigRow, engine: int = 1) -> None:
        super().__init__(rows)
        self.engine = engine
        self.audits: dict[int, list[tuple[int, str, str]]] = {1: [], 2: []}
        self.silent: set[int] = set()
        self.fails_after: int | None = None

    def run(self, work: Callable[[Any], Any]) -> Any:
        return work(self)

    def at(self, address: str, port: int) -> Any:
        return One(self, port)

    def table(self, table: Table) -> dict[Oid, Row]:
        if table is not MEMBER:
            return super().table(table)
        return {
            (n,): {"Name": b"m%d" % n, "Address": bytes(4), "State": 1, "Port": n,
                   "EngineId": bytes((self.engine, n))}
            for n in (1, 2)
        }  # fmt: skip

    def set(self, assignments: Iterable[Assignment]) -> None:
        if self.fails_after is not None:
            if not self.fails_after:
                raise ManagerError("refuses", "commitFailed")
            self.fails_after -= 1
        super().set(assignments)

    def below(self, column: Column, index: Oid, limit: int) -> dict[Oid, Value]:
        return {} if column is BINDING["State"] else super().below(column, index, limit)


class One:
    """One of the members, to whoever asks for its audit."""

    def __init__(self, group: Group, number: int) -> None:
        self.group, self.number, self.patience_s = group, number, 0.0

    def with_patience(self, timeout_s: float) -> One:
        self.patience_s = timeout_s
        return self

    def run(self, work: Callable[[Any], Any]) -> Any:
        assert self.patience_s == 1.0
        if self.number in self.group.silent:
            raise ManagerError("no answer", "requestTimedOut")
        return work(self)

    def table(self, table: Table) -> dict[Oid, Row]:
        assert table is AUDIT
        return {
            (at,): {"Time": bytes((YEAR >> 8, YEAR & 255, 1, 15, 8, 0, second, 0, 43, 0, 0)),
                    "User": b"operator", "Action": action.encode(), "Detail": words.encode()}
            for at, (second, action, words) in enumerate(self.group.audits[self.number], 1)
        }  # fmt: skip


class Desk:
    """Where somebody sits who applies a file."""

    def __init__(self, folder: Path, text: str = FILE) -> None:
        self.file = folder / "cluster.toml"
        self.file.write_text(text)
        self.said: list[str] = []
        self.asked: list[str] = []

    @property
    def kept(self) -> Path:
        return self.file.with_name("cluster.toml.applied")

    def apply(self, group: Any, *, says: bool = True, only_plan: bool = False) -> list[Step]:
        self.said, self.asked = [], []

        def ask(words: str) -> bool:
            self.asked.append(words)
            return says

        return apply_file(
            self.file, group, ask, only_plan=only_plan, as_json=False, say=self.said.append
        )


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """All is applied at the same instant, before anything that the audits tell."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)
    return Desk(tmp_path)


def test_what_only_this_file_has_changed_is_no_matter(desk: Desk) -> None:
    group = Group()
    desk.apply(group)
    desk.file.write_text(ROUTED + SUBNET.format("office") + RANGE)
    assert len(desk.apply(group)) == 1
    desk.file.write_text(SUBNET.format("office") + RANGE)
    desk.apply(group)
    assert desk.asked == ["deleted: 1 option"], "as ever"
    assert desk.said == []


def test_what_somebody_else_has_changed_is_told_with_who_and_asked_about(desk: Desk) -> None:
    group = Group()
    desk.apply(group)
    group.rows = [OFFICE, OTHER, POOL]
    group.audits[1] = [
        (1, "set", "dhcpSyncSubnetName.198.18.0.0.24='x'"),
        (9, "refused", "noAccess: dhcpSyncSubnetName.198.18.0.0.24='y'"),
    ]
    group.audits[2] = [
        (5, "set", "dhcpSyncSubnetClaims.198.18.0.0.24=deny, dhcpSyncSubnetName.198.18.0.0.24='o'"),
        (6, "set", "dhcpSyncPoolRowStatus.198.18.0.200.198.18.0.219=createAndGo"),
    ]
    desk.apply(group)
    (words,) = desk.asked
    assert words.splitlines() == [
        "3 rows are not as this file left them at 2023-11-14 22:13:20 UTC: somebody has changed"
        " them since, in another way than by this file. That would be undone:",
        "  pool 198.18.0.200-198.18.0.219 was added (by operator at m2, 2027-01-15 08:00:06 UTC);"
        " it would be deleted",
        "  subnet 198.18.0.0/24 was changed: name lan -> office (by operator at m2, 2027-01-15"
        " 08:00:05 UTC); it would be changed: name office -> lan",
        "  option global:6 was deleted (no audit that could be read tells by whom); it would be"
        " made again",
        "20 addresses will be in no pool any more",
    ]
    assert sorted(map(repr, group.rows)) == sorted(map(repr, [LAN, POOL, DNS])), "it was agreed to"
    desk.apply(group)
    assert desk.asked == []


def test_who_says_no_changes_nothing_and_is_asked_again(desk: Desk) -> None:
    group = Group()
    desk.apply(group)
    group.rows = [OFFICE, POOL, DNS]
    kept = desk.kept.read_text()
    for _ in range(2):
        with pytest.raises(ToolError, match="it was not wanted: nothing is done"):
            desk.apply(group, says=False)
        assert len(desk.asked) == 1
    assert group.rows == [OFFICE, POOL, DNS]
    assert desk.kept.read_text() == kept


def test_a_script_says_yes_beforehand(desk: Desk) -> None:
    group = Group()
    desk.apply(group)
    group.rows = [OFFICE, POOL, DNS]
    with pytest.raises(ConfigError, match="--yes: is missing, and nobody answers"):
        apply_file(desk.file, group, confirm(False), only_plan=False, as_json=False)  # type: ignore[arg-type]
    assert group.rows == [OFFICE, POOL, DNS]
    apply_file(desk.file, group, confirm(True), only_plan=False, as_json=False)  # type: ignore[arg-type]
    assert LAN in group.rows


def test_a_plan_tells_it_asks_nothing_and_remembers_nothing(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    group = Group(LAN, POOL)
    desk.apply(group, only_plan=True)
    assert not desk.kept.exists()
    desk.apply(group)
    group.rows = [OFFICE, POOL, DNS]
    kept = desk.kept.read_text()
    desk.apply(group, only_plan=True)
    assert desk.asked == []
    assert "subnet 198.18.0.0/24 was changed: name lan -> office" in "".join(desk.said)
    assert desk.kept.read_text() == kept
    capsys.readouterr()
    apply_file(desk.file, group, confirm(False), only_plan=True, as_json=True)  # type: ignore[arg-type]
    told = json.loads(capsys.readouterr().out)
    assert told["warnings"][0].startswith("1 row is not as this file left it at 2023-11-14")
    assert len(told["warnings"]) == 2


def test_what_the_file_says_too_by_now_is_no_matter(desk: Desk) -> None:
    """Somebody has changed it at a member, and then the file, which another one applies."""
    group = Group()
    desk.apply(group)
    group.rows = [OFFICE, POOL, DNS]
    desk.file.write_text(ROUTED + SUBNET.format("office") + RANGE)
    assert desk.apply(group) == []
    assert (desk.asked, desk.said) == ([], [])


def test_where_both_have_changed_it_the_file_is_not_silently_right(desk: Desk) -> None:
    group = Group()
    desk.apply(group)
    group.rows = [OFFICE, POOL, DNS]
    desk.file.write_text(ROUTED + SUBNET.format("hall") + RANGE)
    desk.apply(group)
    assert "name lan -> office" in desk.asked[0]
    assert "it would be changed: name office -> hall" in desk.asked[0]


def test_a_file_that_another_person_applied_in_between_is_not_overwritten(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "b").mkdir()
    other = Desk(tmp_path / "b", ROUTED + SUBNET.format("lan") + RANGE.replace("99", "120"))
    group = Group()
    desk.apply(group)
    other.apply(group)
    desk.apply(group)
    assert "198.18.0.16-198.18.0.120 was added" in desk.asked[0]
    assert "198.18.0.16-198.18.0.99 was deleted" in desk.asked[0]


def test_a_first_time_knows_nothing_of_what_others_did_and_says_so(desk: Desk) -> None:
    desk.apply(Group())
    assert desk.said == [], "nothing is there that could be somebody's"
    desk.kept.unlink()
    desk.apply(Group(OFFICE, POOL))
    assert desk.asked == []
    assert "is not known to have been applied to this group before" in desk.said[0]


def test_an_audit_that_is_not_read_is_named_and_one_of_before_tells_nothing(desk: Desk) -> None:
    group = Group()
    desk.apply(group)
    group.rows = [OFFICE, POOL, DNS]
    group.silent = {2}
    group.audits[1] = [(1, "set", "dhcpSyncSubnetName.198.18.0.0.241='x'")]
    desk.apply(group, only_plan=True)
    assert desk.said[0].startswith("note: the audit of m2 was not read\n")
    assert "(no audit that could be read tells by whom)" in desk.said[0], "of another row"
    group.audits[1] = [(1, "set", "dhcpSyncSubnetName.198.18.0.0.24='x'")]
    desk.kept.write_text(desk.kept.read_text().replace("1700000000", "1900000000"))
    desk.apply(group, only_plan=True)
    assert "(no audit that could be read tells by whom)" in desk.said[0], "its own SET, or before"


def test_of_many_rows_the_first_are_told(desk: Desk) -> None:
    group = Group()
    desk.apply(group)
    group.rows += [Subnet(A("10.0.0.0") + at * 256, 24) for at in range(12)]
    desk.apply(group)
    lines = desk.asked[0].splitlines()
    assert lines[0].startswith("12 rows are not as")
    assert lines[11:] == ["  and 2 more", "deleted: 12 subnets"]


def test_steps_that_were_done_before_one_failed_are_nobody_elses(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.apply.remote._SET_VARIABLES_MAX", 1)
    group = Group()
    desk.apply(group)
    desk.file.write_text(SUBNET.format("office") + RANGE)
    group.fails_after = 1
    with pytest.raises(ToolError, match="refuses; nothing was done of: change subnet"):
        desk.apply(group)
    assert group.rows == [LAN, POOL], "the option went"
    group.fails_after = None
    desk.file.write_text(FILE)
    desk.apply(group)
    assert desk.asked == []
    assert DNS in group.rows


# --- what is kept


def test_each_group_has_its_own_and_the_oldest_goes(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text("")
    groups = [frozenset((f"{n}a", f"{n}b")) for n in range(APPLIED_GROUPS_MAX + 1)]
    for at, engines in enumerate(groups):
        remember(file, Applied(at, engines, (LAN, DNS)))
    assert recall(file, groups[0]) is None
    for at, engines in enumerate(groups[1:], 1):
        assert recall(file, engines) == Applied(at, engines, (LAN, DNS))
    remember(file, Applied(99, frozenset(("1b", "new")), ()))
    one = recall(file, frozenset(("new",)))
    assert one is not None, "one engine in common is the same group"
    assert one.at == 99
    assert recall(file, frozenset(("1a",))) is None
    assert recall(file, frozenset()) is None


def test_it_lies_beside_the_file_itself_and_may_be_read_as_that(tmp_path: Path) -> None:
    file, link = tmp_path / "x.toml", tmp_path / "link.toml"
    file.write_text("")
    link.symlink_to(file)
    engines = frozenset("1")
    for mode in (0o640, 0o600, 0o755):
        file.chmod(mode)
        remember(link, Applied(1, engines, (LAN,)))
        kept = tmp_path / "x.toml.applied"
        assert kept.stat().st_mode & 0o777 == mode & 0o666
    assert recall(file, engines) == recall(link, engines) is not None
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "link.toml", "x.toml", "x.toml.applied",
    ]  # fmt: skip


def test_what_comes_through_a_pipe_is_not_remembered(tmp_path: Path) -> None:
    import os

    read, write = os.pipe()
    try:
        remember(Path(f"/proc/self/fd/{read}"), Applied(1, frozenset("1"), ()))
    finally:
        os.close(read)
        os.close(write)
    assert recall(Path(f"/proc/self/fd/{read}"), frozenset("1")) is None


UNREADABLE = [
    ("", "is not what `apply` keeps"),
    ("[]", "is not what `apply` keeps"),
    ("{}", "KeyError('version')"),
    ('{"version": 2, "applied": []}', "is of version 2"),
    ('{"version": 1, "applied": [7]}', "is not what `apply` keeps"),
    ('{"version": 1, "applied": [{"at": 1, "engines": ["1"], "rows": {"shelf 1": {}}}]}',
     "is of no kind that this version knows"),
    ('{"version": 1, "applied": [{"at": 1, "engines": ["1"], "rows": [1]}]}', "AttributeError"),
    ("[" * 100_000, "RecursionError"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), UNREADABLE)
def test_what_cannot_be_read_is_told_and_made_anew(desk: Desk, text: str, words: str) -> None:
    group = Group(OFFICE, POOL)
    desk.kept.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(words)):
        recall(desk.file, frozenset("1"))
    desk.apply(group)
    assert words in desk.said[0]
    assert "is not known to have been applied" in desk.said[0]
    group.rows = [OFFICE, POOL, DNS]
    desk.apply(group)
    assert len(desk.asked) == 1, "it is remembered again"


def test_what_is_too_long_or_no_file_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group()
    desk.kept.mkdir()
    desk.apply(group)
    assert desk.said == [
        f"note: {desk.kept}: cannot be read: Is a directory\n",
        f"note: what was applied cannot be kept beside {desk.file}: Is a directory; the next apply"
        " cannot tell what somebody else has changed\n",
    ]
    assert len(group.rows) == 3, "it is applied all the same"
    assert sorted(one.name for one in desk.file.parent.iterdir()) == [
        "cluster.toml", "cluster.toml.applied",
    ], "nothing is left of it"  # fmt: skip
    desk.kept.rmdir()
    desk.apply(group)
    monkeypatch.setattr(last_applied, "APPLIED_OCTETS_MAX", 99)
    with pytest.raises(ConfigError, match="is longer than 0 MiB"):
        recall(desk.file, frozenset("1"))


def test_who_is_in_no_group_is_not_remembered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group()
    monkeypatch.setattr("tools.apply.drift.read_members", lambda _: [])
    desk.apply(group)
    assert not desk.kept.exists()
