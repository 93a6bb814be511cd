"""dhcpSyncClientTable: a client is looked up by what is known of it, and a walk passes over it."""

from __future__ import annotations

import asyncio

import pytest

from agent.model import NEVER, BindingState, Transaction, format_address
from agent.snmp import columns
from agent.snmp.client_table import CLIENT_ID, HARDWARE_ADDRESS, HOST_NAME, ClientProvider, sought
from agent.snmp.oid import Oid, address_index, format_oid
from agent.snmp.tables import Scope
from store.database import Store
from tests.snmp.world import FIRST, NOW_MS, World, binding, fill, net_snmp, running
from tools.credentials import Credentials
from tools.lease.lease import LEASES_MAX, Lease, find_leases
from tools.lease.words import parse_words
from tools.target import Target

MAC = bytes.fromhex("0200000000aa")
DUID = bytes.fromhex("ff0102030400010001aabbccdd")
OPTIONS = bytes.fromhex("0104ffffff00330400000e10")


def several(store: Store) -> None:
    """One machine with an address under its MAC, one under a DUID, and what is left of a third."""
    with store.write() as tx:
        tx.save_bindings(
            [
                binding(FIRST + 500, hardware_address=MAC, client_key=b"\0\x01" + MAC,
                        hostname="Printer", options=OPTIONS),
                binding(FIRST + 300, hardware_address=MAC, client_key=b"\x01" + DUID,
                        client_id=DUID, hostname="printer",
                        expires_at=NOW_MS // 1000 - 5),
                binding(FIRST + 400, hardware_address=MAC, hostname="other",
                        state=BindingState.RELEASED, transaction=Transaction.RELEASE),
            ]
        )  # fmt: skip


def head(kind: int, key: bytes) -> Oid:
    return kind, len(key), *key


def below(store: Store, index: Oid, limit: int = 10) -> list[int]:
    with store.read() as tx:
        rows = ClientProvider().rows_after(Scope(tx, NOW_MS), index, limit)
    return [row - FIRST for _, row in rows]


@pytest.fixture
def store() -> Store:
    made = Store.in_memory()
    fill(made)
    several(made)
    return made


@pytest.mark.parametrize(
    ("index", "found"),
    [
        (head(HARDWARE_ADDRESS, MAC), [300, 400, 500]),
        ((*head(HARDWARE_ADDRESS, MAC), 198, 18), [300, 400, 500]),
        ((*head(HARDWARE_ADDRESS, MAC), *address_index(FIRST + 300)), [400, 500]),
        ((*head(HARDWARE_ADDRESS, MAC), *address_index(FIRST + 300), 0), [400, 500]),
        ((*head(HARDWARE_ADDRESS, MAC), 255, 255, 255, 255), []),
        ((*head(HARDWARE_ADDRESS, MAC), 198, 300), []),
        (head(HARDWARE_ADDRESS, MAC[:5]), []),
        (head(CLIENT_ID, DUID), [300]),
        (head(CLIENT_ID, DUID[:-1]), []),
        (head(HOST_NAME, b"PRINTER"), [300, 500]),
        (head(HOST_NAME, b"host-1"), []),
    ],
)
def test_rows_behind_an_index(store: Store, index: Oid, found: list[int]) -> None:
    assert below(store, index) == found


def test_no_more_rows_than_are_wanted(store: Store) -> None:
    assert below(store, head(HARDWARE_ADDRESS, MAC), 2) == [300, 400]


@pytest.mark.parametrize(
    "index",
    [
        (), (1,), (1, 6), (1, 6, 2, 0, 0), (0, 1, 1), (4, 1, 65), (1, 0), (2, 101, *(1,) * 101),
        (1, 6, 2, 0, 0, 0, 0, 256), (1, 17, *(1,) * 17), (3, 1, 0xFF), (1, 2**32 - 1, 1),
    ],
)  # fmt: skip
def test_an_index_that_names_no_kind_and_key_has_no_rows(store: Store, index: Oid) -> None:
    assert sought(index) is None
    assert below(store, index) == []


def test_one_row_by_its_whole_index(store: Store) -> None:
    provider = ClientProvider()
    with store.read() as tx:
        scope = Scope(tx, NOW_MS)
        name = head(HOST_NAME, b"printer")
        assert provider.row(scope, (*name, *address_index(FIRST + 300))) == FIRST + 300
        for wrong in (
            (*name, *address_index(FIRST + 301)),
            (*name, 198, 18, 16),
            (*name, 198, 18, 16, 300),
            name,
            (9, 9),
        ):
            assert provider.row(scope, wrong) is None


def test_an_address_without_a_binding_has_no_state(store: Store) -> None:
    """As when it goes between two reads, which one transaction does not let happen."""
    with store.read() as tx:
        assert ClientProvider().cells["State"](Scope(tx, NOW_MS), FIRST + 9999) is None


def test_net_snmp_finds_a_client_and_walks_past_the_table() -> None:
    async def check() -> None:
        async with running() as world:
            several(world.store)
            column = columns.CLIENT["State"].oid
            name = format_oid((*column, *head(HOST_NAME, b"printer")))
            out = await net_snmp(world, "snmpbulkwalk", name)
            assert out.lines == [
                f".{name}.{format_address(FIRST + 300)} = INTEGER: 4",
                f".{name}.{format_address(FIRST + 500)} = INTEGER: 1",
            ]
            out = await net_snmp(world, "snmpget", f"{name}.{format_address(FIRST + 500)}")
            assert out.lines == [f".{name}.{format_address(FIRST + 500)} = INTEGER: 1"]
            out = await net_snmp(world, "snmpbulkwalk", format_oid(column))
            assert "No Such" in out.out
            out = await net_snmp(
                world, "snmpset", f"{name}.{format_address(FIRST + 500)}", "i", "1", user="operator"
            )
            assert "noAccess" in out.err

    asyncio.run(check())


def found(world: World, text: str) -> list[Lease]:
    """By the command's own manager, as a monitor."""
    user = Credentials("monitor", "monitor", "monitor-authentication", "monitor-privacy")
    target = Target(world.address, world.port, user)
    return target.run(lambda manager: find_leases(manager, parse_words(text)))


def test_the_command_finds_leases_over_snmp() -> None:
    async def check() -> None:
        async with running(bindings=2) as world:
            several(world.store)
            for text, wanted in (
                ("02:00:00:00:00:aa", [300, 400, 500]),
                ("0200.0000.00AA", [300, 400, 500]),
                (DUID.hex(":"), [300]),
                ("PRINTER", [300, 500]),
                (format_address(FIRST + 400), [400]),
                ("nobody", []),
                ("10.9.8.7", []),
            ):
                leases = await asyncio.to_thread(found, world, text)
                assert [one.address - FIRST for one in leases] == wanted, text
            (lease,) = await asyncio.to_thread(found, world, format_address(FIRST + 500))
            assert lease.state == "bound"
            assert (lease.host_name, lease.hardware_address) == ("Printer", "02:00:00:00:00:aa")
            assert lease.ends_at is not None
            assert lease.ends_at.timestamp() == NOW_MS // 1000 + 3600
            assert lease.options == {"subnet-mask": "255.255.255.0", "lease-time": "3600"}
            (lease,) = await asyncio.to_thread(found, world, format_address(FIRST))
            assert (lease.ends_at, lease.end) == (None, "never"), f"its expiry is {NEVER}"

    asyncio.run(check())


def test_more_leases_than_are_shown() -> None:
    async def check() -> None:
        async with running(bindings=2) as world:
            with world.store.write() as tx:
                tx.save_bindings(
                    [binding(FIRST + 1000 + at, hostname="android") for at in range(LEASES_MAX + 9)]
                )
            leases = await asyncio.to_thread(found, world, "android")
            assert [one.address - FIRST for one in leases] == list(
                range(1000, 1000 + LEASES_MAX + 1)
            )

    asyncio.run(check())
