"""Who the commands speak to in tests: a whole agent, or an engine that does what it is told."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from agent.snmp import ber, message
from agent.snmp.ber import Varbind
from agent.snmp.door import Door, Reply, Request
from agent.snmp.oid import Oid
from tests.snmp.datagrams import NOW_S, make_door
from tests.snmp.world import World, running
from tools.credentials import Credentials
from tools.manager import Manager

LOOPBACK = "127.0.0.1"


def user(name: str, **changes: str) -> Credentials:
    values = {"authentication": f"{name}-authentication", "privacy": f"{name}-privacy"} | changes
    return Credentials("monitor", name, **values)


def at_an_agent(work: Callable[[World], Any], **named: Any) -> Any:
    async def enter() -> Any:
        async with running(**named) as world:
            return await asyncio.to_thread(work, world)

    return asyncio.run(enter())


@dataclass
class Scripted:
    """An engine whose responses `respond` makes: of the PDU that was asked, and how long messages
    may be, None for silence. `tamper` has the datagrams before they are sent."""

    respond: Callable[[message.Pdu, int], bytes | None] = lambda *_: None
    tamper: Callable[[bytes], list[bytes]] = lambda octets: [octets]
    door: Door = field(default_factory=make_door)
    asked: list[tuple[int, int, int]] = field(default_factory=list)
    """Kind, repetitions and msgMaxSize of each request."""
    socket: socket.socket = field(
        default_factory=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    )

    @contextmanager
    def manager(
        self, name: str = "monitor", *, timeout_s: float = 5.0, retries: int = 0
    ) -> Iterator[Manager]:
        with (
            self.serving() as port,
            Manager(LOOPBACK, port, user(name), timeout_s=timeout_s, retries=retries) as manager,
        ):
            yield manager

    @contextmanager
    def serving(self) -> Iterator[int]:
        """At that port of loopback."""
        self.socket.bind((LOOPBACK, 0))
        port: int = self.socket.getsockname()[1]
        thread = threading.Thread(target=self.serve)
        thread.start()
        try:
            yield port
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", (LOOPBACK, port))
            thread.join()
            self.socket.close()

    def serve(self) -> None:
        """Until an empty datagram comes."""
        while True:
            data, source = self.socket.recvfrom(65_535)
            if not data:
                return
            verdict = self.door.examine(data, source, NOW_S)
            if isinstance(verdict, Reply):
                self._send(verdict.message, source)
            elif isinstance(verdict, Request):
                pdu = verdict.pdu
                self.asked.append((pdu.kind, pdu.second, verdict.size_max))
                answer = self.respond(pdu, verdict.size_max)
                if answer is not None:
                    self._send(self.door.respond(verdict, answer, NOW_S), source)

    def _send(self, octets: bytes, to: Any) -> None:
        for one in self.tamper(octets):
            self.socket.sendto(one, to)


def response(pdu: message.Pdu, varbinds: bytes, status: int = 0, index: int = 0) -> bytes:
    return message.build_pdu(message.RESPONSE, pdu.request_id, status, index, varbinds)


def cells(*names: Oid, value: bytes = b"m1", tag: int = ber.OCTETS) -> bytes:
    return ber.encode_varbinds(Varbind(name, tag, value) for name in names)
