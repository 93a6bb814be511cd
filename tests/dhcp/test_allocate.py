"""The bounds of what is kept in memory: offers by number and time, free addresses by chunk."""

from __future__ import annotations

from agent.dhcp.allocate import FreeStock, Offers, Ownership
from agent.dhcp.decline import DeclineLimiter
from agent.limits import (
    DECLINE_HOLD_S,
    DECLINES_MAX,
    DECLINES_PER_LINK_MAX,
    FREE_CHUNK,
    OFFER_HOLD_S,
)
from agent.model import AddressRange, Pool
from store.database import Store
from tests.dhcp.world import FIRST, LAST, NOW, A, bindable

WIDE = Pool(A("10.0.0.1"), A("10.255.255.254"))


def test_the_oldest_offer_goes_first_when_there_are_too_many() -> None:
    offers = Offers(offers_max=3)
    for number in range(3):
        assert offers.put(b"c%d" % number, FIRST + number, True, 0) == []
    offers.put(b"c0", FIRST, True, 10)  # c0 asks again and is young now
    gone = offers.put(b"c3", FIRST + 3, True, 20)
    assert [offer.address for offer in gone] == [FIRST + 1]
    assert len(offers) == 3
    assert not offers.is_offered(FIRST + 1)
    assert offers.of_client(b"c1") is None


def test_offers_end_in_time_and_a_client_has_one() -> None:
    offers = Offers()
    offers.put(b"c", FIRST, True, 0)
    assert [offer.address for offer in offers.put(b"c", FIRST + 1, True, 500)] == [FIRST]
    assert offers.held_for_other(FIRST + 1, b"d")
    assert not offers.held_for_other(FIRST + 1, b"c")
    assert offers.remove_due(OFFER_HOLD_S * 1000 + 499) == []
    assert [offer.address for offer in offers.remove_due(OFFER_HOLD_S * 1000 + 500)] == [FIRST + 1]
    assert len(offers) == 0


class CountingStore:
    """Counts the reads of one transaction."""

    def __init__(self, ranges: list[AddressRange]) -> None:
        self.store = Store.in_memory()
        with self.store.write() as tx:
            tx.replace_address_ranges([], ranges)
        self.reads = 0

    def take(self, stock: FreeStock, pool: Pool) -> int | None:
        with self.store.read() as tx:
            read = tx.address_ranges

            def counted(first: int, last: int) -> list[AddressRange]:
                self.reads += 1
                return read(first, last)

            tx.address_ranges = counted  # type: ignore[method-assign]
            return stock.take(tx, pool, NOW)


def stock_of(pool: Pool) -> FreeStock:
    return FreeStock([pool], Ownership(1), Offers(), lambda _: False)


def test_a_far_range_of_a_wide_pool_is_found_in_bounded_steps() -> None:
    far = bindable(A("10.200.0.0"), A("10.200.0.3"))
    counting, stock = CountingStore([far]), stock_of(WIDE)
    assert [counting.take(stock, WIDE) for _ in range(4)] == list(range(far.first, far.last + 1))
    assert counting.reads <= 1024
    assert counting.take(stock, WIDE) is None
    reads = counting.reads
    assert reads <= 1030
    assert counting.take(stock, WIDE) is None
    assert counting.reads == reads, "an exhausted pool is not searched again"


def test_only_one_chunk_is_read_ahead() -> None:
    pool = Pool(FIRST, FIRST + 10 * FREE_CHUNK)
    counting, stock = CountingStore([bindable(pool.first, pool.last)]), stock_of(pool)
    for number in range(FREE_CHUNK):
        assert counting.take(stock, pool) == FIRST + number
    assert counting.reads == 1
    assert counting.take(stock, pool) == FIRST + FREE_CHUNK
    assert counting.reads == 2


def test_ranges_of_others_are_no_stock() -> None:
    pool = Pool(FIRST, LAST)
    counting, stock = CountingStore([bindable(FIRST, LAST, member=2)]), stock_of(pool)
    assert counting.take(stock, pool) is None


def test_declines_are_capped_by_link_pool_and_number() -> None:
    limiter = DeclineLimiter()
    big = Pool(A("10.0.0.1"), A("10.0.255.254"))
    admitted = sum(limiter.admit(b"c%d" % n, b"circuit", big, NOW) for n in range(1000))
    assert admitted == DECLINES_PER_LINK_MAX
    limiter = DeclineLimiter()
    small = Pool(FIRST, FIRST + 79)
    assert sum(limiter.admit(b"c%d" % n, n, small, NOW) for n in range(1000)) == 10
    limiter = DeclineLimiter()
    assert sum(limiter.admit(b"c%d" % n, n, None, NOW) for n in range(9999)) == DECLINES_MAX
    assert not limiter.admit(b"new", -1, None, NOW + DECLINE_HOLD_S - 1)
    assert limiter.admit(b"new", -1, None, NOW + DECLINE_HOLD_S)
