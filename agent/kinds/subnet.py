"""Subnets: the networks that the group serves."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated

from agent.kinds.kind import ChangeKind, Field, declare
from agent.kinds.values import Address, Choice, Number, Text, host_bits
from agent.limits import (
    INTERFACE_OCTETS_MAX,
    NAME_OCTETS_MAX,
    OFFER_DELAY_MAX_S,
    SCOPE_OCTETS_MAX,
)


class ClaimPolicy(enum.IntEnum):
    """Whose word is taken for a lease of which no member has a record (draft 6.5): everybody's,
    only a client's that some member has had a record of, or nobody's."""

    ACCEPT = 1
    KNOWN_ONLY = 2
    DENY = 3


class ProbePolicy(enum.IntEnum):
    """Which addresses are tried on the wire before a client gets them: those that another client
    may be using still, all of them (another server may have given them), or none."""

    RECENT = 1
    ALWAYS = 2
    NEVER = 3


class OutsidePolicy(enum.IntEnum):
    """What becomes of a client whose address is in no pool any more: its lease runs out, and it
    hears nothing meanwhile; or it is told NAK when it renews, once another one is free for it."""

    RUN_OUT = 1
    NAK = 2


@dataclass(frozen=True, slots=True)
class Subnet:
    """A network that the group serves."""

    network: Annotated[int, Field(Address(), "its first address", key="", column="Address")]
    prefix_length: Annotated[
        int,
        Field(
            Number(1, 0, 32, set_low=1), "the length of its prefix", key="/", column="PrefixLength"
        ),
    ]
    interface: Annotated[
        str,
        Field(
            Text(INTERFACE_OCTETS_MAX),
            "limits it to clients attached to that interface; empty: to any whose own address "
            "lies in the subnet",
            column="Interface",
            arc=4,
            toml="interface",
        ),
    ] = ""
    name: Annotated[
        str,
        Field(Text(NAME_OCTETS_MAX), "what people call it", column="Name", arc=3, toml="name"),
    ] = ""
    claims: Annotated[
        ClaimPolicy,
        Field(
            Choice(ClaimPolicy),
            "whose word is taken for a lease of which no member has a record",
            column="Claims",
            arc=10,
            toml="claims",
        ),
    ] = ClaimPolicy.ACCEPT
    offer_delay_s: Annotated[
        int,
        Field(
            Number(4, 0, 0xFFFF_FFFF, set_high=OFFER_DELAY_MAX_S, unit="s"),
            "0: every member offers; otherwise the members share the clients (RFC 3074), and a "
            "client that has tried for so long is offered an address by all",
            column="OfferDelay",
            arc=11,
            toml="offer-delay",
        ),
    ] = 0
    probe: Annotated[
        ProbePolicy,
        Field(
            Choice(ProbePolicy),
            "which addresses are tried on the wire before they are given",
            column="Probe",
            arc=12,
            toml="probe",
            beside="claims",
        ),
    ] = ProbePolicy.RECENT
    outside: Annotated[
        OutsidePolicy,
        Field(
            Choice(OutsidePolicy),
            "what becomes of a client whose address is in no pool any more",
            column="OutsidePools",
            arc=13,
            toml="outside-pools",
        ),
    ] = OutsidePolicy.RUN_OUT
    shared_network: Annotated[
        str,
        Field(
            Text(SCOPE_OCTETS_MAX),
            "subnets with the same one, if it is not empty, share a link: a client there gets an "
            "address of any of them",
            column="SharedNetwork",
            arc=14,
            toml="shared-network",
        ),
    ] = ""
    active: bool = True

    @property
    def first(self) -> int:
        return self.network

    @property
    def last(self) -> int:
        return self.network | (0xFFFF_FFFF >> self.prefix_length)

    @property
    def mask(self) -> int:
        return 0xFFFF_FFFF ^ (0xFFFF_FFFF >> self.prefix_length)

    def __contains__(self, address: int) -> bool:
        return (address ^ self.network) >> (32 - self.prefix_length) == 0


SUBNET = declare(
    Subnet,
    ChangeKind.SUBNET,
    "subnet",
    table=1,
    status_arc=9,
    checks={
        "prefix": ("network", "prefix_length"),
        "host_bits": "(network & (4294967295 >> prefix_length)) = 0",
        "offers": ("claims", "offer_delay_s"),
        "probe": ("probe",),
        "outside": ("outside",),
    },
    problem=lambda row: host_bits(row.network, row.prefix_length),
)
