"""An SNMPv3 manager for the commands: GET, SET and whole tables of one member, one at a time.

A thin shell over pysnmp's command generators, without its MIB machinery: objects have their
numbers and types from `agent.snmp.columns`, values are plain ints and bytes. Each call waits for
its answer, on an event loop of the manager's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config
from pysnmp.entity.rfc3413 import cmdgen
from pysnmp.proto import rfc1902, rfc1905

from agent.snmp.columns import Base, Column, Scalar, Table
from agent.snmp.engine import new_engine
from agent.snmp.oid import Oid, format_oid, starts_with
from tools.credentials import Credentials
from tools.errors import ManagerError

Value = int | bytes
Row = dict[str, Value]

_TARGET = "member"
_PARAMETERS = "parameters"
_REPETITIONS = 40
"""Cells in one answer of a walk: more do not fit one datagram of the usual size."""

_TYPES: dict[Base, Callable[[Any], Any]] = {
    Base.INTEGER: rfc1902.Integer32,
    Base.OCTETS: rfc1902.OctetString,
    Base.UNSIGNED: rfc1902.Unsigned32,
    Base.COUNTER64: rfc1902.Counter64,
}

_ERROR_STATUS = {
    1: "tooBig",
    5: "genErr",
    6: "noAccess",
    7: "wrongType",
    8: "wrongLength",
    9: "wrongEncoding",
    10: "wrongValue",
    11: "noCreation",
    12: "inconsistentValue",
    13: "resourceUnavailable",
    14: "commitFailed",
    15: "undoFailed",
    16: "authorizationError",
    17: "notWritable",
    18: "inconsistentName",
}
"""RFC 3416 3."""

_INDICATIONS = {
    "requestTimedOut": "no answer",
    "unknownUserName": "the member does not know this user",
    "unknownSecurityName": "the member does not know this user",
    "wrongDigest": "the authentication passphrase is wrong",
    "authenticationFailure": "the authentication passphrase is wrong",
    "decryptionError": "the privacy passphrase is wrong",
    "notInTimeWindow": "the member's clock of SNMP messages jumps",
}


@dataclass(frozen=True, slots=True)
class Assignment:
    """One variable binding of a SET."""

    column: Column
    index: Oid
    value: Value


def number_in(row: Row, short: str) -> int:
    """0 where the member does not have it, or hides it."""
    value = row.get(short, 0)
    return value if isinstance(value, int) else 0


def octets_in(row: Row, short: str) -> bytes:
    """Empty where the member does not have them, or hides them."""
    value = row.get(short, b"")
    return value if isinstance(value, bytes) else b""


class Session(Protocol):
    """One member, as something speaks to it: a `Manager`, or a test."""

    def get(self, objects: Sequence[Scalar]) -> list[Value | None]: ...
    def set(self, assignments: Iterable[Assignment]) -> None: ...
    def table(self, table: Table) -> dict[Oid, Row]: ...
    def row(self, table: Table, index: Oid) -> Row: ...
    def below(self, column: Column, index: Oid, limit: int) -> dict[Oid, Value]: ...
    def close(self) -> None: ...


class Manager:
    """Speaks to the agent at `address` as one user; a context manager.

    `timeout_s` is for one try, `retries` how many more follow. ManagerError says what failed."""

    def __init__(
        self,
        address: str,
        port: int,
        user: Credentials,
        *,
        timeout_s: float = 2.0,
        retries: int = 2,
    ) -> None:
        self._name = f"{address}:{port}" if port != 161 else address
        self._runner = asyncio.Runner()
        self._deadline_s = timeout_s * (retries + 6)
        self._runner.run(self._open(address, port, user, timeout_s, retries))

    async def _open(
        self, address: str, port: int, user: Credentials, timeout_s: float, retries: int
    ) -> None:
        self._engine = new_engine()
        config.add_v3_user(
            self._engine,
            user.user,
            config.USM_AUTH_HMAC192_SHA256,
            user.authentication,
            config.USM_PRIV_CFB128_AES,
            user.privacy,
        )
        config.add_target_parameters(self._engine, _PARAMETERS, user.user, "authPriv")
        transport = udp.UdpTransport().open_client_mode()
        config.add_transport(self._engine, udp.DOMAIN_NAME, transport)
        await transport._lport  # the socket exists now, in the caller's network namespace
        config.add_target_address(
            self._engine,
            _TARGET,
            udp.DOMAIN_NAME,
            (address, port),
            _PARAMETERS,
            timeout=timeout_s * 100,
            retryCount=retries,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._runner.run(self._close())
        self._runner.close()

    async def _close(self) -> None:
        self._engine.close_dispatcher()

    def get(self, objects: Sequence[Scalar]) -> list[Value | None]:
        """The scalars' values; None for one that the member does not have, or not for us."""
        cells = self._ask(
            cmdgen.GetCommandGenerator(), (), [(item.instance, None) for item in objects]
        )
        return [value for _, value in cells]

    def set(self, assignments: Iterable[Assignment]) -> None:
        """One SET of them all; the member does all or nothing."""
        wanted = list(assignments)
        cells = [
            ((*one.column.oid, *one.index), _TYPES[one.column.syntax.base](one.value))
            for one in wanted
        ]
        names = [f"{one.column.name}.{format_oid(one.index)}" for one in wanted]
        self._ask(cmdgen.SetCommandGenerator(), (), cells, names)

    def table(self, table: Table) -> dict[Oid, Row]:
        """The whole table by GETBULK: rows by index, cells by the column's short name."""
        rows: dict[Oid, Row] = {}
        at: Oid = table.entry
        shorts = {column.oid: short for short, column in table.columns.items()}
        width = len(table.entry) + 1
        while True:
            cells = self._ask(
                cmdgen.BulkCommandGeneratorSingleRun(), (0, _REPETITIONS), [(at, None)]
            )
            for oid, value in cells:
                if value is None or not starts_with(oid, table.entry):
                    return rows
                if oid <= at:
                    raise ManagerError(f"{self._name}: the walk of {table.name} goes backwards")
                at = oid
                short = shorts.get(oid[:width])
                if short is not None:
                    rows.setdefault(oid[width:], {})[short] = value
            if not cells:
                return rows

    def row(self, table: Table, index: Oid) -> Row:
        """One row by one GET: its cells by the column's short name; empty where there is none."""
        shorts = {column.oid: short for short, column in table.columns.items()}
        cells = self._ask(
            cmdgen.GetCommandGenerator(), (), [((*oid, *index), None) for oid in shorts]
        )
        named = {shorts[oid[: len(oid) - len(index)]]: value for oid, value in cells}
        return {short: value for short, value in named.items() if value is not None}

    def below(self, column: Column, index: Oid, limit: int) -> dict[Oid, Value]:
        """The instances of a column whose index begins so, by the rest of it, by GETBULK; at most
        `limit`."""
        head = (*column.oid, *index)
        found: dict[Oid, Value] = {}
        at: Oid = head
        while True:
            cells = self._ask(
                cmdgen.BulkCommandGeneratorSingleRun(), (0, _REPETITIONS), [(at, None)]
            )
            for oid, value in cells:
                if value is None or not starts_with(oid, head) or len(found) == limit:
                    return found
                if oid <= at:
                    raise ManagerError(f"{self._name}: the walk of {column.name} goes backwards")
                at = oid
                found[oid[len(head) :]] = value
            if not cells:
                return found

    def _ask(
        self,
        generator: Any,
        extra: tuple[int, ...],
        cells: Sequence[tuple[Oid, Any]],
        names: Sequence[str] = (),
    ) -> list[tuple[Oid, Value | None]]:
        answer = self._runner.run(self._exchange(generator, extra, cells))
        indication, status, index, bindings = answer
        if indication is not None:
            word = type(indication).__name__
            word = word[:1].lower() + word[1:]
            raise ManagerError(f"{self._name}: {_INDICATIONS.get(word, str(indication))}", word)
        if status:
            name = _ERROR_STATUS.get(int(status), f"error-status {int(status)}")
            at = f"{names[int(index) - 1]}: " if 0 < int(index) <= len(names) else ""
            raise ManagerError(f"{self._name} refuses {at}{name}", name)
        return [(tuple(oid), _plain(value)) for oid, value in bindings]

    async def _exchange(
        self, generator: Any, extra: tuple[int, ...], cells: Sequence[tuple[Oid, Any]]
    ) -> tuple[Any, Any, Any, Any]:
        answer: asyncio.Future[tuple[Any, Any, Any, Any]]
        answer = asyncio.get_running_loop().create_future()

        def receive(
            _engine: Any, _handle: Any, indication: Any, status: Any, index: Any, binds: Any, _: Any
        ) -> None:
            if not answer.done():
                answer.set_result((indication, status, index, binds))

        null = rfc1905.unSpecified
        bindings = [
            (rfc1902.ObjectName(oid), null if value is None else value) for oid, value in cells
        ]
        generator.send_varbinds(self._engine, _TARGET, None, b"", *extra, bindings, receive)
        try:
            return await asyncio.wait_for(answer, self._deadline_s)
        except TimeoutError:
            raise ManagerError(f"{self._name}: no answer", "requestTimedOut") from None


def _plain(value: Any) -> Value | None:
    """int or bytes; None for noSuchObject, noSuchInstance and endOfMibView (RFC 3416 3)."""
    if isinstance(value, rfc1905.NoSuchObject | rfc1905.NoSuchInstance | rfc1905.EndOfMibView):
        return None
    if isinstance(value, rfc1902.OctetString):
        return bytes(value)
    return int(value)
