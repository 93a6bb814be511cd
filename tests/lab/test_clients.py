"""Real clients: each gets, renews and releases an address from each member (RFC 2131 3, 4.4).

The client is cut off from the other members, so that it is known who answers.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.snmp.oid import index_address
from tests.lab.conftest import need
from tests.lab.rig import Lab, wait_until
from tools.lab.demo import CLIENT_SCRIPT
from tools.lab.layout import Node

MEMBERS = ("m1", "m2", "m3")


@contextmanager
def only(lab: Lab, client: str, member: str) -> Iterator[None]:
    for other in MEMBERS:
        if other != member:
            lab.run("lab", "cut", client, other)
    yield
    lab.run("lab", "heal")


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
            assert (event, by, lease) == ("bound", server.address, "600")
            assert addresses(lab, "c1") == [address]
            client.send_signal(signal.SIGUSR1)
            wait_until(lambda: lines(events, 2), 10)
            assert events.read_text().splitlines()[1].split() == ["renew", address, by, lease]
            wait_until(lambda: transaction(lab, member, address) == (RENEWING, server.number), 5)
            client.send_signal(signal.SIGUSR2)
            wait_until(lambda: transaction(lab, member, address) == (RELEASE, server.number), 10)
        finally:
            end(client)


@pytest.mark.parametrize("member", MEMBERS)
def test_dhclient(lab: Lab, member: str, script: Path, tmp_path: Path) -> None:
    need("dhclient")
    server = Node.parse(member)
    events = tmp_path / "events"
    program = ("dhclient", "-4", "-v", "-sf", str(script), "-e", f"DHCPSYNC_EVENTS={events}")
    with only(lab, "c2", member):
        # It renews on its own only; starting it again makes it ask for its address (INIT-REBOOT).
        lab.exec("c2", *program, "-1", "eth0")
        _, address, by, _ = events.read_text().split()
        assert by == server.address
        assert addresses(lab, "c2") == [address]
        lab.exec("c2", "dhclient", "-4", "-x", "eth0")
        lab.exec("c2", *program, "-1", "eth0")
        assert events.read_text().splitlines()[1].split()[:3] == ["REBOOT", address, by]
        lab.exec("c2", *program, "-r", "eth0")
        wait_until(lambda: transaction(lab, member, address) == (RELEASE, server.number), 10)


@pytest.mark.parametrize("member", MEMBERS)
def test_dhcpcd(lab: Lab, member: str) -> None:
    need("dhcpcd")
    server = Node.parse(member)
    program = ("dhcpcd", "-4", "-A", "-L", "--nohook", "resolv.conf", "--noipv4ll")
    with only(lab, "c1", member):
        lab.exec("c1", *program, "-w", "-t", "20", "eth0")
        try:
            (address,) = addresses(lab, "c1")
            assert state_of(lab, member, address)["TransactionServer"] == server.number
            lab.exec("c1", *program, "-n", "eth0")
            wait_until(lambda: transaction(lab, member, address)[0] != SELECTING, 10)
        finally:
            lab.exec("c1", *program, "-k", "eth0", check=False)
        wait_until(lambda: transaction(lab, member, address) == (RELEASE, server.number), 10)


def lines(file: Path, count: int) -> bool:
    return file.exists() and len(file.read_text().splitlines()) >= count


def end(client: subprocess.Popen[str]) -> None:
    client.terminate()
    client.communicate(timeout=10)


def test_every_member_has_learned_what_the_others_gave(lab: Lab) -> None:
    table = lab.wait_equal(list(MEMBERS), 10)
    assert len(table) >= 3
    assert all(index_address(index) for index in table)
