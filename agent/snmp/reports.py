"""What Reports are about (RFC 3412 7, RFC 3414 2.2, 3.2 and 5): the door makes them, and who asks
reads them.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.snmp.oid import Oid

BOOTS_MAX = 2**31 - 1
"""snmpEngineBoots latches there, and nothing is in time any more (RFC 3414 2.2.2)."""

TIME_WINDOW_S = 150
"""RFC 3414 2.2.3."""


class ReportKind(NamedTuple):
    """What a Report says (RFC 3414 5, RFC 3412 5, RFC 3413 4.1.1): an instance, and our count."""

    oid: Oid
    counter: str


_USM_STATS = (1, 3, 6, 1, 6, 3, 15, 1, 1)
UNSUPPORTED_LEVEL = ReportKind((*_USM_STATS, 1, 0), "unsupported_levels")
NOT_IN_TIME_WINDOW = ReportKind((*_USM_STATS, 2, 0), "not_in_time_windows")
UNKNOWN_USER = ReportKind((*_USM_STATS, 3, 0), "unknown_users")
UNKNOWN_ENGINE = ReportKind((*_USM_STATS, 4, 0), "unknown_engines")
WRONG_DIGEST = ReportKind((*_USM_STATS, 5, 0), "wrong_digests")
DECRYPTION_ERROR = ReportKind((*_USM_STATS, 6, 0), "decryption_errors")
UNKNOWN_PDU_HANDLER = ReportKind((1, 3, 6, 1, 6, 3, 11, 2, 1, 3, 0), "unknown_pdu_handlers")
UNKNOWN_CONTEXT = ReportKind((1, 3, 6, 1, 6, 3, 12, 1, 5, 0), "unknown_contexts")
