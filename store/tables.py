"""The tables of a member's store, as SQLAlchemy Core knows them.

Replicated rows (`binding`, and the configuration: a table for each of `agent.kinds.KINDS`) carry
the (stream, seq) of their latest change, and `change` lists every change of every stream, so that
"what you lack" is a range scan. `address_range` is this member's own view; `local`, `snmp_user`,
`counter`, `audit`, `event` and `event_cursor` never leave the member.

A rule is a constraint here where it can be one, but only where no merge from a peer could break
it: a violation means a bug of ours, never a state of the cluster. So no row refers to another by
foreign key (a pool may arrive before its subnet), and nothing but keys is unique. Numbers that the
wire already bounds are checked again, for a store outlives the code that wrote it.

Migrations in `store/migrations` make these tables; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    column,
)
from sqlalchemy import Text as SqlText
from sqlalchemy.types import TypeEngine

from agent.kinds import KINDS
from agent.kinds.kind import Field, Kind
from agent.kinds.values import Bounded, Octets, Text

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

_ADDRESS = "BETWEEN 0 AND 4294967295"
_MEMBER = "BETWEEN 1 AND 2147483647"


def _number() -> TypeEngine[int]:
    """64 bits everywhere; SQLite's rowid and STRICT tables want the name INTEGER."""
    return BigInteger().with_variant(Integer(), "sqlite")


def _integer(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, _number(), primary_key=key, autoincrement=False, nullable=False)


def _text(name: str, *, key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(name, SqlText(), primary_key=key, nullable=nullable)


def _octets(name: str, *, nullable: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary(), nullable=nullable)


def _optional_integer(name: str) -> Column[int]:
    return Column(name, _number(), nullable=True)


def _table(name: str, columns: Sequence[Column[Any]], *, rowid: bool = True, **rules: str) -> Table:
    """A table whose CHECK constraints are `rules`, by name. A table without rowid is kept in the
    order of its primary key, which saves the second tree of a key that is no single integer."""
    checks = [CheckConstraint(text, name=rule) for rule, text in rules.items()]
    return Table(name, METADATA, *columns, *checks, sqlite_with_rowid=rowid, sqlite_strict=True)


BINDING = _table(
    "binding",
    [
        _integer("address", key=True),
        _octets("client_key"),
        _octets("client_id", nullable=True),
        _integer("hardware_type"),
        _octets("hardware_address"),
        _text("hostname"),
        _integer("state"),
        _integer("epoch"),
        _integer("grant"),
        _integer("expires_at"),
        _integer("potential_expires_at"),
        _integer("acknowledged_at"),
        _integer("transaction"),
        _integer("transaction_at"),
        _integer("transaction_server"),
        _octets("options"),
        _integer("stream"),
        _integer("seq"),
    ],
    address=f"address {_ADDRESS}",
    state="state BETWEEN 1 AND 3",
    versions='epoch >= 0 AND "grant" >= 0',
    expiry="expires_at >= 0 AND potential_expires_at >= expires_at AND acknowledged_at >= 0",
    transaction='"transaction" BETWEEN 0 AND 10 AND transaction_at >= 0',
    server="transaction_server BETWEEN 0 AND 2147483647",
    change="stream > 0 AND seq > 0",
)
"""Columns in the order of the fields of `agent.model.Binding`. Releases and conflicts may be about
a client that is known by nothing, so the identity has no rule of its own."""

Index(None, BINDING.c.client_key)

ADDRESS_RANGE = _table(
    "address_range",
    [
        _integer("first", key=True),
        _integer("last"),
        _integer("state"),
        _integer("epoch"),
        _integer("member"),
        _integer("nonce_incarnation"),
        _integer("nonce_counter"),
        _integer("generation"),
    ],
    order='"first" >= 0 AND "first" <= "last" AND "last" <= 4294967295',
    state="state BETWEEN 1 AND 4",
    versions="epoch >= 0 AND nonce_incarnation >= 0 AND nonce_counter >= 0 AND generation >= 0",
    member=f"member {_MEMBER}",
)

CHANGE = _table(
    "change",
    [
        _integer("stream", key=True),
        _integer("seq", key=True),
        _integer("kind"),
        _optional_integer("address"),
        _text("key", nullable=True),
    ],
    rowid=False,
    number="stream > 0 AND seq > 0",
    kind=f"kind BETWEEN 1 AND {max(KINDS)}",
    subject='(kind = 1) = (address IS NOT NULL) AND (kind > 1) = ("key" IS NOT NULL)',
)

STREAM = _table(
    "stream",
    [_integer("stream", key=True), *map(_integer, ("applied", "log_from", "acknowledged"))],
    heads="stream > 0 AND log_from BETWEEN 0 AND applied AND acknowledged BETWEEN 0 AND applied",
)


def _column(field: Field) -> Column[Any]:
    if isinstance(field.type, Text):
        return _text(field.name, key=field.key is not None)
    if isinstance(field.type, Octets):
        return _octets(field.name)
    return _integer(field.name, key=field.key is not None)


def _bounds(field: Field) -> str:
    """SQL that holds the bounds of a field."""
    assert isinstance(field.type, Bounded)  # a declaration is refused otherwise
    held = column(field.name).between(field.type.low, field.type.high)
    return str(held.compile(compile_kwargs={"literal_binds": True}))


def _configuration(kind: Kind) -> Table:
    """The table of a kind: its natural key and values, then what versions a row."""
    columns = [_column(field) for field in kind.fields]
    rules = {
        name: what
        if isinstance(what, str)
        else " AND ".join(_bounds(field) for field in kind.fields if field.name in what)
        for name, what in kind.checks.items()
    }
    tail = map(
        _integer, ("active", "deleted", "version_counter", "version_member", "stream", "seq")
    )
    return _table(
        kind.name,
        [*columns, *tail],
        rowid=False,
        **rules,
        flags="active IN (0, 1) AND deleted IN (0, 1)",
        version=f"version_counter > 0 AND version_member {_MEMBER}",
        change="stream > 0 AND seq > 0",
    )


CONFIGURATION: Mapping[int, Table] = {
    number: _configuration(kind) for number, kind in KINDS.items()
}
"""By the number of the kind (`agent.kinds`); columns in the order of its fields."""

SERVER_GROUP = _table(
    "server_group",
    [
        _integer("id", key=True),
        _text("name"),
        *map(
            _integer,
            ("generation", "mul_s", "lease_s", "safe_period_s", "past_mul_s", "forced", "decision"),
        ),
    ],
    single_row="id = 1",
    parameters="generation >= 0 AND mul_s > 0 AND lease_s > 0 AND safe_period_s >= 0",
    history="past_mul_s >= 0 AND forced >= 0 AND decision BETWEEN 0 AND 4294967295",
)

MEMBER = _table(
    "member",
    [
        _integer("member", key=True),
        _text("name"),
        _integer("address"),
        _integer("port"),
        _octets("engine_id"),
        *map(_integer, ("state", "role", "weight", "since", "clean")),
    ],
    member=f"member {_MEMBER}",
    transport=f"address {_ADDRESS} AND port BETWEEN 1 AND 65535",
    state="state BETWEEN 1 AND 4",
    role="role BETWEEN 1 AND 2",
    weight="weight >= 0",
    history="since >= 0 AND clean IN (0, 1)",
)

SILENT_MEMBER = _table(
    "silent_member",
    [_integer("member", key=True), _integer("heard")],
    member=f"member {_MEMBER}",
    heard="heard IN (0, 1)",
)
"""Members that the agent hears nothing of, and (`heard`) those that do not serve clients: what the
engine must know of the cluster's state."""

ENQUIRY = _table(
    "enquiry",
    [
        _integer("address", key=True),
        *map(_integer, ("asked_ms", "answered_ms", "free", "complete", "epoch")),
    ],
    address=f"address {_ADDRESS}",
    times="asked_ms >= 0 AND answered_ms >= 0 AND epoch >= 0",
    flags="free IN (0, 1) AND complete IN (0, 1)",
)
"""What the engine asks and the agent answers. Columns in the order of `agent.model.Enquiry`."""

LOST_STORE = _table(
    "lost_store",
    [_integer("member", key=True), *map(_integer, ("incarnation", "at"))],
    member=f"member {_MEMBER}",
    lost='incarnation BETWEEN 1 AND 4294967295 AND "at" >= 0',
)
"""Columns in the order of the fields of `agent.model.LostStore`."""

REMEMBERED_STORE = _table(
    "remembered_store",
    [_integer("member", key=True), *map(_integer, ("incarnation", "ownership_version"))],
    member=f"member {_MEMBER}",
    mark="incarnation BETWEEN 0 AND 4294967295 AND ownership_version >= 0",
)
"""After `member`, columns in the order of the fields of `agent.model.StoreMark`."""

QUARANTINE = _table(
    "quarantine",
    [_integer("generation", key=True), *map(_integer, ("at", "mul_s"))],
    quarantine='generation >= 0 AND "at" >= 0 AND mul_s >= 0',
)
"""Columns in the order of the fields of `agent.model.Quarantine`."""

PROPOSAL = _table(
    "proposal",
    [
        _integer("generation", key=True),
        _integer("promised_counter"),
        _integer("promised_member"),
        _optional_integer("accepted_counter"),
        _optional_integer("accepted_member"),
        _text("value", nullable=True),
    ],
    accepted="(accepted_counter IS NULL) = (accepted_member IS NULL)"
    ' AND (accepted_counter IS NULL) = ("value" IS NULL)',
    ballots="generation >= 0 AND promised_counter >= 0",
)

LOCAL = _table(
    "local",
    [
        _integer("id", key=True),
        _integer("member"),
        _integer("incarnation"),
        _octets("engine_id"),
        _integer("engine_boots"),
        _integer("poll_counter"),
        _integer("configuration_version"),
        _integer("ownership_version"),
        _integer("serving"),
        _integer("serving_since"),
        _integer("service"),
        _integer("unconfirmed"),
        _text("recovery"),
        _integer("holds_until"),
        _integer("tries_until"),
        _integer("certain_until"),
        _integer("unseen_at"),
        _integer("unseen_s"),
        _integer("vouched"),
        _text("token"),
        _text("boot_id", nullable=True),
        _optional_integer("offset_ms"),
    ],
    single_row="id = 1",
    identity=f"member {_MEMBER} AND incarnation BETWEEN 1 AND 4294967295",
    engine_id="length(engine_id) BETWEEN 5 AND 32",
    engine_boots="engine_boots BETWEEN 0 AND 2147483647",
    counters="poll_counter >= 0 AND configuration_version >= 0 AND ownership_version >= 0",
    serving="serving IN (0, 1) AND serving_since >= 0 AND service BETWEEN 1 AND 4",
    recovery="unconfirmed IN (0, 1) AND holds_until >= 0 AND tries_until >= 0",
    certain="certain_until >= 0 AND vouched IN (0, 1)",
    unseen="unseen_at >= 0 AND unseen_s >= 0",
    anchor="(boot_id IS NULL) = (offset_ms IS NULL)",
)
"""After `id`, columns in the order of the fields of `agent.model.Local`, then the token of the
last start (agent/standing.py) and the clock's anchor.
snmpEngineID has 5 to 32 octets (RFC 3411 5), snmpEngineBoots 31 bits (RFC 3414 2.2.2)."""

SNMP_USER = _table(
    "snmp_user",
    [
        _text("name", key=True),
        *map(_text, ("role", "auth_protocol", "priv_protocol")),
        *map(_octets, ("auth_key", "priv_key")),
        _octets("auth_master", nullable=True),
        _octets("priv_master", nullable=True),
    ],
    user="length(name) BETWEEN 1 AND 32",
    role="role IN ('monitor', 'operator', 'peer')",
    keys="length(auth_key) > 0 AND length(priv_key) > 0",
    master="(role = 'peer') = (auth_master IS NOT NULL)"
    " AND (role = 'peer') = (priv_master IS NOT NULL)",
)
"""Master keys are kept for peers alone: we localize them to each peer's engine (RFC 3414 2.6),
whereas a person's key is needed for our own engine only. A name has at most 32 octets (RFC 3411
5)."""

COUNTER = _table(
    "counter", [_text("name", key=True), _integer("value")], rowid=False, sign='"value" >= 0'
)

AUDIT = _table(
    "audit",
    [
        _integer("seq", key=True),
        _integer("at"),
        *map(_text, ("user", "action", "detail")),
        _octets("hash"),
    ],
    seq="seq > 0",
    hash="length(hash) = 32",
)

EVENT = _table(
    "event",
    [
        _integer("number", key=True),
        *map(_integer, ("at", "kind", "address")),
        *map(_octets, ("client_key", "hardware_address")),
        *map(_integer, ("until", "member")),
        *map(_text, ("user", "subject", "old", "new")),
    ],
    number="number > 0",
    kind="kind > 0",
    address=f"address {_ADDRESS}",
    about="until >= 0 AND member BETWEEN 0 AND 2147483647",
)
"""After `number`, columns in the order of the fields of `agent.events.event.Event`. Its kinds have
no upper bound: a reader passes over what it does not know."""

EVENT_CURSOR = _table(
    "event_cursor",
    [_text("name", key=True), _integer("number"), _integer("wants")],
    rowid=False,
    number="number >= 0 AND wants >= 0",
)
"""Columns in the order of the fields of `agent.events.event.EventCursor`; `wants` has a bit for
each kind."""
