"""Rule 3: a lease ends within MUL of what every other member has recorded."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agent.dhcp.lease import (
    Terms,
    acknowledged_expiry,
    decide_grant,
    group_terms,
    is_too_short,
)
from agent.limits import LEASE_LEAST_S
from agent.model import (
    INFINITE_S,
    NEVER,
    Binding,
    Local,
    Member,
    MemberRole,
    MemberState,
    StreamHead,
)
from tests.dhcp.world import FIRST, NOW, Client, group_of, peer_row

LOCAL = Local(1, 1, b"engine-01", 1, 0, 0, 0, True, 0)
TERMS = Terms(600, 60, False)
durations = st.integers(10, 10**6)
instants = st.integers(0, NOW + 10**7)


@given(durations, durations, instants, st.none() | instants)
def test_the_lead_bound(
    lease_s: int, mul_s: int, acknowledged: int, former_end: int | None
) -> None:
    former = None
    if former_end is not None:
        former = peer_row(FIRST, Client(1), expires_at=former_end)
    grant = decide_grant(lease_s, Terms(lease_s, mul_s, False), former, acknowledged, NOW, NOW)
    assert 0 < grant.duration_s <= lease_s
    assert NOW + grant.duration_s <= max(NOW, acknowledged) + mul_s
    assert grant.expires_at >= NOW + grant.duration_s
    assert grant.potential_expires_at >= NOW + lease_s + lease_s // 2
    if former is not None:
        assert grant.expires_at >= former.expires_at
        assert grant.potential_expires_at >= former.potential_expires_at


@given(durations, durations)
def test_alone_there_is_nobody_to_wait_for(lease_s: int, mul_s: int) -> None:
    grant = decide_grant(lease_s, Terms(lease_s, mul_s, True), None, 0, NOW, NOW + 1)
    assert grant.duration_s == lease_s
    assert grant.expires_at == NOW + 1 + lease_s


OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
FIGURES = re.compile(r"^\| ([\d,]+) s \| ([\d,]+) s \| ([\d,]+) s \| ([\d.]+) \|$", re.MULTILINE)


def test_the_figures_of_the_page_are_those_of_the_rule() -> None:
    """docs/operations.md, "Choosing MUL": leases of 8 hours, 10,000 clients, T1 at the half."""
    lease_s, clients = 28_800, 10_000
    found = FIGURES.findall(OPERATIONS.read_text())
    assert len(found) == 3
    for told in found:
        mul_s, first_s, full_for_s = (int(number.replace(",", "")) for number in told[:3])
        terms = Terms(lease_s, mul_s, False)

        def given_s(after_s: int, acknowledged: int, terms: Terms = terms) -> int:
            at = NOW + after_s
            return decide_grant(lease_s, terms, None, acknowledged, at, at).duration_s

        assert given_s(0, 0) == first_s
        recorded = decide_grant(lease_s, terms, None, NOW, NOW, NOW).potential_expires_at
        assert given_s(full_for_s, recorded) == lease_s
        assert given_s(full_for_s + 1, recorded) == lease_s - 1
        late_s = given_s(12 * 3600, recorded)
        assert late_s == mul_s
        assert float(told[3]) == round(clients / (late_s / 2), 1)


def test_an_infinite_lease_waits_for_an_infinite_acknowledgement() -> None:
    terms = Terms(INFINITE_S, 600, False)
    assert decide_grant(INFINITE_S, terms, None, 0, NOW, NOW).duration_s == 600
    grant = decide_grant(INFINITE_S, terms, None, NEVER, NOW, NOW)
    assert (grant.duration_s, grant.expires_at) == (INFINITE_S, NEVER)


def row(seq: int) -> Binding:
    return peer_row(FIRST, Client(1), seq=seq)


def test_acknowledged_is_what_the_streams_number_proves() -> None:
    one = row(seq=7)
    below = {one.stream: StreamHead(one.stream, 9, 0, 6)}
    reached = {one.stream: StreamHead(one.stream, 9, 0, 7)}
    assert acknowledged_expiry(one, below, TERMS) == one.acknowledged_at == 0
    assert acknowledged_expiry(one, reached, TERMS) == one.potential_expires_at
    assert acknowledged_expiry(one, {}, TERMS) == 0
    assert acknowledged_expiry(None, reached, TERMS) == 0


def test_members_that_join_or_only_store_count_and_removed_ones_do_not() -> None:
    def alone(other: Member) -> bool:
        group = group_of(1)
        return group_terms(type(group)("g", 1, 600, 60, (*group.members, other)), LOCAL).alone

    def other(state: MemberState, role: MemberRole = MemberRole.SERVER) -> Member:
        return Member(2, "m2", 1, 161, b"engine-02", state, role)

    assert not alone(other(MemberState.JOINING))
    assert not alone(other(MemberState.ACTIVE, MemberRole.DATABASE))
    assert alone(other(MemberState.REMOVED))


@given(durations, durations, instants, st.integers(1, NOW), st.integers(0, 10**6))
def test_who_may_have_been_declared_dead_counts_from_when_it_was_not(
    lease_s: int, mul_s: int, acknowledged: int, certain_until: int, unseen_s: int
) -> None:
    """Draft 2.3.1. The others hold back what it gave until MUL after what they have recorded, and
    after they declared it dead, which was not before `certain_until`. They count `unseen_s` that
    its clock does not."""
    terms = Terms(lease_s, mul_s, False, certain_until, certain_until, unseen_s)
    grant = decide_grant(lease_s, terms, None, acknowledged, NOW, NOW)
    assert NOW + grant.duration_s <= max(certain_until - unseen_s, acknowledged) + mul_s
    usual = decide_grant(lease_s, Terms(lease_s, mul_s, False), None, acknowledged, NOW, NOW)
    assert grant.duration_s <= usual.duration_s
    short = grant.duration_s < min(lease_s, LEASE_LEAST_S)
    assert is_too_short(grant, lease_s, terms) is short


def test_no_lease_is_too_short_where_the_group_says_so_and_nobody_is_in_doubt() -> None:
    terms = Terms(3600, LEASE_LEAST_S // 2, False)
    grant = decide_grant(3600, terms, None, 0, NOW, NOW)
    assert grant.duration_s == LEASE_LEAST_S // 2
    assert not is_too_short(grant, 3600, terms)


def test_what_was_recorded_before_the_clock_stood_still_ends_earlier_for_the_others() -> None:
    one = row(seq=7)
    reached = {one.stream: StreamHead(one.stream, 9, 0, 7)}
    stood = TERMS._replace(unseen_at=one.transaction_at, unseen_s=100)
    assert acknowledged_expiry(one, reached, stood) == one.potential_expires_at - 100
    later = one._replace(transaction_at=one.transaction_at + 1)
    assert acknowledged_expiry(later, reached, stood) == one.potential_expires_at
    unknown = one._replace(seq=10, acknowledged_at=0)
    assert acknowledged_expiry(unknown, reached, stood) == 0, "an instant that a store can hold"


def test_nobody_is_alone_who_may_have_been_declared_dead() -> None:
    assert group_terms(group_of(1), LOCAL).alone
    assert not group_terms(group_of(1), replace(LOCAL, certain_until=NOW)).alone
