"""TRANSFER among three members, beside polls, leases and giving back (docs/protocol.md,
"TRANSFER").

What is modelled is what `agent/sync/giver.py` and `agent/sync/transfer.py` do: the taker asks; the
giver writes TRANSFERRING under the next epoch and offers; the taker takes what answers its present
question, and acknowledges; the giver's row becomes a promise to it. A member may ask at any time
and give its question up at any time, which stands for timeouts and for the Hello that makes a
taker ask again. With rules taken out it is the draft's form (`gift_is_kept` off: the giver
forgets what it gave) or a plain three-way handshake (`no_way_back` off: the giver that hears no
acknowledgement takes it back; `present_question` off: any copy of an offer is taken).
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.model import AddressState
from tools.model.address import MEMBERS, Address, Local, Message, Move, Row, name_of

Arrived = tuple[str, Local, int] | None


class Transfer(Address):
    def _universe(self) -> Iterator[Message]:
        yield from super()._universe()
        for sender, to, nonce in self._pairs():
            yield Message("ask", sender, to, nonce)
            for epoch in range(1, self.rules.epochs + 1):
                yield Message("taken", sender, to, nonce, epoch)
                for xid in range(1, nonce + 1):
                    yield Message("offer", sender, to, nonce, epoch, xid)
                for owner in MEMBERS:
                    yield Message("passed", sender, to, nonce, epoch, owner)
        for sender, to in {(s, t) for s, t, _ in self._pairs()}:
            for epoch in range(1, self.rules.epochs + 1):
                for owner in MEMBERS:
                    yield Message("passed", sender, to, 0, epoch, owner)
            yield Message("unwanted", sender, to, 0)

    def _act(self, one: Local, me: int) -> Iterator[Move]:
        yield from super()._act(one, me)
        name, row = name_of(me), one.row
        if one.asks is not None:
            yield f"{name} asks no more", self._id(one._replace(asks=None)), 0
        elif one.counter < self.attempts:
            nonce = one.counter + 1
            for giver in MEMBERS:
                if giver != me:
                    asking = one._replace(counter=nonce, asks=(giver, nonce, False))
                    sent = self._messages[Message("ask", me, giver, nonce)]
                    yield f"{name} asks {name_of(giver)} for it: {nonce}", self._id(asking), sent
        waits = row is not None and row.state is AddressState.TRANSFERRING
        if row is not None and waits and not self.rules.no_way_back:
            back = Row(AddressState.BINDABLE, me, 0, row.epoch - 1)
            yield (
                f"{name} waits no longer and takes it back",
                self._id(one._replace(row=back)),
                0,
            )

    # --- the giver

    def _on_ask(self, one: Local, m: Message) -> Arrived:
        row = one.row
        if row is not None and row.state is AddressState.TRANSFERRING and row.member == m.sender:
            if row.nonce > m.nonce:
                return None
            return f"ask {m.nonce}: offered again", one, self._offer(m, row)
        owned = row is not None and row.state is AddressState.BINDABLE and one.bound < row.epoch
        if m.nonce <= one.given[m.sender] or row is None or not owned or one.leases:
            return None
        if row.epoch == self.rules.epochs:
            return None
        given = list(one.given)
        given[m.sender] = m.nonce
        gift = Row(AddressState.TRANSFERRING, m.sender, m.nonce, row.epoch + 1)
        kept = gift if self.rules.gift_is_kept else None
        after = one._replace(row=kept, given=tuple(given))
        return f"ask {m.nonce}: it is yours, epoch {gift.epoch}", after, self._offer(m, gift)

    def _offer(self, ask: Message, row: Row) -> int:
        offer = Message("offer", ask.to, ask.sender, ask.nonce, row.epoch, row.nonce)
        return self._messages[offer]

    def _on_taken(self, one: Local, m: Message) -> Arrived:
        gift = Row(AddressState.TRANSFERRING, m.sender, m.nonce, m.epoch)
        if one.row != gift:
            return None
        promise = Row(AddressState.PROMISED, m.sender, m.nonce, m.epoch)
        after = one._replace(row=promise if self.rules.gift_is_remembered else None)
        return f"acknowledges epoch {m.epoch}", after, 0

    # --- the taker

    def _on_offer(self, one: Local, m: Message) -> Arrived:
        answers = one.asks is not None and one.asks[:2] == (m.sender, m.nonce)
        if self.rules.present_question and not answers:
            return None
        promised_since = one.asks is not None and one.asks[2]
        after, row = one._replace(asks=None), one.row
        label = f"offer of {m.extra}, epoch {m.epoch}"
        taken = self._messages[Message("taken", m.to, m.sender, m.extra, m.epoch)]
        free = row is None or (
            row.state is AddressState.PROMISED
            and (row.member == m.sender or row.epoch < m.epoch - 1)
        )
        if free and not promised_since and (one.bound >= m.epoch or one.leases):
            return f"{label}: had it before", after, taken
        if free and not promised_since:
            own = Row(AddressState.BINDABLE, m.to, 0, m.epoch)
            return f"{label}: taken, BINDABLE", after._replace(row=own), taken
        owned = (AddressState.BINDABLE, AddressState.TRANSFERRING)
        if row is not None and (
            (row.state in owned and row.epoch >= m.epoch)
            or (row.state is AddressState.PROMISED and row.epoch > m.epoch)
        ):
            return f"{label}: had it before", after, taken
        return f"{label}: not now", after, 0

    # --- a promise follows its owner

    def _meet(self, mine: Local, theirs: Local, me: int, other: int) -> Iterator[Move]:
        yield from super()._meet(mine, theirs, me, other)
        row, there = mine.row, theirs.row
        if row is None or (row.state, row.member) != (AddressState.PROMISED, other):
            return
        if there is None or there.member == me or there.epoch <= row.epoch:
            return
        if theirs.bound < row.epoch and not self._agrees(theirs, me, 0, row.epoch):
            sent = self._messages[
                Message("passed", other, me, row.nonce, there.epoch, there.member)
            ]
            label = f"{name_of(me)} asks {name_of(other)} about promise {row.nonce}"
            yield label, self._id(mine), sent

    def _on_passed(self, one: Local, m: Message) -> Arrived:
        row = one.row
        if row is None or (row.state, row.member, row.nonce) != (
            AddressState.PROMISED,
            m.sender,
            m.nonce,
        ):
            return None
        if m.epoch <= row.epoch:
            return None
        after = one._replace(row=Row(AddressState.PROMISED, m.extra, 0, m.epoch))
        return f"it is {name_of(m.extra)}'s, epoch {m.epoch}", after, 0

    def _spent_at(self, one: Local, me: int) -> int:
        """A question, once over, is never the present one again."""
        spent = super()._spent_at(one, me)
        question = one.asks[:2] if one.asks is not None else None
        for message, bit in self._messages.items():
            void = (message.sender, message.nonce) != question and self.rules.present_question
            if message.kind == "offer" and message.to == me and void:
                spent |= bit
        return spent
