"""Two network namespaces joined by a veth pair: `server` with 198.18.0.1/15, `client` without."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import pytest

T = TypeVar("T")
_CLONE_NEWNET = 0x4000_0000
_numbers = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass(frozen=True)
class Namespace:
    name: str

    def enter(self) -> None:
        """Move the calling thread here, for good."""
        with open(f"/run/netns/{self.name}") as handle:
            if _libc.setns(handle.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    def run(self, act: Callable[[], T]) -> T:
        """Run `act` here; sockets that it makes stay here."""
        with ThreadPoolExecutor(1, initializer=self.enter) as pool:
            return pool.submit(act).result()

    def ip(self, *words: str) -> None:
        ip("-n", self.name, *words)


@dataclass(frozen=True)
class Wire:
    server: Namespace
    client: Namespace


@pytest.fixture
def wire() -> Iterator[Wire]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    number = f"{os.getpid()}-{next(_numbers)}"
    spaces = Wire(Namespace(f"dhcpsync-t{number}s"), Namespace(f"dhcpsync-t{number}c"))
    try:
        for space in (spaces.server, spaces.client):
            ip("netns", "add", space.name)
            space.ip("link", "set", "lo", "up")
        spaces.server.ip(
            "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", spaces.client.name
        )
        for space in (spaces.server, spaces.client):
            space.ip("link", "set", "eth0", "up")
        spaces.server.ip("address", "add", "198.18.0.1/15", "dev", "eth0")
        yield spaces
    finally:
        for space in (spaces.server, spaces.client):
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "del", space.name)
