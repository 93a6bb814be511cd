"""SNMPv3 messages as a manager sends them, octet by octet, right or with one thing wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.snmp import ber, message, usm
from agent.snmp.ber import Varbind
from agent.snmp.door import Door
from agent.snmp.keys import EngineIdentity, UserKeys
from agent.snmp.message import AUTH_PRIV, Global, Pdu, Scoped, Security
from agent.snmp.oid import Oid
from tests.snmp.world import engine_id, keys_of

NOW_S = 5_000.0
"""The boot-time clock of a door in a test, which began at 4,000."""
IDENTITY = EngineIdentity(engine_id(1), 77)


def make_door(identity: EngineIdentity = IDENTITY, community: str = "") -> Door:
    users = {
        name.encode(): keys_of(name).localize(identity.engine_id)
        for name in ("monitor", "operator", "peer")
    }
    return Door(
        identity, users, community.encode(), lambda *_: False, started_s=NOW_S - 1000, salt=1
    )


def get(*names: Oid, kind: int = message.GET, first: int = 0, second: int = 0) -> bytes:
    varbinds = ber.encode_varbinds([Varbind(name, ber.NULL, None) for name in names])
    return message.build_pdu(kind, 4711, first, second, varbinds)


@dataclass(frozen=True)
class Datagram:
    """What a manager puts together; `octets` is the message."""

    pdu: bytes = get((1, 3, 6, 1, 2, 1, 1, 5, 0))
    engine_id: bytes = IDENTITY.engine_id
    boots: int = IDENTITY.boots
    time_s: int = 1000
    user: str = "monitor"
    keys: UserKeys | None = None
    flags: int = AUTH_PRIV | message.REPORTABLE_FLAG
    message_id: int = 99
    size_max: int = 65_507
    model: int = message.USM
    context_engine_id: bytes | None = None
    context_name: bytes = b""
    salt: bytes = b"saltsalt"
    mac_octets: int = usm.MAC_OCTETS
    mac: bytes | None = None
    scoped: bytes | None = None

    def but(self, **changes: object) -> Datagram:
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def octets(self) -> bytes:
        keys = self.keys or keys_of(self.user or "monitor").localize(self.engine_id)
        context = self.engine_id if self.context_engine_id is None else self.context_engine_id
        data = self.scoped
        if data is None:
            data = message.build_scoped(context, self.context_name, self.pdu)
        has_mac = self.flags & message.AUTH_FLAG
        if self.flags & message.PRIV_FLAG:
            salt = self.salt.ljust(8, b"\0")[:8]
            data = ber.octets(usm.encrypt(data, keys.privacy, self.boots, self.time_s, salt))
        whole, at = message.build_v3(
            Global(self.message_id, 0, self.flags, self.model, 0),
            Security(
                self.engine_id,
                self.boots,
                self.time_s,
                self.user.encode(),
                0,
                self.mac_octets if has_mac else 0,
                self.salt if self.flags & message.PRIV_FLAG else b"",
                0,
            ),
            data,
            self.size_max,
        )
        if not has_mac:
            return whole
        size = self.mac_octets
        mac = self.mac
        if mac is None:
            zeroed = whole[:at] + bytes(size) + whole[at + size :]
            mac = usm.mac_of(zeroed, at, keys.authentication)[:size].ljust(size, b"\0")
        return whole[:at] + mac + whole[at + size :]


DISCOVERY = Datagram(
    pdu=get(), engine_id=b"", boots=0, time_s=0, user="", flags=message.REPORTABLE_FLAG
)
"""What a manager sends first (RFC 3414 4)."""


@dataclass(frozen=True)
class Opened:
    """A message that came back, taken apart. `is_authentic` None: it has no MAC."""

    head: Global
    security: Security
    is_authentic: bool | None
    scoped: Scoped
    pdu: Pdu
    varbinds: Sequence[Varbind]


def open_message(octets: bytes, user: str = "monitor", engine: bytes | None = None) -> Opened:
    keys = keys_of(user).localize(engine or IDENTITY.engine_id)
    _, at = message.parse_version(octets)
    head = message.parse_global(octets, at)
    security = message.parse_security(octets, head.parameters_at)
    authentic = None
    if head.flags & message.AUTH_FLAG:
        authentic = usm.is_authentic(
            octets, security.mac_at, security.mac_octets, keys.authentication
        )
    data = octets[security.data_at :]
    if head.flags & message.PRIV_FLAG:
        ciphertext = message.parse_ciphertext(octets, security.data_at)
        data = usm.decrypt(ciphertext, keys.privacy, security.boots, security.time_s, security.salt)
    scoped = message.parse_scoped(data)
    pdu = message.parse_pdu(scoped.pdu)
    return Opened(head, security, authentic, scoped, pdu, ber.decode_varbinds(pdu.varbinds))
