"""Tables of `dhcpsync status`: whole in a pipe, narrower on a narrow terminal, and never cut."""

from __future__ import annotations

import sys

import pytest

from tools.aligned import Column, aligned, terminal_width

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


def test_a_table_without_rows_has_its_names() -> None:
    assert aligned([Column("name", []), Column("role", [], usual=frozenset())]) == ["name  role"]


def test_a_pipe_has_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert terminal_width() == 0
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert terminal_width() == 60
