"""Names, addresses and files of the lab, as the contract in the documentation has them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools.errors import ToolError
from tools.lab.demo import own_command
from tools.lab.lab import remove_files
from tools.lab.layout import LabState, Node


def test_members_and_clients_have_their_namespaces_and_addresses() -> None:
    member, client = Node.parse("m3"), Node.parse("c12")
    assert (member.namespace, member.address) == ("dhcpsync-m3", "198.18.0.3")
    assert client.namespace == "dhcpsync-c12"
    macs = {Node(kind, n).hardware_address for kind in "mc" for n in range(1, 17)}
    assert len(macs) == 32
    assert all(int(mac[:2], 16) & 3 == 2 for mac in macs)  # unicast, locally administered


@pytest.mark.parametrize("name", ["", "m", "m0", "m01", "m17", "c65", "x1", "m1 ", "M1", "m-1"])
def test_anything_else_is_no_node(name: str) -> None:
    with pytest.raises(ToolError, match="names nothing in a lab"):
        Node.parse(name)


def test_state_survives_being_written() -> None:
    state = LabState("/x", True, ("m1", "m2"), ("c1",), 3600, 600)
    state = state.with_member(Node.parse("m3")).with_cut(Node.parse("m1"), Node.parse("m2"), False)
    assert LabState.parse(state.render()) == state
    assert state.cuts == (("m1", "m2"), ("m2", "m1"))


def test_a_cut_is_a_direction_and_is_there_once() -> None:
    one, two = Node.parse("m1"), Node.parse("m2")
    state = LabState("/x", True, ("m1", "m2")).with_cut(one, two, True)
    assert state.cuts == (("m1", "m2"),)
    assert state.with_cut(one, two, False).cuts == (("m1", "m2"), ("m2", "m1"))


def test_a_node_that_is_not_there_is_named_with_those_that_are() -> None:
    state = LabState("/x", True, ("m1",), ("c1",))
    with pytest.raises(ToolError, match="m2 is not in this lab, which has m1, c1"):
        state.require(Node.parse("m2"))


@pytest.mark.parametrize("made_root", [True, False])
def test_a_root_that_was_made_for_the_lab_goes_with_it(tmp_path: Path, made_root: bool) -> None:
    """As `make demo KEEP=1` leaves it: clients' folders hold what the demo put there."""
    root = tmp_path / "dhcpsync-demo-x"
    state = LabState(str(root), made_root, ("m1",), ("c1", "c2"))
    for node in state.nodes():
        state.folder(node).mkdir(parents=True)
        (state.folder(node) / "log").write_text("x")
    for file in (state.credentials, root / "lab.json"):
        file.write_text("x")
    remove_files(state)
    assert root.exists() is not made_root
    if not made_root:
        assert list(root.iterdir()) == []


def test_a_command_to_be_typed_again_is_one_that_is_there() -> None:
    assert own_command("/x/.venv/bin/dhcpsync") == "/x/.venv/bin/dhcpsync"
    assert own_command(".venv/bin/dhcpsync") == str(Path.cwd() / ".venv/bin/dhcpsync")
    assert own_command("/x/tools/main.py") == f"{sys.executable} -m tools.main"
