"""`member.toml`: what one member is and where it listens. Never replicated. Holds no secret but,
where one is wanted, the community of SNMPv2c: the file must then not be everybody's to read.

Identity lies here, outside the replicated configuration, so that copying the configuration from
one member to another can never make two members the same one.
"""

from __future__ import annotations

import difflib
import json
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import ConfigError
from agent.events.event import KIND_OF_WORD, EventKind
from agent.limits import NOTICE_TARGETS_MAX
from agent.model import MemberRole, format_address, is_host_address, parse_address

FILE_NAME = "member.toml"
STORE_NAME = "store.db"
GROUP_NAME = "standing.group"
"""The group as the member's store knew it last (agent/standing.py), as JSON."""
NOTIFY_PORT = 162

_KEYS: dict[str, dict[str, type]] = {
    "member": {"id": int, "name": str, "role": str},
    "snmp": {"address": str, "port": int, "read_only_community": str},
    "dhcp": {"interfaces": list, "port": int},
    "notify": {"targets": list},
    "log": {"level": str, "format": str, "packets": bool, "events": list},
}
ROLES = {role.name.lower(): role for role in MemberRole}
"""By the word for it."""

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")
ALL_EVENTS = "all"
"""Instead of every kind's word."""


@dataclass(frozen=True, slots=True)
class MemberFile:
    """`address` is where peers and managers reach the agent, and `interfaces` where the engine
    serves (none: every interface that has an address). `read_only_community` is empty unless
    SNMPv2c is wanted. `notify_targets`: address and port of who is sent notifications.
    `log_events`: kinds of events that the log tells.
    A member of role DATABASE has an agent and no engine."""

    member: int
    name: str
    address: int
    port: int = 161
    interfaces: tuple[str, ...] = ()
    dhcp_port: int = 67
    read_only_community: str = ""
    notify_targets: tuple[tuple[int, int], ...] = ()
    log_level: str = "info"
    log_packets: bool = True
    log_format: str = "text"
    log_events: frozenset[EventKind] = frozenset()
    role: MemberRole = MemberRole.SERVER

    def render(self) -> str:
        """The file's text; `load_member_file` reads it back as the same value."""
        interfaces = ", ".join(map(_quoted, self.interfaces))
        targets = ", ".join(
            _quoted(f"{format_address(address)}:{port}") for address, port in self.notify_targets
        )
        lines = [
            "# One member of a dhcpsync cluster: who it is and where it listens. Keys and leases",
            "# are in store.db beside this file; subnets and pools are set over SNMP.",
            "[member]",
            f"id = {self.member}",
            f"name = {_quoted(self.name)}",
            f'role = "{self.role.name.lower()}"',
            "",
            "[snmp]",
            f'address = "{format_address(self.address)}"',
            f"port = {self.port}",
        ]
        if self.read_only_community:
            lines.append(f"read_only_community = {_quoted(self.read_only_community)}")
        lines += [
            "",
            "[dhcp]",
            f"interfaces = [{interfaces}]",
            f"port = {self.dhcp_port}",
            "",
            "[notify]",
            f"targets = [{targets}]",
            "",
            "[log]",
            f'level = "{self.log_level}"',
            f'format = "{self.log_format}"',
            f"packets = {str(self.log_packets).lower()}",
            f"events = [{', '.join(_quoted(word) for word in self._event_words())}]",
            "",
        ]
        return "\n".join(lines)

    def _event_words(self) -> list[str]:
        if self.log_events == frozenset(EventKind):
            return [ALL_EVENTS]
        return [kind.word for kind in sorted(self.log_events)]


def _quoted(text: str) -> str:
    """A basic string of TOML: as in JSON, but for one control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def load_member_file(folder: Path) -> MemberFile:
    """Read `folder`/member.toml. Raises ConfigError naming file and key."""
    path = folder / FILE_NAME
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(str(path), "", "is missing", "make it with `dhcpsync init`") from None
    except OSError as error:
        raise ConfigError(str(path), "", f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "", f"is no valid TOML: {error}") from None
    _check_keys(str(path), tables)
    member = _build(str(path), tables)
    if member.read_only_community and path.stat().st_mode & stat.S_IROTH:
        raise ConfigError(
            str(path),
            "snmp.read_only_community",
            "is in a file that everybody may read",
            f"chmod o-r {path}",
        )
    return member


def _check_keys(name: str, tables: dict[str, Any]) -> None:
    for table, values in tables.items():
        if table not in _KEYS:
            raise ConfigError(name, table, "is no known table", _nearest(table, list(_KEYS)))
        if not isinstance(values, dict):
            raise ConfigError(name, table, "must be a table", f"write [{table}]")
        for key, value in values.items():
            wanted = _KEYS[table].get(key)
            if wanted is None:
                raise ConfigError(
                    name, f"{table}.{key}", "is no known key", _nearest(key, list(_KEYS[table]))
                )
            if type(value) is not wanted:
                raise ConfigError(
                    name, f"{table}.{key}", f"is {value!r}", f"must be of type {wanted.__name__}"
                )


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


def _build(name: str, tables: dict[str, Any]) -> MemberFile:
    def take(table: str, key: str, default: Any) -> Any:
        value = tables.get(table, {}).get(key, default)
        if value is None:
            raise ConfigError(name, f"{table}.{key}", "is missing", "every member needs it")
        return value

    member = take("member", "id", None)
    if not 1 <= member < 2**31:
        raise ConfigError(name, "member.id", f"is {member}", "must be 1..2147483647")
    try:
        address = parse_address(take("snmp", "address", None))
    except ValueError as error:
        raise ConfigError(name, "snmp.address", str(error)) from None
    if not is_host_address(address):
        raise ConfigError(
            name,
            "snmp.address",
            f"{format_address(address)} is no host's address",
            "name the one under which peers reach this member",
        )
    for key, port in (("snmp", 161), ("dhcp", 67)):
        if not 1 <= take(key, "port", port) <= 65535:
            raise ConfigError(name, f"{key}.port", "is no port", "must be 1..65535")
    role = take("member", "role", "server")
    if role not in ROLES:
        raise ConfigError(name, "member.role", f"is {role!r}", f"one of {', '.join(ROLES)}")
    level = _one_of(name, "log.level", take("log", "level", "info"), LEVELS)
    interfaces = take("dhcp", "interfaces", [])
    if not all(isinstance(one, str) for one in interfaces):
        raise ConfigError(name, "dhcp.interfaces", "must be a list of names", 'e.g. ["eth0"]')
    targets = take("notify", "targets", [])
    if len(targets) > NOTICE_TARGETS_MAX:
        raise ConfigError(
            name, "notify.targets", f"names {len(targets)}", f"at most {NOTICE_TARGETS_MAX}"
        )
    return MemberFile(
        member=member,
        name=take("member", "name", None),
        address=address,
        port=take("snmp", "port", 161),
        interfaces=tuple(interfaces),
        dhcp_port=take("dhcp", "port", 67),
        read_only_community=take("snmp", "read_only_community", ""),
        notify_targets=tuple(_target(name, one) for one in targets),
        log_level=level,
        log_packets=take("log", "packets", True),
        log_format=_one_of(name, "log.format", take("log", "format", "text"), FORMATS),
        log_events=_events(name, take("log", "events", [])),
        role=ROLES[role],
    )


def _one_of(name: str, key: str, word: str, words: tuple[str, ...]) -> str:
    if word not in words:
        raise ConfigError(name, key, f"is {word!r}", f"one of {', '.join(words)}")
    return word


def _events(name: str, words: list[object]) -> frozenset[EventKind]:
    for word in words:
        if word != ALL_EVENTS and word not in KIND_OF_WORD:
            raise ConfigError(
                name,
                "log.events",
                f"has {word!r}",
                f"a list of {', '.join([ALL_EVENTS, *KIND_OF_WORD])}",
            )
    if ALL_EVENTS in words:
        return frozenset(EventKind)
    return frozenset(KIND_OF_WORD[str(word)] for word in words)


def _target(name: str, text: object) -> tuple[int, int]:
    """ "a.b.c.d" or "a.b.c.d:port"; snmptrapd and every NMS listen on 162."""
    host, colon, port = str(text).partition(":")
    try:
        if colon and not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
            raise ValueError(f"{port!r} is no port")
        return parse_address(host), int(port or NOTIFY_PORT)
    except ValueError as error:
        raise ConfigError(
            name, "notify.targets", str(error), 'write "192.0.2.1" or "192.0.2.1:162"'
        ) from None
