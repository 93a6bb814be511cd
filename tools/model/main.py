"""`dhcpsync model`: every check, with its rules on and with each rule taken out.

Exit code 0: with all rules on nothing was found, and each rule taken out was noticed; 1: not so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tools.model.address import Address, Rules
from tools.model.explore import Explored, explore, explore_settling
from tools.model.lives import SeatRules
from tools.model.membership import BallotRules, Ballots, Proposals
from tools.model.seats import Seats
from tools.model.transfer import Transfer
from tools.model.worlds import WITHOUT, WORLDS, without

STATES_MAX = 3_000_000

POLLS = Rules(attempts=2, epochs=2)
TRANSFER = Rules(start="owned", attempts=1, epochs=3, transfers=True)
BALLOTS = BallotRules(ballots=1)
LOSSES = BallotRules(ballots=1, wipes=True, own_vote_first=True)
POLL_SHORT = replace(POLLS, start="ended", epochs=3)


@dataclass(frozen=True, slots=True)
class Check:
    """`wrong`: whether a fault must be found; otherwise none must."""

    name: str
    machine: Callable[[], Any]
    wrong: bool
    rule: str = ""


def search(check: Check) -> Explored[Any]:
    machine = check.machine()
    if isinstance(machine, Seats) and machine.rules.judges_service:
        return explore_settling(machine, STATES_MAX)
    return explore(machine, STATES_MAX)


def _seats(rules: SeatRules) -> Callable[[], Any]:
    return lambda: Seats(rules)


def _without(machine: Callable[[Any], Any], rules: Any, rule: str) -> Callable[[], Any]:
    return lambda: machine(replace(rules, **{rule: False}))


CHECKS: tuple[Check, ...] = (
    Check("poll", lambda: Address(POLLS), False),
    Check("transfer", lambda: Transfer(TRANSFER), False),
    Check("ballots", lambda: Ballots(BALLOTS), False),
    Check("ballots and a lost store", lambda: Ballots(LOSSES), False),
    Check("two phases that wait for ever", lambda: Proposals(forgets=False), False),
    Check("two phases of 30 s, the draft's", Proposals, True, "8: ballots"),
    *(
        Check(f"poll without {rule}", _without(Address, POLLS, rule), True, f"4: {rule}")
        for rule in ("nonces", "all_answers", "withheld")
    ),
    *(
        Check(f"poll without {rule}", _without(Address, POLL_SHORT, rule), True, f"4: {rule}")
        for rule in ("promises", "ends_exactly", "verify_by_epoch", "no_second_promise")
    ),
    *(
        Check(f"transfer without {rule}", _without(Transfer, TRANSFER, rule), True, f"5: {rule}")
        for rule in (
            "gift_is_kept", "no_way_back", "transferring_refuses", "gift_is_remembered",
            "polling_refuses",
        )
    ),
    *(
        Check(f"ballots without {rule}", _without(Ballots, BALLOTS, rule), True, f"8: {rule}")
        for rule in ("durable_promises", "lower_refused", "adopts", "majority")
    ),
    *(
        Check(f"lost store without {rule}", _without(Ballots, LOSSES, rule), True, f"8: {rule}")
        for rule in ("lost_abstains", "takes_over", "own_vote_first")
    ),
    *(Check(name, _seats(rules), False) for name, rules in WORLDS),
    *(
        Check(f"seats without {rule}", _seats(without(rules, rule)), True, f"8, 10: {rule}")
        for rule, rules in WITHOUT
    ),
)  # fmt: skip


def report(check: Check, found: Explored[Any], *, traces: bool) -> list[str]:
    verdict = found.fault or "nothing wrong"
    lines = [
        f"{check.name:44} {found.states:>9,} states  depth {found.depth:>3}"
        f"  {found.seconds:>6.1f} s  {verdict}"
    ]
    if traces:
        lines += [f"    {number:>2}. {label}" for number, (label, _) in enumerate(found.trace, 1)]
    return lines


def parse(arguments: list[str]) -> tuple[list[Check], bool]:
    """The checks that are wanted, and whether their traces are."""
    parser = argparse.ArgumentParser(
        prog="dhcpsync model",
        description="Search small models of the protocol whole: three members, one address.",
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="checks whose name has TEXT")
    parser.add_argument("--no-traces", action="store_true", help="one line for each check")
    options = parser.parse_args(arguments)
    chosen = [check for check in CHECKS if options.only in check.name]
    if not chosen:
        parser.error(f"--only {options.only}: no check has that in its name")
    return chosen, not options.no_traces


def main(arguments: list[str]) -> int:
    chosen, traces = parse(arguments)
    good = True
    for check in chosen:
        found = search(check)
        good &= bool(found.fault) is check.wrong
        for line in report(check, found, traces=traces):
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
    return 0 if good else 1
