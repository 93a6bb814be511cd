"""What lab tests share: the command, a DHCP client of a few lines, waiting for a condition."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.snmp.columns import BINDING
from agent.snmp.oid import Oid, format_oid
from tools.lab import network
from tools.lab.compare import describe, differences
from tools.lab.lab import target
from tools.lab.layout import Node, load_state
from tools.lab.population import Books
from tools.manager import Row, Value
from tools.status import Status, read_status

REPOSITORY = Path(__file__).parents[2]
CLIENT_ADDRESS = "198.18.15.1"
"""Kept for tools by the lab's contract."""


_ENTRY = format_oid(BINDING.entry)
_CELL = re.compile(rf"\.{re.escape(_ENTRY)}\.(\d+)\.([0-9.]+) ?(.*)")
_COLUMNS = {column.arc: short for short, column in BINDING.columns.items()}


_LEASED = re.compile(r"lease of ([0-9.]+) obtained")


def _value(text: str) -> Value:
    """A number, or octets that snmpbulkwalk prints in hexadecimal or, if it likes, as text."""
    if text.isdigit():
        return int(text)
    text = text.strip().strip('"').strip()
    try:
        return bytes.fromhex(text)
    except ValueError:
        return text.encode()


class Lab:
    """The lab that is up, by its command line."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(
        self, *arguments: str, check: bool = True, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "tools.main", *arguments],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            cwd=REPOSITORY,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def exec(
        self, node: str, *command: str, check: bool = True, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        return self.run("lab", "exec", node, "--", *command, check=check, timeout_s=timeout_s)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The command in the background; what it says is in its stdout."""
        return subprocess.Popen(
            [sys.executable, "-m", "tools.main", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=REPOSITORY,
        )

    def start_exec(self, node: str, *command: str) -> subprocess.Popen[str]:
        return self.start("lab", "exec", node, "--", *command)

    def credentials(self) -> dict[str, str]:
        lines = (self.root / "credentials.env").read_text().splitlines()
        pairs = (line.partition("=") for line in lines if not line.startswith("#"))
        return {name: value for name, _, value in pairs}

    def snmp(
        self, tool: str, role: str, member: str, *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """A net-snmp tool at a member's agent, from that member's own namespace."""
        users, node = self.credentials(), Node.parse(member)
        user, auth, priv = (users[f"{role.upper()}_{part}"] for part in ("USER", "AUTH", "PRIV"))
        v3 = ["-v3", "-l", "authPriv", "-a", "SHA-256", "-x", "AES", "-u", user]
        words = [tool, *v3, "-A", auth, "-X", priv, "-t", "5", "-r", "1", *arguments]
        at = words.index(arguments[0]) if arguments else len(words)
        options = [word for word in arguments if word.startswith("-")]
        assert not options or arguments[: len(options)] == tuple(options), "options come first"
        words[at + len(options) : at + len(options)] = [node.address]
        # Not by `lab exec`, which takes longer to start than a walk takes.
        done = subprocess.run(
            ["ip", "netns", "exec", node.namespace, *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done

    def bindings(self, member: str) -> dict[Oid, Row]:
        """The binding table by snmpbulkwalk."""
        walk = self.snmp("snmpbulkwalk", "monitor", member, "-Cr100", "-Oqnx", _ENTRY).stdout
        table: dict[Oid, Row] = {}
        for line in walk.splitlines():
            match = _CELL.match(line)
            if match is None:
                # Octets are printed over several lines where they are long.
                assert line.strip(' "'), f"{member}: {line!r} is no cell"
                continue
            index = tuple(int(part) for part in match[2].split("."))
            table.setdefault(index, {})[_COLUMNS[int(match[1])]] = _value(match[3])
        return table

    def wait_equal(self, members: list[str], within_s: float) -> dict[Oid, Row]:
        """Wait until the members' binding tables are equal; returns the table."""
        found: list[dict[Oid, Row]] = []
        words: list[str] = []

        def equal() -> bool:
            found[:] = [self.bindings(member) for member in members]
            differing = {
                member: differences(found[0], table)
                for member, table in zip(members[1:], found[1:], strict=True)
            }
            words[:] = [
                f"{members[0]} and {member}: {describe(rows)}"
                for member, rows in differing.items()
                if rows
            ]
            return not words

        wait_until(equal, within_s, lambda: "; ".join(words))
        return found[0]

    def status(self, member: str) -> Status:
        """The group as the member sees it."""
        return read_status(target(load_state(), Node.parse(member), "monitor"))

    def lease(self, node: str, *options: str) -> str | None:
        """The address that udhcpc gets within three tries, if any."""
        once = ("udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "3", "-T", "2", *options)
        done = self.exec(node, *once, check=False)
        match = _LEASED.search(done.stdout + done.stderr)
        assert (match is None) == (done.returncode != 0), f"{done.stdout}{done.stderr}"
        return match[1] if match else None

    @contextmanager
    def address(self, node: str, address: str = CLIENT_ADDRESS, length: int = 15) -> Iterator[None]:
        """A fixed address for a client's eth0."""
        self.exec(node, "ip", "addr", "add", f"{address}/{length}", "dev", "eth0")
        try:
            yield
        finally:
            self.exec(node, "ip", "addr", "del", f"{address}/{length}", "dev", "eth0")


def wait_until(
    condition: Callable[[], bool], within_s: float, words: Callable[[], str] = lambda: ""
) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, f"not within {within_s} s: {words()}"
        time.sleep(0.05)


class HonestClients:
    """`dhcpsync lab clients` at c1, until `close` takes their books."""

    def __init__(self, count: int) -> None:
        words = ("lab", "clients", "c1", "--count", str(count), "--seconds", "3600", "--json")
        self._running = subprocess.Popen(
            [sys.executable, "-m", "tools.main", *words],
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )

    def close(self) -> Books:
        self._running.send_signal(signal.SIGTERM)
        output, _ = self._running.communicate(timeout=30)
        return Books(**json.loads(output))


# --- what is on a client's wire -----------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """One DHCP message on the wire."""

    at: float
    kind: int
    transaction: bytes
    hardware_address: bytes
    address: str


class Capture:
    """Every DHCP message that comes and goes at a client's eth0, while the block lasts."""

    def __init__(self, node: str) -> None:
        with network.inside(Node.parse(node).namespace):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 26)
        self._socket.bind(("eth0", 3))
        self._socket.settimeout(0.2)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._frames: list[tuple[float, bytes]] = []

    def __enter__(self) -> Capture:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Reads on until nothing has come for a moment, so that late answers are seen."""
        self._stop.set()
        self._thread.join()
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self._socket.close()
        _, dropped = struct.unpack("=II", statistics)
        assert not dropped, f"the capture itself lost {dropped} frames"

    def _read(self) -> None:
        while True:
            try:
                self._frames.append((time.monotonic(), self._socket.recv(2048)))
            except TimeoutError:
                if self._stop.is_set():
                    return

    def messages(self) -> list[Seen]:
        found = []
        for at, frame in self._frames:
            if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_UDP:
                continue
            data = frame[14 + (frame[14] & 15) * 4 + 8 :]
            if data[236:240] == _COOKIE:
                answer = _parse(data)
                found.append(Seen(at, answer.kind, data[4:8], data[28:34], answer.address))
        return found


_SOL_PACKET, _PACKET_STATISTICS, _SO_RCVBUFFORCE = 263, 6, 33

# --- a client behind a relay, so that it needs no raw socket ----------------------------------

_COOKIE = bytes.fromhex("63825363")
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6


@dataclass(frozen=True)
class Answer:
    """What a server said: message type, address, and the options by code."""

    kind: int
    address: str
    options: dict[int, bytes]

    @property
    def server(self) -> str:
        return socket.inet_ntoa(self.options[54])


class RelayedClient:
    """Speaks for clients behind the relay address `relay`, from inside a client's namespace."""

    def __init__(self, node: str, relay: str) -> None:
        self._relay = relay
        with network.inside(Node.parse(node).namespace):
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((relay, 67))

    def close(self) -> None:
        self._socket.close()

    def ask(
        self,
        server: str,
        hardware_address: bytes,
        options: dict[int, bytes],
        *,
        client_address: str = "0.0.0.0",
        within_s: float = 2.0,
    ) -> Answer | None:
        """Send one message to `server`, again if need be; the answer, or None for silence."""
        transaction = os.urandom(4)
        fixed = struct.pack(
            "!4B4sHH4s4s4s4s16s192x",
            1,
            1,
            6,
            1,
            transaction,
            0,
            0,
            socket.inet_aton(client_address),
            bytes(4),
            bytes(4),
            socket.inet_aton(self._relay),
            hardware_address,
        )
        pairs = b"".join(bytes((code, len(data))) + data for code, data in options.items())
        datagram = fixed + _COOKIE + pairs + b"\xff"
        until = time.monotonic() + within_s
        while (left := until - time.monotonic()) > 0:
            self._socket.sendto(datagram, (server, 67))
            self._socket.settimeout(min(left, 0.5))
            try:
                while True:
                    answer = self._socket.recv(4096)
                    if answer[4:8] == transaction and answer[0] == 2:
                        return _parse(answer)
            except TimeoutError:
                continue
        return None

    def lease(self, server: str, hardware_address: bytes) -> Answer:
        """DISCOVER, OFFER, REQUEST, ACK with one server."""
        offer = self.ask(server, hardware_address, {53: bytes((DISCOVER,)), 55: bytes((1, 3, 51))})
        assert offer is not None, f"{server} offers nothing"
        assert offer.kind == OFFER
        wanted = {
            53: bytes((REQUEST,)),
            50: socket.inet_aton(offer.address),
            54: offer.options[54],
            55: bytes((1, 3, 51)),
        }
        answer = self.ask(server, hardware_address, wanted)
        assert answer is not None, f"{server} does not acknowledge {offer.address}"
        assert answer.kind == ACK
        return answer

    def rebind(
        self, server: str, hardware_address: bytes, client_id: bytes, address: str
    ) -> Answer | None:
        """A REQUEST in REBINDING (RFC 2131 4.3.2), heard by one server only."""
        wanted = {53: bytes((REQUEST,)), 55: bytes((1, 3, 51)), 61: client_id}
        return self.ask(server, hardware_address, wanted, client_address=address)


def _parse(datagram: bytes) -> Answer:
    options: dict[int, bytes] = {}
    at = 240
    while at < len(datagram) and datagram[at] != 255:
        if datagram[at] == 0:
            at += 1
            continue
        code, length = datagram[at], datagram[at + 1]
        options[code] = options.get(code, b"") + datagram[at + 2 : at + 2 + length]
        at += 2 + length
    return Answer(options[53][0], socket.inet_ntoa(datagram[16:20]), options)
