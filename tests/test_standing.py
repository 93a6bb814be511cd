"""Is this the store that ran here last? (docs/protocol.md, "A store that is a copy")"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event

import pytest

from agent.clock import BootClock, boot_id, boot_s, wall_ms
from agent.errors import StoreError
from agent.member_file import GROUP_NAME
from agent.model import Group, Local
from agent.standing import FILE_NAME, ClockMark, Standing, mark_of
from store import Store, create_store, open_store
from store.group import group_from_json, group_to_json
from tests.store.samples import held_open
from tests.sync.lan import engine_id, make_binding, make_group

NOW = 1_700_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A member of a group of two that has run and was stopped."""
    make(tmp_path, (1, 2))
    with member(tmp_path):
        pass
    return tmp_path


def make(folder: Path, members: tuple[int, ...]) -> None:
    store = create_store(folder / "store.db", member=1, engine_id=engine_id(1))
    with store.write() as tx:
        tx.put_group(make_group(members))
        tx.set_serving(True, since=0)
    store.close()


@contextmanager
def member(folder: Path) -> Iterator[tuple[Store, bool]]:
    """The member runs; whether this process was the one that started it."""
    store, standing = open_store(folder / "store.db"), Standing(folder)
    try:
        started = standing.enter(store, NOW)
        yield store, started
        with store.read() as tx:
            standing.note(mark_of(tx))
    finally:
        standing.close()
        store.close()


def local(store: Store) -> Local:
    with store.read() as tx:
        return tx.local()


def serve(store: Store) -> None:
    with store.write() as tx:
        tx.set_unconfirmed(False)
        tx.set_serving(True, since=0)


def change(store: Store) -> None:
    with store.write() as tx:
        tx.save_bindings([make_binding(100, NOW)])


def keep(folder: Path) -> Path:
    kept = folder / "kept.db"
    shutil.copy2(folder / "store.db", kept)
    return kept


def put_back(folder: Path, kept: Path) -> None:
    for file in folder.glob("store.db*"):
        file.unlink()
    shutil.copy2(kept, folder / "store.db")


def test_a_clean_start_waits_for_the_peers_and_begins_nothing(folder: Path) -> None:
    with member(folder) as (store, started):
        assert started
        found = local(store)
        assert (found.serving, found.unconfirmed) == (False, True)
        assert (found.incarnation, found.recovery) == (1, "")


def test_who_is_alone_in_the_group_has_nobody_to_wait_for(tmp_path: Path) -> None:
    make(tmp_path, (1,))
    for _ in range(2):
        with member(tmp_path) as (store, _started):
            assert local(store).serving


def test_a_process_that_starts_beside_others_judges_nothing(folder: Path) -> None:
    with member(folder) as (store, _):
        serve(store)
        with member(folder) as (_same, started):
            assert not started
            assert local(store).serving


def test_who_starts_while_an_order_is_given_starts_the_member(folder: Path) -> None:
    """It waits for the order, and does not take it for a process that has judged the store."""
    order = Standing(folder)
    store, standing = open_store(folder / "store.db"), Standing(folder)
    with closing(order), closing(store), closing(standing), ThreadPoolExecutor(1) as thread:
        with order.stopped() as is_stopped:
            assert is_stopped
            starting = thread.submit(standing.enter, store, NOW)
            with pytest.raises(TimeoutError):
                starting.result(timeout=0.2)
            serve(store)
        assert starting.result(timeout=10)
        assert local(store).unconfirmed
        with order.stopped() as is_stopped:
            assert not is_stopped
    with closing(Standing(folder)) as order, order.stopped() as is_stopped:
        assert is_stopped


def test_who_waits_for_one_that_dies_on_the_way_starts_the_member(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(folder / "store.db")
    dying, following = Standing(folder), Standing(folder)
    begun, waits = Event(), Event()

    def die(*_: object) -> None:
        begun.set()
        assert waits.wait(10)
        raise KeyboardInterrupt

    with closing(store), closing(following), ThreadPoolExecutor(2) as threads:
        with monkeypatch.context() as patch:
            patch.setattr(Standing, "_start", die)
            first = threads.submit(dying.enter, store, NOW)
            assert begun.wait(10)
        second = threads.submit(following.enter, store, NOW)
        with pytest.raises(TimeoutError):
            second.result(timeout=0.2)
        waits.set()
        with pytest.raises(KeyboardInterrupt):
            first.result(timeout=10)
        dying.close()
        assert second.result(timeout=10)


def test_a_copy_of_an_earlier_life_is_found(folder: Path) -> None:
    kept = keep(folder)
    with member(folder):
        pass
    put_back(folder, kept)
    with member(folder) as (store, _):
        found = local(store)
        assert (found.serving, found.incarnation) == (False, 2)
        assert "restored or exchanged" in found.recovery


def test_a_copy_of_the_same_life_is_found_by_how_far_it_has_come(folder: Path) -> None:
    with member(folder) as (store, _):
        with store.write() as tx:
            tx.add_counters({"folded": 1})
    kept = keep(folder)
    (folder / "own").write_bytes((folder / FILE_NAME).read_bytes())
    store, standing = open_store(folder / "store.db"), Standing(folder)
    # The same life: nothing is written at its start but what is in the copy.
    standing._record = standing._read()
    change(store)
    with store.read() as tx:
        standing.note(mark_of(tx))
    standing.close()
    store.close()
    put_back(folder, kept)
    with member(folder) as (store, _):
        assert "rolled back" in local(store).recovery


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff" * 512, b'{"token": 1}'])
def test_a_file_that_is_gone_or_damaged_proves_nothing(folder: Path, content: bytes | None) -> None:
    if content is None:
        (folder / FILE_NAME).unlink()
    else:
        (folder / FILE_NAME).write_bytes(content)
    with member(folder) as (store, _):
        assert "may be a copy" in local(store).recovery


def test_a_new_store_has_promised_nothing(tmp_path: Path) -> None:
    create_store(tmp_path / "store.db", member=1, engine_id=engine_id(1)).close()
    (tmp_path / FILE_NAME).write_bytes(b"of the store that was lost")
    with member(tmp_path) as (store, _):
        assert (local(store).incarnation, local(store).recovery) == (1, "")


@pytest.mark.parametrize("good", [True, False])
@pytest.mark.parametrize("point", ["the file", "the store", "the file again"])
def test_a_crash_in_the_middle_of_a_start_changes_no_judgement(
    folder: Path, monkeypatch: pytest.MonkeyPatch, point: str, good: bool
) -> None:
    kept = keep(folder)
    with member(folder):
        pass
    if not good:
        put_back(folder, kept)

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    store, standing = open_store(folder / "store.db"), Standing(folder)
    with monkeypatch.context() as patch:
        if point == "the store":
            patch.setattr(Store, "write", crash)
        else:
            write, left = Standing._write, [0 if point == "the file" else 1]

            def fail(self: Standing, *arguments: object, **named: object) -> None:
                if not left[0]:
                    crash()
                left[0] -= 1
                write(self, *arguments, **named)  # type: ignore[arg-type]

            patch.setattr(Standing, "_write", fail)
        with pytest.raises(KeyboardInterrupt):
            standing.enter(store, NOW)
    standing.close()
    store.close()
    with member(folder) as (store, _):
        found = local(store)
    assert (found.recovery == "") is good
    assert found.incarnation == (1 if good else 2)


# --- the group, noted beside the store


@contextmanager
def standing(folder: Path) -> Iterator[Standing]:
    with closing(Standing(folder)) as opened:
        yield opened


def noted(folder: Path) -> Group:
    return group_from_json((folder / GROUP_NAME).read_text())


def group_of(store: Store) -> Group:
    with store.read() as tx:
        group = tx.group()
    assert group is not None
    return group


def test_the_group_is_noted_whole_and_anew_when_it_changes(folder: Path) -> None:
    earlier, later = make_group((1, 2)), make_group((1, 2, 3), generation=2)
    with standing(folder) as opened:
        opened.note_group(earlier, recovering=False)
        assert noted(folder) == earlier
        before = (folder / GROUP_NAME).stat().st_ino
        opened.note_group(earlier, recovering=False)
        assert (folder / GROUP_NAME).stat().st_ino == before, "nothing to write"
        opened.note_group(later, recovering=False)
    assert noted(folder) == later
    with standing(folder) as opened:
        opened.note_group(earlier, recovering=False)
    assert noted(folder) == earlier, "who is not recovering knows best"
    assert sorted(file.name for file in folder.glob("standing*")) == [FILE_NAME, GROUP_NAME]


def test_a_crash_in_the_middle_of_a_note_leaves_the_former_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier, later = make_group((1, 2)), make_group((1, 2, 3), generation=2)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with standing(folder) as opened:
        opened.note_group(earlier, recovering=False)
        for step in ("os.fsync", "pathlib.Path.replace"):
            with monkeypatch.context() as patch:
                patch.setattr(step, crash)
                with pytest.raises(KeyboardInterrupt):
                    opened.note_group(later, recovering=False)
            assert noted(folder) == earlier
        opened.note_group(later, recovering=False)
    assert noted(folder) == later


def test_a_note_that_cannot_be_written_is_told_and_made_later(folder: Path) -> None:
    group = make_group((1, 2))
    (folder / GROUP_NAME).mkdir()
    with standing(folder) as opened:
        with pytest.raises(StoreError, match=r"standing\.group: cannot be written: Is a directory"):
            opened.note_group(group, recovering=False)
        (folder / GROUP_NAME).rmdir()
        opened.note_group(group, recovering=False)
    assert noted(folder) == group


@pytest.mark.parametrize("again", [False, True])
def test_who_recovers_does_not_note_an_earlier_group_over_a_later_one(
    folder: Path, again: bool
) -> None:
    """Its own is the copy's; what is noted tells among whom it recovers, if it starts again too."""
    earlier, later = make_group((1,)), make_group((1, 2), generation=2)
    with standing(folder) as opened:
        opened.note_group(later, recovering=False)
        if not again:
            opened.note_group(earlier, recovering=True)
            assert noted(folder) == later
    with standing(folder) as opened:
        opened.note_group(earlier, recovering=True)
        assert noted(folder) == later
        opened.note_group(latest := make_group((1, 2), generation=3), recovering=True)
    assert noted(folder) == latest, "what it has learned since is noted"


def test_a_restored_store_takes_back_the_group_that_was_noted(folder: Path) -> None:
    """Before 2 joined, this member was alone; so is its copy."""
    kept = keep(folder)
    with member(folder) as (store, _), standing(folder) as opened:
        later = make_group((1, 2, 3), generation=5)
        with store.write() as tx:
            tx.put_group(later)
        opened.note_group(later, recovering=False)
    put_back(folder, kept)
    with member(folder) as (store, _):
        assert group_of(store) == later
        assert local(store).recovery
        assert local(store).certain_until == 0, "it knows whom to ask"


ANOTHERS = replace(
    make_group((1, 2), generation=9),
    members=(replace(make_group((1,)).members[0], engine_id=engine_id(9)),),
)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{}",
        b"[]",
        b"[1]",
        b"\xff\xfe",
        b"null",
        b"7",
        group_to_json(make_group((1, 2), generation=9)).encode()[:-7],
        group_to_json(make_group((2, 3), generation=9)).encode(),
        group_to_json(ANOTHERS).encode(),
        b'["test", 9, 60, 3600, 0, 0, 0, 0, [["1"]]]',
        b'["test", 9, 60, 3600, 0, 0, 0, 0, [[1, "m", 1, 161, "xx", 1, 1, 1, 0, 0]]]',
        b'["test", 9, 60, 3600, 0, 0, 0, 0, [[1, "m", 1, 161, "00", 77, 1, 1, 0, 0]]]',
    ],
)
def test_a_note_that_is_torn_or_of_another_member_says_nothing(
    folder: Path, content: bytes | None
) -> None:
    """Then the store's own group has to do, and who is listed there is asked."""
    kept = keep(folder)
    with member(folder) as (store, _):
        own = group_of(store)
    put_back(folder, kept)
    if content is not None:
        (folder / GROUP_NAME).write_bytes(content)
    with member(folder) as (store, _):
        assert group_of(store) == own
        assert local(store).recovery
        assert local(store).certain_until, "there may be others by now"


def test_a_note_of_an_earlier_generation_takes_nothing_back(folder: Path) -> None:
    with member(folder) as (store, _), standing(folder) as opened:
        opened.note_group(make_group((1,)), recovering=False)
        with store.write() as tx:
            tx.put_group(newer := make_group((1, 2), generation=4))
    kept = keep(folder)
    with member(folder):
        pass
    put_back(folder, kept)
    with member(folder) as (store, _):
        assert group_of(store) == newer


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=f"{name}: cannot be opened: (No such file|Not a dir)"):
        Standing(tmp_path / name)
    assert held_open(tmp_path) == set()


def test_a_folder_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder / FILE_NAME).unlink()
    (folder / FILE_NAME).mkdir()
    with pytest.raises(StoreError, match="standing: cannot be opened"):
        Standing(folder)
    assert held_open(folder.parent) == set()


def clock_of_a_boot(folder: Path, clock_ms: int, unseen_s: int, boot: str) -> None:
    """What a member that ran in that boot noted last, an hour ago by the wall clock."""
    with closing(Standing(folder)) as file:
        booted_ms = int(boot_s() * 1000)
        hour_ago = wall_ms() - 3_600_000
        file.note_clock(ClockMark(boot, clock_ms, hour_ago, {}, booted_ms, unseen_s))


def test_a_start_after_a_boot_counts_how_long_the_clock_stood_still_once(folder: Path) -> None:
    clock_of_a_boot(folder, NOW * 1000, 50, "an earlier boot")
    for _ in range(2):  # the second one before the clock is noted anew
        with member(folder) as (store, _):
            assert 3_648 <= local(store).unseen_s <= 3_652
            assert local(store).unseen_at == NOW


def test_a_copy_knows_of_the_clock_what_lies_beside_it(folder: Path) -> None:
    """Its machine has booted since it was made, and has run since then."""
    kept = keep(folder)
    with member(folder):
        pass
    clock_of_a_boot(folder, (NOW + 60) * 1000, 3_650, boot_id())
    put_back(folder, kept)
    with member(folder) as (store, _):
        assert local(store).recovery
        assert local(store).unseen_s == 3_650
        assert local(store).unseen_at == NOW + 60


def test_a_copy_of_an_earlier_boot_goes_on_with_the_clock_of_this_one(folder: Path) -> None:
    clock_of_a_boot(folder, NOW * 1000, 0, boot_id())
    with closing(Standing(folder)) as file:
        later = BootClock(file.measure_anchor())
        assert 0 <= later() - NOW * 1000 < 10_000, "not from when it was noted: it has run on"
        mark = file.clock_mark()
        assert mark is not None
        file.note_clock(replace(mark, boot_ms=mark.boot_ms - 90_000))
        assert 90_000 <= BootClock(file.measure_anchor())() - NOW * 1000 < 100_000


def test_the_clocks_that_an_earlier_release_noted_are_read(folder: Path) -> None:
    """It noted neither the boot-time clock nor how long the clock has stood still."""
    clock_of_a_boot(folder, NOW * 1000, 0, boot_id())
    with closing(Standing(folder)) as file:
        mark = file.clock_mark()
        assert mark is not None
        former = {"boot_id", "clock_ms", "wall_ms", "offsets"}
        text = json.dumps({key: value for key, value in asdict(mark).items() if key in former})
        with (folder / FILE_NAME).open("r+b") as raw:
            raw.seek(4096)
            raw.write(text.encode().ljust(4096))
        assert file.clock_mark() == replace(mark, boot_ms=0, unseen_s=0)
        assert 0 <= BootClock(file.measure_anchor())() - NOW * 1000 < 10_000
