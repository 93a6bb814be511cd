"""The whole engine between real sockets: directly attached clients that have no address yet."""

from __future__ import annotations

import logging
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from agent.clock import BootClock, boot_ms, measure_anchor
from agent.dhcp.engine import DhcpServer
from agent.dhcp.packet import MessageType, Received, Reply
from agent.engine import EngineSockets, StopSignal, _handle, _handle_held, run_engine
from agent.errors import ConfigError
from agent.model import BindingState, EngineBeat, Enquiry, Transaction, format_address
from agent.net.link import build_datagram, load_interfaces
from agent.net.wake import WakeSocket
from store.database import Store
from tests.dhcp.world import FIRST, LAST, Client, Said, World, bindable
from tests.net.conftest import Wire

ETHERNET_HEADER = 14
IP_UDP_HEADERS = 28


@dataclass
class Running:
    wire: Wire
    world: World
    agent: WakeSocket
    store: Store
    stop: StopSignal
    thread: threading.Thread

    def finish(self) -> None:
        self.stop.request()
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def running(wire: Wire, tmp_path: Path) -> Iterator[Running]:
    """An engine in the server's namespace, on a store in memory that only its thread uses."""
    world = World()
    sockets = wire.server.run(lambda: EngineSockets(["eth0"]))
    world.server.set_interfaces(sockets.interfaces)
    wake = WakeSocket(tmp_path / "engine.sock", tmp_path / "agent.sock")
    agent = WakeSocket(tmp_path / "agent.sock", tmp_path / "engine.sock")
    stop = StopSignal()

    def body() -> None:
        wire.server.enter()
        run_engine(world.server, sockets, wake, BootClock(measure_anchor()), stop)

    thread = threading.Thread(target=body)
    thread.start()
    one = Running(wire, world, agent, world.store, stop, thread)
    try:
        yield one
    finally:
        one.finish()
        for resource in (sockets, wake, agent, stop):
            resource.close()


class Station:
    """A client's interface without an address: sends and sees raw frames."""

    def __init__(self, wire: Wire, number: int = 1, flags: int = 0) -> None:
        table = wire.client.run(load_interfaces)
        self.eth0 = next(one for one in table.values() if one.name == "eth0")
        self.client = Client(number, relay=0, flags=flags)
        self._socket = wire.client.run(
            lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        )
        self._socket.bind(("eth0", 0x0800))
        # Frames to the client's own (invented) hardware address are to be seen as well.
        membership = self.eth0.index.to_bytes(4, "little") + b"\x01\0\0\0" + bytes(8)
        self._socket.setsockopt(263, 1, membership)  # SOL_PACKET, PACKET_ADD_MEMBERSHIP promisc

    def send(self, received: Received) -> None:
        datagram = build_datagram(0, 0xFFFF_FFFF, 68, 67, received.data)
        header = b"\xff" * 6 + self.eth0.hardware_address + b"\x08\x00"
        self._socket.send(header + datagram)

    def hear(self) -> tuple[bytes, bytes, Said]:
        """The next reply: hardware address and IP address that it goes to, and the message."""
        while True:
            assert select.select([self._socket], [], [], 5)[0], "no reply in 5 s"
            frame, address = self._socket.recvfrom(2000)
            if address[2] != socket.PACKET_OUTGOING and frame[23] == 17:
                data = frame[ETHERNET_HEADER + IP_UDP_HEADERS :]
                return frame[:6], frame[30:34], Said.parse(Reply(data, 0, 0, 0, 0))

    def close(self) -> None:
        self._socket.close()


def test_rfc2131_4_1_a_client_without_address_is_reached_at_its_hardware_address(
    running: Running,
) -> None:
    station = Station(running.wire)
    station.send(station.client.discover())
    hardware, address, offer = station.hear()
    assert hardware == station.client.hardware_address
    assert address == offer.address.to_bytes(4, "big")
    station.send(station.client.select(offer))
    hardware, address, ack = station.hear()
    assert ack.kind is MessageType.ACK
    assert hardware == station.client.hardware_address
    assert select.select([running.agent], [], [], 5)[0], "the agent was not woken"
    station.close()
    running.finish()
    assert running.world.known(ack.address).client_key == station.client.key
    with running.store.read() as tx:
        assert tx.counters()["acks"] == 1


def test_rfc2131_4_1_the_broadcast_flag_brings_a_broadcast(running: Running) -> None:
    station = Station(running.wire, flags=0x8000)
    station.send(station.client.discover())
    hardware, address, offer = station.hear()
    assert hardware == address + b"\xff\xff" == b"\xff" * 6
    assert FIRST <= offer.address <= LAST
    station.close()


def test_rubbish_and_unreachable_clients_do_not_stop_the_service(running: Running) -> None:
    station = Station(running.wire)
    station.send(Received(b"rubbish", 0, 0, 0))
    lost = Client(2, relay=0).message(8, {}, ciaddr=0x0A00_0001)
    station.send(lost)
    # A relay in our subnet that does not exist: the reply waits for ARP in vain.
    station.send(Client(3).discover())
    station.send(station.client.discover())
    assert station.hear()[2].kind is MessageType.OFFER
    station.close()
    running.finish()
    with running.store.read() as tx:
        counters = tx.counters()
    assert counters["dropped_truncated"] == 1
    assert counters["dropped_no_subnet"] == 1


def test_a_new_address_of_the_interface_is_served_from(running: Running) -> None:
    running.wire.server.ip("address", "del", "198.18.0.1/15", "dev", "eth0")
    running.wire.server.ip("address", "add", "198.18.0.9/15", "dev", "eth0")
    station = Station(running.wire)
    offer = None
    for _ in range(50):  # until the engine has heard of it
        station.send(station.client.discover())
        if select.select([station._socket], [], [], 0.1)[0]:
            offer = station.hear()[2]
            if offer.options[54] == bytes([198, 18, 0, 9]):
                break
    assert offer is not None
    assert offer.options[54] == bytes([198, 18, 0, 9])
    station.close()


@pytest.mark.skipif(not shutil.which("udhcpc"), reason="udhcpc is not installed")
def test_udhcpc_gets_and_releases_an_address(running: Running, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(
        "#!/bin/sh\n"
        '[ "$1" = bound ] && ip address add $ip/$mask dev $interface\n'
        f'echo "$1 $ip $router $domain" >> {tmp_path}/events\n'
    )
    script.chmod(0o755)
    command = ["ip", "netns", "exec", running.wire.client.name, "udhcpc", "-f", "-i", "eth0"]
    command += ["-n", "-q", "-R", "-s", str(script), "-t", "5", "-T", "1", "-A", "1"]
    subprocess.run(command, check=True, timeout=30, capture_output=True)
    events = (tmp_path / "events").read_text().splitlines()
    bound = next(line for line in events if line.startswith("bound"))
    assert bound.split() == ["bound", "198.18.16.0", "198.18.0.254", "example.org"]


def test_an_unknown_interface_is_refused_at_the_start(wire: Wire) -> None:
    with pytest.raises(ConfigError, match="eth7"):
        wire.server.run(lambda: EngineSockets(["eth7"]))


class Poisoned(DhcpServer):
    """A server with a bug that the datagram b"poison" brings to light."""

    def handle_batch(self, datagrams: Sequence[Received], now_ms: int) -> list[Reply]:
        if any(one.data == b"poison" for one in datagrams):
            raise KeyError("a bug")
        return super().handle_batch(datagrams, now_ms)


def test_what_fails_when_it_is_handled_anew_does_not_end_the_engine(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    server = DhcpServer(world.store, world.interfaces)
    with caplog.at_level(logging.ERROR), patch.object(server, "handle_held", side_effect=KeyError):
        assert _handle_held(server, world.now_ms) == []
    assert server.counters()["internal_errors"] == 1
    assert "messages that had waited failed" in caplog.text


def test_one_poisonous_datagram_does_not_silence_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    server = Poisoned(world.store, world.interfaces)
    batch = [Client(1).discover(), Received(b"poison", 0, 0, 2), Client(2).discover()]
    with caplog.at_level(logging.ERROR):
        replies = _handle(server, batch, world.now_ms)
    assert len(replies) == 2
    assert server.counters()["internal_errors"] == 2
    assert "a bug" in caplog.text


def bind_in_client(wire: Wire, address: int) -> None:
    """The client's own machine uses `address` now, and answers ARP for it."""
    wire.client.ip("address", "add", f"{format_address(address)}/15", "dev", "eth0")


def claim(running: Running, station: Station, address: int) -> None:
    """A REBINDING that nobody has a record of. The members' answer lies there before the engine
    asks, because its store is in memory and only its own thread may use it from then on."""
    world = running.world
    world.set_ranges([bindable(FIRST, LAST)], [])
    now_ms = BootClock(measure_anchor())()
    with running.store.write() as tx:
        tx.put_enquiries([Enquiry(address, now_ms, now_ms, free=True, complete=True)])
    station.send(station.client.rebind(address))  # once: it is handled anew when it is known
    assert select.select([running.agent], [], [], 5)[0], "nothing was bound"


def wait_until(come_true: Callable[[], bool]) -> None:
    for _ in range(500):
        if come_true():
            return
        time.sleep(0.01)
    pytest.fail("it did not come true in 5 s")


def test_draft_6_5_an_address_that_nobody_answers_for_is_bound_again(running: Running) -> None:
    station = Station(running.wire)
    claim(running, station, FIRST + 9)
    station.close()
    running.finish()
    assert running.world.known(FIRST + 9).transaction is Transaction.CLAIM


def test_draft_6_5_a_client_that_answers_for_its_own_address_keeps_it(running: Running) -> None:
    own = Client(1).hardware_address.hex(":")
    running.wire.client.ip("link", "set", "eth0", "address", own)
    bind_in_client(running.wire, FIRST + 9)
    station = Station(running.wire)
    claim(running, station, FIRST + 9)
    _, address, ack = station.hear()
    assert (ack.kind, address) == (MessageType.ACK, (FIRST + 9).to_bytes(4, "big"))
    station.close()
    running.finish()
    with running.store.read() as tx:
        assert tx.counters()["probes_answered"] >= 1


def test_the_store_is_told_that_the_loop_goes_around_whatever_comes(running: Running) -> None:
    """Also where datagrams come all the time, each of which ends a wait."""

    def beat() -> EngineBeat | None:
        with running.store.read() as tx:
            return tx.engine_beat()

    station = Station(running.wire)
    until_s = time.monotonic() + 2.5
    while time.monotonic() < until_s:
        station.send(Received(b"rubbish", 0, 0, 0))
        select.select([], [], [], 0.02)
    station.close()
    running.finish()
    last = beat()
    assert last is not None
    assert 3 <= last.beats <= 6, "at its start, each second, and at its end"
    assert 0 <= boot_ms() - last.boot_ms < 10_000


def test_draft_6_5_an_address_that_another_machine_answers_for_is_unavailable(
    running: Running,
) -> None:
    bind_in_client(running.wire, FIRST + 9)
    station = Station(running.wire)
    claim(running, station, FIRST + 9)
    station.close()
    running.finish()
    row = running.world.known(FIRST + 9)
    assert (row.state, row.transaction) == (BindingState.UNAVAILABLE, Transaction.PROBE)
    assert row.hardware_address == station.eth0.hardware_address
    with running.store.read() as tx:
        assert "acks" not in tx.counters()
