"""The first schema.

A migration is history: it repeats the columns instead of using `store/tables.py`, which moves on.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


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
) -> None:
    op.create_table(
        name,
        *columns,
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}")),
        *(sa.CheckConstraint(rule, name=op.f(f"ck_{name}_{of}")) for of, rule in checks.items()),
        sqlite_with_rowid=rowid,
        sqlite_strict=True,
    )


def upgrade() -> None:
    replicated()
    own()


def replicated() -> None:
    """What members share."""
    create(
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
            "transaction": '"transaction" BETWEEN 0 AND 7 AND transaction_at >= 0',
            "server": "transaction_server BETWEEN 0 AND 2147483647",
            "change": "stream > 0 AND seq > 0",
        },
    )
    op.create_index(op.f("ix_binding_client_key"), "binding", ["client_key"])
    create(
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
            "kind": "kind BETWEEN 1 AND 5",
            "subject": '(kind = 1) = (address IS NOT NULL) AND (kind > 1) = ("key" IS NOT NULL)',
        },
        rowid=False,
    )
    create(
        "stream",
        [
            integer("stream"),
            integer("applied"),
            integer("log_from"),
            integer("acknowledged"),
        ],
        ["stream"],
        {
            "heads": "stream > 0 AND log_from BETWEEN 0 AND applied AND acknowledged BETWEEN 0"
            " AND applied",
        },
    )
    create(
        "subnet",
        [
            integer("network"),
            integer("prefix_length"),
            integer("lease_s"),
            text("interface"),
            text("name"),
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
            "flags": "active IN (0, 1) AND deleted IN (0, 1)",
            "version": "version_counter > 0 AND version_member BETWEEN 1 AND 2147483647",
            "change": "stream > 0 AND seq > 0",
        },
        rowid=False,
    )
    create(
        "pool",
        [
            integer("first"),
            integer("last"),
            text("name"),
            integer("active"),
            integer("deleted"),
            integer("version_counter"),
            integer("version_member"),
            integer("stream"),
            integer("seq"),
        ],
        ["first", "last"],
        {
            "order": '"first" >= 0 AND "first" <= "last" AND "last" <= 4294967295',
            "flags": "active IN (0, 1) AND deleted IN (0, 1)",
            "version": "version_counter > 0 AND version_member BETWEEN 1 AND 2147483647",
            "change": "stream > 0 AND seq > 0",
        },
        rowid=False,
    )
    create(
        "option",
        [
            integer("network"),
            integer("prefix_length"),
            integer("code"),
            octets("data"),
            integer("active"),
            integer("deleted"),
            integer("version_counter"),
            integer("version_member"),
            integer("stream"),
            integer("seq"),
        ],
        ["network", "prefix_length", "code"],
        {
            "scope": "network BETWEEN 0 AND 4294967295 AND prefix_length BETWEEN 0 AND 32",
            "host_bits": "(network & (4294967295 >> prefix_length)) = 0",
            "code": "code BETWEEN 1 AND 254",
            "flags": "active IN (0, 1) AND deleted IN (0, 1)",
            "version": "version_counter > 0 AND version_member BETWEEN 1 AND 2147483647",
            "change": "stream > 0 AND seq > 0",
        },
        rowid=False,
    )
    create(
        "reservation",
        [
            integer("address"),
            octets("client_key"),
            text("hostname"),
            integer("active"),
            integer("deleted"),
            integer("version_counter"),
            integer("version_member"),
            integer("stream"),
            integer("seq"),
        ],
        ["address"],
        {
            "address": "address BETWEEN 0 AND 4294967295",
            "flags": "active IN (0, 1) AND deleted IN (0, 1)",
            "version": "version_counter > 0 AND version_member BETWEEN 1 AND 2147483647",
            "change": "stream > 0 AND seq > 0",
        },
        rowid=False,
    )
    create(
        "server_group",
        [
            integer("id"),
            text("name"),
            integer("generation"),
            integer("mul_s"),
            integer("lease_s"),
        ],
        ["id"],
        {
            "single_row": "id = 1",
            "parameters": "generation >= 0 AND mul_s > 0 AND lease_s > 0",
        },
    )
    create(
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
        ],
        ["member"],
        {
            "member": "member BETWEEN 1 AND 2147483647",
            "transport": "address BETWEEN 0 AND 4294967295 AND port BETWEEN 1 AND 65535",
            "state": "state BETWEEN 1 AND 3",
            "role": "role BETWEEN 1 AND 2",
            "weight": "weight >= 0",
        },
    )
    create(
        "silent_member",
        [integer("member")],
        ["member"],
        {"member": "member BETWEEN 1 AND 2147483647"},
    )


def own() -> None:
    """What never leaves the member."""
    create(
        "address_range",
        [
            integer("first"),
            integer("last"),
            integer("state"),
            integer("epoch"),
            integer("member"),
            integer("nonce_incarnation"),
            integer("nonce_counter"),
            integer("generation"),
        ],
        ["first"],
        {
            "order": '"first" >= 0 AND "first" <= "last" AND "last" <= 4294967295',
            "state": "state BETWEEN 1 AND 4",
            "versions": "epoch >= 0 AND nonce_incarnation >= 0 AND nonce_counter >= 0"
            " AND generation >= 0",
            "member": "member BETWEEN 1 AND 2147483647",
        },
    )
    create(
        "proposal",
        [
            integer("generation"),
            integer("promised_counter"),
            integer("promised_member"),
            integer("accepted_counter", nullable=True),
            integer("accepted_member", nullable=True),
            text("value", nullable=True),
        ],
        ["generation"],
        {
            "accepted": "(accepted_counter IS NULL) = (accepted_member IS NULL)"
            ' AND (accepted_counter IS NULL) = ("value" IS NULL)',
            "ballots": "generation >= 0 AND promised_counter >= 0",
        },
    )
    create(
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
            "serving": "serving IN (0, 1) AND serving_since >= 0",
            "anchor": "(boot_id IS NULL) = (offset_ms IS NULL)",
        },
    )
    create(
        "snmp_user",
        [
            text("name"),
            text("role"),
            text("auth_protocol"),
            text("priv_protocol"),
            octets("auth_key"),
            octets("priv_key"),
            octets("auth_master", nullable=True),
            octets("priv_master", nullable=True),
        ],
        ["name"],
        {
            "user": "length(name) BETWEEN 1 AND 32",
            "role": "role IN ('monitor', 'operator', 'peer')",
            "keys": "length(auth_key) > 0 AND length(priv_key) > 0",
            "master": "(role = 'peer') = (auth_master IS NOT NULL)"
            " AND (role = 'peer') = (priv_master IS NOT NULL)",
        },
    )
    create(
        "counter",
        [
            text("name"),
            integer("value"),
        ],
        ["name"],
        {
            "sign": '"value" >= 0',
        },
        rowid=False,
    )
    create(
        "audit",
        [
            integer("seq"),
            integer("at"),
            text("user"),
            text("action"),
            text("detail"),
            octets("hash"),
        ],
        ["seq"],
        {
            "seq": "seq > 0",
            "hash": "length(hash) = 32",
        },
    )
