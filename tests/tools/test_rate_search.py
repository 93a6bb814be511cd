"""The search for the highest rate served, against servers of known capacity."""

from __future__ import annotations

import pytest

from tools.bench.search import FIRST_RATE, LAST_RATE, PRECISION, RateSearch


def find(search: RateSearch, capacity: float) -> tuple[int, int]:
    """The rate found, and the steps that it took."""
    steps = 0
    while search.rate:
        steps += 1
        assert steps < 100
        search.note(search.rate <= capacity)
    return search.served, steps


@pytest.mark.parametrize("capacity", [60, 251, 900, 4_750, 9_999, 31_000])
@pytest.mark.parametrize("known", [0, 500, 5_000])
def test_the_rate_found_is_just_under_the_capacity(capacity: int, known: int) -> None:
    served, _ = find(RateSearch.around(known), capacity)
    assert capacity * (1 - PRECISION) - 1 <= served <= capacity


def test_a_second_round_is_shorter_than_the_first() -> None:
    _, first = find(RateSearch(), 7_000)
    _, again = find(RateSearch.around(7_000), 7_000)
    assert again < first


def test_one_bad_step_is_not_believed() -> None:
    search = RateSearch()
    search.note(False)
    assert search.rate == FIRST_RATE
    search.note(True)
    assert search.served == FIRST_RATE


def test_a_server_without_limit_and_one_that_serves_nothing() -> None:
    assert find(RateSearch(), LAST_RATE)[0] == LAST_RATE
    assert find(RateSearch(), 5)[0] == 0
