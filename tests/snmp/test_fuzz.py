"""A short run of the fuzzer; `python -m tests.snmp.fuzz` is the long one."""

from __future__ import annotations

import asyncio
import math

import pytest

from tests.snmp import fuzz


@pytest.mark.parametrize("seed", [14, 20_261_127])
def test_nothing_raises_and_everything_is_answered_or_counted(seed: int) -> None:
    count, answered, _ = asyncio.run(fuzz.run(iter([seed]), 700, math.inf))
    assert count == 700
    assert 100 < answered < 650, "some of the messages are right, and some are not"
