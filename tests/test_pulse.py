"""An engine that says nothing more is told from one that starts, and from one that cannot write."""

from __future__ import annotations

import pytest

from agent.limits import ENGINE_SILENT_MS, ENGINE_STARTS_MS
from agent.model import EngineBeat
from agent.pulse import Pulse

BEGAN = 100_000
LATER = BEGAN + 60_000


def beating(*beats: EngineBeat, now_ms: int) -> Pulse:
    pulse = Pulse(BEGAN)
    for beat in beats:
        pulse.note(beat, now_ms)
    return pulse


def test_an_engine_is_silent_so_long_after_its_last_beat() -> None:
    pulse = beating(EngineBeat(7, LATER - 10), now_ms=LATER)
    assert pulse.heard_ms == LATER - 10
    assert not pulse.is_silent(LATER - 10 + ENGINE_SILENT_MS - 1)
    assert pulse.is_silent(LATER - 10 + ENGINE_SILENT_MS)


def test_it_is_heard_again_with_the_next_beat() -> None:
    pulse = beating(EngineBeat(7, LATER), now_ms=LATER)
    later = LATER + 10 * ENGINE_SILENT_MS
    pulse.note(EngineBeat(7, LATER), later)
    assert pulse.is_silent(later)
    pulse.note(EngineBeat(8, later), later)
    assert not pulse.is_silent(later)


@pytest.mark.parametrize("beat", [None, EngineBeat(7, BEGAN - 50_000)])
def test_one_that_starts_with_its_agent_is_waited_for(beat: EngineBeat | None) -> None:
    pulse = Pulse(BEGAN)
    pulse.note(beat, BEGAN)
    assert not pulse.is_silent(BEGAN + ENGINE_STARTS_MS - 1)
    assert pulse.is_silent(BEGAN + ENGINE_STARTS_MS)


def test_a_beat_of_an_earlier_boot_says_nothing_about_when() -> None:
    pulse = beating(EngineBeat(7, BEGAN + 1), now_ms=BEGAN)
    assert pulse.heard_ms is None
    pulse.note(EngineBeat(8, BEGAN + 900), BEGAN + 1_000)
    assert pulse.heard_ms == BEGAN + 900


def test_an_instant_ahead_of_now_counts_as_now() -> None:
    """The machine of a container was started anew between two looks of its agent."""
    pulse = beating(EngineBeat(7, LATER - 5), EngineBeat(8, LATER + 5), now_ms=LATER)
    assert pulse.heard_ms == LATER


def test_while_nothing_can_be_written_its_silence_says_nothing() -> None:
    pulse = beating(EngineBeat(7, BEGAN), now_ms=LATER)
    assert pulse.is_silent(LATER)
    pulse.excuse(LATER)
    assert not pulse.is_silent(LATER + ENGINE_STARTS_MS - 1)
    assert pulse.is_silent(LATER + ENGINE_STARTS_MS)
