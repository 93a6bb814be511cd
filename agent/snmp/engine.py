"""pysnmp's engine, set up the way this project needs it: for what this member asks and tells.

Requests of others never reach it: they are read, refused and answered by `door.py`, and only the
answers to its own requests are handed on. So here

- snmpEngineID and snmpEngineBoots come from the store (pysnmp would make a new ID at every start,
  or keep its boots in the folder for temporary files), and every clock is the boot-time clock:
  pysnmp's own follow the wall clock, end in 2038 and stand still after it was put back;
- users have localized keys; no passphrase is ever in the process;
- lists of variable bindings pass through as octets (`wire.py`);
- MACs are looked for at their place, and compared in constant time (`PlacedHmac`);
- what is known of other engines' clocks comes from authentic messages, and is kept (`Usm`);
- v1 and v2c are not spoken, and pysnmp's access control answers "no" to everything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from pysnmp.carrier.asyncio import dispatch
from pysnmp.entity import config
from pysnmp.entity.engine import SnmpEngine
from pysnmp.proto import errind, error, rfc1902
from pysnmp.proto.secmod.rfc3414 import service
from pysnmp.proto.secmod.rfc7860.auth import hmacsha2

from agent import clock
from agent.errors import PacketError
from agent.snmp import message, usm
from agent.snmp.keys import EngineIdentity, UserKeys
from agent.snmp.wire import RawV3Model

SECURITY_MODEL_USM = 3
AUTH_PRIV = 3
"""securityLevel of authPriv (RFC 3411 3.4.3)."""

_AUTHENTICATION = config.USM_AUTH_HMAC192_SHA256
_PRIVACY = config.USM_PRIV_CFB128_AES

# Where pysnmp asks for the time of day it means "how long since".
service.time = SimpleNamespace(time=lambda: clock.boot_s())
dispatch.time = lambda: clock.boot_s()


class NoAccess:
    """In the place of pysnmp's access control: everything is denied there."""

    def is_access_allowed(self, *_: Any, **__: Any) -> None:
        raise error.StatusInformation(errorIndication="notInView")


class PlacedHmac(hmacsha2.HmacSha2):  # type: ignore[misc]
    """HMAC-192-SHA-256 at the place that the message gives it."""

    def __init__(self) -> None:
        super().__init__(_AUTHENTICATION)

    def authenticate_outgoing_message(self, key: Any, whole: bytes) -> bytes:
        return usm.authenticate(whole, _parameters(whole).mac_at, key.asOctets())

    def authenticate_incoming_message(self, key: Any, mac: Any, whole: bytes) -> bytes:
        try:
            found = _parameters(whole)
        except PacketError:
            raise error.StatusInformation(errorIndication=errind.parseError) from None
        if not usm.is_authentic(whole, found.mac_at, found.mac_octets, key.asOctets()):
            raise error.StatusInformation(errorIndication=errind.authenticationFailure)
        return whole


def _parameters(whole: bytes) -> message.Security:
    _, at = message.parse_version(whole)
    return message.parse_security(whole, message.parse_global(whole, at).parameters_at)


class Usm(service.SnmpUSMSecurityModel):  # type: ignore[misc]
    AUTH_SERVICES = service.SnmpUSMSecurityModel.AUTH_SERVICES | {_AUTHENTICATION: PlacedHmac()}

    def receive_timer_tick(self, engine: SnmpEngine, now: Any) -> None:
        """The engines that are known are those that have been asked: few, so none is forgotten, and
        no list is kept of when each was heard."""
        self._SnmpUSMSecurityModel__timelineExpQueue.clear()

    def forget_clock(self, engine_id: bytes) -> None:
        """pysnmp takes the clock of an engine from any message, unauthenticated Reports included:
        whoever sends one could make all that engine's later messages too old."""
        self._SnmpUSMSecurityModel__timeline.pop(engine_id, None)


class EngineTime(rfc1902.Integer32):  # type: ignore[misc]
    """snmpEngineTime, which pysnmp reads by `clone()`."""

    started_s = 0.0

    def clone(self, *arguments: Any, **named: Any) -> Any:
        if arguments or named:
            return super().clone(*arguments, **named)
        return rfc1902.Integer32(int(clock.boot_s() - self.started_s))


@contextmanager
def _boot_time() -> Iterator[None]:
    """pysnmp writes `int(time.time())` into an Integer32 when it loads its modules."""
    real = time.time
    time.time = clock.boot_s
    try:
        yield
    finally:
        time.time = real


def new_engine() -> SnmpEngine:
    """A manager's engine, made up by pysnmp; call it inside a running loop."""
    with _boot_time():
        engine = SnmpEngine()
    engine.access_control_model = {3: NoAccess()}
    engine.security_models = {SECURITY_MODEL_USM: Usm()}
    engine_time = EngineTime()
    engine_time.started_s = clock.boot_s()
    symbol(engine, "SNMP-FRAMEWORK-MIB", "snmpEngineTime").syntax = engine_time
    return engine


def build_engine(identity: EngineIdentity | None) -> SnmpEngine:
    """An engine without users and transports; call it inside a running loop. Without `identity`
    it is a manager's own, made up by pysnmp."""
    engine = new_engine()
    v3 = RawV3Model()
    engine.message_processing_subsystems = {v3.MESSAGE_PROCESSING_MODEL_ID: v3}
    if identity is not None:
        _set(engine, "snmpEngineID", identity.engine_id)
        _set(engine, "snmpEngineBoots", identity.boots)
        engine.snmpEngineID = symbol(engine, "SNMP-FRAMEWORK-MIB", "snmpEngineID").syntax
    return engine


def symbol(engine: SnmpEngine, module: str, name: str) -> Any:
    """The one instance of a scalar that pysnmp itself keeps."""
    return engine.get_mib_builder().import_symbols(f"__{module}", name)[0]


def _set(engine: SnmpEngine, name: str, value: bytes | int) -> None:
    scalar = symbol(engine, "SNMP-FRAMEWORK-MIB", name)
    scalar.syntax = scalar.syntax.clone(value)


def add_user(
    engine: SnmpEngine, name: str, localized: UserKeys, engine_id: bytes | None = None
) -> None:
    """A user of this engine, or of the engine `engine_id`: keys are localized to that one."""
    config.add_v3_user(
        engine,
        name,
        _AUTHENTICATION,
        localized.authentication,
        _PRIVACY,
        localized.privacy,
        securityEngineId=None if engine_id is None else rfc1902.OctetString(engine_id),
        authKeyType=config.USM_KEY_TYPE_LOCALIZED,
        privKeyType=config.USM_KEY_TYPE_LOCALIZED,
    )


async def close_engine(engine: SnmpEngine) -> None:
    """Close the sockets and let the loop see them closed."""
    if engine.transport_dispatcher is not None:
        engine.close_dispatcher()
    await asyncio.sleep(0)
