"""SET (RFC 3416 4.2.5): who may, what is refused at which variable binding, and all or nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest

from agent.errors import PeerError, StoreError
from agent.events.configuration import pack_row
from agent.events.event import EventKind
from agent.kinds.scope import subnet_scope
from agent.model import ChangeKind, Member, Option, Pool, Reservation, Setting, SettingName, Subnet
from agent.snmp import columns
from agent.snmp.columns import Table
from agent.snmp.oid import Oid, format_oid, octets_index
from agent.sync.change import Join
from tests.snmp.world import LOOPBACK, NETWORK, Outcome, World, net_snmp, running

ACTIVE, NOT_IN_SERVICE, CREATE, WAIT, DESTROY = "1", "2", "4", "5", "6"
LAN = (198, 18, 0, 0, 15)
OTHER = (10, 9, 0, 0, 16)
POOL = (198, 19, 200, 0, 198, 19, 200, 255)


def name(table: Table, short: str, index: Oid) -> str:
    return "." + format_oid((*table[short].oid, *index))


async def set_as(world: World, *parts: str, user: str = "operator") -> Outcome:
    return await net_snmp(world, "snmpset", *parts, user=user)


def rows(world: World, kind: ChangeKind) -> list[object]:
    with world.store.read() as tx:
        return [record.row for record in tx.configuration(kind) if not record.deleted]


def audited(world: World) -> list[tuple[str, str, str]]:
    with world.store.read() as tx:
        return [(one.user, one.action, one.detail) for one in tx.audit_after(0, 100)]


def changes(world: World) -> list[tuple[str, str, str, str]]:
    """As events tell them: by whom, which row, from what to what."""
    with world.store.read() as tx:
        events = [one.event for one in tx.events_after(0, 100).events]
    assert {event.kind for event in events} <= {EventKind.CONFIGURED}
    return [(event.user, event.subject, event.old, event.new) for event in events]


def inside(check: Callable[[World], Awaitable[None]]) -> None:
    async def enter() -> None:
        async with running() as world:
            await check(world)

    asyncio.run(enter())


def test_a_subnet_a_pool_and_an_option_in_one_set() -> None:
    index = (3, *octets_index(b"10.9.0.0/16"), 6)

    async def check(world: World) -> None:
        out = await set_as(
            world,
            *(name(columns.POOL, "Name", (10, 9, 1, 0, 10, 9, 1, 99)), "s", "guests"),
            *(name(columns.POOL, "RowStatus", (10, 9, 1, 0, 10, 9, 1, 99)), "i", CREATE),
            *(name(columns.OPTION, "Text", index), "s", "10.9.0.2, 10.9.0.3"),
            *(name(columns.OPTION, "RowStatus", index), "i", CREATE),
            *(name(columns.SETTING, "Value", (*index[:-1], 1)), "u", "900"),
            *(name(columns.SETTING, "RowStatus", (*index[:-1], 1)), "i", CREATE),
            *(name(columns.SUBNET, "RowStatus", OTHER), "i", CREATE),
        )
        assert out.code == 0, out.err
        network = 10 << 24 | 9 << 16
        assert Subnet(network, 16) in rows(world, ChangeKind.SUBNET)
        (setting,) = rows(world, ChangeKind.SETTING)
        assert setting == Setting(*subnet_scope(network, 16), SettingName.LEASE, 900)
        assert Pool(network + 256, network + 355, "guests") in rows(world, ChangeKind.POOL)
        (option,) = rows(world, ChangeKind.OPTION)
        assert option == Option(*subnet_scope(network, 16), 6, bytes((10, 9, 0, 2, 10, 9, 0, 3)))
        assert world.changes == 1
        ((user, action, detail),) = audited(world)
        assert (user, action) == ("operator", "set")
        assert f"dhcpSyncSettingValue.{format_oid((*index[:-1], 1))}=900" in detail
        assert changes(world) == [
            ("operator", "pool 10.9.1.0-10.9.1.99", "", '{"name": "guests", "active": true}'),
            (
                "operator",
                "option subnet 10.9.0.0/16:6",
                "",
                '{"data": "0a0900020a090003", "active": true}',
            ),
            ("operator", "setting subnet 10.9.0.0/16:lease", "", pack_row(setting)),
            ("operator", "subnet 10.9.0.0/16", "", pack_row(Subnet(network, 16))),
        ]

    inside(check)


def test_out_of_service_into_service_and_gone() -> None:
    async def check(world: World) -> None:
        status = name(columns.POOL, "RowStatus", POOL)
        (all_of_it,) = rows(world, ChangeKind.POOL)
        first = NETWORK + (1 << 16) + (200 << 8)
        for value, wanted in (
            (WAIT, [Pool(first, first + 255, active=False)]),
            (ACTIVE, [Pool(first, first + 255)]),
            (NOT_IN_SERVICE, [Pool(first, first + 255, active=False)]),
            (DESTROY, []),
            (DESTROY, []),
        ):
            out = await set_as(world, status, "i", value)
            assert out.code == 0, out.err
            assert [row for row in rows(world, ChangeKind.POOL) if row != all_of_it] == wanted

    inside(check)


def test_a_reservation_by_hardware_address() -> None:
    async def check(world: World) -> None:
        out = await set_as(
            world,
            *(name(columns.RESERVATION, "HardwareAddress", (198, 18, 0, 9)), "x", "02aabbccddee"),
            *(name(columns.RESERVATION, "RowStatus", (198, 18, 0, 9)), "i", CREATE),
        )
        assert out.code == 0, out.err
        key = bytes.fromhex("000102aabbccddee")
        assert rows(world, ChangeKind.RESERVATION) == [Reservation(NETWORK + 9, key)]

    inside(check)


def test_a_set_that_changes_nothing_makes_no_change() -> None:
    async def check(world: World) -> None:
        out = await set_as(world, name(columns.SUBNET, "Name", LAN), "s", "lan")
        assert out.code == 0
        assert world.changes == 0
        assert changes(world) == []

    inside(check)


NAME = name(columns.SUBNET, "Name", LAN)
OK = "Subnet.Name.198.18.0.0.15 s x"
ALL = "198.18.16.0.198.19.15.255"
RESERVED = "Reservation.RowStatus.198.18.0.9 i 4"


def parse(words: str) -> list[str]:
    """`Table.Column.index type value`, several with a semicolon between, for snmpset."""
    parts = []
    for one in words.split("; "):
        target, kind, value = one.split(" ", 2)
        short_table, _, rest = target.partition(".")
        if short_table:
            table = next(t for t in columns.TABLES if t.name == f"dhcpSync{short_table}")
            short, _, index = rest.partition(".")
            target = f".{format_oid(table[short].oid)}.{index}"
        parts += [target, kind, value]
    return parts


LAN_SCOPE = format_oid((3, *octets_index(b"198.18.0.0/15")))


@pytest.mark.parametrize(
    ("words", "reason", "at"),
    [
        (f"{OK}; Subnet.Size.198.18.0.0.15 u 5; {OK}", "notWritable", 2),
        (f"{OK}; Subnet.Name.198.18.0.0.15 s y", "inconsistentValue", 2),
        ("Subnet.Name.198.18.0.0.15 i 5", "wrongType", 1),
        (f"Subnet.Name.198.18.0.0.15 s {'x' * 65}", "wrongLength", 1),
        ("Subnet.Name.198.18.0.0.15 x ff", "wrongValue", 1),
        ("Subnet.Name.198.18.0.0.15 x 1b5b324a", "wrongValue", 1),
        (f"{RESERVED}; Reservation.HostName.198.18.0.9 x 610a62", "wrongValue", 2),
        (f"Setting.Value.{LAN_SCOPE}.1 u 3; Setting.RowStatus.{LAN_SCOPE}.1 i 4", "wrongValue", 1),
        ("Subnet.LeaseTime.198.18.0.0.15 u 300", "notWritable", 1),
        (f"Setting.RowStatus.{LAN_SCOPE}.1 i 4", "wrongValue", 1),
        (f"Setting.RowStatus.{LAN_SCOPE}.6 i 4", "noCreation", 1),
        (f"{OK}; Subnet.RowStatus.198.18.0.0.15 i 9", "wrongValue", 2),
        (f"{OK}; Subnet.RowStatus.198.18.0.0.15 i 3", "wrongValue", 2),
        (f"{OK}; Subnet.RowStatus.198.18.0.0.15 i 4", "inconsistentValue", 2),
        (f"{OK}; Subnet.Name.198.18.0.0.14 s y", "inconsistentName", 2),
        (f"{OK}; Subnet.Name.1.2.3 s y", "noCreation", 2),
        (f"{OK}; Subnet.Name.300.2.3.4.5 s y", "noCreation", 2),
        (f"{OK}; Subnet.RowStatus.10.0.0.0.33 i 4", "noCreation", 2),
        (f"{OK}; .1.3.6.1.2.1.1.5.0 s y", "noAccess", 2),
        (f"{OK}; Poll.Request.1.1.1 x 00", "noAccess", 2),
        (f"{OK}; .1.3.6.1.4.1.32473.67.1.4.1.1.77.1.2.3.4.5 s y", "notWritable", 2),
        ("Subnet.RowStatus.198.18.0.0.16 i 4", "inconsistentValue", 1),
        ("Subnet.RowStatus.10.0.0.1.8 i 4", "noCreation", 1),
        (f"{OK}; Pool.RowStatus.10.0.0.1.10.0.0.9 i 4", "inconsistentValue", 2),
        (f"{OK}; Pool.RowStatus.198.18.16.9.198.18.16.10 i 4", "inconsistentValue", 2),
        ("Pool.RowStatus.198.19.250.9.198.19.250.1 i 4", "noCreation", 1),
        # The error names a row that is there: what is at fault is what the SET does beside it.
        (f"{OK}; Subnet.RowStatus.198.16.0.0.14 i 4", "inconsistentValue", 2),
        (f"{OK}; Pool.RowStatus.198.18.15.9.198.18.16.10 i 4", "inconsistentValue", 2),
        (f"Pool.Name.{ALL} s x; Subnet.RowStatus.198.18.0.0.15 i 6", "inconsistentValue", 2),
        ("Subnet.Name.198.18.0.0.15 i 5; Subnet.Name.1.2.3 i 5", "wrongType", 1),
        ("Subnet.Name.1.2.3 i 5", "wrongType", 1),
        ("Subnet.RowStatus.198.18.0.0.15 i 6", "inconsistentValue", 1),
        (f"Option.RowStatus.{LAN_SCOPE}.6 i 4", "inconsistentValue", 1),
        ("Option.RowStatus.6.0.6 i 4", "noCreation", 1),
        ("Option.RowStatus.2.2.97.6 i 4", "noCreation", 1),
        ("Option.RowStatus.2.1.255.6 i 4", "noCreation", 1),
        ("Option.RowStatus.2.1.300.6 i 4", "noCreation", 1),
        ("Option.RowStatus.2.1.7.6 i 4", "noCreation", 1),
        ("Option.RowStatus.2.1.97.6.6 i 4", "noCreation", 1),
        ("Option.RowStatus.2.1.97.6 i 4; Option.Text.2.1.97.6 s 10.1.1.1", "inconsistentValue", 1),
        (
            "Option.RowStatus.1.0.51 i 4; Option.Value.1.0.51 x 00000e10",
            "noCreation",
            1,
        ),
        ("Option.RowStatus.1.0.6 i 4; Option.Text.1.0.6 s 10.1", "wrongValue", 2),
        (
            "Option.RowStatus.1.0.3 i 4; Option.Value.1.0.3 x 0a0000",
            "inconsistentValue",
            2,
        ),
        ("Option.RowStatus.1.0.3 i 4; Option.Text.1.0.3 s 0x0a0000", "wrongValue", 2),
        (RESERVED, "inconsistentValue", 1),
        (f"{RESERVED}; Reservation.HardwareAddress.198.18.0.9 x 0102", "wrongLength", 2),
        (f"{RESERVED}; Reservation.ClientKey.198.18.0.9 x 0901", "wrongValue", 2),
        (f"{OK}; Member.RowStatus.4 i 4", "inconsistentName", 2),
        ("Member.RowStatus.4 i 4", "inconsistentValue", 1),
        (
            "Member.RowStatus.4 i 4; Member.Name.4 s m4; Member.EngineId.4 x 8000000001;"
            " Member.Address.4 x e0000001",
            "wrongValue",
            4,
        ),
        ("Member.RowStatus.1 i 2", "inconsistentValue", 1),
        ("Member.EngineId.1 x 8000000001", "inconsistentValue", 1),
        ("Member.Name.1 s new; Member.Weight.1 u 2", "inconsistentValue", 2),
        ("Member.Port.1 u 162; Member.Name.1 s new", "inconsistentValue", 1),
        ("Member.Address.1 x 7f000009; Member.Operation.1 i 3", "inconsistentValue", 2),
    ],
)
def test_refused(words: str, reason: str, at: int) -> None:
    """Nothing of the SET is done, the error names the variable binding, and it is audited."""

    async def check(world: World) -> None:
        before = [rows(world, kind) for kind in ChangeKind if kind is not ChangeKind.BINDING]
        parts = parse(words)
        out = await set_as(world, *parts)
        assert refusal(out) == (reason, parts[3 * (at - 1)]), out.err
        assert before == [rows(world, k) for k in ChangeKind if k is not ChangeKind.BINDING]
        assert world.changes == 0
        assert [action for _, action, _ in audited(world)] == ["refused"]

    inside(check)


def refusal(out: Outcome) -> tuple[str, str]:
    """The error-status and the object at the error-index, as snmpset shows them."""
    reason = re.search(r"^Reason: (\w+)", out.err, re.M)
    failed = re.search(r"^Failed object: (\S+)", out.err, re.M)
    return (reason[1] if reason else "", failed[1] if failed else "")


@pytest.mark.parametrize("user", ["monitor", "peer"])
def test_only_operators_configure(user: str) -> None:
    async def check(world: World) -> None:
        out = await set_as(world, NAME, "s", "mine", user=user)
        # RFC 3413 3.2: who may write nothing at all is refused for no variable binding of his.
        wanted = ("authorizationError", "") if user == "monitor" else ("noAccess", NAME)
        assert refusal(out) == wanted
        assert rows(world, ChangeKind.SUBNET) == [Subnet(NETWORK, 15, name="lan")]

    inside(check)


def test_a_subnet_with_live_leases_stays() -> None:
    async def check(world: World) -> None:
        pool = (198, 18, 16, 0, 198, 19, 15, 255)
        out = await set_as(
            world,
            *(name(columns.POOL, "RowStatus", pool), "i", DESTROY),
            *(name(columns.SUBNET, "RowStatus", LAN), "i", DESTROY),
        )
        assert "inconsistentValue" in out.err
        ((_, _, detail),) = audited(world)
        assert "20 live bindings would be orphaned" in detail
        assert len(rows(world, ChangeKind.POOL)) == 1

    inside(check)


def test_a_subnet_with_live_leases_stays_in_service() -> None:
    async def check(world: World) -> None:
        status = name(columns.SUBNET, "RowStatus", LAN)
        assert refusal(await set_as(world, status, "i", NOT_IN_SERVICE)) == (
            "inconsistentValue",
            status,
        )
        assert rows(world, ChangeKind.SUBNET) == [Subnet(NETWORK, 15, name="lan")]

    inside(check)


def test_a_store_that_cannot_commit() -> None:
    async def check(world: World) -> None:
        def full() -> object:
            raise StoreError("the disk is full")

        world.store.write = full  # type: ignore[method-assign,assignment]
        out = await set_as(world, NAME, "s", "new")
        assert refusal(out) == ("resourceUnavailable", NAME)
        assert rows(world, ChangeKind.SUBNET) == [Subnet(NETWORK, 15, name="lan")]

    inside(check)


MEMBER = (
    *(name(columns.MEMBER, "Name", (4,)), "s", "m4"),
    *(name(columns.MEMBER, "Address", (4,)), "x", "7f000009"),
    *(name(columns.MEMBER, "EngineId", (4,)), "x", "80007ed90500000004"),
    *(name(columns.MEMBER, "RowStatus", (4,)), "i", CREATE),
)


def test_a_member_joins() -> None:
    async def check(world: World) -> None:
        out = await set_as(world, *MEMBER)
        assert out.code == 0, out.err
        engine = bytes.fromhex("80007ed90500000004")
        wanted = Member(4, "m4", LOOPBACK + 8, 161, engine)
        assert world.decisions == [(Join(wanted), "operator", False)]
        assert [action for _, action, _ in audited(world)] == ["set"]

    inside(check)


def test_a_join_that_the_group_refuses() -> None:
    async def check(world: World) -> None:
        world.refusal = PeerError("generation", "another change is under way")
        out = await set_as(world, *MEMBER)
        assert refusal(out)[0] == "inconsistentValue"
        assert world.decisions == []
        assert [action for _, action, _ in audited(world)] == ["refused"]

    inside(check)


CONFLICT_STATUS = name(columns.CONFLICT, "RowStatus", (198, 18, 16, 5))


def test_an_operator_repairs_a_conflict_by_one_set_and_it_is_audited() -> None:
    async def check(world: World) -> None:
        out = await set_as(world, CONFLICT_STATUS, "i", DESTROY)
        assert out.code == 0, out.err
        assert world.repairs == [NETWORK + (16 << 8) + 5]
        ((user, action, detail),) = audited(world)
        assert (user, action) == ("operator", "set")
        assert "dhcpSyncConflictRowStatus.198.18.16.5=destroy" in detail

    inside(check)


@pytest.mark.parametrize(
    ("value", "user", "word"),
    [(ACTIVE, "operator", "inconsistentValue"), (DESTROY, "monitor", "noAccess")],
)
def test_what_repairs_no_conflict(value: str, user: str, word: str) -> None:
    async def check(world: World) -> None:
        out = await set_as(world, CONFLICT_STATUS, "i", value, user=user)
        assert out.code != 0
        assert word in out.err or "authorizationError" in out.err
        assert world.repairs == []
        assert [action for _, action, _ in audited(world)] == ["refused"]

    inside(check)


LEASE_STATE = name(columns.BINDING, "State", (198, 18, 16, 5))


def test_an_operator_ends_a_lease_by_one_set_and_it_is_audited() -> None:
    async def check(world: World) -> None:
        out = await set_as(world, LEASE_STATE, "i", "2")
        assert out.code == 0, out.err
        assert world.released == [NETWORK + (16 << 8) + 5]
        ((user, action, detail),) = audited(world)
        assert (user, action) == ("operator", "set")
        assert "dhcpSyncBindingState.198.18.16.5=released" in detail

    inside(check)


@pytest.mark.parametrize(
    ("instance", "value", "user", "word"),
    [
        (LEASE_STATE, "1", "operator", "inconsistentValue"),
        (LEASE_STATE, "9", "operator", "wrongValue"),
        (LEASE_STATE, "2", "monitor", "noAccess"),
        (LEASE_STATE, "2", "peer", "noAccess"),
        (name(columns.BINDING, "HardwareType", (198, 18, 16, 5)), "2", "operator", "noAccess"),
    ],
)
def test_what_ends_no_lease(instance: str, value: str, user: str, word: str) -> None:
    async def check(world: World) -> None:
        kind = "u" if instance != LEASE_STATE else "i"
        out = await set_as(world, instance, kind, value, user=user)
        assert out.code != 0
        assert word in out.err or "authorizationError" in out.err
        assert world.released == []

    inside(check)


def test_a_lease_that_cannot_be_ended_says_why_in_the_audit() -> None:
    async def check(world: World) -> None:
        world.refusal = PeerError("no_lease", "198.18.16.5 is released already")
        out = await set_as(world, LEASE_STATE, "i", "2")
        assert refusal(out)[0] == "inconsistentValue"
        ((_, action, detail),) = audited(world)
        assert action == "refused"
        assert "198.18.16.5 is released already" in detail

    inside(check)


def test_a_repair_that_cannot_be_says_why_in_the_audit() -> None:
    async def check(world: World) -> None:
        world.refusal = PeerError("not_confirmed", "member 3 has not confirmed the conflict yet")
        out = await set_as(world, CONFLICT_STATUS, "i", DESTROY)
        assert "inconsistentValue" in out.err
        ((_, action, detail),) = audited(world)
        assert action == "refused"
        assert "member 3 has not confirmed" in detail

    inside(check)
