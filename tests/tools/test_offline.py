"""`dhcpsync member retire` and `vouch`: what the stopped member's store says then, and refusals."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.clock import ClockAnchor
from agent.errors import ConfigError, PeerError, StoreError
from agent.member_file import STORE_NAME
from agent.model import AddressRange, AddressState, Local, LostStore, Nonce
from agent.standing import FILE_NAME, ClockMark, Standing
from store import open_store
from store.transaction import Transaction
from tests.store.samples import held_open
from tests.sync.lan import POOL_FIRST, make_binding, make_member
from tests.tools.test_main import ROOT
from tools.errors import ToolError
from tools.init import Founding, NewMember
from tools.init import make_member as make_folder
from tools.main import app
from tools.offline import retire, vouch, words_of_retirement

Order = Callable[[Path], list[str]]
ORDERS = pytest.mark.parametrize("order", [retire, vouch])
NEW = NewMember(1, "m1", "198.18.0.1", 161, ())
NOW = 1_700_000_000


def make(folder: Path, others: tuple[int, ...] = (2,)) -> Path:
    """The folder of a member that has served in a group with `others`, and was stopped."""
    make_folder(folder, NEW, Founding("lab", 600, 3600), None)
    with closing(open_store(folder / STORE_NAME)) as store, store.write() as tx:
        group = tx.group()
        assert group is not None
        members = (*group.members, *(make_member(other) for other in others))
        tx.put_group(replace(group, members=members))
        tx.set_serving(True, since=0)
        last, nonce = POOL_FIRST + 9, Nonce(1, 1)
        owned = AddressRange(POOL_FIRST, last, AddressState.BINDABLE, 1, 1, nonce, 1)
        tx.replace_address_ranges([], [owned])
    start(folder)
    with closing(open_store(folder / STORE_NAME)) as store, store.write() as tx:
        tx.set_certain(0)  # it has heard the others
    return folder


def start(folder: Path) -> Local:
    """Start the member, and stop it again; what it knew of itself then."""
    with closing(open_store(folder / STORE_NAME)) as store, closing(Standing(folder)) as standing:
        assert standing.enter(store, NOW)
        standing.note_clock(ClockMark("a boot before", NOW * 1000, NOW * 1000, {}, 0, 0))
    return local(folder)


def local(folder: Path) -> Local:
    with closing(open_store(folder / STORE_NAME)) as store, store.read() as tx:
        return tx.local()


def audited(folder: Path) -> list[tuple[str, str]]:
    with closing(open_store(folder / STORE_NAME)) as store, store.read() as tx:
        return [(entry.user, entry.action) for entry in tx.audit_after(0, 9)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path / "m1")


# --- what they do


def test_who_is_retired_owns_nothing_and_recovers(folder: Path) -> None:
    said = retire(folder)
    found = local(folder)
    assert (found.serving, found.unconfirmed, found.incarnation) == (False, False, 2)
    assert "an operator has retired it" in found.recovery
    with closing(open_store(folder / STORE_NAME)) as store, store.read() as tx:
        assert not tx.address_ranges_in(AddressState.BINDABLE)
    assert audited(folder) == [("root", "retired")]
    assert said == [
        "m1 is retired: it owns no address any more, and goes on as incarnation 2",
        f"next: dhcpsync serve {folder}; it serves again when it has pulled from every member:"
        " 2 m2",
    ]
    assert start(folder).recovery, "a start does not end it"


def test_who_is_retired_alone_is_told_how_the_wait_may_end(tmp_path: Path) -> None:
    said = retire(make(tmp_path / "m1", ()))
    assert "when its longest lease is over, or at once by `dhcpsync member end-wait m1`" in said[1]


def test_who_is_vouched_for_is_certain_at_its_next_start_and_at_no_later_one(folder: Path) -> None:
    said = vouch(folder)
    assert audited(folder) == [("root", "vouched")]
    assert said[0].startswith("m1 is vouched for: at its next start, and at no later one")
    assert f"next: dhcpsync serve {folder}" in said[1]
    assert (local(folder).vouched, start(folder).certain_until) == (True, 0)
    assert start(folder).certain_until == NOW


def test_retiring_alone_is_asked_about_with_the_number_of_leases(tmp_path: Path) -> None:
    alone = make(tmp_path / "m1", ())
    end = int(time.time()) + 900
    with closing(open_store(alone / STORE_NAME)) as store, store.write() as tx:
        tx.save_bindings(
            [
                make_binding(POOL_FIRST, end, expires_at=end),
                make_binding(POOL_FIRST + 1, end, expires_at=end - 1800),
            ]
        )
    words = words_of_retirement(alone)
    assert words.startswith("m1 knows of no other member, and of 1 live leases. Retired, it serves")
    assert words_of_retirement(make(tmp_path / "m2")) == ""
    asked = CliRunner().invoke(app, ["member", "retire", str(alone)])
    assert (asked.exit_code, asked.stderr) == (1, words + "\n")
    assert str(asked.exception).startswith("--yes: is missing")
    assert audited(alone) == []
    done = CliRunner().invoke(app, ["member", "retire", str(alone), "--yes"])
    assert done.exit_code == 0
    assert audited(alone) == [("root", "retired")]


def test_retire_takes_a_vouch_back(folder: Path) -> None:
    vouch(folder)
    retire(folder)
    found = start(folder)
    assert (found.serving, found.vouched) == (False, False)
    assert found.recovery


def test_the_instant_is_that_of_the_members_clock(folder: Path) -> None:
    """After a reboot it goes on from where it was noted, and the next start is to find it so."""
    anchor = ClockAnchor("a boot before", 5)
    with closing(open_store(folder / STORE_NAME)) as store, store.write() as tx:
        tx.set_clock_anchor(anchor)
    retire(folder)
    with closing(open_store(folder / STORE_NAME)) as store, store.read() as tx:
        lost = tx.lost_stores()[1]
        assert lost == LostStore(1, 1, lost.at)
        assert 0 <= lost.at - NOW <= 60
        assert tx.clock_anchor() == anchor


def test_in_the_boot_in_which_it_ran_the_clock_goes_on(folder: Path) -> None:
    with closing(open_store(folder / STORE_NAME)) as store, closing(Standing(folder)) as standing:
        kept = ClockAnchor(standing.measure_anchor().boot_id, 0)
        with store.write() as tx:
            tx.set_clock_anchor(kept)
    retire(folder)
    with closing(open_store(folder / STORE_NAME)) as store, store.read() as tx:
        assert tx.lost_stores()[1].at < NOW // 2, "boot time, as that anchor has it"


# --- what they refuse


@ORDERS
def test_a_member_that_runs_is_left_alone(folder: Path, order: Order) -> None:
    """Any process of it: each has the lock, whichever of them started the member."""
    with closing(open_store(folder / STORE_NAME)) as store, closing(Standing(folder)) as first:
        assert first.enter(store, NOW)
        with closing(Standing(folder)) as second:
            assert not second.enter(store, NOW)
        before = local(folder)
        with pytest.raises(ToolError, match="m1 runs: stop it first"):
            order(folder)
        assert local(folder) == before
    assert audited(folder) == []
    assert order(folder)


@ORDERS
def test_a_folder_of_no_member_is_named(tmp_path: Path, order: Order) -> None:
    with pytest.raises(ConfigError, match=r"member\.toml: is missing"):
        order(tmp_path)
    assert not list(tmp_path.iterdir())


@ORDERS
def test_a_folder_without_a_store_is_named(folder: Path, order: Order) -> None:
    (folder / STORE_NAME).unlink()
    with pytest.raises(StoreError, match=r"store\.db: does not exist"):
        order(folder)
    assert held_open(folder) == set()


@ORDERS
def test_another_members_store_is_refused(folder: Path, order: Order) -> None:
    file = folder / "member.toml"
    file.write_text(file.read_text().replace("id = 1", "id = 2"))
    with pytest.raises(ConfigError, match=r"member\.id: is 2, but store\.db belongs to member 1"):
        order(folder)
    assert held_open(folder) == set()


@ORDERS
def test_where_it_has_not_run_nothing_is_said_or_made(folder: Path, order: Order) -> None:
    """A file made here would belong to who gives the order, not to who runs the member."""
    (folder / FILE_NAME).unlink()
    with pytest.raises(ToolError, match="it has not run here, or standing is gone"):
        order(folder)
    assert not (folder / FILE_NAME).exists()
    assert held_open(folder) == set()


@ORDERS
def test_a_folder_whose_file_cannot_be_opened_is_named(folder: Path, order: Order) -> None:
    (folder / FILE_NAME).unlink()
    (folder / FILE_NAME).mkdir()
    with pytest.raises(StoreError, match="standing: cannot be opened"):
        order(folder)
    assert held_open(folder) == set()


@ORDERS
def test_who_is_in_no_group_has_nothing_to_say(tmp_path: Path, order: Order) -> None:
    make_folder(tmp_path / "m1", NEW, None, None)
    start(tmp_path / "m1")
    with pytest.raises(PeerError, match="no_group"):
        order(tmp_path / "m1")
    assert audited(tmp_path / "m1") == []
    assert held_open(tmp_path) == set()


def test_nobody_can_vouch_for_one_that_recovers(folder: Path) -> None:
    retire(folder)
    with pytest.raises(PeerError, match="recovering: it recovers, and has to hear every other"):
        vouch(folder)
    assert not local(folder).vouched


@ORDERS
def test_an_order_whose_audit_fails_is_not_given(
    folder: Path, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = local(folder)

    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "audit", full)
        with pytest.raises(StoreError, match="the disk is full"):
            order(folder)
    assert local(folder) == before
    assert held_open(folder) == set()


def member(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.main", "member", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_the_commands_say_what_follows_or_why_not(folder: Path) -> None:
    done = member("vouch", str(folder))
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 2)
    done = member("retire", str(folder))
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 2)
    done = member("vouch", str(folder))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("dhcpsync: recovering: ")
