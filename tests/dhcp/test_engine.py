"""One batch, one transaction: order, repetition, and a store that does not commit."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.dhcp.packet import MessageType, Received
from agent.kinds.scope import GLOBAL
from agent.limits import COMMIT_SLOW_MS, OFFER_HOLD_S
from agent.model import BindingState, Option, Pool
from tests.dhcp.world import (
    CONFIGURATION,
    FIRST,
    LAST,
    ME,
    NOW,
    RELAY,
    A,
    Client,
    Said,
    World,
    bindable,
    peer_row,
)

ACK = MessageType.ACK


def test_a_batch_is_one_change_per_address_and_every_reply() -> None:
    world = World()
    clients = [Client(n) for n in range(1, 41)]
    offers = world.say(*(c.discover() for c in clients))
    assert len({o.address for o in offers}) == 40
    acks = world.say(*(c.select(o) for c, o in zip(clients, offers, strict=True)))
    assert [a.address for a in acks] == [o.address for o in offers]
    assert world.server.committed == 1
    assert world.server.counters() == {
        "discovers": 40,
        "offers": 40,
        "requests": 40,
        "acks": 40,
    }


def test_a_retransmission_in_one_batch_is_answered_alike() -> None:
    world = World()
    first, again = world.say(Client(1).discover(), Client(1).discover())
    assert first.address == again.address
    message = Client(1).select(first)
    one, two = world.say(message, message)
    assert one.reply == two.reply
    row = world.known(first.address)
    assert row.grant == 1
    with world.store.read() as tx:
        assert len(tx.changes(row.stream, 0, 1000)) == row.seq


def test_two_clients_that_select_one_address_in_one_batch() -> None:
    world = World()
    offer = world.one(Client(1).discover())
    one, two = world.say(Client(1).select(offer), Client(2).select(offer))
    assert one.kind is ACK
    assert two.kind is MessageType.NAK
    assert world.known(offer.address).client_key == Client(1).key


def test_release_then_discover_in_one_batch_are_handled_in_order() -> None:
    world = World()
    address = world.bind(Client(1))
    (offer,) = world.say(Client(1).release(address), Client(1).discover())
    assert offer.address == address
    assert world.known(address).state is BindingState.RELEASED


def test_renew_then_release_leave_the_release() -> None:
    world = World()
    address = world.bind(Client(1))
    (ack,) = world.say(Client(1).renew(address), Client(1).release(address))
    assert ack.kind is ACK
    row = world.known(address)
    assert (row.state, row.grant) == (BindingState.RELEASED, 2)


def test_no_reply_of_a_batch_leaves_if_its_commit_fails() -> None:
    world = World()
    offer = world.one(Client(1).discover())
    world.failing.failing = True
    before = world.store.snapshot()
    assert world.say(Client(1).select(offer), Client(2).discover()) == []
    assert world.store.snapshot() == before
    assert world.binding(offer.address) is None
    assert world.server.counters()["store_failed"] == 2
    assert world.server.committed == 0


def test_a_member_that_cannot_commit_offers_nothing_until_it_can() -> None:
    world = World()
    offer = world.one(Client(1).discover())
    world.failing.failing = True
    assert world.say(Client(1).select(offer)) == []
    world.silent(Client(2).discover(), "store_failing")
    world.failing.failing = False
    world.now_ms += 999
    world.silent(Client(2).discover(), "store_failing")  # it is tried once a second
    world.now_ms += 1
    assert world.one(Client(2).discover()).address != offer.address
    ack = world.one(Client(1).select(offer))
    assert (ack.kind, ack.address) == (ACK, offer.address)


def test_the_first_client_after_a_while_is_offered_nothing_that_could_not_be_bound() -> None:
    world = World()
    world.failing.failing = True
    world.silent(Client(1).discover(), "store_failing")
    world.failing.failing = False
    world.now_ms += 1_000
    world.one(Client(1).discover())
    world.failing.failing = True
    world.now_ms += 1_999
    world.one(Client(2).discover())  # it committed a moment ago
    world.now_ms += 1
    world.silent(Client(3).discover(), "store_failing")


def test_what_needs_no_new_word_is_answered_while_the_store_fails() -> None:
    world = World()
    address = world.bind(Client(1))
    world.failing.failing = True
    world.now_ms += 5_000
    world.silent(Client(2).discover(), "store_failing")
    assert world.one(Client(1).inform(address)).kind is ACK
    world.failing.failing = False
    assert world.one(Client(1).renew(address)).kind is ACK
    assert world.one(Client(2).discover()).kind is MessageType.OFFER


def test_a_batch_that_had_nothing_to_write_does_not_say_that_the_store_commits() -> None:
    """SQLite commits an empty transaction on a full disk."""
    world = World(commits_nothing=True)
    world.failing.failing = True
    world.silent(Client(1).discover(), "store_failing")
    world.now_ms += 500
    world.silent(Client(2).renew(FIRST), "")
    world.silent(Client(1).discover(), "store_failing")
    assert len(world.server.take_alarms()) == 1


def test_a_store_that_commits_too_late_is_offered_from_no_more() -> None:
    world = World()
    offer = world.one(Client(1).discover())
    world.server.note_pace(COMMIT_SLOW_MS)
    world.server.note_pace(COMMIT_SLOW_MS + 1)
    world.silent(Client(2).discover(), "store_slow")
    assert world.one(Client(1).select(offer)).kind is ACK
    world.server.note_pace(COMMIT_SLOW_MS - 1)
    assert world.one(Client(2).discover()).kind is MessageType.OFFER
    slow, fast = world.server.take_alarms()
    assert slow.startswith(f"the store takes {COMMIT_SLOW_MS} ms for a commit, nothing is offered")
    assert fast == "the store commits in time again, clients are offered addresses"


def test_an_address_whose_commit_failed_is_free_again() -> None:
    world = World(ranges=[bindable(FIRST, FIRST + 3)])
    first = world.one(Client(1).discover())
    offer = world.one(Client(2).discover())
    world.restart()  # offers are forgotten, clients are not
    assert world.one(Client(1).discover()).address == first.address
    world.failing.failing = True
    assert world.say(Client(2).select(offer)) == []
    world.failing.failing = False
    world.now_ms += 1_000
    offered = {world.one(Client(number).discover()).address for number in (3, 4, 5)}
    assert offered == {FIRST, FIRST + 1, FIRST + 2, FIRST + 3} - {first.address}
    world.silent(Client(6).discover(), "no_free_address")


def test_the_operator_hears_of_a_failing_store_once_and_of_its_end() -> None:
    world = World()
    offer = world.one(Client(1).discover())
    world.failing.failing = True
    world.say(Client(1).select(offer))
    world.say(Client(2).discover())
    world.say(Client(1).select(offer))
    alarms = world.server.take_alarms()
    assert alarms == ["the store fails, nothing is offered or acknowledged: disk full"]
    world.failing.failing = False
    world.one(Client(1).select(offer))
    world.one(Client(1).renew(offer.address))
    assert world.server.take_alarms() == [
        "the store commits again, clients are offered and given addresses"
    ]


def test_a_store_that_fails_in_turns_is_not_told_of_each_time() -> None:
    world = World()
    offer = world.one(Client(1).discover())
    for _ in range(20):
        world.failing.failing = True
        world.say(Client(1).select(offer))
        world.failing.failing = False
        world.one(Client(1).select(offer))
        world.now_ms += 1_000
    assert len(world.server.take_alarms()) == 4, "every ten seconds that it fails, and its end"
    world.failing.failing = True
    world.say(Client(1).select(offer))
    assert len(world.server.take_alarms()) == 1, "what lasts is told"


def test_a_crash_after_the_commit_keeps_every_promise() -> None:
    world = World()
    offer = world.one(Client(1).discover())
    ack = world.one(Client(1).select(offer))
    world.restart()
    assert world.known(ack.address).expires_at >= world.now + ack.lease_s
    assert world.one(Client(2).discover()).address != ack.address
    assert world.one(Client(1).reboot(ack.address)).kind is ACK


def test_malformed_datagrams_are_counted_by_reason_and_the_rest_is_served() -> None:
    world = World()
    bad = [Received(data, RELAY, ME, 2) for data in (b"", b"x" * 300)]
    assert len(world.say(bad[0], Client(1).discover(), bad[1])) == 1
    assert world.server.counters() == {
        "discovers": 1,
        "offers": 1,
        "invalids": 2,
        "dropped_truncated": 1,
        "dropped_bad_cookie": 1,
    }


def test_counters_reach_the_store_once() -> None:
    world = World()
    world.one(Client(1).discover())
    world.failing.failing = True
    world.server.flush_counters(world.now_ms, 5)
    world.failing.failing = False
    world.server.flush_counters(world.now_ms, 5)
    world.server.flush_counters(world.now_ms, 5)
    with world.store.read() as tx:
        counters = tx.counters()
    assert counters["discovers"] == counters["offers"] == 1
    assert world.server.counters() == {"store_failed": 1} or counters["store_failed"] == 1


def test_events_are_dhcpd_style_lines() -> None:
    world = World(log_packets=True)
    address = world.bind(Client(1))
    assert address == FIRST
    events = world.server.take_log_lines()
    assert events == [
        "DHCPDISCOVER from 02:00:00:00:00:01 via 198.18.15.1",
        "DHCPOFFER on 198.18.16.0 to 02:00:00:00:00:01 via 198.18.15.1 for 4000 s",
        "DHCPREQUEST for 198.18.16.0 (198.18.0.1) from 02:00:00:00:00:01 via 198.18.15.1",
        "DHCPACK on 198.18.16.0 to 02:00:00:00:00:01 via 198.18.15.1 for 4000 s",
    ]
    assert world.server.take_log_lines() == []


def test_lines_of_what_is_given_back_or_only_asked_are_dhcpds() -> None:
    """The formats of server/dhcp.c of ISC dhcpd 4.4."""
    world = World(log_packets=True)
    client = Client(1, relay=0)
    hardware = "02:00:00:00:00:01"
    offer = world.one(client.discover(o12=b"host-1"))
    world.one(client.select(offer, o12=b"host-1"))
    address = offer.address
    world.say(client.renew(address, o12=b"host-1"))
    world.say(client.inform(A("198.18.15.9")))
    world.say(client.release(address))
    world.say(Client(2).release(address))
    world.say(client.reboot(A("10.0.0.1")))
    assert world.server.take_log_lines() == [
        f"DHCPDISCOVER from {hardware} (host-1) via eth0",
        f"DHCPOFFER on 198.18.16.0 to {hardware} (host-1) via eth0 for 4000 s",
        f"DHCPREQUEST for 198.18.16.0 (198.18.0.1) from {hardware} (host-1) via eth0",
        f"DHCPACK on 198.18.16.0 to {hardware} (host-1) via eth0 for 4000 s",
        f"DHCPREQUEST for 198.18.16.0 from {hardware} (host-1) via eth0",
        f"DHCPACK on 198.18.16.0 to {hardware} (host-1) via eth0 for 4000 s",
        "DHCPINFORM from 198.18.15.9 via eth0",
        f"DHCPACK to 198.18.15.9 ({hardware}) via eth0",
        f"DHCPRELEASE of 198.18.16.0 from {hardware} (host-1) via eth0 (found)",
        "DHCPRELEASE of 198.18.16.0 from 02:00:00:00:00:02 via eth0 (not found)",
        f"DHCPREQUEST for 10.0.0.1 from {hardware} via eth0: wrong_network",
        f"DHCPNAK on 10.0.0.1 to {hardware} via eth0",
    ]


def test_lines_of_declines_and_of_an_empty_pool_are_dhcpds() -> None:
    world = World(
        rows=[CONFIGURATION[0], Pool(FIRST, FIRST + 1)],
        ranges=[bindable(FIRST, FIRST + 1)],
        log_packets=True,
    )
    client = Client(1, relay=0)
    for _ in range(2):
        address = world.bind(client)
        world.say(client.decline(address))
    world.say(Client(2).decline(address), Client(2, relay=0).discover(o12=b"a\nb"))
    lines = [
        line for line in world.server.take_log_lines() if "DECLINE" in line or "no free" in line
    ]
    assert lines == [
        "DHCPDECLINE of 198.18.16.0 from 02:00:00:00:00:01 via eth0: abandoned",
        "DHCPDECLINE of 198.18.16.1 from 02:00:00:00:00:01 via eth0: ignored",
        "DHCPDECLINE of 198.18.16.1 from 02:00:00:00:00:02 via 198.18.15.1: not found",
        "DHCPDISCOVER from 02:00:00:00:00:02 (Hostname Unsuitable for Printing) via eth0: "
        "network 198.18.0.0/15: no free leases",
    ]


def test_a_client_without_a_hardware_address_has_a_line_too() -> None:
    world = World(log_packets=True)
    asked = Client(1, relay=0, identifier=b"name").discover()
    data = asked.data[:2] + b"\0" + asked.data[3:]
    world.say(asked._replace(data=data))
    assert world.server.take_log_lines() == [
        "DHCPDISCOVER from 6e:61:6d:65 via eth0",
        "DHCPOFFER on 198.18.16.0 to 6e:61:6d:65 via eth0 for 4000 s",
    ]


def test_a_pool_is_given_out_whole_across_chunks_ranges_and_restarts() -> None:
    holes = [bindable(FIRST, FIRST + 20), bindable(FIRST + 30, FIRST + 60, 3), bindable(LAST, LAST)]
    world = World(ranges=holes)
    free = {a for r in holes for a in range(r.first, r.last + 1)}
    given_out = set()
    for number in range(1, len(free) + 1):
        if number % 10 == 0:
            world.restart()
        given_out.add(world.bind(Client(number)))
    assert given_out == free
    world.silent(Client(999).discover(), "no_free_address")
    assert world.known(FIRST + 40).epoch == 3


def test_offers_that_lapse_after_an_ownership_change_are_found_again() -> None:
    world = World(ranges=[bindable(FIRST, FIRST)])
    assert world.one(Client(1).discover()).address == FIRST
    world.set_ranges([bindable(FIRST, FIRST)], [bindable(FIRST, FIRST, epoch=2)])
    world.silent(Client(2).discover(), "no_free_address")
    world.wait(OFFER_HOLD_S)
    assert world.one(Client(2).discover()).address == FIRST


def test_an_offer_that_outlives_a_change_of_configuration_is_not_made_twice() -> None:
    world = World(ranges=[bindable(FIRST, FIRST + 1)])
    offer = world.one(Client(1).discover(o50=(FIRST + 1).to_bytes(4, "big")))
    world.configure(Option(*GLOBAL, 42, ME.to_bytes(4, "big")))
    assert world.one(Client(2).discover()).address == FIRST  # reads the range anew
    assert world.one(Client(1).select(offer)).kind is ACK
    world.silent(Client(3).discover(), "no_free_address")


def test_a_clients_own_address_goes_to_nobody_when_its_offer_lapses() -> None:
    world = World(ranges=[bindable(FIRST, FIRST)])
    world.bind(Client(1))
    assert world.one(Client(1).discover()).address == FIRST
    world.wait(OFFER_HOLD_S)
    world.silent(Client(2).discover(), "no_free_address")


def test_an_old_clients_address_in_a_new_range_is_given_to_one_client_only() -> None:
    world = World(members=(1, 2), ranges=[bindable(FIRST, FIRST + 2, epoch=5)])
    world.merge(peer_row(FIRST + 1, Client(1), epoch=1, expires_at=NOW - 50))
    assert world.one(Client(8).discover()).address == FIRST  # reads the others ahead
    own = world.one(Client(1).discover())
    assert own.address == FIRST + 1
    world.one(Client(1).select(own))
    assert world.one(Client(2).discover()).address == FIRST + 2
    world.silent(Client(3).discover(), "no_free_address")


def test_an_old_clients_address_returns_to_the_stock_when_its_offer_lapses() -> None:
    world = World(members=(1, 2), ranges=[bindable(FIRST, FIRST, epoch=5)])
    world.merge(peer_row(FIRST, Client(1), epoch=1, expires_at=NOW - 50))
    assert world.one(Client(1).discover()).address == FIRST
    world.silent(Client(2).discover(), "no_free_address")
    world.wait(OFFER_HOLD_S)
    assert world.one(Client(2).discover()).address == FIRST


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 4),
            st.sampled_from(
                ["discover", "select", "renew", "rebind", "reboot", "release", "decline", "other"]
            ),
            st.integers(0, 1),
        ),
        max_size=40,
    )
)
def test_no_address_is_ever_held_by_two_clients(steps: list[tuple[int, str, int]]) -> None:
    """Whatever four clients say about six addresses, in whatever batches: what one was told in
    an ACK is recorded for it as long as it lasts, and nobody else is told the same."""
    world = World(ranges=[bindable(FIRST, FIRST + 5)])
    offers: dict[int, Said] = {}
    holds: dict[int, tuple[int, int]] = {}
    batch: list[tuple[int, Received]] = []
    for number, verb, more in steps:
        client = Client(number)
        address = holds.get(number, (FIRST + number, 0))[0]
        if verb in {"select", "other"}:
            if number not in offers:
                continue
            server = ME if verb == "select" else ME + 7
            batch.append((number, client.select(offers[number], server=server)))
        elif verb == "discover":
            batch.append((number, client.discover()))
        else:
            batch.append((number, getattr(client, verb)(address)))
            if verb in {"release", "decline"}:
                holds.pop(number, None)
        if more:
            continue
        for said in world.say(*(received for _, received in batch)):
            who = int.from_bytes(said.reply.data[30:34], "big")
            if said.kind is MessageType.OFFER:
                offers[who] = said
            elif said.kind is ACK:
                holds[who] = (said.address, world.now + said.lease_s)
                others = [a for n, (a, end) in holds.items() if n != who and end > world.now]
                assert said.address not in others
                row = world.known(said.address)
                if row.state is BindingState.BOUND:
                    assert row.client_key == replace(client, number=who).key
        batch = []
        world.wait(1)
