"""A lease as a member's binding table has it, in an operator's words."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

from agent.dhcp.option_types import option_type
from agent.dhcp.options import format_text
from agent.dhcp.wire import parse_options
from agent.errors import PacketError
from agent.model import format_address
from agent.snmp.columns import BINDING, CLIENT
from agent.snmp.oid import address_index, index_address
from agent.snmp.tables import NEVER_DATE
from tools.console import shown
from tools.lease.words import Words
from tools.manager import Row, Session, number_in, octets_in

LEASES_MAX = 64
"""Leases found by one question that are read and shown: a client has few."""

_TRANSACTIONS = {
    "selecting": "gave it to a new client",
    "initReboot": "confirmed it after a restart of the client",
    "renewing": "renewed it",
    "rebinding": "renewed it in place of another member",
    "release": "took it back (RELEASE, by the client or an operator)",
    "expiration": "let it end",
    "decline": "was told by its client that somebody else uses it (DECLINE)",
    "conflict": "learned that two clients were given it",
    "claim": "believed the client, which nobody had a record of",
    "repair": "was told by an operator that the conflict is over",
    "probe": "tried it, and somebody else answered",
}


@dataclass(frozen=True, slots=True)
class Lease:
    """`ends_at` None: never. `version` names the change that made the record: stream and number.
    `member` made the last transaction, 0 for none."""

    address: int
    state: str
    hardware_address: str
    client_id: str
    host_name: str
    ends_at: datetime.datetime | None
    transaction: str
    transaction_at: datetime.datetime | None
    member: int
    version: tuple[int, int, int]
    options: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "address": format_address(self.address),
            "state": self.state,
            "hardware_address": self.hardware_address,
            "client_id": self.client_id,
            "host_name": self.host_name,
            "ends_at": self.ends_at.isoformat() if self.ends_at else None,
            "last": self.transaction,
            "last_at": self.transaction_at.isoformat() if self.transaction_at else None,
            "member": self.member,
            "options": self.options,
        }

    @property
    def end(self) -> str:
        return local_time(self.ends_at) if self.ends_at else "never"

    @property
    def last(self) -> str:
        """What happened last, without who did it."""
        return _TRANSACTIONS.get(self.transaction, self.transaction)


def local_time(at: datetime.datetime | None) -> str:
    """In the time of this machine, with its zone."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z") if at else "(unknown)"


def find_leases(manager: Session, words: Words) -> list[Lease]:
    """In order of address; at most LEASES_MAX, and one more where there are more."""
    if words.address is not None:
        found = {words.address}
    else:
        found = set()
        for kind, octets in words.keys:
            head = (kind, len(octets), *octets)
            rest = manager.below(CLIENT["State"], head, LEASES_MAX + 1)
            found |= {index_address(index) for index in rest}
    leases = [read_lease(manager, address) for address in sorted(found)[: LEASES_MAX + 1]]
    return [one for one in leases if one is not None]


def read_lease(manager: Session, address: int) -> Lease | None:
    row = manager.row(BINDING, address_index(address))
    return _lease(address, row) if "State" in row else None


def read_version(manager: Session, address: int) -> tuple[int, int, int] | None:
    found = read_lease(manager, address)
    return found.version if found else None


def _lease(address: int, row: Row) -> Lease:
    names = BINDING["State"].syntax.names
    transactions = BINDING["TransactionType"].syntax.names
    return Lease(
        address=address,
        state=names.get(number_in(row, "State"), "?"),
        hardware_address=octets_in(row, "HardwareAddress").hex(":"),
        client_id=octets_in(row, "ClientId").hex(":"),
        host_name=shown(octets_in(row, "HostName").decode("utf-8", "replace")),
        ends_at=instant_of(octets_in(row, "ExpiresAt")),
        transaction=transactions.get(number_in(row, "TransactionType"), "?"),
        transaction_at=instant_of(octets_in(row, "TransactionAt")),
        member=number_in(row, "TransactionServer"),
        version=(
            number_in(row, "StreamServer"),
            number_in(row, "StreamIncarnation"),
            number_in(row, "StreamSeq"),
        ),
        options=_options(octets_in(row, "Options")),
    )


def _options(octets: bytes) -> dict[str, str]:
    options: dict[int, bytes] = {}
    try:
        parse_options(octets, 0, len(octets), options)
    except PacketError:
        return {"octets": octets.hex(":")}
    return {
        option_type(code).name: shown(format_text(code, data)) for code, data in options.items()
    }


def instant_of(octets: bytes) -> datetime.datetime | None:
    """DateAndTime in UTC (RFC 2579)."""
    if len(octets) < 8 or octets == NEVER_DATE:
        return None
    year = int.from_bytes(octets[:2], "big")
    try:
        month, day, hour, minute, second = octets[2:7]
        return datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC)
    except ValueError:
        return None
