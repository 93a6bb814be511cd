"""A member that lost its store, or was set back to a copy of it, comes back by itself."""

from __future__ import annotations

import json

import pytest

from agent.snmp.columns import SERVER
from agent.snmp.oid import format_oid
from tests.lab.rig import CLIENT_ADDRESS, Lab, RelayedClient, wait_until
from tools.lab.compare import differences
from tools.lab.layout import Node

MEMBERS = ["m1", "m2", "m3"]


def lease(lab: Lab, server: str, first: int, count: int) -> None:
    with lab.address("c1"):
        client = RelayedClient("c1", CLIENT_ADDRESS)
        try:
            for number in range(first, first + count):
                client.lease(server, bytes((2, 0, 0, 0, 0x5E, number)))
        finally:
            client.close()


def incarnation(lab: Lab, member: str) -> int:
    name = format_oid(SERVER["dhcpSyncServerIncarnation"].instance)
    return int(lab.snmp("snmpget", "monitor", member, "-Oqv", name).stdout)


def is_well(lab: Lab) -> bool:
    report = json.loads(lab.run("lab", "status", "--json", check=False).stdout)
    return bool(report["group"] and report["group"]["well"])


def test_a_wiped_member_comes_back_with_everything(lab: Lab) -> None:
    lease(lab, "198.18.0.2", 1, 10)
    table = lab.wait_equal(MEMBERS, 10)
    assert len(table) >= 10
    lab.run("lab", "wipe", "m2")
    lab.run("lab", "start", "m2")
    assert incarnation(lab, "m2") > 1
    assert differences(lab.wait_equal(MEMBERS, 10), table) == {}
    wait_until(lambda: is_well(lab), 20)


@pytest.mark.parametrize(("member", "options"), [("m3", ()), ("m1", ("--whole",))])
def test_a_member_set_back_to_a_copy_has_everything_again(
    lab: Lab, member: str, options: tuple[str, ...]
) -> None:
    """Without --whole the member finds it by itself; with it only its peers can tell it."""
    before = incarnation(lab, member)
    lab.run("lab", "copy", member)
    lease(lab, Node.parse(member).address, 100 + 20 * len(options), 10)
    table = lab.wait_equal(MEMBERS, 10)
    lab.run("lab", "rollback", member, *options)
    lab.run("lab", "start", member)
    assert incarnation(lab, member) == before + 1
    assert differences(lab.wait_equal(MEMBERS, 10), table) == {}
    wait_until(lambda: is_well(lab), 20)


def test_a_clean_restart_begins_no_incarnation(lab: Lab) -> None:
    before = incarnation(lab, "m1")
    for hard in ((), ("--hard",)):
        lab.run("lab", "kill", "m1", *hard)
        lab.run("lab", "start", "m1")
        assert incarnation(lab, "m1") == before


def test_a_stepped_wall_clock_is_shown_and_moves_no_lease(lab: Lab) -> None:
    before = lab.wait_equal(MEMBERS, 10)
    lab.run("lab", "clock", "m2", "+3600")

    def offset_ms() -> int:
        group = json.loads(lab.run("lab", "status", "--json", check=False).stdout)["group"]
        return int(next(one["clock_offset_ms"] for one in group["members"] if one["id"] == 2))

    wait_until(lambda: abs(offset_ms() - 3_600_000) < 2_000, 20)
    assert differences(lab.wait_equal(MEMBERS, 10), before) == {}
    log = (lab.root / "m1" / "log").read_text()
    assert "the clock of member 2 is +3600 s from this one" in log
    lab.run("lab", "clock", "m2", "0")
    wait_until(lambda: abs(offset_ms()) < 2_000, 20)
