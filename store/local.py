"""What the member knows of itself and keeps for itself: its row, counters, users and the audit.

The audit is a hash chain: each entry's hash is SHA-256 over the previous hash and the entry's
fields, each field prefixed with its length, so that an entry cannot be changed, moved or taken
out of the middle without every later hash being wrong.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import bindparam, delete, func, literal_column, null, select, update
from sqlalchemy.sql.elements import ColumnElement

from agent.clock import ClockAnchor
from agent.errors import StoreError
from agent.events.event import ExpirySweep
from agent.model import EngineBeat, Local, Service, stream_id
from store.session import Row, read_once
from store.sqlite import compile_insert, compile_statement, compile_upsert, limited
from store.streams import StreamRows
from store.tables import AUDIT, COUNTER, LOCAL, SNMP_USER

ENGINE_BOOTS_MAX = 2**31 - 1
"""snmpEngineBoots latches there: the engine has to get new keys (RFC 3414 2.2.2)."""

UserRole = Literal["monitor", "operator", "peer"]


@dataclass(frozen=True, slots=True)
class SnmpUser:
    """An SNMPv3 user. Keys are localized to this member's engine (RFC 3414 2.6); the master
    keys are kept for `peer` alone."""

    name: str
    role: UserRole
    auth_protocol: str
    priv_protocol: str
    auth_key: bytes
    priv_key: bytes
    auth_master: bytes | None = None
    priv_master: bytes | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what; `hash` covers this entry and, through the chain, all before it."""

    seq: int
    at: int
    user: str
    action: str
    detail: str
    hash: bytes


_LOCAL_FIELDS = (
    LOCAL.c.member,
    LOCAL.c.incarnation,
    LOCAL.c.engine_id,
    LOCAL.c.engine_boots,
    LOCAL.c.poll_counter,
    LOCAL.c.configuration_version,
    LOCAL.c.ownership_version,
    LOCAL.c.serving,
    LOCAL.c.serving_since,
    LOCAL.c.service,
    LOCAL.c.unconfirmed,
    LOCAL.c.recovery,
    LOCAL.c.holds_until,
    LOCAL.c.tries_until,
    LOCAL.c.certain_until,
    LOCAL.c.unseen_at,
    LOCAL.c.unseen_s,
    LOCAL.c.vouched,
)
_SERVING = _LOCAL_FIELDS.index(LOCAL.c.serving)
_UNCONFIRMED = _LOCAL_FIELDS.index(LOCAL.c.unconfirmed)
_VOUCHED = _LOCAL_FIELDS.index(LOCAL.c.vouched)
_SERVICE = _LOCAL_FIELDS.index(LOCAL.c.service)
_SERVICES = {int(service): service for service in Service}
_LOCAL = compile_statement(select(*_LOCAL_FIELDS))
_ADD_LOCAL = compile_insert(LOCAL)
_ANCHOR = compile_statement(select(LOCAL.c.boot_id, LOCAL.c.offset_ms))


def _increment(column: ColumnElement[int]) -> str:
    return compile_statement(update(LOCAL).values({column: column + literal_column("1")}))


_NEXT_POLL = _increment(LOCAL.c.poll_counter)
_CONFIGURATION_CHANGED = _increment(LOCAL.c.configuration_version)
_OWNERSHIP_CHANGED = _increment(LOCAL.c.ownership_version)
_SET_BOOTS = compile_statement(update(LOCAL).values(engine_boots=bindparam("boots")), "boots")
_SET_SERVING = compile_statement(
    update(LOCAL).values(serving=bindparam("serving"), serving_since=bindparam("since")),
    "serving",
    "since",
)
_SET_SERVICE = compile_statement(update(LOCAL).values(service=bindparam("service")), "service")
_SET_UNCONFIRMED = compile_statement(
    update(LOCAL).values(unconfirmed=bindparam("unconfirmed")), "unconfirmed"
)
_SET_RECOVERY = compile_statement(
    update(LOCAL).values(
        recovery=bindparam("reason"),
        holds_until=bindparam("holds"),
        tries_until=bindparam("tries"),
    ),
    "reason",
    "holds",
    "tries",
)
_SET_CERTAIN = compile_statement(update(LOCAL).values(certain_until=bindparam("until")), "until")
_SET_UNSEEN = compile_statement(
    update(LOCAL).values(unseen_at=bindparam("before"), unseen_s=bindparam("seconds")),
    "before",
    "seconds",
)
_SET_VOUCHED = compile_statement(update(LOCAL).values(vouched=bindparam("vouched")), "vouched")
_ADVANCE_CLOCK = compile_statement(
    update(LOCAL)
    .where(LOCAL.c.offset_ms.is_not(null()))
    .values(offset_ms=LOCAL.c.offset_ms + bindparam("ms")),
    "ms",
)
_TOKEN = compile_statement(select(LOCAL.c.token))
_SET_TOKEN = compile_statement(update(LOCAL).values(token=bindparam("token")), "token")
_SET_INCARNATION = compile_statement(
    update(LOCAL).values(incarnation=bindparam("incarnation")), "incarnation"
)
_SET_ANCHOR = compile_statement(
    update(LOCAL).values(boot_id=bindparam("boot_id"), offset_ms=bindparam("offset_ms")),
    "boot_id",
    "offset_ms",
)

_COUNTERS = compile_statement(select(COUNTER).order_by(COUNTER.c.name))
_ADD_COUNTER = compile_upsert(COUNTER, add_to=COUNTER.c.value)

_BEATS, _BEAT_MS = "engine_beats", "engine_beat_ms"
_SWEEP = ("expiry_sweep_since", "expiry_sweep_until", "expiry_sweep_first")
_COUNTER_NAMED = compile_statement(
    select(COUNTER.c.value).where(COUNTER.c.name == bindparam("name")), "name"
)
_PUT_COUNTER = compile_upsert(COUNTER)

_USERS = compile_statement(select(SNMP_USER).order_by(SNMP_USER.c.name))
_PUT_USER = compile_upsert(SNMP_USER)
_DELETE_USER = compile_statement(
    delete(SNMP_USER).where(SNMP_USER.c.name == bindparam("user")), "user"
)

_AUDIT_TAIL = compile_statement(
    limited(select(AUDIT.c.seq, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()), 1)
)
_AUDIT_ADD = compile_insert(AUDIT)
_AUDIT_AFTER = compile_statement(
    limited(select(AUDIT).where(AUDIT.c.seq > bindparam("after")).order_by(AUDIT.c.seq), "limit"),
    "after",
    "limit",
)
_AUDIT_COUNT = compile_statement(
    select(func.count()).where(
        AUDIT.c.user == bindparam("user"), AUDIT.c.action == bindparam("action")
    ),
    "user",
    "action",
)
_CHAIN_START = bytes(32)


def _audit_hash(previous: bytes, seq: int, at: int, *texts: str) -> bytes:
    chain = hashlib.sha256(previous)
    for field in (str(seq), str(at), *texts):
        octets = field.encode()
        chain.update(len(octets).to_bytes(4, "big") + octets)
    return chain.digest()


class LocalRow(StreamRows):
    """The part of the port about this member, and what lies outside the port beside it."""

    @read_once
    def local(self) -> Local:
        values = list(self.rows(_LOCAL)[0])
        values[_SERVING] = bool(values[_SERVING])
        values[_SERVICE] = _SERVICES[values[_SERVICE]]
        values[_UNCONFIRMED] = bool(values[_UNCONFIRMED])
        values[_VOUCHED] = bool(values[_VOUCHED])
        return Local(*values)

    def add_local(self, member: int, incarnation: int, engine_id: bytes) -> None:
        """Make the single row and the own stream of a new store."""
        row: Row = (
            1,
            member,
            incarnation,
            engine_id,
            0,
            0,
            0,
            0,
            0,
            0,
            +Service.RUNNING,
            0,
            "",
            0,
            0,
            0,
            0,
            0,
            0,
            "",
            None,
            None,
        )
        self.change(_ADD_LOCAL, row)
        self._stream_head(stream_id(member, incarnation))

    def set_serving(self, serving: bool, since: int) -> None:
        self.change(_SET_SERVING, (+serving, since))

    def set_service(self, service: Service) -> None:
        self.change(_SET_SERVICE, (+service,))

    def set_unconfirmed(self, unconfirmed: bool) -> None:
        self.change(_SET_UNCONFIRMED, (+unconfirmed,))

    def set_recovery(self, reason: str, holds_until: int, tries_until: int) -> None:
        """Also a change of the configuration: `tries_until` rules what the engine gives away."""
        self.change(_SET_RECOVERY, (reason, holds_until, tries_until))
        self.configuration_changed()

    def set_certain(self, until: int) -> None:
        """Also a change of the configuration: it bounds the leases that the engine gives."""
        self.change(_SET_CERTAIN, (until,))
        self.configuration_changed()

    def set_unseen(self, before: int, seconds: int) -> None:
        """As `set_certain`."""
        self.change(_SET_UNSEEN, (before, seconds))
        self.configuration_changed()

    def set_vouched(self, vouched: bool) -> None:
        self.change(_SET_VOUCHED, (+vouched,))

    def next_poll_counter(self) -> int:
        self.change(_NEXT_POLL)
        return self.local().poll_counter

    def begin_incarnation(self, incarnation: int) -> None:
        """Go on under a new stream; the poll counter goes on too, nonces are compared as pairs."""
        local = self.local()
        assert incarnation > local.incarnation, f"{incarnation} follows {local.incarnation}"
        self.change(_SET_INCARNATION, (incarnation,))
        self._stream_head(stream_id(local.member, incarnation))

    def configuration_changed(self) -> None:
        self.change(_CONFIGURATION_CHANGED)

    def ownership_changed(self) -> None:
        self.change(_OWNERSHIP_CHANGED)

    def token(self) -> str:
        """What the last start of the member wrote, "" if there was none."""
        return str(self.rows(_TOKEN)[0][0])

    def set_token(self, token: str) -> None:
        self.change(_SET_TOKEN, (token,))

    def begin_boot(self, at_least: int = 0) -> int:
        """Count one start of the SNMP engine; returns snmpEngineBoots."""
        boots = min(max(self.local().engine_boots + 1, at_least), ENGINE_BOOTS_MAX)
        self.change(_SET_BOOTS, (boots,))
        return boots

    @read_once
    def clock_anchor(self) -> ClockAnchor | None:
        boot_id, offset_ms = self.rows(_ANCHOR)[0]
        return None if boot_id is None else ClockAnchor(boot_id, offset_ms)

    def advance_clock(self, ms: int) -> None:
        self.change(_ADVANCE_CLOCK, (ms,))

    def set_clock_anchor(self, anchor: ClockAnchor) -> None:
        self.change(_SET_ANCHOR, (anchor.boot_id, anchor.offset_ms))

    # --- counters

    def add_counters(self, increments: dict[str, int]) -> None:
        self.change_many(_ADD_COUNTER, increments.items())

    def counters(self) -> dict[str, int]:
        return dict(self.rows(_COUNTERS))

    # --- the engine's life

    def beat(self, boot_ms: int) -> None:
        self.change(_ADD_COUNTER, (_BEATS, 1))
        self.change(_PUT_COUNTER, (_BEAT_MS, boot_ms))

    def engine_beat(self) -> EngineBeat | None:
        count, boot_ms = (self.rows(_COUNTER_NAMED, (name,)) for name in (_BEATS, _BEAT_MS))
        return EngineBeat(count[0][0], boot_ms[0][0]) if count and boot_ms else None

    def expiry_sweep(self) -> ExpirySweep | None:
        values = [value for name in _SWEEP for (value,) in self.rows(_COUNTER_NAMED, (name,))]
        return ExpirySweep(*values) if len(values) == len(_SWEEP) else None

    def put_expiry_sweep(self, sweep: ExpirySweep) -> None:
        self.change_many(_PUT_COUNTER, zip(_SWEEP, sweep, strict=True))

    # --- SNMP users

    def snmp_users(self) -> list[SnmpUser]:
        """All users in order of name."""
        return [SnmpUser(*row) for row in self.rows(_USERS)]

    def put_snmp_user(self, user: SnmpUser) -> None:
        """Add a user, or replace the one of that name."""
        self.change(
            _PUT_USER,
            (
                user.name,
                user.role,
                user.auth_protocol,
                user.priv_protocol,
                user.auth_key,
                user.priv_key,
                user.auth_master,
                user.priv_master,
            ),
        )

    def delete_snmp_user(self, name: str) -> bool:
        """Whether there was such a user."""
        return self.change(_DELETE_USER, (name,)) > 0

    # --- audit

    def audit(self, user: str, action: str, detail: str, now: int) -> None:
        tail = self.rows(_AUDIT_TAIL)
        seq, previous = tail[0] if tail else (0, _CHAIN_START)
        digest = _audit_hash(previous, seq + 1, now, user, action, detail)
        self.change(_AUDIT_ADD, (seq + 1, now, user, action, detail, digest))

    def audit_after(self, seq: int, limit: int) -> list[AuditEntry]:
        """Entries behind `seq` (0: all) in order, at most `limit`."""
        return [AuditEntry(*row) for row in self.rows(_AUDIT_AFTER, (seq, limit))]

    def count_audited(self, user: str, action: str) -> int:
        """Entries of that user and action; reads the whole audit."""
        return int(self.rows(_AUDIT_COUNT, (user, action))[0][0])

    def verify_audit(self) -> int:
        """Check the whole chain; returns the number of entries. StoreError names the first entry
        that is not as it was written."""
        count, previous = 0, _CHAIN_START
        for seq, at, user, action, detail, digest in self.each_row(_AUDIT_AFTER, (0, -1)):
            if seq != count + 1:
                raise StoreError(f"audit: entry {count + 1} is missing")
            if digest != _audit_hash(previous, seq, at, user, action, detail):
                raise StoreError(f"audit: entry {seq} or one before it was altered")
            count, previous = seq, digest
        return count
