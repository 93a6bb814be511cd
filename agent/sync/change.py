"""What may become of a group by one decision: each change says what the next value would be.

A value is chosen for every generation (agent/sync/group.py); here is only what it contains. A
member is never taken out of the value: one that is gone stays as REMOVED, so that its number is
never used again, and as DOWN where its seat is kept. `since` tells in which generation a member's
state was decided, so that a member, or a value, that missed a decision is found out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.addresses import format_place
from agent.errors import PeerError
from agent.limits import (
    LEASE_MAX_S,
    MEMBERS_LISTED_MAX,
    MEMBERS_MAX,
    MUL_MAX_S,
    SAFE_PERIOD_MIN_S,
)
from agent.model import (
    INFINITE_S,
    Group,
    Member,
    MemberId,
    MemberState,
    format_address,
    is_host_address,
)
from agent.names import fault_of_name


@dataclass(frozen=True, slots=True)
class Join:
    """A new member, or one that was removed and is let in again."""

    member: Member

    def __str__(self) -> str:
        return f"join of member {self.member.member} {self.member.name}"


@dataclass(frozen=True, slots=True)
class Expel:
    """A member is out: removed, or down where its seat is kept. `clean`: by its own wish, after it
    has handed over everything."""

    member: MemberId
    keeps_seat: bool = False
    clean: bool = False

    def __str__(self) -> str:
        if self.clean:
            return f"{'shutdown' if self.keeps_seat else 'leave'} of member {self.member}"
        return f"{'partner-down' if self.keeps_seat else 'removal'} of member {self.member}"


@dataclass(frozen=True, slots=True)
class Return:
    """A member that was down takes its seat again."""

    member: MemberId

    def __str__(self) -> str:
        return f"return of member {self.member}"


@dataclass(frozen=True, slots=True)
class Reweigh:
    """A member's share of free addresses, and of the clients, becomes another."""

    member: MemberId
    weight: int

    def __str__(self) -> str:
        return f"weight {self.weight} of member {self.member}"


@dataclass(frozen=True, slots=True)
class Readdress:
    """A member's agent is reached elsewhere; None leaves address or port as it is."""

    member: MemberId
    address: int | None = None
    port: int | None = None

    def __str__(self) -> str:
        address = "" if self.address is None else f" {format_address(self.address)}"
        port = "" if self.port is None else f" port {self.port}"
        return f"address{address}{port} of member {self.member}"


@dataclass(frozen=True, slots=True)
class Rename:
    """A member has another name for people; nothing else depends on it."""

    member: MemberId
    name: str

    def __str__(self) -> str:
        return f"name {self.name} of member {self.member}"


@dataclass(frozen=True, slots=True)
class Parameters:
    """Group parameters; None leaves one as it is."""

    mul_s: int | None = None
    lease_s: int | None = None
    safe_period_s: int | None = None

    def __str__(self) -> str:
        named = {"MUL": self.mul_s, "lease": self.lease_s, "safe period": self.safe_period_s}
        return ", ".join(f"{name} {value} s" for name, value in named.items() if value is not None)


@dataclass(frozen=True, slots=True)
class ForgetPastMul:
    """No lease that was given under a greater MUL can still run."""

    def __str__(self) -> str:
        return "end of the former MUL"


@dataclass(frozen=True, slots=True)
class GoOn:
    """Rows of `generation` are about, of a line of the group that does not stand: the group goes on
    above it, so that what is bound from now on beats them (agent/sync/lineage.py)."""

    generation: int

    def __str__(self) -> str:
        return f"going on above generation {self.generation}"


_Change = Join | Expel | Return | Reweigh | Readdress | Rename | Parameters | ForgetPastMul
GroupChange = _Change | GoOn


def apply(change: GroupChange, group: Group) -> Group | None:
    """The next value; None where `group` is so already. PeerError where it cannot be."""
    if isinstance(change, GoOn):
        reached = group.generation >= change.generation
        return None if reached else replace(group, generation=group.generation + 1)
    following = _apply(change, group)
    if following is None or following == group:
        return None
    return replace(following, generation=group.generation + 1)


def _apply(change: _Change, group: Group) -> Group | None:
    if isinstance(change, Join):
        return _join(change.member, group)
    if isinstance(change, Expel):
        return _expel(change, group)
    if isinstance(change, Return):
        return _return(change, group)
    if isinstance(change, Reweigh):
        return _reweigh(change, group)
    if isinstance(change, Readdress):
        return _readdress(change, group)
    if isinstance(change, Rename):
        return _rename(change, group)
    if isinstance(change, Parameters):
        return _set_parameters(change, group)
    return replace(group, past_mul_s=0)


def _join(member: Member, group: Group) -> Group | None:
    known = group.member(member.member)
    if known is not None and known.engine_id == member.engine_id and known.is_current:
        return None
    if any(
        (one.member == member.member) is not (one.engine_id == member.engine_id)
        for one in group.members
    ):
        raise PeerError(
            "member_taken",
            f"member {member.member} or its engine ID is in {group.name} already; "
            "a number is never used again, choose another",
        )
    _check_name(member, group)
    _check_place(member, group)
    seated = [one for one in group.members if one.state is not MemberState.REMOVED]
    if len(seated) >= MEMBERS_MAX and known not in seated:
        raise PeerError("group_full", f"{group.name} has {MEMBERS_MAX} members")
    if known is None and len(group.members) >= MEMBERS_LISTED_MAX:
        raise PeerError(
            "group_full",
            f"{group.name} remembers {MEMBERS_LISTED_MAX} members, let a removed one join again",
        )
    joined = replace(member, state=MemberState.ACTIVE, since=group.generation + 1, clean=False)
    others = [one for one in group.members if one.member != member.member]
    # In order of number, as the store keeps them: a restart must not change the membership's hash.
    members = sorted((*others, joined), key=lambda one: one.member)
    return replace(group, members=tuple(members))


def _others_seated(member: MemberId, group: Group) -> list[Member]:
    return [
        one
        for one in group.members
        if one.member != member and one.state is not MemberState.REMOVED
    ]


def _check_name(wanted: Member, group: Group) -> None:
    """PeerError where the name cannot be, or is another member's."""
    if fault := fault_of_name(wanted.name):
        raise PeerError("name", f"member {wanted.member} cannot be {wanted.name!r}: {fault}")
    for one in _others_seated(wanted.member, group):
        if one.name == wanted.name:
            raise PeerError(
                "name_taken",
                f"member {one.member} of {group.name} is {one.name} already, and orders by name "
                "must find one; choose another name",
            )


def _check_place(wanted: Member, group: Group) -> None:
    """PeerError where no member can be reached there, or another one is."""
    place = format_place(wanted.address, wanted.port)
    if not is_host_address(wanted.address) or not 1 <= wanted.port <= 65535:
        raise PeerError("address", f"{place} is no host's address and port")
    for one in _others_seated(wanted.member, group):
        if (one.address, one.port) == (wanted.address, wanted.port):
            raise PeerError(
                "address_taken",
                f"member {one.member} {one.name} of {group.name} is reached at {place}; "
                "give it another address first, or remove it if it is gone",
            )


def _in_place(group: Group, changed: Member) -> tuple[Member, ...]:
    return tuple(changed if one.member == changed.member else one for one in group.members)


def _expel(change: Expel, group: Group) -> Group | None:
    member = _known(change.member, group)
    state = MemberState.DOWN if change.keeps_seat else MemberState.REMOVED
    if member.state in (state, MemberState.REMOVED):
        return None
    if [one.member for one in group.current] == [change.member]:
        raise PeerError("last_member", f"{group.name} would have no member left")
    out = replace(
        member,
        state=state,
        since=group.generation + 1,
        clean=change.clean if member.is_current else member.clean,
    )
    return replace(group, members=_in_place(group, out))


def _return(change: Return, group: Group) -> Group | None:
    member = _known(change.member, group)
    if member.is_current:
        return None
    if member.state is MemberState.REMOVED:
        raise PeerError("removed", f"member {change.member} was removed; it must join again")
    back = replace(member, state=MemberState.ACTIVE, since=group.generation + 1, clean=False)
    return replace(group, members=_in_place(group, back))


def _reweigh(change: Reweigh, group: Group) -> Group:
    """A member that is down takes its seat again with that weight."""
    member = _known(change.member, group)
    if member.state is MemberState.REMOVED:
        raise PeerError(
            "removed", f"member {change.member} was removed; it may join again with that weight"
        )
    return replace(group, members=_in_place(group, replace(member, weight=change.weight)))


def _readdress(change: Readdress, group: Group) -> Group:
    """Of a member that is down too: it takes its seat again from there."""
    member = _seated(change.member, group)
    moved = replace(
        member,
        address=member.address if change.address is None else change.address,
        port=member.port if change.port is None else change.port,
    )
    _check_place(moved, group)
    return replace(group, members=_in_place(group, moved))


def _rename(change: Rename, group: Group) -> Group:
    renamed = replace(_seated(change.member, group), name=change.name)
    _check_name(renamed, group)
    return replace(group, members=_in_place(group, renamed))


def _seated(member: MemberId, group: Group) -> Member:
    known = _known(member, group)
    if known.state is MemberState.REMOVED:
        raise PeerError(
            "removed", f"member {member} was removed; it may join again, with what it has then"
        )
    return known


def _known(member: MemberId, group: Group) -> Member:
    known = group.member(member)
    if known is None:
        raise PeerError("unknown_member", f"{group.name} has no member {member}")
    return known


def _set_parameters(change: Parameters, group: Group) -> Group:
    mul_s = group.mul_s if change.mul_s is None else change.mul_s
    lease_s = group.lease_s if change.lease_s is None else change.lease_s
    safe_period_s = group.safe_period_s if change.safe_period_s is None else change.safe_period_s
    if not 1 <= mul_s <= MUL_MAX_S:
        raise PeerError("parameter", f"a MUL of {mul_s} s is not in 1..{MUL_MAX_S}")
    if not 1 <= lease_s <= LEASE_MAX_S and lease_s != INFINITE_S:
        raise PeerError(
            "parameter",
            f"a lease time of {lease_s} s is not in 1..{LEASE_MAX_S} or {INFINITE_S} (infinite)",
        )
    if safe_period_s and safe_period_s < SAFE_PERIOD_MIN_S:
        raise PeerError(
            "parameter",
            f"a safe period of {safe_period_s} s is less than {SAFE_PERIOD_MIN_S}; 0 is none",
        )
    longest = group.longest_mul_s
    return replace(
        group,
        mul_s=mul_s,
        lease_s=lease_s,
        safe_period_s=safe_period_s,
        past_mul_s=longest if longest > mul_s else 0,
    )
