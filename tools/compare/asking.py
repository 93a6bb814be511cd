"""One member asked by our own codec, without waiting for the others: what `PeerClient` asks through
where many rows are read. pysnmp takes longer for a long answer than all else that is done with it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time

from agent import clock
from agent.limits import SNMP_MESSAGE_OCTETS_MAX
from agent.snmp import ber
from agent.snmp.asking import Answer, SnmpAuthError, SnmpTimeout, Target
from agent.snmp.generator import CommandGenerator, Ignored, Report, Response
from agent.snmp.keys import UserKeys
from agent.snmp.oid import Oid
from agent.snmp.reports import UNKNOWN_ENGINE
from tools.manager import reported

_DATAGRAM_OCTETS = 65_535
_STEPS_MAX = 3
"""Reports that are followed by another attempt: one for the clock, and two for an engine that
starts again meanwhile."""
_PAUSE_S = 0.2
"""Until what nobody listens to is sent again."""


class MemberSession:
    """Asks the engine `engine_id` at that address as `user`, of whom `master` are the keys. The
    socket exists from the start, in the caller's network namespace."""

    def __init__(
        self, address: str, port: int, user: str, master: UserKeys, engine_id: bytes
    ) -> None:
        self._place = (address, port)
        self._is_connected = False
        self._turn = asyncio.Lock()
        self._generator = CommandGenerator(
            user.encode(),
            master,
            first_id=int.from_bytes(os.urandom(4), "big") & 0x7FFF_FFFF,
            salt=int.from_bytes(os.urandom(8), "big"),
            engine_id=engine_id,
        )
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def close(self) -> None:
        self._socket.close()

    def know(self, user: str, keys: UserKeys, engine_id: bytes) -> None:
        """It knows one user and one engine from the start."""

    async def ask(
        self,
        target: Target,
        kind: int,
        varbinds: bytes,
        timeout_s: float,
        *,
        first: int = 0,
        second: int = 0,
    ) -> Answer:
        """One exchange, one at a time. Raises SnmpTimeout, SnmpAuthError, PacketError."""
        async with self._turn:
            self._generator.begin()
            told: Oid = ()
            for _ in range(_STEPS_MAX + 1):
                octets = self._generator.message(
                    kind,
                    varbinds,
                    first,
                    second,
                    size_max=SNMP_MESSAGE_OCTETS_MAX,
                    now_s=clock.boot_s(),
                )
                found = await self._await(octets, time.monotonic() + timeout_s)
                if isinstance(found, Response):
                    pdu = found.pdu
                    return Answer(pdu.first, pdu.second, ber.decode_varbinds(pdu.varbinds))
                if isinstance(found, Ignored):
                    why = found.why and f" ({found.why})"
                    raise SnmpTimeout(f"no answer from {target} within {timeout_s:g} s{why}")
                told = found.oid
                if not found.is_step:
                    break
        if told == UNKNOWN_ENGINE.oid:
            raise SnmpAuthError("another engine than the group knows answers at its address")
        raise SnmpAuthError(reported(told)[1])

    async def _await(self, octets: bytes, until: float) -> Response | Report | Ignored:
        """Send, and wait for what counts; Ignored once the time is over."""
        loop = asyncio.get_running_loop()
        ignored, is_sent = Ignored(""), False
        while (left := until - time.monotonic()) > 0:
            try:
                if not is_sent:
                    self._send(octets)
                    is_sent = True
                async with asyncio.timeout(left):
                    data = await loop.sock_recv(self._socket, _DATAGRAM_OCTETS)
            except TimeoutError:
                break
            except OSError as error:
                ignored, is_sent = Ignored(error.strerror or str(error)), False
                await asyncio.sleep(max(0.0, min(_PAUSE_S, until - time.monotonic())))
                continue
            found = self._generator.examine(data, clock.boot_s())
            if not isinstance(found, Ignored):
                return found
            ignored = found
        return ignored

    def _send(self, octets: bytes) -> None:
        """A datagram fits the socket's buffer, or is as good as lost."""
        if not self._is_connected:
            self._socket.connect(self._place)
            self._is_connected = True
        self._socket.send(octets)
