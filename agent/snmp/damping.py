"""A member whose link flaps must not bury what else an NMS is told: notifications about one subject
are sent as they come a few times, and then the latest of them once a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.limits import NOTICE_AGAIN_S, NOTICE_BURST, NOTICE_SUBJECTS_MAX
from agent.sync.notices import Notice

_ROUNDING = 1e-6

Subject = tuple[str, tuple[int, ...]]

_PAIRS: Mapping[str, str] = {
    "dhcpSyncFreeAddressHigh": "dhcpSyncFreeAddressLow",
    "dhcpSyncHealthCleared": "dhcpSyncHealthRaised",
}
"""What clears a notification is about the same subject as what raises it."""


@dataclass(slots=True)
class _Told:
    """`left` of the burst at `at_s`; `last` was sent, `held` waits."""

    left: float
    at_s: float
    last: Notice | None = None
    held: Notice | None = None

    def take(self, now_s: float) -> bool:
        self.left = min(NOTICE_BURST, self.left + (now_s - self.at_s) / NOTICE_AGAIN_S)
        self.at_s = now_s
        if self.left < 1 - _ROUNDING:
            return False
        self.left = max(0.0, self.left - 1)
        return True

    @property
    def due_s(self) -> float:
        return self.at_s + (1 - self.left) * NOTICE_AGAIN_S


def subject_of(notice: Notice) -> Subject:
    index = notice.objects[0][1] if notice.objects else ()
    return _PAIRS.get(notice.name, notice.name), index


class Damper:
    def __init__(self) -> None:
        self._told: dict[Subject, _Told] = {}

    def admit(self, notice: Notice, now_s: float) -> bool:
        """Whether it is to be sent now; otherwise `due` gives it, or a later one, in time."""
        subject = subject_of(notice)
        told = self._told.pop(subject, None)
        if told is None:
            told = _Told(NOTICE_BURST, now_s)
            if len(self._told) >= NOTICE_SUBJECTS_MAX:
                del self._told[next(iter(self._told))]
        self._told[subject] = told
        if not told.take(now_s):
            told.held = notice
            return False
        told.last, told.held = notice, None
        return True

    def due(self, now_s: float) -> list[Notice]:
        """What has waited long enough, where it still says something new."""
        found = []
        for told in self._told.values():
            if told.held is not None and told.take(now_s):
                if told.held != told.last:
                    found.append(told.held)
                told.last, told.held = told.held, None
        return found

    def next_due_s(self) -> float | None:
        """When `due` is to be asked again; None while nothing waits."""
        waiting = [told.due_s for told in self._told.values() if told.held is not None]
        return min(waiting, default=None)
