"""What a transaction of the cluster's node has changed, as events: pure, from what the node tells
operators and from the group before and after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from agent.events.event import Event, EventKind
from agent.model import Group, Local, Member, MemberRole, MemberState, format_address
from agent.sync.hello import LinkState
from agent.sync.notices import Notice

_PARAMETERS = {
    "lease time": "lease_s",
    "maximum unpushed lease time": "mul_s",
    "safe period": "safe_period_s",
}
CLEAN = "clean"


def cluster_events(
    notices: Iterable[Notice], before: Group | None, after: Group | None, now: int
) -> list[Event]:
    """`before` None: the group is not known to have changed."""
    told = [make(now, notice) for notice in notices if (make := _MAKERS[notice.name]) is not None]
    if before is not None and after is not None and before is not after:
        told += _of_members(before, after, now)
        told += [
            Event(
                now, EventKind.GROUP_CHANGED, subject=words,
                old=f"{getattr(before, field)} s", new=f"{getattr(after, field)} s",
            )
            for words, field in _PARAMETERS.items()
            if getattr(before, field) != getattr(after, field)
        ]  # fmt: skip
    return told


def takes_part(group: Group | None, local: Local) -> bool:
    """Whether a member has what the group has, and sees changes; one that serves no clients, which
    nothing shows it of, always."""
    own = group.member(local.member) if group else None
    return own is not None and (local.serving or own.role is MemberRole.DATABASE)


def _of_members(before: Group, after: Group, now: int) -> Iterable[Event]:
    for member in after.members:
        old = before.member(member.member)
        kind = _became(old.state if old else MemberState.REMOVED, member)
        if kind is not None:
            new = CLEAN if kind is EventKind.MEMBER_DOWN and member.clean else ""
            yield Event(now, kind, member=member.member, subject=member.name, new=new)


def _became(old: MemberState, member: Member) -> EventKind | None:
    if old is member.state:
        return None
    if member.state is MemberState.REMOVED:
        return EventKind.MEMBER_LEFT if member.clean else EventKind.MEMBER_REMOVED
    if member.state is MemberState.DOWN:
        return EventKind.MEMBER_DOWN
    return EventKind.MEMBER_BACK if old is MemberState.DOWN else EventKind.MEMBER_JOINED


# --- what the node tells operators


def _member_state(now: int, notice: Notice) -> Event:
    (_, (member,), name), (_, _, link) = notice.objects
    kind = EventKind.MEMBER_HEARD if link == LinkState.BIDIRECTIONAL else EventKind.MEMBER_SILENT
    return Event(now, kind, member=member, subject=str(name))


def _rows_differ(now: int, notice: Notice) -> Event:
    ((_, (member,), name),) = notice.objects
    return Event(now, EventKind.ROWS_DIFFER, member=member, subject=str(name))


def _fork(now: int, notice: Notice) -> Event:
    return Event(now, EventKind.GROUP_FORKED, new=str(notice.objects[0][2]))


def _free(kind: EventKind) -> Callable[[int, Notice], Event]:
    def make(now: int, notice: Notice) -> Event:
        _, (_, index, free) = notice.objects
        first, last = _address(index[:4]), _address(index[4:])
        pool = f"{format_address(first)}-{format_address(last)}"
        return Event(now, kind, subject=pool, new=str(free))

    return make


def _conflict(now: int, notice: Notice) -> Event:
    (_, index, one), _, (_, _, other), _ = notice.objects
    assert isinstance(one, bytes)
    assert isinstance(other, bytes)
    return Event(now, EventKind.CONFLICT, _address(index), old=one.hex(":"), new=other.hex(":"))


def _address(octets: tuple[int, ...]) -> int:
    return int.from_bytes(bytes(octets), "big")


_MAKERS: Mapping[str, Callable[[int, Notice], Event] | None] = {
    "dhcpSyncMemberStateChange": _member_state,
    "dhcpSyncGroupChange": None,
    "dhcpSyncGroupFork": _fork,
    "dhcpSyncFreeAddressLow": _free(EventKind.POOL_LOW),
    "dhcpSyncFreeAddressHigh": _free(EventKind.POOL_HIGH),
    "dhcpSyncConfigMismatch": _rows_differ,
    "dhcpSyncConflict": _conflict,
}
"""By the notification's name, for each that a node makes. What has become of the group is told with
each of its members."""
