"""The lab's verbs: network, members and clients together.

`up` first writes down that a lab is there, then builds; whatever fails on the way, `down` (or
`up` itself) finds everything by the fixed names of the namespaces and takes it away. Members are
ordinary ones: made by `dhcpsync init`, joined by SET, configured by `dhcpsync apply`.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.clock import LAB_STEP
from agent.member_file import GROUP_NAME as STANDING_GROUP
from agent.member_file import STORE_NAME
from agent.model import MemberRole
from agent.standing import FILE_NAME as STANDING
from tools.apply.file import parse_file
from tools.apply.plan import make_plan
from tools.apply.remote import Remote
from tools.credentials import Role, find_user, make_credentials, write_credentials
from tools.errors import ManagerError, ToolError
from tools.init import Founding, NewMember, make_member, read_identity
from tools.join import set_member
from tools.lab import network, process
from tools.lab.clients import enter_command, make_client_folder
from tools.lab.layout import (
    BRIDGE,
    INTERFACE,
    POINTER,
    POOL,
    ROUTER,
    SUBNET,
    LabState,
    Node,
    load_state,
    save_state,
)
from tools.lab.population import Books, Population
from tools.status import Status, read_status
from tools.target import Target

Say = Callable[[str], None]

SERVES_WITHIN_S = 60
"""A member that starts or joins in an empty lab serves within seconds on a slow machine."""
_POLL_S = 0.2
CLOCK_STEP = "clock-step"
_BESIDE = (STANDING, STANDING_GROUP)
"""What lies beside the store, and tells copies of it apart."""

CONFIGURATION = f"""
[[subnet]]
prefix = "{SUBNET}"
name = "lab"
pools = ["{POOL}"]
options = {{ routers = "{ROUTER}", domain-name-servers = "{ROUTER}", domain-name = "lab.example" }}
"""


def up(
    members: int,
    clients: int,
    root: Path,
    lease_s: int,
    mul_s: int,
    say: Say,
    *,
    owns_root: bool = False,
    configuration: str = CONFIGURATION,
) -> LabState:
    """Build a lab; when this returns every member serves and has free addresses of each pool of the
    configuration (as in a file for `dhcpsync apply`). `owns_root`: the folder was made for it, and
    goes with it."""
    network.check_host()
    if POINTER.exists() or network.namespaces():
        raise ToolError("a lab is up already, or was left behind: `dhcpsync lab down` ends it")
    root = root.absolute()
    made_root = owns_root or not root.exists()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ToolError(f"{root} is in use: give --root a folder that is empty or not there yet")
    root.mkdir(parents=True, exist_ok=True)
    state = LabState(
        str(root),
        made_root,
        tuple(f"m{number}" for number in range(1, members + 1)),
        tuple(f"c{number}" for number in range(1, clients + 1)),
        lease_s,
        mul_s,
    )
    save_state(state)
    try:
        _build(state, say, configuration)
    except BaseException:
        # Nothing half built is left behind, but what the members said is shown.
        _show_logs(state, say)
        down(keep_files=False)
        raise
    return state


def _build(state: LabState, say: Say, configuration: str) -> None:
    write_credentials(state.credentials, make_credentials())
    network.make_bridge()
    for node in state.nodes():
        network.add_node(node)
        if not node.is_member:
            make_client_folder(state.folder(node))
    members = [node for node in state.nodes() if node.is_member]
    for node in members:
        _make_member(state, node, founds=node is members[0])
        start_process(state, node)
    first = members[0]
    _wait(state, first, "serve", lambda status: status.is_serving)
    configure(state, first, configuration)
    say(f"{first.name} has founded the group and serves {SUBNET}")
    for node in members[1:]:
        _join(state, node, first)
        say(f"{node.name} has joined and serves")
    for node in members:
        _wait(state, node, "own free addresses and hear the others", _is_settled(len(members)))


def _make_member(
    state: LabState, node: Node, *, founds: bool, role: MemberRole = MemberRole.SERVER
) -> None:
    interfaces = (INTERFACE,) if role is MemberRole.SERVER else ()
    new = NewMember(node.number, node.name, node.address, 161, interfaces, role)
    founding = Founding("lab", state.mul_s, state.lease_s) if founds else None
    make_member(state.folder(node), new, founding, state.credentials)


def start_process(state: LabState, node: Node) -> None:
    """Start the member; returns at once."""
    folder = state.folder(node)
    step = f"{LAB_STEP}={folder / CLOCK_STEP}"
    command = ["env", step, sys.executable, "-m", "agent.serve", str(folder)]
    process.start(folder, ["ip", "netns", "exec", node.namespace, *command])


def configure(state: LabState, node: Node, configuration: str) -> None:
    """What `dhcpsync apply` does, at the member."""
    wanted = parse_file("the lab's configuration", configuration)
    with target(state, node, "operator").open() as manager:
        remote = Remote(manager)
        remote.write(make_plan(remote.rows, wanted), lambda _step: None)


def _join(state: LabState, node: Node, contact: Node) -> None:
    identity = read_identity(state.folder(node))
    until = time.monotonic() + SERVES_WITHIN_S
    with target(state, contact, "operator").open(timeout_s=10, retries=0) as manager:
        while True:
            try:
                set_member(manager, identity)
                break
            except ManagerError as error:
                # A member that has just started decides nothing before it has heard every other.
                if error.status != "resourceUnavailable" or time.monotonic() > until:
                    raise
                time.sleep(_POLL_S)
    _wait(state, node, "serve", lambda status: status.is_ready)


def target(state: LabState, node: Node, role: Role) -> Target:
    """How to reach a member's agent from here, as the user of `role`."""
    return Target(
        node.address,
        161,
        find_user(state.credentials, role),
        lambda: network.inside(node.namespace),
    )


def _is_settled(members: int) -> Callable[[Status], bool]:
    def judge(status: Status) -> bool:
        return (
            status.is_serving
            and len(status.members) == members
            and all(member.is_aligned for member in status.members)
            and status.pools_low == 0
            and all(pool.free > 0 for pool in status.pools)
        )

    return judge


def _wait(state: LabState, node: Node, what: str, judge: Callable[[Status], bool]) -> Status:
    """Ask the member until it is as wished. ToolError when it has ended, or takes too long."""
    until = time.monotonic() + SERVES_WITHIN_S
    at = target(state, node, "monitor")
    words = "it does not answer"
    while time.monotonic() < until:
        if process.find(state.folder(node)) is None:
            raise ToolError(f"{node.name} has ended; see {state.folder(node) / 'log'}")
        try:
            status = read_status(at, timeout_s=1, retries=0)
            if judge(status):
                return status
            words = status.summary()
        except ManagerError as error:
            words = str(error)
        time.sleep(_POLL_S)
    raise ToolError(f"{node.name} did not {what} within {SERVES_WITHIN_S} s: {words}")


def _show_logs(state: LabState, say: Say) -> None:
    for name in state.members:
        log = state.path / name / "log"
        if log.exists():
            for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]:
                say(f"{name}: {line}")


def execute(name: str, command: Sequence[str]) -> None:
    """Become `command` inside the node's network; does not return."""
    network.check_host()
    state, node = _find(name)
    words = [*enter_command(state, node), *command]
    if shutil.which(command[0]) is None:
        raise ToolError(f"{command[0]}: no such command")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvp(words[0], words)


def run_clients(name: str, count: int, seconds: float, seed: int) -> Books:
    """Let honest clients live at the node (`tools.lab.population`); what they saw."""
    network.check_host()
    _, node = _find(name)
    if node.is_member:
        raise ToolError(f"{name} is a member; clients live at c1, c2, ...")
    with network.inside(node.namespace):
        population = Population(INTERFACE, count, seed)
    return population.run(seconds)


def _find(name: str, *, member: bool = False) -> tuple[LabState, Node]:
    node = Node.member(name) if member else Node.parse(name)
    state = load_state()
    state.require(node)
    return state, node


def clock(name: str, step_s: int) -> None:
    """Have the member see a wall clock that is out by so much, as if somebody had stepped it."""
    state, node = _find(name, member=True)
    (state.folder(node) / CLOCK_STEP).write_text(f"{step_s}\n", encoding="ascii")


def kill(name: str, *, hard: bool) -> None:
    state, node = _find(name, member=True)
    running = process.find(state.folder(node))
    if running is None:
        raise ToolError(f"{name} is not running")
    process.stop(running, hard=hard)


def start(name: str, say: Say) -> None:
    state, node = _find(name, member=True)
    if process.find(state.folder(node)) is not None:
        raise ToolError(f"{name} is running already")
    start_process(state, node)
    status = _wait(state, node, "serve", lambda status: status.is_ready or status.is_out)
    say(f"{name} runs, and is out of the group" if status.is_out else f"{name} serves")


def wipe(name: str) -> None:
    """Lose the member's folder, as a lost disk does, and make one as `dhcpsync init` does then:
    with the engine ID by which the group knows the member, and nothing else."""
    state, node = _find(name, member=True)
    _crash(state, node)
    identity = read_identity(state.folder(node))
    folder = state.folder(node)
    for file in folder.iterdir():
        if file.name != "log":
            file.unlink()
    new = NewMember(node.number, node.name, node.address, 161, (INTERFACE,), identity.role)
    make_member(folder, new, None, state.credentials, engine_id=identity.engine_id)


def _crash(state: LabState, node: Node) -> None:
    running = process.find(state.folder(node))
    if running is not None:
        process.stop(running, hard=True)


def copy(name: str) -> None:
    """Keep a copy of the member's store as it is now, beside the member's folder."""
    state, node = _find(name, member=True)
    folder, kept = state.folder(node), _copy_of(state, node)
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    _copy_beside(folder, kept)
    with (
        closing(sqlite3.connect(folder / STORE_NAME)) as store,
        closing(sqlite3.connect(kept / STORE_NAME)) as made,
    ):
        store.backup(made)


def _copy_beside(one: Path, other: Path) -> None:
    for name in _BESIDE:
        (other / name).unlink(missing_ok=True)
        if (one / name).exists():  # the group is noted when it has run for a second
            shutil.copy2(one / name, other / name)


def _copy_of(state: LabState, node: Node) -> Path:
    return state.path / f"{node.name}.copy"


def rollback(name: str, *, whole: bool) -> None:
    """Stop the member and put the copy in the place of its store. `whole`: and what lies beside the
    store too, as when a machine is set back."""
    state, node = _find(name, member=True)
    folder, kept = state.folder(node), _copy_of(state, node)
    if not kept.is_dir():
        raise ToolError(f"there is no copy of {name}; `dhcpsync lab copy {name}` makes one")
    _crash(state, node)
    for file in folder.glob(f"{STORE_NAME}*"):
        file.unlink()
    shutil.copy2(kept / STORE_NAME, folder / STORE_NAME)
    (folder / STORE_NAME).chmod(0o600)
    if whole:
        _copy_beside(kept, folder)


def join(name: str, say: Say, role: MemberRole = MemberRole.SERVER) -> None:
    node = Node.member(name)
    state = load_state()
    contact = next((one for one in _running(state) if one != node), None)
    if contact is None:
        raise ToolError("no member is running that could be asked")
    if name not in state.members:
        # Written down before it is made, so that `down` and a second try know of it.
        state = state.with_member(node)
        save_state(state)
        network.add_node(node)
        _make_member(state, node, founds=False, role=role)
    if process.find(state.folder(node)) is None:
        start_process(state, node)
    _join(state, node, contact)
    say(f"{name} has joined and {'serves' if role is MemberRole.SERVER else 'publishes'}")


def _running(state: LabState) -> list[Node]:
    members = [Node.parse(name) for name in state.members]
    return [node for node in members if process.find(state.folder(node)) is not None]


def cut(one: str, other: str, *, one_way: bool) -> None:
    state, first = _find(one)
    second = Node.parse(other)
    state.require(second)
    if first == second:
        raise ToolError(f"{one} has no link to itself")
    state = state.with_cut(first, second, one_way)
    network.set_cuts(state.cuts)
    save_state(state)


def heal() -> None:
    state = replace(load_state(), cuts=())
    network.set_cuts(())
    save_state(state)


def status() -> tuple[dict[str, Any], Status | None]:
    """What runs, and the group as the first member that answers sees it."""
    state = load_state()
    found: Status | None = None
    members = []
    for name in state.members:
        node = Node.parse(name)
        running = process.find(state.folder(node))
        members.append(
            {
                "name": name,
                "address": node.address,
                "namespace": node.namespace,
                "running": running is not None,
                "pid": None if running is None else running.pid,
            }
        )
        if running is not None and found is None:
            try:
                found = read_status(target(state, node, "monitor"), timeout_s=2, retries=1)
            except ManagerError:
                continue
    report = {
        "root": state.root,
        "credentials": str(state.credentials),
        "members": members,
        "clients": [
            {"name": name, "namespace": Node.parse(name).namespace} for name in state.clients
        ],
        "cuts": [list(one) for one in state.cuts],
    }
    return report, found


def down(*, keep_files: bool) -> None:
    """Take away every trace, also of a lab that was never finished."""
    network.check_host()
    try:
        state: LabState | None = load_state()
    except ToolError:
        state = None
    names = network.namespaces()
    if BRIDGE in names:
        names = [name for name in names if name != BRIDGE] + [BRIDGE]
    network.remove(names)
    if state is not None and not keep_files:
        remove_files(state)
    POINTER.unlink(missing_ok=True)


def remove_files(state: LabState) -> None:
    for name in (*state.members, *state.clients):
        shutil.rmtree(state.path / name, ignore_errors=True)
        shutil.rmtree(state.path / f"{name}.copy", ignore_errors=True)
    for file in (state.credentials, state.path / "lab.json"):
        file.unlink(missing_ok=True)
    if state.made_root and not any(state.path.iterdir()):
        state.path.rmdir()
