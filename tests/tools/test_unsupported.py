"""docs/unsupported.md names what there is not: each row that the code can tell of is held to it, so
that what comes to be supported leaves the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import typer

from agent.dhcp.classify import Links, MessageKind
from agent.dhcp.packet import parse_packet
from agent.dhcp.wire import build_option
from agent.errors import ConfigError, PacketError
from agent.limits import MEMBERS_MAX
from agent.member_file import load_member_file
from agent.model import Subnet
from agent.settings.configuration import Configuration
from tests.dhcp.world import RELAY, Client
from tools import main
from tools.apply import file
from tools.apply.file import read_file
from tools.target import parse_endpoint

PAGE = Path(__file__).parents[2] / "docs" / "unsupported.md"
LAN = '[[subnet]]\nprefix = "198.18.0.0/15"\n'
HOST = f'{LAN}[[subnet.reservation]]\naddress = "198.18.1.1"\nclient-id = "xy"\n'
MEMBER = '[member]\nid = 1\nname = "m1"\n[snmp]\naddress = "192.0.2.1"\n'


def rows() -> dict[str, str]:
    """What there is not, and what there is instead."""
    cells = re.findall(r"^\| (.*?) \| (.*?) ?\|$", PAGE.read_text(), re.MULTILINE)
    return {what: instead for what, instead in cells if what.strip() and what != "---"}


def refuses_keys(*keys: str, where: str = LAN, value: str = '"x"') -> None:
    for key in keys:
        told = [str(one) for one in read_file("x.toml", f"{where}{key} = {value}\n")[1]]
        assert [f"{key}: is no known key" in one for one in told] == [True], (key, told)


def refuses_option(name: str) -> None:
    """It is what the server decides by itself."""
    assert read_file("x.toml", f'[options]\n{name} = "01"\n')[1], name


def refuses_message(kind: int) -> None:
    with pytest.raises(PacketError, match="option 53"):
        parse_packet(Client().message(kind, {}).data)


def refuses_member(text: str, words: str) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "member.toml").write_text(text)
        with pytest.raises(ConfigError, match=words):
            load_member_file(Path(folder))


def bootp() -> None:
    message = Client().message(1, {}).data.replace(build_option(53, b"\1"), b"")
    with pytest.raises(PacketError, match="BOOTP without option 53 is not served") as refused:
        parse_packet(message)
    assert refused.value.reason == "no_message_type"


def leasequery() -> None:
    for kind in range(10, 19):
        refuses_message(kind)


def selection_by_relay() -> None:
    """The subnet is that of the relay's address, whatever sub-option 5 and option 118 name."""
    own = Subnet(RELAY & 0xFFFF_FF00, 24)
    other = Subnet(0x0A00_0000, 24)
    named = (other.network + 1).to_bytes(4, "big")
    options = {82: bytes((5, 4)) + named, 118: named}
    packet = parse_packet(Client().message(1, options).data)
    links = Links(Configuration.from_rows([own, other]), {})
    assert links.subnets_of(MessageKind.DISCOVER, packet, 0, 1) == (own,)
    refuses_option("subnet-selection")


def classes() -> None:
    for where in ("", LAN, HOST):
        refuses_keys("class", "client-class", "deny", "allow", "known-clients", where=where)


def reservations() -> None:
    refuses_keys("circuit-id", "remote-id", "flex-id", "pattern", where=HOST)
    refuses_keys("reservation", where="", value="[]")


def quotas() -> None:
    for where in ("", LAN, HOST):
        refuses_keys("lease-limit", "rate-limit", where=where)


def exclusions() -> None:
    refuses_keys("exclude", "exclusions")
    told = read_file("x.toml", LAN + 'pools = [{ range = "198.18.1.1-198.18.1.9", exclude = 1 }]\n')
    assert "exclude: is no known key" in str(told[1][0])


def definitions() -> None:
    refuses_keys("option-def", "option-definitions", where="", value="[]")
    assert "octets" in str(read_file("x.toml", "[options]\n224 = 7\n")[1][0])


def authoritative() -> None:
    for where in ("", LAN):
        refuses_keys("authoritative", where=where, value="true")


def hooks() -> None:
    refuses_keys("hooks", "on-commit", where="")
    refuses_member(f"{MEMBER}[hooks]\n", "hooks")


def commands(command: Any = None, before: str = "") -> set[str]:
    """Every command by its words."""
    group: Any = command or typer.main.get_command(main.app)
    found = set()
    for name, one in group.commands.items():
        found.add(f"{before}{name}")
        if hasattr(one, "commands"):
            found |= commands(one, f"{before}{name} ")
    return found


def imports() -> None:
    assert {one for one in commands() if one.startswith("import ")} == {"import bootptab"}


def passphrases() -> None:
    assert not {one for one in commands() if re.search("pass|key|rekey|user", one)}


def numbers() -> None:
    assert {"member rename", "member readdress"} <= commands()
    assert not {one for one in commands() if "number" in one}


def members_by_ipv6() -> None:
    with pytest.raises(ConfigError, match="--address"):
        parse_endpoint("--address", "2001:db8::1")
    refuses_member(MEMBER.replace("192.0.2.1", "2001:db8::1"), "snmp.address")


CHECKS: dict[str, Callable[[], object]] = {
    "BOOTP": bootp,
    "rapid commit": lambda: refuses_option("rapid-commit"),
    "FORCERENEW": lambda: refuses_message(9),
    "leasequery": leasequery,
    "link selection": selection_by_relay,
    "FQDN": lambda: refuses_option("fqdn"),
    "authentication": lambda: refuses_option("authentication"),
    "client classes": classes,
    "reservations by circuit": reservations,
    "limits of leases": quotas,
    "exclusions within a pool": exclusions,
    "options that the operator defines": definitions,
    "`authoritative` by subnet": authoritative,
    "files of other servers": imports,
    "hooks": hooks,
    f"more than {MEMBERS_MAX} members": lambda: None,
    "a change of passphrases": passphrases,
    "another number for a member": numbers,
    "members that reach each other by IPv6": members_by_ipv6,
}
"""By how the row begins."""
UNTOLD = {
    "DHCPv6",
    "option 82 in renewals",
    "relays that listen at another port",
    "a proxyDHCP on port 4011",
    "a lease, or an option, by what a client says of itself",
    "a lease that is shortened after it was given",
    "two versions of dhcpsync in one group",
    "another data base than SQLite",
    "a member whose clock runs fast or slow",
    "another system than Linux",
}
"""Of what no code is there that could say no."""


@pytest.mark.parametrize("beginning", CHECKS)
def test_what_is_not_supported_is_refused(beginning: str) -> None:
    CHECKS[beginning]()


def test_each_row_is_held_to_the_code_or_is_known_to_be_none_of_its() -> None:
    known = [*CHECKS, *UNTOLD]
    for what in rows():
        assert sum(what.startswith(one) for one in known) == 1, what
    for one in known:
        assert sum(what.startswith(one) for what in rows()) == 1, one


def test_no_key_of_a_file_is_called_unsupported() -> None:
    """Keys of several words, and the times, are what a person would look for."""
    tables = (file._TOP, file._SUBNET, file._POOL, file._RESERVATION, file._NETWORK)
    keys = {key for table in tables for key in table}
    named = " ".join(rows()).lower()
    said = {key.replace("-", " ") for key in keys if "-" in key} | {"rebinding", "t1", "t2"}
    assert {"shared network", "max lease", "client id", "outside pools"} <= said
    assert [key for key in sorted(said) if key in named] == []
