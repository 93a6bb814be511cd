"""A member whose address changes: the group looks for it where it has decided, and a member that
listens elsewhere is as one that is cut off until the two agree (agent/sync/place.py)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from random import Random

import pytest

from agent.errors import PeerError
from agent.model import Group, Member, MemberId
from agent.sync import messages as m
from agent.sync.change import Expel, Readdress, Reweigh
from agent.sync.node import Node
from agent.sync.start import LastLife, begin_start
from store import Store
from tests.sync.lan import POOL_FIRST, TIMEOUT_MS, Lan, make_binding, make_group, make_member

NEW = make_member(99).address


class Places(Lan):
    """What is sent to an address arrives where a member listens there, or nowhere."""

    def __init__(self, members: int, pool_size: int = 0) -> None:
        numbers = range(1, members + 1)
        self.listens = {n: (make_member(n).address, make_member(n).port) for n in numbers}
        super().__init__(numbers, make_group(numbers), pool_size)

    def restart(self, member: MemberId) -> None:
        super().restart(member)
        listens = self.listens.setdefault(member, (make_member(member).address, 161))
        self.nodes[member] = Node(member, Random(member), self.settings, listens_at=listens)

    def exchange(self, sender: MemberId, to: MemberId, request: m.Request) -> None:
        one = self.group(sender).member(to)
        if one is not None and (one.address, one.port) == self.listens[to]:
            super().exchange(sender, to, request)
        else:
            self._later(TIMEOUT_MS, sender, lambda: self.respond(sender, to, request, None))

    def move(self, member: MemberId, address: int = NEW, port: int = 161) -> None:
        """The machine is moved, and started again."""
        self.listens[member] = (address, port)
        self.start(member)

    def start(self, member: MemberId) -> None:
        """As agent/standing.py starts it."""
        with self.stores[member].write() as tx:
            begin_start(tx, self.now_s, LastLife(ran_at=self.now_s))
        self.restart(member)

    def set_back(self, member: MemberId, copy: bytes) -> None:
        self.stores[member] = Store.from_snapshot(copy)
        self.start(member)

    def group(self, member: MemberId) -> Group:
        with self.stores[member].read() as tx:
            group = tx.group()
        assert group is not None
        return group

    def known(self, member: MemberId, of: MemberId) -> Member:
        one = self.group(member).member(of)
        assert one is not None
        return one

    def order(self, at: MemberId, change: Readdress | Expel | Reweigh, force: bool = False) -> None:
        with self.stores[at].write() as tx:
            self.nodes[at].propose(tx, change, "operator", force, self.clock(at))
        self.flush(at)

    def wish(self, at: MemberId, change: Readdress) -> None:
        """As `order`, of one that may not decide anything just now."""
        with contextlib.suppress(PeerError):
            self.order(at, change)

    def all_know(self, of: MemberId, address: int = NEW) -> bool:
        return all(self.known(one, of).address == address for one in self.stores)

    def hellos(self, sender: MemberId) -> int:
        return sum(s == sender and isinstance(r, m.Hello) for s, _, r, _ in self.log)

    def agree(self) -> bool:
        rows = [self.told(member) for member in self.stores]
        return all(one == rows[0] for one in rows)


def started(members: int) -> Places:
    lan = Places(members, pool_size=200)
    lan.run(5_000)
    lan.save(2, [make_binding(POOL_FIRST + i, lan.now_s, 2) for i in range(5)])
    lan.run(2_000)
    assert lan.agree()
    return lan


def link(lan: Places, at: MemberId, to: MemberId) -> str:
    return next(one.link.name for one in lan.nodes[at].peer_status() if one.member == to)


def test_a_member_that_moved_before_anybody_was_told_is_silent_and_says_why() -> None:
    lan = started(3)
    lan.move(2)
    before = lan.hellos(2)
    lan.save(1, [make_binding(POOL_FIRST + 50, lan.now_s)])
    lan.run(10_000)
    assert lan.hellos(2) == before, "it does not look as if it were reached"
    assert not lan.serving(2), "what it gave would not arrive"
    assert link(lan, 1, 2) == "WAITING"
    words = lan.nodes[2].take_alarms()
    assert len(words) == 1
    assert "dhcpsync member readdress m2 198.18.0.99:161 --address A" in words[0]
    assert "198.18.0.2:161" in words[0]
    lan.order(1, Readdress(2, NEW))
    assert lan.run(10_000, until=lambda: lan.all_know(2)) < 5_000
    lan.run(5_000)
    assert lan.agree()
    assert link(lan, 1, 2) == link(lan, 2, 1) == "BIDIRECTIONAL"
    assert lan.nodes[2].take_alarms() == []


def test_a_member_that_is_moved_after_the_decision() -> None:
    """From then on it is looked for elsewhere; what it gives meanwhile arrives when it is there."""
    lan = started(3)
    lan.order(1, Readdress(2, NEW, 1161))
    lan.run(5_000)
    assert lan.all_know(2)
    lan.save(2, [make_binding(POOL_FIRST + 60, lan.now_s, 2)])
    lan.run(3_000)
    assert not lan.agree()
    lan.move(2, port=1161)
    lan.run(8_000)
    assert lan.agree()


@pytest.mark.parametrize("at", [1, 2])
def test_of_two_members_the_one_that_moved_is_readdressed_by_force(at: MemberId) -> None:
    """Neither is a majority: the other is reached by nobody."""
    lan = started(2)
    lan.move(2)
    lan.run(10_000)
    with pytest.raises(PeerError):
        lan.order(
            2, Reweigh(2, 3)
        )  # it may have forgotten a vote, and nobody has told it otherwise
    lan.order(at, Readdress(2, NEW), force=True)
    lan.run(8_000)
    assert lan.all_know(2)
    assert lan.group(1) == lan.group(2)
    lan.save(1, [make_binding(POOL_FIRST + 50, lan.now_s)])
    lan.run(3_000)
    assert lan.agree()
    with lan.stores[2].read() as tx:
        assert not tx.local().recovery, "nothing of it was lost"


def test_without_force_two_members_do_not_decide_it() -> None:
    lan = started(2)
    lan.move(2)
    lan.run(5_000)
    lan.order(1, Readdress(2, NEW))
    lan.run(70_000)
    assert lan.known(1, 2).address == make_member(2).address
    with lan.stores[1].read() as tx:
        (told,) = tx.audit_after(0, 10)
    assert told.action == "undecided"
    assert "1 of 2 members are no majority" in told.detail


def test_who_is_alone_decides_it_alone() -> None:
    lan = Places(1)
    lan.run(3_000)
    lan.move(1)
    lan.run(6_000)
    lan.order(1, Readdress(1, NEW))
    lan.run(1_000)
    assert lan.all_know(1)
    assert lan.serving(1)


def test_an_address_is_taken_back_while_the_member_is_looked_for_there() -> None:
    lan = started(3)
    lan.order(1, Readdress(2, NEW))
    lan.run(4_000)
    lan.order(3, Readdress(2, make_member(2).address))
    lan.run(6_000)
    assert lan.all_know(2, make_member(2).address)
    assert link(lan, 1, 2) == "BIDIRECTIONAL"


def test_a_member_that_is_down_and_has_moved_returns_by_itself() -> None:
    lan = started(3)
    lan.passes = lambda sender, to, _: 2 not in (sender, to)
    lan.run(5_000)
    lan.order(1, Expel(2, keeps_seat=True))
    lan.run(5_000)
    lan.order(3, Readdress(2, NEW))
    lan.run(3_000)
    lan.heal()
    lan.move(2)
    lan.run(20_000)
    assert lan.known(1, 2).is_current
    assert lan.all_know(2)
    assert link(lan, 1, 2) == "BIDIRECTIONAL"


@pytest.mark.parametrize("seed", range(6))
def test_cuts_and_crashes_while_addresses_change_end_with_one_group(seed: int) -> None:
    """Two members are readdressed at two others, and move before, between or after; everybody may
    crash or be cut off meanwhile, and one is set back at the end. The latest generation wins."""
    random = Random(seed)
    lan = started(5)
    copies = [(one, lan.stores[one].snapshot()) for one in (1, 3, 5)]
    moves: list[Callable[[], None]] = [
        lambda: lan.move(2),
        lambda: lan.wish(1, Readdress(2, NEW)),
        lambda: lan.wish(3, Readdress(4, port=1161)),
        lambda: lan.move(4, make_member(4).address, 1161),
    ]
    random.shuffle(moves)
    for act in moves:
        act()
        lan.cut(random.randrange(1, 6))
        lan.run(random.randrange(4_000))
        lan.heal()
        lan.start(random.randrange(1, 6))
        lan.run(random.randrange(9_000))
    for at, change in ((3, Readdress(2, NEW)), (1, Readdress(4, port=1161))):
        lan.run(10_000)
        # Where the first word was lost: started members do not vote before all have spoken.
        lan.order(at, change, force=True)
    lan.run(20_000)
    lan.set_back(*random.choice(copies))
    lan.run(60_000)
    assert lan.all_know(2)
    assert {lan.known(one, 4).port for one in lan.stores} == {1161}
    assert len({lan.group(one) for one in lan.stores}) == 1
    assert lan.agree()
    assert {link(lan, one, two) for one in (1, 3, 5) for two in (2, 4)} == {"BIDIRECTIONAL"}
