"""Who may do what: nothing that is not written down."""

from __future__ import annotations

import pytest

from agent.snmp import columns
from agent.snmp.view import Operation, Role, has_view, may

STATE = (*columns.BINDING["State"].oid, 10, 0, 0, 1)
HARDWARE_TYPE = (*columns.BINDING["HardwareType"].oid, 10, 0, 0, 1)
POOL = columns.POOL["Name"].oid
CHANGE = columns.CHANGE["Record"].oid
AUDIT = columns.AUDIT["Detail"].oid
POLL = columns.POLL["Request"].oid
MEMBER = columns.MEMBER["RowStatus"].oid
SECRETS = (1, 3, 6, 1, 4, 1, 20408, 3, 1, 1)
USERS = (1, 3, 6, 1, 6, 3, 15, 1, 2, 2, 1, 3)
R, W, N = Operation.READ, Operation.WRITE, Operation.NOTIFY


@pytest.mark.parametrize(
    ("oid", "readers", "writers"),
    [
        (STATE, "monitor operator peer", "operator"),
        (HARDWARE_TYPE, "monitor operator peer", ""),
        (POOL, "monitor operator peer", "operator"),
        (MEMBER, "monitor operator peer", "operator"),
        (CHANGE, "peer", ""),
        (POLL, "peer", "peer"),
        (AUDIT, "operator", ""),
        (SECRETS, "", ""),
        (USERS, "", ""),
        ((1, 3, 6, 1, 2, 1, 1, 1, 0), "monitor operator peer", ""),
        ((1, 3, 6, 1, 2, 1, 2), "", ""),
        ((1,), "", ""),
        ((), "", ""),
    ],
)
def test_reads_and_writes(oid: tuple[int, ...], readers: str, writers: str) -> None:
    assert [role.value for role in Role if may(role, R, oid)] == readers.split()
    assert [role.value for role in Role if may(role, W, oid)] == writers.split()


def test_only_peers_notify() -> None:
    for notification in (columns.HELLO, columns.BINDING_UPDATE):
        assert [role for role in Role if may(role, N, notification)] == [Role.PEER]
    assert not may(Role.PEER, N, columns.NOTIFICATIONS)


def test_a_monitor_has_no_write_view_at_all() -> None:
    assert not has_view(Role.MONITOR, W)
    assert not any(may(Role.MONITOR, W, c.oid) for t in columns.TABLES for c in t.columns.values())
