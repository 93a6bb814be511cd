"""What is not well with a group, and what to do: one value for what `dhcpsync status` says, for its
exit code and its JSON, for the MIB, the notifications and the log.

Pure: judged by what one member tells of itself, of the others as it sees them, and of the pools
(`Sight`), be it read over SNMP or on the spot.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

CLOCK_OFFSET_MS = 30_000
"""From here on members log that a clock is wrong (agent/sync/clocks.py)."""
_TOLD_MAX = 3
"""Reasons in the sentence; all of them are listed below it."""


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
    """`free` is what the member that was asked can give at once."""

    first: str
    last: str
    name: str
    active: bool
    size: int
    in_use: int
    free: int
    unavailable: int

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
    is known of former servers. Instants are words for people, "" for none; states are the MIB's
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


def judge(status: Sight) -> Health:
    bad = [reason for reason in reasons(status) if reason.severity is not Severity.NOTE]
    worst = bad[0].severity if bad else Severity.NOTE
    return Health(worst, frozenset(reason.kind for reason in bad), sentence(status))


def is_well(reasons: list[Reason]) -> bool:
    return all(reason.severity is Severity.NOTE for reason in reasons)


def reasons(status: Sight) -> list[Reason]:
    """What is not well, the worst first."""
    found = [
        *_of_itself(status),
        *(reason for one in status.members for reason in _of_member(status, one)),
        *(reason for pool in status.pools for reason in _of_pool(pool)),
        *map(_of_former, status.former),
    ]
    if status.pools_low:
        pools = "one pool" if status.pools_low == 1 else f"{status.pools_low} pools"
        words = f"{status.asked_name} has little left of its share of {pools}"
        to_do = "It asks the others for more; if the table shows few that are free, add addresses."
        found.append(Reason(Kind.POOLS_LOW, Severity.NOTE, words, to_do))
    order = (Severity.FAILING, Severity.DEGRADED, Severity.NOTE)
    return sorted(found, key=lambda reason: order.index(reason.severity))


def sentence(status: Sight) -> str:
    """All of it in one: who serves, whether clients are served, and what is worst."""
    found = reasons(status)
    servers = _servers(status)
    if not servers:
        parts = [f"{status.asked_name} is in no group"]
    else:
        able = serving(status)
        nobody = f"nobody that {status.asked_name} hears does"
        parts = [f"{len(able)} of {len(servers)} serve"]
        parts.append("clients are served" if able else nobody)
    worth = [reason for reason in found if reason.severity is not Severity.NOTE]
    parts += [reason.words for reason in worth[:_TOLD_MAX]]
    if len(worth) > _TOLD_MAX:
        parts.append(f"and {len(worth) - _TOLD_MAX} more")
    return "; ".join(parts) + "."


def serving(status: Sight) -> list[MemberStatus]:
    """Who answers clients, as far as the member that was asked hears."""
    return [one for one in _servers(status) if _serves(status, one)]


def _servers(status: Sight) -> list[MemberStatus]:
    return [one for one in status.members if one.role == "server" and one.state != "removed"]


def doubt(status: Sight) -> str:
    """That it may have been declared dead, in words; "" where it knows that it was not."""
    if not status.uncertain_since:
        return ""
    return (
        f"{status.asked_name} may have been declared dead since {status.uncertain_since}: it has"
        " not heard a majority of the group, and gives only what the others hold back for it"
    )


def _serves(status: Sight, one: MemberStatus) -> bool:
    if one.id == status.asked:
        return status.state == "serving"
    linked = (one.state, one.hello) == ("active", "bidirectional")
    able = one.endpoint not in ("startup", "recover", "paused", "shutdown")
    return linked and able and one.trouble != "engineSilent"


_RECOVERS = (
    "It serves by itself when what it may have given is known or over"
    ' (docs/situations.md, "A store that was lost, restored or rolled back").'
)
_ITSELF = {
    "joining": (Severity.DEGRADED, "has not joined yet", "It serves once it holds what they hold."),
    "starting": (
        Severity.DEGRADED,
        "waits for the others since its start",
        "Bring them within its reach; it serves once they have spoken.",
    ),
    "recovering": (
        Severity.DEGRADED,
        "recovers what its store has lost",
        _RECOVERS,
    ),
    "paused": (
        Severity.DEGRADED,
        "is paused",
        "`dhcpsync member resume {name}` has it serve again.",
    ),
    "storeFailing": (
        Severity.FAILING,
        "cannot write to its disk",
        'Make room or mend it (docs/situations.md, "A disk that is full, or fails").',
    ),
}


_ENGINE = (
    "See what became of {process}: it is started anew when it ends, not"
    ' when it hangs (docs/situations.md, "An engine that is silent").'
)
_DISK = 'Make room there (docs/situations.md, "A disk that is full, or fails").'


def _of_itself(status: Sight) -> Iterator[Reason]:
    if status.state == "engineSilent":
        since = f" since {status.engine_heard}" if status.engine_heard else ""
        others = any(_serves(status, one) for one in status.members if one.id != status.asked)
        severity = Severity.DEGRADED if others else Severity.FAILING
        words = f"the engine of {status.asked_name} is silent{since}"
        to_do = _ENGINE.replace("{process}", "its process (dhcpsync-engine)")
        to_do = f"Others answer its clients. {to_do}" if others else to_do
        yield Reason(Kind.ENGINE_SILENT, severity, words, to_do)
    elif status.state not in ("serving", "publishing"):
        other = (Severity.DEGRADED, f"does not serve ({status.state})", "Its log says why.")
        severity, words, to_do = _ITSELF.get(status.state, other)
        name = status.asked_name
        yield Reason(Kind.NOT_SERVING, severity, f"{name} {words}", to_do.replace("{name}", name))
    if any(one.id == status.asked and one.trouble == "diskLow" for one in status.members):
        words = f"{status.asked_name} has {status.disk_free >> 20} MiB left on its store's disk"
        yield Reason(Kind.DISK_LOW, Severity.DEGRADED, words, _DISK)
    if status.uncertain_since:
        to_do = (
            "Bring the others within its reach. If they are dead: `dhcpsync member partner-down"
            " NAME --force` here. If nobody can have declared it dead: stop it, `dhcpsync member"
            " vouch DIR`, start it."
        )
        yield Reason(Kind.UNCERTAIN, Severity.DEGRADED, doubt(status), to_do)


_ENDPOINTS = {
    "paused": (
        Kind.PAUSED,
        "is paused",
        "`dhcpsync member resume {name}` has it serve again.",
    ),
    "shutdown": (
        Kind.SHUT_DOWN,
        "is shut down",
        "`dhcpsync member resume {name}` has it serve again.",
    ),
    "recover": (
        Kind.RECOVERING,
        "recovers what its store has lost",
        _RECOVERS,
    ),
    "potentialConflict": (
        Kind.CONFLICT,
        "may have given what others gave",
        "They settle it when they have compared; its log and the conflict table tell what.",
    ),
}


def _of_member(status: Sight, one: MemberStatus) -> Iterator[Reason]:
    """A member that was removed is missed by nobody."""
    if one.state == "removed":
        return
    if one.state != "active" or one.id == status.asked:
        if one.state == "down":
            to_do = (
                "It comes back by itself when it runs; if it never will: `dhcpsync member remove"
                f" {one.name}`."
            )
            words = f"{one.name} is declared dead"
            yield Reason(Kind.CALLED_DEAD, Severity.DEGRADED, words, to_do)
        elif one.state != "active":
            words, to_do = f"{one.name} is {one.state}", "It takes in what the others hold."
            yield Reason(Kind.JOINING, Severity.DEGRADED, words, to_do)
        return
    if one.endpoint in _ENDPOINTS:
        kind, words, to_do = _ENDPOINTS[one.endpoint]
        to_do = to_do.replace("{name}", one.name)
        yield Reason(kind, Severity.DEGRADED, f"{one.name} {words}", to_do)
    else:
        yield from _of_link(status, one)
    yield from _of_trouble(one)
    if abs(one.clock_offset_ms) >= CLOCK_OFFSET_MS:
        words = f"the clock of {one.name} is {one.clock_offset_ms / 1000:+.0f} s from"
        to_do = "No lease depends on it, but one of the two is wrong: set it."
        yield Reason(Kind.CLOCK, Severity.NOTE, f"{words} {status.asked_name}'s", to_do)


def _of_trouble(one: MemberStatus) -> Iterator[Reason]:
    """What it has told of itself, while it is heard."""
    if one.hello != "bidirectional":
        return
    if one.trouble == "engineSilent":
        words = f"the engine of {one.name} is silent"
        to_do = "Others answer its clients. " + _ENGINE.replace(
            "{process}", "dhcpsync-engine there"
        )
        yield Reason(Kind.ENGINE_SILENT, Severity.DEGRADED, words, to_do)
    elif one.trouble == "diskLow":
        words = f"{one.name} has little room left on its store's disk"
        yield Reason(Kind.DISK_LOW, Severity.DEGRADED, words, _DISK)


def _of_link(status: Sight, one: MemberStatus) -> Iterator[Reason]:
    asked = status.asked_name
    if one.hello == "unidirectional":
        words = f"{one.name} is heard by {asked}, and does not hear it"
        to_do = "Look at the way there: UDP port, filters, addresses in `dhcpsync member list`."
        yield Reason(Kind.UNHEARD, Severity.DEGRADED, words, to_do)
    elif one.hello != "bidirectional":
        since = f" since {one.last_heard}" if one.last_heard else ""
        to_do = (
            f"See that it runs and is reached from {asked}. Others renew its clients' leases; if"
            f" it is dead: `dhcpsync member partner-down {one.name}`, and its addresses come back."
        )
        words = f"{one.name} is silent{since}"
        yield Reason(Kind.SILENT, Severity.DEGRADED, words, to_do)
    elif one.align not in ("update", "aligned"):
        words = f"{one.name} and {asked} have not compared yet what each has"
        yield Reason(Kind.NOT_COMPARED, Severity.DEGRADED, words, "They do by themselves.")


def _of_pool(pool: PoolStatus) -> Iterator[Reason]:
    if pool.active and pool.size and not pool.left:
        words = f"pool {pool.first}-{pool.last} is full"
        to_do = "Clients that come anew get nothing of it: add addresses, or shorten the lease."
        yield Reason(Kind.POOL_FULL, Severity.FAILING, words, to_do)


def _of_former(one: FormerStatus) -> Reason:
    if one.tried:
        words = f"leases of a former server may run in {one.network} until {one.until}"
        to_do = "Each address is tried there before a client gets it; that ends by itself."
        return Reason(Kind.FORMER_SERVER, Severity.NOTE, words, to_do)
    words = (
        f"addresses of {one.network} are given untried (probe: never), and leases of a former"
        f" server may run there until {one.until}"
    )
    to_do = (
        'Set its probe to "recent"; or, where something answers for every address, say that no'
        f" such lease runs: `dhcpsync former-lease 0 --network {one.network}`."
    )
    return Reason(Kind.NOT_TRIED, Severity.DEGRADED, words, to_do)
