"""Declarations of kinds: the key of a row, and every way in which a declaration is wrong."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from agent.kinds import KINDS, configuration_key, kind_of, parse_name, register, row_name
from agent.kinds.former_server import FormerServer
from agent.kinds.kind import DeclarationError, Field, Kind, declare
from agent.kinds.scope import GLOBAL, network_scope, subnet_scope
from agent.kinds.values import Address, Choice, Instant, Number, Octets, Text
from agent.model import Option, Pool, Reservation, Subnet

BASE = 0x0A00_0000
ROWS = {
    Subnet(BASE, 8): "10.0.0.0/8",
    Pool(BASE + 1, BASE + 258): "10.0.0.1-10.0.1.2",
    Option(*subnet_scope(BASE, 8), 6, b"x"): "subnet 10.0.0.0/8:6",
    Option(*network_scope("global :6"), 6, b"x"): "shared-network global :6:6",
    Reservation(BASE + 5, b"\x01x"): "10.0.0.5",
    FormerServer(BASE, 8): "10.0.0.0/8",
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: type(row).__name__)
def test_the_key_of_a_row_and_back(row: Any) -> None:
    kind = kind_of(row)
    assert configuration_key(row) == (kind.number, ROWS[row])
    assert row_name(row) == f"{kind.name} {ROWS[row]}"
    assert kind.parse_key(ROWS[row]) == kind.values(row)[: len(kind.keys)]
    assert parse_name(row_name(row)) == (kind, kind.values(row)[: len(kind.keys)])


def test_what_belongs_to_everybody_is_named_without_a_gap() -> None:
    """Its scope has no name; the natural key, which stores and peers have, keeps its form."""
    row = Option(*GLOBAL, 6, b"x")
    assert configuration_key(row) == (4, "global :6")
    assert row_name(row) == "option global:6"
    for name in ("option global:6", "option global :6"):
        assert parse_name(name) == (kind_of(row), (1, "", 6))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: type(row).__name__)
@pytest.mark.parametrize("end", ["", "/", "-10.0.0.1", ":7", "x", "/8:6:7", "/33", "/8:255", "/-1"])
def test_no_key(row: Any, end: str) -> None:
    kind = kind_of(row)
    key = ROWS[row].rstrip("0123456789") + "x" if not end else "10.0.0" + end
    with pytest.raises(ValueError, match=f"is no key of a {kind.name}"):
        kind.parse_key(key)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_field_of_a_row_is_declared(kind: Any) -> None:
    assert [field.name for field in kind.fields] == list(kind.row.__slots__)[:-1]


def test_kinds_are_in_order_of_their_numbers() -> None:
    assert list(KINDS) == sorted(KINDS)


# --- wrong declarations


class Gap(enum.IntEnum):
    ONE = 1
    THREE = 3


KEY = Annotated[int, Field(Address(), "its address", key="", column="A")]


def make(**annotations: Any) -> type[Any]:
    """A row class of these fields; one given as (annotation, value) has a default."""
    defaults = {n: a[1] for n, a in annotations.items() if isinstance(a, tuple)}
    types = {n: a[0] if isinstance(a, tuple) else a for n, a in annotations.items()}
    body = {"__annotations__": types, "__module__": __name__} | defaults
    return dataclass(frozen=True)(type("Row", (), body))


ACTIVE = (bool, True)
A_CHECKED = {"a": ("a",)}


def declare_it(row: type[Any], number: int, name: str, checks: Any, table: int = 99) -> Kind:
    return declare(row, number, name, table=table, status_arc=9, checks=checks)


def field(type_: Any, says: str = "a value", **more: Any) -> Any:
    return Annotated[Any, Field(type_, says, **more)]


WRONG = {
    "no sentence": ({"a": KEY, "b": (field(Text(9), ""), "")}, r"b: has no sentence"),
    "default of no bounds": (
        {"a": KEY, "b": (field(Number(1, 3, 5)), 6)},
        r"b: the default 6 is not in 3\.\.5",
    ),
    "default of another type": ({"a": KEY, "b": (field(Number(1, 0, 5)), "6")}, "b: .*no number"),
    "a truth for a number": ({"a": KEY, "b": (field(Number(1, 0, 5)), True)}, "b: .*no number"),
    "too wide": (
        {"a": KEY, "b": (field(Number(1, 0, 256)), 0)},
        "b: up to 256 does not go into 1 octets",
    ),
    "of three octets": ({"a": KEY, "b": (field(Number(3, 0, 9)), 0)}, "b: .*into 3 octets"),
    "more set than kept": (
        {"a": KEY, "b": (field(Number(1, 0, 9, set_high=10)), 0)},
        "b: .* can be set",
    ),
    "none can be set": (
        {"a": KEY, "b": (field(Number(1, 0, 9, set_low=5, set_high=4)), 0)},
        "b: .* can be set",
    ),
    "a key too wide": (
        {"a": KEY, "b": field(Number(1, 0, 256), key="/")},
        "b: up to 256 does not go into 1 octets",
    ),
    "less than nothing": ({"a": KEY, "b": (field(Number(1, -1, 9)), 0)}, "b: .* can be set"),
    "text without a length": ({"a": KEY, "b": (field(Text(256)), "")}, "b: no octet counts 256"),
    "octets without a length": (
        {"a": KEY, "b": (field(Octets(65536)), b"")},
        "b: no two octets count 65536",
    ),
    "long text": ({"a": KEY, "b": (field(Text(2)), "abc")}, "b: .*3 octets, at most 2"),
    "unprintable text": ({"a": KEY, "b": (field(Text(2)), "\n")}, "b: .*no printable text"),
    "long octets": ({"a": KEY, "b": (field(Octets(2)), b"abc")}, "b: .*3 octets, at most 2"),
    "text for octets": ({"a": KEY, "b": (field(Octets(2)), "a")}, "b: .*is no octets"),
    "numbers with a gap": ({"a": KEY, "b": (field(Choice(Gap)), Gap.ONE)}, "b: .*not numbered"),
    "no word": ({"a": KEY, "b": (field(Choice(Gap)), 1)}, "b: "),
    "not declared": ({"a": KEY, "b": (int, 0)}, "b: is annotated with no Field"),
    "declared twice": (
        {"a": KEY, "b": (Annotated[int, Field(Text(1), "x"), Field(Text(1), "x")], "")},
        "b: is annotated with no Field, or with two",
    ),
    "no default and not empty": ({"a": KEY, "b": field(Number(1, 0, 5))}, "b: has no default"),
    "two of one TOML key": (
        {"a": KEY, "b": (field(Text(9), toml="x"), ""), "c": (field(Text(9), toml="x"), "")},
        "b: the TOML key 'x' is another field's too",
    ),
    "no key": ({"b": (field(Text(9)), "")}, "key: "),
    "a key behind a value": (
        {"a": KEY, "b": field(Text(9)), "c": field(Address(), key="-")},
        "key: its fields come first",
    ),
    "a key of octets": ({"a": field(Octets(9), key="")}, "a: is no key's type"),
    "a key of two texts": (
        {"a": field(Text(9), key=""), "b": field(Text(9), key=" ")},
        "key: has more than one text",
    ),
    "no separator": ({"a": KEY, "b": field(Address(), key="")}, "b: .*need a separator"),
    "a separator first": ({"a": field(Address(), key="-")}, "a: .*need a separator"),
    "an instant of a file": ({"a": KEY, "b": (field(Instant(9)), 0)}, "b: is an instant, which no"),
    "an instant too far": ({"a": KEY, "b": (field(Instant(1 << 31)), 0)}, "b: 2147483648 s do not"),
    "a key with a default": ({"a": (field(Address(), key=""), 0)}, "a: is of the key"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_declaration_is_refused(name: str) -> None:
    fields, problem = WRONG[name]
    with pytest.raises(DeclarationError, match=problem) as caught:
        declare_it(make(**fields, active=ACTIVE), 77, "row", {})
    assert str(caught.value).startswith(f"{__file__}: Row.")


@pytest.mark.parametrize("last", [{}, {"active": (bool, False)}, {"on": (bool, True)}])
def test_a_row_can_be_out_of_service(last: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="the last field must be"):
        declare_it(make(a=KEY, **last), 77, "row", {})


@pytest.mark.parametrize("number", [-1, 0, 1, 256])
def test_a_number_that_no_kind_can_have(number: int) -> None:
    with pytest.raises(DeclarationError, match=r"Row\.number: must be 2\.\.255"):
        declare_it(make(a=KEY, active=ACTIVE), number, "row", {})


@pytest.mark.parametrize(
    ("checks", "problem"),
    [
        ({}, "a: has bounds that no check holds"),
        ({"a": ("a", "b")}, "c: has bounds that no check holds"),
        ({"a": ("a", "b", "c", "text")}, "text: has no bounds to check"),
        ({"a": ("a", "b", "d")}, "d: has no bounds to check"),
        ({"a": "a < bb"}, "b: has bounds that no check holds"),
    ],
)
def test_every_bound_is_held_by_the_store(checks: dict[str, Any], problem: str) -> None:
    b = field(Number(1, 0, 9), key="/", column="B")
    c = field(Number(1, 0, 9), key="/", column="C")
    row = make(a=KEY, b=b, c=c, text=field(Text(9), column="Text", arc=4), active=ACTIVE)
    declare_it(row, 77, "row", {"a": "a < b", "c": ("c",)})
    with pytest.raises(DeclarationError, match=rf"Row\.{problem}"):
        declare_it(row, 77, "row", checks)


Many = enum.IntEnum("Many", list("ABCDEFGHIJKLMNOP"))
Word = enum.IntEnum("Word", ["YES", "NO"])
FULL, HALF = Choice(Many), Choice(Word)
"""The first has more words than half an octet can number."""


def _first(type_: Any) -> Any:
    return type_.words(1) if isinstance(type_, Choice) else 0


@pytest.mark.parametrize(
    "fields",
    [
        {"b": field(Number(1, 0, 9)), "c": field(HALF, beside="b")},
        {"b": field(HALF), "c": field(Number(1, 0, 9), beside="b")},
        {"b": field(HALF, beside="c"), "c": field(HALF)},
        {"b": field(HALF, beside="b")},
        {"b": field(FULL), "c": field(HALF, beside="b")},
        {"b": field(HALF), "c": field(FULL, beside="b")},
        {"b": field(HALF), "c": field(HALF, beside="b"), "d": field(HALF, beside="b")},
    ],
)
def test_what_cannot_share_an_octet(fields: dict[str, Any]) -> None:
    checks = {"all": ("a", *fields)}
    wrong = [n for n, f in fields.items() if f.__metadata__[0].beside][-1]
    given = {n: (f, _first(f.__metadata__[0].type)) for n, f in fields.items()}
    with pytest.raises(DeclarationError, match=rf"Row\.{wrong}: cannot be beside"):
        declare_it(make(a=KEY, **given, active=ACTIVE), 77, "row", checks)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"column": "", "arc": 2}, "b: column '' is no name, or taken"),
        ({"column": "b", "arc": 2}, "b: column 'b' is no name, or taken"),
        ({"column": "A", "arc": 2}, "b: column 'A' is no name, or taken"),
        ({"column": "RowStatus", "arc": 2}, "b: column 'RowStatus' is no name, or taken"),
        ({"column": "B", "arc": 9}, "b: arc 9 is of the index, or taken"),
        ({"column": "B", "arc": 1}, "b: arc 1 is of the index, or taken"),
        ({"column": "B", "arc": 3}, "c: arc 3 is of the index, or taken"),
        ({"column": "C", "arc": 2}, "c: column 'C' is no name, or taken"),
        ({"column": "B", "arc": 2, "key": "/"}, "b: is in the index and has an arc"),
    ],
)
def test_columns_of_the_mib(columns: dict[str, Any], problem: str) -> None:
    b = field(Number(1, 0, 9), **columns)
    c = (field(Text(9), column="C", arc=3), "")
    b = b if "key" in columns else (b, 0)
    with pytest.raises(DeclarationError, match=rf"Row\.{problem}"):
        declare_it(make(a=KEY, b=b, c=c, active=ACTIVE), 77, "row", {"a": ("a", "b")})


def test_two_kinds_that_could_be_taken_for_each_other() -> None:
    row = make(a=KEY, active=ACTIVE)
    with pytest.raises(DeclarationError, match=r"Row\.number: 3 is that of .*pool\.py: Pool"):
        register(declare_it(row, 3, "row", A_CHECKED))
    with pytest.raises(DeclarationError, match=r"Row\.name: pool is that of .*pool\.py: Pool"):
        register(declare_it(row, 77, "pool", A_CHECKED))
    with pytest.raises(DeclarationError, match=r"Pool\.row: .*pool\.py: Pool"):
        register(declare_it(Pool, 77, "another", KINDS[3].checks))
    with pytest.raises(DeclarationError, match=r"Row\.table: 2 is that of .*pool\.py: Pool"):
        register(declare_it(row, 77, "row", A_CHECKED, table=2))
    assert 77 not in KINDS
