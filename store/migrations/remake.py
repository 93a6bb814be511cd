"""What migrations are written with: columns, and tables made anew beside the old ones, since SQLite
can change no CHECK. Nothing of it knows a table of dhcpsync."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op


def integer(name: str, *, nullable: bool = False) -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, autoincrement=False, nullable=nullable)


def text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def octets(name: str, *, nullable: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=nullable)


def create(
    name: str,
    columns: list[sa.Column[Any]],
    key: list[str],
    checks: dict[str, str],
    *,
    rowid: bool = True,
) -> sa.Table:
    return op.create_table(
        name,
        *columns,
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}")),
        *(sa.CheckConstraint(rule, name=op.f(f"ck_{name}_{of}")) for of, rule in checks.items()),
        sqlite_with_rowid=rowid,
        sqlite_strict=True,
    )


def remake(
    name: str,
    columns: list[sa.Column[Any]],
    key: list[str],
    checks: dict[str, str],
    new: Mapping[str, int | str],
    *,
    rowid: bool = True,
) -> None:
    """A table in its new form, with the rows it had; `new` has the values of added columns.

    The old one is renamed, not the new one: SQLite would write down the new name in quotes, and
    then a store that was migrated could not be compared with one that was not."""
    old = sa.table(f"{name}_old", *(sa.column(c.name) for c in columns if c.name not in new))
    op.rename_table(name, old.name)
    table = create(name, columns, key, checks, rowid=rowid)
    values = [
        sa.literal(new[c.name]).label(c.name) if c.name in new else old.c[c.name] for c in columns
    ]
    op.execute(table.insert().from_select([c.name for c in columns], sa.select(*values)))
    op.drop_table(old.name)
