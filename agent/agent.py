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
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

from agent.cluster import Cluster
from agent.limits import SNMP_THREADS, STORE_WATCH_MS, SWITCH_INTERVAL_S
from agent.member_file import MemberFile
from agent.model import Local, MemberId
from agent.net.wake import WakeSocket
from agent.snmp.agent import AgentHooks, AgentSettings, AgentUser, SnmpAgent
from agent.snmp.engine import EngineIdentity
from agent.snmp.keys import UserKeys
from agent.snmp.tables import PeerStatus
from agent.snmp.view import Role
from agent.sync.node import Node
from store import SnmpUser, Store

log = logging.getLogger("dhcpsync.agent")


async def run_agent(
    member: MemberFile, store: Store, clock: Callable[[], int], wake: WakeSocket
) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code. Raises ConfigError if the SNMP port
    cannot be had."""
    # A thread that holds the store's lock must not wait 5 ms (CPython's default) for the event loop
    # to let go of the interpreter: the engine, and so a client, would wait with it.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    boots = store.begin_boot()
    with store.read() as tx:
        local, users = tx.local(), tx.snmp_users()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with (
        ThreadPoolExecutor(1, "node") as node_thread,
        ThreadPoolExecutor(SNMP_THREADS, "snmp") as snmp_threads,
    ):
        cluster = Cluster(lambda: Node(local.member, random.Random()), store, clock, node_thread)
        snmp = SnmpAgent(
            _settings(member, local, boots, users),
            store,
            AgentHooks(
                handle=cluster.handle,
                join=cluster.join,
                peers=lambda: _peers(cluster),
                on_change=cluster.notice_store_change,
            ),
            clock,
            snmp_threads,
        )
        loop.add_reader(wake.fileno(), _woken, loop, cluster, wake)
        await snmp.start()
        running = asyncio.create_task(cluster.run(snmp.peer_client))
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        loop.remove_reader(wake.fileno())
        running.cancel()
        stopping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await snmp.close()
    return 0 if stopping in done else 1


def _woken(loop: asyncio.AbstractEventLoop, cluster: Cluster, wake: WakeSocket) -> None:
    """The engine has committed. Do not listen for a while: what comes meanwhile wakes us then."""
    wake.drain()
    cluster.notice_store_change()
    loop.remove_reader(wake.fileno())
    loop.call_later(
        STORE_WATCH_MS / 1000, loop.add_reader, wake.fileno(), _woken, loop, cluster, wake
    )


def _settings(member: MemberFile, local: Local, boots: int, users: list[SnmpUser]) -> AgentSettings:
    return AgentSettings(
        address=member.address,
        port=member.port,
        identity=EngineIdentity(local.engine_id, boots),
        users=tuple(_user(user) for user in users),
        name=member.name,
        version=metadata.version("dhcpsync"),
        community=member.read_only_community,
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
        )
        for peer in cluster.peers
    }
