"""Pools: the addresses that the group gives to whoever asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from agent.kinds.kind import ChangeKind, Field, declare
from agent.kinds.values import Address, Text
from agent.limits import NAME_OCTETS_MAX


@dataclass(frozen=True, slots=True)
class Pool:
    """Addresses first..last that the group may give to any client of the enclosing subnet."""

    first: Annotated[int, Field(Address(), "its lowest address", key="", column="First")]
    last: Annotated[int, Field(Address(), "its highest address", key="-", column="Last")]
    name: Annotated[
        str,
        Field(Text(NAME_OCTETS_MAX), "what people call it", column="Name", arc=3, toml="name"),
    ] = ""
    active: bool = True

    def __contains__(self, address: int) -> bool:
        return self.first <= address <= self.last


POOL = declare(
    Pool,
    ChangeKind.POOL,
    "pool",
    table=2,
    status_arc=8,
    checks={"order": '"first" >= 0 AND "first" <= "last" AND "last" <= 4294967295'},
    problem=lambda row: "last lies before first" if row.first > row.last else "",
)
