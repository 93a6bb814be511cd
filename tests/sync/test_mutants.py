"""Rules of "A store that is a copy" and "Declared dead" (docs/protocol.md) of which the simulator's
judges have seen no harm yet: each is taken out of the production code, and a test of the rule has
to fail for it.

The simulator's own mutants are in tests/sim/mutants.py, the model's in tests/model/test_mutants.py.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.sync import expulsion, group, merge, recover, start, stream
from agent.sync.certain import Certainty
from agent.sync.giver import Giver
from agent.sync.group import Membership
from agent.sync.pull import Pull
from agent.sync.recover import Recovery
from tests.sim.mutation import Change, Edit, Exchange

ROOT = Path(__file__).parents[2]
PROTOCOL = ROOT / "docs" / "protocol.md"
SET_BACK = "tests/sync/test_set_back.py"
RECOVER = "tests/sync/test_recover.py"
LINES = "tests/sync/test_lines.py"
CLOCKS = "tests/sync/test_clocks.py"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`rule`: what is taken out of it, in one sentence. `file`, `test`: who has to notice."""

    name: str
    rule: str
    file: str
    test: str
    changes: tuple[Change, ...]


MUTANTS = [
    Mutant(
        "a_missing_vote_does_not_matter",
        "Who is told what needed its own vote, which its store has not, goes on.",
        SET_BACK,
        "test_a_clean_leave_that_needed_a_vote_which_the_store_has_not_shows_the_loss",
        (Exchange(Membership, "_why_lost", lambda *_: ""),),
    ),
    Mutant(
        "who_leaves_its_line_goes_on",
        "Who takes on a value that does not descend from its own has lost nothing.",
        LINES,
        "test_who_leaves_its_line_recovers",
        (
            Edit(
                Membership._why_lost,
                ("if old is not None and not descends(value, old):", "if False:"),
            ),
        ),
    ),
    Mutant(
        "who_was_out_overlooks_the_others",
        "Who was out itself ends no promise to others that are.",
        LINES,
        "test_a_copy_that_was_out_itself_keeps_no_promise_to_another_that_is",
        (
            Edit(
                expulsion.follow,
                (
                    "for member in gone:\n        after",
                    "for member in () if is_out else gone:\n        after",
                ),
            ),
        ),
    ),
    Mutant(
        "what_goes_on_unheard_does_not_count",
        "A member goes on owning an address of which a lost store's lease is told when renewed.",
        LINES,
        "test_an_owner_gives_back_what_a_copy_has_leased_and_goes_on_with",
        (Exchange(stream, "_goes_on_unheard", lambda *_: False),),
    ),
    Mutant(
        "an_owner_looks_by_the_authors_clock",
        "Whether a lease was over when it was renewed is told by the clock of who renewed it.",
        LINES,
        "test_an_owner_looks_by_its_own_clock_whether_a_lease_was_over",
        (
            Edit(
                stream._goes_on_unheard,
                ("now_ms >= mine.expires_at * 1000", "row.transaction_at >= mine.expires_at"),
            ),
        ),
    ),
    Mutant(
        "of_two_edits_with_one_version_each_keeps_its_own",
        "Two edits of one author that have one version stay as they lie.",
        LINES,
        "test_two_edits_that_a_copy_gave_one_version_are_settled",
        (Exchange(merge, "_tells", lambda _record: (0, 0, False, b"")),),
    ),
    Mutant(
        "a_decision_has_no_number",
        "Of two decisions that say the same nobody can tell that they are two.",
        SET_BACK,
        "test_the_same_decision_made_twice_is_two",
        (Exchange(Membership, "_drawn", lambda _self, value: value),),
    ),
    Mutant(
        "who_is_being_expelled_serves",
        "Who has accepted that it is out serves until it hears that this was decided.",
        SET_BACK,
        "test_who_has_accepted_that_it_is_out_serves_nobody_until_it_is_decided",
        (Exchange(group, "is_being_expelled", lambda *_: False),),
    ),
    Mutant(
        "a_later_generation_is_left_out",
        "A record of a later generation than the group's is left out, and acknowledged.",
        SET_BACK,
        "test_a_record_of_a_later_generation_is_a_gap_until_the_group_has_gone_on",
        (Exchange(stream, "_check_generation", lambda *_: None),),
    ),
    Mutant(
        "nobody_goes_on_above",
        "The group stays below a generation of which rows are about.",
        SET_BACK,
        "test_a_record_of_a_later_generation_is_a_gap_until_the_group_has_gone_on",
        (Edit(Membership._keep_house, ("situation.outgrown > group.generation", "False")),),
    ),
    Mutant(
        "a_lost_store_is_forgotten",
        "What a lost store may have given and told nobody is not held by the others.",
        RECOVER,
        "test_nobody_polls_an_expired_lease_that_a_lost_store_may_have_renewed",
        (
            Edit(
                recover.note_lost,
                ("known is not None and known.incarnation >= incarnation", "True"),
            ),
        ),
    ),
    Mutant(
        "only_the_own_loss_counts",
        "Where nobody has kept its store the longest lease is waited for from the own loss.",
        SET_BACK,
        "test_where_nobody_has_kept_its_store_the_latest_loss_counts",
        (Edit(recover.leases_end, ("in current", "== tx.local().member")),),
    ),
    Mutant(
        "who_lacks_rows_votes",
        "A confirmed start votes before it holds what the others hold.",
        LINES,
        "test_a_start_votes_when_it_holds_what_the_others_hold",
        (Exchange(Recovery, "_covers_all", lambda *_: True),),
    ),
    Mutant(
        "records_are_taken_before_the_clock_has_moved",
        "Instants of the others are written down while the own clock may still move.",
        CLOCKS,
        "test_what_began_since_the_boot_waits_as_long_when_the_clock_has_moved",
        (
            Edit(stream.receive_update, (" and situation.takes_records)", ")")),
            Edit(Pull.tick, (" and situation.takes_records)", ")")),
        ),
    ),
    Mutant(
        "one_answer_makes_certain",
        "Who starts has heard enough when anybody has spoken.",
        SET_BACK,
        "test_who_is_not_certain_gives_no_addresses_away",
        (Edit(Certainty._is_certain, ("2 * (heard + 1) > len(situation.peers) + 1", "heard > 0")),),
    ),
    Mutant(
        "who_recovers_makes_certain",
        "The word of a member that has lost its store counts at a start.",
        SET_BACK,
        "test_who_has_lost_its_store_vouches_for_nobody",
        (Edit(Certainty._is_certain, ("peer.told and peer.intact", "peer.told")),),
    ),
    Mutant(
        "standing_still_is_no_start",
        "A machine that stood still takes it that nobody has declared it dead.",
        SET_BACK,
        "test_a_machine_that_stood_still_waits_for_news",
        (Exchange(Certainty, "note_time", lambda *_: None),),
    ),
    Mutant(
        "the_doubtful_give_addresses_away",
        "Who may have been declared dead gives addresses by TRANSFER.",
        SET_BACK,
        "test_who_is_not_certain_gives_no_addresses_away",
        (Edit(Giver.answer_ask, ("situation.serving and situation.certain", "situation.serving")),),
    ),
    Mutant(
        "a_vouch_lasts",
        "An operator's word for one start is good for all later ones.",
        SET_BACK,
        "test_vouch_is_for_one_start",
        (Edit(start._take_vouch, ("tx.set_vouched(False)", "pass")),),
    ),
]


class Notices:
    """Keeps how the tests of a run end."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed:
            assert call.excinfo is not None
            self.failed.append(f"{call.excinfo.typename}: {call.excinfo.value}")
        elif call.when == "call":
            self.passed += report.passed
        return report


def run_test(file: str, test: str) -> Notices:
    notices = Notices()
    quietly = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    pytest.main([*quietly, f"{ROOT / file}::{test}"], plugins=[notices])
    return notices


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_noticed(mutant: Mutant) -> None:
    with ExitStack() as stack:
        for change in mutant.changes:
            stack.enter_context(change.applied())
        found = run_test(mutant.file, mutant.test)
    assert found.failed
    assert all(one.startswith("AssertionError") for one in found.failed), found.failed
    again = run_test(mutant.file, mutant.test)
    assert again.passed
    assert not again.failed


def test_the_docs_name_every_mutant() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| `test_\w+` \|$", PROTOCOL.read_text(), re.MULTILINE)
    assert rows == [mutant.name for mutant in MUTANTS]
