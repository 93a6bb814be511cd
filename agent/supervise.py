"""Keeps engine and agent running: starts both, restarts the one that dies, stops both together.

A child is a fork, so that what both need is loaded once. It is single-threaded here until then.

A child that ends with EXIT_USAGE found its configuration unusable; starting it again would not
help, so everything stops and the operator sees the reason once. That holds for a child that never
worked: one that did, and cannot have its address or port on a restart, meets a passing state of
the machine (an interface that is down), and the other child goes on serving meanwhile.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess

from agent.limits import RESTART_DELAY_MAX_S

log = logging.getLogger("dhcpsync.supervisor")
EXIT_USAGE = 2
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP}
_HEALTHY_AFTER_S = 10
_STOP_S = 10

Work = Callable[[], int]
"""What a child does; returns its exit code."""


@dataclass
class _Child:
    process: ForkProcess
    work: Work
    started_at: float = field(default_factory=time.monotonic)
    failures: int = 0
    has_worked: bool = False

    @property
    def name(self) -> str:
        return self.process.name


class Supervisor:
    """Runs `children` by name until SIGTERM or SIGINT, or until one cannot be configured. A child
    that has run for `healthy_after_s` works. `ps -o comm` shows them by process_name(). SIGHUP is
    for all of them: `on_hangup` is called here, and each child is sent it."""

    def __init__(
        self,
        children: Mapping[str, Work],
        healthy_after_s: float = _HEALTHY_AFTER_S,
        on_hangup: Callable[[], None] = lambda: None,
    ) -> None:
        self._children = children
        self._on_hangup = on_hangup
        self._healthy_after_s = healthy_after_s
        self._stopping = False

    def run(self) -> int:
        """Returns the exit code of the whole service."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        gc.freeze()  # a collection in a child would copy every page that it shares with this one
        running = [self._start(name, work) for name, work in self._children.items()]
        waiting: list[tuple[float, _Child]] = []
        while not self._stopping:
            self._wait_for_signal(running, min((at for at, _ in waiting), default=None))
            for child in [c for c in running if c.process.exitcode is not None]:
                running.remove(child)
                child.has_worked |= self._is_healthy(child)
                if child.process.exitcode == EXIT_USAGE and not child.has_worked:
                    return self._stop(running, EXIT_USAGE)
                waiting.append((self._due_at(child, child.process.exitcode or 0), child))
            for at, child in [w for w in waiting if w[0] <= time.monotonic()]:
                waiting.remove((at, child))
                running.append(self._start_again(child))
        return self._stop(running, 0)

    def _stop(self, running: list[_Child], code: int) -> int:
        for child in running:
            child.process.terminate()
        for child in running:
            child.process.join(_STOP_S)
            if child.process.exitcode is None:
                log.error("%s did not stop within %d s, killed", child.name, _STOP_S)
                child.process.kill()
                child.process.join()
        return code

    def _wait_for_signal(self, running: list[_Child], until: float | None) -> None:
        timeout = 3600.0 if until is None else max(0.0, until - time.monotonic())
        info = signal.sigtimedwait(_SIGNALS, timeout)
        if info is not None and info.si_signo in (signal.SIGTERM, signal.SIGINT):
            log.info("stopping")
            self._stopping = True
        elif info is not None and info.si_signo == signal.SIGHUP:
            self._on_hangup()
            for child in running:
                if child.process.pid is not None and child.process.exitcode is None:
                    os.kill(child.process.pid, signal.SIGHUP)

    def _start(self, name: str, work: Work) -> _Child:
        context = multiprocessing.get_context("fork")
        # daemon: what ends this process unforeseen must not wait for the children, but end them.
        process = context.Process(
            target=_run, args=(name, work, os.getpid()), name=name, daemon=True
        )
        process.start()
        log.info("%s started, pid %d", name, process.pid)
        return _Child(process, work)

    def _start_again(self, child: _Child) -> _Child:
        new = self._start(child.name, child.work)
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


def process_name(child: str) -> str:
    """What process listings call a child; the kernel keeps 15 octets."""
    return f"dhcpsync-{child}"


def _run(name: str, work: Work, parent: int) -> None:
    """The whole life of a child."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NAME, process_name(name).encode())
    # The kernel is to end this process when its parent ends, however that comes about.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    if os.getppid() == parent:  # else the parent ended before the kernel knew our wish
        sys.exit(work())
