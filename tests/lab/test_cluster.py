"""The cluster under load and faults, as issue and protocol promise it, with real processes.

The tests build on each other's lab but not on each other's results.
"""

from __future__ import annotations

import json
import subprocess

from agent.snmp.oid import Oid
from tests.lab.conftest import need
from tests.lab.rig import ACK, CLIENT_ADDRESS, Lab, RelayedClient, wait_until
from tools.bench.perfdhcp import Report, parse_report
from tools.lab.layout import Node
from tools.manager import Row

MEMBERS = ["m1", "m2", "m3"]


def perfdhcp(lab: Lab, *arguments: str) -> subprocess.Popen[str]:
    return lab.start_exec("c1", "perfdhcp", "-4", "-l", "eth0", "-W", "1000000", *arguments)


def report_of(running: subprocess.Popen[str], seconds: float) -> Report:
    output, _ = running.communicate(timeout=seconds + 60)
    return parse_report(output, seconds)


def address_of(index: Oid) -> str:
    return ".".join(map(str, index))


def _is_of_first_load(row: Row) -> bool:
    hardware_address = row.get("HardwareAddress")
    return isinstance(hardware_address, bytes) and hardware_address[:2] == b"\x00\x0c"


def test_500_clients_a_second_lose_nothing_and_see_no_duplicate(lab: Lab) -> None:
    need("perfdhcp")
    with lab.address("c1"):
        report = report_of(perfdhcp(lab, "-r", "500", "-R", "5000", "-p", "10", "-u"), 10)
    assert report.acks.sent >= 4900
    assert (report.offers.sent, report.acks.sent) == (
        report.offers.received,
        report.acks.received,
    )
    # An offer may be seen twice, to the same client: a member that hears of the binding before it
    # comes to the DISCOVER offers the address that the client already has.
    assert report.non_unique_acks == 0
    table = lab.wait_equal(MEMBERS, 20)
    keys = [(row["HardwareAddress"], row["ClientId"]) for row in table.values()]
    assert len(set(keys)) == len(keys)


def test_a_members_clients_renew_elsewhere_and_it_catches_up(lab: Lab) -> None:
    need("perfdhcp")
    with lab.address("c1"):
        report_of(perfdhcp(lab, "-r", "100", "-R", "400", "-p", "4"), 4)
        lab.wait_equal(MEMBERS, 20)
        # Other clients than before (-b), so that the load goes on while m1 is away.
        load = perfdhcp(lab, "-r", "100", "-R", "1000", "-p", "12", "-b", "mac=00:0d:01:02:03:04")
        wait_until(lambda: len(lab.bindings("m1")) > 450, 10)
        lab.run("lab", "kill", "m1", "--hard")
        served = {
            index: row
            for index, row in lab.bindings("m2").items()
            if row.get("TransactionServer") == 1 and _is_of_first_load(row)
        }
        assert served
        load.communicate(timeout=60)
        client = RelayedClient("c1", CLIENT_ADDRESS)
        try:
            for number, (index, row) in enumerate(served.items()):
                server = ("198.18.0.2", "198.18.0.3")[number % 2]
                hardware_address, client_id = row["HardwareAddress"], row["ClientId"]
                assert isinstance(hardware_address, bytes)
                assert isinstance(client_id, bytes)
                answer = client.rebind(server, hardware_address, client_id, address_of(index))
                assert answer is not None, f"{server} is silent about {address_of(index)}"
                assert (answer.kind, answer.address) == (ACK, address_of(index))
        finally:
            client.close()
        lab.run("lab", "start", "m1")
        table = lab.wait_equal(MEMBERS, 10)
    renewed = {index: table[index]["TransactionServer"] for index in served}
    assert 1 not in renewed.values()


def test_a_binding_given_while_a_link_was_cut_arrives_by_the_third_member(lab: Lab) -> None:
    lab.run("lab", "cut", "m1", "m2")
    with lab.address("c1"):
        client = RelayedClient("c1", CLIENT_ADDRESS)
        try:
            leased = client.lease("198.18.0.1", bytes.fromhex("020000000c01"))
        finally:
            client.close()
    index = tuple(int(part) for part in leased.address.split("."))
    wait_until(lambda: index in lab.bindings("m2"), 20)
    lab.run("lab", "heal")


def test_a_fourth_member_pulls_every_binding_while_clients_are_served(lab: Lab) -> None:
    need("perfdhcp")
    with lab.address("c1"):
        load = perfdhcp(lab, "-r", "200", "-R", "100000", "-p", "15", "-b", "mac=00:0e:01:02:03:04")
        wait_until(lambda: len(lab.bindings("m1")) > 100, 10)
        lab.run("lab", "join", "m4")
        report = report_of(load, 15)
    assert (report.offers.sent, report.acks.sent) == (
        report.offers.received,
        report.acks.received,
    )
    table = lab.wait_equal([*MEMBERS, "m4"], 20)
    assert len(table) > 100
    status = json.loads(lab.run("lab", "status", "--json").stdout)["group"]
    assert [one["name"] for one in status["members"]] == [*MEMBERS, "m4"]
    with lab.address("c1"):
        client = RelayedClient("c1", CLIENT_ADDRESS)
        try:
            assert client.lease(Node.parse("m4").address, bytes(6)).server == "198.18.0.4"
        finally:
            client.close()
