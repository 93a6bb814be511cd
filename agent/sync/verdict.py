"""Whether an address may be made BINDABLE by another member, as far as this one knows.

The answer to a poll (docs/protocol.md, "The complete poll"; draft 5.4), and, asked about itself, a
member's own choice of what is worth polling. An address is refused while a client may use it, while
this member owns or polls it, and while it is promised to somebody else. An ownership ends with its
first binding: a binding of the range's epoch or a later one has used it up, and from then on the
binding alone decides, so anybody may poll the address again when that binding is dead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agent.limits import DECLINE_HOLD_S, EXPIRY_GRACE_S, POLL_RANGES_MAX, RELEASE_HOLD_S
from agent.model import (
    AddressRange,
    AddressState,
    Binding,
    BindingState,
    MemberId,
    Nonce,
    Transaction,
)
from agent.sync.messages import Verdict
from agent.sync.recover import held_until


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks what: first..last for `asker`, under `nonce`, at `now` (seconds).

    `yields`: this member's own poll gives way to the asker's. `epoch`: what the asker wants to
    own it under, in the second round; one that is already known somewhere is refused. Under
    counter 0 it is the epoch of the asker's promise, which is wanted as long as the asker may
    lack the record of a lease of that epoch. `lost_at` and `mul_s`: since when a store is lost
    that may have given leases (`held_until`). `alone`: there is no other member, so nothing that it
    may not have heard of yet, and what a client has given back need not rest."""

    first: int
    last: int
    asker: MemberId
    nonce: Nonce
    now: int
    yields: bool = False
    epoch: int | None = None
    lost_at: int = 0
    mul_s: int = 0
    alone: bool = False


def is_dead(
    binding: Binding, now: int, lost_at: int = 0, mul_s: int = 0, alone: bool = False
) -> bool:
    """Whether nobody can use the address any more by what the binding says, and by what a lost
    store may have made of it."""
    if held_until(binding, lost_at, mul_s) > now:
        return False
    rest_s = EXPIRY_GRACE_S if alone else RELEASE_HOLD_S
    if binding.state is BindingState.RELEASED and binding.transaction_at + rest_s > now:
        return False
    if binding.state is BindingState.RELEASED and binding.is_settled:
        return True
    if binding.expires_at + EXPIRY_GRACE_S > now:
        return False
    if binding.state is BindingState.UNAVAILABLE:
        if binding.transaction is Transaction.CONFLICT:
            return False
        if binding.transaction in (Transaction.DECLINE, Transaction.PROBE):
            return binding.transaction_at + DECLINE_HOLD_S <= now
    return True


def judge(
    question: Question, ranges: Sequence[AddressRange], bindings: Sequence[Binding]
) -> list[Verdict]:
    """Verdicts in order that cover first..last. `ranges` and `bindings` are those that lie in
    it, in order. At most POLL_RANGES_MAX: what is left uncovered then is not agreed."""
    verdicts: list[Verdict] = []
    for first, last, row, binding in _pieces(question, ranges, bindings):
        verdict = _piece(question, first, last, row, binding)
        if verdicts and _joins(verdicts[-1], verdict):
            before = verdicts[-1]
            verdicts[-1] = replace(
                before, last=verdict.last, epoch=max(before.epoch, verdict.epoch)
            )
        elif len(verdicts) == POLL_RANGES_MAX:
            break
        else:
            verdicts.append(verdict)
    return verdicts


def _joins(before: Verdict, after: Verdict) -> bool:
    return (
        before.agreed == after.agreed
        and before.owner == after.owner
        and before.last + 1 == after.first
    )


_Piece = tuple[int, int, AddressRange | None, Binding | None]


def _pieces(
    question: Question, ranges: Sequence[AddressRange], bindings: Sequence[Binding]
) -> Iterator[_Piece]:
    """Runs of addresses under one range and without a binding, and single bound addresses."""
    position = 0
    for first, last, row in _segments(question, ranges):
        at = first
        while position < len(bindings) and bindings[position].address <= last:
            binding = bindings[position]
            position += 1
            if at < binding.address:
                yield at, binding.address - 1, row, None
            yield binding.address, binding.address, row, binding
            at = binding.address + 1
        if at <= last:
            yield at, last, row, None


def _segments(
    question: Question, ranges: Sequence[AddressRange]
) -> Iterator[tuple[int, int, AddressRange | None]]:
    at = question.first
    for row in ranges:
        if at < row.first:
            yield at, row.first - 1, None
        yield max(at, row.first), min(row.last, question.last), row
        at = row.last + 1
    if at <= question.last:
        yield at, question.last, None


def _piece(
    question: Question, first: int, last: int, row: AddressRange | None, binding: Binding | None
) -> Verdict:
    bound_epoch = binding.epoch if binding else 0
    epoch = max(bound_epoch, row.epoch if row else 0)
    asks_if_wanted = question.nonce.counter == 0 and question.epoch is not None
    if asks_if_wanted and bound_epoch >= (question.epoch or 0):
        return Verdict(first, last, False, bound_epoch, 0)
    if row is not None and not _used_up(row, binding):
        if _refuses(question, row):
            return Verdict(first, last, False, epoch, row.member)
        again = question.epoch == row.epoch or question.nonce.counter == 0
        if row.state is AddressState.PROMISED and again:
            epoch = bound_epoch
    if binding is not None and not is_dead(
        binding, question.now, question.lost_at, question.mul_s, question.alone
    ):
        return Verdict(first, last, False, epoch, 0)
    if question.epoch is not None and question.epoch <= epoch:
        return Verdict(first, last, False, epoch, 0)
    return Verdict(first, last, True, epoch, 0)


def _used_up(row: AddressRange, binding: Binding | None) -> bool:
    """Whether a binding stands where the ownership stood."""
    if row.state not in (AddressState.BINDABLE, AddressState.PROMISED):
        return False
    return binding is not None and binding.epoch >= row.epoch


def _refuses(question: Question, row: AddressRange) -> bool:
    """Whether an ownership that is not used up stands against the asker. The attempt to which it
    was promised may ask again, a later one of the same poller not before the promise has ended:
    a lease may have come of it whose record is still to come. Counter 0 asks whether a promise is
    still wanted."""
    if row.state is AddressState.POLLING:
        return not question.yields
    if row.state is AddressState.PROMISED and row.member == question.asker:
        return question.nonce.counter > 0 and question.nonce != row.nonce
    return True
