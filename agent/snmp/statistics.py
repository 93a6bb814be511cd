"""What SNMP's own MIBs count of the messages that came, as plain numbers (RFC 3411 to 3418)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Statistics:
    """`over_budget` datagrams were dropped unread, for their sources had sent too many;
    `reports_held` are Reports that were not sent for the same reason."""

    in_packets: int = 0
    bad_versions: int = 0
    bad_community_names: int = 0
    bad_community_uses: int = 0
    asn_parse_errors: int = 0
    silent_drops: int = 0
    unknown_security_models: int = 0
    invalid_messages: int = 0
    unknown_pdu_handlers: int = 0
    unknown_contexts: int = 0
    unsupported_levels: int = 0
    not_in_time_windows: int = 0
    unknown_users: int = 0
    unknown_engines: int = 0
    wrong_digests: int = 0
    decryption_errors: int = 0
    over_budget: int = 0
    reports_held: int = 0
    traps_ignored: int = 0
