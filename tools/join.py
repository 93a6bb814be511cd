"""`dhcpsync member join`: one SET at a member of the group, then patience.

The SET creates the new member's row in dhcpSyncMemberTable. The group tells the new member, which
pulls what it lacks and then serves; what is seen of that on the way is shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from agent.errors import ConfigError
from agent.health import MemberStatus
from agent.model import parse_address
from agent.snmp.columns import MEMBER, SERVER, RowStatus
from tools import credentials as credentials_file
from tools.credentials import Credentials, find_user
from tools.errors import ManagerError, ToolError
from tools.init import Identity, read_identity
from tools.manager import Assignment, Row, Session
from tools.members import set_or_tell
from tools.pool.target import PoolOption
from tools.status import Status, read_members, read_status
from tools.target import Place, Target, parse_endpoint

_POLL_S = 0.5
_RUNNING_S = 2.0
"""How long a member that is about to join may take to answer, each of three times."""
_SET_TIMEOUT_S = 10.0
"""The SET is answered when the group has chosen its new membership."""


def set_member(manager: Session, identity: Identity) -> None:
    """Create the member's row, or have one that was removed let in again; nothing to do if it is
    in the group with the same identity, so that it may be asked for again where no answer came."""
    index = (identity.member,)
    address = parse_address(identity.address).to_bytes(4, "big")
    present = manager.table(MEMBER).get(index)
    removed = MEMBER["State"].syntax.names.get(_number(present, "State")) == "removed"
    if present is not None and not removed:
        if (present.get("EngineId"), present.get("Address")) == (identity.engine_id, address):
            return
        raise ToolError(
            f"member {identity.member} is in the group already, with another engine or address;"
            " a member's number is never used again: `dhcpsync init` with a new --id"
        )
    set_or_tell(
        manager,
        [
            Assignment(MEMBER["Name"], index, identity.name.encode()),
            Assignment(MEMBER["Address"], index, address),
            Assignment(MEMBER["Port"], index, identity.port),
            Assignment(MEMBER["EngineId"], index, identity.engine_id),
            Assignment(MEMBER["Role"], index, identity.role),
            Assignment(MEMBER["RowStatus"], index, RowStatus.CREATE_AND_GO),
        ],
    )


def _join(manager: Session, identity: Identity) -> str:
    """Returns the name of the member that was asked."""
    set_member(manager, identity)
    (name,) = manager.get([SERVER["dhcpSyncServerName"]])
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else "the group"


def _number(row: Row | None, short: str) -> int:
    value = (row or {}).get(short, 0)
    return value if isinstance(value, int) else 0


def join_member(
    folder: Path,
    contact: str | PoolOption,
    credentials: Path | None,
    timeout_s: float,
    say: Callable[[str], None],
) -> None:
    """Join and wait until the member in `folder` serves, or publishes if that is its role.

    ToolError when it does not."""
    identity = read_identity(folder)
    path = credentials or folder / credentials_file.FILE_NAME
    operator, peer = find_user(path, "operator"), find_user(path, "peer")
    if isinstance(contact, str):
        address, port = parse_endpoint("--contact", contact)
        if (address, port) == (identity.address, identity.port):
            raise ConfigError("--contact", "", "is this member itself", "name one of the group")
    newcomer = Target(identity.address, identity.port, find_user(path, "monitor"))
    found = _check_running(newcomer, identity)
    its = _ask_as_peer(Target(identity.address, identity.port, peer), identity.name)
    check_versions(its, _ask_as_peer(_place(contact, peer, timeout_s=2.0, retries=2), "the group"))
    place = _place(contact, operator, timeout_s=_SET_TIMEOUT_S, retries=0)
    place.run(lambda manager: _check_group(found, identity, read_members(manager)))
    taken_by = place.run(lambda manager: _join(manager, identity))
    say(f"{taken_by} has taken {identity.name} into the group")
    _wait(newcomer, timeout_s, say)


def _place(
    contact: str | PoolOption, user: Credentials, *, timeout_s: float, retries: int
) -> Place:
    if isinstance(contact, str):
        address, port = parse_endpoint("--contact", contact)
        return Target(address, port, user, timeout_s=timeout_s, retries=retries)
    return contact.target(user, timeout_s=timeout_s, retries=retries)


def _check_running(newcomer: Target, identity: Identity) -> Status:
    """ToolError where nobody answers there, or another member does: as a member of the group one
    that is not reached would keep every poll of the others from its end."""
    place = f"{identity.address}:{identity.port}"
    try:
        found = read_status(newcomer, timeout_s=_RUNNING_S, retries=2)
    except ManagerError as error:
        raise ToolError(
            f"{identity.name} does not answer at {place}, so it has not"
            f" been taken into the group: start it (`dhcpsync serve`), and ask again: {error}"
        ) from error
    if found.asked != identity.member:
        raise ToolError(
            f"at {place} member {found.asked} answers, and not {identity.member}"
            f" ({identity.name}): two members cannot have one address; nothing has been changed"
        )
    return found


def _ask_as_peer(place: Place, who: str) -> str:
    """The version of dhcpsync there. ToolError where `who` does not take the user as which members
    speak to each other."""
    try:
        (version,) = place.run(lambda manager: manager.get([SERVER["dhcpSyncServerVersion"]]))
        return version.decode("utf-8", "replace") if isinstance(version, bytes) else ""
    except ManagerError as error:
        raise ToolError(
            f"{who} does not take the user of role peer, as which members speak to each other:"
            f" {error}; make the new member with the group's credentials.env (`dhcpsync init --join"
            " --credentials FILE`)"
        ) from error


def check_versions(its: str, the_groups: str) -> None:
    """ToolError where they differ: members of two versions do not understand each other."""
    if its != the_groups:
        raise ToolError(
            f"it runs dhcpsync {its}, and the group {the_groups}: install the same version on both,"
            " start it again, and ask again"
        )


def _check_group(found: Status, identity: Identity, members: list[MemberStatus]) -> None:
    """ToolError where the newcomer is in another group: its leases are not this group's. One that
    was removed knows this group still, and the group knows it."""
    if not found.generation or any(
        (one.id, one.engine_id) == (identity.member, identity.engine_id.hex()) for one in members
    ):
        return
    raise ToolError(
        f"{identity.name} is in a group of its own ({found.group}, generation {found.generation}):"
        " whoever founds a group joins no other. Make it anew with `dhcpsync init --join"
        " --credentials FILE`, in another folder; leases that it has given are not taken over"
    )


def _wait(target: Target, timeout_s: float, say: Callable[[str], None]) -> None:
    until = time.monotonic() + timeout_s
    last = ""
    while time.monotonic() < until:
        try:
            status = read_status(target, timeout_s=1, retries=0)
            words = f"{status.state}, {status.bindings} bindings, generation {status.generation}"
            if status.is_ready:
                say(words)
                return
        except ManagerError as error:
            words = str(error)
        if words != last:
            say(words)
            last = words
        time.sleep(_POLL_S)
    raise ToolError(
        f"the member did not serve within {timeout_s:g} s: {last};"
        " is `dhcpsync serve` running for it?"
    )
