"""RowStatus (RFC 2579 2) as one table: what a SET means for a row that is there or not.

Our rows are complete as soon as they exist, so notReady never occurs; createAndWait makes a row
that is notInService, and is refused like createAndGo where values are missing.
"""

from __future__ import annotations

import enum

from agent.snmp.columns import RowStatus
from agent.snmp.status import ErrorStatus, RequestError


class RowState(enum.Enum):
    ABSENT = "absent"
    ACTIVE = "active"
    NOT_IN_SERVICE = "notInService"


class Step(enum.Enum):
    """What is to be done with the row; every step but REMOVE and NOTHING sets columns too."""

    CREATE_ACTIVE = "create, active"
    CREATE_INACTIVE = "create, not in service"
    KEEP = "set columns only"
    ACTIVATE = "into service"
    DEACTIVATE = "out of service"
    REMOVE = "remove"
    NOTHING = "nothing"


_A, _N, _X = RowState.ACTIVE, RowState.NOT_IN_SERVICE, RowState.ABSENT
_S = RowStatus
_BAD_VALUE = ErrorStatus.INCONSISTENT_VALUE
_NEVER = ErrorStatus.WRONG_VALUE

TRANSITIONS: dict[tuple[RowState, RowStatus | None], Step | ErrorStatus] = {
    (_X, None): ErrorStatus.INCONSISTENT_NAME,
    (_X, _S.ACTIVE): _BAD_VALUE,
    (_X, _S.NOT_IN_SERVICE): _BAD_VALUE,
    (_X, _S.NOT_READY): _NEVER,
    (_X, _S.CREATE_AND_GO): Step.CREATE_ACTIVE,
    (_X, _S.CREATE_AND_WAIT): Step.CREATE_INACTIVE,
    (_X, _S.DESTROY): Step.NOTHING,
    (_A, None): Step.KEEP,
    (_A, _S.ACTIVE): Step.KEEP,
    (_A, _S.NOT_IN_SERVICE): Step.DEACTIVATE,
    (_A, _S.NOT_READY): _NEVER,
    (_A, _S.CREATE_AND_GO): _BAD_VALUE,
    (_A, _S.CREATE_AND_WAIT): _BAD_VALUE,
    (_A, _S.DESTROY): Step.REMOVE,
    (_N, None): Step.KEEP,
    (_N, _S.ACTIVE): Step.ACTIVATE,
    (_N, _S.NOT_IN_SERVICE): Step.KEEP,
    (_N, _S.NOT_READY): _NEVER,
    (_N, _S.CREATE_AND_GO): _BAD_VALUE,
    (_N, _S.CREATE_AND_WAIT): _BAD_VALUE,
    (_N, _S.DESTROY): Step.REMOVE,
}
"""By the row's state and the RowStatus in the SET (None: not in it)."""


def step_of(state: RowState, wanted: RowStatus | None, index: int) -> Step:
    """The step for a row. Raises RequestError at variable binding `index`."""
    step = TRANSITIONS[state, wanted]
    if isinstance(step, ErrorStatus):
        asked = "no RowStatus" if wanted is None else f"RowStatus {wanted.name}"
        raise RequestError(step, index, f"the row is {state.value}, the SET has {asked}")
    return step
