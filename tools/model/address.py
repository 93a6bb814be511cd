"""One address among three members: complete poll, binding and expiry, giving back.

What the network does: a message once sent may arrive at any time, any number of times, or never;
so loss, reordering and duplication need no steps of their own, and the network is the set of
everything that was ever sent. A member may crash at any time: it keeps its row, its record of a
lease and the number of its last attempt, and loses the rest.

What is modelled is what `agent/sync/poll.py` does, with these simplifications, each of which
allows more than the code does: round 1 is left out, since it is read-only, and the poller goes on
under any epoch above those it knows itself; an answer is never too old; a lease ends at any
time, by everybody's clock at once (the grace for clocks is not modelled). Verdicts are those of
the production rule (`agent.sync.verdict.judge`), and whether a former client may be served too
(`agent.dhcp.claim.is_withheld`). Bounds: the number of attempts of all members together, the
highest epoch, and the number of leases that run at one time. Nothing else is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from agent.dhcp.claim import is_withheld
from agent.model import AddressRange, AddressState, Binding, BindingState, Nonce, Transaction
from agent.sync import verdict

MEMBERS = (0, 1, 2)
NOW = 1_000_000
ADDRESS = 1


class Row(NamedTuple):
    """As `AddressRange`, of the one address; `nonce` is the counter alone."""

    state: AddressState
    member: int
    nonce: int
    epoch: int


class Local(NamedTuple):
    """A member. Durable: `row`, `counter` (attempts begun), `bound` (epoch of its record of a
    lease, 0: none) and `leases` (which of the running leases that record covers, as bits).
    Lost by a crash: the attempt under way (`attempt` its nonce, `wants` its epoch, `agreed` the
    set of members as bits), `waiting` (whose acknowledgement of the abort of what is POLLING is
    lacking), `floors` (the highest nonce of each member's aborts), `asks` (of whom a TRANSFER is
    asked, under which nonce, and whether the address was promised to a poller since), and `given`
    (the highest nonce of each member's TRANSFER requests that were answered)."""

    row: Row | None = None
    counter: int = 0
    bound: int = 0
    leases: int = 0
    attempt: int = 0
    wants: int = 0
    agreed: int = 0
    waiting: int = 0
    floors: tuple[int, ...] = (0, 0, 0)
    asks: tuple[int, int, bool] | None = None
    given: tuple[int, ...] = (0, 0, 0)


class Message(NamedTuple):
    kind: str
    sender: int
    to: int
    nonce: int
    epoch: int = 0
    extra: int = 0


Move = tuple[str, int, int]
"""In words, what becomes of the member, and the messages that leave."""

Members = tuple[int, int, int]
State = tuple[Members, int, tuple[int, ...]]
"""The three members as indices, the set of messages sent as bits, and the epochs of the leases that
run (0: this one does not), whatever anybody has recorded of them."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What can be taken out, and the bounds."""

    nonces: bool = True
    """An answer counts only for the attempt that it names."""
    promises: bool = True
    """A "yes" is written down before it is said."""
    all_answers: bool = True
    """A poll needs the "yes" of every other member, not of one."""
    polling_refuses: bool = True
    """What a member polls itself it promises to nobody."""
    ends_exactly: bool = True
    """A promise ends with its own attempt or ownership, not with a later one of the member."""
    verify_by_epoch: bool = True
    """A promise of which a lease came does not end by being asked about."""
    no_second_promise: bool = True
    """Another attempt of the member to which the address is promised is refused."""
    withheld: bool = True
    """A former client is not served while the address is promised to a member."""
    transferring_refuses: bool = True
    """A giver answers polls "no" until the taker has acknowledged, and names it as owner."""
    gift_is_kept: bool = True
    """What is given is TRANSFERRING until the taker has acknowledged (the draft: forgotten)."""
    no_way_back: bool = True
    """The giver never takes it back by timeout."""
    present_question: bool = True
    """An offer counts only as the answer to the taker's present question."""
    promise_refuses_gift: bool = True
    """What was promised to a poller meanwhile is not received."""
    gift_is_remembered: bool = True
    """After the acknowledgement the giver holds a promise to the new owner."""
    transfers: bool = False
    """Whether members ask each other for the address at all."""
    attempts: int = 2
    """Polls, requests for a TRANSFER and returns, of all members together."""
    epochs: int = 2
    leases: int = 2
    """Leases that run at one time."""
    start: str = "new"
    """new: nobody knows anything of the address; ended: every member has the record of a lease
    of epoch 1 that has ended; owned: besides, m1 owns it under epoch 2."""


def others(me: int) -> int:
    return 0b111 ^ 1 << me


def name_of(member: int) -> str:
    return f"m{member + 1}"


class Address:
    """The machine that `explore` searches."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.attempts = rules.attempts + (rules.start == "owned")
        self._ids: dict[Local, int] = {}
        self.locals: list[Local] = []
        self.messages = list(self._universe())
        self._messages = {message: 1 << i for i, message in enumerate(self.messages)}
        self._spent: dict[tuple[int, int], int] = {}
        self._delivered: dict[tuple[int, int], list[Move]] = {}
        self._acted: dict[tuple[int, int], list[Move]] = {}
        self._between: dict[tuple[int, int, int, int], list[Move]] = {}
        self._serving: dict[int, tuple[int, str]] = {}

    # --- what `explore` asks

    def initial(self) -> State:
        bound = 0 if self.rules.start == "new" else 1
        first = other = Local(bound=bound)
        if self.rules.start == "owned":
            first = Local(Row(AddressState.BINDABLE, 0, 0, 2), counter=1, bound=1)
            other = Local(Row(AddressState.PROMISED, 0, 1, 2), bound=1)
        return (self._id(first), self._id(other), self._id(other)), 0, (0,) * self.rules.leases

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        for me in MEMBERS:
            for label, changed, sent in self._actions(state, me):
                yield label, self._moved(state, me, changed, sent)
            for other in MEMBERS:
                for label, changed, sent in self._exchanges(state, me, other):
                    yield label, self._moved(state, me, changed, sent)
        ids, net, _ = state
        rest = net
        while rest:
            index = (rest & -rest).bit_length() - 1
            rest &= rest - 1
            to = self.messages[index].to
            for label, changed, sent in self._deliveries(ids[to], index):
                yield label, self._moved(state, to, changed, sent)
        yield from self._leases(state)

    def _actions(self, state: State, me: int) -> Iterator[Move]:
        """The first attempt of all is m1's: the three are alike."""
        mine = state[0][me]
        moves = self._acted.get((mine, me))
        if moves is None:
            moves = self._acted[mine, me] = list(self._act(self.locals[mine], me))
        begun = sum(self.locals[i].counter for i in state[0])
        may_begin = begun < self.attempts and (begun > 0 or me == 0)
        for move in moves:
            if may_begin or self.locals[move[1]].counter == self.locals[mine].counter:
                yield move

    def _exchanges(self, state: State, me: int, other: int) -> list[Move]:
        key = (state[0][me], state[0][other], me, other)
        moves = self._between.get(key)
        if moves is None:
            mine, theirs = self.locals[key[0]], self.locals[key[1]]
            moves = list(self._meet(mine, theirs, me, other)) if me != other else []
            self._between[key] = moves
        return moves

    def _deliveries(self, mine: int, index: int) -> list[Move]:
        moves = self._delivered.get((mine, index))
        if moves is None:
            moves = list(self._receive(self.locals[mine], self.messages[index]))
            self._delivered[mine, index] = moves
        return moves

    def fault(self, state: State) -> str:
        members = [self.locals[i] for i in state[0]]
        free = [
            me
            for me, one in enumerate(members)
            if one.row is not None
            and one.row.state is AddressState.BINDABLE
            and one.bound < one.row.epoch
        ]
        if len(free) > 1:
            names = " and ".join(map(name_of, free))
            return f"two owners: {names} both may bind the address"
        live = set(state[2]) - {0}
        if len(live) > 1:
            return "two clients: leases of two epochs run at once"
        if free and live:
            return f"{name_of(free[0])} may bind the address while a client has it"
        return ""

    # --- what a member does by itself

    def _act(self, one: Local, me: int) -> Iterator[Move]:
        name = name_of(me)
        known = max(one.bound, one.row.epoch if one.row else 0)
        may_begin = one.counter < self.attempts and not one.attempt and not one.waiting
        if may_begin and self._agrees(one, me, 0, None):
            nonce = one.counter + 1
            for epoch in range(known + 1, self.rules.epochs + 1):
                row = Row(AddressState.POLLING, me, nonce, 0)
                begun = one._replace(row=row, counter=nonce, attempt=nonce, wants=epoch, agreed=0)
                sent = self._send("reserve", me, nonce, epoch)
                yield f"{name} polls: attempt {nonce}, epoch {epoch}", self._id(begun), sent
        if one.attempt:
            given_up = one._replace(attempt=0, wants=0, agreed=0, waiting=others(me))
            sent = self._send("abort", me, one.attempt)
            yield f"{name} gives attempt {one.attempt} up", self._id(given_up), sent
        bindable = one.row is not None and one.row.state is AddressState.BINDABLE
        if may_begin and bindable and one.bound < known:
            nonce = one.counter + 1
            row = Row(AddressState.POLLING, me, nonce, known)
            back = one._replace(row=row, counter=nonce, waiting=others(me))
            label = f"{name} gives the address back: abort {nonce}"
            yield label, self._id(back), self._send("abort", me, nonce, known)
        yield from self._crash(one, me)

    def _crash(self, one: Local, me: int) -> Iterator[Move]:
        """What a start does with a row that is POLLING: it aborts."""
        after = Local(one.row, one.counter, one.bound, one.leases)
        sent = 0
        if one.row is not None and one.row.state is AddressState.POLLING:
            after = after._replace(waiting=others(me))
            sent = self._send("abort", me, one.row.nonce, one.row.epoch)
        if after != one:
            yield f"{name_of(me)} crashes and starts again", self._id(after), sent

    # --- clients

    def _leases(self, state: State) -> Iterator[tuple[str, State]]:
        """A member binds the address to a client, or renews for the former one; a lease ends."""
        running = state[2]
        for number, epoch in enumerate(running):
            if epoch:
                rest = (*running[:number], 0, *running[number + 1 :])
                ends = state
                for me in MEMBERS:
                    one = self.locals[state[0][me]]
                    if one.leases >> number & 1:
                        after = self._id(one._replace(leases=one.leases & ~(1 << number)))
                        ends = self._moved(ends, me, after, 0)
                yield f"lease {number + 1} ends", (ends[0], ends[1], rest)
        if 0 not in running:
            return
        number = running.index(0)
        for me in MEMBERS:
            one = self.locals[state[0][me]]
            if state[0][me] not in self._serving:
                self._serving[state[0][me]] = self._may_serve(one)
            epoch, how = self._serving[state[0][me]]
            if epoch:
                leases = 1 << number | (one.leases if epoch == one.bound else 0)
                after = self._id(one._replace(bound=epoch, leases=leases))
                runs = (*running[:number], epoch, *running[number + 1 :])
                label = f"{name_of(me)} {how} epoch {epoch}: lease {number + 1}"
                moved = self._moved(state, me, after, 0)
                yield label, (moved[0], moved[1], runs)

    def _may_serve(self, one: Local) -> tuple[int, str]:
        """Under which epoch, 0: not."""
        row = one.row
        if row is not None and row.state is AddressState.BINDABLE and one.bound < row.epoch:
            return (0 if one.leases else row.epoch), "binds the address,"
        withheld = (
            row is not None
            and self.rules.withheld
            and one.bound
            and is_withheld(self._range(row), self._binding(one), NOW)
        )
        return (0 if withheld else one.bound), "renews for the client of"

    # --- what a message does

    def _receive(self, one: Local, message: Message) -> Iterator[Move]:
        arrived = getattr(self, "_on_" + message.kind)(one, message)
        if arrived is not None:
            label, changed, sent = arrived
            where = f"{name_of(message.to)} <- {name_of(message.sender)}: "
            yield where + label, self._id(changed), sent

    def _on_reserve(self, one: Local, m: Message) -> tuple[str, Local, int] | None:
        if m.nonce <= one.floors[m.sender]:
            return None
        if not self._agrees(one, m.sender, m.nonce, m.epoch):
            return None
        row = Row(AddressState.PROMISED, m.sender, m.nonce, m.epoch)
        asks = one.asks and (*one.asks[:2], self.rules.promise_refuses_gift)
        promised = one._replace(row=row, asks=asks) if self.rules.promises else one
        sent = self._messages[Message("yes", m.to, m.sender, m.nonce)]
        return f"reserve {m.nonce}, epoch {m.epoch}: yes", promised, sent

    def _on_yes(self, one: Local, m: Message) -> tuple[str, Local, int] | None:
        if not one.attempt or (self.rules.nonces and m.nonce != one.attempt):
            return None
        agreed = one.agreed | 1 << m.sender
        label = f"yes to {m.nonce}"
        if agreed != others(m.to) and self.rules.all_answers:
            return label, one._replace(agreed=agreed), 0
        ended = one._replace(attempt=0, wants=0, agreed=0)
        if not self._agrees(one, m.to, one.attempt, one.wants, yields=True):
            aborted = ended._replace(waiting=others(m.to))
            sent = self._send("abort", m.to, one.attempt)
            return f"{label}; the poll is void", aborted, sent
        row = Row(AddressState.BINDABLE, m.to, 0, one.wants)
        return f"{label}; the address is BINDABLE, epoch {one.wants}", ended._replace(row=row), 0

    def _on_abort(self, one: Local, m: Message) -> tuple[str, Local, int] | None:
        floors = list(one.floors)
        floors[m.sender] = max(floors[m.sender], m.nonce)
        after = self._without_promise(one, m, m.epoch)._replace(floors=tuple(floors))
        sent = self._messages[Message("gone", m.to, m.sender, m.nonce)]
        return f"abort {m.nonce}", after, sent

    def _on_gone(self, one: Local, m: Message) -> tuple[str, Local, int] | None:
        row = one.row
        polling = row is not None and row.state is AddressState.POLLING and row.nonce == m.nonce
        if not one.waiting & 1 << m.sender or not polling:
            return None
        waiting = one.waiting & ~(1 << m.sender)
        after = one._replace(waiting=waiting, row=row if waiting else None)
        return f"abort {m.nonce} acknowledged", after, 0

    def _on_unwanted(self, one: Local, m: Message) -> tuple[str, Local, int] | None:
        after = self._without_promise(one, m, 0)
        return None if after is one else (f"promise {m.nonce} is not wanted any more", after, 0)

    def _without_promise(self, one: Local, m: Message, epoch: int) -> Local:
        """`agent.sync.ownership.leave`."""
        row = one.row
        if row is None or (row.state, row.member) != (AddressState.PROMISED, m.sender):
            return one
        exact = row.nonce == m.nonce or (0 < row.nonce < m.nonce and row.epoch == epoch)
        older = row.nonce <= m.nonce and not self.rules.ends_exactly
        return one._replace(row=None) if exact or older else one

    # --- what happens between two members at once

    def _meet(self, mine: Local, theirs: Local, me: int, other: int) -> Iterator[Move]:
        """A push carries the record; a later one only more, so it needs no message. The question
        whether a promise is still wanted is answered by what its holder is at that moment."""
        told = self._merged(mine, theirs)
        if told != mine:
            how = "live" if theirs.leases else "ended"
            label = f"{name_of(me)} <- {name_of(other)}: record of epoch {theirs.bound}, {how}"
            yield label, self._id(told), 0
        row = mine.row
        if row is None or (row.state, row.member) != (AddressState.PROMISED, other):
            return
        if self._agrees(theirs, me, 0, row.epoch if self.rules.verify_by_epoch else None):
            sent = self._messages[Message("unwanted", other, me, row.nonce)]
            label = f"{name_of(me)} asks {name_of(other)} whether promise {row.nonce} is wanted"
            yield label, self._id(mine), sent

    @staticmethod
    def _merged(mine: Local, theirs: Local) -> Local:
        """The higher epoch wins (agent/sync/merge.py); of one epoch, the later end."""
        if theirs.bound < mine.bound or not theirs.bound:
            return mine
        leases = theirs.leases | (mine.leases if theirs.bound == mine.bound else 0)
        return mine._replace(bound=theirs.bound, leases=leases)

    # --- the production rules

    def _agrees(
        self, one: Local, asker: int, nonce: int, epoch: int | None, yields: bool = False
    ) -> bool:
        if not self.rules.polling_refuses:
            yields = True
        row = one.row
        if not self.rules.transferring_refuses and row is not None:
            row = None if row.state is AddressState.TRANSFERRING else row
        if not self.rules.no_second_promise and row is not None and row.member == asker:
            nonce = min(nonce, row.nonce)
        question = verdict.Question(
            ADDRESS, ADDRESS, asker + 1, Nonce(1, nonce), NOW, yields, epoch
        )
        ranges = [self._range(row)] if row else []
        bindings = [self._binding(one)] if one.bound else []
        return verdict.judge(question, ranges, bindings)[0].agreed

    @staticmethod
    def _range(row: Row) -> AddressRange:
        nonce = Nonce(1, row.nonce)
        return AddressRange(ADDRESS, ADDRESS, row.state, row.epoch, row.member + 1, nonce, 1)

    @staticmethod
    def _binding(one: Local) -> Binding:
        end = NOW + 1_000 if one.leases else 0
        return Binding(
            ADDRESS, b"", None, 1, b"", "", BindingState.BOUND, one.bound, 1, end, end, 0,
            Transaction.SELECTING, 0, 1, b"",
        )  # fmt: skip

    # --- numbers for values

    def _moved(self, state: State, me: int, changed: int, sent: int) -> State:
        """Messages that can have no effect any more are forgotten."""
        a, b, c = state[0]
        if me == 0:
            a = changed
        elif me == 1:
            b = changed
        else:
            c = changed
        gone = self._spent[a, 0] | self._spent[b, 1] | self._spent[c, 2]
        return (a, b, c), (state[1] | sent) & ~gone, state[2]

    def _id(self, one: Local) -> int:
        found = self._ids.get(one)
        if found is None:
            found = self._ids[one] = len(self.locals)
            self.locals.append(one)
            for me in MEMBERS:
                self._spent[found, me] = self._spent_at(one, me)
        return found

    def _spent_at(self, one: Local, me: int) -> int:
        """An attempt, once over, is never under way again, nor is its abort."""
        polling = one.row is not None and one.row.state is AddressState.POLLING
        nonce = one.row.nonce if one.row is not None and polling else 0
        spent = 0
        for message, bit in self._messages.items():
            if message.to == me and (
                (message.kind == "yes" and self.rules.nonces and message.nonce != one.attempt)
                or (message.kind == "gone" and message.nonce != nonce)
            ):
                spent |= bit
        return spent

    def _send(self, kind: str, sender: int, nonce: int, epoch: int = 0) -> int:
        """To both others."""
        messages = self._messages
        return sum(
            messages[Message(kind, sender, to, nonce, epoch)] for to in MEMBERS if to != sender
        )

    def _universe(self) -> Iterator[Message]:
        """Every message that may ever be sent."""
        for sender, to, nonce in self._pairs():
            for epoch in range(1, self.rules.epochs + 1):
                yield Message("reserve", sender, to, nonce, epoch)
                yield Message("abort", sender, to, nonce, epoch)
            for kind in ("yes", "abort", "gone", "unwanted"):
                yield Message(kind, sender, to, nonce)

    def _pairs(self) -> Iterator[tuple[int, int, int]]:
        for sender in MEMBERS:
            for to in MEMBERS:
                for nonce in range(1, self.attempts + 1) if to != sender else ():
                    yield sender, to, nonce
