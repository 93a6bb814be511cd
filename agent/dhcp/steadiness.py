"""Whether this member could bind what it offers: whether its store commits, and in time.

An OFFER is a word that only a commit can keep. Where commits fail (a full disk, a disk that gives
errors, a program that holds the file) the OFFER of a member wins the client and no ACK follows,
while other members have what the client needs. So before a client that begins is answered, this
store must have committed a moment ago; otherwise it is tried, by a commit of its own. Who cannot
commit steps aside: it is silent to clients that begin, and to nobody else, for a commit that
succeeds is as good as ever. It goes on trying, a second apart, and comes back with the first commit
that succeeds.
"""

from __future__ import annotations

from agent.errors import StoreError
from agent.limits import COMMIT_SLOW_MS, COMMIT_TRUSTED_MS, STORE_ALARM_MS, STORE_RETRY_S

STORE_FAILING = "store_failing"
"""Nothing can be bound now: the store does not commit."""

STORE_SLOW = "store_slow"
"""What is bound now is acknowledged too late: the store commits, and takes longer than clients
wait."""


class Steadiness:
    def __init__(self) -> None:
        self._error: StoreError | None = None
        self._is_slow = False
        self._tried_ms: int | None = None
        self._told = False
        self._told_ms = -STORE_ALARM_MS
        """Whether operators think that it fails, and since when they think so."""
        self._alarms: list[str] = []

    @property
    def objection(self) -> str:
        """Why nothing is offered now; "": nothing is in the way."""
        if self._error is not None:
            return STORE_FAILING
        return STORE_SLOW if self._is_slow else ""

    def is_trial_due(self, now_ms: int) -> bool:
        """Whether what is known of the store is too old for an OFFER. A clock that was set back
        makes it too old."""
        if self._tried_ms is None:
            return True
        known_for_ms = STORE_RETRY_S * 1000 if self._error is not None else COMMIT_TRUSTED_MS
        return not 0 <= now_ms - self._tried_ms < known_for_ms

    def note_commit(self, now_ms: int) -> None:
        """Something was written, and is durable."""
        self._tried_ms = now_ms
        self._error = None
        if self._told:
            self._told, self._told_ms = False, now_ms
            self._alarms.append("the store commits again, clients are offered and given addresses")

    def note_failure(self, error: StoreError, now_ms: int) -> None:
        self._tried_ms = now_ms
        self._error = error
        if not self._told and not 0 <= now_ms - self._told_ms < STORE_ALARM_MS:
            self._told, self._told_ms = True, now_ms
            self._alarms.append(f"the store fails, nothing is offered or acknowledged: {error}")

    def note_pace(self, took_ms: int) -> None:
        """How long a commit has taken."""
        is_slow = took_ms >= COMMIT_SLOW_MS
        if is_slow and not self._is_slow:
            self._alarms.append(
                f"the store takes {took_ms} ms for a commit, nothing is offered: others are faster"
            )
        elif self._is_slow and not is_slow:
            self._alarms.append("the store commits in time again, clients are offered addresses")
        self._is_slow = is_slow

    def take_alarms(self) -> list[str]:
        alarms, self._alarms = self._alarms, []
        return alarms
