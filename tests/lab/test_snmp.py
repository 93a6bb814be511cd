"""The cluster as an operator with net-snmp and `dhcpsync apply` sees and changes it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.snmp.columns import OPTION, POOL, SETTING, SUBNET
from agent.snmp.oid import format_oid, octets_index
from tests.lab.conftest import need
from tests.lab.rig import CLIENT_ADDRESS, REPOSITORY, Lab, RelayedClient, wait_until
from tools.lab.lab import CONFIGURATION
from tools.lab.layout import POOL as LAB_POOL

MEMBERS = ("m1", "m2", "m3")
RELAY = "203.0.113.254"
SCOPE = format_oid((3, *octets_index(b"203.0.113.0/24")))
"""The subnet's, of its lease time and its routers."""
ROWS = [
    f"{format_oid(SUBNET['RowStatus'].oid)}.203.0.113.0.24 i 4",
    f"{format_oid(SETTING['Value'].oid)}.{SCOPE}.1 u 300",
    f"{format_oid(SETTING['RowStatus'].oid)}.{SCOPE}.1 i 4",
    f"{format_oid(POOL['RowStatus'].oid)}.203.0.113.10.203.0.113.99 i 4",
    f"{format_oid(OPTION['RowStatus'].oid)}.{SCOPE}.3 i 4",
    f"{format_oid(OPTION['Text'].oid)}.{SCOPE}.3 s {RELAY}",
]

POOL_SIZE = format_oid((*POOL["Size"].oid[6:], 198, 18, 16, 0, 198, 19, 255, 254))
"""Without the prefix that net-snmp may have a name for."""


@pytest.fixture(autouse=True)
def _net_snmp() -> None:
    need("snmpset")


def apply(lab: Lab, text: str, *options: str, check: bool = True) -> str:
    file = lab.root / "wanted.toml"
    file.write_text(text)
    command = [sys.executable, "-m", "tools.main", "apply", str(file), *options]
    users = ("--credentials", str(lab.root / "credentials.env"))
    done = lab.exec("m1", *command, "--address", "198.18.0.1", *users, check=check)
    file.unlink()
    file.with_name("wanted.toml.applied").unlink(missing_ok=True)  # each is a file of its own
    return done.stdout + done.stderr


def test_monitor_reads_and_may_not_write(lab: Lab) -> None:
    walked = lab.snmp("snmpbulkwalk", "monitor", "m2", "1.3.6.1.4.1.32473.67").stdout
    assert f"{POOL_SIZE} = Gauge32: 126975\n" in walked
    refused = lab.snmp("snmpset", "monitor", "m2", *" ".join(ROWS).split(), check=False)
    assert refused.returncode != 0
    assert re.search(r"noAccess|authorizationError|notWritable|no access", refused.stderr)


def test_an_operator_adds_a_subnet_and_a_client_there_is_served(lab: Lab) -> None:
    lab.snmp("snmpset", "operator", "m2", *" ".join(ROWS).split())
    instance = f"{format_oid(POOL['Size'].oid)}.203.0.113.10.203.0.113.99"
    for member in MEMBERS:
        wait_until(
            lambda member=member: "90" in lab.snmp("snmpget", "monitor", member, instance).stdout,
            10,
        )
        lab.exec(member, "ip", "route", "add", "203.0.113.0/24", "dev", "eth0")
    with lab.address("c1", RELAY, 24), lab.address("c1", "198.18.15.2"):
        client = RelayedClient("c1", RELAY)
        try:
            for number, member in enumerate(MEMBERS, 1):
                leased = client.lease(
                    f"198.18.0.{number}", b"\x02\x00\x00\x00\x0d" + bytes([number])
                )
                assert leased.address.startswith("203.0.113."), member
                assert leased.options[3] == bytes((203, 0, 113, 254))
                assert int.from_bytes(leased.options[51], "big") == 300
        finally:
            client.close()
    # A live lease keeps its subnet.
    destroy = f"{format_oid(SUBNET['RowStatus'].oid)}.203.0.113.0.24 i 6"
    refused = lab.snmp("snmpset", "operator", "m3", *destroy.split(), check=False)
    assert "inconsistentValue" in refused.stderr


@pytest.fixture
def base_mibs() -> str:
    base = os.environ.get("DHCPSYNC_MIB_BASE")
    if not base:
        pytest.skip("DHCPSYNC_MIB_BASE names no folder with the RFC modules (see Makefile)")
    return f"+{base}:{REPOSITORY / 'mibs'}"


def with_the_mib(lab: Lab, base_mibs: str, tool: str, *arguments: str) -> str:
    """What a net-snmp tool shows to somebody who has our MIB."""
    words = ("-M" + base_mibs, "-m+DHCP-SYNC-MIB", *arguments)
    return lab.snmp(tool, "monitor", "m1", *words).stdout


def test_tables_are_readable_with_the_mib(lab: Lab, base_mibs: str) -> None:
    shown = with_the_mib(lab, base_mibs, "snmptable", "dhcpSyncMemberTable")
    assert "bidirectional" in shown
    assert "aligned" in shown
    pools = with_the_mib(lab, base_mibs, "snmpbulkwalk", "dhcpSyncPoolTable")
    assert "dhcpSyncPoolSize.198.18.16.0.198.19.255.254 = Gauge32: 126975 addresses" in pools
    assert "active(1)" in pools


def test_bindings_are_readable_with_the_mib(lab: Lab, base_mibs: str) -> None:
    with lab.address("c1"):
        client = RelayedClient("c1", CLIENT_ADDRESS)
        try:
            now = datetime.now(UTC)
            address = client.lease("198.18.0.1", bytes.fromhex("02000000b707")).address
        finally:
            client.close()
    walk = with_the_mib(lab, base_mibs, "snmpbulkwalk", "dhcpSyncBindingTable")
    # net-snmp drops the leading zeros of the hint "1x:" (RFC 2579, PhysAddress).
    for words in (
        f"dhcpSyncBindingState.{address} = INTEGER: bound(1)",
        f"dhcpSyncBindingHardwareAddress.{address} = STRING: 2:0:0:0:b7:7",
        f"dhcpSyncBindingTransactionType.{address} = INTEGER: selecting(1)",
        f"dhcpSyncBindingTransactionServer.{address} = Gauge32: 1",
    ):
        assert f"DHCP-SYNC-MIB::{words}\n" in walk
    dates = {
        short: datetime.strptime(shown, "%Y-%m-%d,%H:%M:%S.%f,+0:0").replace(tzinfo=UTC)
        for short, shown in re.findall(
            rf"dhcpSyncBinding(\w+At)\.{re.escape(address)} = STRING: (\S+)\n", walk
        )
    }
    assert abs(dates["TransactionAt"] - now) < timedelta(seconds=5)
    assert abs(dates["ExpiresAt"] - now - timedelta(seconds=600)) < timedelta(seconds=5)
    table = with_the_mib(lab, base_mibs, "snmptable", "-Ci", "-Cb", "dhcpSyncBindingTable")
    heading, *rows = [line.split() for line in table.splitlines() if line.strip()][1:]
    (row,) = [row for row in rows if row[0] == address]
    cells = dict(zip(heading, row, strict=False))
    assert (cells["index"], cells["State"], cells["HardwareAddress"]) == (
        address,
        "bound",
        "2:0:0:0:b7:7",
    )


def test_apply_shows_a_plan_does_it_once_and_then_nothing(lab: Lab) -> None:
    more = CONFIGURATION + '[[subnet.reservation]]\naddress = "198.18.2.1"\nclient-id = "xy"\n'
    # The subnet of another test is kept: what a file does not name would be deleted.
    more += (
        '[[subnet]]\nprefix = "203.0.113.0/24"\nlease = 300\n'
        'pools = ["203.0.113.10-203.0.113.99"]\noptions = { routers = "203.0.113.254" }\n'
    )
    planned = apply(lab, more, "--plan", "--json")
    assert '"applied": false' in planned
    assert '"key": "198.18.2.1"' in planned
    assert apply(lab, more, "--json").replace("true", "false") == planned
    assert apply(lab, more).startswith("nothing to do: all ")
    # What any member has is dumped, by a user who may only read, as the file of just that.
    command = [sys.executable, "-m", "tools.main", "dump", "--address", "198.18.0.2"]
    users = ["--credentials", str(lab.root / "credentials.env")]
    dumped = lab.exec("m1", *command, *users).stdout
    assert '\nclient-id = "xy"\n' in dumped
    assert apply(lab, dumped, "--plan").startswith("nothing to do: all ")


SMALL_POOL = "198.18.200.0-198.18.200.31"
IN_USE = [f"198.18.200.{number}" for number in range(24)]
"""Of that pool: what the clients of a former server use."""


@contextmanager
def machines(lab: Lab, node: str) -> Iterator[None]:
    """One for each address, that answers for it alone and speaks no DHCP."""
    made = "".join(
        f"ip link add link eth0 name u{at} type macvlan mode bridge; ip addr add {address}/32 dev"
        f" u{at}; ip link set u{at} up; "
        for at, address in enumerate(IN_USE)
    )
    arp_ignore = "/proc/sys/net/ipv4/conf/all/arp_ignore"
    lab.exec(node, "sh", "-ec", f"echo 1 > {arp_ignore}; {made}")
    try:
        yield
    finally:
        gone = "".join(f"ip link del u{at}; " for at in range(len(IN_USE)))
        lab.exec(node, "sh", "-c", f"echo 0 > {arp_ignore}; {gone}")


def test_a_network_that_another_server_has_served_gives_no_address_that_is_in_use(
    lab: Lab,
) -> None:
    """Each member tries its share of the pool; what answers is UNAVAILABLE."""
    users = ("--address", "198.18.0.2", "--credentials", str(lab.root / "credentials.env"))
    command = (sys.executable, "-m", "tools.main")
    before = lab.exec("m1", *command, "dump", *users).stdout
    lab.exec("m1", *command, "former-lease", "600", *users)
    try:
        with machines(lab, "c2"):
            apply(lab, before.replace(LAB_POOL, SMALL_POOL), "--yes")
            for member in MEMBERS:
                wait_until(lambda member=member: bool(lab.status(member).former), 10)
            quiet = ("-s", "/bin/true", "-C", "-x")
            unavailable = {tuple(map(int, address.split("."))) for address in IN_USE}

            def marked() -> set[tuple[int, ...]]:
                return {at for at, row in lab.bindings("m1").items() if row["State"] == 3}

            given = [lab.lease("c1", *quiet, f"0x3d:ff0000000{n}") for n in range(3)]
            assert not set(given) & set(IN_USE)
            assert any(given), "those that nobody uses are given"
            # Each client has a few more tried: what answered is everybody's knowledge.
            wait_until(lambda: bool(marked()), 10)
            assert marked() <= unavailable
            assert lab.lease("c1", *quiet, "0x3d:ff00000009") not in IN_USE
    finally:
        lab.exec("m1", *command, "former-lease", "0", *users)
        apply(lab, before, "--yes")
    assert lab.status("m1").former == []


def test_apply_refuses_to_orphan_live_leases(lab: Lab) -> None:
    lab.exec("c2", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-s", "/bin/true")
    words = apply(lab, "", check=False)
    assert "live binding" in words
    assert "would be orphaned" in words


def test_a_wrong_passphrase_is_told_apart_from_silence(lab: Lab, tmp_path: Path) -> None:
    users = tmp_path / "users.env"
    users.touch(0o600)
    text = (lab.root / "credentials.env").read_text()
    for key, words in (
        ("MONITOR_AUTH", "the authentication passphrase is wrong"),
        ("MONITOR_USER", "the member does not know this user"),
    ):
        users.write_text(re.sub(rf"^{key}=.*$", f"{key}=something-else", text, flags=re.M))
        command = (sys.executable, "-m", "tools.main", "status", "--credentials", str(users))
        done = lab.exec("m1", *command, "--address", "198.18.0.1", check=False)
        assert (done.returncode, done.stderr) == (1, f"dhcpsync: 198.18.0.1: {words}\n")
