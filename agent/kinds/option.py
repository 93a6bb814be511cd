"""Options: what clients are told beside their address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from agent.kinds.kind import ChangeKind, Field, declare
from agent.kinds.values import Address, Number, Octets, host_bits
from agent.limits import OPTION_OCTETS_MAX


@dataclass(frozen=True, slots=True)
class Option:
    """A DHCP option by scope: 0.0.0.0/0 is global, a subnet's prefix that subnet, an
    address/32 the reservation of that address. The longest prefix wins."""

    network: Annotated[
        int, Field(Address(), "the first address of its scope", key="", column="Network")
    ]
    prefix_length: Annotated[
        int,
        Field(Number(1, 0, 32), "the length of its scope's prefix", key="/", column="PrefixLength"),
    ]
    code: Annotated[int, Field(Number(1, 1, 254), "its code (RFC 2132 2)", key=":", column="Code")]
    data: Annotated[
        bytes,
        Field(Octets(OPTION_OCTETS_MAX), "its value, as on the wire", column="Value", arc=5),
    ]
    active: bool = True


OPTION = declare(
    Option,
    ChangeKind.OPTION,
    "option",
    table=3,
    status_arc=7,
    checks={
        "scope": ("network", "prefix_length"),
        "host_bits": "(network & (4294967295 >> prefix_length)) = 0",
        "code": ("code",),
    },
    problem=lambda row: host_bits(row.network, row.prefix_length),
)
