"""Asking agents: values and errors that every way of doing it has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent.errors import DhcpSyncError
from agent.model import format_address
from agent.snmp.ber import Varbind
from agent.snmp.keys import UserKeys


class SnmpTimeout(DhcpSyncError, TimeoutError):  # noqa: N818
    """No answer in time."""


class SnmpAuthError(DhcpSyncError):
    """The agent is there and does not accept the user or its keys."""


@dataclass(frozen=True, slots=True)
class Target:
    """An agent and the user by whom it is asked. `engine_id` None: ask the agent for it."""

    address: int
    port: int
    user: str
    engine_id: bytes | None = None

    def __str__(self) -> str:
        return f"{format_address(self.address)}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response PDU, decoded."""

    status: int
    index: int
    varbinds: list[Varbind]


class Asking(Protocol):
    """What sends a request and has its answer: a member's `Session`, or who speaks to one
    member only. `kind` is a PDU type of `agent.snmp.message`."""

    def know(self, user: str, keys: UserKeys, engine_id: bytes) -> None:
        """The user by whom the engine `engine_id` is asked; `keys` are localized to it."""
        ...

    async def ask(
        self,
        target: Target,
        kind: int,
        varbinds: bytes,
        timeout_s: float,
        *,
        first: int = 0,
        second: int = 0,
    ) -> Answer: ...
