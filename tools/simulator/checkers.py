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

from agent.model import (
    NEVER,
    AddressRange,
    AddressState,
    Binding,
    BindingState,
    Transaction,
    format_address,
)
from tools.simulator.blindness import Blindness
from tools.simulator.checkers_group import ROUNDING_MS, GroupEvidence
from tools.simulator.checkers_words import Words
from tools.simulator.disk import Content, Journal
from tools.simulator.shadows import Grant, Holding, Shadow, ViolationError

__all__ = ["Evidence", "Grant", "Holding", "Shadow", "ViolationError"]


class Evidence(Words):
    """Everything that the judges know. `now_ms` tells true time."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        super().__init__(now_ms)
        self.holdings: dict[int, Holding] = {}
        self.grants: dict[int, dict[bytes, Grant]] = {}
        self.owner_of: dict[tuple[int, int], int] = {}
        """Who was the owner of an address under an epoch."""
        self.blindness = Blindness(self)
        self.groups = GroupEvidence(self, self.blindness)
        self.blindness.groups = self.groups
        self.blindness.on_end = self._forget_grants
        self.transactions: Counter[int] = Counter()
        """How many of each member have been judged."""
        self.is_running: Callable[[int], bool] = lambda _: True
        self.name_of: Callable[[bytes], str] = lambda _: ""
        """The honest client with a hardware address; "" if it is nobody's."""
        self.lied = False
        """Whether an operator has called a member dead that ran."""
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
        serves = shadow.serving and not self._gives_for_nobody(shadow)
        epoch = shadow.owns(held.address) if serves else None
        if epoch is not None and held.end_ms > self.now_ms():
            raise ViolationError(
                f"I3: {shadow.name} holds {format_address(held.address)} free under epoch {epoch} "
                f"while {held.client} has a lease on it for "
                f"{(held.end_ms - self.now_ms()) // 1000} s more"
            )

    # --- disks

    def lost(self, number: int, content: Content) -> None:
        """What lies on a member's disk is not what was committed: the run has declared a loss. What
        only that disk knew binds nobody any more."""
        shadow = self.shadows[number]
        for stream, applied in shadow.applied.items():
            shadow.had_applied[stream] = max(applied, shadow.had_applied.get(stream, 0))
        if shadow.has_changed_of_its_own(content.bindings):
            shadow.forgot_its_own = True
        shadow.forgotten |= shadow.rows.keys()
        self._load(shadow, content)
        shadow.serving = False  # until it starts
        shadow.lost_store = True
        self._forget_epochs(shadow)
        self._forget_grants(self.grants)
        self.groups.lost(shadow, content.group)
        self.blindness.note_loss()

    def booted(self, number: int, content: Content) -> None:
        """A member boots: what lies on its disk must be what was committed (I5)."""
        shadow = self.shadows[number]
        self.judged["I5 restart"] += 1
        self._check_content(shadow, content)
        self._load(shadow, content)
        shadow.starting = True

    @staticmethod
    def _load(shadow: Shadow, content: Content) -> None:
        shadow.rows = dict(content.bindings)
        shadow.ranges = {r.first: r for r in content.ranges}
        shadow.applied = dict(content.applied)
        shadow.serving = content.serving
        shadow.collect_owned()

    def started(self, number: int, *, unseen: bool) -> None:
        """It runs, and has written what it writes at a start. `unseen`: after a loss that it cannot
        know of by itself."""
        shadow = self.shadows[number]
        shadow.starting = False
        if unseen:
            shadow.unseen_loss = True
            if shadow.serving and self.groups.is_helpless(shadow):
                self.blindness.begin(shadow)
        elif not shadow.unseen_loss and number not in self.blindness:
            shadow.forget_loss()
        self._check_what_it_owns(shadow)

    def _serve_after_loss(self, shadow: Shadow, journal: Journal) -> None:
        """A machine that was set back as a whole serves again: after it was told, or because no
        other member could be heard, or none has kept what it remembered."""
        shadow.unseen_loss = False
        if "begin_incarnation" in journal.others or self.groups.is_helpless(shadow):
            self.blindness.begin(shadow)
            return
        if not shadow.was_told:
            self._expose_forgotten(shadow)
        shadow.forget_loss()

    def _expose_forgotten(self, shadow: Shadow) -> None:
        """Its peers remember no more of its store than it holds: a lease that it gave last, told
        nobody and forgot is known to no disk."""
        for address in shadow.forgotten:
            held = self.holdings.get(address)
            if held is not None and not any(
                address in other.rows
                and other.true_ms(other.rows[address].expires_at) >= held.end_ms - ROUNDING_MS
                for other in self.shadows.values()
            ):
                self.judged["exposed forgotten"] += 1
                self.exposed.add(address)

    def _forget_epochs(self, shadow: Shadow) -> None:
        """What only the lost store knew, leaves no trace: its epochs may be taken again."""
        for key in [key for key, owner in self.owner_of.items() if owner == shadow.number]:
            del self.owner_of[key]

    def _forget_grants(self, addresses: Iterable[int]) -> None:
        """An epoch that no disk knows may be taken again. Leases stay what they are (I7)."""
        for address in addresses:
            for grant in self.grants.get(address, {}).values():
                if not any(
                    address in shadow.rows and shadow.rows[address].epoch >= grant.epoch
                    for shadow in self.shadows.values()
                ):
                    grant.epoch = -1

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
        if content.group != shadow.group:
            raise ViolationError(
                f"I5: {shadow.name} had committed {shadow.group} and holds {content.group}"
            )

    def check_complete(self, number: int, committed: int) -> None:
        """Whether each transaction that a member's disk has committed was judged."""
        judged = self.transactions[number]
        self.judged["transactions"] += judged
        if judged != committed:
            raise ViolationError(
                f"simulator: {self.shadows[number].name} has committed {committed} transactions, "
                f"and {judged} were judged"
            )

    def committed(self, number: int, journal: Journal) -> None:
        self.transactions[number] += 1
        if not journal.matters:
            return
        shadow = self.shadows[number]
        began = bool(journal.serving) and not shadow.serving
        if shadow.unseen_loss and "begin_incarnation" in journal.others and not journal.serving:
            shadow.was_told = True
        if journal.serving and shadow.unseen_loss:
            self._serve_after_loss(shadow, journal)
        if number in self.blindness:
            self.blindness.follow(shadow, journal)
        if shadow.serving and journal.serving is False:
            self._check_goes_on(shadow, journal)
        if "begin_incarnation" in journal.others:
            shadow.forgot_its_own = False
        for group in journal.groups:
            self.groups.take(shadow, group)
        if journal.serving is not None:
            shadow.serving = journal.serving
            if shadow.serving and number not in self.blindness:
                shadow.lost_store = False
        for row in journal.merged:
            self._take_row(shadow, row, own=False)
        if shadow.number in self.groups.gone and shadow.removed_at_ms < 0:
            self._take_from_one_out(shadow, journal)
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
        self._move(shadow, journal.moves)
        if began:
            self._check_what_it_owns(shadow)

    def _take_from_one_out(self, shadow: Shadow, journal: Journal) -> None:
        """By one that is out and does not know it."""
        if shadow.number in self.groups.unaware:
            self.judged["I1 by one out"] += len(journal.bindings)
        else:
            self.exposed.update(row.address for row in journal.bindings)

    def _gives_for_nobody(self, shadow: Shadow) -> bool:
        """Whether what a member owns by its disk is not for it to give: it was taken out when it
        was dead, and has not heard of it; or it boots, and cannot write what it writes at a start
        (the disk is full, say). What it gives all the same is judged by I1 and I7."""
        unaware = shadow.number in self.groups.unaware and shadow.removed_at_ms < 0
        return unaware or shadow.starting

    def _check_goes_on(self, shadow: Shadow, journal: Journal) -> None:
        """L9: who serves and has kept its store goes on, whatever store of another member was lost
        or put back. Not where it starts, was out of the group, or where operators have forced both
        sides of it, or lied."""
        self.judged["L9"] += 1
        if shadow.starting or shadow.lost_store or self.lied or shadow.number in self.blindness:
            return
        if shadow.forgot_its_own:
            self.judged["exposed L9"] += 1
            return
        for group in journal.groups:
            former = shadow.group.member(shadow.number) if shadow.group is not None else None
            own = group.member(shadow.number)
            if former is None or own is None or own.since != former.since:
                return
            parting = self.groups.fork(group, shadow.group) if shadow.group is not None else None
            if parting is not None and all(value.forced for value in parting[:2]):
                return
        raise ViolationError(
            f"L9: {shadow.name} falls silent, which has kept its store and is in its group: "
            f"{journal.groups or shadow.group}"
        )

    def _move(
        self,
        shadow: Shadow,
        moves: Iterable[tuple[Sequence[AddressRange], Sequence[AddressRange]]],
    ) -> None:
        """Judges what stands when the transaction ends: a range that a later move of the same one
        divides again was never on the disk."""
        left: list[AddressRange] = []
        come: list[AddressRange] = []
        for removed, added in moves:
            for gone in removed:
                if shadow.ranges.get(gone.first) == gone:
                    del shadow.ranges[gone.first]
            for new in added:
                shadow.ranges[new.first] = new
            left += removed
            come += added
        if come or left:
            self._forget_unused(shadow, left)
            self._take_ownership(shadow, [n for n in come if shadow.ranges.get(n.first) == n])

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
            self.groups.note_end(shadow, row)
            self.groups.end_quarantine(shadow, row)
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
            rests = self.groups.quarantine.get(address)
            if rests is not None:
                self.judged["I10 quarantine"] += 1
                if rests[0] > now_ms and rests[1] != shadow.number:
                    raise ViolationError(
                        f"I10: {shadow.name} owns {format_address(address)} "
                        f"{(rests[0] - now_ms) / 1000:.1f} s before the end of the quarantine "
                        f"after the removal of m{rests[1]}"
                    )

    def _check_what_it_owns(self, shadow: Shadow) -> None:
        """I2, I3: a member begins to serve with what it owns by its disk."""
        for first, last, epoch in shadow.owned if shadow.serving else ():
            for address in range(first, last + 1):
                if address in self.exposed or shadow.owns(address) is None:
                    continue
                self._check_sole(shadow, address, epoch)
                held = self.holdings.get(address)
                if held is not None:
                    self._check_not_free(shadow, held)

    def _check_sole(self, shadow: Shadow, address: int, epoch: int) -> None:
        for other in self.shadows.values():
            if other is shadow or not other.serving or self._is_dead(shadow, other):
                continue
            if self._gives_for_nobody(shadow) or self._gives_for_nobody(other):
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
