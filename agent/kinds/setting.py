"""Settings: the times of a lease, for the clients of a scope."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated

from agent.kinds.kind import ChangeKind, Field, declare
from agent.kinds.scope import Scope, ScopeLevel, scope_problem
from agent.kinds.values import Choice, Number, Text
from agent.limits import SCOPE_OCTETS_MAX


class SettingName(enum.IntEnum):
    """`LEASE` for a client that asks for no time (option 51); one that asks gets what it asks for,
    between `MIN_LEASE` and `MAX_LEASE`. `RENEWAL` and `REBINDING` are T1 and T2 (RFC 2131 4.4.5).
    """

    LEASE = 1
    MIN_LEASE = 2
    MAX_LEASE = 3
    RENEWAL = 4
    REBINDING = 5


@dataclass(frozen=True, slots=True)
class Setting:
    """What a setting is for the clients of a scope."""

    level: Annotated[
        ScopeLevel, Field(Choice(ScopeLevel), "the level of its scope", key="", column="Level")
    ]
    scope: Annotated[
        str, Field(Text(SCOPE_OCTETS_MAX), "the name of its scope", key=" ", column="Scope")
    ]
    name: Annotated[SettingName, Field(Choice(SettingName), "what is set", key=":", column="Name")]
    value: Annotated[
        int,
        Field(Number(4, 0, 0xFFFF_FFFF, set_low=1, unit="s"), "its value", column="Value", arc=4),
    ]
    active: bool = True

    @property
    def place(self) -> Scope:
        return Scope(self.level, self.scope)


SETTING = declare(
    Setting,
    ChangeKind.SETTING,
    "setting",
    table=7,
    status_arc=5,
    checks={"scope": ("level",), "what": ("name",), "value": ("value",)},
    problem=lambda row: scope_problem(row.place),
)
