"""The replicated configuration as one value that the engine looks things up in, and the resolver of
what a client is told (`Configuration.options_for`).

Two members may be changed at once, so a lookup bears any mixture: a pool without its subnet simply
serves nobody.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from agent.kinds.former_server import FormerServer
from agent.kinds.scope import (
    GLOBAL,
    PRECEDENCE,
    Scope,
    ScopeLevel,
    host_scope,
    network_scope,
    pool_scope,
    subnet_scope,
)
from agent.model import (
    ConfigRecord,
    ConfigRow,
    Option,
    Pool,
    Reservation,
    Setting,
    SettingName,
    Subnet,
)
from agent.settings.times import LeaseTimes, lease_times


@dataclass(frozen=True)
class Configuration:
    """The active rows, in order of address; built once for each configuration version."""

    subnets: tuple[Subnet, ...] = ()
    pools: tuple[Pool, ...] = ()
    options: tuple[Option, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    settings: tuple[Setting, ...] = ()
    former_servers: tuple[FormerServer, ...] = ()
    _by_scope: dict[Scope, dict[int, bytes]] = field(default_factory=dict, repr=False)
    _by_address: dict[int, Reservation] = field(default_factory=dict, repr=False)
    _by_client: dict[bytes, tuple[Reservation, ...]] = field(default_factory=dict, repr=False)

    @cached_property
    def _pool_firsts(self) -> tuple[int, ...]:
        return tuple(pool.first for pool in self.pools)

    @classmethod
    def from_rows(cls, rows: Iterable[ConfigRow]) -> Configuration:
        """Index the active ones of `rows` (deleted rows must not be among them)."""
        active = [row for row in rows if row.active]
        subnets = sorted((r for r in active if isinstance(r, Subnet)), key=lambda r: r.network)
        pools = sorted((r for r in active if isinstance(r, Pool)), key=lambda r: r.first)
        options = sorted(
            (r for r in active if isinstance(r, Option)),
            key=lambda r: (r.place, r.code),
        )
        reservations = sorted(
            (r for r in active if isinstance(r, Reservation)), key=lambda r: r.address
        )
        by_scope: dict[Scope, dict[int, bytes]] = {}
        for option in options:
            by_scope.setdefault(option.place, {})[option.code] = option.data
        by_client: dict[bytes, tuple[Reservation, ...]] = {}
        for row in reservations:
            by_client[row.client_key] = (*by_client.get(row.client_key, ()), row)
        return cls(
            tuple(subnets),
            tuple(pools),
            tuple(options),
            tuple(reservations),
            tuple(r for r in active if isinstance(r, Setting)),
            tuple(r for r in active if isinstance(r, FormerServer)),
            by_scope,
            {row.address: row for row in reservations},
            by_client,
        )

    @classmethod
    def from_records(cls, records: Iterable[ConfigRecord]) -> Configuration:
        return cls.from_rows(record.row for record in records if not record.deleted)

    def subnet_of(self, address: int) -> Subnet | None:
        """The subnet that contains `address`. Should a merge have left overlapping ones, the
        one that begins last (the most specific) is taken."""
        at = bisect_right(self.subnets, address, key=lambda subnet: subnet.network)
        for subnet in reversed(self.subnets[:at]):
            if address in subnet:
                return subnet
        return None

    def on_link_with(self, subnet: Subnet) -> tuple[Subnet, ...]:
        """Those of its shared network, itself among them; nothing where it is in none."""
        name = subnet.shared_network
        return self._by_shared_network.get(name, ()) if name else ()

    @cached_property
    def _by_shared_network(self) -> dict[str, tuple[Subnet, ...]]:
        found: dict[str, tuple[Subnet, ...]] = {}
        for subnet in self.subnets:
            found[subnet.shared_network] = (*found.get(subnet.shared_network, ()), subnet)
        return found

    def pools_of(self, subnet: Subnet) -> tuple[Pool, ...]:
        """The pools that lie wholly inside `subnet`."""
        return tuple(
            pool for pool in self.pools if subnet.first <= pool.first and pool.last <= subnet.last
        )

    def pools_beside(self, pool: Pool) -> list[Pool]:
        """The other pools of which the same clients get addresses: those of its subnet, and of the
        subnets on its link."""
        home = self.subnet_of(pool.first)
        if home is None:
            return []
        subnets = self.on_link_with(home) or (home,)
        return [one for subnet in subnets for one in self.pools_of(subnet) if one != pool]

    def pool_of(self, address: int) -> Pool | None:
        at = bisect_right(self._pool_firsts, address)
        return self.pools[at - 1] if at and address <= self.pools[at - 1].last else None

    def reservation_of(self, address: int) -> Reservation | None:
        return self._by_address.get(address)

    def has_reservation(self, client_key: bytes) -> bool:
        """In any subnet."""
        return client_key in self._by_client

    def reservation_for(self, client_key: bytes, subnet: Subnet) -> Reservation | None:
        """The reservation of a client in `subnet`."""
        for reservation in self._by_client.get(client_key, ()):
            if reservation.address in subnet:
                return reservation
        return None

    def former_leases_end(self, first: int, last: int) -> int:
        """Up to when leases of a former server may run in first..last: as the longest prefix says
        that holds all of it, or the latest of those that lie in it, if that is later."""
        touching = [r for r in self.former_servers if r.first <= last and first <= r.last]
        around = [r for r in touching if r.first <= first and last <= r.last]
        longest = max(around, key=lambda r: r.prefix_length, default=None)
        inside = [r for r in touching if r not in around]
        return max((r.until for r in [*inside, longest] if r is not None), default=0)

    @cached_property
    def tells_pools_apart(self) -> bool:
        """Whether it matters in which pool of its subnet an address lies."""
        scopes = [*self._by_scope, *self._settings_by_scope]
        return any(scope.level is ScopeLevel.POOL for scope in scopes)

    @cached_property
    def _settings_by_scope(self) -> dict[Scope, dict[SettingName, int]]:
        found: dict[Scope, dict[SettingName, int]] = {}
        for row in self.settings:
            found.setdefault(row.place, {})[row.name] = row.value
        return found

    def options_for(
        self, subnet: Subnet, pool: Pool | None = None, host: int | None = None
    ) -> dict[int, bytes]:
        """Options by code for a client of `subnet` with an address of `pool`, and of reservation
        `host`, if it has one: the most specific scope wins."""
        found: dict[int, bytes] = {}
        for scope in scopes_of(subnet, pool, host):
            found |= self._by_scope.get(scope, {})
        return found

    def times_for(
        self, subnet: Subnet, pool: Pool | None = None, host: int | None = None
    ) -> LeaseTimes:
        """As `options_for`."""
        found: dict[SettingName, int] = {}
        for scope in scopes_of(subnet, pool, host):
            found |= self._settings_by_scope.get(scope, {})
        return lease_times(found)


def scopes_of(subnet: Subnet, pool: Pool | None, host: int | None) -> list[Scope]:
    """The scopes that a client is in, from the widest to the most specific one."""
    scopes = {
        ScopeLevel.GLOBAL: GLOBAL,
        ScopeLevel.SUBNET: subnet_scope(subnet.network, subnet.prefix_length),
    }
    if subnet.shared_network:
        scopes[ScopeLevel.SHARED_NETWORK] = network_scope(subnet.shared_network)
    if pool is not None:
        scopes[ScopeLevel.POOL] = pool_scope(pool.first, pool.last)
    if host is not None:
        scopes[ScopeLevel.HOST] = host_scope(host)
    return [scopes[level] for level in PRECEDENCE if level in scopes]
