"""How long leases are: the times that hold for a client, and the longest that is given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from agent.limits import REQUESTED_LEASE_MIN_S
from agent.model import ConfigRow, Setting, SettingName


class LeaseTimes(NamedTuple):
    """In seconds; 0: not set. `lease`: the group's then; `most`: as `lease`; `least`: a minute, or
    `lease` where that is less; `renewal` and `rebinding`: a half and 7/8 of what is given."""

    lease: int = 0
    least: int = 0
    most: int = 0
    renewal: int = 0
    rebinding: int = 0

    def wanted(self, group_lease_s: int, requested: bytes | None) -> int:
        """The lease time for a client that asks for none (None), or asks (option 51): it gets that
        within the bounds. Clients that ask for nothing to speak of would renew all day."""
        lease_s = self.lease or group_lease_s
        if requested is None or len(requested) != 4:
            return lease_s
        least_s = self.least or min(REQUESTED_LEASE_MIN_S, lease_s)
        return min(self.most or lease_s, max(int.from_bytes(requested, "big"), least_s))

    def timers(self, duration_s: int) -> tuple[int, int]:
        """T1 and T2 (options 58 and 59) of a lease of that time. The times that are set are for the
        lease that is wanted: a shorter one, as a first one may be, has the usual parts."""
        usual = duration_s // 2, duration_s * 7 // 8
        renewal, rebinding = self.renewal or usual[0], self.rebinding or usual[1]
        return (renewal, rebinding) if renewal < rebinding < duration_s else usual


USUAL = LeaseTimes()
"""Where nothing is set."""

_FIELDS = {
    SettingName.LEASE: "lease",
    SettingName.MIN_LEASE: "least",
    SettingName.MAX_LEASE: "most",
    SettingName.RENEWAL: "renewal",
    SettingName.REBINDING: "rebinding",
}


def lease_times(values: dict[SettingName, int]) -> LeaseTimes:
    return LeaseTimes(**{_FIELDS[name]: value for name, value in values.items()})


def longest_lease(group_lease_s: int, rows: Iterable[ConfigRow]) -> int:
    """The longest lease that a member may have given under this configuration. `rows` may have
    those that are out of service or deleted: what was given under them may still run."""
    longest = (SettingName.LEASE, SettingName.MAX_LEASE)
    return max(
        [group_lease_s, *(r.value for r in rows if isinstance(r, Setting) and r.name in longest)]
    )
