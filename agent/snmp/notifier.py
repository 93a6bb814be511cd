"""Notifications to the operators' targets: SNMPv3 traps, sent and forgotten.

A target is told as the user of role monitor, whose keys belong to this engine (in a trap the
sender's engine is the authoritative one, RFC 3414 2.1), so an NMS needs no more than the name and
passphrases by which it reads, and this engine's ID. Traps may be lost: what they say is also in a
table, and nothing in the cluster waits for them. Notices wait in a bounded queue; the oldest goes
first when it is full, and `lost` counts those. What flaps is damped (`damping.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections import deque
from collections.abc import Mapping, Sequence

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity.engine import SnmpEngine
from pysnmp.error import PySnmpError
from pysnmp.proto import rfc1902

from agent import clock
from agent.limits import NOTICE_PACE_MS, NOTICES_MAX
from agent.model import format_address
from agent.snmp import ber, columns, wire
from agent.snmp.asking import Target
from agent.snmp.ber import Varbind
from agent.snmp.damping import Damper
from agent.snmp.engine import AUTH_PRIV, SECURITY_MODEL_USM
from agent.snmp.informs import SNMP_TRAP_OID
from agent.snmp.oid import Oid
from agent.snmp.peer import SYS_UP_TIME
from agent.snmp.responder import PDU_VERSION
from agent.snmp.session import SNMP_V3
from agent.sync.notices import Notice, Value

log = logging.getLogger("dhcpsync.snmp")

_OBJECTS: Mapping[str, tuple[Oid, columns.Syntax]] = {
    column.name: (column.oid, column.syntax)
    for table in columns.TABLES
    for column in table.columns.values()
} | {scalar.name: (scalar.oid, scalar.syntax) for scalar in columns.SERVER.values()}


class Notifier:
    """Call `notify` on the event loop; `run` sends until it is cancelled."""

    def __init__(self, engine: SnmpEngine, targets: Sequence[Target]) -> None:
        self._engine = engine
        self._targets = tuple(targets)
        self._waiting: deque[Notice] = deque(maxlen=NOTICES_MAX)
        self._wake = asyncio.Event()
        self._started_s = clock.boot_s()
        self._damper = Damper()
        self._request_ids = itertools.count(1)
        self.lost = 0
        self.sent = 0

    def notify(self, notice: Notice) -> None:
        """Have it sent soon, or the latest of its subject later; never waits."""
        if self._damper.admit(notice, clock.boot_s()):
            self._tell(notice)
        else:
            self._wake.set()  # there is something to wait for

    def _tell(self, notice: Notice) -> None:
        log.warning("%s", describe(notice))
        if not self._targets:
            return
        self.lost += len(self._waiting) == NOTICES_MAX
        self._waiting.append(notice)
        self._wake.set()

    async def run(self) -> None:
        while True:
            due_s = self._damper.next_due_s()
            delay_s = None if due_s is None else max(0.0, due_s - clock.boot_s())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._wake.wait()
            self._wake.clear()
            for notice in self._damper.due(clock.boot_s()):
                self._tell(notice)
            while self._waiting:
                varbinds = self._varbinds(self._waiting.popleft())
                for target in self._targets:
                    self._send(target, varbinds)
                await asyncio.sleep(NOTICE_PACE_MS / 1000)

    def _varbinds(self, notice: Notice) -> bytes:
        ticks = int((clock.boot_s() - self._started_s) * 100) & 0xFFFF_FFFF
        return ber.encode_varbinds(
            (
                Varbind(SYS_UP_TIME, ber.TIME_TICKS, ticks),
                Varbind(
                    SNMP_TRAP_OID,
                    ber.OBJECT_IDENTIFIER,
                    columns.EVENTS[notice.name],
                ),
                *(_varbind(*one) for one in notice.objects),
            )
        )

    def _send(self, target: Target, varbinds: bytes) -> None:
        engine = self._engine
        pdu = wire.build_pdu(wire.TRAP, next(self._request_ids) & 0x7FFF_FFFF, varbinds)
        address = udp.UdpTransportAddress((format_address(target.address), target.port))
        try:
            engine.message_dispatcher.send_pdu(
                engine,
                udp.DOMAIN_NAME,
                address,
                SNMP_V3,
                SECURITY_MODEL_USM,
                rfc1902.OctetString(target.user.encode()),
                AUTH_PRIV,
                engine.snmpEngineID,
                b"",
                PDU_VERSION,
                pdu,
                False,
            )
        except (PySnmpError, OSError) as error:
            self.lost += 1
            log.warning("a notification cannot be sent to %s: %s", target, error)
        else:
            self.sent += 1


def _varbind(name: str, index: Oid, value: Value) -> Varbind:
    oid, syntax = _OBJECTS[name]
    octets = value.encode() if isinstance(value, str) else value
    return Varbind((*oid, *index), syntax.base, octets)


def describe(notice: Notice) -> str:
    """A line for the log."""
    said = []
    for name, index, value in notice.objects:
        shown = value.hex(":") if isinstance(value, bytes) else value
        said.append(f"{name}.{'.'.join(map(str, index))}={shown}")
    return f"{notice.name} {' '.join(said)}"
