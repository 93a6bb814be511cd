"""What is known of a group whose nearest member does not answer: another one is asked.

A member that runs notes its group in its folder (`standing.group`), so that whoever asks a dead
member by its folder can be told by the others, and soon.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from agent.member_file import GROUP_NAME
from agent.model import MemberState, format_address
from tools.errors import ManagerError
from tools.status import Status, read_status_at
from tools.target import Target

_FIRST_S = 0.6
_OTHER_S = 0.5
"""One try each: a member that runs answers within 0.1 s, and a person waits 2 s for all."""


def last_members(folder: Path) -> list[tuple[str, int]]:
    """Address and port of the active members of the group, as the member of that folder knew it
    last; empty where that cannot be read. Read without the store's libraries: they take half a
    second."""
    try:
        members = json.loads((folder / GROUP_NAME).read_text(encoding="utf-8"))[-1]
        active = [one for one in members if one[5] == MemberState.ACTIVE]
        return [(format_address(int(one[2])), int(one[3])) for one in active]
    except (OSError, ValueError, TypeError, LookupError):
        return []


def read_status_near(
    target: Target, folder: Path, tell: Callable[[str], None], rate_s: float = 0.0
) -> tuple[Status, bool]:
    """What the member of the folder says, or where it does not answer another one of its group;
    and whether it was itself. Raises ManagerError where nobody answers, or it refuses."""
    try:
        return read_status_at(_once(target, _FIRST_S), rate_s=rate_s), True
    except ManagerError as error:
        if error.status not in ("", "requestTimedOut"):
            raise
        silent = error
    for other in _others(target, folder):
        try:
            found = read_status_at(_once(other, _OTHER_S), rate_s=rate_s)
        except ManagerError:
            continue
        tell(f"{silent}; this is what {found.asked_name} ({other.address}) sees:")
        return found, False
    return read_status_at(target, rate_s=rate_s), True  # with all patience


def _once(target: Target, timeout_s: float) -> Target:
    return replace(target, timeout_s=timeout_s, retries=0)


def _others(target: Target, folder: Path) -> Iterator[Target]:
    for address, port in last_members(folder):
        if (address, port) != (target.address, target.port):
            yield target.at(address, port)
