"""The file of `dhcpsync apply`: what it means, and what is said of each mistake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NoReturn, cast

import pytest

from agent.errors import ConfigError
from agent.kinds.scope import GLOBAL, host_scope, subnet_scope
from agent.kinds.subnet import OutsidePolicy
from agent.model import (
    ClaimPolicy,
    Option,
    Pool,
    ProbePolicy,
    Reservation,
    Setting,
    SettingName,
    Subnet,
    parse_address,
)
from tools.apply import file
from tools.apply.command import apply_file
from tools.apply.file import parse_file
from tools.errors import ManagerError, ToolError
from tools.target import Place

ROOT = Path(__file__).parents[2]

WHOLE = """
[options]
domain-name = "example.org"
42 = ["198.18.0.3", "198.18.0.4"]

[[subnet]]
prefix = "198.18.0.0/15"
lease = 3600
name = "lab"
interface = "eth0"
pools = [
    "198.18.16.0-198.19.255.254",
    { range = "198.18.2.1-198.18.2.9", name = "few", active = false },
]
[subnet.options]
routers = "198.18.0.254"
interface-mtu = 1400
[[subnet.reservation]]
address = "198.18.1.1"
hardware-address = "02:00:00:00:00:0A"
hostname = "printer"
options = { boot-file-name = "x.img" }
[[subnet.reservation]]
address = "198.18.1.2"
client-id = "ff:00:01"
[[subnet.reservation]]
address = "198.18.1.3"
client-id = "lamp"
"""


def test_claims_offer_delay_and_probe_of_a_subnet() -> None:
    text = '[[subnet]]\nprefix = "198.18.0.0/15"\nclaims = "known-only"\noffer-delay = 4\n'
    text += 'probe = "always"\noutside-pools = "nak"\n'
    (subnet,) = parse_file("x.toml", text)
    assert isinstance(subnet, Subnet)
    assert (subnet.claims, subnet.offer_delay_s) == (ClaimPolicy.KNOWN_ONLY, 4)
    assert subnet.probe is ProbePolicy.ALWAYS
    assert subnet.outside is OutsidePolicy.NAK


@pytest.mark.parametrize(
    ("line", "words"),
    [('claims = "perhaps"', "claims: is 'perhaps'; write one of accept, known-only, deny"),
     ("offer-delay = 4000", "offer delay: is 4000 s"),
     ('probe = "yes"', "probe: is 'yes'; write one of recent, always, never"),
     ('outside-pools = "renew"', "outside-pools: is 'renew'; write one of run-out, nak")],
)  # fmt: skip
def test_bad_claims_offer_delay_and_probe_are_named(line: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_file("x.toml", f'[[subnet]]\nprefix = "198.18.0.0/15"\n{line}\n')


def test_a_whole_file_becomes_rows() -> None:
    network = parse_address("198.18.0.0")
    first = parse_address("198.18.1.1")
    assert set(parse_file("x.toml", WHOLE)) == {
        Option(*GLOBAL, 15, b"example.org"),
        Option(*GLOBAL, 42, bytes([198, 18, 0, 3, 198, 18, 0, 4])),
        Subnet(network, 15, "eth0", "lab"),
        Setting(*subnet_scope(network, 15), SettingName.LEASE, 3600),
        Pool(parse_address("198.18.16.0"), parse_address("198.19.255.254")),
        Pool(parse_address("198.18.2.1"), parse_address("198.18.2.9"), "few", active=False),
        Option(*subnet_scope(network, 15), 3, bytes([198, 18, 0, 254])),
        Option(*subnet_scope(network, 15), 26, bytes([5, 120])),
        Reservation(first, bytes.fromhex("0001 02000000000a"), "printer"),
        Option(*host_scope(first), 67, b"x.img"),
        Reservation(first + 1, bytes.fromhex("01 ff0001")),
        Reservation(first + 2, b"\x01lamp"),
    }


def test_an_empty_file_means_no_configuration() -> None:
    assert parse_file("x.toml", "") == []


SUBNET = '[[subnet]]\nprefix = "198.18.0.0/15"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[subnet]", ["x.toml", "no valid TOML", "line 1"]),
        ("subnets = 1", ["x.toml: subnets", "no known key", "did you mean subnet?"]),
        ("subnet = 1", ["x.toml: subnet", "must be a list"]),
        ("subnet = [1]", ["x.toml: subnet 1", "[[subnet]]"]),
        ("[[subnet]]\nlease = 60", ["x.toml: subnet 1: prefix", "is missing", "198.18.0.0/15"]),
        ('[[subnet]]\nprefix = "198.18.0.0"', ["subnet 198.18.0.0: prefix", "is no prefix"]),
        ('[[subnet]]\nprefix = "198.18.0.0/33"', ["is no prefix"]),
        ('[[subnet]]\nprefix = "198.18.0/15"', ["'198.18.0' is no IPv4 address"]),
        ('[[subnet]]\nprefix = "198.18.0.1/15"', ["x.toml", "did you mean 198.18.0.0/15?"]),
        (SUBNET + "pols = []", ["subnet 1: pols", "did you mean pools?"]),
        (
            SUBNET + 'lease = "1h"',
            ["subnet 198.18.0.0/15: lease", "'1h'", "must be a whole number"],
        ),
        (SUBNET + "lease = true", ["subnet 198.18.0.0/15: lease", "must be a whole number"]),
        (SUBNET + "lease = -1", ["subnet 198.18.0.0/15: lease", "is -1", "1..4294967295"]),
        (SUBNET + "lease = {}", ["lease: has no value", "value = 3600"]),
        (SUBNET + "lease = { value = 60, on = true }", ["lease: on", "no known key"]),
        (SUBNET + "max-lease = { value = 0 }", ["max-lease: is 0", "1..4294967295"]),
        ("[settings]\nmax-lease = 5", ["setting global:max-lease", "5 s is too short"]),
        ("[settings]\nttl = 5", ["settings: ttl", "known are lease, min-lease"]),
        ("settings = 5", ["settings", "must be a table"]),
        ("shared-network = [5]", ["shared-network 1", "write [[shared-network]]"]),
        ("[[shared-network]]", ["shared-network 1: name", "is missing"]),
        (
            '[[shared-network]]\nname = "x"\nlease = 60',
            ["setting shared-network x:lease, scope", "names nothing that is configured"],
        ),
        (
            SUBNET + 'pools = [{ range = "198.18.0.1-198.18.0.9", options = { routers = "x" } }]',
            ["pools, item 1: options.routers"],
        ),
        (SUBNET + "lease = 2", ["x.toml", "2 s is too short", "at least 10 s"]),
        (SUBNET + 'pools = ["198.18.16.0"]', ["pools, item 1", "is no range", "first-last"]),
        (SUBNET + 'pools = ["10.0.0.1-10.0.0.9"]', ["x.toml", "lies in no subnet"]),
        (
            SUBNET + 'pools = ["198.18.2.0-198.18.3.0", "198.18.2.9-198.18.4.0"]',
            ["x.toml", "overlaps", "pools must not share addresses"],
        ),
        (SUBNET + "options = { router = 1 }", ["options.router", "routers"]),
        (SUBNET + 'options = { routers = "here" }', ["options.routers", "'here'", "198.18.0.1"]),
        (SUBNET + "options = { routers = 1.5 }", ["options.routers", "is 1.5", "a list"]),
        (
            SUBNET + "options = { lease-time = 5 }",
            ["option subnet 198.18.0.0/15:51", "lease time instead"],
        ),
        (SUBNET + "[[subnet.reservation]]", ["reservation 1: address", "is missing"]),
        (
            SUBNET + '[[subnet.reservation]]\naddress = "198.18.1.1"',
            ["subnet 198.18.0.0/15: reservation 198.18.1.1", "names no client"],
        ),
        (
            SUBNET + '[[subnet.reservation]]\naddress = "198.18.1.1"\nhardware-address = "02:00"',
            ["hardware-address", "'02:00' is no Ethernet address"],
        ),
        (
            SUBNET + '[[subnet.reservation]]\naddress = "10.1.1.1"\nclient-id = "ab"',
            ["x.toml", "lies in no subnet"],
        ),
        (
            SUBNET + '[[subnet.reservation]]\naddress = "198.18.1.1"\n'
            'hardware-address = "02:00"\nhardware-type = 256',
            ["reservation 198.18.1.1: hardware-type", "is 256", "0..255"],
        ),
        (
            SUBNET + '[[subnet.reservation]]\naddress = "198.18.1.1"\n'
            'hardware-address = "printer"\nhardware-type = 6',
            ["hardware-address", "'printer' is no address in hexadecimal"],
        ),
        (
            SUBNET + '[[subnet.reservation]]\naddress = "198.18.1.1"\n'
            'client-id = "ab"\nhardware-type = 6',
            ["reservation 198.18.1.1: hardware-type", "is of no hardware-address"],
        ),
        ("[options]\nrouters = { active = false }", ["options.routers", "has no value"]),
        (
            '[options]\nrouters = { value = "198.18.0.1", activ = false }',
            ["options.routers: activ", "did you mean active?"],
        ),
        (
            '[options]\nrouters = { value = { value = "198.18.0.1" } }',
            ["options.routers", "a list"],
        ),
        (SUBNET + SUBNET, ["x.toml", "198.18.0.0/15", "is there twice"]),
    ],
)
def test_a_mistake_is_named_with_file_key_and_what_is_right(text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_file("x.toml", text)
    message = str(caught.value)
    assert message.startswith("x.toml")
    assert [word for word in words if word not in message] == [], message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("1:4:ac:10:1:2", "0104ac100102"),
        ("ff:00:01", "ff0001"),
        ("0xff0001", "ff0001"),
        ("lamp", b"lamp".hex()),
        ("a1b2", b"a1b2".hex()),
        ("10-20-30", b"10-20-30".hex()),
        ("123456789012", b"123456789012".hex()),
        ("decade-cafe", b"decade-cafe".hex()),
        ("lamp:1", b"lamp:1".hex()),
    ],
)
def test_a_client_id_is_octets_as_dhcpd_writes_them_or_text(text: str, octets: str) -> None:
    rows = parse_file("x.toml", ONE.format(f'client-id = "{text}"'))
    assert Reservation(parse_address("198.18.1.1"), b"\x01" + bytes.fromhex(octets)) in rows


@pytest.mark.parametrize(
    "text",
    ["01-04-ac-10-01-02", "01 04 AC 10 01 02", "0104.ac10.0102", "0104ac100102", "0104.ac10.01"],
)
def test_a_client_id_that_may_be_octets_or_a_text_is_refused(text: str) -> None:
    """It was text without a word, and its client never came to its address."""
    with pytest.raises(ConfigError) as caught:
        parse_file("x.toml", ONE.format(f'client-id = "{text}"'))
    message = str(caught.value)
    assert "client-id" in message
    assert '"01:04:ac:10:01' in message
    octets = text.encode().hex(":")
    assert f'"{octets}" if it is a text' in message
    rows = parse_file("x.toml", ONE.format(f'client-id = "{octets}"'))
    assert Reservation(parse_address("198.18.1.1"), b"\x01" + text.encode()) in rows


@pytest.mark.parametrize("text", ["02:00:00:00:00:0a", "2:0:0:0:0:a", "02-00-00-00-00-0A"])
def test_a_hardware_address_may_be_written_as_dhcpd_does(text: str) -> None:
    rows = parse_file("x.toml", ONE.format(f'hardware-address = "{text}"'))
    assert Reservation(parse_address("198.18.1.1"), bytes.fromhex("000102000000000a")) in rows


@pytest.mark.parametrize("text", ["2:0:0:0:0", "02:00:00:00:00:0g", "2:0-0:0:0:a", "02000000000a"])
def test_what_is_no_hardware_address_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match="is no Ethernet address"):
        parse_file("x.toml", ONE.format(f'hardware-address = "{text}"'))


@pytest.mark.parametrize(("text", "octets"), [("0x0a", "0a"), ("2:0:ff", "0200ff")])
def test_other_hardware_has_addresses_of_other_lengths(text: str, octets: str) -> None:
    rows = parse_file("x.toml", ONE.format(f'hardware-address = "{text}"\nhardware-type = 6'))
    assert Reservation(parse_address("198.18.1.1"), bytes.fromhex("0006" + octets)) in rows


def test_an_option_that_is_not_sent_is_a_table() -> None:
    (option,) = parse_file("x.toml", "options = { 23 = { value = 64, active = false } }")
    assert option == Option(*GLOBAL, 23, b"@", active=False)


ONE = """
[[subnet]]
prefix = "198.18.0.0/15"
[[subnet.reservation]]
address = "198.18.1.1"
{}
"""


def test_the_file_that_the_documentation_shows_is_right_and_has_every_key() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    example = text.partition("```toml\n")[2].partition("```")[0]
    rows = parse_file("x.toml", example)
    assert {type(row) for row in rows} == {Subnet, Pool, Option, Reservation, Setting}
    for key in (*file._TOP, *file._SUBNET, *file._POOL, *file._RESERVATION):
        assert re.search(rf"\b{key}\b", example), key


def test_a_plan_that_no_member_answers_says_that_the_file_is_right(tmp_path: Path) -> None:
    class Nobody:
        def run(self, work: object) -> NoReturn:
            raise ManagerError("198.18.0.1: no answer", "requestTimedOut")

    path = tmp_path / "x.toml"
    path.write_text(WHOLE)
    nobody = cast(Place, Nobody())

    def never(words: str) -> NoReturn:
        raise AssertionError(words)

    with pytest.raises(ToolError, match=r"no answer; .*x\.toml is right in itself"):
        apply_file(path, nobody, never, only_plan=True, as_json=False)
    with pytest.raises(ManagerError, match="no answer"):
        apply_file(path, nobody, never, only_plan=False, as_json=False)
    path.write_text("[[subnet]]\nprefix = 7\n")
    with pytest.raises(ConfigError, match="prefix"):
        apply_file(path, nobody, never, only_plan=True, as_json=False)
