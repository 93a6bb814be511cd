"""Rules taken out of the production functions that the model calls: the search must miss them.

Each mutant changes `agent.sync.verdict`, `agent.dhcp.claim.is_withheld`, or what the group's values
go by (`agent.sync.lineage`, `agent.sync.expulsion.expelled`), in place and names the
machine that kills it; the simulator's mutants are in tests/sim/mutants.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent.dhcp.claim import is_withheld
from agent.model import AddressState
from agent.sync import verdict
from agent.sync.lineage import descends
from agent.sync.verdict import Question
from tools.model import address, values
from tools.model.address import Address
from tools.model.explore import explore, explore_settling
from tools.model.main import POLL_SHORT, POLLS, STATES_MAX, TRANSFER
from tools.model.seats import Seats
from tools.model.transfer import Transfer
from tools.model.worlds import FORCED, FORK

Patch = Callable[[pytest.MonkeyPatch], None]
REFUSES, JUDGE, WITHHELD = verdict._refuses, verdict.judge, is_withheld


def live_leases_do_not_count(patch: pytest.MonkeyPatch) -> None:
    """A poll is agreed to although a client has the address."""
    patch.setattr(verdict, "is_dead", lambda *_: True)


def a_poller_agrees(patch: pytest.MonkeyPatch) -> None:
    """What is polled here, in its second round, is promised to others."""
    patch.setattr(
        verdict,
        "_refuses",
        lambda q, row: row.state is not AddressState.POLLING and REFUSES(q, row),
    )


def promised_twice(patch: pytest.MonkeyPatch) -> None:
    """What is promised to one member is promised to another one too."""
    patch.setattr(
        verdict,
        "_refuses",
        lambda q, row: row.state is not AddressState.PROMISED and REFUSES(q, row),
    )


def a_later_attempt_replaces_a_promise(patch: pytest.MonkeyPatch) -> None:
    """The same member's next attempt is agreed to while its promise stands."""

    def refuses(q: Question, row: Any) -> bool:
        if row.state is AddressState.PROMISED and row.member == q.asker:
            return q.nonce.counter > 0 and q.nonce < row.nonce
        return REFUSES(q, row)

    patch.setattr(verdict, "_refuses", refuses)


def a_promise_of_which_a_lease_came_is_not_wanted(patch: pytest.MonkeyPatch) -> None:
    """Asked whether it wants a promise, a poller does not look at what came of it."""

    def judge(q: Question, rows: Any, bindings: Any) -> Any:
        return JUDGE(replace(q, epoch=None) if q.nonce.counter == 0 else q, rows, bindings)

    patch.setattr(verdict, "judge", judge)


def former_clients_are_always_served(patch: pytest.MonkeyPatch) -> None:
    """A promise keeps nobody from renewing."""
    patch.setattr(address, "is_withheld", lambda *_: False)


def a_promise_does_not_withhold(patch: pytest.MonkeyPatch) -> None:
    """Only what a member polls itself keeps it from renewing for the former client."""
    patch.setattr(
        address,
        "is_withheld",
        lambda row, *rest: row.state is not AddressState.PROMISED and WITHHELD(row, *rest),
    )


MUTANTS: list[tuple[Patch, Callable[[], Any]]] = [
    (live_leases_do_not_count, lambda: Address(POLLS)),
    (a_poller_agrees, lambda: Transfer(TRANSFER)),
    (promised_twice, lambda: Address(POLL_SHORT)),
    (a_later_attempt_replaces_a_promise, lambda: Address(POLL_SHORT)),
    (a_promise_of_which_a_lease_came_is_not_wanted, lambda: Address(POLL_SHORT)),
    (former_clients_are_always_served, lambda: Address(POLLS)),
    (a_promise_does_not_withhold, lambda: Address(POLLS)),
]


@pytest.mark.parametrize(
    ("mutant", "machine"), MUTANTS, ids=lambda value: getattr(value, "__name__", "")
)
def test_mutant_is_killed(
    mutant: Patch, machine: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    assert explore(machine(), STATES_MAX).fault


def test_a_fork_that_no_rank_ends_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lines of which neither descends from the other: nobody gives way."""
    monkeypatch.setattr(values, "stands_over", descends)
    assert explore_settling(Seats(FORK), STATES_MAX).fault.startswith("stuck")


def test_a_removal_that_nothing_follows_from_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody holds back what the dead member may have given."""
    monkeypatch.setattr(values, "expelled", lambda *_: [])
    assert explore(Seats(FORCED), STATES_MAX).fault.startswith("two clients")
