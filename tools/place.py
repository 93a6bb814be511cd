"""One member or a pool: what the options of a command name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import ConfigError
from tools import credentials as credentials_file
from tools.credentials import Role
from tools.target import Place, find_target

if TYPE_CHECKING:
    from tools.pool.target import PoolOption

_Pool = tuple[str, str] | None
"""The members and the policy, as the command line gave them."""


def find_place(
    pool: _Pool, folder: Path | None, address: str | None, credentials: Path | None, role: Role
) -> Place:
    """Where the work of a command is done. ConfigError tells what is missing."""
    if pool is None:
        return find_target(folder, address, credentials, role)
    if folder is not None or address is not None:
        raise ConfigError(
            "--pool", "", "and one member are both named", "give the pool, a folder or --address"
        )
    if credentials is None:
        raise ConfigError("--credentials", "", "is missing", "name the cluster's credentials.env")
    return _option(pool).target(credentials_file.find_user(credentials, role))


def find_contact(pool: _Pool, contact: str | None) -> str | PoolOption:
    """Whom a joining member is announced to."""
    if pool is not None and contact is None:
        return _option(pool)
    if pool is not None:
        raise ConfigError("--contact", "", "and --pool are both given", "leave one out")
    if contact is None:
        raise ConfigError("--contact", "", "is missing", "name a member of the group, or --pool")
    return contact


def _option(pool: tuple[str, str]) -> PoolOption:
    from tools.pool.policy import Policy
    from tools.pool.target import PoolOption

    return PoolOption(pool[0], Policy(pool[1]))
