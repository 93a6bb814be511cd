"""REQUEST in its four forms (RFC 2131 4.3.2; draft 6.2 to 6.5).

They differ in what they do with a no: SELECTING of our own offer is refused with a NAK, for the
client has nothing to lose yet; INIT-REBOOT, RENEWING and REBINDING are refused by silence, for a
NAK destroys a lease that another member may know to be good. They get a NAK only if the address
does not belong to the client's network, every member agrees that it is another's, a reservation
says so (of another address for the client, which it can have at once, or of this one for another),
or the pool that it came of is gone and the subnet wants its clients to move.
"""

from __future__ import annotations

from agent.dhcp import wire
from agent.dhcp.claim import ADDRESS_TRIED, RESERVED_ASKED, claim, is_nobodys, waits_for
from agent.dhcp.classify import Message, MessageKind
from agent.dhcp.context import (
    NOT_CERTAIN,
    SILENCE,
    Answer,
    Claim,
    Context,
    discard,
    lease_for,
    reservation_for,
    return_offer,
    subnet_of,
)
from agent.dhcp.lease import Grant
from agent.dhcp.packet import MessageType
from agent.dhcp.unrecorded import is_surely_others, right_to, unrecorded_claim
from agent.kinds.subnet import OutsidePolicy
from agent.model import Binding, BindingState, Subnet, Transaction

_UNRECORDED = ("unknown_binding", "promised_to_other", "ended_before_joining")
"""Reasons that say only what this member does not know."""


def handle_selecting(c: Context, m: Message) -> Answer:
    """A REQUEST that names a server. Another's: our offer is withdrawn, and that is all."""
    key = m.packet.client_key
    if m.packet.server_identifier not in c.own_addresses:
        offer = c.offers.remove(key)
        if offer is not None:
            return_offer(c, offer)
        return SILENCE
    if not m.subnets:
        return Answer(None, "no_subnet")
    subnet = subnet_of(m.subnets, m.address)
    if subnet is None:
        return Answer(MessageType.NAK, "wrong_network")
    if isinstance(_right_to_reserved(c, m), Claim):
        return Answer(MessageType.NAK, "reserved_elsewhere")
    right = right_to(c, m, m.address)
    if isinstance(right, str):
        return Answer(MessageType.NAK, right)
    objection = _objection(c, m, right)
    if objection:
        return Answer(None if objection == ADDRESS_TRIED else MessageType.NAK, objection)
    return _bind(c, m, subnet, right, Transaction.SELECTING)


def handle_init_reboot(c: Context, m: Message) -> Answer:
    """A client that remembers an address. Without a record of it the server MUST be silent; a
    reservation of the address for the client is a record."""
    return _extend(c, m, Transaction.INIT_REBOOT)


def handle_renewing(c: Context, m: Message) -> Answer:
    """A client that uses the address. Even one that this member has no record of is bound if the
    address is free in its own stock (draft 6.4): it would be offered to somebody else otherwise,
    while this client uses it."""
    return _extend(c, m, Transaction.RENEWING)


def handle_rebinding(c: Context, m: Message) -> Answer:
    """As RENEWING, for a client whose own server has not answered."""
    return _extend(c, m, Transaction.REBINDING)


def _extend(c: Context, m: Message, transaction: Transaction) -> Answer:
    if not m.subnets:
        return Answer(None, "no_subnet")
    subnet = subnet_of(m.subnets, m.address)
    if subnet is None:
        return Answer(MessageType.NAK, "wrong_network")
    reserved = _right_to_reserved(c, m)
    if isinstance(reserved, Claim):
        return Answer(MessageType.NAK, "reserved_elsewhere")
    if reserved == RESERVED_ASKED:
        return Answer(None, RESERVED_ASKED)
    right = right_to(c, m, m.address)
    if isinstance(right, str) and right in _UNRECORDED and transaction is Transaction.REBINDING:
        right = unrecorded_claim(c, m, subnet)
        transaction = Transaction.CLAIM
    if isinstance(right, str):
        if right == "reserved_for_other":
            return Answer(MessageType.NAK, right)
        if right == "bound_to_other" and is_surely_others(c, m.address):
            return Answer(MessageType.NAK, right)
        if right == "not_in_pool" and _begins_anew(c, m, subnet):
            return Answer(MessageType.NAK, right)
        return Answer(None, right)
    is_reserved = c.configuration.reservation_of(m.address) is not None
    if transaction is Transaction.INIT_REBOOT and right.former is None and not is_reserved:
        return Answer(None, "unknown_binding")
    objection = _objection(c, m, right)
    if objection:
        return Answer(None, objection)
    return _bind(c, m, subnet, right, transaction)


def _begins_anew(c: Context, m: Message, subnet: Subnet) -> bool:
    """Whether a client whose address is in no pool any more is to begin anew now: the subnet says
    so, its lease is known here (of a stranger's address nobody can say that it is not good), and
    another address is free for it."""
    if subnet.outside is not OutsidePolicy.NAK:
        return False
    row = c.view.binding(m.address)
    if row is None or row.client_key != m.packet.client_key or row.state is not BindingState.BOUND:
        return False
    return any(
        c.stock.has_free(c.tx, pool, c.now) for one in m.subnets for pool in c.pools[one.network]
    )


def _right_to_reserved(c: Context, m: Message) -> Claim | str | None:
    """The right to the address that is reserved for the client on its link, where it names another
    one: what it has is taken from it by a NAK only when it can have that one at once.
    RESERVED_ASKED: it should wait a moment. None: nothing is reserved for it, or nothing that it
    could have soon, or what it names. Where several subnets of the link have one for it, it is the
    same one that a DISCOVER would be offered."""
    has_reservation = c.configuration.has_reservation
    if not (has_reservation(m.packet.client_key) or has_reservation(m.packet.hardware_key)):
        return None
    addresses = []
    for subnet in m.subnets:
        reservation = reservation_for(c, m.packet, subnet)
        if reservation is not None:
            if reservation.address == m.address:
                return None
            addresses.append(reservation.address)
    for address in addresses:
        last = c.view.binding(address)
        if last is not None and last.is_declined:
            continue  # it would decline it again, and lose its lease for that at every renewal
        right = claim(c, m.packet, address)
        if isinstance(right, Claim):
            c.patience.forget(address)
            return right
        if waits_for(c, right, address):
            return RESERVED_ASKED
    return None


def _objection(c: Context, m: Message, right: Claim) -> str:
    """Why the client should not get an address that nobody has offered or reserved for it: by
    naming addresses one client could take a pool, or what another machine is using. Through a relay
    nothing tells that machine's answer from the client's own."""
    if right.former is not None or c.configuration.reservation_of(m.address) is not None:
        return ""
    key = m.packet.client_key
    offer = c.offers.of_client(key)
    if offer is not None and offer.address == m.address:
        return ""
    for row in c.view.bindings_of(key):
        is_another = row.address != m.address and row.is_live(c.now)
        if is_another and subnet_of(m.subnets, row.address) is not None:
            return "has_another_lease"
    if m.kind is not MessageKind.SELECTING and not m.on_link:
        return ""
    nobodys = is_nobodys(c, m.packet, m.address, right)
    if nobodys is None:
        return ADDRESS_TRIED
    return "" if nobodys else "answered_by_other"


def _bind(c: Context, m: Message, subnet: Subnet, right: Claim, transaction: Transaction) -> Answer:
    """The binding becomes part of the batch; the ACK waits for its commit."""
    packet, former = m.packet, right.former
    claimed = transaction is Transaction.CLAIM
    lease = lease_for(c, m, subnet, m.address, former, claimed)
    if lease is None:
        return NOT_CERTAIN
    if right.grant == 1:
        offer = c.offers.of_client(packet.client_key)
        if offer is None or offer.address != m.address:
            discard(c, m.address)
    template, grant = lease
    row = Binding(
        m.address,
        packet.client_key,
        packet.options.get(wire.CLIENT_IDENTIFIER),
        packet.hardware_type,
        packet.client_hardware_address,
        template.hostname or hostname_of(packet.options.get(wire.HOST_NAME)),
        BindingState.BOUND,
        right.epoch,
        right.grant,
        grant.expires_at,
        _recorded_expiry(c, m, grant, former),
        grant.acknowledged_at,
        transaction,
        c.now,
        c.me,
        template.results,
    )
    c.view.change(row)
    return Answer(MessageType.ACK, "", m.address, grant.duration_s, template)


def _recorded_expiry(c: Context, m: Message, grant: Grant, former: Binding | None) -> int:
    """The potential expiry to record. What a member has recorded about this client's lease never
    shrinks, a claim under a new epoch included: another member may count on it, and give a lease
    up to MUL beyond it."""
    before = c.view.binding(m.address) if former is None else None
    if before is None or before.client_key != m.packet.client_key:
        return grant.potential_expires_at
    return max(grant.potential_expires_at, before.potential_expires_at)


def hostname_of(data: bytes | None) -> str:
    """Option 12 as far as it can be shown."""
    if not data:
        return ""
    text = data.rstrip(b"\0").decode("utf-8", "replace")
    return text if text.isprintable() else ""
