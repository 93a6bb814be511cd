"""Real clients: each gets, renews and releases an address from each member (RFC 2131 3, 4.4).

The client is cut off from the other members, so that it is known who answers.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from agent.snmp.columns import GROUP
from agent.snmp.oid import format_oid, index_address
from tests.lab.conftest import need
from tests.lab.rig import HonestClients, Lab, wait_until
from tools.lab.demo import CLIENT_SCRIPT
from tools.lab.layout import Node
from tools.manager import Row

MEMBERS = ("m1", "m2", "m3")
PAIRS = (("c1", "m1"), ("c2", "m2"), ("c3", "m3"))
LEASE_S = 24
"""dhcpcd takes none that is shorter than 20 s."""
LONGER_LEASE_S = 48
POPULATION = 200


@pytest.fixture(scope="module")
def shape() -> tuple[str, ...]:
    """A client for each member, so that they can be watched side by side; leases of seconds, so
    that renewals come by themselves."""
    return ("--members", "3", "--clients", "3", "--lease", str(LEASE_S), "--mul", "60")


W = TypeVar("W")


@contextmanager
def only(lab: Lab, client: str, member: str) -> Iterator[None]:
    for other in MEMBERS:
        if other != member:
            lab.run("lab", "cut", client, other)
    yield
    lab.run("lab", "heal")


@contextmanager
def one_member_each(lab: Lab) -> Iterator[None]:
    """c1 reaches m1 and no other member, c2 m2, c3 m3."""
    with ExitStack() as stack:
        for client, member in PAIRS:
            stack.enter_context(only(lab, client, member))
        yield


def addresses(lab: Lab, node: str) -> list[str]:
    shown = lab.exec(node, "ip", "-4", "-o", "addr", "show", "dev", "eth0").stdout
    return re.findall(r"inet ([0-9.]+)/15", shown)


def state_of(lab: Lab, member: str, address: str) -> dict[str, object]:
    index = tuple(int(part) for part in address.split("."))
    return dict(lab.bindings(member).get(index, {}))


def transaction(lab: Lab, member: str, address: str) -> tuple[object, object]:
    """Type and server of the last transaction, as the member has it."""
    row = state_of(lab, member, address)
    return row.get("TransactionType"), row.get("TransactionServer")


SELECTING, RENEWING, RELEASE = 1, 3, 5


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "client-script"
    file.write_text(CLIENT_SCRIPT)
    file.chmod(0o755)
    return file


@pytest.mark.parametrize("member", MEMBERS)
def test_udhcpc(lab: Lab, member: str, script: Path, tmp_path: Path) -> None:
    server = Node.parse(member)
    events = tmp_path / "events"
    with only(lab, "c1", member):
        command = ("udhcpc", "-f", "-i", "eth0", "-t", "5", "-T", "1", "-s", str(script))
        client = lab.start_exec("c1", "env", f"DHCPSYNC_EVENTS={events}", *command)
        try:
            wait_until(lambda: lines(events, 1), 10)
            event, address, by, lease = events.read_text().split()
            assert (event, by, lease) == ("bound", server.address, str(LEASE_S))
            assert addresses(lab, "c1") == [address]
            client.send_signal(signal.SIGUSR1)
            wait_until(lambda: lines(events, 2), 10)
            assert events.read_text().splitlines()[1].split() == ["renew", address, by, lease]
            wait_until(lambda: transaction(lab, member, address) == (RENEWING, server.number), 5)
            client.send_signal(signal.SIGUSR2)
            wait_until(lambda: transaction(lab, member, address) == (RELEASE, server.number), 10)
        finally:
            end(client)


def test_dhclient(lab: Lab, script: Path, tmp_path: Path) -> None:
    need("dhclient")
    with one_member_each(lab):
        running = [Dhclient(lab, client, member, script, tmp_path) for client, member in PAIRS]
        together(running, lambda one: one.run("-1", "eth0"))
        for one in running:
            assert one.event(0) == ("BOUND", one.address, one.server.address, str(LEASE_S))
            assert addresses(lab, one.client) == [one.address]
        for one in running:
            # In RENEWING, which comes of itself at half of the lease (RFC 2131 4.4.5).
            one.wait_event(1)
            assert one.event(1) == ("RENEW", one.address, one.server.address, str(LEASE_S))
            one.wait_transaction(RENEWING)
        # Started again it asks for its address (INIT-REBOOT).
        for one in running:
            lab.exec(one.client, "dhclient", "-4", "-x", "eth0")
        together(running, lambda one: one.run("-1", "eth0"))
        for one in running:
            assert ("REBOOT", one.address, one.server.address) in [e[:3] for e in one.events()]
            one.run("-r", "eth0")
            one.wait_transaction(RELEASE)


def together(clients: Sequence[W], act: Callable[[W], object]) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(act, clients))


class Watched:
    """A client that tells its events to a file: what happened, the address, by whom, how long."""

    def __init__(self, lab: Lab, client: str, member: str, folder: Path) -> None:
        self.lab = lab
        self.client = client
        self.member = member
        self.server = Node.parse(member)
        self.file = folder / f"events-{client}"

    def events(self) -> list[tuple[str, ...]]:
        text = self.file.read_text() if self.file.exists() else ""
        return [tuple(line.split()) for line in text.splitlines()]

    def event(self, number: int) -> tuple[str, ...]:
        return self.events()[number]

    def wait_event(self, number: int) -> None:
        wait_until(lambda: lines(self.file, number + 1), LEASE_S, lambda: f"{self.events()}")

    @property
    def address(self) -> str:
        return self.event(0)[1]

    def wait_transaction(self, kind: int) -> None:
        wanted = (kind, self.server.number)
        wait_until(
            lambda: transaction(self.lab, self.member, self.address) == wanted,
            5,
            lambda: f"{wanted}: {state_of(self.lab, self.member, self.address)}",
        )


class Dhclient(Watched):
    def __init__(self, lab: Lab, client: str, member: str, script: Path, folder: Path) -> None:
        super().__init__(lab, client, member, folder)
        self._program: tuple[str, ...] = ("dhclient", "-4", "-v", "-sf", str(script))
        self._program += ("-e", f"DHCPSYNC_EVENTS={self.file}")

    def run(self, *options: str) -> None:
        self.lab.exec(self.client, *self._program, *options)


DHCPCD_SCRIPT = """#!/bin/sh
case $reason in
    BOUND|RENEW|REBIND|REBOOT)
        words="$new_ip_address $new_dhcp_server_identifier $new_dhcp_lease_time"
        echo "$reason $words" >>"$DHCPSYNC_EVENTS" ;;
esac
"""


class Dhcpcd(Watched):
    def __init__(self, lab: Lab, client: str, member: str, folder: Path) -> None:
        super().__init__(lab, client, member, folder)
        script = folder / "dhcpcd-script"
        script.write_text(DHCPCD_SCRIPT)
        script.chmod(0o755)
        self._program: tuple[str, ...] = ("dhcpcd", "-4", "-A", "-L", "--noipv4ll")
        self._program += ("-c", str(script))
        self._program += ("-e", f"DHCPSYNC_EVENTS={self.file}")

    def run(self, *options: str, check: bool = True) -> None:
        self.lab.exec(self.client, *self._program, *options, "eth0", check=check)


def test_dhcpcd(lab: Lab, tmp_path: Path) -> None:
    need("dhcpcd")
    with one_member_each(lab), ExitStack() as stack:
        running = [Dhcpcd(lab, client, member, tmp_path) for client, member in PAIRS]
        for one in running:
            stack.callback(one.run, "-k", check=False)
            lab.exec(one.client, "ip", "-4", "addr", "flush", "dev", "eth0")
        together(running, lambda one: one.run("-w", "-t", "20"))
        for one in running:
            assert one.event(0) == ("BOUND", one.address, one.server.address, str(LEASE_S))
            assert addresses(lab, one.client) == [one.address]
        for one in running:
            one.wait_event(1)
            assert one.event(1) == ("RENEW", one.address, one.server.address, str(LEASE_S))
            one.wait_transaction(RENEWING)
        for one in running:
            one.run("-k")
            one.wait_transaction(RELEASE)


def lines(file: Path, count: int) -> bool:
    return file.exists() and len(file.read_text().splitlines()) >= count


def end(client: subprocess.Popen[str]) -> None:
    client.terminate()
    client.communicate(timeout=10)


def test_every_member_has_learned_what_the_others_gave(lab: Lab) -> None:
    table = lab.wait_equal(list(MEMBERS), 10)
    assert len(table) >= 3
    assert all(index_address(index) for index in table)


def test_every_client_of_a_member_that_crashes_keeps_its_address_through_another(
    lab: Lab,
) -> None:
    """In mid-load: half of them have their leases, the others come while perfdhcp's clients do.
    Whom m1 acknowledged in its last instant, before it had told anybody, is heard in REBINDING for
    the first time: the others ask and try the address first, about two seconds, and then answer
    (docs/architecture.md). So REBINDING has to be longer than that."""
    need("perfdhcp")
    need("snmpset")
    set_lease(lab, LONGER_LEASE_S)
    words = ("-l", "eth0", "-r", "100", "-R", "100000", "-p", "10", "-W", "1000000")
    with lab.address("c2"):
        load = lab.start_exec("c2", "perfdhcp", "-4", *words)
        honest = HonestClients(POPULATION)
        try:
            wait_until(lambda: len(honest_rows(lab, "m2")) >= POPULATION // 2, 30)
            lab.run("lab", "kill", "m1", "--hard")
            load.communicate(timeout=60)

            def all_moved() -> bool:
                rows = honest_rows(lab, "m2")
                return len(rows) == POPULATION and not [one for one in rows if served_by(one, 1)]

            wait_until(all_moved, 2 * LONGER_LEASE_S, lambda: f"{honest_rows(lab, 'm2')}")
        finally:
            books = honest.close()
    assert (books.duplicates, books.lost) == ([], [])
    assert books.bound == POPULATION
    m1 = Node.parse("m1").address
    of_m1 = {name for name, leases in books.leases.items() if m1 in [by for _, by in leases]}
    # The load is shared, so that many were; and m1 died before all had come.
    assert POPULATION // 10 < len(of_m1) < POPULATION
    for name in of_m1:
        leases = books.leases[name]
        assert len({address for address, _ in leases}) == 1, f"{name}: {leases}"
        assert leases[-1][1] != m1, f"{name}: {leases}"
    lab.run("lab", "start", "m1")
    # Nobody asks any more, so that the tables come to rest.
    lab.wait_equal(list(MEMBERS), 10)


def set_lease(lab: Lab, lease_s: int) -> None:
    instance = f"{format_oid(GROUP['LeaseTime'].oid)}.1"
    lab.snmp("snmpset", "operator", "m1", instance, "u", str(lease_s))
    for member in MEMBERS:
        wait_until(
            lambda member=member: (
                lab.snmp("snmpget", "monitor", member, "-Oqv", instance).stdout.strip()
                == str(lease_s)
            ),
            15,
        )


def honest_rows(lab: Lab, member: str) -> list[Row]:
    """The rows of `lab clients`, by how its hardware addresses begin."""
    rows = lab.bindings(member).values()
    return [row for row in rows if bytes(row.get("HardwareAddress", b""))[:2] == b"\x02\xdc"]


def served_by(row: Row, member: int) -> bool:
    return row.get("TransactionServer") == member
