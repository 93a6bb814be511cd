"""`dhcpsync lease find|show|release|clear`: what each does, and what it prints."""

from __future__ import annotations

import json
from dataclasses import dataclass

import typer

from agent.health import MemberStatus
from agent.limits import RELEASE_HOLD_S
from agent.model import BindingState, format_address
from agent.snmp.columns import BINDING, CONFLICT, RowStatus
from agent.snmp.oid import address_index
from tools.aligned import Column, aligned, terminal_width
from tools.asking import Ask, agree
from tools.console import shown
from tools.errors import ManagerError, ToolError
from tools.lease.lease import LEASES_MAX, Lease, find_leases, local_time, read_lease, read_version
from tools.lease.words import parse_words
from tools.manager import Assignment, Session
from tools.status import read_members
from tools.target import Place

_PEER_TIMEOUT_S = 1.0
"""For a member that is asked whether it has a lease too: a dead one is waited for once."""


def find(place: Place, what: str, *, as_json: bool) -> None:
    """ToolError where nobody is found."""
    words = parse_words(what)
    leases = place.run(lambda manager: find_leases(manager, words))
    more = len(leases) > LEASES_MAX
    leases = leases[:LEASES_MAX]
    if as_json:
        listed = [one.as_json() for one in leases]
        typer.echo(json.dumps({"leases": listed, "more": more}, indent=2))
    if not leases:
        raise _nobody(what)
    if as_json:
        return
    for line in aligned(_columns(leases), terminal_width()):
        typer.echo(line)
    if more:
        typer.echo(f"more than {LEASES_MAX}: name the client more closely")


def _columns(leases: list[Lease]) -> list[Column]:
    return [
        Column("address", [format_address(one.address) for one in leases]),
        Column("state", [one.state for one in leases]),
        Column("client", [one.hardware_address or one.client_id or "-" for one in leases]),
        Column("ends", [one.end for one in leases]),
        Column("host name", [one.host_name for one in leases], usual=frozenset({""})),
    ]


def _nobody(what: str) -> ToolError:
    return ToolError(
        f"lease: {shown(what)!r} is in no binding of the member that was asked; no client by that"
        " name has or had an address of it"
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """A lease, and what the asked member knows of the group."""

    lease: Lease
    members: list[MemberStatus]

    @property
    def giver(self) -> MemberStatus | None:
        """The member of whose changes the record is, where it is reached."""
        return next(
            (
                one
                for one in self.members
                if one.id == self.lease.version[0]
                and (one.state, one.hello) == ("active", "bidirectional")
            ),
            None,
        )

    def name_of(self, number: int) -> str:
        return next((one.name for one in self.members if one.id == number), f"member {number}")


def _see(place: Place, what: str) -> Seen:
    """The one lease that is meant. ToolError where none or several are."""
    words = parse_words(what)

    def work(manager: Session) -> Seen:
        leases = find_leases(manager, words)
        if not leases:
            raise _nobody(what)
        if len(leases) > 1:
            raise ToolError(
                f"lease: {shown(what)!r} is in {len(leases)} bindings; give the address of one: "
                + ", ".join(f"{format_address(one.address)} ({one.state})" for one in leases)
            )
        return Seen(leases[0], read_members(manager))

    return place.run(work)


def show(place: Place, what: str, *, as_json: bool) -> None:
    """ToolError where none or several are meant."""
    seen = _see(place, what)
    recorded = {
        one.name: _recorded(place, one, seen.lease)
        for one in seen.members
        if one.state != "removed"
    }
    if as_json:
        told = seen.lease.as_json() | {
            "member": seen.name_of(seen.lease.member),
            "recorded": recorded,
        }
        typer.echo(json.dumps(told, indent=2))
        return
    for name, value in _lines(seen, recorded):
        typer.echo(f"{name + ':':<18}{value}")


def _lines(seen: Seen, recorded: dict[str, str]) -> list[tuple[str, str]]:
    lease = seen.lease
    who = seen.name_of(lease.member) if lease.member else "nobody"
    lines = [
        ("address", format_address(lease.address)),
        ("state", _state_words(lease)),
        ("ends", lease.end),
        ("hardware address", lease.hardware_address or "(none)"),
        ("client id", lease.client_id or "(none)"),
        ("host name", lease.host_name or "(none)"),
        ("last", f"{local_time(lease.transaction_at)}: {who} {lease.last}"),
    ]
    lines += [("option", f"{name} {text}") for name, text in lease.options.items()]
    return lines + [("recorded", f"{name}: {words}") for name, words in recorded.items()]


def _state_words(lease: Lease) -> str:
    return {
        "bound": "bound: the client has the address",
        "released": "released: given back, and kept for this client while others suffice",
        "expired": "expired: the lease has ended",
        "unavailable": "unavailable: nobody is given the address",
    }.get(lease.state, lease.state)


def _recorded(place: Place, member: MemberStatus, lease: Lease) -> str:
    """What a member has of it, by its own word."""
    at = place.at(member.address, member.port).with_patience(_PEER_TIMEOUT_S)
    try:
        version = at.run(lambda manager: read_version(manager, lease.address))
    except ManagerError as error:
        return f"not known ({error})"
    if version is None:
        return "has no record of it"
    return "has it" if version == lease.version else "has another version of it"


def clear(place: Place, what: str, *, ask: Ask) -> str:
    """Ends a conflict; what any other UNAVAILABLE address waits for is told in an error. `ask` says
    whether a person wants it."""
    lease = _see(place, what).lease
    address = format_address(lease.address)
    if lease.state != "unavailable":
        raise ToolError(f"lease: {address} is {lease.state}, not unavailable: nothing to clear")
    if lease.transaction != "conflict":
        raise ToolError(
            f"lease: {address} is unavailable because {_cause(lease)}; it can be given again from"
            f" {lease.end}, by itself: no rule of the group ends that earlier"
        )
    agree(
        ask,
        f"{address} was given to two clients. Clearing it says that the cause is found; it can be"
        f" given again from {lease.end}, when both leases are over.",
    )
    from tools.members import order  # It needs the store's code, which takes a while to load.

    index = address_index(lease.address)

    def assignments(manager: Session) -> list[Assignment]:
        now = read_lease(manager, lease.address)
        if now is None or now.transaction != "conflict":
            return []
        return [Assignment(CONFLICT["RowStatus"], index, RowStatus.DESTROY)]

    order(place, assignments)
    return f"{address} is no conflict any more; it can be given again from {lease.end}"


def release(place: Place, what: str, *, ask: Ask) -> str:
    """Ends a lease as its client's RELEASE would; what is none that runs is told in an error."""
    seen = _see(place, what)
    lease, address = seen.lease, format_address(seen.lease.address)
    if objection := _no_release(lease):
        raise ToolError(f"lease: {address} {objection}")
    giver = seen.giver
    agree(ask, _released_words(seen, giver))
    from tools.members import order  # It needs the store's code, which takes a while to load.

    index = address_index(lease.address)

    def assignments(manager: Session) -> list[Assignment]:
        now = read_lease(manager, lease.address)
        if now is not None and now.state == "released":
            return []
        if now is None or now.version != lease.version:
            raise ToolError(
                f"lease: {address} is not any more what was shown (its client may have renewed it):"
                " nothing is done; look again"
            )
        return [Assignment(BINDING["State"], index, BindingState.RELEASED)]

    order(place.at(giver.address, giver.port) if giver else place, assignments)
    return f"{address} is released; its client has not been told"


def _no_release(lease: Lease) -> str:
    """Why the lease cannot be released; "": it can be."""
    if lease.state == "released":
        return "is released already: nothing to do"
    if lease.state == "expired":
        return f"is over since {lease.end}: nothing to release"
    if lease.state == "unavailable":
        clear = ": `dhcpsync lease clear` is for that" if lease.transaction == "conflict" else ""
        return f"is unavailable, and nobody's{clear}"
    if lease.ends_at is None:
        return "is leased for ever: its client never asks again, so nothing would tell it"
    return ""


def _released_words(seen: Seen, giver: MemberStatus | None) -> str:
    lease = seen.lease
    address, client = format_address(lease.address), lease.hardware_address or lease.client_id
    host = f" ({lease.host_name})" if lease.host_name else ""
    rest = f"for {RELEASE_HOLD_S} s, and is tried before another client gets it"
    if giver is None:
        knower = seen.name_of(lease.version[0])
        rest = (
            f"as long as the lease would have run, perhaps: {knower}, which alone knows whether"
            " everybody has recorded it, is not reached"
        )
    return (
        f"{address} is leased to {client}{host} until {lease.end};"
        f" {seen.name_of(lease.member)} {lease.last} at {local_time(lease.transaction_at)}.\n"
        "Its client may still be there. It is not told, and goes on using the address until it"
        " renews: then it has it again, unless another client has it by then; until that, both use"
        f" it. Released, the address rests {rest}."
    )


def _cause(lease: Lease) -> str:
    return {
        "decline": "its client said that somebody else uses it (DECLINE)",
        "probe": "somebody else answered when it was tried",
        "repair": "a conflict about it was cleared, and the leases of both clients last",
    }.get(lease.transaction, f"of {lease.transaction}")
