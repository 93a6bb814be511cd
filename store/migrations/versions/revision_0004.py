"""What happens at a member is kept as events, and how far each of their readers has come. The group
knows which networks another server has served until now, and the change log says so; a subnet says
what becomes of clients whose address is in no pool any more.

An existing member begins with no events: what happened before nobody has written down; its group
has no such network, and lets leases run out, as before. SQLite can change no CHECK, so the change
log is made anew: 2,000,000 changes, the most that are kept, take some seconds.
"""

from __future__ import annotations

from store.migrations.remake import create, integer, octets, remake, text

revision = "0004"
down_revision = "0003"


RUN_OUT = 1


def upgrade() -> None:
    event()
    change()
    former_server()
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
            "kind": "kind BETWEEN 1 AND 6",
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
            integer("lease_s"),
            text("interface"),
            text("name"),
            integer("claims"),
            integer("offer_delay_s"),
            integer("probe"),
            integer("outside"),
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
            "lease": "lease_s BETWEEN 0 AND 4294967295",
            "offers": "claims BETWEEN 1 AND 3 AND offer_delay_s BETWEEN 0 AND 4294967295",
            "probe": "probe BETWEEN 1 AND 3",
            "outside": "outside BETWEEN 1 AND 2",
            "flags": "active IN (0, 1) AND deleted IN (0, 1)",
            "version": "version_counter > 0 AND version_member BETWEEN 1 AND 2147483647",
            "change": "stream > 0 AND seq > 0",
        },
        {"outside": RUN_OUT},
        rowid=False,
    )
