"""Commands that begin soon: typer without what the one command that was called does not need.

typer makes every command before it runs one, which takes 60 ms of processor time here. And, in the
versions that have pydantic, it builds a pydantic adapter for every parameter of the command, given
or not: to load pydantic takes 100 ms. A text, a path, and what already is of its type, need no
adapter. Everything else, and every fault, still goes typer's way, and so has typer's words.

The second relies on one seam of typer, `typer.core.build_runtime_param`; without it typer is as it
is. `tests/tools/test_lean.py` holds both.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

from typer import Typer, core

_SEAM = "build_runtime_param"
_MORE = ("parser", "path_type", "exists", "writable", "resolve_path", "allow_dash")
"""What a parameter may ask for beside its type."""


def only(app: Typer, arguments: Sequence[str]) -> Typer:
    """`app` with nothing but the command or group that the arguments begin with; where they begin
    with anything else, all of it."""
    if not arguments:
        return app
    commands = [one for one in app.registered_commands if _name(one) == arguments[0]]
    groups = [copy(one) for one in app.registered_groups if one.name == arguments[0]]
    if not commands and not groups:
        return app
    for group in groups:
        if group.typer_instance is not None:
            group.typer_instance = only(group.typer_instance, arguments[1:])
    small = copy(app)
    small.registered_commands, small.registered_groups = commands, groups
    return small


def _name(command: Any) -> str:
    """As typer makes it."""
    name: str = command.name or command.callback.__name__.lower().replace("_", "-")
    return name


class LeanParameter:
    """In the place of typer's `RuntimeParam`, which `build` makes of `descriptor`."""

    def __init__(self, descriptor: Any, build: Any) -> None:
        self._descriptor = descriptor
        self._build = build

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        kind = self._descriptor.annotation
        is_one = not param.multiple and param.nargs == 1
        if is_one and (value is None or isinstance(value, kind)):
            return value
        if is_one and kind is Path and isinstance(value, str) and _is_usable(value):
            return Path(value)
        return self._build(self._descriptor).coerce(value, param=param, ctx=ctx)


def _is_usable(path: str) -> bool:
    """Typer refuses what is there and may not be read."""
    return os.access(path, os.R_OK) or not os.path.exists(path)


def spare_adapters() -> None:
    """For every parameter from here on."""
    build = getattr(core, _SEAM, None)
    if build is not None and build is not _build_lean:
        _TYPERS.append(build)
        setattr(core, _SEAM, _build_lean)


_TYPERS: list[Any] = []
"""Typer's own, once it is replaced."""


def _build_lean(descriptor: Any) -> Any:
    kind, info = descriptor.annotation, descriptor.parameter_info
    is_plain = isinstance(kind, type) and (kind in (str, bool, Path) or issubclass(kind, enum.Enum))
    if not is_plain or any(getattr(info, name) for name in _MORE):
        return _TYPERS[0](descriptor)
    return LeanParameter(descriptor, _TYPERS[0])
