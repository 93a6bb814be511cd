"""Which refused SETs the audit keeps. Whoever may only read can have SETs refused as fast as the
network carries them, and each entry is a commit that the engine waits for; so each user has a
number for a minute, and a number for ever. Every refusal is in the log.
"""

from __future__ import annotations

import logging
from typing import Protocol

from agent.limits import AUDIT_REFUSALS_KEPT_MAX, AUDIT_REFUSALS_PER_MINUTE_MAX

log = logging.getLogger("dhcpsync.snmp")

REFUSED = "refused"
"""The audit's word for it."""

_MINUTE_S = 60


class AuditTransaction(Protocol):
    def count_audited(self, user: str, action: str) -> int: ...
    def audit(self, user: str, action: str, detail: str, now: int) -> None: ...


class Refusals:
    """Users here are authenticated ones, so there are few."""

    def __init__(self) -> None:
        self._minutes: dict[str, tuple[int, int]] = {}
        self._kept: dict[str, int] = {}

    def admit(self, user: str, now: int) -> bool:
        """Whether one more of this user may be written now; it counts from here on."""
        minute, count = self._minutes.get(user, (-1, 0))
        if minute != now // _MINUTE_S:
            minute, count = now // _MINUTE_S, 0
        self._minutes[user] = (minute, count + 1)
        if count == AUDIT_REFUSALS_PER_MINUTE_MAX:
            log.warning("refused SETs of %s are not audited for the rest of this minute", user)
        return (
            count < AUDIT_REFUSALS_PER_MINUTE_MAX
            and self._kept.get(user, 0) < AUDIT_REFUSALS_KEPT_MAX
        )

    def write(self, tx: AuditTransaction, user: str, words: str, now: int) -> None:
        kept = self._kept.get(user)
        if kept is None:
            kept = tx.count_audited(user, REFUSED)
        self._kept[user] = kept
        if kept >= AUDIT_REFUSALS_KEPT_MAX:
            log.warning("the audit has %d refused SETs of %s and takes no more", kept, user)
            return
        tx.audit(user, REFUSED, words, now)
        self._kept[user] = kept + 1
