"""The merge is a semilattice in content, and never shortens a lease (docs/protocol.md, "Records,
and which one wins")."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import PacketError
from agent.model import Binding, BindingState, ConfigRecord, Pool, Transaction, Version
from agent.sync.conflict import (
    Rank,
    join_parties,
    pack_parties,
    parties_of,
    repaired,
    unpack_parties,
)
from agent.sync.merge import Choice, content, merge, merge_configuration
from tests.sync.strategies import parties
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
            ROW._replace(
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
        return outcome.row._replace(stream=7 << 32, seq=1_000 + a.seq + b.seq)
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
    """Over epochs in content only: of a lease that is kept from an older epoch nothing is left
    where another client's record came between. Members that tell each other agree all the same."""
    one_epoch = len({row.epoch for row in rows}) == 1
    results = {
        said(result) if one_epoch else content(result)
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
    a, b = (row._replace(epoch=1, client_key=_CLIENTS[0]) for row in rows)
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
            mixed = outcome.row._replace(stream=(to + 1) << 32 | 1, seq=next(numbers))
            held[to] = mixed
            waiting += [(other, mixed) for other in held if other != to]
        else:
            held[to] = outcome.row
    assert len({(said(row), row.stream, row.seq) for row in held.values()}) == 1


def test_a_release_beats_the_grant_that_it_names() -> None:
    released = ROW._replace(state=BindingState.RELEASED, transaction=Transaction.RELEASE, seq=100)
    assert merge(ROW, released).row.state is BindingState.RELEASED
    assert merge(released, ROW).choice is Choice.KEEP


def test_a_release_does_not_beat_a_later_grant() -> None:
    released = ROW._replace(state=BindingState.RELEASED, transaction=Transaction.RELEASE, seq=100)
    renewed = ROW._replace(grant=ROW.grant + 1, stream=3 << 32 | 1, seq=5)
    assert merge(renewed, released) == merge(renewed, ROW)
    assert merge(released, renewed).row.state is BindingState.BOUND


def test_two_clients_in_one_epoch_are_a_conflict() -> None:
    other = ROW._replace(client_key=b"\x01other", client_id=b"other", seq=100)
    outcome = merge(ROW, other)
    assert outcome.choice is Choice.MIX
    assert outcome.row.state is BindingState.UNAVAILABLE
    assert outcome.row.transaction is Transaction.CONFLICT
    assert outcome.row.client_key == max(ROW.client_key, other.client_key)
    assert set(parties_of(outcome.row)) == {ROW.client_key, other.client_key}


def test_every_order_of_merging_names_the_same_parties_and_their_servers() -> None:
    """Counterexample to a plain pair of names: one client's older row, met after the conflict."""
    first = ROW._replace(transaction_server=1, grant=3, seq=100)
    older = ROW._replace(transaction_server=2, grant=2, seq=101)
    other = ROW._replace(client_key=b"\x01other", client_id=b"other", transaction_server=3, seq=102)
    results = [joined(joined(a, b), c) for a, b, c in permutations((first, older, other))]
    assert len({said(row) for row in results}) == 1
    parties = parties_of(results[0])
    assert {key: rank.server for key, rank in parties.items()} == {
        ROW.client_key: 1,
        b"\x01other": 3,
    }


def test_a_repair_beats_the_conflict_wherever_and_whenever_they_meet() -> None:
    other = ROW._replace(client_key=b"\x01other", client_id=b"other", seq=100)
    conflict = joined(ROW, other)
    repair = repaired(conflict, 1, 1_000)._replace(stream=1 << 32 | 1, seq=200)
    late = conflict._replace(transaction_at=conflict.transaction_at + 50, stream=9, seq=9)
    for rows in permutations((conflict, repair, late, ROW)):
        row = rows[0]
        for one in rows[1:]:
            row = joined(row, one)
        assert said(row) == said(repair)


def test_two_operators_that_repair_at_once_agree() -> None:
    other = ROW._replace(client_key=b"\x01other", client_id=b"other", seq=100)
    conflict = joined(ROW, other)
    one = repaired(conflict, 1, 1_000)._replace(stream=1 << 32 | 1, seq=200)
    two = repaired(conflict, 2, 1_001)._replace(stream=2 << 32 | 1, seq=300)
    assert said(joined(one, two)) == said(joined(two, one))
    assert joined(one, two).transaction is Transaction.REPAIR


@given(st.lists(parties, min_size=3, max_size=3))
def test_the_list_of_parties_is_a_semilattice(lists: list[dict[bytes, Rank]]) -> None:
    a, b, c = lists
    assert join_parties(a, b) == join_parties(b, a)
    assert join_parties(join_parties(a, b), c) == join_parties(a, join_parties(b, c))
    assert join_parties(join_parties(a, b), b) == join_parties(a, b)
    assert unpack_parties(pack_parties(a)) == a


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", pack_parties({b"a": Rank(False, 1, 1, 1)})[:-1],
     pack_parties({b"a": Rank(False, 1, 1, 1)}) * 2,
     pack_parties({bytes([n]): Rank(False, 1, 1, 1) for n in range(1, 6)})],
)  # fmt: skip
def test_a_bad_list_of_parties_is_refused(data: bytes) -> None:
    with pytest.raises(PacketError, match="conflict"):
        unpack_parties(data)


def test_a_later_lease_of_the_same_client_is_kept_over_epochs() -> None:
    """A claim has an epoch of its own, while the owner goes on serving the client under the one
    before (simulation, 2 members, seed 3): whoever meets both makes a record of its own."""
    claimed = ROW._replace(
        epoch=ROW.epoch + 1, expires_at=ROW.expires_at - 600, stream=9, seq=1,
        potential_expires_at=ROW.potential_expires_at + 60,
    )  # fmt: skip
    for local, remote in ((ROW, claimed), (claimed, ROW)):
        outcome = merge(local, remote)
        assert outcome.choice is Choice.MIX
        assert (outcome.row.epoch, outcome.row.expires_at) == (claimed.epoch, ROW.expires_at)
        assert outcome.row.potential_expires_at == claimed.potential_expires_at
    released = claimed._replace(state=BindingState.RELEASED)
    assert merge(ROW, released).row.expires_at == ROW.expires_at
    ended = ROW._replace(state=BindingState.RELEASED)
    assert merge(ended, claimed).choice is Choice.TAKE
    other = claimed._replace(client_key=b"\x01other")
    assert merge(ROW, other).choice is Choice.TAKE


def test_a_higher_epoch_wins_plainly() -> None:
    other = ROW._replace(
        client_key=b"\x01other", epoch=ROW.epoch + 1, expires_at=1, stream=9, seq=1
    )
    assert merge(ROW, other).row == other
    assert merge(other, ROW).row == other


@pytest.mark.parametrize("seconds", [0, 1, 2])
def test_what_rounding_makes_of_an_expiry_is_no_change_of_its_own(seconds: int) -> None:
    """Counterexample to a plain maximum: two members with clocks apart re-send it for ever."""
    winner = ROW._replace(grant=ROW.grant + 1, expires_at=ROW.expires_at - seconds, seq=100)
    outcome = merge(ROW, winner)
    assert outcome.choice is Choice.TAKE
    assert outcome.row.expires_at == ROW.expires_at
    assert (outcome.row.stream, outcome.row.seq) == (winner.stream, winner.seq)


def test_a_grant_that_ends_well_before_an_older_one_is_mixed() -> None:
    winner = ROW._replace(grant=ROW.grant + 1, expires_at=ROW.expires_at - 50, seq=100)
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


@pytest.mark.parametrize(
    "later",
    [
        ConfigRecord(Pool(1, 2, active=False), Version(4, 2), stream=2, seq=1),
        ConfigRecord(Pool(1, 2, active=False), Version(4, 2), stream=1, seq=2),
        ConfigRecord(Pool(1, 2), Version(4, 2), deleted=True, stream=1, seq=1),
        ConfigRecord(Pool(1, 3), Version(4, 2), stream=1, seq=1),
    ],
    ids=["stream", "number", "deleted", "contents"],
)
def test_of_two_changes_with_one_version_the_same_one_stays_everywhere(later: ConfigRecord) -> None:
    """The author's store was put back in between, and counted on."""
    first = ConfigRecord(Pool(1, 2), Version(4, 2), stream=1, seq=1)
    assert merge_configuration(first, later) == later
    assert merge_configuration(later, first) is None
