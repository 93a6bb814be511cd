"""Reserved addresses are nobody's stock: what I own of them goes back, what is wished is polled.

A reservation may come to an address that a member owns. That member gives it back as soon as it
hears of the reservation; the promises of the others end with the abort, and then any member may
bind the address for its client. Where the engine of a member must not (`agent.dhcp.claim`: another
client had the address, or this member joined later and cannot know its owner), it asks for it as
for an enquiry, and what nobody has is polled for. The client then finds the address in this
member's own stock, from where it goes to that client alone; what it does not take in time is given
back too.
"""

from __future__ import annotations

from agent.limits import POLL_RANGES_MAX, WISH_MS
from agent.model import AddressState, Nonce
from agent.port import StoreTransaction
from agent.sync import ranges
from agent.sync.enquiry import Enquiries
from agent.sync.poll import Poll, judge_span
from agent.sync.ranges import Span
from agent.sync.situation import Situation
from agent.sync.verdict import Question


class Reserved:
    """`tick` while no attempt of any kind is under way."""

    def __init__(self, situation: Situation, poll: Poll, enquiries: Enquiries) -> None:
        self._situation = situation
        self._poll = poll
        self._enquiries = enquiries
        self._wished: dict[int, int] = {}
        self._poll_at_ms = 0
        self._looked_at: tuple[int, int] | None = None

    def tick(self, tx: StoreTransaction, reserved: tuple[Span, ...], now_ms: int) -> int:
        """Returns when to come back."""
        free = self._enquiries.take_free()
        if not reserved:
            return now_ms + WISH_MS
        for address in free:
            if ranges.intersect([(address, address)], reserved):
                self._wished[address] = now_ms + WISH_MS
        over = [address for address, until in self._wished.items() if until <= now_ms]
        for address in over:
            del self._wished[address]
        if self._give_back(tx, reserved, bool(over)):
            return now_ms
        self._ask(tx, now_ms)
        return min([now_ms + WISH_MS, *self._wished.values()])

    def _give_back(self, tx: StoreTransaction, reserved: tuple[Span, ...], again: bool) -> bool:
        """Looked for when configuration or ownership has changed, or a wish is over. Somebody must
        be there to hear of it: as long as I am by myself, I may serve the client as the owner."""
        peers = self._situation.peers
        if not any(peers[member].reachable for member in self._situation.pollers):
            return False
        local = tx.local()
        version = (local.configuration_version, local.ownership_version)
        if version == self._looked_at and not again:
            return False
        self._looked_at = version
        mine = [(row.first, row.last) for row in tx.address_ranges_in(AddressState.BINDABLE)]
        wished = [(address, address) for address in sorted(self._wished)]
        spans = ranges.subtract(ranges.intersect(mine, reserved), wished)
        if not any(self._poll.unbound(tx, spans).values()):
            return False
        self._poll.give_back(tx, spans)
        return True

    def _ask(self, tx: StoreTransaction, now_ms: int) -> None:
        situation = self._situation
        waits = max(self._poll_at_ms, situation.polls_wait_until_ms)
        if not self._wished or now_ms < waits or not situation.all_reachable:
            return
        nonce = Nonce(situation.incarnation, 0)
        spans: list[Span] = []
        epoch = 0
        for address in sorted(self._wished)[:POLL_RANGES_MAX]:
            question = Question(address, address, situation.me, nonce, now_ms // 1000)
            verdicts, _ = judge_span(tx, question, 2)
            if verdicts[-1].agreed:
                spans.append((address, address))
                epoch = max(epoch, verdicts[-1].epoch)
        if spans:
            self._poll_at_ms = now_ms + situation.settings.poll_retry_ms
            self._poll.begin(tx, ranges.union(spans), epoch, now_ms)
