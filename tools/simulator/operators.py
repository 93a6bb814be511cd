"""What operators do in a run: they let members in and take them out, and set parameters.

An operator here looks at disks only where he must not do harm that no rule can mend: he never
forces a change on both sides of a cut group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.kinds.scope import subnet_scope
from agent.model import Member, MemberState, Reservation, Service, Setting, SettingName
from agent.port import StoreTransaction
from agent.sync.change import Expel, Reweigh
from agent.sync.change import Parameters as GroupParameters
from agent.sync.node import Node
from tools.simulator.members import LAN, LAN_PREFIX, POOL_FIRST, member_address

if TYPE_CHECKING:
    from tools.simulator.run import Simulation

_AGAIN_MS = 10_000
_PATIENCE_MS = 60_000
"""Beside the time after which a silent member counts as out of reach: before that nobody agrees."""
ORDERED_WHILE_RECOVERING = "pair told to decide while recovering"
TOLD_TO_GO_BESIDE = "pair told to go while another goes"
_GOING = (Service.SHUTDOWN, Service.LEAVING)


class Operators:
    def __init__(self, sim: Simulation) -> None:
        self._sim = sim

    def joins(self, contact: int, joining: int) -> None:
        group = self._sim.evidence.shadows[contact].group
        known = group.member(joining) if group is not None else None
        if group is not None and (known is None or known.state is MemberState.REMOVED):
            self._note_order(contact)
            self._sim.member(contact).propose_join(listed(joining))

    def readmits(self, contact: int, member: int) -> None:
        """Let a member in again that was taken out, where that is done at all in this run."""
        if self._sim.parameters.readmits:
            self.joins(contact, member)

    def expels(self, contact: int, member: int, *, keeps_seat: bool) -> None:
        """An operator makes sure that the member is dead, and says so again and again until it is
        out or runs again. He forces it only where no majority could ever be had."""

        def say(tries: int) -> object:
            group = self._sim.evidence.shadows[contact].group
            known = group.member(member) if group is not None else None
            if group is None or known is None or not known.is_current:
                return None
            if self._sim.member(member).running or not tries or not self._may_force(contact):
                return None
            force = len(group.current) == 2
            self._sim.last_death_ms = self._sim.world.now_ms
            self._sim.member(contact).ask_operator(
                lambda node, tx, now_ms: node.propose(
                    tx, Expel(member, keeps_seat), "operator", force, now_ms
                )
            )
            self._sim.world.after(_AGAIN_MS, lambda: say(tries - 1))
            return None

        patience_ms = self._sim.settings.dead_ms + _PATIENCE_MS
        self._sim.world.after(5_000, lambda: say(patience_ms // _AGAIN_MS))

    def _may_force(self, contact: int) -> bool:
        """Not at a member that another disk calls dead, or has let in again without its having
        heard: that would be force on both sides, whatever was forgotten in between."""
        evidence = self._sim.evidence
        group = evidence.shadows[contact].group
        own = group.member(contact) if group is not None else None
        if group is None or own is None:
            return False
        for other in evidence.shadows.values():
            if other.group is None or evidence.groups.descends(group, other.group):
                continue  # nothing there that this one has not heard
            known = other.group.member(contact)
            if known is not None and (not known.is_current or known.since > own.since):
                return False
        return True

    def lies(self, contact: int, member: int, *, keeps_seat: bool) -> None:
        """An operator calls a member dead that runs, and forces it."""
        self._sim.evidence.lied |= self._sim.member(member).running
        self._sim.member(contact).ask_operator(
            lambda node, tx, now_ms: node.propose(
                tx, Expel(member, keeps_seat), "operator", True, now_ms
            )
        )

    def orders(self, member: int, service: Service) -> None:
        if service in _GOING:
            self._sim.counters[TOLD_TO_GO_BESIDE] += self._another_goes(member)
        self._sim.member(member).ask_operator(
            lambda node, tx, now_ms: node.set_service(tx, service, now_ms)
        )

    def _another_goes(self, member: int) -> bool:
        for other in self._sim.members:
            with other.disk.read() as tx:
                going = tx.local().service in _GOING
            if other.member != member and going and self._sim.shadow(other).is_current():
                return True
        return False

    def _note_order(self, contact: int) -> None:
        """An order to change the group reaches a member that may have forgotten what it said."""
        with self._sim.member(contact).disk.read() as tx:
            local = tx.local()
        self._sim.counters[ORDERED_WHILE_RECOVERING] += bool(local.recovery or local.unconfirmed)

    def sets_mul(self, contact: int, mul_s: int) -> None:
        self._note_order(contact)
        self._sim.member(contact).ask_operator(
            lambda node, tx, now_ms: node.propose(
                tx, GroupParameters(mul_s=mul_s), "operator", False, now_ms
            )
        )

    def reweighs(self, contact: int, member: int, weight: int) -> None:
        self._note_order(contact)
        self._sim.member(contact).ask_operator(
            lambda node, tx, now_ms: node.propose(
                tx, Reweigh(member, weight), "operator", False, now_ms
            )
        )

    def readmit_all(self) -> object:
        """After healing an operator lets everybody in again, and ends every pause."""
        for member in self._sim.members:
            self.orders(member.member, Service.RUNNING)
            for contact in self._sim.members:
                if contact is not member:
                    self.readmits(contact.member, member.member)
        return None

    def sets_lease(self, contact: int, lease_s: int) -> None:
        """Another lease time for the LAN (0: the group's), by a SET at one member."""

        def set_lease(node: Node, tx: StoreTransaction, _now_ms: int) -> None:
            row = Setting(*subnet_scope(LAN, LAN_PREFIX), SettingName.LEASE, lease_s)
            tx.save_configuration([(row, lease_s == 0)])
            node.notice_store_change()

        self._sim.member(contact).ask_operator(set_lease)

    def reserves(self, contact: int, client: int, offset: int, *, deleted: bool = False) -> None:
        """An address of the LAN's pool, for a client's hardware address, or no more."""
        hardware_address = client_hardware_address(client)
        self._sim.reserved.add(POOL_FIRST + offset)
        self._sim.reserved_for.add(hardware_address)
        row = Reservation(POOL_FIRST + offset, b"\x00\x01" + hardware_address)

        def reserve(node: Node, tx: StoreTransaction, _now_ms: int) -> None:
            tx.save_configuration([(row, deleted)])
            node.notice_store_change()

        refused = self._sim.member(contact).ask_operator(reserve)
        if deleted and refused:  # a full disk, a member that does not run: it is tried again
            self._sim.world.after(
                _AGAIN_MS,
                lambda: self.reserves(contact, client, offset, deleted=True),
            )


def client_hardware_address(number: int) -> bytes:
    return bytes([2, 1, 0, 0, number >> 8, number & 255])


def listed(number: int) -> Member:
    engine_id = bytes([128, 0, 126, 217, 4, number])
    return Member(number, f"m{number}", member_address(number), 161, engine_id)
