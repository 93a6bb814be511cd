"""Whether one value of the group can have come from another, and which one stands if not.

Ballots choose one value for each generation, each from the one before. Only a change that an
operator forces without a majority can make two that do not know of each other: both halves of a
cut group that call each other dead. When they meet, every member must come to the same one of the
two, and those that it does not count must fall silent. Which one is a matter of form; that it is
the same one everywhere is not: less force goes first, then more members, then the later one.
"""

from __future__ import annotations

from agent.model import Group, MemberId
from agent.sync.version import membership_hash


def descends(later: Group, earlier: Group) -> bool:
    """Whether `later` may have come from `earlier` by decisions: every difference between the two
    was decided in a generation after `earlier`."""
    if later.name != earlier.name or later.generation <= earlier.generation:
        return False
    if later.forced < earlier.forced:
        return False
    known = {member.member: member for member in later.members}
    for before in earlier.members:
        after = known.pop(before.member, None)
        if after is None:
            return False
        if after.since <= earlier.generation and (after.since, after.state) != (
            before.since,
            before.state,
        ):
            return False
    return all(member.since > earlier.generation for member in known.values())


def stands_over(other: Group, mine: Group) -> bool:
    """Whether a member that holds `mine` must take `other`."""
    if descends(other, mine):
        return True
    if other == mine or descends(mine, other):
        return False
    return _rank(other) > _rank(mine)


def needed_vote_of(me: MemberId, mine: Group, value: Group) -> bool:
    """Whether `value`, which has come from `mine`, cannot have been decided without a vote of `me`
    for the generation after `mine`: of two members both are a majority, and nobody forced it."""
    own = mine.member(me)
    return (
        own is not None
        and own.is_current
        and len(mine.current) <= 2
        and value.forced == mine.forced
        and descends(value, mine)
    )


def is_alone_in(value: Group, me: MemberId) -> bool:
    return [member.member for member in value.current] == [me]


def _rank(group: Group) -> tuple[int, int, int, bytes]:
    return -group.forced, len(group.current), group.generation, membership_hash(group)
