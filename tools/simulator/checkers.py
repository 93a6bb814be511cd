"""The judges of safety: they look at what clients were told, at what was sent and at what disks
hold, and share no code with the rules.

Each raises `ViolationError` naming the invariant, and counts in `judged` how often it had something
to judge. `Evidence` follows every member's disk by what was committed (`tools.simulator.disk`), so
that a judgement costs a few look-ups and not a reading of the store; when a member starts, and when
a run ends, it is compared with, or made again from, what really lies there.

Instants are compared in true time: a member's instant less its clock's offset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from agent.model import (
    NEVER,
    AddressRange,
    AddressState,
    Binding,
    BindingState,
    Group,
    Member,
    MemberState,
    StreamId,
    Transaction,
    format_address,
    stream_member,
)
from tools.simulator.disk import Content, Journal

ROUNDING_MS = 2_000
"""Instants are kept in whole seconds and travel as such."""
DECLINED_MS = 86_400_000
DRIFT_DIVISOR = 400
"""Two clocks that each drift by 0.1 %, with some room: a part of the time that they measured."""


class ViolationError(AssertionError):
    """An invariant is broken; the text names it, the instant and the parties."""


@dataclass(slots=True)
class Shadow:
    """One member's disk as its journal tells it. `owned` are its BINDABLE ranges, in order."""

    number: int
    name: str
    offset_ms: Callable[[], int]
    is_running: Callable[[], bool] = lambda: False
    rows: dict[int, Binding] = field(default_factory=dict)
    ranges: dict[int, AddressRange] = field(default_factory=dict)
    applied: dict[StreamId, int] = field(default_factory=dict)
    group: Group | None = None
    serving: bool = False
    owned: list[tuple[int, int, int]] = field(default_factory=list)
    unseen_loss: bool = False
    """Its store was put back in a way that only other members can tell it."""
    had_applied: dict[StreamId, int] = field(default_factory=dict)
    """What it had taken in before such a loss, while it serves without having been told."""
    declined_ms: dict[int, int] = field(default_factory=dict)
    """When it learned that an address is UNAVAILABLE."""
    removed_at_ms: int = -1
    """When it learned that it is no member any more."""

    def true_ms(self, instant_s: int) -> int:
        return instant_s * 1000 - self.offset_ms()

    def owns(self, address: int) -> int | None:
        """The epoch under which the member may give the address to anybody now, if it may."""
        for first, last, epoch in self.owned:
            if first <= address <= last:
                row = self.rows.get(address)
                return epoch if row is None or row.epoch < epoch else None
        return None

    def knows_its_seat(self, listed: Member) -> bool:
        """Whether it has heard of the decision by which it is in the group."""
        own = self.group.member(self.number) if self.group is not None else None
        return own is not None and own.since == listed.since

    def collect_owned(self) -> None:
        self.owned = sorted(
            (r.first, r.last, r.epoch)
            for r in self.ranges.values()
            if r.state is AddressState.BINDABLE
        )


@dataclass(slots=True)
class Holding:
    """A lease as its client counts it, in true time."""

    client: str
    address: int
    server: int
    end_ms: int


@dataclass(slots=True)
class Grant:
    """The end of a lease as it was made durable by the member that gave it, in true time."""

    client_key: bytes
    epoch: int
    end_ms: int
    by: str


class Evidence:
    """Everything that the judges know. `now_ms` tells true time."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.now_ms = now_ms
        self.shadows: dict[int, Shadow] = {}
        self.holdings: dict[int, Holding] = {}
        self.grants: dict[int, dict[bytes, Grant]] = {}
        self.owner_of: dict[tuple[int, int], int] = {}
        """Who was the owner of an address under an epoch."""
        self.generations: dict[int, Group] = {}
        self.forced: set[int] = set()
        """Generations that an operator made without a majority."""
        self.forked = False
        """Whether members hold two lineages of the group, and have not met since."""
        self.quarantine: dict[int, tuple[int, int]] = {}
        """Until when an address of a removed member must rest, and whose it was."""
        self.rests_for: dict[int, bytes] = {}
        """The client that may have it there."""
        self.exposed: set[int] = set()
        """Addresses about which a client, or an operator who called a member dead, has lied."""
        self.gone: set[int] = set()
        """Who is out of the group by its newest generation, and did not hand over before."""
        self.out: set[int] = set()
        """Who is out in whatever way."""
        self.newest = 0
        self.judged: Counter[str] = Counter()
        self.is_running: Callable[[int], bool] = lambda _: True
        self.name_of: Callable[[bytes], str] = lambda _: ""
        """The honest client with a hardware address; "" if it is nobody's."""
        self.given_up: set[tuple[str, int]] = set()
        """Who has once given up which address: an old word of its own may still be under way."""

    # --- clients (I1, I3)

    def lease(self, client: str, address: int, server: int, end_ms: int) -> None:
        """An honest client has been given a lease, or a longer one."""
        now_ms = self.now_ms()
        self.judged["I1"] += 1
        other = self.holdings.get(address)
        if other is not None and other.client != client and other.end_ms > now_ms < end_ms:
            if address in self.exposed:
                self.judged["exposed I1"] += 1
            else:
                raise ViolationError(
                    f"I1: {format_address(address)} is leased to {client} by "
                    f"{format_address(server)} and to {other.client} by "
                    f"{format_address(other.server)}, both unexpired"
                )
        self.holdings[address] = Holding(client, address, server, end_ms)
        if address in self.exposed:
            return
        for shadow in self.shadows.values():
            self._check_not_free(shadow, self.holdings[address])

    def lease_ended(self, client: str, address: int) -> None:
        """The client has given its lease up, or lost it."""
        self.given_up.add((client, address))
        held = self.holdings.get(address)
        if held is not None and held.client == client:
            del self.holdings[address]

    def _check_not_free(self, shadow: Shadow, held: Holding) -> None:
        """I3: who may give an address to anybody, knows of nobody who has it."""
        self.judged["I3"] += 1
        epoch = shadow.owns(held.address) if shadow.serving else None
        if epoch is not None and held.end_ms > self.now_ms():
            raise ViolationError(
                f"I3: {shadow.name} holds {format_address(held.address)} free under epoch {epoch} "
                f"while {held.client} has a lease on it for "
                f"{(held.end_ms - self.now_ms()) // 1000} s more"
            )

    # --- disks

    def started(self, number: int, content: Content, lost_disk: bool, unseen: bool = False) -> None:
        """A member boots: what lies on its disk must be what was committed, unless the run has
        declared a loss (I5)."""
        shadow = self.shadows[number]
        if lost_disk:
            shadow.unseen_loss |= unseen
            shadow.had_applied = dict(shadow.applied) if unseen else {}
            self._forget_lost(shadow)
            if unseen and is_alone(content.group):
                # There is nobody who could tell it, and it forgets what it gave.
                self._expose_start(shadow)
                self.exposed.update(shadow.rows)
        else:
            self.judged["I5 restart"] += 1
            self._check_content(shadow, content)
        shadow.rows = dict(content.bindings)
        shadow.ranges = {r.first: r for r in content.ranges}
        shadow.applied = dict(content.applied)
        shadow.group = content.group
        shadow.serving = content.serving
        shadow.collect_owned()
        own = content.group.member(number) if content.group is not None else None
        if own is None or own.state not in _GONE:
            shadow.removed_at_ms = -1  # set back to before its removal, it does not know of it

    def _forget_lost(self, shadow: Shadow) -> None:
        """What only the lost store knew, leaves no trace: its epochs may be taken again. Its leases
        stay what they are (I7)."""
        for key in [key for key, owner in self.owner_of.items() if owner == shadow.number]:
            del self.owner_of[key]
        for address, grants in self.grants.items():
            for grant in grants.values():
                if grant.by == shadow.name and not any(
                    other is not shadow
                    and address in other.rows
                    and other.rows[address].epoch >= grant.epoch
                    for other in self.shadows.values()
                ):
                    grant.epoch = -1

    def _serve_after_loss(self, shadow: Shadow, journal: Journal) -> None:
        """A machine that was set back as a whole serves again. Where it did so because no other
        member could be heard, nobody could tell it: that is not claimed to be safe."""
        shadow.unseen_loss = False
        if "begin_incarnation" not in journal.others:
            shadow.had_applied = {}
            return
        self._expose_start(shadow)

    def _expose_start(self, shadow: Shadow) -> None:
        shadow.unseen_loss = False
        self.judged["exposed start"] += 1
        for first, last, _ in shadow.owned:
            self.exposed.update(range(first, last + 1))

    @staticmethod
    def _lacks_what_it_had(shadow: Shadow) -> bool:
        """Whether the others still count on records that it lost without having been told."""
        return any(
            shadow.applied.get(stream, 0) < had
            for stream, had in shadow.had_applied.items()
            if stream_member(stream) != shadow.number
        )

    def _check_content(self, shadow: Shadow, content: Content) -> None:
        if shadow.rows.keys() != content.bindings.keys():
            raise ViolationError(f"I5: {shadow.name} has lost rows that it had committed")
        for address, row in content.bindings.items():
            told = shadow.rows[address]
            if (told.epoch, told.grant, told.expires_at) != (row.epoch, row.grant, row.expires_at):
                raise ViolationError(
                    f"I5: {shadow.name} had committed {told} and holds {row} after a restart"
                )
        ranges = {r.first: r for r in content.ranges}
        if ranges != shadow.ranges:
            lost = [r for first, r in shadow.ranges.items() if ranges.get(first) != r]
            new = [r for first, r in ranges.items() if shadow.ranges.get(first) != r]
            raise ViolationError(f"I5: {shadow.name} had committed {lost} and holds {new}")

    def committed(self, number: int, journal: Journal) -> None:
        shadow = self.shadows[number]
        if journal.serving and shadow.unseen_loss:
            self._serve_after_loss(shadow, journal)
        for group in journal.groups:
            self._take_group(shadow, group)
        if journal.serving is not None:
            shadow.serving = journal.serving
        for row in journal.merged:
            self._take_row(shadow, row, own=False)
        if shadow.number in self.gone and shadow.removed_at_ms < 0:
            self.exposed.update(row.address for row in journal.bindings)
        for row in journal.bindings:
            self._take_row(shadow, row, own=True)
        for stream, applied in journal.streams:
            self.judged["I6"] += 1
            if applied < shadow.applied.get(stream, 0):
                raise ViolationError(
                    f"I6: {shadow.name} goes back from {shadow.applied[stream]} to {applied} in "
                    f"stream {stream}"
                )
            shadow.applied[stream] = applied
        for removed, added in journal.moves:
            for gone in removed:
                if shadow.ranges.get(gone.first) == gone:
                    del shadow.ranges[gone.first]
            for new in added:
                shadow.ranges[new.first] = new
            self._forget_unused(shadow, removed)
            self._take_ownership(shadow, added)

    # --- rows (I6, I7, I8)

    def _take_row(self, shadow: Shadow, row: Binding, *, own: bool) -> None:
        former = shadow.rows.get(row.address)
        if former is not None:
            self._check_no_way_back(shadow, former, row)
        shadow.rows[row.address] = row
        if row.state is BindingState.UNAVAILABLE:
            shadow.declined_ms.setdefault(row.address, self.now_ms())
        else:
            shadow.declined_ms.pop(row.address, None)
        if own:
            self._end_quarantine(shadow, row)
            self._follow_grant(shadow, row)

    def _check_no_way_back(self, shadow: Shadow, former: Binding, row: Binding) -> None:
        """I6: versions never go back, and what others may count on never shrinks."""
        self.judged["I6"] += 1
        if former.epoch == row.epoch:
            self._check_within_epoch(shadow, former, row)
        same = former.epoch == row.epoch and former.client_key == row.client_key
        backwards = row.epoch < former.epoch or (
            same
            and former.state is not BindingState.UNAVAILABLE
            and row.state is not BindingState.UNAVAILABLE
            and row.grant < former.grant
        )
        shrinks = same and row.potential_expires_at < former.potential_expires_at
        if backwards or shrinks:
            raise ViolationError(
                f"I6: {shadow.name} goes back in {format_address(row.address)} from epoch "
                f"{former.epoch} grant {former.grant} until {former.potential_expires_at} to "
                f"epoch {row.epoch} grant {row.grant} until {row.potential_expires_at}"
            )

    def _check_within_epoch(self, shadow: Shadow, former: Binding, row: Binding) -> None:
        """I8, I13: within an epoch only UNAVAILABLE takes an address from a client, whatever was
        received from whom, and nothing makes it available again."""
        if row.state is BindingState.UNAVAILABLE:
            return
        address = format_address(row.address)
        if former.state is BindingState.UNAVAILABLE:
            raise ViolationError(
                f"I13: {address} was UNAVAILABLE at {shadow.name} under epoch {row.epoch}, and is "
                f"{row.state.name} there without a poll"
            )
        if former.client_key != row.client_key:
            raise ViolationError(
                f"I8: {address} goes from {former.client_key.hex()} to {row.client_key.hex()} at "
                f"{shadow.name} within epoch {row.epoch}"
            )

    def _check_own_word(self, row: Binding) -> None:
        """I14: who has a lease, and has never given the address up, has not sent a RELEASE or a
        DECLINE of it."""
        if row.transaction not in (Transaction.RELEASE, Transaction.DECLINE):
            return
        held = self.holdings.get(row.address)
        client = self.name_of(row.hardware_address)
        if held is None or held.client != client or row.address in self.exposed:
            return
        self.judged["I14 own word"] += 1
        if held.end_ms > self.now_ms() and (client, row.address) not in self.given_up:
            raise ViolationError(
                f"I14: {format_address(row.address)} is taken from {client}, whose lease runs for "
                f"{(held.end_ms - self.now_ms()) // 1000} s more, by a {row.transaction.name} that "
                "it has not sent"
            )

    def _follow_grant(self, shadow: Shadow, row: Binding) -> None:
        self._check_own_word(row)
        now_ms = self.now_ms()
        grants = self.grants.setdefault(row.address, {})
        if row.state is not BindingState.BOUND:
            if row.transaction is not Transaction.CONFLICT:
                grants.pop(row.client_key, None)
            return
        for other in grants.values():
            if other.client_key == row.client_key:
                continue
            self.judged["I7"] += 1
            self._check_change_of_client(shadow, row, other, now_ms)
        end_ms = NEVER * 1000 if row.expires_at >= NEVER else shadow.true_ms(row.expires_at)
        known = grants.get(row.client_key)
        if known is None or known.end_ms < end_ms or known.epoch < row.epoch:
            grants[row.client_key] = Grant(row.client_key, row.epoch, end_ms, shadow.name)

    def _check_change_of_client(
        self, shadow: Shadow, row: Binding, other: Grant, now_ms: int
    ) -> None:
        if row.address in self.exposed or row.transaction is Transaction.CONFLICT:
            return
        address = format_address(row.address)
        if other.end_ms - ROUNDING_MS > now_ms:
            raise ViolationError(
                f"I7: {shadow.name} gives {address} to {row.client_key.hex()} while the lease "
                f"that {other.by} has given to {other.client_key.hex()} runs for "
                f"{(other.end_ms - now_ms) / 1000:.1f} s more"
            )
        self.judged["I8"] += 1
        if other.epoch >= row.epoch and row.epoch == max(
            (s.rows[row.address].epoch for s in self.shadows.values() if row.address in s.rows),
            default=0,
        ):
            raise ViolationError(
                f"I8: {shadow.name} gives {address} from {other.client_key.hex()} to "
                f"{row.client_key.hex()} within epoch {row.epoch}, without a poll"
            )

    # --- ownership (I2, I3)

    def _forget_unused(self, shadow: Shadow, removed: Sequence[AddressRange]) -> None:
        """An epoch under which nothing was bound leaves no trace when its owner gives the address
        back, and may be another's later."""
        for gone in removed:
            if gone.state is not AddressState.BINDABLE:
                continue
            for address in range(gone.first, gone.last + 1):
                row = shadow.rows.get(address)
                if row is None or row.epoch < gone.epoch:
                    self.owner_of.pop((address, gone.epoch), None)

    def _take_ownership(self, shadow: Shadow, added: Sequence[AddressRange]) -> None:
        shadow.collect_owned()
        for new in added:
            if new.state is AddressState.BINDABLE:
                self._check_owner(shadow, new)
                if shadow.serving:
                    for address in range(new.first, new.last + 1):
                        held = self.holdings.get(address)
                        if held is not None and address not in self.exposed:
                            self._check_not_free(shadow, held)

    def _check_owner(self, shadow: Shadow, new: AddressRange) -> None:
        """I2: one owner for each address and epoch, and one at a time; and I10, I7: nothing that
        is still kept for somebody."""
        now_ms = self.now_ms()
        for address in range(new.first, new.last + 1):
            self.judged["I2"] += 1
            declined = shadow.rows.get(address)
            if declined is not None and shadow.owns(address) is not None:
                self._check_rest_after_decline(shadow, declined)
            if address in self.exposed:
                continue
            owner = self.owner_of.setdefault((address, new.epoch), shadow.number)
            if owner != shadow.number:
                raise ViolationError(
                    f"I2: {format_address(address)} is {shadow.name}'s under epoch {new.epoch}, "
                    f"which was m{owner}'s"
                )
            if shadow.owns(address) is None:
                continue
            self._check_sole(shadow, address, new.epoch)
            rests = self.quarantine.get(address)
            if rests is not None:
                self.judged["I10 quarantine"] += 1
                if rests[0] > now_ms and rests[1] != shadow.number:
                    raise ViolationError(
                        f"I10: {shadow.name} owns {format_address(address)} "
                        f"{(rests[0] - now_ms) / 1000:.1f} s before the end of the quarantine "
                        f"after the removal of m{rests[1]}"
                    )

    def _check_sole(self, shadow: Shadow, address: int, epoch: int) -> None:
        for other in self.shadows.values():
            if other is shadow or not other.serving or self._is_dead(shadow, other):
                continue
            theirs = other.owns(address)
            if theirs is not None:
                raise ViolationError(
                    f"I2: {format_address(address)} is free at {shadow.name} under epoch {epoch} "
                    f"and at {other.name} under epoch {theirs}"
                )

    def _is_dead(self, shadow: Shadow, other: Shadow) -> bool:
        """Out by an operator's true word, and not started again: what its disk says is over."""
        listed = shadow.group.member(other.number) if shadow.group is not None else None
        return listed is not None and not listed.is_current and not self.is_running(other.number)

    # --- membership (I9, I10)

    def _take_group(self, shadow: Shadow, group: Group) -> None:
        self.judged["I9"] += 1
        former = shadow.group
        if former is not None and group.forced > former.forced:
            self.forced.add(group.generation)
        known = self.generations.setdefault(group.generation, group)
        if known != group and not self._is_forked(group.generation):
            raise ViolationError(
                f"I9: generation {group.generation} is {group} at {shadow.name} and {known} "
                "elsewhere"
            )
        if known != group:
            self.judged["exposed I9"] += 1
            self.forked = True
            self._expose_gone(group)
        if former is not None and group.generation < former.generation and not self.forked:
            raise ViolationError(
                f"I6: {shadow.name} goes back from generation {former.generation} to "
                f"{group.generation}"
            )
        self._begin_quarantine(shadow, former, group)
        shadow.group = group
        me = group.member(shadow.number)
        gone = me is None or me.state in _GONE
        shadow.removed_at_ms = self.now_ms() if gone else -1
        if self.forked and all(other.group in (group, None) for other in self.shadows.values()):
            self.forked = False
            self.generations = {group.generation: group}
            self.newest = 0
        if group.generation > self.newest:
            self.newest = group.generation
            self.out = {one.member for one in group.members if one.state in _GONE}
            self._expose_gone(group)

    def _is_forked(self, generation: int) -> bool:
        """Whether two values of a generation are the operators' doing: one of them was forced where
        no majority could be asked, and those who hold the other one have not heard of it."""
        return self.forked or generation in self.forced

    def _expose_gone(self, group: Group) -> None:
        """Who is out from now on, and still runs and does not know it, was called dead falsely,
        or comes back where nobody can tell it: what it may bind meanwhile is exposed."""
        gone = {one.member for one in group.members if one.state in _GONE and not one.clean}
        for number in gone - self.gone:
            shadow = self.shadows.get(number)
            if shadow is None or shadow.removed_at_ms >= 0:
                continue
            if shadow.is_running():
                self.judged["exposed removal"] += 1
            for first, last, _ in shadow.owned:
                self.exposed.update(range(first, last + 1))
            self.exposed.update(a for a, r in shadow.rows.items() if r.state is BindingState.BOUND)
        self.gone = gone

    def _begin_quarantine(self, shadow: Shadow, former: Group | None, group: Group) -> None:
        """A member is removed: whatever it was the last to bind, in any state, rests until what
        this member has recorded of it is over, and MUL longer (protocol rule 8)."""
        if former is None:
            return
        now_ms = self.now_ms()
        for member in former.members:
            after = group.member(member.member)
            if member.state in _GONE or member.member == shadow.number:
                continue  # who learns of its own removal has given nothing since it was called dead
            if after is not None and (after.state not in _GONE or after.clean):
                continue
            for address, row in shadow.rows.items():
                if row.transaction_server == member.member and not self._has_passed_on(row):
                    recorded = shadow.true_ms(row.potential_expires_at)
                    until = max(now_ms, recorded) + former.mul_s * 1000 - ROUNDING_MS
                    known = self.quarantine.get(address, (0, 0))
                    if (until, member.member) > known:
                        self.quarantine[address] = until, member.member
                        self.rests_for[address] = row.client_key

    def _end_quarantine(self, shadow: Shadow, row: Binding) -> None:
        """A member that lives has seen the client since, and given it a lease that it knows: what
        the dead one may have given the same client is over with that."""
        rests = self.quarantine.get(row.address)
        if rests is None or row.state is not BindingState.BOUND or rests[1] == shadow.number:
            return
        if self.rests_for[row.address] == row.client_key:
            del self.quarantine[row.address]

    def _has_passed_on(self, row: Binding) -> bool:
        """Whether a member has become the owner since: then who wrote the row had promised to
        serve its client no more."""
        return any(
            first <= row.address <= last and epoch > row.epoch
            for shadow in self.shadows.values()
            for first, last, epoch in shadow.owned
        )

    # --- what is said

    def sends(self, shadow: Shadow, number: int, writing: bool) -> None:
        """I5: nothing leaves inside a transaction; I15: messages for one input are bounded."""
        self.judged["I15"] += 1
        if writing:
            raise ViolationError(f"I5: {shadow.name} sends before its commit")
        most = MESSAGES_BASE + MESSAGES_A_PEER * len(self.shadows)
        if number > most:
            raise ViolationError(
                f"I15: {shadow.name} sends {number} messages at once, more than {most}"
            )

    def promised(self, shadow: Shadow, to: int, spans: Iterable[tuple[int, int]]) -> None:
        """I5: a "yes" to a RESERVE has left; the promise must lie on the disk."""
        for first, last in spans:
            self.judged["I5 promise"] += 1
            at = first
            while at <= last:
                held = next((r for r in shadow.ranges.values() if r.first <= at <= r.last), None)
                if held is None or held.state is not AddressState.PROMISED or held.member != to:
                    raise ViolationError(
                        f"I5: {shadow.name} has promised {format_address(at)} to m{to}, and its "
                        f"disk says {held}"
                    )
                at = held.last + 1

    def recorded(self, shadow: Shadow, stream: StreamId, through: int) -> None:
        """I5: a change was acknowledged; it must be applied on the disk."""
        self.judged["I5 update"] += 1
        if shadow.applied.get(stream, 0) < through:
            raise ViolationError(
                f"I5: {shadow.name} has acknowledged {through} of stream {stream}, and its disk "
                f"holds {shadow.applied.get(stream, 0)}"
            )

    def served(self, shadow: Shadow, memory: dict[str, int]) -> None:
        """Datagrams were handled. I10: by one that knows that it is out, what must not lead to an
        OFFER or ACK. I15: how many items each container of the member's memory holds."""
        if shadow.removed_at_ms >= 0:
            self.judged["I10"] += 1
        for name, held in memory.items():
            self.judged["I15 memory"] += 1
            if held > ITEMS_MAX:
                raise ViolationError(f"I15: {shadow.name} holds {held} items in {name}")

    def offered(self, shadow: Shadow, address: int, decided_ms: int) -> None:
        """I10 and I13, for every OFFER and ACK. What became UNAVAILABLE in the same batch may be
        named in an answer to an earlier message."""
        self.judged["I13"] += 1
        if shadow.removed_at_ms >= 0:
            raise ViolationError(f"I10: {shadow.name} serves after it has learned its removal")
        row = shadow.rows.get(address)
        if row is None or row.state is not BindingState.UNAVAILABLE:
            return
        self.judged["I13 unavailable"] += 1
        epoch = shadow.owns(address)
        if shadow.declined_ms.get(address, 0) >= decided_ms:
            return
        self._check_rest_after_decline(shadow, row)
        if shadow.true_ms(row.expires_at) > self.now_ms() and epoch is None:
            raise ViolationError(
                f"I13: {shadow.name} offers {format_address(address)}, which is UNAVAILABLE for "
                f"{row.expires_at - self.now_ms() // 1000} s more"
            )

    def _check_rest_after_decline(self, shadow: Shadow, row: Binding) -> None:
        """I13: a declined address rests for a day, which its row alone does not decide."""
        until_ms = shadow.true_ms(row.transaction_at) + DECLINED_MS - ROUNDING_MS
        if row.transaction is Transaction.DECLINE and until_ms > self.now_ms():
            raise ViolationError(
                f"I13: {shadow.name} has {format_address(row.address)} for others again "
                f"{(until_ms - self.now_ms()) // 1000} s too early after it was declined"
            )

    def acknowledged(
        self, shadow: Shadow, hardware_address: bytes, address: int, lease_s: int, end_ms: int
    ) -> None:
        """I4 and I5, for every ACK that gives a lease, which ends at `end_ms` at the latest."""
        self.judged["I5 ACK"] += 1
        row = shadow.rows.get(address)
        if (
            row is None
            or row.hardware_address != hardware_address
            or shadow.true_ms(row.expires_at) < end_ms - self._slack_ms(lease_s)
        ):
            raise ViolationError(
                f"I5: {shadow.name} has given {format_address(address)} to "
                f"{hardware_address.hex()} for {lease_s} s, and its disk says {row}"
            )
        self._check_lead(shadow, address, lease_s, end_ms)

    def _check_lead(self, shadow: Shadow, address: int, lease_s: int, end_ms: int) -> None:
        """I4. One that has not pulled yet does not count: it agrees to no poll, so nothing is
        given away by what it does not know."""
        group = shadow.group
        recorded = []
        for listed in group.members if group else ():
            other = self.shadows.get(listed.member)
            if other is None or other is shadow or not other.serving:
                continue
            if listed.state in _GONE or not other.knows_its_seat(listed):
                continue
            if other.had_applied and self._lacks_what_it_had(other):
                self.judged["exposed I4"] += 1
                continue
            row = other.rows.get(address)
            recorded.append(other.true_ms(row.potential_expires_at) if row else 0)
        if not recorded or group is None:
            return
        self.judged["I4"] += 1
        slack_ms = self._slack_ms(2 * lease_s + group.mul_s)
        bound = max(self.now_ms(), min(recorded)) + group.mul_s * 1000 + slack_ms
        if end_ms > bound:
            raise ViolationError(
                f"I4: {shadow.name} leased {format_address(address)} until {end_ms}, "
                f"{(end_ms - bound) / 1000:.1f} s past what the others' records allow"
            )

    def refused(self, shadow: Shadow, client: str, held: Holding | None, at_home: bool) -> None:
        """I11: a NAK to a client that is inside a lease, on the network of its address."""
        self.judged["I11"] += 1
        if held is None or held.client != client:
            return  # a lease that it remembers is over, and the address another's perhaps
        if at_home and held.end_ms > self.now_ms():
            if held.address in self.exposed:
                self.judged["exposed I11"] += 1
                return
            raise ViolationError(
                f"I11: {shadow.name} sends a NAK to {client}, whose lease on "
                f"{format_address(held.address)} runs for "
                f"{(held.end_ms - self.now_ms()) // 1000} s more"
            )

    def answered_choice(self, shadow: Shadow, client: str, is_chosen: bool) -> None:
        """I11: a REQUEST that names a server is answered by that one or by nobody."""
        self.judged["I11 choice"] += 1
        if not is_chosen:
            raise ViolationError(
                f"I11: {shadow.name} answers a REQUEST of {client} that names another server"
            )

    def ignored(self, shadow: Shadow, what: str, journal: Journal) -> None:
        """I14: a message that must change nothing has been taken in."""
        self.judged["I14"] += 1
        if journal.matters:
            raise ViolationError(f"I14: {shadow.name} has changed something for {what}: {journal}")

    @staticmethod
    def _slack_ms(measured_s: int) -> int:
        return ROUNDING_MS + measured_s * 1000 // DRIFT_DIVISOR


def is_alone(group: Group | None) -> bool:
    return group is not None and len(group.current) == 1


_GONE = (MemberState.REMOVED, MemberState.DOWN)
ITEMS_MAX = 2_000
"""Items in one container: with at most a few hundred addresses and clients, more is a leak."""
MESSAGES_BASE = 64
MESSAGES_A_PEER = 32
"""Messages that one input may lead to: a Hello, an update and a question for each peer, and aborts
for what a crash has left behind."""
