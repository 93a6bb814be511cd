"""Orders about members, given to a pool: read before they are repeated, forced ones never."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from agent.errors import ConfigError
from agent.model import MemberState
from agent.snmp.columns import Column, Scalar, Table
from agent.snmp.oid import Oid
from tools.credentials import Credentials
from tools.errors import ManagerError
from tools.manager import Assignment, Row, Session, Value
from tools.members import remove
from tools.pool import Element, Policy, Pool, PoolTarget
from tools.target import Target

T = TypeVar("T")
USER = Credentials("operator", "operator", "a" * 8, "b" * 8)


@dataclass
class Group:
    """Two members; the first takes a SET and is not heard of again."""

    state: int = MemberState.ACTIVE
    sets: list[str] = field(default_factory=list)
    takes: bool = True


class Virtual:
    def __init__(self, group: Group, address: str) -> None:
        self._group, self._address = group, address

    def get(self, objects: Sequence[Scalar]) -> list[Value | None]:
        return [None for _ in objects]

    def set(self, assignments: Iterable[Assignment]) -> None:
        assert list(assignments)
        self._group.sets.append(self._address)
        if self._group.takes:
            self._group.state = MemberState.REMOVED
        if self._address.endswith(".1"):
            raise ManagerError(f"{self._address}: no answer", "requestTimedOut")

    def table(self, table: Table) -> dict[Oid, Row]:
        rows: dict[Oid, Row] = {}
        for number, state in ((1, 1), (2, 1), (3, self._group.state)):
            address = bytes((198, 18, 0, number))
            name = f"m{number}".encode()
            rows[number,] = {"Name": name, "Address": address, "Port": 161, "State": state}
        return rows

    def row(self, table: Table, index: Oid) -> Row:
        raise NotImplementedError

    def below(self, column: Column, index: Oid, limit: int) -> dict[Oid, Value]:
        raise NotImplementedError

    def close(self) -> None:
        return None


class VirtualPlace:
    """A pool on the virtual transport, as a command is given one."""

    def __init__(self, group: Group) -> None:
        self._pool = Pool(
            [Element("198.18.0.1"), Element("198.18.0.2")],
            lambda one: Virtual(group, one.address),
            clock=lambda: 0.0,
        )

    def run(self, work: Callable[[Session], T]) -> T:
        return self._pool.run(work)

    def at(self, address: str, port: int) -> Target:
        return Target(address, port, USER)

    def with_patience(self, timeout_s: float) -> VirtualPlace:
        return self


def test_a_removal_that_was_done_is_not_done_again() -> None:
    group = Group()
    remove(VirtualPlace(group), "m3", keeps_seat=False, force=False)
    assert group.sets == ["198.18.0.1"]


def test_a_removal_that_was_lost_is_repeated() -> None:
    group = Group(takes=False)
    remove(VirtualPlace(group), "3", keeps_seat=False, force=False)
    assert group.sets == ["198.18.0.1", "198.18.0.2"]


def test_a_forced_order_is_for_one_member() -> None:
    place = PoolTarget([Element("198.18.0.1")], USER, Policy.RANDOM)
    with pytest.raises(ConfigError, match="--force: is given to a pool; name the one member"):
        remove(place, "m3", keeps_seat=False, force=True)
