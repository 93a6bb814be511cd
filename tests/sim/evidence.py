"""What a judge of the simulator is shown: a small world, built by hand."""

from __future__ import annotations

from dataclasses import replace

from agent.model import (
    AddressRange,
    AddressState,
    Binding,
    Group,
    Member,
    MemberState,
    Nonce,
)
from tests.sync.lan import make_binding
from tools.simulator.checkers import Evidence, Shadow
from tools.simulator.disk import Content, Journal

NOW_S = 1_700_000_000
ADDRESS = 198 << 24 | 18 << 16 | 0x1000


def make_group(generation: int, *members: int, **changes: object) -> Group:
    listed = tuple(Member(n, f"m{n}", n, 161, bytes([n] * 5)) for n in members)
    group = Group("g", generation, 60, 600, listed)
    return replace(group, **changes)  # type: ignore[arg-type]


def make_evidence() -> Evidence:
    """Three members that serve, in true time NOW_S."""
    evidence = Evidence(lambda: NOW_S * 1000)
    for number in (1, 2, 3):
        shadow = Shadow(number, f"m{number}", lambda: 0)
        shadow.group, shadow.serving = make_group(1, 1, 2, 3), True
        evidence.shadows[number] = shadow
    return evidence


def owned(member: int, epoch: int = 1, address: int = ADDRESS) -> AddressRange:
    return AddressRange(address, address, AddressState.BINDABLE, epoch, member, Nonce(0, 0), 0)


def lease(client: int, **changes: object) -> Binding:
    hardware_address = bytes([client] * 6)
    row = make_binding(ADDRESS, NOW_S)._replace(
        client_key=b"\x00\x01" + hardware_address, hardware_address=hardware_address
    )
    return row._replace(**changes)  # type: ignore[arg-type]


def commit(evidence: Evidence, member: int, **journal: object) -> None:
    evidence.committed(member, Journal(**journal))  # type: ignore[arg-type]


def store_of(member: int, group: Group | None, *ranges: AddressRange) -> Content:
    return Content({}, list(ranges), group, True, 1, {}, member << 32 | 1, 0)


def remove_the_third(e: Evidence) -> None:
    """The last to bind the address to client 1, whose lease is over."""
    removed = make_group(2, 1, 2, 3)
    gone = replace(removed.members[2], state=MemberState.REMOVED)
    commit(e, 1, merged=[lease(1, transaction_server=3, expires_at=NOW_S - 9)])
    commit(e, 1, groups=[replace(removed, members=(*removed.members[:2], gone))])
