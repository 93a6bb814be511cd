"""Reservations: addresses that are kept for one client each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from agent.kinds.kind import ChangeKind, Field, declare
from agent.kinds.values import Address, Octets, Text
from agent.limits import CLIENT_IDENTIFIER_MAX, HOST_NAME_OCTETS_MAX


@dataclass(frozen=True, slots=True)
class Reservation:
    """`address` is kept for one client, named by `client_key` as in `agent.model.Binding`."""

    address: Annotated[int, Field(Address(), "the address that is kept", key="", column="Address")]
    client_key: Annotated[
        bytes,
        Field(
            Octets(1 + CLIENT_IDENTIFIER_MAX),
            "the client that it is kept for",
            column="ClientKey",
            arc=2,
        ),
    ]
    hostname: Annotated[
        str,
        Field(
            Text(HOST_NAME_OCTETS_MAX),
            "the name that the client is told",
            column="HostName",
            arc=4,
            toml="hostname",
        ),
    ] = ""
    active: bool = True


RESERVATION = declare(
    Reservation,
    ChangeKind.RESERVATION,
    "reservation",
    table=4,
    status_arc=5,
    checks={"address": ("address",)},
)
