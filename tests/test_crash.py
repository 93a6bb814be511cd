"""A member killed at its two worst moments: after the commit and before the reply, and after the
reply and before the push. Whatever was promised stands after the restart (I5).

The engine runs in a process of its own on a real file, in the loop that serves members
(`agent.engine.run_engine`), and is killed with SIGKILL from inside it: by its socket as it is to
send the first reply after a commit, or, that reply being out, as it is to wake the agent that
pushes. No destructor, no flush, nothing that a power switch would leave out but the disk's own
cache.
"""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from agent.dhcp.engine import DhcpServer
from agent.dhcp.packet import Received, Reply
from agent.model import AddressRange, AddressState, Binding, BindingState, Nonce
from agent.sync import messages as m
from agent.sync.node import Node
from agent.sync.version import membership_hash
from store import Store, create_store, open_store
from tests.dhcp.world import CONFIGURATION, ETH0, FIRST, LAST, NOW_MS, Client, Said, group_of

ENGINE = """
import base64, json, os, signal, sys
from pathlib import Path
from types import SimpleNamespace
from agent.dhcp.engine import DhcpServer
from agent.dhcp.packet import Received
from agent.engine import StopSignal, run_engine
from agent.net.udp import Drained
from agent.net.wake import WakeSocket
from store import open_store
from tests.dhcp.world import ETH0, NOW_MS

path, point = sys.argv[1:]


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Silent:
    '''A source that never has anything.'''

    def __init__(self):
        self._ends = os.pipe()

    def fileno(self):
        return self._ends[0]


class Lines:
    '''UDP as lines of JSON: a datagram comes in on standard input.'''

    def fileno(self):
        return 0

    def receive(self, most):
        *fields, data = json.loads(sys.stdin.buffer.raw.readline())
        return Drained([Received(base64.b64decode(data), *fields)], 0)


class Sockets:
    '''agent.engine.EngineSockets without the network.'''

    def __init__(self):
        self.interfaces = {ETH0.index: ETH0}
        self.udp = Lines()
        self.monitor = Silent()
        self.probe = SimpleNamespace(arp=Silent(), icmp=Silent())

    def send(self, reply):
        if server.committed and point == "before the reply":
            die()
        print(json.dumps([base64.b64encode(reply.data).decode()]), flush=True)


class Wake(WakeSocket):
    def notify(self):
        if point == "before the push":
            die()
        super().notify()


server = DhcpServer(open_store(path), {ETH0.index: ETH0})
folder = Path(path).parent
wake = Wake(folder / "engine.sock", folder / "agent.sock")
run_engine(server, Sockets(), wake, lambda: NOW_MS, StopSignal())
"""


class Engine:
    """The process, spoken to one datagram at a time."""

    def __init__(self, path: Path, point: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", ENGINE, str(path), point],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, received: Received) -> list[bytes] | None:
        """The replies, or None if it died before it said anything."""
        assert self.process.stdin
        assert self.process.stdout
        data, *fields = received
        print(json.dumps([*fields, base64.b64encode(data).decode()]), file=self.process.stdin)
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return [base64.b64decode(one) for one in json.loads(line)] if line else None

    def wait_killed(self) -> None:
        assert self.process.wait(timeout=30) == -signal.SIGKILL
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A member of a group of two with a stock of its own."""
    path = tmp_path / "store.db"
    store = create_store(path, member=1, engine_id=bytes.fromhex("80007ed90500000001"))
    with store.write() as tx:
        tx.set_serving(True, since=0)
        tx.put_group(group_of(1, 2))
        tx.save_configuration([(row, False) for row in CONFIGURATION])
        state = AddressState.BINDABLE
        tx.replace_address_ranges([], [AddressRange(FIRST, LAST, state, 1, 1, Nonce(0, 0), 1)])
    store.close()
    return path


def reply_of(server: DhcpServer, received: Received) -> Said:
    replies = server.handle_batch([received], NOW_MS + 1000)
    assert len(replies) == 1
    return Said.parse(replies[0])


@pytest.mark.parametrize("point", ["before the reply", "before the push"])
def test_no_promise_is_broken_by_a_kill(path: Path, point: str) -> None:
    engine = Engine(path, point)
    replies = engine.say(Client(1).discover())
    assert replies
    offer = Said.parse(Reply(replies[0], 0, 0, 0, 0))
    offered = offer.address
    request = Client(1).select(offer)
    replies = engine.say(request)
    engine.wait_killed()
    assert (replies is None) == (point == "before the reply")

    store = open_store(path)
    server = DhcpServer(store, {ETH0.index: ETH0})
    with store.read() as tx:
        row = tx.bindings_by_address([offered])[offered]
    assert (row.state, row.client_key) == (BindingState.BOUND, Client(1).key)
    # The client asks again, as it does when an ACK got lost, and keeps its address.
    assert reply_of(server, request).address == offered
    # Nobody else gets it, neither from this member's stock nor by a peer's poll.
    others = {reply_of(server, Client(number).discover()).address for number in range(2, 40)}
    assert offered not in others
    assert not polled(store, offered)
    # And the peer hears of it: the outbox is the commit itself.
    assert offered in pushed(store)
    store.close()


def polled(store: Store, address: int) -> bool:
    """Whether the restarted agent would let a peer have the address."""
    node = Node(1, Random(1))
    ask = m.PollAsk(header_of_peer(store), Nonce(1, 1), (m.RangeEpoch(address, address),))
    with store.write() as tx:
        answer = node.handle_request(tx, ask, NOW_MS + 2000)
    assert isinstance(answer, m.PollAnswer)
    return any(verdict.agreed for verdict in answer.verdicts)


def pushed(store: Store) -> set[int]:
    """Addresses in the updates that the restarted agent sends to its peer, once that is heard."""
    node = Node(1, Random(1))
    hello = m.Hello(header_of_peer(store), {}, (1,), NOW_MS + 2000)
    with store.write() as tx:
        node.handle_request(tx, hello, NOW_MS + 2000)
    with store.write() as tx:
        node.handle_timer(tx, NOW_MS + 2001)
    return {
        record.address
        for _, request in node.take_requests()
        if isinstance(request, m.BindingUpdate)
        for record in request.records
        if isinstance(record, Binding)
    }


def header_of_peer(store: Store) -> m.Header:
    with store.read() as tx:
        group = tx.group()
    assert group is not None
    return m.Header(2, 1, group.generation, membership_hash(group))
