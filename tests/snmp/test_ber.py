"""Variable bindings: the same octets as pyasn1 makes, and nothing but PacketError on bad ones."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto import rfc1902, rfc1905

from agent.errors import PacketError
from agent.snmp import ber
from agent.snmp.ber import Varbind

SUB = st.integers(0, 2**32 - 1)
OIDS = st.one_of(
    st.tuples(st.integers(0, 1), st.integers(0, 39), *[SUB] * 3),
    st.tuples(st.just(2), st.integers(0, 2**32 - 81), *[SUB] * 6),
    st.lists(SUB, max_size=40).map(lambda tail: (1, 3, *tail)),
)
VALUES = st.one_of(
    st.tuples(st.just(ber.INTEGER), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.sampled_from((ber.UNSIGNED32, ber.COUNTER32, ber.TIME_TICKS)), SUB),
    st.tuples(st.just(ber.COUNTER64), st.integers(0, 2**64 - 1)),
    st.tuples(st.sampled_from((ber.OCTETS, ber.OPAQUE)), st.binary(max_size=300)),
    st.tuples(st.just(ber.IP_ADDRESS), st.binary(min_size=4, max_size=4)),
    st.tuples(st.just(ber.OBJECT_IDENTIFIER), OIDS),
    st.tuples(
        st.sampled_from((ber.NULL, ber.NO_SUCH_OBJECT, ber.NO_SUCH_INSTANCE, ber.END_OF_MIB_VIEW)),
        st.none(),
    ),
)
VARBINDS = st.builds(lambda oid, value: Varbind(oid, *value), OIDS, VALUES)
LISTS = st.lists(VARBINDS, max_size=8)

PYSNMP = {
    ber.INTEGER: rfc1902.Integer32,
    ber.UNSIGNED32: rfc1902.Unsigned32,
    ber.COUNTER32: rfc1902.Counter32,
    ber.TIME_TICKS: rfc1902.TimeTicks,
    ber.COUNTER64: rfc1902.Counter64,
    ber.OCTETS: rfc1902.OctetString,
    ber.OPAQUE: rfc1902.Opaque,
    ber.IP_ADDRESS: rfc1902.IpAddress,
    ber.OBJECT_IDENTIFIER: rfc1902.ObjectIdentifier,
}
NULLS = {
    ber.NULL: "unSpecified",
    ber.NO_SUCH_OBJECT: "noSuchObject",
    ber.NO_SUCH_INSTANCE: "noSuchInstance",
    ber.END_OF_MIB_VIEW: "endOfMibView",
}


def by_pyasn1(varbinds: list[Varbind]) -> bytes:
    whole = rfc1905.VarBindList()
    whole.clear()
    for at, one in enumerate(varbinds):
        item = rfc1905.VarBind()
        item.setComponentByPosition(0, rfc1902.ObjectName(one.oid))
        choice = item.setComponentByPosition(1).getComponentByPosition(1)
        if one.tag in NULLS:
            choice.setComponentByName(NULLS[one.tag], getattr(rfc1905, NULLS[one.tag]))
        else:
            value = PYSNMP[one.tag](one.value)
            choice.setComponentByType(value.tagSet, value, verifyConstraints=False, innerFlag=True)
        whole.setComponentByPosition(at, item)
    return bytes(encoder.encode(whole))


@given(LISTS)
def test_round_trip(varbinds: list[Varbind]) -> None:
    assert ber.decode_varbinds(ber.encode_varbinds(varbinds)) == varbinds


PADDED_BY_PYASN1 = {-(1 << bits) for bits in (7, 15, 23, 31)}
"""It writes these with an octet more than X.690 8.3.2 allows."""


@settings(max_examples=60)
@given(LISTS)
def test_the_same_octets_as_pyasn1(varbinds: list[Varbind]) -> None:
    assume(all(one.value not in PADDED_BY_PYASN1 for one in varbinds))
    assert ber.encode_varbinds(varbinds) == by_pyasn1(varbinds)


@settings(max_examples=60)
@given(LISTS)
def test_pyasn1_reads_what_we_write(varbinds: list[Varbind]) -> None:
    decoded, rest = decoder.decode(ber.encode_varbinds(varbinds), asn1Spec=rfc1905.VarBindList())
    assert rest == b""
    assert [tuple(one[0]) for one in decoded] == [one.oid for one in varbinds]


SAMPLE = ber.encode_varbinds(
    [
        Varbind((1, 3, 6, 1, 4, 1, 32473, 67, 1), ber.OCTETS, b"x" * 200),
        Varbind((2, 999, 3), ber.COUNTER64, 2**64 - 1),
        Varbind((1, 3), ber.OBJECT_IDENTIFIER, (1, 3, 6, 4_000_000_000)),
        Varbind((1, 3, 9), ber.INTEGER, -1),
    ]
)


@pytest.mark.parametrize("size", range(len(SAMPLE)))
def test_truncation_at_every_octet(size: int) -> None:
    with pytest.raises(PacketError):
        ber.decode_varbinds(SAMPLE[:size])


def test_trailing_octets() -> None:
    with pytest.raises(PacketError, match="trailing_octets"):
        ber.decode_varbinds(SAMPLE + b"\0")


@given(st.binary(max_size=120))
def test_any_octets_decode_or_are_refused(octets: bytes) -> None:
    for data in (octets, ber.octets(octets, ber.SEQUENCE)):
        with contextlib.suppress(PacketError):
            ber.decode_varbinds(data)


@given(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255))
def test_one_octet_changed(at: int, octet: int) -> None:
    changed = SAMPLE[:at] + bytes((octet,)) + SAMPLE[at + 1 :]
    try:
        found = ber.decode_varbinds(changed)
    except PacketError:
        return
    assert ber.decode_varbinds(ber.encode_varbinds(found)) == found


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        ("3080 3005 06012b 0500 0000", "bad_length"),  # indefinite
        ("3085 0000000007 3005 06012b 0500", "bad_length"),  # a length of five octets
        ("3008 3005 06012b 0500", "truncated"),
        ("3007 3006 06012b 0500", "truncated"),
        ("3006 3004 0600 0500", "bad_oid"),  # an empty name
        ("3007 3005 06018b 0500", "bad_oid"),  # a name that does not end
        ("300c 300a 06062b9080808000 0500", "bad_oid"),  # a sub-identifier of 2**32
        ("3008 3006 06012b 050100", "bad_null"),
        ("300a 3008 06012b 4203ff0000", "bad_number"),  # a negative Gauge32
        ("300b 3009 06012b 020480000000", ""),  # the least INTEGER
        ("300c 300a 06012b 02050080000000", "bad_number"),
        ("3008 3006 06012b 40017f", "bad_address"),
        ("3007 3005 06012b 4700", "wrong_tag"),
        ("3007 3105 06012b 0500", "wrong_tag"),
    ],
)
def test_rules_of_rfc_3417_8(octets: str, reason: str) -> None:
    data = bytes.fromhex(octets)
    if not reason:
        assert ber.decode_varbinds(data)[0].value == -(2**31)
        return
    with pytest.raises(PacketError) as caught:
        ber.decode_varbinds(data)
    assert caught.value.reason == reason


def test_more_varbinds_than_a_datagram_holds() -> None:
    with pytest.raises(PacketError, match="too_many_varbinds"):
        ber.decode_varbinds(SAMPLE, limit=3)


@pytest.mark.parametrize(("tag", "number"), [(ber.UNSIGNED32, 2**32), (ber.COUNTER64, -1)])
def test_a_number_that_does_not_fit(tag: int, number: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        ber.unsigned(number, tag)
