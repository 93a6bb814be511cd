"""What a client's message leads to: RFC 2131 4.3, the draft's section 6, the group's rules 3 and 6.

Everything turns on one question: may this member bind this address to this client now (`claim`)?
Yes, if the address is the client's own by its last record and nobody else was promised it; or if
it is free in a BINDABLE range of this member; or if it is reserved for the client. The handlers
then only differ in what they do with a no:

- DISCOVER looks for another address, and writes nothing;
- SELECTING of our own offer is refused with a NAK, for the client has nothing to lose yet;
- INIT-REBOOT, RENEWING and REBINDING are refused by silence, for a NAK destroys a lease that
  another member may know to be good. They get a NAK only if the address does not belong to the
  client's network.

Handlers read through a `Context`, which holds what one batch knows, and write into it; the engine
makes the batch durable before any answer leaves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from agent.config import Configuration
from agent.dhcp import wire
from agent.dhcp.allocate import FreeStock, Offer, Offers, Ownership, keeps_address
from agent.dhcp.classify import Message, MessageKind
from agent.dhcp.decline import DeclineLimiter
from agent.dhcp.lease import Grant, Terms, acknowledged_expiry, decide_grant, wanted_duration
from agent.dhcp.packet import MessageType, Packet
from agent.dhcp.reply import Template, Templates
from agent.limits import DECLINE_HOLD_S, EXPIRY_GRACE_S, RELEASE_HOLD_S
from agent.model import (
    AddressRange,
    AddressState,
    Binding,
    BindingState,
    MemberId,
    Pool,
    Reservation,
    StreamHead,
    StreamId,
    Subnet,
    Transaction,
)
from agent.port import StoreTransaction

FIRST_RESERVED_EPOCH = 1
"""Epoch of a reserved address that no member has ever owned or bound."""


class View:
    """Bindings as this batch sees them: loaded at once before it, changed by it."""

    def __init__(
        self, tx: StoreTransaction, addresses: Collection[int], client_keys: Collection[bytes]
    ) -> None:
        self._tx = tx
        self._rows: dict[int, Binding | None] = {}
        self._addresses_of: dict[bytes, list[int]] = {}
        self.changed: dict[int, Binding] = {}
        if client_keys:
            found = tx.bindings_by_client(client_keys)
            for key in client_keys:
                rows = found.get(key, ())
                self._addresses_of[key] = [row.address for row in rows]
                self._rows.update((row.address, row) for row in rows)
        if addresses:
            missing = dict.fromkeys(addresses)
            self._rows.update(missing)
            self._rows.update(tx.bindings_by_address(missing))

    def binding(self, address: int) -> Binding | None:
        if address not in self._rows:
            self._rows[address] = self._tx.bindings_by_address((address,)).get(address)
        return self._rows[address]

    def bindings_of(self, client_key: bytes) -> list[Binding]:
        """The client's own rows, the latest transaction first."""
        if client_key not in self._addresses_of:
            found = self._tx.bindings_by_client((client_key,)).get(client_key, ())
            self._addresses_of[client_key] = [row.address for row in found]
        rows = [self.binding(address) for address in self._addresses_of[client_key]]
        mine = [row for row in rows if row is not None and row.client_key == client_key]
        return sorted(mine, key=lambda row: -row.transaction_at) if len(mine) > 1 else mine

    def change(self, row: Binding) -> None:
        self._rows[row.address] = self.changed[row.address] = row
        known = self._addresses_of.get(row.client_key)
        if known is not None and row.address not in known:
            known.append(row.address)


@dataclass(slots=True)
class Context:
    """What the rules know while they handle one batch. `now` is rounded down, `issued` up; `pools`
    is by the network of their subnet."""

    tx: StoreTransaction
    me: MemberId
    now_ms: int
    now: int
    issued: int
    terms: Terms
    configuration: Configuration
    pools: Mapping[int, tuple[Pool, ...]]
    templates: Templates
    own_addresses: Collection[int]
    kept_addresses: Collection[int]
    ownership: Ownership
    offers: Offers
    stock: FreeStock
    declines: DeclineLimiter
    view: View
    serving_since: int
    _streams: Mapping[StreamId, StreamHead] | None = field(default=None)

    def streams(self) -> Mapping[StreamId, StreamHead]:
        if self._streams is None:
            self._streams = self.tx.streams()
        return self._streams


class Answer(NamedTuple):
    """What is to be said. `kind` None: nothing, for the reason given ("" if silence is plain)."""

    kind: MessageType | None
    reason: str = ""
    address: int = 0
    duration_s: int = 0
    template: Template | None = None


class Claim(NamedTuple):
    """The right to bind an address: under which version, and the client's former row if any."""

    epoch: int
    grant: int
    former: Binding | None


SILENCE = Answer(None)


def reservation_for(c: Context, packet: Packet, subnet: Subnet) -> Reservation | None:
    """What is reserved for the client, by its identifier or by its hardware address: a machine's
    label shows the latter, whatever identifier its clients send."""
    find = c.configuration.reservation_for
    return find(packet.client_key, subnet) or find(packet.hardware_key, subnet)


def claim(c: Context, packet: Packet, address: int) -> Claim | str:
    """The right of this member to bind `address` to the client now, or the reason why not."""
    client_key = packet.client_key
    reservation = c.configuration.reservation_of(address)
    if reservation is None:
        if c.configuration.pool_of(address) is None:
            return "not_in_pool"
    elif reservation.client_key not in (client_key, packet.hardware_key):
        return "reserved_for_other"
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
            if owned is not None and _is_withheld(owned, row, c.now):
                return "promised_to_other"
            if not row.is_live(c.now) and _ended_at(row) <= c.serving_since:
                return "ended_before_joining"
        return Claim(row.epoch, row.grant + 1, row)
    if reservation is not None and row is not None and _is_same_machine(row, packet):
        return Claim(row.epoch + 1, 1, None)
    if row is not None and keeps_address(row, c.now):
        return "bound_to_other" if row.client_key != client_key else "declined"
    if own_epoch >= 0 and (row is None or row.epoch < own_epoch):
        return "server_address" if address in c.kept_addresses else Claim(own_epoch, 1, None)
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


def _is_withheld(owned: AddressRange, row: Binding, now: int) -> bool:
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
    if row.state is BindingState.RELEASED:
        free_at = row.transaction_at + RELEASE_HOLD_S
    else:
        free_at = row.expires_at + EXPIRY_GRACE_S
    return Claim(row.epoch + 1, 1, None) if free_at <= now else "bound_to_other"


# --- DISCOVER (RFC 2131 4.3.1; draft 6.1) ----------------------------------------------------


def handle_discover(c: Context, m: Message) -> Answer:
    """Offer, in this order: the reserved address, what is on offer to this client already, its
    former address, the one it asks for, the next free one."""
    if not m.subnets:
        return Answer(None, "no_subnet")
    for address in _preferred_addresses(c, m):
        subnet = _subnet_of(m.subnets, address)
        if subnet is None:
            continue
        right = claim(c, m.packet, address)
        if isinstance(right, Claim):
            return _offer(c, m, subnet, address, right)
    for subnet in m.subnets:
        for pool in c.pools[subnet.network]:
            free = c.stock.take(c.tx, pool, c.now)
            if free is not None:
                return _offer(c, m, subnet, free, None)
    return Answer(None, "no_free_address")


def _preferred_addresses(c: Context, m: Message) -> Iterable[int]:
    key = m.packet.client_key
    for subnet in m.subnets:
        reservation = reservation_for(c, m.packet, subnet)
        if reservation is not None:
            yield reservation.address
    offer = c.offers.of_client(key)
    if offer is not None:
        yield offer.address
    for row in c.view.bindings_of(key):
        yield row.address
    if m.address:
        yield m.address


def _offer(c: Context, m: Message, subnet: Subnet, address: int, right: Claim | None) -> Answer:
    """Hold the address for the client in memory, and say what the lease would be."""
    key = m.packet.client_key
    from_stock = True
    if right is not None:
        _discard(c, address)
        if right.grant > 1 or (right.former is not None and right.former.is_live(c.now)):
            from_stock = False
    for gone in c.offers.put(key, address, from_stock, c.now_ms):
        return_offer(c, gone)
    former = right.former if right is not None else None
    template, grant = _lease(c, m, subnet, address, former)
    return Answer(MessageType.OFFER, "", address, grant.duration_s, template)


def _discard(c: Context, address: int) -> None:
    pool = c.configuration.pool_of(address)
    if pool is not None:
        c.stock.discard(pool, address)


def return_offer(c: Context, offer: Offer) -> None:
    """An offer has ended without a binding: its address is free again, if it is still ours."""
    pool = c.configuration.pool_of(offer.address)
    if offer.from_stock and pool is not None:
        c.stock.give_back(pool)


# --- REQUEST (RFC 2131 4.3.2; draft 6.2 to 6.5) ----------------------------------------------


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
    subnet = _subnet_of(m.subnets, m.address)
    if subnet is None:
        return Answer(MessageType.NAK, "wrong_network")
    right = claim(c, m.packet, m.address)
    if isinstance(right, str):
        return Answer(MessageType.NAK, right)
    return _bind(c, m, subnet, right, Transaction.SELECTING)


def handle_init_reboot(c: Context, m: Message) -> Answer:
    """A client that remembers an address. Without a record of it the server MUST be silent; so it
    is where another address is reserved for the client, which then asks anew and gets that."""
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
    subnet = _subnet_of(m.subnets, m.address)
    if subnet is None:
        return Answer(MessageType.NAK, "wrong_network")
    if transaction is Transaction.INIT_REBOOT:
        reservation = reservation_for(c, m.packet, subnet)
        if reservation is not None and reservation.address != m.address:
            return Answer(None, "reserved_elsewhere")
    right = claim(c, m.packet, m.address)
    if isinstance(right, str) and transaction is Transaction.REBINDING:
        right = _believed_claim(c, m.address) or right
    if isinstance(right, str):
        return Answer(None, right)
    if transaction is Transaction.INIT_REBOOT and right.former is None:
        return Answer(None, "unknown_binding")
    return _bind(c, m, subnet, right, transaction)


def _believed_claim(c: Context, address: int) -> Claim | None:
    """A client in REBINDING knows of a lease that nobody here does (draft 6.5): its server ended
    after the ACK and before the push. It is believed where that fits all that is known: the
    address is promised to a member of which nothing is heard, and no binding of that ownership
    has come. Before the promise every member said that nobody had a lease, so an unexpired one
    can only be from that member; and that member gives the address to nobody else while it
    takes this lease to run, nor later without asking here. The lease is at most MUL."""
    owned = c.ownership.range_of(c.tx, address)
    if owned is None or owned.state is not AddressState.PROMISED:
        return None
    if c.configuration.pool_of(address) is None or c.configuration.reservation_of(address):
        return None
    row = c.view.binding(address)
    if row is not None and (row.epoch >= owned.epoch or keeps_address(row, c.now)):
        return None
    if owned.member not in c.tx.silent_members():
        return None
    return Claim(owned.epoch, 1, None)


def _bind(c: Context, m: Message, subnet: Subnet, right: Claim, transaction: Transaction) -> Answer:
    """The binding becomes part of the batch; the ACK waits for its commit."""
    packet, former = m.packet, right.former
    if right.grant == 1:
        offer = c.offers.of_client(packet.client_key)
        if offer is None or offer.address != m.address:
            _discard(c, m.address)
    template, grant = _lease(c, m, subnet, m.address, former)
    row = Binding(
        m.address,
        packet.client_key,
        packet.options.get(wire.CLIENT_IDENTIFIER),
        packet.hardware_type,
        packet.client_hardware_address,
        template.hostname or _hostname(packet.options.get(wire.HOST_NAME)),
        BindingState.BOUND,
        right.epoch,
        right.grant,
        grant.expires_at,
        grant.potential_expires_at,
        grant.acknowledged_at,
        transaction,
        c.now,
        c.me,
        template.results,
    )
    c.view.change(row)
    return Answer(MessageType.ACK, "", m.address, grant.duration_s, template)


def _lease(
    c: Context, m: Message, subnet: Subnet, address: int, former: Binding | None
) -> tuple[Template, Grant]:
    options = m.packet.options
    reservation = c.configuration.reservation_of(address)
    template = c.templates.template(subnet, reservation, options.get(wire.PARAMETER_REQUEST_LIST))
    wanted = wanted_duration(subnet.lease_s or c.terms.lease_s, options.get(wire.LEASE_TIME))
    acknowledged = 0 if former is None else acknowledged_expiry(former, c.streams())
    grant = decide_grant(wanted, c.terms, former, acknowledged, c.now, c.issued)
    return template, grant


def _hostname(data: bytes | None) -> str:
    """Option 12 as far as it can be shown."""
    if not data:
        return ""
    text = data.rstrip(b"\0").decode("utf-8", "replace")
    return text if text.isprintable() else ""


# --- DECLINE, RELEASE, INFORM (RFC 2131 4.3.3 to 4.3.5) ----------------------------------------


def handle_decline(c: Context, m: Message) -> Answer:
    """The holder says that somebody else uses its address. Nobody else is believed."""
    packet = m.packet
    if packet.server_identifier and packet.server_identifier not in c.own_addresses:
        return SILENCE
    row = c.view.binding(m.address)
    if row is None or row.client_key != packet.client_key or row.state is not BindingState.BOUND:
        return Answer(None, "not_holder")
    circuit = packet.options.get(wire.RELAY_AGENT_INFORMATION)
    link = circuit or packet.gateway_address or -m.received.interface
    if not c.declines.admit(row.client_key, link, c.configuration.pool_of(m.address), c.now):
        return Answer(None, "too_many_declines")
    until = max(row.expires_at, c.now + DECLINE_HOLD_S)
    c.view.change(
        replace(
            row,
            state=BindingState.UNAVAILABLE,
            expires_at=until,
            potential_expires_at=max(row.potential_expires_at, until),
            acknowledged_at=acknowledged_expiry(row, c.streams()),
            transaction=Transaction.DECLINE,
            transaction_at=c.now,
            transaction_server=c.me,
        )
    )
    return SILENCE


def handle_release(c: Context, m: Message) -> Answer:
    """The client gives its address back (draft 6.6); it is remembered for it.

    The row keeps epoch and grant, which names what is released, and its expiries: a merge takes the
    maximum anyway, and what a RELEASED row holds back is its own hold-down, not the expiry."""
    packet = m.packet
    if packet.server_identifier and packet.server_identifier not in c.own_addresses:
        return SILENCE
    row = c.view.binding(m.address)
    if row is None or row.client_key != packet.client_key:
        return Answer(None, "not_holder")
    if row.hardware_address != packet.client_hardware_address or (
        not packet.gateway_address and m.received.source != m.address
    ):
        return Answer(None, "not_holder")
    if row.state is not BindingState.BOUND:
        return SILENCE
    c.view.change(
        replace(
            row,
            state=BindingState.RELEASED,
            acknowledged_at=acknowledged_expiry(row, c.streams()),
            transaction=Transaction.RELEASE,
            transaction_at=c.now,
            transaction_server=c.me,
        )
    )
    return SILENCE


def handle_inform(c: Context, m: Message) -> Answer:
    """A client with an address of its own wants the other options."""
    if not m.address:
        return Answer(None, "no_address")
    subnet = _subnet_of(m.subnets, m.address)
    if subnet is None:
        return Answer(None, "no_subnet")
    reservation = reservation_for(c, m.packet, subnet)
    template = c.templates.template(
        subnet, reservation, m.packet.options.get(wire.PARAMETER_REQUEST_LIST)
    )
    return Answer(MessageType.ACK, "", 0, 0, template)


def _subnet_of(subnets: tuple[Subnet, ...], address: int) -> Subnet | None:
    for subnet in subnets:
        if address in subnet:
            return subnet
    return None


HANDLERS = {
    MessageKind.DISCOVER: handle_discover,
    MessageKind.SELECTING: handle_selecting,
    MessageKind.INIT_REBOOT: handle_init_reboot,
    MessageKind.RENEWING: handle_renewing,
    MessageKind.REBINDING: handle_rebinding,
    MessageKind.DECLINE: handle_decline,
    MessageKind.RELEASE: handle_release,
    MessageKind.INFORM: handle_inform,
}
