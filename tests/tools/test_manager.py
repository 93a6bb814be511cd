"""The commands' SNMPv3 manager: at a whole agent, and at one that does what it should not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from agent.model import ChangeKind, Subnet
from agent.snmp import ber, message
from agent.snmp.ber import Varbind
from agent.snmp.columns import BINDING, GROUP, MEMBER, SERVER, SUBNET, RowStatus
from agent.snmp.keys import EngineIdentity
from agent.snmp.oid import address_index
from tests.snmp.datagrams import IDENTITY, make_door
from tests.snmp.world import FIRST, NETWORK, World, engine_id
from tests.tools.engines import LOOPBACK, Scripted, at_an_agent, cells, response, user
from tools.errors import ManagerError
from tools.manager import Assignment, Manager

NAME = SERVER["dhcpSyncServerName"]
SUBNET_INDEX = (*address_index(NETWORK), 15)


# --- a whole agent


def manager_of(world: World, name: str = "monitor", **changes: str) -> Manager:
    return Manager(world.address, world.port, user(name, **changes))


def test_it_reads_scalars_rows_and_tables() -> None:
    def work(world: World) -> None:
        with manager_of(world) as manager:
            read = manager.get([NAME, SERVER["dhcpSyncServerBindings"]])
            assert read == [b"m1", 20]
            assert manager.row(SUBNET, SUBNET_INDEX)["Name"] == b"lan"
            assert manager.row(SUBNET, (10, 0, 0, 0, 8)) == {}
            members = manager.table(MEMBER)
            assert list(members) == [(1,), (2,), (3,)]
            assert members[2,]["EngineId"] == engine_id(2)
            assert members[2,].keys() == members[3,].keys() <= MEMBER.columns.keys()
            assert [row["Generation"] for row in manager.table(GROUP).values()] == [3]

    at_an_agent(work)


def test_what_is_hidden_or_not_there_is_none() -> None:
    def work(world: World) -> None:
        nothing = SERVER["dhcpSyncServerName"]
        absent = type(nothing)("absent", (*nothing.oid[:-1], 99), nothing.syntax)
        with manager_of(world) as manager:
            assert manager.get([absent, NAME]) == [None, b"m1"]

    at_an_agent(work)


def test_a_long_table_is_read_whole_in_few_pages() -> None:
    def work(world: World) -> None:
        before = world.agent.door.statistics.in_packets
        with manager_of(world) as manager:
            rows = manager.table(BINDING)
        assert list(rows) == [address_index(FIRST + at) for at in range(400)]
        assert {frozenset(row) for row in rows.values()} == {frozenset(rows[next(iter(rows))])}
        cells = sum(map(len, rows.values()))
        assert cells > 4000
        assert world.agent.door.statistics.in_packets - before < cells / 640 + 6

    at_an_agent(work, bindings=400)


def test_a_column_below_an_index_has_a_limit() -> None:
    def work(world: World) -> None:
        with manager_of(world) as manager:
            net = (198, 18, 16)
            found = manager.below(BINDING["State"], net, 100)
            assert list(found) == [(at,) for at in range(20)]
            assert list(manager.below(BINDING["State"], net, 7)) == [(at,) for at in range(7)]

    at_an_agent(work)


def test_a_request_of_too_much_is_made_in_halves() -> None:
    def work(world: World) -> None:
        with manager_of(world) as manager:
            assert manager.get([NAME] * 1025) == [b"m1"] * 1025

    at_an_agent(work)


def test_a_set_is_done_or_refused_by_name() -> None:
    index = (10, 1, 0, 0, 16)

    def work(world: World) -> None:
        create = Assignment(SUBNET["RowStatus"], index, RowStatus.CREATE_AND_GO)
        name = Assignment(SUBNET["Name"], index, b"new")
        with manager_of(world, "operator") as manager:
            manager.set([create, name])
            bad = Assignment(SUBNET["RowStatus"], index, 77)
            with pytest.raises(ManagerError) as caught:
                manager.set([name, bad])
        assert caught.value.status == "wrongValue"
        assert str(caught.value).endswith("refuses dhcpSyncSubnetRowStatus.10.1.0.0.16: wrongValue")
        with world.store.read() as tx:
            kept = [r.row for r in tx.configuration_after(ChangeKind.SUBNET, (), 10)]
        assert [row.name for row in kept if isinstance(row, Subnet)] == ["new", "lan"]
        with manager_of(world) as manager, pytest.raises(ManagerError) as caught:
            manager.set([name])
        assert caught.value.status == "authorizationError"

    at_an_agent(work)


@pytest.mark.parametrize(
    ("name", "changes", "status", "words"),
    [
        ("nobody", {}, "unknownUserName", "the member does not know this user"),
        (
            "monitor",
            {"authentication": "another-passphrase"},
            "wrongDigest",
            "the authentication passphrase is wrong",
        ),
        (
            "monitor",
            {"privacy": "another-passphrase"},
            "decryptionError",
            "the privacy passphrase is wrong",
        ),
    ],
)
def test_who_is_not_let_in_is_told_why(
    name: str, changes: dict[str, str], status: str, words: str
) -> None:
    def work(world: World) -> None:
        with manager_of(world, name, **changes) as manager:
            with pytest.raises(ManagerError) as caught:
                manager.get([NAME])
        assert str(caught.value) == f"{LOOPBACK}:{world.port}: {words}"
        assert caught.value.status == status

    at_an_agent(work)


# --- one that does what it should not


def named(pdu: message.Pdu, _size_max: int) -> bytes:
    """What it asks for is called m1."""
    return response(pdu, cells(NAME.instance))


def test_silence_is_told_after_all_tries() -> None:
    scripted = Scripted()
    with scripted.manager(timeout_s=0.05, retries=2) as manager:
        with pytest.raises(ManagerError, match=r"127\.0\.0\.1:\d+: no answer$") as caught:
            manager.get([NAME])
    assert caught.value.status == "requestTimedOut"
    assert len(scripted.asked) == 3


def test_an_answer_that_comes_late_answers_still() -> None:
    kept: list[bytes] = []

    def respond(pdu: message.Pdu, _size_max: int) -> bytes | None:
        return named(pdu, 0) if len(scripted.asked) == 2 else None

    def late(octets: bytes) -> list[bytes]:
        kept.append(octets)
        return [octets]

    scripted = Scripted(respond, late)
    with scripted.manager(timeout_s=0.2, retries=5) as manager:
        assert manager.get([NAME]) == [b"m1"]


def test_what_is_no_answer_is_passed_over_and_told_where_nothing_else_comes() -> None:
    scripted = Scripted(named, lambda octets: [b"garbage", octets[:-1], octets])
    with scripted.manager() as manager:
        assert manager.get([NAME]) == [b"m1"]
    scripted = Scripted(named, lambda _: [b"garbage"])
    with scripted.manager(timeout_s=0.1) as manager:
        with pytest.raises(
            ManagerError, match=r"no answer \(truncated: 97 octets announced, 5 there"
        ):
            manager.get([NAME])


def test_what_others_send_is_not_heard() -> None:
    """The right answer, from another port: the socket is connected."""

    def elsewhere(octets: bytes) -> list[bytes]:
        to = manager._socket.getsockname()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(octets, to)
        return []

    scripted = Scripted(named, elsewhere)
    with scripted.manager(timeout_s=0.1) as manager:
        with pytest.raises(ManagerError, match=r"no answer$"):
            manager.get([NAME])


TABLE = [(*SUBNET["Name"].oid, 10, at >> 8, at & 255, 0, 24) for at in range(300)]


def walked(pdu: message.Pdu, size_max: int) -> bytes:
    """Pages of TABLE, each value 40 octets long, as many as fit."""
    (asked,) = ber.decode_varbinds(pdu.varbinds)
    names = [name for name in TABLE if name > asked.oid][: pdu.second]
    names = names[: max(1, (size_max - 200) // 65)]
    end = ber.encode_varbind(Varbind(asked.oid, ber.END_OF_MIB_VIEW, None))
    rows = [ber.encode_varbind(Varbind(name, ber.OCTETS, b"x" * 40)) for name in names]
    return response(pdu, ber.varbind_list(rows or [end]))


def test_pages_grow_and_shrink_to_one_frame_where_long_answers_are_lost() -> None:
    scripted = Scripted(walked)
    with scripted.manager() as manager:
        assert len(manager.table(SUBNET)) == 300
    assert [repetitions for _, repetitions, _ in scripted.asked] == [40, 160, 640, 640]
    assert {size for _, _, size in scripted.asked} == {65_507}
    scripted = Scripted(walked, lambda octets: [octets] if len(octets) <= 1472 else [])
    with scripted.manager(timeout_s=0.2, retries=1) as manager:
        assert len(manager.table(SUBNET)) == 300
    assert [size for _, _, size in scripted.asked][:3] == [65_507, 1_472, 1_472]
    assert {size for _, _, size in scripted.asked[1:]} == {1_472}, "once is enough"


def test_what_fits_no_frame_is_asked_for_by_itself() -> None:
    def respond(pdu: message.Pdu, size_max: int) -> bytes | None:
        if len(scripted.asked) == 1:
            return None
        if size_max < 2000:
            return response(pdu, cells(), 1)
        return response(pdu, cells(NAME.instance, value=b"x" * 2000))

    scripted = Scripted(respond)
    with scripted.manager(timeout_s=0.2, retries=1) as manager:
        assert manager.get([NAME]) == [b"x" * 2000]
    assert [size for _, _, size in scripted.asked] == [65_507, 1_472, 65_507]


def test_an_answer_to_a_set_may_have_any_length() -> None:
    """Else it would be done, and tooBig."""

    def respond(pdu: message.Pdu, _size_max: int) -> bytes | None:
        return response(pdu, pdu.varbinds) if len(scripted.asked) == 2 else None

    scripted = Scripted(respond)
    with scripted.manager("operator", timeout_s=0.2, retries=1) as manager:
        manager.set([Assignment(SUBNET["Name"], SUBNET_INDEX, b"lan")])
    assert [(kind, size) for kind, _, size in scripted.asked] == [(message.SET, 65_507)] * 2


def test_a_request_that_fits_no_datagram_is_not_sent() -> None:
    scripted = Scripted(named)
    with scripted.manager("operator") as manager:
        with pytest.raises(ManagerError, match="the request fits no datagram") as caught:
            manager.set([Assignment(SUBNET["Name"], SUBNET_INDEX, bytes(65_500))])
    assert caught.value.status == "tooBig"
    assert scripted.asked == []


@pytest.mark.parametrize(
    ("respond", "words", "status"),
    [
        (
            lambda pdu, _: response(pdu, cells((*NAME.oid, 1))),
            "answers for other objects than it was asked for",
            "",
        ),
        (lambda pdu, _: response(pdu, cells()), "answers for other objects", ""),
        (
            lambda pdu, _: response(pdu, b"\x30\x02\x30\x00"),
            "its answer cannot be read: truncated",
            "",
        ),
        (
            lambda pdu, _: response(
                pdu, ber.encode_varbinds([Varbind(NAME.instance, ber.NULL, None)])
            ),
            r"its answer cannot be read: wrong_tag: 1\.3\..* is of a type that it has not",
            "",
        ),
        (
            lambda pdu, _: message.build_pdu(message.GET, pdu.request_id, 0, 0, pdu.varbinds),
            "its answer cannot be read: wrong_tag: a PDU of type 0xa0 is no answer",
            "",
        ),
        (lambda pdu, _: response(pdu, cells(), 1), "refuses tooBig", "tooBig"),
        (lambda pdu, _: response(pdu, pdu.varbinds, 5, 1), "refuses genErr", "genErr"),
        (lambda pdu, _: response(pdu, pdu.varbinds, 99, 1), "refuses error-status 99", None),
    ],
)
def test_answers_that_are_none(
    respond: Callable[[message.Pdu, int], bytes], words: str, status: str | None
) -> None:
    with Scripted(respond).manager() as manager:
        with pytest.raises(ManagerError, match=words) as caught:
            manager.get([NAME])
    assert caught.value.status == ("error-status 99" if status is None else status)


@pytest.mark.parametrize(
    ("respond", "words"),
    [
        (lambda pdu, _: response(pdu, cells(TABLE[0], TABLE[0])), "the walk of .* goes backwards"),
        (lambda pdu, _: response(pdu, cells(TABLE[1], TABLE[0])), "the walk of .* goes backwards"),
        (lambda pdu, _: response(pdu, cells(), 1), "refuses tooBig"),
    ],
)
def test_walks_that_lead_nowhere(respond: Callable[[message.Pdu, int], bytes], words: str) -> None:
    with Scripted(respond).manager() as manager:
        with pytest.raises(ManagerError, match=words):
            manager.table(SUBNET)


def test_a_walk_that_gets_nothing_is_over() -> None:
    with Scripted(lambda pdu, _: response(pdu, cells())).manager() as manager:
        assert manager.table(SUBNET) == {}


def test_a_set_that_is_refused_without_a_place() -> None:
    with Scripted(lambda pdu, _: response(pdu, pdu.varbinds, 14, 7)).manager("operator") as manager:
        with pytest.raises(ManagerError, match=r":\d+ refuses commitFailed$"):
            manager.set([Assignment(SUBNET["Name"], SUBNET_INDEX, b"lan")])


@dataclass
class Restless:
    """A door of another engine, or of another start, at every message."""

    identities: Iterator[EngineIdentity]

    def examine(self, data: bytes, source: Any, now_s: float) -> Any:
        return make_door(next(self.identities)).examine(data, source, now_s)


@pytest.mark.parametrize(
    ("identities", "status", "words"),
    [
        (
            (EngineIdentity(IDENTITY.engine_id, boots) for boots in range(1, 99)),
            "notInTimeWindow",
            "the member's clock of SNMP messages jumps",
        ),
        (
            (EngineIdentity(engine_id(number), 1) for number in range(1, 99)),
            "unknownEngineID",
            "the member's engine ID is never the same",
        ),
    ],
)
def test_an_engine_that_is_never_the_same_is_given_up(
    identities: Iterator[EngineIdentity], status: str, words: str
) -> None:
    restless: Any = Restless(identities)
    with Scripted(named, door=restless).manager() as manager:
        with pytest.raises(ManagerError, match=words) as caught:
            manager.get([NAME])
    assert caught.value.status == status


def test_an_engine_that_starts_again_between_two_requests_is_asked_on() -> None:
    scripted = Scripted(named)
    with scripted.manager() as manager:
        assert manager.get([NAME]) == [b"m1"]
        scripted.door = make_door(EngineIdentity(IDENTITY.engine_id, IDENTITY.boots + 1))
        assert manager.get([NAME]) == [b"m1"]
        scripted.door = make_door(EngineIdentity(engine_id(2), 1))
        assert manager.get([NAME]) == [b"m1"]


def test_a_report_that_has_no_words_is_told_by_its_number() -> None:
    def respond(pdu: message.Pdu, _size_max: int) -> bytes:
        counter = Varbind((1, 3, 6, 1, 6, 3, 12, 1, 5, 0), ber.COUNTER32, 1)
        return message.build_pdu(message.REPORT, 0, 0, 0, ber.encode_varbinds([counter]))

    with Scripted(respond).manager() as manager:
        with pytest.raises(ManagerError, match=r"a Report of 1\.3\.6\.1\.6\.3\.12\.1\.5\.0"):
            manager.get([NAME])


# --- nobody, and no way


def test_a_port_that_nobody_listens_to_is_no_answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    with Manager(LOOPBACK, port, user("monitor"), timeout_s=0.1, retries=1) as manager:
        with pytest.raises(ManagerError) as caught:
            manager.get([NAME])
    assert str(caught.value) == f"{LOOPBACK}:{port}: no answer"
    assert caught.value.status == "requestTimedOut"


def test_a_member_that_starts_meanwhile_is_asked_at_once() -> None:
    """Within the one try: what nobody heard is sent again."""
    scripted = Scripted(named)
    with scripted.manager(timeout_s=30) as manager:
        pass
    port = manager._place[1]

    def start() -> None:
        time.sleep(0.3)
        scripted.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        scripted.socket.bind((LOOPBACK, port))
        scripted.serve()

    thread = threading.Thread(target=start)
    thread.start()
    with Manager(LOOPBACK, port, user("monitor"), timeout_s=30, retries=0) as manager:
        assert manager.get([NAME]) == [b"m1"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
        last.sendto(b"", (LOOPBACK, port))
    thread.join()
    scripted.socket.close()


def test_no_way_to_the_member_is_told() -> None:
    with Manager("255.255.255.255", 161, user("monitor"), timeout_s=0.1, retries=0) as manager:
        with pytest.raises(ManagerError) as caught:
            manager.get([NAME])
    assert str(caught.value) == "255.255.255.255: no answer (Permission denied)"
    assert caught.value.status == "requestTimedOut"
