"""`dhcpsync check` without a file: the members of a group, compared row by row.

Ends with 0 where they agree, 1 where they differ, 2 where nobody, or not everybody, could be looked
at and no difference was found among the others.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agent.errors import ConfigError, PacketError
from agent.health import CLOCK_OFFSET_MS
from agent.limits import BLOCK_ADDRESSES
from agent.model import Group, Member, MemberId, format_address
from agent.snmp.columns import GROUP, MEMBER, SERVER
from agent.snmp.keys import derive_keys
from agent.snmp.orders import REALIGN
from agent.sync.codec import unpack_group
from tools.asking import Ask
from tools.compare.comparison import Comparison, Progress
from tools.compare.reading import MemberReader
from tools.compare.repair import RepairOrder, repair_orders
from tools.compare.values import Difference
from tools.console import shown
from tools.credentials import Credentials
from tools.errors import EXIT_NOT, EXIT_USAGE, EXIT_WISHED, ToolError
from tools.manager import Assignment, Session, octets_in
from tools.members import order
from tools.status import read_members
from tools.target import Place

_SHOWN_MAX = 50
"""Differences in words; JSON has all that were found."""
_REPAIRED_WITHIN_S = 60.0
_REPAIR_LOOK_S = 0.3
_ROUNDS_MAX = 3
"""A member may be a source only once its own rows are mended."""
_BAR_CELLS = 30
_BAR_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Contact:
    """What the member that was asked first says: whom there is to look at."""

    group: Group
    name: str
    clock_offsets_ms: dict[MemberId, int]


def check_members(
    place: Place,
    user: Credentials,
    operators: Callable[[], Place],
    ask: Ask,
    *,
    as_json: bool,
    repair: bool,
) -> int:
    """Compare, tell, and repair where that is wished; the exit code. `place` is that of role
    peer, `operators` gives the one where orders are made."""
    try:
        contact = place.run(_read_contact)
    except ToolError as error:
        sys.stderr.write(f"dhcpsync: {error}\n")
        return EXIT_USAGE
    readers = _readers(place, user, contact.group)
    bar = progress_bar() if sys.stderr.isatty() else None
    found = Comparison(readers, bar or (lambda *_: None))
    with asyncio.Runner() as runner:
        try:
            runner.run(found.run())
            if bar is not None:
                sys.stderr.write("\r\x1b[K")
            found.add_clocks(contact.clock_offsets_ms, contact.name, CLOCK_OFFSET_MS)
            before, given = found.differences, []
            orders = repair_orders(before, found.readers)
            if not as_json:
                _tell(found, orders, repair)
            if repair and orders:
                agreed = (lambda _: True) if as_json else ask
                given = _repair(runner, found, operators(), agreed, orders)
            if as_json:
                _tell_json(found, before, given)
            elif given:
                _tell_repaired(found)
        finally:
            runner.run(found.close())
    return exit_code(found)


def exit_code(found: Comparison) -> int:
    if found.differences:
        return EXIT_NOT
    return EXIT_USAGE if found.unseen or found.left_out or not found.readers else EXIT_WISHED


def _read_contact(manager: Session) -> Contact:
    row = next(iter(manager.table(GROUP).values()), {})
    try:
        group = unpack_group(octets_in(row, "Packed"))
    except PacketError as error:
        said = "it is in no group" if not row else f"its group cannot be read: {error}"
        raise ToolError(f"{said}; ask another member") from error
    members = read_members(manager)
    offsets = {one.id: one.clock_offset_ms for one in members}
    (name,) = manager.get([SERVER["dhcpSyncServerName"]])
    here = name.decode("utf-8", "replace") if isinstance(name, bytes) else ""
    return Contact(group, shown(here), offsets)


def _readers(place: Place, user: Credentials, group: Group) -> dict[MemberId, MemberReader]:
    keys = derive_keys(user.authentication, user.privacy)
    return {
        one.member: MemberReader(one, place.at(format_address(one.address), one.port), keys)
        for one in group.current
    }


def progress_bar() -> Progress:
    """A bar on standard error."""
    told_at = 0.0

    def tell(read: int, total: int) -> None:
        nonlocal told_at
        now = time.monotonic()
        if now - told_at >= _BAR_EVERY_S and total:
            told_at = now
            cells = "#" * (read * _BAR_CELLS // total)
            sys.stderr.write(f"\r[{cells:<{_BAR_CELLS}}] {read:,} of {total:,} bindings")
            sys.stderr.flush()

    return tell


# --- repair


def _repair(
    runner: asyncio.Runner,
    found: Comparison,
    place: Place,
    ask: Ask,
    orders: Sequence[RepairOrder],
) -> list[RepairOrder]:
    """Have it mended, after a person has agreed to it; the orders that were given."""
    names = found.names
    lines = [
        f"{names[one.at]} reads all rows of {names[one.source]} again, and takes them where its own"
        f" are of the same change and differ ({one.mends} here)"
        for one in orders
    ]
    if not ask("\n".join(lines)):
        return []
    given: list[RepairOrder] = []
    for _ in range(_ROUNDS_MAX):
        for one in orders:
            _give(place, found.readers[one.at].member, one.source)
        given += orders
        runner.run(_wait(found))
        orders = repair_orders(found.differences, found.readers)
        if not orders:
            break
    return given


def _give(place: Place, at: Member, source: MemberId) -> None:
    target = place.at(format_address(at.address), at.port)
    order(target, lambda _: [Assignment(MEMBER["Operation"], (source,), REALIGN)])


async def _wait(found: Comparison) -> None:
    """Until what was to be mended is, or for a minute."""
    until = time.monotonic() + _REPAIRED_WITHIN_S
    rows, keys = set(found.rows), set(found.configuration)
    orders = repair_orders(found.differences, found.readers)
    while orders and time.monotonic() < until:
        await asyncio.sleep(_REPAIR_LOOK_S)
        await found.look_again({address // BLOCK_ADDRESSES for address in rows}, keys)
        orders = repair_orders(found.differences, found.readers)


# --- telling


def summary(found: Comparison) -> str:
    """One sentence."""
    looked = len(found.readers)
    if not looked:
        return "No member could be looked at."
    members = "1 member" if looked == 1 else f"{looked} members"
    rows = max(found.counts.values(), default=0)
    said = f"{members} compared, {rows:,} bindings and {found.configuration_rows} rows of"
    count = len(found.differences)
    said += " configuration: " + {0: "no difference", 1: "1 difference"}.get(
        count, f"{count:,} differences"
    )
    if found.unseen:
        said += f"; {len(found.unseen)} could not be looked at"
    return said + "."


def _notes(found: Comparison) -> list[str]:
    names = found.names
    notes = [f"{one.member.name} was not compared: {one.why}" for one in found.unseen]
    versions: dict[str, list[MemberId]] = {}
    for member, one in sorted(found.overviews.items()):
        versions.setdefault(one.version, []).append(member)
        if one.mismatches:
            notes.append(
                f"{names[member]} has found {one.mismatches} times that its digest and another"
                " member's differ; its log names the rows"
            )
    if len(versions) > 1:
        told = ", ".join(
            f"{shown(version)} at {' and '.join(names[one] for one in members)}"
            for version, members in versions.items()
        )
        notes.append(f"versions differ: {told}")
    if found.conflicts:
        listed = ", ".join(format_address(at) for at in found.conflicts[:_SHOWN_MAX])
        notes.append(
            f"two clients were given one address, and all members say so: {listed}; when the cause"
            " is found, `dhcpsync lease clear ADDRESS`"
        )
    if found.on_their_way:
        notes.append(f"{found.on_their_way} rows were on their way to some member, and may be yet")
    if found.left_out:
        notes.append(
            f"{found.left_out} blocks of {BLOCK_ADDRESSES} addresses more differed at the first"
            " look, and were not looked at again: check once more after a repair"
        )
    return [shown(note) for note in notes]


def _tell(found: Comparison, orders: Sequence[RepairOrder], repair: bool) -> None:
    import typer

    typer.echo(summary(found))
    for one in found.differences[:_SHOWN_MAX]:
        typer.echo(f"- {one.words}")
        typer.echo(f"  {one.to_do}")
    if len(found.differences) > _SHOWN_MAX:
        typer.echo(f"- and {len(found.differences) - _SHOWN_MAX:,} more (--json has them)")
    for note in _notes(found):
        typer.echo(f"- {note}")
    ordered = {one.at for one in orders}
    stuck = {member for one in found.differences for member in one.wrong} - ordered
    for member in sorted(stuck):
        typer.echo(
            f"- nothing is ordered for {found.names[member]}: every other member has wrong rows too"
            " that it would bring with it"
        )
    if orders and not repair:
        typer.echo("`dhcpsync check --repair` mends what can be mended, after asking.")


def _tell_repaired(found: Comparison) -> None:
    import typer

    left = len(found.differences)
    typer.echo("Repaired." if not left else f"Repaired as far as could be: {left} left.")
    for one in found.differences[:_SHOWN_MAX]:
        typer.echo(f"- {one.words}")


def _tell_json(
    found: Comparison, differences: Sequence[Difference], given: Sequence[RepairOrder]
) -> None:
    import typer

    typer.echo(json.dumps(_as_json(found, differences, given), indent=2))


def _as_json(
    found: Comparison, differences: Sequence[Difference], given: Sequence[RepairOrder]
) -> dict[str, Any]:
    """`differences` are those that were found; `left` how many there are after the repair."""
    names = found.names
    return {
        "well": exit_code(found) == EXIT_WISHED,
        "sentence": summary(found),
        "members": [
            {
                "id": one.member,
                "name": one.name,
                "version": found.overviews[one.member].version,
                "bindings": found.counts.get(one.member, 0),
            }
            for one in found.members
        ],
        "not_compared": [
            {"id": one.member.member, "name": one.member.name, "why": one.why}
            for one in found.unseen
        ],
        "differences": [
            {
                "kind": one.kind.value,
                "what": one.what,
                "words": one.words,
                "to_do": one.to_do,
                "wrong": [names[member] for member in one.wrong],
                "right": [names[member] for member in one.right],
            }
            for one in differences
        ],
        "on_their_way": found.on_their_way,
        "notes": _notes(found),
        "orders": [{"at": names[one.at], "source": names[one.source]} for one in given],
        "left": len(found.differences),
    }


def check_wishes(*, as_json: bool, repair: bool, yes: bool) -> None:
    """ConfigError where the options do not go together."""
    if yes and not repair:
        raise ConfigError("--yes", "", "is given without --repair", "nothing is asked without it")
    if as_json and repair and not yes:
        raise ConfigError("--json", "", "leaves no room for a question", "give --yes too")
