"""What people are told to type is what the program takes: every command line of the documents, and
of the program's own words, goes through the real parser, and nothing is carried out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import typer

from agent.snmp import columns
from agent.snmp.columns import Access, Base, Column, Syntax
from tests.tools.documented import ROOT, Command, in_documents, in_sources, split, typed
from tools import main
from tools.model.main import parse as parse_model
from tools.simulator.main import parse as parse_simulation

_OWN_PARSERS: dict[str, Callable[[list[str]], Any]] = {
    "simulate": parse_simulation,
    "model": parse_model,
}
_FILLED_IN = re.compile(r"[A-Z]+(?=\Z|\[)")
"""DIR, N, NAME, A[:PORT]: what somebody puts in; a 1 will do for a number and a name."""


_UNFINISHED = re.compile("Missing (argument|option)|requires an argument")
"""In running text an option is told alone, as in `dhcpsync apply --plan`."""

_ELSEWHERE = re.compile(r".*No such file or directory: '.*\n", re.DOTALL)
"""A plan that is to be replayed is opened while arguments are read."""


class Parser:
    """The command line of `dhcpsync`, with commands that do nothing."""

    def __init__(self) -> None:
        self._command: Any = typer.main.get_command(main.app)
        self._silence(self._command, "")

    def _silence(self, command: Any, name: str) -> None:
        for child, one in getattr(command, "commands", {}).items():
            self._silence(one, child)
        if not hasattr(command, "commands"):
            command.callback = lambda **_: None
            if name in _OWN_PARSERS:
                parse = _OWN_PARSERS[name]
                command.invoke = lambda context: parse(list(context.args))

    def find(self, words: Iterable[str]) -> Any:
        """The command, or group of commands, that has that name."""
        found = self._command
        for word in words:
            found = found.commands[word]
        return found

    def takes(self, words: Iterable[str]) -> bool:
        """Errors are on stderr."""
        try:
            self._command.main(args=list(words), prog_name="dhcpsync")
        except SystemExit as ended:
            return not ended.code
        return True


@pytest.fixture(scope="module")
def parser() -> Parser:
    return Parser()


@pytest.fixture(autouse=True)
def _no_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POOL", "ADDRESS", "CREDENTIALS"):
        monkeypatch.delenv(f"DHCPSYNC_{name}", raising=False)


def is_only_a_name(parser: Parser, words: tuple[str, ...]) -> bool:
    """`dhcpsync apply` in running text is no order to type it without a file."""
    try:
        parser.find(words)
    except (KeyError, AttributeError):
        return False
    return True


def objection(parser: Parser, command: Command, told: Callable[[], str]) -> str:
    """What the parser has against it; "": nothing."""
    words = command.words[1 : command.words.index("...") if "..." in command.words else None]
    if command.whole:
        return "" if parser.takes(words) else _ELSEWHERE.sub("", told())
    if is_only_a_name(parser, words):
        return ""
    if parser.takes([_FILLED_IN.sub("1", word) for word in words]):
        return ""
    words_said = told()
    return "" if _UNFINISHED.search(words_said) else words_said


DOCUMENTED = in_documents()


def test_every_dhcpsync_line_of_the_documents_is_taken(
    parser: Parser, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = [one for one in DOCUMENTED if one.words[0] == "dhcpsync"]
    assert wrong_ones(parser, ours, capsys) == []
    assert sum(one.whole for one in ours) > 60


def test_every_dhcpsync_line_that_the_program_tells_is_taken(
    parser: Parser, capsys: pytest.CaptureFixture[str]
) -> None:
    told = [one for one in in_sources() if one.words[0] == "dhcpsync"]
    assert len(told) > 40
    assert wrong_ones(parser, told, capsys) == []


def wrong_ones(
    parser: Parser, told: list[Command], capsys: pytest.CaptureFixture[str]
) -> list[str]:
    found = [(one, objection(parser, one, lambda: said(capsys))) for one in told]
    return [f"{one}: {words.splitlines()[-1]}" for one, words in found if words]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    return captured.err or captured.out or "refused"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("dhcpsync member pauze south", "No such command 'pauze'"),
        ("dhcpsync status --adress 192.0.2.1", "No such option"),
        ("dhcpsync member rename south", "Missing argument 'NEW'"),
        ("dhcpsync member list south", "unexpected extra argument"),
        ("dhcpsync group --mul soon", "should be a valid integer"),
        ("dhcpsync simulate --hours long", "invalid float value"),
    ],
)
def test_a_line_that_is_wrong_is_found(
    parser: Parser, line: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (command,) = split("x.md", line)
    assert words in objection(parser, command, lambda: said(capsys))


def test_lines_are_read_as_a_shell_reads_them() -> None:
    block = (
        "x=1\n$ dhcpsync status DIR; echo $?  # told\ndhcpsync lab exec c1 \\\n  -- snmpget a b\n"
    )
    block += (
        "dhcpsync dump --json | dhcpsync apply /dev/stdin > x\n2 of 3 serve; dhcpsync is here\n"
    )
    found = [one.words for line in typed(block) for one in split("x.md", line)]
    assert found == [
        ("dhcpsync", "status", "DIR"),
        ("dhcpsync", "lab", "exec", "c1", "--", "snmpget", "a", "b"),
        ("snmpget", "a", "b"),
        ("dhcpsync", "dump", "--json"),
        ("dhcpsync", "apply", "/dev/stdin"),
    ]


# --- make


def test_every_make_that_is_told_has_a_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    told = [one for one in DOCUMENTED if one.words[0] == "make"]
    for one in told:
        for word in one.words[1:]:
            name, equals, _ = word.partition("=")
            known = f"$({name})" in makefile or f"{name} ?=" in makefile if equals else False
            assert known or word in targets, str(one)
    assert len(told) > 5


# --- net-snmp

_TYPES = {Base.INTEGER: "i", Base.UNSIGNED: "u", Base.OCTETS: "sx", Base.COUNTER64: ""}
_COLUMNS = {one.name: one for table in columns.TABLES for one in table.columns.values()}
_NAMED: dict[str, Syntax] = {name: one.syntax for name, one in _COLUMNS.items()}
_NAMED |= {name: one.syntax for name, one in columns.SCALARS.items()}
_TABLES = {f"{table.name}Table": table.entry[:-1] for table in columns.TABLES}
_NUMBERED = [
    *(one.oid for one in _COLUMNS.values()),
    *(one.oid for one in columns.SCALARS.values()),
]
_OBJECT = re.compile(r"(dhcpSync\w+|\$mib)((?:\.[\w]+)*)\Z")
_OF_SYSTEM = {"sysContact.0", "sysLocation.0", "snmpSetSerialNo.0"}


def numbers(dotted: str) -> tuple[int, ...]:
    return tuple(int(part) for part in dotted.split(".") if part)


def column_of(word: str) -> Column | None:
    """The column that an object of a SET is of, by its name or number."""
    found = _OBJECT.match(word)
    if found is None:
        return None
    if found[1] != "$mib":
        return _COLUMNS[found[1]]
    oid = (*columns.OBJECTS, *numbers(found[2]))
    (column,) = [one for one in _COLUMNS.values() if oid[: len(one.oid)] == one.oid]
    return column


def is_an_object(word: str) -> bool:
    found = _OBJECT.match(word)
    assert found is not None
    if found[1] != "$mib":
        return found[1] in _NAMED or found[1] in _TABLES
    oid = (*columns.OBJECTS, *numbers(found[2]))
    return oid in _TABLES.values() or any(oid[: len(one)] == one for one in _NUMBERED)


def check_assignments(words: tuple[str, ...]) -> int:
    """`OBJECT TYPE VALUE` each; how many there are."""
    objects = [at for at, word in enumerate(words) if _OBJECT.match(word) or word in _OF_SYSTEM]
    for at in objects:
        column = column_of(words[at])
        if column is None:
            continue
        assert column.access is not Access.READ_ONLY, words[at]
        kind, value = words[at + 1], words[at + 2]
        assert kind in _TYPES[column.syntax.base], (words[at], kind)
        names = column.syntax.names
        if kind == "i" and names:
            assert value in {*names.values(), *map(str, names)}, (words[at], value)
    return len(objects)


def test_objects_that_are_told_exist_and_take_what_is_set() -> None:
    told = [one for one in DOCUMENTED if one.words[0].startswith("snmp")]
    for one in told:
        for word in filter(_OBJECT.match, one.words):
            assert is_an_object(word), str(one)
        if one.words[0] == "snmpset":
            assert check_assignments(one.words), str(one)
    assert sum(one.words[0] == "snmpset" for one in told) > 8
    assert {one.words[0] for one in told} <= {
        "snmpget", "snmpset", "snmpwalk", "snmpbulkwalk", "snmptable", "snmptrapd", "snmptranslate",
    }  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "snmpset x dhcpSyncMemberRowStatus.2 s destroy",
        "snmpset x dhcpSyncMemberRowStatus.2 i destroyed",
        "snmpset x dhcpSyncMemberState.2 i 3",
        "snmpset x $mib.4.1.1.9.192.0.2.0.24 s 4",
    ],
)
def test_an_assignment_that_is_wrong_is_found(line: str) -> None:
    (command,) = split("x.md", line)
    with pytest.raises(AssertionError):
        check_assignments(command.words)
