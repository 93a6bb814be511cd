"""Asking peers for what I lack: by stream where their log still has it, else by address.

The author of a change pushes it, so a stream that I lack is left to a reachable author for a short
while. After that, or where the author is out of reach or the stream is of an older incarnation, any
peer that is ahead is asked: records travel through third members when a link is cut
(docs/protocol.md, "Hello and alignment"). A log that begins later than what I hold, a long way to
go from nothing, and a digest that differs lead to a full pull: the peer's vector and configuration,
then its rows by address, in which order rows never move. At the end I hold what that vector claims.

What a store holds that it was never told, no merge can mend: somebody has edited it, and rows of
one change differ. An operator who has compared the members has one take another's rows
(`replaces`).
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import PeerError
from agent.limits import BLOCK_ADDRESSES, UPDATE_RECORDS_MAX
from agent.model import (
    Binding,
    MemberId,
    StreamHead,
    StreamId,
    format_address,
    stream_member,
)
from agent.port import StoreTransaction
from agent.sync import messages as m
from agent.sync.merge import content
from agent.sync.replace import replace_configuration, replace_rows
from agent.sync.situation import Situation, vector_of
from agent.sync.stream import ADDRESS_MAX, apply_records, head_of, take_changes

PullRequest = m.ChangePull | m.StreamQuery | m.BlockPull

_BLOCKS_A_PAGE = UPDATE_RECORDS_MAX // BLOCK_ADDRESSES
_FULL_PULL_FROM = 1_000
_FAILURES_MAX = 5
_TIDY_MS = 60_000
_NAMED_MAX = 32
"""Addresses named for one repair: more are no detail any more, and are counted."""


@dataclass(slots=True)
class _FullPull:
    peer: MemberId
    vector: dict[StreamId, int]
    repairs: bool = False
    replaces: bool = False
    differing: int = 0
    after_block: int = -1
    failures: int = 0


class Pull:
    """At most one pull a peer and a stream, and one full pull at a time."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._outstanding: dict[MemberId, PullRequest] = {}
        self._lacking_since: dict[StreamId, int] = {}
        self._full: _FullPull | None = None
        self._wanted_full: dict[MemberId, bool] = {}
        self._not_before: dict[MemberId, int] = {}
        self._replaced = False

    def reset(self) -> None:
        self._outstanding.clear()
        self._lacking_since.clear()
        self._wanted_full.clear()
        self._not_before.clear()
        self._full = None

    def want_full(self, peer: MemberId, *, replaces: bool = False) -> None:
        """`replaces`: where my row is of the same change as the peer's, and another, the peer's is
        right."""
        self._wanted_full[peer] = replaces or self._wanted_full.get(peer, False)

    def take_replaced(self) -> bool:
        """Whether rows were replaced since this was asked last: no vector tells it."""
        replaced, self._replaced = self._replaced, False
        return replaced

    def tick(self, tx: StoreTransaction, heads: dict[StreamId, StreamHead], now_ms: int) -> int:
        situation = self._situation
        due = now_ms + _TIDY_MS
        if not situation.serving and not (situation.all_told and situation.takes_records):
            return due
        if self._full is not None and self._full.peer not in self._outstanding:
            due = min(due, self._continue_full(now_ms))
        lacking = self._lacking(heads)
        for stream in [stream for stream in self._lacking_since if stream not in lacking]:
            del self._lacking_since[stream]
        for stream, ahead in sorted(lacking.items()):
            since = self._lacking_since.setdefault(stream, now_ms)
            waits_until = since + situation.settings.push_chance_ms
            if now_ms < waits_until and self._author_will_push(stream):
                due = min(due, waits_until)
                continue
            due = min(due, self._ask(heads, stream, ahead, now_ms))
        if self._full is None:
            free = next((one for one in self._wanted_full if one not in self._outstanding), None)
            if free is not None:
                self._begin_full(free, repairs=True, replaces=self._wanted_full.pop(free))
        return due

    def _lacking(
        self, heads: dict[StreamId, StreamHead]
    ) -> dict[StreamId, list[tuple[int, MemberId]]]:
        """By stream, who is ahead of me and how far."""
        lacking: dict[StreamId, list[tuple[int, MemberId]]] = {}
        own, mine = self._situation.own_stream, vector_of(heads)
        for peer in self._situation.peers.values():
            if not peer.reachable or peer.vector == mine:
                continue
            for stream, seq in peer.vector.items():
                if stream != own and seq > mine.get(stream, 0):
                    lacking.setdefault(stream, []).append((seq, peer.member))
        return lacking

    def _author_will_push(self, stream: StreamId) -> bool:
        author = self._situation.peers.get(stream_member(stream))
        return (
            author is not None
            and author.reachable
            and author.incarnation == stream & 0xFFFF_FFFF
            and self._situation.joined
        )

    def _ask(
        self,
        heads: dict[StreamId, StreamHead],
        stream: StreamId,
        ahead: list[tuple[int, MemberId]],
        now_ms: int,
    ) -> int:
        if any(
            isinstance(r, m.ChangePull) and r.stream == stream for r in self._outstanding.values()
        ):
            return now_ms + _TIDY_MS
        due = now_ms + _TIDY_MS
        head = heads.get(stream)
        after = head.applied if head else 0
        for seq, peer in sorted(ahead, reverse=True):
            if peer in self._outstanding:
                continue
            not_before = self._not_before.get(peer, 0)
            if now_ms < not_before:
                due = min(due, not_before)
            elif after == 0 and seq > _FULL_PULL_FROM:
                if self._full is None:
                    self._begin_full(peer)
                break
            else:
                header = self._situation.header()
                self._send(peer, m.ChangePull(header, stream, after, UPDATE_RECORDS_MAX))
                break
        return due

    def _send(self, to: MemberId, request: PullRequest) -> None:
        self._outstanding[to] = request
        self._situation.send(to, request)

    # --- full pulls

    def _begin_full(self, peer: MemberId, *, repairs: bool = False, replaces: bool = False) -> None:
        if peer in self._outstanding or peer not in self._situation.peers:
            return
        self._situation.count("full_pulls")
        self._full = _FullPull(peer, {}, repairs, replaces)
        self._send(peer, m.StreamQuery(self._situation.header()))

    def _continue_full(self, now_ms: int) -> int:
        full = self._full
        assert full is not None
        peer = self._situation.peers.get(full.peer)
        if peer is None or not peer.reachable or full.failures > _FAILURES_MAX:
            self._full = None
            return now_ms
        not_before = self._not_before.get(full.peer, 0)
        if now_ms < not_before:
            return not_before
        header = self._situation.header()
        if full.after_block < 0:
            self._send(full.peer, m.StreamQuery(header))
        else:
            self._send(full.peer, m.BlockPull(header, full.after_block, _BLOCKS_A_PAGE))
        return now_ms + _TIDY_MS

    # --- answers

    def answered(
        self,
        tx: StoreTransaction,
        to: MemberId,
        request: PullRequest,
        response: m.Response | PeerError | None,
        now_ms: int,
    ) -> None:
        """A late answer changes nothing."""
        if self._outstanding.get(to) is not request:
            return
        del self._outstanding[to]
        if isinstance(request, m.ChangePull) and isinstance(response, m.ChangePage):
            try:
                self._take_page(tx, to, request, response, now_ms)
            except PeerError as error:
                self._situation.count(f"refused_{error.reason}")
                self._not_before[to] = now_ms + self._situation.settings.push_retry_ms
        elif isinstance(request, m.StreamQuery) and isinstance(response, m.StreamAnswer):
            self._take_streams(tx, to, response, now_ms)
        elif isinstance(request, m.BlockPull) and isinstance(response, m.BlockPage):
            try:
                self._take_blocks(tx, to, request, response, now_ms)
            except PeerError as error:
                self._situation.count(f"refused_{error.reason}")
                self._not_before[to] = now_ms + self._situation.settings.push_retry_ms
                self._full = None
        else:
            self._not_before[to] = now_ms + self._situation.settings.push_retry_ms
            if self._full is not None and self._full.peer == to:
                self._full.failures += 1

    def _take_page(
        self,
        tx: StoreTransaction,
        to: MemberId,
        request: m.ChangePull,
        page: m.ChangePage,
        now_ms: int,
    ) -> None:
        if page.stream != request.stream:
            return
        if page.log_from > request.after:
            if self._full is None:
                self._begin_full(to)
            return
        applied = head_of(tx, page.stream).applied
        if page.through > applied >= request.after:
            span = request.after, page.through
            take_changes(tx, self._situation, page.stream, *span, page.records, now_ms)

    def _take_streams(
        self, tx: StoreTransaction, to: MemberId, answer: m.StreamAnswer, now_ms: int
    ) -> None:
        full = self._full
        if full is None or full.peer != to:
            return
        own = head_of(tx, self._situation.own_stream)
        apply_records(tx, self._situation, answer.configuration, own, now_ms)
        if full.replaces:
            self._note_replaced(replace_configuration(tx, answer.configuration))
        full.vector = dict(answer.vector)
        full.failures = 0
        self._send(to, m.BlockPull(self._situation.header(), -1, _BLOCKS_A_PAGE))

    def _take_blocks(
        self,
        tx: StoreTransaction,
        to: MemberId,
        request: m.BlockPull,
        page: m.BlockPage,
        now_ms: int,
    ) -> None:
        full = self._full
        if full is None or full.peer != to or request.after_block != full.after_block:
            return
        heads = tx.streams()
        own = heads.get(self._situation.own_stream) or StreamHead(
            self._situation.own_stream, 0, 0, 0
        )
        if full.repairs:
            self._name_differing(tx, full, page)
        apply_records(tx, self._situation, page.records, own, now_ms)
        if full.replaces:
            self._note_replaced(replace_rows(tx, page.records))
        self._situation.count("records_taken", len(page.records))
        full.failures = 0
        if not page.complete and page.last_block > full.after_block:
            full.after_block = page.last_block
            self._send(to, m.BlockPull(self._situation.header(), page.last_block, _BLOCKS_A_PAGE))
            return
        mine = vector_of(heads)
        for stream, seq in sorted(full.vector.items()):
            if stream != own.stream and seq > mine.get(stream, 0):
                tx.advance_stream(stream, seq, log_from=seq)
        self._full = None

    def _note_replaced(self, rows: int) -> None:
        if rows:
            self._replaced = True
            self._situation.count("rows_replaced", rows)

    def _name_differing(self, tx: StoreTransaction, full: _FullPull, page: m.BlockPage) -> None:
        """A digest has differed: say in which rows, of what this page covers."""
        first = (full.after_block + 1) * BLOCK_ADDRESSES
        last = min(ADDRESS_MAX, (page.last_block + 1) * BLOCK_ADDRESSES - 1)
        rows = tx.bindings_in_range(first, last, 2 * UPDATE_RECORDS_MAX)
        if len(rows) == 2 * UPDATE_RECORDS_MAX:
            last = rows[-1].address
        mine = {row.address: content(row) for row in rows}
        theirs = {
            row.address: content(row)
            for row in page.records
            if isinstance(row, Binding) and row.address <= last
        }
        differing = sorted(
            address
            for address in theirs.keys() | mine.keys()
            if theirs.get(address) != mine.get(address)
        )
        named = [format_address(a) for a in differing[: _NAMED_MAX - full.differing]]
        full.differing = min(_NAMED_MAX, full.differing + len(differing))
        self._situation.count("rows_differing", len(differing))
        if named:
            self._situation.alarms.append(
                f"member {full.peer} holds the same changes, but another row of {', '.join(named)}"
            )
