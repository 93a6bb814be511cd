"""The octets of replies and whereto they go (RFC 2131 4.1, 4.3.1, RFC 2132, 3046, 3442, 6842)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.dhcp import wire
from agent.dhcp.packet import Interface, MessageType
from agent.dhcp.reply import Template, _spill
from agent.kinds.scope import GLOBAL, host_scope, subnet_scope
from agent.limits import REPLY_SIZE_DEFAULT, REPLY_SIZE_MAX
from agent.model import BindingState, ConfigRow, Option, Pool, Reservation, Subnet
from tests.dhcp.world import (
    CONFIGURATION,
    FAR_RELAY,
    FIRST,
    LEASE,
    ME,
    PRL,
    RELAY,
    ROUTER,
    A,
    Client,
    World,
    bindable,
)

LAN = (A("198.18.0.0"), 15)


def test_golden_offer_field_by_field() -> None:
    world = World()
    said = world.one(Client(1, identifier=b"\x01id", flags=0x8000).discover())
    expected = bytes.fromhex(
        "02"  # op: BOOTREPLY
        "01"  # htype
        "06"  # hlen
        "00"  # hops
        "12345678"  # xid of the client
        "0000"  # secs
        "8000"  # flags of the client
        "00000000"  # ciaddr
        "c6121000"  # yiaddr: the offered 198.18.16.0
        "00000000"  # siaddr
        "c6120f01"  # giaddr of the relay
        "020000000001"
        + "00" * 10  # chaddr
        + "00" * 192  # sname, file
        + "63825363"  # magic cookie
        "350102"  # 53: OFFER
        "3604c6120001"  # 54: our address
        "330400000fa0"  # 51: 4000 s
        "3a04000007d0"  # 58: T1 = 2000 s
        "3b0400000dac"  # 59: T2 = 3500 s
        "0104fffe0000"  # 1: mask of the /15
        "0304c61200fe"  # 3: router of the subnet
        "0f0b6578616d706c652e6f7267"  # 15: example.org
        "060408080808"  # 6: DNS, last as the client asks
        "3d03016964"  # 61: echoed (RFC 6842)
        "ff"  # end
    )
    assert said.reply.data == expected.ljust(300, b"\0")


# --- whereto: RFC 2131 4.1


def test_rfc2131_4_1_giaddr_goes_to_the_relay_on_the_server_port() -> None:
    reply = World().one(Client(1).discover()).reply
    assert (reply.address, reply.port, reply.hardware_address) == (RELAY, 67, None)
    assert reply.source == ME


def test_rfc2131_4_1_without_address_it_goes_to_the_hardware_address() -> None:
    client = Client(1, relay=0)
    reply = World().one(client.discover()).reply
    assert (reply.address, reply.port) == (FIRST, 68)
    assert reply.hardware_address == client.hardware_address
    assert reply.interface == 2


def test_rfc2131_4_1_the_broadcast_flag_is_honoured() -> None:
    reply = World().one(Client(1, relay=0, flags=0x8000).discover()).reply
    assert (reply.address, reply.port, reply.hardware_address) == (0xFFFF_FFFF, 68, None)
    assert reply.interface == 2


@pytest.mark.parametrize("form", ["renew", "rebind"])
def test_rfc2131_4_1_an_address_in_use_is_answered_at_the_hardware_address(form: str) -> None:
    """On our own link the client may answer no ARP: it sleeps, or filters. Flags do not matter."""
    world = World()
    address = world.bind(Client(1))
    local = replace(Client(1), relay=0, flags=0x8000)
    said = world.one(local.renew(address) if form == "renew" else local.rebind(address))
    reply = said.reply
    assert (reply.address, reply.port, reply.interface) == (address, 68, 2)
    assert reply.hardware_address == local.hardware_address
    assert reply.data[12:16] == address.to_bytes(4, "big")


def test_rfc2131_4_1_an_address_in_use_behind_routers_is_answered_there() -> None:
    rows = [*CONFIGURATION, Subnet(A("10.1.0.0"), 24), Pool(A("10.1.0.10"), A("10.1.0.20"))]
    world = World(rows=rows, ranges=[bindable(A("10.1.0.10"), A("10.1.0.20"))])
    client = Client(1, relay=FAR_RELAY)
    address = world.bind(client)
    for message in (client.renew(address), replace(client, relay=0).inform(address)):
        reply = world.one(message).reply
        assert (reply.address, reply.port, reply.interface) == (address, 68, 0)
        assert reply.hardware_address is None


@pytest.mark.parametrize("relay", [0, RELAY])
def test_rfc2131_4_1_ciaddr_of_a_client_that_uses_no_address_is_not_believed(relay: int) -> None:
    """DISCOVER, SELECTING and INIT-REBOOT: the field ought to be zero (table 5), and nobody answers
    for what stands there."""
    world = World()
    client = Client(1, relay=relay)
    nowhere = A("198.18.16.77")
    offer = world.one(client.message(1, {}, ciaddr=nowhere))
    chosen = {50: offer.address.to_bytes(4, "big"), 54: offer.options[54]}
    ack = world.one(client.message(3, chosen, ciaddr=nowhere))
    assert (offer.kind, ack.kind) == (MessageType.OFFER, MessageType.ACK)
    for said in (offer, ack):
        assert said.reply.address == (relay or offer.address)
        assert said.reply.hardware_address == (None if relay else client.hardware_address)


def test_rfc2131_4_3_5_inform_through_a_relay_is_answered_to_the_client_itself() -> None:
    """The relay has nobody to give it to: no `yiaddr`, and the client asks for no broadcast."""
    address = A("198.18.15.9")
    said = World().one(Client(1).inform(address))
    assert (said.reply.address, said.reply.port) == (address, 68)
    assert said.reply.data[24:28] == RELAY.to_bytes(4, "big")
    on_link = World().one(Client(1, relay=0).inform(address))
    assert on_link.reply.hardware_address == Client(1).hardware_address


@pytest.mark.parametrize("length", [0, 8, 16])
def test_rfc2131_4_1_what_is_no_ethernet_address_is_answered_by_broadcast(length: int) -> None:
    """Microsoft's RRAS asks for its callers with htype 1 and hlen 16, and an option 61."""
    world = World()
    client = Client(1, relay=0, identifier=b"RAS \0\x01")
    asked = client.discover()
    octets = b"RAS of Microsoft"[:length]
    data = asked.data[:2] + bytes([length]) + asked.data[3:28] + octets.ljust(16, b"\0")
    offer = world.one(asked._replace(data=data + asked.data[44:]))
    assert (offer.reply.address, offer.reply.hardware_address) == (0xFFFF_FFFF, None)
    assert offer.reply.data[2] == length
    assert offer.reply.data[28:44] == octets.ljust(16, b"\0")
    chosen = client.select(offer)
    data = chosen.data[:2] + bytes([length]) + chosen.data[3:28] + octets.ljust(16, b"\0")
    ack = world.one(chosen._replace(data=data + chosen.data[44:]))
    assert ack.kind is MessageType.ACK
    assert world.known(ack.address).hardware_address == octets


# --- several subnets on one link

TWO = Interface(2, "eth0", b"\x02\0\0\0\0\x01", (ME, A("10.1.0.2")))
SECOND: list[ConfigRow] = [Subnet(A("10.1.0.0"), 24), Pool(A("10.1.0.10"), A("10.1.0.20"))]


def two_subnets() -> World:
    """The second subnet of the link, by number the first, has one address more than none."""
    full = [CONFIGURATION[0], Pool(FIRST, FIRST), *SECOND]
    ranges = [bindable(FIRST, FIRST), bindable(A("10.1.0.10"), A("10.1.0.10"))]
    return World(rows=full, interfaces=[TWO], ranges=ranges)


def test_rfc2131_4_3_1_the_server_identifier_is_of_the_offered_addresss_subnet() -> None:
    world = two_subnets()
    named = {}
    for number in (1, 2):
        client = Client(number, relay=0)
        offer = world.one(client.discover())
        ack = world.one(client.select(offer))
        assert ack.options[54] == offer.options[54]
        assert ack.reply.source == int.from_bytes(ack.options[54], "big")
        named[offer.address] = ack.options[54]
        assert world.one(client.rebind(offer.address)).options[54] == offer.options[54]
        assert world.one(client.reboot(offer.address)).options[54] == offer.options[54]
    assert named == {
        FIRST: ME.to_bytes(4, "big"),
        A("10.1.0.10"): A("10.1.0.2").to_bytes(4, "big"),
    }


def test_rfc2131_4_3_2_the_answer_is_of_the_server_that_the_client_has_chosen() -> None:
    """Whatever subnet the address is of: other servers' answers are not waited for."""
    world = two_subnets()
    offer = world.one(Client(1, relay=0).discover())
    for own in (ME, A("10.1.0.2")):
        said = world.one(Client(1, relay=0).select(offer, server=own))
        assert said.options[54] == own.to_bytes(4, "big")
    refused = replace(offer, address=A("10.9.9.9"))
    nak = world.one(Client(1, relay=0).select(refused, server=ME))
    assert (nak.kind, nak.options[54]) == (MessageType.NAK, ME.to_bytes(4, "big"))


def test_a_relay_on_a_link_of_two_subnets_serves_both() -> None:
    world = two_subnets()
    first, second = (world.bind(Client(number)) for number in (1, 2))
    assert {first, second} == {FIRST, A("10.1.0.10")}
    for number, address in ((1, first), (2, second)):
        assert world.one(Client(number).rebind(address)).kind is MessageType.ACK


def test_rfc2131_4_1_nak_is_broadcast() -> None:
    reply = World().one(Client(1, relay=0).rebind(A("10.0.0.1"))).reply
    assert (reply.address, reply.port, reply.hardware_address) == (0xFFFF_FFFF, 68, None)


def test_rfc2131_4_3_2_nak_through_a_relay_sets_the_broadcast_flag() -> None:
    said = World().one(Client(1).reboot(A("10.0.0.1")))
    assert said.kind is MessageType.NAK
    assert (said.reply.address, said.reply.port) == (RELAY, 67)
    assert said.reply.data[10:12] == b"\x80\x00"
    assert said.reply.data[12:24] == bytes(12)  # ciaddr, yiaddr, siaddr


# --- which options, in which order


def test_options_come_in_the_order_of_the_request_list_with_the_mask_first() -> None:
    said = World().one(Client(1, request_list=bytes([15, 3, 3, 6, 1, 99])).discover())
    assert said.order == (53, 54, 51, 58, 59, 1, 15, 3, 6)


def test_only_requested_options_are_sent_and_all_without_a_list() -> None:
    world = World()
    assert 15 not in world.one(Client(1, request_list=b"\x03").discover()).options
    assert {1, 3, 6, 15} <= world.one(Client(2, request_list=None).discover()).options.keys()


def test_options_of_the_protocol_are_not_taken_from_the_table() -> None:
    world = World()
    world.configure(Option(*GLOBAL, 51, b"\0\0\0\x01"), Option(*GLOBAL, 54, b"\x0a\0\0\1"))
    world.configure(*(Option(*GLOBAL, code, b"\x01\x02\x03\x04") for code in (80, 81, 90, 118)))
    said = world.one(Client(1, request_list=bytes([51, 54, 53, 3, 80, 81, 90, 118])).discover())
    assert not {80, 81, 90, 118} & said.options.keys()
    assert said.lease_s == LEASE
    assert said.order.count(54) == said.order.count(51) == 1


def test_the_most_specific_scope_wins() -> None:
    world = World()
    own = FIRST + 9
    world.configure(
        Reservation(own, Client(1).key),
        Option(*GLOBAL, 3, b"\x01\x01\x01\x01"),
        Option(*host_scope(own), 15, b"host.example"),
    )
    reserved = world.one(Client(1).discover())
    assert reserved.options[15] == b"host.example"
    assert reserved.options[3] == ROUTER
    assert world.one(Client(2).discover()).options[15] == b"example.org"


def test_rfc3442_routers_are_left_out_beside_classless_routes() -> None:
    world = World()
    world.configure(Option(*subnet_scope(*LAN), 121, b"\x00" + ROUTER))
    both = world.one(Client(1, request_list=bytes([1, 3, 121])).discover())
    assert 3 not in both.options
    assert both.options[121] == b"\x00" + ROUTER
    assert 3 in world.one(Client(2, request_list=bytes([1, 3])).discover()).options


def test_rfc6842_the_client_identifier_is_echoed_in_every_reply() -> None:
    world = World()
    client = Client(1, identifier=b"\xff\x01\x02\x03")
    offer = world.one(client.discover())
    ack = world.one(client.select(offer))
    nak = world.one(client.reboot(A("10.0.0.1")))
    assert [r.options[61] for r in (offer, ack, nak)] == [b"\xff\x01\x02\x03"] * 3
    assert 61 not in world.one(Client(2).discover()).options


def test_rfc3046_2_2_option_82_is_echoed_exactly_and_last() -> None:
    relay_information = b"\x01\x04\0\0\0\x01\x02\x06\x02\0\0\0\0\x09\xfe\x00"
    world = World()
    client = Client(1, identifier=b"\x01\x02")
    offer = world.one(client.discover(o82=relay_information))
    assert offer.options[82] == relay_information
    assert offer.order[-2:] == (61, 82)
    nak = world.one(client.message(3, {50: A("10.0.0.1").to_bytes(4, "big"), 82: b"\x01\x01x"}))
    assert nak.order[-1] == 82


def test_boot_server_fields_follow_options_66_and_67() -> None:
    world = World()
    world.configure(
        Option(*subnet_scope(*LAN), 66, b"198.18.0.9"),
        Option(*subnet_scope(*LAN), 67, b"boot/ipxe.efi"),
    )
    data = world.one(Client(1).discover()).reply.data
    assert data[20:24] == A("198.18.0.9").to_bytes(4, "big")
    assert data[44:108].rstrip(b"\0") == b"198.18.0.9"
    assert data[108:236].rstrip(b"\0") == b"boot/ipxe.efi"


@pytest.mark.parametrize(("code", "most", "at"), [(66, 63, 44), (67, 127, 108)])
def test_rfc2132_9_5_a_name_that_is_longer_than_its_field_is_an_option(
    code: int, most: int, at: int
) -> None:
    """Also for a client that asks for none, as boot ROMs do: it would have read the field."""
    for length in (most, most + 1):
        world = World()
        world.configure(Option(*GLOBAL, code, b"x" * length))
        said = world.one(Client(1, request_list=b"\x03").discover())
        assert said.reply.data[at : at + most + 1] == (
            b"x" * most if length == most else b""
        ).ljust(most + 1, b"\0")
        assert said.options.get(code) == (None if length == most else b"x" * length)
        assert said.order.count(code) <= 1
        asked = world.one(Client(2, request_list=bytes([code])).discover())
        assert asked.order.count(code) == 1


# --- size


def test_replies_have_at_least_300_octets() -> None:
    assert len(World().one(Client(1).discover()).reply.data) == 300


def big_world() -> World:
    world = World()
    world.configure(
        *(Option(*subnet_scope(*LAN), code, bytes([code]) * 90) for code in range(224, 234))
    )
    return world


EVERYTHING = PRL + bytes(range(224, 234))


def test_rfc2132_9_3_what_does_not_fit_spills_into_file_and_sname() -> None:
    world = big_world()
    said = world.one(Client(1, request_list=EVERYTHING).discover(o82=b"\x01\x01x"))
    assert len(said.reply.data) <= REPLY_SIZE_DEFAULT
    assert said.options[52] == b"\x03"
    assert said.order.index(1) < said.order.index(3)
    sent = [code for code in said.order if code >= 224]
    # Two have room in the options field, one in file; of the next one there are parts in all three.
    assert sent == [224, 225, 227, 226, 227, 227]
    assert all(said.options[code] == bytes([code]) * 90 for code in sent)
    assert said.reply.left_out == tuple(range(228, 234))
    # 82 is the last option of the options field, never overloaded
    assert said.order[said.order.index(226) - 1] == 82


def test_overload_uses_sname_for_short_options() -> None:
    world = World()
    world.configure(
        *(Option(*subnet_scope(*LAN), code, bytes([code]) * 40) for code in range(224, 236))
    )
    said = world.one(Client(1, request_list=PRL + bytes(range(224, 236))).discover())
    assert said.options[52] == b"\x03"
    # Of 42 octets each: five beside the others in 308 octets, three in file, one in sname; and what
    # is left in them holds one more in two parts.
    assert sum(code >= 224 for code in said.order) == 9 + 2
    assert all(said.options[code] == bytes([code]) * 40 for code in said.order if code >= 224)


@pytest.mark.parametrize(
    ("wish", "room"), [(0, 548), (576, 548), (1000, 972), (1500, 1472), (65535, REPLY_SIZE_MAX)]
)
def test_rfc2132_9_10_the_maximum_message_size_is_kept(wish: int, room: int) -> None:
    world = big_world()
    client = Client(1, request_list=EVERYTHING)
    said = world.one(client.discover(o57=wish.to_bytes(2, "big")))
    assert room - 92 < len(said.reply.data) <= room or len(said.options) == 9 + 10


@pytest.mark.parametrize("wish", [None, 576, 700, 1500])
def test_rfc2132_9_10_the_echoed_options_count_too(wish: int | None) -> None:
    """Every length of option 82 beside a long identifier: it fits, or there is no answer."""
    client = Client(1, identifier=b"\x01" * 200, request_list=EVERYTHING)
    room = REPLY_SIZE_DEFAULT if wish is None else max(REPLY_SIZE_DEFAULT, wish - 28)
    world = big_world()
    wishes = {} if wish is None else {"o57": wish.to_bytes(2, "big")}
    most = room - 240 - 27 - 3 - 202 - 1  # header, lease, option 52, identifier, end
    for length in range(2, 254):
        circuit = b"\x01" + bytes([length - 2]) + b"c" * (length - 2)
        datagram = client.discover(o82=circuit, **wishes)
        if length + 2 > most:
            world.silent(datagram, "no_room_to_answer")
        else:
            said = world.one(datagram)
            assert len(said.reply.data) <= room
            assert said.options[82] == circuit


def test_a_release_needs_no_room_for_an_answer() -> None:
    world = World()
    client = Client(1, identifier=b"\x01" * 255)
    address = world.bind(client)
    circuit = b"\x01\xf0" + b"c" * 240
    world.silent(client.discover(o82=circuit), "no_room_to_answer")
    assert world.say(client.message(7, {82: circuit}, ciaddr=address)) == []
    assert world.known(address).state is BindingState.RELEASED


def test_rfc3396_a_long_option_is_split() -> None:
    world = World()
    long = bytes(range(256)) + b"tail"
    world.configure(Option(*subnet_scope(*LAN), 121, long))
    said = world.one(Client(1, request_list=bytes([121])).discover(o57=b"\x05\xdc"))
    assert said.options[121] == long
    assert said.order.count(121) == 2


def routes(number: int) -> bytes:
    """Classless routes of 9 octets each, the last one the default."""
    each = b"".join(b"\x20\x0a\x01\x02" + bytes([n]) + ROUTER for n in range(number - 1))
    return each + b"\x00" + ROUTER


def test_golden_rfc3396_routes_of_400_octets_over_the_three_fields() -> None:
    """RFC 3396 5: options field, file, sname; the reader puts the parts together again."""
    world = World()
    value = routes(45)
    world.configure(Option(*subnet_scope(*LAN), 121, value))
    said = world.one(Client(1, request_list=bytes([1, 121, 3])).discover())
    data = said.reply.data
    assert data[240:] == bytes.fromhex(
        "350102"  # 53: OFFER
        "3604c6120001"  # 54: our address
        "330400000fa0"  # 51: 4000 s
        "3a04000007d0"  # 58: T1
        "3b0400000dac"  # 59: T2
        "340103"  # 52: file and sname hold options
        "0104fffe0000"  # 1: the mask
        "79ff" + value[:255].hex()  # 121, as much as one option holds,
        + "790c" + value[255:267].hex()  # and as much as 548 octets do
        + "ff"
    )  # fmt: skip
    file, sname = data[108:236], data[44:108]
    assert file == b"\x79\x7d" + value[267:392] + b"\xff"
    assert sname == (b"\x79\x09" + value[392:] + b"\xff").ljust(64, b"\0")
    assert said.options[121] == value
    assert 3 not in said.options
    assert said.reply.left_out == ()


@pytest.mark.parametrize("length", [256, 320, 400])
def test_rfc3396_an_option_longer_than_every_field_is_split_over_them(length: int) -> None:
    world = World()
    value = bytes(n % 251 for n in range(length))
    world.configure(Option(*subnet_scope(*LAN), 224, value))
    said = world.one(Client(1, request_list=bytes([1, 224])).discover())
    assert said.options[224] == value
    assert len(said.reply.data) <= REPLY_SIZE_DEFAULT


def test_rfc3442_a_client_whose_routes_have_no_room_gets_its_router() -> None:
    world = World(log_packets=False)
    world.configure(Option(*subnet_scope(*LAN), 121, routes(60)))
    client = Client(1, request_list=bytes([1, 121, 3, 6]))
    for _ in range(2):
        said = world.one(client.discover())
        assert 121 not in said.options
        assert said.options[3] == ROUTER
        assert said.reply.left_out == (121,)
    assert world.server.counters()["options_left_out"] == 2
    told = world.server.take_alarms()
    assert len(told) == 1, "once"
    assert "classless-static-routes (121)" in told[0]
    assert "198.18.0.0/15" in told[0]
    assert 121 in world.one(client.discover(o57=b"\x05\xdc")).options
    world.configure(Option(*subnet_scope(*LAN), 121, routes(61)))
    world.one(client.discover())
    assert len(world.server.take_alarms()) == 1, "and again for another configuration"


def test_rfc2132_9_4_names_of_the_boot_server_become_options_where_their_fields_are_needed() -> (
    None
):
    world = World()
    world.configure(
        Option(*subnet_scope(*LAN), 66, b"boot.example"),
        Option(*subnet_scope(*LAN), 67, b"ipxe.efi"),
        Option(*subnet_scope(*LAN), 224, b"x" * 300),
    )
    short = world.one(Client(1, request_list=bytes([1, 6])).discover())
    assert short.reply.data[108:236].rstrip(b"\0") == b"ipxe.efi"
    said = world.one(Client(2, request_list=bytes([1, 224, 6])).discover())
    assert said.options[224] == b"x" * 300
    assert (said.options[66], said.options[67]) == (b"boot.example", b"ipxe.efi")


@given(
    st.dictionaries(st.integers(224, 250), st.binary(min_size=1, max_size=600), max_size=6),
    st.sampled_from([b"", b"tftp.example"]),
    st.integers(548, 1500),
)
def test_rfc3396_what_is_not_left_out_is_read_again(
    values: dict[int, bytes], name: bytes, size: int
) -> None:
    configured = {**values, **({66: name} if name else {})}
    parts = [wire.build_option(1, b"\xff\xff\0\0")]
    parts += [wire.build_option(code, data) for code, data in configured.items()]
    template = Template(b"".join(parts), tuple(parts), 0, name, b"", "")
    head = b"\x35\x01\x02"
    options, sname, file, left_out = _spill(head, template, b"", size)
    assert 240 + len(options) <= size
    assert len(sname) <= 64
    assert len(file) <= 128
    read: dict[int, bytes] = {}
    wire.parse_options(options, 0, len(options), read)
    if wire.OVERLOAD in read:
        wire.parse_overloaded(b"", read, sname.ljust(64, b"\0"), file.ljust(128, b"\0"))
    for code, data in configured.items():
        assert (code in left_out) != (read.get(code) == data)


def test_templates_are_not_mixed_up_between_subnets() -> None:
    world = World()
    world.configure(
        Subnet(A("10.1.0.0"), 24), Option(*subnet_scope(A("10.1.0.0"), 24), 15, b"far.example")
    )
    near = world.one(Client(1).inform(A("198.18.15.9")))
    far = world.one(Client(1, relay=A("10.1.0.1")).inform(A("10.1.0.9")))
    assert near.options[15] == b"example.org"
    assert far.options[15] == b"far.example"
    assert far.options[1] == b"\xff\xff\xff\0"
