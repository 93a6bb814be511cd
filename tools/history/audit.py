"""The audit: of one member from its store, or of all members of a group over SNMP, in one order."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import typer

from agent.limits import EVENTS_PAGE
from agent.member_file import STORE_NAME
from store import AuditEntry, Store, open_to_read
from tools.errors import ManagerError
from tools.history.entries import Entry, read_group
from tools.target import Place


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
    silent: list[str] = []

    def left_out(name: str, error: ManagerError) -> None:
        silent.append(name)
        typer.echo(f"dhcpsync: {name} is left out: {error}", err=True)

    _print(read_group(place, left_out), as_objects)
    return not silent


def _print(entries: Iterable[Entry], as_objects: bool) -> None:
    for one in entries:
        typer.echo(json.dumps(one.as_json(), ensure_ascii=False) if as_objects else one.line())
