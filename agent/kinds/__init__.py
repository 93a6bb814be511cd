"""The replicated kinds of configuration rows, one file each. See docs/architecture.md, "Kinds".

A new kind is a file here, and its names in `ConfigRow` and in the loop below.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.kinds.former_server import FORMER_SERVER, FormerServer
from agent.kinds.kind import Kind, check_distinct
from agent.kinds.option import OPTION, Option
from agent.kinds.pool import POOL, Pool
from agent.kinds.reservation import RESERVATION, Reservation
from agent.kinds.setting import SETTING, Setting
from agent.kinds.subnet import SUBNET, Subnet

ConfigRow = Subnet | Pool | Option | Reservation | FormerServer | Setting

_KINDS: dict[int, Kind] = {}
_OF_ROW: dict[type[object], Kind] = {}
KINDS: Mapping[int, Kind] = _KINDS
"""By number, in order: what is stored, sent, shown and applied."""

_GLOBAL = "global :"
"""How the natural key of what belongs to the global scope begins."""
_SHOWN_GLOBAL = "global:"


def register(kind: Kind) -> None:
    """Make `kind` one of those; before anything is imported that goes by them. Raises
    DeclarationError if it could be taken for another."""
    check_distinct([*_KINDS.values(), kind])
    _KINDS[kind.number] = kind
    _OF_ROW[kind.row] = kind


for _kind in (SUBNET, POOL, OPTION, RESERVATION, FORMER_SERVER, SETTING):
    register(_kind)


def kind_of(row: ConfigRow) -> Kind:
    return _OF_ROW[type(row)]


def configuration_key(row: ConfigRow) -> tuple[int, str]:
    """The number of the row's kind and its natural key, as the change log and the store name it."""
    kind = _OF_ROW[type(row)]
    return kind.number, kind.key_of(row)


def row_name(row: ConfigRow) -> str:
    """The row, as errors, events and people name it."""
    return f"{_OF_ROW[type(row)].name} {shown_key(row)}"


def shown_key(row: ConfigRow) -> str:
    """The natural key as people read it: `global:6`. The global scope has no name, so the key has
    nothing between its blank and its colon, and looks as if something were missing."""
    key = _OF_ROW[type(row)].key_of(row)
    return _SHOWN_GLOBAL + key.removeprefix(_GLOBAL) if key.startswith(_GLOBAL) else key


def parse_name(name: str) -> tuple[Kind, tuple[int | str, ...]]:
    """The kind and the key's values of a `row_name`, or of what it was in events of an earlier
    version, which had the blank. ValueError names what it is not."""
    word, _, key = name.partition(" ")
    kind = next((kind for kind in KINDS.values() if kind.name == word), None)
    if kind is None:
        raise ValueError(f"{name!r} is of no kind that this version knows")
    if key.startswith(_SHOWN_GLOBAL):
        key = _GLOBAL + key.removeprefix(_SHOWN_GLOBAL)
    return kind, kind.parse_key(key)
