"""Tables of `dhcpsync status`: whole in a pipe, narrower on a narrow terminal, and never cut."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from tools.aligned import Column, aligned, terminal_width, wrapped

NAMES = Column("name", ["a", "long name"])
NUMBERS = Column("number", ["7", "1200"], right=True)
DULL = Column("role", ["server", "server"], usual=frozenset({"server"}))
TELLING = Column("state", ["normal", "silent"], usual=frozenset({"normal"}))
WHOLE = [
    "name       number  state   role",
    "a               7  normal  server",
    "long name    1200  silent  server",
]


@pytest.mark.parametrize("width", [0, 33, 500])
def test_what_fits_is_whole(width: int) -> None:
    assert aligned([NAMES, NUMBERS, TELLING, DULL], width) == WHOLE


@pytest.mark.parametrize("width", [32, 25, 1])
def test_only_what_says_nothing_is_left_out(width: int) -> None:
    narrow = [line[:25].rstrip() for line in WHOLE]
    assert aligned([NAMES, NUMBERS, TELLING, DULL], width) == narrow


def test_what_is_told_elsewhere_goes_next_and_the_rest_never() -> None:
    told = replace(TELLING, told=True)
    assert aligned([NAMES, told, DULL, NUMBERS], 25) == [
        "name       state   number", "a          normal       7", "long name  silent    1200",
    ]  # fmt: skip
    for width in (24, 1):
        assert aligned([NAMES, told, DULL, NUMBERS], width) == [line[:17] for line in WHOLE]


def test_names_are_brief_before_anything_goes_that_says_something() -> None:
    told = replace(TELLING, told=True)
    brief = [NAMES, replace(NUMBERS, brief="n"), told]
    assert aligned(brief, 25)[0] == "name       number  state"
    assert aligned(brief, 24) == [
        "name          n  state", "a             7  normal", "long name  1200  silent",
    ]  # fmt: skip


def test_sentences_are_wrapped_and_commands_and_addresses_whole() -> None:
    text = "- it is low: `dhcpsync apply x.toml` adds to 192.0.2.1-192.0.2.9."
    assert wrapped(text, 0) == [text]
    for width in (20, 24, 30, 60):
        lines = wrapped(text, width)
        assert " ".join(line.strip() for line in lines) == text
        assert all(len(line) <= max(width, 2 + len("`dhcpsync apply x.toml`")) for line in lines)
        assert all(line.startswith("  ") for line in lines[1:])
        assert any("`dhcpsync apply x.toml`" in line for line in lines)
        assert any("192.0.2.1-192.0.2.9." in line for line in lines)


def test_a_table_without_rows_has_its_names() -> None:
    assert aligned([Column("name", []), Column("role", [], usual=frozenset())]) == ["name  role"]


def test_a_pipe_has_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert terminal_width() == 0
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert terminal_width() == 60
