"""docs/wire.md has every octet of the packed form: `Page` reads strings by its tables alone, and
finds in them what was put in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from agent import limits
from agent.model import NEVER, Binding, ConfigRecord, Group, Subnet
from agent.sync import codec
from agent.sync import messages as m
from agent.sync.conflict import Rank, pack_parties
from tests.sync import strategies as some
from tests.sync.lan import POOL_FIRST, make_binding

PAGE = Path(__file__).parents[2] / "docs" / "wire.md"
FEW = settings(
    max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
"""What a string may say is tried at length by `test_codec`."""
Told = dict[str, Any]


class Page:
    """The tables of the page: fields of a form, forms by a number, bodies by the kind of string."""

    def __init__(self, text: str) -> None:
        self.forms: dict[str, list[tuple[str, str]]] = {}
        self.choices: dict[str, tuple[str, dict[int, str]]] = {}
        self.bodies: dict[int, str] = {}
        for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
            name, _, rest = section.partition("\n")
            self.forms.setdefault(name, [])
            for table in re.findall(r"(?:^\|.*\n)+", rest, re.MULTILINE):
                head, _, *rows = [self._cells(line) for line in table.splitlines()]
                if head[0] == "octets":
                    self.forms[name] = [(row[0], row[1].replace(" ", "_")) for row in rows]
                elif head[0] == "kind":
                    self.bodies = {int(row[0]): row[1] for row in rows}
                else:
                    numbers = {int(row[0]): row[1] for row in rows}
                    self.choices[name] = head[0].replace(" ", "_"), numbers

    @staticmethod
    def _cells(line: str) -> list[str]:
        return [cell.strip() for cell in line.strip("|").split("|")]


@cache
def page() -> Page:
    return Page(PAGE.read_text())


class Octets:
    """One string, read field by field. `clock` is the opening's, in seconds."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.clock = 0

    def take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        assert len(taken) == count, f"octet {self.at} of {len(self.data)}"
        self.at += count
        return taken

    def number(self, count: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(count), "big", signed=signed)

    def instant(self) -> int:
        away = self.number(4, signed=True)
        return {0x7FFF_FFFF: NEVER, -0x8000_0000: 0}.get(away, max(1, self.clock + away))

    def form(self, name: str) -> Told:
        if name in page().choices:
            _, forms = page().choices[name]  # by the first octet
            return self.form(forms[self.data[self.at]])
        told: Told = {}
        for what, field in page().forms[name]:
            told[field] = self.value(what, told)
        return told

    def value(self, what: str, told: Told) -> Any:
        if match := re.fullmatch(r"(\d)(±?)", what):
            return self.number(int(match[1]), signed=bool(match[2]))
        if what == "i":
            return self.instant()
        if what in ("t", "o", "o2"):
            octets = self.take(self.number(2 if what == "o2" else 1))
            return octets.decode() if what == "t" else octets
        if what.startswith("["):
            return self.take(told[what[1:-1].replace(" ", "_")])
        if what.startswith("n × "):
            return [self.value(what[4:], told) for _ in range(self.number(2))]
        if what.startswith("? "):
            return self.form(what[2:]) if self.number(1) else None
        by, forms = page().choices.get(what, ("first_octet", {}))
        return self.form(what if by == "first_octet" else forms[told[by]])


def read(data: bytes) -> tuple[int, Told]:
    """The kind of a string, and its body."""
    octets = Octets(data)
    opening = octets.form("opening")
    assert opening["version"] == 1
    octets.clock = opening["clock"] // 1000
    body = octets.form(page().bodies[opening["kind"]])
    assert octets.at == len(data), "octets are left"
    return opening["kind"], body


# --- what was put in, in the words of the page


def same(told: Any, meant: Any) -> None:
    """Field by field, where the page has other words than the code by `binding`, `attribute`."""
    if isinstance(meant, Binding):
        told = binding(told)
    elif isinstance(meant, ConfigRecord):
        same_record(told, meant)
        return
    elif isinstance(meant, Mapping):
        meant = sorted(meant.items())
    if isinstance(told, dict) and isinstance(meant, tuple) and not hasattr(meant, "_fields"):
        told = list(told.values())
    if isinstance(told, list):
        assert len(told) == len(meant)
        for one, other in zip(told, meant, strict=True):
            same(one, other)
    elif isinstance(told, dict):
        for field, value in told.items():
            same(value, attribute(meant, field))
    else:
        assert told == meant, (told, meant)


def attribute(meant: Any, field: str) -> Any:
    if isinstance(meant, m.Hello) and field.startswith("known_"):
        return getattr(meant.known, field.removeprefix("known_"))
    if isinstance(meant, Subnet) and field == "claims_and_probe":
        return meant.claims | (meant.probe - 1) << 4
    return getattr(meant, field)


def binding(told: Told) -> Told:
    """As the page says of flags, key and name."""
    flags = told["flags"]
    if not flags & 16:
        told["client_id"] = None
    if flags & 4:
        told["client_key"] = b"\x01" + told["client_id"]
    elif flags & 8:
        told["client_key"] = b"\x00" + bytes((told["hardware_type"],)) + told["hardware_address"]
    told["hostname"] = told["hostname"].decode()
    left_out = [field for field in told if field.endswith("_octets")]
    assert told.pop("record") == 1
    told["state"] = told.pop("flags") & 3
    return {field: value for field, value in told.items() if field not in left_out}


def same_record(told: Told, meant: ConfigRecord) -> None:
    assert (told["record"], told["flags"]) == (2, meant.deleted | meant.row.active << 1)
    assert (told["counter"], told["member"]) == (meant.version.counter, meant.version.member)
    assert (told["stream"], told["seq"]) == (meant.stream, meant.seq)
    same(told["row"], meant.row)


@FEW
@given(some.records)
def test_records(record: m.Record) -> None:
    kind, told = read(codec.pack_record(record, some.NOW_MS))
    assert kind == 0
    same(told, record)


@FEW
@given(some.record_lists)
def test_lists_of_records(records: tuple[m.Record, ...]) -> None:
    kind, told = read(codec.pack_records(records, some.NOW_MS))
    assert kind == 3
    same(told["records"], records)


@FEW
@given(some.groups)
def test_groups(group: Group) -> None:
    kind, told = read(codec.pack_group(group))
    assert kind == 4
    same(told, group)


READS = (m.ChangePull, m.BlockPull, m.StreamQuery, m.GroupQuery)
PAGES = (m.ChangePage, m.BlockPage, m.StreamAnswer, m.GroupAnswer)


@FEW
@given(some.requests.filter(lambda request: not isinstance(request, READS)))
def test_requests(request: m.Request) -> None:
    kind, told = read(codec.pack_request(request, some.NOW_MS))
    assert page().bodies[kind] == type(request).__name__
    same(told, request)


@FEW
@given(some.responses.filter(lambda response: not isinstance(response, PAGES)))
def test_answers(response: m.Response) -> None:
    kind, told = read(codec.pack_response(response, some.NOW_MS))
    assert page().bodies[kind] == type(response).__name__
    same(told, response)


@FEW
@given(some.parties)
def test_parties_of_a_conflict(parties: dict[bytes, Rank]) -> None:
    octets = Octets(pack_parties(parties))
    for key in sorted(parties):
        told = octets.form("party")
        assert told.pop("key_octets") == len(key)
        assert told.pop("key") == key
        same(told, parties[key])
    assert octets.at == len(octets.data)


def test_every_kind_is_there() -> None:
    packed = {number: made.__name__ for made, (number, *_) in codec._REQUESTS.items()}
    packed |= {number: made.__name__ for made, (number, *_) in codec._RESPONSES.items()}
    (left_out,) = re.findall(r"^Kinds ((?:\d+, )+\d+ and \d+) are", PAGE.read_text(), re.MULTILINE)
    of_reads = {int(number) for number in re.findall(r"\d+", left_out)}
    assert {packed[number] for number in of_reads} == {one.__name__ for one in (*READS, *PAGES)}
    told = {number: body for number, body in page().bodies.items() if number > 4}
    assert told == {n: name for n, name in packed.items() if n not in of_reads}
    assert {number: body for number, body in page().bodies.items() if number <= 4} == {
        0: "record",
        3: "records",
        4: "group",
    }


def test_every_form_is_used_and_the_bounds_are_those_of_the_code() -> None:
    used = {re.sub(r"^(?:n ×|\?) ", "", what) for form in page().forms.values() for what, _ in form}
    used |= {form for _, forms in page().choices.values() for form in forms.values()}
    used |= set(page().bodies.values())
    assert page().forms.keys() - used == {"opening", "party"}
    (bounds,) = re.findall(r"A string has (.+)\.", PAGE.read_text())
    assert [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", bounds)] == [
        limits.MEMBERS_MAX,
        limits.MEMBERS_LISTED_MAX,
        limits.STREAMS_MAX,
        limits.UPDATE_RECORDS_MAX,
        limits.POLL_RANGES_MAX,
        limits.FREE_TOLD_MAX,
    ]


def test_what_is_cut_or_too_long_is_found() -> None:
    row = make_binding(POOL_FIRST, some.NOW_S, stream=1 << 32 | 1, seq=7)
    data = codec.pack_record(row, some.NOW_MS)
    read(data)
    with pytest.raises(AssertionError, match="octet"):
        read(data[:-1])
    with pytest.raises(AssertionError, match="left"):
        read(data + b"\x00")


EXAMPLE = re.compile(r"^```hex\n(.+?)^```\n\n```text\n(.+?)^```$", re.MULTILINE | re.DOTALL)


def test_the_examples_say_what_their_octets_say() -> None:
    """Read by the tables, and by the codec too."""
    found = EXAMPLE.findall(PAGE.read_text())
    assert len(found) == 3
    for octets, text in found:
        data = bytes.fromhex(octets)
        kind, told = read(data)
        assert "\n".join([page().bodies[kind], *lines(told)]) + "\n" == text
        if kind == 0:
            codec.unpack_record(data, some.NOW_MS)
        else:
            (codec.unpack_request if kind < 64 else codec.unpack_response)(data, some.NOW_MS)


def lines(told: Told, before: str = "") -> list[str]:
    """Each field in a line of its own."""
    found = []
    for field, value in told.items():
        name = before + field.replace("_", " ")
        if isinstance(value, dict):
            found += lines(value, f"{name}, ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for number, one in enumerate(value, 1):
                found += lines(one, f"{name} {number}, ")
        else:
            shown = value.hex() if isinstance(value, bytes) else value
            found.append(f"{name}: {shown}".rstrip())
    return found
