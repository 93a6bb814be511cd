"""The audit: of one member from its store, or of all members of a group over SNMP, in one order."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import typer

from agent.health import MemberStatus
from agent.limits import EVENTS_PAGE
from agent.member_file import STORE_NAME
from agent.snmp.columns import AUDIT
from agent.snmp.oid import Oid
from store import AuditEntry, Store, open_to_read
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


def show_store(folder: Path, *, as_objects: bool) -> None:
    """Every SET that this member was given, and what it did by itself. Each page is a transaction
    of its own, so that no checkpoint waits for who reads slowly. Raises StoreError."""
    with closing(open_to_read(folder / STORE_NAME)) as store:
        seq = 0
        while entries := _page(store, seq):
            seq = entries[-1].seq
            _print((_of_store(one) for one in entries), as_objects)


def _page(store: Store, seq: int) -> list[AuditEntry]:
    with store.read() as tx:
        return tx.audit_after(seq, EVENTS_PAGE)


def _of_store(one: AuditEntry) -> Entry:
    at = datetime.datetime.fromtimestamp(one.at, datetime.UTC)
    return Entry(at, "", one.seq, one.user, one.action, one.detail)


def verify_store(folder: Path) -> None:
    """StoreError names the first entry that is not as it was written."""
    with closing(open_to_read(folder / STORE_NAME)) as store, store.read() as tx:
        count = tx.verify_audit()
    typer.echo(f"{count} entries, each as it was written")


def show_group(place: Place, *, as_objects: bool) -> bool:
    """Of every member that was not removed; whether all of them answered. ManagerError where none
    does."""
    entries: list[Entry] = []
    is_whole = True
    for one in place.run(read_members):
        if one.state == "removed":
            continue
        try:
            entries += place.at(one.address, one.port).run(partial(_read, member=one))
        except ManagerError as error:
            typer.echo(f"dhcpsync: {one.name} is left out: {error}", err=True)
            is_whole = False
    never = datetime.datetime.min.replace(tzinfo=datetime.UTC)
    entries.sort(key=lambda entry: (entry.at or never, entry.member, entry.number))
    _print(entries, as_objects)
    return is_whole


def _read(manager: Session, member: MemberStatus) -> list[Entry]:
    return [_of_table(member, index, row) for index, row in manager.table(AUDIT).items()]


def _of_table(member: MemberStatus, index: Oid, row: Row) -> Entry:
    user, action, detail = (
        octets_in(row, name).decode("utf-8", "replace") for name in ("User", "Action", "Detail")
    )
    at = instant_of(octets_in(row, "Time"))
    return Entry(at, member.name, index[0], user, action, detail)


def _print(entries: Iterable[Entry], as_objects: bool) -> None:
    for one in entries:
        typer.echo(json.dumps(one.as_json(), ensure_ascii=False) if as_objects else one.line())
