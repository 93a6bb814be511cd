"""A peer's rows in the place of mine that are of the same change, and not the same.

A change's name (stream, number) stands for one content at every member, so a merge keeps the row
that lies here. Where somebody has edited a store, or a disk has decayed, that is not so, and no
rule can know which side is right: who does is an operator, with `dhcpsync check`. Rows of different
changes are merged as ever; here nothing is made that the group has not had already.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.limits import EXPIRY_SLACK_S
from agent.model import Binding, ConfigRecord, configuration_key
from agent.port import StoreTransaction
from agent.sync import messages as m
from agent.sync.merge import configures_the_same, content


def replace_rows(tx: StoreTransaction, records: Sequence[m.Record]) -> int:
    """How many were replaced. What everybody had recorded of such a row is not known any more."""
    theirs = {row.address: row for row in records if isinstance(row, Binding)}
    mine = tx.bindings_by_address(theirs.keys()) if theirs else {}
    wrong = [
        theirs[address]._replace(acknowledged_at=0)
        for address, row in mine.items()
        if is_same_change(row, theirs[address]) and not says_the_same(row, theirs[address])
    ]
    if wrong:
        tx.put_bindings(wrong)
    return len(wrong)


def replace_configuration(tx: StoreTransaction, records: Sequence[ConfigRecord]) -> int:
    wrong = []
    for record in records:
        mine = tx.configuration_record(*configuration_key(record.row))
        if mine is None or not is_same_change(mine, record):
            continue
        if not configures_the_same(mine, record):
            wrong.append(record)
    if wrong:
        tx.put_configuration(wrong)
    return len(wrong)


def is_same_change(a: m.Record, b: m.Record) -> bool:
    return (a.stream, a.seq) == (b.stream, b.seq)


def says_the_same(a: Binding, b: Binding, slack_s: int = EXPIRY_SLACK_S) -> bool:
    """But for what instants lose on their way. What is recorded everywhere is each member's own."""
    return (
        content(a) == content(b)
        and abs(a.expires_at - b.expires_at) <= slack_s
        and abs(a.potential_expires_at - b.potential_expires_at) <= slack_s
        and abs(a.transaction_at - b.transaction_at) <= slack_s
    )
