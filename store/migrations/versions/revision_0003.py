"""A member knows since when the others may have declared it dead; a decision has a number; a subnet
says which addresses are tried before they are given away, and on which shared network it is; an
option belongs to a scope that has a level and a name, and so does a lease time.

An existing member goes on as it was: certain that it is in its group, trying those addresses that
another client had lately, with no shared network. JSON of a group in a ballot ends before the new
number, which is then 0. A prefix of 32 bits was the scope of a reservation, unless it is that of a
subnet; what the change log calls options changes with them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.migrations.remake import create, integer, octets, remake, text

revision = "0003"
down_revision = "0002"


RECENT = 1
GLOBAL, SUBNET, HOST = 1, 3, 5
WORDS = {GLOBAL: "global", SUBNET: "subnet", HOST: "host"}
OPTION = 4
"""The kind, in the change log."""


LEASE = 1
"""The name of a setting."""


def upgrade() -> None:
    change()
    option()
    setting()
    subnet()
    group()
    local()


def subnet() -> None:
    remake(
        "subnet",
        [
            integer("network"),
            integer("prefix_length"),
            text("interface"),
            text("name"),
            integer("claims"),
            integer("offer_delay_s"),
            integer("probe"),
            text("shared_network"),
            integer("active"),
            integer("deleted"),
            integer("version_counter"),
            integer("version_member"),
            integer("stream"),
            integer("seq"),
        ],
        ["network", "prefix_length"],
        {
            "prefix": "network BETWEEN 0 AND 4294967295 AND prefix_length BETWEEN 0 AND 32",
            "host_bits": "(network & (4294967295 >> prefix_length)) = 0",
            "offers": "claims BETWEEN 1 AND 3 AND offer_delay_s BETWEEN 0 AND 4294967295",
            "probe": "probe BETWEEN 1 AND 3",
            "flags": "active IN (0, 1) AND deleted IN (0, 1)",
            "version": "version_counter > 0 AND version_member BETWEEN 1 AND 2147483647",
            "change": "stream > 0 AND seq > 0",
        },
        {"probe": RECENT, "shared_network": ""},
        rowid=False,
    )


def change() -> None:
    """It names rows of the new kind too."""
    remake(
        "change",
        [
            integer("stream"),
            integer("seq"),
            integer("kind"),
            integer("address", nullable=True),
            text("key", nullable=True),
        ],
        ["stream", "seq"],
        {
            "number": "stream > 0 AND seq > 0",
            "kind": "kind BETWEEN 1 AND 6",
            "subject": '(kind = 1) = (address IS NOT NULL) AND (kind > 1) = ("key" IS NOT NULL)',
        },
        {},
        rowid=False,
    )


def option() -> None:
    op.rename_table("option", "option_old")
    table = create(
        "option",
        [
            integer("level"),
            text("scope"),
            integer("code"),
            octets("data"),
            integer("active"),
            integer("deleted"),
            integer("version_counter"),
            integer("version_member"),
            integer("stream"),
            integer("seq"),
        ],
        ["level", "scope", "code"],
        {
            "scope": "level BETWEEN 1 AND 5",
            "code": "code BETWEEN 1 AND 254",
            "flags": "active IN (0, 1) AND deleted IN (0, 1)",
            "version": "version_counter > 0 AND version_member BETWEEN 1 AND 2147483647",
            "change": "stream > 0 AND seq > 0",
        },
        rowid=False,
    )
    store = op.get_bind()
    prefixes = {(row.network, row.prefix_length) for row in _read(store, "subnet")}
    for row in _read(store, "option_old"):
        level, name = scope(row.network, row.prefix_length, prefixes)
        rest = {c.name: getattr(row, c.name) for c in table.c if c.name not in ("level", "scope")}
        store.execute(table.insert().values(level=level, scope=name, **rest))
        before = f"{dotted(row.network)}/{row.prefix_length}:{row.code}"
        change = sa.table("change", sa.column("kind"), sa.column("key"))
        store.execute(
            sa.update(change)
            .where(change.c.kind == OPTION, change.c.key == before)
            .values(key=f"{WORDS[level]} {name}:{row.code}")
        )
    op.drop_table("option_old")


def setting() -> None:
    """A lease time was a column of its subnet; the setting is of the same change."""
    table = create(
        "setting",
        [
            integer("level"),
            text("scope"),
            integer("name"),
            integer("value"),
            integer("active"),
            integer("deleted"),
            integer("version_counter"),
            integer("version_member"),
            integer("stream"),
            integer("seq"),
        ],
        ["level", "scope", "name"],
        {
            "scope": "level BETWEEN 1 AND 5",
            "what": "name BETWEEN 1 AND 5",
            "value": "value BETWEEN 0 AND 4294967295",
            "flags": "active IN (0, 1) AND deleted IN (0, 1)",
            "version": "version_counter > 0 AND version_member BETWEEN 1 AND 2147483647",
            "change": "stream > 0 AND seq > 0",
        },
        rowid=False,
    )
    store = op.get_bind()
    for row in _read(store, "subnet"):
        if row.lease_s:
            kept = ("deleted", "version_counter", "version_member", "stream", "seq")
            values = {name: getattr(row, name) for name in kept}
            prefix = f"{dotted(row.network)}/{row.prefix_length}"
            values |= {"level": SUBNET, "scope": prefix, "name": LEASE, "value": row.lease_s}
            store.execute(table.insert().values(active=1, **values))


def _read(store: sa.Connection, name: str) -> list[sa.Row[tuple[int, ...]]]:
    return list(store.execute(sa.text(f"SELECT * FROM {name}")))


def scope(network: int, prefix_length: int, subnets: set[tuple[int, int]]) -> tuple[int, str]:
    if prefix_length == 0 and network == 0 and (0, 0) not in subnets:
        return GLOBAL, ""
    if prefix_length == 32 and (network, 32) not in subnets:
        return HOST, dotted(network)
    return SUBNET, f"{dotted(network)}/{prefix_length}"


def dotted(address: int) -> str:
    return ".".join(str(octet) for octet in address.to_bytes(4, "big"))


def group() -> None:
    remake(
        "server_group",
        [
            integer("id"),
            text("name"),
            integer("generation"),
            integer("mul_s"),
            integer("lease_s"),
            integer("safe_period_s"),
            integer("past_mul_s"),
            integer("forced"),
            integer("decision"),
        ],
        ["id"],
        {
            "single_row": "id = 1",
            "parameters": "generation >= 0 AND mul_s > 0 AND lease_s > 0 AND safe_period_s >= 0",
            "history": "past_mul_s >= 0 AND forced >= 0 AND decision BETWEEN 0 AND 4294967295",
        },
        {"decision": 0},
    )


def local() -> None:
    remake(
        "local",
        [
            integer("id"),
            integer("member"),
            integer("incarnation"),
            octets("engine_id"),
            integer("engine_boots"),
            integer("poll_counter"),
            integer("configuration_version"),
            integer("ownership_version"),
            integer("serving"),
            integer("serving_since"),
            integer("service"),
            integer("unconfirmed"),
            text("recovery"),
            integer("holds_until"),
            integer("tries_until"),
            integer("certain_until"),
            integer("unseen_at"),
            integer("unseen_s"),
            integer("vouched"),
            text("token"),
            text("boot_id", nullable=True),
            integer("offset_ms", nullable=True),
        ],
        ["id"],
        {
            "single_row": "id = 1",
            "identity": "member BETWEEN 1 AND 2147483647 AND incarnation BETWEEN 1 AND 4294967295",
            "engine_id": "length(engine_id) BETWEEN 5 AND 32",
            "engine_boots": "engine_boots BETWEEN 0 AND 2147483647",
            "counters": "poll_counter >= 0 AND configuration_version >= 0"
            " AND ownership_version >= 0",
            "serving": "serving IN (0, 1) AND serving_since >= 0 AND service BETWEEN 1 AND 4",
            "recovery": "unconfirmed IN (0, 1) AND holds_until >= 0 AND tries_until >= 0",
            "certain": "certain_until >= 0 AND vouched IN (0, 1)",
            "unseen": "unseen_at >= 0 AND unseen_s >= 0",
            "anchor": "(boot_id IS NULL) = (offset_ms IS NULL)",
        },
        {"certain_until": 0, "unseen_at": 0, "unseen_s": 0, "vouched": 0},
    )
