"""The DHCP server as a function from datagrams to replies: one batch, one transaction.

`DhcpServer.handle_batch` parses what came in, loads every row that the batch is about with two
queries, handles the messages in order, saves the changed rows at once, and returns the replies
only when the transaction has committed. If it does not commit nothing of the batch is said: the
clients try again, and what they were told before still stands; and nothing is offered to others
before the store commits again (`agent.dhcp.steadiness`). The server has no clock and no
socket; between batches it remembers only what can be lost: offers, free addresses read ahead, and
what it has derived from the configuration.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from agent.dhcp.allocate import FreeStock, Offers, Ownership, Tried
from agent.dhcp.balance import share_buckets
from agent.dhcp.chronicle import Chronicle
from agent.dhcp.claim import ADDRESS_TRIED, RESERVED_ASKED
from agent.dhcp.classify import Classifier, Message, MessageKind
from agent.dhcp.context import Answer, Context, View, return_offer
from agent.dhcp.decline import DeclineLimiter
from agent.dhcp.held import Held, Patience
from agent.dhcp.lease import Terms, group_terms
from agent.dhcp.log import message_lines
from agent.dhcp.option_types import option_type
from agent.dhcp.options import named_addresses
from agent.dhcp.packet import (
    Interface,
    MessageType,
    Packet,
    Received,
    Reply,
    parse_packet,
)
from agent.dhcp.probes import BY_ROUTE, Probes
from agent.dhcp.reply import (
    Templates,
    build_inform_reply,
    build_lease_reply,
    build_nak,
    can_be_answered,
)
from agent.dhcp.rules import HANDLERS
from agent.dhcp.shortage import NO_FREE_ADDRESS
from agent.dhcp.steadiness import Steadiness
from agent.dhcp.unrecorded import CLAIM_ASKED, found_in_use
from agent.errors import PacketError, StoreError
from agent.events.event import EventKind, of_lease
from agent.kinds import KINDS
from agent.model import (
    AddressState,
    Enquiry,
    Group,
    Local,
    MemberId,
    MemberState,
    Pool,
    ProbePolicy,
    format_address,
)
from agent.port import Store, StoreTransaction
from agent.settings.configuration import Configuration
from agent.settings.times import longest_lease

_COUNTED_MESSAGES = {
    MessageType.DISCOVER: "discovers",
    MessageType.REQUEST: "requests",
    MessageType.DECLINE: "declines",
    MessageType.RELEASE: "releases",
    MessageType.INFORM: "informs",
}
_COUNTED_REPLIES = {MessageType.OFFER: "offers", MessageType.ACK: "acks", MessageType.NAK: "naks"}
_ANSWERED = {MessageType.DISCOVER, MessageType.REQUEST, MessageType.INFORM}
_ASKED = {CLAIM_ASKED, RESERVED_ASKED, ADDRESS_TRIED}
"""Reasons for which a message is kept, and handled anew."""
_REQUESTS = {
    MessageKind.SELECTING,
    MessageKind.INIT_REBOOT,
    MessageKind.RENEWING,
    MessageKind.REBINDING,
}


class _Derived(NamedTuple):
    """What follows from one configuration version, of which the group is a part. `kept`: addresses
    that are never given to a client, because they are a server's; `named`: nor are these, of
    routers and others, to just any client."""

    version: int
    terms: Terms
    buckets: tuple[MemberId, ...]
    generation: int
    kept: frozenset[int]
    named: frozenset[int]
    configuration: Configuration
    pools: dict[int, tuple[Pool, ...]]
    templates: Templates
    stock: FreeStock


class _Handled(NamedTuple):
    """What one batch has come to, before its commit."""

    context: Context | None
    answers: list[tuple[Message, Answer]]
    drops: list[str]


class DhcpServer:
    """Serves DHCP clients from `store`. One instance per member; not for several threads.

    `server_identifier`: the address named in option 54 instead of the receiving interface's own.
    `log_packets`: keep a line for every message, to be had from `take_log_lines`.
    `committed` counts what the agent should look at: batches that changed bindings, or ask for
    something. `probes` are for the shell to send, and to report to; `probing`: it also tries
    addresses that had a client lately before they are given to another."""

    def __init__(
        self,
        store: Store,
        interfaces: Mapping[int, Interface],
        *,
        server_identifier: int = 0,
        log_packets: bool = False,
        probing: bool = False,
    ) -> None:
        self._store = store
        self._probing = probing
        self._now_ms = 0
        self._interfaces = dict(interfaces)
        self._server_identifier = server_identifier
        self._log_packets = log_packets
        self._log_lines: list[str] = []
        self._alarms: list[str] = []
        self._steadiness = Steadiness()
        self._left_out: set[tuple[int, int]] = set()
        self._counters: dict[str, int] = {}
        self._offers = Offers()
        self._declines = DeclineLimiter()
        self._chronicle = Chronicle()
        self._held = Held()
        self._patience = Patience()
        self.probes = Probes()
        self._ownership: Ownership | None = None
        self._ownership_version = -1
        self._derived: _Derived | None = None
        self._classifier: Classifier | None = None
        self._own_addresses = self._collect_own_addresses()
        self.committed = 0

    def set_log_packets(self, wanted: bool) -> None:
        self._log_packets = wanted

    def set_interfaces(self, interfaces: Mapping[int, Interface]) -> None:
        """The machine's interfaces have changed."""
        self._interfaces = dict(interfaces)
        self._own_addresses = self._collect_own_addresses()
        self._classifier = None
        self._derived = None  # what is kept from clients includes our own addresses

    def count(self, reason: str, by: int = 1) -> None:
        self._counters[reason] = self._counters.get(reason, 0) + by

    def counters(self) -> dict[str, int]:
        """Increments since the last flush."""
        return dict(self._counters)

    def flush_counters(self, now_ms: int, boot_ms: int) -> None:
        """Add the increments to the store's counters, and that the engine goes around, with the
        instant by the boot-time clock. If that fails the increments are kept."""
        if self._commit(self._counters, now_ms, boot_ms):
            self._counters = {}

    def _commit(self, counters: dict[str, int], now_ms: int, boot_ms: int | None = None) -> bool:
        """One commit, which is also a trial; whether it succeeded."""
        try:
            with self._store.write() as tx:
                tx.add_counters(counters)
                if boot_ms is not None:
                    tx.beat(boot_ms)
                    self._chronicle.write(tx, now_ms)
        except StoreError as error:
            self.count("store_failed")
            self._steadiness.note_failure(error, now_ms)
            return False
        if boot_ms is not None:
            self._chronicle.note_committed(now_ms)
        self._steadiness.note_commit(now_ms)
        return True

    def note_pace(self, took_ms: int) -> None:
        """How long the shell has waited for a commit: too long, and nothing is offered."""
        self._steadiness.note_pace(took_ms)

    def note_probe_answers(self, answers: Iterable[tuple[int, bytes]]) -> None:
        """Somebody has these addresses: (address, hardware address)."""
        for address, hardware_address in answers:
            if self.probes.heard(address, hardware_address):
                self.count("probes_answered")

    def try_ahead(self, now_ms: int) -> None:
        """Beside the packets, about once a second: try addresses that may be needed soon, and make
        UNAVAILABLE those for which somebody answered."""
        derived, ownership = self._derived, self._ownership
        if derived is None or ownership is None:
            return
        self._now_ms = now_ms
        derived.stock.try_ahead()
        found, derived.stock.in_use = derived.stock.in_use, {}
        if not found:
            return
        try:
            with self._store.write() as tx:
                local = tx.local()
                rows = []
                for address, hardware_address in sorted(found.items()):
                    held = tx.address_ranges(address, address)
                    if held and held[0].state is AddressState.BINDABLE:
                        epoch, now = held[0].epoch, now_ms // 1000
                        taken = tx.bound_addresses(address, address, epoch)
                        pool = derived.configuration.pool_of(address)
                        ends = derived.configuration.former_leases_end(address, address)
                        if not taken and self._declines.admit_answer(
                            hardware_address, address, pool, now, expected=now < ends
                        ):
                            rows.append(
                                found_in_use(address, epoch, hardware_address, local.member, now)
                            )
                if rows:
                    tx.save_bindings(rows)
                    tx.put_events([of_lease(EventKind.IN_USE, now_ms // 1000, row) for row in rows])
        except StoreError as error:
            self.count("store_failed")
            self._steadiness.note_failure(error, now_ms)
            return
        self.count("found_in_use", len(rows))
        self.committed += 1

    def take_log_lines(self) -> list[str]:
        """The log lines since the last call, if they are kept at all."""
        lines, self._log_lines = self._log_lines, []
        return lines

    def take_alarms(self) -> list[str]:
        """What an operator must hear of, since the last call: once when it begins, once when it
        is over."""
        alarms, self._alarms = self._alarms, []
        return self._steadiness.take_alarms() + alarms

    # --- the batch

    def handle_batch(self, datagrams: Sequence[Received], now_ms: int) -> list[Reply]:
        """Handle datagrams in order. When this returns, all that the replies promise is on disk."""
        packets: list[tuple[Packet, Received]] = []
        for received in datagrams:
            try:
                packet = parse_packet(received.data)
            except PacketError as error:
                self.count("invalids")
                self._drop(error.reason, received)
                continue
            packets.append((packet, received))
        if not packets:
            return []
        for kind, number in Counter(packet.kind for packet, _ in packets).items():
            self.count(_COUNTED_MESSAGES[kind], number)
        return self._serve(packets, now_ms)

    @property
    def is_holding(self) -> bool:
        """Whether messages wait to be handled anew (`handle_held`)."""
        return len(self._held) > 0

    def handle_held(self, now_ms: int) -> list[Reply]:
        """Handle anew, as a batch of their own, messages whose answers were being found out."""
        due = self._held.take_due(now_ms)
        return self._serve(due, now_ms) if due else []

    def _serve(self, packets: list[tuple[Packet, Received]], now_ms: int) -> list[Reply]:
        begins = any(packet.kind is MessageType.DISCOVER for packet, _ in packets)
        if begins and self._steadiness.is_trial_due(now_ms):
            self._commit({"store_trials": 1}, now_ms)
        writing = any(self._may_write(packet) for packet, _ in packets)
        try:
            with self._store.write() if writing else self._store.read() as tx:
                handled = self._handle(tx, packets, now_ms)
                context = handled.context
                if writing and context is not None and context.wishes:
                    self._put_wishes(tx, context.wishes, now_ms)
                    context.wishes.clear()
                    context.enquired = True
        except StoreError as error:
            self.count("store_failed", len(packets))
            if self._derived is not None:
                self._derived.stock.forget()  # it lacks what this batch took for its bindings
            self._steadiness.note_failure(error, now_ms)
            return []
        if writing and context is not None and context.view.changed:
            self._steadiness.note_commit(now_ms)
        if context is not None and context.wishes:
            self._ask_for(context.wishes, now_ms)
        return self._finish(handled)

    def _put_wishes(self, tx: StoreTransaction, addresses: Iterable[int], now_ms: int) -> None:
        tx.put_enquiries([Enquiry(address, now_ms) for address in sorted(addresses)])

    def _ask_for(self, addresses: Iterable[int], now_ms: int) -> None:
        """Of reserved addresses, seldom, after a batch that only read. A wish that is lost is made
        again."""
        try:
            with self._store.write() as tx:
                self._put_wishes(tx, addresses, now_ms)
        except StoreError as error:
            self.count("store_failed")
            self._steadiness.note_failure(error, now_ms)
        else:
            self.committed += 1

    def _may_write(self, packet: Packet) -> bool:
        kind = packet.kind
        if kind is MessageType.DISCOVER or kind is MessageType.INFORM:
            return False
        return not packet.server_identifier or packet.server_identifier in self._own_addresses

    def _handle(
        self, tx: StoreTransaction, packets: list[tuple[Packet, Received]], now_ms: int
    ) -> _Handled:
        drops: list[str] = []
        self._now_ms = now_ms
        local = tx.local()
        derived = self._refresh(tx, local) if local.answers_clients else None
        if derived is None:
            return _Handled(None, [], ["not_serving"] * len(packets))
        messages = self._classify(packets, derived.configuration, drops)
        context = self._context(tx, local, derived, messages, now_ms)
        for gone in self._offers.remove_due(now_ms):
            return_offer(context, gone)
        answers: list[tuple[Message, Answer]] = []
        repeated: dict[tuple[object, ...], Answer] = {}
        for message in messages:
            kind, packet = message.kind, message.packet
            if kind in _REQUESTS:
                same = (packet.client_key, packet.transaction_id, kind, message.address)
                answer = repeated.get(same)
                if answer is None:
                    answer = repeated[same] = HANDLERS[kind](context, message)
            elif kind is MessageKind.DISCOVER and self._steadiness.objection:
                answer = Answer(None, self._steadiness.objection)
            else:
                answer = HANDLERS[kind](context, message)
            answers.append((message, answer))
        if context.view.changed:
            tx.save_bindings(list(context.view.changed.values()))
            tx.put_events(self._chronicle.of_steps(context.view.steps, context.now))
        return _Handled(context, answers, drops)

    def _classify(
        self,
        packets: list[tuple[Packet, Received]],
        configuration: Configuration,
        drops: list[str],
    ) -> list[Message]:
        classifier = self._classifier
        if classifier is None:
            classifier = self._classifier = Classifier(
                configuration, self._interfaces, self._server_identifier
            )
        messages = []
        for packet, received in packets:
            if packet.kind in _ANSWERED and not can_be_answered(packet):
                drops.append("no_room_to_answer")
                continue
            try:
                messages.append(classifier.classify(packet, received))
            except PacketError as error:
                drops.append(error.reason)
        return messages

    def _context(
        self,
        tx: StoreTransaction,
        local: Local,
        derived: _Derived,
        messages: list[Message],
        now_ms: int,
    ) -> Context:
        addresses = {m.address for m in messages if m.address and m.kind is not MessageKind.INFORM}
        clients = {m.packet.client_key for m in messages if m.kind is MessageKind.DISCOVER}
        assert self._ownership is not None
        return Context(
            tx=tx,
            me=local.member,
            now_ms=now_ms,
            now=now_ms // 1000,
            issued=-(-now_ms // 1000),
            terms=derived.terms,
            buckets=derived.buckets,
            generation=derived.generation,
            configuration=derived.configuration,
            pools=derived.pools,
            templates=derived.templates,
            own_addresses=self._own_addresses,
            kept_addresses=derived.kept,
            named_addresses=derived.named,
            ownership=self._ownership,
            offers=self._offers,
            stock=derived.stock,
            declines=self._declines,
            patience=self._patience,
            probes=self.probes,
            view=View(tx, addresses, clients),
            serving_since=local.serving_since,
        )

    def _finish(self, handled: _Handled) -> list[Reply]:
        """After the commit: forget offers that became bindings, count, build the replies."""
        for reason in handled.drops:
            self.count(f"dropped_{reason}")
        context = handled.context
        if context is not None and context.enquired:
            self.committed += 1
        if context is not None and context.view.changed:
            self.committed += 1
            for row in context.view.changed.values():
                offer = self._offers.remove(row.client_key)
                if offer is not None and offer.address != row.address:
                    return_offer(context, offer)
        replies = []
        for message, answer in handled.answers:
            if answer.reason in _ASKED:
                self._held.keep(message.packet, message.received, self._now_ms)
            elif self._held:
                self._held.forget(message.packet)
            if answer.kind is not None:
                reply = self._reply(message, answer, answer.kind)
                replies.append(reply)
                if reply.left_out:
                    self._tell_left_out(message, reply)
            elif answer.reason:
                self.count(f"dropped_{answer.reason}")
                if answer.reason == NO_FREE_ADDRESS:
                    self._chronicle.note_shortage(message)
            if self._log_packets:
                self._log_message(message, answer, context)
        for kind, number in Counter(answer.kind for _, answer in handled.answers).items():
            if kind is not None:
                self.count(_COUNTED_REPLIES[kind], number)
        return replies

    def _reply(self, message: Message, answer: Answer, kind: MessageType) -> Reply:
        if kind is MessageType.NAK:
            return build_nak(message)
        assert answer.template is not None
        if message.kind is MessageKind.INFORM:
            return build_inform_reply(message, answer.template)
        if kind is MessageType.OFFER and len(message.subnets) > 1:
            assert self._classifier is not None
            identifier = self._classifier.identifier_for(message, answer.address)
            message = message._replace(server_identifier=identifier)
        return build_lease_reply(message, kind, answer.address, answer.duration_s, answer.template)

    # --- what is derived from the store

    def _refresh(self, tx: StoreTransaction, local: Local) -> _Derived | None:
        """Bring up to date what depends on membership, configuration and ownership. None: this
        member is in no group."""
        if self._ownership is None:
            self._ownership = Ownership(local.member)
        derived = self._derived
        if derived is None or derived.version != local.configuration_version:
            group = tx.group()
            if group is None:
                return None
            derived = self._derived = self._derive(tx, local, group)
            self._classifier = None
        if self._ownership_version != local.ownership_version:
            self._ownership_version = local.ownership_version
            self._ownership.forget()
            derived.stock.forget()
        return derived

    def _derive(self, tx: StoreTransaction, local: Local, group: Group) -> _Derived:
        configuration = Configuration.from_records(
            record for kind in KINDS for record in tx.configuration(kind)
        )
        kept = self._own_addresses | {
            m.address for m in group.members if m.state is not MemberState.REMOVED
        }
        named = frozenset(a for o in configuration.options for a in named_addresses(o.code, o.data))
        reserved = configuration.reservation_of
        assert self._ownership is not None
        self._left_out.clear()
        stock = FreeStock(
            configuration.pools,
            self._ownership,
            self._offers,
            lambda a: a in kept or a in named or reserved(a) is not None,
            self._tried(configuration, group.lease_s, local.tries_until) if self._probing else None,
        )
        pools = {subnet.network: configuration.pools_of(subnet) for subnet in configuration.subnets}
        return _Derived(
            local.configuration_version,
            group_terms(group, local),
            share_buckets(group),
            group.generation,
            kept,
            named,
            configuration,
            pools,
            Templates(configuration),
            stock,
        )

    def _tried(self, configuration: Configuration, lease_s: int, tries_until: int) -> Tried:
        """Addresses of a link of our own are tried on it, others by route."""
        links: dict[int, int] = {}
        for subnet in configuration.subnets:
            for one in self._interfaces.values():
                named = subnet.interface == one.name
                if named or (not subnet.interface and any(a in subnet for a in one.addresses)):
                    links.setdefault(subnet.network, one.index)

        def look(address: int) -> frozenset[bytes] | None:
            subnet = configuration.subnet_of(address)
            link = links.get(subnet.network, BY_ROUTE) if subnet else BY_ROUTE
            return self.probes.look(address, link, self._now_ms)

        longest_s = longest_lease(lease_s, configuration.settings)

        def policy(pool: Pool) -> ProbePolicy:
            subnet = configuration.subnet_of(pool.first)
            return subnet.probe if subnet else ProbePolicy.RECENT

        def all_until(pool: Pool) -> int:
            return max(tries_until, configuration.former_leases_end(pool.first, pool.last))

        return Tried(look, longest_s, all_until, policy)

    def _collect_own_addresses(self) -> frozenset[int]:
        own = {a for interface in self._interfaces.values() for a in interface.addresses}
        return frozenset(own | ({self._server_identifier} if self._server_identifier else set()))

    # --- the log

    def _tell_left_out(self, message: Message, reply: Reply) -> None:
        """Once for each option and subnet under one configuration: the operator must shorten it, or
        see that clients take longer messages (option 57)."""
        self.count("options_left_out", len(reply.left_out))
        subnet = message.subnets[0]
        place = f"{format_address(subnet.network)}/{subnet.prefix_length}"
        client = message.packet.client_hardware_address.hex(":")
        for code in reply.left_out:
            if (subnet.network, code) not in self._left_out:
                self._left_out.add((subnet.network, code))
                self._alarms.append(
                    f"option {option_type(code).name} ({code}) of {place} has no room in a reply "
                    f"of {len(reply.data)} octets to {client}, and is left out"
                )

    def _drop(self, reason: str, received: Received) -> None:
        self.count(f"dropped_{reason}")
        if self._log_packets:
            source = format_address(received.source)
            self._log_lines.append(f"datagram from {source} dropped: {reason}")

    def _log_message(self, message: Message, answer: Answer, context: Context | None) -> None:
        row = context.view.loaded(message.address) if context is not None else None
        mine = row is not None and row.client_key == message.packet.client_key
        name = row.hostname if row is not None and mine else ""
        interface = self._interfaces.get(message.received.interface)
        place = interface.name if interface else str(message.received.interface)
        self._log_lines += message_lines(message, answer, place, name)
