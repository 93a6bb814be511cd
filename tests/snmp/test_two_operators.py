"""Two operators at once, at one member: each SET is judged as a whole, one after the other."""

from __future__ import annotations

import asyncio

import pytest

from agent.model import ChangeKind, Subnet, parse_address
from agent.snmp import columns
from tests.snmp.test_writing import (
    CREATE,
    DESTROY,
    LAN,
    OTHER,
    POOL,
    audited,
    inside,
    name,
    rows,
    set_as,
)
from tests.snmp.world import World

INNER = (10, 9, 128, 0, 17)


def test_of_two_subnets_that_overlap_one_is_made_and_the_other_refused() -> None:
    async def check(world: World) -> None:
        outcomes = await asyncio.gather(
            set_as(world, name(columns.SUBNET, "RowStatus", OTHER), "i", CREATE),
            set_as(world, name(columns.SUBNET, "RowStatus", INNER), "i", CREATE),
        )
        assert sorted(one.code for one in outcomes) == [0, 2]
        assert "inconsistentValue" in next(one.err for one in outcomes if one.code)
        assert len(rows(world, ChangeKind.SUBNET)) == 2
        assert sorted(action for _, action, _ in audited(world)) == ["refused", "set"]

    inside(check)


@pytest.mark.parametrize("first_names", [("a", "b"), ("b", "a")])
def test_of_two_values_for_one_row_the_later_stands_and_both_are_audited(
    first_names: tuple[str, str],
) -> None:
    async def check(world: World) -> None:
        outcomes = await asyncio.gather(
            *(set_as(world, name(columns.SUBNET, "Name", LAN), "s", one) for one in first_names)
        )
        assert [one.code for one in outcomes] == [0, 0]
        entries = audited(world)
        assert [action for _, action, _ in entries] == ["set", "set"]
        (subnet,) = rows(world, ChangeKind.SUBNET)
        assert isinstance(subnet, Subnet)
        assert subnet.network == parse_address("198.18.0.0")
        assert f'"{subnet.name}"' in entries[-1][2] or subnet.name in entries[-1][2].split()[-1]

    inside(check)


def test_a_pool_and_the_end_of_its_subnet_are_never_both_done() -> None:
    async def check(world: World) -> None:
        made = await set_as(world, name(columns.SUBNET, "RowStatus", OTHER), "i", CREATE)
        assert made.code == 0
        pool = (10, 9, 1, 0, 10, 9, 1, 99)
        outcomes = await asyncio.gather(
            set_as(world, name(columns.POOL, "RowStatus", pool), "i", CREATE),
            set_as(world, name(columns.SUBNET, "RowStatus", OTHER), "i", DESTROY),
        )
        assert sorted(one.code for one in outcomes) == [0, 2]
        pools, subnets = rows(world, ChangeKind.POOL), rows(world, ChangeKind.SUBNET)
        assert (len(pools), len(subnets)) in {(2, 2), (1, 1)}

    inside(check)


def test_the_second_of_two_that_create_one_row_is_told_that_it_is_there() -> None:
    async def check(world: World) -> None:
        row = name(columns.POOL, "RowStatus", POOL)
        outcomes = await asyncio.gather(*(set_as(world, row, "i", CREATE) for _ in range(2)))
        assert sorted(one.code for one in outcomes) == [0, 2]

    inside(check)
