"""DISCOVER (RFC 2131 4.3.1; draft 6.1): an offer, in memory only."""

from __future__ import annotations

from collections.abc import Iterable

from agent.dhcp.balance import is_served_here
from agent.dhcp.claim import ADDRESS_TRIED, RESERVED_ASKED, claim, is_nobodys, waits_for
from agent.dhcp.classify import Message
from agent.dhcp.context import (
    NOT_CERTAIN,
    Answer,
    Claim,
    Context,
    discard,
    lease_for,
    reservation_for,
    return_offer,
    subnet_of,
)
from agent.dhcp.packet import MessageType
from agent.dhcp.shortage import NO_FREE_ADDRESS
from agent.dhcp.unrecorded import right_to
from agent.model import BindingState, Subnet


def handle_discover(c: Context, m: Message) -> Answer:
    """Offer, in this order: the reserved address, what is on offer to this client already, its
    former address, the one it asks for, the next free one."""
    if not m.subnets:
        return Answer(None, "no_subnet")
    delay_s = m.subnets[0].offer_delay_s
    if delay_s and not is_served_here(m.packet, c.me, c.buckets, delay_s, c.idle_members()):
        return Answer(None, "others_client")
    reserved = _offer_reserved(c, m)
    if reserved is not None:
        return reserved
    trying = False
    for address in _preferred_addresses(c, m):
        subnet = subnet_of(m.subnets, address)
        if subnet is None:
            continue
        right = right_to(c, m, address)
        if isinstance(right, Claim):
            nobodys = is_nobodys(c, m.packet, address, right)
            if nobodys:
                return _offer(c, m, subnet, address, right)
            trying = trying or nobodys is None
    for subnet in m.subnets:
        for pool in c.pools[subnet.network]:
            free = c.stock.take(c.tx, pool, c.now)
            if free is not None and free == m.packet.gateway_address:
                free = c.stock.take(c.tx, pool, c.now)  # the relay's own
            if free is not None and free != m.packet.gateway_address:
                return _offer(c, m, subnet, free, None)
            trying = trying or c.stock.is_trying(pool)
    if trying:
        return Answer(None, ADDRESS_TRIED)
    return _offer_anothers(c, m) or Answer(None, NO_FREE_ADDRESS)


def _offer_anothers(c: Context, m: Message) -> Answer | None:
    """Nothing is free: what was offered to a client that does not answer. Should it come after all,
    it is told NAK and begins anew."""
    pools = [pool for subnet in m.subnets for pool in c.pools[subnet.network]]
    key = c.offers.oldest_unanswered(pools, c.now_ms)
    offer = c.offers.remove(key) if key is not None else None
    if offer is None:
        return None
    right = claim(c, m.packet, offer.address)
    subnet = subnet_of(m.subnets, offer.address)
    if not isinstance(right, Claim) or subnet is None:
        return_offer(c, offer)
        return None
    return _offer(c, m, subnet, offer.address, right)


def _offer_reserved(c: Context, m: Message) -> Answer | None:
    """The reserved address, or a short wait for it; another one only where it cannot be had soon:
    where somebody is using it, or a member that must be asked is silent."""
    for subnet in m.subnets:
        reservation = reservation_for(c, m.packet, subnet)
        if reservation is None:
            continue
        right = claim(c, m.packet, reservation.address)
        if isinstance(right, Claim):
            c.patience.forget(reservation.address)
            return _offer(c, m, subnet, reservation.address, right)
        if waits_for(c, right, reservation.address):
            return Answer(None, RESERVED_ASKED)
    return None


def _preferred_addresses(c: Context, m: Message) -> Iterable[int]:
    key = m.packet.client_key
    offer = c.offers.of_client(key)
    if offer is not None:
        yield offer.address
    for row in c.view.bindings_of(key):
        if row.state is not BindingState.UNAVAILABLE and not row.is_declined:
            yield row.address
    if m.address:
        yield m.address


def _offer(c: Context, m: Message, subnet: Subnet, address: int, right: Claim | None) -> Answer:
    """Hold the address for the client in memory, and say what the lease would be."""
    key = m.packet.client_key
    from_stock = True
    former = right.former if right is not None else None
    lease = lease_for(c, m, subnet, address, former)
    if lease is None:
        pool = c.configuration.pool_of(address)
        if right is None and pool is not None:
            c.stock.give_back(pool)
        return NOT_CERTAIN
    if right is not None:
        discard(c, address)
        if right.grant > 1 or (right.former is not None and right.former.is_live(c.now)):
            from_stock = False
    for gone in c.offers.put(key, address, from_stock, c.now_ms):
        return_offer(c, gone)
    template, grant = lease
    return Answer(MessageType.OFFER, "", address, grant.duration_s, template)
