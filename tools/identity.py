"""`dhcpsync member rename` and `readdress`: a member's name and address are what the group decides.

Each is one SET at any member that is reached, and then patience: the command tells what has been
decided, and what is to be done at the member itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.errors import ConfigError
from agent.health import MemberStatus
from agent.names import fault_of_name
from agent.snmp.columns import MEMBER
from agent.snmp.orders import FORCE
from tools.errors import ToolError
from tools.manager import Assignment, Session
from tools.members import check_force, find_member, order
from tools.status import read_members
from tools.target import Place, parse_endpoint

_POLL_S = 0.25
_DECIDED_S = 15.0
"""How long a decision is waited for: a ballot that meets another one is made again after a second,
one that a member does not answer after five."""


@dataclass(frozen=True, slots=True)
class Where:
    """Port None: it stays."""

    address: str
    port: int | None

    def fits(self, member: MemberStatus) -> bool:
        return member.address == self.address and self.port in (None, member.port)


def parse_where(text: str) -> Where:
    address, port = parse_endpoint("NEW", text)
    return Where(address, port if ":" in text else None)


def rename(place: Place, who: str, name: str) -> str:
    if fault := fault_of_name(name):
        raise ConfigError("NEW", "", f"is {name!r}", fault)
    member = _find(place, who)

    def assignments(manager: Session) -> list[Assignment]:
        if _now(manager, member.id).name == name:
            return []
        return [Assignment(MEMBER["Name"], (member.id,), name.encode())]

    order(place, assignments)
    _await(place, member.id, lambda one: one.name == name)
    return (
        f"member {member.id} is {name}; `name` in its member.toml is used nowhere else but in logs"
    )


def readdress(place: Place, who: str, where: Where, *, force: bool) -> list[str]:
    """Lines that say what has been decided, and what is to be done."""
    check_force(place, force)
    member = _find(place, who)

    def assignments(manager: Session) -> list[Assignment]:
        if where.fits(_now(manager, member.id)):
            return []
        index = (member.id,)
        address = bytes(int(part) for part in where.address.split("."))
        wanted = [Assignment(MEMBER["Address"], index, address)]
        if where.port is not None:
            wanted.append(Assignment(MEMBER["Port"], index, where.port))
        return [*wanted, Assignment(MEMBER["Force"], index, FORCE)] if force else wanted

    order(place, assignments)
    decided = _await(place, member.id, where.fits)
    return [
        f"the group reaches {decided.name} at {decided.address}:{decided.port} from now on",
        f"next, if that is not done: in member.toml of {decided.name}, under [snmp], address ="
        f' "{decided.address}" and port = {decided.port}, and start it again; until then nothing'
        " arrives there",
    ]


def _find(place: Place, who: str) -> MemberStatus:
    """By number from here on: a rename that was asked for twice finds it too."""
    return place.run(lambda manager: find_member(read_members(manager), who))


def _now(manager: Session, member: int) -> MemberStatus:
    return find_member(read_members(manager), str(member))


def _await(place: Place, member: int, comes_true: Callable[[MemberStatus], bool]) -> MemberStatus:
    until = time.monotonic() + _DECIDED_S
    while True:
        one = place.run(lambda manager: _now(manager, member))
        if comes_true(one):
            return one
        if time.monotonic() >= until:
            raise ToolError(
                f"the group has not decided within {_DECIDED_S:g} s, and may yet: `dhcpsync member"
                " list` shows what is pending. A majority of the members must be reached"
            )
        time.sleep(_POLL_S)
