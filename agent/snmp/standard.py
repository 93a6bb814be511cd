"""The groups of SNMP's own MIBs that every agent has.

system, snmp and snmpSet (RFC 3418), snmpEngine (RFC 3411), snmpMPDStats (RFC 3412), usmStats (RFC
3414) and the context counters (RFC 3413). What may be set of them: `system.py`. What came from
outside is counted by the door (`statistics.py`); of the answers to this member's own requests
pysnmp counts some too. Of pysnmp's tables nothing is readable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pysnmp.entity.engine import SnmpEngine

from agent import clock
from agent.limits import SNMP_MESSAGE_OCTETS_MAX
from agent.snmp import ber, view
from agent.snmp.columns import MODULE
from agent.snmp.door import Door
from agent.snmp.engine import symbol
from agent.snmp.oid import Oid
from agent.snmp.system import (
    AUTHEN_TRAPS,
    AUTHEN_TRAPS_DISABLED,
    CONTACT,
    LOCATION,
    SET_SERIAL,
    SystemGroup,
)
from agent.snmp.tables import Node, ScalarNode, Scope

SERVICES = 72
"""sysServices: applications (64) and end-to-end (8), as RFC 3418 2 computes it."""

_COUNTERS: Sequence[tuple[Oid, str]] = (
    ((*view.SNMP, 1), "in_packets"),
    ((*view.SNMP, 3), "bad_versions"),
    ((*view.SNMP, 4), "bad_community_names"),
    ((*view.SNMP, 5), "bad_community_uses"),
    ((*view.SNMP, 6), "asn_parse_errors"),
    ((*view.SNMP, 31), "silent_drops"),
    ((*view.UNKNOWN_CONTEXTS,), "unknown_contexts"),
    ((*view.MESSAGE_PROCESSING_STATISTICS, 1), "unknown_security_models"),
    ((*view.MESSAGE_PROCESSING_STATISTICS, 2), "invalid_messages"),
    ((*view.MESSAGE_PROCESSING_STATISTICS, 3), "unknown_pdu_handlers"),
    ((*view.USM_STATISTICS, 1), "unsupported_levels"),
    ((*view.USM_STATISTICS, 2), "not_in_time_windows"),
    ((*view.USM_STATISTICS, 3), "unknown_users"),
    ((*view.USM_STATISTICS, 4), "unknown_engines"),
    ((*view.USM_STATISTICS, 5), "wrong_digests"),
    ((*view.USM_STATISTICS, 6), "decryption_errors"),
)

_NEVER_COUNTED: Sequence[Oid] = ((*view.SNMP, 32), view.UNAVAILABLE_CONTEXTS)
"""snmpProxyDrops, for this is no proxy; and snmpUnavailableContexts, for its one context, the empty
one, is always there."""

RESOURCES: Sequence[tuple[Oid, str]] = (
    ((1, 3, 6, 1, 6, 3, 1), "SNMPv2-MIB: the system and snmp groups (RFC 3418)"),
    ((1, 3, 6, 1, 6, 3, 10, 3, 1, 1), "SNMP-FRAMEWORK-MIB: the engine (RFC 3411)"),
    ((1, 3, 6, 1, 6, 3, 11, 3, 1, 1), "SNMP-MPD-MIB: message processing (RFC 3412)"),
    ((1, 3, 6, 1, 6, 3, 15, 2, 1, 1), "SNMP-USER-BASED-SM-MIB: statistics of USM (RFC 3414)"),
    (MODULE, "DHCP-SYNC-MIB: a member of a group of DHCP servers"),
)
"""sysORTable: what this agent implements."""

_OF_ANSWERS: dict[str, tuple[str, str]] = {
    "asn_parse_errors": ("SNMPv2-MIB", "snmpInASNParseErrs"),
    "not_in_time_windows": ("SNMP-USER-BASED-SM-MIB", "usmStatsNotInTimeWindows"),
    "decryption_errors": ("SNMP-USER-BASED-SM-MIB", "usmStatsDecryptionErrors"),
}
"""What pysnmp still finds out about the answers that the door hands on to it."""


class FixedColumn:
    """A column of a table that never changes; its rows are numbered from 1."""

    def __init__(self, oid: Oid, values: Sequence[bytes]) -> None:
        self.oid = oid
        self._values = values

    def instances_after(self, scope: Scope, after: Oid, wanted: int) -> Iterator[tuple[Oid, bytes]]:
        for row, value in enumerate(self._values, 1):
            if (row,) > after:
                yield (row,), value

    def instance(self, scope: Scope, index: Oid) -> bytes | None:
        if len(index) != 1 or not 1 <= index[0] <= len(self._values):
            return None
        return self._values[index[0] - 1]


def _resource_columns() -> list[Node]:
    """All of them since the start: sysORUpTime and sysORLastChange are 0."""
    entry = (*view.SYSTEM, 9, 1)
    return [
        FixedColumn((*entry, 2), [ber.oid_value(oid) for oid, _ in RESOURCES]),
        FixedColumn((*entry, 3), [ber.octets(words.encode()) for _, words in RESOURCES]),
        FixedColumn((*entry, 4), [ber.unsigned(0, ber.TIME_TICKS)] * len(RESOURCES)),
    ]


def nodes(
    engine: SnmpEngine, door: Door, system: SystemGroup, version: str, name: str
) -> list[Node]:
    """`name` is what sysName says."""
    started = clock.boot_s()

    def text(words: str) -> Callable[[Scope], bytes]:
        encoded = ber.octets(words.encode())
        return lambda _: encoded

    def count(field: str) -> Callable[[Scope], bytes]:
        theirs = symbol(engine, *_OF_ANSWERS[field]) if field in _OF_ANSWERS else None

        def read(_: Scope) -> bytes:
            value: int = getattr(door.statistics, field)
            if theirs is not None:
                value += int(theirs.syntax)
            return ber.unsigned(value & 0xFFFF_FFFF, ber.COUNTER32)

        return read

    def up_time(_: Scope) -> bytes:
        ticks = int((clock.boot_s() - started) * 100) & 0xFFFF_FFFF
        return ber.unsigned(ticks, ber.TIME_TICKS)

    engine_id = ber.octets(symbol(engine, "SNMP-FRAMEWORK-MIB", "snmpEngineID").syntax.asOctets())
    readers: dict[Oid, Callable[[Scope], bytes]] = {
        (*view.SYSTEM, 1): text(f"dhcpsync {version}"),
        (*view.SYSTEM, 2): lambda _: ber.oid_value(MODULE),
        (*view.SYSTEM, 3): up_time,
        CONTACT: lambda _: ber.octets(system.texts.contact.encode()),
        (*view.SYSTEM, 5): text(name),
        LOCATION: lambda _: ber.octets(system.texts.location.encode()),
        (*view.SYSTEM, 7): lambda _: ber.integer(SERVICES),
        (*view.SYSTEM, 8): lambda _: ber.unsigned(0, ber.TIME_TICKS),
        AUTHEN_TRAPS: lambda _: ber.integer(AUTHEN_TRAPS_DISABLED),
        SET_SERIAL: lambda _: ber.integer(system.serial),
        (*view.ENGINE, 1): lambda _: engine_id,
        (*view.ENGINE, 2): lambda _: ber.integer(door.boots),
        (*view.ENGINE, 3): lambda _: ber.integer(door.time_s(clock.boot_s())),
        (*view.ENGINE, 4): lambda _: ber.integer(SNMP_MESSAGE_OCTETS_MAX),
    }
    for oid, field in _COUNTERS:
        readers[oid] = count(field)
    for oid in _NEVER_COUNTED:
        readers[oid] = lambda _: ber.unsigned(0, ber.COUNTER32)
    return [*(ScalarNode(oid, read) for oid, read in readers.items()), *_resource_columns()]
