"""Which member a command speaks to, and as whom.

Either a folder on this machine (its member.toml tells the address, credentials.env beside it the
users), or an address with a credentials file.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from agent.errors import ConfigError
from agent.member_file import load_member_file
from agent.model import format_address, parse_address
from tools import credentials as credentials_file
from tools.credentials import Credentials, Role
from tools.manager import Manager, Session

_DEFAULT_PORT = 161
T = TypeVar("T")


class Place(Protocol):
    """Where a command's work is done: at one member, or at whichever of a pool can do it."""

    def run(self, work: Callable[[Session], T]) -> T:
        """`work` may be run again at another member, from its beginning."""
        ...

    def at(self, address: str, port: int) -> Target:
        """The same user at that member."""
        ...

    def with_patience(self, timeout_s: float) -> Place:
        """For one try of so long, where an answer takes a decision of the group."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """`enter` surrounds the making of sockets: the lab's members are in namespaces."""

    address: str
    port: int
    user: Credentials
    enter: Callable[[], AbstractContextManager[None]] = nullcontext
    timeout_s: float = 2.0
    retries: int = 2

    def open(self, *, timeout_s: float = 2.0, retries: int = 2) -> Manager:
        with self.enter():
            return Manager(self.address, self.port, self.user, timeout_s=timeout_s, retries=retries)

    def run(self, work: Callable[[Session], T]) -> T:
        with self.open(timeout_s=self.timeout_s, retries=self.retries) as manager:
            return work(manager)

    def with_patience(self, timeout_s: float) -> Target:
        return replace(self, timeout_s=timeout_s, retries=0)

    def at(self, address: str, port: int) -> Target:
        """The same user at another member."""
        return replace(self, address=address, port=port)


def parse_endpoint(name: str, text: str) -> tuple[str, int]:
    """`198.18.0.1` or `198.18.0.1:1161`; ConfigError names the option `name`."""
    host, colon, port = text.partition(":")
    try:
        address = format_address(parse_address(host))
    except ValueError as error:
        raise ConfigError(name, "", str(error)) from None
    if not colon:
        return address, _DEFAULT_PORT
    is_number = port.isascii() and port.isdigit() and len(port) <= 5
    if not (is_number and 1 <= int(port) <= 65535):
        raise ConfigError(name, "", f"{port[:20]!r} is no UDP port", "use 1..65535")
    return address, int(port)


def find_target(
    folder: Path | None, address: str | None, credentials: Path | None, role: Role
) -> Target:
    """The member that the options name. ConfigError tells what is missing."""
    if folder is None and address is None:
        raise ConfigError("member", "", "none is named", "give its folder, or --address")
    if folder is not None and address is not None:
        raise ConfigError("member", "", "is named twice", "give its folder or --address, not both")
    if folder is not None:
        file = load_member_file(folder)
        host, port = format_address(file.address), file.port
        credentials = credentials or folder / credentials_file.FILE_NAME
    else:
        assert address is not None
        host, port = parse_endpoint("--address", address)
    if credentials is None:
        raise ConfigError("--credentials", "", "is missing", "name the cluster's credentials.env")
    return Target(host, port, credentials_file.find_user(credentials, role))
