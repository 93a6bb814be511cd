"""Replicated records as octets: bindings and configuration (draft 8.4.2, the CSA record).

Instants travel as seconds from the sender's now (draft 4.3). The receiver adds them to its own now;
where the sender's clock is within `CLOCK_TRUST_MS` of the receiver's it adds them to the sender's
now instead, so that members with good clocks hold equal instants (docs/architecture.md, "Time").
An infinite lease is a flag and stays one (docs/protocol.md, "Records, and which one wins").

`acknowledged_at` is knowledge that every member may use ("all have recorded at least this"), but
only at its true value: from a clock that is not trusted it arrives as 0, because a late message
would make it too late, and a lease would then run ahead of what the others recorded.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from agent.errors import PacketError
from agent.kinds import kind_of
from agent.limits import UPDATE_RECORDS_MAX
from agent.model import (
    NEVER,
    Binding,
    BindingState,
    ConfigRecord,
    Transaction,
    Version,
)
from agent.sync import messages as m
from agent.sync.conflict import unpack_parties
from agent.sync.octets import OPENING, U16, VERSION, Reader, decode_text
from agent.sync.rows import pack_row, unpack_row

_BINDING_KIND: Final = 1
_CONFIGURATION_KIND: Final = 2
_RECORDS_KIND: Final = 3

_BINDING = struct.Struct("!BIBBqIiiiiiqqBHHBHH")
_CONFIGURATION = struct.Struct("!BBBqiqq")
_SKETCH = struct.Struct("!5xBB12xii4xi21xHHBHH")
"""Of a packed binding flags, transaction, instants but for the acknowledged one, and lengths."""
_INSTANTS_AT: Final = 19
_BEHIND_INSTANTS_AT: Final = 35

_INSTANT_NEVER: Final = 0x7FFF_FFFF
_INSTANT_NONE: Final = -0x8000_0000
_INSTANT_LIMIT: Final = 0x7FFF_FFFE

_STATE_BITS: Final = 0x03
_KEY_FROM_ID: Final = 0x04
_KEY_FROM_HARDWARE: Final = 0x08
_HAS_ID: Final = 0x10
_BINDING_FLAGS: Final = _STATE_BITS | _KEY_FROM_ID | _KEY_FROM_HARDWARE | _HAS_ID

_STATES: Final[tuple[BindingState | None, ...]] = (None, *BindingState)
_TRANSACTIONS: Final[tuple[Transaction, ...]] = tuple(Transaction)


class Sketch(NamedTuple):
    """Some packed bindings, unread: `said` is equal where their changes and contents are;
    `instants` are expiry, potential expiry and transaction of each; `conflicts` their addresses."""

    said: bytes
    instants: list[int]
    conflicts: list[int]
    rows: int


# --- instants ----------------------------------------------------------------------------------


def _away(instant: int, now_s: int) -> int:
    if instant >= NEVER:
        return _INSTANT_NEVER
    if instant == 0:
        return _INSTANT_NONE
    return max(-_INSTANT_LIMIT, min(_INSTANT_LIMIT, instant - now_s))


def _instant(away: int, base_s: int) -> int:
    if away == _INSTANT_NEVER:
        return NEVER
    if away == _INSTANT_NONE:
        return 0
    return max(1, base_s + away)


# --- records -----------------------------------------------------------------------------------


def _pack_binding(row: Binding, now_s: int) -> bytes:
    key, identifier = row.client_key, row.client_id
    hardware_address = row.hardware_address
    hostname = row.hostname.encode("utf-8", "replace") if row.hostname else b""
    flags = int(row.state)
    if identifier is not None:
        flags |= _HAS_ID
        if key == b"\x01" + identifier:
            flags |= _KEY_FROM_ID
            key = b""
    else:
        identifier = b""
        if key == b"\x00" + bytes((row.hardware_type,)) + hardware_address:
            flags |= _KEY_FROM_HARDWARE
            key = b""
    return b"".join(
        (
            _BINDING.pack(
                _BINDING_KIND,
                row.address,
                flags,
                row.transaction,
                row.epoch,
                row.grant,
                _away(row.expires_at, now_s),
                _away(row.potential_expires_at, now_s),
                _away(row.acknowledged_at, now_s),
                _away(row.transaction_at, now_s),
                row.transaction_server,
                row.stream,
                row.seq,
                row.hardware_type,
                len(key),
                len(identifier),
                len(hardware_address),
                len(hostname),
                len(row.options),
            ),
            key,
            identifier,
            hardware_address,
            hostname,
            row.options,
        )
    )


def _unpack_binding(reader: Reader) -> Binding:
    data, start = reader.data, reader.position
    if start + _BINDING.size > len(data):
        raise PacketError("truncated", f"at octet {start} of {len(data)}")
    (
        _,
        address,
        flags,
        transaction,
        epoch,
        grant,
        expires,
        potential,
        acknowledged,
        transaction_away,
        server,
        stream,
        seq,
        hardware_type,
        key_length,
        identifier_length,
        hardware_length,
        hostname_length,
        options_length,
    ) = _BINDING.unpack_from(data, start)
    key_at = start + _BINDING.size
    identifier_at = key_at + key_length
    hardware_at = identifier_at + identifier_length
    hostname_at = hardware_at + hardware_length
    options_at = hostname_at + hostname_length
    end = options_at + options_length
    if end > len(data):
        raise PacketError("truncated", f"a binding ends at octet {end} of {len(data)}")
    reader.position = end
    state = _STATES[flags & _STATE_BITS]
    if state is None or flags & ~_BINDING_FLAGS or transaction >= len(_TRANSACTIONS):
        raise PacketError("binding", f"flags {flags:#x}, transaction {transaction}")
    if potential < expires or server < 0 or stream <= 0 or seq <= 0 or epoch < 0:
        detail = f"expiries {expires}, {potential}; change {stream}, {seq}; epoch {epoch}"
        raise PacketError("binding", detail)
    identifier: bytes | None = data[identifier_at:hardware_at]
    hardware_address = data[hardware_at:hostname_at]
    if not flags & _HAS_ID:
        if identifier_length:
            raise PacketError("binding", "an identifier that is not announced")
        identifier = None
    if transaction == Transaction.CONFLICT:
        unpack_parties(data[options_at:end])
    base_s = reader.base_s
    return Binding(
        address,
        _client_key(flags, data[key_at:identifier_at], identifier, hardware_type, hardware_address),
        identifier,
        hardware_type,
        hardware_address,
        decode_text(data[hostname_at:options_at]) if hostname_length else "",
        state,
        epoch,
        grant,
        _instant(expires, base_s),
        _instant(potential, base_s),
        _instant(acknowledged, base_s) if reader.trusted else 0,
        _TRANSACTIONS[transaction],
        _instant(transaction_away, base_s),
        server,
        data[options_at:end],
        stream,
        seq,
    )


def _client_key(
    flags: int, key: bytes, identifier: bytes | None, hardware_type: int, hardware_address: bytes
) -> bytes:
    derived = flags & (_KEY_FROM_ID | _KEY_FROM_HARDWARE)
    if not derived:
        return key
    if key or derived == _KEY_FROM_ID | _KEY_FROM_HARDWARE:
        raise PacketError("binding", "a client key that is both sent and derived")
    if derived == _KEY_FROM_HARDWARE:
        return b"\x00" + bytes((hardware_type,)) + hardware_address
    if identifier is None:
        raise PacketError("binding", "a client key from an identifier that is not there")
    return b"\x01" + identifier


def _pack_configuration(record: ConfigRecord, now_s: int) -> bytes:
    flags = (1 if record.deleted else 0) | (2 if record.row.active else 0)
    opening = _CONFIGURATION.pack(
        _CONFIGURATION_KIND,
        kind_of(record.row).number,
        flags,
        record.version.counter,
        record.version.member,
        record.stream,
        record.seq,
    )
    return opening + pack_row(record.row, now_s)


def _unpack_configuration(reader: Reader) -> ConfigRecord:
    _, kind, flags, counter, member, stream, seq = reader.fields(_CONFIGURATION)
    if flags > 3 or counter <= 0 or member <= 0 or stream <= 0 or seq <= 0:
        raise PacketError(
            "configuration", f"flags {flags:#x}, {counter}, {member}, {stream}, {seq}"
        )
    row = unpack_row(reader, kind, bool(flags & 2))
    return ConfigRecord(row, Version(counter, member), bool(flags & 1), stream, seq)


def pack_one(record: m.Record, now_s: int) -> bytes:
    if isinstance(record, Binding):
        return _pack_binding(record, now_s)
    return _pack_configuration(record, now_s)


def unpack_one(reader: Reader) -> m.Record:
    if reader.position >= len(reader.data):
        raise PacketError("truncated", "a record is missing")
    kind = reader.data[reader.position]
    if kind == _BINDING_KIND:
        return _unpack_binding(reader)
    if kind == _CONFIGURATION_KIND:
        return _unpack_configuration(reader)
    raise PacketError("kind", f"record of kind {kind}")


def pack_list(records: Sequence[m.Record], now_s: int) -> bytes:
    return U16.pack(len(records)) + b"".join([pack_one(record, now_s) for record in records])


def unpack_list(reader: Reader, most: int) -> tuple[m.Record, ...]:
    return tuple([unpack_one(reader) for _ in range(reader.count(most))])


def pack_record(record: m.Record, now_ms: int) -> bytes:
    """One record with an opening of its own: a row of the change table."""
    return OPENING.pack(VERSION, 0, now_ms) + pack_one(record, now_ms // 1000)


def unpack_record(data: bytes, now_ms: int) -> m.Record:
    reader = Reader(data, now_ms)
    record = unpack_one(reader)
    reader.end()
    return record


def pack_records(records: Sequence[m.Record], now_ms: int) -> bytes:
    """A list of records under one opening: a row of the binding block table."""
    return OPENING.pack(VERSION, _RECORDS_KIND, now_ms) + pack_list(records, now_ms // 1000)


def unpack_records(data: bytes, now_ms: int) -> tuple[m.Record, ...]:
    reader = Reader(data, now_ms)
    if reader.kind != _RECORDS_KIND:
        raise PacketError("kind", f"string of kind {reader.kind} is no list of records")
    records = unpack_list(reader, UPDATE_RECORDS_MAX)
    reader.end()
    return records


def sketch_records(data: bytes, now_ms: int) -> Sketch:
    """As `unpack_records`, of bindings only, at a fifth of the time."""
    reader = Reader(data, now_ms)
    if reader.kind != _RECORDS_KIND:
        raise PacketError("kind", f"string of kind {reader.kind} is no list of records")
    count, base_s = reader.count(UPDATE_RECORDS_MAX), reader.base_s
    at, size = reader.position, len(data)
    said: list[bytes] = []
    instants: list[int] = []
    conflicts: list[int] = []
    for _ in range(count):
        if at + _BINDING.size > size or data[at] != _BINDING_KIND:
            raise PacketError("truncated", f"no binding at octet {at} of {size}")
        flags, transaction, expires, potential, changed, *lengths = _SKETCH.unpack_from(data, at)
        end = at + _BINDING.size + sum(lengths)
        said += data[at : at + _INSTANTS_AT], data[at + _BEHIND_INSTANTS_AT : end]
        instants += (
            _instant(expires, base_s),
            _instant(potential, base_s),
            _instant(changed, base_s),
        )
        if transaction == Transaction.CONFLICT and flags & _STATE_BITS == BindingState.UNAVAILABLE:
            conflicts.append(int.from_bytes(data[at + 1 : at + 5], "big"))
        at = end
    if at != size:
        raise PacketError("trailing", f"{size - at} octets too many, or too few")
    return Sketch(b"".join(said), instants, conflicts, count)
