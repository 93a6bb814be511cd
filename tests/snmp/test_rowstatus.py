"""RFC 2579 2: every state of a row with every RowStatus."""

from __future__ import annotations

from itertools import product

import pytest

from agent.snmp.columns import RowStatus
from agent.snmp.rowstatus import TRANSITIONS, RowState, Step, step_of
from agent.snmp.status import ErrorStatus, RequestError


def test_the_table_is_complete() -> None:
    assert set(TRANSITIONS) == set(product(RowState, [None, *RowStatus]))


@pytest.mark.parametrize("state", RowState)
def test_nobody_can_set_not_ready(state: RowState) -> None:
    with pytest.raises(RequestError) as caught:
        step_of(state, RowStatus.NOT_READY, 2)
    assert (caught.value.status, caught.value.index) == (ErrorStatus.WRONG_VALUE, 2)


def test_destroy_of_a_row_that_is_not_there_succeeds() -> None:
    assert step_of(RowState.ABSENT, RowStatus.DESTROY, 1) is Step.NOTHING


def test_a_row_is_not_created_twice() -> None:
    for wanted in (RowStatus.CREATE_AND_GO, RowStatus.CREATE_AND_WAIT):
        with pytest.raises(RequestError, match="inconsistentValue"):
            step_of(RowState.ACTIVE, wanted, 1)
        with pytest.raises(RequestError, match="inconsistentValue"):
            step_of(RowState.NOT_IN_SERVICE, wanted, 1)


def test_a_column_alone_creates_nothing() -> None:
    with pytest.raises(RequestError, match="inconsistentName"):
        step_of(RowState.ABSENT, None, 1)
