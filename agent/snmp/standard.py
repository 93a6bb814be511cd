"""The groups of SNMP's own MIBs that every agent has, read from where pysnmp counts.

system and snmp (RFC 3418), snmpEngine (RFC 3411), snmpMPDStats (RFC 3412), usmStats (RFC 3414). All
read-only here. Of pysnmp's tables of users, keys and views nothing is made readable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from pysnmp.entity.engine import SnmpEngine

from agent.snmp import ber, view
from agent.snmp.columns import MODULE
from agent.snmp.engine import symbol
from agent.snmp.oid import Oid
from agent.snmp.tables import Node, ScalarNode, Scope

SERVICES = 72
"""sysServices: applications (64) and end-to-end (8), as RFC 3418 2 computes it."""

_COUNTERS: Sequence[tuple[Oid, str, str]] = (
    ((*view.SNMP, 1), "SNMPv2-MIB", "snmpInPkts"),
    ((*view.SNMP, 3), "SNMPv2-MIB", "snmpInBadVersions"),
    ((*view.SNMP, 4), "SNMPv2-MIB", "snmpInBadCommunityNames"),
    ((*view.SNMP, 5), "SNMPv2-MIB", "snmpInBadCommunityUses"),
    ((*view.SNMP, 6), "SNMPv2-MIB", "snmpInASNParseErrs"),
    ((*view.SNMP, 31), "SNMPv2-MIB", "snmpSilentDrops"),
    ((*view.MESSAGE_PROCESSING_STATISTICS, 1, 1), "SNMP-MPD-MIB", "snmpUnknownSecurityModels"),
    ((*view.MESSAGE_PROCESSING_STATISTICS, 1, 2), "SNMP-MPD-MIB", "snmpInvalidMsgs"),
    ((*view.MESSAGE_PROCESSING_STATISTICS, 1, 3), "SNMP-MPD-MIB", "snmpUnknownPDUHandlers"),
    *(
        ((*view.USM_STATISTICS, arc), "SNMP-USER-BASED-SM-MIB", f"usmStats{name}")
        for arc, name in enumerate(
            (
                "UnsupportedSecLevels",
                "NotInTimeWindows",
                "UnknownUserNames",
                "UnknownEngineIDs",
                "WrongDigests",
                "DecryptionErrors",
            ),
            1,
        )
    ),
)


def nodes(engine: SnmpEngine, version: str, name: str) -> list[Node]:
    """`name` is what sysName says."""
    started = time.monotonic()

    def text(words: str) -> Callable[[Scope], bytes]:
        encoded = ber.octets(words.encode())
        return lambda _: encoded

    def kept(module: str, scalar: str, encode: Callable[[int], bytes]) -> Callable[[Scope], bytes]:
        at = symbol(engine, module, scalar)
        return lambda _: encode(int(at.syntax.clone()))

    def counter(value: int) -> bytes:
        return ber.unsigned(value & 0xFFFF_FFFF, ber.COUNTER32)

    def up_time(_: Scope) -> bytes:
        ticks = int((time.monotonic() - started) * 100) & 0xFFFF_FFFF
        return ber.unsigned(ticks, ber.TIME_TICKS)

    engine_id = ber.octets(symbol(engine, "SNMP-FRAMEWORK-MIB", "snmpEngineID").syntax.asOctets())
    readers: dict[Oid, Callable[[Scope], bytes]] = {
        (*view.SYSTEM, 1): text(f"dhcpsync {version}"),
        (*view.SYSTEM, 2): lambda _: ber.oid_value(MODULE),
        (*view.SYSTEM, 3): up_time,
        (*view.SYSTEM, 4): text(""),
        (*view.SYSTEM, 5): text(name),
        (*view.SYSTEM, 6): text(""),
        (*view.SYSTEM, 7): lambda _: ber.integer(SERVICES),
        (*view.ENGINE, 1): lambda _: engine_id,
        (*view.ENGINE, 2): kept("SNMP-FRAMEWORK-MIB", "snmpEngineBoots", ber.integer),
        (*view.ENGINE, 3): kept("SNMP-FRAMEWORK-MIB", "snmpEngineTime", ber.integer),
        (*view.ENGINE, 4): kept("SNMP-FRAMEWORK-MIB", "snmpEngineMaxMessageSize", ber.integer),
    }
    for oid, module, scalar in _COUNTERS:
        readers[oid] = kept(module, scalar, counter)
    return [ScalarNode(oid, read) for oid, read in readers.items()]
