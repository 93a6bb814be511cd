"""SET (RFC 3416 4.2.5): one SET is one transaction of the store, or one exchange with the cluster.

- Configuration rows: read, edited, validated, written and audited in one write transaction.
- A row of the member table is a wish to add a member, which the cluster decides.
- A row of the poll or proposal table is a peer's request, which the cluster answers; the answer
  waits in the row for the peer's GET.

One SET cannot do two of these, because they could not be undone together. People's SETs are
audited, refused ones too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor

from agent.errors import PacketError, StoreError
from agent.limits import SNMP_AUDIT_DETAIL_MAX
from agent.model import Member, MemberRole, MemberState
from agent.snmp import columns, editing, wire
from agent.snmp.assignment import RowAssignment, describe, gather
from agent.snmp.ber import Varbind
from agent.snmp.cluster_tables import Exchanges
from agent.snmp.columns import RowStatus
from agent.snmp.oid import index_address
from agent.snmp.reading import decode_request
from agent.snmp.responder import Asker, Reply
from agent.snmp.status import ErrorStatus, RequestError
from agent.snmp.tables import AgentStore
from agent.snmp.view import Role
from agent.sync.codec import pack_response, unpack_request
from agent.sync.messages import Request, Response

log = logging.getLogger("dhcpsync.snmp")

Handle = Callable[[Request], Awaitable[Response]]
"""Answers a peer once what the answer promises is durable. Raises PeerError, StoreError."""

Join = Callable[[Member], Awaitable[None]]
"""Returns when the group has the member. Raises PeerError, ConfigError, StoreError."""


class Writer:
    """`on_change` is called on the event loop after a change of the configuration."""

    def __init__(
        self,
        store: AgentStore,
        executor: Executor,
        clock: Callable[[], int],
        handle: Handle,
        join: Join,
        exchanges: Mapping[str, Exchanges],
        on_change: Callable[[], None],
    ) -> None:
        self._store = store
        self._executor = executor
        self._clock = clock
        self._handle = handle
        self._join = join
        self._exchanges = exchanges
        self._on_change = on_change

    async def set(self, asker: Asker, pdu: wire.Pdu, room: int) -> Reply:
        varbinds = decode_request(pdu.varbinds)
        try:
            await self._apply(asker, varbinds)
        except RequestError as error:
            if asker.role is not Role.PEER:
                await self._audit_refusal(asker, varbinds, error)
            raise
        return Reply()

    async def _apply(self, asker: Asker, varbinds: Sequence[Varbind]) -> None:
        rows = gather(asker.role, varbinds)
        if not rows:
            return
        names = {row.table.name for row in rows}
        if names <= editing.TABLES:
            await self._configure(asker, rows, describe(varbinds))
        elif len(rows) > 1:
            other = next(row for row in rows if row is not rows[0])
            raise RequestError(
                ErrorStatus.INCONSISTENT_NAME, other.number, "these rows need a SET each"
            )
        elif names == {columns.MEMBER.name}:
            await self._add_member(asker, rows[0], describe(varbinds))
        else:
            await self._exchange(rows[0])

    # --- configuration

    async def _configure(self, asker: Asker, rows: list[RowAssignment], words: str) -> None:
        def transact() -> bool:
            now = self._clock() // 1000
            with self._store.write() as tx:
                changes = editing.edit(
                    [
                        record.row
                        for kind in editing.KINDS
                        for record in tx.configuration(kind)
                        if not record.deleted
                    ],
                    rows,
                    lambda first, last: tx.count_bindings(first, last, now).live,
                )
                if changes:
                    tx.save_configuration(changes)
                tx.audit(asker.user, "set", words[:SNMP_AUDIT_DETAIL_MAX], now)
            return bool(changes)

        if await self._on_store(transact):
            self._on_change()

    async def _on_store(self, transact: Callable[[], bool]) -> bool:
        """Run on the store's thread. A store that cannot commit is commitFailed."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, transact)
        except StoreError as error:
            log.error("a SET could not be stored: %s", error)
            raise RequestError(ErrorStatus.RESOURCE_UNAVAILABLE, 1, str(error)) from error

    async def _audit_refusal(
        self, asker: Asker, varbinds: Sequence[Varbind], refusal: RequestError
    ) -> None:
        words = f"{refusal}: {describe(varbinds)}"[:SNMP_AUDIT_DETAIL_MAX]
        await self._audit(asker, "refused", words)

    async def _audit(self, asker: Asker, action: str, words: str) -> None:
        def write() -> None:
            with self._store.write() as tx:
                tx.audit(asker.user, action, words, self._clock() // 1000)

        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, write)
        except StoreError as error:
            log.error("the audit could not be written: %s", error)

    # --- the group

    async def _add_member(self, asker: Asker, row: RowAssignment, words: str) -> None:
        if row.status is None:
            raise RequestError(
                ErrorStatus.INCONSISTENT_NAME, row.number, "a member is added with createAndGo"
            )
        if row.status is not RowStatus.CREATE_AND_GO:
            raise RequestError(
                ErrorStatus.INCONSISTENT_VALUE, row.status_number, "only createAndGo is served"
            )
        for short in ("Name", "Address", "EngineId"):
            if short not in row.values:
                raise RequestError(
                    ErrorStatus.INCONSISTENT_VALUE, row.status_number, f"{short} is missing"
                )
        member = Member(
            member=row.index[0],
            name=row.text("Name", ""),
            address=index_address(tuple(row.octets("Address", bytes(4)))),
            port=row.integer("Port", 161),
            engine_id=row.octets("EngineId", b""),
            state=MemberState.JOINING,
            role=MemberRole(row.integer("Role", MemberRole.SERVER)),
            weight=row.integer("Weight", 1),
        )
        if not member.member or not member.port:
            raise RequestError(ErrorStatus.NO_CREATION, row.number, "member and port are not 0")
        await self._join(member)
        await self._audit(asker, "set", words[:SNMP_AUDIT_DETAIL_MAX])

    # --- peers

    async def _exchange(self, row: RowAssignment) -> None:
        exchanges = self._exchanges[row.table.name]
        if row.status is RowStatus.DESTROY:
            exchanges.remove(row.index)
            return
        packed = row.octets("Request", b"")
        if row.status is not RowStatus.CREATE_AND_GO or not packed:
            raise RequestError(
                ErrorStatus.INCONSISTENT_VALUE, row.number, "createAndGo and a request are needed"
            )
        try:
            request = unpack_request(packed, self._clock())
        except PacketError as error:
            number = row.values["Request"].number
            raise RequestError(ErrorStatus.WRONG_VALUE, number, str(error)) from error
        response = await self._handle(request)
        exchanges.put(row.index, packed, pack_response(response, self._clock()))
