"""What a kind of configuration row is: a class of rows, and a declaration of each of its fields.

A row class is a frozen dataclass whose fields are annotated with what they are:

    @dataclass(frozen=True, slots=True)
    class Pool:
        first: Annotated[int, Field(Address(), "its lowest address", key="")]
        last: Annotated[int, Field(Address(), "its highest address", key="-")]
        name: Annotated[str, Field(Text(NAME_OCTETS_MAX), "what people call it")] = ""
        active: bool = True

    POOL = declare(Pool, 3, "pool")

Whoever stores, sends or shows rows reads the declaration when the program starts, and goes by it.
A declaration that is wrong ends the program there and then, naming file and field.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, TypeVar, get_args, get_type_hints

from agent.kinds.values import Address, Number, Type


class ChangeKind(enum.IntEnum):
    """What a row of the change log is about: a binding, or a configuration row of the kind that
    has the number. Here are those that code has to name; a declaration gives its own."""

    BINDING = 1
    SUBNET = 2
    POOL = 3
    OPTION = 4
    RESERVATION = 5


REQUIRED: Final = object()
"""What a field has for a default that has none."""


class DeclarationError(Exception):
    """A kind is declared wrongly: our own bug, found when the program starts."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a row. `says`: what it is, for people.

    `key`: it is part of the row's key, whose text has this before it ("": it is the first).
    `name` and `default` come from the row class; a default of `REQUIRED` is none."""

    type: Type
    says: str
    key: str | None = None
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
    values: Callable[[Any], tuple[Any, ...]]
    """The values of a row, in the order of `fields`."""

    def key_of(self, row: Any) -> str:
        """The natural key, as the change log and people name the row."""
        return "".join([f"{f.key}{_bounded(f).text(getattr(row, f.name))}" for f in self.keys])

    def parse_key(self, key: str) -> tuple[int, ...]:
        """The values of a natural key; ValueError names it."""
        found = []
        rest = key
        try:
            for field, behind in zip(self.keys, [*self.keys[1:], None], strict=True):
                text, cut = rest, ""
                if behind is not None and behind.key is not None:
                    text, cut, rest = rest.partition(behind.key)
                    if not cut:
                        raise ValueError(f"no {behind.key!r}")
                found.append(_bounded(field).parse(text))
        except ValueError as error:
            raise ValueError(f"{key!r} is no key of a {self.name}") from error
        return tuple(found)


def _bounded(field: Field) -> Address | Number:
    assert isinstance(field.type, Address | Number)  # a declaration is refused otherwise
    return field.type


def declare(row: type[_Row], number: int, name: str) -> Kind:
    """The kind of the rows of class `row`. Raises DeclarationError."""
    place = f"{inspect.getfile(row)}: {row.__name__}"
    fields = tuple(_fields(row, place))
    keys = tuple(field for field in fields if field.key is not None)
    _check(place, "number", 1 < number < 256, "must be 2..255; 1 is a binding")
    for field in fields:
        _check(place, field.name, bool(field.says), "has no sentence that says what it is")
        if field.default is not REQUIRED:
            problem = field.type.problem(field.default)
            _check(place, field.name, not problem, f"the default {problem}")
    _check(place, "key", bool(keys) and fields[: len(keys)] == keys, "its fields come first")
    for at, field in enumerate(keys):
        _check(place, field.name, isinstance(field.type, Address | Number), "is no key's type")
        _check(place, field.name, bool(field.key) == (at > 0), "a key's fields need a separator")
        _check(place, field.name, field.default is REQUIRED, "is of the key and has a default")
    return Kind(number, name, row, place, fields, keys, _getter([f.name for f in fields]))


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


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
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
            for what in ("number", "name", "row"):
                mine = getattr(kind, what)
                _check(kind.place, what, mine != getattr(other, what),
                       f"{mine} is that of {other.place}")  # fmt: skip
