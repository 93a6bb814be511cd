"""What is on disk when a process dies, when the disk is full, and when two processes write."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.model import stream_id
from store import Store, create_store, open_store
from tests.store.conftest import ENGINE_ID
from tests.store.samples import BASE, binding

ROOT = Path(__file__).parent.parent.parent
OWN = stream_id(1, 1)

WRITER = """
import sys
from store import open_store
from tests.store.samples import BASE, binding
store = open_store(sys.argv[1])
first, count = int(sys.argv[2]), int(sys.argv[3])
for n in range(first, first + count):
    with store.write() as tx:
        tx.save_bindings([binding(BASE + n, n), binding(BASE + n + 1_000_000, n)])
        tx.add_counters({"written": 1})
        tx.next_poll_counter()
    print(n, flush=True)
"""


def start_writer(path: Path, first: int, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, path, str(first), str(count)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def check_consistency(store: Store) -> set[int]:
    """The numbers written; every part of each transaction must be there, or none of it."""
    with store._cursor() as cursor:
        assert cursor.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with store.read() as tx:
        addresses = {b.address - BASE for b in tx.bindings_after(-1, 1_000_000)}
        written = {n for n in addresses if n < 1_000_000}
        assert addresses == written | {n + 1_000_000 for n in written}
        assert tx.counters().get("written", 0) == len(written)
        assert tx.local().poll_counter == len(written)
        changes = tx.changes(OWN, 0, 1_000_000)
        assert [change.seq for change in changes] == list(range(1, 2 * len(written) + 1))
        assert tx.streams()[OWN].applied == 2 * len(written)
        assert {change.key for change in changes} == {BASE + n for n in addresses}
    return written


def test_a_killed_writer_loses_nothing_that_it_reported(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    create_store(path, member=1, engine_id=ENGINE_ID).close()
    reported: set[int] = set()
    for round_ in range(4):
        writer = start_writer(path, round_ * 100_000, 100_000)
        assert writer.stdout is not None
        for _ in range(random.Random(round_).randrange(20, 200)):
            reported.add(int(writer.stdout.readline()))
        writer.send_signal(signal.SIGKILL)
        reported |= {int(line) for line in writer.stdout if line.endswith("\n")}
        writer.wait()
        writer.stdout.close()
        store = open_store(path)
        assert check_consistency(store) >= reported
        store.close()
    assert len(reported) > 80


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = create_store(path, member=1, engine_id=ENGINE_ID)
    writers = [start_writer(path, first, 400) for first in (0, 10_000)]
    for writer in writers:
        output, _ = writer.communicate()
        assert writer.returncode == 0
        assert len(output.split()) == 400
    assert check_consistency(store) == {*range(400), *range(10_000, 10_400)}
    store.close()


def test_who_waits_comes_before_who_asks_again(file_store: Store) -> None:
    """Without the turn, who lets go of the lock would take it again before a waiter wakes."""
    other = open_store(file_store._place)
    order: list[str] = []

    def wait() -> None:
        with other.write():
            order.append("waiter")

    waiter = threading.Thread(target=wait)
    with file_store.write():
        waiter.start()
        with open(file_store._place + ".turn") as turn:
            for _ in range(10_000):
                try:
                    fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    break
                fcntl.flock(turn, fcntl.LOCK_UN)
                waiter.join(0.001)
    with file_store.write():
        order.append("again")
    waiter.join()
    other.close()
    assert order == ["waiter", "again"]


def test_threads_of_one_store_take_turns(file_store: Store) -> None:
    def work() -> None:
        for _ in range(50):
            with file_store.write() as tx:
                tx.next_poll_counter()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with file_store.read() as tx:
        assert tx.local().poll_counter == 200


def test_a_reader_sees_one_instant(file_store: Store) -> None:
    with file_store.read() as reader:
        before = reader.local()
        with file_store.write() as tx:
            tx.next_poll_counter()
        assert reader.local() == before
    with file_store.read() as reader:
        assert reader.local().poll_counter == before.poll_counter + 1


# --- a real file system of 1 MB, in a mount namespace of its own

FULL_DISK = """
import os, subprocess, sys
from pathlib import Path
from agent.errors import StoreError
from store import create_store, open_store
from tests.store.samples import BASE, binding
folder = Path(sys.argv[1])
store = create_store(folder / "store.db", member=1, engine_id=b"12345")
written = 0
try:
    while True:
        with store.write() as tx:
            tx.save_bindings([binding(BASE + written + i, i) for i in range(50)])
        written += 50
except StoreError as error:
    print(error)
with store.read() as tx:
    assert len(tx.bindings_after(-1, 100_000)) == written > 0
store.close()
store = open_store(folder / "store.db")
subprocess.run(["mount", "-o", "remount,size=8m", folder], check=True)
with store.write() as tx:
    assert tx.save_bindings([binding(BASE)]) == written + 1
store.close()

with open(folder / "fill", "wb", buffering=0) as fill:
    try:
        while fill.write(bytes(4096)):
            pass
    except OSError:
        pass
try:
    open_store(folder / "store.db")
except StoreError as error:
    print(error)
(folder / "fill").unlink()

subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
for attempt in (
    lambda: open_store(folder / "store.db"),
    lambda: create_store(folder / "other.db", member=1, engine_id=b"12345"),
):
    try:
        attempt()
    except StoreError as error:
        print(error)
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="mounting needs root"
)
def test_a_disk_that_is_full_and_then_read_only(tmp_path: Path) -> None:
    mount = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" -c "$3" "$1"'
    result = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, "sh", tmp_path, sys.executable, FULL_DISK],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    full, started, opened, made = result.stdout.splitlines()
    assert "the disk is full; free some space" in started
    assert "the disk is full; free some space" in full
    assert "the store's folder must be writable" in opened
    assert "its folder must exist and be writable" in made


def test_store_in_memory_goes_back_to_a_copy_while_it_is_used() -> None:
    """SQLite crashes when a statement outlives the database that it was prepared for."""
    store = Store.in_memory()
    for number in range(20):
        copy = store.snapshot()
        with store.write() as tx:
            tx.save_bindings([binding(number)])
            assert tx.bindings_in_range(0, 100, 1)
        store.restore(copy)
        with store.read() as tx:
            assert tx.bindings_in_range(0, 100, 1) == []
