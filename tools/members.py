"""`dhcpsync member ...` and `dhcpsync group`: orders by SET, and what has become of them.

An order about a member that is gone is set at any other member; pause, resume, shutdown and leave
are set at the member that they are about, which is found in the member table of the one that was
named. A refusal is told with its reason, which the audit keeps.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from agent.errors import ConfigError
from agent.health import MemberStatus
from agent.snmp.columns import AUDIT, GROUP, MEMBER, PENDING, Column, RowStatus
from agent.snmp.orders import END_WAIT, FORCE, PARTNER_DOWN, SERVICES
from tools.aligned import Column as TableColumn
from tools.aligned import aligned, terminal_width
from tools.console import shown
from tools.errors import ManagerError
from tools.manager import Assignment, Session, Value
from tools.status import read_members
from tools.target import Place, Target

_SET_TIMEOUT_S = 10.0
_USUAL_PORT = 161

OPERATIONS = {service.name.lower(): number for number, service in SERVICES.items()}
OPERATIONS["end-wait"] = END_WAIT
"""Orders to the member itself, by what it is to be: paused, running, shutdown, leaving."""

_REFUSALS = ("inconsistentValue", "inconsistentName", "wrongValue", "resourceUnavailable")


def find_member(members: list[MemberStatus], who: str) -> MemberStatus:
    """By number or name."""
    found = [one for one in members if who in (str(one.id), one.name)]
    if not found:
        known = ", ".join(f"{one.id} {one.name}" for one in members)
        raise ConfigError("member", "", f"{who!r} is none of the group", f"there are {known}")
    return found[0]


def order(place: Place, assignments: Callable[[Session], list[Assignment]]) -> None:
    """One SET. A refusal is told with the reason that the member's audit gives.

    In a pool it is made again at another member where no answer came, or this one decides nothing
    yet; `assignments` reads before it says what is to be set, and says nothing where that is the
    case already."""

    def work(manager: Session) -> None:
        wanted = assignments(manager)
        if wanted:
            set_or_tell(manager, wanted)

    place.with_patience(_SET_TIMEOUT_S).run(work)


def set_or_tell(manager: Session, assignments: list[Assignment]) -> None:
    """One SET; the ManagerError of a refusal has the reason that the member's audit gives."""
    try:
        manager.set(assignments)
    except ManagerError as error:
        if error.status not in _REFUSALS:
            raise
        words = f"{error}: {_reason(manager, error.status)}"
        raise ManagerError(words, error.status) from error


def _reason(manager: Session, status: str) -> str:
    """The last refusal in the audit, without the SET that it quotes."""
    rows = manager.table(AUDIT)
    for _, row in sorted(rows.items(), reverse=True):
        if row.get("Action") == b"refused":
            detail = row.get("Detail", b"")
            text = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else ""
            if text.startswith(status):
                return text.split(": dhcpSync")[0]
            break
    return "the audit does not say why"


def check_force(place: Place, force: bool) -> None:
    if force and not isinstance(place, Target):
        raise ConfigError("--force", "", "is given to a pool", "name the one member by --address")


def remove(place: Place, who: str, *, keeps_seat: bool, force: bool) -> str:
    """Removal, or partner-down. A forced one is one member's, and never repeated by itself."""
    check_force(place, force)

    def assignments(manager: Session) -> list[Assignment]:
        member = find_member(read_members(manager), who)
        if member.state in (("down", "removed") if keeps_seat else ("removed",)):
            return []
        index = (member.id,)
        first = (
            Assignment(MEMBER["Operation"], index, PARTNER_DOWN)
            if keeps_seat
            else Assignment(MEMBER["RowStatus"], index, RowStatus.DESTROY)
        )
        forced = [Assignment(MEMBER["Force"], index, FORCE)] if force else []
        return [first, *forced]

    order(place, assignments)
    return f"the order is taken; `dhcpsync member list` shows when member {who} is out"


def operate(place: Place, who: str, wanted: str) -> str:
    """An order to the member itself; in a pool, anybody tells where that is."""
    member = place.run(lambda manager: find_member(read_members(manager), who))
    at = place.at(member.address, member.port)
    order(at, lambda _: [Assignment(MEMBER["Operation"], (member.id,), OPERATIONS[wanted])])
    return f"{member.name} has taken the order"


def set_parameters(place: Place, wanted: dict[str, int | None]) -> str:
    """Group parameters by the short name of their column."""
    from tools.init import check_mul  # with the store's libraries, which no other order needs

    given: list[tuple[Column, Value]] = [
        (GROUP[short], value) for short, value in wanted.items() if value is not None
    ]
    if not given:
        raise ConfigError("group", "", "nothing to set", "give --mul, --lease or --safe-period")

    def assignments(manager: Session) -> list[Assignment]:
        group = next(iter(manager.table(GROUP).values()), {})
        times = [
            wanted.get(short) or _number(group.get(short))
            for short in ("MaxUnpushedLeaseTime", "LeaseTime")
        ]
        if all(times):
            check_mul(*times)
        return [Assignment(column, (1,), value) for column, value in given]

    order(place, assignments)
    return "the order is taken; `dhcpsync status` shows when the group has decided"


def _number(value: Value | None) -> int:
    return value if isinstance(value, int) else 0


def _members_and_changes(manager: Session) -> tuple[list[MemberStatus], list[str]]:
    pending = [
        _text(row.get("Change")) + (f" ({_text(row.get('User'))})" if row.get("User") else "")
        for _, row in sorted(manager.table(PENDING).items())
    ]
    return read_members(manager), pending


def show_members(place: Place, *, as_json: bool) -> bool:
    """The member table, and what is being decided there; whether all that were not removed are
    there and serve."""
    members, pending = place.run(_members_and_changes)
    import typer

    is_well = all(one.is_well and _is_normal(one) for one in members)
    if as_json:
        listed = [
            {"id": one.id, "name": one.name, "address": one.address, "port": one.port,
             "state": one.state, "endpoint": one.endpoint, "hello": one.hello, "align": one.align,
             "last_heard": one.last_heard} for one in members
        ]  # fmt: skip
        told = {"well": is_well, "members": listed, "pending": pending}
        typer.echo(json.dumps(told, indent=2))
        return is_well
    for line in aligned(_columns(members), terminal_width()):
        typer.echo(line)
    for change in pending:
        typer.echo(f"pending: {change}")
    return is_well


def _is_normal(one: MemberStatus) -> bool:
    return one.state == "removed" or one.endpoint == "normal"


def _columns(members: list[MemberStatus]) -> list[TableColumn]:
    """When somebody was heard is told of those that are not heard now."""
    heard = ["" if one.hello == "bidirectional" else one.last_heard for one in members]
    where = [one.address + (f":{one.port}" if one.port != _USUAL_PORT else "") for one in members]
    return [
        TableColumn("id", [str(one.id) for one in members], right=True),
        TableColumn("name", [one.name for one in members]),
        TableColumn("address", where),
        TableColumn("state", [one.state for one in members]),
        TableColumn("failover", [one.endpoint for one in members]),
        TableColumn("hello", [one.hello for one in members]),
        TableColumn("align", [one.align for one in members]),
        TableColumn("last heard", heard, usual=frozenset({""})),
    ]


def _text(value: Value | None) -> str:
    return shown(value.decode("utf-8", "replace")) if isinstance(value, bytes) else ""
