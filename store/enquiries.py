"""Enquiries: what the engine asks the other members, and the agent's answers, of this member alone.

Few rows, for a while; whoever loses them asks again.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, literal_column, select

from agent.model import Enquiry
from store.session import Row, read_once
from store.sqlite import compile_statement, compile_upsert, limited
from store.streams import StreamRows
from store.tables import ENQUIRY

_ONE = compile_statement(select(ENQUIRY).where(ENQUIRY.c.address == bindparam("of")), "of")
_OPEN = compile_statement(
    limited(
        select(ENQUIRY)
        .where(ENQUIRY.c.answered_ms == literal_column("0"))
        .order_by(ENQUIRY.c.asked_ms, ENQUIRY.c.address),
        "limit",
    ),
    "limit",
)
_PUT = compile_upsert(ENQUIRY)
_COUNT = compile_statement(select(func.count()).select_from(ENQUIRY))
_FORGET = compile_statement(
    delete(ENQUIRY).where(ENQUIRY.c.asked_ms < bindparam("before")), "before"
)


def _enquiry(row: Row) -> Enquiry:
    address, asked_ms, answered_ms, free, complete, epoch = row
    return Enquiry(address, asked_ms, answered_ms, bool(free), bool(complete), epoch)


class EnquiryRows(StreamRows):
    """The part of the port about enquiries."""

    def enquiry(self, address: int) -> Enquiry | None:
        rows = self.rows(_ONE, (address,))
        return _enquiry(rows[0]) if rows else None

    @read_once
    def open_enquiries(self, limit: int) -> list[Enquiry]:
        return [_enquiry(row) for row in self.rows(_OPEN, (limit,))]

    def put_enquiries(self, enquiries: Sequence[Enquiry]) -> None:
        rows = [(*one[:3], +one.free, +one.complete, one.epoch) for one in enquiries]
        self.change_many(_PUT, rows)

    def count_enquiries(self) -> int:
        count: int = self.rows(_COUNT)[0][0]
        return count

    def forget_enquiries(self, asked_before_ms: int) -> None:
        self.change(_FORGET, (asked_before_ms,))
