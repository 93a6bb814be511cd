"""SNMP's own groups: every object that the RFCs' compliance asks of an agent, where it belongs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agent.snmp import ber, columns, view
from agent.snmp.oid import Oid
from agent.snmp.reading import Bulk
from agent.snmp.status import ErrorStatus
from agent.snmp.system import AUTHEN_TRAPS, CONTACT, LOCATION, SET_SERIAL, SystemGroup
from agent.snmp.tables import Scope
from agent.snmp.view import Role
from tests.snmp.datagrams import Opened, get
from tests.snmp.test_requests import SUBNET, ask, build_set
from tests.snmp.world import NOW_MS, World, net_snmp, running

SNMP_MODULES: Oid = (1, 3, 6, 1, 6, 3)
OBJECTS: dict[str, Oid] = {
    "sysDescr": (*view.SYSTEM, 1),
    "sysObjectID": (*view.SYSTEM, 2),
    "sysUpTime": (*view.SYSTEM, 3),
    "sysContact": (*view.SYSTEM, 4),
    "sysName": (*view.SYSTEM, 5),
    "sysLocation": (*view.SYSTEM, 6),
    "sysServices": (*view.SYSTEM, 7),
    "sysORLastChange": (*view.SYSTEM, 8),
    "snmpInPkts": (*view.SNMP, 1),
    "snmpInBadVersions": (*view.SNMP, 3),
    "snmpInBadCommunityNames": (*view.SNMP, 4),
    "snmpInBadCommunityUses": (*view.SNMP, 5),
    "snmpInASNParseErrs": (*view.SNMP, 6),
    "snmpEnableAuthenTraps": (*view.SNMP, 30),
    "snmpSilentDrops": (*view.SNMP, 31),
    "snmpProxyDrops": (*view.SNMP, 32),
    "snmpSetSerialNo": (*SNMP_MODULES, 1, 1, 6, 1),
    "snmpEngineID": (*SNMP_MODULES, 10, 2, 1, 1),
    "snmpEngineBoots": (*SNMP_MODULES, 10, 2, 1, 2),
    "snmpEngineTime": (*SNMP_MODULES, 10, 2, 1, 3),
    "snmpEngineMaxMessageSize": (*SNMP_MODULES, 10, 2, 1, 4),
    "snmpUnknownSecurityModels": (*SNMP_MODULES, 11, 2, 1, 1),
    "snmpInvalidMsgs": (*SNMP_MODULES, 11, 2, 1, 2),
    "snmpUnknownPDUHandlers": (*SNMP_MODULES, 11, 2, 1, 3),
    "snmpUnavailableContexts": (*SNMP_MODULES, 12, 1, 4),
    "snmpUnknownContexts": (*SNMP_MODULES, 12, 1, 5),
    **{
        f"usmStats{arc}": (*SNMP_MODULES, 15, 1, 1, arc) for arc in range(1, 7)
    },
}  # fmt: skip
"""RFC 3418, 3411, 3412, 3413 and 3414: mandatory objects, by their numbers there."""


def inside(check: Callable[[World], Awaitable[None]], system: SystemGroup | None = None) -> None:
    async def enter() -> None:
        async with running(system=system) as world:
            await check(world)

    asyncio.run(enter())


async def read(world: World, *oids: Oid) -> list[ber.Value]:
    opened = await ask(world, get(*((*oid, 0) for oid in oids)))
    assert not any(one.tag in ber.EXCEPTIONS for one in opened.varbinds), opened.varbinds
    return [one.value for one in opened.varbinds]


async def put(world: World, *parts: tuple[Oid, bytes], user: str = "operator") -> Opened:
    return await ask(world, build_set(*((((*oid, 0), value)) for oid, value in parts)), user)


def test_every_mandatory_object_is_there_and_nothing_else_of_these_modules() -> None:
    async def check(world: World) -> None:
        await read(world, *OBJECTS.values())
        with world.store.read() as tx:
            answer = world.agent.reader.get_bulk(
                Scope(tx, NOW_MS),
                Role.MONITOR,
                [ber.Varbind(start, ber.NULL, None) for start in (view.SYSTEM, (1, 3, 6, 1, 6))],
                Bulk(0, 60),
                60_000,
            )
        there = {
            one.oid[:-1]
            for one in ber.decode_varbinds(answer)
            if one.tag not in ber.EXCEPTIONS
            and (one.oid < columns.OBJECTS or one.oid[:5] == (1, 3, 6, 1, 6))
        }
        resources = {(*view.SYSTEM, 9, 1, arc) for arc in (2, 3, 4)}
        assert there == set(OBJECTS.values()) | resources

    inside(check)


def test_net_snmp_reads_the_resources_as_a_table() -> None:
    async def check(world: World) -> None:
        walked = await net_snmp(world, "snmpwalk", ".1.3.6.1.2.1.1.9")
        assert len(walked.lines) == 15, walked
        assert ".1.3.6.1.2.1.1.9.1.2.5 = OID: .1.3.6.1.4.1.32473.67" in walked.out
        assert ".1.3.6.1.2.1.1.9.1.4.1 = Timeticks: (0)" in walked.out

    inside(check)


def test_contact_and_location_are_set_audited_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "system.json"

    async def check(world: World) -> None:
        done = await put(
            world, (CONTACT, ber.octets(b"noc@example.org")), (LOCATION, ber.octets(b"rack 7"))
        )
        assert done.pdu.first == ErrorStatus.NO_ERROR
        assert await read(world, CONTACT, LOCATION) == [b"noc@example.org", b"rack 7"]
        with world.store.read() as tx:
            (entry,) = tx.audit_after(0, 9)
        assert entry.user == "operator"
        assert entry.detail == "sysContact.0='noc@example.org', sysLocation.0='rack 7'"

    async def check_again(world: World) -> None:
        assert await read(world, CONTACT, LOCATION) == [b"noc@example.org", b"rack 7"]

    inside(check, SystemGroup(path))
    assert path.stat().st_mode & 0o777 == 0o600
    inside(check_again, SystemGroup(path))


@pytest.mark.parametrize("text", ["", "[]", '{"contact": 1}', "\0"])
def test_a_file_that_cannot_be_read_costs_two_words(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "system.json"
    path.write_text(text)
    assert SystemGroup(path).texts.contact == ""
    assert "cannot be read" in caplog.text


def test_what_cannot_be_kept_is_not_set(tmp_path: Path) -> None:
    async def check(world: World) -> None:
        refused = await put(world, (CONTACT, ber.octets(b"noc")))
        assert refused.pdu.first == ErrorStatus.COMMIT_FAILED
        assert await read(world, CONTACT) == [b""]
        with world.store.read() as tx:
            assert [one.action for one in tx.audit_after(0, 9)] == ["refused"]

    inside(check, SystemGroup(tmp_path / "no such folder" / "system.json"))


REFUSED: list[tuple[str, Oid, bytes, str, ErrorStatus]] = [
    ("no text", CONTACT, ber.integer(1), "operator", ErrorStatus.WRONG_TYPE),
    ("long", CONTACT, ber.octets(b"x" * 256), "operator", ErrorStatus.WRONG_LENGTH),
    ("no ASCII", LOCATION, ber.octets("Zürich".encode()), "operator", ErrorStatus.WRONG_VALUE),
    ("not printable", LOCATION, ber.octets(b"a\nb"), "operator", ErrorStatus.WRONG_VALUE),
    ("traps", AUTHEN_TRAPS, ber.integer(1), "operator", ErrorStatus.WRONG_VALUE),
    ("traps as text", AUTHEN_TRAPS, ber.octets(b"2"), "operator", ErrorStatus.WRONG_TYPE),
    ("no serial", SET_SERIAL, ber.integer(-1), "operator", ErrorStatus.WRONG_VALUE),
    ("no INTEGER", SET_SERIAL, b"\x02\x00", "operator", ErrorStatus.WRONG_ENCODING),
    ("another's", CONTACT, ber.octets(b"x"), "peer", ErrorStatus.NO_ACCESS),
    ("a monitor", CONTACT, ber.octets(b"x"), "monitor", ErrorStatus.AUTHORIZATION_ERROR),
]


@pytest.mark.parametrize(
    ("oid", "value", "user", "status"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_refused(oid: Oid, value: bytes, user: str, status: ErrorStatus) -> None:
    async def check(world: World) -> None:
        decode = ber.decode_varbinds
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ber, "decode_varbinds", lambda d, *a, **k: decode(d, *a, strict=False))
            refused = await put(world, (oid, value), user=user)
        # RFC 3413 3.2: who may write nothing is refused for no variable binding of his.
        at = 0 if status is ErrorStatus.AUTHORIZATION_ERROR else 1
        assert (refused.pdu.first, refused.pdu.second) == (status, at)
        assert await read(world, CONTACT, LOCATION, AUTHEN_TRAPS) == [b"", b"", 2]

    inside(check)


def test_rfc2579_test_and_incr_lets_the_first_of_two_through() -> None:
    async def check(world: World) -> None:
        (serial,) = await read(world, SET_SERIAL)
        assert isinstance(serial, int)
        lock = ((*SET_SERIAL, 0), ber.integer(serial))
        first = await ask(world, build_set(lock, (SUBNET, ber.octets(b"one"))), "operator")
        assert first.pdu.first == ErrorStatus.NO_ERROR
        assert first.varbinds[0].value == serial, "the response says what the request said"
        second = await ask(world, build_set((SUBNET, ber.octets(b"two")), lock), "operator")
        assert (second.pdu.first, second.pdu.second) == (ErrorStatus.INCONSISTENT_VALUE, 2)
        assert await read(world, SET_SERIAL) == [serial + 1]
        name = await ask(world, get(SUBNET))
        assert name.varbinds[0].value == b"one"
        failed = ((*SET_SERIAL, 0), ber.integer(serial + 1)), (SUBNET, ber.integer(1))
        assert (await ask(world, build_set(*failed), "operator")).pdu.second == 2
        assert await read(world, SET_SERIAL) == [serial + 1], "a SET that failed counts nothing"

    inside(check)


def test_the_serial_begins_anew_at_0() -> None:
    system = SystemGroup()
    system.serial = 2**31 - 1
    system.count_serial()
    assert system.serial == 0


def test_rows_and_texts_need_a_set_each() -> None:
    async def check(world: World) -> None:
        both = build_set((SUBNET, ber.octets(b"x")), ((*CONTACT, 0), ber.octets(b"x")))
        refused = await ask(world, both, "operator")
        assert (refused.pdu.first, refused.pdu.second) == (ErrorStatus.INCONSISTENT_NAME, 2)

    inside(check)
