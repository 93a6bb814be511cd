"""What happens at a member is kept as events, and how far each of their readers has come. The group
knows which networks another server has served until now, and the change log says so; a subnet says
what becomes of clients whose address is in no pool any more, and which shared network it is of. An
option belongs to a scope that has a level and a name, and so does a lease time.

A prefix of 32 bits was the scope of a reservation, unless it is that of a subnet; what the change
log calls options changes with them.

An existing member begins with no events: what happened before nobody has written down; its group
has no such network, and lets leases run out, as before. SQLite can change no CHECK, so the change
log is made anew: 2,000,000 changes, the most that are kept, take some seconds.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.migrations.remake import create, integer, octets, remake, text

revision = "0004"
down_revision = "0003"


RUN_OUT = 1
GLOBAL, SUBNET, HOST = 1, 3, 5
WORDS = {GLOBAL: "global", SUBNET: "subnet", HOST: "host"}
OPTION = 4
"""The kind, in the change log."""
LEASE = 1
"""The name of a setting."""


def upgrade() -> None:
    event()
    change()
    former_server()
    option()
    setting()
    subnet()


def event() -> None:
    create(
        "event",
        [
            integer("number"),
            integer("at"),
            integer("kind"),
            integer("address"),
            octets("client_key"),
            octets("hardware_address"),
            integer("until"),
            integer("member"),
            text("user"),
            text("subject"),
            text("old"),
            text("new"),
        ],
        ["number"],
        {
            "number": "number > 0",
            "kind": "kind > 0",
            "address": "address BETWEEN 0 AND 4294967295",
            "about": "until >= 0 AND member BETWEEN 0 AND 2147483647",
        },
    )
    create(
        "event_cursor",
        [text("name"), integer("number"), integer("wants")],
        ["name"],
        {"number": "number >= 0 AND wants >= 0"},
        rowid=False,
    )


def change() -> None:
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
            "kind": "kind BETWEEN 1 AND 7",
            "subject": '(kind = 1) = (address IS NOT NULL) AND (kind > 1) = ("key" IS NOT NULL)',
        },
        {},
        rowid=False,
    )


def former_server() -> None:
    create(
        "former_server",
        [
            integer("network"),
            integer("prefix_length"),
            integer("until"),
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
            "until": "until BETWEEN 0 AND 4294967295",
            "flags": "active IN (0, 1) AND deleted IN (0, 1)",
            "version": "version_counter > 0 AND version_member BETWEEN 1 AND 2147483647",
            "change": "stream > 0 AND seq > 0",
        },
        rowid=False,
    )


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
            integer("outside"),
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
            "outside": "outside BETWEEN 1 AND 2",
            "flags": "active IN (0, 1) AND deleted IN (0, 1)",
            "version": "version_counter > 0 AND version_member BETWEEN 1 AND 2147483647",
            "change": "stream > 0 AND seq > 0",
        },
        {"outside": RUN_OUT, "shared_network": ""},
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
