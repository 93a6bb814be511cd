"""The pool library on a virtual transport: policies, failing over, what is done again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

import pytest

from agent.errors import ConfigError
from agent.model import MemberState, parse_address
from agent.snmp.columns import MEMBER, SERVER, Column, Scalar, Table
from agent.snmp.oid import Oid
from tools.errors import ManagerError
from tools.manager import Assignment, Row, Session, Value
from tools.place import find_contact, find_place
from tools.pool import (
    Chooser,
    Element,
    Failover,
    Limits,
    Policy,
    Pool,
    PoolError,
    UncertainError,
    parse_pool,
)
from tools.pool.target import PoolOption

NAME = SERVER["dhcpSyncServerName"]


def address_of(member: int) -> str:
    return f"198.18.0.{member}"


def element(member: int, weight: int = 1) -> Element:
    return Element(address_of(member), 161, member, f"m{member}", weight)


@dataclass
class World:
    """Members that are there, and those that are not. `messages` counts DHCP messages a second."""

    rows: dict[Oid, Row] = field(default_factory=dict)
    down: dict[str, str] = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    sets: list[str] = field(default_factory=list)
    now: float = 1000.0
    lost_answers: int = 0
    failovers: list[tuple[str, str, str]] = field(default_factory=list)
    on_takeover: Callable[[Session], object] | None = None

    def enter(self, member: int, weight: int = 1, state: int = MemberState.ACTIVE) -> None:
        self.rows[member,] = {
            "Name": f"m{member}".encode(),
            "Address": parse_address(address_of(member)).to_bytes(4, "big"),
            "Port": 161,
            "Weight": weight,
            "State": state,
        }

    def open(self, one: Element) -> VirtualSession:
        return VirtualSession(self, one.address)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def called_back(self, one: Failover) -> None:
        self.failovers.append((one.old.address, one.new.address, one.why))
        if self.on_takeover is not None:
            self.on_takeover(one.session)

    def pool(self, *known: int, policy: Policy = Policy.ROUND_ROBIN) -> Pool:
        return Pool(
            [Element(address_of(member)) for member in known],
            self.open,
            policy=policy,
            random=Random(7),
            clock=lambda: self.now,
            sleep=self.sleep,
            on_failover=self.called_back,
            limits=Limits(suspect_s=30, sample_s=1),
        )


class VirtualSession:
    def __init__(self, world: World, address: str) -> None:
        self._world = world
        self._address = address

    def _meet(self) -> None:
        self._world.asked.append(self._address)
        if status := self._world.down.get(self._address):
            raise ManagerError(f"{self._address}: {status}", status)

    def get(self, objects: Sequence[Scalar]) -> list[Value | None]:
        self._meet()
        if list(objects) == [NAME]:
            return [self._address.encode()]
        rate = self._world.messages.get(self._address, 0)
        return [int(rate * self._world.now), 0]

    def set(self, assignments: Iterable[Assignment]) -> None:
        self._meet()
        self._world.sets.append(self._address)
        if self._world.lost_answers:
            self._world.lost_answers -= 1
            raise ManagerError(f"{self._address}: no answer", "requestTimedOut")

    def table(self, table: Table) -> dict[Oid, Row]:
        assert table is MEMBER
        self._meet()
        return self._world.rows

    def row(self, table: Table, index: Oid) -> Row:
        raise NotImplementedError

    def below(self, column: Column, index: Oid, limit: int) -> dict[Oid, Value]:
        raise NotImplementedError

    def close(self) -> None:
        return None


@pytest.fixture
def world() -> World:
    made = World()
    for member in (1, 2, 3):
        made.enter(member)
    return made


def name(session: Session) -> str:
    (value,) = session.get([NAME])
    assert isinstance(value, bytes)
    return value.decode()


def write(session: Session) -> str:
    session.set([])
    return "done"


# --- resolving


def test_any_known_member_resolves_the_whole_pool(world: World) -> None:
    world.enter(4, state=MemberState.JOINING)
    world.enter(5, state=MemberState.REMOVED)
    world.enter(6, state=MemberState.DOWN)
    pool = world.pool(2)
    assert [one.member for one in pool.resolve()] == [1, 2, 3]
    assert str(pool.elements[0]) == "m1 (198.18.0.1)"


def test_who_joins_and_leaves_is_known_at_the_next_resolution(world: World) -> None:
    pool = world.pool(1)
    pool.resolve()
    world.enter(4)
    del world.rows[2,]
    assert [one.member for one in pool.resolve()] == [1, 3, 4]


def test_resolution_goes_on_to_the_next_known_member(world: World) -> None:
    world.down = {address_of(1): "requestTimedOut"}
    pool = world.pool(1, 3)
    assert len(pool.resolve()) == 3
    assert [one.member for one in pool.suspects] == [1]


def test_nobody_answers(world: World) -> None:
    world.down = dict.fromkeys(map(address_of, (1, 2, 3)), "requestTimedOut")
    with pytest.raises(PoolError, match=r"no member of the pool answers: 198\.18\.0\.1: .*; 198"):
        world.pool(1, 2).run(name)


def test_a_pool_needs_a_member() -> None:
    with pytest.raises(PoolError, match="at least one known member"):
        World().pool()


def test_a_member_without_a_group_is_no_way_in(world: World) -> None:
    world.rows.clear()
    with pytest.raises(PoolError, match=r"198\.18\.0\.1 lists no active member"):
        world.pool(1).run(name)


# --- policies


def run_many(pool: Pool, times: int) -> Counter[str]:
    return Counter(pool.run(name) for _ in range(times))


def test_round_robin_takes_turns(world: World) -> None:
    pool = world.pool(1)
    taken = [pool.run(name)[-1] for _ in range(7)]
    assert taken == list("1231231")


def test_weighted_turns_are_in_proportion_and_spread() -> None:
    chooser = Chooser(Policy.WEIGHTED, Random(1))
    elements = [element(1, 3), element(2, 1), element(3, 0)]
    taken = [chooser.order(elements)[0].member for _ in range(8)]
    assert Counter(taken) == {1: 6, 2: 2}
    assert taken[:4] == [1, 1, 2, 1] or taken[:4] == [1, 2, 1, 1]
    assert chooser.order(elements)[-1].member == 3, "weight 0 only comes when nobody is left"
    assert [e.member for e in chooser.order([element(3, 0)])] == [3]


def test_random_is_even_and_repeatable(world: World) -> None:
    counts = run_many(world.pool(1, policy=Policy.RANDOM), 300)
    assert counts == run_many(world.pool(1, policy=Policy.RANDOM), 300)
    assert all(70 < count < 130 for count in counts.values())


def test_least_used_is_who_hears_the_fewest_dhcp_messages(world: World) -> None:
    world.messages = {address_of(1): 500, address_of(2): 20, address_of(3): 90}
    pool = world.pool(1, policy=Policy.LEAST_USED)
    assert pool.run(name) == address_of(2)
    world.messages[address_of(2)] = 2000
    world.now += 10
    assert pool.run(name) == address_of(3)


def test_equals_in_use_take_turns(world: World) -> None:
    pool = world.pool(1, policy=Policy.LEAST_USED)
    taken = []
    for _ in range(3):
        taken.append(pool.run(name)[-1])
        world.now += 1
    assert taken == ["1", "2", "3"]


def test_a_member_whose_use_is_not_known_comes_last(world: World) -> None:
    world.messages = dict.fromkeys(map(address_of, (1, 2)), 100)
    world.down = {address_of(3): "requestTimedOut"}
    assert world.pool(1, policy=Policy.LEAST_USED).run(name) == address_of(1)
    assert world.failovers == []


# --- failing over


def test_it_fails_over_by_itself_and_calls_back(world: World) -> None:
    pool = world.pool(1)
    pool.resolve()
    world.down = {address_of(1): "requestTimedOut"}
    assert pool.run(name) == address_of(2)
    assert world.failovers == [(address_of(1), address_of(2), "198.18.0.1: requestTimedOut")]
    assert [pool.run(name) for _ in range(3)].count(address_of(1)) == 0, "it is suspect"
    world.down.clear()
    world.now += 31
    assert address_of(1) in [pool.run(name) for _ in range(3)]


def test_who_is_called_back_may_speak_to_the_new_one(world: World) -> None:
    pool, told = world.pool(1), []
    pool.resolve()
    world.down = {address_of(1): "requestTimedOut"}
    world.on_takeover = lambda session: told.append(name(session))
    assert pool.run(name) == address_of(2)
    assert told == [address_of(2)]


def test_one_that_fails_while_it_is_told_is_passed_over(world: World) -> None:
    pool = world.pool(1)
    pool.resolve()
    world.down = {address_of(1): "requestTimedOut"}

    def die(session: Session) -> None:
        world.down[address_of(2)] = "requestTimedOut"
        world.on_takeover = None
        name(session)

    world.on_takeover = die
    assert pool.run(name) == address_of(3)
    assert [new for _, new, _ in world.failovers] == [address_of(2), address_of(3)]


def test_the_element_that_answered_is_told(world: World) -> None:
    assert world.pool(1).answered is None
    pool = world.pool(1)
    pool.resolve()
    world.down = {address_of(1): "requestTimedOut"}
    assert pool.run(name) == address_of(2)
    assert pool.answered is not None
    assert (pool.answered.member, pool.answered.address) == (2, address_of(2))
    world.down = {address_of(member): "requestTimedOut" for member in (1, 2, 3)}
    with pytest.raises(PoolError):
        pool.run(name)
    assert pool.answered.member == 2, "nobody has answered since"


def test_an_application_with_a_protocol_of_its_own_is_told_whom_to_ask(world: World) -> None:
    pool = world.pool(1)
    first = pool.primary()
    assert (first.member, first.address) == (1, address_of(1))
    assert pool.primary().member == 2, "by turns"
    world.down = {address_of(3): "requestTimedOut"}
    other = pool.next_after(pool.elements[1])
    assert (other.member, other.name) == (1, "m1"), "3 was asked, and did not answer"
    assert {one.member for one in pool.suspects} == {2, 3}
    world.down[address_of(1)] = "requestTimedOut"
    world.down[address_of(2)] = "requestTimedOut"
    with pytest.raises(PoolError, match=r"no other member.*198\.18\.0\.2"):
        pool.next_after(other)


def test_two_members_down_are_two_tries(world: World) -> None:
    pool = world.pool(1)
    pool.resolve()
    world.down = {address_of(1): "requestTimedOut", address_of(2): "notInTimeWindow"}
    assert pool.run(name) == address_of(3)
    assert [old for old, _, _ in world.failovers] == [address_of(1)]


def test_the_list_is_read_anew_at_the_member_that_it_went_to(world: World) -> None:
    pool = world.pool(1)
    pool.resolve()
    world.enter(4)
    for member in (1, 2, 3):
        del world.rows[member,]
    world.down = {address_of(1): "requestTimedOut"}
    with_old = pool.run(name)
    assert with_old == address_of(2), "it answered: good enough for this request"
    assert [one.member for one in pool.elements] == [4]
    assert pool.run(name) == address_of(4)


def test_all_gone_is_an_error_that_names_each(world: World) -> None:
    pool = world.pool(1)
    pool.resolve()
    world.down = dict.fromkeys(map(address_of, (1, 2, 3)), "requestTimedOut")
    with pytest.raises(PoolError) as caught:
        pool.run(name)
    for member in (1, 2, 3):
        assert address_of(member) in str(caught.value)
    assert len(world.asked) <= 2 + 3, "a bounded number of questions"


def test_a_refusal_is_an_answer(world: World) -> None:
    pool = world.pool(1)
    pool.resolve()
    world.down = {address_of(1): "authorizationError"}
    with pytest.raises(ManagerError, match="authorizationError"):
        pool.run(name)
    assert world.failovers == []
    assert pool.suspects == []


# --- what may be done twice


def test_work_that_may_run_twice_is_repeated_elsewhere(world: World) -> None:
    world.lost_answers = 1
    assert world.pool(1).run(write) == "done"
    assert world.sets == [address_of(1), address_of(2)]


def test_a_set_that_must_not_be_repeated_is_left_to_the_caller(world: World) -> None:
    world.lost_answers = 1
    with pytest.raises(UncertainError, match=r"m1 .* may or may not have done it") as caught:
        world.pool(1).run(write, once=True)
    assert caught.value.element.member == 1
    assert world.sets == [address_of(1)]


@pytest.mark.parametrize(("was_done", "sets"), [(True, 1), (False, 2)])
def test_it_is_read_back_where_that_can_tell(world: World, was_done: bool, sets: int) -> None:
    def confirm(session: Session) -> str | None:
        name(session)
        return "was done" if was_done else None

    world.lost_answers = 1
    result = world.pool(1).run(write, once=True, confirm=confirm)
    assert result == ("was done" if was_done else "done")
    assert len(world.sets) == sets


def test_nobody_is_left_to_read_it_back(world: World) -> None:
    world.lost_answers = 1
    pool = world.pool(1)
    pool.resolve()
    world.down = dict.fromkeys(map(address_of, (2, 3)), "requestTimedOut")
    with pytest.raises(UncertainError, match="may or may not"):
        pool.run(write, once=True, confirm=lambda _session: "was done")


def test_a_member_that_cannot_commit_has_done_nothing(world: World) -> None:
    pool = world.pool(1)
    pool.resolve()
    world.down = {address_of(1): "resourceUnavailable"}
    assert pool.run(write, once=True) == "done"
    assert world.sets == [address_of(2)]


# --- the command's options


def test_the_option_takes_addresses_ports_and_names() -> None:
    assert parse_pool("198.18.0.1, 198.18.0.2:1161 198.18.0.1") == [
        Element("198.18.0.1"),
        Element("198.18.0.2", 1161),
    ]
    assert parse_pool("localhost:1161") == [Element("127.0.0.1", 1161)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" , ", "--pool: names no member; such as 198"),
        ("198.18.0", "is no IPv4 address"),
        ("198.18.0.1:x", "is no UDP port"),
        ("no.such.name.invalid", "is no address and no name"),
        (",".join(f"198.18.0.{n}" for n in range(17)), "names 17; at most 16"),
    ],
)
def test_a_bad_option_is_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_pool(text)


@pytest.mark.parametrize(
    ("find", "words"),
    [
        (lambda: find_place(("198.18.0.1", "random"), None, "198.18.0.2", None, "monitor"), "both"),
        (lambda: find_place(("198.18.0.1", "random"), None, None, None, "monitor"), "credentials"),
        (lambda: find_contact(("198.18.0.1", "random"), "198.18.0.2"), "both given"),
        (lambda: find_contact(None, None), "--contact: is missing"),
    ],
)
def test_options_that_do_not_go_together(find: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        find()


def test_a_pool_may_be_the_contact() -> None:
    assert find_contact(("198.18.0.1", "random"), None) == PoolOption("198.18.0.1", Policy.RANDOM)
