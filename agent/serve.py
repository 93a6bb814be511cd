"""Composition: builds the objects of one member and starts them.

`python -m agent.serve DIR` supervises two children, engine and agent; with `--only` either is run
alone, so that the engine may hold raw-socket rights and the agent none. Each imports only its own
half: the engine never loads pysnmp or asyncio.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path

from agent.clock import BootClock
from agent.errors import ConfigError, DhcpSyncError, StoreError
from agent.limits import GC_THRESHOLDS
from agent.logs import Hangup, configure_logging, is_journal
from agent.member_file import FORMATS, LEVELS, STORE_NAME, MemberFile, load_member_file
from agent.model import MemberRole
from agent.standing import Standing
from agent.supervise import EXIT_USAGE, Supervisor
from store import Store, open_store

ENGINE_SOCKET = "engine.sock"
AGENT_SOCKET = "agent.sock"

log = logging.getLogger("dhcpsync")


def open_member(folder: Path) -> tuple[MemberFile, Store, BootClock, Standing]:
    """The parts that every process of a member begins with; the first one starts the member."""
    member = load_member_file(folder)
    with contextlib.ExitStack() as opened:
        store = opened.enter_context(contextlib.closing(open_store(folder / STORE_NAME)))
        standing = opened.enter_context(contextlib.closing(Standing(folder)))
        clock = BootClock(store.clock_anchor(standing.measure_anchor))
        check_identity(folder, member, store)
        standing.enter(store, clock() // 1000)
        opened.pop_all()  # What is returned stays open; what raises leaves nothing open.
    return member, store, clock, standing


def check_identity(folder: Path, member: MemberFile, store: Store) -> None:
    """ConfigError where member.toml and store.db are not about one member."""
    with store.read() as tx:
        local, group = tx.local(), tx.group()
    if local.member != member.member:
        raise ConfigError(
            str(folder / "member.toml"),
            "member.id",
            f"is {member.member}, but {STORE_NAME} belongs to member {local.member}",
            "a store is never another member's: make a member of its own with `dhcpsync init`",
        )
    own = group.member(member.member) if group else None
    if own is not None and own.role is not member.role:
        raise ConfigError(
            str(folder / "member.toml"),
            "member.role",
            f"is {member.role.name.lower()}, but the group knows it as {own.role.name.lower()}",
            "a role never changes: put the old word back, or make a new member",
        )


def collect_rarely() -> None:
    """Hardly anything here makes cycles. Collecting at CPython's pace costs a tenth of the rate,
    and full passes over everything that is kept delay replies."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def run_engine_process(folder: Path, hangup: Hangup) -> int:
    from agent.dhcp.engine import DhcpServer
    from agent.engine import EngineSockets, StopSignal, run_engine
    from agent.net.wake import WakeSocket

    member, store, clock, standing = open_member(folder)
    if member.role is MemberRole.DATABASE:
        store.close()
        standing.close()
        raise ConfigError(
            str(folder / "member.toml"),
            "member.role",
            "is database: this member serves no clients",
            "run `dhcpsync serve` without --only, or --only agent",
        )
    wake = WakeSocket(folder / ENGINE_SOCKET, folder / AGENT_SOCKET)
    sockets = EngineSockets(member.interfaces, member.dhcp_port)
    server = DhcpServer(store, sockets.interfaces, log_packets=member.log_packets, probing=True)
    stop = StopSignal()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.request())
    hangup.follow = server.set_log_packets
    collect_rarely()
    log.info("engine of %s serves on port %d", member.name, member.dhcp_port)

    def follow_clock() -> None:
        hangup.act_if_noted()
        with contextlib.suppress(StoreError), store.read() as tx:
            clock.follow(tx.clock_anchor())

    run_engine(server, sockets, wake, clock, stop, follow_clock)
    sockets.close()
    wake.close()
    store.close()
    standing.close()
    return 0


def run_agent_process(folder: Path, hangup: Hangup) -> int:
    import asyncio

    from agent.agent import run_agent
    from agent.net.wake import WakeSocket

    member, store, clock, standing = open_member(folder)
    wake = WakeSocket(folder / AGENT_SOCKET, folder / ENGINE_SOCKET)
    collect_rarely()
    code = asyncio.run(run_agent(folder, member, store, clock, wake, standing, hangup))
    wake.close()
    store.close()
    standing.close()
    return code


_PROCESSES = {"engine": run_engine_process, "agent": run_agent_process}


def _run_process(name: str, folder: Path, hangup: Hangup) -> int:
    try:
        return _PROCESSES[name](folder, hangup)
    except DhcpSyncError as error:
        return _tell(error)


def _tell(error: DhcpSyncError) -> int:
    """Say what was wrong; returns the exit code that says whether trying again may help."""
    priority = "<3>" if is_journal(sys.stderr, os.environ) else ""
    print(f"{priority}dhcpsync: {error}", file=sys.stderr)  # noqa: T201
    return EXIT_USAGE if isinstance(error, ConfigError) else 1


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0 stopped as asked, 1 failed, 2 the configuration is unusable."""
    parser = argparse.ArgumentParser(prog="agent.serve", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=tuple(_PROCESSES))
    parser.add_argument("--log-level", choices=LEVELS)
    parser.add_argument("--log", choices=FORMATS)
    options = parser.parse_args(arguments)
    hangup = Hangup(options.folder, options.log_level)
    signal.signal(signal.SIGHUP, hangup.note)
    try:
        member = load_member_file(options.folder)
        level, form = options.log_level or member.log_level, options.log or member.log_format
        configure_logging(level, form, sys.stderr, os.environ)
        if options.only is not None:
            return _run_process(options.only, options.folder, hangup)
        member, store, _, standing = open_member(options.folder)
        store.close()
        names = tuple(_PROCESSES) if member.role is MemberRole.SERVER else ("agent",)
        code = Supervisor(
            {name: partial(_run_process, name, options.folder, hangup) for name in names},
            on_hangup=hangup.act,
        ).run()
        standing.close()
        return code
    except DhcpSyncError as error:
        return _tell(error)


if __name__ == "__main__":
    sys.exit(main())
