"""The judges of liveness: what must come by itself once everything is healed.

They share no code with the rules. Each looks at a fixed time after healing, at what lies on the
disks and at what clients have been given; `judge` lets the time pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.model import (
    AddressState,
    Binding,
    BindingState,
    MemberRole,
    MemberState,
    Pool,
    format_address,
)
from tools.simulator.checkers import Shadow, ViolationError
from tools.simulator.clients import State
from tools.simulator.disk import Content
from tools.simulator.members import POOL_FIRST

if TYPE_CHECKING:
    from tools.simulator.clients import Client
    from tools.simulator.run import Simulation

HEALED_S = 60
QUIET_S = 5
"""A row that was changed so lately may still be on its way."""
NEW_CLIENT_S = 4
_EXHAUSTED_EVERY = 2
"""The pool is emptied to the last address in every so many seeds: it is work for an hour."""
EXHAUSTED_S = 900
_NEW_CLIENTS = 2
_TO_ANOTHER = (AddressState.PROMISED, AddressState.TRANSFERRING)
_TALKING = (State.BOUND, State.RENEWING, State.REBINDING)


def judge(sim: Simulation) -> None:
    """Let a healed group run, and judge it. Raises ViolationError."""
    world, p = sim.world, sim.parameters
    healed_ms = world.now_ms
    world.run_until(healed_ms + HEALED_S * 1000)
    check_serving(sim)
    judge_disks(sim)
    holders = [c for c in sim.clients if _keeps_its_lease(sim, c)]
    lost = {client.name: client.leases_lost for client in holders}
    judge_new_clients(sim)
    world.run_until(world.now_ms + p.lease_s * 1000 * 2 // 3)
    for client in holders:
        sim.evidence.judged["L1"] += 1
        address = client.lease.address if client.lease else 0
        excused = sim.evidence.exposed or sim.disks_were_lost
        if client.leases_lost > lost[client.name] and not excused:
            raise ViolationError(
                f"L1: {client.name} has lost its lease with every member in reach, and has "
                f"{format_address(address)} now"
            )
    check_addresses_return(sim)
    check_promises_end(sim)
    judge_stock(sim)
    judge_conservation(sim)


def _keeps_its_lease(sim: Simulation, client: Client) -> bool:
    """Not where an operator reserved its address for another, or another one for it: that client's
    lease is to end."""
    lease = client.lease
    if lease is None or client.state not in _TALKING or not client.holds(sim.world.now_ms):
        return False
    return lease.address not in sim.reserved and client.hardware_address not in sim.reserved_for


def check_serving(sim: Simulation) -> None:
    """L6. A store that was lost takes MUL longer; where no member has kept its own, all of them
    wait for the longest lease."""
    if sim.disks_were_lost or sim.evidence.groups.out or sim.newest_group().generation > 1:
        wait_s = sim.parameters.mul_s
        if all(not shadow.serving for shadow in sim.evidence.shadows.values()):
            wait_s = sim.parameters.lease_s
        sim.world.run_until(sim.world.now_ms + (wait_s + HEALED_S) * 1000)
    sim.evidence.judged["L6"] += 1
    serving = [member for member in sim.members if member.is_serving()]
    sim.counters["members serving"] += len(serving)
    current = {one.member for one in sim.newest_group().members} - sim.evidence.groups.out
    idle = [m.name for m in sim.members if m not in serving and m.member in current]
    if idle:
        raise ViolationError(f"L6: {', '.join(idle)} of the group do not serve")


# --- L3, L5, L7, I12: the disks


def judge_disks(sim: Simulation) -> None:
    members = [member for member in sim.members if member.is_serving()]
    contents = {member.name: member.disk.content() for member in members}
    offsets = {member.name: member.offset_ms for member in members}
    check_equal_networks(sim, contents)
    check_equal_tables(sim, contents, offsets)
    check_pushed(sim, contents)
    check_one_generation(sim, contents)
    check_conservation(sim, contents)
    check_addresses_return(sim)


def check_equal_networks(sim: Simulation, contents: dict[str, Content]) -> None:
    """L3: and the same pools."""
    for name, content in contents.items():
        sim.evidence.judged["L3 pools"] += 1
        first = next(iter(contents))
        if content.pools != contents[first].pools:
            raise ViolationError(
                f"L3: {first} has the pools {contents[first].pools}, {name} has {content.pools}"
            )


def check_equal_tables(
    sim: Simulation, contents: dict[str, Content], offsets: dict[str, int]
) -> None:
    """L3: all members hold the same rows, but for those that were changed a moment ago."""
    names = list(contents)
    now_s = sim.world.now_ms // 1000
    for address in sorted(set().union(*(c.bindings for c in contents.values()))):
        held = [contents[name].bindings.get(address) for name in names]
        changed = [
            row.transaction_at - offsets[name] // 1000
            for name, row in zip(names, held, strict=True)
            if row is not None
        ]
        if max(changed) > now_s - QUIET_S:
            continue
        sim.evidence.judged["L3"] += 1
        for name, row in zip(names[1:], held[1:], strict=True):
            problem = difference(held[0], row)
            if problem:
                raise ViolationError(
                    f"L3: {names[0]} and {name} differ in {format_address(address)}: {problem}"
                )


def difference(one: Binding | None, other: Binding | None) -> str:
    """In what two members' rows of an address disagree; instants differ as clocks do."""
    if one is None or other is None:
        return "one has no row"
    for name in ("client_key", "state", "epoch", "grant", "transaction_server", "stream", "seq"):
        if getattr(one, name) != getattr(other, name):
            return f"{name} {getattr(one, name)!r} and {getattr(other, name)!r}"
    return ""


def check_pushed(sim: Simulation, contents: dict[str, Content]) -> None:
    """L5: what a member has bound is known to be recorded by all others, but for the latest."""
    now_s = sim.world.now_ms // 1000
    if len(contents) < 2:
        return  # alone, everything is with everybody
    for member in sim.members:
        content = contents.get(member.name)
        if content is None:
            continue
        offset_s = member.offset_ms // 1000
        for row in content.bindings.values():
            if row.stream != content.own_stream or row.state is not BindingState.BOUND:
                continue
            if row.transaction_at - offset_s > now_s - QUIET_S:
                continue
            sim.evidence.judged["L5"] += 1
            if row.seq > content.own_acknowledged:
                raise ViolationError(
                    f"L5: {format_address(row.address)}, change {row.seq} of {member.name}, is not "
                    f"PUSHED: acknowledged is {content.own_acknowledged}"
                )


def check_one_generation(sim: Simulation, contents: dict[str, Content]) -> None:
    """L7: no change of the group is left half done."""
    sim.evidence.judged["L7"] += 1
    groups = {name: content.group for name, content in contents.items()}
    if len({group.generation for group in groups.values() if group}) > 1:
        told = {name: group.generation if group else 0 for name, group in groups.items()}
        raise ViolationError(f"L7: generations differ: {told}")


def check_conservation(sim: Simulation, contents: dict[str, Content]) -> None:
    """I12: each pool address is in one class at each member, and none is stuck on its way."""
    for name, content in contents.items():
        last = -1
        for r in content.ranges:
            sim.evidence.judged["I12"] += 1
            if r.first <= last:
                raise ViolationError(f"I12: ranges of {name} overlap at {format_address(r.first)}")
            last = r.last
            if r.state is AddressState.TRANSFERRING:
                raise ViolationError(
                    f"I12: {format_address(r.first)}..{format_address(r.last)} of {name} is still "
                    f"{r.state.name} to m{r.member}, generation {r.generation}"
                )


def check_addresses_return(sim: Simulation) -> None:
    """L8: what a member that is out had, can be polled for again when its rest is over."""
    now_ms = sim.world.now_ms
    for address, (until_ms, gone) in sim.evidence.groups.quarantine.items():
        if gone not in sim.evidence.groups.out or until_ms + HEALED_S * 1000 > now_ms:
            continue
        sim.evidence.judged["L8"] += 1
        for shadow in sim.evidence.shadows.values():
            for r in shadow.ranges.values() if shadow.serving else ():
                if r.first <= address <= r.last and r.member == gone:
                    raise ViolationError(
                        f"L8: {format_address(address)} is still {r.state.name} to m{gone}, which "
                        f"is out, at {shadow.name}"
                    )


def check_promises_end(sim: Simulation) -> None:
    """L8: nor is anything promised to one that is out, MUL after whoever has promised it learned
    of that."""
    groups, now_ms = sim.evidence.groups, sim.world.now_ms
    mul_s = sim.newest_group().longest_mul_s
    if now_ms < groups.changed_ms + (mul_s + HEALED_S) * 1000:
        return
    for shadow in sim.evidence.shadows.values():
        for r in shadow.ranges.values() if shadow.serving else ():
            sim.evidence.judged["L8 promises"] += 1
            if r.state in _TO_ANOTHER and r.member in groups.out:
                raise ViolationError(
                    f"L8: {format_address(r.first)} is still {r.state.name} to m{r.member}, which "
                    f"is out, at {shadow.name}"
                )


# --- L2


def judge_new_clients(sim: Simulation) -> None:
    """L2: a client that nobody knows is served within 4 s where somebody has an address for each
    of those that come at once: the last address of every member is on offer to the first."""
    free = max(
        (
            sum(
                1
                for first, last, _ in shadow.owned
                for address in range(first, last + 1)
                if sim.link_of(address) == 0 and shadow.owns(address) is not None
            )
            for shadow in sim.evidence.shadows.values()
            if shadow.serving
        ),
        default=0,
    )
    number = max((client.number for client in sim.plan.clients), default=0) + 1
    newcomers: list[Client] = [sim.add_client(number + i) for i in range(_NEW_CLIENTS)]
    for client in newcomers:
        client.start()
    sim.world.run_until(sim.world.now_ms + NEW_CLIENT_S * 1000)
    for client in newcomers:
        sim.evidence.judged["L2"] += 1
        if client.lease is None and free >= 2 * _NEW_CLIENTS and not sim.liars:
            raise ViolationError(
                f"L2: {client.name} has no lease after {NEW_CLIENT_S} s, and a member has {free} "
                "free addresses"
            )


# --- I12: nothing is lost


def judge_conservation(sim: Simulation) -> None:
    """I12: each address of the pool is with a client, resting, UNAVAILABLE, or can be had. Asked of
    the group itself: clients come until nobody is served any more. Left out where an address may
    rest for longer than this waits."""
    lies_or_losses = sim.liars or sim.evidence.exposed or sim.disks_were_lost
    if sim.seed % _EXHAUSTED_EVERY or lies_or_losses or sim.last_death_ms >= 0:
        return
    p = sim.parameters
    number = max(client.number for client in sim.plan.clients) + 1 + _NEW_CLIENTS
    for i in range(p.pool_size):
        client = sim.add_client(number + i)
        sim.world.after(i * 1_000, client.start)
    sim.world.run_until(sim.world.now_ms + EXHAUSTED_S * 1000)
    pool = range(POOL_FIRST, POOL_FIRST + p.pool_size)
    free = set(pool) - {c.lease.address for c in sim.clients if c.lease is not None}
    now_ms = sim.world.now_ms
    for shadow in sim.evidence.shadows.values():
        for address in list(free):
            row = shadow.rows.get(address)
            if row is not None and _ends_ms(shadow, row, 0) + REST_MS > now_ms:
                free.discard(address)
    sim.evidence.judged["I12 exhausted"] += 1
    if free:
        told = {
            s.name: [str(r) for r in s.ranges.values() if r.first <= min(free) <= r.last]
            for s in sim.evidence.shadows.values()
        }
        raise ViolationError(
            f"I12: {len(free)} addresses are nobody's, and no client gets them: "
            f"{format_address(min(free))} is {told}"
        )


# --- L4


def judge_stock(sim: Simulation) -> None:
    """L4: who has nothing to give where plenty is nobody's, has not been restocked."""
    p = sim.parameters
    serving = [shadow for shadow in sim.evidence.shadows.values() if shadow.serving]
    pool = range(POOL_FIRST, POOL_FIRST + p.pool_size)
    now_ms = sim.world.now_ms
    rest_ms = _rest_after_death_ms(sim)
    if rest_ms is None or not serving:
        return
    taken: set[int] = set()
    leased: set[int] = set()
    stock = dict.fromkeys((shadow.name for shadow in serving), 0)
    for shadow in serving:
        for address in pool:
            if shadow.owns(address) is not None:
                stock[shadow.name] += 1
                taken.add(address)
            row = shadow.rows.get(address)
            if row is not None and _ends_ms(shadow, row, rest_ms) + REST_MS > now_ms:
                taken.add(address)
                leased.add(address)
    shares = {one.name: _share(one, p.pool_size - len(leased)) for one in serving}
    lan = Pool(pool[0], pool[-1])
    waiting = {m.name for m in sim.members if m.holds() or lan not in m.disk.content().pools}
    for name, free in stock.items():
        if name in waiting:
            continue  # after a loss it asks for nothing yet; nor where it knows of no pool
        sim.evidence.judged["L4"] += 1
        share = shares[name]
        if share >= 4 and free * 4 < share and len(pool) - len(taken) > share:
            raise ViolationError(
                f"L4: {name} has {free} free addresses, its share is {share}, and "
                f"{len(pool) - len(taken)} of the pool are nobody's"
            )


def _share(shadow: Shadow, left: int) -> int:
    """By weight, and as if there were one member of average weight more."""
    members = shadow.group.members if shadow.group is not None else ()
    weights = {
        one.member: one.weight
        for one in members
        if one.state is MemberState.ACTIVE and one.role is MemberRole.SERVER
    }
    total, count = sum(weights.values()), len(weights)
    return left * weights.get(shadow.number, 0) * count // (total * (count + 1)) if total else 0


def _rest_after_death_ms(sim: Simulation) -> int | None:
    """L8: after a member's death what anybody may have renewed there rests for MUL beyond its
    potential expiry, and all polls may wait MUL; None while they may."""
    if sim.last_death_ms < 0:
        return 0
    most_ms = 2 * sim.parameters.mul_s * 1000
    return None if sim.world.now_ms < sim.last_death_ms + most_ms + REST_MS else most_ms


def _ends_ms(shadow: Shadow, row: Binding, rest_ms: int) -> int:
    if not rest_ms:
        return shadow.true_ms(row.expires_at)
    return shadow.true_ms(row.potential_expires_at) + rest_ms


REST_MS = 200_000
"""After its end a lease's address rests (grace, hold-down after a RELEASE), and the next poll for
it comes a while later."""
