"""The commands that the documents and the program's own words tell people to type."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SOURCES = sorted(path for part in ("agent", "tools") for path in (ROOT / part).rglob("*.py"))

_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^ {4,}.*\n)+", re.MULTILINE)
_SHELL = {"", "sh"}
_TYPED = re.compile(r"^\s*(?:\$ |[\w ]+: )?((?:dhcpsync|snmp[a-z]+|make) .*)")
_INLINE = re.compile(r"`((?:dhcpsync|snmp[a-z]+|make)\s[^`]+)`")
_PUNCTUATION = ";|&<>"


@dataclass(frozen=True, slots=True)
class Command:
    """`words` as a shell would pass them on. `whole`: it stands in a block, to be copied; one in
    running text may be no more than a command's name, and say DIR for what somebody fills in."""

    place: str
    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return f"{self.place}: {' '.join(self.words)}"


def in_documents() -> list[Command]:
    found = []
    for path in DOCUMENTS:
        text, place = path.read_text(), path.relative_to(ROOT).as_posix()
        for block in blocks(text):
            found += [one for line in typed(block) for one in split(place, line)]
        prose = _FENCE.sub("", text)
        found += [one for line in _INLINE.findall(prose) for one in alternatives(place, line)]
    return found


def in_sources() -> list[Command]:
    """Those in the strings of the code, docstrings included; a value that is put in is X."""
    found = []
    for path in SOURCES:
        place = path.relative_to(ROOT).as_posix()
        for text in _strings(ast.parse(path.read_text())):
            for line in _INLINE.findall(" ".join(text.split())):
                found += alternatives(place, line.replace("{name}", "X"))
    return found


def alternatives(place: str, line: str) -> list[Command]:
    """`dhcpsync lease find|show` is two commands."""
    words = [word.split("|") for word in shlex.split(line)]
    return [Command(place, one, whole=False) for one in itertools.product(*words)]


def _strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values
            )


def blocks(text: str) -> list[str]:
    """Of what is shown as typed: fenced without a language or as a shell's, and indented."""
    fenced = [body for language, body in _FENCE.findall(text) if language in _SHELL]
    return fenced + _INDENTED.findall(_FENCE.sub("", text))


def typed(block: str) -> list[str]:
    """Command lines, those that go on in a next line as one."""
    lines = re.sub(r"\\\n\s*", "", block).splitlines()
    return [found[1] for line in lines if (found := _TYPED.match(line))]


def split(place: str, line: str) -> list[Command]:
    """The commands of one line: what is piped or follows, and what another one is to run."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=_PUNCTUATION)
    lexer.whitespace_split = True
    found, words = [], [*lexer, ";"]
    while words:
        end = next(at for at, word in enumerate(words) if set(word) <= set(_PUNCTUATION))
        one, words = words[:end], words[end + 1 :]
        if one and _TYPED.match(shlex.join(one) + " "):
            found.append(Command(place, tuple(one), whole=True))
            inner = one[one.index("--") + 1 :] if "--" in one else []
            found += split(place, shlex.join(inner)) if inner else []
    return found
