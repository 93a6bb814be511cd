"""DECLINE, RELEASE and INFORM (RFC 2131 4.3.3 to 4.3.5; draft 6.6)."""

from __future__ import annotations

from agent.dhcp import wire
from agent.dhcp.classify import Message
from agent.dhcp.context import SILENCE, Answer, Context, reservation_for, return_offer, subnet_of
from agent.dhcp.lease import acknowledged_expiry, given_back
from agent.dhcp.packet import MessageType
from agent.limits import DECLINE_HOLD_S
from agent.model import NEVER, Binding, BindingState, Transaction


def handle_decline(c: Context, m: Message) -> Answer:
    """The holder says that somebody else uses its address. Nobody else is believed.

    Past the caps the address is not taken from everybody; but the client has given it up, and must
    not be offered it again: it counts as released, is nobody's former address, and is tried before
    anybody gets it (`may_be_in_use`). So is one whose lease never ends: a record never shrinks,
    and it would be UNAVAILABLE for ever."""
    packet = m.packet
    if packet.server_identifier and packet.server_identifier not in c.own_addresses:
        return Answer(None, "other_server")
    was_offered = _refuse_offer(c, m)
    row = c.view.binding(m.address)
    if row is None or row.client_key != packet.client_key or not row.is_live(c.now):
        return SILENCE if was_offered else Answer(None, "not_holder")
    circuit = packet.options.get(wire.RELAY_AGENT_INFORMATION)
    link = circuit or packet.gateway_address or -m.received.interface
    if not c.declines.admit(row.client_key, link, c.configuration.pool_of(m.address), c.now):
        c.view.change(_given_back(c, row, Transaction.DECLINE))
        return Answer(None, "too_many_declines")
    if row.expires_at >= NEVER:
        c.view.change(_given_back(c, row, Transaction.DECLINE))
        return SILENCE
    until = max(row.expires_at, c.now + DECLINE_HOLD_S)
    c.view.change(
        row._replace(
            state=BindingState.UNAVAILABLE,
            expires_at=until,
            potential_expires_at=max(row.potential_expires_at, until),
            acknowledged_at=acknowledged_expiry(row, c.streams(), c.terms),
            transaction=Transaction.DECLINE,
            transaction_at=c.now,
            transaction_server=c.me,
        )
    )
    return SILENCE


def _refuse_offer(c: Context, m: Message) -> bool:
    """Some clients try an address before they ask for it: it is tried here too, before anybody is
    offered it again. Whether it was on offer to this client."""
    offer = c.offers.of_client(m.packet.client_key)
    if offer is None or offer.address != m.address:
        return False
    c.offers.remove(m.packet.client_key)
    return_offer(c, offer)
    c.stock.refuse(m.address)
    return True


def handle_release(c: Context, m: Message) -> Answer:
    """The client gives its address back (draft 6.6); it is remembered for it."""
    packet = m.packet
    if packet.server_identifier and packet.server_identifier not in c.own_addresses:
        return Answer(None, "other_server")
    row = c.view.binding(m.address)
    if row is None or row.client_key != packet.client_key:
        return Answer(None, "not_holder")
    if row.hardware_address != packet.client_hardware_address or (
        not packet.gateway_address and m.received.source != m.address
    ):
        return Answer(None, "not_holder")
    if row.state is not BindingState.BOUND:
        return SILENCE
    c.view.change(_given_back(c, row, Transaction.RELEASE))
    return SILENCE


def _given_back(c: Context, row: Binding, transaction: Transaction) -> Binding:
    return given_back(row, transaction, c.me, c.now, c.streams(), c.terms)


def handle_inform(c: Context, m: Message) -> Answer:
    """A client with an address of its own wants the other options."""
    if not m.address:
        return Answer(None, "no_address")
    subnet = subnet_of(m.subnets, m.address)
    if subnet is None:
        return Answer(None, "no_subnet")
    reservation = reservation_for(c, m.packet, subnet)
    requested = m.packet.options.get(wire.PARAMETER_REQUEST_LIST)
    template = c.templates.template(subnet, m.address, reservation, requested)
    return Answer(MessageType.ACK, "", 0, 0, template)
