"""What a member shows of itself: one of role database, and one that may have been declared dead."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from agent.model import MemberRole, MemberState, Service, Trouble
from agent.pulse import Vitals
from agent.snmp import ber, columns
from agent.snmp.ber import Varbind
from agent.snmp.oid import Oid
from agent.snmp.tables import Scope, date_and_time
from agent.snmp.view import Role
from tests.snmp.world import NOW_MS, World, running


def read(world: World, oid: Oid) -> Varbind:
    with world.store.read() as tx:
        answer = world.agent.reader.get(
            Scope(tx, NOW_MS, world.peers), Role.MONITOR, [Varbind(oid, ber.NULL, None)], 60_000
        )
    (one,) = ber.decode_varbinds(answer)
    return one


def value_of(world: World, oid: Oid) -> int:
    value = read(world, oid).value
    assert isinstance(value, int)
    return value


def test_a_database_member_publishes_once_it_has_joined_and_is_low_on_nothing() -> None:
    async def check() -> None:
        async with running() as world:
            state = columns.SERVER["dhcpSyncServerState"]
            low = columns.SERVER["dhcpSyncServerPoolsLow"].instance
            assert value_of(world, low) == 1
            with world.store.write() as tx:
                group = tx.group()
                assert group is not None
                own, *others = group.members
                own = replace(own, role=MemberRole.DATABASE)
                tx.put_group(replace(group, members=(own, *others)))
            assert state.syntax.names[value_of(world, state.instance)] == "joining"
            with world.store.write() as tx:
                tx.set_serving(False, since=1)
            assert state.syntax.names[value_of(world, state.instance)] == "publishing"
            assert value_of(world, low) == 0
            role = columns.MEMBER["Role"]
            assert role.syntax.names[value_of(world, (*role.oid, 1))] == "database"

    asyncio.run(check())


def test_a_member_that_answers_no_client_does_not_call_itself_serving() -> None:
    async def check() -> None:
        async with running() as world:
            state = columns.SERVER["dhcpSyncServerState"]

            def shown(*, store_fails: bool = False, trouble: Trouble = Trouble.NONE) -> str:
                with world.store.read() as tx:
                    scope = Scope(tx, NOW_MS, store_fails=store_fails, vitals=Vitals(trouble))
                    asked = [Varbind(state.instance, ber.NULL, None)]
                    answer = world.agent.reader.get(scope, Role.MONITOR, asked, 60_000)
                (one,) = ber.decode_varbinds(answer)
                assert isinstance(one.value, int)
                return state.syntax.names[one.value]

            with world.store.write() as tx:
                tx.set_serving(True, since=0)
            assert shown() == "serving"
            assert shown(store_fails=True) == "storeFailing"
            assert shown(trouble=Trouble.ENGINE_SILENT) == "engineSilent"
            assert shown(store_fails=True, trouble=Trouble.ENGINE_SILENT) == "storeFailing"
            assert shown(trouble=Trouble.DISK_LOW) == "serving"
            with world.store.write() as tx:
                tx.set_service(Service.PAUSED)
            assert shown() == "paused"

    asyncio.run(check())


def test_since_when_it_may_have_been_declared_dead_is_shown_until_it_knows() -> None:
    async def check() -> None:
        async with running() as world:
            since = columns.SERVER["dhcpSyncServerUncertainSince"].instance
            assert read(world, since).value == b""
            with world.store.write() as tx:
                tx.set_certain(NOW_MS // 1000)
            assert read(world, since).value == date_and_time(NOW_MS // 1000)
            with world.store.write() as tx:
                group = tx.group()
                assert group is not None
                own, *others = group.members
                gone = replace(own, state=MemberState.REMOVED)
                tx.put_group(replace(group, members=(gone, *others)))
            assert read(world, since).value == b"", "it knows now that it was"

    asyncio.run(check())
