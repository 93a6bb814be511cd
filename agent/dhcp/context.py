"""What a handler is given and gives back: the rows of the batch, what is known besides, the answer.

Handlers read through a `Context`, which holds what one batch knows, and write into its `View`; the
engine makes the batch durable before any answer leaves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.dhcp import wire
from agent.dhcp.allocate import FreeStock, Offer, Offers, Ownership
from agent.dhcp.classify import Message
from agent.dhcp.decline import DeclineLimiter
from agent.dhcp.held import Patience
from agent.dhcp.lease import (
    Grant,
    Terms,
    acknowledged_expiry,
    decide_grant,
    is_too_short,
)
from agent.dhcp.packet import MessageType, Packet
from agent.dhcp.probes import Probes
from agent.dhcp.reply import Template, Templates
from agent.events.leases import Step
from agent.limits import ENQUIRIES_MAX, WISH_AGAIN_MS
from agent.model import (
    Binding,
    MemberId,
    Pool,
    Reservation,
    StreamHead,
    StreamId,
    Subnet,
    first_epoch,
)
from agent.port import StoreTransaction
from agent.settings.configuration import Configuration


class View:
    """Bindings as this batch sees them: loaded at once before it, changed by it."""

    def __init__(
        self, tx: StoreTransaction, addresses: Collection[int], client_keys: Collection[bytes]
    ) -> None:
        self._tx = tx
        self._rows: dict[int, Binding | None] = {}
        self._addresses_of: dict[bytes, list[int]] = {}
        self.changed: dict[int, Binding] = {}
        self.steps: list[Step] = []
        """Every change, with what was known before it: an address may change twice in a batch."""
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

    def loaded(self, address: int) -> Binding | None:
        """As `binding`, of what this batch has looked at."""
        return self._rows.get(address)

    def bindings_of(self, client_key: bytes) -> list[Binding]:
        """The client's own rows, the latest transaction first."""
        if client_key not in self._addresses_of:
            found = self._tx.bindings_by_client((client_key,)).get(client_key, ())
            changed = [row for row in self.changed.values() if row.client_key == client_key]
            self._addresses_of[client_key] = list({row.address: row for row in (*found, *changed)})
        rows = [self.binding(address) for address in self._addresses_of[client_key]]
        mine = [row for row in rows if row is not None and row.client_key == client_key]
        return sorted(mine, key=lambda row: -row.transaction_at) if len(mine) > 1 else mine

    def change(self, row: Binding) -> None:
        self.steps.append((self._rows.get(row.address), row))
        self._rows[row.address] = self.changed[row.address] = row
        known = self._addresses_of.get(row.client_key)
        if known is not None and row.address not in known:
            known.append(row.address)


@dataclass(slots=True)
class Context:
    """What the rules know while they handle one batch. `now` is rounded down, `issued` up; `pools`
    is by the network of their subnet; `buckets`: the members' clients (`agent.dhcp.balance`).
    `kept_addresses` are servers' own, `named_addresses` those of routers and other machines that
    the configuration names, which only a reservation gives to anybody."""

    tx: StoreTransaction
    me: MemberId
    now_ms: int
    now: int
    issued: int
    terms: Terms
    buckets: tuple[MemberId, ...]
    generation: int
    configuration: Configuration
    pools: Mapping[int, tuple[Pool, ...]]
    templates: Templates
    own_addresses: Collection[int]
    kept_addresses: Collection[int]
    named_addresses: Collection[int]
    ownership: Ownership
    offers: Offers
    stock: FreeStock
    declines: DeclineLimiter
    patience: Patience
    probes: Probes
    view: View
    serving_since: int
    enquired: bool = False
    wishes: set[int] = field(default_factory=set)
    _streams: Mapping[StreamId, StreamHead] | None = field(default=None)
    _first_grants: dict[int, Grant] = field(default_factory=dict)
    _silent: frozenset[MemberId] | None = field(default=None)
    _idle: frozenset[MemberId] | None = field(default=None)

    def streams(self) -> Mapping[StreamId, StreamHead]:
        if self._streams is None:
            self._streams = self.tx.streams()
        return self._streams

    def silent_members(self) -> frozenset[MemberId]:
        if self._silent is None:
            self._silent = self.tx.silent_members()
        return self._silent

    def idle_members(self) -> frozenset[MemberId]:
        if self._idle is None:
            self._idle = self.tx.idle_members()
        return self._idle

    def next_epoch(self, known: int) -> int:
        """The epoch of a lease that comes of no ownership: above all that is known, and above what
        was owned in an earlier generation, of which a record may come to light later."""
        return max(known, first_epoch(self.generation)) + 1

    def wish(self, address: int) -> None:
        """The agent is to find out whether the address can be had, and have it; unless it has just
        been asked. Written after the batch: a DISCOVER only reads."""
        known = self.tx.enquiry(address)
        if known is None:
            if self.tx.count_enquiries() + len(self.wishes) < ENQUIRIES_MAX:
                self.wishes.add(address)
        elif known.answered_ms and self.now_ms - known.answered_ms > WISH_AGAIN_MS:
            self.wishes.add(address)

    def first_grant(self, wanted_s: int) -> Grant:
        """The lease of a client that had none: the same for all of a batch that want as long."""
        grant = self._first_grants.get(wanted_s)
        if grant is None:
            grant = decide_grant(wanted_s, self.terms, None, 0, self.now, self.issued)
            self._first_grants[wanted_s] = grant
        return grant


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
NOT_CERTAIN = Answer(None, "maybe_declared_dead")
"""Nobody has told this member yet that it is in its group (`agent.dhcp.lease`)."""


def reservation_for(c: Context, packet: Packet, subnet: Subnet) -> Reservation | None:
    """What is reserved for the client, by its identifier or by its hardware address: a machine's
    label shows the latter, whatever identifier its clients send."""
    if not c.configuration.reservations:
        return None
    find = c.configuration.reservation_for
    return find(packet.client_key, subnet) or find(packet.hardware_key, subnet)


def subnet_of(subnets: tuple[Subnet, ...], address: int) -> Subnet | None:
    for subnet in subnets:
        if address in subnet:
            return subnet
    return None


def return_offer(c: Context, offer: Offer) -> None:
    """An offer has ended without a binding: its address is free again, if it is still ours."""
    pool = c.configuration.pool_of(offer.address)
    if offer.from_stock and pool is not None:
        c.stock.give_back(pool)


def discard(c: Context, address: int) -> None:
    pool = c.configuration.pool_of(address)
    if pool is not None:
        c.stock.discard(pool, address)


def lease_for(
    c: Context,
    m: Message,
    subnet: Subnet,
    address: int,
    former: Binding | None,
    claimed: bool = False,
) -> tuple[Template, Grant] | None:
    """`claimed`: on the client's word alone, which never gives more than MUL. None: this member may
    have been declared dead, and its word would be good for no time."""
    options = m.packet.options
    reservation = c.configuration.reservation_of(address)
    requested = options.get(wire.PARAMETER_REQUEST_LIST)
    template = c.templates.template(subnet, address, reservation, requested)
    wanted = template.times.wanted(c.terms.lease_s, options.get(wire.LEASE_TIME))
    if claimed:
        wanted = min(wanted, c.terms.mul_s)
    if former is None:
        grant = c.first_grant(wanted)
    else:
        acknowledged = acknowledged_expiry(former, c.streams(), c.terms)
        grant = decide_grant(wanted, c.terms, former, acknowledged, c.now, c.issued)
    return None if is_too_short(grant, wanted, c.terms) else (template, grant)
