"""Probes against a real kernel at the other end of a link."""

from __future__ import annotations

import select
import socket
from pathlib import Path

import pytest

from agent.dhcp.probes import BY_ROUTE, ProbeWish
from agent.errors import ConfigError
from agent.model import parse_address as A  # noqa: N812
from agent.net.link import load_interfaces
from agent.net.probe import ProbeAnswer, ProbeSockets
from tests.net.conftest import Wire

CLIENT = "198.18.15.2"
NOBODY = A("198.18.15.3")


@pytest.fixture
def client(wire: Wire) -> bytes:
    """The hardware address of a machine that uses CLIENT."""
    wire.client.ip("address", "add", f"{CLIENT}/15", "dev", "eth0")
    interfaces = wire.client.run(load_interfaces)
    return next(one.hardware_address for one in interfaces.values() if one.name == "eth0")


def index_of(wire: Wire) -> int:
    return wire.server.run(lambda: socket.if_nametoindex("eth0"))


def answers(probe: ProbeSockets, within_s: float = 5) -> list[ProbeAnswer]:
    select.select([probe.arp, probe.icmp], [], [], within_s)
    return probe.receive()


def echoes(probe: ProbeSockets) -> list[ProbeAnswer]:
    """Without the kernel's own ARP, on the way to the first echo."""
    assert select.select([probe.icmp], [], [], 5)[0]
    return [one for one in probe.receive() if not one.hardware_address]


def test_arp_tells_who_has_the_address(wire: Wire, client: bytes) -> None:
    probe = wire.server.run(ProbeSockets)
    interfaces = wire.server.run(load_interfaces)
    index = index_of(wire)
    probe.send(ProbeWish(NOBODY, index), interfaces)
    probe.send(ProbeWish(A(CLIENT), index), interfaces)
    assert answers(probe) == [ProbeAnswer(A(CLIENT), client)]
    probe.close()


def test_an_arp_probe_leaves_no_trace_in_the_others_cache(wire: Wire, client: bytes) -> None:
    probe = wire.server.run(ProbeSockets)
    probe.send(ProbeWish(A(CLIENT), index_of(wire)), wire.server.run(load_interfaces))
    assert answers(probe)
    shown = wire.client.run(Path("/proc/thread-self/net/arp").read_text)
    assert "0.0.0.0" not in shown
    assert "198.18.0.1" not in shown
    probe.close()


def test_an_echo_is_answered_and_says_no_hardware_address(wire: Wire, client: bytes) -> None:
    probe = wire.server.run(ProbeSockets)
    probe.send(ProbeWish(A(CLIENT), BY_ROUTE), {})
    assert ProbeAnswer(A(CLIENT), b"") in echoes(probe)
    probe.close()


def test_an_echo_through_a_router(wire: Wire, client: bytes) -> None:
    wire.server.ip("route", "add", "10.9.0.0/16", "via", CLIENT)
    wire.client.ip("address", "add", "10.9.0.7/32", "dev", "lo")
    probe = wire.server.run(ProbeSockets)
    probe.send(ProbeWish(A("10.9.0.7"), BY_ROUTE), {})
    assert echoes(probe) == [ProbeAnswer(A("10.9.0.7"), b"")]
    probe.close()


def test_the_ordinary_noise_of_a_link_wakes_nobody(wire: Wire, client: bytes) -> None:
    """Others' ARP requests, and pings of another program."""
    probe = wire.server.run(ProbeSockets)
    other = wire.server.run(ProbeSockets)
    other._identifier ^= 0x5555
    other.send(ProbeWish(A(CLIENT), BY_ROUTE), {})
    assert echoes(other) == [ProbeAnswer(A(CLIENT), b"")]
    assert all(one.hardware_address for one in probe.receive())
    sender = wire.client.run(ProbeSockets)
    client_index = wire.client.run(lambda: socket.if_nametoindex("eth0"))
    sender.send(ProbeWish(NOBODY, client_index), wire.client.run(load_interfaces))
    assert answers(probe, 0.3) == []
    for one in (probe, other, sender):
        one.close()


def test_an_interface_that_is_gone_is_an_error_of_this_send(wire: Wire) -> None:
    probe = wire.server.run(ProbeSockets)
    with pytest.raises(OSError, match="interface 99"):
        probe.send(ProbeWish(NOBODY, 99), {})
    probe.close()


def test_without_the_right_to_raw_sockets_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object) -> socket.socket:
        raise PermissionError

    monkeypatch.setattr("agent.net.probe.socket.socket", refused)
    with pytest.raises(ConfigError, match="CAP_NET_RAW"):
        ProbeSockets()
