"""The index that follows any OID, against all indexes written out."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from agent.snmp.oid import (
    address_index,
    first_index_after,
    format_oid,
    index_address,
)

LIMITS = (2, 1, 3)
ALL = list(product(*(range(limit + 1) for limit in LIMITS)))


@given(st.lists(st.integers(0, 5), max_size=5).map(tuple))
def test_first_index_after(after: tuple[int, ...]) -> None:
    behind = [index for index in ALL if index > after]
    assert first_index_after(after, LIMITS) == (behind[0] if behind else None)


@given(st.integers(0, 2**32 - 1))
def test_addresses_as_indexes(address: int) -> None:
    assert index_address(address_index(address)) == address


def test_text() -> None:
    assert format_oid((1, 3, 6, 1)) == "1.3.6.1"
