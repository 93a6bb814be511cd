"""Tables of TOML, read value by value: a known key, a value of its type, in its bounds.

Each error is a ConfigError that names file and place, and says what would be right. What is wrong
is noted in `Faults` and left out, and the rest is read on.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from agent.dhcp.options import parse_octets
from agent.errors import ConfigError
from agent.kinds.kind import Kind
from agent.kinds.values import Address, Choice, Number, Octets, Type
from agent.limits import CONFIG_KEY_PARTS_MAX
from agent.model import parse_address

OCTETS = re.compile(r"([0-9A-Fa-f]{1,2}(:[0-9A-Fa-f]{1,2})+|0x([0-9A-Fa-f]{2})+)\Z")
_OCTETS_ELSEWHERE = re.compile(
    r"[0-9A-Fa-f]{2}([ -])[0-9A-Fa-f]{2}(\1[0-9A-Fa-f]{2}){2,}"
    r"|[0-9A-Fa-f]{4}(\.[0-9A-Fa-f]{4})+(\.[0-9A-Fa-f]{2})?"
    r"|(?=.*[A-Fa-f])([0-9A-Fa-f]{2}){6,}"
)
"""As Windows, Cisco and many tables show octets. Digits alone are somebody's serial number."""
_LENGTH = re.compile(r"[0-9]{1,4}\Z")
_WORDS = {
    str: "a text in quotes",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


_KEY_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_LONG_KEY = re.compile(
    rf"(?<![A-Za-z0-9_\"'.-]){_KEY_PART}(?:[ \t]*\.[ \t]*{_KEY_PART}){{{CONFIG_KEY_PARTS_MAX}}}"
)


Faults = list[ConfigError]


def read_toml(name: str, text: str) -> dict[str, Any]:
    """The tables of the file `name`. Raises ConfigError where nothing of it can be read."""
    if long := _LONG_KEY.search(text):
        line = text.count("\n", 0, long.start()) + 1
        problem = f"has a key of more than {CONFIG_KEY_PARTS_MAX} parts"
        raise ConfigError(name, f"line {line}", problem, "write a table")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(name, "", "is no valid TOML: a list is too deep") from None
    except ValueError as error:  # TOMLDecodeError, or of Python: a number of too many digits
        raise ConfigError(name, "", f"is no valid TOML: {error}") from None


@contextmanager
def kept(faults: Faults) -> Iterator[None]:
    """What is wrong inside is noted, and the reading goes on behind it."""
    try:
        yield
    except ConfigError as error:
        faults.append(error)


def checked(
    name: str, place: str, table: dict[str, Any], keys: Mapping[str, type], faults: Faults
) -> dict[str, Any]:
    """What of the table has a known key and a value of its type (`object`: of any)."""
    good: dict[str, Any] = {}
    for key, value in table.items():
        where = f"{place}: {key}" if place else key
        if key not in keys:
            close = difflib.get_close_matches(key, keys, 1)
            remedy = f"did you mean {close[0]}?" if close else f"known are {', '.join(keys)}"
            faults.append(ConfigError(name, where, "is no known key", remedy))
        elif keys[key] is not object and type(value) is not keys[key]:
            right = f"must be {_WORDS[keys[key]]}"
            faults.append(ConfigError(name, where, f"is {value!r}", right))
        else:
            good[key] = value
    return good


def require(name: str, place: str, table: dict[str, Any], key: str, example: str) -> str:
    if key not in table:
        raise ConfigError(name, f"{place}: {key}", "is missing", f"such as {key} = {example}")
    return str(table[key])


def values_of(
    name: str, place: str, table: dict[str, Any], kind: Kind, faults: Faults
) -> dict[str, Any]:
    """The declared fields that the table gives a value to, and whether it is in service."""
    told: dict[str, Any] = {}
    for field in kind.fields:
        if field.toml in table:
            with kept(faults):
                where = f"{place}: {field.toml}"
                told[field.name] = value_of(name, where, field.type, table[field.toml])
    return told | {"active": table.get("active", True)}


def value_of(name: str, place: str, type_: Type, value: Any) -> Any:
    if isinstance(type_, Address):
        return address_of(name, place, value)
    if isinstance(type_, Octets):
        if value and not OCTETS.match(value):
            raise ConfigError(name, place, f"is {value!r}", 'write octets such as "01:ff"')
        return parse_octets(value) if value else b""
    if isinstance(type_, Choice):
        if value not in type_.spelled:
            words = ", ".join(type_.spelled)
            raise ConfigError(name, place, f"is {value!r}", f"write one of {words}")
        return type_.spelled[value]
    if isinstance(type_, Number) and not type_.low <= value <= type_.high:
        unit = " seconds" if type_.unit == "s" else ""
        right = f"must be {type_.low}..{type_.high}{unit}"
        raise ConfigError(name, place, f"is {value}", right)
    return value


def parse_prefix(name: str, place: str, text: str) -> tuple[int, int]:
    network, slash, length = text.partition("/")
    if not slash or not _LENGTH.match(length) or int(length) > 32:
        raise ConfigError(name, place, f"{text!r} is no prefix", 'write "198.18.0.0/15"')
    return address_of(name, place, network), int(length)


def is_plain_text(text: str) -> bool:
    """Whether a client identifier that is written so can be nothing but text."""
    return not OCTETS.match(text) and not _OCTETS_ELSEWHERE.fullmatch(text)


def client_id_of(name: str, place: str, text: str) -> bytes:
    """What may be octets is not taken for a text without a word: a client of those octets would
    never come to its address."""
    if not text:
        raise ConfigError(name, place, "is empty")
    if OCTETS.match(text):
        return parse_octets(text)
    if not is_plain_text(text):
        octets = bytes.fromhex(re.sub("[ .-]", "", text)).hex(":")
        right = f'write "{octets}", or "{text.encode().hex(":")}" if it is a text'
        raise ConfigError(name, place, f"{text!r} may be octets or a text", right)
    return text.encode()


def address_of(name: str, place: str, text: str) -> int:
    try:
        return parse_address(text)
    except ValueError as error:
        raise ConfigError(name, place, str(error)) from None
