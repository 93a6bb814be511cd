"""The order that says how long leases of a former server may run: one SET at any member.

They are counted from then by that member's clock, and told to the others as what is left.
"""

from __future__ import annotations

from agent.former import network_name
from agent.kinds.former_server import FormerServer
from agent.snmp.columns import FORMER_SERVER, RowStatus
from agent.snmp.rows import index_of
from tools.manager import Assignment, Session
from tools.members import order
from tools.target import Place


def set_former_lease(place: Place, row: FormerServer) -> str:
    """`row.until` is counted from now. Returns what is told to the operator."""

    def assignments(manager: Session) -> list[Assignment]:
        index = index_of(row)
        known = index in manager.table(FORMER_SERVER)
        status = RowStatus.ACTIVE if known else RowStatus.CREATE_AND_GO
        return [
            Assignment(FORMER_SERVER["TimeLeft"], index, row.until),
            Assignment(FORMER_SERVER["RowStatus"], index, status),
        ]

    order(place, assignments)
    name = network_name(row.network, row.prefix_length)
    if not row.until:
        return f"no lease of a former server is taken to run in {name}"
    return (
        f"each address of {name} is tried before a client gets it, for {row.until} s from now;"
        " `dhcpsync status` shows until when"
    )
