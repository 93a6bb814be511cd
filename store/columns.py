"""Bindings by the column: a walk of one column reads that column, not whole rows.

Management stations read tables column by column. A row of eighteen columns costs ten times as much
to fetch and to make a record of as the one or two columns that such a walk shows.
"""

from __future__ import annotations

from collections.abc import Mapping
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


_SOUGHT: Mapping[str, str] = {
    name: compile_statement(
        limited(
            select(BINDING.c.address)
            .where(column == bindparam("value"), BINDING.c.address >= bindparam("first"))
            .order_by(BINDING.c.address),
            "limit",
        ),
        "value",
        "first",
        "limit",
    )
    for name, column in {
        "client_key": BINDING.c.client_key,
        "hardware_address": BINDING.c.hardware_address,
        "hostname": BINDING.c.hostname.collate("NOCASE"),
    }.items()
}


class BindingColumns(Session):
    """Beside the port: what the SNMP agent reads in bulk."""

    def binding_columns(self, names: tuple[str, ...], first: int, limit: int) -> list[Row]:
        """(address, *`names`) of the bindings from `first` on in order, at most `limit`. `names`
        are columns of the binding table."""
        return self.rows(_columns(names), (first, limit))

    def addresses_of(self, name: str, value: bytes | str, first: int, limit: int) -> list[int]:
        """Addresses from `first` on, in order, whose binding has that client_key,
        hardware_address or hostname (in any case of ASCII letters); at most `limit`.

        Client keys have an index. The others read every row, 0.1 s of the processor for a million:
        an index would add a third to what a new lease costs, for a question that people ask."""
        return [row[0] for row in self.rows(_SOUGHT[name], (value, first, limit))]
