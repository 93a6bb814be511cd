"""What has become another one since a file was applied last, and would be undone if it were applied
now: told before anything is done, with who did it.

Three states of a row are compared: as the file asked for it last (`last_applied.py`), as the group
has it, and as the file asks for it now. What somebody else changed is no matter where the file says
the same by now, or where the plan leaves it alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ConfigError
from agent.events.sentences import instant
from agent.kinds import configuration_key, kind_of, row_name
from agent.model import ConfigRow
from agent.snmp.columns import CONFIGURATION
from agent.snmp.oid import format_oid
from agent.snmp.rows import index_of
from tools.apply.last_applied import Applied, recall, remember
from tools.apply.plan import Action, Step, rows_after
from tools.console import shown
from tools.history.entries import Entry, read_group
from tools.manager import Session
from tools.status import read_members
from tools.target import Place

_SHOWN = 10
_PATIENCE_S = 1.0
"""For each member that is asked who did it: what is told is worth no longer wait."""
_SET = "set"
"""The audit's word for a SET that was done."""


@dataclass(frozen=True, slots=True)
class Undone:
    """A step that undoes what was changed since; `base` is the row as the file asked for it last,
    None: for none."""

    step: Step
    base: ConfigRow | None


def undone(base: Iterable[ConfigRow], plan: Iterable[Step]) -> list[Undone]:
    """The steps of the plan whose rows are not as they were last."""
    rows = {configuration_key(row): row for row in base}
    found = []
    for step in plan:
        row = rows.get(configuration_key(step.row))
        if row != step.before:
            found.append(Undone(step, row))
    return found


def tell_undone(found: Sequence[Undone], at: int, entries: Sequence[Entry]) -> Iterator[str]:
    """Lines for a person. `entries`: of the audits that could be read, in order."""
    rows, them = ("1 row is", "it") if len(found) == 1 else (f"{len(found)} rows are", "them")
    yield (
        f"{rows} not as this file left {them} at {instant(at)}: somebody has changed {them} since,"
        " in another way than by this file. That would be undone:"
    )
    for one in found[:_SHOWN]:
        words = f"{row_name(one.step.row)} {_became(one)}{_by_whom(one, at, entries)}"
        yield shown(f"  {words}; {_would_be(one.step)}")
    if len(found) > _SHOWN:
        yield f"  and {len(found) - _SHOWN} more"


def _became(one: Undone) -> str:
    if one.base is None:
        return "was added"
    if one.step.before is None:
        return "was deleted"
    return f"was changed: {Step(Action.CHANGE, one.step.before, one.base).describe()}"


def _would_be(step: Step) -> str:
    if step.action is Action.DELETE:
        return "it would be deleted"
    if step.action is Action.CREATE:
        return "it would be made again"
    return f"it would be changed: {step.describe()}"


def _by_whom(one: Undone, at: int, entries: Sequence[Entry]) -> str:
    """By the latest SET of the row that an audit has. One of before is that of this file."""
    index = format_oid(index_of(one.step.row))
    columns = CONFIGURATION[kind_of(one.step.row).number].columns.values()
    names = [f"{column.name}.{index}=" for column in columns]
    for entry in reversed(entries):
        if entry.action == _SET and any(name in entry.detail for name in names):
            if entry.at is None or entry.at.timestamp() <= at:
                break
            when = instant(int(entry.at.timestamp()))
            return f" (by {entry.user or '-'} at {entry.member}, {when})"
    return " (no audit that could be read tells by whom)"


class Since:
    """One run of `apply`: what was changed since the last one of the same file at the group that
    `look` is given, and the memory of this one."""

    def __init__(self, file: Path, place: Place) -> None:
        self._file = file
        self._place = place
        self._engines: frozenset[str] = frozenset()
        self._base: Applied | None = None

    def look(self, manager: Session, plan: Sequence[Step]) -> tuple[list[str], list[str]]:
        """What to know, and what to be asked about, as lines."""
        members = read_members(manager)
        self._engines = frozenset(one.engine_id for one in members if one.engine_id)
        notes = []
        try:
            self._base = recall(self._file, self._engines)
        except ConfigError as error:
            notes.append(f"note: {error}")
        if self._base is None:
            if any(step.before is not None for step in plan):
                notes.append(
                    f"note: {self._file} is not known to have been applied to this group before, so"
                    " nobody can tell what somebody else has changed since it was written"
                )
            return notes, []
        found = undone(self._base.rows, plan)
        if not found:
            return notes, []
        entries = read_group(
            self._place, lambda name, _: notes.append(f"note: the audit of {name} was not read"),
            patience_s=_PATIENCE_S,
        )  # fmt: skip
        return notes, list(tell_undone(found, self._base.at, entries))

    def keep(self, rows: Iterable[ConfigRow]) -> str:
        """This is what the file has asked for; why it cannot be kept, or ""."""
        if not self._engines:
            return ""
        try:
            remember(self._file, Applied(int(time.time()), self._engines, tuple(rows)))
        except OSError as error:
            return (
                f"note: what was applied cannot be kept beside {self._file}: {error.strerror};"
                " the next apply cannot tell what somebody else has changed"
            )
        return ""

    def keep_part(self, done: Sequence[Step]) -> None:
        """Some steps were done, and then no more: what they wrote is no change of somebody else."""
        if self._base is not None and done:
            self.keep(rows_after(self._base.rows, done))
