"""The groups of SNMP's own MIBs that every agent has.

system and snmp (RFC 3418), snmpEngine (RFC 3411), snmpMPDStats (RFC 3412), usmStats (RFC 3414). All
read-only here. What came from outside is counted by the door (`statistics.py`); of the answers to
this member's own requests pysnmp counts some too. Of pysnmp's tables nothing is readable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pysnmp.entity.engine import SnmpEngine

from agent import clock
from agent.limits import SNMP_MESSAGE_OCTETS_MAX
from agent.snmp import ber, view
from agent.snmp.columns import MODULE
from agent.snmp.door import Door
from agent.snmp.engine import symbol
from agent.snmp.oid import Oid
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

_OF_ANSWERS: dict[str, tuple[str, str]] = {
    "asn_parse_errors": ("SNMPv2-MIB", "snmpInASNParseErrs"),
    "not_in_time_windows": ("SNMP-USER-BASED-SM-MIB", "usmStatsNotInTimeWindows"),
    "decryption_errors": ("SNMP-USER-BASED-SM-MIB", "usmStatsDecryptionErrors"),
}
"""What pysnmp still finds out about the answers that the door hands on to it."""


def nodes(engine: SnmpEngine, door: Door, version: str, name: str) -> list[Node]:
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
        (*view.SYSTEM, 4): text(""),
        (*view.SYSTEM, 5): text(name),
        (*view.SYSTEM, 6): text(""),
        (*view.SYSTEM, 7): lambda _: ber.integer(SERVICES),
        (*view.ENGINE, 1): lambda _: engine_id,
        (*view.ENGINE, 2): lambda _: ber.integer(door.boots),
        (*view.ENGINE, 3): lambda _: ber.integer(door.time_s(clock.boot_s())),
        (*view.ENGINE, 4): lambda _: ber.integer(SNMP_MESSAGE_OCTETS_MAX),
    }
    for oid, field in _COUNTERS:
        readers[oid] = count(field)
    return [ScalarNode(oid, read) for oid, read in readers.items()]
