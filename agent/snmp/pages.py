"""What pulls ask for by name, and what their answers say: no I/O here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.errors import PacketError, PeerError
from agent.limits import BLOCK_ADDRESSES
from agent.model import (
    ConfigRecord,
    StreamId,
    stream_id,
    stream_incarnation,
    stream_member,
)
from agent.snmp import ber, columns
from agent.snmp.ber import Varbind
from agent.snmp.cluster_tables import CHANGE_REFERENCE_OCTETS
from agent.snmp.oid import Oid, starts_with
from agent.sync import messages as m
from agent.sync.codec import unpack_group, unpack_record, unpack_records

MEMBERSHIP: tuple[Oid, ...] = (
    columns.GROUP["Generation"].oid,
    columns.GROUP["MembershipHash"].oid,
)
GROUP_NAME = columns.GROUP["Packed"].oid

_LAST_BLOCK = 0xFFFF_FFFF // BLOCK_ADDRESSES


def names(oids: Iterable[Oid]) -> bytes:
    """Variable bindings of a request that reads."""
    return ber.varbind_list(ber.varbind(ber.object_identifier(oid), ber.NULL_VALUE) for oid in oids)


def of_column(rows: Sequence[Varbind], column: Oid) -> list[Varbind]:
    """The leading ones of `rows` that are instances of `column`."""
    found: list[Varbind] = []
    for row in rows:
        if row.tag in ber.EXCEPTIONS or not starts_with(row.oid, column):
            break
        found.append(row)
    return found


def check_membership(varbinds: Sequence[Varbind], header: m.Header) -> None:
    """PeerError "generation" where the answer comes from another membership than the asker's."""
    if len(varbinds) < len(MEMBERSHIP):
        raise PacketError("truncated", "the answer lacks generation and membership hash")
    said = tuple(
        one.value if starts_with(one.oid, name) else None
        for one, name in zip(varbinds, MEMBERSHIP, strict=False)
    )
    if said != (header.generation, header.membership_hash):
        raise PeerError("generation", f"the peer says {said[0]!r}, mine is {header.generation}")


# --- the change table


def change_names(pull: m.ChangePull) -> tuple[list[Oid], Oid]:
    """Heads of the stream, by GETNEXT, and where the rows begin."""
    index = (stream_member(pull.stream), stream_incarnation(pull.stream))
    before = (index[0], index[1] - 1) if index[1] else index[:1]
    heads = [(*columns.STREAM[short].oid, *before) for short in ("Applied", "LogFrom")]
    after = (pull.after >> 32, pull.after & 0xFFFF_FFFF)
    return heads, (*columns.CHANGE["Record"].oid, *index, *after)


def change_page(
    pull: m.ChangePull, heads: Sequence[Varbind], rows: Sequence[Varbind], now_ms: int
) -> m.ChangePage:
    index = (stream_member(pull.stream), stream_incarnation(pull.stream))
    applied, log_from = (
        head.value if head.oid == (*columns.STREAM[short].oid, *index) else 0
        for head, short in zip(heads, ("Applied", "LogFrom"), strict=True)
    )
    if not isinstance(applied, int) or not isinstance(log_from, int):
        raise PacketError("wrong_type", "a stream's head is no number")
    if pull.after < log_from or pull.after >= applied:
        complete = pull.after >= applied
        return m.ChangePage(pull.stream, log_from, pull.after, (), complete)
    column = (*columns.CHANGE["Record"].oid, *index)
    inside = of_column(rows, column)
    records: dict[int, m.Record] = {}
    through = pull.after
    for row in inside:
        high, low = row.oid[len(column) :]
        seq = high << 32 | low
        if seq <= through or not isinstance(row.value, bytes):
            raise PacketError("order", f"change {seq} after {through}")
        through = seq
        if len(row.value) == CHANGE_REFERENCE_OCTETS:
            # The row of an earlier change of this page; it counts under its last change.
            earlier = int.from_bytes(row.value, "big")
            if earlier not in records:
                raise PacketError("reference", f"change {seq} refers to {earlier}")
            records[seq] = records.pop(earlier)
        elif row.value:
            records[seq] = unpack_record(row.value, now_ms)
    complete = len(inside) < len(rows)
    if complete:
        through = max(through, applied)
    elif not inside:
        raise PacketError("truncated", "not even one change fits the answer")
    rows_in_order = tuple(records[seq] for seq in sorted(records))
    return m.ChangePage(
        pull.stream, log_from, through, rows_in_order, complete or through >= applied
    )


# --- the block table


def block_name(pull: m.BlockPull) -> Oid:
    column = columns.BINDING_BLOCK["Records"].oid
    return column if pull.after_block < 0 else (*column, pull.after_block)


def block_page(pull: m.BlockPull, rows: Sequence[Varbind], now_ms: int) -> m.BlockPage:
    column = columns.BINDING_BLOCK["Records"].oid
    inside = of_column(rows, column)
    records: list[m.Record] = []
    last = pull.after_block
    for row in inside:
        if not isinstance(row.value, bytes) or row.oid[-1] <= last:
            raise PacketError("order", f"block {row.oid[-1]} after {last}")
        last = row.oid[-1]
        records += unpack_records(row.value, now_ms)
    complete = len(inside) < len(rows)
    if not inside and not complete:
        raise PacketError("truncated", "not even one block fits the answer")
    return m.BlockPage(_LAST_BLOCK if complete else last, tuple(records), complete)


# --- streams and configuration


def stream_answer(
    applied: Sequence[Varbind], log_from: Sequence[Varbind], packed: Sequence[Varbind], now_ms: int
) -> m.StreamAnswer:
    records = []
    for row in packed:
        record = unpack_record(row.value, now_ms) if isinstance(row.value, bytes) else None
        if not isinstance(record, ConfigRecord):
            raise PacketError("kind", "a configuration record is of another kind")
        records.append(record)
    return m.StreamAnswer(_by_stream(applied), _by_stream(log_from), tuple(records))


def _by_stream(rows: Sequence[Varbind]) -> dict[StreamId, int]:
    return {
        stream_id(row.oid[-2], row.oid[-1]): row.value for row in rows if isinstance(row.value, int)
    }


# --- the group


def group_answer(varbinds: Sequence[Varbind]) -> m.GroupAnswer:
    """The whole value in one object; a peer that has no group answers with what comes next."""
    one = varbinds[0] if varbinds else None
    if one is None:
        raise PacketError("truncated", "the answer lacks the group")
    if one.tag in ber.EXCEPTIONS or not starts_with(one.oid, GROUP_NAME):
        return m.GroupAnswer(None)
    if not isinstance(one.value, bytes):
        raise PacketError("wrong_type", "the group is no packed value")
    return m.GroupAnswer(unpack_group(one.value))
