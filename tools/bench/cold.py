"""`dhcpsync bench cold`: how long members that start together take to divide a pool among them.

A lab whose group has no pool yet. All members but the first are ended, the first is given a pool of
65,535 addresses, of which it can own none alone, and is ended too. Then all are started: nobody
owns anything, nobody has heard anybody, and all but one do not know the pool. The clock runs from
the start of the last one until the store of each says that it owns half of its share: what its low
mark is, from which on it asks nobody for more. The stores are read from outside, so that asking
costs the members nothing.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

import typer

from agent.member_file import STORE_NAME
from agent.model import AddressState, parse_address
from agent.sync.stock import high_mark, low_mark
from store import Store, open_store
from tools.errors import ToolError
from tools.lab import lab
from tools.lab.layout import SUBNET, LabState, Node

_POOL = ("198.19.0.0", "198.19.255.254")
_CONFIGURATION = f'[[subnet]]\nprefix = "{SUBNET}"\npools = ["{"-".join(_POOL)}"]\n'
_LEASE_S, _MUL_S = 3600, 600
_WITHIN_S = 300
_POLL_S = 0.05


def run_bench(members: int, as_json: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="dhcpsync-bench-") as place:
        root = Path(place) / "lab"
        state = lab.up(members, 0, root, _LEASE_S, _MUL_S, _say, configuration="")
        try:
            taken_s = _measure(state)
        finally:
            lab.down(keep_files=False)
    last_s, median_s = max(taken_s), statistics.median(taken_s)
    if as_json:
        found = {"members": members, "last_s": last_s, "median_s": median_s, "taken_s": taken_s}
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo(
            f"{members} members, started together, have half of their shares of a /16:"
            f" the last one after {last_s:.2f} s, the median after {median_s:.2f} s"
        )


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _measure(state: LabState) -> list[float]:
    """Seconds from the start of the last member until each has half of its share."""
    nodes = state.nodes()
    for node in nodes[1:]:
        lab.kill(node.name, hard=True)
    lab.configure(state, nodes[0], _CONFIGURATION)
    lab.kill(nodes[0].name, hard=True)
    with ExitStack() as stack:
        stores = {
            node: stack.enter_context(closing(open_store(state.folder(node) / STORE_NAME)))
            for node in nodes
        }
        if owning := [node.name for node, store in stores.items() if _owned(store)]:
            raise ToolError(f"not a cold start: {', '.join(owning)} own addresses already")
        for node in nodes:
            lab.start_process(state, node)
        began = time.monotonic()
        _say("all are started")
        return _watch(stores, began)


def _watch(stores: dict[Node, Store], began: float) -> list[float]:
    size = parse_address(_POOL[1]) - parse_address(_POOL[0]) + 1
    weights = {node.number: 1 for node in stores}
    taken_s: dict[Node, float] = {}
    while len(taken_s) < len(stores):
        for node, store in stores.items():
            half = low_mark(high_mark(size, weights, node.number), 0)
            if node not in taken_s and _owned(store) >= half:
                taken_s[node] = round(time.monotonic() - began, 2)
        if time.monotonic() - began > _WITHIN_S:
            late = ", ".join(node.name for node in stores if node not in taken_s)
            raise ToolError(f"{late} have not half of their shares after {_WITHIN_S} s")
        time.sleep(_POLL_S)
    return list(taken_s.values())


def _owned(store: Store) -> int:
    with store.read() as tx:
        ranges = tx.address_ranges_in(AddressState.BINDABLE)
    return sum(one.last - one.first + 1 for one in ranges)
