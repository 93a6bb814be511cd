"""The lab's network: one bridge in a namespace of its own, one namespace for each node.

Nothing of it is ever in the host's network: the veth pairs are made between the namespaces, and
settings that the kernel keeps for each namespace (bridge netfilter, IPv6) are changed there only.
Links are cut where they meet, by an nftables rule of the bridge.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.errors import ToolError
from tools.lab.layout import BRIDGE, INTERFACE, PREFIX_LENGTH, Node

_OURS = re.compile(r"dhcpsync-(lan|[mc][0-9]+)\Z")
_NETNS = Path("/run/netns")
_CLONE_NEWNET = 0x4000_0000
_SIOCETHTOOL = 0x8946
_ETHTOOL_STXCSUM = 0x17
_QUIET = (
    "net.ipv6.conf.all.disable_ipv6=1",
    "net.ipv6.conf.default.disable_ipv6=1",
)
_NO_BRIDGE_FILTER = (
    "net.bridge.bridge-nf-call-iptables=0",
    "net.bridge.bridge-nf-call-ip6tables=0",
    "net.bridge.bridge-nf-call-arptables=0",
)


def check_host() -> None:
    """ToolError unless this process can make namespaces and the tools for it are there."""
    if os.geteuid() != 0:
        raise ToolError("network namespaces need root; run it with sudo")
    missing = [
        f"{command} (package {package})"
        for command, package in (("ip", "iproute2"), ("nft", "nftables"), ("sysctl", "procps"))
        if shutil.which(command) is None
    ]
    if missing:
        raise ToolError(f"missing on this machine: {', '.join(missing)}")


def run(*command: str, text: str | None = None) -> str:
    """Run a tool; ToolError carries its own words."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise ToolError(f"{' '.join(command)}: {words[0] if words else 'failed'}")
    return done.stdout


def namespaces() -> list[str]:
    """The namespaces of a lab that exist on this machine."""
    if not _NETNS.is_dir():
        return []
    return sorted(entry.name for entry in _NETNS.iterdir() if _OURS.match(entry.name))


def make_bridge(name: str = BRIDGE) -> None:
    run("ip", "netns", "add", name)
    _set(name, _QUIET)
    with_filter = run("ip", "netns", "exec", name, "sysctl", "-aN")
    if "net.bridge.bridge-nf-call-iptables" in with_filter:
        _set(name, _NO_BRIDGE_FILTER)
    run("ip", "-n", name, "link", "add", name, "type", "bridge", "stp_state", "0")
    run("ip", "-n", name, "link", "set", name, "type", "bridge", "forward_delay", "0")
    run("ip", "-n", name, "link", "set", name, "type", "bridge", "mcast_snooping", "0")
    run("ip", "-n", name, "link", "set", name, "up")


def add_node(node: Node) -> None:
    """Make the node's namespace, with eth0 on the bridge; a member gets its address."""
    space = node.namespace
    run("ip", "netns", "add", space)
    _set(space, _QUIET)
    run("ip", "-n", space, "link", "set", "lo", "up")
    link = ("link", "add", INTERFACE, "address", node.hardware_address, "type", "veth")
    run("ip", "-n", space, *link, "peer", "name", node.name, "netns", BRIDGE)
    run("ip", "-n", BRIDGE, "link", "set", node.name, "master", BRIDGE, "up")
    if node.is_member:
        address = f"{node.address}/{PREFIX_LENGTH}"
        run("ip", "-n", space, "addr", "add", address, "brd", "+", "dev", INTERFACE)
    run("ip", "-n", space, "link", "set", INTERFACE, "up")
    with inside(space):
        disable_checksum_offload(INTERFACE)


def _set(namespace: str, settings: Sequence[str]) -> None:
    run("ip", "netns", "exec", namespace, "sysctl", "-qw", *settings)


def disable_checksum_offload(interface: str) -> None:
    """Let the kernel compute checksums: over veth nobody else does, and a DHCP client that reads
    whole frames drops a datagram whose checksum was left to the hardware."""
    value = array.array("B", struct.pack("II", _ETHTOOL_STXCSUM, 0))
    request = struct.pack("16sP", interface.encode(), value.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCETHTOOL, request)


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Sockets that this thread makes in the block belong to the namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as home:
        try:
            target = open(_NETNS / namespace, "rb")  # noqa: SIM115 # closed below
        except FileNotFoundError:
            raise ToolError(f"the namespace {namespace} is not there") from None
        with target:
            if libc.setns(target.fileno(), _CLONE_NEWNET):
                raise ToolError(f"cannot enter {namespace}: {os.strerror(ctypes.get_errno())}")
        try:
            yield
        finally:
            libc.setns(home.fileno(), _CLONE_NEWNET)


def set_cuts(cuts: Iterable[tuple[str, str]]) -> None:
    """Let the bridge drop frames in exactly these directions, and no others."""
    rules = "\n".join(f'    iifname "{one}" oifname "{other}" counter drop' for one, other in cuts)
    chain = f"  chain cut {{\n    type filter hook forward priority 0\n{rules}\n  }}\n"
    # "add" and "delete" first, so that the table is made anew whether it was there or not.
    text = (
        "add table bridge dhcpsync\ndelete table bridge dhcpsync\n"
        f"table bridge dhcpsync {{\n{chain}}}\n"
    )
    run("ip", "netns", "exec", BRIDGE, "nft", "-f", "-", text=text)


def pids(namespace: str) -> list[int]:
    return [int(word) for word in run("ip", "netns", "pids", namespace).split()]


def remove(names: Iterable[str]) -> None:
    """End every process inside the namespaces, and delete them."""
    for name in names:
        for pid in pids(name):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        run("ip", "netns", "del", name)
