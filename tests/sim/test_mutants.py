"""Take one rule out and see the judges miss it: a simulation that cannot fail proves nothing.

Each mutant weakens one rule of the production code in place; within a bounded number of seeds an
invariant must break, which holds for the same seeds when nothing is taken out. The complete set
of mutants belongs to the protocol's own issue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.dhcp import claim, context, lease
from agent.dhcp.engine import DhcpServer
from agent.sync import poll, promise, stream, verdict
from agent.sync.situation import Situation
from tools.simulator.run import Parameters, run

SEEDS_MAX = 12
CROWDED = Parameters(members=3, seconds=400, pool_size=32, clients=20)
"""Few addresses for many clients, so that members have to fight for them."""
CUT = replace(CROWDED, faults=("halves", "alone", "bridge", "one-way", "cut"))
"""Members are cut off from each other, so that answers are missing; clients reach them all."""
JOINING = replace(CROWDED, seconds=500, joiners=1)
HURRIED = replace(JOINING, lease_s=20, mul_s=10, pool_size=16, clients=30)
"""Leases so short that some have ended before the last member joins, and so few addresses that
those are another's soon."""
Patch = Callable[[pytest.MonkeyPatch], None]


def promises_are_not_kept(patch: pytest.MonkeyPatch) -> None:
    """A "yes" is said and not written down."""
    patch.setattr(promise.Promises, "_promise", lambda self, tx, verdict, epoch, to, nonce: None)


def live_leases_do_not_count(patch: pytest.MonkeyPatch) -> None:
    """A poll is agreed to although a client has the address."""
    patch.setattr(verdict, "is_dead", lambda *_: True)


def one_answer_is_enough(patch: pytest.MonkeyPatch) -> None:
    """A poll is complete with the first answer instead of all. That all are needed is looked at
    before it is begun, too: with that left in, nobody that is cut off is ever asked, and his
    answer is never missed."""
    complete = poll.Poll.answered

    def answered(self: poll.Poll, tx, to, request, response, now_ms):  # type: ignore[no-untyped-def]
        complete(self, tx, to, request, response, now_ms)
        attempt = self.attempt
        if attempt is not None and attempt.agreed:
            self._round_complete(tx, attempt, now_ms)

    patch.setattr(poll.Poll, "answered", answered)
    patch.setattr(Situation, "all_reachable", True)


def leases_run_ahead(patch: pytest.MonkeyPatch) -> None:
    """The full lease at once, whatever the others have recorded."""
    decide = lease.decide_grant

    def decide_grant(wanted_s, terms, former, acknowledged_at, now, issued):  # type: ignore[no-untyped-def]
        alone = replace_alone(terms)
        return decide(wanted_s, alone, former, acknowledged_at, now, issued)

    patch.setattr(context, "decide_grant", decide_grant)


def replace_alone(terms: lease.Terms) -> lease.Terms:
    return terms._replace(alone=True)


def unknown_is_acknowledged(patch: pytest.MonkeyPatch) -> None:
    """What was pushed counts as recorded by everybody."""
    patch.setattr(
        context, "acknowledged_expiry", lambda row, streams: row.potential_expires_at if row else 0
    )


def replies_leave_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    """The engine answers and its transaction is rolled back now and then: a lost write."""
    handle = DhcpServer._handle
    calls = [0]

    class LostError(Exception):
        pass

    def handle_batch(self, datagrams, now_ms):  # type: ignore[no-untyped-def]
        from agent.dhcp.packet import parse_packet

        packets = [(parse_packet(d.data), d) for d in datagrams]
        handled = None
        calls[0] += 1
        try:
            with self._store.write() as tx:
                handled = handle(self, tx, packets, now_ms)
                if calls[0] % 3 == 0:
                    raise LostError
        except LostError:
            pass
        return self._finish(handled)

    patch.setattr(DhcpServer, "handle_batch", handle_batch)


def a_record_is_lost_on_the_way_in(patch: pytest.MonkeyPatch) -> None:
    """What a member claims by its vector it does not always hold."""
    apply = stream.apply_records

    def apply_records(tx, situation, records, own):  # type: ignore[no-untyped-def]
        return apply(tx, situation, records[1:] if len(records) % 3 == 0 else records, own)

    patch.setattr(stream, "apply_records", apply_records)


def what_a_joiner_did_not_see_does_not_matter(patch: pytest.MonkeyPatch) -> None:
    """A member serves a former client of an address whose lease had ended before it joined."""
    patch.setattr(claim, "_ended_at", lambda row: 2**60)


MUTANTS: list[tuple[Patch, Parameters, int]] = [
    (promises_are_not_kept, CROWDED, 1),
    (live_leases_do_not_count, CROWDED, 1),
    (one_answer_is_enough, CUT, 3),
    (leases_run_ahead, CROWDED, 1),
    (unknown_is_acknowledged, CROWDED, 1),
    (replies_leave_before_the_commit, CROWDED, 1),
    (a_record_is_lost_on_the_way_in, JOINING, 2),
    (what_a_joiner_did_not_see_does_not_matter, HURRIED, 5),
]
"""Each with the first seed that killed it when this was written."""


@pytest.mark.parametrize(
    ("mutant", "parameters", "seed"), MUTANTS, ids=lambda v: getattr(v, "__name__", "")
)
def test_mutant_is_killed(
    mutant: Patch, parameters: Parameters, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    for tried in range(seed, seed + SEEDS_MAX):
        if run(tried, parameters).violation:
            return
    pytest.fail(f"{SEEDS_MAX} seeds from {seed} did not notice it")


@pytest.mark.parametrize(
    ("parameters", "seed"), dict.fromkeys((parameters, seed) for _, parameters, seed in MUTANTS)
)
def test_the_same_seeds_are_good_without_mutation(parameters: Parameters, seed: int) -> None:
    assert run(seed, parameters).violation == ""
