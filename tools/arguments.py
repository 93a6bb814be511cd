"""Options that several commands share."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from agent.model import MemberRole


class RoleName(enum.Enum):
    """What a member is for, as the command line writes it."""

    SERVER = "server"
    DATABASE = "database"

    @property
    def role(self) -> MemberRole:
        return MemberRole[self.name]


Role = Annotated[
    RoleName,
    typer.Option(
        "--role", help="database: it serves no clients, it publishes bindings and address space."
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


class ProcessName(enum.Enum):
    """The processes of a member."""

    ENGINE = "engine"
    AGENT = "agent"


class LogLevel(enum.Enum):
    """The levels of `agent.member_file`."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class PolicyName(enum.Enum):
    """The policies of `tools.pool`, which is not imported for help."""

    ROUND_ROBIN = "round-robin"
    WEIGHTED = "weighted"
    LEAST_USED = "least-used"
    RANDOM = "random"
