"""Options: what clients are told beside their address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from agent.kinds.kind import ChangeKind, Field, declare
from agent.kinds.scope import Scope, ScopeLevel, scope_problem
from agent.kinds.values import Choice, Number, Octets, Text
from agent.limits import OPTION_OCTETS_MAX, SCOPE_OCTETS_MAX


@dataclass(frozen=True, slots=True)
class Option:
    """A DHCP option for the clients of a scope."""

    level: Annotated[
        ScopeLevel, Field(Choice(ScopeLevel), "the level of its scope", key="", column="Level")
    ]
    scope: Annotated[
        str, Field(Text(SCOPE_OCTETS_MAX), "the name of its scope", key=" ", column="Scope")
    ]
    code: Annotated[int, Field(Number(1, 1, 254), "its code (RFC 2132 2)", key=":", column="Code")]
    data: Annotated[
        bytes,
        Field(Octets(OPTION_OCTETS_MAX), "its value, as on the wire", column="Value", arc=5),
    ]
    active: bool = True

    @property
    def place(self) -> Scope:
        return Scope(self.level, self.scope)


OPTION = declare(
    Option,
    ChangeKind.OPTION,
    "option",
    table=3,
    status_arc=7,
    checks={
        "scope": ("level",),
        "code": ("code",),
    },
    problem=lambda row: scope_problem(row.place),
)
