"""Streams and the change log: what this store holds of everybody's changes.

A stream's row tells up to which number its changes are covered; the log tells which row each
number was about. This member's own stream is a row like the others: `applied` is the last number
taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, delete, literal_column, select, tuple_, update

from agent.model import Change, ChangeKind, StreamHead, StreamId, stream_id
from store.session import Row, Session, read_once
from store.sqlite import (
    compile_insert,
    compile_insert_new,
    compile_statement,
    limited,
)
from store.tables import CHANGE, LOCAL, STREAM

_OWN_STREAM = compile_statement(
    select(LOCAL.c.member, LOCAL.c.incarnation, STREAM.c.applied).join_from(
        LOCAL,
        STREAM,
        STREAM.c.stream
        == LOCAL.c.member * literal_column(str(stream_id(1, 0))) + LOCAL.c.incarnation,
    )
)
_STREAMS = compile_statement(select(STREAM).order_by(STREAM.c.stream))
_STREAM = compile_statement(select(STREAM).where(STREAM.c.stream == bindparam("of")), "of")
_ADD_STREAM = compile_insert(STREAM)
_SET_APPLIED = compile_statement(
    update(STREAM)
    .where(STREAM.c.stream == bindparam("of"))
    .values(applied=bindparam("applied"), log_from=bindparam("log_from")),
    "applied",
    "log_from",
    "of",
)
_TAKE = compile_statement(
    update(STREAM)
    .where(STREAM.c.stream == bindparam("of"))
    .values(applied=STREAM.c.applied + bindparam("count")),
    "count",
    "of",
)
_SET_ACKNOWLEDGED = compile_statement(
    update(STREAM)
    .where(STREAM.c.stream == bindparam("of"))
    .values(acknowledged=bindparam("number")),
    "number",
    "of",
)
_FORGET_ACKNOWLEDGED = compile_statement(update(STREAM).values(acknowledged=literal_column("0")))

_LOG_OWN = compile_insert(CHANGE)
_LOG = compile_insert_new(CHANGE)
_CHANGES = compile_statement(
    limited(
        select(CHANGE)
        .where(CHANGE.c.stream == bindparam("of"), CHANGE.c.seq > bindparam("after"))
        .order_by(CHANGE.c.seq),
        "limit",
    ),
    "of",
    "after",
    "limit",
)
_NEXT_CHANGE = compile_statement(
    limited(
        select(CHANGE)
        .where(tuple_(CHANGE.c.stream, CHANGE.c.seq) > tuple_(bindparam("of"), bindparam("after")))
        .order_by(CHANGE.c.stream, CHANGE.c.seq),
        1,
    ),
    "of",
    "after",
)
_TRIM = compile_statement(
    delete(CHANGE).where(CHANGE.c.stream == bindparam("of"), CHANGE.c.seq <= bindparam("through")),
    "of",
    "through",
)


def _change(row: Row) -> Change:
    stream, seq, kind, address, key = row
    return Change(stream, seq, kind, key if address is None else address)


class StreamRows(Session):
    """The part of the port about streams and the change log."""

    @read_once
    def streams(self) -> dict[StreamId, StreamHead]:
        return {row[0]: StreamHead(*row) for row in self.rows(_STREAMS)}

    def advance_stream(
        self, stream: StreamId, applied: int, *, log_from: int | None = None
    ) -> None:
        head = self._stream_head(stream)
        if applied > head.applied:
            complete_from = max(head.log_from, log_from or 0)
            self.change(_SET_APPLIED, (applied, complete_from, stream))

    def set_acknowledged(self, acknowledged: Mapping[StreamId, int]) -> None:
        heads = self.streams()
        self.change_many(
            _SET_ACKNOWLEDGED,
            [
                (min(number, heads[stream].applied), stream)
                for stream, number in acknowledged.items()
                if stream in heads
            ],
        )

    def forget_acknowledged(self) -> None:
        """What the other members have recorded is not known any more."""
        self.change(_FORGET_ACKNOWLEDGED)

    def log_changes(self, changes: Sequence[Change]) -> None:
        """Log changes of other members' streams; one that is logged already stays as it is."""
        rows = [
            (stream, seq, +kind, key, None)
            if kind == ChangeKind.BINDING
            else (stream, seq, +kind, None, key)
            for stream, seq, kind, key in changes
        ]
        for stream in {row[0] for row in rows}:
            self._stream_head(stream)
        self.change_many(_LOG, rows)

    def changes(self, stream: StreamId, after: int, limit: int) -> list[Change]:
        return [_change(row) for row in self.rows(_CHANGES, (stream, after, limit))]

    def next_change(self, stream: StreamId, after: int) -> Change | None:
        rows = self.rows(_NEXT_CHANGE, (stream, after))
        return _change(rows[0]) if rows else None

    def trim_changes(self, stream: StreamId, through: int) -> None:
        head = self._stream_head(stream)
        through = min(through, head.applied)
        if through > head.log_from:
            self.change(_TRIM, (stream, through))
            self.change(_SET_APPLIED, (head.applied, through, stream))

    def take_numbers(self, kind: int, keys: Sequence[int | str]) -> tuple[StreamId, int]:
        """Log own changes of rows with these keys; the first of them got the number returned, in
        the stream returned, the others follow."""
        member, incarnation, applied = self.rows(_OWN_STREAM)[0]
        stream = stream_id(member, incarnation)
        first = applied + 1
        number = +kind
        if kind == ChangeKind.BINDING:
            rows = [(stream, seq, number, key, None) for seq, key in enumerate(keys, first)]
        else:
            rows = [(stream, seq, number, None, key) for seq, key in enumerate(keys, first)]  # type: ignore[misc]
        self.change_many(_LOG_OWN, rows)
        self.change(_TAKE, (len(rows), stream))
        return stream, first

    def _stream_head(self, stream: StreamId) -> StreamHead:
        """The head of a stream, made if this store has never heard of it."""
        rows = self.rows(_STREAM, (stream,))
        if not rows:
            self.change(_ADD_STREAM, (stream, 0, 0, 0))
            return StreamHead(stream, 0, 0, 0)
        return StreamHead(*rows[0])
