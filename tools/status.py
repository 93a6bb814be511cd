"""`dhcpsync status`: the group as one member sees it, read by GET and GETBULK as monitor."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from agent import former, reasons
from agent.health import FormerStatus, Kind, MemberStatus, PoolStatus, is_well
from agent.kinds.former_server import FormerServer
from agent.limits import CONFIGURATION_RECORDS_MAX
from agent.model import Pool, ProbePolicy, Subnet, format_address, parse_address
from agent.settings.configuration import Configuration
from agent.snmp.columns import (
    COUNTERS,
    FORMER_SERVER,
    GROUP,
    MEMBER,
    POOL,
    SERVER,
    SUBNET,
    RowStatus,
    Scalar,
)
from agent.snmp.columns import Column as ManagedColumn
from agent.snmp.health_objects import says
from agent.snmp.oid import index_address
from tools.aligned import Column, aligned, terminal_width, wrapped
from tools.console import shown
from tools.errors import ManagerError
from tools.manager import Row, Session, Value, number_in, octets_in
from tools.target import Place, Target

_FALSE = 2
"""TruthValue (RFC 2579)."""
_RATES = ("Discovers", "Offers", "Requests", "Acks", "Naks")


@dataclass(frozen=True, slots=True)
class Status:
    """`asked` is the member that answered. `rates` are messages a second, by name, if measured.
    `uncertain_since`: since when it may have been declared dead and does not know; "": it does.
    `engine_heard`: when its engine last was known to live; `disk_free`: octets. `votes`: it takes
    part in decisions of its group, as one of a version that does not tell seems to."""

    asked: int
    asked_name: str
    state: str
    bindings: int
    peers_down: int
    pools_low: int
    max_backlog: int
    group: str
    generation: int
    lease_s: int
    mul_s: int
    members: list[MemberStatus]
    pools: list[PoolStatus]
    counters: dict[str, int]
    rates: dict[str, float] = field(default_factory=dict)
    uncertain_since: str = ""
    engine_heard: str = ""
    disk_free: int = 0
    former: list[FormerStatus] = field(default_factory=list)
    votes: bool = True
    conflicts: bool = False

    @property
    def is_serving(self) -> bool:
        return self.state == "serving"

    @property
    def is_ready(self) -> bool:
        """Whether it does what its role is: a database member publishes."""
        return self.state in ("serving", "publishing")

    @property
    def is_well(self) -> bool:
        """Whether there is no reason to do anything (agent/reasons.py)."""
        return is_well(reasons.reasons(self))

    @property
    def is_out(self) -> bool:
        """Whether the member that was asked knows that it was removed."""
        return any(one.id == self.asked and one.state == "removed" for one in self.members)

    def as_json(self) -> dict[str, Any]:
        told = [
            {
                "kind": reason.kind.value,
                "severity": reason.severity.value,
                "words": reason.words,
                "to_do": reason.to_do,
            }
            for reason in reasons.reasons(self)
        ]
        judged = {"well": self.is_well, "sentence": reasons.sentence(self), "reasons": told}
        return judged | asdict(self)

    def summary(self) -> str:
        """One line for whoever waits for it to become well."""
        others = ", ".join(
            f"{m.name} {m.state}, {m.hello}, {m.align}" for m in self.members if not m.is_well
        )
        free = ", ".join(f"{pool.first} has {pool.free} free" for pool in self.pools)
        parts = [f"it is {self.state}", reasons.doubt(self), others, free]
        return "; ".join(part for part in parts if part)


def read_status(
    target: Target, *, rate_s: float = 0.0, timeout_s: float = 2.0, retries: int = 2
) -> Status:
    """Ask the member. With `rate_s`, the counters are read twice, so far apart."""
    return read_status_at(replace(target, timeout_s=timeout_s, retries=retries), rate_s=rate_s)


def read_status_at(place: Place, *, rate_s: float = 0.0) -> Status:
    """The same at a member of a pool."""
    return place.run(lambda manager: _read_with_rates(manager, rate_s))


def _read_with_rates(manager: Session, rate_s: float) -> Status:
    status = _read(manager)
    if not rate_s:
        return status
    begin = time.monotonic()
    time.sleep(rate_s)
    later = _counters(manager)
    elapsed_s = time.monotonic() - begin
    for name in _RATES:
        status.rates[name] = round((later[name] - status.counters[name]) / elapsed_s, 1)
    return status


def _read(manager: Session) -> Status:
    names = list(SERVER)
    values = dict(zip(names, manager.get(list(SERVER.values())), strict=True))
    if values["dhcpSyncServerId"] is None:
        raise ManagerError("the agent is no dhcpsync member, or hides it from this user", "hidden")

    def number(name: str) -> int:
        value = values[f"dhcpSyncServer{name}"]
        return value if isinstance(value, int) else 0

    def text(name: str) -> str:
        value = values[f"dhcpSyncServer{name}"]
        return shown(value.decode("utf-8", "replace")) if isinstance(value, bytes) else ""

    group = next(iter(manager.table(GROUP).values()), {})
    return Status(
        asked=number("Id"),
        asked_name=text("Name"),
        state=_word(SERVER["dhcpSyncServerState"], number("State")),
        bindings=number("Bindings"),
        peers_down=number("PeersDown"),
        pools_low=number("PoolsLow"),
        max_backlog=number("MaxBacklog"),
        group=_text(group, "Name"),
        generation=number_in(group, "Generation"),
        lease_s=number_in(group, "LeaseTime"),
        mul_s=number_in(group, "MaxUnpushedLeaseTime"),
        members=read_members(manager),
        pools=_read_pools(manager),
        counters=_counters(manager),
        uncertain_since=_instant(values["dhcpSyncServerUncertainSince"]),
        engine_heard=_instant(values["dhcpSyncServerEngineHeard"], never=""),
        disk_free=number("DiskFree"),
        former=read_former(manager),
        votes=values["dhcpSyncServerVotes"] != _FALSE,
        conflicts=says(Kind.ADDRESS_CONFLICT, values["dhcpSyncServerHealthReasons"]),
    )


def _counters(manager: Session) -> dict[str, int]:
    values = manager.get(list(COUNTERS.values()))
    return {
        name.removeprefix("dhcpSyncCounter"): value if isinstance(value, int) else 0
        for name, value in zip(COUNTERS, values, strict=True)
    }


def _member(member: int, row: Row) -> MemberStatus:
    address = octets_in(row, "Address")
    return MemberStatus(
        id=member,
        name=_text(row, "Name"),
        address=format_address(int.from_bytes(address, "big")),
        state=_word(MEMBER["State"], number_in(row, "State")),
        role=_word(MEMBER["Role"], number_in(row, "Role")),
        hello=_word(MEMBER["HelloState"], number_in(row, "HelloState")),
        align=_word(MEMBER["AlignState"], number_in(row, "AlignState")),
        backlog=number_in(row, "Backlog"),
        clock_offset_ms=number_in(row, "ClockOffset"),
        engine_id=octets_in(row, "EngineId").hex(),
        port=number_in(row, "Port"),
        endpoint=_word(MEMBER["EndpointState"], number_in(row, "EndpointState")),
        last_heard=_instant(row.get("LastHeard"), never=""),
        trouble=_word(MEMBER["Trouble"], number_in(row, "Trouble")),
    )


def read_members(manager: Session) -> list[MemberStatus]:
    return [_member(index[0], row) for index, row in manager.table(MEMBER).items()]


def _pool(index: tuple[int, ...], row: Row) -> PoolStatus:
    return PoolStatus(
        first=format_address(index_address(index[:4])),
        last=format_address(index_address(index[4:8])),
        name=_text(row, "Name"),
        active=number_in(row, "RowStatus") == RowStatus.ACTIVE,
        size=number_in(row, "Size"),
        in_use=number_in(row, "InUse"),
        free=number_in(row, "Free"),
        unavailable=number_in(row, "Unavailable"),
    )


def _read_pools(manager: Session) -> list[PoolStatus]:
    """Of subnets three columns are read, and only while a pool is full, as in `read_former`."""
    pools = [_pool(index, row) for index, row in manager.table(POOL).items()]
    full = {_range(pool) for pool in pools if pool.is_full}
    if not full:
        return pools
    links = manager.below(SUBNET["SharedNetwork"], (), CONFIGURATION_RECORDS_MAX)
    states = manager.below(SUBNET["RowStatus"], (), CONFIGURATION_RECORDS_MAX)
    subnets = [
        Subnet(index_address(index[:4]), index[4], shared_network=_decoded(link))
        for index, link in links.items()
        if states.get(index) == RowStatus.ACTIVE
    ]
    active = [_range(pool) for pool in pools if pool.active]
    known = Configuration.from_rows([*subnets, *active])
    relieved = {one for one in full if not full.issuperset(known.pools_beside(one))}
    return [replace(pool, relieved=_range(pool) in relieved) for pool in pools]


def _range(pool: PoolStatus) -> Pool:
    return Pool(parse_address(pool.first), parse_address(pool.last))


def read_former(manager: Session) -> list[FormerStatus]:
    """What a member says of former servers. Of its subnets two columns are read, and only while
    such leases may run, since what it counts of each is dear."""
    rows, ends = former_servers(manager)
    if not any(ends):
        return []
    states = manager.below(SUBNET["RowStatus"], (), CONFIGURATION_RECORDS_MAX)
    subnets = [
        Subnet(index_address(index[:4]), index[4], probe=ProbePolicy.NEVER)
        for index, probe in manager.below(SUBNET["Probe"], (), CONFIGURATION_RECORDS_MAX).items()
        if probe == ProbePolicy.NEVER and states.get(index) == RowStatus.ACTIVE
    ]
    known = Configuration.from_rows([*rows, *subnets])
    told = [FormerStatus(one.network, ends[one.until]) for one in former.running(known, 0)]
    for one in former.untried(known, 0):
        told.append(FormerStatus(one.network, ends[one.until], tried=False))
    return told


def former_servers(manager: Session) -> tuple[list[FormerServer], dict[int, str]]:
    """The rows, whose `until` is counted from now; and in words when that is at the member."""
    rows = []
    ends = {}
    for index, row in manager.table(FORMER_SERVER).items():
        left = number_in(row, "TimeLeft")
        ends[left] = _instant(row.get("Until"), never="")
        active = number_in(row, "RowStatus") == RowStatus.ACTIVE
        rows.append(FormerServer(index_address(index[:4]), index[4], left, active))
    return rows, ends


def _word(managed: Scalar | ManagedColumn, value: int) -> str:
    """The MIB's word for the value of an enumeration."""
    return managed.syntax.names.get(value, str(value))


def _instant(value: Value | None, never: str = "it ran last") -> str:
    """DateAndTime (RFC 2579) in UTC, as a person reads it; "" for one of length 0, and of a member
    that does not have the object yet; `never` for the beginning of time."""
    if not isinstance(value, bytes) or len(value) < 8:
        return ""
    year = int.from_bytes(value[:2], "big")
    month, day, hour, minute, second = value[2:7]
    if year <= 1970:
        return never
    return f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC"


def _text(row: Row, name: str) -> str:
    return shown(octets_in(row, name).decode("utf-8", "replace"))


def _decoded(value: Value) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def show_status(status: Status, *, as_json: bool) -> None:
    """Print it for a person, or as JSON."""
    import typer

    if as_json:
        typer.echo(json.dumps(status.as_json(), indent=2))
        return
    width = terminal_width()
    for line in wrapped(reasons.sentence(status), width):
        typer.secho(line, fg=None if status.is_well else typer.colors.YELLOW)
    for reason in reasons.reasons(status):
        for line in wrapped(f"- {reason.words}. {reason.to_do}", width):
            typer.echo(line)
    for line in _tables(status, width):
        typer.echo(line)


def _tables(status: Status, width: int) -> Iterator[str]:
    yield ""
    yield f"group {status.group or '(none)'}, generation {status.generation}"
    yield f"lease {status.lease_s} s, MUL {status.mul_s} s"
    yield f"{status.bindings} bindings at {status.asked_name}, which is {status.state}"
    yield ""
    yield from aligned(_member_columns(status.members), width)
    if status.pools:
        yield ""
        yield from aligned(_pool_columns(status.pools), width)
        yield f"(free: what {status.asked_name} can give at once)"
    if status.rates:
        yield ""
        yield ", ".join(f"{name} {rate:g}/s" for name, rate in status.rates.items())


def _member_columns(members: list[MemberStatus]) -> list[Column]:
    """What failover's word, the trouble and a clock mean is among the reasons above the table."""
    clocks = [f"{one.clock_offset_ms / 1000:+.1f} s" for one in members]
    near = {f"{tenths / 10:+.1f} s" for tenths in range(-9, 10)} | {"-0.0 s"}
    return [
        Column("member", [f"{one.id} {one.name}" for one in members]),
        Column("address", [one.address for one in members]),
        Column("state", [one.state for one in members]),
        Column("hello", [one.hello for one in members]),
        Column("align", [one.align for one in members]),
        Column("failover", [one.endpoint for one in members], False, frozenset({"normal"}), True),
        Column("trouble", [one.trouble for one in members], False, frozenset({"none", "0"}), True),
        Column("role", [one.role for one in members], usual=frozenset({"server"})),
        Column("backlog", [str(one.backlog) for one in members], True, frozenset({"0"})),
        Column("clock", clocks, True, frozenset(near), True),
    ]


def _pool_columns(pools: list[PoolStatus]) -> list[Column]:
    """The fullest first. Its addresses name a pool too."""
    by_fullness = sorted(pools, key=lambda pool: pool.left / pool.size if pool.size else 1.0)
    names = [
        pool.name if pool.active else f"{pool.name} (not in service)".strip()
        for pool in by_fullness
    ]
    bad = [str(pool.unavailable) for pool in by_fullness]
    return [
        Column("pool", [f"{pool.first}-{pool.last}" for pool in by_fullness]),
        Column("size", [str(pool.size) for pool in by_fullness], True),
        Column("in use", [str(pool.in_use) for pool in by_fullness], True, brief="used"),
        Column("free", [str(pool.free) for pool in by_fullness], True),
        Column("unavailable", bad, True, frozenset("0"), brief="unavail"),
        Column("name", names, usual=frozenset({""}), told=True),
    ]
