"""REBINDING without a record (draft 6.5): policy, questions, probes; and NAK (I11)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from agent.dhcp.packet import MessageType
from agent.dhcp.probes import ProbeWish
from agent.limits import (
    DECLINE_HOLD_S,
    DECLINES_PER_CLIENT_MAX,
    ENQUIRIES_MAX,
    ENQUIRY_FRESH_MS,
    HELD_MAX,
    HELD_TRIES,
    HELD_WAIT_MS,
    PROBE_SENDS,
    RELEASE_HOLD_S,
)
from agent.model import (
    AddressRange,
    AddressState,
    BindingState,
    ClaimPolicy,
    Enquiry,
    Nonce,
    Subnet,
    Transaction,
)
from tests.dhcp.world import (
    CONFIGURATION,
    FIRST,
    MUL,
    NOW,
    Client,
    World,
    bindable,
    group_of,
    peer_row,
)

ACK, NAK = MessageType.ACK, MessageType.NAK
NOBODYS = FIRST + 200
"""In the pool, and not this member's."""

OTHER_MACHINE = b"\x02\xff\xff\xff\xff\xff"


def world_with(claims: ClaimPolicy = ClaimPolicy.ACCEPT, members: Iterable[int] = (1, 2)) -> World:
    rows = [
        replace(row, claims=claims) if isinstance(row, Subnet) else row for row in CONFIGURATION
    ]
    return World(members=members, rows=rows, ranges=[bindable(FIRST, FIRST + 99)])


def attached(number: int = 1) -> Client:
    """A client on our own link."""
    return Client(number, relay=0)


def test_the_first_is_silent_while_the_members_are_asked_and_the_address_is_tried() -> None:
    world = world_with()
    client = attached()
    world.silent(client.rebind(NOBODYS), "claim_asked")
    with world.store.read() as tx:
        assert [one.address for one in tx.open_enquiries(10)] == [NOBODYS]
    assert world.probe() == [ProbeWish(NOBODYS, 2)] * PROBE_SENDS
    world.answer(NOBODYS, epoch=7)
    ack = world.one(client.rebind(NOBODYS))
    assert ack.kind is ACK
    assert int.from_bytes(ack.options[51], "big") == MUL
    row = world.known(NOBODYS)
    assert (row.state, row.epoch, row.grant) == (BindingState.BOUND, 8, 1)
    assert row.transaction is Transaction.CLAIM
    world.wait(10)
    assert world.one(client.renew(NOBODYS)).kind is ACK
    assert world.known(NOBODYS).transaction is Transaction.RENEWING


@pytest.mark.parametrize("relayed", [False, True])
def test_what_was_being_found_out_is_answered_without_another_try(relayed: bool) -> None:
    world = world_with()
    client = Client(1) if relayed else attached()
    world.silent(client.rebind(NOBODYS), "claim_asked")
    assert world.again() == []
    world.answer(NOBODYS)
    if not relayed:
        world.probe(own=client.hardware_address)
    else:
        world.now_ms += HELD_WAIT_MS - 1
        assert world.again() == []
        world.now_ms += 1
    (ack,) = world.again()
    assert (ack.kind, ack.address) == (ACK, NOBODYS)
    assert ack.reply.data[4:8] == client.transaction_id.to_bytes(4, "big")
    assert world.known(NOBODYS).transaction is Transaction.CLAIM
    assert not world.server.is_holding
    world.wait(60)
    assert world.again() == []
    counted = world.server.counters()
    assert (counted["requests"], counted["acks"]) == (1, 1)


def test_it_is_handled_anew_only_so_often_and_then_the_client_asks_again() -> None:
    world = world_with()
    client = Client(1)
    world.silent(client.rebind(NOBODYS), "claim_asked")
    for _ in range(HELD_TRIES):
        assert world.server.is_holding
        world.now_ms += HELD_WAIT_MS
        assert world.again() == []
    assert world.server.counters()["dropped_claim_asked"] == 1 + HELD_TRIES
    world.now_ms += HELD_WAIT_MS
    assert world.again() == []
    assert not world.server.is_holding
    world.answer(NOBODYS)
    assert world.one(client.rebind(NOBODYS)).kind is ACK


def test_a_client_that_asks_again_meanwhile_is_answered_once() -> None:
    world = world_with()
    client = Client(1)
    world.silent(client.rebind(NOBODYS), "claim_asked")
    world.silent(client.rebind(NOBODYS), "claim_asked")
    world.answer(NOBODYS)
    assert world.one(client.rebind(NOBODYS)).kind is ACK
    world.now_ms += HELD_WAIT_MS
    assert world.again() == []
    assert world.known(NOBODYS).grant == 1


def test_a_no_that_is_found_out_ends_the_waiting() -> None:
    world = world_with()
    world.silent(Client(1).rebind(NOBODYS), "claim_asked")
    world.answer(NOBODYS, free=False)
    world.now_ms += HELD_WAIT_MS
    assert world.again() == []
    assert world.server.counters()["dropped_known_elsewhere"] == 1
    assert not world.server.is_holding


def test_no_more_wait_than_may_be_asked_about() -> None:
    world = world_with()
    rebinding = [Client(n).rebind(NOBODYS + n % 8) for n in range(HELD_MAX + 5)]
    assert world.say(*rebinding) == []
    for address in range(NOBODYS, NOBODYS + 8):
        world.answer(address)
    world.now_ms += HELD_WAIT_MS
    assert len(world.again()) == 8, "one client an address"
    assert world.server.counters()["dropped_claim_asked"] == HELD_MAX + 5


def test_a_store_that_fails_leaves_it_to_the_client() -> None:
    world = world_with()
    client = Client(1)
    world.silent(client.rebind(NOBODYS), "claim_asked")
    world.answer(NOBODYS)
    world.failing.failing = True
    world.now_ms += HELD_WAIT_MS
    assert world.again() == []
    assert world.binding(NOBODYS) is None
    world.failing.failing = False
    assert world.one(client.rebind(NOBODYS)).kind is ACK


def test_the_engine_wakes_the_agent_when_it_asks() -> None:
    world = world_with()
    before = world.server.committed
    world.silent(attached().rebind(NOBODYS), "claim_asked")
    assert world.server.committed == before + 1


def test_a_client_that_answers_for_its_own_address_is_believed() -> None:
    world = world_with()
    client = attached()
    world.silent(client.rebind(NOBODYS), "claim_asked")
    world.probe(own=client.hardware_address)
    world.answer(NOBODYS)
    assert world.one(client.rebind(NOBODYS)).kind is ACK


def test_an_answer_from_another_machine_means_silence_and_unavailable() -> None:
    world = world_with()
    client = attached()
    world.silent(client.rebind(NOBODYS), "claim_asked")
    world.probe(own=client.hardware_address, other=OTHER_MACHINE)
    world.answer(NOBODYS, epoch=3)
    world.silent(client.rebind(NOBODYS), "answered_by_other")
    row = world.known(NOBODYS)
    assert (row.state, row.transaction) == (BindingState.UNAVAILABLE, Transaction.PROBE)
    assert (row.hardware_address, row.epoch) == (OTHER_MACHINE, 4)
    assert row.expires_at == world.now + DECLINE_HOLD_S
    world.silent(client.rebind(NOBODYS))


def test_an_answer_from_a_stranger_does_not_beat_what_another_member_knows() -> None:
    world = world_with()
    client = attached()
    world.silent(client.rebind(NOBODYS), "claim_asked")
    world.probe(other=OTHER_MACHINE)
    world.answer(NOBODYS, free=False, epoch=4)
    world.silent(client.rebind(NOBODYS), "known_elsewhere")
    assert world.binding(NOBODYS) is None


def test_nor_what_a_silent_member_may_know() -> None:
    world = world_with()
    client = attached()
    world.silent(client.rebind(NOBODYS), "claim_asked")
    world.probe(other=OTHER_MACHINE)
    world.answer(NOBODYS, complete=False)
    world.silent(client.rebind(NOBODYS), "answered_by_other")
    assert world.binding(NOBODYS) is None


def test_one_machine_that_answers_for_everything_is_capped() -> None:
    world = world_with()
    for number in range(DECLINES_PER_CLIENT_MAX + 1):
        address = NOBODYS + number
        client = attached(number + 1)
        world.silent(client.rebind(address), "claim_asked")
        world.probe(other=OTHER_MACHINE)
        world.answer(address)
        world.silent(client.rebind(address), "answered_by_other")
    assert world.binding(NOBODYS + DECLINES_PER_CLIENT_MAX - 1) is not None
    assert world.binding(NOBODYS + DECLINES_PER_CLIENT_MAX) is None


def test_a_claim_is_above_what_was_owned_in_an_earlier_generation() -> None:
    world = world_with()
    with world.store.write() as tx:
        tx.put_group(replace(group_of(1, 2), generation=3))
    client = Client(1)
    world.silent(client.rebind(NOBODYS), "claim_asked")
    world.answer(NOBODYS, epoch=7)
    assert world.one(client.rebind(NOBODYS)).kind is ACK
    assert world.known(NOBODYS).epoch == (2 << 32) + 1


def test_through_a_relay_nothing_is_tried_because_the_client_itself_would_answer() -> None:
    world = world_with()
    client = Client(1)
    world.silent(client.rebind(NOBODYS), "claim_asked")
    assert not world.server.probes.is_busy
    world.answer(NOBODYS)
    assert world.one(client.rebind(NOBODYS)).kind is ACK


def test_what_another_member_knows_means_silence() -> None:
    world = world_with()
    client = Client(1)
    world.silent(client.rebind(NOBODYS), "claim_asked")
    world.answer(NOBODYS, free=False)
    world.silent(client.rebind(NOBODYS), "known_elsewhere")


def test_an_old_answer_is_asked_for_anew() -> None:
    world = world_with()
    client = Client(1)
    world.silent(client.rebind(NOBODYS), "claim_asked")
    world.answer(NOBODYS)
    world.wait(ENQUIRY_FRESH_MS / 1000 + 1)
    world.silent(client.rebind(NOBODYS), "claim_asked")
    world.silent(client.rebind(NOBODYS), "claim_asked")
    world.answer(NOBODYS)
    assert world.one(client.rebind(NOBODYS)).kind is ACK


def test_a_member_that_did_not_answer_must_be_one_of_which_nothing_is_heard() -> None:
    world = world_with()
    client = Client(1)
    world.silent(client.rebind(NOBODYS), "claim_asked")
    world.answer(NOBODYS, complete=False)
    world.silent(client.rebind(NOBODYS), "claim_asked")
    with world.store.write() as tx:
        tx.set_silent_members({2})
    assert world.one(client.rebind(NOBODYS)).kind is ACK


def test_a_silent_member_may_have_extended_the_lease_of_a_former_client() -> None:
    world = world_with()
    world.merge(peer_row(NOBODYS, Client(2), expires_at=NOW - 100))
    with world.store.write() as tx:
        tx.set_silent_members({2})
    client = Client(1)
    world.silent(client.rebind(NOBODYS), "claim_asked")
    world.answer(NOBODYS, complete=False)
    world.silent(client.rebind(NOBODYS), "bound_to_other")
    world.wait(world.known(NOBODYS).potential_expires_at + MUL + 10 - world.now)
    world.silent(client.rebind(NOBODYS), "claim_asked")
    world.answer(NOBODYS, complete=False)
    assert world.one(client.rebind(NOBODYS)).kind is ACK
    assert world.known(NOBODYS).epoch == 2


@pytest.mark.parametrize("state", [BindingState.BOUND, BindingState.RELEASED])
def test_a_record_of_another_client_is_in_the_way_until_it_is_dead(state: BindingState) -> None:
    world = world_with()
    row = peer_row(NOBODYS, Client(2), state=state, expires_at=NOW - 1)
    world.merge(row._replace(transaction_at=NOW - 1))
    client = Client(1)
    world.silent(client.rebind(NOBODYS), "bound_to_other")
    world.wait(RELEASE_HOLD_S)
    world.silent(client.rebind(NOBODYS), "claim_asked")


@pytest.mark.parametrize(
    "state", [AddressState.POLLING, AddressState.PROMISED, AddressState.TRANSFERRING]
)
def test_a_promise_says_otherwise(state: AddressState) -> None:
    world = world_with()
    world.set_ranges([], [AddressRange(NOBODYS, NOBODYS, state, 5, 2, Nonce(1, 1), 1)])
    world.silent(Client(1).rebind(NOBODYS), "promised_to_other")
    with world.store.read() as tx:
        assert tx.count_enquiries() == 0


def test_policy_deny() -> None:
    world = world_with(ClaimPolicy.DENY)
    world.silent(Client(1).rebind(NOBODYS), "claim_denied")
    with world.store.read() as tx:
        assert tx.count_enquiries() == 0


def test_policy_known_only() -> None:
    world = world_with(ClaimPolicy.KNOWN_ONLY)
    world.silent(Client(1).rebind(NOBODYS), "claim_denied")
    world.merge(peer_row(FIRST + 210, Client(1), expires_at=NOW - 5000))
    world.silent(Client(1).rebind(NOBODYS), "claim_asked")
    world.answer(NOBODYS)
    assert world.one(Client(1).rebind(NOBODYS)).kind is ACK


@pytest.mark.parametrize("form", ["renew", "reboot"])
def test_only_a_client_in_rebinding_is_believed(form: str) -> None:
    world = world_with()
    client = Client(1)
    world.silent(getattr(client, form)(NOBODYS), "unknown_binding")
    with world.store.read() as tx:
        assert tx.count_enquiries() == 0


def test_the_servers_own_addresses_are_nobodys() -> None:
    world = world_with()
    member = FIRST + 150
    group = None
    with world.store.read() as tx:
        group = tx.group()
    assert group is not None
    members = (replace(group.members[0], address=member), *group.members[1:])
    with world.store.write() as tx:
        tx.put_group(replace(group, members=members))
    world.silent(Client(1).rebind(member), "server_address")


def test_made_up_claims_ask_about_so_many_addresses_and_no_more() -> None:
    world = world_with()
    with world.store.write() as tx:
        tx.put_enquiries([Enquiry(n, world.now_ms) for n in range(ENQUIRIES_MAX)])
    world.silent(Client(1).rebind(NOBODYS), "claim_asked")
    with world.store.read() as tx:
        assert tx.enquiry(NOBODYS) is None


# --- NAK


def others_lease(members: Iterable[int] = (1, 2)) -> World:
    world = world_with(members=members)
    world.merge(peer_row(NOBODYS, Client(2), expires_at=NOW + 1000))
    return world


@pytest.mark.parametrize("form", ["reboot", "renew", "rebind"])
def test_nak_when_every_member_says_that_the_address_is_anothers(form: str) -> None:
    world = others_lease()
    message = getattr(Client(1), form)(NOBODYS)
    world.silent(message, "bound_to_other")
    world.answer(NOBODYS, free=False)
    assert world.one(message).kind is NAK


@pytest.mark.parametrize(
    ("said", "silent"),
    [({"free": False, "complete": False}, ()), ({"free": True}, ()), ({"free": False}, (2,))],
)
def test_no_nak_while_anybody_may_know_better(said: dict[str, object], silent: list[int]) -> None:
    world = others_lease()
    world.silent(Client(1).reboot(NOBODYS), "bound_to_other")
    world.answer(NOBODYS, **said)
    with world.store.write() as tx:
        tx.set_silent_members(silent)
    world.silent(Client(1).reboot(NOBODYS), "bound_to_other")


def test_no_nak_from_an_old_answer_nor_about_a_lease_that_is_over() -> None:
    world = others_lease()
    world.silent(Client(1).reboot(NOBODYS), "bound_to_other")
    world.answer(NOBODYS, free=False)
    world.wait(ENQUIRY_FRESH_MS / 1000 + 1)
    world.silent(Client(1).reboot(NOBODYS), "bound_to_other")
    world.answer(NOBODYS, free=False)
    world.wait(1000)
    world.silent(Client(1).reboot(NOBODYS))


def test_a_member_alone_needs_to_ask_nobody_to_say_nak() -> None:
    world = World()
    address = world.bind(Client(1))
    assert world.one(Client(2).reboot(address)).kind is NAK
