"""Two clients on one address under one epoch, among real nodes: found, told, kept, repaired."""

from __future__ import annotations

import pytest

from agent.errors import PeerError
from agent.limits import EXPIRY_GRACE_S
from agent.model import AddressState, Binding, BindingState, Transaction
from agent.sync.conflict import is_conflict, parties_of
from agent.sync.merge import merge
from tests.sync.lan import POOL_FIRST, Lan, make_binding, make_group

OTHER_CLIENT = b"\x01other"


def in_conflict(lease_s: int = 600) -> Lan:
    """Members 1 and 2 have bound one address while they were cut; now all three know."""
    lan = Lan([1, 2, 3], make_group([1, 2, 3]), pool_size=1)
    lan.run(30_000)
    lan.cut(1)
    end = lan.now_s + lease_s
    one = make_binding(POOL_FIRST, lan.now_s, 1, epoch=9, expires_at=end, potential_expires_at=end)
    two = one._replace(client_key=OTHER_CLIENT, client_id=b"other", transaction_server=2)
    lan.save(1, [one])
    lan.save(2, [two])
    lan.run(5_000)
    lan.heal()
    lan.run(10_000)
    return lan


def row_at(lan: Lan, member: int) -> Binding:
    return next(row for row in lan.rows(member) if row.address == POOL_FIRST)


def repair(lan: Lan, member: int) -> None:
    with lan.stores[member].write() as tx:
        lan.nodes[member].repair_conflict(tx, POOL_FIRST, lan.clock(member))


def test_every_member_has_the_conflict_and_tells_it_once() -> None:
    lan = in_conflict()
    for member in (1, 2, 3):
        row = row_at(lan, member)
        assert is_conflict(row)
        assert {key: rank.server for key, rank in parties_of(row).items()} == {
            make_binding(POOL_FIRST, 0).client_key: 1,
            OTHER_CLIENT: 2,
        }
        told = [n for n in lan.nodes[member].take_notices() if n.name == "dhcpSyncConflict"]
        assert len(told) == 1
        assert {value for _, _, value in told[0].objects} >= {OTHER_CLIENT, 1, 2}


def test_the_address_comes_back_only_by_repair_and_after_both_leases() -> None:
    lan = in_conflict(lease_s=600)
    lan.run(3_600_000)
    assert is_conflict(row_at(lan, 1))
    owners = [m for m in lan.nodes if covers(lan, m)]
    assert owners == []
    repair(lan, 3)
    lan.run(60_000, until=lambda: any(covers(lan, m) for m in lan.nodes))
    assert any(covers(lan, member) for member in lan.nodes)
    for member in (1, 2, 3):
        row = row_at(lan, member)
        assert (row.state, row.transaction) == (BindingState.UNAVAILABLE, Transaction.REPAIR)


def covers(lan: Lan, member: int) -> bool:
    """Whether the member may give the address to a client."""
    return any(
        one.first <= POOL_FIRST <= one.last and one.epoch > row_at(lan, member).epoch
        for one in lan.ranges(member, AddressState.BINDABLE)
    )


def test_a_repair_before_the_leases_are_over_waits_for_them() -> None:
    lan = in_conflict(lease_s=600)
    end = row_at(lan, 1).expires_at
    repair(lan, 1)
    lan.run((end + EXPIRY_GRACE_S - lan.now_s - 1) * 1000)
    assert not any(covers(lan, member) for member in lan.nodes)
    lan.run(120_000)
    assert any(covers(lan, member) for member in lan.nodes)


def test_no_repair_while_a_member_may_not_know_of_the_conflict() -> None:
    lan = in_conflict()
    lan.cut(3)
    newer = row_at(lan, 1)._replace(transaction_at=lan.now_s)
    lan.save(1, [newer])
    lan.run(1_000)
    with pytest.raises(PeerError, match="member 3 has not confirmed"):
        repair(lan, 1)
    lan.heal()
    lan.run(10_000)
    repair(lan, 1)


def test_what_is_no_conflict_is_not_repaired() -> None:
    lan = in_conflict()
    repair(lan, 1)
    with pytest.raises(PeerError, match="is not in conflict"):
        repair(lan, 1)


def test_one_machine_with_two_identifiers_is_in_conflict_as_two_are() -> None:
    """A boot ROM and the system that it loads, given a reserved address on two sides of a cut."""
    rom = make_binding(POOL_FIRST, 1_000, 1, client_key=b"\x01rom", client_id=b"rom")
    system = rom._replace(client_key=b"\x01system", client_id=b"system", stream=2, seq=1)
    assert rom.hardware_address == system.hardware_address
    row = merge(rom, system).row
    assert set(parties_of(row)) == {b"\x01rom", b"\x01system"}
