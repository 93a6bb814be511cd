"""`dhcpsync member join`: one SET at a member of the group, then patience.

The SET creates the new member's row in dhcpSyncMemberTable. The group tells the new member, which
pulls what it lacks and then serves; what is seen of that on the way is shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from agent.errors import ConfigError
from agent.model import parse_address
from agent.snmp.columns import MEMBER, SERVER, RowStatus
from tools import credentials as credentials_file
from tools.credentials import find_user
from tools.errors import ManagerError, ToolError
from tools.init import Identity, read_identity
from tools.manager import Assignment, Row, Session
from tools.pool.target import PoolOption
from tools.status import read_status
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
    manager.set(
        [
            Assignment(MEMBER["Name"], index, identity.name.encode()),
            Assignment(MEMBER["Address"], index, address),
            Assignment(MEMBER["Port"], index, identity.port),
            Assignment(MEMBER["EngineId"], index, identity.engine_id),
            Assignment(MEMBER["Role"], index, identity.role),
            Assignment(MEMBER["RowStatus"], index, RowStatus.CREATE_AND_GO),
        ]
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
    user = find_user(path, "operator")
    place: Place
    if isinstance(contact, str):
        address, port = parse_endpoint("--contact", contact)
        if (address, port) == (identity.address, identity.port):
            raise ConfigError("--contact", "", "is this member itself", "name one of the group")
        place = Target(address, port, user, timeout_s=_SET_TIMEOUT_S, retries=0)
    else:
        place = contact.target(user, timeout_s=_SET_TIMEOUT_S, retries=0)
    newcomer = Target(identity.address, identity.port, find_user(path, "monitor"))
    _check_running(newcomer, identity)
    taken_by = place.run(lambda manager: _join(manager, identity))
    say(f"{taken_by} has taken {identity.name} into the group")
    _wait(newcomer, timeout_s, say)


def _check_running(newcomer: Target, identity: Identity) -> None:
    """ToolError where nobody answers there: as a member of the group one that does not run would
    keep every poll of the others from its end."""
    try:
        read_status(newcomer, timeout_s=_RUNNING_S, retries=2)
    except ManagerError as error:
        raise ToolError(
            f"{identity.name} does not answer at {identity.address}:{identity.port}, so it has not"
            f" been taken into the group: start it (`dhcpsync serve`), and ask again: {error}"
        ) from error


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
