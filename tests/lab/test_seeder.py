"""A seeder in a group of real members, and commands that survive the loss of the one they asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.lab.conftest import need
from tests.lab.rig import CLIENT_ADDRESS, DISCOVER, Lab, RelayedClient, wait_until
from tools.lab.layout import Node

CLIENT = Node.parse("c1")
STATIC = "198.18.0.200"
BOOTPTAB = f"""\
.lab:sm=255.254.0.0:gw=198.18.0.254:hd=/tftpboot:
printer.lab.example:tc=.lab:ht=ethernet:\\
    :ha={CLIENT.hardware_address.replace(":", "")}:ip={STATIC}:bf=printer.img:
"""


def dhcpsync(lab: Lab, node: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command inside a node's network, with the lab's credentials."""
    command = (sys.executable, "-m", "tools.main", *words)
    return lab.exec(node, *command, "--credentials", str(lab.root / "credentials.env"))


def test_a_client_gets_the_address_that_a_database_member_published(
    lab: Lab, tmp_path: Path
) -> None:
    need("udhcpc")
    lab.run("lab", "join", "m4", "--role", "database")
    file = tmp_path / "bootptab"
    file.write_text(BOOTPTAB)
    at = ("--address", Node.parse("m4").address)
    plan = json.loads(dhcpsync(lab, "m4", "import", "bootptab", str(file), "--json", *at).stdout)
    assert [step["kind"] for step in plan["steps"]] == ["reservation", "option", "option"]
    again = json.loads(dhcpsync(lab, "m4", "import", "bootptab", str(file), "--json", *at).stdout)
    assert again["steps"] == []
    status = json.loads(dhcpsync(lab, "m4", "status", "--json", *at).stdout)
    assert status["state"] == "publishing"
    assert [(one["name"], one["role"]) for one in status["members"]][-1] == ("m4", "database")

    def published() -> bool:
        listed = lab.snmp("snmpbulkwalk", "monitor", "m1", "-Onx", "1.3.6.1.4.1.32473.67.1.4.4")
        return f".{STATIC} " in listed.stdout

    wait_until(published, 10)
    leased = lab.exec("c1", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "5", "-T", "1")
    assert f"lease of {STATIC} obtained" in leased.stderr
    with lab.address("c1"):
        client = RelayedClient("c1", CLIENT_ADDRESS)
        try:
            assert client.ask(Node.parse("m4").address, bytes(6), {53: bytes((DISCOVER,))}) is None
            offer = client.ask(Node.parse("m1").address, bytes(6), {53: bytes((DISCOVER,))})
            assert offer is not None
        finally:
            client.close()


def test_a_script_with_a_pool_survives_the_loss_of_a_member(lab: Lab) -> None:
    lab.run("lab", "kill", "m1", "--hard")
    with lab.address("c1"):
        words = ("--pool", "198.18.0.1,198.18.0.2", "status", "--json")
        command = (sys.executable, "-m", "tools.main", *words)
        users = ("--credentials", str(lab.root / "credentials.env"))
        done = lab.exec("c1", *command, *users, check=False)
    assert json.loads(done.stdout)["asked"] in (2, 3, 4)
    lab.run("lab", "start", "m1")
