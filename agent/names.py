"""What a member may be called. Orders name a member by number or name, so each must mean one."""

from __future__ import annotations

from agent.limits import NAME_OCTETS_MAX


def fault_of_name(name: str) -> str:
    """Why no member can have this name; "" where one can."""
    if not name.isprintable() or name != name.strip():
        return "a name is printable, and neither begins nor ends with a blank"
    if not 1 <= len(name.encode()) <= NAME_OCTETS_MAX:
        return f"a name has 1..{NAME_OCTETS_MAX} octets"
    if name.isdecimal():
        return "a name is no number, for that would mean the member of that number"
    return ""
