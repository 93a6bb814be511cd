"""Lease times and timers by scope (RFC 2131 4.4.5; RFC 2132 9.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.kinds.scope import (
    GLOBAL,
    Scope,
    host_scope,
    network_scope,
    pool_scope,
    subnet_scope,
)
from agent.model import INFINITE_S, ConfigRow, Pool, Reservation, Setting, SettingName, Subnet
from agent.settings.times import LeaseTimes, longest_lease
from agent.settings.validate import validate_configuration
from tests.dhcp.world import LEASE, A, Client, World, bindable

FAR = Subnet(A("10.1.0.0"), 24, shared_network="halls")
POOL = Pool(A("10.1.0.100"), A("10.1.0.109"))
KEPT = Reservation(A("10.1.0.105"), Client(1).key)
ROWS: list[ConfigRow] = [FAR, POOL, KEPT]
SCOPES = [
    GLOBAL,
    network_scope("halls"),
    subnet_scope(FAR.network, 24),
    pool_scope(POOL.first, POOL.last),
    host_scope(KEPT.address),
]
FAR_CLIENT = Client(1, relay=A("10.1.0.1"))
durations = st.integers(10, 10**6)


def make_world(*settings: Setting) -> World:
    return World(rows=[*ROWS, *settings], ranges=[bindable(POOL.first, POOL.last)])


@pytest.mark.parametrize("level", range(1, 6))
def test_the_most_specific_scope_that_has_a_lease_time_decides(level: int) -> None:
    settings = [Setting(*s, SettingName.LEASE, 1000 + n) for n, s in enumerate(SCOPES[:level])]
    offer = make_world(*settings).one(FAR_CLIENT.discover())
    assert offer.address == KEPT.address
    assert offer.lease_s == 1000 + level - 1


def test_two_pools_of_a_subnet_have_times_of_their_own() -> None:
    pools = Pool(POOL.first, POOL.first), Pool(POOL.last, POOL.last)
    times = [
        Setting(*pool_scope(p.first, p.last), SettingName.LEASE, 100 + n)
        for n, p in enumerate(pools)
    ]
    free = [bindable(POOL.first, POOL.first), bindable(POOL.last, POOL.last)]
    world = World(rows=[FAR, *pools, *times], ranges=free)
    offers = [world.one(Client(n, relay=A("10.1.0.1")).discover()) for n in (1, 2)]
    assert {(o.address, o.lease_s) for o in offers} == {(POOL.first, 100), (POOL.last, 101)}


@pytest.mark.parametrize(
    ("asked", "given_s"), [(None, 3000), (900, 900), (5, 600), (5000, 5000), (99_999, 7200)]
)
def test_what_a_client_asks_for_is_kept_within_its_bounds(asked: int | None, given_s: int) -> None:
    world = make_world(
        Setting(*GLOBAL, SettingName.LEASE, 3000),
        Setting(*SCOPES[2], SettingName.MIN_LEASE, 600),
        Setting(*SCOPES[3], SettingName.MAX_LEASE, 7200),
    )
    wish = {} if asked is None else {"o51": asked.to_bytes(4, "big")}
    assert world.one(FAR_CLIENT.discover(**wish)).lease_s == given_s


def test_t1_and_t2_are_as_they_are_set() -> None:
    world = make_world(
        Setting(*GLOBAL, SettingName.RENEWAL, 300), Setting(*SCOPES[2], SettingName.REBINDING, 900)
    )
    offer = world.one(FAR_CLIENT.discover())
    assert (offer.lease_s, offer.seconds(58), offer.seconds(59)) == (LEASE, 300, 900)
    short = world.one(FAR_CLIENT.discover(o51=(600).to_bytes(4, "big")))
    assert (short.seconds(58), short.seconds(59)) == (300, 525), "T2 is set beyond this lease"


def test_a_setting_that_is_out_of_service_does_not_count() -> None:
    world = make_world(Setting(*GLOBAL, SettingName.LEASE, 120, active=False))
    assert world.one(FAR_CLIENT.discover()).lease_s == LEASE


@given(st.integers(0, 2**32 - 1), durations)
def test_without_bounds_wishes_only_shorten(wish: int, lease_s: int) -> None:
    given_s = LeaseTimes().wanted(lease_s, wish.to_bytes(4, "big"))
    assert min(60, lease_s) <= given_s <= lease_s
    assert LeaseTimes().wanted(lease_s, None) == LeaseTimes().wanted(lease_s, b"\0") == lease_s


@given(st.tuples(*[st.integers(0, 9999)] * 2), durations)
def test_timers_are_in_order(set_: tuple[int, int], lease_s: int) -> None:
    renewal, rebinding = LeaseTimes(renewal=set_[0], rebinding=set_[1]).timers(lease_s)
    assert 0 < renewal < rebinding < lease_s


def test_the_longest_lease_is_of_all_that_was_ever_said() -> None:
    rows = [
        Setting(*GLOBAL, SettingName.LEASE, 900),
        Setting(*SCOPES[3], SettingName.MAX_LEASE, 950),
    ]
    assert longest_lease(600, [*ROWS, *rows, Setting(*GLOBAL, SettingName.RENEWAL, 9999)]) == 950
    assert longest_lease(INFINITE_S, rows) == INFINITE_S


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ([(2, SettingName.LEASE, 9)], "9 s is too short; at least 10 s"),
        ([(2, SettingName.RENEWAL, 0)], "value: is 0 s; may be 1"),
        ([(0, SettingName.LEASE, 100), (2, SettingName.MIN_LEASE, 200)], "subnet 10.1.0.0/24:min"),
        ([(0, SettingName.LEASE, 100), (4, SettingName.MAX_LEASE, 50)], "lease of 100 s and a max"),
        ([(3, SettingName.MIN_LEASE, 100), (2, SettingName.MAX_LEASE, 50)], "min-lease of 100 s"),
        ([(2, SettingName.RENEWAL, 50), (0, SettingName.REBINDING, 50)], "renewal < rebinding"),
        ([(2, SettingName.REBINDING, 500), (1, SettingName.LEASE, 500)], "rebinding of 500 s and"),
    ],
)
def test_times_that_cannot_hold_together_are_refused(
    settings: list[tuple[int, SettingName, int]], problem: str
) -> None:
    rows = [(Setting(*SCOPES[level], name, value), False) for level, name, value in settings]
    with pytest.raises(ConfigError) as error:
        validate_configuration(ROWS, rows, lambda *_: 0)
    assert problem in str(error.value)


def test_a_scope_that_is_none_is_refused() -> None:
    row = Setting(*Scope(*network_scope("hall")), SettingName.LEASE, 100)
    with pytest.raises(ConfigError, match="names nothing that is configured"):
        validate_configuration(ROWS, [(row, False)], lambda *_: 0)
