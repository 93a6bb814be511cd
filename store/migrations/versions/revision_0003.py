"""Which addresses of a subnet are tried before they are given away.

An existing subnet goes on as it was: those that another client had lately. SQLite can change no
CHECK, so the table is made anew beside the old one, whose rows it takes over.

A migration is history: it repeats the columns instead of using `store/tables.py`, which moves on.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

RECENT = 1
CHECKS = {
    "prefix": "network BETWEEN 0 AND 4294967295 AND prefix_length BETWEEN 0 AND 32",
    "host_bits": "(network & (4294967295 >> prefix_length)) = 0",
    "lease": "lease_s BETWEEN 0 AND 4294967295",
    "offers": "claims BETWEEN 1 AND 3 AND offer_delay_s BETWEEN 0 AND 4294967295",
    "probe": "probe BETWEEN 1 AND 3",
    "flags": "active IN (0, 1) AND deleted IN (0, 1)",
    "version": "version_counter > 0 AND version_member BETWEEN 1 AND 2147483647",
    "change": "stream > 0 AND seq > 0",
}


def integer(name: str) -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, autoincrement=False, nullable=False)


def text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def upgrade() -> None:
    columns: list[sa.Column[Any]] = [
        integer("network"),
        integer("prefix_length"),
        integer("lease_s"),
        text("interface"),
        text("name"),
        integer("claims"),
        integer("offer_delay_s"),
        integer("probe"),
        integer("active"),
        integer("deleted"),
        integer("version_counter"),
        integer("version_member"),
        integer("stream"),
        integer("seq"),
    ]
    names = [column.name for column in columns]
    old = sa.table("subnet_0002", *(sa.column(name) for name in names if name != "probe"))
    op.rename_table("subnet", old.name)
    table = op.create_table(
        "subnet",
        *columns,
        sa.PrimaryKeyConstraint("network", "prefix_length", name=op.f("pk_subnet")),
        *(sa.CheckConstraint(rule, name=op.f(f"ck_subnet_{of}")) for of, rule in CHECKS.items()),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    values = [sa.literal(RECENT).label(name) if name == "probe" else old.c[name] for name in names]
    op.execute(table.insert().from_select(names, sa.select(*values)))
    op.drop_table(old.name)
