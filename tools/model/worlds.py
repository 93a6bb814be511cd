"""The worlds in which `tools/model/seats.py` is searched: with all rules on, and with each one out.

Every world is as small as shows what it is for: who is in the group at first, who is set back and
how, what operators order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tools.model.lives import SeatRules

_BARE = SeatRules(givers=0, sets_back=False)

FOUNDER = SeatRules(start="founder", seen=True, orders=("join", "mul"))
PAIR = SeatRules(orders=("shutdown",), generations=2)
DOWN = SeatRules(start="down", orders=("shutdown",), told=0, generations=4)
EXCHANGED = replace(DOWN, seen=True)
DEAD = SeatRules(
    seen=True, loser=1, orders=("force", "join"), crashes=1, forces=1, mortal=0, generations=3
)
FORCED = SeatRules(
    sets_back=False, orders=("force",), crashes=1, forces=1, mortal=0, cuts=1, generations=2
)
REMOVED = SeatRules(
    members=3,
    givers=2,
    sets_back=False,
    orders=("remove",),
    crashes=1,
    mortal=0,
    cuts=1,
    generations=2,
)
BOTH_GO = replace(_BARE, orders=("shutdown",), generations=4, judges_service=True)
FORK = replace(_BARE, start="founder", sets_back=True, orders=("join", "mul"), judges_service=True)
BOTH_OUT = replace(
    _BARE,
    start="left",
    sets_back=True,
    loser=1,
    orders=("join", "shutdown"),
    generations=4,
    judges_service=True,
)
LINES = replace(DOWN, givers=0, orders=("shutdown", "mul"), judges_forks=True, repeats=True)
MEET = replace(
    FORK,
    repeats=False,
    givers=2,
    judges_service=False,
    judges_clients=False,
    judges_owners=True,
)
GOING = replace(PAIR, givers=0, judges_service=True)
BLANK = replace(PAIR, wipes=True)

World = tuple[str, SeatRules]
WORLDS: tuple[World, ...] = (
    ("founder's store exchanged", FOUNDER),
    ("pair, one set back", PAIR),
    ("rolling maintenance, one set back", DOWN),
    ("rolling maintenance, one exchanged", EXCHANGED),
    ("one dead, the other's exchanged", DEAD),
    ("forced out, starts cut off", FORCED),
    ("removed of three, starts cut off", REMOVED),
    ("both told to go", BOTH_GO),
    ("told to go, and set back", GOING),
    ("fork of a founder set back", FORK),
    ("fork, and both meet", MEET),
    ("both out", BOTH_OUT),
    ("lines after a set-back", LINES),
    ("blank store, the other out", BLANK),
)

WITHOUT: tuple[World, ...] = (
    ("no_vote_in_recovery", LINES),
    ("asks_those_noted, value_is_noted", FOUNDER),
    ("value_is_noted", DEAD),
    ("alone_is_noted, joins_somebody_intact", FOUNDER),
    ("weighs_strangers", FORK),
    ("asks_those_out", DOWN),
    ("believes_those_out", BOTH_OUT),
    ("sole_member_recovers", BLANK),
    ("last_one_stays", BOTH_GO),
    ("missing_vote_recovers", MEET),
    ("left_line_recovers", MEET),
    ("asks_the_joiner", MEET),
    ("waits_for_decision", PAIR),
    ("decides_what_it_accepted", GOING),
    ("answers_tell_marks", PAIR),
    ("covers_before_voting", PAIR),
    ("longest_since_last_loss", EXCHANGED),
    ("refuses_while_waiting", FOUNDER),
    ("majority_before_new", FORCED),
    ("bounded_renewals", FORCED),
)
"""The rules that are taken out together, and the world that must miss them."""


def without(rules: SeatRules, names: str) -> SeatRules:
    out: dict[str, Any] = dict.fromkeys(names.split(", "), False)
    return replace(rules, **out)
