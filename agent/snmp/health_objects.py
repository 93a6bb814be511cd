"""A member's health in the objects of the MIB, and as the notification that it is another now."""

from __future__ import annotations

from collections.abc import Mapping

from agent.health import Health, Kind, Severity
from agent.sync.notices import Notice

HEALTH_TEXT_MAX = 255
"""Octets of dhcpSyncServerHealthText (SnmpAdminString)."""

LEVELS: Mapping[Severity, int] = {Severity.NOTE: 1, Severity.DEGRADED: 2, Severity.FAILING: 3}


def level(health: Health) -> int:
    """dhcpSyncServerHealth."""
    return LEVELS[health.severity]


def reason_bits(health: Health) -> bytes:
    """dhcpSyncServerHealthReasons: BITS, the first kind is the highest bit of the first octet."""
    octets = bytearray((len(Kind) + 7) // 8)
    for bit, kind in enumerate(Kind):
        if kind in health.kinds:
            octets[bit // 8] |= 0x80 >> bit % 8
    return bytes(octets)


def says(kind: Kind, reasons: object) -> bool:
    """Whether dhcpSyncServerHealthReasons of a member, which may be of another version, has it."""
    octet, bit = divmod(list(Kind).index(kind), 8)
    octets = reasons if isinstance(reasons, bytes) else b""
    return octet < len(octets) and bool(octets[octet] & 0x80 >> bit)


def health_text(health: Health) -> str:
    octets = health.text.encode()[:HEALTH_TEXT_MAX]
    return octets.decode("utf-8", "ignore")


def health_notice(health: Health) -> Notice:
    return Notice(
        "dhcpSyncHealthCleared" if health.is_well else "dhcpSyncHealthRaised",
        (
            ("dhcpSyncServerHealth", (0,), level(health)),
            ("dhcpSyncServerHealthReasons", (0,), reason_bits(health)),
            ("dhcpSyncServerHealthText", (0,), health_text(health)),
        ),
    )
