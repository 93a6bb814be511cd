"""Failover's words: every situation has exactly one, and each word has its situation."""

from __future__ import annotations

import itertools

import pytest

from agent.model import Service
from agent.sync.endpoint import TABLE, Endpoint, Standing, endpoint_state

R, P, S, L = Service


@pytest.mark.parametrize(
    ("standing", "wanted"),
    [
        (Standing(), Endpoint.NORMAL),
        (Standing(is_current=False), Endpoint.PARTNER_DOWN),
        (Standing(is_current=False, both_ways=False, disputed=True), Endpoint.PARTNER_DOWN),
        (Standing(its_service=S), Endpoint.SHUTDOWN),
        (Standing(its_service=L, both_ways=False), Endpoint.SHUTDOWN),
        (Standing(disputed=True), Endpoint.POTENTIAL_CONFLICT),
        (Standing(disputed=True, both_ways=False), Endpoint.RESOLUTION_INTERRUPTED),
        (Standing(heard_since_start=False, both_ways=False), Endpoint.STARTUP),
        (Standing(both_ways=False), Endpoint.COMMUNICATIONS_INTERRUPTED),
        (Standing(both_ways=False, its_service=P), Endpoint.COMMUNICATIONS_INTERRUPTED),
        (Standing(i_serve=False, covered=False), Endpoint.RECOVER),
        (Standing(it_serves=False, covered=False), Endpoint.RECOVER),
        (Standing(i_serve=False), Endpoint.RECOVER_DONE),
        (Standing(it_serves=False, its_service=P), Endpoint.RECOVER_DONE),
        (Standing(covered=False), Endpoint.NORMAL),
        (Standing(its_service=P), Endpoint.PAUSED),
    ],
)
def test_each_word_has_its_situation(standing: Standing, wanted: Endpoint) -> None:
    assert endpoint_state(standing) is wanted


def test_every_situation_has_a_word_and_every_word_occurs() -> None:
    flags = (True, False)
    seen = set()
    for current, i_serve, its, it_serves, heard, both, covered, disputed in itertools.product(
        flags, flags, Service, flags, flags, flags, flags, flags
    ):
        standing = Standing(current, i_serve, its, it_serves, heard, both, covered, disputed)
        state = endpoint_state(standing)
        seen.add(state)
        if state is Endpoint.NORMAL:
            assert current
            assert both
            assert its is R
            assert i_serve
            assert it_serves
            assert not disputed
        if state is Endpoint.PARTNER_DOWN:
            assert not current
    assert seen == set(Endpoint)
    assert [state for state, _ in TABLE[-1:]] == [Endpoint.NORMAL]
