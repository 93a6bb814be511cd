"""What a plan means for clients by what a member knows: it is asked before anything is written.

Whose leases are left outside of every pool (what becomes of their clients, `outside-pools` of the
subnet says), and where addresses that may be in use are given untried.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from agent.former import untried
from agent.kinds.subnet import OutsidePolicy
from agent.model import ConfigRow, Pool, Reservation, Subnet, format_address
from agent.settings.configuration import Configuration
from agent.snmp.columns import BINDING
from tools.lease.lease import read_lease
from tools.manager import Session
from tools.status import former_servers

_SHOWN = 3
LEASES_COUNTED_MAX = 10_000
"""So many are counted exactly: with more the operator knows enough, and has waited a second."""
_OCTETS = 4
_WHAT_BECOMES = {
    OutsidePolicy.RUN_OUT: "is not answered when it renews, and gets another address when the lease"
    ' is over (outside-pools = "nak" has it move at its renewal)',
    OutsidePolicy.NAK: "is told NAK when it renews, and begins anew, once another address is free"
    ' for it (outside-pools = "run-out" leaves it alone until the lease is over)',
}


def addresses_left(present: Iterable[ConfigRow], wanted: Iterable[ConfigRow]) -> list[range]:
    """The addresses of pools that are in service, and of none afterwards; in order."""
    after = sorted((p.first, p.last) for p in wanted if isinstance(p, Pool) and p.active)
    left = []
    for pool in sorted((p for p in present if isinstance(p, Pool) and p.active), key=_first):
        at = pool.first
        for first, last in after:
            if last < at or first > pool.last:
                continue
            if first > at:
                left.append(range(at, first))
            at = last + 1
        if at <= pool.last:
            left.append(range(at, pool.last + 1))
    return left


def _first(pool: Pool) -> int:
    return pool.first


def leases_outside(
    manager: Session, present: Iterable[ConfigRow], wanted: Iterable[ConfigRow]
) -> list[str]:
    """Lines to be shown; none where no client has such a lease. What is reserved is renewed, or
    refused for another client, as before."""
    wanted = list(wanted)
    left = addresses_left(present, wanted)
    reserved = {row.address for row in wanted if isinstance(row, Reservation) and row.active}
    live = (one for one in _bound(manager, left) if one not in reserved)
    known = Configuration.from_rows(wanted)
    of_policy: dict[OutsidePolicy, list[int]] = {policy: [] for policy in OutsidePolicy}
    for address in islice(live, LEASES_COUNTED_MAX + 1):
        subnet = known.subnet_of(address)
        of_policy[subnet.outside if subnet else OutsidePolicy.RUN_OUT].append(address)
    lines: list[str] = []
    for policy, found in of_policy.items():
        if found:
            lines += _told(manager, found, _WHAT_BECOMES[policy])
    return lines


def _told(manager: Session, found: list[int], what_becomes: str) -> Iterator[str]:
    many = len(found) > LEASES_COUNTED_MAX
    number = f"more than {LEASES_COUNTED_MAX}" if many else f"{len(found)}"
    yield (
        f"{number} live lease{'' if len(found) == 1 else 's'} outside of the pools as they are to"
        f" be: a client of such a one {what_becomes}"
    )
    for address in found[:_SHOWN]:
        lease = read_lease(manager, address)
        if lease is not None:
            client = lease.hardware_address or lease.client_id
            host = f" ({lease.host_name})" if lease.host_name else ""
            yield f"  {format_address(address)} of {client}{host} until {lease.end}"
    if len(found) > _SHOWN:
        yield f"  and others, up to {format_address(found[-1])}"


def subnets_untried(manager: Session, wanted: Iterable[ConfigRow]) -> list[str]:
    """A line for each subnet in which addresses are given untried, although leases of a former
    server may run there."""
    rows, ends = former_servers(manager)
    subnets = [row for row in wanted if isinstance(row, Subnet)]
    return [
        f'subnet {network}: with probe = "never" its addresses are given untried, although leases'
        f" of a former server may run there until {ends[left]}"
        for network, left in untried(Configuration.from_rows([*rows, *subnets]), 0)
    ]


def _bound(manager: Session, left: Iterable[range]) -> Iterator[int]:
    names = BINDING["State"].syntax.names
    for addresses in left:
        for head in heads(addresses):
            rows = manager.below(BINDING["State"], head, LEASES_COUNTED_MAX + 1)
            for rest, state in rows.items():
                address = int.from_bytes(bytes((*head, *rest)), "big")
                is_bound = names.get(state if isinstance(state, int) else 0) == "bound"
                if is_bound and address in addresses:
                    yield address


def heads(addresses: range) -> Iterator[tuple[int, ...]]:
    """What the addresses begin with: as few heads of one, two or three octets as cover them, so
    that each is one walk; a head of three may cover others too."""
    at = addresses.start
    while at < addresses.stop:
        octets = 3
        while octets > 1:
            size = 1 << 8 * (_OCTETS - octets + 1)
            if at % size or at + size > addresses.stop:
                break
            octets -= 1
        yield tuple(at.to_bytes(_OCTETS, "big")[:octets])
        size = 1 << 8 * (_OCTETS - octets)
        at = at // size * size + size
