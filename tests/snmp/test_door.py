"""The door: each fault is counted as what it is and gets the Report that the RFCs ask for, and a
flood from one source costs nobody else an answer."""

from __future__ import annotations

import asyncio
import socket

import pytest

from agent import clock
from agent.limits import (
    SNMP_KNOWN_SOURCES_MAX,
    SNMP_SOURCE_MESSAGES_PER_S,
    SNMP_SOURCE_REPORTS_PER_S,
    SNMP_STRANGERS_MAX,
    SNMP_STRANGERS_MESSAGES_PER_S,
)
from agent.snmp import ber, columns, message
from agent.snmp.budget import Budgets
from agent.snmp.door import Answer, Door, Reply, Request
from agent.snmp.keys import EngineIdentity
from agent.snmp.oid import Oid
from agent.snmp.reports import BOOTS_MAX
from tests.snmp.datagrams import DISCOVERY, IDENTITY, NOW_S, Datagram, get, make_door, open_message
from tests.snmp.world import engine_id, keys_of, running

SOURCE = ("192.0.2.7", 40_000)
USM = (1, 3, 6, 1, 6, 3, 15, 1, 1)
GOOD = Datagram()
SET_VALUE = ber.encode_varbinds([ber.Varbind((1, 3, 6), ber.NULL, None)])


def examine(door: Door, octets: bytes, now_s: float = NOW_S) -> Request | Reply | Answer | None:
    return door.examine(octets, SOURCE, now_s)


def counted(door: Door) -> dict[str, int]:
    """What is not 0, but for what counts every message."""
    fields = type(door.statistics).__slots__
    found = {name: getattr(door.statistics, name) for name in fields}
    assert found.pop("in_packets")
    return {name: value for name, value in found.items() if value}


def test_a_right_message_comes_through() -> None:
    door = make_door()
    request = examine(door, GOOD.octets)
    assert isinstance(request, Request)
    assert (request.user, request.message_id, request.source) == (b"monitor", 99, SOURCE)
    assert request.pdu == message.parse_pdu(get((1, 3, 6, 1, 2, 1, 1, 5, 0)))
    assert counted(door) == {}
    answer = message.build_pdu(message.RESPONSE, 4711, 0, 0, SET_VALUE)
    opened = open_message(door.respond(request, answer, NOW_S))
    assert opened.is_authentic
    assert (opened.head.message_id, opened.pdu.request_id) == (99, 4711)
    assert (opened.security.boots, opened.security.time_s) == (77, 1000)


REPORTS: list[tuple[str, Datagram, Oid, str, int]] = [
    ("discovery", DISCOVERY, (*USM, 4, 0), "unknown_engines", 0),
    # A poller whose agent has a new engine ID finds it out by this (RFC 3414 3.2.3).
    ("old engine", GOOD.but(engine_id=engine_id(9)), (*USM, 4, 0), "unknown_engines", 0),
    ("no engine, authPriv", GOOD.but(engine_id=b""), (*USM, 4, 0), "unknown_engines", 0),
    ("nobody", GOOD.but(user="nobody"), (*USM, 3, 0), "unknown_users", 0),
    ("empty user", DISCOVERY.but(engine_id=engine_id(1)), (*USM, 3, 0), "unknown_users", 0),
    ("no level", GOOD.but(flags=4), (*USM, 1, 0), "unsupported_levels", 0),
    ("authNoPriv", GOOD.but(flags=5), (*USM, 1, 0), "unsupported_levels", 0),
    ("wrong key", GOOD.but(keys=keys_of("x")), (*USM, 5, 0), "wrong_digests", 0),
    ("wrong boots", GOOD.but(boots=76), (*USM, 2, 0), "not_in_time_windows", 1),
    ("to come", GOOD.but(boots=78), (*USM, 2, 0), "not_in_time_windows", 1),
    ("151 s late", GOOD.but(time_s=849), (*USM, 2, 0), "not_in_time_windows", 1),
    ("151 s early", GOOD.but(time_s=1151), (*USM, 2, 0), "not_in_time_windows", 1),
    ("boots 0, authNoPriv", GOOD.but(flags=5, boots=0, time_s=0), (*USM, 2, 0),
     "not_in_time_windows", 1),
    ("no salt", GOOD.but(salt=b""), (*USM, 6, 0), "decryption_errors", 0),
    ("no scopedPDU", GOOD.but(scoped=b"\x31\x00"), (*USM, 6, 0), "decryption_errors", 0),
    ("other context engine", GOOD.but(context_engine_id=engine_id(9)),
     (1, 3, 6, 1, 6, 3, 11, 2, 1, 3, 0), "unknown_pdu_handlers", 3),
    ("context", GOOD.but(context_name=b"lab"),
     (1, 3, 6, 1, 6, 3, 12, 1, 5, 0), "unknown_contexts", 3),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "oid", "counter", "level"), [r[1:] for r in REPORTS], ids=[r[0] for r in REPORTS]
)
def test_reports(sent: Datagram, oid: Oid, counter: str, level: int) -> None:
    door = make_door()
    reply = examine(door, sent.octets)
    assert isinstance(reply, Reply)
    opened = open_message(reply.message)
    assert opened.pdu.kind == message.REPORT
    assert opened.varbinds == [ber.Varbind(oid, ber.COUNTER32, 1)]
    assert (opened.head.message_id, opened.head.flags) == (99, level)
    assert opened.is_authentic is (True if level else None)
    assert opened.security.engine_id == IDENTITY.engine_id
    assert (opened.security.boots, opened.security.time_s) == (77, 1000)
    known = not sent.flags & message.PRIV_FLAG or level == 3
    assert opened.pdu.request_id == (4711 if known else 0)
    assert counted(door) == {counter: 1}
    silent = examine(door, sent.but(flags=sent.flags & ~4).octets)
    assert (silent is None) is not known, "unasked for, unless the PDU itself says so"
    assert counted(door)[counter] == 2


def test_rfc3412_7_1_no_report_is_longer_than_anybody_takes() -> None:
    """It names the context of what it answers, which was 20,000 octets where somebody sent so many,
    to an address that proved nothing."""
    names = {"context_name": b"c" * 32, "context_engine_id": bytes(32), "size_max": 484}
    asked = (
        GOOD.but(**names),  # in an authentic and encrypted Report
        GOOD.but(boots=76, **names),
        DISCOVERY.but(engine_id=bytes(32), user="u" * 32, **names),
    )
    for sent in asked:
        reply = examine(make_door(), sent.octets)
        assert isinstance(reply, Reply)
        assert len(reply.message) <= message.MESSAGE_SIZE_MIN


def test_rfc3414_2_2_3_the_window_is_150_seconds_of_a_clock_that_nobody_sets() -> None:
    for late, is_heard in ((0.1, True), (10, True), (149, True), (150.9, True), (151, False)):
        verdict = examine(make_door(), GOOD.octets, NOW_S + late)
        assert isinstance(verdict, Request) is is_heard, late
    again = make_door(EngineIdentity(IDENTITY.engine_id, 78))
    assert isinstance(examine(again, GOOD.octets), Reply), "in the next boot"


def test_rfc3414_2_2_2_nothing_is_in_time_once_boots_have_latched() -> None:
    door = make_door(EngineIdentity(IDENTITY.engine_id, BOOTS_MAX))
    reply = examine(door, GOOD.but(boots=BOOTS_MAX).octets)
    assert isinstance(reply, Reply)
    assert open_message(reply.message).varbinds[0].oid == (*USM, 2, 0)


@pytest.mark.parametrize("size", [*range(24), 25, 32, 48, 200])
def test_a_mac_of_another_length_is_a_wrong_digest(size: int) -> None:
    door = make_door()
    assert isinstance(examine(door, GOOD.but(mac_octets=size).octets), Reply)
    assert counted(door) == {"wrong_digests": 1}


def test_a_mac_counts_at_its_place_only() -> None:
    """pysnmp looks for the octets of the MAC anywhere, and the engine ID comes before them."""
    whole = GOOD.octets
    _, at = message.parse_version(whole)
    found = message.parse_security(whole, message.parse_global(whole, at).parameters_at)
    mac = whole[found.mac_at : found.mac_at + 24]
    moved = GOOD.but(engine_id=mac, mac=bytes(24), keys=keys_of("monitor"))
    door = make_door(EngineIdentity(mac, 77))
    examine(door, moved.octets)
    assert counted(door) == {"wrong_digests": 1}


DROPPED = [
    ("empty", b"", "asn_parse_errors"),
    ("one octet", b"\x30", "asn_parse_errors"),
    ("zeros", bytes(200), "asn_parse_errors"),
    ("indefinite", b"\x30\x80" + GOOD.octets[4:] + bytes(2), "asn_parse_errors"),
    ("left over", GOOD.octets + b"\0", "asn_parse_errors"),
    ("version 0", bytes.fromhex("3003020100"), "bad_versions"),
    ("version 2c", bytes.fromhex("300902010104007b02ffff"), "bad_versions"),
    ("version 4", bytes.fromhex("3003020104"), "bad_versions"),
    ("negative version", bytes.fromhex("30030201ff"), "asn_parse_errors"),
    ("msgID of 5 octets", GOOD.but(message_id=2**31).octets, "asn_parse_errors"),
    ("msgMaxSize 483", GOOD.but(size_max=483).octets, "asn_parse_errors"),
    ("priv without auth", GOOD.but(flags=6).octets, "invalid_messages"),
    ("security model 4", GOOD.but(model=4).octets, "unknown_security_models"),
    ("user of 33 octets", GOOD.but(user="u" * 33).octets, "asn_parse_errors"),
    ("boots of 5 octets", GOOD.but(boots=2**31).octets, "asn_parse_errors"),
    ("request-id of 5 octets", GOOD.but(pdu=bytes.fromhex("a00f02050100000000020100020100300000")
                                        [:17]).octets, "asn_parse_errors"),
    ("a PDU of rubbish", GOOD.but(pdu=b"\xa0\x03abc").octets, "asn_parse_errors"),
    ("a Response", GOOD.but(pdu=get(kind=message.RESPONSE)).octets, "unknown_pdu_handlers"),
    ("a v1 trap", GOOD.but(pdu=get(kind=0xA4)).octets, "unknown_pdu_handlers"),
    ("a Report", DISCOVERY.but(pdu=get(kind=message.REPORT)).octets, "unknown_engines"),
    ("context of 33 octets", GOOD.but(context_name=bytes(33)).octets, "asn_parse_errors"),
    ("context engine of 33 octets", DISCOVERY.but(context_engine_id=bytes(33)).octets,
     "asn_parse_errors"),
    ("a trap", GOOD.but(pdu=get(kind=message.TRAP)).octets, "traps_ignored"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("octets", "counter"), [d[1:] for d in DROPPED], ids=[d[0] for d in DROPPED]
)
def test_dropped_and_counted(octets: bytes, counter: str) -> None:
    door = make_door()
    assert examine(door, octets) is None
    assert counted(door) == {counter: 1}


def test_every_prefix_of_a_message_is_no_message() -> None:
    for sample in (GOOD.octets, DISCOVERY.octets):
        door = make_door()
        for size in range(len(sample)):
            assert examine(door, sample[:size]) is None
        assert counted(door) == {"asn_parse_errors": len(sample)}


def test_a_community_only_where_there_is_one() -> None:
    sent = message.build_community(b"public", get((1, 3, 6)))
    door = make_door(community="public")
    request = examine(door, sent)
    assert isinstance(request, Request)
    assert request.is_community
    assert door.respond(request, request.scoped.pdu, NOW_S) == sent
    assert examine(door, message.build_community(b"private", get())) is None
    assert examine(door, message.build_community(b"public", get(kind=message.RESPONSE))) is None
    assert counted(door) == {"bad_community_names": 1, "unknown_pdu_handlers": 1}


# --- answers to our own requests


def asking_door() -> Door:
    peer = keys_of("peer").localize(engine_id(2))
    asked = Door(
        IDENTITY, {}, b"", lambda number, source: (number, source) == (99, SOURCE),
        started_s=NOW_S - 1000, salt=1,
    )  # fmt: skip
    asked.expect(engine_id(2), b"peer", peer.authentication)
    return asked


COUNT = ber.Varbind((*USM, 4, 0), ber.COUNTER32, 7)


def build_report(*varbinds: ber.Varbind) -> bytes:
    return message.build_pdu(message.REPORT, 0, 0, 0, ber.encode_varbinds(varbinds))


ANSWER = GOOD.but(engine_id=engine_id(2), user="peer", pdu=get(kind=message.RESPONSE), flags=3)


REPORTED = DISCOVERY.but(engine_id=engine_id(2), flags=0)
"""Any Report of that engine without a digest."""


def test_an_answer_that_was_asked_for_goes_on_to_who_asked() -> None:
    door = asking_door()
    assert examine(door, ANSWER.octets) == Answer(ANSWER.octets, engine_id(2), True)
    report = DISCOVERY.but(engine_id=engine_id(2), pdu=build_report(COUNT), flags=0)
    assert examine(door, report.octets) == Answer(report.octets, engine_id(2), False)
    assert counted(door) == {}


@pytest.mark.parametrize(
    ("sent", "counter"),
    [
        (ANSWER.but(message_id=98), "unknown_engines"),
        (ANSWER.but(keys=keys_of("x")), "wrong_digests"),
        (ANSWER.but(user="nobody"), "unknown_users"),
        (ANSWER.but(engine_id=engine_id(3)), "unknown_users"),
        (ANSWER.but(flags=0), "unsupported_levels"),
        (REPORTED.but(pdu=build_report()), "asn_parse_errors"),
        (REPORTED.but(pdu=build_report(COUNT, COUNT)), "asn_parse_errors"),
        (
            REPORTED.but(pdu=build_report(COUNT._replace(tag=ber.OCTETS, value=b"7"))),
            "asn_parse_errors",
        ),
        (
            REPORTED.but(pdu=message.build_pdu(message.REPORT, 0, 0, 0, b"\x30\x02\x30\x00")),
            "asn_parse_errors",
        ),
    ],
)
def test_other_answers_end_at_the_door(sent: Datagram, counter: str) -> None:
    door = asking_door()
    assert examine(door, sent.octets) is None
    assert counted(door) == {counter: 1}


def test_an_answer_from_another_address_is_none() -> None:
    door = asking_door()
    assert door.examine(ANSWER.octets, ("192.0.2.8", 40_000), NOW_S) is None
    assert counted(door) == {"unknown_engines": 1}


# --- budgets


def test_each_source_has_a_budget() -> None:
    budgets = Budgets()
    taken = sum(budgets.admit_message("a", NOW_S) for _ in range(100_000))
    assert taken == SNMP_SOURCE_MESSAGES_PER_S
    assert budgets.admit_message("b", NOW_S)
    assert not budgets.admit_message("a", NOW_S)
    assert budgets.admit_message("a", NOW_S + 0.1)


def test_a_new_source_for_each_datagram_uses_up_what_strangers_share() -> None:
    budgets = Budgets()
    budgets.allow_members(["member"])
    budgets.know("manager")
    taken = sum(budgets.admit_message(str(number), NOW_S) for number in range(50_000))
    assert taken == SNMP_STRANGERS_MESSAGES_PER_S
    assert budgets.admit_message("member", NOW_S)
    assert budgets.admit_message("manager", NOW_S)
    assert len(budgets._strangers) == SNMP_STRANGERS_MAX


def test_who_was_longest_without_an_authentic_message_is_forgotten() -> None:
    budgets = Budgets()
    for number in range(SNMP_KNOWN_SOURCES_MAX):
        budgets.know(str(number))
    budgets.know("0")
    budgets.know("new")
    assert len(budgets._known) == SNMP_KNOWN_SOURCES_MAX
    assert "1" not in budgets._known
    assert {"0", "new"} <= set(budgets._known)


def test_reports_are_held_back_and_faults_still_counted() -> None:
    door = make_door()
    said = sum(examine(door, DISCOVERY.octets) is not None for _ in range(1000))
    assert said == SNMP_SOURCE_REPORTS_PER_S
    assert counted(door) == {"unknown_engines": 1000, "reports_held": 1000 - said}
    assert isinstance(examine(door, GOOD.octets), Request), "the right ones still come through"


def test_what_strangers_make_up_is_not_kept() -> None:
    """Engine IDs, users and contexts out of nowhere leave nothing behind."""
    door = make_door()
    for number in range(1000):
        examine(door, GOOD.but(engine_id=engine_id(number + 2), message_id=number).octets)
        examine(door, GOOD.but(user=f"u{number}").octets)
    assert not door._peers
    assert len(door.budgets._strangers) == 1


BURST = 144
"""Discoveries in 10 ms of a flood of 10 Mbit/s."""


def test_a_discovery_flood_from_one_source_costs_no_other_source_an_answer() -> None:
    """Its processor time, and a flood that does not wait for us, are measured by hand: see "The
    door" in docs/architecture.md."""

    async def check() -> None:
        async with running() as world:
            door, loop = world.agent.door, asyncio.get_running_loop()
            where = (world.address, world.port)
            with (
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood,
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as manager,
            ):
                flood.bind(("127.0.0.2", 0))
                manager.setblocking(False)
                manager.connect(where)
                for asked in range(60):
                    for _ in range(BURST):
                        flood.sendto(DISCOVERY.octets, where)
                    now = {"boots": door.boots, "time_s": door.time_s(clock.boot_s())}
                    name = (*columns.GROUP["Name"].oid, 1)
                    one = GOOD.but(message_id=asked, pdu=get(name), **now)
                    await loop.sock_sendall(manager, one.octets)
                    async with asyncio.timeout(20):
                        opened = open_message(await loop.sock_recv(manager, 65_536))
                    assert opened.head.message_id == asked
                    assert opened.varbinds[0].value == b"lab"
            statistics = door.statistics
            assert statistics.over_budget + statistics.unknown_engines == 60 * BURST

    asyncio.run(check())
