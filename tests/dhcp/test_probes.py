"""Probes: twice sent, over after a while, good for a while, bounded."""

from __future__ import annotations

from agent.dhcp.probes import BY_ROUTE, Probes, ProbeWish
from agent.limits import PROBE_FRESH_MS, PROBE_RESEND_MS, PROBE_WAIT_MS, PROBES_MAX

NOW = 1_000_000


def is_busy(probes: Probes) -> bool:
    """Asked anew: the type checker takes a property to stay as it was."""
    return probes.is_busy


def test_a_probe_from_the_first_look_to_its_end() -> None:
    probes = Probes()
    assert probes.look(7, 2, NOW) is None
    assert is_busy(probes)
    assert probes.take_due(NOW) == [ProbeWish(7, 2)]
    assert probes.take_due(NOW + PROBE_RESEND_MS - 1) == []
    assert probes.look(7, 2, NOW + PROBE_RESEND_MS) is None
    sent = NOW + PROBE_RESEND_MS
    assert probes.take_due(sent) == [ProbeWish(7, 2)]
    assert not is_busy(probes)
    assert probes.look(7, 2, sent + PROBE_WAIT_MS - 1) is None
    assert probes.look(7, 2, sent + PROBE_WAIT_MS) == frozenset()
    assert probes.heard(7, b"\x02")
    assert probes.look(7, 2, sent + PROBE_WAIT_MS) == {b"\x02"}


def test_a_probe_that_was_never_sent_says_nothing() -> None:
    probes = Probes()
    probes.look(7, 2, NOW)
    assert probes.look(7, 2, NOW + PROBE_FRESH_MS) is None


def test_what_was_found_serves_for_a_while() -> None:
    probes = Probes()
    probes.look(7, BY_ROUTE, NOW)
    for at in (NOW, NOW + PROBE_RESEND_MS):
        probes.take_due(at)
    assert probes.look(7, BY_ROUTE, NOW + PROBE_FRESH_MS) == frozenset()
    assert probes.look(7, BY_ROUTE, NOW + PROBE_FRESH_MS + 1) is None
    assert probes.is_busy


def test_answers_that_nobody_asked_for_are_nothing() -> None:
    assert not Probes().heard(7, b"\x02")


def test_probes_are_bounded_and_old_ones_make_room() -> None:
    probes = Probes()
    for address in range(PROBES_MAX + 5):
        probes.look(address, 2, NOW)
    assert len(probes.take_due(NOW)) == PROBES_MAX
    probes.look(PROBES_MAX + 1, 2, NOW + PROBE_FRESH_MS + 1)
    assert probes.take_due(NOW + PROBE_FRESH_MS + 1)[-1].address == PROBES_MAX + 1
