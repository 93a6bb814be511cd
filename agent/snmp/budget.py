"""How much of what comes over the network is looked at, by where it says that it is from.

Anybody can send datagrams, from any address. Reading one costs little and refusing it with a
Report a little more, so a flood is only a matter of numbers: each source has a budget for messages
that are read, and a smaller one for Reports. Sources of which an authentic message has been seen
have one of their own that strangers cannot use up, and so have the group's members.
Strangers also share one: who makes up a new source for every datagram gains nothing by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from agent.limits import (
    SNMP_KNOWN_REPORTS_PER_S,
    SNMP_KNOWN_SOURCES_MAX,
    SNMP_MEMBER_MESSAGES_PER_S,
    SNMP_REPORTS_PER_S,
    SNMP_SOURCE_MESSAGES_PER_S,
    SNMP_SOURCE_REPORTS_PER_S,
    SNMP_STRANGERS_MAX,
    SNMP_STRANGERS_MESSAGES_PER_S,
)


class Bucket:
    """So many a second, and at most a second's worth at once."""

    __slots__ = ("_at_s", "_left", "_per_s")

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._left = float(per_s)
        self._at_s = 0.0

    def take(self, now_s: float) -> bool:
        left = min(self._left + (now_s - self._at_s) * self._per_s, self._per_s)
        self._at_s = now_s
        if left < 1:
            self._left = left
            return False
        self._left = left - 1
        return True


class Source(NamedTuple):
    """What one address may cost."""

    messages: Bucket
    reports: Bucket


def _source(messages_per_s: int, reports_per_s: int = SNMP_KNOWN_REPORTS_PER_S) -> Source:
    return Source(Bucket(messages_per_s), Bucket(reports_per_s))


class Budgets:
    """Sources are addresses as the socket names them."""

    def __init__(self) -> None:
        self._members: dict[str, Source] = {}
        self._known: dict[str, Source] = {}
        self._strangers: dict[str, Source] = {}
        self._of_strangers = Bucket(SNMP_STRANGERS_MESSAGES_PER_S)
        self._reports = Bucket(SNMP_REPORTS_PER_S)

    def allow_members(self, addresses: Iterable[str]) -> None:
        """The members of the group, as they are now."""
        self._members = {
            address: self._members.get(address) or _source(SNMP_MEMBER_MESSAGES_PER_S)
            for address in addresses
        }

    def know(self, address: str) -> None:
        """An authentic message has come from there; who was longest without one is forgotten."""
        if address in self._members:
            return
        source = self._known.pop(address, None)
        if source is None:
            source = _source(SNMP_SOURCE_MESSAGES_PER_S)
            self._strangers.pop(address, None)
            if len(self._known) >= SNMP_KNOWN_SOURCES_MAX:
                del self._known[next(iter(self._known))]
        self._known[address] = source

    def admit_message(self, address: str, now_s: float) -> bool:
        source = self._members.get(address) or self._known.get(address)
        if source is not None:
            return source.messages.take(now_s)
        return self._stranger(address).messages.take(now_s) and self._of_strangers.take(now_s)

    def admit_report(self, address: str, now_s: float) -> bool:
        source = self._members.get(address) or self._known.get(address)
        if source is not None:
            return source.reports.take(now_s)
        return self._stranger(address).reports.take(now_s) and self._reports.take(now_s)

    def _stranger(self, address: str) -> Source:
        source = self._strangers.get(address)
        if source is None:
            if len(self._strangers) >= SNMP_STRANGERS_MAX:
                del self._strangers[next(iter(self._strangers))]
            source = self._strangers[address] = _source(
                SNMP_SOURCE_MESSAGES_PER_S, SNMP_SOURCE_REPORTS_PER_S
            )
        return source
