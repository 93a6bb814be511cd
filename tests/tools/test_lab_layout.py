"""Names, addresses and files of the lab, as the contract in the documentation has them."""

from __future__ import annotations

import pytest

from tools.errors import ToolError
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
