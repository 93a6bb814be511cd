"""What `dhcpsync status` calls well, and so what its exit code tells a script."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tools.status import MemberStatus

PEER = MemberStatus(
    2, "m2", "198.18.0.2", "active", "server", "bidirectional", "aligned", 0, 0
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "is_well", "is_aligned"),
    [
        ({}, True, True),
        ({"align": "update", "backlog": 3}, True, False),
        ({"align": "summarize"}, False, False),
        ({"align": "negotiate"}, False, False),
        ({"align": "down"}, False, False),
        ({"hello": "unidirectional"}, False, False),
        ({"hello": "waiting", "align": "down"}, False, False),
        ({"state": "down"}, False, False),
        ({"state": "joining"}, False, False),
    ],
)
def test_a_peer_that_takes_what_it_lacks_is_well(
    changes: dict[str, Any], is_well: bool, is_aligned: bool
) -> None:
    peer = replace(PEER, **changes)
    assert (peer.is_well, peer.is_aligned) == (is_well, is_aligned)


def test_a_removed_member_is_missed_by_nobody() -> None:
    assert replace(PEER, state="removed", hello="down", align="down").is_well
