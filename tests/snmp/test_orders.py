"""Orders to the group and to a member by SET: what reaches the cluster, and what is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agent.errors import PeerError, StoreError
from agent.model import MemberState, Service
from agent.snmp import ber, columns
from agent.snmp.columns import Table
from agent.snmp.oid import Oid, format_oid
from agent.snmp.tables import PeerStatus, PendingChange
from agent.sync import recover
from agent.sync.change import Expel, GroupChange, Parameters, Readdress, Rename, Reweigh
from agent.sync.endpoint import Endpoint
from tests.snmp.test_requests import ask, build_set
from tests.snmp.test_writing import ACTIVE, DESTROY, MEMBER, NOT_IN_SERVICE, audited, set_as
from tests.snmp.world import Outcome, World, make_group, net_snmp, running

PARTNER_DOWN, PAUSE, RESUME, SHUTDOWN, LEAVE, END_WAIT = "2", "3", "4", "5", "6", "7"
REALIGN = "8"
FORCE = "2"


def name(table: Table, short: str, *index: int) -> str:
    oid: Oid = (*table[short].oid, *index)
    return "." + format_oid(oid)


def status(member: int, value: str) -> tuple[str, ...]:
    return name(columns.MEMBER, "RowStatus", member), "i", value


def operation(member: int, value: str) -> tuple[str, ...]:
    return name(columns.MEMBER, "Operation", member), "i", value


def force(member: int, value: str = FORCE) -> tuple[str, ...]:
    return name(columns.MEMBER, "Force", member), "i", value


def weight(member: int, value: str) -> tuple[str, ...]:
    return name(columns.MEMBER, "Weight", member), "u", value


def identity(short: str, member: int, kind: str, value: str) -> tuple[str, ...]:
    return name(columns.MEMBER, short, member), kind, value


def parameter(short: str, value: str) -> tuple[str, ...]:
    return name(columns.GROUP, short, 1), "u", value


@pytest.mark.parametrize(
    ("varbinds", "wanted"),
    [
        (status(3, DESTROY), (Expel(3), False)),
        ((*status(3, DESTROY), *force(3)), (Expel(3), True)),
        ((*force(3, "1"), *status(3, DESTROY)), (Expel(3), False)),
        (operation(2, PARTNER_DOWN), (Expel(2, keeps_seat=True), False)),
        ((*force(2), *operation(2, PARTNER_DOWN)), (Expel(2, keeps_seat=True), True)),
        (weight(2, "3"), (Reweigh(2, 3), False)),
        (
            (*identity("Address", 2, "x", "c6120009"), *identity("Port", 2, "u", "1161")),
            (Readdress(2, 0xC6120009, 1161), False),
        ),
        ((*identity("Port", 2, "u", "162"), *force(2)), (Readdress(2, None, 162), True)),
        (identity("Address", 2, "x", "c6120009"), (Readdress(2, 0xC6120009), False)),
        (identity("Name", 2, "s", "south"), (Rename(2, "south"), False)),
        (parameter("MaxUnpushedLeaseTime", "900"), (Parameters(mul_s=900), False)),
        (
            (*parameter("LeaseTime", "7200"), *parameter("SafePeriod", "3600")),
            (Parameters(lease_s=7200, safe_period_s=3600), False),
        ),
    ],
)
def test_one_set_is_one_order_to_the_group(
    varbinds: tuple[str, ...], wanted: tuple[GroupChange, bool]
) -> None:
    async def check() -> None:
        async with running() as world:
            out = await set_as(world, *varbinds)
            assert out.code == 0, out.err
            change, forced = wanted
            assert world.decisions == [(change, "operator", forced)]
            assert [(user, action) for user, action, _ in audited(world)] == [("operator", "set")]

    asyncio.run(check())


@pytest.mark.parametrize(
    ("value", "service"),
    [
        (PAUSE, Service.PAUSED),
        (RESUME, Service.RUNNING),
        (SHUTDOWN, Service.SHUTDOWN),
        (LEAVE, Service.LEAVING),
    ],
)
def test_orders_to_the_member_itself(value: str, service: Service) -> None:
    async def check() -> None:
        async with running() as world:
            out = await set_as(world, *operation(1, value))
            assert out.code == 0, out.err
            assert (world.services, world.decisions) == ([service], [])
            assert "dhcpSyncMemberOperation.1" in audited(world)[0][2]

    asyncio.run(check())


def test_a_wait_is_ended_at_the_member_itself() -> None:
    async def check() -> None:
        async with running() as world:
            out = await set_as(world, *operation(1, END_WAIT))
            assert out.code == 0, out.err
            assert (world.waits_ended, world.services, world.decisions) == (1, [], [])
            assert "dhcpSyncMemberOperation.1" in audited(world)[0][2]

    asyncio.run(check())


def test_a_member_is_told_whose_rows_are_right() -> None:
    async def check() -> None:
        async with running() as world:
            out = await set_as(world, *operation(2, REALIGN))
            assert out.code == 0, out.err
            assert (world.realigned, world.services, world.decisions) == ([2], [], [])
            assert "dhcpSyncMemberOperation.2" in audited(world)[0][2]
            out = await set_as(world, *operation(2, REALIGN), *force(2))
            assert "inconsistentValue" in out.err
            world.refusal = PeerError("unreachable", "member 3 is not heard here")
            out = await set_as(world, *operation(3, REALIGN))
            assert "inconsistentValue" in out.err
            assert world.realigned == [2]

    asyncio.run(check())


@pytest.mark.parametrize(
    ("varbinds", "word"),
    [
        (operation(2, PAUSE), "inconsistentName"),
        (operation(2, END_WAIT), "inconsistentName"),
        (operation(1, "1"), "inconsistentValue"),
        (operation(1, "9"), "wrongValue"),
        (force(2), "inconsistentValue"),
        ((*operation(1, PAUSE), *force(1)), "inconsistentValue"),
        (status(2, ACTIVE), "inconsistentValue"),
        (status(2, NOT_IN_SERVICE), "inconsistentValue"),
        ((*status(2, DESTROY), *operation(2, PARTNER_DOWN)), "inconsistentValue"),
        (weight(2, "1001"), "wrongValue"),
        ((*weight(2, "3"), *force(2)), "inconsistentValue"),
        ((*weight(2, "3"), *operation(2, PARTNER_DOWN)), "inconsistentValue"),
        ((*weight(2, "3"), *status(2, DESTROY)), "inconsistentValue"),
        ((*weight(2, "3"), *status(2, ACTIVE)), "inconsistentValue"),
        ((*MEMBER, *force(4)), "inconsistentValue"),
        ((*status(2, DESTROY), name(columns.MEMBER, "Name", 2), "s", "x"), "inconsistentValue"),
        ((*status(2, DESTROY), *status(3, DESTROY)), "inconsistentName"),
        ((*status(2, DESTROY), *parameter("LeaseTime", "60")), "inconsistentName"),
        (parameter("MemberCount", "3"), "notWritable"),
        ((name(columns.GROUP, "LeaseTime", 2), "u", "60"), "noCreation"),
        ((name(columns.MEMBER, "EndpointState", 2), "i", "2"), "notWritable"),
    ],
)
def test_what_is_no_order_is_refused_and_audited(varbinds: tuple[str, ...], word: str) -> None:
    async def check() -> None:
        async with running() as world:
            out = await set_as(world, *varbinds)
            assert word in out.err
            assert (world.decisions, world.services) == ([], [])
            assert [action for _, action, _ in audited(world)] == ["refused"]

    asyncio.run(check())


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("member_alive", "inconsistentValue"),
        ("no_majority", "inconsistentValue"),
        ("last_member", "inconsistentValue"),
        ("self", "inconsistentValue"),
        ("unknown_member", "inconsistentName"),
        ("parameter", "wrongValue"),
        ("busy", "resourceUnavailable"),
        ("not_voting", "resourceUnavailable"),
    ],
)
def test_the_cluster_s_refusal_is_told_and_why_is_in_the_audit(reason: str, word: str) -> None:
    async def check() -> None:
        async with running() as world:
            world.refusal = PeerError(reason, "the reason in words")
            out = await set_as(world, *status(3, DESTROY))
            assert word in out.err
            ((_, action, detail),) = audited(world)
            assert action == "refused"
            assert f"{reason}: the reason in words" in detail

    asyncio.run(check())


@pytest.mark.parametrize("user", ["monitor", "peer"])
def test_only_an_operator_gives_orders(user: str) -> None:
    async def check() -> None:
        async with running() as world:
            for varbinds in (status(3, DESTROY), operation(1, PAUSE), parameter("LeaseTime", "60")):
                out = await set_as(world, *varbinds, user=user)
                assert re_refused(out)
            assert (world.decisions, world.services) == ([], [])

    asyncio.run(check())


def re_refused(out: Outcome) -> bool:
    return out.code != 0 and ("noAccess" in out.err or "authorizationError" in out.err)


async def values(world: World, table: Table, short: str) -> list[str]:
    out = await net_snmp(world, "snmpwalk", "-Oqv", "." + format_oid(table[short].oid))
    return out.lines


def test_the_tables_show_failover_s_words_and_what_is_being_decided() -> None:
    async def check() -> None:
        async with running() as world:
            world.peers[2] = PeerStatus(endpoint_state=Endpoint.PAUSED)
            world.pending += [
                PendingChange("removal of member 3", "operator", 2),
                PendingChange("MUL 900 s", "", 1),
            ]
            with world.store.write() as tx:
                tx.set_serving(True, since=0)
            assert await values(world, columns.MEMBER, "EndpointState") == ["2", "9", "1"]
            assert await values(world, columns.MEMBER, "Operation") == ["1"] * 3
            assert await values(world, columns.MEMBER, "Force") == ["1"] * 3
            changes = await values(world, columns.PENDING, "Change")
            assert changes == ['"removal of member 3"', '"MUL 900 s"']
            assert await values(world, columns.PENDING, "Phase") == ["2", "1"]

    asyncio.run(check())


def test_who_has_not_taken_over_everything_is_joining() -> None:
    async def check() -> None:
        async with running() as world:
            world.peers[2] = PeerStatus(joining=True)
            assert await values(world, columns.MEMBER, "State") == ["2", "2", "1"]
            with world.store.write() as tx:
                tx.set_serving(True, since=1)
            world.peers[2] = PeerStatus()
            assert await values(world, columns.MEMBER, "State") == ["1", "1", "1"]
            with world.store.write() as tx:
                recover.begin_recovery(tx, 1, "its store was lost")
            world.peers[2] = PeerStatus(joining=True)
            group = make_group()
            gone = replace(group.members[1], state=MemberState.REMOVED)
            with world.store.write() as tx:
                tx.put_group(replace(group, members=(group.members[0], gone)))
            assert await values(world, columns.MEMBER, "State") == ["2", "3"]

    asyncio.run(check())


def column(table: Table, short: str, index: int, value: bytes) -> tuple[Oid, bytes]:
    return (*table[short].oid, index), value


GOOD_MEMBER = (
    column(columns.MEMBER, "Name", 4, ber.octets(b"m4")),
    column(columns.MEMBER, "Address", 4, ber.octets(bytes((198, 18, 0, 4)))),
    column(columns.MEMBER, "EngineId", 4, ber.octets(bytes.fromhex("80007ed90500000004"))),
    column(columns.MEMBER, "RowStatus", 4, ber.integer(4)),
)
FORCED = column(columns.MEMBER, "Force", 2, ber.integer(2))
MUL = column(columns.GROUP, "MaxUnpushedLeaseTime", 1, ber.unsigned(60))
LEASE = column(columns.GROUP, "LeaseTime", 1, ber.unsigned(600))
OUT = column(columns.MEMBER, "RowStatus", 2, ber.integer(6))
DEAD = column(columns.MEMBER, "Operation", 2, ber.integer(2))

AT_FAULT: list[tuple[str, tuple[tuple[Oid, bytes], ...], Exception | None, int]] = [
    ("removal", (FORCED, OUT), PeerError("heard", "m2 is heard"), 2),
    ("removal, first", (OUT, FORCED), PeerError("heard", "m2 is heard"), 1),
    ("partnerDown", (FORCED, DEAD), PeerError("no_majority"), 2),
    ("a store that is full", (FORCED, DEAD), StoreError("disk full"), 2),
    ("a number that is taken", (*GOOD_MEMBER[:2], *GOOD_MEMBER[2:]), PeerError("busy"), 4),
    ("an engine that is taken", GOOD_MEMBER, PeerError("member_taken"), 3),
    ("a lease of 0 s", (MUL, column(columns.GROUP, "LeaseTime", 1, ber.unsigned(0))),
     PeerError("parameter"), 2),
    ("a MUL of 0 s", (LEASE, column(columns.GROUP, "MaxUnpushedLeaseTime", 1, ber.unsigned(0))),
     PeerError("parameter"), 2),
    ("a safe period of 5 s", (LEASE, MUL, column(columns.GROUP, "SafePeriod", 1, ber.unsigned(5))),
     PeerError("parameter"), 3),
    ("port 0", (*GOOD_MEMBER, column(columns.MEMBER, "Port", 4, ber.unsigned(0))), None, 5),
    ("none with force", (FORCED, column(columns.MEMBER, "Operation", 2, ber.integer(1))), None, 2),
]  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "refusal", "number"), [a[1:] for a in AT_FAULT], ids=[a[0] for a in AT_FAULT]
)
def test_the_error_index_names_the_variable_binding_at_fault(
    parts: tuple[tuple[Oid, bytes], ...], refusal: Exception | None, number: int
) -> None:
    async def check() -> None:
        async with running() as world:
            world.refusal = refusal
            answer = await ask(world, build_set(*parts), "operator")
            assert answer.pdu.first != 0
            assert answer.pdu.second == number

    asyncio.run(check())


def test_a_number_that_is_taken_is_the_rows_fault() -> None:
    async def check() -> None:
        async with running() as world:
            world.refusal = PeerError("member_taken")
            parts = [((*oid[:-1], 3), value) for oid, value in GOOD_MEMBER]
            answer = await ask(world, build_set(*parts), "operator")
            assert answer.pdu.second == 4, "RowStatus"

    asyncio.run(check())
