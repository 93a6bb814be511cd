"""What a file asked for when it was applied last, kept beside it: so the next `apply` knows what
has become another one since, and by no hand that wrote this file.

`cluster.toml.applied` has an entry for each group that the file was applied to, the latest first.
A group is known by the engine IDs of its members; one in common is enough, since members come and
go. Rows are told as events tell them (`agent.events.configuration`). There is no secret in it that
the file has not; and losing it costs a sentence in the next plan, nothing else.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import ConfigError
from agent.events.configuration import pack_row, unpack_row
from agent.kinds import row_name
from agent.limits import APPLIED_GROUPS_MAX, APPLIED_OCTETS_MAX
from agent.model import ConfigRow

_SUFFIX = ".applied"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Applied:
    """The rows that a group had `at` seconds after 1970; `engines` in hexadecimal."""

    at: int
    engines: frozenset[str]
    rows: tuple[ConfigRow, ...]


def recall(file: Path, engines: frozenset[str]) -> Applied | None:
    """What `file` asked for of the group with one of these engines; None: not known to have been
    applied there. Raises ConfigError where what is kept cannot be read."""
    return next((one for one in _load(_beside(file)) if one.engines & engines), None)


def remember(file: Path, applied: Applied) -> None:
    """From now on. Raises OSError, and then all is as it was."""
    if not file.is_file():
        return  # what comes through a pipe has no place to be found at again
    path = _beside(file)
    try:
        others = [one for one in _load(path) if not one.engines & applied.engines]
    except ConfigError:
        others = []
    kept = [_told(one) for one in (applied, *others)][:APPLIED_GROUPS_MAX]
    text = json.dumps({"version": _VERSION, "applied": kept}, ensure_ascii=False, indent=1)
    new = path.with_name(f"{path.name}.new")
    mode = stat.S_IMODE(file.stat().st_mode) & 0o666
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as out:
            os.fchmod(descriptor, mode)
            out.write(f"{text}\n")
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def _beside(file: Path) -> Path:
    """Beside the file itself, by whatever link it is named."""
    file = file.resolve()
    return file.with_name(f"{file.name}{_SUFFIX}")


def _load(path: Path) -> list[Applied]:
    try:
        with path.open("rb") as kept:
            octets = kept.read(APPLIED_OCTETS_MAX + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(str(path), "", f"cannot be read: {error.strerror}") from None
    if len(octets) > APPLIED_OCTETS_MAX:
        raise ConfigError(str(path), "", f"is longer than {APPLIED_OCTETS_MAX >> 20} MiB")
    try:
        told = json.loads(octets)
        if told["version"] != _VERSION:
            raise ValueError(f"is of version {told['version']}")
        return [_read(one) for one in told["applied"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(str(path), "", f"is not what `apply` keeps: {error!r}") from None


def _told(one: Applied) -> dict[str, Any]:
    rows = {row_name(row): json.loads(pack_row(row)) for row in one.rows}
    return {"at": one.at, "engines": sorted(one.engines), "rows": rows}


def _read(told: dict[str, Any]) -> Applied:
    rows = [unpack_row(name, json.dumps(row)) for name, row in told["rows"].items()]
    return Applied(int(told["at"]), frozenset(map(str, told["engines"])), tuple(rows))
