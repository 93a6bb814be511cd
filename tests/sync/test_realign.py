"""A store that somebody has edited: an operator says whose rows are right."""

from __future__ import annotations

import pytest

from agent.errors import PeerError
from agent.model import Binding, ChangeKind, ConfigRecord
from tests.sync.lan import POOL_FIRST, Lan, make_binding, make_group


def make_lan() -> Lan:
    lan = Lan([1, 2, 3], make_group([1, 2, 3]), pool_size=100)
    lan.run(3_000)
    lan.save(1, [make_binding(POOL_FIRST + i, lan.now_s) for i in range(5)])
    lan.run(1_000)
    assert converged(lan)
    return lan


def converged(lan: Lan) -> bool:
    return lan.told(1) == lan.told(2) == lan.told(3)


def edit(lan: Lan, member: int, row: Binding) -> None:
    """As with another program: under the same change."""
    with lan.stores[member].write() as tx:
        tx.put_bindings([row])


def realign(lan: Lan, member: int, peer: int) -> None:
    with lan.stores[member].write() as tx:
        lan.nodes[member].realign(tx, peer, lan.now_ms)
    lan.run(2_000)


def counted(lan: Lan, member: int, name: str) -> int:
    with lan.stores[member].read() as tx:
        return tx.counters().get(f"cluster_{name}", 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"hostname": "edited"},
        {"grant": 9},
        {"client_key": b"\x00\x01\x02\x02\x02\x02\x02\x02", "hardware_address": b"\x02" * 6},
        {"expires_at": 2_000_000_000, "potential_expires_at": 2_000_000_001},
    ],
)
def test_a_row_of_the_same_change_is_replaced_at_the_member_that_is_told_and_nowhere_else(
    changes: dict[str, object],
) -> None:
    lan = make_lan()
    good = lan.rows(2)[3]
    edit(lan, 2, good._replace(acknowledged_at=good.expires_at, **changes))  # type: ignore[arg-type]
    lan.run(1_000)
    assert not converged(lan)
    realign(lan, 2, 3)
    assert converged(lan)
    assert lan.rows(2)[3]._replace(acknowledged_at=0) == good._replace(acknowledged_at=0)
    lan.run(30_000)
    assert converged(lan)
    assert [counted(lan, member, "rows_replaced") for member in (1, 2, 3)] == [0, 1, 0]
    assert counted(lan, 2, "conflicts") == 0


def test_after_a_replacement_the_digests_agree_again() -> None:
    lan = make_lan()
    good = lan.rows(2)[3]
    edit(lan, 2, good._replace(hostname="edited"))
    lan.nodes[2]._digest.reset()  # as after any change
    lan.run(20_000)
    assert counted(lan, 1, "digest_mismatches") > 0
    realign(lan, 2, 1)
    lan.run(20_000)
    before = [counted(lan, member, "digest_mismatches") for member in (1, 2, 3)]
    lan.run(120_000)
    assert [counted(lan, member, "digest_mismatches") for member in (1, 2, 3)] == before


def test_configuration_of_the_same_version_is_replaced() -> None:
    lan = make_lan()
    with lan.stores[2].write() as tx:
        (record,) = tx.configuration(ChangeKind.POOL)
        edited = ConfigRecord(
            record.row, record.version, deleted=True, stream=record.stream, seq=record.seq
        )
        tx.put_configuration([edited])
    lan.run(1_000)
    realign(lan, 2, 1)
    with lan.stores[2].read() as tx:
        assert tx.configuration(ChangeKind.POOL) == [record]


def test_a_lease_that_is_renewed_meanwhile_stays() -> None:
    lan = make_lan()
    good = lan.rows(2)[3]
    edit(lan, 2, good._replace(hostname="edited"))
    lan.save(2, [good._replace(grant=2, expires_at=good.expires_at + 60)])
    realign(lan, 2, 3)
    assert converged(lan)
    assert {lan.rows(member)[3].grant for member in (1, 2, 3)} == {2}


@pytest.mark.parametrize("other", [2, 3, 9])
def test_a_member_that_is_not_heard_is_no_example(other: int) -> None:
    lan = make_lan()
    lan.cut(3)
    lan.run(60_000)
    with (
        pytest.raises(PeerError, match=f"member {other} is not heard"),
        lan.stores[2].write() as tx,
    ):
        lan.nodes[2].realign(tx, other, lan.now_ms)


def test_an_order_waits_for_what_is_being_asked_of_that_member() -> None:
    lan = make_lan()
    edit(lan, 2, lan.rows(2)[3]._replace(hostname="edited"))
    lan.latency_ms = lambda: 40
    lan.save(3, [make_binding(POOL_FIRST + 50 + i, lan.now_s, 3) for i in range(5)])
    lan.run(20)
    with lan.stores[2].write() as tx:
        for peer in (1, 3):
            lan.nodes[2].realign(tx, peer, lan.now_ms)
    lan.run(5_000)
    assert converged(lan)
