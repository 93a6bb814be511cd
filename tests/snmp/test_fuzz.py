"""A short run of the fuzzer; `python -m tests.snmp.fuzz` is the long one."""

from __future__ import annotations

import asyncio
import contextlib
import math
import tracemalloc

import pytest

from agent.snmp import ber
from agent.snmp.asking import SnmpAuthError, Target
from agent.snmp.door import Answer, Door, Request
from agent.snmp.message import GET
from tests.snmp import fuzz
from tests.snmp.datagrams import NOW_S, make_door
from tests.snmp.world import LOOPBACK, engine_id, keys_of, running


@pytest.mark.parametrize("seed", [14, 20_261_127])
def test_nothing_raises_and_everything_is_answered_or_counted(seed: int) -> None:
    count, answered, _ = asyncio.run(fuzz.run(iter([seed]), 700, math.inf))
    assert count == 700
    assert 100 < answered < 650, "some of the messages are right, and some are not"


def _faults(door: Door) -> int:
    found = door.statistics
    names = set(type(found).__slots__) - {"in_packets", "reports_held"}
    return sum(getattr(found, name) for name in names)


def test_rfc3412_7_2_each_message_is_a_request_or_one_fault_and_nothing_is_kept() -> None:
    door, mutator = make_door(community="public"), fuzz.Mutator(14)
    requests, kept = 0, []
    sent = [mutator.datagram(door.boots, 1000) for _ in range(1_500)]
    tracemalloc.start()
    try:
        for number, octets in enumerate(sent):
            before = _faults(door)
            verdict = door.examine(octets, (f"192.0.2.{number % 200}", 9), NOW_S)
            requests += isinstance(verdict, Request)
            assert _faults(door) - before == (not isinstance(verdict, Request)), octets.hex()
            verdict = None
            if number % 750 == 749:
                kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert door.statistics.in_packets == 1_500
    assert 300 < requests < 1_200
    assert kept[1] - kept[0] < 32_768


def test_whatever_comes_in_the_place_of_an_answer_pysnmp_survives_it() -> None:
    """It is handed on where it has the msgID of a request to that address, and needs no digest."""

    async def check() -> None:
        async with running() as world:
            agent, mutator, taken = world.agent, fuzz.Mutator(14), 0
            agent._transport.send = lambda *_: None  # type: ignore[method-assign]
            agent._session.know("peer", keys_of("peer").localize(engine_id(2)), engine_id(2))
            target = Target(LOOPBACK + 9, 161, "peer", engine_id(2))
            (model,) = agent._engine.message_processing_subsystems.values()
            asked = model._cache._Cache__msgIdIndex
            for number in range(250):
                asking = asyncio.ensure_future(agent._session.ask(target, GET, ber.NULL_VALUE, 60))
                await asyncio.sleep(0)
                where = ("127.0.0.10", 161)
                verdict = agent.door.examine(mutator.answer(max(asked)), where, number)
                if isinstance(verdict, Answer):
                    taken += 1
                    agent._transport._give(verdict, where)
                asking.cancel()
                with contextlib.suppress(asyncio.CancelledError, SnmpAuthError):
                    await asking
                assert not asked
            assert 30 < taken < 200
            usm = agent._engine.security_models[3]
            assert not usm._SnmpUSMSecurityModel__timeline, "no clock is believed of a stranger"

    asyncio.run(check())
