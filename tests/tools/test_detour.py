"""A dead member that is asked by its folder: another one of its group answers in its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.member_file import GROUP_NAME
from agent.model import MemberState, format_address
from store.group import group_to_json
from tests.sync.lan import make_group
from tests.tools.test_health import WELL
from tools import detour, watching
from tools.credentials import Credentials
from tools.detour import last_members, read_status_near
from tools.errors import ManagerError
from tools.status import Status
from tools.target import Target

GROUP = make_group([1, 2, 3])
ADDRESSES = [format_address(one.address) for one in GROUP.current]


class Group:
    """Answers for the members of GROUP, as long as they are in `up`; `asked` in order."""

    def __init__(self, up: list[str]) -> None:
        self.up = up
        self.asked: list[tuple[str, int]] = []
        self.refuses = ""

    def read(self, target: Target, *, rate_s: float = 0.0) -> Status:
        self.asked.append((target.address, target.retries))
        if self.refuses:
            raise ManagerError("the authentication passphrase is wrong", self.refuses)
        if target.address not in self.up:
            raise ManagerError(f"{target.address}: no answer", "requestTimedOut")
        return replace(WELL, asked_name=f"at {target.address}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / GROUP_NAME).write_text(group_to_json(GROUP))
    return tmp_path


def first() -> Target:
    user = Credentials("monitor", "monitor", "a" * 16, "p" * 16)
    return Target(ADDRESSES[0], GROUP.current[0].port, user)


def near(
    up: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Group, Status, bool, list[str]]:
    group, told = Group(up), list[str]()
    monkeypatch.setattr(detour, "read_status_at", group.read)
    status, answers = read_status_near(first(), folder, told.append)
    return group, status, answers, told


def test_a_member_that_answers_is_asked_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, _, answers, told = near(ADDRESSES, folder, monkeypatch)
    assert (group.asked, answers, told) == ([(ADDRESSES[0], 0)], True, [])


def test_for_one_that_does_not_the_next_speaks_that_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, status, answers, told = near(ADDRESSES[2:], folder, monkeypatch)
    assert group.asked == [(address, 0) for address in ADDRESSES]
    assert not answers
    assert status.asked_name == f"at {ADDRESSES[2]}"
    (words,) = told
    assert words.startswith(f"{ADDRESSES[0]}: no answer; this is what at {ADDRESSES[2]}")


def test_where_nobody_answers_it_is_asked_once_more_with_all_patience(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group([])
    monkeypatch.setattr(detour, "read_status_at", group.read)
    with pytest.raises(ManagerError, match=f"{ADDRESSES[0]}: no answer"):
        read_status_near(first(), folder, pytest.fail)
    assert group.asked == [*((one, 0) for one in ADDRESSES), (ADDRESSES[0], first().retries)]


def test_a_refusal_is_an_answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group(ADDRESSES)
    group.refuses = "authorizationError"
    monkeypatch.setattr(detour, "read_status_at", group.read)
    with pytest.raises(ManagerError, match="passphrase"):
        read_status_near(first(), folder, pytest.fail)
    assert len(group.asked) == 1


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1, 2]", "not json"])
def test_a_note_that_cannot_be_read_names_nobody(tmp_path: Path, text: str) -> None:
    assert last_members(tmp_path) == []
    (tmp_path / GROUP_NAME).write_text(text)
    assert last_members(tmp_path) == []


def test_who_is_out_of_the_group_is_not_asked(tmp_path: Path) -> None:
    gone = replace(GROUP.members[1], state=MemberState.REMOVED)
    group = replace(GROUP, members=(GROUP.members[0], gone, GROUP.members[2]))
    (tmp_path / GROUP_NAME).write_text(group_to_json(group))
    asked = [(one.address, one.port) for one in (GROUP.members[0], GROUP.members[2])]
    assert last_members(tmp_path) == [(format_address(address), port) for address, port in asked]


def test_what_another_one_sees_is_not_well_even_where_it_has_not_noticed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    group = Group(ADDRESSES[1:])
    monkeypatch.setattr(detour, "read_status_at", group.read)
    assert WELL.is_well
    assert not watching.show_once(first(), folder, rates=False, as_json=True)
    assert "this is what" in capsys.readouterr().err
    group.up = ADDRESSES
    assert watching.show_once(first(), folder, rates=False, as_json=True)


def test_watching_goes_on_while_nobody_answers_and_ends_when_it_is_interrupted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    group = Group([])
    monkeypatch.setattr(detour, "read_status_at", group.read)
    seen: list[str] = []

    def pause(seconds: float) -> None:
        assert seconds == watching.WATCH_S
        seen.append(capsys.readouterr().out)
        group.up = ADDRESSES
        if len(seen) == 2:
            raise KeyboardInterrupt

    watching.show_until_interrupted(first(), folder, rates=False, as_json=False, pause=pause)
    assert seen[0] == f"dhcpsync: {ADDRESSES[0]}: no answer\n"
    assert seen[1].startswith("3 of 3 serve; clients are served.\n")
