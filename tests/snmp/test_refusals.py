"""Refused SETs: what the audit keeps of them, and that nobody fills the store with them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from agent.limits import AUDIT_REFUSAL_DETAIL_MAX, AUDIT_REFUSALS_PER_MINUTE_MAX
from agent.snmp import ber, columns, message, refusals, view
from agent.snmp.ber import Varbind
from agent.snmp.oid import format_oid
from agent.snmp.refusals import Refusals
from agent.snmp.responder import Asker
from agent.snmp.status import RequestError
from agent.snmp.view import Role
from store.database import Store
from tests.snmp.world import World, net_snmp, run, running

NAME = (*columns.SUBNET["Name"].oid, 198, 18, 0, 0, 15)
BAD_USES = "." + format_oid((*view.SNMP, 5, 0))


def inside(check: Callable[[World], Awaitable[None]], *, community: str = "") -> None:
    async def enter() -> None:
        async with running(community=community) as world:
            await check(world)

    asyncio.run(enter())


def audited(world: World) -> list[tuple[str, str, str]]:
    with world.store.read() as tx:
        return [(one.user, one.action, one.detail) for one in tx.audit_after(0, 5000)]


async def refuse(world: World, asker: Asker, times: int) -> None:
    """As the responder does for each SET of `asker`."""
    varbinds = [Varbind(NAME, ber.OCTETS, b"x" * 2000)]
    pdu = message.Pdu(message.SET, 1, 0, 0, ber.encode_varbinds(varbinds))
    for _ in range(times):
        with pytest.raises(RequestError):
            await world.agent.responder._services[message.SET](asker, pdu, varbinds, 1400)


def test_a_thousand_refused_sets_are_few_entries() -> None:
    async def check(world: World) -> None:
        await refuse(world, Asker("monitor", Role.MONITOR), 1000)
        rows = audited(world)
        assert {(user, action) for user, action, _ in rows} == {("monitor", "refused")}
        assert len(rows) == AUDIT_REFUSALS_PER_MINUTE_MAX
        assert max(len(detail) for _, _, detail in rows) <= AUDIT_REFUSAL_DETAIL_MAX
        await refuse(world, Asker("operator", Role.OPERATOR), 1)
        assert audited(world)[-1][:2] == ("operator", "refused"), "one does not hide another"

    inside(check)


def test_a_community_leaves_no_entry_and_is_counted() -> None:
    async def check(world: World) -> None:
        for _ in range(2):
            parts = ("." + format_oid(NAME), "s", "x")
            out = await run(world, "snmpset", ["-v2c", "-c", "public"], parts)
            assert "authorizationError" in out.err
        assert audited(world) == []
        assert (await net_snmp(world, "snmpget", "-Oqv", BAD_USES)).out == "2\n"

    inside(check, community="public")


def test_a_user_has_a_number_for_each_minute() -> None:
    rules = Refusals()
    for minute in (0, 60):
        admitted = [rules.admit("monitor", minute + second) for second in range(50)]
        assert admitted.count(True) == AUDIT_REFUSALS_PER_MINUTE_MAX
        assert admitted[0]


def test_what_is_kept_at_all_is_bounded_over_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "AUDIT_REFUSALS_KEPT_MAX", 5)
    store = Store.in_memory()
    for start in range(3):
        rules = Refusals()
        for number in range(3):
            now = start * 600 + number
            if rules.admit("monitor", now):
                with store.write() as tx:
                    rules.write(tx, "monitor", "no", now)
    with store.write() as tx:
        tx.audit("operator", "refused", "another's", 0)
        tx.audit("monitor", "set", "no refusal", 0)
        assert tx.count_audited("monitor", "refused") == 5
        assert tx.verify_audit() == 7
