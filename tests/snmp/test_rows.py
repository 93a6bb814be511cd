"""Tables of configuration kinds: what follows any object identifier, and which row an index has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.kinds import KINDS, kind_of
from agent.kinds.former_server import FormerServer
from agent.kinds.option import OPTION
from agent.kinds.scope import (
    GLOBAL,
    Scope,
    host_scope,
    network_scope,
    pool_scope,
    subnet_scope,
)
from agent.model import ConfigRow, Option, Pool, Reservation, Setting, SettingName, Subnet
from agent.snmp.columns import CONFIGURATION
from agent.snmp.lease_tables import providers
from agent.snmp.oid import Oid, octets_index
from agent.snmp.rows import index_of, key_values, place_behind
from agent.snmp.tables import NarrowProvider, ReadingTransaction
from agent.snmp.tables import Scope as Request
from store import Store

BASE = 0x0A00_0000
SCOPES = [
    GLOBAL,
    network_scope("a"),
    network_scope("halls"),
    network_scope("Zürich"),
    subnet_scope(BASE, 8),
    subnet_scope(BASE + 256, 24),
    pool_scope(BASE + 1, BASE + 9),
    host_scope(BASE + 5),
]
ROWS: list[ConfigRow] = [
    *(Option(*scope, code, b"x") for scope in SCOPES for code in (3, 6, 254)),
    *(Subnet(BASE + n * 256, length) for n, length in ((0, 23), (2, 24), (255, 32))),
    *(Pool(BASE + n, BASE + n + 2) for n in (1, 7, 255)),
    *(FormerServer(BASE + n * 256, 24, 9) for n in (0, 2, 255)),
    *(Setting(*scope, name, 9) for scope in SCOPES for name in SettingName),
    *(Reservation(BASE + n, b"\x01x") for n in (0, 1, 255, 256)),
]
GONE = (ROWS[4], ROWS[-1])
"""Deleted."""


def rows_of(number: int) -> list[tuple[Oid, ConfigRow]]:
    return sorted((index_of(row), row) for row in ROWS if kind_of(row).number == number)


@pytest.fixture(scope="module")
def tx() -> Iterator[ReadingTransaction]:
    store = Store.in_memory(member=1, engine_id=bytes([128, 0, 126, 217, 1]))
    with store.write() as tx:
        tx.save_configuration([(row, False) for row in ROWS])
        tx.save_configuration([(row, True) for row in GONE])
    with store.read() as tx:
        yield tx
    store.close()


@st.composite
def oids(draw: st.DrawFn, near: list[Oid]) -> Oid:
    """One that a row has, cut off, with something behind it, or with a strange number in it."""
    index = list(draw(st.sampled_from(near)))
    index = index[: draw(st.integers(0, len(index)))]
    strange = st.sampled_from([0, 1, 2, 3, 11, 97, 254, 255, 256, 300, 2**32 - 1])
    at = draw(st.integers(0, 20))
    if at < len(index):
        index[at] = draw(strange)
    return (*index, *draw(st.lists(strange, max_size=2)))


@pytest.mark.parametrize("number", KINDS)
@given(data=st.data(), limit=st.integers(1, 9))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_what_follows_any_object_identifier(
    number: int, tx: ReadingTransaction, data: st.DataObject, limit: int
) -> None:
    (table,) = [one for one in providers() if one.table is CONFIGURATION[number]]
    assert not isinstance(table, NarrowProvider)
    inorder = [(index, row) for index, row in rows_of(number) if row not in GONE]
    after = data.draw(oids([index for index, _ in rows_of(number)]))
    behind = [one for one in inorder if one[0] > after]
    assert list(table.rows_after(Request(tx, 0), after, limit)) == behind[:limit]
    assert table.row(Request(tx, 0), after) == dict(inorder).get(after)


def test_what_is_deleted_costs_the_reader_of_the_next_row_nothing(tx: ReadingTransaction) -> None:
    """It is kept for ever, and a GETNEXT looked at 65,000 of them one by one."""
    for row in GONE:
        found = tx.configuration_after(kind_of(row).number, (), 1_000)
        assert found
        assert not any(record.deleted for record in found)


def test_a_length_without_its_octets_costs_nothing() -> None:
    assert place_behind(OPTION, (3, 2**32 - 1, 300)) == (3, 2**32 - 1, b"\xff" * 5)


@pytest.mark.parametrize(
    ("index", "problem"),
    [
        ((), "too short"),
        ((3,), "too short"),
        ((3, 5, 97), "too short"),
        ((9, 0, 3), "not a valid ScopeLevel"),
        ((1, 0, 255), "255 is not in 1..254"),
        ((1, 0, 3, 3), "too long"),
        ((2, 1, 300, 3), "range"),
        ((2, 1, 255, 3), "utf-8"),
        ((2, 1, 7, 3), "no printable text"),
    ],
)
def test_an_index_that_no_row_can_have(index: Oid, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        key_values(OPTION, index)


def test_a_scope_is_told_by_its_level_and_name() -> None:
    assert index_of(Option(*subnet_scope(BASE, 8), 3, b"x")) == (3, *octets_index(b"10.0.0.0/8"), 3)
    assert [str(scope) for scope in SCOPES[:3:2]] == ["global", "shared-network halls"]
    assert Scope(*SCOPES[4]) == SCOPES[4]
