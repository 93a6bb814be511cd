"""A member knows since when the others may have declared it dead; a decision has a number; a subnet
says which addresses are tried before they are given away.

An existing member goes on as it was: certain that it is in its group, trying those addresses that
another client had lately. JSON of a group in a ballot ends before the new number, which is then 0.
"""

from __future__ import annotations

from store.migrations.remake import integer, octets, remake, text

revision = "0003"
down_revision = "0002"


RECENT = 1


def upgrade() -> None:
    subnet()
    group()
    local()


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
            "flags": "active IN (0, 1) AND deleted IN (0, 1)",
            "version": "version_counter > 0 AND version_member BETWEEN 1 AND 2147483647",
            "change": "stream > 0 AND seq > 0",
        },
        {"probe": RECENT},
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
