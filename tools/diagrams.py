"""The diagrams of docs/protocol.md and the tables of docs/drops.md, drawn from the code's tables.

`python -m tools.diagrams docs/protocol.md docs/drops.md` puts them in place;
tests/tools/test_diagrams.py and tests/tools/test_drops.py say whether they are up to date.
"""

from __future__ import annotations

import enum
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.sync.endpoint import TABLE
from agent.sync.hello import ALIGN_TRANSITIONS, LINK_TRANSITIONS
from agent.sync.ownership import MOVES
from tools.drops import drops_page

_PLACE = re.compile(r"(<!-- drawn: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def state_diagram(moves: Mapping[Any, enum.Enum], first: enum.Enum) -> str:
    """Mermaid; moves that join the same two states share an arrow."""
    events: dict[tuple[str, str], list[str]] = {}
    for (state, event), after in moves.items():
        events.setdefault((state.name, after.name), []).append(event.name)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first.name}"]
    lines += [f"    {a} --> {b}: {', '.join(names)}" for (a, b), names in events.items()]
    return "\n".join([*lines, "```\n"])


def endpoint_order() -> str:
    names = [state.name.replace("_", "-") for state, _ in TABLE]
    return "\n".join([*(f"{i}. {name}" for i, name in enumerate(names, 1)), ""])


def drawn() -> dict[str, str]:
    def of(table: Mapping[Any, enum.Enum]) -> str:
        (first, _), *_ = table
        return state_diagram(table, first)

    return {
        "address": of(MOVES),
        "link": of(LINK_TRANSITIONS),
        "alignment": of(ALIGN_TRANSITIONS),
        "endpoint": endpoint_order(),
        "drops": drops_page(),
    }


def redraw(text: str) -> str:
    diagrams = drawn()
    return _PLACE.sub(lambda found: found[1] + diagrams[found[2]] + found[3], text)


def main(arguments: list[str]) -> int:
    for name in arguments:
        path = Path(name)
        path.write_text(redraw(path.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
