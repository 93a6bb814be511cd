"""Peers' INFORMs: taken in by the cluster first, and only then answered.

pysnmp answers an INFORM before its application has seen it. Here the response means "committed in
my store" (draft 8.3), or says by its error-status why not (`status.PEER_STATUS`). Only users of
role peer at authPriv are heard. INFORMs of one peer are handled in the order of their arrival.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

from agent.errors import PacketError
from agent.snmp import ber, columns, message
from agent.snmp.ber import Varbind
from agent.snmp.oid import Oid
from agent.snmp.responder import Asker, Reply
from agent.snmp.status import ErrorStatus, RequestError
from agent.snmp.view import Operation, may
from agent.snmp.writing import Handle
from agent.sync.codec import unpack_request
from agent.sync.messages import BindingUpdate, Hello, Request

SNMP_TRAP_OID: Oid = (1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0)
"""The second variable binding of a notification names it (RFC 3416 4.2.6)."""

_KINDS: dict[Oid, type[Request]] = {
    columns.HELLO: Hello,
    columns.BINDING_UPDATE: BindingUpdate,
}


class InformReceiver:
    """`clock` tells the member's now in ms, by which instants in messages are read."""

    def __init__(self, handle: Handle, clock: Callable[[], int]) -> None:
        self._handle = handle
        self._clock = clock
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def inform(
        self, asker: Asker, pdu: message.Pdu, varbinds: list[Varbind], room: int
    ) -> Reply:
        """One InformRequest. Raises PeerError, StoreError, RequestError."""
        name = notification_name(varbinds)
        if asker.role is None or not may(asker.role, Operation.NOTIFY, name):
            raise RequestError(ErrorStatus.AUTHORIZATION_ERROR)
        request = self._message(name, varbinds)
        # Kept only while somebody holds it or waits: the sender's number is what the message says.
        turn = self._turns.setdefault(request.header.sender, asyncio.Lock())
        async with turn:
            await self._handle(request)
        return Reply()

    def _message(self, name: Oid, varbinds: list[Varbind]) -> Request:
        for number, one in enumerate(varbinds, 1):
            if one.oid == columns.MESSAGE and isinstance(one.value, bytes):
                try:
                    request = unpack_request(one.value, self._clock())
                except PacketError as error:
                    raise RequestError(ErrorStatus.WRONG_VALUE, number, str(error)) from error
                if isinstance(request, _KINDS[name]):
                    return request
                raise RequestError(ErrorStatus.WRONG_VALUE, number, "another message")
        raise RequestError(ErrorStatus.WRONG_VALUE, 0, "no dhcpSyncMessage")


def notification_name(varbinds: list[Varbind]) -> Oid:
    """What the notification is, or () where it does not say."""
    if len(varbinds) > 1 and varbinds[1].oid == SNMP_TRAP_OID:
        value = varbinds[1].value
        if varbinds[1].tag == ber.OBJECT_IDENTIFIER and isinstance(value, tuple):
            return value
    return ()
