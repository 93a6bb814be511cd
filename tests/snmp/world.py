"""A member with a store, an agent on loopback, and users whose passphrases are known."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache

from agent.errors import PeerError
from agent.model import (
    NEVER,
    Binding,
    BindingState,
    Group,
    Member,
    MemberId,
    Pool,
    Said,
    Service,
    Subnet,
    Transaction,
    parse_address,
)
from agent.snmp.agent import AgentHooks, AgentSettings, AgentUser, SnmpAgent
from agent.snmp.keys import EngineIdentity, UserKeys, derive_keys
from agent.snmp.system import SystemGroup
from agent.snmp.tables import PeerStatus, PendingChange
from agent.snmp.view import Role
from agent.sync import messages as m
from agent.sync.change import GroupChange
from agent.sync.version import membership_hash
from store.database import Store

NOW_MS = 1_790_000_000_000
LOOPBACK = parse_address("127.0.0.1")
NETWORK = parse_address("198.18.0.0")
FIRST = parse_address("198.18.16.0")


@cache
def keys_of(name: str) -> UserKeys:
    return derive_keys(f"{name}-authentication", f"{name}-privacy")


def engine_id(member: int) -> bytes:
    return bytes.fromhex("80007ed905") + member.to_bytes(4, "big")


def binding(address: int, **changes: object) -> Binding:
    values: dict[str, object] = {
        "address": address,
        "client_key": b"\x00\x01\x02\x00" + address.to_bytes(4, "big"),
        "client_id": None,
        "hardware_type": 1,
        "hardware_address": b"\x02\x00" + address.to_bytes(4, "big"),
        "hostname": f"host-{address & 0xFFFF}",
        "state": BindingState.BOUND,
        "epoch": 1,
        "grant": 1,
        "expires_at": NOW_MS // 1000 + 3600,
        "potential_expires_at": NOW_MS // 1000 + 5400,
        "acknowledged_at": 0,
        "transaction": Transaction.SELECTING,
        "transaction_at": NOW_MS // 1000 - 10,
        "transaction_server": 1,
        "options": b"",
    }
    return Binding(**(values | changes))  # type: ignore[arg-type]


@dataclass
class World:
    """`answers` decides what the cluster says; `requests`, `decisions` and the like are
    what reached it."""

    store: Store
    agent: SnmpAgent
    address: str
    port: int
    executor: ThreadPoolExecutor
    requests: list[m.Request] = field(default_factory=list)
    decisions: list[tuple[GroupChange, str, bool]] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    pending: list[PendingChange] = field(default_factory=list)
    repairs: list[int] = field(default_factory=list)
    released: list[int] = field(default_factory=list)
    waits_ended: int = 0
    realigned: list[MemberId] = field(default_factory=list)
    changes: int = 0
    answer: Callable[[m.Request], Awaitable[m.Response]] | None = None
    refusal: Exception | None = None
    peers: dict[MemberId, PeerStatus] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return f"udp:{self.address}:{self.port}"

    def member(self) -> Member:
        return Member(1, "m1", LOOPBACK, self.port, engine_id(1))

    def header(self) -> m.Header:
        with self.store.read() as tx:
            group = tx.group()
        assert group is not None
        return m.Header(2, 1, group.generation, membership_hash(group))


def make_group(generation: int = 3) -> Group:
    return Group(
        "lab",
        generation,
        60,
        600,
        (
            Member(1, "m1", LOOPBACK, 161, engine_id(1)),
            Member(2, "m2", LOOPBACK + 1, 161, engine_id(2)),
            Member(3, "m3", LOOPBACK + 2, 1161, engine_id(3)),
        ),
    )


def fill(store: Store, bindings: int = 20) -> None:
    """A group, a subnet with a pool, and that many bindings from FIRST on."""
    with store.write() as tx:
        tx.put_group(make_group())
        tx.save_configuration(
            [
                (Subnet(NETWORK, 15, name="lan"), False),
                (Pool(FIRST, FIRST + 0xFFFF, "all"), False),
            ]
        )
        tx.save_bindings([binding(FIRST + at) for at in range(bindings)])
        tx.save_bindings([binding(FIRST, expires_at=NEVER, potential_expires_at=NEVER)])


@asynccontextmanager
async def running(
    *,
    community: str = "",
    bindings: int = 20,
    store: Store | None = None,
    notify_targets: tuple[tuple[int, int], ...] = (),
    system: SystemGroup | None = None,
) -> AsyncIterator[World]:
    store = store or Store.in_memory(engine_id=engine_id(1))
    fill(store, bindings)
    executor = ThreadPoolExecutor(1)
    worlds: list[World] = []

    async def handle(request: m.Request) -> m.Response:
        world = worlds[0]
        world.requests.append(request)
        if world.refusal is not None:
            raise world.refusal
        return await world.answer(request) if world.answer else m.Acknowledged()

    def obey(said: Said) -> World:
        """As the cluster does: refuse, or audit with the order."""
        world = worlds[0]
        if world.refusal is not None:
            raise world.refusal
        with world.store.write() as tx:
            tx.audit(said.user, "set", said.words, NOW_MS // 1000)
        return world

    async def decide(change: GroupChange, force: bool, said: Said) -> None:
        obey(said).decisions.append((change, said.user, force))

    async def serve(service: Service, said: Said) -> None:
        obey(said).services.append(service)

    async def end_wait(said: Said) -> None:
        obey(said).waits_ended += 1

    async def realign(member: MemberId, said: Said) -> None:
        obey(said).realigned.append(member)

    async def repair(address: int, said: Said) -> None:
        obey(said).repairs.append(address)

    async def release(address: int, said: Said) -> None:
        obey(said).released.append(address)

    def changed() -> None:
        worlds[0].changes += 1

    def peers() -> Mapping[MemberId, PeerStatus]:
        return worlds[0].peers

    users = tuple(
        AgentUser(
            role.value,
            role,
            keys_of(role.value).localize(engine_id(1)),
            keys_of(role.value) if role is Role.PEER else None,
        )
        for role in Role
    )
    settings = AgentSettings(
        LOOPBACK,
        0,
        EngineIdentity(engine_id(1), int(time.time()) & 0xFFFFFF),
        users,
        name="m1",
        version="0.1",
        community=community,
        notify_targets=notify_targets,
        system=system or SystemGroup(),
    )
    hooks = AgentHooks(
        handle,
        decide,
        serve,
        end_wait,
        realign,
        repair,
        release,
        peers,
        lambda: worlds[0].pending,
        on_change=changed,
    )
    agent = SnmpAgent(settings, store, hooks, lambda: NOW_MS, executor)
    host, port = await agent.start()
    world = World(store, agent, host, port, executor)
    worlds.append(world)
    try:
        yield world
    finally:
        await agent.close()
        executor.shutdown()
        store.close()


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


async def net_snmp(world: World, tool: str, *arguments: str, user: str = "monitor") -> Outcome:
    """Run a tool of net-snmp as `user`; options of its own come first in `arguments`."""
    credentials = ["-v3", "-l", "authPriv", "-u", user, "-a", "SHA-256", "-x", "AES"]
    credentials += ["-A", f"{user}-authentication", "-X", f"{user}-privacy"]
    return await run(world, tool, credentials, arguments)


@cache
def scratch() -> str:
    """Where net-snmp's tools may keep their state; gone with the test run."""
    folder = tempfile.mkdtemp(prefix="dhcpsync-snmp-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


async def run(
    world: World, tool: str, credentials: list[str], arguments: tuple[str, ...]
) -> Outcome:
    options = [one for one in arguments if one.startswith("-")]
    rest = [one for one in arguments if not one.startswith("-")]
    process = await asyncio.create_subprocess_exec(
        tool,
        *credentials,
        "-m",
        "",
        "-t",
        "2",
        "-r",
        "0",
        "-On",
        "-Oe",
        *options,
        world.where,
        *rest,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "SNMP_PERSISTENT_DIR": scratch(), "HOME": scratch()},
    )
    out, err = await process.communicate()
    return Outcome(process.returncode or 0, out.decode(), err.decode())


__all__ = ["NOW_MS", "Outcome", "PeerError", "World", "binding", "net_snmp", "run", "running"]
