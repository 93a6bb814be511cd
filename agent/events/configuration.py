"""Changes of the configuration as events: who changed which row from what to what.

A row is told as JSON by the names of its fields, so that it can be made again from an event of any
version: a field that this one does not know is left out, one that was not there yet is as in a new
row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from agent.events.event import Event, EventKind
from agent.kinds import kind_of, parse_name, row_name
from agent.kinds.kind import REQUIRED, Field, empty_of
from agent.kinds.values import Choice, Octets, Text, Type
from agent.model import ConfigRecord, ConfigRow

Replaced = tuple[ConfigRecord | None, ConfigRecord]
"""A record as it was, if there was one, and as it is."""


def configuration_events(replaced: Iterable[Replaced], user: str, now: int) -> list[Event]:
    """`user`: who had it done, where this member was told so; else it was done at another member,
    which the record names."""
    events = []
    for before, after in replaced:
        old, new = (_told(before) if before else ""), _told(after)
        if old != new:
            events.append(
                Event(
                    now,
                    EventKind.CONFIGURED,
                    member=after.version.member,
                    user=user,
                    subject=row_name(after.row),
                    old=old,
                    new=new,
                )
            )
    return events


def _told(record: ConfigRecord) -> str:
    return "" if record.deleted else pack_row(record.row)


def pack_row(row: ConfigRow) -> str:
    """All of a row but its key, as people and JSON have it."""
    fields = {
        field.name: _plain(field.type, getattr(row, field.name))
        for field in kind_of(row).fields
        if field.key is None
    }
    return json.dumps(fields | {"active": row.active}, ensure_ascii=False)


def _plain(type_: Type, value: Any) -> str | int:
    if isinstance(type_, Choice):
        return next(word for word, one in type_.spelled.items() if one is value)
    plain: str | int = value.hex() if isinstance(value, bytes) else value
    return plain


def unpack_row(subject: str, text: str) -> ConfigRow:
    """The row of that name which `pack_row` packed. Raises ValueError where no row of this version
    is like that."""
    kind, key = parse_name(subject)
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError(f"{text!r} is no row")
    values: list[Any] = list(key)
    for field in kind.fields[len(kind.keys) :]:
        values.append(_value(field, fields))
    row: ConfigRow = kind.row_of(values, bool(fields.get("active", True)))
    return row


def _value(field: Field, fields: dict[str, Any]) -> Any:
    """Checked by the bounds of its type; a choice as its number."""
    type_ = field.type
    if field.name not in fields:
        return empty_of(type_) if field.default is REQUIRED else field.default
    value = fields[field.name]
    if isinstance(type_, Choice):
        word = type_.spelled.get(value) if isinstance(value, str) else None
        if word is None:
            raise ValueError(f"{field.name}: {value!r} is none of {', '.join(type_.spelled)}")
        return int(word)
    if isinstance(type_, Octets) and isinstance(value, str):
        value = bytes.fromhex(value)
    if isinstance(type_, Text):  # of a peer, it may be such as nobody could set
        wrong = "" if isinstance(value, str) else f"{value!r} is no text"
    else:
        wrong = type_.problem(value)
    if wrong:
        raise ValueError(f"{field.name}: {wrong}")
    return value
