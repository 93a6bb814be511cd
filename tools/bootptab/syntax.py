"""The syntax of bootptab(5): entries `name:tag=value:tag=value:...`, pure.

A backslash at the end of a line continues the entry, `#` at its beginning makes it a comment, a
value in double quotes may hold colons, `tag` alone is a switch, and `tag@` takes away what a
template would give. `tc=name` brings in the tags of another entry; the entry's own win, and of
several templates the one named first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.errors import ConfigError

_DEPTH_MAX = 16
"""Templates inside templates: nobody nests deeper, and a loop is found long before."""


@dataclass(frozen=True, slots=True)
class Field:
    """`value` is None for a switch. `deleted`: `tag@`."""

    tag: str
    value: str | None
    line: int
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    line: int
    fields: tuple[Field, ...]


def parse_entries(file: str, text: str) -> list[Entry]:
    """All entries in order. ConfigError names the file, the line and what would be right."""
    entries: list[Entry] = []
    seen: dict[str, int] = {}
    for line, logical in _logical_lines(text):
        entry = _entry(file, line, logical)
        if entry.name in seen:
            raise ConfigError(
                file,
                f"line {entry.line}",
                f"{entry.name!r} is there already, on line {seen[entry.name]}",
                "an entry's name stands once",
            )
        seen[entry.name] = entry.line
        entries.append(entry)
    return entries


def _logical_lines(text: str) -> Iterator[tuple[int, list[tuple[int, str]]]]:
    """Lines that belong together, each with its number."""
    pending: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not pending and (not line.strip() or line.lstrip().startswith("#")):
            continue
        continues = line.rstrip().endswith("\\")
        pending.append((number, line.rstrip().removesuffix("\\") if continues else line))
        if not continues:
            yield pending[0][0], pending
            pending = []
    if pending:
        yield pending[0][0], pending


def _entry(file: str, line: int, lines: Sequence[tuple[int, str]]) -> Entry:
    parts = list(_split(file, lines))
    name = parts[0][1].strip()
    if len(parts) < 2 or not name or "=" in name:
        raise ConfigError(
            file, f"line {line}", "is no entry", "write name:ht=ethernet:ha=0207011eaee1:ip=..."
        )
    fields = tuple(_field(file, at, word.strip()) for at, word in parts[1:] if word.strip())
    return Entry(name, line, fields)


def _split(file: str, lines: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Words between colons, with the line where each begins."""
    word, began, quoted = "", lines[0][0], False
    for number, line in lines:
        if not word.strip():
            began = number
        for character in line:
            if character == '"':
                quoted = not quoted
            if character == ":" and not quoted:
                yield began, word
                word, began = "", number
            else:
                word += character
        if quoted:
            raise ConfigError(file, f"line {number}", "a quote is not closed", 'end it with "')
    yield began, word


def _field(file: str, line: int, word: str) -> Field:
    tag, equals, value = word.partition("=")
    tag = tag.strip()
    if not equals and tag.endswith("@"):
        return Field(tag[:-1], None, line, deleted=True)
    if not tag.isalnum():
        raise ConfigError(file, f"line {line}", f"{word!r} is no field", "write tag=value")
    return Field(tag, value.strip() if equals else None, line)


def expand(file: str, entry: Entry, by_name: Mapping[str, Entry]) -> dict[str, Field]:
    """The tags of an entry, with those of its templates."""
    found: dict[str, Field] = {}
    _collect(file, entry, by_name, found, (entry.name,))
    return {tag: field for tag, field in found.items() if not field.deleted}


def _collect(
    file: str,
    entry: Entry,
    by_name: Mapping[str, Entry],
    found: dict[str, Field],
    way: tuple[str, ...],
) -> None:
    own: dict[str, Field] = {}
    for field in entry.fields:
        if field.tag != "tc":
            own[field.tag] = field
    for tag, field in own.items():
        found.setdefault(tag, field)
    for field in entry.fields:
        if field.tag != "tc" or field.deleted:
            continue
        template = by_name.get(field.value or "")
        place = f"line {field.line}: tc"
        if template is None:
            raise ConfigError(
                file, place, f"no entry is named {field.value!r}", "name one of this file"
            )
        if template.name in way or len(way) > _DEPTH_MAX:
            loop = " -> ".join((*way, template.name))
            raise ConfigError(file, place, f"{loop} goes round in circles", "take one tc away")
        _collect(file, template, by_name, found, (*way, template.name))
