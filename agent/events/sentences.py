"""Events as people read them, a sentence each, and as programs do, an object of JSON each."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from typing import Any

from agent.events.event import Event, EventKind, Numbered
from agent.model import NEVER, format_address


def instant(at_s: int) -> str:
    if at_s >= NEVER:
        return "ever"
    return f"{_utc(at_s):%Y-%m-%d %H:%M:%S} UTC"


def _utc(at_s: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC)


def client(event: Event) -> str:
    """Its hardware address, or its identifier where it has told none, and its host name."""
    octets = event.hardware_address or event.client_key
    name = f" ({event.subject})" if event.subject else ""
    return f"{octets.hex(':') or 'an unknown client'}{name}"


def _address(event: Event) -> str:
    return format_address(event.address)


def _declined(event: Event) -> str:
    return (
        f"{client(event)} declined {_address(event)}: somebody else answers there; {_kept(event)}"
    )


def _in_use(event: Event) -> str:
    who = event.hardware_address.hex(":") or "somebody"
    return f"{who} answers at {_address(event)}, which nobody was given; {_kept(event)}"


def _kept(event: Event) -> str:
    if event.until:
        return f"nobody gets it until {instant(event.until)}"
    return "it is tried before anybody gets it"


def _no_free_address(event: Event) -> str:
    octets = event.hardware_address or event.client_key
    others = f", and {int(event.new) - 1} more messages" if int(event.new) > 1 else ""
    return f"no free address in {event.subject} for {octets.hex(':')}{others}"


def _configured(event: Event) -> str:
    """With what it says, or what of it has changed."""
    who = event.user or f"member {event.member}"
    old, new = _row(event.old), _row(event.new)
    if not old or not new:
        words = [f"{name} {value}" for name, value in (new or old).items() if value]
        said = ", ".join(word for word in words if word != "active True")
        done = f"{who} {'deleted' if old else 'added'} {event.subject}"
        return f"{done}: {said}" if said else done
    said = ", ".join(
        f"{name} {old.get(name)!r} to {new.get(name)!r}"
        for name in old | new
        if old.get(name) != new.get(name)
    )
    return f"{who} changed {event.subject}: {said}"


def _row(text: str) -> dict[str, Any]:
    """A configuration row by its fields (`agent.events.configuration`); empty where there is
    none."""
    fields: dict[str, Any] = json.loads(text) if text else {}
    return fields


def _member(words: str) -> Callable[[Event], str]:
    return lambda event: f"member {event.member} {event.subject} {words}"


_SENTENCES: Mapping[EventKind, Callable[[Event], str]] = {
    EventKind.BOUND: lambda e: f"{_address(e)} bound to {client(e)} until {instant(e.until)}",
    EventKind.RENEWED: lambda e: f"{client(e)} keeps {_address(e)} until {instant(e.until)}",
    EventKind.RELEASED: lambda e: f"{client(e)} released {_address(e)}",
    EventKind.EXPIRED: lambda e: (
        f"the lease of {_address(e)} by {client(e)} ended at {instant(e.until)}"
    ),
    EventKind.DECLINED: _declined,
    EventKind.IN_USE: _in_use,
    EventKind.CONFLICT: lambda e: f"{_address(e)} was given to two clients: {e.old} and {e.new}",
    EventKind.NO_FREE_ADDRESS: _no_free_address,
    EventKind.CONFIGURED: _configured,
    EventKind.MEMBER_JOINED: _member("joined the group"),
    EventKind.MEMBER_LEFT: _member("left the group"),
    EventKind.MEMBER_REMOVED: _member("was removed from the group"),
    EventKind.MEMBER_DOWN: lambda e: _member("is shut down" if e.new else "was declared dead")(e),
    EventKind.MEMBER_BACK: _member("is back in the group"),
    EventKind.MEMBER_SILENT: _member("is silent"),
    EventKind.MEMBER_HEARD: _member("is heard again"),
    EventKind.GROUP_CHANGED: lambda e: f"{e.subject} of the group changed from {e.old} to {e.new}",
    EventKind.GROUP_FORKED: lambda e: (
        f"what this member knew of the group does not stand: generation {e.new} does"
    ),
    EventKind.ROWS_DIFFER: _member("holds other rows of the same changes"),
    EventKind.POOL_LOW: lambda e: f"pool {e.subject} is low here: {e.new} free addresses",
    EventKind.POOL_HIGH: lambda e: (
        f"pool {e.subject} has enough here again: {e.new} free addresses"
    ),
}


def sentence(event: Event) -> str:
    """One line. Names come from clients, peers and operators: none of them ends the line, or tells
    a terminal anything."""
    text = _SENTENCES[event.kind](event)
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def as_json(one: Numbered) -> dict[str, Any]:
    """What the event is not about is left out; times in UTC."""
    event = one.event
    told: dict[str, Any] = {
        "number": one.number,
        "time": _utc(event.at).isoformat(),
        "kind": event.kind.word,
        "sentence": sentence(event),
    }
    if event.address:
        told["address"] = _address(event)
    for key in ("client_key", "hardware_address"):
        if octets := getattr(event, key):
            told[key] = octets.hex(":")
    if event.until:
        told["until"] = None if event.until >= NEVER else _utc(event.until).isoformat()
    for key in ("member", "user", "subject", "old", "new"):
        if value := getattr(event, key):
            is_row = event.kind is EventKind.CONFIGURED and key in ("old", "new")
            told[key] = _row(value) if is_row else value
    return told
