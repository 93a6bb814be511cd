"""What an operator may set of SNMP's own groups (RFC 3418): sysContact, sysLocation, and the lock.

Contact and location are where this machine stands, so each member has its own: a small file beside
the store, written whole and renamed into place. snmpSetSerialNo is the advisory lock of managers
that work together (TestAndIncr, RFC 2579): named in a SET with the value just read, it lets only
the first of two such SETs through. snmpEnableAuthenTraps says that no such trap is sent.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agent.snmp import ber, view
from agent.snmp.ber import Varbind
from agent.snmp.oid import Oid
from agent.snmp.status import ErrorStatus, RequestError
from agent.snmp.view import Operation, Role, may

log = logging.getLogger("dhcpsync.snmp")

FILE_NAME = "system.json"

CONTACT: Oid = (*view.SYSTEM, 4)
LOCATION: Oid = (*view.SYSTEM, 6)
AUTHEN_TRAPS: Oid = (*view.SNMP, 30)
SET_SERIAL: Oid = (*view.SNMP_SET, 1)
_TEXTS = {CONTACT: "contact", LOCATION: "location"}
_WRITABLE = (*_TEXTS, AUTHEN_TRAPS, SET_SERIAL)

TEXT_OCTETS_MAX = 255
"""DisplayString (SIZE (0..255))."""

AUTHEN_TRAPS_DISABLED = 2
_SERIAL_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Texts:
    contact: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True)
class SystemChange:
    """What a SET asks for here. `number` is that of the first text set, 0 for none."""

    texts: Texts
    number: int = 0
    counts_serial: bool = False


def is_writable(oid: Oid) -> bool:
    """Whether it is, or would be, an instance of what is set here."""
    return oid[: len(CONTACT)] in _WRITABLE or oid[: len(SET_SERIAL)] in _WRITABLE


class SystemGroup:
    """`path` None: nothing outlives the process."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.texts = _load(path) if path is not None else Texts()
        self.serial = secrets.randbelow(_SERIAL_MAX)

    def judge(self, role: Role | None, assigned: Mapping[int, Varbind]) -> SystemChange:
        """The variable bindings of a SET that are set here, by number. Raises RequestError."""
        change = SystemChange(self.texts)
        for number, one in assigned.items():
            column = one.oid[:-1]
            if role is None or not may(role, Operation.WRITE, one.oid):
                raise RequestError(ErrorStatus.NO_ACCESS, number, f"no write access to {one.oid}")
            if column not in _WRITABLE or one.oid[-1]:
                raise RequestError(ErrorStatus.NO_CREATION, number, "a scalar's instance is 0")
            if column in _TEXTS:
                texts = replace(change.texts, **{_TEXTS[column]: _text(one, number)})
                change = replace(change, texts=texts, number=change.number or number)
                continue
            value = _integer(one, number)
            if column == SET_SERIAL:
                self._test(value, number)
                change = replace(change, counts_serial=True)
            elif value != AUTHEN_TRAPS_DISABLED:
                raise RequestError(
                    ErrorStatus.WRONG_VALUE, number, "no authenticationFailure is ever sent"
                )
        return change

    def _test(self, value: int, number: int) -> None:
        if not 0 <= value <= _SERIAL_MAX:
            raise RequestError(ErrorStatus.WRONG_VALUE, number, f"{value} is below 0")
        if value != self.serial:
            raise RequestError(
                ErrorStatus.INCONSISTENT_VALUE, number, "another SET was first (TestAndIncr)"
            )

    def count_serial(self) -> None:
        self.serial = 0 if self.serial == _SERIAL_MAX else self.serial + 1

    def save(self, texts: Texts) -> None:
        """Durable when it returns. Raises OSError, and then nothing has changed."""
        if self._path is not None:
            new = self._path.with_suffix(".new")
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump({"contact": texts.contact, "location": texts.location}, file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        self.texts = texts


def _load(path: Path) -> Texts:
    """A file that cannot be read costs two words for people, and no start."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Texts(str(kept["contact"]), str(kept["location"]))
    except FileNotFoundError:
        return Texts()
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning(
            "%s: sysContact and sysLocation cannot be read, they are empty: %s", path, error
        )
        return Texts()


def _text(one: Varbind, number: int) -> str:
    if one.tag != ber.OCTETS or not isinstance(one.value, bytes):
        raise RequestError(ErrorStatus.WRONG_TYPE, number, f"type 0x{one.tag:02x}")
    if len(one.value) > TEXT_OCTETS_MAX:
        raise RequestError(ErrorStatus.WRONG_LENGTH, number, f"{len(one.value)} octets")
    if not one.value.isascii() or not one.value.decode().isprintable():
        raise RequestError(ErrorStatus.WRONG_VALUE, number, "a DisplayString is printable ASCII")
    return one.value.decode()


def _integer(one: Varbind, number: int) -> int:
    if one.tag != ber.INTEGER:
        raise RequestError(ErrorStatus.WRONG_TYPE, number, f"type 0x{one.tag:02x}")
    if not isinstance(one.value, int):
        raise RequestError(ErrorStatus.WRONG_ENCODING, number, "no INTEGER")
    return one.value
