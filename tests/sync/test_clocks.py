"""The clock over a reboot, and the peers' clocks (docs/protocol.md, "Clocks")."""

from __future__ import annotations

from random import Random

import pytest

from agent.clock import ClockAnchor
from agent.sync.clocks import ALARM_MS, ClockNote
from agent.sync.node import Node
from agent.sync.start import LastLife, begin_restored, begin_start
from tests.sync.lan import POOL_FIRST, Lan, make_binding, make_group

HOUR_MS = 3_600_000


def make_lan(members: int = 2) -> Lan:
    numbers = range(1, members + 1)
    lan = Lan(numbers, make_group(numbers))
    lan.run(3_000)
    return lan


def reboot(lan: Lan, member: int, claimed_ms: int, down_ms: int, before: dict[int, int]) -> None:
    """The machine was down for `down_ms`, by its wall clock for `claimed_ms`."""
    lan.offset_ms[member] -= down_ms
    store = lan.stores[member]
    with store.write() as tx:
        tx.set_clock_anchor(ClockAnchor("this boot", 0))
        last = LastLife(ran_at=lan.clock(member) // 1000, unseen_s=claimed_ms // 1000)
        begin_start(tx, lan.clock(member) // 1000, last)
    lan._waiting = [w for w in lan._waiting if w[2] != member]
    note = ClockNote(claimed_ms, before)
    lan.nodes[member] = Node(member, Random(member), lan.settings, note)


def moved_ms(lan: Lan, member: int) -> int:
    with lan.stores[member].read() as tx:
        anchor = tx.clock_anchor()
    assert anchor is not None
    return anchor.offset_ms


def test_time_that_a_peer_confirms_has_passed() -> None:
    lan = make_lan()
    reboot(lan, 1, HOUR_MS, HOUR_MS, {2: 0})
    lan.run(3_000, until=lambda: moved_ms(lan, 1) > 0)
    assert moved_ms(lan, 1) == HOUR_MS
    assert not lan.serving(1), "both processes have to see it first"
    lan.offset_ms[1] += HOUR_MS
    lan.run(5_000, until=lambda: lan.serving(1))
    assert lan.serving(1)
    lan.run(2_000)
    assert [s.offset_ms for s in lan.nodes[1].peer_status()] == [0]
    assert moved_ms(lan, 1) == HOUR_MS, "once"


def test_a_wall_clock_that_jumped_over_the_reboot_expires_nothing() -> None:
    """Down for a minute; the wall clock came back an hour ahead."""
    lan = make_lan()
    reboot(lan, 1, HOUR_MS, 60_000, {2: 0})
    lan.run(3_000, until=lambda: moved_ms(lan, 1) > 0)
    assert moved_ms(lan, 1) == 60_000


def test_only_what_has_passed_counts_and_not_how_far_the_clocks_are_apart() -> None:
    """The peer's clock was a day ahead all the time: leases of mine are by mine."""
    lan = make_lan()
    lan.offset_ms[2] = 24 * HOUR_MS
    lan.run(3_000)
    reboot(lan, 1, 60_000, 60_000, {2: 24 * HOUR_MS})
    lan.run(3_000, until=lambda: moved_ms(lan, 1) > 0)
    assert moved_ms(lan, 1) == 60_000


def test_without_a_peer_nothing_is_confirmed() -> None:
    lan = make_lan()
    lan.cut(1)
    reboot(lan, 1, HOUR_MS, HOUR_MS, {2: 0})
    lan.run(6_000)
    assert lan.serving(1)
    assert moved_ms(lan, 1) == 0
    lan.heal()
    lan.run(5_000)
    assert moved_ms(lan, 1) == 0, "leases have been given by this clock"
    assert any("are kept for the rest too" in line for line in lan.nodes[1].take_alarms())


def test_a_peer_that_was_not_known_before_confirms_nothing() -> None:
    lan = make_lan()
    reboot(lan, 1, HOUR_MS, HOUR_MS, {})
    lan.run(6_000)
    assert lan.serving(1)
    assert moved_ms(lan, 1) == 0


def test_what_began_since_the_boot_waits_as_long_when_the_clock_has_moved() -> None:
    """A member that boots from a copy waits MUL from its loss, by whatever its clock shows."""
    lan = make_lan()
    store = lan.stores[1]
    with store.read() as tx:
        group = tx.group()
    lan.offset_ms[1] -= HOUR_MS
    at = lan.clock(1) // 1000
    with store.write() as tx:
        tx.set_clock_anchor(ClockAnchor("this boot", 0))
        begin_restored(tx, at, "a copy", LastLife(group, 1, at, HOUR_MS // 1000))
        holds_until = tx.local().holds_until
    lan.nodes[1] = Node(1, Random(1), lan.settings, ClockNote(HOUR_MS, {2: 0}))
    row = make_binding(POOL_FIRST, lan.now_s, server=2)
    lan.save(2, [row])
    lan.run(3_000, until=lambda: moved_ms(lan, 1) > 0)
    assert lan.rows(1) == [], "nobody's instants are written down before"
    moved_s = moved_ms(lan, 1) // 1000
    with store.read() as tx:
        assert tx.local().holds_until == holds_until + moved_s
        assert tx.lost_stores()[1].at == at + moved_s
    lan.offset_ms[1] += moved_ms(lan, 1)
    lan.run(10_000, until=lambda: bool(lan.rows(1)))
    (taken,) = lan.rows(1)
    assert abs(taken.expires_at - row.expires_at) <= 2


def test_members_that_were_down_together_confirm_each_other() -> None:
    """Their wall clocks agree on how long it was; the shorter time counts."""
    lan = make_lan()
    reboot(lan, 1, 50 * 60_000, HOUR_MS, {2: 0})
    reboot(lan, 2, HOUR_MS, HOUR_MS, {1: 0})
    lan.run(3_000, until=lambda: min(moved_ms(lan, 1), moved_ms(lan, 2)) > 0)
    assert moved_ms(lan, 1) == 50 * 60_000


@pytest.mark.parametrize("ahead_ms", [ALARM_MS, -HOUR_MS])
def test_a_stepped_wall_clock_is_shown_and_told_once_and_changes_nothing(ahead_ms: int) -> None:
    lan = make_lan()
    lan.nodes[2].note_wall_clock(ahead_ms)
    lan.run(5_000)
    assert [s.offset_ms for s in lan.nodes[1].peer_status()] == [ahead_ms]
    assert [s.offset_ms for s in lan.nodes[2].peer_status()] == [-ahead_ms]
    (line,) = lan.nodes[1].take_alarms()
    assert f"{ahead_ms / 1000:+.0f} s" in line
    with lan.stores[1].read() as tx:
        assert tx.counters()["cluster_clock_alarms"] == 1
    lan.nodes[2].note_wall_clock(0)
    lan.run(3_000)
    assert lan.nodes[1].take_alarms() == ["the clock of member 2 is right again"]
    assert lan.serving(1)
    assert lan.serving(2)
