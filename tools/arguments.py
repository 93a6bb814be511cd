"""Options that several commands share."""

from __future__ import annotations

import enum
from pathlib import Path
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

CredentialsFile = Annotated[
    Path | None,
    typer.Option(
        "--credentials",
        metavar="FILE",
        envvar="DHCPSYNC_CREDENTIALS",
        help="credentials.env with the SNMPv3 users' names and passphrases.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(metavar="A[:PORT]", envvar="DHCPSYNC_ADDRESS", help="A member's SNMP address."),
]
Folder = Annotated[
    Path | None, typer.Option("--folder", metavar="DIR", help="A member's folder on this machine.")
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


class LogFormat(enum.Enum):
    """The formats of `agent.member_file`."""

    TEXT = "text"
    JSON = "json"


class PolicyName(enum.Enum):
    """The policies of `tools.pool`, which is not imported for help."""

    ROUND_ROBIN = "round-robin"
    WEIGHTED = "weighted"
    LEAST_USED = "least-used"
    RANDOM = "random"


Who = Annotated[str, typer.Argument(metavar="MEMBER", help="Its number or name.")]

FormerLease = Annotated[
    int,
    typer.Option(
        metavar="S",
        help="Another server served until now, and this is the longest lease that it gave, in"
        " seconds: for so long each address is tried before a client gets it.",
    ),
]
