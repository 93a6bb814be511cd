"""The command responder: takes requests from the door, has them answered, sends responses.

pysnmp's own responders are not used (they answer before their callee is done, cut nothing to size
and keep silent after any exception). For each request a task is started: reads run on the store's
threads, writes go through `writing.Writer`, and whatever happens the task ends in exactly one
response. What is no list of variable bindings gets none, as the RFCs say, and is counted.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from agent.errors import DhcpSyncError, PacketError
from agent.limits import SNMP_LOGGED_PER_MINUTE_MAX
from agent.snmp import ber, message
from agent.snmp.ber import Varbind
from agent.snmp.door import Address, Door, Request
from agent.snmp.pending import COMMUNITY, PEERS, Pending
from agent.snmp.reading import decode_request
from agent.snmp.seldom import Seldom
from agent.snmp.status import ErrorStatus, RequestError, status_of
from agent.snmp.view import Role

log = logging.getLogger("dhcpsync.snmp")

COMMUNITY_USER = "community"
"""Who comes with the read-only community. An SNMPv3 user may be called so too: it is a word for
the log here, and the role does not come from it."""

PDU_VERSION = 1
"""SNMPv2 PDUs (pysnmp.proto.api.SNMP_VERSION_2C)."""

NO_VARBINDS = ber.varbind_list(())

_ECHOED = frozenset((message.SET, message.INFORM))
"""Answered with their own variable bindings (RFC 3416 4.2.5 and 4.2.7): whether those fit is known
before anything is done, and a tooBig that comes afterwards would deny what has been done."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: `role` is None for nobody we know, or at a security level below authPriv.
    `is_community`: anybody who knows the community, or says so. `queue`: among whose requests this
    one waits (`agent/snmp/pending.py`)."""

    user: str
    role: Role | None
    is_community: bool = False
    queue: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """A response PDU's content; `varbinds` None: those of the request."""

    varbinds: bytes | None = None
    status: ErrorStatus = ErrorStatus.NO_ERROR
    index: int = 0


Service = Callable[[Asker, message.Pdu, list[Varbind], int], Awaitable[Reply]]
"""Answers one PDU, whose variable bindings are these, within that many octets of them; may raise
any DhcpSyncError or RequestError."""


class CommandResponder:
    """`services` by PDU type; `role_of` knows the users; `send` puts a message on the wire."""

    def __init__(
        self,
        door: Door,
        services: Mapping[int, Service],
        role_of: Callable[[str], Role | None],
        pending: Pending,
        send: Callable[[bytes, Address], None],
        clock_s: Callable[[], float],
    ) -> None:
        self._door = door
        self._services = services
        self._role_of = role_of
        self._pending = pending
        self._send = send
        self._clock_s = clock_s
        self._seldom = Seldom(SNMP_LOGGED_PER_MINUTE_MAX, clock_s)

    def take(self, request: Request) -> None:
        """What the transport calls for each request that the door lets in. Never raises."""
        asker = self._asker(request)
        octets = len(request.pdu.varbinds)
        if not self._pending.has_room(asker.queue, octets):
            self._door.statistics.silent_drops += 1
            return
        try:
            varbinds: list[Varbind] | RequestError = decode_request(request.pdu.varbinds)
        except PacketError:
            self._door.statistics.asn_parse_errors += 1
            return
        except RequestError as error:
            varbinds = error
        self._pending.start(asker.queue, octets, self._serve(request, asker, varbinds))

    def _asker(self, request: Request) -> Asker:
        if request.is_community:
            return Asker(COMMUNITY_USER, Role.MONITOR, True, COMMUNITY)
        user = request.user.decode("utf-8", "replace")
        role = self._role_of(user)
        return Asker(user, role, queue=PEERS if role is Role.PEER else request.source[0])

    async def _serve(
        self, request: Request, asker: Asker, varbinds: list[Varbind] | RequestError
    ) -> None:
        pdu, room = request.pdu, request.room
        try:
            if isinstance(varbinds, RequestError):
                raise varbinds
            if pdu.kind in _ECHOED and len(pdu.varbinds) > room:
                raise RequestError(ErrorStatus.TOO_BIG)
            reply = await self._services[pdu.kind](asker, pdu, varbinds, room)
        except RequestError as error:
            self._note(asker, error)
            if asker.is_community and error.status is ErrorStatus.AUTHORIZATION_ERROR:
                self._door.statistics.bad_community_uses += 1
            empty = NO_VARBINDS if error.status is ErrorStatus.TOO_BIG else None
            reply = Reply(empty, error.status, error.index)
        except DhcpSyncError as error:
            self._note(asker, error)
            reply = Reply(None, status_of(error))
        except Exception:
            # A defect of ours must not look like a lost message: the asker gets genErr.
            if self._seldom.admits("defect"):
                log.exception("a request of %s failed", asker.user)
            reply = Reply(None, ErrorStatus.GEN_ERR)
        if len(self._varbinds(request, reply)) > room:
            reply = Reply(NO_VARBINDS, ErrorStatus.TOO_BIG)
        self._respond(request, reply)

    def _respond(self, request: Request, reply: Reply) -> None:
        octets = message.build_pdu(
            message.RESPONSE,
            request.pdu.request_id,
            reply.status,
            reply.index,
            self._varbinds(request, reply),
        )
        self._send(self._door.respond(request, octets, self._clock_s()), request.source)

    def _varbinds(self, request: Request, reply: Reply) -> bytes:
        return request.pdu.varbinds if reply.varbinds is None else reply.varbinds

    def _note(self, asker: Asker, error: Exception) -> None:
        if self._seldom.admits(asker.user):
            log.info("a request of %s was refused: %s", asker.user, error)
