"""The command responder: takes requests from pysnmp's engine, has them answered, sends responses.

pysnmp's own responders are bypassed (they answer before their callee is done, cut nothing to size
and keep silent after any exception). `CommandResponder` registers with the message
dispatcher instead, and for each PDU starts a task: reads run on the store's thread, writes go
through `writing.Writer`, and whatever happens the task ends in exactly one response.

The message dispatcher keeps the state of a request for 60 s, so an answer must be ready by then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pysnmp.entity.engine import SnmpEngine
from pysnmp.error import PySnmpError

from agent.errors import DhcpSyncError
from agent.limits import SNMP_COMMUNITY_OCTETS_MAX, SNMP_MESSAGE_OCTETS_MAX, SNMP_PENDING_MAX
from agent.snmp import wire
from agent.snmp.engine import AUTH_PRIV, SECURITY_MODEL_USM, symbol
from agent.snmp.status import ErrorStatus, RequestError, status_of
from agent.snmp.view import Role

log = logging.getLogger("dhcpsync.snmp")

PDU_VERSION = 1
"""SNMPv2 PDUs (pysnmp.proto.api.SNMP_VERSION_2C)."""

_OVERHEAD = 192
"""Octets of a message beside its variable bindings: header, security parameters with a user name
of 32 octets, context and PDU headers."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: `role` is None for nobody we know, or at a security level below authPriv.
    `is_community`: anybody who knows the community, or says so."""

    user: str
    role: Role | None
    is_community: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A response PDU's content; `varbinds` None: those of the request."""

    varbinds: bytes | None = None
    status: ErrorStatus = ErrorStatus.NO_ERROR
    index: int = 0


Service = Callable[[Asker, wire.Pdu, int], Awaitable[Reply]]
"""Answers one PDU within that many octets of variable bindings; may raise any DhcpSyncError or
RequestError."""


class Pending:
    """Tasks under way, so that they are bounded in number and can be waited for."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_full(self) -> bool:
        return len(self._tasks) >= SNMP_PENDING_MAX

    def start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Cancel what is left and wait for it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class CommandResponder:
    """`services` by PDU type; `role_of` knows the users."""

    def __init__(
        self,
        engine: SnmpEngine,
        services: Mapping[Any, Service],
        role_of: Callable[[int, str], Role | None],
        pending: Pending,
    ) -> None:
        self._engine = engine
        self._services = services
        self._role_of = role_of
        self._pending = pending
        self._silent_drops = symbol(engine, "SNMPv2-MIB", "snmpSilentDrops")
        self._bad_community_uses = symbol(engine, "SNMPv2-MIB", "snmpInBadCommunityUses")
        commands = tuple(kind for kind in services if kind != wire.INFORM)
        register = engine.message_dispatcher.register_context_engine_id
        register(engine.snmpEngineID, commands, self.process_pdu)
        # The context of a notification is its sender's (RFC 3413 3.3): any engine.
        register(b"", (wire.INFORM,), self.process_pdu)
        register(b"", (wire.TRAP,), self._ignore_trap)
        self.traps_ignored = 0

    def process_pdu(
        self,
        engine: SnmpEngine,
        message_model: Any,
        security_model: Any,
        security_name: Any,
        security_level: Any,
        context_engine_id: Any,
        context_name: Any,
        pdu_version: Any,
        pdu: Any,
        room: Any,
        state: Any,
    ) -> None:
        """What the message dispatcher calls for each request. Never raises."""
        if state is None or self._pending.is_full:
            self._silent_drops.syntax += 1
            return
        model = int(security_model)
        user = security_name.asOctets().decode("utf-8", "replace")
        enough = model != SECURITY_MODEL_USM or int(security_level) == AUTH_PRIV
        role = self._role_of(model, user) if enough else None
        asker = Asker(user, role, model != SECURITY_MODEL_USM)
        parsed = wire.parse_pdu(pdu)

        def respond(reply: Reply) -> None:
            varbinds = parsed.varbinds if reply.varbinds is None else reply.varbinds
            response = wire.build_pdu(
                wire.RESPONSE, parsed.request_id, varbinds, reply.status, reply.index
            )
            try:
                engine.message_dispatcher.return_response_pdu(
                    engine,
                    message_model,
                    security_model,
                    security_name,
                    security_level,
                    context_engine_id,
                    context_name,
                    pdu_version,
                    response,
                    room,
                    state,
                    {},
                )
            except PySnmpError as error:
                self._silent_drops.syntax += 1
                log.warning("a response to %s could not be sent: %s", user, error)

        longest = SNMP_COMMUNITY_OCTETS_MAX if asker.is_community else SNMP_MESSAGE_OCTETS_MAX
        octets = min(int(room), longest) - _OVERHEAD
        if len(context_name):
            respond(Reply(None, ErrorStatus.NO_ACCESS))
            return
        self._pending.start(self._serve(asker, parsed, octets, respond))

    def _ignore_trap(self, *_: Any) -> None:
        """Traps can be replayed, or sent by anybody who knows a user's name: they change nothing
        here, they are only counted."""
        self.traps_ignored += 1

    async def _serve(
        self, asker: Asker, pdu: wire.Pdu, room: int, respond: Callable[[Reply], None]
    ) -> None:
        try:
            reply = await self._services[pdu.kind](asker, pdu, room)
        except RequestError as error:
            log.info("a request of %s was refused: %s", asker.user, error)
            if asker.is_community and error.status is ErrorStatus.AUTHORIZATION_ERROR:
                self._bad_community_uses.syntax += 1
            empty = wire.NO_VARBINDS if error.status is ErrorStatus.TOO_BIG else None
            reply = Reply(empty, error.status, error.index)
        except DhcpSyncError as error:
            log.info("a request of %s was refused: %s", asker.user, error)
            reply = Reply(None, status_of(error))
        except Exception:
            # A defect of ours must not look like a lost message: the asker gets genErr.
            log.exception("a request of %s failed", asker.user)
            reply = Reply(None, ErrorStatus.GEN_ERR)
        if len(reply.varbinds or b"") > room:
            reply = Reply(wire.NO_VARBINDS, ErrorStatus.TOO_BIG)
        respond(reply)
