"""Bindings by the column: a walk of one column reads that column, not whole rows.

Management stations read tables column by column. A row of eighteen columns costs ten times as much
to fetch and to make a record of as the one or two columns that such a walk shows.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import bindparam, select

from store.session import Row, Session
from store.sqlite import compile_statement, limited
from store.tables import BINDING


@cache
def _columns(names: tuple[str, ...]) -> str:
    address = BINDING.c.address
    return compile_statement(
        limited(
            select(address, *(BINDING.c[name] for name in names))
            .where(address >= bindparam("first"))
            .order_by(address),
            "limit",
        ),
        "first",
        "limit",
    )


class BindingColumns(Session):
    """Beside the port: what the SNMP agent reads in bulk."""

    def binding_columns(self, names: tuple[str, ...], first: int, limit: int) -> list[Row]:
        """(address, *`names`) of the bindings from `first` on in order, at most `limit`. `names`
        are columns of the binding table."""
        return self.rows(_columns(names), (first, limit))
