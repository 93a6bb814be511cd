"""An SNMPv3 manager for the commands: GET, SET and whole tables of one member, one at a time.

A shell around `agent.snmp.generator`: a socket, patience and words. Objects have their numbers and
types from `agent.snmp.columns`, values are plain ints and bytes. Each call waits for its answer.

An answer of many datagrams' frames is the first to be lost, and there are paths that carry no
fragments. So a table is asked for in pages that grow as long as they come, and after a silence the
answers to what is read are to fit one frame.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Protocol, Self

from agent import clock
from agent.errors import PacketError
from agent.limits import SNMP_MESSAGE_OCTETS_MAX
from agent.snmp import ber, message, reports
from agent.snmp.ber import Varbind
from agent.snmp.columns import Column, Scalar, Table
from agent.snmp.generator import CommandGenerator, Ignored, Report, Response
from agent.snmp.keys import UserKeys, derive_keys
from agent.snmp.oid import Oid, format_oid, starts_with
from agent.snmp.status import ErrorStatus
from tools.credentials import Credentials
from tools.errors import ManagerError

Value = int | bytes
Row = dict[str, Value]

_FIRST_PAGE = 40
"""Cells of the first page of a walk. Most tables are short, and the member also reads what it
answers from behind their end."""
_PAGE_MAX = 640
"""Cells of the longest page: about 25 kB. The member's work for each message hardly counts then."""
_PAGE_GROWTH = 4
_FRAME_OCTETS = 1_472
"""msgMaxSize of what fits one Ethernet frame."""
_DATAGRAM_OCTETS = 65_535
_STEPS_MAX = 4
"""Reports that are followed by another attempt: one for the engine, one for its clock, and the same
for an engine that is another one, or restarts, between them."""
_REFUSED_PAUSE_S = 0.2
"""Until what nobody listens to, or what finds no way, is sent again: a member may be starting."""

_NO_ANSWER = "requestTimedOut"
_REPORTS = {
    reports.UNSUPPORTED_LEVEL.oid: (
        "unsupportedSecurityLevel",
        "the member does not speak with this user at authPriv",
    ),
    reports.NOT_IN_TIME_WINDOW.oid: (
        "notInTimeWindow",
        "the member's clock of SNMP messages jumps",
    ),
    reports.UNKNOWN_USER.oid: ("unknownUserName", "the member does not know this user"),
    reports.UNKNOWN_ENGINE.oid: ("unknownEngineID", "the member's engine ID is never the same"),
    reports.WRONG_DIGEST.oid: ("wrongDigest", "the authentication passphrase is wrong"),
    reports.DECRYPTION_ERROR.oid: ("decryptionError", "the privacy passphrase is wrong"),
}
"""Error-status and words for each."""


def reported(oid: Oid) -> tuple[str, str]:
    """What a Report says: a word for it, and words for people."""
    return _REPORTS.get(oid, ("report", f"the member answers with a Report of {format_oid(oid)}"))


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


@cache
def _master_keys(authentication: str, privacy: str) -> UserKeys:
    """To make them takes 2 MiB of hashing, once in a process."""
    return derive_keys(authentication, privacy)


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
        self._place = (address, port)
        self._timeout_s = timeout_s
        self._retries = retries
        self._size_max = SNMP_MESSAGE_OCTETS_MAX
        self._generator = CommandGenerator(
            user.user.encode(),
            _master_keys(user.authentication, user.privacy),
            first_id=int.from_bytes(os.urandom(4), "big") & 0x7FFF_FFFF,
            salt=int.from_bytes(os.urandom(8), "big"),
        )
        # The socket exists now, in the caller's network namespace.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._is_connected = False

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
        self._socket.close()

    # --- requests

    def get(self, objects: Sequence[Scalar]) -> list[Value | None]:
        """The scalars' values; None for one that the member does not have, or not for us."""
        return self._get([item.instance for item in objects])

    def set(self, assignments: Iterable[Assignment]) -> None:
        """One SET of them all; the member does all or nothing."""
        wanted = list(assignments)
        varbinds = ber.encode_varbinds(
            Varbind((*one.column.oid, *one.index), one.column.syntax.base, one.value)
            for one in wanted
        )
        answer = self._exchange(message.SET, varbinds)
        if answer.first:
            at = ""
            if 0 < answer.second <= len(wanted):
                one = wanted[answer.second - 1]
                at = f"{one.column.name}.{format_oid(one.index)}: "
            raise self._refusal(answer.first, at)

    def table(self, table: Table) -> dict[Oid, Row]:
        """The whole table by GETBULK: rows by index, cells by the column's short name."""
        rows: dict[Oid, Row] = {}
        shorts = {column.oid: short for short, column in table.columns.items()}
        width = len(table.entry) + 1
        for oid, value in self._walk(table.name, table.entry):
            short = shorts.get(oid[:width])
            if short is not None:
                rows.setdefault(oid[width:], {})[short] = value
        return rows

    def row(self, table: Table, index: Oid) -> Row:
        """One row by one GET: its cells by the column's short name; empty where there is none."""
        values = self._get([(*column.oid, *index) for column in table.columns.values()])
        return {
            short: value
            for short, value in zip(table.columns, values, strict=True)
            if value is not None
        }

    def below(self, column: Column, index: Oid, limit: int) -> dict[Oid, Value]:
        """The instances of a column whose index begins so, by the rest of it, by GETBULK; at most
        `limit`."""
        head = (*column.oid, *index)
        found: dict[Oid, Value] = {}
        for oid, value in self._walk(column.name, head):
            if len(found) == limit:
                break
            found[oid[len(head) :]] = value
        return found

    # --- reading

    def _get(self, names: Sequence[Oid]) -> list[Value | None]:
        answer = self._exchange(message.GET, _nulls(names))
        if answer.first == ErrorStatus.TOO_BIG and len(names) > 1:
            half = len(names) // 2
            return self._get(names[:half]) + self._get(names[half:])
        if answer.first:
            raise self._refusal(answer.first)
        cells = self._cells(answer)
        if [oid for oid, _ in cells] != list(names):
            raise ManagerError(f"{self._name} answers for other objects than it was asked for")
        return [value for _, value in cells]

    def _walk(self, name: str, head: Oid) -> Iterator[tuple[Oid, Value]]:
        """Everything that begins with `head`, in order."""
        at, page = head, _FIRST_PAGE
        while True:
            answer = self._exchange(message.GET_BULK, _nulls([at]), page)
            if answer.first:
                raise self._refusal(answer.first)
            cells = self._cells(answer)
            for oid, value in cells:
                if value is None or not starts_with(oid, head):
                    return
                if oid <= at:
                    raise ManagerError(f"{self._name}: the walk of {name} goes backwards")
                at = oid
                yield oid, value
            if not cells:
                return
            page = min(page * _PAGE_GROWTH, _PAGE_MAX)

    def _cells(self, answer: message.Pdu) -> list[tuple[Oid, Value | None]]:
        try:
            varbinds = ber.decode_varbinds(answer.varbinds)
        except PacketError as error:
            raise self._unreadable(error) from None
        cells: list[tuple[Oid, Value | None]] = []
        for oid, tag, value in varbinds:
            if isinstance(value, int | bytes):
                cells.append((oid, value))
            elif tag in ber.EXCEPTIONS:
                cells.append((oid, None))
            else:
                what = f"{format_oid(oid)} is of a type that it has not"
                raise self._unreadable(PacketError("wrong_tag", what))
        return cells

    # --- one request and its answer

    def _exchange(
        self, kind: int, varbinds: bytes, repetitions: int = 0, *, is_long: bool = False
    ) -> message.Pdu:
        """The response, whatever its error-status. `is_long`: its answer fits no frame. To a SET it
        may always have any length: it was done before it is known how long its answer is."""
        self._generator.begin()
        why = ""
        for attempt in range(self._retries + 1):
            if attempt:
                self._size_max = _FRAME_OCTETS
            is_short = self._size_max == _FRAME_OCTETS and not is_long and kind != message.SET
            size_max = _FRAME_OCTETS if is_short else SNMP_MESSAGE_OCTETS_MAX
            found = self._try(kind, varbinds, repetitions, size_max)
            if isinstance(found, str):
                why = found or why
            elif found.first == ErrorStatus.TOO_BIG and is_short:
                return self._exchange(kind, varbinds, min(repetitions, 1), is_long=True)
            else:
                return found
        raise ManagerError(f"{self._name}: no answer{why and f' ({why})'}", _NO_ANSWER)

    def _try(
        self, kind: int, varbinds: bytes, repetitions: int, size_max: int
    ) -> message.Pdu | str:
        """The response to one try, or why there is none: "" where nothing came at all."""
        told: Oid = ()
        for _ in range(_STEPS_MAX + 1):
            octets = self._generator.message(
                kind, varbinds, 0, repetitions, size_max=size_max, now_s=clock.boot_s()
            )
            if len(octets) > SNMP_MESSAGE_OCTETS_MAX:
                raise ManagerError(f"{self._name}: the request fits no datagram", "tooBig")
            found = self._await(octets, time.monotonic() + self._timeout_s)
            if isinstance(found, Response):
                return found.pdu
            if isinstance(found, Ignored):
                return found.why
            told = found.oid
            if not found.is_step:
                break
        status, words = reported(told)
        raise ManagerError(f"{self._name}: {words}", status)

    def _await(self, octets: bytes, until: float) -> Response | Report | Ignored:
        """Send, and wait for what counts; Ignored once the time is over."""
        ignored = Ignored("")
        is_sent = False
        while (left := until - time.monotonic()) > 0:
            try:
                if not is_sent:
                    self._send(octets)
                    is_sent = True
                self._socket.settimeout(left)
                data = self._socket.recv(_DATAGRAM_OCTETS)
                found = self._generator.examine(data, clock.boot_s())
            except TimeoutError:
                break
            except ConnectionRefusedError:
                is_sent = self._pause(until)
            except OSError as error:
                ignored = Ignored(error.strerror or str(error))
                is_sent = self._pause(until)
            except PacketError as error:
                raise self._unreadable(error) from None
            else:
                if not isinstance(found, Ignored):
                    return found
                ignored = found
        return ignored

    def _send(self, octets: bytes) -> None:
        """Where there is no way to the member this fails, and may not fail a second later."""
        if not self._is_connected:
            self._socket.connect(self._place)
            self._is_connected = True
        self._socket.send(octets)

    def _pause(self, until: float) -> bool:
        """False: it is not sent."""
        time.sleep(max(0.0, min(_REFUSED_PAUSE_S, until - time.monotonic())))
        return False

    # --- what went wrong

    def _refusal(self, status: int, at: str = "") -> ManagerError:
        try:
            word = ErrorStatus(status).word
        except ValueError:
            word = f"error-status {status}"
        return ManagerError(f"{self._name} refuses {at}{word}", word)

    def _unreadable(self, error: PacketError) -> ManagerError:
        return ManagerError(f"{self._name}: its answer cannot be read: {error}")


def _nulls(names: Iterable[Oid]) -> bytes:
    """Variable bindings of a request that reads."""
    return ber.varbind_list(
        ber.varbind(ber.object_identifier(name), ber.NULL_VALUE) for name in names
    )
