"""`dhcpsync dump` is the inverse of `dhcpsync apply`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.dhcp.option_types import EXAMPLES, OPTION_TYPES, ValueKind, option_type
from agent.dhcp.options import parse_text
from agent.kinds.scope import (
    GLOBAL,
    Scope,
    host_scope,
    network_scope,
    pool_scope,
    subnet_scope,
)
from agent.kinds.subnet import OutsidePolicy
from agent.limits import CONFIGURATION_READS_MAX, NAME_OCTETS_MAX, OFFER_DELAY_MAX_S
from agent.model import (
    ClaimPolicy,
    ConfigRow,
    Option,
    Pool,
    ProbePolicy,
    Reservation,
    Setting,
    SettingName,
    Subnet,
    configuration_key,
    parse_address,
)
from agent.settings.validate import _SERVER_OPTIONS
from agent.snmp.columns import CONFIGURATION, Table
from agent.snmp.oid import Oid
from tests.tools.tables import Tables
from tools.apply.command import dump_file, read_rows
from tools.apply.dump import dump_rows
from tools.apply.file import parse_file
from tools.apply.plan import make_plan
from tools.apply.remote import Remote
from tools.errors import ToolError
from tools.manager import Row, Session
from tools.target import Target

T = TypeVar("T")
NETWORK = parse_address("198.18.0.0")
CODES = [*sorted(OPTION_TYPES.keys() - _SERVER_OPTIONS.keys()), 92, 224, 254]
LAN = Subnet(NETWORK, 24)
PRINTER = Reservation(NETWORK + 9, b"\x00\x01\x02\x00\x00\x00\x00\x0a")


class At(Target):
    """A place where there is one member, whose tables are at hand."""

    def __init__(self, member: Session) -> None:
        object.__setattr__(self, "member", member)

    def run(self, work: Callable[[Session], T]) -> T:
        return work(self.member)  # type: ignore[attr-defined]


def applied(rows: Iterable[ConfigRow]) -> Tables:
    """A member to whom all of them were SET."""
    member = Tables()
    Remote(member).write(make_plan([], rows), lambda _: None)
    return member


def dumped(member: Tables) -> str:
    dump = dump_rows(Remote(member).rows)
    assert dump.left_out == []
    return dump.text


def check_inverse(rows: Sequence[ConfigRow]) -> str:
    member = applied(rows)
    text = dumped(member)
    wanted = parse_file("dump.toml", text)
    assert make_plan(Remote(member).rows, wanted) == []
    assert {configuration_key(row): row for row in wanted} == {
        configuration_key(row): row for row in rows
    }
    assert dumped(applied(wanted)) == text
    assert all(character.isprintable() for line in text.split("\n") for character in line)
    return text


# --- every configuration

printable = st.characters(codec="utf-8").filter(str.isprintable)


def texts(octets_max: int) -> st.SearchStrategy[str]:
    fits = st.text(printable, max_size=octets_max)
    return fits.filter(lambda text: len(text.encode()) <= octets_max)


labels = st.text("abcxyz-019", min_size=1, max_size=9).filter(lambda text: text.strip("-") == text)
domains = st.lists(st.lists(labels, min_size=1, max_size=3).map(".".join), min_size=1, max_size=3)


@st.composite
def routes(draw: st.DrawFn) -> bytes:
    length = draw(st.integers(0, 32))
    network = draw(st.integers(0, 2**32 - 1)) & ~(0xFFFF_FFFF >> length)
    octets = network.to_bytes(4, "big")[: (length + 7) // 8]
    return bytes((length,)) + octets + draw(st.binary(min_size=4, max_size=4))


def several(one: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(one, min_size=1, max_size=3).map(b"".join)


def octets(count: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=count, max_size=count)


DATA: dict[ValueKind, st.SearchStrategy[bytes]] = {
    ValueKind.ADDRESS: octets(4),
    ValueKind.ADDRESSES: several(octets(4)),
    ValueKind.ADDRESS_PAIRS: several(octets(8)),
    ValueKind.UNSIGNED_8: octets(1),
    ValueKind.UNSIGNED_16: octets(2),
    ValueKind.UNSIGNED_32: octets(4),
    ValueKind.SIGNED_32: octets(4),
    ValueKind.UNSIGNED_8_LIST: several(octets(1)),
    ValueKind.UNSIGNED_16_LIST: several(octets(2)),
    ValueKind.BOOLEAN: st.sampled_from([b"\0", b"\1"]),
    ValueKind.TEXT: texts(300).filter(bool).map(str.encode) | st.binary(min_size=1, max_size=40),
    ValueKind.DOMAINS: domains.map(lambda names: parse_text(119, ", ".join(names))),
    ValueKind.ROUTES: several(routes()),
    ValueKind.HEX: st.binary(min_size=1, max_size=1024),
}


def test_octets_are_drawn_for_every_type_of_option() -> None:
    assert DATA.keys() == set(ValueKind)
    assert {option_type(code).kind for code in CODES} == set(ValueKind)


@st.composite
def options(draw: st.DrawFn, scope: Scope) -> list[Option]:
    codes = draw(st.lists(st.sampled_from(CODES), max_size=3, unique=True))
    return [
        Option(
            *scope,
            code,
            draw(DATA[option_type(code).kind]),
            draw(st.booleans()),
        )
        for code in codes
    ]


@st.composite
def scoped(draw: st.DrawFn, scope: Scope) -> list[ConfigRow]:
    """Options, and times that go with any others."""
    times = [
        Setting(*scope, name, draw(st.integers(*bounds)), draw(st.booleans()))
        for name, bounds in TIMES.items()
        if draw(st.booleans())
    ]
    return [*draw(options(scope)), *times]


TIMES = {
    SettingName.LEASE: (3000, 3999),
    SettingName.MIN_LEASE: (10, 2999),
    SettingName.MAX_LEASE: (4000, 2**32 - 1),
    SettingName.RENEWAL: (1, 999),
    SettingName.REBINDING: (1000, 2999),
}


client_ids = st.binary(min_size=2, max_size=20) | texts(30).map(str.encode).filter(
    lambda data: len(data) > 1
)
hardware = st.tuples(st.integers(0, 255) | st.just(1), st.binary(min_size=1, max_size=16))
client_keys = client_ids.map(lambda data: b"\1" + data) | hardware.map(
    lambda named: bytes((0, named[0])) + named[1]
)


@st.composite
def subnets(draw: st.DrawFn, network: int, prefix_length: int) -> list[ConfigRow]:
    """A subnet with what is in it."""
    subnet = Subnet(
        network,
        prefix_length,
        draw(texts(15)),
        draw(texts(NAME_OCTETS_MAX)),
        draw(st.sampled_from(ClaimPolicy)),
        draw(st.just(0) | st.integers(0, OFFER_DELAY_MAX_S)),
        draw(st.sampled_from(ProbePolicy)),
        draw(st.sampled_from(OutsidePolicy)),
        draw(st.sampled_from(["", "campus ß"])),
        draw(st.booleans()),
    )
    if subnet.shared_network:
        subnet = replace(subnet, interface="")
    rows: list[ConfigRow] = [subnet, *draw(scoped(subnet_scope(network, prefix_length)))]
    if subnet.shared_network:
        rows += draw(scoped(network_scope(subnet.shared_network)))
    edge = prefix_length < 31
    inside = st.integers(subnet.first + edge, subnet.last - edge)
    edges = sorted(draw(st.sets(inside, max_size=6)))
    for first, last in zip(edges[::2], edges[1::2], strict=False):
        rows.append(Pool(first, last, draw(texts(NAME_OCTETS_MAX)), draw(st.booleans())))
        rows += draw(scoped(pool_scope(first, last)))
    addresses = sorted(draw(st.sets(inside, max_size=3)))
    keys = draw(st.lists(client_keys, min_size=3, max_size=3, unique=True))
    for address, key in zip(addresses, keys, strict=False):
        rows.append(Reservation(address, key, draw(texts(255)), draw(st.booleans())))
        rows += draw(scoped(host_scope(address)))
    return rows


@st.composite
def configurations(draw: st.DrawFn) -> list[ConfigRow]:
    rows: list[ConfigRow] = [*draw(scoped(GLOBAL))]
    for number in sorted(draw(st.sets(st.integers(1, 223).filter(lambda n: n != 127), max_size=3))):
        rows += draw(subnets(number << 24, draw(st.sampled_from([8, 24, 31, 32]))))
    named = {configuration_key(row): row for row in rows}  # two subnets may share a network
    return draw(st.permutations(list(named.values())))


@given(configurations())
@example([])
@settings(max_examples=40, deadline=None, derandomize=True)
def test_what_is_dumped_applies_as_nothing_to_change(rows: list[ConfigRow]) -> None:
    check_inverse(rows)


# --- what it looks like


def test_an_empty_configuration_is_a_file_without_a_row() -> None:
    text = check_inverse([])
    assert text == "# The whole configuration of the group; `dhcpsync apply` makes it so.\n"
    assert parse_file("x.toml", text) == []


def test_every_option_has_its_way_to_be_written() -> None:
    rows: list[ConfigRow] = [
        Option(*GLOBAL, code, parse_text(code, EXAMPLES[option_type(code).kind])) for code in CODES
    ]
    text = check_inverse(rows)
    for line in (
        'routers = ["198.18.0.1", "198.18.0.2"]',
        "time-offset = -3600",
        "ip-forwarding = true",
        'swap-server = "198.18.0.1"',
        "path-mtu-plateau-table = [68, 1492]",
        'domain-search = ["example.org", "lab.example.org"]',
        'classless-static-routes = "10.0.0.0/8 via 198.18.0.1"',
        '224 = "01:0a:ff"',
    ):
        assert f"\n{line}\n" in text


def test_the_text_of_a_whole_configuration() -> None:
    rows: list[ConfigRow] = [
        replace(PRINTER, hostname="drucker-ß"),
        Option(*host_scope(NETWORK + 9), 67, b"x.img"),
        Option(*subnet_scope(NETWORK, 24), 15, b" blanks "),
        Option(*subnet_scope(NETWORK, 24), 42, bytes((198, 18, 0, 3)), active=False),
        Reservation(NETWORK + 10, b"\x01\xff\x00\x01", active=False),
        Reservation(NETWORK + 11, b"\x01lamp"),
        Reservation(NETWORK + 12, b"\x0102:03"),
        Reservation(NETWORK + 13, b"\x00\x06\x0a"),
        Pool(NETWORK + 40, NETWORK + 49, 'the "few"', active=False),
        Pool(NETWORK + 20, NETWORK + 29),
        replace(
            LAN,
            name="Büro 事務所",
            claims=ClaimPolicy.KNOWN_ONLY,
            shared_network="campus",
        ),
        Setting(*subnet_scope(NETWORK, 24), SettingName.LEASE, 3600),
        Setting(*GLOBAL, SettingName.MAX_LEASE, 86400),
        Setting(*pool_scope(NETWORK + 20, NETWORK + 29), SettingName.RENEWAL, 600, active=False),
        Setting(*host_scope(NETWORK + 9), SettingName.LEASE, 7200),
        Setting(*network_scope("campus"), SettingName.MIN_LEASE, 300),
        Subnet(NETWORK + 256, 32, shared_network="campus"),
        Option(*subnet_scope(NETWORK + 256, 32), 12, b"here"),
        Option(*host_scope(NETWORK + 256), 12, b"there"),
        Option(*pool_scope(NETWORK + 20, NETWORK + 29), 6, bytes((198, 18, 0, 2))),
        Option(*pool_scope(NETWORK + 40, NETWORK + 49), 23, b"@", active=False),
        Option(*network_scope("campus"), 15, b"campus.example"),
        Reservation(NETWORK + 256, b"\x01one"),
    ]
    assert check_inverse(rows) == WHOLE


WHOLE = """\
# The whole configuration of the group; `dhcpsync apply` makes it so.

[settings]
max-lease = 86400

[[shared-network]]
name = "campus"
min-lease = 300

[shared-network.options]
domain-name = "campus.example"

[[subnet]]
prefix = "198.18.0.0/24"
lease = 3600
name = "Büro 事務所"
claims = "known-only"
shared-network = "campus"
pools = [
    { range = "198.18.0.20-198.18.0.29", renewal = { value = 600, active = false }, \
options = { domain-name-servers = "198.18.0.2" } },
    { range = "198.18.0.40-198.18.0.49", name = "the \\"few\\"", active = false, \
options = { default-ip-ttl = { value = 64, active = false } } },
]

[subnet.options]
domain-name = "\\" blanks \\""
ntp-servers = { value = "198.18.0.3", active = false }

[[subnet.reservation]]
address = "198.18.0.9"
hardware-address = "02:00:00:00:00:0a"
hostname = "drucker-ß"
lease = 7200

[subnet.reservation.options]
boot-file-name = "x.img"

[[subnet.reservation]]
address = "198.18.0.10"
client-id = "ff:00:01"
active = false

[[subnet.reservation]]
address = "198.18.0.11"
client-id = "lamp"

[[subnet.reservation]]
address = "198.18.0.12"
client-id = "30:32:3a:30:33"

[[subnet.reservation]]
address = "198.18.0.13"
hardware-address = "0x0a"
hardware-type = 6

[[subnet]]
prefix = "198.18.1.0/32"
shared-network = "campus"

[subnet.options]
host-name = "here"

[[subnet.reservation]]
address = "198.18.1.0"
client-id = "one"

[subnet.reservation.options]
host-name = "there"
"""


# --- the command


def test_the_command_prints_the_file_or_what_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    member = applied([LAN, PRINTER])
    dump_file(At(member), as_json=False)
    assert capsys.readouterr().out == dumped(member)
    dump_file(At(member), as_json=True)
    (subnet,) = json.loads(capsys.readouterr().out)["subnet"]
    assert (subnet["prefix"], len(subnet["reservation"])) == ("198.18.0.0/24", 1)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (Pool(NETWORK - 2, NETWORK - 1), "pool 198.17.255.254-198.17.255.255"),
        (Pool(NETWORK + 9, NETWORK + 999), "pool 198.18.0.9-198.18.3.231"),
        (Reservation(NETWORK - 1, b"\x01ab"), "reservation 198.17.255.255"),
        (Reservation(NETWORK + 1, b"\x02ab"), "reservation 198.18.0.1"),
        (Reservation(NETWORK + 1, b""), "reservation 198.18.0.1"),
        (Reservation(NETWORK + 1, b"\x00\x01"), "reservation 198.18.0.1"),
        (Option(*subnet_scope(NETWORK, 25), 3, bytes(4)), "option subnet 198.18.0.0/25:3"),
    ],
)
def test_a_row_that_has_no_place_in_a_file_is_named(
    row: ConfigRow, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As two members that were changed at once may leave behind."""
    with pytest.raises(ToolError, match=f"can say, and this one would delete: {name}$"):
        dump_file(At(Tables([LAN, row])), as_json=False)
    assert capsys.readouterr().out == dumped(Tables([LAN]))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (Subnet(NETWORK, 25), r"subnet 198\.18\.0\.0/2[45]: overlaps"),
        (Pool(NETWORK, NETWORK + 5), "holds the network or broadcast address"),
        (Option(*GLOBAL, 15, b""), "options.domain-name: is empty"),
        (Setting(*GLOBAL, SettingName.LEASE, 1), "1 s is too short"),
    ],
)
def test_what_apply_would_refuse_is_printed_and_named(
    row: ConfigRow, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row] if isinstance(row, Subnet) and row.prefix_length == 24 else [LAN, row]
    with pytest.raises(ToolError, match=f"`apply` would refuse what the members have: .*{words}"):
        dump_file(At(Tables(rows)), as_json=False)
    assert capsys.readouterr().out == dumped(Tables(rows))


class Changing(Tables):
    """A member whose subnets get another name each time that its pools are read."""

    def __init__(self, rows: Iterable[ConfigRow], times: int) -> None:
        super().__init__(rows)
        self._times = times

    def table(self, table: Table) -> dict[Oid, Row]:
        found = super().table(table)
        if table is CONFIGURATION[3] and self._times:
            self._times -= 1
            self.rows = [replace(LAN, name=f"after {self._times}"), *self.rows[1:]]
        return found


def test_a_configuration_that_changes_is_read_until_it_has_been_the_same_twice() -> None:
    most: Any = CONFIGURATION_READS_MAX
    member = Changing([LAN, PRINTER], most - 2)
    assert read_rows(member) == member.rows == [replace(LAN, name="after 0"), PRINTER]
    with pytest.raises(ToolError, match="changes all the time"):
        read_rows(Changing([LAN, PRINTER], most - 1))
