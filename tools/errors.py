"""What goes wrong in the command line's own work, and the exit codes of every subcommand."""

from __future__ import annotations

from agent.errors import DhcpSyncError

EXIT_WISHED = 0
EXIT_NOT = 1
EXIT_USAGE = 2


class ToolError(DhcpSyncError):
    """The command could not do as wished; the message is one line for a person."""


class ManagerError(ToolError):
    """A member did not answer, or refused; `status` names an SNMP error-status if it gave one."""

    def __init__(self, message: str, status: str = "") -> None:
        super().__init__(message)
        self.status = status
