"""What must change so that a member's configuration is the file's: pure.

A row is known by its natural key. What the file does not name is deleted: the file says all.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agent.dhcp.option_types import option_type
from agent.dhcp.options import format_text
from agent.kinds import kind_of, shown_key
from agent.kinds.values import Address, Choice, Number, Type
from agent.model import ConfigRow, Option, Reservation, Setting, configuration_key
from tools.apply.file import ETHERNET


class Action(enum.Enum):
    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Step:
    """One row to write; `before` is what the member has, where it has the row."""

    action: Action
    row: ConfigRow
    before: ConfigRow | None = None

    @property
    def kind(self) -> str:
        return kind_of(self.row).name

    @property
    def key(self) -> str:
        """The row's natural key; an option's code with its name."""
        key = shown_key(self.row)
        if isinstance(self.row, Option):
            return f"{key} ({option_type(self.row.code).name})"
        return key

    def describe(self) -> str:
        """What the row will say, or how it changes."""
        new = _values(self.row)
        if self.before is None or self.action is Action.DELETE:
            return ", ".join(f"{name} {value}" for name, value in new.items() if value)
        old = _values(self.before)
        return ", ".join(
            f"{name} {old[name] or 'none'} -> {value or 'none'}"
            for name, value in new.items()
            if value != old[name]
        )


def _values(row: ConfigRow) -> dict[str, str]:
    said = {
        field.toml.replace("-", " "): _words(field.type, getattr(row, field.name))
        for field in kind_of(row).fields
        if field.toml and field.key is None
    }
    if isinstance(row, Option):
        said["value"] = format_text(row.code, row.data)
    elif isinstance(row, Setting):
        said["value"] = f"{row.value} s"
    elif isinstance(row, Reservation):
        said = {"client": _client(row.client_key)} | said
    return said | {"state": "" if row.active else "not in service"}


def _words(type_: Type, value: Any) -> str:
    if isinstance(type_, Choice):
        return next(word for word, one in type_.spelled.items() if one is value)
    if not value:
        return ""
    if isinstance(type_, Address):
        return type_.text(value)
    if isinstance(type_, Number):
        return f"{value} {type_.unit}".rstrip()
    return value.hex(":") if isinstance(value, bytes) else str(value)


def _client(key: bytes) -> str:
    if key[:1] == b"\x01":
        return f"id {key[1:].hex(':')}"
    hardware_type = f" of type {key[1]}" if key[1:2] not in (b"", bytes((ETHERNET,))) else ""
    return f"hardware address {key[2:].hex(':')}{hardware_type}"


def make_plan(present: Iterable[ConfigRow], wanted: Iterable[ConfigRow]) -> list[Step]:
    """Steps in the order in which they are possible one after another: what goes makes room
    first, from the innermost outwards; what comes is built from the outermost inwards."""
    have = {configuration_key(row): row for row in present}
    want = {configuration_key(row): row for row in wanted}
    gone = [Step(Action.DELETE, row, row) for key, row in have.items() if key not in want]
    kept = [
        Step(Action.CHANGE, row, have[key])
        for key, row in want.items()
        if key in have and row != have[key]
    ]
    new = [Step(Action.CREATE, row) for key, row in want.items() if key not in have]
    return [
        *sorted(gone, key=_order, reverse=True),
        *sorted(kept, key=_order),
        *sorted(new, key=_order),
    ]


def _order(step: Step) -> tuple[bool, int, str]:
    """Subnets, pools, reservations, then what belongs to a scope, as one of these is."""
    kind = kind_of(step.row)
    return isinstance(step.row, Option | Setting), kind.number, kind.key_of(step.row)


def changes(plan: Sequence[Step]) -> list[tuple[ConfigRow, bool]]:
    """The plan as (row, deleted): what `agent.settings.validate.validate_configuration` judges."""
    return [(step.row, step.action is Action.DELETE) for step in plan]


def rows_after(present: Iterable[ConfigRow], plan: Iterable[Step]) -> list[ConfigRow]:
    rows = {configuration_key(row): row for row in present}
    for step in plan:
        rows.pop(configuration_key(step.row), None)
        if step.action is not Action.DELETE:
            rows[configuration_key(step.row)] = step.row
    return list(rows.values())
