"""The SNMP agent of a member: engine, responders and the client for peers, put together.

Threads: everything here runs on the event loop, except what touches the store, which runs on the
threads of `executor`. Reads and writes of one request are one transaction each.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from agent import clock as clocks
from agent.limits import SNMP_LOGGED_PER_MINUTE_MAX, SNMP_PEOPLE_THREADS, SNMP_REQUEST_MS_MAX
from agent.model import Group, MemberId, format_address
from agent.pulse import Vitals
from agent.snmp import cluster_tables, columns, lease_tables, message, standard
from agent.snmp.asking import Target
from agent.snmp.ber import Varbind
from agent.snmp.client_table import ClientProvider
from agent.snmp.cluster_tables import Exchanges, ExchangeTables
from agent.snmp.door import Address, Door
from agent.snmp.engine import SECURITY_MODEL_USM, add_user, build_engine, close_engine
from agent.snmp.informs import InformReceiver
from agent.snmp.keys import EngineIdentity, UserKeys
from agent.snmp.notifier import Notifier
from agent.snmp.peer import PeerClient
from agent.snmp.pending import Pending
from agent.snmp.reading import Bulk, Reader
from agent.snmp.responder import Asker, CommandResponder, Reply
from agent.snmp.seldom import Seldom
from agent.snmp.session import SNMP_V3, Session
from agent.snmp.status import ErrorStatus, RequestError
from agent.snmp.system import SystemGroup
from agent.snmp.tables import AgentStore, PeerStatus, PendingChange, Scope, column_nodes
from agent.snmp.transport import DoorTransport, attach
from agent.snmp.view import Role
from agent.snmp.writing import (
    Decide,
    EndWait,
    Handle,
    Orders,
    Realign,
    Release,
    RepairConflict,
    Serve,
    Writer,
)
from agent.sync.version import membership_hash

log = logging.getLogger("dhcpsync.snmp")


@dataclass(frozen=True, slots=True)
class AgentUser:
    """An SNMPv3 user of this agent. `localized` keys are for its engine; the user of role peer
    has `master` keys too, which are localized to each peer's engine."""

    name: str
    role: Role
    localized: UserKeys
    master: UserKeys | None = None


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Where to listen and what to say of oneself. `community` "": SNMPv3 only."""

    address: int
    port: int
    identity: EngineIdentity
    users: tuple[AgentUser, ...]
    name: str = ""
    version: str = ""
    community: str = ""
    notify_targets: tuple[tuple[int, int], ...] = ()
    system: SystemGroup = field(default_factory=SystemGroup)


@dataclass(frozen=True, slots=True)
class AgentHooks:
    """What the agent calls: the first six are the cluster,
    `peers` and `pending` its live state for the tables, `on_change` hears of committed
    configuration, `store_fails` tells whether nothing can be written, `vitals` what else the member
    knows of itself."""

    handle: Handle
    decide: Decide
    serve: Serve
    end_wait: EndWait
    realign: Realign
    repair_conflict: RepairConflict
    release: Release
    peers: Callable[[], Mapping[MemberId, PeerStatus]] = dict
    pending: Callable[[], Sequence[PendingChange]] = tuple
    on_change: Callable[[], None] = lambda: None
    store_fails: Callable[[], bool] = lambda: False
    vitals: Callable[[], Vitals] = Vitals


class SnmpAgent:
    """Build it inside a running loop, then `await start()`; `peer_client` reaches the peers
    through the same engine and socket once it has started."""

    def __init__(
        self,
        settings: AgentSettings,
        store: AgentStore,
        hooks: AgentHooks,
        clock: Callable[[], int],
        executor: Executor,
        hash_of: Callable[[Group], bytes] = membership_hash,
    ) -> None:
        self._settings = settings
        self._store = store
        self._hooks = hooks
        self._clock = clock
        self._executor = executor
        self._users = {user.name: user for user in settings.users}
        self._pending = Pending()
        self._people = asyncio.Semaphore(SNMP_PEOPLE_THREADS)
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._engine = build_engine(settings.identity)
        for user in settings.users:
            add_user(self._engine, user.name, user.localized)
        self.door = self._make_door()
        self.exchanges = exchanges = ExchangeTables(Exchanges(), Exchanges(), Exchanges())
        self.reader = Reader(
            [
                *standard.nodes(
                    self._engine, self.door, settings.system, settings.version, settings.name
                ),
                *cluster_tables.scalars(settings.version),
                *(
                    node
                    for provider in (
                        *cluster_tables.providers(exchanges, hash_of, self._counts),
                        *lease_tables.providers(),
                        ClientProvider(),
                    )
                    for node in column_nodes(provider)
                ),
            ]
        )
        writer = Writer(
            store,
            executor,
            clock,
            Orders(hooks.handle, hooks.decide, hooks.serve, hooks.end_wait, hooks.realign),
            {
                columns.POLL.name: exchanges.polls,
                columns.TRANSFER.name: exchanges.transfers,
                columns.PROPOSAL.name: exchanges.proposals,
            },
            hooks.on_change,
            hooks.repair_conflict,
            hooks.release,
            settings.system,
        )
        self.informs = InformReceiver(hooks.handle, clock)
        self.responder = CommandResponder(
            self.door,
            {
                message.GET: self._read,
                message.GET_NEXT: self._read,
                message.GET_BULK: self._read,
                message.SET: writer.set,
                message.INFORM: self.informs.inform,
            },
            self._role_of,
            self._pending,
            self._send,
            clocks.boot_s,
        )
        self._transport = DoorTransport(self.door, self.responder.take, self._forget_clock)
        self._session = Session(self._engine)
        self.peer_client = PeerClient(self._session, self._peer_users(), self.door.expect)
        self.notifier = Notifier(self._engine, self._notify_targets())
        self.loop_errors = 0
        self._seldom = Seldom(SNMP_LOGGED_PER_MINUTE_MAX, clocks.boot_s)
        self._previous_handler: Any = None

    async def start(self) -> tuple[str, int]:
        """Bind the socket; returns host and port. Raises ConfigError if they cannot be had."""
        loop = asyncio.get_running_loop()
        self._previous_handler = loop.get_exception_handler()
        loop.set_exception_handler(self._note_loop_error)
        bound = self._transport.open(self._settings.address, self._settings.port)
        attach(self._engine, self._transport)
        if self._settings.community:
            log.warning(
                "SNMPv2c is on, as configured: who knows the community reads everything that a"
                " monitor reads, and it crosses the network in clear"
            )
        log.info("SNMP agent listens on %s:%d", *bound)
        return bound

    async def close(self) -> None:
        await self._pending.drain()
        self._session.close()
        await close_engine(self._engine)
        asyncio.get_running_loop().set_exception_handler(self._previous_handler)

    def _note_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A defect, of ours or of pysnmp with an answer to our own request: count it, log it
        shortly, and go on."""
        self.loop_errors += 1
        if not self._seldom.admits("errors in the loop"):
            return
        log.warning("%s: %r", context.get("message", "error in the loop"), context.get("exception"))

    def _counts(self) -> Mapping[str, int]:
        """What no object of SNMP's own MIBs counts, since the start."""
        statistics = self.door.statistics
        return {
            "snmp_over_budget": statistics.over_budget,
            "snmp_reports_held": statistics.reports_held,
            "snmp_traps_ignored": statistics.traps_ignored,
            "snmp_unsent": self._transport.unsent,
            "snmp_loop_errors": self.loop_errors,
            "notices_sent": self.notifier.sent,
            "notices_lost": self.notifier.lost,
        }

    def _peer_users(self) -> Iterable[tuple[str, UserKeys]]:
        return [
            (user.name, user.master)
            for user in self._settings.users
            if user.role is Role.PEER and user.master is not None
        ]

    def _notify_targets(self) -> list[Target]:
        monitor = next((u.name for u in self._settings.users if u.role is Role.MONITOR), None)
        if monitor is None:
            return []
        return [Target(address, port, monitor) for address, port in self._settings.notify_targets]

    def _make_door(self) -> Door:
        settings, model = self._settings, self._engine.message_processing_subsystems[SNMP_V3]
        return Door(
            settings.identity,
            {user.name.encode(): user.localized for user in settings.users},
            settings.community.encode(),
            model.is_asked,
            started_s=clocks.boot_s(),
            salt=secrets.randbits(64),
        )

    def know_members(self, group: Group | None) -> None:
        """The members of the group have budgets of their own at the door."""
        current = group.current if group is not None else ()
        self.door.budgets.allow_members(format_address(one.address) for one in current)

    def _send(self, octets: bytes, to: Address) -> None:
        self._transport.send(octets, to)

    def _forget_clock(self, engine_id: bytes) -> None:
        self._engine.security_models[SECURITY_MODEL_USM].forget_clock(engine_id)

    def _role_of(self, user: str) -> Role | None:
        known = self._users.get(user)
        return known.role if known is not None else None

    async def _read(
        self, asker: Asker, pdu: message.Pdu, varbinds: list[Varbind], room: int
    ) -> Reply:
        role = asker.role
        if role is None:
            raise RequestError(ErrorStatus.AUTHORIZATION_ERROR)
        peers, pending = self._hooks.peers(), self._hooks.pending()
        store_fails, vitals = self._hooks.store_fails(), self._hooks.vitals()

        def answer() -> bytes:
            # Of the processor: a machine that stands still for a moment is not the request's doing.
            until_s = time.thread_time() + SNMP_REQUEST_MS_MAX / 1000
            with self._store.read() as tx:
                scope = Scope(
                    tx,
                    self._clock(),
                    peers,
                    pending,
                    lambda: time.thread_time() > until_s,
                    store_fails,
                    vitals,
                )
                if pdu.kind == message.GET:
                    return self.reader.get(scope, role, varbinds, room)
                if pdu.kind == message.GET_NEXT:
                    return self.reader.get_next(scope, role, varbinds, room)
                bulk = Bulk(pdu.first, pdu.second)
                return self.reader.get_bulk(scope, role, varbinds, bulk, room)

        async with self._turn(asker):
            loop = asyncio.get_running_loop()
            return Reply(await loop.run_in_executor(self._executor, answer))

    @contextlib.asynccontextmanager
    async def _turn(self, asker: Asker) -> AsyncIterator[None]:
        """Managers take turns, whatever one of them has waiting; peers need none."""
        if asker.role is Role.PEER:
            yield
            return
        own = self._turns.setdefault(asker.queue, asyncio.Semaphore(SNMP_PEOPLE_THREADS))
        async with own, self._people:
            yield
