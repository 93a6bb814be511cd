"""Where a request of one member to another stands: the row that is SET at the other's agent, and
whose answer is read there. Whoever SETs it elsewhere is refused (`writing.py`), so that the tables'
indexes tell who asks for what."""

from __future__ import annotations

from typing import TypeAlias

from agent.snmp import columns
from agent.snmp.columns import Table
from agent.snmp.oid import Oid
from agent.sync import messages as m

Exchange: TypeAlias = (
    m.PollAsk
    | m.PollReserve
    | m.PollAbort
    | m.TransferAsk
    | m.TransferTaken
    | m.BallotPrepare
    | m.BallotAccept
    | m.GroupCommit
)
"""A request that is SET; the others are INFORMs and reads."""


def exchange_row(request: Exchange) -> tuple[Table, Oid]:
    """The table and index under which it is put."""
    if isinstance(request, m.BallotPrepare):
        return columns.PROPOSAL, (request.generation, request.ballot.member)
    if isinstance(request, m.BallotAccept):
        return columns.PROPOSAL, (request.value.generation, request.ballot.member)
    if isinstance(request, m.GroupCommit):
        return columns.PROPOSAL, (request.value.generation, request.header.sender)
    if isinstance(request, m.TransferAsk | m.TransferTaken):
        return columns.TRANSFER, (request.header.sender, *request.xid)
    nonce = request.nonce
    return columns.POLL, (request.header.sender, nonce.incarnation, nonce.counter)
