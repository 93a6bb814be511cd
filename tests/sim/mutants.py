"""The rules of the production code, taken out one by one: each must be noticed by the simulator.

The rules are those of protocol.md, whose section every mutant names. A world is chosen such that
its rule matters there: few addresses and clients that come and go, or the faults against which the
rule stands. Mutants that only the model can see are in tests/model/test_mutants.py.
"""

from __future__ import annotations

from dataclasses import replace

from agent.dhcp import claim, lease, request, returns
from agent.dhcp.engine import DhcpServer
from agent.model import AddressState, Nonce
from agent.sync import (
    clocks,
    expulsion,
    group,
    lineage,
    merge,
    node,
    records,
    recover,
    start,
    stream,
    verdict,
)
from agent.sync.ballot import Ballots
from agent.sync.departure import Departure
from agent.sync.giver import Giver
from agent.sync.group import Membership
from agent.sync.keeper import Keeper
from agent.sync.node import Node
from agent.sync.ownership import MOVES, AddressEvent, move
from agent.sync.poll import Poll
from agent.sync.promise import Promises
from agent.sync.pull import Pull
from agent.sync.recover import Recovery
from agent.sync.situation import Situation
from agent.sync.stream import Push
from tests.sim.mutation import Change, Edit, Entries, Exchange, Mutant, World
from tools.simulator.run import Parameters

CUTS = ("halves", "alone", "bridge", "one-way", "cut")
CROWDED = Parameters(members=3, seconds=400, pool_size=32, clients=20)
CUT = replace(CROWDED, faults=CUTS)
JOINING = replace(CROWDED, seconds=500, joiners=1)
HURRIED = replace(JOINING, lease_s=20, mul_s=10, pool_size=16, clients=30)
SHORT = replace(CROWDED, seconds=200, lease_s=20, mul_s=10, pool_size=16, clients=16)
SHORT_CUT = replace(SHORT, faults=CUTS)
REMOVING = replace(SHORT, faults=("remove", "partner-down", "halves", "crash", "cut"))
LOSING = replace(SHORT, faults=("rollback", "wipe", "lost-writes", "halves", "cut", "crash"))
FULL = replace(SHORT, faults=("full-disk", "slow-disk", "crash"))
STRANGERS = replace(SHORT, seconds=100, clients=4, faults=("bad-input",))
RIVALS = replace(SHORT, seconds=300, clients=3, faults=("rivals", "crash", "loss"))
QUIET = replace(SHORT, seconds=100, faults=False)
WIDE = replace(QUIET, seconds=60, pool_size=2000, clients=4)
CHURN = replace(
    SHORT, seconds=300, pool_size=24, clients=60, stay_leases=1, away_leases=4,
    faults=("client-side", "cut", "alone", "halves", "loss", "crash"),
)  # fmt: skip
DEATHS = replace(
    CHURN, lease_s=20, mul_s=120, pool_size=12, seconds=500, faults=("remove", "partner-down")
)  # fmt: skip
LOSSES = replace(
    CHURN, lease_s=60, mul_s=60, seconds=400,
    faults=("rollback", "wipe", "lost-writes", "halves", "cut", "alone"),
)  # fmt: skip
CROWDED_LOSSES = replace(
    LOSSES, pool_size=16, clients=24, stay_leases=2, away_leases=1,
    faults=("rollback", "wipe", "alone", "halves"),
)  # fmt: skip
LIARS = replace(
    CROWDED, lease_s=60, seconds=600, pool_size=24, clients=10, dishonest=6, stay_leases=30,
    faults=("halves", "alone", "cut"),
)  # fmt: skip
HURRIED_CHURN = replace(
    CHURN, joiners=1, lease_s=10, clients=40, away_leases=6, faults=False,
)  # fmt: skip
ROOMY_CHURN = replace(HURRIED_CHURN, clients=20)
RESERVED = replace(
    CROWDED, members=2, seconds=800, pool_size=24, faults=("reserve", "halves", "one-way")
)
ROTTEN = replace(CHURN, faults=("lost-row",))
DEAD_LINK = replace(CHURN, faults=("dead-link",))


def name_of_world(world: World) -> str:
    """The first constant of this module with that value, or a plan's name."""
    if isinstance(world, str):
        return f"`{world}`"
    return next(name for name, value in globals().items() if value == world)


MUTANTS: list[Mutant] = []


def _add(
    name: str, section: int, rule: str, world: World, *changes: Change, ends_with: str = ""
) -> None:  # fmt: skip
    MUTANTS.append(Mutant(name, section, rule, world, changes, ends_with))


# --- 2. Which record wins

_add(
    "a_merge_shortens_a_lease", 2,
    "The expiry of two merged records is the winner's, not the later one.", SHORT_CUT,
    Edit(merge._join, ("max(a.expires_at, b.expires_at)", "winner.expires_at")),
)  # fmt: skip
_add(
    "a_merge_shortens_what_was_pushed", 2,
    "The potential expiry of two merged records is the winner's.", SHORT_CUT,
    Edit(
        merge._join,
        (
            "max(a.potential_expires_at, b.potential_expires_at)",
            "max(winner.expires_at, winner.potential_expires_at)",
        ),
    ),
)  # fmt: skip
_add(
    "grants_are_not_ordered", 2,
    "Within an epoch a record of an earlier grant may win.", SHORT_CUT,
    Edit(merge._order, ("row.grant,\n        row.state,", "row.state,")),
)  # fmt: skip

_add(
    "unavailable_does_not_win", 2,
    "Within an epoch a later grant beats UNAVAILABLE.", LIARS,
    Edit(merge._order, ("row.state is BindingState.UNAVAILABLE,\n        ", "")),
)  # fmt: skip

# --- 3. How long a lease may be

_add(
    "leases_run_ahead", 3, "The full lease at once, whatever the others have recorded.", CROWDED,
    Edit(lease.decide_grant, ("not terms.alone and ", "False and ")),
)  # fmt: skip
_add(
    "unknown_is_acknowledged", 3, "What was pushed counts as recorded by everybody.", CROWDED,
    Edit(lease.acknowledged_expiry, ("if pushed else row.acknowledged_at", "")),
)  # fmt: skip
_add(
    "one_acknowledgement_is_enough", 3,
    "What one other member has recorded counts as recorded by all.", SHORT_CUT,
    Edit(Push._acknowledge, ("min(min(", "min(max(")),
)  # fmt: skip

# --- 4. The complete poll

_add(
    "promises_are_not_kept", 4, 'A "yes" is said and not written down.', CROWDED,
    Exchange(Promises, "_promise", lambda self, tx, verdict, epoch, to, nonce: None),
)  # fmt: skip
_add(
    "live_leases_do_not_count", 4, "A poll is agreed to although a client has the address.",
    CROWDED, Exchange(verdict, "is_dead", lambda *_: True),
)  # fmt: skip
_add(
    "one_answer_is_enough", 4,
    "A poll is complete with the first answer, and begun where not all can be asked.", CUT,
    Edit(
        Poll.answered,
        ("all(peer in attempt.agreed for peer in self._situation.pollers)", "attempt.agreed"),
    ),
    Exchange(Situation, "all_reachable", True),
)  # fmt: skip
_add(
    "the_first_round_is_enough", 4, "Who could agree counts as who has promised.", CROWDED,
    Edit(Poll._round_complete, ("attempt.phase is Phase.RESERVE", "True")),
)  # fmt: skip
_add(
    "promised_twice", 4, "What is promised to one member is promised to another one too.", CHURN,
    Edit(verdict._refuses, ("return True", "return row.state is not AddressState.PROMISED")),
)  # fmt: skip
_add(
    "former_clients_are_served", 4, "A promise keeps no former client from being served.", CHURN,
    Exchange(claim, "is_withheld", lambda *_: False),
)  # fmt: skip
_add(
    "the_engine_overlooks_a_promise", 4,
    "The engine goes on with what it knew of the ownership before the promise.", CHURN,
    Edit(
        DhcpServer._refresh,
        ("self._ownership.forget()\n        derived.stock.forget()", "pass"),
    ),
)  # fmt: skip
_add(
    "no_restocking", 4, "Who has few addresses left asks for no more.", QUIET,
    Exchange(Keeper, "_restock", lambda *_: None),
)  # fmt: skip

_add(
    "a_message_for_each_address", 4, "A poll asks for single addresses, not for ranges.", WIDE,
    Edit(
        Poll._ask,
        (
            "self._situation.send(to, request)",
            "for _ in range(ranges.size(attempt.spans)):\n"
            "        self._situation.send(to, request)",
        ),
    ),
)  # fmt: skip

# --- 5. TRANSFER

_add(
    "a_giver_keeps_what_it_gives", 5,
    "What is given away is not TRANSFERRING at the giver, and so its own.", CHURN,
    Edit(Giver._give_span, ("move(tx, AddressEvent.TRANSFER_OFFERED, row)", "pass")),
)  # fmt: skip


def _take_back(self, tx):  # type: ignore[no-untyped-def]
    """In the place of `Giver.owing`, which is asked whenever a Hello is due."""
    for row in tx.address_ranges_in(AddressState.TRANSFERRING):
        mine = replace(
            row, state=AddressState.BINDABLE, epoch=row.epoch - 1, member=self._situation.me,
            nonce=Nonce(0, 0), generation=0,
        )  # fmt: skip
        move(tx, AddressEvent.TAKER_LOST, mine)
    return frozenset()


_add(
    "a_gift_is_taken_back", 5,
    "What has not been acknowledged by the next Hello is the giver's again.", CHURN,
    Exchange(Giver, "owing", _take_back),
    Entries(MOVES, {(AddressState.TRANSFERRING, AddressEvent.TAKER_LOST): AddressState.BINDABLE}),
)  # fmt: skip

# --- 6. Serving clients

_add(
    "answers_for_another_server", 6,
    "A REQUEST that names another member is answered all the same.", QUIET,
    Edit(
        request.handle_selecting,
        ("m.packet.server_identifier not in c.own_addresses", "False"),
    ),
    Exchange(DhcpServer, "_may_write", lambda self, packet: True),
)  # fmt: skip

_add(
    "a_nak_for_what_is_not_known", 6,
    "A client whose address is not known here is refused by a NAK instead of silence.",
    "one-loses-its-store-after-the-other",
    Edit(
        request._extend,
        ("return Answer(None, right)", "return Answer(MessageType.NAK, right)"),
    ),
)  # fmt: skip
_add(
    "anybody_may_release", 6, "A RELEASE is believed whoever sends it.", LIARS,
    Edit(
        returns.handle_release,
        (" or row.client_key != packet.client_key", ""),
        ("row.hardware_address != packet.client_hardware_address or ", ""),
    ),
)  # fmt: skip
_add(
    "a_release_from_anywhere", 6, "A RELEASE is believed whatever address it comes from.", LIARS,
    Edit(
        returns.handle_release,
        ("not packet.gateway_address and m.received.source != m.address", "False"),
    ),
)  # fmt: skip
_add(
    "anybody_may_decline", 6, "A DECLINE is believed of others than the holder.", LIARS,
    Edit(returns.handle_decline, (" or row.client_key != packet.client_key", "")),
)  # fmt: skip
_add(
    "what_was_declined_is_given_again", 6, "A declined address is still its client's.", LIARS,
    Edit(claim._is_own, ("row.state is BindingState.UNAVAILABLE", "False")),
)  # fmt: skip

_add(
    "a_declined_address_does_not_rest", 6, "A declined address may be polled for at once.", LIARS,
    Exchange(returns, "DECLINE_HOLD_S", 0), Exchange(verdict, "DECLINE_HOLD_S", 0),
)  # fmt: skip

_add(
    "a_reservation_comes_before_a_promise", 6,
    "A reserved address is bound although it was promised to another member.", RESERVED,
    Edit(
        claim.is_withheld,
        ("row is None or not row.is_live(now)", "row is not None and not row.is_live(now)"),
        ("row is None or owned.epoch > row.epoch", "row is not None and owned.epoch > row.epoch"),
    ),
)  # fmt: skip
_add(
    "a_reservation_ends_a_lease_unasked", 6,
    "Where another client was, a reserved address is bound when that lease is over here.", RESERVED,
    Edit(claim._is_by_itself, ("c.terms.alone and not c.tx.lost_stores()", "True")),
)  # fmt: skip

# --- 7. Durable before visible

_add(
    "replies_leave_without_their_row", 7,
    "One answer in three leaves although its row is not written.", CROWDED,
    Edit(
        DhcpServer._handle,
        ("if context.view.changed:", "if context.view.changed and now_ms % 3:"),
    ),
)  # fmt: skip
_add(
    "a_full_disk_does_not_matter", 7, "An ACK leaves although its commit has failed.", FULL,
    Edit(
        DhcpServer._serve,
        (
            "note_failure(error, now_ms)\n        return []",
            "note_failure(error, now_ms)\n        return self._finish(handled)",
        ),
    ),
)  # fmt: skip

# --- 8. Membership

_add(
    "a_ballot_is_promised_and_forgotten", 8, "An acceptor keeps no promise of a ballot.", RIVALS,
    Edit(Ballots._prepare, ("tx.put_ballot(Ballot(generation, number, accepted, value))", "pass")),
)  # fmt: skip
_add(
    "a_value_is_accepted_and_forgotten", 8, "An acceptor keeps no value that it accepted.", RIVALS,
    Edit(
        Ballots._accept,
        ("tx.put_ballot(Ballot(value.generation, number, number, value))", "pass"),
    ),
)  # fmt: skip
_add(
    "nothing_is_adopted", 8,
    "A new coordinator puts its own wish before a value that was accepted.", RIVALS,
    Edit(
        Ballots._adopt_accepted,
        ("current.adopted is None or answer.accepted > current.adopted", "False"),
    ),
)  # fmt: skip
_add(
    "lower_ballots_are_heard", 8,
    "An acceptor votes for a ballot below the one that it has promised.", RIVALS,
    Edit(Ballots._accept, ("held is not None and number < held.promised", "False")),
)  # fmt: skip
_add(
    "no_majority_is_needed", 8, "One vote decides a ballot.", RIVALS,
    Edit(
        Ballots._vote,
        ("2 * len(current.votes) <= len(situation.group.current)", "not current.votes"),
    ),
)  # fmt: skip
_add(
    "no_quarantine", 8, "What a removed member may have given and told nobody is not held.", DEATHS,
    Edit(recover.held_until, ("not lost or", "True or")),
)  # fmt: skip
_add(
    "a_removed_member_goes_on", 8, "A member that hears of its removal goes on serving.", REMOVING,
    Edit(
        expulsion.follow,
        ("begin_recovery(tx, now, why, clean=_has_left_cleanly(tx, me, new))", "pass"),
    ),
)  # fmt: skip
_add(
    "a_joiner_serves_at_once", 8,
    "A joining member serves before it has pulled from everybody.", HURRIED,
    Edit(
        Membership._finish_joining,
        ("if not peer.told or not peer.confided:\n            return", "continue"),
    ),
)  # fmt: skip
_add(
    "what_a_joiner_did_not_see_does_not_matter", 8,
    "A member serves a former client of an address whose lease had ended before it joined.",
    ROOMY_CHURN, Exchange(claim, "_ended_at", lambda row: 2**60),
)  # fmt: skip
_add(
    "a_lost_commit_stays_lost", 8,
    "A decision is told once, and who speaks of another generation is not asked.", JOINING,
    Exchange(Membership, "refresh", lambda *_: None),
    Edit(
        Membership._ask_and_tell, ("now_ms + telling.wait_ms", "2**60")
    ),
)  # fmt: skip
_add(
    "foreign_generations_are_heard", 8,
    "A message of another generation or membership is taken in.", STRANGERS,
    Edit(
        Situation.check,
        (
            "header.generation != self.generation or header.membership_hash != self.group_hash",
            "False",
        ),
    ),
)  # fmt: skip
_add(
    "the_membership_hash_is_not_looked_at", 8,
    "A message of this generation and another membership is taken in.", STRANGERS,
    Edit(Situation.check, (" or header.membership_hash != self.group_hash", "")),
)  # fmt: skip
_add(
    "strangers_are_heard", 8, "A message of nobody in the group is taken in.", STRANGERS,
    Edit(
        Situation.check,
        (
            "if member is None or header.sender == self.me:\n",
            "if member is None:\n        return Peer(header.sender)\n"
            "    if header.sender == self.me:\n",
        ),
    ),
)  # fmt: skip
_add(
    "foreign_groups_are_taken", 8, "The value of another group is taken on from a stranger.",
    STRANGERS,
    Edit(
        Membership.receive_commit,
        ("group is not None and value.name != group.name", "False"),
        ("not (follows or is_mine)", "False"),
    ),
    Edit(
        Membership._check_foreign, ("group is not None and value.name != group.name", "False")
    ),
    Edit(group._is_fork, (" or one.name != other.name", "")),
    Edit(lineage.descends, ("later.name != earlier.name or ", "")),
)  # fmt: skip

# --- 9. Hello, alignment, repair

_add(
    "nothing_is_pushed_or_pulled", 9, "What a member lacks it is not sent and does not ask for.",
    SHORT_CUT,
    Edit(Push.tick, ("own.applied - after > PUSH_BEHIND_MAX", "True")),
    Edit(Pull._lacking, ("not peer.reachable", "True")),
)  # fmt: skip
_add(
    "a_record_is_lost_on_the_way_in", 9,
    "What a member claims by its vector it does not always hold.", JOINING,
    Edit(stream._plausible, ("return good", "return good[1:] if len(good) % 3 == 0 else good")),
)  # fmt: skip
_add(
    "digests_are_not_compared", 9, "Rows that differ under equal vectors stay so.", ROTTEN,
    Exchange(Node, "_compare_digests", lambda *_: None),
)  # fmt: skip
_add(
    "acknowledgements_take_no_detour", 9,
    "What a member holds is not told by third members where a link is cut.", DEAD_LINK,
    Exchange(Situation, "relayed_to", lambda *_: {}),
)  # fmt: skip
_add(
    "records_take_no_detour", 9, "Only the author of a record is asked for it.", DEAD_LINK,
    Edit(
        Pull._lacking,
        ("stream != own and ", "stream_member(stream) == peer.member and stream != own and "),
    ),
)  # fmt: skip

# --- 10. Losing and restoring state

_add(
    "ownership_outlives_its_store", 10,
    "A member that has lost its store still owns what the rest of it says.",
    "founder-of-three-setback-seen",
    Edit(recover.begin_recovery, ("row.state is not AddressState.PROMISED", "False")),
)  # fmt: skip
_add(
    "a_lone_recovery_waits_for_mul", 10,
    "Where nobody has kept its store MUL is waited for, and not the longest lease.",
    "alone-then-setback-seen",
    Edit(Recovery.may_finish, ("until = leases_end(tx)", "until = local.holds_until")),
)  # fmt: skip
_add(
    "a_rollback_is_not_seen", 10, "What the others remember of a member is not compared.", LOSING,
    Exchange(Recovery, "compare", lambda *_: False),
)  # fmt: skip
_add(
    "a_start_is_not_confirmed", 10, "A member serves before its peers have spoken.", LOSSES,
    Edit(
        start.begin_start,
        (
            "tx.set_serving(False, local.serving_since)\n            tx.set_unconfirmed(True)",
            "pass",
        ),
    ),
)  # fmt: skip

# --- 11. Clocks

_add(
    "instants_travel_as_they_are", 11,
    "An expiry travels as the sender's instant, not as seconds from now.", SHORT,
    Edit(records._away, ("instant - now_s", "instant")),
    Edit(records._instant, ("base_s + away", "away")),
)  # fmt: skip
_add(
    "waits_stay_where_the_clock_moves", 11,
    "What has begun since the boot ends when the moved clock says so.",
    "both-lose-their-stores-and-one-boots", Exchange(clocks, "_wait_on", lambda *_: None),
)  # fmt: skip
_add(
    "a_clock_that_stood_still_counts", 11,
    "What was recorded before a clock stood still is counted by that clock.",
    "removed-and-booted-cut-off", Exchange(start, "_note_unseen", lambda *_: None),
)  # fmt: skip
_add(
    "a_clock_that_stood_still_counts_in_what_is_taken", 11,
    "What was recorded before a clock stood still is carried on as it was in a peer's row.",
    "booted-unconfirmed-and-takes-a-peers-row",
    Exchange(stream, "recorded_before", lambda _row, recorded, _clock: recorded),
)  # fmt: skip

# --- 12. A store that is a copy

_add(
    "who_is_alone_always_votes", 12,
    "Alone in its group a member decides, also while it recovers or is not confirmed.",
    "alone-by-its-copy-and-told-to-decide",
    Edit(Situation.votes, ("return holds_all", "return not self.peers or holds_all")),
)  # fmt: skip
_add(
    "the_noted_group_is_not_taken_back", 12,
    "A store that is seen to be a copy goes by the group that it has itself.",
    "setback-cut-noorder-seen",
    Edit(start.begin_restored, ("noted.generation > group.generation", "False")),
)  # fmt: skip
_add(
    "a_stranger_that_names_me_is_refused", 12,
    "A value that names the receiver is refused where its teller is not in the receiver's group.",
    "setback-nocut-unseen",
    Edit(Membership.receive_commit, ("(follows or is_mine)", "follows")),
)  # fmt: skip
_add(
    "form_alone_decides_a_fork", 12,
    "Of two lines it does not matter whose store is behind what the other side remembers of it.",
    "set-back-and-joined-again",
    Edit(
        Membership._settle_fork, ("if i_am_behind is not self._is_behind(tx, commit):", "if False:")
    ),
)  # fmt: skip
_add(
    "those_that_are_out_are_not_asked", 12,
    "A start waits for those that are in the group, and who is alone asks nobody.",
    "rolling-maintenance-unseen", Exchange(Situation, "others_out", lambda _: []),
)  # fmt: skip
_add(
    "who_is_alone_serves_at_once", 12, "Who is alone in its group is confirmed when it starts.",
    "rolling-maintenance-unseen",
    Edit(
        start.begin_start,
        (
            "    others = any(one.member != local.member for one in group.members)",
            "    others = any(one.member != local.member for one in group.current)",
        ),
    ),
)  # fmt: skip
_add(
    "a_copy_goes_by_itself", 12,
    "A store seen to be a copy goes by its own group, and asks nobody that is out of it.",
    "rolling-long-seen", Exchange(Situation, "others_out", lambda _: []),
    Edit(start.begin_restored, ("noted.generation > group.generation", "False")),
)  # fmt: skip
_add(
    "who_is_out_is_not_believed", 12, "A value is taken only from members that are in it.",
    "both-out",
    Edit(
        Membership.receive_commit,
        ("(teller.is_current or (serves_me and follows))", "teller.is_current"),
    ),
    Edit(
        Membership._learn,
        (
            "if mine is None:",
            "if mine is None or group and not any(one.member == to for one in group.current):",
        ),
    ),
)  # fmt: skip
_add(
    "a_copy_decides_alone", 12,
    "A store that is seen to be a copy goes by its own group, and decides alone by that.",
    "setback-nocut-seen",
    Edit(Situation.votes, ("return holds_all", "return not self.peers or holds_all")),
    Edit(start.begin_restored, ("noted.generation > group.generation", "False")),
)  # fmt: skip
_add(
    "a_departure_of_the_last_one_stands", 12,
    "Who is told to go, and is the last one by now, has itself taken out.",
    "both-shut-down-at-once",
    Edit(Departure.tick, ("if not situation.peers:", "if False:")),
    ends_with="PeerError: last_member",
)  # fmt: skip
_add(
    "the_last_one_may_go", 12,
    "Who is the last one may be told to go, and has itself taken out.", "both-shutdown",
    Edit(Departure.set_service, ("if going and len(group.current) == 1:", "if False:")),
    Edit(Departure.tick, ("if not situation.peers:", "if False:")),
    ends_with="PeerError: last_member",
)  # fmt: skip
_add(
    "leases_that_come_to_light_do_not_count", 12,
    "A member goes on owning an address of which a lost store's lease is told.",
    "set-back-and-gives-what-is-anothers", Exchange(stream, "_came_late", lambda *_: False),
    Exchange(stream, "_goes_on_unheard", lambda *_: False),
)  # fmt: skip
_add(
    "nothing_follows_from_a_loss", 12,
    "Polls do not wait where nobody is left who has promised what a lost store may have owned.",
    "one-loses-its-store-after-the-other", Exchange(node, "follow_loss", lambda *_: None),
)  # fmt: skip
_add(
    "all_others_recover_and_one_joins", 12,
    "A joining member serves although nobody that it joins has kept its store.",
    "joins-one-that-has-lost-its-store",
    Edit(
        Membership._finish_joining,
        (
            "elif not situation.recovering and self._all_recover():",
            "elif False:",
        ),
    ),
)  # fmt: skip

# --- 13. Declared dead

_add(
    "a_start_is_certain", 13, "Who starts takes it that nobody has declared it dead.",
    "removed-and-started-cut-off", Exchange(start, "_doubt", lambda *_: None),
)  # fmt: skip
_add(
    "leases_of_the_doubtful_run_from_now", 13,
    "Who may have been declared dead counts its leases from now.", "removed-and-started-cut-off",
    Edit(lease.decide_grant, ("if terms.certain_until:", "if False:")),
)  # fmt: skip
