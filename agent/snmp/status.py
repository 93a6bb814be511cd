"""error-status values (RFC 3416 3), and the one table from our errors to them.

A peer reads back from the status why it was refused (`PEER_REASONS`): a refusal is an answer and
must never look like a lost message. The MIB's dhcpSyncBindingUpdate documents the same table.
"""

from __future__ import annotations

import enum

from agent.errors import ConfigError, PacketError, PeerError, StoreError


class ErrorStatus(enum.IntEnum):
    NO_ERROR = 0
    TOO_BIG = 1
    GEN_ERR = 5
    NO_ACCESS = 6
    WRONG_TYPE = 7
    WRONG_LENGTH = 8
    WRONG_ENCODING = 9
    WRONG_VALUE = 10
    NO_CREATION = 11
    INCONSISTENT_VALUE = 12
    RESOURCE_UNAVAILABLE = 13
    COMMIT_FAILED = 14
    UNDO_FAILED = 15
    AUTHORIZATION_ERROR = 16
    NOT_WRITABLE = 17
    INCONSISTENT_NAME = 18

    @property
    def word(self) -> str:
        """As RFC 3416 writes it: notWritable."""
        head, *tail = self.name.lower().split("_")
        return head + "".join(part.capitalize() for part in tail)


class RequestError(Exception):
    """A request cannot be done: `status` at variable binding `index` (from 1; 0 for none)."""

    def __init__(self, status: ErrorStatus, index: int = 0, detail: str = "") -> None:
        super().__init__(f"{status.word} at variable binding {index}: {detail}")
        self.status = status
        self.index = index
        self.detail = detail


PEER_STATUS = {
    "no_group": ErrorStatus.INCONSISTENT_VALUE,
    "generation": ErrorStatus.INCONSISTENT_VALUE,
    "gap": ErrorStatus.INCONSISTENT_NAME,
    "store": ErrorStatus.RESOURCE_UNAVAILABLE,
    "malformed": ErrorStatus.WRONG_VALUE,
    "unknown_member": ErrorStatus.AUTHORIZATION_ERROR,
    "removed": ErrorStatus.NO_ACCESS,
}
"""Having no group is told as having another generation: either way its sender asks for the group,
and so finds a member that has lost its store."""

PEER_REASONS = {status: reason for reason, status in PEER_STATUS.items()}

_CONFIG_STATUS = {
    "prefix": ErrorStatus.NO_CREATION,
    "prefix length": ErrorStatus.NO_CREATION,
    "last": ErrorStatus.NO_CREATION,
    "code": ErrorStatus.NO_CREATION,
    "range": ErrorStatus.NO_CREATION,
    "address": ErrorStatus.NO_CREATION,
    "client identifier": ErrorStatus.WRONG_VALUE,
    "time": ErrorStatus.WRONG_VALUE,
}
"""By the key that a ConfigError names: what lies in a row's index can never be right, and a value
out of its own range neither; all else depends on other rows (inconsistentValue)."""


def status_of(error: Exception) -> ErrorStatus:
    """The error-status that tells the sender about `error`."""
    if isinstance(error, RequestError):
        return error.status
    if isinstance(error, PeerError):
        return PEER_STATUS.get(error.reason, ErrorStatus.GEN_ERR)
    if isinstance(error, ConfigError):
        return _CONFIG_STATUS.get(error.key, ErrorStatus.INCONSISTENT_VALUE)
    if isinstance(error, PacketError):
        return ErrorStatus.WRONG_VALUE
    if isinstance(error, StoreError):
        return ErrorStatus.RESOURCE_UNAVAILABLE
    return ErrorStatus.GEN_ERR


def peer_error(status: int) -> PeerError:
    """What a peer's error-status means for who asked."""
    try:
        known = ErrorStatus(status)
    except ValueError:
        return PeerError("refused", f"error-status {status}")
    return PeerError(PEER_REASONS.get(known, "refused"), f"the peer answered {known.word}")
