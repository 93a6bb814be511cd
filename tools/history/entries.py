"""Entries of the audits of a group's members, read over SNMP; like all that speaks to members,
without a store."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from agent.health import MemberStatus
from agent.snmp.columns import AUDIT
from agent.snmp.oid import Oid
from tools.console import shown
from tools.errors import ManagerError
from tools.lease.lease import instant_of
from tools.manager import Row, Session, octets_in
from tools.status import read_members
from tools.target import Place


@dataclass(frozen=True, slots=True)
class Entry:
    """`member` is its name, "" where only one was read; `at` None: it cannot be read."""

    at: datetime.datetime | None
    member: str
    number: int
    user: str
    action: str
    detail: str

    def as_json(self) -> dict[str, Any]:
        return {
            "member": self.member,
            "number": self.number,
            "time": self.at.isoformat() if self.at else None,
            "user": self.user,
            "action": self.action,
            "detail": self.detail,
        }

    def line(self) -> str:
        at = f"{self.at:%Y-%m-%d %H:%M:%S} UTC" if self.at else "(unknown)"
        where = f"{self.member}  " if self.member else ""
        words = f"{where}{self.user or '-'}  {self.action}  {self.detail}"
        return f"{self.number:>7}  {at}  {shown(words)}"


def read_group(
    place: Place,
    left_out: Callable[[str, ManagerError], object],
    *,
    patience_s: float | None = None,
) -> list[Entry]:
    """The entries of every member that was not removed, in the order of their instants;
    `patience_s`: so long for each answer, and asked once. ManagerError where no member answers."""
    entries: list[Entry] = []
    for one in place.run(read_members):
        if one.state == "removed":
            continue
        target = place.at(one.address, one.port)
        if patience_s is not None:
            target = target.with_patience(patience_s)
        try:
            entries += target.run(partial(_read, member=one))
        except ManagerError as error:
            left_out(one.name, error)
    never = datetime.datetime.min.replace(tzinfo=datetime.UTC)
    return sorted(entries, key=lambda entry: (entry.at or never, entry.member, entry.number))


def _read(manager: Session, member: MemberStatus) -> list[Entry]:
    return [_of_table(member, index, row) for index, row in manager.table(AUDIT).items()]


def _of_table(member: MemberStatus, index: Oid, row: Row) -> Entry:
    user, action, detail = (
        octets_in(row, name).decode("utf-8", "replace") for name in ("User", "Action", "Detail")
    )
    at = instant_of(octets_in(row, "Time"))
    return Entry(at, member.name, index[0], user, action, detail)
