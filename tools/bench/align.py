"""`dhcpsync bench align`: how fast a new member pulls what a group knows.

A member whose store holds N bindings, and a second one that joins it over a cable between two
namespaces: SNMPv3 authPriv, GETBULK, rows counted in the second store as they are committed.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import typer

from agent.errors import ConfigError
from agent.member_file import STORE_NAME
from agent.model import parse_address
from agent.supervise import process_name
from store import Store, open_store
from tools.bench import rig
from tools.bench.seed import seed_bindings
from tools.credentials import Role, find_user, make_credentials, write_credentials
from tools.errors import ManagerError, ToolError
from tools.init import Founding, NewMember, make_member, read_identity
from tools.join import set_member
from tools.lab import network, process
from tools.status import read_status
from tools.target import Target

_LEASE_S = 86_400
_WITHIN_S = 600
_POLL_S = 0.02
_BINDINGS_MAX = 2_000_000


def run_bench(bindings: int, as_json: bool) -> None:
    if not 1 <= bindings <= _BINDINGS_MAX:
        raise ConfigError("--bindings", "", f"is {bindings}", f"must be 1..{_BINDINGS_MAX}")
    with tempfile.TemporaryDirectory(prefix="dhcpsync-bench-") as place:
        with rig.two_namespaces() as pair:
            pull_s, join_s, grown_kib = _measure(Path(place), pair, bindings)
    rate = bindings / pull_s
    if as_json:
        found: dict[str, object] = {
            "bindings": bindings,
            "pull_s": pull_s,
            "join_s": join_s,
            "rate": round(rate),
        }
        found["agents_grown_kib"] = grown_kib
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo(
            f"{bindings} bindings pulled and committed in {pull_s:.2f} s: {rate:.0f} bindings/s;"
            f" {join_s:.2f} s from SET to serving; the agents grew at their peaks by"
            f" {grown_kib[0] / 1024:.1f} MB (asked) and {grown_kib[1] / 1024:.1f} MB (pulled)"
        )


def _measure(place: Path, pair: rig.Pair, bindings: int) -> tuple[float, float, list[int]]:
    """Seconds from the first row committed to the last, and from the SET to serving; and by how
    many KiB each agent is greater at its peak than it was before."""
    users = place / "users.env"
    write_credentials(users, make_credentials())
    one = NewMember(1, "m1", rig.SERVER_ADDRESS, 161, ("eth0",))
    two = NewMember(2, "m2", rig.CLIENT_ADDRESS, 161, ("eth0",))
    make_member(place / "m1", one, Founding("bench", _LEASE_S, _LEASE_S), users)
    make_member(place / "m2", two, None, users)
    first = parse_address(rig.POOL[0])
    seed_bindings(place / "m1", ((first + number, 1) for number in range(bindings)), 1, _LEASE_S)
    sys.stderr.write(f"{bindings} bindings are in the first member's store\n")
    started = []
    try:
        for name, namespace in (("m1", pair.server), ("m2", pair.client)):
            command = (sys.executable, "-m", "agent.serve", str(place / name))
            started.append(rig.start(place / name, namespace, *command))
        _wait_serving(users, "m1", rig.SERVER_ADDRESS, pair.server, place)
        _wait_answer(users, rig.CLIENT_ADDRESS, pair.client)
        agents = [_agent_of(one) for one in started]
        before = [_memory_kib(agent, "VmRSS") for agent in agents]
        begin = time.monotonic()
        operator = _target(users, "operator", rig.SERVER_ADDRESS, pair.server)
        with operator.open(timeout_s=10, retries=0) as manager:
            set_member(manager, read_identity(place / "m2"))
        pull_s = _watch(place / "m2", bindings)
        _wait_serving(users, "m2", rig.CLIENT_ADDRESS, pair.client, place)
        join_s = time.monotonic() - begin
        peaks = [_memory_kib(agent, "VmHWM") for agent in agents]
        return pull_s, join_s, [peak - rss for peak, rss in zip(peaks, before, strict=True)]
    finally:
        for running in started:
            process.stop(running, hard=True)


def _agent_of(supervisor: process.Process) -> int:
    """The process id of the member's agent."""
    agent = supervisor.find_child(process_name("agent"))
    if agent is None:
        raise ToolError("the member runs no agent")
    return agent.pid


def _memory_kib(pid: int, field: str) -> int:
    """A line of /proc/PID/status (proc(5)): VmRSS what it has now, VmHWM the most it ever had."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    raise ToolError(f"/proc/{pid}/status has no {field}")


def _watch(folder: Path, bindings: int) -> float:
    store = open_store(folder / STORE_NAME)
    try:
        first_at, before = 0.0, 0
        until = time.monotonic() + _WITHIN_S
        while time.monotonic() < until:
            count = _count(store)
            now = time.monotonic()
            if count and not first_at:
                first_at, before = now, count
            if count >= bindings:
                # What was there at the first look came before the clock ran.
                share = (bindings - before) / bindings
                return max(now - first_at, _POLL_S) / share if share else _POLL_S
            time.sleep(_POLL_S)
    finally:
        store.close()
    raise ToolError(f"{count} of {bindings} bindings came within {_WITHIN_S} s")


def _count(store: Store) -> int:
    with store.read() as tx:
        counts = tx.count_bindings(0, 0xFFFF_FFFF, 0)
    return counts.live + counts.expired + counts.released + counts.unavailable


def _target(users: Path, role: Role, address: str, namespace: str) -> Target:
    return Target(address, 161, find_user(users, role), lambda: network.inside(namespace))


def _wait_answer(users: Path, address: str, namespace: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            read_status(_target(users, "monitor", address, namespace), timeout_s=1, retries=0)
            return
        except ManagerError:
            if time.monotonic() > until:
                raise
        time.sleep(0.1)


def _wait_serving(users: Path, name: str, address: str, namespace: str, place: Path) -> None:
    _wait_answer(users, address, namespace)
    until = time.monotonic() + _WITHIN_S
    while time.monotonic() < until:
        status = read_status(_target(users, "monitor", address, namespace), timeout_s=2)
        if status.is_serving:
            return
        time.sleep(0.1)
    raise ToolError(f"{name} does not serve; see {place / name / 'log'}")
