"""The client side of an engine: send one request, await its one response.

pysnmp's message dispatcher keeps a request until its response, a Report or its time is up, and
calls back; here that is a future. A Report that only says "your idea of my engine or its clock
is stale" (RFC 3414 4) makes the request go out again at once; other Reports are answers: wrong user
or wrong key. Nothing here retries after silence; who asks knows whether asking twice is safe.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from typing import Any

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity.engine import SnmpEngine
from pysnmp.error import PySnmpError
from pysnmp.proto import errind, rfc1902

from agent.errors import PacketError
from agent.model import format_address
from agent.snmp import ber, wire
from agent.snmp.asking import Answer, SnmpAuthError, SnmpTimeout, Target
from agent.snmp.engine import AUTH_PRIV, SECURITY_MODEL_USM, add_user
from agent.snmp.keys import UserKeys
from agent.snmp.responder import PDU_VERSION

SNMP_V3 = 3
"""messageProcessingModel of SNMPv3 (RFC 3411 3.1)."""

_SYNCHRONISING = (errind.UnknownEngineID, errind.NotInTimeWindow)
_SYNCHRONISATIONS_MAX = 3
"""Reports followed by another attempt: one for the engine, one for its clock, and one more for an
engine that restarts between them."""


class Session:
    """Requests of one engine."""

    def __init__(self, engine: SnmpEngine) -> None:
        self.engine = engine
        self._request_ids = itertools.count(secrets.randbelow(2**30))
        self._waiting: set[asyncio.Future[Any]] = set()

    def know(self, user: str, keys: UserKeys, engine_id: bytes) -> None:
        add_user(self.engine, user, keys, engine_id)

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
        """One exchange. Raises SnmpTimeout, SnmpAuthError, PacketError."""
        request_id = next(self._request_ids) & 0x7FFF_FFFF
        pdu = wire.build_pdu(wire.KINDS[kind], request_id, varbinds, first, second)
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._send(target, pdu)
        except TimeoutError:
            raise SnmpTimeout(
                f"no answer from {target} within {timeout_s:g} s: is it running, is the address"
                " right, is UDP let through?"
            ) from None
        parsed = wire.parse_pdu(response)
        if parsed.request_id != request_id:
            raise PacketError("request_id", f"{target} answered another request")
        return Answer(parsed.first, parsed.second, ber.decode_varbinds(parsed.varbinds))

    async def _send(self, target: Target, pdu: wire.RawPdu) -> Any:
        for _ in range(_SYNCHRONISATIONS_MAX + 1):
            indication, response = await self._send_once(target, pdu)
            if indication is None:
                return response
            if not isinstance(indication, _SYNCHRONISING):
                break
        if isinstance(indication, errind.RequestTimedOut):
            raise TimeoutError
        raise SnmpAuthError(_explain(target, indication))

    async def _send_once(self, target: Target, pdu: wire.RawPdu) -> tuple[Any, Any]:
        """The error indication of a Report (or None), and the response PDU."""
        engine = self.engine
        future: asyncio.Future[tuple[Any, Any]] = asyncio.get_running_loop().create_future()
        address = udp.UdpTransportAddress((format_address(target.address), target.port))
        if target.engine_id is not None:
            engine.message_processing_subsystems[SNMP_V3].pin_engine(
                udp.DOMAIN_NAME, address, target.engine_id
            )

        def on_response(*arguments: Any) -> None:
            response, status = arguments[8], arguments[9]
            if not future.done():
                indication = status.get("errorIndication") if status else None
                if response is None and indication is None:
                    indication = errind.RequestTimedOut()
                future.set_result((indication, response))

        try:
            handle = engine.message_dispatcher.send_pdu(
                engine,
                udp.DOMAIN_NAME,
                address,
                SNMP_V3,
                SECURITY_MODEL_USM,
                rfc1902.OctetString(target.user.encode()),
                AUTH_PRIV,
                target.engine_id,
                b"",
                PDU_VERSION,
                pdu,
                True,
                _TICKS,
                on_response,
                None,
            )
        except PySnmpError as error:
            raise SnmpAuthError(f"the request to {target} cannot be sent: {error}") from error
        self._waiting.add(future)
        try:
            return await future
        finally:
            self._waiting.discard(future)
            if future.cancelled():
                engine.message_dispatcher.release_state_information(engine, handle, SNMP_V3)

    def close(self) -> None:
        """Give up what is still waiting."""
        for future in self._waiting:
            future.cancel()


_TICKS = 600
"""The dispatcher's own limit, far beyond ours: 60 s in ticks of 0.1 s."""


def _explain(target: Target, indication: Any) -> str:
    who = f"user {target.user!r} at {target}"
    if isinstance(indication, errind.UnknownUserName | errind.UnknownSecurityName):
        return f"{who}: the agent knows no such user"
    if isinstance(indication, errind.WrongDigest | errind.AuthenticationFailure):
        return f"{who}: the authentication passphrase is wrong"
    if isinstance(indication, errind.DecryptionError):
        return f"{who}: the privacy passphrase is wrong"
    if isinstance(indication, errind.UnsupportedSecurityLevel):
        return f"{who}: the agent does not accept this security level"
    return f"{who}: {indication}"
