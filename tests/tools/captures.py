"""What `dhcpsync status` shows on a terminal, as the documents show it, from its own renderer.

`python -m tests.tools.captures` puts the captures in place; tests/tools/test_captures.py says
whether they are up to date. The group is always the same: three members, north, south and west.
"""

from __future__ import annotations

import io
import re
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from agent.health import MemberStatus, PoolStatus
from tools import status as view
from tools.status import Status

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "docs" / "situations.md",)
SINCE = "2026-11-27 00:50:31 UTC"
WIDTHS = (60, 80, 120)

_PLACE = re.compile(r"(<!-- captured: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_HEARD: dict[str, Any] = {"hello": "bidirectional", "align": "aligned"}
_SILENT: dict[str, Any] = {
    "hello": "waiting", "align": "down", "endpoint": "communicationsInterrupted",
    "last_heard": SINCE,
}  # fmt: skip


def _member(number: int, name: str, **other: Any) -> MemberStatus:
    known: dict[str, Any] = {"state": "active", "role": "server"} | _HEARD
    known |= {"backlog": 0, "clock_offset_ms": 0}
    return MemberStatus(id=number, name=name, address=f"192.0.2.{number}", **known | other)


NAMES = ("north", "south", "west")
POOLS = [
    PoolStatus("198.51.100.20", "198.51.100.219", "campus", active=True, size=200, in_use=121,
               free=27, unavailable=0),
    PoolStatus("203.0.113.10", "203.0.113.99", "guests", active=True, size=90, in_use=88, free=1,
               unavailable=1),
]  # fmt: skip


def group(asked: int = 1, *, pools: list[PoolStatus] = POOLS, **changes: Any) -> Status:
    """As member `asked` sees it. `changes`: of a member by its name, of the status otherwise."""
    members = [
        _member(number, name, **changes.pop(name, {})) for number, name in enumerate(NAMES, 1)
    ]
    well = Status(
        asked=asked, asked_name=NAMES[asked - 1], state="serving", bindings=214, peers_down=0,
        pools_low=0, max_backlog=0, group="campus", generation=5, lease_s=86_400, mul_s=3600,
        members=members, pools=pools, counters={}, disk_free=40 << 30,
    )  # fmt: skip
    return replace(well, **changes)


FULL = [POOLS[0], replace(POOLS[1], in_use=89, free=0)]
SEEN: dict[str, Status] = {
    "well": group(),
    "died": group(south=_SILENT),
    "declared-dead": group(south={"state": "down", "hello": "waiting", "align": "down"}),
    "split-larger": group(west=_SILENT),
    "split-smaller": group(3, north=_SILENT, south=_SILENT),
    "pool-low": group(pools_low=1),
    "pool-full": group(pools=FULL, pools_low=1),
    "disk-low": group(2, south={"trouble": "diskLow"}, disk_free=31 << 20),
    "disk-low-elsewhere": group(south={"trouble": "diskLow"}),
    "disk-full": group(2, south={"trouble": "diskLow"}, state="storeFailing", disk_free=0),
    "engine-silent": group(south={"trouble": "engineSilent"}),
    "clock": group(south={"clock_offset_ms": 3_600_000}),
    "uncertain": group(2, north=_SILENT, west=_SILENT, uncertain_since=SINCE),
    "conflict": group(conflicts=True),
    "not-voting": group(south=_SILENT, votes=False),
    "pool-full-beside": group(pools=[POOLS[0], replace(FULL[1], relieved=True)]),
    "recovering": group(south={"endpoint": "recover"}),
    "handing-over": group(south={"endpoint": "shutdown"}),
}
"""By the name of the capture."""

BUSY = group(south=_SILENT, west={"clock_offset_ms": -42_000}, pools_low=1)
"""Of which the whole screen is shown."""


def screen(status: Status, width: int) -> str:
    """What a terminal of that width has on it; 0: what comes through a pipe."""
    shown = io.StringIO()
    with redirect_stdout(shown), patch.object(view, "terminal_width", lambda: width):
        view.show_status(status, as_json=False)
    return shown.getvalue()


def excerpt(status: Status) -> str:
    """What is not well and what to do, and the exit code."""
    words, _, _ = screen(status, 0).partition("\n\n")
    order = f"$ dhcpsync status --address 192.0.2.{status.asked}"
    return f"{order}\n{words}\n(the tables)\n$ echo $?\n{int(not status.is_well)}\n"


def captured() -> dict[str, str]:
    whole = {f"screen-{width}": screen(BUSY, width) for width in WIDTHS}
    return whole | {name: excerpt(status) for name, status in SEEN.items()}


def retake(text: str) -> str:
    taken = captured()
    return _PLACE.sub(lambda found: f"{found[1]}```\n{taken[found[2]]}```\n{found[3]}", text)


def main() -> int:
    for page in PAGES:
        page.write_text(retake(page.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
