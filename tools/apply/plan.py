"""What must change so that a member's configuration is the file's: pure.

A row is known by its natural key. What the file does not name is deleted: the file says all.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.dhcp.options import format_text, option_type
from agent.kinds import kind_of
from agent.model import ConfigRow, Option, Pool, Subnet, configuration_key


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
        key = kind_of(self.row).key_of(self.row)
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
    state = {"state": "" if row.active else "not in service"}
    if isinstance(row, Subnet):
        lease = f"{row.lease_s} s" if row.lease_s else ""
        return {
            "name": row.name,
            "lease": lease,
            "interface": row.interface,
            "claims": row.claims.name.lower().replace("_", "-"),
            "offer delay": f"{row.offer_delay_s} s" if row.offer_delay_s else "",
            "probe": row.probe.name.lower(),
        } | state
    if isinstance(row, Pool):
        return {"name": row.name} | state
    if isinstance(row, Option):
        return {"value": format_text(row.code, row.data)} | state
    return {"client": _client(row.client_key), "hostname": row.hostname} | state


def _client(key: bytes) -> str:
    if key[:1] == b"\x01":
        return f"id {key[1:].hex(':')}"
    return f"hardware address {key[2:].hex(':')}"


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


def _order(step: Step) -> tuple[int, str]:
    """Subnets, pools, reservations, then options, which may belong to a reservation."""
    rank = {"subnet": 0, "pool": 1, "reservation": 2, "option": 3}[step.kind]
    return rank, kind_of(step.row).key_of(step.row)


def changes(plan: Sequence[Step]) -> list[tuple[ConfigRow, bool]]:
    """The plan as (row, deleted): what `agent.config.validate_configuration` judges."""
    return [(step.row, step.action is Action.DELETE) for step in plan]
