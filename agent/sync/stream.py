"""Streams: pushing my own changes, serving every stream's, and taking in what peers send.

A change takes the next number of its author's stream, and the change log lists them. Whoever
serves a stream sends for each logged change the *current* row of its key, whatever stream that row
is in now; so what a vector claims is always held, or something newer (docs/architecture.md).

A receiver logs the changes too, so that it can serve the stream to others. Of a record whose
row has moved to another stream the number is not sent. The receiver takes the highest that the
order of the records allows: too high only means that it is sent once more, too low that a peer
would miss it.

Only my own stream's changes are ever PUSHED for me (draft 3.4.2). A row that came from a peer may
lie here with a later expiry than elsewhere, because a slow message makes it so; to count on it
could let a lease run ahead of what the others recorded. What its author knows to be recorded
everywhere travels in the row instead (`acknowledged_at`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.dhcp.lease import recorded_before
from agent.errors import PeerError
from agent.kinds import KINDS
from agent.limits import (
    BLOCK_ADDRESSES,
    CHANGE_LOG_MAX,
    GENERATIONS_AHEAD_MAX,
    GRANT_MAX,
    OWN_CHANGES_KEPT,
    PUSH_BEHIND_MAX,
    UPDATE_RECORDS_MAX,
    VERSION_MAX,
)
from agent.model import (
    Binding,
    BindingState,
    Change,
    ChangeKind,
    ConfigRecord,
    Local,
    MemberId,
    StreamHead,
    StreamId,
    configuration_key,
    generation_of,
    is_plausible_epoch,
    stream_incarnation,
    stream_member,
)
from agent.port import StoreTransaction
from agent.sync import messages as m
from agent.sync.conflict import conflict_notice, is_conflict
from agent.sync.merge import Choice, Outcome, merge, merge_configuration
from agent.sync.situation import Situation, vector_of

ADDRESS_MAX = 0xFFFF_FFFF


def head_of(tx: StoreTransaction, stream: StreamId) -> StreamHead:
    return tx.streams().get(stream) or StreamHead(stream, 0, 0, 0)


# --- serving -----------------------------------------------------------------------------------


def current_rows(tx: StoreTransaction, changes: Sequence[Change]) -> tuple[m.Record, ...]:
    """The rows that the changes are about, each once, in the order of its last change."""
    last = {(change.kind, change.key): change for change in changes}
    ordered = sorted(last.values(), key=lambda change: change.seq)
    bindings = tx.bindings_by_address(
        [change.key for change in ordered if isinstance(change.key, int)]
    )
    bindings = {row.address: row for row in _told(tx, bindings.values())}
    rows: list[m.Record] = []
    for change in ordered:
        row: m.Record | None
        if isinstance(change.key, int):
            row = bindings.get(change.key)
        else:
            row = tx.configuration_record(change.kind, change.key)
        if row is not None:
            rows.append(row)
    return tuple(rows)


def _told(tx: StoreTransaction, rows: Iterable[Binding]) -> Iterable[Binding]:
    """An instant travels as seconds from now, so it must be right by the clock as it is."""
    clock = tx.local()
    return [_by_clock(row, clock) for row in rows] if clock.unseen_s else rows


def _by_clock(row: Binding, clock: Local) -> Binding:
    known = recorded_before(row, row.acknowledged_at, clock)
    return row if known == row.acknowledged_at else row._replace(acknowledged_at=known)


def serve_changes(tx: StoreTransaction, pull: m.ChangePull) -> m.ChangePage:
    head = head_of(tx, pull.stream)
    if pull.after < head.log_from or pull.after >= head.applied:
        complete = pull.after >= head.applied
        return m.ChangePage(pull.stream, head.log_from, pull.after, (), complete)
    limit = max(1, min(pull.limit, UPDATE_RECORDS_MAX))
    changes = tx.changes(pull.stream, pull.after, limit)
    complete = len(changes) < limit
    through = head.applied if complete else changes[-1].seq
    return m.ChangePage(pull.stream, head.log_from, through, current_rows(tx, changes), complete)


def serve_blocks(tx: StoreTransaction, pull: m.BlockPull) -> m.BlockPage:
    """Whole blocks only: a page may end with fewer than asked for, never within a block."""
    limit = max(1, min(pull.limit, UPDATE_RECORDS_MAX // BLOCK_ADDRESSES)) * BLOCK_ADDRESSES
    first = (pull.after_block + 1) * BLOCK_ADDRESSES
    if first > ADDRESS_MAX:
        return m.BlockPage(pull.after_block, (), True)
    rows = tx.bindings_in_range(first, ADDRESS_MAX, limit)
    if len(rows) < limit:
        return m.BlockPage(ADDRESS_MAX // BLOCK_ADDRESSES, tuple(_told(tx, rows)), True)
    last_block = rows[-1].address // BLOCK_ADDRESSES
    if rows[-1].address % BLOCK_ADDRESSES != BLOCK_ADDRESSES - 1:
        last_block -= 1
        while rows and rows[-1].address // BLOCK_ADDRESSES > last_block:
            rows.pop()
    complete = last_block == ADDRESS_MAX // BLOCK_ADDRESSES
    return m.BlockPage(last_block, tuple(_told(tx, rows)), complete)


def serve_streams(tx: StoreTransaction) -> m.StreamAnswer:
    heads = tx.streams()
    configuration = [record for kind in KINDS for record in tx.configuration(kind)]
    log_from = {stream: head.log_from for stream, head in heads.items()}
    return m.StreamAnswer(vector_of(heads), log_from, tuple(configuration))


# --- taking in ---------------------------------------------------------------------------------


def apply_records(
    tx: StoreTransaction,
    situation: Situation,
    records: Sequence[m.Record],
    own: StreamHead,
    now_ms: int,
) -> None:
    """Merge received records into the store; a conflict that is new here is told.

    A record with a version out of all reason is left out and counted. Its sender goes on claiming
    it, so the digests differ and name the address. One for an address or subnet that is not
    configured here is kept: its configuration may come later. PeerError, and nothing is taken,
    where a record is of a later generation than the group's."""
    _check_generation(situation, records)
    records = _plausible(situation, records)
    bindings = [record for record in records if isinstance(record, Binding)]
    local = tx.bindings_by_address([row.address for row in bindings]) if bindings else {}
    clock = tx.local()
    taken: dict[int, Binding] = {}
    mixed: dict[int, Binding] = {}
    for remote in bindings:
        mine = local.get(remote.address)
        outcome = merge(_by_clock(mine, clock) if mine else None, remote)
        if outcome.choice is Choice.KEEP:
            continue
        row = _with_acknowledged(mine, outcome.row, own, clock) if mine else outcome.row
        local[row.address] = row
        if _came_late(situation, outcome) or _goes_on_unheard(mine, row, now_ms):
            situation.came_to_light.append(row.address)
        if is_conflict(row) and not (mine and is_conflict(mine)):
            situation.count("conflicts")
            situation.notify(conflict_notice(row))
        if outcome.choice is Choice.MIX:
            mixed[row.address] = row
            taken.pop(row.address, None)
        elif row.address not in mixed:
            taken[row.address] = row
        else:
            mixed[row.address] = row
    if taken:
        tx.put_bindings(list(taken.values()))
    if mixed:
        tx.save_bindings(list(mixed.values()))
    _apply_configuration(tx, [record for record in records if isinstance(record, ConfigRecord)])


def _came_late(situation: Situation, outcome: Outcome) -> bool:
    """Whether a former store of a member made the binding, or two that met here: its address may be
    owned under a later epoch by now, by one to whom nobody had told of it, or who has forgotten it.
    """
    stream = outcome.row.stream
    author = stream_member(stream)
    if outcome.choice is Choice.MIX:
        return True
    if author == situation.me:
        return stream_incarnation(stream) < situation.incarnation
    peer, lost = situation.peers.get(author), situation.lost.get(author)
    if peer is None or (lost is not None and stream_incarnation(stream) <= lost.incarnation):
        return True  # nor may it have been heard since this process began
    return stream_incarnation(stream) < peer.incarnation


def _goes_on_unheard(mine: Binding | None, row: Binding, now_ms: int) -> bool:
    """Whether this goes on with a lease that was not known here, or is over here: what a former
    store gave, and the present one goes on with, has that one's name. In a group that has lost
    nothing this is a renewal that came before the lease, or as late, and costs a look. By the
    clock here, as when the address was polled for: its author's may have been set meanwhile."""
    if row.state not in (BindingState.BOUND, BindingState.UNAVAILABLE):
        return False
    if mine is None or (mine.client_key, mine.epoch) != (row.client_key, row.epoch):
        return row.grant > 1
    return mine.state is not BindingState.BOUND or now_ms >= mine.expires_at * 1000


def _check_generation(situation: Situation, records: Sequence[m.Record]) -> None:
    """Of two lines of the group the one with the lower generation may stand (lineage). What was
    bound in the other one has epochs that this one has not come to: left out here and acknowledged,
    such a lease would be lost. So it is a gap, until the group has gone on above it."""
    ahead = max((generation_of(r.epoch) for r in records if isinstance(r, Binding)), default=0)
    if situation.generation < ahead <= situation.generation + GENERATIONS_AHEAD_MAX:
        situation.outgrown = max(situation.outgrown, ahead)
        raise PeerError("ahead", f"a record of generation {ahead} in {situation.generation}")


def _plausible(situation: Situation, records: Sequence[m.Record]) -> Sequence[m.Record]:
    """Without the records whose version nobody can have come to."""
    generation = situation.generation
    good = [
        record
        for record in records
        if (
            is_plausible_epoch(record.epoch, generation) and record.grant < GRANT_MAX
            if isinstance(record, Binding)
            else record.version.counter < VERSION_MAX
        )
    ]
    if len(good) < len(records):
        situation.count("refused_version", len(records) - len(good))
    return good


def _with_acknowledged(mine: Binding, row: Binding, own: StreamHead, clock: Local) -> Binding:
    """Keep what I know to be recorded everywhere: my own row's potential expiry, if PUSHED."""
    if (mine.client_key, mine.epoch) != (row.client_key, row.epoch):
        return row
    known = mine.acknowledged_at
    if mine.stream == own.stream and mine.seq <= own.acknowledged:
        known = max(known, mine.potential_expires_at)
    known = recorded_before(mine, known, clock)
    return row if known <= row.acknowledged_at else row._replace(acknowledged_at=known)


def _apply_configuration(tx: StoreTransaction, records: Sequence[ConfigRecord]) -> None:
    winners = []
    for remote in records:
        record = merge_configuration(
            tx.configuration_record(*configuration_key(remote.row)), remote
        )
        if record is not None:
            winners.append(record)
    if winners:
        tx.put_configuration(winners)


def logged_changes(
    stream: StreamId, after: int, through: int, records: Sequence[m.Record]
) -> list[Change]:
    """The rows of the change log for received records of `stream`, which are in the order of
    their changes; see the module for the numbers."""
    changes: list[Change] = []
    upper = through
    for record in reversed(records):
        known = record.stream == stream and after < record.seq <= upper
        seq = record.seq if known else upper
        if seq <= after:
            raise PeerError("order", f"more records than changes in ({after}, {through}]")
        if isinstance(record, Binding):
            changes.append(Change(stream, seq, ChangeKind.BINDING, record.address))
        else:
            changes.append(Change(stream, seq, *configuration_key(record.row)))
        upper = seq - 1
    changes.reverse()
    return changes


def take_changes(
    tx: StoreTransaction,
    situation: Situation,
    stream: StreamId,
    after: int,
    through: int,
    records: Sequence[m.Record],
    now_ms: int,
) -> None:
    """Apply everything of `stream` in (after, through]; the caller knows that I hold `after`."""
    changes = logged_changes(stream, after, through, records)
    heads = tx.streams()
    applied = heads[stream].applied if stream in heads else 0
    own = heads.get(situation.own_stream) or StreamHead(situation.own_stream, 0, 0, 0)
    apply_records(tx, situation, records, own, now_ms)
    situation.count("records_taken", len(records))
    tx.log_changes([change for change in changes if change.seq > applied])
    tx.advance_stream(stream, through)


def receive_update(
    tx: StoreTransaction, situation: Situation, update: m.BindingUpdate, now_ms: int
) -> m.Acknowledged:
    """A push of the author; PeerError "gap" where I lack what came before."""
    if stream_member(update.stream) != update.header.sender:
        raise PeerError("author", "only the author pushes a stream; others are asked")
    if not situation.serving and not (situation.all_told and situation.takes_records):
        raise PeerError("gap", "nothing is taken before every member has spoken")
    applied = head_of(tx, update.stream).applied
    if update.after > applied:
        raise PeerError("gap", f"stream {update.stream} is held up to {applied}")
    if update.through > applied:
        span = update.after, update.through
        take_changes(tx, situation, update.stream, *span, update.records, now_ms)
    return m.Acknowledged()


# --- pushing -----------------------------------------------------------------------------------


class Push:
    """My own stream to every reachable peer: one batch at a time, from what it acknowledged."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._outstanding: dict[MemberId, m.BindingUpdate] = {}
        self._not_before: dict[MemberId, int] = {}
        self._most: dict[MemberId, int] = {}
        self._acknowledge_at_ms = 0
        self._trim_at_ms = 0

    def reset(self) -> None:
        self._outstanding.clear()
        self._not_before.clear()

    def tick(self, tx: StoreTransaction, heads: dict[StreamId, StreamHead], now_ms: int) -> int:
        """Send what is due; returns when to come back."""
        situation = self._situation
        own = heads.get(situation.own_stream)
        if own is None:
            return now_ms + situation.settings.trim_ms
        due = self._acknowledge(tx, own, now_ms)
        for peer in situation.peers.values():
            after = peer.vector.get(own.stream, 0)
            if not peer.reachable or not peer.told or not own.log_from <= after < own.applied:
                continue
            if own.applied - after > PUSH_BEHIND_MAX:
                continue
            not_before = self._not_before.get(peer.member, 0)
            if peer.member in self._outstanding:
                continue
            if now_ms < not_before:
                due = min(due, not_before)
                continue
            if self._push(tx, peer.member, own, after):
                # The next one waits a little, so that under load it carries many records: an
                # INFORM costs both sides the same whether it carries one record or fifty.
                self._not_before[peer.member] = now_ms + situation.settings.push_pace_ms
        if now_ms >= self._trim_at_ms:
            self._trim_at_ms = now_ms + situation.settings.trim_ms
            self._trim(tx, heads)
        return min(due, self._trim_at_ms)

    def _push(self, tx: StoreTransaction, to: MemberId, own: StreamHead, after: int) -> bool:
        """Send an update; whether it brings the peer up to date."""
        most = self._most.get(to, UPDATE_RECORDS_MAX)
        changes = tx.changes(own.stream, after, most)
        full = len(changes) == most
        through = changes[-1].seq if full else own.applied
        update = m.BindingUpdate(
            self._situation.header(), own.stream, after, through, current_rows(tx, changes)
        )
        self._outstanding[to] = update
        self._situation.send(to, update)
        return not full

    def answered(
        self, to: MemberId, update: m.BindingUpdate, good: bool, too_big: bool, now_ms: int
    ) -> int:
        """Returns when the peer may be sent to again. `too_big`: it did not fit one message and
        was not sent; half of it may."""
        most = self._most.get(to, UPDATE_RECORDS_MAX)
        if too_big:
            self._most[to] = max(1, min(most, len(update.records)) // 2)
        elif good:
            self._most[to] = min(UPDATE_RECORDS_MAX, most * 2)
        if self._outstanding.get(to) is update:
            del self._outstanding[to]
            if not good and not too_big:
                self._not_before[to] = now_ms + self._situation.settings.push_retry_ms
        peer = self._situation.peers.get(to)
        if good and peer is not None and update.header.generation == self._situation.generation:
            known = peer.vector.get(update.stream, 0)
            peer.vector[update.stream] = max(known, update.through)
        return max(now_ms, self._not_before.get(to, 0))

    def _acknowledge(self, tx: StoreTransaction, own: StreamHead, now_ms: int) -> int:
        """Write what every other member has recorded of my stream, a few times a second."""
        peers = self._situation.peers.values()
        if not peers:
            return now_ms + self._situation.settings.trim_ms
        lowest = min(min(peer.holds(own.stream) for peer in peers), own.applied)
        if lowest > own.acknowledged:
            if now_ms < self._acknowledge_at_ms:
                return self._acknowledge_at_ms
            tx.set_acknowledged({own.stream: lowest})
            self._acknowledge_at_ms = now_ms + self._situation.settings.acknowledge_ms
        return now_ms + self._situation.settings.trim_ms

    def _trim(self, tx: StoreTransaction, heads: dict[StreamId, StreamHead]) -> None:
        for stream, head in heads.items():
            held = [peer.holds(stream) for peer in self._situation.peers.values()]
            through = max(min(held, default=head.applied), head.applied - CHANGE_LOG_MAX)
            if stream == self._situation.own_stream:
                through = min(through, head.applied - OWN_CHANGES_KEPT)
            if head.log_from < through <= head.applied:
                tx.trim_changes(stream, through)
