"""The lab itself: names, addresses, cuts, and that nothing is left behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.lab.conftest import why_not
from tests.lab.rig import Lab
from tools.errors import ToolError
from tools.lab import lab as verbs
from tools.lab import network, process
from tools.lab.layout import POINTER, Node, load_state
from tools.status import read_status


def test_names_and_addresses_are_those_of_the_contract(lab: Lab) -> None:
    assert network.namespaces() == [
        f"dhcpsync-{name}" for name in ("c1", "c2", "lan", "m1", "m2", "m3")
    ]
    shown = lab.exec("m2", "ip", "-br", "-4", "addr", "show", "eth0").stdout
    assert "198.18.0.2/15" in shown
    assert lab.exec("c1", "ip", "-4", "addr", "show", "eth0").stdout == ""
    assert "UP" in lab.exec("c1", "ip", "-br", "link", "show", "eth0").stdout
    assert set(lab.credentials()) >= {
        f"{role}_{part}" for role in ("OPERATOR", "MONITOR") for part in ("USER", "AUTH", "PRIV")
    }


def test_every_member_serves_and_owns_addresses_when_up_returns(lab: Lab) -> None:
    report = json.loads(lab.run("lab", "status", "--json").stdout)
    assert [(one["name"], one["running"]) for one in report["members"]] == [
        ("m1", True),
        ("m2", True),
        ("m3", True),
    ]
    group = report["group"]
    assert group["well"]
    assert [one["address"] for one in group["members"]] == [f"198.18.0.{n}" for n in (1, 2, 3)]
    (pool,) = group["pools"]
    assert (pool["first"], pool["last"]) == ("198.18.16.0", "198.19.255.254")
    for number in (1, 2, 3):
        node = Node("m", number)
        status = read_status(verbs.target(load_state(), node, "monitor"))
        assert status.pools[0].free > 1000


def test_a_second_lab_is_refused(lab: Lab, tmp_path: Path) -> None:
    done = lab.run("lab", "up", "--root", str(tmp_path / "x"), check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "dhcpsync: a lab is up already, or was left behind: `dhcpsync lab down` ends it\n"
    )
    assert not (tmp_path / "x").exists()


def test_exec_passes_the_exit_code_on(lab: Lab) -> None:
    assert lab.exec("m1", "sh", "-c", "exit 7", check=False).returncode == 7
    done = lab.exec("c1", "no-such-program", check=False)
    assert (done.returncode, done.stderr) == (1, "dhcpsync: no-such-program: no such command\n")


def test_a_cut_stops_both_ways_and_heal_undoes_it(lab: Lab) -> None:
    ping = ("ping", "-q", "-c", "1", "-W", "1")
    lab.run("lab", "cut", "m1", "m2")
    assert lab.exec("m1", *ping, "198.18.0.2", check=False).returncode == 1
    assert lab.exec("m3", *ping, "198.18.0.2", check=False).returncode == 0
    lab.run("lab", "heal")
    assert lab.exec("m1", *ping, "198.18.0.2", check=False).returncode == 0


def test_a_cut_can_be_one_way(lab: Lab) -> None:
    lab.run("lab", "cut", "m1", "m2", "--one-way")
    assert load_state().cuts == (("m1", "m2"),)
    counted = network.run("ip", "netns", "exec", "dhcpsync-lan", "nft", "list", "ruleset")
    assert 'iifname "m1" oifname "m2"' in counted
    assert 'iifname "m2" oifname "m1"' not in counted


def test_a_client_changes_nothing_of_the_host(lab: Lab) -> None:
    before = Path("/etc/resolv.conf").read_bytes()
    name = os.uname().nodename
    lab.exec("c1", "sh", "-c", "echo nameserver 192.0.2.1 >/etc/resolv.conf; hostname other")
    lab.exec("c1", "sh", "-c", "touch /run/dhclient.pid /etc/new")
    assert Path("/etc/resolv.conf").read_bytes() == before
    assert os.uname().nodename == name
    assert not Path("/etc/new").exists()
    # What a client keeps at run time is there for the next command in its namespace.
    assert lab.exec("c1", "ls", "/run/dhclient.pid").returncode == 0
    assert lab.exec("c2", "ls", "/run/dhclient.pid", check=False).returncode != 0


def test_what_is_not_running_cannot_be_killed(lab: Lab) -> None:
    lab.run("lab", "kill", "m3", "--hard")
    done = lab.run("lab", "kill", "m3", check=False)
    assert (done.returncode, done.stderr) == (1, "dhcpsync: m3 is not running\n")
    lab.run("lab", "start", "m3")
    done = lab.run("lab", "start", "m3", check=False)
    assert (done.returncode, done.stderr) == (1, "dhcpsync: m3 is running already\n")


# The tests below end the module's lab, so they come last.


def test_down_leaves_nothing(lab: Lab) -> None:
    state = load_state()
    members = [process.find(state.path / name) for name in state.members]
    assert all(members)
    lab.run("lab", "down")
    assert network.namespaces() == []
    assert not POINTER.exists()
    assert list(lab.root.iterdir()) == []
    assert not any(member.is_running() for member in members if member)
    assert lab.run("lab", "down").returncode == 0


def test_down_clears_away_what_a_crash_left(lab: Lab) -> None:
    if reason := why_not():
        pytest.skip(reason)
    network.make_bridge()
    network.add_node(Node.parse("m1"))
    with pytest.raises(ToolError, match="left behind"):
        verbs.up(1, 0, lab.root, 60, 60, lambda _line: None)
    lab.run("lab", "down")
    assert network.namespaces() == []


def test_an_up_that_fails_takes_back_what_it_made(lab: Lab, tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    (tmp_path / "used").write_text("")
    with pytest.raises(ToolError, match="is in use"):
        verbs.up(1, 0, tmp_path, 60, 60, lambda _line: None)
    assert (tmp_path / "used").exists()
    assert not POINTER.exists()
