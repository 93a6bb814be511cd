"""The log: priorities for the journal, and what SIGHUP does to the processes of a member."""

from __future__ import annotations

import io
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.logs import Hangup, JournalFormatter, LineFormatter, configure_logging, is_journal
from agent.member_file import FILE_NAME
from tools.errors import ManagerError
from tools.init import NewMember, found, make_member
from tools.status import read_status
from tools.target import find_target

WITHIN_S = 60.0
AGAIN = "SIGHUP: [log] of member.toml is read anew"


def record(level: int, words: str, *, error: bool = False) -> logging.LogRecord:
    found = None
    if error:
        try:
            raise ValueError("bad")
        except ValueError:
            found = sys.exc_info()
    return logging.LogRecord("dhcpsync.x", level, "x.py", 1, words, (), found)


@pytest.mark.parametrize(
    ("level", "priority"),
    [("DEBUG", 7), ("INFO", 6), ("WARNING", 4), ("ERROR", 3), ("CRITICAL", 2)],
)
def test_the_journal_gets_a_priority_for_each_level(level: str, priority: int) -> None:
    line = JournalFormatter().format(record(getattr(logging, level), "words"))
    assert line == f"<{priority}>dhcpsync.x: words"


def test_every_line_has_its_own_priority_those_of_a_traceback_too() -> None:
    text = JournalFormatter().format(record(logging.ERROR, "one\ntwo", error=True))
    lines = text.split("\n")
    assert lines[:2] == ["<3>dhcpsync.x: one", "<3>dhcpsync.x: two"]
    assert lines[-1] == "<3>dhcpsync.x: ValueError: bad"
    assert all(line.startswith("<3>dhcpsync.x: ") for line in lines)


def test_other_logs_have_levels_in_words() -> None:
    formatter = LineFormatter("%(levelname)s %(name)s: ")
    line = formatter.format(record(logging.WARNING, "one\ntwo"))
    assert line == "WARNING dhcpsync.x: one\nWARNING dhcpsync.x: two"


def test_the_journal_is_the_very_stream_that_the_environment_names(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream, (tmp_path / "other").open("w") as other:
        stat = os.fstat(stream.fileno())
        named = {"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"}
        assert is_journal(stream, named)
        assert not is_journal(other, named)
        assert not is_journal(stream, {})
        assert not is_journal(io.StringIO(), named)


@pytest.mark.parametrize("named", [True, False])
def test_a_process_that_cannot_start_says_so_with_its_priority(tmp_path: Path, named: bool) -> None:
    path = tmp_path / "log"
    with path.open("w") as stream:
        stat = os.fstat(stream.fileno())
        environment = dict(os.environ)
        environment.pop("JOURNAL_STREAM", None)
        if named:
            environment["JOURNAL_STREAM"] = f"{stat.st_dev}:{stat.st_ino}"
        command = [sys.executable, "-m", "agent.serve", "/nowhere"]
        done = subprocess.run(command, stderr=stream, check=False, env=environment, timeout=60)
    assert done.returncode == 2
    start = "<3>dhcpsync: " if named else "dhcpsync: "
    assert path.read_text().startswith(f"{start}/nowhere/member.toml: is missing")


@pytest.fixture
def kept_level() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


@pytest.mark.usefixtures("kept_level")
@pytest.mark.parametrize(("given", "level"), [(None, logging.DEBUG), ("error", logging.ERROR)])
def test_the_level_of_the_command_line_stays(tmp_path: Path, given: str | None, level: int) -> None:
    folder = member(tmp_path)
    text = (folder / FILE_NAME).read_text()
    text = text.replace('level = "info"', 'level = "debug"').replace(
        "packets = true", "packets = false"
    )
    (folder / FILE_NAME).write_text(text)
    configure_logging("info", "text", io.StringIO(), {})
    told: list[bool] = []
    hangup = Hangup(folder, given, told.append)
    hangup.act_if_noted()
    assert told == []
    hangup.note(signal.SIGHUP, None)
    hangup.act_if_noted()
    hangup.act_if_noted()
    assert (told, logging.getLogger().level) == ([False], level)


def member(place: Path) -> Path:
    folder, ports = place / "m1", []
    for _ in range(2):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", 0))
            ports.append(one.getsockname()[1])
    make_member(
        folder, NewMember(1, "m1", "127.0.0.1", ports[0], ("lo",)), found("lan", None, 3600), None
    )
    file = folder / FILE_NAME
    file.write_text(file.read_text().replace("port = 67\n", f"port = {ports[1]}\n"))
    return folder


def wait_until(comes_true: Callable[[], bool]) -> None:
    until = time.monotonic() + WITHIN_S
    while not comes_true():
        assert time.monotonic() < until
        time.sleep(0.05)


def is_answering(folder: Path) -> bool:
    try:
        return read_status(find_target(folder, None, None, "monitor"), retries=0).state == "serving"
    except ManagerError:
        return False


@pytest.mark.skipif(os.geteuid() != 0, reason="an engine needs raw sockets: run it as root")
def test_a_hangup_ends_no_process_and_has_each_read_its_log_settings_anew(tmp_path: Path) -> None:
    folder = member(tmp_path)
    file, log = folder / FILE_NAME, tmp_path / "log"
    text = file.read_text()
    with log.open("w") as stream:
        command = [sys.executable, "-m", "agent.serve", str(folder)]
        process = subprocess.Popen(command, stderr=stream)
    try:
        wait_until(lambda: is_answering(folder) and "engine of m1 serves" in log.read_text())
        file.write_text("no TOML")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: log.read_text().count("the log goes on as before") == 3)
        file.write_text(text.replace('level = "info"', 'level = "debug"'))
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: log.read_text().count(AGAIN) == 3)
        assert process.poll() is None
        assert " ended (" not in log.read_text(), "engine and agent are those of before"
        process.terminate()
        assert process.wait(timeout=WITHIN_S) == 0
    finally:
        process.kill()
        process.wait()
