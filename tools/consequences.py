"""What an order about a member takes away, in numbers and words: said before it is given.

Pure but for `consider`, which reads: the group as the asked member sees it, and how many of the
live leases the member gave last.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from agent.health import MemberStatus, serving
from agent.snmp.columns import BINDING
from tools.lease.lease import instant_of, local_time
from tools.manager import Session
from tools.members import find_member
from tools.status import Status, read_members, read_status_at
from tools.target import Place

LEASES_LOOKED_AT_MAX = 10_000
"""Bindings of which it is counted who gave them: a person who waits for an answer has waited a few
seconds by then, and knows about how many there are."""
_BOUND = 1


@dataclass(frozen=True, slots=True)
class Given:
    """Of the first bindings of a member, `looked_at` in number and all that there are where
    `is_all`: how many are leases that run, how many of those a member gave or renewed last, and the
    last end of these; None: there is none, or it never ends."""

    looked_at: int
    is_all: bool
    live: int
    given: int
    last_end: datetime.datetime | None

    def words(self, name: str) -> str:
        among = "" if self.is_all else f" among the first {self.looked_at:,} bindings"
        leases = f"{self.given:,} of {self.live:,} live leases{among} were given by {name}"
        if not self.given:
            return leases
        end = local_time(self.last_end) if self.last_end else "never"
        return f"{leases}, and the last of them ends {end}"


def read_given(manager: Session, member: int) -> Given:
    def column(short: str) -> dict[tuple[int, ...], int | bytes]:
        return manager.below(BINDING[short], (), LEASES_LOOKED_AT_MAX + 1)

    givers = column("TransactionServer")
    states = column("State")
    looked_at = sorted(givers)[:LEASES_LOOKED_AT_MAX]
    live = [one for one in looked_at if states.get(one) == _BOUND]
    given = [one for one in live if givers[one] == member]
    ends = column("ExpiresAt") if given else {}
    octets = [end for one in given if isinstance(end := ends.get(one), bytes)]
    instants = [instant_of(one) for one in octets]
    known = [one for one in instants if one is not None]
    last = max(known) if known and len(known) == len(instants) else None
    return Given(len(looked_at), len(givers) == len(looked_at), len(live), len(given), last)


@dataclass(frozen=True, slots=True)
class Considered:
    """The group as `status` has it, the member that an order is about, and its leases."""

    status: Status
    member: MemberStatus
    given: Given
    now: datetime.datetime

    @property
    def others(self) -> list[MemberStatus]:
        """Who serves without it."""
        return [one for one in serving(self.status) if one.id != self.member.id]


def consider(place: Place, who: str) -> Considered:
    """ConfigError where no member is meant."""
    status = read_status_at(place)
    return _counted(place, status, find_member(status.members, who))


def _counted(place: Place, status: Status, member: MemberStatus) -> Considered:
    given = place.run(lambda manager: read_given(manager, member.id))
    return Considered(status, member, given, datetime.datetime.now(datetime.UTC))


def consider_ended_wait(place: Place, who: str) -> str:
    """What is to be said before a member is told not to wait; by what that one holds."""
    member = place.run(lambda manager: find_member(read_members(manager), who))
    at = place.at(member.address, member.port)
    return words_of_ended_wait(_counted(at, read_status_at(at), member))


def consider_going(place: Place, who: str, wanted: str) -> str:
    """What is to be said before a member is paused, shut down or leaves, by what that one sees
    itself; "" where the others serve its clients, and nothing is waited for."""
    member = place.run(lambda manager: find_member(read_members(manager), who))
    at = place.at(member.address, member.port)
    status = read_status_at(at)
    if not _is_last(status, member.id) and not _absent(status, member.id, wanted):
        return ""
    return words_of_going(_counted(at, status, member), wanted)


def words_of_removal(seen: Considered, *, keeps_seat: bool, force: bool) -> str:
    """ "" where it is so already."""
    member, mul_s = seen.member, seen.status.mul_s
    if member.state in (("down", "removed") if keeps_seat else ("removed",)):
        return ""
    name = member.name
    free_at = local_time(seen.now + datetime.timedelta(seconds=mul_s))
    lines = [
        f"{name} is declared dead, and {_how(seen)}. {seen.given.words(name)}.",
        _who_serves(seen),
        f"What it owned and has not given waits for MUL ({mul_s} s), until {free_at}; what it gave"
        " until MUL after the end that the others have recorded.",
    ]
    if keeps_seat:
        lines.append("It keeps its seat, and comes back by itself when it runs.")
    else:
        lines.append("It comes back by `dhcpsync member join` only.")
    if force:
        lines.append(
            "--force asks no majority: if it lives, and is only cut off, two clients can get one"
            " address."
        )
    return "\n".join(lines)


def words_of_going(seen: Considered, wanted: str) -> str:
    """Of `paused`, `shutdown` and `leaving`."""
    name, mul_s = seen.member.name, seen.status.mul_s
    lines = [f"{seen.given.words(name)}."]
    if _is_last(seen.status, seen.member.id):
        lines.append(
            f"{name} is the last one that serves, as far as it hears: no lease is renewed and no"
            " new client gets an address until one serves again."
        )
    if absent := _absent(seen.status, seen.member.id, wanted):
        lines.append(
            f"{name} has to hand over to everybody, and {_names(absent)} not heard. It goes all the"
            f" same, as if it had died: what it owned waits for MUL ({mul_s} s) from then on, what"
            " it gave until MUL after the end that the others have recorded."
        )
    return "\n".join(lines)


def words_of_ended_wait(seen: Considered) -> str:
    name = seen.member.name
    return (
        f"{name} waits for leases that nobody knows of any more; {seen.given.live:,} live ones are"
        f" known ({seen.given.looked_at:,} bindings looked at). From now on it serves new clients,"
        f" and for as long as it would have waited (a lease is {seen.status.lease_s} s in this"
        " group) it tries each address first: a client that is off, or answers neither ARP nor"
        " ICMP, can lose its address to another one."
    )


def words_of_forced_address(seen: Considered, where: str) -> str:
    status, name = seen.status, seen.member.name
    current = [one for one in status.members if one.state in ("active", "joining")]
    heard = sum(one.id == status.asked or one.hello == "bidirectional" for one in current)
    return (
        f"{name} is looked for at {where}, and {_how(seen)}. --force asks no majority:"
        f" {status.asked_name} hears {heard} of {len(current)} members, itself among them. If"
        " another one decides something else meanwhile, the group is in two parts when they meet,"
        " and one part falls silent."
    )


def _how(seen: Considered) -> str:
    member, status = seen.member, seen.status
    if member.id == status.asked:
        return "is the one that is asked"
    if member.hello in ("bidirectional", "unidirectional"):
        return f"{status.asked_name} HEARS it at this moment"
    since = f" since {member.last_heard}" if member.last_heard else ""
    return f"{status.asked_name} does not hear it{since}"


def _who_serves(seen: Considered) -> str:
    if not seen.others:
        return f"Then nobody that {seen.status.asked_name} hears serves."
    names = [one.name for one in seen.others]
    listed = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
    return f"Then {listed} {'serves' if len(names) == 1 else 'serve'}."


def _is_last(status: Status, member: int) -> bool:
    return [one.id for one in serving(status)] == [member]


def _absent(status: Status, going: int, wanted: str) -> list[MemberStatus]:
    """Those that would have to take over what it has, and are not heard. A pause hands over
    nothing."""
    return [
        one
        for one in status.members
        if wanted != "paused"
        and one.id != going
        and one.state in ("active", "joining")
        and one.hello != "bidirectional"
    ]


def _names(members: list[MemberStatus]) -> str:
    names = [one.name for one in members]
    return f"{names[0]} is" if len(names) == 1 else ", ".join(names[:-1]) + f" and {names[-1]} are"
