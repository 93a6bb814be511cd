"""What the operators are told, and when."""

from __future__ import annotations

from dataclasses import replace

from agent.limits import NEW_POOL_QUIET_MS, NOTICES_MAX
from agent.model import AddressState, MemberState, Pool, Subnet
from agent.sync.notices import Notice, config_mismatch, group_change
from tests.sync.lan import NETWORK, POOL_FIRST, Lan, make_binding, make_group, make_member


def told(lan: Lan, member: int = 1) -> list[Notice]:
    return lan.nodes[member].take_notices()


def names(lan: Lan, member: int = 1) -> list[str]:
    return [notice.name for notice in told(lan, member)]


def settled(pool_size: int = 0) -> Lan:
    lan = Lan([1, 2], make_group([1, 2]), pool_size)
    lan.run(10_000)
    told(lan)
    return lan


def test_a_member_that_falls_silent_and_comes_back_is_told_once_each() -> None:
    lan = settled()
    lan.cut(2)
    lan.run(60_000)
    (gone,) = told(lan)
    assert gone.name == "dhcpSyncMemberStateChange"
    assert gone.objects[0] == ("dhcpSyncMemberName", (2,), "m2")
    down = gone.objects[1][2]
    lan.heal()
    lan.run(10_000)
    (back,) = told(lan)
    assert back.objects[1][2] != down


def test_a_pool_that_runs_out_here_is_told_once_and_its_recovery_too() -> None:
    lan = settled(pool_size=256)
    assert lan.owned(1) > 64
    lan.cut(2)
    free = [
        address
        for one in lan.ranges(1, AddressState.BINDABLE)
        for address in range(one.first, one.last + 1)
    ]
    lan.save(1, [make_binding(address, lan.now_s) for address in free[:-4]])
    lan.run(30_000)
    assert names(lan).count("dhcpSyncFreeAddressLow") == 1
    lan.run(30_000)
    assert names(lan) == []
    lan.heal()
    lan.run(60_000)
    assert names(lan).count("dhcpSyncFreeAddressHigh") == 1


def test_a_new_generation_is_told() -> None:
    lan = settled()
    lan.add(3)
    with lan.stores[1].write() as tx:
        lan.nodes[1].propose_join(tx, make_member(3), lan.now_ms)
    lan.flush(1)
    lan.run(20_000)
    changes = [notice for notice in told(lan) if notice.name == "dhcpSyncGroupChange"]
    assert changes[0].objects[0] == ("dhcpSyncGroupGeneration", (1,), 2)
    assert changes[0].objects[1] == ("dhcpSyncGroupMemberCount", (1,), 3)


def test_what_nobody_takes_is_bounded() -> None:
    lan = settled()
    situation = lan.nodes[1]._situation
    for _ in range(NOTICES_MAX + 5):
        situation.notify(config_mismatch(2, "m2"))
    assert len(told(lan)) == NOTICES_MAX


def test_a_new_pool_begins_empty_and_is_no_alarm() -> None:
    """40 subnets that were added sent 40 times Low and High within a second."""
    lan = Lan([1, 2], make_group([1, 2]))
    lan.run(10_000)
    told(lan)
    with lan.stores[1].write() as tx:
        pools = [Pool(POOL_FIRST + 256 * n, POOL_FIRST + 256 * n + 255) for n in range(5)]
        tx.save_configuration([(Subnet(NETWORK, 15), False), *((pool, False) for pool in pools)])
    lan.run(NEW_POOL_QUIET_MS + 10_000)
    assert lan.owned(1) > 5 * 64
    assert not {name for name in names(lan) if "FreeAddress" in name}


def test_a_new_pool_of_which_nothing_comes_here_is_told_after_a_minute() -> None:
    lan = Lan([1, 2], make_group([1, 2]))
    lan.run(10_000)
    lan.cut(2)
    told(lan)
    with lan.stores[1].write() as tx:
        pool = Pool(POOL_FIRST, POOL_FIRST + 255)
        tx.save_configuration([(Subnet(NETWORK, 15), False), (pool, False)])
    lan.run(NEW_POOL_QUIET_MS - 10_000)
    assert "dhcpSyncFreeAddressLow" not in names(lan)
    lan.run(30_000)
    assert names(lan).count("dhcpSyncFreeAddressLow") == 1


def test_the_members_that_are_counted_are_those_of_the_table() -> None:
    """One that is down keeps its seat, and is no member that the group has."""
    one, two = make_group([1, 2]).members
    group = replace(make_group([1, 2]), members=(one, replace(two, state=MemberState.DOWN)))
    assert group_change(group).objects[1][2] == len(group.current) == 1
