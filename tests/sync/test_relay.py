"""Around a link that is cut: records and acknowledgements travel through third members
(docs/protocol.md, "Hello and alignment")."""

from __future__ import annotations

import pytest

from agent.dhcp.lease import Terms, acknowledged_expiry, decide_grant
from agent.model import Binding, stream_id
from agent.sync import messages as m
from tests.sync.lan import POOL_FIRST, Lan, make_binding, make_group

MUL_S, LEASE_S = 60, 3_600


def cut_link(lan: Lan, one: int, other: int) -> None:
    lan.passes = lambda sender, to, _: {sender, to} != {one, other}


def make_lan(members: int = 3) -> Lan:
    numbers = range(1, members + 1)
    lan = Lan(numbers, make_group(numbers))
    lan.run(3_000)
    cut_link(lan, 1, 3)
    lan.run(5_000)
    return lan


def acknowledged(lan: Lan, member: int) -> int:
    with lan.stores[member].read() as tx:
        return tx.streams()[stream_id(member, 1)].acknowledged


def test_a_change_reaches_the_other_side_of_a_cut_within_seconds() -> None:
    lan = make_lan()
    lan.save(1, [make_binding(POOL_FIRST, lan.now_s)])
    took = lan.run(20_000, until=lambda: len(lan.rows(3)) == 1)
    assert took <= 2_500
    lan.save(3, [make_binding(POOL_FIRST + 1, lan.now_s, 3)])
    assert lan.run(20_000, until=lambda: len(lan.rows(1)) == 2) <= 2_500
    lan.run(2_000)
    assert lan.told(1) == lan.told(2) == lan.told(3)


def test_what_a_member_has_recorded_is_known_beyond_the_cut() -> None:
    """PUSHED by an acknowledgement that 2 passes on: 3 cannot speak to 1."""
    lan = make_lan()
    lan.save(1, [make_binding(POOL_FIRST + i, lan.now_s) for i in range(5)])
    begin = len(lan.log)
    took = lan.run(20_000, until=lambda: acknowledged(lan, 1) == 5)
    assert took <= 5_000
    assert not any({s, to} == {1, 3} and answer for s, to, _, answer in lan.log[begin:])


def test_a_lease_reaches_its_full_length_while_a_link_is_cut() -> None:
    """The lead bound (docs/protocol.md, "How long a lease may be") counts on what 3 has recorded,
    as 2 tells it."""
    lan = make_lan()
    first = grant(lan, None)
    assert first.expires_at - lan.now_s == MUL_S
    lan.save(1, [first])
    lan.run(MUL_S // 2 * 1_000)
    (row,) = lan.rows(1)
    second = grant(lan, row)
    assert second.expires_at - lan.now_s == LEASE_S


def grant(lan: Lan, former: Binding | None) -> Binding:
    terms = Terms(LEASE_S, MUL_S, False)
    with lan.stores[1].read() as tx:
        known = acknowledged_expiry(former, tx.streams(), terms)
    given = decide_grant(LEASE_S, terms, former, known, lan.now_s, lan.now_s)
    row = former or make_binding(POOL_FIRST, lan.now_s)
    return row._replace(
        grant=row.grant + 1,
        expires_at=given.expires_at,
        potential_expires_at=given.potential_expires_at,
        acknowledged_at=given.acknowledged_at,
    )


@pytest.mark.parametrize("back_ms", [0, 30_000])
def test_digests_agree_around_a_cut_and_after_it(back_ms: int) -> None:
    lan = make_lan()
    for member in (1, 2, 3):
        rows = [make_binding(POOL_FIRST + 10 * member + i, lan.now_s, member) for i in range(5)]
        lan.save(member, rows)
    lan.run(25_000)
    if back_ms:
        lan.heal()
        lan.run(back_ms)
    digests = {s: r.digest for s, _, r, _ in lan.log[-60:] if isinstance(r, m.Hello) and r.digest}
    assert len(digests) == 3
    assert len(set(digests.values())) == 1


def test_a_chain_of_four_members_passes_everything_on() -> None:
    lan = Lan(range(1, 5), make_group(range(1, 5)))
    lan.run(3_000)
    lan.passes = lambda sender, to, _: abs(sender - to) == 1
    lan.run(5_000)
    lan.save(1, [make_binding(POOL_FIRST, lan.now_s)])
    assert lan.run(30_000, until=lambda: len(lan.rows(4)) == 1) <= 5_000
    assert lan.run(30_000, until=lambda: acknowledged(lan, 1) == 1) <= 8_000
