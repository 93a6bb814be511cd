"""Members' processes: started to outlive the command that started them, found again by a file.

A process is named by its id and the tick at which it started, so that a number that the kernel
has given to another process since is never signalled.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools.errors import ToolError

_PID_FILE = "pid.json"
_STOP_S = 15
"""A member stops its processes within 10 s, or kills them."""


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    started: int
    """Clock ticks after boot (proc(5), starttime)."""

    def is_running(self) -> bool:
        fields = _stat(self.pid)
        return fields is not None and int(fields[19]) == self.started and fields[0] != "Z"

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended, at the latest after `timeout_s`."""
        if not self.is_running():
            return True
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            return bool(select.select([descriptor], [], [], timeout_s)[0])
        finally:
            os.close(descriptor)

    def session(self) -> list[Process]:
        """Every process of the session that this one leads, itself first."""
        found = [self]
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == self.pid:
                continue
            fields = _stat(int(entry))
            if fields is not None and int(fields[3]) == self.pid:
                found.append(Process(int(entry), int(fields[19])))
        return found

    def find_child(self, name: str) -> Process | None:
        """The process of the session that process listings call `name`."""
        for one in self.session():
            with suppress(FileNotFoundError, ProcessLookupError):
                if Path(f"/proc/{one.pid}/comm").read_text(encoding="utf-8").strip() == name:
                    return one
        return None


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third (state) on; the second may hold any character."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def start(folder: Path, command: Sequence[str]) -> Process:
    """Start `command` in a session of its own, its output appended to `folder`/log."""
    with open(folder / "log", "ab") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
        )
    fields = _stat(child.pid)
    if fields is None:
        raise ToolError(f"{command[0]} ended at once; see {folder / 'log'}")
    process = Process(child.pid, int(fields[19]))
    record = json.dumps({"pid": process.pid, "started": process.started})
    (folder / _PID_FILE).write_text(record + "\n", encoding="utf-8")
    # Nobody waits for it: it outlives this command, or `stop` sees it end through a pidfd.
    child.returncode = 0
    return process


def find(folder: Path) -> Process | None:
    """The running process that was started for `folder`, if there is one."""
    try:
        process = Process(**json.loads((folder / _PID_FILE).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return process if process.is_running() else None


def stop(process: Process, *, hard: bool) -> None:
    """End the process and its children: politely, or at once as a crash would."""
    if not hard:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        if process.wait(_STOP_S):
            return
    # A supervisor that still runs would start a killed child again, or ask the others to stop.
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGSTOP)
    family = process.session()
    for one in reversed(family):
        with suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)
    for one in family:
        if not one.wait(_STOP_S):
            raise ToolError(f"process {one.pid} does not die")
