"""`dhcpsync serve` on a machine that is not as it should be: a port taken, a disk that is full."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.dhcp.packet import MessageType, Received
from agent.health import WELL, Health, Kind, Severity
from agent.limits import HEALTH_QUIET_MS
from agent.member_file import FILE_NAME, STORE_NAME
from agent.model import BindingState
from agent.reasons import reasons
from agent.snmp.columns import SERVER, SUBNET, RowStatus
from agent.snmp.health_objects import reason_bits
from store import open_store
from tests.dhcp.world import Client, Said
from tests.net.conftest import Wire
from tests.net.test_engine_loop import Station
from tools.apply.file import parse_file
from tools.apply.plan import make_plan
from tools.apply.remote import Remote
from tools.credentials import Role, find_user, make_credentials, write_credentials
from tools.errors import ManagerError
from tools.history.command import read_changes
from tools.init import Founding, NewMember, make_member
from tools.lab import network
from tools.manager import Assignment
from tools.status import read_status
from tools.target import Target

ADDRESS = "198.18.0.1"
CONFIGURATION = """
[[subnet]]
prefix = "198.18.0.0/15"
pools = ["198.18.16.0-198.18.31.255"]
"""
WITHIN_S = 60
DISK_SIZE = "8m"
CLIENTS_MAX = 3000


class Served:
    """A member in a folder on `wire`'s server, and `dhcpsync serve` for it."""

    def __init__(self, wire: Wire, place: Path, folder: Path) -> None:
        self.wire = wire
        self.folder = folder
        self.log = place / "log"
        self.users = place / "users.env"
        write_credentials(self.users, make_credentials())
        new = NewMember(1, "m1", ADDRESS, 161, ("eth0",))
        make_member(folder, new, Founding("group", 3600, 3600), self.users)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        command = ("ip", "netns", "exec", self.wire.server.name, sys.executable, "-m", "tools.main")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "serve", str(self.folder)], stdout=log, stderr=log
            )
        return self.process

    def log_as_json(self) -> None:
        """With every event."""
        file = self.folder / FILE_NAME
        text = file.read_text()
        text = text.replace('format = "text"', 'format = "json"')
        file.write_text(text.replace("events = []", 'events = ["all"]'))

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=30)

    def target(self, role: Role) -> Target:
        user = find_user(self.users, role)
        return Target(ADDRESS, 161, user, lambda: network.inside(self.wire.server.name))

    def configure(self) -> None:
        """Returns when it has free addresses to give."""
        with self.target("operator").open() as manager:
            remote = Remote(manager)
            remote.write(
                make_plan(remote.rows, parse_file("test", CONFIGURATION)), lambda _step: None
            )
        wait_until(lambda: self.free() > 0)

    def free(self) -> int:
        try:
            status = read_status(self.target("monitor"), timeout_s=1, retries=0)
        except ManagerError:
            return 0
        return sum(pool.free for pool in status.pools)

    def add_subnet(self, number: int) -> None:
        """One SET; ManagerError where it is refused."""
        index = (10, number, 0, 0, 16)
        row = Assignment(SUBNET["RowStatus"], index, RowStatus.CREATE_AND_GO)
        with self.target("operator").open() as manager:
            manager.set([row])

    def add_subnets(self, numbers: range) -> None:
        for number in numbers:
            self.add_subnet(number)

    def said(self) -> str:
        return self.log.read_text()

    def engine(self) -> int:
        """The process id of the engine that was started last."""
        return int(re.findall(r"engine started, pid (\d+)", self.said())[-1])


def wait_until(come_true: Callable[[], bool], words: Callable[[], str] = lambda: "") -> None:
    until = time.monotonic() + WITHIN_S
    while not come_true():
        assert time.monotonic() < until, f"it did not come true in {WITHIN_S} s: {words()}"
        time.sleep(0.05)


# --- a port that somebody else has


@pytest.mark.parametrize(
    ("address", "port", "words"),
    [
        ("0.0.0.0", 67, r"UDP 0\.0\.0\.0:67: is in use.*ss -lunp"),
        (ADDRESS, 161, r"198\.18\.0\.1:161: Address already in use; .*ss -ulpn"),
    ],
)
def test_a_port_that_is_taken_is_one_line_and_exit_code_2(
    wire: Wire, tmp_path: Path, address: str, port: int, words: str
) -> None:
    def take() -> socket.socket:
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        other.bind((address, port))
        return other

    served = Served(wire, tmp_path, tmp_path / "m1")
    with wire.server.run(take):
        assert served.start().wait(timeout=WITHIN_S) == 2
    told = [line for line in served.said().splitlines() if line.startswith("dhcpsync: ")]
    assert len(told) == 1, served.said()
    assert re.search(words, told[0])
    assert "Traceback" not in served.said()
    # Nobody tried again what cannot succeed.
    assert "starting it again" not in served.said()


# --- a disk that is full


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    place = tmp_path / "disk"
    place.mkdir()
    options = ("-t", "tmpfs", "-o", f"size={DISK_SIZE}", "dhcpsync-test", str(place))
    subprocess.run(["mount", *options], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True, capture_output=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not one octet is left on the disk while the block lasts."""
    fill = disk / "fill"
    with fill.open("wb", buffering=0) as file:
        for size in (1 << 16, 512, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    try:
        yield
    finally:
        fill.unlink()


class Clients:
    """Clients at one station, one after the other; who was acknowledged what."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._number = 0
        self.acknowledged: dict[int, bytes] = {}
        """Client keys by address."""

    def new(self) -> Client:
        self._number += 1
        return Client(self._number, relay=0)

    def ask(self, sent: Received, client: Client, kind: MessageType) -> Said:
        """Send until the answer comes."""
        said: list[Said] = []

        def answered() -> bool:
            self._station.send(sent)
            said[:] = [one for one in self.hear(client) if one.kind is kind]
            return bool(said)

        wait_until(answered)
        return said[0]

    def hear(self, client: Client, within_s: float = 1) -> list[Said]:
        """What comes until something is for the client, and at once after it."""
        found: list[Said] = []
        while select.select([self._station._socket], [], [], 0 if found else within_s)[0]:
            hardware, _, said = self._station.hear()
            if hardware == client.hardware_address:
                found.append(said)
                if said.kind is MessageType.ACK:
                    self.acknowledged[said.address] = client.key
        return found

    def lease(self) -> None:
        client = self.new()
        offer = self.ask(client.discover(), client, MessageType.OFFER)
        self.ask(client.select(offer), client, MessageType.ACK)

    def try_until(self, over: Callable[[], bool]) -> tuple[Client, Received, MessageType]:
        """New clients, until it is `over`: the last one, what it asks in vain, and what it wants
        for that."""
        for _ in range(CLIENTS_MAX):
            client = self.new()
            sent, wanted = client.discover(), MessageType.OFFER
            self._station.send(sent)
            offers = self.hear(client)
            if offers:
                sent, wanted = client.select(offers[0]), MessageType.ACK
                self._station.send(sent)
            if not (offers and self.hear(client)) and over():
                return client, sent, wanted
        raise AssertionError(f"{CLIENTS_MAX} clients were served")


def test_a_full_disk_acknowledges_nothing_and_the_service_goes_on_when_it_is_freed(
    wire: Wire, tmp_path: Path, disk: Path
) -> None:
    served = Served(wire, tmp_path, disk / "m1")
    served.start()
    try:
        wait_until(lambda: _answers(served), served.said)
        served.configure()
        station = Station(wire)
        clients = Clients(station)
        clients.lease()
        served.add_subnet(1)
        with full(disk):
            # What the log file has room for is still written, and acknowledged.
            failed = "the store fails, nothing is offered or acknowledged"
            client, sent, wanted = clients.try_until(lambda: failed in served.said())
            before = len(clients.acknowledged)
            for _ in range(5):
                station.send(sent)
            # It offers nothing that it could not bind, and says why; it can be asked.
            other = clients.new()
            station.send(other.discover())
            assert clients.hear(other) == []
            assert len(clients.acknowledged) == before
            with pytest.raises(ManagerError):
                served.add_subnets(range(2, 200))
            wait_until(lambda: read_status(served.target("monitor")).state == "storeFailing")
            wait_until(lambda: _health(served)[:2] == ("notServing", 3), served.said)
        clients.ask(sent, client, wanted)
        wait_until(lambda: "the store commits again" in served.said(), served.said)
        served.add_subnet(200)
        assert served.said().count(failed) == 1, "one line tells it, not one for each client"

        # An engine that dies while the disk is full is started again until it can serve.
        with full(disk):
            died = served.engine()
            os.kill(died, signal.SIGKILL)
            wait_until(lambda: served.engine() != died, served.said)
        clients.lease()
        station.close()
    finally:
        served.stop()
    assert "Traceback" not in served.said()
    store = open_store(served.folder / STORE_NAME)
    with store.read() as tx:
        rows = tx.bindings_by_address(clients.acknowledged)
    store.close()
    kept = {a: row.client_key for a, row in rows.items() if row.state is BindingState.BOUND}
    assert kept == clients.acknowledged


def _answers(served: Served) -> bool:
    try:
        return read_status(served.target("monitor"), timeout_s=1, retries=0).is_serving
    except ManagerError:
        return False


# --- what is not well is said everywhere

KNOWN_WITHIN_S = 3
"""Issue 11: status, MIB, exit code and notification agree by then. Where other tests keep the
processors busy it may be twice as long."""


def _health(served: Served) -> tuple[str, int, bytes]:
    """By `dhcpsync status`, and by the MIB alone."""
    names = ("dhcpSyncServerHealth", "dhcpSyncServerHealthReasons")
    with served.target("monitor").open(timeout_s=1, retries=0) as manager:
        level, bits = manager.get([SERVER[name] for name in names])
    assert isinstance(level, int)
    assert isinstance(bits, bytes)
    status = read_status(served.target("monitor"), timeout_s=1, retries=0)
    return " ".join(reason.kind.value for reason in reasons(status)), level, bits


def _seconds_until(served: Served, words: str) -> float:
    began = time.monotonic()
    wait_until(lambda: words in served.said(), served.said)
    return time.monotonic() - began


def test_an_engine_that_hangs_is_told_by_everything_and_cleared_when_it_goes_on(
    wire: Wire, tmp_path: Path
) -> None:
    served = Served(wire, tmp_path, tmp_path / "m1")
    served.log_as_json()
    served.start()
    well = ("", 1, reason_bits(WELL))
    silent = Health(Severity.FAILING, frozenset({Kind.ENGINE_SILENT}))
    try:
        wait_until(lambda: _answers(served), served.said)
        served.configure()
        wait_until(lambda: _health(served) == well, served.said)
        time.sleep(HEALTH_QUIET_MS / 1000)  # what is told before is no notification
        os.kill(served.engine(), signal.SIGSTOP)
        assert _seconds_until(served, "dhcpSyncHealthRaised ") < 2 * KNOWN_WITHIN_S
        assert _health(served) == ("engineSilent", 3, reason_bits(silent))
        os.kill(served.engine(), signal.SIGCONT)
        assert _seconds_until(served, "dhcpSyncHealthCleared ") < 2 * KNOWN_WITHIN_S
        assert _health(served) == well
    finally:
        os.kill(served.engine(), signal.SIGCONT)
        served.stop()
    assert "the engine of m1 is silent since" in served.said()
    assert "Traceback" not in served.said()
    told = [json.loads(line) for line in served.said().splitlines()]
    events = [line["event"] for line in told if "event" in line]
    assert [(one["kind"], one["subject"], one["user"]) for one in events] == [
        ("configured", "subnet 198.18.0.0/15", "operator"),
        ("configured", "pool 198.18.16.0-198.18.31.255", "operator"),
    ]
    assert [one.number for one in read_changes(served.folder)] == [one["number"] for one in events]
