"""SET (RFC 3416 4.2.5): one SET is one transaction of the store, or one exchange with the cluster.

- Configuration rows: read, edited, validated, written and audited in one write transaction.
- A row of the member or group table is an order, to the group or to this member (`orders`).
- The state of a binding becomes released by an operator's word.
- A row of the conflict table is destroyed by an operator who has found out: the repair.
- sysContact and sysLocation are this member's own (`system.py`).
- A row of the poll, transfer or proposal table is a peer's request, which the cluster answers; the
  answer waits in the row for the peer's GET. Of another row than the request's own it is refused.

One SET cannot do two of these, because they could not be undone together. People's SETs are
audited in the transaction that carries them out, refused ones too as far as `refusals` says. With
any of them may come snmpSetSerialNo, which lets only one of two SETs through that name one value.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from agent.errors import PacketError, PeerError, StoreError
from agent.events.configuration import configuration_events
from agent.kinds import KINDS
from agent.limits import AUDIT_REFUSAL_DETAIL_MAX, SNMP_AUDIT_DETAIL_MAX
from agent.model import BindingState, MemberId, Said, Service
from agent.snmp import columns, editing, message, orders
from agent.snmp.assignment import RowAssignment, describe, gather
from agent.snmp.ber import Varbind
from agent.snmp.cluster_tables import Exchanges
from agent.snmp.columns import RowStatus
from agent.snmp.exchange_row import Exchange, exchange_row
from agent.snmp.oid import index_address
from agent.snmp.refusals import Refusals
from agent.snmp.responder import Asker, Reply
from agent.snmp.status import ErrorStatus, RequestError
from agent.snmp.system import SystemGroup, Texts, is_writable
from agent.snmp.tables import AgentStore
from agent.snmp.view import Role
from agent.sync.change import GroupChange
from agent.sync.codec import pack_response, unpack_request
from agent.sync.messages import Request, Response

log = logging.getLogger("dhcpsync.snmp")

Handle = Callable[[Request], Awaitable[Response]]
"""Answers a peer once what the answer promises is durable. Raises PeerError, StoreError."""

Decide = Callable[[GroupChange, bool, Said], Awaitable[None]]
"""A change of the group, and whether by force. Returns when it is on its way, and audited in the
same transaction. Raises PeerError, StoreError."""

Serve = Callable[[Service, Said], Awaitable[None]]
"""An order to this member itself, durable and audited when it returns. Raises PeerError,
StoreError."""

EndWait = Callable[[Said], Awaitable[None]]
"""Ends this member's wait after a loss, durably and audited. Raises PeerError, StoreError."""

Realign = Callable[[MemberId, Said], Awaitable[None]]
"""Has this member take the rows of another one where they are of one change and differ, audited.
Raises PeerError, StoreError."""

Release = Callable[[int, Said], Awaitable[None]]
"""Ends the lease of an address as its client's RELEASE would, durably and audited. Raises
PeerError, StoreError."""

RepairConflict = Callable[[int, Said], Awaitable[None]]
"""Ends the conflict about an address, durably and audited. Raises PeerError, StoreError."""


class Orders(NamedTuple):
    """What the cluster does for peers and operators."""

    handle: Handle
    decide: Decide
    serve: Serve
    end_wait: EndWait
    realign: Realign


class Writer:
    """`on_change` is called on the event loop after a change of the configuration."""

    def __init__(
        self,
        store: AgentStore,
        executor: Executor,
        clock: Callable[[], int],
        cluster: Orders,
        exchanges: Mapping[str, Exchanges],
        on_change: Callable[[], None],
        repair_conflict: RepairConflict,
        release: Release,
        system: SystemGroup,
    ) -> None:
        self._system = system
        self._serial_turn = asyncio.Lock()
        self._store = store
        self._executor = executor
        self._clock = clock
        self._orders = cluster
        self._exchanges = exchanges
        self._on_change = on_change
        self._repair_conflict = repair_conflict
        self._release_lease = release
        self._refusals = Refusals()

    async def set(
        self, asker: Asker, pdu: message.Pdu, varbinds: list[Varbind], room: int
    ) -> Reply:
        try:
            await self._apply(asker, varbinds)
        except RequestError as error:
            if asker.role in (Role.OPERATOR, Role.MONITOR) and not asker.is_community:
                await self._audit_refusal(asker, varbinds, error)
            raise
        return Reply()

    async def _apply(self, asker: Asker, varbinds: Sequence[Varbind]) -> None:
        own = {n: one for n, one in enumerate(varbinds, 1) if is_writable(one.oid)}
        rows = gather(asker.role, varbinds, own)
        if not own:
            await self._write(asker, varbinds, rows)
            return
        async with self._serial_turn:
            change = self._system.judge(asker.role, own)
            if change.number and rows:
                raise RequestError(
                    ErrorStatus.INCONSISTENT_NAME, change.number, "the rows need another SET"
                )
            if change.number:
                await self._set_texts(asker, change.texts, describe(varbinds))
            await self._write(asker, varbinds, rows)
            if change.counts_serial:
                self._system.count_serial()

    async def _write(
        self, asker: Asker, varbinds: Sequence[Varbind], rows: list[RowAssignment]
    ) -> None:
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
        elif names == {columns.CONFLICT.name}:
            await self._repair(asker, rows[0], describe(varbinds))
        elif names == {columns.BINDING.name}:
            await self._release(asker, rows[0], describe(varbinds))
        elif names <= {columns.MEMBER.name, columns.GROUP.name}:
            await self._give_order(asker, rows[0], describe(varbinds))
        else:
            await self._exchange(rows[0])

    # --- contact and location

    async def _set_texts(self, asker: Asker, texts: Texts, words: str) -> None:
        old = self._system.texts

        def transact() -> bool:
            with self._store.write() as tx:
                tx.audit(asker.user, "set", words[:SNMP_AUDIT_DETAIL_MAX], self._clock() // 1000)
                self._system.save(texts)
            return True

        try:
            await self._on_store(transact)
        except OSError as error:
            log.error("sysContact and sysLocation could not be kept: %s", error)
            raise RequestError(ErrorStatus.COMMIT_FAILED, 0, str(error)) from error
        except RequestError:
            if self._system.texts != old:  # saved, and then the audit's row was not
                self._system.save(old)
            raise

    # --- configuration

    async def _configure(self, asker: Asker, rows: list[RowAssignment], words: str) -> None:
        def transact() -> bool:
            now = self._clock() // 1000
            with self._store.write() as tx:
                changes = editing.edit(
                    [
                        record.row
                        for kind in KINDS
                        for record in tx.configuration(kind)
                        if not record.deleted
                    ],
                    rows,
                    lambda first, last: tx.count_bindings(first, last, now).live,
                    now,
                )
                if changes:
                    tx.save_configuration(changes)
                    told = configuration_events(tx.replaced_configuration(), asker.user, now)
                    tx.put_events(told)
                tx.audit(asker.user, "set", words[:SNMP_AUDIT_DETAIL_MAX], now)
            return bool(changes)

        if await self._on_store(transact):
            self._on_change()

    async def _on_store(self, transact: Callable[[], bool]) -> bool:
        """Run on the store's thread. A store that cannot commit is resourceUnavailable."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, transact)
        except StoreError as error:
            log.error("a SET could not be stored: %s", error)
            raise RequestError(ErrorStatus.RESOURCE_UNAVAILABLE, 1, str(error)) from error

    async def _audit_refusal(
        self, asker: Asker, varbinds: Sequence[Varbind], refusal: RequestError
    ) -> None:
        now = self._clock() // 1000
        if not self._refusals.admit(asker.user, now):
            return
        words = f"{refusal}: {describe(varbinds)}"[:AUDIT_REFUSAL_DETAIL_MAX]

        def write() -> None:
            with self._store.write() as tx:
                self._refusals.write(tx, asker.user, words, now)

        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, write)
        except StoreError as error:
            log.error("the audit could not be written: %s", error)

    # --- leases and conflicts

    async def _release(self, asker: Asker, row: RowAssignment, words: str) -> None:
        if row.integer("State", 0) != BindingState.RELEASED:
            raise RequestError(
                ErrorStatus.INCONSISTENT_VALUE, row.number, "a lease is ended with released"
            )
        try:
            await self._release_lease(index_address(row.index), _said(asker, words))
        except PeerError as error:
            raise RequestError(ErrorStatus.INCONSISTENT_VALUE, row.number, str(error)) from error

    async def _repair(self, asker: Asker, row: RowAssignment, words: str) -> None:
        if row.status is not RowStatus.DESTROY:
            raise RequestError(
                ErrorStatus.INCONSISTENT_VALUE, row.number, "a conflict is repaired with destroy"
            )
        try:
            await self._repair_conflict(index_address(row.index), _said(asker, words))
        except PeerError as error:
            raise RequestError(ErrorStatus.INCONSISTENT_VALUE, row.number, str(error)) from error

    # --- the group

    async def _give_order(self, asker: Asker, row: RowAssignment, words: str) -> None:
        """To the group or to this member; the audit keeps who gave it and what came of it."""
        said = _said(asker, words)
        if row.table.name == columns.GROUP.name:
            order = orders.group_order(row)
        else:
            order = orders.member_order(row, await self._me())
        try:
            if order.change is not None:
                await self._orders.decide(order.change, order.force, said)
            if order.service is not None:
                await self._orders.serve(order.service, said)
            if order.ends_wait:
                await self._orders.end_wait(said)
            if order.realigns_with:
                await self._orders.realign(order.realigns_with, said)
        except PeerError as error:
            status = orders.status_of_refusal(error.reason)
            number = order.number
            at_fault = row.values.get(orders.AT_FAULT.get(error.reason, ""))
            if at_fault is not None:
                number = at_fault.number
            if error.reason == "member_taken" and not await self._has_member(row.index[0]):
                number = row.values["EngineId"].number
            raise RequestError(status, number, str(error)) from error
        except StoreError as error:
            log.error("a SET could not be stored: %s", error)
            raise RequestError(
                ErrorStatus.RESOURCE_UNAVAILABLE, order.number, str(error)
            ) from error

    async def _me(self) -> MemberId:
        def read() -> MemberId:
            with self._store.read() as tx:
                return tx.local().member

        return await asyncio.get_running_loop().run_in_executor(self._executor, read)

    async def _has_member(self, number: MemberId) -> bool:
        """Whether the group knows a member of that number, whatever became of it."""

        def read() -> bool:
            with self._store.read() as tx:
                group = tx.group()
            return group is not None and group.member(number) is not None

        return await asyncio.get_running_loop().run_in_executor(self._executor, read)

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
        number = row.values["Request"].number
        try:
            request = unpack_request(packed, self._clock())
        except PacketError as error:
            raise RequestError(ErrorStatus.WRONG_VALUE, number, str(error)) from error
        if not isinstance(request, Exchange) or exchange_row(request) != (row.table, row.index):
            what = f"{type(request).__name__} of member {request.header.sender}"
            raise RequestError(ErrorStatus.WRONG_VALUE, number, f"{what} belongs to another row")
        response = await self._orders.handle(request)
        exchanges.put(row.index, packed, pack_response(response, self._clock()))


def _said(asker: Asker, words: str) -> Said:
    return Said(asker.user, words[:SNMP_AUDIT_DETAIL_MAX])
