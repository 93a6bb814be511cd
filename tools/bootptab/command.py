"""`dhcpsync import bootptab`: plan and SET through the path of `dhcpsync apply`.

Unlike `apply`, whose file says all, an import adds: it touches nothing but the hosts that the file
names. Their options become exactly what it says; a subnet that holds them already is left as it
is; a client that has another address in its subnet moves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from agent.kinds.scope import host_scope
from agent.model import ConfigRow, Option, Reservation, Subnet
from tools.apply.command import apply_plan, read_text, show
from tools.apply.plan import Step, make_plan
from tools.asking import Ask
from tools.bootptab.rows import parse_bootptab
from tools.target import Place


def plan_import(present: Iterable[ConfigRow], wanted: Iterable[ConfigRow]) -> list[Step]:
    """Steps that bring the wanted hosts into `present` and leave everything else alone."""
    have, want = list(present), list(wanted)
    subnets = [row for row in have if isinstance(row, Subnet)]
    want = [row for row in want if not (isinstance(row, Subnet) and _is_held(row, subnets))]
    subnets += [row for row in want if isinstance(row, Subnet)]
    hosts = {row.address: row for row in want if isinstance(row, Reservation)}
    homes = {(row.client_key, _home(row.address, subnets)) for row in hosts.values()}
    moved = {
        row.address
        for row in have
        if isinstance(row, Reservation)
        and row.address not in hosts
        and (row.client_key, _home(row.address, subnets)) in homes
    }
    touched = moved | hosts.keys()
    concerned = [
        row
        for row in have
        if (isinstance(row, Reservation) and row.address in touched)
        or (isinstance(row, Option) and row.place in {host_scope(one) for one in touched})
    ]
    return make_plan(concerned, want)


def _is_held(wanted: Subnet, subnets: Iterable[Subnet]) -> bool:
    return any(s.first <= wanted.first and wanted.last <= s.last for s in subnets)


def _home(address: int, subnets: Iterable[Subnet]) -> int:
    return next((s.network for s in subnets if address in s), -1)


def import_bootptab(
    path: Path,
    place: Place,
    ask: Ask,
    *,
    only_plan: bool,
    as_json: bool,
    say: Callable[[str], object] = sys.stderr.write,
) -> list[Step]:
    """Import the file; warnings go to standard error, or into the JSON."""
    found = parse_bootptab(str(path), read_text(path))
    if not as_json:
        for warning in found.warnings:
            say(f"dhcpsync: {path}: {warning}\n")

    def plan(present: Iterable[ConfigRow]) -> list[Step]:
        return plan_import(present, found.rows)

    done = apply_plan(str(path), plan, place, ask, only_plan=only_plan)
    show(done, len(found.rows), only_plan=only_plan, as_json=as_json, warnings=found.warnings)
    return done
