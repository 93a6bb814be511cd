"""docs/drops.md explains every reason for which a message is not answered, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.diagrams import redraw
from tools.drops import CHAPTERS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "drops.md"
OF_OPERATORS = {"options.py", "option_types.py", "quotes.py"}
"""They judge what an operator writes, not what a client sends."""
RULES = [p for p in sorted((ROOT / "agent" / "dhcp").glob("*.py")) if p.name not in OF_OPERATORS]
SOURCES = [*RULES, ROOT / "agent" / "engine.py"]
REASON = re.compile(r"[a-z]+(_[a-z]+)*")
JUDGES = {"claim", "classify", "context", "discover", "request", "returns", "unrecorded"}
"""Modules whose functions return a reason in place of what was asked for."""
GIVERS = {"PacketError": 0, "Answer": 1, "_wait": 3, "_drop": 0, "append": 0}
"""Calls that are given one, and as which argument."""


def reasons(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield from _given(node)
        elif isinstance(node, ast.Return) and path.stem in JUDGES and node.value is not None:
            yield from _returned(node.value)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            names = [one.id.lower() for one in node.targets if isinstance(one, ast.Name)]
            if node.value.value in names:  # SHORT_WORD = "short_word"
                yield node.value.value
        elif isinstance(node, ast.List) and path.stem == "engine":
            yield from (one.value for one in node.elts if isinstance(one, ast.Constant))


def _given(node: ast.Call) -> Iterator[str]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    at = GIVERS.get(name)
    if at is not None and len(node.args) > at:
        found = node.args[at]
        of_drops = name != "append" or ast.unparse(node.func) == "drops.append"
        if isinstance(found, ast.Constant) and isinstance(found.value, str) and of_drops:
            yield found.value
    if name == "count" and isinstance(node.args[0], ast.Constant):
        yield from re.findall(r"^dropped_(\w+)$", str(node.args[0].value))


def _returned(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.IfExp):
        yield from _returned(value.body)
        yield from _returned(value.orelse)
    elif isinstance(value, ast.BoolOp):
        for one in value.values:
            yield from _returned(one)


def in_code() -> set[str]:
    found = {reason for path in SOURCES for reason in reasons(path)}
    return {one for one in found if isinstance(one, str) and REASON.fullmatch(one)}


def explained() -> set[str]:
    return {name for drops in CHAPTERS.values() for name in drops}


def test_every_reason_is_explained_and_every_explained_one_is_given() -> None:
    assert in_code() == explained()


def test_the_search_finds_them_in_each_of_their_forms() -> None:
    assert {"truncated", "no_subnet", "promised_to_other", "not_in_pool", "reserved_asked",
            "not_serving", "no_room_to_answer", "too_long", "declined"} <= in_code()  # fmt: skip


def test_no_reason_is_in_two_chapters() -> None:
    assert sum(map(len, CHAPTERS.values())) == len(explained())


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_words_are_sentences(chapter: str) -> None:
    for name, one in CHAPTERS[chapter].items():
        assert len(name) <= 32, "dhcpSyncDropReason"
        for words in (one.means, one.to_do):
            assert words == "" or (words.endswith(".") and words[0] == words[0].upper()), name
            assert "|" not in words
        assert one.means


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text()
    assert redraw(text) == text, "run: python -m tools.diagrams docs/drops.md"
    for name in explained():
        assert f"\n| `{name}` | " in text
