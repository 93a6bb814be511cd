"""What a SET of a row of the member or group table asks of the cluster: a value, nothing done."""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import PeerError
from agent.model import (
    Group,
    Member,
    MemberId,
    MemberRole,
    MemberState,
    Service,
    format_address,
    is_host_address,
)
from agent.snmp.assignment import RowAssignment
from agent.snmp.columns import RowStatus
from agent.snmp.oid import index_address
from agent.snmp.status import ErrorStatus, RequestError
from agent.sync.change import (
    Expel,
    GroupChange,
    Join,
    Parameters,
    Readdress,
    Rename,
    Reweigh,
    apply,
)

PARTNER_DOWN = 2
SERVICES = {
    3: Service.PAUSED,
    4: Service.RUNNING,
    5: Service.SHUTDOWN,
    6: Service.LEAVING,
}
"""dhcpSyncMemberOperation: orders to the member itself."""

END_WAIT = 7
"""dhcpSyncMemberOperation: to the member itself too, but once, not for good."""

REALIGN = 8
"""dhcpSyncMemberOperation: to any other member, to take this one's rows where its own differ."""

FORCE = 2
_PARAMETERS = {
    "MaxUnpushedLeaseTime": "mul_s",
    "LeaseTime": "lease_s",
    "SafePeriod": "safe_period_s",
}
_ANY_GROUP = Group("any", 1, 60, 600, ())
_IDENTITY = ("Name", "Address", "Port", "EngineId", "Role")

_STATUS = {
    "unknown_member": ErrorStatus.INCONSISTENT_NAME,
    "parameter": ErrorStatus.WRONG_VALUE,
    "name": ErrorStatus.WRONG_VALUE,
    "address": ErrorStatus.WRONG_VALUE,
    "busy": ErrorStatus.RESOURCE_UNAVAILABLE,
    "not_voting": ErrorStatus.RESOURCE_UNAVAILABLE,
}

AT_FAULT = {
    "name": "Name",
    "name_taken": "Name",
    "address": "Address",
    "address_taken": "Address",
}
"""The column whose variable binding is at fault, by the reason of the refusal."""


def status_of_refusal(reason: str) -> ErrorStatus:
    """The error-status for an operator whose order the cluster refuses; the audit has the words."""
    return _STATUS.get(reason, ErrorStatus.INCONSISTENT_VALUE)


@dataclass(frozen=True, slots=True)
class Order:
    """To the group, or to this member itself (`service`, `ends_wait`, `realigns_with`). `number` is
    the variable binding that gives the order, which is at fault where the order is refused."""

    number: int
    change: GroupChange | None = None
    service: Service | None = None
    force: bool = False
    ends_wait: bool = False
    realigns_with: MemberId = 0


def group_order(row: RowAssignment) -> Order:
    def wanted(short: str) -> int | None:
        return row.integer(short, 0) if short in row.values else None

    change = Parameters(wanted("MaxUnpushedLeaseTime"), wanted("LeaseTime"), wanted("SafePeriod"))
    return Order(_first_unfit(row), change)


def _first_unfit(row: RowAssignment) -> int:
    """The variable binding of the first parameter that no group can have, or of the first."""
    for short, assigned in row.values.items():
        field = _PARAMETERS[short]
        try:
            apply(Parameters(**{field: row.integer(short, 0)}), _ANY_GROUP)
        except PeerError:
            return assigned.number
    return row.number


def member_order(row: RowAssignment, me: MemberId) -> Order:
    """Raises RequestError where the columns do not go together."""
    member, force = row.index[0], row.integer("Force", 1) == FORCE
    operation = row.integer("Operation", 1)
    if row.status is RowStatus.CREATE_AND_GO:
        _refuse_others(row, ("Operation", "Force"))
        return Order(row.status_number, Join(_new_member(row)))
    if row.status is None and (identity := _new_identity(row)) is not None:
        return identity
    _refuse_others(row, _IDENTITY)
    if "Weight" in row.values and row.status is None:
        _refuse_others(row, ("Operation", "Force"))
        return Order(row.values["Weight"].number, Reweigh(member, row.integer("Weight", 1)))
    if row.status is RowStatus.DESTROY:
        _refuse_others(row, ("Operation", "Weight"))
        return Order(row.status_number, Expel(member), force=force)
    if row.status is not None:
        raise RequestError(
            ErrorStatus.INCONSISTENT_VALUE,
            row.status_number,
            "createAndGo adds a member, destroy removes it",
        )
    if operation == PARTNER_DOWN:
        number = row.values["Operation"].number
        return Order(number, Expel(member, keeps_seat=True), force=force)
    if operation == REALIGN:
        _refuse_others(row, ("Force",))
        return Order(row.values["Operation"].number, realigns_with=member)
    service = SERVICES.get(operation)
    if service is None and operation != END_WAIT:
        raise RequestError(
            ErrorStatus.INCONSISTENT_VALUE,
            row.values["Operation"].number if "Operation" in row.values else row.number,
            "an operation, a weight, or a RowStatus of createAndGo or destroy, is needed",
        )
    _refuse_others(row, ("Force",))
    if member != me:
        raise RequestError(
            ErrorStatus.INCONSISTENT_NAME,
            row.values["Operation"].number,
            f"this is member {me}; member {member} takes that order itself",
        )
    number = row.values["Operation"].number
    return Order(number, service=service, ends_wait=operation == END_WAIT)


def _new_identity(row: RowAssignment) -> Order | None:
    """Another address, port or name for a member that there is; None where the SET says neither.
    Address and port go together; a name is a decision of its own."""
    member, columns = row.index[0], row.values
    if "Name" in columns:
        _refuse_others(row, tuple(short for short in columns if short != "Name"))
        return Order(columns["Name"].number, Rename(member, row.text("Name", "")))
    place = [columns[short] for short in ("Address", "Port") if short in columns]
    if not place:
        return None
    allowed = ("Address", "Port", "Force")
    _refuse_others(row, tuple(short for short in columns if short not in allowed))
    address, port = row.octets("Address", b""), row.integer("Port", 0)
    change = Readdress(
        member,
        index_address(tuple(address)) if "Address" in columns else None,
        port if "Port" in columns else None,
    )
    return Order(place[0].number, change, force=row.integer("Force", 1) == FORCE)


def _refuse_others(row: RowAssignment, shorts: tuple[str, ...]) -> None:
    for short in shorts:
        if short in row.values:
            raise RequestError(
                ErrorStatus.INCONSISTENT_VALUE,
                row.values[short].number,
                f"{short} does not go with the rest of this SET",
            )


def _new_member(row: RowAssignment) -> Member:
    for short in ("Name", "Address", "EngineId"):
        if short not in row.values:
            raise RequestError(
                ErrorStatus.INCONSISTENT_VALUE, row.status_number, f"{short} is missing"
            )
    member = Member(
        member=row.index[0],
        name=row.text("Name", ""),
        address=index_address(tuple(row.octets("Address", bytes(4)))),
        port=row.integer("Port", 161),
        engine_id=row.octets("EngineId", b""),
        state=MemberState.ACTIVE,
        role=MemberRole(row.integer("Role", MemberRole.SERVER)),
        weight=row.integer("Weight", 1),
    )
    if not member.member:
        raise RequestError(ErrorStatus.NO_CREATION, row.status_number, "no member is 0")
    if not member.port:
        number = row.values["Port"].number
        raise RequestError(ErrorStatus.WRONG_VALUE, number, "no port is 0")
    if not is_host_address(member.address):
        raise RequestError(
            ErrorStatus.WRONG_VALUE,
            row.values["Address"].number,
            f"{format_address(member.address)} is no host's address",
        )
    return member
