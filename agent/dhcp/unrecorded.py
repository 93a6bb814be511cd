"""A lease that this member knows nothing of: whom to ask, what to try, whom to believe (draft 6.5).

A client in REBINDING says that it has a lease. Where no record says so, its server may have ended
between the ACK and the push, or lost its store. In order:

- the subnet's policy may rule it out;
- an ownership, promise or live record that lies here says otherwise: silence;
- where the address is promised to a member of which nothing is heard, that member must be the one,
  and the client is believed at once (`believed_claim`);
- the other members are asked (`agent.sync.enquiry`), and the address is tried on a link of our
  own, while the client hears nothing; when its message is handled anew the answers are there
  (`agent.dhcp.held`);
- an answer from another machine means silence. Where every member has said that it knows of
  nobody there, it makes the address UNAVAILABLE, under the caps of a DECLINE: otherwise any host
  that answers ARP would beat the lease of an owner, whose epoch may be lower. Through a relay
  nothing is tried: a client that is using its address answers an echo itself, and nothing tells
  the answers apart.

What is believed becomes a lease of at most MUL, marked CLAIM.

While leases of a former server run (`agent.kinds.former_server`) there are many such clients, and
the addresses of this member's stock that they use are UNAVAILABLE as soon as they have been tried.
That keeps them from others, not from the client that was found there (`right_to`).
"""

from __future__ import annotations

from agent.dhcp.allocate import keeps_address
from agent.dhcp.claim import claim
from agent.dhcp.classify import Message, MessageKind
from agent.dhcp.context import Claim, Context
from agent.limits import DECLINE_HOLD_S, ENQUIRIES_MAX, ENQUIRY_FRESH_MS, EXPIRY_GRACE_S
from agent.model import (
    AddressRange,
    AddressState,
    Binding,
    BindingState,
    ClaimPolicy,
    Enquiry,
    MemberId,
    Subnet,
    Transaction,
)
from agent.sync.verdict import is_dead

CLAIM_ASKED = "claim_asked"
"""It is being found out: the message is handled anew in a moment (agent.dhcp.held)."""

_FOUND_IN_USE = ("bound_to_other", "declined", "unknown_binding")
"""What `claim` calls an address that was found in use; the last when that was a day ago."""


def enquire(c: Context, address: int) -> Enquiry | None:
    """What the other members say, if that is known and fresh; otherwise they will be asked."""
    known = c.tx.enquiry(address)
    if known is not None:
        if not known.answered_ms:
            return None
        if c.now_ms - known.answered_ms <= ENQUIRY_FRESH_MS:
            return known
    if known is not None or c.tx.count_enquiries() < ENQUIRIES_MAX:
        c.tx.put_enquiries([Enquiry(address, c.now_ms)])
        c.enquired = True
    return None


def is_surely_others(c: Context, address: int) -> bool:
    """Whether the client may be told that the address is another's (I11): a live record says so,
    every member is reachable, and all of them have just said that it is taken."""
    row = c.view.binding(address)
    if row is None or not row.is_live(c.now):
        return False
    if c.terms.alone:
        return True
    said = enquire(c, address)
    return said is not None and said.complete and not said.free and not c.silent_members()


def right_to(c: Context, m: Message, address: int) -> Claim | str:
    """The right to bind the address to the client, as `claim`; also to one that uses it by a lease
    of a former server."""
    right = claim(c, m.packet, address)
    if right in _FOUND_IN_USE and _is_found_there(c, m, address):
        row = c.view.binding(address)
        assert row is not None
        return Claim(c.next_epoch(row.epoch), 1, None)
    return right


def _is_found_there(c: Context, m: Message, address: int) -> bool:
    """Whether all that stands against the client is that its address was found in use: by itself,
    where the machine is known; where an echo answered, by whoever uses it behind a relay and says
    so, for nothing tells two such apart (as above).

    Only of what is this member's to give, under the epoch of the record: nobody else has given
    it since, nor can before this member agrees, which it does not while the client's lease runs."""
    row = c.view.binding(address)
    if row is None or row.transaction is not Transaction.PROBE:
        return False
    owned = c.ownership.range_of(c.tx, address)
    if owned is None or not c.ownership.is_own(owned) or owned.epoch != row.epoch:
        return False
    if c.now >= c.configuration.former_leases_end(address, address):
        return False
    if row.hardware_address:
        return row.hardware_address == m.packet.client_hardware_address
    return m.kind in (MessageKind.RENEWING, MessageKind.REBINDING) and not m.on_link


def unrecorded_claim(c: Context, m: Message, subnet: Subnet) -> Claim | str:
    """The right to bind the address on the word of a client in REBINDING, or why not (yet)."""
    address, configuration = m.address, c.configuration
    if configuration.pool_of(address) is None or configuration.reservation_of(address):
        return "unknown_binding"
    if subnet.claims is ClaimPolicy.DENY:
        return "claim_denied"
    if subnet.claims is ClaimPolicy.KNOWN_ONLY and not c.view.bindings_of(m.packet.client_key):
        return "claim_denied"
    row = c.view.binding(address)
    owned = c.ownership.range_of(c.tx, address)
    if owned is not None and not _is_used_up(owned, row):
        return believed_claim(c, owned, row) or "promised_to_other"
    if c.offers.held_for_other(address, m.packet.client_key):
        return "offered_to_other"
    if row is not None and not is_dead(row, c.now):
        return "bound_to_other"
    return _claim_after_asking(c, m, row)


def believed_claim(c: Context, owned: AddressRange, row: Binding | None) -> Claim | None:
    """The address is promised to a member of which nothing is heard, and no binding of that
    ownership has come. Before the promise every member said that nobody had a lease, so an
    unexpired one can only be from that member; and that member gives the address to nobody else
    while it takes this lease to run, nor later without asking here."""
    if owned.state is not AddressState.PROMISED or owned.member not in c.silent_members():
        return None
    if row is not None and keeps_address(row, c.now):
        return None
    return Claim(owned.epoch, 1, None)


def _is_used_up(owned: AddressRange, row: Binding | None) -> bool:
    """Whether the ownership has ended in a binding (agent.sync.verdict)."""
    return (
        owned.state in (AddressState.BINDABLE, AddressState.PROMISED)
        and row is not None
        and row.epoch >= owned.epoch
    )


def _claim_after_asking(c: Context, m: Message, row: Binding | None) -> Claim | str:
    said = enquire(c, m.address)
    heard = _probe(c, m)
    if said is None or heard is None:
        return CLAIM_ASKED
    if not said.free:
        return "known_elsewhere"
    epoch = c.next_epoch(max(said.epoch, row.epoch if row else 0))
    others = heard - {m.packet.client_hardware_address}
    if others:
        pool = c.configuration.pool_of(m.address)
        if said.complete and c.declines.admit_answer(min(others), m.address, pool, c.now):
            c.view.change(found_in_use(m.address, epoch, min(others), c.me, c.now))
        return "answered_by_other"
    if not said.complete:
        if not c.silent_members():
            return CLAIM_ASKED
        if row is not None and _may_have_been_extended(c, row):
            return "bound_to_other"
    return Claim(epoch, 1, None)


def _may_have_been_extended(c: Context, row: Binding) -> bool:
    """Whether a member that is not heard may have given the former client more time."""
    return row.potential_expires_at + c.terms.mul_s + EXPIRY_GRACE_S > c.now


def _probe(c: Context, m: Message) -> frozenset[bytes] | None:
    if m.packet.gateway_address:
        return frozenset()
    return c.probes.look(m.address, m.received.interface, c.now_ms)


def found_in_use(
    address: int, epoch: int, hardware_address: bytes, me: MemberId, now: int
) -> Binding:
    """UNAVAILABLE, named after the machine that answered: nobody bound it to a client."""
    until = now + DECLINE_HOLD_S
    return Binding(
        address,
        b"\x00\x01" + hardware_address,
        None,
        1,
        hardware_address,
        "",
        BindingState.UNAVAILABLE,
        epoch,
        1,
        until,
        until,
        0,
        Transaction.PROBE,
        now,
        me,
        b"",
    )
