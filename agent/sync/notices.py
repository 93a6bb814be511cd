"""What an NMS is told without asking: the events of the MIB, as plain values.

A rule calls `situation.notify(member_silent(...))`; the shell takes what has come together only
after the transaction has committed, so nothing is announced that may still be undone, and sends
it to the configured targets (`agent/snmp/notifier.py`). Notices are hints: each of them is also
seen in a table, they live in memory, and a flood of them loses the oldest. Several members may
see one event and tell it each; the notification and its index say that it is the same.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.model import Group, MemberId

Value = int | str | bytes


class Notice(NamedTuple):
    """A notification of the MIB by name, and its objects: (name, index, value), in the order of
    the MIB's OBJECTS clause. A test holds the two against each other."""

    name: str
    objects: tuple[tuple[str, tuple[int, ...], Value], ...]


def member_state_change(member: MemberId, name: str, hello_state: int) -> Notice:
    """Another member is heard again, or no more."""
    index = (member,)
    return Notice(
        "dhcpSyncMemberStateChange",
        (("dhcpSyncMemberName", index, name), ("dhcpSyncMemberHelloState", index, hello_state)),
    )


def group_change(group: Group) -> Notice:
    """Membership or group parameters have changed."""
    return Notice("dhcpSyncGroupChange", _group_objects(group))


def group_fork(group: Group) -> Notice:
    """What this member had decided or been told does not stand; `group` does."""
    return Notice("dhcpSyncGroupFork", _group_objects(group))


def _group_objects(group: Group) -> tuple[tuple[str, tuple[int, ...], Value], ...]:
    return (
        ("dhcpSyncGroupGeneration", (1,), group.generation),
        ("dhcpSyncGroupMemberCount", (1,), len(group.current)),
    )


def free_addresses(low: bool, first: int, last: int, free: int) -> Notice:
    """This member has few free addresses of a pool left, or enough again."""
    index = (*first.to_bytes(4, "big"), *last.to_bytes(4, "big"))
    return Notice(
        "dhcpSyncFreeAddressLow" if low else "dhcpSyncFreeAddressHigh",
        (
            ("dhcpSyncPoolSize", index, last - first + 1),
            ("dhcpSyncPoolFree", index, free),
        ),
    )


def config_mismatch(member: MemberId, name: str) -> Notice:
    """A member and this one have seen the same changes and hold different rows."""
    return Notice("dhcpSyncConfigMismatch", (("dhcpSyncMemberName", (member,), name),))
