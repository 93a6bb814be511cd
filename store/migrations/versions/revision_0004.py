"""What happens at a member is kept as events, and how far each of their readers has come.

An existing member begins with none: what happened before nobody has written down.
"""

from __future__ import annotations

from store.migrations.remake import create, integer, octets, text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
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
