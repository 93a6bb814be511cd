"""Free addresses: this member's BINDABLE ranges by pool, less what is bound, offered or reserved.

Nothing is kept for an address that nobody asks for. A pool's stock is read on in chunks behind a
cursor: the ranges of a window, then the bound addresses of one chunk. When the store says that
ownership has changed the read-ahead is forgotten and the cursor stays, so a change costs one
chunk and not the pool; the cursor goes round, and a pool is exhausted when a whole round under one
ownership version found nothing. Offers live here too, in memory only (rule 6 of the group's
protocol: a DISCOVER is never durable). They are bounded in number and time, oldest first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import NamedTuple

from agent.limits import (
    DECLINES_MAX,
    DOUBTFUL_MAX,
    FREE_CHUNK,
    OFFER_CHOICE_S,
    OFFER_HOLD_S,
    OFFERS_LOOKED_AT,
    OFFERS_MAX,
    OWNERSHIP_BLOCKS_MAX,
    RANGE_WINDOW,
    RECENT_LEASE_MAX_S,
    TRIED_AHEAD,
)
from agent.model import (
    AddressRange,
    AddressState,
    Binding,
    BindingState,
    MemberId,
    Pool,
    ProbePolicy,
)
from agent.port import StoreTransaction


class Offer(NamedTuple):
    """`from_stock`: the address was free for anybody, not this client's own before."""

    address: int
    until_ms: int
    from_stock: bool


class Offers:
    """Outstanding offers by client and by address: one client has one, one address has one."""

    def __init__(self, offers_max: int = OFFERS_MAX) -> None:
        self._offers_max = offers_max
        self._by_client: OrderedDict[bytes, Offer] = OrderedDict()
        self._by_address: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self._by_client)

    def of_client(self, client_key: bytes) -> Offer | None:
        return self._by_client.get(client_key)

    def held_for_other(self, address: int, client_key: bytes) -> bool:
        """Whether `address` is on offer to another client."""
        holder = self._by_address.get(address)
        return holder is not None and holder != client_key

    def is_offered(self, address: int) -> bool:
        return address in self._by_address

    def put(self, client_key: bytes, address: int, from_stock: bool, now_ms: int) -> list[Offer]:
        """Offer `address`, also anew. Returns the offers that had to go for it."""
        gone = []
        old = self._by_client.pop(client_key, None)
        if old is not None:
            del self._by_address[old.address]
            if old.address != address:
                gone.append(old)
        self._by_client[client_key] = Offer(address, now_ms + OFFER_HOLD_S * 1000, from_stock)
        self._by_address[address] = client_key
        if len(self._by_client) > self._offers_max:
            gone.append(self._remove_oldest())
        return gone

    def remove(self, client_key: bytes) -> Offer | None:
        offer = self._by_client.pop(client_key, None)
        if offer is not None:
            del self._by_address[offer.address]
        return offer

    def remove_due(self, now_ms: int) -> list[Offer]:
        """Offers whose time is over: offers stand in the order of their ends."""
        gone = []
        while self._by_client and next(iter(self._by_client.values())).until_ms <= now_ms:
            gone.append(self._remove_oldest())
        return gone

    def oldest_unanswered(self, pools: Collection[Pool], now_ms: int) -> bytes | None:
        """The client whose offer from stock should yield first, of those that had time enough."""
        latest_ms = now_ms + (OFFER_HOLD_S - OFFER_CHOICE_S) * 1000
        for key, offer in islice(self._by_client.items(), OFFERS_LOOKED_AT):
            if offer.until_ms > latest_ms:
                break
            if offer.from_stock and any(offer.address in pool for pool in pools):
                return key
        return None

    def _remove_oldest(self) -> Offer:
        _, offer = self._by_client.popitem(last=False)
        del self._by_address[offer.address]
        return offer


class Ownership:
    """This member's ranges as the store has them under one ownership version, by block."""

    def __init__(self, member: MemberId) -> None:
        self._member = member
        self._blocks: dict[int, tuple[AddressRange, ...]] = {}

    def forget(self) -> None:
        self._blocks.clear()

    def range_of(self, tx: StoreTransaction, address: int) -> AddressRange | None:
        """The range that holds `address`; None: plainly UNBINDABLE."""
        block = address >> 8
        ranges = self._blocks.get(block)
        if ranges is None:
            if len(self._blocks) >= OWNERSHIP_BLOCKS_MAX:
                self._blocks.clear()
            ranges = tuple(tx.address_ranges(block << 8, block << 8 | 0xFF))
            self._blocks[block] = ranges
        for one in ranges:
            if one.first <= address <= one.last:
                return one
        return None

    def is_own(self, one: AddressRange | None) -> bool:
        """Whether the range is this member's to bind (draft 3.4.2)."""
        return one is not None and one.state is AddressState.BINDABLE and one.member == self._member


class _PoolStock:
    """Free addresses read ahead, and how far the round through the pool has come."""

    __slots__ = (
        "all_until", "cursor", "doubtful", "free", "left_out", "policy", "pool", "returned", "seen"
    )  # fmt: skip

    def __init__(self, pool: Pool, policy: ProbePolicy, all_until: int) -> None:
        self.pool = pool
        self.policy = policy
        self.all_until = all_until
        self.free: OrderedDict[int, None] = OrderedDict()
        self.cursor = pool.first
        self.seen = 0
        self.returned = False
        self.doubtful: dict[int, None] = {}
        self.left_out = False

    def forget(self) -> None:
        if self.free:
            self.cursor = min(self.free)
        self.free.clear()
        self.doubtful.clear()
        self.seen = 0


class Tried(NamedTuple):
    """How doubtful addresses are tried: `look` tells who answered (None: not known yet). A client
    that had its address within `recent_s` may be using it still; before `all_until` any address
    of a pool may be in use, for the store that knew of it is lost, or another server gave it.
    `policy` is that of a pool's subnet."""

    look: Callable[[int], frozenset[bytes] | None]
    recent_s: int
    all_until: Callable[[Pool], int] = lambda _: 0
    policy: Callable[[Pool], ProbePolicy] = lambda _: ProbePolicy.RECENT


class FreeStock:
    """The free addresses of all pools under one configuration."""

    def __init__(
        self,
        pools: Iterable[Pool],
        ownership: Ownership,
        offers: Offers,
        is_kept: Callable[[int], bool],
        tried: Tried | None = None,
    ) -> None:
        """`is_kept` says of an address whether it is never given to just any client: reserved,
        or somebody's own. `tried`: addresses that a client has used lately are given away only
        after all others, and only when nobody answered for them."""
        never = ProbePolicy.NEVER
        self._stocks = {
            pool: _PoolStock(pool, tried.policy(pool), tried.all_until(pool))
            if tried
            else _PoolStock(pool, never, 0)
            for pool in pools
        }
        self._refused: OrderedDict[int, None] = OrderedDict()
        self._ownership = ownership
        self._offers = offers
        self._is_kept = is_kept
        self._tried = tried
        self.in_use: dict[int, bytes] = {}
        """Addresses for which somebody answered, and who; for the caller to make UNAVAILABLE."""

    def forget(self) -> None:
        """Ownership has changed: what was read ahead may be another's now."""
        for stock in self._stocks.values():
            stock.forget()

    def take(self, tx: StoreTransaction, pool: Pool, now: int) -> int | None:
        """The next free address of `pool`; it leaves the stock."""
        stock = self._stocks[pool]
        if 0 < stock.all_until <= now:  # what was doubtful only for that is so no more
            stock.all_until = 0
            stock.forget()
        while True:
            while stock.free:
                address, _ = stock.free.popitem(last=False)
                if not self._offers.is_offered(address):
                    return address
            if stock.seen > pool.last - pool.first:
                if not stock.returned:
                    return self._take_doubtful(stock)
                stock.seen, stock.returned = 0, False
            self._read_on(tx, stock, now)

    def has_free(self, tx: StoreTransaction, pool: Pool, now: int) -> bool:
        """Whether `take` would find an address of `pool` now."""
        stock = self._stocks[pool]
        doubtful = set(stock.doubtful)
        address = self.take(tx, pool, now)
        if address is None:
            return False
        if address in doubtful:
            stock.doubtful[address] = None
        else:
            stock.free[address] = None
            stock.free.move_to_end(address, last=False)
        return True

    def _take_doubtful(self, stock: _PoolStock) -> int | None:
        """One that was tried and for which nobody answered. What is not known yet is for the
        client's next attempt."""
        for address in list(stock.doubtful):
            if self._look(stock, address) and not self._offers.is_offered(address):
                del stock.doubtful[address]
                return address
        if stock.left_out and not stock.doubtful:
            stock.left_out, stock.returned = False, True
        return None

    def _look(self, stock: _PoolStock, address: int) -> bool:
        assert self._tried is not None
        heard = self._tried.look(address)
        if heard:
            self._note_in_use(stock, address, heard)
        return heard is not None and not heard

    def _note_in_use(self, stock: _PoolStock, address: int, heard: Collection[bytes]) -> None:
        stock.free.pop(address, None)
        stock.doubtful.pop(address, None)
        self.in_use[address] = min(heard)

    def is_trying(self, pool: Pool) -> bool:
        """Whether addresses of the pool are being tried, so that there may be one in a moment."""
        return bool(self._stocks[pool].doubtful)

    def try_out(
        self, pool: Pool, address: int, row: Binding | None, own: bytes, now: int
    ) -> bool | None:
        """Whether an address of this member's stock that a client names is nobody's, as far as it
        must be tried at all: `row` is of its last client. None: it is not known yet. Answers from
        the hardware address `own` do not matter."""
        tried, stock = self._tried, self._stocks[pool]
        if tried is None or not self._is_doubtful(stock, address, row, now):
            return True
        heard = tried.look(address)
        if heard is None:
            return None
        others = heard - {own}
        if others:
            self._note_in_use(stock, address, others)
        return not others

    def _is_doubtful(self, stock: _PoolStock, address: int, row: Binding | None, now: int) -> bool:
        if stock.policy is ProbePolicy.NEVER:
            return False
        return (
            self._tries_all(stock, now)
            or address in self._refused
            or (row is not None and self._may_be_in_use(row, now))
        )

    def _tries_all(self, stock: _PoolStock, now: int) -> bool:
        return stock.policy is ProbePolicy.ALWAYS or now < stock.all_until

    def _may_be_in_use(self, row: Binding, now: int) -> bool:
        assert self._tried is not None
        return may_be_in_use(row, now, self._tried.recent_s)

    def refuse(self, address: int) -> None:
        """A client says that somebody answers for it: it is tried before it is offered again."""
        self._refused.pop(address, None)
        self._refused[address] = None
        if len(self._refused) > DECLINES_MAX:
            self._refused.popitem(last=False)

    def try_ahead(self) -> None:
        """Keep a few doubtful addresses tried, so that the client who needs one finds it."""
        for stock in self._stocks.values():
            for address in list(stock.doubtful)[:TRIED_AHEAD]:
                self._look(stock, address)

    def discard(self, pool: Pool, address: int) -> None:
        """The address was given away without `take`."""
        stock = self._stocks[pool]
        stock.free.pop(address, None)
        stock.doubtful.pop(address, None)

    def give_back(self, pool: Pool) -> None:
        """An offer was not taken. Its address is found again in the next round, behind all the
        others: of several members that offer, one is chosen, and what the others offered should
        not go to the next client while the first may still change its mind."""
        self._stocks[pool].returned = True

    def _note_doubtful(self, stock: _PoolStock, rows: Collection[Binding], now: int) -> set[int]:
        """Addresses that may be in use still, by what is remembered of their clients."""
        doubtful = {
            row.address
            for row in rows
            if self._may_be_in_use(row, now) and not self._is_kept(row.address)
        }
        self._doubt(stock, doubtful)
        return doubtful

    def _doubt(self, stock: _PoolStock, addresses: Iterable[int]) -> None:
        for address in sorted(addresses):
            if self._offers.is_offered(address):
                continue
            if len(stock.doubtful) >= DOUBTFUL_MAX:
                stock.left_out = True
                break
            stock.doubtful[address] = None

    def _read_on(self, tx: StoreTransaction, stock: _PoolStock, now: int) -> None:
        pool, start = stock.pool, stock.cursor
        window_end = min(start + RANGE_WINDOW - 1, pool.last)
        for one in tx.address_ranges(start, window_end):
            if self._ownership.is_own(one):
                first = max(one.first, start)
                last = min(one.last, window_end, first + FREE_CHUNK - 1)
                self._read_chunk(tx, stock, first, last, one.epoch, now)
                break
        else:
            last = window_end
        stock.seen += last + 1 - start
        stock.cursor = pool.first if last == pool.last else last + 1

    def _read_chunk(
        self, tx: StoreTransaction, stock: _PoolStock, first: int, last: int, epoch: int, now: int
    ) -> None:
        taken: Collection[int] = set(tx.bound_addresses(first, last, 0))
        if taken:
            # A row of an older epoch leaves its address free, unless a lease that came to light
            # only after the poll still runs there.
            current = set(tx.bound_addresses(first, last, epoch))
            older = set(taken) - current
            rows = tx.bindings_by_address(older).values() if older else ()
            taken = current | {row.address for row in rows if keeps_address(row, now)}
            if self._tried is not None and stock.policy is not ProbePolicy.NEVER:
                taken = {*taken, *self._note_doubtful(stock, rows, now)}
        free = [
            # An offered address is not read: if its offer lapses it is given back.
            address
            for address in range(first, last + 1)
            if not (address in taken or self._is_kept(address) or self._offers.is_offered(address))
        ]
        if self._tried is not None and stock.policy is not ProbePolicy.NEVER:
            if self._tries_all(stock, now):
                doubted = free
            else:
                doubted = [address for address in free if address in self._refused]
            if doubted:
                self._doubt(stock, doubted)
                free = sorted(set(free) - set(doubted))
        stock.free.update(dict.fromkeys(free))


def keeps_address(row: Binding, now: int) -> bool:
    """Whether a row of whatever epoch forbids to give its address to another client."""
    given_back = row.state is BindingState.RELEASED and row.is_settled
    return not given_back and row.expires_at > now


def may_be_in_use(row: Binding, now: int, recent_s: int) -> bool:
    """Whether somebody may be using the address of a row that is over: its client, not long ago,
    or whoever was found there when it was declined or tried."""
    if row.state is BindingState.UNAVAILABLE or row.is_declined:
        return True
    ended_at = row.transaction_at if row.state is BindingState.RELEASED else row.expires_at
    return ended_at + min(recent_s, RECENT_LEASE_MAX_S) > now
