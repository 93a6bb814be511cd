"""What an operator is told of members that are not well, and of rows that differ: by every member,
in `dhcpsync status` and in the MIB."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from agent.snmp.columns import SCALARS
from agent.snmp.oid import format_oid
from tests.lab.rig import Lab, wait_until

MEMBERS = ("m1", "m2", "m3")
SEEN_WITHIN_S = 3.0
ASKED_S = 3.0
"""What asking three members takes, on a machine that runs them all and other tests."""
WELL, DEGRADED = 1, 2


def engine_of(member: str) -> int:
    """The process that serves the member's clients."""
    listed = subprocess.run(
        ["ip", "netns", "pids", f"dhcpsync-{member}"], capture_output=True, text=True, check=True
    )
    (found,) = [
        int(pid)
        for pid in listed.stdout.split()
        if Path(f"/proc/{pid}/comm").read_text().strip() == "dhcpsync-engine"
    ]
    return found


def told(lab: Lab, at: str) -> tuple[int, str]:
    """dhcpSyncServerHealth and dhcpSyncServerHealthText of a member."""
    oids = [
        format_oid((*SCALARS[f"dhcpSyncServer{name}"].oid, 0)) for name in ("Health", "HealthText")
    ]
    health, text = lab.snmp("snmpget", "monitor", at, "-Oqv", *oids).stdout.splitlines()
    return int(health), text


def ask(lab: Lab, at: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """The command line, asked beside that member."""
    place = ("--address", f"198.18.0.{at[1:]}", "--credentials", str(lab.root / "credentials.env"))
    return lab.exec(at, sys.executable, "-m", "tools.main", *command, *place, check=check)


def status(lab: Lab, at: str) -> subprocess.CompletedProcess[str]:
    return ask(lab, at, "status", check=False)


def all_told(lab: Lab, health: int, words: str = "") -> bool:
    return all(one == health and words in text for one, text in (told(lab, at) for at in MEMBERS))


def test_an_engine_that_hangs_is_known_to_all_members_and_forgotten_when_it_goes_on(
    lab: Lab,
) -> None:
    wait_until(lambda: all_told(lab, WELL), 30, lambda: str([told(lab, at) for at in MEMBERS]))
    engine, silent = engine_of("m2"), "the engine of m2 is silent"
    os.kill(engine, signal.SIGSTOP)
    try:
        began = time.monotonic()
        wait_until(lambda: all_told(lab, DEGRADED, silent), 10)
        assert time.monotonic() - began < SEEN_WITHIN_S + ASKED_S
        for at in MEMBERS:
            said = status(lab, at)
            assert said.returncode == 1
            assert silent in said.stdout.splitlines()[0]
        assert lab.lease("c1"), "the others answer its clients"
    finally:
        os.kill(engine, signal.SIGCONT)
    wait_until(lambda: all_told(lab, WELL), 10)
    assert all(status(lab, at).returncode == 0 for at in MEMBERS)


def test_a_row_changed_behind_a_members_back_is_found_and_mended(lab: Lab) -> None:
    assert lab.lease("c2")
    lab.wait_equal(list(MEMBERS), 10)
    assert ask(lab, "m1", "check").stdout.endswith("no difference.\n")
    with closing(sqlite3.connect(lab.root / "m3" / "store.db")) as store, store:
        store.execute("UPDATE binding SET expires_at = expires_at - 60")
    found = ask(lab, "m1", "check", check=False)
    assert found.returncode == 1
    assert "has m3 take the record of m" in found.stdout
    assert ask(lab, "m1", "check", "--repair", "--yes").stdout.endswith("Repaired.\n")
    lab.wait_equal(list(MEMBERS), 10)
    assert ask(lab, "m1", "check").returncode == 0
