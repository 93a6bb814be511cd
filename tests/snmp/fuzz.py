"""Messages with something wrong, by the thousand, against a whole agent.

`python -m tests.snmp.fuzz --seconds 600` runs fresh seeds and says how many; the seed that it names
runs again with `--seed`. Half of the messages are mutated as they are on the wire, so most of them
end before authentication; the other half are right outside, and what is mutated is the scopedPDU
of somebody with keys: PDUs, variable bindings, lengths, tags, numbers and object identifiers, as
the PROTOS suite of 2002 did it.

What must hold for every one: nothing raises, and it is answered or counted.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agent.snmp import ber, columns, message, reports, view
from agent.snmp.door import Address
from agent.snmp.message import GET, GET_BULK, GET_NEXT, INFORM, SET
from agent.snmp.oid import Oid
from tests.snmp.datagrams import DISCOVERY, Datagram
from tests.snmp.world import World, engine_id, running

_USERS = ("monitor", "operator", "peer")
_NUMBERS = (0, 1, -1, 127, 128, 255, 256, 2**31 - 1, -(2**31), 2**31, 2**32 - 1, 2**63, -(2**63))
_TAGS = (0x01, 0x02, 0x04, 0x05, 0x06, 0x09, 0x1F, 0x24, 0x30, 0x40, 0x41, 0x42, 0x43, 0x44, 0x46,
         0x47, 0x80, 0x81, 0x82, 0xA0, 0xA8, 0xFF)  # fmt: skip
_LENGTHS = (b"\x80", b"\x00", b"\x01", b"\x7f", b"\x81\x00", b"\x81\xff", b"\x82\xff\xff", b"\xff",
            b"\x84\x7f\xff\xff\xff", b"\x84\xff\xff\xff\xff", b"\x85\x01\x00\x00\x00\x00",
            b"\x88\xff\xff\xff\xff\xff\xff\xff\xff")  # fmt: skip
_KINDS = (GET, GET_NEXT, GET_BULK, SET, INFORM)
_REPORTS = (reports.UNKNOWN_ENGINE, reports.NOT_IN_TIME_WINDOW, reports.UNKNOWN_USER,
            reports.WRONG_DIGEST, reports.UNKNOWN_CONTEXT)  # fmt: skip

NAMES: Sequence[Oid] = (
    (*view.SYSTEM, 5, 0),
    (*columns.GROUP["Name"].oid, 1),
    (*columns.SUBNET["Name"].oid, 198, 18, 0, 0, 15),
    (*columns.SUBNET["LeaseTime"].oid, 198, 18, 0, 0, 15),
    (*columns.POOL["RowStatus"].oid, 198, 18, 32, 0, 198, 18, 32, 9),
    (*columns.OPTION["Text"].oid, 0, 0, 0, 0, 0, 6),
    (*columns.RESERVATION["HardwareAddress"].oid, 198, 18, 1, 1),
    (*columns.MEMBER["Weight"].oid, 2),
    (*columns.POLL["Request"].oid, 2, 1, 1),
    (*columns.BINDING["State"].oid, 198, 18, 16, 1),
    columns.BINDING.entry,
    columns.MESSAGE,
    columns.OBJECTS,
    (1, 3),
    (2, 999),
    (0, 0),
)


_WARM = 2


class Mutator:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._chance = random.Random(seed)

    def octets(self, data: bytes) -> bytes:
        """`data` with one to three things wrong."""
        for _ in range(self._chance.choice((1, 1, 1, 2, 3))):
            data = self._once(data)
        return data

    def _once(self, data: bytes) -> bytes:
        chance = self._chance
        at = chance.randrange(len(data) + 1)
        rest = data[at + 1 :]
        kind = chance.randrange(9)
        if kind == 0:
            return data[:at]
        if kind == 1:
            return data[:at] + bytes((chance.randrange(256),)) + rest
        if kind == 2:
            return data[:at] + bytes((chance.choice(_TAGS),)) + rest
        if kind == 3:
            return data[:at] + chance.choice(_LENGTHS) + rest
        if kind == 4:
            return data[:at] + chance.randbytes(chance.randrange(20)) + data[at:]
        if kind == 5:
            return data[:at] + rest[chance.randrange(10) :]
        if kind == 6:
            return data[:at] + data[max(0, at - chance.randrange(30)) :]
        if kind == 7:
            return data[:at] + b"\x30\x80" * chance.randrange(200) + rest
        return data[:at] + bytes(chance.randrange(200)) + rest

    def value(self) -> bytes:
        chance = self._chance
        tag = chance.choice(_TAGS)
        kind = chance.randrange(5)
        if kind == 0:
            return ber.octets(chance.randbytes(chance.randrange(12)), tag)
        if kind == 1:
            number = chance.choice(_NUMBERS)
            size = number.bit_length() // 8 + 1
            return ber.octets(number.to_bytes(size, "big", signed=True), tag)
        if kind == 2:
            return bytes((tag,)) + chance.choice(_LENGTHS) + chance.randbytes(4)
        if kind == 3:
            return ber.octets(bytes(chance.choice((0, 1, 65, 256, 1100, 5000))), tag)
        return chance.choice((ber.NULL_VALUE, ber.integer(4), ber.octets(b"text")))

    def name(self) -> bytes:
        chance = self._chance
        oid = list(chance.choice(NAMES))
        for _ in range(chance.randrange(3)):
            oid.insert(chance.randrange(2, len(oid) + 1), chance.choice((0, 1, 255, 2**32 - 1)))
        octets = ber.object_identifier(tuple(oid))
        if chance.random() < 0.2:
            octets = self._once(octets)
        if chance.random() < 0.02:
            octets += b"\x81\x01" * chance.randrange(1000)
        return octets

    def varbinds(self) -> bytes:
        chance = self._chance
        count = chance.choice((0, 1, 1, 1, 2, 3, 20, 500))
        parts = [ber.varbind(self.name(), self.value()) for _ in range(count)]
        if parts and chance.random() < 0.2:
            parts.append(parts[0])
        return ber.varbind_list(parts)

    def pdu(self) -> bytes:
        chance = self._chance
        first, second = (
            chance.choice((chance.randrange(100), chance.choice(_NUMBERS))) for _ in range(2)
        )
        request_id = chance.choice((4711, 4711, chance.choice(_NUMBERS)))
        octets = message.build_pdu(
            chance.choice(_KINDS), request_id, first, second, self.varbinds()
        )
        return self.octets(octets) if chance.random() < 0.3 else octets

    def datagram(self, boots: int, time_s: int) -> bytes:
        chance = self._chance
        right = Datagram(
            pdu=self.pdu(), boots=boots, time_s=time_s, user=chance.choice(_USERS),
            message_id=chance.randrange(2**31),
        )  # fmt: skip
        kind = chance.randrange(8)
        if kind < 4:
            return right.octets
        if kind == 4:
            scoped = message.build_scoped(right.engine_id, b"", right.pdu)
            return right.but(scoped=self.octets(scoped)).octets
        if kind == 5:
            return self.octets(message.build_community(b"public", right.pdu))
        return self.octets(chance.choice((right, DISCOVERY, right.but(user=""))).octets)

    def answer(self, message_id: int) -> bytes:
        """What anybody may send in the place of an answer: a Report, for it needs no keys."""
        chance = self._chance
        counter = chance.choice((b"\0", b"\x01", b"\0\xff\xff\xff\xff", bytes(9), b""))
        oid = chance.choice((*(kind.oid for kind in _REPORTS), (0, 0), (1, 3), (2, 999, 1)))
        value = ber.octets(counter, chance.choice((ber.COUNTER32, ber.COUNTER32, ber.INTEGER)))
        varbinds = [ber.varbind(ber.object_identifier(oid), value)] * chance.choice((0, 1, 1, 1, 2))
        one, two, three, boots, time_s = (chance.choice((0, 0, 1, -1, 2**31 - 1)) for _ in range(5))
        right = DISCOVERY.but(
            pdu=message.build_pdu(message.REPORT, one, two, three, ber.varbind_list(varbinds)),
            engine_id=chance.choice((engine_id(2), engine_id(2), engine_id(1), b"", bytes(32))),
            message_id=message_id,
            flags=chance.choice((0, 0, 4, 8, 0xF8)),
            boots=abs(boots),
            time_s=abs(time_s),
            user=chance.choice(("", "peer", "nobody")),
            context_name=chance.choice((b"", b"lab")),
        )
        return self.octets(right.octets) if chance.random() < 0.4 else right.octets


class Fuzz:
    """Runs messages through an agent, as if its socket had read them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sent: list[bytes] = []
        self.count = self.answered = 0
        world.agent._transport.send = self._keep  # type: ignore[method-assign, assignment]

    def _keep(self, octets: bytes, to: Address) -> None:
        self._sent.append(octets)

    def _counted(self) -> int:
        found = self._world.agent.door.statistics
        names = type(found).__slots__
        return sum(getattr(found, name) for name in names if name != "in_packets")

    async def one(self, octets: bytes) -> None:
        agent, before = self._world.agent, self._counted()
        now_s = self.count / 50  # slow enough for every Report
        self._sent.clear()
        agent.door._started_s = now_s - 1000
        agent._transport._take(octets, ("192.0.2.7", 4000), now_s)
        while agent._pending._tasks:
            await asyncio.wait(agent._pending._tasks)
        self.count += 1
        self.answered += bool(self._sent)
        assert len(self._sent) <= 1
        assert self._sent or self._counted() > before, "neither answered nor counted"
        assert agent.loop_errors == 0


@contextmanager
def no_defects() -> Iterator[None]:
    """A defect is answered with genErr, and logged with its traceback."""
    found: list[logging.LogRecord] = []

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info:
                found.append(record)

    handler = Watch()
    log = logging.getLogger("dhcpsync.snmp")
    log.addHandler(handler)
    try:
        yield
        assert not found, logging.Formatter().format(found[0])
    finally:
        log.removeHandler(handler)


def resident_octets() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def run(seeds: Iterator[int], of_each: int, until_s: float) -> tuple[int, int, int]:
    """Messages, answers, and the octets by which memory has grown since the third seed. Raises
    at the first message for which something does not hold, naming its seed."""
    async with running(community="public") as world:
        fuzz, began = Fuzz(world), 0
        for number, seed in enumerate(seeds):
            mutator = Mutator(seed)
            try:
                with no_defects():
                    for _ in range(of_each):
                        await fuzz.one(mutator.datagram(world.agent.door.boots, 1000))
            except Exception as error:
                raise AssertionError(f"seed {seed}, message {fuzz.count}: {error!r}") from error
            if number == _WARM:
                began = resident_octets()
            if time.monotonic() > until_s:
                break
        grown = resident_octets() - began if began else 0
        assert world.agent._pending._loads == {}
        return fuzz.count, fuzz.answered, grown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    logging.disable(logging.INFO)
    first = options.seed if options.seed is not None else random.SystemRandom().randrange(2**40)
    seeds = iter([first]) if options.seed is not None else iter(range(first, first + 10**9))
    count, answered, grown = asyncio.run(run(seeds, 1000, time.monotonic() + options.seconds))
    print(
        f"seeds from {first}: {count} messages, {answered} answered, {grown} octets more at the end"
    )


if __name__ == "__main__":
    main()
