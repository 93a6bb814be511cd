"""`dhcpsync member retire` and `vouch`: an operator's word to a member that does not run.

What the others have decided while a member was down only they know, and it may not reach them
(agent/sync/certain.py). An operator may know: that this member was declared dead, or that it was
not. He says so in the member's own store, in one transaction, while none of its processes runs and
none can start.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from agent.clock import BootClock
from agent.member_file import STORE_NAME, load_member_file
from agent.model import Group
from agent.port import StoreTransaction
from agent.serve import check_identity
from agent.standing import FILE_NAME, Standing
from agent.sync import start
from agent.sync.ranges import ADDRESS_MAX
from store import open_store
from tools.errors import ToolError

Order = Callable[[StoreTransaction, int], None]
"""What is done in the transaction; the instant is the member's now, in seconds."""


def retire(folder: Path) -> list[str]:
    """The member gives up what it owns; returns lines that say what that means. ConfigError,
    StoreError, PeerError or ToolError where it cannot be said."""
    name, others, incarnation = _say(folder, start.retire)
    if others:
        follows = f"it serves again when it has pulled from every member: {', '.join(others)}"
    else:
        follows = (
            "it knows of no other member: it serves when its longest lease is over, or at once by"
            f" `dhcpsync member end-wait {name}`"
        )
    return [
        f"{name} is retired: it owns no address any more, and goes on as incarnation {incarnation}",
        f"next: dhcpsync serve {folder}; {follows}",
    ]


def words_of_retirement(folder: Path) -> str:
    """What is to be said before a member retires that knows of no other: nobody serves then. Where
    others do, it costs their clients nothing: ""."""
    member = load_member_file(folder)
    with closing(open_store(folder / STORE_NAME)) as store, store.read() as tx:
        local, group = tx.local(), tx.group()
        live = tx.count_bindings(0, ADDRESS_MAX, int(time.time())).live
    if _others(group, local.member):
        return ""
    return (
        f"{member.name} knows of no other member, and of {live:,} live leases. Retired, it serves"
        " nobody until its longest lease is over, or somebody gives `dhcpsync member end-wait`."
    )


def vouch(folder: Path) -> list[str]:
    """The member's next start is as if every other had told it that it is not dead; as `retire`."""
    name, _, _ = _say(folder, start.vouch)
    return [
        f"{name} is vouched for: at its next start, and at no later one, it serves as one that"
        " nobody has declared dead",
        f"next: dhcpsync serve {folder}; if it was declared dead after all, take this back before:"
        f" dhcpsync member retire {folder}",
    ]


def _say(folder: Path, order: Order) -> tuple[str, list[str], int]:
    """Do it; returns the member's name, the other current members' and its incarnation."""
    member = load_member_file(folder)
    with ExitStack() as opened:
        store = opened.enter_context(closing(open_store(folder / STORE_NAME)))
        check_identity(folder, member, store)
        if not (folder / FILE_NAME).exists():
            raise ToolError(
                f"{folder}: it has not run here, or {FILE_NAME} is gone: then it recovers at its"
                " start by itself"
            )
        standing = opened.enter_context(closing(Standing(folder)))
        with standing.stopped() as is_stopped:
            if not is_stopped:
                raise ToolError(f"{folder}: {member.name} runs: stop it first, and start it after")
            measured = standing.measure_anchor()
            with store.write() as tx:
                # The clock as the start will have it; that one writes it down.
                kept = tx.clock_anchor()
                is_kept = kept is not None and kept.boot_id == measured.boot_id
                clock = BootClock(kept if kept and is_kept else measured)
                order(tx, clock() // 1000)
                local, group = tx.local(), tx.group()
    return member.name, _others(group, local.member), local.incarnation


def _others(group: Group | None, member: int) -> list[str]:
    current = group.current if group else ()
    return [f"{one.member} {one.name}" for one in current if one.member != member]
