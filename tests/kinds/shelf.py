"""The declaration of a kind that the project does not have: one file, as those of `agent/kinds`."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated

from agent.kinds.kind import Field, declare
from agent.kinds.values import Address, Choice, Number, Octets, Text


class Colour(enum.IntEnum):
    RED = 1
    DARK_GREEN = 2


@dataclass(frozen=True, slots=True)
class Shelf:
    """What stands where: a row with a field of every type."""

    room: Annotated[int, Field(Address(), "the room", key="", column="Room", toml="room")]
    place: Annotated[
        int,
        Field(Number(2, 1, 999), "the place in it", key="#", column="Place", toml="place"),
    ]
    label: Annotated[
        str,
        Field(Text(12), "what is written on it", column="Label", arc=4, toml="label"),
    ] = ""
    height: Annotated[
        int,
        Field(
            Number(4, 0, 300, set_high=200, unit="cm"),
            "how high it is",
            column="Height",
            arc=5,
            toml="height",
        ),
    ] = 7
    colour: Annotated[
        Colour,
        Field(Choice(Colour), "its colour", column="Colour", arc=6, toml="colour"),
    ] = Colour.RED
    surface: Annotated[
        Colour,
        Field(
            Choice(Colour),
            "the colour of its upper side",
            column="Surface",
            arc=8,
            toml="surface",
            beside="colour",
        ),
    ] = Colour.RED
    content: Annotated[
        bytes,
        Field(Octets(64), "what is on it", column="Content", arc=7, toml="content"),
    ] = b""
    owner: Annotated[int, Field(Address(), "whose it is", column="Owner", arc=9, toml="owner")] = 0
    active: bool = True


SHELF = declare(
    Shelf,
    8,
    "shelf",
    table=8,
    status_arc=3,
    checks={
        "room": ("room", "place", "owner"),
        "height": ("height",),
        "colour": ("colour", "surface"),
    },
    problem=lambda row: "unlucky" if row.place == 13 else "",
)
