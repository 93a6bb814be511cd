"""The shells on real sockets in network namespaces."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.dhcp.packet import Reply
from agent.errors import ConfigError
from agent.limits import DATAGRAM_MAX
from agent.model import parse_address as A  # noqa: N812
from agent.net.link import (
    InterfaceMonitor,
    LinkSocket,
    build_datagram,
    check_served,
    load_interfaces,
)
from agent.net.udp import DhcpSocket
from agent.net.wake import WakeSocket
from tests.net.conftest import Wire

ME = A("198.18.0.1")
CLIENT = "198.18.15.2"
EVERYBODY = 0xFFFF_FFFF


def wait_readable(source: socket.socket | DhcpSocket | InterfaceMonitor) -> None:
    assert select.select([source], [], [], 5)[0], "nothing came in 5 s"


def udp_socket(port: int) -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    one.bind(("", port))
    one.settimeout(5)
    return one


@pytest.fixture
def client(wire: Wire) -> str:
    wire.client.ip("address", "add", f"{CLIENT}/15", "dev", "eth0")
    return CLIENT


def index_of(wire: Wire) -> int:
    return wire.server.run(lambda: socket.if_nametoindex("eth0"))


# --- UDP


def test_datagrams_carry_source_destination_and_interface(wire: Wire, client: str) -> None:
    server = wire.server.run(lambda: DhcpSocket(67))
    sender = wire.client.run(lambda: udp_socket(68))
    with sender:
        sender.sendto(b"to you", ("198.18.0.1", 67))
        sender.sendto(b"to all", ("198.19.255.255", 67))
        wait_readable(server)
        while len(received := server.receive(10).datagrams) < 2:
            sender.sendto(b"to you", ("198.18.0.1", 67))
            sender.sendto(b"to all", ("198.19.255.255", 67))
            wait_readable(server)
    one, two = received[:2]
    assert (one.data, one.source, one.destination) == (b"to you", A(client), ME)
    assert (two.data, two.destination) == (b"to all", A("198.19.255.255"))
    assert one.interface == two.interface == index_of(wire)
    server.close()


def test_receive_takes_what_waits_and_never_blocks(wire: Wire, client: str) -> None:
    server = wire.server.run(lambda: DhcpSocket(67))
    assert server.receive(5).datagrams == []
    with wire.client.run(lambda: udp_socket(68)) as sender:
        for number in range(7):
            sender.sendto(b"%d" % number, ("198.18.0.1", 67))
        sender.sendto(b"x" * (DATAGRAM_MAX + 1), ("198.18.0.1", 67))
        sender.sendto(b"end", ("198.18.0.1", 67))
    got: list[bytes] = []
    too_long = 0
    while b"end" not in got:
        wait_readable(server)
        drained = server.receive(5)
        assert len(drained.datagrams) <= 5
        too_long += drained.too_long
        got += [one.data for one in drained.datagrams]
    assert got == [b"%d" % number for number in range(7)] + [b"end"]
    assert too_long == 1
    server.close()


def test_replies_leave_from_the_server_identifier(wire: Wire, client: str) -> None:
    wire.server.ip("address", "add", "198.18.0.99/15", "dev", "eth0")
    server = wire.server.run(lambda: DhcpSocket(67))
    with wire.client.run(lambda: udp_socket(68)) as listener:
        server.send(Reply(b"unicast", A(client), 68, A("198.18.0.99"), 0))
        assert listener.recvfrom(100) == (b"unicast", ("198.18.0.99", 67))
        server.send(Reply(b"all", EVERYBODY, 68, A("198.18.0.99"), index_of(wire)))
        assert listener.recvfrom(100) == (b"all", ("198.18.0.99", 67))
        # An identifier that is no address of this machine must not silence the server.
        server.send(Reply(b"lost", A(client), 68, A("203.0.113.9"), 0))
        assert listener.recvfrom(100) == (b"lost", ("198.18.0.1", 67))
    with pytest.raises(OSError):
        server.send(Reply(b"nowhere", A("203.0.113.1"), 68, ME, 0))
    server.close()


def test_a_port_in_use_is_named_with_what_to_do(wire: Wire) -> None:
    server = wire.server.run(lambda: DhcpSocket(67))
    with pytest.raises(ConfigError, match=r"UDP 0\.0\.0\.0:67: is in use.*ss -lunp.*dhcp\.port"):
        wire.server.run(lambda: DhcpSocket(67))
    server.close()


@pytest.mark.parametrize("make", [DhcpSocket, LinkSocket])
def test_missing_rights_are_named(wire: Wire, make: Callable[[int], object]) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            make(67)
        except ConfigError as error:
            code = 0 if "may not be opened" in str(error) and "CAP_NET_RAW" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# --- the link layer


@pytest.mark.parametrize("data", [b"even", b"odd", b"", b"\xff" * 301])
def test_frames_reach_a_hardware_address_with_right_checksums(
    wire: Wire, client: str, data: bytes
) -> None:
    link = wire.server.run(LinkSocket)
    hardware = wire.client.run(load_interfaces)
    eth0 = next(one for one in hardware.values() if one.name == "eth0")
    with wire.client.run(lambda: udp_socket(68)) as listener:
        # The client's kernel drops what has a wrong checksum; no ARP entry exists for it.
        link.send(Reply(data, A(client), 68, ME, index_of(wire), eth0.hardware_address), "eth0")
        assert listener.recvfrom(1000) == (data, ("198.18.0.1", 67))
    link.close()


def test_the_golden_datagram() -> None:
    datagram = build_datagram(ME, A("198.18.16.0"), 67, 68, b"\x02\x01")
    assert datagram == bytes.fromhex(
        "45"  # version 4, header of 5 words
        "00"  # type of service
        "001e"  # total length: 20 + 8 + 2
        "0000"  # identification
        "4000"  # do not fragment
        "40"  # time to live
        "11"  # UDP
        "9ea9"  # header checksum
        "c6120001"  # from 198.18.0.1
        "c6121000"  # to 198.18.16.0
        "0043"  # from port 67
        "0044"  # to port 68
        "000a"  # length
        "612c"  # checksum with pseudo header
        "0201"
    )


def test_interfaces_come_with_their_addresses_in_order(wire: Wire) -> None:
    wire.server.ip("address", "add", "10.9.0.1/24", "dev", "eth0")
    wire.server.ip("address", "add", "198.18.0.5/15", "dev", "eth0")
    table = wire.server.run(load_interfaces)
    eth0 = next(one for one in table.values() if one.name == "eth0")
    assert eth0.addresses[0] == ME
    assert set(eth0.addresses[1:]) == {A("198.18.0.5"), A("10.9.0.1")}
    assert eth0.served
    assert len(eth0.hardware_address) == 6
    lo = next(one for one in table.values() if one.name == "lo")
    assert not lo.served
    named = wire.server.run(lambda: load_interfaces(["lo"]))
    assert {one.name for one in named.values() if one.served} == {"lo"}


def test_an_unknown_interface_is_named_beside_those_there_are(wire: Wire) -> None:
    table = wire.server.run(load_interfaces)
    check_served(table, ["eth0"])
    with pytest.raises(ConfigError, match=r"'eth9' is no interface.*eth0.*lo"):
        check_served(table, ["eth9"])


def test_the_monitor_tells_of_new_addresses(wire: Wire) -> None:
    monitor = wire.server.run(InterfaceMonitor)
    monitor.drain()
    wire.server.ip("address", "add", "10.9.0.1/24", "dev", "eth0")
    wait_readable(monitor)
    monitor.drain()
    assert not select.select([monitor], [], [], 0)[0]
    monitor.close()


# --- the wake-up socket


def test_wake_ups_arrive_and_are_drained(tmp_path: Path) -> None:
    engine = WakeSocket(tmp_path / "engine.sock", tmp_path / "agent.sock")
    engine.notify()  # nobody there yet
    agent = WakeSocket(tmp_path / "agent.sock", tmp_path / "engine.sock")
    for _ in range(1000):  # far more than the socket holds: it must not block
        engine.notify()
    assert agent.drain()
    while agent.drain():
        pass
    assert not engine.drain()
    engine.close()
    agent.close()
    assert not list(tmp_path.iterdir())


def test_a_stale_wake_socket_is_replaced_and_a_live_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(path))
    live = WakeSocket(path, tmp_path / "agent.sock")
    with pytest.raises(ConfigError, match="this member runs already"):
        WakeSocket(path, tmp_path / "agent.sock")
    assert path.exists()
    live.close()


def test_a_path_too_long_for_a_local_socket_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shorter path"):
        WakeSocket(tmp_path / ("x" * 120), tmp_path / "agent.sock")
