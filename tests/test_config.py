"""Configuration: what a change must keep, and the member's own file."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.events.event import EventKind
from agent.kinds.former_server import FormerServer
from agent.kinds.scope import GLOBAL, host_scope, subnet_scope
from agent.member_file import MemberFile, load_member_file
from agent.model import (
    ConfigRow,
    Option,
    Pool,
    Reservation,
    Setting,
    SettingName,
    Subnet,
    parse_address,
)
from agent.settings.configuration import Configuration
from agent.settings.validate import validate_configuration


def subnet(text: str, **more: Any) -> Subnet:
    network, length = text.split("/")
    return Subnet(parse_address(network), int(length), **more)


def pool(first: str, last: str) -> Pool:
    return Pool(parse_address(first), parse_address(last))


LAN = subnet("198.18.0.0/15")
POOL = pool("198.18.16.0", "198.19.255.254")
KEY = b"\x00\x01\x02\x00\x00\x00\x00\x01"


def change(
    rows: list[ConfigRow], *changes: tuple[ConfigRow, bool], live: int = 0
) -> list[ConfigRow]:
    return validate_configuration(rows, changes, lambda first, last: live)


@pytest.mark.parametrize(
    ("rows", "row", "words"),
    [
        ([], subnet("198.18.0.1/15"), "did you mean 198.18.0.0/15"),
        ([LAN], Setting(*GLOBAL, SettingName.LEASE, 3), "too short"),
        ([LAN], subnet("198.19.0.0/16"), "overlaps subnet 198.18.0.0/15"),
        ([LAN], pool("198.20.0.1", "198.20.0.9"), "lies in no subnet"),
        ([LAN], pool("198.19.255.250", "198.20.0.9"), "does not lie inside subnet 198.18.0.0/15"),
        ([LAN], pool("198.18.16.9", "198.18.16.1"), "lies before first"),
        ([LAN], pool("198.18.16.0", "198.19.255.255"), "broadcast address"),
        ([LAN, POOL], pool("198.19.0.0", "198.19.0.9"), "overlaps pool 198.18.16.0"),
        ([LAN], Option(*GLOBAL, 53, b"\x01"), "set by the server itself"),
        ([LAN], Option(*GLOBAL, 3, b""), "value: is empty"),
        ([LAN], Option(*GLOBAL, 3, b"abc"), "value: 3 octets .*; expected IPv4 addresses"),
        ([LAN], Option(*GLOBAL, 80, b"\x01"), "option 80 is set by the server itself"),
        ([LAN], Option(*GLOBAL, 81, b"abc"), "option 81 is set by the server itself"),
        ([LAN], Option(*GLOBAL, 90, b"abc"), "option 90 is set by the server itself"),
        ([LAN], Option(*GLOBAL, 118, b"abcd"), "option 118 is set by the server itself"),
        ([LAN], Option(*subnet_scope(parse_address("10.0.0.0"), 8), 3, b"abcd"), "names nothing"),
        (
            [LAN],
            FormerServer(parse_address("192.0.2.1"), 24, 9),
            "former_server 192.0.2.1/24: host bits of 192.0.2.1/24 are set",
        ),
        ([LAN], Reservation(parse_address("10.0.0.1"), KEY), "lies in no subnet"),
        ([LAN], Reservation(parse_address("198.18.1.1"), b""), "hardware address"),
        ([LAN], Reservation(parse_address("198.18.1.1"), b"\x01z"), "has 1 octets; 2..255"),
        ([LAN], Reservation(parse_address("198.18.1.1"), b"\x01" + bytes(256)), "has 256 octets"),
        ([LAN], Reservation(parse_address("198.18.1.1"), b"\x00\x01"), "names no client"),
        ([LAN], Reservation(parse_address("198.18.1.1"), b"\x00\x01" + bytes(17)), "names no cl"),
        ([LAN], Reservation(parse_address("198.18.1.1"), b"\x02\x01abc"), "names no client"),
        ([LAN], Reservation(parse_address("198.18.1.1"), KEY, "a\nb"), "hostname: .* printable"),
        ([LAN], Reservation(parse_address("198.18.1.1"), KEY, "é" * 128), "hostname: has 256"),
        ([], replace(LAN, name="x" * 65), "name: has 65 octets; at most 64"),
        ([], replace(LAN, name="\x1b[2J"), "name: .* is not printable"),
        ([], replace(LAN, interface="y" * 16), "interface: has 16 octets; at most 15"),
        ([LAN], replace(POOL, name="x" * 65), "name: has 65 octets"),
        ([LAN], Option(*GLOBAL, 15, b"q" * 1025), "value: has 1025 octets; at most 1024"),
        ([subnet("127.0.0.0/8")], pool("127.0.0.2", "127.0.0.9"), "range: holds addresses of 127"),
        ([subnet("64.0.0.0/2")], pool("64.0.0.1", "127.255.255.254"), "addresses of 127.0.0.0"),
        ([subnet("224.0.0.0/4")], pool("224.0.0.2", "224.0.0.9"), "range: holds addresses of 224"),
        ([subnet("0.0.0.0/1")], pool("0.0.0.1", "0.0.0.9"), "range: holds addresses of 0.0.0.0"),
        ([subnet("127.0.0.0/8")], Reservation(parse_address("127.0.0.2"), KEY), "address: holds"),
        ([LAN], Reservation(parse_address("198.18.0.0"), KEY), "is the network or broadcast"),
        ([LAN], Reservation(parse_address("198.19.255.255"), KEY), "is the network or broadcast"),
        (
            [LAN, Reservation(parse_address("198.18.1.1"), KEY)],
            Reservation(parse_address("198.18.1.2"), KEY),
            "has reservation 198.18.1.1",
        ),
    ],
)
def test_a_bad_row_is_refused_by_name(rows: list[ConfigRow], row: ConfigRow, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        change(rows, (row, False))


@pytest.mark.parametrize(
    "row",
    [
        replace(LAN, name="x" * 64, interface="y" * 15),
        replace(POOL, name="é" * 32),
        Reservation(parse_address("198.18.1.1"), b"\x01" + bytes(255), "é" * 127),
        Reservation(parse_address("198.18.1.1"), b"\x01ab"),
        Reservation(parse_address("198.18.1.1"), b"\x00\x01" + bytes(16)),
        Option(*GLOBAL, 15, b"q" * 1024),
    ],
)
def test_the_longest_values_are_taken(row: ConfigRow) -> None:
    assert row in change([LAN], (row, False))


def test_subnet_and_pool_in_one_change() -> None:
    assert change([], (POOL, False), (LAN, False)) == [POOL, LAN]


def test_a_subnet_with_live_bindings_stays() -> None:
    with pytest.raises(ConfigError, match="3 live bindings would be orphaned"):
        change([LAN], (LAN, True), live=3)
    assert change([LAN], (LAN, True), live=0) == []


def test_a_subnet_with_live_bindings_stays_in_service() -> None:
    idle = replace(LAN, active=False)
    with pytest.raises(ConfigError, match="3 live bindings would be orphaned"):
        change([LAN], (idle, False), live=3)
    assert change([LAN], (idle, False), live=0) == [idle]
    renamed = replace(idle, name="x")
    assert change([idle], (renamed, False), live=3) == [renamed], "it is no worse than before"
    assert change([idle], (LAN, False), live=3) == [LAN]


def test_a_subnet_may_be_swapped_for_a_wider_one() -> None:
    wider = subnet("198.16.0.0/12")
    assert change([LAN], (LAN, True), (wider, False), live=3) == [wider]
    with pytest.raises(ConfigError, match="would be orphaned"):
        change([LAN], (LAN, True), (replace(wider, active=False), False), live=3)


def test_a_subnet_takes_its_pools_along_or_stays() -> None:
    with pytest.raises(ConfigError, match="lies in no subnet"):
        change([LAN, POOL], (LAN, True))
    assert change([LAN, POOL], (LAN, True), (POOL, True)) == []


def test_lookups() -> None:
    reservation = Reservation(parse_address("198.18.1.1"), KEY)
    rows: list[ConfigRow] = [
        LAN,
        POOL,
        reservation,
        Option(*GLOBAL, 6, b"glob"),
        Option(*GLOBAL, 15, b"dom"),
        Option(*subnet_scope(LAN.network, 15), 6, b"subn"),
        Option(*host_scope(reservation.address), 6, b"host"),
        Subnet(parse_address("10.0.0.0"), 8, active=False),
    ]
    configuration = Configuration.from_rows(rows)
    assert configuration.subnet_of(parse_address("198.19.3.4")) == LAN
    assert configuration.subnet_of(parse_address("198.20.0.0")) is None
    assert configuration.subnet_of(parse_address("10.0.0.1")) is None, "inactive rows serve nobody"
    assert configuration.pools_of(LAN) == (POOL,)
    assert configuration.pool_of(POOL.last) == POOL
    assert configuration.pool_of(POOL.first - 1) is None
    assert configuration.reservation_for(KEY, LAN) == reservation
    assert configuration.options_for(LAN) == {6: b"subn", 15: b"dom"}
    assert configuration.options_for(LAN, host=reservation.address)[6] == b"host"


def test_member_file_round_trip(tmp_path: Path) -> None:
    value = MemberFile(3, "m3", parse_address("198.18.0.3"), interfaces=("eth0", "eth1"),
                       notify_targets=((parse_address("192.0.2.1"), 162),))  # fmt: skip
    (tmp_path / "member.toml").write_text(value.render())
    assert load_member_file(tmp_path) == value


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (frozenset(), "events = []"),
        (frozenset({EventKind.RELEASED, EventKind.BOUND}), 'events = ["bound", "released"]'),
        (frozenset(EventKind), 'events = ["all"]'),
    ],
)
def test_what_the_log_tells_is_in_the_member_file(
    tmp_path: Path, kinds: frozenset[EventKind], words: str
) -> None:
    value = MemberFile(3, "m3", parse_address("198.18.0.3"), log_format="json", log_events=kinds)
    assert words in value.render()
    (tmp_path / "member.toml").write_text(value.render())
    assert load_member_file(tmp_path) == value


def test_a_community_is_not_for_everybody_to_read(tmp_path: Path) -> None:
    path = tmp_path / "member.toml"
    value = MemberFile(3, "m3", parse_address("198.18.0.3"), read_only_community="public")
    path.write_text(value.render())
    path.chmod(0o644)
    with pytest.raises(ConfigError, match=r"read_only_community: is in a file that everybody"):
        load_member_file(tmp_path)
    path.chmod(0o640)
    assert load_member_file(tmp_path) == value


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_quoted_as_toml_reads_it(text: str) -> None:
    value = MemberFile(3, text, parse_address("198.18.0.3"), interfaces=(text,))
    tables = tomllib.loads(value.render())
    assert tables["member"]["name"] == text
    assert tables["dhcp"]["interfaces"] == [text]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[member]\nid = 1\nnmae = 'x'", r"member\.nmae: is no known key; did you mean name\?"),
        ("[membre]\nid = 1", r"membre: is no known table; did you mean member\?"),
        ("[member]\nid = '1'", r"member\.id: is '1'; must be of type int"),
        ("[member]\nname = 'm1'", r"member\.id: is missing"),
        ("[member]\nid = 0\nname = 'm1'", r"member\.id: is 0"),
        ("[member]\nid = 1\nname = 'm1'\n[snmp]\naddress = '1.2.3'", r"snmp\.address: '1.2.3' is"),
        (
            "[member]\nid = 1\nname = 'm1'\n[snmp]\naddress = '255.255.255.255'",
            r"snmp\.address: 255\.255\.255\.255 is no host's address",
        ),
        (
            "[member]\nid = 1\nname = 'm1'\n[snmp]\naddress = '1.2.3.4'\nport = 99999",
            r"snmp\.port: is no port",
        ),
        (
            "[member]\nid = 1\nname = 'm1'\n[snmp]\naddress = '1.2.3.4'\n[log]\nlevel = 'loud'",
            r"log\.level: is 'loud'; one of debug",
        ),
        (
            "[member]\nid = 1\nname = 'm1'\n[snmp]\naddress = '1.2.3.4'\n[log]\nformat = 'xml'",
            r"log\.format: is 'xml'; one of text, json",
        ),
        (
            "[member]\nid = 1\nname = 'm1'\n[snmp]\naddress = '1.2.3.4'\n"
            "[log]\nevents = ['bound', 3]",
            r"log\.events: has 3; a list of all, bound, renewed",
        ),
        ("[member", "is no valid TOML"),
        (
            "[member]\nid = 1\nname = 'm1'\n[snmp]\naddress = '1.2.3.4'\n"
            "[notify]\ntargets = ['1.2.3.4:x']",
            r"notify\.targets: 'x' is no port; write",
        ),
        (
            "[member]\nid = 1\nname = 'm1'\n[snmp]\naddress = '1.2.3.4'\n"
            f"[notify]\ntargets = {['1.2.3.4'] * 17}",
            r"notify\.targets: names 17; at most 16",
        ),
    ],
)
def test_member_file_errors_name_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "member.toml").write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        load_member_file(tmp_path)
    assert str(tmp_path / "member.toml") in str(caught.value)


def test_missing_member_file_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="dhcpsync init"):
        load_member_file(tmp_path)
