"""Former servers: networks that another server has served until now, and how long its leases may
run. No configuration that somebody wants, but a state that ends by itself; so it is not in the file
of `dhcpsync apply`, and an older file does not end it. See docs/operations.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from agent.kinds.kind import ChangeKind, Field, declare
from agent.kinds.values import Address, Instant, Number, host_bits
from agent.limits import FORMER_LEASE_MAX_S


@dataclass(frozen=True, slots=True)
class FormerServer:
    """Leases that another server gave in this prefix may run until `until`, and no member has a
    record of them. 0.0.0.0/0 is every network that the group serves; the longest prefix wins."""

    network: Annotated[
        int, Field(Address(), "the first address of its prefix", key="", column="Network")
    ]
    prefix_length: Annotated[
        int, Field(Number(1, 0, 32), "the length of the prefix", key="/", column="PrefixLength")
    ]
    until: Annotated[
        int,
        Field(Instant(FORMER_LEASE_MAX_S), "when its last lease is over", column="TimeLeft", arc=3),
    ] = 0
    active: bool = True

    @property
    def first(self) -> int:
        return self.network

    @property
    def last(self) -> int:
        return self.network | (0xFFFF_FFFF >> self.prefix_length)


FORMER_SERVER = declare(
    FormerServer,
    ChangeKind.FORMER_SERVER,
    "former_server",
    table=6,
    status_arc=5,
    checks={
        "prefix": ("network", "prefix_length"),
        "host_bits": "(network & (4294967295 >> prefix_length)) = 0",
        "until": ("until",),
    },
    problem=lambda row: host_bits(row.network, row.prefix_length),
    in_file=False,
)
