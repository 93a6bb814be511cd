"""Every message and record survives the way; every other string is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import PacketError
from agent.model import (
    NEVER,
    Binding,
    BindingState,
    ConfigRecord,
    ProbePolicy,
    Subnet,
    Transaction,
    Version,
)
from agent.sync import codec
from agent.sync import messages as m
from tests.sync.strategies import (
    NOW_MS,
    NOW_S,
    groups,
    record_lists,
    records,
    requests,
    responses,
)

ROW = Binding(
    address=0xC6120A01,
    client_key=b"\x00\x01\x02\x00\x00\x00\x00\x01",
    client_id=None,
    hardware_type=1,
    hardware_address=b"\x02\x00\x00\x00\x00\x01",
    hostname="host",
    state=BindingState.BOUND,
    epoch=3,
    grant=7,
    expires_at=NOW_S + 100,
    potential_expires_at=NOW_S + 150,
    acknowledged_at=NOW_S + 120,
    transaction=Transaction.RENEWING,
    transaction_at=NOW_S - 20,
    transaction_server=2,
    options=bytes(20),
    stream=2 << 32 | 1,
    seq=99,
)


@given(records)
def test_record_round_trip(record: m.Record) -> None:
    assert codec.unpack_record(codec.pack_record(record, NOW_MS), NOW_MS) == record


@given(record_lists)
def test_record_list_round_trip(some: tuple[m.Record, ...]) -> None:
    assert codec.unpack_records(codec.pack_records(some, NOW_MS), NOW_MS) == some


@given(requests)
def test_request_round_trip(request: m.Request) -> None:
    assert codec.unpack_request(codec.pack_request(request, NOW_MS), NOW_MS) == request


@given(responses)
def test_response_round_trip(response: m.Response) -> None:
    assert codec.unpack_response(codec.pack_response(response, NOW_MS), NOW_MS) == response


@given(groups)
def test_group_round_trip(group: object) -> None:
    assert codec.unpack_group(codec.pack_group(group)) == group  # type: ignore[arg-type]


@settings(max_examples=60)
@given(requests)
def test_a_request_cut_at_any_octet_or_with_one_more_is_refused(request: m.Request) -> None:
    data = codec.pack_request(request, NOW_MS)
    for end in range(len(data)):
        with pytest.raises(PacketError):
            codec.unpack_request(data[:end], NOW_MS)
    with pytest.raises(PacketError, match="trailing"):
        codec.unpack_request(data + b"\x00", NOW_MS)


@settings(max_examples=60)
@given(responses)
def test_a_response_cut_at_any_octet_or_with_one_more_is_refused(response: m.Response) -> None:
    data = codec.pack_response(response, NOW_MS)
    for end in range(len(data)):
        with pytest.raises(PacketError):
            codec.unpack_response(data[:end], NOW_MS)
    with pytest.raises(PacketError, match="trailing"):
        codec.unpack_response(data + b"\x00", NOW_MS)


@settings(max_examples=60)
@given(records)
def test_a_record_cut_at_any_octet_or_with_one_more_is_refused(record: m.Record) -> None:
    data = codec.pack_record(record, NOW_MS)
    for end in range(len(data)):
        with pytest.raises(PacketError):
            codec.unpack_record(data[:end], NOW_MS)
    with pytest.raises(PacketError, match="trailing"):
        codec.unpack_record(data + b"\x00", NOW_MS)


@settings(max_examples=300)
@given(st.data())
def test_any_changed_octets_either_read_or_are_a_packet_error(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["request", "response", "records"]))
    if kind == "request":
        packed, unpack = codec.pack_request(data.draw(requests), NOW_MS), codec.unpack_request
    elif kind == "response":
        packed = codec.pack_response(data.draw(responses), NOW_MS)
        unpack = codec.unpack_response  # type: ignore[assignment]
    else:
        packed = codec.pack_records(data.draw(record_lists), NOW_MS)
        unpack = codec.unpack_records  # type: ignore[assignment]
    octets = bytearray(packed)
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PacketError):
        unpack(bytes(octets), NOW_MS)


@given(st.binary(max_size=200))
def test_noise_is_a_packet_error(noise: bytes) -> None:
    for unpack in (
        codec.unpack_request,
        codec.unpack_response,
        codec.unpack_record,
        codec.unpack_records,
    ):
        with pytest.raises(PacketError):
            unpack(b"\x01\x07" + noise, NOW_MS)


@pytest.mark.parametrize("octet", [0x00, 0x04, 0x31, 0xF1])
def test_policies_of_a_subnet_that_nobody_knows_are_refused(octet: int) -> None:
    row = Subnet(0x0A12_3400, 24, probe=ProbePolicy.ALWAYS)
    data = codec.pack_record(ConfigRecord(row, Version(1, 1), stream=1, seq=1), NOW_MS)
    at = data.index(b"\x0a\x12\x34\x00\x18") + 5
    assert data[at] == 0x11
    with pytest.raises(PacketError, match=r"subnet: (claims|probe)"):
        codec.unpack_record(data[:at] + bytes([octet]) + data[at + 1 :], NOW_MS)


def test_an_unknown_version_is_refused() -> None:
    data = codec.pack_record(ROW, NOW_MS)
    with pytest.raises(PacketError, match="version"):
        codec.unpack_record(b"\x02" + data[1:], NOW_MS)


@pytest.mark.parametrize("offset_ms", [-2000, -700, 0, 700, 2000])
def test_instants_of_a_good_clock_are_taken_as_they_stand(offset_ms: int) -> None:
    assert codec.unpack_record(codec.pack_record(ROW, NOW_MS), NOW_MS + offset_ms) == ROW


@pytest.mark.parametrize("offset_s", [-86400, -3, 3, 3600])
def test_instants_of_another_clock_are_seconds_from_now(offset_s: int) -> None:
    row = codec.unpack_record(codec.pack_record(ROW, NOW_MS), NOW_MS + offset_s * 1000)
    assert row == ROW._replace(
        expires_at=ROW.expires_at + offset_s,
        potential_expires_at=ROW.potential_expires_at + offset_s,
        transaction_at=ROW.transaction_at + offset_s,
        acknowledged_at=0,
    )


def test_an_infinite_lease_stays_one() -> None:
    row = ROW._replace(expires_at=NEVER, potential_expires_at=NEVER)
    back = codec.unpack_record(codec.pack_record(row, NOW_MS), NOW_MS + 10**9)
    assert isinstance(back, Binding)
    assert (back.expires_at, back.potential_expires_at) == (NEVER, NEVER)


def test_a_binding_takes_about_ninety_octets() -> None:
    assert len(codec.pack_records([ROW] * 16, NOW_MS)) / 16 < 100


def test_too_many_records_are_refused() -> None:
    data = codec.pack_records([ROW] * 501, NOW_MS)
    with pytest.raises(PacketError, match="too_many"):
        codec.unpack_records(data, NOW_MS)
