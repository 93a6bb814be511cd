"""Members that come and go by one snmpset each (net-snmp), while clients are served."""

from __future__ import annotations

import json
import re
import sys

import pytest

from agent.snmp.columns import AUDIT, GROUP, MEMBER, POOL
from agent.snmp.oid import format_oid
from tests.lab.conftest import need
from tests.lab.rig import CLIENT_ADDRESS, Lab, RelayedClient, wait_until
from tools.init import read_identity

PARTNER_DOWN, PAUSE, RESUME, LEAVE = "2", "3", "4", "6"
CREATE_AND_GO, DESTROY = "4", "6"


@pytest.fixture(autouse=True)
def _net_snmp() -> None:
    need("snmpset")


def name(short: str, member: int) -> str:
    return f"{format_oid(MEMBER[short].oid)}.{member}"


_CELL = re.compile(r"^\.[0-9.]+\.(\d+) (.*)$", re.MULTILINE)


def column(lab: Lab, at: str, short: str) -> dict[int, str]:
    """A column of the member table, by member."""
    oid = format_oid(MEMBER[short].oid)
    walked = lab.snmp("snmpwalk", "monitor", at, "-Oqnx", oid).stdout
    return {int(member): value.strip('" ') for member, value in _CELL.findall(walked)}


def shown(lab: Lab, at: str, short: str, member: int) -> str:
    word = MEMBER[short].syntax.names
    return word.get(int(column(lab, at, short).get(member, "0")), "")


def part_of_pool(lab: Lab, at: str) -> float:
    """What is free at the member of the one pool."""
    oid = format_oid(POOL["Free"].oid)
    cell, free = lab.snmp("snmpwalk", "monitor", at, "-Oqn", oid).stdout.split()
    octets = bytes(int(part) for part in cell.split(".")[-8:])
    first, last = (int.from_bytes(half, "big") for half in (octets[:4], octets[4:]))
    return int(free) / (last - first + 1)


def audited(lab: Lab, at: str) -> str:
    oid = format_oid(AUDIT.entry)
    return lab.snmp("snmpwalk", "operator", at, "-Oqn", oid).stdout


def lease(lab: Lab, server: str, last_octet: int) -> bool:
    with lab.address("c1"):
        client = RelayedClient("c1", CLIENT_ADDRESS)
        try:
            return client.lease(server, bytes.fromhex("02000000d0") + bytes([last_octet])).kind == 5
        finally:
            client.close()


def is_silent(lab: Lab, server: str) -> bool:
    with lab.address("c1"):
        client = RelayedClient("c1", CLIENT_ADDRESS)
        try:
            return client.ask(server, bytes.fromhex("02000000d1ff"), {53: b"\x01"}) is None
        finally:
            client.close()


def test_a_member_is_added_and_removed_live_by_one_snmpset_each(lab: Lab) -> None:
    lab.run("lab", "join", "m4")
    engine_id = read_identity(lab.root / "m4").engine_id.hex()
    lab.snmp("snmpset", "operator", "m4", name("Operation", 4), "i", LEAVE)
    wait_until(lambda: shown(lab, "m1", "State", 4) == "removed", 40)
    assert is_silent(lab, "198.18.0.4")
    add = (
        *(name("Name", 4), "s", "m4"),
        *(name("Address", 4), "x", "c6120004"),
        *(name("EngineId", 4), "x", engine_id),
        *(name("RowStatus", 4), "i", CREATE_AND_GO),
    )
    lab.snmp("snmpset", "operator", "m1", *add)
    wait_until(lambda: shown(lab, "m1", "EndpointState", 4) == "normal", 60)
    assert shown(lab, "m4", "State", 4) == "active"
    lab.run("lab", "kill", "m4", "--hard")
    wait_until(lambda: shown(lab, "m1", "EndpointState", 4) == "communicationsInterrupted", 15)
    set_on_the_dead(lab, name("RowStatus", 4), "i", DESTROY)
    for member in ("m1", "m2", "m3"):
        wait_until(lambda member=member: shown(lab, member, "State", 4) == "removed", 15)
        assert shown(lab, member, "EndpointState", 4) == "partnerDown"
    words = audited(lab, "m1")
    assert "dhcpSyncMemberRowStatus.4=createAndGo" in words
    assert "dhcpSyncMemberRowStatus.4=destroy" in words
    assert "removal of member 4: generation" in words
    assert lease(lab, "198.18.0.1", 1)
    assert "out of the group" in lab.run("lab", "start", "m4").stderr
    lab.run("lab", "join", "m4")


def set_on_the_dead(lab: Lab, *order: str) -> None:
    """Refused for as long as any of the others still says that it hears the member."""

    def is_taken() -> bool:
        return lab.snmp("snmpset", "operator", "m1", *order, check=False).returncode == 0

    wait_until(is_taken, 15)


def test_a_live_member_is_not_removed_without_force_and_the_reason_is_told(lab: Lab) -> None:
    refused = lab.snmp("snmpset", "operator", "m1", name("RowStatus", 2), "i", DESTROY, check=False)
    assert "inconsistentValue" in refused.stderr
    users = ("--address", "198.18.0.1", "--credentials", str(lab.root / "credentials.env"))
    dhcpsync = (sys.executable, "-m", "tools.main", "member", "remove", "m2", "--yes", *users)
    done = lab.exec("m1", *dhcpsync, check=False)
    assert done.returncode == 1
    assert "member_alive: member 2 was heard" in done.stderr
    assert shown(lab, "m1", "State", 2) == "active"


def test_a_peer_is_moved_to_partner_down_and_comes_back_by_itself(lab: Lab) -> None:
    lab.run("lab", "kill", "m3", "--hard")
    set_on_the_dead(lab, name("Operation", 3), "i", PARTNER_DOWN)
    wait_until(lambda: shown(lab, "m2", "EndpointState", 3) == "partnerDown", 15)
    assert shown(lab, "m2", "State", 3) == "down"
    assert "dhcpSyncMemberOperation.3=partnerDown" in audited(lab, "m1")
    lab.run("lab", "start", "m3")
    wait_until(lambda: shown(lab, "m1", "EndpointState", 3) == "normal", 60)
    assert int(column(lab, "m3", "Incarnation")[3]) > 1


def test_a_member_pauses_and_resumes(lab: Lab) -> None:
    lab.snmp("snmpset", "operator", "m2", name("Operation", 2), "i", PAUSE)
    wait_until(lambda: shown(lab, "m1", "EndpointState", 2) == "paused", 10)
    assert is_silent(lab, "198.18.0.2")
    lab.snmp("snmpset", "operator", "m2", name("Operation", 2), "i", RESUME)
    wait_until(lambda: shown(lab, "m1", "EndpointState", 2) == "normal", 10)
    assert lease(lab, "198.18.0.2", 2)


def test_mul_and_lease_time_are_set_at_any_member(lab: Lab) -> None:
    instance = f"{format_oid(GROUP['LeaseTime'].oid)}.1"
    mul = f"{format_oid(GROUP['MaxUnpushedLeaseTime'].oid)}.1"
    lab.snmp("snmpset", "operator", "m3", instance, "u", "700", mul, "u", "50")
    for member in ("m1", "m2", "m3"):
        wait_until(
            lambda member=member: "700" in lab.snmp("snmpget", "monitor", member, instance).stdout,
            15,
        )
    status = json.loads(lab.run("lab", "status", "--json").stdout)["group"]
    assert (status["lease_s"], status["mul_s"]) == (700, 50)


def test_a_weight_is_set_at_any_member_and_the_shares_follow(lab: Lab) -> None:
    """What is above the new share is given back. (Whether the others may poll for it at once
    depends on who died lately; tests/sync/test_poll.py has that.)"""
    lab.snmp("snmpset", "operator", "m3", name("Weight", 1), "u", "20")
    wait_until(lambda: part_of_pool(lab, "m2") < 0.06, 60)
    assert column(lab, "m2", "Weight")[1] == "20"
    lab.snmp("snmpset", "operator", "m2", name("Weight", 1), "u", "1")
    wait_until(lambda: column(lab, "m1", "Weight")[1] == "1", 10)
