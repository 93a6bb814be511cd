"""Scopes: to whom an option applies, from everybody to one client.

A scope is a level and a name, both readable: `subnet 198.18.0.0/15`. What a more specific one says
takes the place of what a wider one says; `PRECEDENCE` is the one table of that
(docs/configuration.md, "Scopes").
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from agent.addresses import format_address, parse_address


class ScopeLevel(enum.IntEnum):
    """What a scope is: everybody, the subnets of a shared network, a subnet, a pool, the client of
    a reservation."""

    GLOBAL = 1
    SHARED_NETWORK = 2
    SUBNET = 3
    POOL = 4
    HOST = 5


PRECEDENCE = (
    ScopeLevel.GLOBAL,
    ScopeLevel.SHARED_NETWORK,
    ScopeLevel.SUBNET,
    ScopeLevel.POOL,
    ScopeLevel.HOST,
)
"""From the widest to the most specific one."""


class Scope(NamedTuple):
    """`name` is what those of the level are known by: nothing, a name, a prefix, a range, the
    address of a reservation; each written in one way only, so that equal scopes have equal names.
    """

    level: ScopeLevel
    name: str

    def __str__(self) -> str:
        return f"{self.level.name.lower().replace('_', '-')} {self.name}".rstrip()


GLOBAL = Scope(ScopeLevel.GLOBAL, "")


def network_scope(name: str) -> Scope:
    return Scope(ScopeLevel.SHARED_NETWORK, name)


def subnet_scope(network: int, prefix_length: int) -> Scope:
    return Scope(ScopeLevel.SUBNET, f"{format_address(network)}/{prefix_length}")


def pool_scope(first: int, last: int) -> Scope:
    return Scope(ScopeLevel.POOL, f"{format_address(first)}-{format_address(last)}")


def host_scope(address: int) -> Scope:
    return Scope(ScopeLevel.HOST, format_address(address))


def scope_address(scope: Scope) -> int | None:
    """The first address of what a scope names by addresses."""
    if scope.level in (ScopeLevel.GLOBAL, ScopeLevel.SHARED_NETWORK):
        return None
    return parse_address(scope.name.partition("/")[0].partition("-")[0])


def scope_problem(scope: Scope) -> str:
    """What is wrong with the name of a scope, or ""."""
    try:
        right = _canonical(*scope)
    except ValueError:
        return f"{scope.name!r} names no {Scope(scope.level, '')}"
    return "" if right == scope.name else f"{scope.name!r} is written {right!r}"


def _canonical(level: ScopeLevel, name: str) -> str:
    if level is ScopeLevel.GLOBAL:
        return ""
    if level is ScopeLevel.SHARED_NETWORK:
        if not name:
            raise ValueError("a shared network has a name")
        return name
    if level is ScopeLevel.SUBNET:
        network, _, length = name.partition("/")
        return subnet_scope(parse_address(network), int(length)).name
    if level is ScopeLevel.POOL:
        first, _, last = name.partition("-")
        return pool_scope(parse_address(first), parse_address(last)).name
    return host_scope(parse_address(name)).name
