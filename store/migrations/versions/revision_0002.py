"""Partner-down, recovery, the ways of offering, and orders of the operator.

An existing member goes on as it was: it runs, recovers from nothing, and offers and takes claims
as a new subnet does. SQLite can change no CHECK, so a changed table is made anew beside the old
one, whose rows it takes over.

A migration is history: it repeats the columns instead of using `store/tables.py`, which moves on.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from store.migrations.remake import create, integer, octets, remake, text

revision = "0002"
down_revision = "0001"

ACCEPT_CLAIMS = 1
RUNNING = 1


def upgrade() -> None:
    binding()
    subnet()
    group()
    accepted_groups()
    local()
    added()


def binding() -> None:
    """Transactions 8 to 10 are new."""
    op.drop_index(op.f("ix_binding_client_key"), "binding")
    remake(
        "binding",
        [
            integer("address"),
            octets("client_key"),
            octets("client_id", nullable=True),
            integer("hardware_type"),
            octets("hardware_address"),
            text("hostname"),
            integer("state"),
            integer("epoch"),
            integer("grant"),
            integer("expires_at"),
            integer("potential_expires_at"),
            integer("acknowledged_at"),
            integer("transaction"),
            integer("transaction_at"),
            integer("transaction_server"),
            octets("options"),
            integer("stream"),
            integer("seq"),
        ],
        ["address"],
        {
            "address": "address BETWEEN 0 AND 4294967295",
            "state": "state BETWEEN 1 AND 3",
            "versions": 'epoch >= 0 AND "grant" >= 0',
            "expiry": "expires_at >= 0 AND potential_expires_at >= expires_at"
            " AND acknowledged_at >= 0",
            "transaction": '"transaction" BETWEEN 0 AND 10 AND transaction_at >= 0',
            "server": "transaction_server BETWEEN 0 AND 2147483647",
            "change": "stream > 0 AND seq > 0",
        },
        {},
    )
    op.create_index(op.f("ix_binding_client_key"), "binding", ["client_key"])


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
            "flags": "active IN (0, 1) AND deleted IN (0, 1)",
            "version": "version_counter > 0 AND version_member BETWEEN 1 AND 2147483647",
            "change": "stream > 0 AND seq > 0",
        },
        {"claims": ACCEPT_CLAIMS, "offer_delay_s": 0},
        rowid=False,
    )


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
        ],
        ["id"],
        {
            "single_row": "id = 1",
            "parameters": "generation >= 0 AND mul_s > 0 AND lease_s > 0 AND safe_period_s >= 0",
            "history": "past_mul_s >= 0 AND forced >= 0",
        },
        {"safe_period_s": 0, "past_mul_s": 0, "forced": 0},
    )
    remake(
        "member",
        [
            integer("member"),
            text("name"),
            integer("address"),
            integer("port"),
            octets("engine_id"),
            integer("state"),
            integer("role"),
            integer("weight"),
            integer("since"),
            integer("clean"),
        ],
        ["member"],
        {
            "member": "member BETWEEN 1 AND 2147483647",
            "transport": "address BETWEEN 0 AND 4294967295 AND port BETWEEN 1 AND 65535",
            "state": "state BETWEEN 1 AND 4",
            "role": "role BETWEEN 1 AND 2",
            "weight": "weight >= 0",
            "history": "since >= 0 AND clean IN (0, 1)",
        },
        {"since": 0, "clean": 0},
    )
    remake(
        "silent_member",
        [integer("member"), integer("heard")],
        ["member"],
        {"member": "member BETWEEN 1 AND 2147483647", "heard": "heard IN (0, 1)"},
        {"heard": 0},
    )


def accepted_groups() -> None:
    """The group that a ballot accepted is JSON, with the fields of the tables in their order; it
    gets the values that `group` gave to the same fields."""
    proposal = sa.table("proposal", sa.column("generation"), sa.column("value"))
    connection = op.get_bind()
    accepted = sa.select(proposal.c.generation, proposal.c.value).where(
        proposal.c.value.is_not(None)
    )
    for generation, value in connection.execute(accepted).all():
        *parameters, members = json.loads(value)
        group = [*parameters, 0, 0, 0, [[*member, 0, 0] for member in members]]
        op.execute(
            proposal.update()
            .where(proposal.c.generation == generation)
            .values(value=json.dumps(group))
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
            "anchor": "(boot_id IS NULL) = (offset_ms IS NULL)",
        },
        {
            "service": RUNNING,
            "unconfirmed": 0,
            "recovery": "",
            "holds_until": 0,
            "tries_until": 0,
            "token": "",
        },
    )


def added() -> None:
    create(
        "enquiry",
        [
            integer("address"),
            integer("asked_ms"),
            integer("answered_ms"),
            integer("free"),
            integer("complete"),
            integer("epoch"),
        ],
        ["address"],
        {
            "address": "address BETWEEN 0 AND 4294967295",
            "times": "asked_ms >= 0 AND answered_ms >= 0 AND epoch >= 0",
            "flags": "free IN (0, 1) AND complete IN (0, 1)",
        },
    )
    create(
        "lost_store",
        [integer("member"), integer("incarnation"), integer("at")],
        ["member"],
        {
            "member": "member BETWEEN 1 AND 2147483647",
            "lost": 'incarnation BETWEEN 1 AND 4294967295 AND "at" >= 0',
        },
    )
    create(
        "remembered_store",
        [integer("member"), integer("incarnation"), integer("ownership_version")],
        ["member"],
        {
            "member": "member BETWEEN 1 AND 2147483647",
            "mark": "incarnation BETWEEN 0 AND 4294967295 AND ownership_version >= 0",
        },
    )
    create(
        "quarantine",
        [integer("generation"), integer("at"), integer("mul_s")],
        ["generation"],
        {"quarantine": 'generation >= 0 AND "at" >= 0 AND mul_s >= 0'},
    )
