"""The agent looks after its own member: a real store, and an engine that a test speaks for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.health import Health, Kind, Severity
from agent.limits import (
    DISK_LOW_OCTETS,
    ENGINE_SILENT_MS,
    ENGINE_STARTS_MS,
    HEALTH_QUIET_MS,
)
from agent.model import Group, Trouble
from agent.pulse import Vitals
from agent.watch import Watch, Watched
from store import Store, create_store

NOW_S = 1_700_000_000
BEGAN_MS = 1_000_000
ROOM = 5 * DISK_LOW_OCTETS
GROUP = Group("g", 1, 60, 600, ())


class Life:
    """A watch, and what it may be told. `told`: each trouble that it told of, repetitions apart."""

    def __init__(self, store: Store, folder: Path, *, has_engine: bool = True) -> None:
        self.store = store
        self.store_fails = False
        self.boot_ms = BEGAN_MS
        self.room = ROOM
        self.told: list[Trouble] = []
        self.healths: list[Health] = []
        self.watch = Watch(
            Watched(
                folder,
                store,
                lambda: NOW_S * 1000,
                has_engine,
                lambda: self.store_fails,
                self._judge,
                lambda: self.boot_ms,
            ),
            self._tell,
            self.healths.append,
        )
        self.boot_ms += ENGINE_STARTS_MS

    def _judge(self, vitals: Vitals) -> Health:
        if vitals.trouble is Trouble.NONE:
            return Health(text=f"well at {self.boot_ms}")
        kind = Kind.DISK_LOW if vitals.trouble is Trouble.DISK_LOW else Kind.ENGINE_SILENT
        return Health(Severity.DEGRADED, frozenset({kind}), f"{kind} at {self.boot_ms}")

    def _tell(self, trouble: Trouble) -> None:
        if self.told[-1:] != [trouble]:
            self.told.append(trouble)

    def beat(self) -> None:
        with self.store.write() as tx:
            tx.beat(self.boot_ms)

    def statvfs(self, folder: Path) -> SimpleNamespace:
        if self.room < 0:
            raise OSError(5, "Input/output error")
        return SimpleNamespace(f_bavail=self.room // 4096, f_frsize=4096)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(create_store(tmp_path / "store.db", member=1, engine_id=bytes(12))) as made:
        with made.write() as tx:
            tx.put_group(GROUP)
        yield made


@pytest.fixture
def life(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    made = Life(store, tmp_path)
    monkeypatch.setattr(os, "statvfs", made.statvfs)
    monkeypatch.setattr("agent.watch.WATCH_MS", 20)
    return made


def test_an_engine_that_was_never_heard_is_silent(life: Life) -> None:
    vitals = life.watch.look()
    assert (vitals.trouble, vitals.engine_heard_at) == (Trouble.ENGINE_SILENT, 0)


def test_an_engine_is_silent_two_seconds_after_its_last_word(life: Life) -> None:
    life.beat()
    vitals = life.watch.look()
    assert (vitals.trouble, vitals.engine_heard_at) == (Trouble.NONE, NOW_S)
    life.boot_ms += ENGINE_SILENT_MS - 1
    assert life.watch.look().trouble is Trouble.NONE
    life.boot_ms += 1
    vitals = life.watch.look()
    assert (vitals.trouble, vitals.engine_heard_at) == (Trouble.ENGINE_SILENT, NOW_S - 2)


def test_little_room_is_told_unless_something_worse_is(life: Life) -> None:
    life.beat()
    life.room = DISK_LOW_OCTETS
    assert life.watch.look().trouble is Trouble.NONE
    life.room -= 4096
    vitals = life.watch.look()
    assert (vitals.trouble, vitals.disk_free) == (Trouble.DISK_LOW, DISK_LOW_OCTETS - 4096)
    life.boot_ms += ENGINE_SILENT_MS
    assert life.watch.look().trouble is Trouble.ENGINE_SILENT


def test_a_database_member_has_no_engine_to_miss(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life(store, tmp_path, has_engine=False)
    monkeypatch.setattr(os, "statvfs", life.statvfs)
    assert life.watch.look().trouble is Trouble.NONE


def test_an_engine_that_cannot_write_is_not_called_silent(life: Life) -> None:
    life.beat()
    life.boot_ms += 10 * ENGINE_SILENT_MS
    life.store_fails = True
    assert life.watch.look().trouble is Trouble.NONE
    life.store_fails = False
    life.boot_ms += ENGINE_STARTS_MS - 1
    assert life.watch.look().trouble is Trouble.NONE, "it has its time anew"
    life.boot_ms += 1
    assert life.watch.look().trouble is Trouble.ENGINE_SILENT


def follow(life: Life, *steps: tuple[Trouble, Callable[[], None]]) -> None:
    """Run the watch. After each trouble that it tells of, do what the test wants next."""

    async def body() -> None:
        with ThreadPoolExecutor(1) as executor:
            running = asyncio.create_task(life.watch.run(executor))
            async with asyncio.timeout(20):
                for number, (trouble, act) in enumerate(steps, 1):
                    while len(life.told) < number:
                        await asyncio.sleep(0.005)
                    assert life.told[-1] is trouble
                    act()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(body())
    assert life.told == [trouble for trouble, _ in steps]


def test_health_is_told_when_it_is_another_and_not_right_after_a_start(life: Life) -> None:
    life.beat()
    assert life.healths == []

    def quiet_is_over() -> None:
        assert life.healths == [], "nobody was heard yet: that says nothing"
        life.boot_ms += HEALTH_QUIET_MS

    def words_change() -> None:
        (first,) = life.healths
        assert first.kinds == {Kind.ENGINE_SILENT}
        life.boot_ms += 1
        life.beat()
        life.room = 0

    def mend() -> None:
        assert [health.kinds for health in life.healths[1:]] == [{Kind.DISK_LOW}]
        life.room = ROOM

    life.room = 0
    follow(
        life,
        (Trouble.DISK_LOW, quiet_is_over),
        (Trouble.ENGINE_SILENT, words_change),
        (Trouble.DISK_LOW, mend),
        (Trouble.NONE, lambda: None),
    )
    assert [health.is_well for health in life.healths] == [False, False, True]


def test_who_waits_to_be_let_into_a_group_tells_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has started it lets it in next, which may take minutes; and then it has to hear the
    others first."""
    with closing(create_store(tmp_path / "store.db", member=1, engine_id=bytes(12))) as store:
        life = Life(store, tmp_path)
        monkeypatch.setattr(os, "statvfs", life.statvfs)
        monkeypatch.setattr("agent.watch.WATCH_MS", 20)

        def minutes_go_by() -> None:
            life.boot_ms += 10 * HEALTH_QUIET_MS
            life.beat()
            life.room = 0

        def is_let_in() -> None:
            assert life.healths == []
            with store.write() as tx:
                tx.put_group(GROUP)
            life.boot_ms += HEALTH_QUIET_MS - 1

        def quiet_is_over() -> None:
            assert life.healths == [], "nobody was heard yet"
            life.boot_ms += 2 * HEALTH_QUIET_MS
            life.beat()

        follow(
            life,
            (Trouble.ENGINE_SILENT, minutes_go_by),
            (Trouble.DISK_LOW, is_let_in),
            (Trouble.ENGINE_SILENT, quiet_is_over),
            (Trouble.DISK_LOW, lambda: None),
        )
    assert [health.kinds for health in life.healths][-1:] == [{Kind.DISK_LOW}]


def test_a_disk_that_cannot_be_asked_ends_nothing(
    life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    life.beat()
    life.room = 0

    def break_and_mend() -> None:
        life.room = -1
        with pytest.raises(OSError, match="Input/output"):
            life.watch.look()
        asyncio.get_running_loop().call_later(0.1, mend)

    def mend() -> None:
        life.room = ROOM

    follow(life, (Trouble.DISK_LOW, break_and_mend), (Trouble.NONE, lambda: None))
    assert "the member cannot look after itself: [Errno 5]" in caplog.text
