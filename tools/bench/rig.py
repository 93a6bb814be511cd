"""Where benchmarks run: two namespaces with one cable between them, made and taken away again.

A pair has a number, so that several servers can stand side by side, each with its own cable."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.lab import network, process
from tools.lab.process import Process

SERVER_ADDRESS = "10.0.0.1"
CLIENT_ADDRESS = "10.0.0.2"
SUBNET = "10.0.0.0/8"
POOL = ("10.16.0.0", "10.47.255.255")
"""Two million addresses: no run comes near the end of them."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Names of the two namespaces."""

    server: str
    client: str


@contextmanager
def two_namespaces(number: int = 1) -> Iterator[Pair]:
    """A server's and its client's namespace, for the length of the block."""
    network.check_host()
    pair = Pair(f"dhcpsync-bench-s{number}", f"dhcpsync-bench-c{number}")
    _remove(pair)
    try:
        for name in (pair.server, pair.client):
            network.run("ip", "netns", "add", name)
            network.run("ip", "-n", name, "link", "set", "lo", "up")
        link = ("link", "add", "eth0", "type", "veth", "peer", "name", "eth0")
        network.run("ip", "-n", pair.server, *link, "netns", pair.client)
        for name, address in ((pair.server, SERVER_ADDRESS), (pair.client, CLIENT_ADDRESS)):
            network.run("ip", "-n", name, "addr", "add", f"{address}/8", "dev", "eth0")
            network.run("ip", "-n", name, "link", "set", "eth0", "up")
            with network.inside(name):
                network.disable_checksum_offload("eth0")
        yield pair
    finally:
        _remove(pair)


def _remove(pair: Pair) -> None:
    there = network.run("ip", "netns", "list").split()
    network.remove(name for name in (pair.server, pair.client) if name in there)


def start(folder: Path, namespace: str, *command: str) -> Process:
    folder.mkdir(parents=True, exist_ok=True)
    return process.start(folder, ["ip", "netns", "exec", namespace, *command])


def run(namespace: str, *command: str, timeout_s: float) -> str:
    """The output of a command inside a namespace, whatever its exit code."""
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return done.stdout


def resident_mb(pid: int) -> float:
    """Resident memory of a process (VmRSS of proc(5)) in MB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
