"""Rows for the store's tests, and what a process has open."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.model import (
    AddressRange,
    AddressState,
    Binding,
    BindingState,
    Group,
    Member,
    MemberRole,
    MemberState,
    Nonce,
    Transaction,
    stream_id,
)
from agent.port import StoreTransaction

BASE = 0x0A00_0000
NOW = 1_800_000_000


def save(tx: StoreTransaction, rows: Sequence[Binding]) -> list[Binding]:
    """Save rows as own changes; returns them with the numbers that they took."""
    first, local = tx.save_bindings(rows), tx.local()
    stream = stream_id(local.member, local.incarnation)
    return [row._replace(stream=stream, seq=seq) for seq, row in enumerate(rows, first)]


def binding(address: int, client: int = 1, **changes: Any) -> Binding:
    fields: dict[str, Any] = {
        "address": address,
        "client_key": b"\x01" + client.to_bytes(4, "big"),
        "client_id": client.to_bytes(4, "big"),
        "hardware_type": 1,
        "hardware_address": b"\x02\x00" + client.to_bytes(4, "big"),
        "hostname": f"host-{client}",
        "state": BindingState.BOUND,
        "epoch": 1,
        "grant": 1,
        "expires_at": NOW + 3600,
        "potential_expires_at": NOW + 7200,
        "acknowledged_at": 0,
        "transaction": Transaction.SELECTING,
        "transaction_at": NOW,
        "transaction_server": 1,
        "options": b"\x01\x04\xff\xff\xff\x00",
    }
    return Binding(**(fields | changes))


def address_range(first: int, last: int, **changes: Any) -> AddressRange:
    fields: dict[str, Any] = {
        "first": first,
        "last": last,
        "state": AddressState.BINDABLE,
        "epoch": 1,
        "member": 1,
        "nonce": Nonce(1, 7),
        "generation": 3,
    }
    return AddressRange(**(fields | changes))


def group(generation: int = 1, **changes: Any) -> Group:
    members = (
        Member(1, "m1", BASE + 1, 161, b"\x80\x00\x7e\xd9\x01"),
        Member(2, "m2", BASE + 2, 161, b"\x80\x00\x7e\xd9\x02", MemberState.JOINING),
        Member(
            3, "m3", BASE + 3, 10161, b"\x80\x00\x7e\xd9\x03", MemberState.REMOVED,
            MemberRole.DATABASE, 4, 7, True,
        ),
    )  # fmt: skip
    fields: dict[str, Any] = {
        "name": "campus", "mul_s": 600, "lease_s": 3600, "members": members,
        "safe_period_s": 7200, "past_mul_s": 900, "forced": 2,
    }  # fmt: skip
    return Group(generation=generation, **(fields | changes))


def held_open(folder: Path) -> set[str]:
    """The files in a folder that this process has open (Linux)."""
    links = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            links.add(str(entry.readlink()))
    return {link for link in links if link.startswith(f"{folder}/")}
