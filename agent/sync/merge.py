"""Which record wins, and what two records of one address make together (docs/protocol.md, "Records,
and which one wins").

A binding is a point of a semilattice: merging is commutative, associative and idempotent in
content, so the order, the repetition and the route of delivery never matter.

- A higher epoch wins: its owner had every member's agreement. Only a claim (REBINDING without a
  record) has an epoch that nobody agreed to, while the owner may go on serving the same client
  under the one before; so for one client a lease that ends later is kept over epochs too. Which
  instants come of that may depend on the order; what comes of it is told to all, and stays.
- Within an epoch and for one client the record with the greater (grant, state, transaction server)
  wins, and the expiries are the maximum of both: a merge never shortens a lease. A
  RELEASE therefore beats the grant that it names and no later one.
- UNAVAILABLE beats all in its epoch. Two clients in one epoch are a conflict, which is UNAVAILABLE
  with the transaction CONFLICT and beats every other record of the epoch. Its options list who took
  part (`agent.sync.conflict`); all else that could depend on which records had met before is left
  out, or members would tell the same conflict differently. It stands until an operator repairs it
  by a record of the next epoch.
- Instants take no part in choosing, because members may hold the same one a second apart.

A result that is neither of its inputs is a change of its own (MIX): it takes the next number of
the merging member's stream, so that everybody converges to it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from agent.kinds import kind_of
from agent.limits import EXPIRY_SLACK_S
from agent.model import Binding, BindingState, ConfigRecord, Transaction
from agent.sync.conflict import is_conflict, join_parties, pack_parties, parties_of
from agent.sync.rows import pack_row


class Choice(enum.Enum):
    """What becomes of the local row. KEEP: nothing. TAKE: write the row under the remote's name
    (stream, seq). MIX: write the row as this member's own change."""

    KEEP = enum.auto()
    TAKE = enum.auto()
    MIX = enum.auto()


@dataclass(frozen=True, slots=True)
class Outcome:
    choice: Choice
    row: Binding


def merge(local: Binding | None, remote: Binding) -> Outcome:
    """Merge a received row into the row of the same address that lies here."""
    if local is None:
        return Outcome(Choice.TAKE, remote)
    if (local.stream, local.seq) == (remote.stream, remote.seq):
        return Outcome(Choice.KEEP, local)
    if local.epoch != remote.epoch:
        winner, loser = (local, remote) if local.epoch > remote.epoch else (remote, local)
        if _leased_longer(winner, loser):
            return Outcome(Choice.MIX, _longer(winner, loser))
        return Outcome(Choice.KEEP if winner is local else Choice.TAKE, winner)
    joined = _join(local, remote)
    local_suffices, remote_suffices = _suffices(local, joined), _suffices(remote, joined)
    if not local_suffices and not remote_suffices:
        return Outcome(Choice.MIX, joined)
    source = local if local_suffices else remote
    if local_suffices and remote_suffices:
        source = max(local, remote, key=_name)
    row = joined._replace(stream=source.stream, seq=source.seq)
    return Outcome(Choice.KEEP if row == local else Choice.TAKE, row)


def merge_configuration(local: ConfigRecord | None, remote: ConfigRecord) -> ConfigRecord | None:
    """The record to write, or None where the local one stays: the last writer wins. A store that
    was put back counts on from what it remembers, so two changes of one author may have one
    version: then its later stream, and number, decide, and at last what the record says."""
    if local is None or local.version < remote.version:
        return remote
    if local.version != remote.version or configures_the_same(local, remote):
        return None
    return remote if _tells(local) < _tells(remote) else None


def configures_the_same(a: ConfigRecord, b: ConfigRecord, slack_s: int = EXPIRY_SLACK_S) -> bool:
    """Of two records of one key; but for what instants lose on their way."""
    said = {name: getattr(b.row, name) for name in kind_of(b.row).instants}
    near = all(abs(getattr(a.row, name) - at) <= slack_s for name, at in said.items())
    return near and replace(a, row=replace(a.row, **said)) == b


def _tells(record: ConfigRecord) -> tuple[int, int, bool, bytes]:
    return record.stream, record.seq, record.deleted, pack_row(record.row, 0)


def content(row: Binding) -> tuple[object, ...]:
    """What a record says apart from instants and from its name: equal at converged members."""
    return (
        row.address,
        row.client_key,
        row.client_id,
        row.hardware_type,
        row.hardware_address,
        row.hostname,
        row.state,
        row.epoch,
        row.grant,
        row.transaction,
        row.transaction_server,
        row.options,
    )


def _name(row: Binding) -> tuple[int, int]:
    return row.stream, row.seq


def _order(row: Binding) -> tuple[object, ...]:
    """Total among the different contents of one client and epoch. The names of the changes come
    last and only for form: mixing gives a new name, and the order must outlive that."""
    return (
        is_conflict(row),
        row.state is BindingState.UNAVAILABLE,
        row.grant,
        row.state,
        row.transaction_server,
        row.transaction,
        row.hostname,
        row.options,
        row.hardware_type,
        row.hardware_address,
        row.client_id or b"",
        row.stream,
        row.seq,
    )


def _join(a: Binding, b: Binding) -> Binding:
    """The least row that says what both say, under the (stream, seq) of one of them."""
    same_client = a.client_key == b.client_key
    winner = max(a, b, key=_order)
    if not same_client:
        winner = _conflict(winner, max(a.client_key, b.client_key))
    if is_conflict(winner):
        winner = winner._replace(
            transaction_at=max(a.transaction_at, b.transaction_at),
            options=pack_parties(join_parties(parties_of(a), parties_of(b))),
        )
    return winner._replace(
        expires_at=max(a.expires_at, b.expires_at),
        potential_expires_at=max(a.potential_expires_at, b.potential_expires_at),
        acknowledged_at=max(a.acknowledged_at, b.acknowledged_at) if same_client else 0,
    )


def _leased_longer(winner: Binding, loser: Binding) -> bool:
    """Whether the record of an older epoch is of a lease of the same client that ends later."""
    return (
        loser.state is BindingState.BOUND
        and winner.state in (BindingState.BOUND, BindingState.RELEASED)
        and winner.client_key == loser.client_key
        and loser.expires_at - winner.expires_at > EXPIRY_SLACK_S
    )


def _longer(winner: Binding, loser: Binding) -> Binding:
    return winner._replace(
        expires_at=loser.expires_at,
        potential_expires_at=max(winner.potential_expires_at, loser.potential_expires_at),
    )


def _conflict(row: Binding, client_key: bytes) -> Binding:
    return row._replace(
        client_key=client_key,
        client_id=client_key[1:] if client_key[:1] == b"\x01" else None,
        hardware_type=0,
        hardware_address=b"",
        hostname="",
        state=BindingState.UNAVAILABLE,
        grant=0,
        transaction=Transaction.CONFLICT,
        transaction_server=0,
        options=b"",
    )


def _suffices(row: Binding, joined: Binding) -> bool:
    """Whether `row` says what the joined row says, but for what instants lose on their way."""
    return (
        content(row) == content(joined)
        and joined.expires_at - row.expires_at <= EXPIRY_SLACK_S
        and joined.potential_expires_at - row.potential_expires_at <= EXPIRY_SLACK_S
        and joined.transaction_at - row.transaction_at <= EXPIRY_SLACK_S
    )
