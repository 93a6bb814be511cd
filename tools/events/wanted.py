"""Which events a person asks for, by what he writes on the command line."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.errors import ConfigError
from agent.events.event import KIND_OF_WORD, LAST_OF_LEASES, Event, EventKind
from agent.model import parse_address
from tools.lease.words import CLIENT_ID, HARDWARE_ADDRESS, HOST_NAME, Key, parse_words

_SPAN = re.compile(r"(\d{1,9})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_WIDTH = 32


@dataclass(frozen=True, slots=True)
class Wanted:
    """An event must be of one of `kinds`, about an address of `network` (first, last) and about a
    client of `keys`, and not before `since`. What is None or empty asks for nothing."""

    kinds: frozenset[EventKind] = frozenset()
    network: tuple[int, int] | None = None
    keys: tuple[Key, ...] = ()
    since: int = 0

    def admits(self, event: Event) -> bool:
        if event.at < self.since or (self.kinds and event.kind not in self.kinds):
            return False
        if self.network is not None and not self.network[0] <= event.address <= self.network[1]:
            return False
        return not self.keys or any(_is_of(event, key) for key in self.keys)


def _is_of(event: Event, key: Key) -> bool:
    if key.kind == HARDWARE_ADDRESS:
        return event.hardware_address == key.octets
    if key.kind == CLIENT_ID:
        return event.client_key == b"\x01" + key.octets
    assert key.kind == HOST_NAME
    name = key.octets.decode("utf-8", "replace")
    return event.kind <= LAST_OF_LEASES and event.subject.casefold() == name.casefold()


def parse_wanted(kinds: Sequence[str], address: str, client: str, since: str, now: float) -> Wanted:
    """ConfigError says what can be written. `now`: in seconds of wall time."""
    return Wanted(
        frozenset(_parse_kind(word) for word in kinds),
        _parse_network(address) if address else None,
        _parse_client(client) if client else (),
        _parse_since(since, now) if since else 0,
    )


def _parse_kind(word: str) -> EventKind:
    kind = KIND_OF_WORD.get(word.lower().replace("-", "_"))
    if kind is None:
        raise ConfigError("--kind", "", f"{word!r} is none", f"one of {', '.join(KIND_OF_WORD)}")
    return kind


def _parse_network(text: str) -> tuple[int, int]:
    place, slash, length = text.partition("/")
    try:
        address = parse_address(place)
        if slash and not (length.isascii() and length.isdigit() and int(length) <= _WIDTH):
            raise ValueError(f"{length!r} is no prefix length")
    except ValueError as error:
        raise ConfigError(
            "--address", "", str(error), "write 192.0.2.17, or 192.0.2.0/24 for a network"
        ) from None
    host = (1 << _WIDTH - int(length if slash else _WIDTH)) - 1
    return address & ~host, address | host


def _parse_client(text: str) -> tuple[Key, ...]:
    words = parse_words(text)
    if words.address is not None:
        raise ConfigError("--client", "", f"{text} is an address", f"write --address {text}")
    return words.keys


def _parse_since(text: str, now: float) -> int:
    span = _SPAN.fullmatch(text)
    if span:
        return int(now) - int(span[1]) * _SECONDS[span[2]]
    try:
        return int(datetime.datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        raise ConfigError(
            "--since",
            "",
            f"{text!r} is no time",
            'write "90s", "30m", "2h", "7d" before now, or "2026-11-27 03:00" of this machine',
        ) from None
