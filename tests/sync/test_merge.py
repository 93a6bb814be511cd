"""The merge is a semilattice in content, and never shortens a lease (protocol.md 2)."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model import Binding, BindingState, ConfigRecord, Pool, Transaction, Version
from agent.sync.merge import Choice, content, merge, merge_configuration
from tests.sync.test_codec import ROW

_CLIENTS = [b"\x01aa", b"\x01bb", b"\x00\x01\x02\x00\x00\x00\x00\x09"]


@st.composite
def rows_of_one_address(draw: st.DrawFn, size: int = 3) -> list[Binding]:
    """Rows as members make them: one name, one content. Small numbers, so that they meet."""
    rows = []
    for number in range(size):
        state = draw(st.sampled_from(BindingState))
        server = draw(st.integers(1, 3))
        transaction = {
            BindingState.BOUND: Transaction.RENEWING,
            BindingState.RELEASED: Transaction.RELEASE,
            BindingState.UNAVAILABLE: Transaction.DECLINE,
        }[state]
        expires_at = 1_000 + draw(st.integers(0, 30)) * 10
        rows.append(
            replace(
                ROW,
                client_key=draw(st.sampled_from(_CLIENTS)),
                hostname=f"host{number}",
                state=state,
                transaction=transaction,
                epoch=draw(st.integers(1, 2)),
                grant=draw(st.integers(1, 3)),
                expires_at=expires_at,
                potential_expires_at=expires_at + draw(st.integers(0, 3)) * 10,
                acknowledged_at=0,
                transaction_at=900 + draw(st.integers(0, 5)) * 10,
                transaction_server=server,
                stream=server << 32 | 1,
                seq=number + 1,
            )
        )
    return rows


def joined(a: Binding, b: Binding) -> Binding:
    """The merged row; a MIX gets a name of its own, later than every other."""
    outcome = merge(a, b)
    if outcome.choice is Choice.MIX:
        return replace(outcome.row, stream=7 << 32, seq=1_000 + a.seq + b.seq)
    return outcome.row


def said(row: Binding) -> tuple[object, ...]:
    return (*content(row), row.expires_at, row.potential_expires_at)


@given(rows_of_one_address(2))
def test_merge_is_commutative(rows: list[Binding]) -> None:
    a, b = rows
    assert said(joined(a, b)) == said(joined(b, a))


@settings(max_examples=600)
@given(rows_of_one_address(3))
def test_merge_is_associative(rows: list[Binding]) -> None:
    results = {
        said(result)
        for a, b, c in permutations(rows)
        for result in (joined(joined(a, b), c), joined(a, joined(b, c)))
    }
    assert len(results) == 1


@given(rows_of_one_address(2))
def test_merge_is_idempotent(rows: list[Binding]) -> None:
    a, b = rows
    once = joined(a, b)
    assert merge(once, once).choice is Choice.KEEP
    assert said(joined(once, a)) == said(once)
    assert said(joined(once, b)) == said(once)


@given(rows_of_one_address(2))
def test_merge_never_shortens_a_lease_of_the_same_client_and_epoch(rows: list[Binding]) -> None:
    a, b = (replace(row, epoch=1, client_key=_CLIENTS[0]) for row in rows)
    row = merge(a, b).row
    assert row.expires_at == max(a.expires_at, b.expires_at)
    assert row.potential_expires_at == max(a.potential_expires_at, b.potential_expires_at)


@settings(max_examples=200)
@given(rows_of_one_address(3), st.randoms(use_true_random=False))
def test_members_that_tell_each_other_converge_to_equal_names(
    rows: list[Binding], random: object
) -> None:
    """Each member starts with one row; every change goes to all, in any order, until silence."""
    held = dict(enumerate(rows))
    waiting = [(to, row) for to in held for row in rows]
    numbers = iter(range(100, 10_000))
    steps = 0
    while waiting:
        steps += 1
        assert steps < 500
        to, row = waiting.pop(random.randrange(len(waiting)))  # type: ignore[attr-defined]
        outcome = merge(held[to], row)
        if outcome.choice is Choice.MIX:
            mixed = replace(outcome.row, stream=(to + 1) << 32 | 1, seq=next(numbers))
            held[to] = mixed
            waiting += [(other, mixed) for other in held if other != to]
        else:
            held[to] = outcome.row
    assert len({(said(row), row.stream, row.seq) for row in held.values()}) == 1


def test_a_release_beats_the_grant_that_it_names() -> None:
    released = replace(ROW, state=BindingState.RELEASED, transaction=Transaction.RELEASE, seq=100)
    assert merge(ROW, released).row.state is BindingState.RELEASED
    assert merge(released, ROW).choice is Choice.KEEP


def test_a_release_does_not_beat_a_later_grant() -> None:
    released = replace(ROW, state=BindingState.RELEASED, transaction=Transaction.RELEASE, seq=100)
    renewed = replace(ROW, grant=ROW.grant + 1, stream=3 << 32 | 1, seq=5)
    assert merge(renewed, released) == merge(renewed, ROW)
    assert merge(released, renewed).row.state is BindingState.BOUND


def test_two_clients_in_one_epoch_are_a_conflict() -> None:
    other = replace(ROW, client_key=b"\x01other", client_id=b"other", seq=100)
    outcome = merge(ROW, other)
    assert outcome.choice is Choice.MIX
    assert outcome.row.state is BindingState.UNAVAILABLE
    assert outcome.row.transaction is Transaction.CONFLICT
    assert outcome.row.client_key == max(ROW.client_key, other.client_key)


def test_a_higher_epoch_wins_plainly() -> None:
    other = replace(
        ROW, client_key=b"\x01other", epoch=ROW.epoch + 1, expires_at=1, stream=9, seq=1
    )
    assert merge(ROW, other).row == other
    assert merge(other, ROW).row == other


@pytest.mark.parametrize("seconds", [0, 1, 2])
def test_what_rounding_makes_of_an_expiry_is_no_change_of_its_own(seconds: int) -> None:
    """Counterexample to a plain maximum: two members with clocks apart re-send it for ever."""
    winner = replace(ROW, grant=ROW.grant + 1, expires_at=ROW.expires_at - seconds, seq=100)
    outcome = merge(ROW, winner)
    assert outcome.choice is Choice.TAKE
    assert outcome.row.expires_at == ROW.expires_at
    assert (outcome.row.stream, outcome.row.seq) == (winner.stream, winner.seq)


def test_a_grant_that_ends_well_before_an_older_one_is_mixed() -> None:
    winner = replace(ROW, grant=ROW.grant + 1, expires_at=ROW.expires_at - 50, seq=100)
    outcome = merge(ROW, winner)
    assert outcome.choice is Choice.MIX
    assert outcome.row.grant == winner.grant
    assert outcome.row.expires_at == ROW.expires_at


def test_configuration_is_last_writer_wins() -> None:
    old = ConfigRecord(Pool(1, 2), Version(4, 2), stream=1, seq=1)
    new = ConfigRecord(Pool(1, 2, active=False), Version(5, 1), stream=1, seq=2)
    assert merge_configuration(old, new) == new
    assert merge_configuration(new, old) is None
    assert merge_configuration(None, old) == old
    assert merge_configuration(old, old) is None
