"""RFC 3074: the hash with the RFC's table, shares by weight, and the service delay."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.dhcp.balance import BUCKETS, bucket_of, share_buckets
from agent.dhcp.packet import MessageType
from agent.model import Group, MemberRole, MemberState, Subnet
from tests.dhcp.world import CONFIGURATION, Client, World, group_of

MIXING = """
251 175 119 215  81  14  79 191 103  49 181 143 186 157   0
232  31  32  55  60 152  58  17 237 174  70 160 144 220  90  57
223  59   3  18 140 111 166 203 196 134 243 124  95 222 179 197
 65 180  48  36  15 107  46 233 130 165  30 123 161 209  23  97
 16  40  91 219  61 100  10 210 109 250 127  22 138  29 108 244
 67 207   9 178 204  74  98 126 249 167 116  34  77 193 200 121
  5  20 113  71  35 128  13 182  94  25 226 227 199  75  27  41
245 230 224  43 225 177  26 155 150 212 142 218 115 241  73  88
105  39 114  62 255 192 201 145 214 168 158 221 148 154 122  12
 84  82 163  44 139 228 236 205 242 217  11 187 146 159  64  86
239 195  42 106 198 118 112 184 172  87   2 173 117 176 229 247
253 137 185  99 164 102 147  45  66 231  52 141 211 194 206 246
238  56 110  78 248  63 240 189  93  92  51  53 183  19 171  72
 50  33 104 101  69   8 252  83 120  76 135  85  54 202 125 188
213  96 235 136 208 162 129 190 132 156  38  47   1   7 254  24
  4 216 131  89  21  28 133  37 153 149  80 170  68   6 169 234
151
"""
"""As RFC 3074 6 prints it, in decimal."""

TABLE = [int(word) for word in MIXING.split()]


def test_one_octet_keys_give_the_table_of_the_rfc() -> None:
    """The hash of one octet is the entry at the octet xor the length, 1."""
    assert sorted(TABLE) == list(range(256))
    assert [bucket_of(bytes((octet,))) for octet in range(256)] == [
        TABLE[octet ^ 1] for octet in range(256)
    ]


@pytest.mark.parametrize(
    ("key", "bucket"),
    [(b"", 0), (b"\x00\x00", TABLE[TABLE[2]]), (b"\x01\x02", TABLE[TABLE[0] ^ 1])],
)
def test_keys_worked_out_by_hand(key: bytes, bucket: int) -> None:
    assert bucket_of(key) == bucket


@given(st.binary(max_size=300))
def test_every_key_has_a_bucket(key: bytes) -> None:
    assert 0 <= bucket_of(key) < BUCKETS


def weighted(*weights: int) -> Group:
    group = group_of(*range(1, len(weights) + 1))
    members = tuple(replace(m, weight=w) for m, w in zip(group.members, weights, strict=True))
    return replace(group, members=members)


@pytest.mark.parametrize(
    ("weights", "shares"),
    [((1, 1), (128, 128)), ((1, 3), (64, 192)), ((1, 1, 1), (85, 85, 86)), ((2, 0, 2), (128, 128))],
)
def test_shares_follow_weights(weights: tuple[int, ...], shares: tuple[int, ...]) -> None:
    counted = Counter(share_buckets(weighted(*weights)))
    assert tuple(counted[member] for member in sorted(counted)) == shares


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=16))
def test_every_bucket_has_a_member_and_shares_are_exact_to_one(weights: list[int]) -> None:
    buckets = share_buckets(weighted(*weights))
    if sum(weight > 0 for weight in weights) < 2:
        assert buckets == ()
        return
    assert len(buckets) == BUCKETS
    for member, weight in enumerate(weights, 1):
        assert abs(buckets.count(member) - weight * BUCKETS / sum(weights)) <= 1


def test_members_that_serve_no_clients_have_no_buckets() -> None:
    group = weighted(1, 1, 1, 1)
    one, two, three, four = group.members
    group = replace(
        group,
        members=(
            one,
            replace(two, role=MemberRole.DATABASE),
            replace(three, state=MemberState.DOWN),
            four,
        ),
    )
    assert set(share_buckets(group)) == {1, 4}


SHARED = [
    replace(row, offer_delay_s=4) if isinstance(row, Subnet) else row for row in CONFIGURATION
]


def test_a_client_of_another_member_is_offered_an_address_after_the_delay() -> None:
    world = World(members=(1, 2), rows=SHARED)
    answered = 0
    for number in range(40):
        client = Client(number)
        said = world.say(client.discover())
        if said:
            answered += 1
            continue
        world.silent(client.discover(), "others_client")
        assert world.one(replace(client, seconds=4).discover()).kind is MessageType.OFFER
    assert 10 <= answered <= 30


def test_clients_of_a_silent_member_are_offered_addresses_at_once() -> None:
    world = World(members=(1, 2), rows=SHARED)
    with world.store.write() as tx:
        tx.set_silent_members({2})
    for number in range(20):
        assert world.one(Client(number).discover()).kind is MessageType.OFFER


def test_clients_of_a_member_that_does_not_serve_yet_are_offered_addresses_at_once() -> None:
    world = World(members=(1, 2), rows=SHARED)
    with world.store.write() as tx:
        tx.set_silent_members((), idle={2})
        assert tx.silent_members() == frozenset(), "its word is not missing: nobody is believed"
    for number in range(20):
        assert world.one(Client(number).discover()).kind is MessageType.OFFER


def test_off_by_default_every_member_offers() -> None:
    world = World(members=(1, 2))
    for number in range(20):
        assert world.one(Client(number).discover()).kind is MessageType.OFFER


def test_the_relays_choice_agrees() -> None:
    """By client identifier where there is one, as RFC 3074 4 says."""
    client = Client(1, identifier=b"\x00abc")
    world = World(members=(1, 2), rows=SHARED)
    owner = share_buckets(group_of(1, 2))[bucket_of(b"\x00abc")]
    assert bool(world.say(client.discover())) is (owner == 1)
