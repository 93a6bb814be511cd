"""docs/seeds.md: each requirement has a verdict, each test that is named is there, and the counts
are those of the rows."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from itertools import takewhile
from pathlib import Path

import pytest

from tests.test_tidy import headings

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "seeds.md"
VERDICTS = ("done", "done differently", "open")
REQUIREMENTS = 213
TRACKED = re.compile(r"(?:: |; |^)1[0-4], (?:item|build) \d+(?:; |$)")
"""Of what is open, the issue and its point, at the end: `12, item 8`."""
CITED = re.compile(r"\]\((\w+\.md)\), (\"[^\"]+\")")
DRAFT = re.compile(r"\[([\w-]+)\]\((https://[^)]+)\)")


@dataclass(frozen=True, slots=True)
class Row:
    part: str
    section: str
    asked: str
    verdict: str
    why: str
    shown_by: str

    @property
    def tests(self) -> list[tuple[str, str]]:
        return re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", self.shown_by)

    def __str__(self) -> str:
        return f"{self.part}, {self.section}: {self.asked}"


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|\n").split("|")]


@cache
def lines_by_part() -> dict[str, list[str]]:
    """The lines below each heading."""
    parts: dict[str, list[str]] = {}
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            parts[line[3:]] = []
        elif parts:
            list(parts.values())[-1].append(line)
    return parts


@cache
def rows() -> list[Row]:
    found = []
    for part, lines in lines_by_part().items():
        table = [line for line in lines if line.startswith("|")]
        if part != "Counts":
            found += [Row(part, *cells(line)) for line in table[2:]]
    return found


@cache
def cases(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_counts_are_those_of_the_rows() -> None:
    counted = Counter((row.part, row.verdict) for row in rows())
    wanted = {
        part: [sum(numbers), *numbers]
        for part in dict.fromkeys(row.part for row in rows())
        if (numbers := [counted[part, verdict] for verdict in VERDICTS])
    }
    table = takewhile(lambda line: line, lines_by_part()["Counts"][1:])
    told = {part: [int(n.strip("*")) for n in rest] for part, *rest in map(cells, list(table)[2:])}
    assert told.pop("**all**") == [sum(numbers) for numbers in zip(*wanted.values(), strict=True)]
    assert told == wanted
    assert len(rows()) == REQUIREMENTS


def lacks(row: Row) -> str:
    """What a row needs by its verdict, and has not."""
    if row.verdict not in VERDICTS:
        return f"{row.verdict} is no verdict"
    if not row.section or not row.asked:
        return "what is asked for, and where"
    if row.shown_by.count("::") != len(row.tests):
        return "each test as file::name, from `tests/` on"
    if row.verdict == "open":
        return "" if TRACKED.search(row.why) else "where it is tracked"
    if not row.tests:
        return "which test shows it"
    return "how, and why" if row.verdict == "done differently" and not row.why else ""


def test_each_row_has_a_verdict_and_what_that_needs() -> None:
    assert [f"{row}: {lacks(row)}" for row in rows() if lacks(row)] == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"verdict": "partly"}, "partly is no verdict"),
        ({"asked": ""}, "what is asked for"),
        ({"shown_by": "`test_tidy.py::test_files_are_short`"}, "each test as"),
        ({"shown_by": ""}, "which test shows it"),
        ({"verdict": "done differently", "why": ""}, "how, and why"),
        ({"verdict": "open", "why": "nobody has built it: 12"}, "where it is tracked"),
        ({"verdict": "open", "why": "nobody has built it: 12, item 8"}, ""),
    ],
)
def test_what_a_row_lacks_is_found(changes: dict[str, str], found: str) -> None:
    shown_by = "`tests/test_tidy.py::test_files_are_short`"
    good = Row("a part", "2.1", "that it works", "done", "it does", shown_by)
    assert lacks(good) == ""
    assert lacks(replace(good, **changes)).startswith(found)
    assert bool(lacks(replace(good, **changes))) is bool(found)


def test_each_test_that_is_named_is_there() -> None:
    named = [(file, name) for row in rows() for file, name in row.tests]
    assert [f"{file}::{name}" for file, name in named if name not in cases(file)] == []
    assert len(set(named)) > 150


def test_sections_of_other_pages_are_there() -> None:
    cited = CITED.findall(PAGE.read_text())
    assert len(cited) > 5
    for document, name in cited:
        assert name.strip('"') in headings(document), f"{document}, {name}"


def test_drafts_are_linked_by_name_and_version() -> None:
    linked = DRAFT.findall(PAGE.read_text())
    assert len(linked) == 3
    for name, target in linked:
        assert re.fullmatch(r"draft-ietf-[\w-]+-\d\d", name)
        assert target.endswith(f"/{name}")
