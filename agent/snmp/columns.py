"""Every object of DHCP-SYNC-MIB that the code serves or asks for: name, arc, syntax, access, index.

The one place where objects have numbers, beside `agent.kinds`, whose tables are made of the
declarations of configuration rows. The text for people and for other tools is
`mibs/DHCP-SYNC-MIB.txt`; a test holds the two against each other, object by object.
Index columns are not accessible and have no entry of their own; a table's first accessible
column therefore has the arc after them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.kinds import KINDS
from agent.kinds.kind import ChangeKind, DeclarationError, Kind
from agent.kinds.values import Address, Choice, Instant, Number, Text, Type
from agent.limits import HARDWARE_ADDRESS_MAX, SNMP_CLIENT_KEY_MAX
from agent.snmp.oid import SUB_IDENTIFIER_MAX, Oid

ENTERPRISE: Oid = (1, 3, 6, 1, 4, 1, 32473)
"""The number that is reserved for documentation (RFC 5612)."""

MODULE: Oid = (*ENTERPRISE, 67)
NOTIFICATIONS: Oid = (*MODULE, 0)
OBJECTS: Oid = (*MODULE, 1)

HELLO: Oid = (*NOTIFICATIONS, 1)
BINDING_UPDATE: Oid = (*NOTIFICATIONS, 2)
EVENTS: Mapping[str, Oid] = {
    "dhcpSyncMemberStateChange": (*NOTIFICATIONS, 3),
    "dhcpSyncGroupChange": (*NOTIFICATIONS, 4),
    "dhcpSyncFreeAddressLow": (*NOTIFICATIONS, 5),
    "dhcpSyncFreeAddressHigh": (*NOTIFICATIONS, 6),
    "dhcpSyncConfigMismatch": (*NOTIFICATIONS, 7),
    "dhcpSyncConflict": (*NOTIFICATIONS, 8),
    "dhcpSyncGroupFork": (*NOTIFICATIONS, 9),
    "dhcpSyncHealthRaised": (*NOTIFICATIONS, 10),
    "dhcpSyncHealthCleared": (*NOTIFICATIONS, 11),
}
"""What operators are told; the first two are between members."""

MESSAGE: Oid = (*OBJECTS, 6, 2, 0)
"""The one object of the first two (accessible-for-notify)."""


class Base(enum.IntEnum):
    """The type on the wire, by its BER tag (RFC 3416 3; Gauge32 and Unsigned32 share a tag)."""

    INTEGER = 0x02
    OCTETS = 0x04
    UNSIGNED = 0x42
    COUNTER64 = 0x46


class Form(enum.Enum):
    """How octets are meant, for those who show or check them."""

    PLAIN = "plain"
    TEXT = "text"
    PHYSICAL = "physical"
    ADDRESS = "address"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Syntax:
    """`low`..`high` bounds the value of a number, or the length of octets.

    `names` holds the enumeration's words by number."""

    base: Base
    low: int
    high: int
    form: Form = Form.PLAIN
    names: Mapping[int, str] = field(default_factory=dict)


def _enumeration(words: str) -> Syntax:
    names = dict(enumerate(words.split(), 1))
    return Syntax(Base.INTEGER, 1, max(names), names=names)


def _octets(low: int, high: int) -> Syntax:
    return Syntax(Base.OCTETS, low, high)


def _text(low: int, high: int) -> Syntax:
    return Syntax(Base.OCTETS, low, high, Form.TEXT)


def _physical(low: int, high: int) -> Syntax:
    return Syntax(Base.OCTETS, low, high, Form.PHYSICAL)


def _unsigned(low: int, high: int = 0xFFFF_FFFF) -> Syntax:
    return Syntax(Base.UNSIGNED, low, high)


_ADDRESS = Syntax(Base.OCTETS, 4, 4, Form.ADDRESS)
_DATE = Syntax(Base.OCTETS, 0, 11, Form.DATE)
_INTEGER32 = Syntax(Base.INTEGER, -(2**31), 2**31 - 1)
_MEMBER = _unsigned(0, 2**31 - 1)
_PACKED = _octets(0, 65_000)
_ROW_STATUS = _enumeration("active notInService notReady createAndGo createAndWait destroy")
_ENDPOINT = _enumeration(
    "startup normal communicationsInterrupted partnerDown recover recoverDone potentialConflict"
    " resolutionInterrupted paused shutdown"
)
_BINDING_STATE = _enumeration("bound released unavailable expired")
_COUNTER = Syntax(Base.COUNTER64, 0, 2**64 - 1)
_GAUGE = _unsigned(0)
_GAUGE64 = _COUNTER
_UNSIGNED = _unsigned(0)
_IMPLIED_TEXT = _text(1, 32)


class RowStatus(enum.IntEnum):
    """RFC 2579 2."""

    ACTIVE = 1
    NOT_IN_SERVICE = 2
    NOT_READY = 3
    CREATE_AND_GO = 4
    CREATE_AND_WAIT = 5
    DESTROY = 6


class Access(enum.Enum):
    READ_ONLY = "read-only"
    READ_WRITE = "read-write"
    READ_CREATE = "read-create"


RO = Access.READ_ONLY
RW = Access.READ_WRITE
RC = Access.READ_CREATE


@dataclass(frozen=True, slots=True)
class Scalar:
    name: str
    oid: Oid
    syntax: Syntax

    @property
    def instance(self) -> Oid:
        return (*self.oid, 0)


@dataclass(frozen=True, slots=True)
class Column:
    """`name` in full; `oid` without an instance."""

    name: str
    oid: Oid
    syntax: Syntax
    access: Access

    @property
    def arc(self) -> int:
        return self.oid[-1]


@dataclass(frozen=True, slots=True)
class Table:
    """`name` is the common prefix of its columns, `entry` the OID that column arcs follow.

    `limits` is the index as sub-identifiers, each with its greatest value; empty for the
    tables whose index is a text (IMPLIED, so of any length), and of no use where octets of any
    length are a part of it."""

    name: str
    entry: Oid
    index: Mapping[str, Syntax]
    columns: Mapping[str, Column]
    limits: tuple[int, ...]

    def __getitem__(self, short: str) -> Column:
        return self.columns[short]


def _scalars(arcs: Oid, *entries: tuple[str, Syntax]) -> dict[str, Scalar]:
    return {
        name: Scalar(name, (*OBJECTS, *arcs, arc), syntax)
        for arc, (name, syntax) in enumerate(entries, 1)
    }


def _table(
    name: str, arcs: Oid, index: dict[str, Syntax], *columns: tuple[str, Syntax, Access]
) -> Table:
    """Columns have the arcs after those of the index."""
    return _table_of(name, arcs, index, dict(enumerate(columns, len(index) + 1)))


def _table_of(
    name: str,
    arcs: Oid,
    index: dict[str, Syntax],
    columns: Mapping[int, tuple[str, Syntax, Access]],
) -> Table:
    entry = (*OBJECTS, *arcs, 1)
    limits: list[int] = []
    for syntax in index.values():
        if syntax.form is Form.ADDRESS:
            limits += [255] * 4
        elif syntax.base is not Base.OCTETS:
            limits.append(min(syntax.high, SUB_IDENTIFIER_MAX))
    return Table(
        name,
        entry,
        {f"{name}{short}": syntax for short, syntax in index.items()},
        {
            short: Column(f"{name}{short}", (*entry, arc), syntax, access)
            for arc, (short, syntax, access) in columns.items()
        },
        tuple(limits),
    )


SERVER = _scalars(
    (1,),
    ("dhcpSyncServerId", _MEMBER),
    ("dhcpSyncServerName", _text(0, 255)),
    ("dhcpSyncServerVersion", _text(0, 255)),
    ("dhcpSyncServerIncarnation", _UNSIGNED),
    (
        "dhcpSyncServerState",
        _enumeration(
            "joining serving notServing publishing starting recovering paused storeFailing"
            " engineSilent"
        ),
    ),
    ("dhcpSyncServerConfigVersion", _GAUGE64),
    ("dhcpSyncServerBindings", _GAUGE),
    ("dhcpSyncServerPeersDown", _GAUGE),
    ("dhcpSyncServerPoolsLow", _GAUGE),
    ("dhcpSyncServerMaxBacklog", _GAUGE),
    ("dhcpSyncServerUncertainSince", _DATE),
    ("dhcpSyncServerEngineHeard", _DATE),
    ("dhcpSyncServerDiskFree", _GAUGE64),
    ("dhcpSyncServerHealth", _enumeration("well degraded failing")),
    ("dhcpSyncServerHealthReasons", _octets(0, 8)),
    ("dhcpSyncServerHealthText", _text(0, 255)),
    ("dhcpSyncServerVotes", _enumeration("true false")),
)

COUNTERS = _scalars(
    (2,),
    ("dhcpSyncCounterDiscovers", _COUNTER),
    ("dhcpSyncCounterOffers", _COUNTER),
    ("dhcpSyncCounterRequests", _COUNTER),
    ("dhcpSyncCounterDeclines", _COUNTER),
    ("dhcpSyncCounterAcks", _COUNTER),
    ("dhcpSyncCounterNaks", _COUNTER),
    ("dhcpSyncCounterReleases", _COUNTER),
    ("dhcpSyncCounterInforms", _COUNTER),
    ("dhcpSyncCounterInvalids", _COUNTER),
)

DROP = _table(
    "dhcpSyncDrop",
    (2, 20),
    {"Reason": _IMPLIED_TEXT},
    ("Count", _COUNTER, RO),
)

ACTIVITY = _table(
    "dhcpSyncActivity",
    (2, 21),
    {"Name": _IMPLIED_TEXT},
    ("Count", _COUNTER, RO),
)

GROUP = _table(
    "dhcpSyncGroup",
    (3, 1),
    {"Index": _unsigned(1, 1)},
    ("Name", _text(1, 64), RO),
    ("Generation", _UNSIGNED, RO),
    ("MembershipHash", _octets(0, 32), RO),
    ("MaxUnpushedLeaseTime", _UNSIGNED, RW),
    ("LeaseTime", _UNSIGNED, RW),
    ("MemberCount", _GAUGE, RO),
    ("SafePeriod", _UNSIGNED, RW),
    ("ForcedChanges", _GAUGE, RO),
    ("Packed", _PACKED, RO),
)

MEMBER = _table(
    "dhcpSyncMember",
    (3, 2),
    {"Id": _MEMBER},
    ("Name", _text(1, 64), RC),
    ("Address", _ADDRESS, RC),
    ("Port", _unsigned(0, 65535), RC),
    ("EngineId", _octets(5, 32), RC),
    ("State", _enumeration("active joining removed down"), RO),
    ("Role", _enumeration("server database"), RC),
    ("Weight", _unsigned(0, 1000), RC),
    ("Incarnation", _UNSIGNED, RO),
    ("HelloState", _enumeration("down waiting unidirectional bidirectional"), RO),
    ("AlignState", _enumeration("down negotiate summarize update aligned"), RO),
    ("LastHeard", _DATE, RO),
    ("ClockOffset", _INTEGER32, RO),
    ("Backlog", _GAUGE, RO),
    ("RowStatus", _ROW_STATUS, RC),
    ("EndpointState", _ENDPOINT, RO),
    ("Operation", _enumeration("none partnerDown pause resume shutdown leave endWait realign"), RC),
    ("Force", _enumeration("no yes"), RC),
    ("Trouble", _enumeration("none diskLow engineSilent"), RO),
)

PENDING = _table(
    "dhcpSyncPending",
    (3, 4),
    {"Number": _unsigned(1)},
    ("Change", _text(0, 255), RO),
    ("User", _text(0, 255), RO),
    ("Phase", _enumeration("waiting prepare accept"), RO),
)

PROPOSAL = _table(
    "dhcpSyncProposal",
    (3, 3),
    {"Generation": _UNSIGNED, "Coordinator": _MEMBER},
    ("Request", _PACKED, RC),
    ("Answer", _PACKED, RO),
    ("RowStatus", _ROW_STATUS, RC),
)


def _camel(words: str) -> str:
    first, *rest = words.lower().split("_")
    return first + "".join(map(str.title, rest))


def _syntax(type_: Type) -> Syntax:
    if isinstance(type_, Address):
        return _ADDRESS
    if isinstance(type_, Number):
        return _unsigned(type_.least, type_.most)
    if isinstance(type_, Instant):
        return _unsigned(0, type_.ahead_s)
    if isinstance(type_, Choice):
        return _enumeration(" ".join(_camel(word.name) for word in type_.words))
    return _text(0, type_.most) if isinstance(type_, Text) else _octets(0, type_.most)


def _configuration(kind: Kind) -> Table:
    """The table of a kind: its fields, RowStatus, and what is shown beside them (`_BESIDE`)."""
    name = f"dhcpSync{''.join(map(str.title, kind.name.split('_')))}"
    values = kind.fields[len(kind.keys) :]
    cells = {field.arc: (field.column, _syntax(field.type), RC) for field in values}
    beside = {**_BESIDE.get(kind.number, {}), kind.status_arc: ("RowStatus", _ROW_STATUS, RC)}
    if twice := cells.keys() & beside.keys():
        raise DeclarationError(f"{kind.place}: arcs {sorted(twice)} of {name} are taken")
    index = {field.column: _syntax(field.type) for field in kind.keys}
    return _table_of(name, (4, kind.table), index, dict(sorted((cells | beside).items())))


_BESIDE: Mapping[int, Mapping[int, tuple[str, Syntax, Access]]] = {
    ChangeKind.SUBNET: {
        5: ("LeaseTime", _UNSIGNED, RO),
        6: ("Size", _GAUGE, RO),
        7: ("InUse", _GAUGE, RO),
        8: ("Free", _GAUGE, RO),
    },
    ChangeKind.POOL: {
        4: ("Size", _GAUGE, RO),
        5: ("InUse", _GAUGE, RO),
        6: ("Free", _GAUGE, RO),
        7: ("Unavailable", _GAUGE, RO),
    },
    ChangeKind.OPTION: {4: ("Name", _text(0, 255), RO), 6: ("Text", _text(0, 4096), RC)},
    ChangeKind.RESERVATION: {3: ("HardwareAddress", _physical(0, HARDWARE_ADDRESS_MAX), RC)},
    ChangeKind.FORMER_SERVER: {4: ("Until", _DATE, RO)},
}
"""By kind and arc: columns that are no fields but are counted, or say a field in another way."""

CONFIGURATION: Mapping[int, Table] = {
    number: _configuration(kind) for number, kind in KINDS.items()
}
"""By the number of the kind (`agent.kinds`)."""

SUBNET = CONFIGURATION[ChangeKind.SUBNET]
POOL = CONFIGURATION[ChangeKind.POOL]
OPTION = CONFIGURATION[ChangeKind.OPTION]
RESERVATION = CONFIGURATION[ChangeKind.RESERVATION]
FORMER_SERVER = CONFIGURATION[ChangeKind.FORMER_SERVER]
SETTING = CONFIGURATION[ChangeKind.SETTING]

_KIND = Syntax(
    Base.INTEGER,
    min(KINDS),
    max(KINDS),
    names={number: _camel(kind.name) for number, kind in KINDS.items()},
)

CONFIG_RECORD = _table(
    "dhcpSyncConfigRecord",
    (4, 5),
    {"Kind": _KIND, "Number": _UNSIGNED},
    ("Packed", _PACKED, RO),
)

BINDING = _table(
    "dhcpSyncBinding",
    (5, 1),
    {"Address": _ADDRESS},
    ("State", _BINDING_STATE, RW),
    ("HardwareType", _unsigned(0, 255), RO),
    ("HardwareAddress", _physical(0, 16), RO),
    ("ClientId", _octets(0, 255), RO),
    ("HostName", _text(0, 255), RO),
    ("ExpiresAt", _DATE, RO),
    ("Epoch", _GAUGE64, RO),
    ("Grant", _GAUGE64, RO),
    (
        "TransactionType",
        _enumeration(
            "selecting initReboot renewing rebinding release expiration decline conflict"
            " claim repair probe"
        ),
        RO,
    ),
    ("TransactionAt", _DATE, RO),
    ("TransactionServer", _MEMBER, RO),
    ("StreamServer", _MEMBER, RO),
    ("StreamIncarnation", _UNSIGNED, RO),
    ("StreamSeq", _GAUGE64, RO),
    ("Options", _octets(0, 4096), RO),
)

ADDRESS = _table(
    "dhcpSyncAddress",
    (5, 2),
    {"First": _ADDRESS},
    ("Last", _ADDRESS, RO),
    ("State", _enumeration("polling bindable transferring promised"), RO),
    ("Epoch", _GAUGE64, RO),
    ("Member", _MEMBER, RO),
    ("Generation", _UNSIGNED, RO),
)

STREAM = _table(
    "dhcpSyncStream",
    (5, 3),
    {"Server": _MEMBER, "Incarnation": _UNSIGNED},
    ("Applied", _GAUGE64, RO),
    ("LogFrom", _GAUGE64, RO),
    ("Acknowledged", _GAUGE64, RO),
)

CHANGE = _table(
    "dhcpSyncChange",
    (5, 4),
    {"Server": _MEMBER, "Incarnation": _UNSIGNED, "SeqHigh": _UNSIGNED, "SeqLow": _UNSIGNED},
    ("Record", _PACKED, RO),
)

BINDING_BLOCK = _table(
    "dhcpSyncBindingBlock",
    (5, 5),
    {"Number": _UNSIGNED},
    ("Records", _PACKED, RO),
)

CONFLICT = _table(
    "dhcpSyncConflict",
    (5, 6),
    {"Address": _ADDRESS},
    ("FirstClient", _octets(0, 257), RO),
    ("FirstServer", _MEMBER, RO),
    ("SecondClient", _octets(0, 257), RO),
    ("SecondServer", _MEMBER, RO),
    ("Since", _DATE, RO),
    ("ExpiresAt", _DATE, RO),
    ("RowStatus", _ROW_STATUS, RC),
)

CLIENT = _table(
    "dhcpSyncClient",
    (5, 7),
    {
        "Kind": _enumeration("hardwareAddress clientId hostName"),
        "Key": _octets(1, SNMP_CLIENT_KEY_MAX),
        "Address": _ADDRESS,
    },
    ("State", _BINDING_STATE, RO),
)

POLL = _table(
    "dhcpSyncPoll",
    (6, 1),
    {"Server": _MEMBER, "Incarnation": _UNSIGNED, "Counter": _UNSIGNED},
    ("Request", _PACKED, RC),
    ("Answer", _PACKED, RO),
    ("RowStatus", _ROW_STATUS, RC),
)

TRANSFER = _table(
    "dhcpSyncTransfer",
    (6, 3),
    {"Server": _MEMBER, "Incarnation": _UNSIGNED, "Counter": _UNSIGNED},
    ("Request", _PACKED, RC),
    ("Answer", _PACKED, RO),
    ("RowStatus", _ROW_STATUS, RC),
)

AUDIT = _table(
    "dhcpSyncAudit",
    (7, 1),
    {"Index": _unsigned(1)},
    ("Time", _DATE, RO),
    ("User", _text(0, 255), RO),
    ("Action", _text(0, 255), RO),
    ("Detail", _text(0, 255), RO),
    ("Hash", _octets(0, 32), RO),
)

SCALARS: Mapping[str, Scalar] = SERVER | COUNTERS
TABLES: tuple[Table, ...] = (
    DROP,
    ACTIVITY,
    GROUP,
    MEMBER,
    PROPOSAL,
    PENDING,
    *CONFIGURATION.values(),
    CONFIG_RECORD,
    BINDING,
    ADDRESS,
    STREAM,
    CHANGE,
    BINDING_BLOCK,
    CONFLICT,
    CLIENT,
    POLL,
    TRANSFER,
    AUDIT,
)

_BY_OID: Mapping[Oid, Column] = {
    column.oid: column for table in TABLES for column in table.columns.values()
}
_COLUMN_LENGTH = len(OBJECTS) + 4


def column_of(oid: Oid) -> Column | None:
    """The column that `oid` is, or is an instance of."""
    return _BY_OID.get(oid[:_COLUMN_LENGTH])
