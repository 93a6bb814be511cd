"""What is not well with a group, as values: what one member sees (`Sight`), be it read over SNMP or
on the spot; what is not well by that (`Reason`); and all of it as one (`Health`).
`agent/reasons.py` judges.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

CLOCK_OFFSET_MS = 30_000
"""From here on members log that a clock is wrong (agent/sync/clocks.py)."""


class Severity(enum.Enum):
    NOTE = "note"
    """To be known. All is well."""
    DEGRADED = "degraded"
    """Clients are served, by fewer than there are, or not for long."""
    FAILING = "failing"
    """Clients may be without an address."""


class Kind(enum.Enum):
    NOT_SERVING = "notServing"
    UNCERTAIN = "uncertain"
    CALLED_DEAD = "calledDead"
    JOINING = "joining"
    SILENT = "silent"
    UNHEARD = "unheard"
    ENGINE_SILENT = "engineSilent"
    DISK_LOW = "diskLow"
    PAUSED = "paused"
    SHUT_DOWN = "shutDown"
    RECOVERING = "recovering"
    CONFLICT = "conflict"
    NOT_COMPARED = "notCompared"
    CLOCK = "clock"
    POOL_FULL = "poolFull"
    POOLS_LOW = "poolsLow"
    FORMER_SERVER = "formerServer"
    NOT_TRIED = "notTried"
    NOT_VOTING = "notVoting"
    ADDRESS_CONFLICT = "addressConflict"
    BEHIND = "behind"


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """A row of dhcpSyncMemberTable; states in the MIB's words."""

    id: int
    name: str
    address: str
    state: str
    role: str
    hello: str
    align: str
    backlog: int
    clock_offset_ms: int
    engine_id: str = ""
    port: int = 161
    endpoint: str = "normal"
    last_heard: str = ""
    trouble: str = "none"

    @property
    def is_well(self) -> bool:
        """One that was removed is missed by nobody. One that takes what it lacks is as well as
        one that has all of it: while clients are served, some change is always on its way."""
        if self.state == "removed":
            return True
        linked = (self.state, self.hello) == ("active", "bidirectional")
        return linked and self.align in ("update", "aligned")

    @property
    def is_aligned(self) -> bool:
        """Well, and it has everything."""
        return self.is_well and self.align != "update"


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """`free` is what the member that was asked can give at once. `relieved`: another pool of which
    the same clients get addresses has some left."""

    first: str
    last: str
    name: str
    active: bool
    size: int
    in_use: int
    free: int
    unavailable: int
    relieved: bool = False

    @property
    def is_full(self) -> bool:
        return self.active and self.size > 0 and not self.left

    @property
    def left(self) -> int:
        """Addresses that no client has and that can be given, by anybody."""
        return max(0, self.size - self.in_use - self.unavailable)


@dataclass(frozen=True, slots=True)
class FormerStatus:
    """Leases of a former server may run in `network` until `until`; not `tried`: addresses are
    given there untried all the same."""

    network: str
    until: str
    tried: bool = True


class Sight(Protocol):
    """What one member (`asked`) sees. `engine_heard`: when its engine last was known to live;
    `uncertain_since`: since when it may have been declared dead and does not know; `former`: what
    is known of former servers; `votes`: it takes part in what the group decides; `conflicts`: an
    address is in conflict. Instants are words for people, "" for none; states are the MIB's
    words."""

    @property
    def asked(self) -> int: ...
    @property
    def asked_name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def members(self) -> Sequence[MemberStatus]: ...
    @property
    def pools(self) -> Sequence[PoolStatus]: ...
    @property
    def pools_low(self) -> int: ...
    @property
    def uncertain_since(self) -> str: ...
    @property
    def engine_heard(self) -> str: ...
    @property
    def disk_free(self) -> int: ...
    @property
    def former(self) -> Sequence[FormerStatus]: ...
    @property
    def votes(self) -> bool: ...
    @property
    def conflicts(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Reason:
    """`words` is a clause with its subject, `to_do` a sentence; both for people."""

    kind: Kind
    severity: Severity
    words: str
    to_do: str


@dataclass(frozen=True, slots=True)
class Health:
    """All of it as one value: the worst severity, NOTE where all is well; the kinds of reason that
    make it so, notes left out; and the sentence."""

    severity: Severity = Severity.NOTE
    kinds: frozenset[Kind] = frozenset()
    text: str = ""

    @property
    def is_well(self) -> bool:
        return self.severity is Severity.NOTE


WELL = Health()


def is_well(reasons: list[Reason]) -> bool:
    return all(reason.severity is Severity.NOTE for reason in reasons)


def serving(status: Sight) -> list[MemberStatus]:
    """Who answers clients, as far as the member that was asked hears."""
    return [one for one in servers(status) if serves(status, one)]


def servers(status: Sight) -> list[MemberStatus]:
    return [one for one in status.members if one.role == "server" and one.state != "removed"]


def serves(status: Sight, one: MemberStatus) -> bool:
    if one.id == status.asked:
        return status.state == "serving"
    linked = (one.state, one.hello) == ("active", "bidirectional")
    able = one.endpoint not in ("startup", "recover", "paused", "shutdown")
    return linked and able and one.trouble != "engineSilent"
