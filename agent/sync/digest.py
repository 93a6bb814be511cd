"""Proof of agreement: one number over everything that converged members hold in common.

It is the exclusive or of a hash of each row's content and name, instants left out, so it does not
depend on order. Computing it reads every row, so it is done in slices, only after the vector has
been still for a while, and not again before a good while. It is told only together with the
vector that it belongs to; peers with equal vectors and different digests pull each other's
rows in full (docs/protocol.md, "Hello and alignment").
"""

from __future__ import annotations

from hashlib import blake2b

from agent.kinds import KINDS
from agent.model import StreamHead, StreamId, configuration_key
from agent.port import StoreTransaction
from agent.sync.merge import content
from agent.sync.situation import Situation, vector_of
from agent.sync.stream import ADDRESS_MAX

_SLICE_MS = 100
_IDLE_MS = 60_000


class Digest:
    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._vector: dict[StreamId, int] | None = None
        self._still_since_ms = 0
        self._begin_at_ms = 0
        self._cursor = 0
        self._sum = 0
        self._done = False

    def reset(self) -> None:
        self._vector = None

    def of(self, vector: dict[StreamId, int]) -> bytes:
        """The digest that belongs to `vector`, or nothing where none is known."""
        if not self._done or self._vector != vector:
            return b""
        return self._sum.to_bytes(8, "big")

    def tick(self, tx: StoreTransaction, heads: dict[StreamId, StreamHead], now_ms: int) -> int:
        settings = self._situation.settings
        vector = vector_of(heads)
        if vector != self._vector:
            self._vector = vector
            self._still_since_ms = now_ms
            self._cursor = self._sum = 0
            self._done = False
        begin_at = max(self._begin_at_ms, self._still_since_ms + settings.digest_ms // 5)
        if self._done or not self._situation.peers:
            return now_ms + _IDLE_MS
        if now_ms < begin_at:
            return begin_at
        rows = tx.bindings_in_range(self._cursor, ADDRESS_MAX, settings.digest_rows)
        for row in rows:
            self._add(repr((row.stream, row.seq, *content(row))))
        if len(rows) == settings.digest_rows and rows[-1].address < ADDRESS_MAX:
            self._cursor = rows[-1].address + 1
            return now_ms + _SLICE_MS
        for kind in KINDS:
            for record in tx.configuration(kind):
                key = configuration_key(record.row)
                self._add(repr((key, record.version, record.deleted)))
        self._done = True
        self._begin_at_ms = now_ms + settings.digest_ms
        return now_ms + _IDLE_MS

    def _add(self, text: str) -> None:
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self._sum ^= int.from_bytes(digest, "big")
