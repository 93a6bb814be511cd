"""An operator ends a lease: what the record becomes, who hears of it, and when it may not be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.errors import PeerError
from agent.model import (
    NEVER,
    AddressState,
    Binding,
    BindingState,
    MemberState,
    Service,
    Transaction,
)
from tests.sync.lan import POOL_FIRST, Lan, make_binding, make_group


def leased(members: int = 2, **changes: Any) -> Lan:
    """Member 1 has given the address, and all know it."""
    listed = range(1, members + 1)
    lan = Lan(listed, make_group(listed), pool_size=1)
    lan.run(20_000)
    lan.save(1, [make_binding(POOL_FIRST, lan.now_s, 1, epoch=9, **changes)])
    lan.run(5_000)
    return lan


def release(lan: Lan, member: int) -> None:
    with lan.stores[member].write() as tx:
        lan.nodes[member].release(tx, POOL_FIRST, lan.clock(member))


def row_at(lan: Lan, member: int) -> Binding:
    return next(row for row in lan.rows(member) if row.address == POOL_FIRST)


@pytest.mark.parametrize("at", [1, 2])
def test_it_is_the_clients_own_release_and_reaches_everybody(at: int) -> None:
    """Whether everybody had recorded the grant only the member knows that gave it."""
    lan = leased(3)
    before = row_at(lan, at)
    release(lan, at)
    lan.run(5_000)
    for member in (1, 2, 3):
        row = row_at(lan, member)
        assert (row.state, row.transaction) == (BindingState.RELEASED, Transaction.RELEASE)
        assert (row.transaction_server, row.epoch, row.grant) == (at, before.epoch, before.grant)
        assert row.client_key == before.client_key, "it is remembered for it"
        assert row.expires_at == before.expires_at, "a record never shrinks"
    assert row_at(lan, at).is_settled is (at == 1)


def test_the_address_can_be_had_by_others_once_it_has_rested() -> None:
    lan = leased()
    lan.run(5_000)
    release(lan, 1)
    end = row_at(lan, 1).expires_at
    lan.run(300_000, until=lambda: any(lan.ranges(m, AddressState.BINDABLE) for m in (1, 2)))
    assert any(lan.ranges(m, AddressState.BINDABLE) for m in (1, 2))
    assert lan.now_s < end, "long before the lease would have been over"


def test_a_renewal_that_was_not_known_is_not_released() -> None:
    lan = leased()
    lan.cut(2)
    renewed = row_at(lan, 2)._replace(
        grant=2, expires_at=lan.now_s + 900, potential_expires_at=lan.now_s + 900,
        transaction=Transaction.RENEWING, transaction_server=2,
    )  # fmt: skip
    lan.save(2, [renewed])
    release(lan, 1)
    lan.run(2_000)
    lan.heal()
    lan.run(20_000)
    for member in (1, 2):
        assert (row_at(lan, member).state, row_at(lan, member).grant) == (BindingState.BOUND, 2)


def test_a_grant_that_not_everybody_has_recorded_keeps_its_time() -> None:
    lan = leased()
    lan.cut(2)
    lan.save(1, [row_at(lan, 1)._replace(grant=2, transaction_at=lan.now_s)])
    lan.run(1_000)
    release(lan, 1)
    assert not row_at(lan, 1).is_settled


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": BindingState.RELEASED}, r"no_lease: 198\.18\.16\.0 is released already"),
        ({"state": BindingState.UNAVAILABLE, "transaction": Transaction.DECLINE}, "is unavailable"),
        ({"expires_at": 5, "potential_expires_at": 5}, "the lease of .* is over"),
        ({"expires_at": NEVER, "potential_expires_at": NEVER}, "endless: .* never ends"),
    ],
)
def test_what_is_no_lease_that_can_be_ended(changes: dict[str, Any], words: str) -> None:
    lan = leased(**changes)
    before = row_at(lan, 1)
    with pytest.raises(PeerError, match=words):
        release(lan, 1)
    assert row_at(lan, 1) == before


def test_an_address_that_nobody_had() -> None:
    lan = Lan([1], make_group([1]), pool_size=1)
    lan.run(5_000)
    with pytest.raises(PeerError, match=r"no_lease: nobody has or had 198\.18\.16\.0"):
        release(lan, 1)


def test_a_member_that_does_not_hold_everything_ends_no_lease() -> None:
    lan = leased()
    lan.restart(2)
    with lan.stores[2].write() as tx:
        tx.set_serving(False, since=0)
    with pytest.raises(PeerError, match="not_serving: member 2 does not hold all"):
        release(lan, 2)


def test_a_member_that_was_removed_ends_no_lease() -> None:
    lan = leased()
    group = make_group([1, 2], generation=9)
    one, two = group.members
    with lan.stores[2].write() as tx:
        tx.put_group(replace(group, members=(one, replace(two, state=MemberState.REMOVED))))
    lan.restart(2)
    with pytest.raises(PeerError, match="not_serving"):
        release(lan, 2)


def test_a_paused_member_takes_the_order() -> None:
    lan = leased()
    with lan.stores[1].write() as tx:
        lan.nodes[1].set_service(tx, Service.PAUSED, lan.clock(1))
    release(lan, 1)
    lan.run(3_000)
    assert row_at(lan, 2).state is BindingState.RELEASED
