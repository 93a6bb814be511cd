"""What is read of a member, and what comes of comparing."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from agent.model import Binding, ConfigRecord, Group, Member, MemberId, StreamId

Vector = Mapping[StreamId, int]
ConfigKey = tuple[int, str]


class Kind(enum.Enum):
    """What differs."""

    GROUP = "group"
    BINDING = "binding"
    CONFIGURATION = "configuration"
    OWNERSHIP = "ownership"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Difference:
    """`words` is a sentence, `to_do` another one. Of a row, `wrong` are the members whose record is
    to be replaced and `right` those who have the record to go by."""

    kind: Kind
    what: str
    words: str
    to_do: str
    wrong: tuple[MemberId, ...] = ()
    right: tuple[MemberId, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """What a member tells of itself before its rows are read."""

    group: Group
    version: str
    bindings: int
    mismatches: int
    """How often it has noticed that its digest and a peer's differ (`digest_mismatches`)."""


@dataclass(frozen=True, slots=True)
class Look:
    """Rows of one member, read after `vector`; `is_still`: its vector was the same afterwards, so
    that they are of exactly that moment."""

    vector: Vector
    is_still: bool
    rows: Mapping[int, Binding]


@dataclass(frozen=True, slots=True)
class Told:
    """Configuration of one member, read after `vector`."""

    vector: Vector
    records: Mapping[ConfigKey, ConfigRecord]


@dataclass(frozen=True, slots=True)
class Claim:
    """Addresses that a member may give to new clients (BINDABLE), where no binding of that epoch or
    a later one holds them."""

    member: MemberId
    first: int
    last: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Unseen:
    """A member that could not be looked at, and why."""

    member: Member
    why: str
