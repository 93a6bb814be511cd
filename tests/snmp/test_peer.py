"""PeerClient against a member's agent: every request of the cluster as an SNMP operation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config

from agent.errors import PeerError, StoreError
from agent.model import BallotNumber, Binding, Member, Nonce, stream_id
from agent.snmp import columns
from agent.snmp.agent import AgentUser
from agent.snmp.engine import build_engine, close_engine
from agent.snmp.exchange_row import Exchange, exchange_row
from agent.snmp.oid import Oid
from agent.snmp.peer import PeerClient, PeerTimeout
from agent.snmp.session import Session
from agent.snmp.view import Role
from agent.sync import messages as m
from agent.sync.codec import pack_request
from tests.snmp.world import (
    FIRST,
    LOOPBACK,
    NOW_MS,
    World,
    binding,
    engine_id,
    keys_of,
    make_group,
    running,
)

STREAM = stream_id(1, 1)
NONCE = Nonce(1, 7)


def meeting(
    check: Callable[[World, PeerClient], Awaitable[None]],
    *,
    bindings: int = 20,
    user: Role = Role.PEER,
    wrong_key: bool = False,
) -> None:
    """`check` with a member's agent and another member's client."""

    async def enter() -> None:
        async with running(bindings=bindings) as world:
            engine = build_engine(None)
            transport = udp.UdpTransport().open_client_mode()
            await transport._lport
            config.add_transport(engine, udp.DOMAIN_NAME, transport)
            session = Session(engine)
            keys = keys_of("somebody" if wrong_key else user.value)
            client = PeerClient(session, [(user.value, keys)], timeout_s=5)
            try:
                await check(world, client)
            finally:
                session.close()
                await close_engine(engine)

    asyncio.run(enter())


def hello(world: World) -> m.Hello:
    return m.Hello(world.header(), {STREAM: 5}, (1, 3), NOW_MS)


def test_hello_and_update_are_acknowledged_by_who_has_them() -> None:
    async def check(world: World, client: PeerClient) -> None:
        update = m.BindingUpdate(
            world.header(), stream_id(2, 1), 3, 4, (binding(FIRST, stream=stream_id(2, 1), seq=4),)
        )
        for request in (hello(world), update):
            assert await client.exchange(world.member(), request, NOW_MS) == m.Acknowledged()
        assert world.requests == [hello(world), update]

    meeting(check)


def test_the_acknowledgement_waits_for_the_commit() -> None:
    """pysnmp would answer an INFORM first (snmp.md): here the response means committed."""

    async def check(world: World, client: PeerClient) -> None:
        reached, committed = asyncio.Event(), asyncio.Event()

        async def commit(_: m.Request) -> m.Response:
            reached.set()
            await committed.wait()
            return m.Acknowledged()

        world.answer = commit
        waiting = asyncio.create_task(client.exchange(world.member(), hello(world), NOW_MS))
        await reached.wait()
        assert not waiting.done()
        committed.set()
        assert await waiting == m.Acknowledged()

    meeting(check)


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (PeerError("generation"), "generation"),
        (PeerError("gap"), "gap"),
        (PeerError("order", "something else"), "refused"),
        (StoreError("disk full"), "store"),
        (RuntimeError("a defect of ours"), "refused"),
    ],
)
def test_a_refusal_is_no_silence(refusal: Exception, reason: str) -> None:
    async def check(world: World, client: PeerClient) -> None:
        world.refusal = refusal
        poll = m.PollAsk(world.header(), NONCE, (m.RangeEpoch(FIRST, FIRST + 9),))
        for request in (hello(world), poll):
            with pytest.raises(PeerError) as caught:
                await client.exchange(world.member(), request, NOW_MS)
            assert caught.value.reason == reason

    meeting(check)


def test_an_update_that_fits_no_datagram_is_not_sent() -> None:
    async def check(world: World, client: PeerClient) -> None:
        stream = stream_id(2, 1)
        long = tuple(
            binding(FIRST + at, hostname="h" * 250, stream=stream, seq=at + 1) for at in range(300)
        )
        update = m.BindingUpdate(world.header(), stream, 0, 300, long)
        with pytest.raises(PeerError, match="too_big"):
            await client.exchange(world.member(), update, NOW_MS)
        most = replace(update, records=long[:150], through=150)
        assert await client.exchange(world.member(), most, NOW_MS) == m.Acknowledged()

    meeting(check)


def test_informs_of_one_peer_keep_their_order() -> None:
    async def check(world: World, client: PeerClient) -> None:
        order: list[int] = []

        async def slower_first(request: m.Request) -> m.Response:
            assert isinstance(request, m.Hello)
            for _ in range(10 - request.sent_at):
                await asyncio.sleep(0)
            order.append(request.sent_at)
            return m.Acknowledged()

        world.answer = slower_first
        await asyncio.gather(
            *(
                client.exchange(world.member(), replace(hello(world), sent_at=at), NOW_MS)
                for at in range(8)
            )
        )
        assert order == [r.sent_at for r in world.requests if isinstance(r, m.Hello)]
        assert not world.agent.informs._turns, "nothing is kept of who has been heard"

    meeting(check)


def test_polls_and_ballots() -> None:
    async def check(world: World, client: PeerClient) -> None:
        ranges = (m.RangeEpoch(FIRST, FIRST + 99, 1),)
        verdict = m.PollAnswer(NONCE, 3, (m.Verdict(FIRST, FIRST + 99, True, 1, 0),))
        vote = m.BallotAnswer(4, True, BallotNumber(1, 2), None, None)

        async def answer(request: m.Request) -> m.Response:
            return verdict if hasattr(request, "nonce") else vote

        world.answer = answer
        header = world.header()
        group = make_group(4)
        for request in (
            m.PollAsk(header, NONCE, ranges),
            m.PollReserve(header, NONCE, ranges),
            m.PollAbort(header, NONCE, ranges),
        ):
            assert await client.exchange(world.member(), request, NOW_MS) == verdict
        for ballot in (
            m.BallotPrepare(header, 4, BallotNumber(1, 2)),
            m.BallotAccept(header, BallotNumber(1, 2), group),
            m.GroupCommit(header, group),
        ):
            assert await client.exchange(world.member(), ballot, NOW_MS) == vote
        assert len(world.requests) == 6
        with world.store.read() as tx:
            assert list(tx.audit_after(0, 9)) == [], "what peers do is no SET of a person"

    meeting(check)


def test_the_group() -> None:
    async def check(world: World, client: PeerClient) -> None:
        stranger = m.Header(9, 1, 0, b"")
        answer = await client.exchange(world.member(), m.GroupQuery(stranger), NOW_MS)
        assert answer == m.GroupAnswer(make_group())

    meeting(check)


def test_a_foreign_membership_is_seen_in_every_pull() -> None:
    async def check(world: World, client: PeerClient) -> None:
        good = world.header()
        for header in (
            replace(good, generation=2),
            replace(good, membership_hash=b"12345678"),
        ):
            for request in (
                m.ChangePull(header, STREAM, 0, 10),
                m.BlockPull(header, -1, 10),
                m.StreamQuery(header),
            ):
                with pytest.raises(PeerError, match="generation"):
                    await client.exchange(world.member(), request, NOW_MS)

    meeting(check)


async def pull_changes(world: World, client: PeerClient, limit: int) -> list[m.ChangePage]:
    pages: list[m.ChangePage] = []
    after = 0
    while not pages or not pages[-1].complete:
        pull = m.ChangePull(world.header(), STREAM, after, limit)
        page = await client.exchange(world.member(), pull, NOW_MS)
        assert isinstance(page, m.ChangePage)
        assert page.through > after
        pages.append(page)
        after = page.through
    return pages


@pytest.mark.parametrize("limit", [1, 3, 7, 500])
def test_changes_come_once_each_under_their_last_number(limit: int) -> None:
    """FIRST is changed by the first and by the last change; in one page it counts as the last."""

    async def check(world: World, client: PeerClient) -> None:
        pages = await pull_changes(world, client, limit)
        assert pages[-1].through == 23
        with world.store.read() as tx:
            rows = tx.bindings_in_range(0, 2**32 - 1, 99)
        received = {
            row.address: row for page in pages for row in page.records if isinstance(row, Binding)
        }
        assert [received[row.address].seq for row in rows] == [row.seq for row in rows]
        if limit == 500:
            assert [row.seq for row in pages[0].records] == list(range(1, 3)) + list(range(4, 24))

    meeting(check)


def test_a_trimmed_log_is_said() -> None:
    async def check(world: World, client: PeerClient) -> None:
        with world.store.write() as tx:
            tx.trim_changes(STREAM, 10)
        pull = m.ChangePull(world.header(), STREAM, 4, 10)
        page = await client.exchange(world.member(), pull, NOW_MS)
        assert page == m.ChangePage(STREAM, 10, 4, (), False)
        done = replace(pull, after=23)
        page = await client.exchange(world.member(), done, NOW_MS)
        assert page == m.ChangePage(STREAM, 10, 23, (), True)
        unknown = replace(pull, stream=stream_id(1, 2), after=0)
        page = await client.exchange(world.member(), unknown, NOW_MS)
        assert page == m.ChangePage(stream_id(1, 2), 0, 0, (), True)

    meeting(check)


@pytest.mark.parametrize("limit", [1, 5, 64])
def test_blocks(limit: int) -> None:
    async def check(world: World, client: PeerClient) -> None:
        records: list[m.Record] = []
        after, complete = -1, False
        while not complete:
            pull = m.BlockPull(world.header(), after, limit)
            page = await client.exchange(world.member(), pull, NOW_MS)
            assert isinstance(page, m.BlockPage)
            assert page.last_block > after
            records += page.records
            after, complete = page.last_block, page.complete
        with world.store.read() as tx:
            assert records == tx.bindings_in_range(0, 2**32 - 1, 999)

    meeting(check, bindings=200)


def test_streams_and_configuration() -> None:
    async def check(world: World, client: PeerClient) -> None:
        query = m.StreamQuery(world.header())
        answer = await client.exchange(world.member(), query, NOW_MS)
        assert isinstance(answer, m.StreamAnswer)
        assert answer.vector == {STREAM: 23}
        assert answer.log_from == {STREAM: 0}
        assert [type(record.row).__name__ for record in answer.configuration] == ["Subnet", "Pool"]

    meeting(check)


def test_silence() -> None:
    async def check(world: World, client: PeerClient) -> None:
        await world.agent.close()
        client.timeout_s = 0.05
        with pytest.raises(PeerTimeout, match="no answer from"):
            await client.exchange(world.member(), m.GroupQuery(m.Header(2, 1, 0, b"")), NOW_MS)

    meeting(check)


def test_a_wrong_key_and_another_engine() -> None:
    async def check(world: World, client: PeerClient) -> None:
        query = m.GroupQuery(m.Header(2, 1, 0, b""))
        with pytest.raises(PeerError, match="authentication"):
            await client.exchange(world.member(), query, NOW_MS)
        assert world.requests == []

    meeting(check, wrong_key=True)


def test_a_member_that_has_another_engine_is_not_talked_to() -> None:
    """An engine's ID comes from the membership, never from a Report of whoever answers there."""

    async def check(world: World, client: PeerClient) -> None:
        client.timeout_s = 0.3
        member = Member(1, "m1", LOOPBACK, world.port, engine_id(99))
        with pytest.raises((PeerError, PeerTimeout)):
            await client.exchange(member, hello(world), NOW_MS)
        assert world.requests == []

    meeting(check)


def test_transfers() -> None:
    """The request and its acknowledgement take turns in one row of the transfer table."""

    async def check(world: World, client: PeerClient) -> None:
        ranges = (m.RangeEpoch(FIRST, FIRST + 99, 7),)
        offer = m.TransferOffer(NONCE, ranges)

        async def answer(request: m.Request) -> m.Response:
            return offer if isinstance(request, m.TransferAsk) else m.Acknowledged()

        world.answer = answer
        header = world.header()
        ask = m.TransferAsk(header, NONCE, FIRST, FIRST + 999, 100, 3)
        taken = m.TransferTaken(header, NONCE, ranges)
        assert await client.exchange(world.member(), ask, NOW_MS) == offer
        assert await client.exchange(world.member(), taken, NOW_MS) == m.Acknowledged()
        assert world.requests == [ask, taken]
        assert len(world.agent.exchanges.transfers.rows()) == 1
        assert world.agent.exchanges.polls.rows() == []

    meeting(check)


def test_a_request_is_taken_under_its_own_row_alone() -> None:
    """Not of another table, sender, nonce, xid or generation; and no INFORM's message by SET."""

    async def check(world: World, client: PeerClient) -> None:
        header, target = world.header(), client._target(world.member())
        asked: tuple[Exchange, ...] = (
            m.PollAsk(header, NONCE, (m.RangeEpoch(FIRST, FIRST + 9),)),
            m.TransferAsk(header, NONCE, FIRST, FIRST + 9, 1, 0),
            m.BallotPrepare(header, 4, BallotNumber(1, 2)),
            m.GroupCommit(header, make_group(4)),
        )
        wrong: list[tuple[columns.Table, Oid, bytes]] = [
            (columns.POLL, (2, 1, 7), pack_request(hello(world), NOW_MS))
        ]
        for request in asked:
            table, index = exchange_row(request)
            packed = pack_request(request, NOW_MS)
            for at in range(len(index)):
                elsewhere = (*index[:at], index[at] + 1, *index[at + 1 :])
                wrong.append((table, elsewhere, packed))
            for other in (columns.POLL, columns.TRANSFER, columns.PROPOSAL):
                if other is not table:
                    wrong.append((other, (2, 1, 7)[: len(other.index)], packed))
        for place in wrong:
            with pytest.raises(PeerError) as caught:
                await client._set_and_get(target, *place, lambda: NOW_MS)
            assert caught.value.reason == "malformed"
        kept = world.agent.exchanges
        assert (kept.polls.rows(), kept.transfers.rows(), kept.proposals.rows()) == ([], [], [])
        assert world.requests == []
        for request in asked:
            assert await client.exchange(world.member(), request, NOW_MS) == m.Acknowledged()
        assert world.requests == list(asked)

    meeting(check)


@pytest.mark.parametrize("user", [Role.MONITOR, Role.OPERATOR])
def test_people_cannot_speak_as_members(user: Role) -> None:
    async def check(world: World, client: PeerClient) -> None:
        poll = m.PollAsk(world.header(), NONCE, (m.RangeEpoch(FIRST, FIRST + 9),))
        transfer = m.TransferAsk(world.header(), NONCE, FIRST, FIRST + 9, 1, 0)
        for request in (hello(world), poll, transfer):
            with pytest.raises(PeerError):
                await client.exchange(world.member(), request, NOW_MS)
        assert world.requests == []
        pull = m.BlockPull(world.header(), -1, 10)
        page = await client.exchange(world.member(), pull, NOW_MS)
        assert isinstance(page, m.BlockPage)
        assert page.records == ()

    meeting(check, user=user)


def test_users_of_the_agent_hide_their_keys() -> None:
    user = AgentUser("peer", Role.PEER, keys_of("peer"), keys_of("peer"))
    assert keys_of("peer").authentication.hex() not in repr(user)
