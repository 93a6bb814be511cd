"""The state of `tools/model/setback.py`: rules and worlds, stores, processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from tools.model.values import NONE

RUNNING, SHUTDOWN, LEAVING = range(3)
NO_LEASE, SHORT, FULL = range(3)
NO_WAIT, MUL, LONGEST = range(3)
CONFIRMED, UNCONFIRMED, WITNESSLESS = range(3)
"""The start: confirmed by those that are asked, or waiting, or serving without them."""
INTACT, RECOVERING, WAITED = range(3)
"""WAITED: it recovers, and the longest lease is over."""


@dataclass(frozen=True, slots=True)
class SeatRules:
    """The rules that can be taken out, then the world."""

    no_vote_in_recovery: bool = True
    """Who recovers, or is not confirmed, does not vote, alone or not."""
    asks_those_noted: bool = True
    """A store known to be a copy asks whom `standing` lists before it serves or votes."""
    alone_is_noted: bool = True
    """Where `standing` says that it was alone, RECOVER waits for the longest lease."""
    weighs_strangers: bool = True
    """A value that names the receiver is weighed, from a member that it does not know too."""
    asks_those_out: bool = True
    """Those that are listed and out are asked at a start, and for as long as one is alone."""
    believes_those_out: bool = True
    """A value is believed from a member that is out in it, where it descends from mine."""
    sole_member_recovers: bool = True
    """A store without a group that is told it is the only one in it has lost its store."""
    last_one_stays: bool = True
    """Alone in the group a departure is void."""
    missing_vote_recovers: bool = True
    """Told of a decision that needed its own vote, which its store has not: RECOVER."""
    left_line_recovers: bool = True
    """Who takes a value that does not descend from its own: RECOVER."""
    waits_for_decision: bool = True
    """Who has accepted that it is out serves nobody before that is decided."""
    decides_what_it_accepted: bool = True
    """It has that decided itself, if need be."""
    clean_names_incarnation: bool = True
    """A clean departure is that of one incarnation."""
    covers_before_voting: bool = True
    """A start is confirmed when the store holds what those that spoke hold."""
    fresh_incarnation: bool = True
    """One that is begun without those that are asked is none that the store's lost life had."""
    longest_since_last_loss: bool = True
    """Where nobody is intact, the longest lease counts from the last loss of all, not its own."""
    value_is_noted: bool = True
    """`standing` notes the group itself, and a store that is seen to be a copy takes it back."""
    asks_the_joiner: bool = True
    """Who lets a member in asks it for its group first."""
    answers_tell_marks: bool = True
    """Who answers for its group tells what it remembers of the one that asks, as a Hello does."""
    joins_somebody_intact: bool = True
    """JOINING does not end by what members that all recover can tell."""
    refuses_while_waiting: bool = True
    """Who waits after RECOVER, or after a removal, agrees to no poll."""
    majority_before_new: bool = True
    """After a start nothing new is given before a majority of the group has been heard."""
    bounded_renewals: bool = True
    """Until then nothing is renewed beyond what the others have recorded, and MUL."""

    members: int = 2
    start: str = "pair"
    """pair: all are in the group; founder: the first is, the others have none; down: the last has
    been shut down in generation 2, and knows it; left: it has left then."""
    loser: int = 0
    seen: bool = False
    sets_back: bool = True
    wipes: bool = False
    """What is put back is a store without a group."""
    orders: tuple[str, ...] = ()
    """Of operators: shutdown, leave, join, mul, remove (by majority), force."""
    told: int = NONE
    """Who is told to shut down or leave; NONE: anybody."""
    generations: int = 3
    crashes: int = 0
    forces: int = 0
    mortal: int = NONE
    """Who crashes and is called dead; NONE: anybody."""
    cuts: int = 0
    away: int = 0
    """Whom a cut separates from all others."""
    givers: int = 3
    """Only the first so many serve clients."""
    repeats: bool = False
    """Commits arrive late, and again."""
    judges_clients: bool = True
    judges_service: bool = False
    judges_forks: bool = False
    """Whether it is wrong that two stores hold values of which neither comes from the other, and
    nobody has forced anything."""
    judges_owners: bool = False
    """Whether it is wrong that two members under one value both hold the address BINDABLE."""


class Store(NamedTuple):
    """Durable. `row`: NONE; its own number: BINDABLE here; another's: promised to it; that number
    plus the number of members: promised to a store of it that is lost. `knows`: the record of the
    lease that runs, and whoever holds it gives the address to nobody else. `asks`: bits."""

    group: int = NONE
    accepted: int = NONE
    incarnation: int = 1
    row: int = NONE
    knows: bool = False
    wait: int = NO_WAIT
    joined: bool = False
    recovery: int = INTACT
    going: int = RUNNING
    asks: int = 0


class Process(NamedTuple):
    """Volatile. `heard`: who has spoken under the present generation, as bits."""

    up: bool = False
    start: int = CONFIRMED
    heard: int = 0
    cautious: bool = False


class State(NamedTuple):
    """`cover`: whose present wait the running lease is older than. `unnoted`: which losses of a
    store (by member, for each other one) that one has not heard of. `ahead`: who remembers more of
    the loser than the copy has; `behind`: than its store has, after it was put back. All as bits.
    `alone`: what `standing` notes of the loser. `dirty`: the loser has written, since the copy was
    made, what it has told nobody."""

    stores: tuple[Store, ...]
    processes: tuple[Process, ...]
    lease: int = NO_LEASE
    cover: int = 0
    unnoted: int = 0
    copy: Store | None = None
    dirty: bool = False
    ahead: int = 0
    behind: int = 0
    was_set_back: bool = False
    alone: bool = False
    cut: bool = False
    cuts: int = 0
    crashes: int = 0
    forces: int = 0
    commits: frozenset[tuple[int, int, int]] = frozenset()
    wrong: str = ""


Step = tuple[str, State]


def put_store(s: State, me: int, **changes: Any) -> State:
    stores = list(s.stores)
    stores[me] = stores[me]._replace(**changes)
    return s._replace(stores=tuple(stores))


def put_process(s: State, me: int, **changes: Any) -> State:
    processes = list(s.processes)
    processes[me] = processes[me]._replace(**changes)
    return s._replace(processes=tuple(processes))
