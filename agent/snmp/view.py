"""Who may read, write and send what: one table of roles, judged before anything is looked up.

This takes the place of VACM (RFC 3415), whose implementation in pysnmp lets a user without a write
view write everything. An SNMP user has one role; the security level is always authPriv (but for
the optional read-only community, which has the rights of a monitor). What a role is not
allowed to read is not there for it: GETNEXT passes over it, GET answers noSuchObject.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from agent.snmp.columns import (
    AUDIT,
    BINDING,
    BINDING_BLOCK,
    BINDING_UPDATE,
    CHANGE,
    CONFIG_RECORD,
    CONFIGURATION,
    CONFLICT,
    GROUP,
    HELLO,
    MEMBER,
    OBJECTS,
    POLL,
    PROPOSAL,
    TRANSFER,
)
from agent.snmp.oid import Oid


class Role(enum.Enum):
    MONITOR = "monitor"
    OPERATOR = "operator"
    PEER = "peer"


class Operation(enum.Enum):
    READ = "read"
    WRITE = "write"
    NOTIFY = "notify"


SYSTEM: Oid = (1, 3, 6, 1, 2, 1, 1)
SNMP: Oid = (1, 3, 6, 1, 2, 1, 11)
ENGINE: Oid = (1, 3, 6, 1, 6, 3, 10, 2, 1)
MESSAGE_PROCESSING_STATISTICS: Oid = (1, 3, 6, 1, 6, 3, 11, 2, 1)
USM_STATISTICS: Oid = (1, 3, 6, 1, 6, 3, 15, 1, 1)
"""Of the tables of users, keys and views nothing is readable: they are in no view."""
SNMP_SET: Oid = (1, 3, 6, 1, 6, 3, 1, 1, 6)
UNAVAILABLE_CONTEXTS: Oid = (1, 3, 6, 1, 6, 3, 12, 1, 4)
UNKNOWN_CONTEXTS: Oid = (1, 3, 6, 1, 6, 3, 12, 1, 5)

_STANDARD = (
    SYSTEM,
    SNMP,
    SNMP_SET,
    ENGINE,
    MESSAGE_PROCESSING_STATISTICS,
    UNAVAILABLE_CONTEXTS,
    UNKNOWN_CONTEXTS,
    USM_STATISTICS,
)
_SYSTEM_WRITABLE = ((*SYSTEM, 4), (*SYSTEM, 6), (*SNMP, 30), (*SNMP_SET, 1))
"""sysContact, sysLocation, snmpEnableAuthenTraps and snmpSetSerialNo."""
_PEERS_ONLY = tuple(
    table.entry[:-1]
    for table in (
        PROPOSAL,
        CONFIG_RECORD,
        CHANGE,
        BINDING_BLOCK,
        POLL,
        TRANSFER,
    )
)
_AUDIT = AUDIT.entry[:-1]
_CONFIGURATION = tuple(table.entry[:-1] for table in CONFIGURATION.values())


def _included(*subtrees: Oid) -> dict[Oid, bool]:
    return dict.fromkeys(subtrees, True)


def _excluded(*subtrees: Oid) -> dict[Oid, bool]:
    return dict.fromkeys(subtrees, False)


VIEWS: Mapping[tuple[Role, Operation], Mapping[Oid, bool]] = {
    (Role.MONITOR, Operation.READ): _included(*_STANDARD, OBJECTS)
    | _excluded(*_PEERS_ONLY, _AUDIT),
    (Role.OPERATOR, Operation.READ): _included(*_STANDARD, OBJECTS) | _excluded(*_PEERS_ONLY),
    (Role.OPERATOR, Operation.WRITE): _included(
        *_CONFIGURATION,
        GROUP.entry[:-1],
        MEMBER.entry[:-1],
        CONFLICT.entry[:-1],
        BINDING["State"].oid,
        *_SYSTEM_WRITABLE,
    ),
    (Role.PEER, Operation.READ): _included(*_STANDARD, OBJECTS) | _excluded(_AUDIT),
    (Role.PEER, Operation.WRITE): _included(
        *(table.entry[:-1] for table in (POLL, TRANSFER, PROPOSAL))
    ),
    (Role.PEER, Operation.NOTIFY): _included(HELLO, BINDING_UPDATE),
}
"""Subtrees by role and operation, included (True) or not; the longest one that holds an OID
decides. What no entry holds is denied, and so is every operation of a role without an entry."""


def may(role: Role, operation: Operation, oid: Oid) -> bool:
    """Whether `role` may do `operation` to `oid` (an instance, or a column or scalar)."""
    view = VIEWS.get((role, operation), {})
    for size in range(len(oid), 0, -1):
        found = view.get(oid[:size])
        if found is not None:
            return found
    return False


def has_view(role: Role, operation: Operation) -> bool:
    """Whether there is anything at all that `role` may do this to."""
    return (role, operation) in VIEWS
