"""The names, addresses and files of a lab: pure, so that everything else agrees on them.

One machine holds one lab, because the names of its namespaces are fixed. Where its files lie is
written in POINTER, so that `lab exec` and its like need no --root.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from agent.limits import MEMBERS_MAX
from agent.model import format_address, parse_address
from tools.errors import ToolError

PREFIX = "dhcpsync-"
BRIDGE = "dhcpsync-lan"
"""The bridge, and the namespace that holds it: the host's own network is not touched."""
INTERFACE = "eth0"
SUBNET = "198.18.0.0/15"
PREFIX_LENGTH = 15
POOL = "198.18.16.0-198.19.255.254"
ROUTER = "198.18.0.254"
POINTER = Path("/run/dhcpsync-lab.json")
DEFAULT_ROOT = Path("/var/lib/dhcpsync-lab")
CREDENTIALS = "credentials.env"
CLIENTS_MAX = 64
"""Client namespaces: as many as anybody has tried on a laptop; load comes from perfdhcp."""

POPULATION_MAX = 10_000
"""Honest clients at one node: one Python process has to keep all of their timers."""

_NODE = re.compile(r"([mc])([1-9][0-9]?)\Z")
_BASE_ADDRESS = parse_address("198.18.0.0")


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """`m1` is a member, `c1` a client."""

    kind: str
    number: int

    @classmethod
    def parse(cls, name: str) -> Node:
        """ToolError for anything that is no node's name."""
        match = _NODE.match(name)
        node = cls(match[1], int(match[2])) if match else None
        most = MEMBERS_MAX if node and node.is_member else CLIENTS_MAX
        if node is None or node.number > most:
            raise ToolError(
                f"{name!r} names nothing in a lab: members are m1..m{MEMBERS_MAX},"
                f" clients c1..c{CLIENTS_MAX}"
            )
        return node

    @classmethod
    def member(cls, name: str) -> Node:
        node = cls.parse(name)
        if not node.is_member:
            raise ToolError(f"{name} is a client, this command takes a member (m1, m2, ...)")
        return node

    @property
    def is_member(self) -> bool:
        return self.kind == "m"

    @property
    def name(self) -> str:
        return f"{self.kind}{self.number}"

    @property
    def namespace(self) -> str:
        return PREFIX + self.name

    @property
    def address(self) -> str:
        """A member's address; clients get theirs by DHCP."""
        return format_address(_BASE_ADDRESS + self.number)

    @property
    def hardware_address(self) -> str:
        """Locally administered, and the same in every lab, so that traces can be read."""
        return f"02:00:c6:12:{ord(self.kind):02x}:{self.number:02x}"


@dataclass(frozen=True, slots=True)
class LabState:
    """What a lab remembers of itself, in `root`/lab.json.

    `cuts` are directions: a pair (from, to) that the bridge does not forward."""

    root: str
    made_root: bool
    members: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    lease_s: int = 0
    mul_s: int = 0
    cuts: tuple[tuple[str, str], ...] = field(default=())

    @property
    def path(self) -> Path:
        return Path(self.root)

    @property
    def credentials(self) -> Path:
        return self.path / CREDENTIALS

    def folder(self, node: Node) -> Path:
        return self.path / node.name

    def nodes(self) -> list[Node]:
        return [Node.parse(name) for name in (*self.members, *self.clients)]

    def require(self, node: Node) -> None:
        """ToolError unless the node is part of this lab."""
        if node.name not in (*self.members, *self.clients):
            there = ", ".join((*self.members, *self.clients))
            raise ToolError(f"{node.name} is not in this lab, which has {there}")

    def with_member(self, node: Node) -> LabState:
        return replace(self, members=(*self.members, node.name))

    def with_cut(self, one: Node, other: Node, one_way: bool) -> LabState:
        new = [(one.name, other.name)] + ([] if one_way else [(other.name, one.name)])
        return replace(self, cuts=(*self.cuts, *(cut for cut in new if cut not in self.cuts)))

    def render(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def parse(cls, text: str) -> LabState:
        values = json.loads(text)
        values["cuts"] = tuple(tuple(cut) for cut in values["cuts"])
        values["members"] = tuple(values["members"])
        values["clients"] = tuple(values["clients"])
        return cls(**values)


def save_state(state: LabState) -> None:
    """Write the lab's state into its folder, and the pointer to it."""
    (state.path / "lab.json").write_text(state.render(), encoding="utf-8")
    POINTER.write_text(json.dumps({"root": state.root}) + "\n", encoding="utf-8")


def load_state() -> LabState:
    """The lab that is up on this machine; ToolError where none is."""
    try:
        root = Path(json.loads(POINTER.read_text(encoding="utf-8"))["root"])
        return LabState.parse((root / "lab.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ToolError("no lab is up; start one with `dhcpsync lab up`") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError(
            f"the lab's own record cannot be read ({error}); `dhcpsync lab down` clears it away"
        ) from None
