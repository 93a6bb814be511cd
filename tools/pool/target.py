"""`dhcpsync --pool`: a pool where a command otherwise takes one member."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from random import SystemRandom
from typing import TypeVar

from agent.errors import ConfigError
from agent.limits import MEMBERS_MAX
from tools.credentials import Credentials
from tools.manager import Manager, Session
from tools.pool.policy import Element, Policy
from tools.pool.pool import Failover, Pool
from tools.target import Target, parse_endpoint

T = TypeVar("T")

_TIMEOUT_S = 1.0
_RETRIES = 1
"""Two tries of a second each, and then the next member: a person waits for it."""


def snmp_opener(
    user: Credentials,
    *,
    timeout_s: float = _TIMEOUT_S,
    retries: int = _RETRIES,
    enter: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Callable[[Element], Manager]:
    """Sessions over SNMPv3 as `user`; `enter` surrounds the making of sockets."""

    def opened(element: Element) -> Manager:
        with enter():
            return Manager(
                element.address, element.port, user, timeout_s=timeout_s, retries=retries
            )

    return opened


def parse_pool(text: str) -> list[Element]:
    """`198.18.0.1,198.18.0.2:1161,cluster.example.org`: a name stands for all its addresses."""
    elements: list[Element] = []
    for word in text.replace(",", " ").split():
        elements += [one for one in _named(word) if one not in elements]
    if not elements:
        raise ConfigError("--pool", "", "names no member", "such as 198.18.0.1,198.18.0.2")
    if len(elements) > MEMBERS_MAX:
        raise ConfigError("--pool", "", f"names {len(elements)}", f"at most {MEMBERS_MAX}")
    return elements


def _named(word: str) -> list[Element]:
    host, colon, port = word.partition(":")
    if host.replace(".", "").isdigit():
        return [Element(*parse_endpoint("--pool", word))]
    _, number = parse_endpoint("--pool", f"0.0.0.0{colon}{port}")
    try:
        found = socket.getaddrinfo(host, number, socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as error:
        raise ConfigError("--pool", "", f"{host!r} is no address and no name: {error}") from None
    return [Element(str(address[0]), number) for *_, address in found]


@dataclass(frozen=True, slots=True)
class PoolOption:
    """What --pool and --policy said, before it is known as whom to speak."""

    members: str
    policy: Policy

    def target(
        self, user: Credentials, *, timeout_s: float = _TIMEOUT_S, retries: int = _RETRIES
    ) -> PoolTarget:
        known = parse_pool(self.members)
        return PoolTarget(known, user, self.policy, timeout_s=timeout_s, retries=retries)


@dataclass(frozen=True, slots=True)
class PoolTarget:
    """Runs a command's work at a member of the pool, and again at another if it must."""

    known: Sequence[Element]
    user: Credentials
    policy: Policy
    say: Callable[[str], object] = sys.stderr.write
    timeout_s: float = _TIMEOUT_S
    retries: int = _RETRIES

    def run(self, work: Callable[[Session], T]) -> T:
        """`work` may run more than once (`tools.pool.pool`)."""
        pool = Pool(
            self.known,
            snmp_opener(self.user, timeout_s=self.timeout_s, retries=self.retries),
            policy=self.policy,
            random=SystemRandom(),
            on_failover=self._tell,
        )
        return pool.run(work)

    def at(self, address: str, port: int) -> Target:
        return Target(address, port, self.user)

    def with_patience(self, timeout_s: float) -> PoolTarget:
        return replace(self, timeout_s=timeout_s, retries=0)

    def _tell(self, one: Failover) -> None:
        self.say(f"dhcpsync: {one.old} is not used ({one.why}); going on with {one.new}\n")
