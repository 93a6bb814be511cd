"""docs/protocol.md shows what the code does."""

from __future__ import annotations

from pathlib import Path

from tools.diagrams import drawn, main, redraw

PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"


def test_the_diagrams_are_up_to_date() -> None:
    text = PROTOCOL.read_text()
    assert redraw(text) == text, "run: python -m tools.diagrams docs/protocol.md"
    for name, diagram in drawn().items():
        if name != "drops":
            assert f"<!-- drawn: {name} -->\n{diagram}" in text


def test_an_old_diagram_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- drawn: link -->\nold\n<!-- end -->\nafter\n")
    assert main([str(page)]) == 0
    text = page.read_text()
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "WAITING --> BIDIRECTIONAL: HEARD_BOTH_WAYS" in text
