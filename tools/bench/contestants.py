"""The servers that are measured, each with the configuration that does it justice: one subnet,
one large pool, a lease longer than the test, no options beyond what a client needs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

from agent.model import parse_address
from agent.supervise import process_name
from tools.apply.file import parse_file
from tools.apply.plan import make_plan
from tools.apply.remote import Remote
from tools.bench import rig
from tools.bench.seed import seed_bindings
from tools.credentials import find_user, make_credentials, write_credentials
from tools.errors import ManagerError, ToolError
from tools.init import Founding, NewMember, make_member
from tools.lab import network, process
from tools.lab.process import Process
from tools.status import read_status
from tools.target import Target

LEASE_S = 86_400
_READY_WITHIN_S = 60
_SMALLER_POOL_LAST = "10.19.255.255"
_FREE_ENOUGH = 400_000
"""Addresses that a member must own before its run: more than a run of a minute can give away."""


class Contestant(ABC):
    """A server in a pair's server namespace. `durable`: whether it syncs before an ACK."""

    name: str
    durable: bool
    program: str

    def __init__(self, folder: Path, pair: rig.Pair) -> None:
        self.folder = folder
        self.pair = pair

    @classmethod
    def is_installed(cls) -> bool:
        return shutil.which(cls.program) is not None

    @abstractmethod
    def start(self) -> None:
        """Returns when it serves."""

    @abstractmethod
    def resident_mb(self) -> float:
        """Memory of the process that answers clients."""

    def count_bindings(self) -> int | None:
        """How many leases it knows of, where it can be asked."""
        return None

    def pause(self) -> None:
        """Keep off the processors while another one is measured."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        running = process.find(self.folder)
        if running is None:
            raise ToolError(f"{self.name} has ended; see {self.folder / 'log'}")
        for one in running.session():
            os.kill(one.pid, number)

    def stop(self) -> None:
        running = process.find(self.folder)
        if running is not None:
            process.stop(running, hard=True)


class DhcpSync(Contestant):
    """One member, in a group of its own."""

    name = "dhcpsync"
    durable = True
    program = sys.executable

    def __init__(self, folder: Path, pair: rig.Pair, bindings: int = 0) -> None:
        """`bindings`: how many are in its store before it starts."""
        super().__init__(folder, pair)
        self._bindings = bindings

    def start(self) -> None:
        users = self.folder / "users.env"
        self.folder.mkdir(parents=True)
        write_credentials(users, make_credentials())
        new = NewMember(1, "m1", rig.SERVER_ADDRESS, 161, ("eth0",))
        make_member(self.folder / "m1", new, Founding("bench", LEASE_S, LEASE_S), users)
        member = self.folder / "m1"
        member_file = member / "member.toml"
        # As Kea and dhcpd here: no line of log for each lease.
        text = member_file.read_text(encoding="utf-8")
        member_file.write_text(text.replace("packets = true", "packets = false"), encoding="utf-8")
        # From the pool's end, so that they are not in the way of the first addresses it owns.
        last = parse_address(rig.POOL[1])
        seeded = ((last - number, 1) for number in range(self._bindings))
        seed_bindings(member, seeded, 1, LEASE_S)
        rig.start(self.folder, self.pair.server, sys.executable, "-m", "agent.serve", str(member))
        self._wait(users, 0)
        operator = self._target(users, "operator")
        pool = "-".join(rig.POOL)
        text = f'[[subnet]]\nprefix = "{rig.SUBNET}"\npools = ["{pool}"]\n'
        with operator.open() as manager:
            plan = make_plan(Remote(manager).rows, parse_file("bench", text))
            Remote(manager).write(plan, lambda _step: None)
        self._wait(users, _FREE_ENOUGH)

    def _target(self, users: Path, role: str) -> Target:
        assert role in ("operator", "monitor")
        user = find_user(users, "operator" if role == "operator" else "monitor")
        return Target(rig.SERVER_ADDRESS, 161, user, lambda: network.inside(self.pair.server))

    def _wait(self, users: Path, free: int) -> None:
        until = time.monotonic() + _READY_WITHIN_S
        words = "no answer"
        while time.monotonic() < until:
            try:
                status = read_status(self._target(users, "monitor"), timeout_s=1, retries=0)
                if status.is_serving and sum(pool.free for pool in status.pools) >= free:
                    return
                words = status.summary()
            except ManagerError as error:
                words = str(error)
            time.sleep(0.2)
        raise ToolError(f"the member is not ready after {_READY_WITHIN_S} s: {words}")

    def count_bindings(self) -> int | None:
        return read_status(self._target(self.folder / "users.env", "monitor")).bindings

    def resident_mb(self) -> float:
        supervisor = process.find(self.folder)
        if supervisor is None:
            raise ToolError(f"the member has ended; see {self.folder / 'log'}")
        engine = supervisor.find_child(process_name("engine"))
        if engine is None:
            raise ToolError("the member's engine is not running")
        return rig.resident_mb(engine.pid)


class _Foreign(Contestant):
    def resident_mb(self) -> float:
        running = process.find(self.folder)
        if running is None:
            raise ToolError(f"{self.name} has ended; see {self.folder / 'log'}")
        return rig.resident_mb(running.pid)

    def _launch(self, *command: str) -> Process:
        started = rig.start(self.folder, self.pair.server, *command)
        # It has no way to say that it serves; what it says when it cannot is its end.
        if started.wait(2.0):
            log = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
            last = (log.strip().splitlines() or ["it said nothing"])[-1]
            raise ToolError(f"{self.name} does not start: {last}")
        return started


class Kea(_Foreign):
    """Kea with its memory file, two threads; it never syncs to disk."""

    name = "kea memfile"
    durable = False
    program = "kea-dhcp4"

    def start(self) -> None:
        self.folder.mkdir(parents=True)
        configuration = {
            "interfaces-config": {"interfaces": ["eth0"], "dhcp-socket-type": "udp"},
            "lease-database": {
                "type": "memfile",
                "persist": True,
                "name": str(self.folder / "leases.csv"),
                "lfc-interval": 3600,
            },
            "valid-lifetime": LEASE_S,
            "multi-threading": {"enable-multi-threading": True, "thread-pool-size": 2},
            "subnet4": [{"id": 1, "subnet": rig.SUBNET, "pools": [{"pool": "-".join(rig.POOL)}]}],
            "loggers": [
                {
                    "name": "kea-dhcp4",
                    "severity": "ERROR",
                    "output_options": [{"output": "stderr"}],
                }
            ],
        }
        file = self.folder / "kea.json"
        file.write_text(json.dumps({"Dhcp4": configuration}), encoding="utf-8")
        places = (f"KEA_PIDFILE_DIR={self.folder}", f"KEA_LOCKFILE_DIR={self.folder}")
        self._launch("env", *places, self.program, "-c", str(file))


class IscDhcpd(_Foreign):
    """ISC dhcpd; it syncs before each ACK. Without its ping of an address before each offer, and
    with a smaller pool, every address of which it keeps in memory from the start."""

    name = "ISC dhcpd"
    durable = True
    program = "dhcpd"

    def start(self) -> None:
        self.folder.mkdir(parents=True)
        file, leases = self.folder / "dhcpd.conf", self.folder / "dhcpd.leases"
        file.write_text(
            f"default-lease-time {LEASE_S};\nmax-lease-time {LEASE_S};\nlog-facility local7;\n"
            "ping-check false;\nsubnet 10.0.0.0 netmask 255.0.0.0 {\n"
            f"  range {rig.POOL[0]} {_SMALLER_POOL_LAST};\n}}\n",
            encoding="utf-8",
        )
        leases.touch()
        # A copy: some distributions confine the original, by its path, to their own folders.
        original = shutil.which(self.program)
        assert original is not None
        copy = self.folder / "dhcpd"
        shutil.copy(Path(original).resolve(), copy)
        files = ("-cf", str(file), "-lf", str(leases), "-pf", str(self.folder / "dhcpd.pid"))
        self._launch(str(copy), "-4", "-f", "-q", *files, "eth0")


FOREIGN: dict[str, type[Contestant]] = {"kea": Kea, "dhcpd": IscDhcpd}
