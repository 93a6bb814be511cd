"""A kind that the project does not have, and what becomes of it: run as a program.

The kind of `shelf.py` is registered before anything else is imported, as if it were one more file
of `agent/kinds`. Then come checks of everything that is derived from a declaration. What fails is
printed, by the name of the check; `test_new_kind` reads it.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent.kinds import register
from tests.kinds.shelf import SHELF, Colour, Shelf

if __name__ == "__main__":
    register(SHELF)
    from agent.errors import ConfigError, PacketError, StoreError
    from agent.kinds import configuration_key, row_name
    from agent.model import Change, ConfigRecord, Pool, Version, stream_id
    from agent.snmp import ber, columns, editing
    from agent.snmp.assignment import gather
    from agent.snmp.ber import Varbind
    from agent.snmp.lease_tables import providers
    from agent.snmp.status import ErrorStatus, RequestError
    from agent.snmp.tables import Scope, column_nodes
    from agent.snmp.view import Role
    from agent.sync.node import Settings
    from agent.sync.records import pack_record, unpack_record
    from agent.sync.rows import pack_row
    from store import Store
    from store.tables import METADATA
    from tests.sync.lan import Lan, make_group
    from tests.tools.tables import Tables
    from tools.apply.dump import dump_rows
    from tools.apply.file import parse_file
    from tools.apply.plan import make_plan
    from tools.apply.remote import Remote

NOW_MS = 1_800_000_000_000
ROOM = 0x0A01_0203
DARK = Colour.DARK_GREEN
SHELVES = (
    Shelf(ROOM, 1),
    Shelf(
        ROOM,
        999,
        "überall",
        300,
        Colour.DARK_GREEN,
        Colour.DARK_GREEN,
        bytes(64),
        ROOM + 2,
        active=False,
    ),
    Shelf(ROOM + 1, 1, "b", 0),
)


def check_key() -> None:
    assert configuration_key(SHELVES[1]) == (SHELF.number, "10.1.2.3#999")
    assert row_name(SHELVES[1]) == "shelf 10.1.2.3#999"
    assert SHELF.parse_key("10.1.2.3#999") == (ROOM, 999)


def check_table() -> None:
    assert list(METADATA.tables["shelf"].columns.keys()) == [
        "room", "place", "label", "height", "colour", "surface", "content", "owner", "active",
        "deleted", "version_counter", "version_member", "stream", "seq",
    ]  # fmt: skip
    assert METADATA.tables["shelf"].primary_key.columns.keys() == ["room", "place"]


def check_store() -> None:
    store = Store.in_memory()
    own = stream_id(1, 1)
    with store.write() as tx:
        tx.save_configuration([(shelf, False) for shelf in reversed(SHELVES)])
        tx.save_configuration([(Pool(ROOM, ROOM), False), (SHELVES[0], True)])
    with store.read() as tx:
        records = tx.configuration(SHELF.number)
        assert [record.row for record in records] == list(SHELVES)
        assert records[1] == ConfigRecord(SHELVES[1], Version(2, 1), False, own, 2)
        assert records[0] == ConfigRecord(SHELVES[0], Version(5, 1), True, own, 5)
        assert tx.configuration_record(SHELF.number, "10.1.2.3#999") == records[1]
        assert tx.configuration_after(SHELF.number, (ROOM, 1), 1) == records[1:2]
        assert tx.changes(own, 4, 9) == [Change(own, 5, SHELF.number, "10.1.2.3#1")]
    store.close()


def check_bounds_in_the_store() -> None:
    store = Store.in_memory()
    for wrong in (Shelf(ROOM, 0), Shelf(ROOM, 1000), Shelf(-1, 1), Shelf(ROOM, 1, height=301)):
        with pytest.raises(StoreError, match="ck_shelf_"), store.write() as tx:
            tx.save_configuration([(wrong, False)])
    store.close()


def check_octets() -> None:
    for shelf in SHELVES:
        record = ConfigRecord(shelf, Version(3, 2), False, stream_id(1, 1), 4)
        octets = pack_record(record, NOW_MS)
        assert unpack_record(octets, NOW_MS) == record
        for end in range(len(octets)):
            with pytest.raises(PacketError):
                unpack_record(octets[:end], NOW_MS)
    octets = pack_row(SHELVES[1], NOW_MS // 1000)
    assert octets == bytes.fromhex(
        "0a010203 03e7 0000012c 12 0a010205 08 c3bc626572616c6c 0040"
    ) + bytes(64)


def check_octets_that_are_refused() -> None:
    for wrong, words in (
        (Shelf(ROOM, 1000), "shelf: place 1000"),
        (Shelf(ROOM, 1, height=301), "shelf: height 301"),
        (Shelf(ROOM, 13, height=1), "shelf: unlucky"),
    ):
        record = ConfigRecord(wrong, Version(3, 2), False, stream_id(1, 1), 4)
        with pytest.raises(PacketError, match=words):
            unpack_record(pack_record(record, NOW_MS), NOW_MS)
    octets = bytearray(pack_record(ConfigRecord(SHELVES[0], Version(3, 2), False, 1, 4), NOW_MS))
    at = len(octets) - 8  # before the owner, and the lengths of label and content
    for value in (0x00, 0x13, 0x20, 0xF1):
        octets[at] = value
        with pytest.raises(PacketError, match=r"shelf: (colour|surface)"):
            unpack_record(bytes(octets), NOW_MS)


def check_group() -> None:
    """Pushed to all, found by its digest where it got lost, and pulled by who joins later."""
    lan = Lan([1, 2, 3], make_group([1, 2, 3]), settings=Settings(digest_ms=10_000))

    def held(member: int) -> list[Any]:
        with lan.stores[member].read() as tx:
            return [(record.row, record.version) for record in tx.configuration(SHELF.number)]

    lan.run(3_000)
    with lan.stores[2].write() as tx:
        tx.save_configuration([(shelf, False) for shelf in SHELVES])
    lan.nodes[2].notice_store_change()
    lan.run(1_000)
    wanted = [(shelf, Version(at, 2)) for at, shelf in enumerate(SHELVES, 1)]
    assert held(1) == held(2) == held(3) == wanted
    with lan.stores[3].write() as tx:
        third = tx.configuration(SHELF.number)[2]
        lost = replace(third, version=Version(1, 1), row=Shelf(ROOM + 1, 1))
        tx.put_configuration([lost])
    assert held(3) != wanted
    lan.run(120_000, until=lambda: held(3) == wanted)
    assert held(1) == held(3) == wanted
    lan.add(4, make_group([1, 2, 3, 4], 2))
    for member in (1, 2, 3):
        with lan.stores[member].write() as tx:
            tx.put_group(make_group([1, 2, 3, 4], 2))
    lan.run(30_000, until=lambda: held(4) == wanted)
    assert held(4) == wanted


def check_mib() -> None:
    table = columns.CONFIGURATION[SHELF.number]
    assert table.name == "dhcpSyncShelf"
    assert table.entry == (*columns.OBJECTS, 4, SHELF.table, 1)
    assert list(table.index) == ["dhcpSyncShelfRoom", "dhcpSyncShelfPlace"]
    assert {short: column.arc for short, column in table.columns.items()} == {
        "RowStatus": 3, "Label": 4, "Height": 5, "Colour": 6, "Content": 7, "Surface": 8,
        "Owner": 9,
    }  # fmt: skip
    assert (table["Height"].syntax.low, table["Height"].syntax.high) == (0, 200)
    assert table["Colour"].syntax.names == {1: "red", 2: "darkGreen"}
    assert columns.CONFIG_RECORD.index["dhcpSyncConfigRecordKind"].names[SHELF.number] == "shelf"


def check_walk() -> None:
    """What a manager reads, column by column."""
    store = Store.in_memory()
    with store.write() as tx:
        tx.save_configuration([(shelf, False) for shelf in (*SHELVES, Shelf(ROOM, 5))])
        tx.save_configuration([(Shelf(ROOM, 5), True)])
    (provider,) = [one for one in providers() if one.table.name == "dhcpSyncShelf"]
    nodes = {node.oid[-1]: node for node in column_nodes(provider)}
    with store.read() as tx:
        scope = Scope(tx, NOW_MS)
        read = {arc: list(node.instances_after(scope, (), 9)) for arc, node in nodes.items()}
    store.close()
    indexes = [(10, 1, 2, 3, 1), (10, 1, 2, 3, 999), (10, 1, 2, 4, 1)]
    values = {
        3: [ber.integer(1), ber.integer(2), ber.integer(1)],
        4: [ber.octets(b""), ber.octets("überall".encode()), ber.octets(b"b")],
        5: [ber.unsigned(7), ber.unsigned(300), ber.unsigned(0)],
        6: [ber.integer(1), ber.integer(2), ber.integer(1)],
        7: [ber.octets(b""), ber.octets(bytes(64)), ber.octets(b"")],
        8: [ber.integer(1), ber.integer(2), ber.integer(1)],
        9: [ber.octets(bytes(4)), ber.octets(bytes((10, 1, 2, 5))), ber.octets(bytes(4))],
    }
    assert read == {arc: list(zip(indexes, column, strict=True)) for arc, column in values.items()}


def set_by(role: Role, present: list[Shelf], *cells: tuple[str, int, int | bytes]) -> list[Any]:
    """The changes of a SET of cells of the shelf 10.1.2.3#5."""
    table = columns.CONFIGURATION[SHELF.number]
    index = (10, 1, 2, 3, 5)
    varbinds = [Varbind((*table[short].oid, *index), tag, value) for short, tag, value in cells]
    return editing.edit(present, gather(role, varbinds), lambda _first, _last: 0, 0)


def check_set() -> None:
    made = set_by(
        Role.OPERATOR,
        [],
        ("Label", ber.OCTETS, "für".encode()),
        ("Colour", ber.INTEGER, 2),
        ("Height", ber.UNSIGNED32, 200),
        ("Owner", ber.OCTETS, bytes((10, 1, 2, 5))),
        ("RowStatus", ber.INTEGER, 4),
    )
    shelf = Shelf(ROOM, 5, "für", 200, Colour.DARK_GREEN, owner=ROOM + 2)
    assert made == [(shelf, False)]
    changed = set_by(Role.OPERATOR, [shelf], ("Content", ber.OCTETS, b"x"))
    assert changed == [(replace(shelf, content=b"x"), False)]
    assert set_by(Role.OPERATOR, [shelf], ("RowStatus", ber.INTEGER, 6)) == [(shelf, True)]
    for short, tag, value, status in (
        ("Height", ber.UNSIGNED32, 201, ErrorStatus.WRONG_VALUE),
        ("Colour", ber.INTEGER, 3, ErrorStatus.WRONG_VALUE),
        ("Label", ber.OCTETS, bytes(13), ErrorStatus.WRONG_LENGTH),
        ("Owner", ber.OCTETS, bytes(3), ErrorStatus.WRONG_LENGTH),
    ):
        with pytest.raises(RequestError) as caught:
            set_by(Role.OPERATOR, [shelf], (short, tag, value))
        assert caught.value.status is status
    for role in (Role.MONITOR, Role.PEER):
        with pytest.raises(RequestError):
            set_by(role, [shelf], ("Height", ber.UNSIGNED32, 1))


FILE = """
[[shelf]]
room = "10.1.2.3"
place = 1

[[shelf]]
room = "10.1.2.3"
place = 2
label = "b"
height = 0
colour = "dark-green"
content = "01:ff"
owner = "10.1.2.5"
active = false
"""
WANTED = [
    Shelf(ROOM, 1),
    Shelf(ROOM, 2, "b", 0, DARK, content=b"\x01\xff", owner=ROOM + 2, active=False),
]


def check_file() -> None:
    assert parse_file("x.toml", FILE) == WANTED
    table = '[[shelf]]\nroom = "10.1.2.3"\nplace = 2\n'
    for text, words in (
        ("[[shelf]]\nplace = 1", "x.toml: shelf 1: room: is missing; .*the room"),
        (table + 'room2 = "x"', r"shelf 1: room2: is no known key; did you mean room\?"),
        (table + "height = 301", r"shelf 1: height: is 301; must be 0\.\.300"),
        (
            table + "height = 201",
            r"x.toml: shelf 10\.1\.2\.3#2, height: is 201 cm; may be 0\.\.200 cm",
        ),
        (table + 'height = "1"', "shelf 1: height: is '1'; must be a whole number"),
        (table + 'colour = "blue"', "shelf 1: colour: is 'blue'; write one of red, dark-green"),
        (table + 'content = "x"', "shelf 1: content: is 'x'; write octets"),
        (table + 'owner = "x"', "shelf 1: owner: 'x' is no IPv4 address"),
        (table + 'label = "1234567890123"', "label: has 13 octets; at most 12"),
        (table + table, r"shelf 10\.1\.2\.3#2: is there twice"),
        ('shelf = ["x"]', r"shelf 1: must be a table; write \[\[shelf\]\]"),
    ):
        with pytest.raises(ConfigError, match=words):
            parse_file("x.toml", text)


def check_plan() -> None:
    gone = Shelf(ROOM, 3)
    plan = make_plan([gone, WANTED[0]], [replace(WANTED[0], surface=DARK, height=30), WANTED[1]])
    assert [(step.action.value, step.kind, step.key, step.describe()) for step in plan] == [
        ("delete", "shelf", "10.1.2.3#3", "height 7 cm, colour red, surface red"),
        ("change", "shelf", "10.1.2.3#1", "height 7 cm -> 30 cm, surface red -> dark-green"),
        (
            "create", "shelf", "10.1.2.3#2",
            "label b, colour dark-green, surface red, content 01:ff, owner 10.1.2.5, "
            "state not in service",
        ),
    ]  # fmt: skip


def check_apply() -> None:
    """From the file by SETs into a member, and read back as the same rows."""
    manager = Tables()
    done: list[Any] = []
    Remote(manager).write(make_plan([], WANTED), done.append)
    assert len(done) == 2
    assert sorted(Remote(manager).rows, key=lambda row: row.place) == WANTED
    changed = [replace(WANTED[0], owner=7), WANTED[1]]
    Remote(manager).write(make_plan(Remote(manager).rows, changed), done.append)
    assert sorted(Remote(manager).rows, key=lambda row: row.place) == changed


def check_dump() -> None:
    """The text that asks for what a member has, and only that."""
    manager = Tables()
    Remote(manager).write(make_plan([], [*WANTED, Shelf(ROOM, 3, surface=DARK)]), lambda _: None)
    dump = dump_rows(Remote(manager).rows)
    assert dump.text.partition("\n")[2] == (
        FILE + '\n[[shelf]]\nroom = "10.1.2.3"\nplace = 3\nsurface = "dark-green"\n'
    )
    assert dump.left_out == []
    assert make_plan(Remote(manager).rows, parse_file("x.toml", dump.text)) == []


CHECKS: dict[str, Callable[[], None]] = {
    name.removeprefix("check_"): check
    for name, check in list(globals().items())
    if name.startswith("check_")
}

if __name__ == "__main__":
    failed = {}
    for name, check in CHECKS.items():
        try:
            check()
        except (Exception, pytest.fail.Exception):  # noqa: BLE001  every check runs
            failed[name] = traceback.format_exc()
    print(json.dumps(failed))
