"""A member's configuration tables over SNMP: read as rows, and a plan written by SET.

Steps travel together in one SET as long as they fit, because the member judges a SET as a whole:
a pool can be replaced by a larger one without a moment in which there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from agent.config import validate_configuration
from agent.errors import ConfigError
from agent.model import ClaimPolicy, ConfigRow, Option, Pool, ProbePolicy, Reservation, Subnet
from agent.snmp.columns import OPTION, POOL, RESERVATION, SUBNET, RowStatus, Table
from agent.snmp.oid import Oid, address_index, index_address
from tools.apply.plan import Action, Step, changes
from tools.errors import ManagerError, ToolError
from tools.manager import Assignment, Row, Session, Value

_SET_VARIABLES_MAX = 160
_SET_OCTETS_MAX = 16_000
"""Bounds of one SET: well under a datagram with room for what encryption adds."""


class Remote:
    """The configuration that a member has: `rows`, and the leases in each of its subnets."""

    def __init__(self, manager: Session) -> None:
        self._manager = manager
        subnets = manager.table(SUBNET)
        self.rows: list[ConfigRow] = [
            *(_subnet(index, row) for index, row in subnets.items()),
            *(_pool(index, row) for index, row in manager.table(POOL).items()),
            *(_option(index, row) for index, row in manager.table(OPTION).items()),
            *(_reservation(index, row) for index, row in manager.table(RESERVATION).items()),
        ]
        self._in_use = {
            (row.first, row.last): _number(subnets[_index(row)], "InUse")
            for row in self.rows
            if isinstance(row, Subnet)
        }

    def check(self, plan: Sequence[Step]) -> None:
        """Judge the plan by the member's own rules, so that a refusal has words."""
        validate_configuration(
            self.rows, changes(plan), lambda first, last: self._in_use.get((first, last), 0)
        )

    def write(self, plan: Sequence[Step], done: Callable[[Step], None]) -> None:
        """SET the plan; `done` is called for each step that the member has taken."""
        for batch in _batches(plan):
            try:
                self._manager.set([one for step in batch for one in assignments(step)])
            except ManagerError as error:
                if not error.status or error.status == "requestTimedOut":
                    raise
                words = ", ".join(f"{s.action.value} {s.kind} {s.key}" for s in batch[:3])
                more = f" and {len(batch) - 3} more" if len(batch) > 3 else ""
                raise ToolError(f"{error}; nothing was done of: {words}{more}") from None
            for step in batch:
                done(step)


def _batches(plan: Sequence[Step]) -> Iterator[list[Step]]:
    batch: list[Step] = []
    variables = octets = 0
    for step in plan:
        cells = assignments(step)
        size = sum(len(c.value) if isinstance(c.value, bytes) else 8 for c in cells)
        size += 40 * len(cells)
        full = variables + len(cells) > _SET_VARIABLES_MAX or octets + size > _SET_OCTETS_MAX
        if batch and full:
            yield batch
            batch, variables, octets = [], 0, 0
        batch.append(step)
        variables += len(cells)
        octets += size
    if batch:
        yield batch


def assignments(step: Step) -> list[Assignment]:
    """The variable bindings of one step (RowStatus by RFC 2579 2)."""
    table, index = _table(step.row), _index(step.row)
    if step.action is Action.DELETE:
        return [Assignment(table["RowStatus"], index, RowStatus.DESTROY)]
    cells = _cells(step.row)
    if step.before is None:
        status = RowStatus.CREATE_AND_GO if step.row.active else RowStatus.CREATE_AND_WAIT
        cells["RowStatus"] = status
    else:
        before = _cells(step.before)
        cells = {name: value for name, value in cells.items() if value != before[name]}
        if step.row.active is not step.before.active:
            status = RowStatus.ACTIVE if step.row.active else RowStatus.NOT_IN_SERVICE
            cells["RowStatus"] = status
    return [Assignment(table[name], index, value) for name, value in cells.items()]


def _table(row: ConfigRow) -> Table:
    if isinstance(row, Subnet):
        return SUBNET
    if isinstance(row, Pool):
        return POOL
    return OPTION if isinstance(row, Option) else RESERVATION


def _index(row: ConfigRow) -> Oid:
    if isinstance(row, Subnet):
        return (*address_index(row.network), row.prefix_length)
    if isinstance(row, Pool):
        return (*address_index(row.first), *address_index(row.last))
    if isinstance(row, Option):
        return (*address_index(row.network), row.prefix_length, row.code)
    return address_index(row.address)


def _cells(row: ConfigRow) -> dict[str, Value]:
    if isinstance(row, Subnet):
        return {
            "Name": row.name.encode(),
            "Interface": row.interface.encode(),
            "LeaseTime": row.lease_s,
            "Claims": row.claims,
            "OfferDelay": row.offer_delay_s,
            "Probe": row.probe,
        }
    if isinstance(row, Pool):
        return {"Name": row.name.encode()}
    if isinstance(row, Option):
        return {"Value": row.data}
    return {"ClientKey": row.client_key, "HostName": row.hostname.encode()}


def _subnet(index: Oid, row: Row) -> Subnet:
    return Subnet(
        index_address(index[:4]),
        index[4],
        lease_s=_number(row, "LeaseTime"),
        interface=_text(row, "Interface"),
        name=_text(row, "Name"),
        claims=ClaimPolicy(_number(row, "Claims")),
        offer_delay_s=_number(row, "OfferDelay"),
        probe=ProbePolicy(_number(row, "Probe")),
        active=_is_active(row),
    )


def _pool(index: Oid, row: Row) -> Pool:
    return Pool(
        index_address(index[:4]), index_address(index[4:8]), _text(row, "Name"), _is_active(row)
    )


def _option(index: Oid, row: Row) -> Option:
    data = _octets(row, "Value")
    return Option(index_address(index[:4]), index[4], index[5], data, _is_active(row))


def _reservation(index: Oid, row: Row) -> Reservation:
    return Reservation(
        index_address(index), _octets(row, "ClientKey"), _text(row, "HostName"), _is_active(row)
    )


def _is_active(row: Row) -> bool:
    return row.get("RowStatus") == RowStatus.ACTIVE


def _number(row: Row, name: str) -> int:
    value = row.get(name, 0)
    return value if isinstance(value, int) else 0


def _octets(row: Row, name: str) -> bytes:
    value = row.get(name, b"")
    return value if isinstance(value, bytes) else b""


def _text(row: Row, name: str) -> str:
    return _octets(row, name).decode("utf-8", "replace")


def explain(error: ConfigError, path: str) -> ConfigError:
    """A rule that the plan would break, named by the file that asks for it."""
    place = f"{error.name}, {error.key}" if error.key else error.name
    return ConfigError(path, place, error.problem, error.remedy)
