"""pysnmp's engine, set up the way this project needs it.

- snmpEngineID and snmpEngineBoots come from the store (pysnmp would make a new ID at every start,
  or keep its boots in the folder for temporary files).
- Users have localized keys; no passphrase is ever in the process.
- Lists of variable bindings pass through as octets (`wire.py`).
- v1 is not spoken, v2c only where a read-only community is configured.
- pysnmp's access control answers "no" to everything: our responders ask `view.py`, and nothing
  that belongs to pysnmp alone is reachable.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config
from pysnmp.entity.engine import SnmpEngine
from pysnmp.proto import error, rfc1902

from agent.errors import ConfigError
from agent.model import format_address
from agent.snmp.keys import UserKeys
from agent.snmp.wire import RawV2cModel, RawV3Model

log = logging.getLogger("dhcpsync.snmp")

SECURITY_MODEL_V2C = 2
SECURITY_MODEL_USM = 3
AUTH_PRIV = 3
"""securityLevel of authPriv (RFC 3411 3.4.3)."""

COMMUNITY_USER = "community"
"""securityName of who comes with the read-only community. No SNMPv3 user may be called so by
accident: the security model is looked at first."""

_AUTHENTICATION = config.USM_AUTH_HMAC192_SHA256
_PRIVACY = config.USM_PRIV_CFB128_AES


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """RFC 3411 5: `engine_id` has 5 to 32 octets, `boots` counts the starts of this engine."""

    engine_id: bytes
    boots: int


class NoAccess:
    """In the place of pysnmp's access control: everything is denied there."""

    def is_access_allowed(self, *_: Any, **__: Any) -> None:
        raise error.StatusInformation(errorIndication="notInView")


def build_engine(identity: EngineIdentity | None, community: str = "") -> SnmpEngine:
    """An engine without users and transports; call it inside a running loop. Without `identity`
    it is a manager's own, made up by pysnmp."""
    engine = SnmpEngine()
    engine.access_control_model = {3: NoAccess()}
    v3 = RawV3Model()
    engine.message_processing_subsystems = {v3.MESSAGE_PROCESSING_MODEL_ID: v3}
    engine.security_models = {
        model: handler
        for model, handler in engine.security_models.items()
        if model == SECURITY_MODEL_USM or (community and model == SECURITY_MODEL_V2C)
    }
    if identity is not None:
        _set(engine, "snmpEngineID", identity.engine_id)
        _set(engine, "snmpEngineBoots", identity.boots)
        engine.snmpEngineID = symbol(engine, "SNMP-FRAMEWORK-MIB", "snmpEngineID").syntax
    if community:
        v2c = RawV2cModel()
        engine.message_processing_subsystems[v2c.MESSAGE_PROCESSING_MODEL_ID] = v2c
        config.add_v1_system(engine, COMMUNITY_USER, community)
        log.warning(
            "SNMPv2c is on, as configured: who knows the community reads everything that a"
            " monitor reads, and it crosses the network in clear"
        )
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


def add_discovering_user(engine: SnmpEngine, name: str, master: UserKeys) -> None:
    """A user of every engine that is met: pysnmp localizes the master keys to each."""
    config.add_v3_user(
        engine,
        name,
        _AUTHENTICATION,
        master.authentication,
        _PRIVACY,
        master.privacy,
        authKeyType=config.USM_KEY_TYPE_MASTER,
        privKeyType=config.USM_KEY_TYPE_MASTER,
    )


async def listen(engine: SnmpEngine, address: int, port: int) -> tuple[str, int]:
    """Bind the engine's socket; returns where. Raises ConfigError if it cannot be had."""
    host = format_address(address)
    transport = udp.UdpTransport()
    transport.open_server_mode((host, port))
    try:
        await transport._lport
    except OSError as failure:
        raise ConfigError(
            "member.toml",
            "snmp.port" if failure.errno != errno.EADDRNOTAVAIL else "snmp.address",
            f"cannot listen on {host}:{port}: {failure.strerror}",
            _remedy(failure, port),
        ) from None
    config.add_transport(engine, udp.DOMAIN_NAME, transport)
    bound = transport.transport.get_extra_info("sockname")
    return bound[0], bound[1]


async def open_client(engine: SnmpEngine) -> None:
    """A socket for a manager: any address, any port."""
    transport = udp.UdpTransport()
    transport.open_client_mode()
    await transport._lport
    config.add_transport(engine, udp.DOMAIN_NAME, transport)


def _remedy(failure: OSError, port: int) -> str:
    if isinstance(failure, PermissionError):
        return f"ports below 1024 need root or CAP_NET_BIND_SERVICE; {port} is one"
    if failure.errno == errno.EADDRINUSE:
        return f"another SNMP agent has the port (`ss -ulpn sport = {port}` names it)"
    return "is the address on one of this machine's interfaces?"


async def close_engine(engine: SnmpEngine) -> None:
    """Close the sockets and let the loop see them closed."""
    if engine.transport_dispatcher is not None:
        engine.close_dispatcher()
    await asyncio.sleep(0)


def add_users(engine: SnmpEngine, users: Iterable[tuple[str, UserKeys]]) -> None:
    for name, localized in users:
        add_user(engine, name, localized)
