"""What is not well with a group, and what to do: one judgement for what `dhcpsync status` says, for
its exit code and its JSON, for the MIB, the notifications and the log.

Pure: judged by what one member tells of itself, of the others as it sees them, and of the pools.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.health import (
    CLOCK_OFFSET_MS,
    FormerStatus,
    Health,
    Kind,
    MemberStatus,
    PoolStatus,
    Reason,
    Severity,
    Sight,
    servers,
    serves,
    serving,
)

BACKLOG_TOLD = 10_000
"""Changes that a member lacks and that are told: more than the busiest engine makes in a second,
while others are told of them ten times a second."""
_TOLD_MAX = 3
"""Reasons in the sentence; all of them are listed below it."""


def judge(status: Sight) -> Health:
    bad = [reason for reason in reasons(status) if reason.severity is not Severity.NOTE]
    worst = bad[0].severity if bad else Severity.NOTE
    return Health(worst, frozenset(reason.kind for reason in bad), sentence(status))


def reasons(status: Sight) -> list[Reason]:
    """What is not well, the worst first."""
    found = [
        *_of_itself(status),
        *(reason for one in status.members for reason in _of_member(status, one)),
        *(reason for pool in status.pools for reason in _of_pool(pool)),
        *map(_of_former, status.former),
    ]
    if status.conflicts:
        words = "two clients were given one address"
        to_do = (
            "Neither one's lease is extended. `dhcpsync check` names the address; when the cause is"
            ' found, `dhcpsync lease clear ADDRESS` (docs/operations.md, "An address in conflict").'
        )
        found.append(Reason(Kind.ADDRESS_CONFLICT, Severity.DEGRADED, words, to_do))
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
    counted = servers(status)
    if not counted:
        parts = [f"{status.asked_name} is in no group"]
    else:
        able = serving(status)
        nobody = f"nobody that {status.asked_name} hears does"
        parts = [f"{len(able)} of {len(counted)} serve"]
        parts.append("clients are served" if able else nobody)
    worth = [reason for reason in found if reason.severity is not Severity.NOTE]
    parts += [reason.words for reason in worth[:_TOLD_MAX]]
    if len(worth) > _TOLD_MAX:
        parts.append(f"and {len(worth) - _TOLD_MAX} more")
    return "; ".join(parts) + "."


def doubt(status: Sight) -> str:
    """That it may have been declared dead, in words; "" where it knows that it was not."""
    if not status.uncertain_since:
        return ""
    return (
        f"{status.asked_name} may have been declared dead since {status.uncertain_since}: it has"
        " not heard a majority of the group, and gives only what the others hold back for it"
    )


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
    is_low = any(one.id == status.asked and one.trouble == "diskLow" for one in status.members)
    fails = status.state == "storeFailing"
    if status.state == "engineSilent":
        since = f" since {status.engine_heard}" if status.engine_heard else ""
        others = any(serves(status, one) for one in status.members if one.id != status.asked)
        severity = Severity.DEGRADED if others else Severity.FAILING
        words = f"the engine of {status.asked_name} is silent{since}"
        to_do = _ENGINE.replace("{process}", "its process (dhcpsync-engine)")
        to_do = f"Others answer its clients. {to_do}" if others else to_do
        yield Reason(Kind.ENGINE_SILENT, severity, words, to_do)
    elif status.state not in ("serving", "publishing"):
        other = (Severity.DEGRADED, f"does not serve ({status.state})", "Its log says why.")
        severity, words, to_do = _ITSELF.get(status.state, other)
        name = status.asked_name
        if is_low and fails:
            words += f", which has {status.disk_free >> 20} MiB left"
        yield Reason(Kind.NOT_SERVING, severity, f"{name} {words}", to_do.replace("{name}", name))
    if is_low and not fails:  # what fails for want of room has one cause
        words = f"{status.asked_name} has {status.disk_free >> 20} MiB left on its store's disk"
        yield Reason(Kind.DISK_LOW, Severity.DEGRADED, words, _DISK)
    if status.uncertain_since:
        to_do = (
            "Bring the others within its reach. If they are dead: `dhcpsync member partner-down"
            " NAME --force` here. If nobody can have declared it dead: stop it, `dhcpsync member"
            " vouch DIR`, start it."
        )
        yield Reason(Kind.UNCERTAIN, Severity.DEGRADED, doubt(status), to_do)
    elif not status.votes and status.state in ("serving", "publishing"):
        words = f"{status.asked_name} decides nothing before it has heard every other member"
        to_do = (
            "It has started, and may have forgotten what it said in a ballot. It refuses orders to"
            " the group until then: ask another member, or force out who is known to be dead."
        )
        yield Reason(Kind.NOT_VOTING, Severity.NOTE, words, to_do)


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
    if one.backlog >= BACKLOG_TOLD:
        words = f"{one.name} lacks {one.backlog:,} changes of {status.asked_name}"
        to_do = (
            "It takes them as fast as it can, and leases that it has not heard of are short. If"
            " they become no fewer, look at its disk and load."
        )
        yield Reason(Kind.BEHIND, Severity.NOTE, words, to_do)
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
    if not pool.is_full:
        return
    words = f"pool {pool.first}-{pool.last} is full"
    if pool.relieved:
        to_do = "Clients that come anew get addresses of other pools of its subnet or link."
        yield Reason(Kind.POOL_FULL, Severity.NOTE, words, to_do)
    else:
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
