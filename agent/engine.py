"""The engine process: poll, take what waits, handle it as one batch, send the replies.

After the first datagram nothing is waited for: a lone client is served at once, and under load the
datagrams that come in during a commit are the next batch. Everything that decides is in
`agent.dhcp`; everything that touches the network is in `agent.net`.
"""

from __future__ import annotations

import logging
import os
import select
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing

from agent.clock import boot_ms
from agent.dhcp.engine import DhcpServer
from agent.dhcp.packet import Interface, Received, Reply
from agent.limits import BATCH_MAX, COMMIT_SLOW_MS, COUNTER_FLUSH_MS, PROBE_RESEND_MS
from agent.net.link import InterfaceMonitor, LinkSocket, check_served, load_interfaces
from agent.net.probe import ProbeSockets
from agent.net.udp import DhcpSocket
from agent.net.wake import WakeSocket

log = logging.getLogger("dhcpsync.engine")


class StopSignal:
    """Ends `run_engine`; `request` may be called from a signal handler or another thread."""

    def __init__(self) -> None:
        self._event = os.eventfd(0, os.EFD_NONBLOCK)
        self.requested = False

    def request(self) -> None:
        self.requested = True
        os.eventfd_write(self._event, 1)

    def fileno(self) -> int:
        return self._event

    def close(self) -> None:
        os.close(self._event)


class EngineSockets:
    """Everything that the engine hears and says, on the interfaces `served` (none named: every
    one but the loopback). Raises ConfigError where a socket cannot be had."""

    def __init__(self, served: Sequence[str] = (), port: int = 67) -> None:
        self._served = tuple(served)
        with ExitStack() as undo:
            self.monitor = undo.enter_context(closing(InterfaceMonitor()))
            self.interfaces: dict[int, Interface] = load_interfaces(self._served)
            check_served(self.interfaces, self._served)
            self.udp = undo.enter_context(closing(DhcpSocket(port)))
            self.link = undo.enter_context(closing(LinkSocket(port)))
            self.probe = undo.enter_context(closing(ProbeSockets()))
            undo.pop_all()

    def reload(self) -> None:
        """Read the interfaces anew."""
        self.monitor.drain()
        self.interfaces = load_interfaces(self._served)

    def send(self, reply: Reply) -> None:
        """Raises OSError."""
        interface = self.interfaces.get(reply.interface)
        if reply.hardware_address is None or interface is None:
            self.udp.send(reply)
        else:
            self.link.send(reply, interface.name)

    def close(self) -> None:
        for one in (self.monitor, self.udp, self.link, self.probe):
            one.close()


def run_engine(
    server: DhcpServer,
    sockets: EngineSockets,
    wake: WakeSocket,
    clock: Callable[[], int],
    stop: StopSignal,
    follow_clock: Callable[[], None] = lambda: None,
) -> None:
    """Serve until `stop` is requested. `clock` gives the member's now in ms; `follow_clock` is
    called before anything that comes a second after the last time.

    Once in COUNTER_FLUSH_MS, whatever comes, the store is told that this loop goes around, together
    with what was counted: under load that is one commit among many, else it is the only one."""
    poller = select.poll()
    probing = (sockets.probe.arp, sockets.probe.icmp)
    for source in (sockets.udp, sockets.monitor, *probing, stop):
        poller.register(source.fileno(), select.POLLIN)
    answering = {source.fileno() for source in probing}
    flush_at = clock()
    while not stop.requested:
        busy = server.probes.is_busy
        if busy:
            _send_probes(server, sockets, clock())
        soon = busy or server.is_holding
        rest_ms = max(0, min(flush_at - clock(), COUNTER_FLUSH_MS))
        ready = {fd for fd, _ in poller.poll(min(rest_ms, PROBE_RESEND_MS) if soon else rest_ms)}
        if clock() >= flush_at:
            follow_clock()
        if sockets.monitor.fileno() in ready:
            sockets.reload()
            server.set_interfaces(sockets.interfaces)
        if ready & answering:
            server.note_probe_answers(sockets.probe.receive())
        if sockets.udp.fileno() in ready:
            _serve_batch(server, sockets, wake, clock)
        if server.is_holding:
            _answer(server, sockets, wake, clock, lambda now: _handle_held(server, now))
        if clock() >= flush_at:
            began = clock()
            server.flush_counters(began, boot_ms())
            server.note_pace(clock() - began)
            _tell(server)
            committed = server.committed
            server.try_ahead(clock())
            if server.committed != committed:
                wake.notify()
            flush_at = clock() + COUNTER_FLUSH_MS
    server.flush_counters(clock(), boot_ms())


def _send_probes(server: DhcpServer, sockets: EngineSockets, now_ms: int) -> None:
    for wish in server.probes.take_due(now_ms):
        try:
            sockets.probe.send(wish, sockets.interfaces)
        except OSError as error:
            server.count("probe_send_failed")
            log.debug("an address cannot be tried: %s", error)


def _serve_batch(
    server: DhcpServer, sockets: EngineSockets, wake: WakeSocket, clock: Callable[[], int]
) -> None:
    drained = sockets.udp.receive(BATCH_MAX)
    if drained.too_long:
        server.count("dropped_too_long", drained.too_long)
    if not drained.datagrams:
        return
    _answer(server, sockets, wake, clock, lambda now: _handle(server, drained.datagrams, now))


def _answer(
    server: DhcpServer,
    sockets: EngineSockets,
    wake: WakeSocket,
    clock: Callable[[], int],
    handle: Callable[[int], list[Reply]],
) -> None:
    """Send what `handle` has to say, and tell the agent and the log what came of it."""
    committed, began = server.committed, clock()
    replies = handle(began)
    took_ms = clock() - began
    if took_ms >= COMMIT_SLOW_MS:
        server.note_pace(took_ms)  # a fast turn says nothing: perhaps it had nothing to write
    for reply in replies:
        try:
            sockets.send(reply)
        except OSError as error:
            server.count("send_failed")
            log.debug("a reply cannot be sent: %s", error)
    if server.committed != committed:
        wake.notify()
    _tell(server)
    if lines := server.take_log_lines():
        log.info("%s", "\n".join(lines))


def _tell(server: DhcpServer) -> None:
    for line in server.take_alarms():
        log.error("%s", line)


def _handle(server: DhcpServer, datagrams: Sequence[Received], now_ms: int) -> list[Reply]:
    """A bug that one datagram brings to light must not silence the others: they are handled
    one by one then. With `_handle_held` the engine's only net for errors that nobody expected."""
    try:
        return server.handle_batch(datagrams, now_ms)
    except Exception:
        server.count("internal_errors")
        log.exception("a batch of %d datagrams failed", len(datagrams))
    if len(datagrams) == 1:
        return []
    return [reply for one in datagrams for reply in _handle(server, (one,), now_ms)]


def _handle_held(server: DhcpServer, now_ms: int) -> list[Reply]:
    """What an error leaves unanswered is left to the messages' next turn, and their clients' next
    try."""
    try:
        return server.handle_held(now_ms)
    except Exception:
        server.count("internal_errors")
        log.exception("messages that had waited failed")
        return []
