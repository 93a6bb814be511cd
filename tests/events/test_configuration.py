"""Changes of the configuration as events, and rows made again from them."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings

from agent.events.configuration import configuration_events, pack_row, unpack_row
from agent.events.event import Event, EventKind
from agent.kinds import row_name
from agent.kinds.scope import GLOBAL
from agent.model import (
    ConfigRecord,
    ConfigRow,
    Option,
    Pool,
    ProbePolicy,
    Reservation,
    Subnet,
    Version,
    parse_address,
)
from tests.sync.strategies import config_records

A = parse_address
SUBNET = Subnet(A("10.0.0.0"), 24, "eth0", "Küche", probe=ProbePolicy.ALWAYS)
POOL = Pool(A("10.0.0.16"), A("10.0.0.99"), "desks")


def record(row: ConfigRow, *, deleted: bool = False, member: int = 1) -> ConfigRecord:
    return ConfigRecord(row, Version(7, member), deleted, 1, 1)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(any_record=config_records())
def test_a_row_is_made_again_as_it_was(any_record: ConfigRecord) -> None:
    row = any_record.row
    text = pack_row(row)
    assert unpack_row(row_name(row), text) == row
    assert "\n" not in text


def test_who_changed_what_from_what_to_what() -> None:
    renamed = Pool(POOL.first, POOL.last, "labs")
    told = configuration_events(
        [
            (None, record(POOL)),
            (record(POOL), record(renamed)),
            (record(renamed), record(renamed, deleted=True)),
            (record(renamed, deleted=True), record(POOL)),
        ],
        "admin",
        5,
    )
    name = "pool 10.0.0.16-10.0.0.99"
    texts = ["", pack_row(POOL), pack_row(renamed), "", pack_row(POOL)]
    assert told == [
        Event(5, EventKind.CONFIGURED, member=1, user="admin", subject=name, old=old, new=new)
        for old, new in pairwise(texts)
    ]
    assert json.loads(texts[1]) == {"name": "desks", "active": True}


def test_what_says_the_same_as_before_is_no_change() -> None:
    gone = record(POOL, deleted=True)
    pairs = [(record(POOL, member=1), record(POOL, member=2)), (gone, gone), (None, gone)]
    assert configuration_events(pairs, "", 5) == []


def test_a_row_of_another_version_is_read_as_far_as_it_is_known() -> None:
    name = row_name(SUBNET)
    fields = json.loads(pack_row(SUBNET))
    assert unpack_row(name, json.dumps(fields | {"later": 1})) == SUBNET
    for left_out in ("probe", "name", "active"):
        older = {key: value for key, value in fields.items() if key != left_out}
        row = unpack_row(name, json.dumps(older))
        assert isinstance(row, Subnet)
        assert getattr(row, left_out) == getattr(Subnet(0, 0), left_out)
    assert unpack_row("reservation 10.0.0.1", '{"hostname": "x"}') == Reservation(
        A("10.0.0.1"), b"", "x"
    )
    assert unpack_row("option global:6", "{}") == Option(*GLOBAL, 6, b"")
    assert unpack_row("option global :6", "{}") == Option(*GLOBAL, 6, b""), "as it was written"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("shelf 1", "{}", "'shelf 1' is of no kind that this version knows"),
        ("pool 10.0.0.1", "{}", "is no key of a pool"),
        ("option global:x", "{}", "is no key of a option"),
        ("pool 10.0.0.1-10.0.0.9", "[]", "is no row"),
        ("pool 10.0.0.1-10.0.0.9", "{", "Expecting property name"),
        ("pool 10.0.0.1-10.0.0.9", '{"name": 3}', "name: 3 is no text"),
        ("subnet 10.0.0.0/24", '{"offer_delay_s": -1}', "offer_delay_s: -1 is not in"),
        ("subnet 10.0.0.0/24", '{"probe": 1}', "probe: 1 is none of recent, always"),
        ("subnet 10.0.0.0/24", '{"probe": "maybe"}', "probe: 'maybe' is none of recent, always"),
        ("option global:6", '{"data": "zz"}', "non-hexadecimal"),
        ("option global:6", '{"data": 7}', "data: 7 is no octets"),
    ],
)
def test_what_is_no_row_is_refused_with_words(name: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        unpack_row(name, text)
