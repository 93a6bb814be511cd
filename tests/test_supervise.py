"""The supervisor with real processes: restart, stop, and a child that cannot be configured."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

SUPERVISE = """
import sys
from agent.supervise import Supervisor
healthy_after_s, child, *sys.argv[1:] = sys.argv[1:]
children = {"one": lambda: exec(child, {})}
sys.exit(Supervisor(children, healthy_after_s=float(healthy_after_s)).run())
"""


def supervise(child: str, *arguments: str, healthy_after_s: float = 60) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, str(healthy_after_s), child, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_a_child_that_dies_is_started_again_and_all_stop_together() -> None:
    child = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    with supervise(child) as supervisor:
        assert supervisor.stdout
        first = int(supervisor.stdout.readline())
        assert Path(f"/proc/{first}/comm").read_text() == "dhcpsync-one\n"
        os.kill(first, signal.SIGKILL)
        second = int(supervisor.stdout.readline())
        assert second != first
        supervisor.terminate()
        assert supervisor.wait(timeout=20) == 0
        assert not Path(f"/proc/{second}").exists()


def test_a_child_with_unusable_configuration_stops_the_service(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    child = "import sys; open(sys.argv[1], 'a').write('x'); sys.exit(2)"
    with supervise(child, str(marks)) as supervisor:
        assert supervisor.wait(timeout=20) == 2
    assert marks.read_text() == "x", "it must not be started again"


def test_a_child_that_has_worked_is_started_again_whatever_it_ends_with(tmp_path: Path) -> None:
    """An agent whose address is gone for a while must not end the engine beside it."""
    marks = tmp_path / "marks"
    child = (
        "import os, signal, sys, time\n"
        "starts = open(sys.argv[1], 'a+'); starts.write('x'); starts.flush(); starts.seek(0)\n"
        "start = len(starts.read())\n"
        "print(start, flush=True)\n"
        "if start == 1: time.sleep(0.3)\n"
        "if start < 4: sys.exit(2)\n"
        "signal.pause()\n"
    )
    with supervise(child, str(marks), healthy_after_s=0.2) as supervisor:
        assert supervisor.stdout
        assert [supervisor.stdout.readline() for _ in range(4)] == ["1\n", "2\n", "3\n", "4\n"]
        supervisor.terminate()
        assert supervisor.wait(timeout=20) == 0


def test_children_do_not_outlive_a_killed_supervisor() -> None:
    child = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    with supervise(child) as supervisor:
        assert supervisor.stdout
        pid = int(supervisor.stdout.readline())
        child_fd = os.pidfd_open(pid)
        supervisor.kill()
        supervisor.wait(timeout=20)
        assert supervisor.stdout.read() == "", "the pipe closes when the last holder is gone"
        os.close(child_fd)


FAIL = """
import os, signal
from agent.supervise import Supervisor

class Failing(Supervisor):
    def _due_at(self, child, status):
        raise RuntimeError("a bug")

stays, told = os.pipe()

def stay():
    print(os.getpid(), flush=True)
    os.write(told, b"x")
    signal.pause()

def end():
    os.read(stays, 1)
    return 1

Failing({"stays": stay, "ends": end}).run()
"""


def test_a_supervisor_that_fails_ends_its_children_and_does_not_wait_for_them() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FAIL],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as supervisor:
        words, errors = supervisor.communicate(timeout=20)
    assert "RuntimeError: a bug" in errors
    assert supervisor.returncode == 1
    assert not Path(f"/proc/{int(words)}").exists()
