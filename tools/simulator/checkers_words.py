"""The judges of what members say: replies to clients, promises and acknowledgements to peers.

Each is held against what the disk of the member that says it holds (I5), or against what others do
(I4, I10, I11, I13, I14, I15).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from agent.model import (
    AddressState,
    Binding,
    BindingState,
    StreamId,
    Transaction,
    format_address,
    stream_member,
)
from tools.simulator.checkers_group import ROUNDING_MS
from tools.simulator.disk import Journal
from tools.simulator.shadows import (
    GONE,
    Exposed,
    Holding,
    Shadow,
    ViolationError,
    drift_ms,
    drift_of_ms,
)

DECLINED_MS = 86_400_000
ITEMS_MAX = 2_000
"""Items in one container: with at most a few hundred addresses and clients, more is a leak."""
MESSAGES_BASE = 64
MESSAGES_A_PEER = 32
"""Messages that one input may lead to: a Hello, an update and a question for each peer, and aborts
for what a crash has left behind."""


class Words:
    """`now_ms` tells true time."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.now_ms = now_ms
        self.shadows: dict[int, Shadow] = {}
        self.judged: Counter[str] = Counter()
        self.exposed = Exposed()

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
        """I13: a declined address rests for a day, which its row alone does not decide; one that
        was only given back, past the caps, does not."""
        until_ms = shadow.true_ms(row.transaction_at) + DECLINED_MS - ROUNDING_MS
        declined = (row.state, row.transaction) == (BindingState.UNAVAILABLE, Transaction.DECLINE)
        if declined and until_ms > self.now_ms():
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
        given away by what it does not know. By the MUL of when it was decided."""
        group = shadow.group
        recorded = []
        for listed in group.members if group else ():
            other = self.shadows.get(listed.member)
            if other is None or other is shadow or not other.serving:
                continue
            if listed.state in GONE or not other.knows_its_seat(listed):
                continue
            if other.had_applied and self._lacks_what_it_had(other):
                self.judged["exposed I4"] += 1
                continue
            row = other.rows.get(address)
            recorded.append(other.potential_end_ms(row) + drift_of_ms(row) if row else 0)
        if not recorded or group is None:
            return
        self.judged["I4"] += 1
        is_older = end_ms - lease_s * 1000 < shadow.group_since_ms
        mul_s = max(group.mul_s, shadow.former_mul_s if is_older else 0)
        slack_ms = self._slack_ms(lease_s + mul_s)
        bound = max(self.now_ms(), min(recorded)) + mul_s * 1000 + slack_ms
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

    def ignored(self, shadow: Shadow, what: str, journals: Iterable[Journal]) -> None:
        """I14: a message that must change nothing has been taken in."""
        self.judged["I14"] += 1
        for journal in journals:
            if journal.matters:
                raise ViolationError(
                    f"I14: {shadow.name} has changed something for {what}: {journal}"
                )

    @staticmethod
    def _slack_ms(measured_s: int) -> int:
        return ROUNDING_MS + drift_ms(measured_s)

    @staticmethod
    def _lacks_what_it_had(shadow: Shadow) -> bool:
        """Whether the others still count on records that it lost without having been told."""
        return any(
            shadow.applied.get(stream, 0) < had
            for stream, had in shadow.had_applied.items()
            if stream_member(stream) != shadow.number
        )
