"""`make demo`: the main job, with real clients, in about a minute; checks its own claims.

Three members; clients get addresses; the member that served one is killed as a crash would; the
client, which knows nothing of that, renews, finds nobody, asks everybody, and keeps its address.
The member comes back and catches up; a fourth joins and pulls every binding. The lease is short,
so that renewal comes soon.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from agent.snmp.columns import BINDING
from agent.snmp.oid import Oid
from tools.console import plain_console
from tools.errors import ToolError
from tools.lab import lab, network, process
from tools.lab.clients import enter_command
from tools.lab.compare import describe, differences
from tools.lab.layout import INTERFACE, LabState, Node, load_state
from tools.manager import Row

MEMBERS = 3
LEASE_S = 20
MUL_S = 60
CROWD = 24
"""Further clients, so that there is something to pull."""
_EVENT_WITHIN_S = 30
_EQUAL_WITHIN_S = 20
_POLL_S = 0.1

CLIENT_SCRIPT = """#!/bin/sh
# Called by udhcpc ($1 says what happened) and by dhclient ($reason does): sets the address inside
# this namespace and notes what was granted, by whom. Touches nothing else.
if [ -n "$reason" ]; then
    ip=$new_ip_address mask=$new_subnet_mask lease=$new_dhcp_lease_time
    serverid=$new_dhcp_server_identifier interface=$interface
    case $reason in
        BOUND|RENEW|REBIND|REBOOT) event=$reason ;;
        *) exit 0 ;;
    esac
else
    case $1 in
        bound|renew) event=$1 mask=$subnet ;;
        deconfig) ip link set "$interface" up; ip -4 addr flush dev "$interface"; exit 0 ;;
        *) exit 0 ;;
    esac
fi
ip -4 addr show dev "$interface" | grep -q "inet $ip/" || {
    ip -4 addr flush dev "$interface"
    ip -4 addr add "$ip/$mask" dev "$interface"
}
echo "$event $ip $serverid $lease" >>"$DHCPSYNC_EVENTS"
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """What a client was told last."""

    event: str
    address: str
    server: str


@dataclass
class Story:
    """What happened, for the table at the end."""

    console: Console
    progress: Progress
    rows: list[tuple[str, str, bool, float]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Shows `title` while it lasts; the block says what came of it. A ToolError is a row of
        its own and ends the story."""
        task = self.progress.add_task(title, total=None)
        begin = time.monotonic()
        result: list[str] = []
        try:
            yield result.append
        except ToolError as error:
            self.rows.append((title, str(error), False, time.monotonic() - begin))
            raise
        finally:
            self.progress.remove_task(task)
        elapsed_s = time.monotonic() - begin
        self.rows.append((title, "; ".join(result), True, elapsed_s))
        self.console.print(
            Text.assemble(("ok", "green"), f" {title} ", (f"{elapsed_s:.1f} s", "dim"))
        )

    def table(self) -> Table:
        table = Table("", "step", "what happened", title="dhcpsync demo")
        table.add_column("seconds", justify="right")
        for title, result, true, elapsed_s in self.rows:
            mark = Text("ok", "green") if true else Text("NOT", "red")
            table.add_row(mark, title, result, f"{elapsed_s:.1f}")
        return table


def run_demo(*, keep: bool) -> int:
    """Returns the exit code: 0 where every claim held, else 1."""
    network.check_host()
    if shutil.which("udhcpc") is None:
        raise ToolError("udhcpc is missing (package udhcpc): the demo needs a real DHCP client")
    console = plain_console()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
    )
    root = Path(tempfile.mkdtemp(prefix="dhcpsync-demo-"))
    held = False
    state: LabState | None = None
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            story = Story(console, progress)
            try:
                state = _bring_up(story, root)
                _play(story, state)
                held = True
            except ToolError as error:
                console.print(str(error), style="red", highlight=False)
        console.print(story.table())
        if held:
            console.print("every claim held")
        else:
            console.print("a claim did not hold, see above", style="red")
    finally:
        if keep and state is not None:
            _explain(console, state)
        else:
            if state is not None:
                lab.down(keep_files=False)
            shutil.rmtree(root, ignore_errors=True)
    return 0 if held else 1


def _bring_up(story: Story, root: Path) -> LabState:
    with story.step(f"{MEMBERS} members found a group and share a pool") as told:
        clients = 2 if shutil.which("dhclient") else 1
        state = lab.up(MEMBERS, clients, root, LEASE_S, MUL_S, lambda _line: None, owns_root=True)
        report, status = lab.status()
        assert status is not None, "up returns when the members answer"
        told(f"each serves from its own store; {len(report['members'])} are in step")
        told(f"pool {status.pools[0].first}-{status.pools[0].last}")
    script = _client_script(state)
    script.write_text(CLIENT_SCRIPT, encoding="utf-8")
    script.chmod(0o755)
    return state


def _play(story: Story, state: LabState) -> None:
    first = Node.parse("c1")
    with story.step("Clients get addresses (DISCOVER, OFFER, REQUEST, ACK)") as told:
        _start_udhcpc(state, first)
        lease = _next_lease(state, first, 0)
        told(f"udhcpc has {lease.address} from {_server(state, lease)}")
        if "c2" in state.clients:
            other = Node.parse("c2")
            _start_dhclient(state, other)
            second = _next_lease(state, other, 0)
            if second.address == lease.address:
                raise ToolError(f"two clients have {lease.address}")
            told(f"dhclient has {second.address} from {_server(state, second)}")
    with story.step(f"{CROWD} more clients come and go") as told:
        told(f"{_crowd(state)} have addresses")
    _crash(story, state, first, lease)
    with story.step("A fourth member joins by one SET and takes over every binding") as told:
        lab.join("m4", lambda _line: None)
        told("it serves")
    with story.step("All binding tables are compared row by row over SNMP") as told:
        rows = _equal_tables(load_state())
        told(f"4 members, {rows} bindings each, no difference")


def _crash(story: Story, state: LabState, client: Node, lease: Lease) -> None:
    server = _server(state, lease)
    with story.step(f"{server} crashes (SIGKILL); its client keeps its address") as told:
        before = len(_leases(state, client))
        lab.kill(server, hard=True)
        while True:
            kept = _next_lease(state, client, before)
            if kept.server != lease.server:
                break
            before += 1  # it had renewed in the moment before the crash
        if kept.address != lease.address:
            raise ToolError(f"the client had {lease.address} and now has {kept.address}")
        told(f"{kept.address} renewed by {_server(state, kept)}, which had learned of it by INFORM")
    with story.step(f"{server} comes back and catches up") as told:
        lab.start(server, lambda _line: None)
        rows = _equal_tables(state)
        told(f"{len(state.members)} members, {rows} bindings each, no difference")


def _start_udhcpc(state: LabState, node: Node) -> None:
    command = ["udhcpc", "-f", "-i", INTERFACE, "-t", "5", "-T", "1", "-s"]
    _start_client(state, node, [*command, str(_client_script(state))])


def _start_dhclient(state: LabState, node: Node) -> None:
    # A copy: some distributions confine the original by its path, to their own script.
    original = shutil.which("dhclient")
    assert original is not None
    copy = state.folder(node) / "dhclient"
    shutil.copy(Path(original).resolve(), copy)
    configuration = state.folder(node) / "dhclient.conf"
    configuration.write_text("timeout 20;\ninitial-interval 1;\n", encoding="utf-8")
    script = str(_client_script(state))
    events = f"DHCPSYNC_EVENTS={_events(state, node)}"
    command = [str(copy), "-4", "-d", "-cf", str(configuration), "-sf", script, "-e", events]
    _start_client(state, node, [*command, INTERFACE])


def _start_client(state: LabState, node: Node, command: list[str]) -> None:
    events = f"DHCPSYNC_EVENTS={_events(state, node)}"
    process.start(state.folder(node), [*enter_command(state, node), "env", events, *command])


def _client_script(state: LabState) -> Path:
    """In a client's folder, with which `lab down` takes it away."""
    return state.folder(Node.parse("c1")) / "client-script"


def _events(state: LabState, node: Node) -> Path:
    return state.folder(node) / "events"


def _leases(state: LabState, node: Node) -> list[Lease]:
    try:
        lines = _events(state, node).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [Lease(*line.split()[:3]) for line in lines]


def _next_lease(state: LabState, node: Node, after: int) -> Lease:
    """The lease that the client is told after so many others."""
    until = time.monotonic() + _EVENT_WITHIN_S
    while time.monotonic() < until:
        leases = _leases(state, node)
        if len(leases) > after:
            return leases[after]
        time.sleep(_POLL_S)
    log = (state.folder(node) / "log").read_text(encoding="utf-8", errors="replace")
    last = (log.strip().splitlines() or ["it said nothing"])[-1]
    raise ToolError(f"{node.name} was given no lease within {_EVENT_WITHIN_S} s: {last}")


def _server(state: LabState, lease: Lease) -> str:
    """The member whose address is the lease's server identifier (option 54)."""
    for name in state.members:
        if Node.parse(name).address == lease.server:
            return name
    raise ToolError(f"{lease.address} came from {lease.server}, which is no member")


def _crowd(state: LabState) -> int:
    """Short-lived clients, each with a client identifier of its own; returns how many had luck."""
    node = Node.parse(state.clients[-1])
    one = f"udhcpc -f -q -n -i {INTERFACE} -t 5 -T 1 -s /bin/true -C -x 0x3d:00"
    loop = f"for n in $(seq 10 {CROWD + 9}); do {one}{b'demo'.hex()}$n || exit 1; done"
    try:
        network.run(*enter_command(state, node), "sh", "-c", loop)
    except ToolError:
        raise ToolError("a client got no address") from None
    return CROWD


def _equal_tables(state: LabState) -> int:
    """Wait until all members show the same binding table; returns its number of rows."""
    until = time.monotonic() + _EQUAL_WITHIN_S
    while True:
        tables = {name: _bindings(state, Node.parse(name)) for name in state.members}
        (one, table), *others = tables.items()
        found = {name: differences(table, other) for name, other in others}
        if table and not any(found.values()):
            return len(table)
        if time.monotonic() > until:
            break
        time.sleep(_POLL_S)
    if not table:
        raise ToolError(f"{one} has no binding")
    name, rows = next((name, rows) for name, rows in found.items() if rows)
    raise ToolError(f"{one} and {name}: {describe(rows)}")


def _bindings(state: LabState, node: Node) -> dict[Oid, Row]:
    with lab.target(state, node, "monitor").open() as manager:
        return manager.table(BINDING)


def own_command(program: str) -> str:
    """How the command that runs can be given again, where no `dhcpsync` is in the PATH."""
    path = Path(program)
    return str(path.absolute()) if path.name == "dhcpsync" else f"{sys.executable} -m tools.main"


def _explain(console: Console, state: LabState) -> None:
    dhcpsync = own_command(sys.argv[0])
    console.print(
        f"""
The lab is still up; {state.credentials} has the SNMPv3 users. Try, as root:
  {dhcpsync} lab status
  {dhcpsync} lab exec c1 -- ip addr show {INTERFACE}
  {dhcpsync} lab kill m1 --hard
  {dhcpsync} lab cut m2 m3
  . {state.credentials}; {dhcpsync} lab exec m1 -- snmpbulkwalk -v3 -l authPriv -a SHA-256 -x AES \\
      -u "$MONITOR_USER" -A "$MONITOR_AUTH" -X "$MONITOR_PRIV" 198.18.0.2 1.3.6.1.4.1.32473.67
  {dhcpsync} lab down
""",
        highlight=False,
        soft_wrap=True,
    )
