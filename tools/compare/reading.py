"""Reading one member as its peers do: whole blocks of packed rows by GETBULK, as user of role peer.

Every vector is read before the rows that it is to vouch for: a row that is read later holds at
least what the vector claims.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agent.errors import PacketError, PeerError
from agent.kinds import configuration_key
from agent.limits import BLOCK_ADDRESSES
from agent.model import AddressState, Binding, Member, format_address, stream_id
from agent.snmp import ber, message, pages
from agent.snmp.asking import SnmpAuthError, SnmpTimeout, Target
from agent.snmp.ber import Varbind
from agent.snmp.columns import ACTIVITY, ADDRESS, BINDING_BLOCK, SERVER, STREAM
from agent.snmp.keys import UserKeys
from agent.snmp.oid import Oid, index_address, starts_with
from agent.snmp.peer import PeerClient
from agent.sync import messages as m
from agent.sync.records import Sketch, sketch_records
from agent.sync.version import membership_hash
from tools.compare.asking import MemberSession
from tools.compare.values import Claim, Look, Overview, Told, Vector
from tools.errors import ManagerError
from tools.target import Target as Place

TIMEOUT_S = 3.0
_ATTEMPTS = 2
_PAGE_BLOCKS = 400
"""Repetitions of a walk over all blocks: the member stops when its answer is full."""
_WALK_ROWS = 200
_RUN_BLOCKS = 16
_RUN_GAP = 4
"""Blocks that are near each other are asked for together, with those between them."""
_GENERATIONS_MAX = 5
"""Changes of the group during one walk before the member is given up."""
_MISMATCHES: Oid = (*ACTIVITY["Count"].oid, *b"digest_mismatches")
_ABOUT: tuple[Oid, ...] = (
    SERVER["dhcpSyncServerVersion"].instance,
    SERVER["dhcpSyncServerBindings"].instance,
    _MISMATCHES,
)


class MemberReader:
    """One member. `open` it and `close` it; ManagerError where it cannot be read."""

    def __init__(self, member: Member, place: Place, keys: UserKeys) -> None:
        self.member = member
        self._place = place
        self._keys = keys
        self._session: MemberSession | None = None

    async def open(self) -> None:
        """Make the socket, in the namespace of the place."""
        member, user = self.member, self._place.user.user
        address = format_address(member.address)
        with self._place.enter():
            session = MemberSession(address, member.port, user, self._keys, member.engine_id)
        self._session = session
        self._client = PeerClient(session, [(user, self._keys)], timeout_s=TIMEOUT_S)
        self._target = Target(member.address, member.port, user, member.engine_id)
        self._header = m.Header(0, 0, 0, b"")

    async def close(self) -> None:
        """Also where it could not be opened."""
        if self._session is not None:
            self._session.close()
            self._session = None

    async def overview(self) -> Overview:
        answer = await self._ask_once(m.GroupQuery(self._header))
        assert isinstance(answer, m.GroupAnswer)
        if answer.group is None:
            raise ManagerError(f"{self._target}: it is in no group")
        self._header = m.Header(0, 0, answer.group.generation, membership_hash(answer.group))
        cells = await self._ask(message.GET, _ABOUT)
        version, bindings, mismatches = (
            None if one.tag in ber.EXCEPTIONS else one.value for one in cells
        )
        return Overview(
            answer.group,
            version.decode("utf-8", "replace") if isinstance(version, bytes) else "",
            bindings if isinstance(bindings, int) else 0,
            mismatches if isinstance(mismatches, int) else 0,
        )

    async def bindings(self, take: Callable[[int, Sketch], None]) -> None:
        """Every block in order, unread: to read 1,600,000 rows would take most of a minute."""
        column = BINDING_BLOCK["Records"].oid
        after: Oid = column
        while True:
            rows = await self._packed_blocks(after)
            inside = pages.of_column(rows, column)
            now_ms = _now_ms()
            for one in inside:
                if one.oid <= after or not isinstance(one.value, bytes):
                    raise ManagerError(f"{self._target}: its blocks are out of order")
                after = one.oid
                try:
                    take(one.oid[-1], sketch_records(one.value, now_ms))
                except PacketError as error:
                    raise ManagerError(f"{self._target}: {error}") from error
            if len(inside) < len(rows):
                return
            if not inside:
                raise ManagerError(f"{self._target}: not even one block fits its answer")

    async def _packed_blocks(self, after: Oid) -> list[Varbind]:
        """Of the generation that was told last, as in a pull."""
        for _ in range(_GENERATIONS_MAX):
            cells = await self._ask(
                message.GET_BULK,
                (*pages.MEMBERSHIP, after),
                repetitions=_PAGE_BLOCKS,
                singles=len(pages.MEMBERSHIP),
            )
            try:
                pages.check_membership(cells, self._header)
            except PeerError:
                await self.overview()
            else:
                return cells[len(pages.MEMBERSHIP) :]
        raise ManagerError(f"{self._target}: the group changes faster than it can be read")

    async def look(self, blocks: Sequence[int]) -> Look:
        """The bindings of these blocks, between two readings of the vector."""
        vector = await self.vector()
        wanted = frozenset(blocks)
        rows: dict[int, Binding] = {}
        for first, last in _runs(blocks):
            after = first - 1
            while after < last:
                page = await self._blocks(after, last - after)
                for row in _rows(page):
                    if row.address // BLOCK_ADDRESSES in wanted:
                        rows[row.address] = row
                if page.complete:
                    break
                after = page.last_block
        return Look(vector, await self.vector() == vector, rows)

    async def configuration(self) -> Told:
        answer = await self._ask_again(lambda: m.StreamQuery(self._header))
        assert isinstance(answer, m.StreamAnswer)
        records = {configuration_key(one.row): one for one in answer.configuration}
        return Told(answer.vector, records)

    async def vector(self) -> Vector:
        rows = await self._walk([STREAM["Applied"].oid])
        return {stream_id(*index): values[0] for index, values in rows.items()}

    async def claims(self) -> list[Claim]:
        names = [ADDRESS[short].oid for short in ("Last", "State", "Epoch")]
        return [
            Claim(self.member.member, index_address(index), int.from_bytes(last, "big"), epoch)
            for index, (last, state, epoch) in (await self._walk(names)).items()
            if state == AddressState.BINDABLE
        ]

    async def _blocks(self, after: int, limit: int) -> m.BlockPage:
        page = await self._ask_again(lambda: m.BlockPull(self._header, after, limit))
        assert isinstance(page, m.BlockPage)
        return page

    async def _ask_again(self, request: Callable[[], m.Request]) -> m.Response:
        """The group may change while it is read: that is no fault of the rows."""
        for _ in range(_GENERATIONS_MAX):
            try:
                return await self._ask_once(request())
            except PeerError:
                await self.overview()
        raise ManagerError(f"{self._target}: the group changes faster than it can be read")

    async def _ask_once(self, request: m.Request) -> m.Response:
        """PeerError is left for a group of another generation only."""
        try:
            return await self._client.exchange(self.member, request, _now_ms())
        except PeerError as error:
            if error.reason == "generation":
                raise
            raise ManagerError(f"{self._target}: {error}") from error
        except SnmpTimeout as error:
            raise ManagerError(str(error), "requestTimedOut") from error

    async def _walk(self, names: Sequence[Oid]) -> dict[Oid, list[Any]]:
        """Columns of a table side by side: the values of each whole row, by its index."""
        found: dict[Oid, list[Any]] = {}
        after: Oid = ()
        while True:
            cells = await self._ask(
                message.GET_BULK, [(*name, *after) for name in names], repetitions=_WALK_ROWS
            )
            rows = [cells[at : at + len(names)] for at in range(0, len(cells), len(names))]
            before = len(found)
            for row in rows:
                index = row[0].oid[len(names[0]) :]
                if not starts_with(row[0].oid, names[0]) or row[0].tag in ber.EXCEPTIONS:
                    return found
                if len(row) < len(names):
                    break
                if index <= after:
                    raise ManagerError(f"{self._target}: the walk goes backwards")
                after = index
                found[index] = [one.value for one in row]
            if len(found) == before:
                raise ManagerError(f"{self._target}: the walk does not go on")

    async def _ask(
        self, kind: int, names: Sequence[Oid], repetitions: int = 0, singles: int = 0
    ) -> list[Varbind]:
        """A long answer is the first to be lost: the second time half of it is asked for."""
        assert self._session is not None
        for attempt in range(_ATTEMPTS):
            try:
                answer = await self._session.ask(
                    self._target,
                    kind,
                    pages.names(names),
                    TIMEOUT_S,
                    first=singles,
                    second=repetitions >> attempt,
                )
            except SnmpTimeout as error:
                if attempt + 1 == _ATTEMPTS:
                    raise ManagerError(str(error), "requestTimedOut") from error
            except (SnmpAuthError, PacketError) as error:
                raise ManagerError(f"{self._target}: {error}") from error
            else:
                if answer.status:
                    raise ManagerError(f"{self._target}: error-status {answer.status}")
                return answer.varbinds
        raise AssertionError("an attempt returns or raises")


def _rows(page: m.BlockPage) -> list[Binding]:
    return [row for row in page.records if isinstance(row, Binding)]


def _runs(blocks: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last block of what one answer can hold."""
    first = last = -1
    for block in sorted(blocks):
        if first >= 0 and (block - last > _RUN_GAP or block - first >= _RUN_BLOCKS):
            yield first, last
            first = block
        elif first < 0:
            first = block
        last = block
    if first >= 0:
        yield first, last


def _now_ms() -> int:
    return int(time.time() * 1000)
