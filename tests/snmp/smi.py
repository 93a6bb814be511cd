"""A reader for the SMIv2 text of our own MIB: enough to hold every object against the code.

The modules that it imports from are not needed, so the comparison runs on every machine; where
their texts are installed, `test_mib` also has smilint and pysmi judge the module.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MIB_FILE = ROOT / "mibs" / "DHCP-SYNC-MIB.txt"

_NODE = re.compile(
    r"^(?P<name>[a-z]\w*)\s+(?:OBJECT IDENTIFIER|(?P<macro>[A-Z-]+)\s(?P<body>.*?))"
    r"\s*::=\s*\{\s*(?P<parent>[a-z]\w*)\s+(?P<arc>\d+)\s*\}",
    re.S | re.M,
)
_CONVENTION = re.compile(r"^(\w+) ::= TEXTUAL-CONVENTION.*?\n    SYNTAX +(.+?)\n\n", re.S | re.M)


@dataclass(frozen=True)
class Node:
    name: str
    oid: tuple[int, ...]
    macro: str
    syntax: str
    access: str
    index: tuple[str, ...]
    objects: tuple[str, ...] = ()
    default: str = ""


def read_module(path: Path = MIB_FILE) -> dict[str, Node]:
    """Every node of the module by name."""
    text = re.sub(r"--.*", "", path.read_text())
    body = re.sub(r'"[^"]*"', '""', text[text.index(";") + 1 :])
    conventions = dict(_CONVENTION.findall(body))
    oids: dict[str, tuple[int, ...]] = {"enterprises": (1, 3, 6, 1, 4, 1)}
    found = list(_NODE.finditer(body))
    while len(oids) <= len(found):
        before = len(oids)
        for match in found:
            if match["parent"] in oids:
                oids[match["name"]] = (*oids[match["parent"]], int(match["arc"]))
        assert len(oids) > before, "a node hangs under a name that is defined nowhere"
    nodes = {}
    for match in found:
        inner = match["body"] or ""
        syntax = _clause(inner, r"SYNTAX\s+(.*?)\s+(?:UNITS|MAX-ACCESS)")
        word = syntax.split(" ")[0]
        nodes[match["name"]] = Node(
            match["name"],
            oids[match["name"]],
            match["macro"] or "",
            syntax.replace(word, conventions.get(word, word), 1),
            _clause(inner, r"MAX-ACCESS\s+(\S+)"),
            tuple(
                word.strip().removeprefix("IMPLIED ")
                for word in _clause(inner, r"INDEX\s+\{(.*?)\}").split(",")
                if word.strip()
            ),
            tuple(re.findall(r"\w+", _clause(inner, r"\bOBJECTS\s+\{(.*?)\}"))),
            _clause(inner, r"DEFVAL\s+\{(.*?)\}"),
        )
    return nodes


def description(name: str) -> str:
    """What the module says of a node, in one line."""
    text = MIB_FILE.read_text()
    match = re.search(rf'^{name} [A-Z-]+-TYPE\n.*?DESCRIPTION\s+"([^"]+)"', text, re.S | re.M)
    assert match, name
    return " ".join(match[1].split())


def _clause(text: str, pattern: str) -> str:
    match = re.search(pattern, text, re.S)
    return " ".join(match[1].split()) if match else ""


def enumeration(syntax: str) -> dict[int, str]:
    """The words of `INTEGER { a(1), b(2) }` by number."""
    return {int(number): word for word, number in re.findall(r"(\w+)\((-?\d+)\)", syntax)}


def bounds(syntax: str) -> tuple[int, int] | None:
    """The range or size of a syntax, where it states one."""
    match = re.search(r"\((?:SIZE \()?(-?\d+)(?:\.\.(\d+))?\)", syntax)
    return (int(match[1]), int(match[2] or match[1])) if match else None
