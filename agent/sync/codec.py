"""Messages as octets: what travels in one OCTET STRING between members.

`agent.sync.octets` says how a string opens, `agent.sync.records` what a record looks like; a
request follows its opening with its header. Everything is checked: an unknown version or kind, a
wrong length or count and trailing octets are a `PacketError`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final

from agent.errors import PacketError
from agent.limits import (
    CONFIGURATION_RECORDS_MAX,
    FREE_TOLD_MAX,
    MEMBERS_LISTED_MAX,
    MEMBERS_MAX,
    POLL_RANGES_MAX,
    STREAMS_MAX,
    UPDATE_RECORDS_MAX,
)
from agent.model import (
    Ballot,
    BallotNumber,
    ConfigRecord,
    Group,
    Member,
    MemberId,
    MemberRole,
    MemberState,
    Nonce,
    Service,
    StoreMark,
    StreamId,
    Trouble,
)
from agent.sync import messages as m
from agent.sync.octets import OPENING, U16, U32, U63, VERSION, Reader, short_octets, text
from agent.sync.records import (
    pack_list,
    pack_record,
    pack_records,
    unpack_list,
    unpack_one,
    unpack_record,
    unpack_records,
)

__all__ = [
    "pack_group",
    "pack_record",
    "pack_records",
    "pack_request",
    "pack_response",
    "unpack_group",
    "unpack_record",
    "unpack_records",
    "unpack_request",
    "unpack_response",
]

_GROUP_KIND: Final = 4

_SERVICES: Final = frozenset(map(int, Service))
_TROUBLES: Final = frozenset(map(int, Trouble))

_HEADER = struct.Struct("!III")
_RANGE = struct.Struct("!IIq")
_VERDICT = struct.Struct("!IIBqI")
_PAIR = struct.Struct("!qq")
_FREE = struct.Struct("!II")
_TRANSFER_ASK = struct.Struct("!IIII")
_PARAMETERS = struct.Struct("!IIIIIII")
_HELLO_END = struct.Struct("!qqqBIB")
_CLOCKS = struct.Struct("!qq")

# --- parts of messages -------------------------------------------------------------------------


def _pack_header(header: m.Header) -> bytes:
    fixed = _HEADER.pack(header.sender, header.incarnation, header.generation)
    return fixed + short_octets(header.membership_hash)


def _unpack_header(reader: Reader) -> m.Header:
    sender, incarnation, generation = reader.fields(_HEADER)
    return m.Header(sender, incarnation, generation, reader.short_octets())


def _pack_vector(vector: dict[StreamId, int]) -> bytes:
    pairs = [_PAIR.pack(stream, seq) for stream, seq in sorted(vector.items())]
    return U16.pack(len(pairs)) + b"".join(pairs)


def _unpack_vector(reader: Reader) -> dict[StreamId, int]:
    vector: dict[StreamId, int] = {}
    for _ in range(reader.count(STREAMS_MAX)):
        stream, seq = reader.pair()
        vector[stream] = seq
    return vector


def _pack_nonce(nonce: Nonce) -> bytes:
    return _PAIR.pack(*nonce)


def _unpack_nonce(reader: Reader) -> Nonce:
    incarnation, counter = reader.pair()
    return Nonce(incarnation, counter)


def _pack_mark(mark: StoreMark) -> bytes:
    return U32.pack(mark.incarnation) + U63.pack(mark.ownership_version)


def _unpack_mark(reader: Reader) -> StoreMark:
    return StoreMark(reader.number(U32), reader.number(U63))


def _pack_ranges(ranges: Sequence[m.RangeEpoch]) -> bytes:
    packed = [_RANGE.pack(r.first, r.last, r.epoch) for r in ranges]
    return U16.pack(len(packed)) + b"".join(packed)


def _unpack_ranges(reader: Reader) -> tuple[m.RangeEpoch, ...]:
    ranges = []
    floor = 0
    for _ in range(reader.count(POLL_RANGES_MAX)):
        first, last, epoch = reader.fields(_RANGE)
        if not floor <= first <= last or epoch < 0:
            raise PacketError("range", f"{first}..{last} is not in order, or epoch {epoch}")
        floor = last + 1
        ranges.append(m.RangeEpoch(first, last, epoch))
    return tuple(ranges)


def _pack_verdicts(verdicts: Sequence[m.Verdict]) -> bytes:
    packed = [_VERDICT.pack(v.first, v.last, v.agreed, v.epoch, v.owner) for v in verdicts]
    return U16.pack(len(packed)) + b"".join(packed)


def _unpack_verdicts(reader: Reader) -> tuple[m.Verdict, ...]:
    verdicts = []
    floor = 0
    for _ in range(reader.count(POLL_RANGES_MAX)):
        first, last, agreed, epoch, owner = reader.fields(_VERDICT)
        if not floor <= first <= last or agreed > 1 or epoch < 0:
            raise PacketError("verdict", f"{first}..{last} is not in order, or epoch {epoch}")
        floor = last + 1
        verdicts.append(m.Verdict(first, last, agreed == 1, epoch, owner))
    return tuple(verdicts)


def _pack_member(member: Member) -> bytes:
    return b"".join(
        (
            U32.pack(member.member),
            text(member.name),
            struct.pack("!IH", member.address, member.port),
            short_octets(member.engine_id),
            struct.pack(
                "!BBHIB", member.state, member.role, member.weight, member.since, member.clean
            ),
        )
    )


def _unpack_member(reader: Reader) -> Member:
    number = reader.number
    identity, name = number(U32), reader.text()
    address, port, engine_id = number(U32), number(U16), reader.short_octets()
    try:
        state, role = MemberState(reader.octet()), MemberRole(reader.octet())
    except ValueError as error:
        raise PacketError("member", str(error)) from error
    weight, since, clean = number(U16), number(U32), reader.flag()
    return Member(identity, name, address, port, engine_id, state, role, weight, since, clean)


def _pack_group_body(group: Group) -> bytes:
    fixed = _PARAMETERS.pack(
        group.generation,
        group.mul_s,
        group.lease_s,
        group.safe_period_s,
        group.past_mul_s,
        group.forced,
        group.decision,
    )
    members = b"".join([_pack_member(member) for member in group.members])
    return text(group.name) + fixed + U16.pack(len(group.members)) + members


def _unpack_group_body(reader: Reader) -> Group:
    name = reader.text()
    generation, mul_s, lease_s, *more = reader.fields(_PARAMETERS)
    members = tuple([_unpack_member(reader) for _ in range(reader.count(MEMBERS_LISTED_MAX))])
    return Group(name, generation, mul_s, lease_s, members, *more)


def pack_group(group: Group) -> bytes:
    """A group alone and without a clock: the same octets at every member, so they can be hashed."""
    return OPENING.pack(VERSION, _GROUP_KIND, 0) + _pack_group_body(group)


def unpack_group(data: bytes) -> Group:
    reader = Reader(data, 0)
    if reader.kind != _GROUP_KIND:
        raise PacketError("kind", f"string of kind {reader.kind} is no group")
    group = _unpack_group_body(reader)
    reader.end()
    return group


def _pack_optional_group(group: Group | None) -> bytes:
    return b"\x00" if group is None else b"\x01" + _pack_group_body(group)


def _unpack_optional_group(reader: Reader) -> Group | None:
    return _unpack_group_body(reader) if reader.flag() else None


def _pack_ballot(ballot: BallotNumber) -> bytes:
    return _PAIR.pack(*ballot)


def _unpack_ballot(reader: Reader) -> BallotNumber:
    counter, member = reader.pair()
    return BallotNumber(counter, member)


def _pack_accepted(number: BallotNumber | None, value: Group | None) -> bytes:
    packed = b"\x00" if number is None else b"\x01" + _pack_ballot(number)
    return packed + _pack_optional_group(value)


def _unpack_accepted(reader: Reader) -> tuple[BallotNumber | None, Group | None]:
    number = _unpack_ballot(reader) if reader.flag() else None
    return number, _unpack_optional_group(reader)


def _pack_optional_ballot(ballot: Ballot | None) -> bytes:
    if ballot is None:
        return b"\x00"
    promised = U32.pack(ballot.generation) + _pack_ballot(ballot.promised)
    return b"\x01" + promised + _pack_accepted(ballot.accepted, ballot.value)


def _unpack_optional_ballot(reader: Reader) -> Ballot | None:
    if not reader.flag():
        return None
    generation, promised = reader.number(U32), _unpack_ballot(reader)
    accepted, value = _unpack_accepted(reader)
    if (accepted is None) is not (value is None):
        raise PacketError("ballot", "accepted is a value under a number, or nothing")
    return Ballot(generation, promised, accepted, value)


# --- requests ----------------------------------------------------------------------------------


def _hello(request: m.Hello, _: int) -> bytes:
    return b"".join(
        (
            _pack_vector(request.vector),
            _pack_members(request.heard),
            U63.pack(request.sent_at),
            bytes((request.serving,)),
            short_octets(request.digest),
            _HELLO_END.pack(
                request.version, *request.known, request.intact, request.lost, request.service
            ),
            _pack_members(request.owing),
            U16.pack(len(request.free)),
            *[_FREE.pack(first, free) for first, free in sorted(request.free.items())],
            U16.pack(len(request.relayed)),
            *[U32.pack(member) + _pack_vector(v) for member, v in sorted(request.relayed.items())],
            _CLOCKS.pack(request.unconfirmed_ms, request.wall_ahead_ms),
            bytes((request.votes,)),
            _pack_optional_ballot(request.ballot),
            bytes((request.trouble,)),
        )
    )


def _read_hello(header: m.Header, r: Reader) -> m.Hello:
    vector, heard = _unpack_vector(r), _unpack_members(r)
    sent_at, serving, digest = r.number(U63), r.flag(), r.short_octets()
    version, incarnation, known, intact, lost, service = r.fields(_HELLO_END)
    wrong = intact > 1 or service not in _SERVICES
    if min(version, incarnation, known) < 0 or wrong:
        raise PacketError("hello", "a number is out of range")
    owing = _unpack_members(r)
    free: dict[int, int] = {}
    for _ in range(r.count(FREE_TOLD_MAX)):
        first, addresses = r.fields(_FREE)
        free[first] = addresses
    relayed: dict[MemberId, dict[StreamId, int]] = {}
    for _ in range(r.count(MEMBERS_MAX)):
        member = r.number(U32)
        relayed[member] = _unpack_vector(r)
    unconfirmed_ms, wall_ahead_ms = r.fields(_CLOCKS)
    if unconfirmed_ms < 0:
        raise PacketError("hello", "a time that has passed is negative")
    votes, ballot, trouble = r.flag(), _unpack_optional_ballot(r), r.octet()
    if trouble not in _TROUBLES:
        raise PacketError("hello", f"there is no trouble {trouble}")
    return m.Hello(
        header,
        vector,
        heard,
        sent_at,
        serving,
        digest,
        version,
        StoreMark(incarnation, known),
        intact == 1,
        lost,
        owing,
        free,
        relayed,
        Service(service),
        unconfirmed_ms,
        wall_ahead_ms,
        votes,
        ballot,
        Trouble(trouble),
    )


def _pack_members(members: Sequence[MemberId]) -> bytes:
    return U16.pack(len(members)) + b"".join([U32.pack(member) for member in members])


def _unpack_members(reader: Reader) -> tuple[MemberId, ...]:
    return tuple([reader.number(U32) for _ in range(reader.count(MEMBERS_MAX))])


def _update(request: m.BindingUpdate, now_s: int) -> bytes:
    fixed = struct.pack("!qqq", request.stream, request.after, request.through)
    return fixed + pack_list(request.records, now_s)


def _read_update(header: m.Header, r: Reader) -> m.BindingUpdate:
    stream, after, through = r.number(U63), r.number(U63), r.number(U63)
    records = unpack_list(r, UPDATE_RECORDS_MAX)
    return m.BindingUpdate(header, stream, after, through, records)


def _change_pull(request: m.ChangePull, _: int) -> bytes:
    return struct.pack("!qqH", request.stream, request.after, request.limit)


def _read_change_pull(header: m.Header, r: Reader) -> m.ChangePull:
    return m.ChangePull(header, r.number(U63), r.number(U63), r.number(U16))


def _block_pull(request: m.BlockPull, _: int) -> bytes:
    return U63.pack(request.after_block + 1) + U16.pack(request.limit)


def _read_block_pull(header: m.Header, r: Reader) -> m.BlockPull:
    return m.BlockPull(header, r.number(U63) - 1, r.number(U16))


def _poll(request: m.PollAsk | m.PollReserve, _: int) -> bytes:
    return _pack_nonce(request.nonce) + _pack_ranges(request.ranges)


def _abort(request: m.PollAbort, _: int) -> bytes:
    packed = _pack_nonce(request.nonce) + _pack_ranges(request.ranges)
    return packed + U63.pack(request.version)


def _read_abort(header: m.Header, r: Reader) -> m.PollAbort:
    return m.PollAbort(header, _unpack_nonce(r), _unpack_ranges(r), r.number(U63))


def _transfer_ask(request: m.TransferAsk, _: int) -> bytes:
    asked = (request.first, request.last, request.wanted, request.free)
    return _pack_nonce(request.xid) + _TRANSFER_ASK.pack(*asked)


def _read_transfer_ask(header: m.Header, r: Reader) -> m.TransferAsk:
    xid = _unpack_nonce(r)
    first, last, wanted, free = r.fields(_TRANSFER_ASK)
    if first > last:
        raise PacketError("range", f"{first}..{last} is not in order")
    return m.TransferAsk(header, xid, first, last, wanted, free)


def _taken(request: m.TransferTaken, _: int) -> bytes:
    packed = _pack_nonce(request.xid) + _pack_ranges(request.ranges)
    return packed + U63.pack(request.version)


def _read_taken(header: m.Header, r: Reader) -> m.TransferTaken:
    return m.TransferTaken(header, _unpack_nonce(r), _unpack_ranges(r), r.number(U63))


def _prepare(request: m.BallotPrepare, _: int) -> bytes:
    return U32.pack(request.generation) + _pack_ballot(request.ballot)


def _accept(request: m.BallotAccept, _: int) -> bytes:
    return _pack_ballot(request.ballot) + _pack_group_body(request.value)


def _commit(request: m.GroupCommit, _: int) -> bytes:
    packed = _pack_group_body(request.value) + _pack_mark(request.mark) + U32.pack(request.lost)
    return packed + _pack_mark(request.known) + _pack_vector(request.vector)


def _read_commit(header: m.Header, r: Reader) -> m.GroupCommit:
    value, mark, lost = _unpack_group_body(r), _unpack_mark(r), r.number(U32)
    return m.GroupCommit(header, value, mark, lost, _unpack_mark(r), _unpack_vector(r))


def _nothing(_request: m.StreamQuery | m.GroupQuery | m.Acknowledged, _: int) -> bytes:
    return b""


_Pack = Callable[..., bytes]
_REQUESTS: Final[dict[type, tuple[int, _Pack, Callable[[m.Header, Reader], m.Request]]]] = {
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
    m.PollAbort: (23, _abort, _read_abort),
    m.TransferAsk: (40, _transfer_ask, _read_transfer_ask),
    m.TransferTaken: (41, _taken, _read_taken),
    m.GroupQuery: (24, _nothing, lambda header, _: m.GroupQuery(header)),
    m.BallotPrepare: (
        25,
        _prepare,
        lambda header, r: m.BallotPrepare(header, r.number(U32), _unpack_ballot(r)),
    ),
    m.BallotAccept: (
        26,
        _accept,
        lambda header, r: m.BallotAccept(header, _unpack_ballot(r), _unpack_group_body(r)),
    ),
    m.GroupCommit: (27, _commit, _read_commit),
}
_READ_REQUEST = {kind: read for kind, _, read in _REQUESTS.values()}


def pack_request(request: m.Request, now_ms: int) -> bytes:
    kind, pack, _ = _REQUESTS[type(request)]
    opening = OPENING.pack(VERSION, kind, now_ms)
    return opening + _pack_header(request.header) + pack(request, now_ms // 1000)


def unpack_request(data: bytes, now_ms: int) -> m.Request:
    """`now_ms` is the receiver's clock. Raises PacketError."""
    reader = Reader(data, now_ms)
    read = _READ_REQUEST.get(reader.kind)
    if read is None:
        raise PacketError("kind", f"no request is of kind {reader.kind}")
    request = read(_unpack_header(reader), reader)
    reader.end()
    return request


# --- responses ---------------------------------------------------------------------------------


def _change_page(page: m.ChangePage, now_s: int) -> bytes:
    fixed = struct.pack("!qqqB", page.stream, page.log_from, page.through, page.complete)
    return fixed + pack_list(page.records, now_s)


def _read_change_page(r: Reader) -> m.ChangePage:
    stream, log_from, through = r.number(U63), r.number(U63), r.number(U63)
    complete = r.flag()
    return m.ChangePage(stream, log_from, through, unpack_list(r, UPDATE_RECORDS_MAX), complete)


def _block_page(page: m.BlockPage, now_s: int) -> bytes:
    return U63.pack(page.last_block + 1) + bytes((page.complete,)) + pack_list(page.records, now_s)


def _read_block_page(r: Reader) -> m.BlockPage:
    last_block, complete = r.number(U63) - 1, r.flag()
    return m.BlockPage(last_block, unpack_list(r, UPDATE_RECORDS_MAX), complete)


def _stream_answer(answer: m.StreamAnswer, now_s: int) -> bytes:
    return (
        _pack_vector(answer.vector)
        + _pack_vector(answer.log_from)
        + pack_list(answer.configuration, now_s)
    )


def _read_stream_answer(r: Reader) -> m.StreamAnswer:
    vector, log_from = _unpack_vector(r), _unpack_vector(r)
    records = [unpack_one(r) for _ in range(r.count(CONFIGURATION_RECORDS_MAX))]
    configuration = [record for record in records if isinstance(record, ConfigRecord)]
    if len(configuration) != len(records):
        raise PacketError("kind", "a binding where configuration is expected")
    return m.StreamAnswer(vector, log_from, tuple(configuration))


def _poll_answer(answer: m.PollAnswer, _: int) -> bytes:
    fixed = _pack_nonce(answer.nonce) + U32.pack(answer.generation)
    return fixed + _pack_verdicts(answer.verdicts) + _pack_mark(answer.mark)


def _read_poll_answer(r: Reader) -> m.PollAnswer:
    nonce, generation = _unpack_nonce(r), r.number(U32)
    return m.PollAnswer(nonce, generation, _unpack_verdicts(r), _unpack_mark(r))


def _transfer_offer(offer: m.TransferOffer, _: int) -> bytes:
    return _pack_nonce(offer.xid) + _pack_ranges(offer.ranges) + _pack_mark(offer.mark)


def _read_transfer_offer(r: Reader) -> m.TransferOffer:
    return m.TransferOffer(_unpack_nonce(r), _unpack_ranges(r), _unpack_mark(r))


def _ballot_answer(answer: m.BallotAnswer, _: int) -> bytes:
    return b"".join(
        (
            struct.pack("!IB", answer.generation, answer.granted),
            _pack_ballot(answer.promised),
            _pack_accepted(answer.accepted, answer.value),
        )
    )


def _read_ballot_answer(r: Reader) -> m.BallotAnswer:
    generation, granted, promised = r.number(U32), r.flag(), _unpack_ballot(r)
    return m.BallotAnswer(generation, granted, promised, *_unpack_accepted(r))


_RESPONSES: Final[dict[type, tuple[int, _Pack, Callable[[Reader], m.Response]]]] = {
    m.Acknowledged: (64, _nothing, lambda _: m.Acknowledged()),
    m.ChangePage: (65, _change_page, _read_change_page),
    m.BlockPage: (66, _block_page, _read_block_page),
    m.StreamAnswer: (67, _stream_answer, _read_stream_answer),
    m.PollAnswer: (68, _poll_answer, _read_poll_answer),
    m.TransferOffer: (80, _transfer_offer, _read_transfer_offer),
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
    return OPENING.pack(VERSION, kind, now_ms) + pack(response, now_ms // 1000)


def unpack_response(data: bytes, now_ms: int) -> m.Response:
    """`now_ms` is the receiver's clock. Raises PacketError."""
    reader = Reader(data, now_ms)
    read = _READ_RESPONSE.get(reader.kind)
    if read is None:
        raise PacketError("kind", f"no response is of kind {reader.kind}")
    response = read(reader)
    reader.end()
    return response
