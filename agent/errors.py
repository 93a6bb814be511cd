"""The errors of the project, by whose fault they are.

Each boundary maps these classes in one table: to an SNMP error-status in `agent/snmp`, to a DHCP
action and counter in `agent/dhcp`, to an exit code in `tools`. `assert` is kept for our own bugs.
"""

from __future__ import annotations


class DhcpSyncError(Exception):
    """Base of every error that dhcpsync raises on purpose."""


class PacketError(DhcpSyncError):
    """The sender's bytes are no valid message: drop them and count `reason`.

    `reason` is a short identifier, stable enough to name a counter (`truncated`, `bad_cookie`).
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class PeerError(DhcpSyncError):
    """A peer's message is well-formed but not acceptable now (generation, gap, foreign group)."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class StoreError(DhcpSyncError):
    """The store could not commit: nothing of the transaction may become visible."""


class StoreVersionError(StoreError):
    """The store was written by a newer dhcpsync than this one."""


class ConfigError(DhcpSyncError):
    """Configuration that cannot be used; the message names the place, the key and what is right.

    `name` and `key` locate the value (a file and its TOML key, or a table and its row).
    """

    def __init__(self, name: str, key: str, problem: str, remedy: str = "") -> None:
        text = f"{name}: {key}: {problem}" if key else f"{name}: {problem}"
        super().__init__(f"{text}; {remedy}" if remedy else text)
        self.name = name
        self.key = key
        self.problem = problem
        self.remedy = remedy


class IllegalTransitionError(DhcpSyncError):
    """A state machine was given an event that its state does not allow: our own bug."""

    def __init__(self, machine: str, state: object, event: object) -> None:
        super().__init__(f"{machine}: event {event} is not allowed in state {state}")
