"""What a run of changes of the configuration comes to, and what undoes it: pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.errors import ConfigError
from agent.events.configuration import unpack_row
from agent.events.event import Numbered
from agent.kinds import row_name
from agent.model import ConfigRow
from tools.apply.plan import Step, make_plan
from tools.errors import ToolError


@dataclass(frozen=True, slots=True)
class Span:
    """Changes after number `after`, up to `through`; None: up to now."""

    after: int
    through: int | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """A row before the first and after the last of its changes; None: there is none."""

    name: str
    before: ConfigRow | None
    after: ConfigRow | None


def parse_span(text: str) -> Span:
    """ "N" or "N..M". ConfigError says what can be written."""
    first, dots, last = text.partition("..")
    if not _is_number(first) or (dots and not (_is_number(last) and int(last) >= int(first))):
        raise ConfigError(
            "changes",
            "",
            f"{text!r} names none",
            'write "17", or "17..23", as `config log` has them',
        )
    return Span(int(first), int(last) if dots else None)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def effects(changes: Iterable[Numbered], span: Span) -> list[Effect]:
    """Of each row that is another after the span than before it, in order of its first change.
    ToolError names a change that no row of this version is like."""
    found: dict[str, Effect] = {}
    for one in changes:
        if one.number <= span.after or (span.through is not None and one.number > span.through):
            continue
        before, after = _row(one, one.event.old), _row(one, one.event.new)
        row = after or before
        name = row_name(row) if row is not None else one.event.subject
        first = found.get(name, Effect(name, before, None))
        found[name] = Effect(name, first.before, after)
    return [effect for effect in found.values() if effect.before != effect.after]


def _row(one: Numbered, text: str) -> ConfigRow | None:
    try:
        return unpack_row(one.event.subject, text) if text else None
    except ValueError as error:
        raise ToolError(f"change {one.number} cannot be read by this version: {error}") from None


def steps(found: Sequence[Effect]) -> list[Step]:
    """The effects as a plan shows them."""
    return make_plan(
        [effect.before for effect in found if effect.before is not None],
        [effect.after for effect in found if effect.after is not None],
    )


def undone(present: Iterable[ConfigRow], found: Iterable[Effect]) -> list[ConfigRow]:
    """The rows as they would be without the effects. ToolError where a row is neither as the last
    change left it nor as it was before: this member's history does not tell all of it."""
    rows = {row_name(row): row for row in present}
    for effect in found:
        has = rows.pop(effect.name, None)
        if has not in (effect.after, effect.before):
            raise ToolError(
                f"{effect.name} is not as this member's history has it, so it cannot be put back;"
                " `dhcpsync dump`, a look at it, and `dhcpsync apply` can"
            )
        if effect.before is not None:
            rows[effect.name] = effect.before
    return list(rows.values())
