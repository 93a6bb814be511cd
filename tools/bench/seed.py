"""Bindings written straight into a member's store while it is stopped, as its own engine would have
written them: rows of its own stream, through the store's port. Peers pull them like any others."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from agent.member_file import STORE_NAME
from agent.model import AddressState, Binding, BindingState, MemberId, Transaction
from store import open_store

_BATCH = 1000


def free_addresses(folder: Path) -> list[tuple[int, int]]:
    """What a stopped member owns and has given to nobody: addresses, each with its epoch."""
    store = open_store(folder / STORE_NAME)
    try:
        with store.read() as tx:
            found = []
            for one in tx.address_ranges_in(AddressState.BINDABLE):
                taken = tx.bindings_by_address(range(one.first, one.last + 1))
                found += [
                    (at, one.epoch) for at in range(one.first, one.last + 1) if at not in taken
                ]
            return found
    finally:
        store.close()


def seed_bindings(
    folder: Path, addresses: Iterable[tuple[int, int]], member: MemberId, lease_s: int
) -> int:
    """Bind each address, under its epoch, to a client of its own; the number of rows. The member
    must not run."""
    store = open_store(folder / STORE_NAME)
    count = 0
    try:
        rows = _bindings(addresses, member, lease_s)
        while batch := list(islice(rows, _BATCH)):
            with store.write() as tx:
                tx.save_bindings(batch)
            count += len(batch)
    finally:
        store.close()
    return count


def _bindings(
    addresses: Iterable[tuple[int, int]], member: MemberId, lease_s: int
) -> Iterator[Binding]:
    """As a campus has them: a hardware address, a client identifier, a host name."""
    now = int(time.time())
    for number, (address, epoch) in enumerate(addresses):
        hardware_address = b"\x02\x00" + number.to_bytes(4, "big")
        client_id = b"\x01" + hardware_address
        yield Binding(
            address=address,
            client_key=b"\x01" + client_id,
            client_id=client_id,
            hardware_type=1,
            hardware_address=hardware_address,
            hostname=f"host-{number:07d}",
            state=BindingState.BOUND,
            epoch=epoch,
            grant=1,
            expires_at=now + lease_s,
            potential_expires_at=now + lease_s * 3 // 2,
            acknowledged_at=0,
            transaction=Transaction.SELECTING,
            transaction_at=now,
            transaction_server=member,
            options=bytes.fromhex("0104ff000000 330400015180".replace(" ", "")),
        )
