"""The judges: they look at what clients were told and at what the disks hold, never at the rules.

Each raises `ViolationError` naming the invariant of docs/architecture.md:
I1 one client inside an unexpired lease per address; I2 one owner per address; I3 nobody uses an
address that a member holds free; I4 no lease runs ahead of what the others recorded by more than
MUL; L3 after healing all members hold the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.model import AddressState, Binding, BindingState, format_address
from agent.port import Store
from tools.simulator.clients import Client

WHOLE = (0, 0xFFFF_FFFF)
ROUNDING_MS = 2_000
"""Instants are kept in whole seconds and travel as such."""


class ViolationError(AssertionError):
    """An invariant is broken; the text names it, the instant and the parties."""


def check_one_client_per_address(clients: Sequence[Client], holder: Client, now_ms: int) -> None:
    """I1, asked whenever `holder` has been given a lease."""
    lease = holder.lease
    assert lease is not None
    for other in clients:
        if (
            other is not holder
            and other.lease is not None
            and other.lease.address == lease.address
            and other.lease.end_ms > now_ms
            and lease.end_ms > now_ms
        ):
            raise ViolationError(
                f"I1: {format_address(lease.address)} is leased to {holder.name} by "
                f"{format_address(lease.server)} and to {other.name} by "
                f"{format_address(other.lease.server)}, both unexpired"
            )


def owned(store: Store) -> list[tuple[int, int, int]]:
    """(first, last, epoch) of everything that a store says its member may bind."""
    with store.read() as tx:
        return [
            (r.first, r.last, r.epoch)
            for r in tx.address_ranges(*WHOLE)
            if r.state is AddressState.BINDABLE
        ]


def check_one_owner(
    names: Sequence[str], stores: Sequence[Store], owned_by: Sequence[list[tuple[int, int, int]]]
) -> None:
    """I2: no address is BINDABLE at two members, except where one of them has used it up: a
    binding of its epoch or later stands there in its own store."""
    runs = sorted(
        (first, last, epoch, index)
        for index, ranges in enumerate(owned_by)
        for first, last, epoch in ranges
    )
    open_runs: list[tuple[int, int, int, int]] = []
    for run in runs:
        first, last, epoch, index = run
        open_runs = [other for other in open_runs if other[1] >= first]
        for _, other_last, other_epoch, other in open_runs:
            both_last = min(last, other_last)
            free = _free(stores[index], first, both_last, epoch)
            free &= _free(stores[other], first, both_last, other_epoch)
            if free:
                raise ViolationError(
                    f"I2: {format_address(min(free))} is free at {names[other]} under epoch "
                    f"{other_epoch} and at {names[index]} under epoch {epoch}"
                )
        open_runs.append(run)


def _free(store: Store, first: int, last: int, epoch: int) -> set[int]:
    with store.read() as tx:
        return set(range(first, last + 1)) - set(tx.bound_addresses(first, last, epoch))


def check_free_is_free(
    name: str, store: Store, ranges: list[tuple[int, int, int]], clients: Sequence[Client],
    now_ms: int,
) -> None:  # fmt: skip
    """I3: an address that `name` may give to anybody is in no client's unexpired lease."""
    for client in clients:
        lease = client.lease
        if lease is None or lease.end_ms <= now_ms:
            continue
        for first, last, epoch in ranges:
            if not first <= lease.address <= last:
                continue
            with store.read() as tx:
                row = tx.bindings_by_address([lease.address]).get(lease.address)
            if row is None or row.epoch < epoch:
                raise ViolationError(
                    f"I3: {name} holds {format_address(lease.address)} free under epoch {epoch} "
                    f"while {client.name} has a lease on it for "
                    f"{(lease.end_ms - now_ms) // 1000} s more"
                )


def check_lead(
    name: str, address: int, lease_end_ms: int, now_ms: int, mul_s: int,
    others: Sequence[tuple[Store, int]],
) -> None:  # fmt: skip
    """I4, asked for every ACK: `others` are the stores of the other members of the group as
    `name` knows it, each with what its clock is ahead of true time, in ms."""
    recorded = []
    for store, offset_ms in others:
        with store.read() as tx:
            row = tx.bindings_by_address([address]).get(address)
        recorded.append(row.potential_expires_at * 1000 - offset_ms if row else 0)
    if not recorded:
        return
    bound = max(now_ms, min(recorded)) + mul_s * 1000 + ROUNDING_MS
    if lease_end_ms > bound:
        raise ViolationError(
            f"I4: {name} leased {format_address(address)} until {lease_end_ms}, "
            f"{(lease_end_ms - bound) / 1000:.1f} s past what the others' records allow"
        )


def rows(store: Store) -> dict[int, Binding]:
    found: dict[int, Binding] = {}
    first = 0
    with store.read() as tx:
        while page := tx.bindings_in_range(first, WHOLE[1], 1000):
            found.update((row.address, row) for row in page)
            first = page[-1].address + 1
    return found


def check_equal_tables(names: Sequence[str], stores: Sequence[Store]) -> None:
    """L3, asked 60 s after healing."""
    tables = [rows(store) for store in stores]
    for address in sorted(set().union(*tables)):
        held = [table.get(address) for table in tables]
        for name, row in zip(names[1:], held[1:], strict=True):
            problem = _difference(held[0], row)
            if problem:
                raise ViolationError(
                    f"L3: {names[0]} and {name} differ in {format_address(address)}: {problem}"
                )


def _difference(one: Binding | None, other: Binding | None) -> str:
    if one is None or other is None:
        return "one has no row"
    for field in ("client_key", "state", "epoch", "grant", "transaction_server"):
        if getattr(one, field) != getattr(other, field):
            return f"{field} {getattr(one, field)!r} and {getattr(other, field)!r}"
    if one.state is BindingState.BOUND and abs(one.expires_at - other.expires_at) > 3:
        return f"expires_at {one.expires_at} and {other.expires_at}"
    return ""
