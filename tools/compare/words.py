"""Differences in an operator's words. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from agent.errors import ConfigError
from agent.kinds import kind_of, row_name
from agent.model import (
    NEVER,
    Binding,
    ConfigRecord,
    Group,
    MemberId,
    format_address,
    stream_member,
)
from agent.settings.validate import validate_configuration
from tools.compare.judge import Verdict
from tools.compare.overlap import Overlap
from tools.compare.values import Difference, Kind, Told
from tools.console import shown
from tools.lease.lease import local_time

Names = Mapping[MemberId, str]

_FIELDS_MAX = 3
"""Named of one row: whoever changes more than that has made another row."""
_FIELDS = {
    "client_key": "client",
    "client_id": "client identifier",
    "hardware_type": "hardware type",
    "hardware_address": "hardware address",
    "hostname": "host name",
    "state": "state",
    "epoch": "epoch",
    "grant": "grant",
    "transaction": "last transaction",
    "transaction_server": "server of the last transaction",
    "options": "options",
    "expires_at": "end",
    "potential_expires_at": "potential end",
    "transaction_at": "time of the last transaction",
}
_INSTANTS = ("expires_at", "potential_expires_at", "transaction_at")


def binding_difference(
    address: int, verdict: Verdict[Binding], names: Names, slack_s: int
) -> Difference:
    rows = [row for row, _ in verdict.groups if row is not None]
    parts = [
        f"no record at {together(members, names)}" for row, members in verdict.groups if row is None
    ]
    fields = [field for field in _FIELDS if _differs(rows, field, slack_s)]
    if len(rows) < 2:
        parts += [
            f"{_words('client_key', row)}, until {_words('expires_at', row)} at"
            f" {together(members, names)}"
            for row, members in verdict.groups
            if row is not None
        ]
    for field in fields[:_FIELDS_MAX]:
        parts.append(f"{_FIELDS[field]} {_values(verdict, names, partial(_words, field))}")
    if len(fields) > _FIELDS_MAX:
        parts.append(f"and {len(fields) - _FIELDS_MAX} more fields")
    if len(rows) > 1 and not fields:
        parts.append(f"last change {_values(verdict, names, lambda row: _change(row, names))}")
    return _of_row(Kind.BINDING, format_address(address), parts, verdict, names)


def configuration_difference(verdict: Verdict[ConfigRecord], names: Names) -> Difference:
    record = next(record for record, _ in verdict.groups if record is not None)
    return _of_row(
        Kind.CONFIGURATION,
        row_name(record.row),
        _configuration_parts(verdict, names),
        verdict,
        names,
    )


def contradictions(told: Mapping[MemberId, Told], names: Names) -> list[Difference]:
    """What no SET could have made: changes on two sides of a cut, each right by itself, whose rows
    are merged one by one. Of each member the first that is found."""
    found: dict[tuple[str, str], list[MemberId]] = {}
    for member, one in sorted(told.items()):
        records = [record for _, record in sorted(one.records.items()) if not record.deleted]
        try:
            validate_configuration([], [(record.row, False) for record in records], lambda *_: 0)
        except ConfigError as error:
            found.setdefault((error.name, str(error)), []).append(member)
    to_do = (
        "Changes were made on two sides of a cut, each right by itself: `dhcpsync config log DIR`"
        " tells whose. Change or delete one of the rows, at any member."
    )
    return [
        Difference(
            Kind.CONFIGURATION,
            shown(what),
            f"Rows that cannot be together at {together(members, names)}: {shown(problem)}.",
            to_do,
        )
        for (what, problem), members in found.items()
    ]


def overlap_difference(overlap: Overlap, first: int, last: int, names: Names) -> Difference:
    what = format_address(first) + ("" if first == last else f"-{format_address(last)}")
    low, high = sorted((overlap.one, overlap.other), key=lambda one: one.epoch)
    words = (
        f"{what}: {names[low.member]} (epoch {low.epoch}) and {names[high.member]}"
        f" (epoch {high.epoch}) may both give it to new clients."
    )
    to_do = (
        f"No order mends this. Pause {names[low.member]} now; then stop it, `dhcpsync member retire"
        " DIR` on its machine, and start it: it gives up all it owns."
    )
    return Difference(Kind.OWNERSHIP, what, words, to_do)


def group_difference(groups: Mapping[MemberId, Group], names: Names) -> Difference | None:
    """None where all hold the same one by now."""
    found: dict[Group, list[MemberId]] = {}
    for member, group in sorted(groups.items()):
        found.setdefault(group, []).append(member)
    if len(found) < 2:
        return None
    latest = max(group.generation for group in found)
    words = "; ".join(
        f"{together(members, names)} at generation {group.generation}"
        for group, members in found.items()
    )
    if all(group.generation == latest for group in found):
        to_do = (
            "Two decisions were made on two sides of a cut: the members come to one of them when"
            " they hear each other, and `dhcpsync member list` shows who is in it."
        )
    else:
        to_do = (
            "Who is behind takes the later one when it hears of it: look at its log, and at"
            " `dhcpsync member list` there."
        )
    return Difference(Kind.GROUP, "group", f"The group: {words}.", to_do)


def _of_row(
    kind: Kind,
    what: str,
    parts: Sequence[str],
    verdict: Verdict[Binding] | Verdict[ConfigRecord],
    names: Names,
) -> Difference:
    wrong, right = verdict.wrong, verdict.right
    to_do = f"`--repair` has {together(wrong, names)} take the record of {names[right[0]]}."
    if len(right) <= max(len(members) for _, members in verdict.groups[1:]):
        to_do += " Nobody can know which is right: look at the client first."
    words = f"{shown(what)}: {'; '.join(parts)}."
    return Difference(kind, what, words, to_do, wrong, right)


def together(members: Iterable[MemberId], names: Names) -> str:
    told = [names[member] for member in members]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"


def _differs(rows: Sequence[Binding], field: str, slack_s: int) -> bool:
    values = [getattr(row, field) for row in rows]
    if field in _INSTANTS:
        return bool(values) and max(values) - min(values) > slack_s
    return len(set(values)) > 1


def _values(verdict: Verdict[Binding], names: Names, words: Callable[[Binding], str]) -> str:
    return ", ".join(
        f"{words(row)} at {together(members, names)}"
        for row, members in verdict.groups
        if row is not None
    )


def _words(field: str, row: Binding) -> str:
    value = getattr(row, field)
    if field in _INSTANTS:
        return _instant(value)
    if field == "client_key":
        return row.hardware_address.hex(":") or row.client_key.hex(":") or "nobody"
    if isinstance(value, bytes):
        return value.hex(":") or "none"
    if field in ("state", "transaction"):
        return str(value.name)
    return shown(str(value)) or "none" if value is not None else "none"


def _change(row: Binding, names: Names) -> str:
    author = stream_member(row.stream)
    return f"number {row.seq} of {names.get(author, f'member {author}')}"


def _instant(value: int) -> str:
    if value >= NEVER:
        return "never"
    if value <= 0:
        return "none"
    return local_time(datetime.datetime.fromtimestamp(value, datetime.UTC))


def _configuration_parts(verdict: Verdict[ConfigRecord], names: Names) -> list[str]:
    records = [record for record, _ in verdict.groups if record is not None]
    kind = kind_of(records[0].row)
    fields = [
        field.name
        for field in kind.fields
        if len({getattr(record.row, field.name) for record in records}) > 1
    ]
    parts = []
    for record, members in verdict.groups:
        if record is None:
            said = "not known"
        elif record.deleted:
            said = "deleted"
        else:
            told = [
                f"{name} {_instant(value) if name in kind.instants else shown(_plain(value))}"
                for name in fields
                for value in [getattr(record.row, name)]
            ]
            told += [] if record.row.active else ["not in service"]
            said = ", ".join(told[:_FIELDS_MAX]) or "there"
        version = f" (version {record.version.counter})" if record is not None else ""
        parts.append(f"{said}{version} at {together(members, names)}")
    return parts


def _plain(value: object) -> str:
    return value.hex(":") or "none" if isinstance(value, bytes) else str(value)
