"""The octets of each kind: what goes over the wire is not changed unawares.

A member that packs a row otherwise cannot be in a group with one that does not.
"""

from __future__ import annotations

import pytest

from agent.kinds.former_server import FormerServer
from agent.kinds.scope import GLOBAL, pool_scope, subnet_scope
from agent.kinds.subnet import OutsidePolicy
from agent.model import (
    ClaimPolicy,
    ConfigRecord,
    Option,
    Pool,
    ProbePolicy,
    Reservation,
    Setting,
    SettingName,
    Subnet,
    Version,
    stream_id,
)
from agent.sync.records import pack_record, unpack_record

NOW_MS = 1_800_000_000_000
VERSION = Version(7, 2)
STREAM = stream_id(3, 4)
NETWORK = 0xC612_0000

RECORDS = {
    "subnet": ConfigRecord(Subnet(NETWORK, 15), VERSION, False, STREAM, 9),
    "subnet with all values": ConfigRecord(
        Subnet(
            NETWORK,
            15,
            "eth0",
            "bureau é",
            ClaimPolicy.DENY,
            4,
            ProbePolicy.NEVER,
            OutsidePolicy.NAK,
            "campus",
            False,
        ),
        VERSION,
        False,
        STREAM,
        10,
    ),
    "deleted pool": ConfigRecord(
        Pool(NETWORK + 1, NETWORK + 511, "desks"), VERSION, True, STREAM, 11
    ),
    "option": ConfigRecord(
        Option(*subnet_scope(NETWORK, 15), 6, bytes(range(4))), VERSION, False, STREAM, 12
    ),
    "global option": ConfigRecord(Option(*GLOBAL, 15, b"x" * 300), VERSION, False, STREAM, 13),
    "setting": ConfigRecord(
        Setting(*pool_scope(NETWORK + 1, NETWORK + 9), SettingName.MAX_LEASE, 86400),
        VERSION,
        False,
        STREAM,
        15,
    ),
    "reservation": ConfigRecord(
        Reservation(NETWORK + 9, b"\x00\x01\x02\x00\x00\x00\x00\x01", "printer"),
        VERSION,
        False,
        STREAM,
        14,
    ),
    "former server": ConfigRecord(
        FormerServer(NETWORK, 15, NOW_MS // 1000 + 60), VERSION, False, STREAM, 15
    ),
    "former server whose leases are over": ConfigRecord(
        FormerServer(0, 0, NOW_MS // 1000 - 2), VERSION, False, STREAM, 16
    ),
}

OCTETS = {
    "subnet": "0200000000000000070000000200000003000000040000000000000009"
    "c6120000 0f 01 00000000 01 00 00 00",
    "subnet with all values": "000000000000000007000000020000000300000004000000000000000a"
    "c6120000 0f 23 00000004 02 0465746830 096275726561 7520c3a9 0663616d707573",
    "deleted pool": "030000000000000007000000020000000300000004000000000000000b"
    "c6120001 c61201ff 056465736b73",
    "option": "020000000000000007000000020000000300000004000000000000000c"
    "03 06 0d3139382e31382e302e302f3135 0004 00010203",
    "global option": "020000000000000007000000020000000300000004000000000000000d"
    "01 0f 00 012c" + "78" * 300,
    "setting": "020000000000000007000000020000000300000004000000000000000f"
    "04 03 00015180 153139382e31382e302e312d3139382e31382e302e39",
    "reservation": "020000000000000007000000020000000300000004000000000000000e"
    "c6120009 0008 0001020000000001 077072696e746572",
    "former server": "020000000000000007000000020000000300000004000000000000000f"
    "c6120000 0f 0000003c",
    "former server whose leases are over": "02000000000000000700000002000000030000000400000000"
    "00000010"
    "00000000 00 fffffffe",
}
"""Flags, version, stream and number; then the row. The opening, and the kind, are before them."""
KINDS = {
    "subnet": 2,
    "deleted pool": 3,
    "option": 4,
    "global option": 4,
    "reservation": 5,
    "former server": 6,
    "former server whose leases are over": 6,
    "setting": 7,
}


@pytest.mark.parametrize("name", RECORDS)
def test_octets_of_a_row(name: str) -> None:
    kind = KINDS.get(name, 2)
    octets = bytes.fromhex("0100 000001a3185c5000 02") + bytes((kind,))
    octets += bytes.fromhex(OCTETS[name])
    assert pack_record(RECORDS[name], NOW_MS) == octets
    assert unpack_record(octets, NOW_MS) == RECORDS[name]
