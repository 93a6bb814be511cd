"""Configuration that is changed while a network is cut (docs/seeds.md, 001): what each side's
clients are told, and what stands when the two meet."""

from __future__ import annotations

import pytest

from agent.dhcp import wire
from agent.kinds.scope import subnet_scope
from agent.model import ChangeKind, MemberId, Option
from tests.dhcp.world import Client
from tests.sync.lan import NETWORK
from tests.sync.test_reserved import Site

SCOPE = subnet_scope(NETWORK, 15)
HERE, THERE = b"\xc6\x12\x00\xfc", b"\xc6\x12\x00\xfd"


def set_router(site: Site, at: MemberId, router: bytes) -> None:
    with site.lan.stores[at].write() as tx:
        tx.save_configuration([(Option(*SCOPE, wire.ROUTERS, router), False)])
    site.lan.nodes[at].notice_store_change()


def routers(site: Site, member: MemberId) -> list[bytes]:
    with site.lan.stores[member].read() as tx:
        found = [record.row for record in tx.configuration(ChangeKind.OPTION)]
    return [row.data for row in found if isinstance(row, Option)]


def renewed(site: Site, at: MemberId, address: int) -> bytes | None:
    """The router that the client is told there, as REBINDING asks."""
    ack = site.say(at, CLIENT.rebind(address))
    assert ack is not None
    return ack.options.get(wire.ROUTERS)


CLIENT = Client(7)


def test_an_option_that_was_set_beyond_a_cut_reaches_everybody() -> None:
    site = Site(1, 2, 3)
    address = site.bind(2, CLIENT)
    site.lan.run(1_000)
    site.lan.cut(2)
    site.lan.run(8_000)
    set_router(site, 1, HERE)
    site.lan.run(2_000)
    assert renewed(site, 2, address) is None, "2 cannot know"
    assert renewed(site, 3, address) == HERE
    site.lan.heal()
    site.lan.run(8_000)
    assert [routers(site, member) for member in (1, 2, 3)] == [[HERE]] * 3
    assert renewed(site, 2, address) == HERE


@pytest.mark.parametrize("later", [1, 2])
def test_of_two_values_set_on_both_sides_of_a_cut_one_stands_everywhere(later: int) -> None:
    """By version, then member, whoever was the later one by the clock."""
    site = Site(1, 2, 3)
    site.lan.cut(2)
    site.lan.run(8_000)
    sides = {1: HERE, 2: THERE}
    for at in (3 - later, later):
        set_router(site, at, sides[at])
        site.lan.run(2_000)
    assert routers(site, 3) == [HERE]
    site.lan.heal()
    site.lan.run(8_000)
    assert [routers(site, member) for member in (1, 2, 3)] == [[THERE]] * 3
