"""docs/situations.md shows what the program says, at each width of a terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.health import Kind
from agent.reasons import reasons
from tests.tools import captures
from tests.tools.captures import BUSY, PAGES, SEEN, WIDTHS, captured, main, retake, screen

(PAGE,) = PAGES


def test_the_captures_are_up_to_date() -> None:
    text = PAGE.read_text()
    assert retake(text) == text, "run: python -m tests.tools.captures"
    shown = re.findall(r"<!-- captured: ([\w-]+) -->", text)
    assert sorted(shown) == sorted(captured()), "each is shown once"


def test_an_old_capture_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- captured: died -->\nold\n<!-- end -->\nafter\n")
    monkeypatch.setattr(captures, "PAGES", (page,))
    assert main() == 0
    text = page.read_text()
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "2 of 3 serve; clients are served; south is silent since" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_a_screen_has_no_line_that_is_too_long_and_loses_no_reason(width: int) -> None:
    lines = screen(BUSY, width).splitlines()
    assert max(map(len, lines)) <= width
    words = " ".join(line.strip() for line in lines)
    for reason in reasons(BUSY):
        assert f"- {reason.words}. {reason.to_do}" in words
    for whole in (*captures.NAMES, *(f"{pool.first}-{pool.last}" for pool in captures.POOLS)):
        assert whole in words


def test_every_kind_of_reason_that_lasts_has_its_situation() -> None:
    """The others end by themselves, or are the word for something that an operator has done."""
    passing = {Kind.JOINING, Kind.NOT_COMPARED, Kind.CONFLICT, Kind.PAUSED, Kind.UNHEARD}
    passing |= {Kind.FORMER_SERVER, Kind.NOT_TRIED, Kind.BEHIND}
    shown = {reason.kind for status in SEEN.values() for reason in reasons(status)}
    assert shown == set(Kind) - passing


def test_links_within_the_page_lead_to_its_sections() -> None:
    text = PAGE.read_text()
    titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    linked = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert linked <= anchors
    assert len(linked) > 8
