"""Messages and records as octets: what travels in one OCTET STRING between members.

A string opens with a version, a kind and the sender's clock in milliseconds; a request follows
with its header. Instants travel as seconds from the sender's now (draft 4.3). The receiver adds
them to its own now; where the sender's clock is within `CLOCK_TRUST_MS` of the receiver's it adds
them to the sender's now instead, so that members with good clocks hold equal instants
(docs/architecture.md, "Time"). An infinite lease is a flag and stays one (protocol.md 2).

`acknowledged_at` is knowledge that every member may use ("all have recorded at least this"), but
only at its true value: from a clock that is not trusted it arrives as 0, because a late message
would make it too late, and a lease would then run ahead of what the others recorded.

Everything is checked: an unknown version or kind, a wrong length or count and trailing octets are
a `PacketError`. A new version may be introduced by members that still read the old one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final

from agent.errors import PacketError
from agent.limits import (
    CONFIGURATION_RECORDS_MAX,
    MEMBERS_MAX,
    POLL_RANGES_MAX,
    STREAMS_MAX,
    UPDATE_RECORDS_MAX,
)
from agent.model import (
    NEVER,
    BallotNumber,
    Binding,
    BindingState,
    ChangeKind,
    ConfigRecord,
    ConfigRow,
    Group,
    Member,
    MemberRole,
    MemberState,
    Nonce,
    Option,
    Pool,
    Reservation,
    StreamId,
    Subnet,
    Transaction,
    Version,
)
from agent.sync import messages as m

VERSION: Final = 1
"""Of every string; raised when a layout changes."""

CLOCK_TRUST_MS: Final = 2_000
"""Clocks (and the way between them) at most this far apart count as the same clock."""

_BINDING_KIND: Final = 1
_CONFIGURATION_KIND: Final = 2
_RECORDS_KIND: Final = 3
_GROUP_KIND: Final = 4

_OPENING = struct.Struct("!BBQ")
_HEADER = struct.Struct("!III")
_BINDING = struct.Struct("!BIBBIIiiiiiqqBHHBBH")
_CONFIGURATION = struct.Struct("!BBBqiqq")
_RANGE = struct.Struct("!III")
_VERDICT = struct.Struct("!IIBII")
_U16 = struct.Struct("!H")
_U32 = struct.Struct("!I")
_U63 = struct.Struct("!q")
_PAIR = struct.Struct("!qq")

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


class _Reader:
    """One pass over a string; every read is checked against the end."""

    __slots__ = ("base_s", "data", "position", "trusted")

    def __init__(self, data: bytes, now_ms: int) -> None:
        self.data = data
        self.position = _OPENING.size
        if len(data) < _OPENING.size:
            raise PacketError("truncated", f"{len(data)} octets, an opening takes {_OPENING.size}")
        version, _, sent_ms = _OPENING.unpack_from(data)
        if version != VERSION:
            raise PacketError("version", f"version {version}, this member reads {VERSION}")
        self.trusted = abs(sent_ms - now_ms) <= CLOCK_TRUST_MS
        self.base_s = (sent_ms if self.trusted else now_ms) // 1000

    @property
    def kind(self) -> int:
        return self.data[1]

    def fields(self, layout: struct.Struct) -> tuple[int, ...]:
        start = self.position
        self.position = start + layout.size
        if self.position > len(self.data):
            raise PacketError("truncated", f"at octet {start} of {len(self.data)}")
        return layout.unpack_from(self.data, start)

    def octet(self) -> int:
        start = self.position
        if start >= len(self.data):
            raise PacketError("truncated", f"at octet {start} of {len(self.data)}")
        self.position = start + 1
        return self.data[start]

    def flag(self) -> bool:
        value = self.octet()
        if value > 1:
            raise PacketError("flag", f"{value} is neither 0 nor 1")
        return value == 1

    def number(self, layout: struct.Struct) -> int:
        value = self.fields(layout)[0]
        if value < 0:
            raise PacketError("number", f"{value} is negative")
        return value

    def pair(self) -> tuple[int, int]:
        return self.number(_U63), self.number(_U63)

    def octets(self, length: int) -> bytes:
        start = self.position
        self.position = start + length
        if self.position > len(self.data):
            raise PacketError("truncated", f"at octet {start} of {len(self.data)}")
        return self.data[start : self.position]

    def short_octets(self) -> bytes:
        return self.octets(self.octet())

    def text(self) -> str:
        return _decode_text(self.octets(self.octet()))

    def count(self, most: int) -> int:
        value = self.number(_U16)
        if value > most:
            raise PacketError("too_many", f"{value} items, at most {most} are read")
        return value

    def end(self) -> None:
        if self.position != len(self.data):
            raise PacketError("trailing", f"{len(self.data) - self.position} octets too many")


def _decode_text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PacketError("text", "no UTF-8") from error


def _short_octets(value: bytes) -> bytes:
    if len(value) > 255:
        raise PacketError("too_long", f"{len(value)} octets, at most 255 are sent")
    return bytes((len(value),)) + value


def _text(value: str) -> bytes:
    return _short_octets(value.encode("utf-8", "replace"))


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
    hostname = row.hostname.encode("utf-8", "replace")[:255] if row.hostname else b""
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


def _unpack_binding(reader: _Reader) -> Binding:
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
    if potential < expires or server < 0 or stream <= 0 or seq <= 0:
        raise PacketError("binding", f"expiries {expires}, {potential}; change {stream}, {seq}")
    identifier: bytes | None = data[identifier_at:hardware_at]
    hardware_address = data[hardware_at:hostname_at]
    if not flags & _HAS_ID:
        if identifier_length:
            raise PacketError("binding", "an identifier that is not announced")
        identifier = None
    base_s = reader.base_s
    return Binding(
        address,
        _client_key(flags, data[key_at:identifier_at], identifier, hardware_type, hardware_address),
        identifier,
        hardware_type,
        hardware_address,
        _decode_text(data[hostname_at:options_at]) if hostname_length else "",
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


def _pack_configuration(record: ConfigRecord) -> bytes:
    row = record.row
    flags = (1 if record.deleted else 0) | (2 if row.active else 0)
    version = record.version
    if isinstance(row, Subnet):
        kind = ChangeKind.SUBNET
        body = struct.pack("!IBI", row.network, row.prefix_length, row.lease_s)
        body += _text(row.interface) + _text(row.name)
    elif isinstance(row, Pool):
        kind = ChangeKind.POOL
        body = struct.pack("!II", row.first, row.last) + _text(row.name)
    elif isinstance(row, Option):
        kind = ChangeKind.OPTION
        body = struct.pack("!IBBH", row.network, row.prefix_length, row.code, len(row.data))
        body += row.data
    else:
        kind = ChangeKind.RESERVATION
        body = struct.pack("!IH", row.address, len(row.client_key)) + row.client_key
        body += _text(row.hostname)
    opening = _CONFIGURATION.pack(
        _CONFIGURATION_KIND,
        kind,
        flags,
        version.counter,
        version.member,
        record.stream,
        record.seq,
    )
    return opening + body


def _unpack_configuration(reader: _Reader) -> ConfigRecord:
    _, kind, flags, counter, member, stream, seq = reader.fields(_CONFIGURATION)
    if flags > 3 or counter <= 0 or member <= 0 or stream <= 0 or seq <= 0:
        raise PacketError(
            "configuration", f"flags {flags:#x}, {counter}, {member}, {stream}, {seq}"
        )
    row = _unpack_configuration_row(reader, kind, bool(flags & 2))
    return ConfigRecord(row, Version(counter, member), bool(flags & 1), stream, seq)


def _unpack_configuration_row(reader: _Reader, kind: int, active: bool) -> ConfigRow:
    number = reader.number
    if kind == ChangeKind.SUBNET:
        network, length = _prefix(reader)
        return Subnet(network, length, number(_U32), reader.text(), reader.text(), active)
    if kind == ChangeKind.POOL:
        first, last = number(_U32), number(_U32)
        if first > last:
            raise PacketError("configuration", f"pool {first}..{last} is not in order")
        return Pool(first, last, reader.text(), active)
    if kind == ChangeKind.OPTION:
        network, length = _prefix(reader)
        code = reader.octet()
        if code in (0, 255):
            raise PacketError("configuration", f"option {code} is padding or the end")
        return Option(network, length, code, reader.octets(number(_U16)), active)
    if kind == ChangeKind.RESERVATION:
        address, client_key = number(_U32), reader.octets(number(_U16))
        return Reservation(address, client_key, reader.text(), active)
    raise PacketError("kind", f"configuration of kind {kind}")


def _prefix(reader: _Reader) -> tuple[int, int]:
    network, length = reader.number(_U32), reader.octet()
    if length > 32 or network & (0xFFFF_FFFF >> length):
        raise PacketError("configuration", f"prefix {network:#x}/{length}")
    return network, length


def _pack_one(record: m.Record, now_s: int) -> bytes:
    if isinstance(record, Binding):
        return _pack_binding(record, now_s)
    return _pack_configuration(record)


def _unpack_one(reader: _Reader) -> m.Record:
    if reader.position >= len(reader.data):
        raise PacketError("truncated", "a record is missing")
    kind = reader.data[reader.position]
    if kind == _BINDING_KIND:
        return _unpack_binding(reader)
    if kind == _CONFIGURATION_KIND:
        return _unpack_configuration(reader)
    raise PacketError("kind", f"record of kind {kind}")


def _pack_list(records: Sequence[m.Record], now_s: int) -> bytes:
    return _U16.pack(len(records)) + b"".join([_pack_one(record, now_s) for record in records])


def _unpack_list(reader: _Reader, most: int) -> tuple[m.Record, ...]:
    return tuple([_unpack_one(reader) for _ in range(reader.count(most))])


def pack_record(record: m.Record, now_ms: int) -> bytes:
    """One record with an opening of its own: a row of the change table."""
    return _OPENING.pack(VERSION, 0, now_ms) + _pack_one(record, now_ms // 1000)


def unpack_record(data: bytes, now_ms: int) -> m.Record:
    reader = _Reader(data, now_ms)
    record = _unpack_one(reader)
    reader.end()
    return record


def pack_records(records: Sequence[m.Record], now_ms: int) -> bytes:
    """A list of records under one opening: a row of the binding block table."""
    return _OPENING.pack(VERSION, _RECORDS_KIND, now_ms) + _pack_list(records, now_ms // 1000)


def unpack_records(data: bytes, now_ms: int) -> tuple[m.Record, ...]:
    reader = _Reader(data, now_ms)
    if reader.kind != _RECORDS_KIND:
        raise PacketError("kind", f"string of kind {reader.kind} is no list of records")
    records = _unpack_list(reader, UPDATE_RECORDS_MAX)
    reader.end()
    return records


# --- parts of messages -------------------------------------------------------------------------


def _pack_header(header: m.Header) -> bytes:
    fixed = _HEADER.pack(header.sender, header.incarnation, header.generation)
    return fixed + _short_octets(header.membership_hash)


def _unpack_header(reader: _Reader) -> m.Header:
    sender, incarnation, generation = reader.fields(_HEADER)
    return m.Header(sender, incarnation, generation, reader.short_octets())


def _pack_vector(vector: dict[StreamId, int]) -> bytes:
    pairs = [_PAIR.pack(stream, seq) for stream, seq in sorted(vector.items())]
    return _U16.pack(len(pairs)) + b"".join(pairs)


def _unpack_vector(reader: _Reader) -> dict[StreamId, int]:
    vector: dict[StreamId, int] = {}
    for _ in range(reader.count(STREAMS_MAX)):
        stream, seq = reader.pair()
        vector[stream] = seq
    return vector


def _pack_nonce(nonce: Nonce) -> bytes:
    return _PAIR.pack(*nonce)


def _unpack_nonce(reader: _Reader) -> Nonce:
    incarnation, counter = reader.pair()
    return Nonce(incarnation, counter)


def _pack_ranges(ranges: Sequence[m.RangeEpoch]) -> bytes:
    packed = [_RANGE.pack(r.first, r.last, r.epoch) for r in ranges]
    return _U16.pack(len(packed)) + b"".join(packed)


def _unpack_ranges(reader: _Reader) -> tuple[m.RangeEpoch, ...]:
    ranges = []
    floor = 0
    for _ in range(reader.count(POLL_RANGES_MAX)):
        first, last, epoch = reader.fields(_RANGE)
        if not floor <= first <= last:
            raise PacketError("range", f"{first}..{last} is not in order")
        floor = last + 1
        ranges.append(m.RangeEpoch(first, last, epoch))
    return tuple(ranges)


def _pack_verdicts(verdicts: Sequence[m.Verdict]) -> bytes:
    packed = [_VERDICT.pack(v.first, v.last, v.agreed, v.epoch, v.owner) for v in verdicts]
    return _U16.pack(len(packed)) + b"".join(packed)


def _unpack_verdicts(reader: _Reader) -> tuple[m.Verdict, ...]:
    verdicts = []
    floor = 0
    for _ in range(reader.count(POLL_RANGES_MAX)):
        first, last, agreed, epoch, owner = reader.fields(_VERDICT)
        if not floor <= first <= last or agreed > 1:
            raise PacketError("verdict", f"{first}..{last} is not in order")
        floor = last + 1
        verdicts.append(m.Verdict(first, last, agreed == 1, epoch, owner))
    return tuple(verdicts)


def _pack_member(member: Member) -> bytes:
    return b"".join(
        (
            _U32.pack(member.member),
            _text(member.name),
            struct.pack("!IH", member.address, member.port),
            _short_octets(member.engine_id),
            struct.pack("!BBH", member.state, member.role, member.weight),
        )
    )


def _unpack_member(reader: _Reader) -> Member:
    number = reader.number
    identity, name = number(_U32), reader.text()
    address, port, engine_id = number(_U32), number(_U16), reader.short_octets()
    try:
        state, role = MemberState(reader.octet()), MemberRole(reader.octet())
    except ValueError as error:
        raise PacketError("member", str(error)) from error
    return Member(identity, name, address, port, engine_id, state, role, number(_U16))


def _pack_group_body(group: Group) -> bytes:
    fixed = struct.pack("!III", group.generation, group.mul_s, group.lease_s)
    members = b"".join([_pack_member(member) for member in group.members])
    return _text(group.name) + fixed + _U16.pack(len(group.members)) + members


def _unpack_group_body(reader: _Reader) -> Group:
    name, number = reader.text(), reader.number
    generation, mul_s, lease_s = number(_U32), number(_U32), number(_U32)
    members = tuple([_unpack_member(reader) for _ in range(reader.count(MEMBERS_MAX))])
    return Group(name, generation, mul_s, lease_s, members)


def pack_group(group: Group) -> bytes:
    """A group alone and without a clock: the same octets at every member, so they can be hashed."""
    return _OPENING.pack(VERSION, _GROUP_KIND, 0) + _pack_group_body(group)


def unpack_group(data: bytes) -> Group:
    reader = _Reader(data, 0)
    if reader.kind != _GROUP_KIND:
        raise PacketError("kind", f"string of kind {reader.kind} is no group")
    group = _unpack_group_body(reader)
    reader.end()
    return group


def _pack_optional_group(group: Group | None) -> bytes:
    return b"\x00" if group is None else b"\x01" + _pack_group_body(group)


def _unpack_optional_group(reader: _Reader) -> Group | None:
    return _unpack_group_body(reader) if reader.flag() else None


def _pack_ballot(ballot: BallotNumber) -> bytes:
    return _PAIR.pack(*ballot)


def _unpack_ballot(reader: _Reader) -> BallotNumber:
    counter, member = reader.pair()
    return BallotNumber(counter, member)


# --- requests ----------------------------------------------------------------------------------


def _hello(request: m.Hello, _: int) -> bytes:
    heard = b"".join([_U32.pack(member) for member in request.heard])
    return b"".join(
        (
            _pack_vector(request.vector),
            _U16.pack(len(request.heard)),
            heard,
            _U63.pack(request.sent_at),
            bytes((request.serving,)),
            _short_octets(request.digest),
        )
    )


def _read_hello(header: m.Header, r: _Reader) -> m.Hello:
    vector = _unpack_vector(r)
    heard = tuple([r.number(_U32) for _ in range(r.count(MEMBERS_MAX))])
    return m.Hello(header, vector, heard, r.number(_U63), r.flag(), r.short_octets())


def _update(request: m.BindingUpdate, now_s: int) -> bytes:
    fixed = struct.pack("!qqq", request.stream, request.after, request.through)
    return fixed + _pack_list(request.records, now_s)


def _read_update(header: m.Header, r: _Reader) -> m.BindingUpdate:
    stream, after, through = r.number(_U63), r.number(_U63), r.number(_U63)
    records = _unpack_list(r, UPDATE_RECORDS_MAX)
    return m.BindingUpdate(header, stream, after, through, records)


def _change_pull(request: m.ChangePull, _: int) -> bytes:
    return struct.pack("!qqH", request.stream, request.after, request.limit)


def _read_change_pull(header: m.Header, r: _Reader) -> m.ChangePull:
    return m.ChangePull(header, r.number(_U63), r.number(_U63), r.number(_U16))


def _block_pull(request: m.BlockPull, _: int) -> bytes:
    return _U63.pack(request.after_block + 1) + _U16.pack(request.limit)


def _read_block_pull(header: m.Header, r: _Reader) -> m.BlockPull:
    return m.BlockPull(header, r.number(_U63) - 1, r.number(_U16))


def _poll(request: m.PollAsk | m.PollReserve | m.PollAbort, _: int) -> bytes:
    return _pack_nonce(request.nonce) + _pack_ranges(request.ranges)


def _prepare(request: m.BallotPrepare, _: int) -> bytes:
    return _U32.pack(request.generation) + _pack_ballot(request.ballot)


def _accept(request: m.BallotAccept, _: int) -> bytes:
    return _pack_ballot(request.ballot) + _pack_group_body(request.value)


def _commit(request: m.GroupCommit, _: int) -> bytes:
    return _pack_group_body(request.value)


def _nothing(_request: m.StreamQuery | m.GroupQuery | m.Acknowledged, _: int) -> bytes:
    return b""


_Pack = Callable[..., bytes]
_REQUESTS: Final[dict[type, tuple[int, _Pack, Callable[[m.Header, _Reader], m.Request]]]] = {
    m.Hello: (16, _hello, _read_hello),
    m.BindingUpdate: (17, _update, _read_update),
    m.ChangePull: (18, _change_pull, _read_change_pull),
    m.BlockPull: (19, _block_pull, _read_block_pull),
    m.StreamQuery: (20, _nothing, lambda header, _: m.StreamQuery(header)),
    m.PollAsk: (
        21,
        _poll,
        lambda header, r: m.PollAsk(header, _unpack_nonce(r), _unpack_ranges(r)),
    ),
    m.PollReserve: (
        22,
        _poll,
        lambda header, r: m.PollReserve(header, _unpack_nonce(r), _unpack_ranges(r)),
    ),
    m.PollAbort: (
        23,
        _poll,
        lambda header, r: m.PollAbort(header, _unpack_nonce(r), _unpack_ranges(r)),
    ),
    m.GroupQuery: (24, _nothing, lambda header, _: m.GroupQuery(header)),
    m.BallotPrepare: (
        25,
        _prepare,
        lambda header, r: m.BallotPrepare(header, r.number(_U32), _unpack_ballot(r)),
    ),
    m.BallotAccept: (
        26,
        _accept,
        lambda header, r: m.BallotAccept(header, _unpack_ballot(r), _unpack_group_body(r)),
    ),
    m.GroupCommit: (
        27,
        _commit,
        lambda header, r: m.GroupCommit(header, _unpack_group_body(r)),
    ),
}
_READ_REQUEST = {kind: read for kind, _, read in _REQUESTS.values()}


def pack_request(request: m.Request, now_ms: int) -> bytes:
    kind, pack, _ = _REQUESTS[type(request)]
    opening = _OPENING.pack(VERSION, kind, now_ms)
    return opening + _pack_header(request.header) + pack(request, now_ms // 1000)


def unpack_request(data: bytes, now_ms: int) -> m.Request:
    """`now_ms` is the receiver's clock. Raises PacketError."""
    reader = _Reader(data, now_ms)
    read = _READ_REQUEST.get(reader.kind)
    if read is None:
        raise PacketError("kind", f"no request is of kind {reader.kind}")
    request = read(_unpack_header(reader), reader)
    reader.end()
    return request


# --- responses ---------------------------------------------------------------------------------


def _change_page(page: m.ChangePage, now_s: int) -> bytes:
    fixed = struct.pack("!qqqB", page.stream, page.log_from, page.through, page.complete)
    return fixed + _pack_list(page.records, now_s)


def _read_change_page(r: _Reader) -> m.ChangePage:
    stream, log_from, through = r.number(_U63), r.number(_U63), r.number(_U63)
    complete = r.flag()
    return m.ChangePage(stream, log_from, through, _unpack_list(r, UPDATE_RECORDS_MAX), complete)


def _block_page(page: m.BlockPage, now_s: int) -> bytes:
    return (
        _U63.pack(page.last_block + 1) + bytes((page.complete,)) + _pack_list(page.records, now_s)
    )


def _read_block_page(r: _Reader) -> m.BlockPage:
    last_block, complete = r.number(_U63) - 1, r.flag()
    return m.BlockPage(last_block, _unpack_list(r, UPDATE_RECORDS_MAX), complete)


def _stream_answer(answer: m.StreamAnswer, now_s: int) -> bytes:
    return (
        _pack_vector(answer.vector)
        + _pack_vector(answer.log_from)
        + _pack_list(answer.configuration, now_s)
    )


def _read_stream_answer(r: _Reader) -> m.StreamAnswer:
    vector, log_from = _unpack_vector(r), _unpack_vector(r)
    records = [_unpack_one(r) for _ in range(r.count(CONFIGURATION_RECORDS_MAX))]
    configuration = [record for record in records if isinstance(record, ConfigRecord)]
    if len(configuration) != len(records):
        raise PacketError("kind", "a binding where configuration is expected")
    return m.StreamAnswer(vector, log_from, tuple(configuration))


def _poll_answer(answer: m.PollAnswer, _: int) -> bytes:
    fixed = _pack_nonce(answer.nonce) + _U32.pack(answer.generation)
    return fixed + _pack_verdicts(answer.verdicts)


def _ballot_answer(answer: m.BallotAnswer, _: int) -> bytes:
    accepted = b"\x00" if answer.accepted is None else b"\x01" + _pack_ballot(answer.accepted)
    return b"".join(
        (
            struct.pack("!IB", answer.generation, answer.granted),
            _pack_ballot(answer.promised),
            accepted,
            _pack_optional_group(answer.value),
        )
    )


def _read_ballot_answer(r: _Reader) -> m.BallotAnswer:
    generation, granted, promised = r.number(_U32), r.flag(), _unpack_ballot(r)
    accepted = _unpack_ballot(r) if r.flag() else None
    return m.BallotAnswer(generation, granted, promised, accepted, _unpack_optional_group(r))


_RESPONSES: Final[dict[type, tuple[int, _Pack, Callable[[_Reader], m.Response]]]] = {
    m.Acknowledged: (64, _nothing, lambda _: m.Acknowledged()),
    m.ChangePage: (65, _change_page, _read_change_page),
    m.BlockPage: (66, _block_page, _read_block_page),
    m.StreamAnswer: (67, _stream_answer, _read_stream_answer),
    m.PollAnswer: (
        68,
        _poll_answer,
        lambda r: m.PollAnswer(_unpack_nonce(r), r.number(_U32), _unpack_verdicts(r)),
    ),
    m.GroupAnswer: (
        69,
        lambda answer, _: _pack_optional_group(answer.group),
        lambda r: m.GroupAnswer(_unpack_optional_group(r)),
    ),
    m.BallotAnswer: (70, _ballot_answer, _read_ballot_answer),
}
_READ_RESPONSE = {kind: read for kind, _, read in _RESPONSES.values()}


def pack_response(response: m.Response, now_ms: int) -> bytes:
    kind, pack, _ = _RESPONSES[type(response)]
    return _OPENING.pack(VERSION, kind, now_ms) + pack(response, now_ms // 1000)


def unpack_response(data: bytes, now_ms: int) -> m.Response:
    """`now_ms` is the receiver's clock. Raises PacketError."""
    reader = _Reader(data, now_ms)
    read = _READ_RESPONSE.get(reader.kind)
    if read is None:
        raise PacketError("kind", f"no response is of kind {reader.kind}")
    response = read(reader)
    reader.end()
    return response
