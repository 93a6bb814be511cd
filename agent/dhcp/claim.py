"""May this member bind this address to this client now? The question that everything turns on.

Yes, if the address is the client's own by its last record and nobody else was promised it; or if
it is free in a BINDABLE range of this member; or if it is reserved for the client.
"""

from __future__ import annotations

from agent.dhcp.allocate import keeps_address
from agent.dhcp.context import Claim, Context
from agent.dhcp.packet import Packet
from agent.limits import EXPIRY_GRACE_S, RELEASE_HOLD_S
from agent.model import AddressRange, AddressState, Binding, BindingState

FIRST_RESERVED_EPOCH = 1
"""Epoch of a reserved address that no member has ever owned or bound."""


def claim(c: Context, packet: Packet, address: int) -> Claim | str:
    """The right of this member to bind `address` to the client now, or the reason why not."""
    client_key = packet.client_key
    reservation = c.configuration.reservation_of(address)
    if reservation is None:
        if c.configuration.pool_of(address) is None:
            return "not_in_pool"
    elif reservation.client_key not in (client_key, packet.hardware_key):
        return "reserved_for_other"
    if address in c.kept_addresses:
        return "server_address"
    if c.offers.held_for_other(address, client_key):
        return "offered_to_other"
    row = c.view.binding(address)
    owned = c.ownership.range_of(c.tx, address)
    own_epoch = owned.epoch if owned is not None and c.ownership.is_own(owned) else -1
    if (
        row is not None
        and row.client_key == client_key
        and row.state is not BindingState.UNAVAILABLE
    ):
        if own_epoch > row.epoch:
            return Claim(own_epoch, 1, row)
        if reservation is None:
            if owned is not None and is_withheld(owned, row, c.now):
                return "promised_to_other"
            if not row.is_live(c.now) and _ended_at(row) <= c.serving_since:
                return "ended_before_joining"
        return Claim(row.epoch, row.grant + 1, row)
    if reservation is not None and row is not None and _is_same_machine(row, packet):
        return Claim(row.epoch + 1, 1, None)
    if row is not None and keeps_address(row, c.now):
        return "bound_to_other" if row.client_key != client_key else "declined"
    if own_epoch >= 0 and (row is None or row.epoch < own_epoch):
        return Claim(own_epoch, 1, None)
    if reservation is not None:
        return _reserved_claim(row, c.now)
    return "unknown_binding"


def _is_same_machine(row: Binding, packet: Packet) -> bool:
    """Whether another client of the same machine has the lease: a boot ROM and the system that it
    loads send different identifiers."""
    return row.state is BindingState.BOUND and (
        (row.hardware_type, row.hardware_address)
        == (packet.hardware_type, packet.client_hardware_address)
    )


def _ended_at(row: Binding) -> int:
    return row.transaction_at if row.state is BindingState.RELEASED else row.expires_at


def is_withheld(owned: AddressRange, row: Binding, now: int) -> bool:
    """Whether this member has given its word about the address to somebody else (complete poll,
    TRANSFER) since the row's epoch, or is asking for the address itself, so that the former
    client must not be served. A promise no newer than the row is spent: the row came of it."""
    if owned.state is AddressState.BINDABLE:
        return False
    if owned.state is AddressState.POLLING:
        return not row.is_live(now)
    return owned.epoch > row.epoch


def _reserved_claim(row: Binding | None, now: int) -> Claim | str:
    """A reserved address is nobody's stock: any member binds it for its client, as soon as
    a former client's lease is over and the time in which it might be renewed elsewhere too."""
    if row is None:
        return Claim(FIRST_RESERVED_EPOCH, 1, None)
    free_at = row.expires_at + EXPIRY_GRACE_S
    if row.state is BindingState.RELEASED:
        held_until = row.transaction_at + RELEASE_HOLD_S
        free_at = held_until if row.is_settled else max(held_until, free_at)
    return Claim(row.epoch + 1, 1, None) if free_at <= now else "bound_to_other"
