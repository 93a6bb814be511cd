"""A lease on an address that is in no pool any more: it runs out, or its client moves by a NAK."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.dhcp.packet import MessageType
from agent.kinds.subnet import OutsidePolicy
from agent.model import BindingState, Pool, Reservation, Subnet
from tests.dhcp.world import FIRST, LEASE, NOW, A, Client, World, bindable, peer_row

LAN = Subnet(A("198.18.0.0"), 15, outside=OutsidePolicy.NAK)
OLD, NEW = Pool(FIRST, FIRST), Pool(FIRST + 1, FIRST + 1)
FORMS = ["renew", "rebind", "reboot"]
CLIENT = Client(1)


def moved_world(subnet: Subnet = LAN, *, probing: bool = False) -> World:
    """`CLIENT` has a lease of what was a pool, and there is another one now."""
    ranges = [bindable(FIRST, FIRST + 1)]
    world = World(rows=[subnet, OLD], ranges=ranges, probing=probing)
    assert world.bind(CLIENT) == FIRST
    world.configure(OLD, deleted=True)
    world.configure(NEW)
    return world


@pytest.mark.parametrize("form", FORMS)
def test_its_client_is_told_nak_and_begins_anew(form: str) -> None:
    world = moved_world()
    assert world.one(getattr(CLIENT, form)(FIRST)).kind is MessageType.NAK
    assert world.known(FIRST).is_live(world.now), "others count on what is recorded"
    offer = world.one(CLIENT.discover())
    assert offer.address == FIRST + 1
    assert world.one(CLIENT.select(offer)).kind is MessageType.ACK


@pytest.mark.parametrize("form", FORMS)
def test_it_is_left_alone_where_the_lease_runs_out(form: str) -> None:
    world = moved_world(replace(LAN, outside=OutsidePolicy.RUN_OUT))
    world.silent(getattr(CLIENT, form)(FIRST), "not_in_pool")


@pytest.mark.parametrize("form", FORMS)
def test_it_is_left_alone_while_no_other_address_is_free(form: str) -> None:
    world = moved_world()
    assert world.bind(Client(2)) == FIRST + 1
    world.silent(getattr(CLIENT, form)(FIRST), "not_in_pool")


def test_to_be_asked_whether_one_is_free_takes_none() -> None:
    world = moved_world()
    for _ in range(3):
        assert world.one(CLIENT.renew(FIRST)).kind is MessageType.NAK
    assert world.one(Client(2).discover()).address == FIRST + 1
    world.silent(CLIENT.renew(FIRST), "not_in_pool")


def test_one_that_has_to_be_tried_first_is_free_when_nobody_answered() -> None:
    world = moved_world(probing=True)
    world.merge(peer_row(FIRST + 1, Client(9), epoch=0, expires_at=NOW - 10))
    world.silent(CLIENT.renew(FIRST), "not_in_pool")
    world.probe()
    assert world.one(CLIENT.renew(FIRST)).kind is MessageType.NAK
    assert world.one(CLIENT.discover()).address == FIRST + 1


@pytest.mark.parametrize("form", FORMS)
def test_of_a_strangers_address_nobody_says_that_it_is_not_good(form: str) -> None:
    """A host with a fixed address, or a client of another server on the link."""
    world = moved_world()
    stranger = Client(5)
    world.silent(getattr(stranger, form)(FIRST), "not_in_pool")
    world.silent(getattr(stranger, form)(FIRST + 100), "not_in_pool")
    world.merge(peer_row(FIRST + 7, stranger, state=BindingState.RELEASED, expires_at=NOW - 10))
    world.silent(getattr(stranger, form)(FIRST + 7), "not_in_pool")


def test_what_is_reserved_for_it_is_renewed() -> None:
    world = moved_world()
    world.configure(Reservation(FIRST, CLIENT.key))
    assert world.one(CLIENT.renew(FIRST)).kind is MessageType.ACK


def test_who_comes_back_after_its_lease_is_told_too() -> None:
    world = moved_world()
    world.wait(LEASE + 1)
    assert world.one(CLIENT.reboot(FIRST)).kind is MessageType.NAK
