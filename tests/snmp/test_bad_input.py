"""What should not come from outside: the agent counts it, answers where it can, and goes on."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import socket
from collections.abc import Awaitable, Callable

import pytest

from agent.errors import ConfigError
from agent.limits import SNMP_COMMUNITY_OCTETS_MAX
from agent.model import ChangeKind, Subnet
from agent.snmp import ber, columns, view
from agent.snmp.ber import Varbind
from agent.snmp.door import Door
from agent.snmp.keys import EngineIdentity
from agent.snmp.oid import format_oid
from agent.snmp.transport import DoorTransport
from tests.snmp.world import (
    LOOPBACK,
    NETWORK,
    Outcome,
    World,
    engine_id,
    make_group,
    net_snmp,
    run,
    running,
)

NAME = "." + format_oid((*view.SYSTEM, 5, 0))
SUBNET = "." + format_oid((*columns.SUBNET["Name"].oid, 198, 18, 0, 0, 15))
STATISTICS = {word: (*view.USM_STATISTICS, arc, 0) for arc, word in enumerate(
    ("levels", "windows", "users", "engines", "digests", "decryption"), 1)}  # fmt: skip


def inside(check: Callable[[World], Awaitable[None]], *, community: str = "") -> None:
    async def enter() -> None:
        async with running(community=community) as world:
            await check(world)
            good = await net_snmp(world, "snmpget", NAME)
            assert "m1" in good.out, f"the agent does not go on: {good.err}"

    asyncio.run(enter())


async def counted(world: World, word: str) -> int:
    out = await net_snmp(world, "snmpget", "-Oqv", "." + format_oid(STATISTICS[word]))
    return int(out.out)


def credentials(**changes: str) -> list[str]:
    values = {
        "-l": "authPriv",
        "-u": "monitor",
        "-a": "SHA-256",
        "-A": "monitor-authentication",
        "-x": "AES",
        "-X": "monitor-privacy",
    }
    values |= {f"-{key}": value for key, value in changes.items()}
    return ["-v3", *(part for pair in values.items() for part in pair)]


@pytest.mark.parametrize(
    ("changes", "words", "counter"),
    [
        ({"u": "nobody"}, "Unknown user name", "users"),
        ({"A": "wrong-authentication"}, "Authentication failure", "digests"),
        ({"l": "noAuthNoPriv"}, "Unsupported security level", "levels"),
        ({"l": "authNoPriv"}, "Unsupported security level", "levels"),
        ({"X": "wrong-privacy"}, "", "decryption"),
    ],
)
def test_users_and_keys(changes: dict[str, str], words: str, counter: str) -> None:
    async def check(world: World) -> None:
        out = await run(world, "snmpget", credentials(**changes), (NAME,))
        assert out.code != 0
        assert "m1" not in out.out
        assert words in out.err
        assert await counted(world, counter) >= 1

    inside(check)


def test_no_community_unless_configured() -> None:
    async def check(world: World) -> None:
        for version in ("-v1", "-v2c"):
            out = await run(world, "snmpget", [version, "-c", "public"], (NAME,))
            assert "Timeout" in out.err

    inside(check)


def test_a_configured_community_reads_what_a_monitor_reads(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def check(world: World) -> None:
        async def ask(tool: str, *parts: str, name: str = "public") -> Outcome:
            return await run(world, tool, ["-v2c", "-c", name], parts)

        assert "m1" in (await ask("snmpget", NAME)).out
        walked = await ask("snmpbulkwalk", "." + format_oid(columns.BINDING.entry))
        assert len(walked.lines) == 20 * len(columns.BINDING.columns)
        refused = await ask("snmpset", SUBNET, "s", "new")
        assert "authorizationError" in refused.err
        assert "Timeout" in (await ask("snmpget", NAME, name="private")).err
        assert (await ask("snmpwalk", "." + format_oid(columns.CHANGE.entry))).code == 0
        with world.store.read() as tx:
            rows = [record.row for record in tx.configuration(ChangeKind.SUBNET)]
        assert rows == [Subnet(NETWORK, 15, name="lan")]

    with caplog.at_level(logging.WARNING, "dhcpsync.snmp"):
        inside(check, community="public")
    assert "SNMPv2c is on" in caplog.text


async def exchange(world: World, datagram: bytes) -> bytes:
    """The answer to one datagram."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()

    class Asking(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            answer.set_result(data)

    transport, _ = await loop.create_datagram_endpoint(
        Asking, remote_addr=(world.address, world.port)
    )
    transport.sendto(datagram)
    try:
        return await asyncio.wait_for(answer, 20)
    finally:
        transport.close()


def test_a_false_source_gains_no_more_than_a_frame() -> None:
    """GETBULK by v2c, whose source nothing proves."""

    async def check(world: World) -> None:
        start = Varbind(columns.BINDING.entry, ber.NULL, None)
        pdu = b"".join(map(ber.integer, (7, 0, 2000))) + ber.encode_varbinds([start])
        message = ber.integer(1) + ber.octets(b"public") + ber.octets(pdu, 0xA5)
        answer = await exchange(world, ber.octets(message, 0x30))
        assert 1_000 < len(answer) <= SNMP_COMMUNITY_OCTETS_MAX

    inside(check, community="public")


async def capture(options: list[str], tool: str, *parts: str) -> bytes:
    """The datagram that a tool sends."""
    loop = asyncio.get_running_loop()
    found: list[bytes] = []

    class Tap(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            found.append(data)

    transport, _ = await loop.create_datagram_endpoint(Tap, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    where = f"udp:127.0.0.1:{port}"
    process = await asyncio.create_subprocess_exec(
        tool, *options, "-t", "0.1", "-r", "0", "-m", "", where, *parts,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await process.wait()
    transport.close()
    assert found, "the tool has sent nothing"
    return found[0]


def test_five_hundred_mutated_datagrams() -> None:
    async def check(world: World) -> None:
        engine = ["-e", engine_id(1).hex(), "-Z", "1,1"]
        samples = [await capture([*credentials(), *engine], "snmpget", NAME)]
        samples += [bytes.fromhex("302902010104067075626c6963a01c02")]
        discovery = await capture(credentials(), "snmpget", NAME)
        chance = random.Random(20_261_121)
        world.agent.door.budgets.know("127.0.0.1")  # every Report is sent
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(500):
                datagram = bytearray(chance.choice(samples))
                for _ in range(chance.randint(1, 6)):
                    datagram[chance.randrange(len(datagram))] = chance.randrange(256)
                if number % 5 == 0:
                    del datagram[chance.randrange(len(datagram)) :]
                sender.sendto(bytes(datagram), (world.address, world.port))
                if number % 20 == 0:
                    await exchange(world, discovery)  # what was sent before has been worked off
            for size in range(len(samples[0])):
                sender.sendto(samples[0][:size], (world.address, world.port))
                if size % 20 == 0:
                    await exchange(world, discovery)
            await exchange(world, discovery)
        parse_errors = "." + format_oid((*view.SNMP, 6, 0))
        out = await net_snmp(world, "snmpget", "-Oqv", parse_errors)
        assert int(out.out) > 0
        assert world.requests == []

    inside(check)


def test_a_port_that_is_taken() -> None:
    async def check() -> None:
        identity = EngineIdentity(engine_id(1), 1)
        door = Door(identity, {}, b"", lambda *_: False, started_s=0, salt=1)
        transport = DoorTransport(door, lambda _: None, lambda _: None)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            port = other.getsockname()[1]
            with pytest.raises(ConfigError, match=r"snmp\.port: cannot listen on 127\.0\.0\.1"):
                transport.open(LOOPBACK, port)
        with pytest.raises(ConfigError, match=r"snmp\.address: cannot listen on 192\.0\.2\.1"):
            transport.open(0xC0000201, 0)

    asyncio.run(check())


def test_traps_change_nothing() -> None:
    async def check(world: World) -> None:
        peer = credentials(u="peer", A="peer-authentication", X="peer-privacy")
        message = "." + format_oid(columns.MESSAGE)
        parts = ("", "." + format_oid(columns.HELLO), message, "x", "01")
        # As another member sends it: its engine is known here once it has been talked to.
        world.agent.peer_client._target(make_group().members[1])
        engine = ["-e", engine_id(2).hex()]
        out = await run(world, "snmptrap", [*peer, *engine], parts)
        assert out.code == 0, out.err
        await counted(world, "engines")
        assert world.agent.door.statistics.unknown_engines == 2, "the trap, and the discovery"
        assert world.requests == []

    inside(check)


HELLO = ("", "." + format_oid(columns.HELLO), "." + format_oid(columns.MESSAGE), "x", "01")
POLL = ("." + format_oid((*columns.POLL["Request"].oid, 1, 1, 1)), "x", "00")


@pytest.mark.parametrize("context", [1, 2])
@pytest.mark.parametrize(
    ("tool", "parts"), [("snmpget", (NAME,)), ("snmpset", POLL), ("snmpinform", HELLO)]
)
def test_rfc3414_3_2_what_was_for_a_peer_is_no_message_for_us(
    tool: str, parts: tuple[str, ...], context: int
) -> None:
    """A message to a peer that is sent back to its sender: it is authentic, for the keys of that
    peer's engine are known here, but its authoritative engine is not this one."""

    async def check(world: World) -> None:
        world.agent.peer_client._target(make_group().members[1])
        peer = credentials(u="peer", A="peer-authentication", X="peer-privacy")
        reflected = ["-e", engine_id(2).hex(), "-E", engine_id(context).hex(), "-Z", "5,5"]
        out = await run(world, tool, [*peer, *reflected], parts)
        assert out.code != 0
        assert "m1" not in out.out
        assert re.search(r"Timeout|Unknown|unknown", out.err), out.err
        assert world.requests == []
        ours = await run(world, tool, peer, parts)
        assert "Timeout" not in ours.err, "the same to this engine is answered"

    inside(check)


def test_rfc3414_3_2_7_a_message_out_of_its_time_is_reported_and_not_done() -> None:
    async def check(world: World) -> None:
        operator = credentials(u="operator", A="operator-authentication", X="operator-privacy")
        old = ["-e", engine_id(1).hex(), "-Z", "1,1"]
        sent = await capture([*operator, *old], "snmpset", SUBNET, "s", "old")
        await exchange(world, sent)
        assert await counted(world, "windows") == 1
        with world.store.read() as tx:
            assert [r.row for r in tx.configuration(ChangeKind.SUBNET)] == [
                Subnet(NETWORK, 15, name="lan")
            ]

    inside(check)


@pytest.mark.parametrize(
    ("user", "wanted"),
    [("peer", "wrongValue"), ("operator", "authorizationError"), ("monitor", "authorizationError")],
)
def test_an_inform_that_is_none_of_ours(
    user: str, wanted: str, caplog: pytest.LogCaptureFixture
) -> None:
    """snmpinform does not show the error-status of the response; our log names it."""

    async def check(world: World) -> None:
        parts = ("", "." + format_oid(columns.HELLO), "." + format_oid(columns.MESSAGE), "x", "ff")
        out = await net_snmp(world, "snmpinform", *parts, user=user)
        assert out.err == "" or "Created directory" in out.err, "it must be answered"
        assert wanted in caplog.text
        assert world.requests == []

    with caplog.at_level(logging.INFO, "dhcpsync.snmp"):
        inside(check)
