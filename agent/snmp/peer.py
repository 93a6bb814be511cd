"""Requests to other members as SNMP operations (docs/architecture.md): what `agent.sync` asks for.

| request | operation |
|---|---|
| Hello, BindingUpdate | INFORM of one packed message; the response means committed |
| ChangePull, BlockPull, StreamQuery | GETBULK |
| GroupQuery | GETNEXT of the packed group |
| PollAsk, PollReserve, PollAbort | SET of a row of the poll table, then GET of its answer |
| TransferAsk, TransferTaken | the same with the transfer table |
| BallotPrepare, BallotAccept, GroupCommit | the same with the proposal table |

A pull reads generation and membership hash in the same message as the rows, so rows of
another membership are never taken. A request is sent at most twice, with the same content: every
one of them may arrive twice without harm.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from agent.errors import PacketError, PeerError
from agent.limits import SNMP_MESSAGE_OCTETS_MAX, SNMP_PEER_OUTSTANDING_MAX
from agent.model import Member, MemberId
from agent.snmp import ber, columns, message, pages
from agent.snmp.asking import Answer, Asking, SnmpAuthError, SnmpTimeout, Target
from agent.snmp.ber import Varbind
from agent.snmp.columns import RowStatus, Table
from agent.snmp.exchange_row import exchange_row
from agent.snmp.informs import SNMP_TRAP_OID
from agent.snmp.keys import UserKeys
from agent.snmp.oid import Oid
from agent.snmp.status import ErrorStatus, peer_error
from agent.sync import messages as m
from agent.sync.codec import pack_request, unpack_response

SYS_UP_TIME: Oid = (1, 3, 6, 1, 2, 1, 1, 3, 0)

PeerTimeout = SnmpTimeout
"""A TimeoutError: the peer kept silent twice."""

_ATTEMPTS = 2
_WALK_REPETITIONS = 64
_INFORM_OCTETS_MAX = SNMP_MESSAGE_OCTETS_MAX - 256
"""Variable bindings of an INFORM; the rest is for the message around them."""


class PeerClient:
    """`users` are the users of role peer with their master keys; the first one is used.
    `expect(engine_id, user, authentication key)` hears of whom answers will come."""

    def __init__(
        self,
        session: Asking,
        users: Iterable[tuple[str, UserKeys]],
        expect: Callable[[bytes, bytes, bytes], None] = lambda *_: None,
        *,
        timeout_s: float = 2.0,
    ) -> None:
        self._session = session
        self._user = next(iter(users), None)
        self._expect = expect
        self.timeout_s = timeout_s
        self._known_engines: set[bytes] = set()
        self._turns: dict[MemberId, asyncio.Semaphore] = {}
        self._started = time.monotonic()

    async def exchange(self, member: Member, request: m.Request, now_ms: int) -> m.Response:
        """The peer's response. Raises PeerError for a refusal, PeerTimeout for silence."""
        turn = self._turns.setdefault(member.member, asyncio.Semaphore(SNMP_PEER_OUTSTANDING_MAX))
        async with turn:
            began = time.monotonic()

            def now() -> int:
                return now_ms + int((time.monotonic() - began) * 1000)

            try:
                return await self._exchange(self._target(member), request, now)
            except PacketError as error:
                raise PeerError("malformed", str(error)) from error
            except SnmpAuthError as error:
                raise PeerError("authentication", str(error)) from error

    async def _exchange(
        self, target: Target, request: m.Request, now: Callable[[], int]
    ) -> m.Response:
        if isinstance(request, m.Hello):
            return await self._inform(target, columns.HELLO, pack_request(request, now()))
        if isinstance(request, m.BindingUpdate):
            return await self._inform(target, columns.BINDING_UPDATE, pack_request(request, now()))
        if isinstance(request, m.ChangePull):
            return await self._pull_changes(target, request, now)
        if isinstance(request, m.BlockPull):
            return await self._pull_blocks(target, request, now)
        if isinstance(request, m.StreamQuery):
            return await self._query_streams(target, request, now)
        if isinstance(request, m.GroupQuery):
            return await self._query_group(target)
        table, index = exchange_row(request)
        return await self._set_and_get(target, table, index, pack_request(request, now()), now)

    def _target(self, member: Member) -> Target:
        if self._user is None:
            raise PeerError("authentication", "this member has no SNMP user of role peer")
        name, master = self._user
        if member.engine_id not in self._known_engines:
            keys = master.localize(member.engine_id)
            self._session.know(name, keys, member.engine_id)
            self._known_engines.add(member.engine_id)
            self._expect(member.engine_id, name.encode(), keys.authentication)
        return Target(member.address, member.port, name, member.engine_id)

    async def _ask(
        self,
        target: Target,
        kind: int,
        varbinds: bytes,
        first: int = 0,
        second: int = 0,
    ) -> Answer:
        """With one repetition after silence. A GETBULK is repeated for half as much, because a
        long answer is the first to be lost."""
        for attempt in range(_ATTEMPTS):
            if attempt and kind == message.GET_BULK:
                second = max(1, second // 2)
            try:
                answer = await self._session.ask(
                    target, kind, varbinds, self.timeout_s, first=first, second=second
                )
            except SnmpTimeout:
                if attempt + 1 == _ATTEMPTS:
                    raise
                continue
            if answer.status:
                raise peer_error(answer.status)
            return answer
        raise AssertionError("an attempt returns or raises")

    # --- INFORM

    async def _inform(self, target: Target, name: Oid, packed: bytes) -> m.Acknowledged:
        ticks = int((time.monotonic() - self._started) * 100) & 0xFFFF_FFFF
        varbinds = ber.encode_varbinds(
            (
                Varbind(SYS_UP_TIME, ber.TIME_TICKS, ticks),
                Varbind(SNMP_TRAP_OID, ber.OBJECT_IDENTIFIER, name),
                Varbind(columns.MESSAGE, ber.OCTETS, packed),
            )
        )
        if len(varbinds) > _INFORM_OCTETS_MAX:
            raise PeerError(
                "too_big", f"{len(varbinds)} octets fit no datagram, send fewer records"
            )
        await self._ask(target, message.INFORM, varbinds)
        return m.Acknowledged()

    # --- SET, then GET

    async def _set_and_get(
        self, target: Target, table: Table, index: Oid, packed: bytes, now: Callable[[], int]
    ) -> m.Response:
        row = (
            Varbind((*table["Request"].oid, *index), ber.OCTETS, packed),
            Varbind((*table["RowStatus"].oid, *index), ber.INTEGER, RowStatus.CREATE_AND_GO),
        )
        answer_name = (*table["Answer"].oid, *index)
        await self._ask(target, message.SET, ber.encode_varbinds(row))
        answer = await self._ask(target, message.GET, pages.names([answer_name]))
        one = answer.varbinds[0]
        if one.oid != answer_name or not isinstance(one.value, bytes):
            raise PeerError("refused", "the peer keeps no answer to this request")
        return unpack_response(one.value, now())

    # --- GETBULK

    async def _bulk(
        self,
        target: Target,
        header: m.Header,
        singles: Sequence[Oid],
        repeaters: Sequence[Oid],
        repetitions: int,
    ) -> tuple[list[Varbind], list[Varbind]]:
        """Values of `singles` and of `repeaters`, from a peer of the same membership."""
        asked = (*pages.MEMBERSHIP, *singles)
        answer = await self._ask(
            target,
            message.GET_BULK,
            pages.names((*asked, *repeaters)),
            len(asked),
            max(1, repetitions),
        )
        pages.check_membership(answer.varbinds, header)
        return answer.varbinds[len(pages.MEMBERSHIP) : len(asked)], answer.varbinds[len(asked) :]

    async def _pull_changes(
        self, target: Target, pull: m.ChangePull, now: Callable[[], int]
    ) -> m.ChangePage:
        singles, repeater = pages.change_names(pull)
        heads, rows = await self._bulk(target, pull.header, singles, [repeater], pull.limit)
        return pages.change_page(pull, heads, rows, now())

    async def _pull_blocks(
        self, target: Target, pull: m.BlockPull, now: Callable[[], int]
    ) -> m.BlockPage:
        _, rows = await self._bulk(target, pull.header, (), [pages.block_name(pull)], pull.limit)
        return pages.block_page(pull, rows, now())

    async def _query_streams(
        self, target: Target, query: m.StreamQuery, now: Callable[[], int]
    ) -> m.StreamAnswer:
        """The vector first: rows read later hold at least what it claims."""
        applied = await self._column(target, query.header, columns.STREAM["Applied"].oid)
        log_from = await self._column(target, query.header, columns.STREAM["LogFrom"].oid)
        packed = await self._column(target, query.header, columns.CONFIG_RECORD["Packed"].oid)
        return pages.stream_answer(applied, log_from, packed, now())

    async def _column(self, target: Target, header: m.Header, column: Oid) -> list[Varbind]:
        """Every value of a column."""
        found: list[Varbind] = []
        after = column
        while True:
            _, rows = await self._bulk(target, header, (), [after], _WALK_REPETITIONS)
            inside = pages.of_column(rows, column)
            if not inside:
                return found
            if inside[-1].oid <= after:
                raise PacketError("order", "the peer's answer does not go on")
            found += inside
            if len(inside) < len(rows):
                return found
            after = inside[-1].oid

    async def _query_group(self, target: Target) -> m.GroupAnswer:
        answer = await self._ask(target, message.GET_NEXT, pages.names([pages.GROUP_NAME]))
        return pages.group_answer(answer.varbinds)


__all__ = ["ErrorStatus", "PeerClient", "PeerTimeout"]
