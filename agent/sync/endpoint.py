"""Failover's words for how this member stands to another one (failover draft, section 9).

Nothing is decided by these states: they are read from what the rules have decided, so that who
knows the words of failover knows at once what the matter is. One table, from the first line that
fits: what the group has decided of the other, what that one is doing, then what is heard. What an
operator has told this member itself is said in its own row: a paused one knows of the others what
it knew before.

| word | here |
|---|---|
| STARTUP | this member has just started and has not heard the other yet |
| NORMAL | the other serves, and both hear each other |
| COMMUNICATIONS-INTERRUPTED | the other is not heard, or does not hear; each serves on |
| PARTNER-DOWN | the group has decided that the other is out |
| RECOVER | one of the two takes over what it lacks before it serves |
| RECOVER-DONE | it lacks nothing of the other any more, and does not serve yet |
| POTENTIAL-CONFLICT | they hear each other and hold different things: rows, or groups |
| RESOLUTION-INTERRUPTED | that, and the other is not heard any more |
| PAUSED | the other was told by an operator to answer no client for a while |
| SHUTDOWN | the other is handing over, to go |
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from agent.model import Service


class Endpoint(enum.IntEnum):
    STARTUP = 1
    NORMAL = 2
    COMMUNICATIONS_INTERRUPTED = 3
    PARTNER_DOWN = 4
    RECOVER = 5
    RECOVER_DONE = 6
    POTENTIAL_CONFLICT = 7
    RESOLUTION_INTERRUPTED = 8
    PAUSED = 9
    SHUTDOWN = 10


@dataclass(frozen=True, slots=True)
class Standing:
    """What the rules know. `both_ways`: the link is BIDIRECTIONAL. `covered`: this member and the
    other hold what each other's vectors claim. `disputed`: they hold different rows under equal
    vectors, or different groups. `heard_since_start`: ever, by this process."""

    is_current: bool = True
    i_serve: bool = True
    its_service: Service = Service.RUNNING
    it_serves: bool = True
    heard_since_start: bool = True
    both_ways: bool = True
    covered: bool = True
    disputed: bool = False


_GOING = (Service.SHUTDOWN, Service.LEAVING)

TABLE: tuple[tuple[Endpoint, Callable[[Standing], bool]], ...] = (
    (Endpoint.PARTNER_DOWN, lambda s: not s.is_current),
    (Endpoint.SHUTDOWN, lambda s: s.its_service in _GOING),
    (Endpoint.RESOLUTION_INTERRUPTED, lambda s: s.disputed and not s.both_ways),
    (Endpoint.POTENTIAL_CONFLICT, lambda s: s.disputed),
    (Endpoint.STARTUP, lambda s: not s.heard_since_start),
    (Endpoint.COMMUNICATIONS_INTERRUPTED, lambda s: not s.both_ways),
    (Endpoint.RECOVER, lambda s: not (s.i_serve and s.it_serves) and not s.covered),
    (Endpoint.RECOVER_DONE, lambda s: not (s.i_serve and s.it_serves)),
    (Endpoint.PAUSED, lambda s: s.its_service is Service.PAUSED),
    (Endpoint.NORMAL, lambda _: True),
)
"""The first line that fits is the state."""


def endpoint_state(standing: Standing) -> Endpoint:
    return next(state for state, fits in TABLE if fits(standing))
