"""What a kind of configuration row is: a class of rows, and a declaration of each of its fields.

A row class is a frozen dataclass whose fields are annotated with what they are:

    @dataclass(frozen=True, slots=True)
    class Pool:
        first: Annotated[int, Field(Address(), "its lowest address", key="", column="First")]
        last: Annotated[int, Field(Address(), "its highest address", key="-", column="Last")]
        name: Annotated[
            str, Field(Text(NAME_OCTETS_MAX), "what people call it", column="Name", arc=3)
        ] = ""
        active: bool = True

    POOL = declare(
        Pool, 3, "pool", table=2, status_arc=8, checks={"range": ("first", "last")}
    )

Whoever stores, sends or shows rows reads the declaration when the program starts, and goes by it.
A declaration that is wrong ends the program there and then, naming file and field.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, TypeVar, get_args, get_type_hints

from agent.kinds.values import Address, Bounded, Choice, Instant, Number, Octets, Text, Type


class ChangeKind(enum.IntEnum):
    """What a row of the change log is about: a binding, or a configuration row of the kind that
    has the number. Here are those that code has to name; a declaration gives its own."""

    BINDING = 1
    SUBNET = 2
    POOL = 3
    OPTION = 4
    RESERVATION = 5
    FORMER_SERVER = 6
    SETTING = 7


REQUIRED: Final = object()
"""What a field has for a default that has none."""


class DeclarationError(Exception):
    """A kind is declared wrongly: our own bug, found when the program starts."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a row. `says`: what it is, for people.

    `key`: it is part of the row's key, whose text has this before it ("": it is the first).
    `column` is its column in the MIB, without the table's name, and `arc` the column's number; a
    field of the key is in the index and has no arc.
    `toml` is its key in the file of `dhcpsync apply`; "": the file says it in a way of its own.
    `beside`: on the wire it is in the upper half of the octet of that choice, itself a choice.
    `name` and `default` come from the row class; a default of `REQUIRED` is none."""

    type: Type
    says: str
    key: str | None = None
    column: str = ""
    arc: int = 0
    toml: str = ""
    beside: str = ""
    name: str = ""
    default: Any = REQUIRED


_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Kind:
    """`number` is its number in the change log and on the wire, never given twice.

    `fields` are all but `active`, in the order of the class; the first of them are `keys`."""

    number: int
    name: str
    row: type[Any]
    place: str
    fields: tuple[Field, ...]
    keys: tuple[Field, ...]
    table: int
    """The arc of the MIB's table, below those of the configuration."""
    status_arc: int
    """The arc of the table's RowStatus."""
    checks: Mapping[str, Sequence[str] | str]
    """Constraints of the store's table by name, in order: the fields whose bounds one holds, or
    what SQL says of several fields together."""
    problem: Callable[[Any], str]
    """What is wrong with the fields of a row together, so that no member can hold it; or ""."""
    in_file: bool
    """Whether the file of `dhcpsync apply` says all rows of the kind, and so deletes the others."""
    _values: Callable[[Any], tuple[Any, ...]]
    _choices: tuple[tuple[int, type[enum.IntEnum]], ...]

    @property
    def instants(self) -> list[str]:
        """The names of the fields that members may hold some seconds apart."""
        return [field.name for field in self.fields if isinstance(field.type, Instant)]

    def values(self, row: Any) -> tuple[Any, ...]:
        """The values of a row in the order of `fields`, as plain numbers, text and octets."""
        values = self._values(row)
        if not self._choices:
            return values
        plain = list(values)
        for at, _ in self._choices:
            plain[at] = int(plain[at])
        return tuple(plain)

    def row_of(self, values: Sequence[Any], active: bool) -> Any:
        """The row of these values, which must be in their bounds."""
        if self._choices:
            values = list(values)
            for at, words in self._choices:
                values[at] = words(values[at])
        return self.row(*values, active)

    def key_of(self, row: Any) -> str:
        """The natural key, as the change log and people name the row."""
        return "".join([f"{f.key}{_written(f).text(getattr(row, f.name))}" for f in self.keys])

    def parse_key(self, key: str) -> tuple[int | str, ...]:
        """The values of a natural key; ValueError names it. What lies before a text is read from
        the left and what lies behind it from the right, so that a text may have any character."""
        try:
            texts = _parts(key, [field.key or "" for field in self.keys], self._texts)
            return tuple(
                _written(field).parse(text) for field, text in zip(self.keys, texts, strict=True)
            )
        except ValueError as error:
            raise ValueError(f"{key!r} is no key of a {self.name}") from error

    @property
    def _texts(self) -> int:
        """Where in the key the text is that it may have; else its last field."""
        texts = [at for at, field in enumerate(self.keys) if isinstance(field.type, Text)]
        return texts[0] if texts else len(self.keys) - 1


def _parts(key: str, separators: Sequence[str], middle: int) -> list[str]:
    """The key in pieces, each behind its separator, of which the first one is empty."""
    before, behind = [], []
    rest = key
    for separator in separators[1 : middle + 1]:
        part, cut, rest = rest.partition(separator)
        if not cut:
            raise ValueError(f"no {separator!r}")
        before.append(part)
    for separator in reversed(separators[middle + 1 :]):
        rest, cut, part = rest.rpartition(separator)
        if not cut:
            raise ValueError(f"no {separator!r}")
        behind.append(part)
    return [*before, rest, *reversed(behind)]


def empty_of(type_: Type) -> int | str | bytes | None:
    """The value that a field has before anybody has said one, which nobody may set; or None."""
    if isinstance(type_, Text):
        return ""
    if isinstance(type_, Octets):
        return b""
    return 0 if isinstance(type_, Number) and type_.low == 0 < type_.least else None


def _written(field: Field) -> Address | Number | Choice | Text:
    assert not isinstance(field.type, Octets | Instant)  # a declaration is refused otherwise
    return field.type


def _no_problem(_: object) -> str:
    return ""


def declare(
    row: type[_Row],
    number: int,
    name: str,
    *,
    table: int,
    status_arc: int,
    checks: Mapping[str, Sequence[str] | str],
    problem: Callable[[_Row], str] = _no_problem,
    in_file: bool = True,
) -> Kind:
    """The kind of the rows of class `row`. Raises DeclarationError."""
    place = f"{inspect.getfile(row)}: {row.__name__}"
    fields = tuple(_fields(row, place))
    keys = tuple(field for field in fields if field.key is not None)
    _check(place, "number", 1 < number < 256, "must be 2..255; 1 is a binding")
    for field in fields:
        once = [other.toml for other in fields].count(field.toml) == 1 or not field.toml
        _check(place, field.name, once, f"the TOML key {field.toml!r} is another field's too")
        _check(place, field.name, bool(field.says), "has no sentence that says what it is")
        _check(place, field.name, not field.type.flaw, field.type.flaw)
        said = in_file and isinstance(field.type, Instant)
        _check(place, field.name, not said, "is an instant, which no file says")
        if field.default is not REQUIRED:
            wrong = field.type.problem(field.default)
            _check(place, field.name, not wrong, f"the default {wrong}")
    _check(place, "key", bool(keys) and fields[: len(keys)] == keys, "its fields come first")
    texts = [field for field in keys if isinstance(field.type, Text)]
    _check(place, "key", len(texts) < 2, "has more than one text")
    for at, field in enumerate(keys):
        _check(place, field.name, not isinstance(field.type, Octets | Instant), "is no key's type")
        _check(place, field.name, bool(field.key) == (at > 0), "a key's fields need a separator")
        _check(place, field.name, field.default is REQUIRED, "is of the key and has a default")
    for field in fields[len(keys) :]:
        good = field.default is not REQUIRED or empty_of(field.type) is not None
        _check(place, field.name, good, "has no default, and cannot be empty")
    _check_checks(place, fields, checks)
    _check_octets(place, fields)
    _check_columns(place, fields, status_arc)
    choices = tuple((at, f.type.words) for at, f in enumerate(fields) if isinstance(f.type, Choice))
    return Kind(
        number=number,
        name=name,
        row=row,
        place=place,
        fields=fields,
        keys=keys,
        table=table,
        status_arc=status_arc,
        checks=checks,
        problem=problem,
        in_file=in_file,
        _values=getter([field.name for field in fields]),
        _choices=choices,
    )


def _check_checks(
    place: str, fields: Sequence[Field], checks: Mapping[str, Sequence[str] | str]
) -> None:
    bounded = {field.name for field in fields if isinstance(field.type, Bounded)}
    held: set[str] = set()
    for name, what in checks.items():
        named = set(re.findall(r"\w+", what)) if isinstance(what, str) else set(what)
        strange = [] if isinstance(what, str) else [one for one in what if one not in bounded]
        _check(place, strange[0] if strange else name, not strange, "has no bounds to check")
        held |= named & bounded
    missing = sorted(bounded - held)
    _check(place, missing[0] if missing else "", not missing, "has bounds that no check holds")


def _check_columns(place: str, fields: Sequence[Field], status_arc: int) -> None:
    names: set[str] = {"RowStatus"}
    arcs = {status_arc}
    in_index = 0
    for field in fields:
        good = bool(re.fullmatch("[A-Z][A-Za-z0-9]*", field.column)) and field.column not in names
        _check(place, field.name, good, f"column {field.column!r} is no name, or taken")
        names.add(field.column)
        if field.key is not None:
            in_index += 1
            _check(place, field.name, not field.arc, "is in the index and has an arc")
            continue
        good = field.arc > in_index and field.arc not in arcs
        _check(place, field.name, good, f"arc {field.arc} is of the index, or taken")
        arcs.add(field.arc)


def _check_octets(place: str, fields: Sequence[Field]) -> None:
    """On the wire a choice may share the octet of a choice before it, both of at most 15 words."""
    free: set[str] = set()
    for field in fields:
        is_half = isinstance(field.type, Choice) and field.type.high <= 15
        if field.beside:
            fits = is_half and field.beside in free
            _check(place, field.name, fits, f"cannot be beside {field.beside!r}")
            free.remove(field.beside)
        elif is_half:
            free.add(field.name)


def _fields(row: type[Any], place: str) -> list[Field]:
    hints = get_type_hints(row, include_extras=True)
    *declared, active = dataclasses.fields(row)
    _check(place, active.name, active.name == "active" and active.default is True,
           "the last field must be `active: bool = True`")  # fmt: skip
    found = []
    for one in declared:
        marks = [mark for mark in get_args(hints[one.name])[1:] if isinstance(mark, Field)]
        _check(place, one.name, len(marks) == 1, "is annotated with no Field, or with two")
        default = REQUIRED if one.default is dataclasses.MISSING else one.default
        found.append(dataclasses.replace(marks[0], name=one.name, default=default))
    return found


def getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What makes a tuple of these attributes."""
    if len(names) == 1:
        return lambda row: (getattr(row, names[0]),)
    return attrgetter(*names)


def _check(place: str, field: str, good: bool, problem: str) -> None:
    if not good:
        raise DeclarationError(f"{place}.{field}: {problem}")


def check_distinct(kinds: Sequence[Kind]) -> None:
    """Raises DeclarationError if two kinds could be taken for each other."""
    for at, kind in enumerate(kinds):
        for other in kinds[:at]:
            for what in ("number", "name", "row", "table"):
                mine = getattr(kind, what)
                _check(kind.place, what, mine != getattr(other, what),
                       f"{mine} is that of {other.place}")  # fmt: skip
