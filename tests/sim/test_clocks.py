"""Clocks apart, slow messages, and every message through the codec (protocol.md 11).

Instants travel as seconds from the sender's now, so a slow message and a clock that is out make
them late at the receiver. No lease may come to stand on that.
"""

from __future__ import annotations

import pytest

from agent.errors import PeerError
from agent.model import Binding
from agent.sync import codec
from agent.sync.messages import Request, Response
from tools.simulator import checkers
from tools.simulator.members import REQUEST_TIMEOUT_MS, SimulatedMember
from tools.simulator.run import Parameters, Simulation, run

OFFSETS_MS = (0, 900, -1_500, 2_500, 30_000, -3_600_000, 86_400_000)
SEEDS = range(1, 9)


def parameters(seed: int) -> Parameters:
    return Parameters(
        members=2 + seed % 3,
        seconds=250,
        clients=16,
        lease_s=(60, 120, 600)[seed % 3],
        mul_s=10,
        pool_size=40,
    )


@pytest.fixture(autouse=True)
def real_messages_and_clocks_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed by the sender's clock, read by the receiver's. Odd seeds set clocks apart, even ones
    delay one message in fifty by up to 40 s."""
    build = Simulation.__init__

    def send(self: SimulatedMember, to: int, request: Request) -> None:
        life, world, name = self._life, self._world, f"m{to}"
        data = codec.pack_request(request, self.now_ms())
        open_exchange = [True]

        def finish(answer: bytes | PeerError | None) -> None:
            if not open_exchange or life != self._life:
                return
            open_exchange.clear()
            response: Response | PeerError | None
            if isinstance(answer, bytes):
                response = codec.unpack_response(answer, self.now_ms())
            else:
                response = answer
            with self.store.write() as tx:
                self._node.handle_response(tx, to, request, response, self.now_ms())
            self._committed()

        def arrive() -> None:
            peer = self._peer(to)
            if peer is None or not peer.running:
                return
            response = peer.answer(codec.unpack_request(data, peer.now_ms()))
            answer = (
                response
                if isinstance(response, PeerError)
                else codec.pack_response(response, peer.now_ms())
            )
            world.send(name, self.name, lambda: finish(answer))

        world.send(self.name, name, arrive)
        world.after(REQUEST_TIMEOUT_MS, lambda: finish(None))

    def build_apart(self: Simulation, seed: int, parameters: Parameters) -> None:
        build(self, seed, parameters)
        for number, member in enumerate(self.members):
            if seed % 2:
                member.offset_ms = OFFSETS_MS[seed * (number + 3) % len(OFFSETS_MS)]

    plan = Simulation._plan_faults

    def plan_with_tails(self: Simulation, start_ms: int) -> None:
        plan(self, start_ms)
        if self.seed % 2 == 0:
            self.world.link.delay_ms = (10, 400)
            self.world.link.tail = 0.02

    def difference(one: Binding | None, other: Binding | None) -> str:
        """Tables are equal by the names of their changes; instants differ as the clocks do."""
        if one is None or other is None:
            return "one has no row"
        return "" if (one.stream, one.seq) == (other.stream, other.seq) else f"{one}, {other}"

    monkeypatch.setattr(SimulatedMember, "_send", send)
    monkeypatch.setattr(Simulation, "__init__", build_apart)
    monkeypatch.setattr(Simulation, "_plan_faults", plan_with_tails)
    monkeypatch.setattr(checkers, "_difference", difference)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_invariant_breaks_whatever_the_clocks_say(seed: int) -> None:
    result = run(seed, parameters(seed))
    assert result.violation == ""
    assert result.leases > 20
