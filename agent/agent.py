"""The agent process: the SNMP agent and the cluster protocol on one event loop.

Two pools of threads touch the store: one thread runs the node's transactions, so that the node is
never entered twice; a few others answer SNMP reads and SETs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from agent.clock import BootClock, boot_id, boot_s, wall_ms
from agent.cluster import Cluster
from agent.errors import StoreError
from agent.event_log import EventLog
from agent.health import Health
from agent.limits import (
    SNMP_BOOTS_OF_CLOCK_MAX,
    SNMP_THREADS,
    STANDING_NOTE_S,
    STORE_WATCH_MS,
    SWITCH_INTERVAL_S,
)
from agent.logs import Hangup
from agent.member_file import MemberFile
from agent.model import Group, Local, MemberId, MemberRole
from agent.net.wake import WakeSocket
from agent.pulse import Vitals
from agent.snmp.agent import AgentHooks, AgentSettings, AgentUser, SnmpAgent
from agent.snmp.health import Gauge, look
from agent.snmp.health_objects import health_notice
from agent.snmp.keys import EngineIdentity, UserKeys
from agent.snmp.reports import BOOTS_MAX
from agent.snmp.system import FILE_NAME as SYSTEM_FILE
from agent.snmp.system import SystemGroup
from agent.snmp.tables import PeerStatus, PendingChange, Scope
from agent.snmp.view import Role
from agent.standing import ClockMark, Standing, mark_of
from agent.sync.ballot import BallotPhase
from agent.sync.node import Node
from agent.watch import Watch, Watched
from store import SnmpUser, Store

log = logging.getLogger("dhcpsync.agent")

_BOOTS_SINCE = 1_577_836_800
"""2020 in wall time. snmpEngineBoots is at least the seconds since then, so that it does not go
back where the store that counted it was lost or rolled back: peers would take this member's
messages for replays (RFC 3414 3.2, 7b)."""


def boots_at_least(wall_s: float) -> int:
    """What snmpEngineBoots begins with at that time. A clock that is far ahead must not bring it to
    its end, for from there no engine ever comes back."""
    return min(max(0, int(wall_s) - _BOOTS_SINCE), SNMP_BOOTS_OF_CLOCK_MAX)


def warn_of_boots(boots: int) -> None:
    if boots == BOOTS_MAX:
        log.error(
            "snmpEngineBoots has come to its end: no SNMP message is in time any more (RFC 3414"
            " 2.2.2). Remove this member from the group, and make it anew under another number"
        )


async def run_agent(
    folder: Path,
    member: MemberFile,
    store: Store,
    clock: BootClock,
    wake: WakeSocket,
    standing: Standing,
    hangup: Hangup,
) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code. Raises ConfigError if the SNMP port
    cannot be had."""
    # A thread that holds the store's lock must not wait 5 ms (CPython's default) for the event loop
    # to let go of the interpreter: the engine, and so a client, would wait with it.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    boots = store.begin_boot(boots_at_least(time.time()))
    warn_of_boots(boots)
    with store.read() as tx:
        local, users = tx.local(), tx.snmp_users()
    clock_note = standing.clock_note(clock())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, hangup.act)
    with (
        ThreadPoolExecutor(1, "node") as node_thread,
        ThreadPoolExecutor(SNMP_THREADS, "snmp") as snmp_threads,
    ):
        cluster = Cluster(
            lambda: Node(
                local.member,
                random.Random(),
                clocks=clock_note,
                listens_at=(member.address, member.port),
            ),
            store,
            clock,
            node_thread,
            on_notice=lambda notice: snmp.notifier.notify(notice),
        )
        watch = Watch(
            Watched(
                folder,
                store,
                clock,
                member.role is MemberRole.SERVER,
                lambda: cluster.store_fails,
                _judge(store, clock, cluster, member.name),
            ),
            cluster.note_trouble,
            lambda health: snmp.notifier.notify(health_notice(health)),
        )
        snmp = SnmpAgent(
            _settings(member, local, boots, users, SystemGroup(folder / SYSTEM_FILE)),
            store,
            AgentHooks(
                handle=cluster.handle,
                repair_conflict=cluster.repair_conflict,
                release=cluster.release,
                decide=cluster.decide,
                serve=cluster.set_service,
                end_wait=cluster.end_wait,
                realign=cluster.realign,
                peers=lambda: _peers(cluster),
                pending=lambda: _pending(cluster),
                on_change=cluster.notice_store_change,
                store_fails=lambda: cluster.store_fails,
                vitals=lambda: watch.vitals,
            ),
            clock,
            snmp_threads,
        )
        loop.add_reader(wake.fileno(), _woken, loop, cluster, wake)
        with store.read() as tx:
            snmp.know_members(tx.group())
        await snmp.start()
        telling = asyncio.create_task(snmp.notifier.run())
        running = asyncio.create_task(cluster.run(snmp.peer_client))
        stopping = asyncio.create_task(stop.wait())
        noting = asyncio.create_task(
            _note_standing(store, standing, clock, cluster, snmp_threads, snmp.know_members)
        )
        watching = asyncio.create_task(watch.run(snmp_threads))
        telling_events = asyncio.create_task(
            EventLog(store, member.log_events, time.monotonic).run(snmp_threads)
        )
        done, _ = await asyncio.wait(
            {running, stopping, telling, noting, watching, telling_events},
            return_when=asyncio.FIRST_COMPLETED,
        )
        loop.remove_reader(wake.fileno())
        for task in (running, stopping, telling, noting, watching, telling_events):
            task.cancel()
        for task in (running, telling, noting, watching, telling_events):
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await snmp.close()
    return 0 if stopping in done else 1


def _judge(
    store: Store, clock: BootClock, cluster: Cluster, name: str
) -> Callable[[Vitals], Health]:
    """What the member has to say of itself and its group, as its tables show them."""
    gauge = Gauge(lambda: time.thread_time() * 1000)

    def judge(vitals: Vitals) -> Health:
        with store.read() as tx:
            return look(
                Scope(
                    tx,
                    clock(),
                    _peers(cluster),
                    store_fails=cluster.store_fails,
                    vitals=vitals,
                ),
                gauge,
                name,
            )

    return judge


async def _note_standing(
    store: Store,
    standing: Standing,
    clock: BootClock,
    cluster: Cluster,
    threads: ThreadPoolExecutor,
    know_members: Callable[[Group | None], None],
) -> None:
    """Until cancelled, note how far the store has come, and the clocks. The clock's anchor is
    followed here, and who is in the group. A store that cannot be read now is noted later."""
    loop = asyncio.get_running_loop()
    boot = boot_id()

    def note() -> None:
        with store.read() as tx:
            mark, anchor = mark_of(tx), tx.clock_anchor()
            local, group = tx.local(), tx.group()
        clock.follow(anchor)
        standing.note(mark)
        if group is not None:
            standing.note_group(group, bool(local.recovery))
        now_ms, wall = clock(), wall_ms()
        cluster.note_wall_clock(wall - now_ms)
        if cluster.is_clock_settled:
            offsets = {str(member): offset for member, offset in cluster.clock_offsets.items()}
            booted_ms = int(boot_s() * 1000)
            standing.note_clock(ClockMark(boot, now_ms, wall, offsets, booted_ms, local.unseen_s))

    def group() -> Group | None:
        with store.read() as tx:
            return tx.group()

    while True:
        await asyncio.sleep(STANDING_NOTE_S)
        try:
            await loop.run_in_executor(threads, note)
            know_members(await loop.run_in_executor(threads, group))
        except StoreError as error:
            log.error("how far the store has come cannot be noted: %s", error)


def _woken(loop: asyncio.AbstractEventLoop, cluster: Cluster, wake: WakeSocket) -> None:
    """The engine has committed. Do not listen for a while: what comes meanwhile wakes us then."""
    wake.drain()
    cluster.notice_store_change()
    loop.remove_reader(wake.fileno())
    loop.call_later(
        STORE_WATCH_MS / 1000, loop.add_reader, wake.fileno(), _woken, loop, cluster, wake
    )


def _settings(
    member: MemberFile, local: Local, boots: int, users: list[SnmpUser], system: SystemGroup
) -> AgentSettings:
    return AgentSettings(
        address=member.address,
        port=member.port,
        identity=EngineIdentity(local.engine_id, boots),
        users=tuple(_user(user) for user in users),
        name=member.name,
        version=metadata.version("dhcpsync"),
        community=member.read_only_community,
        notify_targets=member.notify_targets,
        system=system,
    )


def _user(user: SnmpUser) -> AgentUser:
    master = None
    if user.auth_master is not None and user.priv_master is not None:
        master = UserKeys(user.auth_master, user.priv_master)
    return AgentUser(user.name, Role(user.role), UserKeys(user.auth_key, user.priv_key), master)


def _peers(cluster: Cluster) -> Mapping[MemberId, PeerStatus]:
    """The node's view of the peers in the numbers of the MIB."""
    return {
        peer.member: PeerStatus(
            incarnation=peer.incarnation,
            hello_state=peer.link,
            align_state=peer.align,
            last_heard_at=peer.heard_at_ms // 1000,
            clock_offset_ms=peer.offset_ms,
            backlog=peer.lacks,
            endpoint_state=peer.endpoint,
            joining=peer.joining,
            trouble=peer.trouble,
        )
        for peer in cluster.peers
    }


_PHASES = {None: 1, BallotPhase.PREPARE: 2, BallotPhase.ACCEPT: 3}


def _pending(cluster: Cluster) -> list[PendingChange]:
    return [
        PendingChange(str(wish.change), wish.user, _PHASES[phase])
        for wish, phase in cluster.pending
    ]
