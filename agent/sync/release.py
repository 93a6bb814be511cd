"""An operator's RELEASE: a lease that is over by a person's word, as if its client had said so.

By the rules it is the client's own RELEASE: the record becomes RELEASED under its epoch and grant,
at whichever member is told so, and spreads as any other; where another member has renewed the lease
meanwhile, that grant is the greater one, and the release is nothing. Nobody tells the client. Its
address rests, is tried, and is its own again if it asks before somebody else has it. Only the
member that gave the lease knows whether all others have recorded it; released at another one, the
address may rest until the lease would have been over (`Binding.is_settled`). Of a lease that never
ends the client never asks again, so nothing would ever tell it: that is refused.
"""

from __future__ import annotations

from agent.dhcp.lease import given_back, group_terms
from agent.errors import PeerError
from agent.model import NEVER, Binding, BindingState, Transaction, format_address
from agent.port import StoreTransaction
from agent.sync.situation import Situation


def released(tx: StoreTransaction, situation: Situation, address: int, now: int) -> Binding:
    """The row as it is to be. PeerError where there is no lease that could be ended here."""
    name, group = format_address(address), situation.group
    if group is None or not situation.is_current or not situation.joined:
        why = f"member {situation.me} does not hold all that the others do: ask another"
        raise PeerError("not_serving", why)
    row = tx.bindings_by_address((address,)).get(address)
    if row is None:
        raise PeerError("no_lease", f"nobody has or had {name}")
    if row.state is BindingState.UNAVAILABLE:
        raise PeerError("no_lease", f"{name} is unavailable, and nobody's")
    if row.state is BindingState.RELEASED:
        raise PeerError("no_lease", f"{name} is released already")
    if row.expires_at <= now:
        raise PeerError("no_lease", f"the lease of {name} is over")
    if row.expires_at >= NEVER:
        raise PeerError("endless", f"the lease of {name} never ends: its client asks nobody again")
    terms = group_terms(group, tx.local())
    return given_back(row, Transaction.RELEASE, situation.me, now, tx.streams(), terms)
