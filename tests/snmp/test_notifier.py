"""Notifications to operators: what they say agrees with the MIB, and net-snmp takes them in."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from agent import clock
from agent.health import WELL, Health, Kind, Severity
from agent.limits import NOTICE_AGAIN_S, NOTICE_SUBJECTS_MAX, NOTICES_MAX
from agent.model import Binding
from agent.snmp import columns
from agent.snmp.damping import Damper, subject_of
from agent.snmp.health_objects import health_notice
from agent.snmp.notifier import describe
from agent.sync.conflict import conflict_notice
from agent.sync.merge import merge
from agent.sync.notices import (
    Notice,
    config_mismatch,
    free_addresses,
    group_change,
    group_fork,
    member_state_change,
)
from tests.snmp import smi
from tests.snmp.world import FIRST, LOOPBACK, binding, engine_id, make_group, running


def conflict() -> Binding:
    """What the merge makes of two clients of one epoch."""
    one = binding(FIRST + 5, stream=1 << 32 | 1, seq=1)
    two = binding(FIRST + 5, client_key=b"\x01two", transaction_server=2, stream=2 << 32 | 1, seq=1)
    return merge(one, two).row


NOTICES = [
    member_state_change(2, "m2", 1),
    group_change(make_group()),
    free_addresses(True, FIRST, FIRST + 9, 3),
    free_addresses(False, FIRST, FIRST + 9, 5),
    config_mismatch(2, "m2"),
    conflict_notice(conflict()),
    group_fork(make_group()),
    health_notice(Health(Severity.FAILING, frozenset({Kind.POOL_FULL}), "A pool is full.")),
    health_notice(WELL),
]


@pytest.mark.parametrize("notice", NOTICES, ids=lambda notice: notice.name)
def test_a_notice_has_the_objects_of_the_mib(notice: Notice) -> None:
    node = smi.read_module()[notice.name]
    assert node.objects == tuple(name for name, _, _ in notice.objects)


def test_every_event_of_the_mib_has_a_notice() -> None:
    assert {notice.name for notice in NOTICES} == set(columns.EVENTS)


def free_port() -> int:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@asynccontextmanager
async def snmptrapd(folder: Path, port: int) -> AsyncIterator[asyncio.StreamReader]:
    """net-snmp's trap daemon, which knows the user monitor of this engine; yields what it
    prints, one line a trap."""
    (folder / "trapd.conf").write_text(
        f"createUser -e 0x{engine_id(1).hex()} monitor SHA-256 monitor-authentication"
        " AES monitor-privacy\n"
        "authUser log monitor priv\n"
        "format2 TRAP %W %v\\n\n"
        "disableAuthorization no\n"
    )
    process = await asyncio.create_subprocess_exec(
        shutil.which("snmptrapd", path="/usr/sbin:/usr/bin:/sbin:/bin") or "snmptrapd",
        *("-f", "-C", "-c", str(folder / "trapd.conf"), "-m", "", "-On", "-Lo"),
        *("-F", "TRAP %v\\n", "-x", f"unix:{folder}/agentx", f"udp:127.0.0.1:{port}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"SNMP_PERSISTENT_DIR": str(folder), "HOME": str(folder)},
    )
    assert process.stdout is not None
    try:
        while b"NET-SNMP version" not in await process.stdout.readline():
            assert process.returncode is None
        yield process.stdout
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.skipif(
    shutil.which("snmptrapd", path="/usr/sbin:/usr/bin:/sbin:/bin") is None,
    reason="net-snmp's trap daemon is not installed (Debian: snmptrapd)",
)
def test_snmptrapd_takes_every_notification_in(tmp_path: Path) -> None:
    async def body() -> None:
        port = free_port()
        async with (
            snmptrapd(tmp_path, port) as lines,
            running(notify_targets=((LOOPBACK, port),)) as world,
        ):
            telling = asyncio.create_task(world.agent.notifier.run())
            for notice in NOTICES:
                world.agent.notifier.notify(notice)
            heard: list[str] = []
            async with asyncio.timeout(20):
                while len(heard) < len(NOTICES):
                    line = (await lines.readline()).decode()
                    if line.startswith("TRAP"):
                        heard.append(line)
            telling.cancel()
        oids = {c.name: c.oid for table in columns.TABLES for c in table.columns.values()}
        oids |= {scalar.name: scalar.oid for scalar in columns.SERVER.values()}
        for notice, line in zip(NOTICES, heard, strict=True):
            assert "." + ".".join(map(str, columns.EVENTS[notice.name])) in line
            for name, index, value in notice.objects:
                assert "." + ".".join(map(str, (*oids[name], *index))) in line
                assert (value.hex(" ").upper() if isinstance(value, bytes) else str(value)) in line

    asyncio.run(body())


def test_a_full_queue_loses_the_oldest_and_never_waits() -> None:
    async def body() -> None:
        async with running(notify_targets=((LOOPBACK, free_port()),)) as world:
            notifier = world.agent.notifier
            for member in range(NOTICES_MAX + 3):
                notifier.notify(member_state_change(member, "m", 1))
            assert notifier.lost == 3
            telling = asyncio.create_task(notifier.run())
            async with asyncio.timeout(5):
                while notifier.sent < 3:
                    await asyncio.sleep(0.01)
            telling.cancel()

    asyncio.run(body())


def test_without_targets_a_notice_is_only_logged() -> None:
    async def body() -> None:
        async with running() as world:
            world.agent.notifier.notify(NOTICES[0])
            assert world.agent.notifier.lost == world.agent.notifier.sent == 0

    asyncio.run(body())


def test_a_notice_reads_well_in_the_log() -> None:
    assert describe(NOTICES[2]) == (
        "dhcpSyncFreeAddressLow dhcpSyncPoolSize.198.18.16.0.198.18.16.9=10"
        " dhcpSyncPoolFree.198.18.16.0.198.18.16.9=3"
    )


def test_what_flaps_is_damped_and_its_last_word_is_told() -> None:
    damper, down, up = Damper(), member_state_change(2, "m2", 1), member_state_change(2, "m2", 4)
    sent = [one for n in range(100) for one in (down, up) if damper.admit(one, 1000 + n / 10)]
    assert sent == [down, up, down, up]
    assert damper.admit(member_state_change(3, "m3", 1), 1010), "another member is another subject"
    assert damper.due(1011) == []
    due_s = damper.next_due_s()
    assert due_s is not None
    assert 1050 < due_s < 1061
    assert damper.due(due_s) == [], "it was told last that the member is up, and it is"
    assert damper.next_due_s() is None
    assert not damper.admit(down, due_s)
    later_s = damper.next_due_s()
    assert later_s is not None
    assert damper.due(later_s) == [down]
    assert damper.admit(up, later_s + 4 * NOTICE_AGAIN_S), (
        "what is quiet for a while is told at once"
    )


def test_low_and_high_are_about_one_pool_and_subjects_are_bounded() -> None:
    low, high = (
        free_addresses(True, FIRST, FIRST + 9, 0),
        free_addresses(False, FIRST, FIRST + 9, 5),
    )
    assert subject_of(low) == subject_of(high)
    damper = Damper()
    for member in range(NOTICE_SUBJECTS_MAX + 5):
        assert damper.admit(member_state_change(member, "m", 1), 1000)
    assert len(damper._told) == NOTICE_SUBJECTS_MAX


def test_a_held_notice_is_sent_when_its_time_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1000.0]
    monkeypatch.setattr(clock, "boot_s", lambda: now_s[0])

    async def body() -> None:
        async with running(notify_targets=((LOOPBACK, free_port()),)) as world:
            notifier = world.agent.notifier
            for state in (1, 4, 1, 4, 1):
                notifier.notify(member_state_change(2, "m2", state))
            telling = asyncio.create_task(notifier.run())
            async with asyncio.timeout(20):
                while notifier.sent < 4:
                    await asyncio.sleep(0)
                assert notifier.sent == 4
                now_s[0] += NOTICE_AGAIN_S
                notifier.notify(member_state_change(3, "m3", 1))
                while notifier.sent < 6:
                    await asyncio.sleep(0)
            telling.cancel()

    asyncio.run(body())
