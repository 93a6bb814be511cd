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
    """The row, as errors and people name it."""
    kind = _OF_ROW[type(row)]
    return f"{kind.name} {kind.key_of(row)}"
