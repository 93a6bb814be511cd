"""May this member bind this address to this client now? The question that everything turns on.

Yes, if the address is the client's own by its last record and nobody else was promised it; or if
it is free in a BINDABLE range of this member; or if it is reserved for the client.

A reservation is no ownership: others may not have heard of it, and give the address to whom they
like. So it yields to what this member has promised. Where this member cannot know what was promised
(it joined later), or where another client had the address (whose lease others may go on extending),
the client waits until the agent has polled for the address (`Context.wish`, `agent.sync.keeper`).
What was never anybody's, or lies outside of every pool, is bound at once by any member.
"""

from __future__ import annotations

from agent.dhcp.allocate import keeps_address
from agent.dhcp.context import Claim, Context
from agent.dhcp.packet import Packet
from agent.limits import EXPIRY_GRACE_S, RELEASE_HOLD_S
from agent.model import AddressRange, AddressState, Binding, BindingState, Reservation

RESERVED_ASKED = "reserved_asked"
"""The agent has been asked for the reserved address: the message is handled anew in a moment
(agent.dhcp.held)."""

ADDRESS_TRIED = "address_tried"
"""So is it while the address is being tried on the wire."""


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
    if row is not None and _is_own(row, packet, reservation):
        former = row if row.client_key == client_key else None
        if own_epoch > row.epoch:
            return Claim(own_epoch, 1, former)
        if owned is not None and is_withheld(owned, row, c.now):
            return _wait(c, address, reservation, "promised_to_other")
        ended = not row.is_live(c.now) and _ended_at(row) <= c.serving_since
        if ended and (reservation is None or c.configuration.pool_of(address)):
            return _wait(c, address, reservation, "ended_before_joining")
        if former is None:
            return Claim(c.next_epoch(row.epoch), 1, None)
        return Claim(row.epoch, row.grant + 1, former)
    if reservation is None and (address in c.named_addresses or address == packet.gateway_address):
        return "named_address"
    if row is not None and keeps_address(row, c.now):
        return "bound_to_other" if row.client_key != client_key else "declined"
    if own_epoch >= 0 and (row is None or row.epoch < own_epoch):
        return Claim(own_epoch, 1, None)
    if reservation is None:
        return "unknown_binding"
    return _reserved_claim(c, reservation, owned, row)


def _is_own(row: Binding, packet: Packet, reservation: Reservation | None) -> bool:
    """Whether the last record is this client's; or, where the address is reserved, that of another
    client of the same machine: a boot ROM and the system that it loads send different
    identifiers."""
    if row.state is BindingState.UNAVAILABLE or row.is_declined:
        return False
    if row.client_key == packet.client_key:
        return True
    machine = (row.hardware_type, row.hardware_address)
    return (
        reservation is not None
        and row.state is BindingState.BOUND
        and bool(row.hardware_address)
        and machine == (packet.hardware_type, packet.client_hardware_address)
    )


def _wait(c: Context, address: int, reservation: Reservation | None, reason: str) -> str:
    """Not now; what is reserved the agent asks for, so that it is not for ever."""
    if reservation is None:
        return reason
    c.wish(address)
    return RESERVED_ASKED


def _ended_at(row: Binding) -> int:
    return row.transaction_at if row.state is BindingState.RELEASED else row.expires_at


def is_withheld(owned: AddressRange, row: Binding | None, now: int) -> bool:
    """Whether this member has given its word about the address to somebody else (complete poll,
    TRANSFER) since the row's epoch, or is asking for the address itself, so that the former
    client must not be served. A promise no newer than the row is spent: the row came of it."""
    if owned.state is AddressState.BINDABLE:
        return False
    if owned.state is AddressState.POLLING:
        return row is None or not row.is_live(now)
    return row is None or owned.epoch > row.epoch


def _reserved_claim(
    c: Context, reservation: Reservation, owned: AddressRange | None, row: Binding | None
) -> Claim | str:
    """Nobody has a lease, as far as this member knows. An address that was nobody's it may bind,
    if it would have heard of an owner. Where another client was, it may not: a member that has not
    heard of the reservation goes on extending that lease."""
    address = reservation.address
    if owned is not None and is_withheld(owned, row, c.now):
        return _wait(c, address, reservation, RESERVED_ASKED)
    if row is None:
        if c.serving_since and c.configuration.pool_of(address) and not _is_by_itself(c):
            return _wait(c, address, reservation, RESERVED_ASKED)
        return Claim(c.next_epoch(0), 1, None)
    free_at = row.expires_at + EXPIRY_GRACE_S
    if row.state is BindingState.RELEASED:
        held_until = row.transaction_at + RELEASE_HOLD_S
        free_at = held_until if row.is_settled else max(held_until, free_at)
    if free_at > c.now:
        return "bound_to_other"
    if _is_by_itself(c):
        return Claim(c.next_epoch(row.epoch), 1, None)
    return _wait(c, address, reservation, RESERVED_ASKED)


def _is_by_itself(c: Context) -> bool:
    """Whether there is nobody to ask: no other member, and no store of one that is lost."""
    return c.terms.alone and not c.tx.lost_stores()


def waits_for(c: Context, right: str, address: int) -> bool:
    """Whether the client should wait for its reserved address, by the reason why it cannot have it
    yet: the members are being asked, and all of them answer."""
    if right != RESERVED_ASKED or c.silent_members():
        return False
    return not c.patience.is_over(address, c.now_ms)


def is_nobodys(c: Context, packet: Packet, address: int, right: Claim) -> bool | None:
    """Whether nobody answers for an address that the client names, of those that must be tried;
    None: it is not known yet. What was its own before, or is reserved for it, needs no trial; what
    is on offer to it has had one."""
    if right.former is not None or right.grant > 1:
        return True
    offer = c.offers.of_client(packet.client_key)
    if offer is not None and offer.address == address:
        return True
    pool = c.configuration.pool_of(address)
    if pool is None or c.configuration.reservation_of(address) is not None:
        return True
    row = c.view.binding(address)
    return c.stock.try_out(pool, address, row, packet.client_hardware_address, c.now)
