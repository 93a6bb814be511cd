"""The file with the names and passphrases of a cluster's SNMPv3 users: credentials.env.

Lines are NAME=VALUE, so that a shell can read them too. `init` writes the file where it makes
passphrases up; every command that speaks to a member reads it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from agent.errors import ConfigError
from agent.secrecy import withdraw_rights
from agent.snmp.keys import PASSPHRASE_MIN, USER_NAME_OCTETS_MAX

Role = Literal["operator", "monitor", "peer"]
ROLES: tuple[Role, ...] = get_args(Role)
FILE_NAME = "credentials.env"

log = logging.getLogger("dhcpsync.credentials")

_MODE = 0o740
"""The most that a file of passphrases may allow: a team may read it as a group."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """One SNMPv3 user: SHA-256 authentication and AES-128 privacy (RFC 7860, RFC 3826)."""

    role: Role
    user: str
    authentication: str
    privacy: str


def make_credentials() -> dict[Role, Credentials]:
    """New passphrases for the users of a new cluster, by role."""
    import secrets  # takes longer to load than all else here, and only `init` makes users

    return {
        role: Credentials(role, role, secrets.token_urlsafe(18), secrets.token_urlsafe(18))
        for role in ROLES
    }


def render_credentials(users: Mapping[Role, Credentials]) -> str:
    lines = ["# SNMPv3 users of a dhcpsync cluster (authPriv, SHA-256, AES-128). Keep it secret."]
    for role, user in users.items():
        prefix = role.upper()
        lines += [
            f"{prefix}_USER={user.user}",
            f"{prefix}_AUTH={user.authentication}",
            f"{prefix}_PRIV={user.privacy}",
        ]
    return "\n".join(lines) + "\n"


def write_credentials(path: Path, users: Mapping[Role, Credentials]) -> None:
    """Write the file, readable by its owner only. It must not exist."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(render_credentials(users))


def parse_credentials(name: str, text: str) -> dict[Role, Credentials]:
    """Users by role. Raises ConfigError naming file and key; roles without any key are absent."""
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip().removeprefix("export ")
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise ConfigError(name, f"line {number}", "has no '='", "lines are NAME=VALUE")
        values[key.strip()] = value.strip().strip("\"'")
    users: dict[Role, Credentials] = {}
    for role in ROLES:
        keys = [f"{role.upper()}_{part}" for part in ("USER", "AUTH", "PRIV")]
        given = [key for key in keys if values.get(key)]
        if not given:
            continue
        if missing := [key for key in keys if key not in given]:
            raise ConfigError(name, missing[0], "is missing", f"{given[0]} is there")
        user = values[keys[0]]
        if not user.isprintable() or len(user.encode()) > USER_NAME_OCTETS_MAX:
            raise ConfigError(
                name, keys[0], "is no user name", f"1..{USER_NAME_OCTETS_MAX} printable octets"
            )
        for key in keys[1:]:
            if len(values[key]) < PASSPHRASE_MIN:
                raise ConfigError(
                    name, key, "is too short", f"at least {PASSPHRASE_MIN} characters"
                )
        users[role] = Credentials(role, *(values[key] for key in keys))
    return users


def load_credentials(path: Path) -> dict[Role, Credentials]:
    """Read a credentials file. Raises ConfigError naming it. A file that everybody may read, or
    others may write, is mended, with a word about it, or refused where it is somebody else's; its
    group may read it."""
    try:
        words = withdraw_rights(path, _MODE)
    except FileNotFoundError:
        words = ""
    except OSError as error:
        raise ConfigError(
            str(path),
            "",
            "may be read or changed by others",
            f"chmod 600 {path} ({error.strerror})",
        ) from None
    if words:
        log.warning("%s", words)
    try:
        return parse_credentials(str(path), path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(path), "", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), "", "is no text file") from None


def find_user(path: Path, role: Role) -> Credentials:
    """The user of a role. Raises ConfigError where the file has none."""
    users = load_credentials(path)
    if role not in users:
        raise ConfigError(
            str(path), f"{role.upper()}_USER", "is missing", f"the command needs the {role} user"
        )
    return users[role]
