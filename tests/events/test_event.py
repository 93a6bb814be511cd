"""Events as values and as words, and what the steps of a lease's row are told as."""

from __future__ import annotations

import json

import pytest

from agent.events.event import (
    KIND_OF_WORD,
    LAST_OF_LEASES,
    ON_REQUEST,
    Event,
    EventKind,
    Numbered,
    kinds_of,
    mask_of,
    of_lease,
)
from agent.events.leases import lease_events
from agent.events.sentences import as_json, sentence
from agent.model import NEVER, Binding, BindingState, Transaction
from tests.store.samples import BASE, NOW, binding

K = EventKind
ROW = binding(BASE + 5, 1)
OTHERS = binding(BASE + 5, 2)
ENDED = ROW._replace(expires_at=NOW)
RELEASED = ROW._replace(state=BindingState.RELEASED, transaction=Transaction.RELEASE)
KEPT = ROW._replace(state=BindingState.UNAVAILABLE, transaction=Transaction.DECLINE)
CAPPED = ROW._replace(state=BindingState.RELEASED, transaction=Transaction.DECLINE)
FOUND = ROW._replace(state=BindingState.UNAVAILABLE, transaction=Transaction.PROBE)


@pytest.mark.parametrize(
    ("before", "row", "kinds"),
    [
        (None, ROW, [K.BOUND]),
        (OTHERS._replace(expires_at=NOW), ROW, [K.EXPIRED, K.BOUND]),
        (OTHERS, ROW, [K.BOUND]),
        (OTHERS._replace(state=BindingState.RELEASED), ROW, [K.BOUND]),
        (ENDED, ROW, [K.EXPIRED, K.BOUND]),
        (RELEASED, ROW, [K.BOUND]),
        (KEPT, ROW, [K.BOUND]),
        (ROW, ROW, [K.RENEWED]),
        (ROW, RELEASED, [K.RELEASED]),
        (ENDED, RELEASED, [K.EXPIRED, K.RELEASED]),
        (ROW, KEPT, [K.DECLINED]),
        (ROW, CAPPED, [K.DECLINED]),
        (None, FOUND, [K.IN_USE]),
        (ENDED, FOUND, [K.EXPIRED, K.IN_USE]),
        (None, KEPT._replace(transaction=Transaction.CONFLICT), []),
    ],
)
def test_what_the_step_of_a_row_is_told_as(
    before: Binding | None, row: Binding, kinds: list[EventKind]
) -> None:
    told = lease_events([(before, row)], NOW, renewals=True, is_told=lambda _: False)
    assert [event.kind for event in told] == kinds
    usual = lease_events([(before, row)], NOW, renewals=False, is_told=lambda _: False)
    assert [event.kind for event in usual] == [kind for kind in kinds if kind not in ON_REQUEST]
    again = lease_events([(before, row)], NOW, renewals=True, is_told=lambda one: one is before)
    assert [event.kind for event in again] == [kind for kind in kinds if kind is not K.EXPIRED]
    for event in told:
        about = before if event.kind is K.EXPIRED else row
        assert about is not None
        assert event.at == NOW
        assert event.client_key == about.client_key
        assert event.hardware_address == about.hardware_address
        assert event.subject == about.hostname
        is_capped = row is CAPPED and event.kind is K.DECLINED
        assert event.until == (0 if is_capped else about.expires_at)
        assert event.kind <= LAST_OF_LEASES


def test_an_event_of_a_lease_is_as_any_other() -> None:
    """It is made by a way of its own, for speed."""
    made = of_lease(K.BOUND, NOW, ROW)
    assert type(made) is Event
    assert made == Event(
        NOW, K.BOUND, BASE + 5, ROW.client_key, ROW.hardware_address, ROW.expires_at,
        subject="host-1",
    )  # fmt: skip


def test_kinds_have_words_and_bits() -> None:
    assert KIND_OF_WORD["no_free_address"] is K.NO_FREE_ADDRESS
    assert len(KIND_OF_WORD) == len(K)
    some = frozenset({K.BOUND, K.POOL_HIGH})
    assert kinds_of(mask_of(some)) == some
    assert kinds_of(mask_of(some) | 1 << 60) == some, "a bit of a later version"
    assert mask_of(K) < 1 << 63, "the store's integers have 64 bits"


MAC = "02:00:00:00:00:01"
LEASE = of_lease(K.BOUND, NOW, ROW)
SENTENCES = {
    LEASE: f"10.0.0.5 bound to {MAC} (host-1) until 2027-01-15 09:00:00 UTC",
    LEASE._replace(until=NEVER): f"10.0.0.5 bound to {MAC} (host-1) until ever",
    LEASE._replace(kind=K.RENEWED): f"{MAC} (host-1) keeps 10.0.0.5 until 2027-01-15 09:00:00 UTC",
    LEASE._replace(kind=K.RELEASED, subject=""): f"{MAC} released 10.0.0.5",
    LEASE._replace(kind=K.EXPIRED, hardware_address=b"", subject=""): (
        "the lease of 10.0.0.5 by 01:00:00:00:01 ended at 2027-01-15 09:00:00 UTC"
    ),
    LEASE._replace(kind=K.RELEASED, hardware_address=b"", client_key=b"", subject=""): (
        "an unknown client released 10.0.0.5"
    ),
    LEASE._replace(kind=K.DECLINED): (
        f"{MAC} (host-1) declined 10.0.0.5: somebody else answers there; nobody gets it until"
        " 2027-01-15 09:00:00 UTC"
    ),
    LEASE._replace(kind=K.DECLINED, until=0): (
        f"{MAC} (host-1) declined 10.0.0.5: somebody else answers there; it is tried before"
        " anybody gets it"
    ),
    LEASE._replace(kind=K.IN_USE): (
        f"{MAC} answers at 10.0.0.5, which nobody was given; nobody gets it until"
        " 2027-01-15 09:00:00 UTC"
    ),
    LEASE._replace(kind=K.IN_USE, hardware_address=b"", until=0): (
        "somebody answers at 10.0.0.5, which nobody was given; it is tried before anybody gets it"
    ),
    Event(NOW, K.CONFLICT, BASE + 5, old="01:aa", new="01:bb"): (
        "10.0.0.5 was given to two clients: 01:aa and 01:bb"
    ),
    Event(NOW, K.NO_FREE_ADDRESS, client_key=b"\x01\x02", subject="10.0.0.0/24", new="1"): (
        "no free address in 10.0.0.0/24 for 01:02"
    ),
    Event(NOW, K.NO_FREE_ADDRESS, client_key=b"\x01\x02", subject="10.0.0.0/24", new="10"): (
        "no free address in 10.0.0.0/24 for 01:02, and 9 more messages"
    ),
    Event(NOW, K.CONFIGURED, user="admin", subject="pool a", new='{"name": "x", "o": 0}'): (
        "admin added pool a: name x"
    ),
    Event(
        NOW,
        K.CONFIGURED,
        0,
        user="admin",
        subject="pool a",
        old='{"name": "x", "b": 1}',
        new='{"name": "y", "b": 1, "c": 2}',
    ): "admin changed pool a: name 'x' to 'y', c None to 2",
    Event(NOW, K.CONFIGURED, member=2, subject="pool a", old='{"name": "x"}'): (
        "member 2 deleted pool a: name x"
    ),
    Event(NOW, K.MEMBER_SILENT, member=2, subject="south"): "member 2 south is silent",
    Event(NOW, K.GROUP_CHANGED, subject="lease time", old="60 s", new="90 s"): (
        "lease time of the group changed from 60 s to 90 s"
    ),
    Event(NOW, K.GROUP_FORKED, new="9"): (
        "what this member knew of the group does not stand: generation 9 does"
    ),
    Event(NOW, K.POOL_LOW, subject="10.0.0.1-10.0.0.9", new="1"): (
        "pool 10.0.0.1-10.0.0.9 is low here: 1 free addresses"
    ),
    Event(NOW, K.POOL_HIGH, subject="10.0.0.1-10.0.0.9", new="8"): (
        "pool 10.0.0.1-10.0.0.9 has enough here again: 8 free addresses"
    ),
}


@pytest.mark.parametrize("event", SENTENCES)
def test_an_event_is_a_sentence(event: Event) -> None:
    assert sentence(event) == SENTENCES[event]


def test_every_kind_has_a_sentence_of_one_line_and_an_object() -> None:
    for kind in K:
        event = Event(
            NOW, kind, BASE, b"\1", b"\2", NOW, 2, "bad\nuser", "bad\x1b[2Jname", "1", "2"
        )
        if kind is K.CONFIGURED:
            event = event._replace(old='{"name": "a"}', new='{"name": "\\u001b[2J"}')
        words = sentence(event)
        assert words.isprintable()
        assert words
        told = json.loads(json.dumps(as_json(Numbered(7, event))))
        assert (told["number"], told["kind"], told["sentence"]) == (7, kind.word, words)
        assert told["time"] == "2027-01-15T08:00:00+00:00"


def test_json_leaves_out_what_an_event_is_not_about() -> None:
    told = as_json(Numbered(7, LEASE._replace(subject="", until=NEVER)))
    assert {key: told[key] for key in told if key not in ("sentence", "number")} == {
        "time": "2027-01-15T08:00:00+00:00",
        "kind": "bound",
        "address": "10.0.0.5",
        "client_key": "01:00:00:00:01",
        "hardware_address": MAC,
        "until": None,
    }
    assert set(as_json(Numbered(1, Event(NOW, K.GROUP_FORKED)))) == {
        "number", "time", "kind", "sentence",
    }  # fmt: skip


def test_json_has_a_row_as_an_object() -> None:
    event = Event(NOW, K.CONFIGURED, user="admin", subject="pool a", new='{"name": "x"}')
    told = as_json(Numbered(1, event))
    assert (told["new"], told["user"]) == ({"name": "x"}, "admin")
    assert "old" not in told
