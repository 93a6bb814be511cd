"""Keeps engine and agent running: starts both, restarts the one that dies, stops both together.

A child that ends with EXIT_USAGE found its configuration unusable; starting it again would not
help, so everything stops and the operator sees the reason once. That holds for a child that never
worked: one that did, and cannot have its address or port on a restart, meets a passing state of
the machine (an interface that is down), and the other child goes on serving meanwhile.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.limits import RESTART_DELAY_MAX_S

log = logging.getLogger("dhcpsync.supervisor")
EXIT_USAGE = 2
_PR_SET_PDEATHSIG = 1
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
_HEALTHY_AFTER_S = 10
_STOP_S = 10


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends, however that comes about."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class _Child:
    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes]
    started_at: float = field(default_factory=time.monotonic)
    failures: int = 0
    has_worked: bool = False


class Supervisor:
    """Runs `commands` by name until SIGTERM or SIGINT, or until one cannot be configured. A child
    that has run for `healthy_after_s` works."""

    def __init__(
        self, commands: Mapping[str, Sequence[str]], healthy_after_s: float = _HEALTHY_AFTER_S
    ) -> None:
        self._commands = commands
        self._healthy_after_s = healthy_after_s
        self._stopping = False

    def run(self) -> int:
        """Returns the exit code of the whole service."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        running = [self._start(name, command) for name, command in self._commands.items()]
        waiting: list[tuple[float, _Child]] = []
        while not self._stopping:
            self._wait_for_signal(min((at for at, _ in waiting), default=None))
            for child in [c for c in running if c.process.poll() is not None]:
                running.remove(child)
                child.has_worked |= self._is_healthy(child)
                if child.process.returncode == EXIT_USAGE and not child.has_worked:
                    return self._stop(running, EXIT_USAGE)
                waiting.append((self._due_at(child, child.process.returncode), child))
            for at, child in [w for w in waiting if w[0] <= time.monotonic()]:
                waiting.remove((at, child))
                running.append(self._start_again(child))
        return self._stop(running, 0)

    def _stop(self, running: list[_Child], code: int) -> int:
        for child in running:
            child.process.terminate()
        for child in running:
            try:
                child.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                log.error("%s did not stop within %d s, killed", child.name, _STOP_S)
                child.process.kill()
                child.process.wait()
        return code

    def _wait_for_signal(self, until: float | None) -> None:
        timeout = 3600.0 if until is None else max(0.0, until - time.monotonic())
        info = signal.sigtimedwait(_SIGNALS, timeout)
        if info is not None and info.si_signo in (signal.SIGTERM, signal.SIGINT):
            log.info("stopping")
            self._stopping = True

    def _start(self, name: str, command: Sequence[str]) -> _Child:
        parent = os.getpid()
        process = subprocess.Popen(command, preexec_fn=lambda: _prepare_child(parent))
        log.info("%s started, pid %d", name, process.pid)
        return _Child(name, command, process)

    def _start_again(self, child: _Child) -> _Child:
        new = self._start(child.name, child.command)
        new.failures, new.has_worked = child.failures, child.has_worked
        return new

    def _is_healthy(self, child: _Child) -> bool:
        return time.monotonic() - child.started_at > self._healthy_after_s

    def _due_at(self, child: _Child, status: int) -> float:
        """When to start it again: at once after a healthy run, then ever later."""
        child.failures = 1 if self._is_healthy(child) else child.failures + 1
        delay_s = min(2 ** (child.failures - 1) / 4, RESTART_DELAY_MAX_S)
        why = f"signal {-status}" if status < 0 else f"exit code {status}"
        log.error("%s ended (%s), starting it again in %.2f s", child.name, why, delay_s)
        return float(time.monotonic() + delay_s)


def _prepare_child(parent: int) -> None:
    """Runs in the child between fork and exec."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    die_with_parent()
    if os.getppid() != parent:  # the parent ended before the kernel knew our wish
        os._exit(1)


def child_command(folder: str, only: str) -> list[str]:
    return [sys.executable, "-m", "agent.serve", folder, "--only", only]
